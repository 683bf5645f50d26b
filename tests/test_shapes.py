"""Shape and stride rules against numpy, and against PyTorch where it is installed."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from webtorch import shapes
from webtorch.errors import IndexShapeError, ShapeError

sizes = st.integers(0, 4)
some_shapes = st.lists(sizes, max_size=4).map(tuple)
nonempty_shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)


@st.composite
def views(draw, zero=True):
    """(base array, view of it): permuted, sliced, flipped, with new and repeated dimensions."""
    shape = draw(some_shapes if zero else nonempty_shapes)
    base = np.arange(math.prod(shape)).reshape(shape)
    view = base
    for _ in range(draw(st.integers(0, 3))):
        step = draw(st.sampled_from(["permute", "slice", "flip", "new", "expand"]))
        if step == "permute":
            view = view.transpose(draw(st.permutations(range(view.ndim))))
        elif step == "new" and view.ndim < 6:
            view = np.expand_dims(view, draw(st.integers(0, view.ndim)))
        elif step == "expand":
            repeated = [draw(st.sampled_from([1, 3])) if size == 1 else size for size in view.shape]
            view = np.broadcast_to(view, repeated)
        elif view.ndim:
            dim = draw(st.integers(0, view.ndim - 1))
            index = [slice(None)] * view.ndim
            if step == "flip":
                index[dim] = slice(None, None, -1)
            elif view.shape[dim] > 1:
                index[dim] = slice(draw(st.integers(0, 1)), None, draw(st.integers(1, 2)))
            view = view[tuple(index)]
    return base, view


def element_strides(array):
    return tuple(stride // array.itemsize for stride in array.strides)


def offset_of(base, view):
    address = lambda array: array.__array_interface__["data"][0]
    return (address(view) - address(base)) // base.itemsize


@given(some_shapes)
def test_numel_and_contiguous_strides(shape):
    assert shapes.numel(shape) == np.zeros(shape).size
    strides = shapes.contiguous_strides(shape)
    assert shapes.is_contiguous(shape, strides)
    if 0 not in shape:
        assert strides == element_strides(np.zeros(shape))
    torch = pytest.importorskip("torch")
    assert strides == torch.zeros(shape).stride()


def test_contiguous_strides():
    assert shapes.contiguous_strides((2, 3, 4)) == (12, 4, 1)
    assert shapes.contiguous_strides((2, 0, 3)) == (3, 3, 1)
    assert shapes.contiguous_strides(()) == ()


@given(views())
def test_is_contiguous(pair):
    _, view = pair
    assert shapes.is_contiguous(view.shape, element_strides(view)) == view.flags.c_contiguous


@given(st.lists(st.lists(st.integers(0, 3), max_size=4).map(tuple), min_size=1, max_size=3))
def test_broadcast_shapes(several):
    try:
        expected = np.broadcast_shapes(*several)
    except ValueError:
        with pytest.raises(ShapeError) as caught:
            shapes.broadcast_shapes(*several, call="add")
        assert caught.value.code == "broadcast_error_incompatible_dimensions"
        assert not isinstance(caught.value, IndexError)
    else:
        assert shapes.broadcast_shapes(*several) == expected


def test_broadcast_error_names_shapes_and_dimension():
    with pytest.raises(ShapeError) as caught:
        shapes.broadcast_shapes((2, 3), (4, 3), call="add")
    assert str(caught.value) == (
        "broadcast_error_incompatible_dimensions: add: shapes [2, 3] and [4, 3] cannot be broadcast together: The size "
        "of tensor a (2) must match the size of tensor b (4) at non-singleton dimension 0; make the two sizes equal, "
        "or one of them 1"
    )
    # The shorter one first, and the culprit among three.
    with pytest.raises(ShapeError, match=r"\[5\] and \[2, 3\] .*tensor a \(5\) .*tensor b \(3\) at .* dimension 1"):
        shapes.broadcast_shapes((5,), (2, 3))
    with pytest.raises(ShapeError, match=r"where: shapes \[2, 3\] and \[7, 1\] .*\(2\) .*\(7\) .* dimension 0"):
        shapes.broadcast_shapes((1,), (2, 3), (7, 1), call="where")
    assert shapes.broadcast_shapes() == ()


@given(st.lists(st.integers(0, 3), max_size=4).map(tuple), st.lists(st.integers(0, 3), max_size=4).map(tuple))
def test_broadcast_error_is_worded_as_pytorchs(a, b):
    torch = pytest.importorskip("torch")
    try:
        torch.zeros(a) + torch.zeros(b)
    except RuntimeError as error:
        with pytest.raises(ShapeError) as caught:
            shapes.broadcast_shapes(a, b, call="add")
        # PyTorch reports the last dimension that does not fit, and so may differ; the wording is the same.
        wording, _, _ = str(error).partition(" (")
        assert wording in str(caught.value)
    else:
        shapes.broadcast_shapes(a, b)


@given(views(zero=False), st.lists(st.integers(1, 3), max_size=2), st.integers(0, 2**8))
def test_broadcast_strides(pair, leading, bits):
    base, view = pair
    target = (
        *leading,
        *[3 if size == 1 and bits >> position & 1 else size for position, size in enumerate(view.shape)],
    )
    strides = shapes.broadcast_strides(view.shape, element_strides(view), target)
    read = np.lib.stride_tricks.as_strided(view, target, [stride * view.itemsize for stride in strides])
    np.testing.assert_array_equal(read, np.broadcast_to(view, target))


@given(some_shapes, st.lists(st.integers(-2, 4), max_size=5).map(tuple))
def test_expand_is_pytorchs(shape, target):
    torch = pytest.importorskip("torch")
    # PyTorch lets some negative sizes pass, and then shows them in the shape: where it has no elements, or no shape.
    assume(0 not in (*shape, *target) and shape or min(target, default=0) >= 0)
    x = torch.zeros(shape)
    try:
        expected = x.expand(target)
    except RuntimeError:
        with pytest.raises(ShapeError) as caught:
            shapes.expanded_shape(shape, target)
        assert caught.value.code == "expand_error_incompatible"
    else:
        assert shapes.expanded_shape(shape, target) == tuple(expected.shape)
        assert shapes.broadcast_strides(shape, x.stride(), tuple(expected.shape)) == expected.stride()


def test_expand_errors():
    with pytest.raises(
        ShapeError, match=r"The expanded size of the tensor \(4\) must match the existing size \(2\) at"
    ):
        shapes.broadcast_strides((2, 3), (3, 1), (4, 3))
    with pytest.raises(ShapeError, match=r"number of sizes provided \(1\) must be greater or equal"):
        shapes.broadcast_strides((2, 3), (3, 1), (3,))
    with pytest.raises(ShapeError, match=r"\(-1\) isn't allowed in a leading, non-existing dimension 0"):
        shapes.expanded_shape((3,), (-1, 3))


@given(st.integers(-8, 8), st.integers(0, 5))
def test_normalize_dim(dim, ndim):
    limit = max(ndim, 1)
    if -limit <= dim < limit:
        assert shapes.normalize_dim(dim, ndim) == dim % limit
    else:
        with pytest.raises(IndexShapeError) as caught:
            shapes.normalize_dim(dim, ndim, "sum")
        assert caught.value.code == "dimension_error_out_of_range"
        torch = pytest.importorskip("torch")
        with pytest.raises(IndexError) as theirs:
            torch.zeros([1] * ndim).sum(dim)
        assert str(caught.value) == f"dimension_error_out_of_range: sum: {theirs.value}"


def test_normalize_dim_arguments():
    with pytest.raises(IndexError, match=r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 3\)"):
        shapes.normalize_dim(3, 2)
    with pytest.raises(ShapeError, match="^flip_error_dim_out_of_range: flip: Dimension out of range"):
        shapes.normalize_dim(3, 2, "flip", "flip_error_dim_out_of_range")
    assert shapes.normalize_dim(np.int64(-1), 3) == 2
    for nonsense in (1.0, "0", None, True):
        with pytest.raises(TypeError, match=r"sum\(\): argument 'dim' must be int, not"):
            shapes.normalize_dim(nonsense, 2, "sum")


def test_normalize_dims():
    assert shapes.normalize_dims(None, 3) == (0, 1, 2)
    assert shapes.normalize_dims((), 3) == ()
    assert shapes.normalize_dims(-1, 3) == shapes.normalize_dims([-1], 3) == (2,)
    assert shapes.normalize_dims(np.array([2, 0]), 3) == (2, 0)
    with pytest.raises(ShapeError, match="sum: dim 1 appears multiple times in the list of dims"):
        shapes.normalize_dims((0, 1, -1), 2, "sum")
    with pytest.raises(ShapeError, match="dim 0 appears multiple times"):
        shapes.normalize_dims((0, -1), 0)
    with pytest.raises(IndexShapeError):
        shapes.normalize_dims((0, 2), 2)
    with pytest.raises(TypeError):
        shapes.normalize_dims("01", 2)


@given(some_shapes, st.data())
def test_reduced_shape(shape, data):
    dims = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else ()
    array = np.zeros(shape)
    for keepdim in (False, True):
        assert shapes.reduced_shape(shape, dims, keepdim) == array.sum(axis=dims, keepdims=keepdim).shape


@given(st.lists(st.integers(-2, 4), max_size=4).map(tuple), st.integers(0, 24))
def test_infer_shape_is_pytorchs(shape, count):
    torch = pytest.importorskip("torch")
    try:
        expected = tuple(torch.zeros(count).view(shape).shape)
    except RuntimeError as error:
        with pytest.raises(ShapeError) as caught:
            shapes.infer_shape(shape, count)
        assert str(error).split("\n")[0] in str(caught.value)
    else:
        assert shapes.infer_shape(shape, count) == expected


def test_infer_shape():
    assert shapes.infer_shape((2, -1, 2), 12) == (2, 3, 2)
    assert shapes.infer_shape((3, -1), 0) == (3, 0)
    assert shapes.infer_shape((), 1) == ()
    with pytest.raises(ShapeError, match=r"^view: shape '\[2, 3\]' is invalid for input of size 5$"):
        shapes.infer_shape((2, 3), 5, "view")
    with pytest.raises(ShapeError, match="only one dimension can be inferred"):
        shapes.infer_shape((-1, -1), 4)
    with pytest.raises(ShapeError, match="is ambiguous"):
        shapes.infer_shape((-1, 0), 0)
    with pytest.raises(ShapeError, match="invalid shape dimension -3 at index 1"):
        shapes.infer_shape((2, -3), 6)


@st.composite
def factorings(draw, count):
    """A shape that holds ``count`` elements, with some 1s."""
    result = []
    while count > 1:
        factor = draw(st.sampled_from([each for each in range(1, count + 1) if count % each == 0]))
        result.append(factor)
        count //= factor
        if len(result) == 6:
            result.append(count)
            break
    return tuple(result)


@given(views(), st.data())
def test_view_strides_read_the_same_elements(pair, data):
    _, view = pair
    if view.size:
        new_shape = data.draw(factorings(view.size))
    else:
        new_shape = data.draw(some_shapes.filter(lambda shape: 0 in shape))
    strides = shapes.view_strides(view.shape, element_strides(view), new_shape)
    if strides is None:
        copied = view.reshape(new_shape)
        assert not np.shares_memory(copied, view) or 0 in view.strides
    else:
        read = np.lib.stride_tricks.as_strided(view, new_shape, [stride * view.itemsize for stride in strides])
        np.testing.assert_array_equal(read, view.reshape(new_shape))


@given(views(), st.data())
def test_view_strides_are_pytorchs(pair, data):
    torch = pytest.importorskip("torch")
    base, view = pair
    strides, offset = element_strides(view), offset_of(base, view) if view.size else 0
    assume(min(strides, default=0) >= 0)  # PyTorch has no negative strides
    theirs = torch.from_numpy(base.ravel()).as_strided(view.shape, strides, offset)
    if view.size:
        new_shape = data.draw(factorings(view.size))
    else:
        new_shape = data.draw(some_shapes.filter(lambda shape: 0 in shape))
    try:
        expected = theirs.view(new_shape).stride()
    except RuntimeError:
        expected = None
    ours = shapes.view_strides(view.shape, strides, new_shape)
    assert (ours is None) == (expected is None)
    if ours is not None:  # the stride of a dimension of size 1 is never used
        assert [s for s, size in zip(ours, new_shape) if size > 1] == [
            s for s, size in zip(expected, new_shape) if size > 1
        ]


def test_view_strides():
    assert shapes.view_strides((2, 3), (3, 1), (3, 2)) == (2, 1)
    assert shapes.view_strides((2, 3), (1, 2), (6,)) is None
    assert shapes.view_strides((2, 1, 3), (3, 99, 1), (6,)) == (1,)
    assert shapes.view_strides((4,), (0,), (2, 2)) == (0, 0)
    assert shapes.view_strides((), (), (1, 1)) == (1, 1)
    assert shapes.view_strides((1, 1), (1, 1), ()) == ()
    assert shapes.view_strides((0, 3), (3, 1), (3, 0)) == (1, 1)


@given(views(zero=False), st.data())
def test_coalesce_walks_the_same_elements(pair, data):
    _, view = pair
    contiguous = shapes.contiguous_strides(view.shape)
    strides = element_strides(view)
    short, (first, second) = shapes.coalesce(view.shape, contiguous, strides)
    assert math.prod(short) == view.size and 1 not in short
    for original, merged in ((contiguous, first), (strides, second)):
        assert visited(view.shape, original) == visited(short, merged)
    # As short as can be: no two neighbours could still be merged.
    for outer in range(len(short) - 1):
        mergeable = [each[outer] == each[outer + 1] * short[outer + 1] for each in (first, second)]
        assert not all(mergeable)


def visited(shape, strides):
    """The element offsets a view reads, in order."""
    offsets = np.zeros(shape, dtype=np.int64)
    for position, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        offsets += (np.arange(size) * stride).reshape(-1, *[1] * (len(shape) - position - 1))
    return offsets.ravel().tolist()


def test_coalesce():
    assert shapes.coalesce((2, 3, 4), (12, 4, 1)) == ((24,), ((1,),))
    assert shapes.coalesce((2, 3), (3, 1), (1, 2)) == ((2, 3), ((3, 1), (1, 2)))
    assert shapes.coalesce((1, 1), (5, 5), (0, 0)) == ((), ((), ()))
    assert shapes.coalesce((2, 0), (0, 1)) == ((0,), ((1,),))
    assert shapes.coalesce((2, 3)) == ((6,), ())


@given(views(zero=False))
def test_extent(pair):
    base, view = pair
    touched = visited(view.shape, element_strides(view))
    offset = offset_of(base, view)
    assert shapes.extent(view.shape, element_strides(view), offset) == (offset + min(touched), offset + max(touched))


def test_extent_of_nothing():
    assert shapes.extent((2, 0), (5, 1), 7) == (7, 6)
    assert shapes.extent((), (), 7) == (7, 7)


def test_check_shape_arguments():
    for written in ((2, 3), ((2, 3),), ([2, 3],), (np.int64(2), 3), (np.array([2, 3]),), (range(2, 4),)):
        shape = shapes.check_shape_arguments(written)
        assert shape == (2, 3) and all(type(size) is int for size in shape)
    assert shapes.check_shape_arguments(()) == shapes.check_shape_arguments(((),)) == ()
    assert shapes.check_shape_arguments((5,)) == shapes.check_shape_arguments((np.array(5),)) == (5,)
    assert shapes.check_shape_arguments((-1, 2), allow_negative=True) == (-1, 2)
    with pytest.raises(ShapeError, match=r"Trying to create tensor with negative dimension -1: \[2, -1\]"):
        shapes.check_shape_arguments((2, -1), "empty")
    for nonsense in ((1.5,), ("ab",), (None,), (True,), ([True],), ((2,), 3), (2, 3.0), ({},) * 2):
        with pytest.raises(TypeError, match=r"zeros\(\): argument 'size' must be"):
            shapes.check_shape_arguments(nonsense, "zeros")
