"""The in-place forms of rows: `x.add_(y)` computes `x.add(y)` and writes it into `x`'s memory."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor


class InPlace:
    """`name_`, made from the row `name`: a method of Tensor, and a function where PyTorch has one."""

    def __init__(self, op: Any) -> None:
        self.op = op
        self.name = self.__name__ = self.__qualname__ = op.name + "_"
        self.__module__ = "webtorch"
        self.__doc__ = f"In-place form of `{op.name}`: writes the result into the first argument and returns it."

    def __call__(self, x: Tensor, *args: Any, **given: Any) -> Tensor:
        from ..autograd import inplace

        return inplace.apply(self.op, x, args, given, self.name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        import types

        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<in-place op webtorch.{self.name}>"


def make_inplace(op: Any) -> InPlace:
    made = InPlace(op)
    setattr(Tensor, made.name, made)
    INPLACE[made.name] = made
    return made


INPLACE: dict[str, InPlace] = {}
