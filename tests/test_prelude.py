"""The shader library, function by function, on the GPU: against torch in float64, to a stated number of ulps.

The table CASES says for every function what it should give and how far it may be off. Values are specials and all
their pairs, values spread evenly over the exponents, normal ones, and random bit patterns. NaN, infinities, and the
sign of zero must be right everywhere; on a driver that flushes denormals the test forgives only that.
"""

import functools
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import webtorch
from webtorch import codegen, engine, prelude, shaders_path
from webtorch.errors import RegistryError


class Absent:
    """Stands for PyTorch where it is not installed: whoever asks it for a value is skipped. Those functions are held to
    recorded results in test_accuracy.py; all that numpy can say is tested here."""

    def __getattr__(self, name: str) -> "Absent":
        return Absent()

    def __call__(self, *arguments: object, **options: object) -> None:
        pytest.importorskip("torch")


try:
    import torch
except ImportError:
    torch = Absent()

NUMPY = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "u32": np.uint32, "i64": np.int64}
EXACT = 0.0


@dataclass(frozen=True)
class Case:
    """One function: its name without `wt_`, what it should give, and how many ulps it may be off.

    `reference` takes one numpy array per argument; for a float function with ulps > 0 they are float64. `domain` maps
    the sampled arguments to ones where the promise holds. `floor` is the smallest size whose ulp counts: below it the
    error is measured in ulps of `floor` (functions with zeros that float32 cannot resolve). `arguments` are the types.
    """

    name: str
    reference: Callable
    ulps: float = EXACT
    arguments: tuple[str, ...] = ()
    result: str = ""
    domain: Callable | None = None
    floor: float = 0.0

    @property
    def kind(self) -> str:
        return self.name.rsplit("_", 1)[1]


def torch64(function: Callable) -> Callable:
    """A torch function as a reference on float64 arrays."""

    def reference(*arrays):
        return function(*(torch.from_numpy(np.array(array)) for array in arrays)).numpy()

    return reference


same = torch64  # torch on arrays of the function's own dtype


def integer_quotient(x, y, function):
    """`function(x, y)` with 0 where y is 0; evaluated in Python's integers through objects, wrapped to the dtype."""
    bits = x.dtype.itemsize * 8
    out = []
    for a, b in zip(x.tolist(), y.tolist()):
        out.append(function(a, b) if b else 0)
    if x.dtype.kind == "u":
        return np.array([value & ((1 << bits) - 1) for value in out], x.dtype)
    half = 1 << (bits - 1)
    return np.array([(value + half) % (1 << bits) - half for value in out], x.dtype)


def truncated(a, b):
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def remainder(x, y):
    """Python's remainder from the exact one of C. (torch's vectorised remainder gives NaN where x / y overflows.)"""
    rest = np.fmod(x, y)
    return np.where((rest != 0) & (np.signbit(rest) != np.signbit(y)), rest + y, rest)


def sinc(x):
    """sin(pi x) / (pi x) with the argument reduced exactly."""
    size = np.abs(x)
    whole = np.round(size)
    sine = np.sin(np.pi * (size - whole)) * np.where(whole % 2 == 1, -1.0, 1.0)
    return np.where(x == 0, 1.0, sine / (np.pi * size))


def with_zeros(function):
    """numpy's maximum, minimum, fmax or fmin with +0 above -0, whichever comes first."""

    def reference(x, y):
        either, both = np.signbit(x) | np.signbit(y), np.signbit(x) & np.signbit(y)
        zero = np.where(both if function in (np.maximum, np.fmax) else either, x.dtype.type(-0.0), x.dtype.type(0.0))
        return np.where((x == 0) & (y == 0), zero, function(x, y))

    return reference


def clamp(x, lowest, highest):
    return with_zeros(np.minimum)(with_zeros(np.maximum)(x, lowest), highest)


def nan_to_num(x, nan, positive_infinity, negative_infinity):
    """As torch.nan_to_num, with arrays for the three replacements."""
    infinite = np.where(x > 0, positive_infinity, negative_infinity)
    return np.where(np.isnan(x), nan, np.where(np.isinf(x), infinite, x))


F = ("f32",)
FF = ("f32", "f32")

# fmt: off
FLOAT32 = [
    # -- bits and comparisons
    Case("isnan_f32", np.isnan, result="bool"),
    Case("isinf_f32", np.isinf, result="bool"),
    Case("isfinite_f32", np.isfinite, result="bool"),
    Case("isposinf_f32", np.isposinf, result="bool"),
    Case("isneginf_f32", np.isneginf, result="bool"),
    Case("signbit_f32", np.signbit, result="bool"),
    Case("eq_f32", np.equal, arguments=FF, result="bool"),
    Case("ne_f32", np.not_equal, arguments=FF, result="bool"),
    Case("lt_f32", np.less, arguments=FF, result="bool"),
    Case("le_f32", np.less_equal, arguments=FF, result="bool"),
    Case("gt_f32", np.greater, arguments=FF, result="bool"),
    Case("ge_f32", np.greater_equal, arguments=FF, result="bool"),
    Case("abs_f32", np.abs),
    Case("neg_f32", np.negative),
    Case("sign_f32", same(torch.sign)),
    Case("relu_f32", lambda x: np.where(x < 0, np.float32(0), x)),
    Case("copysign_f32", np.copysign, arguments=FF),
    Case("nextafter_f32", np.nextafter, arguments=FF),
    Case("maximum_f32", with_zeros(np.maximum), arguments=FF),
    Case("minimum_f32", with_zeros(np.minimum), arguments=FF),
    Case("fmax_f32", with_zeros(np.fmax), arguments=FF),
    Case("fmin_f32", with_zeros(np.fmin), arguments=FF),
    Case("clamp_f32", clamp, arguments=("f32", "f32", "f32")),
    Case("heaviside_f32", same(torch.heaviside), arguments=FF),
    Case("nan_to_num_f32", nan_to_num, arguments=("f32",) * 4),
    # -- roundings
    Case("floor_f32", np.floor),
    Case("ceil_f32", np.ceil),
    Case("trunc_f32", np.trunc),
    Case("round_f32", np.round),
    Case("frac_f32", same(torch.frac)),
    # -- roots and quotients
    Case("sqrt_f32", np.sqrt),
    Case("rsqrt_f32", torch64(torch.rsqrt), 1.5),
    Case("reciprocal_f32", np.reciprocal),
    Case("divide_f32", np.divide, arguments=FF),
    # -- exponentials and logarithms
    Case("exp_f32", torch64(torch.exp), 1.25),
    Case("exp2_f32", torch64(torch.exp2), 1.5),
    Case("expm1_f32", torch64(torch.expm1), 2),
    Case("log_f32", torch64(torch.log), 1),
    Case("log2_f32", torch64(torch.log2), 1.5),
    Case("log10_f32", torch64(torch.log10), 1.5),
    Case("log1p_f32", torch64(torch.log1p), 1.5),
    Case("pow_f32", torch64(torch.pow), 1.5, arguments=FF),
    # -- trigonometry
    Case("sin_f32", np.sin, 2),
    Case("cos_f32", np.cos, 2),
    Case("tan_f32", np.tan, 2),
    # -- logistic, error function
    Case("tanh_f32", torch64(torch.tanh), 2),
    Case("sigmoid_f32", torch64(torch.sigmoid), 2),
    Case("silu_f32", lambda x: x / (1 + np.exp(-x)), 3),
    Case("mish_f32", lambda x: x * np.tanh(np.logaddexp(x, 0.0)), 4),
    Case("softplus_f32", lambda x: np.logaddexp(x, 0.0), 2.5),
    Case("logsigmoid_f32", lambda x: -np.logaddexp(-x, 0.0), 2.5),
    Case("erf_f32", torch64(torch.erf), 2),
    Case("erfc_f32", torch64(torch.erfc), 4),
    # -- remainders, parts
    Case("fmod_f32", np.fmod, arguments=FF),
    Case("remainder_f32", remainder, arguments=FF),
    Case("floor_divide_f32", same(torch.floor_divide), arguments=FF),
    Case("trunc_divide_f32", same(lambda x, y: torch.div(x, y, rounding_mode="trunc")), arguments=FF),
    Case("frexp_mantissa_f32", lambda x: np.frexp(x)[0]),
    Case("frexp_exponent_f32", same(lambda x: torch.frexp(x).exponent), result="i32"),
    Case("hypot_f32", torch64(torch.hypot), 1.5, arguments=FF),
    # -- inverse trigonometric and hyperbolic functions
    Case("asin_f32", np.arcsin, 2),
    Case("acos_f32", np.arccos, 2),
    Case("atan_f32", np.arctan, 2),
    Case("atan2_f32", np.arctan2, 2, arguments=FF),
    Case("sinh_f32", np.sinh, 2),
    Case("cosh_f32", np.cosh, 2),
    Case("asinh_f32", np.arcsinh, 3),
    Case("acosh_f32", np.arccosh, 3),
    Case("atanh_f32", np.arctanh, 3),
    # -- sums of exponentials, products with logarithms
    Case("logaddexp_f32", np.logaddexp, 2, arguments=FF, floor=1.0),
    Case("logaddexp2_f32", np.logaddexp2, 2, arguments=FF, floor=1.0),
    Case("xlogy_f32", torch64(torch.xlogy), 2, arguments=FF),
    Case("xlog1py_f32", torch64(torch.special.xlog1py), 2, arguments=FF),
    # -- special functions
    Case("erfinv_f32", torch64(torch.erfinv), 4),
    Case("sinc_f32", sinc, 4),
    # Below 0 these two are differences of larger numbers, and have zeros that float32 does not resolve.
    Case("lgamma_f32", torch64(torch.lgamma), 4, domain=np.abs),
    Case("lgamma_f32", torch64(torch.lgamma), 4, floor=4.0),
    Case("digamma_f32", torch64(torch.digamma), 4, floor=0.25, domain=np.abs),
    Case("digamma_f32", torch64(torch.digamma), 4, floor=16.0),
    Case("i0_f32", torch64(torch.i0), 3),
]
# fmt: on

# fmt: off
SPECIALS32 = np.array(
    [0.0, 1e-45, 1e-40, 1.1754942e-38, 1.1754944e-38, 1e-30, 1e-10, 5.9604645e-08, 1.1920929e-07, 0.1, 0.25, 0.3, 0.5,
     0.75, 0.99999994, 1.0, 1.0000001, 1.4616321, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 7.0, 8.0, 10.0, 16.5, 17.0, 31.0, 32.0,
     33.0, 88.7, 88.73, 89.0, 103.9, 104.0, 127.0, 128.0, 149.0, 150.0, 255.0, 1000.0, 32767.0, 65504.0, 65519.0,
     65520.0, 1e5, 8388607.5, 8388608.0, 8388609.0, 16777215.0, 16777216.0, 16777218.0, 2147483520.0, 2147483648.0,
     4294967040.0, 4294967296.0, 9.223371e18, 9.223372e18, 1.8446744e19, 1e20, 1e30, 1.7014118e38, 3.4028235e38,
     0.7853981, 0.7853982, 1.5707963, 1.5707964, 3.1415925, 3.1415927, 6.2831855, np.inf, np.nan],
    np.float32,
)
# fmt: on
SPECIALS32 = np.concatenate([SPECIALS32, -SPECIALS32])


def float32_samples(generator, count):
    parts = count // 4
    bits = generator.integers(0, 1 << 32, parts, np.uint32).view(np.float32)
    spread = np.exp(generator.uniform(-20, 20, parts)).astype(np.float32) * generator.choice([-1, 1], parts)
    close = generator.uniform(-3, 3, parts)
    normal = generator.normal(0, 30, count - 3 * parts)
    return np.concatenate([bits, *(part.astype(np.float32) for part in (spread, close, normal))])


def float64_samples(generator, count):
    with np.errstate(invalid="ignore"):  # some of the bit patterns are signalling NaN
        values = float32_samples(generator, count).astype(np.float64)
    values[::3] *= 1 + generator.uniform(-1e-9, 1e-9, values[::3].shape)
    bits = generator.integers(0, 1 << 64, count // 4, np.uint64).view(np.float64)
    return np.concatenate([values[: count - bits.size], bits])


def integer_samples(generator, count, dtype):
    info = np.iinfo(dtype)
    wide = generator.integers(info.min, info.max, count, dtype, endpoint=True)
    # Even over the number of bits, so that quotients are of every size.
    return wide >> generator.integers(0, dtype(0).itemsize * 8, count).astype(dtype)


def special_values(kind):
    if kind == "f32":
        return SPECIALS32
    if kind == "f64":
        wide = np.array(
            [5e-324, 2.2250738585072014e-308, 1e-300, 1e300, 1.7976931348623157e308, 2.0**52 + 0.5, 2.0**53]
        )
        return np.concatenate([SPECIALS32.astype(np.float64), wide, -wide])
    if kind == "bool":
        return np.array([False, True])
    info = np.iinfo(NUMPY[kind])
    edges = [0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 46341, 65535, 65536, info.max // 2, info.max - 1, info.max]
    edges += [-1, -2, -3, -5, -7, -8, -32, -65536, info.min // 2, info.min + 1, info.min] if info.min else [1 << 31]
    edges += [63, 64, 65, 3037000500, (1 << 24) + 1, (1 << 25) + 2, (1 << 53) + 1, -(1 << 40) - 3]
    return np.array([value for value in edges if info.min <= value <= info.max], NUMPY[kind])


def samples(case, count=40_000):
    """The arguments of a case, always the same ones: all tuples of specials (up to two arguments), then random ones."""
    kinds = case.arguments or (case.kind,)
    generator = np.random.default_rng(zlib.crc32(case.name.encode()))
    if len(kinds) <= 2:
        grid = np.meshgrid(*(special_values(kind) for kind in kinds), indexing="ij")
    else:
        grid = [generator.choice(special_values(kind), 2000) for kind in kinds]
    arrays = []
    for kind, special in zip(kinds, grid):
        if kind == "bool":
            random = generator.integers(0, 2, count).astype(bool)
        elif kind == "f32":
            random = float32_samples(generator, count)
        elif kind == "f64":
            random = float64_samples(generator, count)
        else:
            random = integer_samples(generator, count, NUMPY[kind])
        if kind[0] == "f":
            random[: count // 50] = generator.choice(special_values(kind), count // 50)
        else:
            random[: count // 10] = generator.choice(special_values(kind), count // 10)
        # The first argument's samples stay in order: the other ones meet them shuffled.
        arrays.append(np.concatenate([special.reshape(-1), random if not arrays else generator.permutation(random)]))
    if case.domain is not None:
        arrays = case.domain(*arrays)
        arrays = list(arrays) if isinstance(arrays, tuple) else [arrays]
    return arrays


@functools.cache
def device():
    from webtorch.backends.wgpu import get_device

    return get_device()


@functools.cache
def flushes_denormals():
    """Whether this driver's float32 arithmetic turns denormals into 0."""
    tiny = np.array([1e-40], np.float32)
    return bool(evaluate("x0 * 0.5f", [tiny], ("f32",), "f32", ())[0] == 0)


def evaluate(expression, arrays, kinds, result, names, pairs=False):
    """`expression` over x0, x1, ... for every element, on the GPU; `names` are the library functions it calls. With
    `pairs` 64-bit integers are pairs of words."""
    gpu = device()
    stored = {"bool": "u32", "i64": "WtInt64" if pairs else "i64"}
    source = [prelude.closure(names, ("WtInt64",) if pairs else (), pairs)]
    for position, kind in enumerate(kinds):
        stored_kind = stored.get(kind, kind)
        source.append(f"@group(0) @binding({position + 1}) var<storage, read> a{position}: array<{stored_kind}>;")
    out = stored.get(result, result)
    source.append(f"@group(0) @binding({len(kinds) + 1}) var<storage, read_write> output: array<{out}>;")
    source.append("@compute @workgroup_size(64) fn main(@builtin(workgroup_id) group: vec3<u32>,")
    source.append("    @builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) count: vec3<u32>) {")
    source.append("    let i = (group.x + group.y * count.x + group.z * count.x * count.y) * 64u + lane;")
    source.append("    if (i >= arrayLength(&output)) { return; }")
    for position, kind in enumerate(kinds):
        source.append(f"    let x{position} = a{position}[i]{' != 0u' if kind == 'bool' else ''};")
    source.append(f"    output[i] = {'u32(' + expression + ')' if result == 'bool' else expression};")
    source.append("}")
    pipeline = gpu.pipeline("\n".join(source), expression, len(kinds), 1, 16)
    total = arrays[0].size
    bindings = []
    for array in arrays:
        array = np.ascontiguousarray(array.astype(np.uint32) if array.dtype == bool else array)
        bindings.append((gpu.upload(array), 0, array.nbytes))
    width = 2 if out.startswith("vec2") else 1
    dtype = np.dtype(NUMPY["u32" if width == 2 or result == "bool" else result])
    nbytes = total * width * dtype.itemsize
    target = gpu.allocate(nbytes)
    gpu.dispatch(pipeline, [*bindings, (target, 0, nbytes)], b"\0" * 16, (total + 63) // 64)
    values = gpu.read(target, nbytes).view(dtype)
    return values.astype(bool) if result == "bool" else values.reshape(-1, 2) if width == 2 else values


def need(*kinds):
    """Skip where the adapter lacks a 64-bit type."""
    for kind, feature in (("i64", "shader-int64"), ("f64", "shader-f64")):
        if kind in kinds and feature not in device().features:
            pytest.skip(f"this adapter has no {feature}")


def call(case, arrays, pairs=False):
    kinds = case.arguments or (case.kind,)
    expression = f"wt_{case.name}({', '.join(f'x{position}' for position in range(len(kinds)))})"
    return evaluate(expression, arrays, kinds, case.result or case.kind, (f"wt_{case.name}",), pairs)


def reference_values(case, arrays):
    with np.errstate(all="ignore"):
        if case.ulps != EXACT and case.kind == "f32":
            return case.reference(
                *(array.astype(np.float64) if array.dtype == np.float32 else array for array in arrays)
            )
        return case.reference(*arrays)


def errors_in_ulps(got, wanted, floor=0.0):
    """How many float32 ulps each of `got` is away from the float64 `wanted`; inf where NaN or infinity is wrong."""
    with np.errstate(all="ignore"):
        got64 = got.astype(np.float64)
        nearest = wanted.astype(np.float32)
        size = np.maximum(np.abs(np.where(np.isfinite(wanted), wanted, 1.0)), max(floor, 2.0**-126))
        size = np.minimum(size, 3.4028234e38)
        ulp = 2.0 ** (np.floor(np.log2(size)) - 23)
        # An overflow is an error of the distance from 2^128, where the largest number's neighbour would be.
        stand_in = np.where(np.isinf(got64), np.copysign(2.0**128, got64), got64)
        target = np.where(np.isinf(nearest) & ~np.isinf(wanted), np.copysign(2.0**128, wanted), wanted)
        error = np.abs(stand_in - target) / ulp
        error = np.where(np.isinf(wanted), np.where(got64 == wanted, 0.0, np.inf), error)
        error = np.where(np.isnan(wanted), np.where(np.isnan(got64), 0.0, np.inf), error)
        error = np.where(np.isnan(got64) & ~np.isnan(wanted), np.inf, error)
        # A true zero keeps its sign.
        error = np.where((wanted == 0) & (got64 == 0) & (np.signbit(wanted) != np.signbit(got64)), np.inf, error)
    return error


def mismatches(got, wanted):
    """Where the values differ: in any bit, except that all NaN are the same."""
    wanted = np.asarray(wanted).astype(got.dtype)
    if got.dtype.kind != "f":
        return got != wanted
    unsigned = np.uint32 if got.dtype == np.float32 else np.uint64
    with np.errstate(all="ignore"):
        return (got.view(unsigned) != wanted.view(unsigned)) & ~(np.isnan(got) & np.isnan(wanted))


def denormal(values):
    smallest = 1.1754944e-38 if values.dtype == np.float32 else 2.2250738585072014e-308
    return (np.abs(values) < smallest) & (values != 0) if values.dtype.kind == "f" else np.zeros(values.shape, bool)


def check(case, pairs=False):
    kinds = case.arguments or (case.kind,)
    if not pairs:
        need(*kinds, case.result)
    arrays = samples(case)
    got = call(case, arrays, pairs)
    wanted = reference_values(case, arrays)
    if case.ulps == EXACT or case.kind != "f32":
        worse = mismatches(got, wanted) if case.ulps == EXACT else errors64(got, wanted, case.floor) > case.ulps
        amount = worse.astype(float)
    else:
        amount = errors_in_ulps(got, wanted, case.floor)
        worse = amount > case.ulps
    if flushes_denormals():
        small = np.abs(wanted) < 1.1754944e-38 if got.dtype.kind == "f" else np.zeros(got.shape, bool)
        for array in arrays:
            small = small | denormal(array)
        worse = worse & ~small
    if worse.any():
        first = np.flatnonzero(worse)[np.argsort(-amount[worse], kind="stable")[:8]]
        rows = [
            f"  wt_{case.name}({', '.join(repr(array[i].item()) for array in arrays)}) = {got[i].item()!r}, "
            f"should be {np.asarray(wanted)[i].item()!r} ({amount[i]:.2f})"
            for i in first
        ]
        pytest.fail(f"{worse.sum()} of {worse.size} off by more than {case.ulps} ulps:\n" + "\n".join(rows))
    return float(np.max(amount, initial=0.0))


def errors64(got, wanted, floor=0.0):
    """As errors_in_ulps, for float64 against a float64 reference (which is itself good to an ulp)."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(np.where(np.isfinite(wanted), wanted, 1.0)), max(floor, 2.2250738585072014e-308))
        error = np.abs(got - wanted) / (size * 2.0**-52)
        agree = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        return np.where(agree, 0.0, np.where(np.isfinite(got) & np.isfinite(wanted), error, np.inf))


@pytest.mark.gpu
@pytest.mark.parametrize("case", FLOAT32, ids=lambda case: case.name)
def test_float32(case):
    check(case)


# The float32 numbers closest to a multiple of pi/2, relative to their size: there a wrong digit of 2/pi shows.
NEAR_MULTIPLES = [
    7.72917892e28, 2.19993846e10, 1.54583578e29, 4.39987692e10, 252.898209, 3.09167157e29, 4.63818338e25,
    1.52278899e12, 8.11762664e22, 8.79975383e10, 505.796417, 4.3865579e33, 42781604, 4.71238899, 1.0341292e27,
    6.18334314e29, 9.27636677e25, 1.52826894e17, 3.04557798e12, 1.62352533e23, 1.75995077e11, 52516.4336,
    3.7955707e30, 1011.59283,
    # Not as close, but here the product with 2/pi carries from one word into the next.
    29447.7188, 1.45583463e28, 2.4764091e32, 4.88082124e28,
]  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_close_to_multiples_of_half_pi(name):
    x = np.array(NEAR_MULTIPLES, np.float32)
    x = np.concatenate([x, -x])
    got = evaluate(f"wt_{name}_f32(x0)", [x], F, "f32", (f"wt_{name}_f32",))
    wanted = getattr(np, name)(x.astype(np.float64))
    assert np.abs(wanted if name != "cos" else 1 / np.tan(x.astype(np.float64))).min() < 1e-7
    assert errors_in_ulps(got, wanted).max() <= 3


# ---- conversions ----------------------------------------------------------------------------------------------------


def low_word(x):
    """float32 to uint32 as documented: towards zero, modulo 2^32, 0 for NaN and infinity."""
    return np.array([int(value) & 0xFFFFFFFF if np.isfinite(value) else 0 for value in x.tolist()], np.uint32)


def numbers_of(name):
    """Arguments brought to numbers that a 16-bit float has."""
    return lambda *arrays: tuple(torch.from_numpy(a).to(getattr(torch, name)).float().numpy() for a in arrays)


def next_in(name):
    def reference(x, y):
        x, y = (torch.from_numpy(a).to(getattr(torch, name)) for a in (x, y))
        return torch.nextafter(x, y).float().numpy()

    return reference


def sort_key(x):
    """Integers in the order of floats: the bits, those of negative numbers the other way round; NaN last."""
    whole = np.int32 if x.dtype == np.float32 else np.int64
    bits, largest = x.view(whole), np.iinfo(whole).max
    return np.where(np.isnan(x), largest, np.where(bits < 0, bits ^ largest, bits))


def sorted_number(key):
    return np.where(key < 0, key ^ 0x7FFFFFFF, key).astype(np.int32).view(np.float32)


def digit(key, shift, mask):
    """Some bits of a key, counted from the smallest int32."""
    return ((key.view(np.uint32) ^ np.uint32(1 << 31)) >> shift) & mask


# fmt: off
CONVERSIONS = [
    Case("sort_key_f32", sort_key, arguments=F, result="i32"),
    Case("sorted_number_i32", sorted_number, arguments=("i32",), result="f32"),
    Case("digit_i32", digit, arguments=("i32", "u32", "u32"), result="u32", domain=lambda key, shift, mask: (key, shift & 31, mask)),
    Case("cast_f32_i32", same(lambda x: x.to(torch.int32)), arguments=F, result="i32"),
    Case("cast_f32_i64", same(lambda x: x.to(torch.int64)), arguments=F, result="i64"),
    Case("cast_f32_u32", low_word, arguments=F, result="u32"),
    Case("cast_i32_f32", lambda x: x.astype(np.float32), arguments=("i32",), result="f32"),
    Case("cast_u32_f32", lambda x: x.astype(np.float32), arguments=("u32",), result="f32"),
    Case("cast_i64_f32", lambda x: x.astype(np.float32), arguments=("i64",), result="f32"),
    Case("cast_i32_i64", lambda x: x.astype(np.int64), arguments=("i32",), result="i64"),
    Case("cast_u32_i64", lambda x: x.astype(np.int64), arguments=("u32",), result="i64"),
    Case("cast_i64_i32", lambda x: x.astype(np.int32), arguments=("i64",), result="i32"),
    Case("cast_i64_u32", lambda x: x.astype(np.uint32), arguments=("i64",), result="u32"),
    Case("f16_round_f32", lambda x: x.astype(np.float16).astype(np.float32)),
    Case("bf16_round_f32", same(lambda x: x.to(torch.bfloat16).to(torch.float32))),
    Case("f16_nextafter_f32", next_in("float16"), arguments=FF, domain=numbers_of("float16")),
    Case("bf16_nextafter_f32", next_in("bfloat16"), arguments=FF, domain=numbers_of("bfloat16")),
]
# fmt: on


@pytest.mark.gpu
@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case.name)
def test_conversion(case):
    check(case)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_every_sixteen_bit_float_survives(kind):
    """Unpacking is right for all 65536 patterns, and packing gives the pattern back (NaN stays a NaN)."""
    patterns = np.arange(1 << 16, dtype=np.uint32)
    half = patterns.astype(np.uint16)
    wanted = half.view(np.float16).astype(np.float32) if kind == "f16" else (patterns << 16).view(np.float32)
    unpacked = evaluate(f"wt_{kind}_unpack_u32(x0)", [patterns], ("u32",), "f32", (f"wt_{kind}_unpack_u32",))
    assert not mismatches(unpacked, wanted).any()
    packed = evaluate(f"wt_{kind}_pack_f32(x0)", [wanted], F, "u32", (f"wt_{kind}_pack_f32",))
    nan = np.isnan(wanted)
    assert (packed[~nan] == patterns[~nan]).all()
    again = packed[nan] << 16 if kind == "bf16" else packed[nan].astype(np.uint16).view(np.float16).astype(np.float32)
    assert np.isnan(again.view(np.float32) if kind == "bf16" else again).all()


# ---- float64 --------------------------------------------------------------------------------------------------------

D = ("f64",)
DD = ("f64", "f64")


def sigmoid64(x):
    """Not torch's, whose small end is 0 where e^-x overflows."""
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


# fmt: off
FLOAT64 = [
    Case("isnan_f64", np.isnan, result="bool"),
    Case("isinf_f64", np.isinf, result="bool"),
    Case("isfinite_f64", np.isfinite, result="bool"),
    Case("isposinf_f64", np.isposinf, result="bool"),
    Case("isneginf_f64", np.isneginf, result="bool"),
    Case("signbit_f64", np.signbit, result="bool"),
    Case("eq_f64", np.equal, arguments=DD, result="bool"),
    Case("ne_f64", np.not_equal, arguments=DD, result="bool"),
    Case("lt_f64", np.less, arguments=DD, result="bool"),
    Case("le_f64", np.less_equal, arguments=DD, result="bool"),
    Case("gt_f64", np.greater, arguments=DD, result="bool"),
    Case("ge_f64", np.greater_equal, arguments=DD, result="bool"),
    Case("maximum_f64", with_zeros(np.maximum), arguments=DD),
    Case("minimum_f64", with_zeros(np.minimum), arguments=DD),
    Case("fmax_f64", with_zeros(np.fmax), arguments=DD),
    Case("fmin_f64", with_zeros(np.fmin), arguments=DD),
    Case("clamp_f64", clamp, arguments=("f64",) * 3),
    Case("abs_f64", np.abs),
    Case("neg_f64", np.negative),
    Case("sign_f64", same(torch.sign)),
    Case("relu_f64", lambda x: np.where(x < 0, 0.0, x)),
    Case("copysign_f64", np.copysign, arguments=DD),
    Case("nextafter_f64", np.nextafter, arguments=DD),
    Case("heaviside_f64", same(torch.heaviside), arguments=DD),
    Case("nan_to_num_f64", nan_to_num, arguments=("f64",) * 4),
    Case("floor_f64", np.floor),
    Case("ceil_f64", np.ceil),
    Case("trunc_f64", np.trunc),
    Case("round_f64", np.round),
    Case("frac_f64", same(torch.frac)),
    Case("sqrt_f64", np.sqrt),
    Case("reciprocal_f64", np.reciprocal),
    Case("divide_f64", np.divide, arguments=DD),
    Case("fmod_f64", np.fmod, arguments=DD),
    Case("remainder_f64", remainder, arguments=DD),
    Case("floor_divide_f64", same(torch.floor_divide), arguments=DD),
    Case("trunc_divide_f64", same(lambda x, y: torch.div(x, y, rounding_mode="trunc")), arguments=DD),
    Case("sort_key_f64", sort_key, arguments=D, result="i64"),
    Case("cast_f32_f64", lambda x: x.astype(np.float64), arguments=F, result="f64"),
    Case("cast_f64_f32", lambda x: x.astype(np.float32), arguments=D, result="f32"),
    Case("cast_i32_f64", lambda x: x.astype(np.float64), arguments=("i32",), result="f64"),
    Case("cast_u32_f64", lambda x: x.astype(np.float64), arguments=("u32",), result="f64"),
    Case("cast_i64_f64", lambda x: x.astype(np.float64), arguments=("i64",), result="f64"),
    Case("cast_f64_i32", same(lambda x: x.to(torch.int32)), arguments=D, result="i32"),
    Case("cast_f64_i64", same(lambda x: x.to(torch.int64)), arguments=D, result="i64"),
    Case("cast_f64_u32", lambda x: low_word(np.where(np.abs(x) < 2.0**63, x, 0.0)), arguments=D, result="u32"),
    # numpy's and torch's own float64 are good to about an ulp.
    Case("rsqrt_f64", torch64(torch.rsqrt), 2),
    Case("exp_f64", np.exp, 2),
    Case("expm1_f64", np.expm1, 3),
    Case("log_f64", np.log, 2),
    Case("log2_f64", np.log2, 2),
    Case("log10_f64", np.log10, 2),
    Case("log1p_f64", np.log1p, 3),
    Case("pow_f64", np.power, 16, arguments=DD),
    Case("tanh_f64", np.tanh, 3),
    Case("sigmoid_f64", sigmoid64, 3),
    Case("silu_f64", lambda x: x * sigmoid64(x), 4),
    Case("mish_f64", lambda x: x * np.tanh(np.logaddexp(x, 0.0)), 8),
    Case("softplus_f64", lambda x: np.logaddexp(x, 0.0), 4),
    Case("logsigmoid_f64", lambda x: -np.logaddexp(-x, 0.0), 4),
]
# fmt: on


@pytest.mark.gpu
@pytest.mark.parametrize("case", FLOAT64, ids=lambda case: case.name)
def test_float64(case):
    check(case)


# ---- integers and bool ----------------------------------------------------------------------------------------------


def integer_pow(x, y):
    """Python's integers modulo 2^bits; a negative exponent as PyTorch has it."""
    bits = x.dtype.itemsize * 8
    out = []
    for a, b in zip(x.tolist(), y.tolist()):
        value = pow(a, b, 1 << bits) if b >= 0 else {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)
        out.append(value & ((1 << bits) - 1))
    return np.array(out, f"uint{bits}").view(x.dtype)


def shift_left(x, amount):
    width = x.dtype.itemsize * 8
    inside = (amount >= 0) & (amount < width)
    return np.where(inside, x << np.where(inside, amount, 0).astype(x.dtype), np.zeros_like(x))


def shift_right(x, amount):
    width = x.dtype.itemsize * 8
    inside = (amount >= 0) & (amount < width)
    beyond = np.where(x < 0, -1, 0).astype(x.dtype) if x.dtype.kind == "i" else np.zeros_like(x)
    return np.where(inside, x >> np.where(inside, amount, 0).astype(x.dtype), beyond)


def integer_cases(kind):
    two, three = (kind, kind), (kind, kind, kind)
    # fmt: off
    cases = [
        Case(f"eq_{kind}", np.equal, arguments=two, result="bool"),
        Case(f"ne_{kind}", np.not_equal, arguments=two, result="bool"),
        Case(f"lt_{kind}", np.less, arguments=two, result="bool"),
        Case(f"le_{kind}", np.less_equal, arguments=two, result="bool"),
        Case(f"gt_{kind}", np.greater, arguments=two, result="bool"),
        Case(f"ge_{kind}", np.greater_equal, arguments=two, result="bool"),
        Case(f"maximum_{kind}", np.maximum, arguments=two),
        Case(f"minimum_{kind}", np.minimum, arguments=two),
        Case(f"fmax_{kind}", np.fmax, arguments=two),
        Case(f"fmin_{kind}", np.fmin, arguments=two),
        Case(f"clamp_{kind}", lambda x, low, high: np.minimum(np.maximum(x, low), high), arguments=three),
        Case(f"abs_{kind}", np.abs),
        Case(f"sign_{kind}", np.sign),
    ]
    if kind == "bool":
        return [case for case in cases if not case.name.startswith("sign")] + [Case("sign_bool", lambda x: x)]
    return cases + [
        Case(f"neg_{kind}", np.negative),
        Case(f"relu_{kind}", lambda x: np.maximum(x, x.dtype.type(0))),
        Case(f"signbit_{kind}", lambda x: x < 0, result="bool"),
        Case(f"heaviside_{kind}", lambda x, v: np.where(x == 0, v, (x > 0).astype(x.dtype)), arguments=two),
        Case(f"trunc_divide_{kind}", lambda x, y: integer_quotient(x, y, truncated), arguments=two),
        Case(f"floor_divide_{kind}", lambda x, y: integer_quotient(x, y, lambda a, b: a // b), arguments=two),
        Case(f"fmod_{kind}", lambda x, y: integer_quotient(x, y, lambda a, b: a - b * truncated(a, b)), arguments=two),
        Case(f"remainder_{kind}", lambda x, y: integer_quotient(x, y, lambda a, b: a % b), arguments=two),
        Case(f"pow_{kind}", integer_pow, arguments=two),
        Case(f"left_shift_{kind}", shift_left, arguments=two),
        Case(f"right_shift_{kind}", shift_right, arguments=two),
        Case(f"gcd_{kind}", np.gcd, arguments=two),
        Case(f"lcm_{kind}", lambda x, y: np.abs(np.lcm(x, y)), arguments=two),
    ]
    # fmt: on


INTEGERS = [case for kind in ("i32", "u32", "i64", "bool") for case in integer_cases(kind)]


@pytest.mark.gpu
@pytest.mark.parametrize("case", INTEGERS, ids=lambda case: case.name)
def test_integer(case):
    check(case)


def operator_cases():
    """The functions that stand for WGSL's operators where 64-bit integers are pairs of words."""
    two, amount = ("i64", "i64"), ("i64", "u32")
    below_64 = lambda x, amount: (x, amount & 63)  # noqa: E731
    # fmt: off
    return [
        Case("add_i64", np.add, arguments=two),
        Case("sub_i64", np.subtract, arguments=two),
        Case("mul_i64", np.multiply, arguments=two),
        Case("and_i64", np.bitwise_and, arguments=two),
        Case("or_i64", np.bitwise_or, arguments=two),
        Case("xor_i64", np.bitwise_xor, arguments=two),
        Case("not_i64", np.invert),
        Case("select_i64", lambda no, yes, where: np.where(where, yes, no), arguments=("i64", "i64", "bool")),
        Case("shift_left_i64", lambda x, n: np.left_shift(x, n.astype(np.int64)), arguments=amount, result="i64", domain=below_64),
        Case("shift_right_i64", lambda x, n: np.right_shift(x, n.astype(np.int64)), arguments=amount, result="i64", domain=below_64),
        Case("cast_bool_i64", lambda x: x.astype(np.int64), arguments=("bool",), result="i64"),
    ]
    # fmt: on


PAIRS = [
    case for case in [*INTEGERS, *CONVERSIONS] if "i64" in (case.kind, case.result, *case.arguments)
] + operator_cases()


@pytest.mark.gpu
@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.name)
def test_pairs_of_words(case):
    check(case, pairs=True)


def test_every_function_for_pairs_is_tested():
    """And each of those for native 64-bit integers has its counterpart, but for conversions to and from doubles."""
    text = shaders_path.read(prelude.PAIRS_FILE)
    defined = set(re.findall(r"^fn (wt_\w+_i64|wt_cast_i64_\w+)\(", text, re.MULTILINE))
    assert defined - {f"wt_{case.name}" for case in PAIRS} == {"wt_unsigned_quotient_i64"}
    native = set(re.findall(r"^fn (wt_\w+_i64|wt_cast_i64_\w+)\(", shaders_path.read("integer.wgsl"), re.MULTILINE))
    assert native <= defined


# ---- random bits ----------------------------------------------------------------------------------------------------


@pytest.mark.gpu
def test_threefry_known_answers():
    """The three published vectors of Threefry-2x32 with 20 rounds."""
    ones = 0xFFFFFFFF
    vectors = [
        ((0, 0, 0, 0), (0x6B200159, 0x99BA4EFE)),
        ((ones, ones, ones, ones), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ]
    arrays = [np.array([arguments[k] for arguments, _ in vectors], np.uint32) for k in range(4)]
    got = evaluate("wt_threefry_u32(x0, x1, x2, x3)", arrays, ("u32",) * 4, "vec2<u32>", ("wt_threefry_u32",))
    assert [tuple(row) for row in got.tolist()] == [answer for _, answer in vectors]


@pytest.mark.gpu
def test_division_by_what_the_host_has_prepared():
    """Sizes and numbers at and beside powers of two and multiples, the largest ones, and any."""
    generator = np.random.default_rng(6)
    edges = {2**k + d for k in range(33) for d in (-2, -1, 0, 1, 2)} | {3, 5, 7, 10, 641, 1000, 6700417, 4095 * 4097}
    sizes = np.array(sorted(e for e in edges if 2 <= e < 2**32), np.uint64)
    sizes = np.concatenate([sizes, generator.integers(2, 1 << 32, 500, np.uint64)])
    numbers = np.concatenate([sizes, [0, 1, 2**32 - 1], generator.integers(0, 1 << 32, 500, np.uint64)]).astype(
        np.uint64
    )
    x, size = (array.ravel() for array in np.meshgrid(numbers, sizes))
    x = np.concatenate([x, x // size * size, np.maximum(x // size * size, 1) - 1])
    size = np.tile(size, 3)
    prepared = {}
    for value in np.unique(size).tolist():
        kernel = codegen.Kernel(engine.limits_of(device()), "elementwise")
        first = kernel.divisor(value)
        prepared[value] = kernel.words[first + 1], kernel.words[first + 2]
    words = np.array([prepared[value] for value in size.tolist()], np.uint32)
    arrays = [x.astype(np.uint32), np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])]
    got = evaluate("wt_divide_u32(x0, x1, x2)", arrays, ("u32",) * 3, "u32", ("wt_divide_u32",))
    np.testing.assert_array_equal(got, (x // size).astype(np.uint32))


# ---- the adapter's own division -------------------------------------------------------------------------------------

NATIVE = {
    "divide": np.divide,
    "reciprocal": lambda x, _: np.float32(1) / x,
    "sqrt": lambda x, _: np.sqrt(x),
    "rsqrt": lambda x, _: np.float32(1) / np.sqrt(x),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", NATIVE)
def test_native_division_is_exact_where_it_is_used(name):
    """Pairs of all special values and 2^21 random bit patterns: what IEEE 754 says, or the library's own is used."""
    limits = engine.limits_of(device())
    if not limits.exact_division:
        x = webtorch.tensor([3.0, 7.0], device="webgpu")
        assert "wt_native" not in webtorch.debug.wgsl(getattr(x, name)(*[x] * (name == "divide")))
        return
    generator = np.random.default_rng(5)
    left, right = (array.ravel() for array in np.meshgrid(SPECIALS32, SPECIALS32))
    bits = generator.integers(0, 1 << 32, (2, 1 << 21), dtype=np.uint64).astype(np.uint32).view(np.float32)
    x, y = (
        np.concatenate([special, more]).astype(np.float32) for special, more in zip((left, right), bits, strict=True)
    )
    count = 2 if name == "divide" else 1
    arguments = ", ".join(f"x{n}" for n in range(count))
    got = evaluate(
        f"wt_native_{name}_f32({arguments})", (x, y)[:count], ("f32",) * count, "f32", (f"wt_native_{name}_f32",)
    )
    with np.errstate(all="ignore"):
        expected = NATIVE[name](x, y)
    same = (got.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(got) & np.isnan(expected))
    assert same.all(), (x[~same][:5], y[~same][:5], got[~same][:5], expected[~same][:5])


@pytest.mark.gpu
def test_roots_and_quotients_are_not_simplified():
    """What undoes itself in real numbers: each step is rounded all the same."""
    values = np.random.default_rng(6).uniform(0.5, 4, 4096).astype(np.float32)
    x = webtorch.tensor(values, device="webgpu")
    one = np.float32(1)
    for got, expected in (
        (x.sqrt().square(), np.square(np.sqrt(values))),
        (x.sqrt() * x.sqrt(), np.sqrt(values) * np.sqrt(values)),
        (x.reciprocal().reciprocal(), one / (one / values)),
        (x.rsqrt().square().reciprocal(), one / np.square(one / np.sqrt(values))),
        ((x * 3) / 3, values * np.float32(3) / np.float32(3)),
        ((x / 7) * 7, values / np.float32(7) * np.float32(7)),
        (x / x.sqrt(), values / np.sqrt(values)),
        (x.square().sqrt(), np.sqrt(np.square(values))),
        ((x * x) / x, values * values / values),
        (1 / (1 / x), one / (one / values)),
        (x / (x / (x + 1)), values / (values / (values + one))),
    ):
        assert np.array_equal(got.numpy(), expected)


# ---- the tree shaker ------------------------------------------------------------------------------------------------


def test_closure_holds_what_is_needed_once_and_nothing_else():
    text = prelude.closure(["wt_sqrt_f32", "wt_asin_f32"])
    names = [line.split("(")[0].removeprefix("fn ") for line in text.splitlines() if line.startswith("fn ")]
    assert len(names) == len(set(names))
    assert {"wt_asin_f32", "wt_asin_core_f32", "wt_sqrt_f32", "wt_significand_f32", "wt_magnitude_f32"} <= set(names)
    assert "wt_exp_f32" not in names and "i64" not in text
    assert text.count("var<private> WT_NAN: u32") == 1
    assert "WT_INFINITY" not in prelude.closure(["wt_neg_f32"])
    assert "var<private> WT_INFINITY: u32" in prelude.closure(["wt_neg_f32"], ["WT_INFINITY"])
    assert text == prelude.closure(("wt_asin_f32", "wt_sqrt_f32", "wt_asin_f32"))


def test_unknown_names_are_refused():
    with pytest.raises(RegistryError, match="no function wt_nothing_f32"):
        prelude.closure(["wt_nothing_f32"])
    with pytest.raises(RegistryError, match="no constant WT_NOTHING"):
        prelude.closure([], ["WT_NOTHING"])
    with pytest.raises(RegistryError, match="no such file"):
        shaders_path.read("nothing.wgsl")
    with pytest.raises(RegistryError, match="without a folder"):
        shaders_path.read("../shaders/prelude.wgsl")


def test_every_function_is_tested_or_serves_one_that_is():
    """No function of these four files may lie about untested; the other files have tests of their own."""
    tested = {f"wt_{case.name}" for case in [*FLOAT32, *CONVERSIONS, *FLOAT64, *INTEGERS]}
    tested |= {f"wt_{kind}_{what}" for kind in ("f16", "bf16") for what in ("unpack_u32", "pack_f32")}
    tested |= {"wt_threefry_u32", "wt_divide_u32", *(f"wt_native_{name}_f32" for name in NATIVE)}
    served = prelude.closure(tested)
    here = "".join(shaders_path.read(f"{file}.wgsl") for file in ("prelude", "special", "float64", "integer"))
    defined = [name for name in prelude.functions() if f"fn {name}(" in here]
    assert {"wt_exp_f32", "wt_asin_f32", "wt_exp_f64", "wt_pow_i32"} <= set(defined)
    assert [name for name in defined if f"fn {name}(" not in served] == []


def test_functions_use_no_untrusted_builtin():
    """exp, log, sin and their like are wrong on one driver or another, as are min, max and % on floats."""
    builtins = "exp exp2 log log2 pow sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh fma sign"
    builtins += " floor ceil round trunc fract inverseSqrt ldexp frexp mix step modf"
    calls = re.compile(rf"(?<!\w)({'|'.join(builtins.split())})\(")
    for name, source in prelude.functions().items():
        found = calls.search(re.sub(r"//[^\n]*", "", source))
        assert not found, f"{name} calls {found}"
