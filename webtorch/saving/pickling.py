"""Writing values as a pickle of the few things that a checkpoint may hold: what this writes, PyTorch's
`torch.load(weights_only=True)` reads, and nothing can be written that `webtorch.load` would refuse.

The names in the pickle are PyTorch's, so they cannot be left to Python's pickler, which wants to import them.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from typing import Any

import numpy as np

from .. import graph
from ..devices import device as Device
from ..dtypes import dtype as DType
from ..nn.module import Buffer, Module, Parameter
from ..tensor import Size, Tensor
from .storages import STORAGE_NAMES

FIX = "a checkpoint holds tensors, numbers, strings, bytes, None, and dicts, lists, tuples and sets of them"


class Pickle:
    """The pickle of one value (`bytes(pickle.out)`), and the storages that it names, in the order of their keys."""

    def __init__(self, value: Any) -> None:
        self.out = bytearray(b"\x80\x02")
        self.storages: list[graph.Storage] = []  # the place in the list is the key in the file
        self._keys: dict[int, int] = {}
        self._memo: dict[Any, int] = {}  # by id, or a string that names a global
        self._kept: list[Any] = []  # so that the ids in the memo stay theirs
        try:
            self.write(value, "obj")
        except RecursionError:
            raise ValueError("save(): the containers are nested too deeply; flatten them") from None
        self.out += b"."

    # ---- the pickle language ----------------------------------------------------------------------------------------

    def put(self, key: Any) -> None:
        """Remember what was just written, so that it is written once."""
        number = self._memo[key] = len(self._memo)
        self.out += b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)

    def get(self, key: Any) -> bool:
        """Write a reference to what was written before; False when it was not."""
        number = self._memo.get(key)
        if number is None:
            return False
        self.out += b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number)
        return True

    def remember(self, value: Any) -> None:
        self._kept.append(value)
        self.put(id(value))

    def name(self, module: str, name: str) -> None:
        """A class, function or constant by its name."""
        key = f"{module} {name}"
        if not self.get(key):
            self.out += f"c{module}\n{name}\n".encode()
            self.put(key)

    def call(self, module: str, name: str, *arguments: Any) -> None:
        self.name(module, name)
        self.tuple_of(arguments, "")
        self.out += b"R"

    def string(self, value: str) -> None:
        if self.get(("string", value)):
            return
        encoded = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(encoded)) + encoded
        self.put(("string", value))

    def integer(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K" + bytes([value])
        elif 0 <= value < 65536:
            self.out += b"M" + struct.pack("<H", value)
        elif -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += (
                b"\x8a" + bytes([len(encoded)]) if len(encoded) < 256 else b"\x8b" + struct.pack("<i", len(encoded))
            )
            self.out += encoded

    def tuple_of(self, values: tuple, path: str) -> None:
        if not values:
            self.out += b")"
            return
        if len(values) > 3:
            self.out += b"("
        for number, value in enumerate(values):
            self.write(value, f"{path}[{number}]")
        self.out += {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(values), b"t")

    def list_of(self, values: Any, path: str) -> None:
        self.out += b"("
        for number, value in enumerate(values):
            self.write(value, f"{path}[{number}]")
        self.out += b"e"

    def items_of(self, values: dict, path: str) -> None:
        if not values:
            return
        self.out += b"("
        for key, value in values.items():
            if not isinstance(key, (str, int, float, bool, bytes, type(None), tuple)):
                raise TypeError(
                    f"save(): {path} has a key of type {type(key).__name__}; keys of a checkpoint are strings and numbers"
                )
            self.write(key, f"{path}.keys()")
            self.write(value, f"{path}[{key!r}]")
        self.out += b"u"

    # ---- values -----------------------------------------------------------------------------------------------------

    def write(self, value: Any, path: str) -> None:
        """Write `value`; `path` is how the user would write where it stands, for errors."""
        kind = type(value)
        if value is None:
            self.out += b"N"
        elif kind is bool:
            self.out += b"\x88" if value else b"\x89"
        elif kind is int:
            self.integer(value)
        elif kind is float:
            self.out += b"G" + struct.pack(">d", value)
        elif kind is str:
            self.string(value)
        elif isinstance(value, np.generic) and value.dtype.kind in "biufc":
            self.write(value.item(), path)
        elif kind is DType:
            self.name("torch", value.name)
        elif not self.get(id(value)):
            self.write_object(kind, value, path)

    def write_object(self, kind: type, value: Any, path: str) -> None:
        if isinstance(value, Tensor):
            self.tensor(value, path)
        elif kind is dict:
            self.out += b"}"
            self.remember(value)
            self.items_of(value, path)
        elif kind is OrderedDict:
            self.call("collections", "OrderedDict")
            self.remember(value)
            self.items_of(value, path)
            if vars(value):  # a state dict has its modules' versions as an attribute
                self.write(dict(vars(value)), f"vars({path})")
                self.out += b"b"
        elif kind is list:
            self.out += b"]"
            self.remember(value)
            self.list_of(value, path)
        elif kind is tuple:
            self.tuple_of(value, path)
            if value:
                self.remember(value)
        elif kind is Size:
            self.call("torch", "Size", tuple(value))
            self.remember(value)
        elif kind is bytes:
            self.call("_codecs", "encode", value.decode("latin1"), "latin1")
            self.remember(value)
        elif kind is bytearray:
            self.call("__builtin__", "bytearray", bytes(value))
            self.remember(value)
        elif kind is complex:
            self.call("__builtin__", "complex", value.real, value.imag)
            self.remember(value)
        elif kind is set:
            self.call("__builtin__", "set", list(value))
            self.remember(value)
        elif kind is Counter:
            self.call("collections", "Counter", dict(value))
            self.remember(value)
        elif isinstance(value, Device):
            # PyTorch knows no webgpu; "vulkan" is a GPU that it knows by name, and that webtorch reads as webgpu.
            self.call("torch", "device", "vulkan" if value.type == "webgpu" else value.type)
            self.remember(value)
        else:
            raise TypeError(f"save(): {path} is {description(value)}")

    def tensor(self, value: Tensor, path: str) -> None:
        """A tensor as a view of its storage, so that what shares memory does so again when it is loaded."""
        if value._batch:
            value._memory()  # raises
        if value.is_meta:
            raise TypeError(
                f"save(): {path} is a tensor on the meta device, which has no values; move it with to_empty first"
            )
        if getattr(value, "_is_uninitialized", False) or type(value).__name__.startswith("Uninitialized"):
            raise TypeError(f"save(): {path} has no shape yet; run the lazy module once, then save")
        seen = value
        if any(stride < 0 for stride in value._strides):  # PyTorch has none such
            seen = value.detach().clone()
        if not isinstance(value, Parameter) and not plain_attributes(value):
            self.view(seen, value.requires_grad)
        elif isinstance(value, Parameter):
            attributes = plain_attributes(value)
            self.name("torch._utils", "_rebuild_parameter_with_state" if attributes else "_rebuild_parameter")
            self.out += b"("
            self.view(seen, False)
            self.write(value.requires_grad, path)
            self.call("collections", "OrderedDict")
            if attributes:
                self.write(attributes, f"vars({path})")
            self.out += b"tR"
        else:
            self.name("torch._tensor", "_rebuild_from_type_v2")
            self.out += b"("
            self.name("torch._utils", "_rebuild_tensor_v2")
            self.name("torch", "Tensor")
            self.view_arguments(seen, value.requires_grad)
            self.write(plain_attributes(value), f"vars({path})")
            self.out += b"tR"
        self._kept.append(seen)
        self.remember(value)

    def view(self, value: Tensor, requires_grad: bool) -> None:
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.view_arguments(value, requires_grad)
        self.out += b"R"

    def view_arguments(self, value: Tensor, requires_grad: bool) -> None:
        storage = value._storage
        key = self._keys.setdefault(id(storage), len(self.storages))
        if key == len(self.storages):
            self.storages.append(storage)
        self.out += b"(("
        self.string("storage")
        self.name("torch", STORAGE_NAMES[value.dtype.name])
        self.string(str(key))
        self.string("cpu")  # where PyTorch is to put it; webtorch has the devices in a record of its own
        self.integer(storage.node.size)
        self.out += b"tQ"
        self.integer(value._offset)
        self.tuple_of(tuple(map(int, value._shape)), "")
        self.tuple_of(tuple(map(int, value._strides)), "")
        self.write(bool(requires_grad), "")
        self.call("collections", "OrderedDict")
        self.out += b"t"


def plain_attributes(value: Tensor) -> dict[str, Any]:
    """What the user has set on a tensor."""
    own = {name: attribute for name, attribute in vars(value).items() if not name.startswith("_")}
    if isinstance(value, Buffer):
        own.pop("persistent", None)
    return own


def description(value: Any) -> str:
    """What cannot be saved, and what to do instead."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if isinstance(value, Module):
        return f"a module ({kind}), which is code; save its values: webtorch.save(module.state_dict(), file)"
    if callable(getattr(value, "state_dict", None)):
        return f"of type {kind}; save its values: value.state_dict()"
    if isinstance(value, np.ndarray):
        return f"a numpy array of {value.dtype}; save webtorch.from_numpy(array), or use np.savez"
    if kind.startswith("torch."):
        return f"PyTorch's ({kind}); convert tensors with webtorch.from_torch(tensor)"
    for plain in (dict, tuple, list, set, str, int, float):
        if isinstance(value, plain):
            return f"of type {kind}, a subclass of {plain.__name__}; save {plain.__name__}(value), since {FIX}"
    return f"of type {kind}; {FIX}"
