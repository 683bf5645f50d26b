"""Images at other sizes or places: interpolation, and reading at the points of a grid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import webtorch

from ... import creation, dtypes
from ...errors import DTypeError, ShapeError
from ...ops.binary import where
from ...ops.gather import take
from ...precision import autocasts
from ...tensor import Tensor
from .windows import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, positions

__all__ = [
    "affine_grid", "grid_sample", "interpolate", "upsample", "upsample_bilinear", "upsample_nearest",
]  # fmt: skip

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
CUBIC = -0.75  # the free coefficient of cubic convolution (Keys, 1981)
CUBIC_SMOOTH = -0.5  # the one that is used where the image is smoothed before it is made smaller


@autocasts
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(n, c, ...) at another size, given as such or by a factor.

    Modes: "nearest", "nearest-exact", "area", "linear" (one dimension), "bilinear" and "bicubic" (two), "trilinear"
    (three). With `align_corners` the centres of the corner elements stay where they are, else their outer corners.
    `antialias` (for "bilinear" and "bicubic") smooths what is made smaller.

    >>> import webtorch
    >>> x = webtorch.tensor([[[0.0, 1.0]]])
    >>> webtorch.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    >>> webtorch.nn.functional.interpolate(x, size=4)
    tensor([[[0., 0., 1., 1.]]])
    """
    dims = input.ndim - 2
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    elif mode not in LINEAR:
        raise NotImplementedError(f"interpolate: mode {mode!r} is unknown")
    align = bool(align_corners)
    if dims < 1:
        raise ShapeError(f"interpolate: expected input (n, c, ...), but got shape {list(input._shape)}")
    sizes, scales = target_sizes(input, dims, size, scale_factor, recompute_scale_factor)
    if antialias and (mode not in ("bilinear", "bicubic") or dims != 2):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    if dims > 3 or (mode in LINEAR and LINEAR[mode] != dims):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the modes: nearest | linear | bilinear "
            f"| bicubic | trilinear | area | nearest-exact (got {mode})"
        )
    if any(value <= 0 for value in sizes):
        raise ShapeError(f"interpolate: Input and output sizes should be greater than 0, but got output size {sizes}")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1](input, sizes)
    whole = not input.dtype.is_differentiable and mode in LINEAR
    if whole and input.dtype is not dtypes.uint8:
        raise DTypeError(f"interpolate(mode={mode!r}): not implemented for {input.dtype}; convert with .float()")
    if whole:
        return resized_bytes(input, sizes, scales, align, mode == "bicubic", antialias)
    narrow = mode in LINEAR and input.dtype in (dtypes.float16, dtypes.bfloat16)  # rounded once, at the end
    result = input.float() if narrow else input
    for number in range(dims):
        dim, n, out, factor = number + 2, input._shape[number + 2], sizes[number], scales[number]
        if mode in ("nearest", "nearest-exact"):
            result = nearest(result, dim, n, out, factor, mode == "nearest-exact")
        elif antialias:
            result = smoothed(result, dim, n, out, factor, align, mode == "bicubic")
        else:
            result = by_neighbours(result, dim, n, out, factor, align, mode == "bicubic")
    return result.to(input.dtype)


def target_sizes(input: Tensor, dims: int, size: Any, scale_factor: Any, recompute: Any) -> tuple[list, list]:
    """The sizes wanted, and the factors by which coordinates are computed (None: from the sizes)."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "only one of size or scale_factor should be defined"
            if size is not None
            else "either size or scale_factor should be defined"
        )
    given = size if size is not None else scale_factor
    given = list(given) if isinstance(given, (tuple, list)) else [given] * dims
    if len(given) != dims:
        raise ValueError(
            f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
            f"{list(input._shape[2:])} and output size of {given}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
            "output size in (o1, o2, ...,oK) format."
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return [int(value) for value in given], [None] * dims
    sizes = [math.floor(float(n) * float(factor)) for n, factor in zip(input._shape[2:], given, strict=True)]
    return sizes, [None] * dims if recompute else [float(factor) for factor in given]


def number_type(x: Tensor) -> Any:
    """The type in which coordinates are computed, as PyTorch computes them."""
    return np.float64 if x.dtype is dtypes.float64 else np.float32


def nearest(x: Tensor, dim: int, n: int, out: int, factor: float | None, exact: bool) -> Tensor:
    if out == n:
        return x
    if out % n == 0 and (
        factor is None or factor * n == out
    ):  # each element repeated: a view, and a sum as its derivative
        shape = (*x._shape[: dim + 1], out // n, *x._shape[dim + 1 :])
        return x.unsqueeze(dim + 1).expand(shape).reshape((*x._shape[:dim], out, *x._shape[dim + 1 :]))
    kind = np.float32
    scale = kind(1.0 / factor) if factor else kind(kind(n) / kind(out))
    places = (np.arange(out, dtype=kind) + kind(0.5 if exact else 0.0)) * scale
    return x.index_select(dim, positions(np.minimum(np.floor(places).astype(np.int64), n - 1), x))


def source_places(n: int, out: int, factor: float | None, align: bool, cubic: bool, kind: Any) -> np.ndarray:
    """Where in the input each output lies."""
    steps = np.arange(out, dtype=kind)
    if align:
        return steps * (kind(n - 1) / kind(out - 1) if out > 1 else kind(0))
    scale = kind(1.0 / factor) if factor else kind(kind(n) / kind(out))
    places = scale * (steps + kind(0.5)) - kind(0.5)
    return places if cubic else np.maximum(places, kind(0))


def cubic_weights(t: np.ndarray, a: float) -> list[np.ndarray]:
    """The weights of four neighbours, for a place `t` beyond the second."""

    def near(x: np.ndarray) -> np.ndarray:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: np.ndarray) -> np.ndarray:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def neighbours(
    n: int, out: int, factor: float | None, align: bool, cubic: bool, kind: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Which two or four elements each output reads, one array for each of them, and with what weights."""
    places = source_places(n, out, factor, align, cubic, kind)
    first = np.floor(places)
    part = (places - first).astype(kind)
    weights = cubic_weights(part, CUBIC) if cubic else [1 - part, part]
    start = first.astype(np.int64) - (1 if cubic else 0)
    return [(np.clip(start + number, 0, n - 1), weight) for number, weight in enumerate(weights)]


def by_neighbours(x: Tensor, dim: int, n: int, out: int, factor: float | None, align: bool, cubic: bool) -> Tensor:
    """A sum of the two or four nearest elements along one dimension."""
    kind = number_type(x)
    result = None
    for index, weight in neighbours(n, out, factor, align, cubic, kind):
        if not weight.any():
            continue
        shape = (-1,) + (1,) * (x.ndim - dim - 1)
        factors = creation.tensor(weight.astype(kind).reshape(shape), dtype=x.dtype, device=x.device)
        read = x if np.array_equal(index, np.arange(n)) else x.index_select(dim, positions(index, x))
        term = read * factors
        result = term if result is None else result + term
    return result


def smoothed(x: Tensor, dim: int, n: int, out: int, factor: float | None, align: bool, cubic: bool) -> Tensor:
    """Resampling with a filter as wide as an output element where the image gets smaller: a matrix for the dimension."""
    matrix = creation.tensor(smoothing(n, out, factor, align, cubic), dtype=x.dtype, device=x.device)
    return (x.movedim(dim, -1) @ matrix).movedim(-1, dim)


def smoothing(n: int, out: int, factor: float | None, align: bool, cubic: bool) -> np.ndarray:
    """The weights of `n` elements (rows) in `out` (columns)."""
    if align:
        scale = (n - 1) / (out - 1) if out > 1 else 0.0
    else:
        scale = 1.0 / factor if factor else n / out
    width = 4 if cubic else 2
    stretch = max(scale, 1.0)
    support = width / 2 * stretch
    matrix = np.zeros((n, out))
    for place in range(out):
        center = scale * (place + 0.5)
        start = max(int(center - support + 0.5), 0)
        end = min(int(center + support + 0.5), n)
        distance = np.abs((np.arange(start, end) - center + 0.5) / stretch)
        if cubic:
            a = CUBIC_SMOOTH
            inner = ((a + 2) * distance - (a + 3)) * distance * distance + 1
            outer = ((distance - 5) * distance + 8) * distance * a - 4 * a
            weight = np.where(distance < 1, inner, np.where(distance < 2, outer, 0.0))
        else:
            weight = np.maximum(1 - distance, 0.0)
        matrix[start:end, place] = weight / weight.sum()
    return matrix


def resized_bytes(x: Tensor, sizes: list, scales: list, align: bool, cubic: bool, antialias: bool) -> Tensor:
    """An image of bytes resized as PyTorch does it: first along the rows, then along the columns, each rounded to bytes.

    The weights are integers, the fractions of a power of two that lets the largest fill 15 bits.
    """
    for dim in (3, 2):
        n, out, factor = x._shape[dim], sizes[dim - 2], scales[dim - 2]
        if antialias:
            matrix = smoothing(n, out, factor, align, cubic)
        else:
            matrix = np.zeros((n, out))
            for index, weight in neighbours(n, out, factor, align, cubic, np.float64):
                np.add.at(matrix, (index, np.arange(out)), weight)  # what lies outside is the element on the border
        bits = 0
        while bits < 22 and int(0.5 + matrix.max() * 2.0 ** (bits + 1)) < 2**15:
            bits += 1
        scaled = matrix * 2.0**bits
        weights = (np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)).astype(np.int32)
        first = (weights != 0).argmax(0)  # the nonzero weights of a column stand together, but for a zero among them
        last = n - 1 - (weights != 0)[::-1].argmax(0)
        total: Any = 1 << bits >> 1
        for number in range(int((last - first).max()) + 1):
            index = np.minimum(first + number, last)
            share = np.where(first + number <= last, weights[index, np.arange(out)], 0)
            factors = creation.tensor(share.astype(np.int32).reshape((-1,) + (1,) * (3 - dim)), device=x.device)
            total = x.index_select(dim, positions(index, x)).to(dtypes.int32) * factors + total
        x = (total >> bits).clamp(0, 255).to(dtypes.uint8)
    return x


@autocasts
def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """`interpolate` by its old name.

    >>> import webtorch
    >>> webtorch.nn.functional.upsample(webtorch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest", by its old name.

    >>> import webtorch
    >>> webtorch.nn.functional.upsample_nearest(webtorch.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners, by its old name.

    >>> import webtorch
    >>> webtorch.nn.functional.upsample_bilinear(webtorch.tensor([[[[1.0, 3.0]]]]), size=(1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


# ---- grids ----------------------------------------------------------------------------------------------------------


def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that affine maps `theta` give: (n, 2, 3) for a size (n, c, h, w), (n, 3, 4) for five.

    >>> import webtorch
    >>> identity = webtorch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> webtorch.nn.functional.affine_grid(identity, (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    size = tuple(int(value) for value in size)
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, but got {size}"
        )
    if theta.ndim != 3 or theta._shape[1:] != (dims, dims + 1) or theta._shape[0] != size[0]:
        raise ShapeError(
            f"Expected a batch of {dims}D affine matrices of shape {size[0]}x{dims}x{dims + 1} for size {size}. Got {theta.shape}."
        )
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    axes = []
    for n in size[2:]:
        if align_corners:
            axes.append(np.linspace(-1, 1, n) if n > 1 else np.zeros(1))
        else:
            axes.append((2 * np.arange(n) + 1) / n - 1)
    base = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(size[2:])], -1).reshape(-1, dims + 1)
    points = creation.tensor(base, dtype=theta.dtype, device=theta.device)
    return (points @ theta.transpose(1, 2)).reshape((size[0], *size[2:], dims))


@autocasts
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """(n, c, h, w) read at the points (x, y) of a grid (n, h', w', 2), or (n, c, d, h, w) at (n, d', h', w', 3).

    Points are between -1 and 1 from side to side: the sides are the outer corners of the image, or with `align_corners`
    the centres of its corner elements. Modes: "bilinear", "nearest", "bicubic". What lies outside is given by
    `padding_mode`: "zeros", "border" or "reflection".

    >>> import webtorch
    >>> image = webtorch.tensor([[[[1.0, 3.0]]]])
    >>> webtorch.nn.functional.grid_sample(image, webtorch.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[2.]]]])
    """
    dims = input.ndim - 2
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if dims not in (2, 3) or grid.ndim != input.ndim or grid._shape[-1] != dims or grid._shape[0] != input._shape[0]:
        raise ShapeError(
            f"grid_sampler(): expected a 4D or 5D input and a grid of the same batch size with {dims} coordinates in its last "
            f"dimension, but got input with sizes {list(input._shape)} and grid with sizes {list(grid._shape)}"
        )
    if mode == "bicubic" and dims != 2:
        raise ShapeError("grid_sampler(): bicubic interpolation only supports 4D input")
    align = bool(align_corners)
    sizes = input._shape[2:]
    places = []  # of each dimension, first dimension first
    for dim, n in enumerate(sizes):
        place = grid[..., dims - 1 - dim]
        place = (place + 1) * ((n - 1) / 2) if align else ((place + 1) * n - 1) / 2
        places.append(place if mode == "bicubic" else confined(place, n, padding_mode, align))
    if mode == "nearest":
        terms = [[(rounded(place), None)] for place in places]
    elif mode == "bilinear":
        terms = [two_neighbours(place) for place in places]
    else:
        terms = [four_neighbours(place) for place in places]
    result = read_points(input, terms, padding_mode, align, mode == "bicubic")
    if mode == "nearest" and grid.requires_grad:  # the gradient of the grid is zeros
        nowhere = creation.zeros((), dtype=dtypes.bool_, device=grid.device)
        result = result + where(nowhere, grid, 0.0).sum(-1).unsqueeze(1)
    return result


def confined(place: Tensor, n: int, padding_mode: str, align: bool) -> Tensor:
    """Coordinates brought into the image, unless zeros stand outside it."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        low, span = (0.0, float(n - 1)) if align else (-0.5, float(n))
        if span == 0:
            return place * 0
        distance = (place - low).abs()
        turns = (distance / span).floor().detach()
        extra = distance - turns * span
        place = where(turns.remainder(2) == 0, extra + low, span - extra + low)
    return place.clamp(0, n - 1)


def rounded(place: Tensor) -> Tensor:
    return place.detach().round()


def two_neighbours(place: Tensor) -> list[tuple[Tensor, Any]]:
    first = place.detach().floor()
    part = place - first
    return [(first, 1 - part), (first + 1, part)]


def four_neighbours(place: Tensor) -> list[tuple[Tensor, Any]]:
    first = place.detach().floor()
    weights: Any = cubic_weights(place - first, CUBIC)  # type: ignore[arg-type]
    return [(first + number - 1, weight) for number, weight in enumerate(weights)]


def read_points(input: Tensor, terms: list, padding_mode: str, align: bool, late: bool) -> Tensor:
    """The weighted sum over all combinations of the neighbours per dimension."""
    sizes = input._shape[2:]
    kind = dtypes.int64 if input.is_cpu else dtypes.int32
    batch = creation.arange(input._shape[0], dtype=kind, device=input.device)
    shape = terms[0][0][0]._shape
    batch = batch.reshape((-1,) + (1,) * (len(shape) - 1)).expand(shape)
    ready = []
    for options, n in zip(terms, sizes, strict=True):
        row = []
        for place, weight in options:
            if late:  # cubic neighbours are brought into the image one by one
                place = confined(place, n, padding_mode, align)
            inside = None
            if padding_mode == "zeros":
                inside = (place >= 0) & (place <= n - 1)
            row.append((place.clamp(0, n - 1).nan_to_num(0.0).to(kind).clamp(0, n - 1), weight, inside))
        ready.append(row)
    total = None
    for number in range(math.prod(len(row) for row in ready)):
        chosen = []
        for row in reversed(ready):
            number, which = divmod(number, len(row))
            chosen.append(row[which])
        chosen.reverse()
        value = take(input, [batch, *(index for index, _, _ in chosen)], (0, *range(2, input.ndim)))
        value = value.movedim(-1, 1)
        weight, inside = None, None
        for _, own, shown in chosen:
            if own is not None:
                weight = own if weight is None else weight * own
            if shown is not None:
                inside = shown if inside is None else inside & shown
        if weight is not None:
            value = value * weight.unsqueeze(1)
        if inside is not None:
            value = webtorch.where(inside.unsqueeze(1), value, 0.0)
        total = value if total is None else total + value
    return total
