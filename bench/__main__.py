"""`python -m bench [name ...]`: webtorch on each device beside numpy, and PyTorch where it is installed.

The contenders take turns, run by run, so that whatever else the machine does falls on all of them alike. A run ends when
its result is in memory. Printed is the median of each, and how many times numpy's time it takes; every line of the table
is also appended as JSON to a file, with what is needed to compare it later.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import webtorch
from bench.tasks import TASKS, Task

ROOT = pathlib.Path(__file__).resolve().parents[1]


def contenders(wanted: list[str]) -> list[str]:
    names = ["numpy", "webtorch cpu"]
    if webtorch.is_webgpu_available():
        names.append("webtorch webgpu")
    if importlib.util.find_spec("torch") is not None:
        names.append("torch")
    return [name for name in names if not wanted or name.split()[-1] in wanted]


def prepare(task: Task, contender: str, arrays: list[np.ndarray]) -> Callable[[], Any]:
    """A function that does the task once and comes back when it is done."""
    if contender == "numpy":
        return lambda: task.numpy(*arrays)
    if contender == "torch":
        import torch

        tensors = [torch.from_numpy(array) for array in arrays]
        return lambda: task.tensors(torch, *tensors)
    device = contender.split()[1]
    values = [webtorch.tensor(array, device=device) for array in arrays]

    def run() -> Any:
        result = task.tensors(webtorch, *values)
        webtorch.sync_device(device)  # nothing is left pending
        return result

    return run


def as_array(result: Any) -> np.ndarray:
    result = result[0] if isinstance(result, list) else result
    return result if isinstance(result, (np.ndarray, np.generic)) else result.detach().numpy()


def measure(task: Task, names: list[str], seconds: float) -> dict[str, dict[str, Any]]:
    """Times in ms by contender: the first run, then the median and the best of the others."""
    arrays = task.inputs()
    expected = np.asarray(task.numpy(*arrays))
    runs, cold, times = {}, {}, {name: [] for name in names}
    for name in names:
        runs[name] = prepare(task, name, arrays)
        start = time.perf_counter()
        result = runs[name]()
        cold[name] = time.perf_counter() - start
        np.testing.assert_allclose(
            as_array(result), expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max(), err_msg=name
        )
        del result
    begin = time.perf_counter()
    while min(map(len, times.values())) < 5 or time.perf_counter() - begin < seconds:
        for name in names:
            start = time.perf_counter()
            result = runs[name]()
            times[name].append(time.perf_counter() - start)
            del result  # outside the time: memory is given back before the next turn
    return {
        name: {
            "median_ms": round(statistics.median(times[name]) * 1e3, 4),
            "min_ms": round(min(times[name]) * 1e3, 4),
            "cold_ms": round(cold[name] * 1e3, 4),
            "runs": len(times[name]),
        }
        for name in names
    }


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


def circumstances(names: list[str]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "commit": commit(), "webtorch": webtorch.__version__, "python": platform.python_version(), "numpy": np.__version__,
        "system": platform.platform(), "cores": os.cpu_count(), "adapter": None, "driver": None,
    }  # fmt: skip
    if "webtorch webgpu" in names:
        from webtorch.backends.wgpu import get_device

        info = get_device().info
        known["adapter"] = info.get("device")
        known["driver"] = " ".join(str(info[key]) for key in ("backend_type", "description") if info.get(key))
    return known


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(task.name for task in TASKS)}; default: all"
    )
    parser.add_argument("--only", nargs="+", default=[], choices=["numpy", "cpu", "webgpu", "torch"], help="contenders")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each task is repeated")
    parser.add_argument(
        "--out", type=pathlib.Path, default=ROOT / "out" / "bench.jsonl", help="JSON lines are appended here"
    )
    options = parser.parse_args()
    unknown = set(options.names) - {task.name for task in TASKS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(task.name for task in TASKS)}")
    names = contenders(options.only)
    facts = circumstances(names)
    print(
        "  ".join(f"{key}: {value}" for key, value in facts.items() if key in ("commit", "adapter", "driver", "cores"))
    )
    print(f"{'task':<14}{'contender':<18}{'median ms':>11}{'best ms':>11}{'first ms':>11}  {'speed':<20}times numpy's")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a", encoding="utf-8") as lines:
        for task in TASKS:
            if options.names and task.name not in options.names:
                continue
            results = measure(task, names, options.seconds)
            for name, result in results.items():
                speed = task.work / result["median_ms"] * 1e3
                ratio = f"{result['median_ms'] / results['numpy']['median_ms']:.2f}" if "numpy" in results else ""
                print(f"{task.name:<14}{name:<18}{result['median_ms']:>11.3f}{result['min_ms']:>11.3f}{result['cold_ms']:>11.3f}"
                      f"  {f'{speed:,.1f} {task.unit}/s':<20}{ratio}", flush=True)  # fmt: skip
                load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                row = {
                    "task": task.name,
                    "contender": name,
                    **result,
                    "speed": round(speed, 3),
                    "unit": f"{task.unit}/s",
                }
                lines.write(json.dumps({**row, **facts, "load": load, "time": now}) + "\n")


if __name__ == "__main__":
    main()
