"""What the tests of `webtorch.optim` compute, written so that PyTorch can compute it too.

`python tests/optim_cases.py` records what PyTorch gives in goldens/optim.npz.
"""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

GOLDENS = pathlib.Path(__file__).parent / "goldens" / "optim.npz"
STEPS = 10

OPTIMIZERS: list[tuple[str, dict]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.5, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adamax", {"lr": 0.01, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "weight_decay": 0.01}),
    ("Adadelta", {"lr": 0.5, "weight_decay": 0.01}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.7), "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Rprop", {"lr": 0.01}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.2)}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 4, "weight_decay": 0.01}),
]

# Those that look at a parameter as a whole: more than one kernel.
WHOLE: list[tuple[str, dict]] = [
    ("Adafactor", {"lr": 0.1}),
    ("Adafactor", {"lr": 0.01, "weight_decay": 0.1, "d": 2.0, "eps": (1e-4, 0.1), "maximize": True}),
    ("LBFGS", {"max_iter": 3}),
    ("LBFGS", {"lr": 0.5, "max_iter": 4, "line_search_fn": "strong_wolfe", "history_size": 3}),
]
MUON: list[dict] = [{"lr": 0.1}, {"lr": 0.1, "nesterov": False, "momentum": 0.8, "adjust_lr_fn": "match_rms_adamw"}]

SCHEDULES = [
    "LambdaLR(o, lambda n: 0.9**n)",
    "MultiplicativeLR(o, lambda n: 0.95)",
    "StepLR(o, 3, gamma=0.5)",
    "MultiStepLR(o, [2, 5, 5, 9], gamma=0.3)",
    "ConstantLR(o, 0.25, total_iters=4)",
    "LinearLR(o, 0.2, 0.9, total_iters=6)",
    "ExponentialLR(o, 0.9)",
    "PolynomialLR(o, 8, power=2.0)",
    "CosineAnnealingLR(o, 5, eta_min=0.01)",
    "CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.01)",
    "OneCycleLR(o, 0.5, total_steps=20)",
    "OneCycleLR(o, [0.5, 0.3], epochs=4, steps_per_epoch=5, anneal_strategy='linear', three_phase=True, pct_start=0.4)",
    "CyclicLR(o, 0.1, 0.6, step_size_up=3, step_size_down=2)",
    "CyclicLR(o, [0.1, 0.2], [0.6, 0.9], step_size_up=4, mode='triangular2', base_momentum=0.7)",
    "CyclicLR(o, 0.1, 0.6, step_size_up=3, mode='exp_range', gamma=0.9, cycle_momentum=False)",
    "CyclicLR(o, 0.1, 0.6, step_size_up=3, scale_fn=lambda n: 0.5 / n)",
    "swa.SWALR(o, 0.05, anneal_epochs=6)",
    "swa.SWALR(o, [0.05, 1.0], anneal_epochs=5, anneal_strategy='linear')",
    "swa.SWALR(o, 0.05, anneal_epochs=0)",
    "SequentialLR(o, [s.ConstantLR(o, 0.1, total_iters=3), s.ExponentialLR(o, 0.9)], milestones=[4])",
    "ChainedScheduler([s.ConstantLR(o, 0.1, total_iters=3), s.ExponentialLR(o, 0.9)])",
]

PLATEAU = [1.0, 0.9, 0.95, 0.94, 0.93, 0.92, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.88]


def name_of(name: str, options: dict) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"


def as_array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy()


def start(library: Any, to: Callable) -> tuple[list, Any, Any]:
    """Parameters, data and targets of a small regression."""
    rng = np.random.default_rng(7)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in ((6, 4), (6,), (1, 6))]
    x, y = rng.standard_normal((16, 4)).astype(np.float32), rng.standard_normal((16, 1)).astype(np.float32)
    return [library.nn.Parameter(to(weight)) for weight in weights], to(x), to(y)


def loss_of(library: Any, parameters: list, x: Any, y: Any) -> Any:
    first, bias, second = parameters
    return ((library.tanh(x @ first.t() + bias) @ second.t() - y) ** 2).mean()


def train(library: Any, name: str, options: dict, to: Callable) -> dict[str, np.ndarray]:
    """The parameters and losses after some steps."""
    parameters, x, y = start(library, to)
    optimizer = getattr(library.optim, name)(parameters, **options)
    losses = []
    for _ in range(STEPS):

        def closure() -> Any:
            optimizer.zero_grad()
            loss = loss_of(library, parameters, x, y)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        losses.append(float(loss.detach()))
    found = {f"parameter {number}": as_array(value) for number, value in enumerate(parameters)}
    return {**found, "losses": np.array(losses)}


def muon(library: Any, options: dict, to: Callable) -> dict[str, np.ndarray]:
    """Matrices after some steps with fixed gradients."""
    rng = np.random.default_rng(5)
    parameters = [library.nn.Parameter(to(rng.standard_normal(s).astype(np.float32))) for s in ((6, 4), (3, 5))]
    optimizer = library.optim.Muon(parameters, **options)
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = to(rng.standard_normal(tuple(parameter.shape)).astype(np.float32))
        optimizer.step()
    return {f"parameter {number}": as_array(value) for number, value in enumerate(parameters)}


def rates(library: Any, text: str) -> np.ndarray:
    """The rates (and momenta) of two groups, and what get_last_lr says, over a number of steps."""
    parameters = [library.nn.Parameter(library.zeros(1)) for _ in range(2)]
    groups = [{"params": [parameters[0]]}, {"params": [parameters[1]], "lr": 0.4}]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = library.optim.SGD(groups, lr=0.2, momentum=0.9)
        schedules = library.optim.lr_scheduler
        schedule = eval(
            text if text.startswith(("s.", "swa.")) else f"s.{text}",
            {"s": schedules, "o": optimizer, "swa": library.optim.swa_utils},
        )
        for _ in range(18):
            rows.append(
                [value for group in optimizer.param_groups for value in (group["lr"], group["momentum"])]
                + schedule.get_last_lr()
            )
            optimizer.step()
            schedule.step()
    return np.array(rows)


def plateau(library: Any, **options: Any) -> np.ndarray:
    optimizer = library.optim.SGD([library.nn.Parameter(library.zeros(1))], lr=1.0)
    schedule = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rows = []
    for value in PLATEAU:
        schedule.step(value)
        rows.append(optimizer.param_groups[0]["lr"])
    return np.array(rows)


PLATEAUS: list[dict] = [
    {"patience": 1},
    {"patience": 2, "factor": 0.5, "cooldown": 2},
    {"mode": "max", "patience": 0, "threshold": 0.05, "threshold_mode": "abs", "min_lr": 0.02},
]


def everything(library: Any, to: Callable) -> dict[str, np.ndarray]:
    arrays = {}
    for options in MUON:
        for key, value in muon(library, options, to).items():
            arrays[f"{name_of('Muon', options)}: {key}"] = value
    for name, options in OPTIMIZERS + WHOLE:
        for key, value in train(library, name, options, to).items():
            arrays[f"{name_of(name, options)}: {key}"] = value
    for text in SCHEDULES:
        arrays[text] = rates(library, text)
    for number, options in enumerate(PLATEAUS):
        arrays[f"plateau {number}"] = plateau(library, **options)
    return arrays


if __name__ == "__main__":
    import torch

    recorded = everything(torch, torch.tensor)
    np.savez_compressed(GOLDENS, **recorded)
    print(f"{len(recorded)} arrays, {GOLDENS.stat().st_size} bytes")
