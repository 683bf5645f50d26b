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
from multiprocessing import shared_memory
from typing import Any

import numpy as np

from ..errors import DeviceUnavailableError
from ..ops import TABLE
from . import samples

__all__ = ["Adapter", "Local", "Source", "Torch", "open_sources"]

Request = tuple[int, int] | list[np.ndarray]
"""All numbers of a range of bit patterns (first, count), or arrays of arguments."""


def arguments_of(request: Request) -> list[np.ndarray]:
    return [samples.chunk(*request)] if isinstance(request, tuple) else request


def compute(op: str, arguments: Sequence[np.ndarray], device: str) -> np.ndarray:
    """The results of a row on a webtorch device, as float32."""
    from .. import creation

    row: Any = TABLE[op]
    with np.errstate(all="ignore"):
        result = row(*(creation.tensor(x, device=device) for x in arguments)).numpy()
        return result.astype(np.float32, copy=False)


class Source:
    """One column of the table: `name` is short, `driver` says what exactly computed."""

    name: str
    driver: str

    def has(self, op: str) -> bool:
        """Whether it can compute the op."""
        return True

    def begin(self, op: str, request: Request) -> None:
        self._pending = (op, request)

    def finish(self) -> np.ndarray:
        op, request = self._pending
        return self.evaluate(op, arguments_of(request))

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
                function = getattr(place, special)
                return (lambda x: function(x, 0.0, 0.0)) if special == "threshold" else function
        if op == "_polygamma":
            return lambda x: torch.polygamma(1, x)
        return None

    def has(self, op: str) -> bool:
        return self.function(op) is not None

    def evaluate(self, op: str, arguments: Sequence[np.ndarray]) -> np.ndarray:
        tensors = [self.torch.from_numpy(np.array(x)) for x in arguments]
        result = self.function(op)(*tensors).numpy()
        return result.astype(np.float32, copy=False)


class Adapter(Source):
    """A GPU adapter, chosen by a part of its name, in a process of its own."""

    def __init__(self, wanted: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.memory = shared_memory.SharedMemory(create=True, size=4 * samples.CHUNK)
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, wanted, self.memory.name), daemon=True)
        self.process.start()
        other.close()
        answer = self.receive()
        self.name, self.driver = answer

    def receive(self) -> Any:
        try:
            answer = self.pipe.recv()
        except EOFError:
            raise RuntimeError("the process of an adapter ended before it answered") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, op: str, request: Request) -> None:
        self.pipe.send((op, request))

    def finish(self) -> np.ndarray:
        count = self.receive()
        return np.ndarray((count,), np.float32, self.memory.buf[: 4 * count]).copy()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(10)
        self.memory.close()
        self.memory.unlink()


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
                op, request = message
                result = source.evaluate(op, arguments_of(request)).reshape(-1)
                np.ndarray(result.shape, np.float32, memory.buf[: 4 * result.size])[:] = result
                pipe.send(result.size)
        except (EOFError, KeyboardInterrupt):
            pass
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
