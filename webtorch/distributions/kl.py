"""`kl_divergence`, and the register of its formulas by pairs of classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import linalg
from ..tensor import Tensor
from .composite import Independent, LogNormal
from .continuous import Cauchy, Exponential, Gumbel, HalfNormal, Laplace, Normal, Pareto, Uniform
from .discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from .distribution import EULER, Distribution, sum_rightmost, where
from .gammas import Beta, Dirichlet, Gamma
from .multivariate import MultivariateNormal, log_diagonal

__all__ = ["kl_divergence", "register_kl"]

_FORMULAS: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """A decorator that makes a function(p, q) the divergence of these classes, and of their subclasses without their own.

    >>> from webtorch.distributions import Normal, register_kl
    >>> class Mine(Normal): pass
    >>> @register_kl(Mine, Mine)
    ... def mine(p, q):
    ...     return 0.0
    """
    if not isinstance(type_p, type) or not issubclass(type_p, Distribution):
        raise TypeError(f"Expected type_p to be a Distribution subclass but got {type_p}")
    if not isinstance(type_q, type) or not issubclass(type_q, Distribution):
        raise TypeError(f"Expected type_q to be a Distribution subclass but got {type_q}")

    def register(function: Callable) -> Callable:
        _FORMULAS[type_p, type_q] = function
        return function

    return register


def kl_divergence(p: Any, q: Any) -> Tensor:
    """The Kullback-Leibler divergence of two distributions. Raises NotImplementedError for pairs without a formula.

    >>> import webtorch
    >>> D = webtorch.distributions
    >>> D.kl_divergence(D.Normal(0.0, 1.0), D.Normal(1.0, 1.0))
    tensor(0.5000)
    """
    for kind in type(p).__mro__:
        for other in type(q).__mro__:
            function = _FORMULAS.get((kind, other))
            if function is not None:
                return function(p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
    )


@register_kl(Normal, Normal)
def normals(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return 0.5 * (ratio * ratio + distance * distance - 1) - ratio.log()


@register_kl(HalfNormal, HalfNormal)
def half_normals(p: Any, q: Any) -> Tensor:
    return normals(p.whole(), q.whole())


@register_kl(LogNormal, LogNormal)
def log_normals(p: Any, q: Any) -> Tensor:
    return normals(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def independents(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Bernoulli, Bernoulli)
def bernoullis(p: Any, q: Any) -> Tensor:
    from .distribution import softplus

    impossible = (q.probs == 0) & (p.probs > 0) | (q.probs == 1) & (p.probs < 1)  # logits are finite even there
    return where(impossible, math.inf, p.probs * (p.logits - q.logits) - softplus(p.logits) + softplus(q.logits))


@register_kl(Binomial, Binomial)
def binomials(p: Any, q: Any) -> Tensor:
    return where(p.total_count > q.total_count, math.inf, p.total_count * bernoullis(p, q))


@register_kl(Geometric, Geometric)
def geometrics(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def poissons(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Categorical, Categorical)
def categoricals(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = where(q.probs == 0, math.inf, terms)
    return where(p.probs == 0, 0.0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def one_hots(p: Any, q: Any) -> Tensor:
    return categoricals(p._categorical, q._categorical)


@register_kl(Exponential, Exponential)
def exponentials(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Gamma, Gamma)
def gammas(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    spread = b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma()
    return spread + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)


@register_kl(Beta, Beta)
def betas(p: Any, q: Any) -> Tensor:
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    normalizer = c.lgamma() + d.lgamma() + (a + b).lgamma() - a.lgamma() - b.lgamma() - (c + d).lgamma()
    return normalizer + (a - c) * a.digamma() + (b - d) * b.digamma() + (c + d - a - b) * (a + b).digamma()


@register_kl(Dirichlet, Dirichlet)
def dirichlets(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    normalizer = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return normalizer + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Laplace, Laplace)
def laplaces(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Gumbel, Gumbel)
def gumbels(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return -ratio.log() + ratio * EULER - distance + (distance + (1 + ratio).lgamma()).exp() - (1 + EULER)


@register_kl(Cauchy, Cauchy)
def cauchys(p: Any, q: Any) -> Tensor:
    return ((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2).log() - (4 * p.scale * q.scale).log()


@register_kl(Uniform, Uniform)
def uniforms(p: Any, q: Any) -> Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), math.inf, found)


@register_kl(Pareto, Pareto)
def paretos(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return where(p.scale < q.scale, math.inf, found)


@register_kl(MultivariateNormal, MultivariateNormal)
def multivariate_normals(p: Any, q: Any) -> Tensor:
    size = p.event_shape[0]
    spread = linalg.solve_triangular(q._lower, p._lower, upper=False)
    distance = linalg.solve_triangular(q._lower, (q.loc - p.loc).unsqueeze(-1), upper=False).squeeze(-1)
    logs = log_diagonal(q._lower) - log_diagonal(p._lower)
    return logs + 0.5 * ((spread * spread).sum((-2, -1)) + (distance * distance).sum(-1) - size)
