"""The backward pass: gradients flow through the recorded nodes, the latest first, each node once."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from .. import batching, grad_mode, precision
from ..errors import DeviceError, DTypeError, ShapeError
from ..tensor import Tensor
from . import anomaly
from .graph import AccumulateGrad, Node, accumulator, edge


class GradientEdge(NamedTuple):
    """A place in the graph: what a tensor is for autograd, without its value. `backward` and `grad` take it in the
    place of a tensor. See `get_gradient_edge`."""

    node: Node
    output_nr: int

    @property
    def requires_grad(self) -> bool:
        return True


def get_gradient_edge(tensor: Tensor | GradientEdge) -> GradientEdge:
    """Where the gradient of a tensor goes, to be given to `grad` or `backward` in its place.

    >>> import webtorch
    >>> x = webtorch.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> webtorch.autograd.grad(y, webtorch.autograd.graph.get_gradient_edge(x))
    (tensor(6.),)
    """
    if isinstance(tensor, GradientEdge):
        return tensor
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(*edge(tensor))


def place_of(tensor: Tensor | GradientEdge) -> tuple:
    """The node and output number that the gradient of a tensor (or edge) arrives at."""
    return tuple(tensor) if isinstance(tensor, GradientEdge) else edge(tensor)


def as_tuple(value: Any) -> tuple:
    return (value,) if isinstance(value, (Tensor, GradientEdge)) or not hasattr(value, "__iter__") else tuple(value)


class Task:
    """One running backward pass, and which nodes take part in it."""

    def __init__(self, reached: Any, useful: set[int] | None, wanted: set[int]) -> None:
        self.reached = reached
        self.useful = useful
        self.wanted = wanted

    def executes(self, node: Node) -> bool:
        """True when gradients of the node's outputs are computed and kept or used."""
        if self.useful is None:
            return id(node) in self.reached
        return id(node) in self.useful or id(node) in self.wanted


current_task: ContextVar[Task | None] = ContextVar("webtorch_backward_task", default=None)


def start_gradients(tensors: tuple, gradients: Any, call: str) -> list:
    """The gradients that the pass starts from: ones for scalars, else what was given, checked."""
    given = (None,) * len(tensors) if gradients is None else as_tuple(gradients)
    if len(given) != len(tensors):
        raise RuntimeError(
            f"{call}: got {len(tensors)} tensors and {len(given)} gradients; give one gradient per tensor"
        )
    starts = []
    for number, (tensor, gradient) in enumerate(zip(tensors, given, strict=True)):
        if not tensor.requires_grad:
            raise RuntimeError(f"element {number} of tensors does not require grad and does not have a grad_fn")
        if isinstance(tensor, GradientEdge):
            if gradient is None:
                raise RuntimeError(
                    f"{call}: a gradient edge has no shape to make a gradient of; give grad_outputs for it"
                )
            starts.append(gradient)
            continue
        if gradient is None:
            if tensor.numel() != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, but {call} was called on shape "
                    f"{list(tensor._shape)}; reduce it first (.sum()), or pass gradient= of that shape"
                )
            if tensor.dtype.is_complex:
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {tensor.dtype}; take its .abs() or "
                    ".real, or pass gradient="
                )
            from ..creation import ones_like

            gradient = ones_like(tensor.detach())
        elif not isinstance(gradient, Tensor):
            raise TypeError(f"{call}: gradients can be either Tensors or None, but got {type(gradient).__name__}")
        elif gradient._shape != tensor._shape:
            raise ShapeError(
                f"Mismatch in shape: grad_output[{number}] has a shape of {list(gradient._shape)} and output[{number}] has a "
                f"shape of {list(tensor._shape)}."
            )
        elif gradient.device != tensor.device:
            raise DeviceError(
                f"{call}: grad_output[{number}] is on {gradient.device} and output[{number}] on {tensor.device}; move it with .to()"
            )
        elif gradient.dtype is not tensor.dtype:
            gradient = gradient.to(tensor.dtype)
        starts.append(gradient)
    return starts


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of `tensors` into the leaves they depend on (or only into `inputs`).

    Tensors that are not scalars need `grad_tensors` of their shapes. The graph's saved values are freed unless
    `retain_graph` (default: `create_graph`) is true; with `create_graph` the gradients can be differentiated again.

    >>> import webtorch
    >>> x = webtorch.tensor([1.0, 2.0], requires_grad=True)
    >>> webtorch.autograd.backward([(x * x).sum()])
    >>> x.grad
    tensor([2., 4.])
    """
    if batching.transforms_running.get():
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use webtorch.func.grad or "
            "webtorch.func.vjp instead or call backward() outside of webtorch.func transforms."
        )
    tensors = as_tuple(tensors)
    if inputs is not None:
        inputs = as_tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    starts = start_gradients(tensors, grad_tensors, "backward")
    keep = create_graph if retain_graph is None else retain_graph
    run(tensors, starts, keep, create_graph, inputs, accumulate=True)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of `outputs` with respect to `inputs`, as a tuple; no `.grad` is touched.

    An input that the outputs do not depend on raises RuntimeError unless `allow_unused` (then None) or
    `materialize_grads` (then zeros) is true.

    >>> import webtorch
    >>> x = webtorch.tensor(3.0, requires_grad=True)
    >>> webtorch.autograd.grad(x ** 2, x)
    (tensor(6.),)
    """
    outputs, inputs = as_tuple(outputs), as_tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if is_grads_batched:
        return batched_grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    for number, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise RuntimeError(
                f"grad: input {number} of shape {list(tensor._shape)} does not require grad: One of the differentiated "
                "Tensors does not require grad; call requires_grad_() on it before it is used"
            )
    starts = start_gradients(outputs, grad_outputs, "grad")
    keep = create_graph if retain_graph is None else retain_graph
    results = run(outputs, starts, keep, create_graph, inputs, accumulate=False)
    for number, (tensor, result) in enumerate(zip(inputs, results, strict=True)):
        if result is None and materialize_grads:
            from ..creation import zeros_like

            results[number] = zeros_like(tensor.detach())
        elif result is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {number} appears to not have been used in the graph. Set "
                f"allow_unused=True if this is the desired behavior. (Its shape is {list(tensor._shape)}.)"
            )
    return tuple(results)


def batched_grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads) -> tuple:
    """`grad` for every slice of the gradients' first dimension, all at once."""
    from ..func import vmap

    keep = create_graph if retain_graph is None else retain_graph
    given = as_tuple(grad_outputs)
    places = [place for place, weight in enumerate(given) if weight is not None]
    unused: list[bool] = []

    def one(*weights: Tensor) -> list:
        whole: list = [None] * len(given)
        for place, weight in zip(places, weights, strict=True):
            whole[place] = weight
        found = grad(outputs, inputs, whole, True, create_graph, True, allow_unused, False, materialize_grads)
        unused[:] = [part is None for part in found]
        return [part for part in found if part is not None]

    found = iter(vmap(one)(*(given[place] for place in places)))
    if not keep:
        release([place_of(tensor)[0] for tensor in outputs])
    return tuple(None if missing else next(found) for missing in unused)


def release(roots: list[Node]) -> None:
    """Forget what the nodes of a graph saved."""
    stack, seen = list(roots), {id(root) for root in roots}
    while stack:
        node = stack.pop()
        node.release()
        for target in node.edges:
            if target is not None and id(target[0]) not in seen:
                seen.add(id(target[0]))
                stack.append(target[0])


def run(
    tensors: Sequence[Tensor], starts: list, keep: bool, create_graph: bool, inputs: tuple | None, accumulate: bool
) -> list:
    """Push `starts` through the graph. Returns the gradients of `inputs` unless they are accumulated."""
    roots = [place_of(tensor) for tensor in tensors]
    wanted: dict[tuple[int, int], list[int]] = {}  # (node, output) -> positions in inputs
    captured: list = [None] * len(inputs or ())
    if inputs is not None:
        for number, tensor in enumerate(inputs):
            node, output = place_of(tensor) if tensor.requires_grad else (accumulator(tensor), 0)
            wanted.setdefault((id(node), output), []).append(number)
    ends = {key[0] for key in wanted} if inputs is not None else None
    dependencies, useful = survey([root[0] for root in roots], ends)
    buffers: dict[int, list] = {}
    nodes: dict[int, Node] = {}
    for (node, output), gradient in zip(roots, starts, strict=True):
        deposit(buffers, nodes, node, output, gradient)
    ready = [
        (-node.sequence, id(node))
        for node in {id(node): node for node, _ in roots}.values()
        if not dependencies.get(id(node))
    ]
    heapq.heapify(ready)
    reached = dependencies.keys() | {id(node) for node, _ in roots}
    task, before, mode = current_task.get(), grad_mode.current(), grad_mode.recording(create_graph)
    casting = precision.current()
    try:  # no `with`: Ctrl-C at the start of an __exit__ would leave the mode of the pass in force for good
        current_task.set(Task(reached, useful if inputs is not None else None, ends or set()))
        grad_mode.put(mode.state(before))
        if casting.enabled:  # gradients have the dtypes that the forward pass had
            precision.put(precision.nowhere(casting))
        propagate(ready, nodes, buffers, dependencies, useful, wanted, ends, captured, keep, accumulate)
    finally:
        grad_mode.put(before)
        current_task.set(task)
        precision.put(casting)
    if accumulate and inputs is not None:
        for tensor, gradient in zip(inputs, captured, strict=True):
            if gradient is not None and isinstance(tensor, Tensor) and not tensor.is_leaf:
                tensor._grad = gradient if tensor._grad is None else tensor._grad + gradient
    return captured


def propagate(
    ready: list, nodes: dict, buffers: dict, dependencies: dict, useful: set[int], wanted: dict, ends: set[int] | None,
    captured: list, keep: bool, accumulate: bool,
) -> None:  # fmt: skip
    """Run the nodes that are ready until none is; `ends` are the nodes whose gradients are asked for, None for all leaves."""
    while ready:
        _, key = heapq.heappop(ready)
        node = nodes.pop(key)
        gradients = buffers.pop(key)
        if ends is not None and key not in useful and key not in ends:
            continue
        gradients = before(node, gradients, wanted, captured)
        if ends is not None and (key not in useful or (isinstance(node, AccumulateGrad) and not accumulate)):
            continue
        if all(gradient is None for gradient in gradients):
            results: list = [None] * len(node.edges)
        else:
            needed = None
            if ends is not None:
                needed = [
                    target is not None and (id(target[0]) in useful or id(target[0]) in ends) for target in node.edges
                ]
            if anomaly.enabled:
                results = anomaly.run(node, gradients, needed)
            else:
                results = node.backward_for(gradients, needed)
            if node.posthooks:
                for hook in list(node.posthooks.values()):
                    replaced = hook(tuple(results), tuple(gradients))
                    if replaced is not None:
                        results = list(replaced) if isinstance(replaced, (tuple, list)) else [replaced]
            if not keep:
                node.release()
        for target, result in zip(node.edges, results, strict=False):
            if target is None:
                continue
            following, output = target
            deposit(buffers, nodes, following, output, result)
            dependencies[id(following)] -= 1
            if not dependencies[id(following)]:
                heapq.heappush(ready, (-following.sequence, id(following)))


def survey(roots: list[Node], wanted: set[int] | None) -> tuple[dict[int, int], set[int]]:
    """How many gradients each reachable node will get, and which nodes lie on a way to a wanted one."""
    counts: dict[int, int] = {}
    order: list[Node] = []
    seen: set[int] = set()
    for root in roots:
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                order.append(node)
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack.append((node, True))
            for target in node.edges:
                if target is not None:
                    counts[id(target[0])] = counts.get(id(target[0]), 0) + 1
                    stack.append((target[0], False))
    useful: set[int] = set()
    if wanted is not None:
        for node in order:  # inputs before the nodes that lead to them
            if id(node) in wanted and isinstance(node, AccumulateGrad):
                useful.add(id(node))
            if any(
                target is not None and (id(target[0]) in useful or id(target[0]) in wanted) for target in node.edges
            ):
                useful.add(id(node))
    return counts, useful


def deposit(buffers: dict, nodes: dict, node: Node, output: int, gradient: Any) -> None:
    """Add a gradient to what waits for `node`."""
    waiting = buffers.get(id(node))
    if waiting is None:
        waiting = buffers[id(node)] = [None] * max(node.output_count, output + 1)
        nodes[id(node)] = node
    if gradient is not None:
        waiting[output] = gradient if waiting[output] is None else waiting[output] + gradient


def check_replacement(hook: Any, gradient: Tensor, replaced: Any) -> None:
    """A hook may give another gradient, of the same shape, dtype and device."""
    name = getattr(hook, "__name__", repr(hook))
    if not isinstance(replaced, Tensor):
        raise TypeError(
            f"expected Variable, but hook '{name}' returned '{type(replaced).__name__}'; return a Tensor or None"
        )
    if replaced._shape != gradient._shape:
        raise ShapeError(
            f"hook '{name}' has changed the size of value: the gradient is of shape {list(gradient._shape)}, it returned "
            f"{list(replaced._shape)}"
        )
    if replaced.dtype is not gradient.dtype:
        raise DTypeError(f"hook '{name}' has changed the type of value (was {gradient.dtype} got {replaced.dtype})")
    if replaced.device != gradient.device:
        raise DeviceError(f"hook '{name}' has moved the value from {gradient.device} to {replaced.device}")


def before(node: Node, gradients: list, wanted: dict, captured: list) -> list:
    """Hooks that see a node's output gradients: tensor hooks, retain_grad, captures, node pre-hooks."""
    tensor_hooks = node.tensor_hooks
    if isinstance(node, AccumulateGrad):
        tensor_hooks = {0: node.variable._hooks} if node.variable._hooks else None
    if tensor_hooks:
        gradients = list(gradients)
        for output, hooks in tensor_hooks.items():
            for hook in list(hooks.values()):
                if output < len(gradients) and gradients[output] is not None:
                    replaced = hook(gradients[output])
                    if replaced is not None:
                        check_replacement(hook, gradients[output], replaced)
                        gradients[output] = replaced
    for output, gradient in enumerate(gradients):
        for number in wanted.get((id(node), output), ()):
            captured[number] = gradient
    if node.retained:
        for output, reference in node.retained.items():
            tensor = reference()
            if tensor is not None and output < len(gradients) and gradients[output] is not None:
                tensor._grad = gradients[output] if tensor._grad is None else tensor._grad + gradients[output]
    if node.prehooks:
        for hook in list(node.prehooks.values()):
            replaced = hook(tuple(gradients))
            if replaced is not None:
                gradients = list(replaced) if isinstance(replaced, (tuple, list)) else [replaced]
    return gradients
