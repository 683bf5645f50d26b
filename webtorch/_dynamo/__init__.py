"""PyTorch's private place of its compiler, as far as programs use it: see `webtorch.compiler`."""

from ..compiler import allow_in_graph, disable, is_compiling, list_backends, reset
from . import config

__all__ = [
    "allow_in_graph",
    "config",
    "disable",
    "graph_break",
    "is_compiling",
    "list_backends",
    "mark_dynamic",
    "reset",
]


def graph_break() -> None:
    """Accepted; changes nothing.

    >>> graph_break()
    """


def mark_dynamic(t: object, index: object, **given: object) -> None:
    """Accepted: each new shape is recorded of itself.

    >>> mark_dynamic(None, 0)
    """
