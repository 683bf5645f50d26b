"""Deterministic algorithms: the same bits in every run, also where many values meet in one place."""

import itertools

import numpy as np
import pytest

import webtorch
from webtorch.ops import ordered

pytestmark = pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")

SHAPES = [  # result, dims that are indexed, shape of the indices
    ((5,), (0,), (40,)),
    ((3, 4), (0,), (33,)),
    ((4, 3, 5), (1,), (2, 9)),
    ((4, 3, 5), (0, 2), (50,)),
    ((3, 4), (0, 1), (300,)),
    ((1, 2), (0,), (1,)),
    ((7, 2), (0,), (129,)),
]


@pytest.fixture
def deterministic():
    webtorch.use_deterministic_algorithms(True)
    yield
    webtorch.use_deterministic_algorithms(False)


@pytest.fixture(params=["small", "sorted"])
def path(request, monkeypatch):
    if request.param == "sorted":
        monkeypatch.setattr(ordered, "SMALL", 0)
    return request.param


def arguments(shape, dims, index_shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    old = rng.integers(-9, 9, shape).astype(dtype)
    rest = tuple(size for dim, size in enumerate(shape) if dim not in dims)
    value = rng.integers(-99, 99, (*index_shape, *rest)).astype(dtype)
    indices = [rng.integers(0, shape[dim], index_shape) for dim in dims]
    return old, value, indices


def expected(old, value, indices, dims, accumulate):
    result = old.copy()
    target = np.transpose(result, (*dims, *(dim for dim in range(old.ndim) if dim not in dims)))
    if accumulate:
        np.add.at(target, tuple(indices), value)
    else:
        for at in itertools.product(*map(range, indices[0].shape)):
            target[tuple(index[at] for index in indices)] = value[at]
    return result


def result_of(old, value, indices, dims, accumulate):
    tensors = [slice(None)] * old.ndim
    for dim, index in zip(dims, indices, strict=True):
        tensors[dim] = webtorch.tensor(index, device="webgpu")
    together = list(dims) == list(range(dims[0], dims[-1] + 1))  # else the indexed dimensions of the values come first
    inner = range(dims[0], dims[0] + indices[0].ndim)
    placed = np.moveaxis(value, range(indices[0].ndim), inner) if together else value
    x = webtorch.tensor(old, device="webgpu")
    keys = tuple(None if isinstance(key, slice) else key for key in tensors)
    return webtorch.index_put(
        x, keys, webtorch.tensor(np.ascontiguousarray(placed), device="webgpu"), accumulate
    ).numpy()


@pytest.mark.gpu
@pytest.mark.parametrize("accumulate", [True, False])
@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_storing_and_adding_in_order(case, accumulate, path, deterministic):
    """Whole numbers, so that sums are exact: of several stored values the last stays, as in numpy's own loop."""
    shape, dims, index_shape = case
    for dtype in (np.float32, np.float16) if accumulate else (np.float32, np.int32, np.uint8, np.float16):
        given = arguments(shape, dims, index_shape, dtype)
        np.testing.assert_array_equal(result_of(*given, dims, accumulate), expected(*given, dims, accumulate))


@pytest.mark.gpu
def test_special_values_stay_in_their_rows(path, deterministic):
    value = webtorch.tensor([[np.inf, 1.0], [np.nan, 2.0], [3.0, -np.inf], [4.0, 5.0]], device="webgpu")
    at = webtorch.tensor([2, 0, 2, 1], device="webgpu")
    got = webtorch.zeros(4, 2, device="webgpu").index_add(0, at, value).numpy()
    np.testing.assert_array_equal(got, [[np.nan, 2], [4, 5], [np.inf, -np.inf], [0, 0]])


@pytest.mark.gpu
def test_the_same_bits_every_time_and_near_the_exact_sum(path, deterministic):
    rng = np.random.default_rng(3)
    value = (rng.standard_normal(3000) * 10.0 ** rng.uniform(-4, 4, 3000)).astype(np.float32)
    at = rng.integers(0, 7, 3000)
    runs = set()
    for _ in range(3):
        x = webtorch.zeros(7, device="webgpu").index_add(
            0, webtorch.tensor(at, device="webgpu"), webtorch.tensor(value, device="webgpu")
        )
        runs.add(x.numpy().tobytes())
    assert len(runs) == 1
    exact, size = np.zeros(7), np.zeros(7)
    np.add.at(exact, at, value.astype(np.float64))
    np.add.at(size, at, np.abs(value))
    assert (np.abs(np.frombuffer(runs.pop(), np.float32) - exact) <= 12 * 2.0**-24 * size).all()  # 12 levels of a tree


@pytest.mark.gpu
def test_gradients_of_reading_at_repeated_places(path, deterministic):
    rng = np.random.default_rng(4)
    at, cotangent = rng.integers(0, 5, (6, 7)), rng.standard_normal((6, 7, 3)).astype(np.float32)
    weight = webtorch.zeros(5, 3, device="webgpu", requires_grad=True)
    found = []
    for read in (lambda: weight[webtorch.tensor(at, device="webgpu")],
                 lambda: webtorch.nn.functional.embedding(webtorch.tensor(at, device="webgpu"), weight)):  # fmt: skip
        weight.grad = None
        read().backward(webtorch.tensor(cotangent, device="webgpu"))
        found.append(weight.grad.numpy())
    exact = np.zeros((5, 3))
    np.add.at(exact, at, cotangent.astype(np.float64))
    np.testing.assert_allclose(found[0], exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.gpu
def test_nothing_warns_or_raises(deterministic, recwarn):
    at = webtorch.tensor([0, 0], device="webgpu")
    for options in ({}, {"warn_only": True}):
        webtorch.use_deterministic_algorithms(True, **options)
        assert webtorch.zeros(2, device="webgpu").index_add(0, at, webtorch.ones(2, device="webgpu")).tolist() == [2, 0]
        assert webtorch.zeros(2, 2, device="webgpu").scatter_add(
            0, at.reshape(1, 2), webtorch.ones(1, 2, device="webgpu")
        ).tolist() == [[1, 1], [0, 0]]  # fmt: skip
    assert not [warning for warning in recwarn if "determin" in str(warning.message)]


@pytest.mark.gpu
def test_under_vmap(path, deterministic):
    at = webtorch.tensor([[0, 1, 0], [2, 2, 2]], device="webgpu")
    value = webtorch.arange(6.0, device="webgpu").reshape(2, 3)
    got = webtorch.vmap(lambda a, v: webtorch.zeros(3, device="webgpu").index_add(0, a, v))(at, value)
    assert got.tolist() == [[2, 1, 0], [0, 0, 12]]
