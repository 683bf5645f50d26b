"""Questions about whole tensors, writing into them, and the activations that are no rows."""

from __future__ import annotations

from typing import Any

from .. import creation, dtypes
from ..errors import DTypeError, ShapeError
from ..ops import TABLE
from ..ops.matmul import inner_error
from ..precision import autocasts
from ..shapes import (
    normalize_dim,
    numel,
)
from ..tensor import Tensor
from .layout import chunk
from .method import method
from .products import matmul


@method
def equal(input: Tensor, other: Tensor) -> bool:
    """True when both tensors have one shape and equal elements. Reads back from a GPU.

    >>> import webtorch
    >>> webtorch.equal(webtorch.tensor([1, 2]), webtorch.tensor([1, 2]))
    True
    """
    if input._shape != other._shape:
        return False
    return not numel(input._shape) or bool((input == other).all().item())


@method
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """True where |input - other| <= atol + rtol * |other|; equal infinities are close.

    >>> import webtorch
    >>> webtorch.isclose(webtorch.tensor([1.0, 2.0]), webtorch.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    if input.dtype is not other.dtype:
        raise DTypeError(f"isclose: {input.dtype} did not match {other.dtype}; convert one with .to(dtype)")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"isclose: {name} must be greater than or equal to zero, but got {value}")
    if not input.dtype.is_differentiable:
        if not rtol and not atol:
            return input == other
        wide = dtypes.float64 if input.device.type != "webgpu" else dtypes.float32
        input, other = input.to(wide), other.to(wide)
    close = (input == other) | (
        ((input - other).abs() <= atol + rtol * other.abs()) & other.isfinite() & input.isfinite()
    )
    return close | (input.isnan() & other.isnan()) if equal_nan else close


@method
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """True when all elements are close (see `isclose`). Reads back from a GPU.

    >>> import webtorch
    >>> webtorch.allclose(webtorch.tensor([1.0]), webtorch.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all().item())


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """True where an element is among `test_elements`.

    >>> import webtorch
    >>> webtorch.isin(webtorch.tensor([1, 2, 3]), webtorch.tensor([2, 3]))
    tensor([False,  True,  True])
    """
    if not isinstance(elements, Tensor):
        elements = creation.tensor(elements, device=test_elements.device)
    if not isinstance(test_elements, Tensor):
        test_elements = creation.tensor(test_elements, device=elements.device)
    found = (elements.unsqueeze(-1) == test_elements.reshape((-1,))).any(-1)
    return ~found if invert else found


@method
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """The elements of `src` (broadcast, converted, moved) written into this tensor."""
    from ..autograd import inplace

    inplace.check_target(self, "copy_")
    src = src if isinstance(src, Tensor) else creation.tensor(src, dtype=self.dtype, device=self.device)
    return inplace.assign(self, src.to(device=self.device, dtype=self.dtype).expand(self._shape), "copy_", True)


@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """Every element set to a number (or to a 0-d tensor)."""
    from ..autograd import inplace

    inplace.check_target(self, "fill_")
    if isinstance(value, Tensor):
        if value._shape:
            raise ShapeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        value = value.to(device=self.device, dtype=self.dtype).expand(self._shape)
    else:
        value = creation.full(self._shape, value, dtype=self.dtype, device=self.device)
    return inplace.assign(self, value, "fill_", True)


@method
def zero_(self: Tensor) -> Tensor:
    """Every element set to zero."""
    return self.fill_(0)


@method
def dropout(input: Tensor, p: float = 0.5, training: bool = True, train: bool | None = None) -> Tensor:
    """Each element zeroed with probability `p` and the others scaled by 1 / (1 - p), when training.

    >>> import webtorch
    >>> webtorch.dropout(webtorch.ones(3), 0.5, training=False)
    tensor([1., 1., 1.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    training = training if train is None else train
    if not training or p == 0:
        return input
    if p == 1:
        return input * creation.zeros((), dtype=input.dtype, device=input.device)  # NaN stays
    from ..random import rand

    keep = rand(input._shape, device=input.device) >= p
    return TABLE["where"](keep, input * (1.0 / (1.0 - p)), 0.0)


def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """Leaky ReLU whose slope for negative elements is drawn from [lower, upper] when training, else their mean.

    >>> import webtorch
    >>> webtorch.rrelu(webtorch.tensor([-1.0, 2.0]), 0.5, 0.5)
    tensor([-0.5000,  2.0000])
    """
    if lower > upper:
        raise ValueError(
            f"rrelu(lower={lower}, upper={upper}): lower bound should be less than or equal to the upper bound"
        )
    slope: Any = (lower + upper) / 2
    if training:
        from ..random import rand

        slope = rand(input._shape, device=input.device) * (upper - lower) + lower
    return TABLE["where"](input >= 0, input, input * slope)


@autocasts
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, over the last dimension of `input`; `weight` is (out_features, in_features).

    >>> import webtorch
    >>> webtorch.linear(webtorch.ones(1, 2), webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([0.5]))
    tensor([[3.5000]])
    """
    if weight.ndim not in (1, 2):
        raise ShapeError(f"linear: weight must be 1-D or 2-D, but has shape {list(weight._shape)}")
    if not input._shape or input._shape[-1] != weight._shape[-1]:
        raise inner_error("linear", input, weight.t(), input._shape[-1] if input._shape else 0, weight._shape[-1])
    result = matmul(input, weight.t())
    return result if bias is None else result + bias


@autocasts
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second half.

    >>> import webtorch
    >>> webtorch.glu(webtorch.tensor([2.0, 0.0]))
    tensor([1.])
    """
    dim = normalize_dim(dim, input.ndim, "glu")
    if input._shape[dim] % 2:
        raise ShapeError(
            f"glu(dim={dim}): Halving dimension must be even, but dimension {dim} is size {input._shape[dim]}"
        )
    first, second = chunk(input, 2, dim)
    return first * second.sigmoid()


@autocasts
def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """softmax(-input) along `dim`.

    >>> import webtorch
    >>> webtorch.softmin(webtorch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return TABLE["softmax"](-input, dim, dtype)
