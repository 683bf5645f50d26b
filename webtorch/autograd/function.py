"""Operations with a derivative of one's own: `Function`."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import batching, grad_mode, tangents
from ..errors import ShapeError
from ..tensor import Tensor
from .graph import FREED, Node, SavedTensor, edge, fit


class FunctionCtx:
    """What `forward` and `backward` of a Function share: saved tensors, marks, and any attribute one sets."""

    def __init__(self, node: FunctionNode) -> None:
        self._node = weakref.ref(
            node
        )  # the node holds this object: a cycle would keep graphs until the collector comes
        self._to_save: tuple = ()
        self._to_save_forward: tuple = ()
        self._forward_values: tuple | None = None  # what `saved_tensors` gives while jvp runs
        self._dirty: tuple = ()
        self._not_differentiable: tuple = ()
        self._materialize = True
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward, where `saved_tensors` gives them back and checks that nobody changed them."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`, where `saved_tensors` gives them back."""
        self._to_save_forward = tensors

    @property
    def saved_tensors(self) -> tuple:
        """What `save_for_backward` kept; inside `jvp`, what `save_for_forward` kept."""
        if self._forward_values is not None:
            return self._forward_values
        node = self._node()
        if node is None:
            raise RuntimeError("saved_tensors: the graph that this call belongs to is gone")
        return node.unpack()

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
        self.dropped: tuple = ()

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
        rule = self.function.backward
        if self.function.vjp is not Function.vjp:
            if rule is not Function.backward:
                raise RuntimeError(
                    "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one "
                    "of them."
                )
            rule = self.function.vjp
        results = rule(self.ctx, *gradients)
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
            if result is None:
                checked.append(None)
                continue
            if not isinstance(result, Tensor):
                raise RuntimeError(
                    f"function {self.name()}: expected Variable or None (got {type(result).__name__}) as gradient {position}; "
                    "backward must return Tensors, and None for what has no gradient"
                )
            if described is None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position {position + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
            shape = described[0]
            if self.dropped and self.dropped[position]:
                result = batching.summed(result, self.dropped[position])
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
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: Any) -> Any:
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def jvp(ctx: FunctionCtx, *grad_inputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        raise NotImplementedError("Without a vmap staticmethod of its own, forward itself runs on batched tensors.")

    vjp = backward  # may be overridden instead of it
    generate_vmap_rule = False

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and record the call when gradients are on and an argument requires grad."""
        state = grad_mode.current()
        recording = state.grad and not state.inference
        separate = cls.setup_context is not Function.setup_context
        if separate:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        edges = tuple(edge(value) if recording else None for value in args)
        node = FunctionNode(cls, edges)
        ctx = node.ctx = FunctionCtx(node)
        ctx.needs_input_grad = tuple(isinstance(value, Tensor) and value.requires_grad for value in args)
        node.inputs = tuple(
            (value._shape, value.dtype, value.device) if isinstance(value, Tensor) else None for value in args
        )
        levels = batching.union(args)
        with grad_mode.recording(False):
            if levels and cls.vmap is not Function.vmap:
                output = by_vmap(cls, ctx, args, kwargs, levels, separate)
            elif separate:
                output = cls.forward(*args, **kwargs)
            else:
                output = cls.forward(ctx, *args, **kwargs)
            if separate:
                cls.setup_context(ctx, args, output)
        outputs = list(output) if isinstance(output, (tuple, list)) else [output]
        if levels:  # an output that is the same for all examples counts once for each
            outputs = [batching.spread(value, levels) if isinstance(value, Tensor) else value for value in outputs]
        for position, value in enumerate(ctx._to_save):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {position} is of type {type(value).__name__}; keep "
                    "other things as attributes of ctx"
                )
        made_here = {id(value) for value in outputs}
        if any(id(value) not in made_here for value in ctx._dirty):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified "
                "inplace must all be outputs of the Function."
            )
        tracked = any(target is not None for target in edges)
        carried = tangents.levels_of(args) if tangents.live else []
        dirty = {id(value) for value in ctx._dirty}
        if tracked or carried:
            inputs = {id(value) for value in args if isinstance(value, Tensor)}
            for position, value in enumerate(outputs):
                if id(value) in inputs and id(value) not in dirty and isinstance(value, Tensor):
                    outputs[position] = value._view(value._shape, value._strides, value._offset)
        plain = {id(value) for value in ctx._not_differentiable}
        if carried:
            forward_tangents(cls, ctx, args, outputs, plain, carried)
        if tracked:
            node.output_count = len(outputs)
            node.outputs = [
                (value._shape, value.dtype, value.device) if isinstance(value, Tensor) else ((), None, None)
                for value in outputs
            ]
            node.dropped = tuple(
                tuple(entry for entry in levels if entry not in batching.levels_of(value))
                if isinstance(value, Tensor)
                else ()
                for value in args
            )
            made = {id(value): number for number, value in enumerate(outputs) if isinstance(value, Tensor)}
            if any(isinstance(value, Tensor) and value._leaf_requires_grad for value in ctx._dirty):
                raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
            for number, value in enumerate(outputs):
                if isinstance(value, Tensor) and id(value) not in plain and value.dtype.is_differentiable:
                    if id(value) in dirty and value._base is not None:
                        rewrite_base(value, (node, number))
                        continue
                    value._grad_fn = node
                    value._output_number = number
                    value._leaf_requires_grad = False
            node.saved = [
                SavedTensor(value, id(value) in made, made.get(id(value), position))
                if isinstance(value, Tensor)
                else value
                for position, value in enumerate(ctx._to_save)
            ]
            for kept in node.saved:
                if (
                    isinstance(kept, SavedTensor)
                    and not kept.is_output
                    and kept.history is None
                    and kept.tensor is not None
                ):
                    kept.history = edge(kept.tensor)  # named in the error should somebody change it
        ctx._to_save = ctx._to_save_forward = ctx._dirty = ctx._not_differentiable = ()
        if isinstance(output, (tuple, list)):
            return type(output)(outputs) if type(output) in (tuple, list) else tuple(outputs)
        return outputs[0]


class VmapInfo(NamedTuple):
    """What a Function's `vmap` is told: how many examples, and what random ops do."""

    batch_size: int
    randomness: str


def by_vmap(
    cls: type[Function], ctx: FunctionCtx, args: tuple, kwargs: dict, levels: batching.Levels, separate: bool
) -> Any:
    """The forward of a Function under vmap, by its own rule: the innermost level is laid open for it."""
    from ..ops.batch import hide, show

    if cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an overriden vmap staticmethod. "
            "Please set generate_vmap_rule=False or delete the overriden vmap staticmethod to avoid ambiguity."
        )
    level, size = levels[-1]
    in_dims, opened = [], []
    for value in args:
        held = isinstance(value, Tensor) and any(known == level for known, _, _ in value._batch)
        in_dims.append(0 if held else None)
        opened.append(show(value, level, 0, size) if held else value)
    randomness = next((frame.randomness for frame in batching.frames.get() if frame.level == level), "error")
    result = cls.vmap(VmapInfo(size, randomness), tuple(in_dims), *opened, **kwargs)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"Expected the vmap staticmethod of {cls.__name__} to return (output, out_dims), got {type(result).__name__}"
        )
    output, out_dims = result

    def hidden(value: Any, dim: Any) -> Any:
        return value if dim is None or not isinstance(value, Tensor) else hide(value, level, dim % value.ndim)

    if isinstance(output, (tuple, list)):
        places = out_dims if isinstance(out_dims, (tuple, list)) else (out_dims,) * len(output)
        return tuple(hidden(value, dim) for value, dim in zip(output, places, strict=True))
    return hidden(output, out_dims)


def forward_tangents(
    cls: type[Function], ctx: FunctionCtx, args: tuple, outputs: list, plain: set[int], levels: list
) -> None:
    """The tangents of a Function's outputs, by its `jvp`."""
    from ..creation import zeros_like

    if cls.jvp is Function.jvp:
        cls.jvp(ctx)
    for value in outputs:
        if isinstance(value, Tensor) and id(value) not in {id(given) for given in ctx._dirty}:
            value._tangents = None  # what the ops inside forward made of the inputs' tangents
    for level in levels:
        given = []
        for value in args:
            tangent = tangents.get(value, level) if isinstance(value, Tensor) else None
            if tangent is None and isinstance(value, Tensor) and value.dtype.is_differentiable and ctx._materialize:
                tangent = zeros_like(value.detach())
            given.append(tangent)
        ctx._forward_values = tuple(tangents.below(value, level) for value in ctx._to_save_forward)
        try:
            found = cls.jvp(ctx, *given)
        finally:
            ctx._forward_values = None
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(outputs):
            raise RuntimeError(
                f"{cls.__name__}.jvp returned an incorrect number of forward gradients (expected {len(outputs)} got {len(found)})"
            )
        for value, tangent in zip(outputs, found, strict=True):
            if not isinstance(value, Tensor):
                continue
            if tangent is None or id(value) in plain or not value.dtype.is_differentiable:
                if value._tangents is not None:
                    value._tangents.pop(level, None)
                continue
            if tangent._shape != value._shape:
                raise ShapeError(
                    f"{cls.__name__}.jvp returned a forward gradient of shape {list(tangent._shape)} for an output of shape "
                    f"{list(value._shape)}"
                )
            tangents.put(value, level, tangent)


def rewrite_base(target: Tensor, history: tuple) -> None:
    """A Function changed a view in place: its base gets the history, as after an in-place op."""
    from .inplace import CopySlices

    base = target._base
    base._grad_fn = CopySlices(base, target, edge(base), history)
    base._output_number = 0
    target._view_version = None


def apply(function: type[Function], *args: Any, **given: Any) -> Any:
    """`function.apply(*args)`: run a Function and record it.

    Raises TypeError for anything but a subclass of Function.

    >>> import webtorch
    >>> class Twice(webtorch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return 2 * g
    >>> webtorch.autograd.apply(Twice, webtorch.tensor(3.0))
    tensor(6.)
    """
    if not (isinstance(function, type) and issubclass(function, Function)):
        raise TypeError(f"apply({function!r}, ...): expected a subclass of webtorch.autograd.Function first")
    return function.apply(*args, **given)


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
