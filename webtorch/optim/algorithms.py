"""The optimizers. Each update is written as tensor expressions; numbers that change from step to step are Python's, so
that a GPU computes it by a kernel that is compiled once, for all parameters together."""

from __future__ import annotations

from typing import Any

from .. import capture, creation
from ..ops import TABLE
from ..tensor import Tensor
from .optimizer import Optimizer, check_range, counted, rate_of, zeros_for

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RMSprop"]


class Replayable(Optimizer):
    """An optimizer whose step `webtorch.compile` can replay: its numbers are live."""

    replayable = True


def running_product(state: dict[str, Any], name: str, factor: Any) -> Any:
    """Multiply a number that a state keeps as a 0-d cpu tensor, and return it."""

    def multiply() -> None:
        state[name] = creation.tensor(state[name]._storage.node.buffer[0] * capture.computed(factor), device="cpu")

    capture.each_time(multiply)
    return capture.live(lambda: float(state[name]._storage.node.buffer[0]))


class SGD(Replayable):
    """Stochastic gradient descent, with momentum, Nesterov's or plain, and weight decay.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.ones(1))
    >>> optimizer = webtorch.optim.SGD([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.item()
    0.0
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_range("learning rate", lr)
        check_range("momentum value", momentum)
        check_range("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
                "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        if group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * parameter
        if momentum:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = gradient.clone()
            else:
                buffer.copy_(buffer * momentum + gradient * (1 - group["dampening"]))
            gradient = gradient + momentum * buffer if group["nesterov"] else buffer
        rate = rate_of(group)
        if isinstance(rate, Tensor):
            parameter.sub_(rate * gradient)
        else:
            parameter.add_(gradient, alpha=-rate)


class Adam(Replayable):
    """Adam (Kingma and Ba, 2015): steps scaled by running means of the gradient and of its square.

    `weight_decay` is added to the gradient; `AdamW` takes it from the parameter itself.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.ones(1))
    >>> optimizer = webtorch.optim.Adam([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([0.7500])
    """

    decoupled = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        check_range("epsilon value", eps)
        check_range("beta parameter at index 0", betas[0], below=1.0)
        check_range("beta parameter at index 1", betas[1], below=1.0)
        check_range("weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
                "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = zeros_for(parameter)
        rate, decay, (beta1, beta2) = rate_of(group), group["weight_decay"], group["betas"]
        value = parameter.detach()
        if decay and group.get("decoupled_weight_decay", self.decoupled):
            value = value * (1 - rate * decay)
        elif decay:
            gradient = gradient + value * decay
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first = first + (gradient - first) * (1 - beta1)
        second = second * beta2 + gradient * gradient * (1 - beta2)
        largest = TABLE["maximum"](state["max_exp_avg_sq"], second) if group["amsgrad"] else second
        scale = (1 - beta2**step) ** 0.5
        parameter.copy_(value - first / (largest.sqrt() / scale + group["eps"]) * (rate / (1 - beta1**step)))
        state["exp_avg"].copy_(first)
        state["exp_avg_sq"].copy_(second)
        if group["amsgrad"]:
            state["max_exp_avg_sq"].copy_(largest)


class AdamW(Adam):
    """Adam with weight decay taken from the parameter itself (Loshchilov and Hutter, 2019).

    >>> import webtorch
    >>> webtorch.optim.AdamW([webtorch.zeros(1)]).defaults["weight_decay"]
    0.01
    """

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip


class NAdam(Replayable):
    """Adam with Nesterov momentum (Dozat, 2016)."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        check_range("epsilon value", eps)
        check_range("beta parameter at index 0", betas[0], below=1.0)
        check_range("beta parameter at index 1", betas[1], below=1.0)
        check_range("weight_decay value", weight_decay)
        check_range("momentum_decay value", momentum_decay)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach, "capturable": capturable,
                "differentiable": differentiable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        if "exp_avg" not in state:
            state["mu_product"] = creation.tensor(1.0, device="cpu")
            state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)
        rate, decay, (beta1, beta2) = rate_of(group), group["weight_decay"], group["betas"]
        value = parameter.detach()
        if decay and group["decoupled_weight_decay"]:
            value = value * (1 - rate * decay)
        elif decay:
            gradient = gradient + value * decay
        now = beta1 * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        following = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        product = running_product(state, "mu_product", now)
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first.copy_(first + (gradient - first) * (1 - beta1))
        second.copy_(second * beta2 + gradient * gradient * (1 - beta2))
        root = (second / (1 - beta2**step)).sqrt() + group["eps"]
        value = value - gradient / root * (rate * (1.0 - now) / (1.0 - product))
        parameter.copy_(value - first / root * (rate * following / (1.0 - product * following)))


class Adamax(Replayable):
    """Adam with the largest gradient seen in place of the mean square (Kingma and Ba, 2015)."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        check_range("epsilon value", eps)
        check_range("beta parameter at index 0", betas[0], below=1.0)
        check_range("beta parameter at index 1", betas[1], below=1.0)
        check_range("weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_inf"] = zeros_for(parameter), zeros_for(parameter)
        beta1, beta2 = group["betas"]
        if group["weight_decay"]:
            gradient = gradient + parameter.detach() * group["weight_decay"]
        first, largest = state["exp_avg"], state["exp_inf"]
        first.copy_(first + (gradient - first) * (1 - beta1))
        largest.copy_(TABLE["maximum"](largest * beta2, gradient.abs() + group["eps"]))
        parameter.sub_(first / largest * (rate_of(group) / (1 - beta1**step)))


class RMSprop(Replayable):
    """Steps divided by the root of a running mean of squared gradients, centred and with momentum if asked."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        check_range("epsilon value", eps)
        check_range("momentum value", momentum)
        check_range("weight_decay value", weight_decay)
        check_range("alpha value", alpha)
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
                "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        counted(state)
        alpha = group["alpha"]
        if "square_avg" not in state:
            state["square_avg"] = zeros_for(parameter)
            if group["momentum"] > 0:
                state["momentum_buffer"] = zeros_for(parameter)
            if group["centered"]:
                state["grad_avg"] = zeros_for(parameter)
        if group["weight_decay"]:
            gradient = gradient + parameter.detach() * group["weight_decay"]
        square = state["square_avg"]
        square.copy_(square * alpha + gradient * gradient * (1 - alpha))
        spread = square
        if group["centered"]:
            mean = state["grad_avg"]
            mean.copy_(mean + (gradient - mean) * (1 - alpha))
            spread = square - mean * mean
        scaled = gradient / (spread.sqrt() + group["eps"])
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer.copy_(buffer * group["momentum"] + scaled)
            scaled = buffer
        parameter.sub_(rate_of(group) * scaled)


class Adagrad(Replayable):
    """Steps divided by the root of the sum of all squared gradients (Duchi et al., 2011)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_range("learning rate", lr)
        check_range("lr_decay value", lr_decay)
        check_range("weight_decay value", weight_decay)
        check_range("initial_accumulator_value value", initial_accumulator_value)
        check_range("epsilon value", eps)
        super().__init__(
            params,
            {
                "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["step"] = creation.tensor(0.0, device="cpu")
                start = initial_accumulator_value  # of both parts of a complex number
                value = complex(start, start) if parameter.dtype.is_complex else start
                state["sum"] = creation.full_like(parameter.detach(), value)

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        if "sum" not in state:
            state["sum"] = creation.full_like(parameter.detach(), group["initial_accumulator_value"])
        if group["weight_decay"]:
            gradient = gradient + parameter.detach() * group["weight_decay"]
        total = state["sum"]
        total.copy_(total + gradient * gradient)
        parameter.sub_(
            gradient / (total.sqrt() + group["eps"]) * (rate_of(group) / (1 + (step - 1) * group["lr_decay"]))
        )


class Adadelta(Replayable):
    """Steps in the ratio of running mean squares of past steps and gradients (Zeiler, 2012)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        check_range("rho value", rho)
        check_range("epsilon value", eps)
        check_range("weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
                "foreach": foreach, "differentiable": differentiable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        counted(state)
        rho, eps = group["rho"], group["eps"]
        if "square_avg" not in state:
            state["square_avg"], state["acc_delta"] = zeros_for(parameter), zeros_for(parameter)
        if group["weight_decay"]:
            gradient = gradient + parameter.detach() * group["weight_decay"]
        square, steps = state["square_avg"], state["acc_delta"]
        square.copy_(square * rho + gradient * gradient * (1 - rho))
        delta = (steps + eps).sqrt() / (square + eps).sqrt() * gradient
        steps.copy_(steps * rho + delta * delta * (1 - rho))
        parameter.sub_(rate_of(group) * delta)
