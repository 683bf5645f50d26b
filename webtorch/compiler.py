"""What PyTorch says to its compiler, beside `webtorch.compile`."""

from __future__ import annotations

from typing import Any

from .compiling import compile

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable", "is_compiling",
    "is_dynamo_compiling", "list_backends", "reset",
]  # fmt: skip


def _mark(fn: Any = None, *args: Any, **given: Any) -> Any:
    """The function itself; as a decorator with arguments or without."""
    return fn if callable(fn) else _mark


def allow_in_graph(fn: Any) -> Any:
    """The function itself: compiling follows every function.

    >>> allow_in_graph(abs)(-1)
    1
    """
    return list(fn) if isinstance(fn, (list, tuple)) else fn


disable = assume_constant_result = _mark


def is_compiling() -> bool:
    """False: functions run as Python the first time, and not at all later.

    >>> is_compiling()
    False
    """
    return False


is_dynamo_compiling = is_compiling


def reset() -> None:
    """Accepted: recordings belong to the compiled functions.

    >>> reset()
    """


def cudagraph_mark_step_begin() -> None:
    """Accepted: there are no CUDA graphs.

    >>> cudagraph_mark_step_begin()
    """


def list_backends(*args: Any) -> list[str]:
    """The one compiler there is.

    >>> list_backends()
    ['webtorch']
    """
    return ["webtorch"]
