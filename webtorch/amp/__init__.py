"""Automatic mixed precision: `autocast` regions, and `GradScaler` for gradients in float16 (PyTorch's `torch.amp`)."""

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler, OptState

__all__ = ["GradScaler", "OptState", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
