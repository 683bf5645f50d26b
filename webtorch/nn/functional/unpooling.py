"""Pooling of other kinds: by norms, over windows at random places, and the ways back from pooled to full size."""

from __future__ import annotations

from typing import Any

import numpy as np

import webtorch

from ... import creation, dtypes
from ...errors import ShapeError
from ...ops.conv import as_sizes
from ...ops.pad import pad as pad_constant
from ...shapes import numel
from ...tensor import Tensor
from .basics import relu
from .windows import adaptive_maximum, averaged, max_pooled, positions

__all__ = [
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices", "fold", "fractional_max_pool2d", "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d", "fractional_max_pool3d_with_indices", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d",
    "max_unpool3d",
]  # fmt: skip


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over windows that share out (n, c, d, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.functional.adaptive_max_pool3d(webtorch.arange(8.0).reshape(1, 1, 2, 2, 2), 1).item()
    7.0
    """
    return adaptive_maximum("adaptive_max_pool3d", 3, input, output_size, return_indices)


def with_indices(call: str, dims: int, adaptive: bool) -> Any:
    if adaptive:

        def function(input: Tensor, output_size: Any, return_indices: bool = False) -> tuple[Tensor, Tensor]:
            return adaptive_maximum(call, dims, input, output_size, True)
    else:

        def function(  # type: ignore[misc]
            input: Tensor,
            kernel_size: Any,
            stride: Any = None,
            padding: Any = 0,
            dilation: Any = 1,
            ceil_mode: bool = False,
            return_indices: bool = False,
        ) -> tuple[Tensor, Tensor]:
            return max_pooled(call, dims, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    function.__name__ = function.__qualname__ = f"{call}_with_indices"
    function.__doc__ = f"`{call}` that also returns where the largest elements were."
    return function


max_pool1d_with_indices = with_indices("max_pool1d", 1, False)
max_pool2d_with_indices = with_indices("max_pool2d", 2, False)
max_pool3d_with_indices = with_indices("max_pool3d", 3, False)
adaptive_max_pool1d_with_indices = with_indices("adaptive_max_pool1d", 1, True)
adaptive_max_pool2d_with_indices = with_indices("adaptive_max_pool2d", 2, True)
adaptive_max_pool3d_with_indices = with_indices("adaptive_max_pool3d", 3, True)


# ---- norms ----------------------------------------------------------------------------------------------------------


def lp_pooled(
    call: str, dims: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    size = as_sizes(kernel_size, dims, "kernel_size", call)
    mean = averaged(call, dims, input.pow(norm_type), size, stride, 0, ceil_mode, True, None)
    return (mean.sign() * relu(mean.abs()) * numel(size)).pow(1.0 / norm_type)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window of (n, c, l).

    >>> import webtorch
    >>> webtorch.nn.functional.lp_pool1d(webtorch.tensor([[[3.0, 4.0]]]), 2, 2)
    tensor([[[5.]]])
    """
    return lp_pooled("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window of (n, c, h, w).

    >>> import webtorch
    >>> webtorch.nn.functional.lp_pool2d(webtorch.tensor([[[3.0, 4.0]]]), 2, (1, 2)).item()
    5.0
    """
    return lp_pooled("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.functional.lp_pool3d(webtorch.tensor([[[[3.0, 4.0]]]]), 2, (1, 1, 2)).item()
    5.0
    """
    return lp_pooled("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


# ---- windows at random places ---------------------------------------------------------------------------------------


def fractional(
    call: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Tensor | None,
) -> Any:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(f"{call}: Expected {dims + 1}D or {dims + 2}D input, but got shape {list(input._shape)}")
    if output_size is None and output_ratio is None:
        raise ValueError(f"{call} requires specifying either an output_size or an output_ratio")
    x = input if input.ndim == dims + 2 else input.unsqueeze(0)
    size, shape = as_sizes(kernel_size, dims, "kernel_size", call), x._shape[2:]
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * dims
        output_size = tuple(int(n * ratio) for n, ratio in zip(shape, ratios, strict=True))
    counts = as_sizes(output_size, dims, "output_size", call)
    if any(count + k - 1 > n for count, k, n in zip(counts, size, shape, strict=True)):
        raise ShapeError(f"{call}: windows {size} at {counts} places do not fit the input {list(shape)}")
    if samples is None:
        samples = webtorch.rand(x._shape[0], x._shape[1], dims, dtype=x.dtype, device="cpu")
    chance = samples.detach().cpu().double().numpy()
    # In two dimensions the first random number is for the last dimension; in three they are in order.
    order = (1, 0) if dims == 2 else tuple(range(dims))
    flat: Any = 0
    for dim, (n, k, count) in enumerate(zip(shape, size, counts, strict=True)):
        u = chance[..., order[dim]]
        starts = np.full((*u.shape, count), n - k)
        if count > 1:
            alpha = chance.dtype.type((n - k) / (count - 1))
            steps = np.arange(count - 1)
            shifted = ((steps + u[..., None]) * alpha).astype(np.int64) - (u[..., None] * alpha).astype(np.int64)
            starts[..., :-1] = shifted
        places = starts[..., :, None] + np.arange(k)  # (n, c, count, k)
        view = [1] * (2 * dims)
        view[dim], view[dims + dim] = count, k
        flat = flat * n + places.reshape(*u.shape, *view)
    flat = np.broadcast_to(flat, (*x._shape[:2], *counts, *size)).reshape(*x._shape[:2], numel(counts) * numel(size))
    index = positions(np.ascontiguousarray(flat), x)
    windows = x.flatten(2).gather(2, index).reshape((*x._shape[:2], *counts, numel(size)))
    result, which = windows.max(-1)
    if input.ndim != x.ndim:
        result = result.squeeze(0)
    if not return_indices:
        return result
    found = index.reshape(windows._shape).gather(-1, which.unsqueeze(-1).to(index.dtype)).squeeze(-1)
    return result, (found if input.ndim == x.ndim else found.squeeze(0)).to(dtypes.int64)


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest element of windows at random places of (n, c, h, w) that share it out (Graham, 2014).

    >>> import webtorch
    >>> webtorch.nn.functional.fractional_max_pool2d(webtorch.rand(1, 2, 8, 8), 2, output_ratio=0.7).shape
    webtorch.Size([1, 2, 5, 5])
    """
    return fractional(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest element of windows at random places of (n, c, d, h, w) that share it out.

    >>> import webtorch
    >>> webtorch.nn.functional.fractional_max_pool3d(webtorch.ones(1, 1, 3, 3, 3), 2, output_size=1).item()
    1.0
    """
    return fractional(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`fractional_max_pool2d` that also returns where the largest elements were.

    >>> import webtorch
    >>> webtorch.nn.functional.fractional_max_pool2d_with_indices(webtorch.tensor([[[[1.0, 3.0], [7.0, 5.0]]]]), 2, output_size=1)[0]
    tensor([[[[7.]]]])
    """
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`fractional_max_pool3d` that also returns where the largest elements were.

    >>> import webtorch
    >>> [part.item() for part in webtorch.nn.functional.fractional_max_pool3d_with_indices(webtorch.ones(1, 1, 3, 3, 3), 2, output_size=1)]
    [1.0, 13]
    """
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)


# ---- the ways back --------------------------------------------------------------------------------------------------


def unpooled(
    call: str, dims: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(f"{call}: Expected {dims + 1}D or {dims + 2}D input, but got shape {list(input._shape)}")
    if indices._shape != input._shape:
        raise ShapeError(
            f"{call}: Expected shape of indices to be same as that of the input tensor ({list(input._shape)}) but got indices "
            f"tensor with shape: {list(indices._shape)}"
        )
    size = as_sizes(kernel_size, dims, "kernel_size", call)
    step = size if stride is None or stride == () or stride == [] else as_sizes(stride, dims, "stride", call)
    low = as_sizes(padding, dims, "padding", call)
    outer = input.ndim - dims
    natural = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(input._shape[outer:], step, size, low, strict=True))
    wanted = natural
    if output_size is not None:
        wanted = tuple(int(value) for value in output_size)
        wanted = wanted[outer:] if len(wanted) == input.ndim else wanted
        if len(wanted) != dims:
            raise ValueError(
                f"output_size should be a sequence containing {dims} or {input.ndim} elements, but it has a length of '{len(wanted)}'"
            )
        for n, usual, s in zip(wanted, natural, step, strict=True):
            if not usual - s < n < usual + s:
                raise ValueError(
                    f"invalid output_size {list(wanted)} (each must be between {[u - s for u, s in zip(natural, step, strict=True)]} and "
                    f"{[u + s for u, s in zip(natural, step, strict=True)]})"
                )
    flat = input.flatten(outer)
    count = numel(wanted)
    index = indices.flatten(outer)
    if index.numel():
        low_index, high_index = int(index.min().item()), int(index.max().item())
        if low_index < 0 or high_index >= count:
            raise ShapeError(
                f"{call}: Found an invalid max index: {high_index if high_index >= count else low_index} (output volumes "
                f"are of size {wanted})"
            )
    empty = creation.zeros(*flat._shape[:-1], count, dtype=input.dtype, device=input.device)
    return empty.scatter(outer, index, flat).reshape((*input._shape[:outer], *wanted))


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """What `max_pool1d` found put back where its indices say, zeros elsewhere.

    >>> import webtorch
    >>> pooled, where = webtorch.nn.functional.max_pool1d(webtorch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2, return_indices=True)
    >>> webtorch.nn.functional.max_unpool1d(pooled, where, 2)
    tensor([[0., 5., 0., 3.]])
    """
    return unpooled("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """What `max_pool2d` found put back where its indices say, zeros elsewhere.

    >>> import webtorch
    >>> webtorch.nn.functional.max_unpool2d(webtorch.tensor([[[7.0]]]), webtorch.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [7., 0.]]])
    """
    return unpooled("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """What `max_pool3d` found put back where its indices say, zeros elsewhere.

    >>> import webtorch
    >>> webtorch.nn.functional.max_unpool3d(webtorch.tensor([[[[7.0]]]]), webtorch.tensor([[[[2]]]]), (1, 2, 2))
    tensor([[[[0., 0.],
              [7., 0.]]]])
    """
    return unpooled("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The windows that `unfold` made, (n, c * kh * kw, l), added up where they came from: (n, c, h, w).

    >>> import webtorch
    >>> F = webtorch.nn.functional
    >>> F.fold(F.unfold(webtorch.ones(1, 1, 1, 3), (1, 2)), (1, 3), (1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    out, size, gap, low, step = (
        as_sizes(value, 2, name, "fold")
        for value, name in (
            (output_size, "output_size"),
            (kernel_size, "kernel_size"),
            (dilation, "dilation"),
            (padding, "padding"),
            (stride, "stride"),
        )
    )
    if input.ndim not in (2, 3):
        raise ShapeError(
            f"fold: Input Error: Only unbatched (2D) or batched (3D) input Tensors are supported, got {input.ndim}D"
        )
    x = input if input.ndim == 3 else input.unsqueeze(0)
    counts = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(out, low, gap, size, step, strict=True)
    )
    if x._shape[1] % numel(size):
        raise ShapeError(
            f"fold: Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)="
            f"{x._shape[1]} and kernel_size={size}"
        )
    if x._shape[2] != numel(counts):
        raise ShapeError(
            f"fold: Given output_size={out}, kernel_size={size}, dilation={gap}, padding={low}, stride={step}, expected size of "
            f"input's dimension 2 to match the calculated number of sliding blocks {counts[0]} * {counts[1]} = {numel(counts)}, but "
            f"got input.size(2)={x._shape[2]}."
        )
    channels = x._shape[1] // numel(size)
    blocks = x.reshape((x._shape[0], channels, *size, *counts))
    total = None
    for i in range(size[0]):
        for j in range(size[1]):
            start = tuple(k * d - p for k, d, p in zip((i, j), gap, low, strict=True))
            part = pad_constant(blocks[:, :, i, j], (0, 0, *start), (1, 1, *step), (x._shape[0], channels, *out), 0.0)
            total = part if total is None else total + part
    return total if input.ndim == 3 else total.squeeze(0)
