"""Optimizers that look at a parameter as a matrix: Adafactor and Muon."""

from __future__ import annotations

import math
from typing import Any

from .. import creation, dtypes
from ..ops import TABLE
from ..tensor import Tensor
from .algorithms import Replayable
from .further import computed_from
from .optimizer import check_range, counted, rate_of, zeros_for

__all__ = ["Adafactor", "Muon"]


class Adafactor(Replayable):
    """Adam's second moment kept by its row and column means only, and steps relative to the parameter (Shazeer and Stern, 2018).

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.ones(2, 2))
    >>> optimizer = webtorch.optim.Adafactor([x], lr=0.25)
    >>> x.sum().backward()
    >>> optimizer.step()
    >>> x.data, optimizer.state[x]["row_var"].shape
    (tensor([[0.7500, 0.7500], [0.7500, 0.7500]]), webtorch.Size([2, 1]))
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        if not 0.0 >= beta2_decay:
            raise ValueError(f"Invalid beta2_decay value: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1: {d}")
        check_range("weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        matrix = gradient.ndim > 1
        if matrix and "row_var" not in state:
            shape = gradient.shape
            state["row_var"] = creation.zeros(*shape[:-1], 1, dtype=gradient.dtype, device=gradient.device)
            state["col_var"] = creation.zeros(*shape[:-2], 1, shape[-1], dtype=gradient.dtype, device=gradient.device)
        elif not matrix and "variance" not in state:
            state["variance"] = zeros_for(parameter)
        least, relative = group["eps"]
        least = dtypes.finfo(parameter.dtype).eps if least is None else least
        share = step ** group["beta2_decay"]
        rate = rate_of(group)
        value = parameter.detach()
        root = math.sqrt(value.numel())
        relative_rate = computed_from(lambda step, rate: min(float(rate), 1 / math.sqrt(step)), step, rate)
        size = TABLE["clamp"]((value * value).sum().sqrt() / root, min=relative) * relative_rate
        if group["weight_decay"]:
            value = value * (1 - rate * group["weight_decay"])
        square = gradient * gradient
        if matrix:
            rows, columns = state["row_var"], state["col_var"]
            rows.copy_(rows + (square.mean(-1, keepdim=True) - rows) * share)
            columns.copy_(columns + (square.mean(-2, keepdim=True) - columns) * share)
            estimate = rows * columns / TABLE["clamp"](rows.mean(-2, keepdim=True), min=least)
        else:
            estimate = state["variance"]
            estimate.copy_(estimate + (square - estimate) * share)
        change = gradient * TABLE["clamp"](estimate, min=least * least).rsqrt()
        excess = TABLE["clamp"]((change * change).sum().sqrt() / (root * group["d"]), min=1.0)
        parameter.copy_(value - change * (size / excess))


class Muon(Replayable):
    """Momentum whose matrices are made nearly orthogonal by Newton and Schulz's iteration (Jordan et al., 2024).

    Parameters must have two dimensions. The iteration runs in float32 (PyTorch: bfloat16).

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.zeros(2, 2))
    >>> optimizer = webtorch.optim.Muon([x], lr=1.0)
    >>> (x * webtorch.eye(2) * 5).sum().backward()
    >>> optimizer.step()
    >>> bool((x.diagonal() < -0.6).all())
    True
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if ns_steps >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(ns_coefficients) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        super().__init__(
            params,
            {
                "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
            },
        )  # fmt: skip
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {tuple(parameter.shape)}"
                    )

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_for(parameter)
        momentum, rate = group["momentum"], rate_of(group)
        buffer = state["momentum_buffer"]
        buffer.copy_(buffer + (gradient - buffer) * (1 - momentum))
        change = gradient + (buffer - gradient) * momentum if group["nesterov"] else buffer
        change = orthogonalized(change, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = parameter.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1.0, rows / columns))
        parameter.copy_(parameter.detach() * (1 - rate * group["weight_decay"]) - change * (rate * scale))


def orthogonalized(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, least: float) -> Tensor:
    """A matrix with the same singular vectors and singular values near 1, by a polynomial applied `steps` times."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.t() if tall else matrix
    x = x / TABLE["clamp"]((x * x).sum().sqrt(), min=least)
    for _ in range(steps):
        gram = x @ x.t()
        x = x * a + (gram * b + (gram @ gram) * c) @ x
    return x.t() if tall else x
