"""The open batch: dispatches and copies are recorded in one encoder and submitted together.

Nothing runs on the GPU until the batch is flushed: when it is long enough, old enough, when a value is read, or on
request. One compute pass holds all dispatches between two copies; WebGPU orders them and makes each one's writes
visible to the next. Parameters travel as immediates; where an adapter has none, or a kernel has too many, those of all
dispatches of a batch lie in one uniform buffer, written once at the flush.

The calls per dispatch go straight to the native library (a fifth of the time of wgpu-py's methods); they report
errors when the encoder finishes, which goes through wgpu-py and raises. ``RawCalls`` tests at start that the native
functions have the expected signatures, and ``raw = None`` makes the same calls through wgpu-py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from typing import Any, NoReturn

import numpy as np

from webtorch.backends.wgpu.buffers import Buffer, Memory
from webtorch.backends.wgpu.pipelines import PARAMS_CLASSES, Layout, Pipeline
from webtorch.backends.wgpu.timing import Timer
from webtorch.errors import DeviceError, DeviceLostError, GPUTimeoutError
from webtorch.interrupts import held_back

RING_SIZE = 1 << 18
"""Bytes of parameters that one batch can hold; a batch that needs more is flushed earlier."""

BIND_GROUP_LIMIT = 8192
"""Bind groups kept; the oldest are dropped first."""

STAGING_LIMIT = 64 << 20
"""Uploads and reads that pass through a staging buffer go in pieces of at most this many bytes."""

SUBMITS_IN_FLIGHT = 64
"""After this many submits without a wait, wait: it bounds what the driver has to remember."""


LOST_HELP = (
    "Tensors on it are gone, tensors on the cpu are not: call webtorch.webgpu.recover() (or reset_device() of the "
    "backend), then make the lost ones again, for example from a checkpoint."
)
"""What to do after the loss of the device; the end of every DeviceLostError."""


class BatchSettings:
    """What ``webtorch.webgpu`` sets about batching; kept here so that it can be set before there is a device."""

    enabled: bool = True
    threshold: int = 64
    delay: float = 0.016
    held: int = 0  # depth of ``batch(fn)`` calls, in which only a read or the end flushes
    timeout: float | None = None  # seconds that a wait for the GPU may take


settings = BatchSettings()


class RawCalls:
    """The native functions behind wgpu-py that are called per dispatch, per bind group and per read."""

    SIGNATURES = {
        "wgpuComputePassEncoderSetPipeline": "void(*)(WGPUComputePassEncoderImpl *, WGPUComputePipelineImpl *)",
        "wgpuComputePassEncoderSetBindGroup": "void(*)(WGPUComputePassEncoderImpl *, uint32_t, "
        "WGPUBindGroupImpl *, size_t, uint32_t *)",
        "wgpuComputePassEncoderSetImmediates": "void(*)(WGPUComputePassEncoderImpl *, uint32_t, void *, size_t)",
        "wgpuComputePassEncoderDispatchWorkgroups": "void(*)(WGPUComputePassEncoderImpl *, "
        "uint32_t, uint32_t, uint32_t)",
        "wgpuDeviceCreateBindGroup": "WGPUBindGroupImpl *(*)(WGPUDeviceImpl *, WGPUBindGroupDescriptor *)",
        "wgpuBindGroupRelease": "void(*)(WGPUBindGroupImpl *)",
        "wgpuBufferMapAsync": "WGPUFuture(*)(WGPUBufferImpl *, uint64_t, size_t, size_t, WGPUBufferMapCallbackInfo)",
        "wgpuBufferGetConstMappedRange": "void *(*)(WGPUBufferImpl *, size_t, size_t)",
        "wgpuBufferUnmap": "void(*)(WGPUBufferImpl *)",
        "wgpuDevicePoll": "uint32_t(*)(WGPUDeviceImpl *, uint32_t, uint64_t *)",
        "wgpuQueueOnSubmittedWorkDone": "WGPUFuture(*)(WGPUQueueImpl *, WGPUQueueWorkDoneCallbackInfo)",
    }

    def __init__(self) -> None:
        from wgpu.backends.wgpu_native import ffi, lib
        from wgpu.backends.wgpu_native._api import libf

        for name, expected in self.SIGNATURES.items():
            found = ffi.typeof(getattr(lib, name)).cname.replace("struct ", "")  # cffi may name either
            if found != expected:
                raise RuntimeError(f"{name} is {found}, not {expected}")
        self.ffi = ffi
        self.set_pipeline = lib.wgpuComputePassEncoderSetPipeline
        self.set_bind_group = lib.wgpuComputePassEncoderSetBindGroup
        self.set_immediates = lib.wgpuComputePassEncoderSetImmediates
        self.dispatch = lib.wgpuComputePassEncoderDispatchWorkgroups
        # The form that raises: an error here is not repeated when the encoder finishes.
        self.create_bind_group = libf.wgpuDeviceCreateBindGroup
        self.release_bind_group = lib.wgpuBindGroupRelease
        self.map_buffer = libf.wgpuBufferMapAsync
        self.mapped_range = lib.wgpuBufferGetConstMappedRange
        self.unmap = lib.wgpuBufferUnmap
        self.poll = lib.wgpuDevicePoll
        self.null = ffi.NULL
        self.pointer = ffi.from_buffer
        self.offset = ffi.new("uint32_t[1]")
        self.map_status: list[int] = []
        self.map_problem: list[BaseException] = []
        self._callback = ffi.callback(
            "void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)",
            lambda status, message, first, second: self.map_status.append(status),
            # An interrupt that lands inside the callback would otherwise be printed and lost.
            onerror=lambda kind, problem, trace: self.map_problem.append(problem),
        )
        self.map_info = ffi.new("WGPUBufferMapCallbackInfo *")
        self.map_info.mode = lib.WGPUCallbackMode_AllowProcessEvents
        self.map_info.callback = self._callback
        self.map_success = lib.WGPUMapAsyncStatus_Success
        self.map_read = lib.WGPUMapMode_Read
        self.on_done = libf.wgpuQueueOnSubmittedWorkDone
        self.waits = 0  # waits begun
        self.waits_done = 0  # the latest wait whose work is done
        self._done_callback = ffi.callback("void(WGPUQueueWorkDoneStatus, WGPUStringView, void *, void *)", self._done)
        self.done_info = ffi.new("WGPUQueueWorkDoneCallbackInfo *")
        self.done_info.mode = lib.WGPUCallbackMode_AllowProcessEvents
        self.done_info.callback = self._done_callback

    def _done(self, status: int, message: Any, number: Any, unused: Any) -> None:
        self.waits_done = max(self.waits_done, int(self.ffi.cast("uintptr_t", number)))


class BindGroup:
    """A bind group and the memory it names. ``batch`` is the last batch whose use was noted on that memory."""

    __slots__ = ("batch", "gpu", "handle", "memories")

    def __init__(self, gpu: Any, handle: Any, memories: list[Memory]) -> None:
        self.gpu = gpu  # wgpu-py's object, or None when made by a native call: then ``handle`` is ours to release
        self.handle = handle
        self.memories = memories
        self.batch = -1


class Submitter:
    """Records and submits for one device. Every method is called under the device's lock."""

    def __init__(self, gpu_device: Any, limits: Any, raw: RawCalls | None, mappable: bool) -> None:
        self.gpu = gpu_device
        self.queue = gpu_device.queue
        self.limits = limits
        self.raw = raw
        self.mappable = mappable  # storage buffers can be mapped for reading
        self.batch = 0  # number of the open batch
        self.commands = 0  # recorded in it
        self.submits = 0
        self.dispatches = 0
        self.lost = False
        self.timed_out = False  # lost, and the GPU may still be busy: not even releasing things is safe
        self.memories: Container[int] = ()  # the uids of the device's memory, set by the device
        self.timer: Timer | None = None  # set by ``device.start_timing``
        self._encoder: Any = None
        self._pass: Any = None
        self._pass_handle: Any = None
        self._finished: Any = None  # the command buffer, between finishing the encoder and submitting
        self._pipeline: Pipeline | None = None  # the one set in the open pass
        self._last_label = ""
        self._first_time = 0.0
        self._written_bytes = 0  # by write_buffer since the last submit
        self._submits_since_wait = 0
        self._mapped: Any = None  # native handle of a mapped buffer, only during a read
        self._bind_groups: dict[tuple, BindGroup] = {}
        self._alignment = max(limits.uniform_offset_alignment, 16)
        self._params = bytearray(RING_SIZE)
        self._params_view = memoryview(self._params)
        self._params_used = 0
        # A binding always spans its size class, so the last one may reach beyond the last parameters.
        usage = "UNIFORM|COPY_DST"
        self._ring = gpu_device.create_buffer(label="parameters", size=RING_SIZE + PARAMS_CLASSES[-1], usage=usage)
        self._staging: Any = None

    # Recording

    def dispatch(
        self, pipeline: Pipeline, bindings: list[tuple[Buffer, int, int]], params: bytes, workgroups: int
    ) -> None:
        """Record one kernel; it may flush, before or after."""
        if workgroups <= 0:
            if workgroups < 0:
                raise DeviceError(f"kernel {pipeline.label!r}: dispatch of {workgroups} workgroups")
            return
        length = len(params)
        if length > pipeline.params_size:
            raise DeviceError(
                f"kernel {pipeline.label!r}: {length} bytes of parameters, declared with {pipeline.params_size}"
            )
        layout = pipeline.layout
        key_parts: list[int] = [layout.uid]
        for buffer, offset, size in bindings:
            key_parts += (buffer.uid, buffer.offset + offset, size)
        key = tuple(key_parts)
        group = self._bind_groups.get(key)
        if group is None:
            group = self._make_bind_group(key, pipeline, bindings)
        x, y, z = fold(workgroups, self.limits.max_workgroups_per_dimension)

        timer = self.timer
        if timer is not None:
            timer.prepare()
        uniform = layout.params_size
        offset = self._params_used
        if uniform and offset + length > RING_SIZE:
            self.flush()
            offset = 0
        if uniform and length:
            self._params[offset : offset + length] = params
            self._params_used = offset + -(-length // self._alignment) * self._alignment

        if self._pass is None:
            self._open_pass()
        self._last_label = pipeline.label
        if group.batch != self.batch:
            group.batch = self.batch
            for memory in group.memories:
                memory.last_batch = self.batch
        if timer is not None:
            timer.begin(pipeline.label, self._pass)
        raw = self.raw
        if raw is not None:
            handle = self._pass_handle
            if pipeline is not self._pipeline:
                raw.set_pipeline(handle, pipeline.handle)
                self._pipeline = pipeline
            if uniform:
                raw.offset[0] = offset
                raw.set_bind_group(handle, 0, group.handle, 1, raw.offset)
            else:
                raw.set_bind_group(handle, 0, group.handle, 0, raw.null)
                if length:
                    raw.set_immediates(handle, 0, raw.pointer(params), length)
            raw.dispatch(handle, x, y, z)
        else:
            if pipeline is not self._pipeline:
                self._pass.set_pipeline(pipeline.gpu)
                self._pipeline = pipeline
            self._pass.set_bind_group(0, group.gpu, [offset] if uniform else [])
            if length and not uniform:
                self._pass.set_immediates(0, params, 0, length)
            self._pass.dispatch_workgroups(x, y, z)
        self.dispatches += 1
        if timer is not None:
            timer.end(self._pass)
        self._recorded()

    def copy(self, source: Buffer, target: Buffer, nbytes: int, source_offset: int = 0, target_offset: int = 0) -> None:
        """Record a copy of ``nbytes``; sizes and offsets are multiples of 4."""
        timer = self.timer if self.timer is not None and self.timer.times_copies else None
        if timer is not None:
            timer.prepare()
        self._open_encoder()
        self._end_pass()
        if timer is not None:
            timer.begin("copy", self._encoder)
        first, second = source.offset + source_offset, target.offset + target_offset
        self._encoder.copy_buffer_to_buffer(source.memory.gpu, first, target.memory.gpu, second, nbytes)
        if timer is not None:
            timer.end(self._encoder)
        source.memory.last_batch = target.memory.last_batch = self.batch
        self._recorded()

    def write(self, memory: Memory, data: np.ndarray) -> None:
        """Write ``data`` (one-dimensional uint8) at the start of memory that the open batch does not use."""
        whole = data.size & ~3
        for start in range(0, whole, STAGING_LIMIT):
            piece = data[start : min(start + STAGING_LIMIT, whole)]
            self._write_piece(memory, start, piece)
        if whole < data.size:
            tail = np.zeros(4, np.uint8)
            tail[: data.size - whole] = data[whole:]
            self._write_piece(memory, whole, tail)

    def _write_piece(self, memory: Memory, start: int, piece: np.ndarray) -> None:
        # wgpu keeps its own copy of written bytes until the next submit, so submit before they pile up.
        if self._written_bytes and self._written_bytes + piece.size > STAGING_LIMIT:
            self._submit([])
        self._guarded(self.queue.write_buffer, memory.gpu, start, piece)
        self._written_bytes += piece.size

    def _open_encoder(self) -> None:
        if self._encoder is None:
            self._encoder = self._guarded(self.gpu.create_command_encoder)

    def _open_pass(self) -> None:
        self._open_encoder()
        writes = None if self.timer is None else self.timer.pass_writes()
        self._pass = self._guarded(self._encoder.begin_compute_pass, timestamp_writes=writes)
        self._pass_handle = self._pass._internal
        self._pipeline = None

    def _end_pass(self) -> None:
        if self._pass is not None:
            ending, self._pass, self._pass_handle = self._pass, None, None
            self._guarded(ending.end)

    def _recorded(self) -> None:
        self.commands += 1
        if not settings.enabled:
            self.flush()
        elif settings.held:
            return
        elif self.commands >= settings.threshold:
            self.flush()
        elif settings.delay > 0:
            now = time.monotonic()
            if self.commands == 1:
                self._first_time = now
            elif now - self._first_time >= settings.delay:
                self.flush()

    # Bind groups

    def _make_bind_group(self, key: tuple, pipeline: Pipeline, bindings: list[tuple[Buffer, int, int]]) -> BindGroup:
        """Check the bindings, all that could make wgpu abort or fail later included, and make the group."""
        self._check_bindings(pipeline, bindings)
        layout = pipeline.layout
        memories = [buffer.memory for buffer, _, _ in bindings]
        raw = self.raw
        if raw is not None:
            scratch = layout.scratch
            if scratch is None:
                scratch = layout.scratch = self._bind_group_structs(layout)
            descriptor, entries, _ = scratch
            for entry, (buffer, offset, size) in zip(entries, bindings, strict=True):
                entry.buffer = buffer.memory.handle
                entry.offset = buffer.offset + offset
                entry.size = size
            group = BindGroup(None, self._guarded(raw.create_bind_group, self.gpu._internal, descriptor), memories)
        else:
            bound: list[dict] = [
                {"binding": index, "resource": {"buffer": b.memory.gpu, "offset": b.offset + offset, "size": size}}
                for index, (b, offset, size) in enumerate(bindings, start=1)
            ]
            if layout.params_size:
                ring = {"buffer": self._ring, "offset": 0, "size": layout.params_size}
                bound.insert(0, {"binding": 0, "resource": ring})
            gpu = self._guarded(self.gpu.create_bind_group, layout=layout.bind_group_layout, entries=bound)
            group = BindGroup(gpu, gpu._internal, memories)
        if len(self._bind_groups) >= BIND_GROUP_LIMIT:
            for old in list(self._bind_groups)[: BIND_GROUP_LIMIT // 8]:
                self._drop_bind_group(old)
        self._bind_groups[key] = group
        for memory in memories:
            memory.bind_groups.add(key)
        return group

    def _bind_group_structs(self, layout: Layout) -> tuple[Any, list, Any]:
        """A descriptor, its entries for storage buffers, and what holds their memory."""
        ffi = self.raw.ffi  # type: ignore[union-attr]
        count = layout.reads + layout.writes
        entries = ffi.new("WGPUBindGroupEntry[]", count + 1)
        for index in range(count + 1):
            entries[index].binding = index
        uniform = 1 if layout.params_size else 0
        if uniform:
            entries[0].buffer = self._ring._internal
            entries[0].size = layout.params_size
        descriptor = ffi.new("WGPUBindGroupDescriptor *")
        descriptor.layout = layout.bind_group_layout._internal
        descriptor.entryCount = count + uniform
        descriptor.entries = entries + 1 - uniform
        return descriptor, [entries[index] for index in range(1, count + 1)], entries

    def _check_bindings(self, pipeline: Pipeline, bindings: list[tuple[Buffer, int, int]]) -> None:
        layout = pipeline.layout
        where = f"kernel {pipeline.label!r}"
        if len(bindings) != layout.reads + layout.writes:
            raise DeviceError(f"{where}: {len(bindings)} bindings for {layout.reads} reads and {layout.writes} writes")
        alignment = self.limits.storage_offset_alignment
        read_uids = {buffer.uid for buffer, _, _ in bindings[: layout.reads]}
        for index, (buffer, offset, size) in enumerate(bindings):
            if size <= 0:
                # wgpu would abort the process.
                raise DeviceError(
                    f"{where}: binding {index + 1} has {size} bytes; an empty tensor must never reach a kernel "
                    "(a mistake inside webtorch)"
                )
            if size > self.limits.max_binding_size:
                raise DeviceError(
                    f"{where}: binding {index + 1} has {size} bytes, this adapter binds at most "
                    f"{self.limits.max_binding_size}; bind the buffer in pieces"
                )
            if offset % alignment:
                raise DeviceError(
                    f"{where}: binding {index + 1} starts at byte {offset}, not at a multiple of {alignment}"
                )
            if size % 4:
                raise DeviceError(f"{where}: binding {index + 1} has {size} bytes, not a multiple of 4")
            if offset < 0 or offset + size > buffer.size:
                raise DeviceError(
                    f"{where}: binding {index + 1} covers bytes {offset} to {offset + size} "
                    f"of a buffer of {buffer.size}"
                )
            if buffer.uid not in self.memories:
                raise DeviceLostError(
                    f"{where}: binding {index + 1} is memory of a GPU device that is gone. {LOST_HELP}"
                )
            if index >= layout.reads and buffer.uid in read_uids:
                raise DeviceError(
                    f"{where}: binding {index + 1} writes a buffer that the same kernel reads; WebGPU forbids it, "
                    "copy one side first or bind both as writable"
                )

    def _drop_bind_group(self, key: tuple) -> None:
        group = self._bind_groups.pop(key, None)
        if group is None:
            return
        for memory in group.memories:
            memory.bind_groups.discard(key)
        if group.gpu is None and self.raw is not None:
            self.raw.release_bind_group(group.handle)  # a batch that recorded it holds its own reference

    def forget(self, memory: Memory) -> None:
        """Drop the bind groups of memory that leaves the pool, so that the driver frees it."""
        for key in list(memory.bind_groups):
            self._drop_bind_group(key)

    def forget_all(self) -> None:
        """Drop every bind group."""
        for key in list(self._bind_groups):
            self._drop_bind_group(key)

    @property
    def bind_groups(self) -> int:
        """How many bind groups are kept."""
        return len(self._bind_groups)

    # Submitting

    def flush(self) -> None:
        """Submit the open batch, if anything is in it; does not wait."""
        if self._encoder is not None:
            with held_back():
                self._flush()

    def _flush(self) -> None:
        # After an interrupt (KeyboardInterrupt is no Exception) the next flush goes on where this one stopped.
        try:
            self._end_pass()
            if self._finished is None:
                if self.timer is not None:
                    self.timer.resolve(self._encoder)
                self._finished = self._guarded(self._encoder.finish)
            if self._params_used:
                self._guarded(self.queue.write_buffer, self._ring, 0, self._params_view[: self._params_used])
        except Exception:
            self.discard()
            raise
        command_buffer = self._finished
        timer = self.timer
        if timer is not None:
            timer.submitting()
        self.discard()  # before: submitting the same command buffer twice would abort the process
        self._submit([command_buffer])
        if timer is not None:
            timer.submitted()

    def gpu_objects(self) -> list[Any]:
        """Everything of wgpu's that is held here, None in places."""
        groups = [group.gpu for group in self._bind_groups.values()]
        return [self._ring, self._staging, self._encoder, self._pass, self._finished, *groups]

    def discard(self) -> None:
        """Close the open batch without submitting it."""
        self._encoder = self._pass = self._pass_handle = self._pipeline = self._finished = None
        self._params_used = 0
        self.commands = 0
        self.batch += 1
        if self.timer is not None:
            self.timer.discard()

    def _submit(self, command_buffers: list[Any]) -> None:
        self._unmap()  # submitting work on a mapped buffer would abort the process
        if self.mappable and settings.timeout is not None:
            self._wait()  # a software driver may do it inside the submit, where nothing bounds it
        self._guarded(self.queue.submit, command_buffers)
        self.submits += 1
        self._written_bytes = 0
        self._submits_since_wait += 1
        if self._submits_since_wait >= SUBMITS_IN_FLIGHT:
            self.wait()

    def wait(self) -> None:
        """Wait until everything submitted has run. Raises GPUTimeoutError after ``settings.timeout`` seconds."""
        if self._written_bytes:
            self._submit([])
        self._wait()

    def _wait(self) -> None:
        self._submits_since_wait = 0
        raw = self.raw
        if settings.timeout is None:
            if raw is not None:
                raw.poll(self.gpu._internal, 1, raw.null)
            else:
                self.gpu._poll_wait()
        elif raw is not None:
            # A poll that does not block does not say whether the queue is empty, so have ourselves told.
            raw.waits += 1
            number = raw.waits
            raw.done_info.userdata1 = raw.ffi.cast("void *", number)
            self._guarded(raw.on_done, self.queue._internal, raw.done_info[0])
            self._poll_until(lambda: raw.waits_done >= number)
        else:
            self._in_time(self.gpu._poll_wait)

    def _poll_until(self, done: Callable[[], Any]) -> None:
        """Poll until ``done`` returns something true: at first without a pause, later a thousand times a second."""
        raw = self.raw
        assert raw is not None and settings.timeout is not None
        start = time.monotonic()
        while True:
            raw.poll(self.gpu._internal, 0, raw.null)
            if done():
                return
            waited = time.monotonic() - start
            if waited > settings.timeout:
                self._time_out()
            time.sleep(0 if waited < 0.0005 else min(0.001, waited / 20))

    def _in_time(self, call: Callable, *args: Any) -> None:
        """`_poll_until` where only wgpu-py's own calls are used: they block, so a thread makes the call."""
        problems: list[Exception] = []

        def work() -> None:
            try:
                self._guarded(call, *args)
            except Exception as problem:
                problems.append(problem)

        thread = threading.Thread(target=work, name="webtorch wait", daemon=True)
        thread.start()
        thread.join(settings.timeout)
        if thread.is_alive():
            self._time_out()
        if problems:
            raise problems[0]

    def _time_out(self) -> NoReturn:
        self.lost = self.timed_out = True
        raise GPUTimeoutError(
            f"the GPU was not done within the {settings.timeout:g} s that webtorch.webgpu.set_timeout allows (the last "
            f"kernel was {self._last_label!r}). The device counts as lost and its tensors are gone: make smaller "
            "kernels or allow more time, then call webtorch.webgpu.recover()."
        )

    # Reading

    def read(self, memory: Memory, nbytes: int, offset: int) -> np.ndarray:
        """The bytes of ``memory`` after everything recorded so far."""
        result = np.empty(nbytes, np.uint8)
        self.flush()
        if self._written_bytes:
            self._submit([])
        if self.mappable:
            self._read_mapped(memory.gpu, memory.handle, offset, result)
            return result
        for start in range(0, nbytes, STAGING_LIMIT):
            piece = result[start : start + STAGING_LIMIT]
            first = (offset + start) // 4 * 4
            shift = offset + start - first
            count = -(-(shift + piece.size) // 4) * 4
            staging = self._staging_buffer(count)
            encoder = self._guarded(self.gpu.create_command_encoder)
            self._guarded(encoder.copy_buffer_to_buffer, memory.gpu, first, staging, 0, count)
            self._submit([self._guarded(encoder.finish)])
            self._read_mapped(staging, staging._internal, shift, piece)
        return result

    def _staging_buffer(self, nbytes: int) -> Any:
        if self._staging is None or self._staging.size < nbytes:
            size = max(1 << 16, 1 << (nbytes - 1).bit_length())
            self._staging = self._guarded(
                self.gpu.create_buffer, label="read-back", size=size, usage="MAP_READ|COPY_DST"
            )
        return self._staging

    def _read_mapped(self, gpu: Any, handle: Any, offset: int, result: np.ndarray) -> None:
        first = offset // 8 * 8
        shift = offset - first
        count = -(-(shift + result.size) // 4) * 4
        raw = self.raw
        if raw is None:
            if settings.timeout is None:
                self._guarded(gpu.map_sync, "READ", first, count)
            else:
                self._in_time(gpu.map_sync, "READ", first, count)
            try:
                result[:] = np.frombuffer(gpu.read_mapped(first, count, copy=False), np.uint8)[
                    shift : shift + result.size
                ]
            finally:
                gpu.unmap()
            return
        raw.map_status.clear()
        raw.map_problem.clear()
        self._mapped = handle
        try:
            self._guarded(raw.map_buffer, handle, raw.map_read, first, count, raw.map_info[0])
            if settings.timeout is None:
                raw.poll(self.gpu._internal, 1, raw.null)
            else:
                self._poll_until(lambda: raw.map_status or raw.map_problem)
            if raw.map_problem:
                raise raw.map_problem[0]
            if raw.map_status != [raw.map_success]:
                raise DeviceLostError(
                    f"reading {result.size} bytes from the GPU failed (map status {raw.map_status}); "
                    f"the last kernel was {self._last_label!r}"
                )
            source = raw.mapped_range(handle, first, count)
            raw.ffi.memmove(raw.ffi.from_buffer(result), raw.ffi.cast("char *", source) + shift, result.size)
        finally:
            self._unmap()

    def _unmap(self) -> None:
        if self._mapped is not None and self.raw is not None:
            handle, self._mapped = self._mapped, None
            if not self.timed_out:
                self.raw.unmap(handle)

    # Errors

    def _guarded(self, call: Any, *args: Any, **keywords: Any) -> Any:
        """Call wgpu; a loss of the device becomes DeviceLostError, any other refusal DeviceError."""
        import wgpu

        try:
            return call(*args, **keywords)
        except (wgpu.GPUError, RuntimeError) as error:
            raise self.translate(error) from error

    def translate(self, error: Exception) -> Exception:
        """webtorch's error for one that wgpu raised."""
        text = str(error)
        if is_loss(text):
            self.lost = True
            return DeviceLostError(
                f"the GPU device is lost (the last kernel was {self._last_label!r}): {text.strip()}. {LOST_HELP}"
            )
        return DeviceError(f"the GPU refused work (the last kernel was {self._last_label!r}): {text.strip()}")


def is_loss(text: str) -> bool:
    """Whether an error text of wgpu says that the device is gone.

    >>> is_loss("Validation Error: Parent device is lost"), is_loss("wrong size")
    (True, False)
    """
    lowered = text.lower()
    return "device is lost" in lowered or "device lost" in lowered or "devicelost" in lowered


def fold(workgroups: int, most: int) -> tuple[int, int, int]:
    """A grid of at least ``workgroups``, no dimension over ``most``, with few groups too many.

    >>> fold(10, 65535), fold(65536, 65535), fold(65535**2 + 1, 65535)
    ((10, 1, 1), (32768, 2, 1), (65535, 32768, 2))
    """
    if workgroups <= most:
        return workgroups, 1, 1
    z = -(-workgroups // (most * most))
    layer = -(-workgroups // z)
    y = -(-layer // most)
    x = -(-layer // y)
    if z > most or x * y * z >= 1 << 32:
        raise DeviceError(f"a dispatch of {workgroups} workgroups does not fit a grid; split the kernel")
    return x, y, z
