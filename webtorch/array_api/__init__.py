"""The Python array API standard, version 2024.12, over webtorch's tensors (https://data-apis.org/array-api/2024.12).

`tensor.__array_namespace__()` is this module. The names that the standard and PyTorch give another meaning (`equal`, `max`,
`std`, `squeeze`, `repeat`, ...) have the standard's here and PyTorch's in `webtorch`. Two of the standard's wishes cannot be
fulfilled: the unsigned types of 16, 32 and 64 bits do not exist, and `size` is a method of tensors, as in PyTorch (use
`math.prod(x.shape)`).
"""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import bool_ as bool
from ..dtypes import complex64, complex128, float32, float64, int8, int16, int32, int64, uint8
from ..errors import DTypeError
from ..tensor import Tensor
from . import fft, linalg
from .arrangement import *
from .creation_functions import *
from .elementwise import *
from .info import __array_namespace_info__
from .statistics import *

__array_api_version__ = "2024.12"
VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")
e, inf, nan, newaxis, pi = math.e, math.inf, math.nan, None, math.pi


def __getattr__(name: str) -> Any:
    if name in ("uint16", "uint32", "uint64"):
        raise DTypeAbsent(f"webtorch has no {name}; use uint8, or a signed type such as int64")
    raise AttributeError(f"module 'webtorch.array_api' has no attribute {name!r}")


class DTypeAbsent(DTypeError, AttributeError):
    """Raised for the standard's data types that webtorch has not, so that `hasattr` says so."""


def namespace(self: Tensor, /, *, api_version: str | None = None) -> Any:
    """The array API namespace of this tensor. Raises ValueError for a version that it does not follow."""
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(f"__array_namespace__(api_version={api_version!r}): the versions are {', '.join(VERSIONS)}")
    import webtorch.array_api

    return webtorch.array_api


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """This tensor on a device, itself where it is there already: the array API's `to`."""
    if stream is not None:
        raise ValueError(f"to_device(stream={stream!r}): webtorch has no streams; leave it out")
    return self.to(device=device)
