"""The GPU through WebGPU: one device for the process, its memory, its compiled kernels and the open batch of work.

``get_device()`` is the way in. Importing this package does not touch a GPU, nor import wgpu.
"""

from __future__ import annotations

from webtorch.backends.wgpu.buffers import Buffer
from webtorch.backends.wgpu.device import (
    Adapter,
    Limits,
    WebGPUDevice,
    current_device,
    find_adapters,
    get_device,
    reset_device,
)
from webtorch.backends.wgpu.pipelines import Pipeline

__all__ = [
    "Adapter",
    "Buffer",
    "Limits",
    "Pipeline",
    "WebGPUDevice",
    "current_device",
    "find_adapters",
    "get_device",
    "reset_device",
]
