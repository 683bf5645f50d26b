"""`autograd.functional`: Jacobians, Hessians and their products with vectors; nesting of results, strict, vectorize."""

import numpy as np
import pytest
from lib import W, listed, near, only_webtorch

F = W.autograd.functional


def t(values, **options):
    return W.tensor(values, **options)


# ---- Jacobians ------------------------------------------------------------------------------------------------------

WAYS = [
    {}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}, {"create_graph": True},
    {"create_graph": True, "vectorize": True},
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_jacobian(way):
    assert near(F.jacobian(lambda x: x * x.sum(), t([1.0, 2.0]), **way), [[4.0, 1.0], [2.0, 5.0]])
    matrix = F.jacobian(lambda x: x.t(), t([[1.0, 2.0, 3.0]]), **way)
    assert tuple(matrix.shape) == (3, 1, 1, 3) and near(matrix[1, 0, 0], [0.0, 1.0, 0.0])
    assert near(F.jacobian(lambda x: x**2, t(3.0), **way), 6.0)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_nesting_of_jacobians(way):
    """One tensor; a tuple over inputs; a tuple over outputs; a tuple over outputs of tuples over inputs."""
    x, y = t([1.0, 2.0]), t([3.0, 4.0])
    found = F.jacobian(lambda x, y: x * y, (x, y), **way)
    assert isinstance(found, (tuple, list)) and near(found, [[[3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]]])
    found = F.jacobian(lambda x: (x.sum(), x * 2), x, **way)
    assert isinstance(found, (tuple, list)) and near(found, [[1.0, 1.0], [[2.0, 0.0], [0.0, 2.0]]])
    found = F.jacobian(lambda x, y: (x.sum(), (x * y).sum()), (x, y), **way)
    assert near(found, [[[1.0, 1.0], [0.0, 0.0]], [[3.0, 4.0], [1.0, 2.0]]])
    found = F.jacobian(lambda x: x.sum(), (x,), **way)
    assert isinstance(found, (tuple, list)) and near(found, [[1.0, 1.0]])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_jacobian_of_constants_is_zero(way):
    assert near(F.jacobian(lambda x: W.ones(2), t([1.0, 2.0]), **way), [[0.0, 0.0], [0.0, 0.0]])
    found = F.jacobian(lambda x, y: x * 1, (t([1.0]), t([1.0, 2.0])), **way)
    assert near(found, [[[1.0]], [[0.0, 0.0]]])


def test_a_jacobian_can_be_differentiated():
    x = t([1.0, 2.0], requires_grad=True)
    found = F.jacobian(lambda x: x**3, x, create_graph=True)
    found.sum().backward()
    assert near(x.grad, [6.0, 12.0])
    assert not F.jacobian(lambda x: x**3, x).requires_grad
    assert x.requires_grad and x.is_leaf


def test_the_input_is_left_alone():
    x = t([1.0, 2.0])
    F.jacobian(lambda x: x**2, x)
    assert not x.requires_grad and x.grad is None
    y = t([1.0], requires_grad=True)
    F.jacobian(lambda x: x**2, y)
    assert y.grad is None


def test_jacobians_under_no_grad():
    with W.no_grad():
        assert near(F.jacobian(lambda x: x**2, t([3.0])), [[6.0]])
        assert near(F.vjp(lambda x: x**2, t([3.0]), t([2.0])), [[9.0], [12.0]])
        assert not W.is_grad_enabled()


# ---- Hessians -------------------------------------------------------------------------------------------------------

HESSIANS = [
    {}, {"vectorize": True}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}, {"create_graph": True},
]  # fmt: skip


@pytest.mark.parametrize("way", HESSIANS, ids=str)
def test_hessian(way):
    assert near(F.hessian(lambda x: (x**3).sum(), t([1.0, 2.0]), **way), [[6.0, 0.0], [0.0, 12.0]])
    found = F.hessian(lambda x: x.pow(2).prod(), t([[1.0, 2.0]]), **way)
    assert tuple(found.shape) == (1, 2, 1, 2) and near(found.reshape(2, 2), [[8.0, 8.0], [8.0, 2.0]])


@pytest.mark.parametrize("way", HESSIANS, ids=str)
def test_nesting_of_hessians(way):
    found = F.hessian(lambda x, y: (x * x * y).sum(), (t([2.0]), t([3.0])), **way)
    assert near(found, [[[[6.0]], [[4.0]]], [[[4.0]], [[0.0]]]])
    found = F.hessian(lambda x: (x * x).sum(), (t([2.0]),), **way)
    assert isinstance(found, (tuple, list)) and isinstance(found[0], (tuple, list)) and near(found, [[[[2.0]]]])


def test_a_hessian_can_be_differentiated():
    x = t([2.0], requires_grad=True)
    F.hessian(lambda x: (x**4).sum(), x, create_graph=True).sum().backward()
    assert near(x.grad, [48.0])


# ---- products -------------------------------------------------------------------------------------------------------


def f(x, y):
    return x * y.sum(), (x * x).sum()


def test_products_with_the_jacobian():
    x, y = t([1.0, 2.0]), t([3.0, 4.0])
    output, product = F.vjp(f, (x, y), (t([1.0, 10.0]), t(2.0)))
    assert near(output, [[7.0, 14.0], 5.0])
    assert near(product, [[7 + 4.0, 70 + 8.0], [21.0, 21.0]])
    output, product = F.jvp(f, (x, y), (t([1.0, 0.0]), t([0.0, 1.0])))
    assert near(output, [[7.0, 14.0], 5.0])
    assert near(product, [[7 + 1.0, 2.0], 2.0])


def test_a_single_number_needs_no_vector():
    assert near(F.vjp(lambda x: (x**2).sum(), t([1.0, 2.0])), [5.0, [2.0, 4.0]])
    assert near(F.jvp(lambda x: x**2, t(3.0)), [9.0, 6.0])
    assert near(F.hvp(lambda x: x**3, t(2.0)), [8.0, 12.0])
    assert near(F.vhp(lambda x: x**3, t(2.0)), [8.0, 12.0])


@pytest.mark.parametrize("product", ["hvp", "vhp"])
def test_products_with_the_hessian(product):
    g = lambda x, y: (x * x * y).sum()
    output, found = getattr(F, product)(g, (t([1.0, 2.0]), t([3.0, 4.0])), (t([1.0, 0.0]), t([0.0, 1.0])))
    # the Hessian is [[2y, 2x], [2x, 0]] in each place
    assert near(output, 19.0) and near(found, [[6.0, 4.0], [2.0, 0.0]])
    output, found = getattr(F, product)(lambda x: x.sum(), t([1.0, 2.0]), t([1.0, 1.0]))
    assert near([output, found], [3.0, [0.0, 0.0]])


@pytest.mark.parametrize("product", ["vjp", "jvp", "hvp", "vhp"])
def test_products_can_be_differentiated(product):
    x = t([1.0, 2.0], requires_grad=True)
    v = t(1.0, requires_grad=True) if product == "vjp" else t([1.0, 1.0], requires_grad=True)
    output, found = getattr(F, product)(lambda x: (x**4).sum(), x, v, create_graph=True)
    assert output.requires_grad and found.requires_grad
    found.sum().backward()
    second, third = [12.0, 48.0], [24.0, 48.0]
    assert near(x.grad, second if product in ("vjp", "jvp") else third)
    assert v.grad is not None
    output, found = getattr(F, product)(lambda x: (x**4).sum(), x, v)
    assert not output.requires_grad and not found.requires_grad


def test_products_of_constants_are_zero():
    assert near(F.vjp(lambda x: W.ones(2), t([1.0]), t([1.0, 1.0]))[1], [0.0])
    assert near(F.jvp(lambda x: W.ones(2), t([1.0]), t([1.0]))[1], [0.0, 0.0])
    assert near(F.hvp(lambda x: W.ones(()), t([1.0]), t([1.0]))[1], [0.0])
    assert near(F.vhp(lambda x: W.ones(()), t([1.0]), t([1.0]))[1], [0.0])


# ---- errors ---------------------------------------------------------------------------------------------------------

a, b = t([1.0, 2.0]), t([3.0, 4.0])
CONSTANT = "does not require gradients. The outputs must be computed in a differentiable manner"
ERRORS = [
    (
        lambda: F.vjp(lambda x: x * 2, a),
        RuntimeError,
        "The vector v can only be None if the user-provided function returns",
    ),
    (
        lambda: F.jvp(lambda x: x * 2, a),
        RuntimeError,
        "The vector v can only be None if the input to the user-provided",
    ),
    (lambda: F.hvp(lambda x: (x**2).sum(), a), RuntimeError, "The vector v can only be None if the input"),
    (
        lambda: F.vjp(lambda x: 3, a),
        TypeError,
        "outputs of the user-provided function given to vjp must be either a Tensor",
    ),
    (lambda: F.vjp(lambda x: x, 3), TypeError, "The inputs given to vjp must be either a Tensor or a tuple of Tensors"),
    (lambda: F.jacobian(lambda x: x, (a, "b")), TypeError, "value at index 1 has type"),
    (lambda: F.vjp(lambda x: x, a, t([1.0, 2.0, 3.0])), RuntimeError, "v has invalid size: should be"),
    (lambda: F.vjp(lambda x: x, a, (a, b)), RuntimeError, "The given v should contain a single Tensor."),
    (lambda: F.vjp(f, (a, b), (a,)), RuntimeError, "v is a tuple of invalid length: should be 2 but got 1"),
    (lambda: F.vjp(f, (a, b), (a, b)), RuntimeError, "Entry 1 in v has invalid size"),
    (
        lambda: F.jacobian(lambda x: W.ones(2), a, strict=True),
        RuntimeError,
        "Output 0 of the user-provided function " + CONSTANT,
    ),
    (
        lambda: F.jvp(lambda x: (x, W.ones(1)), a, a, strict=True),
        RuntimeError,
        "Output 1 of the user-provided function",
    ),
    (lambda: F.hvp(lambda x: W.ones(()), a, a, strict=True), RuntimeError, CONSTANT),
    (
        lambda: F.vjp(lambda x, y: x, (a, b), a, strict=True),
        RuntimeError,
        "is independent of input 1. This is not allowed",
    ),
    (lambda: F.jacobian(lambda x, y: x * 1, (a, b), strict=True), RuntimeError, "is independent of input 1"),
    (
        lambda: F.hvp(lambda x: x.sum(), a, a, strict=True),
        RuntimeError,
        "with respect to input 0 is independent of the input",
    ),
    (
        lambda: F.vhp(lambda x: x.sum(), a, a, strict=True),
        RuntimeError,
        "with respect to input 0 is independent of the input",
    ),
    (lambda: F.hessian(lambda x: x.sum(), a, strict=True), RuntimeError, "with respect to input 0 is independent"),
    (lambda: F.jacobian(lambda x: x * 1, a, strict=True, vectorize=True), RuntimeError, "are not supported together"),
    (lambda: F.jacobian(lambda x: x * 1, a, create_graph=True, strict=True), RuntimeError, "independent of input 0"),
    (
        lambda: F.jacobian(lambda x: x, a, strategy="forward-mode"),
        NotImplementedError,
        "implemented for `vectorize=True`",
    ),
    (lambda: F.jacobian(lambda x: x, a, strategy="sideways"), AssertionError, "Expected strategy to be either"),
    (
        lambda: F.jacobian(lambda x: x, a, create_graph=True, vectorize=True, strategy="forward-mode"),
        NotImplementedError,
        "not supported together",
    ),
    (lambda: F.hessian(lambda x: x * 1, a), RuntimeError, "should contain a single element"),
    (lambda: F.hessian(lambda x: (x.sum(), x.sum()), a), RuntimeError, "should return a single Tensor"),
    (lambda: F.vhp(lambda x: x * 1, a, a), RuntimeError, "should contain a single element"),
]


@pytest.mark.parametrize("place", range(len(ERRORS)))
def test_errors(place):
    call, kind, message = ERRORS[place]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
    assert W.is_grad_enabled() and not a.requires_grad
    assert near(F.jacobian(lambda x: x * 2, a), [[2.0, 0.0], [0.0, 2.0]]), "the next call works"


@only_webtorch("the names are flat in torch.js")
def test_flat_names():
    for name in F.__all__:
        assert getattr(W.autograd, name) is getattr(F, name)


@only_webtorch("torch.js gives inputs and options by position")
def test_positional_options():
    assert near(W.autograd.jacobian(lambda x: x * 2, [a, b][0], False, False, True), [[2.0, 0.0], [0.0, 2.0]])
    assert near(W.autograd.jacobian(lambda x, y: x * y, [a, b])[1], [[1.0, 0.0], [0.0, 2.0]])


@only_webtorch("PyTorch has no webgpu")
@pytest.mark.gpu
def test_on_webgpu():
    x = a.webgpu()
    for way in WAYS:
        found = F.jacobian(lambda x: x.exp() * x.sum(), x, **way)
        assert found.device.type == "webgpu"
        e = np.exp([1.0, 2.0])
        assert near(found, (np.diag(3 * e) + e[:, None]).tolist(), 1e-4)
    assert near(F.hessian(lambda x: (x**3).sum(), x), [[6.0, 0.0], [0.0, 12.0]], 1e-4)
    assert near(F.hvp(lambda x: (x**3).sum(), x, t([1.0, 1.0]).webgpu())[1], [6.0, 12.0], 1e-4)
    assert listed(F.jvp(lambda x: x * 2, x, x)[1]) == [2.0, 4.0]
