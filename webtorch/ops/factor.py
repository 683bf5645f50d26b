"""Factorisations and triangular systems: kernels with a workgroup per matrix, or an invocation per column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import codegen, dtypes, engine, graph, linalg_numpy
from . import Op, Tensor, from_node

LARGEST = 192  # rows and columns: beyond, an invocation might go round its loops more often than every driver does


def kernel_fits(tensors: tuple, size: int) -> bool:
    """Whether matrices of that size are worked on by a kernel; else numpy does it on the host."""
    first = tensors[0]
    if first.device.type != "webgpu" or size > LARGEST or first.dtype not in (dtypes.float32, dtypes.float64):
        return False
    from ..backends import wgpu as backend

    limits = engine.limits_of(backend.get_device())
    if first.dtype is dtypes.float64 and "shader-f64" not in limits.features:
        return False
    most = max(tensor.numel() for tensor in tensors) * 2 * first.dtype.itemsize
    return most <= limits.max_binding_size and limits.max_workgroup_invocations >= 64


class Factor(Op):
    """A factorisation of matrices of shape (count, m, n); the result has `extra` rows more, which say how it went."""

    inlines = False
    has_epilogue = False

    def __init__(self, name: str, *, shader: str, numpy: Callable) -> None:
        super().__init__(name, numpy=numpy, public=False, method=False)
        self.shader = shader

    def __call__(self, x: Tensor) -> Tensor:
        count, m, n = x._shape
        return from_node(graph.record(self, (x._operand(),), {}, (count, m + self.extra(m, n), n), x.dtype, x.device))

    def extra(self, m: int, n: int) -> int:
        """Of LU the rows that were swapped, and where each row came from; of others one row."""
        return 1 + -(-m // n) if self.shader == "lu" else 1

    def lower(self, group, limits):
        node: graph.Node = group.core
        (operand,) = node.args
        count, m, n = operand.shape
        kind = codegen.compute_type(node.dtype)
        constants = (
            ("T", kind),
            ("EXTRA", self.extra(m, n)),
            ("$fetch", f"fn fetch(i: u32) -> {kind} {{ return output_0[i]; }}"),
            ("$magnitude", f"fn magnitude(x: {kind}) -> {kind} {{ return wt_abs_{kind}(x); }}"),
            ("$root", f"fn root(x: {kind}) -> {kind} {{ return wt_sqrt_{kind}(x); }}"),
        )
        kernel = codegen.Kernel(limits, self.shader, constants)
        kernel.outputs = [node]
        for name, value in (("matrices", count), ("rows", m), ("columns", n)):
            kernel.parameter(name, value)
        load = kernel.block("load", ("matrix", "k"))
        load.returns = ((load.operand_at(operand, (0, 0, 1), (1, 1, 3)), operand.dtype),)
        kernel.workgroup_size = 64
        kernel.workgroups = count
        steps = min(m, n)
        kernel.trips = (
            sum((m - k) + m * n // 64 // steps + (m - k) * (n - k) // 64 + 8 for k in range(steps)) + m * n // 64
        )
        return kernel


class Triangular(Op):
    """The solution of triangular systems: matrices (count, n, n), right-hand sides (count, n, columns)."""

    inlines = False
    has_epilogue = False

    def __call__(self, x: Tensor, y: Tensor, upper: bool, unit: bool) -> Tensor:
        attributes = {"upper": upper, "unit": unit}
        args = (x._operand(), y._operand())
        return from_node(graph.record(self, args, attributes, y._shape, y.dtype, y.device))

    def lower(self, group, limits):
        node: graph.Node = group.core
        matrix, right = node.args
        count, n, columns = right.shape
        kind = codegen.compute_type(node.dtype)
        constants = (
            ("T", kind),
            ("UPPER", "true" if node.attributes["upper"] else "false"),
            ("UNIT", "true" if node.attributes["unit"] else "false"),
            ("$fetch", f"fn fetch(i: u32) -> {kind} {{ return output_0[i]; }}"),
        )
        kernel = codegen.Kernel(limits, "triangular", constants)
        kernel.outputs = [node]
        for name, value in (("count", count * columns), ("rows", n), ("columns", columns)):
            kernel.parameter(name, value)
        load = kernel.block("load", ("matrix", "k"))
        load.returns = ((load.operand_at(matrix, (0, 0, 1), (1, 1, 3)), matrix.dtype),)
        side = kernel.block("right", ("i",))
        side.returns = ((side.operand(right, 0), right.dtype),)
        kernel.workgroup_size = 64
        kernel.workgroups = -(-count * columns // 64)
        kernel.trips = n * (n + 1) // 2 + n
        return kernel


def lu_packed(x: np.ndarray) -> np.ndarray:
    packed, pivots = linalg_numpy.lu(x)
    count, m, n = x.shape
    last = np.zeros((count, lu.extra(m, n) * n), x.dtype)
    last[:, : pivots.shape[1]] = pivots
    last[:, n : n + m] = linalg_numpy.permutation(pivots, m)
    return np.concatenate([packed, last.reshape((count, -1, n))], 1)


def cholesky_packed(x: np.ndarray) -> np.ndarray:
    factor, info = linalg_numpy.cholesky(x)
    last = np.zeros((len(x), 1, x.shape[2]), x.dtype)
    last[:, 0, 0] = info
    return np.concatenate([factor, last], 1)


lu = Factor("_lu", shader="lu", numpy=lu_packed)
cholesky = Factor("_cholesky", shader="cholesky", numpy=cholesky_packed)
triangular = Triangular("_triangular", numpy=linalg_numpy.solve_triangular, public=False, method=False)
