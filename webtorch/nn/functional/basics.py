"""Activations, linear maps and dropout. Activations are rows of the op table, with PyTorch's `inplace` argument."""

from __future__ import annotations

from typing import Any

import webtorch

from ... import creation
from ...functional import dropout as _dropout
from ...functional import linear as _linear
from ...ops import TABLE
from ...ops.binary import where
from ...ops.linear import linear_map
from ...precision import autocasts
from ...tensor import Tensor

ACTIVATIONS = (
    "relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardsigmoid", "hardswish", "softplus",
    "sigmoid", "tanh",
)  # fmt: skip


def activation(name: str):
    """The row `name` as torch.nn.functional has it: with an `inplace` argument."""
    row, in_place = TABLE[name], getattr(webtorch, name + "_", None)
    count = len(getattr(row, "scalars", ()))

    def function(input: Tensor, *args: Any, inplace: bool = False, **given: Any) -> Tensor:
        if len(args) > count:  # inplace comes last by position
            inplace, args = args[-1], args[:-1]
        return (in_place if inplace and in_place is not None else row)(input, *args, **given)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = row.__doc__
    return function


relu, relu6, hardtanh, leaky_relu, elu, selu, celu, silu, mish, hardsigmoid, hardswish, softplus, sigmoid, tanh = (
    activation(name) for name in ACTIVATIONS
)
gelu, prelu, logsigmoid = TABLE["gelu"], webtorch.prelu, webtorch.logsigmoid
hardshrink, softshrink, tanhshrink = webtorch.hardshrink, webtorch.softshrink, webtorch.tanhshrink
softsign = webtorch.softsign


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above `threshold`, else `value`.

    >>> import webtorch
    >>> webtorch.nn.functional.threshold(webtorch.tensor([0.5, 2.0]), 1.0, -7.0)
    tensor([-7.,  2.])
    """
    return (webtorch.threshold_ if inplace else webtorch.threshold)(input, threshold, value)


celu_, elu_, hardtanh_, leaky_relu_ = webtorch.celu_, webtorch.elu_, webtorch.hardtanh_, webtorch.leaky_relu_
relu_, rrelu_, selu_, threshold_ = webtorch.relu_, webtorch.rrelu_, webtorch.selu_, webtorch.threshold_
softmax, log_softmax = TABLE["softmax"], TABLE["log_softmax"]


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Leaky rectified units whose slope is random in training and the middle of the range otherwise.

    >>> import webtorch
    >>> webtorch.nn.functional.rrelu(webtorch.tensor([-1.0, 2.0]), 0.25, 0.25)
    tensor([-0.2500,  2.0000])
    """
    if lower > upper:
        raise ValueError(
            f"rrelu(lower={lower}, upper={upper}): lower bound should be less than or equal to the upper bound"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace=inplace)
    slope = webtorch.rand_like(input.detach()) * (upper - lower) + lower
    result = where(input >= 0, input, input * slope)
    return input.copy_(result) if inplace else result


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A random, differentiable choice: softmax of the logits plus Gumbel noise, over the temperature `tau`.

    >>> import webtorch
    >>> webtorch.nn.functional.gumbel_softmax(webtorch.zeros(4, 3), hard=True).sum(1)
    tensor([1., 1., 1., 1.])
    """
    uniform = webtorch.rand_like(logits.detach()).clamp(1e-7, 1 - 1e-7)
    soft = softmax((logits - (-uniform.log()).log()) / tau, dim)
    if not hard:
        return soft
    choice = soft.argmax(dim, keepdim=True)
    shape = [1] * soft.ndim
    shape[dim] = -1
    steps = creation.arange(soft._shape[dim], device=soft.device).reshape(tuple(shape))
    return (steps == choice).to(soft.dtype) - soft.detach() + soft


@autocasts
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, over the last dimension of `input`; `weight` is (out_features, in_features).

    >>> import webtorch
    >>> webtorch.nn.functional.linear(webtorch.ones(1, 2), webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([0.5]))
    tensor([[3.5000]])
    """
    if weight.ndim != 2 or not input.ndim or input._shape[-1] != weight._shape[1]:
        return _linear(input, weight, bias)  # vectors, and what does not fit
    result = linear_map(input, weight)
    return result if bias is None else result + bias


def dropped(input: Tensor, p: float, training: bool, inplace: bool, feature_dims: int | None) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if feature_dims is None or p == 1.0:
        result = _dropout(input, p, training)
    else:
        shape = (*input._shape[: input.ndim - feature_dims], *(1,) * feature_dims)
        keep = webtorch.rand(shape, device=input.device) >= p
        result = where(keep, input * (1.0 / (1.0 - p)), 0.0)
    return input.copy_(result) if inplace else result


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zeroed with probability `p`, the others scaled by 1 / (1 - p), when training.

    >>> import webtorch
    >>> webtorch.nn.functional.dropout(webtorch.ones(3), 0.5, training=False)
    tensor([1., 1., 1.])
    """
    return dropped(input, p, training, inplace, None)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (n, c, l) or (c, l) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.nn.functional.dropout1d(webtorch.ones(1, 2, 1), training=False).flatten()
    tensor([1., 1.])
    """
    return dropped(input, p, training, inplace, 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (n, c, h, w) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.nn.functional.dropout2d(webtorch.ones(1, 2, 1, 1), training=False).flatten()
    tensor([1., 1.])
    """
    return dropped(input, p, training, inplace, 2 if input.ndim != 3 else 1)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (n, c, d, h, w) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.nn.functional.dropout3d(webtorch.ones(1, 2, 1, 1, 1), training=False).flatten()
    tensor([1., 1.])
    """
    return dropped(input, p, training, inplace, 3)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps the mean and variance of what `selu` gives.

    >>> import webtorch
    >>> webtorch.nn.functional.alpha_dropout(webtorch.ones(2), training=False)
    tensor([1., 1.])
    """
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return dropped(input, p, training, inplace, None)
    low = -1.7580993408473766
    scale = (1 - p + p * (1 - p) * low * low) ** -0.5
    keep = webtorch.rand(input._shape, device=input.device) >= p
    result = where(keep, input, low) * scale - p * low * scale
    return input.copy_(result) if inplace else result


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (n, c, ...).

    >>> import webtorch
    >>> webtorch.nn.functional.feature_alpha_dropout(webtorch.ones(1, 2), training=False)
    tensor([[1., 1.]])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return dropped(input, p, training, inplace, None)
    low = -1.7580993408473766
    scale = (1 - p + p * (1 - p) * low * low) ** -0.5
    keep = webtorch.rand(*input._shape[:2], *(1,) * (input.ndim - 2), device=input.device) >= p
    result = where(keep, input, low) * scale - p * low * scale
    return input.copy_(result) if inplace else result


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Whole channels of (n, c, ...) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.feature_dropout(webtorch.ones(2), 0.5, False)
    tensor([1., 1.])
    """
    return dropped(input, p, train, False, input.ndim - 2)
