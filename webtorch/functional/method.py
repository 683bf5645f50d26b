"""Functions that are also methods of Tensor."""

from __future__ import annotations

from ..tensor import Tensor

METHODS: list[str] = []  # names of the functions below that are also methods


def method(function):
    """A function that is also a method of Tensor."""
    setattr(Tensor, function.__name__, function)
    METHODS.append(function.__name__)
    return function
