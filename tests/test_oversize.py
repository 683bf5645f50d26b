"""Buffers that take more bindings than there are: kernels run in pieces, or on the host, and never raise for it."""

import numpy as np
import pytest

import webtorch
from webtorch import engine, host
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


RNG = np.random.default_rng(1)
WIDE = RNG.normal(size=(200, 400)).astype(np.float32)  # five windows
HALVES = WIDE.astype(np.float16)
BIG = RNG.integers(-100, 100, (300, 200)).astype(np.int64)
BATCHES = RNG.normal(size=(50, 30, 40)).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def normed(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


PIECES = {
    "sum": (lambda x: x.sum(), lambda x: x.sum(), WIDE),
    "sum of rows": (lambda x: x.sum(1), lambda x: x.sum(1), WIDE),
    "sum of columns": (lambda x: x.sum(0) * 2, lambda x: x.sum(0) * 2, WIDE),
    "sum of long columns": (lambda x: x.reshape(-1, 4).sum(0), lambda x: x.reshape(-1, 4).sum(0), WIDE),
    "sum of a part": (lambda x: x[7:190, 3:].sum(0), lambda x: x[7:190, 3:].sum(0), WIDE),
    "sum of steps": (lambda x: x[::-3].sum(), lambda x: x[::-3].sum(), WIDE),
    "sum of what is computed": (lambda x: (x * x + 1).sum(), lambda x: (x * x + 1).sum(), WIDE),
    "sum of float16": (lambda x: x.sum(0), lambda x: x.sum(0, dtype=np.float32), HALVES),
    "sum of int64": (lambda x: x.sum(1) - 1, lambda x: x.sum(1) - 1, BIG),
    "prod": (lambda x: (x * 0.001 + 1).prod(1), lambda x: (x * 0.001 + 1).prod(1), WIDE),
    "mean": (lambda x: x.mean(), lambda x: x.mean(), WIDE),
    "amax": (lambda x: x.amax(0), lambda x: x.max(0), WIDE),
    "amax of all": (lambda x: (x - 9).amax(), lambda x: (x - 9).max(), WIDE),
    "amin of int64": (lambda x: x.amin(), lambda x: x.min(), BIG),
    "any": (lambda x: (x > 3.5).any(1), lambda x: (x > 3.5).any(1), WIDE),
    "all": (lambda x: (x > -9).all(), lambda x: (x > -9).all(), WIDE),
    "softmax": (lambda x: x.softmax(1), softmax, WIDE),
    "softmax and more": (lambda x: x.softmax(-1).neg() + x, lambda x: x - softmax(x), BATCHES),
    "log_softmax": (lambda x: x.log_softmax(1), lambda x: np.log(softmax(x)), WIDE),
    "layer_norm": (lambda x: webtorch.nn.functional.layer_norm(x, (400,)), normed, WIDE),
    "cumsum": (lambda x: x.cumsum(1), lambda x: x.cumsum(1), WIDE),
    "cumsum of all": (lambda x: x.reshape(-1).cumsum(0), lambda x: x.reshape(-1).cumsum(0, dtype=float), WIDE[:128]),
    "cumprod": (lambda x: (x * 0.01 + 1).cumprod(1), lambda x: (x * 0.01 + 1).cumprod(1), WIDE),
    "mm": (lambda x: x @ x[:50].T, lambda x: x @ x[:50].T, WIDE),
    "mm of both": (lambda x: x.T @ x, lambda x: x.T @ x, WIDE.reshape(-1, 40)),
    "mm of columns": (lambda x: x[:30, :200] @ x, lambda x: x[:30, :200] @ x, WIDE),
    "mm of transposed columns": (lambda x: x[:30] @ x.T, lambda x: x[:30] @ x.T, WIDE),
    "mm of float16": (lambda x: (x[:10, :200] @ x).float(), lambda x: x[:10, :200].astype(float) @ x, HALVES),
    "bmm": (lambda x: x @ x.mT, lambda x: x @ x.swapaxes(1, 2), BATCHES),
    "conv2d": (lambda x: webtorch.nn.functional.conv2d(x.unsqueeze(1), webtorch.ones(1, 1, 1, 2, device="webgpu")),
               lambda x: (x[:, :, 1:] + x[:, :, :-1])[:, None], BATCHES),
}  # fmt: skip


@pytest.mark.parametrize("case", PIECES)
def test_larger_kernels_are_computed_in_pieces(case):
    function, meant, array = PIECES[case]
    with few_bindings():
        before = webtorch.webgpu.host_fallbacks()
        got = function(on_gpu(array)).numpy()
        assert webtorch.webgpu.host_fallbacks() == before
    wanted = meant(array)
    assert got.shape == wanted.shape
    rough = array.dtype == np.float16
    np.testing.assert_allclose(got, wanted, rtol=2e-3 if rough else 1e-4, atol=0.1 if rough else 2e-3)


def test_the_gradient_of_what_is_computed_in_pieces():
    with few_bindings():
        before = webtorch.webgpu.host_fallbacks()
        x = on_gpu(WIDE).requires_grad_()
        (x.softmax(1) * x).sum().backward()
        got = x.grad.numpy()
        assert webtorch.webgpu.host_fallbacks() == before
    y = webtorch.tensor(WIDE, device="cpu", requires_grad=True)
    (y.softmax(1) * y).sum().backward()
    np.testing.assert_allclose(got, y.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_pieces_that_are_reproducible_have_the_bits_of_the_whole():
    for function in (lambda x: x.softmax(1), lambda x: x.sum(1), lambda x: x @ x[:50].T, lambda x: x.cumsum(1)):
        with webtorch.webgpu.reproducible():
            whole = function(on_gpu(WIDE)).numpy()
            with few_bindings():
                assert np.array_equal(function(on_gpu(WIDE)).numpy(), whole)


def test_other_kernels_are_computed_on_the_host(monkeypatch):
    monkeypatch.setattr(host, "_counts", {})
    x = WIDE
    with few_bindings():
        t = on_gpu(x)
        for count, (function, wanted) in enumerate((
            (lambda: t.T.contiguous(), x.T), (lambda: t.softmax(0), softmax(x.T).T),
            (lambda: t[webtorch.tensor([3, 199], device="webgpu")], x[[3, 199]]),
            (lambda: t.index_add(0, webtorch.tensor([0, 0], device="webgpu"), t[:2])[0], x[0] + x[0] + x[1]),
        )):  # fmt: skip
            with pytest.warns(UserWarning, match=r"binds \d+ storage buffers.*numpy on the host"):
                assert np.allclose(function().numpy(), wanted, rtol=1e-4, atol=1e-3)
            assert sum(webtorch.webgpu.host_fallbacks().values()) > count
        assert engine.limits_of(backend.get_device()).max_storage_buffers == 4


def test_reproducible_kernels_are_not():
    with few_bindings(), webtorch.webgpu.reproducible():
        t = on_gpu(np.zeros((200, 400), np.float32))
        with pytest.raises(webtorch.errors.DeviceError, match="other bits"):
            t.sum(0).numpy()
