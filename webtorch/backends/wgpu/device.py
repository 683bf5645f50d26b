"""The process-wide GPU device: choosing an adapter, its limits, and the calls that the engine makes.

One lock orders everything that happens on the device. A forked child cannot use its parent's device (its first call
would hang for ever), so there every call raises.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import gc
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from webtorch.backends.wgpu import declarations, subgroups, submit
from webtorch.backends.wgpu.buffers import Buffer, Memory, Part, Pool, padded, physical_memory, readable, size_class
from webtorch.backends.wgpu.pipelines import MOST_IMMEDIATES, Pipeline, PipelineCache
from webtorch.backends.wgpu.submit import LOST_HELP, RawCalls, Submitter, is_loss
from webtorch.backends.wgpu.timing import KernelTime, Timer
from webtorch.errors import (
    DeviceError,
    DeviceLostError,
    DeviceUnavailableError,
    OutOfMemoryError,
    ShaderCompileError,
)

WANTED_FEATURES = (
    "immediates",
    "mappable-primary-buffers",
    "shader-f16",
    "shader-f64",
    "shader-float32-atomic",
    "shader-int64",
    "shader-int64-atomic-all-ops",
    "shader-int64-atomic-min-max",
    "subgroup",
    "timestamp-query",
    "timestamp-query-inside-encoders",
    "timestamp-query-inside-passes",
)
"""Features that are asked for where the adapter has them. Never all: some drivers offer ones that they then refuse."""

PRIMARY = ("Vulkan", "Metal", "DX12")
"""The backends, in wgpu-py's words, that are asked for adapters first."""

FORK_MESSAGE = (
    "this process was forked from one that already used the GPU, and a GPU device does not survive a fork. "
    "Start processes with multiprocessing.set_start_method('spawn'), or fork before the first use of the GPU."
)

LOOP_BUDGET = 65535
"""Loop iterations that one invocation may make in total. llvmpipe silently stops all loops of an invocation there."""

SMALL_UPLOAD = 1 << 16
"""Up to this size an upload rather takes new memory than submits the open batch to be able to reuse some."""


# Adapters


@dataclass(frozen=True)
class Adapter:
    """What is known of one adapter. ``gpu`` is wgpu's object."""

    name: str
    driver: str
    backend: str
    kind: str
    gpu: Any = dataclasses.field(repr=False, compare=False)

    @property
    def is_software(self) -> bool:
        """Whether it computes on the CPU."""
        lowered = f"{self.name} {self.driver}".lower()
        names = ("llvmpipe", "lavapipe", "softpipe", "swiftshader", "basic render driver")
        return self.kind == "CPU" or any(name in lowered for name in names)

    @property
    def is_opengl(self) -> bool:
        """Whether it is driven through OpenGL, which offers fewer features and limits than Vulkan, Metal or D3D12."""
        return self.backend.startswith("OpenGL")

    def rank(self) -> tuple:
        """Sort key, the best first: hardware before software, then not OpenGL, then the kind of hardware."""
        kinds = {"DiscreteGPU": 0, "IntegratedGPU": 1}
        return (self.is_software, self.is_opengl, kinds.get(self.kind, 2))

    def matches(self, text: str) -> bool:
        """Whether ``text`` occurs in its name, driver or backend, in any case."""
        return text.lower() in f"{self.name}\n{self.driver}\n{self.backend}".lower()

    def __str__(self) -> str:
        driver = f", {self.driver}" if self.driver else ""
        return f"{self.name} ({self.backend}, {self.kind}{driver})"


_lock = threading.RLock()
_adapters: list[Adapter] | None = None
_all_adapters = False  # whether those driven through OpenGL are among them
_adapter_problem = ""
_own_instances: list[Any] = []  # of wgpu, made here
_device: WebGPUDevice | None = None
_forked = False


def find_adapters(opengl: bool = False) -> tuple[list[Adapter], str]:
    """The adapters, the best first, and why there is none (or an empty text). Looked up once in a process.

    Those driven through OpenGL are among them if ``opengl`` is true, or where one of them may be the best."""
    global _adapters, _adapter_problem, _all_adapters
    with _lock:
        if _adapters is None:
            _adapters, _adapter_problem = _looked_up(PRIMARY)
            _all_adapters = False
        software = all(adapter.is_software for adapter in _adapters)
        if not _all_adapters and (opengl or not _adapters or (software and _may_have_hardware())):
            found, problem = _looked_up(("GL",))
            known = {str(adapter) for adapter in _adapters}
            _adapters = sorted([*_adapters, *(a for a in found if str(a) not in known)], key=Adapter.rank)
            _adapter_problem = "" if _adapters else _adapter_problem or problem
            _all_adapters = True
        if not _adapters and not _adapter_problem:
            _adapter_problem = "no driver offered an adapter"
        return list(_adapters), _adapter_problem


def _looked_up(backends: tuple[str, ...]) -> tuple[list[Adapter], str]:
    try:
        return sorted(_enumerate_adapters(backends), key=Adapter.rank), ""
    except Exception as error:  # a broken driver must not break the cpu
        return [], f"{type(error).__name__}: {error}"


def _may_have_hardware() -> bool:
    """Whether there may be a GPU that only OpenGL drives: on Linux all that could be one have a device file."""
    if sys.platform != "linux":
        return True
    names = os.listdir("/dev") if os.path.isdir("/dev") else ()
    return any(name in ("dri", "dxg", "kgsl-3d0") or name.startswith(("mali", "nvidia", "pvr")) for name in names)


@contextlib.contextmanager
def _instance(backends: tuple[str, ...]) -> Iterator[None]:
    """Inside, wgpu-py looks for adapters of these backends only: OpenGL takes as long to start as all others together.

    Without effect where wgpu-py was used before, or is not as it is expected to be."""
    try:
        from wgpu.backends.wgpu_native import _helpers, extras

        first, own = _helpers._the_instance, _own_instances
        if first is None or first in own:
            _helpers._the_instance = None
            extras.set_instance_extras(backends=backends)
            own.append(_helpers._the_instance)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        yield
        return
    try:
        yield
    finally:
        if first is not None:
            _helpers._the_instance = first


def _enumerate_adapters(backends: tuple[str, ...]) -> list[Adapter]:
    declarations.load()
    import wgpu

    # Without a desktop session, Mesa's device selection layer writes error lines to stderr at each look-up; it does
    # nothing else there. The variable is its documented switch.
    quiet = sys.platform == "linux" and not any(
        name in os.environ
        for name in ("XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "MESA_VK_DEVICE_SELECT", "NODEVICE_SELECT")
    )
    if quiet:
        os.environ["NODEVICE_SELECT"] = "1"
    try:
        with _instance(backends):
            found = wgpu.gpu.enumerate_adapters_sync()
    finally:
        if quiet:
            del os.environ["NODEVICE_SELECT"]
    return [
        Adapter(
            name=gpu.info["device"] or gpu.info["vendor"] or "unnamed adapter",
            driver=gpu.info["description"],
            backend=gpu.info["backend_type"],
            kind=gpu.info["adapter_type"],
            gpu=gpu,
        )
        for gpu in found
    ]


def choose_adapter() -> tuple[Adapter, str]:
    """The adapter that a new device uses, and why. Raises DeviceUnavailableError."""
    adapters, problem = find_adapters()
    if not adapters:
        raise DeviceUnavailableError(f"no WebGPU adapter: {problem}. {driver_hint()}")
    wanted = os.environ.get("WEBTORCH_ADAPTER", "")
    if wanted:
        matching = [adapter for adapter in adapters if adapter.matches(wanted)]
        if not matching:
            adapters, _ = find_adapters(opengl=True)
            matching = [adapter for adapter in adapters if adapter.matches(wanted)]
        if not matching:
            names = "; ".join(map(str, adapters))
            raise DeviceUnavailableError(f"WEBTORCH_ADAPTER={wanted!r} fits none of the adapters: {names}")
        return matching[0], f"WEBTORCH_ADAPTER={wanted}"
    best = adapters[0]
    if best.is_software:
        return best, "there is no hardware adapter"
    return best, "the best hardware adapter"


def driver_hint(platform: str = sys.platform) -> str:
    """What to install so that there is an adapter.

    >>> "mesa-vulkan-drivers" in driver_hint("linux")
    True
    """
    if platform.startswith("linux"):
        return (
            "Install a Vulkan driver: the GPU vendor's, or Mesa's, which also has a software one "
            "(Debian and Ubuntu: apt install mesa-vulkan-drivers; Fedora: dnf install mesa-vulkan-drivers; "
            "Arch: pacman -S vulkan-swrast or your GPU's vulkan package)."
        )
    if platform == "darwin":
        return "Metal comes with macOS 10.13 or newer; update macOS, and in a virtual machine turn on GPU support."
    if platform.startswith("win"):
        return "Install the GPU vendor's current driver; Direct3D 12 or Vulkan is needed (Windows 10 or newer)."
    return "Install a Vulkan driver for this system."


# The device


@dataclass(frozen=True)
class Limits:
    """What one kernel or buffer may use on this adapter. Sizes in bytes."""

    max_binding_size: int
    max_storage_buffers: int
    max_workgroup_invocations: int
    max_workgroup_storage: int
    max_workgroups_per_dimension: int
    max_buffer_size: int
    storage_offset_alignment: int
    uniform_offset_alignment: int
    max_uniform_size: int = 16384
    max_immediates: int = 0
    loop_budget: int = LOOP_BUDGET


LOW_LIMITS = {
    "max_binding_size": 65536, "max_storage_buffers": 4, "max_workgroup_invocations": 64,
    "max_workgroups_per_dimension": 255,
}  # fmt: skip
"""What WEBTORCH_LIMITS=low stands for: less than any adapter has, so that small tensors meet every limit."""


def lowered(real: Limits, wanted: str) -> Limits:
    """The limits of an adapter, lowered as WEBTORCH_LIMITS says: "", "low", or "max_storage_buffers=4,..." .

    Raises DeviceError for what names no limit or is not lower.
    """
    if not wanted:
        return real
    try:
        lower = (
            LOW_LIMITS if wanted == "low" else {k: int(v) for k, v in (part.split("=") for part in wanted.split(","))}
        )
        wrong = [name for name, value in lower.items() if not 0 < value <= getattr(real, name)]
    except (ValueError, AttributeError) as error:
        raise DeviceError(
            f"WEBTORCH_LIMITS={wanted!r}: {error}; write low, or max_storage_buffers=4 and the like"
        ) from error
    if wrong and wanted != "low":
        raise DeviceError(f"WEBTORCH_LIMITS={wanted!r}: {', '.join(wrong)} would be more than this adapter has: {real}")
    return dataclasses.replace(real, **{name: min(value, getattr(real, name)) for name, value in lower.items()})


class _ClosedLock:
    """Stands in for the device's lock where any use of the device would hang: in a forked child, after a timeout."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __enter__(self) -> None:
        raise type(self.error)(str(self.error))

    def __exit__(self, *details: object) -> None:
        pass


class WebGPUDevice:
    """One GPU device with its memory, kernels and open batch. Use ``get_device()``; all methods are thread-safe."""

    def __init__(self, adapter: Adapter, reason: str, raw_calls: bool = True) -> None:
        self.adapter = adapter
        self.reason = reason
        self.info: dict[str, Any] = dict(adapter.gpu.info)
        self.is_cpu_adapter: bool = adapter.is_software
        self._lock: Any = threading.RLock()
        features = [name for name in WANTED_FEATURES if name in adapter.gpu.features]
        self.features: frozenset[str] = frozenset(features)
        try:
            self.gpu = adapter.gpu.request_device_sync(label="webtorch", required_features=features, required_limits={})
        except Exception as error:
            raise DeviceUnavailableError(f"{adapter} gives no device: {error}. {driver_hint()}") from error
        self.limits = self._read_limits()

        import wgpu

        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        # Mapping a storage buffer avoids a copy where GPU memory is main memory anyway.
        mappable = self.is_cpu_adapter and "mappable-primary-buffers" in self.features
        if mappable:
            usage |= wgpu.BufferUsage.MAP_READ
        self._usage = usage
        self.raw_problem = ""
        raw = None
        if raw_calls:
            try:
                raw = RawCalls()
            except Exception as error:
                self.raw_problem = f"{type(error).__name__}: {error}"
        self._submitter = Submitter(self.gpu, self.limits, raw, mappable)
        memory = physical_memory() if self.is_cpu_adapter else None
        self._pool = Pool(self._create_buffer, self._submitter.forget, None if memory is None else memory * 3 // 4)
        self._submitter.memories = self._pool.memories
        self._pipelines = PipelineCache(self.gpu, self.limits.max_uniform_size, self.limits.max_immediates)
        self.subgroups_of_eight = self._try_out(raw is not None)

    def __repr__(self) -> str:
        return f"<WebGPUDevice {self.adapter}>"

    def _read_limits(self) -> Limits:
        limits = self.gpu.limits
        buffer_size = limits["max-buffer-size"] // 256 * 256
        real = Limits(
            max_binding_size=min(limits["max-storage-buffer-binding-size"] // 256 * 256, buffer_size),
            max_storage_buffers=limits["max-storage-buffers-per-shader-stage"],
            max_workgroup_invocations=limits["max-compute-invocations-per-workgroup"],
            max_workgroup_storage=limits["max-compute-workgroup-storage-size"],
            max_workgroups_per_dimension=limits["max-compute-workgroups-per-dimension"],
            max_buffer_size=buffer_size,
            storage_offset_alignment=limits["min-storage-buffer-offset-alignment"],
            uniform_offset_alignment=limits["min-uniform-buffer-offset-alignment"],
            max_uniform_size=limits["max-uniform-buffer-binding-size"],
            max_immediates=self._immediates(limits.get("max-immediate-size", 0)),
        )
        return lowered(real, os.environ.get("WEBTORCH_LIMITS", ""))

    def _immediates(self, most: int) -> int:
        """How many bytes of parameters a dispatch carries. Not through OpenGL, which has none and makes uniforms of them."""
        offered = "immediates" in self.features and not self.adapter.is_opengl
        return min(most, MOST_IMMEDIATES) // 16 * 16 if offered else 0

    @property
    def parameters(self) -> str:
        """How a kernel with few parameters declares them, up to their name."""
        return "var<immediate>" if self.limits.max_immediates else "@group(0) @binding(0) var<uniform>"

    def _try_out(self, raw: bool) -> bool:
        """Run a small kernel, through the native calls if there are any: whether subgroups are of eight. If it is not as
        it should be, another one says whether that is because of these calls, which are then not used."""
        try:
            shared = subgroups.of_eight(self)
        except Exception:
            shared = False
            self._submitter.discard()
        if raw and not shared:
            self._test_raw_calls()
            return not self.uses_raw_calls and self._try_out(False)
        return shared

    def _test_raw_calls(self) -> None:
        """Run one small kernel through the native calls; anything but the right answer turns them off."""
        source = (
            f"{self.parameters} p: vec4<u32>;\n"
            "@group(0) @binding(1) var<storage, read> x: array<u32>;\n"
            "@group(0) @binding(2) var<storage, read_write> y: array<u32>;\n"
            "@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) i: vec3<u32>) {\n"
            "  y[i.x] = x[i.x] * p.x + p.w;\n"
            "}\n"
        )
        values = np.array([1, 2, 3, 5], np.uint32)
        try:
            pipeline = self.pipeline(source, "self-test", 1, 1, 16)
            x, y = self.upload(values), self.allocate(16)
            self.dispatch(pipeline, [(x, 0, 16), (y, 0, 16)], np.array([7, 0, 0, 9], np.uint32).tobytes(), 1)
            got = self.read(y, 16).view(np.uint32)
            if not np.array_equal(got, values * 7 + 9):
                raise RuntimeError(f"the test kernel gave {got.tolist()}")
        except Exception as error:
            self.raw_problem = f"{type(error).__name__}: {error}"
            self._submitter.discard()
            self._submitter.forget_all()
            self._submitter.raw = None

    # Memory

    def _create_buffer(self, size: int) -> Any:
        import wgpu

        try:
            return self.gpu.create_buffer(size=size, usage=self._usage)
        except (wgpu.GPUError, RuntimeError, MemoryError) as error:
            text = str(error)
            if "memory" in text.lower() and not is_loss(text):
                return None
            raise self._submitter.translate(error) from error

    def _take(self, nbytes: int, for_upload: bool) -> Buffer:
        size = self._checked_size(nbytes)
        with self._lock:
            memory = self._try_take(size, for_upload)
        if memory is None:
            gc.collect()  # not under the lock: finalizers of other people's objects may run
            with self._lock:
                self._submitter.flush()
                self._submitter.wait()
                self._pool.collect()
                self._pool.shrink(0)
                memory = self._try_take(size, for_upload)
            if memory is None:
                raise self._pool.out_of_memory(nbytes, size, live_tensors())
        return Buffer(memory, nbytes, self._pool.returned)

    def _checked_size(self, nbytes: int) -> int:
        if nbytes <= 0:
            raise DeviceError(f"a buffer of {nbytes} bytes: an empty tensor has none (a mistake inside webtorch)")
        most = self.limits.max_buffer_size
        if nbytes > most:
            raise OutOfMemoryError(
                f"{readable(nbytes)} ({nbytes} bytes) in one buffer: this adapter allows at most {readable(most)} "
                f"({most} bytes, its max-buffer-size). Use a smaller tensor, or split it."
            )
        return min(size_class(nbytes), most)

    def _try_take(self, size: int, for_upload: bool) -> Memory | None:
        self._pool.collect()
        memory = self._pool.reuse(size, oldest=for_upload)
        if memory is None:
            return self._pool.make(size)
        if for_upload and memory.last_batch == self._submitter.batch and self._submitter.commands:
            # Written bytes arrive before everything recorded so far, which still uses this memory.
            if size <= SMALL_UPLOAD:
                fresh = self._pool.make(size)
                if fresh is not None:
                    self._pool.returned.append(memory)
                    return fresh
            self._submitter.flush()
        return memory

    def allocate(self, nbytes: int) -> Buffer:
        """Memory for ``nbytes`` (at least 1), its content undefined. Raises OutOfMemoryError."""
        return self._take(nbytes, for_upload=False)

    def allocate_parts(self, sizes: list[int]) -> list[Buffer]:
        """Memory for several values in one buffer, in that order: a kernel that uses many of them needs one binding. No
        kernel may write one of them and read another, if they are not of the same binding."""
        starts = [0]
        for nbytes in sizes:
            starts.append(starts[-1] + padded(nbytes))
        whole = self.allocate(starts.pop())
        return [Part(whole, start, nbytes) for start, nbytes in zip(starts, sizes, strict=True)]

    def upload(self, data: Any) -> Buffer:
        """A buffer with the bytes of ``data``: a numpy array or anything with the buffer protocol, not empty."""
        if isinstance(data, np.ndarray):
            array = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        else:
            array = np.frombuffer(data, np.uint8)
        buffer = self._take(array.size, for_upload=True)
        with self._lock:
            self._submitter.write(buffer.memory, array)
        return buffer

    def read(self, buffer: Buffer, nbytes: int, offset: int = 0) -> np.ndarray:
        """``nbytes`` bytes of ``buffer`` from ``offset`` on, as a uint8 array of its own, after all recorded work."""
        if nbytes < 0 or offset < 0 or offset + nbytes > buffer.size:
            raise DeviceError(f"read of bytes {offset} to {offset + nbytes} of a buffer of {buffer.size}")
        if nbytes == 0:
            return np.empty(0, np.uint8)
        with self._lock:
            self._check_owned(buffer)
            return self._submitter.read(buffer.memory, nbytes, buffer.offset + offset)

    def copy(self, source: Buffer, target: Buffer, nbytes: int, source_offset: int = 0, target_offset: int = 0) -> None:
        """Copy ``nbytes`` bytes, in order with the dispatches; offsets are multiples of 4."""
        whole = -(-nbytes // 4) * 4
        inside = source_offset + whole <= source.size and target_offset + whole <= target.size
        if nbytes < 0 or not inside or source_offset % 4 or target_offset % 4:
            raise DeviceError(
                f"copy of {nbytes} bytes from {source_offset} in a buffer of {source.size} to {target_offset} in one of "
                f"{target.size}"
            )
        with self._lock:
            self._check_owned(source)
            self._check_owned(target)
            if nbytes and (source.memory is not target.memory or source.offset != target.offset):
                self._submitter.copy(source, target, whole, source_offset, target_offset)

    def _check_owned(self, buffer: Buffer) -> None:
        if buffer.uid not in self._pool.memories:
            raise DeviceLostError(f"this memory was on a GPU device that is gone. {LOST_HELP}")

    # Kernels

    def pipeline(
        self, source: str, label: str, reads: int, writes: int, params_size: int, entry: str = "main"
    ) -> Pipeline:
        """The compiled kernel for ``source``, from the cache after the first call. Raises ShaderCompileError.

        Bindings 1 to ``reads`` of group 0 are read-only storage buffers, the next ``writes`` are read_write ones. The
        parameters are immediates if the source declares them so (up to ``limits.max_immediates`` bytes), or the uniform
        block at binding 0.
        """
        if isinstance(self._lock, _ClosedLock):
            with self._lock:  # raises
                pass
        try:
            most = self.limits.max_storage_buffers
            return self._pipelines.get(source, label, reads, writes, params_size, entry, most)
        except (DeviceError, ShaderCompileError):
            raise
        except Exception as error:
            raise self._submitter.translate(error) from error

    def dispatch(
        self, pipeline: Pipeline, bindings: list[tuple[Buffer, int, int]], params: bytes, workgroups: int
    ) -> None:
        """Record one run of a kernel.

        ``bindings`` are (buffer, offset, size) in bytes, reads first. ``workgroups`` is their total: it is folded into
        a grid that the shader undoes with ``wg.x + wg.y * num.x + wg.z * num.x * num.y``; a few more than asked for
        may run, so shaders guard.
        """
        with self._lock:
            self._submitter.dispatch(pipeline, bindings, params, workgroups)

    # Timing

    def start_timing(self, how: str | None = None) -> Timer:
        """Time every kernel recorded from now on. ``how`` (see `Timer`) is chosen by the adapter unless given."""
        with self._lock:
            self._submitter.flush()
            timer = Timer(self._submitter, self.features, how)
            self._submitter.timer = timer
        return timer

    def kernel_times(self) -> list[KernelTime]:
        """The times of all kernels recorded since ``start_timing``; waits for them."""
        with self._lock:
            timer = self._submitter.timer
            if timer is None:
                return []
            self._submitter.flush()
            return list(timer.collect())

    def stop_timing(self) -> list[KernelTime]:
        """``kernel_times``, and time no more."""
        try:
            return self.kernel_times()
        finally:
            with self._lock:
                self._submitter.timer = None

    # Submission

    def flush(self) -> None:
        """Hand all recorded work to the GPU; does not wait."""
        with self._lock:
            self._submitter.flush()

    def sync(self) -> None:
        """Hand all recorded work to the GPU and wait until it is done."""
        with self._lock:
            self._submitter.flush()
            self._submitter.wait()

    @property
    def lost(self) -> bool:
        """Whether the device is lost, as far as is known: a loss shows when the device is used."""
        return self._submitter.lost

    @property
    def commands_pending(self) -> int:
        """Dispatches and copies recorded but not yet handed to the GPU."""
        return self._submitter.commands

    @property
    def uses_raw_calls(self) -> bool:
        """Whether dispatches go straight to the native library; settable, for tests."""
        return self._submitter.raw is not None

    @uses_raw_calls.setter
    def uses_raw_calls(self, wanted: bool) -> None:
        with self._lock:
            if wanted != self.uses_raw_calls:
                self._submitter.flush()
                self._submitter.forget_all()
                self._submitter.raw = RawCalls() if wanted else None

    # Upkeep

    def stats(self) -> dict[str, int]:
        """Counts of memory (bytes as allocated, padding included) and work since the device was made."""
        with self._lock:
            self._pool.collect()
            return {
                "pipelines": len(self._pipelines),
                "compiled": self._pipelines.compiled,
                "bind_groups": self._submitter.bind_groups,
                "active_bytes": self._pool.active_bytes,
                "pooled_bytes": self._pool.pooled_bytes,
                "peak_bytes": self._pool.peak_bytes,
                "total_allocations": self._pool.total_allocations,
                "submits": self._submitter.submits,
                "dispatches": self._submitter.dispatches,
            }

    def empty_cache(self) -> None:
        """Give all unused memory of the pool back to the driver."""
        with self._lock:
            self._pool.collect()
            self._pool.shrink(0)

    def reset_peak(self) -> None:
        """Let ``peak_bytes`` start again from what is in use now."""
        with self._lock:
            self._pool.collect()
            self._pool.peak_bytes = self._pool.active_bytes

    def apply_memory_limit(self) -> None:
        """Let go of unused memory that a lowered limit no longer allows."""
        with self._lock:
            self._pool.collect()
            limit = self._pool.limit
            if limit is not None:
                self._pool.shrink(max(0, limit - self._pool.active_bytes))

    @contextlib.contextmanager
    def override_limits(self, *, without: Iterable[str] = (), **lower: int) -> Iterator[Limits]:
        """For tests: believe in lower limits, as a smaller adapter has, inside the ``with`` block.

        The names are those of ``Limits``; ``without`` names features that the adapter is then believed to lack. Pipelines
        made before stay valid; bind groups are checked anew.
        """
        real = self.limits
        for name, value in lower.items():
            if not 0 < value <= getattr(real, name) and not name.endswith("alignment"):
                raise ValueError(f"override_limits({name}={value}): the real limit is {getattr(real, name)}")
        features = self.features
        self.features = features.difference(without)
        if "immediates" not in self.features:
            lower["max_immediates"] = 0
        self._set_limits(dataclasses.replace(real, **lower))
        try:
            yield self.limits
        finally:
            self.features = features
            self._set_limits(real)

    def _set_limits(self, limits: Limits) -> None:
        with self._lock:
            self._submitter.flush()
            self._submitter.forget_all()
            self.limits = self._submitter.limits = limits

    # Ends

    def _abandon(self, error: Exception) -> None:
        """Never call the driver again, not even to release anything: whoever tries gets ``error``."""
        self._lock = _ClosedLock(error)
        held = [self.gpu, self.gpu.queue, *self._submitter.gpu_objects()]
        held += [memory.gpu for memory in self._pool.memories.values()]
        held += self._pipelines.gpu_objects()
        for thing in held:
            if thing is not None:
                thing._internal = None  # wgpu-py releases what has a handle
        self._submitter.discard()

    def _close(self) -> None:
        """At exit: drop what was recorded and let what was submitted finish."""
        with self._lock:
            self._submitter.discard()
            if not self._submitter.lost:
                self._submitter.wait()


def live_tensors() -> str:
    """A table of the tensors that hold memory, or an empty text where it cannot be made."""
    try:
        from webtorch import debug

        return debug.memory()
    except Exception:  # whatever it is, the error that the table is for matters more
        return ""


def get_device() -> WebGPUDevice:
    """The process-wide device, made at the first call.

    Raises DeviceUnavailableError without an adapter, DeviceError in a process forked after its parent used the GPU,
    DeviceLostError after the device was lost.
    """
    device = _device
    if device is not None:
        if device._submitter.lost:
            raise DeviceLostError(f"the GPU device was lost. {LOST_HELP}")
        return device
    return _make_device()


def _make_device() -> WebGPUDevice:
    global _device
    if _forked:
        raise DeviceError(FORK_MESSAGE)
    with _lock:
        if _device is not None:
            return _device
        adapter, reason = choose_adapter()
        _device = WebGPUDevice(adapter, reason)
    if (adapter.is_software or adapter.is_opengl) and "WEBTORCH_ADAPTER" not in os.environ:
        what = "a software renderer, slower than the cpu device" if adapter.is_software else "driven through OpenGL"
        # After the device is stored: with warnings as errors the next call works.
        warnings.warn(f"the webgpu device is {what}: {adapter}", RuntimeWarning, stacklevel=2)
    return _device


def current_device() -> WebGPUDevice | None:
    """The process-wide device if it exists; makes none."""
    return _device


def reset_device() -> None:
    """Forget the process-wide device, for example after it was lost; the next use makes a new one.

    Tensors on the old device stay bound to it and cannot be used with the new one.
    """
    global _device
    with _lock:
        device, _device = _device, None
    if device is None:
        return
    if device._submitter.timed_out:
        _give_up(device)
    elif not device._submitter.lost:
        device.sync()


# Processes

_abandoned: list[WebGPUDevice] = []


def _give_up(device: WebGPUDevice) -> None:
    """Let go of a device whose GPU may be busy for ever: releasing it would wait for that."""
    device._abandon(DeviceLostError(f"the GPU device was lost to a timeout. {LOST_HELP}"))
    _abandoned.append(device)
    _leave_without_driver()


def _leave_without_driver() -> None:
    """Have the process end without the exit handlers of its libraries, where the C library can do that.

    A GPU driver's handler joins the driver's threads. In a forked child they do not exist, and the child would crash
    after Python has ended; after a timeout they never end. Python's own handlers have run by then, buffered files are
    written first, and the exit status stays.
    """
    import ctypes

    try:
        library = ctypes.CDLL(None)
        leave, register = library.on_exit, library["__cxa_atexit"]  # glibc has the first, few others do
    except (OSError, AttributeError, TypeError):
        return
    # The last registered runs first. `_exit` takes the status, which is what `on_exit` hands over first.
    leave(ctypes.cast(library["_exit"], ctypes.c_void_p), None)
    register(ctypes.cast(library["fflush"], ctypes.c_void_p), None, None)


def _after_fork_in_child() -> None:
    global _device, _forked, _lock, _adapters
    _lock = threading.RLock()  # another thread of the parent may have held the old one
    if _device is not None:
        _forked = True
        _device._abandon(DeviceError(FORK_MESSAGE))
        _leave_without_driver()
        for adapter in (_device.adapter, *(_adapters or ())):
            adapter.gpu._internal = None
        _abandoned.append(_device)
        _device = None
    elif not _forked:
        _adapters = None
    submit.settings.held = 0


def _at_exit() -> None:
    device = _device
    if device is not None:
        with contextlib.suppress(Exception):
            device._close()
        if device._submitter.timed_out:
            _give_up(device)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
