"""Utilities around training: activation checkpointing, and trees of containers."""

from __future__ import annotations

import importlib
from types import ModuleType

from . import checkpoint as checkpoint
from . import pytree as pytree

__all__ = ["checkpoint", "pytree"]


def __getattr__(name: str) -> ModuleType:
    """What is imported when it is first used."""
    if name in ("benchmark",):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
