"""PyTorch's name for Apple's GPUs: here it is about the GPU that WebGPU drives, whatever its make."""

from __future__ import annotations

from .cuda import Event, device_count, empty_cache, get_rng_state, manual_seed, seed, set_rng_state, synchronize
from .cuda import is_available as is_available
from .cuda import memory_allocated as current_allocated_memory
from .cuda import memory_reserved as driver_allocated_memory

__all__ = [
    "Event", "current_allocated_memory", "device_count", "driver_allocated_memory", "empty_cache", "get_rng_state",
    "is_available", "manual_seed", "seed", "set_rng_state", "synchronize",
]  # fmt: skip
