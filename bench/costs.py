"""`python -m bench.costs`: what webtorch itself costs: importing it, and recording an op under each gradient mode.

The modes take turns within one run; each line printed is JSON, and is appended to the file of `python -m bench`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc

import webtorch
from bench.__main__ import ROOT, circumstances

IMPORT = """
import time
import numpy
start = time.perf_counter()
import webtorch
print(time.perf_counter() - start)
"""


def import_seconds() -> dict:
    """Seconds that `import webtorch` takes beyond numpy's import, with bytecode on disk: median of seven processes."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        command = [sys.executable, "-c", IMPORT]
        runs = [
            float(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout)
            for _ in range(8)
        ]
    return {
        "task": "import",
        "median_ms": round(statistics.median(runs[1:]) * 1e3, 2),
        "first_ms": round(runs[0] * 1e3, 2),
    }


def chain(x, count: int):
    for _ in range(count):
        x = x * x
    return x


def modes(device: str, count: int = 200, rounds: int = 60) -> dict:
    """Microseconds of Python for one recorded multiplication of ten elements, and bytes kept per op, under each mode."""
    x = webtorch.ones(10, device=device, requires_grad=True)
    scopes = {
        "recording": webtorch.enable_grad,
        "no_grad": webtorch.no_grad,
        "inference_mode": webtorch.inference_mode,
    }
    times: dict[str, list[float]] = {name: [] for name in scopes}
    for _ in range(rounds):
        for name, scope in scopes.items():
            with scope():
                start = time.perf_counter()
                result = chain(x, count)
                times[name].append((time.perf_counter() - start) / count)
            del result
    kept = {}
    for name, scope in scopes.items():
        with scope():
            tracemalloc.start()
            result = chain(x, count)
            webtorch.sync_device(device)
            kept[name] = round(tracemalloc.get_traced_memory()[0] / count)
            tracemalloc.stop()
            del result
    best = {name: round(min(values) * 1e6, 2) for name, values in times.items()}
    return {
        "task": "modes", "device": device, "us_per_op": best, "bytes_kept_per_op": kept,
        "ratio_to_recording": {name: round(value / best["recording"], 3) for name, value in best.items()},
    }  # fmt: skip


def main() -> None:
    names = ["numpy", "webtorch cpu"] + (["webtorch webgpu"] if webtorch.is_webgpu_available() else [])
    facts = circumstances(names)
    out = ROOT / "out" / "bench.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as lines:
        for result in (import_seconds(), *(modes(name.split()[1]) for name in names[1:])):
            print(json.dumps(result))
            lines.write(json.dumps({**facts, **result}) + "\n")


if __name__ == "__main__":
    main()
