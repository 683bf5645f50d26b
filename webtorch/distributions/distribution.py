"""The base of distributions: shapes, the check of arguments, and what they have in common."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any

from .. import capture, creation, dtypes, functional, random
from ..grad_mode import no_grad
from ..ops import TABLE
from ..shapes import broadcast_shapes
from ..tensor import Size, Tensor
from . import constraints

__all__ = ["Distribution", "ExponentialFamily"]

where = TABLE["where"]
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
EULER = 0.57721566490153286


def broadcast_all(*values: Any) -> list[Tensor]:
    """Tensors of one shape; numbers take the dtype and device of the tensors beside them."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if not all(isinstance(value, (Tensor, Number)) for value in values):
        raise ValueError(
            f"the parameters of a distribution are tensors or numbers, not {[type(value).__name__ for value in values]}"
        )
    if tensors:
        floating = [value for value in tensors if value.dtype.is_floating_point]
        options = {"dtype": (floating or tensors)[0].dtype, "device": tensors[0].device}
        if not floating:
            options["dtype"] = dtypes.get_default_dtype()
    else:
        options = {"dtype": dtypes.get_default_dtype()}
    made = [value if isinstance(value, Tensor) else creation.tensor(float(value), **options) for value in values]
    shape = broadcast_shapes(*(value.shape for value in made))
    return [value.expand(shape) for value in made]


def uniform(shape: Any, like: Tensor) -> Tensor:
    """Uniform numbers in the open interval (0, 1), of the dtype and on the device of a tensor."""
    return random.rand(tuple(shape), dtype=like.dtype, device=like.device).clamp(min=2.0**-25)


def normal(shape: Any, like: Tensor) -> Tensor:
    """Standard normal numbers of the dtype and on the device of a tensor."""
    return random.randn(tuple(shape), dtype=like.dtype, device=like.device)


def sum_rightmost(value: Tensor, dimensions: int) -> Tensor:
    """The sum over that many dimensions on the right."""
    return value if dimensions == 0 else value.sum(tuple(range(-dimensions, 0)))


def logits_of(probs: Tensor, binary: bool = False) -> Tensor:
    """The logits of probabilities, which are kept away from 0 (and 1) by the dtype's epsilon."""
    least = dtypes.finfo(probs.dtype).eps
    probs = probs.clamp(min=least, max=1 - least)
    return probs.log() - (-probs).log1p() if binary else probs.log()


def probs_of(logits: Tensor, binary: bool = False) -> Tensor:
    return logits.sigmoid() if binary else logits.softmax(-1)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) for all x."""
    return x.clamp(min=0) + (-x.abs()).exp().log1p()


def all_hold(flags: list[Tensor]) -> bool:
    """Whether all elements are true: those of one shape are read at once, because a GPU takes its time for each read."""
    together: dict[tuple[int, ...], Tensor] = {}
    for flag in flags:
        shape = tuple(flag.shape)
        together[shape] = together[shape] & flag if shape in together else flag
    return all(bool(flag.all()) for flag in together.values())


class Distribution:
    """A distribution over events of `event_shape`, for each place of `batch_shape`.

    Raises ValueError for parameters (and in `log_prob` for values) outside their constraints, unless `validate_args` is
    False; the check reads the device, and is left out inside of compiled functions.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args: bool = __debug__

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if not self._validate_args or capture.active() is not None:
            return
        try:
            limits = self.arg_constraints
        except NotImplementedError:
            return
        checks = {}
        for name, constraint in limits.items():
            # A parameter that was not given is made from another one when it is asked for.
            if name in self.__dict__ and not constraints.is_dependent(constraint):
                checks[name] = constraint.check(getattr(self, name).detach())
        if all_hold(list(checks.values())):
            return
        for name, flags in checks.items():
            value = getattr(self, name)
            if not bool(flags.all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {limits[name]!r}, but found invalid values:\n{value}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Check arguments from now on, or not."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args({value!r}): True or False")
        Distribution._validate_args = value

    arg_constraints: Any = {}
    support: Any = None

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one event."""
        return self._event_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with parameters expanded to `batch_shape`."""
        new = type(self).__new__(type(self))
        shape = tuple(batch_shape)
        for name, value in self.__dict__.items():
            if isinstance(value, Tensor) and name != "_total":
                extra = value.ndim - len(self._batch_shape)
                value = value.expand(*shape, *value.shape[value.ndim - extra :]) if extra >= 0 else value
            elif isinstance(value, Distribution):
                inner = value.batch_shape[len(self._batch_shape) :]
                value = value.expand((*shape, *inner))
            new.__dict__[name] = value
        new._batch_shape = Size(shape)
        new._validate_args = False
        return new

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Tensor:
        """Where the density is greatest."""
        raise NotImplementedError(f"{type(self).__name__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of shape sample_shape + batch_shape + event_shape, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples through which gradients reach the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def sample_n(self, n: int) -> Tensor:
        """`n` samples."""
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or probability, of a value."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of what is not above a value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution, along a new first dimension."""
        raise NotImplementedError(f"{type(self).__name__} cannot enumerate its support")

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        return Size((*shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Tensor) -> None:
        if not self._validate_args or capture.active() is not None:
            return
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        event = len(self._event_shape)
        if tuple(value.shape[value.ndim - event :]) != tuple(self._event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {tuple(value.shape)} vs {tuple(self._event_shape)}."
            )
        expected = (*self._batch_shape, *self._event_shape)
        for own, other in zip(reversed(tuple(value.shape)), reversed(expected), strict=False):
            if own != 1 and other != 1 and own != other:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs {tuple(expected)}."
                )
        try:
            support = self.support
        except NotImplementedError:
            return
        if support is None or constraints.is_dependent(support):
            return
        if not bool(support.check(value.detach()).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                shown.append(f"{name}: {value if value.numel() == 1 else tuple(value.shape)}")
        return f"{type(self).__name__}({', '.join(shown)})"


class ExponentialFamily(Distribution):
    """The base of distributions with densities exp(<t(x), theta> - F(theta) + k(x))."""


def stacked(values: list[Tensor], dim: int) -> Tensor:
    return functional.stack(values, dim)
