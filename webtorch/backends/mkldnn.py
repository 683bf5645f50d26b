"""Questions about and switches of Intel's library of networks, which webtorch does not use."""

from __future__ import annotations

import contextlib
from typing import Any

enabled = False
allow_tf32 = False


def is_available() -> bool:
    """False: it is not used.

    >>> is_available()
    False
    """
    return False


def flags(**values: Any) -> contextlib.AbstractContextManager:
    """Accepted; changes nothing.

    >>> with flags(enabled=False):
    ...     pass
    """
    return contextlib.nullcontext()
