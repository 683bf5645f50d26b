"""The few names of PyTorch's private C module that programs use."""

from .linalg import LinAlgError
from .random import Generator

_LinAlgError = LinAlgError

__all__ = ["Generator"]
