"""What the special functions share: arguments brought to a floating dtype, Chebyshev series, derivatives by rule."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import creation, dtypes
from ..errors import DTypeError
from ..grad_mode import no_grad
from ..ops import TABLE, is_number
from ..ops.elementwise import store_out
from ..ops.matrix_history import History
from ..tensor import Tensor

where = TABLE["where"]


def argument(value: Any, like: Tensor | None, call: str) -> Tensor:
    """A tensor of a floating dtype: integers become the default dtype, numbers take the device of the other argument."""
    if not isinstance(value, Tensor):
        if not is_number(value) or like is None:
            raise TypeError(
                f"special.{call}: expected a Tensor, got {type(value).__name__}; make one with webtorch.tensor(...)"
            )
        kind = like.dtype if like.dtype.is_floating_point else dtypes.get_default_dtype()
        return creation.full((), value, dtype=kind, device=like.device)
    if value.dtype.kind == "complex":
        raise DTypeError(f"special.{call}: not defined for {value.dtype}")
    return value if value.dtype.is_floating_point else value.to(dtypes.get_default_dtype())


def special(count: int = 1) -> Callable:
    """A function of `count` tensors or numbers (one a tensor at least): computed in float32 or wider, with `out=`."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, out: Tensor | None = None, **given: Any) -> Tensor:
            values, rest = args[:count], args[count:]
            names = ("input", "other") if count > 1 else ("input",)
            values += tuple(given.pop(name) for name in names[len(values) :] if name in given)
            if len(values) != count:
                raise TypeError(f"special.{function.__name__}(): expected {count} arguments, got {len(values)}")
            like = next((value for value in values if isinstance(value, Tensor)), None)
            tensors = [argument(value, like, function.__name__) for value in values]
            common = functools.reduce(dtypes.promote_types, (tensor.dtype for tensor in tensors))
            wide = common if common.itemsize >= 4 else dtypes.float32
            result = function(*(tensor.to(wide) for tensor in tensors), *rest, **given)
            result = result.to(common) if common is not wide and result.dtype is wide else result
            return result if out is None else store_out(function.__name__, result, out)

        return call

    return decorate


def series(coefficients: Sequence[float], t: Tensor) -> Tensor:
    """The sum of coefficients times Chebyshev polynomials of t in [-1, 1], by Clenshaw's recurrence; of single precision
    the terms below 1e-9 of the largest are left out."""
    if t.dtype.itemsize < 8:
        largest = max(abs(value) for value in coefficients)
        count = max(number for number, value in enumerate(coefficients, 1) if abs(value) > 1e-9 * largest)
        coefficients = coefficients[:count]
    before: Any = 0.0
    last: Any = 0.0
    double = t + t
    for value in coefficients[:0:-1]:
        last, before = double * last - before + value, last
    return t * last - before + coefficients[0]


def summed(term: Callable, values: Sequence[Tensor], *constants: Sequence[float]) -> Tensor:
    """The sum of `term(*values, *those of one place in each of the constants)` over the places.

    On a GPU the places are a dimension that the kernel of the sum goes along: written out one after another, the terms would
    make a shader that takes its compiler a minute.
    """
    if values[0].device.type == "cpu":
        total: Any = 0.0
        for given in zip(*constants, strict=True):
            total = total + term(*values, *given)
        return total
    like = values[0]
    columns = [creation.tensor(list(column), dtype=like.dtype, device=like.device) for column in constants]
    return term(*(value.unsqueeze(-1) for value in values), *columns).sum(-1)


def in_range(x: Tensor, low: float | None, high: float | None) -> Tensor:
    """The argument of one regime: what belongs to others is moved inside, so that nothing overflows on the side."""
    return x.clamp(low, high)


def with_rule(row: History, value: Callable, *inputs: Tensor, **attributes: Any) -> Tensor:
    """The value computed without history, and its derivative by the rule of `row`."""
    with no_grad():
        result = value(*(tensor.detach() for tensor in inputs))
    return row.of(result, *inputs, **attributes)


def rule(name: str, *rules: Callable | None) -> History:
    return History(
        f"_special_{name}", public=False, method=False, vjp=rules, grad_name=f"Special{name.title().replace('_', '')}"
    )


def none_known(name: str) -> Callable:
    """The rule of a function whose derivative PyTorch has not, either."""

    def refuse(g: Tensor) -> Tensor:
        raise NotImplementedError(f"the derivative for 'special_{name}' is not implemented")

    return refuse
