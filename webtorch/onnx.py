"""PyTorch's place for ONNX files, which webtorch does not write: each call raises MissingNameError."""

from __future__ import annotations

from typing import Any

from .errors import MissingNameError

__all__ = ["export", "is_in_onnx_export"]


def export(*args: Any, **given: Any) -> None:
    """Raises MissingNameError: webtorch writes no ONNX. Save a state dict and export it from PyTorch."""
    raise MissingNameError(
        "onnx.export: webtorch writes no ONNX files; save the weights with torch.save(module.state_dict(), file), and export "
        "from PyTorch, which reads that file"
    )


def is_in_onnx_export() -> bool:
    """False.

    >>> is_in_onnx_export()
    False
    """
    return False
