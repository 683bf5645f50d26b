"""In-place forms of the compounds: `x.name_(...)` writes what `x.name(...)` gives into `x`'s memory. (Those of rows are
made with the rows, see `webtorch.ops.inplace`.)"""

from __future__ import annotations

import functools
from typing import Any

from . import functional, indexing, scattering
from .autograd import inplace
from .grad_mode import current
from .ops import TABLE
from .tensor import Tensor


def of_copy(function: Any) -> Any:
    """`function` of a copy: what its derivative needs of the old value may be a view, which the write would change."""

    @functools.wraps(function)
    def call(self: Tensor, *args: Any, **given: Any) -> Tensor:
        return function(self.clone(), *args, **given)

    call.__name__ = function.__name__
    return call


# name of the function -> where it is defined
WRITTEN: dict[str, Any] = {
    "masked_fill": indexing.masked_fill, "scatter": indexing.scatter, "scatter_add": indexing.scatter_add,
    "index_add": indexing.index_add, "index_copy": indexing.index_copy, "index_fill": indexing.index_fill,
    "scatter_reduce": of_copy(scattering.scatter_reduce), "index_reduce": of_copy(scattering.index_reduce),
    "masked_scatter": scattering.masked_scatter, "index_put": indexing.index_put,
    "tril": functional.tril, "triu": functional.triu, "addmm": functional.addmm,
    "addmv": functional.addmv, "addr": functional.addr, "baddbmm": functional.baddbmm, "addbmm": functional.addbmm,
    "cumsum": TABLE["cumsum"], "cumprod": of_copy(TABLE["cumprod"]), "dropout": functional.dropout, "rrelu": functional.rrelu,
}  # fmt: skip

# Views that an in-place form turns the tensor itself into.
TURNED = ("unsqueeze", "squeeze", "transpose", "t")


def written(name: str, function: Any):
    def method(self: Tensor, *args: Any, **given: Any) -> Tensor:
        return inplace.apply(function, self, args, given, name)

    return named(
        method, name, f"In-place form of `{function.__name__}`: writes the result into the tensor and returns it."
    )


def turned(name: str, view: Any):
    def method(self: Tensor, *args: Any, **given: Any) -> Tensor:
        state = current()
        if state.grad and self._leaf_requires_grad:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        result = view(self, *args, **given)
        self._shape, self._strides, self._offset = result._shape, result._strides, result._offset
        self._grad_fn, self._output_number = result._grad_fn, result._output_number
        return self

    return named(method, name, f"Makes the tensor its own `{view.name}`; the memory stays.")


def named(method: Any, name: str, doc: str) -> Any:
    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


FUNCTIONS = {}
for _name, _function in WRITTEN.items():
    FUNCTIONS[_name + "_"] = written(_name + "_", _function)
for _name in TURNED:
    FUNCTIONS[_name + "_"] = turned(_name + "_", TABLE[_name])
for _name, _function in FUNCTIONS.items():
    setattr(Tensor, _name, _function)
