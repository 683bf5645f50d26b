"""Linear algebra: values, gradients and errors as PyTorch has them, on both devices. What is unique only up to signs is
observed as what is not: products of the factors, absolute values."""

import contextlib
import warnings

import numpy as np
import pytest
from programs import Programs, error

import webtorch
from webtorch.autograd import gradcheck, gradgradcheck

program = Programs("linalg")
NAN, INF = float("nan"), float("inf")


@contextlib.contextmanager
def quiet():
    """The first call of a function that goes to the host warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def matrices(m, *shape, seed=0):
    return m.tensor(numbers(*shape, seed=seed))


def positive(m, *lead, n=4, seed=0):
    x = numbers(*lead, n, n, seed=seed)
    return m.tensor(x @ np.swapaxes(x, -1, -2) + n * np.eye(n, dtype=np.float32))


@program
def norms(m):
    x = matrices(m, 2, 3, 4)
    for ord in (2, 1, 0, 3, 0.5, INF, -INF, -1):
        yield (
            m.linalg.vector_norm(x, ord),
            m.linalg.vector_norm(x, ord, dim=(0, 2), keepdim=True),
            m.linalg.norm(x, ord, dim=1),
        )
    for ord in ("fro", "nuc", 2, -2, 1, -1, INF, -INF):
        yield (
            m.linalg.matrix_norm(x, ord),
            m.linalg.matrix_norm(x, ord, dim=(2, 0), keepdim=True),
            m.linalg.norm(x[0], ord),
        )
    yield (
        m.linalg.norm(x),
        m.linalg.vector_norm(m.zeros(0)),
        m.linalg.vector_norm(m.tensor(-3.0)),
        m.linalg.norm(x, dim=(0, 1)),
    )
    yield m.linalg.vector_norm(x, dtype=m.float64).dtype == m.float64, m.linalg.vector_norm(m.tensor([NAN, 1.0]), INF)
    for p in (None, 1, -1, INF, "fro", "nuc", -2):
        yield m.linalg.cond(x[:, :, :3], p)
    yield m.linalg.cond(m.zeros(2, 2), 1), m.linalg.cond(x)
    yield error(RuntimeError, "does not have an identity", lambda: m.linalg.vector_norm(m.zeros(0), INF))
    yield error(RuntimeError, "the input must be 1D or 2D", lambda: m.linalg.norm(x, 2))
    yield error(RuntimeError, "not supported", lambda: m.linalg.matrix_norm(x, 3))
    yield error(RuntimeError, "floating point", lambda: m.linalg.vector_norm(m.tensor([1, 2])))


@program
def products(m):
    x = matrices(m, 2, 3, 3)
    for n in (0, 1, 2, 5, -1, -3):
        yield m.linalg.matrix_power(x, n), m.matrix_power(x[0], n)
    for scale in (0.01, 1.0, 5.0):
        yield m.linalg.matrix_exp(x * scale / 2)
    yield m.matrix_exp(m.stack([x[0] * 0.1, x[1] * 3])), m.linalg.multi_dot([x[0, 0], x[1], x[0, :, :2], x[1, 0, :2]])
    yield (
        m.linalg.multi_dot([x[0], x[1]]),
        m.linalg.cross(x, x[:1], dim=1),
        m.linalg.cross(x[0], x[1]),
        m.cross(x[0], x[1], dim=0),
    )
    yield (
        m.linalg.vecdot(x, x[:1], dim=1),
        m.linalg.vander(x[0]),
        m.linalg.vander(x[0, 0], N=5),
        m.vander(x[0, 0]),
        m.vander(x[0, 0], 2, True),
    )
    yield m.linalg.diagonal(x, offset=1), m.linalg.matmul(x, x), m.linalg.householder_product(x[:, :, :2], x[:, 0, :2])
    yield (
        m.linalg.tensorinv(matrices(m, 2, 3, 6)),
        m.linalg.tensorsolve(matrices(m, 6, 2, 3), matrices(m, 6)),
        m.linalg.tensorsolve(matrices(m, 2, 6, 3), matrices(m, 6), dims=(0,)),
    )
    yield error(RuntimeError, "must be batches of square matrices", lambda: m.linalg.matrix_power(x[:, :2], 2))
    yield error(RuntimeError, "expected at least 2 tensors", lambda: m.linalg.multi_dot([x[0]]))
    yield error(RuntimeError, "must have length 3", lambda: m.linalg.cross(x[0, :2, :2], x[0, :2, :2]))


@program
def norms_of_nothing(m):
    for shape in ((0, 0), (2, 5, 0), (0, 5), (2, 0, 3)):
        yield [m.linalg.matrix_norm(m.ones(shape), ord, keepdim=shape[0] > 0) for ord in (1, 2, INF, "nuc", "fro")]
    yield m.linalg.norm(m.ones(3, 0), 1), m.linalg.norm(m.ones(0, 3), INF, (0, 1))


@program
def scaled_products_of_integers(m):
    x = m.arange(12).reshape(3, 2, 2)
    for scale in ({}, {"alpha": 2, "beta": 3}, {"alpha": 2.9, "beta": 0.6}, {"alpha": -1.5, "beta": True}):
        yield m.addmm(x[0], x[1], x[2], **scale), m.addmv(x[0, 0], x[1], x[2, 0], **scale)
        yield m.addbmm(x[0], x, x, **scale), m.baddbmm(x, x, x, **scale)
    yield m.addbmm(m.ones(2), matrices(m, 2, 2, 3), matrices(m, 2, 3, 2, seed=1), beta=0.5, alpha=2)
    yield error(RuntimeError, "must not be", lambda: m.addr(x[0], x[1, 0], x[2, 0], beta=0.5))


@program
def pseudoinverses_of_products(m):
    for rows, columns in ((5, 3), (3, 5)):
        A, B = matrices(m, rows, 2), matrices(m, columns, 2, seed=1)  # of rank two
        yield gradients_of(m, lambda a, b: m.linalg.pinv(a @ b.mT, rtol=1e-4), A, B)


@program
def systems(m):
    A, B = matrices(m, 2, 4, 4), matrices(m, 2, 4, 3, seed=1)
    yield (
        m.linalg.solve(A, B),
        m.linalg.solve(A, B.mT, left=False),
        m.linalg.solve(A, B[..., 0]),
        m.linalg.solve(A[0], B),
        m.linalg.solve(A, B[0]),
    )
    yield (
        list(m.linalg.solve_ex(A, B)),
        m.linalg.solve(A[0], B[0, :, 0]),
        m.linalg.inv(A),
        m.inverse(A[0]),
        list(m.linalg.inv_ex(A)),
    )
    yield (
        m.linalg.det(A),
        m.det(A[0]),
        list(m.linalg.slogdet(A)),
        m.logdet(A),
        m.linalg.det(m.zeros(0, 0)),
        m.linalg.det(m.zeros(2, 3, 3)),
    )
    yield (
        list(m.slogdet(m.zeros(2, 2))),
        m.logdet(-m.eye(3)),
        m.linalg.solve(m.zeros(0, 0), m.zeros(0, 2)),
        m.linalg.inv(m.zeros(0, 2, 2)),
    )
    low = m.tril(A) + 3 * m.eye(4)
    for upper in (False, True):
        matrix = low.mT if upper else low
        yield (
            m.linalg.solve_triangular(matrix, B, upper=upper),
            m.linalg.solve_triangular(matrix, B.mT, upper=upper, left=False),
        )
        yield (
            m.linalg.solve_triangular(A, B, upper=upper, unitriangular=True),
            m.linalg.solve_triangular(matrix[0], B, upper=upper),
        )
        yield (
            m.triangular_solve(B, matrix, upper=upper).solution,
            m.triangular_solve(B, matrix, upper=upper, transpose=True).solution,
        )
    factors = m.linalg.lu_factor(A)
    for adjoint in (False, True):
        yield (
            m.linalg.lu_solve(*factors, B, adjoint=adjoint),
            m.linalg.lu_solve(*factors, B.mT, left=False, adjoint=adjoint),
        )
    yield m.lu_solve(B, *factors), m.linalg.solve(A, B, out=m.zeros(2, 4, 3))
    yield error(m.linalg.LinAlgError, "singular", lambda: m.linalg.solve(m.zeros(2, 2), m.zeros(2)).tolist())
    yield error(
        m.linalg.LinAlgError,
        "The diagonal element 2 is zero",
        lambda: m.linalg.inv(m.tensor([[1.0, 2.0], [0.0, 0.0]])).tolist(),
    )
    yield error(
        m.linalg.LinAlgError, "(Batch element 1)", lambda: m.inverse(m.stack([m.eye(2), m.zeros(2, 2)])).tolist()
    )
    yield error(RuntimeError, "Incompatible shapes of A and B", lambda: m.linalg.solve(A, B[:, :3]))
    yield error(RuntimeError, "must be batches of square matrices", lambda: m.linalg.inv(B))
    yield error(RuntimeError, "must have at least 2 dimensions", lambda: m.linalg.det(A[0, 0]))
    yield error(
        RuntimeError, "Expected a floating point or complex tensor", lambda: m.linalg.inv(m.eye(2, dtype=m.int64))
    )
    yield error(RuntimeError, "same dtype", lambda: m.linalg.solve(A, B.half()))
    yield error(
        RuntimeError, "Incompatible shapes of A and B", lambda: m.linalg.solve_triangular(A, B[:, :3], upper=True)
    )


@program
def factorisations(m):
    S = positive(m, 2)
    L = m.linalg.cholesky(S)
    yield (
        L,
        m.linalg.cholesky(S, upper=True),
        list(m.linalg.cholesky_ex(S)),
        m.cholesky(S[0], upper=True),
        m.cholesky_inverse(L),
        m.cholesky_inverse(L.mT, upper=True),
    )
    yield (
        m.cholesky_solve(S[:, :, :2], L),
        m.cholesky_solve(S[:, :, :2], L.mT, upper=True),
        m.linalg.cholesky(m.zeros(0, 0)),
    )
    bad = m.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    yield m.linalg.cholesky_ex(m.stack([bad, m.eye(3)])).info
    yield error(
        m.linalg.LinAlgError,
        "leading minor of order 2 is not positive-definite",
        lambda: m.linalg.cholesky(bad).tolist(),
    )
    for shape in ((2, 4, 4), (2, 5, 3), (3, 5), (4, 1)):
        A = matrices(m, *shape, seed=3)
        P, L, U = m.linalg.lu(A)
        yield P, L, U, list(m.linalg.lu_factor(A)), list(m.lu_unpack(*m.linalg.lu_factor(A)))
        Q, R = m.linalg.qr(A)
        yield Q @ R, R.abs(), m.linalg.qr(A, "r").R.abs(), m.linalg.qr(A, "complete").Q.abs().shape[-1], m.qr(A).Q.abs()
        U, S, Vh = m.linalg.svd(A, full_matrices=False)
        yield S, (U * S.unsqueeze(-2)) @ Vh, U.abs(), m.linalg.svdvals(A), list(m.linalg.svd(A).U.shape), m.svd(A).S
        yield m.linalg.pinv(A), m.linalg.matrix_rank(A), m.pinverse(A)
        a, tau = m.geqrf(A)
        yield a.abs(), tau
    yield (
        m.linalg.matrix_rank(m.ones(3, 3)),
        m.linalg.matrix_rank(m.diag(m.tensor([1.0, 1e-3])), atol=0.1),
        m.linalg.pinv(m.ones(2, 2)),
    )
    yield (
        m.linalg.matrix_rank(-m.eye(3), hermitian=True),
        m.linalg.pinv(S[0] if S.ndim > 2 else m.eye(2), hermitian=True),
        m.linalg.pinv(m.diag(m.tensor([1.0, 1e-3])), rtol=0.1),
    )
    w, V = m.linalg.eigh(positive(m, 2, seed=4))
    yield (
        w,
        V.abs(),
        (V * w.unsqueeze(-2)) @ V.mT,
        m.linalg.eigvalsh(matrices(m, 3, 3), UPLO="U"),
        m.linalg.eigvalsh(matrices(m, 3, 3)),
    )
    yield error(RuntimeError, "U[2,2] is zero", lambda: m.linalg.lu_factor(m.ones(2, 2)).LU.tolist())
    yield m.linalg.lu_factor_ex(m.ones(2, 2)).info, list(m.linalg.lu(A[:1], pivot=True))
    yield error(m.linalg.LinAlgError, "", lambda: m.linalg.svdvals(m.full((2, 2), NAN)))
    yield error(RuntimeError, "must be batches of square", lambda: m.linalg.cholesky(matrices(m, 2, 3)))
    yield error(RuntimeError, "unrecognized mode", lambda: m.linalg.qr(m.ones(2, 2), "full"))


@program
def indefinite(m):
    x = numbers(3, 5, 5)
    A, B = m.tensor(x + np.swapaxes(x, -1, -2)), matrices(m, 3, 5, 2)
    LD, pivots = m.linalg.ldl_factor(A)
    yield LD, pivots, m.linalg.ldl_solve(LD, pivots, B), m.linalg.ldl_factor_ex(m.zeros(2, 2)).info


@program
def least_squares(m):
    A, B = matrices(m, 2, 5, 3), matrices(m, 2, 5, 2, seed=1)
    for driver in (None, "gels", "gelsd"):
        found = m.linalg.lstsq(A, B, driver=driver)
        yield found.solution, found.residuals, found.rank, found.singular_values
    yield m.linalg.lstsq(A.mT, B[:, :3]).solution, m.linalg.lstsq(m.ones(3, 2), m.ones(3, 1), driver="gelsd").solution
    leaf = A.clone().requires_grad_()
    m.linalg.lstsq(leaf, B).solution.square().sum().backward()
    yield leaf.grad


def gradients_of(m, function, *inputs):
    """First gradients, and gradients of the sum of their squares."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    result = function(*leaves)
    weights = m.arange(result.numel(), dtype=m.float32).reshape(result.shape).cos()
    first = m.autograd.grad((result * weights).sum(), leaves, create_graph=True)
    second = m.autograd.grad(sum(value.square().sum() for value in first), leaves, allow_unused=True)
    return [value.detach() + 0 for value in first], [value + 0 for value in second if value is not None]


@program
def gradients(m):
    A, B, S = matrices(m, 3, 3, seed=5) + 2 * m.eye(3), matrices(m, 3, 2, seed=6), positive(m, n=3, seed=7)
    yield gradients_of(m, m.linalg.solve, A, B), gradients_of(m, m.linalg.cholesky, S)
    yield gradients_of(m, m.logdet, S)[0], gradients_of(m, lambda x: m.linalg.lu(x)[1], A)[0]


@program
def more_gradients(m):
    A, B, S = matrices(m, 3, 3, seed=5) + 2 * m.eye(3), matrices(m, 3, 2, seed=6), positive(m, n=3, seed=7)
    T, la = matrices(m, 4, 3, seed=8), m.linalg
    for function, *inputs in (
        (la.inv, A), (la.det, A), (lambda x: la.slogdet(x)[1], A), (lambda x, y: la.solve_triangular(x, y, upper=True), A, B),
        (lambda x, y: la.solve_triangular(x, y.mT, upper=False, left=False, unitriangular=True), A, B),
        (lambda x: la.cholesky(x, upper=True), S), (lambda x: la.lu(x).U, T), (lambda x: la.lu(x).L, T),
        (lambda x: la.lu(x.mT).U, T), (lambda x: la.lu_factor(x).LU, T), (lambda x: la.qr(x).R.square(), T),
        (lambda x: (lambda q: q.Q @ q.Q.mT)(la.qr(x)), T), (lambda x: la.qr(x.mT).R.square(), T), (la.svdvals, T),
        (lambda x: la.svd(x, False).U.square(), T), (lambda x: la.svd(x.mT, False).Vh.square(), T),
        (lambda x: la.svd(x, False).Vh.square(), T), (la.eigvalsh, S), (lambda x: la.eigh(x)[1].square(), S), (la.pinv, T),
        (lambda x: la.pinv(x.mT), T), (la.matrix_exp, A / 4), (lambda x: la.matrix_power(x, 3), A),
        (lambda x: la.matrix_power(x, -2), A), (la.cond, A), (lambda x: la.matrix_norm(x, "nuc"), T),
        (lambda x: la.matrix_norm(x, 1), T), (lambda x: la.vector_norm(x, 3), T),
        (lambda x, y: m.cholesky_solve(y, la.cholesky(x)), S, B), (lambda x, y: la.lu_solve(*la.lu_factor(x), y), A, B),
        (lambda x, y: la.lu_solve(*la.lu_factor(x), y, adjoint=True), A, B), (lambda x: la.cross(x[0], x[1]), A),
        (lambda x: la.householder_product(x, x[0]), T),
    ):  # fmt: skip
        yield gradients_of(m, function, *inputs)


ON_THE_CPU = ("more_gradients",)  # rules are the same expressions everywhere; on a GPU each would be compiled once


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    if name in ON_THE_CPU:
        device = "cpu"
    with quiet():
        program.check(name, device)


@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    with quiet():
        program.check_torch(name)


# ---- derivatives against differences, in float64 -------------------------------------------------------------------


def symmetric(x):
    return x @ x.mT + webtorch.eye(x.shape[-1], dtype=x.dtype)


CHECKED = {
    "solve": (lambda a, b: webtorch.linalg.solve(a, b), (2, 3, 3), (2, 3, 2)),
    "inv": (webtorch.linalg.inv, (2, 3, 3)),
    "det": (webtorch.linalg.det, (2, 3, 3)),
    "slogdet": (lambda a: webtorch.linalg.slogdet(a).logabsdet, (2, 3, 3)),
    "solve_triangular": (lambda a, b: webtorch.linalg.solve_triangular(a, b, upper=True), (2, 3, 3), (2, 3, 2)),
    "cholesky": (lambda a: webtorch.linalg.cholesky(symmetric(a)), (2, 3, 3)),
    "lu": (lambda a: list(webtorch.linalg.lu(a))[1:], (2, 3, 3)),
    "lu tall": (lambda a: list(webtorch.linalg.lu(a))[1:], (4, 2)),
    "qr": (lambda a: list(webtorch.linalg.qr(a)), (4, 3)),
    "qr wide": (lambda a: list(webtorch.linalg.qr(a)), (2, 4)),
    "svd": (lambda a: [a.abs().sum(), *(part.abs() for part in webtorch.linalg.svd(a, False))], (4, 3)),
    "svd wide": (lambda a: [part.abs() for part in webtorch.linalg.svd(a, False)], (2, 4)),
    "eigh": (lambda a: [part.abs() for part in webtorch.linalg.eigh(symmetric(a))], (3, 3)),
    "pinv": (webtorch.linalg.pinv, (4, 3)),
    "pinv wide": (webtorch.linalg.pinv, (2, 4)),
    "lstsq": (lambda a, b: webtorch.linalg.lstsq(a, b).solution, (4, 2), (4, 1)),
    "cond": (lambda a: webtorch.linalg.cond(a, 1), (3, 3)),
    "ldl_solve": (
        lambda b: webtorch.linalg.ldl_solve(
            *webtorch.linalg.ldl_factor(webtorch.ones(3, 3).double() + webtorch.eye(3).double()), b
        ),
        (3, 2),
    ),
    "matrix_exp": (webtorch.linalg.matrix_exp, (2, 2, 2)),
}


@pytest.mark.parametrize("name", CHECKED)
def test_derivatives_are_those_of_differences(name):
    function, *shapes = CHECKED[name]
    rng = np.random.default_rng(11)
    inputs = [webtorch.tensor(rng.normal(size=shape) + 2 * np.eye(*shape[-2:]), requires_grad=True) for shape in shapes]
    assert gradcheck(function, inputs, atol=1e-5, rtol=1e-4)
    assert gradgradcheck(function, inputs, atol=1e-4, rtol=1e-3)


def test_the_determinant_of_a_singular_matrix_has_its_derivative(device):
    """The cofactors; PyTorch gives zeros here."""
    singular = webtorch.tensor([[1.0, 2.0], [2.0, 4.0]], device=device, requires_grad=True)
    with quiet():
        webtorch.linalg.det(singular).backward()
    assert np.allclose(singular.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-5)


# ---- kernels --------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("n", [1, 2, 33, 65])
def test_kernels_agree_with_numpy(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(3, n, n)).astype(np.float32), rng.normal(size=(3, n, 2)).astype(np.float32)
    A, B = webtorch.tensor(a, device="webgpu"), webtorch.tensor(b, device="webgpu")
    before = webtorch.webgpu.host_fallbacks()
    assert np.allclose(a.astype(np.float64) @ webtorch.linalg.solve(A, B).numpy(), b, atol=2e-3 * n)
    sign, logarithm = webtorch.linalg.slogdet(A)
    wanted = np.linalg.slogdet(a.astype(np.float64))
    assert np.array_equal(sign.numpy(), wanted[0]) and np.allclose(logarithm.numpy(), wanted[1], rtol=1e-4, atol=1e-3)
    P, L, U = webtorch.linalg.lu(A)
    assert np.allclose((P @ L @ U).numpy(), a, atol=1e-4) and np.abs(L.numpy()).max() <= 1
    S = A @ A.mT + n * webtorch.eye(n, device="webgpu")
    factor = webtorch.linalg.cholesky(S).numpy()
    assert np.allclose(factor @ factor.swapaxes(-1, -2), S.numpy(), rtol=1e-4, atol=1e-4 * n)
    assert webtorch.webgpu.host_fallbacks() == before, "a kernel was to do this"


@pytest.mark.gpu
def test_large_matrices_go_to_the_host_and_say_so():
    from webtorch import host

    before = host.fallbacks().get("linalg.solve", 0)
    a = webtorch.tensor(numbers(200, 200) + 20 * np.eye(200, dtype=np.float32), device="webgpu")
    host._counts.pop("linalg.solve", None)
    with pytest.warns(UserWarning, match="computed by numpy on the host"):
        found = webtorch.linalg.solve(a, webtorch.eye(200, device="webgpu"))
    assert np.allclose((a @ found).numpy(), np.eye(200), atol=1e-3)
    host._counts["linalg.solve"] += before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        webtorch.linalg.solve(a, a)
    assert webtorch.webgpu.host_fallbacks()["linalg.solve"] == before + 2


def test_codes(device):
    x = webtorch.ones(2, 3, device=device)
    for function, value, code in (
        (webtorch.linalg.inv, x, "linalg_error_not_square_matrix"),
        (webtorch.linalg.cholesky, x, "linalg_error_not_square_matrix"),
        (webtorch.linalg.qr, x[0], "linalg_error_requires_at_least_2d"),
        (webtorch.linalg.matrix_norm, x[0], "linalg_error_requires_at_least_2d"),
    ):
        with pytest.raises(webtorch.ShapeError) as caught:
            function(value)
        assert caught.value.code == code


def test_complex_matrices():
    """Eigenvalues of real and of complex matrices; see test_complex_matrices for the rest."""
    rng = np.random.default_rng(1)
    a = (rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3))).astype(np.complex64)
    A = webtorch.tensor(a)
    assert np.allclose(webtorch.linalg.inv(A).numpy() @ a, np.eye(3), atol=1e-4)
    assert np.allclose(webtorch.linalg.det(A).numpy(), np.linalg.det(a), rtol=1e-4)
    values, vectors = webtorch.linalg.eig(webtorch.tensor(a.real))
    assert np.allclose(a.real @ vectors.numpy(), vectors.numpy() * values.numpy()[:, None, :], atol=1e-4)
    assert webtorch.linalg.eigvals(A).dtype is webtorch.complex64


def test_vmap_and_forward_mode(device):
    a = webtorch.tensor(numbers(3, 2, 2) + 3 * np.eye(2, dtype=np.float32), device=device)
    assert webtorch.allclose(webtorch.vmap(webtorch.linalg.inv)(a), webtorch.linalg.inv(a), atol=1e-6)
    signs = webtorch.vmap(lambda x: webtorch.linalg.slogdet(x).sign)(a)
    assert signs.tolist() == [1.0, 1.0, 1.0]
    from webtorch.func import jvp

    value, tangent = jvp(webtorch.linalg.inv, (a[0],), (webtorch.eye(2, device=device),))
    assert webtorch.allclose(tangent, -(value @ value), atol=1e-6)
