"""Batch normalisation in evaluation, folded into the layer before it."""

from __future__ import annotations

import copy
from typing import Any

import webtorch

from ...tensor import Tensor
from ..module import Module, Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def folded(
    w: Tensor, b: Any, mean: Tensor, var: Tensor, eps: float, scale: Any, shift: Any, place: int
) -> tuple[Parameter, Parameter]:
    if b is None:
        b = webtorch.zeros_like(mean)
    factor = (var + eps).rsqrt()
    if scale is not None:
        factor = factor * scale
    shape = [1] * w.ndim
    shape[place] = -1
    bias = (b - mean) * factor
    if shift is not None:
        bias = bias + shift
    weight = (w * factor.reshape(tuple(shape))).to(w.dtype)
    needs = bool(getattr(w, "requires_grad", False))
    return Parameter(weight.detach(), needs), Parameter(bias.to(w.dtype).detach(), needs)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a convolution that does what it and the normalisation after it did."""
    return folded(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a linear layer that does what it and the normalisation after it did."""
    return folded(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Module:
    """A copy of a convolution into which a batch normalisation, in evaluation, is folded.

    >>> import webtorch
    >>> nn = webtorch.nn
    >>> conv, norm, x = nn.Conv2d(2, 3, 3).eval(), nn.BatchNorm2d(3).eval(), webtorch.rand(1, 2, 5, 5)
    >>> bool(webtorch.allclose(nn.utils.fuse_conv_bn_eval(conv, norm)(x), norm(conv(x)), atol=1e-6))
    True
    """
    return fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Module:
    """A copy of a linear layer into which a batch normalisation, in evaluation, is folded."""
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    return fused(linear, bn, False)


def fused(layer: Any, bn: Any, transpose: bool) -> Module:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Fusion needs a batch normalisation with running statistics")
    result = copy.deepcopy(layer)
    result.weight, result.bias = folded(
        result.weight,
        result.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        1 if transpose else 0,
    )
    return result
