"""The gamma distribution and those made of it: Beta, Dirichlet, Chi2, StudentT and others.

Gamma numbers come from Marsaglia and Tsang's method (2000) with a fixed number of proposals, so that nothing is read from the
device; their gradients are implicit (Figurnov et al., 2018).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import creation
from ..autograd.function import Function
from ..grad_mode import no_grad
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily, broadcast_all, normal, uniform, where

__all__ = [
    "Beta", "Chi2", "Dirichlet", "FisherSnedecor", "Gamma", "InverseGamma", "StudentT", "gamma_log_gradient", "standard_gamma_log",
]  # fmt: skip

PROPOSALS = 6  # each is taken with a probability above 0.95, so that all are refused once in 10^8
NODES, WEIGHTS = (array.astype(np.float32) for array in np.polynomial.legendre.leggauss(48))
LARGE = 40.0  # from here on Wilson and Hilferty's approximation is more exact than 48 points
EXPONENT = 20.0  # what is below exp(-20) of the integrand's beginning is left out


def drawn_log_gamma(concentration: Tensor) -> Tensor:
    """The logarithm of gamma numbers of rate 1."""
    small = concentration < 1
    shape = where(small, concentration + 1, concentration)
    d = shape - 1.0 / 3
    c = 1 / (9 * d).sqrt()
    # All proposals are made at once; those that are refused are infinite.
    proposals = (PROPOSALS, *shape.shape)
    x = normal(proposals, shape)
    v = 1 + c * x
    positive = v > 0
    v = where(positive, v, 1.0)
    v = v * v * v
    log_v = v.log()
    good = positive & (uniform(proposals, shape).log() < 0.5 * x * x + d * (1 - v + log_v))
    logarithms = where(good, log_v, math.inf)
    result = logarithms[0]
    for proposal in logarithms[1:].unbind(0):
        result = where(result == math.inf, proposal, result)
    result = d.log() + where(result == math.inf, 0.0, result)
    boost = uniform(shape.shape, shape).log() / concentration
    return where(small, result + boost, result)


def gamma_log_gradient(concentration: Tensor, log_value: Tensor) -> Tensor:
    """d log z / d a of a gamma number z of concentration a, at a fixed probability below it.

    It is minus the derivative of the distribution function by a, over the density and z: an integral that is taken below or
    above z, wherever its integrand is positive, so that nothing cancels. Relative errors stay below 10^-3, and below
    4 10^-3 seven standard deviations away.
    """
    a, z = concentration, log_value.exp()
    centre = a.digamma()
    below = log_value < centre
    # Below, with t = z exp(-y): exp(-a y + z (1 - exp(-y))) (psi(a) - log z + y); above, with t = z exp(y), likewise.
    safe = a.clamp(max=LARGE)
    # Each bound comes down from above to where the exponent is EXPONENT.
    under = (EXPONENT + z) / safe
    for _ in range(4):
        slope = safe - z * (-under).exp()
        under = where(below, under - (safe * under + z * (-under).expm1() - EXPONENT) / slope.clamp(min=1e-6), under)
        under = under.clamp(min=0)
    tiny = z.clamp(min=1e-30)
    over = 2 * (EXPONENT / tiny).log1p() + 4
    for _ in range(8):
        over = ((EXPONENT + safe * over) / tiny).log1p()
    length = where(below, under, over).unsqueeze(-1)
    nodes = creation.tensor(NODES, dtype=a.dtype, device=a.device)
    weights = creation.tensor(WEIGHTS, dtype=a.dtype, device=a.device)
    y = length * 0.5 * (nodes + 1)
    sign = where(below, -1.0, 1.0).unsqueeze(-1)
    powers = (
        sign * safe.unsqueeze(-1) * y
        - sign * where(below, -1.0, 1.0).unsqueeze(-1) * z.unsqueeze(-1) * (sign * y).expm1()
    )
    values = powers.clamp(max=30).exp() * ((log_value - centre).abs().unsqueeze(-1) + y)
    integral = (values * weights).sum(-1) * length.squeeze(-1) * 0.5
    # Wilson and Hilferty: (z / a)^(1/3) is nearly normal with mean 1 - 1 / (9 a) and deviation 1 / (3 sqrt(a)).
    root = ((log_value - a.log()) / 3).exp()
    deviate = (root - 1 + 1 / (9 * a)) * 3 * a.sqrt()
    large = 1 / a + 3 / root * (1 / (9 * a * a) - deviate / (6 * a * a.sqrt()))
    return where(a > LARGE, large, integral)


class StandardGamma(Function):
    """The logarithm of gamma numbers, with implicit gradients."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor) -> Tensor:
        result = drawn_log_gamma(concentration)
        ctx.save_for_backward(concentration, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        concentration, result = ctx.saved_tensors
        with no_grad():
            return gradient * gamma_log_gradient(concentration, result)


def standard_gamma_log(concentration: Tensor) -> Tensor:
    """The logarithm of a gamma number of rate 1 for each concentration, also where the number is too small for its dtype."""
    return StandardGamma.apply(concentration)


def least(value: Tensor) -> Tensor:
    return value.clamp(min=2.0**-126)


class Gamma(ExponentialFamily):
    """The gamma distribution with shape `concentration` and `rate`.

    >>> import webtorch
    >>> webtorch.distributions.Gamma(2.0, 4.0).mean
    tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / (self.rate * self.rate)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return least((standard_gamma_log(self.concentration.expand(shape)) - self.rate.log()).exp())

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.concentration, self.rate
        powers = where((a == 1) & (value == 0), 0.0, (a - 1) * value.log())
        return a * b.log() + powers - b * value - a.lgamma()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        from ..special import gammainc

        return gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()


class Chi2(Gamma):
    """The sum of squares of `df` standard normal numbers."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        (self.df,) = broadcast_all(df)
        super().__init__(0.5 * self.df, 0.5, validate_args=validate_args)


class InverseGamma(Distribution):
    """One over gamma numbers."""

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return where(self.concentration > 1, self.rate / (self.concentration - 1), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        return where(a > 2, self.rate * self.rate / ((a - 1) ** 2 * (a - 2)), math.inf)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return (self.rate.log() - standard_gamma_log(self.concentration.expand(shape))).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a = self.concentration
        return a * self.rate.log() - (a + 1) * value.log() - self.rate / value - a.lgamma()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        from ..special import gammaincc

        return gammaincc(self.concentration, self.rate / value)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()


class Dirichlet(ExponentialFamily):
    """Random probabilities, by the last dimension of `concentration`.

    >>> import webtorch
    >>> webtorch.distributions.Dirichlet(webtorch.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        above = (self.concentration - 1).clamp(min=0)
        mode = above / above.sum(-1, keepdim=True)
        # Where all are below 1 the density is infinite at every vertex; PyTorch names the first.
        categories = creation.arange(self.concentration.shape[-1], device=self.concentration.device)
        vertex = (categories == 0).to(mode.dtype)
        return where((self.concentration < 1).all(-1, keepdim=True), vertex, mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total * total * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return standard_gamma_log(self.concentration.expand(shape)).softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a = self.concentration
        powers = where((a == 1) & (value == 0), 0.0, (a - 1) * value.log())
        return powers.sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        a = self.concentration
        total, count = a.sum(-1), a.shape[-1]
        normalizer = a.lgamma().sum(-1) - total.lgamma()
        return normalizer - (count - total) * total.digamma() - ((a - 1) * a.digamma()).sum(-1)


class Beta(ExponentialFamily):
    """A random probability.

    >>> import webtorch
    >>> webtorch.distributions.Beta(1.0, 3.0).mean
    tensor(0.2500)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        from .distribution import stacked

        return Dirichlet(stacked([self.concentration1, self.concentration0], -1), False).mode.select(-1, 0)

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total * total * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        one, other = (standard_gamma_log(a.expand(shape)) for a in (self.concentration1, self.concentration0))
        return (one - other).sigmoid()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        left = where((a == 1) & (value == 0), 0.0, (a - 1) * value.log())
        right = where((b == 1) & (value == 1), 0.0, (b - 1) * (-value).log1p())
        return left + right + (a + b).lgamma() - a.lgamma() - b.lgamma()

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        total = a + b
        normalizer = a.lgamma() + b.lgamma() - total.lgamma()
        return normalizer - (2 - total) * total.digamma() - (a - 1) * a.digamma() - (b - 1) * b.digamma()


class StudentT(Distribution):
    """Student's distribution with `df` degrees of freedom."""

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        wide = where(self.df > 2, self.scale * self.scale * self.df / (self.df - 2), math.inf)
        return where(self.df > 1, wide, math.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        half = (0.5 * self.df).expand(shape)
        # normal / sqrt(chi2 / df), with chi2 = 2 gamma(df / 2)
        factor = (-0.5 * (standard_gamma_log(half) - half.log())).exp()
        return self.loc + self.scale * normal(shape, self.df) * factor

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y = (value - self.loc) / self.scale
        half = 0.5 * self.df
        normalizer = (
            self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + half.lgamma() - (half + 0.5).lgamma()
        )
        return -(half + 0.5) * (y * y / self.df).log1p() - normalizer

    def entropy(self) -> Tensor:
        half = 0.5 * self.df
        beta = half.lgamma() + math.lgamma(0.5) - (half + 0.5).lgamma()
        return self.scale.log() + (half + 0.5) * ((half + 0.5).digamma() - half.digamma()) + 0.5 * self.df.log() + beta


class FisherSnedecor(Distribution):
    """The ratio of two mean squares with `df1` and `df2` degrees of freedom."""

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return where(self.df2 > 2, self.df2 / (self.df2 - 2), math.nan)

    @property
    def mode(self) -> Tensor:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return where(self.df1 > 2, mode, math.nan)

    @property
    def variance(self) -> Tensor:
        a, b = self.df1, self.df2
        found = 2 * b * b * (a + b - 2) / (a * (b - 2) ** 2 * (b - 4))
        return where(b > 4, found, math.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        one, other = ((0.5 * df).expand(shape) for df in (self.df1, self.df2))
        return least((standard_gamma_log(one) - one.log() - standard_gamma_log(other) + other.log()).exp())

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.df1 * 0.5, self.df2 * 0.5
        ratio = self.df1 / self.df2
        normalizer = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return normalizer + a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
