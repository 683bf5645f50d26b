"""Window functions under PyTorch's names, as `torch.signal.windows` has them: symmetric by default, or periodic."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import creation, dtypes
from ..tensor import Tensor

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann", "kaiser",
    "nuttall",
]  # fmt: skip


def window(weights: Callable[..., np.ndarray]) -> Callable[..., Tensor]:
    """A function of the number of samples from one of places: 0 to M - 1, and the distance M - 1 (M of a periodic window)."""

    @functools.wraps(weights)
    def function(
        M: int, *args: Any, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        **given: Any,
    ) -> Tensor:  # fmt: skip
        call = f"signal.windows.{weights.__name__}"
        if M < 0:
            raise ValueError(f"{call}: requires non-negative window length, got M={M}")
        wanted = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
        if wanted not in (dtypes.float32, dtypes.float64):
            raise ValueError(
                f"{call}: expects float32 or float64 dtype, got {wanted}; convert the result with .to(...)"
            )
        span = M - 1 if sym else M
        values = np.ones(M) if M == 1 else weights(np.arange(M, dtype=np.float64), span, *args, **given)
        return creation.tensor(values.astype(wanted.numpy), dtype=wanted, device=device, requires_grad=requires_grad)

    return function


@window
def general_cosine(place: np.ndarray, span: int, *, a: Iterable[float]) -> np.ndarray:
    """A sum of cosines with the factors `a`, whose signs alternate.

    >>> import webtorch
    >>> webtorch.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    factors = list(a)
    if not factors:
        raise ValueError("signal.windows.general_cosine: Coefficients cannot be empty")
    turn = 2 * np.pi * place / span
    return sum(((-1) ** k * factor * np.cos(k * turn) for k, factor in enumerate(factors)), np.zeros_like(place))


def cosines(*factors: float) -> Callable:
    return lambda place, span: general_cosine.__wrapped__(place, span, a=factors)  # type: ignore[attr-defined]


@window
def general_hamming(place: np.ndarray, span: int, *, alpha: float = 0.54) -> np.ndarray:
    """alpha - (1 - alpha) cos(2 pi n / (M - 1)).

    >>> import webtorch
    >>> webtorch.signal.windows.general_hamming(3, alpha=0.5)
    tensor([0., 1., 0.])
    """
    return cosines(alpha, 1 - alpha)(place, span)


@window
def hamming(place: np.ndarray, span: int) -> np.ndarray:
    """Hamming's window: `general_hamming` with 0.54.

    >>> import webtorch
    >>> webtorch.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return cosines(0.54, 0.46)(place, span)


@window
def hann(place: np.ndarray, span: int) -> np.ndarray:
    """Hann's window: `general_hamming` with 0.5.

    >>> import webtorch
    >>> webtorch.signal.windows.hann(4, sym=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return cosines(0.5, 0.5)(place, span)


@window
def blackman(place: np.ndarray, span: int) -> np.ndarray:
    """Blackman's window, of three cosines.

    >>> import webtorch
    >>> webtorch.signal.windows.blackman(3)[1]
    tensor(1.)
    """
    return cosines(0.42, 0.5, 0.08)(place, span)


@window
def nuttall(place: np.ndarray, span: int) -> np.ndarray:
    """Nuttall's window, of four cosines.

    >>> import webtorch
    >>> webtorch.signal.windows.nuttall(3)[1]
    tensor(1.)
    """
    return cosines(0.3635819, 0.4891775, 0.1365995, 0.0106411)(place, span)


@window
def bartlett(place: np.ndarray, span: int) -> np.ndarray:
    """A triangle.

    >>> import webtorch
    >>> webtorch.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return 1 - np.abs(2 * place / span - 1)


@window
def cosine(place: np.ndarray, span: int) -> np.ndarray:
    """Half a wave of the sine.

    >>> import webtorch
    >>> webtorch.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    return np.sin(np.pi * (place + 0.5) / (span + 1))


@window
def exponential(place: np.ndarray, span: int, *, center: float | None = None, tau: float = 1.0) -> np.ndarray:
    """exp(-|n - center| / tau), around the middle unless a periodic window has another `center`.

    >>> import webtorch
    >>> webtorch.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"signal.windows.exponential: Tau must be positive, got: {tau} instead.")
    if center is not None and span < len(place):
        raise ValueError("signal.windows.exponential: Center must be None for symmetric windows; pass sym=False")
    return np.exp(-np.abs(place - (span / 2 if center is None else center)) / tau)


@window
def gaussian(place: np.ndarray, span: int, *, std: float = 1.0) -> np.ndarray:
    """The bell of the normal distribution with a standard deviation of `std` samples.

    >>> import webtorch
    >>> webtorch.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"signal.windows.gaussian: Standard deviation must be positive, got: {std} instead.")
    return np.exp(-0.5 * ((place - span / 2) / std) ** 2)


@window
def kaiser(place: np.ndarray, span: int, *, beta: float = 12.0) -> np.ndarray:
    """Kaiser's window: `beta` sets its width.

    >>> import webtorch
    >>> webtorch.signal.windows.kaiser(3, beta=0.0)
    tensor([1., 1., 1.])
    """
    if beta < 0:
        raise ValueError(f"signal.windows.kaiser: beta must be non-negative, got: {beta} instead.")
    side = 2 * place / span - 1
    return np.i0(beta * np.sqrt(np.maximum(1 - side * side, 0))) / np.i0(beta)
