"""The gradient modes without tensors: every form, nesting, every way out of a scope, threads and tasks.

PROGRAMS run on webtorch and on PyTorch and are compared with the same written-down answer. The tests after the table
are about what PyTorch has not: the callable forms, coroutines, and bodies that keep their scopes while suspended.
"""

import asyncio
import contextvars
import functools
import gc
import importlib
import inspect
import itertools
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from types import SimpleNamespace

import pytest

import webtorch
from webtorch.grad_mode import (
    current,
    enable_grad,
    force_original_view_tracking,
    grad_mode,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    is_multithreading_enabled,
    is_view_replay_enabled,
    no_grad,
    recording,
    set_grad_enabled,
    set_multithreading_enabled,
    unsafe_preserve_version_counter,
)

ours = importlib.import_module("webtorch.grad_mode")
DEFAULTS = (True, False, True, False)


def modes():
    return is_grad_enabled(), is_inference_mode_enabled(), is_multithreading_enabled(), is_view_replay_enabled()


@pytest.fixture(autouse=True)
def modes_come_back():
    """Each test must leave the modes as it found them, and is stopped from spoiling the next one if it does not."""
    before = modes()
    state = current()
    yield
    after = modes()
    ours._state.set(state)
    assert after == before == DEFAULTS


# Programs for both libraries ------------------------------------------------------------------------------------------


def webtorch_names():
    return SimpleNamespace(**{name: getattr(ours, name) for name in ours.__all__})


def torch_names():
    torch = pytest.importorskip("torch")
    from torch.autograd import grad_mode as torch_modes

    return SimpleNamespace(
        no_grad=torch.no_grad,
        enable_grad=torch.enable_grad,
        set_grad_enabled=torch.set_grad_enabled,
        inference_mode=torch.inference_mode,
        is_grad_enabled=torch.is_grad_enabled,
        is_inference_mode_enabled=torch.is_inference_mode_enabled,
        set_multithreading_enabled=torch_modes.set_multithreading_enabled,
        force_original_view_tracking=torch_modes._force_original_view_tracking,
        is_multithreading_enabled=torch._C._is_multithreading_enabled,
        is_view_replay_enabled=torch._C._is_view_replay_enabled,
    )


PROGRAMS = {}


def program(*answer):
    """Register a generator of observations, written once and run on both libraries, with what it must observe."""

    def register(function):
        PROGRAMS[function.__name__] = (function, list(answer))
        return function

    return register


@program(True, False, True)
def block(m):
    yield m.is_grad_enabled()
    with m.no_grad():
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()


@program(False, True, False, False, True)
def nested_blocks(m):
    with m.no_grad():
        yield m.is_grad_enabled()
        with m.enable_grad():
            yield m.is_grad_enabled()
            with m.no_grad():
                yield m.is_grad_enabled()
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()


@program(False, True, True, False, True)
def flag_in_a_block(m):
    with m.no_grad():
        yield m.is_grad_enabled()
        m.set_grad_enabled(True)
        yield m.is_grad_enabled()
        with m.set_grad_enabled(True):
            yield m.is_grad_enabled()
        m.set_grad_enabled(False)
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()


@program(False, False, True, True)
def flag_is_set_at_the_call_and_put_back_by_the_block(m):
    scope = m.set_grad_enabled(False)
    yield m.is_grad_enabled()
    with scope:
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()
    with m.no_grad():
        with scope:
            pass
        yield m.is_grad_enabled()


@program(False, True, False, True)
def base_flag_under_blocks(m):
    m.set_grad_enabled(False)
    yield m.is_grad_enabled()
    with m.enable_grad():
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()
    m.set_grad_enabled(True)
    yield m.is_grad_enabled()


@program((False, True), (True, True), (True, False), (False, True), (False, True), (True, False))
def inference_blocks(m):
    def both():
        return m.is_grad_enabled(), m.is_inference_mode_enabled()

    with m.inference_mode():
        yield both()
        with m.enable_grad():
            yield both()
        with m.inference_mode(False):
            yield both()
            with m.inference_mode(True):
                yield both()
        yield both()
    yield both()


@program((True, True), (False, True), (False, False), (True, False), (False, False))
def flag_and_no_grad_in_inference(m):
    def both():
        return m.is_grad_enabled(), m.is_inference_mode_enabled()

    with m.inference_mode():
        m.set_grad_enabled(True)
        yield both()
        with m.no_grad():
            yield both()
    with m.no_grad():
        yield both()
        with m.inference_mode(False):
            yield both()
        yield both()


@program((1, False), "f", "text", True, (2, True), False)
def decorated_functions(m):
    @m.no_grad()
    def f(x, *, extra=None):
        "text"
        return x, m.is_grad_enabled()

    yield f(1)
    yield f.__name__
    yield f.__doc__
    yield m.is_grad_enabled()

    @m.enable_grad()
    def g(x):
        return x, m.is_grad_enabled()

    with m.no_grad():
        yield g(2)
        yield m.is_grad_enabled()


@program(True, False, True)
def decorated_by_the_flag(m):
    @m.set_grad_enabled(False)
    def f():
        return m.is_grad_enabled()

    yield m.is_grad_enabled()
    yield f()
    yield m.is_grad_enabled()


@program((3, False, True), (False, True), 5, (True, False))
def decorated_by_inference_mode(m):
    class Model:
        def __init__(self):
            self.value = 3

        @m.inference_mode()
        def forward(self):
            return self.value, m.is_grad_enabled(), m.is_inference_mode_enabled()

        @m.no_grad()
        def __call__(self):
            return self.value + 2

    model = Model()
    yield model.forward()
    yield m.inference_mode(True)(lambda: (m.is_grad_enabled(), m.is_inference_mode_enabled()))()
    yield model()
    yield m.is_grad_enabled(), m.is_inference_mode_enabled()


@program(1, 1, 2, 6, 24, True)
def decorated_recursion(m):
    @m.no_grad()
    def factorial(n):
        assert not m.is_grad_enabled()
        return 1 if n == 0 else n * factorial(n - 1)

    yield from (factorial(n) for n in range(5))
    yield m.is_grad_enabled()


@program("ValueError", True, "KeyboardInterrupt", True, "GeneratorExit", True, "SystemExit", True)
def exceptions_restore(m):
    for kind in (ValueError, KeyboardInterrupt, GeneratorExit, SystemExit):
        try:
            with m.no_grad(), m.enable_grad(), m.inference_mode(), m.set_grad_enabled(True):
                raise kind
        except BaseException as error:
            yield type(error).__name__
        yield m.is_grad_enabled() and not m.is_inference_mode_enabled()


@program("ValueError", True, "KeyboardInterrupt", True)
def exceptions_in_decorated_functions(m):
    for kind in (ValueError, KeyboardInterrupt):

        @m.no_grad()
        def f(kind=kind):
            raise kind

        try:
            f()
        except BaseException as error:
            yield type(error).__name__
        yield m.is_grad_enabled()


@program(True, 0, False, True, (1, "sent"), False, True, "thrown", True, ("returned", 7), True)
def decorated_generators(m):
    @m.no_grad()
    def numbers():
        got = yield 0, m.is_grad_enabled()
        try:
            yield (1, got), m.is_grad_enabled()
        except KeyError:
            yield "thrown", m.is_grad_enabled()
        return 7

    generator = numbers()
    yield m.is_grad_enabled()
    value, inside = next(generator)
    yield value
    yield inside
    yield m.is_grad_enabled()
    value, inside = generator.send("sent")
    yield value
    yield inside
    yield m.is_grad_enabled()
    value, inside = generator.throw(KeyError())
    yield value
    yield m.is_grad_enabled()
    try:
        next(generator)
    except StopIteration as stop:
        yield "returned", stop.value
    yield m.is_grad_enabled()


@program(False, True, [False], True, [(False, True)], (True, False))
def generators_closed(m):
    seen = []

    @m.no_grad()
    def closes():
        try:
            yield m.is_grad_enabled()
        finally:
            seen.append(m.is_grad_enabled())

    generator = closes()
    yield next(generator)
    yield m.is_grad_enabled()
    generator.close()
    yield seen
    yield m.is_grad_enabled()

    left = []

    @m.inference_mode()
    def abandoned():
        try:
            yield
        finally:
            left.append((m.is_grad_enabled(), m.is_inference_mode_enabled()))

    generator = abandoned()
    next(generator)
    del generator
    gc.collect()
    yield left
    yield m.is_grad_enabled(), m.is_inference_mode_enabled()


@program([0, 1, 10, 11], "inner value", True)
def generators_delegate(m):
    @m.no_grad()
    def inner():
        assert not m.is_grad_enabled()
        yield 0
        yield 1
        return "inner value"

    values = []

    @m.enable_grad()
    def outer():
        value = yield from inner()
        assert m.is_grad_enabled()
        yield 10
        yield 11
        return value

    generator = outer()
    while True:
        try:
            values.append(next(generator))
        except StopIteration as stop:
            yield values
            yield stop.value
            break
    yield m.is_grad_enabled()


@program("RuntimeError", True)
def generator_that_ignores_close(m):
    @m.no_grad()
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = stubborn()
    next(generator)
    try:
        generator.close()
    except RuntimeError as error:
        yield type(error).__name__
    yield m.is_grad_enabled()


@program((True, True), True, True)
def kinds_are_kept(m):
    @m.no_grad()
    def generator():
        yield 1

    @m.no_grad()
    def plain():
        pass

    yield inspect.isgeneratorfunction(generator), inspect.isgeneratorfunction(m.enable_grad()(generator))
    yield not inspect.isgeneratorfunction(plain)
    yield plain.__wrapped__.__name__ == "plain"


@program([True, False, True], False, True)
def suspended_block_shows_in_the_caller(m):
    """A `with` in an undecorated generator is seen by its caller: PyTorch documents the decorator for that."""

    def leaks():
        yield m.is_grad_enabled()
        with m.no_grad():
            yield m.is_grad_enabled()
        yield m.is_grad_enabled()

    yield list(leaks())
    generator = leaks()
    next(generator)
    next(generator)
    yield m.is_grad_enabled()
    generator.close()
    yield m.is_grad_enabled()


@program(False, True, True)
def block_left_while_something_inside_is_open(m):
    def leaks():
        with m.no_grad():
            yield

    generator = leaks()
    with m.enable_grad():
        next(generator)
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()
    generator.close()
    yield m.is_grad_enabled()


@program((False, False), False, (True, True), True)
def multithreading(m):
    """Independent of recording; inference mode turns it off."""

    def both():
        return m.is_grad_enabled(), m.is_multithreading_enabled()

    with m.no_grad():
        m.set_multithreading_enabled(False)
        yield both()
    yield m.is_multithreading_enabled()
    m.set_multithreading_enabled(True)
    with m.inference_mode(), m.inference_mode(False):
        yield both()
    with m.set_multithreading_enabled(False):
        m.set_grad_enabled(True)
    yield m.is_multithreading_enabled()


@program((False, False), (True, False), (False, False), True)
def flags_pass_through_blocks_of_other_flags(m):
    """A flag set inside a block lasts past the block's end unless the block is about that flag."""

    def both():
        return m.is_grad_enabled(), m.is_multithreading_enabled()

    with m.set_multithreading_enabled(False):
        m.set_grad_enabled(False)
        yield both()
        with m.enable_grad():
            yield both()
        yield both()
    yield not m.is_grad_enabled() and m.is_multithreading_enabled()
    m.set_grad_enabled(True)


@program(False, True, False, False, False)
def view_replay(m):
    yield m.is_view_replay_enabled()
    with m.force_original_view_tracking(True):
        yield m.is_view_replay_enabled()
        with m.force_original_view_tracking(False):
            yield m.is_view_replay_enabled()
        with m.inference_mode():
            yield m.is_view_replay_enabled()
    yield m.is_view_replay_enabled()


@program(None, None, None, None)
def blocks_bind_none(m):
    for scope in (m.no_grad(), m.enable_grad(), m.set_grad_enabled(True), m.inference_mode()):
        with scope as bound:
            yield bound


@program(True, False, False, True)
def clones(m):
    scope = m.inference_mode(False)
    yield not scope.clone().mode and scope.clone() is not scope
    with m.no_grad().clone():
        yield m.is_grad_enabled()
    with m.set_grad_enabled(False).clone():
        yield m.is_grad_enabled()
    m.set_grad_enabled(True)
    with m.enable_grad().clone():
        yield m.is_grad_enabled()


@program("TypeError", "TypeError", "TypeError", "TypeError", True)
def flags_want_bools(m):
    for wrong in (1, None, "no", 0.0):
        try:
            m.set_grad_enabled(wrong)
        except TypeError as error:
            yield type(error).__name__
    yield m.is_grad_enabled()


@program([True, True, False], False)
def threads_start_afresh(m):
    seen = []

    def work():
        seen.append(m.is_grad_enabled())
        seen.append(m.is_multithreading_enabled())
        m.set_grad_enabled(False)
        seen.append(m.is_grad_enabled())

    with m.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        yield seen
        yield m.is_grad_enabled()


@program("FutureWarning", ("Thing", False, 4), True)
def decorated_class(m):
    class Thing:
        def __init__(self, x):
            self.x = x
            self.grad = m.is_grad_enabled()

        def later(self):
            return m.is_grad_enabled()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make = m.no_grad()(Thing)
    yield caught[0].category.__name__
    thing = make(4)
    yield type(thing).__name__, thing.grad, thing.x
    yield thing.later()


@program(False, True)
def exit_stack(m):
    with ExitStack() as stack:
        stack.enter_context(m.enable_grad())
        stack.enter_context(m.no_grad())
        yield m.is_grad_enabled()
    yield m.is_grad_enabled()


@program(200, True)
def deep_blocks(m):
    with ExitStack() as stack:
        agreed = 0
        for depth in range(200):
            stack.enter_context(m.no_grad() if depth % 3 else m.enable_grad())
            agreed += m.is_grad_enabled() == (depth % 3 == 0)
        yield agreed
    yield m.is_grad_enabled()


@pytest.mark.parametrize("names", [webtorch_names, torch_names], ids=["webtorch", "torch"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, names):
    function, answer = PROGRAMS[name]
    m = names()
    try:
        assert list(function(m)) == answer
        assert m.is_grad_enabled() and not m.is_inference_mode_enabled()
        assert m.is_multithreading_enabled() and not m.is_view_replay_enabled()
    finally:
        m.set_grad_enabled(True)
        m.set_multithreading_enabled(True)


def test_every_nesting_of_three_blocks_agrees_with_torch():
    torch = pytest.importorskip("torch")

    def scopes(m):
        return (
            m.no_grad,
            m.enable_grad,
            lambda: m.set_grad_enabled(False),
            lambda: m.set_grad_enabled(True),
            m.inference_mode,
            lambda: m.inference_mode(False),
        )

    def trace(m, chosen):
        seen = []
        with ExitStack() as stack:
            for index in chosen:
                stack.enter_context(scopes(m)[index]())
                seen.append((m.is_grad_enabled(), m.is_inference_mode_enabled()))
            for _ in chosen:
                stack._exit_callbacks.pop()[1](None, None, None)
                seen.append((m.is_grad_enabled(), m.is_inference_mode_enabled()))
        return seen

    for chosen in itertools.product(range(6), repeat=3):
        assert trace(ours, chosen) == trace(torch, chosen), chosen


# The callable form ----------------------------------------------------------------------------------------------------


def test_callable_forms_run_at_once_and_return_the_result():
    assert no_grad(modes) == (False, False, True, False)
    assert enable_grad(modes) == DEFAULTS
    assert grad_mode(False, modes) == (False, False, True, False)
    assert grad_mode(True, modes) == DEFAULTS
    assert inference_mode(modes) == (False, True, False, False)
    marker = object()
    assert no_grad(lambda: marker) is marker
    assert no_grad(lambda x=1, *rest, key=2, **more: (x, rest, key, more)) == (1, (), 2, {})
    assert no_grad(functools.partial(int, "12")) == 12
    assert no_grad([3, 1].copy) == [3, 1]


def test_callable_forms_nest_and_the_innermost_wins():
    def inner():
        return is_grad_enabled(), no_grad(is_grad_enabled), is_grad_enabled()

    seen = grad_mode(False, lambda: [is_grad_enabled(), *enable_grad(inner), is_grad_enabled()])
    assert seen == [False, True, False, True, False]


@pytest.mark.parametrize("run", [no_grad, enable_grad, functools.partial(grad_mode, True), inference_mode])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, StopIteration])
def test_callable_forms_restore_on_any_exception(run, kind):
    def fails():
        raise kind("x")

    with no_grad():
        before = modes()
        with pytest.raises(kind, match="x"):
            run(fails)
        assert modes() == before


def test_control_c_restores():
    """A real interrupt signal, which arrives between two steps of the body."""

    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where tests run in the background

    def interrupted():
        signal.raise_signal(signal.SIGINT)
        while True:
            pass

    def generator():
        yield 1
        interrupted()

    for run in (
        lambda: no_grad(interrupted),
        no_grad()(interrupted),
        lambda: list(no_grad()(generator)()),
        lambda: list(inference_mode(generator)),
    ):
        with pytest.raises(KeyboardInterrupt):
            run()
        assert modes() == DEFAULTS
    with pytest.raises(KeyboardInterrupt):
        with inference_mode(), enable_grad():
            interrupted()


@pytest.mark.parametrize("mode", [False, True])
def test_callable_scope_is_read_only(mode):
    def body():
        set_grad_enabled(not mode)
        first = is_grad_enabled()
        set_grad_enabled(mode)
        return first, is_grad_enabled()

    for outer in (False, True):
        with set_grad_enabled(outer):
            assert grad_mode(mode, body) == (mode, mode)
            assert is_grad_enabled() is outer


def test_blocks_nest_in_a_read_only_scope():
    def body():
        seen = []
        with set_grad_enabled(False):
            seen.append(is_grad_enabled())
            set_grad_enabled(True)  # this block is not read-only
            seen.append(is_grad_enabled())
        seen.append(is_grad_enabled())
        with no_grad():
            seen.append(is_grad_enabled())
        seen.append(set_grad_enabled(False)(is_grad_enabled)())
        seen.append(is_grad_enabled())
        scope = set_grad_enabled(False)
        seen.append(is_grad_enabled())
        with scope:
            seen.append(is_grad_enabled())
        return [*seen, is_grad_enabled()]

    assert grad_mode(True, body) == [False, True, True, False, False, True, True, False, True]
    assert is_grad_enabled()


def test_block_of_another_flag_keeps_the_scope_read_only():
    def body():
        with set_multithreading_enabled(False):
            set_grad_enabled(True)
            return is_grad_enabled()

    assert no_grad(body) is False


def test_flag_made_outside_does_not_turn_recording_on_inside_the_callable_inference_mode():
    scope = set_grad_enabled(False)  # made where recording was on, so its block ends with recording on

    def body():
        with no_grad():
            with scope:
                pass
            return is_grad_enabled()

    set_grad_enabled(True)
    assert inference_mode(body) is False


def test_read_only_is_about_recording_only():
    no_grad(lambda: set_multithreading_enabled(False))
    assert modes() == (True, False, False, False)
    set_multithreading_enabled(True)


def test_generator_and_base_flag_in_read_only_scope():
    """What is inside a decorated function called from a read-only scope is a scope of its own."""

    @enable_grad()
    def body():
        set_grad_enabled(False)
        return is_grad_enabled()

    assert no_grad(lambda: (body(), is_grad_enabled())) == (False, False)


def test_mode_with_a_flag_without_a_function():
    scope = grad_mode(False)
    assert is_grad_enabled()  # unlike set_grad_enabled, nothing happens before it is entered
    with scope:
        assert not is_grad_enabled()
        set_grad_enabled(True)
        assert is_grad_enabled()
    assert is_grad_enabled()

    @grad_mode(False)
    def f(x):
        return x, is_grad_enabled()

    assert f(1) == (1, False)
    assert grad_mode(False).clone().mode is False


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bare", "spelling"),
    [(no_grad, "no_grad"), (enable_grad, "enable_grad"), (inference_mode, "inference_mode")],
)
def test_bare_decorator_on_a_function_with_arguments(bare, spelling):
    with pytest.raises(TypeError, match=rf"{spelling}\(.*double\).*\(x, y\).*write @{spelling}\(\)"):

        @bare
        def double(x, *, y):
            return x

    with pytest.raises(TypeError, match=rf"forward.*\(self\).*write @{spelling}\(\)"):

        class Model:
            @bare
            def forward(self):
                return 1


def test_bare_decorator_looks_through_wrappers_and_callable_objects():
    class Model:
        def __call__(self, x):
            return x

    @functools.wraps(Model.__call__)
    def wrapper(*args):
        return args

    @no_grad()
    def decorated(x):
        return x

    def keyword(*, key):
        return key

    for function in (Model(), keyword, wrapper, decorated, functools.partial(pow, 2), Model().__call__):
        with pytest.raises(TypeError, match="needs arguments"):
            no_grad(function)


def test_bare_decorator_runs_a_function_without_arguments_now():
    ran = []

    @no_grad
    def main(option=None):
        ran.append(is_grad_enabled())
        return "result"

    assert (ran, main) == ([False], "result")


def test_callable_forms_refuse_what_they_cannot_run():
    class Model:
        pass

    for wrong in (Model, 3, "text", [1], staticmethod(lambda: 1), classmethod(lambda cls: 1)):
        with pytest.raises(TypeError, match="expected a function that takes no arguments"):
            no_grad(wrong)
    with pytest.raises(TypeError, match=r"inference_mode\(None\)"):
        inference_mode(None)
    with pytest.raises(TypeError, match=r"grad_mode\(1\): mode must be True or False, not int"):
        grad_mode(1, lambda: None)
    with pytest.raises(TypeError, match=r"grad_mode\(True, .*f\): .*f needs arguments \(x\).*write @grad_mode\(True\)"):

        def f(x):
            return x

        grad_mode(True, f)
    with pytest.raises(TypeError, match=r"set_multithreading_enabled\(0\): mode must be True or False"):
        set_multithreading_enabled(0)


def test_decorator_refuses_what_it_cannot_wrap():
    with pytest.raises(TypeError, match="below @property"):

        class Model:
            @no_grad()
            @property
            def size(self):
                return 1

    with pytest.raises(TypeError, match="expected a function or method"):
        no_grad()(5)


def test_gradients_cannot_be_turned_on_inside_the_callable_inference_mode():
    turns_on = {
        "enable_grad(fn)": lambda: enable_grad(lambda: None),
        "grad_mode(True, fn)": lambda: grad_mode(True, lambda: None),
        "with enable_grad()": lambda: enable_grad().__enter__(),
        "with grad_mode(True)": lambda: grad_mode(True).__enter__(),
        "with set_grad_enabled(True)": lambda: set_grad_enabled(True).__enter__(),
        "@enable_grad()": enable_grad()(lambda: None),
        "nested in no_grad": lambda: no_grad(lambda: enable_grad(lambda: None)),
        "flag in a block": lambda: no_grad()(lambda: set_grad_enabled(True))(),
        "generator": lambda: next(enable_grad()(one)()),
    }
    for what, start in turns_on.items():
        with pytest.raises(RuntimeError, match="gradients cannot be turned on inside inference_mode"):
            inference_mode(start)
            pytest.fail(what)
        assert modes() == DEFAULTS, what
        if not what.startswith("with"):  # the same is fine elsewhere
            start()


def one():
    yield 1


def test_what_is_allowed_inside_the_callable_inference_mode():
    def body():
        set_grad_enabled(True)  # read-only: no effect, no error
        seen = [modes()[:2], no_grad(is_grad_enabled), grad_mode(False, is_grad_enabled)]
        with inference_mode(False):
            seen += [modes()[:2], enable_grad(is_grad_enabled), no_grad(is_grad_enabled)]
            with inference_mode(), enable_grad():
                seen.append(modes()[:2])
        with recording(True):  # the engine's own scope
            seen.append(modes()[:2])
        return [*seen, modes()[:2]]

    off = (False, True)
    assert inference_mode(body) == [off, False, False, (True, False), True, False, (True, True), (True, True), off]


# Functions, methods, kinds --------------------------------------------------------------------------------------------


def test_methods_of_every_kind():
    class Model:
        def __init__(self, value):
            self.value = value

        @no_grad()
        def method(self, x):
            return self.value + x, is_grad_enabled()

        @classmethod
        @no_grad()
        def inside_class(cls, x):
            return cls.__name__, x, is_grad_enabled()

        @no_grad()
        @classmethod
        def outside_class(cls, x):
            return cls.__name__, x, is_grad_enabled()

        @no_grad()
        @staticmethod
        def outside_static(x):
            return x, is_grad_enabled()

        @property
        @no_grad()
        def size(self):
            return is_grad_enabled()

        @no_grad()
        def items(self):
            yield self.value
            yield is_grad_enabled()

    model = Model(1)
    assert model.method(2) == (3, False)
    assert Model.inside_class(2) == model.outside_class(2) == ("Model", 2, False)
    assert model.outside_static(3) == Model.outside_static(3) == (3, False)
    assert model.size is False
    assert list(model.items()) == [1, False]


def test_text_of_modes():
    assert str(no_grad()) == "webtorch.no_grad()"
    assert str(inference_mode(False)) == "webtorch.inference_mode(mode=False)"
    assert str(set_grad_enabled(True)) == "webtorch.set_grad_enabled(mode=True)"
    assert repr(grad_mode(False)) == "webtorch.grad_mode(mode=False)"
    assert repr(set_multithreading_enabled(True)) == "webtorch.set_multithreading_enabled(mode=True)"
    assert repr(current()) == "GradState(grad=True, inference=False)"


def test_the_function_carries_the_names_of_the_module():
    for name in ours.__all__:
        assert getattr(grad_mode, name) == getattr(ours, name), name
    assert grad_mode._unsafe_preserve_version_counter is unsafe_preserve_version_counter
    assert grad_mode._force_original_view_tracking is force_original_view_tracking
    assert grad_mode.current() is current()


def test_one_object_entered_inside_itself():
    """PyTorch forgets the first way back here and leaves recording off."""
    scope = no_grad()
    with scope:
        with scope:
            assert not is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_decorating_by_the_multithreading_flag_changes_nothing():
    """PyTorch leaves the flag changed here."""

    @set_multithreading_enabled(False)
    def f():
        return is_multithreading_enabled()

    assert is_multithreading_enabled()
    assert (f(), is_multithreading_enabled()) == (False, True)


def test_late_exit_does_not_bring_back_a_stale_mode():
    """Closing A before B, which was opened inside it, closes both: PyTorch would end with recording off."""
    first, second = no_grad(), enable_grad()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert is_grad_enabled()
    second.__exit__(None, None, None)
    assert is_grad_enabled()


# Suspended bodies -----------------------------------------------------------------------------------------------------


@no_grad()
def with_block_inside():
    yield is_grad_enabled()
    with enable_grad():
        yield is_grad_enabled()
        yield is_grad_enabled()
    yield is_grad_enabled()
    set_grad_enabled(True)
    yield is_grad_enabled()
    yield is_grad_enabled()


def test_suspended_generator_keeps_its_own_scopes():
    """PyTorch forgets the inner block at the second yield, and the flag at the last."""
    seen = []
    for value in with_block_inside():
        seen.append((value, is_grad_enabled()))
    assert [value for value, _ in seen] == [False, True, True, False, True, True]
    assert all(outside for _, outside in seen)


def test_resumed_generator_takes_the_other_modes_of_its_caller():
    @no_grad()
    def body():
        while True:
            with set_multithreading_enabled(is_multithreading_enabled()):
                yield modes()[:2]

    generator = body()
    assert next(generator) == (False, False)
    with inference_mode():
        assert next(generator) == (False, True)
    assert next(generator) == (False, False)
    generator.close()


def test_generators_interleave():
    @grad_mode(False)
    def off():
        while True:
            yield is_grad_enabled()

    @grad_mode(True)
    def on():
        while True:
            yield is_grad_enabled()

    pairs = zip(off(), on(), off(), strict=False)
    for outer in (True, False, True):
        with set_grad_enabled(outer):
            assert next(pairs) == (False, True, False)
            assert is_grad_enabled() is outer
    del pairs


def test_generator_driven_from_many_threads():
    @no_grad()
    def body():
        for _ in range(6):
            yield is_grad_enabled()

    generator = body()

    def advance(_):
        return next(generator), is_grad_enabled()

    for number in range(6):
        with ThreadPoolExecutor(1) as pool:
            assert list(pool.map(advance, [number])) == [(False, True)]


def test_callable_form_of_a_generator_runs_its_body_in_the_mode():
    generator = no_grad(one_by_one)
    assert is_grad_enabled()
    assert list(generator) == [False, False]
    assert list(inference_mode(lambda: one_by_one())) == [False, False]


def one_by_one():
    yield is_grad_enabled()
    set_grad_enabled(True)  # read-only
    yield is_grad_enabled()


def test_generator_throw_return_and_error():
    @no_grad()
    def body():
        try:
            yield 1
        except ValueError as error:
            raise KeyError(is_grad_enabled()) from error

    generator = body()
    next(generator)
    with pytest.raises(KeyError, match="False") as caught:
        generator.throw(ValueError("x"))
    assert isinstance(caught.value.__cause__, ValueError)
    assert list(generator) == []


def test_body_that_closes_a_scope_of_its_caller():
    outer = no_grad()

    @enable_grad()
    def body():
        yield is_grad_enabled()
        outer.__exit__(None, None, None)
        yield is_grad_enabled()
        yield is_grad_enabled()

    outer.__enter__()
    generator = body()
    assert next(generator)
    assert next(generator)
    assert is_grad_enabled()  # the caller's own mode
    with no_grad():
        assert next(generator)
    generator.close()


# Coroutines and tasks -------------------------------------------------------------------------------------------------


def test_decorated_coroutine_function():
    @no_grad()
    async def body(x):
        first = is_grad_enabled()
        await asyncio.sleep(0)
        return x, first, is_grad_enabled()

    async def main():
        coroutine = body(5)
        assert is_grad_enabled()
        return await coroutine, is_grad_enabled()

    assert inspect.iscoroutinefunction(body)
    assert asyncio.run(main()) == ((5, False, False), True)


def test_callable_form_of_a_coroutine_function():
    async def body():
        first = is_grad_enabled()
        await asyncio.sleep(0)
        set_grad_enabled(True)  # read-only
        return first, is_grad_enabled()

    async def main():
        assert await no_grad(body) == (False, False)
        assert await no_grad(lambda: body()) == (False, False)
        assert await grad_mode(False, functools.partial(body)) == (False, False)
        with no_grad():
            assert await enable_grad(body) == (True, True)
        assert await inference_mode(body) == (False, False)
        return modes()

    assert asyncio.run(main()) == DEFAULTS


def test_callable_form_of_a_function_that_returns_an_awaitable():
    class Later:
        def __await__(self):
            first = is_grad_enabled()
            yield from asyncio.sleep(0).__await__()
            return first, is_grad_enabled()

    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "done")
        assert await no_grad(lambda: future) == "done"
        assert await no_grad(lambda: Later()) == (False, False)
        task = await no_grad(lambda: asyncio.create_task(report()))
        assert task is False
        assert is_grad_enabled()

    async def report():
        await asyncio.sleep(0)
        return is_grad_enabled()

    asyncio.run(main())


def test_awaitable_errors_and_cancellation_restore():
    seen = []

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("inside")

    async def waits():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(is_grad_enabled())
            raise

    async def main():
        with pytest.raises(ValueError, match="inside"):
            await no_grad(fails)
        assert is_grad_enabled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await no_grad(waits)
        assert is_grad_enabled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                with no_grad():
                    await waits()
        assert is_grad_enabled()
        task = asyncio.create_task(inference_mode()(waits)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return modes()

    assert asyncio.run(main()) == DEFAULTS
    assert seen == [False, False, False]


@pytest.mark.parametrize("form", ["block", "decorator", "callable", "flag"])
def test_tasks_interleave(form):
    """Many tasks that switch at every step: each sees its own mode only."""

    async def steps(expected):
        for _ in range(20):
            assert is_grad_enabled() is expected
            await asyncio.sleep(0)
            with grad_mode(not expected):
                assert is_grad_enabled() is not expected
                await asyncio.sleep(0)
        return expected

    async def run(number):
        mode = number % 2 == 0
        if form == "block":
            with grad_mode(mode):
                return await steps(mode)
        if form == "decorator":
            return await grad_mode(mode)(steps)(mode)
        if form == "callable":
            return await grad_mode(mode, lambda: steps(mode))
        set_grad_enabled(mode)
        return await steps(mode)

    async def main():
        results = await asyncio.gather(*(run(number) for number in range(10)))
        assert results == [number % 2 == 0 for number in range(10)]
        return modes()

    assert asyncio.run(main()) == DEFAULTS


def test_one_object_shared_by_tasks():
    scope = no_grad()

    async def run(delay):
        with scope:
            for _ in range(delay):
                await asyncio.sleep(0)
            assert not is_grad_enabled()
        assert is_grad_enabled()

    async def main():
        await asyncio.gather(*(run(delay) for delay in (5, 1, 3, 2)))

    asyncio.run(main())


def test_a_task_starts_with_a_copy_of_its_creators_modes():
    async def child(event):
        await event.wait()
        first = is_grad_enabled()
        set_grad_enabled(True)
        return first, is_grad_enabled()

    async def main():
        event = asyncio.Event()
        with no_grad():
            task = asyncio.create_task(child(event))
            await asyncio.sleep(0)
        assert is_grad_enabled()  # the block ended here, but not in the child
        event.set()
        assert await task == (False, True)
        set_grad_enabled(False)
        assert await asyncio.to_thread(is_grad_enabled) is False
        set_grad_enabled(True)

    asyncio.run(main())


def test_suspended_coroutine_shows_nothing_to_who_drives_it():
    """Two coroutines driven by hand in one context, step by step."""

    class Pause:
        def __await__(self):
            yield

    @no_grad()
    async def body(log):
        log.append(is_grad_enabled())
        await Pause()
        with enable_grad():
            await Pause()
            log.append(is_grad_enabled())
        log.append(is_grad_enabled())

    first, second = [], []
    running = [body(first), body(second)]
    for _ in range(2):
        for coroutine in running:
            coroutine.send(None)
            assert is_grad_enabled()
    for coroutine in running:
        with pytest.raises(StopIteration):
            coroutine.send(None)
    assert first == second == [False, True, False]


def test_coroutine_closed_or_never_started():
    closed = []

    class Pause:
        def __await__(self):
            yield

    @no_grad()
    async def body():
        try:
            await Pause()
        finally:
            closed.append(is_grad_enabled())

    coroutine = body()
    coroutine.close()
    coroutine = body()
    coroutine.send(None)
    assert is_grad_enabled()
    coroutine.close()
    assert closed == [False]
    assert is_grad_enabled()


def test_async_generators():
    closed = []

    async def numbers(start):
        try:
            got = yield start, is_grad_enabled()
            await asyncio.sleep(0)
            try:
                with enable_grad():
                    yield got, is_grad_enabled()
                    yield "still", is_grad_enabled()
            except KeyError:
                yield "thrown", is_grad_enabled()
        finally:
            await asyncio.sleep(0)
            closed.append(is_grad_enabled())

    decorated = no_grad()(numbers)
    assert inspect.isasyncgenfunction(decorated)

    async def drive(generator):
        seen = [await generator.__anext__(), is_grad_enabled()]
        seen += [await generator.asend("sent"), is_grad_enabled()]
        seen += [await generator.__anext__(), is_grad_enabled()]
        seen += [await generator.athrow(KeyError()), is_grad_enabled()]
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()
        return [*seen, is_grad_enabled()]

    async def closes_early(generator):
        async with aclosing(generator) as values:
            async for _ in values:
                break
        return is_grad_enabled()

    expected = [(0, False), True, ("sent", True), True, ("still", True), True, ("thrown", False), True, True]
    assert asyncio.run(drive(decorated(0))) == expected
    assert asyncio.run(drive(no_grad(lambda: numbers(0)))) == expected
    assert asyncio.run(closes_early(decorated(0)))
    assert closed == [False, False, False]


def test_callable_object_with_async_call():
    class Model:
        async def __call__(self, x):
            await asyncio.sleep(0)
            return x, is_grad_enabled()

    assert asyncio.run(no_grad()(Model())(1)) == (1, False)


def test_block_entered_and_left_in_different_contexts():
    """Nothing to restore there, and nothing breaks."""
    scope = no_grad()
    elsewhere = contextvars.copy_context()
    elsewhere.run(scope.__enter__)
    assert elsewhere.run(is_grad_enabled) is False
    scope.__exit__(None, None, None)
    assert is_grad_enabled()
    elsewhere.run(scope.__exit__, None, None, None)
    assert elsewhere.run(is_grad_enabled) is True


# Threads --------------------------------------------------------------------------------------------------------------


def test_threads_do_not_see_each_other():
    barrier = threading.Barrier(4)

    def work(number):
        mode = number % 2 == 0
        set_grad_enabled(mode)
        for _ in range(50):
            barrier.wait(timeout=30)
            assert is_grad_enabled() is mode
            with grad_mode(not mode):
                barrier.wait(timeout=30)
                assert is_grad_enabled() is not mode
        return is_grad_enabled() is mode

    with no_grad(), ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
        assert not is_grad_enabled()


# Depth, cost, the rest ------------------------------------------------------------------------------------------------


def test_nested_to_the_recursion_limit():
    @no_grad()
    def deeper(depth):
        return enable_grad(lambda: deeper(depth - 1)) if depth else is_grad_enabled()

    assert deeper(100) is False

    @enable_grad()
    def without_end():
        return no_grad(without_end)

    with pytest.raises(RecursionError):
        without_end()
    assert modes() == DEFAULTS


def test_many_scopes_leave_nothing_behind():
    gc.collect()
    state = current()

    def states():
        return sum(type(thing) is ours.GradState for thing in gc.get_objects())

    before = states()
    for _ in range(1000):
        with no_grad(), set_grad_enabled(True):
            set_grad_enabled(False)
        set_grad_enabled(False)
        set_grad_enabled(True)
    gc.collect()
    assert states() <= before + 1  # the base may have been set anew
    assert current().parent is state.parent


def test_the_question_every_op_asks_is_one_call_into_c():
    """No Python frame: reading the state costs a context variable's lookup and nothing else."""
    assert inspect.isbuiltin(current)
    assert current() is ours._state.get()


def test_version_counters_are_put_back():
    first, second = webtorch.zeros(2), webtorch.zeros(2)
    second.add_(1)
    scope = unsafe_preserve_version_counter((first, second))
    first.add_(1)  # counted from the call on, not from the block
    with scope:
        second.add_(1).add_(1)
        assert second._version == 3
    assert (first._version, second._version) == (0, 1)
    with pytest.raises(ValueError), unsafe_preserve_version_counter(first):
        first[0].add_(1)  # a view counts with its base
        assert first._version == 1
        raise ValueError
    assert first._version == 0

    @unsafe_preserve_version_counter([first])
    def write():
        first.add_(1)
        return first._version

    first.add_(1)
    assert (write(), write(), first._version) == (2, 2, 1)


def test_version_counters_of_other_things():
    with pytest.raises(TypeError, match="expected a tensor or a tuple of tensors, got int"):
        unsafe_preserve_version_counter((webtorch.zeros(2), 3))
    with pytest.raises(RuntimeError, match="Inference tensors do not track version counter"):
        unsafe_preserve_version_counter(inference_mode(lambda: webtorch.zeros(2)))


def test_view_replay_as_a_call_and_a_decorator():
    previous = force_original_view_tracking(True)
    assert is_view_replay_enabled()
    assert (previous.mode, previous.prev) == (True, False)
    force_original_view_tracking(False)

    @force_original_view_tracking(True)
    def f():
        return is_view_replay_enabled()

    assert (f(), is_view_replay_enabled()) == (True, False)
