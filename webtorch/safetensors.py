"""safetensors files: tensors by name and a few texts, no code; the functions are named as in `safetensors.torch`.

The safetensors library reads and writes them and finds what is wrong with a file. What is done here is what it leaves open:
its writer takes bare memory, so tensors are laid out row by row first, and its readers know numpy's types only, so the values
are taken from the mapped file itself, which also lets a GPU have them without a copy on the host.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import creation, dtypes
from .devices import device as Device
from .errors import DTypeError
from .files import replacing
from .nn.module import Module
from .saving.storages import as_device
from .tensor import Tensor

__all__ = ["load", "load_file", "load_model", "safe_open", "save", "save_file", "save_model"]

DTYPES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "I8": dtypes.int8, "I16": dtypes.int16, "I32": dtypes.int32,
    "I64": dtypes.int64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64,
    "C64": dtypes.complex64,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}
FORGET = 32 << 20  # bytes read after which the pages of a mapped file are let go of


def library() -> Any:
    """The safetensors library. Raises ImportError with the way to get it."""
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "webtorch.safetensors needs the safetensors library: pip install 'webtorch[io]', or pip install 'safetensors>=0.8'"
        ) from error
    if not hasattr(safetensors, "TensorSpec"):
        raise ImportError(
            f"webtorch.safetensors needs safetensors 0.8 or newer, and {safetensors.__version__} is installed: "
            "pip install --upgrade 'safetensors>=0.8'"
        )
    if sys.byteorder != "little":
        raise ImportError("webtorch.safetensors: safetensors files are little-endian, and this machine is not")
    return safetensors


def __getattr__(name: str) -> Any:
    if name == "SafetensorError":
        return library().SafetensorError
    raise AttributeError(f"module 'webtorch.safetensors' has no attribute {name!r}")


# ---- writing --------------------------------------------------------------------------------------------------------


def specifications(tensors: Any, metadata: Any, call: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What the library wants to know of each tensor, and the arrays whose memory that is."""
    make = library().TensorSpec
    if not isinstance(tensors, Mapping):
        raise ValueError(f"{call}: expected a dict of names and tensors, but got {type(tensors).__name__}")
    if metadata is not None and not (
        isinstance(metadata, Mapping) and all(isinstance(each, str) for pair in metadata.items() for each in pair)
    ):
        raise TypeError(f"{call}: metadata must be a dict of strings, for a safetensors file holds texts only")
    found: dict[str, Any] = {}
    kept = []
    for name, tensor in tensors.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise ValueError(f"{call}: {name!r} cannot be the name of a tensor; use another string")
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"{call}: key {name!r} is invalid, expected webtorch.Tensor but received {type(tensor).__name__}; "
                "a safetensors file holds tensors only, webtorch.save also plain values"
            )
        if tensor.is_meta:
            raise ValueError(f"{call}: {name!r} is a tensor on the meta device, which has no values")
        if tensor.dtype not in NAMES:
            raise DTypeError(
                f"{call}: {name!r} is of {tensor.dtype}, which safetensors files have not; convert it first"
            )
    shared = overlapping(tensors)
    if shared:
        raise RuntimeError(
            f"{call}: some tensors share memory, and a safetensors file would hold it twice and load them apart: "
            f"{[sorted(group) for group in shared]}. Use webtorch.safetensors.save_model for a module with tied parameters, "
            "or give copies (tensor.clone())"
        )
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.detach()._memory())
        kept.append(array)
        found[name] = make(
            dtype=tensor.dtype.name, shape=list(tensor.shape), data_ptr=array.ctypes.data, data_len=array.nbytes
        )
    return found, kept


def save_file(tensors: Mapping[str, Tensor], filename: Any, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name to a safetensors file: the whole file or, after an error, what was there before.

    Tensors of any strides and device are written row by row. Raises ValueError for what is no tensor, RuntimeError for
    tensors that share memory, DTypeError for complex128, ImportError where the safetensors library is missing.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> webtorch.safetensors.save_file({"weight": webtorch.ones(2, 2).T}, path, metadata={"made": "today"})
    >>> webtorch.safetensors.load_file(path)["weight"].shape
    webtorch.Size([2, 2])
    """
    found, kept = specifications(tensors, metadata, "save_file()")
    with replacing(filename) as name:
        library().serialize_file(found, name, metadata=None if metadata is None else dict(metadata))
    del kept


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of the file that `save_file` writes.

    >>> webtorch.safetensors.load(webtorch.safetensors.save({"x": webtorch.ones(2)}))
    {'x': tensor([1., 1.])}
    """
    found, kept = specifications(tensors, metadata, "save()")
    result = bytes(library().serialize(found, metadata=None if metadata is None else dict(metadata)))
    del kept
    return result


def extent(tensor: Tensor) -> tuple[int, int]:
    """The first and the last element of the storage that a tensor shows, the last excluded."""
    reach = [(size - 1) * stride for size, stride in zip(tensor._shape, tensor._strides, strict=True)]
    first = tensor._offset + sum(each for each in reach if each < 0)
    return first, tensor._offset + sum(each for each in reach if each > 0) + 1


def overlapping(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    """The names of tensors that show the same stretch of a storage, in groups of two or more."""
    by_storage: dict[int, list[tuple[int, int, str]]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            by_storage.setdefault(id(tensor._storage), []).append((*extent(tensor), name))
    groups: list[list[str]] = []
    for members in by_storage.values():
        members.sort()
        group: list[str] = []
        end = -1
        for first, last, name in members:
            if first >= end:
                groups.append(group := [])
            group.append(name)
            end = max(end, last)
    return [group for group in groups if len(group) > 1]


def dropped_names(state: Mapping[str, Tensor], preferred: Any = ()) -> dict[str, list[str]]:
    """Which of the tensors that share memory is kept, the one that shows all of it, and which need not be written."""
    result: dict[str, list[str]] = {}
    for group in overlapping(state):
        whole = sorted(name for name in group if state[name].numel() == state[name]._storage.node.size)
        if not whole:
            raise RuntimeError(
                f"save_model(): {sorted(group)} share memory and none of them shows all of it, so more would be written than "
                "they need; give the module copies of them (tensor.clone())"
            )
        kept = next((name for name in whole if name in preferred), whole[0])
        result[kept] = sorted(name for name in group if name != kept)
    return result


def save_model(
    model: Module, filename: Any, metadata: Mapping[str, str] | None = None, force_contiguous: bool = True
) -> None:
    """Write the state of a module; of parameters that share memory one is written, and the metadata say for which others.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model = webtorch.nn.Sequential(webtorch.nn.Linear(2, 2), webtorch.nn.Linear(2, 2))
    >>> model[1].weight = model[0].weight
    >>> webtorch.safetensors.save_model(model, path)
    >>> webtorch.safetensors.load_model(model, path)
    (set(), [])
    """
    state = dict(model.state_dict())
    texts = dict(metadata or {})
    for kept, others in dropped_names(state).items():
        for name in others:
            texts.setdefault(name, kept)
            del state[name]
    save_file(state, filename, texts or None)


def load_model(model: Module, filename: Any, strict: bool = True, device: Any = "cpu") -> tuple[set[str], list[str]]:
    """Load a file of `save_model` into a module: the names that were missing, and those that the module has not.

    With `strict`, either raises RuntimeError, before anything was loaded but what fits.
    """
    state = load_file(filename, device)
    dropped = dropped_names(dict(model.state_dict()), state.keys())
    result = model.load_state_dict(state, strict=False)
    missing, unexpected = set(result.missing_keys), list(result.unexpected_keys)
    for names in dropped.values():
        for name in names:
            if name in missing:
                missing.remove(name)
            else:
                unexpected.append(name)
    if strict and (missing or unexpected):
        lines = [f"Error(s) in loading state_dict for {type(model).__name__}:"]
        for what, names in (("Missing", sorted(missing)), ("Unexpected", sorted(unexpected))):
            if names:
                lines.append(f"    {what} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in names))
        raise RuntimeError("\n".join(lines))
    return missing, unexpected


# ---- reading --------------------------------------------------------------------------------------------------------


def dtype_of(name: str, code: str) -> dtypes.dtype:
    found = DTYPES.get(code)
    if found is None:
        raise DTypeError(
            f"safetensors: {name!r} is of type {code}, which webtorch has not; convert it where it was made"
        )
    return found


def tensor_of(memory: np.ndarray, name: str, code: str, shape: Any, device: Device, copy: bool) -> Tensor:
    """A tensor of bytes of a file: copied for the cpu, sent straight to a GPU, which takes them piece by piece."""
    dtype = dtype_of(name, code)
    if dtype is dtypes.bool_ and memory.size and memory.max() > 1:
        memory = (memory != 0).view(np.uint8)
    if device.type == "cpu" and copy:
        memory = memory.copy()
    made = creation.leaf(
        memory.view(dtype.memory), device if device.type == "webgpu" else Device("cpu"), tuple(shape), dtype
    )
    return creation.moved(made, device)


def parsed(text: bytes) -> dict[str, Any]:
    """The header of a file that the library has found to be right but for one thing: a name may stand there twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise library().SafetensorError("Error while deserializing header: a name stands there twice")
        return found

    header = json.loads(text, object_pairs_hook=once)
    header.pop("__metadata__", None)
    return header


class safe_open:
    """A safetensors file whose tensors are read when they are asked for, from the mapped file.

    `framework` is there for the library's sake; tensors are webtorch's. `device` is where they go. Raises the library's
    SafetensorError for a damaged file, FileNotFoundError for a missing one.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> webtorch.safetensors.save_file({"a": webtorch.arange(6).reshape(3, 2), "b": webtorch.ones(1)}, path)
    >>> with webtorch.safetensors.safe_open(path, device="cpu") as file:
    ...     file.keys(), file.get_tensor("b"), file.get_slice("a")[1:, 0]
    (['a', 'b'], tensor([1.]), tensor([2, 4]))
    """

    def __init__(self, filename: Any, framework: str = "webtorch", device: Any = "cpu") -> None:
        path = os.fsdecode(filename)
        # The library checks the header, that it describes all bytes of the file, and each but once.
        with library().safe_open(path, framework="numpy") as checked:
            self._metadata = checked.metadata()
            self._keys = sorted(checked.keys())
            self._in_order = list(checked.offset_keys())
        with open(path, "rb") as file:
            (length,) = np.frombuffer(file.read(8), "<u8").tolist()
            self._header = parsed(file.read(length))
            self._map: mmap.mmap | None = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._bytes: np.ndarray | None = np.frombuffer(self._map, np.uint8)[8 + length :]
        self._device = as_device(device)
        self._read = 0

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *error: Any) -> None:
        self._map = self._bytes = None

    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
        return list(self._keys)

    def offset_keys(self) -> list[str]:
        """The names of the tensors, in the order of the file."""
        return list(self._in_order)

    def metadata(self) -> dict[str, str] | None:
        """The texts that were saved with the tensors."""
        return self._metadata

    def _memory(self, name: str) -> np.ndarray:
        if self._bytes is None:
            raise ValueError("safe_open: the file is closed; read tensors inside the with block")
        if name not in self._header:
            raise KeyError(f"the file has no tensor {name!r}; it has {', '.join(self._keys[:20]) or 'none'}")
        first, last = self._header[name]["data_offsets"]
        self._read += last - first
        if self._read > FORGET and self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            # What was read and lies in memory or on the GPU by now need not stay in this process's memory as well.
            self._map.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return self._bytes[first:last]

    def get_tensor(self, name: str) -> Tensor:
        """The tensor of that name, on the device. Raises KeyError."""
        memory = self._memory(name)
        entry = self._header[name]
        return tensor_of(memory, name, entry["dtype"], entry["shape"], self._device, copy=True)

    def get_tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {name: self.get_tensor(name) for name in self._in_order}

    def get_slice(self, name: str) -> Slice:
        """The tensor of that name, of which only what is indexed is read."""
        memory = self._memory(name)
        entry = self._header[name]
        return Slice(memory, name, entry["dtype"], entry["shape"], self._device)


class Slice:
    """A tensor of a file, to be indexed: see `safe_open.get_slice`."""

    def __init__(self, memory: np.ndarray, name: str, code: str, shape: list[int], device: Device) -> None:
        self._memory = memory
        self._name = name
        self._code = code
        self._shape = shape
        self._device = device

    def get_shape(self) -> list[int]:
        """The shape of the whole tensor."""
        return list(self._shape)

    def get_dtype(self) -> str:
        """The type of the elements as the file calls it, such as 'F32'."""
        return self._code

    def __getitem__(self, index: Any) -> Tensor:
        whole = self._memory.view(dtype_of(self._name, self._code).memory).reshape(self._shape)
        part = np.array(whole[index], order="C")
        return tensor_of(part.reshape(-1).view(np.uint8), self._name, self._code, part.shape, self._device, copy=False)


def load_file(filename: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, on `device`.

    The file is mapped: the cpu's tensors are the one copy that is made, and a GPU's are sent from the file in pieces.
    Raises the library's SafetensorError for a damaged file, FileNotFoundError for a missing one, DTypeError for a type
    that webtorch has not, ImportError where the safetensors library is missing.
    """
    with safe_open(filename, device=device) as file:
        return file.get_tensors()


def load(data: bytes, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors of the bytes of a safetensors file."""
    where = as_device(device)
    data = bytes(data)
    found = library().deserialize(data)
    parsed(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return {
        name: tensor_of(np.frombuffer(entry["data"], np.uint8), name, entry["dtype"], entry["shape"], where, copy=True)
        for name, entry in found
    }
