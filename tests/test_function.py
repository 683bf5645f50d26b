"""`autograd.Function` and hooks: what they may return, and the errors for what they may not; the next call works."""

import pytest
from lib import W, near, only_webtorch

A = W.autograd


def t(values, **options):
    return W.tensor(values, **options)


def leaf(*values):
    return t(list(values), requires_grad=True)


def function(forward, backward, **more):
    class Made(A.Function):
        pass

    Made.forward, Made.backward = staticmethod(forward), staticmethod(backward)
    for name, value in more.items():
        setattr(Made, name, staticmethod(value))
    return Made


def passes(made, *args):
    """The result of backward with respect to the first argument."""
    args[0].grad = None
    output = made.apply(*args)
    (output[0] if isinstance(output, tuple) else output).sum().backward()
    return args[0].grad


double = lambda ctx, x: x * 2


# ---- what is fine ---------------------------------------------------------------------------------------------------


def test_none_for_more_than_there_is():
    assert near(passes(function(double, lambda ctx, g: (g * 2, None)), leaf(1.0, 2.0)), [2.0, 2.0])


def test_a_gradient_of_a_wider_shape_is_summed():
    assert near(passes(function(double, lambda ctx, g: W.ones(4, 2)), leaf(1.0, 2.0)), [4.0, 4.0])


def test_a_gradient_of_another_dtype_is_converted():
    x = leaf(1.0, 2.0)
    assert passes(function(double, lambda ctx, g: g.double()), x).dtype is W.float32


def test_outputs_of_every_kind():
    made = function(lambda ctx, x: (x * 2, 3, None, x.long()), lambda ctx, g, *rest: g)
    first, number, nothing, whole = made.apply(leaf(1.0))
    assert first.requires_grad and number == 3 and nothing is None and not whole.requires_grad


def test_an_input_returned_as_it_is():
    x = leaf(1.0)
    y = function(lambda ctx, x: x, lambda ctx, g: g * 5).apply(x)
    assert y is not x and y.requires_grad and y.grad_fn is not None and x.is_leaf
    y.sum().backward()
    assert near(x.grad, [5.0])


def test_an_input_changed_in_place():
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    x = leaf(3.0)
    y = x * 1
    z = function(forward, lambda ctx, g: g * 2).apply(y)
    assert z is y and near(y, [6.0])
    z.sum().backward()
    assert near(x.grad, [2.0])


def test_outputs_without_a_gradient():
    def forward(ctx, x):
        plain = x * 3
        ctx.mark_non_differentiable(plain)
        return plain, x * 2

    plain, rest = function(forward, lambda ctx, g, h: h * 2).apply(leaf(1.0))
    assert not plain.requires_grad and rest.requires_grad


def test_what_is_needed():
    seen = []

    def forward(ctx, x, y, k):
        seen.append(ctx.needs_input_grad)
        return x * 2

    passes(function(forward, lambda ctx, g: (g, None, None)), leaf(1.0), t([1.0]), 3)
    assert seen == [(True, False, False)]


@pytest.mark.parametrize("materialize", [True, False])
def test_gradients_that_nobody_gave(materialize):
    seen = []

    def forward(ctx, x):
        if not materialize:
            ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx, g, h):
        seen.append(None if h is None else h.tolist())
        return g * 2

    assert near(passes(function(forward, backward), leaf(1.0)), [2.0])
    assert seen == [[0.0] if materialize else None]


def test_saving_nothing_and_none():
    def forward(ctx, x):
        ctx.save_for_backward(None, x)
        ctx.number = 4
        return x * 2

    def backward(ctx, g):
        nothing, x = ctx.saved_tensors
        assert nothing is None
        return g * x * ctx.number

    assert near(passes(function(forward, backward), leaf(3.0)), [12.0])


def test_a_split_forward():
    class Scale(A.Function):
        @staticmethod
        def forward(x, factor=2.0):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.factor = inputs
            assert not output.requires_grad

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, None

    assert near(passes(Scale, leaf(1.0)), [2.0]), "with the default"
    assert near(passes(Scale, leaf(1.0), 5.0), [5.0])


def test_vjp_is_another_name_of_backward():
    class Double(A.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, g):
            return g * 2

    assert near(passes(Double, leaf(1.0)), [2.0])

    class Both(Double):
        @staticmethod
        def backward(ctx, g):
            return g * 2

    with pytest.raises(RuntimeError, match="Implementing both 'backward' and 'vjp'"):
        passes(Both, leaf(1.0))


def test_backward_twice():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    made = function(forward, lambda ctx, g: ctx.saved_tensors[0] * g)
    y = made.apply(leaf(1.0)).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()
    z = function(double, lambda ctx, g: g).apply(leaf(1.0))
    z.backward(W.ones(1))
    z.backward(W.ones(1))  # nothing was saved, so nothing is missing


def test_second_derivatives():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    made = function(forward, lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g)
    x = leaf(2.0)
    (first,) = A.grad(made.apply(x).sum(), x, create_graph=True)
    first.sum().backward()
    assert near([first, x.grad], [[12.0], [12.0]])

    once = function(forward, A.function.once_differentiable(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g))
    (first,) = A.grad(once.apply(x), x, leaf(1.0), create_graph=True)
    with pytest.raises(
        RuntimeError, match="trying to differentiate twice a function that was marked with @once_differentiable"
    ):
        first.sum().backward()


def test_results_that_are_saved():
    """An output that backward needs does not keep the graph alive by itself."""

    def forward(ctx, x):
        y = x.exp()
        z = x * 2
        ctx.save_for_backward(z, y)
        return z, y

    def backward(ctx, g, h):
        z, y = ctx.saved_tensors
        return g * 2 + h * y

    x = leaf(0.0)
    z, y = function(forward, backward).apply(x)
    (first,) = A.grad(y.sum(), x, create_graph=True)
    (second,) = A.grad(first.sum(), x)
    assert near([first, second], [[1.0], [1.0]])


# ---- what is not ----------------------------------------------------------------------------------------------------


def changed_after_saving():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    y = leaf(1.0) * 1
    z = function(forward, lambda ctx, g: g * ctx.saved_tensors[0]).apply(y)
    y.mul_(2)
    z.sum().backward()


def dirty(ctx, x):
    ctx.mark_dirty(x)
    return x * 2


def save(value):
    def forward(ctx, x):
        ctx.save_for_backward(value)
        return x * 2

    return forward


class NoBackward(A.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2


ERRORS = {
    "too few gradients": (
        lambda: passes(function(lambda ctx, x, y: x * y, lambda ctx, g: g), leaf(1.0), leaf(1.0)), RuntimeError,
        "function MadeBackward returned an incorrect number of gradients (expected 2, got 1)"),
    "too many gradients": (
        lambda: passes(function(double, lambda ctx, g: (g, g)), leaf(1.0)), RuntimeError,
        "function MadeBackward returned an incorrect number of gradients (expected 1, got 2)"),
    "a gradient of a wrong shape": (
        lambda: passes(function(double, lambda ctx, g: W.ones(3)), leaf(1.0, 2.0)), RuntimeError,
        "Function MadeBackward returned an invalid gradient at index 0 - got [3] but expected shape compatible with [2]"),
    "a number": (
        lambda: passes(function(double, lambda ctx, g: 3.0), leaf(1.0)), RuntimeError, "expected Variable or None (got float)"),
    "a text": (
        lambda: passes(function(double, lambda ctx, g: "g"), leaf(1.0)), RuntimeError, "expected Variable or None (got str)"),
    "a gradient for what is no tensor": (
        lambda: passes(function(lambda ctx, x, k: x * k, lambda ctx, g: (g, g)), leaf(1.0), 3), RuntimeError,
        "returned a gradient different than None at position 2, but the corresponding forward input was not a Variable"),
    "no backward": (
        lambda: passes(NoBackward, leaf(1.0)), NotImplementedError,
        "You must implement either the backward or vjp method for your custom autograd.Function"),
    "no forward": (
        lambda: type("None_", (A.Function,), {}).apply(leaf(1.0)), NotImplementedError, "You must implement the forward function"),
    "saving a number": (
        lambda: passes(function(save(3), lambda ctx, g: g), leaf(1.0)), TypeError,
        "save_for_backward can only save variables, but argument 0 is of type int"),
    "a leaf changed in place": (
        lambda: function(lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2))[1], lambda ctx, g: g).apply(leaf(1.0)), RuntimeError,
        "a leaf Variable that requires grad has been used in an in-place operation."),
    "a changed input that is not returned": (
        lambda: function(dirty, lambda ctx, g: g).apply(leaf(1.0) * 1), RuntimeError,
        "Some elements marked as dirty during the forward method were not returned as output"),
    "a saved value that was changed": (
        changed_after_saving, RuntimeError, "Tensor [1]], which is output 0 of Mul, is at version 1; expected version 0 instead"),
    "a hook that changes the shape": (
        lambda: hooked(lambda g: W.ones(3)), RuntimeError, "hook '<lambda>' has changed the size of value"),
    "a hook that returns a text": (lambda: hooked(lambda g: "g"), TypeError, "expected Variable, but hook"),
    "a hook that changes the dtype": (
        lambda: hooked(lambda g: g.double()), RuntimeError, "hook '<lambda>' has changed the type of value"),
    "an error in a hook": (lambda: hooked(lambda g: 1 / 0), ZeroDivisionError, "division by zero"),
    "an error in backward": (
        lambda: passes(function(double, lambda ctx, g: {}["missing"]), leaf(1.0)), KeyError, "missing"),
    "a second backward": (lambda: twice(), RuntimeError, "Trying to backward through the graph a second time"),
    "backward of something untracked": (
        lambda: t([1.0]).sum().backward(), RuntimeError,
        "element 0 of tensors does not require grad and does not have a grad_fn"),
    "backward of a vector": (
        lambda: (leaf(1.0, 2.0) * 2).backward(), RuntimeError, "grad can be implicitly created only for scalar outputs"),
    "a gradient of a wrong shape for backward": (
        lambda: (leaf(1.0, 2.0) * 2).backward(W.ones(3)), RuntimeError, "Mismatch in shape: grad_output[0] has a shape of"),
    "gradients of integers": (
        lambda: t([1, 2], requires_grad=True), RuntimeError, "Only Tensors of floating point"),
    "gradients of integers asked for later": (
        lambda: t([1, 2]).requires_grad_(), RuntimeError, "only Tensors of floating point"),
    "a gradient with respect to something unused": (
        lambda: A.grad((leaf(1.0) * 2).sum(), leaf(1.0)), RuntimeError,
        "appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior"),
    "a gradient with respect to a constant": (
        lambda: A.grad((leaf(1.0) * 2).sum(), t([1.0])), RuntimeError,
        "One of the differentiated Tensors does not require grad"),
}  # fmt: skip


def hooked(hook):
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(hook)
    y.sum().backward()


def twice():
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    y.backward()


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, kind, message = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value) or message.lower() in str(caught.value).lower()
    assert W.is_grad_enabled() and not W.is_inference_mode_enabled()
    x = leaf(3.0)
    (x * x).sum().backward()
    assert near(x.grad, [6.0]), "the next call works"


def test_a_failed_backward_leaves_the_graph_usable():
    x = leaf(2.0)
    y = x * 3
    handle = y.register_hook(lambda g: 1 / 0)
    z = (y * y).sum()
    with pytest.raises(ZeroDivisionError):
        z.backward(retain_graph=True)
    handle.remove()
    assert x.grad is None
    z.backward()
    assert near(x.grad, [36.0])


@only_webtorch("PyTorch names no fix there")
@pytest.mark.parametrize(
    "name, fix",
    [
        ("too few gradients", "one gradient (or None) per argument"),
        ("a number", "backward must return Tensors"),
        ("saving a number", "attributes of ctx"),
        ("backward of a vector", "reduce it first (.sum())"),
        ("a second backward", "retain_graph=True"),
        ("a saved value that was changed", "clone the tensor before changing it"),
        ("gradients of integers asked for later", "convert first"),
        ("a gradient with respect to something unused", "allow_unused=True"),
    ],
)
def test_errors_name_the_fix(name, fix):
    with pytest.raises(Exception) as caught:
        ERRORS[name][0]()
    assert fix in str(caught.value)
