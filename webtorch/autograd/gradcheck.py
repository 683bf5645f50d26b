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
    inputs = as_tuple(inputs)
    wanted = [position for position, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
        )
    generator = np.random.default_rng(seed)
    outputs = [value for value in as_tuple(func(*inputs)) if isinstance(value, Tensor) and value.requires_grad]
    if not outputs:
        raise ValueError("gradcheck: none of the function's outputs requires grad")
    from ..creation import tensor

    weights = [generator.standard_normal(value._shape) for value in outputs]
    given = [
        tensor(weight, dtype=value.dtype, device=value.device) for weight, value in zip(weights, outputs, strict=True)
    ]
    gradients = grad(outputs, [inputs[position] for position in wanted], given, allow_unused=True)

    def weighted(values: list) -> float:
        with grad_mode.no_grad():
            results = [value for value in as_tuple(func(*values)) if isinstance(value, Tensor)]
        floating = [value for value in results if value.dtype.is_floating_point][: len(weights)]
        arrays = [value.detach().numpy().astype(np.float64) for value in floating]
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
    """`gradcheck` of the gradients of `func`: its second derivatives.

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
    given = [
        tensor(generator.standard_normal(value._shape), dtype=value.dtype, device=value.device) for value in outputs
    ]

    def first(*values: Any) -> tuple:
        values = tuple(
            value.detach().requires_grad_() if position in wanted and not value.requires_grad else value
            for position, value in enumerate(values)
        )
        with grad_mode.enable_grad():
            results = [value for value in as_tuple(func(*values)) if isinstance(value, Tensor) and value.requires_grad]
            found = grad(
                results, [values[position] for position in wanted], given, create_graph=True, allow_unused=True
            )
        return tuple(value for value in found if value is not None)

    probe = first(*inputs)
    if not any(value.requires_grad for value in probe):
        return True  # a linear function: its second derivative is zero everywhere, and nothing is recorded
    return gradcheck(first, inputs, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, seed=seed)
