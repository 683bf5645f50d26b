"""Sorting on a GPU by keys: int32 numbers that order the elements of rows, digit by digit, or by counting what comes before.

A pass over one digit is two kernels: `count` says how often each digit occurs in each chunk of a row, a running sum of
that says where the places of each digit and chunk end, and `move` brings keys and positions there. Passes keep the order
of elements of one digit, so after the last one all is sorted and equal elements are where they were. No step depends on
the order in which invocations run.
"""

from __future__ import annotations

import numpy as np

from .. import codegen, dtypes, graph
from ..shapes import numel
from . import Op, Tensor, from_node

EACH = 8  # elements of a chunk that one invocation of a workgroup takes


def digits_of(keys: np.ndarray, shift: int, bits: int, floats: bool) -> np.ndarray:
    if floats:  # -0 and +0 are equal
        keys = np.where(keys == -1, 0, keys)
    return ((keys.astype(np.int32).view(np.uint32) ^ np.uint32(1 << 31)) >> np.uint32(shift)) & np.uint32(
        (1 << bits) - 1
    )


class Pass(Op):
    """Half of a pass over the digits of keys, int32 of shape (rows, extent).

    Attributes: `shift` and `bits` say which digit, `floats` that -1 counts as 0 (see `_sort_key`), `chunk` how many
    elements one invocation goes through, or with `tiles` a workgroup.
    """

    inlines = False
    has_epilogue = False

    def kernel(self, node: graph.Node, limits, shader: str):
        keys = node.args[0]
        rows, extent = keys.shape
        attributes = node.attributes
        bits, chunk = attributes["bits"], attributes["chunk"]
        zero = "select(key, 0, key == -1)" if attributes["floats"] else "key"
        digit = f"fn digit(key: i32) -> u32 {{ return wt_digit_i32({zero}, shift(), DIGITS - 1u); }}"
        tiles = attributes["tiles"]
        constants = (("T", "i32"), ("DIGITS", 1 << bits), ("$digit", digit), *((("EACH", EACH),) if tiles else ()))
        kernel = codegen.Kernel(limits, shader, constants)
        kernel.outputs = [node]
        chunks = -(-extent // chunk)
        for name, value in (("shift", attributes["shift"]), ("rows", rows), ("extent", extent), ("chunks", chunks),
                            ("chunk", chunk)):  # fmt: skip
            kernel.parameter(name, value)
        load = kernel.block("load", ("row", "k"))
        load.returns = ((load.operand_at(keys, (0, 0, 1), (1, 1, 2)), dtypes.int32),)
        if tiles:
            kernel.trips = 2 * EACH + 2 * (1 << bits) + 16
            kernel.workgroup_size, kernel.workgroups = chunk // EACH, rows * chunks
        else:
            kernel.trips = chunk + 2 * (1 << bits)
            kernel.workgroup_size = 8 if limits.is_cpu else 64
            kernel.workgroups = -(-rows * chunks // kernel.workgroup_size)
        return kernel


class Count(Pass):
    """For each row and each digit the number of keys with that digit in each chunk: int32 of shape (rows, digits * chunks)."""

    def __call__(self, keys: Tensor, attributes: dict) -> Tensor:
        rows, extent = keys._shape
        shape = (rows, (1 << attributes["bits"]) * -(-extent // attributes["chunk"]))
        return from_node(graph.record(self, (keys._operand(),), attributes, shape, dtypes.int32, keys.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (keys,) = arrays
        attributes = node.attributes
        rows, extent = keys.shape
        chunk = attributes["chunk"]
        digits = digits_of(keys, attributes["shift"], attributes["bits"], attributes["floats"]).astype(np.int64)
        result = np.zeros((rows, 1 << attributes["bits"], -(-extent // chunk)), np.int32)
        np.add.at(result, (np.arange(rows)[:, None], digits, np.arange(extent) // chunk), 1)
        return result

    def lower(self, group, limits):
        return self.kernel(group.core, limits, "sort_count_tile" if group.core.attributes["tiles"] else "sort_count")


class Move(Pass):
    """Keys and positions brought to the places that the running sums of `count` say: int32 of shape (rows, extent, 2)."""

    def __call__(self, keys: Tensor, positions: Tensor, ends: Tensor, attributes: dict) -> Tensor:
        args = (keys._operand(), positions._operand(), ends._operand())
        return from_node(graph.record(self, args, attributes, (*keys._shape, 2), dtypes.int32, keys.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        keys, positions, _ = arrays
        attributes = node.attributes
        digits = digits_of(keys, attributes["shift"], attributes["bits"], attributes["floats"])
        order = np.argsort(digits, -1, kind="stable")
        return np.stack([np.take_along_axis(keys, order, -1), np.take_along_axis(positions, order, -1)], -1)

    def lower(self, group, limits):
        node: graph.Node = group.core
        _, positions, ends = node.args
        kernel = self.kernel(node, limits, "sort_move_tile" if node.attributes["tiles"] else "sort_move")
        position = kernel.block("position", ("row", "k"))
        position.returns = ((position.operand_at(positions, (0, 0, 1), (1, 1, 2)), dtypes.int32),)
        end = kernel.block("ends", ("i",))
        end.returns = ((end.operand(ends, 0), dtypes.int32),)
        return kernel


class Rank(Op):
    """Keys, int32 of shape (rows, extent), and their positions in the order of the keys: int32 of shape (rows, extent, 2).

    Each element counts those that come before it: for short rows.
    """

    inlines = False
    has_epilogue = False

    def __call__(self, keys: Tensor, positions: Tensor, floats: bool) -> Tensor:
        args = (keys._operand(), positions._operand())
        shape = (*keys._shape, 2)
        return from_node(graph.record(self, args, {"floats": floats}, shape, dtypes.int32, keys.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        keys, positions = arrays
        order = np.argsort(np.where(keys == -1, 0, keys) if node.attributes["floats"] else keys, -1, kind="stable")
        return np.stack([np.take_along_axis(keys, order, -1), np.take_along_axis(positions, order, -1)], -1)

    def lower(self, group, limits):
        node: graph.Node = group.core
        keys, positions = node.args
        rows, extent = keys.shape
        zero = "select(key, 0, key == -1)" if node.attributes["floats"] else "key"
        kernel = codegen.Kernel(
            limits, "sort_rank", (("T", "i32"), ("$canonical", f"fn canonical(key: i32) -> i32 {{ return {zero}; }}"))
        )
        kernel.outputs = [node]
        kernel.parameter("count", rows * extent)
        kernel.parameter("extent", extent)
        for name, operand in (("load", keys), ("position", positions)):
            block = kernel.block(name, ("row", "k"))
            block.returns = ((block.operand_at(operand, (0, 0, 1), (1, 1, 2)), dtypes.int32),)
        kernel.trips = extent + 1
        kernel.workgroup_size = 64
        kernel.workgroups = -(-numel(keys.shape) // 64)
        return kernel


count = Count("_sort_count", public=False)
move = Move("_sort_move", public=False)
rank = Rank("_sort_rank", public=False)
