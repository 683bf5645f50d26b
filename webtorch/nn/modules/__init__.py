"""Modules by the places where PyTorch has them, `nn.modules.linear.Linear` for one; their home is `webtorch.nn`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .. import (
    activation,
    class_losses,
    containers,
    convolution,
    layers,
    lazy,
    loss,
    module,
    normalization,
    pooling,
    recurrent,
    resampling,
    transformer,
    unpooling,
)

# PyTorch's submodule -> the modules here whose names it has, and the names that differ.
PLACES: dict[str, tuple[tuple, dict[str, Any]]] = {
    "activation": ((activation,), {}),
    "adaptive": ((class_losses,), {}),
    "batchnorm": (
        (normalization, lazy),
        {"_BatchNorm": normalization.BatchNorm, "_NormBase": normalization.Statistics},
    ),
    "channelshuffle": ((resampling,), {}),
    "container": ((containers,), {}),
    "conv": ((convolution, lazy), {"_ConvNd": convolution.ConvBase}),
    "distance": ((layers,), {}),
    "dropout": ((layers,), {"_DropoutNd": layers.DropoutBase}),
    "flatten": ((layers,), {}),
    "fold": ((convolution, resampling), {}),
    "instancenorm": ((normalization, lazy), {"_InstanceNorm": normalization.InstanceNorm}),
    "lazy": ((lazy,), {"LazyModuleMixin": lazy.LazyModuleMixin}),
    "linear": ((layers, lazy), {"NonDynamicallyQuantizableLinear": layers.NonDynamicallyQuantizableLinear}),
    "loss": ((loss, class_losses), {"_Loss": loss.Loss, "_WeightedLoss": loss.WeightedLoss}),
    "module": (
        (module,),
        {
            name: getattr(module, f"register_module_{name.removeprefix('register_module_')}")
            for name in (
                "register_module_forward_hook",
                "register_module_forward_pre_hook",
                "register_module_full_backward_hook",
                "register_module_full_backward_pre_hook",
            )
        },
    ),
    "normalization": ((normalization,), {}),
    "padding": ((pooling, unpooling), {}),
    "pixelshuffle": ((layers, resampling), {}),
    "pooling": ((pooling, unpooling), {}),
    "rnn": ((recurrent,), {}),
    "sparse": ((layers,), {}),
    "transformer": ((transformer,), {}),
    "upsampling": ((resampling,), {}),
    "utils": ((), {}),
}


def made(name: str, sources: tuple, others: dict[str, Any]) -> ModuleType:
    """A module object with the public names of others."""
    result = ModuleType(f"{__name__}.{name}", f"PyTorch's place of what is in {__package__}.")
    for source in sources:
        for public in source.__all__:
            setattr(result, public, getattr(source, public))
    vars(result).update(others)
    sys.modules[result.__name__] = result
    return result


for _name, (_sources, _others) in PLACES.items():
    globals()[_name] = made(_name, _sources, _others)
    for _source in _sources:
        globals().update({_public: getattr(_source, _public) for _public in _source.__all__})
__all__ = sorted({public for sources, _ in PLACES.values() for source in sources for public in source.__all__})
