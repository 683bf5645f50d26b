"""Elementwise functions of two and three tensors: arithmetic, comparison, logic, bits, `where`, `clamp`, `lerp`."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import dtype as DType
from ..errors import DTypeError
from ..tensor import Tensor
from . import describe, is_number
from .elementwise import (
    Elementwise,
    comparison,
    fill,
    floating,
    floating_only,
    inexact_only,
    integer_only,
    integral,
    logical,
)
from .parts import real
from .unary import isnan, log, no_bool, numpy_exp2, numpy_log1p, sigmoid, zeros
from .variant import Checked, NextAfter, Optioned, Variant

LN2 = math.log(2)

# ---- dtype rules ----------------------------------------------------------------------------------------------------


def double(common: DType, call: str) -> tuple[DType, DType]:
    """Always float64, or complex128."""
    if common.is_complex:
        return dtypes.complex128, dtypes.complex128
    return dtypes.float64, dtypes.float64


# ---- numpy ----------------------------------------------------------------------------------------------------------


def check_divisor(y: np.ndarray, call: str) -> None:
    """PyTorch's error for integers divided by zero, which shaders cannot raise: there the result is 0."""
    if y.dtype.kind in "iu" and not np.all(y):
        raise RuntimeError(f"ZeroDivisionError: {call} of integers by 0; mask the zeros with where, or divide floats")


def numpy_divide_floor(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    check_divisor(y, "floor_divide")
    return np.floor_divide(x, y)


def numpy_divide_trunc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    check_divisor(y, "div(rounding_mode='trunc')")
    if y.dtype.kind == "f":
        return np.trunc(x / y)
    return np.floor_divide(x - np.fmod(x, y), y)


def numpy_remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    check_divisor(y, "remainder")
    if y.dtype.kind != "f":
        return np.remainder(x, y)
    rest = np.fmod(x, y)
    return np.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


def numpy_fmod(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    check_divisor(y, "fmod")
    return np.fmod(x, y)


def numpy_pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if y.dtype.kind != "i" or np.all(y >= 0):
        return np.power(x, y)
    # Integers to negative powers: the reciprocal, cut to an integer, and 0 for 0.
    size = np.power(x, np.abs(y) & 1)  # 1 and -1 keep only whether the power is odd
    return np.where(y >= 0, np.power(x, np.where(y >= 0, y, 0)), np.where((x == 1) | (x == -1), size, 0))


def numpy_left_shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    inside = (y >= 0) & (y < 8 * x.dtype.itemsize)
    return np.where(inside, np.left_shift(x, np.where(inside, y, 0)), 0)


def numpy_right_shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    inside = (y >= 0) & (y < 8 * x.dtype.itemsize)
    return np.where(inside, np.right_shift(x, np.where(inside, y, 0)), np.where(x < 0, -1, 0))


def numpy_logaddexp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of complex numbers: what is subtracted is the one with the larger real part, whole, which decides on the branch."""
    if x.dtype.kind != "c":
        return np.logaddexp(x, y)
    first = x.real >= y.real
    high, low = np.where(first, x, y), np.where(first, y, x)
    alike = np.isinf(high.real) & (high.real == low.real)
    result = high + numpy_log1p(np.exp(np.where(alike, 0, low - high)))
    result = np.where(alike, np.where(high.real < 0, low, np.log(np.exp(low) + np.exp(high))), result)
    return np.where(np.isnan(x) | np.isnan(y), complex(math.nan, math.nan), result).astype(x.dtype)


def numpy_ldexp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return x * numpy_exp2(y)
    mantissa, exponent = np.frexp(x)
    steps = np.clip(np.floor(np.where(np.isfinite(y), y, 0)), -100000, 100000)
    part = np.exp2(np.where(np.abs(y) < 100000, y - steps, 0))
    exact = np.ldexp(mantissa * part.astype(mantissa.dtype), exponent + steps.astype(np.int32))
    return np.where(np.isfinite(y) & ~np.isnan(x), np.where(np.isinf(x), x, exact), x * np.exp2(y))


def numpy_heaviside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(x == 0, y, x > 0)  # 0 for NaN, as in PyTorch


def numpy_lcm(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.itemsize < 4:  # wraps around once, at the end
        x, y = x.astype(np.int32), y.astype(np.int32)
    divisor = np.gcd(x, y)
    return np.abs(np.where(divisor == 0, 0, x // np.where(divisor == 0, 1, divisor)) * y)


def numpy_xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(y), y, np.where(x == 0, 0, x * np.log(y)))


def numpy_lerp(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.where(np.abs(z) < 0.5, x + z * (y - x), y - (y - x) * (1 - z))


def numpy_clamp(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    # Of equal numbers numpy's give the second one, where the processor's own do: zeros keep their sign, as in PyTorch.
    return np.minimum(z, np.maximum(y, x))


def whole_scalar(value: Any, x: np.ndarray) -> Any:
    """A scalar cut to an integer when the array holds integers."""
    return np.asarray(value).astype(x.dtype) if x.dtype.kind in "iub" else value


# ---- checks ---------------------------------------------------------------------------------------------------------


def holds_bool(value: Any) -> bool:
    return value.dtype is dtypes.bool_ if isinstance(value, Tensor) else isinstance(value, bool)


def check_subtraction(call: str, inputs: list, given: dict) -> None:
    if any(holds_bool(value) for value in inputs):
        raise DTypeError(
            f"{call}({describe(*inputs)}): subtraction with a bool tensor is not supported; use the `^` or logical_xor() operator, "
            "or `~` or logical_not() to invert a mask"
        )


def check_alpha(call: str, inputs: list, given: dict) -> None:
    if call != "add":
        check_subtraction(call, inputs, given)
    alpha = given["alpha"]
    if isinstance(alpha, float) and not any(
        value.dtype.is_differentiable if isinstance(value, Tensor) else isinstance(value, (float, complex))
        for value in inputs
    ):
        raise DTypeError(
            f"{call}({describe(*inputs)}, alpha={alpha!r}): for integral input tensors, argument alpha must not be a floating "
            "point number; use an int, or convert with .float()"
        )
    if isinstance(alpha, bool) and not all(holds_bool(value) for value in inputs):
        raise DTypeError(
            f"{call}({describe(*inputs)}, alpha={alpha!r}): Boolean alpha only supported for Boolean results; use an int"
        )


def check_same_dtype(call: str, inputs: list, given: dict) -> None:
    kinds = {value.dtype for value in inputs if isinstance(value, Tensor)}
    if len(kinds) > 1:
        raise DTypeError(
            f"{call}({describe(*inputs)}): the tensors must have the same dtype; convert one with .to(...)"
        )


def check_lerp(call: str, inputs: list, given: dict) -> None:
    """A 0-d weight may be of any dtype."""
    check_same_dtype(
        call,
        [value for value in inputs if isinstance(value, Tensor) and (value._shape or value is not inputs[-1])],
        given,
    )


def check_float_division(call: str, inputs: list, given: dict) -> None:
    if not any(
        value.dtype.is_differentiable if isinstance(value, Tensor) else isinstance(value, (float, complex))
        for value in inputs[1:]
    ):
        raise DTypeError(
            f"{call}({describe(*inputs)}): integer division with addcdiv is not supported; convert with .float() first"
        )


def check_condition(call: str, inputs: list, given: dict) -> None:
    condition = inputs[0]
    if isinstance(condition, Tensor) and condition.dtype not in (dtypes.bool_, dtypes.uint8):
        raise DTypeError(
            f"{call}({describe(*inputs)}): expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{condition.dtype.name}; compare it first, for example condition != 0"
        )


def check_power(call: str, inputs: list, given: dict) -> None:
    x, y = inputs
    if isinstance(y, int) and y < 0 and isinstance(x, Tensor) and not x.dtype.is_differentiable:
        raise DTypeError(
            f"{call}({describe(*inputs)}): integers to negative integer powers are not allowed; convert with .float() first"
        )


# ---- derivatives ----------------------------------------------------------------------------------------------------


def log_of(x: Any) -> Any:
    """The logarithm of a tensor or a number."""
    if isinstance(x, Tensor):
        return log(x)
    if isinstance(x, complex):
        return cmath.log(x)
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


def pow_base_gradient(g: Tensor, x: Tensor, y: Any) -> Tensor:
    if is_number(y):
        return zeros(g) if y == 0 else g * (y * x ** (y - 1))
    return where(y == 0, 0, g * (y * x ** (y - 1)))


def pow_exponent_gradient(g: Tensor, out: Tensor, x: Any, y: Tensor) -> Tensor:
    if out.dtype.is_complex:  # the logarithm of a negative number is complex then, too
        base = x.to(out.dtype) if isinstance(x, Tensor) else fill(out._shape, out.dtype, out.device, value=x)
        settled = (base == 0) & (real(y) >= 0)
        return where(settled, 0, g * (out * log(where(settled, 1, base))))
    settled = y >= 0  # where the base is 0, the power stays 0 (or 1) however the exponent moves
    if is_number(x):
        return g * (out * log_of(x)) if x != 0 else where(settled, 0, g * (out * -math.inf))
    settled = settled & (x == 0)
    return where(settled, 0, g * (out * log(where(settled, 1, x))))


def atan2_gradient(g: Tensor, x: Any, y: Any, other: Any) -> Tensor:
    size = x * x + y * y
    origin = size == 0
    return where(origin, 0, g * other / where(origin, 1, size))


def copysign_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    return where(x == 0, 0, g * (out / where(x == 0, 1, x)))


def xlogy_gradient(g: Tensor, x: Tensor, y: Any) -> Tensor:
    return where(x == 0, 0, g * log_of(y))


def inside(x: Tensor, y: Any, z: Any) -> Tensor:
    return (x >= y) & (x <= z)


# ---- rows that choose -----------------------------------------------------------------------------------------------


def choose_alpha(scaled: str, plain: str) -> Any:
    """The choice of `add`, `sub` and `rsub`: a factor of 1 is not multiplied with."""

    def choose(alpha: Any) -> tuple[Elementwise, dict]:
        if isinstance(alpha, int) and not isinstance(alpha, bool) and alpha == 1:
            return globals()[plain], {}
        return globals()[scaled], {"alpha": alpha}

    return choose


def choose_rounding(rounding_mode: str | None) -> tuple[Elementwise, dict]:
    rows = {None: div, "trunc": _div_trunc, "floor": _div_floor}
    if rounding_mode not in rows:
        raise ValueError(
            f"div(..., rounding_mode={rounding_mode!r}): expected rounding_mode to be one of None, 'trunc', or 'floor'"
        )
    return rows[rounding_mode], {}


class Power(Checked):
    """`pow`: small constant exponents are cheaper by multiplication."""

    def apply(self, inputs: list, given: dict) -> Tensor:
        y = inputs[1]
        if is_number(y) and not isinstance(y, bool) and isinstance(inputs[0], Tensor):
            special = {2: _pow_square, 3: _pow_cube, 0.5: _pow_root, -1: _pow_reciprocal}.get(y)
            if special is not None and (special in (_pow_square, _pow_cube) or inputs[0].dtype.is_differentiable):
                self.check(self.name, inputs, given)
                return special.apply(inputs, given)
        return super().apply(inputs, given)


class Clamp(Elementwise):
    """`clamp`: a bound that is None is left out, which is another row."""

    def __call__(self, input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
        if min is None and max is None:
            raise ValueError(f"clamp({describe(input)}): at least one of 'min' or 'max' must not be None")
        if max is None:
            return clamp_min(input, min, out=out)
        if min is None:
            return clamp_max(input, max, out=out)
        return super().__call__(input, min, max, out=out)


class Lerp(Checked):
    """`lerp`: a number as weight takes no part in the choice of the dtype."""

    def apply(self, inputs: list, given: dict) -> Tensor:
        x, y, weight = inputs
        if isinstance(weight, Tensor):
            return super().apply(inputs, given)
        return _lerp_scalar.apply([x, y], {"weight": weight})


# ---- arithmetic -----------------------------------------------------------------------------------------------------
# fmt: off

add = Optioned("add", complex="{x} + {y}", numpy=np.add, options={"alpha": 1}, choose=choose_alpha("_add_scaled", "add"),
    wgsl={"float": "{x} + {y}", "int": "{x} + {y}", "bool": "{x} | {y}"},
    vjp=(lambda g: g, lambda g: g), doc="""x + alpha * y. Integers wrap around; for bool it is the logical or.

>>> webtorch.add(webtorch.tensor([1.0, 2.0]), 3, alpha=10)
tensor([31., 32.])
""")

_add_scaled = Variant("_add_scaled",
    complex="{x} + wt_mul({alpha}, {y})", of="add", numpy=lambda x, y, alpha: x + whole_scalar(alpha, x) * y,
    scalars={"alpha": 1}, check=check_alpha,
    wgsl={"float": "{x} + {alpha} * {y}", "int": "{x} + {alpha} * {y}", "bool": "{x} | ({y} & ({alpha} != 0.0))"},
    vjp=(lambda g: g, lambda g, alpha: g * alpha), doc="`add` with a factor.")

sub = Optioned("sub",
    complex="{x} - {y}", numpy=np.subtract, check=check_subtraction, options={"alpha": 1}, choose=choose_alpha("_sub_scaled", "sub"),
    wgsl={"float": "{x} - {y}", "int": "{x} - {y}"},
    vjp=(lambda g: g, lambda g: -g), doc="""x - alpha * y. Integers wrap around. Raises DTypeError for bool.

>>> webtorch.sub(webtorch.tensor([1.0, 2.0]), webtorch.tensor([0.5, 4.0]))
tensor([ 0.5000, -2.0000])
""")

_sub_scaled = Variant("_sub_scaled",
    complex="{x} - wt_mul({alpha}, {y})", of="sub", numpy=lambda x, y, alpha: x - whole_scalar(alpha, x) * y,
    scalars={"alpha": 1}, check=check_alpha,
    wgsl={"float": "{x} - {alpha} * {y}", "int": "{x} - {alpha} * {y}"},
    vjp=(lambda g: g, lambda g, alpha: g * -alpha), doc="`sub` with a factor.")

rsub = Optioned("rsub", complex="{y} - {x}", numpy=lambda x, y: y - x, check=check_subtraction, options={"alpha": 1}, inplace=False,
    choose=choose_alpha("_rsub_scaled", "rsub"), wgsl={"float": "{y} - {x}", "int": "{y} - {x}"},
    vjp=(lambda g: -g, lambda g: g), doc="""y - alpha * x. Raises DTypeError for bool.

>>> webtorch.rsub(webtorch.tensor([1.0, 2.0]), 10)
tensor([9., 8.])
""")

_rsub_scaled = Variant("_rsub_scaled",
    complex="{y} - wt_mul({alpha}, {x})", of="rsub", numpy=lambda x, y, alpha: y - whole_scalar(alpha, x) * x,
    scalars={"alpha": 1}, check=check_alpha,
    wgsl={"float": "{y} - {alpha} * {x}", "int": "{y} - {alpha} * {x}"},
    vjp=(lambda g, alpha: g * -alpha, lambda g: g), doc="`rsub` with a factor.")

mul = Elementwise("mul",
    complex="wt_mul({x}, {y})", numpy=np.multiply, wgsl={"float": "{x} * {y}", "int": "{x} * {y}", "bool": "{x} & {y}"},
    vjp=(lambda g, y: g * y, lambda g, x: g * x), doc="""x * y. Integers wrap around; for bool it is the logical and.

>>> webtorch.mul(webtorch.tensor([1.0, 2.0]), webtorch.tensor([3.0, 4.0]))
tensor([3., 8.])
""")

div = Optioned("div", complex="wt_divide({x}, {y})", numpy=np.true_divide, dtype=floating, wgsl="wt_divide({x}, {y})",
    options={"rounding_mode": None}, choose=choose_rounding,
    domain=(0.3, 3.0), vjp=(lambda g, y: g / y, lambda g, x, y: -g * ((x / y) / y)),
    doc="""x / y; integers give the default floating dtype.

`rounding_mode` "trunc" rounds the quotient towards zero and "floor" down; both keep integer dtypes. With them integers
divided by 0 raise RuntimeError on the cpu and give 0 on webgpu.

>>> webtorch.div(webtorch.tensor([7, -7]), 2)
tensor([ 3.5000, -3.5000])
>>> webtorch.div(webtorch.tensor([7, -7]), 2, rounding_mode="floor")
tensor([ 3, -4])
""")

_div_trunc = Variant("_div_trunc", of="div", numpy=numpy_divide_trunc, dtype=no_bool,
    wgsl={"float": "wt_trunc(wt_divide({x}, {y}))", "int": "wt_trunc_divide({x}, {y})"}, domain=(0.3, 3.0),
    vjp=(lambda g: zeros(g), lambda g: zeros(g)), doc="`div` rounded towards zero.")

_div_floor = Variant("_div_floor", of="div", numpy=numpy_divide_floor, dtype=no_bool, wgsl={"float": "wt_floor_divide({x}, {y})",
    "int": "wt_floor_divide({x}, {y})"}, domain=(0.3, 3.0), vjp=(lambda g: zeros(g), lambda g: zeros(g)),
    doc="`div` rounded down.")

floor_divide = Elementwise("floor_divide", numpy=numpy_divide_floor, dtype=no_bool, domain=(0.3, 3.0),
    wgsl={"float": "wt_floor_divide({x}, {y})", "int": "wt_floor_divide({x}, {y})"},
    vjp=(lambda g: zeros(g), lambda g: zeros(g)), doc="""x / y rounded down. Keeps integer dtypes.

Integers divided by 0 raise RuntimeError on the cpu and give 0 on webgpu. Raises DTypeError for bool.

>>> webtorch.floor_divide(webtorch.tensor([7, -7]), 2)
tensor([ 3, -4])
""")

for _row in (add, _add_scaled, sub, _sub_scaled, mul, div, _div_trunc, _div_floor, floor_divide):
    _row.of_numbers = True  # PyTorch adds 1 and 2, but takes no maximum of them

remainder = Elementwise("remainder", numpy=numpy_remainder, dtype=no_bool, domain=(0.3, 3.0),
    wgsl={"float": "wt_remainder({x}, {y})", "int": "wt_remainder({x}, {y})"},
    vjp=(lambda g: g, lambda g, x, y: -g * _div_floor(x, y)),
    doc="""x - y * floor(x / y), as Python's %: it has the sign of y.

Integers divided by 0 raise RuntimeError on the cpu and give 0 on webgpu. Raises DTypeError for bool.

>>> webtorch.remainder(webtorch.tensor([5, -5]), 3)
tensor([2, 1])
""")

fmod = Elementwise("fmod", numpy=numpy_fmod, dtype=no_bool, domain=(0.3, 3.0),
    wgsl={"float": "wt_fmod({x}, {y})", "int": "wt_fmod({x}, {y})"},
    vjp=(lambda g: g, lambda g, x, y: -g * _div_trunc(x, y)),
    doc="""x - y * trunc(x / y), as in C: it has the sign of x.

Integers divided by 0 raise RuntimeError on the cpu and give 0 on webgpu. Raises DTypeError for bool.

>>> webtorch.fmod(webtorch.tensor([5, -5]), 3)
tensor([ 2, -2])
""")

pow = Power("pow", complex="wt_pow({x}, {y})", numpy=numpy_pow, dtype=no_bool, check=check_power,
    wgsl={"float": "wt_pow({x}, {y})", "int": "wt_pow({x}, {y})"}, domain=(0.3, 3.0),
    vjp=(pow_base_gradient, pow_exponent_gradient), doc="""x to the power y; either may be a number.

Integers keep their dtype and wrap around. Raises DTypeError for bool and for integers to a negative number.

>>> webtorch.pow(webtorch.tensor([1.0, 2.0, 3.0]), 2)
tensor([1., 4., 9.])
""")

_pow_square = Variant("_pow_square", complex="wt_square({x})", of="pow", numpy=lambda x, y: x * x, inputs=2, dtype=no_bool,
    wgsl={"float": "{x} * {x}", "int": "{x} * {x}"},
    vjp=(lambda g, x: g * (2 * x), None), doc="`pow` with the exponent 2.")

_pow_cube = Variant("_pow_cube",
    complex="wt_mul(wt_square({x}), {x})", of="pow", numpy=lambda x, y: x * x * x, inputs=2, dtype=no_bool,
    wgsl={"float": "{x} * {x} * {x}", "int": "{x} * {x} * {x}"}, vjp=(lambda g, x: g * (3 * (x * x)), None),
    doc="`pow` with the exponent 3.")

_pow_root = Variant("_pow_root", complex="wt_sqrt({x})", of="pow", numpy=lambda x, y: np.sqrt(x), inputs=2, dtype=inexact_only,
    wgsl={"float": "wt_sqrt({x})"},
    domain=(0.3, 3.0), vjp=(lambda g, out: g / (2 * out), None), doc="`pow` with the exponent 0.5.")

_pow_reciprocal = Variant("_pow_reciprocal", complex="wt_reciprocal({x})", of="pow", numpy=lambda x, y: 1 / x, inputs=2, dtype=inexact_only,
    wgsl={"float": "wt_reciprocal({x})"},
    domain=(0.3, 3.0), vjp=(lambda g, out: -g * out * out, None), doc="`pow` with the exponent -1.")

float_power = Elementwise("float_power", complex="wt_pow({x}, {y})", numpy=np.power, dtype=double, wgsl={"float": "wt_pow({x}, {y})"},
    grad_name="Pow", domain=(0.3, 3.0),
    inplace=False, vjp=(pow_base_gradient, pow_exponent_gradient),
    doc="""x to the power y in float64, whatever the dtypes; either may be a number.

>>> webtorch.float_power(webtorch.tensor([1, 2, 3]), -1)
tensor([1.0000, 0.5000, 0.3333], dtype=webtorch.float64)
""")

atan2 = Elementwise("atan2", numpy=np.arctan2, dtype=floating, wgsl="wt_atan2({x}, {y})", domain=(0.3, 3.0),
    vjp=(lambda g, x, y: atan2_gradient(g, x, y, y), lambda g, x, y: -atan2_gradient(g, x, y, x)),
    doc="""The angle in [-pi, pi] of the point with ordinate x and abscissa y.

>>> webtorch.atan2(webtorch.tensor([1.0, -1.0]), webtorch.tensor([1.0, -1.0]))
tensor([ 0.7854, -2.3562])
""")

copysign = Elementwise("copysign", numpy=np.copysign, dtype=floating, wgsl="wt_copysign({x}, {y})",
    vjp=(copysign_gradient, lambda g: zeros(g)),
    doc="""The size of x with the sign of y, -0.0 included; integers give the default floating dtype.

>>> webtorch.copysign(webtorch.tensor([1.0, -2.0]), -0.0)
tensor([-1., -2.])
""")

ldexp = Elementwise("ldexp", complex="wt_mul({x}, wt_exp2({y}))", numpy=numpy_ldexp, dtype=floating, wgsl="wt_ldexp({x}, {y})",
    vjp=(lambda g, y: ldexp(g, y), lambda g, out: g * out * LN2),
    doc="""x * 2**y, rounded once when y is whole. Integers are taken as the default floating dtype.

>>> webtorch.ldexp(webtorch.tensor([1.0, 3.0]), webtorch.tensor([2, -1]))
tensor([4.0000, 1.5000])
""")

hypot = Elementwise("hypot", numpy=np.hypot, dtype=floating_only, wgsl={"float": "wt_hypot({x}, {y})"},
    vjp=(lambda g, out, x: g * (x / out), lambda g, out, y: g * (y / out)), domain=(0.3, 3.0),
    doc="""sqrt(x * x + y * y) without overflow. Only for floating dtypes; its derivative at (0, 0) is NaN.

>>> webtorch.hypot(webtorch.tensor([3.0]), webtorch.tensor([4.0]))
tensor([5.])
""")

logaddexp = Elementwise("logaddexp", complex="wt_logaddexp({x}, {y})", numpy=numpy_logaddexp, dtype=inexact_only,
    wgsl={"float": "wt_logaddexp({x}, {y})"}, inplace=False,
    vjp=(lambda g, x, y: g * sigmoid(x - y), lambda g, x, y: g * sigmoid(y - x)),
    doc="""log(exp(x) + exp(y)) without overflow. Only for floating and complex dtypes; of complex numbers on the branch next to
the one with the larger real part.

>>> webtorch.logaddexp(webtorch.tensor([1.0, 1000.0]), webtorch.tensor([1.0, 0.0]))
tensor([   1.6931, 1000.0000])
""")

logaddexp2 = Elementwise("logaddexp2", numpy=np.logaddexp2, dtype=floating_only,
    wgsl={"float": "wt_logaddexp2({x}, {y})"}, inplace=False,
    vjp=(lambda g, x, y: g * sigmoid((x - y) * LN2), lambda g, x, y: g * sigmoid((y - x) * LN2)),
    doc="""log2(2**x + 2**y) without overflow. Only for floating dtypes.

>>> webtorch.logaddexp2(webtorch.tensor([1.0, 3.0]), webtorch.tensor([1.0, 3.0]))
tensor([2., 4.])
""")

xlogy = Elementwise("xlogy", numpy=numpy_xlogy, dtype=floating, wgsl="wt_xlogy({x}, {y})", domain=(0.3, 3.0),
    vjp=(xlogy_gradient, lambda g, x, y: g * x / y), doc="""x * log(y), 0 where x is 0, and NaN where y is NaN.

>>> webtorch.xlogy(webtorch.tensor([0.0, 2.0]), webtorch.tensor([0.0, 3.0]))
tensor([0.0000, 2.1972])
""")

nextafter = NextAfter("nextafter", numpy=np.nextafter, dtype=floating_only, wgsl={"float": "wt_nextafter({x}, {y})"},
    vjp=(lambda g, x, y: where(x == y, 0, g), lambda g: zeros(g)),
    doc="""The next number after x in the direction of y. Only for floating dtypes; on webgpu not for float64.

>>> webtorch.nextafter(webtorch.tensor([1.0]), webtorch.tensor([2.0])) > 1
tensor([True])
""")

heaviside = Checked("heaviside", numpy=numpy_heaviside, check=check_same_dtype,
    wgsl={"float": "wt_heaviside({x}, {y})", "int": "wt_heaviside({x}, {y})", "bool": "{x} | {y}"},
    doc="""0 where x is negative, y where it is zero, 1 where it is positive; 0 for NaN. Raises DTypeError when the dtypes differ.

>>> webtorch.heaviside(webtorch.tensor([-1.5, 0.0, 2.0]), webtorch.tensor(0.5))
tensor([0.0000, 0.5000, 1.0000])
""")

gcd = Elementwise("gcd", numpy=np.gcd, dtype=integer_only, wgsl={"int": "wt_gcd({x}, {y})"},
    doc="""The greatest common divisor, never negative; that of 0 and 0 is 0. Only for integers.

>>> webtorch.gcd(webtorch.tensor([12, -4]), webtorch.tensor([18, 0]))
tensor([6, 4])
""")

lcm = Elementwise("lcm", numpy=numpy_lcm, dtype=integer_only, wgsl={"int": "wt_lcm({x}, {y})"},
    doc="""The least common multiple, never negative; 0 where either is 0. Only for integers.

>>> webtorch.lcm(webtorch.tensor([4, -3]), webtorch.tensor([6, 5]))
tensor([12, 15])
""")

maximum = Elementwise("maximum", numpy=np.maximum, wgsl="wt_maximum({x}, {y})",
    vjp=(lambda g, x, y: where(x == y, g / 2, where(x < y, 0, g)), lambda g, x, y: where(x == y, g / 2, where(y < x, 0, g))),
    doc="""The larger of x and y; NaN where either is NaN. Equal elements share the gradient.

>>> webtorch.maximum(webtorch.tensor([1.0, 5.0]), webtorch.tensor([3.0, 2.0]))
tensor([3., 5.])
""")

minimum = Elementwise("minimum", numpy=np.minimum, wgsl="wt_minimum({x}, {y})",
    vjp=(lambda g, x, y: where(x == y, g / 2, where(x > y, 0, g)), lambda g, x, y: where(x == y, g / 2, where(y > x, 0, g))),
    doc="""The smaller of x and y; NaN where either is NaN. Equal elements share the gradient.

>>> webtorch.minimum(webtorch.tensor([1.0, 5.0]), webtorch.tensor([3.0, 2.0]))
tensor([1., 2.])
""")

fmax = Elementwise("fmax", numpy=np.fmax, wgsl="wt_fmax({x}, {y})", inplace=False,
    vjp=(lambda g, x, y: where((x >= y) | is_nan(y), g, 0), lambda g, x, y: where((x >= y) | is_nan(y), 0, g)),
    doc="""The larger of x and y, and the other one where one is NaN. Equal elements give the gradient to x.

>>> webtorch.fmax(webtorch.tensor([1.0, float("nan")]), webtorch.tensor([3.0, 2.0]))
tensor([3., 2.])
""")

fmin = Elementwise("fmin", numpy=np.fmin, wgsl="wt_fmin({x}, {y})", inplace=False,
    vjp=(lambda g, x, y: where((x <= y) | is_nan(y), g, 0), lambda g, x, y: where((x <= y) | is_nan(y), 0, g)),
    doc="""The smaller of x and y, and the other one where one is NaN. Equal elements give the gradient to x.

>>> webtorch.fmin(webtorch.tensor([1.0, float("nan")]), webtorch.tensor([3.0, 2.0]))
tensor([1., 2.])
""")

# ---- comparison -----------------------------------------------------------------------------------------------------

eq = Elementwise("eq", complex="wt_eq({x}, {y})", numpy=np.equal, dtype=comparison, wgsl="wt_eq({x}, {y})",
    doc="""True where x and y are equal; NaN equals nothing. A bool tensor.

>>> webtorch.eq(webtorch.tensor([1, 2]), 2)
tensor([False,  True])
""")

ne = Elementwise("ne", complex="wt_ne({x}, {y})", numpy=np.not_equal, dtype=comparison, wgsl="wt_ne({x}, {y})",
    doc="""True where x and y differ; NaN differs from everything. A bool tensor.

>>> webtorch.ne(webtorch.tensor([1, 2]), 2)
tensor([ True, False])
""")

lt = Elementwise("lt", numpy=np.less, dtype=comparison, wgsl="wt_lt({x}, {y})",
    doc="""True where x is smaller than y. A bool tensor.

>>> webtorch.lt(webtorch.tensor([1, 2, 3]), 2)
tensor([ True, False, False])
""")

le = Elementwise("le", numpy=np.less_equal, dtype=comparison, wgsl="wt_le({x}, {y})",
    doc="""True where x is smaller than y or equal. A bool tensor.

>>> webtorch.le(webtorch.tensor([1, 2, 3]), 2)
tensor([ True,  True, False])
""")

gt = Elementwise("gt", numpy=np.greater, dtype=comparison, wgsl="wt_gt({x}, {y})",
    doc="""True where x is larger than y. A bool tensor.

>>> webtorch.gt(webtorch.tensor([1, 2, 3]), 2)
tensor([False, False,  True])
""")

ge = Elementwise("ge", numpy=np.greater_equal, dtype=comparison, wgsl="wt_ge({x}, {y})",
    doc="""True where x is larger than y or equal. A bool tensor.

>>> webtorch.ge(webtorch.tensor([1, 2, 3]), 2)
tensor([False,  True,  True])
""")

# ---- logic and bits -------------------------------------------------------------------------------------------------

logical_and = Elementwise("logical_and", numpy=np.logical_and, dtype=logical, wgsl="{x} & {y}",
    doc="""True where both are not zero. A bool tensor.

>>> webtorch.logical_and(webtorch.tensor([0, 1, 2]), webtorch.tensor([1, 0, 3]))
tensor([False, False,  True])
""")

logical_or = Elementwise("logical_or", numpy=np.logical_or, dtype=logical, wgsl="{x} | {y}",
    doc="""True where at least one is not zero. A bool tensor.

>>> webtorch.logical_or(webtorch.tensor([0, 0, 2]), webtorch.tensor([1, 0, 3]))
tensor([ True, False,  True])
""")

logical_xor = Elementwise("logical_xor", numpy=np.logical_xor, dtype=logical, wgsl="{x} != {y}",
    doc="""True where exactly one is not zero. A bool tensor.

>>> webtorch.logical_xor(webtorch.tensor([0, 0, 2]), webtorch.tensor([1, 0, 3]))
tensor([ True, False, False])
""")

bitwise_and = Elementwise("bitwise_and", numpy=np.bitwise_and, dtype=integral, wgsl={"int": "({x} & {y})", "bool": "{x} & {y}"},
    doc="""The and of each pair of bits; for bool, the logical and. Only for integers and bool.

>>> webtorch.bitwise_and(webtorch.tensor([12, 10]), 6)
tensor([4, 2])
""")

bitwise_or = Elementwise("bitwise_or", numpy=np.bitwise_or, dtype=integral, wgsl={"int": "({x} | {y})", "bool": "{x} | {y}"},
    doc="""The or of each pair of bits; for bool, the logical or. Only for integers and bool.

>>> webtorch.bitwise_or(webtorch.tensor([12, 10]), 6)
tensor([14, 14])
""")

bitwise_xor = Elementwise("bitwise_xor", numpy=np.bitwise_xor, dtype=integral, wgsl={"int": "({x} ^ {y})", "bool": "{x} != {y}"},
    doc="""The exclusive or of each pair of bits; for bool, the logical one. Only for integers and bool.

>>> webtorch.bitwise_xor(webtorch.tensor([12, 10]), 6)
tensor([10, 12])
""")

bitwise_left_shift = Elementwise("bitwise_left_shift", numpy=numpy_left_shift, dtype=integer_only,
    wgsl={"int": "wt_left_shift({x}, {y})"},
    doc="""x with its bits moved y places up; 0 where y is negative or not less than the width. Only for integers.

>>> webtorch.bitwise_left_shift(webtorch.tensor([1, 3]), 2)
tensor([ 4, 12])
""")

bitwise_right_shift = Elementwise("bitwise_right_shift", numpy=numpy_right_shift, dtype=integer_only,
    wgsl={"int": "wt_right_shift({x}, {y})"},
    doc="""x with its bits moved y places down and its sign kept. Only for integers.

Where y is negative or not less than the width, the result is 0, or -1 for a negative x.

>>> webtorch.bitwise_right_shift(webtorch.tensor([12, -1]), 2)
tensor([ 3, -1])
""")

# ---- selection and blends -------------------------------------------------------------------------------------------

where = Checked("where",
    complex="select({z}, {y}, {x})", numpy=np.where, select_first=True, check=check_condition, wgsl="select({z}, {y}, {x})",
    inplace=False, method=False,
    vjp=(None, lambda g, x: where(x, g, 0), lambda g, x: where(x, 0, g)),
    doc="""y where the condition x is true, z elsewhere; y and z may be numbers.

The condition must be a bool tensor (uint8 is taken, too); the three broadcast. A NaN that is not selected leaves no
trace, in the gradient neither. Raises DTypeError for other conditions.

>>> x = webtorch.tensor([-1.0, 2.0])
>>> webtorch.where(x > 0, x, 0)
tensor([0., 2.])
""")

clamp = Clamp("clamp", numpy=numpy_clamp, inputs=3, wgsl="wt_clamp({x}, {y}, {z})",
    vjp=(
        lambda g, x, y, z: where(inside(x, y, z), g, 0),
        lambda g, x, y, z: where((x < y) & (y < z), g, 0),
        lambda g, x, y, z: where((x > z) | (z < y), g, 0),
    ), doc="""x limited to the range from `min` to `max`, which are numbers, tensors, or None for no limit.

Where min > max the result is max; NaN stays. The derivative is 1 on the bounds, too. Raises ValueError without bounds.

>>> webtorch.clamp(webtorch.tensor([-2.0, 0.5, 3.0]), min=-1, max=1)
tensor([-1.0000,  0.5000,  1.0000])
""")

clamp_min = Elementwise("clamp_min", numpy=lambda x, y: np.maximum(y, x),
    wgsl={"float": "wt_at_least({x}, {y})", "int": "wt_maximum({x}, {y})", "bool": "wt_maximum({x}, {y})"},
    vjp=(lambda g, x, y: where(x >= y, g, 0), lambda g, x, y: where(x < y, g, 0)),
    doc="""x, but at least y, a number or a tensor.

>>> webtorch.clamp_min(webtorch.tensor([-2.0, 0.5]), 0)
tensor([0.0000, 0.5000])
""")

clamp_max = Elementwise("clamp_max", numpy=lambda x, y: np.minimum(y, x),
    wgsl={"float": "wt_at_most({x}, {y})", "int": "wt_minimum({x}, {y})", "bool": "wt_minimum({x}, {y})"},
    vjp=(lambda g, x, y: where(x <= y, g, 0), lambda g, x, y: where(x > y, g, 0)),
    doc="""x, but at most y, a number or a tensor.

>>> webtorch.clamp_max(webtorch.tensor([-2.0, 0.5]), 0)
tensor([-2.,  0.])
""")

lerp = Lerp("lerp", complex="wt_lerp({x}, {y}, {z})", numpy=numpy_lerp, dtype=inexact_only, check=check_lerp, inputs=3,
    wgsl={"float": "select({y} - ({y} - {x}) * ({t}(1) - {z}), {x} + {z} * ({y} - {x}), wt_lt(wt_abs({z}), {t}(0.5)))"},
    vjp=(lambda g, z: g * (1 - z), lambda g, z: g * z, lambda g, x, y: g * (y - x)),
    doc="""x + weight * (y - x), where the weight z is a number or a tensor. Only for floating dtypes, which must agree.

>>> webtorch.lerp(webtorch.tensor([0.0, 10.0]), webtorch.tensor([1.0, 20.0]), 0.25)
tensor([ 0.2500, 12.5000])
""")

_lerp_scalar = Variant("_lerp_scalar",
    complex="wt_lerp({x}, {y}, {weight})", of="lerp", numpy=lambda x, y, weight: numpy_lerp(x, y, weight),
    dtype=inexact_only, check=check_same_dtype,
    scalars={"weight": 0.5},
    wgsl={"float": "select({y} - ({y} - {x}) * ({t}(1) - {weight}), {x} + {weight} * ({y} - {x}), wt_lt(wt_abs({weight}), {t}(0.5)))"},
    vjp=(lambda g, weight: g * (1 - weight), lambda g, weight: g * weight), doc="`lerp` with a number as weight.")

addcmul = Elementwise("addcmul",
    complex="{x} + wt_mul(wt_mul({value}, {y}), {z})", numpy=lambda x, y, z, value: x + whole_scalar(value, x) * y * z, dtype=no_bool,
    scalars={"value": 1},
    wgsl={"float": "{x} + {value} * {y} * {z}", "int": "{x} + {value} * {y} * {z}"},
    vjp=(lambda g: g, lambda g, z, value: g * (z * value), lambda g, y, value: g * (y * value)),
    doc="""x + value * y * z.

>>> webtorch.addcmul(webtorch.tensor([1.0]), webtorch.tensor([2.0]), webtorch.tensor([3.0]), value=10)
tensor([61.])
""")

addcdiv = Checked("addcdiv",
    complex="{x} + wt_divide(wt_mul({value}, {y}), {z})", numpy=lambda x, y, z, value: x + value * y / z, dtype=no_bool,
    scalars={"value": 1}, check=check_float_division,
    wgsl={"float": "{x} + wt_divide({value} * {y}, {z})"}, domain=(0.3, 3.0),
    vjp=(lambda g: g, lambda g, z, value: g * (value / z), lambda g, y, z, value: -g * (value * y / (z * z))),
    doc="""x + value * y / z. Only for floating dtypes.

>>> webtorch.addcdiv(webtorch.tensor([1.0]), webtorch.tensor([3.0]), webtorch.tensor([2.0]), value=10)
tensor([16.])
""")

# fmt: on


# ---- functions that are no rows -------------------------------------------------------------------------------------


def is_nan(x: Any) -> Any:
    return isnan(x) if isinstance(x, Tensor) else x != x


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor's elements where `condition` is true, those of `other` elsewhere."""
    return where(condition, self, other)


Tensor.where = _where_method

FUNCTIONS: dict[str, Any] = {}

# PyTorch's other names.
ALIASES = {
    "arctan2": "atan2", "clip": "clamp", "divide": "div", "greater": "gt", "greater_equal": "ge", "less": "lt",
    "less_equal": "le", "multiply": "mul", "not_equal": "ne", "subtract": "sub", "true_divide": "div",
}  # fmt: skip
