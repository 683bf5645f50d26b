"""What the einops package needs to know of webtorch's tensors.

einops finds its backends among the subclasses of a class of its own, and it takes a while to import: so the subclass
is made when a program imports einops, and `import webtorch` does not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .tensor import Tensor

if TYPE_CHECKING:  # a slow import, and all that they do is to name the methods
    from importlib.abc import Loader, MetaPathFinder
else:
    Loader = MetaPathFinder = object

BACKENDS = "einops._backends"


class Operations:
    """The operations that einops is made of."""

    framework_name = "webtorch"  # einops asks only backends whose library is imported

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


registered: list[type] = []  # einops does not hold the class


def register(backends: ModuleType) -> None:
    """Make webtorch's backend a subclass of the class of einops that all backends have."""
    registered.append(type("WebtorchBackend", (Operations, backends.AbstractBackend), {}))


class Registering(Loader):
    """Loads the module with the backends of einops as it would have been, then adds webtorch's."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        register(module)


class Finder(MetaPathFinder):
    """Waits for the import of the backends of einops, then leaves the import of modules alone."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name != BACKENDS or self not in sys.meta_path:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = Registering(spec.loader)
        return spec


if BACKENDS in sys.modules:
    register(sys.modules[BACKENDS])
else:
    sys.meta_path.insert(0, Finder())
