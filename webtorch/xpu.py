"""PyTorch's name for Intel's GPUs: here it is about the GPU that WebGPU drives, whatever its make."""

from __future__ import annotations

from .cuda import (
    Event,
    Stream,
    current_device,
    current_stream,
    device,
    device_count,
    empty_cache,
    get_device_name,
    get_device_properties,
    is_available,
    manual_seed,
    manual_seed_all,
    max_memory_allocated,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
    set_device,
    synchronize,
)

__all__ = [
    "Event", "Stream", "current_device", "current_stream", "device", "device_count", "empty_cache", "get_device_name",
    "get_device_properties", "is_available", "manual_seed", "manual_seed_all", "max_memory_allocated", "memory_allocated",
    "memory_reserved", "reset_peak_memory_stats", "set_device", "synchronize",
]  # fmt: skip
