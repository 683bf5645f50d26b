"""What is measured: each task once in numpy, and once in the API that webtorch and PyTorch share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Task(NamedTuple):
    """`inputs()` are numpy arrays; `numpy(*arrays)` is a function that does the task once; `tensors(api, *tensors)` is
    such a function and its arguments.

    Tasks that train go on from where the run before stopped. `work` is what is done per run, in `unit`s: a speed is work
    per second. `compiled`: whether there is something for `webtorch.compile` to save.
    """

    name: str
    inputs: Callable[[], list[np.ndarray]]
    numpy: Callable[..., Callable[[], Any]]
    tensors: Callable[..., tuple[Callable, tuple]]
    work: float
    unit: str
    compiled: bool = False


def randoms(*shapes: tuple[int, ...], low: float = -0.5) -> Callable[[], list[np.ndarray]]:
    def make() -> list[np.ndarray]:
        generator = np.random.default_rng(0)
        return [generator.random(shape, dtype=np.float32) + np.float32(low) for shape in shapes]

    return make


def plain(name: str, inputs: Any, in_numpy: Any, in_tensors: Any, work: float, unit: str, **more: Any) -> Task:
    """A task without a state: the same each time."""
    return Task(
        name,
        inputs,
        lambda *arrays: lambda: in_numpy(*arrays),
        lambda api, *tensors: (lambda *values: in_tensors(api, *values), tensors),
        work,
        unit,
        **more,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numpy_chain(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.maximum(a * b + c, 0) * sigmoid(a)


def numpy_softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def numpy_layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-5)) * weight + bias


# -- a thousand small ops, each of which needs the one before


def many_additions(x: Any, y: Any) -> Any:
    for _ in range(1000):
        x = x + y
    return x


UNARIES = ("sin", "cos", "tanh", "sigmoid", "exp", "neg", "abs", "sqrt", "square", "relu")


def many_unaries(functions: list[Callable], x: Any) -> Any:
    for _ in range(100):
        for function in functions:
            x = function(x)
    return x


NUMPY_UNARIES: list[Callable] = [
    np.sin, np.cos, np.tanh, sigmoid, np.exp, np.negative, np.abs, np.sqrt, np.square, lambda x: np.maximum(x, 0)
]  # fmt: skip


# -- a training step of a perceptron

MLP = (784, 512, 512, 10)
RATE = 0.01


def mlp_inputs() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = [generator.random((128, MLP[0]), dtype=np.float32), generator.integers(0, MLP[-1], 128)]
    for fan_in, fan_out in zip(MLP[:-1], MLP[1:], strict=True):
        scale = np.float32((2 / fan_in) ** 0.5)
        arrays += [generator.standard_normal((fan_in, fan_out), np.float32) * scale, np.zeros(fan_out, np.float32)]
    return arrays


def numpy_mlp(x: np.ndarray, labels: np.ndarray, *weights: np.ndarray) -> Callable[[], np.ndarray]:
    """Steps of gradient descent, by hand; each returns the loss."""
    w1, b1, w2, b2, w3, b3 = (weight.copy() for weight in weights)
    rows, rate = np.arange(len(x)), np.float32(RATE)

    def step() -> np.ndarray:
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        g3 = numpy_softmax(h2 @ w3 + b3)
        loss = -np.log(g3[rows, labels]).mean()
        g3[rows, labels] -= 1
        g3 /= np.float32(len(x))
        g2 = (g3 @ w3.T) * (h2 > 0)
        g1 = (g2 @ w2.T) * (h1 > 0)
        for weight, bias, inputs, gradient in ((w1, b1, x, g1), (w2, b2, h1, g2), (w3, b3, h2, g3)):
            weight -= rate * (inputs.T @ gradient)
            bias -= rate * gradient.sum(0)
        return loss

    return step


def tensors_mlp(api: Any, x: Any, labels: Any, *weights: Any) -> tuple[Callable, tuple]:
    w1, b1, w2, b2, w3, b3 = weights = [weight.detach().clone().requires_grad_() for weight in weights]
    optimizer = api.optim.SGD(weights, lr=RATE)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        scores = api.relu(api.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
        loss = api.nn.functional.cross_entropy(scores, labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, (x, labels)


# -- the forward pass of a transformer's block: batch, length, width, heads, and the width within the perceptron

BLOCK = (4, 128, 256, 8, 1024)


def block_inputs() -> list[np.ndarray]:
    """The activations; then the weights of query, key and value, of the projection, and of the perceptron; then the norms'."""
    generator = np.random.default_rng(0)
    batch, length, width, _, inner = BLOCK

    def small(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32) * np.float32(0.02)

    ones = np.ones(width, np.float32)
    return [
        generator.standard_normal((batch, length, width), np.float32),
        small(width, 3 * width), small(3 * width), small(width, width), small(width),
        small(width, inner), small(inner), small(inner, width), small(width),
        ones, small(width), ones, small(width),
    ]  # fmt: skip


def numpy_block(x, wqkv, bqkv, wo, bo, w1, b1, w2, b2, g1, c1, g2, c2):  # noqa: ANN001, ANN202
    batch, length, width, heads, _ = BLOCK
    q, k, v = (numpy_layer_norm(x, g1, c1) @ wqkv + bqkv).reshape(batch, length, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    mixed = numpy_softmax(q @ k.swapaxes(2, 3) / np.float32((width // heads) ** 0.5)) @ v
    x = x + mixed.swapaxes(1, 2).reshape(batch, length, width) @ wo + bo
    u = numpy_layer_norm(x, g2, c2) @ w1 + b1
    u = np.float32(0.5) * u * (1 + np.tanh(np.float32(0.7978845608) * (u + np.float32(0.044715) * u * u * u)))
    return x + u @ w2 + b2


def tensors_block(api, x, wqkv, bqkv, wo, bo, w1, b1, w2, b2, g1, c1, g2, c2):  # noqa: ANN001, ANN202
    batch, length, width, heads, _ = BLOCK
    functional = api.nn.functional
    with api.no_grad():
        qkv = functional.layer_norm(x, (width,), g1, c1) @ wqkv + bqkv
        q, k, v = qkv.reshape(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = x + mixed.transpose(1, 2).reshape(batch, length, width) @ wo + bo
        u = functional.gelu(functional.layer_norm(x, (width,), g2, c2) @ w1 + b1, approximate="tanh")
        return x + u @ w2 + b2


# -- cross-entropy of 4096 rows of 1000 scores, and the gradient of the scores


def labelled() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal((4096, 1000), np.float32), generator.integers(0, 1000, 4096)]


def numpy_cross_entropy(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    gradient = numpy_softmax(x)
    gradient[np.arange(len(x)), labels] -= 1
    return gradient / np.float32(len(x))


def tensors_cross_entropy(api: Any, x: Any, labels: Any) -> Any:
    x = x.detach().requires_grad_()
    api.nn.functional.cross_entropy(x, labels).backward()
    return x.grad


def numpy_conv(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    count, channels, high, wide = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(count, channels * 9, high * wide)
    return (weight.reshape(len(weight), -1) @ columns).reshape(count, -1, high, wide)


def numpy_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    return numpy_softmax(q @ k.swapaxes(2, 3) / np.float32(q.shape[-1] ** 0.5)) @ v


MILLION = 1 << 20


def indexed() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.random(MILLION, dtype=np.float32), generator.integers(0, MILLION, MILLION)]


def numpy_scatter(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.bincount(index, x, len(x)).astype(np.float32)


# -- AdamW on ten tensors of a million parameters, with the gradients given

BETAS, DECAY, ADAM_RATE = (0.9, 0.999), 0.01, 0.001


def numpy_adamw(*arrays: np.ndarray) -> Callable[[], np.ndarray]:
    parameters, gradients = [array.copy() for array in arrays[:10]], arrays[10:]
    means = [np.zeros_like(array) for array in parameters]
    squares = [np.zeros_like(array) for array in parameters]
    count = 0

    def step() -> np.ndarray:
        nonlocal count
        count += 1
        for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
            parameter *= np.float32(1 - ADAM_RATE * DECAY)
            mean += np.float32(1 - BETAS[0]) * (gradient - mean)
            square *= np.float32(BETAS[1])
            square += np.float32(1 - BETAS[1]) * gradient * gradient
            size = np.sqrt(square) / np.float32((1 - BETAS[1] ** count) ** 0.5) + np.float32(1e-8)
            parameter -= np.float32(ADAM_RATE / (1 - BETAS[0] ** count)) * mean / size
        return parameters[-1]

    return step


def tensors_adamw(api: Any, *tensors: Any) -> tuple[Callable, tuple]:
    parameters = [tensor.detach().clone().requires_grad_() for tensor in tensors[:10]]
    for parameter, gradient in zip(parameters, tensors[10:], strict=True):
        parameter.grad = gradient
    optimizer = api.optim.AdamW(parameters, lr=ADAM_RATE, betas=BETAS, weight_decay=DECAY)

    def step() -> Any:
        optimizer.step()
        return parameters[-1].detach()

    return step, ()


def matmul(n: int) -> Task:
    return plain(f"matmul-{n}", randoms((n, n), (n, n)), np.matmul, lambda api, a, b: a @ b, 2 * n**3 / 1e9, "GFLOP")


SIXTEEN = 1 << 24
SQUARE = (4096, 4096)

TASKS = [
    matmul(256),
    matmul(512),
    matmul(1024),
    matmul(2048),
    plain("chain-16M", randoms(*[(SIXTEEN,)] * 3), numpy_chain,
          lambda api, a, b, c: api.relu(a * b + c) * api.sigmoid(a), 16 * SIXTEEN / 1e9, "GB"),
    plain("sum-16M", randoms((SIXTEEN,), low=0), np.sum, lambda api, x: x.sum(), 4 * SIXTEEN / 1e9, "GB"),
    plain("sum-axis0", randoms(SQUARE, low=0), lambda x: x.sum(0), lambda api, x: x.sum(0), 4 * SIXTEEN / 1e9, "GB"),
    plain("sum-axis1", randoms(SQUARE, low=0), lambda x: x.sum(1), lambda api, x: x.sum(1), 4 * SIXTEEN / 1e9, "GB"),
    plain("softmax-4096", randoms(SQUARE), numpy_softmax, lambda api, x: api.softmax(x, 1), 8 * SIXTEEN / 1e9, "GB"),
    plain("layernorm-4096", randoms(SQUARE, (4096,), (4096,)), numpy_layer_norm,
          lambda api, x, weight, bias: api.nn.functional.layer_norm(x, (4096,), weight, bias), 8 * SIXTEEN / 1e9, "GB"),
    plain("ops-1000", randoms((1024,), (1024,)), many_additions, lambda api, x, y: many_additions(x, y), 1000, "ops",
          compiled=True),
    plain("ops-unary", randoms((1024,), low=0), lambda x: many_unaries(NUMPY_UNARIES, x),
          lambda api, x: many_unaries([getattr(api, name) for name in UNARIES], x), 1000, "ops", compiled=True),
    Task("mlp-step", mlp_inputs, numpy_mlp, tensors_mlp, 1, "steps", compiled=True),
    plain("block", block_inputs, numpy_block, tensors_block, 1, "passes", compiled=True),
    plain("cross-entropy", labelled, numpy_cross_entropy, tensors_cross_entropy, 8 * 4096 * 1000 / 1e9, "GB"),
    plain("conv", randoms((32, 3, 64, 64), (64, 3, 3, 3)), numpy_conv,
          lambda api, x, weight: api.nn.functional.conv2d(x, weight, padding=1), 2 * 27 * 32 * 64**3 / 1e9, "GFLOP"),
    plain("attention", randoms(*[(1, 8, 1024, 64)] * 3), numpy_attention,
          lambda api, q, k, v: api.nn.functional.scaled_dot_product_attention(q, k, v), 4 * 8 * 1024**2 * 64 / 1e9, "GFLOP"),
    plain("cumsum-1M", randoms((MILLION,), low=0), lambda x: np.cumsum(x, dtype=np.float64), lambda api, x: api.cumsum(x, 0),
          8 * MILLION / 1e9, "GB"),
    plain("sort-1M", randoms((MILLION,)), np.sort, lambda api, x: api.sort(x)[0], MILLION / 1e6, "M values"),
    plain("gather-1M", indexed, np.take, lambda api, x, index: api.gather(x, 0, index), MILLION / 1e6, "M values"),
    plain("scatter-1M", indexed, numpy_scatter,
          lambda api, x, index: api.zeros_like(x).scatter_add(0, index, x), MILLION / 1e6, "M values"),
    plain("transpose-4096", randoms(SQUARE), lambda x: np.ascontiguousarray(x.T), lambda api, x: x.t().contiguous(),
          8 * SIXTEEN / 1e9, "GB"),
    Task("adamw-10M", randoms(*[(MILLION,)] * 20), numpy_adamw, tensors_adamw, 10 * MILLION / 1e6, "M parameters",
         compiled=True),
]  # fmt: skip
