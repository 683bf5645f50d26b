"""A program: what a driver makes of every kind of kernel in reproducible mode, one line per kind with a hash of all bits.

    python tests/reproducible_battery.py [--reversed] [--numbers FOLDER]

Two drivers agree if and only if the lines are the same. With --numbers the arrays themselves are saved as well.
"""

import argparse
import functools
import hashlib
import pathlib
import sys

import numpy as np
import test_ops
from sampling import outcomes, specials

import webtorch
from webtorch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "examples"))

ITEMS = {}


def item(function):
    ITEMS[function.__name__] = function
    return function


def spread(*shape, seed=0):
    """Numbers of all sizes: normal ones, ones from 1e-30 to 1e30, some that are or give denormals, and special values."""
    generator = np.random.default_rng(seed)
    count = int(np.prod(shape))
    values = generator.standard_normal(count)
    sizes = 10.0 ** generator.uniform(-30, 30, count) * generator.choice([-1, 1], count)
    tiny = 10.0 ** generator.uniform(-44, -36, count)
    chosen = generator.integers(0, 8, count)
    values = np.where(chosen < 2, sizes, np.where(chosen == 2, tiny, values)).astype(np.float32)
    return webtorch.tensor(values.reshape(shape), device="webgpu")


def normal(*shape, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return webtorch.tensor(values, device="webgpu")


@item
def elementwise():
    """Every row of the op table that takes float32, on special values and on random ones."""
    inputs = [webtorch.tensor(value, device="webgpu") for value in specials("float32")]
    inputs = [webtorch.cat([value, spread(3000, seed=number)]) for number, value in enumerate(inputs)]
    found = outcomes({key: functools.partial(test_ops.call, key, inputs) for key in test_ops.ELEMENTWISE})
    return {key: value for key, value in found.items() if isinstance(value, np.ndarray)}


@item
def half():
    x = spread(4000, seed=5).half()
    return {
        "exp": (x.exp() * x + 1).float(),
        "sum": x.sum(),
        "matmul": x[:1600].reshape(40, 40) @ x[1600:3200].reshape(40, 40),
    }


@item
def fused():
    x, y = spread(5000, seed=6), spread(5000, seed=7)
    return {
        "muladd": x * y + x,
        "chain": (x * 1.1 + 0.7 * x) / (y * y + 1) - x,
        "sums": (x * y + x).reshape(50, 100).sum(1),
    }


@item
def reductions():
    x = normal(60, 300, seed=8)
    return {
        "rows": x.sum(1), "columns": x.sum(0), "all": x.sum(), "fused": (x.exp() * x).sum(1), "mean": (x * x).mean(),
        "prod": x[:, :9].prod(1), "max": x.amax(0), "long": normal(30001, seed=9).sum(), "wide": spread(7000, seed=10).sum(),
        "var": x.var(1), "norm": x.norm(), "logsumexp": x.logsumexp(1),
    }  # fmt: skip


@item
def rows():
    x = normal(33, 129, seed=11) * 5
    return {"softmax": x.softmax(1), "log": x.log_softmax(0), "long": normal(3, 5000, seed=12).softmax(1),
            "cumsum": x.cumsum(1), "cumprod": x.cumprod(0), "norm": nn.functional.layer_norm(x, (129,))}  # fmt: skip


@item
def products():
    a, b = normal(70, 90, seed=13), normal(90, 50, seed=14)
    return {
        "matmul": a @ b, "transposed": b.t() @ a.t(), "epilogue": (a @ b + b[0]).tanh(), "wide": spread(40, 40) @ spread(40, 40, seed=2),
        "batched": normal(3, 20, 30) @ normal(3, 30, 10), "vector": a @ b[:, 0], "large": normal(200, 150) @ normal(150, 160),
        "conv": nn.functional.conv2d(normal(2, 3, 9, 9), normal(4, 3, 3, 3), normal(4), padding=1),
    }  # fmt: skip


@item
def whole():
    """Kernels that are algorithms of their own."""
    q, k, v = (normal(2, 2, 20, 8, seed=number) for number in range(3))
    a = normal(6, 6, seed=3)
    z = webtorch.complex(normal(40, seed=4), normal(40, seed=5))
    return {
        "attention": nn.functional.scaled_dot_product_attention(q, k, v), "solve": webtorch.linalg.solve(a, normal(6, 2)),
        "cholesky": webtorch.linalg.cholesky(a @ a.t() + 6 * webtorch.eye(6, device="webgpu")),
        "complex": webtorch.view_as_real(z * z / (z + 1)),
    }  # fmt: skip


@item
def places():
    at = webtorch.tensor(np.random.default_rng(15).integers(0, 20, 700), device="webgpu")
    x, table = normal(700, 3, seed=16), webtorch.zeros(20, 3, device="webgpu")
    return {
        "add": table.index_add(0, at, x), "store": table.index_copy(0, at, x), "sort": x[:, 0].sort().values, "take": x[at],
    }  # fmt: skip


@item
def random():
    webtorch.manual_seed(17)
    chances = webtorch.full((500,), 0.3, device="webgpu")
    return {
        "rand": webtorch.rand(3000, device="webgpu"), "randn": webtorch.randn(3000, device="webgpu"),
        "permutation": webtorch.randperm(500, device="webgpu"), "bernoulli": webtorch.bernoulli(chances),
    }  # fmt: skip


@item
def training():
    """The digits example: two steps of its own network, with dropout, Adam and the schedule."""
    import digits

    webtorch.set_default_device("webgpu")
    try:
        images, labels, _, _ = digits.load()
        webtorch.manual_seed(0)
        model = digits.network()
        optimizer, schedule = digits.teacher(model, 2)
        losses = digits.train_epoch(model, optimizer, schedule, images[:64], labels[:64])
        return {"losses": np.array(losses), **{name: value.detach() for name, value in model.state_dict().items()}}
    finally:
        webtorch.set_default_device("cpu")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reversed", action="store_true")
    parser.add_argument("--numbers", type=pathlib.Path)
    options = parser.parse_args()
    webtorch.webgpu.set_reproducible(True)
    lines = {}
    for name in sorted(ITEMS, reverse=options.reversed):
        digest = hashlib.sha256()
        for key, value in ITEMS[name]().items():
            array = np.ascontiguousarray(value if isinstance(value, np.ndarray) else value.numpy())
            digest.update(f"{key} {array.dtype} {array.shape}".encode() + array.tobytes())
            if options.numbers:
                options.numbers.mkdir(parents=True, exist_ok=True)
                np.save(options.numbers / f"{name}-{key}.npy", array)
        lines[name] = digest.hexdigest()
    for name in sorted(lines):
        print(name, lines[name])


if __name__ == "__main__":
    main()
