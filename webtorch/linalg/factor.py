"""LU, Cholesky, QR and LDL factors, and products of Householder reflections."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import creation, dtypes, host, linalg_numpy
from ..errors import ShapeError
from ..functional import cat
from ..grad_mode import no_grad
from ..ops import factor as rows
from ..ops import matrix_history as history
from ..ops import tracks
from ..ops.binary import where
from ..tensor import Tensor
from .checks import check_matrices, check_shape, per_example, require, stacked, stored

BEYOND = "matrices beyond 192 rows, and low-precision or very many ones, are factorised by numpy"


class LUFactor(NamedTuple):
    """What `lu_factor` returns."""

    LU: Tensor
    pivots: Tensor


class LUFactorEx(NamedTuple):
    """What `lu_factor_ex` returns."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class LU(NamedTuple):
    """What `lu` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


class CholeskyEx(NamedTuple):
    """What `cholesky_ex` returns."""

    L: Tensor
    info: Tensor


class QR(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


class LDLFactor(NamedTuple):
    """What `ldl_factor` returns."""

    LD: Tensor
    pivots: Tensor


class LDLFactorEx(NamedTuple):
    """What `ldl_factor_ex` returns."""

    LD: Tensor
    pivots: Tensor
    info: Tensor


def on_host(call: str, x: Tensor, function: Any, why: str = BEYOND) -> Any:
    """numpy's result for the matrices of `x`, as tensors beside it."""
    (array,) = host.arrays(call, why, x)
    with np.errstate(all="ignore"):
        found = function(array)
    if isinstance(found, tuple):
        return tuple(creation.leaf(np.asarray(part, order="C"), x.device) for part in found)
    return creation.leaf(np.asarray(found, order="C"), x.device)


# ---- LU -------------------------------------------------------------------------------------------------------------


def factorised(A: Tensor, call: str, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Without history: the packed factors, the swaps (from 0) and where each row came from, as int32."""
    with no_grad():
        x = stacked(A.detach())
        count, m, n = x._shape
        steps = min(m, n)
        lead = A._shape[:-2]
        if x.numel() and pivot and (x.device.type == "cpu" or rows.kernel_fits((x,), max(m, n))):
            packed = rows.lu(x)
            extra = packed.narrow(1, m, packed._shape[1] - m).reshape((count, -1))
            extra = (extra.real if extra.dtype.is_complex else extra).to(dtypes.int32)
            packed = packed.narrow(1, 0, m)
            swaps, order = extra.narrow(1, 0, steps), extra.narrow(1, n, m)
        else:

            def both(array: np.ndarray) -> tuple:
                packed, pivots = linalg_numpy.lu(array, pivot)
                order = linalg_numpy.permutation(pivots, m)
                return packed, pivots.astype(np.int32), order.astype(np.int32)

            packed, swaps, order = on_host(call, x, both)
        return packed.reshape((*lead, m, n)), swaps.reshape((*lead, steps)), order.reshape((*lead, m))


def parts_of(packed: Tensor) -> tuple[Tensor, Tensor]:
    """The unit lower and the upper factor of a packed one."""
    m, n = packed._shape[-2:]
    steps = min(m, n)
    lower = packed.narrow(-1, 0, steps).tril(-1)
    return lower + creation.eye(m, steps, dtype=packed.dtype, device=packed.device), packed.narrow(-2, 0, steps).triu()


def factors_of(A: Tensor, call: str, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """L and U with their history, the swaps, and where each row came from."""
    packed, swaps, order = factorised(A, call, pivot)
    with no_grad():
        lower, upper = parts_of(packed)
    if not tracks(A):
        return lower, upper, swaps, order
    m, n = A._shape[-2:]
    ordered = A.gather(-2, order.to(dtypes.int64).unsqueeze(-1).expand(A._shape))
    steps = min(m, n)
    with no_grad():
        head, top = lower.narrow(-2, 0, steps).contiguous(), upper.narrow(-1, 0, steps).contiguous()
    square = ordered.narrow(-2, 0, steps).narrow(-1, 0, steps)
    head = history.lower_factor.of(head, square)
    top = history.upper_factor.of(top, square)
    from .systems import solve_triangular

    if m > n:
        head = cat([head, solve_triangular(top, ordered.narrow(-2, n, m - n), upper=True, left=False)], -2)
    if n > m:
        right = solve_triangular(head, ordered.narrow(-1, m, n - m), upper=False, unitriangular=True)
        top = cat([top, right], -1)
    return head, top, swaps, order


def permutation_matrix(order: Tensor, dtype: Any) -> Tensor:
    """P with A = P @ (A in order)."""
    size = order._shape[-1]
    ramp = creation.ramp_tensor(size, 0, 1, dtypes.int32, order.device).reshape((-1, 1))
    return (order.unsqueeze(-2) == ramp).to(dtype)


def packed_with_history(A: Tensor, call: str, pivot: bool) -> tuple[Tensor, Tensor]:
    lower, upper, swaps, _ = factors_of(A, call, pivot)
    m, n = A._shape[-2:]
    lower = lower.tril(-1)
    if n > m:
        lower = cat([lower, creation.zeros((*A._shape[:-2], m, n - m), dtype=A.dtype, device=A.device)], -1)
    elif m > n:
        upper = cat([upper, creation.zeros((*A._shape[:-2], m - n, n), dtype=A.dtype, device=A.device)], -2)
    return lower + upper, swaps + 1


@per_example
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> LUFactorEx:
    """`lu_factor` that raises nothing (unless `check_errors`): `info` is the number of the first zero on the diagonal of
    U, or 0.

    >>> import webtorch
    >>> webtorch.linalg.lu_factor_ex(webtorch.zeros(2, 2)).info
    tensor(1, dtype=webtorch.int32)
    """
    call = "linalg.lu_factor_ex"
    check_matrices(A, call)
    packed, pivots = packed_with_history(A, call, pivot)
    with no_grad():
        info = first_zero(packed.detach())
    if check_errors:
        require(
            info,
            lambda k: f"{call}: U[{k},{k}] is zero and using it on lu_solve would result in a division by zero",
            packed,
            pivots,
        )
    return stored(call, LUFactorEx(packed, pivots, info), out)


def first_zero(packed: Tensor) -> Tensor:
    """The number (from 1) of the first zero on the diagonal, or 0, as int32."""
    zero = (packed.diagonal(0, -2, -1) == 0).to(dtypes.int32)
    if not zero._shape[-1]:
        return creation.zeros(packed._shape[:-2], dtype=dtypes.int32, device=packed.device)
    return where(zero.amax(-1) > 0, zero.argmax(-1).to(dtypes.int32) + 1, 0).to(dtypes.int32)


def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> LUFactor:
    """The factors of A = P L U, both in one matrix, and the rows (from 1) that were swapped: what `lu_solve` takes.

    Matrices of any shape (*, m, n), float32 or float64. Raises LinAlgError when U has a zero on its diagonal.

    >>> import webtorch
    >>> webtorch.linalg.lu_factor(webtorch.tensor([[1.0, 2.0], [4.0, 4.0]])).LU
    tensor([[4.0000, 4.0000],
            [0.2500, 1.0000]])
    """
    result = lu_factor_ex(A, pivot=pivot)
    require(
        result.info,
        lambda k: (
            f"torch.linalg.lu_factor: U[{k},{k}] is zero and using it on lu_solve would result in a division by zero. If you "
            "still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        ),
        result.LU,
        result.pivots,
    )
    return stored("linalg.lu_factor", LUFactor(result.LU, result.pivots), out)


@per_example
def lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> LU:
    """A = P L U: a permutation, a unit lower and an upper triangular matrix, for matrices of any shape (*, m, n).

    >>> import webtorch
    >>> P, L, U = webtorch.linalg.lu(webtorch.tensor([[1.0, 2.0], [4.0, 4.0]]))
    >>> P @ L @ U
    tensor([[1., 2.],
            [4., 4.]])
    """
    check_matrices(A, "linalg.lu")
    lower, upper, _, order = factors_of(A, "linalg.lu", pivot)
    P = permutation_matrix(order, A.dtype) if pivot else creation.zeros((0,), dtype=A.dtype, device=A.device)
    return stored("linalg.lu", LU(P, lower, upper), out)


def order_of(pivots: Tensor, size: int) -> Tensor:
    """Where each row comes from, from the rows (from 1) that were swapped one after the other."""
    with no_grad():
        pivots = pivots.to(dtypes.int32) - 1
        ramp = creation.ramp_tensor(size, 0, 1, dtypes.int32, pivots.device)
        order = ramp.expand((*pivots._shape[:-1], size))
        for k in range(pivots._shape[-1]):
            other = pivots.narrow(-1, k, 1)
            own, swapped = order.narrow(-1, k, 1), order.gather(-1, other.to(dtypes.int64))
            order = where(ramp == k, swapped, where(ramp == other, own, order)).to(dtypes.int32)
        return order


@per_example
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None
) -> LU:
    """P, L and U of what `lu_factor` returned; parts that are not asked for are empty.

    >>> import webtorch
    >>> P, L, U = webtorch.lu_unpack(*webtorch.linalg.lu_factor(webtorch.tensor([[1.0, 2.0], [4.0, 4.0]])))
    >>> U
    tensor([[4., 4.],
            [0., 1.]])
    """
    empty = creation.zeros((0,), dtype=LU_data.dtype, device=LU_data.device)
    lower, upper = parts_of(LU_data) if unpack_data else (empty, empty)
    P = permutation_matrix(order_of(LU_pivots, LU_data._shape[-2]), LU_data.dtype) if unpack_pivots else empty
    return stored("lu_unpack", LU(P, lower, upper), out)


# ---- Cholesky -------------------------------------------------------------------------------------------------------


@per_example
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> CholeskyEx:
    """`cholesky` that raises nothing (unless `check_errors`): `info` is the order of the first leading minor that is not
    positive definite, or 0.

    >>> import webtorch
    >>> webtorch.linalg.cholesky_ex(webtorch.tensor([[1.0, 0.0], [0.0, -1.0]])).info
    tensor(2, dtype=webtorch.int32)
    """
    call = "linalg.cholesky_ex"
    check_matrices(A, call, square=True)
    factor, info = cholesky_factor(A, upper, call)
    if check_errors:
        require(info, lambda k: not_positive(call, k), factor)
    return stored(call, CholeskyEx(factor, info), out)


def not_positive(call: str, k: int) -> str:
    return (
        f"{call}: The factorization could not be completed because the input is not positive-definite (the leading minor of "
        f"order {k} is not positive-definite)."
    )


def cholesky_factor(A: Tensor, upper: bool, call: str) -> tuple[Tensor, Tensor]:
    read = A.mH if upper else A
    with no_grad():
        x = stacked(read.detach())
        n, lead = x._shape[-1], A._shape[:-2]
        if x.numel() and not x.dtype.is_complex and (x.device.type == "cpu" or rows.kernel_fits((x,), n)):
            packed = rows.cholesky(x)
            factor, info = packed.narrow(1, 0, n), packed.select(1, n).select(1, 0).to(dtypes.int32)
        else:
            factor, info = on_host(call, x, linalg_numpy.cholesky)
            info = info.to(dtypes.int32)
        factor, info = factor.reshape(A._shape), info.reshape(lead)
    factor = history.cholesky_factor.of(factor, A)
    return factor.mH if upper else factor, info


@per_example
def cholesky(A: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The lower triangular L with A = L L^H (with `upper` its adjoint), for Hermitian positive definite matrices.

    Only one triangle of A is read. Raises LinAlgError when a matrix is not positive definite (on a GPU when a value is
    next read).

    >>> import webtorch
    >>> webtorch.linalg.cholesky(webtorch.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    check_matrices(A, "linalg.cholesky", square=True)
    factor, info = cholesky_factor(A, upper, "linalg.cholesky")
    require(info, lambda k: not_positive("linalg.cholesky", k), factor)
    return stored("linalg.cholesky", factor, out)


# ---- QR -------------------------------------------------------------------------------------------------------------


@per_example
def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> QR:
    """A = Q R with orthonormal columns in Q and an upper triangular R; mode "complete" gives a square Q, "r" only R.

    Computed by numpy on the host. Not differentiable in mode "complete" for more rows than columns.

    >>> import webtorch
    >>> Q, R = webtorch.linalg.qr(webtorch.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> webtorch.allclose(Q @ R, webtorch.tensor([[3.0, 1.0], [4.0, 2.0]]), atol=1e-5)
    True
    """
    check_matrices(A, "linalg.qr")
    if mode not in ("reduced", "complete", "r"):
        raise ShapeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    m, n = A._shape[-2:]
    with no_grad():
        wanted: Any = "complete" if mode == "complete" else "reduced"
        Q, R = on_host("linalg.qr", A, lambda x: tuple(np.linalg.qr(x, wanted)), "QR is computed by numpy")
    if tracks(A):
        if mode == "complete" and m > n:
            raise RuntimeError(
                "linalg.qr: The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
            )
        head = A if m >= n else A.narrow(-1, 0, m)
        Q = history.orthogonal_factor.of(Q, head)
        with no_grad():
            square = R if m >= n else R.narrow(-1, 0, m).contiguous()
        square = history.triangular_factor.of(square, head)
        R = square if m >= n else cat([square, Q.mH @ A.narrow(-1, m, n - m)], -1)
    if mode == "r":
        Q = creation.zeros((0,), dtype=A.dtype, device=A.device)
    return stored("linalg.qr", QR(Q, R), out)


def householder_product(A: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first columns of the product of the reflections 1 - tau[i] v v^H, v being the i-th column of A from its
    diagonal down, with 1 in place of the diagonal.

    >>> import webtorch
    >>> webtorch.linalg.householder_product(webtorch.tensor([[0.0], [1.0]]), webtorch.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    check_matrices(A, "linalg.householder_product")
    m, n = A._shape[-2:]
    count = tau._shape[-1] if tau._shape else 0
    check_shape(m >= n, "linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]")
    check_shape(
        n >= count, "linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
    )
    result = creation.eye(m, n, dtype=A.dtype, device=A.device).expand(A._shape)
    columns = A.tril(-1) + creation.eye(m, n, dtype=A.dtype, device=A.device)
    for k in range(count - 1, -1, -1):
        column = columns.narrow(-1, k, 1)
        result = result - tau.narrow(-1, k, 1).unsqueeze(-1) * (column @ (column.mH @ result))
    return stored("linalg.householder_product", result, out)
