"""Divergences between distributions of two kinds.

Each is what p expects of the logarithm of q's density, taken from the negative entropy of p. What has to be expected is x, its
square, its logarithm, or an exponential of it: those are the functions below. Where p reaches beyond q, it is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import creation, linalg
from ..tensor import Tensor
from .composite import TransformedDistribution
from .continuous import Exponential, Gumbel, Laplace, Normal, Pareto, Uniform
from .discrete import Bernoulli, Binomial, Poisson
from .distribution import EULER, HALF_LOG_TWO_PI, where
from .gammas import Beta, Gamma
from .kl import kl_divergence, register_kl
from .matrices import Wishart, log_multigamma, multi_digamma
from .multivariate import log_diagonal
from .unit import ContinuousBernoulli

# ---- what is expected of x ------------------------------------------------------------------------------------------


def log_of(p: Any) -> Tensor:
    """The expectation of log x."""
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Gamma):
        return p.concentration.digamma() - p.rate.log()
    if isinstance(p, Exponential):
        return -EULER - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + 1 / p.alpha
    return (times_log(p.high) - times_log(p.low)) / (p.high - p.low) - 1  # of Uniform


def times_log(x: Tensor) -> Tensor:
    return where(x > 0, x * where(x > 0, x, 1.0).log(), where(x == 0, 0.0, math.nan))


def exponential_of(p: Any, scale: Tensor) -> Tensor:
    """The expectation of exp(-x / scale)."""
    if isinstance(p, Gamma):
        return (-p.concentration * (1 / (p.rate * scale)).log1p()).exp()
    if isinstance(p, Exponential):
        return p.rate / (p.rate + 1 / scale)
    if isinstance(p, Normal):
        ratio = p.scale / scale
        return (0.5 * ratio * ratio - p.loc / scale).exp()
    return ((-p.low / scale).exp() - (-p.high / scale).exp()) * scale / (p.high - p.low)  # of Uniform


def distance_from(p: Any, place: Tensor) -> Tensor:
    """The expectation of |x - place| of a normal x."""
    away = (p.loc - place) / p.scale
    return p.scale * (math.sqrt(2 / math.pi) * (-0.5 * away * away).exp() + away * (away / math.sqrt(2)).erf())


# ---- what p expects of log q ----------------------------------------------------------------------------------------


def of_exponential(p: Any, q: Any) -> Tensor:
    return q.rate.log() - q.rate * p.mean


def of_gamma(p: Any, q: Any) -> Tensor:
    a, b = q.concentration, q.rate
    return a * b.log() - a.lgamma() + (a - 1) * log_of(p) - b * p.mean


def of_normal(p: Any, q: Any) -> Tensor:
    distance = p.mean - q.loc
    return -q.scale.log() - HALF_LOG_TWO_PI - 0.5 * (p.variance + distance * distance) / (q.scale * q.scale)


def of_gumbel(p: Any, q: Any) -> Tensor:
    return -q.scale.log() - (p.mean - q.loc) / q.scale - exponential_of(p, q.scale) * (q.loc / q.scale).exp()


def of_laplace(p: Any, q: Any) -> Tensor:
    return -(2 * q.scale).log() - distance_from(p, q.loc) / q.scale


def of_uniform(p: Any, q: Any) -> Tensor:
    return -(q.high - q.low).log() + 0 * p.mean


def of_pareto(p: Any, q: Any) -> Tensor:
    return q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * log_of(p)


def of_beta(p: Any, q: Any) -> Tensor:
    """Of uniform x alone: 1 - x is uniform, too."""
    a, b = q.concentration1, q.concentration0
    other = (times_log(1 - p.low) - times_log(1 - p.high)) / (p.high - p.low) - 1
    return (a + b).lgamma() - a.lgamma() - b.lgamma() + (a - 1) * log_of(p) + (b - 1) * other


def of_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return p.mean * q.logits + (-q.probs).log1p() + q.log_normalizer()


def within(p: Any) -> tuple[Any, Any]:
    """The interval on which the density of p is positive."""
    if isinstance(p, Uniform):
        return p.low, p.high
    if isinstance(p, (Beta, ContinuousBernoulli)):
        return 0.0, 1.0
    if isinstance(p, (Exponential, Gamma)):
        return 0.0, math.inf
    if isinstance(p, Pareto):
        return p.scale, math.inf
    return -math.inf, math.inf


def beyond(p: Any, q: Any) -> Any:
    """Where p reaches beyond q."""
    low, high = within(p)
    least, most = within(q)
    return (low < least) | (high > most)


EXPECTED: dict[type, Callable] = {
    Exponential: of_exponential, Gamma: of_gamma, Normal: of_normal, Gumbel: of_gumbel, Laplace: of_laplace, Uniform: of_uniform,
    Pareto: of_pareto, Beta: of_beta, ContinuousBernoulli: of_continuous_bernoulli,
}  # fmt: skip

# The kinds of q of each kind of p for which there is a formula, and those beyond which p always reaches.
FINITE: dict[type, tuple[type, ...]] = {
    Beta: (ContinuousBernoulli, Exponential, Gamma, Normal, Uniform),
    ContinuousBernoulli: (Exponential, Normal, Uniform),
    Exponential: (Gamma, Gumbel, Normal),
    Gamma: (Exponential, Gumbel, Normal),
    Gumbel: (Normal,),
    Laplace: (Normal,),
    Normal: (Gumbel, Laplace),
    Pareto: (Exponential, Gamma, Normal),
    Uniform: (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Normal, Pareto),
}
INFINITE: dict[type, tuple[type, ...]] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Poisson: (Bernoulli, Binomial),
}


def between(p: Any, q: Any) -> Tensor:
    expected = next(EXPECTED[kind] for kind in type(q).__mro__ if kind in EXPECTED)
    found = -p.entropy() - expected(p, q)
    if isinstance(p, Pareto):  # its mean is infinite, and with it the divergence from all that falls exponentially
        found = where(p.alpha <= (2 if isinstance(q, Normal) else 1), math.inf, found)
    outside = beyond(p, q)
    return found if outside is False else where(outside, math.inf, found)


def infinite(p: Any, q: Any) -> Tensor:
    mean = p.mean
    return creation.full(mean.shape, math.inf, dtype=mean.dtype, device=mean.device)


for _kind, _others in FINITE.items():
    for _other in _others:
        register_kl(_kind, _other)(between)
for _kind, _others in INFINITE.items():
    for _other in _others:
        register_kl(_kind, _other)(infinite)


# ---- others ---------------------------------------------------------------------------------------------------------


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def continuous_bernoullis(p: Any, q: Any) -> Tensor:
    return -p.entropy() - of_continuous_bernoulli(p, q)


@register_kl(Bernoulli, Poisson)
def bernoulli_from_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Wishart, Wishart)
def wisharts(p: Any, q: Any) -> Tensor:
    size, half = p.event_shape[-1], 0.5 * p.df
    inner = linalg.solve_triangular(q._lower, p._lower, upper=False)
    logs = q.df * (log_diagonal(q._lower) - log_diagonal(p._lower))
    normalizers = log_multigamma(0.5 * q.df, size) - log_multigamma(half, size)
    trace = half * ((inner * inner).sum((-2, -1)) - size)
    return logs + normalizers + trace + (half - 0.5 * q.df) * multi_digamma(half, size)


@register_kl(TransformedDistribution, TransformedDistribution)
def transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "KL of transformed distributions: the transforms and event shapes have to be the same"
        )
    return kl_divergence(p.base_dist, q.base_dist)
