"""`out=` for functions whose results are simply written where it says: one wrapper instead of a line in each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .ops.elementwise import store_out
from .tensor import Tensor

# Functions of PyTorch that take `out=`, and here get it from `accept_out`.
NAMES = """
    aminmax bernoulli cummax cummin diag diff frexp histc index_add index_copy isin kron kthvalue logcumsumexp masked_select
    median msort nanmean nanmedian nanquantile narrow_copy nonzero normal quantile renorm scatter scatter_add sort take
    take_along_dim topk tril triu vdot
""".split()


def accept_out(namespace: dict[str, Any]) -> None:
    """Give the functions of these names in a namespace a keyword `out`, a tensor or as many as there are results."""
    for name in NAMES:
        function = namespace.get(name)
        if inspect.isfunction(function) and "out" not in inspect.signature(function).parameters:
            namespace[name] = with_out(function)


def with_out(function: Callable) -> Callable:
    """`function` with a keyword `out`.

    >>> import webtorch
    >>> out = webtorch.zeros(2)
    >>> webtorch.diag(webtorch.tensor([[1.0, 0.0], [0.0, 2.0]]), out=out) is out
    True
    """

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **given: Any) -> Any:
        result = function(*args, **given)
        if out is None:
            return result
        if isinstance(result, Tensor):
            return store_out(function.__name__, result, out)
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"{function.__name__}(..., out=...): expected a tuple of {len(result)} tensors")
        stored = (store_out(function.__name__, value, target) for value, target in zip(result, out, strict=True))
        return type(result)(*stored) if hasattr(result, "_fields") else tuple(stored)

    signature = inspect.signature(function)
    added = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Tensor | None")
    parameters = list(signature.parameters.values())
    end = next((n for n, one in enumerate(parameters) if one.kind is one.VAR_KEYWORD), len(parameters))
    call.__signature__ = signature.replace(parameters=[*parameters[:end], added, *parameters[end:]])  # type: ignore[attr-defined]
    return call
