"""Values combined at places that indices name (`scatter_reduce`, `index_reduce`), and what a mask says of places."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import creation, determinism, dtypes, engine
from .errors import DTypeError, ShapeError
from .functional import cat
from .functional.method import method
from .grad_mode import no_grad
from .indexing import check_gather_shapes, checked, masked_select, one_dimensional, positions_of, same_device
from .ops import TABLE, common_device
from .ops.binary import where
from .ops.gather import put, take
from .ops.scatter_reduce import combine
from .shapes import contiguous_strides, normalize_dim, numel
from .sorting import order
from .tensor import Tensor

__all__ = ["index_reduce", "masked_scatter", "masked_select_async", "scatter_reduce"]

# The row that combines two tensors, and the number that changes nothing, for floats and by the dtype for integers.
ROWS = {"prod": "mul", "amax": "maximum", "amin": "minimum"}


def neutral(how: str, dtype: Any) -> Any:
    if how in ("sum", "mean", "prod"):
        return 1 if how == "prod" else 0
    if dtype is dtypes.bool_:
        return how == "amin"
    if dtype.is_floating_point:
        return float("-inf") if how == "amax" else float("inf")
    info = dtypes.iinfo(dtype)
    return info.min if how == "amax" else info.max


def combined(x: Tensor, y: Tensor, indices: list[Tensor], dims: tuple[int, ...], how: str) -> Tensor:
    """`combine` for every dtype: in one kernel where the GPU has atomic operations of the dtype, else by sorting places."""
    if x.device.type != "webgpu" or not y.numel():
        return combine(x, y, indices, dims, how)
    wide = dtypes.float32 if x.dtype.is_floating_point else dtypes.int32
    if x.dtype is dtypes.bool_:
        return combined(x.to(wide), y.to(wide), indices, dims, how) != 0
    if x.dtype.itemsize < 4:
        return combined(x.to(wide), y.to(wide), indices, dims, how).to(x.dtype)
    ordered = how == "prod" and x.dtype.is_floating_point and determinism.is_order_fixed()
    if x.dtype in (dtypes.float32, dtypes.int32) and not ordered:
        return combine(x, y, indices, dims, how)
    if x.requires_grad or y.requires_grad:
        from .ops import tracks

        if tracks(x, y):
            raise DTypeError(
                f"scatter_reduce: no gradient of {how} in {x.dtype} on webgpu; use device='cpu', or float32 without "
                "deterministic algorithms"
            )
    return in_sorted_runs(x.detach(), y.detach(), indices, dims, how)


def in_sorted_runs(x: Tensor, y: Tensor, indices: list[Tensor], dims: tuple[int, ...], how: str) -> Tensor:
    """Values that go to one place are brought together by a stable sort and combined run by run, in a fixed order."""
    with no_grad():
        strides = contiguous_strides(x._shape)
        rest = [dim for dim in range(x.ndim) if dim not in dims]
        place: Any = 0
        for dim, index in zip(dims, indices, strict=True):
            place = place + index.to(dtypes.int32).reshape((*index._shape, *(1,) * len(rest))) * strides[dim]
        for number, dim in enumerate(rest):
            ramp = creation.ramp_tensor(x._shape[dim], 0, 1, dtypes.int32, x.device)
            place = place + ramp.reshape((-1,) + (1,) * (len(rest) - number - 1)) * strides[dim]
        place = place.expand(y._shape).reshape((-1,))
        places = order(place, 0, False)
        place, values = place.gather(0, places), y.to(x.dtype).reshape((-1,)).gather(0, places)
        count, reach = values._shape[0], 1
        while reach < count:
            same = place.narrow(0, reach, count - reach) == place.narrow(0, 0, count - reach)
            earlier, later = values.narrow(0, 0, count - reach), values.narrow(0, reach, count - reach)
            values = cat([values.narrow(0, 0, reach), where(same, TABLE[ROWS[how]](earlier, later), later)])
            reach *= 2
        flat = x.reshape((-1,))
        ends = cat(
            [
                place.narrow(0, 0, count - 1) != place.narrow(0, 1, count - 1),
                creation.ones((1,), dtype=dtypes.bool_, device=x.device),
            ]
        )
        values = TABLE[ROWS[how]](take(flat, [place], (0,)), values)
        target = where(ends, place, flat._shape[0])  # all but the last of a run write to a place that is cut off
        padded = cat([flat, flat.narrow(0, 0, 1)])
        return put(padded, values, [target], (0,), False).narrow(0, 0, flat._shape[0]).reshape(x._shape)


def reduced_into(
    x: Tensor, y: Tensor, indices: list[Tensor], dims: tuple[int, ...], how: str, include_self: bool, index_shape: tuple
) -> Tensor:
    """The values `y` combined into `x` at the indices; without `include_self` what `x` held there does not count."""
    if not include_self:
        rest = tuple(size for dim, size in enumerate(x._shape) if dim not in dims)
        fill = creation.full((*index_shape, *rest), neutral(how, x.dtype), dtype=x.dtype, device=x.device)
        x = put(x, fill, indices, dims, False)
    if how not in ("sum", "mean"):
        return combined(x, y, indices, dims, how)
    total = put(x, y, indices, dims, True)
    if how == "sum":
        return total
    with no_grad():
        kind = dtypes.accumulator(x.dtype)
        ones = creation.ones(y._shape, dtype=kind, device=x.device)
        start = creation.ones(x._shape, dtype=kind, device=x.device)
        if not include_self:
            start = put(start, creation.zeros(ones._shape, dtype=kind, device=x.device), indices, dims, False)
        counts = put(start, ones, indices, dims, True)
    return total / counts.to(x.dtype) if x.dtype.is_differentiable else TABLE["floor_divide"](total, counts)


@method
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """A copy of `input` with src[i][j] combined into self[index[i][j]][j] for dim 0, and so on.

    `reduce` is "sum", "prod", "mean", "amax" or "amin". Without `include_self` the elements that are written to start
    anew. Several elements that reach an extreme share its gradient. Raises ShapeError for shapes that do not fit and
    for an index out of range, DTypeError unless `src` has the dtype of `input`.

    >>> import webtorch
    >>> index, src = webtorch.tensor([0, 0, 1]), webtorch.tensor([2.0, 3.0, 4.0])
    >>> webtorch.scatter_reduce(webtorch.ones(2), 0, index, src, "prod")
    tensor([6., 4.])
    """
    call = "scatter_reduce"
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ShapeError(f"{call}(): reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if src.dtype is not input.dtype:
        raise DTypeError(
            f"{call}(): Expected self.dtype to be equal to src.dtype, got {input.dtype} and {src.dtype}; convert one"
        )
    if not input._shape:
        flat = [tensor.reshape((-1,)) for tensor in (input, index, src)]
        result = scatter_reduce(flat[0], 0, flat[1], flat[2], reduce, include_self=include_self).reshape(())
    else:
        dim = check_gather_shapes(input, dim, index, call, src)
        for other, size in enumerate(index._shape):
            if src._shape[other] != size:
                src = src.narrow(other, 0, size)
        indices, dims = positions_of(index, input._shape, dim, input._shape[dim], call)
        result = reduced_into(input, src, indices, dims, reduce, include_self, index._shape)
    if out is not None:
        from .ops.elementwise import store_out

        return store_out(call, result, out)
    return result


@method
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """A copy of `input` with source[i] combined into slice index[i] of dimension `dim`.

    `reduce` is "prod", "mean", "amax" or "amin"; see `scatter_reduce`, and for sums `index_add`.

    >>> import webtorch
    >>> webtorch.index_reduce(webtorch.ones(2), 0, webtorch.tensor([1, 1]), webtorch.tensor([4.0, 7.0]), "amax")
    tensor([1., 7.])
    """
    call = "index_reduce"
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise ShapeError(f"{call}(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    same_device(input, index, call)
    same_device(input, source, call)
    if source.dtype is not input.dtype:
        raise DTypeError(
            f"{call}(): self and source expected to have the same dtype, but got {input.dtype} and {source.dtype}"
        )
    if not input._shape:
        return index_reduce(
            input.reshape((1,)),
            0,
            index.reshape((-1,)),
            source.reshape((-1,)),
            reduce,
            include_self=include_self,
            out=out,
        ).reshape(())
    dim = normalize_dim(dim, input.ndim, call)
    wanted = (*input._shape[:dim], index.numel(), *input._shape[dim + 1 :])
    if source._shape != wanted:
        raise ShapeError(
            f"{call}(dim={dim}) of shape {list(input._shape)} with {index.numel()} indices: source must have shape "
            f"{list(wanted)}, but has {list(source._shape)}"
        )
    index = checked(one_dimensional(index, call), input._shape[dim], dim, call, wrap=False)
    result = reduced_into(input, source.movedim(dim, 0), [index], (dim,), reduce, include_self, index._shape)
    if out is not None:
        from .ops.elementwise import store_out

        return store_out(call, result, out)
    return result


@method
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with its elements where `mask` is true replaced by the elements of `source`, one after the other.

    Raises ShapeError when `source` has too few (on a GPU when a value is next read), DTypeError unless mask is bool.

    >>> import webtorch
    >>> mask = webtorch.tensor([True, False, True])
    >>> webtorch.masked_scatter(webtorch.zeros(3), mask, webtorch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    call = "masked_scatter"
    if mask.dtype is not dtypes.bool_:
        raise DTypeError(f"{call}: only supports boolean masks, but got mask with dtype {mask.dtype}; use mask.bool()")
    if source.dtype is not input.dtype:
        raise DTypeError(
            f"{call}: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}"
        )
    common_device([input, mask, source], call)
    from .functional import broadcast_tensors

    input, mask = broadcast_tensors(input, mask)
    if not numel(input._shape):
        return input.clone()
    with no_grad():
        place = mask.reshape((-1,)).to(dtypes.int32).cumsum(0, dtype=dtypes.int32) - 1
        most, count = (place.max() + 1).reshape((1,)), source.numel()

        def verdict(found: np.ndarray) -> Exception | None:
            if found[0] > count:
                return ShapeError(
                    f"{call}: Number of elements of source < number of ones in mask ({count} < {int(found[0])})"
                )
            return None

        if input.device.type == "cpu" and (wrong := verdict(most.numpy())) is not None:
            raise wrong
        place = place.clamp(0, max(count - 1, 0)).reshape(input._shape)
        if input.device.type == "webgpu":
            engine.depends(place._storage.node, engine.add_check(most._storage.node, verdict))
    if not source.numel():
        return input.clone()
    return where(mask, take(source.reshape((-1,)), [place], (0,)), input)


async def masked_select_async(input: Tensor, mask: Tensor) -> Tensor:
    """`masked_select` as a coroutine: how many elements there are is read back from a GPU.

    >>> import asyncio, webtorch
    >>> mask = webtorch.tensor([True, False, True])
    >>> asyncio.run(webtorch.masked_select_async(webtorch.tensor([1, 2, 3]), mask))
    tensor([1, 3])
    """
    import asyncio  # not before it is used: it is slow to import

    return await asyncio.to_thread(masked_select, input, mask)
