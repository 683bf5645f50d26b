"""Operations with a derivative of one's own: `Function`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import grad_mode
from ..errors import ShapeError
from ..tensor import Tensor
from .graph import FREED, Node, SavedTensor, edge, fit


class FunctionCtx:
    """What `forward` and `backward` of a Function share: saved tensors, marks, and any attribute one sets."""

    def __init__(self, node: FunctionNode) -> None:
        self._node = node
        self._to_save: tuple = ()
        self._dirty: tuple = ()
        self._not_differentiable: tuple = ()
        self._materialize = True
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward, where `saved_tensors` gives them back and checks that nobody changed them."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple:
        """What `save_for_backward` kept."""
        return self._node.unpack()

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say that forward changed these inputs in place (and returns them)."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs have no gradient."""
        self._not_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for outputs nobody used."""
        self._materialize = bool(value)


class FunctionNode(Node):
    """The recorded call of a Function."""

    def __init__(self, function: type[Function], edges: tuple) -> None:
        super().__init__(edges)
        self.function = function
        self.saved: list | None = []
        self.outputs: list[tuple] = []
        self.ctx: FunctionCtx | None = None
        self.inputs: tuple = ()

    def name(self) -> str:
        return self.function.__name__ + "Backward"

    def unpack(self) -> tuple:
        if self.saved is None:
            raise RuntimeError(FREED)
        return tuple(value.unpack(self) if isinstance(value, SavedTensor) else value for value in self.saved)

    def backward(self, gradients: list) -> list:
        from ..creation import zeros

        if self.saved is None:
            raise RuntimeError(FREED)
        gradients = list(gradients) + [None] * (self.output_count - len(gradients))
        if self.ctx._materialize:
            gradients = [
                zeros(shape, dtype=dtype, device=device) if gradient is None else gradient
                for gradient, (shape, dtype, device) in zip(gradients, self.outputs, strict=True)
            ]
        results = self.function.backward(self.ctx, *gradients)
        results = tuple(results) if isinstance(results, (tuple, list)) else (results,)
        count = len(self.inputs)
        if len(results) > count and all(result is None for result in results[count:]):
            results = results[:count]
        if len(results) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {count}, got {len(results)}); "
                "backward must return one gradient (or None) per argument of forward"
            )
        checked: list[Tensor | None] = []
        for position, (result, described) in enumerate(zip(results, self.inputs, strict=True)):
            if result is None or described is None:
                checked.append(None)
                continue
            if not isinstance(result, Tensor):
                raise TypeError(
                    f"function {self.name()} returned a {type(result).__name__} at position {position}; expected a Tensor or None"
                )
            shape = described[0]
            if result._shape != shape:
                if broadcasts(shape, result._shape):
                    result = fit(result, described)
                else:
                    raise ShapeError(
                        f"Function {self.name()} returned an invalid gradient at index {position} - got {list(result._shape)} "
                        f"but expected shape compatible with {list(shape)}"
                    )
            elif result.dtype is not described[1] or result.device != described[2]:
                result = result.to(device=described[2], dtype=described[1])
            checked.append(result)
        return checked

    def release(self) -> None:
        if self.saved:
            self.saved = None


def broadcasts(shape: tuple, target: tuple) -> bool:
    return len(shape) <= len(target) and all(a in (1, b) for a, b in zip(shape[::-1], target[::-1], strict=False))


class Function:
    """Subclass with static methods `forward(ctx, *args)` and `backward(ctx, *gradients)`, then call `Name.apply(*args)`.

    Or split forward in two, as PyTorch 2 has it: `forward(*args)` and `setup_context(ctx, inputs, output)`.

    >>> import webtorch
    >>> class Cube(webtorch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * g
    >>> x = webtorch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"{type(self).__name__}() makes no instance: call {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the backward function to use reverse-mode differentiation with this Function."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and record the call when gradients are on and an argument requires grad."""
        state = grad_mode.current()
        recording = state.grad and not state.inference
        edges = tuple(edge(value) if recording else None for value in args)
        node = FunctionNode(cls, edges)
        ctx = node.ctx = FunctionCtx(node)
        ctx.needs_input_grad = tuple(isinstance(value, Tensor) and value.requires_grad for value in args)
        node.inputs = tuple(
            (value._shape, value.dtype, value.device) if isinstance(value, Tensor) else None for value in args
        )
        separate = "setup_context" in {name for base in cls.__mro__ for name in vars(base)}
        with grad_mode.no_grad():
            if separate:
                output = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, output)  # type: ignore[attr-defined]
            else:
                output = cls.forward(ctx, *args, **kwargs)
        outputs = list(output) if isinstance(output, (tuple, list)) else [output]
        tracked = any(target is not None for target in edges)
        if tracked:
            inputs = {id(value) for value in args if isinstance(value, Tensor)}
            dirty = {id(value) for value in ctx._dirty}
            for position, value in enumerate(outputs):
                if id(value) in inputs and id(value) not in dirty and isinstance(value, Tensor):
                    outputs[position] = value._view(value._shape, value._strides, value._offset)
            plain = {id(value) for value in ctx._not_differentiable}
            node.output_count = len(outputs)
            node.outputs = [
                (value._shape, value.dtype, value.device) if isinstance(value, Tensor) else ((), None, None)
                for value in outputs
            ]
            for number, value in enumerate(outputs):
                if isinstance(value, Tensor) and id(value) not in plain and value.dtype.is_floating_point:
                    value._grad_fn = node
                    value._output_number = number
                    value._leaf_requires_grad = False
            made = {id(value): number for number, value in enumerate(outputs)}
            node.saved = [
                SavedTensor(value, id(value) in made, made.get(id(value), position))
                if isinstance(value, Tensor)
                else value
                for position, value in enumerate(ctx._to_save)
            ]
        if isinstance(output, (tuple, list)):
            return type(output)(outputs) if type(output) in (tuple, list) else tuple(outputs)
        return outputs[0]


def once_differentiable(function: Callable) -> Callable:
    """Decorate `backward` whose own operations cannot be differentiated: a second derivative then raises."""

    @functools.wraps(function)
    def wrapper(ctx: FunctionCtx, *gradients: Any) -> Any:
        with grad_mode.no_grad():
            results = function(ctx, *gradients)
        state = grad_mode.current()
        needs = state.grad and any(isinstance(value, Tensor) and value.requires_grad for value in gradients)
        if not needs:
            return results
        many = results if isinstance(results, tuple) else (results,)
        failing = []
        for result in many:
            if isinstance(result, Tensor):
                result = result.detach()
                result._grad_fn = Refusal()
            failing.append(result)
        return tuple(failing) if isinstance(results, tuple) else failing[0]

    return wrapper


class Refusal(Node):
    """The history of what a once-differentiable backward gives."""

    def __init__(self) -> None:
        super().__init__(())

    def backward(self, gradients: list) -> list:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
