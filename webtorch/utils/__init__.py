"""Utilities around training: datasets and loaders, activation checkpointing, logs for TensorBoard, trees of containers."""

from __future__ import annotations

import importlib
from types import ModuleType

from . import checkpoint as checkpoint
from . import dlpack as dlpack
from . import hooks as hooks
from . import pytree as pytree

__all__ = ["checkpoint", "data", "dlpack", "hooks", "pytree", "tensorboard"]


def __getattr__(name: str) -> ModuleType:
    """What is imported when it is first used."""
    if name in ("benchmark", "data", "tensorboard"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
