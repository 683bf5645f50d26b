"""Pruning: parameters of which some elements are held at zero by a mask, by size, at random, or one's own choice."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import webtorch

from ... import creation, grad_mode
from ...tensor import Tensor
from ..module import Module, Parameter

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod(ABC):
    """A way to choose what is pruned: subclasses define `compute_mask` and say of which `PRUNING_TYPE` they are."""

    _tensor_name: str
    PRUNING_TYPE = "unstructured"

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for a tensor, ones where it is kept; what `default_mask` prunes stays pruned."""

    def apply_mask(self, module: Module) -> Tensor:
        """The original times the mask."""
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter: it becomes `<name>_orig`, with a buffer `<name>_mask`, and `<name>` their product."""
        old = next(
            (
                (key, hook)
                for key, (hook, _) in module._forward_pre_hooks.items()
                if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
            ),
            None,
        )
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        if old is not None:
            container = PruningContainer(old[1])
            container.add_pruning_method(method)
            del module._forward_pre_hooks[old[0]]
            method = container
        original = getattr(module, name)
        if importance_scores is None:
            importance_scores = original
        elif importance_scores._shape != original._shape:
            raise AssertionError(f"importance_scores should have the same shape as parameter {name} of {module}")
        if old is None:
            parameter = module._parameters[name]
            if not isinstance(parameter, Parameter):
                raise ValueError(f"{name} of {module} is not a parameter")
            module.register_parameter(name + "_orig", parameter)
            del module._parameters[name]
            default = webtorch.ones_like(parameter.detach())
        else:
            default = getattr(module, name + "_mask").detach().clone()
        try:
            with grad_mode.no_grad():
                mask = method.compute_mask(importance_scores.detach(), default)
        except Exception:
            if old is None:
                module.register_parameter(name, module._parameters.pop(name + "_orig"))
            raise
        if old is None:
            module.register_buffer(name + "_mask", mask)
        else:
            module._buffers[name + "_mask"] = mask
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A pruned copy of a tensor."""
        if importance_scores is not None and importance_scores._shape != t._shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        scores = t if importance_scores is None else importance_scores
        default = webtorch.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default)

    def remove(self, module: Module) -> None:
        """Make the pruned tensor a plain parameter: what was pruned stays zero."""
        name = self._tensor_name
        if not hasattr(module, name + "_orig"):
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        with grad_mode.no_grad():
            weight = self.apply_mask(module)
        delattr(module, name)
        original = module._parameters[name + "_orig"]
        original.data = weight.data
        del module._parameters[name + "_orig"]
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several pruning methods of one tensor, each of which chooses from what those before it kept."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple = ()
        many = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
        for number, method in enumerate(many):
            if number == 0:
                self._tensor_name = method._tensor_name
            for one in method if isinstance(method, PruningContainer) else (method,):
                self.add_pruning_method(one)

    def add_pruning_method(self, method: Any) -> None:
        """Add a method, which must be for the same tensor."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the last method, computed among what is not pruned yet, together with the mask before."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            flat, shown = mask.reshape((-1,)), t.reshape((-1,))
            kept = flat.nonzero().squeeze(1)
            part = method.compute_mask(shown[kept], flat[kept])
            return flat.index_copy(0, kept, part.to(flat.dtype)).reshape(mask._shape)
        if method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim
            others = tuple(d for d in range(t.ndim) if d != dim)
            kept = (mask.sum(others) != 0).nonzero().squeeze(1)
            part = method.compute_mask(t.index_select(dim, kept), mask.index_select(dim, kept))
            return mask.index_copy(dim, kept, part.to(mask.dtype))
        if method.PRUNING_TYPE == "global":
            return method.compute_mask(t, default_mask=mask)
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")


def amount_of(amount: float | int, size: int) -> int:
    """How many elements an amount means: a number of them, or a part of all."""
    return int(amount) if isinstance(amount, numbers.Integral) else round(float(amount) * size)


def check_amount(amount: Any, size: int | None = None) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if isinstance(amount, numbers.Integral):
        if int(amount) < 0:
            raise ValueError(f"amount={amount} should be a non-negative integer or a float in [0, 1]")
        if size is not None and int(amount) > size:
            raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    elif not 0 <= float(amount) <= 1:
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the mask."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask as it is."""
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> BasePruningMethod:  # type: ignore[override]
        """Prune nothing of a parameter."""
        return super().apply(module, name)


class ByAmount(BasePruningMethod):
    def __init__(self, amount: float | int) -> None:
        check_amount(amount)
        self.amount = amount

    def chosen(self, scores: Tensor, count: int) -> Tensor:
        """The numbers of the elements to prune."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask with the chosen elements pruned as well."""
        check_amount(self.amount, t.numel())
        count = amount_of(self.amount, t.numel())
        if not count:
            return default_mask.clone()
        index = self.chosen(t.reshape((-1,)), count)
        flat = default_mask.clone().reshape((-1,))
        return flat.index_fill(0, index, 0).reshape(default_mask._shape)


class RandomUnstructured(ByAmount):
    """Prunes elements at random."""

    def chosen(self, scores: Tensor, count: int) -> Tensor:
        """A random choice."""
        return webtorch.rand(scores.numel(), device=scores.device).topk(count).indices


class L1Unstructured(ByAmount):
    """Prunes the elements of the smallest absolute value."""

    def chosen(self, scores: Tensor, count: int) -> Tensor:
        """Those nearest to zero."""
        return scores.abs().topk(count, largest=False).indices


class Structured(BasePruningMethod):
    PRUNING_TYPE = "structured"

    def scores(self, t: Tensor) -> Tensor:
        """A number per channel: the largest are kept."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask with whole channels pruned as well."""
        if t.ndim <= 1:
            raise ValueError(
                f"Structured pruning can only be applied to multidimensional tensors. Found tensor of shape {t.shape} with {t.ndim} dims"
            )
        if not -t.ndim <= self.dim < t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        size = t._shape[self.dim]
        check_amount(self.amount, size)
        count = amount_of(self.amount, size)
        if not count:
            return default_mask.clone()
        kept = self.scores(t).topk(size - count).indices
        keep = creation.zeros(size, dtype=default_mask.dtype, device=t.device).index_fill(0, kept, 1)
        shape = [1] * t.ndim
        shape[self.dim] = -1
        return default_mask * keep.reshape(tuple(shape))

    amount: Any = 0
    dim: int = -1


class RandomStructured(Structured):
    """Prunes whole channels at random."""

    def __init__(self, amount: float | int, dim: int = -1) -> None:
        check_amount(amount)
        self.amount, self.dim = amount, dim

    def scores(self, t: Tensor) -> Tensor:
        """Random numbers."""
        return webtorch.rand(t._shape[self.dim], device=t.device)


class LnStructured(Structured):
    """Prunes the channels of the smallest n-norm."""

    def __init__(self, amount: float | int, n: Any, dim: int = -1) -> None:
        check_amount(amount)
        self.amount, self.n, self.dim = amount, n, dim

    def scores(self, t: Tensor) -> Tensor:
        """The norms."""
        others = tuple(d for d in range(t.ndim) if d != self.dim % t.ndim)
        return t.norm(self.n, others)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Both masks together."""
        return default_mask * self.mask.to(default_mask.device, default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Make the mask of a parameter without pruning anything; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float | int) -> Module:
    """Prune random elements of a parameter; returns the module."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float | int, importance_scores: Tensor | None = None) -> Module:
    """Prune the elements of the smallest absolute value (or importance) of a parameter; returns the module.

    >>> import webtorch
    >>> layer = webtorch.nn.utils.prune.l1_unstructured(webtorch.nn.Linear(2, 2), "weight", amount=0.5)
    >>> int((layer.weight == 0).sum()), sorted(layer.state_dict())
    (2, ['bias', 'weight_mask', 'weight_orig'])
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float | int, dim: int) -> Module:
    """Prune random channels along `dim` of a parameter; returns the module."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float | int, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune the channels along `dim` of the smallest n-norm of a parameter; returns the module."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune a parameter by a given mask; returns the module."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type,
    importance_scores: dict | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters, given as (module, name) pairs, as if they were one."""
    pairs = list(parameters)
    scores = {} if importance_scores is None else importance_scores
    parts = [scores.get((module, name), getattr(module, name)).detach().reshape((-1,)) for module, name in pairs]
    masks = []
    for module, name in pairs:
        known = module._buffers.get(name + "_mask")
        masks.append((webtorch.ones_like(getattr(module, name).detach()) if known is None else known).reshape((-1,)))
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of type '
            f"{method.PRUNING_TYPE}"
        )
    whole = container.compute_mask(webtorch.cat(parts), webtorch.cat(masks))
    start = 0
    for module, name in pairs:
        shape = getattr(module, name)._shape
        count = getattr(module, name).numel()
        custom_from_mask(module, name, whole[start : start + count].reshape(shape))
        start += count


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter a plain one: what was pruned stays zero."""
    for key, (hook, _) in list(module._forward_pre_hooks.items()):
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned."""
    return any(
        isinstance(hook, BasePruningMethod) for one in module.modules() for hook, _ in one._forward_pre_hooks.values()
    )
