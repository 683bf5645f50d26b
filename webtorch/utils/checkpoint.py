"""Activation checkpointing: the values inside a part of a network are forgotten and computed again for backward."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable
from typing import Any

from .. import grad_mode, precision
from ..autograd.function import Function
from ..autograd.saved import saved_tensors_hooks
from ..tensor import Tensor

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_early_stop"]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function saved other tensors than the first."""


class _Stop(Exception):
    """Everything that was needed has been computed again."""


_early_stop = True


class set_checkpoint_early_stop:
    """`with set_checkpoint_early_stop(False):` the second run of checkpointed functions always goes to their end.

    >>> with set_checkpoint_early_stop(False):
    ...     pass
    """

    def __init__(self, enable: bool) -> None:
        self.enable = enable

    def __enter__(self) -> None:
        global _early_stop
        self.previous, _early_stop = _early_stop, self.enable

    def __exit__(self, *exception: object) -> None:
        global _early_stop
        _early_stop = self.previous


def noop_context_fn() -> tuple:
    """Two contexts that do nothing: for the first and the second run.

    >>> len(noop_context_fn())
    2
    """
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable, *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True,
    context_fn: Callable[[], tuple] = noop_context_fn, determinism_check: str = "default", debug: bool = False,
    early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """`function(*args, **kwargs)` without keeping what it saves for backward: backward runs it again, with the same random
    numbers (unless `preserve_rng_state` is false), and takes the values from there.

    With `use_reentrant=True` the whole function is one node, its inputs must be given as arguments, and at least one of
    them must require grad; keyword arguments are not possible. The default, `use_reentrant=False`, has none of these
    limits. `context_fn` gives two contexts to run under, first and second time. `determinism_check="default"` raises
    CheckpointError when the second run saves tensors of other shapes or dtypes than the first; "none" does not look.

    >>> import webtorch
    >>> from webtorch.utils.checkpoint import checkpoint
    >>> x = webtorch.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x.exp() * x).sum(), x, use_reentrant=False).backward()
    >>> x.grad
    tensor([ 5.4366, 22.1672])
    """
    if use_reentrant is None:
        use_reentrant = False
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"checkpoint: determinism_check should be one of ['default', 'none'] but got {determinism_check!r}"
        )
    if use_reentrant:
        if kwargs:
            raise ValueError(
                "Unexpected keyword arguments: " + ",".join(kwargs) + "; only use_reentrant=False takes some"
            )
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        if not any(isinstance(value, Tensor) and value.requires_grad for value in args) and grad_mode.is_grad_enabled():
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
        return Reentrant.apply(function, preserve_rng_state, *args)
    recording = grad_mode.current().grad and not grad_mode.current().inference
    first, second = context_fn()
    if not recording:
        with first:
            return function(*args, **kwargs)
    frame = Frame(
        functools.partial(function, *args, **kwargs),
        preserve_rng_state,
        second,
        determinism_check,
        early_stop and _early_stop,
    )
    with frame.saving(), first:
        return function(*args, **kwargs)


def rng_state(preserve: bool) -> Any:
    from ..random import default_generator

    return default_generator.get_state() if preserve else None


@contextlib.contextmanager
def rng_restored(state: Any):
    """The default generator in that state for the block, and as it was after it."""
    from ..random import default_generator

    if state is None:
        yield
        return
    before = default_generator.get_state()
    default_generator.set_state(state)
    try:
        yield
    finally:
        default_generator.set_state(before)


class Placeholder:
    """Stands for the tensor that was the n-th to be saved."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


class Frame:
    """One checkpointed call: how many tensors its first run saved, and how to run it again."""

    def __init__(self, run: Callable[[], Any], preserve: bool, context: Any, check: str, early_stop: bool) -> None:
        self.run = run
        self.state = rng_state(preserve)
        self.autocast = precision.again()
        self.context = context
        self.check = check
        self.early_stop = early_stop
        self.described: list[tuple] = []  # shape, dtype and device of what the first run saved
        self.values: dict[int, Tensor] = {}

    def saving(self) -> saved_tensors_hooks:
        return saved_tensors_hooks(self.pack, self.unpack)

    def pack(self, tensor: Tensor) -> Placeholder:
        self.described.append(describe(tensor))
        return Placeholder(len(self.described) - 1)

    def unpack(self, placeholder: Placeholder) -> Tensor:
        if placeholder.number not in self.values:
            self.recompute()
        # Taken once per backward; a graph that is kept computes again.
        return self.values.pop(placeholder.number)

    def recompute(self) -> None:
        found: list[Tensor] = []
        wanted = len(self.described)

        def keep(tensor: Tensor) -> Any:
            number = len(found)
            found.append(tensor)
            if self.check == "default" and number < wanted and describe(tensor) != self.described[number]:
                raise CheckpointError(
                    "checkpoint: Recomputed values for the following tensors have different metadata than during the forward "
                    f"pass. tensor at position {number}: saved {shown(self.described[number])}, recomputed "
                    f"{shown(describe(tensor))}. The function must do the same every time it is called"
                )
            if self.early_stop and len(found) == wanted:
                raise _Stop
            return tensor

        def refuse(tensor: Tensor) -> Tensor:
            return tensor

        try:
            with (
                rng_restored(self.state), grad_mode.recording(True), self.autocast, self.context,
                saved_tensors_hooks(keep, refuse),
            ):  # fmt: skip
                self.run()
        except _Stop:
            pass
        if len(found) < wanted or (len(found) > wanted and self.check == "default"):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and recomputation. Number of "
                f"tensors saved during forward: {wanted}. Number of tensors saved during recomputation: {len(found)}."
            )
        self.values = dict(enumerate(found[:wanted]))


def describe(tensor: Tensor) -> tuple:
    return tensor._shape, tensor.dtype, tensor.device


def shown(description: tuple) -> str:
    shape, dtype, device = description
    return f"{dtype} of shape {list(shape)} on {device}"


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, *, preserve_rng_state: bool = True
) -> Any:
    """Run modules or functions one after the other in `segments` parts, each but the last checkpointed.

    >>> import webtorch
    >>> from webtorch.utils.checkpoint import checkpoint_sequential
    >>> x = webtorch.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint_sequential([webtorch.exp, webtorch.sin, webtorch.sum], 2, x, use_reentrant=False).backward()
    >>> webtorch.allclose(x.grad, x.exp().cos() * x.exp())
    True
    """
    parts = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(parts):
        raise ValueError(
            f"checkpoint_sequential: segments must be from 1 to the number of functions, {len(parts)}; got {segments}"
        )

    def stretch(start: int, end: int) -> Callable:
        def forward(value: Any) -> Any:
            for part in parts[start:end]:
                value = part(value)
            return value

        return forward

    size = len(parts) // segments
    for number in range(segments - 1):
        input = checkpoint(
            stretch(number * size, (number + 1) * size),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve_rng_state,
        )
    return stretch((segments - 1) * size, len(parts))(input)


class Reentrant(Function):
    """The whole function as one node, whose backward is a backward of its own."""

    @staticmethod
    def forward(ctx: Any, function: Callable, preserve: bool, *args: Any) -> Any:
        ctx.function = function
        ctx.state = rng_state(preserve)
        ctx.autocast = precision.again()
        ctx.plain = [None if isinstance(value, Tensor) else value for value in args]
        ctx.places = [position for position, value in enumerate(args) if isinstance(value, Tensor)]
        ctx.save_for_backward(*(args[position] for position in ctx.places))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        from ..autograd.engine import backward

        args = list(ctx.plain)
        for position, value in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[position] = value.detach().requires_grad_(value.requires_grad)
        with rng_restored(ctx.state), grad_mode.recording(True), ctx.autocast:
            outputs = ctx.function(*args)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (output, gradient)
            for output, gradient in zip(outputs, gradients, strict=True)
            if isinstance(output, Tensor) and output.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([output for output, _ in pairs], [gradient for _, gradient in pairs])
        return (None, None, *(value.grad if isinstance(value, Tensor) else None for value in args))
