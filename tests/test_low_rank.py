"""Some singular values and eigenvalues of large matrices."""

import numpy as np
import pytest

import webtorch

GENERATOR = np.random.default_rng(3)
LOW = GENERATOR.standard_normal((2, 20, 3)) @ GENERATOR.standard_normal((2, 3, 9))
HALF = GENERATOR.standard_normal((2, 9, 9))


@pytest.mark.filterwarnings("ignore:.*computed by numpy")
@pytest.mark.parametrize("transposed", [False, True])
def test_low_rank(transposed, device):
    webtorch.manual_seed(1)
    array = np.swapaxes(LOW, -1, -2) if transposed else LOW
    x = webtorch.tensor(array.astype(np.float32), device=device)
    U, S, V = webtorch.svd_lowrank(x, q=4)
    assert U.shape == (2, array.shape[1], 4) and V.shape == (2, array.shape[2], 4)
    np.testing.assert_allclose((U * S.unsqueeze(-2) @ V.mT).numpy(), array, atol=1e-4)
    np.testing.assert_allclose(S.numpy(), np.linalg.svd(array, compute_uv=False)[:, :4], atol=1e-4)
    U, S, V = webtorch.svd_lowrank(x, q=3, M=x * 0.5)
    np.testing.assert_allclose((U * S.unsqueeze(-2) @ V.mT).numpy(), array / 2, atol=1e-4)
    centred = array - array.mean(-2, keepdims=True)
    U, S, V = webtorch.pca_lowrank(x)
    assert S.shape == (2, 6)
    np.testing.assert_allclose(S.numpy(), np.linalg.svd(centred, compute_uv=False)[:, :6], atol=1e-4)
    with pytest.raises(ValueError, match="not greater than min"):
        webtorch.svd_lowrank(x, q=40)


@pytest.mark.filterwarnings("ignore:.*computed by numpy")
def test_lobpcg(device):
    array, other = HALF @ np.swapaxes(HALF, -1, -2), np.diag(np.arange(1.0, 10.0))
    x, B = (
        webtorch.tensor(each.astype(np.float32), device=device)
        for each in (array, np.broadcast_to(other, (2, 9, 9)).copy())
    )
    values, vectors = webtorch.lobpcg(x, k=3)
    np.testing.assert_allclose(values.numpy(), np.linalg.eigvalsh(array)[:, :-4:-1], rtol=1e-3)
    np.testing.assert_allclose((x @ vectors).numpy(), (vectors * values.unsqueeze(-2)).numpy(), atol=2e-3)
    values, vectors = webtorch.lobpcg(x, k=2, B=B, largest=False, niter=3, method="ortho")
    expected = np.linalg.eigvals(np.linalg.inv(other) @ array).real
    np.testing.assert_allclose(values.numpy(), np.sort(expected)[:, :2], rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose((x @ vectors).numpy(), (B @ vectors * values.unsqueeze(-2)).numpy(), atol=2e-3)
    with pytest.raises(ValueError, match="3 x the number"):
        webtorch.lobpcg(x, k=4)
