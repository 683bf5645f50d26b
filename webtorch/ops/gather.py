"""Reading and writing at computed places: `take` reads, `write` stores a view's elements, `put` stores at indices."""

from __future__ import annotations

import numpy as np

from .. import batching, codegen, determinism, dtypes, engine, grad_mode, graph
from ..graph import Operand
from ..shapes import contiguous_strides, numel
from . import Op, Tensor, cast_operand, contiguous_node, from_node, tracks
from .ordered import put_in_order

ADDED = (dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int64)  # dtypes that are added in themselves on a GPU


class Take(Op):
    """Advanced indexing: some dimensions of the source are read at given positions.

    Arguments: the source, then one index per dimension in `dims` (increasing), all of one shape B. The result has shape
    [*B, *the other dimensions]. Whoever makes the indices has checked that they lie inside and are not negative.
    Expanded where it is read.
    """

    batches = True
    moves = True
    inlines = True
    jumps = True
    weight = 2

    def __call__(self, source: Tensor, indices: list[Tensor], dims: tuple[int, ...]) -> Tensor:
        if source._batch or batching.batched(indices):
            result = self.batched(source, indices, dims)
        else:
            result = self.plain(source, indices, dims)
        if tracks(source):
            from ..autograd.graph import attach

            attach(self, result, (source,), {"dims": dims, "indices": indices})
        return result

    def plain(self, source: Tensor, indices: list[Tensor], dims: tuple[int, ...]) -> Tensor:
        operand = source._operand()
        rest = tuple(size for dim, size in enumerate(operand.shape) if dim not in dims)
        shape = (*indices[0]._shape, *rest)
        args = (operand, *(index._operand() for index in indices))
        return from_node(graph.record(self, args, {"dims": dims}, shape, source.dtype, source.device))

    def batched(self, source: Tensor, indices: list[Tensor], dims: tuple[int, ...]) -> Tensor:
        """Under vmap: a level of the source alone is one more dimension that is not indexed; one that the indices differ over
        is one more dimension of their shape, and if the source has it too, an indexed one, read at its own position."""
        among = batching.union(indices)
        named = {level for level, _ in among}
        own = tuple(entry for entry in batching.levels_of(source) if entry[0] not in named)
        both = tuple(entry for entry in among if any(level == entry[0] for level, _, _ in source._batch))
        physical = batching.exposed(source, (*both, *own))
        places = exposed_indices(indices, among, both)
        dims = (*range(len(both)), *(dim + len(both) + len(own) for dim in dims))
        result = self.plain(physical, places, dims)  # [*among, *B, *own, *rest]
        width = len(among) + indices[0].ndim
        return batching.hidden_at(
            result, {**dict(enumerate(among)), **{width + n: level for n, level in enumerate(own)}}
        )

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        source, *indices = arrays
        dims = node.attributes["dims"]
        if not node.size:
            return np.empty(node.shape, source.dtype)
        order = (*dims, *(dim for dim in range(source.ndim) if dim not in dims))
        return np.transpose(source, order)[tuple(indices)]

    def needs(self, block, node: graph.Node, index: int) -> list:
        at = self.split(block, node, index)[0]
        wanted = [(argument.node, block.at(argument, at)) for argument in node.args[1:]]
        if any((id(source), position) not in block.memo for source, position in wanted):
            return wanted
        source = node.args[0]
        return [
            (
                source.node,
                indexed_place(block, source, node.args[1:], node.attributes["dims"], *self.split(block, node, index)),
            )
        ]

    def split(self, block, node: graph.Node, index: int) -> tuple[int, int]:
        return split_index(block, index, numel(node.args[1].shape), node.size)

    def emit(self, block, node: graph.Node, index: int) -> int:
        source = node.args[0]
        place = indexed_place(block, source, node.args[1:], node.attributes["dims"], *self.split(block, node, index))
        return block.node(source.node, place)


def exposed_indices(indices: list[Tensor], among: batching.Levels, addressed: batching.Levels) -> list[Tensor]:
    """Index tensors with their hidden dimensions in front, after one index for each level that the source has, too."""
    from ..creation import ramp_tensor

    kind = dtypes.int64 if indices[0].device.type != "webgpu" else dtypes.int32
    shape = (*batching.sizes_of(among), *indices[0]._shape)
    own = []
    for level, size in addressed:
        place = [1] * len(shape)
        place[among.index((level, size))] = size
        own.append(ramp_tensor(size, 0, 1, kind, indices[0].device).reshape(tuple(place)).expand(shape))
    return [*own, *(batching.exposed(index, among) for index in indices)]


def split_index(block, index: int, count: int, size: int) -> tuple[int, int]:
    """A linear index over [*B, *rest] as an index over B and one over the rest."""
    if count == size:
        return index, block.emit("zero")
    if count == 1:
        return block.emit("zero"), index
    both = block.coordinates(index, (count, size // count))
    return block.emit("apply", "{0}_0", "u32", (both,)), block.emit("apply", "{0}_1", "u32", (both,))


def indexed_place(block, source: Operand, indices: tuple, dims: tuple, at: int, rest: int) -> int:
    """The element of the source's node that the indices' values at `at`, and `rest` over the other dimensions, name."""
    others = [dim for dim in range(len(source.shape)) if dim not in dims]
    parts = [(rest, tuple(source.shape[dim] for dim in others), tuple(source.strides[dim] for dim in others))]
    for argument, dim in zip(indices, dims, strict=True):
        position = block.emit("apply", "u32({0})", "u32", (block.operand(argument, at),))
        parts.append((position, (source.shape[dim],), (source.strides[dim],)))
    return block.index(parts, source.offset)


def reads(node: graph.Node, wanted: graph.Node) -> bool:
    """True when computing a pending node soon reads `wanted`; a long way back is not looked for."""
    stack, seen = [node], {id(node)}
    while stack and len(seen) < 64:
        for argument in stack.pop().args:
            source = getattr(argument, "node", None)
            if source is wanted:
                return True
            if source is not None and source.buffer is None and id(source) not in seen:
                seen.add(id(source))
                stack.append(source)
    return False


def write_grid(kernel, count: int):
    """The kernel with a grid for `count` elements. On a CPU few workgroups of few invocations, which take many elements
    each, are twice as fast."""
    many = kernel.limits.is_cpu and count >= 1 << 14
    kernel.workgroup_size, each = (8, 128) if many else (64, 1)
    kernel.constants += (("EACH", each),)
    kernel.trips = each
    kernel.workgroups = -(-count // (kernel.workgroup_size * each))
    return kernel


class Write(Op):
    """The first argument with the elements of one view of it replaced by the second argument's."""

    batches = True
    moves = True

    inlines = False
    has_epilogue = False
    writes_in_place = True

    def stored_arguments(self, node: graph.Node) -> tuple:
        """What is written into; and what is computed from it, lest it be read by the kernel that writes it."""
        old, *others = node.args
        return (
            old,
            *(argument for argument in others if argument.node.buffer is None and reads(argument.node, old.node)),
        )

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        old, value = arrays
        result = np.array(old).reshape(-1)
        engine.strided(result, node.attributes["shape"], node.attributes["strides"], node.attributes["offset"])[...] = (
            value
        )
        return result

    def lower(self, group, limits):
        node: graph.Node = group.core
        old, value = node.args
        kernel = codegen.Kernel(limits, "write", (("T", codegen.compute_type(node.dtype)),))
        kernel.outputs = [node]
        kernel.target = old.node
        shape, strides = node.attributes["shape"], node.attributes["strides"]
        count = numel(shape)
        kernel.parameter("count", count)
        place = kernel.block("place", ("i",))
        place.returns = ((place.index([(0, shape, strides)], node.attributes["offset"]), None),)
        load = kernel.block("load", ("i",))
        load.returns = ((load.operand(value, 0), value.dtype),)
        return write_grid(kernel, count)


class Put(Write):
    """The first argument with values stored at (or added to) indexed places: what `Take` reads, `Put` writes.

    Arguments: the old value (contiguous), the values of shape [*B, *the other dimensions], then the indices. Of several
    values for one place one is stored; when adding, all are. On a GPU in no fixed order, unless deterministic algorithms
    were asked for.
    """

    moves = False

    def __call__(
        self, old: Tensor, value: Tensor, indices: list[Tensor], dims: tuple[int, ...], accumulate: bool
    ) -> Tensor:
        if old._batch or value._batch or batching.batched(indices):
            result = self.batched(old, value, indices, dims, accumulate)
        else:
            result = self.plain(old, value, indices, dims, accumulate)
        if tracks(old, value):
            from ..autograd.graph import attach

            attach(self, result, (old, value), {"dims": dims, "accumulate": accumulate, "indices": indices})
        return result

    def batched(
        self, old: Tensor, value: Tensor, indices: list[Tensor], dims: tuple[int, ...], accumulate: bool
    ) -> Tensor:
        """Under vmap: levels that the indices differ over are indexed dimensions, the other ones are not."""
        among = batching.union(indices)
        own = tuple(entry for entry in batching.union((old, value)) if entry not in among)
        count, width = len(among), indices[0].ndim
        target = batching.exposed(old, (*among, *own)).clone()
        stored = batching.exposed(value, (*among, *own))  # [*among, *own, *B, *rest], wanted [*among, *B, *own, *rest]
        first = count + len(own)
        order = (*range(count), *range(first, first + width), *range(count, first), *range(first + width, stored.ndim))
        places = exposed_indices(indices, among, among)
        dims = (*range(count), *(dim + first for dim in dims))
        return batching.hidden_at(
            self.plain(target, stored.permute(order), places, dims, accumulate), dict(enumerate((*among, *own)))
        )

    def plain(
        self, old: Tensor, value: Tensor, indices: list[Tensor], dims: tuple[int, ...], accumulate: bool
    ) -> Tensor:
        old, value = old.detach().contiguous(), value.detach()
        if not numel(value._shape):
            return old.clone()
        if old.device.type != "webgpu":
            return self.recorded(old, value, indices, dims, accumulate)
        if accumulate and old.dtype.is_complex:  # part by part
            from .parts import view_as_complex, view_as_real

            parts = self.plain(view_as_real(old), view_as_real(value.to(old.dtype)), indices, dims, True)
            return view_as_complex(parts)
        narrow = accumulate and old.dtype not in ADDED
        if narrow:
            wide = dtypes.float32 if old.dtype.is_floating_point else dtypes.int32
            return self.plain(old.to(wide), value.to(wide), indices, dims, True).to(old.dtype)
        floats = accumulate and old.dtype.is_floating_point
        if old.dtype is dtypes.float64 and floats or determinism.is_order_fixed() and (floats or not accumulate):
            with grad_mode.no_grad():
                detached = [index.detach() for index in indices]
                return put_in_order(old, value.to(old.dtype), detached, dims, accumulate)
        return self.recorded(old, value, indices, dims, accumulate)

    def recorded(
        self, old: Tensor, value: Tensor, indices: list[Tensor], dims: tuple[int, ...], accumulate: bool
    ) -> Tensor:
        """As one kernel. On a GPU the order among values of one place is not fixed."""
        attributes = {"dims": dims, "accumulate": accumulate}
        source = Operand(contiguous_node(old), old._shape, contiguous_strides(old._shape))
        args = (source, cast_operand(value._operand(), old.dtype), *(index._operand() for index in indices))
        return from_node(graph.record(self, args, attributes, old._shape, old.dtype, old.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        old, value, *indices = arrays
        dims = node.attributes["dims"]
        result = np.array(old, order="C").reshape(node.shape)
        target = np.transpose(result, (*dims, *(dim for dim in range(result.ndim) if dim not in dims)))
        if not node.attributes["accumulate"]:
            target[tuple(indices)] = value
        elif result.dtype.kind == "b":
            np.logical_or.at(target, tuple(indices), value)
        else:
            np.add.at(target, tuple(indices), value)
        return result

    def lower(self, group, limits):
        node: graph.Node = group.core
        old, value, *indices = node.args
        dims = node.attributes["dims"]
        kind, accumulate = codegen.compute_type(node.dtype), node.attributes["accumulate"]
        native = accumulate and kind == "f32" and "shader-float32-atomic" in limits.features
        constants = (
            ("T", kind),
            ("ACCUMULATE", 1 if accumulate else 0),
            ("ADDS_FLOATS", "true" if native else "false"),
        )
        kernel = codegen.Kernel(limits, "write", constants)
        kernel.outputs = [node]
        kernel.target = old.node
        count = numel(value.shape)
        kernel.parameter("count", count)
        place = kernel.block("place", ("i",))
        split = split_index(place, 0, numel(indices[0].shape), count)
        place.returns = ((indexed_place(place, old, tuple(indices), dims, *split), None),)
        load = kernel.block("load", ("i",))
        load.returns = ((load.operand(value, 0), value.dtype),)
        return write_grid(kernel, count)


def put_value_gradient(g: Tensor, indices: list, dims: tuple) -> Tensor:
    return take(g, indices, dims)


def put_old_gradient(g: Tensor, indices: list, dims: tuple, accumulate: bool, y_shape: tuple) -> Tensor:
    if accumulate:
        return g
    from ..creation import zeros

    return put(g, zeros(y_shape, dtype=g.dtype, device=g.device), indices, dims, False)


def take_gradient(g: Tensor, indices: list, dims: tuple, x_shape: tuple) -> Tensor:
    from ..creation import zeros

    return put(zeros(x_shape, dtype=g.dtype, device=g.device), g, indices, dims, True)


# fmt: off
take = Take("_take", public=False, vjp=(take_gradient,), grad_name="Index")
write = Write("_write", public=False)
put = Put("_put", public=False, vjp=(put_old_gradient, put_value_gradient), grad_name="IndexPut")
# fmt: on
