"""Rows read by index, one-hot vectors, distances between vectors, and channels as pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import creation, dtypes
from ...errors import DTypeError, ShapeError, coded_error
from ...grad_mode import no_grad
from ...indexing import checked
from ...ops import common_device
from ...ops.binary import where
from ...ops.gather import take
from ...precision import autocasts, widened
from ...shapes import broadcast_shapes
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

    With `max_norm`, the rows that are read are first scaled down, in place, to that norm. With `scale_grad_by_freq`, the
    gradient of a row is divided by how often it is read. `sparse` is accepted: gradients are dense in any case.

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
    rows = weight._shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    common_device([input, weight], "embedding")
    index = checked(input, rows, 0, "embedding", wrap=False)
    if max_norm is not None:
        limit_rows(weight, index, max_norm, norm_type)
    result = take(weight, [index], (0,))
    if scale_grad_by_freq and result.requires_grad:
        result = shared_out(result, index, rows)
    if padding_idx is not None and result.requires_grad:
        result = where((index == padding_idx).unsqueeze(-1), result.detach(), result)
    return result


def shared_out(values: Tensor, index: Tensor, rows: int, counted: Tensor | None = None) -> Tensor:
    """The same values, whose gradients are divided by how often their row is read."""
    with no_grad():
        flat = index.reshape((-1,))
        ones = creation.ones(flat.numel(), dtype=values.dtype, device=values.device)
        if counted is not None:
            ones = counted.reshape((-1,)).to(values.dtype)
        often = creation.zeros(rows, dtype=values.dtype, device=values.device).index_add(0, flat, ones)
        part = 1.0 / take(often, [index], (0,)).clamp_min(1).unsqueeze(-1)
    return values.detach() + (values - values.detach()) * part


def limit_rows(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are read down, in place, to a norm."""
    with no_grad():
        used = np.unique(index.numpy())
        chosen = creation.tensor(used.astype(np.int64), device=weight.device)
        picked = weight.detach().index_select(0, chosen)
        length = picked.norm(norm_type, 1, keepdim=True)
        limited = where(length > max_norm, picked * (max_norm / (length + 1e-7)), picked)
        weight.copy_(weight.detach().index_copy(0, chosen, limited))


def bags_of(input: Tensor, offsets: Any, include_last_offset: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where the elements of each bag stand, (bags, longest), and which of these places are in use."""
    starts = offsets.detach().cpu().numpy() if isinstance(offsets, Tensor) else np.asarray(offsets)
    if starts.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if not starts.size:
        return np.zeros((0, 1), np.int64), np.zeros((0, 1), bool)
    if starts[0] != 0:
        raise ShapeError(
            f"embedding_bag: offsets[0] has to be 0, i.e., the first sequence has to start from position 0, got {starts[0]}"
        )
    count = input._shape[0]
    if starts[-1] > count:
        raise ShapeError(
            f"embedding_bag: offsets[-1] can not be greater than input's length {count}, but got offsets[-1] of {starts[-1]}"
        )
    ends = starts[1:] if include_last_offset else np.append(starts[1:], count)
    starts = starts[: len(ends)]
    places = starts[:, None] + np.arange(max(1, int((ends - starts).max(initial=0))))
    inside = places < ends[:, None]
    return np.where(inside, places, 0), inside


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Rows of `weight` summed, averaged or compared within bags: the rows of a 2-D input, or parts of a 1-D one that begin
    at `offsets`. Elements equal to `padding_idx` count for nothing; empty bags give zeros.

    `per_sample_weights`, of the input's shape, multiply the rows (mode "sum" only).

    >>> import webtorch
    >>> table = webtorch.tensor([[1.0], [2.0], [4.0]])
    >>> webtorch.nn.functional.embedding_bag(webtorch.tensor([0, 1, 2]), table, webtorch.tensor([0, 1]), mode="sum")
    tensor([[1.],
            [6.]])
    """
    call = "embedding_bag"
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if input.dtype not in (dtypes.int64, dtypes.int32):
        raise DTypeError(
            f"{call}: Expected 'indices' to have scalar type Long or Int; but got {input.dtype}; convert with .long()"
        )
    if weight.ndim != 2:
        raise ShapeError(f"{call}: 'weight' must be 2-D, but has shape {list(weight._shape)}")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}')"
            )
        if per_sample_weights._shape != input._shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same shape as the "
                f"input ({input.shape})"
            )
    if input.ndim == 2 and offsets is not None:
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences"
        )
    if input.ndim != 2 and (input.ndim != 1 or offsets is None):
        raise coded_error(
            "embedding_bag_error_requires_2d_input",
            f"embedding_bag(input of shape {list(input._shape)}): input has to be 2D, or 1D with offsets (a 1D Tensor)",
        )
    rows = weight._shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise ShapeError(
                f"{call}: padding_idx must be within the number of embeddings {rows}, but got {padding_idx}"
            )
        padding_idx %= rows
    common_device([input, weight], call)
    index = checked(input, rows, 0, call, wrap=False)
    if max_norm is not None:
        limit_rows(weight, index, max_norm, norm_type)
    counted = None
    factors = per_sample_weights
    if input.ndim == 1:
        places, inside = bags_of(input, offsets, include_last_offset)
        where_to = creation.tensor(places.astype(np.int64 if input.is_cpu else np.int32), device=index.device)
        if not index.numel():
            return creation.zeros(len(places), weight._shape[1], dtype=weight.dtype, device=weight.device)
        index = index[where_to]
        factors = None if factors is None else factors[where_to]
        counted = None if inside.all() else creation.tensor(inside, device=index.device)
    if padding_idx is not None:
        counted = index != padding_idx if counted is None else counted & (index != padding_idx)
    if not index.numel():
        return creation.zeros(index._shape[0], weight._shape[1], dtype=weight.dtype, device=weight.device)
    values = take(weight, [index], (0,))
    if scale_grad_by_freq and values.requires_grad:
        values = shared_out(values, index, rows, counted)
    if factors is not None:
        values = values * factors.unsqueeze(-1)
    if mode == "max":
        if counted is None:
            return values.max(1).values
        shown = where(counted.unsqueeze(-1), values, float("-inf")).max(1).values
        return where(counted.any(1).unsqueeze(-1), shown, 0.0)
    if counted is not None:
        values = where(counted.unsqueeze(-1), values, 0.0)
    total = values.sum(1)
    if mode == "sum":
        return total
    if counted is None:
        return total / index._shape[1]
    return total / counted.to(total.dtype).sum(1).clamp_min(1).unsqueeze(-1)


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


@autocasts
@widened
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`.

    >>> import webtorch
    >>> webtorch.nn.functional.cosine_similarity(webtorch.tensor([[3.0, 4.0]]), webtorch.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """
    shape = broadcast_shapes(x1._shape, x2._shape, call="cosine_similarity")
    x1, x2 = x1.expand(shape), x2.to(dtypes.promote_types(x1.dtype, x2.dtype)).expand(shape)
    first = x1.norm(2, dim, keepdim=True).clamp_min(eps)
    second = x2.norm(2, dim, keepdim=True).clamp_min(eps)
    return (x1 / first * (x2 / second)).sum(dim)


@autocasts
@widened
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of the differences along the last dimension.

    >>> import webtorch
    >>> webtorch.nn.functional.pairwise_distance(webtorch.tensor([[0.0, 0.0]]), webtorch.tensor([[3.0, 4.0]]), eps=0.0)
    tensor([5.])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c * r * r, h, w) as (..., c, h * r, w * r).

    >>> import webtorch
    >>> webtorch.nn.functional.pixel_shuffle(webtorch.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
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


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., c, h * r, w * r) as (..., c * r * r, h, w): the way back from `pixel_shuffle`.

    >>> import webtorch
    >>> webtorch.nn.functional.pixel_unshuffle(webtorch.ones(1, 1, 4, 6), 2).shape
    webtorch.Size([1, 4, 2, 3])
    """
    r = downscale_factor
    if r <= 0 or input.ndim < 3:
        raise ShapeError(
            f"pixel_unshuffle({list(input._shape)}, {r}): expected at least 3 dimensions and a positive downscale_factor"
        )
    *outer, channels, height, width = input._shape
    if height % r or width % r:
        raise ShapeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but got {height} x {width} and {r}"
        )
    count = len(outer)
    split = input.reshape((*outer, channels, height // r, r, width // r, r))
    order = (*range(count), count, count + 2, count + 4, count + 1, count + 3)
    return split.permute(order).reshape((*outer, channels * r * r, height // r, width // r))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (n, c, ...), in `groups`, dealt out: first the first of each group, then the second ones.

    >>> import webtorch
    >>> webtorch.nn.functional.channel_shuffle(webtorch.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    if input.ndim < 3 or groups <= 0 or input._shape[1] % groups:
        raise ShapeError(
            f"channel_shuffle({list(input._shape)}, {groups}): Number of channels must be divisible by groups, in a tensor of at least 3 "
            "dimensions"
        )
    n, channels, *rest = input._shape
    return input.reshape((n, groups, channels // groups, *rest)).transpose(1, 2).reshape((n, channels, *rest))


native_channel_shuffle = channel_shuffle


@autocasts
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 @ weight[k] @ input2 + bias[k] for every output k; weight is (out, in1, in2).

    >>> import webtorch
    >>> one = webtorch.ones(1, 2)
    >>> webtorch.nn.functional.bilinear(one, one, webtorch.ones(3, 2, 2))
    tensor([[4., 4., 4.]])
    """
    if (
        weight.ndim != 3
        or input1._shape[:-1] != input2._shape[:-1]
        or (input1._shape[-1], input2._shape[-1]) != weight._shape[1:]
    ):
        raise ShapeError(
            f"bilinear: input1 {list(input1._shape)} and input2 {list(input2._shape)} do not fit weight {list(weight._shape)}, which is "
            "(out, in1, in2)"
        )
    outputs, first, second = weight._shape
    left = input1.reshape((-1, first)) @ weight.permute((1, 0, 2)).reshape((first, -1))
    products = left.reshape((-1, outputs, second)) @ input2.reshape((-1, second, 1))
    result = products.reshape((*input1._shape[:-1], outputs))
    return result if bias is None else result + bias


@autocasts
@widened
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distance of every pair of rows, the first row's pairs first.

    >>> import webtorch
    >>> webtorch.nn.functional.pdist(webtorch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    tensor([5., 3., 4.])
    """
    if input.ndim != 2:
        raise ShapeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise ShapeError(f"pdist only supports non-negative p values, got {p}")
    first, second = np.triu_indices(input._shape[0], 1)
    if not len(first):
        return creation.zeros(0, dtype=input.dtype, device=input.device)
    kind = np.int64 if input.is_cpu else np.int32
    rows = (creation.tensor(index.astype(kind), device=input.device) for index in (first, second))
    one, other = (input.index_select(0, index) for index in rows)
    return (one - other).norm(p, -1)
