"""`Tensor.at`: torch.js's indexing, one description per dimension. Python's own `x[...]` is in `webtorch.indexing`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import bool_
from .errors import ShapeError, coded_error
from .tensor import Tensor


def at(self: Tensor, *specs: Any) -> Tensor:
    """The elements that `specs` describe, one per dimension; missing ones keep the whole dimension.

    An int picks one element and drops the dimension; a tuple or list `(start, end)` or `(start, end, step)` is a range, with
    None for an open end; None keeps the dimension; `...` (or "...") stands for as many as are missing; an integer tensor
    picks along its dimension, whatever the others do; a bool tensor picks where it is true and joins the dimensions it
    covers. All may be given as one list of ranges. A range with a negative step runs backwards; there an end of -1 means
    before the first element, as in torch.js, so that `(9, -1, -1)` reverses ten elements; other negative ends count from
    the end. Ranges are cut at the ends of the dimension, as Python's are.

    Raises IndexShapeError (code at_error_index_out_of_bounds) for an int outside the dimension, ShapeError for too many
    descriptions or a mask of another shape, TypeError for what is no description.

    >>> import webtorch
    >>> x = webtorch.arange(12).reshape(3, 4)
    >>> x.at(1), x.at((0, 2), 3), x.at(..., (3, -1, -2))
    (tensor([4, 5, 6, 7]), tensor([3, 7]), tensor([[ 3,  1],
            [ 7,  5],
            [11,  9]]))
    >>> x.at(webtorch.tensor([2, 0]), webtorch.tensor([True, False, False, True]))
    tensor([[ 8, 11],
            [ 0,  3]])
    """
    if (
        len(specs) == 1
        and isinstance(specs[0], list)
        and specs[0]
        and all(isinstance(one, (list, tuple)) for one in specs[0])
    ):
        specs = tuple(specs[0])
    result, dim = self, 0
    for spec in filled(self, specs):
        result, dim = applied(result, dim, spec, self)
    return result


def filled(x: Tensor, specs: tuple) -> list:
    """The descriptions with `...` written out."""
    covered = sum(max(spec.ndim, 1) if isinstance(spec, Tensor) and spec.dtype is bool_ else 1 for spec in specs)
    dots = [
        position for position, spec in enumerate(specs) if spec is Ellipsis or isinstance(spec, str) and spec == "..."
    ]
    if len(dots) > 1:
        raise ShapeError(f"at{specs!r} of shape {list(x._shape)}: '...' may stand there once")
    missing = x.ndim - covered + len(dots)
    if missing < 0:
        raise ShapeError(
            f"at() of shape {list(x._shape)}: {covered - len(dots)} dimensions are described, the tensor has {x.ndim}"
        )
    if not dots:
        return [*specs]
    (place,) = dots
    return [*specs[:place], *[None] * missing, *specs[place + 1 :]]


def applied(result: Tensor, dim: int, spec: Any, x: Tensor) -> tuple[Tensor, int]:
    """One description applied to dimension `dim`; with the number of the next dimension."""
    size = result._shape[dim]
    if spec is None:
        return result, dim + 1
    if isinstance(spec, Tensor):
        return picked(result, dim, spec, x)
    if isinstance(spec, (tuple, list)):
        return ranged(result, dim, tuple(spec), size, x), dim + 1
    if isinstance(spec, (int, np.integer)) and not isinstance(spec, bool):
        if not -size <= spec < size:
            raise coded_error(
                "at_error_index_out_of_bounds",
                f"at(): index {spec} is out of bounds for dimension {dim} with size {size} (shape {list(x._shape)}); "
                f"indices go from {-size} to {size - 1}",
            )
        return result.select(dim, int(spec)), dim
    raise TypeError(
        f"at(): {spec!r} describes no dimension; give an int, a range (start, end, step), None, '...' or a tensor of ints or bools"
    )


def ranged(result: Tensor, dim: int, spec: tuple, size: int, x: Tensor) -> Tensor:
    if len(spec) not in (2, 3) or not all(part is None or isinstance(part, (int, np.integer)) for part in spec):
        raise TypeError(f"at(): the range {spec!r} must be (start, end) or (start, end, step), of ints and None")
    start, end, step = (*spec, 1)[:3]
    step = 1 if step is None else int(step)
    if step == 0:
        raise ShapeError(f"at(): the range {spec!r} of shape {list(x._shape)} has step 0; give another step")
    if step < 0 and end == -1:
        end = None
    return result[(slice(None),) * dim + (slice(start, end, step),)]


def picked(result: Tensor, dim: int, spec: Tensor, x: Tensor) -> tuple[Tensor, int]:
    if spec.dtype is not bool_:
        if spec.ndim != 1:
            raise ShapeError(f"at(): a tensor of indices must have one dimension, not shape {list(spec._shape)}")
        return result[(slice(None),) * dim + (spec,)], dim + 1
    covered = max(spec.ndim, 1)
    if tuple(result._shape[dim : dim + covered]) != tuple(spec._shape):
        raise ShapeError(
            f"at() of shape {list(x._shape)}: the mask of shape {list(spec._shape)} does not fit dimensions {dim} to "
            f"{dim + covered - 1}; it must have their sizes"
        )
    return result[(slice(None),) * dim + (spec,)], dim + 1


Tensor.at = at  # type: ignore[attr-defined]
