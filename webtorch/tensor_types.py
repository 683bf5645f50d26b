"""The older names of tensors by their dtype, `FloatTensor` and its kin, which make tensors and can be tested for; memory
formats and layouts; and `Variable`, which a tensor has been for long."""

from __future__ import annotations

import math
from typing import Any

from . import creation, devices, dtypes
from .creation import TYPE_NAMES
from .dtypes import dtype as DType
from .tensor import Tensor

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
newaxis = None


class memory_format:  # named as in PyTorch
    """An order of the dimensions in memory. All tensors made here are row-major; the others are accepted and change
    nothing but strides, on which no result depends.

    >>> import webtorch
    >>> webtorch.zeros(1, 2, 3, 4).to(memory_format=webtorch.channels_last).shape
    webtorch.Size([1, 2, 3, 4])
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"webtorch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")


class layout(str):  # named as in PyTorch
    """How the elements of a tensor lie in memory: all are strided.

    >>> import webtorch
    >>> isinstance(webtorch.strided, webtorch.layout)
    True
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


strided = layout("webtorch.strided")


class TensorType(type):
    """The class of `FloatTensor` and its kin: calling one makes a tensor of its dtype, `isinstance` looks at the dtype."""

    dtype: DType
    gpu: bool

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        where = devices.gpu() if cls.gpu and device is None else device
        if not args:
            return creation.empty(0, dtype=cls.dtype, device=where)
        if all(isinstance(argument, int) for argument in args):
            return creation.empty(*args, dtype=cls.dtype, device=where)
        if len(args) == 1 and isinstance(args[0], Tensor):
            if args[0].dtype != cls.dtype:
                raise TypeError(
                    f"{cls.__name__}(tensor): expected {cls.dtype}, got {args[0].dtype}; use tensor.to(dtype)"
                )
            return args[0].detach()
        if len(args) == 1 and type(args[0]).__name__ == "Size":
            return creation.empty(args[0], dtype=cls.dtype, device=where)
        if len(args) == 1:
            return creation.tensor(args[0], dtype=cls.dtype, device=where)
        raise TypeError(f"{cls.__name__}{args!r}: give one sequence of numbers, or sizes")

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype == cls.dtype and (not cls.gpu or value.device.type != "cpu")

    def __repr__(cls) -> str:
        return f"<class 'webtorch.{'cuda.' if cls.gpu else ''}{cls.__name__}'>"


def _types(gpu: bool) -> dict[str, TensorType]:
    made = {}
    for name, kind in TYPE_NAMES.items():
        place = "the GPU" if gpu else "the default device"
        about = (
            f"{kind}(sizes) or {kind}(data) makes a {name} tensor on {place}; isinstance(x, {kind}) looks at its dtype."
        )
        fields = {"dtype": dtypes.as_dtype(name), "gpu": gpu, "__doc__": about, "__module__": __name__}
        made[kind] = TensorType(kind, (), fields)
    return made


def gpu_types() -> dict[str, TensorType]:
    """The types of `webtorch.cuda`: their tensors are made on the GPU.

    >>> sorted(gpu_types())[:2]
    ['BFloat16Tensor', 'BoolTensor']
    """
    return _types(gpu=True)


FUNCTIONS = _types(gpu=False)
globals().update(FUNCTIONS)


class _VariableType(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor)

    def __call__(cls, data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        made = data.detach()
        return made.requires_grad_(True) if requires_grad else made


class Variable(metaclass=_VariableType):
    """The older name of a tensor with a gradient: gives the tensor itself, detached, with `requires_grad` as said.

    >>> import webtorch
    >>> isinstance(Variable(webtorch.ones(1), requires_grad=True), webtorch.Tensor)
    True
    """


def set_flush_denormal(mode: bool) -> bool:
    """False: numpy keeps denormal numbers and cannot be told otherwise.

    >>> set_flush_denormal(True)
    False
    """
    return False


def is_storage(obj: Any) -> bool:
    """Whether an object is the memory behind tensors, `Tensor.untyped_storage()`.

    >>> is_storage(1)
    False
    """
    from .graph import Storage
    from .memory import UntypedStorage

    return isinstance(obj, (Storage, UntypedStorage))


def typename(obj: Any) -> str:
    """The name of a tensor's type, or of an object's class with its module.

    >>> import webtorch
    >>> webtorch.typename(webtorch.ones(1)), webtorch.typename(1)
    ('webtorch.FloatTensor', 'int')
    """
    if isinstance(obj, Tensor):
        return getattr(obj, "type")()  # noqa: B009 (attached by creation)
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def compiled_with_cxx11_abi() -> bool:
    """True, as every PyTorch of today says.

    >>> compiled_with_cxx11_abi()
    True
    """
    return True


# ---- methods that are about devices and memory -----------------------------------------------------------------------


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """The tensor on the GPU, whatever its make."""
    return self.to(devices.gpu(device))


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: WebGPU copies from any memory."""
    return self


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """False: see `pin_memory`."""
    return False


def share_memory_(self: Tensor) -> Tensor:
    """The tensor itself; other processes get a copy of it."""
    return self


def is_shared(self: Tensor) -> bool:
    """False: see `share_memory_`."""
    return False


def record_stream(self: Tensor, stream: Any) -> None:
    """Accepted: there is one queue of work."""


def new(self: Tensor, *args: Any) -> Tensor:
    """A tensor of the same dtype and device from sizes or data; its elements are not those of this one."""
    if not args:
        return creation.empty(0, dtype=self.dtype, device=self.device)
    if all(isinstance(argument, int) for argument in args):
        return creation.empty(*args, dtype=self.dtype, device=self.device)
    if type(args[0]).__name__ == "Size":
        return creation.empty(args[0], dtype=self.dtype, device=self.device)
    return creation.tensor(args[0], dtype=self.dtype, device=self.device)


def to_dense(self: Tensor, *args: Any, **given: Any) -> Tensor:
    """The tensor itself: sparse tensors are held as dense ones, see `webtorch.sparse`."""
    return self


for _name in ("to_sparse", "to_sparse_coo", "to_sparse_csr", "to_dense", "coalesce"):
    setattr(Tensor, _name, to_dense)
for _method in (cuda, pin_memory, is_pinned, share_memory_, is_shared, record_stream, new):
    setattr(Tensor, _method.__name__, _method)
for _name in (
    "is_mps",
    "is_xpu",
    "is_quantized",
    "is_mkldnn",
    "is_nested",
    "is_sparse_csr",
    "is_ipu",
    "is_xla",
    "is_vulkan",
):
    setattr(Tensor, _name, False)

__all__ = [
    *FUNCTIONS, "Variable", "channels_last", "channels_last_3d", "compiled_with_cxx11_abi", "contiguous_format", "e", "inf",
    "is_storage", "layout", "memory_format", "nan", "newaxis", "pi", "preserve_format", "set_flush_denormal", "strided",
    "typename",
]  # fmt: skip
