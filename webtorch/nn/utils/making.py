"""Modules made without drawing initial values, and parameters as PyTorch lays them out in memory."""

from __future__ import annotations

import inspect
from typing import Any

from ...devices import get_default_device
from ..module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format", "skip_init"]


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Module:
    """A module whose parameters are not set: for weights that will be loaded.

    >>> import webtorch
    >>> webtorch.nn.utils.skip_init(webtorch.nn.Linear, 3, 2).weight.shape
    webtorch.Size([2, 3])
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", None)
    made = module_cls(*args, device="meta", **kwargs)
    return made.to_empty(device=get_default_device() if device is None else device)


def convert_conv2d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """The module itself: tensors have one memory format."""
    return module


def convert_conv3d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """The module itself: tensors have one memory format."""
    return module
