"""Realising the lazy graph: which nodes are needed, and running the kernels that compute them.

`recorded` is told of every new node and computes it at once on an eager device; `realize` computes pending nodes on a
lazy one. Both are the only ways by which anything is ever computed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import capture, dtypes, elsewhere, reproducible
from .errors import OutOfMemoryError, ShaderCompileError, ShapeError  # noqa: F401 (re-exported for those who catch here)
from .interrupts import held_back
from .shapes import numel

if TYPE_CHECKING:
    from .graph import Node

PENDING_LIMIT = (
    4096  # recorded nodes after which the live ones are realised, so that a program that never reads stays bounded
)

_lock = threading.RLock()
_recent: list[weakref.ref[Node]] = []  # nodes recorded on lazy devices since the last sweep, kept weakly
_checks: list[tuple[Node, Callable[[Any], BaseException | None], Doubt]] = []
_asked: weakref.WeakKeyDictionary[Node, dict[tuple, Doubt]] = weakref.WeakKeyDictionary()  # see `asked`
_doubts: weakref.WeakKeyDictionary[Node, tuple[Doubt, ...]] = weakref.WeakKeyDictionary()  # see `depends`
observers: list[Callable[[dict], None]] = []  # told of every kernel that runs: see webtorch.debug

# What kernels depend on besides their graph and the device's limits: modes that change the code of kernels put
# themselves here, so that plans made under one are not run under another.
variant: tuple = ()

DEBUG = int(os.environ.get("WEBTORCH_DEBUG", "0") or 0)
EAGER = os.environ.get("WEBTORCH_EAGER", "0") not in ("", "0")
CHECK = os.environ.get("WEBTORCH_CHECK", "0") not in ("", "0")


class PuttingOff(threading.local):
    """What is asked, inside `postponed.together()`, whether it puts off a node of the cpu, and told to compute what was."""

    takes: Callable[[Node], bool] | None = None
    compute: Callable[[Iterable[Any]], None] | None = None


putting_off = PuttingOff()


def recorded(node: Node) -> None:
    """Called by `graph.record` for every new node."""
    if node.device.type == "cpu":
        if elsewhere.shapes_only and elsewhere.without_data(node):
            return
        if node.nbytes > sys.maxsize:
            raise too_large(node)
        try:
            if capture.watching is not None:
                capture.computed_on_cpu(node)
            if putting_off.takes is not None and putting_off.takes(node):
                return
            node.settle(evaluate(node))
        except MemoryError:
            raise too_large(node) from None
        return
    if node.device.type != "webgpu":
        elsewhere.compute(node)
        return
    if elsewhere.shapes_only and elsewhere.without_data(node):
        return
    if node.size == 0:
        node.settle(None_BUFFER)
        return
    if DEBUG >= 3:
        node.where = caller()
    _recent.append(weakref.ref(node))
    if EAGER:
        realize([node])
    elif len(_recent) > PENDING_LIMIT:
        relieve()


def relieve() -> None:
    """Keep the record of what is pending short; when it is long because nothing was read for long, compute it."""
    if capture.watching is not None:
        return
    with _lock:
        waiting = [reference for reference in _recent if is_pending(reference())]
        _recent[:] = waiting
    if len(waiting) > PENDING_LIMIT // 2:
        realize_pending()


def too_large(node: Node) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"{node.op.name.strip('_')}: out of memory on the cpu: a result of shape {list(node.shape)} and dtype {node.dtype.name} needs "
        f"{node.nbytes} bytes; compute it in parts, or let go of tensors first"
    )


class _NoBuffer:
    """Stands for the memory of a zero-element node: it never reaches a backend, where binding it would abort."""

    size = 0

    def __repr__(self) -> str:
        return "<no elements>"


None_BUFFER = _NoBuffer()


def caller() -> str:
    """The user's line that records a node: the innermost frame outside this package."""
    frame = sys._getframe(2)
    package = os.path.dirname(__file__)
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"


# ---- eager: numpy ---------------------------------------------------------------------------------------------------


def evaluate(node: Node, read: Callable[[Node], np.ndarray] | None = None) -> np.ndarray:
    """`node` computed by its row's numpy; `read` gives the flat array of an argument (its buffer on cpu).

    What is of a 16-bit float is computed in float32, and rounded once at the end: as in the kernels."""
    if node.op.moves and node.dtype.computed is not node.dtype.memory:
        arrays = [memory_view(argument, read) for argument in node.args]
        return np.array(node.op.evaluate(node, arrays), order="C").reshape(-1)
    arrays = [argument_array(argument, read) for argument in node.args]
    with np.errstate(all="ignore"):
        result = node.op.evaluate(node, arrays)
        result = dtypes.encode(result, node.dtype).reshape(-1)
    # A result that is a view of an argument's memory would alias it: values are immutable, so it is copied. A broadcast
    # of one element is read-only, and whoever owns the result may write to it.
    if not result.flags.writeable or (
        result.base is not None
        and any(np.may_share_memory(result, array) for array in arrays if isinstance(array, np.ndarray))
    ):
        result = result.copy()
    return result


def argument_array(argument: Any, read: Callable[[Node], np.ndarray] | None = None) -> Any:
    """An argument as numpy has it: a strided view for an operand, a typed scalar for a number."""
    if not hasattr(argument, "node"):
        return numpy_scalar(argument.value, argument.dtype)
    dtype = argument.dtype
    if dtype.computed is dtype.memory:
        return memory_view(argument, read)
    if numel(argument.shape) <= argument.node.size:
        return dtypes.decode(memory_view(argument, read), dtype)
    flat = read(argument.node) if read is not None else argument.node.buffer
    return strided(dtypes.decode(flat, dtype), argument.shape, argument.strides, argument.offset)


def memory_view(argument: Any, read: Callable[[Node], np.ndarray] | None = None) -> np.ndarray:
    """The elements of an operand as they lie in memory."""
    flat = read(argument.node) if read is not None else argument.node.buffer
    return strided(flat, argument.shape, argument.strides, argument.offset)


def numpy_scalar(value: Any, dtype) -> Any:
    """A number as numpy computes with it in `dtype`: rounded to the dtype's values."""
    if dtype.kind in ("int", "uint"):
        return np.array(int(value) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64).astype(dtype.numpy)[()]
    with np.errstate(all="ignore"):
        if dtype.computed is not dtype.memory:
            return dtypes.rounded(value, dtype)[()]
        return dtype.numpy.type(value)


def strided(flat: np.ndarray, shape: tuple, strides: tuple, offset: int) -> np.ndarray:
    """The view of a flat array that a tensor's shape, strides and offset (in elements) describe."""
    size = flat.itemsize
    if 0 in shape:
        return np.empty(shape, flat.dtype)
    return np.ndarray(shape, flat.dtype, flat, offset * size, tuple(stride * size for stride in strides))


# ---- lazy: kernels on the GPU ---------------------------------------------------------------------------------------


def realize(nodes: Iterable[Node]) -> None:
    """Compute the pending ones among `nodes` and all they need; a function that is watched is computed at its end."""
    if capture.watching is not None and capture.active() is not None:
        return
    nodes = [node for node in nodes if node.buffer is None]
    if not nodes:
        return
    from . import plans
    from .backends import wgpu as backend

    with _lock:
        nodes = [node for node in nodes if node.buffer is None]  # another thread may have been faster
        if not nodes:
            return
        if _doubts:
            spread_doubts(nodes)
        device = backend.get_device()
        limits = limits_of(device)
        with held_back() as held:
            plans.realize(nodes, device, limits, held)


_limits_cache: tuple = (None, False, None)
_limits_listeners: list[Callable[[], None]] = []


def when_limits_change(listener: Callable[[], None]) -> None:
    """Have `listener` called when the device, or what it is believed to be able to do, is another."""
    _limits_listeners.append(listener)


def limits_of(device) -> Any:
    """The code generator's view of the device's limits; rebuilt when a test lowers them, and for reproducible kernels."""
    global _limits_cache
    mode = reproducible.settings["on"]
    if _limits_cache[0] is not device.limits or _limits_cache[1] is not mode:
        from .codegen import Limits

        known = device.limits
        for listener in _limits_listeners:
            listener()
        llvmpipe = device.is_cpu_adapter and str(device.info.get("device", "")).startswith("llvmpipe")
        limits = Limits(
            max_binding_size=known.max_binding_size // 256 * 256,
            max_storage_buffers=known.max_storage_buffers,
            max_workgroup_invocations=known.max_workgroup_invocations,
            max_workgroups_per_dimension=known.max_workgroups_per_dimension,
            max_params=16384,
            max_immediates=known.max_immediates,
            loop_budget=known.loop_budget,
            features=device.features,
            is_cpu=device.is_cpu_adapter,
            compiles_slowly=device.is_cpu_adapter,
            # llvmpipe divides by the processor's instructions, denormals included; SwiftShader flushes those, and GPUs
            # may be off by 2.5 ulp.
            exact_division=llvmpipe,
            # llvmpipe reads for each lane by itself, so that half as many reads take less time.
            wide_words=llvmpipe and "shader-int64" in device.features,
        )
        _limits_cache = (known, mode, reproducible.canonical(limits) if mode else limits)
    return _limits_cache[2]


def is_pending(node: Node | None) -> bool:
    return node is not None and node.buffer is None


def realize_pending() -> None:
    """Compute every live pending value: nothing recorded so far stays lazy."""
    with _lock:
        references, _recent[:] = list(_recent), []
        # No name but in the list of targets: whatever else holds a node counts as wanting it later (see `fuse.LATER`).
        realize([node for node in (each() for each in references) if is_pending(node) and node.is_live()])


class Doubt:
    """A check on which values depend: still to be looked at, or done, with the error that it ended in if any."""

    __slots__ = ("error", "pending")

    def __init__(self) -> None:
        self.pending = True
        self.error: BaseException | None = None


def add_check(node: Node, verdict: Callable[[Any], BaseException | None]) -> Doubt:
    """Have `node` read at the next read of any value; `verdict` turns what it holds into an error or None.

    This is how a kernel's findings (an index out of range) become exceptions without a read-back at every op. What is
    wrong if they do is said by `depends`.
    """
    with _lock:
        doubt = Doubt()
        _checks.append((node, verdict, doubt))
        return doubt


def depends(node: Node, *doubts: Doubt) -> None:
    """Have `node`, and all that will be computed from it, refuse to be read if one of these checks ends in an error."""
    open_ones = tuple(doubt for doubt in doubts if doubt.pending or doubt.error is not None)
    if open_ones:
        with _lock:
            _doubts[node] = (*_doubts.get(node, ()), *open_ones)


def doubts_of(nodes: Iterable[Node]) -> tuple[Doubt, ...]:
    """All checks on which some of these values depend."""
    return tuple(dict.fromkeys(doubt for node in nodes for doubt in _doubts.get(node, ())))


def spread_doubts(targets: Iterable[Node]) -> None:
    """What is pending depends on the checks that its arguments depend on. Settled, it has no arguments any more."""
    found: dict[int, Node] = {}
    stack = list(targets)
    while stack:
        node = stack.pop()
        if id(node) not in found and node.buffer is None:
            found[id(node)] = node
            stack += [argument.node for argument in node.args if hasattr(argument, "node")]
    for node in sorted(found.values(), key=lambda node: node.number):  # arguments come first
        sources = [node, *(argument.node for argument in node.args if hasattr(argument, "node"))]
        doubts = doubts_of(sources)
        if doubts:
            _doubts[node] = doubts


def asked(node: Node, question: tuple) -> Doubt | None:
    """The check that `remember` was told of for this question: a value never changes, so one check will do.

    A function that is being recorded asks anew: it will be run with other values."""
    return _asked.get(node, {}).get(question) if capture.watching is None else None


def remember(node: Node, question: tuple, doubt: Doubt) -> None:
    """Note that a check of `node` was added, and what it asks."""
    if capture.watching is None:
        with _lock:
            _asked.setdefault(node, {})[question] = doubt


def forget_checks() -> None:
    """Drop all checks, with the device whose memory they are about; whatever they asked will be asked again."""
    with _lock:
        _checks.clear()
        _asked.clear()
        _doubts.clear()


def read(node: Node, start: int = 0, count: int | None = None) -> np.ndarray:
    """The flat array of a node's elements as they lie in memory (see `dtypes`), or of `count` of them; on a GPU this
    computes, submits, waits and copies."""
    if capture.watching is not None:
        capture.value_read(node)
    if node.buffer is elsewhere.NO_DATA or node.device.type not in ("cpu", "webgpu"):
        flat = elsewhere.download(node)
        return flat if count is None else flat[start : start + count]
    if node.device.type == "cpu":
        if putting_off.compute is not None:
            putting_off.compute((node.operand(),))
        return node.buffer if count is None else node.buffer[start : start + count]
    if node.size == 0:
        return np.empty(0, node.dtype.memory)
    from .backends import wgpu as backend

    with _lock:
        realize([node, *(check for check, _, _ in _checks)])
        device = backend.get_device()
        raise_findings(device)
        for doubt in _doubts.get(node, ()):
            if doubt.error is not None:
                raise doubt.error.with_traceback(None)
        size = node.dtype.itemsize
        nbytes = node.nbytes if count is None else count * size
        return device.read(node.buffer, nbytes, start * size).view(node.dtype.memory)


def synchronize() -> None:
    """Compute what is pending and live, submit it and wait; then raise what the pending checks found."""
    from .backends import wgpu as backend

    with _lock:
        realize_pending()
        realize([check for check, _, _ in _checks])
        device = backend.get_device()
        device.sync()
        raise_findings(device)


def raise_findings(device) -> None:
    """Look at all checks, and raise the first error that one ended in. Those that could not be looked at, because of an
    interrupt or for want of memory, are kept for the next read. What depends on a check that ended in an error raises it
    whenever it is read."""
    if not _checks:
        return
    first = None
    while _checks:
        check, verdict, doubt = _checks[0]
        found = device.read(check.buffer, check.nbytes).view(check.dtype.memory)
        others, _checks[:] = _checks[1:], []  # the verdict may read, too
        try:
            doubt.error = verdict(found)
            doubt.pending = False
        finally:
            _checks[:0] = others
        first = first or doubt.error
    for node, doubts in list(_doubts.items()):
        wrong = tuple(doubt for doubt in doubts if doubt.error is not None)
        if wrong:
            _doubts[node] = wrong
        else:
            del _doubts[node]
    if first is not None:
        raise first


def elapsed(start: float) -> str:
    return f"{(time.perf_counter() - start) * 1e3:.3f} ms"
