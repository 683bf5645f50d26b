"""Bessel and Airy functions: Chebyshev series near zero, amplitudes and phases or scaled exponentials far from it."""

from __future__ import annotations

import math

from ..tensor import Tensor
from . import tables
from .common import in_range, none_known, rule, series, special, where, with_rule

TWO_OVER_PI = 2 / math.pi
NAN, INF = float("nan"), float("inf")


def waves(x: Tensor, p: tuple, q: tuple) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For x >= 8: amplitude and slow factors, and cos(x) + sin(x), sin(x) - cos(x)."""
    t = 128 / (x * x) - 1
    scale = (x * math.pi).rsqrt()
    sine, cosine = x.sin(), x.cos()
    return scale * series(p, t), scale * series(q, t) / x, cosine + sine, sine - cosine


def first_kind(x: Tensor, order: int) -> Tensor:
    size = x.abs()
    near = in_range(size, 0.0, 8.0)
    t = near * near / 32 - 1
    inner = series(tables.J0, t) if order == 0 else near * series(tables.J1, t)
    far = in_range(size, 8.0, 3e38)
    tall, short, plus, minus = waves(far, *((tables.P0, tables.Q0) if order == 0 else (tables.P1, tables.Q1)))
    outer = tall * plus - short * minus if order == 0 else tall * minus + short * plus
    result = where(size <= 8, inner, where(size == INF, 0.0, outer))
    result = where(x.isnan(), x, result)
    return result if order == 0 else where(x < 0, -result, result)


def second_kind(x: Tensor, order: int) -> Tensor:
    near = in_range(x, 1e-38, 8.0)
    t = near * near / 32 - 1
    if order == 0:
        inner = series(tables.Y0, t) + TWO_OVER_PI * near.log() * series(tables.J0, t)
    else:
        inner = near * series(tables.Y1, t) + TWO_OVER_PI * (near.log() * near * series(tables.J1, t) - 1 / near)
    far = in_range(x, 8.0, 3e38)
    tall, short, plus, minus = waves(far, *((tables.P0, tables.Q0) if order == 0 else (tables.P1, tables.Q1)))
    outer = tall * minus + short * plus if order == 0 else short * minus - tall * plus
    result = where(x <= 8, inner, where(x == INF, 0.0, outer))
    return where(x > 0, result, where(x == 0, -INF, NAN))


j0_rule = rule("bessel_j0", lambda g, x: -g * bessel_j1(x))
j1_rule = rule("bessel_j1", lambda g, out, x: g * (bessel_j0(x) - where(x == 0, 0.5, out / where(x == 0, 1.0, x))))
y0_rule = rule("bessel_y0", lambda g, x: -g * bessel_y1(x))
y1_rule = rule("bessel_y1", lambda g, out, x: g * (bessel_y0(x) - out / x))


@special()
def bessel_j0(input: Tensor) -> Tensor:
    """The Bessel function of the first kind of order 0.

    >>> import webtorch
    >>> webtorch.special.bessel_j0(webtorch.tensor([0.0, 2.0]))
    tensor([1.0000, 0.2239])
    """
    return with_rule(j0_rule, lambda x: first_kind(x, 0), input)


@special()
def bessel_j1(input: Tensor) -> Tensor:
    """The Bessel function of the first kind of order 1.

    >>> import webtorch
    >>> webtorch.special.bessel_j1(webtorch.tensor([0.0, 2.0]))
    tensor([0.0000, 0.5767])
    """
    return with_rule(j1_rule, lambda x: first_kind(x, 1), input)


@special()
def bessel_y0(input: Tensor) -> Tensor:
    """The Bessel function of the second kind of order 0: NaN below 0.

    >>> import webtorch
    >>> webtorch.special.bessel_y0(webtorch.tensor([1.0, 2.0]))
    tensor([0.0883, 0.5104])
    """
    return with_rule(y0_rule, lambda x: second_kind(x, 0), input)


@special()
def bessel_y1(input: Tensor) -> Tensor:
    """The Bessel function of the second kind of order 1: NaN below 0.

    >>> import webtorch
    >>> webtorch.special.bessel_y1(webtorch.tensor([1.0, 2.0]))
    tensor([-0.7812, -0.1070])
    """
    return with_rule(y1_rule, lambda x: second_kind(x, 1), input)


@special()
def spherical_bessel_j0(input: Tensor) -> Tensor:
    """sin(x) / x, and 1 at 0.

    >>> import webtorch
    >>> webtorch.special.spherical_bessel_j0(webtorch.tensor([0.0, 1.0]))
    tensor([1.0000, 0.8415])
    """
    small = input.abs() < 0.5
    square = where(small, input, 0.5).square()
    near = 1 - square / 6 * (
        1 - square / 20 * (1 - square / 42 * (1 - square / 72 * (1 - square / 110 * (1 - square / 156))))
    )
    away = where(small, 1.0, input)
    return where(small, near, where(input.abs() == INF, 0.0, away.sin() / away))


# ---- modified -------------------------------------------------------------------------------------------------------


def scaled_first(x: Tensor, order: int) -> Tensor:
    """exp(-|x|) times the modified Bessel function of the first kind."""
    size = x.abs()
    near = in_range(size, 0.0, 8.0)
    inner = series(tables.I0_NEAR, near / 4 - 1) if order == 0 else near * series(tables.I1_NEAR, near / 4 - 1)
    far = in_range(size, 8.0, 3e38)
    outer = series(tables.I0_FAR if order == 0 else tables.I1_FAR, 16 / far - 1) * far.rsqrt()
    result = where(size <= 8, inner, where(size == INF, 0.0, outer))
    result = where(x.isnan(), x, result)
    return result if order == 0 else where(x < 0, -result, result)


def scaled_second(x: Tensor, order: int) -> Tensor:
    """exp(x) times the modified Bessel function of the second kind."""
    near = in_range(x, 1e-38, 2.0)
    t = near * near / 2 - 1
    grown = scaled_first(near, order) * near.exp()
    if order == 0:
        inner = series(tables.K0_NEAR, t) - (near / 2).log() * grown
    else:
        inner = near * series(tables.K1_NEAR, t) + (near / 2).log() * grown + 1 / near
    far = in_range(x, 2.0, 3e38)
    outer = series(tables.K0_FAR if order == 0 else tables.K1_FAR, 4 / far - 1) * far.rsqrt()
    result = where(x <= 2, inner * near.exp(), where(x == INF, 0.0, outer))
    return where(x > 0, result, where(x == 0, INF, NAN))


def sign_of(x: Tensor) -> Tensor:
    return x.sign()


def quotient(value: Tensor, x: Tensor) -> Tensor:
    """value / x, and 1/2 at 0."""
    return where(x == 0, 0.5, value / where(x == 0, 1.0, x))


i0e_rule = rule("i0e", lambda g, out, x: g * (i1e(x) - sign_of(x) * out))
i1e_rule = rule("i1e", lambda g, out, x: g * (i0e(x) - sign_of(x) * out - quotient(out, x)))
i1_rule = rule("i1", lambda g, out, x: g * (modified_bessel_i0(x) - quotient(out, x)))
k0_rule = rule("modified_bessel_k0", lambda g, x: -g * modified_bessel_k1(x))
k1_rule = rule("modified_bessel_k1", lambda g, out, x: -g * (modified_bessel_k0(x) + out / x))
k0e_rule = rule("scaled_modified_bessel_k0", lambda g, out, x: g * (out - scaled_modified_bessel_k1(x)))
k1e_rule = rule("scaled_modified_bessel_k1", lambda g, out, x: g * (out - scaled_modified_bessel_k0(x) - out / x))


@special()
def i0e(input: Tensor) -> Tensor:
    """exp(-|x|) i0(x).

    >>> import webtorch
    >>> webtorch.special.i0e(webtorch.tensor([0.0, 100.0]))
    tensor([1.0000, 0.0399])
    """
    return with_rule(i0e_rule, lambda x: scaled_first(x, 0), input)


@special()
def i1(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 1.

    >>> import webtorch
    >>> webtorch.special.i1(webtorch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.5652])
    """
    return with_rule(i1_rule, lambda x: scaled_first(x, 1) * x.abs().exp(), input)


@special()
def i1e(input: Tensor) -> Tensor:
    """exp(-|x|) i1(x).

    >>> import webtorch
    >>> webtorch.special.i1e(webtorch.tensor([0.0, 100.0]))
    tensor([0.0000, 0.0397])
    """
    return with_rule(i1e_rule, lambda x: scaled_first(x, 1), input)


@special()
def modified_bessel_i0(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 0: `i0`.

    >>> import webtorch
    >>> webtorch.special.modified_bessel_i0(webtorch.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return input.i0()


@special()
def modified_bessel_i1(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 1: `i1`.

    >>> import webtorch
    >>> webtorch.special.modified_bessel_i1(webtorch.tensor([1.0]))
    tensor([0.5652])
    """
    return i1(input)


@special()
def modified_bessel_k0(input: Tensor) -> Tensor:
    """The modified Bessel function of the second kind of order 0: infinite at 0, NaN below.

    >>> import webtorch
    >>> webtorch.special.modified_bessel_k0(webtorch.tensor([1.0, 3.0]))
    tensor([0.4210, 0.0347])
    """
    return with_rule(k0_rule, lambda x: scaled_second(x, 0) * (-x).exp(), input)


@special()
def modified_bessel_k1(input: Tensor) -> Tensor:
    """The modified Bessel function of the second kind of order 1: infinite at 0, NaN below.

    >>> import webtorch
    >>> webtorch.special.modified_bessel_k1(webtorch.tensor([1.0, 3.0]))
    tensor([0.6019, 0.0402])
    """
    return with_rule(k1_rule, lambda x: scaled_second(x, 1) * (-x).exp(), input)


@special()
def scaled_modified_bessel_k0(input: Tensor) -> Tensor:
    """exp(x) times `modified_bessel_k0`.

    >>> import webtorch
    >>> webtorch.special.scaled_modified_bessel_k0(webtorch.tensor([1.0]))
    tensor([1.1445])
    """
    return with_rule(k0e_rule, lambda x: scaled_second(x, 0), input)


@special()
def scaled_modified_bessel_k1(input: Tensor) -> Tensor:
    """exp(x) times `modified_bessel_k1`.

    >>> import webtorch
    >>> webtorch.special.scaled_modified_bessel_k1(webtorch.tensor([1.0]))
    tensor([1.6362])
    """
    return with_rule(k1e_rule, lambda x: scaled_second(x, 1), input)


# ---- Airy -----------------------------------------------------------------------------------------------------------

airy_rule = rule("airy_ai", none_known("airy_ai"))


@special()
def airy_ai(input: Tensor) -> Tensor:
    """The Airy function Ai.

    >>> import webtorch
    >>> webtorch.special.airy_ai(webtorch.tensor([0.0, 1.0]))
    tensor([0.3550, 0.1353])
    """
    return with_rule(airy_rule, airy_values, input)


def airy_values(x: Tensor) -> Tensor:
    left = series(tables.AIRY_LEFT, in_range(x, -7.0, -3.0) / 2 + 2.5)
    middle = series(tables.AIRY_MIDDLE, in_range(x, -3.0, 1.0) / 2 + 0.5)
    right = in_range(x, 1.0, 4.0)
    decay = (-(right * right.sqrt()) * (2 / 3)).exp()
    near = series(tables.AIRY_RIGHT, (right - 2.5) / 1.5) * decay
    far = in_range(x, 4.0, 1e4)
    power = far * far.sqrt()
    away = series(tables.AIRY_FAR, 16 / power - 1) * (-power * (2 / 3)).exp() / far.sqrt().sqrt()
    size = in_range(-x, 7.0, 1e12)
    power = size * size.sqrt()
    phase, t = power * (2 / 3), 2 * 343 / (power * power) - 1
    sine, cosine = phase.sin(), phase.cos()
    slow, fast = series(tables.AIRY_P, t), series(tables.AIRY_Q, t) / phase
    wave = (slow * (cosine + sine) + fast * (sine - cosine)) / (math.sqrt(2 * math.pi) * size.sqrt().sqrt())
    result = where(x < -7, wave, where(x < -3, left, where(x < 1, middle, where(x < 4, near, away))))
    return where(x.isnan() | (x.abs() == INF), where(x == INF, 0.0, NAN), result)
