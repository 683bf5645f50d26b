"""taichi on Vulkan: kernels written by hand, for it is no tensor library."""

from collections.abc import Callable

import numpy as np
import taichi as ti
from serve import NotOffered, serve

ti.init(arch=ti.vulkan, offline_cache=False, log_level=ti.ERROR)
if str(ti.cfg.arch) != "Arch.vulkan":
    raise SystemExit(f"taichi runs on {ti.cfg.arch}")
ONE, TWO = ti.types.ndarray(ti.f32, 1), ti.types.ndarray(ti.f32, 2)


@ti.kernel
def matmul(a: TWO, b: TWO, y: TWO):
    for i, j in y:
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        y[i, j] = total


@ti.kernel
def chain(a: ONE, b: ONE, c: ONE, y: ONE):
    for i in y:
        y[i] = ti.max(a[i] * b[i] + c[i], 0.0) / (1.0 + ti.exp(-a[i]))


@ti.kernel
def sum_rows(a: TWO, y: ONE):
    for i in y:
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k]
        y[i] = total


@ti.kernel
def sum_columns(a: TWO, y: ONE):
    for j in y:
        total = 0.0
        for k in range(a.shape[0]):
            total += a[k, j]
        y[j] = total


@ti.kernel
def softmax(a: TWO, y: TWO):
    for i in range(a.shape[0]):
        largest = a[i, 0]
        for k in range(a.shape[1]):
            largest = ti.max(largest, a[i, k])
        total = 0.0
        for k in range(a.shape[1]):
            power = ti.exp(a[i, k] - largest)
            y[i, k] = power
            total += power
        for k in range(a.shape[1]):
            y[i, k] = y[i, k] / total


@ti.kernel
def transpose(a: TWO, y: TWO):
    for i, j in y:
        y[i, j] = a[j, i]


@ti.kernel
def add(x: ONE, b: ONE, y: ONE):
    for i in y:
        y[i] = x[i] + b[i]


SIMPLE = {"matmul": matmul, "chain": chain, "softmax": softmax, "transpose": transpose, "sum-axis0": sum_columns,
          "sum-axis1": sum_rows}  # fmt: skip


def upload(array: np.ndarray) -> ti.Ndarray:
    made = ti.ndarray(ti.f32, array.shape)
    made.from_numpy(array)
    return made


def prepare(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    kernel = SIMPLE.get(task, SIMPLE.get(task.split("-")[0]))
    if kernel is None and task != "ops-1000":
        raise NotOffered("no kernel was written for it")
    values = [upload(array) for array in arrays]
    shape = arrays[0].shape
    last = (shape[0] - 1,) if task.startswith("sum") else tuple(n - 1 for n in shape)
    if kernel is not None:
        y = ti.ndarray(ti.f32, shape[:1] if task.startswith("sum") else shape)

        def run() -> ti.Ndarray:
            kernel(*values, y)
            y[last]
            return y
    else:
        buffers = [ti.ndarray(ti.f32, shape) for _ in range(2)]

        def run() -> ti.Ndarray:
            x = values[0]
            for i in range(1000):
                add(x, values[1], buffers[i % 2])
                x = buffers[i % 2]
            x[last]
            return x

    return run, lambda result: result.to_numpy()


def first() -> float:
    ones, y = upload(np.ones((2, 2), np.float32)), ti.ndarray(ti.f32, (2, 2))
    matmul(ones, ones, y)
    return y[0, 0]


if __name__ == "__main__":
    serve({"version": ".".join(map(str, ti.__version__))}, prepare, first)
