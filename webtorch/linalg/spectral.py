"""Eigenvalues, singular values, and what is made of them: pseudoinverse, rank, condition. Computed by numpy on the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import creation, dtypes
from ..functional import cat
from ..grad_mode import no_grad
from ..ops import matrix_history as history
from ..ops import tracks
from ..ops.binary import where
from ..tensor import Tensor
from .checks import LinAlgError, as_limit, check_matrices, check_shape, epsilon, per_example, stored
from .factor import on_host

WHY = "eigenvalues and singular values are computed by numpy"


class Eigh(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class Eig(NamedTuple):
    """What `eig` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVD(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def converged(call: str, function: Any, x: np.ndarray) -> Any:
    if not np.isfinite(x).all():
        raise LinAlgError(
            f"{call}: The algorithm failed to converge because the input matrix contained non-finite values."
        )
    try:
        return function(x)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{call}: {error}") from None


@per_example
def eigh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Eigh:
    """The eigenvalues, ascending, and eigenvectors (columns) of symmetric matrices, of which one triangle is read.

    Computed by numpy on the host. The derivative of the eigenvectors is finite only where eigenvalues differ; of complex ones a
    loss that depends on their phases raises RuntimeError in its backward.

    >>> import webtorch
    >>> webtorch.linalg.eigh(webtorch.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    call = "linalg.eigh"
    check_matrices(A, call, square=True)
    check_shape(UPLO.upper() in ("L", "U"), f"{call}: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    triangle: Any = UPLO.upper()
    with no_grad():
        values, vectors = on_host(
            call, A, lambda x: converged(call, lambda y: tuple(np.linalg.eigh(y, triangle)), x), WHY
        )
    if tracks(A):
        half = A.tril() if UPLO.upper() == "L" else A.triu()
        # Only for the value of the rules: symmetric, as numpy has read it; gradients go to A as a whole, as in PyTorch.
        whole = half + half.mH - A.diagonal(0, -2, -1).diag_embed()
        same = A + (whole - A).detach()
        vectors = history.eigenvectors.of(vectors, same)
        values = history.eigenvalues.of(values, same, vectors=vectors)
    return stored(call, Eigh(values, vectors), out)


def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues, ascending, of symmetric matrices, of which one triangle is read; see `eigh`.

    >>> import webtorch
    >>> webtorch.linalg.eigvalsh(webtorch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    return stored("linalg.eigvalsh", eigh(A, UPLO).eigenvalues, out)


@per_example
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> SVD:
    """A = U diag(S) Vh with orthonormal U and Vh and singular values S, descending; with `full_matrices` U and Vh are square.

    Computed by numpy on the host. The derivatives of U and Vh are finite only where singular values differ, and take no
    note of the columns that `full_matrices` adds. Of complex ones a loss that depends on their common phase raises
    RuntimeError in its backward.

    >>> import webtorch
    >>> webtorch.linalg.svd(webtorch.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    call = "linalg.svd"
    check_matrices(A, call)
    with no_grad():
        U, S, Vh = on_host(call, A, lambda x: converged(call, lambda y: tuple(np.linalg.svd(y, full_matrices)), x), WHY)
    if tracks(A):
        U, S, Vh = with_history(A, U, S, Vh)
    return stored(call, SVD(U, S, Vh), out)


def with_history(A: Tensor, U: Tensor, S: Tensor, Vh: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    steps = S._shape[-1]
    with no_grad():
        left, right = U.narrow(-1, 0, steps).contiguous(), Vh.narrow(-2, 0, steps).contiguous()
        more_left = U.narrow(-1, steps, U._shape[-1] - steps).contiguous()
        more_right = Vh.narrow(-2, steps, Vh._shape[-2] - steps).contiguous()
    if A.dtype.is_complex:
        with no_grad():
            both = cat([left, right.mH], -2)
        both = history.singular_vectors.of(both, A)
        m, n = A._shape[-2:]
        left, right = both.narrow(-2, 0, m), both.narrow(-2, m, n).mH
    else:
        left, right = history.left_singular.of(left, A), history.right_singular.of(right, A)
    S = history.singular_values.of(S, A, left=left, right=right)
    U = cat([left, more_left], -1) if more_left._shape[-1] else left
    return U, S, cat([right, more_right], -2) if more_right._shape[-2] else right


def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values, descending.

    >>> import webtorch
    >>> webtorch.linalg.svdvals(webtorch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    check_matrices(A, "linalg.svdvals")
    return stored("linalg.svdvals", svd(A, False).S, out)


# ---- what follows from singular values ------------------------------------------------------------------------------


def tolerances(A: Tensor, values: Tensor, atol: Any, rtol: Any) -> Tensor:
    """Below which singular values count as zero: by default eps * max(m, n) times the largest, unless `atol` is given."""
    with no_grad():
        if rtol is None:
            given = atol is not None and (isinstance(atol, Tensor) or atol > 0)
            rtol = epsilon(A) * max(A._shape[-2:])
            if given:
                rtol = where(as_limit(atol, values) > 0, 0.0, rtol) if isinstance(atol, Tensor) else 0.0
        largest = values.detach().abs().amax(-1)
        relative = as_limit(rtol, values) * largest
        return relative.maximum(as_limit(0.0 if atol is None else atol, values)).unsqueeze(-1)


@per_example
def matrix_rank(
    A: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """How many singular values (of symmetric matrices with `hermitian`, eigenvalues) are above max(atol, rtol * largest).

    >>> import webtorch
    >>> webtorch.linalg.matrix_rank(webtorch.ones(3, 3))
    tensor(1)
    """
    check_matrices(A, "linalg.matrix_rank", square=hermitian)
    atol, rtol = (tol, 0.0) if tol is not None else (atol, rtol)
    with no_grad():
        if not A.numel():
            result = creation.zeros(A._shape[:-2], dtype=dtypes.int64, device=A.device)
        else:
            values = eigvalsh(A.detach()).abs() if hermitian else svdvals(A.detach())
            result = (values > tolerances(A, values, atol, rtol)).sum(-1)
    return stored("linalg.matrix_rank", result, out)


@per_example
def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The pseudoinverse: singular values up to max(atol, rtol * largest) count as zero. Computed by numpy on the host.

    >>> import webtorch
    >>> webtorch.linalg.pinv(webtorch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    check_matrices(A, "linalg.pinv", square=hermitian)
    rtol = rcond if rcond is not None else rtol
    m, n = A._shape[-2:]
    with no_grad():
        if not A.numel():
            return stored("linalg.pinv", creation.zeros((*A._shape[:-2], n, m), dtype=A.dtype, device=A.device), out)
        x = A.detach()
        if hermitian:
            values, vectors = eigh(x)
            left = vectors
            right = vectors.mH
        else:
            left, values, right = svd(x, False)
        keep = values.abs() > tolerances(A, values, atol, rtol)
        inverted = where(keep, 1.0 / where(keep, values, 1.0), 0.0)
        result = (right.mH * inverted.unsqueeze(-2)) @ left.mH
    return stored("linalg.pinv", history.pseudoinverse.of(result, A), out)


@per_example
def cond(A: Tensor, p: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number: the largest singular value divided by the smallest (p None or 2; -2 the other way round), else
    norm(A, p) * norm(A^-1, p), infinite for singular matrices.

    >>> import webtorch
    >>> webtorch.linalg.cond(webtorch.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    from .norms import matrix_norm
    from .systems import inv_ex

    check_matrices(A, "linalg.cond", square=p not in (None, 2, -2))
    if p in (None, 2, -2):
        values = svdvals(A)
        largest, smallest = values.select(-1, 0), values.select(-1, values._shape[-1] - 1)
        return stored("linalg.cond", smallest / largest if p == -2 else largest / smallest, out)
    inverse, info = inv_ex(A)
    result = matrix_norm(A, p) * matrix_norm(inverse, p)
    return stored("linalg.cond", where(info != 0, float("inf"), result), out)


# ---- matrices of any kind -------------------------------------------------------------------------------------------


@per_example
def eig(A: Tensor, *, out: Any = None) -> Eig:
    """The complex eigenvalues and eigenvectors (columns, of length 1) of square matrices, in no order. Computed by numpy on
    the host. The derivative of the eigenvectors is finite only where eigenvalues differ; a loss that depends on their phases
    raises RuntimeError in its backward.

    >>> import webtorch
    >>> webtorch.linalg.eig(webtorch.tensor([[2.0, 0.0], [0.0, 3.0]])).eigenvalues.real
    tensor([2., 3.])
    """
    check_matrices(A, "linalg.eig", square=True)

    def both(x: np.ndarray) -> tuple:
        kind = np.complex64 if x.dtype.itemsize == 4 or x.dtype == np.complex64 else np.complex128
        return tuple(part.astype(kind) for part in converged("linalg.eig", np.linalg.eig, x))

    with no_grad():
        values, vectors = on_host("linalg.eig", A, both, WHY)
    if tracks(A):
        vectors = history.general_eigenvectors.of(vectors, A)
        values = history.general_eigenvalues.of(values, A, vectors=vectors)
    return stored("linalg.eig", Eig(values, vectors), out)


def eigvals(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex eigenvalues of square matrices, in no order; see `eig`.

    >>> import webtorch
    >>> webtorch.linalg.eigvals(webtorch.tensor([[2.0, 0.0], [0.0, 3.0]])).real
    tensor([2., 3.])
    """
    return stored("linalg.eigvals", eig(A).eigenvalues, out)
