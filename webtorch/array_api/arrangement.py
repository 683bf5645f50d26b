"""The standard's functions that move, search, sort and count elements."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import creation, dtypes
from ..tensor import Tensor
from .shared import axes_of, need, promoted, shape_of

__all__ = [
    "argmax", "argmin", "argsort", "concat", "count_nonzero", "expand_dims", "flip", "moveaxis", "nonzero", "permute_dims",
    "repeat", "reshape", "roll", "searchsorted", "sort", "squeeze", "stack", "take", "take_along_axis", "tile", "unique_all",
    "unique_counts", "unique_inverse", "unique_values", "unstack", "where",
]  # fmt: skip
ANY = ("bool", "uint", "int", "float", "complex")
REAL = ("uint", "int", "float")


# ---- moving ---------------------------------------------------------------------------------------------------------


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """Arrays one after the other along an axis; flattened first for None."""
    import webtorch

    parts = promoted("concat()", *arrays)
    return webtorch.cat([part.reshape(-1) for part in parts], 0) if axis is None else webtorch.cat(parts, axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """Arrays side by side along a new axis."""
    import webtorch

    return webtorch.stack(promoted("stack()", *arrays), axis)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of an array along an axis, which they lack."""
    return tuple(x.unbind(axis))


def expand_dims(x: Tensor, /, *, axis: int = 0) -> Tensor:
    """`x` with a new axis of size 1 at position `axis`."""
    return x.unsqueeze(axis)


def squeeze(x: Tensor, /, axis: Any) -> Tensor:
    """`x` without the given axes. Raises ValueError where one is not of size 1."""
    axes = axes_of(axis, x.ndim)
    for each in axes:
        if x.shape[each] != 1:
            raise ValueError(f"squeeze(): axis {each} has size {x.shape[each]}, and only axes of size 1 can be dropped")
    return x.reshape(tuple(size for number, size in enumerate(x.shape) if number not in axes))


def flip(x: Tensor, /, *, axis: Any = None) -> Tensor:
    """`x` with its elements in reverse order along axes, all of them for None."""
    return x.flip(axes_of(axis, x.ndim))


def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Tensor:
    """`x` with axes moved to other positions."""
    return x.movedim(source, destination)


def permute_dims(x: Tensor, /, axes: Any) -> Tensor:
    """`x` with its axes in another order."""
    return x.permute(tuple(axes))


def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each element (along an axis: each part) several times."""
    return x.repeat_interleave(repeats, axis)


def reshape(x: Tensor, /, shape: Any, *, copy: bool | None = None) -> Tensor:
    """`x` in another shape. `copy=False` raises ValueError where a copy is needed."""
    sizes = shape_of(shape)
    if copy:
        return x.clone().reshape(sizes)
    if copy is False:
        try:
            return x.view(sizes)
        except RuntimeError as error:
            raise ValueError(f"reshape(copy=False): {error}") from None
    return x.reshape(sizes)


def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Tensor:
    """`x` with its elements moved on along axes, those at the end to the beginning."""
    if axis is None:
        return x.reshape(-1).roll(shift).reshape(x.shape)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return x.roll((shift,) * len(axes) if isinstance(shift, int) else tuple(shift), axes)


def tile(x: Tensor, repetitions: Any, /) -> Tensor:
    """`x` several times along each axis."""
    return x.tile(tuple(repetitions))


# ---- indexing and searching -----------------------------------------------------------------------------------------


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The parts of an array at positions along an axis, which may be left out for one dimension."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take(): axis is needed for an array of {x.ndim} dimensions")
        axis = 0
    (axis,) = axes_of(axis, x.ndim)
    need("take(indices)", indices, ("int", "uint"))
    return x[(slice(None),) * axis + (indices.to(dtypes.int64),)]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """For each position of `indices` the element of `x` that it names along an axis."""
    need("take_along_axis(indices)", indices, ("int", "uint"))
    (axis,) = axes_of(axis, x.ndim)
    where_to = indices.to(dtypes.int64)
    if indices.dtype.is_signed:
        where_to = (where_to < 0) * x.shape[axis] + where_to
    return x.take_along_dim(where_to, axis)


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest element along an axis, or in the flattened array."""
    need("argmax()", x, REAL)
    result = x.argmax() if axis is None else x.argmax(axis, keepdims)
    return result.reshape((1,) * x.ndim) if axis is None and keepdims else result


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element along an axis, or in the flattened array."""
    need("argmin()", x, REAL)
    result = x.argmin() if axis is None else x.argmin(axis, keepdims)
    return result.reshape((1,) * x.ndim) if axis is None and keepdims else result


def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements are not zero."""
    need("count_nonzero()", x, ANY)
    return (x != 0).to(dtypes.int64).sum(axes_of(axis, x.ndim), keepdims) if x.ndim else (x != 0).to(dtypes.int64)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The positions of the elements that are not zero, an array per axis. Raises ValueError for an array without axes."""
    if not x.ndim:
        raise ValueError("nonzero(): not defined for an array without dimensions; use x != 0")
    return tuple(x.nonzero(as_tuple=True))


def searchsorted(x1: Tensor, x2: Tensor, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Where the elements of `x2` belong in the sorted `x1`."""
    import webtorch

    first, second = promoted("searchsorted()", x1, x2)
    return webtorch.searchsorted(first if sorter is None else take(first, sorter), second, side=side)


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    """The elements of `x1` where a condition holds, those of `x2` elsewhere."""
    import webtorch

    return webtorch.where(condition, *promoted("where()", x1, x2))


# ---- sorting and sets -----------------------------------------------------------------------------------------------


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """`x` sorted along an axis."""
    need("sort()", x, REAL)
    return x.sort(dim=axis, descending=descending, stable=stable)[0]


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions by which `x` is sorted along an axis."""
    need("argsort()", x, REAL)
    return x.sort(dim=axis, descending=descending, stable=stable)[1]


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


def order_of(flat: Tensor) -> Tensor:
    """The positions by which any array is sorted: false before true, complex numbers by real part, then by imaginary part."""
    if flat.dtype.is_complex:
        order = flat.imag.sort(stable=True)[1]
        return order[flat.real[order].sort(stable=True)[1]]
    return (flat.to(dtypes.uint8) if flat.dtype is dtypes.bool_ else flat).sort(stable=True)[1]


def unique_all(x: Tensor, /) -> UniqueAll:
    """The distinct elements, sorted, with the position of the first of each, which of them each element is, and how often
    each occurs. Every NaN counts as distinct."""
    flat = x.reshape(-1)
    count = flat.numel()
    order = order_of(flat)
    values = flat[order]
    begins = creation.ones(count, dtype=dtypes.bool_, device=x.device)
    if count > 1:
        begins[1:] = values[1:] != values[:-1]
    starts = begins.nonzero().reshape(-1)
    inverse = creation.zeros(count, dtype=dtypes.int64, device=x.device)
    if count:
        inverse[order] = begins.to(dtypes.int64).cumsum(0) - 1
    ends = creation.full((starts.numel(),), count, dtype=dtypes.int64, device=x.device)
    if starts.numel() > 1:
        ends[:-1] = starts[1:]
    return UniqueAll(values[starts], order[starts], inverse.reshape(x.shape), ends - starts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The distinct elements, sorted, and how often each occurs."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The distinct elements, sorted, and which of them each element is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """The distinct elements, sorted."""
    return unique_all(x).values
