"""Elementwise operations: result element i depends on element i of the (broadcast) inputs.

They have no kernel of their own: they are expanded wherever their values are read.
"""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import batching, blocks, codegen, components, dtypes, engine, graph, precision, prelude, tangents
from ..dtypes import dtype as DType
from ..errors import DTypeError
from ..graph import Operand, Scalar
from ..shapes import broadcast_shapes, broadcast_strides, contiguous_strides, numel
from ..tensor import new_storage
from . import (
    INPUT_NAMES,
    Op,
    Tensor,
    as_input,
    bring,
    cast_operand,
    common_device,
    describe,
    from_node,
    result_dtype,
    tracks,
)

# ---- dtype rules: from the promoted dtype of the inputs to (dtype computed in, dtype of the result) ------------------


def same(common: DType, call: str) -> tuple[DType, DType]:
    """The promoted dtype itself."""
    return common, common


def floating(common: DType, call: str) -> tuple[DType, DType]:
    """Integers become the default floating dtype."""
    common = common if common.is_differentiable else dtypes.get_default_dtype()
    return common, common


def comparison(common: DType, call: str) -> tuple[DType, DType]:
    return common, dtypes.bool_


def numeric(common: DType, call: str) -> tuple[DType, DType]:
    """Not bool."""
    if common is dtypes.bool_:
        raise DTypeError(
            f"{call}: not defined for bool; use logical_not, logical_xor or logical_and, or convert with .int()"
        )
    return common, common


def integral(common: DType, call: str) -> tuple[DType, DType]:
    """Integers and bool."""
    if common.is_differentiable:
        raise DTypeError(f"{call}: only for integer and bool tensors, not {common}; convert with .long() first")
    return common, common


def integer_only(common: DType, call: str) -> tuple[DType, DType]:
    if common.is_differentiable or common is dtypes.bool_:
        raise DTypeError(f"{call}: only for integer tensors, not {common}; convert with .long() first")
    return common, common


def floating_only(common: DType, call: str) -> tuple[DType, DType]:
    if not common.is_floating_point:
        raise DTypeError(f"{call}: only for floating-point tensors, not {common}; convert with .float() first")
    return common, common


def inexact_only(common: DType, call: str) -> tuple[DType, DType]:
    if not common.is_differentiable:
        raise DTypeError(
            f"{call}: only for floating-point and complex tensors, not {common}; convert with .float() first"
        )
    return common, common


def logical(common: DType, call: str) -> tuple[DType, DType]:
    """Each input is taken as bool on its own."""
    return dtypes.bool_, dtypes.bool_


class Rule(NamedTuple):
    """What the shapes and dtypes of a call's inputs decide."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    compute: DType
    result: DType
    device: Any
    differentiable: bool
    moment: object


MAX_KEPT = 1024  # rules that each op remembers
moment = (
    object()
)  # rules of an earlier moment are no longer good: the default dtype or the device's limits changed since


def forget_rules() -> None:
    """Have every call found out anew."""
    global moment
    moment = object()


class Elementwise(Op):
    """`wgsl` is an expression over `{x}`, `{y}`, `{z}` (the inputs) and the names in `scalars` (numbers given as keyword
    arguments), or a dict of expressions by "float", "int" and "bool" for the kind of the computed dtype. `{i}` is the
    element's own index (u32). Calls of `wt_name(...)` take the prelude function of the computed type. `complex` is the
    expression for complex dtypes; a row without one does not take them, on any device.
    """

    inlines = True
    keeps_index = True
    batches = True
    takes_components = True
    of_numbers = False  # True for a row that takes Python numbers alone

    def __init__(
        self,
        name: str,
        *,
        wgsl: str | dict[str, str],
        complex: str | None = None,
        dtype: Callable[[DType, str], tuple[DType, DType]] = same,
        inputs: int | None = None,
        scalars: dict[str, Any] | None = None,
        select_first: bool = False,
        inplace: bool = True,
        weight: int = 1,
        composite: Callable | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(name, **rest)
        self.wgsl = wgsl if isinstance(wgsl, dict) else {"float": wgsl, "int": wgsl, "bool": wgsl}
        if complex is not None:
            self.wgsl = {**self.wgsl, "complex": complex}
        texts = "".join(self.wgsl.values())
        self.inputs = inputs if inputs is not None else sum(f"{{{letter}}}" in texts for letter in INPUT_NAMES)
        self.rule = dtype
        self.scalars = scalars or {}
        self.select_first = select_first  # the first input is a bool condition and takes no part in promotion
        self.weight = weight
        self.kept: dict[tuple, Rule] = {}  # what calls like earlier ones come to, see `call_again`
        if inplace and self.public and self.rest_is_tensor_like():
            from .inplace import make_inplace

            make_inplace(self)

    def loops(self, node: graph.Node) -> bool:
        compute = self.computed_dtype(node)
        return prelude.loops(self.expression(compute), codegen.compute_type(compute))

    def rest_is_tensor_like(self) -> bool:
        return self.inputs >= 1

    # ---- the call ---------------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, out: Tensor | None = None, **given: Any) -> Tensor:
        if components.CUSTOM and components.among(inputs):
            return components.call(self, inputs, given)
        if self.autocast and precision.used and out is None:
            inputs = precision.cast(self.autocast, self.name, inputs)
        if out is None and not given and len(inputs) == self.inputs:
            again = self.call_again(inputs)
            if again is not None:
                return again
        if len(inputs) != self.inputs:
            inputs, given = self.bind(inputs, given)
        elif given:
            unknown = [name for name in given if name not in self.scalars]
            if unknown:
                inputs, given = self.bind(inputs, given)
        values = [as_input(value, self.name) for value in inputs]
        result = self.apply(values, given)
        return result if out is None else store_out(self.name, result, out)

    def call_again(self, inputs: tuple) -> Tensor | None:
        """The result of a call like one that was seen before: same shapes and dtypes, so nothing has to be found out.

        None for one that was not, and for all that is not plain: other devices, vmap, default attributes not taken.
        """
        key: list[Any] = []
        grad = False
        for value in inputs:
            if isinstance(value, Tensor):
                node = value._storage.node
                if value._batch:
                    return None
                key += (value._shape, node.dtype, node.device.type)
                grad = grad or value._leaf_requires_grad or value._grad_fn is not None or value._base is not None
            else:
                key.append(type(value))
        rule = self.kept.get(tuple(key))
        if rule is None or rule.moment is not moment:
            return None
        shape, compute = rule.shape, rule.compute
        args: list[Operand | Scalar] = []
        for value in inputs:
            if isinstance(value, Tensor):
                strides = (
                    value._strides if value._shape == shape else broadcast_strides(value._shape, value._strides, shape)
                )
                args.append(Operand(value._storage.node, shape, strides, value._offset))
            else:
                args.append(Scalar(value, compute))
        node = graph.record(self, tuple(args), self.scalars, shape, rule.result, rule.device)
        tensor = object.__new__(Tensor)
        tensor._storage = new_storage(node)
        tensor._shape, tensor._strides, tensor._offset = shape, rule.strides, 0
        if (grad or tangents.live) and rule.differentiable and tracks(*inputs):
            from ..autograd.graph import attach

            attach(self, tensor, inputs, self.scalars)
        return tensor

    def keep(self, inputs: list, shape: tuple, compute: DType, result: DType, device: Any) -> None:
        """Remember what a call came to, if it was a plain one."""
        key: list[Any] = []
        for value in inputs:
            if isinstance(value, Tensor):
                if value.dtype is not compute or value.device is not device:
                    return
                key += (value._shape, value.dtype, device.type)
            elif type(value) in (float, int, bool) and (compute.itemsize >= 4 or compute.is_floating_point):
                key.append(type(value))
            else:
                return
        if device.type not in ("cpu", "webgpu") or self.select_first:
            return
        if len(self.kept) >= MAX_KEPT:
            self.kept.clear()
        differentiable = self.vjp is not None and (result.is_floating_point or result.is_complex)
        self.kept[tuple(key)] = Rule(shape, contiguous_strides(shape), compute, result, device, differentiable, moment)

    def bind(self, given_inputs: tuple, given: dict) -> tuple[tuple, dict]:
        """Positional scalars and PyTorch's keyword names for the inputs (`input`, `other` ...)."""
        given = dict(given)
        inputs = list(given_inputs)
        for name in ("input", "other", "self", "exponent", "end", "weight")[: 6 if len(inputs) < self.inputs else 0]:
            if name in given and len(inputs) < self.inputs and name not in self.scalars:
                inputs.append(given.pop(name))
        names = list(self.scalars)
        while len(inputs) > self.inputs and names:
            name = names[len(inputs) - self.inputs - 1] if len(inputs) - self.inputs <= len(names) else None
            if name is None or name in given:
                break
            given[name] = inputs.pop()
        unknown = [name for name in given if name not in self.scalars]
        if len(inputs) != self.inputs or unknown:
            signature = ", ".join(
                [*INPUT_NAMES[: self.inputs], *(f"{name}={value!r}" for name, value in self.scalars.items())]
            )
            raise TypeError(
                f"{self.name}({describe(*inputs)}{''.join(f', {name}=...' for name in unknown)}): "
                f"the arguments do not fit {self.name}({signature}, *, out=None)"
            )
        return tuple(inputs), given

    def apply(self, inputs: list, given: dict) -> Tensor:
        """The result for inputs that are tensors or numbers."""
        call = self.name
        device = common_device(inputs, call)
        if device is None:
            if self.of_numbers and all(isinstance(value, numbers.Number) for value in inputs):
                from .. import creation

                return self.apply([creation.tensor(inputs[0]), *inputs[1:]], given)
            raise TypeError(f"{call}({describe(*inputs)}): at least one argument must be a Tensor")
        promoting = inputs[1:] if self.select_first else inputs
        common = result_dtype(promoting)
        compute, result = self.rule(common, call)
        if compute.is_complex and "complex" not in self.wgsl:
            raise not_for_complex(call, inputs)
        attributes = dict(self.scalars, **given) if given else self.scalars
        if given:
            attributes = {name: check_scalar(value, call, name) for name, value in attributes.items()}
            if not compute.is_complex:
                check_no_complex(call, inputs, attributes)
        if len(inputs) == 1:
            shape = inputs[0]._shape
        else:
            shape = broadcast_shapes(*(value._shape for value in inputs if isinstance(value, Tensor)), call=call)
        if device.type == "webgpu" and self.kernels is None:
            check_supported(self, compute, call)
        args: list[Any] = []
        levels: batching.Levels = ()
        for value in inputs:
            if isinstance(value, Tensor) and value._batch:
                levels = batching.union(inputs)
                break
        for position, value in enumerate(inputs):
            if not isinstance(value, Tensor):
                args.append(as_scalar(value, compute if not (self.select_first and position == 0) else dtypes.bool_))
                continue
            value = bring(value, device)
            operand = batching.operand(value, levels, shape) if levels else value._operand()
            wanted = dtypes.bool_ if self.select_first and position == 0 else compute
            if operand.node.dtype is not wanted:
                operand = cast_operand(operand, wanted)
            if operand.shape != shape and not levels:
                operand = Operand(
                    operand.node, shape, broadcast_strides(operand.shape, operand.strides, shape), operand.offset
                )
            args.append(operand)
        if levels:
            shape = (*batching.sizes_of(levels), *shape)
        tensor = from_node(graph.record(self, tuple(args), attributes, shape, result, device))
        if levels:
            tensor = batching.hidden(tensor, levels)
        elif not given:
            self.keep(inputs, shape, compute, result, device)
        if self.vjp is not None and result.is_differentiable and tracks(*inputs):
            from ..autograd.graph import attach

            attach(self, tensor, tuple(inputs), attributes)
        return tensor

    # ---- numpy ------------------------------------------------------------------------------------------------------

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        attributes = node.attributes
        function = functools.partial(self.numpy, **attributes) if attributes else self.numpy
        result = blocks.elementwise(function, arrays, node.shape, node.size)
        if result is None:
            result = function(*arrays)
        if np.shape(result) != node.shape:
            result = np.broadcast_to(result, node.shape)
        return result

    # ---- code -------------------------------------------------------------------------------------------------------

    def structure(self, node: graph.Node) -> tuple:
        return ()  # all attributes are numbers, which kernels read from their parameters

    def expression(self, compute: DType) -> str | None:
        kind = compute.kind if compute.is_differentiable else "bool" if compute is dtypes.bool_ else "int"
        return self.wgsl.get(kind)

    def computed_dtype(self, node: graph.Node) -> DType:
        args = node.args[1:] if self.select_first else node.args
        return args[0].dtype if args else node.dtype

    def emit(self, block, node: graph.Node, index: int) -> int:
        compute = self.computed_dtype(node)
        template = self.expression(compute)
        values = [block.operand(argument, index) for argument in node.args]
        names = {letter: f"{{{position}}}" for position, letter in enumerate(INPUT_NAMES[: len(values)])}
        for name in node.attributes:
            if f"{{{name}}}" in template:
                names[name] = f"{{{len(values)}}}"
                values.append(block.attribute(node, name, scalar_kind(name, compute)))
        if "{i}" in template:
            names["i"] = f"{{{len(values)}}}"
            values.append(index)
        kind = codegen.compute_type(compute)
        names["t"] = kind
        return block.apply(template.format(**names), node.dtype, *values, kind=kind)


def not_for_complex(call: str, inputs: Any) -> DTypeError:
    """The error of operations that complex numbers have not."""
    return DTypeError(
        f"{call}({describe(*inputs)}): not defined for complex numbers; apply it to .real, .imag, .abs() or .angle()"
    )


def as_scalar(value: Any, dtype: DType) -> Scalar:
    """A number as an operand: one outside the range of a narrow integer dtype wraps around, as in PyTorch."""
    if dtype.itemsize < 4 and dtype.kind in ("int", "uint"):
        value = engine.numpy_scalar(value, dtype).item()
    return Scalar(value, dtype)


def scalar_kind(name: str, compute: DType) -> DType:
    """Words of a random key are raw bits; all other scalars are of the dtype that the arithmetic is done in."""
    if name.startswith("bits_"):
        return dtypes.int32
    return dtypes.float32 if compute is dtypes.bool_ else dtypes.accumulator(compute)


def check_scalar(value: Any, call: str, name: str) -> Any:
    if isinstance(value, Tensor):
        return value.item()
    if isinstance(value, (bool, int, float, complex)) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (np.integer, np.inexact, np.bool_)):
        return value.item()
    raise TypeError(f"{call}: {name} must be a number, not {type(value).__name__}")


def check_no_complex(call: str, inputs: list, attributes: dict) -> None:
    for name, value in attributes.items():
        if isinstance(value, complex):
            raise DTypeError(
                f"{call}({describe(*inputs)}, {name}={value!r}): for non-complex input tensors, argument {name} must not be a "
                "complex number; convert a tensor with .to(webtorch.complex64)"
            )


def check_supported(op: Elementwise, compute: DType, call: str) -> None:
    """Raise DTypeError when the GPU cannot compute `op` in `compute`: never a wrong number."""
    template = op.expression(compute)
    if template is None:
        raise DTypeError(f"{call}: not defined for {compute}; convert with .float() or .long() first")
    if compute in (dtypes.int64, dtypes.float64, dtypes.complex128):
        from ..backends import wgpu as backend

        codegen.check_features(compute, engine.limits_of(backend.get_device()), call)
    if compute is dtypes.float64 and codegen.missing_functions(template, "f64"):
        raise DTypeError(
            f"{call}: GPUs have no double-precision mathematics for it; use device='cpu' for float64, or float32 on webgpu"
        )


def store_out(call: str, result: Tensor, out: Tensor) -> Tensor:
    """PyTorch's `out=`: the result is written there; `out` is resized when its shape differs and it is empty."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{call}(..., out=...): expected a Tensor, got {type(out).__name__}")
    if out.requires_grad and tracks(out):
        raise RuntimeError(f"{call}(): functions with out=... arguments don't support automatic differentiation")
    if result.requires_grad and tracks(result):
        raise RuntimeError(
            f"{call}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad; use no_grad, or assign the result"
        )
    if out.device != result.device:
        raise DTypeError(f"{call}(..., out=...): out is on {out.device}, the result on {result.device}")
    if not dtypes.can_cast(result.dtype, out.dtype):
        raise DTypeError(
            f"{call}(..., out=...): result type {result.dtype} can't be cast to the desired output type {out.dtype}"
        )
    if out._shape != result._shape:
        from .. import creation

        fresh = creation.empty(result._shape, dtype=out.dtype, device=out.device)
        out._storage, out._shape = fresh._storage, fresh._shape
        out._strides, out._offset = fresh._strides, fresh._offset
    out._write(result.to(out.dtype))
    return out


class Cast(Op):
    """Conversion between dtypes; recorded without autograd (`Tensor.to` adds that)."""

    inlines = True
    keeps_index = True

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return convert_array(arrays[0], node.dtype)

    def emit(self, block, node: graph.Node, index: int) -> int:
        (operand,) = node.args
        return block.cast(block.operand(operand, index), operand.dtype, node.dtype)


def convert_array(array: np.ndarray, target: DType) -> np.ndarray:
    """numpy's conversion, with PyTorch's results for what numpy leaves to the machine: floats outside an integer's range.

    They go through 32 bits, or 64 for int64 and uint8, where NaN and what does not fit is the smallest integer (as x86
    has it), and then wrap around. Of complex numbers the real part is converted, except to bool.
    """
    if array.dtype.kind == "c" and not target.is_complex and target is not dtypes.bool_:
        array = array.real
    if target.kind not in ("int", "uint") or array.dtype.kind != "f":
        return array.astype(target.computed)
    limit = 2.0**63 if target.itemsize == 8 or target.kind == "uint" else 2.0**31
    fits = np.abs(array) < array.dtype.type(limit)
    if not np.all(fits):
        array = np.where(fits, array, np.float64(-limit))
    return array.astype(np.int64).astype(target.numpy)


class Copy(Op):
    """The elements of a view in row-major order."""

    moves = True
    inlines = True
    keeps_index = True

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return blocks.copied(arrays[0])

    def emit(self, block, node: graph.Node, index: int) -> int:
        return block.operand(node.args[0], index)


class Fill(Op):
    """Every element the same number, or computed from its own index: constants, ramps, random bits.

    `wgsl` is an expression over `{i}` (the element's index, u32) and the attributes; `numpy` gets the index array.
    """

    inlines = True
    keeps_index = True
    batches = True

    def __init__(self, name: str, *, wgsl: str, **rest: Any) -> None:
        super().__init__(name, method=False, public=False, **rest)
        self.wgsl = wgsl

    def __call__(self, shape: tuple[int, ...], dtype: DType, device, **attributes: Any) -> Tensor:
        if device.type == "webgpu":
            from ..backends import wgpu as backend

            codegen.check_features(dtype, engine.limits_of(backend.get_device()), self.name.strip("_"))
        return from_node(graph.record(self, (), attributes, tuple(shape), dtype, device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return np.broadcast_to(self.numpy(node), (node.size,)).reshape(node.shape)

    def structure(self, node: graph.Node) -> tuple:
        return ()  # all attributes are numbers, which kernels read from their parameters

    def emit(self, block, node: graph.Node, index: int) -> int:
        values: list[int] = []
        names: dict[str, str] = {}
        for name in node.attributes:
            if f"{{{name}}}" in self.wgsl:
                names[name] = f"{{{len(values)}}}"
                kind = dtypes.bool_ if node.dtype is dtypes.bool_ else scalar_kind(name, node.dtype)
                values.append(block.attribute(node, name, kind))
        if "{i}" in self.wgsl:
            names["i"] = f"{{{len(values)}}}"
            values.append(index)
        kind = codegen.compute_type(node.dtype)
        return block.apply(self.wgsl.format(t=kind, **names), node.dtype, *values, kind=kind)


def index_array(node: graph.Node, kind: Any) -> np.ndarray:
    return np.arange(node.size, dtype=kind)


# fmt: off
cast = Cast("_cast", method=False, public=False)
copy = Copy("_copy", method=False, public=False)
to = Copy("_to", public=False, vjp=(lambda g: g,), grad_name="ToCopy")
clone = Copy("_clone", public=False, vjp=(lambda g: g,), grad_name="Clone")
fill = Fill("_fill", wgsl="{value}", numpy=lambda node: engine.numpy_scalar(node.attributes["value"], node.dtype))
# fmt: on

dtypes.when_default_changes(forget_rules)
engine.when_limits_change(forget_rules)

__all__ = [
    "Elementwise", "Fill", "cast", "comparison", "contiguous_strides", "copy", "fill", "floating", "floating_only",
    "integer_only", "integral", "logical", "numel", "numeric", "same",
]  # fmt: skip
