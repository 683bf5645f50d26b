"""Checking derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import grad_mode
from ..tensor import Tensor
from .engine import as_tuple, grad


class GradcheckError(RuntimeError):
    """A derivative differs from its finite difference."""


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    seed: int = 0,
) -> bool:
    """Compare the gradients of `func` with central differences, along random directions with random weights of the outputs.

    Use float64 inputs: float32 differences are too rough for the default tolerances. Returns True, or raises
    GradcheckError (or returns False, without `raise_exception`).

    >>> import webtorch
    >>> x = webtorch.rand(3, dtype=webtorch.float64, requires_grad=True)
    >>> webtorch.autograd.gradcheck(lambda x: (x * x).sum(), (x,))
    True
    """
    return check(func, inputs, eps, atol, rtol, raise_exception, seed, lambda value: value.requires_grad)


def check(
    func: Callable,
    inputs: Any,
    eps: float,
    atol: float,
    rtol: float,
    raise_exception: bool,
    seed: int,
    counts: Callable[[Tensor], bool],
) -> bool:
    """`gradcheck` of those results of `func` for which `counts` is true; gradients that were not recorded are zero."""
    inputs = as_tuple(inputs)
    wanted = [position for position, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    generator = np.random.default_rng(seed)
    results = [value for value in as_tuple(func(*inputs)) if isinstance(value, Tensor)]
    places = [place for place, value in enumerate(results) if counts(value)]
    outputs = [results[place] for place in places]
    if not outputs:
        raise ValueError("gradcheck: none of the function's outputs requires grad")
    from ..creation import tensor

    weights = [generator.standard_normal(value._shape) for value in outputs]
    given = [
        tensor(weight, dtype=value.dtype, device=value.device) for weight, value in zip(weights, outputs, strict=True)
    ]
    recorded = [number for number, value in enumerate(outputs) if value.requires_grad]
    gradients = (None,) * len(wanted)
    if recorded:
        gradients = grad(
            [outputs[number] for number in recorded],
            [inputs[position] for position in wanted],
            [given[number] for number in recorded],
            allow_unused=True,
        )

    def weighted(values: list) -> float:
        with grad_mode.no_grad():
            results = [value for value in as_tuple(func(*values)) if isinstance(value, Tensor)]
        arrays = [results[place].detach().numpy().astype(np.float64) for place in places]
        return float(sum((weight * array).sum() for weight, array in zip(weights, arrays, strict=True)))

    for position, gradient in zip(wanted, gradients, strict=True):
        for _ in range(2):
            direction = generator.standard_normal(inputs[position]._shape)
            shifted = []
            for sign in (1, -1):
                values = list(inputs)
                moved = inputs[position].detach().numpy().astype(np.float64) + sign * eps * direction
                values[position] = tensor(moved, dtype=inputs[position].dtype, device=inputs[position].device)
                shifted.append(weighted(values))
            numeric = (shifted[0] - shifted[1]) / (2 * eps)
            analytic = (
                0.0 if gradient is None else float((gradient.detach().numpy().astype(np.float64) * direction).sum())
            )
            if not abs(numeric - analytic) <= atol * max(1.0, np.sqrt(direction.size)) + rtol * abs(numeric):
                if not raise_exception:
                    return False
                raise GradcheckError(
                    f"Jacobian mismatch for input {position} of shape {list(inputs[position]._shape)}: along a random direction the "
                    f"finite difference is {numeric!r}, the gradient gives {analytic!r}"
                )
    return True


def gradgradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    seed: int = 1,
) -> bool:
    """`gradcheck` of the gradients of `func`, as functions of its inputs and of the gradients of its outputs.

    >>> import webtorch
    >>> x = webtorch.rand(3, dtype=webtorch.float64, requires_grad=True)
    >>> webtorch.autograd.gradgradcheck(lambda x: (x * x * x).sum(), (x,))
    True
    """
    inputs = as_tuple(inputs)
    wanted = [position for position, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]
    outputs = [value for value in as_tuple(func(*inputs)) if isinstance(value, Tensor) and value.requires_grad]
    from ..creation import tensor

    generator = np.random.default_rng(seed)
    given = [tensor(generator.standard_normal(value._shape), dtype=value.dtype, device=value.device) for value in outputs]
    given = [value.requires_grad_() for value in given]

    def first(*values: Any) -> tuple:
        points, weights = values[: len(inputs)], values[len(inputs) :]
        points = tuple(
            value if position not in wanted or value.requires_grad else value.detach().requires_grad_()
            for position, value in enumerate(points)
        )
        with grad_mode.enable_grad():
            results = [value for value in as_tuple(func(*points)) if isinstance(value, Tensor) and value.requires_grad]
            found = grad(
                results, [points[position] for position in wanted], list(weights), create_graph=True, allow_unused=True
            )
        return tuple(value for value in found if value is not None)

    # All gradients count, those without history too: a rule that drops it would go unnoticed otherwise.
    return check(first, (*inputs, *given), eps, atol, rtol, raise_exception, seed, lambda value: True)
