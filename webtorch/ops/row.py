"""Row kernels: each row of the last dimension is read a few times by one invocation or workgroup and written once."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import batching, codegen, dtypes, engine, graph, precision
from ..errors import DTypeError
from ..graph import Operand
from ..shapes import normalize_dim, numel
from . import Op, Tensor, cast_operand, from_node, tracks
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
        return self.numpy(arrays[0]) if node.size else np.empty(node.shape, node.dtype.numpy)

    def lower(self, group, limits):
        from ..kernels import store_block

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
            ("$maximum", f"fn maximum(x: T, y: T) -> T {{ return wt_maximum_{kind}(x, y); }}"),
            ("$exponential", f"fn exponential(x: T) -> T {{ return wt_exp_{kind}(x); }}"),
        )
        kernel = codegen.Kernel(limits, "softmax_wide" if wide else "softmax", constants)
        kernel.parameter("rows", rows)
        kernel.parameter("extent", extent)
        load = kernel.block("load", ("row", "k"))
        value = load.operand_at(
            operand, (0, 0, len(operand.shape) - 1), (1, len(operand.shape) - 1, len(operand.shape))
        )
        load.returns = ((value, operand.dtype),)
        store_block(kernel, group)
        kernel.workgroup_size = 64
        kernel.workgroups = rows if wide else -(-rows // 64)
        kernel.trips = 3 * (-(-extent // 64) if wide else extent) + (extent // 64 if not wide else 64) + 8
        return kernel


def softmax_array(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


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
