"""Large elementwise work on the cpu in blocks: what a block needs stays in the caches, and threads share the blocks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

BLOCK = 1 << 15  # elements: some arrays of this size fit a core's own cache
WORTH = 1 << 17  # below this many elements, one call for all of them is faster

_pool: Any = None
_lock = threading.Lock()


def forget_threads() -> None:
    """In a forked child the threads of the parent do not exist."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_threads)


def shared_out(work: Callable[[int, int], None], start: int, end: int, step: int) -> None:
    """Call `work(from, to)` for pieces of `start` ... `end` of `step` elements, on as many threads as may be used."""
    from .determinism import get_num_threads

    pieces = -(-(end - start) // step)
    threads = min(get_num_threads(), pieces)
    if threads <= 1:
        walk(work, start, end, step)
        return
    global _pool
    with _lock:
        if _pool is None:
            from concurrent.futures import ThreadPoolExecutor

            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="webtorch")
    share = -(-pieces // threads) * step
    others = [
        _pool.submit(walk, work, first, min(first + share, end), step) for first in range(start + share, end, share)
    ]
    walk(work, start, min(start + share, end), step)
    for other in others:
        other.result()


def walk(work: Callable[[int, int], None], start: int, end: int, step: int) -> None:
    with np.errstate(all="ignore"):  # each thread has a setting of its own
        for first in range(start, end, step):
            work(first, min(first + step, end))


def elementwise(function: Callable, arrays: list, shape: tuple[int, ...], size: int) -> np.ndarray | None:
    """`function(*arrays)` for a function of single elements; None where blocks would not help."""
    if size < WORTH:
        return None
    large = [isinstance(array, np.ndarray) and array.ndim > 0 for array in arrays]
    if not any(large) or any(each and array.shape != shape for each, array in zip(large, arrays, strict=True)):
        return None
    if all(array.flags.c_contiguous for each, array in zip(large, arrays, strict=True) if each):
        shape_of_all: tuple[int, ...] = (size,)
        step = BLOCK
        arrays = [array.reshape(-1) if each else array for each, array in zip(large, arrays, strict=True)]
    else:  # rows, or whatever the first dimension has: of broadcasts and turned matrices, too
        shape_of_all, step = shape, max(1, BLOCK // (size // shape[0]))
        if shape[0] < 4 * step or step * (size // shape[0]) > 4 * BLOCK:
            return None

    def part(start: int, end: int) -> np.ndarray:
        return function(*(one[start:end] if each else one for each, one in zip(large, arrays, strict=True)))

    first = part(0, step)
    result = np.empty(shape_of_all, first.dtype)
    result[:step] = first

    def store(start: int, end: int) -> None:
        result[start:end] = part(start, end)

    shared_out(store, step, len(result), step)
    return result.reshape(shape)


def copied(array: np.ndarray) -> np.ndarray:
    """The array in memory of its own, the last dimension's elements side by side.

    Of one that lies along another dimension, as a transposed matrix does, numpy would fetch a line of memory for each
    element. Here as many columns as a line holds are copied at a time.
    """
    width = 64 // array.itemsize
    turned = (
        array.ndim > 1
        and array.size >= WORTH
        and array.itemsize in (1, 2, 4, 8)
        and array.shape[-1] >= 4 * width
        and abs(array.strides[-1]) > array.itemsize
        and any(
            abs(stride) == array.itemsize and size >= 64
            for size, stride in zip(array.shape[:-1], array.strides[:-1], strict=True)
        )
    )
    if not turned:
        return np.array(array, order="C")
    result = np.empty(array.shape, array.dtype)

    def columns(start: int, end: int) -> None:
        result[..., start:end] = array[..., start:end]

    shared_out(columns, 0, array.shape[-1], width)
    return result


def rows(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """`function` of an array, for a function of single rows of the last dimension."""
    if x.size < WORTH or x.ndim < 2 or not x.flags.c_contiguous or x.shape[-1] > x.size // 4:
        return function(x)
    flat = x.reshape(-1, x.shape[-1])
    step = max(1, 2 * BLOCK // x.shape[-1])
    first = function(flat[:step])
    result = np.empty((len(flat), *first.shape[1:]), first.dtype)
    result[:step] = first

    def store(start: int, end: int) -> None:
        result[start:end] = function(flat[start:end])

    shared_out(store, step, len(flat), step)
    return result.reshape(x.shape)
