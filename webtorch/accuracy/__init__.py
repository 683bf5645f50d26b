"""``python -m webtorch accuracy``: how far the float32 functions are from exact values, on the GPUs of this machine, on
numpy, and on PyTorch beside them.

`measure` says what is measured, `oracle` what it is compared with, `samples` where, `sources` on what, `walk` in which
order, and `report` writes it down.
"""

from __future__ import annotations

import argparse
import pathlib
import shlex
import sys
import time

from ..errors import DeviceError

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--ops", default="", metavar="NAMES", help="rows of the op table, separated by commas (default: all)"
    )
    parser.add_argument(
        "--exhaustive", action="store_true", help="all float32 numbers, for functions of one argument; resumable"
    )
    parser.add_argument(
        "--device", action="append", default=[], metavar="NAME", help="webgpu, cpu, or torch; may be repeated"
    )
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="NAME",
        help="the GPU whose name contains NAME; may be repeated",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="FILE",
        help="add the results to FILE.json, and write the page for FILE.md",
    )
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS", help="stop after this time")
    parser.add_argument("--quiet", action="store_true", help="no progress lines")


def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 when all was measured, 1 when the budget ended first, 2 when a name is unknown."""
    from . import report, walk
    from .oracle import rows
    from .sources import open_sources

    known = rows()
    ops = [name for name in options.ops.split(",") if name] or list(known)
    if options.exhaustive:
        given = options.ops
        ops = [name for name in ops if name not in known or known[name].inputs == 1 or given]
    for name in ops:
        if name not in known or (options.exhaustive and known[name].inputs != 1):
            kind = "a float32 row of one argument" if options.exhaustive else "a float32 row of one or two arguments"
            print(f"accuracy: {name} is not {kind}; the rows are {', '.join(known)}", file=sys.stderr)
            return 2

    def say(text: str) -> None:
        if not options.quiet:
            print(text, file=sys.stderr, flush=True)

    deadline = time.monotonic() + options.budget
    devices = options.device or ([] if options.adapter else [default_device()])
    finished = True
    try:
        with open_sources(devices, options.adapter) as sources:
            columns = {source.name: source.driver for source in sources}
            state = walk.State(sources)
            if options.exhaustive:
                say(f"where it goes on when it is stopped: {state.path}")
            command = shlex.join(["python", "-m", "webtorch", "accuracy", *sys.argv[2:]])
            for op in ops:
                if time.monotonic() > deadline:
                    finished = False
                    break
                if options.exhaustive:
                    records = walk.exhaustive(op, sources, state, deadline, say)
                else:
                    records = walk.sampled(op, sources)
                if records is None:
                    finished = False
                    break
                for name, record in records.items():
                    print(line(op, name, record), flush=True)
                if options.output:  # after each op, so that nothing is lost
                    results = report.merge(
                        report.read(options.output.with_suffix(".json")), columns, {op: records}, command
                    )
                    report.write(options.output, results)
    except DeviceError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    if not finished:
        say("the time is up; the same command goes on from here")
    return 0 if finished else 1


def default_device() -> str:
    """The GPU if there is one, be it a software one: that is what is worth measuring."""
    from ..devices import is_webgpu_available

    return "webgpu" if is_webgpu_available() else "cpu"


def line(op: str, name: str, record: object) -> str:
    """One result as a line of text."""
    from . import report
    from .measure import Record

    assert isinstance(record, Record)
    text = f"{op:16} {name:12} {report.number(record.worst):>10} ulp at {report.at(record) or '-':28} mean {record.mean:.4f}"
    text += f"  wrong {record.wrong}/{record.count}"
    if record.wrong:
        text += f" as at {record.wrong_at}"
    if record.flushed:
        text += f"  flushed {record.flushed}"
    if record.different:
        text += f"  differs {record.different} as at {record.different_at}"
    return text + f"  {record.digest[:12]}"
