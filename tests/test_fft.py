"""Fourier transforms on both devices, against numpy's in double precision and, for the short-time ones, PyTorch's."""

import numpy as np
import pytest

import webtorch as w
from webtorch.autograd import grad, gradcheck, gradgradcheck
from webtorch.errors import DTypeError, ShapeError

RANDOM = np.random.default_rng(11)
LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 30, 60, 61, 97, 121, 128, 1000, 1009, 4096)
NORMS = ("backward", "ortho", "forward", None)


def real(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def normal(*shape):
    return (real(*shape) + 1j * real(*shape)).astype(np.complex64)


def check(got, expected, ulps=4.0):
    """Errors against the root mean square of the result, in float32 ulps."""
    expected = np.asarray(expected)
    kind = np.complex64 if np.iscomplexobj(expected) else np.float32
    assert got.dtype == kind and got.shape == expected.shape
    size = np.sqrt((np.abs(expected) ** 2).mean()) if expected.size else 1.0
    error = np.abs(got - expected).max(initial=0.0) / max(size, 1e-30) / 2**-23
    assert error <= ulps, error


def double(x):
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length(length, device):
    ulps = 3 + 2 * np.log2(length)
    x, y = normal(3, length), real(2, length)
    z = w.tensor(x, device=device)
    check(w.fft.fft(z).numpy(), np.fft.fft(double(x)), ulps)
    check(w.fft.ifft(z).numpy(), np.fft.ifft(double(x)), ulps)
    check(w.fft.rfft(w.tensor(y, device=device)).numpy(), np.fft.rfft(double(y)), ulps)
    half = w.tensor(x[:, : length // 2 + 1], device=device)
    check(w.fft.irfft(half, n=length).numpy(), np.fft.irfft(double(x[:, : length // 2 + 1]), n=length), ulps)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
@pytest.mark.parametrize("norm", NORMS)
def test_lengths_dims_and_norms(name, norm, device):
    x = real(4, 6, 5) if name in ("rfft", "ihfft") else normal(4, 6, 5)
    z = w.tensor(x, device=device)
    for n in (None, 4, 6, 9):
        for dim in (-1, 0, 1):
            got = getattr(w.fft, name)(z, n=n, dim=dim, norm=norm).numpy()
            check(got, getattr(np.fft, name)(double(x), n=n, axis=dim, norm=norm), 8)


SEVERAL = [
    ("fftn", {}), ("fftn", {"axes": (0, 2)}), ("fftn", {"s": (3, 7), "axes": (2, 1)}), ("ifftn", {"norm": "ortho"}),
    ("fft2", {}), ("ifft2", {"axes": (0, 1)}), ("rfftn", {}), ("rfftn", {"axes": (2, 0), "s": (4, 6)}), ("irfftn", {}),
    ("irfftn", {"s": (5, 4, 7), "axes": (0, 1, 2)}), ("rfft2", {"norm": "forward"}), ("irfft2", {}),
]  # fmt: skip


@pytest.mark.parametrize("name, options", SEVERAL)
def test_several_dimensions(name, options, device):
    x = real(4, 5, 6) if name.startswith("rfft") else normal(4, 5, 6)
    mine = {{"axes": "dim"}.get(key, key): value for key, value in options.items()}
    got = getattr(w.fft, name)(w.tensor(x, device=device), **mine).numpy()
    check(got, getattr(np.fft, name)(double(x), **options), 12)


def test_hermitian_over_several_dimensions(device):
    x, y = normal(3, 4, 5), real(3, 4, 5)
    z = w.tensor(x, device=device)
    check(w.fft.hfftn(z).numpy(), np.fft.irfftn(np.conj(double(x)), s=(3, 4, 8), axes=(0, 1, 2), norm="forward"), 12)
    check(w.fft.hfft2(z, s=(6, 7)).numpy(), np.fft.irfft2(np.conj(double(x)), s=(6, 7), norm="forward"), 12)
    t = w.tensor(y, device=device)
    check(w.fft.ihfftn(t).numpy(), np.conj(np.fft.rfftn(double(y), norm="forward")), 12)
    check(w.fft.ihfft2(t).numpy(), np.conj(np.fft.rfft2(double(y), norm="forward")), 12)


def test_the_namespace_is_a_function(device):
    x = w.tensor(normal(8), device=device)
    assert w.equal(w.fft(x), w.fft.fft(x)) and w.equal(w.fft(x, 4, norm="ortho"), w.fft.fft(x, n=4, norm="ortho"))
    assert w.equal(w.ifft(x), w.fft.ifft(x)) and w.equal(w.irfft(x), w.fft.irfft(x))
    assert w.equal(w.rfft(x.real), w.fft.rfft(x.real))


def test_dtypes():
    for given, found in (
        (w.float32, w.complex64),
        (w.float64, w.complex128),
        (w.int64, w.complex64),
        (w.bool, w.complex64),
    ):
        assert w.fft.fft(w.ones(4, dtype=given)).dtype is found
    assert w.fft.irfft(w.ones(3, dtype=w.complex128)).dtype is w.float64
    x = RANDOM.standard_normal(100) + 1j
    np.testing.assert_allclose(w.fft.fft(w.tensor(x)).numpy(), np.fft.fft(x), rtol=1e-13, atol=1e-13)


def test_layouts_and_fusion(device):
    x = normal(6, 8)
    z = w.tensor(x, device=device)
    check(w.fft.fft(z.T[1:, ::2]).numpy(), np.fft.fft(double(x).T[1:, ::2]), 8)
    check((w.fft.ifft(w.fft.fft(z) * 2j) + 1).numpy(), 2j * double(x) + 1, 8)
    out = w.empty(6, 8, dtype=w.complex64, device=device)
    assert w.fft.fft(z, out=out) is out
    check(out.numpy(), np.fft.fft(double(x)), 8)
    rows = w.vmap(lambda row: w.fft.fft(row))(z)
    check(rows.numpy(), np.fft.fft(double(x)), 8)


@pytest.mark.gpu
def test_one_kernel_for_each_factor():
    x = w.tensor(real(4, 64), device="webgpu")
    with w.debug.kernels() as kernels:
        (w.fft.fft(x * 2 + 1) * 0.5).numpy()
    assert len(kernels) == 2  # 8 * 8: the conversion and the arithmetic are computed in them


def test_shifts_and_frequencies(device):
    for n in (1, 4, 5):
        assert w.fft.fftfreq(n, 0.5, device=device).tolist() == np.fft.fftfreq(n, 0.5).astype(np.float32).tolist()
        assert w.fft.rfftfreq(n, 0.5, device=device).tolist() == np.fft.rfftfreq(n, 0.5).astype(np.float32).tolist()
    x = np.arange(30).reshape(5, 6)
    t = w.tensor(x, device=device, dtype=w.int32)
    for dim in (None, 0, 1, (0, 1)):
        np.testing.assert_array_equal(w.fft.fftshift(t, dim).numpy(), np.fft.fftshift(x, dim))
        np.testing.assert_array_equal(w.fft.ifftshift(t, dim).numpy(), np.fft.ifftshift(x, dim))


@pytest.mark.parametrize(
    "call, kind, match",
    [
        (lambda: w.fft.fft(w.ones(4, dtype=w.float16)), DTypeError, "float16"),
        (lambda: w.fft.fft(w.ones(4), n=0), ShapeError, "Invalid number of data points"),
        (lambda: w.fft.fft(w.ones(0)), ShapeError, "Invalid number of data points"),
        (lambda: w.fft.irfft(w.ones(1)), ShapeError, "Invalid number of data points"),
        (lambda: w.fft.fft(w.ones(4), dim=1), IndexError, "out of range"),
        (lambda: w.fft.fft(w.tensor(1.0)), ShapeError, "no dimensions"),
        (lambda: w.fft.rfft(w.ones(4, dtype=w.complex64)), DTypeError, "expects a real input"),
        (lambda: w.fft.ihfft(w.ones(4, dtype=w.complex64)), DTypeError, "expects a real input"),
        (lambda: w.fft.fft(w.ones(4), norm="none"), ValueError, "Invalid normalization mode"),
        (lambda: w.fft.fftn(w.ones(4, 4), dim=(0, 0)), ShapeError, "must be unique"),
        (lambda: w.fft.fftn(w.ones(4, 4), s=(2,), dim=(0, 1)), ShapeError, "same length"),
        (lambda: w.fft.fftn(w.ones(4), s=(2, 2)), ShapeError, "only has 1 dimensions"),
        (lambda: w.fft.fftfreq(4, dtype=w.int32), DTypeError, "floating point"),
        (lambda: w.fft.fft(3), TypeError, "expected a Tensor"),
    ],
)
def test_bad_input(call, kind, match):
    with pytest.raises(kind, match=match):
        call()


GRADIENTS = {
    "fft": lambda z: w.fft.fft(z, n=6), "ifft": lambda z: w.fft.ifft(z, n=3, norm="ortho"), "rfft": lambda z: w.fft.rfft(z.real, n=7),
    "irfft": lambda z: w.fft.irfft(z, n=7), "even irfft": lambda z: w.fft.irfft(z), "hfft": lambda z: w.fft.hfft(z),
    "ihfft": lambda z: w.fft.ihfft(z.imag), "fftn": lambda z: w.fft.fftn(z.reshape(2, 2)) ** 2, "power": lambda z: w.fft.fft(z).abs() ** 2,
    "irfftn": lambda z: w.fft.irfftn(z.reshape(2, 2), s=(2, 3)), "large prime": lambda z: w.fft.fft(z, n=67)[:5],
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    z = w.tensor(RANDOM.standard_normal(4) + 1j * RANDOM.standard_normal(4), requires_grad=True)
    assert gradcheck(GRADIENTS[name], (z,), check_forward_ad=True)
    assert gradgradcheck(GRADIENTS[name], (z,))


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.gpu
def test_gradients_on_a_gpu_are_those_of_the_cpu(name):
    x, found = normal(4), []
    for device in ("cpu", "webgpu"):
        z = w.tensor(x, device=device, requires_grad=True)
        (gradient,) = grad(GRADIENTS[name](z).abs().sum(), z)
        found.append(gradient.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-4)


# ---- short-time transforms ------------------------------------------------------------------------------------------

SPECTRA = [
    {"n_fft": 16}, {"n_fft": 16, "hop_length": 5, "window": 16}, {"n_fft": 16, "win_length": 10, "window": 10},
    {"n_fft": 15, "hop_length": 4, "center": False}, {"n_fft": 16, "normalized": True, "pad_mode": "constant"},
    {"n_fft": 16, "onesided": False, "window": 16}, {"n_fft": 16, "hop_length": 20},
    {"n_fft": 16, "win_length": 7, "center": False, "align_to_window": True},
]  # fmt: skip


def options_for(given, make):
    options = dict(given, return_complex=True)
    if "window" in given:
        options["window"] = make(np.hanning(given["window"]).astype(np.float32) + np.float32(0.1))
    return options


def frames_of(x, given):
    """The transforms by the definition."""
    n_fft = given["n_fft"]
    hop, length = given.get("hop_length", n_fft // 4), given.get("win_length", n_fft)
    shape = np.zeros(n_fft)
    start = (n_fft - length) // 2
    shape[start : start + length] = np.hanning(length) + 0.1 if "window" in given else 1
    if given.get("center", True):
        x = np.pad(x, (n_fft // 2, n_fft // 2), mode=given.get("pad_mode", "reflect"))
    elif given.get("align_to_window"):
        x = np.pad(x, (start, n_fft - length - start))
    frames = [x[at : at + n_fft] * shape for at in range(0, len(x) - n_fft + 1, hop)]
    norm = "ortho" if given.get("normalized") else None
    return (np.fft.rfft if given.get("onesided", True) else np.fft.fft)(frames, norm=norm).T


@pytest.mark.parametrize("given", SPECTRA, ids=str)
def test_short_time_transforms(given, device):
    x = real(2, 70)
    options = options_for(given, lambda window: w.tensor(window, device=device))
    got = w.stft(w.tensor(x, device=device), **options)
    check(got.numpy(), np.stack([frames_of(double(row), given) for row in x]), 12)
    check(w.tensor(x[0], device=device).stft(**options).numpy(), frames_of(double(x[0]), given), 12)


@pytest.mark.parametrize(
    "given", [each for each in SPECTRA if each.get("hop_length") != 20 and "align_to_window" not in each], ids=str
)
def test_the_way_back(given, device):
    x = real(2, 70)
    options = options_for(given, lambda window: w.tensor(window, device=device))
    spectra = w.stft(w.tensor(x, device=device), **options)
    for name in ("pad_mode", "return_complex"):
        options.pop(name, None)
    got = w.istft(spectra, **options).numpy()
    np.testing.assert_allclose(got, x[:, : got.shape[1]], atol=2e-5)
    assert got.shape[1] >= 60
    short = w.istft(spectra[0], length=50, **options).numpy()
    np.testing.assert_allclose(short, x[0, :50], atol=2e-5)


@pytest.mark.parametrize("given", SPECTRA, ids=str)
def test_short_time_transforms_are_pytorchs(given):
    torch = pytest.importorskip("torch")
    x = real(2, 70)
    expected = torch.stft(torch.from_numpy(x), **options_for(given, torch.from_numpy))
    got = w.stft(w.tensor(x), **options_for(given, w.tensor))
    np.testing.assert_allclose(got.numpy(), expected.numpy(), atol=2e-5)


def test_complex_signals(device):
    x = normal(60)
    z = w.tensor(x, device=device)
    spectra = w.stft(z, 16, 4)
    assert spectra.shape[0] == 16
    back = w.istft(spectra, 16, 4, onesided=False, return_complex=True)
    np.testing.assert_allclose(back.numpy(), x[: len(back)], atol=2e-5)


def test_padding_to_a_length(device):
    spectra = w.stft(w.tensor(real(64), device=device), 16, return_complex=True)
    with pytest.warns(UserWarning, match="padded with zeros"):
        longer = w.istft(spectra, 16, length=100)
    assert longer.shape == (100,) and longer[-10:].abs().sum().item() == 0


def test_gradients_of_short_time_transforms(device):
    kind = w.float64 if device == "cpu" else w.float32
    window = w.hann_window(8, dtype=kind, device=device)
    x = w.tensor(RANDOM.standard_normal(20), dtype=kind, device=device, requires_grad=True)

    def there(signal):
        return w.stft(signal, 8, 3, window=window, return_complex=True)

    def back(signal):
        return w.istft(there(signal) * 2, 8, 3, window=window, length=16)

    if device == "cpu":
        assert (
            gradcheck(there, (x,)) and gradcheck(back, (x,)) and gradgradcheck(lambda signal: there(signal).abs(), (x,))
        )
        return
    (gradient,) = grad(back(x).square().sum(), x)
    twice = 2 * back(x).detach() * 2
    np.testing.assert_allclose(gradient.numpy()[:12], twice.numpy()[:12], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "call, kind, match",
    [
        (lambda: w.stft(w.ones(20), 8), RuntimeError, "return_complex"),
        (lambda: w.stft(w.ones(20, dtype=w.int32), 8, return_complex=True), DTypeError, "floating point or complex"),
        (lambda: w.stft(w.ones(2, 2, 20), 8, return_complex=True), ShapeError, "1D or 2D"),
        (lambda: w.stft(w.ones(20), 30, center=False, return_complex=True), ShapeError, "0 < n_fft"),
        (lambda: w.stft(w.ones(20), 8, 0, return_complex=True), ShapeError, "hop_length > 0"),
        (lambda: w.stft(w.ones(20), 8, win_length=9, return_complex=True), ShapeError, "win_length <= n_fft"),
        (lambda: w.stft(w.ones(20), 8, window=w.ones(5), return_complex=True), ShapeError, "1D window tensor"),
        (lambda: w.stft(w.ones(20) * 1j, 8, onesided=True), ShapeError, "onesided"),
        (lambda: w.istft(w.ones(5, 4), 8), DTypeError, "complex-valued"),
        (lambda: w.istft(w.ones(5, 4) * 1j, 10), ShapeError, "frequency dimension"),
        (lambda: w.istft(w.ones(5, 4) * 1j, 8, window=w.zeros(8)), ShapeError, "window overlap add"),
    ],
)
def test_bad_short_time_input(call, kind, match):
    with pytest.raises(kind, match=match):
        call()
