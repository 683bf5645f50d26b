"""Tensors saved for backward: hooks that pack them, writes to them, checkpointing, multi-tensor hooks, gradient edges."""

import gc
import threading
import weakref

import pytest
from lib import W, near, only_webtorch

graph = W.autograd.graph


def t(values, **options):
    return W.tensor(values, **options)


def leaf(*values):
    return t(list(values), requires_grad=True)


# ---- saved_tensors_hooks --------------------------------------------------------------------------------------------


def test_hooks_see_what_is_saved_and_backward_gets_it_back():
    packed, unpacked = [], []

    def pack(x):
        packed.append(x.tolist())
        return x.tolist()

    def unpack(values):
        unpacked.append(values)
        return t(values)

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    with graph.saved_tensors_hooks(pack, unpack):
        y = a * b
    assert sorted(packed) == [[1.0, 2.0], [3.0, 4.0]] and unpacked == []
    y.sum().backward()
    assert sorted(unpacked) == [[1.0, 2.0], [3.0, 4.0]]
    assert near([a.grad, b.grad], [[3.0, 4.0], [1.0, 2.0]])


def test_a_wrong_pair_gives_wrong_gradients_and_no_error():
    x = leaf(3.0)
    with graph.saved_tensors_hooks(lambda x: x, lambda x: x * 10):
        y = x * x
    y.sum().backward()
    assert near(x.grad, [60.0])


def test_only_the_innermost_hooks_run_and_they_end_with_their_block():
    seen = []
    hooks = lambda name: graph.saved_tensors_hooks(lambda x: seen.append(name) or x, lambda x: x)
    x = leaf(2.0)
    with hooks("outer"):
        x.exp()
        with hooks("inner"):
            x.exp()
        x.exp()
    x.exp()
    assert seen == ["outer", "inner", "outer"]


def test_hooks_end_when_the_block_raises():
    seen = []
    with pytest.raises(ValueError):
        with graph.saved_tensors_hooks(lambda x: seen.append(1) or x, lambda x: x):
            raise ValueError
    leaf(1.0).exp()
    assert seen == []


@only_webtorch("torch.js has this form")
def test_hooks_for_a_call():
    seen = []
    x = leaf(2.0)
    y = W.autograd.saved_tensors_hooks(lambda x: seen.append(1) or x, lambda x: x, lambda: x.exp())
    x.exp()
    assert seen == [1] and near(y, [7.389056])


def test_hooks_as_a_decorator_and_reused():
    seen = []
    hooks = graph.saved_tensors_hooks(lambda x: seen.append(1) or x, lambda x: x)
    for _ in range(2):
        with hooks:
            leaf(1.0).exp()
    assert len(seen) == 2


def test_what_is_unpacked_leads_back_to_the_graph():
    """Second derivatives go through values that hooks copied."""
    x = leaf(2.0)
    with graph.saved_tensors_hooks(lambda x: x.clone(), lambda x: x.clone()):
        (first,) = W.autograd.grad((x**3).sum(), x, create_graph=True)
        first.sum().backward()
    assert near([first, x.grad], [[12.0], [12.0]])
    y = leaf(0.5)
    with graph.saved_tensors_hooks(lambda x: x.tolist(), lambda x: t(x)):
        (first,) = W.autograd.grad(y.exp().sum(), y, create_graph=True)
        (second,) = W.autograd.grad(first.sum(), y, create_graph=True)
    second.sum().backward()
    assert near(y.grad, [2.718281828**0.5])


def test_a_pack_hook_that_writes_into_its_input():
    with pytest.raises(RuntimeError, match="A saved tensor pack hook is modifying its input in place"):
        with graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda x: x):
            leaf(1.0).clone().exp()


def test_an_unpack_hook_that_returns_no_tensor():
    x = leaf(1.0)
    with graph.saved_tensors_hooks(lambda x: x, lambda x: 3):
        y = x.exp()
    with pytest.raises(
        TypeError, match="Output of saved tensor unpack_hook expected to be a Tensor but got result of type int"
    ):
        y.sum().backward()


def test_hooks_that_are_not_callable():
    with pytest.raises(TypeError):
        with graph.saved_tensors_hooks(1, 2):
            leaf(1.0).exp()


def test_hooks_see_what_functions_save():
    class Square(W.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    seen = []
    x = leaf(3.0)
    with graph.saved_tensors_hooks(lambda x: seen.append(x.tolist()) or x, lambda x: x):
        y = Square.apply(x)
    y.sum().backward()
    assert seen == [[3.0]] and near(x.grad, [6.0])


def test_hooks_are_per_thread():
    seen = []

    def other():
        leaf(1.0).exp()

    with graph.saved_tensors_hooks(lambda x: seen.append(1) or x, lambda x: x):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == []


def test_packed_values_are_dropped_after_backward():
    class Held:
        alive = 0

        def __init__(self, value):
            self.value = value
            Held.alive += 1

        def __del__(self):
            Held.alive -= 1

    x = leaf(1.0)
    with graph.saved_tensors_hooks(Held, lambda held: held.value):
        y = x.exp().sum()
    assert Held.alive == 1
    y.backward()
    gc.collect()
    assert Held.alive == 0


# ---- disabling them -------------------------------------------------------------------------------------------------


def test_hooks_can_be_forbidden():
    with graph.disable_saved_tensors_hooks("hooks are off"):
        with pytest.raises(RuntimeError, match="hooks are off"):
            with graph.saved_tensors_hooks(lambda x: x, lambda x: x):
                pass
    with graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        with pytest.raises(RuntimeError, match="not with these"):
            with graph.disable_saved_tensors_hooks("not with these"):
                pass


@only_webtorch("torch.js has this form")
def test_hooks_can_be_bypassed():
    seen = []
    x = leaf(1.0)
    with graph.saved_tensors_hooks(lambda x: seen.append(1) or x, lambda x: x):
        assert near(graph.disable_saved_tensors_hooks(lambda: x.exp()), [2.718281828])
        assert seen == []
        x.exp()
        assert seen == [1]
    assert graph.disable_saved_tensors_hooks(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        graph.disable_saved_tensors_hooks(lambda: 1 / 0)
    with pytest.raises(TypeError, match="give the message"):
        graph.disable_saved_tensors_hooks(3)


# ---- save_on_cpu ----------------------------------------------------------------------------------------------------


def test_save_on_cpu():
    x = leaf(1.0, 2.0)
    with graph.save_on_cpu():
        y = (x.exp() * x).sum()
    y.backward()
    e = 2.718281828
    assert near(x.grad, [2 * e, 3 * e * e])
    with graph.save_on_cpu(pin_memory=False):
        (first,) = W.autograd.grad((x**3).sum(), x, create_graph=True)
        (second,) = W.autograd.grad(first.sum(), x)
    assert near(second, [6.0, 12.0])


@only_webtorch("torch.js has this form")
def test_save_on_cpu_of_a_call():
    x = leaf(3.0)
    graph.save_on_cpu(lambda: (x * x).sum()).backward()
    assert near(x.grad, [6.0])


@only_webtorch("PyTorch has no webgpu")
@pytest.mark.gpu
def test_save_on_cpu_keeps_nothing_on_the_gpu():
    x = t([1.0, 2.0], device="webgpu", requires_grad=True)
    places = []
    with graph.save_on_cpu():
        y = x * 2.0
        z = (y * y).sum()
    saved = z.grad_fn.next_functions[0][0].saved
    places = {value.packed[1].device.type for value in saved.values() if hasattr(value, "packed")}
    z.backward()
    assert places == {"cpu"}
    assert x.grad.device.type == "webgpu" and near(x.grad, [8.0, 16.0])


# ---- writes to what is saved ----------------------------------------------------------------------------------------


def test_a_write_to_a_saved_tensor_is_an_error():
    a = leaf(1.0, 2.0)
    b = a.clone()
    out = (b**2).sum()
    b.sin_()
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        out.backward()


@pytest.mark.parametrize("place", ["input", "result"])
def test_writes_can_be_allowed(place):
    with graph.allow_mutation_on_saved_tensors():
        a = leaf(1.0, 2.0)
        b = a.clone()
        out = b**2 if place == "input" else b.exp()
        (b if place == "input" else out).mul_(0.0)
        if place == "input":
            out.sum().backward()
            assert near(a.grad, [2.0, 4.0])
        else:
            out.sum().backward()
            assert near(a.grad, [0.0, 0.0])
            assert near(out, [0.0, 0.0])
            c = a.clone()
            d = c.exp()
            total = d.sum()
            d.zero_()
            a.grad = None
            total.backward()
            assert near(a.grad, [2.718281828, 7.389056])


def test_writes_to_views_and_several_writes_are_allowed():
    with graph.allow_mutation_on_saved_tensors():
        a = leaf(1.0, 2.0, 3.0)
        b = a.clone()
        first = (b**2).sum()
        b[0] = 10.0
        second = (b**2).sum()
        b.zero_()
        first.backward(retain_graph=True)
        assert near(a.grad, [2.0, 4.0, 6.0])
        a.grad = None
        second.backward()
        assert near(a.grad, [0.0, 4.0, 6.0])


def test_second_derivatives_with_writes_allowed():
    with graph.allow_mutation_on_saved_tensors():
        a = leaf(2.0)
        b = a * 1.0
        out = (b**3).sum()
        b.zero_()
        (first,) = W.autograd.grad(out, a, create_graph=True)
        first.sum().backward()
        assert near([first, a.grad], [[12.0], [12.0]])


def test_allowing_writes_does_not_nest_and_ends():
    with graph.allow_mutation_on_saved_tensors():
        with pytest.raises(RuntimeError, match="contexts cannot be nested"):
            with graph.allow_mutation_on_saved_tensors():
                pass
    test_a_write_to_a_saved_tensor_is_an_error()


@only_webtorch("torch.js asks")
def test_the_question_is_answered_with_true():
    assert W.autograd.allow_mutation_on_saved_tensors()
    assert bool(graph.allow_mutation_on_saved_tensors()) is True


@only_webtorch("PyTorch has no webgpu")
@pytest.mark.gpu
def test_writes_allowed_on_webgpu():
    with graph.allow_mutation_on_saved_tensors():
        a = t([1.0, 2.0], device="webgpu", requires_grad=True)
        b = a.clone()
        out = (b**2).sum()
        b.sin_()
        b.mul_(3.0)
        out.backward()
        assert near(a.grad, [2.0, 4.0])


# ---- hooks on several tensors ---------------------------------------------------------------------------------------


def test_a_hook_on_all_of_several_gradients():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    seen = []
    handle = graph.register_multi_grad_hook(
        (a, b, c), lambda grads: seen.append([g if g is None else g.tolist() for g in grads])
    )
    (a * b).sum().backward()
    assert seen == [[[2.0], [1.0], None]], "c takes no part in this pass"
    (a * b * c).sum().backward()
    assert seen[1:] == [[[6.0], [3.0], [2.0]]]
    handle.remove()
    (a * b).sum().backward()
    assert len(seen) == 2


def test_a_hook_on_the_first_of_several_gradients():
    a, b = leaf(1.0), leaf(2.0)
    seen = []
    graph.register_multi_grad_hook((a, b), lambda g: seen.append(g.tolist()), mode="any")
    (a * b * b).sum().backward()
    (a * b * b).sum().backward()
    assert len(seen) == 2 and all(value in ([4.0],) for value in seen)
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook((a, b), print, mode="some")


def test_a_hook_on_values_in_the_middle():
    a = leaf(1.0)
    b = a * 2
    c = b * 3
    seen = []
    graph.register_multi_grad_hook((b, c), lambda grads: seen.append([g.tolist() for g in grads]))
    W.autograd.grad(c.sum(), a)
    assert seen == [[[3.0], [1.0]]]


# ---- gradient edges and version counters ----------------------------------------------------------------------------


def test_gradient_edges():
    x = leaf(3.0)
    y = x * x
    edge = graph.get_gradient_edge(y)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    z = y * 2
    assert near(W.autograd.grad(z.sum(), edge, retain_graph=True), [[2.0]])
    assert near(W.autograd.grad(edge, x, t([10.0]), retain_graph=True), [[60.0]])
    assert near(W.autograd.grad(z.sum(), graph.get_gradient_edge(x)), [[12.0]])
    with pytest.raises(RuntimeError, match="gradient edge for a Tensor that does not require gradients"):
        graph.get_gradient_edge(t([1.0]))


def test_increment_version():
    x = t([1.0])
    graph.increment_version(x)
    assert x._version == 1
    graph.increment_version([x, x])
    assert x._version == 3
    a = leaf(1.0)
    b = a.clone()
    y = (b * b).sum()
    graph.increment_version(b)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


# ---- checkpointing --------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("reentrant", [False, True])


def checkpoint(*args, **given):
    return W.utils.checkpoint.checkpoint(*args, **given)


@BOTH
def test_a_checkpoint_runs_the_function_twice(reentrant):
    calls = []

    def f(x, y):
        calls.append(1)
        return (x * y).exp().sum() + x.sum()

    a, b = leaf(0.5, 1.0), leaf(1.0, 2.0)
    checkpoint(f, a, b, use_reentrant=reentrant).backward()
    assert len(calls) == 2
    found = a.grad, b.grad
    a.grad = b.grad = None
    f(a, b).backward()
    assert near(found, [a.grad.tolist(), b.grad.tolist()])


@BOTH
def test_a_checkpoint_draws_the_same_random_numbers(reentrant):
    masks = []

    def f(x):
        mask = (W.rand(50) > 0.5).float()
        masks.append(mask.tolist())
        return (x * x * mask).sum()

    W.manual_seed(5)
    x = W.ones(50, requires_grad=True)
    y = checkpoint(f, x, use_reentrant=reentrant)
    between = W.rand(3).tolist()
    y.backward()
    after = W.rand(3).tolist()
    assert masks[0] == masks[1] and near(x.grad, [2 * value for value in masks[0]])
    assert between != after
    W.manual_seed(5)
    W.rand(50)
    assert [W.rand(3).tolist(), W.rand(3).tolist()] == [between, after], (
        "the second run takes nothing from the sequence"
    )


@BOTH
def test_a_checkpoint_may_draw_other_random_numbers(reentrant):
    masks = []

    def f(x):
        masks.append(W.rand(50).tolist())
        return (x * x).sum()

    x = W.ones(50, requires_grad=True)
    checkpoint(f, x, use_reentrant=reentrant, preserve_rng_state=False).backward()
    assert masks[0] != masks[1]


def test_a_checkpoint_keeps_nothing_that_is_saved():
    seen = []
    x = leaf(0.5)

    held = []

    class Keep(W.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            result = x * 2
            held.append(weakref.ref(result))
            ctx.save_for_backward(result)
            return result + 1

        @staticmethod
        def backward(ctx, g):
            (result,) = ctx.saved_tensors
            seen.append(result.tolist())
            return g * 2

    y = checkpoint(Keep.apply, x, use_reentrant=False)
    gc.collect()
    assert held[0]() is None
    y.sum().backward()
    assert seen == [[1.0]] and near(x.grad, [2.0])


def test_checkpoints_nest():
    x = leaf(0.3)
    inner = lambda x: checkpoint(lambda x: x.sin() * x, x, use_reentrant=False)
    y = checkpoint(lambda x: inner(x).exp() * inner(x), x, use_reentrant=False)
    y.sum().backward()
    found = x.grad.tolist()
    x.grad = None
    g = lambda x: x.sin() * x
    (g(x).exp() * g(x)).sum().backward()
    assert near(x.grad, found)


def test_a_checkpoint_with_kwargs_closures_and_structures():
    w = leaf(2.0)
    x = t([3.0])

    def f(x, scale=1.0, more=None):
        return {"out": x * w * scale, "more": more["a"] * w}

    out = checkpoint(f, x, scale=5.0, more={"a": t([7.0])}, use_reentrant=False)
    (out["out"] + out["more"]).sum().backward()
    assert near(w.grad, [22.0])


def test_second_derivatives_through_a_checkpoint():
    x = leaf(0.5)
    y = checkpoint(lambda x: (x.sin() ** 2).sum(), x, use_reentrant=False)
    (first,) = W.autograd.grad(y, x, create_graph=True)
    first.sum().backward()
    assert near([first, x.grad], [[0.8414709848], [2 * 0.5403023058]])


def test_backward_twice_through_a_checkpoint():
    x = leaf(0.5)
    y = checkpoint(lambda x: x.exp().sum(), x, use_reentrant=False)
    y.backward(retain_graph=True)
    y.backward()
    assert near(x.grad, [2 * 0.5**0 * 2.718281828**0.5])


def test_a_checkpoint_under_no_grad_and_without_gradients():
    calls = []
    f = lambda x: calls.append(1) or x * 2
    with W.no_grad():
        assert not checkpoint(f, leaf(1.0), use_reentrant=False).requires_grad
    assert not checkpoint(f, t([1.0]), use_reentrant=False).requires_grad
    assert len(calls) == 2


def test_a_function_that_does_something_else_the_second_time():
    runs = []

    def f(x):
        runs.append(1)
        return (x.exp() if len(runs) == 1 else x.reshape(2, 1).exp()).sum()

    y = checkpoint(f, leaf(1.0, 2.0), use_reentrant=False)
    with pytest.raises(RuntimeError, match="different metadata"):
        y.backward()
    more = []

    def g(x):
        more.append(1)
        return x.exp().sin().sum() if len(more) == 1 else x.exp().sum()

    y = checkpoint(g, leaf(1.0, 2.0), use_reentrant=False)
    with pytest.raises(RuntimeError, match="A different number of tensors was saved"):
        y.backward()


def test_reentrant_checkpoints_have_limits():
    with pytest.raises(ValueError, match="Unexpected keyword arguments"):
        checkpoint(lambda x, k: x, leaf(1.0), use_reentrant=True, k=1)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        checkpoint(lambda x: x * 2, t([1.0]), use_reentrant=True)


def test_context_fn():
    seen = []

    class Note:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            seen.append(self.name)

        def __exit__(self, *exception):
            pass

    y = checkpoint(
        lambda x: x.exp().sum(), leaf(1.0), use_reentrant=False, context_fn=lambda: (Note("first"), Note("second"))
    )
    y.backward()
    assert seen == ["first", "second"]


@BOTH
def test_checkpoint_sequential(reentrant):
    calls = []
    steps = [lambda x, k=k: calls.append(k) or (x * (k + 1)).sin() for k in range(4)]
    x = leaf(0.3, 0.4)
    W.utils.checkpoint.checkpoint_sequential(steps, 2, x, use_reentrant=reentrant).sum().backward()
    found = x.grad.tolist()
    assert sorted(calls) == [0, 0, 1, 1, 2, 3], "the last segment is not run again"
    x.grad = None
    y = x
    for step in steps:
        y = step(y)
    y.sum().backward()
    assert near(x.grad, found)


@only_webtorch("PyTorch warns and takes the reentrant form")
def test_the_default_is_not_reentrant():
    w = leaf(2.0)
    checkpoint(lambda x: (x * w).sum(), t([3.0])).backward()
    assert near(w.grad, [3.0])


def test_the_page_example_of_checkpointing():
    """A network of many layers whose middle is checkpointed has the gradients of the network."""
    W.manual_seed(0)
    layers = [W.nn.Linear(4, 4) for _ in range(4)]
    x = W.randn(3, 4)

    def forward(x, checkpointed):
        for layer in layers:
            step = lambda v, layer=layer: layer(v).tanh()
            x = checkpoint(step, x, use_reentrant=False) if checkpointed else step(x)
        return x.sum()

    forward(x, True).backward()
    found = [layer.weight.grad.tolist() for layer in layers]
    for layer in layers:
        layer.zero_grad()
    forward(x, False).backward()
    assert near([layer.weight.grad for layer in layers], found)
