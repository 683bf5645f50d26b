"""Copies of views under PyTorch's names: `permute_copy(x, dims)` is `x.permute(dims).clone()`, in memory of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import functional
from .ops.parts import view_as_complex, view_as_real
from .tensor import Tensor

__all__: list[str] = []


def sliced(x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    size = x.shape[dim]
    first, last, step = slice(start, end, step).indices(size)
    return (
        x.index_select(dim, functional.arange(first, last, step, device=x.device))
        if first < last
        else x.narrow(dim, 0, 0)
    )


# The name before `_copy`, the view, and an example of the arguments after the tensor.
VIEWS: dict[str, tuple[Callable, str]] = {
    "alias": (lambda x: x, ""),
    "as_strided": (lambda x, *args, **given: x.as_strided(*args, **given), ", (2,), (1,)"), "detach": (lambda x: x.detach(), ""),
    "diagonal": (lambda x, *args, **given: x.diagonal(*args, **given), ""), "expand": (lambda x, size: x.expand(size), ", (2, 2)"),
    "permute": (lambda x, dims: x.permute(dims), ", (1, 0)"), "select": (lambda x, dim, index: x.select(dim, index), ", 0, 1"),
    "slice": (sliced, ", 0, 1"), "split": (lambda x, split_size, dim=0: x.split(split_size, dim), ", 1"),
    "split_with_sizes": (lambda x, split_sizes, dim=0: x.split(split_sizes, dim), ", [1, 1]"),
    "squeeze": (lambda x, *dim: x.squeeze(*dim), ""), "t": (lambda x: x.t(), ""),
    "transpose": (lambda x, dim0, dim1: x.transpose(dim0, dim1), ", 0, 1"), "unbind": (lambda x, dim=0: x.unbind(dim), ""),
    "unfold": (lambda x, dimension, size, step: x.unfold(dimension, size, step), ", 0, 2, 1"),
    "unsqueeze": (lambda x, dim: x.unsqueeze(dim), ", 0"), "view": (lambda x, size: x.view(size), ", (4,)"),
    "view_as_complex": (view_as_complex, ""), "view_as_real": (view_as_real, ""),
}  # fmt: skip


def copied(name: str, view: Callable, example: str) -> Callable:
    def function(input: Tensor, *args: Any, **given: Any) -> Any:
        result = view(input, *args, **given)
        return result.clone() if isinstance(result, Tensor) else tuple(part.clone() for part in result)

    function.__name__ = function.__qualname__ = f"{name}_copy"
    function.__module__ = __name__
    made = "webtorch.ones(2, 2)" + (" + 0j" if name == "view_as_real" else "")
    several = name in ("split", "split_with_sizes", "unbind")
    function.__doc__ = (
        f"A copy of `{name}`: the same elements in memory of their own{', each part' if several else ''}.\n\n"
        f"    >>> import webtorch\n    >>> len(webtorch.{name}_copy({made}{example})) > 0\n    True\n    "
    )
    return function


for _name, (_view, _example) in VIEWS.items():
    globals()[f"{_name}_copy"] = copied(_name, _view, _example)
    __all__.append(f"{_name}_copy")  # noqa: PYI056
