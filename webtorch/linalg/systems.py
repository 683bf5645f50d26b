"""Systems of equations: solve, inverses, determinants, least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import creation, dtypes, host
from ..errors import ShapeError
from ..grad_mode import no_grad
from ..ops import factor as rows
from ..ops import matrix_history as history
from ..shapes import numel
from ..tensor import Tensor
from .checks import (
    broadcast_batches,
    check_matrices,
    check_same,
    check_shape,
    epsilon,
    per_example,
    require,
    stacked,
    stored,
)
from .factor import BEYOND, factorised, first_zero, order_of


class InvEx(NamedTuple):
    """What `inv_ex` returns."""

    inverse: Tensor
    info: Tensor


class SolveEx(NamedTuple):
    """What `solve_ex` returns."""

    result: Tensor
    info: Tensor


class SlogDet(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


class LstSq(NamedTuple):
    """What `lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# ---- triangular systems ---------------------------------------------------------------------------------------------


@per_example
def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """X with A X = B (X A = B without `left`), A being upper or lower triangular; batches broadcast.

    The other triangle of A is not read, nor its diagonal when `unitriangular`. Zeros on the diagonal are not looked for:
    they give infinities. Raises ShapeError for shapes that do not fit.

    >>> import webtorch
    >>> webtorch.linalg.solve_triangular(webtorch.tensor([[2.0, 0.0], [1.0, 1.0]]), webtorch.ones(2, 1), upper=False)
    tensor([[0.5000],
            [0.5000]])
    """
    call = "linalg.solve_triangular"
    check_matrices(A, call, square=True)
    check_matrices(B, call)
    check_same(call, A, B)
    n = A._shape[-1]
    check_shape(
        B._shape[-2 if left else -1] == n,
        f"{call}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
        f"({A._shape[-2]}x{A._shape[-1]} and {B._shape[-2]}x{B._shape[-1]})",
    )
    A, B = broadcast_batches(A, B, call)
    with no_grad():
        result = triangular_values(A.detach(), B.detach(), upper, left, unitriangular)
    result = history.triangular_solution.of(result, A, B, upper=upper, left=left, unit=unitriangular)
    return stored(call, result, out)


def triangular_values(A: Tensor, B: Tensor, upper: bool, left: bool, unit: bool) -> Tensor:
    if not left:
        return triangular_values(A.mT, B.mT, not upper, True, unit).mT
    if not B.numel():
        return B.clone()
    x, y = stacked(A), stacked(B)
    if x.device.type == "cpu" or rows.kernel_fits((x, y), x._shape[-1]):
        return rows.triangular(x, y, upper, unit).reshape(B._shape)
    a, b = host.arrays("linalg.solve_triangular", BEYOND, x, y)
    from .. import linalg_numpy

    with np.errstate(all="ignore"):
        return creation.leaf(linalg_numpy.solve_triangular(a, b, upper, unit), B.device).reshape(B._shape)


@per_example
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False, out: Tensor | None = None
) -> Tensor:
    """X with A X = B (X A = B without `left`, A^H instead of A with `adjoint`), from what `lu_factor(A)` returned.

    >>> import webtorch
    >>> factors = webtorch.linalg.lu_factor(webtorch.tensor([[1.0, 2.0], [4.0, 4.0]]))
    >>> webtorch.linalg.lu_solve(*factors, webtorch.tensor([[3.0], [8.0]]))
    tensor([[1.],
            [1.]])
    """
    call = "linalg.lu_solve"
    check_matrices(LU, call, square=True)
    check_matrices(B, call)
    check_same(call, LU, B)
    check_shape(
        B._shape[-2 if left else -1] == LU._shape[-1],
        f"{call}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
        f"({LU._shape[-2]}x{LU._shape[-1]} and {B._shape[-2]}x{B._shape[-1]})",
    )
    if not left:
        return stored(call, lu_solve(LU, pivots, B.mH, adjoint=not adjoint).mH, out)
    return stored(call, with_factors(LU, order_of(pivots, LU._shape[-1]), B, adjoint), out)


def with_factors(packed: Tensor, order: Tensor, B: Tensor, adjoint: bool = False) -> Tensor:
    """The solution from packed factors and the order of the rows."""
    packed, B = broadcast_batches(packed, B, "linalg.lu_solve")
    place = order.to(dtypes.int64).unsqueeze(-1)
    if adjoint:
        inner = solve_triangular(packed.mH, B, upper=False)
        inner = solve_triangular(packed.mH, inner, upper=True, unitriangular=True)
        back = place.expand((*B._shape[:-2], *place._shape[-2:]))
        return creation.zeros(inner._shape, dtype=inner.dtype, device=inner.device).scatter(
            -2, back.expand(inner._shape), inner
        )
    ordered = B.gather(-2, place.expand(B._shape))
    inner = solve_triangular(packed, ordered, upper=False, unitriangular=True)
    return solve_triangular(packed, inner, upper=True)


# ---- solve and inverse ----------------------------------------------------------------------------------------------


def solved(A: Tensor, B: Tensor, call: str) -> tuple[Tensor, Tensor]:
    """Without history: the solution for matrices B of the batch of A, and `info`, an int32 for each matrix."""
    with no_grad():
        A, B = A.detach(), B.detach()
        if A.device.type == "cpu" or not A.numel() or not rows.kernel_fits((A, B), A._shape[-1]):
            a, b = host.arrays(call, BEYOND, A, B)
            return on_cpu(a, b, A)
        packed, _, order = factorised(A, call)
        return with_factors(packed, order, B), first_zero(packed)


def on_cpu(a: np.ndarray, b: np.ndarray, like: Tensor) -> tuple[Tensor, Tensor]:
    info = np.zeros(a.shape[:-2], np.int32)
    try:
        x = np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        x = np.full(b.shape, np.nan, b.dtype)
        packed, _, _ = factorised(creation.leaf(np.asarray(a, order="C"), creation.resolve("cpu")), "linalg.solve")
        info = first_zero(packed).numpy()
        for place in np.ndindex(*a.shape[:-2]):
            if not info[place]:
                x[place] = np.linalg.solve(a[place], b[place])
    return creation.leaf(np.asarray(x, order="C"), like.device), creation.leaf(np.asarray(info, order="C"), like.device)


@per_example
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False, out: Any = None) -> SolveEx:
    """`solve` that raises nothing (unless `check_errors`): `info` is 0 for matrices that are not singular.

    >>> import webtorch
    >>> webtorch.linalg.solve_ex(webtorch.eye(2) * 2, webtorch.ones(2)).result
    tensor([0.5000, 0.5000])
    """
    call = "linalg.solve_ex"
    result, info = solution_of(A, B, left, "linalg.solve")
    if check_errors:
        require(info, lambda k: f"{call}: The solver failed because the input matrix is singular.", result)
    return stored(call, SolveEx(result, info), out)


def solution_of(A: Tensor, B: Tensor, left: bool, call: str) -> tuple[Tensor, Tensor]:
    check_matrices(A, call, square=True)
    check_same(call, A, B)
    n = A._shape[-1]
    # A right-hand side of one dimension, or of the batch of A, is a vector.
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B._shape == A._shape[:-1])
    if vector:
        check_shape(
            left,
            f"{call}: Vector broadcasting of the left hand side is not supported for left=False. In this case linalg.solve is "
            "equivalent to B / A.squeeze(-1)",
        )
    right = B.unsqueeze(-1) if vector else B
    if right._shape[-2 if left else -1] != n:
        raise ShapeError(
            f"{call}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({n}x{n} and {right._shape[-2]}x{right._shape[-1]})"
        )
    if not left:
        result, info = solution_of(A.mT, right.mT, True, call)
        return result.mT, info
    A, right = broadcast_batches(A, right, call)
    result, info = solved(A, right, call)
    result = history.solution.of(result, A, right)
    return (result.squeeze(-1) if vector else result), info


@per_example
def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """X with A X = B (X A = B without `left`) for square matrices A; B holds vectors or matrices, batches broadcast.

    Raises LinAlgError when a matrix is singular (on a GPU when a value is next read), ShapeError for shapes that do not
    fit.

    >>> import webtorch
    >>> webtorch.linalg.solve(webtorch.tensor([[2.0, 0.0], [1.0, 1.0]]), webtorch.tensor([2.0, 3.0]))
    tensor([1., 2.])
    """
    result, info = solution_of(A, B, left, "linalg.solve")
    require(info, lambda k: "torch.linalg.solve: The solver failed because the input matrix is singular.", result)
    return stored("linalg.solve", result, out)


def inverse_of(A: Tensor, call: str) -> tuple[Tensor, Tensor]:
    check_matrices(A, call, square=True)
    eye = creation.eye(A._shape[-1], dtype=A.dtype, device=A.device).expand(A._shape)
    result, info = solved(A, eye, call)
    return history.inverse.of(result, A), info


def singular(call: str, k: int) -> str:
    return f"{call}: The diagonal element {k} is zero, the inversion could not be completed because the input matrix is singular."


@per_example
def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> InvEx:
    """`inv` that raises nothing (unless `check_errors`): `info` is 0 for matrices that are not singular.

    >>> import webtorch
    >>> webtorch.linalg.inv_ex(webtorch.eye(2) * 2).info
    tensor(0, dtype=webtorch.int32)
    """
    result, info = inverse_of(A, "linalg.inv_ex")
    if check_errors:
        require(info, lambda k: singular("linalg.inv_ex", k), result)
    return stored("linalg.inv_ex", InvEx(result, info), out)


@per_example
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverses of square matrices. Raises LinAlgError when one is singular (on a GPU when a value is next read).

    >>> import webtorch
    >>> webtorch.linalg.inv(webtorch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    result, info = inverse_of(A, "linalg.inv")
    require(info, lambda k: singular("linalg.inv", k), result)
    return stored("linalg.inv", result, out)


# ---- determinants ---------------------------------------------------------------------------------------------------


def sign_and_diagonal(A: Tensor, call: str) -> tuple[Tensor, Tensor]:
    packed, swaps, _ = factorised(A, call)
    ramp = creation.ramp_tensor(swaps._shape[-1], 0, 1, dtypes.int32, A.device)
    odd = (swaps != ramp).to(dtypes.int32).sum(-1, dtype=dtypes.int32) % 2
    return (1 - 2 * odd).to(A.dtype), packed.diagonal(0, -2, -1)


@per_example
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinants of square matrices.

    The first derivative is right for singular matrices, too.

    >>> import webtorch
    >>> webtorch.linalg.det(webtorch.tensor([[2.0, 1.0], [1.0, 3.0]]))
    tensor(5.)
    """
    check_matrices(A, "linalg.det", square=True)
    with no_grad():
        sign, diagonal = sign_and_diagonal(A, "linalg.det")
        result = sign * diagonal.prod(-1)
    return stored("linalg.det", history.determinant.of(result, A), out)


@per_example
def slogdet(A: Tensor, *, out: Any = None) -> SlogDet:
    """The signs of the determinants of square matrices (of complex ones det / |det|) and the logarithms of their absolute
    values (0 and -inf for 0).

    >>> import webtorch
    >>> webtorch.linalg.slogdet(webtorch.tensor([[2.0, 0.0], [0.0, -3.0]])).sign
    tensor(-1.)
    """
    check_matrices(A, "linalg.slogdet", square=True)
    with no_grad():
        sign, diagonal = sign_and_diagonal(A, "linalg.slogdet")
        sign = sign * diagonal.sgn().prod(-1)
        result = diagonal.abs().log().sum(-1)
    if A.dtype.is_complex:
        sign = history.determinant_sign.of(sign, A)
    return stored("linalg.slogdet", SlogDet(sign, history.log_determinant.of(result, A)), out)


def adjugate(A: Tensor) -> Tensor:
    """The matrices of cofactors, transposed: det(A) A^-1 without a division, from singular values on the host."""
    from .factor import on_host

    def cofactors(x: np.ndarray) -> np.ndarray:
        U, S, V = np.linalg.svd(x)
        n = S.shape[-1]
        others = np.stack([np.prod(np.delete(S, k, -1), -1) for k in range(n)], -1) if n else S
        sign = np.linalg.det(U) * np.linalg.det(V)
        turned = np.conj(np.swapaxes((U * others[..., None, :]) @ V, -1, -2))
        return np.asarray(sign[..., None, None] * turned, x.dtype)

    with no_grad():
        return on_host("linalg.det (derivative)", A.detach(), cofactors, "the derivative comes from a decomposition")


# ---- least squares --------------------------------------------------------------------------------------------------

DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@per_example
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LstSq:
    """X for which |A X - B| is smallest, as (solution, residuals, rank, singular_values); see PyTorch for the last three.

    Matrices (*, m, n) and (*, m, k), or vectors (*, m). Computed by numpy on the host, from singular values whatever the
    `driver`; those below `rcond` times the largest count as zero.

    >>> import webtorch
    >>> webtorch.linalg.lstsq(webtorch.tensor([[1.0], [1.0]]), webtorch.tensor([[1.0], [3.0]])).solution.round(decimals=4)
    tensor([[2.]])
    """
    call = "linalg.lstsq"
    check_matrices(A, call)
    check_same(call, A, B)
    driver = driver or "gelsy"
    check_shape(driver in DRIVERS, f"{call}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    vector = A.ndim - 1 == B.ndim and A._shape[:-1] == B._shape
    right = B.unsqueeze(-1) if vector else B
    check_shape(
        right.ndim >= 2 and right._shape[-2] == A._shape[-2], f"{call}: input.size(-2) should match other.size(-2)"
    )
    from .spectral import pinv, svdvals

    m, n = A._shape[-2:]
    cut = float(rcond) if rcond is not None else epsilon(A) * max(m, n)
    solution = pinv(A, rtol=cut if driver != "gels" else 0.0) @ right
    with no_grad():
        values = svdvals(A.detach())
        empty = creation.zeros((0,), dtype=values.dtype, device=A.device)
        rank = (
            (values > cut * values.amax(-1, keepdim=True)).sum(-1)
            if values.numel()
            else values.sum(-1).to(dtypes.int64)
        )
        full = bool((rank == n).all()) if numel(rank._shape) else True
    residuals = empty
    if m > n and driver != "gelsy" and full:
        residuals = (A @ solution - right).abs().square().sum(-2)
    kept_rank = creation.zeros((0,), dtype=dtypes.int64, device=A.device) if driver == "gels" else rank
    kept_values = values if driver in ("gelsd", "gelss") else empty
    return LstSq(solution.squeeze(-1) if vector else solution, residuals, kept_rank, kept_values)


def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A as a map from its dimensions from `ind` on to the first `ind`: what `tensordot` undoes.

    >>> import webtorch
    >>> webtorch.linalg.tensorinv(webtorch.eye(6).reshape(2, 3, 6), ind=2).shape
    webtorch.Size([6, 2, 3])
    """
    check_shape(ind > 0, "Expected a strictly positive integer for 'ind'")
    first, rest = A._shape[:ind], A._shape[ind:]
    check_shape(
        numel(first) == numel(rest),
        f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {numel(rest)} != "
        f"{numel(first)}",
    )
    return stored("linalg.tensorinv", inv(A.reshape((numel(first), numel(rest)))).reshape((*rest, *first)), out)


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first.

    >>> import webtorch
    >>> webtorch.linalg.tensorsolve(webtorch.eye(6).reshape(2, 3, 6), webtorch.ones(2, 3)).shape
    webtorch.Size([6])
    """
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = A._shape[B.ndim :]
    check_shape(
        numel(shape) == B.numel(),
        f"Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got "
        f"{numel(shape)} != {B.numel()}",
    )
    result = solve(A.reshape((B.numel(), B.numel())), B.reshape((-1,))).reshape(shape)
    return stored("linalg.tensorsolve", result, out)
