"""One element of each row, chosen by an index: what a loss of class indices reads of the log-probabilities."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..grad_mode import no_grad
from . import Op, Tensor, tracks
from .binary import where
from .gather import take
from .row import log_softmax


class Pick(Op):
    """out[..., ...] = x[..., index[..., ...], ...], the index taking the place of dimension `dim`.

    The index lies inside: whoever made it has checked that. Like `gather` along `dim`, but no two elements of the result
    come from one place of the input, so the gradient needs no scattered additions: every element asks whether it was the
    one that was read.
    """

    batches = True
    inlines = False

    def __call__(self, x: Tensor, index: Tensor, dim: int) -> Tensor:
        with no_grad():
            places = [index if other == dim else own_position(index, other - (other > dim)) for other in range(x.ndim)]
            result = take(x.detach(), places, tuple(range(x.ndim)))
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {"index": index, "dim": dim})
        return result

    def evaluate(self, node: Any, arrays: list):
        raise AssertionError("it is recorded as a reading at computed places")


def own_position(index: Tensor, dim: int) -> Tensor:
    """For every element of `index`, its own place in dimension `dim`."""
    return ramp(index._shape[dim], index.device, index.ndim - dim - 1).expand(index._shape)


def ramp(count: int, device: Any, inner: int) -> Tensor:
    """0, 1, ... along a dimension with `inner` dimensions after it."""
    from ..creation import ramp_tensor

    kind = dtypes.int64 if device.type != "webgpu" else dtypes.int32
    return ramp_tensor(count, 0, 1, kind, device).reshape((-1,) + (1,) * inner)


def pick_gradient(g: Tensor, x_shape: tuple, index: Tensor, dim: int) -> Tensor:
    choices = ramp(x_shape[dim], index.device, len(x_shape) - dim - 1)
    return where(choices == index.unsqueeze(dim), g.unsqueeze(dim), 0.0)


class PickLog(Op):
    """The same of log_softmax(x, dim), which is `y` for the derivatives.

    A gradient of the log-softmax would sum every row of what is zero but for one element; that sum is known here.
    """

    batches = True
    inlines = False

    def __call__(self, x: Tensor, index: Tensor, dim: int) -> Tensor:
        logs = log_softmax(x, dim)
        with no_grad():
            result = pick(logs.detach(), index, dim)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x, logs), {"index": index, "dim": dim})
        return result

    def evaluate(self, node: Any, arrays: list):
        raise AssertionError("it is recorded as a reading at computed places")


def pick_log_gradient(g: Tensor, y: Tensor, index: Tensor, dim: int) -> Tensor:
    g = g.unsqueeze(dim)
    if y.device.type == "cpu":
        return (y.exp() * -g).scatter_add(dim, index.unsqueeze(dim), g)
    choices = ramp(y._shape[dim], y.device, y.ndim - dim - 1)
    return where(choices == index.to(choices.dtype).unsqueeze(dim), g, 0.0) - y.exp() * g


pick = Pick("_pick", vjp=(pick_gradient,), public=False, grad_name="NllLoss")
pick_log = PickLog("_pick_log", vjp=(pick_log_gradient,), public=False, grad_name="NllLoss")
