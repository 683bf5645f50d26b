"""Some of the singular values or eigenvalues of large matrices: `svd_lowrank`, `pca_lowrank`, `lobpcg`."""

from __future__ import annotations

from typing import Any

from .. import creation, random
from ..errors import ShapeError
from ..tensor import Tensor
from . import factor, spectral, systems
from .checks import check_matrices, check_shape

__all__ = ["lobpcg", "pca_lowrank", "svd_lowrank"]


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V with A (or A - M) close to U diag(S) V^H, of rank `q`: exact for matrices of a lower rank, and the closer the
    faster singular values fall and the larger `niter` is.

    By the randomised range finder with power iterations of Halko, Martinsson and Tropp (2011). Matrices of any shape (*, m, n),
    floating or complex; the random numbers are those of `manual_seed`.

    >>> import webtorch
    >>> A = webtorch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    >>> webtorch.svd_lowrank(A, q=2)[1]
    tensor([4., 3.])
    """
    check_matrices(A, "svd_lowrank")
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    m, n = A._shape[-2:]
    if not 0 <= q <= min(m, n):
        raise ValueError(
            f"svd_lowrank: q (={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"svd_lowrank: niter (={niter}) must be non-negative integer")
    if M is not None:
        A = A - M.expand(A._shape)
    if m < n:
        U, S, V = tall_svd(A.mH, q, niter)
        return V, S, U
    return tall_svd(A, q, niter)


def tall_svd(A: Tensor, q: int, niter: int) -> tuple[Tensor, Tensor, Tensor]:
    n = A._shape[-1]
    start = random.randn(n, q, dtype=A.dtype, device=A.device)
    basis = factor.qr(A @ start).Q
    for _ in range(niter):
        basis = factor.qr(A.mH @ basis).Q
        basis = factor.qr(A @ basis).Q
    U, S, Vh = spectral.svd(basis.mH @ A, False)
    return basis @ U, S, Vh.mH


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The first `q` principal components of the rows of A: U, S and V of `svd_lowrank`, after the mean of each column is
    subtracted, unless `center` is False. `q` is min(6, m, n) by default.

    >>> import webtorch
    >>> U, S, V = webtorch.pca_lowrank(webtorch.tensor([[0.0, 1.0], [4.0, 1.0], [8.0, 1.0]]), q=1)
    >>> V.abs()
    tensor([[1.],
            [0.]])
    """
    check_matrices(A, "pca_lowrank")
    m, n = A._shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(
            f"pca_lowrank: q (={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"pca_lowrank: niter (={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: dict | None = None,
    ortho_fparams: dict | None = None,
    ortho_bparams: dict | None = None,
) -> tuple[Tensor, Tensor]:
    """The `k` largest (with `largest` False, smallest) eigenvalues and eigenvectors of symmetric positive definite matrices, or
    of A x = E B x.

    Tensors are dense here, so that all eigenvalues are computed, exactly: `X`, `iK`, `niter`, `tol`, `method` and the `ortho_`
    parameters of the iteration are accepted and steer nothing; of `X` the number of columns is taken for `k`. Raises ValueError
    for more than a third of the eigenvalues, as PyTorch does, and NotImplementedError for a `tracker`, which watches an
    iteration.

    >>> import webtorch
    >>> webtorch.lobpcg(webtorch.diag(webtorch.tensor([1.0, 5.0, 3.0])))[0]
    tensor([5.])
    """
    check_matrices(A, "lobpcg", square=True)
    if tracker is not None:
        raise NotImplementedError("lobpcg: there is no iteration for a tracker to watch; leave it out")
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: method={method!r}: 'basic' or 'ortho'")
    size = A._shape[-1]
    if k is None:
        k = 1 if X is None else X._shape[-1]
    if size < 3 * k:
        raise ValueError(
            f"LPBPCG algorithm is not applicable when the number of A rows (={size}) is smaller than 3 x the number of requested "
            f"eigen pairs (={k}); use linalg.eigh"
        )
    if X is not None and X._shape[-2] != size:
        raise ShapeError(f"lobpcg: X has {X._shape[-2]} rows, A has {size}")
    lower = None
    inner = (A + A.mH) / 2
    if B is not None:
        check_shape(B._shape[-2:] == A._shape[-2:], f"lobpcg: B is {list(B._shape)}, A is {list(A._shape)}")
        lower = factor.cholesky(B)
        inner = systems.solve_triangular(lower, inner, upper=False)
        inner = systems.solve_triangular(lower, inner.mH, upper=False)
    values, vectors = spectral.eigh(inner)
    places = creation.arange(k, device=A.device)
    if largest is not False:
        places = size - 1 - places
    values, vectors = values.index_select(-1, places), vectors.index_select(-1, places)
    if lower is not None:
        vectors = systems.solve_triangular(lower.mH, vectors, upper=True)
    return values, vectors
