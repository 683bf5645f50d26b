"""Convolutions as contractions over windows: the kernel that walks windows, forced and not, against sums in float64."""

import numpy as np
import pytest

import webtorch
from webtorch import tuning
from webtorch.ops.matmul import by_lanes

pytestmark = pytest.mark.gpu


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def plain(x, w, stride=1, padding=0, dilation=1, groups=1):
    """The convolution in float64, any number of dimensions."""
    count = x.ndim - 2
    stride, padding, dilation = (
        value if isinstance(value, tuple) else (value,) * count for value in (stride, padding, dilation)
    )
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *((p, p) for p in padding)])
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + count)))
    view = view[
        (slice(None),) * 2 + tuple(slice(None, None, s) for s in stride) + tuple(slice(None, None, d) for d in dilation)
    ]
    positions = view.shape[2 : 2 + count]
    view = view.reshape(len(x), groups, w.shape[1], *positions, *w.shape[2:])
    w = w.reshape(groups, -1, *w.shape[1:])
    letters, taps = "pqr"[:count], "stu"[:count]
    result = np.einsum(f"ngc{letters}{taps},goc{taps}->ngo{letters}", view, w)
    return result.reshape(len(x), -1, *positions)


CASES = {
    "3x3": ((2, 3, 16, 16), (20, 3, 3, 3), {"padding": 1}),
    "ragged": ((1, 5, 9, 13), (17, 5, 3, 3), {"padding": 1}),
    "no padding": ((2, 4, 11, 20), (8, 4, 5, 5), {}),
    "two taps": ((1, 2, 6, 5), (3, 2, 2, 2), {}),
    "eight taps": ((1, 3, 9, 30), (5, 3, 3, 8), {"padding": (1, 4)}),
    "six taps": ((1, 3, 9, 23), (9, 3, 3, 6), {"padding": (1, 2)}),
    "strided rows": ((2, 3, 15, 12), (6, 3, 3, 3), {"stride": (2, 1), "padding": 1}),
    "apart": ((1, 3, 15, 12), (6, 3, 3, 4), {"dilation": (3, 1)}),
    "groups": ((2, 6, 8, 9), (10, 3, 3, 3), {"padding": 1, "groups": 2}),
    "each channel": ((2, 6, 8, 9), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    "one dimension": ((3, 4, 41), (7, 4, 5), {"padding": 2}),
    "three dimensions": ((1, 2, 5, 6, 7), (4, 2, 3, 3, 3), {"padding": 1}),
    "long sums": ((1, 130, 5, 6), (3, 130, 3, 3), {"padding": 1}),
}


@pytest.mark.parametrize(
    "variant, case", [*(("windows", case) for case in CASES), ("4x4", "ragged"), ("4x4", "groups")]
)
def test_values_and_gradients(variant, case):
    x_shape, w_shape, given = CASES[case]
    x, w, bias = drawn(*x_shape), drawn(*w_shape, seed=1), drawn(w_shape[0], seed=2)
    functions = {1: webtorch.nn.functional.conv1d, 2: webtorch.nn.functional.conv2d, 3: webtorch.nn.functional.conv3d}
    convolution = functions[len(x_shape) - 2]
    expected = plain(x, w, **given)
    expected_bias = expected + bias.reshape(-1, *[1] * (len(x_shape) - 2))
    a, b, c = (webtorch.tensor(value, device="webgpu", requires_grad=True) for value in (x, w, bias))
    atol = 1e-6 * w[0].size ** 0.5 * 8
    with tuning.force("contract", variant), webtorch.debug.kernels() as ran:
        np.testing.assert_allclose(convolution(a, b, **given).detach().numpy(), expected, atol=atol)
        np.testing.assert_allclose(
            convolution(a, b, c, **given).relu().detach().numpy(), np.maximum(expected_bias, 0), atol=atol
        )
    assert ("matmul_windows" in {kernel.shader for kernel in ran}) == (variant == "windows" and by_lanes())
    # The result is linear in both factors: with a step of 1, a difference is the derivative.
    weight = drawn(*expected.shape, seed=3)
    with tuning.force("contract", variant):
        (convolution(a, b, **given) * webtorch.tensor(weight, device="webgpu")).sum().backward()
        gradients = a.grad.numpy().astype(np.float64), b.grad.numpy().astype(np.float64)
    for gradient, factor, other in (
        (gradients[0], x, lambda d: plain(d, w, **given)),
        (gradients[1], w, lambda d: plain(x, d, **given)),
    ):
        direction = drawn(*factor.shape, seed=4)
        along = (other(direction) * weight).sum()
        np.testing.assert_allclose((gradient * direction).sum(), along, rtol=1e-4, atol=2e-3)


def test_a_batch_that_is_mapped_and_half_precision():
    x, w = drawn(3, 2, 4, 9, 10), drawn(3, 5, 4, 3, 3, seed=1)
    a, b = (webtorch.tensor(value, device="webgpu") for value in (x, w))
    mapped = webtorch.vmap(lambda x, w: webtorch.nn.functional.conv2d(x, w, padding=1))(a, b)
    expected = np.stack([plain(*pair, padding=1) for pair in zip(x, w, strict=True)])
    np.testing.assert_allclose(mapped.numpy(), expected, atol=1e-4)
    half = webtorch.nn.functional.conv2d(a[0].half(), b[0].half(), padding=1)
    assert half.dtype is webtorch.float16
    np.testing.assert_allclose(half.float().numpy(), expected[0], atol=2e-2)


def test_windows_over_one_buffer_by_itself():
    x = drawn(4, 4, 8, 8)
    a = webtorch.tensor(x, device="webgpu")
    got = webtorch.nn.functional.conv2d(a, a[:, :, :3, :3])
    np.testing.assert_allclose(got.numpy(), plain(x, x[:, :, :3, :3]), atol=1e-4)
