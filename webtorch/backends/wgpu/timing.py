"""How long each kernel runs on the GPU: timestamps recorded with the batches, read when they are asked for.

Where the adapter can write timestamps inside a pass the batches stay as they are; where it can write them only around
a pass, each kernel gets a pass of its own; where it has none, each kernel is waited for and wall time is taken. While
no `Timer` is set on the submitter nothing of this runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

CAPACITY = 1024
"""Kernels that one batch can time; a longer one is flushed earlier. A query set holds at most 4096 timestamps."""

BATCHES_KEPT = 256
"""Batches whose timestamps stay on the GPU before they are read, which waits for them."""


@dataclass
class KernelTime:
    """When one kernel, or copy, ran: nanoseconds of ``time.perf_counter_ns``. ``recorded`` is when it was recorded.

    ``start`` and ``end`` are 0 until ``Timer.collect`` filled them in.
    """

    label: str
    recorded: int
    start: int = 0
    end: int = 0


class Timer:
    """Times the kernels that one ``Submitter`` records. Called under the device's lock.

    ``how`` is "timestamps", "timestamps around passes" or "wall time".
    """

    def __init__(self, submitter: Any, features: frozenset[str], how: str | None = None) -> None:
        self.submitter = submitter
        if how is None:
            if "timestamp-query-inside-passes" in features:
                how = "timestamps"
            elif "timestamp-query" in features:
                how = "timestamps around passes"
            else:
                how = "wall time"
        self.how = how
        self.times_copies = how == "timestamps" and "timestamp-query-inside-encoders" in features
        self.times: list[KernelTime] = []  # of finished batches, in order
        self.last: KernelTime | None = None  # the latest recorded
        self._open: list[KernelTime] = []  # of the open batch
        self._resolved: Any = None  # the read-back buffer of the open batch, once its encoder copies to it
        self._waiting: list[tuple[Any, list[KernelTime], int]] = []  # submitted: buffer, kernels, time of the submit
        self._queries: Any = None
        self._clock: int | None = None  # what to add to the GPU's nanoseconds to have perf_counter_ns
        if how != "wall time":
            self._make_queries()

    def _make_queries(self) -> None:
        from wgpu.backends.wgpu_native import lib

        gpu = self.submitter.gpu
        self._period = float(lib.wgpuQueueGetTimestampPeriod(gpu.queue._internal)) or 1.0
        self._queries = gpu.create_query_set(type="timestamp", count=2 * CAPACITY)
        self._target = gpu.create_buffer(size=16 * CAPACITY, usage="QUERY_RESOLVE|COPY_SRC")

    # Called by the submitter while it records

    def prepare(self) -> None:
        """Before anything of a dispatch is recorded: make room for its timestamps."""
        if self.how == "wall time":
            self.submitter.flush()
            self.submitter.wait()
        elif len(self._open) >= CAPACITY:
            self.submitter.flush()
        elif self.how == "timestamps around passes":
            self.submitter._end_pass()

    def pass_writes(self) -> dict | None:
        """What a new pass must write at its ends."""
        if self.how != "timestamps around passes":
            return None
        index = 2 * len(self._open)
        return {
            "query_set": self._queries,
            "beginning_of_pass_write_index": index,
            "end_of_pass_write_index": index + 1,
        }

    def begin(self, label: str, encoder: Any) -> None:
        """Right before a kernel or copy is recorded in ``encoder`` (a pass for a kernel)."""
        self.last = KernelTime(label, time.perf_counter_ns())
        if self.how == "timestamps":
            encoder._write_timestamp(self._queries, 2 * len(self._open))

    def end(self, encoder: Any) -> None:
        """Right after it."""
        assert self.last is not None
        if self.how == "timestamps":
            encoder._write_timestamp(self._queries, 2 * len(self._open) + 1)
        self._open.append(self.last)
        if self.how == "wall time":
            self.last.start = time.perf_counter_ns()
            self.submitter.flush()
            self.submitter.wait()
            self.last.end = time.perf_counter_ns()

    def resolve(self, encoder: Any) -> None:
        """At the end of a batch: have its timestamps copied to where they can be read."""
        if self.how == "wall time" or not self._open or self._resolved is not None:
            return
        count = 2 * len(self._open)
        buffer = self.submitter.gpu.create_buffer(size=8 * count, usage="MAP_READ|COPY_DST")
        encoder.resolve_query_set(self._queries, 0, count, self._target, 0)
        encoder.copy_buffer_to_buffer(self._target, 0, buffer, 0, 8 * count)
        self._resolved = buffer

    def submitting(self) -> None:
        """Right before the batch is handed over."""
        if not self._open:
            return
        if self.how == "wall time":
            self.times += self._open
        else:
            self._waiting.append((self._resolved, self._open, time.perf_counter_ns()))
        self._open, self._resolved = [], None

    def submitted(self) -> None:
        """After it."""
        if len(self._waiting) > BATCHES_KEPT:
            self.collect()

    def discard(self) -> None:
        """The open batch was given up."""
        self._open, self._resolved = [], None

    # Called by whoever wants the times

    def collect(self) -> list[KernelTime]:
        """The times of everything submitted so far; waits for it."""
        waiting, self._waiting = self._waiting, []
        read = []
        for buffer, kernels, submitted in waiting:
            raw = np.empty(16 * len(kernels), np.uint8)
            self.submitter._read_mapped(buffer, buffer._internal, 0, raw)
            ticks = raw.view(np.uint64).astype(np.float64) if self._period != 1.0 else raw.view(np.uint64)
            stamps = [int(tick * self._period) if self._period != 1.0 else int(tick) for tick in ticks]
            read.append((kernels, stamps, submitted))
            # The GPU's clock has its own zero. Nothing runs before it is handed over: the smallest shift for which
            # that is true of all batches is off by no more than the shortest time from a submit to its start.
            shift = submitted - min(stamps[0::2])
            if self._clock is None or shift > self._clock:
                self._clock = shift
        for kernels, stamps, _ in read:
            for number, kernel in enumerate(kernels):
                kernel.start = stamps[2 * number] + (self._clock or 0)
                kernel.end = max(kernel.start, stamps[2 * number + 1] + (self._clock or 0))
            self.times += kernels
        return self.times
