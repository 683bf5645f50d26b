"""PyTorch's private place of its code generator: switches that programs set, and that change nothing here."""

from . import config

__all__ = ["config"]
