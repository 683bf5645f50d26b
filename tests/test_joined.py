"""Kernels that do the work of several: an update step of a whole model is a handful of dispatches, with the numbers that
one kernel for each weight gives."""

import contextlib

import numpy as np
import pytest

import webtorch
from webtorch import debug, engine, joined, nn, optim, plans
from webtorch.backends.wgpu import get_device

pytestmark = pytest.mark.gpu

FORTY = [(n % 7 + 1, 3 * n + 5) for n in range(20)] + [(5 * n + 3,) for n in range(20)]
FEW = [(3, 5), (70,), (1,), (2, 3, 4), (300, 7), (9,)]

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    ("Adam", {"weight_decay": 0.01}),
    ("AdamW", {"amsgrad": True}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("Adamax", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {}),
    ("Rprop", {}),
    ("ASGD", {}),
]


def weights(shapes, device, dtype=webtorch.float32, seed=0):
    generator = np.random.default_rng(seed)
    return [
        nn.Parameter(webtorch.tensor(generator.standard_normal(shape), dtype=dtype, device=device)) for shape in shapes
    ]


def set_gradients(parameters, seed, without=()):
    generator = np.random.default_rng(seed)
    for number, parameter in enumerate(parameters):
        values = generator.standard_normal(parameter.shape)
        gradient = webtorch.tensor(values, dtype=parameter.dtype, device=parameter.device)
        parameter.grad = None if number in without else gradient


def trained(device, name, options, shapes=FEW, steps=4, clip=False, without=None, dtype=webtorch.float32):
    """The weights after some steps, and the kernels of the last step."""
    parameters = weights(shapes, device, dtype)
    optimizer = getattr(optim, name)(parameters, **options)
    for step in range(steps):
        set_gradients(parameters, step, without(step) if without else ())
        with debug.kernels() as kernels:
            if clip:
                nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            if device == "webgpu":
                engine.synchronize()
    return [parameter.detach().float().cpu().numpy() for parameter in parameters], kernels


def same(first, second, rtol=1e-5, atol=1e-6):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=lambda value: value if type(value) is str else "")
def test_a_step_is_a_handful_of_dispatches(name, options):
    expected, _ = trained("cpu", name, options, FORTY)
    got, kernels = trained("webgpu", name, options, FORTY)
    same(got, expected)
    assert len(kernels) <= 5, kernels


def test_clipping_is_a_handful_of_dispatches():
    # The gradients are no plan's results: each takes a binding of its own, and an adapter may have eight or ten.
    most = 24 if engine.limits_of(get_device()).max_storage_buffers > 10 else 30
    for norm in (2.0, float("inf"), 1.0, 0.0, 3.0):
        cases = [weights(FORTY, device) for device in ("cpu", "webgpu")]
        for parameters in cases:
            set_gradients(parameters, 1)
        totals = [nn.utils.clip_grad_norm_(cases[0], 1.0, norm)]
        engine.synchronize()
        with debug.kernels() as kernels:
            totals.append(nn.utils.clip_grad_norm_(cases[1], 1.0, norm))
            engine.synchronize()
        np.testing.assert_allclose(totals[1].item(), totals[0].item(), rtol=1e-5)
        same([p.grad.cpu().numpy() for p in cases[1]], [p.grad.numpy() for p in cases[0]])
        assert len(kernels) <= most, kernels
    assert nn.utils.get_total_norm([p.grad.half() for p in cases[1]], 2.0).dtype is webtorch.float16


@pytest.mark.parametrize("limits", [{"max_storage_buffers": 8}, {"max_storage_buffers": 4, "max_binding_size": 4096}])
def test_few_bindings_and_small_ones(limits):
    expected, _ = trained("cpu", "Adam", {}, FORTY, clip=True)
    with get_device().override_limits(**limits):
        got, kernels = trained("webgpu", "Adam", {}, FORTY, clip=True)
    same(got, expected)
    if limits["max_storage_buffers"] == 8:
        assert len(kernels) <= 24, kernels


def model_of(device):
    webtorch.manual_seed(0)
    sizes = [12, 40, 24, 36, 8, 20, 4]
    layers = [module for a, b in zip(sizes[:-1], sizes[1:], strict=True) for module in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers).to(device)


def training(device, compiled=False, clip=False, steps=5):
    model = model_of(device)
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    x = webtorch.tensor(np.random.default_rng(0).standard_normal((16, 12)), dtype=webtorch.float32, device=device)

    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss.detach()

    run = webtorch.compile(step) if compiled else step
    losses = [run(x).item() for _ in range(steps)]
    return losses, [parameter.detach().cpu().numpy() for parameter in model.parameters()]


@pytest.mark.parametrize("clip", [False, True], ids=["plain", "clipped"])
@pytest.mark.parametrize("compiled", [False, True], ids=["as it is", "compiled"])
@pytest.mark.parametrize("buffers", [None, 8], ids=["many bindings", "8 bindings"])
def test_training(compiled, clip, buffers):
    losses, expected = training("cpu", clip=clip)
    with get_device().override_limits(max_storage_buffers=buffers) if buffers else contextlib.nullcontext():
        found, got = training("webgpu", compiled, clip)
    np.testing.assert_allclose(found, losses, rtol=1e-4, atol=1e-6)
    same(got, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_a_plan_lie_together():
    """With eight bindings, the update of what the same plan computed still takes a few dispatches."""
    parameters = weights(FORTY, "webgpu")
    optimizer = optim.Adam(parameters)
    with get_device().override_limits(max_storage_buffers=8):
        for _ in range(3):
            optimizer.zero_grad()
            sum((parameter.cumsum(0) ** 2).sum() for parameter in parameters).backward()
            engine.realize([parameter.grad._storage.node for parameter in parameters])
            nn.utils.clip_grad_norm_(parameters, 1.0)
            engine.realize([parameter.grad._storage.node for parameter in parameters])
            with debug.kernels() as kernels:
                optimizer.step()
                engine.synchronize()
    assert len(kernels) == 1, kernels


def test_another_number_of_weights_compiles_nothing_new():
    for shapes in (FORTY[:20], FORTY[3:21]):
        for step in range(3):
            parameters = weights(shapes, "webgpu")
            optimizer = optim.SGD(parameters, lr=0.1 + step)
            compiled = get_device().stats()["pipelines"]
            set_gradients(parameters, step)
            optimizer.step()
            engine.synchronize()
    assert get_device().stats()["pipelines"] == compiled


def test_a_state_is_saved_and_loaded_on_the_way(tmp_path):
    results = []
    for interrupted in (False, True):
        parameters = weights(FEW, "webgpu")
        optimizer = optim.Adam(parameters)
        for step in range(6):
            if interrupted and step == 3:
                webtorch.save([[p.detach() for p in parameters], optimizer.state_dict()], tmp_path / "state.pt")
                values, state = webtorch.load(tmp_path / "state.pt")
                parameters = [nn.Parameter(value.to("webgpu")) for value in values]
                optimizer = optim.Adam(parameters)
                optimizer.load_state_dict(state)
            set_gradients(parameters, step)
            optimizer.step()
        results.append([parameter.detach().cpu().numpy() for parameter in parameters])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_weights_without_gradients_in_some_steps():
    def without(step):
        return {step, 5 - step, 2 * step}

    expected, _ = trained("cpu", "Adam", {}, steps=6, without=without)
    got, _ = trained("webgpu", "Adam", {}, steps=6, without=without)
    same(got, expected)


@pytest.mark.parametrize("dtype", [webtorch.float16, webtorch.bfloat16, webtorch.float64], ids=str)
def test_other_dtypes(dtype):
    if dtype is webtorch.float64 and "shader-f64" not in get_device().features:
        pytest.skip("this adapter has no float64")
    for name in ("SGD", "Adagrad"):
        expected, _ = trained("cpu", name, {"lr": 0.25}, dtype=dtype)
        got, kernels = trained("webgpu", name, {"lr": 0.25}, dtype=dtype)
        same(got, expected, rtol=2e-2 if dtype.itemsize == 2 else 1e-6, atol=2e-2 if dtype.itemsize == 2 else 1e-9)
        assert len(kernels) <= 3


def test_a_mix_of_dtypes():
    results = []
    for device in ("cpu", "webgpu"):
        kinds = [webtorch.float32, webtorch.float16, webtorch.bfloat16, webtorch.int64, webtorch.bool, webtorch.uint8]
        values = [
            webtorch.arange(n + 3, device=device).to(kind) for n in range(8) for kind in kinds
        ]  # fmt: skip
        made = [value.to(webtorch.float32) * 2 > n for n, value in enumerate(values)]
        sums = [value + value for value in values]
        results.append([tensor.float().cpu().numpy() for tensor in (*made, *sums)])
    same(*results)


def test_aliases_see_the_step():
    results = []
    for device in ("cpu", "webgpu"):
        base = webtorch.tensor(np.arange(60, dtype=np.float32), device=device)
        views = [nn.Parameter(base[12 * n : 12 * n + 12].view(3, 4)) for n in range(5)]
        parameters = [*views, *weights(FEW, device)]
        alias = parameters[6].data
        before = [parameter.detach().clone() for parameter in parameters]
        optimizer = optim.SGD(parameters, lr=0.5, momentum=0.5)
        for step in range(3):
            set_gradients(parameters, step)
            optimizer.step()
            alias.mul_(2.0)
            views[2].data[0] = 1.0
        results.append([t.detach().cpu().numpy() for t in (base, alias, *parameters, *before)])
    same(*results)


def test_empty_parameters():
    shapes = [(0,), (3, 0), *FEW]
    expected, _ = trained("cpu", "Adam", {}, shapes, clip=True)
    got, _ = trained("webgpu", "Adam", {}, shapes, clip=True)
    same(got, expected)


def test_old_values_outlive_the_step():
    parameters = weights(FORTY, "webgpu")
    optimizer = optim.SGD(parameters, lr=1.0)
    kept = []
    for step in range(3):
        set_gradients(parameters, step)
        optimizer.step()
        kept.append((parameters[5].detach().clone(), parameters[5].detach().cpu().numpy()))
    for tensor, array in kept:
        np.testing.assert_array_equal(tensor.cpu().numpy(), array)


def test_memory_is_given_back():
    device = get_device()
    parameters = weights([(100, 100 + n) for n in range(12)], "webgpu")
    optimizer = optim.Adam(parameters)
    used = []
    for step in range(6):
        set_gradients(parameters, step)
        optimizer.step()
        optimizer.zero_grad()
        engine.synchronize()
        used.append(device.stats()["active_bytes"])
    assert used[2] == used[-1]


def test_results_of_one_dispatch_are_bounded(monkeypatch):
    monkeypatch.setattr(joined, "MOST_BYTES", 2048)
    plans.forget()
    expected, _ = trained("cpu", "Adam", {}, FORTY)
    got, kernels = trained("webgpu", "Adam", {}, FORTY)
    plans.forget()
    same(got, expected)
    assert len(kernels) > 5


def test_groups_that_wait_for_each_other_stay_apart():
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal((n + 2, 3)).astype(np.float32) for n in range(12)]
    results = []
    for device in ("cpu", "webgpu"):
        chains, outputs = [webtorch.tensor(array, device=device) for array in arrays], []
        total = webtorch.zeros((), device=device)
        for tensor in chains:  # each needs the one before
            tensor = tensor * 0.5 + total
            total = tensor.softmax(0).sum()
            outputs.append(tensor)
        results.append([output.cpu().numpy() for output in (*outputs, total)])
    same(*results)


def test_the_same_bits_alone_and_together():
    from webtorch import webgpu

    values = np.random.default_rng(7).standard_normal((37, 5))
    results = []
    with webgpu.reproducible():
        for count in (1, 6):
            parameters = [
                nn.Parameter(webtorch.tensor(values, dtype=webtorch.float32, device="webgpu")) for _ in range(count)
            ]
            optimizer = optim.Adam(parameters)
            for parameter in parameters:
                parameter.grad = webtorch.tensor(values[::-1].copy(), dtype=webtorch.float32, device="webgpu")
            with debug.kernels() as kernels:
                optimizer.step()
                engine.synchronize()
            results.append(parameters[0].detach().cpu().numpy())
            assert len(kernels) <= 2
    np.testing.assert_array_equal(*results)
