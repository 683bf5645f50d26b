"""float64 on a GPU: every op is as good as numpy's, or raises and names the way out; none gives a wrong number.

Drivers' own exponentials and logarithms of float64 are those of float32. What the shader library has of its own is
used; the rest is refused.
"""

import numpy as np
import pytest
from sampling import DTYPES, need, outcomes, sample, specials

import webtorch
from webtorch.ops import TABLE
from webtorch.ops.elementwise import Elementwise

RELATIVE = 1e-15
# Differences of nearly equal numbers, on numpy too: their errors are measured against the numbers.
CANCELLING = ("_gelu_tanh", "tanhshrink")
# Not of floats, whatever their rule says: they take random bits.
OF_BITS = ("_bounded", "_normal", "_normal_segment")


def rows():
    for name, row in TABLE.items():
        if isinstance(row, Elementwise) and name not in OF_BITS:
            try:
                row.rule(webtorch.float64, name)
            except webtorch.DTypeError:
                continue
            yield name


def close(got, wanted, size=0.0):
    """Equal, or within RELATIVE of the larger of `wanted` and `size`."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return np.zeros(wanted.shape, bool)
    with np.errstate(all="ignore"):
        same = (got == wanted) | ((got != got) & (wanted != wanted))
        if wanted.dtype.kind != "f":
            return same
        near = np.abs(got - wanted) <= RELATIVE * np.maximum(np.abs(wanted), size)
        return same | (near & np.isfinite(wanted) & np.isfinite(got))


def call(name, arrays, device):
    row = TABLE[name]
    given = dict(row.scalars)
    if name in ("_add_scaled", "_sub_scaled", "_rsub_scaled"):
        given = {"alpha": 2.5}
    return row.apply([webtorch.tensor(array, device=device) for array in arrays], given)


@pytest.mark.gpu
def test_elementwise_rows():
    need("float64")
    samples = specials("float64", 4)
    calls = {"cpu": {}, "webgpu": {}}
    inputs = {}
    for name in rows():
        row = TABLE[name]
        inputs[name] = list(samples[: row.inputs])
        if row.select_first:
            inputs[name][0] = inputs[name][0] > 0
        for device in calls:
            calls[device][name] = lambda name=name, device=device: call(name, inputs[name], device)
    wanted, got = outcomes(calls["cpu"]), outcomes(calls["webgpu"])
    refused, wrong = set(), []
    for name, result in got.items():
        expected = wanted[name]
        assert not isinstance(expected, Exception), f"{name}: {expected!r}"
        if isinstance(result, webtorch.DTypeError):
            assert "device='cpu'" in str(result) or "float32" in str(result), f"{name} names no way out: {result}"
            refused.add(name)
        elif isinstance(result, Exception):
            wrong.append(f"{name}: {result!r:.200}")
        else:
            size = np.abs(inputs[name][0]) if name in CANCELLING else 0.0
            bad = np.flatnonzero(~close(result, expected, size))
            if len(bad):
                shown = [([array[i] for array in inputs[name]], result[i], expected[i]) for i in bad[:3]]
                wrong.append(f"{name}: {len(bad)} of {expected.size}: {shown}")
    assert not wrong, "\n".join(wrong)
    # Most of arithmetic is there, and what no GPU has is refused rather than approximated.
    assert not refused & {"add", "mul", "div", "sqrt", "exp", "log", "pow", "tanh", "sigmoid", "where", "maximum"}
    assert {"sin", "cos", "erf", "lgamma"} <= refused
    assert len(got) - len(refused) > 70


def stored(x, value):
    x[1:, ::3] = value
    return x


OTHERS = {
    "sum": lambda x: x.sum(1),
    "sum of all": lambda x: x.sum(),
    "mean": lambda x: x.mean(0),
    "prod": lambda x: x[:, :4].prod(1),
    "amax": lambda x: x.amax(0),
    "amin": lambda x: x.amin(1),
    "argmax": lambda x: x.argmax(1),
    "any": lambda x: (x > 2).any(0),
    "var": lambda x: x.var(1),
    "norm": lambda x: x.norm(),
    "logsumexp": lambda x: x.logsumexp(1),
    "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x[:4].cumprod(0),
    "matmul": lambda x: x @ x.T,
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "layer_norm": lambda x: webtorch.nn.functional.layer_norm(x, (x.shape[1],)),
    "conv1d": lambda x: webtorch.nn.functional.conv1d(x[None], x[:4, None, :3].expand(4, x.shape[0], 3)),
    "max_pool": lambda x: webtorch.nn.functional.max_pool1d(x, 3),
    "avg_pool": lambda x: webtorch.nn.functional.avg_pool1d(x, 4),
    "sort": lambda x: x.sort(1)[0],
    "gather": lambda x: x.gather(1, webtorch.zeros((3, 5), dtype=webtorch.int64, device=x.device)),
    "index_add": lambda x: x.index_add(0, webtorch.tensor([0, 0, 3], device=x.device), x[:3]),
    "index_put": lambda x: x.index_put((webtorch.tensor([2], device=x.device),), x[0]),
    "cat": lambda x: webtorch.cat([x, x * 2]),
    "pad": lambda x: webtorch.nn.functional.pad(x, (1, 2), value=0.1),
    "write": lambda x: stored(x.clone(), 0.1),
    "arange": lambda x: webtorch.arange(0, 5, 0.1, dtype=x.dtype, device=x.device),
    "linspace": lambda x: webtorch.linspace(0, 1, 11, dtype=x.dtype, device=x.device),
    "full": lambda x: webtorch.full((3,), 0.1, dtype=x.dtype, device=x.device),
    "rand": lambda x: webtorch.rand(
        9, dtype=x.dtype, device=x.device, generator=webtorch.Generator(x.device).manual_seed(1)
    ),
    "scaled": lambda x: webtorch.add(x, x, alpha=0.1),
    "embedding": lambda x: webtorch.nn.functional.embedding(webtorch.tensor([1, 0], device=x.device), x),
    **{
        f"to {name}": lambda x, dtype=dtype: (x * 50).to(dtype)
        for name, dtype in DTYPES.items()
        if name not in ("uint8", "int8", "int16")
    },
    **{f"from {name}": lambda x, dtype=dtype: x.to(dtype).to(x.dtype) for name, dtype in DTYPES.items()},
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", OTHERS)
def test_other_kinds(name):
    need("float64")
    array = sample(np.random.default_rng(0), (7, 300), webtorch.float64)
    expected = OTHERS[name](webtorch.tensor(array, device="cpu")).numpy()
    got = OTHERS[name](webtorch.tensor(array, device="webgpu")).numpy()
    # Sums of many are as good as their largest parts.
    size = np.abs(array).sum() / len(array) if expected.dtype.kind == "f" and expected.dtype.itemsize == 8 else 0.0
    exact = (
        "amax",
        "amin",
        "max_pool",
        "sort",
        "gather",
        "cat",
        "pad",
        "write",
        "full",
        "rand",
        "embedding",
        "index_put",
    )
    wrong = ~close(got, expected, 0.0 if name in exact or name.startswith(("to ", "from ")) else size)
    assert not wrong.any(), f"{np.argwhere(wrong)[:3]}: {got[wrong][:3]} instead of {expected[wrong][:3]}"
