"""Special functions that numpy has not, on arrays: error functions, gamma functions, Bessel functions.

They are computed in float64, to a few units in its last place (lgamma and digamma: about twenty, and near their
negative zeros the absolute error counts), and rounded to the dtype of the argument. The polynomials are Chebyshev fits
made for this file with 40 digits; each is in a variable that runs over [-1, 1].
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

BLOCK = 8192  # elements worked on at a time, so that intermediates stay in the processor's cache

# erf(x) / x in 2 x^2 - 1, for |x| <= 1.
_ERF = (
    0.9654687386698673,
    -0.1405360890227171,
    0.019852496688983708,
    -0.0022854855611441132,
    0.00021751715604160108,
    -1.7537169441124826e-05,
    1.223382738352401e-06,
    -7.51156928660089e-08,
    4.11580059766496e-09,
    -2.035228404899467e-10,
    9.167606746069445e-12,
    -3.8078827395263415e-13,
    1.454817075960679e-14,
)
# (1 + 2 x) exp(x^2) erfc(x) in (x - 4) / (x + 2), for x >= 1.
_ERFC = (
    1.2329951186255526,
    -0.10471583763042187,
    -0.017527905099881665,
    0.02650923206565853,
    -0.010437170695561392,
    0.0011786605696025806,
    0.0005733251953029545,
    -0.0001757703951940668,
    -4.294302602447342e-05,
    1.994663793446094e-05,
    5.2762306358199e-06,
    -2.209471551517577e-06,
    -8.919548856479156e-07,
    2.047328498419807e-07,
    1.6224393564772356e-07,
    -3.205087878604445e-09,
    -2.694825225341095e-08,
    -5.551233945294995e-09,
    3.4177165769878997e-09,
    1.9140897159820177e-09,
    -1.7487894500734136e-10,
    -4.0422248823760894e-10,
    -3.9985873178880384e-11,
    5.5469122489130605e-11,
    7.793536488937906e-12,
    -3.846696977348329e-12,
)
# lgamma(x) / ((x - 1) (x - 2)) in x - 2, for 1 <= x <= 3.
_LGAMMA = (
    0.42278433509846713,
    -0.1003173016743539,
    0.03296500062115574,
    -0.012384192193374355,
    0.004998641164703877,
    -0.0021081308338291313,
    0.0009153769220606788,
    -0.0004057073999387517,
    0.0001825526419770573,
    -8.30950999467849e-05,
    3.816886281372433e-05,
    -1.76618554743359e-05,
    8.22234752455359e-06,
    -3.846514242663473e-06,
    1.8074596187759183e-06,
    -8.554816957122729e-07,
    4.055632887824375e-07,
    -1.861315818147291e-07,
    8.745972665553556e-08,
    -5.2038665332275675e-08,
    2.6247261052647615e-08,
    -7.860744687083056e-10,
    -7.603161817337265e-10,
    -8.952022836709702e-09,
    4.927878685807231e-09,
    2.4694237633377504e-09,
    -1.38994451662441e-09,
    -8.190037783551156e-10,
    4.2453673576593125e-10,
)
# sqrt(x) exp(-x) i1(x) in 16 / x - 1, for x >= 8.
_I1 = (
    0.38939845902587233,
    -0.009749577193235737,
    -0.0002192357638317243,
    -1.5038547200567216e-05,
    -1.8349102358955385e-06,
    -3.483855761044295e-07,
    -1.000109565963654e-07,
    -4.312917729178349e-08,
    -2.339250374801858e-08,
    -8.427766093735185e-09,
    6.8401389977069586e-09,
    1.4034238782067183e-08,
    5.59337010179061e-09,
    -7.64239413436356e-09,
    -6.983839624895866e-09,
    3.4262341490077958e-09,
    4.810597405089944e-09,
    -1.4387250533041011e-09,
    -2.297004161885201e-09,
    5.295625441161259e-10,
    6.917089294193807e-10,
    -1.4011625179770617e-10,
    -9.752397204138194e-11,
    1.851511882885294e-11,
)

# The even Bernoulli numbers B2, B4 ... B20, for the asymptotic series.
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
)  # fmt: skip


def _blockwise(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Turn a function of one float64 block into one of arrays of any shape and floating dtype, which it keeps."""

    @functools.wraps(function)
    def apply(x: np.ndarray, **arguments: int) -> np.ndarray:
        x = np.asarray(x)
        flat = np.ascontiguousarray(x).reshape(-1)
        result = np.empty(flat.shape, flat.dtype)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, BLOCK):
                block = flat[start : start + BLOCK].astype(np.float64)
                result[start : start + BLOCK] = function(block, **arguments)
        return result.reshape(x.shape)

    return apply


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """The polynomial with these coefficients, constant first."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result *= x
        result += coefficient
    return result


# ---- error functions ------------------------------------------------------------------------------------------------


def _erf_near(x: np.ndarray) -> np.ndarray:
    """erf for |x| <= 1."""
    return x * _polynomial(_ERF, 2 * x * x - 1)


def _erfc_far(x: np.ndarray) -> np.ndarray:
    """erfc for x >= 1."""
    # x^2 is large, so its rounding error would be one of the result: the leading half of x has an exact square.
    x = np.minimum(x, 30.0)
    leading = x.astype(np.float32).astype(np.float64)
    exponential = np.exp(-leading * leading) * np.exp((leading - x) * (leading + x))
    return exponential * _polynomial(_ERFC, (x - 4) / (x + 2)) / (1 + 2 * x)


@_blockwise
def erf(x: np.ndarray) -> np.ndarray:
    """The error function.

    >>> float(erf(np.array(0.5)))
    0.5204998778130465
    """
    size = np.abs(x)
    far = np.copysign(1 - _erfc_far(np.maximum(size, 1.0)), x)
    return np.where(size <= 1, _erf_near(np.clip(x, -1.0, 1.0)), far)


@_blockwise
def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x), without the cancellation for large x.

    >>> print(f"{float(erfc(np.array(10.0))):.12e}")
    2.088487583763e-45
    """
    size = np.abs(x)
    far = _erfc_far(np.maximum(size, 1.0))
    return np.where(size <= 1, 1 - _erf_near(np.clip(x, -1.0, 1.0)), np.where(x < 0, 2 - far, far))


@_blockwise
def erfinv(x: np.ndarray) -> np.ndarray:
    """The inverse of erf: infinite at 1 and -1, NaN outside.

    >>> float(erfinv(np.array(0.5)))
    0.4769362762044699
    """
    size = np.abs(x)
    rest = 1 - size  # exact from 0.5 on, where it is what counts
    # Winitzki's approximation, which is within 1 % ...
    logarithm = np.log(np.maximum(rest, 1e-300)) + np.log1p(size)
    middle = 2 / (math.pi * 0.147) + logarithm / 2
    y = np.sqrt(np.maximum(np.sqrt(np.maximum(middle * middle - logarithm / 0.147, 0)) - middle, 0))
    # ... and Halley's iteration, which triples the correct digits each time.
    for _ in range(3):
        tail = np.where(y <= 1, 1 - _erf_near(np.minimum(y, 1.0)), _erfc_far(np.maximum(y, 1.0)))
        error = np.where(size < 0.5, _erf_near(np.minimum(y, 1.0)) - size, rest - tail)
        step = error * np.exp(y * y) * (math.sqrt(math.pi) / 2)
        y = y - step / (1 + y * step)
    y = np.where(size < 1e-160, size * (math.sqrt(math.pi) / 2), y)
    return np.where(size < 1, np.copysign(y, x), np.where(size == 1, np.copysign(np.inf, x), np.nan))


# ---- gamma functions ------------------------------------------------------------------------------------------------


def _lgamma_positive(x: np.ndarray) -> np.ndarray:
    """log(gamma(x)) for x > 0."""
    # The middle: one step up from below 1, else as it is, around the zeros at 1 and 2.
    low = x < 1
    inside = np.clip(np.where(low, x + 1, x), 1.0, 3.0)
    # x - 1 of the shifted argument is x itself: taking it before the sum keeps the digits of a small x.
    near = (np.where(low, np.minimum(x, 1.0), inside - 1)) * (inside - 2) * _polynomial(_LGAMMA, inside - 2)
    near = near - np.where(low, np.log(np.where(low, x, 1.0)), 0.0) + 0.0
    # Elsewhere Stirling's series, after steps up to 10.
    large = np.maximum(x, 3.0)
    product = np.ones_like(x)
    for _ in range(7):
        step = large < 10
        product = np.where(step, product * large, product)
        large = np.where(step, large + 1, large)
    square = 1 / (large * large)
    series = np.zeros_like(x)
    for k in range(8, 0, -1):
        series = series * square + _BERNOULLI[k - 1] / (2 * k * (2 * k - 1))
    far = (large - 0.5) * np.log(large) - large + (0.5 * math.log(2 * math.pi) + series / large) - np.log(product)
    return np.where(x < 3, near, np.where(x == np.inf, np.inf, far))


@_blockwise
def lgamma(x: np.ndarray) -> np.ndarray:
    """The logarithm of the absolute value of the gamma function; infinite at 0 and the negative integers.

    >>> math.isclose(float(lgamma(np.array(5.0))), math.log(24), rel_tol=1e-14)
    True
    """
    negative = x <= 0
    size = np.where(negative, -x, x)
    direct = _lgamma_positive(np.where(negative, 1 + size, size))
    fraction = size - np.floor(size)
    sine = np.abs(np.sin(math.pi * np.minimum(fraction, 1 - fraction)))
    # gamma(-s) gamma(1 + s) = -pi / sin(pi s); denormal arguments would overflow the quotient.
    reflected = np.where(size < 1e-20, -np.log(size), np.log(math.pi / sine) - direct)
    result = np.where(negative, reflected, direct)
    return np.where(np.isinf(x) | (negative & (fraction == 0)), np.inf, result)


@_blockwise
def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of lgamma: -inf at 0, inf at -0, NaN at the negative integers and -inf.

    >>> round(float(digamma(np.array(1.0))), 12)  # minus Euler's constant
    -0.577215664902
    """
    negative = x < 0
    large = np.where(negative, 1 - x, x)
    steps = np.zeros_like(x)
    for _ in range(10):
        step = large < 10
        steps = np.where(step, steps + 1 / large, steps)
        large = np.where(step, large + 1, large)
    square = 1 / (large * large)
    series = np.zeros_like(x)
    for k in range(8, 0, -1):
        series = (series + _BERNOULLI[k - 1] / (2 * k)) * square
    direct = np.log(large) - 0.5 / large - series - steps
    fraction = x - np.round(x)
    result = np.where(negative, direct - math.pi / np.tan(math.pi * fraction), direct)
    result = np.where(negative & (fraction == 0) | (x == -np.inf), np.nan, result)
    return np.where(x == 0, np.copysign(np.inf, -x), result)


@_blockwise
def polygamma(x: np.ndarray, n: int) -> np.ndarray:
    """Derivative `n` >= 1 of digamma.

    >>> float(polygamma(np.array(1.0), n=1)), math.pi**2 / 6
    (1.6449340668482264, 1.6449340668482264)
    """
    n = int(n)
    negative = x < 0
    if n == 1:
        result = positive_polygamma(np.where(negative, 1 - x, x), n)
        sine = np.sin(math.pi * (x - np.round(x)))
        return np.where(x == np.inf, 0.0, np.where(negative, (math.pi / sine) ** 2 - result, result))
    # What is below 0 is summed on its own: its sizes are 1 - part, 2 - part, ... -x.
    part = np.where(negative, x + np.ceil(-x), x)
    result = positive_polygamma(part, n)
    under = positive_polygamma(np.where(negative, 1 - part, 1), n) - positive_polygamma(np.where(negative, 1 - x, 1), n)
    result = np.where(negative, result + (-1) ** (n + 1) * np.where(part == 0, 0, under), result)
    return np.where(x == np.inf, 0.0, np.where(x == -np.inf, np.nan, result))


def positive_polygamma(large: np.ndarray, n: int) -> np.ndarray:
    power = -(n + 1)
    x = large
    total = np.zeros_like(x)
    # The Hurwitz zeta function of n + 1: ten terms, and the Euler-Maclaurin formula for the others.
    for _ in range(10):
        total = total + large**power
        large = large + 1
    total = total + large**-n / n + 0.5 * large**power
    term = (n + 1) * large ** (power - 1)
    for k in range(1, 9):
        total = total + _BERNOULLI[k - 1] / math.factorial(2 * k) * term
        term = term * (n + 2 * k) * (n + 2 * k + 1) / (large * large)
    return total * (math.factorial(n) * (-1) ** (n + 1))


# ---- Bessel functions -----------------------------------------------------------------------------------------------


@_blockwise
def i0(x: np.ndarray) -> np.ndarray:
    """The modified Bessel function of order 0; NaN at the infinities, as PyTorch has it.

    >>> float(i0(np.array(1.0)))
    1.2660658777520082
    """
    return np.i0(x)


@_blockwise
def i1(x: np.ndarray) -> np.ndarray:
    """The modified Bessel function of order 1, the derivative of i0.

    >>> float(i1(np.array(1.0)))
    0.565159103992485
    """
    size = np.abs(x)
    # The power series, all of whose terms are positive.
    quarter = np.minimum(size, 8.0) ** 2 / 4
    series = np.ones_like(x)
    for k in range(32, 0, -1):
        series = 1 + series * quarter / (k * (k + 1))
    large = np.maximum(size, 8.0)
    far = np.exp(large) / np.sqrt(large) * _polynomial(_I1, 16 / large - 1)
    return np.where(size < 8, x / 2 * series, np.copysign(far, x))
