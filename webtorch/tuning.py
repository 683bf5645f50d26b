"""Which variant of a kernel is the fastest on this adapter: measured once, kept on disk.

An op that has several kernels for the same work asks `choice` before it lowers a node. The default is taken until work
of that kind has come `PATIENCE` times; then the variants are run on numbers made up for it, each checked against the
default's result, and the fastest is remembered for the adapter and its driver. All of a process's tuning together stays
within a budget of seconds (WEBTORCH_TUNE_SECONDS, 0 turns tuning off). A file that cannot be read, or that is of another
adapter, driver or version of webtorch, is as good as none.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .files import cache_folder, write_atomically
from .version import __version__

PATIENCE = 16  # how often work of a kind has to come before it is worth a second of tuning
FORMAT = 1

_seen: dict[str, int] = {}  # how often work of a kind came that nothing is known of
_known: dict[str, str] | None = None  # the choices, once the file was read
_adapter: str | None = None  # whose they are
_spent = 0.0  # seconds of tuning so far
_busy = False
forced: dict[str, str] = {}  # op -> variant, see `force`


@contextlib.contextmanager
def force(op: str, variant: str) -> Iterator[None]:
    """For tests: have `op` take a variant, where it fits the work at hand."""
    from . import plans

    plans.forget()
    forced[op] = variant
    try:
        yield
    finally:
        del forced[op]
        plans.forget()


def budget() -> float:
    """The seconds that this process may spend on tuning."""
    try:
        return float(os.environ.get("WEBTORCH_TUNE_SECONDS", "5"))
    except ValueError:
        return 0.0


def path() -> pathlib.Path:
    return cache_folder() / "tuning.json"


def identity(device: Any) -> str:
    """The adapter, its driver and this version, in words: choices hold for nothing else."""
    info = device.info
    parts = [str(info.get(name, "")) for name in ("vendor", "device", "description", "backend_type")]
    return " | ".join([*parts, __version__])


def load(device: Any) -> dict[str, str]:
    """The choices for this adapter that the file holds."""
    global _known, _adapter
    name = identity(device)
    if _known is None or _adapter != name:
        _adapter, _known = name, {}
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            kept = json.loads(path().read_text(encoding="utf-8"))
            if kept["format"] == FORMAT:
                choices = kept["adapters"].get(name, {})
                _known = {str(kind): str(variant) for kind, variant in choices.items()}
    return _known


def save() -> None:
    """Write the choices, together with those of other adapters; a folder that cannot be written to is no harm."""
    with contextlib.suppress(OSError):
        adapters: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
            kept = json.loads(path().read_text(encoding="utf-8"))
            if kept["format"] == FORMAT:
                adapters = dict(kept["adapters"])
        adapters[_adapter or ""] = _known
        write_atomically(path(), json.dumps({"format": FORMAT, "adapters": adapters}, indent=1, sort_keys=True))


def forget() -> None:
    """Forget what is known in this process; the file stays."""
    global _known, _adapter, _spent
    _known = _adapter = None
    _spent = 0.0
    _seen.clear()


def choice(
    op: str, kind: str, variants: dict[str, float], default: str, run: Callable[[str], tuple[Callable, Callable]]
) -> tuple[str, bool]:
    """The variant to take for work of a kind, and whether that is settled: if not, ask again the next time.

    `variants` are names with the seconds that a driver takes to compile them; `run(variant)` prepares a trial: (do it
    once, read its result).
    """
    if op in forced and forced[op] in variants:
        return forced[op], True
    from .backends.wgpu import get_device

    device = get_device()
    known = load(device)
    name = f"{op} {kind}"
    if known.get(name) in variants:
        return known[name], True
    _seen[name] = _seen.get(name, 0) + 1
    if _busy or _spent >= budget() or len(variants) < 2:
        return default, True
    if _seen[name] < PATIENCE:
        return default, False
    best = measure(device, variants, default, run)
    if best is not None:
        known[name] = best
        save()
    return best or default, True


def measure(
    device: Any, variants: dict[str, float], default: str, run: Callable[[str], tuple[Callable, Callable]]
) -> str | None:
    """The fastest of the variants whose results are the default's, up to rounding; None when time ran out at once.

    A driver that compiles cannot be interrupted, so a variant that would probably take longer than what is left of the
    budget is not tried. What it would take is guessed from the seconds that its code costs elsewhere (`variants`), and
    from how much slower this machine was with those before.
    """
    global _spent, _busy
    start = time.perf_counter()
    _busy = True
    times: dict[str, float] = {}
    slower = 1.0
    try:
        device.sync()
        expected = None
        for variant in sorted(variants, key=lambda one: (one != default, variants[one])):
            left = budget() - _spent - (time.perf_counter() - start)
            if 2 * slower * variants[variant] > left:
                continue
            once, result = run(variant)
            began = time.perf_counter()
            once()
            got = result()
            first = time.perf_counter() - began
            if expected is None:
                expected = got
            elif not agree(got, expected):
                continue
            laps = []
            for _ in range(2):
                if time.perf_counter() - start + _spent > budget():
                    break
                lap = time.perf_counter()
                once()
                device.sync()
                laps.append(time.perf_counter() - lap)
            if laps:
                times[variant] = min(laps)
                slower = max(slower, (first - times[variant]) / variants[variant])
        return min(times, key=lambda one: times[one]) if len(times) > 1 else None
    finally:
        _busy = False
        _spent += time.perf_counter() - start


def agree(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two results are the same up to what another order of additions changes."""
    if got.dtype.kind != "f":
        return bool(np.array_equal(got, expected))
    scale = float(np.max(np.abs(expected), initial=0.0))
    return bool(np.all(np.abs(got - expected) <= 1e-4 * scale + 1e-30)) and bool(np.all(np.isfinite(got)))
