"""The sampler of programs that run in several processes, under PyTorch's module name."""

from .sampler import DistributedSampler

__all__ = ["DistributedSampler"]
