"""Attention with several heads, from projections to output."""

from __future__ import annotations

import math
from typing import Any

import webtorch

from ... import creation, dtypes
from ...errors import DTypeError, ShapeError
from ...ops.binary import where
from ...tensor import Tensor
from .attention import scaled_dot_product_attention
from .basics import dropout, linear, softmax
from .windows import pad

__all__ = ["multi_head_attention_forward"]


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `webtorch.nn.MultiheadAttention` computes, from (length, batch, features) or (length, features).

    Without `need_weights` the scores are not stored (`scaled_dot_product_attention`).

    >>> import webtorch
    >>> x, w = webtorch.rand(3, 2, 4), webtorch.rand(12, 4)
    >>> output, weights = webtorch.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, w, None, None, None, False, 0.0, webtorch.rand(4, 4), None)
    >>> output.shape, weights.shape
    (webtorch.Size([3, 2, 4]), webtorch.Size([2, 3, 3]))
    """
    check_dimensions(query, key, value, key_padding_mask, attn_mask)
    if is_causal and attn_mask is None:
        raise ShapeError("multi_head_attention_forward: Need attn_mask if specifying the is_causal hint.")
    batched = query.ndim == 3
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, width = query._shape
    if width != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    if width % num_heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    weights_in = (
        (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight.chunk(3, 0)
    )
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3, 0)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights_in, biases, strict=True))
    if bias_k is not None:
        k = webtorch.cat([k, bias_k.expand((1, batch, width))], 0)
        v = webtorch.cat([v, bias_v.expand((1, batch, width))], 0)

    def heads(x: Tensor) -> Tensor:
        return x.reshape((x._shape[0], batch, num_heads, width // num_heads)).permute((1, 2, 0, 3))

    q, k, v = heads(q), heads(k), heads(v)
    if static_k is not None:
        k = static_k.reshape((batch, num_heads, *static_k._shape[1:]))
    if static_v is not None:
        v = static_v.reshape((batch, num_heads, *static_v._shape[1:]))
    if add_zero_attn:
        zero = creation.zeros(batch, num_heads, 1, width // num_heads, dtype=k.dtype, device=k.device)
        k, v = webtorch.cat([k, zero], 2), webtorch.cat([v, zero], 2)
    causal = is_causal and key_padding_mask is None and not need_weights and length == k._shape[2]
    mask = None
    if not causal:
        mask = merged_mask(key_padding_mask, attn_mask, batch, num_heads, length, key._shape[0], k._shape[2], q)
    chance = dropout_p if training else 0.0
    weights = None
    if need_weights:
        scores = (q * (1.0 / math.sqrt(q._shape[-1]))) @ k.transpose(-2, -1)
        weights = dropout(softmax(scores if mask is None else scores + mask, -1), chance)
        mixed = weights @ v
        weights = weights.mean(1) if average_attn_weights else weights
    else:
        mixed = scaled_dot_product_attention(q, k, v, mask, chance, causal)
    output = linear(mixed.permute((2, 0, 1, 3)).reshape((length, batch, width)), out_proj_weight, out_proj_bias)
    if batched:
        return output, weights
    return output.squeeze(1), None if weights is None else weights.squeeze(0)


def check_dimensions(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None) -> None:
    call = "multi_head_attention_forward"
    if query.ndim not in (2, 3):
        raise ShapeError(f"{call}: query should be unbatched 2D or batched 3D but received {query.ndim}-D query tensor")
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise ShapeError(
            f"{call}: For {query.ndim}-D query, expected key and value to be {query.ndim}-D too, but found {key.ndim}-D and "
            f"{value.ndim}-D tensors"
        )
    if key._shape[:-1] != value._shape[:-1]:
        raise ShapeError(
            f"{call}: key's sequence and batch dims {list(key._shape[:-1])} do not match value's {list(value._shape[:-1])}"
        )
    for name, one in (("key_padding_mask", padding), ("attn_mask", mask)):
        if one is not None and one.dtype is not dtypes.bool_ and not one.dtype.is_floating_point:
            raise DTypeError(f"{call}: only bool and floating types of {name} are supported, not {one.dtype}")
    if mask is not None and mask.ndim not in (2, 3):
        raise ShapeError(f"{call}: attn_mask's dimension {mask.ndim} is not supported")


def merged_mask(
    padding: Any, mask: Any, batch: int, heads: int, length: int, given: int, keys: int, like: Tensor
) -> Tensor | None:
    """Both masks as numbers to add to the scores of shape (batch, heads, length, keys)."""
    call = "multi_head_attention_forward"
    total = None
    if mask is not None:
        wanted = (length, given) if mask.ndim == 2 else (batch * heads, length, given)
        if mask._shape != wanted:
            raise ShapeError(f"{call}: The shape of the attn_mask is {tuple(mask._shape)}, but should be {wanted}.")
        if mask.ndim == 3:
            mask = mask.reshape((batch, heads, length, given))
        total = additive(mask, like)
    if padding is not None:
        if tuple(padding._shape) != (batch, given):
            raise ShapeError(
                f"{call}: expecting key_padding_mask shape of {(batch, given)}, but got {tuple(padding._shape)}"
            )
        padding = additive(padding.reshape((batch, 1, 1, given)), like)
        total = padding if total is None else total + padding
    if total is not None and keys > given:  # what was added to the keys may be seen by all
        total = pad(total, (0, keys - given))
    return total


def additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers: -inf where a bool says that a key is not to be seen."""
    if mask.dtype is dtypes.bool_:
        return where(mask, float("-inf"), creation.zeros((), dtype=like.dtype, device=like.device))
    return mask.to(like.dtype)
