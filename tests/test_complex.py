"""Complex numbers on both devices, against numpy; their gradients against finite differences and PyTorch's convention."""

import itertools

import numpy as np
import pytest

import webtorch as w
from webtorch.autograd import grad, gradcheck, gradgradcheck
from webtorch.errors import DTypeError, ShapeError

RANDOM = np.random.default_rng(5)
EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, -3.0, 1e-10, 20.0, 1e12, -100.0, 88.9, 3e38, -3e38, np.inf, -np.inf, np.nan)


def normal(*shape, dtype=np.complex64):
    return (RANDOM.standard_normal(shape) + 1j * RANDOM.standard_normal(shape)).astype(dtype)


def spread(count):
    """Numbers of many sizes."""
    size = np.exp(3 * RANDOM.standard_normal(count))
    return (size * np.exp(1j * RANDOM.uniform(-np.pi, np.pi, count))).astype(np.complex64)


def edges():
    pairs = np.array(list(itertools.product(EDGES, EDGES)), np.float32)
    made = np.empty(len(pairs), np.complex64)
    made.real, made.imag = pairs[:, 0], pairs[:, 1]
    return made


def put(array, device, **options):
    return w.tensor(array, device=device, **options)


def off(got, expected):
    """The largest error in ulps of the expected absolute value, where that is a finite float32."""
    expected = np.asarray(expected)
    fine = np.isfinite(expected) & (np.abs(expected) < 3e38) & (np.abs(expected) > 1e-37)
    error = np.abs(got.astype(np.complex128) - expected)[fine] / np.abs(expected)[fine]
    assert not np.isnan(error).any()
    return float(error.max(initial=0.0)) / 2**-23


def category(x):
    return np.where(np.isnan(x), 9, np.where(np.isinf(x), np.sign(x), 0))


def sgn(z):
    return z / np.abs(z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


UNARY = {  # what numpy calls it, and the ulps allowed on the gpu, on the cpu
    "neg": (np.negative, 0), "reciprocal": (np.reciprocal, 2), "square": (np.square, 2), "sqrt": (np.sqrt, 2),
    "rsqrt": (lambda z: 1 / np.sqrt(z), 3), "exp": (np.exp, 3), "expm1": (np.expm1, 4), "log": (np.log, 3),
    "log2": (np.log2, 3), "log10": (np.log10, 3), "log1p": (np.log1p, 3), "sin": (np.sin, 3), "cos": (np.cos, 3),
    "tan": (np.tan, 4), "sinh": (np.sinh, 3), "cosh": (np.cosh, 3), "tanh": (np.tanh, 4), "asin": (np.arcsin, 3),
    "acos": (np.arccos, 3), "atan": (np.arctan, 3), "asinh": (np.arcsinh, 3), "acosh": (np.arccosh, 3),
    "atanh": (np.arctanh, 3), "sgn": (sgn, 2), "abs": (np.abs, 1), "angle": (np.angle, 2), "conj": (np.conj, 0),
    "sigmoid": (sigmoid, 5), "exp2": (lambda z: 2**z, 4), "sinc": (lambda z: np.sin(np.pi * z) / (np.pi * z), 8),
    "silu": (lambda z: z * sigmoid(z), 6), "softsign": (lambda z: z / (1 + np.abs(z)), 3), "tanhshrink": (lambda z: z - np.tanh(z), 8),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name, device):
    reference, ulps = UNARY[name]
    x = np.concatenate([spread(500), normal(500)])
    if name in ("sigmoid", "silu", "sinc"):
        x = x[np.abs(x) < (4 if name == "sinc" else 25)]
    if name == "tanhshrink":  # which cancels for small numbers, as PyTorch's does
        x = x[np.abs(x) > 1]
    got = getattr(w, name)(put(x, device)).numpy()
    assert got.dtype == (np.float32 if name in ("abs", "angle") else np.complex64)
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.complex128))
    # numpy's own float32 functions are a little worse in places; a few ulps are the machine's mathematics library's.
    assert off(got, expected) <= (ulps if device == "webgpu" else max(ulps, 8))


# Where numpy itself is at odds with C's annex G, or leaves the signs of NaN and infinity open, nothing is asked.
EDGY = ["sqrt", "exp", "log", "log2", "log10", "cos", "cosh", "abs", "angle", "sgn", "conj", "neg"]


@pytest.mark.gpu
@pytest.mark.parametrize("name", EDGY)
def test_edges_on_a_gpu_are_numpys(name):
    x = edges()
    if name == "sgn":
        x = x[np.isfinite(x) & (x != 0)]
    got = getattr(w, name)(put(x, "webgpu")).numpy()
    with np.errstate(all="ignore"):
        expected = UNARY[name][0](x.astype(np.complex128))
        rounded = expected.astype(got.dtype)
    for part in ("real", "imag"):
        wrong = category(getattr(got, part)) != category(getattr(rounded, part))
        assert not wrong.any(), (x[wrong][:5], got[wrong][:5], rounded[wrong][:5])
    assert off(got, expected) <= 4


REAL_CUTS = [complex(a, b) for a in (-2.0, -0.5, 0.5, 2.0, 0.0) for b in (0.0, -0.0)]
IMAGINARY_CUTS = [complex(a, b) for a in (0.0, -0.0) for b in (-2.0, 2.0, 0.5)]
CUTS = np.array(REAL_CUTS + IMAGINARY_CUTS, np.complex64)
CUTS.imag[1:10:2] = -0.0


@pytest.mark.parametrize("name", ["sqrt", "log", "asin", "acos", "atan", "asinh", "acosh", "atanh", "angle", "log1p"])
def test_branch_cuts(name, device):
    got = getattr(w, name)(put(CUTS, device)).numpy()
    np.testing.assert_allclose(got, UNARY[name][0](CUTS.astype(np.complex128)), rtol=1e-6, atol=1e-6)


def test_tests_of_numbers(device):
    x = edges()
    z = put(x, device)
    for name in ("isnan", "isinf", "isfinite", "isreal"):
        np.testing.assert_array_equal(getattr(w, name)(z).numpy(), getattr(np, name)(x), err_msg=name)
    np.testing.assert_array_equal((z == z).numpy(), x == x)
    np.testing.assert_array_equal((z != z).numpy(), x != x)
    np.testing.assert_array_equal(z.bool().numpy(), x.astype(bool))
    np.testing.assert_array_equal(w.logical_not(z).numpy(), ~x.astype(bool))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_arithmetic(name, device):
    x, y = spread(1000), spread(1000)
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[name]
    expected = function(x.astype(np.complex128), y.astype(np.complex128))
    scale = np.abs(x) + np.abs(y) if name in ("add", "sub") else np.abs(expected)
    got = getattr(w, name)(put(x, device), put(y, device)).numpy()
    assert (np.abs(got - expected) / scale).max() < 4e-7
    real = RANDOM.standard_normal(1000).astype(np.float32)
    mixed = getattr(w, name)(put(real, device), put(y, device))
    assert mixed.dtype is w.complex64
    np.testing.assert_allclose(mixed.numpy(), function(real, y), rtol=1e-5, atol=1e-6)
    scaled = getattr(w, name)(put(real, device), 2 - 1j).numpy()
    np.testing.assert_allclose(scaled, function(real, np.complex64(2 - 1j)), rtol=1e-5, atol=1e-6)


def test_division_does_not_overflow(device):
    x = put(np.array([1e30 + 1e30j, 1e-30 + 2e-30j, 3e38 + 3e38j], np.complex64), device)
    np.testing.assert_allclose((x / x)[:2].numpy(), 1, rtol=1e-6)
    assert x.abs().isfinite().tolist() == [True, True, False]


def test_powers(device):
    x, y = normal(200), normal(200)
    z = put(x, device)
    for exponent in (0, 1, 2, 3, -1, -2, 0.5, 7, 2.5, 1 + 2j, 1j):
        expected = x.astype(np.complex128) ** exponent
        assert off((z**exponent).numpy(), expected) < 40, exponent
    assert off((z ** put(y, device)).numpy(), x.astype(np.complex128) ** y) < 40
    assert off((2**z).numpy(), 2 ** x.astype(np.complex128)) < 20
    zeros = put(np.zeros(3, np.complex64), device)
    assert (zeros ** put(np.array([0, 2, 0.5], np.complex64), device)).tolist() == [1, 0, 0]
    np.testing.assert_allclose((put(np.float32([1, 2]), device) ** 1j).numpy(), np.complex64([1, 2]) ** 1j, rtol=1e-6)


def test_blends(device):
    a, b, c = (normal(20) for _ in range(3))
    x, y, z = (put(array, device) for array in (a, b, c))
    np.testing.assert_allclose(w.lerp(x, y, 0.3).numpy(), a + 0.3 * (b - a), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(w.lerp(x, y, z).numpy(), a + c * (b - a), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(w.addcmul(x, y, z, value=2j).numpy(), a + 2j * b * c, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(w.addcdiv(x, y, z, value=2).numpy(), a + 2 * b / c, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(w.add(x, y, alpha=1 - 1j).numpy(), a + (1 - 1j) * b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(w.sub(x, y, alpha=3).numpy(), a - 3 * b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(w.where(x.real > 0, x, 1j).numpy(), np.where(a.real > 0, a, 1j))


def test_making_and_reading(device):
    z = w.tensor([1 + 2j, 3], device=device)
    assert z.dtype is w.complex64 and z.is_complex() and z.itemsize == 8 and not z.is_floating_point()
    assert z.tolist() == [1 + 2j, 3 + 0j] and z[0].item() == 1 + 2j and type(z[1].item()) is complex
    assert complex(z[0]) == 1 + 2j and float(z[1].real) == 3.0 and bool(z[0])
    assert repr(z.cpu() if device == "cpu" else z.to("cpu")).startswith("tensor([1.+2.j, 3.+0.j]")
    options = {"dtype": w.cfloat, "device": device}
    ramp = w.linspace(0, 1j, 3, device=device)
    for made in (w.zeros(2, **options), w.eye(2, **options), w.ones_like(z), w.full((2,), 1j, device=device), ramp):
        assert made.dtype is w.complex64
    assert w.full((2,), 1j, device=device).tolist() == [1j, 1j]
    with pytest.warns(UserWarning, match="discards the imaginary part"):
        assert z.to(w.float32).tolist() == [1.0, 3.0]
    assert z.real.to(w.complex64).tolist() == [1, 3]
    assert w.tensor([1, 2], device=device).to(w.complex64).tolist() == [1, 2]
    np.testing.assert_array_equal(w.from_numpy(np.array([1j, 2])).numpy(), np.array([1j, 2]))
    assert w.tensor(np.array([1j])).dtype is w.complex128


def test_the_default_dtype_decides():
    w.set_default_dtype(w.float64)
    try:
        assert w.tensor(1j).dtype is w.complex128 and (w.ones(1) * 1j).dtype is w.complex128
    finally:
        w.set_default_dtype(w.float32)
    assert (w.ones(1) * 1j).dtype is w.complex64


@pytest.mark.gpu
def test_double_parts_are_for_the_cpu():
    for make in (
        lambda: w.tensor([1j], dtype=w.complex128, device="webgpu"),
        lambda: w.tensor([1j], device="webgpu").to(w.complex128),
        lambda: w.zeros(2, dtype=w.complex128, device="webgpu"),
    ):
        with pytest.raises(DTypeError, match="complex64"):
            make()


# ---- parts ----------------------------------------------------------------------------------------------------------


def test_parts_share_memory(device):
    x = normal(4, 3)
    z = put(x, device)
    z.real.add_(1)
    z.imag[0] = 7
    z.T.imag.mul_(2)
    parts = w.view_as_real(z)
    parts[1, 1, 0] = -5
    z[2] = 1j
    expected = x.copy()
    expected.real += 1
    expected.imag[0] = 7
    expected.imag *= 2
    expected.real[1, 1] = -5
    expected[2] = 1j
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(parts.numpy(), np.stack([expected.real, expected.imag], -1), rtol=1e-6)
    z.real = w.zeros(4, 3, device=device)
    assert z.real.abs().sum().item() == 0 and parts.shape == (4, 3, 2)


def test_pairs_share_memory(device):
    x = RANDOM.standard_normal((3, 4, 2)).astype(np.float32)
    parts = put(x, device)
    z = w.view_as_complex(parts)
    np.testing.assert_array_equal(z.numpy(), x[..., 0] + 1j * x[..., 1])
    z[1] *= 1j
    parts[0, 0, 0] = 9
    assert z[0, 0].real.item() == 9
    np.testing.assert_allclose(parts[1].numpy(), np.stack([-x[1, :, 1], x[1, :, 0]], -1))
    odd = put(np.arange(7, dtype=np.float32), device)
    w.view_as_complex(odd[:6].view(3, 2)).mul_(10)
    assert odd.tolist() == [0, 10, 20, 30, 40, 50, 6]


def test_old_values_stay_what_they_were(device):
    z = put(np.array([1 + 2j, 3 + 4j], np.complex64), device)
    doubled, parts = z * 2, z.real + 0
    z.real.zero_()
    assert doubled.tolist() == [2 + 4j, 6 + 8j] and parts.tolist() == [1, 3] and z.tolist() == [2j, 4j]


def test_making_of_parts(device):
    x, y = RANDOM.standard_normal((2, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(w.complex(put(x, device), put(y, device)).numpy(), x + 1j * y)
    expected = x * np.exp(1j * y.astype(np.float64))
    np.testing.assert_allclose(w.polar(put(x, device), put(y, device)).numpy(), expected, rtol=1e-6, atol=1e-6)
    infinite = w.complex(w.tensor([np.inf], device=device), w.tensor([1.0], device=device))
    assert infinite.real.item() == np.inf and infinite.imag.item() == 1
    z = put(x + 1j * y, device)
    assert z.conj().imag.tolist() == (-z.imag).tolist() and not z.is_conj() and z.resolve_conj() is z
    np.testing.assert_array_equal(z.mH.numpy(), np.conj((x + 1j * y).astype(np.complex64)).T)
    np.testing.assert_array_equal(z.adjoint().numpy(), z.H.numpy())


@pytest.mark.parametrize(
    "call, kind, match",
    [
        (lambda: w.view_as_complex(w.zeros(3)), ShapeError, "last dimension of size 2"),
        (lambda: w.view_as_complex(w.tensor(1.0)), ShapeError, "one or more dimensions"),
        (lambda: w.view_as_complex(w.zeros(2, 3).T[:, :2]), ShapeError, "stride 1"),
        (lambda: w.view_as_complex(w.zeros(2, 3)[:, :2]), ShapeError, "divisible by 2"),
        (lambda: w.view_as_complex(w.zeros(5)[1:3]), ShapeError, "storage_offset divisible by 2"),
        (lambda: w.view_as_complex(w.zeros(2, dtype=w.int32)), DTypeError, "float32 and float64"),
        (lambda: w.view_as_real(w.zeros(2)), DTypeError, "only supported for complex"),
        (lambda: w.imag(w.zeros(2)), DTypeError, "non-complex"),
        (lambda: w.complex(w.zeros(2), w.zeros(2, dtype=w.float64)), DTypeError, "one dtype"),
        (lambda: w.complex(w.zeros(2, dtype=w.int32), w.zeros(2, dtype=w.int32)), DTypeError, "float32 or float64"),
        (lambda: w.zeros(2).add_(1j), DTypeError, "can't be cast"),
        (lambda: w.tensor([1j], dtype=w.float32), DTypeError, "cannot be converted"),
        (lambda: w.full((2,), 1j, dtype=w.float32), DTypeError, "cannot be converted"),
        (lambda: w.add(w.zeros(2), 1, alpha=1j), DTypeError, "alpha"),
        (lambda: w.arange(3, dtype=w.complex64), DTypeError, "complex"),
        (lambda: float(w.tensor(1 + 2j)), TypeError, "complex"),
        (lambda: w.tensor([1j], requires_grad=True).sum().backward(), RuntimeError, "real scalar outputs"),
    ],
)
def test_bad_input(call, kind, match):
    with pytest.raises(kind, match=match):
        call()


REFUSED = (
    "sign ceil floor trunc frac round erf erfc lgamma digamma relu relu6 gelu softplus logit signbit isposinf isneginf "
    "amax amin argmax argmin max min median sort argsort cummax cummin nansum bitwise_not deg2rad rad2deg"
).split()


@pytest.mark.parametrize("name", REFUSED)
def test_what_complex_numbers_have_not(name, device):
    z = put(normal(3), device)
    function = getattr(w, name, None) or getattr(w.nn.functional, name)
    arguments = (0,) if name in ("cummax", "cummin") else ()
    with pytest.raises((DTypeError, TypeError, RuntimeError)):
        function(z, *arguments)


@pytest.mark.parametrize(
    "name", "lt le gt ge maximum minimum fmax fmin atan2 fmod remainder floor_divide hypot clamp_min".split()
)
def test_what_pairs_of_complex_numbers_have_not(name, device):
    z = put(normal(3), device)
    with pytest.raises(DTypeError, match="complex"):
        getattr(w, name)(z, z)


# ---- folds, products, memory ----------------------------------------------------------------------------------------


def test_folds(device):
    x = normal(6, 1100)
    z = put(x, device)
    wide = x.astype(np.complex128)
    np.testing.assert_allclose(z.sum().numpy(), wide.sum(), rtol=1e-5)
    np.testing.assert_allclose(z.sum(1).numpy(), wide.sum(1), rtol=1e-5)
    np.testing.assert_allclose(z.T.mean(0).numpy(), wide.mean(1), rtol=1e-5)
    np.testing.assert_allclose(z.prod(0).numpy(), wide.prod(0), rtol=1e-4)
    np.testing.assert_allclose(z.cumsum(1).numpy(), wide.cumsum(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(z[:, :20].cumprod(1).numpy(), wide[:, :20].cumprod(1), rtol=1e-4)
    np.testing.assert_allclose(z.std().item(), wide.std(ddof=1), rtol=1e-5)
    np.testing.assert_allclose(z.var(1).numpy(), wide.var(1, ddof=1), rtol=1e-5)
    assert z.std().dtype is w.float32
    assert (z.any().item(), z.all().item(), w.count_nonzero(z).item()) == (True, True, 6600)
    assert put(x[:0], device).sum(0).tolist() == [0] * 1100


PRODUCTS = {
    "square": ((5, 7), (7, 3)), "batches": ((2, 5, 7), (2, 7, 3)), "broadcast": ((2, 1, 5, 7), (3, 7, 3)),
    "larger": ((33, 65), (65, 40)), "vectors": ((7,), (7,)), "matrix vector": ((4, 7), (7,)), "vector matrix": ((4,), (4, 7)),
    "nothing inside": ((3, 0), (0, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, device):
    a, b = (normal(*shape) for shape in PRODUCTS[name])
    got = (put(a, device) @ put(b, device)).numpy()
    expected = a.astype(np.complex128) @ b.astype(np.complex128)
    assert got.dtype == np.complex64 and got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-5)


def test_other_products(device):
    a, b, c = normal(4, 5), normal(4, 6), normal(5, 3)
    x, y = put(a, device), put(b, device)
    np.testing.assert_allclose((x.mH @ (y * 2j)).numpy(), a.conj().T @ (2j * b), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(w.einsum("ij,ik->jk", x, y).numpy(), a.T @ b, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(w.vdot(x[0], x[1]).item(), np.vdot(a[0], a[1]), rtol=1e-5)
    np.testing.assert_allclose(w.dot(x[0], x[1]).item(), a[0] @ a[1], rtol=1e-5)
    np.testing.assert_allclose(w.outer(x[0], y[0]).numpy(), np.outer(a[0], b[0]), rtol=1e-5, atol=1e-6)
    added = w.addmm(y[:, :3], x, put(c, device), beta=1j, alpha=2)
    np.testing.assert_allclose(added.numpy(), 1j * b[:, :3] + 2 * a @ c, rtol=1e-5, atol=2e-5)


def test_memory(device):
    x = normal(4, 6)
    z = put(x, device)
    index = w.tensor([2, 0, 2], device=device)
    np.testing.assert_array_equal(w.cat([z, z[:1]]).numpy(), np.concatenate([x, x[:1]]))
    np.testing.assert_array_equal(w.stack([z, z], 1).numpy(), np.stack([x, x], 1))
    np.testing.assert_array_equal(z.flip(0).T[1:, ::2].contiguous().numpy(), x[::-1].T[1:, ::2])
    np.testing.assert_array_equal(z[index].numpy(), x[[2, 0, 2]])
    np.testing.assert_array_equal(z.roll(1, 0).numpy(), np.roll(x, 1, 0))
    np.testing.assert_array_equal(z.tril().numpy(), np.tril(x))
    np.testing.assert_array_equal(z[z.real > 0].numpy(), x[x.real > 0])
    np.testing.assert_array_equal(z.gather(0, index.expand(6, 3).T).numpy(), x[[2, 0, 2]])
    added = x.copy()
    np.add.at(added, [2, 0, 2], x[:3])
    np.testing.assert_allclose(z.index_add(0, index, z[:3]).numpy(), added, rtol=1e-6)
    np.testing.assert_allclose(z.scatter_add(0, index.expand(6, 3).T, z[:3]).numpy(), added, rtol=1e-6)
    written = z.clone()
    written[1:3, 2:] = 5 - 1j
    x[1:3, 2:] = 5 - 1j
    np.testing.assert_array_equal(written.numpy(), x)
    assert w.equal(written, written.clone()) and w.allclose(written, written + 1e-9) and not w.equal(z, written)
    assert w.isclose(z, z + 1e-9j).all().item()


# ---- gradients ------------------------------------------------------------------------------------------------------

FUNCTIONS = {
    **{name: getattr(w, name) for name in UNARY},
    "mul": lambda z: z * z.flip(0), "div": lambda z: z / z.flip(0), "pow": lambda z: z ** z.flip(0), "cube": lambda z: z**3,
    "power 2.5": lambda z: z**2.5, "base 2": lambda z: 2**z, "scalar": lambda z: z * (1 - 2j), "real": lambda z: z.real * 2,
    "imag": lambda z: z.imag * z.real, "parts": lambda z: w.view_as_real(z) * 3,
    "pairs": lambda z: w.view_as_complex(w.view_as_real(z) * 2) * 1j,
    "sum": lambda z: z.sum() * z, "mean": lambda z: z.mean() * z, "prod": lambda z: z.prod(), "cumsum": lambda z: z.cumsum(0),
    "cumprod": lambda z: z.cumprod(0), "matmul": lambda z: z.reshape(2, 2) @ z.reshape(2, 2).T.conj(), "std": lambda z: z.std(),
    "where": lambda z: w.where(z.real > 0, z, 2j * z), "index": lambda z: z[[0, 2, 0]] * z[0], "cat": lambda z: w.cat([z, z * 1j]),
    "polar": lambda z: w.polar(z.real, z.imag), "complex": lambda z: w.complex(z.imag, z.real) * z,
    "to": lambda z: z.real.to(w.complex128) * 2j,
    "lerp": lambda z: w.lerp(z, z * z, 0.3 + 0.2j), "addcmul": lambda z: w.addcmul(z, z, z, value=2j), "vdot": lambda z: w.vdot(z, z * z),
    "write": lambda z: written(z), "write parts": lambda z: written_parts(z),
}  # fmt: skip


def written(z):
    y = z * 2
    y[1:3] = z[:2] * z[2:]
    return y


def written_parts(z):
    y = z * 2
    y.imag[1:3] = z.real[:2] * z.imag[2:]
    return y * y


POINTS = np.array([0.5 + 0.25j, -0.3 + 0.6j, 0.4 - 0.8j, -0.7 - 0.45j])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name):
    z = w.tensor(POINTS, requires_grad=True)
    forward = not name.startswith("write")
    assert gradcheck(FUNCTIONS[name], (z,), check_forward_ad=forward)
    assert gradgradcheck(FUNCTIONS[name], (z,))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.gpu
def test_gradients_on_a_gpu_are_those_of_the_cpu(name):
    function = FUNCTIONS[name] if name != "to" else lambda z: z.real.to(w.complex64) * 2j
    found = []
    for device in ("cpu", "webgpu"):
        z = w.tensor(POINTS.astype(np.complex64), device=device, requires_grad=True)
        out = function(z)
        weight = np.linspace(1, 2, max(out.numel(), 1), dtype=np.float32).reshape(out.shape)
        weight = weight * np.complex64(1 - 0.5j) if out.is_complex() else weight
        (gradient,) = grad(out, z, w.tensor(weight, device=device))
        found.append(gradient.detach().numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=2e-4, atol=2e-4)


def test_the_convention_is_pytorchs(device):
    z = w.tensor([1 + 2j], device=device, requires_grad=True)
    z.abs().square().sum().backward()  # a real loss falls fastest against its gradient: here 2z
    np.testing.assert_allclose(z.grad.numpy(), [2 + 4j], rtol=1e-6)
    x = w.tensor([3.0], device=device, requires_grad=True)
    ((x * (1 + 1j)).abs() ** 2).sum().backward()
    assert x.grad.dtype is w.float32
    np.testing.assert_allclose(x.grad.numpy(), [12.0], rtol=1e-6)


# ---- elsewhere ------------------------------------------------------------------------------------------------------


def test_random_numbers(device):
    w.manual_seed(3)
    z = w.randn(20000, dtype=w.complex64, device=device)
    x = z.numpy()
    assert abs(x.mean()) < 0.02 and abs((np.abs(x) ** 2).mean() - 1) < 0.03 and abs((x.real * x.imag).mean()) < 0.02
    u = w.rand(20000, dtype=w.complex64, device=device).numpy()
    assert (
        u.real.min() >= 0 and u.imag.max() < 1 and abs(u.real.mean() - 0.5) < 0.02 and abs(u.imag.mean() - 0.5) < 0.02
    )
    z.normal_(2.0, 3.0)
    assert abs(z.mean().item() - 2) < 0.1 and abs(z.std().item() - 3) < 0.1
    z.uniform_(1.0, 2.0)
    assert z.real.min().item() >= 1 and z.imag.max().item() <= 2
    assert w.randn_like(z).dtype is w.complex64


@pytest.mark.gpu
def test_random_numbers_are_the_same_everywhere():
    drawn = []
    for device in ("cpu", "webgpu"):
        w.manual_seed(7)
        drawn.append(w.randn(1000, dtype=w.complex64, device=device).numpy())
    np.testing.assert_allclose(drawn[0], drawn[1], rtol=1e-6)


def test_vmap_over_complex_numbers(device):
    x = normal(3, 4)
    z = w.tensor(x, device=device)
    np.testing.assert_allclose(w.vmap(lambda row: row.real * row.imag)(z).numpy(), x.real * x.imag, rtol=1e-6)
    np.testing.assert_allclose(w.vmap(lambda row: w.view_as_real(row).sum(-1))(z).numpy(), x.real + x.imag, rtol=1e-5)
    pairs = w.view_as_real(z).contiguous()
    np.testing.assert_allclose(w.vmap(lambda row: w.view_as_complex(row) * 1j)(pairs).numpy(), x * 1j, rtol=1e-6)
    np.testing.assert_allclose(w.vmap(w.vdot)(z, z).numpy(), (np.abs(x) ** 2).sum(1), rtol=1e-5)


def test_transforms_of_functions(device):
    z = w.tensor(POINTS.astype(np.complex64), device=device)
    gradient = w.func.grad(lambda z: (z.abs() ** 2).sum())(z)
    np.testing.assert_allclose(gradient.numpy(), 2 * POINTS, rtol=1e-5)
    value, tangent = w.func.jvp(lambda z: z * z, (z,), (w.ones_like(z) * 1j,))
    np.testing.assert_allclose(tangent.numpy(), 2j * POINTS, rtol=1e-5)


def test_shapes_without_values():
    z = w.zeros(3, 4, dtype=w.complex64, device="meta")
    assert (z @ z.mH).shape == (3, 3) and z.real.dtype is w.float32 and w.view_as_real(z).shape == (3, 4, 2)
    assert w.fft.rfft(z.real).shape == (3, 3) and w.fft.irfft(z, n=7).shape == (3, 7) and z.abs().dtype is w.float32


def test_statistics(device):
    x = normal(3, 8)
    z = w.tensor(x, device=device)
    np.testing.assert_allclose(w.cov(z).numpy(), np.cov(x.astype(np.complex128)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(w.corrcoef(z).numpy(), np.corrcoef(x.astype(np.complex128)), rtol=1e-4, atol=1e-5)
    for p in (1, 2, 3, float("inf")):
        expected = np.linalg.norm(x.reshape(-1).astype(np.complex128), p)
        np.testing.assert_allclose(z.norm(p).item(), expected, rtol=1e-5)
    assert z.norm().dtype is w.float32
    np.testing.assert_allclose(w.dist(z[0], z[1]).item(), np.linalg.norm(x[0] - x[1]), rtol=1e-5)
    np.testing.assert_allclose(w.trapezoid(z[0]).item(), np.trapezoid(x[0]), rtol=1e-5)


def test_copies_and_pickles(device):
    import copy
    import pickle

    z = w.tensor(normal(3), device=device, requires_grad=True)
    for other in (copy.deepcopy(z), pickle.loads(pickle.dumps(z))):
        assert other.dtype is w.complex64 and w.equal(other, z) and other.requires_grad
    assert z.detach().type() == "webtorch.ComplexFloatTensor"


def log_of_sum(x, y):
    """By the definition of numpy's functions, on the branch next to the one with the larger real part."""
    high = np.where(x.real >= y.real, x, y)
    return high + np.log(np.exp(x - high) + np.exp(y - high))


def test_logarithms_of_sums(device):
    x, y = normal(40) * 30, normal(40) * 30
    got = w.logaddexp(put(x, device), put(y, device)).numpy()
    np.testing.assert_allclose(got, log_of_sum(x.astype(complex), y.astype(complex)), rtol=1e-5, atol=1e-5)
    got = w.logsumexp(put(x.reshape(4, 10), device), 1).numpy()
    wide = x.reshape(4, 10).astype(complex)
    np.testing.assert_allclose(
        np.exp(got - wide.real.max(1)), np.exp(wide - wide.real.max(1, keepdims=True)).sum(1), rtol=1e-4, atol=1e-5
    )
    assert (np.abs(w.logsumexp(put(normal(6, 5), device), (0, 1)).numpy().imag) <= np.pi).all()
    got = w.logcumsumexp(put(x / 10, device), 0).numpy()
    np.testing.assert_allclose(np.exp(got), np.cumsum(np.exp(x.astype(complex) / 10)), rtol=1e-4)
    low = put(np.array([complex(-np.inf, 1)], np.complex64), device)
    assert w.logaddexp(low, low).real.item() == -np.inf and w.logsumexp(low, 0).real.item() == -np.inf


def test_nan_and_infinities_are_replaced(device):
    x = edges()
    got = w.nan_to_num(put(x, device), 7.0, 8.0, 9.0).numpy()
    np.testing.assert_array_equal(got, np.nan_to_num(x, nan=7.0, posinf=8.0, neginf=9.0))
    assert np.isfinite(w.nan_to_num(put(x, device)).numpy()).all()


def test_powers_of_two(device):
    x, y = normal(20), normal(20) * 5
    got = w.ldexp(put(x, device), put(y, device)).numpy()
    np.testing.assert_allclose(got, x * 2.0 ** y.astype(complex), rtol=1e-5, atol=1e-6)
    limits = np.array(
        [complex(-np.inf, np.inf), complex(-np.inf, 1), complex(np.inf, 0), complex(np.inf, 1)], np.complex64
    )
    got = w.exp2(put(limits, device)).numpy()
    np.testing.assert_array_equal(got, [0, 0, complex(np.inf, 0), complex(np.inf, np.inf)])


@pytest.mark.parametrize(
    "function", [w.exp2, w.sinc, w.nn.functional.silu, w.softsign, w.tanhshrink, w.sigmoid, w.nan_to_num, lambda z: w.logsumexp(z, 0),
                 lambda z: w.logcumsumexp(z, 0), lambda z: w.logaddexp(z, z.flip(0) * 1j), lambda z: w.ldexp(z, z)]
)  # fmt: skip
def test_gradients_of_what_pytorch_has_for_complex_numbers(function):
    z = w.tensor(normal(5, dtype=np.complex128), device="cpu", requires_grad=True)
    assert gradcheck(function, [z], fast_mode=True) and gradgradcheck(function, [z], fast_mode=True, atol=1e-4)
