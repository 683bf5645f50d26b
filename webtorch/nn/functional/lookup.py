"""Rows read by index, one-hot vectors, distances between vectors, and channels as pixels."""

from __future__ import annotations

import numpy as np

from ... import creation, dtypes, grad_mode
from ...errors import DTypeError, ShapeError
from ...indexing import checked
from ...ops import common_device
from ...ops.binary import where
from ...ops.gather import take
from ...tensor import Tensor


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
