"""Helpers for training: gradients clipped by norm or value, parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import webtorch

from .. import creation, grad_mode
from ..tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "vector_to_parameters"]


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
    total = webtorch.stack(norms).norm(float(norm_type)) if len(norms) > 1 else norms[0]
    if error_if_nonfinite and not bool(total.isfinite().item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. To disable this "
            "error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


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
        factor = (float(max_norm) / (total + 1e-6)).clamp_max(1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.device))
        return total


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


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after the other.

    >>> import webtorch
    >>> webtorch.nn.utils.parameters_to_vector(webtorch.nn.Linear(2, 3).parameters()).shape
    webtorch.Size([9])
    """
    return webtorch.cat([parameter.reshape((-1,)) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write consecutive parts of a vector into the parameters."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected webtorch.Tensor, but got: {type(vec).__name__}")
    start = 0
    with grad_mode.no_grad():
        for parameter in parameters:
            count = parameter.numel()
            parameter.data = vec[start : start + count].reshape(parameter._shape).detach().clone()
            start += count
