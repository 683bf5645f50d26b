"""One group of nodes becomes one dispatch: trace it, look its pipeline up, bind, dispatch."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from typing import Any

import numpy as np

from . import dtypes, engine, oversize
from .codegen import NARROW, Kernel, Limits, render
from .errors import ShapeError
from .fuse import Group
from .graph import Node, Operand
from .shapes import numel

_pipelines: OrderedDict[tuple, Any] = OrderedDict()  # kernel key -> (pipeline, source)
_pipelines_device: Any = None  # the device they were made on
MAX_PIPELINES = 4096


def prepare(group: Group, device, limits: Limits) -> tuple[Kernel, Any, str]:
    """The kernel of `group`, its pipeline and its source; everything it reads has a buffer by now.

    The pipeline is None where the kernel needs more bindings than there are: `run` then computes it on the host.
    """
    global _pipelines_device
    if device is not _pipelines_device:  # the first device, or a new one after a loss
        _pipelines.clear()
        _pipelines_device = device
    check_sizes(group, device)
    kernel = trace(group, limits)
    if kernel.trips > limits.loop_budget:
        raise AssertionError(
            f"{kernel.shader}: an invocation may run {kernel.trips} loop iterations, over the budget of {limits.loop_budget}"
        )
    if len(kernel.words) * 4 > limits.max_params:
        raise AssertionError(f"{kernel.shader}: {len(kernel.words)} parameter words do not fit the parameter block")
    if sum(oversize.bindings(kernel)) > limits.max_storage_buffers:
        if group.core is None:
            oversize.slice(kernel)
        if sum(oversize.bindings(kernel)) > limits.max_storage_buffers:
            return kernel, None, "// computed on the host: it takes more bindings than the adapter has"
    key = kernel.key()
    known = _pipelines.get(key)
    if known is None:
        source = render(kernel)
        reads, writes = oversize.bindings(kernel)
        label = "+".join(node.op.name for node in group.members)[:120]
        pipeline = device.pipeline(source, label, reads, writes, max(16, (len(kernel.words) + 3) // 4 * 16))
        known = _pipelines[key] = (pipeline, source)
        if len(_pipelines) > MAX_PIPELINES:
            _pipelines.popitem(last=False)
    else:
        _pipelines.move_to_end(key)
    return kernel, *known


def run(group: Group, kernel: Kernel, pipeline: Any, source: str, device, limits: Limits) -> None:
    """Compute the outputs of `group` by its kernel."""
    check = [node for node in kernel.outputs if engine.CHECK]
    expected = [reference(node, device) for node in check]
    start = time.perf_counter()
    if pipeline is None:
        oversize.run_on_host(group, kernel, device, limits)
    elif kernel.sliced is not None:
        oversize.run_in_pieces(group, kernel, pipeline, device)
    else:
        dispatch(kernel, pipeline, device, limits)
    if engine.observers or engine.DEBUG:
        report(describe(group, kernel, source), group.members, device, start)
    kernel.blocks.clear()  # they refer to each other, and such a cycle would hold the memory until the next collection
    for node, array in zip(check, expected, strict=True):
        compare(node, array, device, source)


def dispatch(kernel: Kernel, pipeline: Any, device, limits: Limits) -> None:
    """Bind what a kernel reads and writes, and run it."""
    buffers = []
    for node in kernel.outputs:
        if kernel.target is not None:
            buffers.append(take_over(kernel.target, node, device))
        else:
            buffers.append(device.allocate(node.nbytes))
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
    invocations = -(-group.size // 4)
    kernel.workgroup_size = 64 if limits.is_cpu and invocations < 16384 else min(256, limits.max_workgroup_invocations)
    kernel.workgroups = -(-invocations // kernel.workgroup_size)
    return kernel


def store_block(kernel: Kernel, group: Group) -> None:
    """The hole `store(i, value)`: the group's members are computed from the core's value at the same index."""
    block = kernel.block("store", ("i", "value"))
    # The core computes in a wider type than a narrow dtype holds: its result is rounded before anyone sees it.
    block.memo[(id(group.core), 0)] = block.apply("{0}", group.core.dtype, 1) if group.core.dtype in NARROW else 1
    kernel.outputs = list(group.outputs)
    block.returns = tuple((block.node(node, 0), node.dtype) for node in group.outputs)


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
    if not old.is_live() and sys.getrefcount(old) <= 4:
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
