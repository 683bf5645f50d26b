"""Short-time Fourier transforms: a signal as the spectra of its windowed frames, and back."""

from __future__ import annotations

import warnings

from . import creation
from .errors import DTypeError, ShapeError
from .fft import fft, ifft, irfft, rfft
from .functional.method import method
from .ops import describe
from .ops.pad import pad
from .ops.parts import view_as_real
from .ops.view import overlap_added
from .tensor import Tensor

__all__ = ["istft", "stft"]


def window_of(window: Tensor | None, win_length: int, n_fft: int, like: Tensor, call: str) -> Tensor:
    """The window, ones by default, with zeros on both sides up to `n_fft`."""
    if window is None:
        window = creation.ones((win_length,), dtype=like.dtype.to_real(), device=like.device)
    elif window._shape != (win_length,):
        raise ShapeError(
            f"{call}: expected a 1D window tensor of size equal to win_length={win_length}, but got window with size {list(window._shape)}"
        )
    if win_length == n_fft:
        return window
    return pad(window, ((n_fft - win_length) // 2,), (1,), (n_fft,), 0)


@method
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The Fourier transforms of frames of a signal (one, or a batch): shape [batch, frequencies, frames].

    A frame has `n_fft` elements, `hop_length` (n_fft // 4) after the one before, multiplied with `window` (ones), which
    is `win_length` (n_fft) long and centred. With `center` the signal is padded on both sides, so that frame t is centred
    at t * hop_length. `onesided` (for real signals the default) leaves out the negative frequencies; `normalized` divides by
    the root of n_fft. `align_to_window`, without `center`, lets the first window, not the first frame, begin with the
    signal. `return_complex` must be given for real signals; False gives real and imaginary parts in a last dimension.

    Raises DTypeError for other dtypes, ShapeError for sizes that do not fit.

    >>> webtorch.stft(webtorch.ones(16), n_fft=8, hop_length=4, return_complex=True).shape
    webtorch.Size([5, 5])
    """
    call = f"stft({describe(input)}, n_fft={n_fft}, hop_length={hop_length}, win_length={win_length})"
    if not input.dtype.is_differentiable:
        raise DTypeError(f"{call}: stft expected a tensor of floating point or complex values; convert with .float()")
    if input.ndim not in (1, 2):
        raise ShapeError(f"{call}: stft expected a 1D or 2D tensor, but got {input.ndim}D")
    if align_to_window and center:
        raise ShapeError(f"{call}: stft align_to_window should only be set when center = false")
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    complex_input = input.dtype.is_complex or (window is not None and window.dtype.is_complex)
    if return_complex is None:
        if not complex_input:
            raise RuntimeError(
                f"{call}: stft requires the return_complex parameter be given for real inputs, and will further require that "
                "return_complex=True in the future"
            )
        return_complex = True
    signal = input if input.ndim == 2 else input.unsqueeze(0)
    if center:
        from .nn.functional import pad as pad_signal

        half = (n_fft // 2, n_fft // 2)
        signal = pad_signal(signal.unsqueeze(1), half, mode=pad_mode).squeeze(1)
    elif align_to_window and win_length < n_fft:
        before, more = (n_fft - win_length) // 2, n_fft - win_length
        signal = pad(signal, (0, before), (1, 1), (signal._shape[0], signal._shape[1] + more), 0)
    length = signal._shape[-1]
    if not 0 < n_fft <= length:
        raise ShapeError(f"{call}: expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop_length <= 0:
        raise ShapeError(f"{call}: expected hop_length > 0, but got hop_length={hop_length}")
    if not 0 < win_length <= n_fft:
        raise ShapeError(f"{call}: expected 0 < win_length <= n_fft, but got win_length={win_length}")
    onesided = not complex_input if onesided is None else onesided
    if onesided and complex_input:
        raise ShapeError(f"{call}: Cannot have onesided output if window or input is complex")
    shape = window_of(window, win_length, n_fft, signal, call)
    frames = signal.unfold(-1, n_fft, hop_length)
    if window is not None or win_length < n_fft:
        frames = frames * shape
    norm = "ortho" if normalized else None
    spectra = (rfft if onesided else fft)(frames, norm=norm).transpose(1, 2)
    if input.ndim == 1:
        spectra = spectra.squeeze(0)
    return spectra if return_complex else view_as_real(spectra)


@method
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose `stft`, with the same arguments, is nearest to `input`: the sum of its windowed frames, divided by
    the sum of the windows' squares. `length` cuts the signal or fills it up with zeros.

    Raises DTypeError for a real input, ShapeError for sizes that do not fit and where no window reaches.

    >>> x = webtorch.arange(16.0)
    >>> window = webtorch.hann_window(8)
    >>> spectra = webtorch.stft(x, 8, 4, window=window, return_complex=True)
    >>> webtorch.allclose(webtorch.istft(spectra, 8, 4, window=window), x, atol=1e-5)
    True
    """
    call = f"istft({describe(input)}, n_fft={n_fft}, hop_length={hop_length}, win_length={win_length})"
    if not input.dtype.is_complex:
        raise DTypeError(
            f"{call}: istft requires a complex-valued input tensor matching the output from stft with return_complex=True; "
            "use view_as_complex"
        )
    if input.ndim not in (2, 3):
        raise ShapeError(f"{call}: istft expected a tensor with 2 or 3 dimensions, but got {input.ndim}")
    if not input.numel():
        raise ShapeError(f"{call}: istft input tensor cannot be empty.")
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    spectra = input if input.ndim == 3 else input.unsqueeze(0)
    frequencies, count = spectra._shape[1:]
    onesided = frequencies != n_fft if onesided is None else onesided
    expected = n_fft // 2 + 1 if onesided else n_fft
    if frequencies != expected:
        raise ShapeError(
            f"{call}: expected the frequency dimension (2nd to the last) of the input tensor to match n_fft"
            f"{' / 2 + 1' if onesided else ''} when onesided={onesided}, but got {frequencies}"
        )
    if not 0 < hop_length <= win_length:
        raise ShapeError(f"{call}: expected 0 < hop_length <= win_length")
    if not 0 < win_length <= n_fft:
        raise ShapeError(f"{call}: expected 0 < win_length <= n_fft")
    if return_complex and onesided:
        raise ShapeError(f"{call}: cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window.dtype.is_complex:
        raise ShapeError(f"{call}: complex windows are incompatible with return_complex=False")
    shape = window_of(window, win_length, n_fft, input, call)
    rows = spectra.transpose(1, 2)
    norm = "ortho" if normalized else None
    if return_complex:
        frames = ifft(rows, norm=norm)
    else:
        frames = irfft(rows if onesided else rows.narrow(-1, 0, n_fft // 2 + 1), n=n_fft, norm=norm)
    whole = n_fft + hop_length * (count - 1)
    signal = overlap_added(frames * shape, hop_length, whole)
    envelope = overlap_added((shape * shape).expand((1, count, n_fft)), hop_length, whole)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else whole - n_fft // 2 if center else whole
    kept = max(0, min(end, whole) - start)
    signal, envelope = signal.narrow(1, start, kept), envelope.narrow(1, start, kept)
    if not kept or envelope.detach().abs().min().item() <= 1e-11:
        raise ShapeError(
            f"{call}: window overlap add min: 1; some elements are in no window, use another window or center=True"
        )
    signal = signal / envelope
    if end > whole:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail.",
            stacklevel=2,
        )
        signal = pad(signal, (0, 0), (1, 1), (signal._shape[0], end - start), 0)
    return signal if input.ndim == 3 else signal.squeeze(0)
