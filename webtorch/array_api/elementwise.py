"""The standard's elementwise functions: rows of the op table under the standard's names, with its promotion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..ops import TABLE
from ..tensor import Tensor
from .shared import need, promoted

NUMERIC = ("uint", "int", "float", "complex")
REAL = ("uint", "int", "float")
FLOATING = ("float", "complex")
INTEGRAL = ("bool", "uint", "int")
ANY = ("bool", "uint", "int", "float", "complex")

# Each function of one array: the kinds of dtypes that it is defined for, and the method of the same meaning.
UNARY: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys("acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal sin sinh sqrt tan "
                    "tanh".split(), (FLOATING, "")),
    **dict.fromkeys("negative positive square".split(), (NUMERIC, "")),
    "abs": (NUMERIC, ""), "conj": (NUMERIC, ""), "isfinite": (ANY, ""), "isinf": (ANY, ""), "isnan": (ANY, ""),
    "signbit": (("float",), ""), "bitwise_invert": (INTEGRAL, "bitwise_not"), "logical_not": (("bool",), ""),
}  # fmt: skip
WHOLE = ("ceil", "floor", "round", "trunc")
BINARY: dict[str, tuple[tuple[str, ...], str]] = {
    "add": (NUMERIC, ""), "subtract": (NUMERIC, "sub"), "multiply": (NUMERIC, "mul"), "divide": (FLOATING, "div"),
    "pow": (NUMERIC, ""), "floor_divide": (REAL, ""), "remainder": (REAL, ""), "atan2": (("float",), ""),
    "copysign": (("float",), ""), "hypot": (("float",), ""), "logaddexp": (("float",), ""), "nextafter": (("float",), ""),
    "maximum": (REAL, ""), "minimum": (REAL, ""), "bitwise_and": (INTEGRAL, ""), "bitwise_or": (INTEGRAL, ""),
    "bitwise_xor": (INTEGRAL, ""), "bitwise_left_shift": (("uint", "int"), ""), "bitwise_right_shift": (("uint", "int"), ""),
    "logical_and": (("bool",), ""), "logical_or": (("bool",), ""), "logical_xor": (("bool",), ""), "equal": (ANY, "eq"),
    "not_equal": (ANY, "ne"), "less": (REAL, "lt"), "less_equal": (REAL, "le"), "greater": (REAL, "gt"),
    "greater_equal": (REAL, "ge"),
}  # fmt: skip

__all__ = sorted([*UNARY, *WHOLE, *BINARY, "clip", "imag", "real", "sign"])


def function_of(name: str) -> Callable[..., Any]:
    if name in TABLE:
        return TABLE[name]
    import webtorch

    return getattr(webtorch, name)


def unary(name: str, kinds: tuple[str, ...], of: str) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor, /) -> Tensor:
        need(f"{name}()", x, kinds)
        return function_of(of or name)(x)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The array API's `{name}`, element by element: `webtorch.{of or name}`. Kinds: {', '.join(kinds)}."
    return call


def whole(name: str) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor, /) -> Tensor:
        need(f"{name}()", x, REAL)
        return x.clone() if not x.dtype.is_floating_point else function_of(name)(x)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The array API's `{name}`, element by element; integers stay as they are."
    return call


def binary(name: str, kinds: tuple[str, ...], of: str) -> Callable[[Any, Any], Tensor]:
    def call(x1: Any, x2: Any, /) -> Tensor:
        first, second = promoted(f"{name}()", x1, x2)
        need(f"{name}()", first, kinds)
        return function_of(of or name)(first, second)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = (
        f"The array API's `{name}`, element by element, of two arrays or an array and a number: `webtorch.{of or name}` in "
        f"the type that the standard promotes to. Kinds: {', '.join(kinds)}."
    )
    return call


for _name, _row in UNARY.items():
    globals()[_name] = unary(_name, *_row)
for _name in WHOLE:
    globals()[_name] = whole(_name)
for _name, _row in BINARY.items():
    globals()[_name] = binary(_name, *_row)


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1 by the sign of each element; of a complex number, the number divided by its magnitude."""
    need("sign()", x, NUMERIC)
    return x.sgn() if x.dtype.is_complex else x.sign()


def real(x: Tensor, /) -> Tensor:
    """The real parts; the array itself where it is not complex."""
    need("real()", x, NUMERIC)
    return x.real if x.dtype.is_complex else x


def imag(x: Tensor, /) -> Tensor:
    """The imaginary parts of complex numbers."""
    need("imag()", x, ("complex",))
    return x.imag


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """Each element brought between `min` and `max`, numbers or arrays; the type is that of `x`."""
    need("clip()", x, REAL)
    result = x
    for bound, method in ((min, "maximum"), (max, "minimum")):
        if bound is None:
            continue
        if not isinstance(bound, Tensor):
            if isinstance(bound, float) and not x.dtype.is_floating_point:
                raise TypeError(f"clip(): the bound {bound!r} is no whole number, and the array is of {x.dtype}")
            if isinstance(bound, int) and x.dtype.kind in ("int", "uint"):  # a bound beyond the type bounds nothing
                limits = dtypes.iinfo(x.dtype)
                bound = limits.min if bound < limits.min else limits.max if bound > limits.max else bound
        first, second = promoted("clip()", result, bound)
        result = getattr(first, method)(second)
    return x.clone() if result is x else result.to(x.dtype)
