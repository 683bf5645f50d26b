"""Distributions made of other distributions."""

from __future__ import annotations

import math
from typing import Any

from ..grad_mode import no_grad
from ..tensor import Tensor
from . import constraints
from .continuous import Normal
from .discrete import Categorical, one_of
from .distribution import Distribution, broadcast_all, logits_of, probs_of, softplus, sum_rightmost, uniform
from .transforms import ComposeTransform, ExpTransform, SigmoidTransform, StickBreakingTransform, Transform

__all__ = [
    "Independent", "LogNormal", "LogisticNormal", "MixtureSameFamily", "RelaxedBernoulli", "RelaxedOneHotCategorical",
    "TransformedDistribution",
]  # fmt: skip


class Independent(Distribution):
    """Another distribution of which some batch dimensions, on the right, are taken for one event.

    >>> import webtorch
    >>> base = webtorch.distributions.Normal(webtorch.zeros(3), 1.0)
    >>> webtorch.distributions.Independent(base, 1).log_prob(webtorch.zeros(3))
    tensor(-2.7568)
    """

    def __init__(
        self, base_distribution: Any, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ) -> None:
        batch = tuple(base_distribution.batch_shape)
        if reinterpreted_batch_ndims > len(batch):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {reinterpreted_batch_ndims} vs {len(batch)}"
            )
        cut = len(batch) - reinterpreted_batch_ndims
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        super().__init__(batch[:cut], (*batch[cut:], *base_distribution.event_shape), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Any:  # type: ignore[override]
        support = self.base_dist.support
        if support is None or not self.reinterpreted_batch_ndims:
            return support
        return constraints.independent(support, self.reinterpreted_batch_ndims)

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamily(Distribution):
    """A mixture: `mixture_distribution`, a Categorical, chooses along the last batch dimension of the components."""

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an instance of torch.distributions.Categorical")
        batch = tuple(component_distribution.batch_shape)
        if not batch or batch[-1] != mixture_distribution._num_events:
            raise ValueError(
                f"`mixture_distribution component` ({mixture_distribution._num_events}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({batch[-1] if batch else None})"
            )
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self) -> Any:
        """The distribution of the components' numbers."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Any:
        """The components."""
        return self._component_distribution

    @property
    def support(self) -> Any:  # type: ignore[override]
        return (
            None
            if constraints.is_dependent(self._component_distribution.support)
            else self._component_distribution.support
        )

    @property
    def weights(self) -> Tensor:
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *(1,) * len(self._event_shape))

    @property
    def mean(self) -> Tensor:
        return (self.weights * self._component_distribution.mean).sum(-1 - len(self._event_shape))

    @property
    def variance(self) -> Tensor:
        dim = -1 - len(self._event_shape)
        inner = (self.weights * self._component_distribution.variance).sum(dim)
        distance = self._component_distribution.mean - self.mean.unsqueeze(dim)
        return inner + (self.weights * distance * distance).sum(dim)

    def cdf(self, value: Tensor) -> Tensor:
        parts = self._component_distribution.cdf(value.unsqueeze(-1 - len(self._event_shape)))
        return (parts * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        parts = self._component_distribution.log_prob(value.unsqueeze(-1 - len(self._event_shape)))
        return (parts + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            chosen = self._mixture_distribution.sample(sample_shape)
            drawn = self._component_distribution.sample(sample_shape)
            dim = -1 - len(self._event_shape)
            place = chosen.reshape(*chosen.shape, 1, *(1,) * len(self._event_shape))
            return drawn.gather(dim, place.expand(*chosen.shape, 1, *self._event_shape)).squeeze(dim)


class TransformedDistribution(Distribution):
    """What a transform (or several in turn) makes of a distribution.

    >>> import webtorch
    >>> D = webtorch.distributions
    >>> D.TransformedDistribution(D.Normal(0.0, 1.0), D.ExpTransform()).log_prob(webtorch.tensor(1.0))
    tensor(-0.9189)
    """

    def __init__(self, base_distribution: Any, transforms: Any, validate_args: bool | None = None) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(each, Transform) for each in self.transforms):
            raise ValueError(f"transforms must be a Transform or a list, but was {transforms}")
        whole = ComposeTransform(self.transforms)
        base_shape = (*base_distribution.batch_shape, *base_distribution.event_shape)
        base_event = len(base_distribution.event_shape)
        if len(base_shape) < whole.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {whole.domain.event_dim}, but got {base_shape}."
            )
        shape = tuple(whole.forward_shape(base_shape))
        event = max(whole.codomain.event_dim, base_event + whole.codomain.event_dim - whole.domain.event_dim)
        extra = whole.domain.event_dim - base_event
        self.base_dist: Any = Independent(base_distribution, extra) if extra > 0 else base_distribution
        super().__init__(shape[: len(shape) - event], shape[len(shape) - event :], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Any:  # type: ignore[override]
        support = self.transforms[-1].codomain if self.transforms else self.base_dist.support
        missing = len(self._event_shape) - support.event_dim if support is not None else 0
        return constraints.independent(support, missing) if missing > 0 else support

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            x = self.base_dist.sample(sample_shape)
            for each in self.transforms:
                x = each(x)
            return x

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        x = self.base_dist.rsample(sample_shape)
        for each in self.transforms:
            x = each(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        result: Any = 0.0
        width = len(self._event_shape)
        y = value
        for each in reversed(self.transforms):
            x = each.inverse(y)
            width += each.domain.event_dim - each.codomain.event_dim
            result = result - sum_rightmost(each.log_abs_det_jacobian(x, y), width - each.domain.event_dim)
            y = x
        return result + sum_rightmost(self.base_dist.log_prob(y), width - len(self.base_dist.event_shape))

    def monotonize(self, value: Tensor) -> Any:
        sign: Any = 1
        for each in self.transforms:
            if each.sign is None:
                raise NotImplementedError(f"{type(self).__name__}: {each} is not monotone")
            sign = sign * each.sign
        return sign * (value - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        for each in reversed(self.transforms):
            value = each.inverse(value)
        return self.monotonize(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        value = self.base_dist.icdf(self.monotonize(value))
        for each in self.transforms:
            value = each(value)
        return value


class LogNormal(TransformedDistribution):
    """Numbers whose logarithms are normal."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive  # type: ignore[assignment]

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithms."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithms."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale * self.scale / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale * self.scale).exp()

    @property
    def variance(self) -> Tensor:
        square = self.scale * self.scale
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class LogisticNormal(TransformedDistribution):
    """Probabilities that are a stick broken at normal places."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex  # type: ignore[assignment]

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        if not base.batch_shape:
            base = base.expand((1,))
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the normal numbers."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the normal numbers."""
        return self.base_dist.base_dist.scale


class LogitRelaxedBernoulli(Distribution):
    """The logits of relaxed Bernoulli numbers (Maddison et al., 2017)."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        one_of(probs, logits)
        self.temperature = temperature
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
            self._logits = logits_of(self.probs, True)
        else:
            (self.logits,) = broadcast_all(logits)
            self._logits = self.logits
        super().__init__(self._logits.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = uniform(self._extended_shape(sample_shape), self._logits)
        return (u.log() - (-u).log1p() + self._logits) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        difference = self._logits - value * self.temperature
        scale = self.temperature.log() if isinstance(self.temperature, Tensor) else math.log(self.temperature)
        return scale + difference - 2 * softplus(difference)


class RelaxedBernoulli(TransformedDistribution):
    """Numbers in (0, 1) that are nearly 0 or 1 at low temperatures, with gradients."""

    support = constraints.unit_interval  # type: ignore[assignment]

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)

    @property
    def temperature(self) -> Any:
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The logits."""
        return self.base_dist._logits

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self.logits.sigmoid()


class ExpRelaxedCategorical(Distribution):
    """The logarithms of relaxed one-hot vectors."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        logits = self._categorical.logits
        gumbel = -(-uniform(self._extended_shape(sample_shape), logits).log()).log()
        scores = (logits + gumbel) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        count = self._event_shape[0]
        scale = self.temperature.log() if isinstance(self.temperature, Tensor) else math.log(self.temperature)
        score = self._categorical.logits - value * self.temperature
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + math.lgamma(count) + scale * (count - 1)


class RelaxedOneHotCategorical(TransformedDistribution):
    """Probabilities that are nearly a single 1 at low temperatures, with gradients (Jang et al., 2017)."""

    support = constraints.simplex  # type: ignore[assignment]

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(ExpRelaxedCategorical(temperature, probs, logits), ExpTransform(), validate_args)

    @property
    def temperature(self) -> Any:
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self.base_dist._categorical.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return probs_of(self.logits)
