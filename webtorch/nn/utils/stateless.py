"""Modules called with other parameters than their own."""

from __future__ import annotations

from typing import Any

from ...func import functional_call as call
from ..module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: dict,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`webtorch.func.functional_call`, by its first name."""
    return call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
