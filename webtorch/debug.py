"""Seeing what happens: the kernels that compute a tensor, its lazy graph, the kernels that ran, the memory in use.

Nothing here changes what is computed or when. The environment variable WEBTORCH_DEBUG shows the same for a whole
program: 1 prints a line per kernel, 2 its WGSL too, 3 the ops in it with the line of the program that asked for each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterator
from typing import Any

from . import engine
from .graph import Node, Operand, Storage
from .shapes import is_contiguous, numel
from .tensor import Tensor

__all__ = ["KernelRecord", "Kernels", "graph", "kernels", "memory", "wgsl"]


def check_tensors(tensors: tuple, call: str) -> None:
    if not tensors:
        raise TypeError(f"{call}(): give at least one tensor")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{call}(): expected a Tensor, got {type(tensor).__name__}")


# ---- kernels to come ------------------------------------------------------------------------------------------------


class _Planned:
    """Stands for the memory of a value that an earlier kernel of the same plan will have filled."""


def wgsl(*tensors: Tensor) -> str:
    """The WGSL of the kernels that would compute `tensors`, in the order in which they would run; nothing runs.

    Each kernel is headed by a comment: its number, the ops in it, what it stores, its grid. A tensor that is on the cpu
    or already computed has no kernel to show, and a comment says so: `kernels()` shows those that run. Raises TypeError
    for anything but tensors.

    >>> print(webtorch.debug.wgsl(webtorch.ones(2, device="cpu")))
    // float32[2] on cpu: computed by numpy when it was asked for. Kernels are made for tensors with device="webgpu".
    """
    check_tensors(tensors, "wgsl")
    notes: list[str] = []
    pending: list[Node] = []
    for tensor in tensors:
        node = tensor._storage.node
        if node.device.type != "webgpu":
            how = "computed by numpy" if node.device.type == "cpu" else "computed there"
            notes.append(
                f"// {describe(node)} on {node.device}: {how} when it was asked for. "
                'Kernels are made for tensors with device="webgpu".'
            )
        elif node.buffer is not None:
            notes.append(
                f"// {describe(node)} on {node.device}: already computed. Call wgsl() before its value is read, "
                "or watch it being computed with webtorch.debug.kernels()."
            )
        elif not any(node is known for known in pending):
            pending.append(node)
    return "\n".join([*notes, *planned(pending)])


def planned(targets: list[Node]) -> list[str]:
    """The text of each kernel of the plan for pending `targets`."""
    if not targets:
        return []
    from .backends import wgpu as backend
    from .fuse import plan
    from .kernels import trace
    from .plans import Graph
    from .rendering import render

    texts = []
    filled: list[Node] = []
    with engine._lock:
        limits = engine.limits_of(backend.get_device())
        pending = Graph(targets)
        groups = plan(pending.nodes, pending.flags, limits)
        try:
            for number, group in enumerate(groups, 1):
                kernel = trace(group, limits)
                stores = ", ".join(describe(node) for node in kernel.outputs)
                texts.append(
                    f"// ---- kernel {number} of {len(groups)}: {' + '.join(node.op.name for node in group.members)}; "
                    f"stores {stores}; {kernel.workgroups} workgroups of {kernel.workgroup_size}\n{render(kernel)}"
                )
                for node in group.outputs:  # what the next kernels read, they read from memory
                    node.buffer = _Planned
                    filled.append(node)
        finally:
            for node in filled:
                node.buffer = None
    return texts


def describe(node: Node) -> str:
    return f"{node.dtype.name}{list(node.shape)}"


# ---- the lazy graph -------------------------------------------------------------------------------------------------


def graph(*tensors: Tensor, limit: int = 200) -> str:
    """The lazy graph behind `tensors` as text: one line per value, its arguments below it and indented.

    A line holds the value's number, the op, dtype and shape, and whether it is in memory (`realised`) or still to be
    computed (`pending`); what is used twice is shown once, then by number. Values that are realised have forgotten their
    arguments. With WEBTORCH_DEBUG=3 the line of the program that asked for each pending value stands behind it. At most
    `limit` lines are shown. Nothing runs. Raises TypeError for anything but tensors.

    >>> print(webtorch.debug.graph(webtorch.ones(2, 3, device="cpu")))
    %0 = _fill float32[2, 3] realised, cpu
    """
    check_tensors(tensors, "graph")
    lines: list[str] = []
    numbers: dict[int, int] = {}
    # A stack instead of recursion: (depth, argument); a chain of thousands of ops is no deeper for Python.
    stack = [(0, tensor._operand()) for tensor in reversed(tensors)]
    while stack and len(lines) < limit:
        depth, argument = stack.pop()
        indent = "  " * min(depth, 40)
        if not isinstance(argument, Operand):
            lines.append(f"{indent}{argument.value!r}")
            continue
        node = argument.node
        if id(node) in numbers:
            lines.append(f"{indent}%{numbers[id(node)]}{how_seen(argument)}, above")
            continue
        number = numbers[id(node)] = len(numbers)
        state = f"realised, {node.device}" if node.buffer is not None else f"pending, {node.device}"
        name = node.op.name if node.op is not None else "data"
        where = f"  from {node.where}" if node.where else ""
        lines.append(f"{indent}%{number} = {name} {describe(node)} {state}{how_seen(argument)}{where}")
        if node.buffer is None:
            stack.extend((depth + 1, part) for part in reversed(node.args))
    if stack:
        lines.append(f"... and more: this shows {limit} lines, graph(..., limit={10 * limit}) would show {10 * limit}")
    return "\n".join(lines)


def how_seen(operand: Operand) -> str:
    """The view through which an argument is read, when it is not the whole value in order."""
    if (
        operand.offset == 0
        and numel(operand.shape) == operand.node.size
        and is_contiguous(operand.shape, operand.strides)
    ):
        return "" if operand.shape == operand.node.shape else f", as {list(operand.shape)}"
    return f", seen as {list(operand.shape)} with strides {list(operand.strides)}" + (
        f" from element {operand.offset}" if operand.offset else ""
    )


# ---- kernels that run -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class KernelRecord:
    """One kernel that ran: the names of the ops computed where its results are stored (`name`), the file in `shaders/` that
    it was made from, the shape of its first result, shape and dtype of all results, the grid, the bytes of all
    memory bound to it, its WGSL, and the time it took when WEBTORCH_DEBUG measures it (None otherwise).

    >>> import dataclasses
    >>> [field.name for field in dataclasses.fields(webtorch.debug.KernelRecord)][:3]
    ['name', 'shader', 'shape']
    """

    name: str
    shader: str
    shape: tuple[int, ...]
    outputs: list[tuple[tuple[int, ...], str]] = dataclasses.field(repr=False)
    workgroups: int
    workgroup_size: int
    bytes: int
    wgsl: str = dataclasses.field(repr=False)
    time: str | None = None


class Kernels(list):
    """The records of the kernels that ran, in order; printed, it is a table.

    >>> print(webtorch.debug.Kernels())
    no kernel ran
    """

    def __str__(self) -> str:
        if not self:
            return "no kernel ran"
        head = ["", "ops", "shader", "shape", "grid", "bytes"]
        rows = [
            [str(number), record.name, record.shader, str(list(record.shape)),
             f"{record.workgroups} x {record.workgroup_size}", f"{record.bytes:,}"]
            for number, record in enumerate(self, 1)
        ]  # fmt: skip
        if any(record.time for record in self):
            head.append("time")
            for row, record in zip(rows, self, strict=True):
                row.append(record.time or "")
        return table(head, rows)

    @property
    def wgsl(self) -> str:
        """The WGSL of all of them."""
        return "\n".join(
            f"// ---- kernel {number}: {record.name}\n{record.wgsl}" for number, record in enumerate(self, 1)
        )


@contextlib.contextmanager
def kernels() -> Iterator[Kernels]:
    """Collect a record of every kernel that runs inside the block: `len(k) == 1` says that all was fused into one.

    Only what runs inside is seen: work that is still pending at the end stays pending, so read a value inside, or call
    `webtorch.sync_device()`. Work that was pending before and is needed inside counts. Kernels of other threads that run
    meanwhile are among them. On cpu there are no kernels, and the list stays empty.

    >>> x = webtorch.rand(4, 4)
    >>> with webtorch.debug.kernels() as k:
    ...     total = (webtorch.relu(x * 2 + 1) * x).sum().item()
    >>> len(k) <= (x.device == "webgpu") * 2
    True
    """
    seen = Kernels()
    names = {field.name for field in dataclasses.fields(KernelRecord)}

    def observe(record: dict[str, Any]) -> None:
        seen.append(KernelRecord(**{name: value for name, value in record.items() if name in names}))

    engine.observers.append(observe)
    try:
        yield seen
    finally:
        engine.observers.remove(observe)


# ---- memory ---------------------------------------------------------------------------------------------------------


def memory(limit: int = 20) -> str:
    """A table of the memory that live tensors hold, largest first: tensors that share memory are one line.

    `pending` memory is not allocated yet. At most `limit` lines and the sums per device are shown; what the GPU's pool
    keeps besides is in `webtorch.webgpu.memory_stats()`.

    >>> x = webtorch.zeros(4000, 1000)
    >>> y = x.t()
    >>> print(webtorch.debug.memory(limit=1))
         bytes  dtype    shape         device  state     tensors
    16,000,000  float32  [4000, 1000]  cpu     realised        2
    ...
    """
    gc.collect()  # what only a cycle holds is not live
    tensors: dict[int, int] = {}
    storages: list[Storage] = []
    for thing in gc.get_objects():
        kind = type(thing)
        if kind is Storage:
            storages.append(thing)
        elif issubclass(kind, Tensor) and hasattr(thing, "_storage"):
            tensors[id(thing._storage)] = tensors.get(id(thing._storage), 0) + 1
    storages.sort(key=lambda storage: -storage.node.nbytes)
    rows: list[list[str]] = []
    sums: dict[tuple[str, str], int] = {}
    for storage in storages:
        node = storage.node
        state = "realised" if node.buffer is not None else "pending"
        count = str(tensors.get(id(storage), 0))
        rows.append([f"{node.nbytes:,}", node.dtype.name, str(list(node.shape)), str(node.device), state, count])
        sums[str(node.device), state] = sums.get((str(node.device), state), 0) + node.nbytes
    text = table(["bytes", "dtype", "shape", "device", "state", "tensors"], rows[:limit])
    if len(rows) > limit:
        text += f"\n... and {len(rows) - limit} smaller"
    for (device, state), total in sorted(sums.items()):
        text += f"\n{total:,} bytes on {device}, {state}"
    return text


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns aligned under `head`: numbers to the right, words to the left."""
    right = [all(row[column].replace(",", "").isdigit() for row in rows) for column in range(len(head))]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            text.rjust(width) if end else text.ljust(width) for text, width, end in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
