"""Handles of hooks, under the name that PyTorch has for their module."""

from ..autograd.graph import RemovableHandle

__all__ = ["RemovableHandle"]
