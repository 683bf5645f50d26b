"""Indexing: `x[...]`, assignment to it, and the functions that read and write at index tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import batching, creation, dtypes, elsewhere, engine, graph
from .autograd import inplace
from .errors import DeviceError, DTypeError, IndexShapeError, ShapeError, coded_error
from .grad_mode import no_grad
from .ops import TABLE, common_device
from .ops.binary import where
from .ops.gather import put, take
from .ops.view import slice_
from .shapes import broadcast_shapes, normalize_dim, numel
from .tensor import Tensor

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_put", "index_select", "masked_fill", "masked_select",
    "nonzero", "scatter", "scatter_add", "take_along_dim",
]  # fmt: skip

MAX_CHECKS = 256


def method(function):
    setattr(Tensor, function.__name__, function)
    return function


# ---- indices --------------------------------------------------------------------------------------------------------


def out_of_range(call: str, index: int | None, dim: int, size: int) -> Exception:
    named = "an index" if index is None else f"index {index}"
    return coded_error(
        "at_error_index_out_of_bounds",
        f"{call}: {named} is out of bounds for dimension {dim} with size {size}; use an index in [{-size}, {size - 1}]",
    )


def checked(index: Tensor, size: int, dim: int, call: str, wrap: bool = True) -> Tensor:
    """An index tensor with negative entries counted from the end, after checking that all lie inside.

    On cpu a wrong index raises at once. On a GPU that would need a read-back, so the finding is computed on the side and
    raised when a value is next read.
    """
    if index.dtype.kind not in ("int", "uint"):
        raise DTypeError(
            f"{call}: tensors used as indices must be integer or bool tensors, not {index.dtype}; convert with .long()"
        )
    index = index.detach()
    low = -size if wrap else 0
    if index.device.type == "meta":
        return index
    if index.device.type != "webgpu":
        levels = batching.levels_of(index)
        array = (batching.exposed(index, levels) if levels else index)._array()
        if array.size:
            smallest, largest = int(array.min()), int(array.max())
            if smallest < low or largest >= size:
                raise out_of_range(call, smallest if smallest < low else largest, dim, size)
            if smallest < 0:
                wrapped = creation.leaf(np.where(array < 0, array + size, array), index.device)
                return batching.hidden(wrapped, levels) if levels else wrapped
        return index
    with no_grad():
        if numel(index._shape):
            levels = batching.levels_of(index)
            whole = batching.exposed(index, levels) if levels else index
            node, question = whole._storage.node, ("inside", whole._shape, whole._strides, whole._offset, low, size)
            doubt = engine.asked(node, question)
            if doubt is None:
                doubt = look_over(whole, low, size, dim, call)
                engine.remember(node, question, doubt)
        # Out-of-range entries are brought inside, so that no kernel touches memory that is not its own; what is computed
        # with them is refused once they are known.
        if size < 1 << 30 and index.dtype is dtypes.int64:  # whatever the upper halves of wrong entries hold
            index = index.to(dtypes.int32)
        inside = index.clamp(low, max(size - 1, 0))
        inside = (inside + (inside < 0) * size) if wrap else inside
        if numel(index._shape):
            engine.depends(inside._storage.node, doubt)
        return inside


def look_over(index: Tensor, low: int, size: int, dim: int, call: str) -> engine.Doubt:
    """Have the next read raise if an entry of `index`, a tensor on a GPU, is not in [low, size)."""
    bad = ((index < low) | (index >= size)).any()
    entries = index._operand()  # and not the tensor, whose values would have to be computed if it lived on

    def verdict(found: np.ndarray) -> Exception | None:
        return out_of_range(call, offending(entries, low, size), dim, size) if found[0] else None

    doubt = engine.add_check(bad._storage.node, verdict)
    if len(engine._checks) > MAX_CHECKS:
        engine.synchronize()
    return doubt


def offending(entries: graph.Operand, low: int, size: int) -> int | None:
    """The first entry that is not in [low, size); None for a replay, which found one in another tensor than this."""
    array = engine.strided(engine.read(entries.node), entries.shape, entries.strides, entries.offset).reshape(-1)
    wrong = array[(array < low) | (array >= size)]
    return int(wrong[0]) if len(wrong) else None


def as_index(value: Any, device: Any) -> Tensor:
    """A list, array or tensor used as an index, on the device of what it indexes."""
    if isinstance(value, Tensor):
        return value if value.device == device else value.to(device)
    array = np.asarray(value)
    if array.size == 0 and array.dtype.kind == "f":  # an empty list
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        raise IndexShapeError(
            f"indexing with {value!r}: only integers, slices (`:`), ellipsis (`...`), None and long or bool tensors are valid indices"
        )
    return creation.leaf(np.array(array, order="C", dtype=np.bool_ if array.dtype.kind == "b" else np.int64), device)


def is_advanced(item: Any) -> bool:
    if isinstance(item, Tensor):
        return bool(item._shape) or item.dtype is dtypes.bool_
    if isinstance(item, np.ndarray):  # a 0-d array of an integer is an integer
        return bool(item.ndim) or item.dtype.kind == "b"
    return isinstance(item, (list, range, bool, np.bool_))


class Plan:
    """An index split in two: the view that its basic part makes, and the dimensions of it that index tensors address."""

    def __init__(self, x: Tensor, index: Any, call: str) -> None:
        items = list(index) if isinstance(index, tuple) else [index]
        used = sum(self.consumes(item) for item in items)
        if used > x.ndim:
            raise coded_error(
                "at_error_index_out_of_bounds",
                f"{call} of shape {list(x._shape)}: too many indices for tensor of dimension {x.ndim} (got {used}); drop some",
            )
        dots = [position for position, item in enumerate(items) if item is Ellipsis]
        if len(dots) > 1:
            raise IndexShapeError(f"{call}: an index can only have a single ellipsis ('...')")
        fill = [slice(None)] * (x.ndim - used)
        if dots:
            items[dots[0] : dots[0] + 1] = fill
        else:
            items += fill
        self.call = call
        self.indices: list[tuple[int, Tensor]] = []  # (dimension of the view, index)
        self.mask: Tensor | None = None  # the only index, when it is a bool tensor
        view, dim = x, 0
        named = 0  # the dimension of x that an item addresses, for errors
        advanced: list[tuple[int, Tensor]] = []
        self.names: list[int] = []  # the dimension of x that each of them addresses first
        for item in items:
            if item is None:
                view, dim = view.unsqueeze(dim), dim + 1
            elif isinstance(item, slice):
                view, dim, named = self.slice(view, dim, item), dim + 1, named + 1
            elif is_advanced(item):
                tensor = as_index(item, x.device)
                if tensor.dtype is dtypes.bool_ and not tensor._shape:
                    view = view.unsqueeze(dim)
                    tensor = tensor.reshape((1,))
                    named -= 1
                if tensor.dtype is dtypes.uint8:
                    tensor = tensor.to(dtypes.bool_)
                advanced.append((dim, tensor))
                self.names.append(named)
                width = max(1, tensor.ndim) if tensor.dtype is dtypes.bool_ else 1
                dim, named = dim + width, named + width
            else:
                view, named = self.integer(view, dim, item, named), named + 1
        self.view = view
        if len(advanced) == 1 and advanced[0][1].dtype is dtypes.bool_:
            self.mask, self.mask_dim = advanced[0][1], advanced[0][0]
            self.check_mask(self.mask, self.mask_dim)
        self.advanced = advanced

    @staticmethod
    def consumes(item: Any) -> int:
        if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
            return 0
        if isinstance(item, Tensor) and item.dtype is dtypes.bool_:
            return item.ndim
        if isinstance(item, np.ndarray) and item.dtype == np.bool_:
            return item.ndim
        if isinstance(item, list):
            array = np.asarray(item)
            return array.ndim if array.dtype == np.bool_ else 1
        return 1

    def slice(self, view: Tensor, dim: int, item: slice) -> Tensor:
        size = view._shape[dim]
        try:
            start, stop, step = item.indices(size)
        except ValueError:
            raise ShapeError(f"{self.call}: slice step cannot be zero") from None
        length = len(range(start, stop, step))
        if (start, length, step) == (0, size, 1):
            return view
        start = start if length else 0
        return slice_.view(view, {"dim": dim, "start": start, "length": length, "step": step})

    def integer(self, view: Tensor, dim: int, item: Any, named: int) -> Tensor:
        try:
            index = item.__index__()
        except (AttributeError, TypeError):
            raise IndexShapeError(
                f"{self.call}: only integers, slices (`:`), ellipsis (`...`), None and long or bool tensors are valid indices "
                f"(got {type(item).__name__})"
            ) from None
        size = view._shape[dim]
        if not -size <= index < size:
            raise out_of_range(self.call, index, named, size)
        return view.select(dim, index)

    def check_mask(self, mask: Tensor, dim: int) -> None:
        covered = self.view._shape[dim : dim + mask.ndim]
        if mask._shape != covered:
            raise coded_error(
                "at_error_index_out_of_bounds",
                f"{self.call}: the shape of the mask {list(mask._shape)} does not match the shape of the indexed tensor "
                f"{list(self.view._shape)} at dimension {dim}",
            )

    def resolve(self) -> tuple[list[Tensor], tuple[int, ...], tuple[int, ...]]:
        """The indices (of one shape, checked, not negative), their dimensions, and that shape."""
        indices, dims = [], []
        for (dim, tensor), named in zip(self.advanced, self.names, strict=True):
            if tensor.dtype is dtypes.bool_:
                self.check_mask(tensor, dim)
                for offset, positions in enumerate(nonzero(tensor, as_tuple=True)):
                    indices.append(positions)
                    dims.append(dim + offset)
            else:
                indices.append(checked(tensor, self.view._shape[dim], named, self.call))
                dims.append(dim)
        try:
            shape = broadcast_shapes(*(index._shape for index in indices), call=self.call)
        except ShapeError:
            raise IndexShapeError(
                f"{self.call}: shape mismatch: indexing tensors could not be broadcast together with shapes "
                + ", ".join(str(list(index._shape)) for index in indices)
            ) from None
        return [index.expand(shape) for index in indices], tuple(dims), shape

    def place(self, dims: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """The permutation from [*B, *rest] to numpy's and PyTorch's order: in place when the indexed dimensions are
        neighbours, in front otherwise (None)."""
        if dims[-1] - dims[0] != len(dims) - 1:
            return None
        first, width = dims[0], len(shape)
        if first == 0:
            return None
        rest = self.view.ndim - len(dims)
        return (*range(width, width + first), *range(width), *range(width + first, width + rest))


@method
def __getitem__(self: Tensor, index: Any) -> Tensor:
    plan = Plan(self, index, f"x[{describe_index(index)}]")
    if not plan.advanced:
        return plan.view if plan.view is not self else slice_whole(self)
    indices, dims, shape = plan.resolve()
    result = take(plan.view, indices, dims)
    order = plan.place(dims, shape)
    return result if order is None else result.permute(order).contiguous()


def slice_whole(x: Tensor) -> Tensor:
    """`x[...]`: another tensor on the same memory."""
    from .ops.view import view_row

    return view_row.view(x, {"sizes": x._shape}) if x.is_contiguous() else x.permute(tuple(range(x.ndim)))


def describe_index(index: Any) -> str:
    items = index if isinstance(index, tuple) else (index,)
    words = []
    for item in items:
        if isinstance(item, slice):
            ends = ":".join("" if part is None else str(part) for part in (item.start, item.stop))
            words.append(ends + (f":{item.step}" if item.step else ""))
        elif isinstance(item, Tensor):
            words.append(f"{item.dtype.name}{list(item._shape)}")
        elif item is Ellipsis:
            words.append("...")
        else:
            text = repr(item)
            words.append(text if len(text) < 40 else type(item).__name__)
    return ", ".join(words)


@method
def __setitem__(self: Tensor, index: Any, value: Any) -> None:
    plan = Plan(self, index, f"x[{describe_index(index)}] = ...")
    target = plan.view if plan.view is not self or not plan.advanced else self
    inplace.check_target(target, "__setitem__")
    if not isinstance(value, Tensor):
        value = scalar_or_tensor(value, self)
    if not plan.advanced:
        inplace.assign(target, fitted(value, target, plan.call), "__setitem__", True)
        return
    if plan.mask is not None and value.numel() == 1:
        mask = plan.mask.reshape(
            (1,) * plan.mask_dim + plan.mask._shape + (1,) * (target.ndim - plan.mask_dim - plan.mask.ndim)
        )
        from .ops.binary import where

        inplace.assign(
            target, where(mask, value.reshape(()).to(device=target.device, dtype=target.dtype), target), "__setitem__"
        )
        return
    indices, dims, shape = plan.resolve()
    order = plan.place(dims, shape)
    rest = tuple(size for dim, size in enumerate(target._shape) if dim not in dims)
    canonical = (*shape, *rest)
    wanted = canonical if order is None else tuple(canonical[position] for position in order)
    value = value.to(device=target.device, dtype=target.dtype)
    value = expand_value(value, wanted, plan.call)
    if order is not None:
        back = [0] * len(order)
        for position, source in enumerate(order):
            back[source] = position
        value = value.permute(tuple(back))
    inplace.assign(target, put(target, value, indices, dims, False), "__setitem__")


def scalar_or_tensor(value: Any, x: Tensor) -> Tensor:
    if isinstance(value, (bool, int, float, np.generic)):
        return creation.full((), value, dtype=x.dtype, device=x.device)
    return creation.tensor(value, dtype=x.dtype, device=x.device)


def expand_value(value: Tensor, shape: tuple[int, ...], call: str) -> Tensor:
    """The assigned value in the shape of the places; leading size-1 dimensions may be dropped, as in PyTorch."""
    while value.ndim > len(shape) and value._shape[0] == 1:
        value = value.squeeze(0)
    try:
        return value.expand(shape)
    except ShapeError:
        raise ShapeError(
            f"{call}: shape mismatch: value tensor of shape {list(value._shape)} cannot be broadcast to indexing result of "
            f"shape {list(shape)}"
        ) from None


def fitted(value: Tensor, target: Tensor, call: str) -> Tensor:
    return expand_value(value.to(device=target.device, dtype=target.dtype), target._shape, call)


# ---- functions ------------------------------------------------------------------------------------------------------


def same_device(x: Tensor, index: Tensor, call: str) -> None:
    if index.device != x.device and not elsewhere.shapes_alone(x.device, index.device):
        raise DeviceError(
            f"{call}: expected all tensors to be on the same device, but found {x.device} and {index.device}"
        )


def positions_of(
    index: Tensor, shape: tuple[int, ...], dim: int, size: int, call: str
) -> tuple[list[Tensor], tuple[int, ...]]:
    """One index per dimension for `gather` and `scatter`: the given one for `dim`, the own position for the others."""
    indices = []
    for other in range(index.ndim):
        if other == dim:
            indices.append(checked(index, size, dim, call, wrap=False))
        else:
            kind = dtypes.int64 if index.device.type != "webgpu" else dtypes.int32
            ramp = creation.ramp_tensor(index._shape[other], 0, 1, kind, index.device)
            indices.append(ramp.reshape((1,) * other + (-1,) + (1,) * (index.ndim - other - 1)).expand(index._shape))
    return indices, tuple(range(index.ndim))


def check_gather_shapes(x: Tensor, dim: int, index: Tensor, call: str, source: Tensor | None = None) -> int:
    code = "scatter_error_dim_out_of_range" if source is not None else "gather_error_dim_out_of_range"
    dim = normalize_dim(dim, x.ndim, call, code)
    same_device(x, index, call)
    if index.dtype not in (dtypes.int64, dtypes.int32) and index.numel():
        raise DTypeError(f"{call}: Expected dtype int64 for index, got {index.dtype}; convert with .long()")
    if index.ndim != x.ndim:
        raise ShapeError(
            f"{call}: Index tensor must have the same number of dimensions as input tensor ({index.ndim} and {x.ndim})"
        )
    for other, size in enumerate(index._shape):
        if other != dim and size > x._shape[other] or source is not None and size > source._shape[other]:
            raise ShapeError(
                f"{call}: Size does not match at dimension {other}: expected index {list(index._shape)} to be smaller than self "
                f"{list(x._shape)} apart from dimension {dim}"
                + (f" and than src {list(source._shape)}" if source is not None else "")
            )
    return dim


@method
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on: `input` read along `dim` at `index`, whose shape the result has.

    >>> import webtorch
    >>> webtorch.gather(webtorch.tensor([[1, 2], [3, 4]]), 1, webtorch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    if not input._shape and index.ndim <= 1:
        result = gather(input.reshape((1,)), 0, index.reshape((-1,))).reshape(index._shape)
    else:
        dim = check_gather_shapes(input, dim, index, "gather")
        indices, dims = positions_of(index, input._shape, dim, input._shape[dim], "gather")
        result = take(input, indices, dims)
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("gather", result, out)
    return result


def scattered(input: Tensor, dim: int, index: Tensor, src: Any, accumulate: bool, call: str) -> Tensor:
    if not isinstance(src, Tensor):
        src = creation.full(index._shape, src, dtype=input.dtype, device=input.device)
    elif src.dtype is not input.dtype:
        raise DTypeError(
            f"{call}: Expected self.dtype to be equal to src.dtype, got {input.dtype} and {src.dtype}; convert one"
        )
    if not input._shape:
        return scattered(input.reshape((1,)), 0, index.reshape((-1,)), src.reshape((-1,)), accumulate, call).reshape(())
    dim = check_gather_shapes(input, dim, index, call, src)
    for other, size in enumerate(index._shape):
        if src._shape[other] != size:
            src = src.narrow(other, 0, size)
    indices, dims = positions_of(index, input._shape, dim, input._shape[dim], call)
    return put(input, src, indices, dims, accumulate)


@method
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of `input` with self[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` may be a number.

    With `reduce` "add" or "multiply" what is there is not replaced.

    >>> import webtorch
    >>> webtorch.scatter(webtorch.zeros(1, 3), 1, webtorch.tensor([[2]]), 5.0)
    tensor([[0., 0., 5.]])
    """
    src = value if src is None else src
    if reduce == "add":
        return scattered(input, dim, index, src, True, "scatter")
    if reduce == "multiply":
        from .scattering import scatter_reduce

        factors = (
            src if isinstance(src, Tensor) else creation.full(index._shape, src, dtype=input.dtype, device=input.device)
        )
        return scatter_reduce(input, dim, index, factors, "prod")
    if reduce is not None:
        raise ShapeError(f"scatter(reduce={reduce!r}): reduce argument must be either 'add' or 'multiply'")
    return scattered(input, dim, index, src, False, "scatter")


@method
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of `input` with self[index[i][j]][j] += src[i][j] for dim 0, and so on; repeated indices add up.

    >>> import webtorch
    >>> webtorch.scatter_add(webtorch.zeros(3), 0, webtorch.tensor([1, 1]), webtorch.ones(2))
    tensor([0., 2., 0.])
    """
    return scattered(input, dim, index, src, True, "scatter_add")


def one_dimensional(index: Tensor, call: str) -> Tensor:
    if index.ndim > 1:
        raise IndexShapeError(f"{call}: Index is supposed to be a vector, but got shape {list(index._shape)}")
    return index.reshape((-1,))


@method
def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices of dimension `dim` at the positions in the vector `index`.

    >>> import webtorch
    >>> webtorch.index_select(webtorch.tensor([[1, 2, 3]]), 1, webtorch.tensor([2, 0]))
    tensor([[3, 1]])
    """
    if not input._shape:
        return index_select(input.reshape((1,)), 0, index).reshape(())
    dim = normalize_dim(dim, input.ndim, "index_select", "index_select_error_dim_out_of_range")
    same_device(input, index, "index_select")
    index = checked(one_dimensional(index, "index_select"), input._shape[dim], dim, "index_select", wrap=False)
    result = take(input, [index], (dim,))
    if dim:
        result = result.permute((*range(1, dim + 1), 0, *range(dim + 1, input.ndim))).contiguous()
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("index_select", result, out)
    return result


def index_written(input: Tensor, dim: int, index: Tensor, source: Tensor, accumulate: bool, call: str) -> Tensor:
    if not input._shape:
        return index_written(input.reshape((1,)), dim, index, source.reshape((-1,)), accumulate, call).reshape(())
    dim = normalize_dim(dim, input.ndim, call)
    same_device(input, index, call)
    same_device(input, source, call)
    if source.dtype is not input.dtype:
        raise DTypeError(
            f"{call}: self and source expected to have the same dtype, but got (self) {input.dtype} and (source) {source.dtype}; "
            "convert one with .to()"
        )
    wanted = (*input._shape[:dim], index.numel(), *input._shape[dim + 1 :])
    if not source._shape and numel(wanted) == 1:
        source = source.reshape(wanted)
    if source._shape != wanted:
        raise ShapeError(
            f"{call}(dim={dim}) of shape {list(input._shape)} with {index.numel()} indices: source must have shape "
            f"{list(wanted)}, but has {list(source._shape)}"
        )
    index = checked(one_dimensional(index, call), input._shape[dim], dim, call, wrap=False)
    return put(input, source.movedim(dim, 0), [index], (dim,), accumulate)


@method
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of `input` with alpha * source[i] added to slice index[i] of dimension `dim`.

    >>> import webtorch
    >>> webtorch.index_add(webtorch.zeros(3), 0, webtorch.tensor([0, 0]), webtorch.tensor([1.0, 2.0]))
    tensor([3., 0., 0.])
    """
    return index_written(input, dim, index, source if alpha == 1 else source * alpha, True, "index_add")


@method
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with slice index[i] of dimension `dim` replaced by source[i].

    >>> import webtorch
    >>> webtorch.index_copy(webtorch.zeros(3), 0, webtorch.tensor([2]), webtorch.tensor([7.0]))
    tensor([0., 0., 7.])
    """
    return index_written(input, dim, index, source, False, "index_copy")


@method
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of `input` with the slices at `index` of dimension `dim` filled with a number.

    >>> import webtorch
    >>> webtorch.index_fill(webtorch.zeros(3), 0, webtorch.tensor([1]), 9)
    tensor([0., 9., 0.])
    """
    dim = normalize_dim(dim, input.ndim, "index_fill")
    shape = (*input._shape[:dim], index.numel(), *input._shape[dim + 1 :])
    if isinstance(value, Tensor):
        if value.ndim:
            raise ShapeError(
                f"index_fill: only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
            )
        value = value.to(device=input.device, dtype=input.dtype)
        if value.requires_grad and input.ndim:  # a place that is named twice counts once in its gradient
            places = creation.zeros(input._shape[dim], dtype=dtypes.bool_, device=input.device)
            chosen = index_fill(places, 0, index, True).reshape((-1,) + (1,) * (input.ndim - dim - 1))
            return where(chosen, value, input)
        filling = value.expand(shape)
    else:
        filling = creation.full(shape, value, dtype=input.dtype, device=input.device)
    return index_written(input, dim, index, filling, False, "index_fill")


@method
def index_put(input: Tensor, indices: tuple, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with input[indices] = values, or += with `accumulate` (repeated indices add up).

    >>> import webtorch
    >>> webtorch.index_put(webtorch.zeros(3), (webtorch.tensor([1, 1]),), webtorch.tensor([1.0, 2.0]), accumulate=True)
    tensor([0., 3., 0.])
    """
    plan = Plan(input, tuple(slice(None) if index is None else index for index in indices), "index_put")
    if not plan.advanced:
        raise IndexShapeError("index_put: give at least one index tensor")
    resolved, dims, shape = plan.resolve()
    order = plan.place(dims, shape)
    canonical = (*shape, *(size for dim, size in enumerate(input._shape) if dim not in dims))
    wanted = canonical if order is None else tuple(canonical[position] for position in order)
    values = expand_value(values, wanted, "index_put")
    if order is not None:
        values = values.permute(tuple(int(position) for position in np.argsort(order)))
    return put(input, values, resolved, dims, accumulate)


@method
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value` where `mask` (bool, broadcastable) is true.

    >>> import webtorch
    >>> webtorch.masked_fill(webtorch.tensor([1.0, 2.0]), webtorch.tensor([True, False]), 0.0)
    tensor([0., 2.])
    """
    from .ops.binary import where

    if mask.dtype is not dtypes.bool_:
        raise DTypeError(
            f"masked_fill: only supports boolean masks, but got mask with dtype {mask.dtype}; use mask.bool()"
        )
    if isinstance(value, Tensor):
        if value._shape:
            raise ShapeError(
                f"masked_fill: only supports a 0-dimensional value tensor, but got shape {list(value._shape)}"
            )
        if value.dtype.is_complex and not input.dtype.is_complex:
            raise DTypeError(f"masked_fill: a value of {value.dtype} does not fit into {input.dtype}; pass value.real")
        value = value.to(device=input.device, dtype=input.dtype)
    else:
        value = creation.full((), value, dtype=input.dtype, device=input.device)
    return where(mask, value, input)


@method
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of `input` where `mask` is true, as a vector; how many there are is read back from a GPU.

    >>> import webtorch
    >>> webtorch.masked_select(webtorch.tensor([1, 2, 3]), webtorch.tensor([True, False, True]))
    tensor([1, 3])
    """
    if mask.dtype is not dtypes.bool_:
        raise DTypeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype}; use mask.bool()")
    common_device([input, mask], "masked_select")
    shape = broadcast_shapes(input._shape, mask._shape, call="masked_select")
    return input.expand(shape)[mask.expand(shape)]


@method
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The positions of the nonzero elements: an int64 tensor of shape (count, ndim), or a tuple of ndim vectors.

    The count depends on the data, so the tensor is read back from a GPU.

    >>> import webtorch
    >>> webtorch.nonzero(webtorch.tensor([0, 5, 6]))
    tensor([[1],
            [2]])
    """
    array = input.detach()._array()
    found = np.nonzero(array) if array.ndim else np.nonzero(array.reshape(1))
    if as_tuple:
        return tuple(creation.leaf(np.ascontiguousarray(part.astype(np.int64)), input.device) for part in found)
    if not array.ndim:
        return creation.leaf(np.empty((len(found[0]), 0), np.int64), input.device)
    return creation.leaf(np.ascontiguousarray(np.stack(found, axis=1).astype(np.int64)), input.device)


def from_the_start(indices: Tensor, size: int) -> Tensor:
    """Indices that count from the end as ones that count from the start."""
    return TABLE["where"]((indices < 0) & (indices >= -size), indices + size, indices)


@method
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`input` read at `indices` along `dim` (flattened when None); the other dimensions broadcast.

    >>> import webtorch
    >>> x = webtorch.tensor([[3, 1], [2, 4]])
    >>> webtorch.take_along_dim(x, x.argmax(dim=1, keepdim=True), dim=1)
    tensor([[3],
            [4]])
    """
    if dim is None:
        return gather(input.reshape((-1,)), 0, indices.reshape((-1,)))
    dim = normalize_dim(dim, input.ndim, "take_along_dim")
    index = from_the_start(indices, input._shape[dim])
    shape = broadcast_shapes(
        (*input._shape[:dim], 1, *input._shape[dim + 1 :]),
        (*index._shape[:dim], 1, *index._shape[dim + 1 :]),
        call="take_along_dim",
    )
    input = input.expand((*shape[:dim], input._shape[dim], *shape[dim + 1 :]))
    index = index.expand((*shape[:dim], index._shape[dim], *shape[dim + 1 :]))
    return gather(input, dim, index)
