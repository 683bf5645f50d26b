"""The functions behind the modules, by PyTorch's names: `webtorch.nn.functional`.

Activations are rows of the op table and only named here; convolutions, pooling, normalisation, losses and attention are
written with rows.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

import webtorch

from .. import creation, dtypes, engine, grad_mode
from ..errors import DTypeError, ShapeError
from ..functional import dropout as _dropout
from ..functional import glu, softmin
from ..functional import linear as _linear
from ..indexing import checked
from ..ops import TABLE, common_device
from ..ops.binary import where
from ..ops.conv import as_sizes, convolve, convolve_transposed
from ..ops.gather import take
from ..ops.linear import linear_map
from ..ops.pad import pad as pad_constant
from ..ops.pick import pick
from ..ops.pool import first_maximum, window_maximum, window_sum
from ..shapes import numel
from ..tensor import Tensor

# ---- activations ----------------------------------------------------------------------------------------------------

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
softsign, threshold = webtorch.softsign, webtorch.threshold
softmax, log_softmax = TABLE["softmax"], TABLE["log_softmax"]


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Leaky rectified units whose slope is random in training and the middle of the range otherwise."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace=inplace)
    slope = webtorch.rand_like(input.detach()) * (upper - lower) + lower
    result = where(input >= 0, input, input * slope)
    return input.copy_(result) if inplace else result


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A random, differentiable choice: softmax of the logits plus Gumbel noise, over the temperature `tau`."""
    uniform = webtorch.rand_like(logits.detach()).clamp(1e-7, 1 - 1e-7)
    soft = softmax((logits - (-uniform.log()).log()) / tau, dim)
    if not hard:
        return soft
    choice = soft.argmax(dim, keepdim=True)
    shape = [1] * soft.ndim
    shape[dim] = -1
    steps = creation.arange(soft._shape[dim], device=soft.device).reshape(tuple(shape))
    return (steps == choice).to(soft.dtype) - soft.detach() + soft


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


# ---- dropout --------------------------------------------------------------------------------------------------------


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
    """Whole channels of (n, c, l) or (c, l) zeroed with probability `p`."""
    return dropped(input, p, training, inplace, 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (n, c, h, w) zeroed with probability `p`."""
    return dropped(input, p, training, inplace, 2 if input.ndim != 3 else 1)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (n, c, d, h, w) zeroed with probability `p`."""
    return dropped(input, p, training, inplace, 3)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps the mean and variance of what `selu` gives."""
    if not training or p == 0.0:
        return input
    low = -1.7580993408473766
    scale = (1 - p + p * (1 - p) * low * low) ** -0.5 if p < 1 else 0.0
    keep = webtorch.rand(input._shape, device=input.device) >= p
    result = where(keep, input, low) * scale - p * low * scale
    return input.copy_(result) if inplace else result


# ---- convolution ----------------------------------------------------------------------------------------------------


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of (n, c, l) with weights (out, c / groups, k). `padding` may be "same" or "valid".

    >>> import webtorch
    >>> webtorch.nn.functional.conv1d(webtorch.tensor([[[1.0, 2.0, 4.0]]]), webtorch.tensor([[[1.0, 1.0]]]))
    tensor([[[3., 6.]]])
    """
    return convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of (n, c, h, w) with weights (out, c / groups, kh, kw). `padding` may be "same" or "valid".

    >>> import webtorch
    >>> webtorch.nn.functional.conv2d(webtorch.ones(1, 1, 3, 3), webtorch.ones(2, 1, 2, 2)).shape
    webtorch.Size([1, 2, 2, 2])
    """
    return convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of (n, c, d, h, w) with weights (out, c / groups, kd, kh, kw)."""
    return convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv1d` as an operation: weights are (in, out / groups, k)."""
    return convolve_transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv2d` as an operation: weights are (in, out / groups, kh, kw).

    >>> import webtorch
    >>> webtorch.nn.functional.conv_transpose2d(webtorch.ones(1, 1, 2, 2), webtorch.ones(1, 1, 2, 2), stride=2).shape
    webtorch.Size([1, 1, 4, 4])
    """
    return convolve_transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv3d` as an operation: weights are (in, out / groups, kd, kh, kw)."""
    return convolve_transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Elements added before and after the last dimensions: `pad` is (before last, after last, before second last, ...).

    Modes: "constant" (with `value`; negative amounts cut off), "reflect", "replicate", "circular".

    >>> import webtorch
    >>> webtorch.nn.functional.pad(webtorch.tensor([1, 2, 3]), (1, 2), mode="constant", value=9)
    tensor([9, 1, 2, 3, 9, 9])
    """
    amounts = tuple(int(amount) for amount in pad)
    if len(amounts) % 2:
        raise ShapeError(f"pad({list(amounts)}): Padding length must be divisible by 2")
    if len(amounts) > 2 * input.ndim:
        raise ShapeError(
            f"pad({list(amounts)}): padding length is more than twice the {input.ndim} dimensions of the input"
        )
    if mode == "constant":
        low, shape = [0] * input.ndim, list(input._shape)
        for number in range(len(amounts) // 2):
            dim = input.ndim - 1 - number
            before, after = amounts[2 * number : 2 * number + 2]
            low[dim] = before
            shape[dim] += before + after
            if shape[dim] < 0:
                raise ShapeError(
                    f"pad({list(amounts)}): The input size {input._shape[dim]}, plus negative padding {before} and {after}, resulted in a "
                    "negative output size"
                )
        if not any(amounts):
            return input.clone()
        filling = 0 if value is None else value
        return pad_constant(input, tuple(low), (1,) * input.ndim, tuple(shape), filling)
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    for number in range(len(amounts) // 2):
        dim = input.ndim - 1 - number
        before, after = amounts[2 * number : 2 * number + 2]
        if before or after:
            index = source_positions(mode, input._shape[dim], before, after)
            input = input.index_select(dim, creation.tensor(index, device=input.device))
    return input


def source_positions(mode: str, size: int, before: int, after: int) -> np.ndarray:
    """Which element each position of a padded dimension shows."""
    places = np.arange(-before, size + after)
    if mode == "replicate":
        return places.clip(0, size - 1)
    if mode == "circular":
        if before > size or after > size:
            raise ShapeError(
                f"pad: Padding value causes wrapping around more than once ({before}, {after} for size {size})"
            )
        return places % size
    if mode == "reflect":
        if before >= size or after >= size:
            raise ShapeError(
                f"pad: Padding size should be less than the corresponding input dimension, but got: padding ({before}, "
                f"{after}) at size {size}"
            )
        places = np.abs(places)
        return np.where(places >= size, 2 * (size - 1) - places, places)
    raise NotImplementedError(f"Unrecognised padding mode {mode}; known are constant, reflect, replicate and circular")


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Windows of (n, c, h, w) as columns: (n, c * kh * kw, number of windows)."""
    from ..ops.conv import windows

    size, gap, low, step = (
        as_sizes(value, 2, name, "unfold")
        for value, name in (
            (kernel_size, "kernel_size"),
            (dilation, "dilation"),
            (padding, "padding"),
            (stride, "stride"),
        )
    )
    unbatched = input.ndim == 3
    x = input.unsqueeze(0) if unbatched else input
    room = tuple(n + 2 * p for n, p in zip(x._shape[2:], low, strict=True))
    view = windows(x, low, (1, 1), room, size, step, gap, 0.0)  # (n, c, oh, ow, kh, kw)
    result = view.permute((0, 1, 4, 5, 2, 3)).reshape((x._shape[0], x._shape[1] * numel(size), -1))
    return result.squeeze(0) if unbatched else result


# ---- pooling --------------------------------------------------------------------------------------------------------


def pooled_room(
    call: str, shape: tuple, size: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool
) -> tuple:
    """The padded size that the windows cover, and the number of windows, by PyTorch's rule for `ceil_mode`."""
    room, counts = [], []
    for n, k, s, p, d in zip(shape, size, stride, padding, dilation, strict=True):
        if k <= 0 or s <= 0 or d <= 0:
            raise ShapeError(
                f"{call}: kernel size, stride and dilation should be greater than zero, but got kernel {size}, stride "
                f"{stride}, dilation {dilation}"
            )
        if p < 0 or 2 * p > d * (k - 1) + 1:
            raise ShapeError(
                f"{call}: pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
            )
        reach = d * (k - 1) + 1
        span = n + 2 * p - reach
        count = (-(-span // s) if ceil_mode else span // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # the last window must start inside the input or its left padding
        if count < 1:
            raise ShapeError(
                f"{call}: Given input size {list(shape)}. Calculated output size is too small (kernel {size}, stride "
                f"{stride}, padding {padding})"
            )
        counts.append(count)
        room.append((count - 1) * s + reach)
    return tuple(room), tuple(counts)


def max_pooled(
    call: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: bool,
) -> Any:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(f"{call}: Expected {dims + 1}D or {dims + 2}D input, but got shape {list(input._shape)}")
    size = as_sizes(kernel_size, dims, "kernel_size", call)
    step = size if stride is None or stride == () or stride == [] else as_sizes(stride, dims, "stride", call)
    low, gap = as_sizes(padding, dims, "padding", call), as_sizes(dilation, dims, "dilation", call)
    shape = input._shape[input.ndim - dims :]
    room, counts = pooled_room(call, shape, size, step, low, gap, ceil_mode)
    result = window_maximum(input, low, (1,) * dims, room, size, step, gap)
    if not indices:
        return result
    found = first_maximum(input, result, low, room, size, step, gap)
    with grad_mode.no_grad():
        flat = creation.zeros(counts, dtype=dtypes.int32, device=input.device)
        below = 1
        inner = 1
        for dim in reversed(range(dims)):
            starts = np.arange(counts[dim], dtype=np.int32) * step[dim] - low[dim]
            first = creation.tensor(starts.reshape((-1,) + (1,) * (dims - dim - 1)), device=input.device)
            place = first + found.floor_divide(inner).remainder(size[dim]) * gap[dim]
            flat = flat + place * below
            below *= shape[dim]
            inner *= size[dim]
        return result, flat.to(dtypes.int64)


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (n, c, l); with `return_indices`, also where it was.

    >>> import webtorch
    >>> webtorch.nn.functional.max_pool1d(webtorch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    """
    return max_pooled("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (n, c, h, w); with `return_indices`, also where it was.

    Of equal largest elements the first gets the gradient.

    >>> import webtorch
    >>> webtorch.nn.functional.max_pool2d(webtorch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return max_pooled("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (n, c, d, h, w)."""
    return max_pooled("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def averaged(
    call: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(f"{call}: Expected {dims + 1}D or {dims + 2}D input, but got shape {list(input._shape)}")
    size = as_sizes(kernel_size, dims, "kernel_size", call)
    step = size if stride is None or stride == () or stride == [] else as_sizes(stride, dims, "stride", call)
    low, ones = as_sizes(padding, dims, "padding", call), (1,) * dims
    shape = input._shape[input.ndim - dims :]
    room, counts = pooled_room(call, shape, size, step, low, ones, ceil_mode)
    total = window_sum(input, low, ones, room, size, step, ones)
    if divisor is not None:
        if divisor == 0:
            raise ShapeError(f"{call}: divisor must be not zero")
        return total / divisor
    covered = np.ones(())
    for n, k, s, p, count in zip(shape, size, step, low, counts, strict=True):
        start = np.arange(count) * s - p
        end = np.minimum(start + k, n + p)  # what ceil_mode adds beyond the padding is never counted
        inside = end - start if count_include_pad else np.minimum(end, n) - np.maximum(start, 0)
        covered = np.multiply.outer(covered, inside)
    if (covered == covered.flat[0]).all():
        return total / float(covered.flat[0])
    return total / creation.tensor(covered, dtype=input.dtype, device=input.device)


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (n, c, l)."""
    return averaged("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (n, c, h, w).

    >>> import webtorch
    >>> webtorch.nn.functional.avg_pool2d(webtorch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return averaged(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (n, c, d, h, w)."""
    return averaged(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def adaptive_sizes(call: str, dims: int, input: Tensor, output_size: Any) -> tuple[int, ...]:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(f"{call}: Expected {dims + 1}D or {dims + 2}D input, but got shape {list(input._shape)}")
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    if len(given) != dims:
        raise ShapeError(f"{call}: output_size must have {dims} elements, but got {output_size!r}")
    return tuple(
        n if size is None else int(size) for n, size in zip(input._shape[input.ndim - dims :], given, strict=True)
    )


def adaptive_bounds(n: int, count: int) -> list[tuple[int, int]]:
    """Where each of `count` windows that share out `n` elements begins and ends."""
    return [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]


def adaptive_averaged(call: str, dims: int, input: Tensor, output_size: Any) -> Tensor:
    sizes = adaptive_sizes(call, dims, input, output_size)
    shape = input._shape[input.ndim - dims :]
    if all(count == 1 for count in sizes):
        return input.mean(tuple(range(input.ndim - dims, input.ndim)), keepdim=True)
    if all(count and n % count == 0 for n, count in zip(shape, sizes, strict=True)):
        size = tuple(n // count for n, count in zip(shape, sizes, strict=True))
        return averaged(call, dims, input, size, size, 0, False, True, None)
    for position, (n, count) in enumerate(zip(shape, sizes, strict=True)):
        weights = np.zeros((n, count))  # averaging is linear: a matrix per dimension
        for i, (start, end) in enumerate(adaptive_bounds(n, count)):
            weights[start:end, i] = 1.0 / (end - start)
        dim = input.ndim - dims + position
        input = (input.movedim(dim, -1) @ creation.tensor(weights, dtype=input.dtype, device=input.device)).movedim(
            -1, dim
        )
    return input.contiguous()


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share out (n, c, l) among `output_size` results."""
    return adaptive_averaged("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share out (n, c, h, w) among `output_size` results per dimension; None keeps a size.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_avg_pool2d(webtorch.ones(1, 2, 5, 5), (3, 1)).shape
    webtorch.Size([1, 2, 3, 1])
    """
    return adaptive_averaged("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share out (n, c, d, h, w) among `output_size` results per dimension."""
    return adaptive_averaged("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_maximum(call: str, dims: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    sizes = adaptive_sizes(call, dims, input, output_size)
    shape = input._shape[input.ndim - dims :]
    if all(count and n % count == 0 for n, count in zip(shape, sizes, strict=True)):
        size = tuple(n // count for n, count in zip(shape, sizes, strict=True))
        return max_pooled(call, dims, input, size, size, 0, 1, False, return_indices)
    # Windows of unequal size: each is read with its last element repeated, so that all are as wide as the widest.
    x, outer = input, input.ndim - dims
    places: list[np.ndarray] = []
    for n, count in zip(shape, sizes, strict=True):
        bounds = adaptive_bounds(n, count)
        width = max(end - start for start, end in bounds)
        places.append(
            np.minimum(
                np.array([start for start, _ in bounds])[:, None] + np.arange(width),
                np.array([end for _, end in bounds])[:, None] - 1,
            ).reshape(-1)
        )
    for position, place in enumerate(places):
        x = x.index_select(outer + position, creation.tensor(place, device=x.device))
    size = tuple(len(place) // count for place, count in zip(places, sizes, strict=True))
    if not return_indices:
        return max_pooled(call, dims, x, size, size, 0, 1, False, False)
    result, indices = max_pooled(call, dims, x, size, size, 0, 1, False, True)
    grid = np.arange(numel(shape), dtype=np.int64).reshape(shape)[np.ix_(*places)].reshape(-1)
    return result, creation.tensor(grid, device=x.device)[indices]


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over windows that share out (n, c, l) among `output_size` results."""
    return adaptive_maximum("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over windows that share out (n, c, h, w) among `output_size` results per dimension."""
    return adaptive_maximum("adaptive_max_pool2d", 2, input, output_size, return_indices)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window of (n, c, h, w)."""
    size = as_sizes(kernel_size, 2, "kernel_size", "lp_pool2d")
    total = avg_pool2d(input.pow(norm_type), size, stride, 0, ceil_mode, divisor_override=1)
    return (total.sign() * relu(total.abs())).pow(1.0 / norm_type)


# ---- normalisation --------------------------------------------------------------------------------------------------


def normalised(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """x with mean 0 and variance 1 over `dims`."""
    average = x.mean(dims, keepdim=True)
    centred = x - average
    variance = centred.square().mean(dims, keepdim=True)
    return centred * (variance + eps).rsqrt()


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


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """Mean 0 and variance 1 over the last dimensions, which must be `normalized_shape`; then weight and bias.

    >>> import webtorch
    >>> webtorch.nn.functional.layer_norm(webtorch.tensor([1.0, 3.0]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    shape = check_normalised_shape("layer_norm", input, normalized_shape, weight, bias)
    dims = tuple(range(input.ndim - len(shape), input.ndim))
    narrow = input.dtype is dtypes.float16
    result = normalised(input.float() if narrow else input, dims, eps)
    result = result.half() if narrow else result
    if weight is not None:
        result = result * weight
    return result if bias is None else result + bias


def rms_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """The input divided by the root of its mean square over the last dimensions; `eps` is the dtype's epsilon by default.

    >>> import webtorch
    >>> webtorch.nn.functional.rms_norm(webtorch.tensor([3.0, 3.0]), (2,))
    tensor([1., 1.])
    """
    shape = check_normalised_shape("rms_norm", input, normalized_shape, weight)
    dims = tuple(range(input.ndim - len(shape), input.ndim))
    x = input.float() if input.dtype is dtypes.float16 else input
    eps = dtypes.finfo(x.dtype).eps if eps is None else eps
    result = (x * (x.square().mean(dims, keepdim=True) + eps).rsqrt()).to(input.dtype)
    return result if weight is None else result * weight


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """Mean 0 and variance 1 over each group of channels of each example; then weight and bias per channel."""
    if input.ndim < 2:
        raise ShapeError(f"group_norm: Expected at least 2 dimensions for input tensor but received {input.ndim}")
    if num_groups <= 0 or input._shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input._shape)} and "
            f"num_groups={num_groups}"
        )
    grouped = input.reshape((input._shape[0], num_groups, -1))
    result = normalised(grouped, (2,), eps).reshape(input._shape)
    return per_channel(result, weight, bias)


def per_channel(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1,) + (1,) * (x.ndim - 2)
    if weight is not None:
        x = x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


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
            if running is not None:
                settle(running)
                running.copy_(running * (1 - momentum) + value.detach().reshape(-1) * (momentum * factor))
    return per_channel(centred * (variance + eps).rsqrt(), weight, bias)


def settle(statistic: Tensor) -> None:
    """Compute a statistic that an earlier step left pending, so that a long training does not pile up updates."""
    if statistic._storage.node.buffer is None:
        engine.realize([statistic._storage.node])


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
    """Mean 0 and variance 1 of each channel of each example; or by the running statistics."""
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


def local_response_norm(input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each element divided by a power of the mean square of its neighbours in the channel dimension."""
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    squares = input.square().movedim(1, -1)
    total = window_sum(squares, (size // 2,), (1,), (input._shape[1] + size - 1,), (size,), (1,), (1,)).movedim(-1, 1)
    return input / (total * (alpha / size) + k).pow(beta)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """The input divided by its p-norm along `dim`, which is taken to be at least `eps`.

    >>> import webtorch
    >>> webtorch.nn.functional.normalize(webtorch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp_min(eps)


# ---- indices --------------------------------------------------------------------------------------------------------


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` at the indices in `input`. The row `padding_idx` gets no gradient.

    With `max_norm`, the rows that are read are first scaled down, in place, to that norm.

    >>> import webtorch
    >>> webtorch.nn.functional.embedding(webtorch.tensor([1, 0]), webtorch.tensor([[1.0], [2.0]]))
    tensor([[2.],
            [1.]])
    """
    if weight.ndim != 2:
        raise ShapeError(f"embedding: 'weight' must be 2-D, but has shape {list(weight._shape)}")
    if input.dtype not in (dtypes.int64, dtypes.int32):
        raise DTypeError(
            f"embedding: Expected tensor for argument 'indices' to have scalar type Long or Int; but got "
            f"{input.dtype} instead; convert with .long()"
        )
    if sparse or scale_grad_by_freq:
        raise ShapeError("embedding: sparse gradients and scale_grad_by_freq are not available; leave them False")
    rows = weight._shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    common_device([input, weight], "embedding")
    index = checked(input, rows, 0, "embedding", wrap=False)
    if max_norm is not None:
        with grad_mode.no_grad():
            used = np.unique(index.numpy())
            chosen = creation.tensor(used.astype(np.int64), device=weight.device)
            picked = weight.detach().index_select(0, chosen)
            length = picked.norm(norm_type, 1, keepdim=True)
            limited = where(length > max_norm, picked * (max_norm / (length + 1e-7)), picked)
            weight.copy_(weight.detach().index_copy(0, chosen, limited))
    result = take(weight, [index], (0,))
    if padding_idx is not None and result.requires_grad:
        result = where((index == padding_idx).unsqueeze(-1), result.detach(), result)
    return result


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Each integer as a vector of zeros with a one at its place (int64).

    >>> import webtorch
    >>> webtorch.nn.functional.one_hot(webtorch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if tensor.dtype is not dtypes.int64:
        raise DTypeError(
            f"one_hot is only applicable to index tensor of type LongTensor, not {tensor.dtype}; convert with .long()"
        )
    if num_classes == -1:
        if not tensor.numel():
            raise ShapeError("one_hot: Can not infer total number of classes from empty tensor; pass num_classes")
        num_classes = int(tensor.max().item()) + 1
    elif num_classes < 1:
        raise ShapeError("one_hot: num_classes should be positive")
    if tensor.numel() and int(tensor.min().item()) < 0:
        raise ShapeError("one_hot: Class values must be non-negative.")
    if tensor.numel() and int(tensor.max().item()) >= num_classes:
        raise ShapeError("one_hot: Class values must be smaller than num_classes.")
    return (tensor.unsqueeze(-1) == creation.arange(num_classes, device=tensor.device)).to(dtypes.int64)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`."""
    first = x1.norm(2, dim, keepdim=True).clamp_min(eps)
    second = x2.norm(2, dim, keepdim=True).clamp_min(eps)
    return (x1 / first * (x2 / second)).sum(dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of the differences along the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c * r * r, h, w) as (..., c, h * r, w * r)."""
    r = upscale_factor
    *outer, channels, height, width = input._shape
    if channels % (r * r):
        raise ShapeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            f"upscale_factor, but got {channels} and {r}"
        )
    count = len(outer)
    split = input.reshape((*outer, channels // (r * r), r, r, height, width))
    order = (*range(count), count, count + 3, count + 1, count + 4, count + 2)
    return split.permute(order).reshape((*outer, channels // (r * r), height * r, width * r))


# ---- losses ---------------------------------------------------------------------------------------------------------


def legacy_reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction that PyTorch's deprecated arguments ask for."""
    if size_average is None and reduce is None:
        return reduction
    warnings.warn("size_average and reduce args will be deprecated, please use reduction instead.", stacklevel=3)
    if reduce is False:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")


def check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")


def same_sizes(call: str, input: Tensor, target: Tensor) -> None:
    """Regression losses broadcast, with PyTorch's warning."""
    if input._shape != target._shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) in {call}. This will likely lead "
            "to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the target class: `input` is (c), (n, c) or (n, c, d1, ...) of log-probabilities.

    Targets equal to `ignore_index` count for nothing; with class weights, "mean" is the weighted mean.

    >>> import webtorch
    >>> webtorch.nn.functional.nll_loss(webtorch.tensor([[-1.0, -2.0]]), webtorch.tensor([1]))
    tensor(2.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    losses, weights = class_losses("nll_loss", input, target, weight, ignore_index)
    return weighted(losses, weights, reduction)


def class_losses(
    call: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor | None]:
    """-w[target] * input[target] and w[target] (None when all weights are 1); zero where the target is ignored."""
    if not input.ndim:
        raise ShapeError(f"{call}: input must have at least one dimension (the classes)")
    dim = 0 if input.ndim == 1 else 1
    classes = input._shape[dim]
    if target.dtype.kind not in ("int", "uint"):
        raise DTypeError(
            f"{call}: expected target of class indices to be an integer tensor, not {target.dtype}; convert with .long()"
        )
    wanted = (*input._shape[:dim], *input._shape[dim + 1 :])
    if target._shape != wanted:
        if target.ndim == len(wanted) and target.ndim and target._shape[0] != wanted[0]:
            raise ValueError(
                f"Expected input batch_size ({wanted[0]}) to match target batch_size ({target._shape[0]})."
            )
        raise ShapeError(
            f"{call}: Expected target size {list(wanted)}, got {list(target._shape)} (input {list(input._shape)})"
        )
    if weight is not None and tuple(weight._shape) != (classes,):
        raise ShapeError(
            f"{call}: weight tensor should be defined either for all {classes} classes or no classes but got "
            f"weight tensor of shape: {list(weight._shape)}"
        )
    common_device([value for value in (input, target, weight) if value is not None], call)
    kept = target != ignore_index
    if 0 <= ignore_index < classes:
        index = checked(target, classes, dim, call, wrap=False)
    else:
        index = checked(where(kept, target, 0), classes, dim, call, wrap=False)
    losses = -pick(input, index, dim)
    weights = kept.to(input.dtype)
    if weight is not None:
        weights = weights * take(weight.detach(), [index], (0,))
        losses = losses * weights
    return where(kept, losses, 0.0), weights


def weighted(losses: Tensor, weights: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / weights.sum()


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """`nll_loss` of the log-softmax of `input`; `target` holds class indices, or probabilities in the shape of `input`.

    >>> import webtorch
    >>> webtorch.nn.functional.cross_entropy(webtorch.zeros(1, 2), webtorch.tensor([1]))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if not input.ndim:
        raise ShapeError("cross_entropy: input must have at least one dimension (the classes)")
    dim = 0 if input.ndim == 1 else 1
    classes = input._shape[dim]
    logs = log_softmax(input, dim)
    spread = (-1,) + (1,) * (input.ndim - dim - 1)
    if target.dtype.is_floating_point:
        if target._shape != input._shape:
            raise ShapeError(
                f"cross_entropy: Expected floating point type for target with class probabilities to have the shape of input "
                f"{list(input._shape)}, but got {list(target._shape)}; for class indices use an integer target"
            )
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / classes
        products = logs * target
        if weight is not None:
            products = products * weight.reshape(spread)
        losses = -products.sum(dim)
        if reduction == "mean":
            return losses.sum() / max(1, numel(losses._shape))
        return reduced(losses, reduction)
    losses, weights = class_losses("cross_entropy", logs, target, weight, ignore_index)
    if not label_smoothing:
        return weighted(losses, weights, reduction)
    others = -(logs if weight is None else logs * weight.reshape(spread)).sum(dim)
    others = where(target != ignore_index, others, 0.0)
    return weighted(losses * (1 - label_smoothing) + others * (label_smoothing / classes), weights, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared difference.

    >>> import webtorch
    >>> webtorch.nn.functional.mse_loss(webtorch.tensor([1.0, 2.0]), webtorch.tensor([1.0, 4.0]))
    tensor(2.)
    """
    same_sizes("mse_loss", input, target)
    loss = (input - target).square()
    if weight is not None:
        loss = loss * weight
        if legacy_reduction(size_average, reduce, reduction) == "mean":
            return loss.sum() / weight.expand(loss._shape).sum()
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """The absolute difference.

    >>> import webtorch
    >>> webtorch.nn.functional.l1_loss(webtorch.tensor([1.0, 2.0]), webtorch.tensor([1.0, 4.0]))
    tensor(1.)
    """
    same_sizes("l1_loss", input, target)
    return reduced((input - target).abs(), legacy_reduction(size_average, reduce, reduction))


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """The absolute difference d less beta / 2, and d * d / (2 * beta) where d is below `beta`."""
    if beta < 0:
        raise ShapeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    same_sizes("smooth_l1_loss", input, target)
    distance = (input - target).abs()
    loss = where(distance < beta, distance.square() * (0.5 / beta), distance - 0.5 * beta)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the squared difference up to `delta`, and linear beyond it."""
    if delta <= 0:
        raise ShapeError("huber_loss does not support non-positive values for delta.")
    same_sizes("huber_loss", input, target)
    distance = (input - target).abs()
    loss = where(distance < delta, distance.square() * 0.5, (distance - 0.5 * delta) * delta)
    if weight is not None:
        loss = loss * weight
        if reduction == "mean":
            return loss.sum() / weight.expand(loss._shape).sum()
    return reduced(loss, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), the logarithms being taken as at least -100."""
    if input._shape != target._shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is "
            f"deprecated. Please ensure they have the same size."
        )
    loss = -(target * input.log().clamp_min(-100) + (1 - target) * (1 - input).log().clamp_min(-100))
    if weight is not None:
        loss = loss * weight
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), without its overflow."""
    if input._shape != target._shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    missed = -webtorch.logsigmoid(input)  # log(1 + exp(-x))
    if pos_weight is None:
        loss = (1 - target) * input + missed
    else:
        loss = (1 - target) * input + ((pos_weight - 1) * target + 1) * missed
    if weight is not None:
        loss = loss * weight
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), `input` being log-probabilities; "batchmean" divides by the size of dimension 0."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by the "
            "batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    loss = target.exp() * (target - input) if log_target else TABLE["xlogy"](target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input._shape[0]
    return reduced(loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    size_average: Any = None,
    full: bool = False,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of Poisson counts, up to a constant unless `full`."""
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + where(target > 1, stirling, 0.0)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """The negative log-likelihood of normal values with mean `input` and variance `var`."""
    if not isinstance(var, Tensor):
        var = creation.full_like(input.detach(), var)
    if var.ndim == input.ndim - 1 and var._shape == input._shape[:-1]:
        var = var.unsqueeze(-1)
    bounded = var + (var.detach().clamp_min(eps) - var.detach())  # the bound takes no part in the gradient
    loss = 0.5 * (bounded.log() + (input - target).square() / bounded)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The input where the target is 1, and max(0, margin - input) where it is -1."""
    loss = where(target != 1, (margin - input).clamp_min(0), 0.0) + where(target != -1, input, 0.0)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin)."""
    loss = (-target * (input1 - input2) + margin).clamp_min(0)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target * input))."""
    return reduced(-webtorch.logsigmoid(target * input), legacy_reduction(size_average, reduce, reduction))


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    eps = 1e-12
    products = (input1 * input2).sum(-1)
    lengths = ((input1.square().sum(-1) + eps) * (input2.square().sum(-1) + eps)).sqrt()
    cosine = products / lengths
    loss = where(target == 1, 1 - cosine, (cosine - margin).clamp_min(0))
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, distance to the positive - distance to the negative + margin)."""
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = TABLE["minimum"](far, pairwise_distance(positive, negative, p, eps))
    return reduced((near - far + margin).clamp_min(0), legacy_reduction(size_average, reduce, reduction))


# ---- attention ------------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key^T * scale + mask) @ value, over the last two dimensions (length, features).

    A boolean `attn_mask` says what may be seen, another is added; `scale` is 1 / sqrt(features) by default. Dropout is
    applied whenever `dropout_p` is above 0.

    >>> import webtorch
    >>> x = webtorch.ones(1, 2, 3, 4)
    >>> webtorch.nn.functional.scaled_dot_product_attention(x, x, x).shape
    webtorch.Size([1, 2, 3, 4])
    """
    weights = attention_weights(query, key, attn_mask, is_causal, scale, enable_gqa)
    if enable_gqa:
        value = repeat_heads(value, query._shape[-3])
    return dropout(weights, dropout_p) @ value


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """Each head of (..., h, length, features) repeated until there are `heads`, so that several queries share one."""
    *outer, own, length, features = x._shape
    if not own or heads % own:
        raise ShapeError(f"scaled_dot_product_attention: {heads} query heads cannot share {own} key and value heads")
    return (
        x.unsqueeze(-3).expand((*outer, own, heads // own, length, features)).reshape((*outer, heads, length, features))
    )


def attention_weights(
    query: Tensor, key: Tensor, attn_mask: Any, is_causal: bool, scale: float | None, enable_gqa: bool = False
) -> Tensor:
    if query._shape[-1] != key._shape[-1]:
        raise ShapeError(
            f"scaled_dot_product_attention: query {list(query._shape)} and key {list(key._shape)} must have the same number of features"
        )
    if enable_gqa:
        key = repeat_heads(key, query._shape[-3])
    scores = query @ key.transpose(-2, -1) * (1.0 / math.sqrt(query._shape[-1]) if scale is None else scale)
    if is_causal:
        if attn_mask is not None:
            raise ShapeError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
        rows, columns = scores._shape[-2:]
        attn_mask = creation.ones(rows, columns, dtype=dtypes.bool_, device=query.device).tril()
    if attn_mask is not None:
        if attn_mask.dtype is dtypes.bool_:
            scores = where(attn_mask, scores, float("-inf"))
            # A row that sees nothing attends to nothing, rather than giving NaN.
            seen = attn_mask.any(-1, keepdim=True)
            return where(seen, softmax(where(seen, scores, 0.0), -1), 0.0)
        scores = scores + attn_mask
    return softmax(scores, -1)


__all__ = [
    *ACTIVATIONS, "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "alpha_dropout", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "dropout", "dropout1d", "dropout2d", "dropout3d", "embedding", "gaussian_nll_loss", "gelu",
    "glu", "group_norm", "gumbel_softmax", "hardshrink", "hinge_embedding_loss", "huber_loss", "instance_norm", "kl_div", "l1_loss",
    "layer_norm", "linear", "local_response_norm", "log_softmax", "logsigmoid", "lp_pool2d", "margin_ranking_loss", "max_pool1d",
    "max_pool2d", "max_pool3d", "mse_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pixel_shuffle",
    "poisson_nll_loss", "prelu", "rms_norm", "rrelu", "scaled_dot_product_attention", "smooth_l1_loss", "soft_margin_loss", "softmax",
    "softmin", "softshrink", "softsign", "tanhshrink", "threshold", "triplet_margin_loss", "unfold",
]  # fmt: skip
