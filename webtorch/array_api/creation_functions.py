"""The standard's functions that make arrays, and those about data types."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .. import creation, dtypes
from ..interop import from_dlpack
from ..tensor import Tensor
from .shared import dtype_with, shape_of

__all__ = [
    "arange", "asarray", "astype", "broadcast_arrays", "broadcast_to", "can_cast", "empty", "empty_like", "eye", "finfo",
    "from_dlpack", "full", "full_like", "iinfo", "isdtype", "linspace", "meshgrid", "ones", "ones_like", "result_type", "tril",
    "triu", "zeros", "zeros_like",
]  # fmt: skip


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Numbers from `start` up to but without `stop`; none where `step` leads away from it."""
    if stop is None:
        start, stop = 0, start
    if step and math.ceil((stop - start) / step) <= 0:
        whole = all(isinstance(value, int) for value in (start, stop, step))
        return creation.empty(0, dtype=dtype or (dtypes.int64 if whole else None), device=device)
    return creation.arange(start, stop, step, dtype=dtype, device=device)


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """An array of numbers, nested sequences, or another library's array. `copy=False` raises ValueError where a copy is needed."""
    if copy is False:
        if not isinstance(obj, Tensor) and not hasattr(obj, "__dlpack__"):
            raise ValueError(f"asarray({type(obj).__name__}, copy=False): numbers and sequences have to be copied")
        made = obj if isinstance(obj, Tensor) else from_dlpack(obj, copy=False)
        if (dtype is not None and dtypes.as_dtype(dtype) is not made.dtype) or (
            device is not None and made.device != device
        ):
            raise ValueError(
                f"asarray(copy=False): another dtype or device than {made.dtype} on {made.device} needs a copy"
            )
        return made
    return creation.asarray(obj, dtype=dtype, device=device, copy=copy)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of a shape, its values undefined."""
    return creation.empty(shape_of(shape), dtype=dtype, device=device)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of zeros."""
    return creation.zeros(shape_of(shape), dtype=dtype, device=device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of ones."""
    return creation.ones(shape_of(shape), dtype=dtype, device=device)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of one value, of the default type of the value's kind."""
    return creation.full(shape_of(shape), fill_value, dtype=dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of the shape of `x`, its values undefined."""
    return creation.empty_like(x, dtype=dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape of `x`."""
    return creation.zeros_like(x, dtype=dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones in the shape of `x`."""
    return creation.ones_like(x, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One value in the shape of `x`."""
    return creation.full_like(x, fill_value, dtype=dtype, device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """A matrix with ones on its `k`-th diagonal."""
    columns = n_rows if n_cols is None else n_cols
    if not k:
        return creation.eye(n_rows, columns, dtype=dtype, device=device)
    row = creation.arange(n_rows, device=device).unsqueeze(1)
    column = creation.arange(columns, device=device).unsqueeze(0)
    return (column - row == k).to(dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype())


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` numbers evenly spaced from `start` to `stop`, which is left out without `endpoint`."""
    if endpoint:
        return creation.linspace(start, stop, num, dtype=dtype, device=device)
    return creation.linspace(start, stop, num + 1, dtype=dtype, device=device)[:num].clone()


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Coordinate arrays of the grid that one-dimensional arrays span."""
    import webtorch

    return list(webtorch.meshgrid(*arrays, indexing=indexing))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The part of matrices on and below their `k`-th diagonal, zeros elsewhere."""
    return x.tril(k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The part of matrices on and above their `k`-th diagonal, zeros elsewhere."""
    return x.triu(k)


# ---- data types -----------------------------------------------------------------------------------------------------


def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """`x` in another type; with `copy=False` itself where nothing changes."""
    made = x.to(dtypes.as_dtype(dtype)) if device is None else x.to(device=device, dtype=dtypes.as_dtype(dtype))
    return made.clone() if copy and made is x else made


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    """Arrays brought to the one shape that they broadcast to."""
    import webtorch

    return list(webtorch.broadcast_tensors(*arrays))


def broadcast_to(x: Tensor, /, shape: Any) -> Tensor:
    """`x` in a shape that it broadcasts to."""
    return x.expand(shape_of(shape))


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion of a type, or an array's type, with `to` gives `to`."""
    source = from_.dtype if isinstance(from_, Tensor) else dtypes.as_dtype(from_)
    target = dtypes.as_dtype(to)
    return dtypes.promote_types(source, target) is target


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The type that arrays, types and Python numbers promote to."""
    scalars = [each for each in arrays_and_dtypes if isinstance(each, (bool, int, float, complex))]
    kinds = [
        each.dtype if isinstance(each, Tensor) else dtypes.as_dtype(each)
        for each in arrays_and_dtypes
        if not isinstance(each, (bool, int, float, complex))
    ]
    if not kinds:
        raise ValueError("result_type(): at least one argument must be an array or a dtype")
    result = kinds[0]
    for each in kinds[1:]:
        result = dtypes.promote_types(result, each)
    for scalar in scalars:
        result = dtype_with(scalar, result)
    return result


KINDS = {
    "bool": ("bool",), "signed integer": ("int",), "unsigned integer": ("uint",), "integral": ("int", "uint"),
    "real floating": ("float",), "complex floating": ("complex",), "numeric": ("int", "uint", "float", "complex"),
}  # fmt: skip


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a type is another, or of a kind ("bool", "integral", "real floating", ...), or one of a tuple of either."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"isdtype(): unknown kind {kind!r}; the kinds are {', '.join(map(repr, KINDS))}")
        return dtypes.as_dtype(dtype).kind in KINDS[kind]
    return dtypes.as_dtype(dtype) is dtypes.as_dtype(kind)


@dataclasses.dataclass(frozen=True)
class FloatLimits:
    """What `finfo` returns."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclasses.dataclass(frozen=True)
class IntegerLimits:
    """What `iinfo` returns."""

    bits: int
    max: int
    min: int
    dtype: Any


def finfo(type: Any, /) -> FloatLimits:
    """The limits of a floating type, of the parts of a complex one, or of the type of an array."""
    of = type.dtype if isinstance(type, Tensor) else dtypes.as_dtype(type)
    found = dtypes.finfo(of)
    return FloatLimits(found.bits, found.eps, found.max, found.min, found.smallest_normal, of.to_real())


def iinfo(type: Any, /) -> IntegerLimits:
    """The limits of an integer type, or of the type of an array."""
    of = type.dtype if isinstance(type, Tensor) else dtypes.as_dtype(type)
    found = dtypes.iinfo(of)
    return IntegerLimits(found.bits, found.max, found.min, of)
