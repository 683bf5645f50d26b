"""The contraction kernels for adapters that are CPUs: every layout of both factors, one by one and in blocks of both sizes,
ragged edges."""

import numpy as np
import pytest

import webtorch
from webtorch import tuning
from webtorch.ops.matmul import SHADERS, by_lanes

pytestmark = pytest.mark.gpu

SMALL = [
    (1, 64, 64, 64),
    (1, 101, 70, 33),
    (3, 65, 130, 17),
    (2, 16, 5, 200),
    (1, 1, 7, 1),
    (1, 8, 400, 4),
    (1, 5, 1, 9),
]
LARGE = [(1, 130, 260, 133), (2, 64, 516, 68), (1, 9, 60000, 8)]


@pytest.mark.parametrize(
    "variant, shape",
    [
        *((variant, shape) for variant in ("1x1", "4x4", "lanes") for shape in SMALL),
        *((variant, shape) for variant in ("8x8", "lanes") for shape in LARGE),
    ],
)
def test_contraction_in_every_layout(variant, shape):
    batch, m, k, n = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((batch, m, k)).astype(np.float32)
    b = rng.standard_normal((batch, k, n)).astype(np.float32)
    expected = a.astype(np.float64) @ b
    results = []
    for a_over_k in (True, False):
        x = webtorch.tensor(a if a_over_k else np.ascontiguousarray(a.swapaxes(1, 2)), device="webgpu")
        x = x if a_over_k else x.transpose(1, 2)
        for b_over_k in (True, False):
            y = webtorch.tensor(np.ascontiguousarray(b.swapaxes(1, 2)) if b_over_k else b, device="webgpu")
            y = y.transpose(1, 2) if b_over_k else y
            results.append(x @ y)
            results.append(x.flip(2) @ y.flip(1))
    if variant == "lanes" and not by_lanes():  # SwiftShader's subgroups have four lanes
        variant = "4x4"
    with tuning.force("contract", variant), webtorch.debug.kernels() as ran:
        for result in results:
            np.testing.assert_allclose(result.numpy(), expected, atol=2e-6 * k**0.5 * 4)
    assert SHADERS.get(variant, "matmul") in {kernel.shader for kernel in ran}


@pytest.mark.parametrize("variant, size", [("1x1", 20), ("4x4", 20), ("8x8", 170)])
def test_integer_products_are_exact(variant, size):
    rng = np.random.default_rng(1)
    a, b = rng.integers(-50, 50, (size, 30)), rng.integers(-50, 50, (30, size))
    x, y = (webtorch.tensor(each, device="webgpu") for each in (a, b))
    with tuning.force("contract", variant):
        np.testing.assert_array_equal((x @ y).numpy(), a @ b)
        np.testing.assert_array_equal((x.int() @ y.int()).numpy(), a @ b)
