"""The kernels that only GPUs run (tiles in workgroup memory, lanes side by side), forced on whatever adapter is here."""

import dataclasses

import numpy as np
import pytest

import webtorch
from webtorch import engine
from webtorch.backends.wgpu import get_device

pytestmark = pytest.mark.gpu


@pytest.fixture
def shaders():
    """Have the engine take the adapter for a GPU; gives the names of the shaders that ran."""
    device = get_device()
    before = engine._limits_cache
    limits = dataclasses.replace(engine.limits_of(device), is_cpu=False, compiles_slowly=False)
    engine._limits_cache = (*engine._limits_cache[:2], limits)
    used: set[str] = set()

    def observe(record):
        used.add(record["shader"])

    engine.observers.append(observe)
    yield used
    engine.observers.remove(observe)
    engine._limits_cache = before


def on_gpu(array):
    return webtorch.tensor(array, device="webgpu")


@pytest.mark.parametrize("b, m, k, n", [(1, 64, 64, 64), (1, 100, 70, 33), (3, 65, 130, 17), (2, 16, 5, 200)])
def test_tiled_matmul(shaders, b, m, k, n):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((b, m, k)).astype(np.float32)
    y = rng.standard_normal((b, k, n)).astype(np.float32)
    expected = x.astype(np.float64) @ y
    tolerance = 1e-6 * k**0.5 * 10
    np.testing.assert_allclose((on_gpu(x) @ on_gpu(y)).numpy(), expected, atol=tolerance)
    strided = on_gpu(np.ascontiguousarray(x.swapaxes(1, 2))).transpose(1, 2) @ on_gpu(y).flip(2)
    np.testing.assert_allclose((strided + 1).relu().numpy(), np.maximum(expected[:, :, ::-1] + 1, 0), atol=tolerance)
    assert "matmul_tiled" in shaders


@pytest.mark.parametrize("name", ["int32", "int64"])
def test_tiled_matmul_of_integers_is_exact(shaders, name):
    x = np.random.default_rng(1).integers(-9, 9, (50, 300)).astype(name)
    np.testing.assert_array_equal((on_gpu(x) @ on_gpu(x).T).numpy(), x @ x.T)
    pairs = name == "int64" and "shader-int64" not in get_device().features  # whose products are summed up instead
    assert pairs or "matmul_tiled" in shaders


@pytest.mark.parametrize("shape", [(37, 5000), (3, 129), (1, 40000)])
def test_wide_reductions(shaders, shape):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    t = on_gpu(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(t.sum(1).numpy(), exact.sum(1), atol=1e-6 * shape[1] ** 0.5 * 4)
    np.testing.assert_allclose(t.sum().item(), exact.sum(), atol=1e-6 * x.size**0.5 * 4)
    np.testing.assert_array_equal(t.amax(1).numpy(), x.max(1))
    np.testing.assert_array_equal(t.amin().numpy(), x.min())
    np.testing.assert_array_equal(t.argmax(1).numpy(), x.argmax(1))
    np.testing.assert_array_equal((t > 2).any(1).numpy(), (x > 2).any(1))
    np.testing.assert_array_equal((t > -9).all().numpy(), True)
    assert "reduce_wide" in shaders


def test_nan_goes_through_wide_reductions(shaders):
    x = np.zeros((2, 1000), np.float32)
    x[1, 777] = np.nan
    np.testing.assert_array_equal(on_gpu(x).amax(1).numpy(), [0, np.nan])
    assert on_gpu(x).argmax(1).tolist() == [0, 777]


def test_wide_softmax(shaders):
    x = np.random.default_rng(3).standard_normal((5, 3000)).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    exact /= exact.sum(1, keepdims=True)
    np.testing.assert_allclose(webtorch.softmax(on_gpu(x), 1).numpy(), exact, rtol=3e-6)
    np.testing.assert_allclose(webtorch.log_softmax(on_gpu(x), 1).numpy(), np.log(exact), atol=3e-6)
    assert "softmax_wide" in shaders


@pytest.mark.parametrize("shape", [(37, 500), (3, 129), (200, 68)])
def test_wide_standardized_rows(shaders, shape):
    x = np.random.default_rng(5).standard_normal(shape).astype(np.float32) * 3 + 7
    exact = x.astype(np.float64)
    centred = exact - exact.mean(1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    norm = webtorch.nn.functional.layer_norm(on_gpu(x), shape[1:])
    np.testing.assert_allclose((norm * 2).numpy(), scaled * 2, rtol=1e-4, atol=1e-5)
    root = exact / np.sqrt((exact**2).mean(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(webtorch.nn.functional.rms_norm(on_gpu(x), shape[1:], eps=1e-3).numpy(), root, rtol=1e-5)
    assert "standardize_wide" in shaders
