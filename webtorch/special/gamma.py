"""Functions around the gamma function: incomplete ones, of several dimensions, and Hurwitz's zeta function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..creation import ramp_tensor
from ..ops import TABLE
from ..tensor import Tensor
from . import tables
from .common import in_range, none_known, rule, series, special, summed, where, with_rule

INF, NAN = float("inf"), float("nan")
LARGE = 64.0  # from here on the incomplete gamma functions are integrals around the peak
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def log1p_minus(u: Tensor) -> Tensor:
    """log(1 + u) - u."""
    near = in_range(u, -0.4, 0.4)
    return where(u.abs() <= 0.4, near * near * series(tables.LOG1PMX, near / 0.4), where(u <= -1, -INF, u.log1p() - u))


def stirling(a: Tensor) -> Tensor:
    """log(gamma(a + 1) / (sqrt(2 pi a) (a / e)^a)) for a >= 8."""
    square = 1 / (a * a)
    total: Any = STIRLING[-1]
    for value in STIRLING[-2::-1]:
        total = total * square + value
    return total / a


def factor(a: Tensor, x: Tensor) -> Tensor:
    """x^a exp(-x) / gamma(a + 1)."""
    small = in_range(a, 0.0, 8.0)
    plain = (small * where(x > 0, x, 1.0).log() - x - (small + 1).lgamma()).exp()
    large = in_range(a, 8.0, None)
    peaked = (large * log1p_minus((x - large) / large) - stirling(large)).exp() * (2 * math.pi * large).rsqrt()
    return where(a < 8, plain, peaked)


# Divisions are what makes a shader long: the two below divide once in STRIDE steps and carry a numerator and a denominator
# in between, which stay below 1e32 for arguments up to FARTHEST.
STRIDE = 5
FARTHEST = 1e6  # exp(-x) is 0 long before


def lower_series(a: Tensor, x: Tensor) -> Tensor:
    """The lower function for x < a + 1, a < LARGE: the power series in Horner's form, from its end."""
    above: Any = 1.0
    below: Any = 1.0
    for n in range(47 if a.dtype.itemsize == 4 else 95, 0, -1):
        below = (a + n) * below
        above = x * above + below
        if n % STRIDE == 0:
            above, below = above / below, 1.0
    return above / below * factor(a, x)


def upper_fraction(a: Tensor, x: Tensor) -> Tensor:
    """The upper function for x >= a + 1 and x > 1, a < LARGE: a continued fraction, from its end."""
    x = x.clamp(max=FARTHEST)
    count = 40 if a.dtype.itemsize == 4 else 120
    above: Any = x - a + (2 * count + 1)
    below: Any = 1.0
    for n in range(count, 0, -1):
        above, below = (x - a + (2 * n - 1)) * above - n * (n - a) * below, above
        if n % STRIDE == 0:
            above, below = above / below, 1.0
    return factor(a, x) * a * below / above


def peak_integral(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """For a >= LARGE: which tail is integrated (True: the upper one), and its share."""
    peak = a - 1
    width = peak.sqrt()
    upper = x > peak
    end = where(
        upper, (peak + 11.5 * width).maximum(x + 6 * width), (peak - 7.5 * width).minimum(x - 5 * width).clamp(min=0.0)
    )
    half = (end - x) / 2
    nodes, weights = np.polynomial.legendre.leggauss(24 if a.dtype.itemsize == 4 else 64)

    def ordinate(x: Tensor, half: Tensor, peak: Tensor, place: Any, weight: Any) -> Tensor:
        t = x + half * place
        return weight * (peak * log1p_minus((t - peak) / peak)).exp()

    total = summed(ordinate, (x, half, peak), (1 + nodes).tolist(), weights.tolist())
    share = (total * half).abs() * (-stirling(peak)).exp() * (2 * math.pi * peak).rsqrt()
    return upper, share


def uniform_tail(a: Tensor, x: Tensor, wants_upper: bool) -> Tensor:
    """Either function for so large an a that two terms of Temme's expansion are exact (DLMF 8.12.3, 8.12.4)."""
    away = (x - a) / a
    half = -a * log1p_minus(away)
    place = away.sign() * half.sqrt()
    eta = in_range(place * math.sqrt(2) * a.rsqrt(), -0.1, 0.1)
    rest = (-half).exp() * (2 * math.pi * a).rsqrt() * (-1 / 3 + eta / 12 - eta * eta * (2 / 135))
    return 0.5 * place.erfc() + rest if wants_upper else 0.5 * (-place).erfc() - rest


def incomplete(a: Tensor, x: Tensor, wants_upper: bool) -> Tensor:
    """Either incomplete gamma function, regularised."""
    safe_a, safe_x = in_range(a, 1e-30, LARGE), in_range(x, 0.0, 1e30)  # what is infinite or NaN is put right below
    by_series = x < a + 1
    low = lower_series(safe_a, where(by_series, safe_x, safe_a))
    high = upper_fraction(safe_a, where(by_series, safe_a + 1, safe_x))
    lower_small = where(by_series, low, 1 - high)
    upper_small = where(by_series, 1 - low, high)
    large = in_range(a, LARGE, 1e30)
    is_upper, share = peak_integral(large, safe_x)
    lower_large, upper_large = where(is_upper, 1 - share, share), where(is_upper, share, 1 - share)
    result = where(a < LARGE, upper_small, upper_large) if wants_upper else where(a < LARGE, lower_small, lower_large)
    vast = 3e4 if a.dtype.itemsize == 4 else 1e8
    result = where(a < vast, result, uniform_tail(in_range(a, vast, None), in_range(x, 0.0, None), wants_upper))
    zero, one = (1.0, 0.0) if wants_upper else (0.0, 1.0)
    result = where(x == 0, zero, where(x == INF, where(a == INF, NAN, one), where(a == INF, zero, result)))
    result = where(a == 0, where(x > 0, one, NAN), result)
    return where((a < 0) | (x < 0) | a.isnan() | x.isnan(), NAN, result)


def density(a: Tensor, x: Tensor) -> Tensor:
    return ((a - 1) * x.log() - x - a.lgamma()).exp()


igamma_rule = rule(
    "gammainc", none_known("gammainc with respect to its first argument"), lambda g, x, y: g * density(x, y)
)
igammac_rule = rule(
    "gammaincc", none_known("gammaincc with respect to its first argument"), lambda g, x, y: -g * density(x, y)
)


@special(2)
def gammainc(input: Tensor, other: Tensor) -> Tensor:
    """The regularised lower incomplete gamma function of order `input` at `other`. Differentiable for `other`.

    >>> import webtorch
    >>> webtorch.special.gammainc(webtorch.tensor([1.0, 4.0]), webtorch.tensor([1.0, 4.0]))
    tensor([0.6321, 0.5665])
    """
    return with_rule(igamma_rule, lambda a, x: incomplete(a, x, False), *expanded(input, other))


@special(2)
def gammaincc(input: Tensor, other: Tensor) -> Tensor:
    """The regularised upper incomplete gamma function, 1 - `gammainc` without cancellation.

    >>> import webtorch
    >>> webtorch.special.gammaincc(webtorch.tensor([1.0]), webtorch.tensor([20.0]))
    tensor([2.0612e-09])
    """
    return with_rule(igammac_rule, lambda a, x: incomplete(a, x, True), *expanded(input, other))


def expanded(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    from ..functional import broadcast_tensors

    first, second = broadcast_tensors(a, b)
    return first, second


def multigammaln(a: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of `p` dimensions; every element must be above (p - 1) / 2 (not looked at on a
    GPU).

    >>> import webtorch
    >>> webtorch.special.multigammaln(webtorch.tensor([2.0]), 2)
    tensor([0.4516])
    """
    from ..errors import ShapeError

    if isinstance(p, bool) or not isinstance(p, int):
        raise TypeError(f"mvlgamma: p must be an int, not {type(p).__name__} ({p!r})")
    if p < 1:
        raise ShapeError(f"mvlgamma: p has to be greater than or equal to 1, but got {p}")
    a = a if a.dtype.is_floating_point else a.to(special_default())
    if a.device.type == "cpu" and a.numel() and not bool((a > 0.5 * (p - 1)).all()):
        raise ShapeError("mvlgamma: All elements must be greater than (p-1)/2")
    halves = ramp_tensor(p, 0, -0.5, a.dtype, a.device)
    return (a.unsqueeze(-1) + halves).lgamma().sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def special_default():
    from .. import dtypes

    return dtypes.get_default_dtype()


# ---- zeta -----------------------------------------------------------------------------------------------------------

# (2k)! / B2k for the Euler-Maclaurin formula.
MACLAURIN = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15,
)  # fmt: skip
zeta_rule = rule("zeta", none_known("zeta with respect to its first argument"), lambda g, x, y: -g * x * zeta(x + 1, y))


@special(2)
def zeta(input: Tensor, other: Tensor) -> Tensor:
    """Hurwitz's zeta function: the sum of (other + k)^-input over k >= 0. Differentiable for `other`.

    Infinite for input = 1 and at the poles 0, -1, ... of other; NaN for input < 1, and for other <= -16.

    >>> import webtorch
    >>> webtorch.special.zeta(webtorch.tensor([2.0]), webtorch.tensor([1.0]))
    tensor([1.6449])
    """
    return with_rule(zeta_rule, zeta_values, *expanded(input, other))


def zeta_values(s: Tensor, q: Tensor) -> Tensor:
    fine = (s > 1) & ((q > 0) | ((q > -16) & (q != q.floor()) & (s == s.floor())))
    x, base = where(fine, s, 2.0), where(fine, q, 1.0)
    # Nine single terms, and more until the asymptotic series has a base of 9 at least.
    single = (9 + (-base).ceil()).clamp(9.0, 25.0)

    def one(x: Tensor, base: Tensor, single: Tensor, k: Any) -> Tensor:
        return where(single > k, (base + k) ** (-x), 0.0)

    total = summed(one, (x, base, single), [float(k) for k in range(25)])
    base = base + single
    last = base ** (-x)
    total = total + last * base / (x - 1) + last / 2
    rising, power = x, last / base
    for k, value in enumerate(MACLAURIN):
        total = total + rising * power / value
        rising = rising * (x + (2 * k + 1)) * (x + (2 * k + 2))
        power = power / (base * base)
    pole = (q <= 0) & (q == q.floor())
    return where(fine, total, where(s == 1, INF, where((s > 1) & pole, INF, NAN)))


@special()
def of_order(x: Tensor, n: int) -> Tensor:
    if n == 0:
        return x.digamma()
    if n == 1:
        return TABLE["_polygamma"](x, n=1)
    s = TABLE["add"](x * 0.0, float(n + 1))
    return (1 if n % 2 else -1) * math.gamma(n + 1) * zeta(s.detach(), x)


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of order `n` >= 0 of `digamma`.

    >>> import webtorch
    >>> webtorch.polygamma(1, webtorch.tensor([1.0]))
    tensor([1.6449])
    """
    from ..errors import ShapeError

    if n < 0:
        raise ShapeError("polygamma(n, x) does not support negative n.")
    return of_order(input, n, out=out)


def igamma(input: Tensor, other: Tensor) -> Tensor:
    """`gammainc` by the name that it has among the functions of tensors.

    >>> import webtorch
    >>> webtorch.igamma(webtorch.tensor(1.0), webtorch.tensor(0.0))
    tensor(0.)
    """
    return gammainc(input, other)


def igammac(input: Tensor, other: Tensor) -> Tensor:
    """`gammaincc` by the name that it has among the functions of tensors.

    >>> import webtorch
    >>> webtorch.igammac(webtorch.tensor(1.0), webtorch.tensor(0.0))
    tensor(1.)
    """
    return gammaincc(input, other)
