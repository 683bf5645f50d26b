"""What the profiler recorded, and the forms it is shown in: events, averages by name, a table, a trace for a viewer."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "Interval"]


class Interval(NamedTuple):
    """A span of time, in microseconds since the profile began.

    >>> Interval(1.0, 3.5).elapsed_us()
    2.5
    """

    start: float
    end: float

    def elapsed_us(self) -> float:
        """Its length."""
        return self.end - self.start


def readable_time(microseconds: float) -> str:
    """A time for people.

    >>> readable_time(12.3456), readable_time(2_500), readable_time(3e6)
    ('12.346us', '2.500ms', '3.000s')
    """
    for unit, scale in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= scale:
            return f"{microseconds / scale:.3f}{unit}"
    return f"{microseconds:.3f}us"


def readable_bytes(count: int) -> str:
    """A byte count for people.

    >>> readable_bytes(12), readable_bytes(-2048)
    ('12 B', '-2.00 KB')
    """
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(count) >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count} B"


class _Times:
    """PyTorch's spellings of times and memory, for one event and for averages. ``cuda`` is its other word for device."""

    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total: float
    self_device_time_total: float
    cpu_memory_usage: int
    self_cpu_memory_usage: int
    device_memory_usage: int
    self_device_memory_usage: int
    count: int

    @property
    def cpu_time(self) -> float:
        """Microseconds per call, callees included."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        """Microseconds on the GPU per call, callees included."""
        return self.device_time_total / self.count if self.count else 0.0

    @property
    def cpu_time_str(self) -> str:
        """`cpu_time` for people."""
        return readable_time(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        """`cpu_time_total` for people."""
        return readable_time(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        """`self_cpu_time_total` for people."""
        return readable_time(self.self_cpu_time_total)

    @property
    def device_time_str(self) -> str:
        """`device_time` for people."""
        return readable_time(self.device_time)

    @property
    def device_time_total_str(self) -> str:
        """`device_time_total` for people."""
        return readable_time(self.device_time_total)

    @property
    def self_device_time_total_str(self) -> str:
        """`self_device_time_total` for people."""
        return readable_time(self.self_device_time_total)

    @property
    def cuda_time(self) -> float:
        """`device_time`."""
        return self.device_time

    @property
    def cuda_time_total(self) -> float:
        """`device_time_total`."""
        return self.device_time_total

    @property
    def self_cuda_time_total(self) -> float:
        """`self_device_time_total`."""
        return self.self_device_time_total

    @property
    def cuda_memory_usage(self) -> int:
        """`device_memory_usage`."""
        return self.device_memory_usage

    @property
    def self_cuda_memory_usage(self) -> int:
        """`self_device_memory_usage`."""
        return self.self_device_memory_usage


class FunctionEvent(_Times):
    """One thing that happened: an op call, a range of the program, a step of the engine, a kernel on the GPU.

    ``category`` is "op", "backward", "range", "runtime" or "kernel"; ``device_type`` is "cpu", or "webgpu" for
    kernels. Times are in microseconds since the profile began (`time_range`), memory is in bytes. A kernel belongs to
    the op (`cpu_parent`) that asked for what it computes, whenever it ran: the op's and its callers' device times count
    it.
    """

    count = 1

    def __init__(
        self, id: int, name: str, category: str, thread: int, start: int, parent: FunctionEvent | None
    ) -> None:
        self.id = id
        self.name = self.key = name
        self.category = category
        self.thread = thread
        self.start = start  # nanoseconds of perf_counter_ns, as `end`
        self.end = 0
        self.origin = 0  # when the profile began
        self.cpu_parent = parent
        self.previous = parent  # what was going on when it began, to which its end returns
        self.op: Any = None  # the row that is called
        self.marked = False  # shown to NVIDIA's tools
        self.cpu_children: list[FunctionEvent] = []
        self.kernels: list[FunctionEvent] = []
        self.input_shapes: list = []
        self.stack: list[str] = []
        self.arguments: dict[str, Any] = {}  # what else is known: shown in the trace
        self.self_cpu_memory_usage = 0
        self.self_device_memory_usage = 0
        self._totals: tuple | None = None

    @property
    def device_type(self) -> str:
        """Where it happened: "cpu" or "webgpu"."""
        return "webgpu" if self.category == "kernel" else "cpu"

    @property
    def is_user_annotation(self) -> bool:
        """Whether it is a range that the program named."""
        return self.category == "range"

    @property
    def duration(self) -> float:
        """Its length in microseconds."""
        return max(0, self.end - self.start) / 1e3

    @property
    def time_range(self) -> Interval:
        """When it happened."""
        start = (self.start - self.origin) / 1e3
        return Interval(start, start + self.duration)

    @property
    def cpu_time_total(self) -> float:  # type: ignore[override]
        """Microseconds on the CPU, callees included."""
        return 0.0 if self.category == "kernel" else self.duration

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        """Microseconds on the CPU without callees."""
        if self.category == "kernel":
            return 0.0
        # Callees in other threads or tasks may overlap.
        return max(0.0, self.duration - sum(child.duration for child in self.cpu_children))

    @property
    def self_device_time_total(self) -> float:  # type: ignore[override]
        """Microseconds on the GPU: of a kernel its own, of an op those of its kernels."""
        if self.category == "kernel":
            return self.duration
        return sum(kernel.duration for kernel in self.kernels)

    def totals(self) -> tuple[float, int, int]:
        """Device time, CPU memory and device memory, callees included."""
        if self._totals is None:
            # Callees have higher numbers than their callers; a stack instead of recursion.
            order, stack = [], [self]
            while stack:
                event = stack.pop()
                order.append(event)
                stack.extend(child for child in event.cpu_children if child._totals is None)
            for event in reversed(order):
                below = [child._totals or (0.0, 0, 0) for child in event.cpu_children]
                event._totals = (
                    event.self_device_time_total + sum(total[0] for total in below),
                    event.self_cpu_memory_usage + sum(total[1] for total in below),
                    event.self_device_memory_usage + sum(total[2] for total in below),
                )
        assert self._totals is not None
        return self._totals

    @property
    def device_time_total(self) -> float:  # type: ignore[override]
        """Microseconds on the GPU, callees included."""
        return self.totals()[0]

    @property
    def cpu_memory_usage(self) -> int:  # type: ignore[override]
        """Bytes of main memory taken less bytes given back, callees included."""
        return self.totals()[1]

    @property
    def device_memory_usage(self) -> int:  # type: ignore[override]
        """Bytes of GPU memory taken, callees included."""
        return self.totals()[2]

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent {self.name!r} {self.category} at {self.time_range.start:.1f}us for {self.duration:.1f}us, "
            f"device {self.device_time_total:.1f}us>"
        )


class FunctionEventAvg(_Times):
    """All events of one name (and shapes, or stack, when grouped by them) taken together: sums, and means per call."""

    def __init__(self, event: FunctionEvent, shapes: list, stack: list[str]) -> None:
        self.key = event.key
        self.category = event.category
        self.device_type = event.device_type
        self.is_user_annotation = event.is_user_annotation
        self.input_shapes = shapes
        self.stack = stack
        self.count = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0
        self.device_time_total = 0.0
        self.self_device_time_total = 0.0
        self.cpu_memory_usage = 0
        self.self_cpu_memory_usage = 0
        self.device_memory_usage = 0
        self.self_device_memory_usage = 0

    def add(self, event: FunctionEvent) -> None:
        """Count one more event. What an event of the same name called it within is not counted twice in the totals."""
        self.count += 1
        self.self_cpu_time_total += event.self_cpu_time_total
        self.self_device_time_total += event.self_device_time_total
        self.self_cpu_memory_usage += event.self_cpu_memory_usage
        self.self_device_memory_usage += event.self_device_memory_usage
        caller = event.cpu_parent
        while caller is not None and event.category != "kernel":
            if caller.key == event.key:
                return
            caller = caller.cpu_parent
        self.cpu_time_total += event.cpu_time_total
        self.device_time_total += event.device_time_total
        self.cpu_memory_usage += event.cpu_memory_usage
        self.device_memory_usage += event.device_memory_usage

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg {self.key!r} x {self.count} cpu_time={self.cpu_time_str} "
            f"self_cpu_time={self.self_cpu_time_total_str} device_time={self.device_time_str}>"
        )


# What a table can be sorted by: PyTorch's names, its newer and older ones, and the torch.js ones.
SORT_KEYS: dict[str, str] = {
    name: name
    for name in (
        "cpu_time", "cpu_time_total", "self_cpu_time_total", "device_time", "device_time_total", "self_device_time_total",
        "cpu_memory_usage", "self_cpu_memory_usage", "device_memory_usage", "self_device_memory_usage", "count",
    )
}  # fmt: skip
SORT_KEYS |= {name.replace("device", "cuda"): name for name in SORT_KEYS if "device" in name}
SORT_KEYS |= {name.replace("device", "webgpu"): name for name in SORT_KEYS if "device" in name}
SORT_KEYS |= {"duration": "duration", "name": "key", "key": "key"}


class EventList(list):
    """Events in the order they began, or averages of them; printed, it is a `table`.

    ``gpu_timing`` says how GPU times were taken: "timestamps", "timestamps around passes" or "wall time"; None when no
    kernel ran.
    """

    def __init__(
        self, events: Iterable = (), *, gpu_timing: str | None = None, trace: Callable[[], dict] | None = None
    ) -> None:
        super().__init__(events)
        self.gpu_timing = gpu_timing
        self._trace = trace

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """One `FunctionEventAvg` per name; with ``group_by_input_shape`` per name and shapes of the inputs (the profile
        must have been made with ``record_shapes=True``), with ``group_by_stack_n`` also per innermost lines of the
        program (``with_stack=True``)."""
        groups: dict[tuple, FunctionEventAvg] = {}
        for event in self:
            shapes = event.input_shapes if group_by_input_shape else []
            stack = event.stack[:group_by_stack_n] if group_by_stack_n else []
            key = (event.key, event.device_type, event.is_user_annotation, str(shapes), tuple(stack))
            group = groups.get(key)
            if group is None:
                group = groups[key] = FunctionEventAvg(event, shapes, stack)
            group.add(event)
        return EventList(groups.values(), gpu_timing=self.gpu_timing, trace=self._trace)

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds that the CPU spent in all of it."""
        return sum(event.self_cpu_time_total for event in self)

    @property
    def self_device_time_total(self) -> float:
        """Microseconds that the GPU spent in all of it: the kernels, each once."""
        return sum(event.self_device_time_total for event in self if event.device_type != "cpu")

    def total_average(self) -> FunctionEventAvg:
        """Everything as one average, named "Total"; needs events, not averages."""
        total = FunctionEventAvg(FunctionEvent(0, "Total", "op", 0, 0, None), [], [])
        for event in self:
            total.count += event.count
            total.self_cpu_time_total += event.self_cpu_time_total
            if event.device_type != "cpu":
                total.self_device_time_total += event.self_device_time_total
            total.self_cpu_memory_usage += event.self_cpu_memory_usage
            total.self_device_memory_usage += event.self_device_memory_usage
        total.cpu_time_total = total.self_cpu_time_total
        total.device_time_total = total.self_device_time_total
        total.cpu_memory_usage = total.self_cpu_memory_usage
        total.device_memory_usage = total.self_device_memory_usage
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The events or averages as text, the first ``row_limit`` of them (-1 for all).

        ``sort_by`` is "cpu_time", "cpu_time_total", "self_cpu_time_total", "device_time", "device_time_total",
        "self_device_time_total" (also with "cuda" or "webgpu" for "device"), "cpu_memory_usage", "device_memory_usage",
        their "self_" forms, "count", "duration" (the longer of CPU and GPU total) or "name"; the largest comes first,
        names in order; None keeps the order. ``time_unit`` is "us", "ms" or "s"; None chooses for each number.
        Columns that are zero everywhere are left out. Raises ValueError for other names.

        >>> print(EventList().table())
        nothing was recorded
        """
        rows = list(self)
        if top_level_events_only:
            rows = [row for row in rows if getattr(row, "cpu_parent", None) is None]
        if sort_by is not None:
            rows = sort_rows(rows, sort_by)
        if not rows:
            return "nothing was recorded"
        if time_unit not in (None, "us", "ms", "s"):
            raise ValueError(f"table(time_unit={time_unit!r}): give 'us', 'ms', 's', or None")
        cpu_total, device_total = self.self_cpu_time_total, self.self_device_time_total
        columns = table_columns(
            rows,
            cpu_total,
            device_total,
            time_unit,
            (max_name_column_width, max_shapes_column_width, max_src_column_width),
        )
        shown = rows if row_limit < 0 else rows[:row_limit]
        lines = layout(columns, shown)
        if header is not None:
            width = len(lines[0])
            lines = ["=" * width, header, *lines]
        if len(rows) > len(shown):
            lines.append(f"... {len(rows) - len(shown)} more rows")
        lines.append(f"Self CPU time total: {readable_time(cpu_total)}")
        if self.gpu_timing is not None:
            lines.append(f"Self GPU time total: {readable_time(device_total)} (by {self.gpu_timing})")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write the whole profile as a trace for https://ui.perfetto.dev or chrome://tracing, compressed if ``path``
        ends in ".gz"."""
        if self._trace is None:
            raise RuntimeError("export_chrome_trace: these events belong to no profile; call it on the profile")
        write_json(path, self._trace())


def sort_rows(rows: list, sort_by: str) -> list:
    """The rows, the largest first."""
    field = SORT_KEYS.get(sort_by)
    if field is None:
        from .errors import did_you_mean

        raise ValueError(
            f"table(sort_by={sort_by!r}): unknown.{did_you_mean(sort_by, SORT_KEYS)} The choices are "
            + ", ".join(repr(name) for name in SORT_KEYS)
        )
    if field == "key":
        return sorted(rows, key=lambda row: row.key)
    if field == "duration":
        return sorted(rows, key=lambda row: -max(row.cpu_time_total, row.device_time_total))
    return sorted(rows, key=lambda row: -getattr(row, field))


def table_columns(
    rows: list, cpu_total: float, device_total: float, unit: str | None, widths: tuple[int, int, int]
) -> list[tuple[str, Callable[[Any], str]]]:
    """The columns that these rows need: heading, and text of a row."""
    name_width, shapes_width, source_width = widths

    def time(value: float) -> str:
        if unit is None:
            return readable_time(value)
        return f"{value / {'us': 1, 'ms': 1e3, 's': 1e6}[unit]:.3f}{unit}"

    def share(value: float, total: float) -> str:
        return f"{100 * value / total:.2f}%" if total else "0.00%"

    def cut(text: str, width: int) -> str:
        return text if len(text) <= width else text[: max(0, width - 3)] + "..."

    columns: list[tuple[str, Callable[[Any], str]]] = [
        ("Name", lambda row: cut(row.key, name_width)),
        ("Self CPU %", lambda row: share(row.self_cpu_time_total, cpu_total)),
        ("Self CPU", lambda row: time(row.self_cpu_time_total)),
        ("CPU total %", lambda row: share(row.cpu_time_total, cpu_total)),
        ("CPU total", lambda row: time(row.cpu_time_total)),
        ("CPU time avg", lambda row: time(row.cpu_time)),
    ]
    if any(row.device_time_total or row.self_device_time_total for row in rows):
        columns += [
            ("Self GPU", lambda row: time(row.self_device_time_total)),
            ("Self GPU %", lambda row: share(row.self_device_time_total, device_total)),
            ("GPU total", lambda row: time(row.device_time_total)),
            ("GPU time avg", lambda row: time(row.device_time)),
        ]
    if any(row.cpu_memory_usage or row.self_cpu_memory_usage for row in rows):
        columns += [
            ("CPU Mem", lambda row: readable_bytes(row.cpu_memory_usage)),
            ("Self CPU Mem", lambda row: readable_bytes(row.self_cpu_memory_usage)),
        ]
    if any(row.device_memory_usage or row.self_device_memory_usage for row in rows):
        columns += [
            ("GPU Mem", lambda row: readable_bytes(row.device_memory_usage)),
            ("Self GPU Mem", lambda row: readable_bytes(row.self_device_memory_usage)),
        ]
    columns.append(("# of Calls", lambda row: str(row.count)))
    if any(row.input_shapes for row in rows):
        columns.append(("Input Shapes", lambda row: cut(str(row.input_shapes), shapes_width)))
    if any(row.stack for row in rows):
        columns.append(("Source Location", lambda row: cut(row.stack[0] if row.stack else "", source_width)))
    return columns


def layout(columns: list[tuple[str, Callable[[Any], str]]], rows: list) -> list[str]:
    """The lines of a table, rules above, below and under the head."""
    cells = [[heading for heading, _ in columns], *([text(row) for _, text in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    rule = "  ".join("-" * width for width in widths)
    lines = ["  ".join(text.rjust(width) for text, width in zip(line, widths)) for line in cells]
    return [rule, lines[0], rule, *lines[1:], rule]


# ---- trace ----------------------------------------------------------------------------------------------------------

GPU_PROCESS = 1_000_000_000  # the GPU's row of the trace: a process number that no process has
CATEGORIES = {
    "op": "cpu_op",
    "backward": "cpu_op",
    "range": "user_annotation",
    "runtime": "webtorch_runtime",
    "kernel": "kernel",
}


def chrome_trace(events: list[FunctionEvent], memory: list[tuple], about: dict[str, Any], adapter: str) -> dict:
    """The trace event format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

    One track per thread; the kernels on a track of their own, each joined by an arrow to what asked for it; GPU and CPU
    memory as counters. ``memory`` holds (nanoseconds, device, bytes in use then).
    """
    process = os.getpid()
    origin = events[0].origin if events else 0
    trace: list[dict] = [
        {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": "python"}},
        {"ph": "M", "name": "process_labels", "pid": process, "tid": 0, "args": {"labels": "CPU"}},
    ]
    for thread in sorted({event.thread for event in events if event.category != "kernel"}):
        trace.append(
            {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": f"thread {thread}"}}
        )
    if any(event.category == "kernel" for event in events):
        trace += [
            {"ph": "M", "name": "process_name", "pid": GPU_PROCESS, "tid": 0, "args": {"name": "GPU"}},
            {"ph": "M", "name": "process_labels", "pid": GPU_PROCESS, "tid": 0, "args": {"labels": adapter}},
        ]
    lanes: list[int] = []  # when the last kernel of each GPU track ended: kernels that overlap need several
    for event in events:
        on_gpu = event.category == "kernel"
        start = (event.start - origin) / 1e3
        arguments: dict[str, Any] = {"External id": event.id, **event.arguments}
        if event.input_shapes:
            arguments["Input Dims"] = event.input_shapes
        if event.stack:
            arguments["Call stack"] = event.stack
        track = {"pid": process, "tid": event.thread}
        if on_gpu:
            lane = next((number for number, end in enumerate(lanes) if end <= event.start), len(lanes))
            track = {"pid": GPU_PROCESS, "tid": lane + 1}
            if lane == len(lanes):
                lanes.append(0)
                trace.append({"ph": "M", "name": "thread_name", **track, "args": {"name": f"kernels {lane + 1}"}})
            lanes[lane] = event.end
        trace.append(
            {"ph": "X", "cat": CATEGORIES[event.category], "name": event.name, "ts": start, "dur": event.duration}
            | track
            | {"args": arguments}
        )
        if on_gpu and event.cpu_parent is not None:
            cause = event.cpu_parent
            arrow = {"cat": "ac2g", "name": "ac2g", "id": event.id}
            trace.append(arrow | {"ph": "s", "ts": (cause.start - origin) / 1e3, "pid": process, "tid": cause.thread})
            trace.append(arrow | {"ph": "f", "bp": "e", "ts": start} | track)
    for when, device, in_use in memory:
        counter = {"ph": "C", "name": f"{device} memory", "ts": (when - origin) / 1e3, "pid": process, "tid": 0}
        trace.append(counter | {"args": {"bytes": in_use}})
    return {"schemaVersion": 1, "displayTimeUnit": "ms", **about, "traceEvents": trace}


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write JSON, compressed if the name ends in ".gz"."""
    text = json.dumps(value)
    if os.fspath(path).endswith(".gz"):
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
