"""`webtorch.compile`: replays give what the function gives, and whatever a replay would not do again is refused."""

import numpy as np
import pytest

import webtorch
from webtorch import nn

gpu = pytest.mark.gpu


def network():
    webtorch.manual_seed(0)
    layers = [nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.25), nn.Linear(16, 4)]
    return nn.Sequential(*layers).to("webgpu")


def batches(count):
    webtorch.manual_seed(1)
    return [
        (webtorch.randn(12, 6, device="webgpu"), webtorch.randint(0, 4, (12,), dtype=webtorch.int32, device="webgpu"))
        for _ in range(count)
    ]


def trained(make_optimizer, compiled, count=7):
    """Losses, weights and buffers after some steps with a learning rate that falls on the way."""
    model, data = network(), batches(count)
    optimizer = make_optimizer(model.parameters())
    schedule = webtorch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    calls = []

    def step(x, y):
        calls.append(1) if not compiled else None
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = webtorch.compile(step) if compiled else step
    losses = []
    for x, y in data:
        losses.append(run(x, y).item())
        schedule.step()
    recordings = [one for one in run.recordings.values() if not isinstance(one, str)] if compiled else []
    return losses, [value.detach().cpu().numpy() for value in model.state_dict().values()], recordings


@gpu
@pytest.mark.parametrize(
    "make",
    [
        lambda p: webtorch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: webtorch.optim.Adam(p, lr=0.05),
        lambda p: webtorch.optim.AdamW(p, lr=0.05, amsgrad=True),
        lambda p: webtorch.optim.NAdam(p, lr=0.05),
        lambda p: webtorch.optim.RMSprop(p, lr=0.01),
        lambda p: webtorch.optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    ],
    ids=["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad"],
)
def test_a_training_step_with_dropout_buffers_and_a_schedule(make):
    losses, values, _ = trained(make, False)
    again, replayed, recordings = trained(make, True)
    assert len(recordings) == 1
    np.testing.assert_allclose(again, losses, rtol=1e-5)
    for one, other in zip(values, replayed, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-5)


@gpu
def test_replays_do_not_call_the_function():
    class Noted:
        def __init__(self):
            self.count = webtorch.zeros((), device="webgpu")

    noted = Noted()

    def body(x):
        noted.count.add_(1)
        return x * 2 + noted.count

    f = webtorch.compile(body)
    x = webtorch.arange(3.0, device="webgpu")
    results = [f(x + n).tolist() for n in range(5)]
    assert results == [[1.0 + 3 * n, 3.0 + 3 * n, 5.0 + 3 * n] for n in range(5)]
    assert noted.count.item() == 5
    operations = []
    with webtorch.debug.kernels() as ran:
        original, webtorch.graph.record = webtorch.graph.record, lambda *a: operations.append(a) or original(*a)
        try:
            result = f(x)
        finally:
            webtorch.graph.record = original
        result.tolist()
    assert not operations and 1 <= len(ran) <= 2


@gpu
def test_new_kinds_of_calls_are_recorded_anew():
    f = webtorch.compile(lambda x, n=1: x.sum(0) * n)
    for _ in range(3):
        assert f(webtorch.ones(4, 2, device="webgpu")).tolist() == [4.0, 4.0]
        assert f(webtorch.ones(3, 2, device="webgpu")).tolist() == [3.0, 3.0]
        assert f(webtorch.ones(3, 2, device="webgpu"), n=2).tolist() == [6.0, 6.0]
        assert f(webtorch.ones(3, 2, dtype=webtorch.int32, device="webgpu")).tolist() == [3, 3]
        assert f(webtorch.ones(2, 3, device="webgpu").t()).tolist() == [3.0, 3.0]
        with webtorch.no_grad():
            assert f(webtorch.ones(4, 2, device="webgpu")).tolist() == [4.0, 4.0]


@gpu
def test_the_number_of_recordings_is_bounded():
    f = webtorch.compile(lambda x, n: x * n)
    x = webtorch.ones(2, device="webgpu")
    for n in range(40):
        assert [f(x, n).tolist() for _ in range(3)] == [[float(n)] * 2] * 3
    assert len(f.recordings) <= 16


@gpu
def test_training_and_evaluation_are_different_kinds():
    model = network()

    @webtorch.compile
    def forward(x):
        with webtorch.no_grad():
            return model(x)

    x = batches(1)[0][0]
    for _ in range(3):
        forward(x)
    model.eval()
    with webtorch.no_grad():
        expected = model(x).numpy()
    for _ in range(3):
        np.testing.assert_allclose(forward(x).numpy(), expected, rtol=1e-6)
    model[0].weight.data = model[0].weight.data * 2
    with webtorch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(forward(x).numpy(), expected, rtol=1e-6)


@gpu
def test_plain_variables_are_looked_at():
    factor = 2.0

    @webtorch.compile
    def scaled(x):
        return x * factor

    x = webtorch.ones(2, device="webgpu")
    assert [scaled(x).tolist() for _ in range(3)] == [[2.0, 2.0]] * 3
    factor = 5.0
    assert [scaled(x).tolist() for _ in range(3)] == [[5.0, 5.0]] * 3


@gpu
def test_random_numbers_go_on_as_without_it():
    def noise(x):
        return x + webtorch.rand_like(x) + webtorch.randn(3, device="webgpu")

    x = webtorch.zeros(3, device="webgpu")
    webtorch.manual_seed(5)
    plain = [noise(x).tolist() for _ in range(5)]
    after = webtorch.rand(1).item()
    webtorch.manual_seed(5)
    f = webtorch.compile(noise)
    assert [f(x).tolist() for _ in range(5)] == plain
    assert webtorch.rand(1).item() == after


@gpu
def test_arguments_written_in_place_views_and_containers():
    def body(state, x):
        state["total"].add_(x["a"][0])
        state["total"][1:].mul_(2)
        return state["total"], state["total"][1:], (x["a"], {"twice": x["a"][0] * 2, "name": "kept"})

    def calls(f):
        total = webtorch.zeros(3, device="webgpu")
        found = []
        for n in range(4):
            x = {"a": [webtorch.full((3,), float(n + 1), device="webgpu")]}
            whole, part, (given, rest) = f({"total": total}, x)
            assert whole is total and given[0] is x["a"][0] and rest["name"] == "kept"
            found.append((whole.tolist(), part.tolist(), rest["twice"].tolist()))
        return found

    assert calls(webtorch.compile(body)) == calls(body)


@gpu
def test_gradients_that_accumulate():
    weight = webtorch.ones(3, device="webgpu", requires_grad=True)

    @webtorch.compile
    def step(x):
        (weight * x).square().sum().backward()

    for n in range(5):
        step(webtorch.full((3,), 2.0, device="webgpu"))
        assert weight.grad.tolist() == [8.0 * (n + 1)] * 3
    weight.grad = None
    step(webtorch.full((3,), 1.0, device="webgpu"))
    assert weight.grad.tolist() == [2.0] * 3


@gpu
def test_results_with_an_open_history_run_as_they_are():
    weight = webtorch.ones(3, device="webgpu", requires_grad=True)
    f = webtorch.compile(lambda x: (weight * x).square().sum())
    for _ in range(3):
        weight.grad = None
        f(webtorch.full((3,), 2.0, device="webgpu")).backward()
        assert weight.grad.tolist() == [8.0] * 3


@gpu
def test_a_read_value_is_refused_with_its_line():
    def decides(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(webtorch.CompileError, match=r"test_compile\.py:\d+.*webtorch\.where"):
        webtorch.compile(decides)(webtorch.ones(2, device="webgpu"))
    loose = webtorch.compile(decides, fullgraph=False)
    with pytest.warns(RuntimeWarning, match="runs uncompiled"):
        assert loose(webtorch.ones(2, device="webgpu")).tolist() == [1.0, 1.0]
    assert loose(-webtorch.ones(2, device="webgpu")).tolist() == [1.0, 1.0]


@gpu
def test_a_changed_variable_is_refused_with_its_line():
    count = 0
    seen = []

    def counts(x):
        nonlocal count
        count += 1
        return x + 1

    def collects(x):
        seen.append(1)
        return x + 1

    x = webtorch.ones(2, device="webgpu")
    with pytest.raises(webtorch.CompileError, match=r"'count', at .*test_compile\.py:\d+"):
        webtorch.compile(counts)(x)
    with pytest.raises(webtorch.CompileError, match=r"'seen', at .*test_compile\.py:\d+"):
        webtorch.compile(collects)(x)


@gpu
def test_arguments_that_cannot_be_told_apart_and_work_on_the_cpu():
    x = webtorch.ones(2, device="webgpu")
    with pytest.raises(webtorch.CompileError, match="set is not hashable"):
        webtorch.compile(lambda x, names: x)(x, {"a"})
    with pytest.raises(webtorch.CompileError, match="argument on the cpu"):
        webtorch.compile(lambda x, y: x + (y * 2).to("webgpu"))(x, webtorch.ones(2, device="cpu"))
    with pytest.raises(webtorch.CompileError, match="randperm"):
        webtorch.compile(lambda x: x[webtorch.randperm(2).to("webgpu")])(x)
    with pytest.raises(TypeError, match="expected a function"):
        webtorch.compile(3)


@gpu
def test_an_index_out_of_range_is_found_in_a_replay():
    f = webtorch.compile(lambda table, index: nn.functional.embedding(index, table))
    table = webtorch.arange(6.0, device="webgpu").reshape(3, 2)
    for n in (0, 1, 2):
        assert f(table, webtorch.tensor([n], device="webgpu")).tolist() == [[2.0 * n, 2.0 * n + 1]]
    with pytest.raises(IndexError):
        f(table, webtorch.tensor([3], device="webgpu")).tolist()
    assert f(table, webtorch.tensor([1], device="webgpu")).tolist() == [[2.0, 3.0]]


def test_on_the_cpu_the_function_runs_as_it_is():
    calls = []

    @webtorch.compile
    def f(x):
        calls.append(1)
        return x + 1 if x.sum() > 0 else x - 1

    assert [f(webtorch.tensor([value], device="cpu")).item() for value in (1.0, -1.0, 2.0)] == [2.0, -2.0, 3.0]
    assert len(calls) == 3


@gpu
def test_modules_and_methods():
    model = network().eval()
    compiled = webtorch.compile(model)
    x = batches(1)[0][0]
    with webtorch.no_grad():
        expected = model(x).numpy()
        for _ in range(3):
            np.testing.assert_array_equal(compiled(x).numpy(), expected)
    assert compiled._orig_mod is model
    assert len(list(compiled.parameters())) == len(list(model.parameters()))
    compiled.train()
    assert model.training

    class Scale:
        def __init__(self, by):
            self.by = by

        @webtorch.compile
        def __call__(self, x):
            return x * self.by

    assert [Scale(2.0)(x).tolist() == (x * 2).tolist() for _ in range(3)] == [True] * 3


@gpu
def test_inner_functions_are_part_of_the_outer_one():
    inner = webtorch.compile(lambda x: x + 1)
    outer = webtorch.compile(lambda x: inner(x) * 2)
    x = webtorch.ones(2, device="webgpu")
    assert [outer(x).tolist() for _ in range(4)] == [[4.0, 4.0]] * 4


@gpu
def test_memory_does_not_grow_and_writes_are_in_place():
    buffer = webtorch.zeros(1 << 16, device="webgpu")

    @webtorch.compile
    def f(x):
        buffer[:1024] = x
        return buffer[:4].sum()

    x = webtorch.ones(1024, device="webgpu")
    for _ in range(4):
        f(x).item()
    before = webtorch.webgpu.memory_stats()["active_bytes"]
    for _ in range(20):
        result = f(x)
    result.item()
    assert webtorch.webgpu.memory_stats()["active_bytes"] <= before + 4096


@gpu
def test_autocast_is_part_of_the_kind_of_a_call():
    x = webtorch.full((4, 4), 1.0 + 2.0**-9, device="webgpu")
    f = webtorch.compile(lambda a: a @ a)
    for _ in range(3):
        assert f(x).dtype is webtorch.float32
        with webtorch.autocast("webgpu", dtype=webtorch.bfloat16):
            assert f(x).dtype is webtorch.bfloat16

    @webtorch.compile
    def inside(a):
        with webtorch.autocast("webgpu", dtype=webtorch.float16):
            return a @ a

    assert [inside(x).dtype for _ in range(4)] == [webtorch.float16] * 4


def test_a_step_on_the_cpu_runs_as_it_is():
    weight = webtorch.ones(3, device="cpu", requires_grad=True)
    weight.grad = webtorch.ones(3, device="cpu")
    optimizer = webtorch.optim.Adam([weight], lr=0.5)

    @webtorch.compile
    def step():
        optimizer.step()
        return weight.detach()

    found = [step()[0].item() for _ in range(4)]
    np.testing.assert_allclose(found, [0.5, 0.0, -0.5, -1.0], atol=1e-5)
