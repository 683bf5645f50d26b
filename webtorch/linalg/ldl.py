"""LDL factors of symmetric and Hermitian indefinite matrices, in LAPACK's form: on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes, host
from ..creation import leaf
from ..grad_mode import no_grad
from ..ops import matrix_history as history
from ..shapes import numel
from ..tensor import Tensor
from .checks import broadcast_batches, check_matrices, check_same, per_example, stacked, stored
from .factor import LDLFactor, LDLFactorEx, on_host

ALPHA = (1 + 17**0.5) / 8  # of Bunch and Kaufman: bounds the growth of the elements
WHY = "LDL factors are computed by numpy"


def size_of(x: np.ndarray) -> np.ndarray:
    """As LAPACK compares complex numbers: by the sum of the sizes of their parts."""
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def flipped(x: np.ndarray, hermitian: bool) -> np.ndarray:
    return x.conj().T if hermitian else x.T


def factored(x: np.ndarray, hermitian: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lower factors of a stack with D on the diagonal and below it, LAPACK's pivots, and the first zero pivot or 0."""
    count, n, _ = x.shape
    result, pivots, info = np.tril(x), np.zeros((count, n), np.int32), np.zeros(count, np.int32)
    for place in range(count):
        a = result[place]
        a += flipped(np.tril(a, -1), hermitian)
        if hermitian:
            np.fill_diagonal(a, a.diagonal().real)
        k = 0
        while k < n:
            size, other = pivot_of(a, k)
            if size == 0:
                info[place] = info[place] or k + 1
                pivots[place, k] = k + 1
                k += 1
                continue
            last = k + size - 1
            if other != last:  # only what is still to be factorised is swapped, as LAPACK does
                part = a[k:, k:]
                here, there = last - k, other - k
                part[[here, there]] = part[[there, here]]
                part[:, [here, there]] = part[:, [there, here]]
            pivots[place, k : last + 1] = other + 1 if size == 1 else -(other + 1)
            block, below = a[k : last + 1, k : last + 1], a[last + 1 :, k : last + 1].copy()
            factor = np.linalg.solve(block.T, below.T).T
            a[last + 1 :, last + 1 :] -= factor @ flipped(below, hermitian)
            a[last + 1 :, k : last + 1] = factor
            k += size
        result[place] = np.tril(a)
    return result, pivots, info


def pivot_of(a: np.ndarray, k: int) -> tuple[int, int]:
    """The size of the next block (0 when the column is zero), and the row that is swapped with its last."""
    below = size_of(a[k + 1 :, k])
    own = size_of(a[k, k])
    largest = below.max(initial=0.0)
    if max(own, largest) == 0:
        return 0, k
    if own >= ALPHA * largest:
        return 1, k
    row = k + 1 + int(below.argmax())
    others = size_of(a[row, k:]).copy()
    others[row - k] = 0
    most = others.max()
    if own * most >= ALPHA * largest * largest:
        return 1, k
    if size_of(a[row, row]) >= ALPHA * most:
        return 1, row
    return 2, row


def solved(factors: np.ndarray, pivots: np.ndarray, b: np.ndarray, hermitian: bool = False) -> np.ndarray:
    result = np.array(b)
    n = factors.shape[-1]
    for place in range(len(factors)):
        a, x = factors[place], result[place]
        starts, k = [], 0
        while k < n:
            size = 1 if pivots[place, k] > 0 else 2
            starts.append((k, size))
            k += size
        for k, size in starts:
            last, other = k + size - 1, abs(int(pivots[place, k])) - 1
            x[[last, other]] = x[[other, last]]
            x[last + 1 :] -= a[last + 1 :, k : last + 1] @ x[k : last + 1]
            block = a[k : last + 1, k : last + 1]
            x[k : last + 1] = np.linalg.solve(block + flipped(np.tril(block, -1), hermitian), x[k : last + 1])
        for k, size in reversed(starts):
            last, other = k + size - 1, abs(int(pivots[place, k])) - 1
            x[k : last + 1] -= flipped(a[last + 1 :, k : last + 1], hermitian) @ x[last + 1 :]
            x[[last, other]] = x[[other, last]]
    return result


@per_example
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> LDLFactorEx:
    """`ldl_factor` with `info`: the number of the first zero pivot, or 0.

    >>> import webtorch
    >>> webtorch.linalg.ldl_factor_ex(webtorch.eye(2)).info
    tensor(0, dtype=webtorch.int32)
    """
    call = "linalg.ldl_factor_ex"
    check_matrices(A, call, square=True)
    with no_grad():
        n, lead = A._shape[-1], A._shape[:-2]
        LD, pivots, info = on_host(call, stacked(A.detach()), lambda x: factored(x, hermitian), WHY)
        result = LDLFactorEx(LD.reshape(A._shape), pivots.reshape((*lead, n)), info.reshape(lead))
    return stored(call, result, out)


def ldl_factor(A: Tensor, *, hermitian: bool = False, out: Any = None) -> LDLFactor:
    """The factors of symmetric matrices, A = L D L^T with rows swapped, in LAPACK's form: what `ldl_solve` takes. With
    `hermitian` complex ones are Hermitian, A = L D L^H.

    Computed by numpy on the host; not differentiable.

    >>> import webtorch
    >>> webtorch.linalg.ldl_factor(webtorch.tensor([[4.0, 2.0], [2.0, 3.0]])).LD
    tensor([[4.0000, 0.0000],
            [0.5000, 2.0000]])
    """
    result = ldl_factor_ex(A, hermitian=hermitian)
    return stored("linalg.ldl_factor", LDLFactor(result.LD, result.pivots), out)


@per_example
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False, out: Tensor | None = None) -> Tensor:
    """X with A X = B, from what `ldl_factor(A)` returned. Differentiable for B.

    >>> import webtorch
    >>> factors = webtorch.linalg.ldl_factor(webtorch.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> webtorch.linalg.ldl_solve(*factors, webtorch.tensor([[6.0], [5.0]]))
    tensor([[1.],
            [1.]])
    """
    call = "linalg.ldl_solve"
    check_matrices(LD, call, square=True)
    check_matrices(B, call)
    check_same(call, LD, B)
    factors, right = broadcast_batches(LD.detach(), B, call)
    swaps = pivots.expand((*right._shape[:-2], pivots._shape[-1])).to(dtypes.int32)
    with no_grad():
        values, places, sides = host.arrays(
            call,
            WHY,
            stacked(factors),
            swaps.reshape((numel(swaps._shape[:-1]), swaps._shape[-1])),
            stacked(right.detach()),
        )
        result = leaf(solved(values, places, sides, hermitian), B.device).reshape(right._shape)
    result = history.symmetric_solution.of(result, right, factors=LD.detach(), pivots=pivots, hermitian=hermitian)
    return stored(call, result, out)
