"""How loaders and their workers exchange objects: pickles in which tensors are numpy arrays, with their length in front."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

import numpy as np

from ... import creation, devices, dtypes
from ...tensor import Tensor, make

LENGTH = struct.Struct("<Q")


def from_memory(kind: type, memory: np.ndarray, dtype: str, requires_grad: bool) -> Tensor:
    """A tensor that was sent: on the default device, which for a worker is the cpu; on the cpu where it must be."""
    element = dtypes.as_dtype(getattr(dtypes, dtype + "_" if dtype == "bool" else dtype))
    array = np.array(memory, order="C")
    try:
        made = creation.leaf(array, devices.get_default_device(), array.shape, element)
    except (creation.DTypeError, devices.DeviceError):
        made = creation.leaf(array, devices.device("cpu"), array.shape, element)
    result = make(kind, made._storage.node, made._storage)
    result._leaf_requires_grad = requires_grad
    return result


class Packer(pickle.Pickler):
    """Pickles tensors of any device by their memory on the host."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor) and type(value).__reduce__ is Tensor.__reduce__:
            memory = np.ascontiguousarray(value.detach()._memory())
            return from_memory, (type(value), memory, value.dtype.name, value.requires_grad)
        return NotImplemented


def packed(value: Any) -> bytes:
    """The pickle of a value, for another process."""
    stream = io.BytesIO()
    Packer(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


unpacked = pickle.loads


def send(stream: Any, payload: bytes) -> None:
    """Write one message to a pipe."""
    stream.write(LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def receive(stream: Any) -> bytes | None:
    """Read one message from a pipe; None when it was closed."""
    head = exactly(stream, LENGTH.size)
    return None if head is None else exactly(stream, LENGTH.unpack(head)[0])


def exactly(stream: Any, count: int) -> bytes | None:
    parts = []
    while count:
        part = stream.read(min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
