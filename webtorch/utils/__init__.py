"""Utilities around training: activation checkpointing, and trees of containers."""

from . import checkpoint, pytree

__all__ = ["checkpoint", "pytree"]
