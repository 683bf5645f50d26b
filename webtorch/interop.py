"""Tensors of other libraries: DLPack through the cpu, PyTorch's tensors where PyTorch is installed, and `einops`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import creation, dtypes, graph
from .devices import device as Device
from .errors import DTypeError
from .tensor import Tensor

__all__ = ["from_dlpack", "from_torch", "to_dlpack"]

CPU = (1, 0)  # DLPack's name of the host


# ---- DLPack ---------------------------------------------------------------------------------------------------------


def dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of the values on the host: the memory itself on cpu, a copy from a GPU.

    Raises BufferError for `copy=False` on a GPU, for a tensor that requires grad, for bfloat16, which numpy cannot hand
    over, and for a wish to have the values on another device than the cpu.
    """
    if self.requires_grad:
        raise BufferError("__dlpack__: can't export a tensor that requires grad; use tensor.detach()")
    if stream not in (None, -1):
        raise BufferError(f"__dlpack__(stream={stream!r}): memory on the host belongs to no stream; leave it out")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise BufferError(f"__dlpack__(dl_device={dl_device}): webtorch exports to the cpu only, which is {CPU}")
    if copy is False and self.device.type != "cpu":
        raise BufferError(
            f"__dlpack__(copy=False): a {self.device.type} tensor can only be exported as a copy on the cpu; leave copy out"
        )
    if self.dtype is dtypes.bfloat16:
        raise BufferError("__dlpack__: bfloat16 cannot be exported; use tensor.float(), or to_torch() for PyTorch")
    array = self.detach().numpy()
    if copy and self.device.type == "cpu":
        array = array.copy()
    if max_version is None:
        return array.__dlpack__()
    return array.__dlpack__(max_version=max_version, **({} if copy is None else {"copy": False}))


def dlpack_device(self: Tensor) -> tuple[int, int]:
    """Where `__dlpack__` hands values over: the cpu, (1, 0)."""
    return CPU


class Capsule:
    """A bare DLPack capsule, which may be taken once, as numpy wants it."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU


def from_dlpack(x: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of the values of an array of any library that speaks DLPack, or of a capsule.

    On the cpu (unless `device` says otherwise) the memory is shared, with `copy=True` it is copied; for `device="webgpu"` it
    always is. Raises BufferError where `copy=False` cannot be had or the array does not lie on the host, DTypeError for a
    dtype webtorch has not, TypeError for what speaks no DLPack.

    >>> array = np.zeros(2, np.float32)
    >>> x = webtorch.from_dlpack(array)
    >>> array[0] = 5
    >>> x
    tensor([5., 0.])
    """
    where = None if device is None else Device(device)
    if isinstance(x, Tensor):
        made = x.detach()
    elif is_pytorch(x):
        if x.requires_grad:
            raise BufferError(
                "from_dlpack(): a tensor of PyTorch that requires grad; use tensor.detach(), or webtorch.from_torch"
            )
        made = from_torch(x)
        if copy is False and x.device.type != "cpu":
            raise BufferError(f"from_dlpack(copy=False): the tensor lies on {x.device}; leave copy out")
    else:
        made = creation.from_numpy(as_numpy(x, copy))
    target = made.device if where is None else where
    if copy is False and target != made.device:
        raise BufferError(f"from_dlpack(device={target}, copy=False): moving from {made.device} to {target} is a copy")
    if target != made.device:
        return made.to(target)
    return made.clone() if copy else made


def as_numpy(x: Any, copy: bool | None) -> np.ndarray:
    """What speaks DLPack as a numpy array that shares its memory."""
    if type(x).__name__ == "PyCapsule":
        x = Capsule(x)
    if not hasattr(x, "__dlpack__"):
        raise TypeError(
            f"from_dlpack({type(x).__name__}): expected an array with a __dlpack__ method, or a capsule; webtorch.tensor(...) "
            "makes tensors of other things"
        )
    try:
        array = np.from_dlpack(x)
    except (RuntimeError, ValueError, BufferError) as error:
        if isinstance(x, np.ndarray) and not x.flags.writeable:  # numpy hands nothing over that may not be written to
            array = x
        else:
            raise BufferError(f"from_dlpack({type(x).__name__}): {error}") from error
    if copy is False and not array.flags.writeable:
        raise BufferError(
            f"from_dlpack({type(x).__name__}, copy=False): the array may not be written to; leave copy out"
        )
    return array


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of a tensor's values on the host, for libraries that take capsules.

    >>> capsule = webtorch.to_dlpack(webtorch.ones(2))
    >>> webtorch.from_dlpack(capsule)
    tensor([1., 1.])
    """
    return tensor.__dlpack__()


# ---- PyTorch --------------------------------------------------------------------------------------------------------


def is_pytorch(x: Any) -> bool:
    """Whether `x` is a tensor of PyTorch's, found out without importing it."""
    return any(kind.__module__.partition(".")[0] == "torch" and kind.__name__ == "Tensor" for kind in type(x).__mro__)


def from_torch(tensor: Any, device: Any = None) -> Tensor:
    """A tensor of PyTorch's as one of webtorch's, without its history; on the cpu they share memory.

    All dtypes that both have, any strides; from PyTorch's GPU the values are copied to the cpu first. `device` moves the
    result. Raises TypeError for what is no tensor of PyTorch's, DTypeError for a dtype webtorch has not and for sparse and
    quantized tensors.

    >>> state = {"weight": np.ones((2, 2))}  # or a state dict of PyTorch: its tensors are converted with from_torch
    >>> {name: webtorch.from_torch(x) if webtorch.interop.is_pytorch(x) else x.shape for name, x in state.items()}
    {'weight': (2, 2)}
    """
    if not is_pytorch(tensor):
        raise TypeError(
            f"from_torch({type(tensor).__name__}): expected a torch.Tensor; webtorch.tensor(...) takes other data"
        )
    name = str(tensor.dtype).removeprefix("torch.")
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        raise DTypeError(f"from_torch(): a tensor of layout {tensor.layout} and dtype {name}; make it dense first")
    if name not in [each.name for each in dtypes.ALL]:
        raise DTypeError(
            f"from_torch(): webtorch has no dtype {name}; convert the tensor first, for example with .float()"
        )
    plain = tensor.detach()
    if plain.device.type == "meta":
        made = creation.empty(tuple(plain.shape), dtype=dtypes.as_dtype(name), device="meta")
    else:
        plain = plain.cpu().resolve_conj().resolve_neg()
        if name == "bfloat16":  # which numpy has not: its bits are taken
            module = sys.modules[type(plain).__module__.partition(".")[0]]
            made = creation.from_numpy(plain.view(module.int16).numpy())
            node = made._storage.node
            storage = graph.Storage(graph.data(node.buffer.view(np.uint16), node.shape, dtypes.bfloat16, node.device))
            from .tensor import view_of

            made = view_of(storage, made._shape, made._strides, made._offset)
        else:
            made = creation.from_numpy(plain.numpy())
    return made if device is None else made.to(Device(device))


def to_torch(self: Tensor) -> Any:
    """This tensor as one of PyTorch's on the cpu, without its history; from the cpu they share memory.

    Raises ImportError where PyTorch is not installed.
    """
    torch = pytorch()
    self._check_readable("calling .to_torch() on a Tensor")
    if self.is_meta:
        return torch.empty(tuple(self._shape), dtype=getattr(torch, self.dtype.name), device="meta")
    memory = self.detach()._memory()
    if any(stride < 0 for stride in memory.strides) or not memory.flags.writeable:
        memory = memory.copy()
    if self.dtype is dtypes.bfloat16:
        return torch.from_numpy(memory.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(memory)


def pytorch() -> Any:
    """The module of PyTorch, and not one that only goes by its name."""
    try:
        import torch
    except ImportError:
        torch = None
    if torch is None or getattr(torch, "Tensor", Tensor) is Tensor:
        raise ImportError("to_torch(): PyTorch is not installed; numpy arrays (tensor.numpy()) need nothing else")
    return torch


Tensor.__dlpack__ = dlpack  # type: ignore[attr-defined]
Tensor.__dlpack_device__ = dlpack_device  # type: ignore[attr-defined]
Tensor.to_torch = to_torch  # type: ignore[attr-defined]
