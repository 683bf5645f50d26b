"""Where results come from: numpy, PyTorch if it is installed, and GPU adapters, each in a process of its own.

A process has one GPU device, so measuring two adapters side by side takes two processes. A source is asked for results
with `begin` and gives them with `finish`: in between, others compute.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import shared_memory
from typing import Any

import numpy as np

from ..errors import DeviceError, DeviceUnavailableError
from ..ops import TABLE
from . import samples
from .measure import BLOCK
from .oracle import rows

__all__ = ["Adapter", "Local", "Source", "Torch", "open_sources"]

threads = ThreadPoolExecutor(os.cpu_count() or 1)  # numpy lets other threads compute while it does

Request = tuple[int, int] | list[np.ndarray]
"""All numbers of a range of bit patterns (first, count), or arrays of arguments."""


def arguments_of(request: Request) -> list[np.ndarray]:
    return [samples.chunk(*request)] if isinstance(request, tuple) else request


def compute(op: str, arguments: Sequence[np.ndarray], device: str) -> np.ndarray:
    """The results of a row on a webtorch device, as float32."""
    from .. import creation

    row: Any = TABLE[op]
    with np.errstate(all="ignore"):
        given = {name: value for name, value in row.scalars.items() if value is not None}
        result = row(*(creation.tensor(x, device=device) for x in arguments), **given).numpy()
        return result.astype(np.float32, copy=False)


class Source:
    """One column of the table: `name` is short, `driver` says what exactly computed."""

    name: str
    driver: str
    block = 2 * BLOCK  # arguments computed at a time
    _memory = np.empty(0, np.float32)

    def has(self, op: str) -> bool:
        """Whether it can compute the op."""
        return True

    def begin(self, op: str, request: Request) -> None:
        self._pending = (op, request)

    def finish(self, memory: np.ndarray | None = None) -> np.ndarray:
        """The results for what `begin` was given, in `memory` or in memory that the next call writes again."""
        op, request = self._pending
        arguments = arguments_of(request)
        size = arguments[0].size
        if memory is None:
            if self._memory.size < size:
                self._memory = np.empty(size, np.float32)
            memory = self._memory
        result = memory[:size]

        def part(start: int) -> None:
            piece = slice(start, start + self.block)
            result[piece] = self.evaluate(op, [x[piece] for x in arguments])

        starts = range(0, size, self.block)
        for _ in threads.map(part, starts) if len(starts) > 1 else map(part, starts):
            pass
        return result

    def evaluate(self, op: str, arguments: Sequence[np.ndarray]) -> np.ndarray:
        raise NotImplementedError

    def close(self) -> None:
        """Free what it holds."""


class Local(Source):
    """webtorch in this process: on the cpu, or on the GPU device that the process has."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cpu":
            self.name, self.driver = "numpy", f"numpy {np.__version__}"
        else:
            from ..backends.wgpu import get_device

            self.name, self.driver = describe(get_device().adapter)
            self.block = samples.CHUNK

    def evaluate(self, op: str, arguments: Sequence[np.ndarray]) -> np.ndarray:
        return compute(op, arguments, self.device)


class Torch(Source):
    """PyTorch on the CPU in float32, for the ops that it has by the same name and that take arrays alone."""

    # Rows that are a case of a public function.
    FORMS = {"_div_trunc": ("div", "trunc"), "_div_floor": ("div", "floor"), "_gelu_tanh": ("gelu", "tanh")}

    def __init__(self) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(1)
        self.name, self.driver = "PyTorch", f"PyTorch {torch.__version__}, CPU"

    def function(self, op: str) -> Any:
        """The function of tensors, or None."""
        torch = self.torch
        if op in self.FORMS:
            name, form = self.FORMS[op]
            if name == "div":
                return lambda x, y: torch.div(x, y, rounding_mode=form)
            return lambda x: torch.nn.functional.gelu(x, approximate=form)
        special = {"_i1": "i1"}.get(op, op)
        for place in (torch, torch.nn.functional, torch.special):
            if hasattr(place, special) and (place is not torch or special != "threshold"):
                if special == "threshold":
                    return lambda x: torch.nn.functional.threshold(x, 0.0, 0.0)
                return getattr(place, special)
        if op == "_polygamma":
            return lambda x: torch.polygamma(1, x)
        return None

    def has(self, op: str) -> bool:
        function = self.function(op)
        if function is None:
            return False
        try:
            function(*(self.torch.ones(1) for _ in range(rows()[op].inputs))).numpy()
        except (TypeError, RuntimeError):  # another function of this name
            return False
        return True

    def evaluate(self, op: str, arguments: Sequence[np.ndarray]) -> np.ndarray:
        tensors = [self.torch.from_numpy(np.array(x)) for x in arguments]
        result = self.function(op)(*tensors).numpy()
        return result.astype(np.float32, copy=False)


class Adapter(Source):
    """A GPU adapter, chosen by a part of its name, in a process of its own."""

    def __init__(self, wanted: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.memory = shared_memory.SharedMemory(create=True, size=SLOTS * 4 * samples.CHUNK)
        self.slot = 0
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, wanted, self.memory.name), daemon=True)
        self.process.start()
        other.close()
        try:
            self.name, self.driver = self.receive()
        except BaseException:
            self.close()
            raise

    def receive(self) -> Any:
        try:
            answer = self.pipe.recv()
        except EOFError:
            raise RuntimeError("the process of an adapter ended before it answered") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, op: str, request: Request) -> None:
        self.slot = (self.slot + 1) % SLOTS
        self.pipe.send((op, request, self.slot))

    def finish(self, memory: np.ndarray | None = None) -> np.ndarray:
        """The results, in memory that the process writes again when two more requests have begun."""
        count = self.receive()
        return slots(self.memory)[self.slot, :count]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(10)
        self.memory.close()
        self.memory.unlink()


SLOTS = 2  # results that are being read, and those that are being written


def slots(memory: shared_memory.SharedMemory) -> np.ndarray:
    """The shared memory of an adapter's process as arrays of float32."""
    return np.ndarray((SLOTS, samples.CHUNK), np.float32, memory.buf)


def describe(adapter: Any) -> tuple[str, str]:
    """A short name and a full one."""
    lowered = adapter.name.lower()
    short = next((name for name in ("llvmpipe", "SwiftShader") if name.lower() in lowered), adapter.name)
    if adapter.is_opengl:
        short += " (OpenGL)"
    return short, f"{adapter.name}, {adapter.backend}" + (f", {adapter.driver}" if adapter.driver else "")


def serve(pipe: Any, wanted: str, name: str) -> None:
    """The work of an adapter's process: answer requests until there is none."""
    os.environ["WEBTORCH_ADAPTER"] = wanted
    warnings.simplefilter("ignore", RuntimeWarning)
    memory = shared_memory.SharedMemory(name=name)
    try:
        try:
            source = Local("webgpu")
            pipe.send((source.name, source.driver))
            while (message := pipe.recv()) is not None:
                op, request, slot = message
                source.begin(op, request)
                pipe.send(source.finish(slots(memory)[slot]).size)
        except (EOFError, KeyboardInterrupt):
            pass
        except DeviceError as error:
            pipe.send(DeviceUnavailableError(str(error)))
        except Exception as error:
            pipe.send(RuntimeError(f"on the adapter {wanted!r}: {type(error).__name__}: {error}"))
    finally:
        memory.close()


@contextlib.contextmanager
def open_sources(devices: Sequence[str], adapters: Sequence[str]) -> Iterator[list[Source]]:
    """The sources for device names ("cpu", "webgpu", "torch") and adapter names, closed in the end."""
    opened: list[Source] = []
    try:
        for wanted in adapters:
            opened.append(Adapter(wanted))
        for device in devices:
            opened.append(Torch() if device == "torch" else Local(device))
        if not opened:
            raise DeviceUnavailableError("accuracy: no device to measure; give --device or --adapter")
        yield opened
    finally:
        for source in opened:
            source.close()
