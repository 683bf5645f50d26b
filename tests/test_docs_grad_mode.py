"""The claims of the founding pages about the gradient modes that are no examples (those are in test_docs_examples): what holds
in every mode, how modes nest and end, which threads and tasks see them, what is kept in memory, what inference tensors
are. The page that says so is named first in each docstring, in our words."""

import asyncio
import gc
import inspect
import threading
import weakref

import pytest
from lib import W, near, only_webtorch


def t(values, **options):
    return W.tensor(values, **options)


def leaf(*values):
    return t(list(values), requires_grad=True)


MODES = {
    "no_grad": (lambda: W.no_grad(), False),
    "enable_grad": (lambda: W.enable_grad(), True),
    "set_grad_enabled(False)": (lambda: W.set_grad_enabled(False), False),
    "set_grad_enabled(True)": (lambda: W.set_grad_enabled(True), True),
    "inference_mode": (lambda: W.inference_mode(), False),
}
EVERY = pytest.mark.parametrize("mode", MODES)
FORMS = {"no_grad": False, "enable_grad": True, "inference_mode": False}


# ---- torch.js: grad_mode --------------------------------------------------------------------------------------------


def test_the_result_of_the_function_is_returned():
    """grad_mode: the call gives back what the function gave."""
    marker = object()
    for mode in (False, True):
        assert W.grad_mode(mode, lambda: marker) is marker


def test_the_mode_is_set_and_put_back():
    """grad_mode: in force within the function, and only there."""
    for before in (False, True):
        with W.set_grad_enabled(before):
            for mode in (False, True):
                assert W.grad_mode(mode, W.is_grad_enabled) is mode
                assert W.is_grad_enabled() is before


def test_any_depth_of_nesting():
    """grad_mode, enable_grad: scopes nest as deep as one likes; the innermost counts; each gives way to the one around it."""
    seen = []

    def descend(depth):
        if depth:
            mode = bool(depth % 3)
            W.grad_mode(mode, lambda: descend(depth - 1))
            seen.append((mode, W.is_grad_enabled()))

    W.enable_grad(lambda: descend(40))
    assert len(seen) == 40 and W.is_grad_enabled()
    # what is in force after an inner scope is the mode around it
    assert [now for _, now in seen] == [*(bool(depth % 3) for depth in range(2, 41)), True]


def test_a_scope_overrides_the_one_around_it():
    """grad_mode: the flag decides, whatever the parent says."""
    assert W.no_grad(lambda: W.grad_mode(True, W.is_grad_enabled)) is True
    assert W.enable_grad(lambda: W.grad_mode(False, W.is_grad_enabled)) is False


def test_it_goes_with_other_context_managers():
    """grad_mode: safe to combine with other scopes, in any order."""
    import contextlib

    order = []

    @contextlib.contextmanager
    def other():
        order.append(W.is_grad_enabled())
        yield
        order.append(W.is_grad_enabled())

    with contextlib.ExitStack() as stack:
        stack.enter_context(W.no_grad())
        stack.enter_context(other())
        stack.enter_context(W.enable_grad())
        stack.enter_context(other())
    assert order == [False, True, True, False] and W.is_grad_enabled()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("form", FORMS)
def test_the_mode_is_put_back_whatever_is_thrown(form, error):
    """grad_mode, enable_grad: as `finally` does it, also for what is no ordinary exception."""

    def body():
        raise error

    with W.set_grad_enabled(not FORMS[form]):
        with pytest.raises(error):
            getattr(W, form)(body)
        assert W.is_grad_enabled() is not FORMS[form] and not W.is_inference_mode_enabled()
    assert W.is_grad_enabled()


def test_set_grad_enabled_lasts_and_grad_mode_does_not():
    """grad_mode: the one affects all code that follows, the other ends with its function."""
    W.set_grad_enabled(False)
    try:
        assert not W.is_grad_enabled()
        W.grad_mode(True, lambda: None)
        assert not W.is_grad_enabled()
    finally:
        W.set_grad_enabled(True)
    assert W.is_grad_enabled()


def test_values_do_not_depend_on_the_mode():
    """Chapter: computing is the operator's job, recording autograd's: the numbers are the same in every mode."""
    x = leaf(0.5, 1.5, -2.0)
    f = lambda: ((x.exp() * x).cumsum(0).softmax(0) @ x).tolist()
    expected = f()
    for make, _ in MODES.values():
        with make():
            assert f() == expected


# ---- memory ---------------------------------------------------------------------------------------------------------


def values_alive(mode) -> int:
    """How many of 10 intermediate values of a chain are alive at its end."""
    references = []
    x = leaf(0.5, 0.25)
    with mode():
        y = x
        for _ in range(10):
            y = y.exp()
            references.append(weakref.ref(y._storage))
        gc.collect()
        return sum(reference() is not None for reference in references)


@only_webtorch("PyTorch makes a new handle of the memory at each look")
def test_recording_keeps_intermediate_values_and_no_grad_does_not():
    """grad_mode, reference, chapter: recording costs memory, because what backward needs is kept."""
    assert values_alive(W.enable_grad) == 10
    assert values_alive(W.no_grad) == 1
    assert values_alive(W.inference_mode) == 1


def test_no_graph_is_kept_without_recording():
    """Chapter: nothing of the computation hangs on the result."""
    x = leaf(1.0)
    for mode in (W.no_grad, W.inference_mode):
        with mode():
            y = x.exp().sin()
        assert y.grad_fn is None and y.is_leaf and not y.requires_grad


# ---- torch.js: enable_grad ------------------------------------------------------------------------------------------


@only_webtorch("PyTorch has no callable form")
@pytest.mark.parametrize("form", FORMS)
def test_an_async_function_is_awaited_in_the_mode(form):
    """enable_grad: the function may be sync or async; the mode holds while its body runs, also after an `await`."""

    async def body():
        before = W.is_grad_enabled()
        await asyncio.sleep(0)
        return before, W.is_grad_enabled()

    async def other():
        seen = []
        for _ in range(3):
            seen.append(W.is_grad_enabled())
            await asyncio.sleep(0)
        return seen

    async def main():
        with W.set_grad_enabled(not FORMS[form]):
            first, second = await asyncio.gather(getattr(W, form)(body), other())
            assert first == (FORMS[form],) * 2 and second == [not FORMS[form]] * 3
            assert W.is_grad_enabled() is not FORMS[form]

    asyncio.run(main())


def test_no_grad_inside_enable_grad_inside_no_grad():
    """enable_grad: inside no_grad -> enable_grad -> no_grad, gradients are off; outwards they alternate."""
    x = leaf(1.0)
    seen = []
    with W.no_grad():
        with W.enable_grad():
            with W.no_grad():
                seen.append((x * 2).requires_grad)
            seen.append((x * 2).requires_grad)
        seen.append((x * 2).requires_grad)
    assert seen == [False, True, False]


def test_enable_grad_by_default_changes_nothing():
    """Chapter: where recording is on anyway, it does nothing."""
    x = leaf(2.0)
    with W.enable_grad():
        y = x * x
    y.sum().backward()
    assert near(x.grad, [4.0]) and W.is_grad_enabled()


def test_backward_in_a_mode_of_its_own():
    """enable_grad: the inner part's `backward` works although it is called where recording is off."""
    x = leaf(1.0, 2.0, 3.0)
    with W.no_grad():
        with W.enable_grad():
            z = x.pow(2)
        z.backward(W.ones(3))
    assert near(x.grad, [2.0, 4.0, 6.0])


# ---- PyTorch's grad_mode.py -----------------------------------------------------------------------------------------


@EVERY
def test_other_threads_do_not_see_the_mode(mode):
    """reference: each mode is local to its thread."""
    make, _ = MODES[mode]
    seen = []

    def other():
        seen.append((W.is_grad_enabled(), W.is_inference_mode_enabled(), (leaf(1.0) * 2).requires_grad))

    with make():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [(True, False, True)]
    W.set_grad_enabled(True)


@EVERY
def test_every_mode_is_a_decorator(mode):
    """reference: also for functions, methods and generators, and the function keeps its name, text and signature."""
    make, expected = MODES[mode]

    @make()
    def f(x, *, scale=2):
        """What it does."""
        return (x * scale).requires_grad

    assert f(leaf(1.0)) is expected and f.__name__ == "f" and f.__doc__ == "What it does."
    assert str(inspect.signature(f)) == "(x, *, scale=2)"

    class Model:
        @make()
        def forward(self, x):
            return (x * 2).requires_grad

    assert Model().forward(leaf(1.0)) is expected

    @make()
    def generate():
        for _ in range(2):
            yield W.is_grad_enabled()

    with W.set_grad_enabled(not expected):
        found = []
        for value in generate():
            found.append((value, W.is_grad_enabled()))
        assert found == [(expected, not expected)] * 2
    assert W.is_grad_enabled()


def test_recursion_through_a_decorated_function():
    """reference: a new scope for each call, however it is nested."""

    @W.no_grad()
    def f(depth):
        return W.is_grad_enabled() or (depth and f(depth - 1))

    assert not f(50) and W.is_grad_enabled()


def test_clone_and_text():
    """reference: each mode can be copied; a flag shows its state."""
    for make, expected in MODES.values():
        with make() as _, make().clone():
            assert W.is_grad_enabled() is expected
        W.set_grad_enabled(True)
    mode = W.set_grad_enabled(False)
    W.set_grad_enabled(True)
    assert str(mode).endswith("set_grad_enabled(mode=False)") and repr(mode) == str(mode)


@EVERY
def test_forward_mode_heeds_no_mode_but_inference(mode):
    """reference: these modes do not apply to forward-mode differentiation; only entering inference mode turns it off."""
    make, _ = MODES[mode]
    fa = W.autograd.forward_ad
    with fa.dual_level():
        dual = fa.make_dual(t([3.0]), t([1.0]))
        with make():
            tangent = fa.unpack_dual(dual * dual).tangent
        if mode == "inference_mode":
            assert tangent is None
        else:
            assert near(tangent, [6.0])
    W.set_grad_enabled(True)


def test_inference_mode_is_not_evaluation_mode():
    """reference: dropout and running statistics keep to the module's own mode."""
    model = W.nn.Sequential(W.nn.Linear(2, 2), W.nn.Dropout(0.5))
    with W.inference_mode():
        assert model.training
        model(W.ones(1, 2))
    assert model.training
    with W.inference_mode():
        model.eval()
        assert near(model(W.ones(1, 2)), model[0](W.ones(1, 2)).tolist())
    assert not model.training


def test_inference_mode_by_a_flag():
    """reference: the argument turns it on or off; off within on gives normal tensors again."""
    with W.inference_mode(False):
        assert not W.is_inference_mode_enabled() and (leaf(1.0) * 2).requires_grad
    with W.inference_mode(), W.inference_mode(False):
        x = leaf(1.0)
        y = x * 2
        assert y.requires_grad and not y.is_inference()
    y.sum().backward()
    assert near(x.grad, [2.0])


def test_multithreading_and_view_replay_flags():
    """reference: both work as a call and as a block, and end with their block."""
    names = W.autograd.grad_mode
    before = leaf(1.0)
    for flag in (names.set_multithreading_enabled, names._force_original_view_tracking):
        for mode in (True, False):
            with flag(mode):
                (before * 2).sum().backward()
        with flag(True):
            pass
    names.set_multithreading_enabled(True)
    names._force_original_view_tracking(False)
    assert near(before.grad, [8.0])


def test_view_replay_gives_the_same_gradients():
    """reference: whichever way a written view is rebuilt, values and gradients are the same."""
    results = []
    for replay in (False, True):
        with W.autograd.grad_mode._force_original_view_tracking(replay):
            x = leaf(1.0, 2.0, 3.0, 4.0)
            base = x * 1.0
            view = base.view(2, 2)[1]
            base.mul_(3.0)
            (view * view).sum().backward()
            results.append((view.tolist(), x.grad.tolist()))
    assert results[0] == results[1] == ([9.0, 12.0], [0.0, 0.0, 54.0, 72.0])


def test_version_counters_count_writes():
    """reference: every write to a tensor or to a view of it raises its counter, by one."""
    x = t([1.0, 2.0])
    assert x._version == 0
    x.add_(1)
    x[0] = 5.0
    x.view(2).mul_(2)
    assert x._version == 3 and x.view(2)._version == 3 and x.clone()._version == 0
    x.tolist(), x * 2
    assert x._version == 3, "reading counts nothing"


def test_several_version_counters_are_put_back():
    """reference: the internal scope takes one tensor or a tuple of them, and each gets its own number back."""
    a, b = t([1.0]), t([1.0])
    b.add_(1)
    with W.autograd.grad_mode._unsafe_preserve_version_counter((a, b)):
        a.add_(1)
        b.add_(1).add_(1)
    assert (a._version, b._version) == (0, 1) and near([a, b], [[2.0], [4.0]])


# ---- the chapter ----------------------------------------------------------------------------------------------------


def test_what_follows_from_something_untracked_is_untracked():
    """Chapter: once a tensor is not tracked, nothing computed from it alone is, inside the mode or after it."""
    w, x = leaf(2.0), t([3.0])
    with W.no_grad():
        y = w * x
    z = (y * 2).exp()
    assert not z.requires_grad
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad and does not have a grad_fn"):
        z.sum().backward()
    (z * w).sum().backward()
    assert w.grad is not None, "what joins later is tracked from there on"


def test_the_mode_leaves_leaves_alone():
    """Chapter: requires_grad says what a tensor may do, the mode what is done; neither changes the other."""
    x = leaf(1.0)
    for make, _ in MODES.values():
        with make():
            assert x.requires_grad and x.is_leaf
        W.set_grad_enabled(True)
    (x * 2).sum().backward()
    assert near(x.grad, [2.0])


def test_parameters_are_updated_in_place_under_no_grad():
    """Chapter: what parameter updates need: a write to a leaf, which is an error while recording."""
    w = leaf(1.0)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        w.sub_(0.1)
    with W.no_grad():
        w.sub_(0.5)
    assert near(w, [0.5]) and w.requires_grad and w.is_leaf


def test_three_commitments():
    """Chapter: default records, no_grad pauses (and can be taken up again), inference_mode never records."""
    x = leaf(1.0)
    default = x * 2
    with W.no_grad():
        paused = x * 2
    with W.inference_mode():
        never = x * 2
    assert [value.requires_grad for value in (default, paused, never)] == [True, False, False]
    paused.requires_grad_()
    with pytest.raises(RuntimeError, match="Setting requires_grad=True on inference tensor outside InferenceMode"):
        never.requires_grad_()
    assert [value.is_inference() for value in (default, paused, never)] == [False, False, True]


# ---- libtorch's guards ----------------------------------------------------------------------------------------------


def test_inference_tensors_by_where_they_are_allocated():
    """guards: a tensor that is no view is one exactly if its memory was made inside the mode."""
    outside = W.ones(2)
    with W.inference_mode():
        made = [W.ones(2), outside + 1, outside.clone(), W.zeros_like(outside), t([1.0])]
        views = [outside.view(2), outside[0], outside.expand(2, 2)]
        written = outside.add_(1)
    assert all(value.is_inference() for value in made)
    assert not any(value.is_inference() for value in views) and not written.is_inference()
    assert written is outside


def test_views_of_inference_tensors_everywhere():
    """guards: a view is an inference tensor exactly if what it is a view of is one, inside the mode and outside."""
    with W.inference_mode():
        x = W.ones(2, 3)
    for view in (x[0], x.t(), x.view(3, 2), x.expand(4, 2, 3), x[:, 1:], x.detach()):
        assert view.is_inference()


def test_inference_tensors_have_no_counter_and_writes_count_nothing():
    """guards: no version counter, so reading it raises; writes inside the mode bump nothing."""
    with W.inference_mode():
        x = W.ones(2)
        x.add_(1).mul_(3)
        x[0] = 1.0
    assert near(x, [1.0, 6.0])
    with pytest.raises(RuntimeError, match="Inference tensors do not track version counter."):
        _ = x._version


@pytest.mark.parametrize("write", ["add_", "zero_", "copy_", "setitem", "view"])
def test_inference_tensors_are_immutable_outside(write):
    """guards: every kind of write outside the mode raises; a clone made outside is a normal tensor."""
    with W.inference_mode():
        x = W.ones(3)
    writes = {
        "add_": lambda x: x.add_(1), "zero_": lambda x: x.zero_(), "copy_": lambda x: x.copy_(t([1.0, 2.0, 3.0])),
        "setitem": lambda x: x.__setitem__(0, 5.0), "view": lambda x: x[1:].mul_(2),
    }  # fmt: skip
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode is not allowed"):
        writes[write](x)
    clone = x.clone()
    assert not clone.is_inference()
    writes[write](clone)
    clone.requires_grad_()


def test_functional_operations_on_inference_tensors_outside():
    """guards: computing with them outside is fine as long as nothing has to be saved; the results are normal tensors."""
    with W.inference_mode():
        x = W.ones(3)
    assert not (x + 1).is_inference() and not (x * 2).requires_grad
    w = leaf(1.0, 2.0, 3.0)
    (w + x).sum().backward()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        _ = w * x
    (w * x.clone()).sum().backward()
    assert near(w.grad, [2.0, 2.0, 2.0])


def test_normal_tensors_inside_the_mode():
    """guards: they may be read, viewed and written; nothing is recorded although they require grad; counters count."""
    x = leaf(1.0, 2.0)
    y = x * 1.0
    with W.inference_mode():
        assert not (x * 2).requires_grad
        before = y._version
        y.mul_(2)
        assert y._version == before + 1 and y.requires_grad
    assert not y.is_inference()


def test_inference_state_is_put_back_after_errors():
    """guards: nested guards with different states end one by one, however they end."""
    with pytest.raises(ZeroDivisionError):
        with W.inference_mode():
            with W.inference_mode(False):
                with W.inference_mode():
                    assert W.is_inference_mode_enabled()
                assert not W.is_inference_mode_enabled()
                _ = 1 / 0
    assert not W.is_inference_mode_enabled() and W.is_grad_enabled()
    assert not W.ones(1).is_inference()


def test_no_grad_does_not_affect_creation():
    """guards: inference mode changes how tensors are made, no_grad does not."""
    with W.no_grad():
        x = W.ones(2)
        y = x * 2
    assert not x.is_inference() and not y.is_inference() and y._version == 0
    y.add_(1)
    y.requires_grad_()
