"""The bench's side of a contender's process, in Python: orders come in as lines of JSON, each is answered with one.

{"task": name, "inputs": [{"file", "shape", "dtype"}, ...], "mode": text}   makes a task ready and runs it once
{"check": 3}                       three more runs, and what the last one gave: its mean magnitude and last element
{"run": seconds}                   runs, at least one, until the time is over; answers with the times in ms, and the process's CPU times
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


class NotOffered(Exception):
    """The library has no way to do the task."""


def load(inputs: list[dict[str, Any]]) -> list[np.ndarray]:
    return [np.fromfile(each["file"], each["dtype"]).reshape(each["shape"]) for each in inputs]


def summary(result: Any) -> dict[str, float]:
    """What is compared: results that lack a part, or whose end is missing, differ in one of these."""
    flat = np.asarray(result).astype(np.float64).ravel()
    return {"mean": float(np.abs(flat).mean()), "last": float(flat[-1])}


def serve(facts: dict[str, Any], prepare: Callable[..., tuple[Callable, Callable]], first: Callable[[], Any]) -> None:
    """Answer until there are no more orders.

    `prepare(task, arrays, mode)` returns a function that does the task once and comes back when it is done, and one that
    makes an array of what that function gave. `first()` is a product of two 2x2 matrices of ones.
    """
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints does not mix with the answers

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    if sys.argv[-1] == "first":
        answer(value=float(first()))
        return  # what libraries do when a process ends, as to keep what the next one starts with, is theirs to do
    answer(**facts)
    run: Any = None
    whole: Any = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "task" in order:
                run = whole = None
                gc.collect()
                run, whole = prepare(order["task"], load(order["inputs"]), order["mode"])
                start = time.perf_counter()
                run()
                answer(cold_ms=(time.perf_counter() - start) * 1e3)
            elif "check" in order:
                for _ in range(order["check"]):
                    result = run()
                answer(**summary(whole(result)))
                result = None
            elif "run" in order:
                times: list[float] = []
                spent: list[float] = []
                while not times or sum(times) < order["run"] * 1e3:
                    start, spent_before = time.perf_counter(), time.process_time()
                    result = run()
                    times.append((time.perf_counter() - start) * 1e3)
                    spent.append((time.process_time() - spent_before) * 1e3)
                    result = None  # outside the time: memory is given back before the next run
                answer(ms=times, cpu_ms=spent)
        except NotOffered as reason:
            answer(not_offered=str(reason))
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}"[:500])
    os._exit(0)  # some of the libraries hang or crash at their end
