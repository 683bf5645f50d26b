"""Storages on their way between a file and a device, and the rules by which a checkpoint finds its device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import creation, devices, graph
from ..devices import OTHER_GPU_NAMES, get_default_device
from ..devices import device as Device
from ..dtypes import dtype as DType
from ..errors import UnpicklingError

STORAGE_TYPES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip
STORAGE_NAMES = {dtype: name for name, dtype in STORAGE_TYPES.items()}


class LoadedStorage:
    """The elements of one storage of a checkpoint on the host, and the device they are meant for.

    This is what a function given as `map_location` receives and returns.
    """

    def __init__(self, array: np.ndarray, dtype: DType, device: Device | None = None) -> None:
        self.array = array
        self.dtype = dtype
        self.device = Device("cpu") if device is None else device

    def to(self, device: Any) -> LoadedStorage:
        """The same storage, meant for another device."""
        return LoadedStorage(self.array, self.dtype, as_device(device))

    def cpu(self) -> LoadedStorage:
        """The same storage, meant for the cpu."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> LoadedStorage:
        """The same storage, meant for the GPU."""
        return self.to("webgpu")

    webgpu = cuda

    def nbytes(self) -> int:
        """The bytes that it takes."""
        return self.array.nbytes

    def size(self) -> int:
        """The number of elements."""
        return self.array.size

    def placed(self) -> graph.Storage:
        """A storage on the device. A GPU takes the memory piece by piece, a file that is mapped without a copy in between."""
        here = creation.leaf(self.array, Device("cpu"), (self.array.size,), self.dtype)
        return creation.moved(here, self.device)._storage


def as_device(location: Any) -> Device:
    """The device that a name of webtorch's or of PyTorch's means: 'cuda:1' and 'mps' are the GPU."""
    if isinstance(location, int):
        return Device("webgpu")
    if isinstance(location, str) and location.partition(":")[0].lower() in OTHER_GPU_NAMES:
        return Device("webgpu")
    return Device(location)


def home(location: str) -> Device:
    """Where a storage goes by itself: to the device it was saved from. One saved from another library's GPU goes to the
    default device, which is the GPU where there is one."""
    kind = location.partition(":")[0]
    if kind in ("webgpu", "cpu", "meta"):
        device = Device(kind)
        if kind == "webgpu" and not devices.is_webgpu_available():
            raise UnpicklingError(
                "load(): the file holds tensors of a GPU, and there is none here; use webtorch.load(..., map_location='cpu')"
            )
        return device
    if kind.lower() in OTHER_GPU_NAMES:
        return get_default_device()
    try:
        return Device(location)
    except Exception:
        raise UnpicklingError(
            f"load(): the file holds tensors of a device {location!r}, which is not known here; use "
            "webtorch.load(..., map_location='cpu')"
        ) from None


def placement(map_location: Any) -> Callable[[LoadedStorage, str], LoadedStorage]:
    """What brings a storage to its device: `map_location` may be None, a device or its name, a mapping from names in the
    file to names here, or a function of the storage (on the host) and the name in the file."""
    if map_location is None:
        return lambda storage, location: storage.to(home(location))
    if isinstance(map_location, Mapping):

        def by_name(storage: LoadedStorage, location: str) -> LoadedStorage:
            for key, value in map_location.items():
                if str(key) == location:
                    return storage.to(as_device(value))
            return storage.to(home(location))

        return by_name
    if callable(map_location) and not isinstance(map_location, Device):

        def by_function(storage: LoadedStorage, location: str) -> LoadedStorage:
            chosen = map_location(storage, location)
            if chosen is None:
                return storage.to(home(location))
            if isinstance(chosen, LoadedStorage):
                return chosen
            if isinstance(chosen, (str, Device)):
                return storage.to(as_device(chosen))
            raise TypeError(
                f"load(map_location=function): the function returned {type(chosen).__name__}; return the storage it was "
                "given, storage.to(device), a device, or None"
            )

        return by_function
    if not isinstance(map_location, (str, Device, int)):
        raise TypeError(
            f"load(map_location={map_location!r}): give a device, its name, a dict from names in the file to names here, or "
            "a function of a storage and its name"
        )
    device = as_device(map_location)
    return lambda storage, location: storage.to(device)
