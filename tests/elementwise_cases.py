"""What the elementwise rows are tried on: for each row the dtypes, numbers and options, and the awkward values.

Shared by test_elementwise_meaning.py and by record_goldens.py, which writes down what PyTorch makes of them.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "float32", "float64")

nan, inf = float("nan"), float("inf")


class Case(NamedTuple):
    """One call: `name(*operands, **keywords)`; an operand is a dtype name, for an array of it, or a number."""

    name: str
    operands: tuple
    keywords: tuple = ()

    @property
    def key(self) -> str:
        parts = [str(operand) for operand in self.operands] + [f"{name}={value!r}" for name, value in self.keywords]
        return f"{self.name}({', '.join(parts)})"

    def arrays(self) -> list:
        """The operands: arrays laid out so that each value of one meets each of the others; numbers as they are."""
        count = sum(isinstance(operand, str) for operand in self.operands)
        made: list = []
        for operand in self.operands:
            if not isinstance(operand, str):
                made.append(operand)
                continue
            values = awkward(operand, count)
            rank = count - sum(isinstance(array, np.ndarray) for array in made) - 1
            if values.dtype.kind in "iub" and self.name in DIVIDES and made:
                values = values[values != 0]
            if values.dtype.kind == "i" and self.name in ("div", "lcm"):
                # The smallest integer divided by -1 ends the process in PyTorch.
                values = values[values != (-1 if self.name == "div" and made else np.iinfo(operand).min)]
            made.append(values.reshape(values.shape + (1,) * rank))
        return made


DIVIDES = ("floor_divide", "remainder", "fmod", "div")  # integers by zero are an error, tested on its own


def awkward(dtype: str, operands: int = 1) -> np.ndarray:
    """Values where implementations go wrong: fewer when they have to be combined."""
    if dtype == "bool":
        return np.array([False, True])
    if dtype in FLOATS:
        limits = np.finfo(dtype)
        values = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, inf, -inf, nan, -0.3]
        if operands < 3:
            values += [-0.5, 2.0, -3.0, 1.5, -1.5, 2.5, 0.1, 7.0, 10.0, -10.0, limits.tiny, limits.max, -limits.max]
        if operands < 2:
            values += [-2.5, 3.5, 0.25, 0.3, 0.7, 0.9, -0.9, 0.999, 1.001, 4.0, 6.0, -7.5, 12.0, -12.0]
            values += [
                16.0,
                20.0,
                -20.0,
                21.0,
                30.5,
                -30.5,
                50.0,
                -50.0,
                88.0,
                -87.0,
                100.0,
                -100.0,
                1000.0,
                12345.0,
                -12345.0,
            ]
            values += [1e-3, 1e-4, -1e-4, limits.eps, -limits.eps, -limits.tiny, 1e-2, 1e5, 1e30, -1e30, 1 / 3, 2 / 3]
        with np.errstate(over="ignore"):
            return np.array(values).astype(dtype)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    whole = [0, 1, 2, 3, -1, -2, 5, low, high]
    if operands < 3:
        whole += [4, 7, 10, 31, 32, 63, 64, 100, 127, 128, 200, -3, -7, -100, high - 1]
    return np.array(sorted({value for value in whole if low <= value <= high}), dtype=dtype)


UNARY = """abs acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2
expm1 floor frac i0 isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit
nan_to_num neg positive rad2deg real reciprocal round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh
trunc conj conj_physical""".split()
ACTIVATION = """celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu silu
softplus softshrink softsign tanhshrink""".split()
BINARY = """add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign div eq floor_divide
fmax fmin fmod gcd ge gt heaviside hypot lcm ldexp le logaddexp logaddexp2 logical_and logical_or logical_xor lt maximum
minimum mul ne nextafter pow remainder rsub sub xlogy float_power clamp_min clamp_max""".split()
OPTIONS = (
    ("round", {"decimals": 2}), ("round", {"decimals": -1}), ("logit", {"eps": 0.1}), ("celu", {"alpha": 2.0}),
    ("nan_to_num", {"nan": 2.0, "posinf": 3.0}), ("leaky_relu", {"negative_slope": 0.2}), ("elu", {"alpha": 2.0}),
    ("gelu", {"approximate": "tanh"}), ("hardtanh", {"min_val": -2.0, "max_val": 0.5}), ("hardshrink", {"lambd": 0.9}),
    ("softshrink", {"lambd": 0.9}), ("softplus", {"beta": 2.0, "threshold": 3.0}), ("threshold", {"threshold": 0.5, "value": 2.5}),
    ("clamp", {"min": -1, "max": 2}), ("clamp", {"min": 0.5}), ("clamp", {"max": 2}), ("clamp", {"min": 3, "max": 2}),
)  # fmt: skip
BINARY_OPTIONS = (
    ("add", {"alpha": 2}), ("add", {"alpha": 0.5}), ("sub", {"alpha": 2}), ("rsub", {"alpha": 2}), ("add", {"alpha": True}),
    ("div", {"rounding_mode": "trunc"}), ("div", {"rounding_mode": "floor"}),
)  # fmt: skip
NUMBERS = {
    "add": (2, 0.5, True, 300), "sub": (2, 0.5, True), "mul": (2, 0.5), "div": (2, 0.5), "floor_divide": (3, 0.5), "fmod": (3, -0.5),
    "remainder": (3, -3, 0.5), "pow": (0, 1, 2, 3, 4, -1, 0.5, -0.5, 2.5), "float_power": (2, -0.5), "eq": (2, 300), "lt": (2, 300),
    "ge": (0.5,), "copysign": (-0.0,), "xlogy": (2,), "bitwise_and": (6, 300), "bitwise_left_shift": (1,), "bitwise_right_shift": (1, -1),
    "clamp_min": (1, 0.5), "clamp_max": (1, 0.5), "rsub": (2, 0.5),
}  # fmt: skip
BY_HAND = (
    "where",
    "clamp",
    "lerp",
    "addcmul",
    "addcdiv",
    "frexp_mantissa",
    "frexp_exponent",
)  # their cases are in cases()
MIXED = (
    ("float32", "int64"),
    ("float16", "float32"),
    ("uint8", "int8"),
    ("int32", "bool"),
    ("int64", "int32"),
    ("bool", "float16"),
)


def unlisted() -> dict[str, int]:
    """The rows that nothing above names, with the number of their inputs: a row just added is tried without an entry.

    Its results are compared with PyTorch's where PyTorch is installed and has the function; name it above, and run
    record_goldens.py, to have them recorded.
    """
    from webtorch.ops import activation, binary, unary
    from webtorch.ops.elementwise import Elementwise

    named = {*UNARY, *ACTIVATION, *BINARY, *NUMBERS, *(name for name, _ in OPTIONS + BINARY_OPTIONS), *BY_HAND}
    rows = {name: row for module in (unary, binary, activation) for name, row in vars(module).items()}
    return {
        name: row.inputs
        for name, row in rows.items()
        if isinstance(row, Elementwise) and row.public and row.name == name and name not in named
    }


def cases() -> Iterator[Case]:
    for (name, inputs), dtype in itertools.product(unlisted().items(), DTYPES):
        yield Case(name, (dtype,) * inputs)
    for name, dtype in itertools.product(UNARY + ACTIVATION, DTYPES):
        yield Case(name, (dtype,))
    for (name, options), dtype in itertools.product(OPTIONS, DTYPES):
        yield Case(name, (dtype,), tuple(options.items()))
    for name, dtype in itertools.product(BINARY, DTYPES):
        yield Case(name, (dtype, dtype))
    for (name, options), dtype in itertools.product(BINARY_OPTIONS, DTYPES):
        yield Case(name, (dtype, dtype), tuple(options.items()))
    for name, numbers in NUMBERS.items():
        for number, dtype in itertools.product(numbers, DTYPES):
            yield Case(name, (dtype, number))
    for number, dtype in itertools.product((2, 0, -2, 0.5), DTYPES):
        yield Case("pow", (number, dtype))
    for name, pair in itertools.product(
        ("add", "sub", "mul", "div", "pow", "maximum", "lt", "bitwise_or", "logical_and"), MIXED
    ):
        yield Case(name, pair)
    for dtype in DTYPES:
        yield Case("where", ("bool", dtype, dtype))
        yield Case("where", ("bool", dtype, 1.5))
        yield Case("where", (dtype, 1, 2))
        yield Case("clamp", (dtype, dtype, dtype))
        yield Case("lerp", (dtype, dtype, dtype))
        yield Case("lerp", (dtype, dtype, 0.3))
        yield Case("addcmul", (dtype, dtype, dtype), (("value", 2),))
        yield Case("addcdiv", (dtype, dtype, dtype), (("value", 0.5),))
        yield Case("frexp_mantissa", (dtype,))
        yield Case("frexp_exponent", (dtype,))


# ---- where results may differ from PyTorch's, and why ---------------------------------------------------------------


def wide(value: Any) -> np.ndarray:
    return np.asarray(value, np.float64)


def large_quotient(case: Case, x: Any, y: Any) -> Any:
    """PyTorch's vectorised fmod gives NaN for some large quotients; here they are exact."""
    with np.errstate(all="ignore"):
        return np.abs(wide(x) / wide(y)) > 1e7


def huge(case: Case, x: Any, y: Any) -> Any:
    """alpha * y may overflow where a fused multiply-add does not, and the other way round."""
    sizes = [np.abs(wide(value)) for value in (x, y)]
    limit = np.finfo(np.asarray(x).dtype).max / 4 if np.asarray(x).dtype.kind == "f" else inf
    return bool(case.keywords) & ((sizes[0] > limit) | (sizes[1] > limit))


def smallest(case: Case, x: np.ndarray, y: np.ndarray) -> Any:
    """The greatest common divisor is positive here, also with the smallest integer."""
    return (x == np.iinfo(x.dtype).min) | (y == np.iinfo(y.dtype).min) if x.dtype.kind == "i" else False


def far_scaling(case: Case, x: np.ndarray, y: np.ndarray) -> Any:
    """PyTorch's intermediate 2^y overflows: 0 * 2^1000 is NaN there."""
    return (x == 0) | ~(np.abs(wide(x)) < 1e4) | (np.abs(wide(y)) > 12)


def integer_overflow(case: Case, x: np.ndarray) -> Any:
    """PyTorch takes |x| and adds 1 in the integer dtype, which wraps."""
    return (x == np.iinfo(x.dtype).max) | (x == np.iinfo(x.dtype).min) if x.dtype.kind in "iu" else False


def roots(case: Case, x: Any, y: Any) -> Any:
    """PyTorch takes the square root for some dtypes and a general power for others; they differ for -0 and -inf."""
    return (np.isinf(x) | (wide(x) == 0)) if case.operands[1] in (0.5, -0.5) else False


def float16_quotient(case: Case, x: Any, y: Any) -> Any:
    """PyTorch rounds the quotient to float16 before it cuts it to an integer."""
    return np.asarray(x).dtype == np.float16 and case.keywords == (("rounding_mode", "trunc"),)


DEVIATIONS: dict[str, Callable[..., Any]] = {
    "remainder": large_quotient, "fmod": large_quotient, "add": huge, "sub": huge, "rsub": huge,
    "gcd": smallest,
    "ldexp": far_scaling, "softsign": integer_overflow, "pow": roots, "float_power": roots, "div": float16_quotient,
    # PyTorch's gelu of infinity is NaN, its sinc takes the sine of infinity for large numbers, and it cuts sigmoids
    # below 1e-38 to 0 in its vectorised loop.
    "gelu": lambda case, x: np.abs(wide(x)) > 1e30,
    "sinc": lambda case, x: np.abs(wide(x)) > 1e30, "sigmoid": lambda case, x: x < -80, "silu": lambda case, x: x < -80,
}  # fmt: skip

# Rows whose result comes from a cancellation, in PyTorch or here: an absolute error, in units of the dtype's epsilon.
ABSOLUTE = {
    "addcdiv": 50, "addcmul": 50, "lerp": 50, "digamma": 8, "gelu": 8, "lgamma": 8, "logaddexp": 4, "logaddexp2": 4, "sinc": 1,
    "tanhshrink": 1, "add": 4, "sub": 4, "rsub": 4,
}  # fmt: skip


def disagreements(case: Case, got: np.ndarray, expected: np.ndarray, units: float, absolute: float) -> np.ndarray:
    """Where two results differ by more than `units` epsilons relatively and `absolute` epsilons absolutely."""
    if got.dtype.kind != "f":
        return got != expected
    limits = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        a, b = got.astype(np.float64), expected.astype(np.float64)
        bound = units * float(limits.eps) * np.abs(b) + absolute * float(limits.eps) + float(limits.tiny)
        close = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.isfinite(b) & (np.abs(a - b) <= bound))
    return ~close
