"""Finding what made a NaN: while anomaly detection is on, every recorded node remembers the lines that recorded it."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph import Node

__all__ = [
    "detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_detection_enabled", "is_anomaly_enabled",
    "set_detect_anomaly",
]  # fmt: skip

# One switch for all threads, as in PyTorch.
enabled = False
stops_at_nan = True

_running = threading.local()  # the node whose backward runs in this thread: nodes recorded meanwhile are its children
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def set_mode(mode: bool, nan: bool) -> None:
    global enabled, stops_at_nan
    enabled, stops_at_nan = mode, nan


def is_anomaly_enabled() -> bool:
    """True while anomaly detection is on.

    >>> import webtorch
    >>> webtorch.is_anomaly_enabled()
    False
    """
    return enabled


def is_anomaly_detection_enabled() -> bool:
    """True while anomaly detection is on; another name of `is_anomaly_enabled`.

    >>> import webtorch
    >>> with webtorch.autograd.detect_anomaly():
    ...     webtorch.autograd.is_anomaly_detection_enabled()
    True
    """
    return enabled


def is_anomaly_check_nan_enabled() -> bool:
    """True when anomaly detection, once on, stops at NaN in gradients.

    >>> import webtorch
    >>> webtorch.is_anomaly_check_nan_enabled()
    True
    """
    return stops_at_nan


def checked(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, not {type(value).__name__}")
    return value


class detect_anomaly:
    """Find the operation whose derivative is NaN: `with detect_anomaly():` around forward and backward, or
    `detect_anomaly(function)`, which runs `function` so and returns its result.

    Every recorded operation then remembers where it was called; when a gradient turns NaN (with `check_nan`), or backward
    fails in any other way, the error names that line, and a warning shows the whole way to it. It makes recording slow.

    >>> import webtorch
    >>> x = webtorch.tensor([0.0], requires_grad=True)
    >>> with webtorch.autograd.detect_anomaly():
    ...     y = (x.log() * 0).sum()
    ...     y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: Function 'LogBackward0' returned nan values in its 0th output. ...
    """

    def __new__(cls, check_nan: Any = True) -> Any:
        scope = super().__new__(cls)
        if not callable(check_nan):
            return scope
        scope.__init__(True)  # type: ignore[misc]
        with scope:
            return check_nan()

    def __init__(self, check_nan: Any = True) -> None:
        self.check_nan = True if callable(check_nan) else checked(check_nan, "detect_anomaly(check_nan)")
        self.previous: tuple[bool, bool] = (enabled, stops_at_nan)
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self.previous = (enabled, stops_at_nan)
        set_mode(True, self.check_nan)

    def __exit__(self, *exception: object) -> None:
        set_mode(*self.previous)


class set_detect_anomaly:
    """Turn anomaly detection on or off, for all code that follows or for a `with` block; see `detect_anomaly`.

    >>> import webtorch
    >>> with webtorch.autograd.set_detect_anomaly(True, check_nan=False):
    ...     webtorch.is_anomaly_enabled(), webtorch.is_anomaly_check_nan_enabled()
    (True, False)
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = (enabled, stops_at_nan)
        set_mode(checked(mode, "set_detect_anomaly(mode)"), checked(check_nan, "set_detect_anomaly(check_nan)"))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        set_mode(*self.previous)


# ---- what nodes and the engine ask ----------------------------------------------------------------------------------


def remember(node: Node) -> None:
    """Keep on a new node the lines that led to it, without those of this package, and the node whose backward made it."""
    import traceback

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    node.metadata["traceback_"] = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
    parent = getattr(_running, "node", None)
    if parent is not None:
        node.metadata["parent_"] = parent


def line_of(node: Any) -> str:
    """The user's line that recorded a node, as file:line (code), or what to do to have it."""
    lines = node.metadata.get("traceback_")
    if not lines:
        return "no line is known: anomaly detection was off during the forward pass"
    innermost = lines[0]
    return f"{innermost.filename}:{innermost.lineno} ({innermost.line})"


def describe(node: Any) -> None:
    """Warn with the calls that recorded the node, and those of the nodes whose backward it belongs to."""
    import traceback

    lines = node.metadata.get("traceback_")
    if not lines:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during forward pass "
            "for more information.",
            stacklevel=2,
        )
    else:
        text = "".join(traceback.format_list(lines[::-1]))
        warnings.warn(
            f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{text}", stacklevel=2
        )
    parent = node.metadata.get("parent_")
    while parent is not None:
        lines = parent.metadata.get("traceback_")
        text = "".join(traceback.format_list(lines[::-1])) if lines else "(not known)\n"
        warnings.warn(
            f"\n\nPrevious calculation was induced by {parent.name()}. Traceback of forward call that induced the previous "
            f"calculation:\n{text}",
            stacklevel=2,
        )
        parent = parent.metadata.get("parent_")


def run(node: Any, gradients: list, needed: list | None = None) -> list:
    """`node.backward(gradients)`, with what goes wrong explained."""
    before = getattr(_running, "node", None)
    _running.node = node
    try:
        results = node.backward_for(gradients, needed)
        if stops_at_nan:
            for position, result in enumerate(results):
                if result is not None and has_nan(result):
                    raise RuntimeError(
                        f"Function '{node.name()}' returned nan values in its {position}th output. "
                        f"It was recorded at {line_of(node)}"
                    )
        return results
    except Exception:
        describe(node)
        raise
    finally:
        _running.node = before


def has_nan(gradient: Any) -> bool:
    from ..batching import exposed, levels_of
    from ..grad_mode import no_grad

    if not gradient.dtype.is_differentiable:
        return False
    with no_grad():
        whole = exposed(gradient, levels_of(gradient))
        return bool(whole.isnan().any().item())
