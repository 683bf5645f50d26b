"""Where values belong in sorted rows, and what is counted by that: searchsorted, bucketize, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import creation, dtypes
from .errors import DTypeError, ShapeError
from .functional.method import method
from .grad_mode import no_grad
from .ops import common_device, is_number, result_dtype
from .ops.binary import where
from .ops.elementwise import store_out
from .ops.search import search
from .shapes import numel
from .tensor import Tensor

__all__ = ["Histogram", "HistogramDD", "bucketize", "histogram", "histogramdd", "searchsorted"]


@method
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    out: Tensor | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where the values of `input` would go in the rows (last dimension) of `sorted_sequence`, to keep them sorted.

    With `right` (or side="right") after elements that are equal, else before them. `sorted_sequence` has one dimension,
    or the same leading dimensions as `input`, which may be a number in the first case. `sorter` holds positions that
    sort the rows, when they are not sorted. The result is int64, or int32 with `out_int32`. Raises ShapeError for shapes
    that do not fit and for a sorter out of range.

    >>> import webtorch
    >>> webtorch.searchsorted(webtorch.tensor([1, 3, 5]), webtorch.tensor([3, 6]))
    tensor([1, 3])
    """
    call = "searchsorted"
    rows = sorted_sequence
    if side not in (None, "left", "right"):
        raise ShapeError(f"{call}(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise ShapeError(f"{call}(): side and right can't be set to opposites, got side of left while right was True")
    if not isinstance(input, Tensor):
        if not is_number(input):
            raise TypeError(f"{call}(): argument 'input' must be a Tensor or a number, not {type(input).__name__}")
        common = result_dtype([rows, input])
        input = creation.full((), input, dtype=common, device=rows.device)
    common_device([rows, input], call)
    if not rows._shape:
        raise ShapeError(f"{call}(): boundaries tensor should have positive dimension, but got 0 dimension")
    if not input._shape and rows.ndim != 1:
        raise ShapeError(
            f"{call}(): input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor "
            f"dim({rows.ndim}) and input value's dim(0) numel(1)"
        )
    if rows.ndim > 1 and rows._shape[:-1] != input._shape[:-1]:
        raise ShapeError(
            f"{call}(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value "
            f"tensor must match, but we got boundaries tensor {list(rows._shape)} and input value tensor {list(input._shape)}"
        )
    if sorter is not None:
        rows = sorted_by(rows, sorter, call)
    with no_grad():
        result = places(rows.detach(), input.detach(), right or side == "right")
        result = result if out_int32 else result.to(dtypes.int64)
    return result if out is None else store_out(call, result, out)


def sorted_by(rows: Tensor, sorter: Tensor, call: str) -> Tensor:
    if sorter._shape != rows._shape:
        raise ShapeError(
            f"{call}(): boundary and sorter must have the same size, but got boundary tensor {list(rows._shape)} and got sorter "
            f"tensor {list(sorter._shape)}"
        )
    if sorter.dtype is not dtypes.int64:
        raise DTypeError(f"{call}(): sorter must be a tensor of long dtype but got dtype {sorter.dtype}; use .long()")
    return rows.detach().gather(-1, sorter)


def places(rows: Tensor, values: Tensor, right: bool) -> Tensor:
    """`searchsorted` of arguments that are in order, as int32."""
    common = result_dtype([rows, values])
    common = dtypes.uint8 if common is dtypes.bool_ else common
    rows, values = rows.to(common), values.to(common)
    if not values.numel() or not rows._shape[-1]:
        return creation.zeros(values._shape, dtype=dtypes.int32, device=rows.device)
    extent = rows._shape[-1]
    if rows.ndim == 1:
        return search(rows.reshape((1, extent)), values.reshape((1, -1)), right).reshape(values._shape)
    lead = numel(rows._shape[:-1])
    return search(rows.reshape((lead, extent)), values.reshape((lead, -1)), right).reshape(values._shape)


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None
) -> Tensor:
    """The number of the interval between sorted `boundaries` that each value lies in: 0 below the first of them.

    A boundary belongs to the interval below it, with `right` to the one above. The result is int64, or int32 with
    `out_int32`. Raises ShapeError unless `boundaries` is a vector.

    >>> import webtorch
    >>> webtorch.bucketize(webtorch.tensor([0.5, 3.0, 9.0]), webtorch.tensor([1.0, 3.0]))
    tensor([0, 1, 2])
    """
    if boundaries.ndim != 1:
        raise ShapeError(f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


# ---- histograms -----------------------------------------------------------------------------------------------------


class Histogram(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


class HistogramDD(NamedTuple):
    """What `histogramdd` returns."""

    hist: Tensor
    bin_edges: tuple[Tensor, ...]


def outer_edges(values: Tensor, limits: Any, call: str) -> list[tuple[float, float]]:
    """The range of every column: the given one, or from the smallest to the largest element, which are read back."""
    dims = values._shape[1]
    if limits is not None:
        limits = [float(bound) for bound in limits]
        if len(limits) != 2 * dims:
            raise ShapeError(
                f"{call}: for a {dims}-dimensional histogram range should have {2 * dims} elements, but got {len(limits)}"
            )
        pairs = list(zip(limits[::2], limits[1::2], strict=True))
    elif values.numel():
        pairs = list(zip(values.amin(0).tolist(), values.amax(0).tolist(), strict=True))
    else:
        pairs = [(0.0, 1.0)] * dims
    for dim, (low, high) in enumerate(pairs):
        if not abs(low) < float("inf") or not abs(high) < float("inf"):
            raise ShapeError(f"{call}: dimension {dim}'s range [{low}, {high}] is not finite")
        if low > high:
            raise ShapeError(f"{call}: min should not exceed max, but got min {low:g} max {high:g} for dimension {dim}")
        if low == high:
            pairs[dim] = (low - 0.5, high + 0.5)
    return pairs


def counted(values: Tensor, edges: list[Tensor], weight: Tensor | None, density: bool, call: str) -> Tensor:
    """How many rows of `values` (or what weight) lie in each cell; the last interval of each dimension is closed."""
    count = values._shape[0]
    sizes = [edge._shape[0] - 1 for edge in edges]
    total = numel(sizes)
    if weight is not None:
        if weight.numel() != count:
            raise ShapeError(
                f"{call}: if weight tensor is provided it should have the same shape as the input tensor, but got {count} "
                f"elements and weight with shape {list(weight._shape)}"
            )
        if weight.dtype is not values.dtype:
            raise DTypeError(
                f"{call}: if weight tensor is provided, input tensor and weight tensor should have the same dtype"
            )
    place: Any = 0
    inside: Any = None
    for dim, edge in enumerate(edges):
        column = values.select(1, dim).contiguous()
        within = (column >= edge[0]) & (column <= edge[-1])
        inside = within if inside is None else inside & within
        place = place * sizes[dim] + (places(edge, column, True) - 1).clamp(0, sizes[dim] - 1)
    result = creation.zeros((total + 1,), dtype=dtypes.int32 if weight is None else values.dtype, device=values.device)
    if count:
        # What lies outside is counted in a place of its own, then cut off.
        place = where(inside, place, total).to(dtypes.int64)
        what = (
            creation.ones((count,), dtype=dtypes.int32, device=values.device)
            if weight is None
            else weight.reshape((-1,))
        )
        result = result.scatter_add(0, place, what)
    hist = result.narrow(0, 0, total).to(values.dtype).reshape(tuple(sizes))
    if density:
        hist = hist / hist.sum()
        for dim, edge in enumerate(edges):
            hist = hist / edge.diff().reshape((-1,) + (1,) * (len(edges) - dim - 1))
    return hist


def check_histogram(input: Tensor, call: str) -> None:
    if not input.dtype.is_floating_point:
        raise DTypeError(f"{call}: not implemented for {input.dtype}; convert with .float() first")


def edges_of(values: Tensor, bins: Sequence[Any], limits: Any, call: str) -> list[Tensor]:
    if all(isinstance(bin, Tensor) for bin in bins):
        for dim, edge in enumerate(bins):
            if edge.ndim != 1 or not edge.numel():
                raise ShapeError(
                    f"{call}: bins tensor for dimension {dim} should be a vector with one element at least"
                )
            if edge.dtype is not values.dtype:
                raise DTypeError(
                    f"{call}: input tensor and bins tensors should have the same dtype, but got {values.dtype} and {edge.dtype}"
                )
        return [edge.detach() for edge in bins]
    for dim, bin in enumerate(bins):
        if bin <= 0:
            raise ShapeError(f"{call}(): bins must be > 0, but got {bin} for dimension {dim}")
    pairs = outer_edges(values, limits, call)
    return [
        creation.linspace(low, high, bin + 1, dtype=values.dtype, device=values.device)
        for bin, (low, high) in zip(bins, pairs, strict=True)
    ]


@method
def histogram(
    input: Tensor,
    bins: int | Tensor,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> Histogram:
    """How many elements lie in each interval, as (hist, bin_edges) in the dtype of `input`.

    `bins` is a number of intervals of equal width over `range` (by default from the smallest to the largest element,
    which are read back from a GPU), or the edges themselves, increasing. The last interval includes its right edge;
    elements outside do not count. `weight` says how much each element counts; with `density` the histogram's integral
    is 1. Raises ShapeError for no bins and for a range that is not finite, DTypeError for integers.

    >>> import webtorch
    >>> webtorch.histogram(webtorch.tensor([1.0, 2.0, 1.0]), bins=4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    check_histogram(input, "histogram")
    with no_grad():
        values = input.detach().reshape((-1, 1))
        if isinstance(bins, Tensor) and range is not None:
            raise TypeError("histogram(): give range= together with a number of bins; edges say it themselves")
        (edges,) = edges_of(values, [bins], range, "histogram")
        result = Histogram(counted(values, [edges], weight, density, "histogram"), edges)
    if out is not None:
        return Histogram(store_out("histogram", result.hist, out[0]), store_out("histogram", result.bin_edges, out[1]))
    return result


def histogramdd(
    input: Tensor,
    bins: int | Sequence[Any],
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> HistogramDD:
    """The histogram of points, the rows of `input` (leading dimensions are flattened): (hist, bin_edges), see `histogram`.

    `bins` holds a number of intervals or edges for each dimension, or is one number for all; `range` holds the smallest
    and the largest value of the first dimension, then those of the next.

    >>> import webtorch
    >>> webtorch.histogramdd(webtorch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    check_histogram(input, "histogramdd")
    if input.ndim < 2:
        raise ShapeError(f"histogramdd: input tensor should have at least 2 dimensions, but got {input.ndim}")
    dims = input._shape[-1]
    each = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(each) != dims:
        raise ShapeError(
            f"histogramdd: The size of bins must be equal to the innermost dimension of the input, but got {len(each)} and {dims}"
        )
    with no_grad():
        values = input.detach().reshape((-1, dims))
        edges = edges_of(values, each, range, "histogramdd")
        return HistogramDD(counted(values, edges, weight, density, "histogramdd"), tuple(edges))
