"""Statistics, running quantities and windows: values and gradients as PyTorch has them, on both devices; the settings."""

import numpy as np
import pytest
from programs import Programs, error

import webtorch
from webtorch.autograd import gradcheck

program = Programs("reductions")
NAN, INF = float("nan"), float("inf")


def samples(m, *shape):
    return m.tensor(np.random.default_rng(11).integers(-20, 20, shape).astype(np.float32) / 8)


def gradient(m, x, function):
    x = x.clone().requires_grad_()
    made = function(x)
    (made * (m.arange(made.numel(), dtype=m.float32).reshape(made.shape) + 1)).sum().backward()
    return x.grad


@program
def differences(m):
    x = samples(m, 3, 5)
    yield (
        m.diff(x),
        x.diff(2, 0),
        m.diff(x, 6),
        x.diff(0),
        m.diff(x > 0, dim=0),
        m.diff(m.arange(4)),
        m.diff(m.zeros(2, 0)),
    )
    yield (
        m.diff(x, prepend=x[:, :2], append=x[:, :1]),
        gradient(m, x, lambda t: t.diff(2)),
        m.trace(x),
        x[:, :2].trace(),
    )
    at = m.tensor([0.0, 0.5, 2.0, 2.5, 4.0])
    for function in (m.trapezoid, m.cumulative_trapezoid, m.trapz):
        yield (
            function(x),
            function(x, dx=0.5),
            function(x, at),
            function(x, at[:3], dim=0),
            function(x, x * x),
            function(x, dim=0),
        )
    yield (
        gradient(m, x, lambda t: m.trapezoid(t, at)),
        gradient(m, at, lambda t: m.trapezoid(x, t)),
        m.trapezoid(m.arange(4)),
    )
    yield gradient(m, x, m.trace)


@program
def covariances(m):
    x, f, a = samples(m, 3, 6), m.tensor([1, 0, 2, 3, 1, 1]), m.tensor([0.5, 1.0, 0.25, 2.0, 0.0, 1.0])
    yield (
        m.cov(x),
        x.cov(correction=0),
        m.cov(x[0]),
        m.cov(x, fweights=f),
        m.cov(x, aweights=a),
        m.cov(x, fweights=f, aweights=a),
    )
    yield m.corrcoef(x), x[0].corrcoef(), gradient(m, x, m.cov), gradient(m, x, lambda t: t.corrcoef() ** 2)
    yield m.cov((x * 8).long()), m.cov(x[:, :1], correction=0)


@program
def counts(m):
    at = m.tensor([3, 0, 3, 1, 3])
    yield (
        m.bincount(at),
        at.bincount(minlength=7),
        m.bincount(at, m.tensor([1.0, 2.0, 4.0, 8.0, 0.5])),
        m.bincount(at[:0]),
    )
    yield at[:0].bincount(None, 2)
    yield m.bincount(at.to(m.uint8))
    x = samples(m, 50)
    yield (
        m.histc(x, 8, -2, 2),
        x.histc(5),
        m.histc(x, 1),
        m.histc(m.tensor([0.0, 1.0, 2.0, 3.0, 3.5]), 3, 0, 3),
        m.histc(m.ones(3), 4),
    )


@program
def distances(m):
    x, y = samples(m, 2, 4, 3), samples(m, 5, 3) + 0.3
    for p in (0.0, 1.0, 2.0, 3.0, INF):
        yield m.cdist(x, y, p), m.dist(x[0, 0], y[0], p), m.dist(x, x[:, :1], p)
    yield (
        gradient(m, x, lambda t: m.cdist(t, y)),
        gradient(m, y, lambda t: m.cdist(x, t, 1.0)),
        m.cdist(x[:, :0], y).shape[1],
    )
    yield gradient(m, x, lambda t: m.cdist(t, t))


@program
def running(m):
    x, hard = samples(m, 3, 7), m.tensor([-INF, 1.0, 1.0, -INF, 3.0, NAN, 5.0, NAN, INF])
    for name in ("cummax", "cummin"):
        function = getattr(m, name)
        for values, dim in (
            (x, 1),
            (x, 0),
            (hard, 0),
            (m.tensor([3, 1, 3, 4, 4]), 0),
            (x > 0, 1),
            (m.tensor(2.0), 0),
            (m.zeros(2, 0), 1),
        ):
            made = function(values, dim)
            yield made.values, made.indices, made[0], made[1]
        yield gradient(m, x, lambda t, function=function: function(t, 1).values)
    yield (
        m.logcumsumexp(x, 1),
        x.logcumsumexp(0),
        m.logcumsumexp(hard[:5], 0),
        m.logcumsumexp(m.tensor([1000.0, 1000.0, -1000.0]), 0),
    )
    yield gradient(m, x, lambda t: t.logcumsumexp(-1)), m.logcumsumexp(m.tensor(2.0), 0), m.logcumsumexp(hard, 0)


@program
def windows(m):
    for name in ("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"):
        function = getattr(m, name)
        for length in (0, 1, 2, 5, 8):
            yield function(length), function(length, False)
    yield m.kaiser_window(6, True, 4.0), m.kaiser_window(6, False, 0.5)
    yield m.hamming_window(6, False, 0.6, 0.3), m.hamming_window(5, True, 0.5)
    yield (
        m.logspace(0, 2, 5),
        m.logspace(-1, 1, 4, base=2),
        m.logspace(1, 2, 1),
        m.logspace(0, 1, 0),
        m.logspace(0, 3, 4, dtype=m.int64),
    )


@program
def refused(m):
    x = m.zeros(2, 3)
    yield error(RuntimeError, "non-negative", lambda: m.bincount(m.tensor([1, -1])))
    yield error(RuntimeError, "window_length", lambda: m.hann_window(-1))
    yield error(RuntimeError, "floating point", lambda: m.hann_window(3, dtype=m.int64))
    yield error(RuntimeError, "same number of columns", lambda: m.cdist(x, m.zeros(2, 2)))
    yield error(RuntimeError, "at least one-dimensional", lambda: m.diff(m.tensor(1)))
    yield error(RuntimeError, "expected a matrix", lambda: m.trace(m.zeros(2)))
    yield error(RuntimeError, "fweights cannot be negative", lambda: m.cov(x, fweights=m.tensor([1, -1, 1])))


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


DIFFERENTIABLE = {
    "logcumsumexp": lambda x: webtorch.logcumsumexp(x, 0),
    "cummax": lambda x: webtorch.cummax(x, 1).values,
    "cov": webtorch.cov,
    "cdist": lambda x: webtorch.cdist(x, x[:2] * 2 + 1, 3.0),
    "trapezoid": lambda x: webtorch.trapezoid(x * x, x),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient(name):
    x = webtorch.tensor(np.random.default_rng(2).normal(size=(4, 3)), device="cpu", requires_grad=True)
    assert gradcheck(DIFFERENTIABLE[name], (x,))


def test_long_rows(device):
    array = np.random.default_rng(4).normal(size=5000).astype(np.float32)
    x = webtorch.tensor(array, device=device)
    values, indices = webtorch.cummax(x, 0)
    assert np.array_equal(values.numpy(), np.maximum.accumulate(array)) and np.array_equal(
        array[indices.numpy()], values.numpy()
    )
    wanted = np.logaddexp.accumulate(array.astype(np.float64))
    np.testing.assert_allclose(webtorch.logcumsumexp(x, 0).numpy(), wanted, rtol=1e-5)


def test_frombuffer():
    memory = bytearray(range(8))
    shared = webtorch.frombuffer(memory, dtype=webtorch.uint8, count=3, offset=2)
    memory[2] = 99
    assert shared.tolist() == [99, 3, 4]
    assert webtorch.frombuffer(b"\1\0\2\0", dtype=webtorch.int16).tolist() == [1, 2]
    for keywords in ({"offset": 8}, {"count": 0}, {"count": 9}, {"dtype": webtorch.int32, "offset": 1}):
        with pytest.raises(ValueError, match="frombuffer"):
            webtorch.frombuffer(memory, **{"dtype": webtorch.uint8, **keywords})


def test_settings():
    with pytest.raises(RuntimeError, match="expected one of"):
        webtorch.set_float32_matmul_precision("low")
    webtorch.set_float32_matmul_precision("high")
    assert webtorch.get_float32_matmul_precision() == "high"
    webtorch.set_float32_matmul_precision("highest")
    try:
        webtorch.set_default_tensor_type("torch.DoubleTensor")
        assert webtorch.get_default_dtype() is webtorch.float64
    finally:
        webtorch.set_default_tensor_type(webtorch.float32)
    assert webtorch.zeros(1).dtype is webtorch.float32
    with pytest.raises(TypeError, match="only floating-point"):
        webtorch.set_default_tensor_type("torch.LongTensor")
