"""Probability distributions, transforms of random numbers, and divergences."""

from . import constraints as constraints
from . import transforms as transforms
from .circular import VonMises
from .composite import *  # noqa: F403
from .composite import __all__ as _composite
from .constraint_registry import biject_to, transform_to
from .continuous import *  # noqa: F403
from .continuous import __all__ as _continuous
from .discrete import *  # noqa: F403
from .discrete import __all__ as _discrete
from .distribution import Distribution, ExponentialFamily
from .gammas import Beta, Chi2, Dirichlet, FisherSnedecor, Gamma, InverseGamma, StudentT
from .kl import kl_divergence, register_kl
from .kl_between import continuous_bernoullis as _pairs  # noqa: F401  (registers the formulas of pairs)
from .matrices import LKJCholesky, Wishart
from .multivariate import LowRankMultivariateNormal, MultivariateNormal
from .transforms import *  # noqa: F403
from .transforms import __all__ as _transforms
from .unit import ContinuousBernoulli

__all__ = [
    "Beta", "Chi2", "ContinuousBernoulli", "Dirichlet", "Distribution", "ExponentialFamily", "FisherSnedecor", "Gamma", "InverseGamma",
    "LKJCholesky", "LowRankMultivariateNormal", "MultivariateNormal", "StudentT", "VonMises", "Wishart", "biject_to", "constraints",
    "kl_divergence", "register_kl", "transform_to", "transforms", *_composite, *_continuous, *_discrete, *_transforms,
]  # fmt: skip
