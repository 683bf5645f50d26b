"""Normalisation over features, groups, channels or batches."""

from __future__ import annotations

from typing import Any

from ... import dtypes, engine, grad_mode, postponed
from ...errors import ShapeError
from ...ops.pool import window_sum
from ...ops.row import standardize
from ...precision import autocasts, widened
from ...shapes import numel
from ...tensor import Tensor


def normalised(x: Tensor, kept: int, eps: float) -> Tensor:
    """x with mean 0 and variance 1 over the dimensions from `kept` on."""
    return standardize(x, kept, eps)


def check_normalised_shape(
    call: str, input: Tensor, normalized_shape: Any, weight: Any, bias: Any = None
) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (int(normalized_shape),)
    if not shape or tuple(input._shape[max(0, input.ndim - len(shape)) :]) != shape:
        raise ShapeError(
            f"{call}: Given normalized_shape={list(shape)}, expected input with shape [*{''.join(f', {size}' for size in shape)}], but got "
            f"input of size{list(input._shape)}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value._shape) != shape:
            raise ShapeError(
                f"{call}: Expected {name} to be of same shape as normalized_shape, but got {list(value._shape)} and {list(shape)}"
            )
    return shape


@autocasts
@widened
def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, which must be `normalized_shape`; then weight and bias.

    >>> import webtorch
    >>> webtorch.nn.functional.layer_norm(webtorch.tensor([1.0, 3.0]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    shape = check_normalised_shape("layer_norm", input, normalized_shape, weight, bias)
    result = normalised(input, input.ndim - len(shape), eps)
    with postponed.together():
        if weight is not None:
            result = result * weight
        return result if bias is None else result + bias


@autocasts
@widened
def rms_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """The input divided by the root of its mean square over the last dimensions; `eps` is the dtype's epsilon by default.

    >>> import webtorch
    >>> webtorch.nn.functional.rms_norm(webtorch.tensor([3.0, 3.0]), (2,))
    tensor([1., 1.])
    """
    shape = check_normalised_shape("rms_norm", input, normalized_shape, weight)
    eps = dtypes.finfo(input.dtype).eps if eps is None else eps
    result = standardize(input, input.ndim - len(shape), eps, False)
    return result if weight is None else result * weight


@autocasts
@widened
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each example; then weight and bias per channel.

    >>> import webtorch
    >>> webtorch.nn.functional.group_norm(webtorch.tensor([[[1.0, 3.0], [2.0, 4.0]]]), 2, eps=0.0)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    if input.ndim < 2:
        raise ShapeError(f"group_norm: Expected at least 2 dimensions for input tensor but received {input.ndim}")
    if num_groups <= 0 or input._shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input._shape)} and "
            f"num_groups={num_groups}"
        )
    members = input._shape[1] // num_groups * numel(input._shape[2:])
    grouped = input.reshape((input._shape[0], num_groups, members))
    result = normalised(grouped, 2, eps).reshape(input._shape)
    return per_channel(result, weight, bias)


def per_channel(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1,) + (1,) * (x.ndim - 2)
    if weight is not None:
        x = x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


@autocasts
@widened
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Mean 0 and variance 1 per channel (dimension 1): of the batch when training, else by the running statistics.

    In training the running statistics, if given, move towards the batch's by `momentum`.

    >>> import webtorch
    >>> webtorch.nn.functional.batch_norm(webtorch.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    dims = (0, *range(2, input.ndim))
    shape = (-1,) + (1,) * (input.ndim - 2)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("Expected running_mean and running_var to be defined when training=False")
        scale = (running_var + eps).rsqrt()
        return per_channel((input - running_mean.reshape(shape)) * scale.reshape(shape), weight, bias)
    count = numel(tuple(input._shape[dim] for dim in dims))
    if count <= 1 and numel(input._shape):
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    average = input.mean(dims, keepdim=True)
    centred = input - average
    variance = centred.square().mean(dims, keepdim=True)
    with grad_mode.no_grad():
        for running, value, factor in (
            (running_mean, average, 1.0),
            (running_var, variance, count / max(count - 1, 1)),
        ):
            if running is not None and count:
                settle(running)
                running.copy_(running * (1 - momentum) + value.detach().reshape(-1) * (momentum * factor))
    return per_channel(centred * (variance + eps).rsqrt(), weight, bias)


def settle(statistic: Tensor) -> None:
    """Compute a statistic that an earlier step left pending, so that a long training does not pile up updates."""
    if statistic._storage.node.buffer is None:
        engine.realize([statistic._storage.node])


@autocasts
@widened
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Mean 0 and variance 1 of each channel of each example; or by the running statistics.

    >>> import webtorch
    >>> webtorch.nn.functional.instance_norm(webtorch.tensor([[[1.0, 3.0], [2.0, 4.0]]]), eps=0.0)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = tuple(range(2, input.ndim))
    count = numel(input._shape[2:])
    if count <= 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    average = input.mean(dims, keepdim=True)
    centred = input - average
    variance = centred.square().mean(dims, keepdim=True)
    with grad_mode.no_grad():
        for running, value, factor in ((running_mean, average, 1.0), (running_var, variance, count / (count - 1))):
            if running is not None:
                settle(running)
                running.copy_(running * (1 - momentum) + value.detach().mean(0).reshape(-1) * (momentum * factor))
    return per_channel(centred * (variance + eps).rsqrt(), weight, bias)


@widened
def local_response_norm(input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each element divided by a power of the mean square of its neighbours in the channel dimension.

    >>> import webtorch
    >>> webtorch.nn.functional.local_response_norm(webtorch.ones(1, 2, 1), 2, alpha=2.0, beta=1.0)
    tensor([[[0.5000],
             [0.3333]]])
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    squares = input.square().movedim(1, -1)
    total = window_sum(squares, (size // 2,), (1,), (input._shape[1] + size - 1,), (size,), (1,), (1,)).movedim(-1, 1)
    return input / (total * (alpha / size) + k).pow(beta)


@widened
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """The input divided by its p-norm along `dim`, which is taken to be at least `eps`.

    >>> import webtorch
    >>> webtorch.nn.functional.normalize(webtorch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    result = input / input.norm(p, dim, keepdim=True).clamp_min(eps)
    return result if out is None else out.copy_(result)
