"""What the lazy engine promises, shown by counting kernels, pipelines and bytes, not by a clock."""

import gc
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import webtorch
from webtorch import debug, engine, kernels
from webtorch.backends.wgpu import get_device

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def settled(request):
    """Each test starts with nothing pending, so that it counts its own kernels only."""
    if "gpu" in request.keywords:
        gc.collect()
        webtorch.sync_device()


def on_gpu(array, **given):
    return webtorch.tensor(np.asarray(array), device="webgpu", **given)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def names(ran) -> list:
    return [record.name for record in ran]


# ---- what fuses -----------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("whole", [webtorch.sync_device, lambda: webtorch.webgpu.batch(lambda: None), engine.relieve])
def test_computing_all_that_is_pending_takes_no_more_kernels_than_reading_it(whole, monkeypatch):
    """Only what a tensor, or work outside, wants later gets memory of its own."""
    x, labels = random(64, 40), np.arange(64) % 40

    def gradient():
        scores = on_gpu(x, requires_grad=True)
        webtorch.nn.functional.cross_entropy(scores, on_gpu(labels)).backward()
        return scores.grad

    monkeypatch.setattr(engine, "PENDING_LIMIT", 100_000)
    with debug.kernels() as by_reading:
        expected = gradient().numpy()
    with debug.kernels() as at_once:
        found = gradient()
        monkeypatch.setattr(engine, "PENDING_LIMIT", 1)
        whole()
    assert sorted(set(names(at_once)) - {"any"}) == sorted(set(names(by_reading)) - {"any"})
    assert "log_softmax+_clone" in names(at_once)
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.gpu
def test_a_chain_of_elementwise_ops_is_one_kernel():
    a, b, c = (on_gpu(random(33, 5, seed=seed)) for seed in range(3))
    with debug.kernels() as ran:
        got = (webtorch.relu(a * b + c) * webtorch.sigmoid(a)).numpy()
    assert len(ran) == 1, names(ran)
    x, y, z = a.numpy(), b.numpy(), c.numpy()
    np.testing.assert_allclose(got, np.maximum(x * y + z, 0) / (1 + np.exp(-x)), rtol=1e-5)


@pytest.mark.gpu
def test_views_broadcasts_casts_and_choices_fuse():
    x, row = on_gpu(random(6, 8)), on_gpu(random(8, seed=1))
    with debug.kernels() as ran:
        got = webtorch.where(x.flip(1) > row, x[:, :1].expand(6, 8), (row * 10).int().float()).t().contiguous().numpy()
    assert len(ran) == 1, names(ran)
    a, b = x.numpy(), row.numpy()
    np.testing.assert_array_equal(got, np.where(a[:, ::-1] > b, a[:, :1], np.trunc(b * 10)).T)


@pytest.mark.gpu
def test_matmul_with_bias_and_gelu_is_one_kernel():
    x, weight, bias = on_gpu(random(9, 16)), on_gpu(random(16, 7, seed=1)), on_gpu(random(7, seed=2))
    with debug.kernels() as ran:
        got = webtorch.gelu(x @ weight + bias).numpy()
    assert len(ran) == 1, names(ran)
    expected = webtorch.gelu(x.cpu() @ weight.cpu() + bias.cpu()).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(7, 10), (3, 2000)])
def test_softmax_over_a_row_is_one_kernel(shape):
    x, mask = on_gpu(random(*shape)), on_gpu(random(shape[1], seed=1))
    with debug.kernels() as ran:
        got = (webtorch.softmax(x * 0.5 + mask, -1) * 2).numpy()
    assert len(ran) == 1, names(ran)
    expected = webtorch.softmax(x.cpu() * 0.5 + mask.cpu(), -1).numpy() * 2
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.gpu
def test_reductions_take_producers_and_consumers():
    x, y = on_gpu(random(12, 30)), on_gpu(random(30, seed=1))
    with debug.kernels() as ran:
        got = ((x * y).exp().sum(1) * 0.5 + 1).sqrt().numpy()
    assert len(ran) == 1, names(ran)
    np.testing.assert_allclose(got, np.sqrt(np.exp(x.numpy() * y.numpy()).sum(1) * 0.5 + 1), rtol=1e-5)


@pytest.mark.gpu
def test_several_live_results_of_one_size_come_out_of_one_kernel():
    x, y = on_gpu(random(40)), on_gpu(random(40, seed=1))
    total, difference, sign = x + y, x - y, (x > y)
    scaled = total * 3
    with debug.kernels() as ran:
        webtorch.sync_device()
    assert len(ran) == 1 and len(ran[0].outputs) == 4, [(record.name, record.outputs) for record in ran]
    a, b = x.numpy(), y.numpy()
    np.testing.assert_array_equal(total.numpy(), a + b)
    np.testing.assert_array_equal(difference.numpy(), a - b)
    np.testing.assert_array_equal(sign.numpy(), a > b)
    np.testing.assert_allclose(scaled.numpy(), (a + b) * 3, rtol=1e-6)


@pytest.mark.gpu
def test_a_result_that_is_read_elsewhere_than_it_is_made_cuts():
    """An epilogue sees its core's result only at its own place: s + s.T needs s in memory first."""
    x = on_gpu(random(6, 6))
    with debug.kernels() as ran:
        product = x @ x
        got = (product + product.t()).numpy()
    assert len(ran) == 2, names(ran)
    s = x.numpy() @ x.numpy()
    np.testing.assert_allclose(got, s + s.T, rtol=1e-5, atol=1e-5)
    with debug.kernels() as ran:
        row = x.sum(1)
        got = (x - row).numpy()  # broadcast over rows, though it was summed over them
    assert len(ran) == 2, names(ran)
    np.testing.assert_allclose(got, x.numpy() - x.numpy().sum(1), rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
def test_what_nobody_holds_is_never_computed():
    x = on_gpu(random(50))
    with debug.kernels() as ran:
        for _ in range(10):
            x * 2 @ x
        del _
        gc.collect()
        webtorch.sync_device()
    assert len(ran) == 0, names(ran)
    kept = (x + 1) * 3
    with debug.kernels() as ran:
        kept.numpy()
    assert len(ran) == 1 and len(ran[0].outputs) == 1


@pytest.mark.gpu
def test_expensive_results_with_several_readers_are_computed_once():
    x = on_gpu(random(20, 20))
    shared = (x.sin() + x.cos()).exp().tanh()
    first, second = (shared @ x), (shared.sum(0) + 1)
    del shared
    with debug.kernels() as ran:
        webtorch.sync_device()
    text = "".join(record.wgsl for record in ran)
    assert text.count("wt_tanh_f32(v") + text.count("= wt_tanh_f32(") >= 1
    assert sum("= wt_tanh_f32(" in record.wgsl for record in ran) == 1, "computed by more than one kernel"
    expected = np.tanh(np.exp(np.sin(x.numpy()) + np.cos(x.numpy())))
    np.testing.assert_allclose(first.numpy(), expected @ x.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(second.numpy(), expected.sum(0) + 1, rtol=1e-5)


@pytest.mark.gpu
def test_a_training_step_is_few_kernels():
    """A linear layer with a loss, its gradients and the update: the step does not fall apart into single ops."""
    x, target = on_gpu(random(16, 10)), on_gpu(random(16, 3, seed=1))
    weight, bias = on_gpu(random(10, 3, seed=2), requires_grad=True), on_gpu(random(3, seed=3), requires_grad=True)
    with debug.kernels() as ran:
        loss = ((webtorch.tanh(x @ weight + bias) - target) ** 2).mean()
        loss.backward()
        with webtorch.no_grad():
            weight -= 0.1 * weight.grad
            bias -= 0.1 * bias.grad
        webtorch.sync_device()
    assert len(ran) <= 8, names(ran)


# ---- pipelines ------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_numbers_are_not_baked_into_pipelines():
    x, gradient = on_gpu(random(30)), on_gpu(random(30, seed=1))
    (x - 0.5 * gradient).numpy()
    (x + 1.5).clamp(min=-0.5).numpy()
    before = len(kernels._pipelines), get_device().stats()["compiled"]
    for step in range(20):
        rate = 0.1 / (1 + step)
        np.testing.assert_allclose(
            (x - rate * gradient).numpy(), x.numpy() - np.float32(rate) * gradient.numpy(), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            (x + rate).clamp(min=-rate).numpy(), np.maximum(x.numpy() + np.float32(rate), np.float32(-rate)), rtol=1e-6
        )
    assert (len(kernels._pipelines), get_device().stats()["compiled"]) == before


@pytest.mark.gpu
def test_twenty_learning_rates_compile_one_pipeline():
    parameters = [on_gpu(random(12, 5, seed=seed), requires_grad=True) for seed in range(3)]
    counts = []
    for step in range(20):
        loss = sum((parameter * parameter).sum() for parameter in parameters)
        for parameter, gradient in zip(parameters, webtorch.autograd.grad(loss, parameters), strict=True):
            with webtorch.no_grad():
                parameter.sub_(gradient, alpha=0.1 * 0.9**step)
        webtorch.sync_device()
        counts.append(len(kernels._pipelines))
    assert counts[1] == counts[-1], counts


@pytest.mark.gpu
def test_sizes_are_not_baked_into_pipelines():
    def work(rows, columns):
        x = webtorch.ones(rows, columns, device="webgpu")
        y = ((x * 2 + 1).sum(1), webtorch.softmax(x, 1), x @ x.t(), x[1:, ::2].contiguous())
        return [value.numpy() for value in y]

    work(6, 9)
    work(7, 11)
    work(8, 12)  # multiples of four are read and stored as vectors
    before = get_device().stats()["compiled"]
    for rows in range(5, 25):
        work(rows, rows + 3)
    assert get_device().stats()["compiled"] <= before + 2


@pytest.mark.gpu
def test_random_shapes_keep_memory_and_pipelines_bounded():
    """1,000 random shapes through elementwise ops, a reduction and a matmul."""
    generator = np.random.default_rng(0)
    base = on_gpu(random(64, 64))

    def step():
        rows, inner, columns = (int(size) for size in generator.integers(1, 64, 3))
        x, y = base[:rows, :inner], base[:inner, :columns]
        return (webtorch.relu(x * 0.5 + 1).sum() + (x @ y).mean()) * (x.t() - 1).amax()

    def check(count):
        total = None
        for _ in range(count):
            value = step()
            total = value if total is None else total * 0.5 + value
        assert np.isfinite(total.item())
        del total, value
        gc.collect()
        stats = webtorch.webgpu.memory_stats()
        return len(kernels._pipelines), stats["active_bytes"], stats["active_bytes"] + stats["pooled_bytes"]

    pipelines, active, held = check(400)
    for _ in range(3):
        later = check(200)
    assert later[0] <= pipelines + 30, f"{later[0]} pipelines, {pipelines} after the first 400 shapes"
    assert later[1] <= active + 64 * 1024, f"{later[1]} bytes in use, {active} after the first 400 shapes"
    assert later[2] <= held + 4 * 1024 * 1024


@pytest.mark.gpu
def test_a_loop_that_never_reads_stays_bounded():
    """Nothing is read and everything held is replaced: pending work is started, and memory is given back, all the same."""
    x = webtorch.zeros(1000, device="webgpu")
    for _ in range(engine.PENDING_LIMIT * 2):
        x = x + 1
    gc.collect()
    assert len(engine._recent) <= engine.PENDING_LIMIT + 1
    assert x[0].item() == engine.PENDING_LIMIT * 2


# ---- depth ----------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_five_thousand_chained_ops():
    x = webtorch.zeros(10, device="webgpu")
    for step in range(5000):
        x = x + 1 if step % 2 else x * 1
    assert x.tolist() == [2500.0] * 10


@pytest.mark.gpu
def test_a_deep_chain_of_cores():
    x = webtorch.eye(4, device="webgpu")
    turn = on_gpu(np.roll(np.eye(4, dtype=np.float32), 1, axis=0))
    for _ in range(1001):
        x = x @ turn
    np.testing.assert_array_equal(x.numpy(), np.roll(np.eye(4, dtype=np.float32), 1, axis=0))


def test_backward_through_two_thousand_chained_ops(device):
    x = webtorch.full((5,), 0.5, device=device, requires_grad=True)
    y = x
    for _ in range(1000):
        y = y * 1.001
        y = y - 0.0005
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(5, 1.001**1000), rtol=1e-3)


@pytest.mark.gpu
def test_graphs_do_not_pin_memory():
    """A computed node lets go of its arguments, so what nobody holds is freed."""
    gc.collect()
    webtorch.sync_device()
    before = webtorch.webgpu.memory_stats()["active_bytes"]
    x = webtorch.ones(100_000, device="webgpu")
    for _ in range(50):
        x = (x @ x) * 0.00001 * webtorch.ones(100_000, device="webgpu")
        x.sum().item()
    gc.collect()
    assert webtorch.webgpu.memory_stats()["active_bytes"] <= before + 3 * 400_000 + 65536


# ---- writes ---------------------------------------------------------------------------------------------------------


def held_buffer(x):
    x.numpy()
    return x._storage.node.buffer


@pytest.mark.gpu
def test_a_write_into_a_slice_does_not_copy_when_nobody_holds_the_old_value():
    x = on_gpu(random(100))
    buffer = held_buffer(x)
    x[10:20] = 7.0
    x[50] += 1
    x[::3].mul_(2)
    expected = random(100)
    expected[10:20] = 7
    expected[50] += 1
    expected[::3] *= 2
    np.testing.assert_array_equal(x.numpy(), expected)
    assert x._storage.node.buffer is buffer


@pytest.mark.gpu
def test_a_write_copies_when_somebody_holds_the_old_value():
    x = on_gpu(random(100))
    buffer = held_buffer(x)
    reader = x * 2  # pending: it must see the old value
    x[10:20] = 7.0
    expected = random(100)
    expected[10:20] = 7
    np.testing.assert_array_equal(x.numpy(), expected)
    assert x._storage.node.buffer is not buffer
    np.testing.assert_array_equal(reader.numpy(), random(100) * 2)
    buffer = held_buffer(x)
    x[3] = 5.0  # the reader is computed and needs the old value no more
    assert x[3].item() == 5 and x._storage.node.buffer is buffer


@pytest.mark.gpu
def test_readers_see_the_value_of_their_time_in_whatever_order_things_run():
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)):
        x = on_gpu(np.arange(12, dtype=np.float32))
        results = [x + 0]
        x[2:5] = 100.0
        results.append(x + 0)
        x += 1
        results.append(x[::2] + 0)
        x[0] = -1
        results.append(x)
        expected = [np.arange(12, dtype=np.float32)]
        value = expected[0].copy()
        value[2:5] = 100
        expected.append(value.copy())
        value += 1
        expected.append(value[::2].copy())
        value[0] = -1
        expected.append(value)
        for number in order:
            np.testing.assert_array_equal(results[number].numpy(), expected[number])


@pytest.mark.gpu
def test_a_computed_result_and_a_later_write():
    """The old value is in memory, and a tensor that was detached or saved still shows it where it must."""
    x = on_gpu(random(8), requires_grad=True)
    y = x * 1
    squared = y * y
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y[0] = 5.0
        squared.sum().backward()
    z = on_gpu(random(8))
    snapshot = z.clone()
    z.zero_()
    np.testing.assert_array_equal(snapshot.numpy(), random(8))
    assert z.sum().item() == 0


ALIASING = {
    "x[1:] += x[:-1]": lambda x: x.__setitem__(slice(1, None), x[1:] + x[:-1]),
    "x[1:].add_(x[:-1])": lambda x: x[1:].add_(x[:-1]),
    "x[:-1].copy_(x[1:])": lambda x: x[:-1].copy_(x[1:]),
    "x.copy_(x.T)": lambda x: x.copy_(x.t()),
    "x.copy_(x.flip)": lambda x: x.copy_(x.flip(0, 1)),
    "x += x.T": lambda x: x.add_(x.t()),
    "x.mul_(x.sum(0))": lambda x: x.mul_(x.sum(0)),
    "x.copy_(x @ x)": lambda x: x.copy_(x @ x),
    "x[x > 0] = x.min": lambda x: x.__setitem__(x > 0, x.min()),
    "x[index] = x[other]": lambda x: x.__setitem__(
        webtorch.tensor([0, 2], device=x.device), x[webtorch.tensor([1, 0], device=x.device)]
    ),
    "diagonal": lambda x: x.diagonal().copy_(x[0]),
    "cat of itself": lambda x: x.copy_(webtorch.cat([x[2:], x[:2]])),
    "column into row": lambda x: x[1].copy_(x[:, 2]),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALIASING)
@pytest.mark.parametrize("kind", ["float32", "uint8", "float16"])
def test_writes_that_read_what_they_overwrite(name, kind):
    """Reading and writing one memory: the right side is what was there before, as if it were copied first."""
    array = np.random.default_rng(3).integers(0, 5, (5, 5)).astype(kind)
    results = []
    for device in ("cpu", "webgpu"):
        x = webtorch.tensor(array, device=device)
        ALIASING[name](x)
        results.append(x.numpy())
    np.testing.assert_array_equal(results[1], results[0])
    assert not np.array_equal(results[0], array), "nothing was written"


def test_overlapping_shifts_have_no_cascade(device):
    x = webtorch.tensor([1, 2, 3, 4, 5], device=device)
    x[1:] += x[:-1]
    assert x.tolist() == [1, 3, 5, 7, 9]


# ---- batches --------------------------------------------------------------------------------------------------------


@pytest.fixture
def batching():
    yield webtorch.webgpu
    webtorch.webgpu.set_batch_threshold()
    webtorch.webgpu.set_batch_delay()
    webtorch.webgpu.enable_batching()


def submits_of(run) -> tuple[int, int]:
    """How many batches and dispatches it takes to realise what `run` makes, before anything is read."""
    made = run()
    stats = get_device().stats()
    engine.realize([value._storage.node for value in made])
    after = get_device().stats()
    counts = after["submits"] - stats["submits"], after["dispatches"] - stats["dispatches"]
    webtorch.sync_device()
    return counts


def many_kernels(count):
    """Rows of exponentials over their sum: each such kernel is a dispatch of its own."""
    x = on_gpu(random(8, 16))
    return lambda: [x[:, : 1 + number % 16].softmax(1) for number in range(count)]


@pytest.mark.gpu
def test_work_is_handed_over_in_batches(batching):
    batching.set_batch_delay(0)
    submits_of(many_kernels(40))
    batching.set_batch_threshold(10)
    submits, dispatches = submits_of(many_kernels(40))
    assert dispatches == 40 and submits == 4
    batching.set_batch_threshold(1000)
    submits, dispatches = submits_of(many_kernels(40))
    assert dispatches == 40 and submits == 0
    batching.disable_batching()
    submits, dispatches = submits_of(many_kernels(12))
    assert submits == dispatches == 12
    batching.enable_batching()


@pytest.mark.gpu
def test_batch_is_one_batch(batching):
    batching.set_batch_delay(0)
    batching.set_batch_threshold(5)
    make = many_kernels(30)
    make()[0].numpy()
    webtorch.sync_device()
    before = get_device().stats()["submits"]
    results = batching.batch(make)
    assert get_device().stats()["submits"] == before + 1
    powers = np.exp(random(8, 16)[:, :3])
    np.testing.assert_allclose(results[2].numpy(), powers / powers.sum(1, keepdims=True), rtol=1e-5)


# ---- switches -------------------------------------------------------------------------------------------------------

PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import webtorch
from webtorch import engine
seen = []
engine.observers.append(lambda record: seen.append(record["name"]))
x = webtorch.ones(4, device="webgpu")
y = (x * 2 + 1) @ x
z = x.exp()
print("before", len(seen))
print("value", y.item(), z.sum().item())
print("after", len(seen))
"""


def run_program(program, **environment):
    given = {key: value for key, value in os.environ.items() if not key.startswith("WEBTORCH_")}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**given, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return result


@pytest.mark.gpu
def test_the_lazy_default():
    result = run_program(PROGRAM)
    assert "before 0" in result.stdout and "value 12.0" in result.stdout, result.stdout + result.stderr
    assert result.stderr == ""


@pytest.mark.gpu
def test_eager_switch():
    """WEBTORCH_EAGER=1 computes every op when it is recorded, which is how to find the one that fails."""
    result = run_program(PROGRAM, WEBTORCH_EAGER="1")
    assert "before 5" in result.stdout and "value 12.0" in result.stdout, result.stdout + result.stderr


@pytest.mark.gpu
def test_debug_switch():
    """WEBTORCH_DEBUG: 1 prints each kernel, 2 its WGSL too, 3 the lines of the program that it comes from."""
    first = run_program(PROGRAM, WEBTORCH_DEBUG="1")
    assert "value 12.0" in first.stdout and "webtorch " in first.stderr and " ms" in first.stderr, first.stderr
    assert "@compute" not in first.stderr
    second = run_program(PROGRAM, WEBTORCH_DEBUG="2")
    assert "@compute" in second.stderr and "fn load_a" in second.stderr
    third = run_program(PROGRAM, WEBTORCH_DEBUG="3")
    assert "<string>:8" in third.stderr, third.stderr


@pytest.mark.gpu
def test_check_switch():
    """WEBTORCH_CHECK=1 compares every kernel with numpy: silent when they agree, an error at the first that does not."""
    good = run_program(PROGRAM, WEBTORCH_CHECK="1")
    assert "value 12.0" in good.stdout and good.returncode == 0, good.stderr
    broken = "import webtorch.ops.unary as u; u.exp.wgsl = {'float': 'wt_exp({x}) + 1.0'}\n" + PROGRAM
    caught = run_program(broken, WEBTORCH_CHECK="1")
    assert caught.returncode != 0 and "WEBTORCH_CHECK" in caught.stderr and "exp" in caught.stderr, caught.stderr
    assert run_program(broken).returncode == 0
