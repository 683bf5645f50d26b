"""Functions and methods that users add: `webtorch.NAME` and `x.NAME()`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

from ..errors import coded_error, did_you_mean
from ..tensor import Tensor
from .handles import ANY, FunctionHandle, MethodHandle, check_callable, check_name, dtype_names, lock, refuse

_missing = object()


@dataclass(frozen=True)
class FunctionEntry:
    """A function that a user registered."""

    name: str
    function: Callable = field(repr=False)


@dataclass(frozen=True)
class MethodEntry:
    """A method that a user registered, and the dtypes it takes ("*" for all)."""

    name: str
    function: Callable = field(repr=False)
    dtypes: tuple[str, ...] = (ANY,)


FUNCTIONS: dict[str, FunctionEntry] = {}
METHODS: dict[str, MethodEntry] = {}


def namespace() -> dict[str, Any]:
    return vars(sys.modules["webtorch"])


def is_taken(name: str) -> bool:
    known = namespace()
    return name in known or name in known["_LAZY"] or name in known["_LAZY_NAMES"]


def check_free(name: str, call: str) -> None:
    if is_taken(name):
        who = "registered" if name in FUNCTIONS else "part of webtorch"
        refuse(
            "function_already_registered_error",
            f"{call}: webtorch.{name} is {who} already; choose another name, or pass override=True to register_function",
        )


def check_method_free(name: str, call: str) -> None:
    if hasattr(Tensor, name):
        who = "registered" if name in METHODS else "part of webtorch"
        refuse(
            "method_already_registered_error",
            f"{call}: Tensor.{name} is {who} already; choose another name, or pass override=True to register_method",
        )


def register_function(name: str, function: Callable, *, override: bool = False) -> FunctionHandle:
    """Add a function to the namespace: `webtorch.NAME`. What it computes with webtorch's functions fuses and differentiates.

    Raises RegistryError: invalid_config_error for a name that is none or something not callable,
    function_already_registered_error for a name that is taken, unless `override`; removing the handle gives it back.

    >>> import webtorch
    >>> handle = webtorch.register_function("cube", lambda x: x * x * x)
    >>> webtorch.cube(webtorch.tensor(2.0))
    tensor(8.)
    >>> handle.remove()
    """
    call = f"register_function({name!r})"
    check_name(name, call)
    check_callable(function, call, "function")
    with lock:
        if not override:
            check_free(name, call)
        known = namespace()
        before, entry_before = known.get(name, _missing), FUNCTIONS.get(name)
        known[name] = function
        entry = FUNCTIONS[name] = FunctionEntry(name, function)

    def take_back() -> None:
        if FUNCTIONS.get(name) is not entry:
            return
        if before is _missing:
            del known[name]
        else:
            known[name] = before
        if entry_before is None:
            del FUNCTIONS[name]
        else:
            FUNCTIONS[name] = entry_before

    return FunctionHandle(name, take_back)


def register_method(name: str, function: Callable, *, dtypes: Any = ANY, override: bool = False) -> MethodHandle:
    """Add a method to Tensor: `x.NAME(...)` calls `function(x, ...)`, for the dtypes named.

    Raises RegistryError: invalid_config_error, method_already_registered_error; a call on another dtype raises
    method_dtype_not_supported_error.

    >>> import webtorch
    >>> handle = webtorch.register_method("doubled", lambda x: x + x, dtypes=("float32", "float64"))
    >>> webtorch.tensor(4.0).doubled()
    tensor(8.)
    >>> webtorch.tensor(4).doubled()
    Traceback (most recent call last):
    webtorch.errors.RegistryError: method_dtype_not_supported_error: Tensor.doubled() on int64[]@...: ...
    >>> handle.remove()
    """
    call = f"register_method({name!r})"
    check_name(name, call)
    check_callable(function, call, "function")
    names = dtype_names(dtypes, call)
    with lock:
        if not override:
            check_method_free(name, call)
        before, entry_before = Tensor.__dict__.get(name, _missing), METHODS.get(name)
        entry = METHODS[name] = MethodEntry(name, function, names)
        setattr(Tensor, name, function if names == (ANY,) and hasattr(function, "__get__") else Method(entry))

    def take_back() -> None:
        if METHODS.get(name) is not entry:
            return
        if before is _missing:
            delattr(Tensor, name)
        else:
            setattr(Tensor, name, before)
        if entry_before is None:
            del METHODS[name]
        else:
            METHODS[name] = entry_before

    return MethodHandle(name, take_back)


class Method:
    """A registered method that looks at the dtype first."""

    def __init__(self, entry: MethodEntry) -> None:
        self.entry = entry
        functools.update_wrapper(self, entry.function, updated=())
        self.__name__ = entry.name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, x: Tensor, *args: Any, **given: Any) -> Any:
        if ANY not in self.entry.dtypes and x.dtype.name not in self.entry.dtypes:
            from ..ops import describe

            raise coded_error(
                "method_dtype_not_supported_error",
                f"Tensor.{self.entry.name}() on {describe(x)}: it is registered for {', '.join(self.entry.dtypes)}; convert "
                f"with .to(webtorch.{self.entry.dtypes[0]})",
            )
        return self.entry.function(x, *args, **given)


def getFunction(name: str) -> Callable:
    """The function `webtorch.NAME`, registered or built in. Raises RegistryError (op_not_found_error).

    >>> import webtorch
    >>> webtorch.getFunction("add")
    <op webtorch.add>
    """
    if hasFunction(name):
        return getattr(sys.modules["webtorch"], name)
    raise coded_error(
        "op_not_found_error",
        f"getFunction({name!r}): there is no such function." + did_you_mean(str(name), list_functions()),
    )


def getMethod(name: str) -> Callable:
    """The method `Tensor.NAME`, registered or built in, as a function of the tensor. Raises RegistryError
    (op_not_found_error).

    >>> import webtorch
    >>> webtorch.getMethod("add")
    <op webtorch.add>
    """
    if hasMethod(name):
        return getattr(Tensor, name)
    raise coded_error(
        "op_not_found_error", f"getMethod({name!r}): there is no such method." + did_you_mean(str(name), list_methods())
    )


def hasFunction(name: str) -> bool:
    """Whether there is a function `webtorch.NAME`, registered or built in.

    >>> import webtorch
    >>> webtorch.hasFunction("add"), webtorch.hasFunction("subtract_and_forget")
    (True, False)
    """
    if not isinstance(name, str) or name.startswith("_"):
        return False
    known = sys.modules["webtorch"]
    found = getattr(known, name, None) if is_taken(name) else None
    return callable(found) and not isinstance(found, type)


def hasMethod(name: str) -> bool:
    """Whether tensors have a method `NAME`, registered or built in.

    >>> import webtorch
    >>> webtorch.hasMethod("add"), webtorch.hasMethod("shape")
    (True, False)
    """
    return isinstance(name, str) and not name.startswith("_") and callable(getattr(Tensor, name, None))


def list_functions(*, custom: bool = False) -> list[str]:
    """The names of all functions `webtorch.NAME`; with `custom` only those that users registered.

    >>> import webtorch
    >>> "add" in webtorch.list_functions(), webtorch.list_functions(custom=True)
    (True, [])
    """
    return sorted(FUNCTIONS) if custom else sorted(name for name in namespace() if hasFunction(name))


def list_methods(*, custom: bool = False) -> list[str]:
    """The names of all methods of Tensor; with `custom` only those that users registered.

    >>> import webtorch
    >>> "add" in webtorch.list_methods(), webtorch.list_methods(custom=True)
    (True, [])
    """
    return sorted(METHODS) if custom else sorted(name for name in dir(Tensor) if hasMethod(name))
