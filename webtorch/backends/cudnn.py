"""Switches of a library of CUDA, which is not used here: they can be set, and change nothing. Every convolution is chosen
by its shape; `webtorch.use_deterministic_algorithms` fixes the order of sums."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """False: the library is not used.

    >>> is_available()
    False
    """
    return False


def version() -> int | None:
    """None: the library is not used.

    >>> version() is None
    True
    """
    return None


def is_acceptable(tensor: Any) -> bool:
    """False: the library is not used.

    >>> is_acceptable(None)
    False
    """
    return False


def set_flags(**flags: Any) -> dict[str, Any]:
    """Set switches by name; returns what they were.

    >>> before = set_flags(_benchmark=True)
    >>> benchmark, _ = before["benchmark"], set_flags(**before)
    >>> benchmark
    False
    """
    flags = {name.removeprefix("_"): value for name, value in flags.items() if value is not None}
    unknown = [name for name in flags if name not in SWITCHES]
    if unknown:
        raise TypeError(f"set_flags: {', '.join(unknown)} is none of {', '.join(SWITCHES)}")
    before = {name: globals()[name] for name in flags}
    globals().update(flags)
    return before


SWITCHES = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")


@contextlib.contextmanager
def flags(**values: Any) -> Iterator[None]:
    """`set_flags` inside a `with` block.

    >>> with flags(enabled=False):
    ...     pass
    """
    before = set_flags(**values)
    try:
        yield
    finally:
        set_flags(**before)
