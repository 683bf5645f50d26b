"""New elementwise ops from outside the package: rows like those built in, with the kernels that users give."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..ops import INPUT_NAMES, TABLE
from ..ops.elementwise import Elementwise, comparison, floating, same
from . import functions, gradients, kernels
from .handles import Handle, OpHandle, check_callable, check_name, check_options, dtype_names, lock, refuse

RULES = {"same": same, "float": floating, "bool": comparison}

# torch.js's spelling of the options.
CAMEL = {
    "cpuInt32": "cpu_int32", "shaderEntry": "shader", "setupContext": "setup_context", "saveForBackward": "save_for_backward",
    "tensorMethod": "tensor_method",
}  # fmt: skip


class Registered(Elementwise):
    """A row that a user made: it can compute only what kernels were registered for."""

    registered = True

    def __init__(self, name: str, *, inputs: int, vjp: tuple | None, rule: Callable, scalars: dict, doc: str) -> None:
        super().__init__(
            name, wgsl="", inputs=inputs, dtype=rule, scalars=scalars, vjp=vjp, doc=doc, method=False, inplace=False
        )
        self.kernels = kernels.OpKernels(self, builtin=False)
        if vjp is None:
            self.vjp = gradients.MISSING
            self.gradients = gradients.OpGradients(self)

    def evaluate(self, node: Any, arrays: list) -> Any:
        self.kernels.choose(node.args, node.attributes, node.shape, node.dtype, node.device)  # says what is missing
        raise AssertionError("a registered op is computed by its kernels")

    def expression(self, compute: Any) -> str | None:
        entry = self.kernels.find(compute.name, "webgpu")
        return getattr(entry.row, "template", None) if entry is not None else None


def spelled(config: Mapping, function: Callable, call: str) -> dict:
    """A configuration given as a dict, torch.js's spelling included, as keyword arguments of `function`."""
    given = {CAMEL.get(key, key): value for key, value in config.items()}
    check_options(given, inspect.signature(function).parameters, call)
    return given


def registerUnaryOp(
    op: Any,
    cpu: Callable | None = None,
    shader: str | None = None,
    *,
    cpu_int32: Callable | None = None,
    dtypes: Any = ("float32", "int32"),
    backward: Callable | None = None,
    setup_context: Callable | None = None,
    save_for_backward: str = "inputs",
    vjp: tuple | None = None,
    tensor_method: bool | str = True,
    result: str = "same",
    scalars: dict[str, float] | None = None,
    doc: str = "",
) -> OpHandle:
    """Make an elementwise op of one input: `webtorch.NAME(x)` and `x.NAME()`, with all that built-in ops have.

    `cpu` is a function of numpy arrays (`cpu_int32`, if given, that for int32); `shader` a WGSL expression over `{x}` and the
    names in `scalars`, which are numbers that calls may give as keyword arguments. `dtypes` are those it exists for; `result`
    is "same", "float" (integers become float32) or "bool". The derivative is `backward(ctx, g)`, see `register_backward`, or
    `vjp`, a rule per input as in the op table. Without either a gradient through it raises autograd_not_registered_error.

    May be given one dict with these keys, in torch.js's spelling too. Raises RegistryError: invalid_config_error,
    function_already_registered_error, method_already_registered_error, kernel_signature_mismatch_error,
    dtype_not_found_error.

    >>> import numpy as np
    >>> import webtorch
    >>> bell = webtorch.registerUnaryOp("bell", lambda x: np.exp(-x * x), "wt_exp(-{x} * {x})",
    ...                                 vjp=(lambda g, out, x: g * -2 * x * out,))
    >>> x = webtorch.tensor([0.0, 1.0], requires_grad=True)
    >>> webtorch.bell(x).sum().backward()
    >>> x.bell(), x.grad
    (tensor([1.0000, 0.3679], grad_fn=<BellBackward0>), tensor([-0.0000, -0.7358]))
    >>> bell.remove()
    """
    if isinstance(op, Mapping):
        return registerUnaryOp(**spelled(op, registerUnaryOp, "registerUnaryOp"))
    return _register(
        "registerUnaryOp", 1, op, cpu, shader, cpu_int32, dtypes, backward, setup_context, save_for_backward, vjp,
        tensor_method, result, scalars, doc,
    )  # fmt: skip


def registerBinaryOp(
    op: Any,
    cpu: Callable | None = None,
    shader: str | None = None,
    *,
    cpu_int32: Callable | None = None,
    dtypes: Any = ("float32", "int32"),
    backward: Callable | None = None,
    setup_context: Callable | None = None,
    save_for_backward: str = "inputs",
    vjp: tuple | None = None,
    tensor_method: bool | str = True,
    result: str = "same",
    scalars: dict[str, float] | None = None,
    doc: str = "",
) -> OpHandle:
    """Make an elementwise op of two inputs, which broadcast and promote: `webtorch.NAME(x, y)` and `x.NAME(y)`. The arguments
    are those of `registerUnaryOp`; the expression is over `{x}` and `{y}`.

    >>> import numpy as np
    >>> import webtorch
    >>> with webtorch.registerBinaryOp("gap", lambda x, y: np.abs(x - y), "abs({x} - {y})"):
    ...     webtorch.gap(webtorch.tensor([1.0, 5.0]), 3)
    tensor([2., 2.])
    """
    if isinstance(op, Mapping):
        return registerBinaryOp(**spelled(op, registerBinaryOp, "registerBinaryOp"))
    return _register(
        "registerBinaryOp", 2, op, cpu, shader, cpu_int32, dtypes, backward, setup_context, save_for_backward, vjp,
        tensor_method, result, scalars, doc,
    )  # fmt: skip


def _register(
    caller: str, inputs: int, name: Any, cpu: Any, shader: Any, cpu_int32: Any, dtypes: Any, backward: Any, setup_context: Any,
    save: str, vjp: Any, tensor_method: Any, result: str, scalars: Any, doc: str,
) -> OpHandle:  # fmt: skip
    check_name(name, caller)
    call = f"{caller}({name!r})"
    if cpu is None and shader is None:
        refuse(
            "invalid_config_error",
            f"{call}: give cpu, a function of numpy arrays, or shader, a WGSL expression, or both",
        )
    if result not in RULES:
        refuse("invalid_config_error", f"{call}: result={result!r}; it is one of {', '.join(map(repr, RULES))}")
    if vjp is not None and backward is not None:
        refuse("invalid_config_error", f"{call}: give backward or vjp, not both")
    if vjp is not None and (not isinstance(vjp, tuple) or len(vjp) != inputs):
        refuse("autograd_gradient_mismatch_error", f"{call}: vjp must be a tuple of {inputs} rules, one per input")
    if not isinstance(doc, str):
        refuse("invalid_config_error", f"{call}: doc must be a string, not {type(doc).__name__}")
    scalars = dict(scalars or {})
    for scalar, value in scalars.items():
        check_name(scalar, f"{call}: scalars")
        if scalar in (*INPUT_NAMES, "i", "t", "g", "out") or not isinstance(value, (bool, int, float)):
            refuse(
                "invalid_config_error", f"{call}: the scalar {scalar!r} must be a number, and not be named as an input"
            )
    for rule in vjp or ():
        known = {"g", "out", *INPUT_NAMES, *scalars, *(f"{letter}_shape" for letter in INPUT_NAMES)}
        if rule is not None:
            strange = [
                each
                for each in inspect.signature(check_callable(rule, call, "a rule of vjp")).parameters
                if each not in known
            ]
            if strange:
                refuse(
                    "invalid_config_error",
                    f"{call}: a rule names {strange[0]!r}; rules may name {', '.join(sorted(known))}",
                )
    if cpu_int32 is not None:
        check_callable(cpu_int32, call, "cpu_int32")
    names = dtype_names(dtypes, call)
    parts: list[Handle] = []
    with lock:
        functions.check_free(name, call)
        method = tensor_method if isinstance(tensor_method, str) else name
        if tensor_method:
            check_name(method, call)
            functions.check_method_free(method, call)
        row = Registered(name, inputs=inputs, vjp=vjp, rule=RULES[result], scalars=scalars, doc=doc)

        def take_back() -> None:
            for part in reversed(parts):
                part.remove()
            if TABLE.get(name) is row:
                del TABLE[name]

        try:
            if cpu is not None:
                plain = tuple(each for each in names if each != "int32") if cpu_int32 is not None else names
                if plain:
                    parts.append(kernels.register_scalar_forward(name, cpu, dtype=plain, device="cpu"))
                if cpu_int32 is not None and ("int32" in names or "*" in names):
                    parts.append(kernels.register_scalar_forward(name, cpu_int32, dtype="int32", device="cpu"))
            if shader is not None:
                parts.append(kernels.register_scalar_forward(name, shader, dtype=names, device="webgpu"))
            if backward is not None:
                parts.append(
                    gradients.register_backward(name, backward, setup_context=setup_context, save_for_backward=save)
                )
            parts.append(functions.register_function(name, row))
            if tensor_method:
                parts.append(functions.register_method(method, row))
        except BaseException:
            take_back()
            raise
    return OpHandle(name, take_back, row)
