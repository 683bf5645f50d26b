"""Errors for arguments that are no tensors: public functions name them, instead of failing somewhere inside."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from .tensor import Tensor


@functools.cache
def named(function: Callable) -> Callable:
    """`function`, which raises TypeError when it fails because something that is no Tensor was treated as one.

    Nothing is looked at unless the call fails.

    >>> import webtorch
    >>> @named
    ... def double(x):
    ...     return x.add(x)
    >>> double([1.0])
    Traceback (most recent call last):
    TypeError: double(): argument 'x' must be a Tensor, not list; make one with webtorch.tensor(...)
    """

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        try:
            return function(*args, **given)
        except AttributeError as error:
            problem = misplaced(function, args, given, error.obj)
            if problem is None:
                raise
        raise problem

    return call


def misplaced(function: Callable, args: tuple, given: dict, thing: Any) -> TypeError | None:
    """The error for the argument, or the element of one, that lacks a tensor's attribute; None for other accidents."""
    if isinstance(thing, Tensor):
        return None
    for name, value in inspect.signature(function).bind(*args, **given).arguments.items():
        where = None
        if value is thing:
            where = f"argument {name!r}"
        elif holds(value, thing):
            where = f"each element of argument {name!r}"
        if where is not None:
            return TypeError(
                f"{function.__name__}(): {where} must be a Tensor, not {type(thing).__name__}; "
                "make one with webtorch.tensor(...)"
            )
    return None


def holds(value: Any, thing: Any) -> bool:
    """Whether a thing is an element of nested sequences."""
    if isinstance(value, (list, tuple)):
        return any(element is thing or holds(element, thing) for element in value)
    return isinstance(value, str) and isinstance(thing, str) and thing in value


def name_arguments(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Have the functions of these names in a namespace, and the methods of the same names, name what is no tensor."""
    for name in names:
        function = namespace.get(name)
        if not isinstance(function, FunctionType):
            continue
        known = function.__annotations__
        tensors = [parameter for parameter in known if parameter != "return" and "Tensor" in str(known[parameter])]
        if tensors or "Tensor" in str(known.get("return")):
            namespace[name] = named(function)
        if len(tensors) > 1 and Tensor.__dict__.get(name) is function:  # of a method the first is a tensor in any case
            setattr(Tensor, name, namespace[name])
