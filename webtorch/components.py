"""Tensors whose elements have several components, of dtypes that users registered (see `webtorch.register_dtype`).

A `ComponentTensor` holds a tensor of its components, with one dimension more. Moving elements moves that tensor; an op runs
the function that was registered for the dtype, and raises where there is none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NoReturn

from . import dtypes
from .errors import DTypeError, coded_error
from .shapes import normalize_dim, numel
from .tensor import Size, Tensor

CUSTOM: dict[str, CustomDType] = {}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CustomDType:
    """A dtype that a user registered: `components` numbers of `component_type` per element."""

    name: str
    components: int
    component_type: dtypes.dtype
    zero: tuple[float, ...]
    layout: str
    promotes_from: tuple[str, ...]
    promotes_to: str | None
    component_names: tuple[str, ...] | None
    allow_component_view: bool
    display: Callable | None
    serialization: Any

    is_floating_point = False
    is_complex = False
    is_signed = True
    kind = "components"

    @property
    def itemsize(self) -> int:
        return self.components * self.component_type.itemsize

    def __repr__(self) -> str:
        return f"webtorch.{self.name}"

    def from_components(self, tensor: Tensor) -> ComponentTensor:
        """The tensor whose components lie along the last dimension of `tensor`, which it shares memory with unless they
        have to be converted or are kept apart (planar)."""
        if not isinstance(tensor, Tensor) or not tensor.ndim or tensor._shape[-1] != self.components:
            shape = list(tensor._shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise coded_error(
                "dtype_components_mismatch_error",
                f"{self.name}: elements have {self.components} components, so the last dimension must have that size; got {shape}",
            )
        if tensor.dtype is not self.component_type:
            tensor = tensor.to(self.component_type)
        if self.layout == "planar" and tensor.ndim > 1:
            tensor = tensor.movedim(-1, 0).contiguous().movedim(0, -1)
        return ComponentTensor(tensor, self)

    def __reduce__(self) -> tuple:
        return known, (self.name,)


def known(name: str) -> CustomDType:
    """The registered dtype of a name, for unpickling."""
    if name not in CUSTOM:
        raise coded_error("dtype_not_found_error", f"the dtype {name!r} is not registered; register it before loading")
    return CUSTOM[name]


def custom(wanted: Any) -> CustomDType | None:
    """The registered dtype that an argument `dtype=` means, if it means one."""
    if isinstance(wanted, CustomDType):
        return wanted
    return CUSTOM.get(wanted.removeprefix("webtorch.")) if isinstance(wanted, str) else None


def make(data: Any, kind: CustomDType, device: Any, requires_grad: bool) -> ComponentTensor:
    """`webtorch.tensor(data, dtype=kind)`."""
    from . import creation

    if isinstance(data, ComponentTensor):
        data = data.components()
    inner = creation.tensor(data, dtype=kind.component_type, device=device)
    return kind.from_components(inner).requires_grad_(requires_grad)


def full_of_zeros(shape: tuple, kind: CustomDType, device: Any, requires_grad: bool) -> ComponentTensor:
    """`webtorch.zeros(shape, dtype=kind)`: every element is the dtype's zero."""
    from . import creation

    zero = creation.tensor(kind.zero, dtype=kind.component_type, device=device)
    return kind.from_components(zero.expand((*shape, kind.components)).clone()).requires_grad_(requires_grad)


def among(values: Any) -> bool:
    """Whether a tensor of a registered dtype is among the arguments of a call."""
    for value in values:
        if type(value) is ComponentTensor:
            return True
        if type(value) in (list, tuple) and any(type(each) is ComponentTensor for each in value):
            return True
    return False


def call(op: Any, args: tuple, given: dict) -> ComponentTensor:
    """An op on tensors of a registered dtype: by the function that was registered for it."""
    from .shape_evaluation import TensorMeta

    kinds = [value.dtype for value in args if type(value) is ComponentTensor]
    kind = kinds[0]
    for other in kinds[1:]:
        if other is not kind:
            kind = joined(kind, other, op.name)
    tensors = [value for value in args if isinstance(value, Tensor)]
    device = tensors[0].device
    metas = tuple(TensorMeta(value._shape, value.dtype) if isinstance(value, Tensor) else value for value in args)
    entry = op.kernels.find(kind.name, device.type, metas, given) if op.kernels is not None else None
    if entry is None or entry.dtype != kind.name:
        method = vars(ComponentTensor).get(op.method_name)
        if method is not None and type(args[0]) is ComponentTensor:
            return method(*args, **given)
        raise missing(op.name, kind)
    inner = [embedded(value, kind, device, op.name) for value in args]
    result = entry.row(*inner, **given)
    return kind.from_components(result)


def missing(name: str, kind: CustomDType) -> Exception:
    return coded_error(
        "kernel_not_registered_error",
        f"{name}: no kernel for {kind.name}; register one with register_forward({name!r}, function of tensors of components, "
        f"dtype={kind.name!r}, device='*')",
    )


def joined(a: CustomDType, b: CustomDType, call: str) -> CustomDType:
    """The dtype that two become in one call."""
    if a.promotes_to == b.name:
        return b
    if b.promotes_to == a.name:
        return a
    raise DTypeError(f"{call}: {a.name} and {b.name} do not combine; convert one, or register promotes_to")


def embedded(value: Any, kind: CustomDType, device: Any, call: str) -> Any:
    """An argument as a tensor of `kind`'s components."""
    from . import creation

    if type(value) is ComponentTensor:
        inner, rest = value.components(), kind.components - value.dtype.components
        if rest:
            tail = creation.tensor(kind.zero[-rest:], dtype=kind.component_type, device=inner.device)
            inner = creation.TABLE["_cat"](
                [inner.to(kind.component_type), tail.expand((*value._shape, rest))], inner.ndim - 1
            )
        return inner
    if isinstance(value, bool) or not isinstance(value, (int, float, Tensor)):
        return value
    source = value.dtype.name if isinstance(value, Tensor) else kind.component_type.name
    if source not in kind.promotes_from:
        allowed = ", ".join(kind.promotes_from) or "nothing"
        raise DTypeError(f"{call}: {source} does not become {kind.name}, which takes {allowed}: see promotes_from")
    first = value if isinstance(value, Tensor) else creation.full((), value, dtype=kind.component_type, device=device)
    first = first.to(kind.component_type).unsqueeze(-1)
    if kind.components == 1:
        return first
    tail = creation.tensor(kind.zero[1:], dtype=kind.component_type, device=first.device)
    return creation.TABLE["_cat"]([first, tail.expand((*first._shape[:-1], kind.components - 1))], first.ndim - 1)


class ComponentTensor(Tensor):
    """A tensor of a registered dtype. `components()` is the tensor of its components, along the last dimension."""

    _inner: Tensor
    _kind: CustomDType

    def __new__(cls, inner: Tensor, kind: CustomDType) -> ComponentTensor:
        made = object.__new__(cls)
        made._inner = inner
        made._kind = kind
        made._shape = inner._shape[:-1]
        return made

    def __init__(self, inner: Tensor, kind: CustomDType) -> None:
        pass

    @property
    def _storage(self) -> NoReturn:  # type: ignore[override]
        raise missing("a function that has no kernel for tensors of components", self._kind)

    _strides = _offset = _storage  # type: ignore[assignment]

    def _array(self) -> NoReturn:
        raise missing("a function that has no kernel for tensors of components", self._kind)

    def _operand(self) -> NoReturn:
        raise missing("a function that has no kernel for tensors of components", self._kind)

    def __getattr__(self, name: str) -> Any:
        kind = self.__dict__.get("_kind")
        if kind is not None and kind.component_names and name in kind.component_names:
            return self._inner.select(-1, kind.component_names.index(name))
        raise AttributeError(f"'Tensor' object of dtype {kind!r} has no attribute {name!r}")

    def components(self) -> Tensor:
        """The components along the last dimension: a view, through which gradients flow."""
        return self._inner

    @property
    def dtype(self) -> CustomDType:  # type: ignore[override]
        return self._kind

    @property
    def device(self) -> Any:
        return self._inner.device

    @property
    def requires_grad(self) -> bool:
        return self._inner.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> ComponentTensor:
        if requires_grad or self._inner.requires_grad:
            self._inner.requires_grad_(requires_grad)
        return self

    @property
    def grad(self) -> ComponentTensor | None:
        return None if self._inner.grad is None else ComponentTensor(self._inner.grad, self._kind)

    @grad.setter
    def grad(self, value: ComponentTensor | None) -> None:
        self._inner.grad = None if value is None else value.components()

    @property
    def grad_fn(self) -> Any:
        return self._inner.grad_fn

    @property
    def is_leaf(self) -> bool:
        return self._inner.is_leaf

    def backward(self, gradient: Any = None, **given: Any) -> None:
        self._inner.backward(gradient.components() if isinstance(gradient, ComponentTensor) else gradient, **given)

    def _moved(self, inner: Tensor) -> ComponentTensor:
        return ComponentTensor(inner, self._kind)

    def _dim(self, dim: int, extra: int = 0) -> int:
        return normalize_dim(dim, self.ndim + extra, "dim")

    def detach(self) -> ComponentTensor:
        return self._moved(self._inner.detach())

    def clone(self, **given: Any) -> ComponentTensor:
        return self._moved(self._inner.clone(**given))

    def contiguous(self, **given: Any) -> ComponentTensor:
        return self._moved(self._inner.contiguous())

    def to(self, device: Any = None, dtype: Any = None, **given: Any) -> ComponentTensor:
        """This tensor on another device. Other dtypes are not converted to: take `components()`."""
        if custom(device) is self._kind:
            device = None
        if (
            dtype is not None
            and custom(dtype) is not self._kind
            or custom(device) is not None
            or isinstance(device, dtypes.dtype)
        ):
            raise DTypeError(f"to(): {self._kind.name} is not converted; take .components() and convert those")
        return self if device is None else self._moved(self._inner.to(device))

    def cpu(self) -> ComponentTensor:
        return self.to("cpu")

    def numpy(self, *, force: bool = False) -> Any:
        """The components as a numpy array, along its last dimension."""
        return self._inner.numpy(force=force)

    def tolist(self) -> list:
        return self._inner.tolist()

    def item(self) -> tuple:  # type: ignore[override]
        """The components of the only element."""
        if numel(self._shape) != 1:
            raise coded_error(
                "item_error_not_scalar", f"item() of a tensor of shape {list(self._shape)}; index one element first"
            )
        return tuple(self._inner.reshape((-1,)).tolist())

    def reshape(self, *sizes: Any) -> ComponentTensor:
        shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
        if -1 in shape:
            rest = -numel(shape)
            shape = tuple(numel(self._shape) // rest if size == -1 and rest else size for size in shape)
        return self._moved(self._inner.reshape((*shape, self._kind.components)))

    def view(self, *sizes: Any) -> Any:
        """As `reshape`; `view(-1, components)` gives the components where the dtype allows it."""
        shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
        if len(shape) >= 1 and shape[-1] == self._kind.components and numel(shape) != numel(self._shape):
            if not self._kind.allow_component_view:
                raise coded_error(
                    "dtype_components_mismatch_error",
                    f"view({list(shape)}): {self._kind.name} does not lay its components open; register it with "
                    "allow_component_view=True, or take .components()",
                )
            return self._inner.reshape(shape)
        return self.reshape(shape)

    def flatten(self) -> ComponentTensor:
        return self.reshape(numel(self._shape))

    def unsqueeze(self, dim: int) -> ComponentTensor:
        return self._moved(self._inner.unsqueeze(self._dim(dim, 1)))

    def squeeze(self, dim: int | None = None) -> ComponentTensor:
        if dim is None:
            return self.reshape(tuple(size for size in self._shape if size != 1))
        return self._moved(self._inner.squeeze(self._dim(dim)))

    def permute(self, *dims: Any) -> ComponentTensor:
        order = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else tuple(dims)
        return self._moved(self._inner.permute((*(self._dim(dim) for dim in order), self.ndim)))

    def transpose(self, dim0: int, dim1: int) -> ComponentTensor:
        return self._moved(self._inner.transpose(self._dim(dim0), self._dim(dim1)))

    def expand(self, *sizes: Any) -> ComponentTensor:
        shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
        return self._moved(self._inner.expand((*shape, self._kind.components)))

    def select(self, dim: int, index: int) -> ComponentTensor:
        return self._moved(self._inner.select(self._dim(dim), index))

    def narrow(self, dim: int, start: int, length: int) -> ComponentTensor:
        return self._moved(self._inner.narrow(self._dim(dim), start, length))

    def index_select(self, dim: int, index: Tensor) -> ComponentTensor:
        return self._moved(self._inner.index_select(self._dim(dim), index))

    def unbind(self, dim: int = 0) -> tuple:
        return tuple(self._moved(part) for part in self._inner.unbind(self._dim(dim)))

    def _opened(self, index: Any) -> tuple:
        return (
            ((*index,) if isinstance(index, tuple) else (index,))
            + (
                ()
                if any(each is Ellipsis for each in (index if isinstance(index, tuple) else (index,)))
                else (Ellipsis,)
            )
            + (slice(None),)
        )

    def __getitem__(self, index: Any) -> ComponentTensor:
        return self._moved(self._inner[self._opened(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._inner[self._opened(index)] = embedded(value, self._kind, self.device, "assigning")

    def __repr__(self) -> str:
        kind = self._kind
        if kind.display is None:
            text = repr(self._inner.detach())
            end = text.rfind(")") if ", device=" not in text else text.index(", device=")
            suffix = f", dtype={kind!r}" + (f", device='{self.device}'" if ", device=" in text else "")
            body = text[:end]
        else:
            body = "tensor(" + displayed(self._inner.detach().tolist(), self.ndim, kind.display)
            suffix = f", dtype={kind!r}"
        if self.grad_fn is not None:
            suffix += f", grad_fn=<{self.grad_fn.name()}>"
        elif self.requires_grad:
            suffix += ", requires_grad=True"
        return body + suffix + ")"

    def __reduce__(self) -> tuple:
        return unpickled, (self._kind, self._inner.detach(), self.requires_grad)

    def __deepcopy__(self, memo: dict) -> ComponentTensor:
        return self._moved(self._inner.__deepcopy__(memo))


def unpickled(kind: CustomDType, inner: Tensor, requires_grad: bool) -> ComponentTensor:
    return ComponentTensor(inner, kind).requires_grad_(requires_grad)


def displayed(values: list, depth: int, display: Callable) -> str:
    if depth == 0:
        return str(display(*values))
    return "[" + ", ".join(displayed(value, depth - 1, display) for value in values) + "]"


def concatenated(function: Callable, tensors: Any, dim: int, extra: int = 0) -> ComponentTensor:
    """`cat` and `stack` of tensors of one registered dtype."""
    kinds = {tensor.dtype if isinstance(tensor, ComponentTensor) else None for tensor in tensors}
    if len(kinds) != 1:
        raise DTypeError("cat: all tensors must be of the same registered dtype; convert the others")
    place = normalize_dim(dim, tensors[0].ndim + extra, function.__name__)
    return tensors[0]._moved(function([tensor.components() for tensor in tensors], place))


__all__ = ["CUSTOM", "ComponentTensor", "CustomDType", "Size"]
