"""The op table, row by row: the shader against the row's own numpy, in every dtype and layout.

The lists of rows come from the table itself, so a new row is tested by being there. Whether numpy's side means what
PyTorch means is tested elsewhere (test_elementwise_meaning, test_meaning), derivatives in test_derivatives.
"""

import functools

import numpy as np
import pytest
from sampling import (
    COUNT,
    DTYPES,
    LAYOUTS,
    agree,
    broadcast,
    contiguous,
    eight,
    flipped,
    missing_on_gpu,
    mixed,
    need,
    outcomes,
    sample,
    specials,
    stepped,
)

import webtorch
from webtorch.errors import DTypeError
from webtorch.ops import TABLE
from webtorch.ops.elementwise import Cast, Copy, Elementwise, Fill
from webtorch.ops.factor import Factor, Triangular
from webtorch.ops.gather import Put, Take, Write
from webtorch.ops.inplace import INPLACE
from webtorch.ops.join import Join
from webtorch.ops.matmul import Contract
from webtorch.ops.matrix_history import History
from webtorch.ops.pad import Pad
from webtorch.ops.reduce import Reduce
from webtorch.ops.row import Softmax
from webtorch.ops.scan import Scan
from webtorch.ops.view import View

# Scalars that differ from the defaults, so that ignoring them is noticed.
SCALARS = {
    "_add_scaled": {"alpha": 2}, "_sub_scaled": {"alpha": 3}, "_rsub_scaled": {"alpha": 2}, "addcmul": {"value": 2},
    "addcdiv": {"value": 3}, "_lerp_scalar": {"weight": 0.3}, "_logit_clamped": {"eps": 0.2}, "_round_finer": {"factor": 100.0},
    "_round_coarser": {"factor": 10.0}, "_polygamma": {"n": 2}, "hardtanh": {"min_val": -2, "max_val": 2},
    "leaky_relu": {"negative_slope": 0.25}, "elu": {"alpha": 0.7}, "celu": {"alpha": 1.5}, "hardshrink": {"lambd": 0.75},
    "softshrink": {"lambd": 0.25}, "softplus": {"beta": 2.0, "threshold": 10.0}, "threshold": {"threshold": 1, "value": 7},
    "nan_to_num": {"nan": 1.5, "posinf": 9.0},
}  # fmt: skip
EXPONENTS = {"_pow_square": 2, "_pow_cube": 3, "_pow_root": 0.5, "_pow_reciprocal": -1}  # their second input is this
RANDOM = ("_random_bits", "_random_uniform", "_normal_segment", "_normal", "_bounded")  # tested in test_random_bits

PARTS = ("complex", "polar", "_conj")  # tested in test_complex
KEYS = ("_sort_key", "_sorted_number")  # tested in test_radix
ELEMENTWISE = [key for key, row in TABLE.items() if isinstance(row, Elementwise) and key not in RANDOM + PARTS + KEYS]
# The kinds whose rows are tested by a test of the kind's own below.
KINDS = (Elementwise, Cast, Copy, Fill, Reduce, Softmax, Scan, View, Join, Take, Put, Write, Pad, Contract)


def test_every_row_is_of_a_kind_that_is_tested():
    # The rows of webtorch.nn are tested with it, in test_nn and test_attention; those of vmap in test_func, two in test_counting,
    # those of complex numbers' memory in test_complex, of transforms in
    # test_fft.
    elsewhere = {
        "_attention",
        "_attention_gradient",
        "_convolution",
        "_linear",
        "_pick",
        "_pick_log",
        "_window_maximum",
        "_window_sum",
        "_hide",
        "_show",
        "_spread",
        "_search",
        "_sort_count",  # and the two others in test_radix
        "_sort_move",
        "_sort_rank",
        "_combine_at",
        "_fft",
        "_fft_pass",
        "_rfft",
        "_irfft",
        "_parts",
        "_pairs",
        "_blocks",
        "_standardize",
    }
    elsewhere |= {key for key, row in TABLE.items() if isinstance(row, (History, Factor, Triangular))}  # in test_linalg
    others = [key for key, row in TABLE.items() if not isinstance(row, KINDS)]
    assert not set(others) - elsewhere


def arity(key: str) -> int:
    return 1 if key in EXPONENTS else TABLE[key].inputs


def call(key: str, inputs: list):
    """The row applied to the first of the inputs; to a bool condition first where it takes one."""
    row = TABLE[key]
    inputs = list(inputs[: arity(key)])
    if key in EXPONENTS:
        inputs.append(EXPONENTS[key])
    if row.select_first and isinstance(inputs[0], webtorch.Tensor):
        inputs[0] = inputs[0] > 0 if inputs[0].dtype is not webtorch.bool else inputs[0]
    return row(*inputs, **SCALARS.get(key, {}))


def without_zeros(arrays: list) -> list:
    """Integers divided by zero raise on the cpu; the divisors are replaced."""
    return [arrays[0], *(np.where(array == 0, array.dtype.type(3), array) for array in arrays[1:])]


def divides_by_zero(error: object) -> bool:
    return isinstance(error, RuntimeError) and "ZeroDivision" in str(error)


def gpu_declines(key: str, name: str, error: object) -> bool:
    """True where a row is documented not to exist on a GPU: float64 mathematics."""
    if not isinstance(error, DTypeError):
        return False
    return "double-precision" in str(error) or (key == "float_power" and "f64" in str(error))


# ---- elementwise ----------------------------------------------------------------------------------------------------


@functools.cache
def special_results(name: str) -> dict:
    """For each row, what cpu and webgpu make of awkward values of a dtype: (cpu, webgpu)."""
    arrays = specials(name)
    other = without_zeros(arrays) if name not in ("bool",) and not DTYPES[name].is_floating_point else arrays
    keys = [key for key in ELEMENTWISE if DTYPES[name].is_floating_point or name == "int32" or stays_integer(key)]
    cpu, gpu, wanted, calls = {}, {}, {}, {}
    for label, values in (("", arrays), ("divisors", other)):
        cpu[label] = [webtorch.tensor(value, device="cpu") for value in values]
        gpu[label] = [webtorch.tensor(value, device="webgpu") for value in values]
    for key in keys:
        label = ""
        try:
            wanted[key] = call(key, cpu[label]).numpy()
        except Exception as error:
            wanted[key] = error
            if divides_by_zero(error):
                label = "divisors"
                wanted[key] = call(key, cpu[label]).numpy()
        calls[key] = functools.partial(call, key, gpu[label])
    got = outcomes(calls)
    return {key: (wanted[key], got[key]) for key in keys}


def stays_integer(key: str) -> bool:
    """Rows that compute integers as such; those that convert to floats first are tried on one integer dtype only."""
    row = TABLE[key]
    try:
        return not row.rule(webtorch.int32, key)[0].is_floating_point or key == "sigmoid"
    except DTypeError:
        return True


@pytest.mark.gpu
@pytest.mark.parametrize("name", DTYPES)
def test_elementwise_on_awkward_values(name):
    """NaN, infinities, zeros, huge and tiny numbers, the ends of the integers, in all pairs; more than a workgroup of them."""
    if missing_on_gpu(name):
        with pytest.raises(DTypeError):
            webtorch.ones(3, dtype=DTYPES[name], device="webgpu")
        return
    failures = []
    for key, (wanted, got) in special_results(name).items():
        if gpu_declines(key, name, got) and not isinstance(wanted, Exception):
            continue
        try:
            agree(got, wanted, f"{key} of {name}")
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.mark.gpu
def test_float64_arithmetic_exists_on_gpus_that_have_it():
    """What may decline float64 on a GPU is mathematics, not arithmetic."""
    if missing_on_gpu("float64"):
        pytest.skip("this adapter has no float64")
    results = special_results("float64")
    for key in (
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "abs",
        "sqrt",
        "where",
        "maximum",
        "lt",
        "eq",
        "floor",
        "clamp",
        "isnan",
        "lerp",
    ):
        assert isinstance(results[key][1], np.ndarray), (key, results[key][1])


@pytest.mark.gpu
def test_integers_divided_by_zero_give_zero_on_webgpu():
    x, zero = webtorch.tensor([7, -7, 0], device="webgpu"), webtorch.tensor([0, 0, 0], device="webgpu")
    for result in (x // zero, x % zero, webtorch.fmod(x, zero), webtorch.div(x, zero, rounding_mode="trunc")):
        assert result.tolist() == [0, 0, 0]


def layout_dtype(key: str):
    """float32 where the row takes it, else int32."""
    try:
        TABLE[key].rule(webtorch.float32, key)
        return webtorch.float32
    except DTypeError:
        return webtorch.int32


def layout_inputs(key: str, layout, device: str) -> list:
    """The row's inputs in a layout; the same values on every device."""
    generator = np.random.default_rng(7)
    dtype, domain = layout_dtype(key), TABLE[key].domain
    return [
        layout(lambda shape: webtorch.tensor(sample(generator, shape, dtype, domain), device=device), position)
        for position in range(arity(key))
    ]


def check_layouts(keys: list, make_inputs) -> None:
    """Compare the rows on both devices, with the inputs that `make_inputs(key, device)` gives."""
    wanted = {}
    for key in keys:
        try:
            wanted[key] = call(key, make_inputs(key, "cpu")).numpy()
        except Exception as error:
            wanted[key] = error
    got = outcomes({key: functools.partial(lambda key: call(key, make_inputs(key, "webgpu")), key) for key in keys})
    failures = []
    for key in keys:
        if not gpu_declines(key, "float32", got[key]):
            try:
                agree(got[key], wanted[key], key)
            except AssertionError as failure:
                failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_elementwise_layouts(layout):
    check_layouts(ELEMENTWISE, lambda key, device: layout_inputs(key, layout, device))


@pytest.mark.gpu
@pytest.mark.parametrize("place", [0, 1, 2])
def test_elementwise_with_a_number(place):
    """A Python number stands in the place of one input."""
    keys = [key for key in ELEMENTWISE if place < arity(key) and arity(key) > 1 and key != "heaviside"]
    if place == 2:
        assert "clamp" in keys

    def inputs(key, device):
        made = layout_inputs(key, stepped, device)
        made[place] = (
            (True if TABLE[key].select_first and place == 0 else 2) if layout_dtype(key) is webtorch.int32 else 1.5
        )
        return made

    check_layouts([key for key in keys if key != "where" or place], inputs)


@pytest.mark.gpu
def test_elementwise_of_eight_dimensions():
    keys = ["neg", "exp", "add", "mul", "atan2", "where", "clamp", "lerp", "lt", "addcmul", "gcd"]
    check_layouts(keys, lambda key, device: layout_inputs(key, eight, device))


@pytest.mark.gpu
@pytest.mark.parametrize("name", DTYPES)
def test_layouts_of_each_dtype(name):
    """How elements are found and stored depends on the dtype, not on the op: two rows stand for all."""
    need(name)
    for layout in (*LAYOUTS, eight):
        results = []
        for device in ("cpu", "webgpu"):
            generator = np.random.default_rng(3)

            def make(shape, generator=generator, device=device):
                return webtorch.tensor(sample(generator, shape, DTYPES[name]), device=device)

            x, y = (layout(make, position) for position in range(2))
            results.append([x * y, x.contiguous(), y.to(webtorch.float32), (x > 0).to(DTYPES[name])])
        got = outcomes(dict(enumerate(functools.partial(lambda value: value, value) for value in results[1])))
        for number, wanted in enumerate(results[0]):
            agree(got[number], wanted.numpy(), f"{layout.__name__} of {name}, result {number}")


@pytest.mark.gpu
def test_conversions_between_all_dtypes():
    """Awkward values of each dtype as each other dtype: truncation, wrapping, what is out of range."""
    names = [name for name in DTYPES if not missing_on_gpu(name)]
    for source in names:
        array = specials(source, 1)[0]
        if DTYPES[source].is_floating_point:
            inside = array[np.isfinite(array) & (np.abs(array) < 120)]
        else:
            inside = array
        x, y = (webtorch.tensor(inside, device=device) for device in ("cpu", "webgpu"))
        got = outcomes({target: functools.partial(y.to, DTYPES[target]) for target in names})
        for target in names:
            unsigned = target == "uint8" and DTYPES[source].is_floating_point
            wanted = x.to(DTYPES[target]).numpy()
            if unsigned:  # negative floats as uint8 are undefined behaviour, on which PyTorch's own devices differ
                keep = inside >= 0
                agree(got[target][keep], wanted[keep], f"{source} to {target}")
            else:
                agree(got[target], wanted, f"{source} to {target}")


@pytest.mark.gpu
def test_floats_beyond_the_integers():
    """Floats that no integer dtype holds convert on both devices alike: to the smallest integer, as on x86."""
    values = [float("nan"), float("inf"), float("-inf"), 3e9, -3e9, 2147483648.0, -2147483648.0, 2147483520.0]
    results = [webtorch.tensor(values, device=device).to(webtorch.int32).tolist() for device in ("cpu", "webgpu")]
    smallest = -(2**31)
    assert results[0] == [smallest] * 7 + [2147483520]
    assert results[1] == results[0]


def test_in_place_forms(device):
    """`x.name_(...)` writes what `x.name(...)` gives into x and nowhere else, and returns x."""
    generator = np.random.default_rng(5)
    failures, calls, wanted, untouched = [], {}, {}, {}
    for name, form in INPLACE.items():
        key = form.op.__name__ if form.op.__name__ in TABLE else name[:-1]
        dtype = layout_dtype(key)
        base_array = sample(generator, (4, 9), dtype, form.op.domain)
        others = [sample(generator, (3, 4), dtype, form.op.domain) for _ in range(arity(key) - 1)]
        scalars = SCALARS.get(key, {})
        expected = base_array.copy()
        plain = form.op(webtorch.tensor(base_array[1:, 1::2]), *(webtorch.tensor(other) for other in others), **scalars)
        expected[1:, 1::2] = plain.to(dtype).numpy()
        wanted[name] = expected

        def run(form=form, base_array=base_array, others=others, scalars=scalars):
            base = webtorch.tensor(base_array, device=device)
            target = base[1:, 1::2]
            result = form(target, *(webtorch.tensor(other, device=device) for other in others), **scalars)
            assert result is target
            return base

        calls[name] = run
    got = outcomes(calls)
    for name in INPLACE:
        if device == "webgpu" and gpu_declines(name[:-1], "float32", got[name]):
            continue
        try:
            agree(got[name], wanted[name], name)
        except AssertionError as failure:
            failures.append(str(failure))
    assert len(INPLACE) > 60 and not untouched
    assert not failures, "\n".join(failures)


def test_results_in_given_tensors(device):
    """out= takes the result, in its own dtype where the result can be cast, and is resized when it is empty."""
    generator = np.random.default_rng(6)
    for key in ("add", "exp", "lt", "gcd", "where", "clamp", "hypot", "pow"):
        arrays = [sample(generator, (3, 4), layout_dtype(key), (0.3, 3.0)) for _ in range(arity(key))]
        inputs = [webtorch.tensor(array, device=device) for array in arrays]
        if key == "where":
            inputs[0] = inputs[0] > 1
        expected = TABLE[key](*inputs)
        for out in (
            webtorch.empty(0, dtype=expected.dtype, device=device),
            webtorch.zeros(3, 4, dtype=expected.dtype, device=device),
        ):
            assert TABLE[key](*inputs, out=out) is out
            agree(out.numpy(), expected.numpy(), f"{key} with out=")
    wide = webtorch.zeros(2, dtype=webtorch.float64)
    webtorch.add(webtorch.tensor([1, 2]), 1, out=wide)
    assert wide.tolist() == [2.0, 3.0] and wide.dtype is webtorch.float64
    with pytest.raises(DTypeError, match="can't be cast"):
        webtorch.add(webtorch.tensor([1.5]), 1, out=webtorch.zeros(1, dtype=webtorch.int64))
    target = webtorch.zeros(4, 6, device=device)
    webtorch.add(webtorch.ones(4, 3, device=device), 1, out=target[:, ::2])
    assert target.sum().item() == 24 and target[:, 1::2].sum().item() == 0


# ---- reductions -----------------------------------------------------------------------------------------------------

REDUCTIONS = [key for key, row in TABLE.items() if isinstance(row, Reduce)]
DIMS = [None, 0, -1, 1, (0, 2), (0, 1, 2), (-1, 1), ()]


def reduced(key: str, x, dim, keepdim: bool = False, **rest):
    """The reduction, or None for several dims where the row takes one."""
    if key == "prod":
        return TABLE[key](x, **rest) if dim is None else TABLE[key](x, dim, keepdim, **rest)
    return TABLE[key](x, dim, keepdim, **rest)


def dims_for(key: str) -> list:
    return [dim for dim in DIMS if key != "prod" or not isinstance(dim, tuple)]


def pair(array: np.ndarray) -> tuple:
    return webtorch.tensor(array, device="cpu"), webtorch.tensor(array, device="webgpu")


def check_pair(call_on, x, y, context: str, **tolerance) -> None:
    """The same call on a cpu tensor and its copy on webgpu gives the same result or the same error."""
    with np.errstate(all="ignore"):
        results = [outcomes({0: functools.partial(call_on, value)})[0] for value in (x, y)]
    agree(results[1], results[0], context, **tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("key", REDUCTIONS)
@pytest.mark.parametrize("layout", [contiguous, stepped, flipped, mixed], ids=lambda layout: layout.__name__)
def test_reductions_over_dimensions(key, layout):
    made = []
    for device in ("cpu", "webgpu"):
        generator = np.random.default_rng(11)

        def make(shape, generator=generator, device=device):
            values = sample(generator, shape, webtorch.float32, TABLE[key].domain)
            values[generator.random(shape) < 0.5] = 1.0 if key != "any" else 0.0
            return webtorch.tensor(values, device=device)

        made.append(layout(make, 2))
    for dim in dims_for(key):
        for keepdim in (False, True):
            check_pair(
                lambda x, dim=dim, keepdim=keepdim: reduced(key, x, dim, keepdim and dim is not None),
                *made,
                f"{key} over {dim}",
                scale=20.0,
            )


@pytest.mark.gpu
@pytest.mark.parametrize("key", REDUCTIONS)
@pytest.mark.parametrize("name", DTYPES)
def test_reductions_of_each_dtype(key, name):
    need(name)
    dtype = DTYPES[name]
    generator = np.random.default_rng(12)
    array = sample(generator, (5, 77), dtype, TABLE[key].domain)
    if key in ("any", "all"):
        array = np.where(
            generator.random(array.shape) < 0.03,
            dtype.numpy.type(0 if key == "all" else 1),
            dtype.numpy.type(key == "all"),
        )
    x, y = pair(array)
    scale = 77.0 if dtype.is_floating_point else 0.0
    check_pair(lambda v: reduced(key, v, 1), x, y, f"{key} of {name}", scale=scale)
    check_pair(lambda v: reduced(key, v, 0, True), x, y, f"{key} of {name} over rows", scale=scale)
    check_pair(lambda v: reduced(key, v, None), x, y, f"{key} of all of {name}", scale=scale)


@pytest.mark.gpu
@pytest.mark.parametrize("key", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3000,), (3, 5000), (5000, 3), (70001,), (4, 40000)], ids=str)
def test_reductions_of_each_size(key, shape):
    """Sizes on both sides of where a reduction is split in stages."""
    generator = np.random.default_rng(13)
    values = generator.uniform(0.999, 1.001, shape) if key == "prod" else generator.uniform(-3, 3, shape)
    if key == "any":
        values = values * 0
        values.reshape(-1)[-1:] = 1
    x, y = pair(values.astype(np.float32))
    check_pair(lambda v: reduced(key, v, None), x, y, f"{key} of {shape}", scale=values.size**0.5)
    if len(shape) > 1:
        check_pair(lambda v: reduced(key, v, -1), x, y, f"{key} of rows of {shape}", scale=shape[-1] ** 0.5)
        check_pair(lambda v: reduced(key, v, 0), x, y, f"{key} of columns of {shape}", scale=shape[0] ** 0.5)


@pytest.mark.gpu
@pytest.mark.parametrize("key", REDUCTIONS)
def test_reductions_of_nothing(key):
    """Without elements: the neutral element, or an error where there is none."""
    for shape, dim in (((0,), None), ((0, 3), 0), ((2, 0), 1), ((3, 0), 0), ((0, 3), 1)):
        x, y = pair(np.zeros(shape, np.float32))
        check_pair(lambda v, dim=dim: reduced(key, v, dim), x, y, f"{key} of {shape} over {dim}")
        check_pair(lambda v, dim=dim: reduced(key, v, dim), x.int(), y.int(), f"{key} of int {shape} over {dim}")


@pytest.mark.gpu
@pytest.mark.parametrize("key", REDUCTIONS)
def test_reductions_of_awkward_values(key):
    """Rows with a NaN, with infinities of one sign and of both, with both zeros, with sums that overflow."""
    rows = [
        [1, np.nan, 2],
        [np.inf, 1, 2],
        [-np.inf, 1, 2],
        [np.inf, -np.inf, 0],
        [0, -0.0, 0],
        [3e38, 3e38, -3e38],
        [-0.0, -0.0, -0.0],
        [1e-30, 1e-30, 5],
    ]
    x, y = pair(np.array(rows, np.float32))
    check_pair(lambda v: reduced(key, v, 1), x, y, key)
    check_pair(lambda v: reduced(key, v, 1), x.half(), y.half(), f"{key} of float16")
    whole = np.array([[2**62, 2**62, 5], [-(2**63), 1, 2**63 - 1], [2**40, 2**41, 2**42]], np.int64)
    x, y = pair(whole)
    check_pair(lambda v: reduced(key, v, 1), x, y, f"{key} of int64")


@pytest.mark.gpu
def test_reductions_with_dtype_and_out():
    x, y = pair(np.arange(12).reshape(3, 4).astype(np.int32))
    for target in (webtorch.float32, webtorch.float16, webtorch.int32, webtorch.uint8, webtorch.bool):
        check_pair(lambda v, target=target: webtorch.sum(v, 1, dtype=target), x, y, f"sum as {target}")
        check_pair(lambda v, target=target: webtorch.prod(v, 1, dtype=target), x, y, f"prod as {target}")
    for value in (x, y):
        out = webtorch.empty(0, dtype=webtorch.int64, device=value.device)
        assert webtorch.sum(value, 0, out=out) is out and out.tolist() == [12, 15, 18, 21]
        with pytest.raises(IndexError):
            webtorch.sum(value, 2)
        with pytest.raises(RuntimeError, match="appears multiple times"):
            webtorch.sum(value, (0, -2))


def test_reductions_are_the_same_bits_every_time(device):
    values = np.random.default_rng(0).standard_normal(50000).astype(np.float32)
    bits = {webtorch.tensor(values, device=device).sum().numpy().tobytes() for _ in range(3)}
    assert len(bits) == 1


# ---- rows of the last dimension: softmax and scans ------------------------------------------------------------------

SOFTMAX = [key for key, row in TABLE.items() if isinstance(row, Softmax)]
SCANS = [key for key, row in TABLE.items() if isinstance(row, Scan)]
AWKWARD_ROWS = [
    [0, 0, 0], [1e30, 1, 0], [-1e30, 1, 0], [np.inf, 0, 1], [-np.inf, 0, 1], [-np.inf, -np.inf, -np.inf], [np.nan, 0, 1],
    [100, -100, 88], [np.inf, np.inf, 0],
]  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("key", [*SOFTMAX, *SCANS])
def test_row_kernels(key):
    row, generator = TABLE[key], np.random.default_rng(21)
    low, high = row.domain if key in SCANS else (-9.0, 9.0)
    for shape, dim in [
        ((), 0), ((1,), 0), ((7,), 0), ((3, 4, 5), 0), ((3, 4, 5), 1), ((3, 4, 5), -1), ((2000,), 0), ((70, 1000), 1), ((3, 1), 1),
        ((1000, 70), 0), ((2, 20000), 1), ((0, 3), 1), ((3, 0), 1), ((2048,), 0), ((2, 2049), 1),
    ]:  # fmt: skip
        values = generator.uniform(low, high, shape) if key != "cumprod" else generator.uniform(0.995, 1.005, shape)
        x, y = pair(values.astype(np.float32))
        scale = max(shape, default=1) ** 0.5 * 3 if key == "cumsum" else 1.0
        check_pair(lambda v, dim=dim: row(v, dim), x, y, f"{key} of {shape} over {dim}", scale=scale, atol=2e-6)
    for layout in (stepped, flipped, mixed, broadcast):
        made = []
        for device in ("cpu", "webgpu"):
            again = np.random.default_rng(22)
            made.append(
                layout(
                    lambda shape, g=again, d=device: webtorch.tensor(
                        sample(g, shape, webtorch.float32, (low, high)), device=d
                    ),
                    2,
                )
            )
        for dim in (0, -1):
            check_pair(lambda v, dim=dim: row(v, dim), *made, f"{key} of {layout.__name__} over {dim}", atol=2e-6)
    x, y = pair(np.array(AWKWARD_ROWS, np.float32))
    check_pair(lambda v: row(v, 1), x, y, f"{key} of awkward rows")
    check_pair(lambda v: row(v, 1), x.half(), y.half(), f"{key} of awkward rows in float16")


@pytest.mark.gpu
@pytest.mark.parametrize("key", SOFTMAX)
def test_softmax_dtypes(key):
    x, y = pair(np.random.default_rng(0).uniform(-5, 5, (5, 33)).astype(np.float16))
    check_pair(lambda v: TABLE[key](v, -1), x, y, f"{key} of float16")
    check_pair(lambda v: TABLE[key](v, 0, dtype=webtorch.float32), x, y, f"{key} of float16 as float32")
    check_pair(lambda v: TABLE[key](v, 0), x.int(), y.int(), f"{key} of int32")
    check_pair(lambda v: TABLE[key](v, 0, dtype=webtorch.float32), x.int(), y.int(), f"{key} of int32 as float32")
    if not missing_on_gpu("float64"):
        check_pair(lambda v: TABLE[key](v, -1), x.double(), y.double(), f"{key} of float64")


@pytest.mark.gpu
@pytest.mark.parametrize("key", SCANS)
@pytest.mark.parametrize("name", DTYPES)
def test_scans_of_each_dtype(key, name):
    need(name)
    x, y = pair(sample(np.random.default_rng(0), (3, 21), DTYPES[name], TABLE[key].domain))
    check_pair(lambda v: TABLE[key](v, 1), x, y, f"{key} of {name}", scale=60.0)
    check_pair(lambda v: TABLE[key](v, 0, dtype=webtorch.int32), x, y, f"{key} of {name} as int32")
    out = webtorch.empty(0, dtype=TABLE[key](y, 1).dtype, device="webgpu")
    assert TABLE[key](y, 1, out=out) is out and out.shape == (3, 21)


# ---- views, joins, indices, padding ---------------------------------------------------------------------------------

VIEW_CALLS = {
    "permute": [(2, 0, 1), ((-1, 0, 1),)], "transpose": [(0, 2), (-1, 1)], "t": [()], "expand": [(2, 3, 4, 5), (7, -1, -1, 5)],
    "narrow": [(1, 1, 2), (-1, -3, 2), (0, 1, 0)], "select": [(0, 1), (-1, -2)], "unsqueeze": [(0,), (-1,), (2,)],
    "squeeze": [(), (0,), ((0, 1),)], "view": [(60,), (3, 2, 2, -1)], "flip": [(0,), ((0, 2),), (-1,)],
    "diagonal": [(), (1, 0, 2), (-1, 2, 1)], "unfold": [(2, 3, 2), (0, 2, 1), (-1, 5, 1)],
}  # fmt: skip


def test_views_share_memory_and_agree_with_numpy(device):
    """Each public view: every element is found where numpy has it, and a write through the view is seen in the base."""
    assert sorted(VIEW_CALLS) == sorted(key for key, row in TABLE.items() if isinstance(row, View) and row.public)
    places = np.arange(60, dtype=np.int64).reshape(3, 4, 5)
    for key, calls in VIEW_CALLS.items():
        array = places[0] if key == "t" else places
        for arguments in calls:
            base = webtorch.tensor(array, device=device)
            view = TABLE[key](base, *arguments)
            expected = NUMPY_VIEWS[key](array, *arguments)
            agree(view.numpy(), np.ascontiguousarray(expected), f"{key}{arguments}")
            assert view.storage_offset() >= 0 and view._storage is base._storage
            if key not in ("expand", "unfold"):
                view.fill_(-1)
                touched = base.numpy()
                assert np.array_equal(touched == -1, np.isin(array, expected)), f"{key}{arguments} writes elsewhere"


def numpy_unfold(array, dimension, size, step):
    windows = np.lib.stride_tricks.sliding_window_view(array, size, axis=dimension)
    return np.take(windows, range(0, windows.shape[dimension], step), axis=dimension)


def numpy_narrow(array, dim, start, length):
    return np.take(array, range(start % array.shape[dim], start % array.shape[dim] + length), axis=dim)


NUMPY_VIEWS = {
    "permute": lambda a, *dims: np.transpose(a, dims[0] if isinstance(dims[0], tuple) else dims),
    "transpose": np.swapaxes, "t": lambda a: a.T, "narrow": numpy_narrow, "unfold": numpy_unfold,
    "expand": lambda a, *sizes: np.broadcast_to(a, (sizes[0], *a.shape)),
    "select": lambda a, dim, index: np.take(a, index, axis=dim), "unsqueeze": np.expand_dims,
    "squeeze": lambda a, dims=None: a, "view": lambda a, *sizes: a.reshape(sizes), "flip": np.flip,
    "diagonal": lambda a, offset=0, dim1=0, dim2=1: np.diagonal(a, offset, dim1, dim2),
}  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_joins(name, device):
    """cat of parts of odd sizes in all dtypes and layouts: each part is written beside its neighbours."""
    need(name, device)
    generator = np.random.default_rng(31)
    parts = [sample(generator, shape, DTYPES[name]) for shape in ((3, 5), (3, 1), (3, 0), (3, 7))]
    tensors = [webtorch.tensor(part, device=device) for part in parts]
    agree(webtorch.cat(tensors, 1).numpy(), np.concatenate(parts, 1), f"cat of {name}")
    turned = [tensor.t() for tensor in tensors]
    agree(webtorch.cat(turned, 0).numpy(), np.concatenate([part.T for part in parts], 0), f"cat of {name} transposed")
    steps = [tensors[0][:, ::2], tensors[3].flip(1)]
    agree(
        webtorch.cat(steps, -1).numpy(),
        np.concatenate([parts[0][:, ::2], parts[3][:, ::-1]], 1),
        f"cat of {name} in steps",
    )
    many = [webtorch.tensor(parts[1][:, 0], device=device)] * 40
    agree(webtorch.stack(many, 1).numpy(), np.stack([parts[1][:, 0]] * 40, 1), f"stack of 40 of {name}")


INDICES = [
    (np.array([2, 0, -1, 2]),), (slice(None), np.array([1, -2])), (np.array([[0, 1], [2, 2]]), np.array([1, 3])),
    (np.array([0, 2]), slice(None), np.array([4, 0])), (slice(1, None), np.array([3, 3, 0]), np.array([0, 1, -1])),
    (np.array([], np.int64),), (np.array(1), np.array([2])), (np.arange(3) > 0,), (slice(None), slice(None, None, 2), np.array([0])),
]  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_taking_and_putting(name, device):
    """Reading at, writing to, and adding to indexed places."""
    need(name, device)
    generator = np.random.default_rng(41)
    array = sample(generator, (3, 4, 5), DTYPES[name])
    reads, writes, wanted = {}, {}, {}
    for number, index in enumerate(INDICES):
        at = tuple(webtorch.tensor(part, device=device) if isinstance(part, np.ndarray) else part for part in index)
        value = sample(generator, array[index].shape, DTYPES[name])
        written = array.copy()
        written[index] = written[index] if repeats(index) else value
        wanted[number] = (array[index], written)
        reads[number] = functools.partial(
            lambda at: webtorch.tensor(array, device=device).transpose(0, 2).contiguous().transpose(0, 2)[at], at
        )

        def write(at=at, index=index, value=value):
            x = webtorch.tensor(array, device=device)
            x[at] = x[at] if repeats(index) else webtorch.tensor(value, device=device)
            return x

        writes[number] = write
    got, put = outcomes(reads), outcomes(writes)
    for number, index in enumerate(INDICES):
        agree(got[number], wanted[number][0], f"{name}[{index}]")
        agree(put[number], wanted[number][1], f"{name}[{index}] = ...")


def repeats(index: tuple) -> bool:
    """Places that occur twice: which value stays is not defined."""
    arrays = np.broadcast_arrays(
        *(part for part in index if isinstance(part, np.ndarray) and part.dtype != bool), np.array(0)
    )[:-1]
    places = list(zip(*(array.reshape(-1).tolist() for array in arrays), strict=True))
    return len(places) != len({tuple(place) for place in places})


@pytest.mark.parametrize("name", ["float32", "float16", "int32", "int64", "uint8", "int8"])
def test_adding_to_repeated_places(name, device):
    """Every one of several values for one place is added."""
    need(name, device)
    kind = DTYPES[name].numpy
    index = np.random.default_rng(0).integers(0, 5, 300)
    wanted = np.ones(5, kind)
    np.add.at(wanted, index, np.ones(300, kind))
    x = webtorch.ones(5, dtype=DTYPES[name], device=device)
    ones = webtorch.ones(300, dtype=DTYPES[name], device=device)
    at = webtorch.tensor(index, device=device)
    agree(x.index_add(0, at, ones).numpy(), wanted, "index_add")
    agree(x.index_put((at,), ones, accumulate=True).numpy(), wanted, "index_put")
    agree(x.scatter_add(0, at, ones).numpy(), wanted, "scatter_add")


def numpy_pad(array: np.ndarray, low: tuple, steps: tuple, shape: tuple, value: float) -> np.ndarray:
    """Padding said element by element."""
    result = np.full(shape, value, array.dtype)
    for place in np.ndindex(*array.shape):
        target = tuple(start + step * at for start, step, at in zip(low, steps, place, strict=True))
        if all(0 <= at < size for at, size in zip(target, shape, strict=True)):
            result[target] = array[place]
    return result


def test_padding(device):
    for name in ("float32", "uint8", "float16"):
        array = sample(np.random.default_rng(51), (3, 4), DTYPES[name])
        cases = [
            ((1, 2), (1, 1), (5, 9)), ((-1, -2), (1, 1), (2, 2)), ((-1, 1), (1, 3), (4, 12)), ((0, 0), (2, 2), (6, 8)),
            ((2, -3), (1, 2), (6, 5)),
            ((9, 9), (1, 1), (3, 3)), ((0, 0), (1, 1), (0, 4)),
        ]  # fmt: skip
        for low, steps, shape in cases:
            got = TABLE["_pad"](webtorch.tensor(array, device=device), low, steps, shape, 7.0)
            turned = TABLE["_pad"](
                webtorch.tensor(array, device=device).t(), low[::-1], steps[::-1], shape[::-1], 7.0
            ).t()
            expected = numpy_pad(array, low, steps, shape, 7)
            agree(got.numpy(), expected, f"pad {low} {steps} {shape}")
            agree(np.ascontiguousarray(turned.numpy()), expected, f"transposed pad {low} {steps} {shape}")


# ---- products of matrices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "bool"])
def test_contractions_of_each_dtype(name, device):
    need(name, device)
    generator = np.random.default_rng(61)
    for m, k, n in ((5, 7, 6), (1, 1, 1), (4, 4, 4), (17, 130, 9)):
        a, b = sample(generator, (m, k), DTYPES[name]), sample(generator, (k, n), DTYPES[name])
        wide = np.float64 if DTYPES[name].is_floating_point else np.int64
        with np.errstate(all="ignore"):
            wanted = (a.astype(wide) @ b.astype(wide)).astype(DTYPES[name].numpy)
        got = webtorch.matmul(webtorch.tensor(a, device=device), webtorch.tensor(b, device=device))
        agree(got.numpy(), wanted, f"matmul {m}x{k}x{n} of {name}", scale=9.0 * k**0.5)
    with pytest.raises(DTypeError):
        webtorch.ones(2, 2, dtype=webtorch.bool, device=device) @ webtorch.ones(
            2, 2, dtype=webtorch.bool, device=device
        )


def test_contractions_of_each_layout(device):
    """Transposed, stepped, reversed, repeated operands; batches; vectors; nothing to sum; sums longer than one loop."""
    generator = np.random.default_rng(62)

    def pick(*shape):
        array = generator.standard_normal(shape).astype(np.float32)
        return array, webtorch.tensor(array, device=device)

    (a, x), (b, y) = pick(6, 10), pick(10, 6)
    cases = [
        (a.T @ a, x.t() @ x), (a[:, ::2] @ b[1::2], x[:, ::2] @ y[1::2]), (a[::-1] @ b[:, ::-1], x.flip(0) @ y.flip(1)),
        (np.broadcast_to(a[0], (6, 10)) @ b, x[0].expand(6, 10) @ y), (a @ b[:, 0], x @ y[:, 0]),
        (a[0] @ b, x[0] @ y), (a[0] @ b[:, 1], x[0] @ y[:, 1]),
        (a[:, :0] @ b[:0], x[:, :0] @ y[:0]), (a[:0] @ b, x[:0] @ y),
    ]  # fmt: skip
    (a, x), (b, y) = pick(3, 1, 4, 5), pick(2, 5, 6)
    cases += [
        (a @ b, x @ y),
        (a[:, 0] @ b[0], x[:, 0] @ y[0]),
        (a[0, 0, 0] @ b, x[0, 0, 0] @ y),
        (a @ b[0, :, 0], x @ y[0, :, 0]),
    ]
    (a, x), (b, y) = pick(2, 40000), pick(40000, 3)
    cases += [(a @ b, x @ y)]
    (a, x), (b, y) = pick(70, 200), pick(200, 130)
    cases += [(a @ b, x @ y)]
    for number, (wanted, got) in enumerate(cases):
        agree(got.numpy(), np.asarray(wanted), f"product {number}", scale=60.0 if np.size(wanted) == 6 else 15.0)


def test_sampling_covers_what_it_claims():
    """The awkward values are there, and every layout makes what its name says."""
    for name, dtype in DTYPES.items():
        arrays = specials(name)
        assert all(array.shape == (COUNT,) and array.dtype == dtype.numpy for array in arrays)
        if dtype.is_floating_point:
            both = set(zip(np.isnan(arrays[0]), np.isinf(arrays[1]), strict=True))
            assert {(True, True), (True, False), (False, True)} <= both
    x = stepped(webtorch.zeros, 0)
    assert not x.is_contiguous() and x.shape == (3, 4, 5) and min(flipped(webtorch.zeros, 0).stride()) < 0
    assert (
        0 in mixed(webtorch.zeros, 2).stride() and eight(webtorch.zeros, 0).ndim == eight(webtorch.zeros, 1).ndim == 8
    )
