"""Elementwise work on the cpu that is put off: the same bits as one op after the other, whatever comes between."""

import threading

import numpy as np
import pytest

import webtorch
from webtorch import blocks, optim, postponed
from webtorch.nn import Parameter

SIZE = blocks.WORTH + 5


def tensors(count=3, dtype=np.float32, shape=(SIZE,), seed=0):
    rng = np.random.default_rng(seed)
    return [webtorch.tensor(rng.standard_normal(shape).astype(dtype), device="cpu") for _ in range(count)]


def bits(*values):
    return [value.detach().numpy().tobytes() for value in values]


@pytest.fixture
def computed(monkeypatch):
    """How many nodes were computed together, each time."""
    counts = []
    shared_out = blocks.shared_out

    def counted(work, start, end, step):
        if work.__module__ == postponed.__name__:
            counts.append(end)
        shared_out(work, start, end, step)

    monkeypatch.setattr(blocks, "shared_out", counted)
    return counts


OPTIMIZERS = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda p: optim.AdamW(p, lr=0.01),
    lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1, maximize=True),
    lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    lambda p: optim.Adagrad(p, lr=0.01),
    lambda p: optim.Adadelta(p),
    lambda p: optim.Adamax(p),
    lambda p: optim.NAdam(p),
    lambda p: optim.RAdam(p),
    lambda p: optim.ASGD(p),
    lambda p: optim.Rprop(p),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_optimizers_take_the_same_steps(make, dtype, computed, monkeypatch):
    def train():
        values = [*tensors(2, dtype), *tensors(1, dtype, (7,))]
        parameters = [Parameter(value) for value in values]
        outside = [parameter.detach().numpy() for parameter in parameters]  # memory that is shared, and stays so
        optimizer = make(parameters)
        versions = []
        for step in range(3):
            for number, parameter in enumerate(parameters):
                parameter.grad = tensors(1, dtype, tuple(parameter.shape), seed=10 * step + number)[0]
            optimizer.step()
            versions.append([parameter._version for parameter in parameters])
        assert all(np.shares_memory(p.detach().numpy(), o) for p, o in zip(parameters, outside, strict=True))
        state = [
            value for p in parameters for value in optimizer.state[p].values() if isinstance(value, webtorch.Tensor)
        ]
        return bits(*parameters, *state), versions

    together = train()
    assert computed
    computed.clear()
    monkeypatch.setattr(blocks, "WORTH", 1 << 40)
    assert train() == together and not computed


def random_program(rng, given):
    """Some dozens of random ops, reads and writes; what they leave."""
    values, seen = list(given), []
    for _ in range(40):
        x, y = (values[rng.integers(len(values))] for _ in range(2))
        kind = rng.integers(15)
        if kind == 0:
            values[rng.integers(len(values))] = x * 1.5 + y
        elif kind == 1:
            values[rng.integers(3)].copy_(x - y * 0.25)
        elif kind == 2:
            values[rng.integers(3)].mul_(0.5).add_(y)
        elif kind == 3:
            values.append(webtorch.where(x > y, x, y.abs().sqrt()))
        elif kind == 4:
            seen.append(x.sum().item())  # no elementwise op
        elif kind == 5:
            seen.append(float(x[3]))
        elif kind == 6:
            values.append(x.clamp(-1, 1).to(webtorch.float64).to(webtorch.float32))
        elif kind == 7:
            values[rng.integers(3)][5:100] = y[105:200] * 2  # part of a tensor
        elif kind == 8:
            values.append(x.reshape(-1).flip(0))
        elif kind == 9:
            first, second = values[0], values[1]  # each becomes what the other was
            a, b = first * 1.0, second * 1.0
            first.copy_(b)
            second.copy_(a)
        elif kind == 10:
            values.append(x.expand(SIZE) / (y.square() + 1))
        elif kind == 14:
            values[rng.integers(3)].copy_(values[rng.integers(3)])  # of what is in memory
        elif kind == 11:
            values.append(webtorch.full((SIZE,), 2.0, device="cpu") - x)
        elif kind == 12:
            halves = x[: SIZE // 2 * 2].reshape(2, -1)
            values.append(((halves + 1) * halves[0]).mean(0).repeat(3)[:SIZE])
        else:
            values.append((x.reshape(1, 1, SIZE) * y).reshape(-1))
        values = values[:3] + values[-4:]
    return bits(*values), seen


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_leave_the_same(seed, computed):
    plain = random_program(np.random.default_rng(seed), tensors())
    with postponed.together():
        put_off = random_program(np.random.default_rng(seed), tensors())
    assert put_off == plain and computed


def test_what_reads_a_tensor_reads_it_before_it_is_overwritten():
    x, y = tensors(2)
    before, other = x.numpy().copy(), y.numpy().copy()
    with postponed.together():
        doubled = x * 2
        x.copy_(y)
        tripled = y * 3
        y.zero_()
    np.testing.assert_array_equal(doubled.numpy(), before * 2)
    np.testing.assert_array_equal(tripled.numpy(), other * 3)
    np.testing.assert_array_equal(x.numpy(), other)
    assert not y.numpy().any()


def test_other_threads_find_a_tensor_that_is_written_to():
    x = tensors(1)[0]
    before, seen = x.numpy().copy(), []
    with postponed.together():
        x.copy_(x * 2)
        thread = threading.Thread(target=lambda: seen.append((x + 0).numpy()))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(seen[0], before)
    np.testing.assert_array_equal(x.numpy(), before * 2)


def test_results_that_are_kept_and_those_that_are_not(computed):
    x, y = tensors(2)
    with postponed.together():
        kept = x * 2
        last = (kept + y).exp()
        del y
    assert computed == [SIZE]
    np.testing.assert_array_equal(kept.numpy(), x.numpy() * 2)
    assert np.isfinite(last.numpy()).all()


def test_rows_with_the_same_numbers(computed):
    x, y = tensors(2, shape=(300, 500))
    weight, bias = tensors(2, shape=(500,))
    other = tensors(1, shape=(3, 100, 500))[0]
    plain = bits((x * weight + bias).relu() * y, other * weight - bias, x * weight[:1], x * y[:, :1], x.t() * 2)
    with postponed.together():
        a = (x * weight + bias).relu() * y
        b = other * weight - bias
        c = x * weight[:1]
        d = x * y[:, :1]
        e = x.t() * 2
    assert bits(a, b, c, d, e) == plain
    assert computed == [300]


def test_after_an_error_what_came_before_it_is_done():
    x, y = tensors(2)
    before = x.numpy().copy()
    with pytest.raises(webtorch.DTypeError, match="bitwise_and"), postponed.together():
        x.mul_(2)
        webtorch.bitwise_and(x, y)
    np.testing.assert_array_equal(x.numpy(), before * 2)


def test_other_dtypes_devices_and_gradients_go_their_way(computed):
    half, small = tensors(1)[0].half(), tensors(1, shape=(10,))[0]
    leaf = tensors(1)[0].requires_grad_()
    with postponed.together():
        doubled = half * 2  # rounded after each op
        tenth = small * 2
        loss = (leaf * leaf).sum()
    assert doubled.dtype is webtorch.float16 and tenth.tolist() == [value * 2 for value in small.tolist()]
    loss.backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), leaf.detach().numpy() * 2)
