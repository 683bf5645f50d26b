"""Kernels whose memory takes more bindings than the adapter has: dispatched in pieces, or computed by numpy.

A buffer that is larger than one binding may be is bound as several windows, and an adapter may have as few as eight
bindings. An elementwise kernel that needs more is run once for each piece of its result, with only that piece of what it
reads in step bound. Reductions, products of matrices and the like are computed in pieces: see pieces.py. Any other kernel
that needs more is computed on the host: slow, warned of and counted, but right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .codegen import Kernel, Limits
from .errors import DeviceError
from .fuse import Group

ALIGNMENT = 1024  # elements: bindings begin at multiples of 256 bytes, and four elements of any dtype lie in one piece


def slice(kernel: Kernel) -> None:
    """Have `kernel`, an elementwise one, read and write one piece of what is at the same index as its results."""
    (block,) = kernel.blocks
    steps: dict[int, bool] = {}
    for instruction in block.code:
        if instruction[0] == "load":
            steps[instruction[1]] = steps.get(instruction[1], True) and instruction[2] == 0
    kernel.sliced = frozenset(slot for slot, every in steps.items() if every)
    kernel.base = kernel.word(0)


def bindings(kernel: Kernel) -> tuple[int, int]:
    """How many bindings a kernel reads and writes."""
    reads = sum(kernel.windows(slot) for slot in range(len(kernel.inputs)))
    writes = len(kernel.outputs) if kernel.sliced is not None else sum(
        kernel.limits.windows(node.nbytes) for node in kernel.outputs
    )  # fmt: skip
    return reads, writes


def run_in_pieces(group: Group, kernel: Kernel, pipeline: Any, device: Any) -> None:
    """One dispatch for each piece of the result of a kernel that was sliced."""
    sliced = [kernel.inputs[slot] for slot in sorted(kernel.sliced or ())]
    widest = max(node.dtype.itemsize for node in (*sliced, *kernel.outputs))
    length = kernel.limits.max_binding_size // widest // ALIGNMENT * ALIGNMENT
    outputs = [device.allocate(node.nbytes) for node in kernel.outputs]
    for start in range(0, group.size, length):
        count = min(length, group.size - start)

        def piece(node: Any, buffer: Any, start: int = start, count: int = count) -> tuple:
            size = node.dtype.itemsize
            whole = -(-node.nbytes // 32) * 32
            return buffer, start * size, min(whole - start * size, -(-count * size // 32) * 32)

        bound = []
        for slot, node in enumerate(kernel.inputs):
            if slot in (kernel.sliced or ()):
                bound.append(piece(node, node.buffer))
            else:
                from .kernels import windows

                bound += windows(node, node.buffer, kernel.limits)
        bound += [piece(node, buffer) for node, buffer in zip(kernel.outputs, outputs, strict=True)]
        quads = -(-count // 4)
        kernel.words[0], kernel.words[kernel.base] = quads, start
        device.dispatch(pipeline, bound, kernel.params(), -(-quads // (kernel.workgroup_size * kernel.each)))
    for node, buffer in zip(kernel.outputs, outputs, strict=True):
        node.settle(buffer)


def run_otherwise(group: Group, kernel: Kernel, device: Any, limits: Limits) -> None:
    """Compute the outputs of `group`, whose kernel takes more bindings than there are."""
    from . import pieces

    if group.core is not None and kernel.target is None:
        try:
            pieces.run_group(group, device, limits)
            return
        except pieces.TooLarge:
            pass
    run_on_host(group, kernel, device, limits)


def run_on_host(group: Group, kernel: Kernel, device: Any, limits: Limits) -> None:
    """Compute the outputs of `group` by numpy, from and to the memory of the device."""
    from . import host
    from .kernels import reference

    names = "+".join(node.op.name for node in group.members)[:120]
    takes = f"kernel {names!r} binds {sum(bindings(kernel))} storage buffers, this adapter allows {limits.max_storage_buffers}"
    if limits.reproducible:
        raise DeviceError(
            f"{takes}; numpy would give other bits: split it, or turn webtorch.webgpu.set_reproducible off for it"
        )
    host.moved((group.core or group.members[-1]).op.name.strip("_"), takes)
    arrays = [np.ascontiguousarray(reference(node, device)) for node in kernel.outputs]
    for node, array in zip(kernel.outputs, arrays, strict=True):
        padded = np.zeros(-(-node.nbytes // 32) * 32, np.uint8)
        padded[: node.nbytes] = array.reshape(-1).view(np.uint8)
        node.settle(device.upload(padded))
