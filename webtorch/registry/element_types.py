"""Dtypes of users' own: elements of several components, such as quaternions, with the arithmetic that users register.

A tensor of such a dtype is a tensor of its components with one dimension more, the last. What it does with them is said by
functions of such tensors, written in webtorch: they run on every device, fuse and differentiate.
"""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from .. import components, dtypes
from ..components import CUSTOM, ComponentTensor, CustomDType
from ..dtypes import dtype as DType
from ..errors import DTypeError, RegistryError, coded_error, did_you_mean
from .handles import DTypeHandleImpl, check_callable, check_name, lock, refuse

LAYOUTS = ("interleaved", "planar")


def register_dtype(
    name: Any,
    components: int | None = None,
    component_type: Any = "float32",
    *,
    zero: Sequence[float] | None = None,
    layout: str = "interleaved",
    promotes_from: Sequence[Any] = (),
    promotes_to: Any = None,
    component_names: Sequence[str] | None = None,
    allow_component_view: bool = False,
    display: Callable | None = None,
    serialization: Any = None,
) -> DTypeHandleImpl:
    """Register a dtype whose elements are `components` numbers of `component_type`: a quaternion is 4 of float32.

    Tensors of it are made with `webtorch.tensor(nested lists, dtype=NAME)`, `webtorch.zeros(shape, dtype=NAME)`, or
    `handle.dtype.from_components(tensor)`. Moving, indexing and reshaping them works as for any tensor; arithmetic must be
    registered: `register_forward("mul", lambda x, y: ..., dtype=NAME, device="*")` gets and gives tensors of components.
    Elements of the dtypes in `promotes_from`, and numbers if the component type is among them, stand for their value in the
    first component; `promotes_to` names a registered dtype with as many components or more that this one becomes in mixed
    company. `component_names` gives attributes (`t.w`); `allow_component_view` allows `t.view(-1, components)`;
    `display(*numbers)` says how an element prints. `layout` says whether `components()` lie together or apart.

    Raises RegistryError: invalid_config_error, dtype_already_registered_error, dtype_components_mismatch_error where `zero`
    or `component_names` have another number of entries, dtype_not_found_error.

    >>> import webtorch
    >>> with webtorch.register_dtype("pair_f32", 2, "float32", component_names=("a", "b")) as handle:
    ...     x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=handle.dtype)
    ...     x.shape, x.dtype, x.b
    (webtorch.Size([2]), webtorch.pair_f32, tensor([2., 4.]))
    """
    if isinstance(name, dict):
        from .handles import check_options

        given = {
            {"componentType": "component_type", "componentNames": "component_names"}.get(k, k): v
            for k, v in name.items()
        }
        check_options(given, inspect.signature(register_dtype).parameters, "register_dtype")
        return register_dtype(given.pop("name", None), **given)
    call = f"register_dtype({name!r})"
    check_name(name, call)
    if not isinstance(components, int) or isinstance(components, bool) or not 1 <= components <= 64:
        refuse("invalid_config_error", f"{call}: components={components!r}; give a number from 1 to 64")
    if layout not in LAYOUTS:
        refuse("invalid_config_error", f"{call}: layout={layout!r}; it is one of {', '.join(map(repr, LAYOUTS))}")
    part = built_in(component_type, call)
    zero = tuple([0] * components) if zero is None else tuple(zero)
    if len(zero) != components or not all(isinstance(value, numbers.Real) for value in zero):
        refuse(
            "dtype_components_mismatch_error", f"{call}: zero={zero!r} must be {components} numbers, one per component"
        )
    if component_names is not None:
        component_names = tuple(check_name(each, f"{call}: component_names") for each in component_names)
        if len(component_names) != components or len(set(component_names)) != components:
            refuse(
                "dtype_components_mismatch_error",
                f"{call}: component_names={component_names!r} must be {components} different names, one per component",
            )
        taken = [each for each in component_names if hasattr(ComponentTensor, each)]
        if taken:
            refuse("invalid_config_error", f"{call}: component_names: Tensor.{taken[0]} exists; choose another name")
    if display is not None:
        check_callable(display, call, "display")
    sources = tuple(built_in(each, call).name for each in promotes_from)
    with lock:
        if name in CUSTOM or name in dtypes._BY_NAME:
            refuse("dtype_already_registered_error", f"{call}: there is a dtype of that name already; choose another")
        if promotes_to is not None:
            wider = CUSTOM.get(getattr(promotes_to, "name", promotes_to))
            if wider is None:
                refuse("dtype_not_found_error", f"{call}: promotes_to={promotes_to!r} is not a registered dtype")
            if wider.components < components:
                refuse(
                    "dtype_components_mismatch_error",
                    f"{call}: promotes_to={wider.name!r} has {wider.components} components, fewer than {components}",
                )
            promotes_to = wider.name
        made = CustomDType(
            name=name, components=components, component_type=part, zero=zero, layout=layout, promotes_from=sources,
            promotes_to=promotes_to, component_names=component_names, allow_component_view=bool(allow_component_view),
            display=display, serialization=serialization,
        )  # fmt: skip
        CUSTOM[name] = made

    def take_back() -> None:
        if CUSTOM.get(name) is made:
            del CUSTOM[name]

    return DTypeHandleImpl(name, take_back, made)


def built_in(wanted: Any, call: str) -> DType:
    try:
        return dtypes.as_dtype(wanted)
    except (TypeError, DTypeError) as error:
        raise coded_error("dtype_not_found_error", f"{call}: {error}") from None


class DTypeRegistry:
    """The dtypes that users registered, by name. There is one, `webtorch.registry.dtype_registry`."""

    def get(self, name: Any) -> Any:
        return CUSTOM.get(getattr(name, "name", name))

    def list(self) -> list[str]:
        return list(CUSTOM)


dtype_registry = DTypeRegistry()


def getDType(name: Any) -> Any:
    """The dtype of a name, built in or registered. Raises RegistryError (dtype_not_found_error).

    >>> import webtorch
    >>> webtorch.getDType("float32")
    webtorch.float32
    """
    if isinstance(name, CustomDType):
        name = name.name
    found = CUSTOM.get(name) if isinstance(name, str) else None
    if found is not None:
        return found
    try:
        return dtypes.as_dtype(name)
    except (TypeError, DTypeError) as error:
        hint = did_you_mean(str(name), CUSTOM)
        raise coded_error("dtype_not_found_error", f"getDType({name!r}): {error}{hint}") from None


def validateDType(dtype: Any) -> Any:
    """`getDType`, for checking an argument.

    >>> import webtorch
    >>> webtorch.validateDType("int32")
    webtorch.int32
    """
    return getDType(dtype)


def has_dtype(name: Any) -> bool:
    """Whether there is a dtype of that name, built in or registered.

    >>> import webtorch
    >>> webtorch.has_dtype("float32"), webtorch.has_dtype("float31")
    (True, False)
    """
    try:
        getDType(name)
    except RegistryError:
        return False
    return True


def list_dtypes() -> list[str]:
    """The names of all dtypes, built in and registered.

    >>> import webtorch
    >>> "float32" in webtorch.list_dtypes()
    True
    """
    return [each.name for each in dtypes.ALL] + list(CUSTOM)


def list_custom_dtypes() -> list[str]:
    """The names of the dtypes that users registered.

    >>> import webtorch
    >>> webtorch.list_custom_dtypes()
    []
    """
    return list(CUSTOM)


def get_dtype_info(dtype: Any) -> dict[str, Any]:
    """What is known of a dtype: name, components, component_type, layout, is_builtin, component_names,
    allow_component_view, itemsize. Raises RegistryError (dtype_not_found_error).

    >>> import webtorch
    >>> webtorch.get_dtype_info("float32")["components"]
    1
    """
    found = getDType(dtype)
    if isinstance(found, CustomDType):
        return {
            "name": found.name, "components": found.components, "component_type": found.component_type.name,
            "layout": found.layout, "is_builtin": False, "component_names": found.component_names,
            "allow_component_view": found.allow_component_view, "itemsize": found.itemsize,
        }  # fmt: skip
    parts = 2 if found.is_complex else 1
    part = {"complex64": "float32", "complex128": "float64"}.get(found.name, found.name)
    return {
        "name": found.name, "components": parts, "component_type": part, "layout": "interleaved", "is_builtin": True,
        "component_names": ("real", "imag") if parts == 2 else None, "allow_component_view": parts == 2,
        "itemsize": found.itemsize,
    }  # fmt: skip


__all__ = ["CUSTOM", "ComponentTensor", "CustomDType", "components", "register_dtype"]
