"""Datasets: things with numbered items, streams of items, and what is made of other datasets."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ... import random
from ...tensor import Tensor

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset", "random_split",
]  # fmt: skip

Item = TypeVar("Item", covariant=True)


class Dataset(Generic[Item]):
    """The base of datasets with numbered items: subclasses define `__getitem__` and, for most samplers, `__len__`.

    A subclass may define `__getitems__(indices)`, which gives the items of a batch at once.

    >>> from webtorch.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index * index
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Any) -> Dataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Item]):
    """The base of streams: subclasses define `__iter__`.

    With several workers each goes through a copy of the stream; `get_worker_info` tells them apart.

    >>> from webtorch.utils.data import IterableDataset
    >>> class Three(IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(3))
    >>> list(Three() + Three())
    [0, 1, 2, 0, 1, 2]
    """

    def __iter__(self) -> Iterator:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Any) -> Dataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple]):
    """Rows of tensors that have the same size along their first dimension.

    >>> import webtorch
    >>> data = webtorch.utils.data.TensorDataset(webtorch.arange(3), webtorch.arange(3) * 2)
    >>> data[1]
    (tensor(1), tensor(2))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensor.size(0) != tensors[0].size(0) for tensor in tensors):
            sizes = [tensor.size(0) for tensor in tensors]
            raise AssertionError(f"Size mismatch between tensors: their first dimensions are {sizes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset):
    """Items that are tuples, or dicts, of the items of several datasets of one length.

    >>> from webtorch.utils.data import StackDataset
    >>> StackDataset("ab", [1, 2])[0], StackDataset(letter="ab", number=[1, 2])[1]
    (('a', 1), {'letter': 'b', 'number': 2})
    """

    datasets: tuple | dict

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or``dict``- (via ``kwargs``) like input/output"
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        parts = list(args) if args else list(kwargs.values())
        self._length = len(parts[0])
        if any(len(part) != self._length for part in parts):
            raise ValueError(f"Size mismatch between datasets: their lengths are {[len(part) for part in parts]}")
        self.datasets = args if args else kwargs

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: list) -> list:
        if isinstance(self.datasets, dict):
            columns = {name: items_of(dataset, indices) for name, dataset in self.datasets.items()}
            return [{name: column[place] for name, column in columns.items()} for place in range(len(indices))]
        return list(zip(*(items_of(dataset, indices) for dataset in self.datasets), strict=True))

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset):
    """Several datasets with numbered items, one after the other.

    >>> from webtorch.utils.data import ConcatDataset
    >>> both = ConcatDataset([[1, 2], [3]])
    >>> len(both), both[2], both[-1]
    (3, 3, 3)
    """

    def __init__(self, datasets: Iterable) -> None:
        self.datasets = list(datasets)
        assert len(self.datasets) > 0, "datasets should not be an empty iterable"
        for dataset in self.datasets:
            assert not isinstance(dataset, IterableDataset), "ConcatDataset does not support IterableDataset"
        self.cumulative_sizes = self.cumsum(self.datasets)

    @staticmethod
    def cumsum(sequence: Sequence) -> list[int]:
        """The number of items up to the end of each dataset."""
        return list(itertools.accumulate(len(dataset) for dataset in sequence))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        number = bisect.bisect_right(self.cumulative_sizes, index)
        if number == len(self.datasets):
            raise IndexError(f"index {index} is out of range for a ConcatDataset of {len(self)} items")
        return self.datasets[number][index - (self.cumulative_sizes[number - 1] if number else 0)]


class ChainDataset(IterableDataset):
    """Several streams, one after the other.

    >>> from webtorch.utils.data import ChainDataset, IterableDataset
    >>> class Two(IterableDataset):
    ...     def __iter__(self):
    ...         yield from (1, 2)
    >>> list(ChainDataset([Two(), Two()]))
    [1, 2, 1, 2]
    """

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator:
        for dataset in self.datasets:
            assert isinstance(dataset, IterableDataset), "ChainDataset only supports IterableDataset"
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)  # type: ignore[arg-type,misc]


class Subset(Dataset):
    """Some of a dataset's items, in the order of `indices`.

    >>> from webtorch.utils.data import Subset
    >>> list(Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[place] for place in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list:
        chosen = [self.indices[place] for place in indices]
        items = getattr(self.dataset, "__getitems__", None)
        return items(chosen) if callable(items) else [self.dataset[place] for place in chosen]

    def __len__(self) -> int:
        return len(self.indices)


def items_of(dataset: Any, indices: list) -> list:
    """The items of these numbers, by the dataset's `__getitems__` where it has one."""
    several = getattr(dataset, "__getitems__", None)
    if not callable(several):
        return [dataset[index] for index in indices]
    items = several(indices)
    if len(items) != len(indices):
        raise ValueError(
            f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(items)} from __getitems__"
        )
    return items


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: random.Generator | None = None
) -> list[Subset]:
    """Split a dataset at random into parts of these lengths, or of these fractions when they sum to 1.

    What fractions leave over goes to the first parts, one item each. Raises ValueError for lengths that do not sum to
    the dataset's, and for fractions outside [0, 1].

    >>> import webtorch
    >>> parts = webtorch.utils.data.random_split(range(10), [0.7, 0.3], webtorch.Generator().manual_seed(1))
    >>> [len(part) for part in parts]
    [7, 3]
    """
    counts: list[int]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for place, fraction in enumerate(lengths):
            if fraction < 0 or fraction > 1:
                raise ValueError(f"Fraction at index {place} is not between 0 and 1")
        counts = [math.floor(len(dataset) * fraction) for fraction in lengths]
        for place in range(len(dataset) - sum(counts)):
            counts[place % len(counts)] += 1
        for place, count in enumerate(counts):
            if count == 0:
                warnings.warn(
                    f"Length of split at index {place} is 0. This might result in an empty dataset.", stacklevel=2
                )
    else:
        counts = list(lengths)  # type: ignore[arg-type]
    if sum(counts) != len(dataset):
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset! They sum to {sum(counts)}, it has {len(dataset)}"
        )
    order = random.randperm(sum(counts), generator=generator, device="cpu").tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]
