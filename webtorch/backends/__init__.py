"""What a backend is: the code that holds buffers of bytes and runs kernels on them.

A backend knows nothing of tensors, gradients or op names. The engine hands it finished kernels and bytes:

- ``allocate(nbytes)`` gives a buffer, returned to its pool when the Python object dies; ``OutOfMemoryError``.
- ``upload(data)`` makes a buffer from C-contiguous bytes; ``read(buffer, nbytes, offset)`` gives them back as a uint8
  array, after all work recorded before; ``copy(source, target, nbytes)`` is ordered with the kernels.
- ``pipeline(source, label, reads, writes, params_size, entry)`` compiles a kernel once; ``ShaderCompileError``.
- ``dispatch(pipeline, bindings, params, workgroups)`` records one run of it. Work happens in the order of the calls.
- ``flush()`` hands recorded work to the device, ``sync()`` also waits for it.
- ``limits`` and ``features`` say what kernels may use; ``stats()`` what memory and work there was.

``backends.wgpu`` is the GPU through WebGPU. ``backends.numpy`` evaluates each op at once with numpy and needs none of
the kernel calls.
"""

from __future__ import annotations

import importlib
from types import ModuleType

# PyTorch's places of switches, by its names.
SWITCHES = ("cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum")


def __getattr__(name: str) -> ModuleType:
    if name in SWITCHES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
