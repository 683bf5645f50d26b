"""Optimizers and schedules: the same steps as PyTorch's, the same state dicts, and few kernels."""

import copy
import math

import numpy as np
import optim_cases
import pytest
from optim_cases import (
    MUON,
    OPTIMIZERS,
    PLATEAUS,
    SCHEDULES,
    WHOLE,
    loss_of,
    muon,
    name_of,
    plateau,
    rates,
    start,
    train,
)

import webtorch
from webtorch import engine, nn, optim

OPTIMIZER_IDS = [name_of(*entry).replace(" ", "") for entry in OPTIMIZERS]


@pytest.fixture(scope="module")
def goldens():
    with np.load(optim_cases.GOLDENS) as arrays:
        return {name: arrays[name] for name in arrays.files}


def on(device):
    return lambda array: webtorch.tensor(array, device=device)


# ---- against PyTorch -------------------------------------------------------------------------------------------------


ALL = OPTIMIZERS + WHOLE
ALL_IDS = [name_of(*entry).replace(" ", "") for entry in ALL]


@pytest.mark.parametrize(("name", "options"), ALL, ids=ALL_IDS)
def test_ten_steps_are_pytorchs(name, options, device, goldens):
    loose = 50 if "line_search_fn" in options else 1  # the search magnifies how float32 rounds
    for key, value in train(webtorch, name, options, on(device)).items():
        np.testing.assert_allclose(
            value, goldens[f"{name_of(name, options)}: {key}"], rtol=2e-4 * loose, atol=2e-6 * loose, err_msg=key
        )


@pytest.mark.parametrize(
    "options", [WHOLE[2][1], WHOLE[3][1], {"lr": 3.0, "max_iter": 7, "line_search_fn": "strong_wolfe"}]
)
def test_lbfgs_in_float64_is_pytorchs_to_the_last_digits(options):
    torch = pytest.importorskip("torch")
    theirs = train(torch, "LBFGS", options, lambda array: torch.tensor(array, dtype=torch.float64))
    ours = train(webtorch, "LBFGS", options, lambda array: webtorch.tensor(np.float64(array), device="cpu"))
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key], rtol=1e-9, atol=1e-11, err_msg=key)


@pytest.mark.parametrize("options", MUON)
def test_muon_is_pytorchs_but_for_its_bfloat16(options, device, goldens):
    """PyTorch iterates in bfloat16; what differs is below 2^-7 of a step's singular values."""
    for key, value in muon(webtorch, options, on(device)).items():
        np.testing.assert_allclose(value, goldens[f"{name_of('Muon', options)}: {key}"], atol=0.006, err_msg=key)


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedules_are_pytorchs(text, goldens):
    np.testing.assert_allclose(rates(webtorch, text), goldens[text], rtol=1e-12)


@pytest.mark.parametrize("number", range(len(PLATEAUS)))
def test_plateaus_are_found_as_pytorch_does(number, goldens):
    np.testing.assert_array_equal(plateau(webtorch, **PLATEAUS[number]), goldens[f"plateau {number}"])


def test_the_recorded_values_are_pytorchs(goldens):
    torch = pytest.importorskip("torch")
    live = optim_cases.everything(torch, torch.tensor)
    assert sorted(live) == sorted(goldens)
    for key, value in live.items():
        np.testing.assert_allclose(value, goldens[key], rtol=1e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS + WHOLE[:2], ids=ALL_IDS[: len(OPTIMIZERS) + 2])
def test_defaults_and_state_dicts_are_pytorchs(name, options, device):
    """Steps taken in PyTorch are continued here, from its state dict, and the state dict that we give has the same keys."""
    torch = pytest.importorskip("torch")
    theirs, tx, ty = start(torch, torch.tensor)
    their_optimizer = getattr(torch.optim, name)(theirs, **options)
    ours, x, y = start(webtorch, on(device))
    our_optimizer = getattr(optim, name)(ours, **options)
    assert {key: value for key, value in our_optimizer.defaults.items()} == dict(their_optimizer.defaults)

    def steps(library, optimizer, parameters, x, y, count):
        for _ in range(count):
            optimizer.zero_grad()
            loss_of(library, parameters, x, y).backward()
            optimizer.step()

    steps(torch, their_optimizer, theirs, tx, ty, 3)
    with webtorch.no_grad():
        for parameter, value in zip(ours, theirs, strict=True):
            parameter.copy_(webtorch.tensor(value.detach().numpy()))
    our_optimizer.load_state_dict(their_optimizer.state_dict())
    steps(torch, their_optimizer, theirs, tx, ty, 3)
    steps(webtorch, our_optimizer, ours, x, y, 3)
    for mine, value in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.detach().cpu().numpy(), value.detach().numpy(), rtol=2e-4, atol=2e-6)
    own, other = our_optimizer.state_dict(), their_optimizer.state_dict()
    assert own["param_groups"] == other["param_groups"]
    assert sorted(own["state"]) == sorted(other["state"])
    for number, state in other["state"].items():
        assert {key for key, value in state.items() if value is not None} == set(own["state"][number])
        for key, value in own["state"][number].items():
            np.testing.assert_allclose(value.cpu().numpy(), state[key].numpy(), rtol=1e-3, atol=1e-6, err_msg=key)
    their_optimizer.load_state_dict({"state": {}, "param_groups": own["param_groups"]})  # PyTorch takes our groups


# ---- the optimizer itself --------------------------------------------------------------------------------------------


def test_state_is_saved_and_loaded(device):
    parameters, x, y = start(webtorch, on(device))
    optimizer = optim.Adam(parameters, lr=0.01)

    def step(optimizer, parameters):
        optimizer.zero_grad()
        loss_of(webtorch, parameters, x, y).backward()
        optimizer.step()

    for _ in range(3):
        step(optimizer, parameters)
    saved = copy.deepcopy(optimizer.state_dict())
    assert saved["state"][0]["step"].item() == 3
    others = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    other = optim.Adam(others, lr=0.5)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == 0.01
    assert other.state[others[0]]["exp_avg"].device.type == device
    for _ in range(2):
        step(optimizer, parameters)
        step(other, others)
    for a, b in zip(parameters, others, strict=True):
        np.testing.assert_array_equal(a.detach().cpu().numpy(), b.detach().cpu().numpy())


def test_groups_have_options_of_their_own():
    a, b = nn.Parameter(webtorch.ones(1)), nn.Parameter(webtorch.ones(1))
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": b}], lr=0.1)
    (a + b).sum().backward()
    optimizer.step()
    assert a.item() == pytest.approx(0.5)
    assert b.item() == pytest.approx(0.9)
    c = nn.Parameter(webtorch.ones(1))
    optimizer.add_param_group({"params": [c], "momentum": 0.9})
    assert [group["momentum"] for group in optimizer.param_groups] == [0, 0, 0.9]
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [a]})
    named = optim.SGD(nn.Linear(2, 2).named_parameters(), lr=0.1)
    assert named.param_groups[0]["param_names"] == ["weight", "bias"]


def test_closures_hooks_and_parameters_without_gradient():
    a, b = nn.Parameter(webtorch.ones(1)), nn.Parameter(webtorch.ones(1))
    optimizer = optim.SGD([a, b], lr=0.5)
    log = []
    optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: log.append("before"))
    handle = optimizer.register_step_post_hook(lambda optimizer, args, kwargs: log.append("after"))

    def closure():
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        log.append("closure")
        return loss

    with webtorch.no_grad():
        assert optimizer.step(closure).item() == 1.0
    handle.remove()
    assert (a.item(), b.item()) == (0.0, 1.0)
    assert log == ["before", "closure", "after"]
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.item() == 0.0
    optimizer.zero_grad()
    assert a.grad is None


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda p: optim.SGD([p], lr=-1), ValueError, "Invalid learning rate: -1"),
        (
            lambda p: optim.SGD([p], lr=1, nesterov=True),
            ValueError,
            "Nesterov momentum requires a momentum and zero dampening",
        ),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "Invalid beta parameter at index 1: 1.0"),
        (lambda p: optim.Adam([]), ValueError, "optimizer got an empty parameter list"),
        (lambda p: optim.Adam(p), TypeError, "should be an iterable of Tensors"),
        (lambda p: optim.Adam([p * 2]), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda p: optim.Adam([3]), TypeError, "optimizer can only optimize Tensors"),
        (lambda p: optim.Adam([p, p]), ValueError, "duplicate parameters"),
        (lambda p: optim.Adam([{"params": {p}}]), TypeError, "ordered collections"),
        (lambda p: optim.lr_scheduler.StepLR(p, 1), TypeError, "is not an Optimizer"),
        (
            lambda p: optim.SGD([p]).load_state_dict({"state": {}, "param_groups": []}),
            ValueError,
            "different number of parameter groups",
        ),
    ],
)
def test_wrong_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make(nn.Parameter(webtorch.zeros(1)))


def test_an_optimizer_of_ones_own():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def update(self, parameter, gradient, state, group):
            parameter.sub_(group["lr"] * gradient.sign())

    a = nn.Parameter(webtorch.tensor([2.0, -2.0]))
    optimizer = Signs([a], 0.5)
    (a * a).sum().backward()
    optimizer.step()
    assert a.tolist() == [1.5, -1.5]
    assert "Signs (" in repr(optimizer) and "lr: 0.5" in repr(optimizer)


def test_schedules_go_on_from_their_state():
    optimizer = optim.SGD([nn.Parameter(webtorch.zeros(1))], lr=1.0)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(4):
        schedule.step()
    saved, saved_optimizer = schedule.state_dict(), optimizer.state_dict()
    other_optimizer = optim.SGD([nn.Parameter(webtorch.zeros(1))], lr=1.0)
    other = optim.lr_scheduler.CosineAnnealingLR(other_optimizer, 10)
    other_optimizer.load_state_dict(saved_optimizer)
    other.load_state_dict(saved)
    schedule.step()
    other.step()
    assert schedule.get_last_lr() == other.get_last_lr() == [pytest.approx((1 + math.cos(math.pi * 5 / 10)) / 2)]


def test_numbers_of_the_state_go_on_in_averaged_descent(device):
    parameters, x, y = start(webtorch, on(device))
    optimizer = optim.ASGD(parameters, lr=0.1, t0=0)
    for _ in range(4):
        optimizer.zero_grad()
        loss_of(webtorch, parameters, x, y).backward()
        optimizer.step()
    state = optimizer.state[parameters[0]]
    assert state["mu"].item() == 0.25 and state["eta"].device.type == "cpu"


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_goes_on_from_its_state(search, device):
    """Two times three steps are what they are when the state is saved between them."""

    def closure():
        optimizer.zero_grad()
        loss = loss_of(webtorch, parameters, x, y)
        loss.backward()
        return loss

    results = []
    for saved in (False, True):
        parameters, x, y = start(webtorch, on(device))
        optimizer = optim.LBFGS(parameters, max_iter=3, line_search_fn=search)
        optimizer.step(closure)
        if saved:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = optim.LBFGS(parameters, max_iter=7)
            optimizer.load_state_dict(state)
        optimizer.step(closure)
        results.append([parameter.detach().cpu().numpy() for parameter in parameters])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rates_may_be_tensors(device):
    parameter, rate = nn.Parameter(webtorch.ones(2, device=device)), webtorch.tensor(0.5, device=device)
    optimizer = optim.AdamW([parameter], lr=rate, weight_decay=0.0)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(2):
        parameter.grad = webtorch.ones(2, device=device)
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.125
    np.testing.assert_allclose(parameter.detach().cpu().numpy(), [0.25, 0.25], rtol=1e-5)


def test_what_the_other_optimizers_refuse():
    p = nn.Parameter(webtorch.zeros(1))
    p.grad = webtorch.ones(1)
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        optim.SparseAdam([p]).step()
    with pytest.raises(ValueError, match="Muon only supports 2D parameters"):
        optim.Muon([p])
    with pytest.raises(ValueError, match="Invalid eta values: 1.5, 1.2"):
        optim.Rprop([p], etas=(1.5, 1.2))
    with pytest.raises(ValueError, match="per-parameter options"):
        optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(webtorch.zeros(1))]}])
    with pytest.raises(RuntimeError, match="needs a closure"):
        optim.LBFGS([p]).step()
    with pytest.raises(ValueError, match="mode is invalid"):
        optim.lr_scheduler.CyclicLR(optim.SGD([p], momentum=0.9), 0.1, 1.0, mode="square")


# ---- averages of models ----------------------------------------------------------------------------------------------


def test_averaged_models(device):
    from webtorch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn, update_bn

    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to(device)
    mean, moving = AveragedModel(model), AveragedModel(model, avg_fn=get_ema_avg_fn(0.5))
    buffers = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    for number in range(3):
        with webtorch.no_grad():
            model[0].weight.fill_(float(number * 2))
            model[1].running_mean.fill_(float(number * 4))
        for averaged in (mean, moving, buffers):
            averaged.update_parameters(model)
    assert mean.n_averaged.item() == 3
    weights = [averaged.module[0].weight.detach().cpu().numpy() for averaged in (mean, moving, buffers)]
    for found, expected in zip(weights, (2.0, 2.5, 2.5), strict=True):  # of 0, 2, 4
        np.testing.assert_allclose(found, np.full((3, 2), expected), rtol=1e-6)
    assert mean.module[1].running_mean.tolist() == [8.0] * 3 and buffers.module[1].running_mean.tolist() == [5.0] * 3
    x = webtorch.rand(8, 2, device=device)
    update_bn([x[:4], (x[4:], None)], mean)
    inner = mean.module[0](x).detach().cpu().numpy()
    expected = (inner[:4].mean(0) + inner[4:].mean(0)) / 2
    np.testing.assert_allclose(mean.module[1].running_mean.cpu().numpy(), expected, rtol=1e-4)
    assert mean.module[1].momentum == 0.1 and mean.training
    assert mean(x).shape == (8, 3) and "module.0.weight" in mean.state_dict()


# ---- what runs on a GPU ----------------------------------------------------------------------------------------------


def observed(function):
    kernels = []
    engine.observers.append(kernels.append)
    try:
        function()
    finally:
        engine.observers.remove(kernels.append)
    return kernels


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=OPTIMIZER_IDS)
def test_an_update_is_one_kernel(name, options):
    parameter = nn.Parameter(webtorch.rand(7, 3, device="webgpu"))
    optimizer = getattr(optim, name)([parameter], **options)
    webtorch.sync_device()
    for _ in range(2):  # the first step makes the state, the second only changes it
        parameter.grad = webtorch.rand(7, 3, device="webgpu")
        engine.realize([parameter.grad._storage.node])
        kernels = observed(optimizer.step)
        assert [kernel["shader"] for kernel in kernels] == ["elementwise"]
    assert observed(lambda: parameter.detach().cpu()) == []  # nothing was left for later


@pytest.mark.gpu
def test_changing_rates_compile_nothing_new():
    from webtorch.backends.wgpu import get_device

    parameter = nn.Parameter(webtorch.rand(5, device="webgpu"))
    optimizer = optim.AdamW([parameter], lr=0.1)
    compiled = []
    for number in range(22):
        optimizer.param_groups[0]["lr"] = 0.1 / (number + 1)
        parameter.grad = webtorch.ones(5, device="webgpu")
        optimizer.step()
        compiled.append(get_device().stats()["pipelines"])
    assert compiled[1:] == [compiled[1]] * 21


@pytest.mark.gpu
def test_a_training_step_of_a_small_network_is_fourteen_kernels():
    """Forward, backward and Adam: the weights' steps are computed where their gradients are, the loss is read at the end."""
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4)).to("webgpu")
    optimizer = optim.Adam(model.parameters())
    x, y = webtorch.rand(32, 10, device="webgpu"), webtorch.randint(0, 4, (32,), dtype=webtorch.int32, device="webgpu")
    webtorch.sync_device()

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    counts = [len(observed(step)) for _ in range(3)]
    assert max(counts) <= 14
    assert counts[1] == counts[2]


@pytest.mark.gpu
def test_memory_does_not_grow_over_a_long_training():
    from webtorch.backends.wgpu import get_device

    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)).to("webgpu")
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = webtorch.rand(16, 4, device="webgpu"), webtorch.rand(16, 1, device="webgpu")
    sizes, kernels = [], []
    for _ in range(30):  # nothing is read

        def step():
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()

        kernels.append(len(observed(step)))
        sizes.append(get_device().stats()["active_bytes"])
    assert len(set(kernels[2:])) == 1
    assert sizes[-1] <= sizes[3]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Adam", {"amsgrad": True, "weight_decay": 0.1}), ("Adamax", {}), ("AdamW", {}), ("NAdam", {}), ("RAdam", {}),
        ("RMSprop", {"centered": True}),
        ("Rprop", {}), ("Adagrad", {"initial_accumulator_value": 0.1}), ("Adadelta", {}), ("ASGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("LBFGS", {"max_iter": 4, "line_search_fn": "strong_wolfe"}),
    ],
)  # fmt: skip
def test_complex_parameters_move_as_their_parts(name, options, device):
    """A complex parameter takes the steps that its real and imaginary parts would take as a parameter of their own."""
    rng = np.random.default_rng(6)
    pairs, towards = (rng.standard_normal((3, 2)).astype(np.float32) for _ in range(2))
    ends = []
    for kind in ("complex", "real"):
        p, target = on(device)(pairs), on(device)(towards)
        if kind == "complex":
            p, target = webtorch.view_as_complex(p), webtorch.view_as_complex(target)
        p = nn.Parameter(p)
        optimizer = getattr(optim, name)([p], **options)

        def closure(p=p, target=target, optimizer=optimizer):
            optimizer.zero_grad()
            loss = ((p - target).abs() ** 2 * 0.5).sum()
            loss.backward()
            return loss

        for _ in range(5):
            optimizer.step(closure)
        ends.append((webtorch.view_as_real(p.detach()) if kind == "complex" else p.detach()).clone())
        if kind == "complex" and name in ("Adam", "RMSprop", "Adagrad"):
            saved = optimizer.state_dict()["state"][0]
            assert any(getattr(value, "dtype", None) is webtorch.complex64 for value in saved.values())
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.step(closure)
    assert abs(ends[1].cpu().numpy() - pairs).max() > 1e-4  # it moved
    np.testing.assert_allclose(ends[0].cpu().numpy(), ends[1].cpu().numpy(), rtol=2e-5, atol=2e-6)
