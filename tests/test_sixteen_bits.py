"""float16 and bfloat16: two bytes in memory, computed in float32, rounded to the nearest after every op, on both devices."""

import copy
import functools
import pathlib
import pickle

import elementwise_cases as shared
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


# ---- every row ------------------------------------------------------------------------------------------------------


def order(pattern):
    """16-bit patterns as integers in the order of the numbers they stand for."""
    wide = pattern.astype(np.int32)
    return np.where(wide < 0x8000, wide, 0x8000 - wide)


def far_apart(got, wanted, name, units=1):
    """Where 16-bit patterns stand for numbers more than `units` neighbours apart; NaN only meets NaN, inf only inf."""
    a, b = (dtypes.decode(pattern.view(kind_of(name).memory), kind_of(name)) for pattern in (got, wanted))
    odd = np.isnan(a) != np.isnan(b)
    return odd | (~np.isnan(a) & ~np.isnan(b) & (np.abs(order(got) - order(wanted)) > units))


UNARY = [*shared.UNARY, *shared.ACTIVATION]


@functools.cache
def unary_results(name, device):
    """Every unary row of every number of a type; computed at once, so that kernels hold several results."""
    x, found = all_numbers(name, device), {}
    for row in UNARY:
        try:
            result = getattr(webtorch, row)(x)
        except (TypeError, RuntimeError):
            continue
        if result.dtype is kind_of(name):
            found[row] = result
    if device == "webgpu":
        webtorch.sync_device()
    return {row: bits(result) for row, result in found.items()}


@pytest.mark.parametrize("name", KINDS)
def test_unary_rows_of_every_number(name, device):
    """The float32 row of the same number, rounded: on numpy exactly, on a GPU to within one unit."""
    results = unary_results(name, device)
    assert len(results) > 60
    wide = webtorch.tensor(values_of(name), device="cpu")
    wrong = {}
    for row, got in results.items():
        exact = nearest(getattr(webtorch, row)(wide).numpy(), name)
        apart = far_apart(got, dtypes.encode(exact, kind_of(name)).view(np.uint16), name, device == "webgpu")
        apart &= ~flushed(name, device) & ~cut_to_zero(got, exact, device)
        if row == "nan_to_num":  # infinities become the largest number of the type itself
            apart &= np.isfinite(values_of(name))
        if row == "tanhshrink":  # a difference of float32 numbers that nearly agree
            apart &= np.abs(values_of(name)) > 0.05
        if apart.any():
            wrong[row] = (int(apart.sum()), [hex(pattern) for pattern in PATTERNS[apart][:3]])
    assert not wrong


def flushed(name, device):
    """Numbers that a GPU may take for zero: bfloat16 has the denormals of float32."""
    values = np.abs(values_of(name))
    return (
        (values != 0) & (values < 2.0**-126) if name == "bfloat16" and device == "webgpu" else np.zeros(1 << 16, bool)
    )


def cut_to_zero(got, wanted, device):
    """Zeros of a GPU where float32 has a denormal, which it need not keep."""
    return (device == "webgpu") & ((got & 0x7FFF) == 0) & (np.abs(wanted) <= 2.0**-126)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_unary_rows_mean_what_pytorch_means(name):
    """To one unit, but where PyTorch's own 16-bit kernel is further than that from its float64 one (erf, cosh near the
    end of the range, tanhshrink near 0 ...)."""
    torch = pytest.importorskip("torch")
    x, wrong, seen = torch.tensor(values_of(name)).to(getattr(torch, name)), {}, 0
    for row, got in unary_results(name, "cpu").items():
        function = getattr(torch, row, None) or getattr(torch.nn.functional, row)
        try:
            theirs, exact = (function(v).to(x.dtype).view(torch.int16).numpy().view(np.uint16) for v in (x, x.double()))
        except RuntimeError:
            continue
        seen += 1
        apart = far_apart(got, theirs, name) & ~far_apart(theirs, exact, name)
        if row == "gelu":  # 1 + erf(x) nearly cancels
            apart &= values_of(name) > -4
        if row == "sinc":  # pi * x is rounded, and with it its sine
            apart &= np.abs(values_of(name)) < 1e6
        if apart.any():
            wrong[row] = (int(apart.sum()), values_of(name)[apart][:4].tolist())
    assert seen > 55 and not wrong


def narrow_cases(name):
    """The cases of the other elementwise tests, with this type in place of float16."""
    for case in shared.cases():
        if "float16" in case.operands and case.name not in UNLISTED:
            operands = tuple(name if operand == "float16" else operand for operand in case.operands)
            yield case, shared.Case(case.name, operands, case.keywords)


UNLISTED = shared.unlisted()
RECORDED = pathlib.Path(__file__).parent / "goldens" / "bfloat16.npz"


def operands_of(case):
    """Numbers of the case as arrays; what stands for bfloat16 is rounded to it."""
    found = []
    for operand, array in zip(case.operands, case.arrays(), strict=True):
        found.append(nearest(array, "bfloat16") if operand == "float16" else array)
    return found


def called(library, modules, case, values):
    if case.name.startswith("frexp_"):
        return getattr(library.frexp(*values), case.name.removeprefix("frexp_"))
    function = next(getattr(module, case.name) for module in modules if hasattr(module, case.name))
    return function(*values, **dict(case.keywords))


def pytorch_results():
    """PyTorch's results of all cases, bfloat16 as the bits; where its 16-bit kernel is more than a unit away from its
    float64 one (logit, tanhshrink ...), the latter's. Cases that it refuses are left out."""
    import torch

    def result_in(kind, case):
        values = [
            torch.from_numpy(array.copy()).to(kind) if operand == "float16" else given(array)
            for operand, array in zip(case.operands, operands_of(case), strict=True)
        ]
        return called(torch, (torch, torch.nn.functional), case, values)

    def given(array):
        return torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array

    found = {}
    for case, named in narrow_cases("bfloat16"):
        try:
            result = result_in(torch.bfloat16, case)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            continue
        if result.dtype is torch.bfloat16:
            exact = result_in(torch.float64, case).to(torch.bfloat16)
            result, exact = (value.view(torch.int16).numpy().view(np.uint16) for value in (result, exact))
            found[named.key] = np.where(far_apart(result, exact, "bfloat16"), exact, result)
        else:
            found[named.key] = result.numpy()
    return found


def webtorch_result(case, device):
    values = [
        webtorch.tensor(array, dtype=webtorch.bfloat16 if operand == "float16" else None, device=device)
        if isinstance(array, np.ndarray)
        else array
        for operand, array in zip(case.operands, operands_of(case), strict=True)
    ]
    return called(webtorch, (webtorch, webtorch.nn.functional), case, values)


def test_elementwise_rows_mean_what_was_recorded(device):
    """Rows of one, two and three tensors and numbers, with PyTorch's results of bfloat16: to one unit."""
    with np.load(RECORDED) as file:
        recorded = dict(file)
    pending, wrong = {}, {}
    for case, named in narrow_cases("bfloat16"):
        if named.key in recorded:
            try:
                pending[named.key] = (case, webtorch_result(case, device))
            except webtorch.DTypeError as error:
                assert device == "webgpu" and "float64" in str(error), named.key
    assert len(pending) > 150
    if device == "webgpu":
        webtorch.sync_device()
    for key, (case, result) in pending.items():
        expected = recorded[key]
        if result.dtype is webtorch.bfloat16:
            assert expected.dtype == np.uint16, key
            apart = far_apart(bits(result), expected, "bfloat16")
            a, b = (
                dtypes.decode(pattern, webtorch.bfloat16).astype(np.float64) for pattern in (bits(result), expected)
            )
            with np.errstate(all="ignore"):
                near = np.abs(a - b) <= shared.ABSOLUTE.get(case.name, 0) * 2.0**-24 * 8
            apart &= ~near & ~cut_to_zero(bits(result), b, device)
        else:
            assert result.numpy().dtype == expected.dtype, key
            apart = shared.disagreements(case, result.numpy(), expected, 4, 0)
        if case.name == "signbit":  # the sign of NaN is not defined
            apart = apart & ~np.isnan(operands_of(case)[0])
        if case.name in shared.DEVIATIONS:
            apart = apart & ~np.broadcast_to(shared.DEVIATIONS[case.name](case, *operands_of(case)), apart.shape)
        if apart.any():
            at = tuple(np.argwhere(apart)[0])
            inputs = [
                np.broadcast_to(v, apart.shape)[at].item() if isinstance(v, np.ndarray) else v
                for v in operands_of(case)
            ]
            got = result.float() if result.dtype is webtorch.bfloat16 else result
            wanted = dtypes.decode(expected, webtorch.bfloat16) if result.dtype is webtorch.bfloat16 else expected
            wrong[key] = (int(apart.sum()), inputs, np.array(got.tolist())[at].item(), wanted[at].item())
    assert not wrong


def test_recording_is_pytorchs():
    pytest.importorskip("torch")
    with np.load(RECORDED) as file:
        recorded = dict(file)
    current = pytorch_results()
    assert recorded.keys() == current.keys(), "run python tests/test_sixteen_bits.py"


# ---- sums -----------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_ones(device):
    """Counted in float32 and rounded once: float16 ends at 65504, bfloat16 has multiples of 512 there."""
    half, brain = (webtorch.ones(100_000, dtype=kind_of(name), device=device) for name in KINDS)
    assert half.sum().item() == inf and half.mean().item() == 1.0 and half[:65504].sum().item() == 65504.0
    assert half.sum(dtype=webtorch.float32).item() == 100_000.0
    assert brain.sum().item() == 99840.0 and brain.mean().item() == 1.0
    assert brain.cumsum(0)[[255, 256, 257, 99_999]].tolist() == [256.0, 256.0, 258.0, 99840.0]
    assert half.cumsum(0)[[2047, 2048, 2049, 99_999]].tolist() == [2048.0, 2048.0, 2050.0, inf]
    assert half.var().item() == 0.0 and brain.norm().item() == nearest([100_000**0.5], "bfloat16").item()


ACCUMULATING = {
    "sum": lambda x, F: x.sum(-1),
    "sum of all": lambda x, F: x.sum(),
    "mean": lambda x, F: x.mean((0, 2)),
    "mean of large numbers": lambda x, F: (x * 64).mean(-1),
    "prod": lambda x, F: (x / 32).prod(-1),
    "var": lambda x, F: x.var(-1),
    "std": lambda x, F: x.std(-1),
    "norm": lambda x, F: x.norm(),
    "logsumexp": lambda x, F: x.logsumexp(-1),
    "cumsum": lambda x, F: x.cumsum(-1),
    "softmax": lambda x, F: x.softmax(-1),
    "log_softmax": lambda x, F: x.log_softmax(1),
    "layer_norm": lambda x, F: F.layer_norm(x, (40,)),
    "rms_norm": lambda x, F: F.rms_norm(x, (40,), eps=1e-6),
    "group_norm": lambda x, F: F.group_norm(x, 2),
    "batch_norm": lambda x, F: F.batch_norm(x, None, None, training=True),
    "instance_norm": lambda x, F: F.instance_norm(x),
    "matmul": lambda x, F: x @ x.transpose(-1, -2),
    "linear": lambda x, F: F.linear(x, x[0]),
    "conv1d": lambda x, F: F.conv1d(x, x[:, :, :3]),
    "conv2d": lambda x, F: F.conv2d(x[None], x[:2, :, None, :5].permute(0, 2, 1, 3).expand(2, 4, 6, 5)),
    "avg_pool1d": lambda x, F: F.avg_pool1d(x, 7, stride=2, padding=1),
    "adaptive_avg_pool1d": lambda x, F: F.adaptive_avg_pool1d(x, 7),
    "cosine_similarity": lambda x, F: F.cosine_similarity(x[:, :3], x[:, 3:], dim=-1),
    "attention": lambda x, F: F.scaled_dot_product_attention(x / 16, x / 16, x),
    "attention of many": lambda x, F: F.scaled_dot_product_attention(x.mT / 16, x.mT / 16, x.mT),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("case", ACCUMULATING)
def test_long_sums_are_rounded_once(case, name, device):
    """Against float64 of the same numbers: the error is that of one rounding, and a little of float32."""
    values = nearest(np.random.default_rng(7).normal(size=(4, 6, 40)) * 30, name)
    call, functional = ACCUMULATING[case], webtorch.nn.functional
    exact = call(webtorch.tensor(values.astype(np.float64), device="cpu"), functional).numpy()
    result = call(webtorch.tensor(values, dtype=kind_of(name), device=device), functional)
    assert result.dtype is kind_of(name)
    got = np.array(result.tolist())
    mantissa, exponent = np.frexp(exact)
    unit = np.ldexp(1.0, np.maximum(exponent, -13 if name == "float16" else -125) - (11 if name == "float16" else 8))
    beyond = np.abs(exact) >= dtypes.finfo(kind_of(name)).max
    with np.errstate(invalid="ignore"):
        error = np.where(beyond, np.where(np.isinf(got), 0, inf), np.maximum(np.abs(got - exact) - 2e-5, 0) / unit)
    assert error.max() < 0.52


def test_gradients_of_16_bit_sums(device):
    for name in KINDS:
        x = webtorch.ones(5, 4, dtype=kind_of(name), device=device).requires_grad_()
        (x.var() + x.mean() + webtorch.nn.functional.layer_norm(x, (4,)).sum() + (x @ x.t()).sum()).backward()
        assert x.grad.dtype is kind_of(name) and np.allclose(x.grad.tolist(), 10.05, rtol=2e-2)


if __name__ == "__main__":
    np.savez_compressed(RECORDED, **pytorch_results())
    print(f"{RECORDED}: {RECORDED.stat().st_size // 1024} KiB")
