"""Datasets and functions of the tests of `webtorch.utils.data`, in a module that workers can import."""

import os
import random
import time

import numpy as np

import webtorch
from webtorch.utils.data import Dataset, IterableDataset, get_worker_info


class Numbered(Dataset):
    """Items that say which worker made them, and what its generators gave."""

    def __init__(self, count=10):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        information = get_worker_info()
        return {
            "index": index,
            "row": webtorch.tensor([float(index), 1.0]),
            "array": np.full(2, index, np.int32),
            "name": f"item {index}",
            "worker": -1 if information is None else information.id,
            "seed": -1 if information is None else information.seed % 1000,
            "random": (random.random(), webtorch.rand(()).item(), float(np.random.rand())),
        }


class Counted(IterableDataset):
    """0, 1, ..., shared out among the workers."""

    def __init__(self, count=10):
        self.count = count

    def __iter__(self):
        information = get_worker_info()
        start, step = (0, 1) if information is None else (information.id, information.num_workers)
        return iter(range(start, self.count, step))


class Broken(Dataset):
    """The item 5 is not to be had, for one reason or the other."""

    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            if self.how == "raise":
                raise KeyError("no item five")
            if self.how == "die":
                os._exit(3)
            if self.how == "sleep":
                time.sleep(60)
            if self.how == "result":
                return lambda: None
        return index


def as_they_are(batch):
    return batch


def first_item_is_the_worker(number):
    get_worker_info().dataset.count = 4 + number
