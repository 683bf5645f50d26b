"""Optimizers, schedules of their learning rate (`lr_scheduler`), and averages of models (`swa_utils`)."""

from types import ModuleType

from . import lr_scheduler
from .algorithms import *  # noqa: F403
from .algorithms import __all__ as _algorithms
from .further import *  # noqa: F403
from .further import __all__ as _further
from .lbfgs import LBFGS
from .matrices import Adafactor, Muon
from .optimizer import Optimizer

__all__ = ["Adafactor", "LBFGS", "Muon", "Optimizer", "lr_scheduler", *_algorithms, *_further]


def __getattr__(name: str) -> ModuleType:
    """`swa_utils` needs `nn`, so it is imported when it is first used."""
    if name == "swa_utils":
        import importlib

        return importlib.import_module(f"{__name__}.swa_utils")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
