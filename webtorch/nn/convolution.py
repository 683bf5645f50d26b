"""Convolution modules."""

from __future__ import annotations

import math
from typing import Any

from .. import creation
from ..ops.conv import as_sizes
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module, Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Unfold"]


class ConvBase(Module):
    dims = 0
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        modes = ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'")
        if self.transposed and padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {name}')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = as_sizes(kernel_size, self.dims, "kernel_size", name)
        self.stride = as_sizes(stride, self.dims, "stride", name)
        self.dilation = as_sizes(dilation, self.dims, "dilation", name)
        self.output_padding = as_sizes(output_padding, self.dims, "output_padding", name)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and any(step != 1 for step in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding: Any = padding
        else:
            self.padding = as_sizes(padding, self.dims, "padding", name)
        self.groups = groups
        self.padding_mode = padding_mode
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(creation.empty(*channels, *self.kernel_size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values: uniform within 1 / sqrt(fan_in), weights and bias."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init.fans(self.weight)
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def forward(self, input: Tensor) -> Tensor:
        function = (F.conv1d, F.conv2d, F.conv3d)[self.dims - 1]
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self.border(), self.padding_mode)
            padding = 0
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def border(self) -> tuple[int, ...]:
        """The padding as F.pad takes it: last dimension first, before and after."""
        amounts: list[int] = []
        for dim in reversed(range(self.dims)):
            if isinstance(self.padding, str):
                total = self.dilation[dim] * (self.kernel_size[dim] - 1) if self.padding == "same" else 0
                amounts += [total // 2, total - total // 2]
            else:
                amounts += [self.padding[dim], self.padding[dim]]
        return tuple(amounts)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.dims:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.dims:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.dims:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv(ConvBase):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            0,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )


class Conv1d(Conv):
    """Convolution of (n, c, l); weight is (out_channels, in_channels / groups, k).

    >>> import webtorch
    >>> webtorch.nn.Conv1d(2, 3, 3, padding="same")(webtorch.ones(1, 2, 8)).shape
    webtorch.Size([1, 3, 8])
    """

    dims = 1


class Conv2d(Conv):
    """Convolution of (n, c, h, w); weight is (out_channels, in_channels / groups, kh, kw).

    `padding` may be "same" or "valid"; padding modes are zeros, reflect, replicate and circular.

    >>> import webtorch
    >>> webtorch.nn.Conv2d(1, 4, 3, stride=2, padding=1)(webtorch.ones(2, 1, 8, 8)).shape
    webtorch.Size([2, 4, 4, 4])
    """

    dims = 2


class Conv3d(Conv):
    """Convolution of (n, c, d, h, w); weight is (out_channels, in_channels / groups, kd, kh, kw).

    >>> import webtorch
    >>> webtorch.nn.Conv3d(2, 3, 2)(webtorch.ones(1, 2, 4, 4, 4)).shape
    webtorch.Size([1, 3, 3, 3, 3])
    """

    dims = 3


class ConvTranspose(ConvBase):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.dims - 1]
        extra = (
            self.output_padding if output_size is None else self.padding_for(input, tuple(output_size)[-self.dims :])
        )
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def padding_for(self, input: Tensor, output_size: tuple) -> tuple[int, ...]:
        """The output padding that gives the wanted size; strides leave a choice of sizes."""
        extra = []
        for dim, wanted in enumerate(output_size):
            n = input.shape[input.ndim - self.dims + dim]
            least = (
                (n - 1) * self.stride[dim]
                - 2 * self.padding[dim]
                + self.dilation[dim] * (self.kernel_size[dim] - 1)
                + 1
            )
            if not least <= wanted < least + self.stride[dim]:
                raise ValueError(
                    f"requested an output size of {list(output_size)}, but dimension {dim} must lie in [{least}, "
                    f"{least + self.stride[dim] - 1}]"
                )
            extra.append(wanted - least)
        return tuple(extra)


class ConvTranspose1d(ConvTranspose):
    """The gradient of `Conv1d` as a layer; weight is (in_channels, out_channels / groups, k).

    >>> import webtorch
    >>> webtorch.nn.ConvTranspose1d(2, 3, 2, stride=2)(webtorch.ones(1, 2, 4)).shape
    webtorch.Size([1, 3, 8])
    """

    dims = 1


class ConvTranspose2d(ConvTranspose):
    """The gradient of `Conv2d` as a layer; weight is (in_channels, out_channels / groups, kh, kw).

    >>> import webtorch
    >>> webtorch.nn.ConvTranspose2d(3, 2, 2, stride=2)(webtorch.ones(1, 3, 4, 4)).shape
    webtorch.Size([1, 2, 8, 8])
    """

    dims = 2


class ConvTranspose3d(ConvTranspose):
    """The gradient of `Conv3d` as a layer; weight is (in_channels, out_channels / groups, kd, kh, kw).

    >>> import webtorch
    >>> webtorch.nn.ConvTranspose3d(2, 3, 2)(webtorch.ones(1, 2, 4, 4, 4)).shape
    webtorch.Size([1, 3, 5, 5, 5])
    """

    dims = 3


class Unfold(Module):
    """Windows of (n, c, h, w) as columns: (n, c * kh * kw, number of windows).

    >>> import webtorch
    >>> webtorch.nn.Unfold(2)(webtorch.arange(6.0).reshape(1, 1, 2, 3))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
