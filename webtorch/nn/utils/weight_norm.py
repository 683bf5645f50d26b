"""Weights by length and direction: parameters from which a hook computes the weight before each call. PyTorch's first way;
`parametrizations` holds the one that is recommended now."""

from __future__ import annotations

from typing import Any

from ... import grad_mode
from ...tensor import Tensor
from ..module import Module, Parameter

__all__ = ["WeightNorm", "norm_except_dim", "remove_weight_norm", "weight_norm"]


def norm_except_dim(v: Tensor, pow: float = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but one, which is kept; over all for `dim` = -1.

    >>> import webtorch
    >>> webtorch.norm_except_dim(webtorch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    if dim == -1:
        return v.norm(pow)
    rest = tuple(other for other in range(v.ndim) if other != dim % v.ndim)
    return v.norm(pow, rest, keepdim=True) if rest else v.abs()


def with_length(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """v scaled to the lengths g."""
    return v * (g / norm_except_dim(v, 2, dim))


class WeightNorm:
    """The hook of `weight_norm`."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight from its length and its direction."""
        return with_length(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def hook_of(module: Module, kind: type, name: str) -> tuple[int, Any] | None:
    known: dict[int, Any] = module._forward_pre_hooks
    for key, (hook, _) in known.items():
        if isinstance(hook, kind) and getattr(hook, "name", None) == name:
            return key, hook
    return None


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the length `weight_g` and the direction `weight_v` of a weight instead of the weight (Salimans and Kingma, 2016).

    Lengths are over all dimensions but `dim`, or over all if it is None. PyTorch deprecates it in favour of
    `parametrizations.weight_norm`.

    >>> import webtorch
    >>> layer = webtorch.nn.utils.weight_norm(webtorch.nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    if hook_of(module, WeightNorm, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight.detach(), 2, hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.data))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a plain parameter again."""
    found = hook_of(module, WeightNorm, name)
    if found is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    key, hook = found
    with grad_mode.no_grad():
        weight = hook.compute_weight(module)
    delattr(module, name)
    del module._parameters[name + "_g"]
    del module._parameters[name + "_v"]
    setattr(module, name, Parameter(weight.data))
    del module._forward_pre_hooks[key]
    return module
