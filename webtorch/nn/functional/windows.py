"""What reads windows or borders: convolution, padding and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

import webtorch

from ... import creation, dtypes, grad_mode
from ...errors import ShapeError
from ...ops.conv import as_sizes, convolve, convolve_transposed, windows
from ...ops.elementwise import not_for_complex
from ...ops.pad import pad as pad_constant
from ...ops.pool import first_maximum, window_maximum, window_sum
from ...precision import autocasts, widened
from ...shapes import numel
from ...tensor import Tensor


@autocasts
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


@autocasts
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


@autocasts
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of (n, c, d, h, w) with weights (out, c / groups, kd, kh, kw).

    >>> import webtorch
    >>> webtorch.nn.functional.conv3d(webtorch.ones(1, 1, 2, 2, 2), webtorch.ones(1, 1, 2, 2, 2)).item()
    8.0
    """
    return convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@autocasts
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """`conv1d` of (time, batch, channels) with weights (k, in, out).

    >>> import webtorch
    >>> webtorch.nn.functional.conv_tbc(webtorch.ones(3, 1, 2), webtorch.ones(2, 2, 1), webtorch.zeros(1)).flatten()
    tensor([4., 4.])
    """
    result = conv1d(input.permute((1, 2, 0)), weight.permute((2, 1, 0)), bias, padding=pad)
    return result.permute((2, 0, 1))


@autocasts
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
    """The gradient of `conv1d` as an operation: weights are (in, out / groups, k).

    >>> import webtorch
    >>> webtorch.nn.functional.conv_transpose1d(webtorch.tensor([[[1.0, 2.0]]]), webtorch.tensor([[[1.0, 10.0]]]))
    tensor([[[ 1., 12., 20.]]])
    """
    return convolve_transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@autocasts
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


@autocasts
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
    """The gradient of `conv3d` as an operation: weights are (in, out / groups, kd, kh, kw).

    >>> import webtorch
    >>> webtorch.nn.functional.conv_transpose3d(webtorch.ones(1, 1, 1, 1, 2), webtorch.ones(1, 1, 1, 1, 2)).flatten()
    tensor([1., 2., 1.])
    """
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
            input = input.index_select(dim, positions(index, input))
    return input


def positions(index: np.ndarray, x: Tensor) -> Tensor:
    """An index tensor beside `x`: 32-bit on a GPU, where narrow integers are quicker."""
    return creation.tensor(index.astype(np.int64 if x.is_cpu else np.int32), device=x.device)


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
        kept = np.arange(max(0, -before), size - max(0, -after))  # what is cut off is not repeated either
        if not len(kept):
            raise ShapeError(f"pad: nothing is left of a dimension of size {size} after padding {before} and {after}")
        return kept[(places - kept[0]) % len(kept)]
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
    """Windows of (n, c, h, w) as columns: (n, c * kh * kw, number of windows).

    >>> import webtorch
    >>> webtorch.nn.functional.unfold(webtorch.arange(6.0).reshape(1, 1, 2, 3), 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
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
    count = view._shape[2] * view._shape[3]
    result = view.permute((0, 1, 4, 5, 2, 3)).reshape((x._shape[0], x._shape[1] * numel(size), count))
    return result.squeeze(0) if unbatched else result


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
    """The largest element of each window of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.functional.max_pool3d(webtorch.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
    7.0
    """
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
    rounding = "trunc" if input.dtype is dtypes.int64 else None  # means of integers are integers
    if divisor is not None:
        if divisor == 0:
            raise ShapeError(f"{call}: divisor must be not zero")
        return webtorch.div(total, divisor, rounding_mode=rounding)
    covered = np.ones(())
    for n, k, s, p, count in zip(shape, size, step, low, counts, strict=True):
        start = np.arange(count) * s - p
        end = np.minimum(start + k, n + p)  # what ceil_mode adds beyond the padding is never counted
        inside = end - start if count_include_pad else np.minimum(end, n) - np.maximum(start, 0)
        covered = np.multiply.outer(covered, inside)
    if (covered == covered.flat[0]).all():
        return webtorch.div(total, int(covered.flat[0]), rounding_mode=rounding)
    counts = creation.tensor(covered, dtype=input.dtype, device=input.device)
    return webtorch.div(total, counts, rounding_mode=rounding)


@autocasts
@widened
def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (n, c, l).

    >>> import webtorch
    >>> webtorch.nn.functional.avg_pool1d(webtorch.tensor([[[1.0, 3.0, 5.0, 7.0]]]), 2)
    tensor([[[2., 6.]]])
    """
    return averaged("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@autocasts
@widened
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


@autocasts
@widened
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.functional.avg_pool3d(webtorch.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
    3.5
    """
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


@autocasts
@widened
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share out (n, c, l) among `output_size` results.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_avg_pool1d(webtorch.tensor([[[1.0, 3.0, 5.0, 7.0]]]), 2)
    tensor([[[2., 6.]]])
    """
    return adaptive_averaged("adaptive_avg_pool1d", 1, input, output_size)


@autocasts
@widened
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share out (n, c, h, w) among `output_size` results per dimension; None keeps a size.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_avg_pool2d(webtorch.ones(1, 2, 5, 5), (3, 1)).shape
    webtorch.Size([1, 2, 3, 1])
    """
    return adaptive_averaged("adaptive_avg_pool2d", 2, input, output_size)


@autocasts
@widened
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share out (n, c, d, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_avg_pool3d(webtorch.arange(8.0).reshape(1, 1, 2, 2, 2), 1).item()
    3.5
    """
    return adaptive_averaged("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_maximum(call: str, dims: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    if input.dtype.is_complex:
        raise not_for_complex(call, (input,))
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
        x = x.index_select(outer + position, positions(place, x))
    size = tuple(len(place) // count for place, count in zip(places, sizes, strict=True))
    if not return_indices:
        return max_pooled(call, dims, x, size, size, 0, 1, False, False)
    result, indices = max_pooled(call, dims, x, size, size, 0, 1, False, True)
    grid = np.arange(numel(shape)).reshape(shape)[np.ix_(*places)].reshape(-1)
    return result, positions(grid, x)[indices].to(dtypes.int64)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over windows that share out (n, c, l) among `output_size` results.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_max_pool1d(webtorch.tensor([[[1.0, 3.0, 5.0, 7.0]]]), 2)
    tensor([[[3., 7.]]])
    """
    return adaptive_maximum("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over windows that share out (n, c, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_max_pool2d(webtorch.tensor([[[1.0, 3.0], [5.0, 7.0]]]), (1, 2))
    tensor([[[5., 7.]]])
    """
    return adaptive_maximum("adaptive_max_pool2d", 2, input, output_size, return_indices)
