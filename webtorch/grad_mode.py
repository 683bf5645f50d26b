"""The gradient modes: whether operations are recorded for backward, and whether results are inference tensors.

One context variable holds one immutable `GradState`, so every thread and every asyncio task has modes of its own: a
new thread starts with the defaults, a new task with a copy of what its creator had. (Free-threaded builds of Python
3.14 and later hand a copy to new threads as well, unless started with `-X thread_inherit_context=0`.)

States form a stack: a scope puts a state on top and takes it off again at its end, and the bottom of the stack is the
base. Each mode comes in three forms:

    no_grad(function)     run `function` now, inside the mode, and return its result. If that is something that runs
                          later (an awaitable, a generator, an async generator), it runs later, inside the mode. The
                          scope is read-only: `set_grad_enabled(...)` called in it changes nothing.
    with no_grad(): ...   a block
    @no_grad()            functions, methods, coroutine functions, generator functions, async generator functions

A body that is suspended (at a `yield` or an `await`) takes its scopes with it: its caller sees none of them, and they
are back when it goes on.

The name `grad_mode` is also the mode with a flag, `grad_mode(mode, function)`. It carries this module's public names as
attributes, so that `webtorch.grad_mode.no_grad` is `no_grad` whichever of the two `grad_mode` stands for.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "GradState",
    "current",
    "enable_grad",
    "force_original_view_tracking",
    "grad_mode",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_multithreading_enabled",
    "is_view_replay_enabled",
    "no_grad",
    "recording",
    "set_grad_enabled",
    "set_multithreading_enabled",
    "unsafe_preserve_version_counter",
]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class GradState:
    """The modes in force at one moment; never changed once made.

    Attributes:
        grad: operations on tensors that require grad are recorded
        inference: results are inference tensors, and nothing is recorded whatever `grad` says
        multithreading: backward may use worker threads
        view_replay: a view whose base was changed is always rebuilt by running its view operations again
        read_only: the innermost scope is of the callable form, so `set_grad_enabled(...)` changes nothing
        terminal: inside `inference_mode(function)`, where gradients cannot be turned on

    >>> current().grad, current().inference
    (True, False)
    """

    __slots__ = (
        "grad", "inference", "multithreading", "view_replay", "read_only", "terminal", "parent", "owner", "sets",
    )  # fmt: skip

    grad: bool
    inference: bool
    multithreading: bool
    view_replay: bool
    read_only: bool
    terminal: bool

    def __init__(
        self, parent: GradState | None, owner: object, sets: Mapping[str, bool], read_only: bool = False
    ) -> None:
        # `sets` is what this scope decides; all else is inherited. `owner` tells whose scope it is when it is closed.
        self.parent = parent
        self.owner = owner
        self.sets = sets
        if parent is None:
            self.grad = sets["grad"]
            self.inference = sets["inference"]
            self.multithreading = sets["multithreading"]
            self.view_replay = sets["view_replay"]
            self.terminal = sets["terminal"]
            self.read_only = read_only
        else:
            get = sets.get
            self.grad = get("grad", parent.grad)
            self.inference = get("inference", parent.inference)
            self.multithreading = get("multithreading", parent.multithreading)
            self.view_replay = get("view_replay", parent.view_replay)
            self.terminal = get("terminal", parent.terminal)
            self.read_only = read_only if "grad" in sets else parent.read_only

    def __repr__(self) -> str:
        return f"GradState(grad={self.grad}, inference={self.inference})"


_DEFAULTS = {"grad": True, "inference": False, "multithreading": True, "view_replay": False, "terminal": False}
_BASE = GradState(None, None, _DEFAULTS)
_state: ContextVar[GradState] = ContextVar("webtorch_grad_state", default=_BASE)

# The state in force. Every operation asks, so this is the context variable's own method, with no Python call around it.
current: Callable[[], GradState] = _state.get

# Puts a state in force, for `try: put(...) finally: put(before)` in the engine. Python can be interrupted when it enters a
# function, `__exit__` included, but not on the way to this one.
put: Callable[[GradState], Any] = _state.set


def is_grad_enabled() -> bool:
    """True where operations on tensors that require grad are recorded.

    Inside `with inference_mode(): with enable_grad():` this is True, as in PyTorch, although nothing is recorded there.

    >>> is_grad_enabled(), no_grad(is_grad_enabled)
    (True, False)
    """
    return _state.get().grad


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode`.

    >>> is_inference_mode_enabled(), inference_mode(is_inference_mode_enabled)
    (False, True)
    """
    return _state.get().inference


def is_multithreading_enabled() -> bool:
    """True where backward may use worker threads; False inside `inference_mode`, as in PyTorch.

    >>> is_multithreading_enabled()
    True
    """
    return _state.get().multithreading


def is_view_replay_enabled() -> bool:
    """True inside `force_original_view_tracking(True)`.

    >>> is_view_replay_enabled()
    False
    """
    return _state.get().view_replay


# The stack of states ------------------------------------------------------------------------------------------------


def _leave(owner: object) -> None:
    """Close the innermost scope of `owner` and what is still open inside it; nothing if it has none in this context.

    Something may still be open inside when a generator is suspended in a `with` of its own: the earlier mode comes back
    all the same. Nothing is found when a scope entered in one task is closed in another, which has modes of its own.
    """
    state: GradState | None = _state.get()
    while state is not None and state.owner is not owner:
        state = state.parent
    if state is not None and state.parent is not None:
        _state.set(state.parent)


def _rebuilt(states: list[GradState], parent: GradState) -> GradState:
    """Copies of `states` (innermost first) on top of `parent`."""
    for state in reversed(states):
        parent = GradState(parent, state.owner, state.sets, state.read_only)
    return parent


def _assign(field: str, value: bool) -> None:
    """Set `field` in the innermost scope that decides it, or in the base: it lasts until that scope ends."""
    above = []
    state = _state.get()
    while state.parent is not None and field not in state.sets:
        above.append(state)
        state = state.parent
    changed = GradState(state.parent, state.owner, {**state.sets, field: value}, state.read_only)
    _state.set(_rebuilt(above, changed))


class _Body:
    """The scopes of something that runs in steps (a generator, a coroutine): in force only while it runs."""

    def __init__(self, scope: _Scope, read_only: bool) -> None:
        self.scope = scope
        self.read_only = read_only
        self.suspended: GradState | None = None  # the innermost state when the body last stopped
        self.outside: GradState | None = None  # what that stack was built upon

    def step(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            _state.set(self._resumed(_state.get()))
            return function(*arguments)
        finally:
            self._suspend()

    def _resumed(self, outside: GradState) -> GradState:
        if self.suspended is None:
            return self.scope._state(outside, self, self.read_only)
        if self.outside is outside:
            return self.suspended
        own = []  # the caller's modes are others than last time: put the body's own scopes on top of them
        state: GradState | None = self.suspended
        while state is not None and state is not self.outside:
            own.append(state)
            state = state.parent
        return _rebuilt(own, outside)

    def _suspend(self) -> None:
        innermost = _state.get()
        state: GradState | None = innermost
        while state is not None and state.owner is not self:
            state = state.parent
        if state is None:  # the body closed a scope that its caller had opened, and its own with it
            self.suspended = self.outside = None
        else:
            self.suspended, self.outside = innermost, state.parent
            assert state.parent is not None
            _state.set(state.parent)


def _drive(body: _Body, iterator: Any) -> Generator[Any, Any, Any]:
    """`yield from iterator` with every step of it inside `body`."""
    try:
        request = body.step(next, iterator)
        while True:
            try:
                answer = yield request
            except GeneratorExit:
                if hasattr(iterator, "close"):
                    body.step(iterator.close)
                raise
            except BaseException as error:
                if not hasattr(iterator, "throw"):
                    raise
                request = body.step(iterator.throw, error)
            else:
                request = body.step(next, iterator) if answer is None else body.step(iterator.send, answer)
    except StopIteration as stop:
        return stop.value


class _Driven:
    """`await awaitable` with every step of it inside `body`."""

    def __init__(self, body: _Body, awaitable: Any) -> None:
        self.body = body
        self.awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        awaitable = self.awaitable  # a generator-based coroutine has no __await__: it is its own iterator
        iterator = self.body.step(awaitable.__await__) if hasattr(awaitable, "__await__") else awaitable
        return _drive(self.body, iterator)


def _generator(scope: _Scope, function: Callable[..., Any], read_only: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    def in_mode(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _drive(_Body(scope, read_only), function(*args, **kwargs)))

    return in_mode


def _coroutine(scope: _Scope, function: Callable[..., Any], read_only: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    async def in_mode(*args: Any, **kwargs: Any) -> Any:
        return await _Driven(_Body(scope, read_only), function(*args, **kwargs))

    return in_mode


def _async_generator(scope: _Scope, function: Callable[..., Any], read_only: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    async def in_mode(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        body = _Body(scope, read_only)
        generator = function(*args, **kwargs)
        step = generator.__anext__()
        try:
            while True:
                value = await _Driven(body, step)
                try:
                    answer = yield value
                except GeneratorExit:
                    await _Driven(body, generator.aclose())
                    raise
                except BaseException as error:
                    step = generator.athrow(error)
                else:
                    step = generator.asend(answer)
        except StopAsyncIteration:
            return

    return in_mode


# The forms ----------------------------------------------------------------------------------------------------------


def _name(function: object) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


def _required(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that a call of `function` must give."""
    if type(function) is types.FunctionType and not hasattr(function, "__wrapped__"):
        code = function.__code__  # `inspect.signature` takes 20 times longer than the call it would guard
        optional = len(function.__defaults__ or ())
        if code.co_argcount == optional and code.co_kwonlyargcount == len(function.__kwdefaults__ or ()):
            return []
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature: the call itself will tell
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _is_kind(test: Callable[[Any], bool], function: Any) -> bool:
    return test(function) or test(getattr(type(function), "__call__", None))  # noqa: B004 (`async def __call__`)


class _Scope:
    """A mode that can be entered: `with`, decorator, or (by the subclass's `__new__`) the callable form."""

    _sets: Mapping[str, bool]

    def _state(self, parent: GradState, owner: object, read_only: bool) -> GradState:
        if parent.terminal and self._sets.get("grad") and "inference" not in self._sets:
            raise RuntimeError(
                f"{self}: gradients cannot be turned on inside inference_mode(function). "
                "If some part needs them, use no_grad(function) there instead"
            )
        return GradState(parent, owner, self._sets, read_only)

    def _run(self, function: Callable[[], Any], given: str, instead: str) -> Any:
        """The callable form. `given` is how the user wrote the call, `instead` how to write the decorator."""
        if not callable(function) or isinstance(function, (type, staticmethod, classmethod)):
            raise TypeError(
                f"{given.format(_name(function))}: expected a function that takes no arguments. "
                f"To decorate, write @{instead}; to call something now, pass `lambda: ...`"
            )
        required = _required(function)
        if required:
            name = _name(function)
            raise TypeError(
                f"{given.format(name)}: {name} needs arguments ({', '.join(required)}) and would be run now with none. "
                f"To decorate it, write @{instead}; to run it now, pass `lambda: {name}(...)`"
            )
        owner = object()
        try:
            _state.set(self._state(_state.get(), owner, True))
            result = function()
        finally:
            _leave(owner)
        if isinstance(result, types.GeneratorType) and not inspect.isawaitable(result):
            return _generator(self, lambda: result, True)()
        if isinstance(result, types.AsyncGeneratorType):
            return _async_generator(self, lambda: result, True)()
        if inspect.isawaitable(result):
            return _coroutine(self, lambda: result, True)()
        return result

    def __call__(self, function: F) -> F:
        """Decorate `function`: each call runs inside the mode."""
        wrapped: Any
        if isinstance(function, (staticmethod, classmethod)):
            wrapped = type(function)(self(function.__func__))
        elif isinstance(function, type):
            # As in PyTorch: only the constructor runs in the mode, and the name no longer stands for the class.
            warnings.warn(
                f"@{self} on class {function.__name__} is deprecated: it covers the constructor only and turns the "
                "class into a function. Decorate the methods that need the mode (or __init__) one by one",
                FutureWarning,
                stacklevel=2,
            )
            wrapped = self._plain(function)
        elif not callable(function):
            raise TypeError(
                f"@{self} on {function!r}: expected a function or method. "
                "For a property, decorate the getter, below @property"
            )
        elif _is_kind(inspect.isasyncgenfunction, function):
            wrapped = _async_generator(self, function)
        elif _is_kind(inspect.iscoroutinefunction, function):
            wrapped = _coroutine(self, function)
        elif _is_kind(inspect.isgeneratorfunction, function):
            wrapped = _generator(self, function)
        else:
            wrapped = self._plain(function)
        return wrapped

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def in_mode(*args: Any, **kwargs: Any) -> Any:
            owner = object()
            try:
                _state.set(self._state(_state.get(), owner, False))
                return function(*args, **kwargs)
            finally:
                _leave(owner)

        # A class has attributes (__init__, methods) that its stand-in must not take over: only its name and text.
        updated = () if isinstance(function, type) else functools.WRAPPER_UPDATES
        return functools.update_wrapper(in_mode, function, updated=updated)

    def __enter__(self) -> None:
        # This object may be entered again inside itself or in other tasks: the way back is in the state, not in here.
        before = _state.get()
        try:
            _state.set(self._state(before, self, False))
        except BaseException:  # Ctrl-C: nobody will leave a scope that was not entered to the end
            _state.set(before)
            raise

    def __exit__(self, *exception: object) -> None:
        _leave(self)

    def clone(self: S) -> S:
        """A new, unentered mode like this one."""
        return type(self)()

    def __repr__(self) -> str:
        return f"webtorch.{type(self).__name__}()"


S = TypeVar("S", bound=_Scope)


class no_grad(_Scope):
    """Turn recording off.

    `no_grad(function)` runs `function` now; `with no_grad():` and `@no_grad()` as in PyTorch. Results have
    `requires_grad=False` even if the operands require grad; functions that create a tensor keep the `requires_grad`
    they were given, and a tensor made here can get it later through `requires_grad_()`. Bare `@no_grad` is an error on
    a function that needs arguments; one that needs none would be run on the spot.

    Raises:
        TypeError: `function` needs arguments, or is a class or not callable

    >>> no_grad(lambda: is_grad_enabled())
    False
    >>> with no_grad():
    ...     print(is_grad_enabled())
    False
    >>> @no_grad()
    ... def f(x):
    ...     return x, is_grad_enabled()
    >>> f(1), is_grad_enabled()
    ((1, False), True)
    """

    _sets = {"grad": False}

    @overload
    def __new__(cls, function: None = None) -> no_grad: ...
    @overload
    def __new__(cls, function: Callable[[], T]) -> T: ...  # type: ignore[misc]
    def __new__(cls, function: Any = None) -> Any:
        scope = super().__new__(cls)
        return scope if function is None else scope._run(function, "no_grad({})", "no_grad()")


class enable_grad(_Scope):
    """Turn recording on, where `no_grad` or `set_grad_enabled(False)` turned it off.

    The same forms as `no_grad`. Inside `inference_mode(function)` it raises; inside `with inference_mode():` it changes
    what `is_grad_enabled()` says, and results are inference tensors all the same.

    Raises:
        RuntimeError: started inside `inference_mode(function)`
        TypeError: `function` needs arguments, or is a class or not callable

    >>> with no_grad():
    ...     inner = enable_grad(is_grad_enabled)
    ...     print(inner, is_grad_enabled())
    True False
    """

    _sets = {"grad": True}

    @overload
    def __new__(cls, function: None = None) -> enable_grad: ...
    @overload
    def __new__(cls, function: Callable[[], T]) -> T: ...  # type: ignore[misc]
    def __new__(cls, function: Any = None) -> Any:
        scope = super().__new__(cls)
        return scope if function is None else scope._run(function, "enable_grad({})", "enable_grad()")


def _checked(mode: object, name: str) -> bool:
    if not isinstance(mode, bool):
        raise TypeError(f"{name}({mode!r}): mode must be True or False, not {type(mode).__name__}; write bool(...)")
    return mode


_GRAD: dict[bool, Mapping[str, bool]] = {mode: {"grad": mode} for mode in (False, True)}


class grad_mode(_Scope):
    """Turn recording on or off by a flag: `grad_mode(mode, function)` runs `function` now and returns its result.

    The mode chosen at the start holds for all of `function` (except inside further modes that it starts): there,
    `set_grad_enabled(...)` changes nothing. Without a function, `grad_mode(mode)` is for `with` and `@`; unlike
    `set_grad_enabled(mode)` it changes nothing until it is entered.

    A tensor made under mode False has no graph, so calling `backward` on it, or on what is computed from it alone,
    raises under mode True too.

    Raises:
        TypeError: `mode` is not a bool; `function` needs arguments, or is a class or not callable
        RuntimeError: mode True started inside `inference_mode(function)`

    >>> grad_mode(False, lambda: (is_grad_enabled(), grad_mode(True, is_grad_enabled), is_grad_enabled()))
    (False, True, False)
    >>> grad_mode(False, lambda: (set_grad_enabled(True), is_grad_enabled())[1])
    False
    """

    if TYPE_CHECKING:
        # Where the class stands for the module of the same name, it has the module's functions: see the end of the file.
        current: Any
        enable_grad: Any
        inference_mode: Any
        is_grad_enabled: Any
        no_grad: Any
        recording: Any
        set_grad_enabled: Any

    @overload
    def __new__(cls, mode: bool, function: None = None) -> grad_mode: ...
    @overload
    def __new__(cls, mode: bool, function: Callable[[], T]) -> T: ...  # type: ignore[misc]
    def __new__(cls, mode: bool, function: Any = None) -> Any:
        scope = super().__new__(cls)
        scope.mode = _checked(mode, "grad_mode")
        scope._sets = _GRAD[mode]
        return scope if function is None else scope._run(function, f"grad_mode({mode}, {{}})", f"grad_mode({mode})")

    mode: bool

    def clone(self) -> grad_mode:
        return type(self)(self.mode)

    def __repr__(self) -> str:
        return f"webtorch.grad_mode(mode={self.mode})"


class _Switch(_Scope):
    """A flag that is set at once when called, and scoped when entered or used as a decorator."""

    _field: str
    mode: bool
    prev: bool

    def __init__(self, mode: bool) -> None:
        self.mode = _checked(mode, type(self).__name__)
        self._sets = {self._field: mode}
        self.prev = getattr(_state.get(), self._field)
        self._set(mode)

    def _set(self, mode: bool) -> None:
        _assign(self._field, mode)

    def __call__(self, function: F) -> F:
        self._set(self.prev)  # the call was only the first half of a decorator
        return super().__call__(function)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._set(self.prev)  # what was in force before the call, not only before the `with`

    def clone(self: W) -> W:
        return type(self)(self.mode)

    def __repr__(self) -> str:
        return f"webtorch.{type(self).__name__}(mode={self.mode})"


W = TypeVar("W", bound=_Switch)


class set_grad_enabled(_Switch):
    """Set recording on or off for all code that follows in this thread or task, or for a `with` block or a function.

    Called inside a `with` of another mode it lasts until that block ends; called inside the callable form of a mode
    (`no_grad(function)` and its kin) it changes nothing. As a `with` block or decorator it works everywhere.

    Raises:
        TypeError: `mode` is not a bool
        RuntimeError: True inside `inference_mode(function)`, in a block or on entering one

    >>> previous = set_grad_enabled(False)
    >>> is_grad_enabled()
    False
    >>> with set_grad_enabled(True):
    ...     print(is_grad_enabled())
    True
    >>> set_grad_enabled(True)
    webtorch.set_grad_enabled(mode=True)
    """

    _field = "grad"

    def __init__(self, mode: bool) -> None:
        state = _state.get()
        if mode is True and state.terminal and not state.read_only:
            raise RuntimeError("set_grad_enabled(True): gradients cannot be turned on inside inference_mode(function)")
        super().__init__(mode)

    def _set(self, mode: bool) -> None:
        state = _state.get()
        if not state.read_only and not (mode and state.terminal):
            _assign("grad", mode)


class inference_mode(_Scope):
    """Turn recording off and make inference tensors, which can never enter autograd: cheaper than `no_grad`.

    `inference_mode(function)` runs `function` now, and gradients cannot be turned on in it; `with inference_mode():`
    and `@inference_mode()` are as in PyTorch. `inference_mode(False)` inside inference mode leaves it: normal tensors
    are made and recorded again (it turns recording on even inside `no_grad`, as in PyTorch).

    Raises:
        TypeError: the argument is neither a bool nor a function that takes no arguments

    >>> with inference_mode():
    ...     print(is_inference_mode_enabled(), is_grad_enabled())
    ...     with inference_mode(False):
    ...         print(is_inference_mode_enabled(), is_grad_enabled())
    True False
    False True
    >>> inference_mode(lambda: enable_grad(is_grad_enabled))
    Traceback (most recent call last):
    RuntimeError: webtorch.enable_grad(): gradients cannot be turned on inside inference_mode(function). If some part \
needs them, use no_grad(function) there instead
    """

    _ON: Mapping[str, bool] = {"grad": False, "inference": True, "multithreading": False, "view_replay": False}
    _OFF: Mapping[str, bool] = {
        "grad": True, "inference": False, "multithreading": True, "view_replay": False, "terminal": False,
    }  # fmt: skip
    _TERMINAL: Mapping[str, bool] = {**_ON, "terminal": True}

    mode: bool

    @overload
    def __new__(cls, mode: bool = True) -> inference_mode: ...
    @overload
    def __new__(cls, mode: Callable[[], T]) -> T: ...  # type: ignore[misc]
    def __new__(cls, mode: Any = True) -> Any:
        scope = super().__new__(cls)
        if not isinstance(mode, bool):
            scope.mode = True
            scope._sets = cls._TERMINAL
            return scope._run(mode, "inference_mode({})", "inference_mode()")
        scope.mode = mode
        scope._sets = cls._ON if mode else cls._OFF
        return scope

    def clone(self) -> inference_mode:
        return type(self)(self.mode)

    def __repr__(self) -> str:
        return f"webtorch.inference_mode(mode={self.mode})"


class set_multithreading_enabled(_Switch):
    """Let backward use worker threads (mode True, the default) or keep it on the calling thread.

    It holds for all code that follows in this thread or task, or for a `with` block or a function.

    PyTorch leaves the flag changed after `@set_multithreading_enabled(mode)`; here decorating changes nothing.

    Raises:
        TypeError: `mode` is not a bool

    >>> with set_multithreading_enabled(False):
    ...     print(is_multithreading_enabled())
    False
    >>> is_multithreading_enabled()
    True
    """

    _field = "multithreading"


class force_original_view_tracking(_Switch):
    """Say how a view is rebuilt after its base was changed in place: always by running its view operations again (mode
    True), or as webtorch chooses (mode False, the default).

    It holds for all code that follows in this thread or task, or for a `with` block or a function.

    Raises:
        TypeError: `mode` is not a bool

    >>> with force_original_view_tracking(True):
    ...     print(is_view_replay_enabled())
    True
    """

    _field = "view_replay"


class unsafe_preserve_version_counter(contextlib.ContextDecorator):
    """Hide writes to tensors from autograd: after the block their version counters are what they were at the call.

    Autograd then no longer notices that a tensor saved for backward was changed, and gradients may be silently wrong.
    It is meant for data that is moved away and put back unchanged.

    Args:
        tensors: a tensor, or a tuple or list of tensors

    Raises:
        TypeError: something in `tensors` is not a tensor
        RuntimeError: one of them is an inference tensor

    >>> import webtorch
    >>> x = webtorch.ones(2)
    >>> with unsafe_preserve_version_counter(x):
    ...     _ = x.add_(1)
    >>> x._version
    0
    """

    def __init__(self, tensors: Tensor | tuple[Tensor, ...] | list[Tensor]) -> None:
        self.tensors = tuple(tensors) if isinstance(tensors, (tuple, list)) else (tensors,)
        for tensor in self.tensors:
            if not hasattr(tensor, "_storage"):
                kind = type(tensor).__name__
                raise TypeError(f"unsafe_preserve_version_counter: expected a tensor or a tuple of tensors, got {kind}")
        self.prev_versions = tuple(tensor._version for tensor in self.tensors)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        for tensor, version in zip(self.tensors, self.prev_versions, strict=True):
            tensor._storage.version = version  # shared by all views of the same memory

    def clone(self) -> unsafe_preserve_version_counter:
        """A new one for the same tensors, with the version counters they have now."""
        return type(self)(self.tensors)

    def _recreate_cm(self) -> unsafe_preserve_version_counter:  # at each call of a decorated function
        return self.clone()


_force_original_view_tracking = force_original_view_tracking
_unsafe_preserve_version_counter = unsafe_preserve_version_counter


class recording:
    """The engine's own scope: recording on or off without the checks of the public modes.

    Backward runs under it (on when it makes a graph of itself), also inside `inference_mode(function)`.

    >>> with recording(False):
    ...     print(is_grad_enabled())
    False
    """

    __slots__ = ("mode",)

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def state(self, before: GradState) -> GradState:
        """The state inside this scope, on top of the one before."""
        return GradState(before, self, _GRAD[self.mode])

    def __enter__(self) -> None:
        before = _state.get()
        try:
            _state.set(self.state(before))
        except BaseException:
            _state.set(before)
            raise

    def __exit__(self, *exception: object) -> None:
        _leave(self)


for _public in __all__:
    setattr(grad_mode, _public, staticmethod(globals()[_public]))
grad_mode._force_original_view_tracking = _force_original_view_tracking  # type: ignore[attr-defined]
grad_mode._unsafe_preserve_version_counter = _unsafe_preserve_version_counter  # type: ignore[attr-defined]
