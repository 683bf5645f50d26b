"""Activation functions of neural networks: elementwise functions of one tensor, and `prelu` with its learnt slopes."""

from __future__ import annotations

import math

import numpy as np

from .. import dtypes, special_numpy
from ..dtypes import dtype as DType
from ..errors import DTypeError, ShapeError
from ..precision import autocasts
from ..tensor import Tensor
from . import describe
from .binary import numpy_clamp, where
from .elementwise import Elementwise, floating, floating_only, inexact_only
from .parts import conj
from .unary import abs, erf, exp, no_bool, numpy_sigmoid, sgn, sigmoid, tanh
from .variant import Checked, Optioned, Variant

# The constants of `selu`, for which zero mean and unit variance are a fixed point, and of `gelu`'s approximation.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
GELU_CUBIC = 0.044715
ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)
NORMAL_DENSITY = 1 / math.sqrt(2 * math.pi)

# ---- dtype rules and checks -----------------------------------------------------------------------------------------


def floating_no_bool(common: DType, call: str) -> tuple[DType, DType]:
    """Integers become the default floating dtype; bool raises."""
    return floating(no_bool(common, call)[0], call)


def check_range(call: str, inputs: list, given: dict) -> None:
    low, high = given.get("min_val", -1.0), given.get("max_val", 1.0)
    if low > high:
        raise ValueError(
            f"{call}({describe(*inputs)}, min_val={low}, max_val={high}): min_val cannot be greater than max_val"
        )
    if low <= -1 and isinstance(inputs[0], Tensor) and inputs[0].dtype is dtypes.uint8:
        raise DTypeError(
            f"{call}({describe(*inputs)}, min_val={low}): an unsigned dtype has no negative limit; convert with .int() first"
        )


def check_lambd(call: str, inputs: list, given: dict) -> None:
    lambd = given.get("lambd", 0.5)
    if lambd < 0:
        raise ValueError(f"{call}({describe(*inputs)}, lambd={lambd}): lambd must be greater or equal to 0")


# ---- numpy ----------------------------------------------------------------------------------------------------------


def numpy_threshold(x: np.ndarray, threshold: float, value: float) -> np.ndarray:
    kind = x.dtype
    low, filling = (np.asarray(number).astype(kind) for number in (threshold, value))  # -1 as uint8 is 255
    return np.where(x <= low, filling, x)  # NaN is not below the threshold


def numpy_clip(x: np.ndarray, min_val: float, max_val: float) -> np.ndarray:
    return numpy_clamp(x, x.dtype.type(min_val), x.dtype.type(max_val))


def numpy_elu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x)))


def numpy_celu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x) / alpha))


def numpy_gelu(x: np.ndarray) -> np.ndarray:
    return x * x.dtype.type(0.5) * (1 + special_numpy.erf(x * x.dtype.type(ROOT_HALF)))


def numpy_gelu_tanh(x: np.ndarray) -> np.ndarray:
    return x * x.dtype.type(0.5) * (1 + np.tanh(ROOT_TWO_OVER_PI * (x + GELU_CUBIC * x * x * x)))


def numpy_softplus(x: np.ndarray, beta: float, threshold: float) -> np.ndarray:
    return np.where(x * beta > threshold, x, np.log1p(np.exp(np.minimum(x * beta, threshold))) / beta)


def numpy_logsigmoid(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def numpy_mish(x: np.ndarray) -> np.ndarray:
    return x * np.tanh(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def numpy_softshrink(x: np.ndarray, lambd: float) -> np.ndarray:
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, np.where(x == x, 0, x)))  # NaN stays


# ---- derivatives ----------------------------------------------------------------------------------------------------


def negative_part(x: Tensor) -> Tensor:
    """x where it is negative, else 0: keeps an overflow of exp(x) out of second derivatives, which are 0 at 0."""
    return where(x < 0, x, 0)


def gelu_gradient(g: Tensor, x: Tensor) -> Tensor:
    return g * (0.5 * (1 + erf(x * ROOT_HALF)) + x * NORMAL_DENSITY * exp(-0.5 * x * x))


def gelu_tanh_gradient(g: Tensor, x: Tensor) -> Tensor:
    bend = tanh(ROOT_TWO_OVER_PI * (x + GELU_CUBIC * x * x * x))
    slope = ROOT_TWO_OVER_PI * (1 + 3 * GELU_CUBIC * x * x)
    return g * (0.5 * (1 + bend) + 0.5 * x * (1 - bend * bend) * slope)


def silu_gradient(g: Tensor, x: Tensor) -> Tensor:
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def softsign_gradient(g: Tensor, x: Tensor) -> Tensor:
    if not x.dtype.is_complex:
        return g / ((1 + abs(x)) * (1 + abs(x)))
    below = 1 + abs(x)  # the size of x has a derivative of its own, along x
    return g / below - sgn(x) * ((conj(x) * g).real / (below * below))


def mish_gradient(g: Tensor, x: Tensor) -> Tensor:
    bend = tanh(softplus(x))
    return g * (bend + x * sigmoid(x) * (1 - bend * bend))


def outside(x: Tensor, low: float, high: float) -> Tensor:
    """Where the derivative of a clamping activation is 0: on the bounds, too, but not for NaN."""
    return (x <= low) | (x >= high)


def choose_gelu(approximate: str) -> tuple[Elementwise, dict]:
    rows = {"none": gelu, "tanh": _gelu_tanh}
    if approximate not in rows:
        raise ValueError(
            f"gelu(..., approximate={approximate!r}): approximate argument must be either 'none' or 'tanh'"
        )
    return rows[approximate], {}


# ---- rows -----------------------------------------------------------------------------------------------------------
# fmt: off

relu = Elementwise("relu", numpy=lambda x: np.maximum(x.dtype.type(0), x), dtype=no_bool,
    wgsl={"float": "wt_relu({x})", "int": "wt_relu({x})"},
    vjp=(lambda g, out: where(out <= 0, 0, g),),
    doc="""x where it is positive, else 0; NaN stays. Its derivative at 0 is 0.

>>> webtorch.relu(webtorch.tensor([-1.0, 2.0]))
tensor([0., 2.])
""")

relu6 = Elementwise("relu6", numpy=lambda x: numpy_clip(x, 0, 6), dtype=no_bool, grad_name="Hardtanh",
    wgsl={"float": "wt_clamp({x}, {t}(0), {t}(6))", "int": "wt_clamp({x}, {t}(0), {t}(6))"},
    vjp=(lambda g, x: where(outside(x, 0, 6), 0, g),), doc="""x limited to the range from 0 to 6.

>>> webtorch.relu6(webtorch.tensor([-1.0, 2.0, 9.0]))
tensor([0., 2., 6.])
""")

hardtanh = Checked("hardtanh", numpy=numpy_clip, dtype=no_bool, scalars={"min_val": -1.0, "max_val": 1.0}, check=check_range,
    wgsl={"float": "wt_clamp({x}, {min_val}, {max_val})", "int": "wt_clamp({x}, {min_val}, {max_val})"},
    vjp=(lambda g, x, min_val, max_val: where(outside(x, min_val, max_val), 0, g),),
    doc="""x limited to the range from `min_val` to `max_val`; its derivative on the bounds is 0.

>>> webtorch.hardtanh(webtorch.tensor([-3.0, 0.5, 3.0]))
tensor([-1.0000,  0.5000,  1.0000])
""")

leaky_relu = Elementwise("leaky_relu", numpy=lambda x, negative_slope: np.where(x > 0, x, x * negative_slope), dtype=floating_only,
    scalars={"negative_slope": 0.01}, wgsl={"float": "select({x} * {negative_slope}, {x}, wt_gt({x}, {t}(0)))"},
    vjp=(lambda g, x, negative_slope: where(x > 0, g, g * negative_slope),),
    doc="""x where it is positive, else x * `negative_slope`.

>>> webtorch.leaky_relu(webtorch.tensor([-1.0, 2.0]))
tensor([-0.0100,  2.0000])
""")

elu = Elementwise("elu", numpy=numpy_elu, dtype=floating_only, scalars={"alpha": 1.0},
    wgsl={"float": "select({alpha} * wt_expm1({x}), {x}, wt_gt({x}, {t}(0)))"},
    vjp=(lambda g, x, alpha: where(x <= 0, g * alpha * exp(negative_part(x)), g),),
    doc="""x where it is positive, else alpha * (exp(x) - 1).

>>> webtorch.elu(webtorch.tensor([-1.0, 2.0]))
tensor([-0.6321,  2.0000])
""")

selu = Elementwise("selu", numpy=lambda x: SELU_SCALE * numpy_elu(x, SELU_ALPHA), dtype=floating_only, grad_name="Elu",
    wgsl={"float": "{t}(1.0507009873554805) * select({t}(1.6732632423543772) * wt_expm1({x}), {x}, wt_gt({x}, {t}(0)))"},
    vjp=(lambda g, x: where(x <= 0, g * (SELU_SCALE * SELU_ALPHA) * exp(negative_part(x)), g * SELU_SCALE),),
    doc="""`elu` scaled so that zero mean and unit variance are kept through layers.

>>> webtorch.selu(webtorch.tensor([-1.0, 2.0]))
tensor([-1.1113,  2.1014])
""")

celu = Elementwise("celu", numpy=numpy_celu, dtype=floating_only, scalars={"alpha": 1.0},
    wgsl={"float": "select({alpha} * wt_expm1(wt_divide({x}, {alpha})), {x}, wt_gt({x}, {t}(0)))"},
    vjp=(lambda g, x, alpha: where(x <= 0, g * exp(negative_part(x) / alpha), g),),
    doc="""x where it is positive, else alpha * (exp(x / alpha) - 1).

>>> webtorch.celu(webtorch.tensor([-1.0, 2.0]), alpha=2.0)
tensor([-0.7869,  2.0000])
""")

gelu = Optioned("gelu", numpy=numpy_gelu, dtype=floating_only, options={"approximate": "none"}, choose=choose_gelu,
    wgsl={"float": "{x} * {t}(0.5) * ({t}(1) + wt_erf({x} * {t}(0.7071067811865476)))"},
    vjp=(gelu_gradient,), doc="""x times the normal distribution's probability of a number below x.

`approximate="tanh"` takes a cheaper formula with tanh for that probability.

>>> webtorch.gelu(webtorch.tensor([-1.0, 2.0]))
tensor([-0.1587,  1.9545])
""")

_gelu_tanh = Variant("_gelu_tanh", of="gelu", numpy=numpy_gelu_tanh, dtype=floating_only,
    wgsl={"float": "{x} * {t}(0.5) * ({t}(1) + wt_tanh({t}(0.7978845608028654) * ({x} + {t}(0.044715) * {x} * {x} * {x})))"},
    vjp=(gelu_tanh_gradient,), doc="`gelu` with tanh in place of erf.")

silu = Elementwise("silu", complex="wt_mul({x}, wt_sigmoid({x}))", numpy=lambda x: x * numpy_sigmoid(x), dtype=inexact_only,
    wgsl={"float": "wt_silu({x})"},
    vjp=(silu_gradient,), doc="""x * sigmoid(x), also known as swish.

>>> webtorch.silu(webtorch.tensor([-1.0, 2.0]))
tensor([-0.2689,  1.7616])
""")

mish = Elementwise("mish", numpy=numpy_mish, dtype=floating_only, wgsl={"float": "wt_mish({x})"},
    vjp=(mish_gradient,), doc="""x * tanh(softplus(x)).

>>> webtorch.mish(webtorch.tensor([-1.0, 2.0]))
tensor([-0.3034,  1.9440])
""")

hardsigmoid = Elementwise("hardsigmoid", numpy=lambda x: numpy_clip(x + 3, 0, 6) / 6, dtype=floating_only,
    wgsl={"float": "wt_divide(wt_clamp({x} + {t}(3), {t}(0), {t}(6)), {t}(6))"},
    vjp=(lambda g, x: where(outside(x, -3, 3), 0, g / 6),), doc="""x / 6 + 1/2, limited to the range from 0 to 1.

>>> webtorch.hardsigmoid(webtorch.tensor([-4.0, 0.0, 1.5]))
tensor([0.0000, 0.5000, 0.7500])
""")

hardswish = Elementwise("hardswish", numpy=lambda x: x * numpy_clip(x + 3, 0, 6) / 6, dtype=floating_only,
    wgsl={"float": "wt_divide({x} * wt_clamp({x} + {t}(3), {t}(0), {t}(6)), {t}(6))"},
    vjp=(lambda g, x: where(x <= -3, 0, where(x < 3, g * (x / 3 + 0.5), g)),), doc="""x * hardsigmoid(x).

>>> webtorch.hardswish(webtorch.tensor([-4.0, 1.0, 4.0]))
tensor([-0.0000, 0.6667, 4.0000])
""")

hardshrink = Elementwise("hardshrink", numpy=lambda x, lambd: np.where((x >= -lambd) & (x <= lambd), 0, x), dtype=floating_only,
    scalars={"lambd": 0.5}, wgsl={"float": "select({x}, {t}(0), wt_le(wt_abs({x}), {lambd}))"},
    vjp=(lambda g, x, lambd: where((x >= -lambd) & (x <= lambd), 0, g),),
    doc="""x where it lies outside [-lambd, lambd], else 0.

>>> webtorch.hardshrink(webtorch.tensor([-1.0, 0.3]))
tensor([-1.,  0.])
""")

softshrink = Checked("softshrink", numpy=numpy_softshrink, dtype=floating_only, scalars={"lambd": 0.5}, check=check_lambd,
    wgsl={
        "float": "select(select(select({t}(0), {x}, wt_isnan({x})), {x} + {lambd}, wt_lt({x}, -{lambd})),"
        " {x} - {lambd}, wt_gt({x}, {lambd}))",
    },
    vjp=(lambda g, x, lambd: where((x >= -lambd) & (x <= lambd), 0, g),),
    doc="""x moved towards 0 by `lambd`, and 0 where it lies within [-lambd, lambd].

>>> webtorch.softshrink(webtorch.tensor([-1.0, 0.3]))
tensor([-0.5000,  0.0000])
""")

softplus = Elementwise("softplus", numpy=numpy_softplus, dtype=floating_only, scalars={"beta": 1.0, "threshold": 20.0},
    wgsl={"float": "select(wt_divide(wt_softplus({x} * {beta}), {beta}), {x}, wt_gt({x} * {beta}, {threshold}))"},
    vjp=(lambda g, x, beta, threshold: where(x * beta > threshold, g, g * sigmoid(x * beta)),),
    doc="""log(1 + exp(beta * x)) / beta, a smooth relu; x itself where beta * x is above `threshold`.

>>> webtorch.softplus(webtorch.tensor([-1.0, 2.0, 30.0]))
tensor([ 0.3133,  2.1269, 30.0000])
""")

softsign = Elementwise("softsign", numpy=lambda x: x / (1 + np.abs(x)), dtype=floating_no_bool,
    wgsl="wt_divide({x}, {t}(1) + wt_abs({x}))", complex="{x} * wt_reciprocal_f32(1.0f + wt_abs({x}))", holomorphic=False,
    vjp=(softsign_gradient,), doc="""x / (1 + |x|).

>>> webtorch.softsign(webtorch.tensor([-1.0, 3.0]))
tensor([-0.5000,  0.7500])
""")

tanhshrink = Elementwise("tanhshrink", complex="{x} - wt_tanh({x})", numpy=lambda x: x - np.tanh(x), dtype=floating_no_bool,
    wgsl="{x} - wt_tanh({x})", vjp=(lambda g, x: g * (tanh(x) * tanh(x)),), doc="""x - tanh(x).

>>> webtorch.tanhshrink(webtorch.tensor([-1.0, 2.0]))
tensor([-0.2384,  1.0360])
""")

threshold = Elementwise("threshold", numpy=numpy_threshold, dtype=no_bool, scalars={"threshold": 0.0, "value": 0.0},
    wgsl={"float": "select({x}, {value}, wt_le({x}, {threshold}))", "int": "select({x}, {value}, wt_le({x}, {threshold}))"},
    vjp=(lambda g, x, threshold: where(x <= threshold, 0, g),),
    doc="""x where it is above `threshold`, else `value`; NaN stays.

>>> webtorch.threshold(webtorch.tensor([-1.0, 2.0]), 0.5, -7.0)
tensor([-7.,  2.])
""")

logsigmoid = Elementwise("logsigmoid", numpy=numpy_logsigmoid, dtype=floating_only,
    wgsl={"float": "wt_logsigmoid({x})"}, grad_name="LogSigmoid",
    vjp=(lambda g, x: g * sigmoid(-x),), doc="""log(sigmoid(x)), without overflow.

>>> webtorch.logsigmoid(webtorch.tensor([-1.0, 2.0]))
tensor([-1.3133, -0.1269])
""")

_prelu = Variant("_prelu", of="prelu", numpy=lambda x, y: np.where(x > 0, x, y * x), dtype=floating_only, grad_name="PreluKernel",
    wgsl={"float": "select({y} * {x}, {x}, wt_gt({x}, {t}(0)))"},
    vjp=(lambda g, x, y: where(x > 0, g, g * y), lambda g, x: where(x > 0, 0, g * x)),
    doc="`prelu` with the slopes in the shape of x.")

# fmt: on


# ---- functions that are no rows -------------------------------------------------------------------------------------


@autocasts
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight * x; `weight` holds one slope, or one per channel (dimension 1 of x).

    Raises ShapeError when there are neither one slope nor as many as channels.

    >>> webtorch.prelu(webtorch.tensor([-1.0, 2.0]), webtorch.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    if not isinstance(weight, Tensor):
        raise TypeError(f"prelu({describe(input)}, {weight!r}): weight must be a Tensor")
    slopes = weight.numel()
    if weight.ndim > 1 or (weight.ndim == 1 and slopes != 1 and (input.ndim < 1 or slopes != channels(input))):
        raise ShapeError(
            f"prelu({describe(input, weight)}): mismatch of parameter numbers and input channel size: found {slopes} slopes for "
            f"{channels(input)} channels; give one slope, or one for each channel (dimension 1)"
        )
    if weight.ndim == 1:
        shape = [1] * max(1, input.ndim)
        if slopes != 1:
            shape[1 if input.ndim > 1 else 0] = slopes
        weight = weight.reshape(shape) if input.ndim else weight.reshape([])
    return _prelu(input, weight)


def channels(input: Tensor) -> int:
    """The size of dimension 1, which counts as 1 where there is none."""
    return input._shape[1] if input.ndim > 1 else 1


Tensor.prelu = prelu

FUNCTIONS = {"prelu": prelu}
ALIASES: dict[str, str] = {}
