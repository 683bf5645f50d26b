"""What the functions of the array API namespace share: promotion by the standard's rule, and axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import creation, dtypes
from ..errors import DTypeError
from ..tensor import Tensor

Scalar = (bool, int, float, complex)
RANK = {"bool": 0, "uint": 1, "int": 1, "float": 2, "complex": 3}


def dtype_with(scalar: Any, dtype: dtypes.dtype) -> dtypes.dtype:
    """The type of an array of `dtype` together with a Python number: the array's, unless the number is of a higher kind."""
    own = dtypes.scalar_dtype(scalar)
    if own.kind == "bool" or RANK[own.kind] <= RANK[dtype.kind]:
        return dtype
    if own.is_complex:
        return dtype.to_complex() if dtype.is_floating_point else dtypes.default_complex_dtype()
    return own


def promoted(call: str, *operands: Any) -> list[Tensor]:
    """Arrays and numbers in one type. An array without dimensions counts as much as any other, unlike in PyTorch."""
    arrays = [each for each in operands if isinstance(each, Tensor)]
    for each in operands:
        if not isinstance(each, (Tensor, *Scalar)):
            raise TypeError(f"{call}: expected arrays of webtorch or Python numbers, but got {type(each).__name__}")
    if not arrays:
        raise TypeError(f"{call}: at least one of the operands must be an array")
    dtype = arrays[0].dtype
    for each in arrays[1:]:
        dtype = dtypes.promote_types(dtype, each.dtype)
    for each in operands:
        if not isinstance(each, Tensor):
            dtype = dtype_with(each, dtype)
    device = next((each.device for each in arrays if each.ndim), arrays[0].device)
    return [
        each.to(dtype) if isinstance(each, Tensor) else creation.scalar_tensor(each, dtype=dtype, device=device)
        for each in operands
    ]


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions that an `axis` argument means: all of them for None."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    for each in given:
        if not -ndim <= each < ndim:
            raise IndexError(f"axis {each} is out of range for an array of {ndim} dimensions")
    return tuple(sorted({each % ndim for each in given}))


def shape_of(shape: Any) -> tuple[int, ...]:
    """A shape that may be given as one number."""
    return (shape,) if isinstance(shape, int) else tuple(shape)


def need(call: str, x: Any, kinds: Sequence[str]) -> None:
    """Raise for what is no array, or an array of a kind that the standard leaves undefined for a function."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{call}: expected an array of webtorch, but got {type(x).__name__}")
    if x.dtype.kind not in kinds:
        raise DTypeError(f"{call}: not defined for {x.dtype}; convert it with astype first")


__all__ = ["axes_of", "dtype_with", "need", "promoted", "shape_of"]
