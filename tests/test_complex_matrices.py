"""Linear algebra of complex matrices, on both devices: what numpy makes of the same matrices, and the gradients."""

import warnings

import numpy as np
import pytest

import webtorch
from webtorch import linalg
from webtorch.autograd import gradcheck, gradgradcheck
from webtorch.errors import DTypeError

RANDOM = np.random.default_rng(11)


def normal(*shape):
    return RANDOM.standard_normal(shape) + 1j * RANDOM.standard_normal(shape)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


A = normal(2, 4, 4)
HERMITIAN = A @ adjoint(A) + 3 * np.eye(4)
TALL, WIDE, RIGHT = normal(2, 5, 3), normal(2, 3, 5), normal(2, 4, 2)
UPPER = np.triu(A) + 3 * np.eye(4)


def exponential(x):
    values, vectors = np.linalg.eig(x)
    return (vectors * np.exp(values)[..., None, :]) @ np.linalg.inv(vectors)


def lower(x):
    return np.linalg.cholesky(x)


# A function of tensors, the matrices, and what numpy makes of them.
CASES = {
    "inv": (linalg.inv, (A,), np.linalg.inv(A)),
    "det": (linalg.det, (A,), np.linalg.det(A)),
    "sign": (lambda a: linalg.slogdet(a).sign, (A,), np.linalg.slogdet(A)[0]),
    "logabsdet": (lambda a: linalg.slogdet(a).logabsdet, (A,), np.linalg.slogdet(A)[1]),
    "logdet": (webtorch.logdet, (A,), np.log(np.linalg.det(A))),
    "cholesky": (linalg.cholesky, (HERMITIAN,), lower(HERMITIAN)),
    "cholesky upper": (lambda a: linalg.cholesky(a, upper=True), (HERMITIAN,), adjoint(lower(HERMITIAN))),
    "cholesky_solve": (
        lambda a, b: webtorch.cholesky_solve(b, linalg.cholesky(a)), (HERMITIAN, RIGHT), np.linalg.solve(HERMITIAN, RIGHT)
    ),
    "cholesky_inverse": (
        lambda a: webtorch.cholesky_inverse(linalg.cholesky(a, upper=True), upper=True), (HERMITIAN,),
        np.linalg.inv(HERMITIAN)
    ),
    "solve": (linalg.solve, (A, RIGHT), np.linalg.solve(A, RIGHT)),
    "solve right": (
        lambda a, b: linalg.solve(a, b.mT, left=False), (A, RIGHT),
        np.swapaxes(np.linalg.solve(np.swapaxes(A, -1, -2), RIGHT), -1, -2)
    ),
    "solve_triangular": (
        lambda a, b: linalg.solve_triangular(a, b, upper=True), (UPPER, RIGHT), np.linalg.solve(UPPER, RIGHT)
    ),
    "lu_solve": (lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b), (A, RIGHT), np.linalg.solve(A, RIGHT)),
    "lu_solve adjoint": (
        lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b, adjoint=True), (A, RIGHT), np.linalg.solve(adjoint(A), RIGHT)
    ),
    "lu_solve right": (
        lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b.mT, left=False), (A, RIGHT),
        np.swapaxes(np.linalg.solve(np.swapaxes(A, -1, -2), RIGHT), -1, -2)
    ),
    "lu": (lambda a: linalg.lu(a).L @ linalg.lu(a).U, (UPPER,), UPPER),
    "pinv tall": (linalg.pinv, (TALL,), np.linalg.pinv(TALL)),
    "pinv wide": (linalg.pinv, (WIDE,), np.linalg.pinv(WIDE)),
    "lstsq": (lambda a, b: linalg.lstsq(a, b).solution, (TALL, TALL[..., :2] * 1j + 1),
              np.linalg.pinv(TALL) @ (TALL[..., :2] * 1j + 1)),
    "residuals": (
        lambda a, b: linalg.lstsq(a, b, driver="gelsd").residuals, (TALL, 0 * TALL[..., :2] + 1),
        (np.abs(TALL @ (np.linalg.pinv(TALL) @ np.ones((2, 5, 2))) - 1) ** 2).sum(-2)
    ),
    "cond": (linalg.cond, (A,), np.linalg.cond(A)),
    "cond 1": (lambda a: linalg.cond(a, 1), (A,), np.linalg.cond(A, 1)),
    "matrix_exp": (linalg.matrix_exp, (A,), exponential(A)),
    "svdvals": (linalg.svdvals, (TALL,), np.linalg.svd(TALL, compute_uv=False)),
    "eigvalsh": (linalg.eigvalsh, (HERMITIAN,), np.linalg.eigvalsh(HERMITIAN)),
    "nuclear": (lambda a: linalg.matrix_norm(a, "nuc"), (TALL,), np.linalg.svd(TALL, compute_uv=False).sum(-1)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    """The first call of a function that goes to the host warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", CASES)
def test_values(name, device):
    function, arrays, wanted = CASES[name]
    got = function(*(webtorch.tensor(array.astype(np.complex64), device=device) for array in arrays))
    assert (
        got.dtype is (webtorch.complex64 if np.iscomplexobj(wanted) else webtorch.float32) and got.device.type == device
    )
    np.testing.assert_allclose(got.numpy(), wanted, rtol=2e-3, atol=2e-3 * np.abs(wanted).max())


def symmetric(function, name):
    """Of what reads one triangle: given the Hermitian part, so that differences stay among Hermitian matrices."""
    if not name.startswith(("cholesky", "eigvalsh")):
        return function
    return lambda a, *others: function((a + a.mH) / 2, *others)


@pytest.mark.parametrize("name", [name for name in CASES if name != "residuals"])
def test_gradients(name):
    function, arrays, _ = CASES[name]
    leaves = [webtorch.tensor(array[0], device="cpu", requires_grad=True) for array in arrays]
    assert leaves[0].dtype is webtorch.complex128
    assert gradcheck(symmetric(function, name), leaves, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("name", ["inv", "solve", "det", "cholesky"])
def test_second_gradients(name):
    function, arrays, _ = CASES[name]
    leaves = [webtorch.tensor(array[0], device="cpu", requires_grad=True) for array in arrays]
    assert gradgradcheck(symmetric(function, name), leaves, atol=1e-4, rtol=1e-3, fast_mode=True)


def test_svd_of_complex_matrices(device):
    x = webtorch.tensor(TALL.astype(np.complex64), device=device)
    U, S, V = webtorch.svd(x)
    np.testing.assert_allclose((U * S.unsqueeze(-2) @ V.mH).numpy(), TALL, atol=1e-4)


def test_vectors_have_no_gradient():
    """Their phase is arbitrary: an error when a gradient is wanted, and not before."""
    x = webtorch.tensor(HERMITIAN[0], device="cpu", requires_grad=True)
    for vectors in (linalg.eigh(x).eigenvectors, linalg.svd(x).U, linalg.qr(x).Q):
        with pytest.raises(NotImplementedError, match="no derivative for webtorch.complex128 matrices"):
            vectors.real.sum().backward()


def test_what_complex_matrices_have_not(device):
    x = webtorch.tensor(HERMITIAN.astype(np.complex64), device=device)
    for function in (linalg.ldl_factor, webtorch.geqrf, lambda x: linalg.householder_product(x, x.select(-1, 0))):
        with pytest.raises(DTypeError, match="complex matrices are taken by linalg.inv"):
            function(x)
