"""DLPack by the place where PyTorch has it: `from_dlpack` and `to_dlpack`."""

from ..interop import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
