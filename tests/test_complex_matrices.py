"""Linear algebra of complex matrices, on both devices: what numpy makes of the same matrices, and the gradients."""

import warnings

import numpy as np
import pytest

import webtorch
from webtorch import linalg
from webtorch.autograd import gradcheck, gradgradcheck

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


def vectors_of(function):
    """Losses that turning the vectors by phases leaves as they are."""
    weights = webtorch.tensor(np.random.default_rng(4).standard_normal((5, 5)), device="cpu")

    def loss(x):
        parts = function(x)
        if len(parts) == 3:
            left, _, right = parts
            return (left @ right).abs(), (left.abs() ** 2 * weights[: left.shape[-2], : left.shape[-1]]).sum()
        vectors = parts[1]
        if function is linalg.qr:
            return parts
        return (vectors.abs() ** 2 * weights[: vectors.shape[-2], : vectors.shape[-1]]).sum(), parts[0].abs() ** 2

    return loss


GENERAL = A[0]
VECTORS = {
    "eig": (linalg.eig, GENERAL), "eig of real": (linalg.eig, GENERAL.real), "eigvals": (lambda x: (0, linalg.eigvals(x)), GENERAL),
    "eigh": (lambda x: linalg.eigh((x + x.mH) / 2), GENERAL), "svd": (lambda x: linalg.svd(x, False), GENERAL),
    "svd of tall": (lambda x: linalg.svd(x, False), TALL[0]), "svd of wide": (lambda x: linalg.svd(x, False), WIDE[0]),
    "qr": (linalg.qr, GENERAL), "qr of tall": (linalg.qr, TALL[0]), "qr of wide": (linalg.qr, WIDE[0]),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_gradients_of_vectors(name):
    function, matrix = VECTORS[name]
    x = webtorch.tensor(matrix, device="cpu", requires_grad=True)
    loss = function if name.startswith("qr") else vectors_of(function)
    if name == "eigvals":
        loss = lambda x: (linalg.eigvals(x).abs() ** 2).sum()  # noqa: E731 (the order is numpy's)
    assert gradcheck(loss, [x], atol=1e-5, rtol=1e-4, fast_mode=True)
    assert gradgradcheck(loss, [x], atol=1e-3, rtol=1e-3, fast_mode=True)


PHASES = [
    ("linalg_eigh_backward", lambda x: linalg.eigh(x @ x.mH).eigenvectors), ("linalg_eig_backward", lambda x: linalg.eig(x)[1]),
    ("svd_backward", lambda x: linalg.svd(x).U), ("svd_backward", lambda x: linalg.svd(x).Vh),
]  # fmt: skip


@pytest.mark.parametrize(("call", "function"), PHASES)
def test_phases_have_no_gradient(call, function, device):
    """They are arbitrary: an error when a gradient is wanted (on a GPU, when it is read), and not before."""
    x = webtorch.tensor(GENERAL.astype(np.complex64), device=device, requires_grad=True)
    loss = function(x).real.sum() + function(x).imag.sum()
    with pytest.raises(RuntimeError, match=f"{call}: .* is ill-defined"):
        webtorch.autograd.grad(loss, x)[0].tolist()


def test_gradients_of_vectors_on_the_device(device):
    x = webtorch.tensor(GENERAL.astype(np.complex64), device=device, requires_grad=True)
    y = webtorch.tensor(GENERAL, device="cpu", requires_grad=True)
    for function in (linalg.eig, lambda z: linalg.eigh(z @ z.mH), lambda z: linalg.svd(z)[::2], linalg.qr):
        grads = []
        for z in (x, y):
            size = function(z)[1].abs()
            (grad,) = webtorch.autograd.grad((size * size * size).sum(), z)
            grads.append(grad.cpu().numpy())
        np.testing.assert_allclose(grads[0], grads[1], rtol=2e-3, atol=2e-3 * np.abs(grads[1]).max())


def test_reflections(device):
    x = webtorch.tensor(TALL.astype(np.complex64), device=device)
    a, tau = webtorch.geqrf(x)
    Q, R = linalg.householder_product(a, tau), a[:, :3].triu()
    np.testing.assert_allclose((Q @ R).numpy(), TALL, atol=1e-4)
    np.testing.assert_allclose((Q.mH @ Q).numpy(), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-5)
    back = webtorch.ormqr(a, tau, webtorch.ormqr(a, tau, x), transpose=True)
    np.testing.assert_allclose(back.numpy(), TALL, atol=1e-4)


@pytest.mark.parametrize("hermitian", [False, True])
def test_ldl_factors(hermitian, device):
    """The solution solves, and the factors are those of the matrix: also where rows are swapped and blocks are of two rows."""
    matrix = A + adjoint(A) if hermitian else A + np.swapaxes(A, -1, -2)
    matrix[0, range(4), range(4)] = 0
    x = webtorch.tensor(matrix.astype(np.complex64), device=device)
    LD, pivots = linalg.ldl_factor(x, hermitian=hermitian)
    assert (pivots < 0).any().item()
    solved = linalg.ldl_solve(
        LD, pivots, webtorch.tensor(RIGHT.astype(np.complex64), device=device), hermitian=hermitian
    )
    np.testing.assert_allclose(solved.numpy(), np.linalg.solve(matrix, RIGHT), rtol=1e-3, atol=1e-3)
    with webtorch.no_grad():
        LD, pivots = linalg.ldl_factor(webtorch.tensor(matrix[0], device="cpu"), hermitian=hermitian)
    right = webtorch.tensor(RIGHT[0], device="cpu", requires_grad=True)
    assert gradcheck(lambda b: linalg.ldl_solve(LD, pivots, b, hermitian=hermitian), [right], fast_mode=True)
