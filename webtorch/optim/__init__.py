"""Optimizers, and schedules of their learning rate (`lr_scheduler`)."""

from . import lr_scheduler
from .algorithms import *  # noqa: F403
from .algorithms import __all__ as _algorithms
from .optimizer import Optimizer

__all__ = ["Optimizer", "lr_scheduler", *_algorithms]
