"""`python -m bench.costs`: what webtorch itself costs: importing it, recording, dispatching, reading and replaying an op.

What is compared takes turns within one run; each line printed is JSON, and is appended to the file of `python -m bench`.
Costs on webgpu are CPU time of the thread that runs Python, so that neither the machine's other work nor the driver's
threads count.
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
from collections.abc import Callable
from typing import Any

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


def thread_us(work: Callable[[], Any], after: Callable[[], Any], rounds: int = 40) -> float:
    """The least CPU time of this thread that `work()` takes, in microseconds; `after()` is not counted."""
    best = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        result = work()
        best = min(best, time.thread_time() - start)
        after()
        del result
    return best * 1e6


# Microseconds that may be spent; README.md says what has been reached.
TARGETS = {"record_us": 4, "stream_us": 12, "item_us": 60, "replay_us": 6}


def webgpu_costs(count: int = 1000) -> dict:
    """Microseconds of this thread's CPU time, on webgpu:

    record_us  for an elementwise op of 1024 elements that is only recorded
    stream_us  for each in a stream of such ops, recorded, fused, dispatched, submitted and waited for
    dispatch_us  for each in a stream of products of 4x4 matrices, which are a kernel each
    item_us    for `.item()` of a computed value
    replay_us  for each kernel of a compiled function, submission left out
    """
    x, y = (webtorch.rand(1024, device="webgpu") for _ in range(2))
    a, b = (webtorch.rand(4, 4, device="webgpu") / 3 for _ in range(2))

    def wait() -> None:
        webtorch.sync_device("webgpu")

    def additions() -> Any:
        value = x
        for _ in range(count):
            value = value + y
        return value

    def products(value: Any = a) -> Any:
        for _ in range(count):
            value = value @ b
        return value

    def waited(work: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            result = work()
            wait()
            return result

        return run

    one = (x[:1] + 1).reshape(())
    wait()
    compiled = webtorch.compile(products)
    found = {
        "record_us": thread_us(additions, lambda: None) / count,
        "stream_us": thread_us(waited(additions), wait) / count,
        "dispatch_us": thread_us(waited(products), wait) / count,
        "item_us": thread_us(one.item, wait),
    }
    for _ in range(3):
        compiled(a)
        wait()
    webtorch.webgpu.set_batch_threshold(1 << 30)  # nothing is submitted while the clock runs
    webtorch.webgpu.set_batch_delay(0)
    try:
        found["replay_us"] = thread_us(lambda: compiled(a), wait) / count
    finally:
        webtorch.webgpu.set_batch_threshold()
        webtorch.webgpu.set_batch_delay()
    return {"task": "webgpu costs", **{name: round(value, 2) for name, value in found.items()}, "targets": TARGETS}


def main() -> None:
    devices = ["cpu"] + (["webgpu"] if webtorch.is_webgpu_available() else [])
    facts = circumstances("webgpu" in devices)
    out = ROOT / "out" / "bench.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as lines:
        results = [import_seconds(), *map(modes, devices)] + ([webgpu_costs()] if "webgpu" in devices else [])
        for result in results:
            print(json.dumps(result))
            lines.write(json.dumps({**facts, **result}) + "\n")


if __name__ == "__main__":
    main()
