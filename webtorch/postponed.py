"""Elementwise work on the cpu that is put off for a moment, and then done together, a block of elements at a time.

numpy makes an array of every intermediate result. For large tensors each of them goes through main memory, which takes longer
than the arithmetic. Inside `together()` elementwise ops on large contiguous tensors, and writes of their results into whole
tensors, are noted only; at the end, or when a value is wanted earlier, all of them are computed for one block of elements
after the other, whose intermediate results stay in a cache. Threads share the blocks.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import blocks, capture, dtypes, engine
from .graph import Node, Operand, keep_old_values

if TYPE_CHECKING:
    from .tensor import Tensor

# Elements: smaller arrays fit nearer caches, but threads then wait for each other more than they compute.
BLOCK = 1 << 17


class Work(threading.local):
    """What a thread has put off: nodes in the order in which they were recorded, and writes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.noted: dict[int, int] = {}  # places in that list, by the nodes' ids
        self.writes: list[tuple[Node, Node]] = []  # what is written to, in place, and its new value
        self.written: set[int] = set()  # the ids of the former
        self.size = 0  # of each node
        self.columns = 0  # of a row, where rows are computed with the same numbers for each


work = Work()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Inside, elementwise work on large cpu tensors is put off; at the end it is done.

    >>> import webtorch
    >>> x = webtorch.ones(1 << 18)
    >>> with together():
    ...     y = x * 2 + 1
    >>> float(y[-1])
    3.0
    """
    if engine.putting_off.takes is not None or keep_old_values.get() or capture.watching is not None:
        yield
        return
    engine.putting_off.takes, engine.putting_off.compute = takes, compute
    try:
        yield
    finally:
        engine.putting_off.takes = engine.putting_off.compute = None
        compute()


def takes(node: Node) -> bool:
    """Whether a node of the cpu was put off. If not, all that was put off before is computed, as the node may want it."""
    from .ops.elementwise import Elementwise

    if type(node.op).evaluate is Elementwise.evaluate and node.size >= blocks.WORTH and fits(node.dtype):
        operands = [argument for argument in node.args if isinstance(argument, Operand)]
        if any(id(argument.node) in work.written for argument in operands):
            compute(operands)
        rows = [argument for argument in operands if not whole(argument, node)]
        columns = node.shape[-1] if rows else work.columns
        if node.size != work.size or work.columns not in (0, columns):
            compute(operands)
        if not all(is_row(argument, node) for argument in rows):
            compute(operands)
            return False
        work.size, work.columns = node.size, columns
        work.noted[id(node)] = len(work.nodes)
        work.nodes.append(node)
        return True
    compute(node.args)
    return False


def fits(dtype: dtypes.dtype) -> bool:
    return dtype.computed is dtype.memory


def whole(argument: Operand, node: Node) -> bool:
    """Whether element i of an argument is all that element i of a node is computed from."""
    source = argument.node
    return argument.shape == node.shape and source.size == node.size and argument.is_linear() and fits(source.dtype)


def is_row(argument: Operand, node: Node) -> bool:
    """Whether an argument has the same elements for each row of a node, and is in memory."""
    strides = argument.strides
    known = argument.shape == node.shape and argument.node.buffer is not None and fits(argument.node.dtype)
    return known and len(strides) > 1 and strides[-1] == 1 and not any(strides[:-1])


def wrote(target: Tensor, value: Tensor) -> bool:
    """Whether a write into a tensor of the cpu was put off: of a value that was, into a whole tensor."""
    node, storage = value._storage.node, target._storage
    if not (
        id(node) in work.noted
        and target._shape == value._shape == node.shape
        and target._operand().is_linear()
        and value._operand().is_linear()
        and storage.node.size == node.size
        and storage.node.dtype is node.dtype
        and storage is not value._storage
    ):
        return False
    # The tensor keeps its node, so that other threads find it as ever; whoever reads it in this one has the write done first.
    if storage.node.buffer is None or not storage.node.buffer.flags.c_contiguous or id(storage.node) in work.written:
        return False
    work.writes.append((storage.node, node))
    work.written.add(id(storage.node))
    return True


def compute(arguments: Iterable[Any] = ()) -> None:
    """Do what was put off; `arguments` are operands whose nodes are wanted although no tensor has them as its value."""
    nodes, writes, size, columns = work.nodes, work.writes, work.size, work.columns
    if not nodes:
        return
    work.nodes, work.noted, work.writes, work.written, work.size, work.columns = [], {}, [], set(), 0, 0
    shape = (size // columns, columns) if columns else (size,)
    place = {id(node): number for number, node in enumerate(nodes)}
    asked = {place[id(each.node)] for each in arguments if isinstance(each, Operand) and id(each.node) in place}
    live = [number for number, node in enumerate(nodes) if number in asked or node.is_live()]
    kept = {number: np.empty(shape, nodes[number].dtype.memory) for number in live}
    written = [(before.buffer.reshape(shape), place[id(value)]) for before, value in writes]
    # One list holds a block's results, then its parts of what is read, then numbers.
    results = len(nodes)
    inputs = list({id(a.node): a.node for node in nodes for a in node.args if is_input(a, node, place)}.values())
    place |= {id(node): results + number for number, node in enumerate(inputs)}
    numbers: list[Any] = []
    steps = [step(node, place, numbers, results + len(inputs)) for node in nodes]
    last = {slot: at for at, (_, slots, _) in enumerate(steps) for slot in slots if slot < results}
    leaving: list[list[int]] = [[] for _ in nodes]
    for slot, at in last.items():
        if slot not in kept and all(slot != value for _, value in written):
            leaving[at].append(slot)
    read = [node.buffer.reshape(shape) for node in inputs]

    def block(start: int, end: int) -> None:
        values: list[Any] = [None] * results
        values += [array[start:end] for array in read]
        values += numbers
        for number, (function, slots, dtype) in enumerate(steps):
            result = function(*[values[slot] for slot in slots])
            if type(result) is not np.ndarray or result.dtype is not dtype or result.base is not None:
                result = np.array(result, dtype)  # never a view of what is written to
            values[number] = result
            for slot in leaving[number]:
                values[slot] = None
        for number, array in kept.items():
            array[start:end] = values[number]
        for buffer, number in written:  # after all that reads what was there
            buffer[start:end] = values[number]

    blocks.shared_out(block, 0, shape[0], max(1, BLOCK // columns) if columns else BLOCK)
    for number, array in kept.items():
        nodes[number].settle(array.reshape(-1))


def is_input(argument: Any, node: Node, place: dict[int, int]) -> bool:
    """Whether an argument is read from memory, block by block."""
    return isinstance(argument, Operand) and id(argument.node) not in place and whole(argument, node)


def step(node: Node, place: dict[int, int], numbers: list[Any], first: int) -> tuple[Any, list[int], np.dtype]:
    """How a node is computed: a function, the slots of its arguments, and the dtype. Numbers, and what is the same for each
    row, are added to `numbers`, which have the slots from `first` on."""
    slots: list[int] = []
    for argument in node.args:
        if isinstance(argument, Operand) and whole(argument, node):
            slots.append(place[id(argument.node)])
            continue
        slots.append(first + len(numbers))
        if isinstance(argument, Operand):
            numbers.append(argument.node.buffer[argument.offset : argument.offset + node.shape[-1]])
        else:
            numbers.append(engine.numpy_scalar(argument.value, argument.dtype))
    function = node.op.numpy
    return (functools.partial(function, **node.attributes) if node.attributes else function), slots, node.dtype.memory
