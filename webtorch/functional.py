"""Compounds: functions written in terms of rows. What is differentiable below is differentiable here."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import batching, creation, dtypes, grad_mode, graph
from .devices import device as Device
from .errors import DTypeError, IndexShapeError, ShapeError, coded_error
from .ops import TABLE, common_device, describe, from_node, result_dtype, tracks
from .ops.elementwise import clone as clone_row
from .ops.elementwise import store_out
from .ops.matmul import contract, inner_error
from .ops.reduce import amax, amin, sum
from .ops.view import view_row
from .shapes import (
    broadcast_shapes,
    check_shape_arguments,
    infer_shape,
    normalize_dim,
    normalize_dims,
    numel,
    reduced_shape,
    view_strides,
)
from .tensor import Tensor

METHODS: list[str] = []  # names of the functions below that are also methods


def method(function):
    """A function that is also a method of Tensor."""
    setattr(Tensor, function.__name__, function)
    METHODS.append(function.__name__)
    return function


# ---- memory and geometry --------------------------------------------------------------------------------------------


@method
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, contiguous; gradients flow to `input`.

    >>> import webtorch
    >>> webtorch.clone(webtorch.tensor([1.0]))
    tensor([1.])
    """
    if input._batch:
        result = batching.lifted(clone, input)
    else:
        result = from_node(graph.record(clone_row, (input._operand(),), {}, input._shape, input.dtype, input.device))
    if tracks(input):
        from .autograd.graph import attach

        attach(clone_row, result, (input,), {})
    return result


@method
def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """`input` itself if its elements lie in row-major order without gaps, else a copy that does.

    >>> import webtorch
    >>> webtorch.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    return input if input.is_contiguous() else clone(input)


@method
def detach(input: Tensor) -> Tensor:
    """The same memory without history: nothing done with the result reaches `input`'s gradient.

    >>> import webtorch
    >>> webtorch.ones(1, requires_grad=True).detach().requires_grad
    False
    """
    return input._view(input._shape, input._strides, input._offset)


@method
def detach_(self: Tensor) -> Tensor:
    """Cut this tensor off from its history, in place; views cannot be."""
    if self._base is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    self._grad_fn = None
    self._output_number = 0
    self._leaf_requires_grad = False
    return self


@method
def to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """The tensor in another dtype and/or on another device: `to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other)`.

    Itself when nothing changes (unless `copy`). Gradients flow back through it.

    >>> import webtorch
    >>> webtorch.tensor([1.5]).to(webtorch.int64)
    tensor([1])
    """
    for argument in args:
        if isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
        elif isinstance(argument, dtypes.dtype):
            dtype = argument
        elif isinstance(argument, (str, Device, int)) and not isinstance(argument, bool):
            device = argument
        elif isinstance(argument, bool):
            copy = argument if argument is args[-1] and len(args) > 3 else copy
        elif argument is not None:
            raise TypeError(f"to(): expected a dtype, a device or a Tensor, got {argument!r}")
    target = self.device if device is None else Device(device)
    return creation.convert(self, target, self.dtype if dtype is None else dtypes.as_dtype(dtype), copy)


def converter(name: str, target: dtypes.dtype):
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return self.to(target)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"The tensor converted to {target.name}."
    setattr(Tensor, name, convert)


for _name, _target in (
    ("float", dtypes.float32), ("double", dtypes.float64), ("half", dtypes.float16), ("long", dtypes.int64), ("int", dtypes.int32),
    ("short", dtypes.int16), ("char", dtypes.int8), ("byte", dtypes.uint8), ("bool", dtypes.bool_),
):  # fmt: skip
    converter(_name, _target)


@method
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor on the cpu."""
    return self.to("cpu")


@method
def webgpu(self: Tensor) -> Tensor:
    """The tensor on the GPU."""
    return self.to("webgpu")


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype and on the device of `other`."""
    return self.to(other)


@method
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; a view where the strides allow it, else a copy. One size may be -1.

    >>> import webtorch
    >>> webtorch.reshape(webtorch.arange(4), (2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    sizes = infer_shape(check_shape_arguments(shape, "reshape", allow_negative=True), numel(input._shape), "reshape")
    if view_strides(input._shape, input._strides, sizes) is None:
        input = clone(input)
    return view_row.view(input, {"sizes": sizes})


@method
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` as one.

    >>> import webtorch
    >>> webtorch.flatten(webtorch.zeros(2, 3, 4), 1).shape
    webtorch.Size([2, 12])
    """
    if not input._shape:
        return input.reshape((1,))
    start, end = normalize_dim(start_dim, input.ndim, "flatten"), normalize_dim(end_dim, input.ndim, "flatten")
    if start > end:
        raise ShapeError(
            f"flatten({start_dim}, {end_dim}): flatten() has invalid args: start_dim cannot come after end_dim"
        )
    if start == end:
        return input
    return input.reshape((*input._shape[:start], numel(input._shape[start : end + 1]), *input._shape[end + 1 :]))


@method
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` with the shape of `other`."""
    return self.view(other._shape)


@method
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` with the shape of `other`."""
    return self.reshape(other._shape)


@method
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return input.expand(other._shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` as a function.

    >>> import webtorch
    >>> webtorch.broadcast_to(webtorch.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return input.expand(tuple(size))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape.

    >>> import webtorch
    >>> [x.shape for x in webtorch.broadcast_tensors(webtorch.zeros(2, 1), webtorch.zeros(3))]
    [webtorch.Size([2, 3]), webtorch.Size([2, 3])]
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    shape = broadcast_shapes(*(tensor._shape for tensor in tensors), call="broadcast_tensors")
    return tuple(tensor.expand(shape) for tensor in tensors)


@method
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to new positions; the others keep their order.

    >>> import webtorch
    >>> webtorch.movedim(webtorch.zeros(2, 3, 4), 0, -1).shape
    webtorch.Size([3, 4, 2])
    """
    sources = normalize_dims(source, input.ndim, "movedim")
    targets = normalize_dims(destination, input.ndim, "movedim")
    if len(sources) != len(targets):
        raise ShapeError(
            f"movedim({source}, {destination}): source and destination must name the same number of dimensions"
        )
    order: list[int | None] = [None] * input.ndim
    for start, end in zip(sources, targets, strict=True):
        order[end] = start
    rest = iter(dim for dim in range(input.ndim) if dim not in sources)
    return input.permute(tuple(next(rest) if dim is None else dim for dim in order))


def transpose_property(self: Tensor) -> Tensor:
    """All dimensions reversed; the transpose of a matrix."""
    return self.permute(tuple(range(self.ndim))[::-1])


def matrix_transpose(self: Tensor) -> Tensor:
    """The last two dimensions swapped."""
    if self.ndim < 2:
        raise ShapeError(f"mT of shape {list(self._shape)}: only supported on matrices or batches of matrices")
    return self.transpose(-2, -1)


Tensor.T = property(transpose_property)
Tensor.mT = property(matrix_transpose)


@method
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices of dimension `dim`, as a tuple of views.

    >>> import webtorch
    >>> webtorch.unbind(webtorch.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    dim = normalize_dim(dim, input.ndim, "unbind", "unbind_error_dim_out_of_range")
    if not input._shape:
        raise coded_error(
            "unbind_error_dim_out_of_range", "unbind() of a 0-d tensor: it has no dimension to take apart"
        )
    return tuple(input.select(dim, index) for index in range(input._shape[dim]))


@method
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of `split_size` along `dim` (the last may be smaller), or pieces of the given sizes; views.

    >>> import webtorch
    >>> webtorch.split(webtorch.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    dim = normalize_dim(dim, tensor.ndim, "split", "split_error_dim_out_of_range")
    size = tensor._shape[dim]
    if isinstance(split_size_or_sections, (list, tuple)):
        sections = [int(section) for section in split_size_or_sections]
        if builtins.sum(sections) != size or builtins.min(sections, default=0) < 0:
            raise ShapeError(
                f"split({sections}, dim={dim}) of shape {list(tensor._shape)}: split_with_sizes expects split_sizes to sum exactly "
                f"to {size} (input tensor's size at dimension {dim}), but got split_sizes={sections}"
            )
    else:
        step = int(split_size_or_sections)
        if step < 0 or (step == 0 and size):
            raise ShapeError(
                f"split({step}, dim={dim}): split expects split_size be positive, but got split_size={step}"
            )
        sections = [builtins.min(step, size - start) for start in range(0, size, step)] if size else [0]
    result, start = [], 0
    for section in sections:
        result.append(tensor.narrow(dim, start, section))
        start += section
    return tuple(result)


@method
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller); views.

    >>> import webtorch
    >>> webtorch.chunk(webtorch.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    dim = normalize_dim(dim, input.ndim, "chunk", "chunk_error_dim_out_of_range")
    if chunks <= 0:
        raise ShapeError(f"chunk({chunks}, dim={dim}): chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = input._shape[dim]
    if not size:
        return tuple(input.narrow(dim, 0, 0) for _ in range(chunks))
    return split(input, -(-size // chunks), dim)


def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None, axis: int | None = None) -> Tensor:
    """The tensors one after the other along `dim`; all other sizes must agree.

    >>> import webtorch
    >>> webtorch.cat([webtorch.tensor([1, 2]), webtorch.tensor([3])])
    tensor([1, 2, 3])
    """
    from .ops.join import join

    tensors = list(tensors)
    dim = dim if axis is None else axis
    if not tensors:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"cat(): expected Tensor as element {position} in argument 0, but got {type(tensor).__name__}"
            )
    tensors = [tensor for tensor in tensors if tensor._shape != (0,)] or tensors[:1]
    common_device(tensors, "cat")
    first = tensors[0]
    if not first._shape:
        raise ShapeError("cat(): zero-dimensional tensor (at position 0) cannot be concatenated; use stack")
    dim = normalize_dim(dim, first.ndim, "cat")
    for position, tensor in enumerate(tensors):
        if tensor.ndim != first.ndim:
            raise ShapeError(
                f"cat(): Tensors must have same number of dimensions: got {first.ndim} and {tensor.ndim} (tensor {position})"
            )
        for other in range(first.ndim):
            if other != dim and tensor._shape[other] != first._shape[other]:
                raise ShapeError(
                    f"cat(dim={dim}): Sizes of tensors must match except in dimension {dim}. Expected size {first._shape[other]} but "
                    f"got size {tensor._shape[other]} for tensor number {position} in the list (shape {list(tensor._shape)})."
                )
    dtype = result_dtype(tensors)
    result = join([tensor.to(dtype) for tensor in tensors], dim)
    return result if out is None else store_out("cat", result, out)


def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape along a new dimension `dim`.

    >>> import webtorch
    >>> webtorch.stack([webtorch.tensor([1, 2]), webtorch.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    dim = normalize_dim(dim, tensors[0].ndim + 1, "stack")
    for position, tensor in enumerate(tensors):
        if tensor._shape != tensors[0]._shape:
            raise ShapeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0]._shape)} at entry 0 and "
                f"{list(tensor._shape)} at entry {position}"
            )
    return cat([tensor.unsqueeze(dim) for tensor in tensors], dim, out=out)


@method
def repeat(self: Tensor, *sizes: Any) -> Tensor:
    """The tensor repeated along each dimension, like tiles; more sizes than dimensions add dimensions in front.

    >>> import webtorch
    >>> webtorch.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    sizes = check_shape_arguments(sizes, "repeat")
    if len(sizes) < self.ndim:
        raise ShapeError(
            f"repeat{sizes} of shape {list(self._shape)}: Number of dimensions of repeat dims can not be smaller than number of "
            "dimensions of tensor"
        )
    shape = (1,) * (len(sizes) - self.ndim) + self._shape
    spread = self.reshape(tuple(part for size in shape for part in (1, size)))
    tiled = spread.expand(tuple(part for count, size in zip(sizes, shape, strict=True) for part in (count, size)))
    return tiled.reshape(tuple(count * size for count, size in zip(sizes, shape, strict=True))).clone()


@method
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the matrices (up to `diagonal`), the rest zero.

    >>> import webtorch
    >>> webtorch.tril(webtorch.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return triangle(input, diagonal, lower=True)


@method
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the matrices (from `diagonal` on), the rest zero.

    >>> import webtorch
    >>> webtorch.triu(webtorch.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return triangle(input, diagonal, lower=False)


def triangle(input: Tensor, diagonal: int, lower: bool) -> Tensor:
    if input.ndim < 2:
        raise ShapeError(
            f"{'tril' if lower else 'triu'}: input tensor must have at least 2 dimensions, got shape {list(input._shape)}"
        )
    where = TABLE["where"]
    rows = creation.ramp_tensor(input._shape[-2], 0, 1, dtypes.int32, input.device).unsqueeze(1)
    columns = creation.ramp_tensor(input._shape[-1], 0, 1, dtypes.int32, input.device)
    mask = columns - rows <= diagonal if lower else columns - rows >= diagonal
    return where(mask, input, creation.zeros((), dtype=input.dtype, device=input.device))


# ---- reductions -----------------------------------------------------------------------------------------------------


def dims_of(input: Tensor, dim: Any, call: str) -> tuple[int, ...]:
    dims = normalize_dims(
        None if dim is None or (isinstance(dim, (tuple, list)) and not dim) else dim, input.ndim, call
    )
    return dims if input._shape else ()  # a 0-d tensor may be asked to reduce dimension 0 or -1


def floating(input: Tensor, dtype: Any, call: str) -> Tensor:
    """The input in `dtype`; integers without one raise, since their mean is not an integer."""
    wanted = input.dtype if dtype is None else dtypes.as_dtype(dtype)
    if dtype is not None and wanted.is_floating_point:
        return input.to(wanted)
    if dtype is not None:
        raise DTypeError(f"{call}(..., dtype={wanted}): optional dtype must be a floating point type; leave it out, or use float32")
    if not input.dtype.is_floating_point:
        raise DTypeError(
            f"{call}(): could not infer output dtype. Input dtype must be a floating point type. Got: {input.dtype}; "
            "use .float() or dtype="
        )
    return input


@method
def mean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """The mean over `dim` (int or tuple), or of all elements.

    >>> import webtorch
    >>> webtorch.mean(webtorch.tensor([[1.0, 2.0], [3.0, 6.0]]), dim=0)
    tensor([2., 4.])
    """
    input = floating(input, dtype, "mean")
    dims = dims_of(input, axis if dim is None else dim, "mean")
    count = numel(tuple(input._shape[d] for d in dims))
    if input.dtype is dtypes.float16:  # the sum of many halves may overflow where their mean does not
        result = (sum(input.float(), dims, keepdim) / count).half() if dims else input.clone()
    else:
        result = sum(input, dims, keepdim) / count if dims else input.clone()
    return result if out is None else store_out("mean", result, out)


def spread(input: Tensor, dim: Any, correction: Any, unbiased: Any, keepdim: bool, call: str) -> tuple[Tensor, Tensor]:
    """Variance and mean, by two passes."""
    if isinstance(dim, bool):  # var(unbiased) of old
        dim, unbiased = None, dim
    input = floating(input, None, call)
    dims = dims_of(input, dim, call)
    correction = (1 if unbiased else 0) if unbiased is not None else 1 if correction is None else correction
    count = numel(tuple(input._shape[d] for d in dims))
    average = mean(input, dims or None, True) if dims else input
    squares = (input - average).square()
    degrees = builtins.max(0.0, count - correction)
    total = sum(squares, dims, keepdim) if dims else squares
    variance = total / degrees if degrees else total * float("nan")
    return variance, average if keepdim else average.reshape(variance._shape)


@method
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """The variance over `dim`: squared distances from the mean divided by count - correction (1 by default).

    >>> import webtorch
    >>> webtorch.var(webtorch.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    result = spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "var")[0]
    return result if out is None else store_out("var", result, out)


@method
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    out: Tensor | None = None,
    axis: Any = None,
) -> Tensor:
    """The standard deviation over `dim`, the square root of `var`.

    >>> import webtorch
    >>> webtorch.std(webtorch.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
    result = spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "std")[0].sqrt()
    return result if out is None else store_out("std", result, out)


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over `dim`, as a pair.

    >>> import webtorch
    >>> webtorch.var_mean(webtorch.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    return spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "var_mean")


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over `dim`, as a pair.

    >>> import webtorch
    >>> webtorch.std_mean(webtorch.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    variance, average = spread(input, axis if dim is None else dim, correction, unbiased, keepdim, "std_mean")
    return variance.sqrt(), average


@method
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """log(sum(exp(input))) over `dim`, without overflow.

    >>> import webtorch
    >>> webtorch.logsumexp(webtorch.tensor([0.0, 0.0]), dim=0)
    tensor(0.6931)
    """
    if not input.dtype.is_floating_point:
        input = input.to(dtypes.get_default_dtype())
    dims = dims_of(input, dim, "logsumexp")
    if builtins.any(input._shape[d] == 0 for d in dims):
        return sum(input.exp(), dims, keepdim).log()
    with grad_mode.no_grad():
        top = amax(input.detach(), dims, True)
        # Of infinities nothing is subtracted: their difference would be NaN.
        top = TABLE["where"](top.abs() == math.inf, 0.0, top)
    total = sum((input - top).exp(), dims, True).log() + top
    result = total if keepdim else total.reshape(reduced_shape(input._shape, dims, False))
    return result if out is None else store_out("logsumexp", result, out)


@method
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements over `dim` are nonzero, as int64.

    >>> import webtorch
    >>> webtorch.count_nonzero(webtorch.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return sum(input != 0, dims_of(input, dim, "count_nonzero"))


@method
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` with NaN taken as zero.

    >>> import webtorch
    >>> webtorch.nansum(webtorch.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    if input.dtype.is_floating_point:
        input = TABLE["where"](input.isnan(), 0.0, input)
    return sum(input, dim, keepdim, dtype=dtype)


@method
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` of the elements that are not NaN.

    >>> import webtorch
    >>> webtorch.nanmean(webtorch.tensor([1.0, 3.0, float("nan")]))
    tensor(2.)
    """
    input = floating(input, dtype, "nanmean")
    return nansum(input, dim, keepdim) / sum(~input.isnan(), dim, keepdim, dtype=dtypes.int32)


def position_of(input: Tensor, value: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The linear position over `dims` of the first element equal to `value` (kept dims), NaN counting as equal to NaN."""
    shape = tuple(input._shape[d] for d in dims)
    count = numel(shape)
    kind = dtypes.int32 if count < 1 << 31 else dtypes.int64
    ramp = creation.ramp_tensor(count, 0, 1, kind, input.device).reshape(shape)
    where = [1] * input.ndim
    for d in dims:
        where[d] = input._shape[d]
    hit = input == value
    if input.dtype.is_floating_point:
        hit = hit | input.isnan()
    return amin(TABLE["where"](hit, ramp.reshape(tuple(where)), count), dims, True)


def argument(input: Tensor, dim: Any, keepdim: bool, extreme: Any, call: str) -> Tensor:
    with grad_mode.no_grad():
        input = input.detach()
        if not numel(input._shape) and (dim is None or input._shape[normalize_dim(dim, input.ndim, call)] == 0):
            raise IndexShapeError(
                f"{call}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
                "the 'dim' argument."
            )
        if input.dtype is dtypes.bool_:
            input = input.to(dtypes.uint8)
        dims = tuple(range(input.ndim)) if dim is None else (normalize_dim(dim, input.ndim, call),)
        if not input._shape:
            return creation.zeros((), dtype=dtypes.int64, device=input.device)
        best = extreme(input, dims, True)
        place = position_of(input, best, dims).to(dtypes.int64)
        return place if keepdim else place.reshape(reduced_shape(input._shape, dims, False))


@method
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Tensor:
    """The position of the largest element along `dim` (of the flattened tensor when None); the first of equals, NaN first.

    >>> import webtorch
    >>> webtorch.argmax(webtorch.tensor([[1, 9], [8, 2]]), dim=1)
    tensor([1, 0])
    """
    return argument(input, axis if dim is None else dim, keepdim, amax, "argmax")


@method
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None) -> Tensor:
    """The position of the smallest element along `dim` (of the flattened tensor when None); the first of equals, NaN first.

    >>> import webtorch
    >>> webtorch.argmin(webtorch.tensor([[1, 9], [8, 2]]), dim=1)
    tensor([0, 1])
    """
    return argument(input, axis if dim is None else dim, keepdim, amin, "argmin")


class ValuesIndices(NamedTuple):
    """What `max(x, dim)` and its kin return."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return f"webtorch.return_types.max(\nvalues={self.values!r},\nindices={self.indices!r})"


def extreme(input: Tensor, dim: Any, keepdim: bool, reduction: Any, pairwise: str, call: str) -> Any:
    if dim is None:
        return reduction(input)
    if isinstance(dim, Tensor):
        return TABLE[pairwise](input, dim)
    dim = normalize_dim(dim, input.ndim, call)
    if not input._shape:
        return ValuesIndices(input.clone(), creation.zeros((), dtype=dtypes.int64, device=input.device))
    indices = argument(input, dim, True, reduction, call)
    values = reduction(input.detach(), dim, True) if not tracks(input) else input.gather(dim, indices)
    if not keepdim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return ValuesIndices(values, indices)


@method
def max(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None, axis: Any = None, other: Any = None
) -> Any:
    """The largest element of all; or with `dim`, the pair (values, indices) along it; or with another tensor, `maximum`.

    >>> import webtorch
    >>> webtorch.max(webtorch.tensor([3, 7, 5]))
    tensor(7)
    """
    return extreme(input, (axis if other is None else other) if dim is None else dim, keepdim, amax, "maximum", "max")


@method
def min(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Any = None, axis: Any = None, other: Any = None
) -> Any:
    """The smallest element of all; or with `dim`, the pair (values, indices) along it; or with another tensor, `minimum`.

    >>> import webtorch
    >>> webtorch.min(webtorch.tensor([3, 7, 5]))
    tensor(3)
    """
    return extreme(input, (axis if other is None else other) if dim is None else dim, keepdim, amin, "minimum", "min")


def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """`amin` and `amax` along `dim`, as a pair.

    >>> import webtorch
    >>> webtorch.aminmax(webtorch.tensor([3, 7, 5]))
    (tensor(3), tensor(7))
    """
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


@method
def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None
) -> Tensor:
    """The p-norm of the elements over `dim` (all by default): sum(|x|^p)^(1/p); inf, -inf and 0 as limits; "fro" is p=2.

    >>> import webtorch
    >>> webtorch.norm(webtorch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    input = floating(input, dtype, "norm")
    p = 2.0 if p in ("fro", None) else float(p)
    dims = dims_of(input, dim, "norm")
    if p == 2:
        squares = sum(input * input, dims, keepdim) if dims else input * input
        result = safe_sqrt(squares)
    elif p == math.inf:
        result = amax(input.abs(), dims, keepdim)
    elif p == -math.inf:
        result = amin(input.abs(), dims, keepdim)
    elif p == 0:
        result = sum((input != 0).to(input.dtype), dims, keepdim)
    elif p == 1:
        result = sum(input.abs(), dims, keepdim)
    else:
        result = sum(input.abs() ** p, dims, keepdim) ** (1.0 / p)
    return result if out is None else store_out("norm", result, out)


def safe_sqrt(squares: Tensor) -> Tensor:
    """The square root with gradient 0 at 0, as PyTorch defines a norm's."""
    where = TABLE["where"]
    zero = squares == 0
    return where(zero, 0.0, where(zero, 1.0, squares).sqrt())


# ---- products of matrices -------------------------------------------------------------------------------------------


def check_dims(call: str, tensor: Tensor, ndim: int, which: str) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{call}: expected a Tensor as {which}, got {type(tensor).__name__}")
    if tensor.ndim != ndim:
        raise ShapeError(f"{call}: {which} must be a {ndim}-D tensor, but has shape {list(tensor._shape)}")


@method
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices, (n x k) @ (k x m).

    >>> import webtorch
    >>> webtorch.mm(webtorch.eye(2), webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    check_dims("mm", input, 2, "self")
    check_dims("mm", mat2, 2, "mat2")
    if input._shape[1] != mat2._shape[0]:
        raise inner_error("mm", input, mat2, input._shape[1], mat2._shape[0])
    result = contract(input, mat2, (0, 1, 1, 1))
    return result if out is None else store_out("mm", result, out)


@method
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices, (b x n x k) @ (b x k x m).

    >>> import webtorch
    >>> webtorch.bmm(webtorch.ones(2, 1, 3), webtorch.ones(2, 3, 1)).shape
    webtorch.Size([2, 1, 1])
    """
    check_dims("bmm", input, 3, "batch1")
    check_dims("bmm", mat2, 3, "batch2")
    if input._shape[0] != mat2._shape[0]:
        raise coded_error(
            "batch_dimensions_do_not_match_error",
            f"bmm of shapes {list(input._shape)} and {list(mat2._shape)}: batch sizes {input._shape[0]} and {mat2._shape[0]} differ; "
            "use matmul to broadcast batches",
        )
    if input._shape[2] != mat2._shape[1]:
        raise inner_error("bmm", input, mat2, input._shape[2], mat2._shape[1])
    result = contract(input, mat2, (1, 1, 1, 1))
    return result if out is None else store_out("bmm", result, out)


@method
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of a matrix and a vector.

    >>> import webtorch
    >>> webtorch.mv(webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([3.0, 4.0]))
    tensor([11.])
    """
    check_dims("mv", input, 2, "input")
    check_dims("mv", vec, 1, "vec")
    if input._shape[1] != vec._shape[0]:
        raise inner_error("mv", input, vec, input._shape[1], vec._shape[0])
    result = contract(input, vec, (0, 1, 1, 0))
    return result if out is None else store_out("mv", result, out)


@method
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors of one length.

    >>> import webtorch
    >>> webtorch.dot(webtorch.tensor([2.0, 3.0]), webtorch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    check_dims("dot", input, 1, "input")
    check_dims("dot", tensor, 1, "tensor")
    if input._shape != tensor._shape:
        raise ShapeError(
            f"dot: inconsistent tensor size, expected tensor {list(input._shape)} and src {list(tensor._shape)} to have the "
            "same number of elements"
        )
    result = contract(input, tensor, (0, 0, 1, 0))
    return result if out is None else store_out("dot", result, out)


@method
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """`dot` with the first argument conjugated; the same as `dot` for real tensors.

    >>> import webtorch
    >>> webtorch.vdot(webtorch.tensor([2.0, 3.0]), webtorch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    return dot(input, other)


@method
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors.

    >>> import webtorch
    >>> webtorch.outer(webtorch.tensor([1, 2]), webtorch.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    check_dims("outer", input, 1, "input")
    check_dims("outer", vec2, 1, "vec2")
    result = input.unsqueeze(1) * vec2
    return result if out is None else store_out("outer", result, out)


@method
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product of tensors: dot product of vectors, matrix-vector and matrix products, batches broadcast.

    >>> import webtorch
    >>> webtorch.matmul(webtorch.ones(5, 2, 3), webtorch.ones(3, 4)).shape
    webtorch.Size([5, 2, 4])
    """
    for value in (input, other):
        if not isinstance(value, Tensor):
            raise TypeError(f"matmul({describe(input, other)}): expected Tensors, got {type(value).__name__}")
    if not input._shape or not other._shape:
        raise ShapeError(
            f"matmul: both arguments to matmul need to be at least 1D, but they are {input.ndim}D and {other.ndim}D"
        )
    ka = input._shape[-1]
    kb = other._shape[-2] if other.ndim > 1 else other._shape[0]
    if ka != kb:
        raise inner_error("matmul", input, other, ka, kb)
    if other.ndim == 1:
        result = contract(input, other, (0, input.ndim - 1, 1, 0))
    elif other.ndim == 2:  # the batch dimensions of the first are rows like any other
        result = contract(input, other, (0, input.ndim - 1, 1, 1))
    elif input.ndim == 1:
        batch = other._shape[:-2]
        result = contract(input.expand((*batch, ka)), other, (len(batch), 0, 1, 1))
    else:
        try:
            batch = broadcast_shapes(input._shape[:-2], other._shape[:-2], call="matmul")
        except ShapeError:
            raise coded_error(
                "batch_dimensions_do_not_match_error",
                f"matmul of shapes {list(input._shape)} and {list(other._shape)}: batch dimensions {list(input._shape[:-2])} and "
                f"{list(other._shape[:-2])} do not broadcast",
            ) from None
        result = contract(
            input.expand((*batch, *input._shape[-2:])),
            other.expand((*batch, *other._shape[-2:])),
            (len(batch), 1, 1, 1),
        )
    return result if out is None else store_out("matmul", result, out)


def scaled_sum(input: Tensor, product: Tensor, beta: Any, alpha: Any, out: Tensor | None, call: str) -> Tensor:
    """beta * input + alpha * product; with beta = 0 the input is ignored, NaN and all."""
    if not product.dtype.is_floating_point and (isinstance(alpha, float) or isinstance(beta, float)):
        raise DTypeError(
            f"{call}: For integral input tensors, argument alpha and beta must not be floating point numbers."
        )
    if alpha != 1:
        product = product * alpha
    if beta != 0:
        product = (input if beta == 1 else input * beta).expand(product._shape) + product
    return product if out is None else store_out(call, product, out)


@method
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2).

    >>> import webtorch
    >>> webtorch.addmm(webtorch.ones(2), webtorch.eye(2), webtorch.eye(2))
    tensor([[2., 1.],
            [1., 2.]])
    """
    return scaled_sum(input, mm(mat1, mat2), beta, alpha, out, "addmm")


@method
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat @ vec).

    >>> import webtorch
    >>> webtorch.addmv(webtorch.ones(2), webtorch.eye(2), webtorch.ones(2))
    tensor([2., 2.])
    """
    return scaled_sum(input, mv(mat, vec), beta, alpha, out, "addmv")


@method
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2).

    >>> import webtorch
    >>> webtorch.addr(webtorch.zeros(2, 2), webtorch.ones(2), webtorch.ones(2))
    tensor([[1., 1.],
            [1., 1.]])
    """
    return scaled_sum(input, outer(vec1, vec2), beta, alpha, out, "addr")


@method
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2).

    >>> import webtorch
    >>> webtorch.baddbmm(webtorch.ones(1), webtorch.ones(2, 1, 3), webtorch.ones(2, 3, 1)).flatten()
    tensor([4., 4.])
    """
    return scaled_sum(input, bmm(batch1, batch2), beta, alpha, out, "baddbmm")


@method
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * the sum over the batch of bmm(batch1, batch2).

    >>> import webtorch
    >>> webtorch.addbmm(webtorch.zeros(1, 1), webtorch.ones(2, 1, 3), webtorch.ones(2, 3, 1))
    tensor([[6.]])
    """
    return scaled_sum(input, sum(bmm(batch1, batch2), 0, dtype=batch1.dtype), beta, alpha, out, "addbmm")


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order of multiplications that needs the fewest operations.

    The order is the textbook dynamic programme for matrix chains.

    >>> import webtorch
    >>> webtorch.chain_matmul(webtorch.ones(2, 3), webtorch.ones(3, 4), webtorch.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    for position, matrix in enumerate(matrices):
        check_dims("chain_matmul", matrix, 2, f"matrix {position}")
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    sizes = [matrix._shape[0] for matrix in matrices] + [matrices[-1]._shape[1]]
    count = len(matrices)
    cost = [[0] * count for _ in range(count)]
    cut = [[0] * count for _ in range(count)]
    for length in range(2, count + 1):
        for first in range(count - length + 1):
            last = first + length - 1
            cost[first][last], cut[first][last] = builtins.min(
                (cost[first][k] + cost[k + 1][last] + sizes[first] * sizes[k + 1] * sizes[last + 1], k)
                for k in range(first, last)
            )

    def product(first: int, last: int) -> Tensor:
        if first == last:
            return matrices[first]
        middle = cut[first][last]
        return mm(product(first, middle), product(middle + 1, last))

    return product(0, count - 1)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product.

    >>> import webtorch
    >>> webtorch.kron(webtorch.eye(2), webtorch.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    count = builtins.max(input.ndim, other.ndim)
    a = (1,) * (count - input.ndim) + input._shape
    b = (1,) * (count - other.ndim) + other._shape
    left = input.reshape(tuple(part for size in a for part in (size, 1)))
    right = other.reshape(tuple(part for size in b for part in (1, size)))
    return (left * right).reshape(tuple(x * y for x, y in zip(a, b, strict=True)))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """The sum of products over the last `dims` dimensions of `a` and the first of `b`, or over the pairs listed in `dims`.

    >>> import webtorch
    >>> webtorch.tensordot(webtorch.ones(2, 3), webtorch.ones(2, 4), dims=([0], [0])).shape
    webtorch.Size([3, 4])
    """
    if isinstance(dims, int):
        if dims < 0 or dims > builtins.min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot(dims={dims}) of shapes {list(a._shape)} and {list(b._shape)}: dims must be between 0 and the "
                "smaller ndim"
            )
        left, right = tuple(range(a.ndim - dims, a.ndim)), tuple(range(dims))
    else:
        left, right = (
            normalize_dims(part, tensor.ndim, "tensordot") for part, tensor in zip(dims, (a, b), strict=True)
        )
    if [a._shape[d] for d in left] != [b._shape[d] for d in right]:
        raise ShapeError(
            f"tensordot(dims={dims}): contracted dimensions need to match, but got {[a._shape[d] for d in left]} of the first and "
            f"{[b._shape[d] for d in right]} of the second (shapes {list(a._shape)} and {list(b._shape)})"
        )
    rows = [d for d in range(a.ndim) if d not in left]
    columns = [d for d in range(b.ndim) if d not in right]
    result = contract(a.permute((*rows, *left)), b.permute((*right, *columns)), (0, len(rows), len(left), len(columns)))
    return result if out is None else store_out("tensordot", result, out)


# ---- comparisons of whole tensors -----------------------------------------------------------------------------------


@method
def equal(input: Tensor, other: Tensor) -> bool:
    """True when both tensors have one shape and equal elements. Reads back from a GPU.

    >>> import webtorch
    >>> webtorch.equal(webtorch.tensor([1, 2]), webtorch.tensor([1, 2]))
    True
    """
    if input._shape != other._shape:
        return False
    return not numel(input._shape) or bool((input == other).all().item())


@method
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """True where |input - other| <= atol + rtol * |other|; equal infinities are close.

    >>> import webtorch
    >>> webtorch.isclose(webtorch.tensor([1.0, 2.0]), webtorch.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    if input.dtype is not other.dtype:
        raise DTypeError(f"isclose: {input.dtype} did not match {other.dtype}; convert one with .to(dtype)")
    if not input.dtype.is_floating_point:
        if not rtol and not atol:
            return input == other
        wide = dtypes.float64 if input.device.type == "cpu" else dtypes.float32
        input, other = input.to(wide), other.to(wide)
    close = (input == other) | (
        ((input - other).abs() <= atol + rtol * other.abs()) & other.isfinite() & input.isfinite()
    )
    return close | (input.isnan() & other.isnan()) if equal_nan else close


@method
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """True when all elements are close (see `isclose`). Reads back from a GPU.

    >>> import webtorch
    >>> webtorch.allclose(webtorch.tensor([1.0]), webtorch.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all().item())


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """True where an element is among `test_elements`.

    >>> import webtorch
    >>> webtorch.isin(webtorch.tensor([1, 2, 3]), webtorch.tensor([2, 3]))
    tensor([False,  True,  True])
    """
    if not isinstance(elements, Tensor):
        elements = creation.tensor(elements, device=test_elements.device)
    if not isinstance(test_elements, Tensor):
        test_elements = creation.tensor(test_elements, device=elements.device)
    found = (elements.unsqueeze(-1) == test_elements.reshape((-1,))).any(-1)
    return ~found if invert else found


@method
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """The elements of `src` (broadcast, converted, moved) written into this tensor."""
    from .autograd import inplace

    inplace.check_target(self, "copy_")
    src = src if isinstance(src, Tensor) else creation.tensor(src, dtype=self.dtype, device=self.device)
    return inplace.assign(self, src.to(device=self.device, dtype=self.dtype).expand(self._shape), "copy_", True)


@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """Every element set to a number (or to a 0-d tensor)."""
    from .autograd import inplace

    inplace.check_target(self, "fill_")
    if isinstance(value, Tensor):
        if value._shape:
            raise ShapeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        value = value.to(device=self.device, dtype=self.dtype).expand(self._shape)
    else:
        value = creation.full(self._shape, value, dtype=self.dtype, device=self.device)
    return inplace.assign(self, value, "fill_", True)


@method
def zero_(self: Tensor) -> Tensor:
    """Every element set to zero."""
    return self.fill_(0)


@method
def dropout(input: Tensor, p: float = 0.5, training: bool = True, train: bool | None = None) -> Tensor:
    """Each element zeroed with probability `p` and the others scaled by 1 / (1 - p), when training.

    >>> import webtorch
    >>> webtorch.dropout(webtorch.ones(3), 0.5, training=False)
    tensor([1., 1., 1.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    training = training if train is None else train
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0.0
    from .random import rand

    keep = rand(input._shape, device=input.device) >= p
    return TABLE["where"](keep, input * (1.0 / (1.0 - p)), 0.0)


def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """Leaky ReLU whose slope for negative elements is drawn from [lower, upper] when training, else their mean.

    >>> import webtorch
    >>> webtorch.rrelu(webtorch.tensor([-1.0, 2.0]), 0.5, 0.5)
    tensor([-0.5000,  2.0000])
    """
    if lower > upper:
        raise ValueError(f"rrelu(lower={lower}, upper={upper}): lower bound should be less than or equal to the upper bound")
    slope: Any = (lower + upper) / 2
    if training:
        from .random import rand

        slope = rand(input._shape, device=input.device) * (upper - lower) + lower
    return TABLE["where"](input >= 0, input, input * slope)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, over the last dimension of `input`; `weight` is (out_features, in_features).

    >>> import webtorch
    >>> webtorch.linear(webtorch.ones(1, 2), webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([0.5]))
    tensor([[3.5000]])
    """
    if weight.ndim not in (1, 2):
        raise ShapeError(f"linear: weight must be 1-D or 2-D, but has shape {list(weight._shape)}")
    if not input._shape or input._shape[-1] != weight._shape[-1]:
        raise inner_error("linear", input, weight.t(), input._shape[-1] if input._shape else 0, weight._shape[-1])
    result = matmul(input, weight.t())
    return result if bias is None else result + bias


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second half.

    >>> import webtorch
    >>> webtorch.glu(webtorch.tensor([2.0, 0.0]))
    tensor([1.])
    """
    dim = normalize_dim(dim, input.ndim, "glu")
    if input._shape[dim] % 2:
        raise ShapeError(
            f"glu(dim={dim}): Halving dimension must be even, but dimension {dim} is size {input._shape[dim]}"
        )
    first, second = chunk(input, 2, dim)
    return first * second.sigmoid()


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """softmax(-input) along `dim`.

    >>> import webtorch
    >>> webtorch.softmin(webtorch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return TABLE["softmax"](-input, dim, dtype)


__all__ = [
    "addbmm", "addmm", "addmv", "addr", "allclose", "aminmax", "argmax", "argmin", "baddbmm", "bmm", "broadcast_tensors",
    "broadcast_to", "cat", "chain_matmul", "chunk", "clone", "count_nonzero", "dot", "dropout", "equal", "flatten", "glu",
    "isclose", "isin", "kron", "linear", "logsumexp", "matmul", "max", "mean", "min", "mm", "movedim", "mv", "nanmean", "nansum",
    "norm", "outer", "reshape", "rrelu", "softmin", "split", "stack", "std", "std_mean", "tensordot", "tril", "triu", "unbind", "var",
    "var_mean", "vdot", "detach", "contiguous", "expand_as",
]  # fmt: skip
