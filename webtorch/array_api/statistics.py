"""The standard's sums, means and the like, and its products of matrices and vectors."""

from __future__ import annotations

from typing import Any

from .. import creation, dtypes
from ..tensor import Tensor
from .shared import axes_of, need, promoted

__all__ = [
    "all", "any", "cumulative_prod", "cumulative_sum", "diff", "matmul", "matrix_transpose", "max", "mean", "min", "prod", "std",
    "sum", "tensordot", "var", "vecdot",
]  # fmt: skip
NUMERIC = ("uint", "int", "float", "complex")
REAL = ("uint", "int", "float")


def sums_in(x: Tensor, dtype: Any) -> Any:
    """The type of a sum: integers are added up as int64."""
    if dtype is not None:
        return dtypes.as_dtype(dtype)
    return x.dtype if x.dtype.is_differentiable else dtypes.int64


def sum(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The sum of all elements, or along axes."""
    need("sum()", x, NUMERIC)
    x = x.to(sums_in(x, dtype))
    return x.sum(axes_of(axis, x.ndim), keepdims) if x.ndim and axes_of(axis, x.ndim) else x.clone()


def prod(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The product of all elements, or along axes."""
    need("prod()", x, NUMERIC)
    return one_by_one(x.to(sums_in(x, dtype)), "prod", axis, keepdims)


def one_by_one(x: Tensor, method: str, axis: Any, keepdims: bool) -> Tensor:
    """A reduction that takes one axis at a time."""
    axes = axes_of(axis, x.ndim)
    result = x if axes else x.clone()
    for each in reversed(axes):
        result = getattr(result, method)(each, keepdims)
    return result


def mean(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of all elements, or along axes."""
    need("mean()", x, ("float", "complex"))
    return x.mean(axes_of(axis, x.ndim), keepdims) if x.ndim else x.clone()


def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The variance of all elements, or along axes: squares divided by their number less `correction`."""
    need("var()", x, ("float",))
    if not x.ndim:
        return var(x.reshape(1), axis=0, correction=correction)
    axes = axes_of(axis, x.ndim)
    distance = x - x.mean(axes, True)
    count = 1
    for each in axes:
        count *= x.shape[each]
    return (distance * distance).sum(axes, keepdims) / builtin_max(count - correction, 0.0)


def builtin_max(a: float, b: float) -> float:
    return a if a > b else b


def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of the variance."""
    need("std()", x, ("float",))
    return var(x, axis=axis, correction=correction, keepdims=keepdims).sqrt()


def max(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element, or along axes."""
    need("max()", x, REAL)
    return x.amax(axes_of(axis, x.ndim), keepdims) if x.ndim else x.clone()


def min(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element, or along axes."""
    need("min()", x, REAL)
    return x.amin(axes_of(axis, x.ndim), keepdims) if x.ndim else x.clone()


def all(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true, or not zero."""
    return one_by_one(x != 0, "all", axis, keepdims)


def any(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true, or not zero."""
    return one_by_one(x != 0, "any", axis, keepdims)


def cumulative(method: str, start: int, x: Tensor, axis: Any, dtype: Any, include_initial: bool) -> Tensor:
    import webtorch

    name = {"cumsum": "cumulative_sum()", "cumprod": "cumulative_prod()"}[method]
    need(name, x, NUMERIC)
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"{name}: axis is needed for an array of {x.ndim} dimensions")
        axis = 0
    (axis,) = axes_of(axis, x.ndim)
    x = x.to(sums_in(x, dtype))
    result = getattr(x, method)(axis)
    if not include_initial:
        return result
    shape = [1 if number == axis else size for number, size in enumerate(x.shape)]
    return webtorch.cat([creation.full(tuple(shape), start, dtype=x.dtype, device=x.device), result], axis)


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """The sums of the elements so far along an axis, with a zero in front for `include_initial`."""
    return cumulative("cumsum", 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """The products of the elements so far along an axis, with a one in front for `include_initial`."""
    return cumulative("cumprod", 1, x, axis, dtype, include_initial)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The differences of neighbours along an axis, `n` times over."""
    return x.diff(n, axis, prepend, append)


# ---- products -------------------------------------------------------------------------------------------------------


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The matrix product."""
    first, second = promoted("matmul()", x1, x2)
    return first @ second


def matrix_transpose(x: Tensor, /) -> Tensor:
    """Matrices, each transposed."""
    return x.mT


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    """The sum of products over axes of both arrays."""
    import webtorch

    first, second = promoted("tensordot()", x1, x2)
    return webtorch.tensordot(first, second, axes)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The products of vectors along an axis, the first conjugated."""
    first, second = promoted("vecdot()", x1, x2)
    need("vecdot()", first, NUMERIC)
    product = (first.conj() if first.dtype.is_complex else first) * second
    return product.sum(axis).to(first.dtype)
