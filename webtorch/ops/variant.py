"""Elementwise rows with conditions on their inputs, and rows of which options select another expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, graph, precision
from ..dtypes import dtype as DType
from ..tensor import Tensor
from .elementwise import Elementwise


class Checked(Elementwise):
    """A row with a condition beyond dtypes: `check(call, inputs, given)` raises when the inputs do not meet it."""

    def __init__(self, name: str, *, check: Callable[[str, list, dict], None] | None = None, **rest: Any) -> None:
        self.check = check
        super().__init__(name, **rest)

    def apply(self, inputs: list, given: dict) -> Tensor:
        if self.check is not None:
            self.check(self.name, inputs, given)
        return super().apply(inputs, given)


class Variant(Checked):
    """A row that `of` turns to for some of its options. The op table knows it by its own name, errors by the public one."""

    def __init__(self, name: str, *, of: str, **rest: Any) -> None:
        rest.setdefault("grad_name", "".join(part.capitalize() for part in of.split("_")))
        super().__init__(name, public=False, method=False, inplace=False, **rest)
        self.name = self.__name__ = self.__qualname__ = of
        self.autocast = precision.POLICY.get(of)


class Optioned(Checked):
    """A row with keyword options that select a variant: `choose(**options)` gives the row and the scalars for it.

    `options` holds their defaults; with the defaults the row itself computes. They may be given by position, too.
    """

    def __init__(self, name: str, *, options: dict[str, Any], choose: Callable[..., tuple], **rest: Any) -> None:
        self.options = options
        self.choose = choose
        super().__init__(name, **rest)

    def __call__(self, *inputs: Any, out: Tensor | None = None, **given: Any) -> Tensor:
        options = {name: given.pop(name) for name in self.options if name in given}
        if len(inputs) > self.inputs and not self.scalars:
            options.update(zip(self.options, inputs[self.inputs :], strict=False))
            inputs = inputs[: self.inputs + max(0, len(inputs) - self.inputs - len(self.options))]
        if options:
            row, scalars = self.choose(**{**self.options, **options})
            if row is not self:
                return row(*inputs, out=out, **scalars, **given)
        return super().__call__(*inputs, out=out, **given)


class NextAfter(Elementwise):
    """The neighbour of a number: the one row to which 16-bit floats are more than float32 numbers to be rounded."""

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        of = node.dtype
        if dtypes.accumulator(of) is of:
            return super().evaluate(node, arrays)
        x, y = np.broadcast_arrays(*arrays)
        bits = dtypes.encode(x, of).view(np.uint16)
        step = np.where(np.signbit(x) == (y < x), bits + np.uint16(1), bits - np.uint16(1))
        step = np.where(x == 0, np.where(np.signbit(y), np.uint16(0x8001), np.uint16(1)), step)
        moved = np.where(x == y, y, dtypes.decode(step.view(of.memory), of))
        return np.where(np.isnan(x) | np.isnan(y), np.float32(np.nan), moved)

    def expression(self, compute: DType) -> str | None:
        names = {dtypes.float16: "wt_f16_nextafter({x}, {y})", dtypes.bfloat16: "wt_bf16_nextafter({x}, {y})"}
        return names.get(compute) or super().expression(compute)
