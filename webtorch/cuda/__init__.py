"""PyTorch's name for what belongs to GPUs: here they stand for webgpu."""

from . import amp

__all__ = ["amp"]
