"""Reading and writing through indices: basic, advanced and mixed, forward and gradient, on both devices.

The programs are compared with PyTorch's answers; what PyTorch has not (negative steps) and random indices are compared
with numpy. A wrong index must raise: at once on the cpu, on a GPU when a value is next read.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import Programs

import webtorch
from webtorch.errors import DeviceError, DTypeError, IndexShapeError, ShapeError

program = Programs("indexing")


def ramp(m, *shape):
    count = int(np.prod(shape))
    return m.arange(count, dtype=m.float32).reshape(shape) if shape else m.tensor(0.0)


def weighted(m, x):
    """A sum in which every element has a weight of its own, so that no gradient can be mistaken for another."""
    return (x * (m.arange(x.numel(), dtype=m.float32).reshape(x.shape) + 1)).sum()


def gradient(m, x, read):
    """What `read` gives of x, and the gradient of a weighted sum of it."""
    x = x.clone().requires_grad_()
    result = read(x)
    weighted(m, result).backward()
    return [result, x.grad]


def written(m, x, index, value):
    x = x.clone()
    x[index] = value
    return x


def written_gradient(m, x, index, value):
    """x after the assignment, and the gradients of what was there and of what was written."""
    start, value = x.clone().requires_grad_(), value.clone().requires_grad_()
    y = start * 2
    y[index] = value
    weighted(m, y).backward()
    return [y, start.grad, value.grad]


# ---- programs -------------------------------------------------------------------------------------------------------


@program
def integers_and_slices(m):
    x = ramp(m, 3, 4, 5)
    for index in [
        0, -1, (1, 2), (-1, -2, -3), (slice(None), 3), (slice(1, 3),), (slice(None, -1), slice(None, None, 2)),
        (slice(-2, None), 0, slice(4, 1)), (slice(5, 9),), (slice(0, 100, 3), slice(3, 4)), (0, slice(None, None, 3), 1),
    ]:  # fmt: skip
        yield x[index]


@program
def none_and_ellipsis(m):
    x = ramp(m, 2, 3, 4)
    for index in [
        None, Ellipsis, (), (None, Ellipsis, None), (Ellipsis, 0), (0, Ellipsis), (1, Ellipsis, 2), (Ellipsis, None),
        (slice(None), None, 1), (None, 0, None, 1, None, 2, None), (0, 1, 2, Ellipsis), (Ellipsis, slice(1, None)),
    ]:  # fmt: skip
        yield x[index]
    scalar = m.tensor(5.0)
    yield scalar[()], scalar[...], scalar[None], scalar[None, ...]


@program
def views_share_memory(m):
    x = ramp(m, 3, 4)
    x[1:, ::2].mul_(10)
    x[0].fill_(-1)
    x[..., None, -1].add_(100)
    yield x, x[1].is_contiguous(), x[:, 1].is_contiguous(), list(x[1:, 1].stride()), x[1:, 1].storage_offset()


@program
def masks(m):
    x = ramp(m, 3, 4)
    rows = m.tensor([True, False, True])
    full = x > 4
    yield x[full], x[rows], x[rows, 1], x[rows, ::2], x[:, m.tensor([False, True, True, False])], x[rows, None]
    yield (
        x[~full],
        x[x < -1],
        x[x < -1].shape[0],
        x[m.tensor(True)],
        x[m.tensor(False)],
        x[True],
        x[False],
        x[None, True],
    )
    yield x[rows, m.tensor([0, 2])], x[rows, m.tensor([False, True, False, True])], x[0, x[0] > 1]
    cube = ramp(m, 2, 3, 4)
    yield cube[:, full.reshape(3, 4)], cube[cube[:, :, 0] > 3], cube[1, rows, 2:], cube[..., cube[0, 0] > 1]
    yield m.tensor(3.0)[m.tensor(True)], m.tensor(3.0)[m.tensor(False)], m.tensor(3.0)[True]


@program
def index_tensors(m):
    x = ramp(m, 3, 4, 5)
    a, b = m.tensor([2, 0]), m.tensor([-1, 3])
    grid = m.tensor([[0, 1, 2], [2, -1, 0]])
    yield x[a], x[a, b], x[:, b], x[a, :, b], x[:, a, b], x[..., b], x[grid], x[grid, 1], x[0, grid], x[a, b, 1:3]
    yield x[a[:, None], b], x[a[:, None], :, b], x[:, grid, 1], x[a, None, b], x[None, a, None], x[1, :, b], x[a, 2, b]
    yield (
        x[m.tensor([], dtype=m.int64)],
        x[m.tensor([[0]], dtype=m.int32)],
        x[m.tensor(1)],
        x[m.tensor(1), a],
        x[a, m.tensor(0)],
    )
    yield x[0, m.tensor([], dtype=m.int64)], x[a, 1:0], x[m.tensor([0, 1, 2]), m.tensor([0, 1, 2]), m.tensor([0, 1, 2])]


@program
def lists_arrays_and_mixes(m):
    x = ramp(m, 3, 4, 5)
    yield x[[0, 2]], x[[0, 2], [1, 1]], x[:, [0, -1]], x[[True, False, True]], x[[-1]], x[[]]
    yield x[np.array([2, 1])], x[np.array([True, False, True])], x[np.int64(1)], x[:, np.array(2)], x[range(2)]
    yield x[np.array([[0, 2]], np.int32), m.tensor([1])], x[[1, 2], :, m.tensor([0, 3])], x[[0], ..., [1]]
    yield x[[0, 1], None, [1, 2]], x[:, [0, 1], None, np.array([1, 2])], x[[0, 1], [True, False, False, True]]


@program
def zero_sized(m):
    x = m.zeros(0, 3)
    none = m.tensor([], dtype=m.int64)
    yield x[:], x[none], x[:, 1], x[:, none], x[None], x[x > 0], x[..., m.tensor([0, 2])], m.zeros(3, 0)[[0, 2]]
    y = m.ones(2, 3)
    y[0:0] = 5.0
    y[none] = 7.0
    y[y > 2] = 9.0
    y[:, none] = m.zeros(2, 0)
    x[:] = 3.0
    yield y, x


@program
def assigning(m):
    x = ramp(m, 3, 4)
    a, b = m.tensor([2, 0]), m.tensor([-1, 1])
    for index, value in [
        (0, 9.0), (-1, m.tensor([1.0, 2.0, 3.0, 4.0])), ((slice(None), 1), m.tensor([7.0, 8.0, 9.0])), (Ellipsis, 0.5),
        ((slice(None, None, 2), slice(1, 3)), m.tensor([[1.0], [2.0]])), (None, m.ones(1, 3, 4)), ((), 3), (0, m.ones(1, 1, 4)),
        (a, -1.0), (a, m.tensor([[1.0], [2.0]])), ((a, b), m.tensor([5.0, 6.0])), ((slice(None), b), m.tensor([5.0, 6.0])),
        ((a, slice(1, 3)), m.tensor([5.0, 6.0])), (x > 4, 0.0), (x > 4, m.arange(7, dtype=m.float32)), (x > 4, m.tensor(2.0)),
        (m.tensor([True, False, True]), m.tensor([1.0, 2.0, 3.0, 4.0])), ((x[:, 0] > 0, 2), m.tensor([1.0, 2.0])),
        ([0, 2], 4), (([0, 1], [1, 2]), m.tensor([[8.0, 9.0]])), (m.tensor(1), 5.0), (True, 4.0), (False, 4.0), (0, True),
        ((np.array([1]), slice(None)), 2), ((slice(None), np.array([True, False, False, True])), m.tensor([[1.0], [2.0], [3.0]])),
    ]:  # fmt: skip
        yield written(m, x, index, value)


@program
def assigning_converts(m):
    x = m.arange(6).reshape(2, 3)
    x[0] = 2.9
    x[1, 0] = m.tensor(-3.7)
    x[:, 2] = m.tensor([1.5, 2.5])
    yield x
    flags = m.zeros(4, dtype=m.bool)
    flags[1], flags[2:] = 1, m.tensor([0.0, 2.0])
    yield flags
    half = m.zeros(3, dtype=m.float16)
    half[m.tensor([0, 2])] = m.tensor([1.0, 3.0], dtype=m.float16)
    half[1] = m.tensor(2, dtype=m.int32)
    yield half
    small = m.zeros(5, dtype=m.uint8)
    small[1:4] = m.tensor([250, 3, 9])
    small[[0, 4]] = 7
    yield small
    from_lists = m.zeros(2, 2)
    from_lists[0] = m.tensor([1, 2])
    yield from_lists


@program
def operators_through_an_index(m):
    x = ramp(m, 3, 4)
    x[1] += 1
    x[:, ::2] *= 2
    x[m.tensor([0, 2])] -= 3
    x[m.tensor([0, 0, 1])] += 10  # once per row: read, added, written
    x[x > 20] /= 2
    x[..., -1] **= 2
    x[[0, 1], [1, 1]] += m.tensor([100.0, 200.0])
    x[0, 0] -= x[2, 3]
    yield x


@program
def assigning_from_itself(m):
    x = ramp(m, 5)
    x[1:] = x[:-1].clone()
    y = ramp(m, 2, 3)
    y[0] = y[1]
    y[:, 0] = y[:, 2] + y[:, 1]
    yield x, y
    z = ramp(m, 2, 2)
    z[:] = z.t().clone()
    yield z


@program
def gradients_of_reading(m):
    x = ramp(m, 3, 4, 5)
    for index in [
        1, (slice(None), slice(1, 4, 2)), (Ellipsis, -1), (None, 0), Ellipsis, (slice(2, None), None, 1),
        (m.tensor([2, 0, 2]),), (slice(None), m.tensor([0, 0, -1])), (m.tensor([0, 1, 1]), slice(None), m.tensor([2, 2, 2])),
        (m.tensor([[0, 1], [1, 2]]), m.tensor([3, 3])), x > 30, (m.tensor([True, False, True]), 1), (0, [1, 1], slice(0, 2)),
        (slice(None), x[0] > 7), (slice(1, 1),), (m.tensor([], dtype=m.int64),),
    ]:  # fmt: skip
        yield gradient(m, x, lambda x, index=index: x[index])


@program
def gradients_of_writing(m):
    x = ramp(m, 3, 4)
    for index, value in [
        (0, m.tensor([1.0, 2.0, 3.0, 4.0])), ((slice(None), 1), m.tensor(2.0)), (Ellipsis, m.ones(3, 4)), ((), m.tensor(1.0)),
        ((slice(None, None, 2), slice(0, 2)), m.tensor([[1.0], [2.0]])), (m.tensor([2, 0]), m.tensor([1.0, 2.0, 3.0, 4.0])),
        ((m.tensor([2, 0]), m.tensor([1, 1])), m.tensor([5.0, 6.0])), ((slice(None), m.tensor([3, 0])), m.tensor([[5.0], [6.0], [7.0]])),
        (x > 6, m.tensor(3.0)), (x > 6, m.arange(5, dtype=m.float32)), (m.tensor([True, False, True]), m.ones(2, 4)),
        (slice(1, 1), m.ones(0, 4)), (m.tensor([], dtype=m.int64), m.ones(1, 4)),
    ]:  # fmt: skip
        yield written_gradient(m, x, index, value)


@program
def gradients_of_the_functions(m):
    x, index = ramp(m, 3, 4), m.tensor([[0, 1, 2, 0], [2, 2, 0, 1]])
    yield gradient(m, x, lambda x: m.gather(x, 0, index))
    yield gradient(m, x, lambda x: m.gather(x, 1, index[:, :2]))
    yield gradient(m, x, lambda x: x.index_select(1, m.tensor([3, 3, 0])))
    yield gradient(m, x, lambda x: m.take_along_dim(x, m.tensor([[1], [0], [3]]), 1))
    yield gradient(m, x, lambda x: x.masked_select(x.detach() > 5))
    yield gradient(m, x, lambda x: x.masked_fill(x.detach() > 5, 2.0))
    yield gradient(m, x, lambda x: x.index_fill(0, m.tensor([1]), 3.0))
    for function in ("scatter", "scatter_add"):
        source, start = (ramp(m, 2, 4) + 1).requires_grad_(), x.clone().requires_grad_()
        weighted(m, getattr(start, function)(0, index, source)).backward()
        yield start.grad, source.grad
    for function in ("index_add", "index_copy"):
        source, start = (ramp(m, 2, 4) + 1).requires_grad_(), x.clone().requires_grad_()
        weighted(m, getattr(start, function)(0, m.tensor([2, 0]), source)).backward()
        yield start.grad, source.grad
    for accumulate in (False, True):
        values, start = m.tensor([5.0, 6.0]).requires_grad_(), x.clone().requires_grad_()
        weighted(m, start.index_put((m.tensor([2, 0]), m.tensor([1, 3])), values, accumulate)).backward()
        yield start.grad, values.grad


@program
def second_derivatives(m):
    x = (ramp(m, 2, 3) + 1).requires_grad_()
    y = (x[m.tensor([0, 0, 1])] ** 3).sum() + (x[:, 1:] ** 2).prod()
    (first,) = m.autograd.grad(y, x, create_graph=True)
    weighted(m, first).backward()
    yield first, x.grad
    z = (ramp(m, 4) + 1).requires_grad_()
    buffer = m.zeros(4)
    buffer[m.tensor([3, 1])] = z[:2] ** 3
    buffer[0] = z[3] * z[2]
    (first,) = m.autograd.grad((buffer**2).sum(), z, create_graph=True)
    weighted(m, first).backward()
    yield first, z.grad


@program
def gathering_and_scattering(m):
    x = ramp(m, 3, 4)
    index = m.tensor([[0, 1, 2, 0], [2, 2, 0, 1]])
    yield (
        m.gather(x, 0, index),
        m.gather(x, -1, index),
        x.gather(1, m.tensor([[3], [0], [1]])),
        x.gather(0, index[:, :1]),
    )
    yield m.gather(m.tensor(4.0), 0, m.tensor([0])), m.gather(m.tensor(4.0), 0, m.tensor(0)), x.gather(0, index[:0])
    yield x.scatter(0, index[:1], -x[:1]), x.scatter(1, m.tensor([[1, 0], [3, 2]]), 7.0), x.scatter(0, index, 0.5)
    yield (
        x.scatter_add(0, index, m.ones(2, 4)),
        x.scatter_add(1, index, ramp(m, 3, 5)),
        x.scatter(0, index[:1], 2.5, reduce="add"),
    )
    yield m.zeros(2, 2, dtype=m.int64).scatter_add(0, m.tensor([[0, 0], [0, 1]]), m.tensor([[1, 2], [3, 4]]))
    y = x.clone()
    y.scatter_(1, m.tensor([[0], [1], [2]]), 99.0).scatter_add_(0, m.tensor([[1, 1, 1, 1]]), m.ones(1, 4))
    yield (
        y,
        m.take_along_dim(x, m.tensor([[2], [0], [1]]), 1),
        m.take_along_dim(x, m.tensor([0, 5, 11])),
        x.take_along_dim(m.tensor([[0, 1, 1, 2]]), 0),
    )


@program
def what_is_named_twice(m):
    x, value = ramp(m, 3, 4).requires_grad_(), m.tensor(2.0, requires_grad=True)
    filled = m.index_fill(x, 1, m.tensor([0, 2, 0, 0]), value)
    (filled * ramp(m, 3, 4)).sum().backward()
    yield filled, x.grad, value.grad
    yield m.index_fill(m.tensor(1.0), 0, m.tensor([0, 0]), value)
    x, index = ramp(m, 3, 4), m.tensor([[0, 1, 2, 0], [0, 1, 0, 1]])
    yield x.scatter(0, index, x + 1, reduce="multiply"), x.scatter(1, index[:, :2], 3.0, reduce="multiply")
    y = x.clone()
    yield y.scatter_(0, index[:1], 2.0, reduce="multiply"), m.gather(x[0], 0, m.tensor([], dtype=m.uint8))
    one, source = m.tensor(2.0, requires_grad=True), m.tensor(2.0, requires_grad=True)
    (one * 1).scatter_reduce_(0, m.tensor(0), source, "amax").backward()
    yield one.grad, source.grad


@program
def indexed_functions(m):
    x = ramp(m, 3, 4)
    at = m.tensor([2, 0])
    yield (
        m.index_select(x, 0, at),
        x.index_select(1, m.tensor([3, 3, 1])),
        x.index_select(-1, at[:0]),
        m.index_select(m.tensor(3.0), 0, m.tensor([0])),
    )
    yield (
        x.index_add(0, at, m.ones(2, 4)),
        x.index_add(1, m.tensor([0, 0, 0]), m.ones(3, 3), alpha=2),
        x.index_add(0, m.tensor(1), m.ones(1, 4)),
    )
    yield (
        x.index_copy(0, at, -m.ones(2, 4)),
        x.index_copy(1, at, ramp(m, 3, 2)),
        x.index_fill(0, at, 5),
        x.index_fill(1, m.tensor([1]), m.tensor(-2.0)),
    )
    yield x.index_put((at,), m.tensor(7.0)), x.index_put((at, m.tensor([1, 1])), m.tensor([7.0, 8.0]))
    yield x.index_put((m.tensor([1, 1, 1]), m.tensor([2, 2, 0])), m.tensor([1.0, 2.0, 3.0]), accumulate=True)
    yield x.index_put((x > 5,), m.tensor(0.0)), x.index_put((m.tensor([[0], [1]]), at), m.tensor([1.0, 2.0]))
    y = x.clone()
    y.index_add_(0, at, m.ones(2, 4)).index_copy_(1, m.tensor([0]), m.zeros(3, 1)).index_fill_(0, m.tensor([1]), 9.0)
    y.index_put_((m.tensor([0, 0]), m.tensor([1, 1])), m.tensor([0.5, 0.25]), accumulate=True)
    yield y


@program
def masked_functions(m):
    x = ramp(m, 3, 4)
    mask = m.tensor([True, False, True, False])
    yield (
        x.masked_fill(mask, -1),
        m.masked_fill(x, x > 4, m.tensor(2.5)),
        x.masked_fill(mask[:3, None], 0.0),
        x.masked_fill(m.tensor(True), 1),
    )
    yield x.masked_select(mask), m.masked_select(x, x > 6), x[0].masked_select(x > 4), x.masked_select(m.tensor(False))
    yield (
        m.arange(4).masked_fill(mask, 9),
        mask.masked_fill(mask, False),
        m.tensor(2.0).masked_fill(m.tensor(True), 3.0),
    )
    y = x.clone()
    y.masked_fill_(y > 8, 0.0).masked_fill_(mask, m.tensor(5.0))
    yield y


@program
def finding_nonzeros(m):
    x = m.tensor([[0.0, 1.5, 0.0], [-2.0, 0.0, 3.0]])
    yield m.nonzero(x), x.nonzero(as_tuple=True), m.nonzero(m.tensor([0, 4, 0, 5])), m.nonzero(m.tensor([True, False]))
    yield (
        m.nonzero(m.zeros(2, 2)),
        m.nonzero(m.tensor(3.0)),
        m.nonzero(m.tensor(0.0)),
        m.nonzero(m.zeros(0, 2)),
        m.tensor(3.0).nonzero(as_tuple=True),
    )
    yield m.nonzero(m.tensor([float("nan"), -0.0, float("inf")]))


@program
def other_dtypes(m):
    for dtype in (m.int64, m.int32, m.int8, m.uint8, m.bool, m.float16):
        x = m.tensor([[1, 0, 3], [4, 5, 0]], dtype=dtype)
        y = x.clone()
        y[:, 1] = x[:, 0]
        y[m.tensor([1]), m.tensor([2])] = 1
        yield x[1], x[:, ::2], x[m.tensor([1, 0, 1])], x[x != 0], y, m.gather(x, 1, m.tensor([[2], [1]]))


@program
def wide_integers(m):
    x = m.tensor([2**40, -(2**40) + 1, 2**62, -1, 0])
    x[1] = 2**33 + 1
    x[m.tensor([3])] = -(2**50)
    yield x, x[m.tensor([2, 0])], x[x > 2**35], x.scatter_add(0, m.tensor([4, 4, 4]), m.tensor([2**31, 2**31, 1]))


@program
def of_views(m):
    x = ramp(m, 3, 4)
    t = x.t()
    at = m.tensor([1, 0])
    yield t[at], t[:, at], t[1:, ::2][at[:1]], t.flip(0)[at], x.expand(2, 3, 4)[1, at], x[:, 1][at], t[t > 5]
    t[at] = -1.0
    x[:, 2][at] = 50.0
    x.diagonal()[1:] = 8.0
    x.view(-1)[m.tensor([11])] = 77.0
    x.unsqueeze(1)[at, 0, 3] = 66.0
    yield x


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


# ---- random indices, with numpy as the judge ------------------------------------------------------------------------

SHAPES = [(), (3,), (2, 3), (3, 4, 2), (0, 2), (2, 1, 3, 2)]


@st.composite
def cases(draw):
    """A shape and an index into it in numpy's terms, of which tensors and lists are made later."""
    shape = draw(st.sampled_from(SHAPES))
    together = draw(st.sampled_from([(2,), (1,), (2, 1), (2, 2)]))  # index arrays must broadcast
    items, dim, dots = [], 0, False
    while dim < len(shape) and draw(st.integers(0, 5)):
        size = shape[dim]
        kind = draw(st.sampled_from(["integer", "slice", "slice", "array", "array", "mask", "none", "dots", "list"]))
        if kind == "none":
            items.append(None)
        elif kind == "dots" and not dots:
            dots = True
            items.append(Ellipsis)
            # At least one: to numpy an ellipsis that stands for nothing still parts the arrays around it.
            dim += draw(st.integers(1, len(shape) - dim))
        elif kind == "slice":
            end = st.none() | st.integers(-5, 5)
            items.append(slice(draw(end), draw(end), draw(st.sampled_from([None, 1, 2, -1, -2]))))
            dim += 1
        elif kind == "mask" and dim + 1 < len(shape) and draw(st.booleans()):
            items.append(np.array(draw(bits(size * shape[dim + 1])), bool).reshape(size, shape[dim + 1]))
            dim += 2
        elif kind == "mask":
            items.append(np.array(draw(bits(size)), bool))
            dim += 1
        elif size and kind in ("integer", "array", "list"):
            number = st.integers(-size, size - 1)
            if kind == "integer":
                items.append(draw(number))
            else:
                count = int(np.prod(together))
                array = np.array(draw(st.lists(number, min_size=count, max_size=count))).reshape(together)
                items.append(array if kind == "array" or array.ndim > 1 else array.tolist())
            dim += 1
    if dots:  # what follows an ellipsis is counted from the end
        items += [slice(None)] * (len(shape) - dim)
    return shape, tuple(items)


def bits(count):
    return st.lists(st.booleans(), min_size=count, max_size=count)


def as_ours(items, style):
    """The index for webtorch: arrays as tensors or left as they are, a single item without its tuple."""
    tensors = style != "arrays"
    made = tuple(webtorch.tensor(item) if isinstance(item, np.ndarray) and tensors else item for item in items)
    return made[0] if len(made) == 1 and style == "bare" else made


def without_integers(array, items):
    """The view of the array that the integers alone pick, and the other items: to numpy an integer beside an array is an
    array, too, which moves dimensions; to PyTorch it is not."""
    first = []
    for item in items:
        if isinstance(item, int) or item is Ellipsis:
            first.append(item)
        elif item is not None:
            first += [slice(None)] * (item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else 1)
    if Ellipsis not in [item for item in first if not isinstance(item, slice)]:
        first.append(Ellipsis)
    return array[tuple(first)], tuple(item for item in items if not isinstance(item, int))


def read_with_numpy(array, items):
    view, rest = without_integers(array, items)
    try:
        return np.asarray(view[rest])
    except IndexError:
        return None


def write_with_numpy(array, items, value):
    view, rest = without_integers(array, items)
    view[rest] = value


# One program per drawn case on each device; a new combination of strides compiles a kernel on a GPU.
def check_reading_and_writing(device, case, style):
    shape, items = case
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    with webtorch.device(device):
        index = as_ours(items, style)
        x = webtorch.tensor(array, requires_grad=True)
        wanted = read_with_numpy(array, items)
        if wanted is None:  # index arrays that do not broadcast
            with pytest.raises(IndexError):
                x[index]
            return
        y = x * 1
        read = y[index]
        np.testing.assert_array_equal(read.detach().numpy(), wanted)
        # The gradient of a weighted sum of what was read: the weights, added up where they were read from.
        weights = np.arange(1, wanted.size + 1, dtype=np.float32).reshape(wanted.shape)
        expected = np.zeros_like(array)
        view, rest = without_integers(expected, items)
        np.add.at(view, rest, weights)
        (gradient,) = webtorch.autograd.grad((read * webtorch.tensor(weights)).sum(), x, retain_graph=True)
        np.testing.assert_array_equal(gradient.numpy(), expected)
        # Assigning one number, and adding through the index: repeated places get it once.
        assigned, added = array.copy(), array.copy()
        write_with_numpy(assigned, items, -7)
        write_with_numpy(added, items, wanted + 0.5)
        y[index] = -7
        np.testing.assert_array_equal(y.detach().numpy(), assigned)
        (gradient,) = webtorch.autograd.grad(y.sum(), x)
        np.testing.assert_array_equal(gradient.numpy(), assigned != -7)
        z = webtorch.tensor(array)
        z[index] += 0.5
        np.testing.assert_array_equal(z.numpy(), added)
        # Assigning a tensor, when no place is named twice.
        places = read_with_numpy(np.arange(array.size).reshape(shape), items)
        if places.size == np.unique(places).size:
            write_with_numpy(added, items, weights)
            z[index] = webtorch.tensor(weights)
            np.testing.assert_array_equal(z.numpy(), added)


quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=250, deadline=None, suppress_health_check=quiet, derandomize=True)
@given(case=cases(), style=st.sampled_from(["tensors", "arrays", "bare"]))
def test_random_indices_on_cpu(case, style):
    check_reading_and_writing("cpu", case, style)


@pytest.mark.gpu
@settings(max_examples=50, deadline=None, suppress_health_check=quiet, derandomize=True)
@given(case=cases(), style=st.sampled_from(["tensors", "arrays", "bare"]))
def test_random_indices_on_webgpu(case, style):
    check_reading_and_writing("webgpu", case, style)


def test_what_pytorch_has_not(device):
    """Negative steps make views, as flip does; nested lists are one index array, as in numpy."""
    with webtorch.device(device):
        x = webtorch.arange(12).reshape(3, 4)
        array = np.arange(12).reshape(3, 4)
        np.testing.assert_array_equal(x[::-1, ::-2].numpy(), array[::-1, ::-2])
        np.testing.assert_array_equal(x[2:0:-1].numpy(), array[2:0:-1])
        np.testing.assert_array_equal(x[[[0, 1], [2, 0]]].numpy(), array[[[0, 1], [2, 0]]])
        x[::-1, 0] = webtorch.tensor([10, 20, 30])
        assert x[:, 0].tolist() == [30, 20, 10]
        x[0, ::-1].add_(webtorch.tensor([1, 2, 3, 4]))
        assert x[0].tolist() == [34, 4, 4, 4]


# ---- wrong indices --------------------------------------------------------------------------------------------------

# what is called, the index named, the dimension, its size
OUT_OF_RANGE = {
    "x[tensor]": (lambda x, at: x[at], 0, 3),
    "x[:, tensor]": (lambda x, at: x[:, at], 1, 4),
    "x[tensor] = value": (lambda x, at: [x.__setitem__(at, 1.0), x][1], 0, 3),
    "x[tensor] += value": (lambda x, at: [x.__setitem__(at, x[at] + 1.0), x][1], 0, 3),
    "index_select": (lambda x, at: x.index_select(1, at), 1, 4),
    "index_add": (lambda x, at: x.index_add(0, at, webtorch.ones(2, 4)), 0, 3),
    "index_copy": (lambda x, at: x.index_copy(0, at, webtorch.ones(2, 4)), 0, 3),
    "index_fill": (lambda x, at: x.index_fill(0, at, 1.0), 0, 3),
    "index_put": (lambda x, at: x.index_put((at,), webtorch.ones(2, 4)), 0, 3),
    "gather": (lambda x, at: x.gather(0, at[:, None]), 0, 3),
    "scatter": (lambda x, at: x.scatter(1, at[:, None], 1.0), 1, 4),
    "scatter_add": (lambda x, at: x.scatter_add(0, at[:, None], webtorch.ones(2, 1)), 0, 3),
    "take_along_dim": (lambda x, at: webtorch.take_along_dim(x, at[None, :].expand(3, 2), 1), 1, 4),
}


@pytest.mark.parametrize("wrong", [7, -9, 2**40 + 1, -(2**35)])
@pytest.mark.parametrize("call", OUT_OF_RANGE)
def test_index_out_of_range(call, wrong, device):
    run, dim, size = OUT_OF_RANGE[call]
    with webtorch.device(device):
        x = webtorch.zeros(3, 4)
        at = webtorch.tensor([1, wrong])
        message = rf"index {wrong} is out of bounds for dimension {dim} with size {size}"
        if device == "cpu":  # at once
            with pytest.raises(IndexError, match=message) as caught:
                run(x, at)
        else:  # when a value is next read: here an unrelated one
            other = webtorch.ones(2)
            result = run(x, at)
            with pytest.raises(IndexError, match=message) as caught:
                (other + 1).tolist()
            del result
        assert isinstance(caught.value, IndexShapeError)
        assert caught.value.code is not None and str(caught.value).startswith(caught.value.code)
        # Everything goes on working.
        assert (webtorch.ones(2) + 1).tolist() == [2.0, 2.0]


@pytest.mark.gpu
def test_wrong_index_is_found_by_every_way_of_reading():
    for read in (
        lambda x: x.item(), lambda x: x.numpy(), lambda x: x.tolist(), lambda x: repr(x), lambda x: float(x), lambda x: bool(x),
        lambda x: x.cpu(), lambda x: webtorch.sync_device(),
    ):  # fmt: skip
        x = webtorch.zeros(3, device="webgpu")
        picked = x[webtorch.tensor([5], device="webgpu")]
        with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 0 with size 3"):
            read(picked.sum())


@pytest.mark.gpu
def test_many_unread_wrong_indices_stay_bounded_and_are_found():
    x, at = webtorch.zeros(3, device="webgpu"), webtorch.tensor([0, 4], device="webgpu")
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        for _ in range(2000):
            x[at.clone()]  # the same one would be looked over once
    with pytest.raises(IndexError):  # those found since
        for _ in range(3):
            x[at.clone()]
        x.tolist()
    webtorch.sync_device()


def test_negative_indices_are_for_brackets_only(device):
    """As in PyTorch: gather, scatter and index_select take none."""
    with webtorch.device(device):
        x, at = webtorch.arange(3.0), webtorch.tensor([-1])
        assert x[at].tolist() == [2.0]
        for run in (lambda: x.gather(0, at), lambda: x.index_select(0, at), lambda: x.scatter(0, at, 1.0)):
            with pytest.raises(IndexError, match="index -1 is out of bounds for dimension 0 with size 3"):
                run().tolist()


# call, kind, code, words of the message
REFUSED = {
    "too many": (
        lambda x: x[0, 0, 0],
        IndexError,
        "at_error_index_out_of_bounds",
        "too many indices for tensor of dimension 2",
    ),
    "two ellipses": (lambda x: x[..., 0, ...], IndexError, None, "an index can only have a single ellipsis"),
    "integer": (
        lambda x: x[2],
        IndexError,
        "at_error_index_out_of_bounds",
        r"x\[2\]: index 2 is out of bounds for dimension 0 with size 2; use an index in \[-2, 1\]",
    ),
    "negative": (
        lambda x: x[0, -4],
        IndexError,
        "at_error_index_out_of_bounds",
        "index -4 is out of bounds for dimension 1 with size 3",
    ),
    "writing": (
        lambda x: x.__setitem__((0, 5), 1.0),
        IndexError,
        "at_error_index_out_of_bounds",
        r"x\[0, 5\] = ...: index 5 is out of bounds",
    ),
    "0-d": (
        lambda x: x[0, 0][0],
        IndexError,
        "at_error_index_out_of_bounds",
        "too many indices for tensor of dimension 0",
    ),
    "float": (lambda x: x[1.5], IndexError, None, "only integers, slices"),
    "word": (lambda x: x["a"], IndexError, None, "only integers, slices"),
    "list of floats": (lambda x: x[[0.5]], IndexError, None, "only integers, slices"),
    "float tensor": (
        lambda x: x[webtorch.tensor([1.0])],
        TypeError,
        None,
        r"must be integer or bool tensors, not webtorch.float32; convert with .long\(\)",
    ),
    "mask": (
        lambda x: x[webtorch.tensor([True, False, True])],
        IndexError,
        "at_error_index_out_of_bounds",
        r"the shape of the mask \[3\] does not match the shape of the indexed tensor \[2, 3\]",
    ),
    "index shapes": (
        lambda x: x[webtorch.tensor([0, 1]), webtorch.tensor([0, 1, 2])],
        IndexError,
        None,
        r"could not be broadcast together with shapes \[2\], \[3\]",
    ),
    "value": (
        lambda x: x.__setitem__(0, webtorch.zeros(2)),
        ShapeError,
        None,
        r"shape mismatch: value tensor of shape \[2\] cannot be broadcast to indexing result of shape \[3\]",
    ),
    "values": (
        lambda x: x.__setitem__(webtorch.tensor([0, 1]), webtorch.zeros(4)),
        ShapeError,
        None,
        r"value tensor of shape \[4\] cannot be broadcast to indexing result of shape \[2, 3\]",
    ),
    "step": (lambda x: x[::0], RuntimeError, None, "slice step cannot be zero"),
    "gather shape": (lambda x: x.gather(0, webtorch.tensor([0])), ShapeError, None, "same number of dimensions"),
    "gather size": (
        lambda x: x.gather(0, webtorch.zeros(1, 4, dtype=webtorch.int64)),
        ShapeError,
        None,
        "to be smaller than self",
    ),
    "gather dim": (lambda x: x.gather(2, webtorch.tensor([[0]])), IndexError, "gather_error_dim_out_of_range", "got 2"),
    "gather dtype": (lambda x: x.gather(0, webtorch.tensor([[0.0]])), DTypeError, None, r"convert with .long\(\)"),
    "scatter dim": (
        lambda x: x.scatter(-3, webtorch.tensor([[0]]), 1.0),
        IndexError,
        "scatter_error_dim_out_of_range",
        "got -3",
    ),
    "scatter dtype": (
        lambda x: x.scatter(0, webtorch.tensor([[0]]), webtorch.tensor([[1]])),
        RuntimeError,
        None,
        "self.dtype to be equal to src.dtype",
    ),
    "scatter src": (
        lambda x: x.scatter(0, webtorch.tensor([[0, 0]]), webtorch.ones(1, 1)),
        ShapeError,
        None,
        r"and than src \[1, 1\]",
    ),
    "select dim": (
        lambda x: x.index_select(2, webtorch.tensor([0])),
        IndexError,
        "index_select_error_dim_out_of_range",
        "got 2",
    ),
    "select vector": (lambda x: x.index_select(0, webtorch.tensor([[0]])), IndexError, None, "vector"),
    "fill mask": (lambda x: x.masked_fill(webtorch.tensor([1, 0, 1]), 0.0), DTypeError, None, r"use mask.bool\(\)"),
    "fill value": (lambda x: x.masked_fill(x > 0, webtorch.zeros(3)), RuntimeError, None, "0-dimensional"),
    "mask dtype": (lambda x: x.masked_select(x), DTypeError, None, r"use mask.bool\(\)"),
    "no index": (lambda x: x.index_put((), webtorch.tensor(1.0)), IndexError, None, "at least one index"),
    "copy sizes": (
        lambda x: x.index_copy(0, webtorch.tensor([0]), webtorch.ones(1, 2)),
        ShapeError,
        None,
        r"source must have shape \[1, 3\], but has \[1, 2\]",
    ),
    "add sizes": (
        lambda x: x.index_add(0, webtorch.tensor([0, 1]), webtorch.ones(3, 3)),
        ShapeError,
        None,
        r"index_add\(dim=0\) of shape \[2, 3\] with 2 indices",
    ),
    "add dtype": (
        lambda x: x.index_add(0, webtorch.tensor([0]), webtorch.ones(1, 3, dtype=webtorch.int64)),
        DTypeError,
        None,
        "same dtype",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, device):
    call, kind, code, words = REFUSED[case]
    with webtorch.device(device):
        x = webtorch.arange(6.0).reshape(2, 3)
        with pytest.raises(kind, match=words) as caught:
            call(x)
        if code is not None:
            assert caught.value.code == code and str(caught.value).startswith(code + ": ")
        assert x.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.gpu
def test_indices_on_another_device():
    x = webtorch.arange(3.0, device="webgpu")
    assert x[webtorch.tensor([2, 0])].tolist() == [2.0, 0.0]  # brackets move an index, as PyTorch does for the cpu's
    for call in (lambda: x.gather(0, webtorch.tensor([0])), lambda: x.index_select(0, webtorch.tensor([0]))):
        with pytest.raises(DeviceError, match="same device"):
            call()


def test_many_indices(device):
    """More than one workgroup's dimension of them, and many that add to the same few places."""
    count = 5_000_000
    source = np.random.default_rng(0)
    at = source.integers(0, 10, count)
    with webtorch.device(device):
        index = webtorch.tensor(at)
        totals = webtorch.zeros(10, dtype=webtorch.int32).index_add(
            0, index, webtorch.ones(count, dtype=webtorch.int32)
        )
        assert totals.tolist() == np.bincount(at, minlength=10).tolist()
        table = webtorch.arange(10.0, requires_grad=True)
        picked = table[index]
        assert picked.sum().item() == pytest.approx(float(at.sum()), rel=1e-4)
        assert picked.detach()[-3:].tolist() == at[-3:].astype(float).tolist()
        picked[: 1 << 16].sum().backward()
        np.testing.assert_array_equal(table.grad.numpy(), np.bincount(at[: 1 << 16], minlength=10))
