"""What is measured: each task once in numpy, and once in the API that webtorch and PyTorch share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Task(NamedTuple):
    """`inputs()` are numpy arrays; `numpy(*arrays)` and `tensors(api, *tensors)` compute the same from them.

    `work` is what is done per run, in `unit`s: a speed is work per second.
    """

    name: str
    inputs: Callable[[], list[np.ndarray]]
    numpy: Callable[..., Any]
    tensors: Callable[..., Any]
    work: float
    unit: str


def randoms(*shapes: tuple[int, ...]) -> Callable[[], list[np.ndarray]]:
    def make() -> list[np.ndarray]:
        generator = np.random.default_rng(0)
        return [generator.random(shape, dtype=np.float32) - np.float32(0.5) for shape in shapes]

    return make


def numpy_chain(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.maximum(a * b + c, 0) * (1 / (1 + np.exp(-a)))


def numpy_softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def many_ops(x: Any, y: Any) -> Any:
    for _ in range(1000):
        x = x + y
    return x


MLP = (784, 512, 512, 10)


def mlp_inputs() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = [generator.random((128, MLP[0]), dtype=np.float32), generator.integers(0, MLP[-1], 128)]
    for fan_in, fan_out in zip(MLP[:-1], MLP[1:], strict=True):
        scale = np.float32((2 / fan_in) ** 0.5)
        arrays += [generator.standard_normal((fan_in, fan_out), np.float32) * scale, np.zeros(fan_out, np.float32)]
    return arrays


def numpy_mlp(x: np.ndarray, labels: np.ndarray, *weights: np.ndarray) -> np.ndarray:
    """One step of gradient descent, by hand; returns the first layer's new weights."""
    w1, b1, w2, b2, w3, b3 = weights
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = np.maximum(h1 @ w2 + b2, 0)
    g3 = numpy_softmax(h2 @ w3 + b3)
    g3[np.arange(len(x)), labels] -= 1
    g3 /= np.float32(len(x))
    g2 = (g3 @ w3.T) * (h2 > 0)
    g1 = (g2 @ w2.T) * (h1 > 0)
    rate = np.float32(0.01)
    new = [w - rate * (i.T @ g) for w, i, g in ((w1, x, g1), (w2, h1, g2), (w3, h2, g3))]
    _ = [b - rate * g.sum(0) for b, g in ((b1, g1), (b2, g2), (b3, g3))]
    return new[0]


def tensors_mlp(api: Any, x: Any, labels: Any, *weights: Any) -> Any:
    weights = tuple(weight.detach().requires_grad_() for weight in weights)
    w1, b1, w2, b2, w3, b3 = weights
    scores = api.relu(api.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
    loss = -api.log_softmax(scores, 1).gather(1, labels.unsqueeze(1)).mean()
    loss.backward()
    with api.no_grad():
        new = [weight - 0.01 * weight.grad for weight in weights]
    return new  # all of them, so that a lazy device computes them all


def matmul(n: int) -> Task:
    return Task(f"matmul-{n}", randoms((n, n), (n, n)), np.matmul, lambda api, a, b: a @ b, 2 * n**3 / 1e9, "GFLOP")


SIXTEEN = 1 << 24

TASKS = [
    matmul(512),
    matmul(1024),
    Task("chain-16M", randoms(*[(SIXTEEN,)] * 3), numpy_chain,
         lambda api, a, b, c: api.relu(a * b + c) * api.sigmoid(a), 16 * SIXTEEN / 1e9, "GB"),
    Task("sum-16M", randoms((SIXTEEN,)), np.sum, lambda api, x: x.sum(), 4 * SIXTEEN / 1e9, "GB"),
    Task("softmax-4096", randoms((4096, 4096)), numpy_softmax, lambda api, x: api.softmax(x, 1), 8 * SIXTEEN / 1e9, "GB"),
    Task("ops-1000", randoms((1000,), (1000,)), many_ops, lambda api, x, y: many_ops(x, y), 1000, "ops"),
    Task("mlp-step", mlp_inputs, numpy_mlp, tensors_mlp, 1, "steps"),
]  # fmt: skip
