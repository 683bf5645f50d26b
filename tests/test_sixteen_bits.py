"""float16 and bfloat16: two bytes in memory, computed in float32, rounded to the nearest after every op, on both devices."""

import copy
import pickle

import numpy as np
import pytest

import webtorch
from webtorch import dtypes

inf, nan = float("inf"), float("nan")
KINDS = ["float16", "bfloat16"]
PATTERNS = np.arange(1 << 16, dtype=np.uint16)


def kind_of(name):
    return dtypes.as_dtype(name)


def values_of(name):
    """All 65,536 numbers of a type, as float32."""
    return dtypes.decode(PATTERNS.view(kind_of(name).memory), kind_of(name))


def all_numbers(name, device):
    return webtorch.tensor(values_of(name), dtype=kind_of(name), device=device)


def bits(tensor):
    """The elements of a 16-bit tensor as they lie in memory."""
    return tensor._memory().copy().view(np.uint16)


def nearest(values, name):
    """Float32 numbers rounded to a 16-bit type by another way than the library's: numpy's own, or halves counted out."""
    values = np.asarray(values, np.float32)
    if name == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        mantissa, exponent = np.frexp(values.astype(np.float64))
        step = np.maximum(exponent - 8, -133)  # 8 bits of precision; below 2^-126 multiples of 2^-133
        found = np.ldexp(np.round(np.ldexp(mantissa, exponent - step)), step)  # np.round takes ties to even
        found = np.where(np.abs(found) >= 2.0**128, np.copysign(inf, found), found)
    return np.where(np.isfinite(values), found, values).astype(np.float32)


def same(got, wanted):
    """Equal bit for bit, but that any NaN will do."""
    got, wanted = np.asarray(got, np.float32), np.asarray(wanted, np.float32)
    wrong = (got.view(np.uint32) != wanted.view(np.uint32)) & ~(np.isnan(got) & np.isnan(wanted))
    assert not wrong.any(), f"{wrong.sum()} differ, first {got[wrong][:4]} instead of {wanted[wrong][:4]}"


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_memory_is_two_bytes(name, device):
    x = webtorch.tensor([[1.0, 2.5, -0.1]], dtype=kind_of(name), device=device)
    assert x.itemsize == x.element_size() == 2 and x.nbytes == 6 and x._storage.node.nbytes == 6
    for other in (x.clone(), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.cpu(), x.t().contiguous().t()):
        assert other.dtype is kind_of(name) and bits(other).tolist() == bits(x).tolist()


def test_bfloat16_is_the_upper_half_of_float32(device):
    x = webtorch.tensor([1.0, -2.0, inf, 0.1], dtype=webtorch.bfloat16, device=device)
    assert bits(x).tolist() == [0x3F80, 0xC000, 0x7F80, 0x3DCD]


@pytest.mark.parametrize("name", KINDS)
def test_every_number_survives(name, device):
    x = all_numbers(name, device)
    same(x.float().numpy(), values_of(name))
    same(x.float().to(kind_of(name)).float().numpy(), values_of(name))
    assert (bits(x)[~np.isnan(values_of(name))] == PATTERNS[~np.isnan(values_of(name))]).all()


@pytest.mark.parametrize("name", KINDS)
def test_conversion_rounds_to_nearest_even(name, device):
    exact = values_of(name)
    exact = np.sort(exact[np.isfinite(exact)])
    middle = ((exact[1:].astype(np.float64) + exact[:-1]) / 2).astype(np.float32)  # all ties, exact in float32
    values = np.concatenate([middle, np.nextafter(middle, inf), np.nextafter(middle, -inf)])
    values = np.concatenate([values, np.float32([65519.99, 65520, 3.3895e38, 3.3961e38, inf, -inf, nan, 1e-8, 2e-45])])
    x = webtorch.tensor(values, device=device).to(kind_of(name))
    same(x.float().numpy(), nearest(values, name))


@pytest.mark.parametrize("name", KINDS)
def test_casts_to_and_from_the_other_types(name, device):
    x = webtorch.tensor([0.0, -1.5, 2.0, 100.0, 300.0], dtype=kind_of(name), device=device)
    assert x.to(webtorch.int32).tolist() == [0, -1, 2, 100, 300]
    assert x.bool().tolist() == [False, True, True, True, True]
    assert x.short().tolist() == [0, -1, 2, 100, 300] and x[:4].to(webtorch.int8).tolist() == [0, -1, 2, 100]
    for kind in ("int32", "int16", "uint8", "int8", "bool"):
        whole = webtorch.tensor([0, 1, 2, 127], dtype=kind_of(kind), device=device)
        assert whole.to(kind_of(name)).float().tolist() == whole.float().tolist()
    large = webtorch.tensor([16777217, 257, 259, 2049], dtype=webtorch.int32, device=device).to(kind_of(name))
    same(large.float().numpy(), nearest([16777216, 257, 259, 2049], name))
    other = kind_of("bfloat16" if name == "float16" else "float16")
    same(all_numbers(name, device).to(other).float().numpy(), nearest(values_of(name), other.name))


def test_numpy_has_no_bfloat16(device):
    x = webtorch.tensor([1.5, 2.0], dtype=webtorch.bfloat16, device=device)
    for call in (x.numpy, lambda: np.asarray(x)):
        with pytest.raises(TypeError, match=r"\.float\(\)"):
            call()
    assert x.tolist() == [1.5, 2.0] and x[0].item() == 1.5 and float(x[1]) == 2.0


def test_printing():
    x = webtorch.tensor([1.0, 0.1, 1e-40, nan], dtype=webtorch.bfloat16, device="cpu")
    assert repr(x[:2]) == "tensor([1.0000, 0.1001], dtype=webtorch.bfloat16)"
    assert repr(x[3]) == "tensor(nan, dtype=webtorch.bfloat16)"
    assert x.type() == "webtorch.BFloat16Tensor" and webtorch.bfloat16.itemsize == 2


def test_default_type(device):
    try:
        webtorch.set_default_dtype(webtorch.bfloat16)
        assert webtorch.tensor([1.5], device=device).dtype is webtorch.bfloat16
        assert (webtorch.ones(2, device=device) / 3).tolist() == [0.333984375] * 2
        assert webtorch.tensor([], device=device).dtype is webtorch.bfloat16
        assert repr(webtorch.tensor([1.5], device="cpu")).startswith("tensor([1.5000]")
    finally:
        webtorch.set_default_dtype(webtorch.float32)


@pytest.mark.parametrize("name", KINDS)
def test_factories(name, device):
    kind = kind_of(name)
    options = {"dtype": kind, "device": device}
    assert webtorch.arange(0, 3, 0.5, **options).tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert webtorch.linspace(0, 1, 5, **options).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert webtorch.full((2,), 0.1, **options).tolist() == nearest([0.1, 0.1], name).tolist()
    assert webtorch.eye(2, **options).tolist() == [[1, 0], [0, 1]]
    assert webtorch.hann_window(4, **options).tolist() == [0, 0.5, 1, 0.5]
    assert webtorch.logspace(0, 2, 3, **options).tolist() == [1, 10, 100]
    for made in (webtorch.randn(500, **options), webtorch.rand(500, **options), webtorch.zeros(3, **options).normal_()):
        assert made.dtype is kind and -5 < made.float().mean().item() < 5


@pytest.mark.parametrize("name", KINDS)
def test_views_and_writes_share_words(name, device):
    """Two elements lie in a word of memory: a write of one leaves the other as it was."""
    kind = kind_of(name)
    base = np.arange(37, dtype=np.float32)
    for piece in (slice(0, 1), slice(1, 2), slice(3, 30), slice(5, None, 2), slice(None, None, 3), slice(36, 37)):
        x, wanted = webtorch.tensor(base, dtype=kind, device=device), base.copy()
        x[piece] = webtorch.full((len(base[piece]),), -1.0, dtype=kind, device=device)
        x[piece] += 0.5
        wanted[piece] = -0.5
        assert x.tolist() == wanted.tolist()
    x = webtorch.tensor(base, dtype=kind, device=device)
    index = webtorch.tensor([0, 5, 6, 7, 36, 5], dtype=webtorch.int32, device=device)
    x.index_add_(0, index, webtorch.ones(6, dtype=kind, device=device))
    wanted = base.copy()
    np.add.at(wanted, [0, 5, 6, 7, 36, 5], 1)
    assert x.tolist() == wanted.tolist()
    assert webtorch.cat([x[:3], x[30:]]).tolist() == [*wanted[:3], *wanted[30:]]


# ---- rounding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_results_do_not_depend_on_fusion(name, device):
    """A chain in one kernel gives the bits of the same ops one by one: each op's result is rounded to the type."""
    generator = np.random.default_rng(3)
    a, b = (webtorch.tensor(generator.normal(size=999), dtype=kind_of(name), device=device) for _ in range(2))

    def steps(x, y):
        yield (x := x * y + 1)
        yield (x := x.tanh() * 3 - y)
        yield (x := x / (y * y + 0.3))
        yield x.exp() - x

    *_, fused = steps(a, b)
    single = []
    for value in steps(a, b):
        value.tolist()
        single.append(value)
    assert bits(fused).tolist() == bits(single[-1]).tolist()
    exact = nearest(nearest(a.float().numpy() * b.float().numpy(), name) + np.float32(1), name)
    same((a * b + 1).float().numpy(), exact)


@pytest.mark.parametrize("name", KINDS)
def test_neighbours(name, device):
    x = all_numbers(name, device)
    up = webtorch.nextafter(x, webtorch.full((), inf, dtype=kind_of(name), device=device)).float().numpy()
    values = values_of(name)
    finite = np.unique(values[~np.isnan(values)])
    place = np.searchsorted(finite, values[~np.isnan(values)])
    same(up[~np.isnan(values)] + np.float32(0), finite[np.minimum(place + 1, len(finite) - 1)])
    assert np.isnan(up[np.isnan(values)]).all()
