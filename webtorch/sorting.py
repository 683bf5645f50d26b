"""Sorting and what follows from it, by a stable sort: numpy's on the cpu, that of `radix` on a GPU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import batching, creation, dtypes, radix
from .components import CustomDType, missing
from .errors import DTypeError, IndexShapeError, ShapeError
from .functional.method import method
from .grad_mode import no_grad
from .ops import tracks
from .ops.binary import where
from .ops.gather import take
from .shapes import normalize_dim
from .tensor import Tensor

__all__ = ["Sorted", "argsort", "kthvalue", "median", "msort", "nanmedian", "nanquantile", "quantile", "sort", "topk"]


class Sorted(NamedTuple):
    """What `sort`, `topk`, `kthvalue` and `median` along a dimension return."""

    values: Tensor
    indices: Tensor


def in_order(x: Tensor, dim: int, descending: bool) -> tuple[Tensor | None, Tensor]:
    """The elements along `dim` in sorted order, if they are found on the way, and their positions."""
    if x.dtype.is_complex:
        raise DTypeError(
            f"sort: complex numbers such as those of this tensor ({x.dtype}) have no order; sort their .abs()"
        )
    if isinstance(x.dtype, CustomDType):
        raise missing("sort", x.dtype)
    with no_grad():
        x = x.detach()
        if x._batch:
            return None, batching.lifted(lambda whole: order(whole, dim + whole.ndim - x.ndim, descending), x)
        if x.device.type == "cpu" or not x.numel():
            array = x.to(dtypes.uint8 if x.dtype is dtypes.bool_ else x.dtype)._array().reshape(x._shape)
            if descending:  # twice reversed, so that of equals the earlier stays first
                found = x._shape[dim] - 1 - np.flip(np.argsort(np.flip(array, dim), dim, kind="stable"), dim)
            else:
                found = np.argsort(array, dim, kind="stable")
            return None, creation.leaf(np.ascontiguousarray(found.astype(np.int64)), x.device)
        moved = x.movedim(dim, -1)
        values, places = radix.sorted_rows(moved.reshape((-1, moved._shape[-1])), descending)
        if values is not None:
            values = values.reshape(moved._shape).movedim(-1, dim).contiguous()
        return values, places.reshape(moved._shape).movedim(-1, dim).to(dtypes.int64).contiguous()


def order(x: Tensor, dim: int, descending: bool) -> Tensor:
    """The positions along `dim` in sorted order."""
    return in_order(x, dim, descending)[1]


@method
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The positions along `dim` of the elements in sorted order; always stable. NaN counts as the largest.

    >>> import webtorch
    >>> webtorch.argsort(webtorch.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return sort(input, dim, descending).indices


@method
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Sorted:
    """The elements along `dim` in ascending (or descending) order, and their positions; always stable. NaN is the largest.

    >>> import webtorch
    >>> webtorch.sort(webtorch.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    dim = normalize_dim(dim, input.ndim, "sort")
    if not input._shape:
        return Sorted(input.clone(), creation.zeros((), dtype=dtypes.int64, device=input.device))
    values, indices = in_order(input, dim, descending)
    if values is None or tracks(input):
        values = picked(input, dim, indices)
    return Sorted(values, indices)


def picked(input: Tensor, dim: int, indices: Tensor) -> Tensor:
    """The elements at positions along `dim` that are known to lie inside."""
    if input.device.type != "webgpu" or input._batch or indices._batch:
        return input.gather(dim, indices)
    others = [
        creation.ramp_tensor(size, 0, 1, dtypes.int32, input.device)
        .reshape((1,) * other + (-1,) + (1,) * (input.ndim - other - 1))
        .expand(indices._shape)
        for other, size in enumerate(indices._shape)
    ]
    others[dim] = indices
    return take(input, others, tuple(range(input.ndim)))


@method
def msort(input: Tensor) -> Tensor:
    """The elements along the first dimension in ascending order.

    >>> import webtorch
    >>> webtorch.msort(webtorch.tensor([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return sort(input, 0).values


@method
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Sorted:
    """The `k` largest (or smallest) elements along `dim`, in order, and their positions.

    >>> import webtorch
    >>> webtorch.topk(webtorch.tensor([3, 1, 2]), 2).values
    tensor([3, 2])
    """
    dim = normalize_dim(dim, input.ndim, "topk")
    if not 0 <= k <= (input._shape[dim] if input._shape else 1):
        raise ShapeError(f"topk(k={k}, dim={dim}) of shape {list(input._shape)}: selected index k out of range")
    if not input._shape:
        return sort(input)
    indices = order(input, dim, largest).narrow(dim, 0, k).contiguous()
    return Sorted(picked(input, dim, indices), indices)


@method
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Sorted:
    """The `k`-th smallest element along `dim` (counted from 1), and its position.

    >>> import webtorch
    >>> webtorch.kthvalue(webtorch.tensor([3, 1, 2]), 2).values
    tensor(2)
    """
    dim = normalize_dim(dim, input.ndim, "kthvalue")
    if not 1 <= k <= (input._shape[dim] if input._shape else 1):
        raise ShapeError(
            f"kthvalue(k={k}, dim={dim}) of shape {list(input._shape)}: selected number k out of range for dimension {dim}"
        )
    if not input._shape:
        return sort(input)
    indices = order(input, dim, False).narrow(dim, k - 1, 1).contiguous()
    values = picked(input, dim, indices)
    return Sorted(values, indices) if keepdim else Sorted(values.squeeze(dim), indices.squeeze(dim))


@method
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | Sorted:
    """The median of all elements; with `dim` the pair (values, indices) along it. Of an even number, the lower of two.

    NaN when there is one.

    >>> import webtorch
    >>> webtorch.median(webtorch.tensor([3, 1, 2, 4]))
    tensor(2)
    """
    if dim is None:
        if not input.numel():
            return creation.full((), float("nan"), dtype=input.dtype, device=input.device)
        return median(input.reshape((-1,)), 0)[0]
    dim = normalize_dim(dim, input.ndim, "median")
    if not input._shape:
        return sort(input)
    size = input._shape[dim]
    if not size:
        raise IndexShapeError(
            f"median(dim={dim}) of shape {list(input._shape)}: Expected reduction dim {dim} to have non-zero size."
        )
    places = order(input, dim, False)
    indices = places.narrow(dim, (size - 1) // 2, 1)
    if input.dtype.is_floating_point:
        nans = input.detach().isnan()
        first = nans.to(dtypes.uint8).argmax(dim, keepdim=True)
        indices = where(nans.any(dim, keepdim=True), first, indices)
    values = picked(input, dim, indices)
    return Sorted(values, indices) if keepdim else Sorted(values.squeeze(dim), indices.squeeze(dim))


@method
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | Sorted:
    """`median` of the elements that are not NaN; NaN where there are no others.

    >>> import webtorch
    >>> webtorch.nanmedian(webtorch.tensor([3.0, float("nan"), 1.0]))
    tensor(1.)
    """
    if not input.dtype.is_floating_point or not input.numel() or not input._shape:
        return median(input, dim, keepdim)
    if dim is None:
        return nanmedian(input.reshape((-1,)), 0)[0]
    dim = normalize_dim(dim, input.ndim, "nanmedian")
    count = (~input.detach().isnan()).sum(dim, keepdim=True)
    indices = order(input, dim, False).gather(dim, ((count - 1).clamp(min=0)) // 2)  # NaN is sorted last
    values = picked(input, dim, indices)
    return Sorted(values, indices) if keepdim else Sorted(values.squeeze(dim), indices.squeeze(dim))


INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def at_fractions(
    input: Tensor, q: float | Tensor, dim: int | None, keepdim: bool, interpolation: str, call: str, ignore_nan: bool
) -> Tensor:
    if not input.dtype.is_floating_point:
        raise DTypeError(f"{call}() input tensor must be either float or double dtype, not {input.dtype}; use .float()")
    if interpolation not in INTERPOLATIONS:
        raise ShapeError(f"{call}() interpolation must be one of {', '.join(INTERPOLATIONS)}, but got {interpolation}")
    if not input.numel():
        raise ShapeError(f"{call}() input tensor must be non-empty")
    fractions = q if isinstance(q, Tensor) else creation.tensor(float(q), dtype=input.dtype, device=input.device)
    if fractions.ndim > 1 or fractions.dtype is not input.dtype:
        raise ShapeError(f"{call}() q must be a scalar or 1D tensor of the dtype of input, {input.dtype}")
    if bool(((fractions < 0) | (fractions > 1)).any()):
        raise ShapeError(f"{call}() q must be in the range [0, 1] but got {fractions.tolist()}")
    kept = (1,) * input.ndim
    if dim is None:
        rows = input.reshape((-1,))
    else:
        dim = normalize_dim(dim, input.ndim, call)
        rows = input.movedim(dim, -1) if input._shape else input.reshape((1,))
        kept = (*input._shape[:dim], 1, *input._shape[dim + 1 :]) if input._shape else ()
    ascending = sort(rows, -1).values
    nans = rows.detach().isnan()
    last = rows._shape[-1] - 1
    if ignore_nan:
        places = fractions.reshape((-1,)) * ((~nans).sum(-1, keepdim=True) - 1).clamp(min=0).to(input.dtype)
    else:  # NaN is sorted last
        places = where(nans.any(-1, keepdim=True), float(last), fractions.reshape((-1,)) * last)
    with no_grad():
        ranks = places.detach()
        if interpolation in ("lower", "higher", "nearest"):
            ranks = {"lower": ranks.floor, "higher": ranks.ceil, "nearest": ranks.round}[interpolation]()
        below = ranks.floor()
    share = places - below if interpolation != "midpoint" else (ranks != below).to(input.dtype) / 2
    result = ascending.gather(-1, below.to(dtypes.int64))
    if interpolation in ("linear", "midpoint"):  # infinite neighbours may give NaN, as in PyTorch
        result = result.lerp(ascending.gather(-1, ranks.ceil().to(dtypes.int64)), share)
    result = result.movedim(-1, 0)
    if keepdim:
        result = result.reshape((result._shape[0], *kept))
    elif dim is not None and not input._shape:
        result = result.reshape((-1,))
    return result if fractions.ndim else result.squeeze(0)


@method
def quantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which the fraction `q` of the elements lies; a vector of fractions gives a first dimension.

    Between two elements: "linear", "lower", "higher", "midpoint" or "nearest". NaN where there is one.

    >>> import webtorch
    >>> webtorch.quantile(webtorch.tensor([0.0, 1.0, 2.0]), 0.25)
    tensor(0.5000)
    """
    return at_fractions(input, q, dim, keepdim, interpolation, "quantile", False)


@method
def nanquantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """`quantile` of the elements that are not NaN; NaN where there are no others.

    >>> import webtorch
    >>> webtorch.nanquantile(webtorch.tensor([0.0, float("nan"), 2.0]), 0.5)
    tensor(1.)
    """
    return at_fractions(input, q, dim, keepdim, interpolation, "nanquantile", True)
