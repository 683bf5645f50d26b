"""View operations: another geometry of the same storage. None of them runs a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import batching, grad_mode, tangents
from ..errors import ShapeError, coded_error
from ..shapes import (
    broadcast_strides,
    check_shape_arguments,
    contiguous_strides,
    expanded_shape,
    extent,
    infer_shape,
    normalize_dim,
    normalize_dims,
    numel,
    view_strides,
)
from . import Op, Tensor, tracks, view_of


class View(Op):
    """`geometry` maps (shape, strides, offset) and the attributes to the new (shape, strides, offset); `bind` turns
    the call's arguments into attributes."""

    batches = True

    def __init__(self, name: str, *, geometry: Callable, bind: Callable | None = None, **rest: Any) -> None:
        super().__init__(name, **rest)
        self.geometry = geometry
        self.bind = bind

    def __call__(self, x: Tensor, *args: Any, **given: Any) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{self.name}: expected a Tensor, got {type(x).__name__}; make one with webtorch.tensor(...)"
            )
        attributes = self.bind(x._shape, *args, **given) if self.bind is not None else {}
        return self.view(x, attributes)

    def view(self, x: Tensor, attributes: dict) -> Tensor:
        shape, strides, offset = self.geometry(x._shape, x._strides, x._offset, **attributes)
        result = view_of(self.storage(x), shape, strides, offset)
        if x._batch:
            result._batch = self.hidden(x)
        if x._uncounted:
            result._uncounted = True
        state = grad_mode.current()
        if not state.inference:
            result._base = x if x._base is None else x._base
            result._view_version = x._storage.version
        if (state.grad and not state.inference and x.requires_grad) or (tangents.live and tangents.carries(x)):
            from ..autograd.graph import attach

            attach(self, result, (x,), attributes)
        return result

    def storage(self, x: Tensor) -> Any:
        """The memory that the view is of."""
        return x._storage

    def hidden(self, x: Tensor) -> tuple:
        """The hidden dimensions of the view."""
        return x._batch

    def evaluate(self, node: Any, arrays: list) -> np.ndarray:
        raise AssertionError(f"{self.name} is a view; it is never computed")


# ---- geometry of each ----------------------------------------------------------------------------------------------


def permuted(shape, strides, offset, dims):
    return tuple(shape[d] for d in dims), tuple(strides[d] for d in dims), offset


def bind_permute(shape, *dims):
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = tuple(dims[0])
    if len(dims) != len(shape):
        raise coded_error(
            "permute_error_dimension_count_mismatch",
            f"permute({list(dims)}) of shape {list(shape)}: number of dimensions in the tensor input does not match the length "
            f"of the desired ordering of dimensions, i.e. input.dim() = {len(shape)} is not equal to len(dims) = {len(dims)}",
        )
    return {"dims": normalize_dims(dims, len(shape), "permute")}


def inverse(dims):
    result = [0] * len(dims)
    for position, dim in enumerate(dims):
        result[dim] = position
    return tuple(result)


def bind_transpose(shape, dim0, dim1):
    a = normalize_dim(dim0, len(shape), "transpose", "transpose_dims_error_out_of_range")
    b = normalize_dim(dim1, len(shape), "transpose", "transpose_dims_error_out_of_range")
    dims = list(range(len(shape)))
    if dims:
        dims[a], dims[b] = dims[b], dims[a]
    return {"dims": tuple(dims)}


def bind_t(shape):
    if len(shape) > 2:
        raise coded_error(
            "transpose_error_requires_2d_tensor",
            f"t() expects a tensor with <= 2 dimensions, but self is {len(shape)}D (shape {list(shape)}); use transpose(dim0, dim1)",
        )
    return {"dims": tuple(range(len(shape)))[::-1]}


def expanded(shape, strides, offset, sizes):
    return sizes, broadcast_strides(shape, strides, sizes), offset


def bind_expand(shape, *sizes):
    return {"sizes": expanded_shape(shape, check_shape_arguments(sizes, "expand", allow_negative=True), "expand")}


def sliced(shape, strides, offset, dim, start, length, step):
    return (
        (*shape[:dim], length, *shape[dim + 1 :]),
        (*strides[:dim], strides[dim] * step, *strides[dim + 1 :]),
        offset + start * strides[dim],
    )


def selected(shape, strides, offset, dim, index):
    return (*shape[:dim], *shape[dim + 1 :]), (*strides[:dim], *strides[dim + 1 :]), offset + index * strides[dim]


def bind_select(shape, dim, index):
    dim = normalize_dim(dim, len(shape), "select")
    if not shape:
        raise coded_error("select_error_index_out_of_bounds", "select() cannot be applied to a 0-dim tensor.")
    index = index.__index__()
    if not -shape[dim] <= index < shape[dim]:
        raise coded_error(
            "select_error_index_out_of_bounds",
            f"select({dim}, {index}): index {index} is out of bounds for dimension {dim} with size {shape[dim]} "
            f"(shape {list(shape)}); use an index in [{-shape[dim]}, {shape[dim] - 1}]",
        )
    return {"dim": dim, "index": index % shape[dim]}


def bind_narrow(shape, dim, start, length):
    dim = normalize_dim(dim, len(shape), "narrow")
    start, length = int(start), int(length)
    size = shape[dim]
    if not -size <= start <= size:
        raise coded_error(
            "narrow_error_start_out_of_bounds",
            f"narrow({dim}, {start}, {length}): start out of range (expected to be in range of [{-size}, {size}], but got {start})",
        )
    start = start + size if start < 0 else start
    if length < 0 or start + length > size:
        raise coded_error(
            "narrow_error_length_exceeds_bounds",
            f"narrow({dim}, {start}, {length}): start ({start}) + length ({length}) exceeds dimension size ({size}).",
        )
    return {"dim": dim, "start": start, "length": length, "step": 1}


def unsqueezed(shape, strides, offset, dim):
    step = shape[dim] * strides[dim] if dim < len(shape) else 1
    return (*shape[:dim], 1, *shape[dim:]), (*strides[:dim], step, *strides[dim:]), offset


def squeezed(shape, strides, offset, dims):
    kept = [d for d in range(len(shape)) if not (d in dims and shape[d] == 1)]
    return tuple(shape[d] for d in kept), tuple(strides[d] for d in kept), offset


def bind_squeeze(shape, dim=None):
    return {"dims": tuple(range(len(shape))) if dim is None else normalize_dims(dim, len(shape), "squeeze")}


def viewed(shape, strides, offset, sizes):
    new = view_strides(shape, strides, sizes)
    if new is None:
        raise ShapeError(
            f"view({list(sizes)}) of shape {list(shape)} with strides {list(strides)}: view size is not compatible with input "
            "tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return sizes, new, offset


def bind_view(shape, *sizes):
    return {"sizes": infer_shape(check_shape_arguments(sizes, "view", allow_negative=True), numel(shape), "view")}


def flipped(shape, strides, offset, dims):
    strides = list(strides)
    for dim in dims:
        if shape[dim] > 0:
            offset += (shape[dim] - 1) * strides[dim]
            strides[dim] = -strides[dim]
    return shape, tuple(strides), offset


def bind_flip(shape, *places, dims=None):
    dims = places if dims is None else (dims,)
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = tuple(dims[0])
    return {"dims": normalize_dims(dims, len(shape), "flip", "flip_error_dim_out_of_range")}


def diagonaled(shape, strides, offset, diagonal, dim1, dim2):
    length = max(
        0, min(shape[dim1], shape[dim2] - diagonal) if diagonal >= 0 else min(shape[dim1] + diagonal, shape[dim2])
    )
    if length:
        offset += diagonal * strides[dim2] if diagonal >= 0 else -diagonal * strides[dim1]
    kept = [d for d in range(len(shape)) if d not in (dim1, dim2)]
    return (
        (*(shape[d] for d in kept), length),
        (*(strides[d] for d in kept), strides[dim1] + strides[dim2]),
        offset,
    )


def bind_diagonal(shape, offset=0, dim1=0, dim2=1):
    a, b = normalize_dim(dim1, len(shape), "diagonal"), normalize_dim(dim2, len(shape), "diagonal")
    if a == b or len(shape) < 2:
        raise ShapeError(
            f"diagonal(dim1={dim1}, dim2={dim2}) of shape {list(shape)}: diagonal dimensions cannot be identical"
        )
    return {"diagonal": int(offset), "dim1": a, "dim2": b}


def geometry_in_parts(shape, strides, offset):
    """Of a complex view: where the real and imaginary parts lie, a last dimension of two, counted in parts."""
    return (*shape, 2), (*(2 * stride for stride in strides), 1), 2 * offset


def unfolded(shape, strides, offset, dimension, size, step):
    if not shape:
        return (size,), (1,), offset
    count = (shape[dimension] - size) // step + 1
    return (
        (*shape[:dimension], count, *shape[dimension + 1 :], size),
        (*strides[:dimension], strides[dimension] * step, *strides[dimension + 1 :], strides[dimension]),
        offset,
    )


def bind_unfold(shape, dimension, size, step):
    dimension = normalize_dim(dimension, len(shape), "unfold")
    room = shape[dimension] if shape else 1
    if not 0 <= size <= room:
        raise ShapeError(
            f"unfold({dimension}, {size}, {step}): maximum size for tensor at dimension {dimension} is {room} but size is {size}"
        )
    if step <= 0:
        raise ShapeError(f"unfold({dimension}, {size}, {step}): step is {step} but must be > 0")
    return {"dimension": dimension, "size": size, "step": step}


# ---- gradients ------------------------------------------------------------------------------------------------------


def slice_gradient(g, x_shape, dim, start, length, step):
    from .pad import pad

    if step < 0:
        g, start, step = g.flip((dim,)), start + (length - 1) * step, -step
    low = [0] * len(x_shape)
    steps = [1] * len(x_shape)
    low[dim], steps[dim] = start, step
    return pad(g, tuple(low), tuple(steps), x_shape, 0.0)


def unfold_gradient(g, x_shape, dimension, size, step):
    """The sum of the windows' gradients, each placed where its window was."""
    from .pad import pad

    if not x_shape:
        return g.reshape(())
    length = x_shape[dimension]
    order = (*(d for d in range(g.ndim - 1) if d != dimension), dimension, g.ndim - 1)
    whole = overlap_added(g.permute(order), step, (g._shape[dimension] - 1) * step + size)
    low = [0] * len(x_shape)
    if whole._shape[-1] != length:
        whole = pad(whole, tuple(low), tuple(1 for _ in low), (*whole._shape[:-1], length), 0.0)
    back = list(range(whole.ndim - 1))
    back.insert(dimension, whole.ndim - 1)
    return whole.permute(tuple(back))


def overlap_added(frames, step, length):
    """The sum of frames [..., count, size] that begin `step` elements apart, `length` elements in all.

    Each frame is cut into pieces of `step` elements; the pieces of one number lie side by side, so there is one sum for
    each piece of a frame, not one for each element.
    """
    from .pad import pad

    *lead, count, size = frames._shape
    pieces = max(1, -(-size // step))
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    if pieces * step != size:
        frames = pad(frames, (*zeros, 0, 0), (*ones, 1, 1), (*lead, count, pieces * step), 0.0)
    blocks = (*lead, count + pieces - 1, step)
    total = None
    for piece in range(pieces):
        part = frames.narrow(-1, piece * step, step)
        if pieces > 1:
            part = pad(part, (*zeros, piece, 0), (*ones, 1, 1), blocks, 0.0)
        total = part if total is None else total + part
    whole = total.reshape((*lead, blocks[-2] * step))
    return whole.narrow(-1, 0, length) if whole._shape[-1] > length else whole


def overlaps(shape, strides) -> bool:
    """True when two elements of a view may lie at the same place."""
    steps = sorted((abs(stride), size) for size, stride in zip(shape, strides, strict=True) if size > 1)
    reach = 0
    for stride, size in steps:
        if stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


def as_strided_gradient(g, base, view):
    """The part of a base's gradient that belongs to a view of it: the view's elements, read from `g` laid out as the base."""
    span = extent(*base)[1] + 1
    flat = on_storage(g, base, max(span, extent(*view)[1] + 1))
    return as_strided.view(flat, {"view": view, "geometry": None}).clone()


def strided_gradient_zeroed(g, base, view):
    """`g` (laid out as the base) with zeros where the view lies."""
    from ..creation import ones, zeros

    span = max(extent(*base)[1], extent(*view)[1]) + 1
    mask = ones((span,), dtype=g.dtype, device=g.device)
    view_of(mask._storage, *view)._write(zeros(view[0], dtype=g.dtype, device=g.device))
    return g * view_of(mask._storage, *base)


def on_storage(g, geometry, span):
    """A flat tensor with `g`'s elements where a storage of that geometry has them, zero elsewhere."""

    shape, strides, offset = geometry
    if strides == contiguous_strides(shape) and offset == 0 and span == numel(shape):
        return own_storage(g).reshape((span,))
    flat = batching.zeros_for(g, (span,))
    if overlaps(shape, strides):
        return flat.index_put((strided_positions(geometry, g.device).reshape(-1),), g.reshape(-1), accumulate=True)
    return strided_write(flat, g, geometry)


def own_storage(g):
    """`g` alone in its storage, in row-major order, so that a storage position is an element number."""
    alone = g._offset == 0 and g._storage.node.size == numel(g._shape) and g.is_contiguous()
    return g if alone else g.clone()


def strided_positions(geometry, device):
    """The storage position of every element of a view, as an int64 tensor of the view's shape."""
    from ..creation import tensor

    shape, strides, offset = geometry
    positions = np.full(shape, offset, np.int64)
    for dimension, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        where = [1] * len(shape)
        where[dimension] = size
        positions += (np.arange(size, dtype=np.int64) * stride).reshape(where)
    return tensor(positions, device=device)


def strided_write(flat, g, geometry):
    """`flat` with `g` written at a (non-overlapping) geometry; differentiable in `g`."""
    shape = flat._shape
    target = flat._view(*geometry)
    with grad_mode.no_grad():
        target._write(g.detach())
    if tracks(g):
        from ..autograd.graph import attach

        attach(strided_write_row, flat, (g,), {"geometry": geometry, "flat": shape})
    return flat


def view_of_base_gradient(g, geometry, view, x_dtype=None):
    """The gradient of a view, laid out as its base; one may be complex, and the other a view of parts."""
    if x_dtype is not None and g.dtype.is_complex != x_dtype.is_complex:
        from .parts import view_as_complex, view_as_real

        if g.dtype.is_complex:
            return view_of_base_gradient(view_as_real(g), geometry, geometry_in_parts(*view))
        return view_as_complex(view_of_base_gradient(g, geometry_in_parts(*geometry), view))
    span = max(extent(*geometry)[1], extent(*view)[1]) + 1
    return as_strided.view(on_storage(g, view, span), {"view": geometry, "geometry": None}).clone()


def as_strided_vjp(g, x_shape, view, geometry):
    geometry = geometry or (x_shape, contiguous_strides(x_shape), 0)
    return view_of_base_gradient(g, geometry, view)


# fmt: off
permute = View("permute", geometry=permuted, bind=bind_permute, vjp=(lambda g, dims: g.permute(inverse(dims)),),
    doc="""The dimensions in another order, as a view.

    >>> import webtorch
    >>> webtorch.zeros(2, 3, 4).permute(2, 0, 1).shape
    webtorch.Size([4, 2, 3])
    """)
transpose = View("transpose", geometry=permuted, bind=bind_transpose, vjp=(lambda g, dims: g.permute(dims),),
    doc="""Two dimensions swapped, as a view.

    >>> import webtorch
    >>> webtorch.zeros(2, 3).transpose(0, 1).shape
    webtorch.Size([3, 2])
    """)
t = View("t", geometry=permuted, bind=bind_t, vjp=(lambda g, dims: g.permute(dims),),
    doc="""The transpose of a matrix, as a view; tensors of fewer dimensions are returned as they are.

    >>> import webtorch
    >>> webtorch.tensor([[1, 2], [3, 4]]).t()
    tensor([[1, 3],
            [2, 4]])
    """)
expand = View("expand", geometry=expanded, bind=bind_expand, vjp=(lambda g: g,),
    doc="""Size-1 dimensions repeated without copying; -1 keeps a size.

    >>> import webtorch
    >>> webtorch.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """)
narrow = View("narrow", geometry=sliced, bind=bind_narrow, vjp=(slice_gradient,), grad_name="Slice",
    doc="""`length` elements of dimension `dim` from `start` on, as a view.

    >>> import webtorch
    >>> webtorch.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """)
slice_ = View("_slice", geometry=sliced, vjp=(slice_gradient,), public=False, grad_name="Slice")
select = View("select", geometry=selected, bind=bind_select, grad_name="Select",
    vjp=(lambda g, x_shape, dim, index: slice_gradient(g.unsqueeze(dim), x_shape, dim, index, 1, 1),),
    doc="""The slice at `index` of dimension `dim`, which is removed.

    >>> import webtorch
    >>> webtorch.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """)
unsqueeze = View("unsqueeze", geometry=unsqueezed, vjp=(lambda g, x_shape: g.reshape(x_shape),),
    bind=lambda shape, dim: {"dim": normalize_dim(dim, len(shape) + 1, "unsqueeze")},
    doc="""A new dimension of size 1 at `dim`.

    >>> import webtorch
    >>> webtorch.zeros(3).unsqueeze(0).shape
    webtorch.Size([1, 3])
    """)
squeeze = View("squeeze", geometry=squeezed, bind=bind_squeeze, vjp=(lambda g, x_shape: g.reshape(x_shape),),
    doc="""The dimensions of size 1 removed: all of them, or those named by `dim`.

    >>> import webtorch
    >>> webtorch.zeros(1, 3, 1).squeeze().shape
    webtorch.Size([3])
    """)
view_row = View("view", geometry=viewed, bind=bind_view, vjp=(lambda g, x_shape: g.reshape(x_shape),),
    doc="""The same elements with another shape, sharing memory; one size may be -1. Raises where that needs a copy.

    >>> import webtorch
    >>> webtorch.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """)
flip = View("flip", geometry=flipped, bind=bind_flip, vjp=(lambda g, dims: g.flip(dims),),
    doc="""The order of elements reversed along `dims`, as a view with negative strides.

    >>> import webtorch
    >>> webtorch.arange(3).flip(0)
    tensor([2, 1, 0])
    """)
diagonal = View("diagonal", geometry=diagonaled, bind=bind_diagonal,
    vjp=(lambda g, x_shape, diagonal, dim1, dim2: view_of_base_gradient(
        g, (x_shape, contiguous_strides(x_shape), 0),
        diagonaled(x_shape, contiguous_strides(x_shape), 0, diagonal, dim1, dim2)),),
    doc="""The diagonal of dimensions `dim1` and `dim2`, as a view whose last dimension runs along it.

    >>> import webtorch
    >>> webtorch.tensor([[1, 2], [3, 4]]).diagonal()
    tensor([1, 4])
    """)
unfold = View("unfold", geometry=unfolded, bind=bind_unfold, vjp=(unfold_gradient,),
    doc="""All windows of `size` elements of `dimension`, `step` apart, as a view; the window is the last dimension.

    >>> import webtorch
    >>> webtorch.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """)
as_strided = View("_as_strided", geometry=lambda shape, strides, offset, view, geometry: view, vjp=(as_strided_vjp,), public=False)
view_of_base = View("_view_of_base", geometry=lambda shape, strides, offset, geometry, view: view, public=False,
    vjp=(view_of_base_gradient,), grad_name="AsStrided")
strided_write_row = View("_strided_write", geometry=lambda shape, strides, offset, geometry, flat: (), public=False,
    vjp=(lambda g, geometry: as_strided.view(own_storage(g), {"view": geometry, "geometry": None}).clone(),))
# fmt: on
