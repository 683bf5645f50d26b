"""Equal elements: unique, unique_consecutive, mode. On a GPU rows are sorted, runs marked and counted by running sums;
only the number of results is read back."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import creation, dtypes
from .errors import IndexShapeError, ShapeError
from .functional import cat
from .functional.method import method
from .grad_mode import no_grad
from .ops.binary import where
from .ops.gather import put
from .reductions import running
from .shapes import normalize_dim
from .sorting import order
from .tensor import Tensor

__all__ = ["Mode", "mode", "unique", "unique_consecutive"]


class Mode(NamedTuple):
    """What `mode` returns."""

    values: Tensor
    indices: Tensor


def begins(rows: Tensor) -> Tensor:
    """Where a run of equal rows (first dimension) begins; NaN equals nothing."""
    count = rows._shape[0]
    differs = rows.narrow(0, 1, count - 1) != rows.narrow(0, 0, count - 1)
    if rows.ndim > 1:
        differs = differs.reshape((count - 1, -1)).any(1)
    return cat([creation.ones((1,), dtype=dtypes.bool_, device=rows.device), differs])


def runs(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of rows in which equal ones are neighbours: where each run begins, the run of every row, the length of each run."""
    count = rows._shape[0]
    starts = begins(rows)
    number = starts.to(dtypes.int32).cumsum(0, dtype=dtypes.int32) - 1
    total = int(number[-1].item()) + 1
    # Rows that begin no run write to a place of their own, which is cut off.
    place = where(starts, number, total)
    ramp = creation.ramp_tensor(count, 0, 1, dtypes.int32, rows.device)
    first = put(creation.full((total + 1,), count, dtype=dtypes.int32, device=rows.device), ramp, [place], (0,), False)
    ends = cat([first.narrow(0, 1, total - 1), creation.full((1,), count, dtype=dtypes.int32, device=rows.device)])
    first = first.narrow(0, 0, total).contiguous()
    return first, number, ends - first


def lexicographic(rows: Tensor) -> Tensor:
    """Positions that put the rows of a matrix in lexicographic order: stable sorts by one column after the other."""
    places = order(rows.select(1, rows._shape[1] - 1), 0, False)
    for column in range(rows._shape[1] - 2, -1, -1):
        places = places.gather(0, order(rows.select(1, column).gather(0, places), 0, False))
    return places


def results(values: Tensor, inverse: Tensor, counts: Tensor, return_inverse: bool, return_counts: bool) -> Any:
    found = [values]
    if return_inverse:
        found.append(inverse.to(dtypes.int64))
    if return_counts:
        found.append(counts.to(dtypes.int64))
    return found[0] if len(found) == 1 else tuple(found)


def grouped(input: Tensor, dim: int | None, sort: bool, return_inverse: bool, return_counts: bool, call: str) -> Any:
    with no_grad():
        x = input.detach()
        if dim is not None:
            dim = normalize_dim(dim, x.ndim, call)
            if any(size == 0 for other, size in enumerate(x._shape) if other != dim) and x._shape[dim]:
                raise ShapeError(
                    f"{call}(dim={dim}): There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
                )
        rows = x.reshape((-1,)) if dim is None else x.movedim(dim, 0) if x._shape else x.reshape((1,))
        count = rows._shape[0]
        shape = x._shape if dim is None else (count,)
        if not count:
            empty = creation.zeros((0,), dtype=dtypes.int64, device=x.device)
            return results(
                x.clone() if dim is not None else rows.clone(),
                empty.reshape(shape),
                empty,
                return_inverse,
                return_counts,
            )
        places = None
        if sort:
            flat = rows.reshape((count, -1))
            keys = flat.to(dtypes.uint8) if flat.dtype is dtypes.bool_ else flat
            places = lexicographic(keys)
            rows = rows.index_select(0, places)
        first, number, lengths = runs(rows.to(dtypes.uint8) if rows.dtype is dtypes.bool_ else rows)
        values = rows.index_select(0, first)
        if places is not None and return_inverse:
            number = put(creation.zeros((count,), dtype=dtypes.int32, device=x.device), number, [places], (0,), False)
        values = values if dim is None else values.movedim(0, dim).contiguous() if x._shape else values
        return results(values, number.reshape(shape), lengths, return_inverse, return_counts)


@method
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements, or with `dim` the distinct slices, in ascending (lexicographic) order: always sorted.

    With `return_inverse` also the number of the result that each element became, with `return_counts` how many did; then
    the results are a tuple. NaN equals nothing, not even itself. How many there are is read back from a GPU.

    >>> import webtorch
    >>> webtorch.unique(webtorch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return grouped(input, dim, True, return_inverse, return_counts, "unique")


@method
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (or with `dim` the slices) without those that equal the one before; see `unique`.

    >>> import webtorch
    >>> webtorch.unique_consecutive(webtorch.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    return grouped(input, dim, False, return_inverse, return_counts, "unique_consecutive")


@method
def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, out: tuple[Tensor, Tensor] | None = None) -> Mode:
    """The most frequent element along `dim`, of several the smallest, and the position of its last occurrence.

    Raises IndexShapeError for a dimension of size 0.

    >>> import webtorch
    >>> webtorch.mode(webtorch.tensor([1, 2, 2, 3]))
    Mode(values=tensor(2), indices=tensor(2))
    """
    dim = normalize_dim(dim, input.ndim, "mode")
    if not input._shape:
        result = Mode(input.clone(), creation.zeros((), dtype=dtypes.int64, device=input.device))
    elif not input._shape[dim]:
        raise IndexShapeError(f"mode(): Expected reduction dim {dim} to have non-zero size.")
    else:
        indices = mode_places(input, dim)
        values = input.gather(dim, indices)
        result = Mode(values, indices) if keepdim else Mode(values.squeeze(dim), indices.squeeze(dim))
    if out is not None:
        from .ops.elementwise import store_out

        return Mode(store_out("mode", result.values, out[0]), store_out("mode", result.indices, out[1]))
    return result


def mode_places(input: Tensor, dim: int) -> Tensor:
    """The position of the mode along `dim`, which is kept with size 1."""
    with no_grad():
        x = input.detach()
        x = x.to(dtypes.uint8) if x.dtype is dtypes.bool_ else x
        places = order(x, dim, False)
        ascending = x.gather(dim, places)
        size = x._shape[dim]
        ramp = creation.ramp_tensor(size, 0, 1, dtypes.int32, x.device).reshape((-1,) + (1,) * (x.ndim - dim - 1))
        changes = ascending.narrow(dim, 1, size - 1) != ascending.narrow(dim, 0, size - 1)
        first = creation.zeros(
            tuple(1 if d == dim else s for d, s in enumerate(x._shape)), dtype=dtypes.int32, device=x.device
        )
        begin = cat([first, where(changes, ramp.narrow(0, 1, size - 1), 0).to(dtypes.int32)], dim)
        begin = running(begin, dim, lambda a, b: a.maximum(b))
        longest = (ramp - begin).argmax(dim, keepdim=True)  # the first of the largest: the smallest value
        return places.gather(dim, longest)
