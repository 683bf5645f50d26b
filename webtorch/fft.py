"""Discrete Fourier transforms, with PyTorch's names. The module can be called: `webtorch.fft(x)` is `webtorch.fft.fft(x)`.

All are built on one row, the unscaled transform of complex numbers (`webtorch.ops.fft`), which makes them differentiable.
`norm` says where the factor 1/n goes: "backward" (the default) to the inverse, "forward" to the transform, and "ortho"
its root to both.
"""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Sequence
from typing import Any

from . import creation, dtypes
from .errors import DTypeError, ShapeError
from .movement import roll
from .ops import describe
from .ops.elementwise import store_out
from .ops.fft import from_half, half_weights, real_transform, transform
from .ops.pad import pad
from .shapes import normalize_dim
from .tensor import Tensor

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft",
    "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

NORMS = ("backward", "forward", "ortho")
Sizes = int | Sequence[int] | None

# ---- arguments ------------------------------------------------------------------------------------------------------


def checked(input: Any, call: str, real: bool = False) -> Tensor:
    """The input in a floating or complex dtype that has transforms."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{call}: expected a Tensor, got {type(input).__name__}; make one with webtorch.tensor(...)")
    if real and input.dtype.is_complex:
        raise DTypeError(
            f"{call}({describe(input)}): {call} expects a real input tensor, but got {input.dtype}; use {call[1:]}"
        )
    if input.dtype.is_floating_point and input.dtype.itemsize < 4:
        raise DTypeError(f"{call}({describe(input)}): unsupported dtype {input.dtype}; convert with .float() first")
    return input if input.dtype.is_differentiable else input.to(dtypes.get_default_dtype())


def as_complex(x: Tensor) -> Tensor:
    return x.to(x.dtype.to_complex())


def scale(norm: str | None, count: int, inverse: bool, call: str) -> float:
    """The factor that a transform of `count` elements is multiplied with."""
    norm = "backward" if norm is None else norm
    if norm not in NORMS:
        raise ValueError(f'{call}: Invalid normalization mode: "{norm}"; use one of {", ".join(map(repr, NORMS))}')
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "backward") == inverse else 1.0


def one_dim(x: Tensor, dim: int, call: str) -> int:
    if not x.ndim:
        raise ShapeError(f"{call}({describe(x)}): Dimension specified as {dim} but tensor has no dimensions")
    return normalize_dim(dim, x.ndim, call)


def sizes_and_dims(x: Tensor, s: Sizes, dim: Any, call: str, last_is_half: bool = False) -> tuple[list[int], list[int]]:
    """The lengths of a transform over several dimensions, and these: all by default, or the last len(s)."""
    dims = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
    lengths = None if s is None else [s] if isinstance(s, int) else list(s)
    if dims is not None:
        dims = [one_dim(x, each, call) for each in dims]
        if len(set(dims)) != len(dims):
            raise ShapeError(f"{call}({describe(x)}, dim={dim}): FFT dims must be unique")
        if lengths is not None and len(lengths) != len(dims):
            raise ShapeError(
                f"{call}({describe(x)}, s={s}, dim={dim}): When given, dim and shape arguments must have the same length"
            )
    elif lengths is not None:
        if len(lengths) > x.ndim:
            raise ShapeError(
                f"{call}({describe(x)}, s={s}): Got shape with {len(lengths)} values but input tensor only has {x.ndim} dimensions."
            )
        dims = list(range(x.ndim - len(lengths), x.ndim))
    else:
        dims = list(range(x.ndim))
    if last_is_half and not dims:
        raise ShapeError(f"{call}({describe(x)}): at least one dimension is needed")
    own = [x._shape[each] for each in dims]
    if last_is_half:
        own[-1] = 2 * (own[-1] - 1)
    lengths = (
        own if lengths is None else [mine if given == -1 else given for mine, given in zip(own, lengths, strict=True)]
    )
    for length in lengths:
        check_length(length, x, call)
    return lengths, dims


def check_length(length: Any, x: Tensor, call: str) -> int:
    if not isinstance(length, int) or length < 1:
        raise ShapeError(
            f"{call}({describe(x)}): Invalid number of data points ({length}) specified; it must be at least 1"
        )
    return length


def fitted(x: Tensor, length: int, dim: int) -> Tensor:
    """`x` with `length` elements along `dim`: cut, or filled up with zeros."""
    size = x._shape[dim]
    if size > length:
        return x.narrow(dim, 0, length)
    if size < length:
        shape = (*x._shape[:dim], length, *x._shape[dim + 1 :])
        return pad(x, (0,) * x.ndim, (1,) * x.ndim, shape, 0)
    return x


# ---- the transforms that all others are -----------------------------------------------------------------------------


def along(x: Tensor, dim: int, inverse: bool) -> Tensor:
    if dim == x.ndim - 1:
        return transform(x, inverse)
    return transform(x.transpose(dim, -1), inverse).transpose(dim, -1)


def scaled(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1.0 else x * factor


def complex_to_complex(
    input: Tensor, lengths: list[int], dims: list[int], norm: str | None, inverse: bool, call: str
) -> Tensor:
    x = as_complex(input)
    for length, dim in zip(lengths, dims, strict=True):
        x = fitted(x, length, dim)
    factor = scale(norm, math.prod(lengths), inverse, call)
    for dim in reversed(dims):
        x = along(x, dim, inverse)
    return scaled(x, factor)


def real_to_complex(
    input: Tensor, lengths: list[int], dims: list[int], norm: str | None, inverse: bool, call: str
) -> Tensor:
    """The transform of real numbers: of the last of `dims` only the frequencies that are not negative."""
    x = input
    for length, dim in zip(lengths, dims, strict=True):
        x = fitted(x, length, dim)
    factor = scale(norm, math.prod(lengths), inverse, call)
    if x.device.type == "cpu":
        x = real_transform(x.transpose(dims[-1], -1), inverse).transpose(dims[-1], -1)
    else:
        x = along(as_complex(x), dims[-1], inverse).narrow(dims[-1], 0, lengths[-1] // 2 + 1)
    for dim in reversed(dims[:-1]):
        x = along(x, dim, inverse)
    return scaled(x, factor)


def complex_to_real(
    input: Tensor, lengths: list[int], dims: list[int], norm: str | None, inverse: bool, call: str
) -> Tensor:
    """The transform of numbers of which `input` holds half along the last of `dims`: the others are their conjugates, so
    the result is real. Twice the real part of half of the sum is the whole sum."""
    x = as_complex(input)
    factor = scale(norm, math.prod(lengths), inverse, call)
    for length, dim in zip(lengths[:-1], dims[:-1], strict=True):
        x = fitted(x, length, dim)
    for dim in reversed(dims[:-1]):
        x = along(x, dim, inverse)
    length, dim = lengths[-1], dims[-1]
    x = fitted(x, length // 2 + 1, dim)
    if x.device.type == "cpu":
        return scaled(from_half(x.transpose(dim, -1), inverse, length).transpose(dim, -1), factor)
    shape = [1] * x.ndim
    shape[dim] = length // 2 + 1
    own = creation.tensor(half_weights(length), dtype=x.dtype.to_real(), device=x.device).reshape(tuple(shape))
    return scaled(along(fitted(x * own, length, dim), dim, inverse).real, factor).contiguous()


def single(
    input: Any, n: int | None, dim: int, call: str, real: bool = False, half: bool = False
) -> tuple[Tensor, list[int], list[int]]:
    """The input, the length and the dimension of a transform over one dimension, checked."""
    x = checked(input, call, real)
    where = one_dim(x, dim, call)
    length = n if n is not None else 2 * (x._shape[where] - 1) if half else x._shape[where]
    return x, [check_length(length, x, call)], [where]


def finish(result: Tensor, out: Tensor | None, call: str) -> Tensor:
    return result if out is None else store_out(call, result, out)


# ---- one dimension --------------------------------------------------------------------------------------------------


def fft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The discrete Fourier transform along `dim`, of the first `n` elements or filled up with zeros to `n`.

    Real numbers are taken as complex ones. Raises DTypeError for 16-bit floats, ShapeError for n < 1.

    >>> webtorch.fft.fft(webtorch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j, -2.-2.j])
    """
    return finish(complex_to_complex(*single(input, n, dim, "fft"), norm, False, "fft"), out, "fft")


def ifft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of `fft`.

    >>> webtorch.fft.ifft(webtorch.tensor([10.0, -2 + 2j, -2, -2 - 2j]))
    tensor([1.+0.j, 2.+0.j, 3.+0.j, 4.+0.j])
    """
    return finish(complex_to_complex(*single(input, n, dim, "ifft"), norm, True, "ifft"), out, "ifft")


def rfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The transform of real numbers: the n // 2 + 1 frequencies that are not negative; the others are their conjugates.

    >>> webtorch.fft.rfft(webtorch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j])
    """
    return finish(real_to_complex(*single(input, n, dim, "rfft", real=True), norm, False, "rfft"), out, "rfft")


def irfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of `rfft`: `n` real numbers, 2 * (size - 1) by default. Imaginary parts that could not be are ignored.

    >>> webtorch.fft.irfft(webtorch.tensor([10.0, -2 + 2j, -2]))
    tensor([1., 2., 3., 4.])
    """
    return finish(complex_to_real(*single(input, n, dim, "irfft", half=True), norm, True, "irfft"), out, "irfft")


def hfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The transform, which is real, of `n` numbers of which the second half are the conjugates of the first, given, half.

    >>> webtorch.fft.hfft(webtorch.tensor([1.0, 2.0j]))
    tensor([1., 1.])
    """
    return finish(complex_to_real(*single(input, n, dim, "hfft", half=True), norm, False, "hfft"), out, "hfft")


def ihfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of `hfft`: the first half of the inverse transform of real numbers.

    >>> webtorch.fft.ihfft(webtorch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([ 2.5000+0.0000j, -0.5000-0.5000j, -0.5000-0.0000j])
    """
    return finish(real_to_complex(*single(input, n, dim, "ihfft", real=True), norm, True, "ihfft"), out, "ihfft")


# ---- several dimensions ---------------------------------------------------------------------------------------------


def fftn(
    input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The transform over the dimensions `dim`, all by default, cut or filled up to the sizes `s` (-1 leaves one as it is).

    >>> webtorch.fft.fftn(webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[10.+0.j, -2.+0.j],
            [-4.+0.j,  0.+0.j]])
    """
    x = checked(input, "fftn")
    return finish(complex_to_complex(x, *sizes_and_dims(x, s, dim, "fftn"), norm, False, "fftn"), out, "fftn")


def ifftn(
    input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of `fftn`.

    >>> webtorch.fft.ifftn(webtorch.tensor([[10.0, -2.0], [-4.0, 0.0]]))
    tensor([[1.+0.j, 2.+0.j],
            [3.+0.j, 4.+0.j]])
    """
    x = checked(input, "ifftn")
    return finish(complex_to_complex(x, *sizes_and_dims(x, s, dim, "ifftn"), norm, True, "ifftn"), out, "ifftn")


def rfftn(
    input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The transform of real numbers over several dimensions: half of the frequencies along the last of them.

    >>> webtorch.fft.rfftn(webtorch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).shape
    webtorch.Size([2, 2])
    """
    x = checked(input, "rfftn", True)
    return finish(
        real_to_complex(x, *some(sizes_and_dims(x, s, dim, "rfftn"), "rfftn"), norm, False, "rfftn"), out, "rfftn"
    )


def irfftn(
    input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of `rfftn`; the last size is 2 * (size - 1) by default.

    >>> webtorch.fft.irfftn(webtorch.ones(2, 3)).shape
    webtorch.Size([2, 4])
    """
    x = checked(input, "irfftn")
    return finish(complex_to_real(x, *sizes_and_dims(x, s, dim, "irfftn", True), norm, True, "irfftn"), out, "irfftn")


def hfftn(
    input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """`hfft` over several dimensions: the last of them is given by half.

    >>> webtorch.fft.hfftn(webtorch.ones(2, 3)).shape
    webtorch.Size([2, 4])
    """
    x = checked(input, "hfftn")
    return finish(complex_to_real(x, *sizes_and_dims(x, s, dim, "hfftn", True), norm, False, "hfftn"), out, "hfftn")


def ihfftn(
    input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of `hfftn`.

    >>> webtorch.fft.ihfftn(webtorch.ones(2, 4)).shape
    webtorch.Size([2, 3])
    """
    x = checked(input, "ihfftn", True)
    return finish(
        real_to_complex(x, *some(sizes_and_dims(x, s, dim, "ihfftn"), "ihfftn"), norm, True, "ihfftn"), out, "ihfftn"
    )


def some(found: tuple[list[int], list[int]], call: str) -> tuple[list[int], list[int]]:
    if not found[1]:
        raise ShapeError(f"{call} must transform at least one axis")
    return found


def over_two(function: Any, name: str, what: str) -> Any:
    def transformed(
        input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
    ) -> Tensor:
        return function(input, s, dim, norm, out=out)

    transformed.__name__ = transformed.__qualname__ = name
    transformed.__doc__ = f"""`{what}` over two dimensions, the last ones by default.

    >>> webtorch.fft.{name}(webtorch.ones(2, 4)).shape == webtorch.fft.{what}(webtorch.ones(2, 4)).shape
    True
    """
    return transformed


fft2 = over_two(fftn, "fft2", "fftn")
ifft2 = over_two(ifftn, "ifft2", "ifftn")
rfft2 = over_two(rfftn, "rfft2", "rfftn")
irfft2 = over_two(irfftn, "irfft2", "irfftn")
hfft2 = over_two(hfftn, "hfft2", "hfftn")
ihfft2 = over_two(ihfftn, "ihfft2", "ihfftn")

# ---- frequencies ----------------------------------------------------------------------------------------------------


def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of the elements of `fft` of `n` samples, `d` apart: 0, 1, ..., then the negative ones, over n * d.

    >>> webtorch.fft.fftfreq(5)
    tensor([ 0.0000,  0.2000,  0.4000, -0.4000, -0.2000])
    """
    half = (n + 1) // 2
    numbers = [k if k < half else k - n for k in range(n)]
    return frequencies(numbers, n, d, out, dtype, device, requires_grad, "fftfreq")


def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of the elements of `rfft` of `n` samples that are `d` apart.

    >>> webtorch.fft.rfftfreq(5)
    tensor([0.0000, 0.2000, 0.4000])
    """
    return frequencies(list(range(n // 2 + 1)), n, d, out, dtype, device, requires_grad, "rfftfreq")


def frequencies(
    numbers: list[int], n: int, d: float, out: Any, dtype: Any, device: Any, requires_grad: bool, call: str
) -> Tensor:
    if n < 1:
        raise ShapeError(f"{call}({n}): n must be at least 1")
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    if not chosen.is_differentiable:
        raise DTypeError(f"{call}({n}, dtype={chosen}): requires a floating point or complex dtype")
    made = creation.tensor([number / (n * d) for number in numbers], dtype=chosen, device=device)
    return finish(made.requires_grad_() if requires_grad else made, out, call)


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The elements rolled so that frequency 0, first in a transform, stands in the middle.

    >>> webtorch.fft.fftshift(webtorch.tensor([0, 1, 2, -2, -1]))
    tensor([-2, -1,  0,  1,  2])
    """
    dims = shift_dims(input, dim, "fftshift")
    return roll(input, [input._shape[each] // 2 for each in dims], dims) if dims else input


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`.

    >>> webtorch.fft.ifftshift(webtorch.tensor([-2, -1, 0, 1, 2]))
    tensor([ 0,  1,  2, -2, -1])
    """
    dims = shift_dims(input, dim, "ifftshift")
    return roll(input, [(input._shape[each] + 1) // 2 for each in dims], dims) if dims else input


def shift_dims(input: Tensor, dim: Any, call: str) -> list[int]:
    if dim is None:
        return list(range(input.ndim))
    return [one_dim(input, each, call) for each in ([dim] if isinstance(dim, int) else dim)]


class CallableModule(types.ModuleType):
    """This module: called, it is its function of the same name."""

    def __call__(self, input: Tensor, *args: Any, **options: Any) -> Tensor:
        return fft(input, *args, **options)


sys.modules[__name__].__class__ = CallableModule
