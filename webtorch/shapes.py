"""Rules on shapes and strides: pure functions on tuples of ints, no tensors and no numpy.

Strides and offsets count elements, not bytes. Errors restate the call (``call`` is its name) and PyTorch's wording.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from webtorch.errors import ShapeError, coded_error

Shape = tuple[int, ...]


def numel(shape: Sequence[int]) -> int:
    """The number of elements of a shape; 1 for the shape of a scalar.

    >>> numel((2, 3)), numel(()), numel((2, 0))
    (6, 1, 0)
    """
    return math.prod(shape)


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """Row-major strides; a dimension of size 0 counts as 1, as in PyTorch.

    >>> contiguous_strides((2, 3, 4)), contiguous_strides((2, 0, 3))
    ((12, 4, 1), (3, 3, 1))
    """
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        if size > 1:
            step *= size
    return tuple(strides[::-1])


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements lie in row-major order without gaps; strides of size-1 dimensions do not matter.

    >>> is_contiguous((2, 3), (3, 1)), is_contiguous((2, 3), (1, 2)), is_contiguous((1, 3), (77, 1))
    (True, False, True)
    """
    step = 1
    contiguous = True
    for size, stride in zip(reversed(shape), reversed(strides)):
        if size == 0:
            return True
        if size != 1:
            if stride != step:
                contiguous = False  # not returned at once: a size of 0 may follow
            step *= size
    return contiguous


# ---- broadcasting --------------------------------------------------------------------------------------------------


def broadcast_shapes(*shapes: Sequence[int], call: str = "broadcast_shapes") -> Shape:
    """The shape that all ``shapes`` broadcast to.

    Raises ShapeError (``broadcast_error_incompatible_dimensions``) naming the two shapes that do not fit.

    >>> broadcast_shapes((2, 1, 4), (3, 1), ())
    (2, 3, 4)
    """
    if not shapes:
        return ()
    if any(isinstance(shape, int) for shape in shapes):
        shapes = tuple((shape,) if isinstance(shape, int) else shape for shape in shapes)
    result = tuple(shapes[0])
    for shape in shapes[1:]:
        if result != shape:
            result = _broadcast_pair(result, shape, shapes, call)
    return result


def _broadcast_pair(a: Shape, b: Sequence[int], shapes: Sequence[Sequence[int]], call: str) -> Shape:
    missing = len(a) - len(b)
    longer, shorter = (a, tuple(b)) if missing >= 0 else (tuple(b), a)
    skip = abs(missing)
    result = list(longer)
    for position, size in enumerate(shorter, start=skip):
        other = result[position]
        if other == 1:
            result[position] = size
        elif size != 1 and size != other:
            if missing < 0:
                other, size = size, other
            # Name a shape the user passed, not the partial result of several.
            from_end = position - len(longer)
            first = next(each for each in shapes if len(each) >= -from_end and each[from_end] == other)
            raise coded_error(
                "broadcast_error_incompatible_dimensions",
                f"{call}: shapes {list(first)} and {list(b)} cannot be broadcast together: The size of tensor a "
                f"({other}) must match the size of tensor b ({size}) at non-singleton dimension {position}; "
                "make the two sizes equal, or one of them 1",
            )
    return tuple(result)


def expanded_shape(shape: Sequence[int], sizes: Sequence[int], call: str = "expand") -> Shape:
    """The shape that ``expand(sizes)`` gives: -1 keeps a size, new dimensions come in front.

    Raises ShapeError (``expand_error_incompatible``).

    >>> expanded_shape((3, 1), (2, -1, 4))
    (2, 3, 4)
    """
    added = len(sizes) - len(shape)
    if added < 0:
        raise coded_error(
            "expand_error_incompatible",
            f"{call}({list(sizes)}): the number of sizes provided ({len(sizes)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(shape)}), whose shape is {list(shape)}",
        )
    result = list(sizes)
    for position, size in enumerate(sizes):
        if position < added:
            if size < 0:
                raise coded_error(
                    "expand_error_incompatible",
                    f"{call}({list(sizes)}): The expanded size of the tensor ({size}) isn't allowed in a leading, "
                    f"non-existing dimension {position}; the tensor's shape is {list(shape)}",
                )
            continue
        existing = shape[position - added]
        if size == -1:
            result[position] = existing
        elif size < 0 or existing not in (1, size):
            raise _expand_mismatch(shape, sizes, position, existing, call)
    return tuple(result)


def _expand_mismatch(shape: Sequence[int], target: Sequence[int], position: int, existing: int, call: str) -> Exception:
    return coded_error(
        "expand_error_incompatible",
        f"{call}: The expanded size of the tensor ({target[position]}) must match the existing size ({existing}) at "
        f"non-singleton dimension {position}.  Target sizes: {list(target)}.  Tensor sizes: {list(shape)}",
    )


def broadcast_strides(
    shape: Sequence[int], strides: Sequence[int], target: Sequence[int], call: str = "expand"
) -> Shape:
    """The strides with which memory of ``shape`` and ``strides`` is read as ``target``: 0 where it repeats.

    Raises ShapeError (``expand_error_incompatible``) when ``shape`` does not broadcast to ``target``.

    >>> broadcast_strides((3, 1), (1, 1), (2, 3, 4))
    (0, 1, 0)
    """
    shape, target = tuple(shape), tuple(target)
    if shape == target:
        return tuple(strides)
    added = len(target) - len(shape)
    if added < 0:
        expanded_shape(shape, target, call)  # raises
    result = [0] * len(target)
    for position in range(len(target) - 1, -1, -1):
        wanted = target[position]
        if position >= added:
            existing = shape[position - added]
            if existing == wanted:
                result[position] = strides[position - added]
            elif existing != 1:
                raise _expand_mismatch(shape, target, position, existing, call)
        elif wanted == 1 and shape:
            # PyTorch gives a new dimension of size 1 the stride of a row; the value does not matter.
            result[position] = target[position + 1] * result[position + 1] if position + 1 < len(target) else 1
    return tuple(result)


# ---- dimensions ----------------------------------------------------------------------------------------------------


def normalize_dim(dim: Any, ndim: int, call: str = "", code: str = "dimension_error_out_of_range") -> int:
    """``dim`` counted from the front; a scalar counts as having one dimension.

    Raises IndexShapeError with ``code`` when out of range, TypeError when it is not an integer.

    >>> normalize_dim(-1, 3), normalize_dim(-1, 0)
    (2, 0)
    """
    if type(dim) is not int:
        dim = _index(dim, call, "dim")
    limit = ndim or 1
    if -limit <= dim < limit:
        return dim + limit if dim < 0 else dim
    where = f"{call}: " if call else ""
    raise coded_error(
        code, f"{where}Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})"
    )


def normalize_dims(dims: Any, ndim: int, call: str = "", code: str = "dimension_error_out_of_range") -> Shape:
    """Several dimensions counted from the front, in the order given; None means all of them.

    An empty sequence stays empty: whether that means none or all is the caller's rule. Raises IndexShapeError when
    one is out of range and ShapeError when one is named twice.

    >>> normalize_dims((-1, 0), 3), normalize_dims(1, 3), normalize_dims(None, 3)
    ((2, 0), (1,), (0, 1, 2))
    """
    if dims is None:
        return tuple(range(ndim))
    if not isinstance(dims, (tuple, list)):
        if _is_index(dims) or not isinstance(dims, Iterable):
            return (normalize_dim(dims, ndim, call, code),)
        dims = tuple(dims)
    result = tuple([normalize_dim(dim, ndim, call, code) for dim in dims])
    if len(set(result)) != len(result):
        twice = next(dim for position, dim in enumerate(result) if dim in result[:position])
        where = f"{call}: " if call else ""
        raise ShapeError(f"{where}dim {twice} appears multiple times in the list of dims {list(dims)}; name it once")
    return result


def reduced_shape(shape: Sequence[int], dims: Iterable[int], keepdim: bool) -> Shape:
    """The shape after reducing over ``dims`` (already normalized).

    >>> reduced_shape((2, 3, 4), (0, 2), False), reduced_shape((2, 3, 4), (0, 2), True)
    ((3,), (1, 3, 1))
    """
    gone = set(dims)
    if keepdim:
        return tuple([1 if position in gone else size for position, size in enumerate(shape)])
    return tuple([size for position, size in enumerate(shape) if position not in gone])


# ---- views ---------------------------------------------------------------------------------------------------------


def infer_shape(shape: Sequence[int], count: int, call: str = "") -> Shape:
    """``shape`` with its one -1 filled in so that it holds ``count`` elements.

    Raises ShapeError when it cannot.

    >>> infer_shape((2, -1), 6), infer_shape((-1,), 0)
    ((2, 3), (0,))
    """
    unknown = None
    known = 1
    for position, size in enumerate(shape):
        if size >= 0:
            known *= size
        elif size != -1:
            raise ShapeError(
                f"{_where(call)}invalid shape dimension {size} at index {position} of shape {list(shape)}; "
                "sizes are 0 or more, and one may be -1"
            )
        elif unknown is not None:
            raise ShapeError(
                f"{_where(call)}only one dimension can be inferred, but shape {list(shape)} has several -1"
            )
        else:
            unknown = position
    if unknown is None:
        if known == count:
            return tuple(shape)
    elif known == 0:
        if count == 0:
            raise ShapeError(
                f"{_where(call)}cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified "
                "dimension size -1 can be any value and is ambiguous; write the size"
            )
    elif count % known == 0:
        return (*shape[:unknown], count // known, *shape[unknown + 1 :])
    raise ShapeError(f"{_where(call)}shape '{list(shape)}' is invalid for input of size {count}")


def _where(call: str) -> str:
    return f"{call}: " if call else ""


def view_strides(shape: Sequence[int], strides: Sequence[int], new_shape: Sequence[int]) -> Shape | None:
    """The strides under which the same memory reads as ``new_shape``, or None when only a copy can do it.

    Both shapes must hold equally many elements. Strides of size-1 dimensions come out as PyTorch's.

    >>> view_strides((2, 3), (3, 1), (3, 2)), view_strides((4, 2), (5, 1), (2, 2, 2))
    ((2, 1), (10, 5, 1))
    >>> view_strides((2, 3), (1, 2), (6,)) is None
    True
    """
    shape, new_shape = tuple(shape), tuple(new_shape)
    if shape == new_shape:
        return tuple(strides)
    if 0 in shape:
        return contiguous_strides(new_shape)
    if not shape:
        return (1,) * len(new_shape)

    # Blocks of old dimensions that lie in memory as one, innermost first, as (stride of the innermost, elements).
    # Dimensions of size 1 belong to the block inside them.
    blocks = []
    base, held = strides[-1], shape[-1]
    for size, stride in zip(shape[-2::-1], strides[-2::-1]):
        if size == 1 or stride == held * base:
            held *= size
        else:
            blocks.append((base, held))
            base, held = stride, size
    blocks.append((base, held))

    # Each block must be filled by whole new dimensions.
    result: list[int] = []
    remaining = list(new_shape)
    for base, held in blocks:
        filled = 1
        while remaining and (filled < held or remaining[-1] == 1):
            result.append(filled * base)
            filled *= remaining.pop()
        if filled != held:
            return None
    return tuple(result[::-1])


def coalesce(shape: Sequence[int], *strides_lists: Sequence[int]) -> tuple[Shape, tuple[Shape, ...]]:
    """The shortest shape, with strides, that walks the same memory in the same order for all operands at once.

    Size-1 dimensions go, and neighbours are merged wherever every operand allows it. All sizes 1 gives ``()``; a size
    of 0 gives ``(0,)``.

    >>> coalesce((2, 1, 3, 4), (12, 12, 4, 1), (0, 0, 4, 1))
    ((2, 12), ((12, 1), (0, 1)))
    """
    if 0 in shape:
        return (0,), ((1,),) * len(strides_lists)
    kept: list[int] = []
    columns: list[list[int]] = [[] for _ in strides_lists]  # the strides of the kept dimensions, for each operand
    for position in range(len(shape) - 1, -1, -1):  # innermost first
        size = shape[position]
        if size == 1:
            continue
        if kept:
            inner = kept[-1]
            for strides, column in zip(strides_lists, columns):
                if strides[position] != inner * column[-1]:
                    break
            else:
                kept[-1] = inner * size
                continue
        kept.append(size)
        for strides, column in zip(strides_lists, columns):
            column.append(strides[position])
    return tuple(kept[::-1]), tuple([tuple(column[::-1]) for column in columns])


def extent(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> tuple[int, int]:
    """The lowest and the highest element index that a view touches; (offset, offset - 1) when it has no elements.

    >>> extent((2, 3), (3, -1), 2)
    (0, 5)
    """
    lowest = highest = offset
    for size, stride in zip(shape, strides):
        if size == 0:
            return offset, offset - 1
        if stride > 0:
            highest += (size - 1) * stride
        else:
            lowest += (size - 1) * stride
    return lowest, highest


# ---- arguments -----------------------------------------------------------------------------------------------------


def _is_index(value: Any) -> bool:
    """Whether ``value`` may stand for one int: arrays and tensors have ``__index__`` too, but only 0-d ones."""
    return hasattr(value, "__index__") and not getattr(value, "ndim", 0)


def _index(value: Any, call: str, argument: str, position: int | None = None) -> int:
    """``value`` as an int; anything with ``__index__`` will do except a bool."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    name = f"{call}(): " if call else ""
    if position is None:
        raise TypeError(f"{name}argument '{argument}' must be int, not {type(value).__name__}")
    raise TypeError(
        f"{name}argument '{argument}' must be tuple of ints, but found element of type {type(value).__name__} "
        f"at pos {position}"
    )


def check_shape_arguments(sizes: Sequence[Any], call: str = "", *, allow_negative: bool = False) -> Shape:
    """A shape from ``*sizes`` as users write them: several ints, or one sequence of them.

    numpy integers and anything else with ``__index__`` count as ints. Raises TypeError for other elements, and
    ShapeError for a negative size unless ``allow_negative`` (as for reshape, where -1 means something).

    >>> check_shape_arguments((2, 3)), check_shape_arguments(([2, 3],)), check_shape_arguments(())
    ((2, 3), (2, 3), ())
    """
    if len(sizes) == 1 and not isinstance(sizes[0], int):
        only = sizes[0]
        if isinstance(only, (tuple, list)):
            sizes = only
        elif not _is_index(only):
            if isinstance(only, str) or not isinstance(only, Iterable):
                raise TypeError(
                    f"{call + '(): ' if call else ''}argument 'size' must be tuple of ints, not {type(only).__name__}"
                )
            sizes = tuple(only)
    shape = tuple(
        [size if type(size) is int else _index(size, call, "size", position) for position, size in enumerate(sizes)]
    )
    if not allow_negative:
        for size in shape:
            if size < 0:
                raise ShapeError(
                    f"{_where(call)}Trying to create tensor with negative dimension {size}: {list(shape)}; "
                    "sizes must be non-negative"
                )
    return shape
