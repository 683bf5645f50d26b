"""What there is: ops and what is known of each, built in or registered, and the report of what runs where."""

from __future__ import annotations

import functools
from typing import Any

from .. import codegen, dtypes
from ..errors import DTypeError
from ..ops import TABLE, Op
from ..ops import activation as _activation
from ..ops import binary as _binary
from ..ops import unary as _unary
from ..ops.elementwise import Elementwise
from ..ops.matmul import Contract
from ..ops.reduce import Reduce
from ..ops.view import View
from .handles import ANY, rows

ALIASES: dict[str, str] = {}
for _module in (_unary, _binary, _activation):
    ALIASES.update(_module.ALIASES)

KINDS = ("unary", "binary", "ternary", "reduction", "shape", "matrix", "creation", "other")


def kind_of(row: Op) -> str:
    """Which of `KINDS` a row is of."""
    if isinstance(row, Elementwise):
        return {0: "creation", 1: "unary", 2: "binary"}.get(row.inputs, "ternary")
    if isinstance(row, Reduce):
        return "reduction"
    if isinstance(row, View):
        return "shape"
    if isinstance(row, Contract):
        return "matrix"
    return "creation" if type(row).__name__ == "Fill" else "other"


def kind_of_function(name: str) -> str | None:
    """ "function" for a public function that is no row of the op table."""
    from .functions import hasFunction

    return "function" if name not in TABLE and hasFunction(name) else None


def runs(row: Op, dtype: str, device: str) -> bool:
    """Whether a row computes a dtype on a device by itself, without registered kernels."""
    from ..elsewhere import CUSTOM

    if getattr(row, "registered", False):
        return False
    if dtype == ANY or device == ANY:
        return any(
            runs(row, each, where)
            for each in (runs.dtypes if dtype == ANY else (dtype,))  # type: ignore[attr-defined]
            for where in (("cpu", "webgpu") if device == ANY else (device,))
        )
    wanted = dtypes._BY_NAME.get(dtype)
    if wanted is None:
        return False
    if device not in ("cpu", "webgpu", "meta") and device not in CUSTOM:
        return False
    if isinstance(row, Elementwise):
        try:
            compute, result = row.rule(wanted, row.name)
        except DTypeError:
            return False
        if device != "webgpu":
            return row.numpy is not None
        template = row.expression(compute)
        if template is None or compute not in codegen.COMPUTE or result not in codegen.COMPUTE:
            return False
        return compute is not dtypes.float64 or not codegen.missing_functions(template, "f64")
    from .coverage import measured

    found = measured().get(row.name)
    if found is not None and device in ("cpu", "webgpu"):
        return dtype in found[device]
    return device != "webgpu" or wanted in codegen.COMPUTE


runs.dtypes = tuple(each.name for each in dtypes.ALL)  # type: ignore[attr-defined]


def list_ops(*, kind: str | None = None, custom: bool = False, private: bool = False) -> list[str]:
    """The names of the ops, the rows of the op table; of one kind ("unary", "binary", "ternary", "reduction", "shape",
    "matrix", "creation", "other"), or with `custom` only those that users registered.

    >>> import webtorch
    >>> "tanh" in webtorch.list_ops(kind="unary"), webtorch.list_ops(custom=True)
    (True, [])
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"list_ops(kind={kind!r}): the kinds are {', '.join(KINDS)}")
    return sorted(
        name
        for name, row in TABLE.items()
        if (private or not name.startswith("_"))
        and (kind is None or kind_of(row) == kind)
        and (not custom or getattr(row, "registered", False))
    )


def get_op_info(op: Any) -> dict[str, Any]:
    """What is known of an op: name, kind, inputs, scalars (with their defaults), doc, whether it is differentiable and a
    method, whether a user registered it, its aliases, the dtypes it has on each device, its registered kernels.

    Raises RegistryError (op_not_found_error, op_kind_mismatch_error for a function that is no op).

    >>> import webtorch
    >>> info = webtorch.get_op_info("lerp")
    >>> info["kind"], info["inputs"], info["differentiable"]
    ('ternary', 3, True)
    """
    from . import gradients
    from .functions import hasMethod

    row = rows(op, f"get_op_info({getattr(op, 'name', op)!r})")
    entries = row.kernels.entries if row.kernels is not None else []
    devices = sorted({"cpu", "webgpu"} | {entry.device for entry in entries if entry.device != ANY})
    return {
        "name": row.name,
        "kind": kind_of(row),
        "inputs": getattr(row, "inputs", None),
        "scalars": dict(getattr(row, "scalars", {}) or {}),
        "doc": (row.__doc__ or "").strip().split("\n")[0],
        "differentiable": gradients.has_autograd(row.name),
        "method": hasMethod(row.method_name),
        "custom": bool(getattr(row, "registered", False)),
        "aliases": sorted(alias for alias, name in ALIASES.items() if name == row.name),
        "dtypes": {device: supported(row, device) for device in devices},
        "kernels": list(entries),
    }


def supported(row: Op, device: str) -> list[str]:
    """The dtypes in which an op can be computed on a device, by itself or by registered kernels."""
    entries = row.kernels.entries if row.kernels is not None else []
    names = [*runs.dtypes, *sorted({entry.dtype for entry in entries} - {ANY, *runs.dtypes})]  # type: ignore[attr-defined]
    return [name for name in names if runs(row, name, device) or any(entry.fits(name, device) for entry in entries)]


@functools.cache
def function_kinds() -> dict[str, str]:
    """For each name in the namespace whether it is an "op" or a "function" made of ops."""
    from .functions import list_functions

    return {name: "op" if name in TABLE or name in ALIASES else "function" for name in list_functions()}
