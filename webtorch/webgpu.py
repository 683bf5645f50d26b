"""Tuning and watching the WebGPU device: batches of recorded work, and memory.

Work is recorded and handed to the GPU in batches, after 64 commands, after 16 ms (looked at when the next command is
recorded), or when a value is read. Nothing here touches a GPU that is not yet in use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from webtorch.backends.wgpu import buffers, submit
from webtorch.devices import realize_pending
from webtorch.reproducible import settings as reproducible_settings

__all__ = [
    "batch",
    "disable_batching",
    "empty_cache",
    "enable_batching",
    "host_fallbacks",
    "is_batching_enabled",
    "is_reproducible",
    "memory_stats",
    "memory_summary",
    "recover",
    "reproducible",
    "reset_peak_memory_stats",
    "set_batch_delay",
    "set_batch_threshold",
    "set_memory_limit",
    "set_reproducible",
    "set_timeout",
    "warmup",
]

Result = TypeVar("Result")


def _device() -> Any:
    from webtorch.backends.wgpu.device import current_device

    return current_device()


def _flush() -> None:
    realize_pending()
    device = _device()
    if device is not None:
        device.flush()


def set_batch_threshold(n: int = 64) -> None:
    """Hand work to the GPU after every ``n`` commands. Small numbers (16) start work sooner, large ones (128 and more)
    cost less per command. Raises ValueError unless ``n`` is at least 1.

    >>> set_batch_threshold(128)
    >>> set_batch_threshold()
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_batch_threshold({n!r}): give the number of commands, an integer of at least 1")
    submit.settings.threshold = n


def set_batch_delay(ms: float = 16) -> None:
    """Hand work to the GPU when the first command of the batch is ``ms`` milliseconds old, looked at when the next
    command is recorded; 0 for never by time. Raises ValueError for a negative number.

    >>> set_batch_delay(33)
    >>> set_batch_delay()
    """
    if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not ms >= 0:
        raise ValueError(f"set_batch_delay({ms!r}): give milliseconds, 0 or more")
    submit.settings.delay = ms / 1000


def enable_batching() -> None:
    """Record work in batches again; the normal state.

    >>> enable_batching()
    >>> is_batching_enabled()
    True
    """
    submit.settings.enabled = True


def disable_batching() -> None:
    """Hand each command to the GPU at once, as an aid to find out which one fails. Pending work is handed over first.

    >>> disable_batching()
    >>> is_batching_enabled()
    False
    >>> enable_batching()
    """
    _flush()
    submit.settings.enabled = False


def is_batching_enabled() -> bool:
    """Whether work is handed to the GPU in batches.

    >>> is_batching_enabled()
    True
    """
    return submit.settings.enabled


def batch(fn: Callable[[], Result]) -> Result:
    """Run ``fn`` and hand all the work it asks for to the GPU as one batch when it ends; returns its result.

    Work asked for before goes first, in its own batch. Reading a value inside ``fn`` still flushes, and so does a batch
    that has more parameters than one can hold. With batching disabled each command is handed over at once all the same.

    >>> batch(lambda: 3)
    3
    """
    _flush()
    submit.settings.held += 1
    try:
        return fn()
    finally:
        try:
            realize_pending()
        finally:
            submit.settings.held -= 1
        _flush()


def memory_stats() -> dict[str, int]:
    """GPU memory now: ``active_bytes`` in use, ``pooled_bytes`` kept for reuse, ``peak_bytes`` the most that was ever
    in use, and ``total_allocations``, how often memory was asked for. All zero before the GPU is first used.

    >>> sorted(memory_stats())
    ['active_bytes', 'peak_bytes', 'pooled_bytes', 'total_allocations']
    """
    device = _device()
    stats = {} if device is None else device.stats()
    return {name: stats.get(name, 0) for name in ("active_bytes", "pooled_bytes", "peak_bytes", "total_allocations")}


def memory_summary() -> str:
    """``memory_stats`` as text, in MB of a million bytes.

    >>> print(memory_summary())  # doctest: +ELLIPSIS
    GPU memory
      active: ... MB
      pooled: ... MB
      peak:   ... MB
      allocations: ...
    """
    stats = memory_stats()
    return (
        "GPU memory\n"
        f"  active: {stats['active_bytes'] / 1e6:.2f} MB\n"
        f"  pooled: {stats['pooled_bytes'] / 1e6:.2f} MB\n"
        f"  peak:   {stats['peak_bytes'] / 1e6:.2f} MB\n"
        f"  allocations: {stats['total_allocations']}"
    )


def empty_cache() -> None:
    """Give memory that no tensor uses back to the driver.

    >>> empty_cache()
    >>> memory_stats()["pooled_bytes"]
    0
    """
    device = _device()
    if device is not None:
        device.empty_cache()


def reset_peak_memory_stats() -> None:
    """Let ``peak_bytes`` start again from what is in use now.

    >>> reset_peak_memory_stats()
    """
    device = _device()
    if device is not None:
        device.reset_peak()


def set_memory_limit(limit: int | None) -> None:
    """Allow at most ``limit`` bytes of GPU memory, in use and pooled together; an allocation beyond it raises
    OutOfMemoryError. None for the default: three quarters of main memory on a software adapter, else what the driver
    gives. Raises ValueError unless ``limit`` is positive.

    >>> set_memory_limit(8 << 30)
    >>> set_memory_limit(None)
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError(f"set_memory_limit({limit!r}): give a number of bytes, or None for the default")
    buffers.settings.limit = limit
    device = _device()
    if device is not None:
        device.apply_memory_limit()


def set_timeout(seconds: float | None) -> None:
    """Let a wait for the GPU take at most ``seconds``; None (the default) for as long as it takes.

    A longer wait raises GPUTimeoutError, a DeviceLostError: the device counts as lost, because a kernel that does not
    end cannot be stopped; `recover` makes a new one. Waits happen when a value is read, at `sync_device`, and after 64
    batches without either. While a timeout is set waiting polls, so that Ctrl-C ends it at once, too. Raises ValueError
    unless ``seconds`` is positive.

    >>> set_timeout(60)
    >>> set_timeout(None)
    """
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf")
    ):
        raise ValueError(f"set_timeout({seconds!r}): give a positive number of seconds, or None for no limit")
    submit.settings.timeout = seconds


def recover() -> None:
    """Make a new device after the old one was lost (DeviceLostError); does nothing while the device is well.

    Tensors on the cpu are as they were. Tensors on the lost device are gone: using one raises DeviceLostError, and so
    does a pending value that needs one. Make them again from data on the cpu, for example a checkpoint. Raises
    DeviceUnavailableError when no adapter gives a new device.

    >>> recover()
    """
    from webtorch import engine
    from webtorch.backends.wgpu.device import get_device, reset_device

    device = _device()
    if device is None or not device.lost:
        return
    with engine._lock:
        engine._recent.clear()  # what was to be computed with the lost tensors
        engine.forget_checks()
        reset_device()
        get_device()


def warmup(fn: Callable[..., Any], *shapes: Any) -> None:
    """Compile what ``fn`` needs on the GPU before it is needed, by calling it with zeros; the results are thrown away.

    ``shapes`` are the shapes of its arguments: each a tuple or a list of ints, an int (one dimension), a pair
    ``(shape, dtype)``, or a tensor, whose shape and dtype are taken. Without a dtype it is the default one. Drivers compile
    a kernel when it first runs and keep it, most of them on disk, so that the next process is warm as well. A function made
    by ``webtorch.compile`` is called twice, and is recorded after that.

    The generators of random numbers are as before afterwards. What else ``fn`` changes (weights, if it takes a step of an
    optimizer) stays changed. Raises TypeError for anything but shapes, DeviceUnavailableError without a GPU, and what
    ``fn`` raises.

    >>> import webtorch
    >>> def distances(points, labels):
    ...     return webtorch.cdist(points, points) * labels
    >>> warmup(distances, (50, 3), ((50,), webtorch.int32))
    """
    from webtorch import random
    from webtorch.compiling import Compiled
    from webtorch.tensor import Tensor
    from webtorch.utils.pytree import tree_flatten

    states = random.get_rng_state()
    compiled = isinstance(getattr(fn, "_compiled", fn), Compiled)
    try:
        for _ in range(2 if compiled else 1):
            arguments = [_zeros(shape) for shape in shapes]
            realize_pending()  # values in memory, as they will be: a kernel that fills with zeros would become a part of others
            results = [leaf for leaf in tree_flatten(fn(*arguments))[0] if isinstance(leaf, Tensor)]
            for result in results:
                result.detach().numpy()  # as who reads it has it computed: without what was made on the way
            realize_pending()
            del results
    finally:
        random.set_rng_state(states)


def _zeros(wanted: Any) -> Any:
    """What `warmup` puts in for the description of an argument."""
    from webtorch import creation
    from webtorch.dtypes import dtype as DType  # noqa: N812
    from webtorch.tensor import Tensor

    dtype = None
    if isinstance(wanted, Tensor):
        wanted, dtype = wanted.shape, wanted.dtype
    elif isinstance(wanted, (tuple, list)) and len(wanted) == 2 and isinstance(wanted[1], DType):
        wanted, dtype = wanted
    shape = (wanted,) if isinstance(wanted, int) and not isinstance(wanted, bool) else wanted
    if not isinstance(shape, (tuple, list)) or any(
        isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in shape
    ):
        raise TypeError(
            f"warmup({wanted!r}): expected the shape of an argument (ints of at least 0), a pair (shape, dtype) or a tensor"
        )
    return creation.zeros(tuple(shape), dtype=dtype, device="webgpu")


def host_fallbacks() -> dict[str, int]:
    """How often each function moved its work from the GPU to the host and back, because only numpy does it sensibly.

    The first such call of each function also warns.

    >>> isinstance(host_fallbacks(), dict)
    True
    """
    from webtorch import host

    return host.fallbacks()


def set_reproducible(mode: bool) -> None:
    """Whether kernels give the same bits on every driver, and not only in every run on one.

    With this on, all float32 arithmetic is spelled out (docs/reproducibility.md says how, and what it costs): products are
    rounded before they are added, divisions and roots are rounded right, sums have one fixed order whatever the adapter,
    denormal numbers are zero, and every NaN is the same NaN. Deterministic algorithms are used as well. float64 is not
    covered and raises DTypeError on webgpu. Pending work is computed first, under the mode that it was recorded in. Raises
    TypeError unless `mode` is a bool.

    >>> set_reproducible(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"set_reproducible({mode!r}): expected a bool, got {type(mode).__name__}")
    if mode != reproducible_settings["on"]:
        if _device() is not None and not _device().lost:
            realize_pending()
        reproducible_settings["on"] = mode


def is_reproducible() -> bool:
    """Whether kernels give the same bits on every driver: see `set_reproducible`.

    >>> is_reproducible()
    False
    """
    return reproducible_settings["on"]


@contextlib.contextmanager
def reproducible(mode: bool = True) -> Iterator[None]:
    """`set_reproducible(mode)` inside a `with` block, and what it was before after it.

    >>> with reproducible():
    ...     is_reproducible()
    True
    """
    before = is_reproducible()
    set_reproducible(mode)
    try:
        yield
    finally:
        set_reproducible(before)
