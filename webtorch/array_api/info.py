"""What the standard lets a program ask of the namespace: devices, data types, what is possible."""

from __future__ import annotations

from typing import Any

from .. import codegen, devices, dtypes, engine
from ..devices import device as Device
from .creation_functions import isdtype

STANDARD = (
    dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8, dtypes.float32, dtypes.float64,
    dtypes.complex64, dtypes.complex128,
)  # fmt: skip


class Info:
    """What `__array_namespace_info__` returns.

    >>> info = webtorch.array_api.__array_namespace_info__()
    >>> info.default_dtypes()["real floating"], sorted(info.dtypes(kind="complex floating"))
    (webtorch.float32, ['complex128', 'complex64'])
    """

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing and shapes that depend on values are possible; dimensions are not limited."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> Device:
        """The device on which arrays are made when none is named."""
        return devices.get_default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The types that numbers of each kind get when none is named."""
        return {
            "real floating": dtypes.get_default_dtype(),
            "complex floating": dtypes.default_complex_dtype(),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def devices(self) -> list[Device]:
        """The devices of this machine."""
        return [Device("cpu"), *([Device("webgpu")] if devices.is_webgpu_available() else [])]

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The standard's data types that exist on a device, by name, or those of a kind among them."""
        where = devices.get_default_device() if device is None else Device(device)
        return {
            dtype.name: dtype
            for dtype in STANDARD
            if (kind is None or isdtype(dtype, kind)) and (where.type != "webgpu" or on_gpu(dtype))
        }


def on_gpu(dtype: Any) -> bool:
    from ..backends import wgpu as backend

    try:
        codegen.check_features(dtype, engine.limits_of(backend.get_device()), "dtypes()")
    except (RuntimeError, TypeError):
        return False
    return True


def __array_namespace_info__() -> Info:  # noqa: N807 (the standard's name)
    """What this namespace has: capabilities, devices, data types."""
    return Info()
