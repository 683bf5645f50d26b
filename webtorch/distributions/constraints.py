"""Regions that parameters and values of distributions lie in; `constraint.check(value)` says for each element or event."""

from __future__ import annotations

from typing import Any

from .. import linalg
from ..ops import TABLE
from ..tensor import Tensor

__all__ = [
    "Constraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property", "greater_than", "greater_than_eq",
    "half_open_interval", "independent", "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "open_interval", "positive",
    "positive_definite", "positive_integer", "positive_semidefinite",
    "real", "real_vector", "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A region; `event_dim` dimensions on the right are checked together."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Where the value lies in the region: a tensor of booleans without the last `event_dim` dimensions."""
        raise NotImplementedError(type(self).__name__)

    def __repr__(self) -> str:
        shown = {name: bound for name, bound in vars(self).items() if "bound" in name}
        return f"{type(self).__name__.lstrip('_')}({', '.join(f'{name}={bound}' for name, bound in shown.items())})"


class _Dependent(Constraint):
    """Depends on other parameters or is not known: checked by the property that a distribution defines."""

    def __init__(self, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, *, is_discrete: bool = False, event_dim: int = 0) -> _Dependent:
        return _Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint depends on a distribution's parameters."""
    return isinstance(constraint, _Dependent)


class dependent_property(property, _Dependent):  # noqa: N801
    """A property that gives the constraint for an instance."""

    def __init__(self, function: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        super().__init__(function)
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, function: Any) -> dependent_property:  # type: ignore[override]
        return dependent_property(function, is_discrete=self.is_discrete, event_dim=self.event_dim)


class _Independent(Constraint):
    """Several dimensions of another constraint, which hold only together."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        result = self.base_constraint.check(value)
        if result.ndim < self.reinterpreted_batch_ndims:
            raise ValueError(
                f"Expected value.dim() >= {self.event_dim} but got {value.ndim}: the constraint is of whole events"
            )
        return together(result, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


def together(flags: Tensor, dimensions: int) -> Tensor:
    for _ in range(dimensions):
        flags = flags.all(-1)
    return flags


class _Real(Constraint):
    def check(self, value: Tensor) -> Tensor:
        return value == value


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _Between(Constraint):
    """Between bounds, of which each belongs to it or not; None where there is none."""

    def __init__(self, lower_bound: Any = None, upper_bound: Any = None) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    closed = (True, True)
    whole = False

    def check(self, value: Tensor) -> Tensor:
        result = value == value
        if self.lower_bound is not None:
            result = result & (value >= self.lower_bound if self.closed[0] else value > self.lower_bound)
        if self.upper_bound is not None:
            result = result & (value <= self.upper_bound if self.closed[1] else value < self.upper_bound)
        if self.whole and value.dtype.is_floating_point:
            return result & (value.frac() == 0)  # infinity has no fraction: not a number
        return result


class _Interval(_Between):
    pass


class _HalfOpenInterval(_Between):
    closed = (True, False)


class _OpenInterval(_Between):
    closed = (False, False)


class _IntegerInterval(_Between):
    whole = is_discrete = True


class _GreaterThan(_Between):
    closed = (False, False)

    def __init__(self, lower_bound: Any) -> None:
        super().__init__(lower_bound)


class _GreaterThanEq(_GreaterThan):
    closed = (True, True)


class _LessThan(_Between):
    closed = (False, False)

    def __init__(self, upper_bound: Any) -> None:
        super().__init__(None, upper_bound)


class _IntegerGreaterThan(_GreaterThanEq):
    whole = is_discrete = True


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6 * max(1, value.shape[-1]))


class _Multinomial(Constraint):
    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class _Square(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        matches = value.shape[-1] == value.shape[-2]
        return (value == value).all(-1).all(-1) | True if matches else (value != value).all(-1).all(-1) & False


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return (value.tril() == value).all(-1).all(-1)


class _LowerCholesky(_LowerTriangular):
    def check(self, value: Tensor) -> Tensor:
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    def check(self, value: Tensor) -> Tensor:
        unit = ((value * value).sum(-1) - 1).abs() <= 1e-6 * value.shape[-1] * 10
        return unit.all(-1) & super().check(value)


class _Symmetric(_Square):
    def check(self, value: Tensor) -> Tensor:
        transposed = value.transpose(-2, -1)
        return super().check(value) & ((value - transposed).abs() <= 1e-6 + 1e-5 * transposed.abs()).all(-1).all(-1)


class _PositiveDefinite(_Symmetric):
    def check(self, value: Tensor) -> Tensor:
        return super().check(value) & (linalg.cholesky_ex(value).info == 0)


class _PositiveSemidefinite(_Symmetric):
    def check(self, value: Tensor) -> Tensor:
        return super().check(value) & (linalg.eigvalsh(value) >= 0).all(-1)


class _Several(Constraint):
    """Constraints for the parts of a value along a dimension."""

    def __init__(self, cseq: Any, dim: int = 0, lengths: Any = None) -> None:
        self.cseq, self.dim = list(cseq), dim
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        self.is_discrete = any(each.is_discrete for each in self.cseq)
        self.event_dim = max(each.event_dim for each in self.cseq)


class _Cat(_Several):
    def check(self, value: Tensor) -> Tensor:
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths, strict=True):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return TABLE["cat"](checks, self.dim)


class _Stack(_Several):
    def check(self, value: Tensor) -> Tensor:
        parts = [value.select(self.dim, place) for place in range(value.shape[self.dim])]
        checks = [each.check(part) for part, each in zip(parts, self.cseq, strict=True)]
        from ..functional import stack

        return stack(checks, self.dim)


dependent = _Dependent()
independent = _Independent
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
open_interval = _OpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
