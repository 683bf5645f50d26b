"""The profiler: what a program's time and memory go to, op by op and kernel by kernel.

`profile` listens to every op, to the steps of the engine behind them (planning, writing and compiling kernels, handing
work over, reading) and to every kernel on the GPU; `record_function` names a stretch of the program; `emit_nvtx` shows
the same to NVIDIA's tools. Listening is done by putting timed versions in place of a few functions while somebody
listens, all of them in `places`; at other times the originals are there, so it costs nothing.

On the GPU ops are recorded first and computed later, several in one kernel. A kernel therefore counts for the op that
asked for what it computes, and for the ranges around that op, no matter when it ran. GPU times come from timestamps in
the stream of kernels where the adapter has them, else from the wall while waiting for each kernel: `gpu_timing` says.
"""

from __future__ import annotations

import enum
import functools
import inspect
import itertools
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from . import engine, graph
from .profiler_events import EventList, FunctionEvent, FunctionEventAvg, Interval, chrome_trace, write_json

__all__ = [
    "EventList",
    "FunctionEvent",
    "FunctionEventAvg",
    "Interval",
    "ProfilerAction",
    "ProfilerActivity",
    "emit_nvtx",
    "profile",
    "record_function",
    "record_function_async",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]

Result = TypeVar("Result")

# ---- listening ------------------------------------------------------------------------------------------------------


class Listener(Protocol):
    """Someone who is told of everything that begins and ends, in whatever thread it does."""

    ops: bool  # whether ops are wanted, or only ranges

    def began(self, event: FunctionEvent, inputs: tuple | None) -> None: ...

    def ended(self, event: FunctionEvent) -> None: ...

    def recorded(self, node: graph.Node) -> None: ...


_listeners: tuple[Listener, ...] = ()
_listeners_lock = threading.RLock()
_replaced: list[tuple[Any, str, Any]] = []  # (owner, name, original) of what timed versions stand for now
_current: ContextVar[FunctionEvent | None] = ContextVar("webtorch_profiler_event", default=None)
_numbers = itertools.count(1)


def begin(name: str, category: str, inputs: tuple | None = None) -> FunctionEvent:
    """Tell the listeners that something begins here."""
    event = FunctionEvent(next(_numbers), name, category, threading.get_native_id(), 0, _current.get())
    event.previous = event.cpu_parent
    for listener in _listeners:
        listener.began(event, inputs)
    _current.set(event)
    event.start = time.perf_counter_ns()
    return event


def finish(event: FunctionEvent) -> None:
    """Tell the listeners that it ended."""
    if event.end == 0:
        event.end = time.perf_counter_ns()
    _current.set(event.previous)
    for listener in _listeners:
        listener.ended(event)


def timed(original: Callable, name: str, category: str = "runtime") -> Callable:
    """``original`` as an event of that name."""

    @functools.wraps(original)
    def call(*args: Any, **given: Any) -> Any:
        event = begin(name, category)
        try:
            return original(*args, **given)
        finally:
            finish(event)

    return call


def timed_op(original: Callable) -> Callable:
    """The `__call__` of a class of ops as an event with the op's name."""

    @functools.wraps(original)
    def __call__(op: Any, *args: Any, **given: Any) -> Any:
        current = _current.get()
        if current is not None and current.op is op and not current.end:
            return original(op, *args, **given)  # a class that goes on in its base class: still the same call
        event = begin(op.name, "op", args)
        event.op = op
        try:
            return original(op, *args, **given)
        finally:
            finish(event)

    return __call__


def timed_backward(original: Callable) -> Callable:
    """The `backward_for` of a class of autograd nodes as an event with the node's name."""

    @functools.wraps(original)
    def backward_for(node: Any, *args: Any, **given: Any) -> Any:
        event = begin(node.name(), "backward")
        try:
            return original(node, *args, **given)
        finally:
            finish(event)

    return backward_for


def timed_optimizer(original: Callable) -> Callable:
    """A method of an optimizer as a range that names the method and the optimizer."""

    @functools.wraps(original)
    def call(optimizer: Any, *args: Any, **given: Any) -> Any:
        with record_function(f"Optimizer.{original.__name__}#{type(optimizer).__name__}.{original.__name__}"):
            return original(optimizer, *args, **given)

    return call


def compounds() -> Iterator[tuple[Any, str, Callable]]:
    """The public functions that are made of several ops, wherever they are named: in their modules, at the top level, as
    methods."""
    from .tensor import Tensor

    package = __name__.partition(".")[0]
    modules = [sys.modules[name] for name in (f"{package}.{part}" for part in COMPOUNDS) if name in sys.modules]
    versions: dict[Any, Callable] = {}
    for module in modules:
        for name in getattr(module, "__all__", ()):
            function = vars(module).get(name)
            function = inspect.unwrap(function) if inspect.isfunction(function) else function
            if inspect.isfunction(function) and function.__module__.startswith(
                module.__name__
            ):  # the module, or a part of it
                versions[function] = timed_function(function)
    for owner in (sys.modules[package], Tensor, *modules):
        for name, value in list(vars(owner).items()):
            # What is public may be wrapped for better errors.
            if inspect.isfunction(value) and (function := inspect.unwrap(value)) in versions:
                yield owner, name, versions[function]


COMPOUNDS = ("functional", "creation", "random", "nn.functional")


def timed_function(original: Callable) -> Callable:
    """A function made of several ops as an event with its name."""
    name = original.__name__

    @functools.wraps(original)
    def call(*args: Any, **given: Any) -> Any:
        event = begin(name, "op", args)
        try:
            return original(*args, **given)
        finally:
            finish(event)

    return call


def tagged(original: Callable) -> Callable:
    """`graph.record`, which also tells the listeners of the new node."""

    @functools.wraps(original)
    def record(*args: Any, **given: Any) -> graph.Node:
        node = original(*args, **given)
        for listener in _listeners:
            listener.recorded(node)
        return node

    return record


def family(base: type) -> list[type]:
    """A class and all classes made from it."""
    found, stack = [], [base]
    while stack:
        member = stack.pop()
        found.append(member)
        stack += member.__subclasses__()
    return list(dict.fromkeys(found))


def places(ops: bool) -> Iterator[tuple[Any, str, Callable]]:
    """Everything that is timed while somebody listens: whose, which, and the timed version."""
    from . import fuse, kernels, plans
    from .autograd.graph import Node
    from .ops import Op
    from .ops.inplace import InPlace

    yield graph, "record", tagged(graph.record)
    yield fuse, "plan", timed(fuse.plan, "webtorch::plan")
    yield kernels, "render", timed(kernels.render, "webtorch::render")
    yield kernels, "run", timed(kernels.run, "webtorch::launch")
    yield plans, "launch", timed(plans.launch, "webtorch::launch")
    device = current_device()
    if device is not None:
        yield from device_places(device)
    if ops:
        for kind in (*family(Op), *family(InPlace)):
            if "__call__" in vars(kind) and kind is not Op:
                yield kind, "__call__", timed_op(vars(kind)["__call__"])
        yield from compounds()
        for kind in family(Node):
            if "backward_for" in vars(kind):
                yield kind, "backward_for", timed_backward(vars(kind)["backward_for"])
        optimizers = sys.modules.get("webtorch.optim.optimizer")
        if optimizers is not None:
            for kind in family(optimizers.Optimizer):
                for name in ("step", "zero_grad"):
                    if name in vars(kind):
                        yield kind, name, timed_optimizer(vars(kind)[name])


def device_places(device: Any) -> Iterator[tuple[Any, str, Callable]]:
    """What is timed of the GPU device, which may come into being later than the listening begins."""
    yield device, "pipeline", timed(device.pipeline, "webtorch::compile")
    yield device, "read", timed(device.read, "webtorch::read")
    yield device, "upload", timed(device.upload, "webtorch::upload")
    yield device, "sync", timed(device.sync, "webtorch::synchronize")
    yield device._submitter, "_submit", timed(device._submitter._submit, "webtorch::submit")


def replace(found: Iterable[tuple[Any, str, Callable]]) -> None:
    for owner, name, version in found:
        _replaced.append((owner, name, vars(owner).get(name, _replaced)))
        setattr(owner, name, version)


def listen(listener: Listener) -> None:
    """Add a listener; the first one brings the timed versions into place."""
    global _listeners
    with _listeners_lock:
        restore()
        _listeners = (*_listeners, listener)
        replace(list(places(any(listener.ops for listener in _listeners))))


def leave(listener: Listener) -> None:
    """Take a listener away; after the last one the originals are back."""
    global _listeners
    with _listeners_lock:
        _listeners = tuple(other for other in _listeners if other is not listener)
        restore()
        if _listeners:
            replace(list(places(any(listener.ops for listener in _listeners))))


def restore() -> None:
    while _replaced:
        owner, name, original = _replaced.pop()
        if original is _replaced:  # a method of an object: its class has the original
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def current_device() -> Any:
    """The GPU device if there is one by now."""
    backend = sys.modules.get("webtorch.backends.wgpu.device")
    return backend.current_device() if backend is not None else None


def shapes_of(value: Any) -> Any:
    """The shape of an input; those of the members of a list; an empty one for numbers."""
    shape = getattr(value, "_shape", None)
    if shape is not None:
        return list(shape)
    if isinstance(value, (list, tuple)) and any(hasattr(member, "_shape") for member in value):
        return [shapes_of(member) for member in value]
    return []


def user_stack(limit: int = 32) -> list[str]:
    """The lines of the program that are being run, the innermost first, without this package's own."""
    package = os.path.dirname(__file__)
    frame = sys._getframe(1)
    lines: list[str] = []
    while frame is not None and len(lines) < limit:
        code = frame.f_code
        if not code.co_filename.startswith(package):
            lines.append(f"{code.co_filename}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return lines


# ---- ranges ---------------------------------------------------------------------------------------------------------


class _Range:
    """What `record_function(name)` gives: a context manager and a decorator, which may be used again and again."""

    def __init__(self, name: str, args: str | None) -> None:
        self.name = name
        self.args = args
        self._open: list[FunctionEvent | None] = []

    def __enter__(self) -> _Range:
        event = None
        if _listeners:
            event = begin(self.name, "range")
            if self.args is not None:
                event.arguments["args"] = self.args
        self._open.append(event)
        return self

    def __exit__(self, *details: object) -> None:
        event = self._open.pop()
        if event is not None:
            finish(event)

    def __call__(self, function: Callable) -> Callable:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def in_range(*args: Any, **given: Any) -> Any:
                with _Range(self.name, self.args):
                    return await function(*args, **given)

        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def in_range(*args: Any, **given: Any) -> Any:
                with _Range(self.name, self.args):
                    return (yield from function(*args, **given))

        else:

            @functools.wraps(function)
            def in_range(*args: Any, **given: Any) -> Any:
                with _Range(self.name, self.args):
                    return function(*args, **given)

        return in_range


def record_function(name: str, fn: Any = None) -> Any:
    """Name a stretch of the program, so that a running `profile` shows it as one row with all that happens within.

    ``with record_function("forward"):`` or ``@record_function("forward")`` (functions, coroutine functions, generator
    functions) as in PyTorch; ``record_function("forward", fn)`` runs ``fn`` at once and returns its result. A string
    as second argument is shown with the range. The CPU time ends where the range does; the GPU time is that of all
    kernels that compute what was asked for inside, even when they run later. Costs next to nothing while no profile
    runs.

    >>> with record_function("sum of squares"):
    ...     webtorch.arange(4).square().sum()
    tensor(14)
    >>> record_function("two", lambda: 2)
    2
    """
    if not isinstance(name, str):
        raise TypeError(f"record_function({name!r}): the first argument is the name; write @record_function('name')")
    if fn is None or isinstance(fn, str):
        return _Range(name, fn)
    if not callable(fn):
        raise TypeError(f"record_function({name!r}, {fn!r}): the second argument is a function or a string")
    with _Range(name, None):
        return fn()


async def record_function_async(name: str, fn: Callable[[], Any]) -> Any:
    """`record_function` that awaits what ``fn`` returns and waits for the devices before the range ends, so that the
    range's CPU time covers the computing, too.

    >>> import asyncio
    >>> asyncio.run(record_function_async("three", lambda: 3))
    3
    """
    from .devices import sync_device_async

    with _Range(name, None):
        result = fn()
        if inspect.isawaitable(result):
            result = await result
        await sync_device_async()
        return result


# ---- profiles -------------------------------------------------------------------------------------------------------


class ProfilerActivity(enum.Enum):
    """What a profile watches. `CUDA` is another name for the GPU, for programs that were written for PyTorch.

    >>> ProfilerActivity.CUDA is ProfilerActivity.WEBGPU
    True
    """

    CPU = "cpu"
    WEBGPU = "webgpu"
    CUDA = "webgpu"


class ProfilerAction(enum.Enum):
    """What a profile does in one step of its schedule."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """What a profile can watch here.

    >>> ProfilerActivity.CPU in supported_activities()
    True
    """
    from .devices import is_webgpu_available

    return {ProfilerActivity.CPU, ProfilerActivity.WEBGPU} if is_webgpu_available() else {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """A schedule for `profile`: what to do in each step, where `profile.step()` ends one.

    ``skip_first`` steps pass once; then come cycles of ``wait`` steps that are not watched, ``warmup`` steps (not
    watched either: kernels compile) and ``active`` steps that are recorded; after each cycle ``on_trace_ready`` is
    called. ``repeat`` limits the cycles, 0 for no limit; ``skip_first_wait=1`` leaves out the first cycle's wait.
    Raises ValueError unless the numbers are not negative and ``active`` is positive.

    >>> [schedule(wait=1, warmup=1, active=2)(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active < 1:
        raise ValueError(
            f"schedule(wait={wait}, warmup={warmup}, active={active}, repeat={repeat}, skip_first={skip_first}): "
            "numbers of steps cannot be negative, and active must be at least 1"
        )
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        if repeat and step >= repeat * cycle:
            return ProfilerAction.NONE
        position = step % cycle
        if position < wait:
            return ProfilerAction.NONE
        if position < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if position == cycle - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(
    dir_name: str | os.PathLike, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """For ``on_trace_ready``: write each trace into the folder ``dir_name``, under a name of its own."""
    import socket

    worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"

    def write(finished: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = f"{worker}.{time.time_ns()}.pt.trace.json" + (".gz" if use_gzip else "")
        finished.export_chrome_trace(os.path.join(dir_name, name))

    return write


class _Session:
    """One stretch of recording: from `profile.start` to `stop`, or one cycle of a schedule."""

    def __init__(self, activities: set[ProfilerActivity], shapes: bool, memory: bool, stack: bool) -> None:
        self.ops = ProfilerActivity.CPU in activities
        self.gpu = ProfilerActivity.WEBGPU in activities
        self.shapes = shapes
        self.memory = memory
        self.stack = stack
        self.events: list[FunctionEvent] = []
        self.gpu_timing: str | None = None
        self.adapter = ""
        self.timeline: list[tuple[int, str, int]] = []  # (when, device, bytes in use)
        self.origin = 0
        self.wall = 0  # time_ns at the origin
        self._kernels: list[tuple[Any, FunctionEvent]] = []  # with their times on the GPU, once known
        self._owners: weakref.WeakKeyDictionary[graph.Node, FunctionEvent] = weakref.WeakKeyDictionary()
        self._device: Any = None
        self._timer: Any = None
        self._cpu_bytes = 0
        self._alive: set[weakref.ref] = set()
        self._ended = False

    # The program, as a listener

    def began(self, event: FunctionEvent, inputs: tuple | None) -> None:
        event.origin = self.origin
        parent = event.cpu_parent
        if parent is not None and parent.origin != self.origin:  # of an earlier profile, and still open
            event.cpu_parent = None
        elif parent is not None:
            parent.cpu_children.append(event)
        self.events.append(event)
        if event.category == "runtime" and self._device is None:
            self.meet_device()
        if self.shapes and inputs is not None:
            event.input_shapes = [shapes_of(value) for value in inputs]
        if self.stack and event.category != "runtime":
            event.stack = user_stack()

    def ended(self, event: FunctionEvent) -> None:
        pass

    def recorded(self, node: graph.Node) -> None:
        current = _current.get()
        if node.device.type != "cpu":
            if self._device is None:
                self.meet_device()
            if current is not None:
                self._owners[node] = current
        elif self.memory:
            self.count_cpu(node.nbytes)
            self._alive.add(weakref.ref(node, functools.partial(self.forget, node.nbytes)))

    # Memory

    def count_cpu(self, nbytes: int) -> None:
        self._cpu_bytes += nbytes
        current = _current.get()
        if current is not None:
            current.self_cpu_memory_usage += nbytes
        self.timeline.append((time.perf_counter_ns(), "cpu", self._cpu_bytes))

    def forget(self, nbytes: int, reference: weakref.ref) -> None:
        self._alive.discard(reference)
        if not self._ended:
            self.count_cpu(-nbytes)

    def count_gpu(self, nbytes: int) -> None:
        current = _current.get()
        # Memory comes back some time after a tensor died, so whoever runs then has nothing to do with it.
        if current is not None and nbytes > 0:
            current.self_device_memory_usage += nbytes
        self.timeline.append((time.perf_counter_ns(), "webgpu", self._device._pool.active_bytes))

    # The GPU

    def begin(self) -> None:
        if current_device() is not None:
            finish_pending()  # what was asked for earlier is not this profile's
        self.origin = time.perf_counter_ns()
        self.wall = time.time_ns()
        listen(self)
        if current_device() is not None:
            self.meet_device()
        engine.observers.append(self.kernel_ran)

    def meet_device(self) -> None:
        """Start to time the GPU, once there is one."""
        device = current_device()
        if device is None or device is self._device:
            return
        with _listeners_lock:
            first, self._device = self._device is None, device
            if first and not any(owner is device for owner, _, _ in _replaced):
                replace(list(device_places(device)))
        self.adapter = str(device.adapter)
        if self.gpu:
            self._timer = device.start_timing()
        if self.memory:
            device._pool.watch = self.count_gpu

    def kernel_ran(self, record: dict[str, Any]) -> None:
        """Told by the engine right after a kernel was recorded, under its lock."""
        if not self.gpu:
            return
        if self._device is not current_device():
            self._device = None
            self.meet_device()
        current = _current.get()
        # The core of a kernel says what it is; without one the last of its ops does.
        nodes = record["nodes"] if record["shader"] != "elementwise" else record["nodes"][::-1]
        owner = next((self._owners[node] for node in nodes if node in self._owners), current)
        event = FunctionEvent(next(_numbers), f"kernel: {record['name']}", "kernel", 0, 0, owner)
        event.origin = self.origin
        if self.shapes:
            event.input_shapes = [list(shape) for shape, _ in record["inputs"]]
        event.arguments = {
            "shader": record["shader"],
            "workgroups": record["workgroups"],
            "workgroup size": record["workgroup_size"],
            "bytes": record["bytes"],
            "inputs": [f"{name}{list(shape)}" for shape, name in record["inputs"]],
            "outputs": [f"{name}{list(shape)}" for shape, name in record["outputs"]],
        }
        if owner is not None and current is not None and owner is not current:
            # Memory for the results was taken by the launch, for the op.
            owner.self_device_memory_usage += current.self_device_memory_usage
            current.self_device_memory_usage = 0
        self._kernels.append((self._timer.last if self._timer is not None else None, event))

    def end(self) -> None:
        """Wait for the GPU, put the originals back, and fill in what is known by now."""
        try:
            if self._device is not None and (self._owners or any(event.category == "runtime" for event in self.events)):
                finish_pending()
        finally:
            self._ended = True
            now = time.perf_counter_ns()
            leave(self)
            engine.observers.remove(self.kernel_ran)
            for event in self.events:
                event.end = event.end or now
            try:
                if self._device is not None and not self._device.lost:
                    self._device._pool.watch = None
                    if self._timer is not None:
                        self.gpu_timing = self._timer.how
                        self.fill_in(self._device.stop_timing())
            finally:
                self._alive.clear()
                self._timer = self._device = None
                self.events.sort(key=lambda event: event.start)

    def fill_in(self, times: list) -> None:
        """Make events of the kernels, now that it is known when they ran."""
        known = {id(found): event for found, event in self._kernels if found is not None}
        for found in times:
            event = known.get(id(found))
            if event is None:  # nothing that the engine planned: a copy
                event = FunctionEvent(next(_numbers), f"kernel: {found.label}", "kernel", 0, 0, None)
                event.origin = self.origin
            event.start, event.end = found.start, found.end
            if event.duration and "bytes" in event.arguments:
                event.arguments["GB/s"] = round(event.arguments["bytes"] / event.duration / 1e3, 3)
            if event.cpu_parent is not None:
                event.cpu_parent.kernels.append(event)
            self.events.append(event)
        if not times:
            self.gpu_timing = None


def finish_pending() -> None:
    """Compute what is pending and wait for it."""
    engine.synchronize()


class profile:
    """Record what a program does, how long it takes and what memory it takes, on the CPU and on the GPU.

    Use it as a context manager, with `start` and `stop`, or give it a function: ``profile(fn)`` runs ``fn`` (with the
    profile as argument if it wants one) and is finished then; for a coroutine function, ``await profile(fn)``.

    ``activities``: what to watch (`ProfilerActivity`, or "cpu", "webgpu", "cuda"); all by default. ``record_shapes``:
    note the shapes of inputs. ``profile_memory``: note memory taken and given back. ``with_stack``: note the lines of the
    program behind each op. ``schedule`` (see the function of that name) and `step` record some steps of a long loop
    only; ``on_trace_ready(profile)`` is called whenever a recording is complete. Work that is pending at the end is
    computed first, so that its kernels count. ``profile(False)`` does nothing. One profile can run at a time;
    RuntimeError otherwise.

    >>> with profile() as p:
    ...     with record_function("mean of squares"):
    ...         x = webtorch.arange(1000.0, device="cpu").square().mean()
    >>> [row.count for row in p.key_averages() if row.key in ("square", "mean of squares")]
    [1, 1]
    >>> p.gpu_timing is None
    True
    """

    def __init__(
        self,
        fn: Callable[..., Any] | bool | None = None,
        *,
        activities: Iterable[ProfilerActivity | str] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
    ) -> None:
        if fn is not None and not callable(fn) and not isinstance(fn, bool):
            raise TypeError(f"profile({fn!r}): give a function to run, or nothing")
        self.enabled = fn is not False
        self.activities = set(ProfilerActivity) if activities is None else {as_activity(one) for one in activities}
        if not self.activities:
            raise ValueError("profile(activities=[]): name at least one activity")
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = ProfilerAction.NONE
        self.result: Any = None
        """What the function returned that `profile(fn)` ran."""
        self._metadata: dict[str, Any] = {}
        self._session: _Session | None = None  # recording now
        self._finished: _Session | None = None  # the latest complete recording
        self._step: Any = None
        self._awaiting: Callable[[], Awaitable] | None = None
        if callable(fn):
            self._run(fn)

    # Running

    def _run(self, fn: Callable[..., Any]) -> None:
        call: Callable[[], Any] = functools.partial(fn, self) if takes_an_argument(fn) else fn
        if inspect.iscoroutinefunction(fn):
            self._awaiting = call
            return
        with self:
            self.result = call()
            if inspect.isawaitable(self.result):
                pending = self.result
                self._awaiting = lambda: pending

    def __await__(self) -> Generator[Any, None, profile]:
        return self._await().__await__()

    async def _await(self) -> profile:
        if self._awaiting is not None:
            waiting, self._awaiting = self._awaiting, None
            with self:
                self.result = await waiting()
        return self

    def start(self) -> None:
        """Begin; with a schedule, begin its first step."""
        global _running
        if not self.enabled:
            return
        with _listeners_lock:
            if _running is not None:
                raise RuntimeError("profile.start(): a profile runs already; stop it first")
            _running = self
        try:
            self.step_num = 0
            self._act(ProfilerAction.RECORD if self.schedule is None else self.schedule(0))
        except BaseException:
            _running = None
            raise

    def stop(self) -> None:
        """End: compute what is pending, wait for the GPU, and complete the recording. Does nothing when not started."""
        global _running
        if _running is not self:
            return
        try:
            self._end_step()
            if self._session is not None:
                self._complete()
        finally:
            self.current_action = ProfilerAction.NONE
            _running = None

    def step(self) -> None:
        """The end of one step of a loop, and the begin of the next."""
        if _running is not self:
            return
        self._end_step()
        self.step_num += 1
        self._act(ProfilerAction.RECORD if self.schedule is None else self.schedule(self.step_num))

    def _act(self, action: ProfilerAction) -> None:
        """Go from one action of the schedule to the next."""
        recording = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if self._session is not None and (self.current_action is ProfilerAction.RECORD_AND_SAVE or not recording):
            self._complete()
        self.current_action = action
        if recording and self._session is None:
            session = _Session(self.activities, self.record_shapes, self.profile_memory, self.with_stack)
            session.begin()
            self._session = session
        if self._session is not None and (self.schedule is not None or self.step_num):
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__()
            self._step = None

    def _complete(self) -> None:
        session, self._session = self._session, None
        assert session is not None
        try:
            session.end()
        finally:
            self._finished = session
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            self.stop()
        except Exception:
            if error is None:  # else the program's own error matters more
                raise

    # Results

    def _recorded(self, call: str) -> _Session:
        if self._finished is None:
            raise RuntimeError(
                f"profile.{call}(): nothing is recorded yet; leave the with block or call stop() first"
                + (", or take a schedule with an active step" if self.schedule is not None else "")
            )
        return self._finished

    def events(self) -> EventList:
        """Everything that was recorded, in the order in which it began."""
        session = self._recorded("events")
        return EventList(session.events, gpu_timing=session.gpu_timing, trace=self.trace)

    @property
    def function_events(self) -> EventList:
        """`events()`."""
        return self.events()

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """Sums and means by name; see `EventList.key_averages`. Its `table(sort_by=..., row_limit=...)` is the usual
        way to look at a profile.

        >>> with profile() as p:
        ...     x = webtorch.ones(3, device="cpu") + 1
        >>> p.key_averages().table(sort_by="self_cpu_time_total", row_limit=10).splitlines()[1].split()[:3]
        ['Name', 'Self', 'CPU']
        """
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """`EventList.table` of all events, one by one."""
        return self.events().table(sort_by=sort_by, row_limit=row_limit, **options)

    def total_average(self) -> FunctionEventAvg:
        """Everything together."""
        return self.events().total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of CPU time in all of it."""
        return self.events().self_cpu_time_total

    @property
    def gpu_timing(self) -> str | None:
        """How GPU times were taken: "timestamps" written between kernels, "timestamps around passes" (each kernel in a
        pass of its own), "wall time" (each kernel waited for: slower, and with what it takes to ask and wait in it);
        None when no kernel ran."""
        return self._recorded("gpu_timing").gpu_timing

    def trace(self) -> dict:
        """The recording in Chrome's trace format, as `export_chrome_trace` writes it."""
        session = self._recorded("trace")
        about: dict[str, Any] = {
            "baseTimeNanoseconds": session.wall,
            "record_shapes": int(self.record_shapes),
            "profile_memory": int(self.profile_memory),
            "with_stack": int(self.with_stack),
            "gpu_timing": session.gpu_timing,
            "deviceProperties": [{"id": 0, "name": session.adapter}] if session.adapter else [],
            **self._metadata,
        }
        return chrome_trace(session.events, session.timeline, about, session.adapter)

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write the recording as a trace for https://ui.perfetto.dev or chrome://tracing, compressed if ``path`` ends
        in ".gz"."""
        write_json(path, self.trace())

    def export_stacks(self, path: str | os.PathLike, metric: str = "self_cpu_time_total") -> None:
        """Write one line per op and its lines of the program, outermost first, with the microseconds spent there: what
        flame graph tools read. Needs ``with_stack=True``; ``metric`` may be "self_device_time_total", too."""
        if not self.with_stack:
            raise ValueError("export_stacks: profile(with_stack=True) notes the stacks that this writes")
        if metric not in ("self_cpu_time_total", "self_device_time_total", "self_cuda_time_total"):
            raise ValueError(f"export_stacks(metric={metric!r}): 'self_cpu_time_total' or 'self_device_time_total'")
        sums: dict[str, float] = {}
        for event in self.events():
            if event.stack:
                line = ";".join([*(part.replace(";", ",") for part in reversed(event.stack)), event.name])
                sums[line] = sums.get(line, 0.0) + getattr(event, metric)
        with open(path, "w", encoding="utf-8") as file:
            for line, total in sums.items():
                if int(total) > 0:
                    file.write(f"{line} {int(total)}\n")

    def add_metadata(self, key: str, value: str) -> None:
        """Put a text into the trace file, under ``key``."""
        self._metadata[key] = str(value)

    def add_metadata_json(self, key: str, value: str) -> None:
        """Put a value that is given as JSON into the trace file, under ``key``."""
        self._metadata[key] = json.loads(value)

    def __repr__(self) -> str:
        if _running is self:
            return f"<profile, running, step {self.step_num}>"
        if self._finished is None:
            return "<profile, not started>"
        return f"<profile of {len(self._finished.events)} events>"

    def __str__(self) -> str:
        return repr(self) if self._finished is None else self.key_averages().table(sort_by="duration")


_running: profile | None = None


def as_activity(value: ProfilerActivity | str) -> ProfilerActivity:
    """An activity from its name."""
    if isinstance(value, ProfilerActivity):
        return value
    names = {"cpu": ProfilerActivity.CPU, "webgpu": ProfilerActivity.WEBGPU, "cuda": ProfilerActivity.WEBGPU}
    if isinstance(value, str) and value.lower() in names:
        return names[value.lower()]
    raise ValueError(f"profile(activities=[{value!r}]): the activities are 'cpu' and 'webgpu' ('cuda' is taken for it)")


def takes_an_argument(fn: Callable[..., Any]) -> bool:
    """Whether ``fn`` cannot be called without an argument."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # some builtins do not say
        return False
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )


# ---- NVTX -----------------------------------------------------------------------------------------------------------


class emit_nvtx:
    """Show every op, backward step and `record_function` range as an NVTX range, for NVIDIA's Nsight tools.

    A context manager. It needs the package ``nvtx``; where that is not installed, as on every machine without NVIDIA's
    tools, the block runs as if it were not there (``available`` is False). The kernels themselves are drawn by the tool.
    With ``record_shapes`` the shapes of the inputs stand behind the name.

    >>> with emit_nvtx():
    ...     webtorch.ones(2, device="cpu") + 1
    tensor([2., 2.])
    """

    ops = True

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled
        self.record_shapes = record_shapes
        self.available = False
        self._nvtx: Any = None

    def __enter__(self) -> emit_nvtx:
        if not self.enabled:
            return self
        if self._nvtx is not None:
            raise RuntimeError("emit_nvtx: this one is in use; make another")
        try:
            self._nvtx = __import__("nvtx")
        except ImportError:
            return self
        self.available = True
        listen(self)
        return self

    def __exit__(self, *details: object) -> None:
        if self._nvtx is not None:
            leave(self)
            self._nvtx = None

    def began(self, event: FunctionEvent, inputs: tuple | None) -> None:
        name = event.name
        if self.record_shapes and inputs:
            name += f", sizes = {[shapes_of(value) for value in inputs]}"
        event.marked = True
        self._nvtx.push_range(name)

    def ended(self, event: FunctionEvent) -> None:
        if event.marked and self._nvtx is not None:
            event.marked = False
            self._nvtx.pop_range()

    def recorded(self, node: graph.Node) -> None:
        pass
