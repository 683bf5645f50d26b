"""Devices: what they are called, which one tensors are made on, and getting one ready.

There are ``cpu`` (numpy), ``webgpu`` (a GPU through WebGPU), ``meta`` (tensors that have a shape and a dtype but no
values), and those that users register. Nothing here touches a GPU before it is asked to.
"""

from __future__ import annotations

import builtins
import os
import sys
import warnings
from contextvars import ContextVar
from types import TracebackType

from webtorch.errors import DeviceError, DeviceUnavailableError

__all__ = [
    "Device",
    "accelerator",
    "accept_gpu_names",
    "default_device_reason",
    "device",
    "get_default_device",
    "gpu",
    "initialize_device",
    "initialize_device_async",
    "is_cpu_only_mode",
    "is_webgpu_available",
    "list_devices",
    "requireWebGPU",
    "require_webgpu",
    "set_default_device",
    "sync_device",
    "sync_device_async",
]

DEVICE_TYPES: set[str] = {"cpu", "meta", "webgpu"}
"""The types that ``device`` accepts; the extension API adds to them."""

OTHER_GPU_NAMES = {"cuda", "mps", "gpu", "xpu", "hip", "vulkan", "metal", "opengl", "xla"}


class device:  # named as in PyTorch
    """A device: its type, and its number where there can be several.

    Accepts a type (``"cpu"``, ``"webgpu"``), a type with its number (``"webgpu:0"``, or ``0`` as second argument), or
    another device. Compares equal to any of its spellings. As a context manager it is the default device inside
    (https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch.device). Raises DeviceError for other names.

    >>> device("webgpu")
    device(type='webgpu', index=0)
    >>> device("webgpu", 0) == "webgpu:0", device("cpu") == "cpu", str(device("cpu"))
    (True, True, 'cpu')
    >>> with device("cpu"):
    ...     get_default_device()
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __new__(cls, type: str | device, index: int | None = None) -> device:
        if isinstance(type, device):
            if index is not None:
                raise DeviceError(f"device({type!r}, {index}): a device has its number already; leave the second out")
            name, index = type.type, type.index
        elif _others_stand_for_gpu and isinstance(type, int) and not isinstance(type, bool):
            name, index = gpu().type, type if index is None else index
        elif isinstance(type, str):
            name, colon, digits = type.partition(":")
            if colon:
                if index is not None or not (digits.isascii() and digits.isdigit()):
                    raise DeviceError(f"device({type!r}): the form is 'type' or 'type:number', as in 'webgpu:0'")
                index = int(digits)
        else:
            raise DeviceError(f"device({type!r}): give a name such as 'cpu' or 'webgpu', or another device")
        if _others_stand_for_gpu and name in OTHER_GPU_NAMES:
            name = gpu().type
        if name not in DEVICE_TYPES:
            known = ", ".join(repr(known) for known in sorted(DEVICE_TYPES))
            if name.lower() in OTHER_GPU_NAMES:
                raise DeviceError(
                    f"device({name!r}): use 'webgpu', which drives the GPU on every system; accept_gpu_names() has "
                    "the names of other GPUs mean it"
                )
            raise DeviceError(f"device({name!r}): the devices are {known}")
        if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
            raise DeviceError(f"device({name!r}, {index!r}): the number must be an integer")
        if name in ("cpu", "webgpu") and index not in (None, 0):
            raise DeviceError(
                f"device('{name}:{index}'): there is one {name} device, number 0"
                + ("; choose among adapters with the environment variable WEBTORCH_ADAPTER" * (name == "webgpu"))
            )
        index = None if name in ("cpu", "meta") else index or 0
        made = _made.get((name, index))
        if made is None:
            made = object.__new__(cls)
            object.__setattr__(made, "type", name)
            object.__setattr__(made, "index", index)
            made = _made.setdefault((name, index), made)
        return made

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a device cannot be changed (setting {name!r}); make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a device cannot be changed (deleting {name!r})")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, str):
            try:
                other = device(other)
            except DeviceError:
                return False
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        # Equal to the hash of the short name, so that a dict keyed by "webgpu" is found with the device too.
        return hash(self.type)

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self) -> tuple:
        return device, (str(self),)

    def __enter__(self) -> device:
        _scopes.set((*_scopes.get(), self))
        return self

    def __exit__(
        self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _scopes.set(_scopes.get()[:-1])


Device = device

_made: dict[tuple[str, int | None], device] = {}  # equal devices are one object, which ops recognise at a glance
_scopes: ContextVar[tuple[device, ...]] = ContextVar("webtorch_default_devices", default=())
_chosen: device | None = None  # by set_default_device
_automatic: tuple[device, str] | None = None  # by the environment or the adapters; with the reason
_others_stand_for_gpu = False  # by accept_gpu_names
_warned_of_cpu = False


def get_default_device() -> device:
    """The device on which tensors are made when none is named.

    In this order: the innermost ``with device(...)`` of this thread or task, ``set_default_device``, the environment
    variable ``WEBTORCH_DEVICE``, webgpu when there is a hardware adapter, cpu.

    >>> with device("cpu"):
    ...     str(get_default_device())
    'cpu'
    """
    scopes = _scopes.get()
    if scopes:
        return scopes[-1]
    if _chosen is not None:
        return _chosen
    return _automatic_device()[0]


def set_default_device(device: str | device | None) -> None:
    """Make tensors on ``device`` from now on, in all threads; None goes back to the automatic choice.

    A ``with device(...)`` block still comes first (https://docs.pytorch.org/docs/stable/generated/torch.set_default_device.html).

    >>> set_default_device("cpu")
    >>> get_default_device()
    device(type='cpu')
    >>> set_default_device(None)
    """
    global _chosen
    _chosen = None if device is None else Device(device)


def default_device_reason() -> tuple[device, str]:
    """The default device and why it is that one.

    >>> with device("cpu"):
    ...     default_device_reason()
    (device(type='cpu'), 'a with device(...) block')
    """
    scopes = _scopes.get()
    if scopes:
        return scopes[-1], "a with device(...) block"
    if _chosen is not None:
        return _chosen, "set_default_device"
    return _automatic_device()


def _automatic_device() -> tuple[device, str]:
    global _automatic
    if _automatic is None:
        _automatic = _choose_automatically()
    return _automatic


def _choose_automatically() -> tuple[device, str]:
    name = os.environ.get("WEBTORCH_DEVICE", "").strip()
    if name:
        try:
            return device(name), f"WEBTORCH_DEVICE={name}"
        except DeviceError as error:
            raise DeviceError(f"the environment variable WEBTORCH_DEVICE={name!r} is not a device: {error}") from None
    from webtorch.backends.wgpu.device import choose_adapter

    try:
        adapter, _ = choose_adapter()
    except DeviceUnavailableError as error:
        return device("cpu"), str(error)
    if adapter.is_software:
        return device("cpu"), f"the only adapter is a software renderer, slower than numpy: {adapter}"
    return device("webgpu"), f"a hardware adapter: {adapter}"


def is_webgpu_available() -> bool:
    """Whether there is any adapter, hardware or software, that ``device("webgpu")`` can use.

    >>> is_webgpu_available() in (True, False)
    True
    """
    from webtorch.backends.wgpu.device import choose_adapter

    try:
        choose_adapter()
    except DeviceUnavailableError:
        return False
    return True


def accelerator() -> device | None:
    """The GPU that a program should use when it asks whether there is one; None where there is none.

    That is webgpu when it was made the default (`set_default_device`, ``WEBTORCH_DEVICE=webgpu``) or there is a hardware
    adapter. A software adapter is slower than numpy and counts only when it was asked for.

    >>> accelerator() in (None, device("webgpu"))
    True
    """
    if _chosen is not None and _chosen.type == "webgpu":
        return _chosen
    chosen = _automatic_device()[0]
    return chosen if chosen.type == "webgpu" else None


def accept_gpu_names(accept: bool = True) -> None:
    """Let "cuda", "mps", "xpu" and the names of other GPUs, and plain numbers, mean the `accelerator` of this machine. Where
    there is none they mean the cpu, with one warning.

    >>> accept_gpu_names()
    >>> device("cuda:0") == (accelerator() or "cpu")
    True
    >>> accept_gpu_names(False)
    """
    global _others_stand_for_gpu
    _others_stand_for_gpu = accept


def gpu(wanted: str | device | int | None = None) -> device:
    """The device that the name of any GPU means: webgpu, or what `accept_gpu_names` says. Another one when it is named.

    >>> gpu(), gpu(0), gpu("cpu")
    (device(type='webgpu', index=0), device(type='webgpu', index=0), device(type='cpu'))
    """
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return device(gpu().type, wanted)
    if wanted is not None:
        return device(wanted)  # type: ignore[arg-type] # a bool is refused there
    if not _others_stand_for_gpu:
        return device("webgpu")
    found = accelerator()
    if found is not None:
        return found
    global _warned_of_cpu
    if not _warned_of_cpu:
        _warned_of_cpu = True
        warnings.warn(
            f"a GPU was asked for by name; the cpu takes its place: {_automatic_device()[1]}. WEBTORCH_DEVICE=webgpu uses a "
            "software adapter all the same",
            RuntimeWarning,
            stacklevel=3,
        )
    return device("cpu")


def is_cpu_only_mode() -> bool:
    """Whether this process computes on the cpu alone: ``WEBTORCH_DEVICE=cpu``, or there is no adapter.

    >>> is_cpu_only_mode() in (True, False)
    True
    """
    if os.environ.get("WEBTORCH_DEVICE", "").strip() == "cpu":
        return True
    return not is_webgpu_available()


def require_webgpu() -> device:
    """The webgpu device; raises DeviceUnavailableError, which says what to install, when there is no adapter.

    >>> require_webgpu() if is_webgpu_available() else device("webgpu")
    device(type='webgpu', index=0)
    """
    from webtorch.backends.wgpu.device import choose_adapter

    choose_adapter()
    return device("webgpu")


requireWebGPU = require_webgpu  # the torch.js name


def list_devices() -> list[device]:
    """The devices of this machine that can be used.

    >>> list_devices()[0]
    device(type='cpu')
    """
    own = sorted(DEVICE_TYPES - {"cpu", "meta", "webgpu"})
    return [device("cpu"), *([device("webgpu")] if is_webgpu_available() else []), *(device(name) for name in own)]


def initialize_device(name: str | device = "webgpu") -> device:
    """Get a device ready now instead of at its first use, which saves the first operation the wait.

    Raises DeviceError for an unknown name and DeviceUnavailableError when the machine does not offer it.

    >>> initialize_device("cpu")
    device(type='cpu')
    """
    wanted = device(name)
    if wanted.type == "webgpu":
        from webtorch.backends.wgpu import get_device

        get_device()
    elif wanted.type not in ("cpu", "meta"):
        from webtorch.registry.devices import initialize

        initialize(wanted.type)
    return wanted


async def initialize_device_async(name: str | device = "webgpu") -> device:
    """``initialize_device`` without holding up the event loop.

    >>> import asyncio
    >>> asyncio.run(initialize_device_async("cpu"))
    device(type='cpu')
    """
    import asyncio  # not before it is used: it is slow to import

    return await asyncio.to_thread(initialize_device, name)


def sync_device(name: str | device | None = None) -> None:
    """Compute everything that was asked for on a device (the default: all devices) and wait until it is done.

    What kernels found on the way, such as an index out of range, is raised here at the latest.

    >>> sync_device("cpu")
    """
    wanted = None if name is None else device(name).type
    if wanted in ("cpu", "meta"):
        return
    elsewhere = sys.modules.get("webtorch.elsewhere")
    if elsewhere is not None and wanted != "webgpu":
        elsewhere.synchronize(wanted)
        if wanted is not None:
            return
    realize_pending()
    backend = sys.modules.get("webtorch.backends.wgpu.device")
    current = backend.current_device() if backend is not None else None
    if current is None:
        return
    engine = sys.modules.get("webtorch.engine")
    if engine is not None:
        engine.synchronize()
    else:
        current.sync()


async def sync_device_async(name: str | device | None = None) -> None:
    """``sync_device`` without holding up the event loop.

    >>> import asyncio
    >>> asyncio.run(sync_device_async("cpu"))
    """
    import asyncio

    await asyncio.to_thread(sync_device, name)


def realize_pending() -> None:
    """Let the engine, if it is loaded, record all tensors that are still to be computed."""
    engine = sys.modules.get("webtorch.engine")
    if engine is not None:
        engine.realize_pending()
