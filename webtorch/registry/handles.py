"""What all registrations share: checked names, handles that take back what they registered, and their errors."""

from __future__ import annotations

import keyword
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from .. import dtypes
from ..dtypes import dtype as DType
from ..errors import RegistryError, coded_error, did_you_mean

lock = threading.RLock()  # of every change to what is registered

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
ANY = "*"


def refuse(code: str, message: str) -> NoReturn:
    raise coded_error(code, message)


def check_name(name: Any, call: str) -> str:
    """A name that users give: an ASCII identifier, for it becomes an attribute and appears in kernels' labels."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or keyword.iskeyword(name):
        refuse(
            "invalid_config_error",
            f"{call}: {name!r} is not a name; give a letter followed by letters, digits and underscores, 64 at most, and no "
            "word of Python's",
        )
    return name


def check_callable(function: Any, call: str, what: str) -> Callable:
    if not callable(function):
        refuse("invalid_config_error", f"{call}: {what} must be callable, not {type(function).__name__}")
    return function


def check_options(given: dict, allowed: Iterable[str], call: str) -> None:
    """For configurations given as a dict: an unknown key is a mistake, not something to pass over."""
    allowed = list(allowed)
    for key in given:
        if key not in allowed:
            hint = did_you_mean(str(key), allowed)
            refuse("invalid_config_error", f"{call}: unknown option {key!r}; it takes {', '.join(allowed)}.{hint}")


def dtype_names(wanted: Any, call: str) -> tuple[str, ...]:
    """One dtype, several, or "*", as names; dtypes that users registered count."""
    from . import element_types

    if wanted is None or wanted == ANY:
        return (ANY,)
    several = wanted if isinstance(wanted, (tuple, list, set, frozenset)) else (wanted,)
    if ANY in several:
        return (ANY,)
    if not several:
        refuse("invalid_config_error", f"{call}: dtype is empty; name dtypes, or '*' for all")
    names = []
    for each in several:
        if isinstance(each, element_types.CustomDType):
            names.append(each.name)
        elif isinstance(each, str) and each in element_types.CUSTOM:
            names.append(each)
        else:
            try:
                names.append(dtypes.as_dtype(each).name)
            except TypeError as error:
                known = [known.name for known in dtypes.ALL] + list(element_types.CUSTOM)
                refuse("dtype_not_found_error", f"{call}: {error}; known are {', '.join(known)}")
    return tuple(names)


def dtype_name(wanted: Any, call: str) -> str:
    names = dtype_names(wanted, call)
    if len(names) != 1 or names[0] == ANY:
        refuse("invalid_config_error", f"{call}: name one dtype, not {wanted!r}")
    return names[0]


def device_name(wanted: Any, call: str) -> str:
    """A device's type, or "*" for any."""
    from ..devices import device

    if wanted is None or wanted == ANY:
        return ANY
    return device(wanted).type


def changed(row: Any) -> None:
    """What a row remembers of earlier calls is forgotten: a registration changes what they come to."""
    if hasattr(row, "kept"):
        row.kept.clear()


class Handle:
    """What a registration returns: `remove()` takes it back, and so does the end of a `with` block.

    >>> import webtorch
    >>> with webtorch.register_function("twice", lambda x: 2 * x) as handle:
    ...     webtorch.twice(21)
    42
    >>> handle.removed, webtorch.hasFunction("twice")
    (True, False)
    """

    def __init__(self, name: str, take_back: Callable[[], None]) -> None:
        self.name = name
        self._take_back: Callable[[], None] | None = take_back

    @property
    def removed(self) -> bool:
        return self._take_back is None

    def remove(self) -> None:
        """Take the registration back. Calling it again does nothing."""
        with lock:
            take_back, self._take_back = self._take_back, None
            if take_back is not None:
                take_back()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{' (removed)' * self.removed}>"


class KernelHandle(Handle):
    """What `register_forward` returns."""


class ScalarKernelHandle(KernelHandle):
    """What `register_scalar_forward` returns."""


class AutogradHandleImpl(Handle):
    """What `register_backward` returns."""


class FunctionHandle(Handle):
    """What `register_function` returns."""


class MethodHandle(Handle):
    """What `register_method` returns."""


class DeviceHandle(Handle):
    """What `register_device` returns."""


class DTypeHandleImpl(Handle):
    """What `register_dtype` returns; `dtype` is the type to make tensors of."""

    def __init__(self, name: str, take_back: Callable[[], None], dtype: Any) -> None:
        super().__init__(name, take_back)
        self.dtype = dtype


class OpHandle(Handle):
    """What `registerUnaryOp` and `registerBinaryOp` return: it stands for the op with its kernels, derivative, function and
    method. `op` is the function itself."""

    def __init__(self, name: str, take_back: Callable[[], None], op: Any) -> None:
        super().__init__(name, take_back)
        self.op = op

    def __call__(self, *args: Any, **given: Any) -> Any:
        return self.op(*args, **given)


def rows(name: Any, call: str) -> Any:
    """The row of the op table of a name; op_not_found_error with the nearest name when there is none."""
    from ..ops import TABLE

    if isinstance(name, str) and name in TABLE:
        return TABLE[name]
    if getattr(name, "name", None) in TABLE and TABLE[name.name] is name:
        return name
    from .information import ALIASES, kind_of_function

    if isinstance(name, str) and name in ALIASES and ALIASES[name] in TABLE:
        return TABLE[ALIASES[name]]
    public = [known for known in TABLE if not known.startswith("_")]
    kind = kind_of_function(name) if isinstance(name, str) else None
    if kind is not None:
        refuse(
            "op_kind_mismatch_error",
            f"{call}: {name!r} is a function made of ops, which has no kernels or derivative of its own; register for the ops "
            "that it calls",
        )
    refuse(
        "op_not_found_error",
        f"{call}: there is no op {name!r}; list_ops() names them, registerUnaryOp and registerBinaryOp make new ones."
        + did_you_mean(str(name), public),
    )


__all__ = ["DType", "Handle", "RegistryError", "check_name", "lock", "refuse"]
