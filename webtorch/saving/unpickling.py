"""Reading pickles by an interpreter of our own, in which nothing but what `KNOWN` lists can be called.

A pickle is a program for a stack machine. Python's own machine imports any name and calls it; this one knows only
the instructions that plain data needs, looks names up in a table of its own, and counts what it is made to build, so that a
small file cannot ask for much work.
"""

from __future__ import annotations

import codecs
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..errors import DTypeError, UnpicklingError
from ..nn.module import Parameter
from ..tensor import Size, Tensor
from .storages import STORAGE_TYPES, as_device

WHAT_TO_DO = (
    "webtorch.load runs no code and has no way to allow it. In the program that wrote the file, save values only "
    "(model.state_dict(), optimizer.state_dict(), numbers, strings) or write a safetensors file; "
    "webtorch.load and webtorch.safetensors.load_file read those"
)


class Known:
    """A function or class that a checkpoint may name: not the thing itself, so that a file can do nothing with it but have
    `call` make something of plain arguments."""

    __slots__ = ("call", "name")

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self.name = name
        self.call = call

    def __repr__(self) -> str:
        return f"<{self.name} in a checkpoint>"


class StorageType:
    """The class of a storage, which stands for the dtype of its elements."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: dtypes.dtype) -> None:
        self.dtype = dtype


class StoredTensor:
    """A storage of the file where a pickle refers to it: on its device already, as a storage that views share."""

    __slots__ = ("dtype", "numel", "storage")

    def __init__(self, storage: Any, dtype: dtypes.dtype, numel: int) -> None:
        self.storage = storage
        self.dtype = dtype
        self.numel = numel


# ---- what may be built ----------------------------------------------------------------------------------------------


def expect(condition: Any, what: str) -> None:
    if not condition:
        raise UnpicklingError(f"load(): the file is damaged or forged: {what}")


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def rebuild_tensor(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    """A view of a storage: all of it must lie inside."""
    expect(type(storage) is StoredTensor, "a tensor without a storage")
    expect(
        isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 64,
        "a tensor's shape or strides",
    )
    expect(is_count(offset) and all(map(is_count, size)) and all(map(is_count, stride)), "a tensor's shape or strides")
    expect(not hooks, "a tensor with hooks, which are code")
    if 0 not in size:
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        expect(last < storage.numel, f"a tensor that reaches to element {last} of a storage of {storage.numel}")
        count = 1
        for n in size:
            count *= n
        expect(count < 2**63, "a tensor of more elements than can be counted")
    from ..tensor import view_of

    result = view_of(storage.storage, tuple(size), tuple(stride), offset)
    if metadata:
        expect(type(metadata) is dict and set(metadata) <= {"conj", "neg"}, "what is said of a tensor")
        if metadata.get("conj"):
            result = result.conj().clone()
        if metadata.get("neg"):
            result = -result
    expect(type(requires_grad) is bool, "a tensor's requires_grad")
    expect(not requires_grad or result.dtype.is_differentiable, f"a tensor of {result.dtype} that requires grad")
    result._leaf_requires_grad = requires_grad
    return result


def rebuild_parameter(data: Any, requires_grad: Any = True, hooks: Any = None, state: Any = None) -> Parameter:
    expect(isinstance(data, Tensor) and type(requires_grad) is bool and not hooks, "a parameter")
    expect(not requires_grad or data.dtype.is_differentiable, f"a parameter of {data.dtype} that requires grad")
    return with_attributes(Parameter(data.detach(), requires_grad), state)


def rebuild_with_attributes(function: Any, kind: Any, arguments: Any, state: Any) -> Tensor:
    """A tensor with what the user had set on it."""
    builders = (KNOWN["torch._utils", "_rebuild_tensor_v2"], KNOWN["torch._utils", "_rebuild_parameter"])
    kinds = (KNOWN["torch", "Tensor"], KNOWN["torch.nn.parameter", "Parameter"])
    expect(function in builders and kind in kinds and isinstance(arguments, tuple), "a tensor with attributes")
    result = function.call(*arguments)
    if kind is kinds[1] and not isinstance(result, Parameter):
        result = Parameter(result.detach(), result.requires_grad)
    return with_attributes(result, state)


def with_attributes(tensor: Any, state: Any) -> Any:
    if isinstance(state, tuple):
        expect(len(state) == 2 and not state[1], "a tensor's attributes")
        state = state[0]
    if state is None:
        return tensor
    expect(type(state) is dict, "a tensor's attributes")
    for name, value in state.items():
        if type(name) is not str or name.startswith("_") or hasattr(Tensor, name):
            raise UnpicklingError(
                f"load(): the file sets an attribute {name!r} of a tensor, which is not the user's to set"
            )
        vars(tensor)[name] = value
    return tensor


def encode(text: Any, encoding: Any = None) -> bytes:
    """How bytes are written in old pickles."""
    expect(type(text) is str and encoding in ("latin1", "latin-1", "utf-8", "ascii"), "bytes")
    try:
        return codecs.encode(text, encoding)
    except UnicodeError:
        raise UnpicklingError("load(): the file is damaged or forged: bytes that are none") from None


def make_set(values: Any = ()) -> set:
    expect(type(values) is list, "a set")
    for value in values:
        check_key(value)
    return set(values)


def make_counter(values: Any = None) -> Counter:
    expect(values is None or type(values) is dict, "a Counter")
    return Counter(values or {})


def make_ordered(pairs: Any = None) -> OrderedDict:
    result: OrderedDict = OrderedDict()
    expect(pairs is None or isinstance(pairs, (list, tuple)), "an OrderedDict")
    for pair in pairs or ():
        expect(isinstance(pair, (list, tuple)) and len(pair) == 2, "an OrderedDict")
        check_key(pair[0])
        result[pair[0]] = pair[1]
    return result


def make_size(values: Any = ()) -> Size:
    expect(isinstance(values, (tuple, list)) and all(map(is_count, values)), "a torch.Size")
    return Size(values)


def make_bytearray(values: Any = b"", encoding: Any = None) -> bytearray:
    if type(values) is str:
        values = encode(values, encoding)
    expect(type(values) is bytes, "a bytearray")
    return bytearray(values)


def make_complex(real: Any, imaginary: Any = 0.0) -> complex:
    expect(type(real) in (int, float) and type(imaginary) in (int, float), "a complex number")
    return complex(real, imaginary)


def make_device(kind: Any, index: Any = None) -> Any:
    expect(type(kind) is str and (index is None or type(index) is int), "a device")
    try:
        return as_device(kind)
    except RuntimeError as error:
        raise UnpicklingError(f"load(): {error}") from None


def make_layout(name: Any) -> str:
    expect(name == "torch.strided", f"a tensor layout {name!r}")
    return "webtorch.strided"


def uncallable(*_: Any) -> Any:
    raise UnpicklingError("load(): the file is damaged or forged: a class that is called")


def known() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {}
    functions: dict[str, Callable[..., Any]] = {
        "collections.OrderedDict": make_ordered, "collections.Counter": make_counter,
        "torch._utils._rebuild_tensor": rebuild_tensor, "torch._utils._rebuild_tensor_v2": rebuild_tensor,
        "torch._utils._rebuild_parameter": rebuild_parameter,
        "torch._utils._rebuild_parameter_with_state": rebuild_parameter,
        "torch._tensor._rebuild_from_type_v2": rebuild_with_attributes,
        "torch.nn.parameter.Parameter": rebuild_parameter, "torch.Tensor": uncallable, "torch.Size": make_size,
        "torch.device": make_device, "torch.serialization._get_layout": make_layout, "_codecs.encode": encode,
    }  # fmt: skip
    for module in ("__builtin__", "builtins"):
        functions[f"{module}.set"] = make_set
        functions[f"{module}.bytearray"] = make_bytearray
        functions[f"{module}.complex"] = make_complex
    for path, function in functions.items():
        module, _, name = path.rpartition(".")
        table[module, name] = Known(path, function)
    for each in dtypes.ALL:
        table["torch", each.name] = each
    for name, dtype in STORAGE_TYPES.items():
        for module in ("torch", "torch.cuda"):
            table[module, name] = StorageType(dtypes.as_dtype(dtype))
    return table


KNOWN = known()


def find(module: str, name: str) -> Any:
    """What a file may name, or an error that names what it asked for."""
    found = KNOWN.get((module, name))
    if found is not None:
        return found
    if module == "torch" and name in ("uint16", "uint32", "uint64") or name.startswith(("float8", "float4")):
        raise DTypeError(
            f"load(): the file holds torch.{name}, and webtorch has no such type; convert it before saving"
        )
    if (module, name) == ("torch._utils", "_rebuild_tensor_v3") or name == "UntypedStorage":
        raise DTypeError("load(): the file holds a tensor of a type that webtorch has not; convert it before saving")
    raise UnpicklingError(
        f"load(): the file asks for {module}.{name}"[:300] + f", which is no tensor and no plain value. {WHAT_TO_DO}"
    )


KEYS = (str, int, float, bool, bytes, type(None), complex, dtypes.dtype)


def check_key(key: Any) -> None:
    """Keys are plain, so that their hash costs no more than their size: tuples in tuples could take for ever."""
    plain = type(key) in KEYS or type(key) is tuple and all(type(part) in KEYS for part in key)
    expect(plain or type(key).__name__ == "device", f"a key or element of type {type(key).__name__}")


# ---- the machine ----------------------------------------------------------------------------------------------------


class Outside(Exception):
    """Carries an error of what the machine calls through the machine's own."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Machine:
    """Runs one pickle in `data` from `position` on; afterwards `position` is behind it.

    `stored` is called with what a pickle says of a storage and returns a `StoredTensor`. `encoding` is that of the strings
    of Python 2.
    """

    def __init__(
        self, data: bytes, stored: Callable[[tuple], StoredTensor], position: int = 0, encoding: str = "utf-8"
    ) -> None:
        self.data = data
        self.position = position
        self.stored = stored
        self.encoding = encoding
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        # Each call may go through its arguments, and one argument can be referred to by many calls.
        self.budget = 16 * len(data) + 65536

    def run(self) -> Any:
        """The value that the pickle describes. Raises UnpicklingError for any other kind of program."""
        try:
            while True:
                code = self.take(1)
                if code == b".":
                    expect(not self.marks and len(self.stack) >= 1, "a pickle that ends too early")
                    result = self.stack.pop()
                    if isinstance(result, (Known, StorageType, StoredTensor)):
                        raise UnpicklingError("load(): the file holds no value")
                    return result
                instruction = INSTRUCTIONS.get(code)
                if instruction is None:
                    raise UnpicklingError(
                        f"load(): the file is no checkpoint, or is damaged or forged: byte {self.position - 1} of its pickle "
                        f"is {code!r}, an instruction that data does not need"
                    )
                instruction(self)
        except UnpicklingError:
            raise
        except Outside as outside:
            raise outside.error from None
        except (IndexError, KeyError, ValueError, OverflowError, struct.error, AttributeError, TypeError) as error:
            if isinstance(error, DTypeError):  # it names a type that webtorch has not
                raise
            raise UnpicklingError(f"load(): the file is damaged or forged: {error}") from error

    def take(self, count: int) -> bytes:
        expect(0 <= count <= len(self.data) - self.position, f"its pickle ends at byte {len(self.data)}, too early")
        start = self.position
        self.position = start + count
        return self.data[start : start + count]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + 4096)
        expect(end >= 0, "its pickle ends in the middle of a name")
        text = self.take(end + 1 - self.position)[:-1]
        return text.decode("utf-8")

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise UnpicklingError("load(): the file asks for far more work than its size calls for")

    # Instructions

    def pop_mark(self) -> list[Any]:
        items = self.stack
        expect(self.marks, "a mark that is missing")
        self.stack = self.marks.pop()
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def protocol(self) -> None:
        version = self.number("<B")
        expect(2 <= version <= 5, f"a pickle of protocol {version}")

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def tuple_of(self, count: int) -> None:
        expect(len(self.stack) >= count, "a tuple")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.push(items)

    def append(self) -> None:
        value = self.stack.pop()
        target = self.stack[-1]
        expect(type(target) is list, "something that is no list is appended to")
        target.append(value)

    def appends(self) -> None:
        items = self.pop_mark()
        target = self.stack[-1]
        expect(type(target) is list, "something that is no list is appended to")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        expect(
            type(target) in (dict, OrderedDict, Counter) and len(items) % 2 == 0, "something that is no dict gets items"
        )
        for key, value in zip(items[::2], items[1::2], strict=True):
            check_key(key)
            target[key] = value

    def set_item(self) -> None:
        expect(len(self.stack) >= 3, "an item of a dict")
        items = self.stack[-2:]
        del self.stack[-2:]
        self.set_items(items)

    def add_items(self) -> None:
        items = self.pop_mark()
        target = self.stack[-1]
        expect(type(target) is set, "something that is no set gets elements")
        for item in items:
            check_key(item)
            target.add(item)

    def text(self, count: int) -> None:
        self.push(self.take(count).decode("utf-8", "surrogatepass"))

    def old_text(self, count: int) -> None:
        raw = self.take(count)
        self.push(raw if self.encoding == "bytes" else raw.decode(self.encoding))

    def integer(self, count: int) -> None:
        self.push(int.from_bytes(self.take(count), "little", signed=True))

    def call(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if type(function) is not Known:
            raise UnpicklingError(f"load(): the file calls something of type {type(function).__name__}. {WHAT_TO_DO}")
        expect(type(arguments) is tuple, "a call")
        self.spend(1 + sum(len(each) for each in arguments if isinstance(each, (str, bytes, list, tuple, dict))))
        self.stack[-1] = function.call(*arguments)

    def build(self) -> None:
        """Attributes: only state dicts have some, what their modules' versions are."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) not in (OrderedDict, Counter) or type(state) is not dict:
            raise UnpicklingError(f"load(): the file sets the state of a {type(target).__name__}. {WHAT_TO_DO}")
        for name, value in state.items():
            if type(name) is not str or name.startswith("__") or hasattr(OrderedDict, name):
                raise UnpicklingError(f"load(): the file sets the attribute {name!r} of a dict")
            vars(target)[name] = value

    def name_above(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        expect(type(name) is str and type(module) is str, "a name")
        self.push(find(module, name))

    def name_in_lines(self) -> None:
        module = self.line()
        self.push(find(module, self.line()))

    def refer(self) -> None:
        said = self.stack.pop()
        expect(
            type(said) is tuple and len(said) >= 5 and said[0] in ("storage", b"storage"), "a reference to a storage"
        )
        _, kind, key, location, numel = said[:5]
        if isinstance(key, int):  # of files of PyTorch before 0.2
            key = str(key)
        expect(
            type(kind) is StorageType and type(key) is str and type(location) is str and is_count(numel), "a storage"
        )
        try:
            stored = self.stored((kind.dtype, key, location, numel, *said[5:]))
        except UnpicklingError:
            raise
        except Exception as error:  # no fault of the file: a device that is not there, the caller's map_location
            raise Outside(error) from None
        self.push(stored)

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        expect(number in self.memo, "a reference to nothing")
        self.push(self.memo[number])

    def frame(self) -> None:
        expect(self.number("<Q") <= len(self.data) - self.position, "its pickle ends too early")


INSTRUCTIONS: dict[bytes, Callable[[Machine], Any]] = {
    b"\x80": Machine.protocol,
    b"\x95": Machine.frame,
    b"(": Machine.mark,
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.pop_mark(),
    b"2": lambda m: m.push(m.stack[-1]),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.integer(m.number("<B")),
    b"\x8b": lambda m: m.integer(m.number("<i")),
    b"G": lambda m: m.push(m.number(">d")),
    b"X": lambda m: m.text(m.number("<I")),
    b"\x8c": lambda m: m.text(m.number("<B")),
    b"\x8d": lambda m: m.text(m.number("<Q")),
    b"U": lambda m: m.old_text(m.number("<B")),
    b"T": lambda m: m.old_text(m.number("<i")),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"\x96": lambda m: m.push(bytearray(m.take(m.number("<Q")))),
    b"]": lambda m: m.push([]),
    b"}": lambda m: m.push({}),
    b")": lambda m: m.push(()),
    b"\x8f": lambda m: m.push(set()),
    b"a": Machine.append,
    b"e": Machine.appends,
    b"l": lambda m: m.push(m.pop_mark()),
    b"t": lambda m: m.push(tuple(m.pop_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"s": Machine.set_item,
    b"u": lambda m: m.set_items(m.pop_mark()),
    b"\x90": Machine.add_items,
    b"c": Machine.name_in_lines,
    b"\x93": Machine.name_above,
    b"R": Machine.call,
    b"\x81": Machine.call,
    b"b": Machine.build,
    b"Q": Machine.refer,
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"h": lambda m: m.get(m.number("<B")),
    b"j": lambda m: m.get(m.number("<I")),
}
