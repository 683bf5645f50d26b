"""Elementwise kernels that read transposed operands in blocks of 4 x 4: the values of numpy, and the blocks where they fit."""

import dataclasses

import numpy as np
import pytest

import webtorch
from webtorch import engine, tiles
from webtorch.backends.wgpu import get_device

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["on a CPU", "on a GPU"])
def shaders(request, monkeypatch):
    """Blocks for small results, too, of either kind of adapter; gives the names of the shaders that ran."""
    monkeypatch.setattr(tiles, "FEWEST", 1)
    before = engine._limits_cache
    if request.param == "on a GPU":
        limits = dataclasses.replace(engine.limits_of(get_device()), is_cpu=False, compiles_slowly=False)
        engine._limits_cache = (*engine._limits_cache[:2], limits)
    used: list[str] = []

    def observe(record):
        used.append(record["shader"])

    engine.observers.append(observe)
    yield used
    engine.observers.remove(observe)
    engine._limits_cache = before


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(0).integers(-1000, 1000, shape).astype(dtype)


def on_gpu(array):
    return webtorch.tensor(array, device="webgpu")


@pytest.mark.parametrize("shape", [(32, 32), (64, 96), (36, 300), (300, 36), (40, 1028), (300, 1100)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_transposed(shaders, shape, dtype):
    x = numbers(*shape, dtype=dtype)
    np.testing.assert_array_equal(on_gpu(x).t().contiguous().numpy(), x.T)
    assert "elementwise_tiles" in shaders


@pytest.mark.parametrize(
    "order, found", [((0, 2, 3, 1), True), ((0, 2, 1, 3), False), ((3, 2, 1, 0), True), ((1, 3, 0, 2), False)]
)
def test_permuted(shaders, order, found):
    x = numbers(32, 36, 8, 40)
    np.testing.assert_array_equal(on_gpu(x).permute(order).contiguous().numpy(), x.transpose(order))
    assert ("elementwise_tiles" in shaders) == found


def test_operands_of_all_kinds_beside_a_transposed_one(shaders):
    """Read in step, broadcast along either dimension, transposed twice, reversed, of a narrow type; with long code."""
    x, y, row, column = numbers(64, 96), numbers(96, 64), numbers(64), numbers(96, 1)
    a, b, c, d = (on_gpu(array) for array in (x, y, row, column))
    narrow = on_gpu(y.astype(np.float16))
    got = (a.t() * 2 + b - c + d + narrow + b.flip(0) + a.t().flip(1)).numpy()
    np.testing.assert_array_equal(got, x.T * 2 + y - row + column + y + y[::-1] + x.T[:, ::-1])
    for function in (webtorch.tanh, webtorch.lgamma, webtorch.sin):  # written out, or in loops
        got = function(a.t() / 500) + b
        np.testing.assert_array_equal(got.numpy(), (function((a / 500).contiguous()).t() + b).numpy())
    assert shaders.count("elementwise_tiles") >= 4


def test_several_results_of_one_kernel(shaders):
    x, y = numbers(64, 32), numbers(32, 64)
    a, b = on_gpu(x), on_gpu(y)
    first, second, third = a.t() + b, a.t() * b > 0, (a.t() - b).half()
    np.testing.assert_array_equal(first.numpy(), x.T + y)
    np.testing.assert_array_equal(second.numpy(), x.T * y > 0)
    np.testing.assert_array_equal(third.numpy(), (x.T - y).astype(np.float16))


@pytest.mark.parametrize("rows, columns, begin", [(33, 32, 0), (32, 33, 0), (32, 36, 1), (32, 31, 4), (64, 64, 4)])
def test_where_blocks_do_not_fit(shaders, rows, columns, begin):
    """Dimensions or an offset that are no multiples of four: read one element at a time, or in blocks, but rightly."""
    memory = numbers(8192)
    view = on_gpu(memory).as_strided((rows, columns), (columns, 1), begin)
    expected = np.lib.stride_tricks.as_strided(memory[begin:], (rows, columns), (columns * 4, 4)).T
    np.testing.assert_array_equal(view.t().contiguous().numpy(), expected)
    assert ("elementwise_tiles" in shaders) == (rows % 4 == columns % 4 == begin % 4 == 0)


def test_a_transposed_sum_is_turned_as_it_is_computed(shaders):
    x, y = numbers(40, 64), numbers(40, 64)
    np.testing.assert_array_equal(((on_gpu(x) + on_gpu(y)).t() * 3).numpy(), (x + y).T * 3)
    assert "elementwise_tiles" in shaders


def test_types_of_other_sizes(shaders):
    for dtype in (np.float16, np.uint8, np.int64, np.bool_):
        x = numbers(64, 96).astype(dtype)
        np.testing.assert_array_equal(on_gpu(x).t().contiguous().numpy(), x.T)


def test_a_large_one():
    x = numbers(260, 1024)
    np.testing.assert_array_equal(on_gpu(x).t().contiguous().numpy(), x.T)
