"""Parameters that are functions of others: modules whose forward gives a parameter its value."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ... import grad_mode
from ...tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module, Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_cache_depth = 0
_cache: dict[tuple[int, str], Any] = {}


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """A block in which each parametrized tensor is computed once, however often it is read.

    >>> import webtorch
    >>> layer = webtorch.nn.utils.parametrizations.weight_norm(webtorch.nn.Linear(2, 2))
    >>> with webtorch.nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _cache_depth
    _cache_depth += 1
    try:
        yield
    finally:
        _cache_depth -= 1
        if not _cache_depth:
            _cache.clear()


def as_kept(value: Tensor, like: Any) -> Any:
    """A tensor as what is registered: a parameter where the original was one, else a buffer."""
    return Parameter(value, requires_grad=like.requires_grad) if isinstance(like, Parameter) else value


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied one after the other to `original` (or `original0`, `original1` ...)."""

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        with grad_mode.no_grad():
            new: Any = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        new = module.right_inverse(new)
                    except NotImplementedError:
                        pass
        if not isinstance(new, Tensor) and not isinstance(new, Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got "
                + type(new).__name__
            )
        self.is_tensor = isinstance(new, Tensor)
        new = cast(Any, new)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if original.dtype is not new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            with grad_mode.no_grad():
                if isinstance(original, Parameter) and new is not original:
                    original.data = new.data
            self.keep("original", original if isinstance(original, Parameter) else new, original)
        else:
            for number, value in enumerate(new):
                if not isinstance(value, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element "
                        f"{number} of the sequence with type {type(value).__name__}."
                    )
                self.keep(f"original{number}", as_kept(value, original), original)
        if not unsafe:
            result = self()
            if not isinstance(result, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
            if result.dtype is not original.dtype or result._shape != original._shape:
                raise ValueError(
                    "Registering a parametrization may not change the shape or the dtype of the tensor, unless `unsafe` flag is enabled.\n"
                    f"original: {original.dtype} {tuple(original._shape)}\nparametrized: {result.dtype} {tuple(result._shape)}"
                )

    def keep(self, name: str, value: Any, like: Any) -> None:
        """Register an original."""
        if isinstance(like, Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    def originals(self) -> list[Any]:
        """What the value is computed from."""
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{number}") for number in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the parametrized tensor becomes `value`, by the right inverses of the parametrizations."""
        with grad_mode.no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                new = module.right_inverse(new)
            many = [new] if self.is_tensor else list(new)
            if len(many) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length {len(many)}."
                )
            for kept, one in zip(self.originals(), many, strict=True):
                kept.data = one.data.clone() if one is value else one.data

    def forward(self) -> Tensor:
        result = self[0](*self.originals())
        for module in list(self)[1:]:
            result = module(result)
        return result


def parametrized_class(module: Module) -> type:
    """A subclass of the module's class, of its own, that gets a property per parametrized tensor."""
    kind = type(module)

    def deepcopied(self: Any, memo: dict) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        replica = object.__new__(type(self))
        memo[id(self)] = replica
        replica.__dict__ = copy.deepcopy(self.__dict__, memo)
        return replica

    def no_state(self: Any, protocol: Any = None) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(): save module.state_dict() instead"
        )

    return type(
        f"Parametrized{kind.__name__}",
        (kind,),
        {"__deepcopy__": deepcopied, "__reduce_ex__": no_state, "__module__": kind.__module__, "__doc__": kind.__doc__},
    )


def add_property(module: Module, name: str) -> None:
    def get(self: Any) -> Any:
        place = (id(self), name)
        if _cache_depth:
            if place not in _cache:
                _cache[place] = self.parametrizations[name]()
            return _cache[place]
        return self.parametrizations[name]()

    def put(self: Any, value: Tensor) -> None:
        _cache.pop((id(self), name), None)
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, put))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make a parameter or buffer of a module the result of `parametrization`, a module whose forward takes the original.

    The original is `module.parametrizations.<name>.original`. If the parametrization has a method `right_inverse`, the
    original is set by it, and assigning to the tensor goes through it. Further ones are applied to the result.

    >>> import webtorch
    >>> class Symmetric(webtorch.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = webtorch.nn.Linear(3, 3)
    >>> layer = webtorch.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        own = module.parametrizations[tensor_name]
        if not unsafe:
            current = getattr(module, tensor_name)
            result = parametrization(current)
            if not isinstance(result, Tensor):
                raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
            if result.dtype is not current.dtype or result._shape != current._shape:
                raise ValueError(
                    "Registering a parametrization may not change the shape or the dtype of the tensor, unless the `unsafe` flag is "
                    "enabled."
                )
            if hasattr(parametrization, "right_inverse"):
                back = parametrization.right_inverse(current)
                if not isinstance(back, Tensor):
                    raise ValueError(
                        f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}; only the first "
                        "parametrization may split a tensor"
                    )
        own.append(parametrization)
        own.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    original = getattr(module, tensor_name)
    chain = ParametrizationList([parametrization], original, unsafe=unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.__class__ = parametrized_class(module)  # type: ignore[assignment]
        module.parametrizations = ModuleDict()
    add_property(module, tensor_name)
    module.parametrizations[tensor_name] = chain
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module, or a certain tensor of it, has parametrizations."""
    known = getattr(module, "parametrizations", None)
    if not isinstance(known, ModuleDict):
        return False
    return len(known) > 0 if tensor_name is None else tensor_name in known


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a tensor plain again: with its present value, or if `leave_parametrized` is false with the original's.

    >>> import webtorch
    >>> layer = webtorch.nn.utils.parametrizations.weight_norm(webtorch.nn.Linear(2, 2))
    >>> list(webtorch.nn.utils.parametrize.remove_parametrizations(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if not chain.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors."
        )
    first = chain.originals()[0]
    with grad_mode.no_grad():
        value = chain().detach() if leave_parametrized else first.detach()
    kept = first
    if chain.is_tensor:
        if leave_parametrized and isinstance(first, Parameter):
            kept.data = value
        elif leave_parametrized:
            kept = value
    else:
        kept = Parameter(value, requires_grad=first.requires_grad) if isinstance(first, Parameter) else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _cache.pop((id(module), tensor_name), None)
    if isinstance(kept, Parameter):
        module.register_parameter(tensor_name, kept)
    else:
        module.register_buffer(tensor_name, kept)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give another module the same parametrizations, and the values of the parameters they were made from."""
    if not is_parametrized(from_module):
        return to_module
    names = [tensor_name] if tensor_name is not None else list(from_module.parametrizations)
    for name in names:
        if not hasattr(to_module, name):
            setattr(to_module, name, copy.deepcopy(getattr(from_module, name).detach()))
            if isinstance(from_module.parametrizations[name].originals()[0], Parameter):
                value = to_module.__dict__.pop(name)
                to_module.register_parameter(name, Parameter(value))
        source = from_module.parametrizations[name]
        for one in source:
            register_parametrization(to_module, name, copy.deepcopy(one), unsafe=True)
        for mine, theirs in zip(to_module.parametrizations[name].originals(), source.originals(), strict=True):
            mine.data = theirs.data.clone()
    return to_module
