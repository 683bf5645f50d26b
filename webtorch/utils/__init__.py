"""Utilities around training: activation checkpointing, and trees of containers."""

from . import checkpoint as checkpoint
from . import pytree as pytree

__all__ = ["checkpoint", "pytree"]
