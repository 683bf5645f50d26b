"""Means, spreads, extremes, norms: what is reduced by more than one row."""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

from .. import creation, dtypes, grad_mode
from ..errors import DTypeError, IndexShapeError
from ..ops import TABLE, tracks
from ..ops.elementwise import not_for_complex, store_out
from ..ops.parts import squared_size
from ..ops.reduce import amax, amin, sum
from ..precision import autocasts, widened
from ..shapes import (
    normalize_dim,
    normalize_dims,
    numel,
    reduced_shape,
)
from ..tensor import Tensor
from .method import method


def dims_of(input: Tensor, dim: Any, call: str) -> tuple[int, ...]:
    dims = normalize_dims(
        None if dim is None or (isinstance(dim, (tuple, list)) and not dim) else dim, input.ndim, call
    )
    return dims if input._shape else ()  # a 0-d tensor may be asked to reduce dimension 0 or -1


def floating(input: Tensor, dtype: Any, call: str) -> Tensor:
    """The input in `dtype`; integers without one raise, since their mean is not an integer."""
    wanted = input.dtype if dtype is None else dtypes.as_dtype(dtype)
    if dtype is not None and wanted.is_differentiable:
        return input.to(wanted)
    if dtype is not None:
        raise DTypeError(
            f"{call}(..., dtype={wanted}): optional dtype must be a floating point type; leave it out, or use float32"
        )
    if not input.dtype.is_differentiable:
        raise DTypeError(
            f"{call}(): could not infer output dtype. Input dtype must be a floating point type. Got: {input.dtype}; "
            "use .float() or dtype="
        )
    return input


@method
@autocasts
@widened
def mean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """The mean over `dim` (int or tuple), or of all elements.

    >>> import webtorch
    >>> webtorch.mean(webtorch.tensor([[1.0, 2.0], [3.0, 6.0]]), dim=0)
    tensor([2., 4.])
    """
    input = floating(input, dtype, "mean")
    dims = dims_of(input, axis if dim is None else dim, "mean")
    count = numel(tuple(input._shape[d] for d in dims))
    result = sum(input, dims, keepdim) / count if dims else input.clone()
    return result if out is None else store_out("mean", result, out)


def spread(input: Tensor, dim: Any, correction: Any, unbiased: Any, keepdim: bool, call: str) -> tuple[Tensor, Tensor]:
    """Variance and mean, by two passes."""
    if isinstance(dim, bool):  # var(unbiased) of old
        dim, unbiased = None, dim
    input = floating(input, None, call)
    dims = dims_of(input, dim, call)
    correction = (1 if unbiased else 0) if unbiased is not None else 1 if correction is None else correction
    count = numel(tuple(input._shape[d] for d in dims))
    average = mean(input, dims or None, True) if dims else input
    squares = squared_size(input - average)
    degrees = builtins.max(0.0, count - correction)
    total = sum(squares, dims, keepdim) if dims else squares
    variance = total / degrees if degrees else total * float("nan")
    return variance, average if keepdim else average.reshape(variance._shape)


@method
@autocasts
@widened
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """The variance over `dim`: squared distances from the mean divided by count - correction (1 by default).

    >>> import webtorch
    >>> webtorch.var(webtorch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    result = spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "var")[0]
    return result if out is None else store_out("var", result, out)


@method
@autocasts
@widened
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """The standard deviation over `dim`, the square root of `var`.

    >>> import webtorch
    >>> webtorch.std(webtorch.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
    result = spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "std")[0].sqrt()
    return result if out is None else store_out("std", result, out)


@autocasts
@widened
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over `dim`, as a pair.

    >>> import webtorch
    >>> webtorch.var_mean(webtorch.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    return spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "var_mean")


@autocasts
@widened
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over `dim`, as a pair.

    >>> import webtorch
    >>> webtorch.std_mean(webtorch.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    variance, average = spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "std_mean")
    return variance.sqrt(), average


@method
@autocasts
@widened
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """log(sum(exp(input))) over `dim`, without overflow.

    >>> import webtorch
    >>> webtorch.logsumexp(webtorch.tensor([0.0, 0.0]), dim=0)
    tensor(0.6931)
    """
    if not input.dtype.is_differentiable:
        input = input.to(dtypes.get_default_dtype())
    dims = dims_of(input, dim, "logsumexp")
    if builtins.any(input._shape[d] == 0 for d in dims):
        return sum(input.exp(), dims, keepdim).log()
    with grad_mode.no_grad():
        top = amax(input.detach().real, dims, True)
        # Of infinities nothing is subtracted: their difference would be NaN.
        top = TABLE["where"](top.abs() == math.inf, 0.0, top)
    total = sum((input - top).exp(), dims, True).log() + top
    result = total if keepdim else total.reshape(reduced_shape(input._shape, dims, False))
    return result if out is None else store_out("logsumexp", result, out)


@method
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements over `dim` are nonzero, as int64.

    >>> import webtorch
    >>> webtorch.count_nonzero(webtorch.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return sum(input != 0, dims_of(input, dim, "count_nonzero"))


@method
@autocasts
@widened
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` with NaN taken as zero.

    >>> import webtorch
    >>> webtorch.nansum(webtorch.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    if input.dtype.is_complex:
        raise not_for_complex("nansum", (input,))
    if input.dtype.is_floating_point:
        input = TABLE["where"](input.isnan(), 0.0, input)
    return sum(input, dim, keepdim, dtype=dtype)


@method
@autocasts
@widened
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` of the elements that are not NaN.

    >>> import webtorch
    >>> webtorch.nanmean(webtorch.tensor([1.0, 3.0, float("nan")]))
    tensor(2.)
    """
    input = floating(input, dtype, "nanmean")
    return nansum(input, dim, keepdim) / sum(~input.isnan(), dim, keepdim, dtype=dtypes.int32)


def position_of(input: Tensor, value: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The linear position over `dims` of the first element equal to `value` (kept dims), NaN counting as equal to NaN."""
    shape = tuple(input._shape[d] for d in dims)
    count = numel(shape)
    kind = dtypes.int32 if count < 1 << 31 else dtypes.int64
    ramp = creation.ramp_tensor(count, 0, 1, kind, input.device).reshape(shape)
    where = [1] * input.ndim
    for d in dims:
        where[d] = input._shape[d]
    hit = input == value
    if input.dtype.is_floating_point:
        hit = hit | input.isnan()
    return amin(TABLE["where"](hit, ramp.reshape(tuple(where)), count), dims, True)


def argument(input: Tensor, dim: Any, keepdim: bool, extreme: Any, call: str) -> Tensor:
    with grad_mode.no_grad():
        input = input.detach()
        if not numel(input._shape) and (dim is None or input._shape[normalize_dim(dim, input.ndim, call)] == 0):
            raise IndexShapeError(
                f"{call}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
                "the 'dim' argument."
            )
        if input.dtype is dtypes.bool_:
            input = input.to(dtypes.uint8)
        dims = tuple(range(input.ndim)) if dim is None else (normalize_dim(dim, input.ndim, call),)
        if not input._shape:
            return creation.zeros((), dtype=dtypes.int64, device=input.device)
        best = extreme(input, dims, True)
        place = position_of(input, best, dims).to(dtypes.int64)
        return place if keepdim else place.reshape(reduced_shape(input._shape, dims, False))


@method
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Tensor:
    """The position of the largest element along `dim` (of the flattened tensor when None); the first of equals, NaN first.

    >>> import webtorch
    >>> webtorch.argmax(webtorch.tensor([[1, 9], [8, 2]]), dim=1)
    tensor([1, 0])
    """
    return argument(input, axis if dim is None else dim, keepdim, amax, "argmax")


@method
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Tensor:
    """The position of the smallest element along `dim` (of the flattened tensor when None); the first of equals, NaN first.

    >>> import webtorch
    >>> webtorch.argmin(webtorch.tensor([[1, 9], [8, 2]]), dim=1)
    tensor([0, 1])
    """
    return argument(input, axis if dim is None else dim, keepdim, amin, "argmin")


class ValuesIndices(NamedTuple):
    """What `max(x, dim)` and its kin return."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return f"webtorch.return_types.max(\nvalues={self.values!r},\nindices={self.indices!r})"


def extreme(input: Tensor, dim: Any, keepdim: bool, reduction: Any, pairwise: str, call: str) -> Any:
    if dim is None:
        return reduction(input)
    if isinstance(dim, Tensor):
        return TABLE[pairwise](input, dim)
    dim = normalize_dim(dim, input.ndim, call)
    if not input._shape:
        return ValuesIndices(input.clone(), creation.zeros((), dtype=dtypes.int64, device=input.device))
    indices = argument(input, dim, True, reduction, call)
    values = reduction(input.detach(), dim, True) if not tracks(input) else input.gather(dim, indices)
    if not keepdim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return ValuesIndices(values, indices)


@method
def max(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None, axis: Any = None, other: Any = None
) -> Any:
    """The largest element of all; or with `dim`, the pair (values, indices) along it; or with another tensor, `maximum`.

    >>> import webtorch
    >>> webtorch.max(webtorch.tensor([3, 7, 5]))
    tensor(7)
    """
    return extreme(input, (axis if other is None else other) if dim is None else dim, keepdim, amax, "maximum", "max")


@method
def min(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None, axis: Any = None, other: Any = None
) -> Any:
    """The smallest element of all; or with `dim`, the pair (values, indices) along it; or with another tensor, `minimum`.

    >>> import webtorch
    >>> webtorch.min(webtorch.tensor([3, 7, 5]))
    tensor(3)
    """
    return extreme(input, (axis if other is None else other) if dim is None else dim, keepdim, amin, "minimum", "min")


def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """`amin` and `amax` along `dim`, as a pair.

    >>> import webtorch
    >>> webtorch.aminmax(webtorch.tensor([3, 7, 5]))
    (tensor(3), tensor(7))
    """
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


@method
@autocasts
@widened
def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements over `dim` (all by default): sum(|x|^p)^(1/p); inf, -inf and 0 as limits; "fro" is p=2.

    >>> import webtorch
    >>> webtorch.norm(webtorch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    input = floating(input, dtype, "norm")
    if p == "nuc":
        from ..linalg import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, out=out)
    if input.dtype.is_complex:
        input = input.abs()
    p = 2.0 if p in ("fro", None) else float(p)
    dims = dims_of(input, dim, "norm")
    if p == 2:
        squares = sum(input * input, dims, keepdim) if dims else input * input
        result = safe_sqrt(squares)
    elif p == math.inf:
        result = amax(input.abs(), dims, keepdim)
    elif p == -math.inf:
        result = amin(input.abs(), dims, keepdim)
    elif p == 0:
        result = sum((input != 0).to(input.dtype), dims, keepdim)
    elif p == 1:
        result = sum(input.abs(), dims, keepdim)
    else:
        result = power_norm(input.abs(), p, dims, keepdim)
    return result if out is None else store_out("norm", result, out)


def power_norm(sizes: Tensor, p: float, dims: Any, keepdim: bool) -> Tensor:
    """sum(sizes ** p) ** (1 / p). Where that, or a size, is 0 there is no slope, for which 0 is taken, as in PyTorch."""
    where = TABLE["where"]
    zero = sizes == 0
    total = sum(where(zero, 0.0 if p > 0 else math.inf, where(zero, 1.0, sizes) ** p), dims, keepdim)
    flat = (total == 0) | (total == math.inf)
    ends = total.detach() ** (1.0 / p)
    return where(flat, ends, where(flat, 1.0, total) ** (1.0 / p))


def safe_sqrt(squares: Tensor) -> Tensor:
    """The square root with gradient 0 at 0, as PyTorch defines a norm's."""
    where = TABLE["where"]
    zero = squares == 0
    return where(zero, 0.0, where(zero, 1.0, squares).sqrt())


@method
@autocasts
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """The tensor with those of its slices along `dim` scaled down whose p-norm is above `maxnorm`.

    >>> import webtorch
    >>> webtorch.renorm(webtorch.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if not p > 0 or maxnorm < 0:
        raise RuntimeError(f"renorm: p must be positive and maxnorm not negative, got p={p} and maxnorm={maxnorm}")
    dim = normalize_dim(dim, input.ndim, "renorm")
    size = norm(input, p, tuple(other for other in range(input.ndim) if other != dim), True)
    scale = TABLE["where"](size > maxnorm, maxnorm / (size + 1e-7), 1.0)
    result = input * scale.to(input.dtype)
    return result if out is None else store_out("renorm", result, out)
