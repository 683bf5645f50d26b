"""One group of nodes becomes one dispatch: trace it, look its pipeline up, bind, dispatch."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, engine, oversize, prelude, tiles
from .codegen import NARROW, Block, Kernel, Limits
from .errors import ShaderCompileError, ShapeError
from .fuse import Group, pending_arguments
from .graph import Node, Operand
from .rendering import render
from .shapes import numel

_pipelines: OrderedDict[tuple, Any] = OrderedDict()  # kernel key -> (pipeline, source)
_pipelines_device: Any = None  # the device they were made on
MAX_PIPELINES = 4096
QUADS_IN_A_ROW = 4  # groups of four elements that an invocation of a large elementwise kernel computes on a CPU adapter
JUMPING_QUADS_IN_A_ROW = (
    128  # the same of one that reads all over its inputs: twice as fast with few invocations at a time
)


def prepare(group: Group, device, limits: Limits) -> tuple[Kernel, Any, str]:
    """The kernel of `group`, its pipeline and its source; everything it reads has a buffer by now.

    The pipeline is None where the kernel needs more bindings than there are: `run` then computes it another way.
    """
    global _pipelines_device
    if device is not _pipelines_device:  # the first device, or a new one after a loss
        _pipelines.clear()
        _pipelines_device = device
    check_sizes(group, device)
    kernel = trace(group, limits)
    check_budgets(kernel, limits)
    if sum(oversize.bindings(kernel)) > limits.max_storage_buffers:
        if group.core is None:
            oversize.slice(kernel)
        if sum(oversize.bindings(kernel)) > limits.max_storage_buffers:
            return kernel, None, "// computed in pieces, or on the host: it takes more bindings than the adapter has"
    key = kernel.key()
    known = _pipelines.get(key)
    if known is None:
        reads, writes = oversize.bindings(kernel)
        label = "+".join(node.op.name for node in group.members)[:120]
        try:
            source = render(kernel)
            pipeline = device.pipeline(source, label, reads, writes, max(16, (len(kernel.words) + 3) // 4 * 16))
        except ShaderCompileError as error:
            raise naming_ops(error, group, device) from None
        known = _pipelines[key] = (pipeline, source)
        if len(_pipelines) > MAX_PIPELINES:
            _pipelines.popitem(last=False)
    else:
        _pipelines.move_to_end(key)
    return kernel, *known


def naming_ops(error: ShaderCompileError, group: Group, device: Any) -> ShaderCompileError:
    """The error of a kernel that does not compile, with the ops that went into it and how to see all of its source."""
    names = []
    for node in expanded(group):
        place = f" from {node.where}" if node.where else ""
        names.append(f"{node.op.name} {node.dtype.name}{list(node.shape)}{place}")
    shown = "; ".join(names[:40]) + (f"; and {len(names) - 40} more" if len(names) > 40 else "")
    how = "The exception's `source` is the whole shader; WEBTORCH_DEBUG=3 names the lines that ops come from"
    named = ShaderCompileError(f"{error}\n\nThe ops in it: {shown}.\nThe adapter: {device.adapter}.\n{how}.")
    named.source = error.source
    return named


def expanded(group: Group) -> list[Node]:
    """The nodes whose code is in the kernel of a group: its members, and the pending ones that are expanded into them."""
    found: dict[int, Node] = {}
    stack = list(group.members)
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found[id(node)] = node
            stack += [argument.node for argument in pending_arguments(node)]
    return sorted(found.values(), key=lambda node: node.number)


def check_budgets(kernel: Kernel, limits: Limits) -> None:
    if kernel.trips > limits.loop_budget:
        raise AssertionError(
            f"{kernel.shader}: an invocation may run {kernel.trips} loop iterations, over the budget of {limits.loop_budget}"
        )
    if len(kernel.words) * 4 > limits.max_params:
        raise AssertionError(f"{kernel.shader}: {len(kernel.words)} parameter words do not fit the parameter block")


def run(
    group: Group, kernel: Kernel, pipeline: Any, source: str, device, limits: Limits, allocate: Callable | None = None
) -> None:
    """Compute the outputs of `group` by its kernel. `allocate(node, inputs)` gives memory for a result of a kernel that
    reads the nodes `inputs`."""
    check = [node for node in kernel.outputs if engine.CHECK]
    expected = [reference(node, device) for node in check]
    start = time.perf_counter()
    if pipeline is None:
        oversize.run_otherwise(group, kernel, device, limits)
    elif kernel.sliced is not None:
        oversize.run_in_pieces(group, kernel, pipeline, device)
    else:
        dispatch(kernel, pipeline, device, limits, allocate)
    if engine.observers or engine.DEBUG:
        report(describe(group, kernel, source), group.members, device, start)
    kernel.blocks.clear()  # they refer to each other, and such a cycle would hold the memory until the next collection
    for node, array in zip(check, expected, strict=True):
        compare(node, array, device, source)


def dispatch(kernel: Kernel, pipeline: Any, device, limits: Limits, allocate: Callable | None = None) -> None:
    """Bind what a kernel reads and writes, and run it."""
    buffers = []
    for node in kernel.outputs:
        if kernel.target is not None:
            buffers.append(take_over(kernel.target, node, device))
        else:
            buffers.append(device.allocate(node.nbytes) if allocate is None else allocate(node, kernel.inputs))
    bindings = []
    for node in kernel.inputs:
        bindings += windows(node, node.buffer, limits)
    for node, buffer in zip(kernel.outputs, buffers, strict=True):
        bindings += windows(node, buffer, limits)
    device.dispatch(pipeline, bindings, kernel.params(), kernel.workgroups)
    for node, buffer in zip(kernel.outputs, buffers, strict=True):
        node.settle(buffer)


def trace(group: Group, limits: Limits) -> Kernel:
    """The kernel of a group: its core fills the holes of its shader; without a core the shader is elementwise.wgsl."""
    if group.core is not None:
        return group.core.op.lower(group, limits)
    kernel = Kernel(limits, "elementwise")
    kernel.outputs = list(group.outputs)
    kernel.parameter("count", -(-group.size // 4))
    block = kernel.block("value", ("i",))
    block.returns = tuple((block.node(node, 0), node.dtype) for node in group.outputs)
    if tiles.worthwhile(kernel, block, group.size) and not has_loops(block):
        tiles.arrange(kernel, block, group.size)
        return kernel
    quads = -(-group.size // 4)
    kernel.workgroup_size = 64 if limits.is_cpu and quads < 16384 else min(256, limits.max_workgroup_invocations)
    if limits.is_cpu:
        # An invocation may go round its loops only so many times: one that goes round its own computes one quad.
        kernel.each = 1 if quads < 16384 or has_loops(block) else QUADS_IN_A_ROW
        if kernel.each > 1 and any(node.op.jumps for node in expanded(group)):
            kernel.workgroup_size, kernel.each = 8, min(JUMPING_QUADS_IN_A_ROW, quads // 512)
        kernel.parameter("each", kernel.each)
    else:
        kernel.constants += (("$each", "fn each() -> u32 { return 1u; }"),)
    kernel.trips = kernel.each
    kernel.workgroups = -(-quads // (kernel.workgroup_size * kernel.each))
    return kernel


def has_loops(block: Block) -> bool:
    """Whether computing one element goes round loops."""
    return any(step[0] == "apply" and prelude.loops(step[1], step[2]) for step in block.code)


def store_block(kernel: Kernel, group: Group) -> None:
    """The hole `store(i, value)`: the group's members are computed from the core's value at the same index."""
    core, taken = group.core, set(kernel.input_slots)
    block = kernel.block("store", ("i", "value"))
    value = block.root("value")
    if len(group.members) > 1 and (kernel.shader == "custom" or taken & read_beside(group)):
        # What the core read is read again here, or its code is a user's: a driver might put 0 for (sum + x) - x - sum.
        kind = block.float_kind(value)
        value = value if kind is None or kernel.limits.reproducible else block.hidden(kind, value, 0)[0]
    # The core computes in a wider type than a narrow dtype holds: its result is rounded before anyone sees it.
    block.memo[(id(core), 0)] = block.apply("{0}", core.dtype, value) if core.dtype in NARROW else value
    kernel.outputs = list(group.outputs)
    block.returns = tuple((block.node(node, 0), node.dtype) for node in group.outputs)


def read_beside(group: Group) -> set[int]:
    """The ids of the realised nodes that the members of a group read, but for its core."""
    found: set[int] = set()
    seen = {id(group.core)}
    stack = list(group.members)
    while stack:
        node = stack.pop()
        if node.buffer is not None:
            found.add(id(node))
        elif id(node) not in seen:
            seen.add(id(node))
            stack += [argument.node for argument in node.args if isinstance(argument, Operand)]
    return found


def check_sizes(group: Group, device) -> None:
    """Raise where a result does not fit a buffer, or an element number does not fit the 32 bits in which kernels count."""
    limit = device.limits.max_buffer_size
    for node in group.outputs:
        if node.nbytes > limit:
            raise ShapeError(
                f"{node.op.name.strip('_')}: a result of shape {list(node.shape)} and dtype {node.dtype.name} needs "
                f"{node.nbytes} bytes, more than the {limit} that this adapter allows in one buffer; split it, or use device='cpu'"
            )
    if group.core is not None:
        for argument in group.core.args:
            if isinstance(argument, Operand) and numel(argument.shape) >= 1 << 32:
                raise ShapeError(
                    f"{group.core.op.name.strip('_')}: an input of shape {list(argument.shape)} has {numel(argument.shape)} "
                    "elements; kernels count to 2**32. Split it, or use device='cpu'"
                )


def take_over(old: Node, new: Node, device):
    """The buffer for a node that is `old` with some elements written: `old`'s own when nobody else can see it."""
    # The references left on an unshared `old`: the argument of `new`, the caller's kernel, and this call's own.
    # A part of a buffer has neighbours, which the kernel may read.
    if not old.is_live() and sys.getrefcount(old) <= 4 and old.buffer.whole is None:
        return old.buffer
    buffer = device.allocate(new.nbytes)
    device.copy(old.buffer, buffer, -(-new.nbytes // 4) * 4)
    return buffer


def windows(node: Node, buffer, limits: Limits) -> list[tuple]:
    """A buffer as bindings: one, or several when it is larger than one binding may be."""
    return [(buffer, offset, size) for offset, size in spans(node, limits)]


def spans(node: Node, limits: Limits) -> tuple[tuple[int, int], ...]:
    """The parts of a node's buffer that its bindings cover: (offset, size) in bytes."""
    # Whole groups of four elements are bound: the last group of an elementwise kernel may be incomplete.
    size, most = -(-node.nbytes // 32) * 32, limits.max_binding_size
    count = limits.windows(node.nbytes)
    return tuple((n * most, min(most, size - n * most)) for n in range(count))


# ---- seeing what happens --------------------------------------------------------------------------------------------


def describe(group: Group, kernel: Kernel, source: str) -> dict[str, Any]:
    """What observers are told of a kernel, as far as it is the same every time."""
    return {
        "name": "+".join(node.op.name for node in group.members),
        "shader": kernel.shader,
        "shape": tuple(kernel.outputs[0].shape),
        "outputs": [(tuple(node.shape), node.dtype.name) for node in kernel.outputs],
        "workgroups": kernel.workgroups,
        "workgroup_size": kernel.workgroup_size,
        "inputs": [(tuple(node.shape), node.dtype.name) for node in kernel.inputs],
        "bytes": sum(node.nbytes for node in (*kernel.inputs, *kernel.outputs)),
        "wgsl": source,
    }


def report(description: dict[str, Any], members: list[Node], device, start: float) -> None:
    """Tell those who watch of a kernel that was just handed to the device."""
    record = {**description, "nodes": members}
    if engine.DEBUG:
        device.sync()
        record["time"] = engine.elapsed(start)
        print(
            f"webtorch {record['name']:<40} {list(record['shape'])!s:<20} {record['workgroups']} x {record['workgroup_size']}"
            f"  {record['time']:>12}  {record['bytes']} bytes",
            file=sys.stderr,
        )
        if engine.DEBUG >= 3:
            for node in members:
                print(f"    {node.op.name} from {node.where}", file=sys.stderr)
        if engine.DEBUG >= 2:
            print(record["wgsl"], file=sys.stderr)
    for observer in engine.observers:
        observer(record)


def reference(node: Node, device) -> np.ndarray:
    """A node computed by numpy from the buffers its pending graph starts at (WEBTORCH_CHECK)."""
    arrays: dict[int, np.ndarray] = {}

    def flat(wanted: Node) -> np.ndarray:
        return arrays[id(wanted)]

    stack = [node]
    while stack:
        current = stack[-1]
        if id(current) in arrays:
            stack.pop()
        elif current.buffer is not None:
            arrays[id(current)] = device.read(current.buffer, current.nbytes).view(current.dtype.memory)
            stack.pop()
        else:
            missing = [a.node for a in current.args if hasattr(a, "node") and id(a.node) not in arrays]
            if missing:
                stack.extend(missing)
            else:
                arrays[id(current)] = engine.evaluate(current, flat)
                stack.pop()
    return arrays[id(node)]


def compare(node: Node, expected: np.ndarray, device, source: str) -> None:
    """Stop at the first kernel whose result differs from numpy's, or holds a NaN that numpy's does not (WEBTORCH_CHECK)."""
    got = dtypes.decode(device.read(node.buffer, node.nbytes).view(node.dtype.memory), node.dtype)
    expected = dtypes.decode(expected, node.dtype)
    if node.dtype.is_differentiable:
        scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
        good = np.allclose(
            got,
            expected,
            rtol=1e-3 if node.dtype.itemsize > 2 else 1e-2 if node.dtype is dtypes.float16 else 4e-2,
            atol=1e-4 * max(scale, 1e-30),
            equal_nan=True,
        )
    else:
        good = np.array_equal(got, expected)
    if not good:
        wrong = np.flatnonzero(~((got == expected) | ((got != got) & (expected != expected))))
        first = int(wrong[0]) if len(wrong) else 0
        raise AssertionError(
            f"WEBTORCH_CHECK: {node!r}: element {first} is {got[first]!r} on the GPU and {expected[first]!r} in numpy "
            f"({len(wrong)} of {node.size} differ). The kernel:\n{source}"
        )
