"""The op table. A public function of webtorch that computes something *is* a row of it: a record that holds what the
op means (numpy), how the GPU says it (WGSL), its derivative, its dtype rule and where it may be sampled in tests.

Each kind of op is one module: a class that says how its shader's holes are filled, then its rows.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from .. import batching, codegen, components, dtypes, elsewhere, graph, precision, tangents
from ..dtypes import dtype as DType
from ..errors import DeviceError, DTypeError
from ..grad_mode import current
from ..shapes import coalesce, numel
from ..tensor import Tensor, from_node, view_of

TABLE: dict[str, Op] = {}

# What a derivative rule may name, besides the op's attributes: the gradient of the result, the result, the inputs,
# and the inputs' shapes. What it names is what is saved for the backward pass.
INPUT_NAMES = ("x", "y", "z", "w")


class Op:
    """One row: everything the project knows of an operation.

    `numpy` computes it on arrays; `vjp` holds one rule per input (None where there is no derivative), a function of the
    things it names: `g` (gradient of the result), `out`, `x`, `y`, `z`, `x_shape` ..., and the op's attributes.
    `domain` says where tests may sample the inputs; `doc` is the public documentation.
    """

    takes_components = False  # looks itself for tensors of registered dtypes
    kernels: Any = None  # those that users registered for it, see webtorch.registry
    gradients: Any = None  # the derivatives that users registered
    batches = False  # knows what to do with hidden dimensions (vmap); kinds that do not are run example by example
    moves_levels = False  # its gradient rules take care of hidden dimensions themselves
    inlines = False  # may be expanded where it is read, instead of being stored
    moves = False  # only moves elements of its own dtype about: numpy need not know what they mean
    keeps_index = False  # element i of the result needs element i of (broadcast) arguments only
    has_epilogue = True  # elementwise consumers may be computed where the results are stored
    jumps = False  # reads its arguments at places that other arguments say
    joins = False  # kernels of the same code may share a dispatch: see joined.py
    writes_in_place = False  # the result takes over the memory of an argument
    weight = 1  # how much one expansion costs, in ops

    def __init__(
        self,
        name: str,
        *,
        numpy: Callable | None = None,
        vjp: tuple | None = None,
        doc: str = "",
        method: bool | str = True,
        domain: tuple[float, float] = (-3.0, 3.0),
        module: str = "",
        grad_name: str | None = None,
        public: bool = True,
        holomorphic: bool = True,
    ) -> None:
        self.name = self.__name__ = name
        self.numpy = numpy
        self.vjp = vjp
        self.rule_names = tuple(parameter_names(rule) for rule in vjp) if vjp else ()
        self.saved_names = frozenset().union(*self.rule_names) if vjp else frozenset()
        self.grad_name = (grad_name or "".join(part.capitalize() for part in name.split("_"))) + "Backward0"
        self.domain = domain
        self.module = module
        self.public = public
        self.holomorphic = holomorphic  # its rules name derivatives as for real numbers; see `gradient`
        self.autocast = precision.POLICY.get(name)
        self.__doc__ = doc
        self.__module__ = "webtorch"
        self.__qualname__ = name
        if name in TABLE:
            raise ValueError(f"two rows are named {name}")
        TABLE[name] = self
        self.method_name = method if isinstance(method, str) else name
        if method and public:
            setattr(Tensor, self.method_name, self)

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if not cls.batches and "__call__" in cls.__dict__:
            cls.__call__ = example_by_example(cls.__call__)  # type: ignore[method-assign]
        elif "__call__" in cls.__dict__ and not cls.takes_components:
            cls.__call__ = component_by_component(cls.__call__)  # type: ignore[method-assign]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(cast(Callable, self), instance)

    def __repr__(self) -> str:
        return f"<op webtorch.{self.name}>"

    @property
    def differentiable(self) -> bool:
        return self.vjp is not None

    def loops(self, node: graph.Node) -> bool:
        """Whether one expansion of `node` goes round a loop of its own."""
        return False

    def stored_arguments(self, node: graph.Node) -> tuple:
        """The arguments that must have memory of their own instead of being expanded in this op's kernel."""
        return ()

    def __call__(self, *args: Any, **given: Any) -> Any:
        raise NotImplementedError(self.name)

    def structure(self, node: graph.Node) -> tuple:
        """What of the attributes the code of a kernel depends on, as a key: graphs that differ in nothing else share one."""
        return tuple(node.attributes.items())

    # What a kind must say, for eager evaluation and for code generation.

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        """The value of `node` by numpy, from its arguments as arrays."""
        return self.numpy(*arrays, **node.attributes)

    def needs(self, block, node: graph.Node, index: int) -> list[tuple[graph.Node, int]]:
        """For kinds that inline: the (node, index) pairs whose values `emit` will ask for."""
        return [
            (argument.node, block.at(argument, index)) for argument in node.args if isinstance(argument, graph.Operand)
        ]

    def emit(self, block, node: graph.Node, index: int) -> int:
        """For kinds that inline: the value of `node` at a linear index, as code."""
        raise NotImplementedError(self.name)

    def lower(self, group, limits):
        """For cores: the kernel that computes a group around this op's node."""
        raise NotImplementedError(self.name)

    def halves(self, node: graph.Node, limits):
        """For cores: how a node over more memory than can be bound falls in two, see `pieces`; None if it does not."""
        return None


def example_by_example(call: Callable) -> Callable:
    """The call of a kind without a batching rule: under vmap it runs once per example."""

    @functools.wraps(call)
    def checked(self: Any, *args: Any, **given: Any) -> Any:
        if components.CUSTOM and components.among(args):
            return components.call(self, args, given)
        for value in args:
            if isinstance(value, (list, tuple)) or (isinstance(value, Tensor) and value._batch):
                break
        else:
            if not given:
                return call(self, *args, **given)
        if batching.batched(args) or batching.batched(given.values()):
            return batching.by_examples(functools.partial(checked, self), args, given)
        return call(self, *args, **given)

    return checked


def component_by_component(call: Callable) -> Callable:
    """The call of a kind, which tensors of dtypes that users registered are kept from."""

    @functools.wraps(call)
    def checked(self: Any, *args: Any, **given: Any) -> Any:
        if components.CUSTOM and components.among(args):
            return components.call(self, args, given)
        return call(self, *args, **given)

    return checked


def parameter_names(rule: Callable | None) -> tuple[str, ...]:
    return tuple(inspect.signature(rule).parameters) if rule is not None else ()


# ---- arguments ------------------------------------------------------------------------------------------------------


def describe(*inputs: Any) -> str:
    """Arguments as error messages restate them: shapes, dtypes and devices of tensors, values of numbers."""
    parts = []
    for value in inputs:
        if isinstance(value, Tensor):
            parts.append(f"{value.dtype.name}{list(value._shape)}@{value.device.type}")
        else:
            parts.append(repr(value))
    return ", ".join(parts)


def is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex, np.bool_, np.integer, np.inexact))


def as_input(value: Any, call: str) -> Any:
    """A tensor or a Python number; numpy scalars become numbers, anything else raises TypeError."""
    if isinstance(value, (Tensor, bool, int, float, complex)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.inexact)):
        return value.item()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    raise TypeError(
        f"{call}: expected a Tensor or a number, got {type(value).__name__}; make a tensor of it with webtorch.tensor(...)"
    )


def common_device(inputs: list, call: str):
    """The one device of the tensors among `inputs`; 0-d cpu tensors go along with tensors on any device."""
    device = None
    for value in inputs:
        if isinstance(value, Tensor) and (value._shape or value.device.type != "cpu"):
            if device is None:
                device = value.device
            elif device != value.device:
                if elsewhere.shapes_alone(device, value.device):
                    return elsewhere.META
                raise DeviceError(
                    f"{call}({describe(*inputs)}): expected all tensors to be on the same device, but found at least two, "
                    f"{device} and {value.device}; move one with .to('{device.type}')"
                )
    if device is None:
        for value in inputs:
            if isinstance(value, Tensor):
                return value.device
    return device


def bring(value: Any, device) -> Any:
    """A 0-d cpu tensor that meets tensors of another device: moved there."""
    if isinstance(value, Tensor) and value.device != device:
        return value.to(device)
    return value


def result_dtype(inputs: list) -> DType:
    """PyTorch's result type of tensors and numbers."""
    if len(inputs) == 2 and isinstance(inputs[0], Tensor) and isinstance(inputs[1], Tensor):
        a, b = inputs
        if a._storage.node.dtype is b._storage.node.dtype:
            return a._storage.node.dtype
    elif len(inputs) == 1 and isinstance(inputs[0], Tensor):
        return inputs[0]._storage.node.dtype
    operands = []
    for value in inputs:
        if isinstance(value, Tensor):
            operands.append((value.dtype, "dimensioned" if value._shape else "zero_dim"))
        else:
            operands.append((dtypes.scalar_dtype(value), "scalar"))
    return dtypes.result_dtype(operands)


def input_gradient(op: Any, position: int, values: list) -> Any:
    """The gradient of one input of an op: its rule, given the values that the rule names.

    For complex numbers a gradient is the conjugate of what a derivative would multiply it with, as in PyTorch: the rule of
    a holomorphic op, written for real numbers, is given the conjugate of the gradient, and its result conjugated.
    """
    rule, names = op.vjp[position], op.rule_names[position]
    if not getattr(op, "holomorphic", True) or "g" not in names:
        return rule(*values)
    at = names.index("g")
    others = [value for number, value in enumerate(values) if number != at]
    if not any(value.dtype.is_complex if isinstance(value, Tensor) else isinstance(value, complex) for value in others):
        return rule(*values)
    from .parts import conj

    result = rule(*(conj(value) if number == at else value for number, value in enumerate(values)))
    return None if result is None else conj(result)


# ---- layouts ----------------------------------------------------------------------------------------------------


def contiguous_in_quads(operand: graph.Operand, spans: list, along: int) -> bool:
    """True when four neighbours along one index lie in one aligned vector, wherever one starts on a multiple of four."""
    if operand.dtype.itemsize != 4 or operand.offset % 4:
        return False
    for index, first, end in spans:
        sizes, (strides,) = coalesce(operand.shape[first:end], operand.strides[first:end])
        if index == along:
            if len(sizes) != 1 or strides[0] != 1 or sizes[0] % 4:
                return False
        elif any(stride % 4 for stride in strides):
            return False
    return True


def add_row_quads(kernel: Any, operand: graph.Operand, kept: int, length: int) -> bool:
    """The holes QUADS and `quad(row, k)`: rows that lie in one piece in memory are read four elements at a time."""
    spans = [(0, 0, kept), (1, kept, len(operand.shape))]
    quads = codegen.has_memory(operand.node) and length % 4 == 0 and contiguous_in_quads(operand, spans, 1)
    body = "return Four();"
    if quads:
        place = kernel.block("place", ("row", "k"))
        parts = [(index, operand.shape[first:end], operand.strides[first:end]) for index, first, end in spans]
        place.returns = ((place.index(parts, operand.offset), None),)
        slot = kernel.slot(operand.node)
        kernel.quads.add(slot)
        body = f"return quad_{slot}(place(row, k) >> 2u);"
    elif kernel.limits.reproducible and length % 4 == 0 and numel(operand.shape[kept:]) % 4 == 0:
        # Fours change the order of additions, which has to be the same whatever is fused.
        quads, body = True, "return Four(load(row, k), load(row, k + 1u), load(row, k + 2u), load(row, k + 3u));"
    kernel.constants += (
        ("QUADS", "true" if quads else "false"),
        ("$quad", f"fn quad(row: u32, k: u32) -> Four {{ {body} }}"),
    )
    return quads


# ---- nodes that several kinds make ----------------------------------------------------------------------------------


def cast_operand(operand: graph.Operand, dtype: DType) -> graph.Operand:
    """The operand with its elements converted; the identity when they are of that dtype."""
    source = operand.node
    if source.dtype is dtype:
        return operand
    if numel(operand.shape) == source.size and operand.is_linear():
        node = graph.record(TABLE["_cast"], (operand,), {}, operand.shape, dtype, source.device)
        return node.operand()
    if numel(operand.shape) > source.size:  # a broadcast: convert before expanding
        whole = source.operand()
        node = graph.record(TABLE["_cast"], (whole,), {}, source.shape, dtype, source.device)
        return graph.Operand(node, operand.shape, operand.strides, operand.offset)
    node = graph.record(TABLE["_cast"], (operand,), {}, operand.shape, dtype, source.device)
    return node.operand()


def contiguous_node(tensor: Tensor) -> graph.Node:
    """A node whose flat value is the tensor's elements in row-major order: its own when it has that form."""
    operand = tensor._operand()
    if operand.node.size == numel(operand.shape) and operand.is_linear():
        return operand.node
    return graph.record(TABLE["_copy"], (operand,), {}, operand.shape, operand.dtype, operand.node.device)


def write_node(old: graph.Node, target: Tensor, value: Tensor) -> graph.Node:
    """The value `old` with the elements that `target` (a view of it) covers replaced by `value`."""
    attributes = {"shape": target._shape, "strides": target._strides, "offset": target._offset}
    return graph.record(
        TABLE["_write"], (old.operand(), value._operand()), attributes, old.shape, old.dtype, old.device
    )


def wrap(node: graph.Node) -> Tensor:
    return from_node(node)


def view(tensor: Tensor, shape: tuple, strides: tuple, offset: int) -> Tensor:
    return view_of(tensor._storage, shape, strides, offset)


def tracks(*inputs: Any) -> bool:
    """True when autograd must know of an op on these inputs: to record it, or to compute a tangent."""
    state = current()
    if state.inference:
        return False
    if tangents.live and any(isinstance(value, Tensor) and tangents.carries(value) for value in inputs):
        return True
    if not state.grad:
        return False
    return any(isinstance(value, Tensor) and value.requires_grad for value in inputs)


def cannot(call: str, why: str, fix: str) -> DTypeError:
    return DTypeError(f"{call}: {why}; {fix}")
