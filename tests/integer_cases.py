"""What integers are tested with: expressions over `x` and `y`, and the pairs of numbers they are computed of.

`record_integers.py` computes them with PyTorch, `test_integers.py` with webtorch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Expressions of two integer tensors. `W` is the library.
DIVISIONS = (
    "W.floor_divide(x, y)",
    "W.div(x, y, rounding_mode='floor')",
    "W.div(x, y, rounding_mode='trunc')",
    "W.remainder(x, y)",
    "W.fmod(x, y)",
)
DIVISORS = ("W.gcd(x, y)", "W.lcm(x, y)")
BINARY = (
    "x + y",
    "x - y",
    "x * y",
    "W.add(x, y, alpha=3)",
    "W.sub(x, y, alpha=-2)",
    "W.rsub(x, y)",
    "W.bitwise_left_shift(x, y)",
    "W.bitwise_right_shift(x, y)",
    "x & y",
    "x | y",
    "x ^ y",
    "W.pow(x, y)",
    "W.maximum(x, y)",
    "W.minimum(x, y)",
    "W.fmax(x, y)",
    "W.fmin(x, y)",
    "W.clamp(x, y, x)",
    "W.clamp(x, min=-3, max=5)",
    "x == y",
    "x != y",
    "x < y",
    "x <= y",
    "x > y",
    "x >= y",
    "W.where(x < y, x, y)",
    "W.addcmul(x, x, y, value=3)",
    "W.heaviside(x, y)",
    "W.logical_and(x, y)",
    "W.logical_or(x, y)",
    "W.logical_xor(x, y)",
    "W.abs(x)",
    "W.neg(x)",
    "W.sign(x)",
    "W.signbit(x)",
    "~x",
    "W.square(x)",
    "W.pow(x, 3)",
    "W.logical_not(x)",
    "W.relu(x)",
    "x // 7",
    "x % -7",
    "x.bool()",
    "x.to(W.uint8)",
    "x.to(W.int8)",
    "x.to(W.int16)",
    "x.to(W.int32)",
    "x.to(W.int64)",
    "x.to(W.float16)",
    "x.to(W.float32)",
)
# Of a matrix.
FOLDS = (
    "x.sum()",
    "x.sum(0)",
    "x.sum(1, dtype=x.dtype)",
    "x.prod()",
    "x.prod(1)",
    "x.cumsum(0)",
    "x.cumprod(1)",
    "x.cumsum(1, dtype=x.dtype)",
    "x.amax(0)",
    "x.amin(1)",
    "x.max(1).values",
    "x.min(0).indices",
    "x.argmax(1)",
    "x.argmin()",
    "x.any(0)",
    "x.all(1)",
    "x.count_nonzero(0)",
    "x.sort(1).values",
    "x.reshape(-1).sort(descending=True, stable=True).indices",
    "x @ x.T",
    "x[:, 0] @ x[:, 1]",
)
# Of a float tensor.
CONVERSIONS = ("x.to(W.uint8)", "x.to(W.int8)", "x.to(W.int16)", "x.to(W.int32)", "x.to(W.int64)", "x.bool()")

EDGES = [0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 100, 127, 128, 255, 256, 46340, 46341, 65535, 65536]
EDGES += [(1 << 24) + 1, (1 << 25) + 2, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 3037000499, 3037000500]
EDGES += [(1 << 53) + 1, (1 << 62) - 1, 1 << 62, (1 << 63) - 1]


def pairs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The two inputs of a dtype: all pairs of 8-bit numbers, and of the wider types' numbers around what overflows."""
    limits = np.iinfo(name)
    if name == "int8":
        values = np.arange(-128, 128)
    else:
        edges = {*EDGES, *(-value for value in EDGES), limits.min, limits.min + 1, limits.max - 1, limits.max}
        values = np.array(sorted(value for value in edges if limits.min <= value <= limits.max))
    x, y = np.meshgrid(values.astype(name), values.astype(name), indexing="ij")
    return x.reshape(-1), y.reshape(-1)


def divisible(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where PyTorch divides: not by 0, where it raises, and not the smallest integer by -1, where its process may end."""
    return (y != 0) & ~((x == np.iinfo(x.dtype).min) & (y == -1)) if x.dtype.kind == "i" else y != 0


def negatable(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where PyTorch gives divisors: with the smallest integer its process may end, or the result has the wrong sign."""
    return (x != np.iinfo(x.dtype).min) & (y != np.iinfo(x.dtype).min)


def matrix(name: str) -> np.ndarray:
    """A matrix with numbers of all sizes."""
    limits, generator = np.iinfo(name), np.random.default_rng(len(name))
    wide = generator.integers(limits.min, limits.max, (12, 17), name, endpoint=True)
    return wide >> generator.integers(0, 8 * limits.dtype.itemsize, wide.shape).astype(name)


def floats(name: str) -> np.ndarray:
    """Floats inside and outside the range of every integer type."""
    sizes = [0.0, 0.4, 0.5, 0.99, 1.0, 1.5, 2.5, 100.7, 127.0, 127.9, 128.0, 200.0, 255.0, 255.9, 256.0, 300.0, 32767.0]
    sizes += [32768.0, 40000.0, 65504.0]
    if name == "float32":
        sizes += [65535.0, 65536.0, 1e6, 16777216.0, 2147483520.0, 2147483648.0, 3e9, 4294967040.0, 4294967296.0, 1e12]
        sizes += [9.007199e15, 9.2233715e18, 9.223372e18, 1e20, 3e38]
    return np.array([*sizes, *(-size for size in sizes), np.inf, -np.inf, np.nan], name)


def cases(
    dtypes: tuple[str, ...] = ("int8", "uint8", "int16", "int32", "int64", "float16", "float32"),
) -> Iterator[tuple]:
    """(dtype, expression, arrays by name) of every case."""
    for name in dtypes:
        if name.startswith("float"):
            yield from ((name, text, {"x": floats(name)}) for text in CONVERSIONS)
            continue
        x, y = pairs(name)
        for texts, where in ((DIVISIONS, divisible(x, y)), (DIVISORS, negatable(x, y)), (BINARY, slice(None))):
            yield from ((name, text, {"x": x[where], "y": y[where]}) for text in texts)
        yield from ((name, text, {"x": matrix(name)}) for text in FOLDS)
