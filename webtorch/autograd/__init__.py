"""Automatic differentiation: gradients, gradient modes, and functions with a derivative of one's own."""

from ..grad_mode import (
    enable_grad,
    grad_mode,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from . import graph, tensor_methods
from .engine import backward, grad
from .function import Function, FunctionCtx, once_differentiable
from .gradcheck import gradcheck, gradgradcheck
from .graph import Node

__all__ = [
    "Function", "FunctionCtx", "Node", "backward", "enable_grad", "grad", "grad_mode", "gradcheck", "gradgradcheck", "graph",
    "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "once_differentiable", "set_grad_enabled",
    "set_multithreading_enabled", "tensor_methods",
]  # fmt: skip
