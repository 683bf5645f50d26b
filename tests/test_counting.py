"""Searching, grouping, counting, reducing at indices: as PyTorch has them, on both devices."""

import numpy as np
import pytest
from programs import Programs, error

import webtorch

program = Programs("counting")
NAN, INF = float("nan"), float("inf")


@program
def searching(m):
    rows = m.tensor(np.sort(np.random.default_rng(1).integers(0, 9, (2, 3, 6)), -1).astype(np.float32))
    values = m.tensor(np.random.default_rng(2).integers(-1, 10, (2, 3, 4)).astype(np.float32))
    edges = m.tensor([1, 3, 3, 7])
    for right in (False, True):
        yield m.searchsorted(rows, values, right=right), m.searchsorted(edges, m.tensor([[3, 0], [9, 7]]), right=right)
        yield (
            m.bucketize(values, m.tensor([1.0, 4.5, 4.5]), right=right, out_int32=True),
            m.searchsorted(edges, 3, right=right),
        )
        yield m.searchsorted(m.tensor([1.0, 2.0, NAN, NAN]), m.tensor([NAN, 2.0, -INF, INF]), right=right)
    yield (
        m.searchsorted(edges, m.tensor([3]), side="right"),
        m.searchsorted(edges, 6.5),
        m.bucketize(m.tensor([1, 2]), m.tensor([0.5, 1.5])),
    )
    mixed = m.tensor([5.0, 1.0, 3.0])
    yield m.searchsorted(mixed, m.tensor([2.0, 5.0]), sorter=m.tensor([1, 2, 0]))
    yield m.searchsorted(m.zeros(0), m.tensor([2.0])), m.searchsorted(edges, m.zeros(0, 2, dtype=m.int64)).shape[1]
    yield (
        m.searchsorted(edges, m.tensor([3, 9]), out=m.zeros(2, dtype=m.int64)),
        m.searchsorted(rows[:, :, :5], rows[:, :, 5:]),
    )
    yield error(RuntimeError, "opposites", lambda: m.searchsorted(edges, 3, side="left", right=True))
    yield error(RuntimeError, "can only be 'left' or 'right'", lambda: m.searchsorted(edges, 3, side="up"))
    yield error(RuntimeError, "positive dimension", lambda: m.searchsorted(m.tensor(1), m.tensor([1])))
    yield error(RuntimeError, "should be 1 dimension or the first N-1", lambda: m.searchsorted(rows, values[0]))
    yield error(RuntimeError, "can be a scalar only when", lambda: m.searchsorted(rows, 3.0))
    yield error(RuntimeError, "must have the same size", lambda: m.searchsorted(mixed, mixed, sorter=m.tensor([1, 2])))
    yield error(
        RuntimeError, "long dtype", lambda: m.searchsorted(mixed, mixed, sorter=m.tensor([1, 2, 0], dtype=m.int32))
    )
    yield error(RuntimeError, "must be 1 dimension", lambda: m.bucketize(values, rows))


@program
def histograms(m):
    x = m.tensor(np.random.default_rng(3).normal(size=(40,)).astype(np.float32))
    weight = m.tensor(np.random.default_rng(4).random(40).astype(np.float32))
    for given in ({"bins": 5}, {"bins": 4, "range": (-1.0, 1.0)}, {"bins": m.tensor([-1.0, 0.0, 0.25, 2.0])}):
        for density in (False, True):
            yield (
                list(m.histogram(x, **given, density=density)),
                list(m.histogram(x, **given, weight=weight, density=density)),
            )
    edge = m.tensor([0.0, 1.0, 2.0, 3.0, 3.0, -0.5, 3.5])
    yield list(m.histogram(edge, 3, range=(0.0, 3.0))), list(m.histogram(edge[:1], 2)), list(m.histogram(m.zeros(0), 3))
    yield list(m.histogram(m.tensor([1.0, NAN, INF]), 2, range=(0.0, 1.0)))
    points = m.tensor(np.random.default_rng(5).random((30, 2)).astype(np.float32))
    for bins in ([2, 3], 2, [m.tensor([0.0, 0.5, 1.0]), m.tensor([0.0, 1.0])]):
        hist, edges = m.histogramdd(points, bins)
        yield hist, list(edges)
    yield m.histogramdd(points, [2, 2], range=[0.0, 1.0, 0.0, 0.5], weight=weight[:30], density=True).hist
    yield error(RuntimeError, "bins must be > 0", lambda: m.histogram(x, 0))
    yield error(RuntimeError, "is not finite", lambda: m.histogram(m.tensor([1.0, NAN]), 3))
    yield error(RuntimeError, "min should not exceed max", lambda: m.histogram(x, 3, range=(2.0, 1.0)))
    yield error(RuntimeError, "should have the same shape", lambda: m.histogram(x, 3, weight=weight[:1]))


@program
def groups(m):
    x = m.tensor([[3, 1, 1], [2, 3, 3]])
    y = m.tensor([[1.0, 2.0, 1.0], [1.0, 2.0, 1.0], [0.0, 5.0, 1.0], [1.0, 2.0, 1.0]])
    for values in (x, y, x > 2, m.tensor([3.0, 1.0, NAN, 1.0, NAN]), m.zeros(0), m.tensor(2)):
        for function in (m.unique, m.unique_consecutive):
            yield (
                function(values),
                list(function(values, return_inverse=True, return_counts=True)),
                list(function(values, return_counts=True)),
            )
    for dim in (0, 1, -1):
        yield list(m.unique(y, dim=dim, return_inverse=True, return_counts=True))
        yield list(m.unique_consecutive(y, dim=dim, return_inverse=True, return_counts=True))
    yield list(m.unique(m.zeros(0, 3), dim=0, return_counts=True)), list(x.unique(sorted=False, return_inverse=True))
    yield error(RuntimeError, "0 sized dimensions", lambda: m.unique(m.zeros(0, 3), dim=1))
    yield error(IndexError, "", lambda: m.unique(x, dim=2))


@program
def modes(m):
    x = m.tensor(np.random.default_rng(6).integers(0, 3, (3, 4, 5)).astype(np.float32))
    for dim in (0, 1, -1):
        yield m.mode(x, dim).values, m.mode(x, dim, True).values
    yield (
        list(m.mode(m.tensor([[1, 2, 2, 1], [3, 3, 1, 1]]))),
        list(m.mode(m.tensor([True, False, True]))),
        list(m.mode(m.tensor(4.0))),
    )
    yield m.mode(m.tensor([5.0, NAN, NAN, 5.0])).values
    leaf = m.tensor([[1.0, 2.0, 2.0]]).requires_grad_()
    (m.mode(leaf).values * 3).sum().backward()
    yield leaf.grad.sum()
    yield error(IndexError, "non-zero size", lambda: m.mode(m.zeros(0)))


@program
def reductions_at_indices(m):
    rng = np.random.default_rng(7)
    for kind in (m.float32, m.int32, m.int64, m.uint8):
        x = m.tensor(rng.integers(1, 5, (3, 4))).to(kind)
        src = m.tensor(rng.integers(1, 6, (3, 5))).to(kind)
        index = m.tensor(rng.integers(0, 4, (3, 5)))
        for how in ("sum", "prod", "mean", "amax", "amin"):
            for include in (True, False):
                yield m.scatter_reduce(x, 1, index, src, how, include_self=include)
                yield x.clone().scatter_reduce_(0, index[:2, :4].clamp(max=2), src, how, include_self=include)
                if how != "sum":
                    rows = m.tensor([2, 0, 2])
                    yield m.index_reduce(x, 1, rows, src[:, :3], how, include_self=include)
                    yield x.clone().index_reduce_(0, rows, src[:, :4], how, include_self=include)
    special = m.tensor([1.0, NAN, INF, -INF])
    for how in ("prod", "amax", "amin"):
        yield (
            m.zeros(3).scatter_reduce(0, m.tensor([0, 0, 1, 2]), special, how),
            m.tensor(2.0).scatter_reduce(0, m.tensor(0), m.tensor(3.0), how),
        )
    x, index = m.zeros(3), m.tensor([0, 1])
    yield error(
        RuntimeError, "must be either sum, prod, mean, amax or amin", lambda: x.scatter_reduce(0, index, x, "add")
    )
    yield error(RuntimeError, "one of prod, mean, amax or amin", lambda: x.index_reduce(0, index, x[:2], "sum"))
    yield error(RuntimeError, "", lambda: x.scatter_reduce(0, index, x[:1], "sum"))
    yield error(RuntimeError, "", lambda: x.scatter_reduce(0, index, x.long(), "sum"))


@program
def gradients_at_indices(m):
    rng = np.random.default_rng(8)
    index = m.tensor(rng.integers(0, 4, (3, 5)))
    for how in ("sum", "prod", "mean", "amax", "amin"):
        for include in (True, False):
            x = m.tensor(rng.integers(7, 9, (3, 4)).astype(np.float32)).requires_grad_()
            start = rng.integers(1, 4, (3, 5)).astype(np.float32)
            start[0, 1] = 0 if how == "prod" else start[0, 1]
            src = m.tensor(start).requires_grad_()
            result = m.scatter_reduce(x, 1, index, src, how, include_self=include)
            (result * m.arange(12, dtype=m.float32).reshape(3, 4)).sum().backward()
            yield x.grad, src.grad
    x, src = m.tensor([1.0, 2.0, 3.0], requires_grad=True), m.tensor([2.0, 3.0, 5.0], requires_grad=True)
    result = m.index_reduce(x, 0, m.tensor([1, 1, 2]), src, "prod")
    first = m.autograd.grad((result * result).sum(), (x, src), create_graph=True)
    yield list(m.autograd.grad((first[0] * first[1]).sum(), (x, src)))


@program
def masks(m):
    x, mask = m.arange(6, dtype=m.float32).reshape(2, 3), m.tensor([[True, False, True], [False, True, False]])
    source = m.tensor([10.0, 20.0, 30.0, 40.0])
    yield (
        m.masked_scatter(x, mask, source),
        x.clone().masked_scatter_(mask[0], source),
        m.masked_scatter(x, mask, source.reshape(2, 2)),
    )
    leaf, values = x.clone().requires_grad_(), source.clone().requires_grad_()
    (m.masked_scatter(leaf, mask, values) * (x + 1)).sum().backward()
    yield leaf.grad, values.grad
    yield error(RuntimeError, "< number of ones in mask", lambda: m.masked_scatter(x, mask, source[:2]).tolist())
    yield error(RuntimeError, "boolean masks", lambda: m.masked_scatter(x, mask.int(), source))


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


def test_search_of_many(device):
    rng = np.random.default_rng(9)
    rows, values = np.sort(rng.integers(0, 50, (3, 700)), -1), rng.integers(-5, 55, (3, 900))
    found = webtorch.searchsorted(
        webtorch.tensor(rows, device=device), webtorch.tensor(values, device=device), right=True
    )
    wanted = np.stack([np.searchsorted(row, value, "right") for row, value in zip(rows, values, strict=True)])
    assert np.array_equal(found.numpy(), wanted)


def test_edges_as_numpy_has_them(device):
    values = np.random.default_rng(10).random(300).astype(np.float32)
    hist, edges = webtorch.histogram(webtorch.tensor(values, device=device), 7, range=(0.0, 1.0))
    wanted = np.histogram(values, edges.numpy())
    assert np.array_equal(hist.numpy(), wanted[0]) and np.allclose(edges.numpy(), np.linspace(0, 1, 8))


def test_unique_of_many(device):
    values = np.random.default_rng(11).integers(-300, 300, 900)
    found = webtorch.unique(webtorch.tensor(values, device=device), return_inverse=True, return_counts=True)
    for ours, wanted in zip(found, np.unique(values, return_inverse=True, return_counts=True), strict=True):
        assert np.array_equal(ours.numpy(), wanted)


@pytest.mark.gpu
def test_sorted_runs_combine_in_a_fixed_order():
    """With deterministic algorithms products of floats are made in the order of the values, bit for bit."""
    rng = np.random.default_rng(12)
    values, places = rng.normal(size=200).astype(np.float32), rng.integers(0, 5, 200)
    wanted = np.ones(5, np.float32)
    for place in range(5):
        wanted[place] = np.prod(values[places == place], dtype=np.float64)
    webtorch.use_deterministic_algorithms(True)
    try:
        results = [
            webtorch.ones(5, device="webgpu").scatter_reduce(
                0, webtorch.tensor(places, device="webgpu"), webtorch.tensor(values, device="webgpu"), "prod"
            )
            for _ in range(2)
        ]
    finally:
        webtorch.use_deterministic_algorithms(False)
    assert webtorch.equal(*results) and np.allclose(results[0].numpy(), wanted, rtol=1e-4, atol=0)


def test_vmap(device):
    rows = webtorch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], device=device)
    found = webtorch.vmap(webtorch.searchsorted)(rows, rows + 0.5)
    assert found.tolist() == [[1, 2, 3], [1, 2, 3]]
    index = webtorch.tensor([0, 0, 1], device=device)
    found = webtorch.vmap(lambda row: webtorch.zeros(2, device=device).scatter_reduce(0, index, row, "amax"))(rows)
    assert found.tolist() == [[2.0, 3.0], [5.0, 6.0]]
