"""Derivatives of results of linear algebra, whose values kernels or numpy have computed: rows that only hold rules.

The rules are those of the literature (Giles 2008, "An extended collection of matrix derivative results"; Walter and
Lehmann 2013 for QR; Golub and Pereyra 1973 for the pseudoinverse), for one result of a factorisation at a time: what a
rule needs of the other factors is had from the input and from the result, so that results do not hold each other. Complex
eigenvectors and singular vectors may be turned by any phase: a gradient that depends on it has no meaning, and raises.
"""

from __future__ import annotations

from typing import Any

from .. import batching
from ..grad_mode import no_grad
from . import Op, Tensor, tracks


class History(Op):
    """The derivative of something computed elsewhere."""

    batches = True

    def of(self, result: Tensor, *inputs: Tensor, **attributes: Any) -> Tensor:
        """`result` with its history, when one is wanted."""
        if tracks(*inputs):
            from ..autograd.graph import attach

            attach(self, result, inputs, attributes)
        return result

    def evaluate(self, node: Any, arrays: list):
        raise AssertionError(f"{self.name} holds a derivative; it is never computed")


def lower_half(x: Tensor) -> Tensor:
    """The lower triangle, with half of the diagonal."""
    return x.tril() - x.diagonal(0, -2, -1).diag_embed() / 2


def eye_like(x: Tensor) -> Tensor:
    from ..creation import eye

    return eye(x._shape[-1], dtype=x.dtype, device=x.device)


def solve(a: Tensor, b: Tensor) -> Tensor:
    from ..linalg import solve as function

    return function(a, b)


def triangular(a: Tensor, b: Tensor, **given: Any) -> Tensor:
    from ..linalg import solve_triangular

    return solve_triangular(a, b, **given)


# ---- inverses and systems -------------------------------------------------------------------------------------------


def determinant_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    from ..grad_mode import current
    from ..linalg import inv_ex
    from ..linalg.systems import adjugate

    if current().grad and (x.requires_grad or g.requires_grad):
        return (g * out.conj()).unsqueeze(-1).unsqueeze(-1) * inv_ex(x)[0].mH
    return g.unsqueeze(-1).unsqueeze(-1) * adjugate(x).mH


def log_determinant_gradient(g: Tensor, x: Tensor) -> Tensor:
    from ..linalg import inv_ex

    return g.unsqueeze(-1).unsqueeze(-1) * inv_ex(x)[0].mH


def determinant_sign_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of det / |det| of complex matrices, which turns by the imaginary part of the trace of x^-1 dx."""
    from ..linalg import inv_ex

    return ((g.conj() * out).imag * -1j).unsqueeze(-1).unsqueeze(-1) * inv_ex(x)[0].mH


def triangular_matrix_gradient(g: Tensor, out: Tensor, x: Tensor, upper: bool, left: bool, unit: bool) -> Tensor:
    sides = triangular_right_gradient(g, x, upper, left, unit)
    gradient = -(sides @ out.mH) if left else -(out.mH @ sides)
    return gradient.triu(1 if unit else 0) if upper else gradient.tril(-1 if unit else 0)


def triangular_right_gradient(g: Tensor, x: Tensor, upper: bool, left: bool, unit: bool) -> Tensor:
    return triangular(x.mH, g, upper=not upper, left=left, unitriangular=unit)


def pseudoinverse_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    tall = g.mH @ out @ out.mH
    wide = out.mH @ out @ g.mH
    return (tall - x @ (out @ tall)) + (wide - (wide @ out) @ x) - out.mH @ g @ out.mH


def symmetric_gradient(g: Tensor, factors: Tensor, pivots: Tensor, hermitian: bool) -> Tensor:
    """The adjoint of a symmetric matrix is its conjugate, that of a Hermitian one the matrix itself."""
    from ..linalg import ldl_solve

    if hermitian or not g.dtype.is_complex:
        return ldl_solve(factors, pivots, g, hermitian=hermitian)
    return ldl_solve(factors, pivots, g.conj()).conj()


# ---- factorisations -------------------------------------------------------------------------------------------------


def cholesky_gradient(g: Tensor, out: Tensor) -> Tensor:
    inner = lower_half(out.mH @ g)
    half = triangular(out, triangular(out.mH, inner, upper=True), upper=False, left=False)
    return (half + half.mH) / 2


def lower_factor_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of the unit lower factor of a square matrix whose rows have been put in order."""
    upper = triangular(out, x, upper=False, unitriangular=True)
    inner = triangular(upper, (out.mH @ g).tril(-1).mH, upper=True).mH
    return triangular(out.mH, inner, upper=True, unitriangular=True)


def upper_factor_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    lower = triangular(out, x, upper=True, left=False)
    inner = triangular(out, (g @ out.mH).triu().mH, upper=True).mH
    return triangular(lower.mH, inner, upper=True, unitriangular=True)


def completed(x: Tensor) -> Tensor:
    """The Hermitian matrix of which `x` gives the lower triangle; of the diagonal the real part counts."""
    strict = x.tril(-1)
    return strict + strict.mH + x.diagonal(0, -2, -1).real.diag_embed()


def orthogonal_factor_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of Q in x = QR, for at least as many rows as columns."""
    factor = (out.mH @ x).triu()
    return triangular(factor, (g - out @ completed(g.mH @ out)).mH, upper=True).mH


def triangular_factor_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of R in x = QR, for at least as many rows as columns."""
    orthogonal = triangular(out, x, upper=True, left=False)
    return triangular(out, (orthogonal @ completed(out @ g.mH)).mH, upper=True).mH


# ---- eigenvalues and singular values --------------------------------------------------------------------------------


def apart(values: Tensor) -> Tensor:
    """values[j] - values[i] at (i, j), and 1 on the diagonal."""
    return values.unsqueeze(-2) - values.unsqueeze(-1) + eye_like(values.unsqueeze(-2))


def without_diagonal(x: Tensor) -> Tensor:
    return x - x.diagonal(0, -2, -1).diag_embed()


def require_no_phase(turned: Tensor, call: str, what: str) -> None:
    """Raise RuntimeError where the gradient along phases, the imaginary parts of `turned`, is not 0. With PyTorch's
    tolerance; under vmap it is not asked for, as there."""
    from ..linalg.checks import require

    if not turned.dtype.is_complex or batching.batched((turned,)):
        return
    with no_grad():
        wrong = (turned.detach().imag.abs() > 1e-2).any()
    require(
        wrong,
        lambda _: (
            f"{call}: {what} are specified up to multiplication by e^{{i phi}}. The specified loss function depends on this "
            "quantity, so it is ill-defined; take sizes, products with the adjoint, or projections instead"
        ),
        kind=RuntimeError,
    )


def eigenvector_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of the eigenvectors of a Hermitian matrix."""
    values = (out.conj() * (x @ out)).sum(-2).real
    inner = out.mH @ g
    require_no_phase(inner.diagonal(0, -2, -1), "linalg_eigh_backward", "The eigenvectors in the complex case")
    inner = without_diagonal((inner - inner.mH) / (2 * apart(values)))
    return out @ inner @ out.mH


def general_eigenvalue_gradient(g: Tensor, vectors: Tensor) -> Tensor:
    return solve(vectors.mH, g.unsqueeze(-1) * vectors.mH)


def general_eigenvector_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of the eigenvectors, of length 1, of any square matrix: of those each value is had as their own product with it."""
    values = (out.conj() * (x.to(out.dtype) @ out)).sum(-2)
    adjoint = out.mH
    inner = adjoint @ g
    along = inner.diagonal(0, -2, -1)
    require_no_phase(along, "linalg_eig_backward", "The eigenvectors in the complex case")
    inner = inner - (adjoint @ out) * along.real.unsqueeze(-2)
    return solve(adjoint, without_diagonal(inner / apart(values).conj()) @ adjoint)


def left_singular_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of U in x = U diag(S) V^T, for real matrices."""
    scaled = x.mT @ out  # V diag(S)
    squares = (scaled * scaled).sum(-2)
    inner = out.mT @ g
    inner = without_diagonal((inner - inner.mT) / apart(squares))
    result = out @ (inner @ scaled.mT)
    if x._shape[-2] > out._shape[-1]:
        side = (g / squares.unsqueeze(-2)) @ scaled.mT
        result = result + side - out @ (out.mT @ side)
    return result


def right_singular_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of V^T: it is the left factor of the transposed matrix."""
    return left_singular_gradient(g.mT, out.mT, x.mT).mT


def singular_vectors_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of U above V in x = U diag(S) V^H, for complex matrices: both turn by one phase, so that what turns them is asked of
    both together."""
    m, n = x._shape[-2:]
    U, V = out.narrow(-2, 0, m), out.narrow(-2, m, n)
    left_g, right_g = g.narrow(-2, 0, m), g.narrow(-2, m, n)
    values = (U.conj() * (x @ V)).sum(-2).real
    row = values.unsqueeze(-2)
    gap = apart(values * values)
    left, right = U.mH @ left_g, V.mH @ right_g
    turn = left.diagonal(0, -2, -1)
    require_no_phase(turn + right.diagonal(0, -2, -1), "svd_backward", "The singular vectors in the complex case")
    inner = without_diagonal((left - left.mH) / gap * row + values.unsqueeze(-1) * ((right - right.mH) / gap))
    inner = inner + (turn.imag / values * 1j).diag_embed()
    result = U @ inner @ V.mH
    if m > out._shape[-1]:
        result = result + ((left_g - U @ left) / row) @ V.mH
    if n > out._shape[-1]:
        result = result + U @ ((right_g - V @ right) / row).mH
    return result


# fmt: off
def row(name: str, *rules: Any, grad_name: str) -> History:
    made = History(name, public=False, method=False, vjp=rules, grad_name=grad_name)
    made.holomorphic = False  # the rules name adjoints, which for real matrices are transposes
    return made


inverse = row("_inverse", lambda g, out: -(out.mH @ g @ out.mH), grad_name="LinalgInvEx")
solution = row("_solution", lambda g, out, x: -(solve(x.mH, g) @ out.mH), lambda g, x: solve(x.mH, g), grad_name="LinalgSolveEx")
symmetric_solution = row("_symmetric_solution", symmetric_gradient, grad_name="LinalgLdlSolve")
determinant = row("_determinant", determinant_gradient, grad_name="LinalgDet")
log_determinant = row("_log_determinant", log_determinant_gradient, grad_name="LinalgSlogdet")
determinant_sign = row("_determinant_sign", determinant_sign_gradient, grad_name="LinalgSlogdet")
triangular_solution = row("_triangular_solution", triangular_matrix_gradient, triangular_right_gradient,
    grad_name="LinalgSolveTriangular")
pseudoinverse = row("_pseudoinverse", pseudoinverse_gradient, grad_name="LinalgPinv")
cholesky_factor = row("_cholesky_factor", cholesky_gradient, grad_name="LinalgCholeskyEx")
lower_factor = row("_lower_factor", lower_factor_gradient, grad_name="LinalgLu")
upper_factor = row("_upper_factor", upper_factor_gradient, grad_name="LinalgLu")
orthogonal_factor = row("_orthogonal_factor", orthogonal_factor_gradient, grad_name="LinalgQr")
triangular_factor = row("_triangular_factor", triangular_factor_gradient, grad_name="LinalgQr")
eigenvalues = row("_eigenvalues", lambda g, vectors: (vectors * g.unsqueeze(-2)) @ vectors.mH, grad_name="LinalgEigh")
eigenvectors = row("_eigenvectors", eigenvector_gradient, grad_name="LinalgEigh")
general_eigenvalues = row("_general_eigenvalues", general_eigenvalue_gradient, grad_name="LinalgEig")
general_eigenvectors = row("_general_eigenvectors", general_eigenvector_gradient, grad_name="LinalgEig")
singular_values = row("_singular_values", lambda g, left, right: (left * g.unsqueeze(-2)) @ right, grad_name="LinalgSvd")
left_singular = row("_left_singular", left_singular_gradient, grad_name="LinalgSvd")
singular_vectors = row("_singular_vectors", singular_vectors_gradient, grad_name="LinalgSvd")
right_singular = row("_right_singular", right_singular_gradient, grad_name="LinalgSvd")
# fmt: on

__all__ = ["History"]
