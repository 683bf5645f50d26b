"""Drivers take floats for real numbers: they put 0 for x - x and 1 for (x + 1) - x. No kernel lets them: small random
expressions that read the same values several times, on infinities, NaN and numbers of all sizes, come out as numpy
computes them operation by operation."""

import itertools
import os
import random

import numpy as np
import pytest

import webtorch

SPECIAL = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -3.0, 1e30, -1e30, 1e8, 3e-30)
VALUES = np.array(list(itertools.product(SPECIAL, repeat=3)), dtype=np.float32).T.copy()
UNIT = 2.0**-23  # of one rounding, twice: drivers may be a unit in the last place off in a division
TINY = 2.0**-126  # results below may be flushed to zero

BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "where")
UNARY = ("neg", "abs", "relu", "sqrt", "square", "plus", "minus", "times", "reciprocal")
NUMBERS = {"plus": 1.0, "minus": 2.5, "times": 0.5}


def expression(generator: random.Random, length: int) -> list[tuple]:
    """Steps (name, numbers of earlier values): the three inputs come first. Recent values and inputs are read most."""
    steps = []
    for at in range(3, 3 + length):
        name = generator.choice(("add", "sub", "sub", *BINARY, generator.choice(UNARY)))
        first = generator.randrange(max(0, at - 3), at)
        steps.append((name, first, generator.randrange(at)))
    return steps


def compute(steps: list[tuple], inputs: list, of: dict) -> list:
    values = list(inputs)
    for name, x, y in steps:
        values.append(of[name](values[x], values[y]))
    return values


OF_TENSORS = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y,
    "maximum": webtorch.maximum, "minimum": webtorch.minimum, "where": lambda x, y: webtorch.where(x < y, x, y),
    "neg": lambda x, y: -x, "abs": lambda x, y: x.abs(), "relu": lambda x, y: x.relu(), "sqrt": lambda x, y: x.sqrt(),
    "square": lambda x, y: x.square(), "plus": lambda x, y: x + 1.0, "minus": lambda x, y: x - 2.5,
    "times": lambda x, y: x * 0.5, "reciprocal": lambda x, y: x.reciprocal(),
}  # fmt: skip


class Bounded:
    """A float32 array with how far another order of roundings may take it; infinite where anything goes."""

    def __init__(self, value: np.ndarray, error: np.ndarray) -> None:
        self.value = value.astype(np.float32)
        size = np.abs(self.value.astype(np.float64))
        error = np.where(np.isfinite(size), np.nan_to_num(error, nan=np.inf, posinf=np.inf), error)
        # What lies next to infinity or to the smallest number may fall on either side.
        error = np.where((size > 3.3e38) & np.isfinite(size), np.inf, error)
        self.error = np.where((size <= 2 * TINY) & (error > 0), error + TINY, error)


def rounded(value: np.ndarray, *errors: np.ndarray) -> Bounded:
    """The result of one operation whose arguments bring `errors` into it; a special value is exact if they were."""
    total = sum(np.nan_to_num(error, nan=np.inf) for error in errors)
    size = np.abs(value.astype(np.float64))
    lost = np.isinf(total)
    exact = ~np.isfinite(size) | (size == 0)
    # A zero or a special value that came of exact arguments has no other form; of inexact ones it may be anything.
    error = np.where(exact, np.where(total > 0, np.where(size == 0, total, np.inf), 0.0), total + 2 * UNIT * size)
    return Bounded(value, np.where(lost, np.inf, error))


def of_numpy() -> dict:
    def size(x: Bounded) -> np.ndarray:
        return np.abs(x.value.astype(np.float64))

    def product(x: Bounded, y: Bounded) -> Bounded:
        a, b = np.where(x.error > 0, x.error * size(y), 0.0), np.where(y.error > 0, y.error * size(x), 0.0)
        value = x.value * y.value
        unsure = (size(x) > 0) & (size(y) > 0) | (x.error > 0) | (y.error > 0)  # else it is an exact zero
        small = np.where((np.abs(value) <= 2 * TINY) & unsure, TINY, 0.0)
        return rounded(value, a, b, small, np.where((x.error > 0) & (y.error > 0), x.error * y.error, 0.0))

    def quotient(x: Bounded, y: Bounded) -> Bounded:
        value = x.value / y.value
        room = np.where(y.error > 0, np.where(size(y) > 2 * y.error, size(y) - y.error, 0.0), size(y))
        a = np.where(x.error > 0, x.error / room, 0.0)
        b = np.where(y.error > 0, np.abs(value) * y.error / room, 0.0)
        unsure = (size(x) > 0) & np.isfinite(size(y)) | (x.error > 0) | (y.error > 0)
        small = np.where((np.abs(value) <= 2 * TINY) & unsure, TINY, 0.0)
        return rounded(value, a, b, small)

    def pick(value: np.ndarray, x: Bounded, y: Bounded) -> Bounded:
        # Which zero is the larger one nobody says.
        zeros = (x.value == 0) & (y.value == 0) & (np.signbit(x.value) != np.signbit(y.value))
        return Bounded(value, np.where(zeros, TINY, 0.0) + x.error + y.error)

    def where(x: Bounded, y: Bounded) -> Bounded:
        margin = x.error + y.error
        unsure = (margin > 0) & ~(np.abs(x.value.astype(np.float64) - y.value.astype(np.float64)) > margin)
        less = x.value < y.value
        error = np.where(less, x.error, y.error)
        return Bounded(np.where(less, x.value, y.value), np.where(unsure, np.maximum(error, margin * 2), error))

    def root(x: Bounded) -> Bounded:
        near = (x.error > 0) & ~(x.value > 2 * x.error)
        value = np.sqrt(x.value)
        error = np.where(x.error > 0, x.error / np.maximum(np.abs(value), 1e-300), 0.0)
        return rounded(value, np.where(near, np.inf, error))

    def number(value: float) -> Bounded:
        return Bounded(np.full(VALUES.shape[1], value, np.float32), np.zeros(VALUES.shape[1]))

    def total(x: Bounded, y: Bounded, value: np.ndarray) -> Bounded:
        return rounded(value, x.error, y.error)

    return {
        "add": lambda x, y: total(x, y, x.value + y.value), "sub": lambda x, y: total(x, y, x.value - y.value),
        "mul": product, "div": quotient,
        "maximum": lambda x, y: pick(np.maximum(x.value, y.value), x, y),
        "minimum": lambda x, y: pick(np.minimum(x.value, y.value), x, y),
        "where": where,
        "neg": lambda x, y: Bounded(-x.value, x.error), "abs": lambda x, y: Bounded(np.abs(x.value), x.error),
        "relu": lambda x, y: pick(np.where(x.value < 0, np.float32(0), x.value), x, number(0)),
        "sqrt": lambda x, y: root(x), "square": lambda x, y: product(x, x),
        "plus": lambda x, y: total(x, number(1), x.value + np.float32(1)),
        "minus": lambda x, y: total(x, number(2.5), x.value - np.float32(2.5)),
        "times": lambda x, y: product(x, number(0.5)), "reciprocal": lambda x, y: quotient(number(1), x),
    }  # fmt: skip


def expected(steps: list[tuple], inputs: list[np.ndarray]) -> Bounded:
    with np.errstate(all="ignore"):
        zero = np.zeros(inputs[0].shape)
        return compute(steps, [Bounded(value, zero) for value in inputs], of_numpy())[-1]


def check(got: np.ndarray, wanted: Bounded, steps: list[tuple], inputs: list[np.ndarray]) -> int:
    """Assert that `got` lies where it may; how many elements were compared is returned."""
    with np.errstate(all="ignore"):
        known = np.isfinite(wanted.error)
        same = (got == wanted.value) | (np.isnan(got) & np.isnan(wanted.value))
        far = np.abs(got.astype(np.float64) - wanted.value.astype(np.float64))
        good = same | (np.isfinite(got) & np.isfinite(wanted.value) & (far <= wanted.error))
        zero = (wanted.value == 0) & (wanted.error == 0)
        good &= ~zero | (np.signbit(got) == np.signbit(wanted.value))
    wrong = np.flatnonzero(known & ~good)
    text = ", ".join(f"v{n} = {name}(v{x}, v{y})" for n, (name, x, y) in enumerate(steps, 3))
    assert not len(wrong), (
        f"{len(wrong)} wrong for {text}: at {[float(value[wrong[0]]) for value in inputs]} it gives {got[wrong[0]]}, "
        f"not {wanted.value[wrong[0]]} (within {wanted.error[wrong[0]]})"
    )
    return int(known.sum())


@pytest.mark.parametrize("place", ["elementwise", "producer", "epilogue"])
def test_shared_values(device, place):
    generator = random.Random(f"algebra {place}")
    tensors = [webtorch.tensor(value, device=device) for value in VALUES]
    compared = 0
    rounds = int(os.environ.get("WEBTORCH_ALGEBRA_ROUNDS", "8" if place == "epilogue" else "25"))
    for _ in range(rounds):
        steps = expression(generator, generator.randint(2, 6))
        inputs, read = list(VALUES), list(tensors)
        if place == "epilogue":  # the first value is the result of a product: 0 + x, which has no -0.0
            inputs[0] = VALUES[0] + np.float32(0)
            read[0] = (tensors[0].reshape(-1, 1) @ webtorch.ones(1, 1, device=device)).reshape(-1)
        result = compute(steps, read, OF_TENSORS)[-1]
        if place == "producer":
            result = result.expand(3, -1).amax(0)
        compared += check(result.numpy(), expected(steps, inputs), steps, inputs)
    assert compared > rounds * VALUES.shape[1] / 2


def test_an_infinity_less_itself(device):
    x = webtorch.tensor([np.inf, np.nan, 1e30, 1e8, 1.0], device=device)
    for got, wanted in (
        (x - x, [np.nan, np.nan, 0, 0, 0]), ((x + 1) - x, [np.nan, np.nan, 0, 0, 1]),
        ((x + x) - x, [np.nan, np.nan, 1e30, 1e8, 1]), (x / x, [np.nan, np.nan, 1, 1, 1]),
        (x + 1 > x, [False, False, False, False, True]), (-(x - x), [np.nan, np.nan, 0, 0, 0]),
        (x * 1e30 + x * -1e30, [np.nan, np.nan, np.nan, 0, 0]), (1 / (1 / x) - x, [np.nan, np.nan, 0, 0, 0]),
    ):  # fmt: skip
        assert np.array_equal(got.numpy(), np.array(wanted, got.numpy().dtype), equal_nan=wanted[0] is not False)


def test_complex_numbers_less_themselves(device):
    x = webtorch.tensor([complex(np.inf, 1), complex(1e8, 2)], dtype=webtorch.complex64, device=device)
    got = ((x + 1) - x).numpy()
    assert np.isnan(got[0].real) and got[0].imag == 0 and got[1] == 0


@pytest.mark.gpu
def test_only_where_operands_share_a_value_is_one_hidden():
    x, y, z = (webtorch.tensor([float(n), 2.0], device="webgpu") for n in range(3))
    assert "bitcast<u32>(v" not in webtorch.debug.wgsl(x * y + z)
    assert "bitcast<u32>(v" in webtorch.debug.wgsl(x * y + x)


ROWS = np.array(
    [[1, 1e8, -1e8], [np.inf, 1, 2], [1e30, 1e30, -np.inf], [np.nan, 1, 0.1], [3e38, 3e38, -3e38], [0.1, 1e-3, 7]], np.float32
)  # fmt: skip
KERNELS = {
    "cumsum": lambda x: x.cumsum(1), "cumprod": lambda x: x.cumprod(1), "log_softmax": lambda x: x.log_softmax(1),
    "softmax": lambda x: x.softmax(1), "sum": lambda x: x.reshape(-1, 1).sum(1).reshape(-1, 3),
    "amax": lambda x: x.reshape(-1, 1).amax(1).reshape(-1, 3), "prod": lambda x: x.reshape(-1, 1).prod(1).reshape(-1, 3),
    "layer_norm": lambda x: webtorch.nn.functional.layer_norm(x, (3,)), "matmul": lambda x: x @ webtorch.eye(3, device=x.device),
    "gather": lambda x: x[webtorch.arange(6, device=x.device)],
}  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_kernel_read_is_not_taken_from_its_result(device, kernel):
    """Beside a kernel its own operands are read again: the sums are those of its rounded results."""
    function, x = KERNELS[kernel], webtorch.tensor(ROWS, device=device)
    first = webtorch.tensor(function(x).numpy(), device=device)
    for name, beside in (
        ("less", lambda y: y - x), ("less and more", lambda y: (y - x) + 1), ("times", lambda y: y * x - x),
        ("quotient", lambda y: y / x), ("sum", lambda y: (y + x) - y),
    ):  # fmt: skip
        with np.errstate(all="ignore"):
            got, wanted = beside(function(x)).numpy(), beside(first).numpy()
        assert np.array_equal(got, wanted, equal_nan=True), (name, got, wanted)


@pytest.mark.gpu
def test_a_user_s_kernel_is_not_taken_apart():
    source = "fn f(i: u32) -> T { return load_x(i) + 1.0; }"
    x = webtorch.tensor(ROWS, device="webgpu")
    with webtorch.register_forward("neg", source, dtype="float32", device="webgpu", override=True):
        for beside in (lambda y: y - 1, lambda y: y - x, lambda y: (y + 1) - x):
            got = beside(webtorch.neg(x)).numpy()
            first = webtorch.tensor(webtorch.neg(x).numpy(), device="webgpu")
            assert np.array_equal(got, beside(first).numpy(), equal_nan=True)


@pytest.mark.gpu
def test_what_a_user_s_kernel_reads_is_rounded():
    x = webtorch.tensor(ROWS, device="webgpu")
    less = "fn f(i: u32) -> T { return load_x(i) - load_y(i); }"
    with (
        np.errstate(all="ignore"),
        webtorch.register_forward("mul", less, dtype="float32", device="webgpu", override=True),
    ):
        assert np.array_equal((x + 1).mul(x).numpy(), (ROWS + np.float32(1)) - ROWS, equal_nan=True)
        assert np.array_equal(x.mul(x).numpy(), ROWS - ROWS, equal_nan=True)
    less = "fn f(i: u32) -> T { return load_x(i) - 1.0; }"
    with webtorch.register_forward("neg", less, dtype="float32", device="webgpu", override=True):
        assert np.array_equal((x + 1).neg().numpy(), (ROWS + np.float32(1)) - np.float32(1), equal_nan=True)


def test_transforms_of_one_value_many_times(device):
    """The elements of an expanded tensor are one element of memory."""
    for count in (2, 3, 4, 5, 8, 7):
        x = webtorch.tensor([np.inf], device=device).expand(count)
        got = webtorch.fft.fft(x).numpy()
        assert not np.isfinite(got).any() and np.isnan(got[1:]).all(), (count, got)
