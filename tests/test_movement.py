"""Shape and movement: values and gradients as PyTorch has them, on both devices, and what is refused."""

import numpy as np
import pytest
from programs import Programs, error

import webtorch
from webtorch.autograd import gradcheck
from webtorch.errors import ShapeError

program = Programs("movement")


def ramp(m, *shape):
    return m.arange(int(np.prod(shape)), dtype=m.float32).reshape(shape)


def gradient(m, x, function):
    """The gradient of a weighted sum of what `function` makes of x, every element with a weight of its own."""
    x = x.clone().requires_grad_()
    made = function(x)
    total = sum(
        (part * (m.arange(part.numel(), dtype=m.float32).reshape(part.shape) + 1)).sum()
        for part in (made if isinstance(made, (tuple, list)) else [made])
    )
    total.backward()
    return x.grad


@program
def strided(m):
    x = ramp(m, 3, 4)
    yield (
        m.as_strided(x, (3, 2), (1, 2)),
        x.as_strided((2, 2), (4, 1), 5),
        x[1].as_strided((2,), (1,)),
        x.t().as_strided((), ()),
    )
    yield (
        gradient(m, x, lambda t: m.as_strided(t, (4, 3), (1, 2))),
        gradient(m, x, lambda t: t.t().as_strided((2, 3), (4, 1), 2)),
    )
    y = m.zeros(6)
    y.as_strided((3,), (2,)).fill_(1)
    yield y, m.as_strided_scatter(x, -m.ones(2, 2), (2, 2), (4, 2), 1)


@program
def geometry(m):
    x = ramp(m, 2, 3, 4)
    yield (
        m.adjoint(x),
        x.adjoint(),
        m.ravel(x.transpose(0, 2)),
        x[0].ravel(),
        m.tensor(3.0).ravel(),
        m.zeros(0, 2).ravel(),
    )
    yield m.unflatten(x, 2, (2, -1)), x.unflatten(-1, (2, 2, 1)), m.narrow_copy(x, 1, -2, 2), x.fliplr(), m.flipud(x)
    for k in range(-2, 5):
        yield m.rot90(x, k), m.rot90(x, k, (1, 2)), x.rot90(k, [2, 0])
    yield gradient(m, x, lambda t: m.rot90(t, 1, (0, 2))), gradient(m, x, lambda t: t.unflatten(2, (2, 2)).fliplr())


@program
def rolled(m):
    x = ramp(m, 2, 3, 4)
    yield m.roll(x, 5), m.roll(x, 1, 1), x.roll((1, -1), (0, 2)), x.roll(-7, -1), m.roll(x, 0), m.roll(m.tensor(1), 3)
    yield m.roll(x, (1, 1), (1, 1)), m.roll(m.zeros(0), 1), m.roll(m.zeros(2, 0), 1, 0), m.roll(x > 4, 2, 2)
    yield gradient(m, x, lambda t: m.roll(t, (1, 2), (1, 2)))


@program
def repeated(m):
    x = ramp(m, 2, 3)
    yield m.tile(x, (2,)), x.tile(2, 1), x.tile((2, 1, 2)), m.tile(m.tensor(4), (3,)), m.tile(x, ()), x.tile((0, 1))
    yield (
        m.repeat_interleave(x, 2),
        x.repeat_interleave(3, dim=1),
        x.repeat_interleave(2, 0),
        m.repeat_interleave(x, 0, 1),
    )
    yield (
        x.repeat_interleave(m.tensor([1, 2, 0]), dim=1),
        m.repeat_interleave(m.tensor([2, 0, 1])),
        m.repeat_interleave(x, m.tensor(2), 0),
    )
    yield m.repeat_interleave(x, m.tensor([0, 3]), 0, output_size=3), m.repeat_interleave(m.tensor(5), 2)
    yield (
        gradient(m, x, lambda t: t.tile((2, 2))),
        gradient(m, x, lambda t: t.repeat_interleave(m.tensor([1, 2, 0]), dim=1)),
    )
    yield gradient(m, x, lambda t: t.repeat_interleave(2, dim=0))


@program
def pieces(m):
    x = ramp(m, 4, 6, 2)
    for parts in (m.tensor_split(x, 3), x.tensor_split(4, 1), x.tensor_split((1, 3), 1), x.tensor_split([-2, 9, 1], 1),
                  m.tensor_split(x, m.tensor([2, 3])), x.hsplit(3), m.hsplit(x[:, 0, 0], [1]), m.vsplit(x, 2), x.vsplit([1, 2]),
                  x.dsplit(2), m.dsplit(x, (1,)), x.split_with_sizes([1, 5], 1), m.tensor_split(m.arange(2), 5)):  # fmt: skip
        yield tuple(part.clone() for part in parts)
    yield gradient(m, x, lambda t: t.tensor_split((1, 3), 1))


@program
def joined(m):
    a, b, s = ramp(m, 2, 3), -ramp(m, 2, 3), m.tensor(7.0)
    v, w = m.tensor([1, 2]), m.tensor([3, 4])
    yield (
        m.hstack((a, b)),
        m.hstack([v, w]),
        m.hstack([s, s]),
        m.vstack([a, b]),
        m.vstack([v, w]),
        m.vstack((s, s)),
        m.row_stack([v, w]),
    )
    yield (
        m.dstack([a, b]),
        m.dstack([v, w]),
        m.dstack([s, s]),
        m.column_stack([v, a[:, :1].long(), w]),
        m.column_stack((s, s)),
    )
    yield (
        m.block_diag(a, s, b[:, :1]),
        m.block_diag(v),
        m.block_diag(v, m.zeros(0, 2, dtype=m.int64), w),
        m.block_diag(),
    )
    yield (
        m.atleast_1d(s),
        m.atleast_2d(s),
        m.atleast_3d(s),
        m.atleast_2d(v),
        m.atleast_3d(v),
        m.atleast_3d(a),
        m.atleast_1d(a),
    )
    yield m.atleast_2d(v, s), m.atleast_1d([v, s])
    yield gradient(m, a, lambda t: m.block_diag(t, t * 2)), gradient(m, a, lambda t: m.dstack([t, t * 3]))
    yield gradient(m, a, lambda t: m.column_stack([t[:, 0], t]))


@program
def grids(m):
    a, b, c = m.tensor([1, 2, 3]), m.tensor([4, 5]), m.tensor([6, 7])
    for indexing in ("ij", "xy"):
        yield (
            m.meshgrid(a, indexing=indexing),
            m.meshgrid(a, b, indexing=indexing),
            m.meshgrid([a, b, c], indexing=indexing),
        )
        yield m.meshgrid(a, m.tensor(9), indexing=indexing)
    yield m.cartesian_prod(a), m.cartesian_prod(a, b), m.cartesian_prod(a, b, c)
    yield (
        m.combinations(a),
        m.combinations(a, 2, True),
        m.combinations(a, 3),
        m.combinations(b, 3),
        m.combinations(a, r=1),
    )
    yield (
        m.combinations(a, 0),
        m.tril_indices(3, 4),
        m.tril_indices(3, 2, 1),
        m.triu_indices(3, 4, -1),
        m.triu_indices(2, 2, 5),
    )
    yield m.tril_indices(0, 2), m.triu_indices(3, 3, dtype=m.int32)
    yield (
        gradient(m, ramp(m, 3), lambda t: m.cartesian_prod(t, t * 2)),
        gradient(m, ramp(m, 4), lambda t: m.combinations(t, 2)),
    )


@program
def diagonals(m):
    v, x = m.tensor([1.0, float("nan"), 3.0]), ramp(m, 2, 3)
    for offset in (-2, 0, 1):
        yield (
            m.diag(v, offset),
            m.diag(x, offset),
            m.diag_embed(x, offset),
            x.diag_embed(offset, 0, 2),
            x.diagflat(offset),
        )
    yield (
        m.diag_embed(x, 1, 1, 0),
        m.diag_embed(x > 2),
        m.diag(m.zeros(0)),
        m.diagflat(m.tensor(2)),
        m.diag_embed(m.zeros(2, 0), 1),
    )
    yield (
        gradient(m, x, lambda t: m.diag_embed(t, -1)),
        gradient(m, x, lambda t: t.diag(1)),
        gradient(m, x, lambda t: t.diagflat()),
    )


@program
def into_slices(m):
    x, row, column = ramp(m, 3, 4), -m.ones(4), -m.ones(3) * 2
    yield m.select_scatter(x, row, 0, -1), x.select_scatter(column, 1, 2), x.slice_scatter(m.zeros(3, 2), 1, 0, 4, 2)
    yield (
        m.slice_scatter(x, m.zeros(2, 4), start=-2),
        m.diagonal_scatter(x, column),
        x.diagonal_scatter(column[:2], -1),
        x,
    )
    for into in (lambda t: m.select_scatter(t, t[0] * 5, 0, 1), lambda t: m.slice_scatter(t, t[:, :2] * 3, 1, 2),
                 lambda t: m.diagonal_scatter(t, t[:, 0] * 2)):  # fmt: skip
        yield gradient(m, x, into)


@program
def positions(m):
    x, at = ramp(m, 2, 3), m.tensor([[0, 5], [-1, 2]])
    yield (
        m.take(x, at),
        x.t().take(at),
        m.take(x, m.tensor(3)),
        m.argwhere(x > 2),
        (x - 1).argwhere(),
        m.argwhere(m.tensor(3)),
    )
    yield m.unravel_index(m.tensor([[0, 7], [23, 12]]), (2, 3, 4)), gradient(m, x, lambda t: m.take(t, at))


@program
def refused(m):
    x = ramp(m, 2, 3)
    yield error(RuntimeError, "shifts and dimensions must align", lambda: m.roll(x, (1, 2), (0,)))
    yield error(RuntimeError, "not divisible by the split_size 2", lambda: m.hsplit(x, 2))
    yield error(RuntimeError, "out of bounds for storage", lambda: m.as_strided(x, (7,), (1,)))
    yield error(RuntimeError, "Negative strides", lambda: m.as_strided(x, (2,), (-1,), 3))
    yield error(RuntimeError, "mismatch in length", lambda: m.as_strided(x, (2,), (1, 1)))
    yield error(RuntimeError, "diagonal dimensions cannot be identical", lambda: m.diag_embed(x, 0, 1, 1))
    yield error(RuntimeError, "expected src to have a size equal", lambda: m.select_scatter(x, m.zeros(4), 0, 0))
    yield error(RuntimeError, "Input must be >= 2-d", lambda: m.fliplr(x[0]))
    yield error(RuntimeError, "must be larger than 0", lambda: m.tensor_split(x, 0))
    yield error(RuntimeError, "non-empty TensorList", lambda: m.hstack([]))
    yield error(IndexError, "", lambda: m.roll(x, 1, 2))
    yield error(IndexError, "empty tensor", lambda: m.take(m.zeros(0), m.tensor([0])))


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


DIFFERENTIABLE = {
    "as_strided": lambda x: webtorch.as_strided(x, (3, 3), (1, 1)),
    "roll": lambda x: webtorch.roll(x, (1, 2), (0, 1)),
    "rot90": lambda x: webtorch.rot90(x, 3),
    "repeat_interleave": lambda x: webtorch.repeat_interleave(x, webtorch.tensor([2, 0, 1]), 1),
    "block_diag": lambda x: webtorch.block_diag(x, x * x),
    "diag_embed": lambda x: webtorch.diag_embed(x * x, -1, 0, 1),
    "diagonal_scatter": lambda x: webtorch.diagonal_scatter(x * 2, x[:, 0] * x[:, 1]),
    "slice_scatter": lambda x: webtorch.slice_scatter(x, x[:, :2] * x[:, 1:], 1, 0, 2),
    "take": lambda x: webtorch.take(x * x, webtorch.tensor([0, 0, -1])),
    "combinations": lambda x: webtorch.combinations(x[0] * x[1], 2, True),
    "meshgrid": lambda x: webtorch.meshgrid(x[0], x[1], indexing="xy")[1],
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient(name):
    x = webtorch.tensor(np.random.default_rng(1).normal(size=(2, 3)), device="cpu", requires_grad=True)
    assert gradcheck(DIFFERENTIABLE[name], (x,))


def test_views_share_memory():
    x = webtorch.zeros(2, 3)
    x.as_strided((2,), (4,)).fill_(1)
    x.tensor_split(3, 1)[1].fill_(5)
    x.ravel()[5] = 7
    assert x.tolist() == [[1, 5, 0], [0, 5, 7]]


def test_a_tensor_of_wrong_counts_is_refused(device):
    with pytest.raises(ShapeError, match="can not be negative"):
        webtorch.repeat_interleave(webtorch.zeros(2, device=device), webtorch.tensor([1, -1], device=device), 0)


def test_questions_about_shapes():
    assert webtorch.broadcastShapes((2, 1), (3,)) == (2, 3)
    assert webtorch.canBroadcastTo((1, 3), (4, 3)) and not webtorch.canBroadcastTo((4, 3), (3,))
    assert webtorch.needsBroadcast((1,), ()) and not webtorch.needsBroadcast([2], (2,))
