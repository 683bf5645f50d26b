"""Buffers that take more bindings than there are: kernels run in pieces, or on the host, and never raise for it."""

import numpy as np
import pytest

import webtorch
from webtorch import engine
from webtorch.backends import wgpu as backend

pytestmark = pytest.mark.gpu


def few_bindings():
    """What WEBTORCH_LIMITS=low says of bindings."""
    return backend.get_device().override_limits(max_binding_size=65536, max_storage_buffers=4)


def shaders(function):
    with webtorch.debug.kernels() as seen:
        result = function().numpy()
    return result, [record.wgsl for record in seen]


def on_gpu(array):
    return webtorch.tensor(array, device="webgpu")


SIZE = 70001  # five windows of float32


def test_elementwise_kernels_run_in_pieces():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, SIZE)).astype(np.float32)
    n = rng.integers(-100, 100, SIZE).astype(np.int8)
    big = rng.integers(-(2**40), 2**40, SIZE)
    with few_bindings():
        for function, wanted in (
            (lambda: on_gpu(x) + on_gpu(y), x + y),
            (lambda: on_gpu(x) * on_gpu(n), x * n),
            (lambda: on_gpu(n) * 2 + on_gpu(n), (n * 2 + n)),
            (lambda: on_gpu(big) - 3, big - 3),
            (lambda: on_gpu(x) > on_gpu(y), x > y),
            (lambda: (on_gpu(x) * 2).relu().neg(), -np.maximum(x * 2, 0)),
        ):
            got, sources = shaders(function)
            assert np.array_equal(got, wanted) and not any("on the host" in source for source in sources)


def test_indices_within_pieces():
    """What depends on the index, and what is read at others, is right in every piece."""
    row = np.arange(100, dtype=np.float32)
    x = np.arange(SIZE // 100 * 100, dtype=np.float32).reshape(-1, 100)
    with few_bindings():
        got, sources = shaders(lambda: on_gpu(x) + on_gpu(row))
        assert np.array_equal(got, x + row) and not any("on the host" in source for source in sources)
        assert np.array_equal(webtorch.arange(SIZE, device="webgpu").numpy(), np.arange(SIZE))
        whole = webtorch.rand(SIZE, device="webgpu", generator=webtorch.Generator().manual_seed(3)).numpy()
    again = webtorch.rand(SIZE, device="webgpu", generator=webtorch.Generator().manual_seed(3)).numpy()
    assert np.array_equal(whole, again)


def test_other_kernels_are_computed_on_the_host():
    x = np.random.default_rng(1).normal(size=(200, 400)).astype(np.float32)
    with few_bindings():
        t = on_gpu(x)
        for function, wanted in (
            (lambda: t.sum(), x.sum(dtype=np.float64)), (lambda: t.T.contiguous(), x.T),
            (lambda: t.cumsum(1), x.cumsum(1)), (lambda: t @ t.T, x @ x.T), (lambda: t.amax(0), x.max(0)),
            (lambda: t[webtorch.tensor([3, 199], device="webgpu")], x[[3, 199]]),
            (lambda: t.index_add(0, webtorch.tensor([0, 0], device="webgpu"), t[:2])[0], x[0] + x[0] + x[1]),
        ):  # fmt: skip
            assert np.allclose(function().numpy(), wanted, rtol=1e-4, atol=1e-3)
        assert engine.limits_of(backend.get_device()).max_storage_buffers == 4


def test_reproducible_kernels_are_not():
    with few_bindings(), webtorch.webgpu.reproducible():
        t = on_gpu(np.zeros((200, 400), np.float32))
        with pytest.raises(webtorch.errors.DeviceError, match="other bits"):
            t.cumsum(1).numpy()
