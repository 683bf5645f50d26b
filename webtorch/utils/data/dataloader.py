"""`DataLoader`: batches of a dataset, made in this process or by workers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ... import random
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetching import Fetcher, Work
from .sampler import BatchSampler, RandomSampler, SequentialSampler, fresh_seed
from .workers import Crew, stop_workers

__all__ = ["DataLoader"]

FIXED = ("batch_size", "batch_sampler", "dataset", "drop_last", "persistent_workers", "sampler")


class Endless:
    """The sampler of streams: there are no numbers, only requests for more."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader:
    """Batches of `batch_size` items of a dataset, in the order of `sampler` (shuffled or sequential), one epoch per loop.

    `num_workers` processes fetch and collate `prefetch_factor` batches each in advance. They are fresh processes, never
    forks: the dataset, `collate_fn` and `worker_init_fn` are pickled, tensors of any device travel as arrays of the host,
    and what comes back is put on the default device. Where something cannot be pickled, or is defined in a program that
    a process cannot import without running it, the workers are threads, and a warning says why. Worker k has the seed
    of the epoch plus k.

    `pin_memory`, `pin_memory_device` and `multiprocessing_context` are accepted: WebGPU copies from any memory, and
    workers start in one way only. Raises ValueError for options that exclude each other; errors in a worker are raised
    in the loop with the worker's traceback, and RuntimeError when a worker dies or takes longer than `timeout` seconds.

    >>> import webtorch
    >>> data = webtorch.utils.data.TensorDataset(webtorch.arange(5))
    >>> [batch.tolist() for (batch,) in webtorch.utils.data.DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    _ready = False
    _crew: Crew | None = None

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable | None = None,
        multiprocessing_context: Any = None,
        generator: random.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor <= 0:
            raise ValueError("prefetch_factor option should be positive")
        if num_workers == 0 and multiprocessing_context is not None:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got num_workers=0"
            )
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        stream = isinstance(dataset, IterableDataset)
        if stream:
            if shuffle not in (False, None):
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}"
                )
            if sampler is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified sampler option, but got sampler={sampler}"
                )
            if batch_sampler is not None:
                raise ValueError(
                    "DataLoader with IterableDataset: expected unspecified batch_sampler option, but got "
                    f"batch_sampler={batch_sampler}"
                )
        shuffle = bool(shuffle)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if stream:
                sampler = Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._idle: list = []  # processes of passes that are over
        self._ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Iterable:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self) -> int:
        """The number of batches; for a stream, what its length says."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)  # type: ignore[arg-type]
        length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is not None:
            length = length // self.batch_size if self.drop_last else -(-length // self.batch_size)
        return length

    def __iter__(self) -> Iterator:
        return Pass(self)

    def crew(self, seed: int) -> Crew:
        """The workers, started if they do not persist from an earlier pass."""
        if self._crew is not None:
            return self._crew
        works = [
            Work(
                self.dataset, self._auto_collation, self.collate_fn, self.drop_last, self.worker_init_fn, number, self.num_workers
            )
            for number in range(self.num_workers)
        ]  # fmt: skip
        crew = Crew(works, seed, self.prefetch_factor, self.timeout, self._idle)
        if self.persistent_workers:
            self._crew = crew
        return crew

    def __getstate__(self) -> dict[str, Any]:
        return {name: [] if name == "_idle" else value for name, value in self.__dict__.items() if name != "_crew"}

    def __del__(self) -> None:
        if self._ready:
            crew, self._crew = self._crew, None
            stop_workers([*self._idle, *(crew.workers if crew is not None else [])])


class Pass:
    """One pass over a loader's data."""

    crew: Crew | None = None

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self.indices = iter(loader._index_sampler)
        seed = fresh_seed(loader.generator)  # drawn also without workers, so that their number changes no random order
        self.count = 0
        self.expected: int | None = None
        if isinstance(loader.dataset, IterableDataset) and hasattr(loader.dataset, "__len__"):
            self.expected = len(loader)
        if loader.num_workers:
            self.crew = loader.crew(seed)
            try:
                self.crew.begin(lambda: next(self.indices))
            except BaseException:
                self.give_up()
                raise
        else:
            self.fetcher = Fetcher(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)

    def __iter__(self) -> Pass:
        return self

    def __len__(self) -> int:
        return len(self.loader._index_sampler)  # type: ignore[arg-type]

    def __next__(self) -> Any:
        if self.loader.num_workers == 0:
            data = self.fetcher.fetch(next(self.indices))
        elif self.crew is None:
            raise StopIteration
        else:
            try:
                data = self.crew.next()
            except StopIteration:
                self.close()
                raise
            except BaseException:
                self.give_up()
                raise
        self.count += 1
        if self.expected is not None and self.count > self.expected:
            warnings.warn(
                f"Length of IterableDataset {self.loader.dataset} was reported to be {self.expected} (when accessing len(dataloader)), "
                f"but {self.count} samples have been fetched. For multiprocessing data-loading, this could be caused by not properly "
                "configuring the IterableDataset replica at each worker.",
                stacklevel=2,
            )
        return data

    def close(self) -> None:
        """The pass is over: workers that do not persist forget the dataset's copy when they get other work."""
        crew, self.crew = self.crew, None
        if crew is not None and crew is not self.loader._crew:
            self.loader._idle.extend(crew.release())

    def give_up(self) -> None:
        """Something went wrong: all workers end, and the next pass starts others."""
        crew, self.crew = self.crew, None
        if crew is not None:
            if self.loader._crew is crew:
                self.loader._crew = None
            crew.stop()

    def __del__(self) -> None:
        self.close()
