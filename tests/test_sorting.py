"""Sorting: values, positions and gradients as PyTorch has them, on both devices; long rows against numpy."""

import numpy as np
import pytest
from programs import Programs, error

import webtorch

program = Programs("sorting")
NAN, INF = float("nan"), float("inf")


@program
def orders(m):
    x = m.tensor(np.random.default_rng(8).integers(-4, 5, (3, 7)).astype(np.float32))
    hard = m.tensor([1.0, NAN, -INF, 1.0, INF, -0.0, NAN, 0.0, 1.0])
    for values, dim in (
        (x, 1),
        (x, 0),
        (hard, 0),
        (m.tensor([3, 1, 2, 1, 3]), -1),
        (x > 0, 1),
        (m.zeros(2, 0), 1),
        (x[:, :1], 1),
    ):
        for descending in (False, True):
            yield list(m.sort(values, dim=dim, descending=descending, stable=True))
            yield m.argsort(values, dim=dim, descending=descending, stable=True)
    yield m.msort(x), list(m.tensor(3.0).sort())


@program
def selections(m):
    x = m.tensor(np.random.default_rng(9).permutation(40).astype(np.float32).reshape(4, 10))
    for k in (1, 3, 10):
        yield list(m.topk(x, k)), list(x.topk(k, largest=False)), list(m.kthvalue(x, k)), list(x.kthvalue(1, 0, True))
    yield list(x.topk(0)), m.median(x), list(m.median(x, 1)), list(x.median(0, True)), m.median(m.tensor([2, 1]))
    y = m.tensor([[1.0, NAN, 3.0, NAN], [4.0, 3.0, 2.0, 1.0]])
    yield list(y.median(1)), y.median(), m.median(m.zeros(0)), list(m.kthvalue(y, 3))
    yield error(RuntimeError, "out of range", lambda: m.topk(x, 11))
    yield error(RuntimeError, "out of range", lambda: m.kthvalue(x, 0))
    yield error(IndexError, "", lambda: m.sort(x, 2))


@program
def fractions(m):
    x = m.tensor(np.random.default_rng(9).permutation(20).astype(np.float32).reshape(4, 5))
    holes = m.tensor([[1.0, NAN, 3.0, 7.0], [4.0, 3.0, 2.0, 1.0], [NAN, NAN, NAN, NAN], [5.0, INF, INF, NAN]])
    q = m.tensor([0.0, 0.3, 0.5, 0.875, 1.0])
    for function in (m.quantile, m.nanquantile):
        for values in (x, holes):
            yield (
                function(values, q),
                function(values, 0.4, 1),
                function(values, q, 0, True),
                function(values, q[1], keepdim=True),
            )
        for interpolation in ("lower", "higher", "midpoint", "nearest"):
            yield function(x, q, 1, interpolation=interpolation)
    yield m.nanmedian(holes), list(m.nanmedian(holes[:2], 1)), m.nanmedian(holes, 1, True).values
    yield m.nanmedian(m.tensor([3, 1])), m.quantile(m.tensor(3.0), 0.2)
    leaf = x.clone().requires_grad_()
    (m.quantile(leaf, q, 1) * (m.arange(20).reshape(5, 4) + 1)).sum().backward()
    yield leaf.grad
    yield error(RuntimeError, "range [0, 1]", lambda: m.quantile(x, 1.5))
    yield error(RuntimeError, "non-empty", lambda: m.quantile(m.zeros(0), 0.5))


@program
def gradients(m):
    x = m.tensor(np.random.default_rng(9).permutation(20).astype(np.float32).reshape(4, 5))
    weights = m.arange(20, dtype=m.float32).reshape(4, 5) + 1
    for made in (lambda t: (t.sort(1).values * weights).sum(), lambda t: (t.topk(2, 0).values * weights[:2]).sum(),
                 lambda t: (t.kthvalue(2).values * weights[:, 0]).sum(), lambda t: t.median() * 3):  # fmt: skip
        leaf = x.clone().requires_grad_()
        made(leaf).backward()
        yield leaf.grad


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


def test_long_rows(device):
    array = np.random.default_rng(3).integers(0, 300, (2, 700)).astype(np.float32)
    values, indices = webtorch.sort(webtorch.tensor(array, device=device), 1)
    assert np.array_equal(indices.numpy(), np.argsort(array, 1, kind="stable")) and np.array_equal(
        values.numpy(), np.sort(array, 1)
    )
