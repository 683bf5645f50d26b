"""The standard's linear algebra extension."""

from __future__ import annotations

from typing import Any

from .. import linalg as own
from ..tensor import Tensor
from .shared import axes_of, promoted
from .statistics import matmul, matrix_transpose, sums_in, tensordot, vecdot

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot",
    "vector_norm",
]  # fmt: skip

det, eigh, eigvalsh, inv, matrix_power, slogdet, svdvals = (
    own.det, own.eigh, own.eigvalsh, own.inv, own.matrix_power, own.slogdet, own.svdvals,
)  # fmt: skip


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangular factor of positive definite matrices."""
    return own.cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The cross product of vectors of three elements."""
    return own.cross(*promoted("cross()", x1, x2), dim=axis)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The diagonals of matrices."""
    return own.diagonal(x, offset=offset)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of matrices."""
    return own.matrix_norm(x, ord, keepdim=keepdims)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The rank of matrices: how many singular values exceed `rtol` times the largest."""
    return own.matrix_rank(x, rtol=rtol)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """All products of the elements of two vectors."""
    first, second = promoted("outer()", x1, x2)
    return first.outer(second)


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The pseudo-inverse of matrices."""
    return own.pinv(x, rtol=rtol)


def qr(x: Tensor, /, *, mode: str = "reduced") -> Any:
    """The factors of matrices, one with orthonormal columns and one triangular."""
    return own.qr(x, mode=mode)


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The solutions of linear equations; `x2` is a vector only if it has one dimension."""
    first, second = promoted("solve()", x1, x2)
    if second.ndim == 1:
        return own.solve(first, second.unsqueeze(-1)).squeeze(-1)
    return own.solve(first, second)


def svd(x: Tensor, /, *, full_matrices: bool = True) -> Any:
    """The singular value decomposition of matrices."""
    return own.svd(x, full_matrices=full_matrices)


def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sums of the diagonals of matrices."""
    return own.diagonal(x, offset=offset).to(sums_in(x, dtype)).sum(-1)


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """A norm of vectors along axes, or of all elements."""
    return own.vector_norm(x, ord, dim=axes_of(axis, x.ndim) if x.ndim else None, keepdim=keepdims)
