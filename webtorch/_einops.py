"""What the einops package needs to know of webtorch's tensors. It finds this class among the subclasses of its own."""

from __future__ import annotations

import importlib
from typing import Any

from .tensor import Tensor

try:
    AbstractBackend: Any = importlib.import_module("einops._backends").AbstractBackend
except ImportError:
    AbstractBackend = object


class WebtorchBackend(AbstractBackend):
    """The operations that einops is made of."""

    framework_name = "webtorch"

    def __init__(self) -> None:
        import webtorch

        self.webtorch = webtorch

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: Any) -> Tensor:
        return self.webtorch.from_numpy(x)

    def to_numpy(self, x: Tensor) -> Any:
        return x.detach().numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        return self.webtorch.arange(start, stop)

    def shape(self, x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape)

    def reshape(self, x: Tensor, shape: Any) -> Tensor:
        return x.reshape(tuple(shape))

    def transpose(self, x: Tensor, axes: Any) -> Tensor:
        return x.permute(tuple(axes))

    def reduce(self, x: Tensor, operation: str, axes: Any) -> Tensor:
        axes = tuple(sorted(axes))
        if operation in ("min", "max"):
            return getattr(x, f"a{operation}")(axes)
        if operation == "prod":
            for axis in reversed(axes):
                x = x.prod(axis)
            return x
        if operation in ("any", "all"):
            for axis in reversed(axes):
                x = getattr(x, operation)(axis)
            return x
        return getattr(x, operation)(axes)

    def stack_on_zeroth_dimension(self, tensors: list) -> Tensor:
        return self.webtorch.stack(tensors)

    def add_axis(self, x: Tensor, new_position: int) -> Tensor:
        return x.unsqueeze(new_position)

    def add_axes(self, x: Tensor, n_axes: int, pos2len: dict) -> Tensor:
        sizes = [-1] * n_axes
        for position, length in sorted(pos2len.items()):
            x = x.unsqueeze(position)
            sizes[position] = length
        return x.expand(sizes)

    def tile(self, x: Tensor, repeats: Any) -> Tensor:
        return x.repeat(tuple(repeats))

    def concat(self, tensors: Any, axis: int) -> Tensor:
        return self.webtorch.cat(list(tensors), axis)

    def is_float_type(self, x: Tensor) -> bool:
        return x.dtype.is_floating_point

    def einsum(self, pattern: str, *x: Tensor) -> Tensor:
        return self.webtorch.einsum(pattern, *x)

    def layers(self) -> Any:
        raise NotImplementedError(
            "einops.layers has none for webtorch; call rearrange and reduce in a module's forward"
        )
