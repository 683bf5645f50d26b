"""Integers give PyTorch's numbers: division, remainder, shifts, overflow, conversions, at the edges of every type.

On the cpu, on webgpu as it is, and on webgpu taken for an adapter without 64-bit integers, where those are pairs of
words. What PyTorch gave is recorded in goldens/integers.npz.
"""

import contextlib
import math
import pathlib
import re

import integer_cases
import numpy as np
import pytest

import webtorch
from webtorch import debug, pairs
from webtorch.backends.wgpu import get_device
from webtorch.errors import RegistryError

GOLDENS = pathlib.Path(__file__).parent / "goldens" / "integers.npz"
DTYPES = ("int8", "uint8", "int16", "int32", "int64")
PLACES = ["cpu", pytest.param("webgpu", marks=pytest.mark.gpu), pytest.param("pairs", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module")
def goldens():
    with np.load(GOLDENS) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(params=PLACES)
def place(request):
    """The device's name; inside "pairs" the adapter is believed to have no 64-bit integers."""
    lacking = get_device().override_limits(without=["shader-int64"]) if request.param == "pairs" else None
    with lacking or contextlib.nullcontext():
        yield "cpu" if request.param == "cpu" else "webgpu"


def computed(text, arrays, device):
    return eval(text, {"W": webtorch}, {name: webtorch.tensor(array, device=device) for name, array in arrays.items()})


def check(name, cases, device, goldens):
    """All expressions of a dtype at once: their results are computed together, which takes fewer kernels."""
    results = [computed(text, arrays, device) for text, arrays in cases]
    for (text, arrays), result in zip(cases, results):
        got, wanted = result.cpu().numpy(), goldens[f"{name} {text}"]
        assert got.dtype == wanted.dtype and got.shape == wanted.shape, f"{name} {text}"
        wrong = np.flatnonzero((got != wanted).reshape(-1))
        shown = [
            ([array.reshape(-1)[i] for array in arrays.values()], got.reshape(-1)[i], wanted.reshape(-1)[i])
            for i in wrong[:3]
            if got.shape == arrays["x"].shape
        ]
        assert not len(wrong), f"{name} {text}: {len(wrong)} of {got.size} wrong: {shown}"


@pytest.mark.parametrize("name", [*DTYPES, "float16", "float32"])
def test_integers_are_pytorchs(name, place, goldens):
    """All pairs of int8; of the others the numbers around what overflows; and floats converted to integers."""
    check(name, [case[1:] for case in integer_cases.cases((name,))], place, goldens)


def test_every_case_is_recorded(goldens):
    assert {f"{name} {text}" for name, text, _ in integer_cases.cases()} == goldens.keys()


# ---- where PyTorch raises, ends its process, or has the sign wrong ----------------------------------------------------


@pytest.mark.parametrize("name", DTYPES)
def test_division_by_zero(name, place):
    """An error on the cpu, as in PyTorch; on the GPU, which cannot raise, 0."""
    x = webtorch.tensor(np.array([5, 0, np.iinfo(name).min, np.iinfo(name).max], name), device=place)
    for divide in (
        webtorch.floor_divide,
        webtorch.remainder,
        webtorch.fmod,
        lambda x, y: webtorch.div(x, y, rounding_mode="trunc"),
    ):
        if place == "cpu":
            with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                divide(x, webtorch.zeros_like(x))
        else:
            assert divide(x, webtorch.zeros_like(x)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64"])
def test_the_smallest_integer(name, place):
    """Divided by -1 it wraps to itself and leaves no remainder; divisors have no sign, but for its own."""
    smallest = int(np.iinfo(name).min)
    x = webtorch.tensor(np.array([smallest], name), device=place)
    y = webtorch.tensor(np.array([-1], name), device=place)
    assert (x // y).tolist() == webtorch.div(x, y, rounding_mode="trunc").tolist() == [smallest]
    assert (x % y).tolist() == webtorch.fmod(x, y).tolist() == [0]
    assert (-x).tolist() == x.abs().tolist() == [smallest]
    others = [0, 1, -1, 6, -96, 127, smallest]
    z = webtorch.tensor(np.array(others, name), device=place)
    size = 1 << (8 * np.dtype(name).itemsize)

    def wrapped(value):
        return (value + size // 2) % size - size // 2

    assert webtorch.gcd(x, z).tolist() == [wrapped(math.gcd(smallest, other)) for other in others]
    if np.dtype(name).itemsize > 2:  # int8 and int16 are multiplied in 32 bits and wrap once, at the end
        assert webtorch.lcm(z, z).tolist()[:-1] == [abs(other) for other in others[:-1]]


# ---- pairs of words -------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_additions_at_one_index_carry():
    """Many invocations add to one pair of words at once: each carry arrives."""
    generator = np.random.default_rng(0)
    values = generator.integers(-(1 << 62), 1 << 62, 20000)
    values[::2] = generator.integers(-3, 3, 10000)
    at = generator.integers(0, 5, 20000)
    expected = np.full(5, 7)
    np.add.at(expected, at, values)
    for without in ((), ["shader-int64-atomic-all-ops"], ["shader-int64"]):
        with get_device().override_limits(without=without):
            zeros = webtorch.full((5,), 7, dtype=webtorch.int64, device="webgpu")
            index, added = webtorch.tensor(at, device="webgpu"), webtorch.tensor(values, device="webgpu")
            assert zeros.scatter_add(0, index, added).tolist() == expected.tolist()
            assert zeros.index_put((index,), added, accumulate=True).tolist() == expected.tolist()


@pytest.mark.gpu
def test_the_kernels_for_pairs_hold_no_wide_integer():
    """And the others hold no pair."""
    for pairs_wanted in (True, False):
        without = ["shader-int64"] if pairs_wanted else []
        with get_device().override_limits(without=without):
            x = webtorch.arange(100, device="webgpu")
            with debug.kernels() as ran:
                ((x * x + 3) // 7 - (x << 2)).sum().item()
                (x.cumsum(0) @ x).item()
        source = "\n".join(record.wgsl for record in ran)
        code = "\n".join(line.split("//")[0] for line in source.splitlines())
        native = "shader-int64" in get_device().features
        if pairs_wanted or not native:
            assert "WtInt64" in code and "i64(" not in code.replace("_i64(", "(") and ": i64" not in code
        else:
            assert "WtInt64" not in code and ": i64" in code


@pytest.mark.gpu
def test_long_folds_of_pairs():
    with get_device().override_limits(without=["shader-int64"]):
        values = np.random.default_rng(0).integers(-(1 << 63), (1 << 63) - 1, 70001)
        x = webtorch.tensor(values, device="webgpu")
        assert x.sum().item() == values.sum()
        assert x.amax().item() == values.max() and x.argmin().item() == values.argmin()
        assert np.array_equal(x.cumsum(0).numpy(), values.cumsum())
        left, right = values[:35000].reshape(1, 35000), values[35000:70000].reshape(35000, 1)
        product = webtorch.tensor(left, device="webgpu") @ webtorch.tensor(right, device="webgpu")
        assert product.item() == (left @ right).item()


TYPES = {"x": "i64", "y": "i64", "n": "u32", "k": "i32", "c": "bool", "f": "f32"}


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("x + y * x", "i64", "wt_add_i64(x, wt_mul_i64(y, x))"),
        ("x - y - x", "i64", "wt_sub_i64(wt_sub_i64(x, y), x)"),
        ("(x & ~y) ^ -x", "i64", "wt_xor_i64((wt_and_i64(x, wt_not_i64(y))), wt_neg_i64(x))"),
        ("x + 3", "i64", "wt_add_i64(x, WtInt64(0x3u, 0x0u))"),
        ("5li", "i64", "WtInt64(0x5u, 0x0u)"),
        ("i64(-9223372036854775807) - i64(1)", "i64", "wt_sub_i64(WtInt64(0x1u, 0x80000000u), WtInt64(0x1u, 0x0u))"),
        ("x < y && !c", "bool", "wt_lt_i64(x, y) && !c"),
        ("select(n, u32(x), x == i64(k))", "u32", "select(n, wt_cast_i64_u32(x), wt_eq_i64(x, wt_cast_i32_i64(k)))"),
        ("x << (n & 63u)", "i64", "wt_shift_left_i64(x, (n & 63u))"),
        ("min(x, max(y, 0))", "i64", "wt_minimum_i64(x, wt_maximum_i64(y, WtInt64(0x0u, 0x0u)))"),
        ("i64(bitcast<i32>(n))", "i64", "wt_cast_i32_i64(bitcast<i32>(n))"),
        ("f32(x) * 0.5 + f", "f32", "wt_cast_i64_f32(x) * 0.5 + f"),
        ("bool(x) | c", "bool", "wt_ne_i64(x, WtInt64(0x0u, 0x0u)) | c"),
        ("vec2<f32>(f, 1.5f).x + f32(x % y)", "f32", "vec2<f32>(f, 1.5f).x + wt_cast_i64_f32(wt_fmod_i64(x, y))"),
    ],
)
def test_expressions_are_spelled_with_calls(text, kind, expected):
    assert pairs.spelled(text, TYPES, kind) == expected


@pytest.mark.parametrize("text", ["x + k", "x + f", "x && y", "!x", "x +", "x @ y", "(x", "i64(vec2<u32>(n, n))", "n"])
def test_what_cannot_be_spelled_raises(text):
    with pytest.raises(RegistryError, match="without 64-bit integers"):
        pairs.spelled(text, TYPES, "i64")


@pytest.mark.gpu
def test_every_integer_expression_of_the_table_can_be_spelled():
    """Rows that nobody tried on such an adapter: at the least they are translated, and call functions that exist."""
    from webtorch import codegen, prelude
    from webtorch.ops import INPUT_NAMES, TABLE
    from webtorch.ops.elementwise import Elementwise

    functions, tried = prelude.functions(pairs=True), 0
    for row in TABLE.values():
        text = row.wgsl.get("int") if isinstance(row, Elementwise) else None
        if text is None or row.name.startswith(("_normal", "_bounded")):
            continue
        try:
            compute, result = row.rule(webtorch.int64, row.name)
        except webtorch.DTypeError:
            continue
        if compute is not webtorch.int64:
            continue
        names = {letter: letter for letter in INPUT_NAMES} | {name: name for name in row.scalars}
        types = dict.fromkeys(names, "i64") | ({"x": "bool"} if row.select_first else {})
        expression = codegen.specialise(text.format(**names, t="i64", i="n"), "i64")
        spelled = pairs.spelled(expression, {**types, "n": "u32"}, codegen.compute_type(result))
        called = {call.strip("(") for call in re.findall(r"wt_\w+\(", spelled)}
        assert called <= functions.keys(), f"{row.name}: {called - functions.keys()}"
        tried += 1
    assert tried > 40


def test_a_wrong_type_of_the_whole_raises():
    with pytest.raises(RegistryError, match="has type bool, not i64"):
        pairs.spelled("x < y", TYPES, "i64")
