"""Devices that are neither numpy nor WebGPU: ``meta``, whose tensors have a shape and a dtype but no values, and those
that users register. Both are told of every node when it is recorded, as the cpu is; nothing stays pending there.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .devices import device as Device
from .dtypes import decode, encode
from .dtypes import dtype as DType
from .errors import DeviceError, coded_error, did_you_mean

if TYPE_CHECKING:
    from .graph import Node

META = Device("meta")
shapes_only = 0  # how many calls of eval_shape are under way, in all threads


class _NoData:
    """Stands for the memory of a tensor that has none."""

    size = 0

    def __repr__(self) -> str:
        return "<no data>"


NO_DATA = _NoData()


def shape_only(shape: tuple[int, ...], dtype: DType) -> Node:
    """A node of the meta device."""
    from . import graph

    return graph.data(NO_DATA, shape, dtype, META)


def shapes_alone(*devices: Device) -> bool:
    """Whether different devices may meet because `eval_shape` is under way and one of them is meta: a function that is
    looked at may read tensors of a real device, such as parameters, whose values do not matter."""
    return shapes_only > 0 and any(device.type == "meta" for device in devices)


def without_data(node: Node) -> bool:
    """Settles a node of a real device that has an argument without data; True when it had."""
    if any(getattr(argument, "node", None) is not None and argument.node.buffer is NO_DATA for argument in node.args):
        node.settle(NO_DATA)
        return True
    return False


# The storages that were written to inside `eval_shape`, with the node and the version they had before.
_before: ContextVar[dict[int, tuple] | None] = ContextVar("webtorch_eval_shape_writes", default=None)


def lacks_data(tensor: Any) -> bool:
    return tensor._storage.node.buffer is NO_DATA and _before.get() is not None


def written(target: Any, value: Any) -> bool:
    """Called before a write inside `eval_shape`: remembers what is there. True when there is nothing to write, because one
    of the two has no data: then the target has none from now on."""
    before = _before.get()
    if before is None:
        return False
    storage = target._storage
    before.setdefault(id(storage), (storage, storage.node, storage.version))
    if storage.node.buffer is not NO_DATA and value._storage.node.buffer is not NO_DATA:
        return False
    from . import graph

    node = storage.node
    storage.replace(graph.data(NO_DATA, node.shape, node.dtype, node.device), counted=not target._uncounted)
    return True


@contextmanager
def only_shapes() -> Iterator[None]:
    """The scope of one `eval_shape`: what is written to inside has its old value again at the end."""
    global shapes_only
    from . import graph

    before: dict[int, tuple] = {}
    outer, keeping = _before.set(before), graph.keep_old_values.set(True)
    with _counting:
        shapes_only += 1
    try:
        yield
    finally:
        with _counting:
            shapes_only -= 1
        _before.reset(outer)
        graph.keep_old_values.reset(keeping)
        for storage, node, version in before.values():
            storage.replace(node, counted=False)
            storage.version = version


_counting = threading.Lock()


# ---- devices that users register ------------------------------------------------------------------------------------


class DispatchInput(NamedTuple):
    """An argument of a dispatch: a strided view, counted in elements, of one of the device's buffers."""

    buffer: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: DType


class DispatchOutput(NamedTuple):
    """Where a dispatch writes its result: a buffer of the device, filled row by row without gaps."""

    buffer: Any
    shape: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True)
class DispatchConfig:
    """One op that a device is to run: its name, its arguments, where the result goes.

    `inputs` holds `DispatchInput`s, and numpy scalars for numbers. `numpy` is the op's meaning: it takes the inputs as
    arrays and gives the result as one, for devices that have no kernel of their own for the op.
    """

    op: str
    inputs: tuple
    output: DispatchOutput
    attributes: dict[str, Any]
    numpy: Callable[[list], np.ndarray] = field(repr=False)

    def compute(self, memory: Callable[[Any], np.ndarray]) -> None:
        """Run the op by numpy in the device's own memory; `memory(buffer)` gives a buffer's bytes as a uint8 array."""
        from .engine import strided

        arrays = [
            strided(
                decode(memory(value.buffer)[: extent_bytes(value)].view(value.dtype.memory), value.dtype),
                value.shape,
                value.strides,
                value.offset,
            )
            if isinstance(value, DispatchInput)
            else value
            for value in self.inputs
        ]
        result = encode(self.numpy(arrays), self.output.dtype).reshape(-1).view(np.uint8)
        memory(self.output.buffer)[: result.size] = result


def extent_bytes(view: DispatchInput) -> int:
    """The bytes of the buffer up to the last element that a view touches."""
    from .shapes import extent

    return (extent(view.shape, view.strides, view.offset)[1] + 1) * view.dtype.itemsize


class Entry:
    """A registered device: what its owner gave, and the context that `initialize` made of it at the first use."""

    def __init__(self, name: str, config: Any) -> None:
        self.name = name
        self.config = config
        self.initialized = False
        self.context: Any = None
        self.dispatches = itertools.count()

    def ready(self) -> Any:
        """The device's configuration, initialized."""
        if not self.initialized:
            self.context = self.config.initialize()
            self.initialized = True
        return self.config


class Memory:
    """A buffer of a user's device that a node holds; it is destroyed when no node holds it any more."""

    __slots__ = ("buffer", "entry", "size")

    def __init__(self, entry: Entry, nbytes: int) -> None:
        self.entry = entry
        self.size = nbytes
        self.buffer = entry.ready().create_buffer(max(nbytes, 1), ("storage", "copy_src", "copy_dst"))

    def __del__(self) -> None:
        buffer = getattr(self, "buffer", None)
        if buffer is not None and hasattr(buffer, "destroy"):
            buffer.destroy()

    def write(self, data: np.ndarray) -> Memory:
        if data.size:
            self.entry.ready().write_buffer(self.buffer, data, 0)
        return self

    def read(self, dtype: DType) -> np.ndarray:
        if not self.size:
            return np.empty(0, dtype.memory)
        found = np.frombuffer(self.entry.ready().read_buffer(self.buffer, self.size, 0), np.uint8)
        if found.size != self.size:
            raise DeviceError(
                f"device {self.entry.name!r}: read_buffer gave {found.size} bytes where {self.size} were asked for"
            )
        return found.copy().view(dtype.memory)


CUSTOM: dict[str, Entry] = {}


def entry_of(device: Device) -> Entry:
    known = CUSTOM.get(device.type)
    if known is None:
        raise DeviceError(
            f"device {device.type!r} was unregistered; nothing can be computed on it any more."
            + did_you_mean(device.type, CUSTOM)
        )
    return known


def check_dtype(entry: Entry, dtype: DType, call: str) -> None:
    offered = (getattr(entry.config, "capabilities", None) or {}).get("dtypes")
    if offered is not None and dtype.name not in offered:
        from .errors import DTypeError

        raise DTypeError(
            f"{call}: device {entry.name!r} has no {dtype.name}; it has {', '.join(offered)}: convert with .to(dtype), or "
            "use device='cpu'"
        )


def upload(flat: np.ndarray, device: Device, dtype: DType) -> Any:
    """Elements of a dtype in the memory of a device: what a node of that device holds."""
    if device.type == "meta":
        return NO_DATA
    entry = entry_of(device)
    check_dtype(entry, dtype, f"a tensor on {device.type}")
    return Memory(entry, flat.nbytes).write(np.ascontiguousarray(flat).view(np.uint8))


def download(node: Node) -> np.ndarray:
    """A node's flat values as numpy; a meta tensor has none."""
    if node.buffer is NO_DATA:
        raise coded_error(
            "device_error_requires",
            f"the values of a tensor of shape {list(node.shape)} and dtype {node.dtype.name} on {node.device} were asked for: "
            "Cannot copy out of meta tensor; no data! It requires a device with memory: make the tensor on 'cpu' or 'webgpu'",
        )
    return node.buffer.read(node.dtype)


def compute(node: Node) -> None:
    """Have a device that is neither numpy nor WebGPU compute a node."""
    if node.device.type == "meta":
        node.settle(NO_DATA)
        return
    if shapes_only and without_data(node):
        return
    from . import engine, graph

    entry = entry_of(node.device)
    config = entry.ready()
    check_dtype(entry, node.dtype, node.op.name.strip("_"))
    inputs: list[Any] = []
    for argument in node.args:
        if isinstance(argument, graph.Scalar):
            inputs.append(engine.numpy_scalar(argument.value, argument.dtype))
            continue
        source = argument.node
        held = source.buffer if isinstance(source.buffer, Memory) else None
        if held is None:  # a 0-d cpu tensor that came along
            held = Memory(entry, source.nbytes).write(np.ascontiguousarray(engine.read(source)).view(np.uint8))
        inputs.append(DispatchInput(held.buffer, argument.shape, argument.strides, argument.offset, source.dtype))
    result = Memory(entry, node.nbytes)

    def meaning(arrays: list) -> np.ndarray:
        with np.errstate(all="ignore"):
            return node.op.evaluate(node, arrays)

    work = DispatchConfig(
        op=node.op.name,
        inputs=tuple(inputs),
        output=DispatchOutput(result.buffer, node.shape, node.dtype),
        attributes=dict(node.attributes),
        numpy=meaning,
    )
    if node.size:
        next(entry.dispatches)
        config.dispatch(work)
    node.settle(result)


def synchronize(name: str | None = None) -> None:
    """Wait for the devices that users registered, or for one of them."""
    for entry in list(CUSTOM.values()):
        if entry.initialized and name in (None, entry.name):
            entry.config.sync()
