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
]

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
        optimizer.zero_grad()
        loss = loss_of(library, parameters, x, y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    found = {f"parameter {number}": as_array(value) for number, value in enumerate(parameters)}
    return {**found, "losses": np.array(losses)}


def rates(library: Any, text: str) -> np.ndarray:
    """The rates (and momenta) of two groups, and what get_last_lr says, over a number of steps."""
    parameters = [library.nn.Parameter(library.zeros(1)) for _ in range(2)]
    groups = [{"params": [parameters[0]]}, {"params": [parameters[1]], "lr": 0.4}]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = library.optim.SGD(groups, lr=0.2, momentum=0.9)
        schedules = library.optim.lr_scheduler
        schedule = eval(text if text.startswith("s.") else f"s.{text}", {"s": schedules, "o": optimizer})
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
    for name, options in OPTIMIZERS:
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
