"""Logs for TensorBoard: `SummaryWriter`, which the tensorboardX package writes (`pip install 'webtorch[log]'`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .pytree import tree_map

__all__ = ["SummaryWriter"]


def on_host(value: Any) -> Any:
    """Tensors as numpy arrays, in containers too."""
    return tree_map(lambda leaf: as_numpy(leaf) if isinstance(leaf, Tensor) else leaf, value)


def as_numpy(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype.name == "bfloat16" else tensor.numpy()


class SummaryWriter:
    """A writer of event files: tensorboardX's, with its arguments and methods; tensors may be on any device.

    Raises ImportError when tensorboardX is not installed.

    ```python
    with SummaryWriter("runs/first") as writer:
        writer.add_scalar("loss", loss, step)
    ```
    """

    def __init__(self, log_dir: str | None = None, *args: Any, **kwargs: Any) -> None:
        try:
            import tensorboardX
        except ImportError as error:
            raise ImportError(
                "webtorch.utils.tensorboard.SummaryWriter needs the tensorboardX package: pip install 'webtorch[log]'"
            ) from error
        self._writer = tensorboardX.SummaryWriter(log_dir, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_writer":
            raise AttributeError(name)
        found = getattr(self._writer, name)
        if not name.startswith("add_"):
            return found
        if name == "add_graph":
            raise NotImplementedError("SummaryWriter.add_graph: webtorch has no traced graphs that tensorboardX reads")

        def add(*args: Any, **kwargs: Any) -> Any:
            return found(*(on_host(value) for value in args), **{key: on_host(value) for key, value in kwargs.items()})

        return add

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *details: Any) -> None:
        self._writer.close()
