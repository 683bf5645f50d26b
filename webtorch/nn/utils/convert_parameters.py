"""All parameters of a network as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import webtorch

from ... import grad_mode
from ...tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


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
