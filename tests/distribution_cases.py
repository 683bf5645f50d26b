"""Distributions whose densities, entropies, moments and divergences PyTorch has computed: `python tests/distribution_cases.py`."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

GOLDENS = pathlib.Path(__file__).parent / "goldens" / "distributions.npz"

# The distribution, with t for a tensor; values to look at; quantiles or not.
REAL, POSITIVE, UNIT = "[-2.5, 0.3, 1.7]", "[0.2, 1.0, 3.5]", "[0.1, 0.5, 0.95]"
CASES: list[tuple[str, str]] = [
    ("Normal(t([0., 1., -1.]), t([1., 2., 0.5]))", REAL),
    ("LogNormal(t([0., 0.5, -0.5]), 0.8)", POSITIVE),
    ("Uniform(t([-3., 0., 1.]), t([2., 1., 4.]))", "[-2.5, 0.3, 1.7]"),
    ("Exponential(t([0.5, 1., 3.]))", POSITIVE),
    ("Laplace(t([0., 1., -1.]), t([1., 2., 0.5]))", REAL),
    ("Cauchy(t([0., 1., -1.]), t([1., 2., 0.5]))", REAL),
    ("Gumbel(t([0., 1., -1.]), t([1., 2., 0.5]))", REAL),
    ("HalfNormal(t([1., 2., 0.5]))", POSITIVE),
    ("HalfCauchy(t([1., 2., 0.5]))", POSITIVE),
    ("Weibull(t([1., 2., 0.5]), t([1.5, 2., 3.]))", POSITIVE),
    ("Pareto(t([0.1, 0.5, 1.]), t([1.5, 2.5, 3.]))", POSITIVE),
    ("GeneralizedPareto(t([0.1, 0.5, 1.]), t([1.5, 2.5, 3.]), t([0.1, 0.3, 0.4]))", POSITIVE),
    ("Kumaraswamy(t([1.5, 2.5, 3.]), t([0.7, 2., 3.]))", UNIT),
    ("Gamma(t([0.3, 1., 5.]), t([1., 2., 0.5]))", POSITIVE),
    ("Chi2(t([1., 4., 7.]))", POSITIVE),
    ("InverseGamma(t([0.7, 2.5, 5.]), t([1., 2., 0.5]))", POSITIVE),
    ("Beta(t([0.5, 1., 4.]), t([0.7, 2., 3.]))", UNIT),
    ("StudentT(t([1.5, 3., 20.]), 0.5, t([1., 2., 0.5]))", REAL),
    ("FisherSnedecor(t([1.5, 3., 20.]), t([3., 5., 9.]))", POSITIVE),
    ("Bernoulli(t([0.2, 0.5, 0.9]))", "[0., 1., 1.]"),
    ("Bernoulli(logits=t([-1., 0., 3.]))", "[0., 1., 1.]"),
    ("Geometric(t([0.2, 0.5, 0.9]))", "[0., 1., 4.]"),
    ("Binomial(5, t([0.2, 0.5, 0.9]))", "[0., 1., 4.]"),
    ("NegativeBinomial(t([2., 3., 1.5]), t([0.2, 0.5, 0.9]))", "[0., 1., 4.]"),
    ("Poisson(t([0.5, 3., 10.]))", "[0., 1., 4.]"),
    ("Categorical(t([[1., 2., 3.], [0.2, 0.5, 0.3]]))", "[0, 2]"),
    ("Categorical(logits=t([[1., 2., 3.], [0.2, 0.5, 0.3]]))", "[0, 2]"),
    ("OneHotCategorical(t([[1., 2., 3.], [0.2, 0.5, 0.3]]))", "[[0., 1., 0.], [0., 0., 1.]]"),
    ("Multinomial(4, t([0.2, 0.5, 0.3]))", "[[0., 1., 3.], [2., 2., 0.]]"),
    ("Dirichlet(t([[0.5, 2., 3.], [1., 1., 1.]]))", "[[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]"),
    ("MultivariateNormal(t([0., 1.]), t([[2., 0.5], [0.5, 1.]]))", "[[0.2, 0.5], [-1., 2.]]"),
    ("MultivariateNormal(t([0., 1.]), precision_matrix=t([[2., 0.5], [0.5, 1.]]))", "[[0.2, 0.5], [-1., 2.]]"),
    ("MultivariateNormal(t([0., 1.]), scale_tril=t([[2., 0.], [0.5, 1.]]))", "[[0.2, 0.5], [-1., 2.]]"),
    ("LowRankMultivariateNormal(t([0., 1.]), t([[2.], [0.5]]), t([1., 0.3]))", "[[0.2, 0.5], [-1., 2.]]"),
    ("Independent(Normal(t([0., 1.]), t([1., 2.])), 1)", "[[0.2, 0.5], [-1., 2.]]"),
    ("MixtureSameFamily(Categorical(t([0.3, 0.7])), Normal(t([0., 3.]), t([1., 2.])))", REAL),
    (
        "MixtureSameFamily(Categorical(t([0.3, 0.7])), Independent(Normal(t([[0., 3.], [1., 1.]]), 1.), 1))",
        "[[0.2, 0.5]]",
    ),
    (
        "TransformedDistribution(Normal(t([0., 1., 2.]), 1.), [SigmoidTransform(), AffineTransform(1., -2.)])",
        "[-0.5, 0., 0.5]",
    ),
    ("TransformedDistribution(Normal(t([0., 1., 2.]), 1.), TanhTransform())", "[-0.5, 0., 0.5]"),
    ("LogisticNormal(t([0., 1.]), t([1., 0.5]))", "[[0.2, 0.5, 0.3]]"),
    ("RelaxedBernoulli(t(0.7), t([0.2, 0.5, 0.9]))", UNIT),
    ("RelaxedOneHotCategorical(t(0.7), t([0.2, 0.5, 0.3]))", "[[0.2, 0.5, 0.3]]"),
    ("VonMises(t([0., 1., -1.]), t([0.3, 2., 40.]))", "[-2.5, 0.3, -1.1]"),
    ("ContinuousBernoulli(t([0.1, 0.4999, 0.8]))", UNIT),
    ("ContinuousBernoulli(logits=t([-3., 0.1, 1.]))", UNIT),
    ("Wishart(t([2.5, 7.]), t([[2., 0.5], [0.5, 1.]]))", "[[[1., 0.3], [0.3, 2.]], [[9., 2.], [2., 7.]]]"),
    ("Wishart(t(4.), precision_matrix=t([[2., 0.5], [0.5, 1.]]))", "[[[1., 0.3], [0.3, 2.]]]"),
    ("Wishart(t(4.), scale_tril=t([[2., 0.], [0.5, 1.]]))", "[[[1., 0.3], [0.3, 2.]]]"),
    ("LKJCholesky(3, t([0.5, 2.5]))", "[[1., 0., 0.], [0.6, 0.8, 0.], [0., 0.28, 0.96]]"),
]

PAIRS = [
    "Normal(t([0., 1.]), 2.)|Normal(1., t([1., 0.5]))", "HalfNormal(t(2.))|HalfNormal(t(0.7))",
    "LogNormal(t(0.), 1.)|LogNormal(t(1.), 2.)", "Bernoulli(t([0.2, 0.7]))|Bernoulli(t([0.5, 0.1]))",
    "Binomial(3, t(0.2))|Binomial(3, t(0.6))", "Geometric(t(0.2))|Geometric(t(0.6))", "Poisson(t(2.))|Poisson(t(3.5))",
    "Categorical(t([0.2, 0.8]))|Categorical(t([0.5, 0.5]))", "OneHotCategorical(t([0.2, 0.8]))|OneHotCategorical(t([0.5, 0.5]))",
    "Exponential(t(2.))|Exponential(t(0.5))", "Gamma(t(2.), t(1.5))|Gamma(t(0.7), t(3.))",
    "Beta(t(2.), t(1.5))|Beta(t(0.7), t(3.))", "Dirichlet(t([1., 2., 3.]))|Dirichlet(t([0.5, 1., 4.]))",
    "Laplace(t(0.), t(1.5))|Laplace(t(1.), t(3.))", "Gumbel(t(0.), t(1.5))|Gumbel(t(1.), t(3.))",
    "Cauchy(t(0.), t(1.5))|Cauchy(t(1.), t(3.))", "Uniform(t(0.), t(1.5))|Uniform(t(-1.), t([3., 1.]))",
    "Pareto(t(2.), t(1.5))|Pareto(t(1.), t(3.))",
    "MultivariateNormal(t([0., 1.]), t([[2., 0.5], [0.5, 1.]]))|MultivariateNormal(t([1., 1.]), t([[1., 0.2], [0.2, 3.]]))",
    "Independent(Normal(t([0., 1.]), 2.), 1)|Independent(Normal(t([1., 1.]), 1.), 1)",
    "ContinuousBernoulli(t([0.1, 0.5, 0.8]))|ContinuousBernoulli(t([0.3, 0.4, 0.5]))",
    "Wishart(t(4.), t([[2., 0.5], [0.5, 1.]]))|Wishart(t(3.), t([[1., 0.2], [0.2, 3.]]))",
    "Bernoulli(t([0.2, 0.7]))|Poisson(t(1.5))", "Poisson(t(1.5))|Bernoulli(t([0.2, 0.7]))", "Poisson(t(1.5))|Binomial(3, t([0.2, 0.7]))",
    "TransformedDistribution(Normal(t(0.), 1.), AffineTransform(1., 2.))"
    "|TransformedDistribution(Normal(t(1.), 2.), AffineTransform(1., 2.))",
    "LowRankMultivariateNormal(t([0., 1.]), t([[2.], [0.5]]), t([1., 0.3]))|MultivariateNormal(t([1., 1.]), t([[1., 0.2], [0.2, 3.]]))",
]  # fmt: skip

# One of each kind that has divergences from the others.
KINDS = {
    "Beta": "Beta(t(2.), t(1.5))", "ContinuousBernoulli": "ContinuousBernoulli(t([0.1, 0.5, 0.8]))",
    "Exponential": "Exponential(t(0.7))", "Gamma": "Gamma(t(2.), t(1.5))", "Gumbel": "Gumbel(t(0.5), t(1.5))",
    "Laplace": "Laplace(t(0.5), t(1.5))", "Normal": "Normal(t(0.5), t(1.5))", "Pareto": "Pareto(t(0.5), t([0.8, 1.5, 3.]))",
    "Uniform": "Uniform(t([0., 0.6, -1.]), t([1., 0.9, 2.]))",
}  # fmt: skip
MIXED = """Beta|ContinuousBernoulli Beta|Exponential Beta|Gamma Beta|Normal Beta|Uniform Beta|Pareto ContinuousBernoulli|Exponential
    ContinuousBernoulli|Normal ContinuousBernoulli|Pareto Exponential|Gamma Exponential|Gumbel
    Exponential|Normal Exponential|Beta Exponential|Pareto Exponential|Uniform Gamma|Exponential Gamma|Gumbel Gamma|Normal
    Gamma|ContinuousBernoulli Gamma|Uniform Gumbel|Normal Gumbel|Gamma Laplace|Normal Laplace|Beta Normal|Gumbel Normal|Laplace
    Normal|Exponential Normal|Uniform Pareto|Exponential Pareto|Gamma Pareto|Normal Pareto|Beta Uniform|Beta
    Uniform|Exponential Uniform|Gamma Uniform|Gumbel Uniform|Normal Uniform|Pareto""".split()
# PyTorch takes what touches the bounds of the interval from 0 to 1 for what reaches beyond them: here nothing touches.
PAIRS += [
    "ContinuousBernoulli(t([0.1, 0.5, 0.8]))|Uniform(t([-0.5, 0.2, -1.]), t([1.5, 0.9, 2.]))",
    "Uniform(t([0.1, 0.6, -1.]), t([0.9, 0.8, 2.]))|ContinuousBernoulli(t([0.1, 0.5, 0.8]))",
]
PAIRS += ["|".join(KINDS[kind] for kind in pair.split("|")) for pair in MIXED]


def made(library: Any, text: str, to: Any) -> Any:
    return eval(text, {**{name: getattr(library.distributions, name) for name in dir(library.distributions)}, "t": to})


def everything(library: Any, to: Any, text: str, values: str, only: Any = None) -> dict[str, np.ndarray]:
    """What a distribution says of some values and of itself; what it does not implement is left out."""
    distribution, x = made(library, text, to), to(eval(values))
    wanted = {
        "log_prob": lambda: distribution.log_prob(x),
        "cdf": lambda: distribution.cdf(x),
        "icdf": lambda: distribution.icdf(to([0.2, 0.5, 0.9])),
        **{name: lambda name=name: getattr(distribution, name) for name in ("mean", "mode", "variance", "stddev")},
        "entropy": distribution.entropy,
    }
    found = {}
    for name, function in wanted.items():
        if only is not None and name not in only:
            continue
        try:
            found[name] = function().cpu().numpy()
        except NotImplementedError:
            pass
    return found


def divergence(library: Any, to: Any, pair: str) -> np.ndarray:
    p, q = (made(library, text, to) for text in pair.split("|"))
    return library.distributions.kl_divergence(p, q).detach().cpu().numpy()


if __name__ == "__main__":
    import torch
    import torch.distributions

    arrays = {}
    for text, values in CASES:
        for name, value in everything(torch, torch.tensor, text, values).items():
            arrays[f"{text}.{name}"] = value
    for pair in PAIRS:
        arrays[pair] = divergence(torch, torch.tensor, pair)
    np.savez_compressed(GOLDENS, **arrays)
    print(f"{len(arrays)} arrays, {GOLDENS.stat().st_size} bytes")
