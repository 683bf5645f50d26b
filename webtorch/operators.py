"""Python's operators on tensors, each spelled with the row it stands for."""

from __future__ import annotations

from typing import Any

from . import functional
from .ops import TABLE, activation, binary, is_number, parts, scan, unary  # noqa: F401 (these modules fill the table)
from .ops import row as _softmax  # noqa: F401
from .ops.inplace import INPLACE
from .tensor import Tensor

BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide", "mod": "remainder", "pow": "pow",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
COMPARISON = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}
UNARY = {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}


def accepts(value: Any) -> bool:
    """Other types get their chance to implement the operator."""
    return isinstance(value, Tensor) or is_number(value)


def forward(row: Any):
    def operator(self: Tensor, other: Any) -> Tensor:
        return row(self, other) if accepts(other) else NotImplemented

    return operator


def reflected(row: Any):
    def operator(self: Tensor, other: Any) -> Tensor:
        return row(other, self) if accepts(other) else NotImplemented

    return operator


def comparison(row: Any, unequal: bool | None):
    def operator(self: Tensor, other: Any) -> Any:
        if accepts(other):
            return row(self, other)
        return NotImplemented if unequal is None or other is not None else unequal

    return operator


for _name, _row in BINARY.items():
    setattr(Tensor, f"__{_name}__", forward(TABLE[_row]))
    setattr(Tensor, f"__r{_name}__", reflected(TABLE[_row]))
    setattr(Tensor, f"__i{_name}__", INPLACE[_row + "_"])
for _name, _row in COMPARISON.items():
    setattr(Tensor, f"__{_name}__", comparison(TABLE[_row], {"eq": False, "ne": True}.get(_name)))
for _name, _row in UNARY.items():
    setattr(Tensor, f"__{_name}__", TABLE[_row])


def _matmul(self: Tensor, other: Any) -> Tensor:
    return functional.matmul(self, other) if isinstance(other, Tensor) else NotImplemented


def _reversed_matmul(self: Tensor, other: Any) -> Tensor:
    return functional.matmul(other, self) if isinstance(other, Tensor) else NotImplemented


Tensor.__pos__ = unary.positive
Tensor.__matmul__ = _matmul
Tensor.__rmatmul__ = _reversed_matmul
# Defining __eq__ in a class body would have dropped it; set after the fact, it stays identity, as autograd needs.
Tensor.__hash__ = lambda self: id(self)
