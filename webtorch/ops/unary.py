"""Elementwise functions of one tensor: rounding, signs, powers, exponentials, trigonometry, special functions, tests."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .. import dtypes, special_numpy
from ..dtypes import dtype as DType
from ..errors import DTypeError
from ..tensor import Tensor
from . import describe
from .elementwise import Elementwise, comparison, fill, floating, floating_only, integral, logical, numeric
from .variant import Optioned, Variant

PI = math.pi
LN2 = math.log(2)
LN10 = math.log(10)

# ---- dtype rules ----------------------------------------------------------------------------------------------------


def no_bool(common: DType, call: str) -> tuple[DType, DType]:
    """Any dtype but bool."""
    if common is dtypes.bool_:
        raise DTypeError(f"{call}: not defined for bool tensors; convert first, for example with .int() or .float()")
    return common, common


def at_least_int64(common: DType, call: str) -> tuple[DType, DType]:
    """bool becomes int64."""
    common = dtypes.int64 if common is dtypes.bool_ else common
    return common, common


# ---- what the rows share --------------------------------------------------------------------------------------------


def zeros(g: Tensor) -> Tensor:
    """The gradient of a step function: g * 0 would turn an infinite g into NaN."""
    return fill(g._shape, g.dtype, g.device, value=0)


def whole(function: Any) -> Any:
    """A rounding function, which leaves integers as they are."""
    return lambda x: x if x.dtype.kind != "f" else function(x)


def size_of(common: DType, call: str) -> tuple[DType, DType]:
    """Any dtype but bool; complex numbers give their real dtype."""
    common = no_bool(common, call)[0]
    return common, common.to_real()


def angle_of(common: DType, call: str) -> tuple[DType, DType]:
    """Integers become the default floating dtype, complex numbers give their real dtype."""
    common = floating(common, call)[0]
    return common, common.to_real()


def numpy_sgn(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "c":
        return numpy_sign(x)
    scaled = np.where(np.isinf(np.abs(x)) & np.isfinite(x), x * x.real.dtype.type(0.5), x)
    size = np.abs(scaled)
    return np.where(size == 0, 0, scaled / np.where(size == 0, 1, size)).astype(x.dtype)


def numpy_log1p(x: np.ndarray) -> np.ndarray:
    """Of complex numbers, too, precise for small ones, which numpy's is not."""
    if x.dtype.kind != "c":
        return np.log1p(x)
    real, imag = x.real, x.imag
    moved = np.array(x)
    moved.real += 1  # 1 + x would lose the sign of a zero
    result = np.asarray(np.log(moved))
    result.real = np.where(np.abs(x) < 0.5, np.log1p(real * (2 + real) + imag * imag) / 2, result.real)
    return result


def numpy_sign(x: np.ndarray) -> np.ndarray:
    return ((x > 0).astype(np.int8) - (x < 0).astype(np.int8)).astype(x.dtype)


def numpy_sigmoid(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return numpy_complex_sigmoid(x)
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, small, np.ones_like(x)) / (1 + small)


def numpy_complex_sigmoid(x: np.ndarray) -> np.ndarray:
    """By half angles: the sums under the fraction have terms of one sign, so that nothing cancels next to the poles."""
    small, away = np.exp(-np.abs(x.real)), -np.expm1(-np.abs(x.real))
    sine, cosine = np.sin(x.imag / 2), np.cos(x.imag / 2)
    square = 2 * small * cosine * cosine
    below = away * away + 2 * square
    result = np.empty(np.shape(x), x.dtype)
    result.real = np.where(x.real < 0, small * (2 * cosine * cosine - away), away + square) / below
    result.imag = 2 * small * sine * cosine / below
    settled = np.isinf(x.real) & ~np.isfinite(x.imag)
    return np.where(settled, (x.real > 0).astype(x.dtype), result)


def numpy_exp2(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "c":
        return np.exp2(x)
    scaled = np.empty(x.shape, np.complex128)  # part by part: infinity times the 0 in LN2 + 0j would be NaN
    scaled.real, scaled.imag = np.float64(LN2) * x.real, np.float64(LN2) * x.imag
    return np.exp(scaled).astype(x.dtype)


def numpy_frac(x: np.ndarray) -> np.ndarray:
    return x - np.trunc(x)  # NaN for the infinities


def numpy_angle(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return np.angle(x)
    return np.where(np.isnan(x), x, np.where(x < 0, x.dtype.type(PI), x.dtype.type(0)))


def numpy_logit(x: np.ndarray) -> np.ndarray:
    return np.log(x / (1 - x))


def numpy_log10(x: np.ndarray) -> np.ndarray:
    """In float64, because powers of ten should come out whole."""
    return np.log10(x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)).astype(x.dtype)


def numpy_sinc(x: np.ndarray) -> np.ndarray:
    """In float64, with the argument of the sine reduced before pi is multiplied."""
    if x.dtype.kind == "c":
        wide = x.astype(np.complex128)
        reduced = PI * (wide - 2 * np.round(wide.real / 2))
        return np.where(x == 0, 1.0, np.sin(reduced) / np.where(x == 0, 1.0, PI * wide)).astype(x.dtype)
    size = np.abs(x.astype(np.float64))
    whole = np.round(size)
    sine = np.sin(PI * (size - whole)) * np.where(whole % 2 == 1, -1.0, 1.0)
    return np.where(x == 0, 1.0, sine / np.where(x == 0, 1.0, PI * size)).astype(x.dtype)


def numpy_nan_to_num(x: np.ndarray, nan: float, posinf: float, neginf: float) -> np.ndarray:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf) if x.dtype.kind in "fc" else x


def sinc_gradient(g: Tensor, x: Tensor) -> Tensor:
    safe = binary.where(x == 0, 1, x)  # keeps NaN out of the second derivative
    return binary.where(x == 0, 0, g * (cos(PI * safe) - sinc(safe)) / safe)


def sgn_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    if not x.dtype.is_complex:
        return zeros(g)
    size = abs(x)
    turned = g - out * (conj(out) * g).real
    return binary.where(size == 0, 0, turned / binary.where(size == 0, 1, size))


def angle_gradient(g: Tensor, x: Tensor) -> Tensor:
    if not x.dtype.is_complex:
        return zeros(g)
    size = abs(x)
    inverse = binary.where(size == 0, 0, 1 / binary.where(size == 0, 1, size))
    return (g * inverse) * (sgn(x) * 1j)


def acosh_gradient(g: Tensor, x: Tensor) -> Tensor:
    if x.dtype.is_complex:
        return g * (rsqrt(x - 1) * rsqrt(x + 1))
    return g * rsqrt(x * x - 1)


def logit_gradient(g: Tensor, x: Tensor) -> Tensor:
    outside = (x < 0) | (x > 1)
    return binary.where(outside, float("nan"), g / (x * (1 - x)))


def logit_clamped_gradient(g: Tensor, x: Tensor, eps: float) -> Tensor:
    clamped = (x < eps) | (x > 1 - eps)
    return binary.where(clamped, 0, g / (binary.where(clamped, 0.5, x) * (1 - binary.where(clamped, 0.5, x))))


def i1_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    safe = binary.where(x == 0, 1, x)
    return g * (i0(x) - binary.where(x == 0, 0.5, out / safe))


def choose_logit(eps: float | None) -> tuple[Elementwise, dict]:
    return (logit, {}) if eps is None else (_logit_clamped, {"eps": eps})


def choose_round(decimals: int) -> tuple[Elementwise, dict]:
    if decimals == 0:
        return round, {}
    return (_round_finer if decimals > 0 else _round_coarser), {"factor": 10.0 ** builtins.abs(decimals)}


class NanToNum(Elementwise):
    """`nan_to_num`: the defaults of its scalars are the largest and smallest number of the dtype."""

    def apply(self, inputs: list, given: dict) -> Tensor:
        x = inputs[0]
        if not isinstance(x, Tensor):
            raise TypeError(f"nan_to_num({describe(*inputs)}): expected a Tensor")
        given = {name: value for name, value in given.items() if value is not None}
        limits = dtypes.finfo(x.dtype.to_real()) if x.dtype.is_differentiable else None
        filled = {"nan": 0.0, "posinf": limits.max if limits else 0, "neginf": limits.min if limits else 0, **given}
        return super().apply(inputs, filled)


# ---- rows -----------------------------------------------------------------------------------------------------------
# fmt: off

abs = Elementwise("abs", complex="wt_abs({x})", numpy=np.abs, dtype=size_of, wgsl={"float": "wt_abs({x})", "int": "wt_abs({x})"},
    holomorphic=False, vjp=(lambda g, x: g * sgn(x),),
    doc="""The absolute value, of complex numbers too. The smallest integer of a signed dtype stays what it is. Raises DTypeError for bool.

>>> webtorch.abs(webtorch.tensor([-1.5, 2.0]))
tensor([1.5000, 2.0000])
""")

neg = Elementwise("neg", complex="wt_neg({x})", numpy=np.negative, dtype=numeric, wgsl={"float": "wt_neg({x})", "int": "wt_neg({x})"},
    vjp=(lambda g: -g,), doc="""The negative; unsigned integers wrap around. Raises DTypeError for bool.

>>> webtorch.neg(webtorch.tensor([1, -2]))
tensor([-1,  2])
""")

sign = Elementwise("sign", numpy=numpy_sign, wgsl={"float": "wt_sign({x})", "int": "wt_sign({x})", "bool": "{x}"},
    vjp=(lambda g: zeros(g),),
    doc="""-1, 0 or 1 as the element is negative, zero or positive; 0 for NaN. Keeps the dtype.

>>> webtorch.sign(webtorch.tensor([-2.5, 0.0, 7.0]))
tensor([-1.,  0.,  1.])
""")

sgn = Elementwise("sgn", complex="wt_sgn({x})", numpy=numpy_sgn, wgsl={"float": "wt_sign({x})", "int": "wt_sign({x})", "bool": "{x}"},
    holomorphic=False, vjp=(sgn_gradient,), doc="""The same as `sign` for the real dtypes; x / abs(x) for complex ones, and 0 for 0.

>>> webtorch.sgn(webtorch.tensor([-2.5, 0.0, 7.0]))
tensor([-1.,  0.,  1.])
""")

signbit = Elementwise("signbit", numpy=lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0, dtype=comparison, inplace=False,
    wgsl={"float": "wt_signbit({x})", "int": "wt_signbit({x})", "bool": "false"}, inputs=1,
    doc="""True where the sign bit is set: for negative numbers, -0.0 and negative NaN. A bool tensor.

>>> webtorch.signbit(webtorch.tensor([-1.0, -0.0, 0.0]))
tensor([ True,  True, False])
""")

ceil = Elementwise("ceil", numpy=whole(np.ceil), dtype=no_bool, wgsl={"float": "wt_ceil({x})", "int": "{x}"},
    vjp=(lambda g: zeros(g),),
    doc="""The smallest integer that is not below the element. Keeps the dtype. Raises DTypeError for bool.

>>> webtorch.ceil(webtorch.tensor([-1.5, 1.2]))
tensor([-1.,  2.])
""")

floor = Elementwise("floor", numpy=whole(np.floor), dtype=no_bool, wgsl={"float": "wt_floor({x})", "int": "{x}"},
    vjp=(lambda g: zeros(g),),
    doc="""The largest integer that is not above the element. Keeps the dtype. Raises DTypeError for bool.

>>> webtorch.floor(webtorch.tensor([-1.5, 1.2]))
tensor([-2.,  1.])
""")

trunc = Elementwise("trunc", numpy=whole(np.trunc), dtype=no_bool, wgsl={"float": "wt_trunc({x})", "int": "{x}"},
    vjp=(lambda g: zeros(g),), doc="""The integer part, towards zero. Keeps the dtype. Raises DTypeError for bool.

>>> webtorch.trunc(webtorch.tensor([-1.5, 1.2]))
tensor([-1.,  1.])
""")

frac = Elementwise("frac", numpy=numpy_frac, dtype=floating_only, wgsl={"float": "wt_frac({x})"},
    vjp=(lambda g: g,),
    doc="""What `trunc` cuts off, with the sign of the element. Only for floating dtypes; NaN for the infinities.

>>> webtorch.frac(webtorch.tensor([-1.5, 1.25]))
tensor([-0.5000,  0.2500])
""")

round = Optioned("round", numpy=whole(np.round), dtype=no_bool, wgsl={"float": "wt_round({x})", "int": "{x}"},
    options={"decimals": 0}, choose=choose_round, vjp=(lambda g: zeros(g),),
    doc="""Rounded to the nearest integer, or to `decimals` decimal places (negative ones stand left of the point).

Halves go to the even neighbour. Keeps the dtype; with `decimals` only for floating dtypes. Raises DTypeError for bool.

>>> webtorch.round(webtorch.tensor([0.5, 1.5, 2.345]), decimals=1)
tensor([0.5000, 1.5000, 2.3000])
""")

_round_finer = Variant("_round_finer", of="round",
    numpy=lambda x, factor: np.round(x * x.dtype.type(factor)) / x.dtype.type(factor),
    dtype=floating_only, scalars={"factor": 1.0}, wgsl={"float": "wt_divide(wt_round({x} * {factor}), {factor})"},
    vjp=(lambda g: zeros(g),), doc="`round` to a positive number of decimals: `factor` is that power of ten.")

_round_coarser = Variant("_round_coarser", of="round",
    numpy=lambda x, factor: np.round(x / x.dtype.type(factor)) * x.dtype.type(factor),
    dtype=floating_only, scalars={"factor": 1.0}, wgsl={"float": "wt_round(wt_divide({x}, {factor})) * {factor}"},
    vjp=(lambda g: zeros(g),), doc="`round` to a multiple of `factor`, a power of ten.")

nan_to_num = NanToNum("nan_to_num", numpy=numpy_nan_to_num, scalars={"nan": 0.0, "posinf": None, "neginf": None},
    wgsl={"float": "wt_nan_to_num({x}, {nan}, {posinf}, {neginf})", "int": "{x}", "bool": "{x}"},
    complex="wt_nan_to_num({x}, {nan}, {posinf}, {neginf})",
    vjp=(lambda g, x: binary.where(isfinite(x), g, 0),),
    doc="""NaN replaced by `nan`, infinities by `posinf` and `neginf`: by default the largest and smallest finite number.

Of complex numbers both parts are looked at; integers and bools are left as they are.

>>> webtorch.nan_to_num(webtorch.tensor([float("nan"), 1.0, float("inf")]), posinf=9.0)
tensor([0., 1., 9.])
""")

reciprocal = Elementwise("reciprocal",
    complex="wt_reciprocal({x})", numpy=lambda x: 1 / x, dtype=floating, wgsl="wt_reciprocal({x})", domain=(0.3, 3.0),
    vjp=(lambda g, out: -g * out * out,), doc="""1 / x; integers give the default floating dtype.

>>> webtorch.reciprocal(webtorch.tensor([2.0, -4.0]))
tensor([ 0.5000, -0.2500])
""")

square = Elementwise("square", complex="wt_square({x})", numpy=lambda x: x * x, dtype=at_least_int64, wgsl="{x} * {x}", grad_name="Pow",
    vjp=(lambda g, x: g * (2 * x),), doc="""x * x. Keeps the dtype, except that bool gives int64; integers wrap around.

>>> webtorch.square(webtorch.tensor([3.0, -4.0]))
tensor([ 9., 16.])
""")

sqrt = Elementwise("sqrt", complex="wt_sqrt({x})", numpy=np.sqrt, dtype=floating, wgsl="wt_sqrt({x})", domain=(0.3, 3.0),
    vjp=(lambda g, out: g / (2 * out),),
    doc="""The square root; NaN for negative numbers. Its derivative at 0 is infinite.

>>> webtorch.sqrt(webtorch.tensor([4.0, 9.0]))
tensor([2., 3.])
""")

rsqrt = Elementwise("rsqrt",
    complex="wt_rsqrt({x})", numpy=lambda x: 1 / np.sqrt(x), dtype=floating, wgsl="wt_rsqrt({x})", domain=(0.3, 3.0),
    vjp=(lambda g, out: -0.5 * g * (out * out * out),), doc="""1 / sqrt(x): infinite at 0, NaN for negative numbers.

>>> webtorch.rsqrt(webtorch.tensor([4.0, 16.0]))
tensor([0.5000, 0.2500])
""")

exp = Elementwise("exp", complex="wt_exp({x})", numpy=np.exp, dtype=floating, wgsl="wt_exp({x})",
    vjp=(lambda g, out: g * out,), doc="""e to the power x.

>>> webtorch.exp(webtorch.tensor([0.0, 1.0]))
tensor([1.0000, 2.7183])
""")

exp2 = Elementwise("exp2", complex="wt_exp2({x})", numpy=numpy_exp2, dtype=floating, wgsl="wt_exp2({x})",
    vjp=(lambda g, out: g * out * LN2,), doc="""2 to the power x.

>>> webtorch.exp2(webtorch.tensor([0, 3]))
tensor([1., 8.])
""")

expm1 = Elementwise("expm1", complex="wt_expm1({x})", numpy=np.expm1, dtype=floating, wgsl="wt_expm1({x})",
    vjp=(lambda g, out: g * (out + 1),), doc="""exp(x) - 1, precise for small x too.

>>> webtorch.expm1(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 1.7183])
""")

log = Elementwise("log", complex="wt_log({x})", numpy=np.log, dtype=floating, wgsl="wt_log({x})", domain=(0.3, 3.0),
    vjp=(lambda g, x: g / x,), doc="""The natural logarithm: -inf at 0, NaN for negative numbers.

>>> webtorch.log(webtorch.tensor([1.0, 10.0]))
tensor([0.0000, 2.3026])
""")

log10 = Elementwise("log10", complex="wt_log10({x})", numpy=numpy_log10, dtype=floating, wgsl="wt_log10({x})", domain=(0.3, 3.0),
    vjp=(lambda g, x: g / (x * LN10),), doc="""The logarithm to base 10.

>>> webtorch.log10(webtorch.tensor([1.0, 1000.0]))
tensor([0., 3.])
""")

log1p = Elementwise("log1p",
    complex="wt_log1p({x})", numpy=numpy_log1p, dtype=floating, wgsl="wt_log1p({x})", domain=(-0.6, 3.0), grad_name="Log1P",
    vjp=(lambda g, x: g / (x + 1),), doc="""log(1 + x), precise for small x too.

>>> webtorch.log1p(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 0.6931])
""")

log2 = Elementwise("log2", complex="wt_log2({x})", numpy=np.log2, dtype=floating, wgsl="wt_log2({x})", domain=(0.3, 3.0),
    vjp=(lambda g, x: g / (x * LN2),), doc="""The logarithm to base 2.

>>> webtorch.log2(webtorch.tensor([1.0, 8.0]))
tensor([0., 3.])
""")

sin = Elementwise("sin", complex="wt_sin({x})", numpy=np.sin, dtype=floating, wgsl="wt_sin({x})",
    vjp=(lambda g, x: g * cos(x),), doc="""The sine of an angle in radians; NaN for the infinities.

>>> webtorch.sin(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 0.8415])
""")

cos = Elementwise("cos", complex="wt_cos({x})", numpy=np.cos, dtype=floating, wgsl="wt_cos({x})",
    vjp=(lambda g, x: -g * sin(x),), doc="""The cosine of an angle in radians; NaN for the infinities.

>>> webtorch.cos(webtorch.tensor([0.0, 1.0]))
tensor([1.0000, 0.5403])
""")

tan = Elementwise("tan", complex="wt_tan({x})", numpy=np.tan, dtype=floating, wgsl="wt_tan({x})", domain=(-1.2, 1.2),
    vjp=(lambda g, out: g * (1 + out * out),), doc="""The tangent of an angle in radians; NaN for the infinities.

>>> webtorch.tan(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 1.5574])
""")

asin = Elementwise("asin", complex="wt_asin({x})", numpy=np.arcsin, dtype=floating, wgsl="wt_asin({x})", domain=(-0.9, 0.9),
    vjp=(lambda g, x: g * rsqrt(1 - x * x),), doc="""The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1].

>>> webtorch.asin(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 1.5708])
""")

acos = Elementwise("acos", complex="wt_acos({x})", numpy=np.arccos, dtype=floating, wgsl="wt_acos({x})", domain=(-0.9, 0.9),
    vjp=(lambda g, x: -g * rsqrt(1 - x * x),), doc="""The angle in [0, pi] whose cosine is x; NaN outside [-1, 1].

>>> webtorch.acos(webtorch.tensor([0.0, 1.0]))
tensor([1.5708, 0.0000])
""")

atan = Elementwise("atan", complex="wt_atan({x})", numpy=np.arctan, dtype=floating, wgsl="wt_atan({x})",
    vjp=(lambda g, x: g / (x * x + 1),), doc="""The angle in [-pi/2, pi/2] whose tangent is x.

>>> webtorch.atan(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 0.7854])
""")

sinh = Elementwise("sinh", complex="wt_sinh({x})", numpy=np.sinh, dtype=floating, wgsl="wt_sinh({x})",
    vjp=(lambda g, x: g * cosh(x),), doc="""The hyperbolic sine.

>>> webtorch.sinh(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 1.1752])
""")

cosh = Elementwise("cosh", complex="wt_cosh({x})", numpy=np.cosh, dtype=floating, wgsl="wt_cosh({x})",
    vjp=(lambda g, x: g * sinh(x),), doc="""The hyperbolic cosine.

>>> webtorch.cosh(webtorch.tensor([0.0, 1.0]))
tensor([1.0000, 1.5431])
""")

tanh = Elementwise("tanh", complex="wt_tanh({x})", numpy=np.tanh, dtype=floating, wgsl="wt_tanh({x})",
    vjp=(lambda g, out: g * (1 - out * out),), doc="""The hyperbolic tangent.

>>> webtorch.tanh(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 0.7616])
""")

asinh = Elementwise("asinh", complex="wt_asinh({x})", numpy=np.arcsinh, dtype=floating, wgsl="wt_asinh({x})",
    vjp=(lambda g, x: g * rsqrt(x * x + 1),), doc="""The number whose hyperbolic sine is x.

>>> webtorch.asinh(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 0.8814])
""")

acosh = Elementwise("acosh", complex="wt_acosh({x})", numpy=np.arccosh, dtype=floating, wgsl="wt_acosh({x})", domain=(1.2, 4.0),
    vjp=(acosh_gradient,), doc="""The number >= 0 whose hyperbolic cosine is x; NaN below 1.

>>> webtorch.acosh(webtorch.tensor([1.0, 2.0]))
tensor([0.0000, 1.3170])
""")

atanh = Elementwise("atanh", complex="wt_atanh({x})", numpy=np.arctanh, dtype=floating, wgsl="wt_atanh({x})", domain=(-0.9, 0.9),
    vjp=(lambda g, x: g / (1 - x * x),),
    doc="""The number whose hyperbolic tangent is x: infinite at 1 and -1, NaN outside.

>>> webtorch.atanh(webtorch.tensor([0.0, 0.5]))
tensor([0.0000, 0.5493])
""")

sinc = Elementwise("sinc", complex="wt_sinc({x})", numpy=numpy_sinc, dtype=floating, wgsl="wt_sinc({x})",
    vjp=(sinc_gradient,), doc="""sin(pi x) / (pi x), and 1 at 0.

>>> webtorch.sinc(webtorch.tensor([0.0, 0.5]))
tensor([1.0000, 0.6366])
""")

deg2rad = Elementwise("deg2rad", numpy=lambda x: x * x.dtype.type(PI / 180), dtype=floating, wgsl="{x} * {t}(0.017453292519943295)",
    grad_name="Deg2Rad", vjp=(lambda g: g * (PI / 180),), doc="""Degrees as radians.

>>> webtorch.deg2rad(webtorch.tensor([0.0, 180.0]))
tensor([0.0000, 3.1416])
""")

rad2deg = Elementwise("rad2deg", numpy=lambda x: x * x.dtype.type(180 / PI), dtype=floating, wgsl="{x} * {t}(57.29577951308232)",
    grad_name="Rad2Deg", vjp=(lambda g: g * (180 / PI),), doc="""Radians as degrees.

>>> webtorch.rad2deg(webtorch.tensor([0.0, 1.0]))
tensor([ 0.0000, 57.2958])
""")

angle = Elementwise("angle", complex="wt_angle({x})", numpy=numpy_angle, dtype=angle_of, inplace=False, holomorphic=False,
    wgsl="select(select({t}(0), {t}(3.141592653589793), wt_lt({x}, {t}(0))), {x}, wt_isnan({x}))",
    vjp=(angle_gradient,),
    doc="""The angle of the number in the complex plane: 0, or pi where it is negative; NaN stays.

>>> webtorch.angle(webtorch.tensor([-2.0, 3.0]))
tensor([3.1416, 0.0000])
""")

sigmoid = Elementwise("sigmoid", complex="wt_sigmoid({x})", numpy=numpy_sigmoid, dtype=floating, wgsl="wt_sigmoid({x})",
    vjp=(lambda g, out: g * (out * (1 - out)),), doc="""The logistic function 1 / (1 + exp(-x)).

>>> webtorch.sigmoid(webtorch.tensor([0.0, 2.0]))
tensor([0.5000, 0.8808])
""")

logit = Optioned("logit", numpy=numpy_logit, dtype=floating, wgsl="wt_log(wt_divide({x}, {t}(1) - {x}))",
    options={"eps": None}, choose=choose_logit, domain=(0.1, 0.9), vjp=(logit_gradient,),
    doc="""log(x / (1 - x)), the inverse of sigmoid: NaN outside [0, 1], unless `eps` is given, which clamps x to [eps, 1 - eps].

>>> webtorch.logit(webtorch.tensor([0.5, 1.0]), eps=0.1)
tensor([0.0000, 2.1972])
""")

_logit_clamped = Variant("_logit_clamped", of="logit",
    numpy=lambda x, eps: numpy_logit(np.clip(x, x.dtype.type(eps), 1 - x.dtype.type(eps))),
    dtype=floating, scalars={"eps": 0.0}, domain=(0.1, 0.9),
    wgsl="wt_log(wt_divide(wt_clamp({x}, {eps}, {t}(1) - {eps}), {t}(1) - wt_clamp({x}, {eps}, {t}(1) - {eps})))",
    vjp=(logit_clamped_gradient,), doc="`logit` of x clamped to [eps, 1 - eps].")

erf = Elementwise("erf", numpy=special_numpy.erf, dtype=floating, wgsl="wt_erf({x})",
    vjp=(lambda g, x: g * (2 / math.sqrt(PI)) * exp(-x * x),), doc="""The error function.

>>> webtorch.erf(webtorch.tensor([0.0, 1.0]))
tensor([0.0000, 0.8427])
""")

erfc = Elementwise("erfc", numpy=special_numpy.erfc, dtype=floating, wgsl="wt_erfc({x})",
    vjp=(lambda g, x: g * (-2 / math.sqrt(PI)) * exp(-x * x),), doc="""1 - erf(x), precise for large x too.

>>> webtorch.erfc(webtorch.tensor([0.0, 1.0]))
tensor([1.0000, 0.1573])
""")

erfinv = Elementwise("erfinv", numpy=special_numpy.erfinv, dtype=floating, wgsl="wt_erfinv({x})", domain=(-0.9, 0.9),
    vjp=(lambda g, out: g * (math.sqrt(PI) / 2) * exp(out * out),),
    doc="""The inverse of erf: infinite at 1 and -1, NaN outside.

>>> webtorch.erfinv(webtorch.tensor([0.0, 0.5]))
tensor([0.0000, 0.4769])
""")

lgamma = Elementwise("lgamma", numpy=special_numpy.lgamma, dtype=floating, wgsl="wt_lgamma({x})", domain=(0.3, 5.0),
    vjp=(lambda g, x: g * digamma(x),),
    doc="""The logarithm of the absolute value of the gamma function; infinite at 0 and the negative integers.

>>> webtorch.lgamma(webtorch.tensor([0.5, 4.0]))
tensor([0.5724, 1.7918])
""")

digamma = Elementwise("digamma", numpy=special_numpy.digamma, dtype=floating, wgsl="wt_digamma({x})", domain=(0.3, 5.0),
    vjp=(lambda g, x: g * _polygamma(x, n=1),),
    doc="""The derivative of lgamma: -inf at 0, NaN at the negative integers.

>>> webtorch.digamma(webtorch.tensor([1.0, 0.5]))
tensor([-0.5772, -1.9635])
""")

_polygamma = Elementwise("_polygamma", numpy=special_numpy.polygamma, dtype=floating, wgsl="wt_polygamma({x}, {n})", scalars={"n": 1},
    public=False, method=False, inplace=False, domain=(0.3, 5.0), vjp=(lambda g, x, n: g * _polygamma(x, n=n + 1),),
    doc="Derivative `n` >= 1 of digamma.")

i0 = Elementwise("i0", numpy=special_numpy.i0, dtype=floating, wgsl="wt_i0({x})",
    vjp=(lambda g, x: g * _i1(x),), doc="""The modified Bessel function of the first kind, of order 0.

>>> webtorch.i0(webtorch.tensor([0.0, 1.0]))
tensor([1.0000, 1.2661])
""")

_i1 = Elementwise("_i1", numpy=special_numpy.i1, dtype=floating, wgsl="wt_i1({x})", public=False, method=False, inplace=False,
    vjp=(i1_gradient,), doc="The modified Bessel function of the first kind, of order 1: the derivative of i0.")

isnan = Elementwise("isnan", complex="wt_isnan({x})", numpy=lambda x: x != x, dtype=comparison, inplace=False, inputs=1,
    wgsl={"float": "wt_isnan({x})", "int": "false", "bool": "false"}, doc="""True where the element is NaN.

>>> webtorch.isnan(webtorch.tensor([1.0, float("nan")]))
tensor([False,  True])
""")

isinf = Elementwise("isinf", complex="wt_isinf({x})", numpy=np.isinf, dtype=comparison, inplace=False, inputs=1,
    wgsl={"float": "wt_isinf({x})", "int": "false", "bool": "false"},
    doc="""True where the element is infinite, of either sign.

>>> webtorch.isinf(webtorch.tensor([1.0, float("-inf")]))
tensor([False,  True])
""")

isfinite = Elementwise("isfinite", complex="wt_isfinite({x})", numpy=np.isfinite, dtype=comparison, inplace=False, inputs=1,
    wgsl={"float": "wt_isfinite({x})", "int": "true", "bool": "true"},
    doc="""True where the element is neither infinite nor NaN.

>>> webtorch.isfinite(webtorch.tensor([1.0, float("inf"), float("nan")]))
tensor([ True, False, False])
""")

isposinf = Elementwise("isposinf", numpy=lambda x: x == np.inf, dtype=comparison, inplace=False, inputs=1,
    wgsl={"float": "wt_isposinf({x})", "int": "false", "bool": "false"},
    doc="""True where the element is positive infinity.

>>> webtorch.isposinf(webtorch.tensor([float("-inf"), float("inf")]))
tensor([False,  True])
""")

isneginf = Elementwise("isneginf", numpy=lambda x: x == -np.inf, dtype=comparison, inplace=False, inputs=1,
    wgsl={"float": "wt_isneginf({x})", "int": "false", "bool": "false"},
    doc="""True where the element is negative infinity.

>>> webtorch.isneginf(webtorch.tensor([float("-inf"), float("inf")]))
tensor([ True, False])
""")

isreal = Elementwise("isreal",
    complex="wt_eq_f32({x}.y, 0.0f)", numpy=lambda x: x.imag == 0, dtype=comparison, inplace=False, inputs=1, wgsl="true",
    doc="""True where the imaginary part is zero: everywhere in a real tensor.

>>> webtorch.isreal(webtorch.tensor([1.0, 2.0]))
tensor([True, True])
""")

logical_not = Elementwise("logical_not", numpy=np.logical_not, dtype=logical, wgsl="!{x}",
    doc="""True where the element is zero. A bool tensor.

>>> webtorch.logical_not(webtorch.tensor([0, 2]))
tensor([ True, False])
""")

bitwise_not = Elementwise("bitwise_not", numpy=np.invert, dtype=integral, wgsl={"int": "(~{x})", "bool": "!{x}"},
    doc="""Each bit inverted; for bool, the logical not. Only for integers and bool.

>>> webtorch.bitwise_not(webtorch.tensor([0, 5]))
tensor([-1, -6])
""")

_frexp_mantissa = Variant("_frexp_mantissa", of="frexp", numpy=lambda x: np.frexp(x)[0], dtype=floating_only,
    wgsl={"float": "wt_frexp_mantissa({x})"},
    vjp=(lambda g, out, x: binary.where(x == 0, g, g * (out / binary.where(x == 0, 1, x))),),
    doc="The mantissa of `frexp`.")

_frexp_exponent = Variant("_frexp_exponent", of="frexp", numpy=lambda x: np.where(np.isfinite(x), np.frexp(x)[1], 0),
    dtype=lambda common, call: (floating_only(common, call)[0], dtypes.int32), wgsl={"float": "wt_frexp_exponent({x})"},
    doc="The exponent of `frexp`.")

# fmt: on


# ---- functions that are no rows -------------------------------------------------------------------------------------


class frexp_result(tuple):
    """What `frexp` returns: a pair with the names `mantissa` and `exponent`."""

    __slots__ = ()
    mantissa = property(lambda self: self[0])
    exponent = property(lambda self: self[1])

    def __repr__(self) -> str:
        return f"webtorch.return_types.frexp(\nmantissa={self[0]!r},\nexponent={self[1]!r})"


def frexp(input: Tensor) -> frexp_result:
    """The mantissas, in (-1, -0.5] or [0.5, 1), and exponents (int32) with x = mantissa * 2**exponent.

    Zeros, infinities and NaN are their own mantissa, with exponent 0. Raises DTypeError for other than floating dtypes.

    >>> webtorch.frexp(webtorch.tensor([6.0, -0.25])).mantissa
    tensor([ 0.7500, -0.5000])
    """
    return frexp_result((_frexp_mantissa(input), _frexp_exponent(input)))


def positive(input: Tensor) -> Tensor:
    """The tensor itself. Raises DTypeError for bool.

    >>> webtorch.positive(webtorch.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.dtype is dtypes.bool_:
        raise DTypeError("positive(): the + operator is not defined for bool tensors; convert with .int() first")
    return input


for _function in (frexp, positive):
    setattr(Tensor, _function.__name__, _function)

FUNCTIONS = {"frexp": frexp, "positive": positive}

# PyTorch's other names.
ALIASES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctanh": "atanh", "fix": "trunc", "negative": "neg",
}  # fmt: skip

# Last, because the rules of each module use rows of the other.
from . import binary  # noqa: E402
from .parts import conj  # noqa: E402
