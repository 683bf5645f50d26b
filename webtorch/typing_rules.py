"""Questions about tensors and dtypes that compute nothing."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .dtypes import dtype as DType
from .ops import as_input
from .ops import result_dtype as _result_dtype
from .tensor import Tensor


def is_tensor(obj: Any) -> bool:
    """True for a Tensor.

    >>> import webtorch
    >>> webtorch.is_tensor(webtorch.zeros(1)), webtorch.is_tensor(1.0)
    (True, False)
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """True when the tensor's dtype is a floating one.

    >>> import webtorch
    >>> webtorch.is_floating_point(webtorch.zeros(1))
    True
    """
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """True when the tensor's dtype is complex.

    >>> import webtorch
    >>> webtorch.is_complex(webtorch.zeros(1))
    False
    """
    return input.dtype.is_complex


def is_nonzero(input: Tensor) -> bool:
    """True when the only element is not zero.

    >>> import webtorch
    >>> webtorch.is_nonzero(webtorch.tensor([2.0]))
    True
    """
    return bool(input)


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> import webtorch
    >>> webtorch.numel(webtorch.zeros(2, 3))
    6
    """
    return input.numel()


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype that arithmetic on two tensors or numbers gives.

    >>> import webtorch
    >>> webtorch.result_type(webtorch.tensor([1, 2]), 1.0)
    webtorch.float32
    """
    return _result_dtype([as_input(tensor1, "result_type"), as_input(tensor2, "result_type")])


__all__ = ["dtypes", "is_complex", "is_floating_point", "is_nonzero", "is_tensor", "numel", "result_type"]
