"""Error functions, the normal distribution, entropy and logarithms that forgive zeros."""

from __future__ import annotations

import math

from ..tensor import Tensor
from . import tables
from .common import in_range, rule, series, special, where, with_rule

ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_PI = math.sqrt(2 * math.pi)

erfcx_rule = rule("erfcx", lambda g, out, x: g * (2 * x * out - 2 / math.sqrt(math.pi)))
log_ndtr_rule = rule("log_ndtr", lambda g, x: g * (math.sqrt(2 / math.pi) / erfcx(-x * ROOT_HALF)))
ndtri_rule = rule("ndtri", lambda g, out: g * ROOT_TWO_PI * (out * out / 2).exp())
entr_rule = rule("entr", lambda g, x: g * where(x < 0, float("nan"), -x.log() - 1))


@special()
def erfcx(input: Tensor) -> Tensor:
    """exp(x^2) erfc(x), without overflow for large x.

    >>> import webtorch
    >>> webtorch.special.erfcx(webtorch.tensor([0.0, 10.0]))
    tensor([1.0000, 0.0561])
    """
    return with_rule(erfcx_rule, erfcx_values, input)


def erfcx_values(x: Tensor) -> Tensor:
    size = x.abs()
    near = series(tables.ERFCX_NEAR, 2 * in_range(size, 0.0, 1.0) - 1)
    positive = where(size < 1, near, where(size > 1e18, 0.0, erfcx_far(in_range(size, 1.0, 1e18))))
    grown = where(x < -30, float("inf"), 2 * square_exponential(in_range(x, -30.0, 0.0)) - positive)
    return where(x < 0, grown, where(x.isnan(), x, positive))


def erfcx_far(y: Tensor) -> Tensor:
    """erfcx for y >= 1."""
    return series(tables.ERFCX, (y - 4) / (y + 2)) / (1 + 2 * y)


def square_exponential(x: Tensor) -> Tensor:
    """exp(x^2), whose rounding error would grow with x^2: the square is made in two parts, the first of them exact."""
    lead = (x * 64).round() / 64
    return (lead * lead).exp() * ((x - lead) * (x + lead)).exp()


@special()
def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the normal distribution: the probability of a value below x.

    >>> import webtorch
    >>> webtorch.special.ndtr(webtorch.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """
    return (-input * ROOT_HALF).erfc() / 2


@special()
def log_ndtr(input: Tensor) -> Tensor:
    """The logarithm of `ndtr`, exact far below zero, too.

    >>> import webtorch
    >>> webtorch.special.log_ndtr(webtorch.tensor([-20.0, 0.0]))
    tensor([-203.9172,   -0.6931])
    """
    return with_rule(log_ndtr_rule, log_ndtr_values, input)


def log_ndtr_values(x: Tensor) -> Tensor:
    low = in_range(x, None, -1.0)
    below = (erfcx_values(-low * ROOT_HALF) / 2).log() - low * low / 2
    high = in_range(x, -1.0, None)
    above = (-(high * ROOT_HALF).erfc() / 2).log1p()
    return where(x < -1, below, above)


@special()
def ndtri(input: Tensor) -> Tensor:
    """The inverse of `ndtr`: infinite at 0 and 1, NaN outside.

    >>> import webtorch
    >>> webtorch.special.ndtri(webtorch.tensor([0.5, 0.975]))
    tensor([0.0000, 1.9600])
    """
    return with_rule(ndtri_rule, ndtri_values, input)


EDGE = math.erfc(1.0) / 2  # ndtr(-sqrt(2)): below it is the tail


def ndtri_values(p: Tensor) -> Tensor:
    middle = (2 * in_range(p, EDGE, 1 - EDGE) - 1).erfinv() / ROOT_HALF
    # In a tail Newton's steps on the logarithm of the probability, which is nearly a parabola there.
    tail = where(p > 0.5, 1 - p, p)
    goal = where((tail > 0) & (tail < EDGE), tail, EDGE).log()
    guess = (-2 * goal).sqrt()
    y = where(goal < -3, guess - (guess * ROOT_TWO_PI).log() / guess, guess) * ROOT_HALF
    for _ in range(4 if p.dtype.itemsize == 4 else 6):
        y = y.clamp(min=1.0)
        scaled = erfcx_far(y)
        y = y + ((scaled / 2).log() - y * y - goal) * scaled * (math.sqrt(math.pi) / 2)
    side = where(p > 0.5, y, -y) / ROOT_HALF
    edge = where(p == 0, float("-inf"), where(p == 1, float("inf"), float("nan")))
    return where((p >= EDGE) & (p <= 1 - EDGE), middle, where((p > 0) & (p < 1), side, edge))


@special()
def entr(input: Tensor) -> Tensor:
    """-x log(x): 0 at 0, -inf below.

    >>> import webtorch
    >>> webtorch.special.entr(webtorch.tensor([0.0, 1.0, 2.0]))
    tensor([ 0.0000, -0.0000, -1.3863])
    """

    def values(x: Tensor) -> Tensor:
        safe = where(x > 0, x, 1.0)
        return where(x > 0, -safe * safe.log(), where(x == 0, 0.0, where(x < 0, float("-inf"), x)))

    return with_rule(entr_rule, values, input)


@special(2)
def xlog1py(input: Tensor, other: Tensor) -> Tensor:
    """input * log1p(other): 0 where input is 0, unless other is NaN.

    >>> import webtorch
    >>> webtorch.special.xlog1py(webtorch.tensor([0.0, 2.0]), webtorch.tensor([-1.0, 0.0]))
    tensor([0., 0.])
    """
    zero = (input == 0) & ~other.isnan()
    return where(zero, 0.0, input * where(zero, 0.0, other).log1p())
