"""The product of a linear layer: `x @ w.T`, with the gradient of the weights laid out as the weights are.

A transposed gradient would have to be read back across the grain by the optimizer; laid out like the weights, the
optimizer's step is computed where the gradient is.
"""

from __future__ import annotations

from typing import Any

from .. import grad_mode, precision
from . import Op, Tensor, tracks
from .matmul import contract


class LinearMap(Op):
    """out[..., o] = sum over i of x[..., i] * w[o, i]."""

    batches = True
    inlines = False

    def __call__(self, x: Tensor, w: Tensor) -> Tensor:
        if precision.used:
            x, w = precision.cast(self.autocast, "linear", (x, w))
        with grad_mode.no_grad():
            result = contract(x.detach(), w.detach().t(), (0, x.ndim - 1, 1, 1))
        if tracks(x, w):
            from ..autograd.graph import attach

            attach(self, result, (x, w), {})
        return result

    def evaluate(self, node: Any, arrays: list):
        raise AssertionError("a linear map is recorded as a contraction")


def gradient_x(g: Tensor, y: Tensor) -> Tensor:
    return contract(g, y, (0, g.ndim - 1, 1, 1))


def gradient_w(g: Tensor, x: Tensor) -> Tensor:
    outer = g.ndim - 1
    return contract(g.permute((outer, *range(outer))), x, (0, 1, outer, 1))


linear_map = LinearMap("_linear", vjp=(gradient_x, gradient_w), public=False, grad_name="Addmm")
