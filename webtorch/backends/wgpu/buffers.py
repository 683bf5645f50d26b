"""GPU memory: size classes, a pool that reuses buffers, and an account of every byte.

A dead ``Buffer`` gives its GPU memory back to the pool, from whichever thread the garbage collector ran in. Reuse is
safe in queue order; the one exception, ``queue.write_buffer``, is dealt with in ``device.upload``.
"""

from __future__ import annotations

import itertools
import os
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from webtorch.errors import OutOfMemoryError

GRANULE = 256
"""Every size is a multiple of this: the portable alignment of bindings."""

LINEAR_LIMIT = 4096
"""Up to here sizes go in steps of one granule, beyond in quarter steps between powers of two."""

POOL_LIMIT = 2 << 30
"""Bytes of unused memory that the pool keeps when no smaller limit applies."""


_uids = itertools.count(1)  # of the process, not of the device: memory of a lost device is never taken for another's


class MemorySettings:
    """What ``webtorch.webgpu.set_memory_limit`` set, kept here so that it can be set before there is a device."""

    limit: int | None = None


settings = MemorySettings()


def size_class(nbytes: int) -> int:
    """The number of bytes really allocated for ``nbytes``: a multiple of 256, at most a quarter too much.

    >>> [size_class(n) for n in (1, 256, 257, 4097, 5121, 8193, 1 << 20)]
    [256, 256, 512, 5120, 6144, 10240, 1048576]
    """
    if nbytes <= LINEAR_LIMIT:
        return max(GRANULE, -(-nbytes // GRANULE) * GRANULE)
    step = 1 << ((nbytes - 1).bit_length() - 3)
    return -(-nbytes // step) * step


def readable(nbytes: int) -> str:
    """A byte count for people.

    >>> readable(100), readable(3 << 20)
    ('100 bytes', '3.00 MiB')
    """
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if nbytes >= scale:
            return f"{nbytes / scale:.2f} {unit}"
    return f"{nbytes} bytes"


def physical_memory() -> int | None:
    """The machine's main memory in bytes, or None where Python cannot tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


class Memory:
    """One piece of GPU memory. It outlives the ``Buffer`` that uses it: the pool hands it on to the next."""

    __slots__ = ("bind_groups", "gpu", "handle", "last_batch", "size", "uid")

    def __init__(self, gpu: Any, size: int, uid: int) -> None:
        self.gpu = gpu
        self.handle = gpu._internal
        self.size = size
        self.uid = uid
        self.last_batch = -1
        self.bind_groups: set[tuple] = set()


class Buffer:
    """Memory in use. ``size`` is what is allocated (a multiple of 256), ``nbytes`` what was asked for.

    Whoever holds the object may read, write and bind it; when the last reference goes, the memory returns to the pool.
    """

    __slots__ = ("__weakref__", "_returned", "memory", "nbytes", "offset", "size", "uid")

    whole: Buffer | None = None  # what it is a part of

    def __init__(self, memory: Memory, nbytes: int, returned: deque[Memory]) -> None:
        self.memory = memory
        self.uid = memory.uid
        self.offset = 0  # where in the memory it begins
        self.nbytes = nbytes
        self.size = memory.size
        self._returned = returned

    def __del__(self) -> None:
        # Runs in any thread, also while that thread or another holds any lock: appending to a deque takes none.
        self._returned.append(self.memory)

    def __repr__(self) -> str:
        return f"Buffer(uid={self.uid}, nbytes={self.nbytes}, size={self.size})"


class Part(Buffer):
    """A piece of a buffer, used like one of its own. The memory returns to the pool when no piece is left."""

    __slots__ = ("whole",)  # type: ignore[misc]

    def __init__(self, whole: Buffer, offset: int, nbytes: int) -> None:
        self.whole = whole
        self.memory = whole.memory
        self.uid = whole.uid
        self.offset = offset
        self.nbytes = nbytes
        self.size = padded(nbytes)

    def __del__(self) -> None:
        pass  # the whole buffer does it


def padded(nbytes: int) -> int:
    """The bytes that a piece takes of a buffer.

    >>> padded(1), padded(512)
    (256, 512)
    """
    return -(-nbytes // GRANULE) * GRANULE


class Pool:
    """All memory of one device. Not thread-safe by itself: the device calls it under its lock."""

    def __init__(
        self,
        create: Callable[[int], Any],
        release: Callable[[Memory], None],
        default_limit: int | None,
    ) -> None:
        self._create = create
        self._release = release
        self._default_limit = default_limit
        self._free: dict[int, deque[Memory]] = {}
        self._by_age: OrderedDict[int, Memory] = OrderedDict()  # unused memory, the longest unused first
        self.memories: dict[int, Memory] = {}  # everything that exists, used or not
        self.returned: deque[Memory] = deque()
        self.active_bytes = 0
        self.pooled_bytes = 0
        self.peak_bytes = 0
        self.total_allocations = 0
        self.watch: Callable[[int], None] | None = None  # told of bytes taken (positive) and returned (negative)

    @property
    def limit(self) -> int | None:
        """The byte budget for memory in use and in the pool, None for as much as the driver gives."""
        return settings.limit if settings.limit is not None else self._default_limit

    def collect(self) -> None:
        """Take in what dead buffers returned, and shorten the pool if it grew too long."""
        if not self.returned:
            return
        while self.returned:
            memory = self.returned.popleft()
            self.active_bytes -= memory.size
            self.pooled_bytes += memory.size
            self._free.setdefault(memory.size, deque()).append(memory)
            self._by_age[memory.uid] = memory
            if self.watch is not None:
                self.watch(-memory.size)
        limit = self.limit
        self.shrink(POOL_LIMIT if limit is None else min(POOL_LIMIT, limit // 2))

    def shrink(self, target: int) -> None:
        """Release unused memory, the longest unused first, until at most ``target`` bytes of it are left."""
        while self.pooled_bytes > target and self._by_age:
            _, memory = self._by_age.popitem(last=False)
            same_size = self._free[memory.size]
            same_size.popleft()  # returned in the same order, so it is the first here too
            if not same_size:
                del self._free[memory.size]
            self.pooled_bytes -= memory.size
            del self.memories[memory.uid]
            self._release(memory)

    def reuse(self, size: int, oldest: bool = False) -> Memory | None:
        """Unused memory of exactly this size class, or None. The newest keeps bind groups warm; an upload takes the
        oldest, which is the least likely to be in the open batch."""
        same_size = self._free.get(size)
        if not same_size:
            return None
        memory = same_size.popleft() if oldest else same_size.pop()
        if not same_size:
            del self._free[size]
        del self._by_age[memory.uid]
        self.pooled_bytes -= size
        self._count(size)
        return memory

    def make(self, size: int) -> Memory | None:
        """New memory, or None where the budget (after the pool gave way) or the driver refuses."""
        limit = self.limit
        if limit is not None and self.active_bytes + self.pooled_bytes + size > limit:
            self.shrink(max(0, limit - self.active_bytes - size))
            if self.active_bytes + self.pooled_bytes + size > limit:
                return None
        gpu = self._create(size)
        if gpu is None:
            return None
        memory = Memory(gpu, size, next(_uids))
        self.memories[memory.uid] = memory
        self._count(size)
        return memory

    def _count(self, size: int) -> None:
        self.active_bytes += size
        self.total_allocations += 1
        self.peak_bytes = max(self.peak_bytes, self.active_bytes)
        if self.watch is not None:
            self.watch(size)

    def out_of_memory(self, nbytes: int, size: int, table: str = "") -> OutOfMemoryError:
        """The error for a request that failed even after everything unused was given back; ``table`` says who holds
        the rest."""
        limit = self.limit
        budget = "no limit set" if limit is None else f"limit {readable(limit)}"
        return OutOfMemoryError(
            f"out of GPU memory: {readable(nbytes)} asked for ({size} bytes with padding), "
            f"{readable(self.active_bytes)} in use, {readable(self.pooled_bytes)} unused in the pool, {budget}. "
            "Delete tensors that are no longer needed, use smaller batches, or raise the limit with "
            "webtorch.webgpu.set_memory_limit(bytes).",
            table=table,
        )
