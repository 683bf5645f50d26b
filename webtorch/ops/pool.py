"""Pooling: the largest element, or the sum, of every window over the last dimensions of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import batching, dtypes, graph
from ..grad_mode import no_grad
from ..shapes import numel
from . import Op, Tensor, from_node, tracks
from .binary import where
from .conv import window_shape, windows
from .pad import pad
from .reduce import amax, lowest
from .reduce import sum as sum_
from .view import slice_


class WindowOp(Op):
    """Windows of `size` elements, `dilation` apart, at every `stride`-th place of the input with its elements `spread`
    apart, `low` padding before it, and `room` elements in all."""

    batches = True
    inlines = False
    reduction: Any = None  # the row that folds a window
    fold: Any = None  # the same for numpy
    outside: Any = None  # what stands outside the input, by dtype

    def __call__(
        self, x: Tensor, low: tuple, spread: tuple, room: tuple, size: tuple, stride: tuple, dilation: tuple
    ) -> Tensor:
        attributes = {"low": low, "spread": spread, "room": room, "size": size, "stride": stride, "dilation": dilation}
        count = len(low)
        rest = x._shape[: x.ndim - count]
        shape = (*rest, *window_shape(x._shape, low, size, room, stride, dilation))
        with no_grad():
            source = x.detach()
            if x._batch:
                result = batching.lifted(lambda whole: self(whole, **attributes), source)
            elif x.device.type != "webgpu" or not numel(shape):
                operand = padded(source, self.outside(x.dtype), **attributes)._operand()
                result = from_node(graph.record(self, (operand,), attributes, shape, x.dtype, x.device))
            else:
                view = windows(source, low, spread, room, size, stride, dilation, self.outside(x.dtype))
                result = self.reduction.reduce(view, tuple(range(x.ndim, x.ndim + count)), False, x.dtype)
                result = result._view(result._shape, result._strides, result._offset)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), attributes)
        return result

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        attributes = node.attributes
        result = None
        for position in np.ndindex(*attributes["size"]):
            part = x[at_position(node.shape, position, attributes["stride"], attributes["dilation"])]
            result = np.array(part) if result is None else self.fold(result, part, out=result)
        return result if result is not None else np.zeros(node.shape, x.dtype)


class WindowMaximum(WindowOp):
    reduction = amax
    fold = staticmethod(np.maximum)
    outside = staticmethod(lowest)


class WindowSum(WindowOp):
    reduction = sum_
    fold = staticmethod(np.add)
    outside = staticmethod(lambda dtype: 0)


def at_position(shape: tuple, position: tuple, stride: tuple, dilation: tuple) -> tuple:
    """The index that reads the element `position` of every window of a padded array."""
    count = shape[len(shape) - len(position) :]
    return (
        ...,
        *(
            slice(k * d, k * d + (n - 1) * s + 1, s)
            for k, d, n, s in zip(position, dilation, count, stride, strict=True)
        ),
    )


def padded(x: Tensor, value: Any, low: tuple, spread: tuple, room: tuple, **rest: Any) -> Tensor:
    outer = x.ndim - len(low)
    if not any(low) and all(step == 1 for step in spread) and tuple(room) == x._shape[outer:]:
        return x
    return pad(x, (*(0,) * outer, *low), (*(1,) * outer, *spread), (*x._shape[:outer], *room), value)


def first_maximum(
    x: Tensor, out: Tensor, low: tuple, room: tuple, size: tuple, stride: tuple, dilation: tuple
) -> Tensor:
    """Where in its window (row-major) the maximum `out` is first found, as int32; NaN is found like any maximum."""
    with no_grad():
        x, out = x.detach(), out.detach()
        outer = x.ndim - len(low)
        source = padded(x, lowest(x.dtype), low, (1,) * len(low), room)
        found = None
        for number, position in reversed(list(enumerate(np.ndindex(*size)))):
            part = source
            for dim, (k, s, d) in enumerate(zip(position, stride, dilation, strict=True)):
                attributes = {"dim": outer + dim, "start": k * d, "length": out._shape[outer + dim], "step": s}
                part = slice_.view(part, attributes)
            hit = part == out if not x.dtype.is_floating_point else (part == out) | part.isnan()
            if found is None:
                found = hit.to(dtypes.int32) * number
            else:
                found = where(hit, number, found)
        return found


def maximum_gradient(g, x, out, low, room, size, stride, dilation):
    """The gradient goes to the first maximum of each window."""
    found = first_maximum(x, out, low, room, size, stride, dilation)
    outer = x.ndim - len(low)
    total = None
    for number, position in enumerate(np.ndindex(*size)):
        start = tuple(k * d - first for k, d, first in zip(position, dilation, low, strict=True))
        part = pad(where(found == number, g, 0.0), (*(0,) * outer, *start), (*(1,) * outer, *stride), x._shape, 0.0)
        total = part if total is None else total + part
    return total


def sum_gradient(g, x_shape, low, spread, size, stride, dilation):
    """Each gradient is added to all that its window read: again sums of windows, of the spread-out gradient."""
    shape = x_shape[len(x_shape) - len(low) :]
    back = tuple(d * (k - 1) - first for d, k, first in zip(dilation, size, low, strict=True))
    needed = tuple((n - 1) * t + d * (k - 1) + 1 for n, t, d, k in zip(shape, spread, dilation, size, strict=True))
    return window_sum(g, back, stride, needed, size, spread, dilation)


# fmt: off
window_maximum = WindowMaximum("_window_maximum", vjp=(maximum_gradient,), public=False, grad_name="MaxPoolWithIndices")
window_sum = WindowSum("_window_sum", vjp=(sum_gradient,), public=False, grad_name="AvgPool")
# fmt: on
