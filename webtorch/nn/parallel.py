"""Data parallelism as far as one GPU has it: wrappers that call the module they wrap."""

from __future__ import annotations

from typing import Any

from .module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


class DataParallel(Module):
    """Calls the module it wraps: there is one GPU, and all of the batch goes to it.

    Names in the state dict begin with "module.", as in PyTorch.

    >>> import webtorch
    >>> model = webtorch.nn.DataParallel(webtorch.nn.Linear(3, 2))
    >>> model(webtorch.ones(4, 3)).shape, list(model.state_dict())
    (webtorch.Size([4, 2]), ['module.weight', 'module.bias'])
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device, self.dim = output_device, dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict | None = None,
) -> Any:
    """`module(*inputs, **module_kwargs)`.

    >>> import webtorch
    >>> webtorch.nn.parallel.data_parallel(webtorch.nn.ReLU(), webtorch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    many = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*many, **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """Calls the module it wraps: this is the case of one process."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0, **rest: Any
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids, self.output_device, self.dim = device_ids, output_device, dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    def no_sync(self) -> Any:
        """A block that changes nothing: there is nothing to be synchronised."""
        import contextlib

        return contextlib.nullcontext()
