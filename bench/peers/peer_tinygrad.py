"""tinygrad on WebGPU: `jit` is inside TinyJit; `lazy` leaves a chain of small ops to be fused into few kernels."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from serve import NotOffered, serve
from tinygrad import Context, Device, Tensor, TinyJit

UNARIES = ("sin", "cos", "tanh", "sigmoid", "exp", "neg", "abs", "sqrt", "square", "relu")


def block(x, wqkv, bqkv, wo, bo, w1, b1, w2, b2, g1, c1, g2, c2):
    batch, length, width = x.shape
    qkv = ((x.layernorm() * g1 + c1) @ wqkv + bqkv).reshape(batch, length, 3, 8, width // 8)
    q, k, v = (part.squeeze(0) for part in qkv.permute(2, 0, 3, 1, 4).chunk(3))
    x = x + q.scaled_dot_product_attention(k, v).transpose(1, 2).reshape(batch, length, width) @ wo + bo
    return x + ((x.layernorm() * g2 + c2) @ w1 + b1).gelu() @ w2 + b2


def cross_entropy(x, labels):
    return (x.softmax(-1) - labels.one_hot(x.shape[-1])) / x.shape[0]


SIMPLE = {
    "matmul": lambda a, b: a @ b,
    "chain": lambda a, b, c: (a * b + c).relu() * a.sigmoid(),
    "softmax": lambda a: a.softmax(-1),
    "layernorm": lambda x, weight, bias: x.layernorm() * weight + bias,
    "block": block,
    "cross": cross_entropy,
    "conv": lambda x, weight: x.conv2d(weight, padding=1),
    "attention": lambda q, k, v: q.scaled_dot_product_attention(k, v),
    "cumsum": lambda x: x.cumsum(0),
    "transpose": lambda x: x.T.contiguous(),
}


def small_ops(task: str, values: list[Tensor], mode: str) -> Callable[[], Tensor]:
    if task == "ops-1000":
        functions = [lambda x: x + values[1]] * 100
    else:
        functions = [getattr(Tensor, name) for name in UNARIES] * 10

    def hundred(x: Tensor) -> Tensor:
        for function in functions:
            x = function(x)
            x = x.realize() if mode == "jit" else x
        return x.realize()

    step = TinyJit(hundred) if mode == "jit" else hundred

    def run() -> Tensor:
        x = values[0]
        for _ in range(10):
            x = step(x).contiguous().realize()
        return x

    return run


def training(values: list[Tensor]) -> Callable[[], Tensor]:
    from tinygrad.nn.optim import SGD

    x, labels, *weights = values
    for weight in weights:
        weight.is_param_()
    w1, b1, w2, b2, w3, b3 = weights
    optimizer = SGD(weights, lr=0.01)

    @TinyJit
    def step() -> Tensor:
        optimizer.zero_grad()
        scores = ((x @ w1 + b1).relu() @ w2 + b2).relu() @ w3 + b3
        loss = scores.sparse_categorical_crossentropy(labels).backward()
        optimizer.step()
        return loss.realize()

    def run() -> Tensor:
        with Context(TRAINING=1):
            return step()

    return run


def adamw(values: list[Tensor]) -> Callable[[], Tensor]:
    from tinygrad.nn.optim import AdamW

    parameters, gradients = values[:10], values[10:]
    for parameter in parameters:
        parameter.is_param_()
    optimizer = AdamW(parameters, lr=0.001, weight_decay=0.01)

    @TinyJit
    def step() -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()

    def run() -> Tensor:
        with Context(TRAINING=1):
            step()
        return parameters[-1]

    return run


def prepare(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    arrays = [array.astype(np.int32) if array.dtype == np.int64 else array for array in arrays]
    values = [Tensor(array).realize() for array in arrays]
    kind = task.split("-")[0]
    if mode == "lazy" and kind != "ops":
        raise NotOffered("the same as with the jit, and slower")
    if kind == "ops":
        work = small_ops(task, values, mode)
    elif task == "mlp-step":
        work = training(values)
    elif task == "adamw-10M":
        work = adamw(values)
    else:
        if kind == "sum":
            axis = {"sum-axis0": 0, "sum-axis1": 1}.get(task)
            function = lambda x: x.sum(axis)  # noqa: E731
        elif kind in SIMPLE:
            function = SIMPLE[kind]
        else:
            raise NotOffered("gives no result within minutes")
        jitted = TinyJit(lambda *values: function(*values).realize())
        work = lambda: jitted(*values)  # noqa: E731

    def run() -> Tensor:
        result = work()
        Device["WEBGPU"].synchronize()
        return result

    return run, lambda result: result.numpy()


def first() -> float:
    return (Tensor.ones(2, 2).contiguous() @ Tensor.ones(2, 2).contiguous())[0, 0].item()


if __name__ == "__main__":
    if Device.DEFAULT != "WEBGPU":
        raise SystemExit(f"tinygrad runs on {Device.DEFAULT}")
    serve({"version": version("tinygrad")}, prepare, first)
