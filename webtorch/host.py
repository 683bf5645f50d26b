"""Work that a GPU hands to numpy: never silently. Each function that does so warns the first time and is counted."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np

from . import batching
from .tensor import Tensor

_counts: dict[str, int] = {}
_lock = threading.Lock()


def arrays(call: str, why: str, *tensors: Tensor) -> list[np.ndarray]:
    """The values of tensors for numpy to work on; when they lie on a GPU, the move is counted and the first one warned of."""
    if any(tensor.device.type == "webgpu" for tensor in tensors):
        moved(call, why, 5)
    return [tensor.detach()._array().reshape(tensor._shape) for tensor in tensors]


def moved(call: str, why: str, stacklevel: int = 2) -> None:
    """Count that a call moved its work from a GPU to the host, and warn of the first."""
    with _lock:
        first = call not in _counts
        _counts[call] = _counts.get(call, 0) + 1
    if first:
        warnings.warn(
            f"{call}: {why}; it is computed by numpy on the host and the result is moved back to the GPU. "
            "webtorch.webgpu.host_fallbacks() counts such calls",
            stacklevel=stacklevel,
        )


def fallbacks() -> dict[str, int]:
    """How often each function moved its work from a GPU to the host so far."""
    with _lock:
        return dict(_counts)


def batches(*values: Any) -> bool:
    """Whether any value has hidden dimensions (vmap)."""
    return batching.batched(values)
