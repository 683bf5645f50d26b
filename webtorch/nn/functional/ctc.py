"""Connectionist temporal classification (Graves et al., 2006): a loss over all alignments of labels with a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

import webtorch

from ... import creation
from ...errors import ShapeError
from ...ops.binary import where
from ...tensor import Tensor
from .losses import check_reduction
from .windows import pad, positions

__all__ = ["ctc_loss"]

NEVER = -1e30  # the logarithm of no chance at all, finite so that differences of it are no NaN


def lengths_of(lengths: Any, name: str, batch: int) -> np.ndarray:
    array = lengths.detach().cpu().numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise ShapeError(f"ctc_loss: {name} must be integral")
    array = array.reshape(-1).astype(np.int64)
    if array.shape != (batch,):
        raise ShapeError(f"ctc_loss: {name} must be of size batch_size (got {array.size}, expected {batch})")
    return array


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the log of the chance that `log_probs`, (time, batch, classes) or (time, classes), spell the targets.

    Targets are (batch, longest), or all labels one after the other; lengths are lists or tensors. The mean is over the
    batch, each loss divided by the length of its target. With `zero_infinity`, impossible targets count nothing.

    >>> import webtorch
    >>> halves = webtorch.full((2, 1, 2), 0.5).log()
    >>> webtorch.nn.functional.ctc_loss(halves, webtorch.tensor([[1]]), [2], [1])  # 3 of 4 paths spell it
    tensor(0.2877)
    """
    check_reduction(reduction)
    batched = log_probs.ndim == 3
    if log_probs.ndim not in (2, 3):
        raise ShapeError(
            f"ctc_loss: log_probs must be (time, batch, classes) or (time, classes), got {list(log_probs._shape)}"
        )
    x = log_probs if batched else log_probs.unsqueeze(1)
    steps, batch, classes = x._shape
    if not 0 <= blank < classes:
        raise ShapeError(f"ctc_loss: blank must be in label range, 0 to {classes - 1}, but is {blank}")
    taken, wanted = (
        lengths_of(input_lengths, "input_lengths", batch),
        lengths_of(target_lengths, "target_lengths", batch),
    )
    if (taken > steps).any() or (taken < 0).any():
        raise ShapeError(f"ctc_loss: Expected input_lengths to have value at most {steps}, but got value {taken.max()}")
    labels = padded_labels(targets, wanted, batch, batched)
    longest = labels.shape[1]
    spelled = np.full((batch, 2 * longest + 1), blank)
    spelled[:, 1::2] = labels
    skips = np.zeros(spelled.shape, bool)  # from one label to a different next one, past the blank between them
    skips[:, 2:] = (spelled[:, 2:] != blank) & (spelled[:, 2:] != spelled[:, :-2])

    def beside(array: np.ndarray) -> Tensor:
        return creation.tensor(array, device=x.device)

    index = positions(np.ascontiguousarray(spelled), x)
    chances = x.gather(2, index.unsqueeze(0).expand((steps, *index._shape)))
    starts = np.zeros(spelled.shape, bool)
    starts[:, :2] = True
    starts[:, 1] &= wanted > 0
    state = where(beside(starts), chances[0], NEVER)
    may_skip = beside(skips)
    for step in range(1, steps):
        one = pad(state, (1, -1), value=NEVER)
        two = where(may_skip, pad(state, (2, -2), value=NEVER), NEVER) if longest else one
        top = webtorch.maximum(webtorch.maximum(state, one), two).detach()
        total = (state - top).exp() + (one - top).exp() + (two - top).exp()
        following = total.log() + top + chances[step]
        running = taken > step
        state = following if running.all() else where(beside(running[:, None]), following, state)
    ends = np.zeros(spelled.shape, bool)
    rows = np.arange(batch)
    ends[rows, 2 * wanted] = True
    ends[rows[wanted > 0], 2 * wanted[wanted > 0] - 1] = True
    losses = -where(beside(ends), state, NEVER).logsumexp(1)
    # PyTorch's gradient is the one with respect to what log_softmax made these numbers of.
    inside = beside((np.arange(steps)[:, None] < taken[None, :])[..., None])
    sums = where(inside, x.exp(), 0.0).sum((0, 2))
    losses = losses + (sums - sums.detach())
    empty = beside((taken == 0) & (wanted == 0))
    losses = where(empty, 0.0, losses) if ((taken == 0) & (wanted == 0)).any() else losses
    impossible = losses.detach() > -NEVER / 2
    losses = where(impossible, 0.0 if zero_infinity else float("inf"), losses)
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return (losses / beside(np.maximum(wanted, 1)).to(losses.dtype)).mean()
    return losses if batched else losses.squeeze(0)


def padded_labels(targets: Tensor, wanted: np.ndarray, batch: int, batched: bool) -> np.ndarray:
    """The labels as an array (batch, longest)."""
    array = targets.detach().cpu().numpy().astype(np.int64)
    longest = int(wanted.max(initial=0))
    if array.ndim == 1 and (batched or batch == 1):
        if array.size < wanted.sum():
            raise ShapeError(
                f"ctc_loss: Expected {wanted.sum()} labels in targets of lengths {wanted.tolist()}, but got {array.size}"
            )
        labels = np.zeros((batch, longest), np.int64)
        start = 0
        for row, count in enumerate(wanted):
            labels[row, :count] = array[start : start + count]
            start += count
        return labels
    if array.ndim != 2 or array.shape[0] != batch or array.shape[1] < longest:
        raise ShapeError(
            f"ctc_loss: Expected tensor to have size at least ({batch}, {longest}), but got size {list(array.shape)} for targets"
        )
    return np.where(np.arange(longest)[None, :] < wanted[:, None], array[:, :longest], 0)
