"""Joining tensors: each is written into its part of the result."""

from __future__ import annotations

from .. import batching, graph
from ..shapes import numel
from . import Op, Tensor, from_node, tracks, view_of
from .elementwise import fill


class Join(Op):
    """`cat`; recorded as writes into a fresh tensor, so that any number of inputs of any size fit any adapter."""

    batches = True
    moves = True

    def __call__(self, tensors: list[Tensor], dim: int) -> Tensor:
        first = tensors[0]
        sizes = tuple(tensor._shape[dim] for tensor in tensors)
        shape = (*first._shape[:dim], sum(sizes), *first._shape[dim + 1 :])
        levels = batching.union(tensors)
        if levels:
            physical = self([batching.exposed(tensor, levels) for tensor in tensors], dim + len(levels))
            result = batching.hidden(physical, levels)
        elif first.device.type != "webgpu":
            args = tuple(tensor._operand() for tensor in tensors)
            result = from_node(graph.record(self, args, {"dim": dim}, shape, first.dtype, first.device))
        else:
            result = self.written(tensors, dim, shape)
        if tracks(*tensors):
            from ..autograd.graph import attach

            attach(JoinGradient(len(tensors)), result, tuple(tensors), {"dim": dim, "sizes": sizes})
        return result

    def written(self, tensors: list[Tensor], dim: int, shape: tuple[int, ...]) -> Tensor:
        result = fill(shape, tensors[0].dtype, tensors[0].device, value=0)
        start = 0
        for tensor in tensors:
            size = tensor._shape[dim]
            if numel(tensor._shape):
                part = (*shape[:dim], size, *shape[dim + 1 :])
                view_of(result._storage, part, result._strides, start * result._strides[dim])._write(
                    view_of(tensor._storage, tensor._shape, tensor._strides, tensor._offset)
                )
            start += size
        joined = from_node(
            result._storage.node
        )  # of one tensor this is that tensor's value, which may have another shape
        joined._shape, joined._strides = result._shape, result._strides
        return joined

    def evaluate(self, node, arrays):
        import numpy as np

        return np.concatenate(arrays, axis=node.attributes["dim"])


class JoinGradient:
    """The derivative of a join of n tensors: each gets its own part of the gradient."""

    grad_name = "CatBackward0"
    moves_levels = False

    def __init__(self, count: int) -> None:
        self.vjp = tuple(self.rule(position) for position in range(count))
        self.rule_names = (("g", "dim", "sizes"),) * count

    @staticmethod
    def rule(position: int):
        return lambda g, dim, sizes: g.narrow(dim, sum(sizes[:position]), sizes[position])


join = Join("_cat", public=False)
