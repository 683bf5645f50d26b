"""Function transforms: grad, vjp, jvp, jacrev, jacfwd, hessian, linearize, vmap, functional_call, and all of them nested."""

import numpy as np
import pytest
from lib import AGAINST, W, listed, near, only_webtorch

func = W.func


def t(values, **options):
    return W.tensor(values, **options)


X = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


# ---- grad -----------------------------------------------------------------------------------------------------------


def test_grad_of_a_scalar_function():
    assert near(func.grad(lambda x: (x**3).sum())(t([1.0, 2.0])), [3.0, 12.0])


def test_grad_nests_and_gives_higher_derivatives():
    cube = lambda x: x**4
    for order, expected in ((1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0), (5, 0.0)):
        function = cube
        for _ in range(order):
            function = func.grad(function)
        assert near(function(t(2.0)), expected)


def test_inner_and_outer_variables_are_not_confused():
    """The inner derivative is with respect to the inner variable only: d/dx [x * d/dy (x + y)] is 1."""
    inner = lambda x: x * func.grad(lambda y: x + y)(t(1.0))
    assert near(func.grad(inner)(t(3.0)), 1.0)
    forward = lambda x: x * func.jvp(lambda y: x + y, (t(1.0),), (t(1.0),))[1]
    assert near(func.jvp(forward, (t(3.0),), (t(1.0),))[1], 1.0)
    mixed = lambda x: x * func.jvp(lambda y: x * y, (t(2.0),), (t(1.0),))[1]
    assert near(func.grad(mixed)(t(3.0)), 6.0)
    other = lambda x: x * func.grad(lambda y: x * y * y)(t(2.0))
    assert near(func.jvp(other, (t(3.0),), (t(1.0),))[1], 24.0)


def test_argnums_and_structures():
    f = lambda x, y: (x * y).sum()
    x, y = t([1.0, 2.0]), t([3.0, 4.0])
    assert near(func.grad(f, argnums=1)(x, y), [1.0, 2.0])
    assert near(func.grad(f, argnums=-1)(x, y), [1.0, 2.0])
    both = func.grad(f, argnums=(0, 1))(x, y)
    assert isinstance(both, tuple) and near(both, [[3.0, 4.0], [1.0, 2.0]])
    tree = func.grad(lambda p: (p["w"] * p["b"][0]).sum())({"w": x, "b": (y,)})
    assert near(tree, {"w": [3.0, 4.0], "b": [[1.0, 2.0]]}) and isinstance(tree["b"], tuple)


def test_keyword_arguments_pass_through():
    assert near(func.grad(lambda x, scale=1.0: (x * scale).sum())(t([1.0]), scale=5.0), [5.0])


def test_aux_and_value():
    f = lambda x: ((x * x).sum(), {"double": x * 2})
    gradient, aux = func.grad(f, has_aux=True)(t([1.0, 3.0]))
    assert near(gradient, [2.0, 6.0]) and near(aux, {"double": [2.0, 6.0]})
    gradient, (value, aux) = func.grad_and_value(f, has_aux=True)(t([1.0, 3.0]))
    assert near(value, 10.0) and not value.requires_grad and not aux["double"].requires_grad
    gradient, value = func.grad_and_value(lambda x: (x * x).sum())(t([1.0, 3.0]))
    assert near([gradient, value], [[2.0, 6.0], 10.0])


def test_a_result_needs_gradients_only_where_a_leaf_outside_does():
    assert not func.grad(lambda x: (x**2).sum())(t([1.0])).requires_grad
    w = t([3.0], requires_grad=True)
    gradient = func.grad(lambda x: (w * x**2).sum())(t([2.0]))
    assert gradient.requires_grad
    gradient.sum().backward()
    assert near(w.grad, [4.0])


def test_a_leaf_that_is_differentiated_gets_gradients_of_the_result_and_none_of_its_own():
    x = t([2.0], requires_grad=True)
    gradient = func.grad(lambda x: (x**3).sum())(x)
    assert x.grad is None
    gradient.sum().backward()
    assert near(gradient, [12.0]) and near(x.grad, [12.0])


def test_modes_inside_count_and_modes_outside_do_not():
    with W.no_grad():
        assert near(func.grad(lambda x: (x**2).sum())(t([3.0])), [6.0])

    def half_off(x):
        with W.no_grad():
            c = x**2
        return (x - c).sum()

    assert near(func.grad(half_off)(t([3.0])), [1.0])


def test_no_grad_outside_means_no_history_outside():
    w = t([3.0], requires_grad=True)
    with W.no_grad():
        gradient = func.grad(lambda x: (w * x**2).sum())(t([2.0]))
    assert near(gradient, [12.0]) and not gradient.requires_grad


def test_what_does_not_depend_on_the_input_has_a_zero_gradient():
    assert near(func.grad(lambda x: t(3.0))(t([1.0, 2.0])), [0.0, 0.0])
    assert near(func.grad(lambda x, y: y.sum(), argnums=(0, 1))(t([1.0]), t([2.0])), [[0.0], [1.0]])


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: func.grad(lambda x: x)(t([1.0, 2.0])), RuntimeError, "Expected f\\(\\*args\\) to return a scalar"),
        (lambda: func.grad(lambda x: 3)(t([1.0])), RuntimeError, "to return a Tensor"),
        (lambda: func.grad(lambda x: x.sum())(3.0), ValueError, "must be Tensor"),
        (
            lambda: func.grad(lambda x: x.sum())(t([1, 2])),
            RuntimeError,
            "floating point and complex dtype can require gradients",
        ),
        (lambda: func.grad(lambda x: x.sum(), argnums=2)(t([1.0])), RuntimeError, "Got argnum=2|got argnum=2"),
        (lambda: func.grad(lambda x, y: x.sum(), argnums=(0, 0))(t([1.0]), t([1.0])), RuntimeError, "unique"),
        (lambda: func.grad(lambda x: x.sum(), has_aux=True)(t([1.0])), RuntimeError, "output, aux"),
        (lambda: func.grad(lambda x: x.mul_(2).sum())(t([1.0])), RuntimeError, "leaf Variable that requires grad"),
        (lambda: func.jvp(lambda x: x, t([1.0]), t([1.0])), RuntimeError, "Expected primals to be a tuple"),
        (lambda: func.jvp(lambda x: x, (t([1.0]),), (t([1.0, 2.0]),)), RuntimeError, "size|shape"),
        (lambda: func.jvp(lambda x: 2, (t([1.0]),), (t([1.0]),)), RuntimeError, "return only tensors"),
        (lambda: func.vjp(lambda x: x, t([1.0]))[1](t([1.0, 2.0])), RuntimeError, "Mismatch in shape"),
        (lambda: func.vjp(lambda x: x, t([1.0]))[1]((t([1.0]),)), RuntimeError, "pytree structure of cotangents"),
        (lambda: func.jacrev(lambda x: x, chunk_size=0)(t([1.0])), ValueError, "chunk_size"),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
    assert W.is_grad_enabled()
    assert near(func.grad(lambda x: x.sum())(t([1.0])), [1.0]), "the next call works"


def test_backward_is_not_for_the_inside_of_a_transform():
    def f(x):
        (w * x).sum().backward()
        return x.sum()

    w = t([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="backward\\(\\) called inside a functorch transform"):
        func.grad(f)(t([1.0]))


def test_autograd_grad_inside_a_transform():
    f = lambda x: W.autograd.grad((x**3).sum(), x, create_graph=True)[0].sum()
    assert near(func.grad(f)(t([2.0])), [12.0])


# ---- vjp, jvp, linearize --------------------------------------------------------------------------------------------


def test_vjp():
    output, pull = func.vjp(lambda x: (x.sin(), x.sum()), t([0.0, 1.0]))
    assert near(output, [[0.0, np.sin(1)], 1.0]) and not output[0].requires_grad
    for _ in range(2):  # as often as one likes
        (gradient,) = pull((t([1.0, 2.0]), t(3.0)))
        assert near(gradient, [4.0, 3 + 2 * np.cos(1)])


def test_vjp_with_aux_and_several_primals():
    output, pull, aux = func.vjp(lambda x, y: (x * y, x + y), t([2.0]), t([3.0]), has_aux=True)
    assert near([output, aux], [[6.0], [5.0]])
    assert near(pull(t([1.0])), [[3.0], [2.0]])


def test_jvp():
    output, tangent = func.jvp(lambda x, y: x * y, (t([2.0]), t([3.0])), (t([1.0]), t([10.0])))
    assert near([output, tangent], [[6.0], [23.0]])
    output, tangent, aux = func.jvp(lambda x: (x**2, {"x": x}), (t(3.0),), (t(1.0),), has_aux=True)
    assert near([output, tangent], [9.0, 6.0]) and near(aux, {"x": 3.0})


def test_jvp_of_what_is_constant():
    f = lambda x: t([1.0, 2.0])
    assert near(func.jvp(f, (t([1.0]),), (t([1.0]),)), [[1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(RuntimeError, match="independent of the inputs"):
        func.jvp(f, (t([1.0]),), (t([1.0]),), strict=True)


def test_jvp_nests():
    f = lambda x: x**4
    first = lambda x: func.jvp(f, (x,), (t(1.0),))[1]
    second = lambda x: func.jvp(first, (x,), (t(1.0),))[1]
    assert near([first(t(2.0)), second(t(2.0)), func.jvp(second, (t(2.0),), (t(1.0),))[1]], [32.0, 48.0, 48.0])


def test_backward_through_a_jvp_and_jvp_through_a_grad():
    x = t([1.0, 2.0], requires_grad=True)
    v = t([1.0, 1.0], requires_grad=True)
    func.jvp(lambda x: (x**3).sum(), (x,), (v,))[1].backward()
    assert near([x.grad, v.grad], [[6.0, 12.0], [3.0, 12.0]])
    gradient = func.grad(lambda x: (x**3).sum())
    assert near(func.jvp(gradient, (t([1.0, 2.0]),), (t([1.0, 0.0]),))[1], [6.0, 0.0])


def test_linearize():
    calls = []

    def f(x, y):
        calls.append(1)
        return {"a": x.sin() * y, "b": (x + y).sum()}

    output, push = func.linearize(f, t([0.0, 1.0]), t([2.0, 3.0]))
    pushed = push(t([1.0, 1.0]), t([0.0, 0.0]))
    assert near(pushed, {"a": [2.0, 3 * np.cos(1)], "b": 2.0})
    count = len(calls)
    push(t([1.0, 0.0]), t([0.0, 0.0]))
    assert len(calls) == count, "the function is not run again"
    for x, y in (([1.0, 0.0], [0.0, 0.0]), ([0.0, 2.0], [1.0, 1.0])):
        expected = func.jvp(f, (t([0.0, 1.0]), t([2.0, 3.0])), (t(x), t(y)))[1]
        assert near(push(t(x), t(y)), listed(expected))
    assert near(output["b"], 6.0)


# ---- Jacobians ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", ["jacrev", "jacfwd"])
def test_jacobian(transform):
    jacobian = getattr(func, transform)
    x = t([1.0, 2.0])
    assert near(jacobian(lambda x: x * x.sum())(x), [[4.0, 1.0], [2.0, 5.0]])
    assert near(jacobian(lambda x: x.sum())(x), [1.0, 1.0])
    assert near(jacobian(lambda x: x * 2)(t(3.0)), 2.0)
    matrix = jacobian(lambda x: x.reshape(2, 2).t())(t([1.0, 2.0, 3.0, 4.0]))
    assert tuple(matrix.shape) == (2, 2, 4) and near(matrix[0, 1], [0.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("transform", ["jacrev", "jacfwd"])
def test_jacobian_of_trees(transform):
    jacobian = getattr(func, transform)
    f = lambda p, y: {"s": p["a"].sum() * y, "y": y**2}
    given = {"a": t([1.0, 2.0])}, t([3.0])
    found = jacobian(f, argnums=(0, 1))(*given)
    assert near(found["s"][0], {"a": [[3.0, 3.0]]}) and near(found["s"][1], [[3.0]])
    assert near(found["y"][0], {"a": [[0.0, 0.0]]}) and near(found["y"][1], [[6.0]])
    assert near(jacobian(f, argnums=1)(*given), {"s": [[3.0]], "y": [[6.0]]})


@pytest.mark.parametrize("transform", ["jacrev", "jacfwd"])
def test_jacobian_with_aux(transform):
    found, aux = getattr(func, transform)(lambda x: (x**2, x + 1), has_aux=True)(t([1.0, 2.0]))
    assert near(found, [[2.0, 0.0], [0.0, 4.0]]) and near(aux, [2.0, 3.0])


def test_jacobian_in_chunks():
    x = t([[1.0, 2.0], [3.0, 4.0]])
    whole = func.jacrev(lambda x: x.exp() * x.sum())(x)
    for size in (1, 3, 100):
        assert near(func.jacrev(lambda x: x.exp() * x.sum(), chunk_size=size)(x), listed(whole))


@pytest.mark.parametrize("outer", ["jacrev", "jacfwd"])
@pytest.mark.parametrize("inner", ["jacrev", "jacfwd"])
def test_hessians_by_all_ways(outer, inner):
    f = lambda x: x.prod() * x.exp().sum()
    x = t([1.0, 2.0])
    e1, e2 = np.exp([1.0, 2.0])
    expected = [[2 * 2 * e1 + 2 * e1, (e1 + e2) + e1 + 2 * e2], [(e1 + e2) + e1 + 2 * e2, 2 * e2 + 2 * e2]]
    expected[0][0] = 2 * e1 * (1 + 2)  # d2/dx2 of x y (e^x + e^y) at (1, 2): y e^x (x + 2)
    expected[1][1] = 1 * e2 * (2 + 2)
    assert near(getattr(func, outer)(getattr(func, inner)(f))(x), expected)
    assert near(func.hessian(f)(x), expected)


# ---- vmap -----------------------------------------------------------------------------------------------------------


def test_vmap_in_and_out_dims():
    x = t(X)
    assert near(func.vmap(lambda r: r.sum())(x), [3.0, 7.0, 11.0])
    assert near(func.vmap(lambda r: r.sum(), in_dims=1)(x), [9.0, 12.0])
    assert near(func.vmap(lambda r: r.sum(), in_dims=-1)(x), [9.0, 12.0])
    assert near(func.vmap(lambda r: r * 2, out_dims=1)(x), (2 * np.array(X).T).tolist())
    assert near(func.vmap(lambda r: r * 2, out_dims=-1)(x), (2 * np.array(X).T).tolist())
    a, b = func.vmap(lambda r: (r, r.sum()), out_dims=(1, 0))(x)
    assert tuple(a.shape) == (2, 3) and near(b, [3.0, 7.0, 11.0])
    assert W.vmap(lambda r: r)(x).shape == x.shape


def test_vmap_with_what_is_not_mapped():
    x, y = t(X), t([10.0, 20.0])
    assert near(func.vmap(lambda a, b: a * b, in_dims=(0, None))(x, y), [[10.0, 40.0], [30.0, 80.0], [50.0, 120.0]])
    assert near(func.vmap(lambda a, k: a * k, in_dims=(0, None))(x, 2.0), [[2.0, 4.0], [6.0, 8.0], [10.0, 12.0]])
    assert near(func.vmap(lambda a, k=None: a * k)(x, k=y), [[10.0, 40.0], [30.0, 80.0], [50.0, 120.0]])
    assert near(func.vmap(lambda a: y)(x), [[10.0, 20.0]] * 3)
    assert near(func.vmap(lambda a: y, out_dims=None)(x), [10.0, 20.0])


def test_vmap_over_trees():
    tree = {"w": t(X), "b": (t([1.0, 2.0, 3.0]),)}
    f = lambda p, c: {"out": (p["w"] * c).sum() + p["b"][0]}
    assert near(func.vmap(f, in_dims=({"w": 0, "b": (0,)}, None))(tree, t([1.0, 1.0])), {"out": [4.0, 9.0, 14.0]})
    assert near(func.vmap(f, in_dims=(0, None))(tree, t([1.0, 1.0])), {"out": [4.0, 9.0, 14.0]})
    assert near(
        func.vmap(f, in_dims=({"w": 0, "b": None}, None))({"w": t(X), "b": (t(1.0),)}, t([1.0, 1.0])),
        {"out": [4.0, 8.0, 12.0]},
    )


def test_vmap_in_chunks():
    x = t([[float(i), float(-i)] for i in range(7)])
    f = lambda r: (r * r, r.sum())
    whole = listed(func.vmap(f)(x))
    for size in (1, 2, 3, 7, 20):
        assert near(func.vmap(f, chunk_size=size)(x), whole)


def test_vmap_nests():
    a, b = t([1.0, 2.0]), t([10.0, 20.0, 30.0])
    outer = func.vmap(func.vmap(lambda x, y: x * y, in_dims=(None, 0)), in_dims=(0, None))(a, b)
    assert near(outer, [[10.0, 20.0, 30.0], [20.0, 40.0, 60.0]])
    x = t(np.arange(24.0).reshape(2, 3, 4).tolist())
    for outside in range(3):
        for inside in range(2):
            found = func.vmap(func.vmap(lambda r: r.sum(), in_dims=inside), in_dims=outside)(x)
            rest = [axis for axis in range(3) if axis != outside]
            kept = rest[inside]
            (summed,) = [axis for axis in rest if axis != kept]
            expected = np.arange(24.0).reshape(2, 3, 4).sum(summed)
            assert near(found, (expected if outside < kept else expected.T).tolist()), (outside, inside)


# name: a function of vectors (or of a matrix and vectors), as one would write it for one example
FUNCTIONS = {
    "arithmetic": lambda x, y: (x + y) * x / (y + 10.0) - 2.0 * x,
    "broadcast": lambda x, y: x.unsqueeze(0) * y.unsqueeze(1),
    "scalar with vector": lambda x, y: x[0] * y,
    "comparison": lambda x, y: W.where(x > y, x, -y),
    "reductions": lambda x, y: W.stack([x.sum(), y.prod(), x.amax(), y.amin(), x.mean(), x.var(), W.logsumexp(y, 0)]),
    "keepdim": lambda x, y: x.sum(0, keepdim=True) + y,
    "argmax": lambda x, y: (x * y).argmax(0),
    "max": lambda x, y: W.max(x * y, 0).values,
    "softmax": lambda x, y: W.softmax(x, 0) + W.log_softmax(y, -1),
    "scan": lambda x, y: x.cumsum(0) * y.cumprod(0),
    "dot": lambda x, y: W.dot(x, y),
    "outer": lambda x, y: W.outer(x, y),
    "matrix": lambda x, y: W.outer(x, y) @ y,
    "matmul": lambda x, y: W.outer(x, y) @ W.outer(y, x),
    "bmm": lambda x, y: W.bmm(W.stack([W.outer(x, y)] * 2), W.stack([W.outer(y, y)] * 2)),
    "einsum": lambda x, y: W.einsum("i,j,j->i", x, y, y),
    "cat": lambda x, y: W.cat([x, y, x + 1]),
    "stack": lambda x, y: W.stack([x, y], 1),
    "slices": lambda x, y: x[1:] * y[:-1],
    "step": lambda x, y: x[::2].sum() + y[-1],
    "flip": lambda x, y: x.flip(0) * y,
    "reshape": lambda x, y: (x.unsqueeze(1) * y).reshape(-1)[:4].view(2, 2).t(),
    "permute": lambda x, y: W.outer(x, y).permute(1, 0),
    "expand": lambda x, y: x.expand(2, 3) * y,
    "diagonal": lambda x, y: W.outer(x, y).diagonal(),
    "tril": lambda x, y: W.outer(x, y).tril(),
    "take": lambda x, y: x[W.tensor([2, 0])] + y[W.tensor([1, 1])],
    "gather": lambda x, y: x.gather(0, W.tensor([2, 2, 0])) * y,
    "scatter": lambda x, y: x.scatter_add(0, W.tensor([0, 0, 1]), y),
    "index_select": lambda x, y: W.outer(x, y).index_select(1, W.tensor([0, 2])),
    "index by a result": lambda x, y: x[(y > 1.0).long()],
    "gather by a result": lambda x, y: x.gather(0, (y > 1.0).long()),
    "embedding by a result": lambda x, y: W.tensor([[1.0, 2.0], [3.0, 4.0]])[(y > 1.0).long()] * x.unsqueeze(1),
    "masked_fill": lambda x, y: x.masked_fill(y > 1.0, 0.0),
    "one number": lambda x, y: x.norm() * y.std(),
    "in place": lambda x, y: x.clone().mul_(y).add_(1.0),
    "in place on a part": lambda x, y: in_place_part(x, y),
    "zeros_like": lambda x, y: in_zeros(x, y),
    "casts": lambda x, y: (x.double() + y.int()).float(),
    "clamp": lambda x, y: x.clamp(0.5, 2.0) * y.clamp(min=1.0),
    "sort": lambda x, y: W.sort(x * y, 0).values,
    "topk": lambda x, y: W.topk(x * y, 2).values,
    "roll": lambda x, y: W.roll(x, 1) * y,
    "pad": lambda x, y: W.nn.functional.pad(x, (1, 2)),
    "linear": lambda x, y: W.nn.functional.linear(x, W.outer(y, x), y),
    "conv": lambda x, y: W.nn.functional.conv1d(x.reshape(1, 1, 3), y.reshape(1, 1, 3), padding=1),
    "pool": lambda x, y: W.nn.functional.max_pool1d(W.cat([x, y]).reshape(1, 1, 6), 2),
    "layer_norm": lambda x, y: W.nn.functional.layer_norm(x, (3,)) * y,
    "loss": lambda x, y: W.nn.functional.cross_entropy(W.stack([x, y]), W.tensor([0, 2])),
    "linalg": lambda x, y: W.linalg.norm(W.outer(x, y)),
    "kron": lambda x, y: W.kron(x, y),
    "trace": lambda x, y: W.trace(W.outer(x, y)),
}


# A slice cannot be written into what all slices share.
WRITING = ("in place", "in place on a part", "zeros_like")


def in_place_part(x, y):
    z = x.clone()
    z[1:] = y[:2]
    z[0] += 1.0
    return z


def in_zeros(x, y):
    z = W.zeros_like(x)
    z[0] = y[1]
    return z + W.ones_like(y)


A = [[0.5, 2.0, -1.0], [3.0, 0.25, 1.5], [1.0, -2.0, 4.0], [0.1, 0.2, 0.3]]
B = [[2.0, 0.5, 1.5], [0.75, 3.0, -1.0], [1.25, 0.5, 2.5], [3.0, 2.0, 0.5]]


def there(name: str):
    """Skip where a function of the library is not there yet."""
    needed = {"linalg": ("linalg", "norm"), "conv": ("nn",), "pool": ("nn",)}.get(name, ())
    place = W
    for part in needed:
        try:
            place = getattr(place, part)
        except AttributeError:
            pytest.skip(f"the library has no {'.'.join(needed)}")
    if name in ("sort", "topk", "roll", "kron", "trace", "einsum") and not hasattr(W, name):
        pytest.skip(f"the library has no {name}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_is_the_function_on_every_slice(name):
    there(name)
    function, a, b = FUNCTIONS[name], t(A), t(B)
    expected = [listed(function(a[i], b[i])) for i in range(4)]
    assert near(func.vmap(function)(a, b), expected)
    assert near(func.vmap(function, in_dims=(1, 1))(a.t().contiguous(), b.t().contiguous()), expected)
    assert near(func.vmap(function, in_dims=(0, None))(a, b[0]), [listed(function(a[i], b[0])) for i in range(4)])
    if name not in WRITING:
        assert near(func.vmap(function, in_dims=(None, 0))(a[0], b), [listed(function(a[0], b[i])) for i in range(4)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_every_slice(name):
    there(name)
    function, a, b = FUNCTIONS[name], t(A), t(B)
    if not function(a[0], b[0]).is_floating_point():
        pytest.skip("no derivative")
    loss = lambda x, y: (function(x, y).sin() * 3.0).sum()
    gradient = func.grad(loss, argnums=(0, 1))
    rows = [gradient(a[i], b[i]) for i in range(4)]
    found = func.vmap(gradient)(a, b)
    for place in range(2):
        assert near(found[place], [listed(row[place]) for row in rows], 1e-4), place
    # with respect to something shared by all slices: the gradient of each is its own, and that of the sum is their sum
    if name not in WRITING:
        shared = func.vmap(func.grad(loss), in_dims=(None, 0))(a[0], b)
        assert near(shared, [listed(gradient(a[0], b[i])[0]) for i in range(4)], 1e-4)
        total = func.grad(lambda x: func.vmap(loss, in_dims=(None, 0))(x, b).sum())(a[0])
        assert near(total, listed(shared.sum(0)), 1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_and_reverse_jacobians_agree(name):
    there(name)
    function, a, b = FUNCTIONS[name], t(A), t(B)
    if not function(a[0], b[0]).is_floating_point():
        pytest.skip("no derivative")
    reverse = func.jacrev(function, (0, 1))(a[0], b[0])
    forward = func.jacfwd(function, (0, 1))(a[0], b[0])
    assert near(forward, listed(reverse), 1e-4)


def test_vmap_randomness():
    x = W.zeros(3)
    with pytest.raises(RuntimeError, match="called random operation while in randomness error mode"):
        func.vmap(lambda a: a + W.rand(2))(x)
    same = func.vmap(lambda a: a + W.rand(2), randomness="same")(x)
    assert listed(same[0]) == listed(same[1]) == listed(same[2])
    different = func.vmap(lambda a: a + W.rand(4), randomness="different")(x)
    assert len({tuple(row) for row in listed(different)}) == 3
    for draw in (lambda: W.randn(4), lambda: W.randint(0, 1000000, (4,)).float(), lambda: W.randperm(30).float()):
        rows = listed(func.vmap(lambda a, draw=draw: a + draw(), randomness="different")(x))
        assert len({tuple(row) for row in rows}) == 3
        rows = listed(func.vmap(lambda a, draw=draw: a + draw(), randomness="same")(x))
        assert len({tuple(row) for row in rows}) == 1
    nested = func.vmap(func.vmap(lambda a: a + W.rand(()), randomness="different"), randomness="different")(
        W.zeros(2, 3)
    )
    assert len({value for row in listed(nested) for value in row}) == 6


@only_webtorch("its generators differ")
def test_random_numbers_are_drawn_in_a_fixed_order():
    W.manual_seed(3)
    first = listed(func.vmap(lambda a: a + W.rand(2), randomness="different")(W.zeros(3)))
    W.manual_seed(3)
    assert first == listed(W.rand(3, 2))


def shared_write():
    shared = W.zeros(())
    return func.vmap(lambda x: shared.add_(x))(t([1.0, 2.0]))


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (
            lambda: func.vmap(lambda x: x.item())(t([1.0])),
            RuntimeError,
            "vmap: It looks like you're calling .item\\(\\)",
        ),
        (lambda: func.vmap(lambda x: x if x > 0 else -x)(t([1.0])), RuntimeError, "data-dependent control flow"),
        (lambda: func.vmap(lambda x: x.numpy())(t([1.0])), RuntimeError, "numpy|storage"),
        (lambda: func.vmap(lambda x: 3)(t([1.0])), ValueError, "must only return Tensors, got type <class 'int'>"),
        (lambda: func.vmap(lambda x: x, out_dims=None)(t([1.0])), ValueError, "can not return a BatchedTensor"),
        (lambda: func.vmap(lambda x, y: x)(W.ones(3), W.ones(2)), ValueError, "same size in the mapped dimension"),
        (lambda: func.vmap(lambda x, y: x)(W.ones(3), 2), ValueError, "We cannot vmap over non-Tensor arguments"),
        (lambda: func.vmap(lambda x: x, in_dims=(0, 0))(W.ones(3)), ValueError, "in_dims is not compatible"),
        (lambda: func.vmap(lambda x: x, in_dims=None)(W.ones(3)), ValueError, "expected `in_dims` to be int or a"),
        (lambda: func.vmap(lambda x: x, in_dims=(None,))(W.ones(3)), ValueError, "at least one|in_dim"),
        (lambda: func.vmap(lambda x: x, in_dims=3)(W.ones(3)), ValueError, "in_dim to satisfy -1 <= in_dim < 1"),
        (lambda: func.vmap(lambda: 1)(), ValueError, "got no inputs"),
        (
            lambda: func.vmap(lambda x: x, randomness="maybe")(W.ones(3)),
            RuntimeError,
            "Only allowed values for randomness",
        ),
        (lambda: func.vmap(lambda x: x, chunk_size=0)(W.ones(3)), ValueError, "chunk_size"),
        (lambda: func.vmap(lambda x: (x, x), out_dims=(0,))(W.ones(3)), ValueError, "out_dims is not compatible"),
        (shared_write, RuntimeError, "in-place|doesn't match the broadcast shape"),
    ],
)
def test_vmap_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
    assert near(func.vmap(lambda x: x * 2)(t([1.0])), [2.0]), "the next call works"


@only_webtorch("PyTorch raises")
def test_vmap_over_nothing():
    assert tuple(func.vmap(lambda x: x.sum() * 2)(W.zeros(0, 3)).shape) == (0,)


@only_webtorch("PyTorch has no such fallback for shapes that depend on data")
def test_what_has_no_batching_rule_goes_slice_by_slice():
    x = t([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]])
    assert near(func.vmap(lambda r: r[r != 0].sum())(x), [3.0, 7.0])
    assert near(func.vmap(lambda r: r.nonzero().reshape(-1))(x), [[0, 2], [1, 2]])
    same = func.vmap(lambda r: r[r != 0] + W.rand(2), randomness="same")(W.zeros(3, 2) + 1)
    assert listed(same[0]) == listed(same[1])
    with pytest.raises(RuntimeError, match="randomness error mode"):
        func.vmap(lambda r: r[r != 0] + W.rand(2))(W.ones(3, 2))


def test_gradients_flow_through_vmap():
    w = t([1.0, -1.0], requires_grad=True)
    x = t(X)
    func.vmap(lambda r: (w * r).sum() ** 2)(x).sum().backward()
    weight = np.array(X) @ np.array([1.0, -1.0])
    assert near(w.grad, (2 * weight[:, None] * np.array(X)).sum(0).tolist())
    y = t(X, requires_grad=True)
    func.vmap(lambda r: r.prod(), in_dims=1)(y).sum().backward()
    columns = np.array(X).prod(0)
    assert near(y.grad, (columns / np.array(X)).tolist())


def test_what_all_slices_share_counts_once_for_each():
    """An addition of something mapped to something that is not: the gradient of the latter has one part per slice."""
    w = t([1.0, 1.0], requires_grad=True)
    func.vmap(lambda r: w + r)(t(X)).sum().backward()
    assert near(w.grad, [3.0, 3.0])
    v = t([1.0, 1.0], requires_grad=True)
    func.vmap(lambda r: v * 2.0)(t(X)).sum().backward()
    assert near(v.grad, [6.0, 6.0])


def test_double_backward_through_vmap():
    w = t([1.0, 2.0], requires_grad=True)
    x = t(X)
    (first,) = W.autograd.grad(func.vmap(lambda r: (w**3 * r).sum())(x).sum(), w, create_graph=True)
    first.sum().backward()
    assert near(w.grad, [6 * 1.0 * 9, 6 * 2.0 * 12])


def test_autograd_grad_over_many_weights_by_vmap():
    """The graph is recorded outside; vmap runs backward for a batch of gradients."""
    x = t([1.0, 2.0], requires_grad=True)
    y = x**3
    weights = t([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    rows = func.vmap(lambda v: W.autograd.grad(y, x, v, retain_graph=True)[0])(weights)
    assert near(rows, [[3.0, 0.0], [0.0, 12.0], [3.0, 12.0]])
    (batched,) = W.autograd.grad(y, x, weights, is_grads_batched=True)
    assert near(batched, [[3.0, 0.0], [0.0, 12.0], [3.0, 12.0]])


def test_per_sample_gradients_of_a_network():
    """The use that vmap over grad was made for: the gradient of the loss of every example, at once."""
    W.manual_seed(0)
    model = W.nn.Sequential(W.nn.Linear(3, 5), W.nn.Tanh(), W.nn.Linear(5, 2))
    x, y = W.randn(4, 3), W.tensor([0, 1, 1, 0])
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def loss(parameters, x, y):
        prediction = func.functional_call(model, parameters, (x.unsqueeze(0),))
        return W.nn.functional.cross_entropy(prediction, y.unsqueeze(0))

    found = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    for i in range(4):
        model.zero_grad()
        W.nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        for name, value in model.named_parameters():
            assert near(found[name][i], listed(value.grad), 1e-4), name


# ---- modules --------------------------------------------------------------------------------------------------------


def test_functional_call():
    model = W.nn.Sequential(W.nn.Linear(2, 2), W.nn.BatchNorm1d(2))
    before = {name: listed(value) for name, value in model.state_dict().items()}
    weights = {"0.weight": t([[1.0, 0.0], [0.0, 2.0]]), "0.bias": t([0.0, 0.0])}
    model.eval()
    found = func.functional_call(model, weights, (t([[3.0, 4.0]]),))
    assert near(found, [[3.0, 8.0]], 1e-3)
    assert {name: listed(value) for name, value in model.state_dict().items()} == before
    with pytest.raises(RuntimeError, match="Unexpected key(\\(s\\))?.*nowhere"):
        everything = {**dict(model.named_parameters()), **dict(model.named_buffers()), "nowhere": t([1.0])}
        func.functional_call(model, everything, (t([[3.0, 4.0]]),), strict=True)
    with pytest.raises(RuntimeError, match="[Mm]issing"):
        func.functional_call(model, weights, (t([[3.0, 4.0]]),), strict=True)


def test_functional_call_ties_weights():
    class Tied(W.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = W.nn.Parameter(t([1.0]))
            self.b = self.a

        def forward(self, x):
            return self.a * x + self.b

    model = Tied()
    assert near(func.functional_call(model, {"a": t([5.0])}, (t([1.0]),)), [10.0])
    assert near(func.functional_call(model, {"a": t([5.0])}, (t([1.0]),), tie_weights=False), [6.0])


def test_gradients_with_respect_to_the_parameters_of_a_call():
    model = W.nn.Linear(2, 1)
    x = t([[1.0, 2.0], [3.0, 4.0]])
    parameters = dict(model.named_parameters())
    gradient = func.grad(lambda p: func.functional_call(model, p, (x,)).sum())(parameters)
    assert near(gradient, {"weight": [[4.0, 6.0]], "bias": [2.0]})


def test_an_ensemble():
    models = [W.nn.Linear(2, 1) for _ in range(3)]
    parameters, buffers = func.stack_module_state(models)
    assert tuple(parameters["weight"].shape) == (3, 1, 2) and buffers == {}
    x = t([[1.0, 2.0], [3.0, 4.0]])
    base = W.nn.Linear(2, 1)
    found = func.vmap(lambda p, b: func.functional_call(base, (p, b), (x,)))(parameters, buffers)
    for row, model in zip(found, models, strict=True):
        assert near(row, listed(model(x)))
    with pytest.raises(RuntimeError, match="at least one model"):
        func.stack_module_state([])


# ---- Function under the transforms ----------------------------------------------------------------------------------


def cube(with_vmap: bool):
    class Cube(W.autograd.Function):
        generate_vmap_rule = not with_vmap

        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

        @staticmethod
        def jvp(ctx, tangent):
            (x,) = ctx.saved_tensors
            return 3 * x * x * tangent

    if with_vmap:

        def vmap(info, in_dims, x):
            seen.append((info.batch_size, info.randomness, in_dims))
            return Cube.apply(x), in_dims[0]

        Cube.vmap = staticmethod(vmap)
    return Cube


seen: list = []


@pytest.mark.parametrize("with_vmap", [True, False])
def test_function_under_transforms(with_vmap):
    f = cube(with_vmap).apply
    x = t([1.0, 2.0])
    seen.clear()
    assert near(func.grad(lambda x: f(x).sum())(x), [3.0, 12.0])
    assert near(func.grad(lambda x: func.grad(lambda y: f(y).sum())(x).sum())(x), [6.0, 12.0])
    assert near(func.vmap(f)(x), [1.0, 8.0])
    assert bool(seen) is with_vmap
    if with_vmap:
        assert seen[0][:2] == (2, "error")
    assert near(func.vmap(func.grad(f))(x), [3.0, 12.0])
    assert near(func.jacrev(f)(x), [[3.0, 0.0], [0.0, 12.0]])
    if with_vmap or AGAINST == "webtorch":
        assert near(func.jvp(f, (x,), (t([1.0, 1.0]),)), [[1.0, 8.0], [3.0, 12.0]])


def test_a_function_whose_values_are_computed_on_the_host():
    """numpy cannot see slices; a vmap staticmethod says how to compute all of them."""

    class Sorted(W.autograd.Function):
        @staticmethod
        def forward(x, dim):
            order = np.argsort(x.detach().numpy(), axis=dim)
            return t(np.take_along_axis(x.detach().numpy(), order, dim).tolist()), t(order.tolist())

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.mark_non_differentiable(output[1])
            ctx.save_for_backward(output[1])
            ctx.dim = inputs[1]

        @staticmethod
        def backward(ctx, g, _):
            (order,) = ctx.saved_tensors
            return W.zeros_like(g).scatter(ctx.dim, order, g), None

        @staticmethod
        def vmap(info, in_dims, x, dim):
            x = x.movedim(in_dims[0], 0)
            return Sorted.apply(x, dim if dim < 0 else dim + 1), (0, 0)

    x = t([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    values, order = func.vmap(lambda r: Sorted.apply(r, -1))(x)
    assert near([values, order], [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[1, 2, 0], [0, 2, 1]]])


# ---- on a GPU -------------------------------------------------------------------------------------------------------


@only_webtorch("PyTorch has no webgpu")
@pytest.mark.gpu
@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_and_derivatives_on_webgpu(name):
    there(name)
    function = FUNCTIONS[name]
    if name == "casts":
        pytest.skip("there is no float64 on most GPUs")
    before = W.get_default_device()
    a, b = t(A), t(B)
    expected = [listed(function(a[i], b[i])) for i in range(4)]
    W.set_default_device("webgpu")
    try:
        x, y = a.webgpu(), b.webgpu()
        result = func.vmap(function)(x, y)
        assert result.device.type == "webgpu" and near(result, expected, 1e-3)
        if result.is_floating_point():
            reverse = func.jacrev(function)(x[0], y[0])
            assert near(func.jacfwd(function)(x[0], y[0]), listed(reverse), 1e-3)
    finally:
        W.set_default_device(before)
