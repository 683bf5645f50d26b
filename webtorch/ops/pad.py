"""Padding with a constant, between elements too: what slicing with a step does, in reverse. Expanded where it is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import batching, graph
from ..graph import Operand
from . import Op, Tensor, from_node, tracks


class Pad(Op):
    """Element c of the result is element (c - low) / steps of the source where that exists, else `value`.

    Negative `low` and a small result shape cut elements off.
    """

    batches = True
    inlines = True
    weight = 2

    def __call__(self, x: Tensor, low: tuple, steps: tuple, shape: tuple, value: Any) -> Tensor:
        attributes = {"low": low, "steps": steps, "value": value}
        if x._batch:
            levels = batching.levels_of(x)
            sizes, count = batching.sizes_of(levels), len(levels)
            physical = self(
                batching.exposed(x, levels),
                (0,) * count + tuple(low),
                (1,) * count + tuple(steps),
                (*sizes, *shape),
                value,
            )
            result = batching.hidden(physical, levels)
        elif 0 in x._shape:
            from ..creation import full

            result = full(shape, value, dtype=x.dtype, device=x.device)
        else:
            result = from_node(graph.record(self, (x._operand(),), attributes, tuple(shape), x.dtype, x.device))
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), attributes)
        return result

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        low, steps = node.attributes["low"], node.attributes["steps"]
        result = np.full(node.shape, node.attributes["value"], node.dtype.numpy)
        target, source = [], []
        for start, step, size, room in zip(low, steps, x.shape, node.shape, strict=True):
            first = max(0, -(start // step)) if start < 0 else 0
            last = min(size, -(-(room - start) // step)) if room > start else 0
            if last <= first:
                return result
            source.append(slice(first, last))
            target.append(slice(start + first * step, start + (last - 1) * step + 1, step))
        result[tuple(target)] = x[tuple(source)]
        return result

    def source_index(self, block, node: graph.Node, index: int) -> int:
        """The instruction that finds the source element: its value is the linear index, its `_in` whether there is one."""
        operand: Operand = node.args[0]
        key = ("pad", index, node.shape, operand.shape, node.attributes["low"], node.attributes["steps"])
        known = block.memo.get(key)
        if known is None:
            source = block.coordinates(index, node.shape)
            kernel, tests, sums = block.kernel, [], []
            for dimension, size in enumerate(operand.shape):
                low, step = node.attributes["low"][dimension], node.attributes["steps"][dimension]
                tests.append((dimension, kernel.word(low), kernel.word(size), None if step == 1 else kernel.word(step)))
                sums.append(kernel.word(size))
            block.code.append(("pad", source, tuple(tests), tuple(sums), None))
            known = block.memo[key] = len(block.code) - 1
        return known

    def structure(self, node: graph.Node) -> tuple:
        return node.attributes["low"], node.attributes["steps"]

    def needs(self, block, node: graph.Node, index: int) -> list:
        operand = node.args[0]
        return [(operand.node, block.at(operand, self.source_index(block, node, index)))]

    def emit(self, block, node: graph.Node, index: int) -> int:
        operand = node.args[0]
        where = self.source_index(block, node, index)
        value = block.operand(operand, where)
        other = block.attribute(node, "value", node.dtype)
        return block.apply("select({1}, {0}, {2}_in)", node.dtype, value, other, where)


def pad_gradient(g: Tensor, x_shape: tuple, low: tuple, steps: tuple) -> Tensor:
    """Read the gradient where the source's elements went; those that were cut off get zero."""
    from .view import slice_

    result = g
    for dim, (start, step, size) in enumerate(zip(low, steps, x_shape, strict=True)):
        room = result._shape[dim]
        first = -(start // step) if start < 0 else 0
        last = min(size, -(-(room - start) // step)) if room > start else 0
        count = max(0, last - first)
        if (start + first * step, count, step) != (0, room, 1):
            result = slice_.view(result, {"dim": dim, "start": start + first * step, "length": count, "step": step})
        if count != size:
            offsets = [0] * len(x_shape)
            offsets[dim] = first
            result = pad(
                result,
                tuple(offsets),
                (1,) * len(x_shape),
                (*result._shape[:dim], size, *result._shape[dim + 1 :]),
                0.0,
            )
    return result


pad = Pad("_pad", vjp=(pad_gradient,), public=False, grad_name="ConstantPadNd")
