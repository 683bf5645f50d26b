"""Holding back Ctrl-C for the moments in which an interrupt would leave memory without the values it stands for."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

try:  # the functions of C: Python's wrappers turn numbers into enumerations and back, which takes twenty times as long
    import _signal as _quick
except ImportError:
    _quick = signal
_set_handler: Any = _quick.signal
_get_handler: Any = _quick.getsignal
_SIGINT = int(signal.SIGINT)

# Only the main thread is ever interrupted, so only it comes here and one set of names does.
_depth = 0
_seen = 0
_handler: Any = None


def _note(number: int, frame: Any) -> None:
    """Stands in for the handler: the first signal waits for the end of the block, the second gets through at once."""
    global _seen
    _seen += 1
    if _seen > 1 and _handler is not None:
        _handler(number, frame)


class held_back:
    """Inside the block no KeyboardInterrupt is raised: it is at the end of the block. Blocks nest.

    A second Ctrl-C is not held back, so a GPU that hangs cannot keep the user. Handlers that are not Python's, and
    threads other than the main one, are left alone.

    >>> with held_back():
    ...     2 + 2
    4
    """

    __slots__ = ("_active",)

    def __enter__(self) -> held_back:
        global _depth, _seen, _handler
        self._active = False
        if threading.get_ident() != threading.main_thread().ident:
            return self
        if _depth == 0:
            handler = _get_handler(_SIGINT)
            if not callable(handler):  # ignored, the system's own, or set by another language
                return self
            try:
                _set_handler(_SIGINT, _note)
            except ValueError:  # an interpreter inside another one
                return self
            _handler, _seen = handler, 0
        _depth += 1
        self._active = True
        return self

    def now(self) -> None:
        """A place inside the outermost block where an interrupt does no harm: raises the one held back."""
        global _seen
        if _seen and self._active and _depth == 1:
            _seen = 0
            _handler(_SIGINT, sys._getframe(1))

    def __exit__(self, *exception: object) -> None:
        global _depth
        if not self._active:
            return
        _depth -= 1
        if _depth == 0:
            _set_handler(_SIGINT, _handler)
            if _seen:
                _handler(_SIGINT, sys._getframe(1))
