"""The recorded graph: nodes that know how to turn the gradient of a result into gradients of its inputs."""

from __future__ import annotations

import itertools
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .. import batching, capture, grad_mode, tangents
from ..shapes import contiguous_strides
from ..tensor import Tensor
from . import anomaly, saved

_sequence = itertools.count()
_hook_numbers = itertools.count()

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away; also a context manager that does so at its end."""

    def __init__(self, hooks: OrderedDict) -> None:
        self.id = next(_hook_numbers)
        self._hooks = weakref.ref(hooks)

    def remove(self) -> None:
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Hooks(OrderedDict):
    """An ordered dict of hooks."""


class SavedTensor:
    """A tensor kept for the backward pass, with the version its memory had then."""

    __slots__ = ("history", "is_output", "node", "number", "packed", "tensor", "unpack_hook", "version")

    def __init__(self, tensor: Tensor, is_output: bool, number: int) -> None:
        if tensor._storage.version is None:
            raise RuntimeError(
                "Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal tensor "
                "and use it in autograd."
            )
        self.is_output = is_output
        self.number = number
        self.version = tensor._storage.version
        self.unpack_hook = None
        self.node = self.history = None
        hooks = saved.hooks()
        if hooks is not None:
            pack, self.unpack_hook = hooks
            self.history = None if is_output else edge(tensor)
            self.packed = saved.pack(pack, tensor)
            self.tensor = None
            return
        if saved.mutation_allowed():
            self.node = tensor._storage.node
            self.history = None if is_output else edge(tensor)
        # An output refers to its own node through grad_fn: keep the memory only, so that no cycle pins the graph.
        self.tensor = tensor._view(tensor._shape, tensor._strides, tensor._offset) if is_output else tensor

    def unpack(self, node: Node) -> Tensor:
        if self.unpack_hook is not None:
            return self.with_history(saved.unpack(self.unpack_hook, self.packed), node)
        tensor = self.tensor
        if tensor._storage.version != self.version:
            if self.node is not None and tensor._storage.node is not self.node:
                return self.with_history(saved.old_value(tensor, self.node), node)
            raise RuntimeError(self.modified(node))
        if not self.is_output:
            return tensor
        return self.with_history(tensor, node)

    def modified(self, node: Node) -> str:
        """The error for a value that was changed after it was saved: which it is, and what to do."""
        tensor, origin = self.tensor, self.history
        if self.is_output:
            origin = (node, self.number)
        elif origin is None and isinstance(node, OpNode):
            origin = node.edges[self.number]
        made = ""
        if origin is not None and not isinstance(origin[0], AccumulateGrad):
            made = f", which is output {origin[1]} of {re.sub('Backward[0-9]*$', '', origin[0].name())},"
        return (
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[webtorch.{TYPE_NAMES.get(tensor.dtype.name, tensor.dtype.name)}Tensor {list(tensor._shape)}]{made} is at version "
            f"{tensor._storage.version}; expected version {self.version} instead. Hint: {node.name()} needs the value it had: write "
            "y = op(x) instead of x.op_(), or clone the tensor before changing it. To see where it was computed, enable anomaly "
            "detection with webtorch.autograd.set_detect_anomaly(True, check_nan=False)."
        )

    def with_history(self, tensor: Tensor, node: Node) -> Tensor:
        """The value as the tensor that was saved: what is done with it leads back to where that came from."""
        alias = tensor._view(tensor._shape, tensor._strides, tensor._offset)
        tangents.copy(tensor, alias)
        if grad_mode.current().grad:
            history = (node, self.number) if self.is_output else self.history
            if history is not None:
                alias._grad_fn, alias._output_number = history
        return alias


TYPE_NAMES = {
    "float16": "Half", "float32": "Float", "float64": "Double", "int8": "Char", "int16": "Short", "int32": "Int",
    "int64": "Long", "uint8": "Byte", "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip


class Node:
    """One recorded operation. `next_functions` are the nodes (with output number) that its input gradients go to."""

    def __init__(self, edges: tuple) -> None:
        self.edges = edges  # (node, output number) or None, one per input
        self.sequence = next(_sequence)
        self.metadata: dict = {}
        if anomaly.enabled:
            anomaly.remember(self)
        self.output_count = 1
        self.prehooks: Hooks | None = None
        self.posthooks: Hooks | None = None
        self.tensor_hooks: dict[int, Hooks] | None = None  # hooks of the tensors this node made, by output number
        self.retained: dict[int, weakref.ref] | None = None  # tensors whose .grad is to be kept, by output number

    def name(self) -> str:
        """The node's name as PyTorch prints it, such as AddBackward0."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple:
        return tuple((None, 0) if edge is None else edge for edge in self.edges)

    def _sequence_nr(self) -> int:
        return self.sequence

    def __call__(self, *gradients: Tensor):
        results = self.backward(list(gradients))
        return results[0] if len(results) == 1 else tuple(results)

    def backward(self, gradients: list) -> list:
        """Gradients of the inputs from gradients of the outputs."""
        raise NotImplementedError

    def backward_for(self, gradients: list, needed: list | None) -> list:
        """`backward`, which may leave out gradients of inputs that `needed` says nobody wants."""
        return self.backward(gradients)

    def release(self) -> None:
        """Forget what was saved."""

    def register_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after this node ran; a returned tuple replaces the input gradients."""
        if self.posthooks is None:
            self.posthooks = Hooks()
        handle = RemovableHandle(self.posthooks)
        self.posthooks[handle.id] = hook
        return handle

    def register_prehook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(grad_outputs)` before this node runs; a returned tuple replaces the output gradients."""
        if self.prehooks is None:
            self.prehooks = Hooks()
        handle = RemovableHandle(self.prehooks)
        self.prehooks[handle.id] = hook
        return handle

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


def laid_out_as(variable: Tensor, gradient: Tensor) -> Tensor:
    """A copy of a gradient with the dimensions in memory in the order that the variable has them, if that has no gaps."""
    if variable.is_contiguous() or len(variable._shape) < 2:
        return gradient.clone()
    order = tuple(sorted(range(variable.ndim), key=lambda dim: -variable._strides[dim]))
    if contiguous_strides(tuple(variable._shape[dim] for dim in order)) != tuple(
        variable._strides[dim] for dim in order
    ):
        return gradient.clone()
    copy = gradient.permute(order).clone().permute(tuple(order.index(dim) for dim in range(variable.ndim)))
    return copy._view(copy._shape, copy._strides, copy._offset)


_accumulating = threading.Lock()  # backward may run in several threads at once, with a leaf in common


class AccumulateGrad(Node):
    """Where gradients end: adds what arrives to a leaf's `.grad`."""

    def __init__(self, variable: Tensor) -> None:
        super().__init__(())
        self.variable = variable
        self.sequence = 1 << 62  # runs as soon as all that flows into it is there

    def backward(self, gradients: list) -> list:
        (gradient,) = gradients
        variable = self.variable
        with _accumulating:
            self.accumulate(variable, gradient)
        if variable._post_accumulate_hooks:
            for hook in list(variable._post_accumulate_hooks.values()):
                hook(variable)
        return []

    @staticmethod
    def accumulate(variable: Tensor, gradient: Tensor) -> None:
        if capture.watching is not None:
            capture.gradient_set(variable)
        if variable._grad is None:
            # The engine may hand the same tensor to several leaves; each gets memory of its own, laid out as the leaf is.
            variable._grad = gradient if grad_mode.current().grad else laid_out_as(variable, gradient)
        elif grad_mode.current().grad:
            variable._grad = variable._grad + gradient
        else:
            variable._grad.add_(gradient)


def accumulator(leaf: Tensor) -> AccumulateGrad:
    """The one node that accumulates into `leaf`; it lives as long as a graph refers to it."""
    node = leaf._accumulator() if leaf._accumulator is not None else None
    if node is None:
        node = AccumulateGrad(leaf)
        leaf._accumulator = weakref.ref(node)
    return node


def edge(tensor: Any) -> tuple | None:
    """Where the gradient of `tensor` goes, or None when nobody wants it."""
    if not isinstance(tensor, Tensor):
        return None
    grad_fn = tensor.grad_fn
    if grad_fn is not None:
        return (grad_fn, tensor._output_number)
    if tensor._leaf_requires_grad:
        return (accumulator(tensor), 0)
    return None


class OpNode(Node):
    """A recorded row of the op table: its vjp rules, with the values they name."""

    def __init__(self, op: Any, inputs: tuple, attributes: dict, output: Tensor) -> None:
        super().__init__(
            tuple(
                edge(value) if position < len(op.vjp) and op.vjp[position] is not None else None
                for position, value in enumerate(inputs)
            )
        )
        self.op = op
        self.attributes = attributes
        self.inputs = tuple(
            (value._shape, value.dtype, value.device) if isinstance(value, Tensor) else None for value in inputs
        )
        self.dropped: tuple | None = (
            None  # hidden dimensions that an input's gradient is summed over, see webtorch.batching
        )
        if output._batch and not op.moves_levels:
            self.dropped = tuple(
                batching.dropped(output, value) if isinstance(value, Tensor) else () for value in inputs
            )
        self.saved: dict[str, Any] | None = {}
        needed = frozenset().union(
            *(names for names, wanted in zip(op.rule_names, self.edges, strict=False) if wanted is not None)
        )
        for position, value in enumerate(inputs):
            letter = "xyzw"[
                position : position + 1
            ]  # a cat has more inputs than letters, and needs none of their values
            if letter and letter in needed:
                self.saved[letter] = SavedTensor(value, False, position) if isinstance(value, Tensor) else value
        if "out" in needed:
            self.saved["out"] = SavedTensor(output, True, 0)

    def name(self) -> str:
        return self.op.grad_name

    def value(self, name: str, gradient: Any, cache: dict) -> Any:
        if name == "g":
            return gradient
        if name in cache:
            return cache[name]
        if name.endswith("_shape") and name[0] in "xyzw" and name not in self.attributes:
            return self.inputs["xyzw".index(name[0])][0]
        if name.endswith("_dtype") and name[0] in "xyzw" and name not in self.attributes:
            return self.inputs["xyzw".index(name[0])][1]
        if name == "out" or (name in ("x", "y", "z", "w") and name not in self.attributes):
            kept = self.saved[name]
            cache[name] = kept.unpack(self) if isinstance(kept, SavedTensor) else kept
            return cache[name]
        return self.attributes[name]

    def backward(self, gradients: list) -> list:
        return self.backward_for(gradients, None)

    def backward_for(self, gradients: list, needed: list | None) -> list:
        from ..ops import input_gradient

        (gradient,) = gradients
        if self.saved is None:
            raise RuntimeError(FREED)
        results: list = []
        cache: dict = {}
        for position, target in enumerate(self.edges):
            if target is None or (needed is not None and not needed[position]):
                results.append(None)
                continue
            arguments = [self.value(name, gradient, cache) for name in self.op.rule_names[position]]
            result = input_gradient(self.op, position, arguments)
            if self.dropped is not None and self.dropped[position] and result is not None:
                result = batching.summed(result, self.dropped[position])
            results.append(self.differentiable_again(fit(result, self.inputs[position]), gradient, cache))
        return results

    def differentiable_again(self, result: Any, gradient: Any, saved: dict) -> Any:
        """The gradient of relu and its kin depends on their input, if only by steps: as in PyTorch it can be differentiated
        once more, to zero, although no op recorded that."""
        if result is None or not grad_mode.current().grad or result.requires_grad:
            return result
        if not any(isinstance(value, Tensor) and value.requires_grad for value in saved.values()):
            return result
        if result is gradient:
            result = result.detach()
        result._grad_fn = StepGradient(self.edges, self.inputs)
        return result

    def release(self) -> None:
        # Rules that saved nothing can run again; the others must not.
        if self.saved:
            self.saved = None

    def saved_value(self, name: str) -> Any:
        if self.saved is None:
            raise RuntimeError(FREED)
        return self.value(name, None, {})

    def __getattr__(self, name: str) -> Any:
        # PyTorch's `_saved_self`, `_saved_other`, `_saved_result`, and `_saved_x` by our own letters.
        if name.startswith("_saved_"):
            letter = {"self": "x", "other": "y", "result": "out"}.get(name[7:], name[7:])
            return self.saved_value(letter)
        raise AttributeError(name)


class StepGradient(Node):
    """The history of a gradient that changes with its op's inputs in steps only: its own gradient is zero."""

    def __init__(self, edges: tuple, inputs: tuple) -> None:
        super().__init__(edges)
        self.inputs = inputs

    def name(self) -> str:
        return "StepGradientBackward0"

    def backward(self, gradients: list) -> list:
        from ..creation import zeros

        return [
            None if target is None else zeros(described[0], dtype=described[1], device=described[2])
            for target, described in zip(self.edges, self.inputs, strict=False)
        ]


def fit(gradient: Any, target: tuple) -> Any:
    """A rule's result in the shape, dtype and device of the input it is for: broadcast dimensions are summed."""
    if gradient is None:
        return None
    shape, dtype, device = target
    if gradient._shape != shape:
        gradient = sum_to(gradient, shape)
    if gradient.dtype.is_complex and not dtype.is_complex:  # what a real input can feel of it
        gradient = gradient.real
    if gradient.dtype is not dtype or gradient.device != device:
        gradient = gradient.to(device=device, dtype=dtype)
    return gradient


def sum_to(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The adjoint of broadcasting `shape` to the gradient's shape."""
    extra = gradient.ndim - len(shape)
    dims = tuple(range(extra)) + tuple(
        position + extra for position, size in enumerate(shape) if size == 1 and gradient._shape[position + extra] != 1
    )
    if dims:
        gradient = gradient.sum(dims, keepdim=True)
    return gradient.reshape(shape) if gradient._shape != shape else gradient


def attach(op: Any, output: Tensor, inputs: tuple, attributes: dict) -> None:
    """Tell autograd of a result: hang the node of `op` on it when it is to be recorded, compute its tangents when inputs
    have some. The caller has checked that one of the two is the case (`ops.tracks`)."""
    state = grad_mode.current()
    node = None
    if getattr(op, "gradients", None) is not None:
        op = op.gradients.for_call(inputs, attributes, output)
    if state.grad and not state.inference:
        node = OpNode(op, inputs, attributes, output)
        if any(target is not None for target in node.edges):
            output._grad_fn = node
    if tangents.live:
        from . import forward_ad

        forward_ad.push(op, output, inputs, attributes)
        if node is not None and node.saved and output._tangents:
            kept = node.saved.get("out")
            if isinstance(kept, SavedTensor) and kept.tensor is not None:
                tangents.copy(output, kept.tensor)
