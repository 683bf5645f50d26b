"""`python -m bench [name ...]`: webtorch on each device beside numpy, PyTorch and the other WebGPU libraries installed.

Each contender is a process of its own, on the same adapter, and they take turns, so that whatever else the machine does
falls on all of them alike. A run ends when its result is computed and read; results are compared with numpy's before
anything is timed. Printed are the median and the best of each, and for each task how many times webtorch's time the best
WebGPU library takes; every line of the table is also appended as JSON to a file, with what is needed to compare it later.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time
from typing import Any

import numpy as np

import webtorch
from bench.contenders import ALL, ROOT, Child, Contender, Failure, command
from bench.tasks import TASKS, Task

FIRST = "first-result"


def commit() -> str:
    """The commit that is measured, with a + when files were changed since."""
    try:
        name = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        changes = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return f"version {webtorch.__version__}"
    return name.stdout.strip() + "+" * bool(changes.returncode)


def circumstances(on_gpu: bool) -> dict[str, Any]:
    known: dict[str, Any] = {
        "commit": commit(), "webtorch": webtorch.__version__, "python": platform.python_version(), "numpy": np.__version__,
        "system": platform.platform(), "cores": os.cpu_count(), "adapter": None, "driver": None,
    }  # fmt: skip
    if on_gpu:
        from webtorch.backends.wgpu import get_device

        info = get_device().info
        known["adapter"] = info.get("device")
        known["driver"] = " ".join(str(info[key]) for key in ("backend_type", "description") if info.get(key))
    return known


class Table:
    """The contenders' processes, and what they answered."""

    def __init__(
        self, contenders: list[Contender], seconds: float, folder: pathlib.Path, patience: float = 120.0
    ) -> None:
        self.patience = patience  # seconds that an answer may take
        self.contenders, self.seconds, self.folder = contenders, seconds, folder
        self.children: dict[str, Child] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []

    def child(self, contender: Contender) -> Child:
        known = self.children.get(contender.name)
        if known is None or not known.alive:
            known = self.children[contender.name] = Child(contender)
            self.facts[contender.name] = known.hear(self.patience)
        return known

    def write(self, arrays: list[np.ndarray]) -> list[dict[str, Any]]:
        described = []
        for number, array in enumerate(arrays):
            file = self.folder / f"input-{number}.bin"
            array.tofile(file)
            described.append({"file": str(file), "shape": array.shape, "dtype": array.dtype.name})
        return described

    def check(self, task: Task, contender: Contender, child: Child, expected: np.ndarray) -> None:
        found = child.ask(self.patience, check=3 if task.compiled else 1)
        scale = float(np.abs(expected).max())
        if self.facts[contender.name].get("reads") == "first row":
            expected = expected[:1] if expected.ndim == 2 else expected
        wanted = {"mean": float(np.abs(expected).mean()), "last": float(expected.ravel()[-1])}
        for what, value in wanted.items():
            if found[what] is None or not abs(found[what] - value) <= 2e-3 * abs(value) + 1e-4 * scale:
                raise Failure(f"wrong result: {what} {found[what]} instead of {value:.7g}")

    def measure(self, task: Task) -> dict[str, dict[str, Any]]:
        """Times in ms by contender: the first run, then the median and the best of the others, and the least CPU time."""
        arrays = task.inputs()
        inputs = self.write(arrays)
        reference = task.numpy(*arrays)
        for _ in range(4):  # the run that makes ready, and three more
            expected = np.asarray(reference()).astype(np.float64)
        del reference, arrays
        cold: dict[str, float] = {}
        times: dict[str, list[float]] = {}
        spent: dict[str, list[float]] = {}
        taking_part: list[Contender] = []
        for contender in self.contenders:
            try:
                child = self.child(contender)
                answer = child.ask(self.patience, task=task.name, inputs=inputs, mode=contender.mode)
                if "not_offered" in answer:
                    continue
                cold[contender.name] = answer["cold_ms"]
                self.check(task, contender, child, expected)
                taking_part.append(contender)
                times[contender.name] = []
                spent[contender.name] = []
            except Failure as failure:
                self.notes.append(f"{task.name}: {contender.name} left out: {failure}")
        begin = time.perf_counter()
        budget = self.seconds * max(len(taking_part), 1)
        while taking_part:
            for contender in list(taking_part):
                try:
                    answer = self.child(contender).ask(self.patience, run=self.seconds / 8)
                    times[contender.name] += answer["ms"]
                    spent[contender.name] += answer["cpu_ms"]
                except (Failure, KeyError) as failure:
                    self.notes.append(f"{task.name}: {contender.name} left out: {failure}")
                    taking_part.remove(contender)
                    times.pop(contender.name)
            if time.perf_counter() - begin >= budget and min(map(len, times.values()), default=9) >= 3:
                break
        return {name: summary(values, cold[name], spent[name]) for name, values in times.items()}

    def first_results(self) -> dict[str, dict[str, Any]]:
        """ms from the start of a process to the product of two 2x2 matrices: import, adapter and first kernel included."""
        times: dict[str, list[float]] = {}
        for number in range(4):
            for contender in self.contenders:
                if contender.mode in ("compile", "lazy", "eager") or (number and contender.name not in times):
                    continue
                start = time.perf_counter()
                try:
                    child = Child(contender, "first")
                    value = child.hear(self.patience)["value"]
                    if abs(value - 2) > 1e-5:
                        raise Failure(f"wrong result: {value} instead of 2")
                    times.setdefault(contender.name, []).append((time.perf_counter() - start) * 1e3)
                    child.process.wait(10)
                except (Failure, subprocess.TimeoutExpired) as failure:
                    self.notes.append(f"{FIRST}: {contender.name} left out: {failure}")
                    times.pop(contender.name, None)
        return {name: summary(values[1:] or values, values[0]) for name, values in times.items()}

    def end(self) -> None:
        for child in self.children.values():
            child.end()


def summary(times: list[float], cold: float, spent: list[float] | None = None) -> dict[str, Any]:
    return {
        "median_ms": round(statistics.median(times), 4),
        "min_ms": round(min(times), 4),
        "cold_ms": round(cold, 4),
        "cpu_ms": round(min(spent), 4) if spent else None,
        "runs": len(times),
    }


def comparison(results: dict[str, dict[str, Any]], groups: dict[str, str]) -> dict[str, Any]:
    """The best WebGPU library beside webtorch's webgpu device: by the best runs, which other work disturbs least, and by
    the CPU time of all threads, which on a software adapter is nearly all the work there is."""

    def best(group: str, key: str) -> tuple[float, str]:
        found = [(r[key], name) for name, r in results.items() if groups[name] == group and r[key] is not None]
        return min(found, default=(0.0, ""))

    compared: dict[str, Any] = {}
    for key, prefix in (("min_ms", ""), ("cpu_ms", "cpu_")):
        (ours, our_name), (theirs, their_name) = best("webgpu", key), best("peers", key)
        if ours and theirs:
            compared |= {f"{prefix}best_peer": their_name, f"{prefix}best_webtorch": our_name}
            compared[f"{prefix}ratio"] = round(theirs / ours, 2)
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    known = [task.name for task in TASKS] + [FIRST]
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(known)}; default: all")
    groups = ["numpy", "cpu", "webgpu", "torch", "peers"]
    parser.add_argument("--only", nargs="+", default=groups, choices=groups, help="contenders")
    parser.add_argument("--peer", nargs="+", metavar="name", help="of the peers these only")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds after which a contender is left out")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each contender repeats each task")
    parser.add_argument(
        "--out", type=pathlib.Path, default=ROOT / "out" / "bench.jsonl", help="JSON lines are appended here"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    wanted = [c for c in ALL if c.group in options.only]
    if options.peer:
        wanted = [c for c in wanted if c.group != "peers" or c.name in options.peer]
    taking_part = [contender for contender in wanted if command(contender) is not None]
    facts = circumstances(any(contender.group == "webgpu" for contender in taking_part))
    shown = {key: value for key, value in facts.items() if key in ("commit", "adapter", "driver", "cores")}
    print("  ".join(f"{key}: {value}" for key, value in shown.items()))
    absent = [contender.name for contender in wanted if contender not in taking_part]
    if absent:
        print(f"not installed, so left out: {', '.join(absent)}")
    print(f"{'task':<16}{'contender':<18}{'median ms':>11}{'best ms':>11}{'CPU ms':>11}{'first ms':>11}  speed at best")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a", encoding="utf-8") as lines, tempfile.TemporaryDirectory() as folder:
        table = Table(taking_part, options.seconds, pathlib.Path(folder), options.patience)
        try:
            for task in [*TASKS, None]:
                name = task.name if task else FIRST
                if options.names and name not in options.names:
                    continue
                results = table.measure(task) if task else table.first_results()
                report(name, task, results, table, facts, lines)
        finally:
            table.end()


def report(name: str, task: Task | None, results: dict, table: Table, facts: dict[str, Any], lines: Any) -> None:
    compared = comparison(results, {contender.name: contender.group for contender in table.contenders})
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    for contender, result in results.items():
        speed = task.work / result["min_ms"] * 1e3 if task else 0.0
        shown = f"{speed:,.1f} {task.unit}/s" if task else ""
        columns = "".join(f"{result[key] or 0:>11.3f}" for key in ("median_ms", "min_ms", "cpu_ms", "cold_ms"))
        print(f"{name:<16}{contender:<18}{columns}  {shown}")
        row = {"task": name, "contender": contender, **result}
        row |= {"speed": round(speed, 3), "unit": f"{task.unit}/s"} if task else {}
        child = {key: value for key, value in table.facts.get(contender, {}).items() if key != "reads"}
        row |= facts | {"version": child.get("version"), "own_adapter": child.get("adapter")}
        lines.write(json.dumps({**row, **compared, "load": load, "time": now}) + "\n")
    lines.flush()
    for prefix, what in (("", "as fast as"), ("cpu_", "less CPU time than")):
        if f"{prefix}ratio" in compared:
            ours, theirs = compared[f"{prefix}best_webtorch"], compared[f"{prefix}best_peer"]
            print(f"{name:<16}{ours}: {compared[f'{prefix}ratio']:.2f} times {what} {theirs}")
    for note in table.notes:
        print(f"  {note}")
    table.notes.clear()
    print(end="", flush=True)


if __name__ == "__main__":
    main()
