"""Switches of CUDA, which is not used here: they can be set, and change nothing. Products of float32 are exact to float32
whatever `matmul.allow_tf32` says, and attention is one kernel of its own."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="ieee",
)
cufft_plan_cache = SimpleNamespace(max_size=0, size=0, clear=lambda: None)
_attention = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """False: there is no CUDA here; `webtorch.cuda.is_available` is about the GPU.

    >>> is_built()
    False
    """
    return False


def _switch(name: str) -> tuple[Any, Any]:
    def enable(enabled: bool) -> None:
        _attention[name] = bool(enabled)

    def is_enabled() -> bool:
        return _attention[name]

    enable.__name__, is_enabled.__name__ = f"enable_{name}_sdp", f"{name}_sdp_enabled"
    enable.__doc__ = "Accepted: there is one kernel for attention."
    is_enabled.__doc__ = f"What `enable_{name}_sdp` was told."
    return enable, is_enabled


enable_flash_sdp, flash_sdp_enabled = _switch("flash")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = _switch("mem_efficient")
enable_math_sdp, math_sdp_enabled = _switch("math")
enable_cudnn_sdp, cudnn_sdp_enabled = _switch("cudnn")


def sdp_kernel(**choices: bool) -> contextlib.AbstractContextManager:
    """Accepted: there is one kernel for attention.

    >>> with sdp_kernel(enable_flash=False):
    ...     pass
    """
    return contextlib.nullcontext()


def preferred_linalg_library(backend: Any = None) -> str:
    """Accepted: linear algebra is numpy's on the cpu and webtorch's own on the GPU.

    >>> preferred_linalg_library()
    'default'
    """
    return "default"
