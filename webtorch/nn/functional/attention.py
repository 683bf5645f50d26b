"""Attention."""

from __future__ import annotations

import math
from typing import Any

from ... import batching, creation, dtypes, tangents
from ...errors import DTypeError, ShapeError
from ...ops.attention import MOST_FEATURES, Dropout, attention
from ...ops.binary import where
from ...precision import autocasts
from ...random import default_generator
from ...shapes import broadcast_shapes
from ...tensor import Tensor
from .basics import dropout, softmax

FEW_QUERIES = 8  # a GPU computes so few queries better by plain products, and their scores take little room


@autocasts
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
    applied whenever `dropout_p` is above 0. With `enable_gqa`, several query heads share one of key and value.

    One kernel computes it without storing the scores or what dropout leaves of them, and so do its gradients. Masks that
    require grad, gradients of gradients, forward mode, and more than 256 features are computed by plain products instead.

    >>> import webtorch
    >>> x = webtorch.ones(1, 2, 3, 4)
    >>> webtorch.nn.functional.scaled_dot_product_attention(x, x, x).shape
    webtorch.Size([1, 2, 3, 4])
    """
    check_arguments(query, key, value, attn_mask, is_causal)
    if scale is None:
        scale = 1.0 / math.sqrt(query._shape[-1]) if query._shape[-1] else 1.0
    if enable_gqa:
        return grouped(query, key, value, attn_mask, dropout_p, is_causal, scale)
    if fits(query, key, value, attn_mask, dropout_p):
        outer = broadcast_shapes(query._shape[:-2], key._shape[:-2], value._shape[:-2])
        if attn_mask is not None:
            outer = broadcast_shapes(outer, attn_mask._shape[:-2])
            attn_mask = attn_mask.expand((*outer, query._shape[-2], key._shape[-2]))
        query, key, value = (x.expand((*outer, *x._shape[-2:])) for x in (query, key, value))
        dropout_of = Dropout(float(dropout_p), *default_generator.draw()) if dropout_p else None
        return attention(query, key, value, attn_mask, is_causal, float(scale), dropout_of)
    dtype, wide = (
        value.dtype,
        dtypes.accumulator(value.dtype),
    )  # the scores are not rounded to 16 bits, as in the kernel
    scores = softmax_scores(query.to(wide), key.to(wide), attn_mask, is_causal, scale)
    return (dropout(scores, dropout_p) @ value.to(wide)).to(dtype)


def check_arguments(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool) -> None:
    call = "scaled_dot_product_attention"
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.ndim < 2:
            raise ShapeError(f"{call}: {name} must have at least 2 dimensions, but has shape {list(x._shape)}")
    if not query.dtype is key.dtype is value.dtype:
        raise DTypeError(
            f"{call}: Expected query, key, and value to have the same dtype, but got query.dtype: {query.dtype} key.dtype: "
            f"{key.dtype} and value.dtype: {value.dtype} instead"
        )
    if query._shape[-1] != key._shape[-1]:
        raise ShapeError(
            f"{call}: query {list(query._shape)} and key {list(key._shape)} must have the same number of features"
        )
    if key._shape[-2] != value._shape[-2]:
        raise ShapeError(f"{call}: key {list(key._shape)} and value {list(value._shape)} must have the same length")
    if attn_mask is not None:
        if is_causal:
            raise ShapeError(f"{call}: Explicit attn_mask should not be set when is_causal=True")
        if attn_mask.dtype is not dtypes.bool_ and not attn_mask.dtype.is_floating_point:
            raise DTypeError(f"{call}: Expected attn_mask dtype to be bool or float, but got {attn_mask.dtype}")


def fits(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float) -> bool:
    """Whether the kernel computes it."""
    inputs = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    if (attn_mask is not None and attn_mask.requires_grad) or any(x._batch for x in inputs):
        return False
    if dropout_p and (not 0.0 < dropout_p < 1.0 or batching.frames.get()):
        return False
    if tangents.live and any(tangents.carries(x) for x in inputs):
        return False
    if not all(x.numel() for x in inputs) or not query.dtype.is_floating_point:
        return False
    if any(x.device != query.device for x in inputs) or any(x._shape[-1] > MOST_FEATURES for x in (query, value)):
        return False
    return query.is_cpu or (query._shape[-2] >= FEW_QUERIES and query.dtype is not dtypes.float64)


def grouped(
    query: Tensor, key: Tensor, value: Tensor, mask: Any, dropout_p: float, causal: bool, scale: float
) -> Tensor:
    """Each key and value head seen by several query heads, without a copy of it: they are one more dimension."""
    if query.ndim < 3:
        raise ShapeError(f"scaled_dot_product_attention: enable_gqa needs heads, but query is {list(query._shape)}")
    heads, shared = query._shape[-3], key._shape[-3]
    if not shared or heads % shared or value._shape[-3] != shared:
        raise ShapeError(
            f"scaled_dot_product_attention: {heads} query heads cannot share {shared} key and {value._shape[-3]} value heads"
        )
    times = heads // shared
    split = query.reshape((*query._shape[:-3], shared, times, *query._shape[-2:]))
    if mask is not None and mask.ndim >= 3:
        own = mask._shape[-3]
        mask = mask.reshape((*mask._shape[:-3], *((shared, times) if own == heads else (1, 1)), *mask._shape[-2:]))
    result = scaled_dot_product_attention(split, key.unsqueeze(-3), value.unsqueeze(-3), mask, dropout_p, causal, scale)
    return result.reshape((*result._shape[:-4], heads, *result._shape[-2:]))


def softmax_scores(query: Tensor, key: Tensor, attn_mask: Any, is_causal: bool, scale: float) -> Tensor:
    """The matrix of attention weights. A query that sees nothing attends to nothing, rather than giving NaN."""
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        rows, columns = scores._shape[-2:]
        attn_mask = creation.ones(rows, columns, dtype=dtypes.bool_, device=query.device).tril()
    if attn_mask is None:
        return softmax(scores, -1)
    if attn_mask.dtype is dtypes.bool_:
        scores = where(attn_mask, scores, float("-inf"))
        seen = attn_mask.any(-1, keepdim=True)
    else:
        scores = scores + attn_mask
        seen = (attn_mask != float("-inf")).any(-1, keepdim=True)
    return where(seen, softmax(where(seen, scores, 0.0), -1), 0.0)
