"""Window functions, logarithmic ramps, and tensors over bytes: made on the host, once, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import creation, dtypes
from .errors import DTypeError, ShapeError
from .tensor import Tensor

__all__ = [
    "bartlett_window", "blackman_window", "frombuffer", "hamming_window", "hann_window", "kaiser_window", "logspace",
]  # fmt: skip


def window(
    name: str,
    length: int,
    periodic: bool,
    dtype: Any,
    device: Any,
    requires_grad: bool,
    formula: Callable[[np.ndarray], Any],
) -> Tensor:
    """`formula` of the positions from 0 to 1; a periodic window is a symmetric one that is longer by 1, cut."""
    if length < 0:
        raise ShapeError(f"{name}({length}): requires non-negative window_length, got window_length={length}")
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    if not chosen.is_floating_point:
        raise DTypeError(f"{name}(dtype={chosen}): expects floating point dtypes; use float32")
    count = length + 1 if periodic else length
    values = np.ones(length) if length <= 1 else formula(np.arange(count) / (count - 1))[:length]
    array = np.ascontiguousarray(np.asarray(values).astype(chosen.numpy))
    return creation.finish(creation.leaf(array, creation.resolve(device), dtype=chosen), requires_grad)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:  # fmt: skip
    """A triangle from 0 up to 1 and down again; periodic (for spectra) or symmetric (for filters).

    >>> import webtorch
    >>> webtorch.bartlett_window(5, periodic=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    formula = lambda x: 1 - np.abs(2 * x - 1)
    return window("bartlett_window", window_length, periodic, dtype, device, requires_grad, formula)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:  # fmt: skip
    """0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x) for x from 0 to 1.

    >>> import webtorch
    >>> webtorch.blackman_window(4)[2]
    tensor(1.)
    """
    formula = lambda x: np.maximum(0.42 - 0.5 * np.cos(2 * np.pi * x) + 0.08 * np.cos(4 * np.pi * x), 0)
    return window("blackman_window", window_length, periodic, dtype, device, requires_grad, formula)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """alpha - beta cos(2 pi x) for x from 0 to 1.

    >>> import webtorch
    >>> webtorch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    formula = lambda x: alpha - beta * np.cos(2 * np.pi * x)
    return window("hamming_window", window_length, periodic, dtype, device, requires_grad, formula)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:  # fmt: skip
    """(1 - cos(2 pi x)) / 2 for x from 0 to 1.

    >>> import webtorch
    >>> webtorch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    formula = lambda x: 0.5 - 0.5 * np.cos(2 * np.pi * x)
    return window("hann_window", window_length, periodic, dtype, device, requires_grad, formula)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """I0(beta sqrt(1 - (2x - 1)^2)) / I0(beta) for x from 0 to 1, I0 being the modified Bessel function of order 0.

    >>> import webtorch
    >>> webtorch.kaiser_window(4)[2]
    tensor(1.)
    """
    formula = lambda x: np.i0(beta * np.sqrt(np.maximum(1 - (2 * x - 1) ** 2, 0))) / np.i0(beta)
    return window("kaiser_window", window_length, periodic, dtype, device, requires_grad, formula)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """`steps` numbers from base^start to base^end, evenly spaced on a logarithmic scale.

    >>> import webtorch
    >>> webtorch.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if steps < 0:
        raise ShapeError(f"logspace({start}, {end}, {steps}): number of steps must be non-negative")
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    if not chosen.is_differentiable:
        start, end = int(start), int(end)
    exponents = np.linspace(float(start), float(end), int(steps))
    array = np.ascontiguousarray(np.power(float(base), exponents).astype(chosen.numpy))
    result = creation.leaf(array, creation.resolve(device), dtype=chosen)
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("logspace", result, out)
    return creation.finish(result, requires_grad)


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector over the bytes of an object that has some (bytearray, array, memoryview, ...), from `offset` bytes on.

    On the cpu, of a writable object, it shares the memory; of a read-only one it is a copy, so that writing to the
    tensor cannot change an immutable object. Raises ValueError when the bytes do not fit.

    >>> import webtorch
    >>> webtorch.frombuffer(bytearray([1, 0, 2, 0]), dtype=webtorch.int16)
    tensor([1, 2], dtype=webtorch.int16)
    """
    chosen = dtypes.as_dtype(dtype)
    room = memoryview(buffer).nbytes
    call = f"frombuffer(dtype={chosen}, count={count}, offset={offset})"
    if not 0 <= offset < room or count == 0:
        raise ValueError(f"{call}: the buffer has {room} bytes; offset must lie inside, and count must not be zero")
    if count < 0 and (room - offset) % chosen.itemsize:
        raise ValueError(
            f"{call}: buffer length ({room - offset} bytes) after offset must be a multiple of element size"
        )
    if count > 0 and offset + count * chosen.itemsize > room:
        raise ValueError(f"{call}: requested buffer length ({count} elements) exceeds the buffer of {room} bytes")
    array = np.frombuffer(buffer, chosen.memory, count, offset)
    writeable = array if array.flags.writeable else array.copy()
    shared = creation.leaf(writeable, creation.resolve("cpu"), dtype=chosen)
    return creation.finish(shared, requires_grad)
