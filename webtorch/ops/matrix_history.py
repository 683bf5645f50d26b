"""Derivatives of results of linear algebra, whose values kernels or numpy have computed: rows that only hold rules.

The rules are those of the literature (Giles 2008, "An extended collection of matrix derivative results"; Walter and
Lehmann 2013 for QR; Golub and Pereyra 1973 for the pseudoinverse), for one result of a factorisation at a time: what a
rule needs of the other factors is had from the input and from the result, so that results do not hold each other. Rules for
real matrices alone are marked; where a complex one comes to them, they raise.
"""

from __future__ import annotations

import copy
from typing import Any

from . import Op, Tensor, tracks


class History(Op):
    """The derivative of something computed elsewhere."""

    batches = True
    complex_rule = False  # whether the rule holds for complex matrices, too

    def of(self, result: Tensor, *inputs: Tensor, **attributes: Any) -> Tensor:
        """`result` with its history, when one is wanted."""
        if tracks(*inputs):
            from ..autograd.graph import attach

            row = self if self.complex_rule or not any(value.dtype.is_complex for value in inputs) else self.refusing()
            attach(row, result, inputs, attributes)
        return result

    def refusing(self) -> History:
        """The same row where its rules do not hold: it raises when a gradient is wanted."""

        def refuse(g: Tensor) -> Tensor:
            raise NotImplementedError(
                f"{self.grad_name}: no derivative for {g.dtype} matrices; detach() this result, or use real ones"
            )

        made = copy.copy(self)
        made.vjp = tuple(rule and refuse for rule in self.vjp)
        made.rule_names = tuple(("g",) for _ in self.vjp)
        return made

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
    first = -(out.mH @ g @ out.mH)
    if x._shape[-2] >= x._shape[-1]:
        side = g.mH @ out @ out.mH
        first = first + (side - x @ (out @ side))
    if x._shape[-2] <= x._shape[-1]:
        side = out.mH @ out @ g.mH
        first = first + (side - (side @ out) @ x)
    return first


def symmetric_gradient(g: Tensor, factors: Tensor, pivots: Tensor) -> Tensor:
    from ..linalg import ldl_solve

    return ldl_solve(factors, pivots, g)


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


def orthogonal_factor_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of Q in x = QR, for at least as many rows as columns."""
    factor = (out.mT @ x).triu()
    inner = -(g.mT @ out)
    inner = inner.tril() + inner.tril(-1).mT
    return triangular(factor, (g + out @ inner).mT, upper=True).mT


def triangular_factor_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of R in x = QR, for at least as many rows as columns."""
    orthogonal = triangular(out, x, upper=True, left=False)
    inner = out @ g.mT
    inner = inner.tril() + inner.tril(-1).mT
    return triangular(out, (orthogonal @ inner).mT, upper=True).mT


# ---- eigenvalues and singular values --------------------------------------------------------------------------------


def apart(values: Tensor) -> Tensor:
    """values[j] - values[i] at (i, j), and 1 on the diagonal."""
    return values.unsqueeze(-2) - values.unsqueeze(-1) + eye_like(values.unsqueeze(-2))


def eigenvector_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    values = (out * (x @ out)).sum(-2)
    inner = out.mT @ g
    inner = (inner - inner.mT) / (2 * apart(values))
    inner = inner - inner.diagonal(0, -2, -1).diag_embed()
    return out @ inner @ out.mT


def left_singular_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of U in x = U diag(S) V^T."""
    scaled = x.mT @ out  # V diag(S)
    squares = (scaled * scaled).sum(-2)
    inner = out.mT @ g
    inner = (inner - inner.mT) / apart(squares)
    inner = inner - inner.diagonal(0, -2, -1).diag_embed()
    result = out @ (inner @ scaled.mT)
    if x._shape[-2] > out._shape[-1]:
        side = (g / squares.unsqueeze(-2)) @ scaled.mT
        result = result + side - out @ (out.mT @ side)
    return result


def right_singular_gradient(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Of V^T: it is the left factor of the transposed matrix."""
    return left_singular_gradient(g.mT, out.mT, x.mT).mT


# fmt: off
def row(name: str, *rules: Any, grad_name: str, real_only: bool = False) -> History:
    made = History(name, public=False, method=False, vjp=rules, grad_name=grad_name)
    made.complex_rule = not real_only
    made.holomorphic = False  # the rules name adjoints, which for real matrices are transposes
    return made


inverse = row("_inverse", lambda g, out: -(out.mH @ g @ out.mH), grad_name="LinalgInvEx")
solution = row("_solution", lambda g, out, x: -(solve(x.mH, g) @ out.mH), lambda g, x: solve(x.mH, g), grad_name="LinalgSolveEx")
symmetric_solution = row("_symmetric_solution", symmetric_gradient, grad_name="LinalgLdlSolve", real_only=True)
determinant = row("_determinant", determinant_gradient, grad_name="LinalgDet")
log_determinant = row("_log_determinant", log_determinant_gradient, grad_name="LinalgSlogdet")
determinant_sign = row("_determinant_sign", determinant_sign_gradient, grad_name="LinalgSlogdet")
triangular_solution = row("_triangular_solution", triangular_matrix_gradient, triangular_right_gradient,
    grad_name="LinalgSolveTriangular")
pseudoinverse = row("_pseudoinverse", pseudoinverse_gradient, grad_name="LinalgPinv")
cholesky_factor = row("_cholesky_factor", cholesky_gradient, grad_name="LinalgCholeskyEx")
lower_factor = row("_lower_factor", lower_factor_gradient, grad_name="LinalgLu")
upper_factor = row("_upper_factor", upper_factor_gradient, grad_name="LinalgLu")
orthogonal_factor = row("_orthogonal_factor", orthogonal_factor_gradient, grad_name="LinalgQr", real_only=True)
triangular_factor = row("_triangular_factor", triangular_factor_gradient, grad_name="LinalgQr", real_only=True)
eigenvalues = row("_eigenvalues", lambda g, vectors: (vectors * g.unsqueeze(-2)) @ vectors.mH, grad_name="LinalgEigh")
eigenvectors = row("_eigenvectors", eigenvector_gradient, grad_name="LinalgEigh", real_only=True)
singular_values = row("_singular_values", lambda g, left, right: (left * g.unsqueeze(-2)) @ right, grad_name="LinalgSvd")
left_singular = row("_left_singular", left_singular_gradient, grad_name="LinalgSvd", real_only=True)
right_singular = row("_right_singular", right_singular_gradient, grad_name="LinalgSvd", real_only=True)
# fmt: on

__all__ = ["History"]
