"""Special functions against values with 40 digits, on both devices; special values, derivatives, dtypes, errors."""

import json
import math
import pathlib

import numpy as np
import pytest

import webtorch
from webtorch import special
from webtorch.autograd import gradcheck, gradgradcheck

GOLDENS = json.loads((pathlib.Path(__file__).parent / "goldens" / "special.json").read_text())
NAN, INF = float("nan"), float("inf")
# How many times the rounding error of the dtype is allowed, where it is not 16 times.
ALLOWED = {"airy_ai": 100, "gammainc": 2000, "gammaincc": 2000, "erfcx": 60, "i1": 60, "modified_bessel_i0": 60, "modified_bessel_i1": 60,
           "modified_bessel_k0": 60, "modified_bessel_k1": 60, "ndtri": 60, "log_ndtr": 30, "ndtr": 60, "zeta": 30}  # fmt: skip
# Functions that cross zero: near a zero their error counts absolutely.
CROSSING = ("bessel", "airy", "polynomial", "polygamma_0", "multigammaln", "entr")


def call(name, *arguments):
    function, _, order = name.rpartition("_")
    if function == "polygamma":
        return special.polygamma(int(order), *arguments)
    return (
        special.multigammaln(*arguments, int(order))
        if function == "multigammaln"
        else getattr(special, name)(*arguments)
    )


# The functions are expressions of rows, the same on every device. A software adapter takes seconds to compile those of
# many terms, so on a GPU one of each make is run.
ON_GPU = (
    "erfcx", "ndtr", "log_ndtr", "entr", "bessel_j0", "bessel_y1", "i0e", "i1", "modified_bessel_k0", "spherical_bessel_j0",
    "airy_ai", "polygamma_1", "multigammaln_3", "xlog1py", "legendre_polynomial_p", "shifted_chebyshev_polynomial_v",
    "zeta", "ndtri", "gammainc", "gammaincc",
)  # fmt: skip
PLACES = [("cpu", name) for name in GOLDENS] + [pytest.param("webgpu", name, marks=pytest.mark.gpu) for name in ON_GPU]


@pytest.mark.parametrize(("device", "name"), PLACES)
def test_values(device, name):
    rows = GOLDENS[name]
    wanted = np.array([row[-1] for row in rows])
    for dtype in (webtorch.float32, webtorch.float64)[: 1 if device == "webgpu" else 2]:
        columns = [[float(row[k]) for row in rows] for k in range(len(rows[0]) - 1)]
        result = call(name, *(webtorch.tensor(column, dtype=dtype, device=device) for column in columns))
        assert result.dtype is dtype
        found, limits = result.numpy().astype(np.float64), np.finfo(dtype.numpy)
        floor = 0.25 if any(word in name for word in CROSSING) else float(limits.tiny) / float(limits.eps)
        slack = ALLOWED.get(name, 16) * float(limits.eps) * np.maximum(np.abs(wanted), floor)
        bad = (np.abs(wanted) < float(limits.max)) & ~(np.abs(found - wanted) <= slack)
        assert not bad.any(), [(row, value) for row, value, wrong in zip(rows, found, bad, strict=True) if wrong]


SPECIAL = {
    "erfcx": [(INF, 0.0), (-INF, INF), (NAN, NAN)],
    "ndtri": [(0.0, -INF), (1.0, INF), (-0.5, NAN), (2.0, NAN), (NAN, NAN)],
    "log_ndtr": [(-INF, -INF), (INF, 0.0)],
    "entr": [(0.0, 0.0), (-1.0, -INF), (NAN, NAN), (INF, -INF)],
    "bessel_j0": [(INF, 0.0), (NAN, NAN)],
    "bessel_y0": [(0.0, -INF), (-1.0, NAN), (NAN, NAN)],
    "i1e": [(INF, 0.0), (-0.0, 0.0), (NAN, NAN)],
    "modified_bessel_k0": [(0.0, INF), (-1.0, NAN), (INF, 0.0)],
    "spherical_bessel_j0": [(INF, 0.0), (0.0, 1.0), (NAN, NAN)],
    "airy_ai": [(INF, 0.0), (NAN, NAN)],
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name):
    device = "cpu"
    points, wanted = zip(*SPECIAL[name], strict=True)
    found = getattr(special, name)(webtorch.tensor(list(points), device=device)).tolist()
    assert np.array_equal(found, wanted, equal_nan=True)


def test_special_values_of_two():
    device = "cpu"

    def of(function, *points):
        return function(
            *(webtorch.tensor(list(column), device=device) for column in zip(*points, strict=True))
        ).tolist()

    assert np.array_equal(of(special.xlog1py, (0.0, -1.0), (0.0, NAN), (2.0, 0.0)), [0, NAN, 0], equal_nan=True)
    points = (0.0, 1.0), (1.0, 0.0), (5.0, INF), (-1.0, 1.0), (1.0, -1.0), (0.0, 0.0), (INF, 2.0)
    assert np.array_equal(of(special.gammainc, *points), [1, 0, 1, NAN, NAN, NAN, 0], equal_nan=True)
    found = of(special.zeta, (1.0, 2.0), (0.5, 1.0), (2.0, 0.0), (2.0, -3.0))
    assert np.array_equal(found, [INF, NAN, INF, INF], equal_nan=True)


def test_arguments(device):
    x = webtorch.tensor([1, 2], device=device)
    assert special.i0e(x).dtype is webtorch.float32
    half = special.erfcx(webtorch.tensor([1.0], device=device, dtype=webtorch.float16))
    assert half.dtype is webtorch.float16 and abs(half.item() - 0.4276) < 1e-3
    assert special.zeta(2.0, webtorch.tensor([1.0], device=device)).item() == pytest.approx(math.pi**2 / 6)
    out = webtorch.zeros(2, device=device)
    assert special.entr(x, out=out) is out and out.tolist() == pytest.approx([0.0, -2 * math.log(2)])
    degrees = webtorch.tensor([-1, 0, 1, 4], device=device)
    found = special.legendre_polynomial_p(webtorch.tensor(0.5, device=device), degrees).tolist()
    assert found == pytest.approx([0, 1, 0.5, -0.2890625])
    with pytest.raises(TypeError, match="expected a Tensor"):
        special.erfcx([1.0])
    with pytest.raises(RuntimeError, match="does not support negative n"):
        special.polygamma(-1, x)
    with pytest.raises(NotImplementedError, match="airy_ai"):
        special.airy_ai(x.float().requires_grad_()).sum().backward()


CHECKED = {
    "erfcx": (-3, 3), "ndtr": (-3, 3), "log_ndtr": (-5, 3), "ndtri": (0.05, 0.95), "entr": (0.2, 3), "bessel_j0": (-12, 12),
    "bessel_j1": (-12, 12), "bessel_y0": (0.5, 12), "bessel_y1": (0.5, 12), "i0e": (0.3, 12), "i1": (0.3, 6), "i1e": (0.3, 12),
    "modified_bessel_k0": (0.4, 5), "modified_bessel_k1": (0.4, 5), "scaled_modified_bessel_k0": (0.4, 5),
    "scaled_modified_bessel_k1": (0.4, 5), "spherical_bessel_j0": (-5, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKED)
def test_derivatives(name):
    x = webtorch.tensor(np.random.default_rng(1).uniform(*CHECKED[name], 7), requires_grad=True)
    function = getattr(special, name)
    assert gradcheck(function, [x], atol=1e-6, rtol=1e-5, fast_mode=True)
    assert gradgradcheck(function, [x], atol=1e-5, rtol=1e-4, fast_mode=True)


def test_derivatives_of_two():
    x = webtorch.tensor(np.random.default_rng(2).uniform(0.5, 3, 3), requires_grad=True)
    a = x.detach() + 1
    for function in (
        lambda x: special.gammainc(a, x), lambda x: special.xlog1py(a, x), lambda x: special.polygamma(2, x),
        lambda x: special.multigammaln(x + 2, 3), lambda x: special.laguerre_polynomial_l(x, 4),
    ):  # fmt: skip
        assert gradcheck(function, [x], atol=1e-6, rtol=1e-5, fast_mode=True)
    assert gradgradcheck(lambda x: special.zeta(a, x), [x], atol=1e-5, rtol=1e-4, fast_mode=True)
    x = x.detach().requires_grad_()
    upper, lower = (webtorch.autograd.grad(f(a, x).sum(), x)[0] for f in (special.gammaincc, special.gammainc))
    assert webtorch.allclose(upper, -lower)


def test_every_name_of_pytorch_is_there():
    torch = pytest.importorskip("torch")
    helpers = {"Tensor", "torch", "common_args", "multi_dim_common"}
    named = {name for name in dir(torch.special) if not name.startswith("_")} - helpers
    assert named <= set(special.__all__) and all(callable(getattr(special, name)) for name in special.__all__)


@pytest.mark.parametrize(
    ("order", "at", "lower", "upper"),
    [  # with 40 digits, from integrals of the density
        (40000.0, 40000.0, 0.5006649038930117, 0.49933509610698834),
        (40000.0, 39200.0, 2.8449826182949428e-05, 0.999971550173817),
        (40000.0, 40400.0, 0.9769805906328154, 0.02301940936718461),
        (16777216.0, 16777216.0, 0.5000324660059028, 0.4999675339940972),
        (16777216.0, 16760832.0, 3.150817512630294e-05, 0.9999684918248737),
        (16777216.0, 16789504.0, 0.9986472151978548, 0.0013527848021452316),
        (1099511627776.0, 1099511627776.0, 0.5000001268203356, 0.4999998731796645),
        (1099511627776.0, 1099513724928.0, 0.9772498165620472, 0.022750183437952737),
        (1.2676506002282294e30, 1.2676506002282294e30, 0.5, 0.5),
        (1e30, 3e38, 1.0, 0.0),
        (3e38, 1e30, 0.0, 1.0),
    ],
)
def test_incomplete_gamma_functions_of_large_orders(order, at, lower, upper, device):
    """Around the peak, whose width is far less than the order; and where neighbouring float32 numbers skip it."""
    kinds = (webtorch.float32,) if device == "webgpu" else (webtorch.float32, webtorch.float64)
    for dtype in kinds:
        a, x = (webtorch.tensor([value], dtype=dtype, device=device) for value in (order, at))
        tolerance = 1e-5 if dtype is webtorch.float32 else 1e-11
        np.testing.assert_allclose(special.gammainc(a, x).tolist(), [lower], rtol=tolerance, atol=1e-30)
        np.testing.assert_allclose(special.gammaincc(a, x).tolist(), [upper], rtol=tolerance, atol=1e-30)
