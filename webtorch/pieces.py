"""Kernels over more memory than can be bound at once, computed in pieces on the GPU.

An op says how it falls in two (`Op.halves`): the same rows of what it reads and writes, or parts of what it sums up. Halves
that are still too large are halved again. What a piece reads of a large buffer is copied into a small one, which is bound
in its place; results lie one after the other, or are combined by a kernel.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from . import graph, kernels
from .codegen import Limits
from .fuse import Group, pending_arguments
from .graph import Node, Operand
from .shapes import is_contiguous

__all__ = ["Halves", "TooLarge", "adder", "halve", "halve_rows", "outermost", "run_group", "span"]

COPIES = 32  # how often, on average, what a group reads and writes may be copied
ALIGNMENT = 64  # elements: copies begin where vectors of four do, and at multiples of four bytes

Halves = tuple[list[Node], Callable[[list[Node]], Node] | None]
"""The nodes of two halves, and what makes the result of their results: None where they lie one after the other."""


class TooLarge(Exception):
    """No way is known to compute a node in pieces."""


# ---- how ops fall in two --------------------------------------------------------------------------------------------


def halve(operand: Operand, dimension: int) -> tuple[Operand, Operand]:
    """The two halves of an operand along a dimension, the first no shorter than the second."""
    size, stride = operand.shape[dimension], operand.strides[dimension]
    first = middle(size)
    before, after = operand.shape[:dimension], operand.shape[dimension + 1 :]
    return (
        Operand(operand.node, (*before, first, *after), operand.strides, operand.offset),
        Operand(operand.node, (*before, size - first, *after), operand.strides, operand.offset + first * stride),
    )


def middle(size: int) -> int:
    """Where a dimension is halved: at a multiple of 16 if it is long, so that narrow rows fill whole words."""
    return -(-size // 2) if size < 64 else -(-size // 32) * 16


def outermost(operand: Operand) -> int | None:
    """The dimension of which one step is the widest in memory; None where there is but one element."""
    wide = [
        (abs(stride) * (size - 1), d)
        for d, (size, stride) in enumerate(zip(operand.shape, operand.strides, strict=True))
    ]
    return max(wide, key=lambda pair: (pair[0], -pair[1]))[1] if wide and max(wide)[0] else None


def halve_rows(node: Node, dimension: int) -> Halves | None:
    """`node` in two along a dimension that its operands and it have in common, where the halves of it lie one after the
    other."""
    if any(size > 1 for size in node.shape[:dimension]) or node.shape[dimension] < 2:
        return None
    halves = [
        halve(argument, dimension) if isinstance(argument, Operand) else (argument, argument) for argument in node.args
    ]
    parts = []
    first = middle(node.shape[dimension])
    for number, size in enumerate((first, node.shape[dimension] - first)):
        shape = (*node.shape[:dimension], size, *node.shape[dimension + 1 :])
        args = tuple(pair[number] for pair in halves)
        parts.append(Node(node.op, args, node.attributes, shape, node.dtype, node.device))
    return (parts, None) if parts[0].nbytes % 4 == 0 else None


def adder(node: Node, row: str, wide: Any) -> Callable[[list[Node]], Node]:
    """What combines two results of dtype `wide` by an elementwise row, and gives them the dtype of `node`."""

    def join(results: list[Node]) -> Node:
        from .ops import TABLE

        shape = results[0].shape
        total = Node(TABLE[row], tuple(result.operand() for result in results), {}, shape, wide, node.device)
        if wide is node.dtype:
            return total
        return Node(TABLE["_cast"], (total.operand(),), {}, shape, node.dtype, node.device)

    return join


# ---- computing ------------------------------------------------------------------------------------------------------


class Pieces:
    """The computation of one group: on which device, under which limits, and how many bytes may still be copied. (The
    columns of a large matrix, one by one, would take copies of nearly all of it each: then numpy is better.)"""

    def __init__(self, device: Any, limits: Limits, room: int) -> None:
        self.device = device
        self.limits = limits
        self.room = room

    def compute(self, node: Node) -> Node:
        """A realised node with the value of `node`. Raises TooLarge."""
        args = []
        for argument in node.args:
            if isinstance(argument, Operand) and argument.node.buffer is None:
                source = argument.node
                if source.size > 4 * sum(leaf.size for leaf in leaves(source)):
                    raise TooLarge  # products of all pairs, say: they are never meant to be in memory
                argument = Operand(self.materialized(source), argument.shape, argument.strides, argument.offset)
            args.append(argument)
        node = Node(node.op, tuple(args), node.attributes, node.shape, node.dtype, node.device)
        if fits(node, self.limits):
            return self.run(node)
        if node.op.inlines:
            try:
                return self.run(node)
            except TooLarge:
                halves = elementwise_halves(node)
        else:
            halves = node.op.halves(node, self.limits)
        if halves is None:
            compact = compacted(node)
            if compact is None:
                raise TooLarge
            return self.compute(compact)
        parts, join = halves
        results = [self.compute(part) for part in parts]
        return self.joined(results, node.shape) if join is None else self.compute(join(results))

    def materialized(self, node: Node) -> Node:
        """A pending argument, computed: by one kernel with all that is expanded into it where that is possible."""
        if expandable(node):
            try:
                return self.run(node)
            except TooLarge:
                pass
        return self.compute(node)

    def run(self, node: Node) -> Node:
        """Compute a node by one kernel."""
        args = tuple(self.narrowed(each) if isinstance(each, Operand) else each for each in node.args)
        if any(map(operator.is_not, args, node.args)):
            node = Node(node.op, args, node.attributes, node.shape, node.dtype, node.device)
        group = Group(0, node.size, None if node.op.inlines else node)
        group.members = group.outputs = [node]
        kernel, pipeline, source = kernels.prepare(group, self.device, self.limits)
        if pipeline is None:
            raise TooLarge
        kernels.run(group, kernel, pipeline, source, self.device, self.limits)
        return node

    def narrowed(self, operand: Operand) -> Operand:
        """The same elements in a buffer that holds little else, where that takes fewer bindings."""
        node, size = operand.node, operand.dtype.itemsize
        if node.buffer is None:
            return operand
        first, end = span(operand)
        first = first // ALIGNMENT * ALIGNMENT
        if self.limits.windows((end - first) * size) >= self.limits.windows(node.nbytes):
            return operand
        part = graph.data(self.device.allocate((end - first) * size), (end - first,), node.dtype, node.device)
        self.copy(node, part, (end - first) * size, source_offset=first * size)
        return Operand(part, operand.shape, operand.strides, operand.offset - first)

    def joined(self, results: list[Node], shape: tuple) -> Node:
        """Results one after the other in one buffer."""
        first = results[0]
        whole = graph.data(
            self.device.allocate(sum(node.nbytes for node in results)), shape, first.dtype, first.device
        )  # fmt: skip
        at = 0
        for node in results:
            self.copy(node, whole, node.nbytes, target_offset=at)
            at += node.nbytes
        return whole

    def copy(self, source: Node, target: Node, nbytes: int, source_offset: int = 0, target_offset: int = 0) -> None:
        self.room -= nbytes
        if self.room < 0:
            raise TooLarge
        self.device.copy(source.buffer, target.buffer, nbytes, source_offset, target_offset)


def elementwise_halves(node: Node) -> Halves | None:
    """An elementwise node whose operands all have its shape, in two along its first dimension."""
    same = all(argument.shape == node.shape for argument in node.args if isinstance(argument, Operand))
    wide = [d for d, size in enumerate(node.shape) if size > 1]
    return halve_rows(node, wide[0]) if node.op.keeps_index and same and wide else None


def compacted(node: Node) -> Node | None:
    """The same node of copies that have their elements side by side; None where it reads no others."""
    from .ops import TABLE

    args = []
    for argument in node.args:
        if isinstance(argument, Operand) and not is_contiguous(argument.shape, argument.strides):
            copy = Node(TABLE["_copy"], (argument,), {}, argument.shape, argument.dtype, node.device)
            argument = copy.operand()
        args.append(argument)
    if node.op.inlines or all(map(operator.is_, args, node.args)):
        return None
    return Node(node.op, tuple(args), node.attributes, node.shape, node.dtype, node.device)


def leaves(node: Node) -> list[Node]:
    """The realised nodes that a pending one starts at."""
    found: dict[int, Node] = {}
    stack = [node]
    while stack:
        for argument in stack.pop().args:
            if isinstance(argument, Operand) and id(argument.node) not in found:
                if argument.node.buffer is None:
                    stack.append(argument.node)
                else:
                    found[id(argument.node)] = argument.node
    return list(found.values())


def expandable(node: Node) -> bool:
    """Whether all that `node` needs can be computed where it is."""
    stack = [node]
    while stack:
        current = stack.pop()
        if not current.op.inlines:
            return False
        stack += [source.node for source in pending_arguments(current)]
    return True


def span(operand: Operand) -> tuple[int, int]:
    """The first element of its node that an operand reads, and the one after the last."""
    reach = [(size - 1) * stride for size, stride in zip(operand.shape, operand.strides, strict=True)]
    return operand.offset + sum(min(step, 0) for step in reach), operand.offset + sum(
        max(step, 0) for step in reach
    ) + 1


def fits(node: Node, limits: Limits) -> bool:
    """Whether what a node reads and writes can be bound at once."""
    needed = limits.windows(node.nbytes)
    for argument in node.args:
        if isinstance(argument, Operand):
            first, end = span(argument)
            needed += limits.windows((end - first // ALIGNMENT * ALIGNMENT) * argument.dtype.itemsize)
    return needed <= limits.max_storage_buffers


def run_group(group: Group, device: Any, limits: Limits) -> None:
    """Compute the outputs of a group around a core: the core in pieces, and then what was to be computed beside it.
    Raises TooLarge before anything of the group is settled."""
    core = group.core
    assert core is not None
    room = COPIES * (core.nbytes + sum(leaf.nbytes for leaf in leaves(core)))
    core.settle(Pieces(device, limits, room).compute(core).buffer)
    others = Group(group.position, group.size)
    others.members = [node for node in group.members if node is not core]
    others.outputs = [node for node in group.outputs if node is not core]
    if others.outputs:
        kernel, pipeline, source = kernels.prepare(others, device, limits)
        kernels.run(others, kernel, pipeline, source, device, limits)
