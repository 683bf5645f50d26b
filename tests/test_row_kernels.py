"""Kernels that walk rows, or columns, four elements at a time: every way through them against numpy in float64."""

import numpy as np
import pytest

import webtorch
from webtorch.nn import functional as F

pytestmark = pytest.mark.gpu
SHAPES = [(5, 96), (5, 97), (70, 64), (1, 4), (3, 1), (2, 515)]


def used(call):
    with webtorch.debug.kernels() as ran:
        result = call().numpy()
    return result, [record.shader for record in ran]


def sample(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 3


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(shape):
    x, y = sample(shape), sample(shape, 1)
    exact = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    exact /= exact.sum(1, keepdims=True)
    t, other = webtorch.tensor(x, device="webgpu"), webtorch.tensor(y, device="webgpu")
    result, shaders = used(lambda: webtorch.softmax(t, 1) + other)
    np.testing.assert_allclose(result, exact + y, rtol=1e-5, atol=1e-6)
    assert shaders == ["softmax"]
    np.testing.assert_allclose(used(lambda: webtorch.log_softmax(t, 1))[0], np.log(exact), rtol=1e-5, atol=1e-5)
    fused, shaders = used(lambda: webtorch.softmax(t * 0.5, 1).half())  # a producer, and a consumer of another width
    halved = np.exp(x.astype(np.float64) / 2 - x.max(1, keepdims=True) / 2)
    np.testing.assert_allclose(fused, halved / halved.sum(1, keepdims=True), rtol=2e-3, atol=1e-6)
    assert shaders == ["softmax"]


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm_and_rms_norm(shape):
    x, weight, bias = sample(shape), sample(shape[1:], 1), sample(shape[1:], 2)
    exact = x.astype(np.float64)
    centred = exact - exact.mean(1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weight + bias
    t, w, b = (webtorch.tensor(value, device="webgpu") for value in (x, weight, bias))
    result, shaders = used(lambda: F.layer_norm(t, shape[1:], w, b))
    np.testing.assert_allclose(result, scaled, rtol=1e-4, atol=2e-5)
    assert shaders == ["standardize"]
    root = exact / np.sqrt((exact**2).mean(1, keepdims=True) + 1e-3) * weight
    np.testing.assert_allclose(used(lambda: F.rms_norm(t, shape[1:], w, eps=1e-3))[0], root, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("columns", [4, 12, 16, 20, 68, 97, 132, 1000])
@pytest.mark.parametrize("kind", ["far from zero", "an outlier first", "an outlier last", "all alike", "large"])
def test_layer_norm_of_rows_that_are_hard_to_centre(kind, columns):
    """Means and squares found in one pass: no worse than what the numbers, rounded to float32, allow."""
    x = sample((9, columns)) / 3
    if kind == "far from zero":
        x += np.float32(1e4)
    elif kind == "all alike":
        x[:] = np.float32(3.3)
    elif kind == "large":
        x *= np.float32(1e15)
    else:
        x[:, 0 if kind == "an outlier first" else -1] = 1e5
    exact = x.astype(np.float64)
    mean, deviation = exact.mean(1, keepdims=True), np.sqrt(exact.var(1, keepdims=True) + 1e-5)
    result, shaders = used(lambda: F.layer_norm(webtorch.tensor(x, device="webgpu") * 1, (columns,)))
    assert shaders == ["standardize"]
    condition = np.abs(mean) / deviation + np.sqrt(columns)
    assert (np.abs(result - (exact - mean) / deviation) <= 8 * np.finfo(np.float32).eps * condition).all()


@pytest.mark.parametrize("device", ["cpu", "webgpu"])
@pytest.mark.parametrize("norm", [lambda x: F.layer_norm(x, (6,)), lambda x: F.rms_norm(x, (6,), eps=0.1)])
def test_first_and_second_gradients_of_norms(norm, device):
    x = sample((4, 6))
    step = 1e-4

    def total(values):
        exact = webtorch.tensor(values.astype(np.float64), device="cpu", requires_grad=True)
        (first,) = webtorch.autograd.grad((norm(exact) ** 3).sum(), exact)
        return first.numpy()

    t = webtorch.tensor(x, device=device, requires_grad=True)
    (first,) = webtorch.autograd.grad((norm(t) ** 3).sum(), t, create_graph=True)
    scale = abs(total(x)).max()
    np.testing.assert_allclose(first.detach().numpy(), total(x), rtol=1e-3, atol=1e-4 * scale)
    direction = sample((4, 6), 3)
    (second,) = webtorch.autograd.grad((first * webtorch.tensor(direction, device=device)).sum(), t)
    wide = x.astype(np.float64)
    expected = (total(wide + step * direction) - total(wide - step * direction)) / (2 * step)
    np.testing.assert_allclose(second.numpy(), expected, rtol=5e-3, atol=2e-3 * abs(expected).max())


@pytest.mark.parametrize("shape", [(300, 64), (5, 512), (1, 1024), (130, 12), (7, 3, 16), (40, 30), (2000, 544)])
def test_columns(shape):
    x = sample(shape)
    t = webtorch.tensor(x, device="webgpu")
    result, shaders = used(lambda: t.sum(0) * 2 + 1)
    np.testing.assert_allclose(result, x.sum(0, dtype=np.float64) * 2 + 1, rtol=1e-5, atol=1e-3)
    assert shaders[-1] == ("reduce_columns" if np.prod(shape[1:]) % 4 == 0 else "reduce")
    np.testing.assert_array_equal(used(lambda: t.amax(0))[0], x.max(0))
    counts = webtorch.tensor((x * 10).astype(np.int32), device="webgpu")
    np.testing.assert_array_equal(used(lambda: counts.sum(0))[0], (x * 10).astype(np.int32).sum(0))


@pytest.mark.parametrize("columns", [4, 16, 20, 36, 1000, 4096])
def test_softmax_of_rows_with_infinities_and_nan(device, columns):
    """Rows that begin, end or consist of -inf, as masks make them; NaN and +inf make a row NaN."""
    x = sample((20, columns)) * 2
    x[0] = -np.inf
    x[1, : columns // 2] = -np.inf
    x[2, 0] = x[3, -1] = np.nan
    x[4, columns // 2] = np.inf
    x[5] -= 1e4
    x[6, :-1] = -np.inf
    x[7] = 3e38
    x[8, :-1], x[8, -1] = -np.inf, -3e38
    x[9] *= 30
    x[10, : columns // 4], x[10, columns // 4] = -np.inf, np.nan
    with np.errstate(all="ignore"):
        shifted = x.astype(np.float64) - x.max(1, keepdims=True)
        total = np.exp(shifted).sum(1, keepdims=True)
        expected = np.exp(shifted) / total, shifted - np.log(total)
    made = webtorch.tensor(x, device=device)
    np.testing.assert_allclose(webtorch.softmax(made, 1).numpy(), expected[0], rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(webtorch.log_softmax(made, 1).numpy(), expected[1], rtol=1e-5, atol=2e-5)
