"""The lazy graph: values that are computed or still to be computed, and the storages that name them.

A `Node` is one immutable value, a flat contiguous array on one device: either realised (it has a buffer) or pending
(it has an op and arguments). A `Storage` is the mutable cell that tensors share: it points at the node that is its
value now. Writing through a tensor gives its storage another node, so whoever recorded the old value keeps it.
"""

from __future__ import annotations

import itertools
import weakref
from contextvars import ContextVar
from typing import Any

from . import capture, engine
from .shapes import contiguous_strides, is_contiguous, numel

# True where a write may not change the memory it writes to, because old values are kept for backward.
keep_old_values: ContextVar[bool] = ContextVar("webtorch_keep_old_values", default=False)


_number = itertools.count().__next__


class Operand:
    """An argument of a node: a strided view (in elements) of another node's flat value."""

    __slots__ = ("node", "offset", "shape", "strides")

    def __init__(self, node: Node, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
        self.node = node
        self.shape = shape
        self.strides = strides
        self.offset = offset

    @property
    def dtype(self):
        return self.node.dtype

    def is_linear(self) -> bool:
        """True when element i of this view is element i of the node: such a view costs no index arithmetic."""
        return self.offset == 0 and is_contiguous(self.shape, self.strides)


class Scalar:
    """A number as an argument: it travels to kernels in the parameter block and is never pasted into their source."""

    __slots__ = ("dtype", "value")

    def __init__(self, value: Any, dtype) -> None:
        self.value = value
        self.dtype = dtype


class Node:
    """One value: `op(*args, **attributes)`, flat and contiguous, with the shape that its op gave it."""

    __slots__ = (
        "__weakref__",
        "args",
        "attributes",
        "buffer",
        "device",
        "dtype",
        "number",
        "op",
        "shape",
        "size",
        "storage",
        "where",
    )

    def __init__(self, op, args: tuple, attributes: dict, shape: tuple[int, ...], dtype, device) -> None:
        self.op = op
        self.args = args
        self.attributes = attributes
        self.shape = shape
        self.size = numel(shape)
        self.dtype = dtype
        self.device = device
        self.buffer: Any = None
        self.storage: weakref.ref[Storage] | None = None
        self.where: str | None = None
        self.number = _number()  # the order of recording: arguments come before what reads them

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def is_live(self) -> bool:
        """True while some tensor's storage still has this node as its value."""
        storage = self.storage() if self.storage is not None else None
        return storage is not None and storage.node is self

    def operand(self) -> Operand:
        """The whole node in its own shape."""
        return Operand(self, self.shape, contiguous_strides(self.shape))

    def settle(self, buffer) -> None:
        """Store the computed value; the arguments are dropped so that graphs do not pin memory."""
        self.buffer = buffer
        self.args = ()

    def __repr__(self) -> str:
        state = "realised" if self.buffer is not None else "pending"
        return f"Node({self.op.name if self.op else 'data'}, shape={list(self.shape)}, {self.dtype.name}, {self.device}, {state})"


class Storage:
    """One piece of memory on one device: the node that is its value now, and a count of the writes to it.

    `version` is None for the storages of inference tensors, which keep no count.
    """

    __slots__ = ("__weakref__", "node", "version")

    def __init__(self, node: Node, version: int | None = 0) -> None:
        self.node = node
        self.version = version
        node.storage = weakref.ref(self)
        if capture.watching is not None:
            capture.storage_made(self)

    @property
    def device(self):
        return self.node.device

    def replace(self, node: Node, counted: bool = True) -> None:
        """Make `node` the value of this storage and count the write."""
        if capture.watching is not None:
            capture.storage_written(self)
        self.node = node
        node.storage = weakref.ref(self)
        if counted:
            self.bump()

    def bump(self) -> None:
        if self.version is not None:
            self.version += 1

    def __reduce__(self) -> tuple:
        from .copying import reduce_storage

        return reduce_storage(self)

    def __deepcopy__(self, memo: dict) -> Storage:
        from .copying import deepcopy_storage

        return deepcopy_storage(self, memo)


def record(op, args: tuple, attributes: dict, shape: tuple[int, ...], dtype, device) -> Node:
    """Make the node for `op(*args)`: computed at once on an eager device, left pending on a lazy one."""
    if op.kernels is not None:
        op = op.kernels.choose(args, attributes, shape, dtype, device)
    node = Node(op, args, attributes, shape, dtype, device)
    engine.recorded(node)
    return node


def data(buffer, shape: tuple[int, ...], dtype, device) -> Node:
    """A realised node around memory that a backend already holds."""
    node = Node(None, (), {}, shape, dtype, device)
    node.buffer = buffer
    return node
