"""Combining values into places where several may meet, other than by adding: products, largest and smallest."""

from __future__ import annotations

import numpy as np

from .. import codegen, graph
from ..graph import Operand
from ..shapes import contiguous_strides, numel
from . import Op, Tensor, cast_operand, contiguous_node, from_node, tracks
from .gather import Put, indexed_place, put, split_index, take, write_grid

COMBINE = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}
CODES = {"prod": 2, "amax": 3, "amin": 4}  # what ACCUMULATE says to the writer; 1 is a sum


class Combine(Op):
    """`x` with each element of `y` combined into the place that the indices name: see `Put`, whose arguments it takes.

    Computed in float32 and int32 only; whoever calls it brings other dtypes to these on a GPU.
    """

    inlines = False
    has_epilogue = False
    stored_arguments = Put.stored_arguments

    def __call__(self, x: Tensor, y: Tensor, indices: list[Tensor], dims: tuple[int, ...], how: str) -> Tensor:
        attributes = {"dims": dims, "how": how}
        result = self.plain(x.detach(), y.detach(), indices, attributes)
        if tracks(x, y) and x.dtype.is_floating_point:
            from ..autograd.graph import attach

            attach(self, result, (x, y), {"indices": indices, "dims": dims, "how": how})
        return result

    def plain(self, old: Tensor, value: Tensor, indices: list[Tensor], attributes: dict) -> Tensor:
        if not value.numel():
            return old.clone()
        source = Operand(contiguous_node(old), old._shape, contiguous_strides(old._shape))
        args = (source, cast_operand(value._operand(), old.dtype), *(index._operand() for index in indices))
        return from_node(graph.record(self, args, attributes, old._shape, old.dtype, old.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        old, value, *indices = arrays
        dims = node.attributes["dims"]
        result = np.array(old, order="C").reshape(node.shape)
        target = np.transpose(result, (*dims, *(dim for dim in range(result.ndim) if dim not in dims)))
        COMBINE[node.attributes["how"]].at(target, tuple(indices), value)
        return result

    def lower(self, group, limits):
        node: graph.Node = group.core
        old, value, *indices = node.args
        constants = (("T", codegen.compute_type(node.dtype)), ("ACCUMULATE", CODES[node.attributes["how"]]))
        kernel = codegen.Kernel(limits, "write", constants)
        kernel.outputs = [node]
        kernel.target = old.node
        count = numel(value.shape)
        kernel.parameter("count", count)
        place = kernel.block("place", ("i",))
        split = split_index(place, 0, numel(indices[0].shape), count)
        place.returns = ((indexed_place(place, old, tuple(indices), node.attributes["dims"], *split), None),)
        load = kernel.block("load", ("i",))
        load.returns = ((load.operand(value, 0), value.dtype),)
        return write_grid(kernel, count)


def old_gradient(g: Tensor, out: Tensor, x: Tensor, y: Tensor, indices: list, dims: tuple, how: str) -> Tensor:
    if how == "prod":
        from ..creation import ones

        return g * combine(ones(x._shape, dtype=x.dtype, device=x.device), y, indices, dims, how)
    return (x == out).to(g.dtype) * shared(g, out, x, y, indices, dims)


def shared(g: Tensor, out: Tensor, x: Tensor, y: Tensor, indices: list, dims: tuple) -> Tensor:
    """The gradient divided among all that reach the extreme."""
    hits = (y == take(out.detach(), indices, dims)).to(g.dtype)
    return g / put((x == out).to(g.dtype), hits, indices, dims, True)


def value_gradient(g: Tensor, out: Tensor, x: Tensor, y: Tensor, indices: list, dims: tuple, how: str) -> Tensor:
    if how != "prod":
        return (y == take(out.detach(), indices, dims)).to(g.dtype) * take(
            shared(g, out, x, y, indices, dims), indices, dims
        )
    from .binary import where

    # A value of zero that is the only one in its place gets the product of the others; else divide.
    zero = y == 0
    zeros_there = take(put((x * 0).detach(), zero.to(x.dtype), indices, dims, True), indices, dims)
    single = zero & (zeros_there == 1)
    without = combine(x, where(single, 1.0, y), indices, dims, how)
    divided = take(g * out, indices, dims) / where(zero, 1.0, y)
    return where(single, take(g * without, indices, dims), divided)


combine = Combine("_combine_at", public=False, vjp=(old_gradient, value_gradient), grad_name="ScatterReduce")
