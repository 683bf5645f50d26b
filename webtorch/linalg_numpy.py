"""Linear algebra that numpy has not, on stacks of matrices: LU and LDL factors, triangular systems, failing Choleskys."""

from __future__ import annotations

import numpy as np

BLOCK = 32  # columns that are factorised one by one before the rest is brought up to date by a product


def lu(x: np.ndarray, pivot: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The factors in one stack, and for each step the row (from 0) that was swapped with its own.

    >>> packed, pivots = lu(np.array([[[0.0, 2.0], [4.0, 1.0]]]))
    >>> packed[0].tolist(), pivots[0].tolist()
    ([[4.0, 1.0], [0.0, 2.0]], [1, 1])
    """
    a = np.array(x)
    count, m, n = a.shape
    steps = min(m, n)
    pivots = np.tile(np.arange(steps), (count, 1))
    every = np.arange(count)
    for start in range(0, steps, BLOCK):
        stop = min(start + BLOCK, steps)
        for k in range(start, stop):
            if pivot:
                column = a[:, k:, k]
                # Of complex numbers LAPACK compares the sums of the sizes of their parts.
                size = np.abs(column.real) + np.abs(column.imag) if a.dtype.kind == "c" else np.abs(column)
                best = np.argmax(np.where(np.isnan(size), -1.0, size), axis=1) + k
                pivots[:, k] = best
                own = a[every, k].copy()
                a[every, k] = a[every, best]
                a[every, best] = own
            divisor = a[:, k, k][:, None]
            a[:, k + 1 :, k] = np.where(
                divisor != 0, a[:, k + 1 :, k] / np.where(divisor != 0, divisor, 1), a[:, k + 1 :, k]
            )
            a[:, k + 1 :, k + 1 : stop] -= a[:, k + 1 :, k, None] * a[:, None, k, k + 1 : stop]
        if stop < n:
            lower = a[:, start:stop, start:stop]
            a[:, start:stop, stop:] = solve_triangular(lower, a[:, start:stop, stop:], upper=False, unit=True)
            a[:, stop:, stop:] -= a[:, stop:, start:stop] @ a[:, start:stop, stop:]
    return a, pivots


def permutation(pivots: np.ndarray, rows: int) -> np.ndarray:
    """Where each row comes from after the swaps, one after the other."""
    order = np.tile(np.arange(rows), (len(pivots), 1))
    every = np.arange(len(pivots))
    for k in range(pivots.shape[1]):
        own = order[:, k].copy()
        order[:, k] = order[every, pivots[:, k]]
        order[every, pivots[:, k]] = own
    return order


def solve_triangular(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """The solution x of a x = b, reading one triangle of `a` only (without its diagonal when that is `unit`)."""
    x = np.array(np.broadcast_to(b, np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:]))
    n = a.shape[-1]
    starts = list(range(0, n, BLOCK))
    for start in reversed(starts) if upper else starts:
        stop = min(start + BLOCK, n)
        rows = range(stop - 1, start - 1, -1) if upper else range(start, stop)
        for i in rows:
            inner = slice(i + 1, stop) if upper else slice(start, i)
            x[..., i, :] -= (a[..., i, None, inner] @ x[..., inner, :])[..., 0, :]
            if not unit:
                x[..., i, :] /= a[..., i, i, None]
        outer = slice(0, start) if upper else slice(stop, n)
        x[..., outer, :] -= a[..., outer, start:stop] @ x[..., start:stop, :]
    return x


def cholesky(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower factors from the lower triangles, and for each matrix the first leading minor that is not positive, or 0."""
    lower = np.tril(x)
    whole = lower + np.conj(np.swapaxes(np.tril(x, -1), -1, -2))
    info = np.zeros(x.shape[:-2], np.int64)
    try:
        return np.linalg.cholesky(whole), info
    except np.linalg.LinAlgError:
        pass
    result = np.zeros_like(x)
    for place in np.ndindex(*x.shape[:-2]):
        try:
            result[place] = np.linalg.cholesky(whole[place])
        except np.linalg.LinAlgError:
            info[place] = first_bad_minor(whole[place])
            size = int(info[place]) - 1
            result[place] = lower[place]
            result[place][:size, :size] = np.linalg.cholesky(whole[place][:size, :size]) if size else 0
    return result, info


def first_bad_minor(x: np.ndarray) -> int:
    for size in range(1, len(x) + 1):
        try:
            np.linalg.cholesky(x[:size, :size])
        except np.linalg.LinAlgError:
            return size
    return len(x)
