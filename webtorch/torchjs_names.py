"""Names of the torch.js index that say something about the build or the machinery, and mean little in Python."""

from __future__ import annotations

import os
import types
from typing import Any

from . import devices
from .errors import DeviceError
from .ops.elementwise import store_out
from .tensor import Tensor

__all__ = [
    "applyOut", "apply_out", "compiled_with_cxx11_abi", "createTorch", "create_torch", "get_device_module", "get_file_path",
    "profiler_allow_cudagraph_cupti_lazy_reinit_cuda12",
]  # fmt: skip


def apply_out(result: Tensor, out: Tensor | None = None) -> Tensor:
    """What `out=` does: `result` written into `out`, which is returned; `result` itself when there is no `out`.

    Raises DTypeError when `out` cannot hold the dtype, RuntimeError when autograd would have to record the write.

    >>> import webtorch
    >>> out = webtorch.zeros(2)
    >>> webtorch.apply_out(webtorch.ones(2), out) is out
    True
    """
    return result if out is None else store_out("apply_out", result, out)


def compiled_with_cxx11_abi() -> bool:
    """Whether the library was built with the C++11 ABI of strings: true, as in every PyTorch since 2.6; nothing here
    depends on it.

    >>> import webtorch
    >>> webtorch.compiled_with_cxx11_abi()
    True
    """
    return True


def create_torch(save: Any = None, load: Any = None) -> types.ModuleType:
    """The webtorch module; with `save` and `load` a copy of its namespace in which these take the places of its own.

    >>> import webtorch
    >>> webtorch.create_torch() is webtorch
    True
    >>> webtorch.create_torch(save=print).save is print
    True
    """
    import webtorch

    if save is None and load is None:
        return webtorch
    made = types.ModuleType("webtorch", webtorch.__doc__)
    made.__dict__.update(vars(webtorch))
    made.__dict__["__getattr__"] = webtorch.__getattr__
    for name, function in (("save", save), ("load", load)):
        if function is not None:
            setattr(made, name, function)
    return made


def get_device_module(device: Any = None) -> types.ModuleType:
    """The module that belongs to a device (by default the default device): `webtorch.webgpu`, or for the cpu
    `webtorch.devices`. Raises DeviceError for a device that does not exist.

    >>> import webtorch
    >>> webtorch.get_device_module("webgpu").__name__
    'webtorch.webgpu'
    """
    import importlib

    wanted = devices.get_default_device() if device is None else devices.device(device)
    if wanted.type == "webgpu":
        return importlib.import_module("webtorch.webgpu")
    if wanted.type == "cpu":
        return devices
    raise DeviceError(f"get_device_module({device!r}): there is no module for device {wanted}")


def get_file_path(*path_components: str) -> str:
    """The path of a file beside the package, from the parts of its name: "webtorch", "ops" and so on.

    >>> import webtorch
    >>> webtorch.get_file_path("webtorch", "version.py").endswith("version.py")
    True
    """
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), *path_components)


def profiler_allow_cudagraph_cupti_lazy_reinit_cuda12() -> bool:
    """Whether CUDA's profiler may be started anew between graphs: there is no CUDA here, and no such graph to break.

    >>> import webtorch
    >>> webtorch.profiler_allow_cudagraph_cupti_lazy_reinit_cuda12()
    True
    """
    return True


applyOut = apply_out
createTorch = create_torch
