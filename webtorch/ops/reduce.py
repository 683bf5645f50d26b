"""Reductions: an associative operation folded over some dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import batching, codegen, dtypes, engine, graph, pieces, precision
from ..dtypes import dtype as DType
from ..errors import DTypeError, IndexShapeError
from ..graph import Operand
from ..shapes import normalize_dims, numel, reduced_shape
from . import Op, Tensor, add_row_quads, cast_operand, contiguous_in_quads, from_node, tracks
from .elementwise import not_for_complex, store_out

CHUNK = 1024  # elements one invocation folds when the whole is split
MAX_CHUNK = 16384  # and at most: the driver's loop budget is 65,535 iterations


def accumulating(dtype: DType, call: str) -> DType:
    """Integers and bools are summed in int64."""
    return dtype if dtype.is_differentiable else dtypes.int64


def unchanged(dtype: DType, call: str) -> DType:
    return dtype


def truth(dtype: DType, call: str) -> DType:
    return dtypes.bool_


def no_dims(dim: Any, call: str) -> tuple[int, ...]:
    """A 0-d tensor has no dimension to reduce, but may be asked to reduce dimension 0 or -1."""
    normalize_dims(dim, 0, call)
    return ()


class Reduce(Op):
    """`combine` is a WGSL expression over `{x}` and `{y}`; `identity` its neutral element, by dtype; `dtype` the rule for
    the result; `empty` says whether reducing nothing gives the identity or raises."""

    batches = True
    inlines = False
    joins = True

    def __init__(
        self,
        name: str,
        *,
        combine: str,
        pairwise: str,
        identity: Callable,
        dtype: Callable,
        complex: str | None = None,
        empty: bool = True,
        cast_input: bool = True,
        **rest: Any,
    ) -> None:
        super().__init__(name, **rest)
        self.combine = combine
        self.pairwise = pairwise  # the elementwise row that combines two results
        self.complex = complex  # `combine` for complex numbers
        self.identity = identity
        self.rule = dtype
        self.empty = empty

    def __call__(
        self,
        x: Tensor,
        dim: Any = None,
        keepdim: bool = False,
        *,
        dtype: DType | None = None,
        out: Tensor | None = None,
        axis: Any = None,
        keepdims: bool | None = None,
    ) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{self.name}: expected a Tensor, got {type(x).__name__}; make one with webtorch.tensor(...)"
            )
        complex_result = x.dtype.is_complex or (dtype is not None and dtypes.as_dtype(dtype).is_complex)
        if complex_result and self.complex is None and self.rule is not truth:
            raise not_for_complex(self.name, (x,))
        if self.autocast and precision.used and dtype is None and out is None:
            x = precision.cast(self.autocast, self.name, x)
        dim = axis if dim is None else dim
        keepdim = keepdim if keepdims is None else keepdims
        if dtype is None and out is not None and self.rule is accumulating:
            dtype = out.dtype
        wanted = dtypes.as_dtype(dtype) if dtype is not None else self.rule(x.dtype, self.name)
        if isinstance(dim, (tuple, list)) and not dim and self.rule is not truth:
            dim = None  # no dimension means all of them, but for any and all
        dims = normalize_dims(dim, x.ndim, self.name) if x._shape or dim is None else no_dims(dim, self.name)
        if wanted is dtypes.bool_ and self.rule is accumulating:  # counted in integers, then asked whether there is any
            result = self.reduce(x.to(wanted), dims, keepdim, dtypes.int32).to(wanted)
        else:
            result = self.reduce(x, dims, keepdim, wanted)
        if self.rule is truth and x.dtype is dtypes.uint8:  # the bool of old
            result = result.to(x.dtype)
        return result if out is None else store_out(self.name, result, out)

    def reduce(self, x: Tensor, dims: tuple[int, ...], keepdim: bool, dtype: DType) -> Tensor:
        if dtype.is_complex and self.complex is None:
            raise not_for_complex(self.name, (x,))
        if not self.empty and numel(x._shape) == 0:
            for dim in dims:
                if x._shape[dim] == 0:
                    raise IndexShapeError(
                        f"{self.name}(): Expected reduction dim {dim} to have non-zero size (shape {list(x._shape)}); "
                        "specify the dim argument, or guard against empty tensors"
                    )
        kept = [d for d in range(x.ndim) if d not in dims]
        order = (*kept, *dims)
        sizes, strides = tuple(x._shape[d] for d in order), tuple(x._strides[d] for d in order)
        levels = batching.levels_of(x) if x._batch else ()
        if levels:
            sizes = (*batching.sizes_of(levels), *sizes)
            strides = (*batching.lead_strides(x, levels), *strides)
        operand = cast_operand(Operand(x._storage.node, sizes, strides, x._offset), accumulator(dtype))
        shape = tuple(x._shape[d] for d in kept)
        width = len(levels) + len(kept)
        result = from_node(self.node(operand, width, sizes[:width], dtype))
        if levels:
            result = batching.hidden(result, levels)
        final = reduced_shape(x._shape, dims, keepdim)
        if final != shape:
            result._shape = final
            result._strides = graph.contiguous_strides(final)
        if self.vjp is not None and dtype.is_differentiable and tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {"dims": dims, "keepdim": keepdim})
        return result

    def node(self, operand: Operand, kept: int, shape: tuple, dtype: DType) -> graph.Node:
        """The node of the reduction; on a GPU long ones are split in stages, each of short loops on many invocations."""
        device = operand.node.device
        extent, outputs = numel(operand.shape[kept:]), numel(shape)
        if device.type != "webgpu":
            return graph.record(self, (operand,), {"kept": kept, "chunks": None}, shape, dtype, device)
        from ..backends import wgpu as backend

        codegen.check_features(accumulator(dtype), engine.limits_of(backend.get_device()), self.name)
        if outputs and not extent:
            from .elementwise import fill

            return fill(shape, dtype, device, value=self.identity(dtype))._storage.node
        return self.staged(operand, kept, shape, dtype, graph.record)

    def staged(self, operand: Operand, kept: int, shape: tuple, dtype: DType, make: Callable) -> graph.Node:
        extent, outputs, device = numel(operand.shape[kept:]), numel(shape), operand.node.device
        while extent > 2 * CHUNK and (outputs < 4096 or extent > MAX_CHUNK):
            length = min(MAX_CHUNK, max(CHUNK, -(-extent * outputs // 16384))) // 4 * 4
            chunks = -(-extent // length)
            partial = (*operand.shape[:kept], chunks)
            node = make(
                self, (operand,), {"kept": kept, "chunks": (chunks, length)}, partial, accumulator(dtype), device
            )
            operand, extent = node.operand(), chunks
        return make(self, (operand,), {"kept": kept, "chunks": None}, shape, dtype, device)

    def halves(self, node: graph.Node, limits):
        (operand,) = node.args
        kept = node.attributes["kept"]
        along = pieces.outermost(operand)
        if along is None:
            return None
        if along < kept:
            return pieces.halve_rows(node, along)
        if limits.reproducible:  # the order of additions is not to depend on what can be bound
            return None
        shape, wide = node.shape[:kept], accumulator(node.dtype)
        parts = [self.staged(half, kept, shape, wide, graph.Node) for half in pieces.halve(operand, along)]

        def join(results: list[graph.Node]) -> graph.Node:
            from .pad import pad

            whole = pieces.adder(node, self.pairwise, wide)(results)
            if node.attributes["chunks"] is None:
                return whole
            # The first chunk has it all; the others have the neutral element.
            one = Operand(whole, (*shape, 1), (*graph.contiguous_strides(shape), 1))
            nothing = {"low": (0,) * len(node.shape), "steps": (1,) * len(node.shape)}
            return graph.Node(
                pad, (one,), {**nothing, "value": self.identity(node.dtype)}, node.shape, node.dtype, node.device
            )

        return parts, join

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        kept, chunks = node.attributes["kept"], node.attributes["chunks"]
        if chunks is not None:  # only when a GPU kernel is checked against numpy
            count, length = chunks
            flat = np.reshape(x, (*x.shape[:kept], -1))
            parts = [self.numpy(flat[..., n * length : (n + 1) * length], (kept,)) for n in range(count)]
            return np.stack(parts, axis=-1).reshape(node.shape)
        axes = tuple(range(kept, x.ndim))
        if numel(x.shape) == 0 and self.empty:
            return np.full(node.shape, self.identity(node.dtype), node.dtype.numpy)
        return self.numpy(x, axes) if axes else x

    def lower(self, group, limits):
        from ..kernels import store_block

        node: graph.Node = group.core
        (operand,) = node.args
        kept = node.attributes["kept"]
        extent = numel(operand.shape[kept:])
        chunks, length = node.attributes["chunks"] or (1, extent)
        kind = codegen.compute_type(operand.dtype)
        combine = self.complex if operand.dtype.is_complex else self.combine
        fold = codegen.fold_functions(limits, combine, self.identity(operand.dtype), operand.dtype)
        # On a GPU the lanes of a workgroup read neighbours, where the row's elements are neighbours; an adapter that is a
        # CPU does best with one invocation to a chunk.
        spans = [(0, 0, kept), (1, kept, len(operand.shape))]
        in_columns = chunks == 1 and codegen.has_memory(operand.node) and contiguous_in_quads(operand, spans, 0)
        if in_columns and not limits.reproducible:
            return self.columns(group, limits, operand, fold, spans)
        wide = not limits.is_cpu and length >= 128 and (not operand.strides or operand.strides[-1] in (1, -1))
        kernel = codegen.Kernel(
            limits,
            "reduce_wide" if wide else "reduce",
            (("T", kind), *fold),
        )
        kernel.parameter("outputs", node.size)
        kernel.parameter("extent", extent)
        kernel.parameter("chunk", length)
        kernel.parameter("chunks", chunks)
        load = kernel.block("load", ("row", "k"))
        value = load.operand_at(operand, (0, 0, kept), (1, kept, len(operand.shape)))
        load.returns = ((value, operand.dtype),)
        if not wide:
            add_row_quads(kernel, operand, kept, length)
        store_block(kernel, group)
        kernel.workgroup_size = 64
        kernel.workgroups = node.size if wide else -(-node.size // 64)
        kernel.trips = length // 64 + 8 if wide else length + length // 64 + 2
        return kernel

    def columns(self, group, limits, operand: Operand, fold: tuple, spans: list):
        """The kernel where neighbouring results are folded from neighbouring elements."""
        from ..kernels import store_block

        kernel = codegen.Kernel(limits, "reduce_columns", (("T", codegen.compute_type(operand.dtype)), *fold))
        kernel.parameter("outputs", group.core.size)
        extent = numel(operand.shape[spans[1][1] :])
        kernel.parameter("extent", extent)
        place = kernel.block("place", ("row", "k"))
        parts = [(index, operand.shape[first:end], operand.strides[first:end]) for index, first, end in spans]
        place.returns = ((place.index(parts, operand.offset), None),)
        slot = kernel.slot(operand.node)
        kernel.quads.add(slot)
        body = f"return quad_{slot}(place(row, k) >> 2u);"
        kernel.constants += (("$quad", f"fn quad(row: u32, k: u32) -> Four {{ {body} }}"),)
        store_block(kernel, group)
        kernel.store_quads = True
        size = group.core.size
        # 16 columns to an invocation where there is enough for two cores to do; GPUs want many invocations instead.
        quads = 4 if limits.is_cpu and size % 16 == 0 and size >= 512 and extent < 12000 else 1
        kernel.constants += (("QUADS", quads),)
        kernel.workgroup_size = 16 if limits.is_cpu else 64
        kernel.workgroups = -(-size // (4 * quads * kernel.workgroup_size))
        kernel.trips = (extent + extent // 128 + 6) * quads
        return kernel


def accumulator(dtype: DType) -> DType:
    """The dtype that partial results have: 16-bit floats are accumulated in float32."""
    return dtypes.accumulator(dtype)


def restore(value: Tensor, x_shape: tuple, dims: tuple, keepdim: bool) -> Tensor:
    """A reduced tensor read as one that broadcasts against the input."""
    return value if keepdim else value.reshape(reduced_shape(x_shape, dims, True))


def extreme_gradient(g: Tensor, out: Tensor, x: Tensor, dims: tuple, keepdim: bool) -> Tensor:
    """The gradient of amax and amin, shared evenly among the elements that attain the extreme."""
    mask = (x == restore(out, x._shape, dims, keepdim)).to(x.dtype)
    share = restore(g, x._shape, dims, keepdim) / mask.sum(dims, keepdim=True)
    return mask * share


def product_gradient(g: Tensor, x: Tensor, dims: tuple, keepdim: bool) -> Tensor:
    """The product of the other elements: by division, and exactly where one element is zero. When the gradient is to be
    differentiated again, by running products from both sides, whose derivatives are right with any number of zeros."""
    from ..grad_mode import current
    from .binary import where

    if current().grad and x.requires_grad and numel(x._shape):
        return restore(g, x._shape, dims, keepdim) * product_of_others(x, dims)
    zero = x == 0
    zeros = zero.sum(dims, keepdim=True, dtype=dtypes.int32)
    safe = where(zero, 1.0, x)
    others = prod.reduce(safe, dims, True, x.dtype)
    single = (zeros == 1) & zero
    product = where(zeros == 0, others / safe, where(single, others, 0.0))
    return restore(g, x._shape, dims, keepdim) * product


def product_of_others(x: Tensor, dims: tuple) -> Tensor:
    """For each element the product of all others over `dims`."""
    from ..creation import ones
    from ..functional import cat

    order = (*(d for d in range(x.ndim) if d not in dims), *dims)
    moved = x.permute(order)
    count = numel(tuple(x._shape[d] for d in dims))
    lead = moved._shape[: x.ndim - len(dims)]
    flat = moved.reshape((*lead, count))
    one = ones((*lead, 1), dtype=x.dtype, device=x.device)
    before = cat([one, flat.narrow(-1, 0, count - 1)], -1).cumprod(-1)
    after = cat([one, flat.flip(-1).narrow(-1, 0, count - 1)], -1).cumprod(-1).flip(-1)
    back = [0] * x.ndim
    for position, d in enumerate(order):
        back[d] = position
    return (before * after).reshape(moved._shape).permute(tuple(back))


def lowest(dtype: DType):
    if dtype.is_floating_point:
        return float("-inf")
    return 0 if dtype.kind in ("bool", "uint") else -(1 << (8 * dtype.itemsize - 1))


def highest(dtype: DType):
    if dtype.is_floating_point:
        return float("inf")
    return 1 if dtype is dtypes.bool_ else (1 << (8 * dtype.itemsize - (dtype.kind == "int"))) - 1


class Product(Reduce):
    """`prod` takes one dimension or none, as PyTorch's does."""

    def __call__(self, x: Tensor, dim: int | None = None, keepdim: bool = False, **rest: Any) -> Tensor:
        if isinstance(dim, (tuple, list)):
            raise TypeError(f"prod(dim={dim!r}): prod takes one dimension; call it once per dimension")
        return super().__call__(x, dim, keepdim, **rest)


# fmt: off
sum = Reduce("sum", numpy=lambda x, axis: x.sum(axis), pairwise="add", combine="{x} + {y}",
    complex="{x} + {y}", identity=lambda dtype: 0, dtype=accumulating,
    vjp=(lambda g, x_shape, dims, keepdim: restore(g, x_shape, dims, keepdim).expand(x_shape),),
    doc="""The sum of the elements over `dim` (int or tuple), or of all. Integers and bools give int64.

    >>> import webtorch
    >>> webtorch.sum(webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([3., 7.])
    """)
prod = Product("prod", numpy=lambda x, axis: x.prod(axis), pairwise="mul", combine="{x} * {y}",
    complex="wt_mul({x}, {y})", identity=lambda dtype: 1, dtype=accumulating,
    vjp=(product_gradient,), domain=(-1.5, 1.5),
    doc="""The product of the elements over one `dim`, or of all. Integers and bools give int64.

    >>> import webtorch
    >>> webtorch.tensor([1, 2, 3]).prod()
    tensor(6)
    """)
amax = Reduce("amax", numpy=lambda x, axis: x.max(axis), pairwise="maximum",
    combine="wt_maximum({x}, {y})", identity=lowest, dtype=unchanged,
    empty=False, vjp=(extreme_gradient,),
    doc="""The largest element over `dim`; NaN if there is one. Equal largest elements share the gradient.

    >>> import webtorch
    >>> webtorch.tensor([[1.0, 5.0], [7.0, 2.0]]).amax(dim=0)
    tensor([7., 5.])
    """)
amin = Reduce("amin", numpy=lambda x, axis: x.min(axis), pairwise="minimum",
    combine="wt_minimum({x}, {y})", identity=highest, dtype=unchanged,
    empty=False, vjp=(extreme_gradient,),
    doc="""The smallest element over `dim`; NaN if there is one. Equal smallest elements share the gradient.

    >>> import webtorch
    >>> webtorch.tensor([[1.0, 5.0], [7.0, 2.0]]).amin(dim=0)
    tensor([1., 2.])
    """)
any = Reduce("any", numpy=lambda x, axis: x.any(axis), pairwise="logical_or", combine="{x} || {y}", identity=lambda dtype: 0, dtype=truth,
    doc="""True where an element over `dim` is nonzero.

    >>> import webtorch
    >>> webtorch.tensor([[0, 1], [0, 0]]).any(dim=1)
    tensor([ True, False])
    """)
all = Reduce("all", numpy=lambda x, axis: x.all(axis), pairwise="logical_and", combine="{x} && {y}", identity=lambda dtype: 1, dtype=truth,
    doc="""True where every element over `dim` is nonzero; of no elements, True.

    >>> import webtorch
    >>> webtorch.tensor([[2, 1], [0, 1]]).all(dim=1)
    tensor([ True, False])
    """)
# fmt: on

__all__ = ["DTypeError", "Reduce", "all", "amax", "amin", "any", "prod", "sum"]
