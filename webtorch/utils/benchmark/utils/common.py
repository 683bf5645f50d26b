"""What a `Timer` measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Measurement:
    """Times of a statement: each of `raw_times` is the seconds that `number_per_run` executions took.

    >>> Measurement(number_per_run=2, raw_times=[4.0, 2.0]).median
    1.5
    """

    number_per_run: int
    raw_times: list[float]
    stmt: str = "pass"
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    num_threads: int = 1
    metadata: dict = field(default_factory=dict)

    @property
    def times(self) -> list[float]:
        """Seconds per execution, one for each run."""
        return [seconds / self.number_per_run for seconds in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        """The median of `times`."""
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """The distance of the quartiles of `times`; 0 for a single one."""
        if len(self.raw_times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return high - low

    def __repr__(self) -> str:
        title = ": ".join(part for part in (self.label, self.sub_label or self.stmt, self.description) if part)
        seconds = self.median
        unit, scale = next(
            (unit for unit in (("s", 1), ("ms", 1e3), ("us", 1e6)) if seconds * unit[1] >= 1), ("ns", 1e9)
        )
        runs = f"{len(self.raw_times)} runs of {self.number_per_run}, {self.num_threads} thread(s)"
        return f"<Measurement {title}: {seconds * scale:.2f} {unit} ({runs})>"
