"""What goes on while `webtorch.compile` watches a function run: which values it reads and writes, and which numbers it
would compute anew the next time.

Everybody else asks one question of this module, `watching is not None`, and tells it what they do: the engine that a
value is read, storages that they are written, tensors that their gradient is another, generators that they are drawn
from. Numbers that change from call to call (counts of steps, keys of random numbers) are `Live` while a function is
watched: they know how they came about, and a replay computes them again.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from .errors import CompileError

watching: Watch | None = None  # the call that is being watched; there is one at a time
_thread = 0  # the thread that runs it


class Watch:
    """One watched call."""

    def __init__(self, name: str, arguments: list) -> None:
        self.name = name
        self.arguments = {id(tensor._storage.node) for tensor in arguments if tensor.device.type == "cpu"}
        self.written: dict[int, tuple] = {}  # storages that were there before and got another value, with the old node
        self.created: weakref.WeakSet = weakref.WeakSet()  # storages; what the call lets go of needs no memory
        self.gradients: dict[int, tuple] = {}  # tensors whose .grad was set, with what it was before
        self.host: list[Callable[[], Any]] = []  # what the host does at every replay, in order


def active() -> Watch | None:
    """The watched call, if it is this thread that runs it."""
    watch = watching
    return watch if watch is not None and threading.get_ident() == _thread else None


def begin(watch: Watch) -> None:
    global watching, _thread
    _thread = threading.get_ident()
    watching = watch


def end() -> None:
    global watching
    watching = None


def refuse(what: str, fix: str) -> None:
    """Raise CompileError if a function is being watched: it does something that a replay would not do again."""
    watch = active()
    if watch is not None:
        from .engine import caller

        raise CompileError(f"compile({watch.name}): {what}, at {caller()}; {fix}")


# ---- numbers that are computed again --------------------------------------------------------------------------------


class Live(float):
    """A number of the host that a replay computes again. Arithmetic with it gives live numbers."""

    __slots__ = ("compute",)
    compute: Callable[[], Any]


class LiveInteger(int):
    """A whole number that a replay computes again; arithmetic with it gives plain numbers."""

    compute: Callable[[], Any]


def live(compute: Callable[[], Any]) -> Any:
    """What `compute` returns: live while a function is watched."""
    value = compute()
    if active() is None:
        return value
    number = Live(value)
    number.compute = compute
    return number


def live_integer(value: int, compute: Callable[[], int]) -> LiveInteger:
    number = LiveInteger(value)
    number.compute = compute
    return number


def computed(value: Any) -> Any:
    return value.compute() if isinstance(value, Live) else value


def _arithmetic(name: str) -> None:
    function = getattr(operator, name)
    plain = getattr(float, f"__{name}__")

    def forward(self: Live, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return plain(self, other)
        number = Live(function(float(self), float(other)))
        number.compute = lambda: function(self.compute(), computed(other))
        return number

    def reflected(self: Live, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        number = Live(function(float(other), float(self)))
        number.compute = lambda: function(computed(other), self.compute())
        return number

    setattr(Live, f"__{name}__", forward)
    setattr(Live, f"__r{name}__", reflected)


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _arithmetic(_name)


def _negative(self: Live) -> Live:
    number = Live(-float(self))
    number.compute = lambda: -self.compute()
    return number


Live.__neg__ = _negative  # type: ignore[method-assign,assignment]


def each_time(action: Callable[[], Any]) -> None:
    """Do something on the host now, and again at every replay of the function that is being watched, if one is."""
    action()
    watch = active()
    if watch is not None:
        watch.host.append(action)


def drawn(draw: Callable[[], tuple]) -> tuple:
    """What a random generator gives; watched, the numbers are live: each replay draws once more."""
    numbers = draw()
    watch = active()
    if watch is None:
        return numbers
    latest = list(numbers)

    def again() -> None:
        latest[:] = draw()

    watch.host.append(again)
    return tuple(live_integer(number, partial(latest.__getitem__, at)) for at, number in enumerate(numbers))


# ---- what the others tell -------------------------------------------------------------------------------------------


def storage_made(storage: Any) -> None:
    watch = active()
    if watch is not None:
        watch.created.add(storage)


def storage_written(storage: Any) -> None:
    """A storage is about to get another node."""
    watch = active()
    if watch is not None and storage not in watch.created and id(storage) not in watch.written:
        watch.written[id(storage)] = (storage, storage.node)


def gradient_set(tensor: Any) -> None:
    """The .grad of a tensor is about to be another one."""
    watch = active()
    if watch is not None and id(tensor) not in watch.gradients:
        watch.gradients[id(tensor)] = (tensor, tensor._grad)


def value_read(node: Any) -> None:
    """A value is read on the host."""
    watch = active()
    if watch is None:
        return
    if node.device.type != "cpu":
        refuse(
            f"the value of a tensor of shape {list(node.shape)} is read, and Python may decide by it",
            "a replay would not read it again: decide with webtorch.where on the device, or do it outside the function "
            "(return the tensor and read it there)",
        )
    if id(node) in watch.arguments:
        refuse(
            "the value of an argument on the cpu is read",
            "a replay would use the first call's: move the argument to webgpu before the call, or pass numbers",
        )


def computed_on_cpu(node: Any) -> None:
    """An op ran on the cpu."""
    watch = active()
    if watch is not None and any(id(getattr(argument, "node", None)) in watch.arguments for argument in node.args):
        refuse(
            f"{node.op.name.strip('_')} computes with an argument on the cpu",
            "a replay runs kernels only: move the argument to webgpu before the call",
        )
