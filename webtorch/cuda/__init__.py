"""PyTorch's name for what belongs to GPUs: here it is about the GPU that WebGPU drives, whatever its make.

`is_available` says whether there is an `accelerator`: a hardware adapter, or a software one that was asked for. There is one
GPU, number 0, and one queue of work, so streams are in order whatever they are called.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, NamedTuple

from .. import devices, random, webgpu
from ..errors import DeviceUnavailableError, OutOfMemoryError
from ..tensor_types import gpu_types as _gpu_types
from ..webgpu import empty_cache, memory_stats, memory_summary
from . import amp

__all__ = [
    "Event", "OutOfMemoryError", "Stream", "amp", "can_device_access_peer", "current_device", "current_stream",
    "default_stream", "device", "device_count", "empty_cache", "get_arch_list", "get_device_capability", "get_device_name",
    "get_device_properties", "get_rng_state", "get_rng_state_all", "init", "initial_seed", "ipc_collect", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all", "max_memory_allocated", "max_memory_reserved",
    "mem_get_info", "memory_allocated", "memory_reserved", "memory_stats", "memory_summary", "reset_max_memory_allocated",
    "reset_peak_memory_stats", "seed", "seed_all", "set_device", "set_rng_state", "set_rng_state_all", "set_stream", "stream",
    "synchronize",
]  # fmt: skip

globals().update(_gpu_types())  # cuda.FloatTensor and its kin


class Properties(NamedTuple):
    """What is known of the GPU. PyTorch's `major` and `minor` are numbers of CUDA hardware, here 0."""

    name: str
    total_memory: int
    multi_processor_count: int
    major: int
    minor: int


def is_available() -> bool:
    """Whether there is a GPU that a program should use: see `webtorch.devices.accelerator`.

    >>> is_available() in (True, False)
    True
    """
    return devices.accelerator() is not None


def device_count() -> int:
    """One GPU or none.

    >>> device_count() in (0, 1)
    True
    """
    return int(is_available())


def current_device() -> int:
    """The number of the GPU in use: 0. Raises DeviceUnavailableError where there is none."""
    _need("current_device")
    return 0


def set_device(device: Any) -> None:
    """Accepts the one GPU there is. Raises DeviceUnavailableError where there is none, and DeviceError for others.

    >>> set_device(0) if is_available() else None
    """
    _need("set_device", device)


def init() -> None:
    """Get the GPU ready now instead of at its first use."""
    devices.initialize_device(_need("init"))


def is_initialized() -> bool:
    """Whether the GPU is in use.

    >>> is_initialized() in (True, False)
    True
    """
    return webgpu._device() is not None


def get_device_name(device: Any = None) -> str:
    """What the adapter is called. Raises DeviceUnavailableError where there is none."""
    _need("get_device_name", device)
    from ..backends.wgpu.device import choose_adapter

    return choose_adapter()[0].name


def get_device_properties(device: Any = None) -> Properties:
    """The adapter's name, and what memory may be used. WebGPU tells neither the memory of the card nor its processors: the
    first is the limit set by `webtorch.webgpu.set_memory_limit`, else 0, and so is the other."""
    from ..backends.wgpu import buffers

    return Properties(get_device_name(device), buffers.settings.limit or 0, 0, 0, 0)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(0, 0): the version of CUDA hardware, which this is not, so that programs take their plain paths."""
    _need("get_device_capability", device)
    return 0, 0


def get_arch_list() -> list[str]:
    """The kinds of CUDA hardware that kernels were compiled for: none.

    >>> get_arch_list()
    []
    """
    return []


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """False: there is no second GPU.

    >>> can_device_access_peer(0, 1)
    False
    """
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 tensors can be computed with: they can, by arithmetic in float32, so not without emulation.

    >>> is_bf16_supported(including_emulation=False)
    False
    """
    return is_available() and including_emulation


class device(contextlib.AbstractContextManager):  # named as in PyTorch
    """``with cuda.device(0):`` the GPU that is used inside: there is one.

    >>> with device(None):
    ...     pass
    """

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None else _need("device", device).index

    def __exit__(self, *exception: object) -> None:
        return None


def _need(call: str, device: Any = None) -> devices.Device:
    found = devices.accelerator()
    if found is None:
        reason = devices.default_device_reason()[1]
        raise DeviceUnavailableError(
            f"cuda.{call}(): there is no GPU to use ({reason}). Ask cuda.is_available() first; WEBTORCH_DEVICE=webgpu uses a "
            "software adapter all the same"
        )
    if isinstance(device, int):
        devices.Device(found.type, device)  # says that there is one
    elif device is not None:
        name, _, number = str(device).partition(":")
        if name != found.type and name not in devices.OTHER_GPU_NAMES or number not in ("", "0"):
            raise DeviceUnavailableError(f"cuda.{call}({device!r}): the GPU of this machine is {found}, number 0")
    return found


# ---- time -----------------------------------------------------------------------------------------------------------


def synchronize(device: Any = None) -> None:
    """Compute everything that was asked for and wait until it is done.

    >>> synchronize()
    """
    devices.sync_device()


class Stream(contextlib.AbstractContextManager):
    """A name for the GPU's one queue: work runs in the order in which it was asked for, so there is nothing to wait for.

    >>> with stream(Stream()):
    ...     Stream().query()
    True
    """

    def __init__(self, device: Any = None, priority: int = 0, **ignored: Any) -> None:
        self.device = devices.accelerator()
        self.priority = priority

    def __exit__(self, *exception: object) -> None:
        return None

    def synchronize(self) -> None:
        """Wait until all work is done."""
        synchronize()

    def query(self) -> bool:
        """Whether all work is done: after waiting for it, yes."""
        synchronize()
        return True

    def wait_stream(self, stream: Any) -> None:
        """Work asked for later comes later in any case."""

    def wait_event(self, event: Any) -> None:
        """Work asked for later comes later in any case."""

    def record_event(self, event: Event | None = None) -> Event:
        """An event after the work asked for up to now."""
        event = Event() if event is None else event
        event.record(self)
        return event


class Event:
    """A moment after the work that was asked for before `record`. With `enable_timing`, recording waits for that work, so
    that the time between two events is what the work between them took.

    >>> start, end = Event(enable_timing=True), Event(enable_timing=True)
    >>> start.record(), end.record()
    (None, None)
    >>> start.elapsed_time(end) >= 0
    True
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.enable_timing = enable_timing
        self.moment: float | None = None

    def record(self, stream: Any = None) -> None:
        """Mark this moment."""
        if self.enable_timing:
            synchronize()
        self.moment = time.perf_counter()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another. Raises RuntimeError for events without timing or not recorded."""
        if not (self.enable_timing and end_event.enable_timing):
            raise RuntimeError("Event.elapsed_time: both events must be made with enable_timing=True")
        if self.moment is None or end_event.moment is None:
            raise RuntimeError("Event.elapsed_time: both events must be recorded before")
        return (end_event.moment - self.moment) * 1e3

    def synchronize(self) -> None:
        """Wait for the work before this event."""
        synchronize()

    def query(self) -> bool:
        """Whether the work before this event is done: after waiting for it, yes."""
        synchronize()
        return True

    def wait(self, stream: Any = None) -> None:
        """Work asked for later comes later in any case."""


def current_stream(device: Any = None) -> Stream:
    """The one queue.

    >>> type(current_stream()).__name__
    'Stream'
    """
    return Stream()


default_stream = current_stream


def stream(stream: Any) -> contextlib.AbstractContextManager:
    """A block whose work goes into `stream`: the one queue."""
    return contextlib.nullcontext(stream)


def set_stream(stream: Any) -> None:
    """Accepted: there is one queue.

    >>> set_stream(Stream())
    """


# ---- memory ---------------------------------------------------------------------------------------------------------


def memory_allocated(device: Any = None) -> int:
    """Bytes of GPU memory that tensors hold.

    >>> memory_allocated() >= 0
    True
    """
    return memory_stats()["active_bytes"]


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that tensors ever held, since `reset_peak_memory_stats`.

    >>> max_memory_allocated() >= memory_allocated()
    True
    """
    return memory_stats()["peak_bytes"]


def memory_reserved(device: Any = None) -> int:
    """Bytes that tensors hold and that are kept for the next ones.

    >>> memory_reserved() >= memory_allocated()
    True
    """
    stats = memory_stats()
    return stats["active_bytes"] + stats["pooled_bytes"]


def max_memory_reserved(device: Any = None) -> int:
    """At least `max_memory_allocated`: the peak of what was kept for reuse is not counted.

    >>> max_memory_reserved() >= max_memory_allocated()
    True
    """
    return max(max_memory_allocated(), memory_reserved())


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved  # their older names


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let `max_memory_allocated` start again from what is in use now.

    >>> reset_peak_memory_stats()
    """
    webgpu.reset_peak_memory_stats()


reset_max_memory_allocated = reset_peak_memory_stats


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes, where a limit was set with `webtorch.webgpu.set_memory_limit`; WebGPU does not tell how much
    memory a card has, so without one this raises RuntimeError."""
    total = get_device_properties(device).total_memory
    if not total:
        raise RuntimeError(
            "cuda.mem_get_info(): WebGPU does not say how much memory the GPU has; set a limit with "
            "webtorch.webgpu.set_memory_limit(bytes), or use memory_allocated()"
        )
    return max(total - memory_reserved(), 0), total


def ipc_collect() -> None:
    """Accepted: no memory is shared with other processes.

    >>> ipc_collect()
    """


# ---- random numbers: there is one default generator, for all devices --------------------------------------------------


def manual_seed(seed: int) -> None:
    """`webtorch.manual_seed`: the cpu and the GPU draw from one generator, and give the same numbers.

    >>> manual_seed(0)
    """
    random.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seed the generator from the system's entropy."""
    random.seed()


seed_all = seed


def initial_seed() -> int:
    """The seed in use.

    >>> isinstance(initial_seed(), int)
    True
    """
    return random.initial_seed()


def get_rng_state(device: Any = None) -> Any:
    """The state of the default generator.

    >>> set_rng_state(get_rng_state())
    """
    return random.get_rng_state()


def set_rng_state(new_state: Any, device: Any = None) -> None:
    """Put the default generator into a state that `get_rng_state` gave."""
    random.set_rng_state(new_state)


def get_rng_state_all() -> list:
    """The state for each GPU.

    >>> set_rng_state_all(get_rng_state_all())
    """
    return [random.get_rng_state()] * device_count()


def set_rng_state_all(new_states: Any) -> None:
    """Put back what `get_rng_state_all` gave."""
    for state in new_states:
        random.set_rng_state(state)
