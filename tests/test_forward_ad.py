"""Forward-mode differentiation: dual tensors, tangents through every kind of operation, in-place writes, Functions."""

import numpy as np
import pytest
from lib import W, near, only_webtorch

fa = W.autograd.forward_ad


def t(values, **options):
    return W.tensor(values, **options)


def tangent_of(function, *pairs):
    """(value, tangent) of a function of dual tensors; a lone tensor has no tangent."""
    with fa.dual_level():
        given = [fa.make_dual(*pair) if isinstance(pair, tuple) else pair for pair in pairs]
        primal, tangent = fa.unpack_dual(function(*given))
        return primal.clone(), None if tangent is None else tangent.clone()


# ---- the interface --------------------------------------------------------------------------------------------------


def test_make_and_unpack():
    x, v = t([1.0, 2.0]), t([3.0, 4.0])
    with fa.dual_level():
        dual = fa.make_dual(x, v)
        unpacked = fa.unpack_dual(dual)
        assert near([unpacked.primal, unpacked.tangent], [[1.0, 2.0], [3.0, 4.0]])
        assert tuple(unpacked._fields) == ("primal", "tangent")
        assert fa.unpack_dual(x).tangent is None
        assert fa.unpack_dual(unpacked.primal).tangent is None
    assert fa.unpack_dual(dual).tangent is None, "tangents end with their level"


def test_a_product():
    with fa.dual_level():
        dual = fa.make_dual(t([2.0]), t([1.0]))
        out = dual * dual * 3.0
        assert near(fa.unpack_dual(out).tangent, [12.0])


def test_what_has_no_tangent_gives_none():
    assert tangent_of(lambda x: x * 2, t([1.0]))[1] is None
    assert tangent_of(lambda x: x.detach() * 2, (t([1.0]), t([1.0])))[1] is None
    assert tangent_of(lambda x: (x > 0).float(), (t([1.0]), t([1.0])))[1] is None


def test_grad_mode_does_not_matter():
    with W.no_grad():
        assert near(tangent_of(lambda x: x.exp(), (t([0.0]), t([2.0])))[1], [2.0])


def test_enter_and_exit_by_hand():
    level = fa.enter_dual_level()
    dual = fa.make_dual(t([1.0]), t([5.0]))
    assert near(fa.unpack_dual(dual * 2).tangent, [10.0])
    fa.exit_dual_level(level=level)
    assert fa.unpack_dual(dual).tangent is None


def test_the_primal_may_require_grad():
    """Reverse over forward: the tangent is differentiable in the primal and in the tangent given."""
    x = t([1.0, 2.0], requires_grad=True)
    v = t([1.0, 3.0], requires_grad=True)
    with fa.dual_level():
        tangent = fa.unpack_dual((fa.make_dual(x, v) ** 3).sum()).tangent
    tangent.backward()
    assert near([x.grad, v.grad], [[6.0, 36.0], [3.0, 12.0]])


def test_forward_over_reverse():
    """A Hessian-vector product: the tangent of a gradient."""
    with fa.dual_level():
        x = fa.make_dual(t([1.0, 2.0], requires_grad=True), t([1.0, 1.0]))
        (gradient,) = W.autograd.grad((x**3).sum(), x, create_graph=True)
        assert near(fa.unpack_dual(gradient).tangent, [6.0, 12.0])


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: fa.make_dual(t([1.0]), t([1.0])), RuntimeError, "but no level exists"),
        (lambda: fa.exit_dual_level(), RuntimeError, "exit a forward AD level but|Dual level must be"),
        (lambda: in_level(lambda: fa.make_dual(t([1.0]), t([1.0, 2.0]))), RuntimeError, "size|shape"),
        (
            lambda: in_level(lambda: fa.make_dual(t([1]), t([1]))),
            ValueError,
            "Expected primal to be floating|tensor to be floating",
        ),
        (lambda: in_level(lambda: fa.make_dual(t([1.0]), t([1]))), ValueError, "Expected tangent to be floating"),
        (lambda: in_level(lambda: fa.enter_dual_level()), RuntimeError, "Nested forward mode AD is not supported"),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
    assert near(tangent_of(lambda x: x * 2, (t([1.0]), t([1.0])))[1], [2.0]), "the next level works"


def in_level(function):
    with fa.dual_level():
        return function()


# ---- views and writes -----------------------------------------------------------------------------------------------


def test_views_of_duals():
    def views(x):
        return W.cat([x[1], x.t()[0], x.reshape(-1)[::2], x.expand(2, 2, 2)[1, 0], x.diagonal(), x.flip(0)[0]])

    x, v = t([[1.0, 2.0], [3.0, 4.0]]), t([[10.0, 20.0], [30.0, 40.0]])
    primal, tangent = tangent_of(views, (x, v))
    assert near(tangent, [value * 10 for value in primal.tolist()])


def test_in_place_operations():
    def write(x, y):
        z = x * 1.0
        z.mul_(y)
        z.add_(x)
        return z

    assert near(tangent_of(write, (t([2.0]), t([1.0])), (t([3.0]), t([10.0]))), [[8.0], [3.0 + 20.0 + 1.0]])


def test_a_write_through_a_view_changes_the_tangent_of_its_base():
    def write(x):
        z = x * 1.0
        part = z[1:]
        part.mul_(5.0)
        return z

    assert near(tangent_of(write, (t([1.0, 2.0, 3.0]), t([1.0, 1.0, 1.0])))[1], [1.0, 5.0, 5.0])


def test_a_write_through_one_view_is_seen_by_another():
    def write(x):
        z = x * 1.0
        first, second = z[:2], z[1:]
        first.mul_(10.0)
        return second * 1.0

    assert near(tangent_of(write, (t([1.0, 2.0, 3.0]), t([1.0, 1.0, 1.0]))), [[20.0, 3.0], [10.0, 1.0]])


def test_a_dual_written_into_a_plain_tensor():
    def write(x):
        z = W.zeros(3)
        z[1] = x[0]
        z[2:].copy_(x[1:2] * 2)
        return z

    assert near(tangent_of(write, (t([3.0, 4.0]), t([1.0, 5.0]))), [[0.0, 3.0, 8.0], [0.0, 1.0, 10.0]])


def test_a_constant_written_over_a_dual():
    def write(x):
        z = x * 2
        z[0] = 7.0
        return z

    assert near(tangent_of(write, (t([3.0, 4.0]), t([1.0, 1.0]))), [[7.0, 8.0], [0.0, 2.0]])

    def fill(x):
        z = x * 2
        z.zero_()
        return z + x

    assert near(tangent_of(fill, (t([3.0]), t([1.0]))), [[3.0], [1.0]])


# ---- every kind of operation ----------------------------------------------------------------------------------------

M, V = [[1.0, 2.0, 0.5], [0.3, 0.7, 1.5]], [[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]]
KINDS = {
    "arithmetic": lambda x: x * 2 + x / 3 - x * x,
    "power": lambda x: x**2.5 + 2.0**x,
    "unary": lambda x: x.exp() + x.log() + x.sin() + x.tanh() + x.sqrt() + x.sigmoid() + x.abs(),
    "broadcast": lambda x: x + x[0] * x[:, :1],
    "where": lambda x: W.where(x > 0.6, x * 2, x * 3),
    "clamp": lambda x: x.clamp(0.4, 1.2),
    "sum": lambda x: x.sum(1) + x.sum(),
    "prod": lambda x: x.prod(0),
    "amax": lambda x: x.amax(1) + x.amin(),
    "max": lambda x: W.max(x, 1).values,
    "mean and var": lambda x: W.stack([x.mean(), x.var(), x.std()]),
    "softmax": lambda x: x.softmax(0) + x.log_softmax(1),
    "logsumexp": lambda x: W.logsumexp(x, 1),
    "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(0),
    "matmul": lambda x: x @ x.t() @ x,
    "matrix times vector": lambda x: x @ x[0],
    "cat": lambda x: W.cat([x, W.ones(1, 3, dtype=x.dtype), x * 2]),
    "stack": lambda x: W.stack([x, x * x], 1),
    "gather": lambda x: x.gather(1, W.tensor([[2, 2], [0, 1]])),
    "index": lambda x: x[W.tensor([1, 0, 1])] * x[0],
    "index_add": lambda x: x.index_add(0, W.tensor([0, 0]), x * x),
    "scatter": lambda x: x.scatter(1, W.tensor([[0], [1]]), x[:, 2:] * 2),
    "masked_fill": lambda x: x.masked_fill(x > 1.2, 0.0),
    "clone and cast": lambda x: x.clone().float().double() * x,
    "tril": lambda x: x.tril() + x.triu(1),
    "pad": lambda x: W.nn.functional.pad(x, (1, 1)),
    "relu": lambda x: W.relu(x - 0.6),
    "unfold": lambda x: x.unfold(1, 2, 1).sum(-1),
}


@pytest.mark.parametrize("name", KINDS)
def test_tangents_are_directional_derivatives(name):
    x, v, eps = np.array(M), np.array(V), 1e-6
    function = KINDS[name]
    double = {"dtype": W.float64}
    primal, tangent = tangent_of(function, (t(M, **double), t(V, **double)))
    above, below = function(t((x + eps * v).tolist(), **double)), function(t((x - eps * v).tolist(), **double))
    expected = (np.array(above.tolist()) - np.array(below.tolist())) / (2 * eps)
    # a pass through float32 is good to seven digits, and its differences to none
    if name == "clone and cast":
        expected = 2 * x * v
    assert np.allclose(tangent.tolist(), expected, rtol=1e-5, atol=1e-6)
    assert near(primal, function(t(M, **double)).tolist())


@only_webtorch("these are the rows of its table")
def test_every_row_of_the_table():
    """Forward mode, forward mode under vmap, gradients under vmap and forward over reverse mode, of every row."""
    from test_derivatives import DIFFERENTIABLE, leaves
    from test_ops import call

    from webtorch.autograd import gradcheck, gradgradcheck

    assert len(DIFFERENTIABLE) > 80
    for key in DIFFERENTIABLE:
        inputs = leaves(key, "cpu", W.float64)
        function = lambda *values, key=key: call(key, list(values))
        options = {"check_forward_ad": True, "fast_mode": True, "check_batched_grad": True}
        assert gradcheck(function, inputs, check_batched_forward_grad=True, **options), key
        assert gradgradcheck(function, inputs, check_fwd_over_rev=True, fast_mode=True), key


@only_webtorch("these are programs of its own tests")
def test_every_other_kind_of_row():
    from test_derivatives import PROGRAMS, run

    from webtorch.autograd import gradcheck, gradgradcheck

    for name in PROGRAMS:
        function, inputs = run(name, "cpu", W.float64)
        options = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
        assert gradcheck(function, inputs, **options), name
        if name not in ("cumprod with zeros", "prod with zeros"):  # their rules divide around the zeros, once
            assert gradgradcheck(function, inputs, check_fwd_over_rev=True, fast_mode=True), name


# ---- Functions ------------------------------------------------------------------------------------------------------


def test_the_jvp_of_a_function():
    got = []

    class Product(W.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, factor):
            ctx.save_for_backward(x, y)
            ctx.save_for_forward(x, y)
            ctx.factor = factor
            return x * y * factor, x + 1

        @staticmethod
        def jvp(ctx, x_tangent, y_tangent, nothing):
            got.append((x_tangent.tolist(), y_tangent.tolist(), nothing))
            x, y = ctx.saved_tensors
            return (x_tangent * y + x * y_tangent) * ctx.factor, x_tangent

        @staticmethod
        def backward(ctx, g, h):
            x, y = ctx.saved_tensors
            return g * y * ctx.factor + h, g * x * ctx.factor, None

    with fa.dual_level():
        x, y = t([1.0, 2.0], requires_grad=True), t([3.0, 4.0])
        first, second = Product.apply(fa.make_dual(x, t([1.0, 1.0])), y, 2.0)
        assert near(fa.unpack_dual(first).tangent, [6.0, 8.0]) and near(fa.unpack_dual(second).tangent, [1.0, 1.0])
        (first.sum() + second.sum()).backward()
    assert near(x.grad, [7.0, 9.0])
    assert got == [([1.0, 1.0], [0.0, 0.0], None)], "a missing tangent is zeros, for what is no tensor None"


def test_a_function_without_a_jvp():
    class Plain(W.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    assert near(Plain.apply(t([1.0])), [2.0])
    with fa.dual_level():
        with pytest.raises(NotImplementedError, match="You must implement the jvp function"):
            Plain.apply(fa.make_dual(t([1.0]), t([1.0])))


def test_a_jvp_that_returns_nonsense():
    class Wrong(W.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def jvp(ctx, tangent):
            return tangent, tangent

    with fa.dual_level():
        with pytest.raises(RuntimeError, match="expected 1"):
            Wrong.apply(fa.make_dual(t([1.0]), t([1.0])))


# ---- threads and devices --------------------------------------------------------------------------------------------


@only_webtorch("PyTorch has no webgpu")
@pytest.mark.gpu
@pytest.mark.parametrize("name", KINDS)
def test_tangents_on_webgpu(name):
    if name == "clone and cast":
        pytest.skip("there is no float64 on most GPUs")
    function = KINDS[name]
    before = W.get_default_device()
    expected = [value.tolist() for value in tangent_of(function, (t(M), t(V)))]
    W.set_default_device("webgpu")
    try:
        found = tangent_of(function, (t(M).webgpu(), t(V).webgpu()))
        assert near(found, expected, 1e-3)
    finally:
        W.set_default_device(before)


@only_webtorch("it looks inside")
def test_a_level_forgets_tensors_that_are_gone():
    from webtorch.tangents import DualLevel, put

    level = DualLevel().enter()
    try:
        kept = t([1.0])
        put(kept, level, t([2.0]))
        for _ in range(5000):
            put(t([1.0]), level, kept)
        assert len(level.tensors) < 3000 and kept._tangents
    finally:
        level.leave()
    assert kept._tangents is None
