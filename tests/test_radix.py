"""Sorting on a GPU, against numpy's stable sort: every dtype, every way of doing it, sizes around those where it changes."""

import dataclasses

import numpy as np
import pytest

import webtorch
from webtorch import debug, engine, radix
from webtorch.backends.wgpu import get_device
from webtorch.ops import TABLE
from webtorch.ops.sort import count, move, rank

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")]
NAN, INF = float("nan"), float("inf")
HARD = np.array([NAN, -NAN, INF, -INF, 0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 3e38], np.float32)
NARROW = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32, "int64": np.int64}
DTYPES = ("float32", "float16", "bfloat16", "bool", *NARROW)
WAYS = {
    "rank": radix.Way(True),
    "digits of 3": radix.Way(False, 3, 50),
    "digits of 8": radix.Way(False, 8, 300),
    "tiles": radix.Way(False, 4, 512, True),
    "tiles of 3": radix.Way(False, 3, 256, True),
}


@pytest.fixture
def forced(monkeypatch):
    def force(way):
        monkeypatch.setattr(radix, "way", lambda extent, limits: way)

    return force


def sample(name: str, shape: tuple, seed: int = 0) -> np.ndarray:
    """Numbers with many equal ones, and all that is special."""
    rng = np.random.default_rng(seed)
    if name == "bool":
        return rng.random(shape) < 0.5
    if name in NARROW:
        info = np.iinfo(name)
        few = np.array([info.min, info.max, 0, 1, 2, info.max // 2 + 1], name)
        return np.where(rng.random(shape) < 0.5, rng.choice(few, shape), rng.integers(info.min, info.max, shape, name))
    numbers = rng.standard_normal(shape) * 10.0 ** rng.integers(-40, 38, shape)
    kind = np.float64 if name == "float64" else np.float32
    special = np.where(rng.random(shape) < 0.5, rng.choice(HARD, shape), np.round(rng.standard_normal(shape) * 3))
    return np.where(rng.random(shape) < 0.5, special, numbers).astype(kind)


def expected(array: np.ndarray, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(array, -1, kind="stable")
    return array.shape[-1] - 1 - np.flip(np.argsort(np.flip(array, -1), -1, kind="stable"), -1)


def check(array: np.ndarray, dtype: str | None = None) -> None:
    x = webtorch.tensor(array, device="webgpu")
    if dtype is not None:
        x = x.to(getattr(webtorch, dtype))
        array = x.float().numpy()
    for descending in (False, True):
        values, indices = webtorch.sort(x, -1, descending)
        order = expected(array, descending)
        np.testing.assert_array_equal(indices.numpy(), order)
        assert values.dtype is x.dtype and indices.dtype is webtorch.int64
        got, wanted = (values.float() if dtype else values).numpy(), np.take_along_axis(array, order, -1)
        np.testing.assert_array_equal(got, wanted)
        if wanted.dtype.kind == "f":  # -0 and +0 stay what they were
            numbers = ~np.isnan(wanted)
            np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_in_every_way(forced, way, name):
    forced(WAYS[way])
    if way in ("tiles", "tiles of 3") and get_device().limits.max_workgroup_invocations < 64:
        forced(WAYS["digits of 3"])
    if name in ("float16", "bfloat16"):
        check(sample("float32", (3, 700)), name)
    else:
        check(sample(name, (3, 700)))


@pytest.mark.parametrize("way", WAYS)
def test_sizes_in_every_way(forced, way):
    forced(WAYS[way])
    for extent in (1, 2, 50, 51, 256, 257, 511, 512, 513, 1025):
        check(sample("float32", (2, extent), extent))


@pytest.mark.parametrize("gpu", [False, True])
def test_sizes_around_those_where_the_way_changes(gpu, monkeypatch):
    if gpu:
        limits = dataclasses.replace(engine.limits_of(get_device()), is_cpu=False, compiles_slowly=False)
        monkeypatch.setattr(engine, "_limits_cache", (*engine._limits_cache[:2], limits))
    for extent in (1, 2, 48, 49, 127, 128, 512, 513, 2047, 2049, 4095, 4096, 4097):
        check(sample("float32", (3, extent), extent))
    check(sample("int64", (2, 5000)))
    check(sample("float32", (2000, 5)))


def test_doubles(forced):
    if not {"shader-f64", "shader-int64"} <= set(get_device().features):
        with pytest.raises(webtorch.DTypeError, match="use device='cpu'"):
            webtorch.sort(webtorch.ones(3, dtype=webtorch.float64, device="webgpu"))
        return
    near = 1 + np.random.default_rng(0).integers(0, 3, (2, 300)) * 2.0**-52  # differ in their low words only
    for way in WAYS.values():
        forced(way)
        check(sample("float64", (2, 300)) * near)


def test_int64_without_64_bit_integers():
    with get_device().override_limits(without=["shader-int64"]):
        check(sample("int64", (2, 300)))
        check(sample("int64", (3, 40)))


def test_a_million():
    numbers = np.random.default_rng(3).integers(-(1 << 18), 1 << 18, 1_000_003).astype(np.float32)
    with debug.kernels() as ran:
        check(numbers.reshape(1, -1))
    assert len(ran) < 120
    check(np.random.default_rng(4).integers(0, 256, 1_000_003).astype(np.uint8))


def test_views_and_what_is_fused(forced):
    array = sample("float32", (40, 30))
    x = webtorch.tensor(array, device="webgpu")
    for way in ("digits of 3", "tiles"):
        forced(WAYS[way])
        np.testing.assert_array_equal(webtorch.argsort(x.t(), 1).numpy(), expected(array.T, False))
        np.testing.assert_array_equal(webtorch.argsort(x, 0).numpy(), expected(array.T, False).T)
        wanted = np.sort(-array[::3, 5:].astype(np.float32), 1)
        np.testing.assert_array_equal(webtorch.sort(-x[::3, 5:], 1).values.numpy(), wanted)
        assert webtorch.argsort(x[:1].expand(3, 30), 0, descending=True)[:, 0].tolist() == [0, 1, 2]


def test_the_rows_mean_the_same_to_numpy():
    """What WEBTORCH_CHECK compares the kernels with."""
    keys = sample("int32", (3, 200))
    keys[:, ::7] = -1
    keys[:, ::5] = 0
    x = webtorch.tensor(keys, device="webgpu")
    places = webtorch.tensor(np.tile(np.arange(200, dtype=np.int32), (3, 1)), device="webgpu")
    for floats in (False, True):
        attributes = {"shift": 29, "bits": 3, "floats": floats, "chunk": 60, "tiles": False}
        counts = count(x, attributes)
        ends = counts.cumsum(1, dtype=webtorch.int32)
        for result, arrays in (
            (counts, [keys]),
            (move(x, places, ends, attributes), [keys, places.numpy(), ends.numpy()]),
            (rank(x, places, floats), [keys, places.numpy()]),
        ):
            node = result._storage.node
            wanted = node.op.evaluate(node, arrays)
            np.testing.assert_array_equal(result.numpy(), wanted.reshape(result.shape))


def test_keys():
    ordered = np.array([-INF, -3e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 1.0, 3e38, INF, NAN], np.float32)
    for device in ("cpu", "webgpu"):
        keys = TABLE["_sort_key"](webtorch.tensor(ordered, device=device))
        assert keys.dtype is webtorch.int32 and (np.diff(keys.numpy().astype(np.int64)) > 0).all()
        assert keys[4].item() == -1 and keys[5].item() == 0
        assert TABLE["_sort_key"](webtorch.tensor([-NAN], device=device)).item() == (1 << 31) - 1
        back = TABLE["_sorted_number"](keys).numpy()
        np.testing.assert_array_equal(back, ordered)
        assert np.signbit(back[4]) and not np.signbit(back[5])
    with pytest.raises(webtorch.DTypeError):
        TABLE["_sorted_number"](webtorch.ones(2, dtype=webtorch.int64))


def test_under_low_limits():
    """What takes more bindings than there are is computed another way."""
    with get_device().override_limits(max_binding_size=65536, max_storage_buffers=4, max_workgroup_invocations=64):
        check(sample("float32", (2, 3000)))
        check(sample("float32", (300, 20)))


def test_reproducible_sorting():
    webtorch.webgpu.set_reproducible(True)
    try:
        numbers = np.round(np.random.default_rng(0).standard_normal((2, 3000)) * 9).astype(np.float32)
        check(numbers)
    finally:
        webtorch.webgpu.set_reproducible(False)
