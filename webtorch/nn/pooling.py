"""Pooling modules, and padding ones."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d",
    "AvgPool3d", "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "LPPool2d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class MaxPool(Module):
    function: Any = None

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(MaxPool):
    """The largest element of each window of (n, c, l).

    >>> import webtorch
    >>> webtorch.nn.MaxPool1d(2)(webtorch.arange(4.0).reshape(1, 1, 4)).flatten()
    tensor([1., 3.])
    """

    function = staticmethod(F.max_pool1d)


class MaxPool2d(MaxPool):
    """The largest element of each window of (n, c, h, w).

    >>> import webtorch
    >>> webtorch.nn.MaxPool2d(2)(webtorch.ones(1, 3, 8, 8)).shape
    webtorch.Size([1, 3, 4, 4])
    """

    function = staticmethod(F.max_pool2d)


class MaxPool3d(MaxPool):
    """The largest element of each window of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.MaxPool3d((1, 1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 1, 4)).flatten()
    tensor([1., 3.])
    """

    function = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """The mean of each window of (n, c, l).

    >>> import webtorch
    >>> webtorch.nn.AvgPool1d(2)(webtorch.arange(4.0).reshape(1, 1, 4)).flatten()
    tensor([0.5000, 2.5000])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.ceil_mode, self.count_include_pad = (
            kernel_size,
            padding,
            ceil_mode,
            count_include_pad,
        )
        self.stride = stride if stride is not None else kernel_size

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window of (n, c, h, w).

    >>> import webtorch
    >>> webtorch.nn.AvgPool2d(2)(webtorch.ones(1, 3, 8, 8)).shape
    webtorch.Size([1, 3, 4, 4])
    """

    function: Any = staticmethod(F.avg_pool2d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.ceil_mode, self.count_include_pad = (
            kernel_size,
            padding,
            ceil_mode,
            count_include_pad,
        )
        self.stride = stride if stride is not None else kernel_size
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool3d(AvgPool2d):
    """The mean of each window of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.AvgPool3d((1, 1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 1, 4)).flatten()
    tensor([0.5000, 2.5000])
    """

    function = staticmethod(F.avg_pool3d)


class LPPool2d(Module):
    """The p-norm of each window of (n, c, h, w).

    >>> import webtorch
    >>> webtorch.nn.LPPool2d(1, (1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 4)).flatten()
    tensor([1., 5.])
    """

    function: Any = staticmethod(F.lp_pool2d)

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class AdaptiveAvgPool(Module):
    function: Any = None

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Means over windows that share out (n, c, l) among `output_size` results.

    >>> import webtorch
    >>> webtorch.nn.AdaptiveAvgPool1d(2)(webtorch.arange(4.0).reshape(1, 1, 4)).flatten()
    tensor([0.5000, 2.5000])
    """

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Means over windows that share out (n, c, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.AdaptiveAvgPool2d((1, None))(webtorch.ones(2, 3, 8, 5)).shape
    webtorch.Size([2, 3, 1, 5])
    """

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """Means over windows that share out (n, c, d, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.AdaptiveAvgPool3d((1, 1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 1, 4)).flatten()
    tensor([0.5000, 2.5000])
    """

    function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool(AdaptiveAvgPool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self).function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """Maxima over windows that share out (n, c, l) among `output_size` results.

    >>> import webtorch
    >>> webtorch.nn.AdaptiveMaxPool1d(2)(webtorch.arange(4.0).reshape(1, 1, 4)).flatten()
    tensor([1., 3.])
    """

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """Maxima over windows that share out (n, c, h, w) among `output_size` results per dimension.

    >>> import webtorch
    >>> webtorch.nn.AdaptiveMaxPool2d((1, 2))(webtorch.arange(4.0).reshape(1, 1, 1, 4)).flatten()
    tensor([1., 3.])
    """

    function = staticmethod(F.adaptive_max_pool2d)


class Padding(Module):
    dims = 1
    mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(Padding):
    """The last dimension with `value` added before and after: `padding` is (before, after), or one number for both.

    >>> import webtorch
    >>> webtorch.nn.ConstantPad1d(1, 7.0)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 3, 7])
    """

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """The last two dimensions with `value` added before and after.

    >>> import webtorch
    >>> webtorch.nn.ConstantPad2d(1, 7.0)(webtorch.rand(2, 3, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7])
    """

    dims = 2


class ConstantPad3d(ConstantPad1d):
    """The last three dimensions with `value` added before and after.

    >>> import webtorch
    >>> webtorch.nn.ConstantPad3d(1, 7.0)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7, 7])
    """

    dims = 3


class ZeroPad1d(Padding):
    """The last dimension with zeros added before and after.

    >>> import webtorch
    >>> webtorch.nn.ZeroPad1d(1)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 3, 7])
    """


class ZeroPad2d(Padding):
    """The last two dimensions with zeros added before and after.

    >>> import webtorch
    >>> webtorch.nn.ZeroPad2d(1)(webtorch.rand(2, 3, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7])
    """

    dims = 2


class ZeroPad3d(Padding):
    """The last three dimensions with zeros added before and after.

    >>> import webtorch
    >>> webtorch.nn.ZeroPad3d(1)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7, 7])
    """

    dims = 3


class ReflectionPad1d(Padding):
    """The last dimension continued by its mirror image.

    >>> import webtorch
    >>> webtorch.nn.ReflectionPad1d(1)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 3, 7])
    """

    mode = "reflect"


class ReflectionPad2d(Padding):
    """The last two dimensions continued by their mirror images.

    >>> import webtorch
    >>> webtorch.nn.ReflectionPad2d(1)(webtorch.rand(2, 3, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7])
    """

    dims, mode = 2, "reflect"


class ReplicationPad1d(Padding):
    """The last dimension continued by its first and last elements.

    >>> import webtorch
    >>> webtorch.nn.ReplicationPad1d(1)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 3, 7])
    """

    mode = "replicate"


class ReplicationPad2d(Padding):
    """The last two dimensions continued by their outermost elements.

    >>> import webtorch
    >>> webtorch.nn.ReplicationPad2d(1)(webtorch.rand(2, 3, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7])
    """

    dims, mode = 2, "replicate"


class ReplicationPad3d(Padding):
    """The last three dimensions continued by their outermost elements.

    >>> import webtorch
    >>> webtorch.nn.ReplicationPad3d(1)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7, 7])
    """

    dims, mode = 3, "replicate"


class CircularPad1d(Padding):
    """The last dimension continued from its other end.

    >>> import webtorch
    >>> webtorch.nn.CircularPad1d(1)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 3, 7])
    """

    mode = "circular"


class CircularPad2d(Padding):
    """The last two dimensions continued from their other ends.

    >>> import webtorch
    >>> webtorch.nn.CircularPad2d(1)(webtorch.rand(2, 3, 5, 5)).shape
    webtorch.Size([2, 3, 7, 7])
    """

    dims, mode = 2, "circular"
