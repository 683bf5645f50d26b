"""Averages of a model's weights over its training: stochastic weight averaging (Izmailov et al., 2018) and exponential means."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import creation, dtypes, grad_mode
from ..nn import Module
from ..nn.normalization import BatchNorm
from ..tensor import Tensor
from .lr_scheduler import LRScheduler, check_optimizer
from .optimizer import Optimizer

__all__ = [
    "AveragedModel", "SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """An `avg_fn` of `AveragedModel`: the exponential moving average.

    >>> import webtorch
    >>> webtorch.optim.swa_utils.get_ema_avg_fn(0.75)(webtorch.tensor(4.0), webtorch.tensor(8.0), 1)
    tensor(5.)
    """
    check_decay(decay)
    return lambda averaged, current, count: decay * averaged + (1 - decay) * current


def get_swa_avg_fn() -> Callable:
    """An `avg_fn` of `AveragedModel`: the mean of all.

    >>> import webtorch
    >>> webtorch.optim.swa_utils.get_swa_avg_fn()(webtorch.tensor(4.0), webtorch.tensor(8.0), 3)
    tensor(5.)
    """
    return lambda averaged, current, count: averaged + (current - averaged) / (count + 1)


def several(function: Callable) -> Callable:
    """A `multi_avg_fn`, which changes lists of tensors in place, of an `avg_fn`."""

    def update(averaged: list, current: list, count: Any) -> None:
        with grad_mode.no_grad():
            for one, other in zip(averaged, current, strict=True):
                if one.dtype.is_floating_point or one.dtype.is_complex:
                    one.copy_(function(one, other, count))
                else:
                    one.copy_(other)

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """A `multi_avg_fn` of `AveragedModel`: the exponential moving average."""
    return several(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable:
    """A `multi_avg_fn` of `AveragedModel`: the mean of all."""
    return several(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model that `update_parameters` makes the average of the models it is given.

    `avg_fn(averaged, current, count)` gives the new value of a parameter, `multi_avg_fn` changes all in place; without
    either it is the mean. With `use_buffers` buffers are averaged too, else copied.

    >>> import webtorch
    >>> model = webtorch.nn.Linear(1, 1)
    >>> averaged = webtorch.optim.swa_utils.AveragedModel(model)
    >>> averaged.update_parameters(model)
    >>> averaged.n_averaged
    tensor(1)
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", creation.tensor(0, dtype=dtypes.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take a model into the average."""

        def values(module: Any) -> list[Tensor]:
            buffers = module.buffers() if self.use_buffers else ()
            return [value.detach() for value in itertools.chain(module.parameters(), buffers)]

        count = int(self.n_averaged.item())
        with grad_mode.no_grad():
            averaged = values(self.module)
            current = [
                value.to(own.device) for own, value in zip(averaged, values(model), strict=True)
            ]  # the copy may be elsewhere
            if count == 0:
                for own, value in zip(averaged, current, strict=True):
                    own.copy_(value)
            elif self.multi_avg_fn is not None:
                self.multi_avg_fn(averaged, current, self.n_averaged)
            else:
                several(self.avg_fn or get_swa_avg_fn())(averaged, current, count)
            if not self.use_buffers:
                for own, value in zip(self.module.buffers(), model.buffers(), strict=True):
                    own.detach().copy_(value.detach().to(own.device))
            self.n_averaged += 1


def update_bn(loader: Iterable, model: Module, device: Any = None) -> None:
    """Compute the running statistics of a model's batch normalisations anew from a loader's batches.

    A batch may be the input, or a list or tuple that begins with it.

    >>> import webtorch
    >>> model = webtorch.nn.BatchNorm1d(1)
    >>> webtorch.optim.swa_utils.update_bn([webtorch.tensor([[1.0], [3.0]])], model)
    >>> model.running_mean
    tensor([2.])
    """
    layers = [module for module in model.modules() if isinstance(module, BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    if not layers:
        return
    was_training = model.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    model.train()
    with grad_mode.no_grad():
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneals the rates to `swa_lr` in `anneal_epochs` steps, by a cosine or a line, and keeps them there.

    >>> import webtorch
    >>> optimizer = webtorch.optim.SGD([webtorch.zeros(1)], lr=1.0)
    >>> schedule = webtorch.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        groups = optimizer.param_groups
        goals = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(groups)
        if len(goals) != len(groups):
            raise ValueError(
                f"swa_lr must have the same length as optimizer.param_groups: swa_lr has {len(goals)}, "
                f"optimizer.param_groups has {len(groups)}"
            )
        for goal, group in zip(goals, groups, strict=True):
            group["swa_lr"] = goal
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def share(self, step: int) -> float:
        """How far the annealing is, from 0 to 1."""
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return part if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self.share(step - 1), self.share(step)
        rates = []
        for group in self.optimizer.param_groups:
            # What the rate was at the beginning follows from what it is, so that it may be changed by hand.
            begun = group["swa_lr"] if before == 1 else (group["lr"] - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * now + begun * (1 - now))
        return rates
