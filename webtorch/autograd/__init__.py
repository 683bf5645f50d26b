"""Automatic differentiation: gradients, gradient modes, and functions with a derivative of one's own."""

from ..grad_mode import (
    enable_grad,
    force_original_view_tracking,
    grad_mode,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    is_multithreading_enabled,
    is_view_replay_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
    unsafe_preserve_version_counter,
)
from . import anomaly, forward_ad, functional, graph, saved, tensor_methods
from .anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_detection_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from .engine import GradientEdge, backward, get_gradient_edge, grad
from .function import Function, FunctionCtx, apply, once_differentiable
from .functional import hessian, hvp, jacobian, jvp, vhp, vjp
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .graph import Node
from .multi import increment_version, register_multi_grad_hook
from .saved import (
    PackHook,
    UnpackHook,
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    save_on_cpu,
    saved_tensors_hooks,
)

executeBackward = backward  # torch.js has both names
# torch.js lists the methods of Function and of the context it hands out beside the classes.
mark_dirty = FunctionCtx.mark_dirty
mark_non_differentiable = FunctionCtx.mark_non_differentiable
save_for_backward = FunctionCtx.save_for_backward
set_materialize_grads = FunctionCtx.set_materialize_grads
GradcheckResult = bool  # what gradcheck returns

# PyTorch has these in `autograd.graph`, too.
for _public in (
    GradientEdge, allow_mutation_on_saved_tensors, disable_saved_tensors_hooks, get_gradient_edge, increment_version,
    register_multi_grad_hook, save_on_cpu, saved_tensors_hooks,
):  # fmt: skip
    setattr(graph, _public.__name__, _public)

__all__ = [
    "Function", "FunctionCtx", "GradcheckError", "GradcheckResult", "GradientEdge", "Node", "PackHook", "UnpackHook",
    "allow_mutation_on_saved_tensors", "anomaly", "apply", "backward", "detect_anomaly", "disable_saved_tensors_hooks",
    "enable_grad", "executeBackward", "force_original_view_tracking", "forward_ad", "functional", "get_gradient_edge",
    "grad", "grad_mode", "gradcheck", "gradgradcheck", "graph", "hessian", "hvp", "increment_version",
    "inference_mode", "is_anomaly_check_nan_enabled", "is_anomaly_detection_enabled", "is_anomaly_enabled",
    "is_grad_enabled", "is_inference_mode_enabled", "is_multithreading_enabled", "is_view_replay_enabled", "jacobian",
    "jvp", "no_grad", "once_differentiable", "register_multi_grad_hook", "save_on_cpu", "saved",
    "saved_tensors_hooks", "set_detect_anomaly", "set_grad_enabled", "set_multithreading_enabled", "tensor_methods",
    "unsafe_preserve_version_counter", "vhp", "vjp",
]  # fmt: skip

_PROFILER = ("EmitNvtxContext", "ProfilerContext", "ProfilerKeyAverages", "emit_nvtx", "profile", "record_function")


_OF_PROFILE = (
    "export_chrome_trace",
    "key_averages",
    "start",
    "stop",
    "table",
)  # its methods, which torch.js lists, too


def __getattr__(name: str):
    """The profiler is imported when it is first used."""
    if name in ("Variable", "variable"):
        from .. import tensor_types

        return tensor_types if name == "variable" else tensor_types.Variable
    if name == "profiler_util":
        from .. import profiler_events

        return profiler_events
    if name in _OF_PROFILE:
        return getattr(__getattr__("profile"), name)
    if name == "profiler" or name in _PROFILER:
        import importlib

        module = importlib.import_module(f"{__name__}.profiler")
        return module if name == "profiler" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
