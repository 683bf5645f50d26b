"""More optimizers whose step is tensor expressions: RAdam, Rprop, ASGD; and SparseAdam, which has nothing to work on here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import capture, creation
from ..ops import TABLE
from ..tensor import Tensor
from .algorithms import Replayable
from .optimizer import Optimizer, check_range, counted, rate_of, zeros_for

__all__ = ["ASGD", "RAdam", "Rprop", "SparseAdam"]


def computed_from(function: Callable[..., float], *numbers: Any) -> Any:
    """A number of other numbers that `webtorch.compile` computes again at every replay."""
    return capture.live(lambda: function(*(capture.computed(number) for number in numbers)))


class RAdam(Replayable):
    """Adam whose adaptive rate is rectified, and left out in the first steps (Liu et al., 2020).

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.ones(1))
    >>> optimizer = webtorch.optim.RAdam([x], lr=0.125)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([0.7500])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
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
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach,
                "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_avg_sq"] = zeros_for(parameter), zeros_for(parameter)
        rate, decay, (beta1, beta2) = rate_of(group), group["weight_decay"], group["betas"]
        value = parameter.detach()
        if decay and group["decoupled_weight_decay"]:
            value = value * (1 - rate * decay)
        elif decay:
            gradient = gradient + value * decay
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first.copy_(first + (gradient - first) * (1 - beta1))
        second.copy_(second * beta2 + gradient * gradient * (1 - beta2))
        longest = 2 / (1 - beta2) - 1  # of the approximated simple moving average

        def rectification(step: float) -> float:
            """The factor of the adaptive step; 0 in the first steps, which are plain."""
            length = longest - 2 * step * beta2**step / (1 - beta2**step)
            if length <= 5:
                return 0.0
            part = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            return ((1 - beta2**step) * part) ** 0.5

        adaptive = computed_from(rectification, step)
        plain = computed_from(lambda step: 0.0 if rectification(step) else 1.0, step)
        scale = rate / (1 - beta1**step)
        parameter.copy_(value - first * (plain + adaptive / (second.sqrt() + group["eps"])) * scale)


class Rprop(Replayable):
    """Resilient steps (Riedmiller and Braun, 1993): only the signs of gradients count, for whole batches.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.ones(1))
    >>> optimizer = webtorch.optim.Rprop([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([0.7500])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        counted(state)
        if "prev" not in state:
            state["prev"] = zeros_for(parameter)
            state["step_size"] = creation.full_like(parameter.detach(), float(group["lr"]))
        previous, size = state["prev"], state["step_size"]
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        agreement = gradient * previous
        where = TABLE["where"]
        factor = where(agreement > 0, grow, where(agreement < 0, shrink, 1.0))
        size.copy_(TABLE["clamp"](size * factor, least, most))
        gradient = where(agreement < 0, 0.0, gradient)
        previous.copy_(gradient)
        parameter.sub_(gradient.sign() * size)


class ASGD(Replayable):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992): the state's `ax` is the mean of the parameters.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.ones(1))
    >>> optimizer = webtorch.optim.ASGD([x], lr=0.25, lambd=0)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data, optimizer.state[x]["ax"]
    (tensor([0.5000]), tensor([0.5000]))
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_range("learning rate", lr)
        check_range("weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = counted(state)
        if "ax" not in state:
            state["eta"] = creation.tensor(float(group["lr"]), device="cpu")
            state["mu"] = creation.tensor(1.0, device="cpu")
            state["ax"] = zeros_for(parameter)
        now = [0.0, 0.0]  # the rates of this step; the state keeps those of the next

        def advance() -> None:
            now[:] = (number_of(state[name]) for name in ("eta", "mu"))
            count, rate = capture.computed(step), float(group["lr"])
            eta = rate / (1 + group["lambd"] * rate * count) ** group["alpha"]
            state["eta"] = creation.tensor(eta, device="cpu")
            state["mu"] = creation.tensor(1 / max(1.0, count - group["t0"]), device="cpu")

        capture.each_time(advance)
        eta, mu = capture.live(lambda: now[0]), capture.live(lambda: now[1])
        if group["weight_decay"]:
            gradient = gradient + parameter.detach() * group["weight_decay"]
        value = parameter.detach() * (1 - group["lambd"] * eta) - eta * gradient
        parameter.copy_(value)
        average = state["ax"]
        average.copy_(average + (value - average) * mu)


def number_of(tensor: Tensor) -> float:
    """The value of a 0-d tensor on the cpu."""
    return float(tensor._storage.node.buffer[0])


class SparseAdam(Optimizer):
    """Adam for sparse gradients. webtorch has dense tensors only, so a step raises RuntimeError, as PyTorch's does for dense
    gradients; it is here for programs that name it.

    >>> import webtorch
    >>> webtorch.optim.SparseAdam([webtorch.zeros(1)]).defaults["lr"]
    0.001
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_range("beta parameter at index 0", betas[0], below=1.0)
        check_range("beta parameter at index 1", betas[1], below=1.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
