"""Kernels that do the work of several: groups with the same code but other sizes, memory and numbers share a dispatch.

An update step of a model is the same arithmetic for every weight. Each group becomes a segment of one dispatch: its
workgroups follow those of the segment before, and its parameters lie in a table of the parameter block, with what says
where in which binding its inputs begin (see shaders/grid_joined.wgsl). The code knows no size and no number of segments.

An adapter may have as few as eight bindings. So the results of a dispatch lie in one piece of memory, and so do values
that it reads if the same plan computes them (`Shared`): what the next step reads then takes one binding, too.
"""

from __future__ import annotations

import copy
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import codegen, kernels, shaders_path
from .codegen import UNPACK, Kernel, Limits, compute_type, is_packed
from .fuse import Group
from .graph import Node
from .rendering import (
    element_type,
    finished,
    generated_from,
    in_fours,
    per_word,
    quad_type,
    read_in_fours,
    render_holes,
    render_writer,
)  # fmt: skip

MOST_BYTES = 32 << 20  # results of one dispatch: while one of them is in use, so is the memory of all
FEWEST = 4  # groups that are worth a kernel of their own kind
SEGMENTS = (4, 16, 64)  # for how many segments a kernel is made: as few kernels as possible
WORKGROUP, WORKGROUP_ON_CPU = 256, 16  # invocations of an elementwise kernel
MOST_WORDS = 512  # parameters of a segment
MOST_BINDINGS = 17  # inputs of one dispatch: a read may have to choose among those of its type
MOST_BINDINGS_ON_CPU = 9  # an adapter that is a CPU goes through all of them at every choice
SMALL = 4096  # results of at most so many elements may wait for others of their kind, though nobody wants to keep them


# ---- planning -------------------------------------------------------------------------------------------------------


class Unit:
    """Groups that one dispatch computes (or a few, where it takes more bindings than there are)."""

    __slots__ = ("before", "groups", "joint", "kernels", "mask")

    def __init__(self, group: Group) -> None:
        self.groups = [group]
        self.kernels: list[Kernel] = []
        self.mask = 1 << group.position  # its groups, as a set of positions
        self.before = group.before  # the groups that must have run before
        self.joint: Joint | None = None


def join(groups: list[Group], kept: set[int], limits: Limits) -> list[Unit]:
    """The groups in an order that can be run, those of the same code joined. `kept` are the ids of the nodes that
    somebody will hold after the plan: results that would not last are not computed earlier or later than planned."""
    units = [Unit(group) for group in groups]
    alike: dict[tuple, list[Unit]] = {}
    for unit in units:
        (group,) = unit.groups
        # What is made from nothing can be made when it is wanted: joined, all of it would be in memory from the start.
        lasting = kept if any(node.args for node in group.members) else set()
        if (group.core is None or group.core.op.joins) and all(
            id(node) in lasting or node.size <= SMALL for node in group.outputs
        ):
            key = tuple((id(node.op), node.dtype) for node in (*group.members, *group.outputs))
            alike.setdefault(key, []).append(unit)
    candidates = [unit for same in alike.values() if len(same) >= FEWEST for unit in same]
    if not candidates:
        return units
    stored = {id(node) for group in groups for node in group.outputs}
    structures: dict[tuple, list[Unit]] = {}
    try:
        for unit in candidates:
            (group,) = unit.groups
            # What other groups compute will be there when this one runs.
            codegen.planned = stored - {id(node) for node in group.outputs}
            kernel = kernels.trace(group, limits)
            kernels.check_budgets(kernel, limits)
            if fits(kernel, limits):
                if group.core is None:  # of one size for all
                    size = WORKGROUP_ON_CPU if limits.is_cpu else WORKGROUP
                    kernel.workgroup_size = min(size, limits.max_workgroup_invocations)
                    kernel.workgroups = -(-group.size // (4 * kernel.workgroup_size * kernel.each))
                unit.kernels.append(kernel)
                structures.setdefault(kernel.key(), []).append(unit)
    finally:
        codegen.planned = set()
    for same in structures.values():
        gather(same, units)
    units = [unit for unit in units if unit.groups]
    for unit in units:
        if len(unit.groups) > 1:
            unit.joint = Joint(unit.kernels, limits)
    return runnable(units)


def fits(kernel: Kernel, limits: Limits) -> bool:
    """Whether a kernel can be a segment: all its memory fits single bindings, and its results a shared one."""
    nodes = [*kernel.inputs, *kernel.outputs]
    return (
        kernel.target is None
        and not kernel.tiled
        and not kernel.provisional
        and len(nodes) <= limits.max_storage_buffers
        and len(kernel.words) <= MOST_WORDS
        and all(limits.windows(node.nbytes) == 1 for node in nodes)
        and sum(-(-node.nbytes // 256) * 256 for node in kernel.outputs) <= most_bytes(limits)
    )


def most_bytes(limits: Limits) -> int:
    return min(MOST_BYTES, limits.max_binding_size)


def gather(same: list[Unit], units: list[Unit]) -> None:
    """Join units of one structure, as far as none has to wait for another, where there are enough of them."""
    while len(same) >= FEWEST:
        mask = before = 0
        chosen, others = [], []
        for unit in same:
            if unit.before & mask or before & unit.mask:
                others.append(unit)
            else:
                chosen.append(unit)
                mask |= unit.mask
                before |= unit.before
        if len(chosen) >= FEWEST:
            first = chosen[0]
            first.groups = [group for unit in chosen for group in unit.groups]
            first.kernels = [kernel for unit in chosen for kernel in unit.kernels]
            first.mask, first.before = mask, before
            for unit in chosen[1:]:
                unit.groups, unit.kernels = [], []
            for unit in units:  # whoever waits for one of them now waits for all
                if unit.before & mask:
                    unit.before |= before | mask
        same = others


def runnable(units: list[Unit]) -> list[Unit]:
    """The units in the order in which they were begun, but each after those that it has to wait for."""
    ordered: list[Unit] = []
    done = 0
    for unit in units:
        waiting = [other for other in units if other.mask & unit.before & ~done] if unit.before & ~done else []
        for other in (*sorted(waiting, key=lambda other: other.before.bit_count()), unit):
            if not done & other.mask:
                done |= other.mask
                ordered.append(other)
    return ordered


# ---- memory that results share --------------------------------------------------------------------------------------


def neighbours(units: list[Unit], places: dict[int, int], limits: Limits) -> list[list[tuple[int, int]]]:
    """The results that should lie in one piece of memory, by place, with their sizes in bytes: those that joined kernels
    read at one of their inputs, and other kernels compute."""
    written = {id(node) for unit in units if unit.joint is not None for group in unit.groups for node in group.outputs}
    written |= {
        id(node)
        for unit in units
        for group in unit.groups
        if group.core is not None and group.core.op.writes_in_place
        for node in group.outputs
    }
    pending = {id(node) for unit in units for group in unit.groups for node in group.outputs} - written
    found: list[list[tuple[int, int]]] = []
    for unit in units:
        if unit.joint is None:
            continue
        for slot in range(len(unit.kernels[0].inputs)):
            sharing: list[tuple[int, int]] = []
            room = most_bytes(limits)
            for kernel in unit.kernels:
                node = kernel.inputs[slot]
                if id(node) not in pending:
                    continue
                pending.remove(id(node))
                taken = -(-node.nbytes // 256) * 256
                if taken > room:
                    found.append(sharing)
                    sharing, room = [], most_bytes(limits)
                sharing.append((places[id(node)], node.nbytes))
                room -= taken
            found.append(sharing)
    return [sharing for sharing in found if len(sharing) > 1]


class Shared:
    """The memory for the results of one run of a plan: of its own for each, but for neighbours."""

    def __init__(self, sharing: list[list[tuple[int, int]]], device: Any) -> None:
        self.sharing = {place: together for together in sharing for place, _ in together}
        self.device = device
        self.made: dict[int, Any] = {}

    def allocate(self, place: int, nbytes: int, inputs: list[Node]) -> Any:
        """Memory for the result at `place` of a kernel that reads `inputs`."""
        together = self.sharing.get(place)
        if together is None:
            return self.device.allocate(nbytes)
        if place not in self.made:
            parts = self.device.allocate_parts([size for _, size in together])
            self.made.update(zip((at for at, _ in together), parts, strict=True))
        buffer = self.made.pop(place)
        if any(node.buffer.uid == buffer.uid for node in inputs):  # a kernel may not read and write one memory
            return self.device.allocate(nbytes)
        return buffer


# ---- code -----------------------------------------------------------------------------------------------------------


class Structure:
    """What the segments have in common: one kernel of them, and how its memory is bound.

    Inputs are bound by the type that their elements are declared with; results by dtype.
    """

    def __init__(self, kernel: Kernel, limits: Limits) -> None:
        self.limits = limits
        self.kernel = kernel = without_nodes(kernel)
        self.slots = [declared(node.dtype) for node in kernel.inputs]
        self.types = list(dict.fromkeys(self.slots))
        self.results = list(dict.fromkeys(node.dtype for node in kernel.outputs))
        self.words = -(-len(kernel.words) // 4)
        table = 2 * len(kernel.inputs) + len(kernel.outputs)
        self.stride = self.words + -(-table // 4)
        self.fours = read_in_fours(kernel)
        self.block_bytes = 16 * self.words
        self.most_segments = max(n for n in SEGMENTS if self.parameter_quads(n) * 16 <= limits.max_params)
        self.label = f"{kernel.shader} for several"
        self.device: Any = None  # that the pipelines are of
        self.pipelines: dict[tuple, tuple] = {}

    def parameter_quads(self, segments: int) -> int:
        return segments // 4 + segments * self.stride

    def pipeline(
        self, device: Any, bound: tuple[int, ...], fixed: tuple[int | None, ...], segments: int
    ) -> tuple[Any, str]:
        """The pipeline for so many bindings of each type and at most so many segments, and its source. `fixed` gives, for
        each input, the binding that it lies in for all segments, if there is one."""
        if self.device is not device:
            self.device = device
            self.pipelines.clear()
        known = self.pipelines.get((bound, fixed, segments))
        if known is None:
            source = self.render(bound, fixed, segments)
            size = 16 * self.parameter_quads(segments)
            pipeline = device.pipeline(source, self.label, sum(bound), len(self.results), size)
            known = self.pipelines[bound, fixed, segments] = (pipeline, source)
        return known

    def entry(self, number: int) -> str:
        """An entry of the segment's table, which follows its parameters."""
        return f"own_{self.words + number // 4}.{'xyzw'[number % 4]}"

    def render(self, bound: tuple[int, ...], fixed: tuple[int | None, ...], segments: int) -> str:
        kernel, fours = self.kernel, in_fours(self.kernel)
        lines = [generated_from(kernel)]
        size = self.parameter_quads(segments)
        lines.append(f"@group(0) @binding(0) var<uniform> params: array<vec4<u32>, {size}>;")
        binding = 1
        for number, (kind, count) in enumerate(zip(self.types, bound, strict=True)):
            for source in range(count):
                lines.append(
                    f"@group(0) @binding({binding}) var<storage, read> source_{number}_{source}: array<{kind}>;"
                )
                binding += 1
            lines.append(render_choice(number, kind, count))
        for slot, node in enumerate(kernel.inputs):
            lines.append(self.reader(slot, node.dtype, fixed[slot]))
        for number, dtype in enumerate(self.results):
            kind = quad_type(dtype) if fours else "atomic<u32>" if is_packed(dtype) else element_type(dtype)
            lines.append(f"@group(0) @binding({binding}) var<storage, read_write> result_{number}: array<{kind}>;")
            binding += 1
        for slot, node in enumerate(kernel.outputs):
            begin = self.entry(2 * len(kernel.inputs) + slot)
            names = [f"result_{self.results.index(node.dtype)}"]
            lines.append(render_writer(slot, node.dtype, names, kernel, fours, begin))
        lines += render_holes(kernel, *self.fours)
        lines.append(f"const SEGMENTS = {segments}u;\nconst STRIDE = {self.stride}u;")
        # A copy of the segment's parameters, in variables that need no memory: some drivers fetch what is addressed by a
        # variable for every invocation and every use anew.
        own = range(self.stride)
        lines += [f"var<private> own_{n}: vec4<u32>;" for n in own]
        lines.append(f"fn take(begin: u32) {{ {' '.join(f'own_{n} = params[begin + {n}u];' for n in own)} }}")
        text = re.sub(r"\bparams\[(\d+)\]", r"own_\1", "\n".join(lines))
        return finished(kernel, [text, shaders_path.read("grid_joined.wgsl")])

    def reader(self, slot: int, dtype: Any, binding: int | None) -> str:
        """`quad_S` and `read_S`: elements of input S, in whichever binding it lies for this segment."""
        kind, number = compute_type(dtype), self.types.index(self.slots[slot])
        begin = self.entry(2 * slot + 1)

        def fetch(index: str) -> str:
            if binding is None:
                return f"fetch_{number}({self.entry(2 * slot)}, {index})"
            return f"source_{number}_{binding}[{index}]"

        if dtype.itemsize == 4:
            return (
                f"fn quad_{slot}(i: u32) -> vec4<{kind}> {{ return {fetch(f'i + {begin}')}; }}\n"
                f"fn read_{slot}(i: u32) -> {kind} {{ return quad_{slot}(i >> 2u)[i & 3u]; }}"
            )
        width = per_word(dtype)
        if width == 1:
            return f"fn read_{slot}(i: u32) -> {kind} {{ return {fetch(f'i + {begin}')}; }}"
        value = UNPACK[dtype].format(word="word", i="i")
        return (
            f"fn read_{slot}(at: u32) -> {kind} {{ let i = at + {begin}; "
            f"let word = {fetch(f'i >> { {2: 1, 4: 2}[width] }u')}; return {value}; }}"
        )


class Typed(NamedTuple):
    """What stands for a node in the kernel of a structure, which outlives all nodes."""

    dtype: Any


def without_nodes(kernel: Kernel) -> Kernel:
    """A copy of a kernel, for its code alone."""
    kernel = copy.copy(kernel)
    kernel.inputs = [Typed(node.dtype) for node in kernel.inputs]
    kernel.outputs = [Typed(node.dtype) for node in kernel.outputs]
    kernel.input_slots, kernel.scalars = {}, []
    kernel.blocks = [copy.copy(block) for block in kernel.blocks]
    for block in kernel.blocks:
        block.kernel, block.memo, block.sources = kernel, {}, {}
    return kernel


def declared(dtype: Any) -> str:
    """The WGSL type of the elements of a binding for inputs of a dtype."""
    return f"vec4<{element_type(dtype)}>" if dtype.itemsize == 4 else element_type(dtype)


def render_choice(number: int, kind: str, count: int) -> str:
    """`fetch_N(source, i)`: element i of one of the bindings of a type."""
    body = ""
    for source in range(count - 1):
        body += f"if (source == {source}u) {{ return source_{number}_{source}[i]; }} "
    return f"fn fetch_{number}(source: u32, i: u32) -> {kind} {{ {body}return source_{number}_{count - 1}[i]; }}"


_structures: dict[tuple, Structure] = {}


# ---- running --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Piece:
    """One dispatch: some of the segments, and where their memory is bound."""

    segments: list[int]
    chunk: int  # the number of the piece of memory that its results lie in
    bound: tuple[int, ...]  # how many bindings of inputs there are of each type
    bindings: list[tuple[int, int]]  # for each of them a segment, and an input of it that lies there
    fixed: tuple[int | None, ...]  # for each input the binding that it lies in for all segments, if there is one
    head: bytes  # the parameters before those of the segments
    tables: list[bytes]  # what follows the parameters of each segment
    workgroups: int


class Joint:
    """Segments of one structure."""

    def __init__(self, kernels_of: list[Kernel], limits: Limits) -> None:
        self.limits = limits
        key = (limits, kernels_of[0].key())
        structure = _structures.get(key)
        if structure is None:
            if len(_structures) >= 1024:
                _structures.clear()
            structure = _structures[key] = Structure(kernels_of[0], limits)
        self.structure = structure
        self.counts = [kernel.workgroups for kernel in kernels_of]
        self.sizes = [[node.nbytes for node in kernel.outputs] for kernel in kernels_of]
        self.words = b"".join(kernel.params().ljust(structure.block_bytes, b"\0") for kernel in kernels_of)
        self.arranged: dict[tuple, list[Piece]] = {}
        self.lay_out()

    def lay_out(self) -> None:
        """Where the results lie: in a piece of memory for each dtype, or several where they would be too large."""
        structure = self.structure
        fours = in_fours(structure.kernel)
        self.chunks: list[list[list[tuple[int, int, int]]]] = []  # of each, by dtype: segment, output, bytes
        self.chunk_of: list[int] = []
        self.starts: list[list[int]] = []  # by segment and output, in elements, or quads of them
        filled: list[int] = []
        for segment, sizes in enumerate(self.sizes):
            taken = sum(-(-size // 256) * 256 for size in sizes)
            if not self.chunks or sum(filled) + taken > most_bytes(self.limits):
                self.chunks.append([[] for _ in structure.results])
                filled = [0] * len(structure.results)
            self.chunk_of.append(len(self.chunks) - 1)
            self.starts.append([])
            for number, (node, size) in enumerate(zip(structure.kernel.outputs, sizes, strict=True)):
                kind = structure.results.index(node.dtype)
                self.chunks[-1][kind].append((segment, number, size))
                self.starts[-1].append(filled[kind] // node.dtype.itemsize // (4 if fours else 1))
                filled[kind] += -(-size // 256) * 256

    def run(
        self,
        inputs: list[list[Node]],
        outputs: list[list[Node]],
        words: bytes,
        device: Any,
        done: Callable[[Piece, str], None],
    ) -> None:
        """Compute the outputs of each segment from its inputs, which are forgotten on the way. After each dispatch
        `done` is told what it was and its WGSL."""
        where = tuple([(node.buffer.uid, node.buffer.offset) for nodes in inputs for node in nodes])
        pieces = self.arranged.get(where)
        if pieces is None:
            if len(self.arranged) >= 16:
                self.arranged.clear()
            pieces = self.arranged[where] = self.arrange(inputs)
        size = self.structure.block_bytes
        chunk, parts = -1, []
        for piece in pieces:
            if piece.chunk != chunk:
                chunk = piece.chunk
                parts = [device.allocate_parts([nbytes for _, _, nbytes in results]) for results in self.chunks[chunk]]
                made = {
                    (segment, number): part
                    for results, buffers in zip(self.chunks[chunk], parts, strict=True)
                    for (segment, number, _), part in zip(results, buffers, strict=True)
                }
            bindings = [bound_whole(inputs[segment][slot], self.limits) for segment, slot in piece.bindings]
            bindings += [(buffers[0].whole, 0, buffers[0].whole.nbytes) for buffers in parts]
            rows = [piece.head]
            for segment, table in zip(piece.segments, piece.tables, strict=True):
                rows.append(words[segment * size : (segment + 1) * size])
                rows.append(table)
            slots = next(n for n in SEGMENTS if n >= len(piece.segments))
            pipeline, source = self.structure.pipeline(device, piece.bound, piece.fixed, slots)
            device.dispatch(pipeline, bindings, b"".join(rows), piece.workgroups)
            for segment in piece.segments:
                for number, node in enumerate(outputs[segment]):
                    node.settle(made.pop((segment, number)))
            done(piece, source)
            for segment in piece.segments:
                inputs[segment] = []

    def arrange(self, inputs: list[list[Node]]) -> list[Piece]:
        """The segments in as few dispatches as the limits allow, in their order."""
        structure = self.structure
        most = MOST_BINDINGS_ON_CPU if self.limits.is_cpu else MOST_BINDINGS
        room = min(most, self.limits.max_storage_buffers - len(structure.results))
        pieces: list[Piece] = []
        segments: list[int] = []
        bound: dict[tuple[str, int], tuple[int, int]] = {}  # type and memory -> the first that lies there
        for segment, nodes in enumerate(inputs):
            new = {
                (structure.slots[slot], node.buffer.uid): (segment, slot)
                for slot, node in reversed([*enumerate(nodes)])
            }
            if segments and (
                len(segments) == structure.most_segments
                or self.chunk_of[segment] != self.chunk_of[segments[0]]
                or len(bound | new) > room
            ):
                pieces.append(self.piece(segments, bound, inputs))
                segments, bound = [], {}
            segments.append(segment)
            bound = new | bound
        pieces.append(self.piece(segments, bound, inputs))
        return pieces

    def piece(self, segments: list[int], bound: dict, inputs: list[list[Node]]) -> Piece:
        structure = self.structure
        of_type = [
            [(uid, where) for (kind, uid), where in bound.items() if kind == wanted] for wanted in structure.types
        ]
        # As few kernels as possible: the counts of bindings are one more than a power of two, where there are that many.
        # (The results of the step before are in one, what is new in the others.)
        counts = [len(each) if len(each) < 3 else 1 + (1 << (len(each) - 2).bit_length()) for each in of_type]
        if sum(counts) > self.limits.max_storage_buffers - len(structure.results):
            counts = [len(each) for each in of_type]
        bindings = [
            where for each, count in zip(of_type, counts, strict=True)
            for _, where in each + each[-1:] * (count - len(each))
        ]  # fmt: skip
        numbers = [{uid: number for number, (uid, _) in enumerate(each)} for each in of_type]
        tables: list[list[int]] = []
        firsts, first = [], 0
        for segment in segments:
            table = []
            for slot, node in enumerate(inputs[segment]):
                kind = structure.types.index(structure.slots[slot])
                size = node.dtype.itemsize
                table += [numbers[kind][node.buffer.uid], node.buffer.offset // (16 if size == 4 else size)]
            table += self.starts[segment]
            table += [0] * (4 * (structure.stride - structure.words) - len(table))
            tables.append(table)
            firsts.append(first)
            first += self.counts[segment]
        firsts += [0xFFFFFFFF] * (next(n for n in SEGMENTS if n >= len(segments)) - len(segments))
        used = zip(*([table[2 * slot] for slot in range(len(structure.slots))] for table in tables), strict=True)
        fixed = tuple(each[0] if len(set(each)) == 1 else None for each in used)
        head = struct.pack(f"<{len(firsts)}I", *firsts)
        packed = [struct.pack(f"<{len(table)}I", *table) for table in tables]
        return Piece(segments, self.chunk_of[segments[0]], tuple(counts), bindings, fixed, head, packed, first)


def bound_whole(node: Node, limits: Limits) -> tuple:
    """The binding of all the memory that a value lies in."""
    buffer = node.buffer
    if buffer.whole is not None:
        return buffer.whole, 0, buffer.whole.nbytes
    return kernels.windows(node, buffer, limits)[0]


def describe(joint: Joint, piece: Piece, source: str, inputs: list, outputs: list, ops: str) -> dict[str, Any]:
    """What observers are told of a dispatch."""
    kernel = joint.structure.kernel
    read = list({id(node): node for segment in piece.segments for node in inputs[segment]}.values())
    written = [node for segment in piece.segments for node in outputs[segment]]
    return {
        "name": ops,
        "segments": len(piece.segments),
        "shader": kernel.shader,
        "shape": tuple(written[0].shape) if len(piece.segments) == 1 else (sum(node.size for node in written),),
        "outputs": [(tuple(node.shape), node.dtype.name) for node in written],
        "workgroups": piece.workgroups,
        "workgroup_size": kernel.workgroup_size,
        "inputs": [(tuple(node.shape), node.dtype.name) for node in read],
        "bytes": sum(node.nbytes for node in (*read, *written)),
        "wgsl": source,
    }
