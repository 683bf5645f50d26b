"""The standard's Fourier transform extension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import fft as own
from ..tensor import Tensor

ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY = ("fftn", "ifftn", "rfftn", "irfftn")

__all__ = [*ONE, *MANY, "fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def along_one(name: str) -> Callable[..., Tensor]:
    def call(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
        return getattr(own, name)(x, n, axis, norm)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The array API's `{name}`: `webtorch.fft.{name}` along one axis."
    return call


def along_many(name: str) -> Callable[..., Tensor]:
    def call(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
        return getattr(own, name)(x, s, axes, norm)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The array API's `{name}`: `webtorch.fft.{name}` along several axes."
    return call


for _name in ONE:
    globals()[_name] = along_one(_name)
for _name in MANY:
    globals()[_name] = along_many(_name)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of the elements of a transform of `n` samples, `d` apart."""
    return own.fftfreq(n, d, dtype=dtype, device=device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of the elements of a real transform of `n` samples, `d` apart."""
    return own.rfftfreq(n, d, dtype=dtype, device=device)


def fftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """The frequency zero brought to the middle."""
    return own.fftshift(x, axes)


def ifftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """What undoes `fftshift`."""
    return own.ifftshift(x, axes)
