"""Losses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import webtorch

from ... import creation
from ...errors import DTypeError, ShapeError
from ...indexing import checked
from ...ops import TABLE, common_device
from ...ops.binary import where
from ...ops.elementwise import not_for_complex
from ...ops.gather import take
from ...ops.pick import pick, pick_log
from ...precision import autocasts
from ...shapes import numel
from ...tensor import Tensor
from .basics import log_softmax
from .lookup import pairwise_distance


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
    """Regression losses broadcast, with PyTorch's warning; those of squares are for real numbers."""
    if call != "l1_loss" and (input.dtype.is_complex or target.dtype.is_complex):
        raise not_for_complex(call, (input, target))
    if input._shape != target._shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) in {call}. This will likely lead "
            "to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


@autocasts
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
    call: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, choose: Callable = pick
) -> tuple[Tensor, Tensor | None]:
    """-w[target] * input[target] and w[target] (None when all weights are 1); zero where the target is ignored.

    `choose` is `pick`, or `pick_log` of what the logarithms of probabilities are still to be computed of."""
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
    losses = -choose(input, index, dim)
    weights = kept.to(input.dtype)
    if weight is not None:
        weights = weights * take(weight.detach(), [index], (0,))
        losses = losses * weights
    return where(kept, losses, 0.0), weights


def weighted(losses: Tensor, weights: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / weights.sum()


@autocasts
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
    spread = (-1,) + (1,) * (input.ndim - dim - 1)
    if target.dtype.is_floating_point:
        if target._shape != input._shape:
            raise ShapeError(
                f"cross_entropy: Expected floating point type for target with class probabilities to have the shape of input "
                f"{list(input._shape)}, but got {list(target._shape)}; for class indices use an integer target"
            )
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / classes
        products = log_softmax(input, dim) * target
        if weight is not None:
            products = products * weight.reshape(spread)
        losses = -products.sum(dim)
        if reduction == "mean":
            return losses.sum() / max(1, numel(losses._shape))
        return reduced(losses, reduction)
    losses, weights = class_losses("cross_entropy", input, target, weight, ignore_index, pick_log)
    if not label_smoothing:
        return weighted(losses, weights, reduction)
    logs = log_softmax(input, dim)
    others = -(logs if weight is None else logs * weight.reshape(spread)).sum(dim)
    others = where(target != ignore_index, others, 0.0)
    return weighted(losses * (1 - label_smoothing) + others * (label_smoothing / classes), weights, reduction)


@autocasts
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


@autocasts
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute difference; with `weight`, "mean" is the weighted mean.

    >>> import webtorch
    >>> webtorch.nn.functional.l1_loss(webtorch.tensor([1.0, 2.0]), webtorch.tensor([1.0, 4.0]))
    tensor(1.)
    """
    same_sizes("l1_loss", input, target)
    loss = (input - target).abs()
    if weight is not None:
        loss = loss * weight
        if legacy_reduction(size_average, reduce, reduction) == "mean":
            return loss.sum() / weight.expand(loss._shape).sum()
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """The absolute difference d less beta / 2, and d * d / (2 * beta) where d is below `beta`.

    >>> import webtorch
    >>> webtorch.nn.functional.smooth_l1_loss(
    ...     webtorch.tensor([0.0, 0.0]), webtorch.tensor([1.0, 4.0]), reduction="none"
    ... )
    tensor([0.5000, 3.5000])
    """
    if beta < 0:
        raise ShapeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    same_sizes("smooth_l1_loss", input, target)
    distance = (input - target).abs()
    loss = where(distance < beta, distance.square() * (0.5 / beta), distance - 0.5 * beta)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the squared difference up to `delta`, and linear beyond it.

    >>> import webtorch
    >>> webtorch.nn.functional.huber_loss(webtorch.tensor([0.0, 0.0]), webtorch.tensor([1.0, 4.0]), reduction="none")
    tensor([0.5000, 3.5000])
    """
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


@autocasts
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), the logarithms being taken as at least -100.

    >>> import webtorch
    >>> webtorch.nn.functional.binary_cross_entropy(
    ...     webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]), reduction="none"
    ... )
    tensor([0.6931, 0.2877])
    """
    if input._shape != target._shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is "
            f"deprecated. Please ensure they have the same size."
        )
    loss = -(target * input.log().clamp_min(-100) + (1 - target) * (1 - input).log().clamp_min(-100))
    if weight is not None:
        loss = loss * weight
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), without its overflow.

    >>> import webtorch
    >>> webtorch.nn.functional.binary_cross_entropy_with_logits(
    ...     webtorch.tensor([0.0, 2.0]), webtorch.tensor([1.0, 1.0]), reduction="none"
    ... )
    tensor([0.6931, 0.1269])
    """
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


@autocasts
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), `input` being log-probabilities; "batchmean" divides by the size of dimension 0.

    >>> import webtorch
    >>> webtorch.nn.functional.kl_div(webtorch.tensor([0.5, 0.5]).log(), webtorch.tensor([0.25, 0.75]), reduction="sum")
    tensor(0.1308)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by the "
            "batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    loss = target.exp() * (target - input) if log_target else TABLE["xlogy"](target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input._shape[0] if input._shape else loss
    return reduced(loss, reduction)


@autocasts
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of Poisson counts, up to a constant unless `full`.

    >>> import webtorch
    >>> webtorch.nn.functional.poisson_nll_loss(webtorch.tensor([0.0]), webtorch.tensor([2.0]))
    tensor(1.)
    """
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + where(target > 1, stirling, 0.0)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """The negative log-likelihood of normal values with mean `input` and variance `var`.

    >>> import webtorch
    >>> webtorch.nn.functional.gaussian_nll_loss(webtorch.tensor([1.0]), webtorch.tensor([3.0]), webtorch.tensor([1.0]))
    tensor(2.)
    """
    if not isinstance(var, Tensor):
        var = creation.full_like(input.detach(), var)
    if var.ndim == input.ndim - 1 and var._shape == input._shape[:-1]:
        var = var.unsqueeze(-1)
    bounded = var + (var.detach().clamp_min(eps) - var.detach())  # the bound takes no part in the gradient
    loss = 0.5 * (bounded.log() + (input - target).square() / bounded)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@autocasts
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The input where the target is 1, and max(0, margin - input) where it is -1.

    >>> import webtorch
    >>> webtorch.nn.functional.hinge_embedding_loss(
    ...     webtorch.tensor([0.25, 0.25]), webtorch.tensor([1, -1]), reduction="none"
    ... )
    tensor([0.2500, 0.7500])
    """
    loss = where(target != 1, (margin - input).clamp_min(0), 0.0) + where(target != -1, input, 0.0)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin).

    >>> import webtorch
    >>> webtorch.nn.functional.margin_ranking_loss(
    ...     webtorch.tensor([1.0]), webtorch.tensor([3.0]), webtorch.tensor([1.0])
    ... )
    tensor(2.)
    """
    loss = (-target * (input1 - input2) + float(margin)).clamp_min(0)
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target * input)).

    >>> import webtorch
    >>> webtorch.nn.functional.soft_margin_loss(
    ...     webtorch.tensor([0.0, 2.0]), webtorch.tensor([1.0, -1.0]), reduction="none"
    ... )
    tensor([0.6931, 2.1269])
    """
    return reduced(-webtorch.logsigmoid(target * input), legacy_reduction(size_average, reduce, reduction))


@autocasts
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    >>> import webtorch
    >>> webtorch.nn.functional.cosine_embedding_loss(
    ...     webtorch.tensor([[3.0, 4.0]]), webtorch.tensor([[4.0, 3.0]]), webtorch.tensor([1])
    ... )
    tensor(0.0400)
    """
    eps = 1e-12
    products = (input1 * input2).sum(-1)
    lengths = ((input1.square().sum(-1) + eps) * (input2.square().sum(-1) + eps)).sqrt()
    cosine = products / lengths
    loss = where(target == 1, 1 - cosine, (cosine - margin).clamp_min(0))
    return reduced(loss, legacy_reduction(size_average, reduce, reduction))


@autocasts
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, distance to the positive - distance to the negative + margin).

    >>> import webtorch
    >>> webtorch.nn.functional.triplet_margin_loss(
    ...     webtorch.zeros(1, 2), webtorch.zeros(1, 2), webtorch.ones(1, 2), margin=2.0, eps=0.0
    ... )
    tensor(0.5858)
    """
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = TABLE["minimum"](far, pairwise_distance(positive, negative, p, eps))
    return reduced((near - far + margin).clamp_min(0), legacy_reduction(size_average, reduce, reduction))
