"""Orthogonal polynomials by their three-term recurrences, in the degree `n`: a number, or a tensor that broadcasts (the
largest degree is then read back from a GPU)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import creation, dtypes
from ..ops.elementwise import store_out
from ..tensor import Tensor
from .common import argument, where

Step = Callable[[int, Tensor, Any, Any], Tensor]  # (k, x, P of degree k, P of degree k - 1) -> P of degree k + 1


def recurrence(call: str, x: Any, n: Any, first: Callable[[Tensor], Tensor], step: Step, out: Tensor | None) -> Tensor:
    """P of degree `n` (cut to a whole number; 0 below 0) with P of degree 0 being 1 and of degree 1 `first`."""
    like = x if isinstance(x, Tensor) else n if isinstance(n, Tensor) else None
    x = argument(x, like, call)
    wide = x.to(dtypes.float32) if x.dtype.itemsize < 4 else x
    if isinstance(n, Tensor):
        degrees = n.detach().trunc() if n.dtype.is_floating_point else n.detach()
        most = int(degrees.max().item()) if degrees.numel() else -1
        result = wide * 0.0 + degrees * 0.0
        for k, value in enumerate(values(wide, most, first, step)):
            result = where(degrees == k, value, result)
    else:
        result = wide * 0.0
        for value in values(wide, int(n), first, step):
            result = value
        result = result + wide * 0.0 if int(n) == 0 else result
    result = result.to(x.dtype)
    return result if out is None else store_out(call, result, out)


def values(x: Tensor, most: int, first: Callable[[Tensor], Tensor], step: Step):
    """P of degree 0, 1, ..., most."""
    before: Tensor = creation.ones_like(x)
    last = before
    for degree in range(most + 1):
        if degree == 1:
            before, last = last, first(x)
        elif degree > 1:
            before, last = last, step(degree - 1, x, last, before)
        yield last


def polynomial(name: str, what: str, value: str, first: Callable[[Tensor], Tensor], step: Step) -> Callable:
    def function(input: Tensor, n: Any, *, out: Tensor | None = None) -> Tensor:
        return recurrence(name, input, n, first, step, out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what} of degree `n`.

    >>> import webtorch
    >>> webtorch.special.{name}(webtorch.tensor([0.5]), 3)
    tensor([{value}])
    """
    return function


def doubled(k: int, x: Tensor, last: Tensor, before: Tensor) -> Tensor:
    return (x + x) * last - before


def shifted(first: Callable[[Tensor], Tensor]) -> tuple[Callable, Step]:
    """The recurrence on [0, 1] instead of [-1, 1]."""
    return (lambda x: first(x + x - 1)), (lambda k, x, last, before: doubled(k, x + x - 1, last, before))


FIRST = {"t": lambda x: x, "u": lambda x: x + x, "v": lambda x: x + x - 1, "w": lambda x: x + x + 1}
KINDS = {"t": "first", "u": "second", "v": "third", "w": "fourth"}

# fmt: off
chebyshev_polynomial_t, chebyshev_polynomial_u, chebyshev_polynomial_v, chebyshev_polynomial_w = (
    polynomial(f"chebyshev_polynomial_{key}", f"Chebyshev's polynomial of the {KINDS[key]} kind", value, FIRST[key], doubled)
    for key, value in (("t", "-1."), ("u", "-1."), ("v", "-1."), ("w", "-1."))
)
(
    shifted_chebyshev_polynomial_t, shifted_chebyshev_polynomial_u, shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
) = (
    polynomial(f"shifted_chebyshev_polynomial_{key}", f"Chebyshev's polynomial of the {KINDS[key]} kind in 2 x - 1", value,
        *shifted(FIRST[key]))
    for key, value in (("t", "-0."), ("u", "-0."), ("v", "1."), ("w", "-1."))
)
hermite_polynomial_h = polynomial("hermite_polynomial_h", "The physicists' Hermite polynomial", "-5.",
    lambda x: x + x, lambda k, x, last, before: (x + x) * last - 2 * k * before)
hermite_polynomial_he = polynomial("hermite_polynomial_he", "The probabilists' Hermite polynomial", "-1.3750",
    lambda x: x, lambda k, x, last, before: x * last - k * before)
laguerre_polynomial_l = polynomial("laguerre_polynomial_l", "The Laguerre polynomial", "-0.1458",
    lambda x: 1 - x, lambda k, x, last, before: ((2 * k + 1 - x) * last - k * before) / (k + 1))
legendre_polynomial_p = polynomial("legendre_polynomial_p", "The Legendre polynomial", "-0.4375",
    lambda x: x, lambda k, x, last, before: ((2 * k + 1) * x * last - k * before) / (k + 1))
# fmt: on
