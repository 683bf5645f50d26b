"""PyTorch's place of `save` and `load`. The reader here builds tensors and plain containers and nothing else, so the list of
further classes that a program calls safe stays empty: a file that needs one is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .saving import load, save

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]


def add_safe_globals(safe_globals: list) -> None:
    """Accepted, and adds nothing: `load` refuses a file that needs a class of yours.

    >>> add_safe_globals([dict])
    >>> get_safe_globals()
    []
    """


def get_safe_globals() -> list:
    """The further classes that `load` may build: none."""
    return []


def clear_safe_globals() -> None:
    """Accepted: there are none.

    >>> clear_safe_globals()
    """


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for a `with` block.

    >>> with safe_globals([dict]):
    ...     pass
    """
    yield
