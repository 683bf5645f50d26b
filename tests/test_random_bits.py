"""The counter-based random numbers: known answers, distributions, and numpy against WGSL bit for bit."""

import math
import re
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webtorch import _counter_random as random
from webtorch import prelude

NORMAL = NormalDist()


def words(count: int, stream: int = 0) -> np.ndarray:
    return random.threefry(np.arange(count, dtype=np.uint32), stream, 0x12345678, 0x9ABCDEF0)[0]


def edge_words() -> np.ndarray:
    """Both ends and the middle of all words, and both sides of each border between rows of the table."""
    rows = np.arange(512, dtype=np.uint64)
    odd = ((np.uint64(16) + rows % 16) << np.uint64(27)) >> (rows // 16)
    borders = (odd >> np.uint64(1)).astype(np.int64)
    near = np.unique(np.concatenate([borders + step for step in (-2, -1, 0, 1, 2)]))
    near = near[(near >= 0) & (near < 1 << 31)].astype(np.uint32)
    ends = np.arange(4096, dtype=np.uint32)
    lower = np.concatenate([near, ends, np.uint32(0x7FFFFFFF) - ends])
    return np.concatenate([lower, ~lower])


def exact_normals(bits: np.ndarray) -> np.ndarray:
    """(bits + 1/2) / 2^32 through the standard library's inverse, from the nearer end to keep its digits."""
    lower = np.minimum(bits, ~bits).astype(np.float64)
    tail = np.array([NORMAL.inv_cdf((2 * value + 1) * 2.0**-33) for value in lower.tolist()])
    return np.where(bits < 1 << 31, tail, -tail)


# Known answers for threefry2x32 with 20 rounds, published with the Random123 library.
KNOWN = [
    ((0, 0, 0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("given_words", "answer"), KNOWN)
def test_threefry_known_answers(given_words, answer):
    assert tuple(int(word) for word in random.threefry(*given_words)) == answer


def test_threefry_does_not_depend_on_how_it_is_called():
    counters = np.arange(40_000, dtype=np.uint32)  # more than two blocks
    first, second = random.threefry(counters, 5, 6, 7)
    for index in (0, 1, 16_383, 16_384, 39_999):
        assert random.threefry(index, 5, 6, 7) == (first[index], second[index])
    grid = random.threefry(counters.reshape(200, 200).T, np.array([5]), 6, 7)[1]
    assert np.array_equal(grid, second.reshape(200, 200).T)
    assert random.threefry(counters[:0], 5, 6, 7)[0].shape == (0,)


def test_threefry_changes_half_the_bits():
    flipped = [random.threefry(1 << bit, 0, 1, 2)[0] ^ random.threefry(0, 0, 1, 2)[0] for bit in range(32)]
    share = np.mean([int(word).bit_count() for word in flipped]) / 32
    assert 0.45 < share < 0.55


@pytest.mark.parametrize("call", [(-1, 0, 0, 0), (1 << 32, 0, 0, 0), (0.5, 0, 0, 0), (0, 0, -1, 0), (0, 0, 0, 1 << 32)])
def test_threefry_refuses_what_is_not_a_word(call):
    with pytest.raises(ValueError, match="threefry"):
        random.threefry(*call)


def test_uniform():
    bits = words(1_000_000)
    values = random.uniform_from_bits(bits)
    assert values.dtype == np.float32
    assert values.min() >= 0 and values.max() < 1
    assert np.array_equal(values.astype(np.float64) * 2**24, bits >> 8)
    assert kolmogorov_distance(values, lambda x: x) < 1.95 / 1000  # the 0.1 % point for a million values


def test_bounded():
    bits = words(600_000)
    counts = np.bincount(random.bounded_from_bits(bits, 6), minlength=6)
    assert len(counts) == 6
    assert (((counts - 100_000) ** 2) / 100_000).sum() < 20.5  # chi-squared, 5 degrees, 0.1 % point
    assert not random.bounded_from_bits(bits, 1).any()
    assert np.array_equal(random.bounded_from_bits(bits, 1 << 32), bits)
    for bound in (0, -3, (1 << 32) + 1):
        with pytest.raises(ValueError, match=r"bounded_from_bits.*2\*\*32"):
            random.bounded_from_bits(bits, bound)


def test_bounded_bias_is_as_small_as_stated():
    # With 8-bit digits in place of the 32 the count can be made in full: floor(n / bound) or one more.
    for bound in range(1, 257):
        counts = np.bincount(np.arange(256) * bound >> 8)
        assert len(counts) == bound and set(counts) <= {256 // bound, 256 // bound + 1}


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**64))
def test_bounded64_against_python(word, bound):
    low, high = np.array([word & 0xFFFFFFFF], np.uint32), np.array([word >> 32], np.uint32)
    assert int(random.bounded64_from_bits(low, high, bound)[0]) == word * bound >> 64


def test_bounded64_refuses_bad_bounds():
    for bound in (0, (1 << 64) + 1):
        with pytest.raises(ValueError, match=r"bounded64_from_bits.*2\*\*64"):
            random.bounded64_from_bits(words(1), words(1), bound)


def test_normal_against_the_exact_inverse():
    bits = np.concatenate([edge_words(), words(50_000)])
    values, exact = random.normal_from_bits(bits).astype(np.float64), exact_normals(bits)
    half_ulp = np.spacing(np.abs(values).astype(np.float32)) / 2
    assert np.abs(values - exact).max() < 3e-7
    assert (np.abs(values - exact) - half_ulp).max() < 2e-8
    assert np.abs(values).max() == pytest.approx(6.337958, abs=1e-5)


def test_normal_is_symmetric_ordered_and_never_zero():
    bits = np.sort(np.concatenate([edge_words(), words(50_000)]))
    values = random.normal_from_bits(bits)
    assert np.array_equal(random.normal_from_bits(~bits), -values)
    assert np.diff(values.astype(np.float64)).min() > -4e-8
    assert np.abs(values).min() > 0


def test_normal_distribution():
    values = random.normal_from_bits(words(1_000_000)).astype(np.float64)
    # Each moment within four of its standard deviations: sqrt(1, 2, 15, 96) / 1000.
    for power, expected, deviation in ((1, 0, 1), (2, 1, math.sqrt(2)), (3, 0, math.sqrt(15)), (4, 3, math.sqrt(96))):
        assert abs((values**power).mean() - expected) < 4 * deviation / 1000
    table_x = np.linspace(-7, 7, 20_001)
    table_y = [NORMAL.cdf(float(x)) for x in table_x]
    assert kolmogorov_distance(values, lambda x: np.interp(x, table_x, table_y)) < 1.95 / 1000


def test_neighbouring_streams_are_unrelated():
    first, second = (random.normal_from_bits(words(100_000, stream)).astype(np.float64) for stream in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(100_000)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / math.sqrt(100_000)


def kolmogorov_distance(values: np.ndarray, distribution) -> float:
    """Largest gap between the values' own distribution and the given one."""
    at = distribution(np.sort(np.asarray(values, np.float64)))
    steps = np.arange(len(at) + 1) / len(at)
    return float(max((steps[1:] - at).max(), (at - steps[:-1]).max()))


def test_recorded_bits():
    # Whatever is changed in the making of these numbers, the numbers are to stay: seeds are a promise.
    bits = words(8)
    assert bits.tolist() == RECORDED["bits"]
    assert random.uniform_from_bits(bits).view(np.uint32).tolist() == RECORDED["uniform"]
    assert random.normal_from_bits(bits).view(np.uint32).tolist() == RECORDED["normal"]
    every = random.normal_from_bits(words(1 << 20)).view(np.uint32)
    assert int(np.bitwise_xor.reduce(every)) == RECORDED["xor of 2^20 normals"]
    assert int(every.sum(dtype=np.uint64)) == RECORDED["sum of 2^20 normals"]


RECORDED = {
    "bits": [0xED280379, 0x19101B65, 0x5E33164E, 0x437C43FF, 0x3C45E0F3, 0x37B265FA, 0x0B27245E, 0xD7A5F444],
    "uniform": [0x3F6D2803, 0x3DC880D8, 0x3EBC662C, 0x3E86F886, 0x3E711780, 0x3E5EC994, 0x3D327240, 0x3F57A5F4],
    "normal": [0x3FB9870F, 0xBFA594A5, 0xBEACAB0F, 0xBF21DA82, 0xBF389655, 0xBF47CAEF, 0xBFDAF903, 0x3F808BF4],
    "xor of 2^20 normals": 0x72EFF409,
    "sum of 2^20 normals": 0x7EFA543979B3F,
}


# ---------------------------------------------------------------------------------------------------------------------
# numpy against WGSL. The harness uses wgpu itself, so that it tests these functions and nothing else.

KERNEL = """
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> results: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) position: vec3<u32>) {
    let index = position.x + position.y * 65536u;
    if (index >= arrayLength(&words)) { return; }
    let bits = words[index];
    results[index] = EXPRESSION;
}
"""
# Another word, made of the first, for what needs two; any fixed mixing will do.
OTHER = "((bits * 2654435769u) ^ (bits >> 15u))"


def other(bits: np.ndarray) -> np.ndarray:
    return (bits * np.uint32(2654435769)) ^ (bits >> np.uint32(15))


@pytest.fixture(scope="module")
def on_gpu(leave_for_want_of_gpu):
    """A function that evaluates a WGSL expression of `bits` for each word, on the adapter that wgpu offers first."""
    try:
        import wgpu
        from wgpu.utils.compute import compute_with_buffers

        wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    except Exception as error:
        leave_for_want_of_gpu(f"{type(error).__name__}: {error}")

    def evaluate(expression: str, bits: np.ndarray) -> np.ndarray:
        functions = prelude.closure(set(re.findall(r"\bwt_\w+", expression)))
        code = functions + KERNEL.replace("EXPRESSION", expression)
        groups = (len(bits) + 63) // 64
        out = compute_with_buffers(
            {0: np.ascontiguousarray(bits), 1: np.array(random.NORMAL_TABLE)},
            {2: (len(bits), "I")},
            code,
            n=(min(groups, 1024), (groups + 1023) // 1024, 1),
        )
        return np.frombuffer(out[2], np.uint32)

    return evaluate


ROW = "table[wt_normal_segment_u32(bits)]"
IN_WGSL = {
    "uniform": ("bitcast<u32>(wt_uniform_u32(bits))", lambda w: random.uniform_from_bits(w).view(np.uint32)),
    "segment": ("wt_normal_segment_u32(bits)", lambda w: random.normal_segment(w).astype(np.uint32)),
    "normal": (
        f"bitcast<u32>(wt_normal_u32(bits, {ROW}.x, {ROW}.y, {ROW}.z, {ROW}.w))",
        lambda w: random.normal_from_bits(w).view(np.uint32),
    ),
    "bounded by 6": ("wt_bounded_u32(bits, 6u)", lambda w: random.bounded_from_bits(w, 6)),
    "bounded by 2^32 - 1": ("wt_bounded_u32(bits, 0xffffffffu)", lambda w: random.bounded_from_bits(w, 0xFFFFFFFF)),
    "bounded by 3000000001": ("wt_bounded_u32(bits, 3000000001u)", lambda w: random.bounded_from_bits(w, 3000000001)),
}
for _part, _half in (("x", 0), ("y", 1)):
    IN_WGSL[f"threefry, {_part}"] = (
        f"wt_threefry_u32(bits, {OTHER}, 0x13198a2eu, 0x03707344u).{_part}",
        lambda w, half=_half: random.threefry(w, other(w), 0x13198A2E, 0x03707344)[half],
    )
for _low, _high in ((5, 0), (5, 2), (0xFFFFFFFF, 0xFFFFFFFF), (0x9ABCDEF1, 0x87654321), (0, 1)):
    for _part, _shift in (("x", 0), ("y", 32)):
        IN_WGSL[f"bounded by {_low | _high << 32:#x}, {_part}"] = (
            f"wt_bounded64_u32(vec2<u32>(bits, {OTHER}), vec2<u32>({_low}u, {_high}u)).{_part}",
            lambda w, bound=_low | _high << 32, shift=_shift: (
                random.bounded64_from_bits(w, other(w), bound) >> np.uint64(shift)
            ).astype(np.uint32),
        )


@pytest.mark.parametrize("name", IN_WGSL)
def test_wgsl_gives_the_same_bits(on_gpu, name):
    expression, reference = IN_WGSL[name]
    bits = np.concatenate([edge_words(), words(1 << 20)])
    result, expected = on_gpu(expression, bits), reference(bits)
    differ = np.flatnonzero(result != expected)
    assert not differ.size, f"{differ.size} differ, first for word {bits[differ[0]]:#010x}"
