"""Scans: running sums and products along a dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import batching, codegen, dtypes, engine, graph, pieces, precision
from ..shapes import normalize_dim, numel
from . import Op, Tensor, cast_operand, from_node, tracks
from .reduce import accumulating, accumulator

MAX_SCAN = 2048  # elements one invocation scans; longer rows are scanned in chunks whose totals are scanned in turn


class Scan(Op):
    """`combine` over `{x}` (so far) and `{y}` (the next element); `identity` its neutral element."""

    batches = True
    inlines = False

    def __init__(self, name: str, *, combine: str, complex: str, identity: int, join: Callable, **rest: Any) -> None:
        super().__init__(name, **rest)
        self.combine = combine
        self.complex = complex  # `combine` for complex numbers
        self.identity = identity
        self.join = join  # combines two tensors

    def __call__(self, x: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{self.name}: expected a Tensor, got {type(x).__name__}; make one with webtorch.tensor(...)"
            )
        if self.autocast and precision.used and dtype is None and out is None:
            x = precision.cast(self.autocast, self.name, x)
        dim = normalize_dim(dim, x.ndim, self.name)
        wanted = dtypes.as_dtype(dtype) if dtype is not None else accumulating(x.dtype, self.name)
        if x.dtype is not wanted:
            x = x.to(wanted)
        if not x._shape:
            result = self.along_last(x.reshape((1,))).reshape(())
        elif dim == x.ndim - 1:
            result = self.along_last(x)
        else:
            result = self.along_last(x.transpose(dim, -1)).transpose(dim, -1)
        if out is not None:
            from .elementwise import store_out

            return store_out(self.name, result, out)
        return result

    def along_last(self, x: Tensor) -> Tensor:
        result = self.values(x)
        if self.vjp is not None and x.dtype.is_differentiable and tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {})
        return result

    def values(self, x: Tensor) -> Tensor:
        """The scan without autograd."""
        from ..grad_mode import no_grad

        with no_grad():
            x = x.detach()
            if x._batch:
                return batching.lifted(self.values, x)
            device = x.device
            if device.type != "webgpu" or x._shape[-1] <= MAX_SCAN or not x.numel():
                if device.type == "webgpu":
                    from ..backends import wgpu as backend

                    codegen.check_features(x.dtype, engine.limits_of(backend.get_device()), self.name)
                operand = cast_operand(x._operand(), accumulator(x.dtype))
                return from_node(graph.record(self, (operand,), {}, x._shape, x.dtype, device))
            return self.in_chunks(x)

    def in_chunks(self, x: Tensor) -> Tensor:
        """Scan chunks side by side, scan their totals, and join each chunk with the total of those before it."""
        from ..functional import cat
        from .elementwise import fill
        from .pad import pad
        from .view import slice_

        extent = x._shape[-1]
        length = 512
        chunks = -(-extent // length)
        lead = x._shape[:-1]
        wide = x.to(accumulator(x.dtype))
        if chunks * length > extent:
            wide = pad(wide, (0,) * x.ndim, (1,) * x.ndim, (*lead, chunks * length), self.identity)
        inner = self.values(wide.reshape((*lead, chunks, length)))
        totals = self.values(inner.select(-1, length - 1))
        first = fill((*lead, 1), wide.dtype, x.device, value=self.identity)
        before = cat([first, totals.narrow(-1, 0, chunks - 1)], -1)
        joined = self.join(before.unsqueeze(-1), inner).reshape((*lead, chunks * length))
        return slice_.view(joined, {"dim": x.ndim - 1, "start": 0, "length": extent, "step": 1}).to(x.dtype)

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return self.numpy(arrays[0])

    def halves(self, node: graph.Node, limits):
        wide = [d for d in range(len(node.shape) - 1) if node.shape[d] > 1]
        return pieces.halve_rows(node, wide[0]) if wide else None

    def lower(self, group, limits):
        from ..kernels import store_block

        node: graph.Node = group.core
        (operand,) = node.args
        extent = operand.shape[-1]
        rows = numel(operand.shape[:-1])
        kind = codegen.compute_type(operand.dtype)
        combine = self.complex if operand.dtype.is_complex else self.combine
        fold = codegen.fold_functions(limits, combine, self.identity, operand.dtype)
        kernel = codegen.Kernel(
            limits,
            "scan",
            (("T", kind), *fold),
        )
        kernel.parameter("rows", rows)
        kernel.parameter("extent", extent)
        last = len(operand.shape) - 1
        load = kernel.block("load", ("row", "k"))
        load.returns = ((load.operand_at(operand, (0, 0, last), (1, last, last + 1)), operand.dtype),)
        store_block(kernel, group)
        kernel.trips = extent + 2
        kernel.workgroup_size = 64
        kernel.workgroups = -(-rows // 64)
        return kernel


def running_sum_gradient(g: Tensor) -> Tensor:
    return g.flip(-1).cumsum(-1).flip(-1)


def running_product_gradient_exact(g: Tensor, x: Tensor) -> Tensor:
    """The same gradient without a division, in quadratic space: right to differentiate again with any number of zeros."""
    from ..creation import ones, ramp_tensor
    from ..functional import cat
    from .binary import where

    count = x._shape[-1]
    k = ramp_tensor(count, 0, 1, dtypes.int32, x.device)
    i = k.unsqueeze(1)
    between = where(k > i, x.unsqueeze(-2), 1.0).cumprod(-1)  # [i, j]: the product of the elements after i up to j
    sums = where(k >= i, g.unsqueeze(-2) * between, 0.0).sum(-1)
    one = ones((*x._shape[:-1], 1), dtype=x.dtype, device=x.device)
    return cat([one, x.narrow(-1, 0, count - 1)], -1).cumprod(-1) * sums


def running_product_gradient(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """sum over j >= i of g_j * (product over k <= j, k != i, of x_k), by division except where x is zero."""
    from ..grad_mode import current
    from .binary import where

    if current().grad and x.requires_grad and x.numel():
        return running_product_gradient_exact(g, x)
    zero = x == 0
    seen = zero.cumsum(-1, dtype=dtypes.int32)
    safe = where(zero, 1.0, x)
    # Before a row's first zero, only terms that end before it count; at that zero, the terms up to the next one, with
    # the zero itself left out; after it every term holds a zero.
    before = running_sum_gradient(g * where(seen == 0, out, 0.0)) / safe
    at_first = running_sum_gradient(g * where(seen == 1, safe.cumprod(-1), 0.0))
    return where(seen == 0, before, where(zero & (seen == 1), at_first, 0.0))


# fmt: off
cumsum = Scan("cumsum", numpy=lambda x: np.cumsum(x, -1), combine="{x} + {y}", complex="{x} + {y}", identity=0, join=lambda a, b: a + b,
    vjp=(running_sum_gradient,),
    doc="""The running sum along `dim`. Integers and bools give int64.

    >>> import webtorch
    >>> webtorch.cumsum(webtorch.tensor([1, 2, 3]), dim=0)
    tensor([1, 3, 6])
    """)
cumprod = Scan("cumprod", numpy=lambda x: np.cumprod(x, -1), combine="{x} * {y}",
    complex="wt_mul({x}, {y})", identity=1, join=lambda a, b: a * b,
    vjp=(running_product_gradient,), domain=(0.5, 1.5),
    doc="""The running product along `dim`. Integers and bools give int64.

    >>> import webtorch
    >>> webtorch.cumprod(webtorch.tensor([1, 2, 3]), dim=0)
    tensor([1, 2, 6])
    """)
# fmt: on
