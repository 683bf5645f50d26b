"""Losses over several classes or labels by margins, triplets with any distance, and a linear layer with its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import webtorch

from ... import creation, dtypes
from ...errors import ShapeError
from ...indexing import checked
from ...ops.binary import where
from ...precision import autocasts
from ...shapes import numel
from ...tensor import Tensor
from .basics import linear, logsigmoid
from .lookup import pairwise_distance
from .losses import cross_entropy, legacy_reduction, reduced

__all__ = [
    "linear_cross_entropy", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


@autocasts
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of max(0, margin - x[target] + x[class]) ** p, for classes other than the target.

    `input` is (n, c) or (c); `weight` has one number per class, that of the target counts.

    >>> import webtorch
    >>> webtorch.nn.functional.multi_margin_loss(webtorch.tensor([[0.1, 0.2, 0.4, 0.8]]), webtorch.tensor([3]))
    tensor(0.3250)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    x = input if input.ndim == 2 else input.reshape((1, -1))
    index = target if target.ndim else target.unsqueeze(0)
    if input.ndim > 2 or index._shape != (x._shape[0],):
        raise ShapeError(
            f"multi_margin_loss: inconsistent target size, expected [{x._shape[0]}] but got {list(target._shape)} for "
            f"input {list(input._shape)}"
        )
    index = checked(index, x._shape[1], 0, "multi_margin_loss", wrap=False).unsqueeze(1)
    terms = (margin - x.gather(1, index) + x).clamp_min(0)
    if p == 2:
        terms = terms * terms
    if weight is not None:
        terms = terms * weight[index.squeeze(1)].unsqueeze(1)
    classes = creation.arange(x._shape[1], dtype=index.dtype, device=x.device)
    losses = where(classes == index, 0.0, terms).sum(1) / x._shape[1]
    return reduced(losses if target.ndim else losses.squeeze(0), reduction)


@autocasts
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """The sum over labels and other classes of max(0, 1 - (x[label] - x[class])), over the number of classes.

    The labels of an example are the class numbers in its row of `target` before the first -1.

    >>> import webtorch
    >>> x, y = webtorch.tensor([[0.1, 0.2, 0.4, 0.8]]), webtorch.tensor([[3, 0, -1, 1]])
    >>> webtorch.nn.functional.multilabel_margin_loss(x, y)
    tensor(0.8500)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input.ndim > 2 or input._shape != target._shape and not input.numel() == target.numel() == 1:
        raise ShapeError(
            f"multilabel_margin_loss: inconsistent target size {list(target._shape)} for input of size {list(input._shape)}"
        )
    x, labels = (input, target) if input.ndim == 2 else (input.reshape((1, -1)), target.reshape((1, -1)))
    counted = (labels < 0).to(dtypes.int32).cumsum(1) == 0
    index = where(counted, labels, 0)
    index = checked(index, x._shape[1], 0, "multilabel_margin_loss", wrap=False)
    classes = creation.arange(x._shape[1], dtype=index.dtype, device=x.device)
    is_label = ((index.unsqueeze(2) == classes) & counted.unsqueeze(2)).any(1)
    terms = (1 - x.gather(1, index).unsqueeze(2) + x.unsqueeze(1)).clamp_min(0)
    terms = where(counted.unsqueeze(2) & ~is_label.unsqueeze(1), terms, 0.0)
    losses = terms.sum((1, 2)) / x._shape[1]
    return reduced(losses if input.ndim == 2 else losses.squeeze(0), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of the binary cross-entropy of sigmoid(input) and `target`.

    >>> import webtorch
    >>> webtorch.nn.functional.multilabel_soft_margin_loss(webtorch.zeros(1, 2), webtorch.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(losses.sum(-1) / input._shape[-1], reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, distance(anchor, positive) - distance(anchor, negative) + margin), with any distance.

    >>> import webtorch
    >>> a, b = webtorch.zeros(1, 2), webtorch.tensor([[3.0, 4.0]])
    >>> webtorch.nn.functional.triplet_margin_with_distance_loss(a, b, a, distance_function=lambda x, y: (x - y).norm(dim=-1))
    tensor(6.)
    """
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            "triplet_margin_with_distance_loss: The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = webtorch.minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp_min(0), reduction)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy` of `linear(input, linear_weight, linear_bias)`.

    `input` is (n, features) or (features), `linear_weight` (classes, ..., features) with as many dimensions between as the
    loss has beside the batch, `linear_bias` like it without the features; `target` holds class numbers (n, ...), or
    probabilities (n, classes, ...). `options`, which say how PyTorch cuts the work up, are accepted and change nothing.

    >>> import webtorch
    >>> webtorch.nn.functional.linear_cross_entropy(webtorch.zeros(2, 3), webtorch.ones(4, 3), webtorch.tensor([0, 3]))
    tensor(1.3863)
    """
    call = "linear_cross_entropy"
    if input.ndim not in (1, 2) or linear_weight.ndim < 2 or linear_weight._shape[-1] != input._shape[-1]:
        raise ShapeError(
            f"{call}: expected input of 1 or 2 dimensions and linear_weight of at least 2, with as many features in the last, "
            f"but got shapes {list(input._shape)} and {list(linear_weight._shape)}"
        )
    outputs = linear_weight._shape[:-1]
    if linear_bias is not None and linear_bias._shape != outputs:
        raise ShapeError(f"{call}: expected linear_bias shape {list(outputs)}, got {list(linear_bias._shape)}")
    if len(outputs) > 1 and input.ndim == 1:
        raise ShapeError(
            f"{call}: a loss of several dimensions, as linear_weight of shape {list(linear_weight._shape)} defines, requires "
            f"batched input (n, {input._shape[-1]}), got shape {list(input._shape)}"
        )
    shape = (*input._shape[:-1], *outputs)
    if target._shape == shape and ignore_index is not None:
        raise RuntimeError(f"{call}: ignore_index cannot be specified when target contains probabilities")
    weights = linear_weight.reshape((numel(outputs), input._shape[-1]))
    bias = None if linear_bias is None else linear_bias.reshape((-1,))
    scores = linear(input, weights, bias).reshape(shape)
    return cross_entropy(
        scores,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
