"""Row kernels: each row of the last dimension is read a few times by one invocation or workgroup and written once."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import batching, blocks, codegen, dtypes, engine, graph, pieces, precision
from ..errors import DTypeError
from ..graph import Operand
from ..shapes import normalize_dim, numel
from . import Op, Tensor, add_row_quads, cast_operand, from_node, tracks
from .elementwise import not_for_complex

MAX_ROW = 16384  # elements one invocation walks three times within the driver's loop budget; longer rows use 64


class Softmax(Op):
    """`finish` is the WGSL of the result from x, the row's maximum `top` and the sum `total` of exp(x - top)."""

    batches = True
    inlines = False

    def __init__(self, name: str, *, finish: str, **rest: Any) -> None:
        super().__init__(name, **rest)
        self.finish = finish

    def __call__(
        self, x: Tensor, dim: int | None = None, dtype: Any = None, *, _stacklevel: int = 3, axis: int | None = None
    ) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{self.name}: expected a Tensor, got {type(x).__name__}; make one with webtorch.tensor(...)"
            )
        if self.autocast and precision.used and dtype is None:
            x = precision.cast(self.autocast, self.name, x)
        dim = axis if dim is None else dim
        if dim is None:  # PyTorch's implicit choice
            dim = 0 if x.ndim in (0, 1, 3) else 1
        dim = normalize_dim(dim, x.ndim, self.name, "softmax_error_dim_out_of_range")
        if dtype is not None:
            x = x.to(dtypes.as_dtype(dtype))
        if x.dtype.is_complex:
            raise not_for_complex(self.name, (x,))
        if not x.dtype.is_floating_point:
            raise DTypeError(
                f"{self.name}: not implemented for {x.dtype}; convert with .float(), or pass dtype=webtorch.float32"
            )
        if not x._shape:
            return self.along_last(x.reshape((1,))).reshape(())
        if dim == x.ndim - 1:
            return self.along_last(x)
        return self.along_last(x.transpose(dim, -1)).transpose(dim, -1)

    def along_last(self, x: Tensor) -> Tensor:
        device = x.device
        levels = batching.levels_of(x) if x._batch else ()
        operand = batching.operand(x, levels) if levels else x._operand()
        operand = cast_operand(operand, dtypes.accumulator(x.dtype))
        if device.type == "webgpu":
            from ..backends import wgpu as backend

            limits = engine.limits_of(backend.get_device())
            codegen.check_features(x.dtype, limits, self.name)
            if x.dtype is dtypes.float64 and not codegen.prelude.has("wt_exp_f64"):
                raise DTypeError(
                    f"{self.name}: GPUs have no double-precision exp; use device='cpu' for float64, or float32 on webgpu"
                )
        result = from_node(graph.record(self, (operand,), {}, operand.shape, x.dtype, device))
        if levels:
            result = batching.hidden(result, levels)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {})
        return result

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return blocks.rows(self.numpy, arrays[0]) if node.size else np.empty(node.shape, node.dtype.numpy)

    def halves(self, node: graph.Node, limits):
        return halve_rows_of(node, len(node.shape) - 1)

    def lower(self, group, limits):
        node: graph.Node = group.core
        operand: Operand = node.args[0]
        extent = operand.shape[-1]
        rows = numel(operand.shape[:-1])
        kind = codegen.compute_type(operand.dtype)
        wide = extent > MAX_ROW or (not limits.is_cpu and extent > 64) or (rows < 64 and extent > 1024)
        finish = codegen.specialise(self.finish, kind)
        constants = (
            ("T", kind),
            ("$finish", f"fn finish(x: T, top: T, total: T) -> T {{ return {finish}; }}"),
            ("$lowest", f"fn lowest() -> T {{ return {codegen.literal(float('-inf'), operand.dtype)}; }}"),
            # Whether a driver's max loses NaN does not matter: the sum of the row is NaN all the same.
            ("$maximum", "fn maximum(x: T, y: T) -> T { return max(x, y); }"),
            ("$exponential", f"fn exponential(x: T) -> T {{ return wt_exp_{kind}(x); }}"),
        )
        kernel = codegen.Kernel(limits, "softmax_wide" if wide else "softmax", constants)
        kernel.store_quads = not wide and extent % 4 == 0
        add_rows(kernel, group, operand, rows, extent, len(operand.shape) - 1)
        kernel.workgroup_size = 64
        kernel.workgroups = rows if wide else -(-rows // 64)
        kernel.trips = 3 * (-(-extent // 64) if wide else extent) + (extent // 64 if not wide else 64) + 8
        return kernel


def halve_rows_of(node: graph.Node, kept: int) -> pieces.Halves | None:
    """A node that computes rows over the dimensions from `kept` on, in two along the first of the others."""
    wide = [d for d in range(kept) if node.shape[d] > 1]
    return pieces.halve_rows(node, wide[0]) if wide else None


def add_rows(kernel, group, operand: Operand, rows: int, extent: int, kept: int) -> None:
    """The holes for rows over the dimensions from `kept` on, read by `load` or four at a time, and stored."""
    from ..kernels import store_block

    kernel.parameter("rows", rows)
    kernel.parameter("extent", extent)
    kernel.row = extent if kernel.store_quads else None
    load = kernel.block("load", ("row", "k"))
    value = load.operand_at(operand, (0, 0, kept), (1, kept, len(operand.shape)))
    load.returns = ((value, operand.dtype),)
    add_row_quads(kernel, operand, kept, extent)
    store_block(kernel, group)


class Standardize(Op):
    """x with mean 0 and variance 1 (mean square 1 if not `centred`) over the dimensions from `kept` on."""

    inlines = False

    def __call__(self, x: Tensor, kept: int, eps: float, centred: bool = True) -> Tensor:
        if (
            numel(x._shape[kept:]) > MAX_ROW
            or x._batch
            or (x.device.type == "webgpu" and x.dtype is not dtypes.float32)
        ):
            return self.composed(x, kept, eps, centred)
        attributes = {"kept": kept, "eps": eps, "centred": centred}
        result = from_node(graph.record(self, (x._operand(),), attributes, x._shape, x.dtype, x.device))
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), attributes)
        return result

    @staticmethod
    def composed(x: Tensor, kept: int, eps: float, centred: bool = True) -> Tensor:
        """The same by other ops, which can be differentiated as often as one likes."""
        dims = tuple(range(kept, x.ndim))
        if centred:
            x = x - x.mean(dims, keepdim=True)
        return x * (x.square().mean(dims, keepdim=True) + eps).rsqrt()

    def structure(self, node: graph.Node) -> tuple:
        return node.attributes["kept"], node.attributes["centred"]

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        kept, eps, centred = (node.attributes[name] for name in ("kept", "eps", "centred"))
        if not node.size:
            return np.empty(node.shape, node.dtype.numpy)

        def standardized(rows: np.ndarray) -> np.ndarray:
            if centred:
                rows = rows - rows.mean(-1, keepdims=True)
            squares = np.einsum("...k,...k->...", rows, rows)[..., None] / np.asarray(rows.shape[-1], rows.dtype)
            return rows * (1 / np.sqrt(squares + np.asarray(eps, rows.dtype)))

        return blocks.rows(standardized, np.reshape(x, (*x.shape[:kept], -1))).reshape(node.shape)

    def halves(self, node: graph.Node, limits):
        return halve_rows_of(node, node.attributes["kept"])

    def lower(self, group, limits):
        node: graph.Node = group.core
        operand: Operand = node.args[0]
        kept = node.attributes["kept"]
        extent, rows = numel(operand.shape[kept:]), numel(operand.shape[:kept])
        kind = codegen.compute_type(operand.dtype)
        constants = (
            ("T", kind),
            ("CENTRED", "true" if node.attributes["centred"] else "false"),
            ("$inverse_root", f"fn inverse_root(x: T) -> T {{ return wt_rsqrt_{kind}(x); }}"),
        )
        wide = not limits.is_cpu and extent > 64
        kernel = codegen.Kernel(limits, "standardize_wide" if wide else "standardize", constants)
        kernel.store_quads = not wide and extent % 4 == 0
        add_rows(kernel, group, operand, rows, extent, kept)
        epsilon = kernel.block("epsilon", ())
        epsilon.returns = ((epsilon.attribute(node, "eps", operand.dtype), operand.dtype),)
        kernel.workgroup_size = 64
        kernel.workgroups = rows if wide else -(-rows // 64)
        kernel.trips = (3 * -(-extent // 64) + 16) if wide else 3 * extent + extent // 64 + 8
        return kernel


def standardize_gradient(g: Tensor, x: Tensor, out: Tensor, kept: int, eps: float, centred: bool) -> Tensor:
    """scale * (g - mean(g) - out * mean(g * out)), where out is x off its mean times the scale."""
    dims = tuple(range(kept, x.ndim))
    centre = x - x.mean(dims, keepdim=True) if centred else x
    scale = (centre.square().mean(dims, keepdim=True) + eps).rsqrt()
    along = (g * out).mean(dims, keepdim=True)
    if centred:
        g = g - g.mean(dims, keepdim=True)
    return (g - out * along) * scale


standardize = Standardize(
    "_standardize", vjp=(standardize_gradient,), public=False, method=False, grad_name="NativeLayerNorm"
)


def softmax_array(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(-1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(-1, keepdims=True)
    return shifted


def log_softmax_array(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


# fmt: off
softmax = Softmax("softmax", numpy=softmax_array, finish="wt_exp(x - top) / total",
    vjp=(lambda g, out: out * (g - (g * out).sum(-1, keepdim=True)),),
    doc="""exp(x) scaled to sum to 1 along `dim`.

    >>> import webtorch
    >>> webtorch.softmax(webtorch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """)
log_softmax = Softmax("log_softmax", numpy=log_softmax_array, finish="x - top - wt_log(total)",
    vjp=(lambda g, out: g - out.exp() * g.sum(-1, keepdim=True),),
    doc="""The logarithm of softmax along `dim`, computed without overflow.

    >>> import webtorch
    >>> webtorch.log_softmax(webtorch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """)
# fmt: on
