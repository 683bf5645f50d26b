"""Attention."""

from __future__ import annotations

import math
from typing import Any

from ... import creation, dtypes
from ...errors import ShapeError
from ...ops.binary import where
from ...tensor import Tensor
from .basics import dropout, softmax


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
