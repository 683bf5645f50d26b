"""PyTorch's lower names of normalisations and of grids to sample at: all arguments are given, and normalisations return
the statistics that they used as well."""

from __future__ import annotations

from typing import Any

from ...creation import empty
from ...errors import ShapeError
from ...shapes import numel
from ...tensor import Tensor
from .normalisation import batch_norm, group_norm, layer_norm
from .resampling import affine_grid, grid_sample

__all__ = [
    "affine_grid_generator", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "native_batch_norm", "native_group_norm",
    "native_layer_norm",
]  # fmt: skip

INTERPOLATION = ("bilinear", "nearest", "bicubic")
PADDING = ("zeros", "border", "reflection")


def statistics(x: Tensor, dims: tuple[int, ...], eps: float, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The mean over some dimensions and one over the standard deviation, with eps added to the variance."""
    mean = x.mean(dims, keepdim=True)
    root = ((x - mean).square().mean(dims, keepdim=True) + eps).rsqrt()
    return (mean, root) if keepdim else (mean.squeeze(dims), root.squeeze(dims))


def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`nn.functional.batch_norm`, the means, and one over the standard deviations of the channels; both are empty where
    it does not train. Raises as `batch_norm`.

    >>> import webtorch
    >>> result, mean, root = webtorch.native_batch_norm(webtorch.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 0.0)
    >>> mean, root
    (tensor([2.]), tensor([1.]))
    """
    result = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return (
            result,
            empty(0, dtype=input.dtype, device=input.device),
            empty(0, dtype=input.dtype, device=input.device),
        )
    return result, *statistics(input, (0, *range(2, input.ndim)), eps)


def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`nn.functional.group_norm` of N examples of C channels of HxW elements, the means, and one over the standard
    deviations, both [N, group]. Raises ShapeError where the input has not N * C * HxW elements.

    >>> import webtorch
    >>> x = webtorch.tensor([[[1.0, 3.0], [2.0, 2.0]]])
    >>> webtorch.native_group_norm(x, None, None, 1, 2, 2, 2, 1.0)[1]
    tensor([[2., 2.]])
    """
    if numel(input.shape) != N * C * HxW or input.ndim < 2 or input.shape[1] != C:
        raise ShapeError(
            f"native_group_norm(input of shape {list(input.shape)}, N={N}, C={C}, HxW={HxW}): the input must have N examples "
            "of C channels with HxW elements each"
        )
    result = group_norm(input, group, weight, bias, eps)
    return result, *statistics(input.reshape(N, group, numel(input._shape[1:]) // group), (2,), eps)


def native_layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`nn.functional.layer_norm`, the means, and one over the standard deviations, with dimensions of 1 where they were
    taken. Raises as `layer_norm`.

    >>> import webtorch
    >>> webtorch.native_layer_norm(webtorch.tensor([[1.0, 3.0]]), (2,), None, None, 0.0)
    (tensor([[-1.,  1.]]), tensor([[2.]]), tensor([[1.]]))
    """
    result = layer_norm(input, normalized_shape, weight, bias, eps)
    count = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    return result, *statistics(input, tuple(range(input.ndim - count, input.ndim)), eps, keepdim=True)


def named(call: str, what: str, names: tuple[str, ...], number: int) -> str:
    """The name behind PyTorch's number of a mode."""
    if not 0 <= number < len(names):
        listed = ", ".join(f"{place} ({name})" for place, name in enumerate(names))
        raise ValueError(f"{call}({what}={number}): expected {listed}")
    return names[number]


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`nn.functional.grid_sample` with numbers for the modes: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border,
    2 reflection. Raises ValueError for other numbers.

    >>> import webtorch
    >>> webtorch.grid_sampler(webtorch.tensor([[[[1.0, 3.0]]]]), webtorch.zeros(1, 1, 1, 2), 0, 0, True)
    tensor([[[[2.]]]])
    """
    mode = named("grid_sampler", "interpolation_mode", INTERPOLATION, interpolation_mode)
    padding = named("grid_sampler", "padding_mode", PADDING, padding_mode)
    return grid_sample(input, grid, mode, padding, bool(align_corners))


def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of images, (n, c, h, w). Raises ShapeError for other inputs.

    >>> import webtorch
    >>> webtorch.grid_sampler_2d(webtorch.tensor([[[[1.0, 3.0]]]]), webtorch.zeros(1, 1, 1, 2), 0, 0, True)
    tensor([[[[2.]]]])
    """
    return sampled("grid_sampler_2d", 4, input, grid, interpolation_mode, padding_mode, align_corners)


def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sampler` of volumes, (n, c, d, h, w). Raises ShapeError for other inputs.

    >>> import webtorch
    >>> webtorch.grid_sampler_3d(webtorch.tensor([[[[[1.0, 3.0]]]]]), webtorch.zeros(1, 1, 1, 1, 3), 0, 0, True)
    tensor([[[[[2.]]]]])
    """
    return sampled("grid_sampler_3d", 5, input, grid, interpolation_mode, padding_mode, align_corners)


def sampled(call: str, ndim: int, input: Tensor, grid: Tensor, mode: int, padding: int, align_corners: bool) -> Tensor:
    if input.ndim != ndim or grid.ndim != ndim:
        raise ShapeError(
            f"{call}: input and grid must have {ndim} dimensions, but have shapes {list(input.shape)} and {list(grid.shape)}"
        )
    return grid_sampler(input, grid, mode, padding, align_corners)


def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`nn.functional.affine_grid`: the grid for `grid_sampler` that affine maps give.

    >>> import webtorch
    >>> identity = webtorch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> webtorch.affine_grid_generator(identity, (1, 1, 1, 2), True).shape
    webtorch.Size([1, 1, 2, 2])
    """
    return affine_grid(theta, size, bool(align_corners))
