"""gradcheck and gradgradcheck: what they find, what they report, and their options."""

import math

import numpy as np
import pytest
from lib import AGAINST, W, only_webtorch

A = W.autograd
Error = A.gradcheck.__globals__.get("GradcheckError", RuntimeError)


def double(*values):
    return W.tensor(list(values), dtype=W.float64, requires_grad=True)


def function(forward, backward, jvp=None):
    """A Function from functions of the saved input."""

    class Made(A.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, *gradients):
            (x,) = ctx.saved_tensors
            return backward(x, *gradients)

    if jvp is not None:

        def pushed(ctx, tangent):
            (x,) = ctx.saved_tensors
            return jvp(x, tangent)

        Made.jvp = staticmethod(pushed)
    return Made.apply


right = function(lambda x: x**3, lambda x, g: 3 * x * x * g, lambda x, v: 3 * x * x * v)
wrong = function(lambda x: x**3, lambda x, g: 2 * x * x * g, lambda x, v: 2 * x * x * v)
x = double(0.5, -1.0)

FAST = pytest.mark.parametrize("fast", [False, True])


@FAST
def test_right_derivatives_pass(fast):
    assert A.gradcheck(right, (x,), fast_mode=fast) is True
    assert A.gradcheck(right, x, fast_mode=fast), "a lone tensor"
    assert A.gradgradcheck(right, (x,), fast_mode=fast) is True
    assert A.gradcheck(lambda x, y: (x * y, x.sum()), (x, double(2.0, 3.0)), fast_mode=fast)
    assert A.gradcheck(lambda x, k: x * k, (x, 3.0), fast_mode=fast), "arguments that are no tensors pass through"
    assert A.gradcheck(right, (x,), check_forward_ad=True, check_backward_ad=False, fast_mode=fast)


@FAST
def test_wrong_derivatives_fail(fast):
    with pytest.raises(Error, match="Jacobian mismatch for output 0 with respect to input 0"):
        A.gradcheck(wrong, (x,), fast_mode=fast)
    assert A.gradcheck(wrong, (x,), raise_exception=False, fast_mode=fast) is False
    with pytest.raises(Error, match="[Jj]acobian"):
        A.gradcheck(wrong, (x,), check_forward_ad=True, check_backward_ad=False, fast_mode=fast)


def test_the_report_shows_both_jacobians():
    with pytest.raises(Error) as caught:
        A.gradcheck(function(lambda x: x * 2, lambda x, g: g * 3), (x,))
    text = str(caught.value)
    assert "numerical:" in text and "analytical:" in text and "2." in text and "3." in text
    with pytest.raises(Error) as caught:
        A.gradcheck(function(lambda x: x * 2, lambda x, g: g * 3), (x,), fast_mode=True)
    text = str(caught.value)
    assert "computed" in text and "fast mode" in text and "Numerical" in text and "Analytical" in text
    assert "The max per-element difference (slow mode) is: 0.99" in text or "slow mode) is: 1.0" in text


@FAST
def test_wrong_second_derivatives_fail(fast):
    # right to first order, but the rule's own derivative is cut off
    cut = function(lambda x: x**3, lambda x, g: 3 * (x * x).detach() * g)
    assert A.gradcheck(cut, (x,), fast_mode=fast)
    with pytest.raises(Error):
        A.gradgradcheck(cut, (x,), fast_mode=fast)
    assert A.gradgradcheck(cut, (x,), raise_exception=False, fast_mode=fast) is False


def test_only_one_wrong_element_is_found():
    def backward(x, g):
        mask = W.ones(5, dtype=W.float64)
        mask[3] = 1.01
        return 2 * x * g * mask

    with pytest.raises(Error, match="Jacobian mismatch"):
        A.gradcheck(function(lambda x: x * x, backward), (double(1.0, 2.0, 3.0, 4.0, 5.0),))


def test_a_gradient_that_mixes_elements_up_is_found():
    """The sum of the rows is right, so a check with a gradient of ones would pass."""
    with pytest.raises(Error, match="Jacobian mismatch"):
        A.gradcheck(function(lambda x: x * 2, lambda x, g: g.flip(0) * 2), (double(1.0, 2.0, 3.0),))


def test_which_output_and_input_are_wrong():
    class Two(A.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * 2, y * 3

        @staticmethod
        def backward(ctx, g, h):
            return g * 2, h * 4

    with pytest.raises(Error, match="Jacobian mismatch for output 1 with respect to input 1"):
        A.gradcheck(Two.apply, (x, double(1.0, 2.0)))


def test_functions_that_say_they_are_constant():
    assert A.gradcheck(lambda x: W.ones(2, dtype=W.float64), (x,))
    with pytest.raises(Error, match="Numerical gradient for function expected to be zero"):
        A.gradcheck(lambda x: x.detach() * 2, (x,))


def test_a_backward_that_gives_something_else_each_time():
    count = []

    def backward(x, g):
        count.append(1)
        return g * (2 + 1e-8 * len(count))

    unsteady = function(lambda x: x * 2, backward)
    with pytest.raises(Error, match="Backward is not reentrant"):
        A.gradcheck(unsteady, (x,))
    assert A.gradcheck(unsteady, (x,), nondet_tol=1e-3)


def test_undefined_gradients():
    class Two(A.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3

    with pytest.raises(TypeError):
        A.gradcheck(Two.apply, (x,))

    class Careful(Two):
        @staticmethod
        def backward(ctx, g, h):
            total = None
            for gradient, factor in ((g, 2), (h, 3)):
                if gradient is not None:
                    total = gradient * factor if total is None else total + gradient * factor
            return total

    assert A.gradcheck(Careful.apply, (x,))


@only_webtorch("PyTorch sees only gradients that are wrong when none is defined")
def test_a_missing_gradient_must_count_as_zeros():
    class Two(A.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            if g is None or h is None:
                return (g if h is None else h) * 10
            return g * 2 + h * 3

    with pytest.raises(Error, match="Expected backward function to handle undefined output grads|mismatch"):
        A.gradcheck(Two.apply, (x,))


def test_batched_gradients():
    assert A.gradcheck(lambda x: (x.exp(), x.sum()), (x,), check_batched_grad=True)
    assert A.gradcheck(lambda x: x.exp(), (x,), check_batched_forward_grad=True, check_forward_ad=True)

    def backward(x, g):
        # right for a vector, but under vmap the batch is not seen as one example
        return 2 * g if g.sum().ndim == 0 and not is_batched(g) else 3 * g

    odd = function(lambda x: x * 2, backward)
    assert A.gradcheck(odd, (x,))
    if AGAINST == "webtorch":
        with pytest.raises(Error, match="batched gradient computation"):
            A.gradcheck(odd, (x,), check_batched_grad=True)


def is_batched(value) -> bool:
    return bool(getattr(value, "_batch", ()))


def test_second_derivatives_by_forward_mode():
    assert A.gradgradcheck(lambda x: (x**3).sin(), (x,), check_fwd_over_rev=True)
    assert A.gradgradcheck(
        lambda x: (x**3).sin(), (x,), check_fwd_over_rev=True, check_rev_over_rev=False, check_undefined_grad=False
    )
    assert A.gradgradcheck(lambda x: x.exp(), (x,), grad_outputs=(double(1.0, 2.0),))
    assert A.gradgradcheck(lambda x: x.exp(), (x,), gen_non_contig_grad_outputs=True)


def test_the_input_is_as_it_was():
    y = double(0.25, 3.0)
    before = y._version
    A.gradcheck(lambda y: y.exp(), (y,))
    A.gradgradcheck(lambda y: y.exp(), (y,))
    assert y.tolist() == [0.25, 3.0] and y.grad is None and y.is_leaf
    assert AGAINST == "torch" or y._version == before


def test_values_that_a_function_closes_over_are_moved_too():
    assert A.gradcheck(lambda given: x * given, (x,))


def test_matrices_scalars_and_nothing():
    assert A.gradcheck(lambda a: a @ a.t(), (W.rand(2, 3, dtype=W.float64, requires_grad=True),))
    assert A.gradcheck(lambda a: a * a, (W.tensor(2.0, dtype=W.float64, requires_grad=True),))
    assert A.gradcheck(lambda a: a * 2, (W.zeros(0, dtype=W.float64, requires_grad=True),))
    flipped = W.rand(3, 2, dtype=W.float64).t().requires_grad_()
    assert A.gradcheck(lambda a: a.exp() @ a.t(), (flipped,))


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: A.gradcheck(right, (W.ones(2),)), ValueError, "at least one input tensor to require gradient"),
        (
            lambda: A.gradcheck(right, (x,), check_backward_ad=False),
            AssertionError,
            "Expected at least one of check_forward_ad",
        ),
        (
            lambda: A.gradcheck(right, (x,), check_batched_forward_grad=True),
            AssertionError,
            "requires check_forward_ad",
        ),
        (
            lambda: A.gradcheck(lambda x: x * 1, (W.rand(1, dtype=W.float64).expand(3).requires_grad_(),)),
            RuntimeError,
            "has a dimension with stride 0",
        ),
        (lambda: A.gradcheck(lambda x: 1 / 0, (x,)), ZeroDivisionError, "division"),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_single_precision_is_warned_of():
    with pytest.warns(UserWarning, match="is not a double precision floating point"):
        A.gradcheck(lambda x: x * 2, (W.ones(2, requires_grad=True),), eps=1e-2, atol=1e-2)


def test_accepted_options():
    assert A.gradcheck(right, (x,), masked=False, check_grad_dtypes=True, eps=1e-5, atol=1e-4, rtol=1e-3)
    assert A.gradgradcheck(right, (x,), masked=False, check_grad_dtypes=True, nondet_tol=1e-9)


def test_a_sloppy_tolerance_lets_a_wrong_rule_pass():
    near = function(lambda x: x * 2, lambda x, g: g * 2.01)
    assert A.gradcheck(near, (x,), atol=0.1, rtol=0.1)
    assert not A.gradcheck(near, (x,), raise_exception=False)


def test_numbers_come_out_as_they_should():
    """The check itself against calculus: the numerical Jacobian of x -> (x0 x1, sin x0)."""
    if AGAINST == "torch":
        pytest.skip("an inner part of webtorch")
    from webtorch.autograd.gradcheck import Check

    check = Check(
        lambda v: W.stack([v[0] * v[1], v[0].sin()]), (double(0.5, 2.0),), {"eps": 1e-6, "check_grad_dtypes": False}
    )
    expected = np.array([[2.0, np.cos(0.5)], [0.5, 0.0]])
    assert np.allclose(check.numerical([0], [2])[0][0], expected, atol=1e-8)
    (output,), _ = check.outputs()
    assert np.allclose(check.analytical(output)[0], expected)
    assert np.allclose(check.forward([0], [2])[0][0], expected)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "relu6", "elu", "hardtanh"])
def test_gradients_of_ops_with_kinks_can_be_differentiated_again(name):
    """The second derivative is zero wherever there is one, and asking for it is no error."""
    x = W.tensor([0.5, -2.0, 3.0], requires_grad=True)
    (first,) = W.autograd.grad(getattr(W.nn.functional, name)(x).sum(), x, create_graph=True)
    assert first.requires_grad
    first.sum().backward()
    expected = [0.0, math.exp(-2.0) if name == "elu" else 0.0, 0.0]
    assert x.grad.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("zeros", [(), (1,), (0, 1), (1, 3)])
@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_second_derivatives_of_products_with_zeros(name, zeros):
    """However many elements are zero, the second derivative is that of the polynomial, and not zero."""
    values = [2.0, 0.5, 3.0, -1.5, 5.0]
    for position in zeros:
        values[position] = 0.0
    x = W.tensor(values, dtype=W.float64, requires_grad=True)
    function = (lambda x: x.prod()) if name == "prod" else (lambda x: x.cumprod(0))
    assert W.autograd.gradgradcheck(function, (x,))
