"""The von Mises distribution: angles around a direction."""

from __future__ import annotations

import math
from typing import Any

from .. import special
from ..grad_mode import no_grad
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, broadcast_all, uniform, where

__all__ = ["VonMises"]

PROPOSALS = 32  # each is taken with a probability above 0.65, so that all are refused once in 10^14


class VonMises(Distribution):
    """Angles in [-pi, pi) around `loc`, as near to it as `concentration` is large: density exp(concentration * cos(x - loc)).

    Samples come from Best and Fisher's method (1979) with a fixed number of proposals, so that nothing is read from the device.
    `mean` and `variance` are those of directions.

    >>> import webtorch
    >>> webtorch.distributions.VonMises(0.0, 1.0).log_prob(webtorch.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return 1 - special.i1e(self.concentration) / special.i0e(self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        # log I0 = log i0e + concentration, of which the second part belongs to the cosine: cos - 1 does not cancel.
        half = ((value - self.loc) * 0.5).sin()
        return -2 * self.concentration * half * half - math.log(2 * math.pi) - special.i0e(self.concentration).log()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of shape sample_shape + batch_shape, without gradients."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            kappa = self.concentration.expand(shape)
            root = (1 + 4 * kappa * kappa).sqrt()
            tau = 1 + root
            below = tau + (2 * tau).sqrt()
            rho = 2 * kappa / below
            # 1 - rho, and r - 1 of Best and Fisher's r = (1 + rho^2) / (2 rho), without differences of large numbers.
            rest = (1 + 1 / (root + 2 * kappa) + (2 * tau).sqrt()) / below
            excess = rest * rest / (2 * rho).clamp(min=2.0**-100)
            proposals = (PROPOSALS, *shape)
            turn = 0.5 * math.pi * uniform(proposals, kappa)
            sine, cosine = turn.sin(), turn.cos()
            away = 2 * excess * sine * sine / (excess + 2 * cosine * cosine)  # 1 - cos(angle)
            rate = kappa * (excess + away)
            drawn = uniform(proposals, kappa)
            good = (rate * (2 - rate) > drawn) | ((rate / drawn).log() + 1 - rate >= 0)
            first = good.to(kappa.dtype).argmax(0).unsqueeze(0)
            angle = 2 * (0.5 * away.gather(0, first).squeeze(0)).sqrt().clamp(max=1).asin()
            signed = where(uniform(shape, kappa) < 0.5, -angle, angle)
            return (signed + self.loc + math.pi).remainder(2 * math.pi) - math.pi
