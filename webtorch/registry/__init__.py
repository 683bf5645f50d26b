"""The extension API: ops, kernels, derivatives, functions, methods, dtypes and devices of users' own, added from outside
the package, and what is known of those there are. `NAMES` lists what of it stands in webtorch's own namespace."""

from __future__ import annotations

from typing import Any

from . import coverage, devices, element_types, functions, gradients, handles, information, kernels, ops
from .devices import DeviceRegistry, device_registry
from .element_types import DTypeRegistry, dtype_registry
from .handles import AutogradHandleImpl, DTypeHandleImpl
from .kernels import KernelRegistry, kernel_registry

# Each function by its name in snake_case, with torch.js's other names for it.
# fmt: off
FUNCTIONS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "coverage_report":         (coverage.coverage_report,           ("coverageReport",)),
    "find_kernel_with_predicate": (kernels.findKernelWithPredicate, ("findKernelWithPredicate",)),
    "get_autograd":            (gradients.getAutograd,              ("getAutograd",)),
    "get_device_config":       (devices.get_device_config,          ()),
    "get_device_context":      (devices.get_device_context,         ()),
    "get_dtype":               (element_types.getDType,             ("getDType",)),
    "get_dtype_info":          (element_types.get_dtype_info,       ()),
    "get_function":            (functions.getFunction,              ("getFunction",)),
    "get_kernel":              (kernels.getKernel,                  ("getKernel",)),
    "get_method":              (functions.getMethod,                ("getMethod",)),
    "get_op_info":             (information.get_op_info,            ("getOpInfo",)),
    "get_scalar_kernel":       (kernels.getScalarKernel,            ("getScalarKernel",)),
    "has_autograd":            (gradients.has_autograd,             ("hasAutograd",)),
    "has_device":              (devices.has_device,                 ()),
    "has_dtype":               (element_types.has_dtype,            ("hasDType",)),
    "has_function":            (functions.hasFunction,              ("hasFunction",)),
    "has_kernel":              (kernels.has_kernel,                 ("hasKernel",)),
    "has_method":              (functions.hasMethod,                ("hasMethod",)),
    "has_scalar_kernel":       (kernels.hasScalarKernel,            ("hasScalarKernel",)),
    "list_custom_devices":     (devices.list_custom_devices,        ()),
    "list_custom_dtypes":      (element_types.list_custom_dtypes,   ("listCustomDTypes",)),
    "list_dtypes":             (element_types.list_dtypes,          ("listDTypes",)),
    "list_functions":          (functions.list_functions,           ("listFunctions",)),
    "list_kernels":            (kernels.list_kernels,               ("listKernels",)),
    "list_methods":            (functions.list_methods,             ("listMethods",)),
    "list_ops":                (information.list_ops,               ("listOps",)),
    "register_backward":       (gradients.register_backward,        ("registerAutograd",)),
    "register_binary_op":      (ops.registerBinaryOp,               ("registerBinaryOp",)),
    "register_device":         (devices.register_device,            ()),
    "register_dtype":          (element_types.register_dtype,       ("registerDType",)),
    "register_forward":        (kernels.register_forward,           ("registerKernel",)),
    "register_function":       (functions.register_function,        ("registerFunction",)),
    "register_method":         (functions.register_method,          ("registerMethod",)),
    "register_scalar_forward": (kernels.register_scalar_forward,    ("registerScalarKernel",)),
    "register_unary_op":       (ops.registerUnaryOp,                ("registerUnaryOp",)),
    "unregister_device":       (devices.unregister_device,          ()),
    "validate_device":         (devices.validateDevice,             ("validateDevice",)),
    "validate_dtype":          (element_types.validateDType,        ("validateDType",)),
}
# fmt: on

CLASSES = {
    "AutogradHandleImpl": AutogradHandleImpl,
    "DTypeHandleImpl": DTypeHandleImpl,
    "DTypeRegistry": DTypeRegistry,
    "DeviceRegistry": DeviceRegistry,
    "KernelRegistry": KernelRegistry,
}

NAMES: dict[str, Any] = dict(CLASSES)
for _name, (_function, _aliases) in FUNCTIONS.items():
    for _each in (_name, *_aliases):
        NAMES[_each] = _function
globals().update(NAMES)

__all__ = [*NAMES, "device_registry", "dtype_registry", "handles", "kernel_registry"]
