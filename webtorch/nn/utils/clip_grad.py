"""Gradients of many parameters as one vector: its norm, and clipping by norm or value."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import webtorch

from ... import creation, dtypes, grad_mode
from ...ops import TABLE
from ...tensor import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

READS = 6  # values that are combined at a time


def gradients_of(parameters: Any) -> list[Tensor]:
    many = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [parameter.grad for parameter in many if parameter.grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """The norm of all tensors as if they were one vector, as a 0-d tensor."""
    many = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not many:
        return creation.tensor(0.0)
    device = many[0].device
    norms = [tensor.norm(float(norm_type)).to(device=device, dtype=many[0].dtype) for tensor in many]
    total = norm_of_norms(norms, float(norm_type)) if len(norms) > 1 else norms[0]
    if error_if_nonfinite and not bool(total.isfinite().item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. To disable this "
            "error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def norm_of_norms(norms: list[Tensor], p: float) -> Tensor:
    """The norm of 0-d tensors as a vector. On a GPU a few kernels for any number: stacking takes one for each."""
    if norms[0].is_cpu or any(norm.requires_grad for norm in norms):
        return webtorch.stack(norms).norm(p)
    wide = [norm.to(dtypes.accumulator(norm.dtype)) for norm in norms]
    if math.isinf(p):
        total = combined(TABLE["maximum"] if p > 0 else TABLE["minimum"], wide)
    elif p == 0:
        total = combined(operator.add, [(norm != 0).to(norm.dtype) for norm in wide])
    elif p == 2:
        total = combined(operator.add, [norm * norm for norm in wide]).sqrt()
    else:
        total = combined(operator.add, [norm**p for norm in wide]) ** (1 / p)
    return total.to(norms[0].dtype)


def combined(operation: Callable[[Tensor, Tensor], Tensor], values: list[Tensor]) -> Tensor:
    """The values combined in a tree, so many at a time as the kernel of any GPU may read."""
    while len(values) > 1:
        values = [functools.reduce(operation, values[start : start + READS]) for start in range(0, len(values), READS)]
    return values[0]


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """Scale the gradients, in place, so that their norm as one vector is at most `max_norm`; returns the norm before.

    Nothing is read back from a GPU unless `error_if_nonfinite` is true.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.zeros(2))
    >>> x.grad = webtorch.tensor([3.0, 4.0])
    >>> webtorch.nn.utils.clip_grad_norm_([x], 1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    with grad_mode.no_grad():
        gradients = gradients_of(parameters)
        total = get_total_norm(gradients, norm_type, error_if_nonfinite)
        scale_down(gradients, max_norm, total)
        return total


def scale_down(gradients: list[Tensor], max_norm: float, total: Tensor) -> None:
    factor = (float(max_norm) / (total + 1e-6)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(factor.to(gradient.device))


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Tensor, foreach: Any = None) -> None:
    """Scale the gradients, in place, by what brings `total_norm`, computed before, down to `max_norm`.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.zeros(2))
    >>> x.grad = webtorch.tensor([3.0, 4.0])
    >>> webtorch.nn.utils.clip_grads_with_norm_(x, 1.0, webtorch.tensor(5.0))
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    with grad_mode.no_grad():
        scale_down(gradients_of(parameters), max_norm, total_norm)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Limit every element of the gradients, in place, to [-clip_value, clip_value].

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.zeros(2))
    >>> x.grad = webtorch.tensor([3.0, -0.5])
    >>> webtorch.nn.utils.clip_grad_value_([x], 1.0)
    >>> x.grad
    tensor([ 1.0000, -0.5000])
    """
    with grad_mode.no_grad():
        for gradient in gradients_of(parameters):
            gradient.clamp_(-float(clip_value), float(clip_value))


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """`clip_grad_norm_`, by its old name."""
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
