"""`biject_to` and `transform_to`: transforms from all real numbers into a constraint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constraints
from .transforms import (
    AffineTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    SigmoidTransform,
    SoftmaxTransform,
    StickBreakingTransform,
    Transform,
    identity_transform,
)

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Which transform leads to which class of constraints."""

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Transform]] = {}

    def register(self, constraint: Any, factory: Callable[[Any], Transform] | None = None) -> Any:
        """Have `factory(constraint)` make the transforms; without a factory it is a decorator."""
        if factory is None:
            return lambda function: self.register(constraint, function)
        self._registry[constraint if isinstance(constraint, type) else type(constraint)] = factory
        return factory

    def __call__(self, constraint: Any) -> Transform:
        """The transform to a constraint. Raises NotImplementedError where none is registered."""
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


biject_to = ConstraintRegistry()
transform_to = ConstraintRegistry()


def between(constraint: Any) -> Transform:
    return ComposeTransform(
        [SigmoidTransform(), AffineTransform(constraint.lower_bound, constraint.upper_bound - constraint.lower_bound)]
    )


for _registry in (biject_to, transform_to):
    _registry.register(constraints.real, lambda constraint: identity_transform)
    for _kind in (constraints.greater_than, constraints.greater_than_eq):
        _registry.register(
            _kind, lambda constraint: ComposeTransform([ExpTransform(), AffineTransform(constraint.lower_bound, 1)])
        )
    _registry.register(
        constraints.less_than,
        lambda constraint: ComposeTransform([ExpTransform(), AffineTransform(constraint.upper_bound, -1)]),
    )
    for _bounded in (constraints.interval, constraints.half_open_interval, constraints.open_interval):
        _registry.register(_bounded, between)
    _registry.register(constraints.corr_cholesky, lambda constraint: CorrCholeskyTransform())
    _registry.register(constraints.lower_cholesky, lambda constraint: LowerCholeskyTransform())
    _registry.register(constraints.positive_definite, lambda constraint: PositiveDefiniteTransform())
    _registry.register(
        constraints.independent,
        lambda constraint, registry=_registry: IndependentTransform(  # type: ignore[misc]
            registry(constraint.base_constraint), constraint.reinterpreted_batch_ndims
        ),
    )
biject_to.register(constraints.simplex, lambda constraint: StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: SoftmaxTransform())
