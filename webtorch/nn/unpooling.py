"""Modules for pooling of other kinds: by norms, over windows at random places, and the ways back to full size."""

from __future__ import annotations

from typing import Any

from ..ops.conv import as_sizes
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .pooling import AdaptiveMaxPool, LPPool2d, Padding

__all__ = [
    "AdaptiveMaxPool3d", "CircularPad3d", "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool3d", "MaxUnpool1d",
    "MaxUnpool2d", "MaxUnpool3d", "ReflectionPad3d",
]  # fmt: skip


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """Maxima over windows that share out (n, c, d, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.AdaptiveMaxPool3d((1, 1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 1, 4)).flatten()
    tensor([1., 3.])
    """

    function = staticmethod(F.adaptive_max_pool3d)


class LPPool1d(LPPool2d):
    """The p-norm of each window of (n, c, l).

    >>> import webtorch
    >>> webtorch.nn.LPPool1d(1, 2)(webtorch.arange(4.0).reshape(1, 1, 4)).flatten()
    tensor([1., 5.])
    """

    function = staticmethod(F.lp_pool1d)


class LPPool3d(LPPool2d):
    """The p-norm of each window of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.LPPool3d(1, (1, 1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 1, 4)).flatten()
    tensor([1., 5.])
    """

    function = staticmethod(F.lp_pool3d)


class CircularPad3d(Padding):
    """The last three dimensions continued from their other ends.

    >>> import webtorch
    >>> webtorch.nn.CircularPad3d(1)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7, 7])
    """

    dims, mode = 3, "circular"


class ReflectionPad3d(Padding):
    """The last three dimensions continued by their mirror images.

    >>> import webtorch
    >>> webtorch.nn.ReflectionPad3d(1)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7, 7])
    """

    dims, mode = 3, "reflect"


class FractionalMaxPool(Module):
    dims = 2
    function: Any = None

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = as_sizes(kernel_size, self.dims, "kernel_size", name)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        self.output_size = None if output_size is None else as_sizes(output_size, self.dims, "output_size", name)
        self.output_ratio = None
        if output_ratio is not None:
            ratios = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * self.dims
            if not all(0 < ratio < 1 for ratio in ratios):
                raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
            self.output_ratio = ratios

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(FractionalMaxPool):
    """The largest element of windows at random places of (n, c, h, w) that share it out (Graham, 2014).

    >>> import webtorch
    >>> webtorch.nn.FractionalMaxPool2d(2, output_size=3)(webtorch.rand(1, 2, 8, 8)).shape
    webtorch.Size([1, 2, 3, 3])
    """

    function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(FractionalMaxPool):
    """The largest element of windows at random places of (n, c, d, h, w) that share it out.

    >>> import webtorch
    >>> webtorch.nn.FractionalMaxPool3d(2, output_size=1)(webtorch.ones(1, 1, 3, 3, 3)).item()
    1.0
    """

    dims = 3
    function = staticmethod(F.fractional_max_pool3d)


class MaxUnpool(Module):
    dims = 1
    function: Any = None

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = as_sizes(kernel_size, self.dims, "kernel_size", name)
        self.stride = as_sizes(kernel_size if stride is None else stride, self.dims, "stride", name)
        self.padding = as_sizes(padding, self.dims, "padding", name)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return type(self).function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    """What `MaxPool1d` found put back where its indices say, zeros elsewhere.

    >>> import webtorch
    >>> webtorch.nn.MaxUnpool1d(2)(webtorch.tensor([[7.0]]), webtorch.tensor([[1]]))
    tensor([[0., 7.]])
    """

    function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(MaxUnpool):
    """What `MaxPool2d` found put back where its indices say, zeros elsewhere.

    >>> import webtorch
    >>> pooled, indices = webtorch.nn.MaxPool2d(2, return_indices=True)(webtorch.rand(1, 1, 4, 4))
    >>> webtorch.nn.MaxUnpool2d(2)(pooled, indices).shape
    webtorch.Size([1, 1, 4, 4])
    """

    dims = 2
    function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(MaxUnpool):
    """What `MaxPool3d` found put back where its indices say, zeros elsewhere.

    >>> import webtorch
    >>> webtorch.nn.MaxUnpool3d((1, 1, 2))(webtorch.tensor([[[[7.0]]]]), webtorch.tensor([[[[1]]]])).flatten()
    tensor([0., 7.])
    """

    dims = 3
    function = staticmethod(F.max_unpool3d)
