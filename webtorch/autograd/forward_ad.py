"""Forward-mode differentiation: dual tensors, and how every recorded op moves tangents along.

The tangent of a result is the op's Jacobian times the tangents of its inputs. For elementwise rows the derivative rule
itself gives that (their Jacobian is diagonal); linear ops are applied to the tangent; for all others the rule, which is
linear in the gradient it is given, is transposed by differentiating it with respect to that gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

from .. import batching, grad_mode, tangents
from ..tangents import DualLevel, below
from ..tensor import Tensor

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

_levels: ContextVar[tuple[DualLevel, ...]] = ContextVar("webtorch_dual_levels", default=())


# ---- the public interface -------------------------------------------------------------------------------------------


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns."""

    primal: Tensor
    tangent: Tensor | None


class dual_level:
    """`with dual_level():` inside it, `make_dual` makes dual tensors, and operations on them carry tangents along. At its
    end all tangents made in it are gone. Gradient modes do not matter to it, except that `inference_mode` turns it off.

    As in PyTorch, one is not entered inside another; `webtorch.func.jvp` nests.

    >>> import webtorch
    >>> import webtorch.autograd.forward_ad as forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(webtorch.tensor(3.0), webtorch.tensor(1.0))
    ...     forward_ad.unpack_dual(x ** 2).tangent
    tensor(6.)
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exception: object) -> None:
        exit_dual_level()

    def __call__(self, function: Callable) -> Callable:
        import functools

        @functools.wraps(function)
        def inside(*args: Any, **given: Any) -> Any:
            with dual_level():
                return function(*args, **given)

        return inside


def enter_dual_level() -> int:
    """Enter a dual level without a `with`; give what it returns to `exit_dual_level`."""
    stack = _levels.get()
    if stack:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment; use webtorch.func.jvp, which nests, for derivatives of "
            "derivatives"
        )
    _levels.set((*stack, DualLevel().enter()))
    return len(stack)


def exit_dual_level(*, level: int | None = None) -> None:
    """Leave the dual level that was entered last."""
    stack = _levels.get()
    if not stack:
        raise RuntimeError("Trying to exit a forward AD level but none was entered; enter one with dual_level()")
    if level is not None and level != len(stack) - 1:
        raise RuntimeError(
            f"Trying to exit a forward AD level that was not the last one that was created: level {level}, last {len(stack) - 1}"
        )
    stack[-1].leave()
    _levels.set(stack[:-1])


def current_level(call: str) -> DualLevel:
    stack = _levels.get()
    if not stack:
        raise RuntimeError(
            f"Trying to {call} but no level exists, make sure to enter_dual_level() first, or write `with dual_level():`"
        )
    return stack[-1]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A dual tensor: a view of `tensor` whose directional derivative is `tangent` (same shape, floating point).

    >>> import webtorch
    >>> import webtorch.autograd.forward_ad as forward_ad
    >>> with forward_ad.dual_level():
    ...     forward_ad.make_dual(webtorch.ones(2), webtorch.zeros(3))
    Traceback (most recent call last):
    RuntimeError: Expected tensor and tangent to have the same shape, got [2] and [3] in make_dual
    """
    at = current_level("create a dual Tensor for forward AD")
    check_tangent(tensor, tangent, "make_dual")
    if tangents.get(tensor, at) is not None:
        raise RuntimeError(
            "make_dual: the tensor already has a tangent at this level; call unpack_dual(tensor).primal first to set another"
        )
    dual = alias(tensor)
    if not grad_mode.current().inference:  # there, forward mode is off
        tangents.put(dual, at, tangent)
    return dual


def check_tangent(tensor: Any, tangent: Any, call: str) -> None:
    for value, name in ((tensor, "tensor"), (tangent, "tangent")):
        if not isinstance(value, Tensor):
            raise TypeError(f"{call}: {name} must be a Tensor, got {type(value).__name__}")
        if not value.dtype.is_differentiable:
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    if tensor._shape != tangent._shape:
        raise RuntimeError(
            f"Expected tensor and tangent to have the same shape, got {list(tensor._shape)} and {list(tangent._shape)} in {call}"
        )
    if tensor.dtype is not tangent.dtype:
        raise RuntimeError(
            f"Expected tensor and tangent to have the same dtype, got {tensor.dtype} and {tangent.dtype} in {call}"
        )
    if tensor.device != tangent.device:
        raise RuntimeError(
            f"Expected tensor and tangent to be on one device, got {tensor.device} and {tangent.device} in {call}"
        )


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The primal of a dual tensor (a view without the tangent) and its tangent, None when it has none.

    >>> import webtorch
    >>> import webtorch.autograd.forward_ad as forward_ad
    >>> with forward_ad.dual_level():
    ...     forward_ad.unpack_dual(webtorch.ones(1)).tangent is None
    True
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"unpack_dual: expected a Tensor, got {type(tensor).__name__}")
    stack = _levels.get()
    if not stack or grad_mode.current().inference:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(below(tensor, stack[-1]), tangents.get(tensor, stack[-1]))


def alias(tensor: Tensor) -> Tensor:
    """Another tensor on the same memory, as a view: recorded, and with the tangents it had."""
    from ..ops.view import view_row

    if not tensor.is_contiguous():
        return tensor.permute(tuple(range(tensor.ndim)))
    return view_row.view(tensor, {"sizes": tensor._shape})


# ---- what ops do ----------------------------------------------------------------------------------------------------


def push(op: Any, output: Tensor, inputs: tuple, attributes: dict) -> None:
    """Give a result the tangents that follow from those of its inputs, level by level, the outermost first."""
    for level in tangents.levels_of(inputs):
        given = [tangents.get(value, level) if isinstance(value, Tensor) else None for value in inputs]
        primals = [below(value, level) for value in inputs]
        tangent = tangent_of(op, below(output, level), primals, given, attributes)
        if tangent is not None:
            tangents.put(output, level, tangent)


def tangent_of(op: Any, output: Tensor, primals: list, given: list, attributes: dict) -> Tensor | None:
    from ..ops import Op
    from ..ops.elementwise import Elementwise
    from ..ops.view import View

    given = [
        tangent if tangent is not None and position < len(op.vjp) and op.vjp[position] is not None else None
        for position, tangent in enumerate(given)
    ]
    if all(tangent is None for tangent in given):
        return None
    tensors = [value for value in primals if isinstance(value, Tensor)]
    if isinstance(op, Op):
        direct = LINEAR.get(op.name)
        if direct is not None:
            return direct(op, output, primals, given, attributes)
        if isinstance(op, View) and op.name not in LAID_OUT:
            return op.view(given[0], attributes)
        if isinstance(op, Elementwise) and (
            op.holomorphic or not any(value.dtype.is_complex for value in (output, *tensors))
        ):
            return elementwise(op, output, primals, given, attributes)
        return transposed(op, output, primals, given, attributes)
    if hasattr(op, "op"):  # a derivative that a user registered
        how = elementwise if isinstance(op.op, Elementwise) else transposed
        return how(op, output, primals, given, attributes)
    from ..ops.join import join  # a cat has as many inputs as it is given, so its derivative is no row

    return join(filled(given, primals), attributes["dim"])


def arguments(op: Any, position: int, gradient: Tensor, output: Tensor, primals: list, attributes: dict) -> list:
    """What a derivative rule names."""
    found: list[Any] = []
    for name in op.rule_names[position]:
        if name == "g":
            found.append(gradient)
        elif name in attributes:
            found.append(attributes[name])
        elif name == "out":
            found.append(output)
        else:
            value = primals["xyzw".index(name[0])]
            found.append(value._shape if name.endswith("_shape") else value.dtype if name.endswith("_dtype") else value)
    return found


def elementwise(op: Any, output: Tensor, primals: list, given: list, attributes: dict) -> Tensor:
    """A diagonal Jacobian is its own transpose: the rule, given the tangent."""
    total = None
    for position, tangent in enumerate(given):
        if tangent is None:
            continue
        wide = tangent.to(output.dtype).expand(output._shape)
        part = op.vjp[position](*arguments(op, position, wide, output, primals, attributes))
        if part is None:
            continue
        total = part if total is None else total + part
    if total is None:
        return None
    if total.dtype is not output.dtype:
        total = total.to(output.dtype)
    return total if total._shape == output._shape else total.expand(output._shape)


def transposed(op: Any, output: Tensor, primals: list, given: list, attributes: dict) -> Tensor | None:
    """The rule maps a gradient g to gradients of the inputs, linearly; the derivative of <rule(g), tangents> by g is the
    tangent of the result."""
    from ..ops import input_gradient
    from .engine import grad
    from .graph import fit

    create_graph = grad_mode.current().grad and not grad_mode.current().inference
    with grad_mode.recording(True):
        probe = batching.zeros_for(output, output._shape).requires_grad_()
        rows, weights = [], []
        for position, tangent in enumerate(given):
            if tangent is None:
                continue
            row = input_gradient(op, position, arguments(op, position, probe, output, primals, attributes))
            if row is None:
                continue
            value = primals[position]
            lost = batching.dropped(output, value) if output._batch and not op.moves_levels else ()
            if lost:
                tangent = batching.spread(tangent, lost)
            row = fit(row, (value._shape, value.dtype, value.device))
            if row.requires_grad:
                rows.append(row)
                weights.append(tangent)
        if not rows:
            return None
        return grad(rows, [probe], weights, create_graph=create_graph, allow_unused=True)[0]


# ---- ops that are linear in their inputs ----------------------------------------------------------------------------

LAID_OUT = (
    "_as_strided",
    "_view_of_base",
    "_strided_write",
)  # views by the memory's layout, which a tangent may not share


def filled(given: list, primals: list) -> list[Tensor]:
    """The tangents, with zeros for inputs that have none."""
    from ..creation import zeros_like

    return [
        zeros_like(value.detach()) if tangent is None else tangent
        for tangent, value in zip(given, primals, strict=True)
    ]


def view_tangent(op, output, primals, given, attributes):
    return given[0].reshape(attributes["sizes"])


def sum_tangent(op, output, primals, given, attributes):
    return op.reduce(given[0], attributes["dims"], attributes["keepdim"], output.dtype)


def to_tangent(op, output, primals, given, attributes):
    return given[0].to(device=output.device, dtype=output.dtype)


def pad_tangent(op, output, primals, given, attributes):
    return op(given[0], attributes["low"], attributes["steps"], output._shape, 0.0)


def take_tangent(op, output, primals, given, attributes):
    return op(given[0], attributes["indices"], attributes["dims"])


def put_tangent(op, output, primals, given, attributes):
    old, value = filled(given, primals[:2])
    return op(old, value, attributes["indices"], attributes["dims"], attributes["accumulate"])


def product_tangent(op, output, primals, given, attributes):
    """Of what is linear in each of its two inputs."""
    a, b = primals
    total = None
    for part in ((given[0], b), (a, given[1])):
        if part[0] is None or part[1] is None:
            continue
        product = op(*part, **attributes)
        total = product if total is None else total + product
    return total


def same_op(op, output, primals, given, attributes):
    return op(given[0], **attributes)


def picked_tangent(op, output, primals, given, attributes):
    from ..ops.pick import pick

    tangent, (_, logs) = given[0], primals  # of what the log-softmax is computed of
    return pick(tangent - (logs.exp() * tangent).sum(attributes["dim"], keepdim=True), **attributes)


LINEAR: dict[str, Callable] = {
    "view": view_tangent,
    "sum": sum_tangent,
    "cumsum": lambda op, output, primals, given, attributes: op.along_last(given[0]),
    "_clone": lambda op, output, primals, given, attributes: given[0].clone(),
    "_to": to_tangent,
    "_pad": pad_tangent,
    "_take": take_tangent,
    "_put": put_tangent,
    "_contract": product_tangent,
    "_linear": product_tangent,
    "_convolution": product_tangent,
    "_window_sum": same_op,
    "_pick": same_op,
    "_pick_log": picked_tangent,
    "_fft": same_op,
    "_rfft": same_op,
    "_irfft": same_op,
    # The Jacobian of softmax is symmetric, so its rule serves here, too.
    "softmax": lambda op, output, primals, given, attributes: op.vjp[0](given[0], output),
    "log_softmax": lambda op, output, primals, given, attributes: (
        given[0] - (output.exp() * given[0]).sum(-1, keepdim=True)
    ),
    "_hide": lambda op, output, primals, given, attributes: op(given[0], attributes["level"], attributes["dim"]),
    "_show": lambda op, output, primals, given, attributes: op(
        given[0], attributes["level"], attributes["dim"], output._shape[attributes["dim"]]
    ),
    "_spread": lambda op, output, primals, given, attributes: given[0],
}


# ---- in-place operations --------------------------------------------------------------------------------------------


def write_tangents(target: Tensor, result: Tensor) -> None:
    """After a write of `result` into `target`: the tangents of `target`, and for a view those of its base; other views
    find theirs there (`tangents.get`)."""
    from ..creation import zeros_like

    base = target if target._base is None else target._base
    for level in tangents.levels_of((base, target, result)):
        new = tangents.get(result, level)
        if new is None:
            new = zeros_like(result.detach())
        new = new.to(device=target.device, dtype=target.dtype)
        if base is target:
            tangents.put(target, level, new)
            continue
        whole = base._tangents.get(level) if base._tangents is not None else None
        tangents.put(base, level, with_region(base, target, whole, new))
        tangents.put(target, level, new)


def with_region(base: Tensor, view: Tensor, whole: Tensor | None, region: Tensor) -> Tensor:
    """A base's tangent (zeros when there is none) with the region of a view of it replaced."""
    from ..ops.view import as_strided, on_storage, strided_gradient_zeroed
    from ..shapes import extent

    outer, inner = ((tensor._shape, tensor._strides, tensor._offset) for tensor in (base, view))
    span = max(extent(*outer)[1], extent(*inner)[1]) + 1
    placed = as_strided.view(on_storage(region, inner, span), {"view": outer, "geometry": None}).clone()
    return placed if whole is None else strided_gradient_zeroed(whole, outer, inner) + placed
