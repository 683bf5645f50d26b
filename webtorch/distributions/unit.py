"""The continuous Bernoulli distribution on the interval from 0 to 1."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import constraints
from .discrete import Chances
from .distribution import softplus, uniform, where

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(Chances):
    """Numbers between 0 and 1 with density proportional to probs ** x * (1 - probs) ** (1 - x) (Loaiza-Ganem and Cunningham,
    2019). For `probs` between the two `lims`, where formulas are 0 / 0, series are taken.

    >>> import webtorch
    >>> webtorch.distributions.ContinuousBernoulli(0.5).log_prob(webtorch.tensor(0.3))
    tensor(0.)
    """

    arg_constraints: Any = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: Any = (0.499, 0.501), validate_args: bool | None = None
    ) -> None:
        self.take(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)
        if probs is not None:  # the logarithms of 0 and 1 are kept finite
            from .. import dtypes

            least = dtypes.finfo(self.probs.dtype).eps
            self.probs = self.probs.clamp(min=least, max=1 - least)
        self._lims = tuple(lims)

    def near_half(self) -> Tensor:
        """Whether the series are taken."""
        return (self.probs > self._lims[0]) & (self.probs <= self._lims[1])

    def safe_probs(self) -> Tensor:
        return where(self.near_half(), self._lims[0], self.probs)

    def log_normalizer(self) -> Tensor:
        """The logarithm of the factor that makes the density's integral 1."""
        safe, x = self.safe_probs(), self.probs - 0.5
        apart = (1 - 2 * safe).abs()
        exact = ((-safe).log1p() - safe.log()).abs().log() - apart.log()
        return where(self.near_half(), 0.6931471805599453 + (4 / 3 + 104 / 45 * x * x) * x * x, exact)

    @property
    def mean(self) -> Tensor:
        safe, x = self.safe_probs(), self.probs - 0.5
        exact = safe / (2 * safe - 1) + 1 / ((-safe).log1p() - safe.log())
        return where(self.near_half(), 0.5 + (1 / 3 + 16 / 45 * x * x) * x, exact)

    @property
    def variance(self) -> Tensor:
        safe, square = self.safe_probs(), (self.probs - 0.5) * (self.probs - 0.5)
        logs, apart = (-safe).log1p() - safe.log(), 1 - 2 * safe
        exact = safe * (safe - 1) / (apart * apart) + 1 / (logs * logs)
        return where(self.near_half(), 1 / 12 - (1 / 15 - 128 / 945 * square) * square, exact)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return value * self.logits - softplus(self.logits) + self.log_normalizer()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        safe = self.safe_probs()
        exact = (safe**value * (1 - safe) ** (1 - value) + safe - 1) / (2 * safe - 1)
        inside = where(self.near_half(), value, exact)
        return where(value <= 0, 0.0, where(value >= 1, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        safe = self.safe_probs()
        exact = ((-safe + value * (2 * safe - 1)).log1p() - (-safe).log1p()) / (safe.log() - (-safe).log1p())
        return where(self.near_half(), value, exact)

    def entropy(self) -> Tensor:
        # log_prob at the mean, in which it is linear
        return softplus(self.logits) - self.mean * self.logits - self.log_normalizer()
