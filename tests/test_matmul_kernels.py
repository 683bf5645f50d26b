"""The contraction kernel for adapters that are CPUs: every layout of both factors, blocks of both sizes, ragged edges."""

import numpy as np
import pytest

import webtorch

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


@pytest.mark.parametrize("batch, m, k, n", SMALL + LARGE)
def test_contraction_in_every_layout(batch, m, k, n):
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
    for result in results:
        np.testing.assert_allclose(result.numpy(), expected, atol=2e-6 * k**0.5 * 4)


def test_integer_products_are_exact_in_both_block_sizes():
    rng = np.random.default_rng(1)
    for m, k, n in [(20, 30, 20), (170, 170, 170)]:
        a, b = rng.integers(-50, 50, (m, k)), rng.integers(-50, 50, (k, n))
        x, y = (webtorch.tensor(each, device="webgpu") for each in (a, b))
        np.testing.assert_array_equal((x @ y).numpy(), a @ b)
        np.testing.assert_array_equal((x.int() @ y.int()).numpy(), a @ b)
