"""Linear algebra under its older names at top level, which PyTorch keeps beside `linalg`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import creation
from ..errors import ShapeError
from ..functional.method import method
from ..grad_mode import no_grad
from ..ops import TABLE
from ..ops.binary import where
from ..precision import autocasts
from ..tensor import Tensor
from . import factor, norms, spectral, systems
from .checks import check_matrices, check_shape, per_example, stacked, stored
from .factor import lu_unpack

__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "cross", "det", "frobenius_norm", "geqrf", "inverse", "logdet", "lu",
    "lu_solve", "lu_unpack", "matrix_exp", "matrix_power", "nuclear_norm", "orgqr", "ormqr", "pinverse", "qr", "slogdet",
    "svd", "triangular_solve", "vander",
]  # fmt: skip


class SVD(NamedTuple):
    """What `webtorch.svd` returns: V, not its transpose."""

    U: Tensor
    S: Tensor
    V: Tensor


class Geqrf(NamedTuple):
    """What `geqrf` returns."""

    a: Tensor
    tau: Tensor


class TriangularSolve(NamedTuple):
    """What `triangular_solve` returns."""

    solution: Tensor
    cloned_coefficient: Tensor


@method
def det(input: Tensor) -> Tensor:
    """The determinants of square matrices: `linalg.det`.

    >>> import webtorch
    >>> webtorch.det(webtorch.eye(2) * 3)
    tensor(9.)
    """
    return systems.det(input)


@method
def logdet(input: Tensor) -> Tensor:
    """The logarithms of determinants: NaN for negative ones, -inf for 0; of complex ones the principal value.

    >>> import webtorch
    >>> webtorch.logdet(webtorch.eye(2))
    tensor(0.)
    """
    sign, logarithm = systems.slogdet(input)
    if input.dtype.is_complex:
        return TABLE["complex"](logarithm, sign.angle())
    return where(sign < 0, float("nan"), logarithm)


@method
def slogdet(input: Tensor, *, out: Any = None) -> systems.SlogDet:
    """`linalg.slogdet`.

    >>> import webtorch
    >>> webtorch.slogdet(webtorch.eye(2)).sign
    tensor(1.)
    """
    return systems.slogdet(input, out=out)


@method
def inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverses of square matrices: `linalg.inv`.

    >>> import webtorch
    >>> webtorch.inverse(webtorch.eye(2) * 4)
    tensor([[0.2500, 0.0000],
            [0.0000, 0.2500]])
    """
    return systems.inv(input, out=out)


@method
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverses of matrices: `linalg.pinv`.

    >>> import webtorch
    >>> webtorch.pinverse(webtorch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return spectral.pinv(input, rcond)


@method
def cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """`linalg.cholesky`.

    >>> import webtorch
    >>> webtorch.cholesky(webtorch.eye(2) * 4)
    tensor([[2., 0.],
            [0., 2.]])
    """
    return stored("cholesky", factor.cholesky(input, upper=upper), out)


@method
@per_example
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """X with A X = input, from the Cholesky factor L of A (upper triangular with `upper`).

    >>> import webtorch
    >>> webtorch.cholesky_solve(webtorch.tensor([[8.0]]), webtorch.tensor([[2.0]]))
    tensor([[2.]])
    """
    check_matrices(L, "cholesky_solve", square=True)
    check_matrices(input, "cholesky_solve")
    check_shape(
        input._shape[-2] == L._shape[-1],
        f"cholesky_solve: Incompatible matrix sizes for linear solve: each A matrix is {L._shape[-1]} by {L._shape[-1]} but each "
        f"b matrix is {input._shape[-2]} by {input._shape[-1]}",
    )
    first, second = (L.mH, L) if upper else (L, L.mH)
    inner = systems.solve_triangular(first, input, upper=False)
    return stored("cholesky_solve", systems.solve_triangular(second, inner, upper=True), out)


@method
@per_example
def cholesky_inverse(L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A from its Cholesky factor L (upper triangular with `upper`).

    >>> import webtorch
    >>> webtorch.cholesky_inverse(webtorch.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    check_matrices(L, "cholesky_inverse", square=True)
    eye = creation.eye(L._shape[-1], dtype=L.dtype, device=L.device)
    return stored("cholesky_inverse", cholesky_solve(eye.expand(L._shape), L, upper), out)


@method
def qr(input: Tensor, some: bool = True, *, out: Any = None) -> factor.QR:
    """`linalg.qr` in mode "reduced", or "complete" without `some`.

    >>> import webtorch
    >>> webtorch.qr(webtorch.tensor([[3.0], [4.0]])).R.abs()
    tensor([[5.]])
    """
    return factor.qr(input, "reduced" if some else "complete", out=out)


@method
def svd(input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> SVD:
    """input = U diag(S) V^H; see `linalg.svd`, which returns V^H. Without `compute_uv` U and V are zeros.

    >>> import webtorch
    >>> webtorch.svd(webtorch.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    U, S, Vh = spectral.svd(input, not some)
    V = Vh.mH
    if not compute_uv:
        m, n = input._shape[-2:]
        lead = input._shape[:-2]
        U = creation.zeros((*lead, m, m), dtype=input.dtype, device=input.device)
        V = creation.zeros((*lead, n, n), dtype=input.dtype, device=input.device)
    return stored("svd", SVD(U, S, V), out)


@method
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple:
    """The packed LU factors and the pivots, as `linalg.lu_factor_ex`; with `get_infos` also `info`.

    >>> import webtorch
    >>> len(webtorch.lu(webtorch.eye(2), get_infos=True))
    3
    """
    result = factor.lu_factor_ex(A, pivot=pivot)
    return tuple(result) if get_infos else tuple(result[:2])


@method
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.lu_solve` with the right-hand side first.

    >>> import webtorch
    >>> webtorch.lu_solve(webtorch.tensor([[2.0]]), *webtorch.lu(webtorch.tensor([[4.0]])))
    tensor([[0.5000]])
    """
    return systems.lu_solve(LU_data, LU_pivots, b, out=out)


@method
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False, *, out: Any = None
) -> TriangularSolve:
    """X with A X = b (A^T X = b with `transpose`) for triangular A, and a copy of A; see `linalg.solve_triangular`.

    >>> import webtorch
    >>> webtorch.triangular_solve(webtorch.tensor([[2.0]]), webtorch.tensor([[4.0]])).solution
    tensor([[0.5000]])
    """
    matrix = A.mT if transpose else A
    solution = systems.solve_triangular(matrix, b, upper=upper != transpose, unitriangular=unitriangular)
    return stored("triangular_solve", TriangularSolve(solution, A.clone()), out)


@method
def matrix_exp(input: Tensor) -> Tensor:
    """`linalg.matrix_exp`.

    >>> import webtorch
    >>> webtorch.matrix_exp(webtorch.zeros(1, 1))
    tensor([[1.]])
    """
    return norms.matrix_exp(input)


@method
def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """`linalg.matrix_power`.

    >>> import webtorch
    >>> webtorch.matrix_power(webtorch.eye(2) * 2, 3)
    tensor([[8., 0.],
            [0., 8.]])
    """
    return norms.matrix_power(input, n, out=out)


@autocasts
def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The square root of the sum of squares over `dim`, or over all elements.

    >>> import webtorch
    >>> webtorch.frobenius_norm(webtorch.tensor([[3.0, 4.0]]))
    tensor(5.)
    """
    return norms.vector_norm(input, 2, dim, keepdim, out=out)


@autocasts
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The sum of the singular values of matrices.

    >>> import webtorch
    >>> webtorch.nuclear_norm(webtorch.eye(3))
    tensor(3.)
    """
    return norms.matrix_norm(input, "nuc", dim, keepdim, out=out)


@method
@autocasts
def cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """The cross products of vectors along `dim`, by default the first dimension of size 3.

    >>> import webtorch
    >>> webtorch.cross(webtorch.tensor([1, 0, 0]), webtorch.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        dim = next((d for d in range(input.ndim) if input._shape[d] == 3), None)
        if dim is None:
            raise ShapeError(f"cross: no dimension of size 3 in input, whose shape is {list(input._shape)}")
    return norms.cross(input, other, dim=dim, out=out)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of the elements of a vector as columns, descending, or with `increasing` ascending from 0.

    >>> import webtorch
    >>> webtorch.vander(webtorch.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    check_shape(x.ndim == 1, "vander: x must be a one-dimensional tensor.")
    count = x._shape[0] if N is None else N
    check_shape(count >= 0, "vander: N must be non-negative.")
    if not count or not x._shape[0]:
        return creation.zeros((x._shape[0], count), dtype=x.dtype, device=x.device)
    result = norms.vander(x, count)
    return result if increasing else result.flip(1)


# ---- reflections ----------------------------------------------------------------------------------------------------


@method
@per_example
def geqrf(input: Tensor, *, out: Any = None) -> Geqrf:
    """QR as reflections: R above and on the diagonal of `a`, the vectors below it, and their factors `tau`; what
    `householder_product` takes. Computed by numpy on the host; not differentiable.

    >>> import webtorch
    >>> a, tau = webtorch.geqrf(webtorch.tensor([[3.0], [4.0]]))
    >>> webtorch.allclose(webtorch.orgqr(a, tau) * a[0, 0], webtorch.tensor([[3.0], [4.0]]))
    True
    """
    check_matrices(input, "geqrf")
    with no_grad():

        def reflections(x: np.ndarray) -> tuple:
            h, tau = np.linalg.qr(x, "raw")
            return np.swapaxes(h, -1, -2), tau

        m, n = input._shape[-2:]
        a, tau = factor.on_host("geqrf", stacked(input.detach()), reflections, "QR is computed by numpy")
        lead = input._shape[:-2]
        return stored("geqrf", Geqrf(a.reshape(input._shape), tau.reshape((*lead, min(m, n)))), out)


@method
def orgqr(input: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.householder_product`.

    >>> import webtorch
    >>> webtorch.orgqr(webtorch.tensor([[0.0], [1.0]]), webtorch.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    return factor.householder_product(input, tau, out=out)


@method
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """`other` multiplied by the whole square product of reflections (or its adjoint), from the left or the right.

    >>> import webtorch
    >>> a, tau = webtorch.geqrf(webtorch.tensor([[3.0], [4.0]]))
    >>> webtorch.ormqr(a, tau, webtorch.tensor([[3.0], [4.0]]), transpose=True).abs()[0]
    tensor([5.])
    """
    check_matrices(input, "ormqr")
    input = input.narrow(-1, 0, tau._shape[-1])  # what lies to the right of the reflections is not read
    m, n = input._shape[-2:]
    missing = creation.zeros((*input._shape[:-2], m, m - n), dtype=input.dtype, device=input.device)
    whole = factor.householder_product(missing if not n else joined(input, missing), tau)
    whole = whole.mH if transpose else whole
    return stored("ormqr", whole @ other if left else other @ whole, out)


def joined(a: Tensor, b: Tensor) -> Tensor:
    from ..functional import cat

    return cat([a, b], -1)
