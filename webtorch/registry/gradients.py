"""Derivatives that users register for an op: `backward(ctx, grad_output)`, written in webtorch's own functions, so that it
runs on every device and can be differentiated again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import coded_error
from ..ops import INPUT_NAMES, TABLE, Op, describe
from ..tensor import Tensor
from .handles import ANY, AutogradHandleImpl, changed, check_callable, device_name, dtype_names, lock, refuse, rows

SAVES = {
    "inputs": lambda inputs, output: inputs, "output": lambda inputs, output: (output,), "none": lambda inputs, output: (),
    "a": lambda inputs, output: inputs[:1], "b": lambda inputs, output: inputs[1:2],
}  # fmt: skip


class GradContext:
    """What `setup_context` and `backward` of a registered derivative share: saved tensors, and any attribute one sets.

    `needs_input_grad` says for each input whether its gradient is wanted; `attributes` holds the numbers of the call.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...], attributes: dict) -> None:
        self.needs_input_grad = needs_input_grad
        self.attributes = attributes
        self.saved_tensors: tuple = ()

    def save_for_backward(self, *values: Any) -> None:
        """Keep tensors, or numbers, for backward, where `saved_tensors` gives them back."""
        self.saved_tensors = values


@dataclass(frozen=True)
class AutogradEntry:
    """One registered derivative: for which op, dtypes and device ("*" for any)."""

    op: str
    dtypes: tuple[str, ...]
    device: str
    backward: Callable = field(repr=False)
    setup_context: Callable = field(repr=False)

    def fits(self, dtype: str, device: str) -> bool:
        return (ANY in self.dtypes or dtype in self.dtypes) and self.device in (ANY, device)


class OpGradients:
    """The derivatives that users registered for one op, and the rules that it had before."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self.own = op.vjp
        self.entries: list[AutogradEntry] = []

    def find(self, dtype: str, device: str) -> AutogradEntry | None:
        return next((entry for entry in reversed(self.entries) if entry.fits(dtype, device)), None)

    def for_call(self, inputs: tuple, attributes: dict, output: Tensor) -> Any:
        """What autograd records for one call of the op: the rules of the entry that fits, or the op's own."""
        entry = self.find(output.dtype.name, output.device.type)
        if entry is not None:
            return Recorded(self.op, entry, inputs, attributes, output)
        return self.op if self.own is not None and self.own is not MISSING else Missing(self.op, len(inputs), output)


MISSING: tuple = ()


class Missing:
    """Stands for an op without a derivative: nothing is wrong until a gradient is asked for."""

    moves_levels = False

    def __init__(self, op: Op, count: int, output: Tensor) -> None:
        self.op, self.grad_name, self.name = op, op.grad_name, op.name
        described = f"{output.dtype.name} on {output.device.type}"

        def rule(g: Tensor) -> Tensor:
            raise coded_error(
                "autograd_not_registered_error",
                f"backward through {op.name!r} for {described}: it has no derivative; register one with "
                f"register_backward({op.name!r}, backward), or call it under no_grad",
            )

        self.vjp = (rule,) * count
        self.rule_names = (("g",),) * count


class Recorded:
    """One call of an op whose derivative a user registered, as autograd's node of an op sees it.

    What the user's `setup_context` saves is, where it is an input or the result, saved like any saved tensor: a change in
    place is noticed. The user's `backward` runs once for all inputs.
    """

    moves_levels = False

    def __init__(self, op: Op, entry: AutogradEntry, inputs: tuple, attributes: dict, output: Tensor) -> None:
        self.op, self.entry, self.grad_name, self.name = op, entry, op.grad_name, op.name
        self.shapes = tuple(value._shape if isinstance(value, Tensor) else None for value in inputs)
        self.described = describe(*inputs)
        wanted = tuple(isinstance(value, Tensor) and value.requires_grad for value in inputs)
        self.wanted = {position for position, each in enumerate(wanted) if each}
        self.context = GradContext(wanted, dict(attributes))
        entry.setup_context(self.context, inputs, output)
        letters = {
            id(value): letter for value, letter in zip(inputs, INPUT_NAMES, strict=False) if isinstance(value, Tensor)
        }
        letters[id(output)] = "out"
        # A saved tensor by the name under which autograd keeps it; anything else as it is.
        self.kept = tuple((letters.get(id(value)), value) for value in self.context.saved_tensors)
        self.kept = tuple((name, None if name else value) for name, value in self.kept)
        self.context.saved_tensors = ()
        names = ("g", *dict.fromkeys(name for name, _ in self.kept if name))
        self.names = names
        self.rule_names = (names,) * len(inputs)
        self.vjp = tuple(self.rule(position) for position in range(len(inputs)))
        self.last: tuple | None = None  # the gradient last asked for, what backward made of it, and who has not had it

    def rule(self, position: int) -> Callable:
        def gradient(g: Tensor, *saved: Any) -> Tensor | None:
            if self.last is None or self.last[0] is not g or position not in self.last[2]:
                self.last = (g, self.run(g, dict(zip(self.names[1:], saved, strict=True))), set(self.wanted))
            _, results, waiting = self.last
            waiting.discard(position)
            if not waiting:
                self.last = None
            return results[position]

        return gradient

    def run(self, g: Tensor, saved: dict[str, Any]) -> tuple:
        context = GradContext(self.context.needs_input_grad, self.context.attributes)
        context.__dict__.update(self.context.__dict__)
        context.saved_tensors = tuple(saved[name] if name else value for name, value in self.kept)
        results = self.entry.backward(context, g)
        results = tuple(results) if isinstance(results, (tuple, list)) else (results,)
        call = f"the backward of {self.op.name}({self.described})"
        if len(results) != len(self.shapes):
            refuse(
                "autograd_gradient_mismatch_error",
                f"{call} gave {len(results)} gradients for {len(self.shapes)} inputs; return one for each, None where there "
                "is none",
            )
        for position, (result, shape) in enumerate(zip(results, self.shapes, strict=True)):
            if result is None or shape is None:
                continue
            if not isinstance(result, Tensor):
                refuse(
                    "autograd_gradient_mismatch_error",
                    f"{call} gave {type(result).__name__} as gradient {position}; return a Tensor or None",
                )
            if result._shape != shape and result._shape != g._shape:
                refuse(
                    "autograd_gradient_mismatch_error",
                    f"{call} gave a gradient of shape {list(result._shape)} for input {position}, which has shape "
                    f"{list(shape)}; it must have that shape, or that of the result, {list(g._shape)}, which is then summed",
                )
        return results


def gradients_of(op: Op) -> OpGradients:
    if op.gradients is None:
        op.gradients = OpGradients(op)
    return op.gradients


def register_backward(
    op: Any,
    backward: Callable | None = None,
    *,
    setup_context: Callable | None = None,
    dtype: Any = ANY,
    device: Any = ANY,
    save_for_backward: str = "inputs",
    override: bool = False,
) -> AutogradHandleImpl:
    """Register the derivative of an op: `backward(ctx, grad_output)` gives one gradient (or None) per input, written with
    webtorch's functions.

    `ctx.saved_tensors` are the inputs, or what `save_for_backward` says ("inputs", "output", "none", "a" or "b": the first
    or second input), or what `setup_context(ctx, inputs, output)` keeps with `ctx.save_for_backward(...)`. A gradient in
    the shape of the result is summed over what was broadcast. An op that has a derivative needs `override=True`; removing
    the handle gives it back. May be given a dict of these, with "op", as in torch.js.

    Raises RegistryError: op_not_found_error, op_kind_mismatch_error, invalid_config_error, registration_failed_error.

    >>> import webtorch
    >>> def backward(ctx, g):
    ...     (x,) = ctx.saved_tensors
    ...     return g * 10
    >>> x = webtorch.tensor(2.0, requires_grad=True)
    >>> with webtorch.register_backward("sin", backward, override=True):
    ...     webtorch.autograd.grad(x.sin(), x)
    (tensor(10.),)
    """
    if isinstance(op, dict):
        from .ops import spelled

        return register_backward(**spelled(op, register_backward, "register_backward"))
    call = f"register_backward({getattr(op, 'name', op)!r})"
    row = rows(op, call)
    check_callable(backward, call, "backward")
    check_arguments(backward, 2, call, "backward(ctx, grad_output)")
    if setup_context is None:
        if save_for_backward not in SAVES:
            refuse(
                "invalid_config_error",
                f"{call}: save_for_backward={save_for_backward!r}; it is one of {', '.join(map(repr, SAVES))}",
            )
        chosen = SAVES[save_for_backward]

        def setup_context(ctx: GradContext, inputs: tuple, output: Tensor) -> None:
            ctx.save_for_backward(*chosen(inputs, output))

    else:
        check_callable(setup_context, call, "setup_context")
        check_arguments(setup_context, 3, call, "setup_context(ctx, inputs, output)")
    names, place = dtype_names(dtype, call), device_name(device, call)
    entry = AutogradEntry(row.name, names, place, backward, setup_context)
    with lock:
        known = gradients_of(row)
        same = any(other.dtypes == names and other.device == place for other in known.entries)
        if (same or known.own) and not override:
            refuse("registration_failed_error", f"{call}: {row.name!r} has a derivative already; pass override=True")
        known.entries.append(entry)
        if row.vjp is None:
            row.vjp = MISSING
        changed(row)

    def take_back() -> None:
        known.entries[:] = [other for other in known.entries if other is not entry]
        if not known.entries and not getattr(row, "registered", False):
            row.vjp = known.own
            row.gradients = None
        changed(row)

    return AutogradHandleImpl(f"{row.name} for {', '.join(names)} on {place}", take_back)


def check_arguments(function: Callable, count: int, call: str, form: str) -> None:
    try:
        inspect.signature(function).bind(*[None] * count)
    except ValueError:
        return
    except TypeError:
        refuse("kernel_signature_mismatch_error", f"{call}: it must be callable as {form}")


def getAutograd(op: Any, dtype: Any = ANY, device: Any = ANY) -> Any:
    """The derivative of an op: the `AutogradEntry` that was registered last, or the op's own rules.

    Raises RegistryError: op_not_found_error, autograd_not_registered_error.

    >>> import webtorch
    >>> len(webtorch.getAutograd("mul"))
    2
    """
    call = f"getAutograd({getattr(op, 'name', op)!r})"
    row = rows(op, call)
    names, place = dtype_names(dtype, call), device_name(device, call)
    if row.gradients is not None:
        for entry in reversed(row.gradients.entries):
            if (ANY in names or all(entry.fits(name, entry.device) for name in names)) and place in (ANY, entry.device):
                return entry
            if entry.device == ANY and (ANY in names or all(entry.fits(name, place) for name in names)):
                return entry
    own = row.gradients.own if row.gradients is not None else row.vjp
    if own:
        return own
    raise coded_error(
        "autograd_not_registered_error", f"{call}: it has no derivative; register one with register_backward"
    )


def has_autograd(op: Any, dtype: Any = ANY, device: Any = ANY) -> bool:
    """Whether an op has a derivative, its own or a registered one.

    >>> import webtorch
    >>> webtorch.has_autograd("mul"), webtorch.has_autograd("eq")
    (True, False)
    """
    if getattr(op, "name", op) not in TABLE:
        return False
    from ..errors import RegistryError

    try:
        getAutograd(op, dtype, device)
    except RegistryError:
        return False
    return True
