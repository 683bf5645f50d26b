"""`Timer`, made for tensors: a statement is warm before it is measured, and a run ends when the GPU is done."""

from __future__ import annotations

import time
import timeit as _timeit
from collections.abc import Callable
from typing import Any

from webtorch.devices import sync_device

from .common import Measurement


class Timer:
    """Measures `stmt`, Python source that sees the names in `globals`, after `setup` ran once.

    >>> timer = Timer("x + 1", globals={"x": 1})
    >>> timer.timeit(10).number_per_run
    10
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = time.perf_counter,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Timer: only a `str` stmt is supported")
        if str(language).lower().rsplit(".", 1)[-1] not in ("python", "py"):
            raise NotImplementedError(f"Timer(language={language!r}): statements are Python")
        names = {} if globals is None else dict(globals)
        import webtorch

        names.setdefault("torch", webtorch)
        self._timer = _timeit.Timer(stmt, setup, timer=self._when_done(timer), globals=names)
        self._about: dict[str, Any] = {
            "stmt": stmt, "label": label, "sub_label": sub_label, "description": description, "num_threads": num_threads,
        }  # fmt: skip

    @staticmethod
    def _when_done(timer: Callable[[], float]) -> Callable[[], float]:
        def now() -> float:
            sync_device()
            return timer()

        return now

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """The time of `number` executions in a row."""
        self._timer.timeit(max(number // 100, 2))
        return Measurement(number, [self._timer.timeit(number)], **self._about)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Raises NotImplementedError, as PyTorch does: use `blocked_autorange`."""
        raise NotImplementedError("Timer.repeat: use blocked_autorange(min_run_time)")

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """As many runs as fit into `min_run_time` seconds, each long enough to be measured well."""
        self._timer.timeit(2)
        number = 1
        while (seconds := self._timer.timeit(number)) < min_run_time / 1000 and number < 1 << 24:
            number *= 10
        times: list[float] = []
        while sum(times) < min_run_time:
            seconds = self._timer.timeit(number)
            times.append(seconds)
            if callback is not None:
                callback(number, seconds)
        return Measurement(number, times, **self._about)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: Any = None
    ) -> Measurement:
        """Runs until the distance of the quartiles is below `threshold` of the median, or for `max_run_time` seconds."""
        measured = self.blocked_autorange(callback, min_run_time)
        while sum(measured.raw_times) < max_run_time and (
            len(measured.raw_times) < 4 or measured.iqr > threshold * measured.median
        ):
            measured.raw_times.append(self._timer.timeit(measured.number_per_run))
        return measured
