"""Binary search in sorted rows."""

from __future__ import annotations

import numpy as np

from .. import codegen, dtypes, engine, graph
from ..shapes import numel
from . import Op, Tensor, from_node


class Search(Op):
    """For each value the number of elements of its row that come before it: below it, or with `right` also equal to it.

    Arguments: sorted rows of shape (rows, extent), values of shape (rows, count) and of the same dtype. The result is
    int32. NaN comes after everything; of rows that hold NaN the result is what the search finds, as in PyTorch.
    """

    inlines = False

    def __call__(self, rows: Tensor, values: Tensor, right: bool) -> Tensor:
        if rows.device.type == "webgpu":
            from ..backends import wgpu as backend

            codegen.check_features(rows.dtype, engine.limits_of(backend.get_device()), "searchsorted")
        args = (rows._operand(), values._operand())
        return from_node(graph.record(self, args, {"right": right}, values._shape, dtypes.int32, rows.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        rows, values = arrays
        test = np.greater if node.attributes["right"] else np.greater_equal
        low = np.zeros(node.shape, np.int64)
        high = np.full(node.shape, rows.shape[1], np.int64)
        numbers = np.arange(len(rows))[:, None]
        while (low < high).any():
            middle = np.minimum(low + (high - low) // 2, rows.shape[1] - 1)
            right = ~test(rows[numbers, middle], values) & (low < high)
            low, high = np.where(right, middle + 1, low), np.where(right | (low == high), high, middle)
        return low

    def lower(self, group, limits):
        from ..kernels import store_block

        node: graph.Node = group.core
        rows, values = node.args
        kind = codegen.compute_type(rows.dtype)
        test = "wt_gt" if node.attributes["right"] else "wt_ge"
        kernel = codegen.Kernel(
            limits,
            "search",
            (
                ("T", "i32"),
                ("V", kind),
                ("$goes_right", f"fn goes_right(x: V, value: V) -> bool {{ return !{test}_{kind}(x, value); }}"),
            ),
        )
        kernel.parameter("count", numel(values.shape))
        kernel.parameter("extent", rows.shape[1])
        kernel.parameter("per_row", values.shape[1])
        load = kernel.block("load", ("row", "k"))
        load.returns = ((load.operand_at(rows, (0, 0, 1), (1, 1, 2)), rows.dtype),)
        query = kernel.block("query", ("i",))
        query.returns = ((query.operand(values, 0), values.dtype),)
        store_block(kernel, group)
        kernel.trips = 33
        kernel.workgroup_size = 64
        kernel.workgroups = -(-numel(values.shape) // 64)
        return kernel


search = Search("_search", public=False)
