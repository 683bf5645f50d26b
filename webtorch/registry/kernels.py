"""Kernels that users register: another way to compute an op, for a dtype, a device and what a predicate says.

They are rows, chosen where a node is recorded. An expression is expanded where it is read, like any elementwise op, and so
fuses; a whole WGSL function is the core of a kernel, and what is before and after it is fused into it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import codegen, graph
from ..errors import RegistryError, coded_error
from ..graph import Operand
from ..ops import INPUT_NAMES, TABLE, Op
from ..ops.elementwise import Elementwise, scalar_kind
from ..shape_evaluation import TensorMeta
from ..shapes import numel
from .expressions import check_expression, check_function
from .handles import (
    ANY,
    KernelHandle,
    ScalarKernelHandle,
    changed,
    check_callable,
    device_name,
    dtype_name,
    dtype_names,
    lock,
    refuse,
    rows,
)
from .loops import Loops, checked_trips, find_loops

_numbers = itertools.count(1)


@dataclass(frozen=True)
class KernelEntry:
    """One registered kernel: for which op, dtype and device ("*" for any), of which kind, and when."""

    op: str
    dtype: str
    device: str
    kind: str  # "forward" or "scalar"
    kernel: Any = field(repr=False)
    predicate: Callable | None
    row: Any = field(repr=False, compare=False)
    number: int = 0

    def fits(self, dtype: str, device: str) -> bool:
        return self.dtype in (ANY, dtype) and self.device in (ANY, device)


class UserKernel(Op):
    """A row that stands for another one where a user's kernel computes it; it is in no table."""

    batches = True

    def __init__(self, base: Op, entry_name: str) -> None:
        self.base = base
        self.name = self.__name__ = base.name
        self.label = entry_name
        self.vjp = None
        self.inputs = getattr(base, "inputs", None)
        self.weight = base.weight

    def structure(self, node: graph.Node) -> Any:
        return self.base.structure(node)

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        """What the op means, which is not the kernel's to say: WEBTORCH_CHECK compares the two."""
        host = self.base.kernels.host(node) if self.base.kernels is not None else None
        if host is not None and host is not self:
            return host.evaluate(node, arrays)
        return self.base.evaluate(node, arrays)


class HostKernel(UserKernel):
    """Computed by a Python function of numpy arrays, on the cpu or on a device that hands its memory over as arrays."""

    def __init__(self, base: Op, label: str, function: Callable) -> None:
        super().__init__(base, label)
        self.function = function
        self.takes_out = isinstance(function, np.ufunc) or "out" in parameters_of(function)

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        given = {name: value for name, value in node.attributes.items() if not isinstance(value, graph.Node)}
        call = f"the kernel {self.label} of {self.name!r}"
        if self.takes_out:
            out = np.empty(node.shape, node.dtype.numpy)
            returned = self.function(*arrays, out=out, **given)
            result = out if returned is None else np.asarray(returned)
        else:
            result = np.asarray(self.function(*arrays, **given))
        if result.dtype.kind not in "biufc":
            refuse(
                "kernel_signature_mismatch_error", f"{call} gave {type(result).__name__} of {result.dtype}, not numbers"
            )
        if result.shape != node.shape:
            if result.size != 1 and result.shape != node.shape:
                refuse(
                    "kernel_signature_mismatch_error",
                    f"{call} gave shape {list(result.shape)} where the op has {list(node.shape)}",
                )
            result = np.broadcast_to(result, node.shape)
        return result


class ExpressionKernel(UserKernel):
    """One WGSL expression per element: expanded where it is read."""

    inlines = True
    keeps_index = True

    base: Elementwise

    def __init__(self, base: Elementwise, label: str, expression: str) -> None:
        super().__init__(base, label)
        self.template = expression

    def computed_dtype(self, node: graph.Node) -> Any:
        return self.base.computed_dtype(node)

    def emit(self, block: Any, node: graph.Node, index: int) -> int:
        compute = self.computed_dtype(node)
        values = [block.operand(argument, index) for argument in node.args]
        names = {letter: f"{{{position}}}" for position, letter in enumerate(INPUT_NAMES[: len(values)])}
        for name in node.attributes:
            if f"{{{name}}}" in self.template:
                names[name] = f"{{{len(values)}}}"
                values.append(block.attribute(node, name, scalar_kind(name, compute)))
        if "{i}" in self.template:
            names["i"] = f"{{{len(values)}}}"
            values.append(index)
        template = self.template
        for name, place in names.items():
            template = template.replace(f"{{{name}}}", place)
        return block.apply(template, node.dtype, *values, kind=codegen.compute_type(compute))


class FunctionKernel(UserKernel):
    """A WGSL function that computes element i of the result from any elements of the inputs."""

    inlines = False

    def __init__(self, base: Op, label: str, name: str, source: str, loops: Loops) -> None:
        super().__init__(base, label)
        self.loops_of_source = loops
        self.source = source.replace(f"fn {name}", "fn user_kernel", 1)
        if "fn user_kernel" not in self.source:  # more than one space after fn
            self.source = "fn user_kernel" + source[source.index("(") :]

    def lower(self, group: Any, limits: Any) -> Any:
        from ..kernels import store_block

        node: graph.Node = group.core
        constants = (("T", codegen.compute_type(node.dtype)), ("$kernel", self.source))
        kernel = codegen.Kernel(limits, "custom", constants)
        kernel.parameter("count", node.size)
        kernel.parameter("size", node.size)
        for number, (letter, argument) in enumerate(zip(INPUT_NAMES, node.args, strict=False)):
            block = kernel.block(f"load_{letter}", ("i",))
            value = block.operand(argument, 0)
            floating = None if limits.reproducible else block.float_kind(value)
            if floating is not None:  # two operands may be the same, or sums: the user's code is to meet rounded values
                value = block.emit("hide", floating, value, kernel.zero(number))
            block.returns = ((value, argument.dtype),)
            kernel.parameter(f"size_{letter}", count_of(argument))
        for name, value in node.attributes.items():
            if isinstance(value, (bool, int, float)) and f"load_{name}" in self.source:
                block = kernel.block(f"load_{name}", ("i",))
                kind = scalar_kind(name, node.dtype)
                block.returns = ((block.attribute(node, name, kind), kind),)
        store_block(kernel, group)
        kernel.workgroup_size = 64
        kernel.workgroups = -(-node.size // 64)
        kernel.trips = 1 + self.trips(node.args, node.shape, limits.loop_budget)
        return kernel

    def trips(self, args: tuple, shape: tuple, budget: int) -> int:
        """At most how many rounds of loops an invocation goes for these arguments; an error where it is too many."""
        sizes = {"size": numel(shape)}
        sizes |= {f"size_{letter}": count_of(argument) for letter, argument in zip(INPUT_NAMES, args, strict=False)}
        return checked_trips(self.loops_of_source, sizes, budget - 1, f"{self.name}: the kernel {self.label}")


def count_of(argument: Any) -> int:
    return numel(argument.shape) if isinstance(argument, Operand) else 1


def parameters_of(function: Callable) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # builtins and ufuncs need not say
        return {}


class OpKernels:
    """What users registered for one op. `choose` is asked for every node of the op that is recorded."""

    def __init__(self, op: Op, builtin: bool) -> None:
        self.op = op
        self.builtin = builtin  # the row can compute by itself where no kernel fits
        self.entries: list[KernelEntry] = []

    def find(self, dtype: str, device: str, inputs: tuple = (), attributes: dict | None = None) -> KernelEntry | None:
        """The kernel for a call: those with a predicate first, and of several the newest."""
        for with_predicate in (True, False):
            for entry in reversed(self.entries):
                if (entry.predicate is not None) is with_predicate and entry.fits(dtype, device):
                    if entry.predicate is None or holds(entry, inputs, attributes or {}):
                        return entry
        return None

    def choose(self, args: tuple, attributes: dict, shape: tuple, dtype: Any, device: Any) -> Op:
        computed = computed_dtype(self.op, args, dtype)
        if any(isinstance(argument, Operand) and argument.node.size == 0 for argument in args) and self.builtin:
            return self.op
        entry = self.find(computed.name, device.type, described(args), attributes)
        if entry is not None:
            if device.type == "webgpu":
                check_on_gpu(entry, computed, dtype, args, shape)
            return entry.row
        if self.builtin:
            if device.type == "webgpu" and isinstance(self.op, Elementwise):
                from ..ops.elementwise import check_supported

                check_supported(self.op, computed, self.op.name)
            return self.op
        if device.type == "meta":
            return self.op
        known = ", ".join(sorted({f"{entry.dtype} on {entry.device}" for entry in self.entries})) or "none"
        raise coded_error(
            "kernel_not_registered_error",
            f"{self.op.name}({', '.join(map(str, described(args)))}): no kernel for {computed.name} on {device.type}; there "
            f"are kernels for {known}. Register one with register_scalar_forward or register_forward, or convert with .to()",
        )

    def host(self, node: graph.Node) -> Op | None:
        entry = self.find(
            computed_dtype(self.op, node.args, node.dtype).name, "cpu", described(node.args), node.attributes
        )
        return entry.row if entry is not None else None


def holds(entry: KernelEntry, inputs: tuple, attributes: dict) -> bool:
    verdict = entry.predicate(inputs, dict(attributes))
    if not isinstance(verdict, (bool, np.bool_)):
        refuse(
            "kernel_signature_mismatch_error",
            f"the predicate of a kernel of {entry.op!r} gave {type(verdict).__name__}, not True or False",
        )
    return bool(verdict)


def check_on_gpu(entry: KernelEntry, computed: Any, dtype: Any, args: tuple, shape: tuple) -> None:
    from .. import engine
    from ..backends import wgpu as backend

    limits = engine.limits_of(backend.get_device())
    for each in {computed, dtype}:
        codegen.check_features(each, limits, entry.op)
    if isinstance(entry.row, FunctionKernel):
        entry.row.trips(args, shape, limits.loop_budget)
    template = getattr(entry.row, "template", "")
    missing = codegen.missing_functions(template, codegen.compute_type(computed)) if template else ()
    if missing:
        refuse(
            "kernel_signature_mismatch_error",
            f"{entry.op}: the expression {template!r} calls {', '.join(missing)}, which does not exist for {computed.name}",
        )


def computed_dtype(op: Op, args: tuple, dtype: Any) -> Any:
    if isinstance(op, Elementwise) and args:
        return (args[1:] if op.select_first else args)[0].dtype
    return next((argument.dtype for argument in args if isinstance(argument, Operand)), dtype)


def described(args: tuple) -> tuple:
    """A node's arguments as predicates see them: shapes and dtypes, and numbers as they are."""
    return tuple(
        TensorMeta(argument.shape, argument.dtype) if isinstance(argument, Operand) else argument.value
        for argument in args
    )


# ---- registering ----------------------------------------------------------------------------------------------------


def kernels_of(op: Op) -> OpKernels:
    if op.kernels is None:
        op.kernels = OpKernels(op, builtin=True)
    return op.kernels


def add(op: Op, entry: KernelEntry, override: bool, call: str) -> Callable[[], None]:
    """Put a kernel into an op's list; the function that takes it out again."""
    with lock:
        known = kernels_of(op)
        same = [
            other
            for other in known.entries
            if entry.predicate is None
            and other.predicate is None
            and (other.dtype, other.device) == (entry.dtype, entry.device)
        ]
        own = known.builtin and entry.predicate is None and builtin_covers(op, entry)
        if (same or own) and not override:
            refuse(
                "registration_failed_error",
                f"{call}: {op.name!r} has a kernel for {entry.dtype} on {entry.device} already; pass a predicate that says when "
                "yours is to run, or override=True",
            )
        known.entries.append(entry)
        changed(op)

    def take_back() -> None:
        if entry in known.entries:
            known.entries[:] = [other for other in known.entries if other is not entry]
        if known.builtin and not known.entries:
            op.kernels = None
        changed(op)

    return take_back


def builtin_covers(op: Op, entry: KernelEntry) -> bool:
    """Whether the row computes by itself what a kernel is registered for."""
    from . import element_types
    from .information import runs

    if entry.dtype in element_types.CUSTOM:
        return False
    return any(
        runs(op, dtype, device)
        for dtype in (runs.dtypes if entry.dtype == ANY else (entry.dtype,))  # type: ignore[attr-defined]
        for device in (("cpu", "webgpu") if entry.device == ANY else (entry.device,))
    )


def check_host_signature(function: Callable, op: Op, call: str) -> None:
    """kernel_signature_mismatch_error unless the function can be called with the op's inputs."""
    count = function.nin if isinstance(function, np.ufunc) else None
    wanted = getattr(op, "inputs", None)
    if wanted is None:
        return
    if count is not None:
        fits = count == wanted
    else:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(*[None] * wanted, **{name: None for name in getattr(op, "scalars", ())}, **out_of(signature))
            fits = True
        except TypeError:
            fits = False
    if not fits:
        given = ", ".join([*INPUT_NAMES[:wanted], *(f"{name}=..." for name in getattr(op, "scalars", ()))])
        refuse(
            "kernel_signature_mismatch_error",
            f"{call}: the kernel cannot be called as kernel({given}), with one array each",
        )


def out_of(signature: inspect.Signature) -> dict:
    return {"out": None} if "out" in signature.parameters else {}


def register_forward(
    op: Any,
    kernel: Any,
    *,
    dtype: Any = ANY,
    device: Any = "cpu",
    predicate: Callable | None = None,
    override: bool = False,
) -> KernelHandle:
    """Register a kernel for an op, a dtype (or several, or "*") and a device (or "*").

    On the cpu and on devices of users' own `kernel` is a function of numpy arrays, one per input, that returns the result
    or writes it to `out`, and gets the op's numbers as keyword arguments. On webgpu it is the text of a WGSL function
    `fn name(i: u32) -> T` which gives element i of the result; it reads element k of the inputs with `load_x(k)`,
    `load_y(k)` ..., numbers with `load_NAME(0u)`, and `size()`, `size_x()` ... are the numbers of elements. Its loops count
    up to what is made of numbers and sizes, so that it is known beforehand that they end. For a dtype of
    the user's own it is a function of tensors of components, written in webtorch, and serves every device.

    `predicate(inputs, attributes)` sees shapes, dtypes and numbers, never values, and says whether the kernel takes the
    call. Kernels with a predicate come before those without, newer before older, the op's own last. Derivatives stay those
    of the op.

    Raises RegistryError with code op_not_found_error, kernel_signature_mismatch_error, dtype_not_found_error,
    invalid_config_error, or registration_failed_error where a kernel is there already and `override` is false.

    >>> import numpy as np
    >>> import webtorch
    >>> short = lambda inputs, attributes: inputs[0].shape[0] < 4
    >>> with webtorch.register_forward("neg", lambda x: np.negative(x) + 100, device="cpu", predicate=short):
    ...     webtorch.neg(webtorch.tensor([1.0, 2.0], device="cpu")).tolist()
    [99.0, 98.0]
    >>> webtorch.neg(webtorch.tensor([1.0, 2.0], device="cpu")).tolist()
    [-1.0, -2.0]
    """
    return _register(op, kernel, "forward", dtype, device, predicate, override, "register_forward")


def register_scalar_forward(
    op: Any,
    kernel: Any,
    *,
    dtype: Any = ANY,
    device: Any = "cpu",
    predicate: Callable | None = None,
    override: bool = False,
    with_number: bool = False,
) -> ScalarKernelHandle:
    """Register a scalar kernel: one expression per element, for an elementwise op.

    On webgpu it is a WGSL expression over `{x}`, `{y}` ... (the inputs) and the op's numbers by their names; it fuses with
    its neighbours. Elsewhere it is a function of numpy arrays, or of numbers: what it does to one element it does to all.
    With `with_number` it serves only calls in which an input is a number, torch.js's tensor-with-scalar form.

    Raises as `register_forward`, and op_kind_mismatch_error for an op that is not elementwise.

    >>> import webtorch
    >>> with webtorch.register_scalar_forward("add", lambda x, y: x + 10 * y, device="cpu", override=True, with_number=True):
    ...     (webtorch.tensor([1.0], device="cpu") + 2).item()
    21.0
    """
    if with_number:
        outer = predicate

        def predicate(inputs: tuple, attributes: dict) -> bool:
            numbers = any(not isinstance(value, TensorMeta) for value in inputs)
            return numbers and (outer is None or holds_outer(outer, inputs, attributes))

    return _register(op, kernel, "scalar", dtype, device, predicate, override, "register_scalar_forward")


def holds_outer(outer: Callable, inputs: tuple, attributes: dict) -> bool:
    return bool(outer(inputs, attributes))


def _register(
    op: Any, kernel: Any, kind: str, dtype: Any, device: Any, predicate: Callable | None, override: bool, name: str
) -> Any:
    call = f"{name}({getattr(op, 'name', op)!r}, dtype={dtype!r}, device={device!r})"
    row = rows(op, call)
    names, place = dtype_names(dtype, call), device_name(device, call)
    if predicate is not None:
        check_callable(predicate, call, "predicate")
    if kind == "scalar" and not isinstance(row, Elementwise):
        refuse(
            "op_kind_mismatch_error",
            f"{call}: {row.name!r} is not elementwise, so it has no scalar kernels; use register_forward",
        )
    undo = []
    try:
        for each in names:
            entry = KernelEntry(
                op=row.name, dtype=each, device=place, kind=kind, kernel=kernel, predicate=predicate,
                row=row_for(row, kernel, kind, each, place, call), number=next(_numbers),
            )  # fmt: skip
            undo.append(add(row, entry, override, call))
    except BaseException:
        for take_back in undo:
            take_back()
        raise
    made = ScalarKernelHandle if kind == "scalar" else KernelHandle

    def take_all_back() -> None:
        for take_back in undo:
            take_back()

    return made(f"{row.name} for {', '.join(names)} on {place}", take_all_back)


def row_for(row: Op, kernel: Any, kind: str, dtype: str, device: str, call: str) -> Any:
    """The row that computes by a kernel."""
    from . import element_types

    label = f"for {dtype} on {device}"
    if dtype in element_types.CUSTOM:
        return check_callable(kernel, call, "the kernel")
    if device != "webgpu":
        if device == ANY:
            refuse(
                "invalid_config_error",
                f"{call}: a kernel is for one device; '*' is for kernels of a dtype of your own, which are written in webtorch",
            )
        check_host_signature(check_callable(kernel, call, "the kernel"), row, call)
        return HostKernel(row, label, kernel)
    inputs = list(INPUT_NAMES[: getattr(row, "inputs", None) or 4])
    scalars = list(getattr(row, "scalars", {}))
    if kind == "scalar":
        return ExpressionKernel(row, label, check_expression(kernel, [*inputs, *scalars, "i"], call))  # type: ignore[arg-type]
    name, source = check_function(kernel, [*inputs, *scalars], call)
    index = source[source.index("(") + 1 : source.index(":")].strip()
    sizes = {"size", *(f"size_{letter}" for letter in inputs)}
    return FunctionKernel(row, label, name, source, find_loops(source, index, sizes, call))


# ---- looking up -----------------------------------------------------------------------------------------------------


class KernelRegistry:
    """All kernels that users registered, by op, dtype and device. There is one, `webtorch.registry.kernel_registry`."""

    def find(self, op: Any, dtype: Any, device: Any, kind: str | None = None) -> list[KernelEntry]:
        row = TABLE.get(getattr(op, "name", op))
        if row is None or row.kernels is None:
            return []
        name, place = dtype_name(dtype, "getKernel"), device_name(device, "getKernel")
        return [
            entry for entry in reversed(row.kernels.entries) if entry.fits(name, place) and kind in (None, entry.kind)
        ]

    def list(self) -> list[KernelEntry]:
        return [entry for row in TABLE.values() if row.kernels is not None for entry in row.kernels.entries]

    def __len__(self) -> int:
        return len(self.list())


kernel_registry = KernelRegistry()


def has_kernel(op: Any, dtype: Any = "float32", device: Any = "cpu") -> bool:
    """Whether an op can be computed in a dtype on a device, by itself or by a registered kernel.

    >>> import webtorch
    >>> webtorch.has_kernel("tanh", "float32", "cpu"), webtorch.has_kernel("no_such_op")
    (True, False)
    """
    from .information import runs

    row = TABLE.get(getattr(op, "name", op))
    if row is None:
        return False
    name, place = dtype_name(dtype, "has_kernel"), device_name(device, "has_kernel")
    return bool(kernel_registry.find(op, dtype, device)) or runs(row, name, place)


def getKernel(op: Any, dtype: Any = "float32", device: Any = "cpu") -> Any:
    """The kernel that computes an op: the `KernelEntry` of a registered one (the newest), or the op's own row.

    Raises RegistryError (op_not_found_error, kernel_not_registered_error).

    >>> import webtorch
    >>> webtorch.getKernel("tanh")
    <op webtorch.tanh>
    """
    from .information import runs

    call = f"getKernel({getattr(op, 'name', op)!r}, {dtype!r}, {device!r})"
    row = rows(op, call)
    found = kernel_registry.find(row, dtype, device, "forward") or kernel_registry.find(row, dtype, device)
    if found:
        return found[0]
    if runs(row, dtype_name(dtype, call), device_name(device, call)):
        return row
    raise coded_error(
        "kernel_not_registered_error",
        f"{call}: there is none; register one with register_forward or register_scalar_forward",
    )


def getScalarKernel(op: Any, dtype: Any = "float32", device: Any = "cpu") -> Any:
    """The scalar kernel of an elementwise op: the `KernelEntry` of a registered one, or the row's own expression or numpy.

    Raises RegistryError (op_not_found_error, op_kind_mismatch_error, kernel_not_registered_error).

    >>> import webtorch
    >>> webtorch.getScalarKernel("tanh", device="webgpu")
    'wt_tanh({x})'
    """
    from .information import runs

    call = f"getScalarKernel({getattr(op, 'name', op)!r}, {dtype!r}, {device!r})"
    row = rows(op, call)
    if not isinstance(row, Elementwise):
        refuse("op_kind_mismatch_error", f"{call}: {row.name!r} is not elementwise, so it has no scalar kernels")
    found = kernel_registry.find(row, dtype, device, "scalar")
    if found:
        return found[0]
    name, place = dtype_name(dtype, call), device_name(device, call)
    if not runs(row, name, place):
        raise coded_error(
            "kernel_not_registered_error", f"{call}: there is none; register one with register_scalar_forward"
        )
    from ..dtypes import as_dtype

    return row.expression(row.rule(as_dtype(name), call)[0]) if place == "webgpu" else row.numpy


def hasScalarKernel(op: Any, dtype: Any = "float32", device: Any = "cpu") -> bool:
    """Whether `getScalarKernel` would find one.

    >>> import webtorch
    >>> webtorch.hasScalarKernel("tanh"), webtorch.hasScalarKernel("sum")
    (True, False)
    """
    try:
        getScalarKernel(op, dtype, device)
    except RegistryError:
        return False
    return True


def findKernelWithPredicate(
    op: Any, dtype: Any, device: Any, inputs: tuple = (), attributes: dict | None = None
) -> Any:
    """The registered kernel that would compute a call with these inputs (tensors, `TensorMeta`s or numbers), after asking
    the predicates; None when the op's own would.

    >>> import webtorch
    >>> webtorch.findKernelWithPredicate("neg", "float32", "cpu", (webtorch.ones(2, device="cpu"),)) is None
    True
    """
    from ..tensor import Tensor

    row = rows(op, "findKernelWithPredicate")
    if row.kernels is None:
        return None
    metas = tuple(TensorMeta(value._shape, value.dtype) if isinstance(value, Tensor) else value for value in inputs)
    return row.kernels.find(
        dtype_name(dtype, "findKernelWithPredicate"), device_name(device, "findKernelWithPredicate"), metas, attributes
    )


def list_kernels(
    op: Any = None, *, dtype: Any = None, device: Any = None, kind: str | None = None
) -> list[KernelEntry]:
    """The kernels that users registered, filtered by op, dtype, device and kind ("forward" or "scalar").

    >>> import webtorch
    >>> with webtorch.register_scalar_forward("neg", lambda x: -x, dtype="float32", override=True):
    ...     [(entry.op, entry.dtype, entry.device) for entry in webtorch.list_kernels("neg")]
    [('neg', 'float32', 'cpu')]
    """
    wanted = None if op is None else rows(op, "list_kernels").name
    names = None if dtype is None else dtype_names(dtype, "list_kernels")
    place = None if device is None else device_name(device, "list_kernels")
    return [
        entry
        for entry in kernel_registry.list()
        if wanted in (None, entry.op)
        and (names is None or entry.dtype in (ANY, *names))
        and (place is None or entry.device in (ANY, place))
        and kind in (None, entry.kind)
    ]
