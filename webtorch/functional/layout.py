"""Copies, conversions, shapes, and taking apart and joining."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from .. import batching, components, creation, dtypes, graph
from ..devices import device as Device
from ..errors import ShapeError, coded_error
from ..ops import TABLE, common_device, from_node, result_dtype, tracks
from ..ops.elementwise import clone as clone_row
from ..ops.elementwise import store_out
from ..ops.view import view_row
from ..shapes import (
    broadcast_shapes,
    check_shape_arguments,
    infer_shape,
    normalize_dim,
    normalize_dims,
    numel,
    view_strides,
)
from ..tensor import Tensor
from .method import method


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
        from ..autograd.graph import attach

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
    ("bfloat16", dtypes.bfloat16), ("short", dtypes.int16), ("char", dtypes.int8), ("byte", dtypes.uint8), ("bool", dtypes.bool_),
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
    from ..ops.join import join

    tensors = list(tensors)
    dim = dim if axis is None else axis
    if not tensors:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"cat(): expected Tensor as element {position} in argument 0, but got {type(tensor).__name__}"
            )
    if components.CUSTOM and components.among(tensors):
        return components.concatenated(cat, tensors, dim)
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
