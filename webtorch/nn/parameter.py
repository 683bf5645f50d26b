"""Parameters and buffers, by the place where PyTorch has them."""

from __future__ import annotations

from typing import Any

from .lazy import UninitializedBuffer, UninitializedParameter, UninitializedTensorMixin, is_uninitialized
from .module import Buffer, Parameter

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]


def is_lazy(param: Any) -> bool:
    """Whether the shape of a parameter or buffer is not known yet.

    >>> import webtorch
    >>> webtorch.nn.parameter.is_lazy(webtorch.nn.LazyLinear(2).weight)
    True
    """
    return is_uninitialized(param)
