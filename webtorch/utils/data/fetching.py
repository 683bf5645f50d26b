"""What goes on in a worker, and in a loader without workers: items are fetched by their numbers and made into a batch."""

from __future__ import annotations

import dataclasses
import pickle
import threading
import traceback
from collections.abc import Callable
from typing import Any

from .dataset import IterableDataset

__all__ = ["WorkerInfo", "get_worker_info"]


@dataclasses.dataclass
class WorkerInfo:
    """What a worker knows of itself: its number `id`, `num_workers`, its `seed`, and its copy of the `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """The `WorkerInfo` of the worker that runs this; None outside of workers.

    >>> from webtorch.utils.data import get_worker_info
    >>> get_worker_info() is None
    True
    """
    return getattr(_here, "information", None)


def enter_worker(information: WorkerInfo) -> None:
    """Make this thread the given worker."""
    _here.information = information


class Fetcher:
    """Makes a batch (or, without batches, an item) of the numbers of its items; a stream's items come as they do."""

    def __init__(self, dataset: Any, batched: bool, collate_fn: Callable, drop_last: bool) -> None:
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.stream = iter(dataset) if isinstance(dataset, IterableDataset) else None
        self.ended = False

    def fetch(self, index: Any) -> Any:
        """The batch of these numbers. Raises StopIteration at the end of a stream."""
        if self.stream is None:
            return self.collate_fn(self.items(index) if self.batched else self.dataset[index])
        if not self.batched:
            return self.collate_fn(next(self.stream))
        if self.ended:
            raise StopIteration
        batch = []
        for _ in index:
            try:
                batch.append(next(self.stream))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and self.ended):
            raise StopIteration
        return self.collate_fn(batch)

    def items(self, indices: list) -> list:
        several = getattr(self.dataset, "__getitems__", None)
        return several(indices) if callable(several) else [self.dataset[index] for index in indices]


@dataclasses.dataclass
class Failure:
    """An exception of a worker, on its way to the loader."""

    name: str
    kind: type | None  # None where the class cannot be sent
    text: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        kind: type | None = type(error)
        try:
            pickle.loads(pickle.dumps(kind))
        except Exception:  # whatever keeps it from travelling
            kind = None
        return cls(type(error).__name__, kind, "".join(traceback.format_exception(error)))

    def reraise(self, where: str) -> None:
        """Raise an exception of the same class with the worker's traceback in its message."""
        message = f"Caught {self.name} {where}.\nOriginal {self.text}"
        if self.kind is None:
            raise RuntimeError(message)
        if issubclass(self.kind, KeyError):
            raise self.kind(Verbatim(message))
        try:
            error = self.kind(message)  # type: ignore[call-arg]
        except Exception:  # its class takes other arguments
            raise RuntimeError(message) from None
        raise error  # type: ignore[misc]


class Verbatim(str):
    """Text whose repr is the text: KeyError prints the repr of its argument."""

    def __repr__(self) -> str:
        return str(self)


@dataclasses.dataclass
class Work:
    """All that a worker needs to begin."""

    dataset: Any
    batched: bool
    collate_fn: Callable
    drop_last: bool
    worker_init_fn: Callable | None
    number: int
    num_workers: int


class Server:
    """A worker's answers: to (epoch, number, index) it says (epoch, number, "data" or "end" or "failure", value)."""

    def __init__(self, work: Work, base_seed: int, own_process: bool) -> None:
        self.work = work
        self.fetcher: Fetcher | None = None
        self.trouble: Failure | None = None
        self.epoch = -1
        try:
            enter_worker(WorkerInfo(work.number, work.num_workers, base_seed + work.number, work.dataset))
            if own_process:
                seed_everything(base_seed + work.number)
            if work.worker_init_fn is not None:
                work.worker_init_fn(work.number)
        except Exception as error:
            self.trouble = Failure.of(error)

    def answer(self, request: tuple) -> tuple:
        """What is asked for; errors are part of the answer."""
        epoch, number, index = request
        if self.trouble is not None:
            return epoch, number, "failure", self.trouble
        if epoch != self.epoch:
            self.epoch, self.fetcher = epoch, None
        try:
            if self.fetcher is None:
                work = self.work
                self.fetcher = Fetcher(work.dataset, work.batched, work.collate_fn, work.drop_last)
            return epoch, number, "data", self.fetcher.fetch(index)
        except StopIteration as stop:
            if self.fetcher is not None and self.fetcher.stream is not None:
                return epoch, number, "end", None
            return epoch, number, "failure", Failure.of(stop)
        except Exception as error:
            return epoch, number, "failure", Failure.of(error)


def seed_everything(seed: int) -> None:
    """Seed the generators of this process: webtorch's, Python's and numpy's."""
    import random

    import numpy

    from ...random import manual_seed

    manual_seed(seed)
    random.seed(seed)
    # With the two words of the seed alone numpy's generator would give the same numbers as Python's.
    numpy.random.seed([seed & 0xFFFFFFFF, seed >> 32, 1])
