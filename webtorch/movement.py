"""Shape and movement compounds: splitting, joining, diagonals, rolling, tiling, and writing into slices.

All are made of views, `cat`, `where` and indexing, so they run on every device and differentiate.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import creation, dtypes
from .errors import DTypeError, IndexShapeError, ShapeError, coded_error
from .functional import cat, method, stack
from .ops.binary import where
from .ops.pad import pad
from .ops.parts import conj
from .ops.view import as_strided as as_strided_row
from .shapes import (
    broadcast_shapes,
    check_shape_arguments,
    contiguous_strides,
    expanded_shape,
    extent,
    infer_shape,
    normalize_dim,
    normalize_dims,
    numel,
)
from .tensor import Tensor

__all__ = [
    "adjoint", "argwhere", "as_strided", "as_strided_scatter", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag",
    "broadcastShapes", "canBroadcastTo", "can_broadcast_to", "cartesian_prod", "column_stack", "combinations", "diag",
    "diag_embed", "diagflat", "diagonal_scatter", "dsplit", "dstack", "fliplr", "flipud", "hsplit", "hstack", "meshgrid",
    "narrow_copy", "needsBroadcast", "needs_broadcast", "ravel", "repeat_interleave", "roll", "rot90", "row_stack",
    "select_scatter", "slice_scatter", "split_with_sizes", "take", "tensor_split", "tile", "tril_indices", "triu_indices",
    "unflatten", "unravel_index", "vsplit", "vstack",
]  # fmt: skip


# ---- geometry -------------------------------------------------------------------------------------------------------


@method
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """The storage of `input` read with any shape, strides and offset (in elements); a view, possibly overlapping itself.

    The offset of `input` is kept when none is given. Raises ShapeError when the geometry reaches outside the storage or
    a stride is negative. Gradients of elements that are read twice add up.

    >>> import webtorch
    >>> webtorch.as_strided(webtorch.arange(4), (3, 2), (1, 1))
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    shape, strides = check_shape_arguments((size,), "as_strided"), tuple(int(step) for step in stride)
    offset = input._offset if storage_offset is None else int(storage_offset)
    call = f"as_strided({list(shape)}, {list(strides)}, {offset})"
    if input._batch:
        raise RuntimeError(
            f"{call}: not possible under vmap, where a tensor shares its storage with the other examples"
        )
    if len(shape) != len(strides):
        raise ShapeError(f"{call}: mismatch in length of strides and shape")
    if min(strides, default=0) < 0:
        raise ShapeError(f"{call}: as_strided: Negative strides are not supported at the moment; use flip")
    room = input._storage.node.size
    if offset < 0 or (numel(shape) and extent(shape, strides, offset)[1] >= room):
        raise ShapeError(
            f"{call}: out of bounds for storage of {room} elements; shorten the sizes, strides or the offset"
        )
    geometry = (input._shape, input._strides, input._offset)
    return as_strided_row.view(input, {"view": (shape, strides, offset), "geometry": geometry})


@method
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions swapped and, for complex numbers, conjugated; a view of real ones.

    >>> import webtorch
    >>> webtorch.adjoint(webtorch.zeros(2, 3)).shape
    webtorch.Size([3, 2])
    """
    if input.ndim < 2:
        raise ShapeError(f"adjoint of shape {list(input._shape)}: only supported on matrices or batches of matrices")
    return conj(input.transpose(-2, -1))


@method
def ravel(input: Tensor) -> Tensor:
    """All elements as a vector; a view where the strides allow it.

    >>> import webtorch
    >>> webtorch.ravel(webtorch.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return input.reshape((-1,)) if numel(input._shape) else input.reshape((0,))


@method
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` taken apart into `sizes`, one of which may be -1; a view where the strides allow it.

    >>> import webtorch
    >>> webtorch.unflatten(webtorch.zeros(2, 6), 1, (3, -1)).shape
    webtorch.Size([2, 3, 2])
    """
    dim = normalize_dim(dim, input.ndim, "unflatten")
    wanted = check_shape_arguments((sizes,), "unflatten", allow_negative=True)
    if not wanted:
        raise ShapeError(f"unflatten({dim}, {list(wanted)}): sizes must be non-empty")
    parts = infer_shape(wanted, input._shape[dim], f"unflatten({dim}, {list(wanted)})")
    return input.reshape((*input._shape[:dim], *parts, *input._shape[dim + 1 :]))


@method
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow` with memory of its own.

    >>> import webtorch
    >>> webtorch.narrow_copy(webtorch.arange(5), 0, 1, 2)
    tensor([1, 2])
    """
    return input.narrow(dim, start, length).clone()


@method
def fliplr(input: Tensor) -> Tensor:
    """The columns in reverse order.

    >>> import webtorch
    >>> webtorch.fliplr(webtorch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if input.ndim < 2:
        raise ShapeError(f"fliplr of shape {list(input._shape)}: Input must be >= 2-d.")
    return input.flip(1)


@method
def flipud(input: Tensor) -> Tensor:
    """The rows in reverse order.

    >>> import webtorch
    >>> webtorch.flipud(webtorch.tensor([1, 2, 3]))
    tensor([3, 2, 1])
    """
    if input.ndim < 1:
        raise ShapeError("flipud of shape []: Input must be >= 1-d.")
    return input.flip(0)


@method
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A quarter turn, `k` times, from the first of `dims` towards the second.

    >>> import webtorch
    >>> webtorch.rot90(webtorch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2 or input.ndim < 2:
        raise ShapeError(f"rot90(k={k}, dims={list(dims)}) of shape {list(input._shape)}: expected two dims to rotate")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise ShapeError(f"rot90(k={k}, dims={list(dims)}): expected rotation dims to be different")
    first, second = normalize_dims(tuple(dims), input.ndim, "rot90")
    turns = k % 4
    if turns == 0:
        return input.clone()
    if turns == 2:
        return input.flip((first, second))
    return input.flip(second if turns == 1 else first).transpose(first, second)


@method
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The elements moved on by `shifts` along `dims`, coming in again at the other end; of the flattened tensor without dims.

    >>> import webtorch
    >>> webtorch.roll(webtorch.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    """
    steps = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    if dims is None or dims == ():
        if len(steps) != 1:
            raise ShapeError(f"roll(shifts={list(steps)}): shifts and dimensions must align; give as many dims")
        return roll(input.reshape((-1,)), steps, (0,)).reshape(input._shape) if numel(input._shape) else input.clone()
    along = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(along) != len(steps):
        raise ShapeError(f"roll(shifts={list(steps)}, dims={list(along)}): shifts and dimensions must align")
    result = input
    for step, dim in zip(steps, along, strict=True):
        axis = normalize_dim(dim, input.ndim, "roll")
        size = input._shape[axis]
        start = -int(step) % size if size else 0
        if start:
            result = cat([result.narrow(axis, start, size - start), result.narrow(axis, 0, start)], axis)
    return result.clone() if result is input else result


# ---- repeating ------------------------------------------------------------------------------------------------------


@method
def tile(input: Tensor, *dims: Any) -> Tensor:
    """The tensor repeated along each dimension; missing leading numbers count as 1.

    >>> import webtorch
    >>> webtorch.tile(webtorch.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    counts = check_shape_arguments(dims, "tile")
    return input.repeat((1,) * (input.ndim - len(counts)) + counts)


@method
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (slice along `dim`) repeated, by one number or one per slice; flattened first without `dim`.

    With one tensor of counts alone: the position of each, as often as it says. Counts in a tensor are read back from a
    GPU, because the result's size depends on them.

    >>> import webtorch
    >>> webtorch.repeat_interleave(webtorch.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    >>> webtorch.repeat_interleave(webtorch.tensor([1, 2]), webtorch.tensor([0, 3]))
    tensor([2, 2, 2])
    """
    if repeats is None:
        return interleaved_positions(input, output_size)
    if dim is None:
        input, dim = input.reshape((-1,)), 0
    dim = normalize_dim(dim, input.ndim, "repeat_interleave")
    if not input._shape:
        return repeat_interleave(input.reshape((1,)), repeats, 0, output_size=output_size)
    if not isinstance(repeats, Tensor):
        repeats = int(repeats)
        if repeats < 0:
            raise ShapeError(f"repeat_interleave(repeats={repeats}): Repeats must be non-negative")
        shape = (*input._shape[: dim + 1], repeats, *input._shape[dim + 1 :])
        return input.unsqueeze(dim + 1).expand(shape).flatten(dim, dim + 1).clone()
    counts = repeats
    if counts.ndim > 1:
        raise ShapeError(
            f"repeat_interleave: repeats must be 0-dim or 1-dim tensor, but has shape {list(counts._shape)}"
        )
    if counts.numel() == 1:
        counts = counts.reshape((1,)).expand((input._shape[dim],))
    if counts._shape[0] != input._shape[dim]:
        raise ShapeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got {counts._shape[0]} repeats "
            f"for dimension {dim} of shape {list(input._shape)}"
        )
    return input.index_select(dim, interleaved_positions(counts, output_size).to(input.device))


def interleaved_positions(counts: Tensor, output_size: int | None) -> Tensor:
    if counts.ndim != 1 or counts.dtype not in (dtypes.int32, dtypes.int64):
        raise DTypeError(
            f"repeat_interleave: repeats must be a vector of dtype int64 or int32, got {counts.dtype} of shape "
            f"{list(counts._shape)}"
        )
    array = counts.detach()._array()
    if array.size and array.min() < 0:
        raise ShapeError("repeat_interleave: repeats can not be negative")
    positions = np.repeat(np.arange(array.size, dtype=array.dtype), array)
    if output_size is not None and output_size != positions.size:
        raise ShapeError(f"repeat_interleave(output_size={output_size}): the repeats add up to {positions.size}")
    return creation.leaf(positions, counts.device)


# ---- splitting ------------------------------------------------------------------------------------------------------


@method
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views between the given positions along `dim`, or that many nearly equal ones (the first are the longer).

    >>> import webtorch
    >>> webtorch.tensor_split(webtorch.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    >>> webtorch.tensor_split(webtorch.arange(5), (1, 3))
    (tensor([0]), tensor([1, 2]), tensor([3, 4]))
    """
    if not input._shape:
        raise ShapeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = normalize_dim(dim, input.ndim, "tensor_split")
    size = input._shape[dim]
    given = indices_or_sections.tolist() if isinstance(indices_or_sections, Tensor) else indices_or_sections
    if isinstance(given, int):
        if given <= 0:
            raise ShapeError(f"tensor_split({given}): number of sections must be larger than 0, got {given}")
        short, longer = divmod(size, given)
        points = [part * short + min(part, longer) for part in range(1, given)]
    else:
        points = [int(point) for point in given]
    starts = [0, *(slice(point, None).indices(size)[0] for point in points)]
    ends = [*(slice(point, None).indices(size)[0] for point in points), size]
    return tuple(input.narrow(dim, start, max(0, end - start)) for start, end in zip(starts, ends, strict=True))


@method
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split` into pieces of the given sizes.

    >>> import webtorch
    >>> webtorch.split_with_sizes(webtorch.arange(3), [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return input.split(list(split_sizes), dim)


def split_evenly(input: Tensor, given: Any, dim: int, call: str) -> tuple[Tensor, ...]:
    if isinstance(given, int) and given > 0 and input._shape[dim] % given:
        raise ShapeError(
            f"{call} attempted to split along dimension {dim}, but the size of the dimension {input._shape[dim]} is not "
            f"divisible by the split_size {given}!"
        )
    return tensor_split(input, given, dim)


@method
def hsplit(input: Tensor, *indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces side by side: along dimension 1, or 0 of a vector; a number must divide the size.

    >>> import webtorch
    >>> [part.shape for part in webtorch.hsplit(webtorch.zeros(2, 4), 2)]
    [webtorch.Size([2, 2]), webtorch.Size([2, 2])]
    """
    if input.ndim < 1:
        raise ShapeError("hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 dimensions!")
    return split_evenly(input, positions_given(indices_or_sections), 0 if input.ndim == 1 else 1, "hsplit")


@method
def vsplit(input: Tensor, *indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces on top of each other: along dimension 0 of at least two; a number must divide the size.

    >>> import webtorch
    >>> [part.shape for part in webtorch.vsplit(webtorch.zeros(4, 2), 2)]
    [webtorch.Size([2, 2]), webtorch.Size([2, 2])]
    """
    if input.ndim < 2:
        raise ShapeError(
            f"vsplit requires a tensor with at least 2 dimension, but got a tensor with {input.ndim} dimensions!"
        )
    return split_evenly(input, positions_given(indices_or_sections), 0, "vsplit")


@method
def dsplit(input: Tensor, *indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces in depth: along dimension 2 of at least three; a number must divide the size.

    >>> import webtorch
    >>> [part.shape for part in webtorch.dsplit(webtorch.zeros(1, 2, 4), [1])]
    [webtorch.Size([1, 2, 1]), webtorch.Size([1, 2, 3])]
    """
    if input.ndim < 3:
        raise ShapeError(
            f"dsplit requires a tensor with at least 3 dimension, but got a tensor with {input.ndim} dimensions!"
        )
    return split_evenly(input, positions_given(indices_or_sections), 2, "dsplit")


def positions_given(given: tuple) -> Any:
    return given[0] if len(given) == 1 else given


# ---- joining --------------------------------------------------------------------------------------------------------


def of_each(tensors: tuple, function: Any) -> Any:
    """`function` of one tensor, or a tuple of it of several."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    elif len(tensors) == 1:
        return function(as_tensor(tensors[0]))
    return tuple(function(as_tensor(tensor)) for tensor in tensors)


def as_tensor(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"expected a Tensor, got {type(value).__name__}; make one with webtorch.tensor(...)")
    return value


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors as vectors of one element, others as they are; a tuple for several tensors.

    >>> import webtorch
    >>> webtorch.atleast_1d(webtorch.tensor(3))
    tensor([3])
    """
    return of_each(tensors, lambda x: x.reshape((1,)) if x.ndim == 0 else x)


def atleast_2d(*tensors: Any) -> Any:
    """0-d and 1-d tensors as matrices of one row, others as they are; a tuple for several tensors.

    >>> import webtorch
    >>> webtorch.atleast_2d(webtorch.tensor([3, 4]))
    tensor([[3, 4]])
    """
    return of_each(tensors, lambda x: x.reshape((1, 1)) if x.ndim == 0 else x.unsqueeze(0) if x.ndim == 1 else x)


def deepened(x: Tensor) -> Tensor:
    if x.ndim == 0:
        return x.reshape((1, 1, 1))
    return x.unsqueeze(0).unsqueeze(-1) if x.ndim == 1 else x.unsqueeze(-1) if x.ndim == 2 else x


def atleast_3d(*tensors: Any) -> Any:
    """Smaller tensors with size-1 dimensions added until there are three; a tuple for several tensors.

    >>> import webtorch
    >>> webtorch.atleast_3d(webtorch.tensor([3, 4])).shape
    webtorch.Size([1, 2, 1])
    """
    return of_each(tensors, deepened)


def several(tensors: Sequence[Tensor], call: str) -> list[Tensor]:
    tensors = [as_tensor(tensor) for tensor in tensors]
    if not tensors:
        raise RuntimeError(f"{call} expects a non-empty TensorList")
    return tensors


def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The tensors side by side: along dimension 1, vectors along 0.

    >>> import webtorch
    >>> webtorch.hstack([webtorch.tensor([1, 2]), webtorch.tensor([3])])
    tensor([1, 2, 3])
    """
    parts = [atleast_1d(tensor) for tensor in several(tensors, "hstack")]
    return cat(parts, 0 if parts[0].ndim == 1 else 1, out=out)


def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The tensors on top of each other: along dimension 0, vectors as rows.

    >>> import webtorch
    >>> webtorch.vstack([webtorch.tensor([1, 2]), webtorch.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([atleast_2d(tensor) for tensor in several(tensors, "vstack")], 0, out=out)


row_stack = vstack


def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The tensors behind each other: along dimension 2.

    >>> import webtorch
    >>> webtorch.dstack([webtorch.tensor([1, 2]), webtorch.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([atleast_3d(tensor) for tensor in several(tensors, "dstack")], 2, out=out)


def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The tensors side by side, vectors as columns.

    >>> import webtorch
    >>> webtorch.column_stack([webtorch.tensor([1, 2]), webtorch.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    parts = several(tensors, "column_stack")
    return hstack([part.reshape((part.numel(), 1)) if part.ndim <= 1 else part for part in parts], out=out)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices along the diagonal of one matrix that is zero elsewhere; vectors count as rows.

    >>> import webtorch
    >>> webtorch.block_diag(webtorch.tensor([[1, 2]]), webtorch.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        return creation.zeros((1, 0))
    blocks = [atleast_2d(tensor) for tensor in tensors]
    for position, block in enumerate(blocks):
        if block.ndim > 2:
            raise ShapeError(
                f"block_diag: Input tensors must have 2 or fewer dimensions. Input {position} has {block.ndim} dimensions"
            )
    width, start, rows = sum(block._shape[1] for block in blocks), 0, []
    for block in blocks:
        rows.append(pad(block, (0, start), (1, 1), (block._shape[0], width), 0))
        start += block._shape[1]
    return cat(rows, 0)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of all points of the grid over the given vectors, one tensor for each of them; views.

    With `indexing="xy"` the first vector varies along dimension 1, the second along 0. Without `indexing` PyTorch warns; here it is "ij".

    >>> import webtorch
    >>> webtorch.meshgrid(webtorch.tensor([1, 2]), webtorch.tensor([3, 4]), indexing="ij")
    (tensor([[1, 1],
            [2, 2]]), tensor([[3, 4],
            [3, 4]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in ("ij", "xy"):
        raise ValueError(f'meshgrid(indexing={indexing!r}): indexing must be one of "xy" or "ij"')
    for tensor in tensors:
        if tensor.ndim > 1:
            raise ShapeError(
                f"meshgrid: Expected 0D or 1D tensor in the tensor list but got shape {list(tensor._shape)}"
            )
        if tensor.dtype is not tensors[0].dtype or tensor.device != tensors[0].device:
            raise DTypeError("meshgrid expects all tensors to have the same dtype and device")
    vectors = list(atleast_1d(list(tensors)))
    swap = indexing == "xy" and len(vectors) > 1
    if swap:
        vectors[:2] = vectors[1::-1]
    sizes, count = tuple(vector._shape[0] for vector in vectors), len(vectors)
    grids = []
    for position, vector in enumerate(vectors):
        place = (1,) * position + sizes[position : position + 1] + (1,) * (count - position - 1)
        grids.append(vector.reshape(place).expand(sizes))
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to take one element of each vector, as rows; the last vector varies fastest.

    >>> import webtorch
    >>> webtorch.cartesian_prod(webtorch.tensor([1, 2]), webtorch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    for tensor in tensors:
        if tensor.ndim != 1:
            raise ShapeError(f"cartesian_prod: Expect a 1D vector, but got shape {list(tensor._shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([grid.reshape((-1,)) for grid in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All `r`-element subsets of a vector, as rows, in the order of itertools; with repetition if asked.

    >>> import webtorch
    >>> webtorch.combinations(webtorch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise ShapeError(f"combinations: Expect a 1D vector, but got shape {list(input._shape)}")
    if r < 0:
        raise ShapeError(f"combinations(r={r}): Expect a non-negative number, but got {r}")
    if r == 0:
        return creation.empty((0,), dtype=input.dtype, device=input.device)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.fromiter(itertools.chain.from_iterable(choose(range(input._shape[0]), r)), np.int64).reshape((-1, r))
    if not rows.size:
        return creation.empty((0, r), dtype=input.dtype, device=input.device)
    return input[creation.leaf(np.ascontiguousarray(rows), input.device)]


# ---- diagonals and triangles ----------------------------------------------------------------------------------------


@method
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension of `input` on their diagonal number `offset` and zeros elsewhere.

    >>> import webtorch
    >>> webtorch.diag_embed(webtorch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if not input._shape:
        raise ShapeError("diag_embed of a 0-d tensor: it has no dimension to lay on a diagonal; use reshape(1) first")
    first, second = (normalize_dim(dim, input.ndim + 1, "diag_embed") for dim in (dim1, dim2))
    if first == second:
        raise ShapeError(
            f"diag_embed(dim1={dim1}, dim2={dim2}): diagonal dimensions cannot be identical {dim1}, {dim2}"
        )
    length = input._shape[-1]
    size = length + abs(offset)
    if not size or not numel(input._shape):
        matrices = creation.zeros((*input._shape[:-1], size, size), dtype=input.dtype, device=input.device)
        return matrices.movedim((-2, -1), (first, second))
    low = (0,) * (input.ndim - 1) + (max(0, -offset),)
    by_row = pad(input, low, (1,) * input.ndim, (*input._shape[:-1], size), 0)
    row = creation.ramp_tensor(size, 0, 1, dtypes.int32, input.device)
    on_diagonal = row == row.unsqueeze(1) + offset
    zero = creation.zeros((), dtype=input.dtype, device=input.device)
    return where(on_diagonal, by_row.unsqueeze(-1), zero).movedim((-2, -1), (first, second))


@method
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix with a vector on its diagonal, or the diagonal of a matrix, copied.

    >>> import webtorch
    >>> webtorch.diag(webtorch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    >>> webtorch.diag(webtorch.tensor([[1, 2], [3, 4]]), 1)
    tensor([2])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D (shape {list(input._shape)})")
    return input.diagonal(diagonal).clone()


@method
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of `input` on its diagonal number `offset`.

    >>> import webtorch
    >>> webtorch.diagflat(webtorch.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(ravel(input), offset)


def triangle_indices(row: int, col: int, offset: int, dtype: Any, device: Any, lower: bool, call: str) -> Tensor:
    if row < 0 or col < 0:
        raise ShapeError(f"{call}({row}, {col}): row and col must be non-negative")
    found = np.tril_indices(row, offset, col) if lower else np.triu_indices(row, offset, col)
    target = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64
    if target not in (dtypes.int64, dtypes.int32):
        raise DTypeError(f"{call}(dtype={target}): not implemented; use int64 or int32")
    return creation.leaf(
        np.ascontiguousarray(np.stack(found).astype(target.numpy)), creation.resolve(device), dtype=target
    )


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """The row numbers and column numbers of the lower triangle of a row x col matrix, up to diagonal `offset`.

    >>> import webtorch
    >>> webtorch.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return triangle_indices(row, col, offset, dtype, device, True, "tril_indices")


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """The row numbers and column numbers of the upper triangle of a row x col matrix, from diagonal `offset` on.

    >>> import webtorch
    >>> webtorch.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return triangle_indices(row, col, offset, dtype, device, False, "triu_indices")


# ---- writing into a copy --------------------------------------------------------------------------------------------


def written(input: Tensor, src: Tensor, place: Any, call: str) -> Tensor:
    """A copy of `input` with `src` written where the view `place(copy)` lies."""
    result = input.clone()
    target = place(result)
    if tuple(src._shape) != tuple(target._shape):
        raise coded_error(
            "slice_error_out_of_bounds",
            f"{call} of shape {list(input._shape)}: expected src to have a size equal to the slice of self. "
            f"src size = {list(src._shape)}, slice size = {list(target._shape)}",
        )
    target.copy_(src)
    return result


@method
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` whose slice at `index` of dimension `dim` is `src`.

    >>> import webtorch
    >>> webtorch.select_scatter(webtorch.zeros(2, 2), webtorch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return written(input, src, lambda x: x.select(dim, index), f"select_scatter(dim={dim}, index={index})")


@method
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` whose elements start:end:step along `dim` are `src`.

    >>> import webtorch
    >>> webtorch.slice_scatter(webtorch.zeros(4), webtorch.ones(2), start=1, end=4, step=2)
    tensor([0., 1., 0., 1.])
    """
    if step < 1:
        raise ShapeError(f"slice_scatter(step={step}): slice step must be positive")
    dim = normalize_dim(dim, input.ndim, "slice_scatter")
    index = (*(slice(None),) * dim, slice(start, end, step))
    return written(input, src, lambda x: x[index], f"slice_scatter(dim={dim}, {start}:{end}:{step})")


@method
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` whose diagonal number `offset` of dimensions `dim1` and `dim2` is `src`.

    >>> import webtorch
    >>> webtorch.diagonal_scatter(webtorch.zeros(2, 2), webtorch.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return written(input, src, lambda x: x.diagonal(offset, dim1, dim2), f"diagonal_scatter(offset={offset})")


@method
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of `input` with `src` written where a view of that geometry lies in the copy.

    >>> import webtorch
    >>> webtorch.as_strided_scatter(webtorch.zeros(4), webtorch.ones(2), (2,), (2,), 1)
    tensor([0., 1., 0., 1.])
    """
    return written(input, src, lambda x: as_strided(x, size, stride, storage_offset), "as_strided_scatter")


# ---- reading at positions -------------------------------------------------------------------------------------------


@method
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `input` at the positions in `index`, in the shape of `index`.

    >>> import webtorch
    >>> webtorch.take(webtorch.tensor([[1, 2], [3, 4]]), webtorch.tensor([0, 3, -2]))
    tensor([1, 4, 3])
    """
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise DTypeError(f"take(): Expected a long tensor for index, but got {index.dtype}; convert with .long()")
    if not numel(input._shape) and numel(index._shape):
        raise IndexShapeError("take(): tried to take from an empty tensor")
    return ravel(input)[index] if index.ndim else ravel(input)[index.reshape((1,))].reshape(())


@method
def argwhere(input: Tensor) -> Tensor:
    """The positions of the nonzero elements as rows; read back from a GPU, because their number depends on the data.

    >>> import webtorch
    >>> webtorch.argwhere(webtorch.tensor([0, 5, 6]))
    tensor([[1],
            [2]])
    """
    return input.nonzero()


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Flat positions in a tensor of `shape` as one tensor of coordinates per dimension.

    >>> import webtorch
    >>> webtorch.unravel_index(webtorch.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.dtype.kind not in ("int", "uint"):
        raise DTypeError(f"unravel_index: expected 'indices' to be an integer tensor, but got {indices.dtype}")
    sizes = check_shape_arguments((shape,), "unravel_index")
    indices = indices.to(dtypes.int64)
    return tuple((indices // step) % size for size, step in zip(sizes, contiguous_strides(sizes), strict=True))


# ---- questions about shapes -----------------------------------------------------------------------------------------

broadcastShapes = broadcast_shapes


def can_broadcast_to(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether `expand` can give a tensor of `shape` the shape `target`.

    >>> import webtorch
    >>> webtorch.can_broadcast_to((3, 1), (2, 3, 4)), webtorch.can_broadcast_to((3,), (2,))
    (True, False)
    """
    try:
        return expanded_shape(tuple(shape), tuple(target)) == tuple(target)
    except ShapeError:
        return False


def needs_broadcast(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether an operation on two tensors of these shapes repeats elements of one of them.

    >>> import webtorch
    >>> webtorch.needs_broadcast((2, 3), (3,)), webtorch.needs_broadcast((2, 3), (2, 3))
    (True, False)
    """
    return tuple(shape) != tuple(other)


canBroadcastTo, needsBroadcast = can_broadcast_to, needs_broadcast
