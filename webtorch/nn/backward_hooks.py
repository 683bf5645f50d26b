"""Backward hooks of modules: nodes around a call that see the gradients of its inputs and outputs."""

from __future__ import annotations

from typing import Any

from .. import grad_mode
from ..tensor import Tensor


class BackwardHooks:
    """One call of a module with backward hooks: identity operations around it whose nodes see the gradients."""

    def __init__(self, module: Any, before: list, after: list) -> None:
        self.module = module
        self.before, self.after = before, after  # the hooks of the outputs' gradients, and of the inputs'
        self.grad_outputs: tuple | None = None
        self.input_count = 0
        self.input_positions: list[int] = []

    def wrap_inputs(self, args: tuple) -> tuple:
        self.input_count = len(args)
        self.input_positions = [position for position, value in enumerate(args) if tracked(value)]
        if not self.input_positions or not grad_mode.current().grad:
            self.input_positions = []
            return args
        wrapped = boundary([args[position] for position in self.input_positions])
        wrapped[0]._grad_fn.register_hook(self.at_inputs)
        result = list(args)
        for position, value in zip(self.input_positions, wrapped, strict=True):
            result[position] = value
        return tuple(result)

    def wrap_outputs(self, result: Any) -> Any:
        many = isinstance(result, (tuple, list))
        values = list(result) if many else [result]
        positions = [position for position, value in enumerate(values) if tracked(value)]
        if not positions or not grad_mode.current().grad:
            return result
        self.output_count, self.output_positions = len(values), positions
        wrapped = boundary([values[position] for position in positions])
        wrapped[0]._grad_fn.register_prehook(self.at_outputs)
        for position, value in zip(positions, wrapped, strict=True):
            values[position] = value
        return type(result)(values) if type(result) in (tuple, list) else tuple(values) if many else values[0]

    def at_outputs(self, gradients: tuple) -> tuple:
        full: list = [None] * self.output_count
        for position, gradient in zip(self.output_positions, gradients, strict=False):
            full[position] = gradient
        current = tuple(full)
        for hook in self.before:
            replaced = hook(self.module, current)
            if replaced is not None:
                current = replaced if isinstance(replaced, tuple) else (replaced,)
        self.grad_outputs = current
        if not self.input_positions:  # nobody asks for the gradients of the inputs: the hooks run here
            for hook in self.after:
                if hook(self.module, (None,) * self.input_count, current) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None for all "
                        "gradients."
                    )
        return tuple(current[position] for position in self.output_positions)

    def at_inputs(self, grad_inputs: tuple, _: tuple) -> tuple | None:
        if self.grad_outputs is None:
            return None
        full: list = [None] * self.input_count
        for position, gradient in zip(self.input_positions, grad_inputs, strict=False):
            full[position] = gradient
        current = tuple(full)
        for hook in self.after:
            replaced = hook(self.module, current, self.grad_outputs)
            if replaced is not None:
                current = replaced if isinstance(replaced, tuple) else (replaced,)
                if len(current) != self.input_count:
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(current)}, but expected {self.input_count}"
                    )
        self.grad_outputs = None
        return tuple(current[position] for position in self.input_positions)


def tracked(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def boundary(values: list[Tensor]) -> list[Tensor]:
    """The same tensors behind one node of the recorded graph."""
    from ..autograd.function import Function

    class BackwardHookFunction(Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> tuple:
            ctx.set_materialize_grads(False)
            return tuple(tensor.detach() for tensor in tensors)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> tuple:
            return gradients

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> tuple:
            return tangents

    return list(BackwardHookFunction.apply(*values))


def watch_last_node(module: Any, result: Any, hooks: list) -> None:
    """The old kind of backward hook: it sees what goes through the last operation of the module."""
    first = result
    while not isinstance(first, Tensor):
        if isinstance(first, dict):
            first = next((value for value in first.values() if isinstance(value, Tensor)), None)
        else:
            first = first[0] if isinstance(first, (tuple, list)) and first else None
        if first is None:
            return
    node = first.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(lambda grad_inputs, grad_outputs, hook=hook: hook(module, grad_inputs, grad_outputs))
