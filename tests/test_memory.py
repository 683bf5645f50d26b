"""The memory behind tensors, and some singular values and eigenvalues of large matrices."""

import numpy as np
import pytest

import webtorch


def test_memory_can_be_asked(device):
    x = webtorch.arange(12, dtype=webtorch.float32, device=device).reshape(3, 4)
    memory, part = x.untyped_storage(), x[1:].t()
    assert (memory.nbytes(), len(memory), memory.device.type) == (48, 48, device)
    assert (
        part.untyped_storage() == memory
        and part.untyped_storage()._cdata == memory._cdata
        and len({memory, part.untyped_storage()}) == 1
    )
    assert (
        part.untyped_storage().data_ptr() == memory.data_ptr() == x.data_ptr() and (x + 1).untyped_storage() != memory
    )
    assert webtorch.is_storage(memory) and isinstance(memory, webtorch.UntypedStorage)
    assert memory.tolist() == np.arange(12, dtype=np.float32).view(np.uint8).tolist()
    numbers = part.storage()
    assert (numbers.size(), numbers.nbytes(), numbers.dtype, numbers[5]) == (12, 48, webtorch.float32, 5.0)
    assert numbers.tolist() == list(range(12)) and numbers.untyped() == memory and "48" in repr(memory)


def test_memory_is_not_resized(device):
    memory = webtorch.zeros(4, device=device).untyped_storage()
    assert memory.resize_(16) is memory and not memory.resizable()
    with pytest.raises(NotImplementedError, match=r"resize_\(0\): .*del x"):
        memory.resize_(0)
    with pytest.raises(TypeError, match="untyped_storage"):
        webtorch.UntypedStorage(16)


RANDOM = np.random.default_rng(3)
LOW = RANDOM.standard_normal((2, 20, 3)) @ RANDOM.standard_normal((2, 3, 9))


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
    half = RANDOM.standard_normal((2, 9, 9))
    array, other = half @ np.swapaxes(half, -1, -2), np.diag(np.arange(1.0, 10.0))
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
