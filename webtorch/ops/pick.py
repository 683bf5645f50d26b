"""One element of each row, chosen by an index: what a loss of class indices reads of the log-probabilities."""

from __future__ import annotations

from typing import Any

from .. import dtypes, grad_mode
from . import Op, Tensor, tracks
from .binary import where


class Pick(Op):
    """out[..., ...] = x[..., index[..., ...], ...], the index taking the place of dimension `dim`.

    Like `gather` along `dim`, but no two elements of the result come from one place of the input, so the gradient needs
    no scattered additions: every element asks whether it was the one that was read.
    """

    batches = True
    inlines = False

    def __call__(self, x: Tensor, index: Tensor, dim: int) -> Tensor:
        with grad_mode.no_grad():
            result = x.detach().gather(dim, index.unsqueeze(dim)).squeeze(dim)
            result = result._view(result._shape, result._strides, result._offset)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {"index": index, "dim": dim})
        return result

    def evaluate(self, node: Any, arrays: list):
        raise AssertionError("it is recorded as a gather")


def pick_gradient(g: Tensor, x_shape: tuple, index: Tensor, dim: int) -> Tensor:
    from ..creation import ramp_tensor

    kind = dtypes.int64 if index.device.type == "cpu" else dtypes.int32
    choices = ramp_tensor(x_shape[dim], 0, 1, kind, index.device).reshape((-1,) + (1,) * (len(x_shape) - dim - 1))
    return where(choices == index.unsqueeze(dim), g.unsqueeze(dim), 0.0)


pick = Pick("_pick", vjp=(pick_gradient,), public=False, grad_name="NllLoss")
