"""How tensors are written out: PyTorch's layout of numbers, line by line, and the options that steer it.

A large tensor shows only the first and last items of each dimension. ``edge_view`` says which elements those are, so
that a tensor on a GPU is printed without reading the rest of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from webtorch import dtypes
from webtorch.dtypes import dtype, get_default_dtype
from webtorch.shapes import numel


@dataclasses.dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}

_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed, for the whole process.

    ``precision`` counts decimals (4), ``threshold`` is the number of elements above which only the edges are shown
    (1000), ``edgeitems`` how many items each edge has (3), ``linewidth`` where lines are broken (80). ``profile`` sets
    these four first, to "default", "short" or "full". ``sci_mode`` forces or forbids scientific notation; left out,
    it is decided by the numbers, whatever was set before. Raises ValueError for an unknown profile.

    >>> set_printoptions(precision=2)
    >>> format_tensor(np.float32([1.2345]), dtype=get_default_dtype())
    'tensor([1.23])'
    >>> set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions(profile={profile!r}): the profiles are {', '.join(_PROFILES)}")
        for name, value in dataclasses.asdict(_PROFILES[profile]).items():
            setattr(_options, name, value)
    if precision is not None:
        _options.precision = precision
    if threshold is not None:
        _options.threshold = threshold
    if edgeitems is not None:
        _options.edgeitems = edgeitems
    if linewidth is not None:
        _options.linewidth = linewidth
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options that ``set_printoptions`` sets, ready to be handed back to it.

    >>> get_printoptions()
    {'precision': 4, 'threshold': 1000, 'edgeitems': 3, 'linewidth': 80, 'sci_mode': None}
    """
    return dataclasses.asdict(_options)


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Set print options inside a ``with`` block; takes what ``set_printoptions`` takes.

    >>> with printoptions(sci_mode=True):
    ...     format_tensor(np.float32([1.5]), dtype=get_default_dtype())
    'tensor([1.5000e+00])'
    """
    before = get_printoptions()
    try:
        set_printoptions(**options)
        yield
    finally:
        set_printoptions(**before)


# ---- which elements are shown --------------------------------------------------------------------------------------


def is_summarized(shape: Sequence[int]) -> bool:
    """Whether a tensor of this shape is printed by its edges alone, under the options in force."""
    return numel(shape) > _options.threshold


def edge_view(
    shape: Sequence[int], strides: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """The elements that printing a large tensor shows, as one strided view, or None when all are shown.

    Returns (view shape, view strides, edge shape). The first and last items of a dimension are ``edgeitems`` steps from
    two starting points, so they are two dimensions of the view; reshaped to the edge shape, they are one again, and
    that is what ``format_tensor`` takes. Strides are in the unit of ``strides``; the offset stays as it is.

    >>> edge_view((5000, 4), (4, 1))
    ((2, 3, 4), (19988, 4, 1), (6, 4))
    """
    if not is_summarized(shape):
        return None
    edge = _options.edgeitems
    view_shape: list[int] = []
    view_strides: list[int] = []
    for size, stride in zip(shape, strides, strict=True):
        if size > 2 * edge:
            view_shape += [2, edge]
            view_strides += [(size - edge) * stride, stride]
        else:
            view_shape.append(size)
            view_strides.append(stride)
    return tuple(view_shape), tuple(view_strides), _edge_shape(shape)


def _edge_shape(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple([min(size, 2 * _options.edgeitems) for size in shape])


def _edges(array: np.ndarray) -> np.ndarray:
    """The part of a whole array that is shown."""
    edge = _options.edgeitems
    shown = [np.r_[0:edge, size - edge : size] if size > 2 * edge else np.arange(size) for size in array.shape]
    return array[np.ix_(*shown)]


# ---- numbers -------------------------------------------------------------------------------------------------------


class _NumberFormat:
    """One format for all numbers shown: decimal, scientific, or whole numbers written ``3.``; and their width.

    Zeros and non-finite numbers take no part in choosing either, so they may stick out of a column: as in PyTorch.
    """

    def __init__(self, shown: np.ndarray) -> None:
        self.floating = shown.dtype.kind == "f"
        self.whole = True
        self.scientific = False
        self.width = 1
        deciding = shown.ravel()
        if self.floating:
            deciding = deciding[np.isfinite(deciding) & (deciding != 0)].astype(np.float64)
            if not deciding.size:
                return
            largest = float(np.abs(deciding).max())
            smallest = float(np.abs(deciding).min())
            self.whole = bool((deciding == np.floor(deciding)).all())
            # Comparing by a product would underflow; a quotient may overflow, and then the answer is right.
            with np.errstate(over="ignore"):
                spread = np.float64(largest) / smallest
            automatic = bool(spread > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4)
            self.scientific = automatic if _options.sci_mode is None else _options.sci_mode
        for value in deciding.tolist():
            self.width = max(self.width, len(self.text(value)))

    def text(self, value: Any) -> str:
        if not self.floating:
            return f"{value}"
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        if self.whole:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return f"{value:.{_options.precision}f}"

    def __call__(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


class _ComplexFormat:
    """The format of complex numbers: one format for their real parts, and one for the imaginary parts with sign and j."""

    def __init__(self, shown: np.ndarray) -> None:
        self.real = _NumberFormat(shown.real)
        self.imag = _NumberFormat(shown.imag)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip()
        return f"{self.real(value.real)}{'' if imag.startswith('-') else '+'}{imag}j"


def _nested(shown: np.ndarray, cut: Sequence[bool], column: int, number: _NumberFormat | _ComplexFormat) -> str:
    """The text of ``shown`` starting at ``column``; ``cut`` says which dimensions have a gap in their middle."""
    if shown.ndim == 0:
        return number(shown.item())
    edge = _options.edgeitems
    if shown.ndim == 1:
        items = [number(value) for value in shown.tolist()]
        gap = " ..." if edge else "..."
    else:
        items = [_nested(part, cut[1:], column + 1, number) for part in shown]
        gap = "..."
    if cut[0]:
        items.insert(edge, gap)
    if shown.ndim == 1:
        per_line = max(1, (_options.linewidth - column) // (number.width + 2))
        items = [", ".join(items[start : start + per_line]) for start in range(0, len(items), per_line)]
    separator = "," + "\n" * max(1, shown.ndim - 1) + " " * (column + 1)
    return "[" + separator.join(items) + "]"


# ---- the whole text ------------------------------------------------------------------------------------------------


def format_tensor(
    array: np.ndarray,
    *,
    dtype: dtype,
    device: str | None = None,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    shape: Sequence[int] | None = None,
    is_parameter: bool = False,
    indent: int = 0,
) -> str:
    """The repr of a tensor, laid out as PyTorch's.

    ``array`` holds all elements, or those that ``edge_view`` asks for when the tensor is large; ``shape`` is the
    tensor's own (that of ``array`` when left out). ``device`` is named when given, a dtype when it is not the default
    one, int64 or bool. ``grad_fn_name`` is a name such as "MulBackward0". ``indent`` is the column at which the text
    will stand. Raises ValueError when ``array`` is neither whole nor the edges.

    >>> from webtorch.dtypes import float16, float32
    >>> print(format_tensor(np.eye(2), dtype=float32, requires_grad=True))
    tensor([[1., 0.],
            [0., 1.]], requires_grad=True)
    >>> format_tensor(np.zeros((0, 3)), dtype=float16, device="webgpu:0")
    "tensor([], device='webgpu:0', size=(0, 3), dtype=webtorch.float16)"
    """
    array = np.asarray(array)
    shape = array.shape if shape is None else tuple(shape)
    summarized = is_summarized(shape)
    cut = [summarized and size > 2 * _options.edgeitems for size in shape]
    shown = array
    if summarized and array.shape == shape:
        shown = _edges(array)
    elif array.shape != (_edge_shape(shape) if summarized else shape):
        raise ValueError(f"format_tensor got elements of shape {array.shape} for a tensor of shape {shape}")

    prefix = "tensor("
    column = indent + len(prefix)
    empty = numel(shape) == 0
    suffixes = []
    if device is not None:
        suffixes.append(f"device='{device}'")
    if (empty and len(shape) != 1) or (not empty and not _options.edgeitems):
        suffixes.append(f"size={shape}")
    # Where no element shows that they are whole numbers or truth values, the dtype must.
    default = get_default_dtype().name
    own_complex = "complex128" if default == "float64" else "complex64"
    if dtype.name not in ((default,) if empty else (default, own_complex, "int64", "bool")):
        suffixes.append(f"dtype={dtype}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")

    number = _ComplexFormat(shown) if shown.dtype.kind == "c" else _NumberFormat(shown)
    text = prefix + ("[]" if empty else _nested(shown, cut, column, number))
    # PyTorch counts two columns more on the last line of the numbers than there are; lines break where its lines do.
    used = len(text) - text.rfind("\n") + 1 + (indent if "\n" not in text else 0)
    for suffix in suffixes:
        if used + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * column + suffix
            used = column + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return ("Parameter containing:\n" if is_parameter else "") + text + ")"


def tensor_repr(tensor: Any) -> str:
    """The repr of a tensor; of a large one only the elements that are shown are read."""
    from webtorch.devices import get_default_device
    from webtorch.tensor import view_of

    if tensor.device.type == "meta":
        return format_meta(tensor)
    found = edge_view(tensor._shape, tensor._strides)
    if found is None:
        array = tensor._array()
    else:
        view_shape, view_strides, edge_shape = found
        array = view_of(tensor._storage, view_shape, view_strides, tensor._offset)._array().reshape(edge_shape)
    grad_fn = tensor.grad_fn
    return format_tensor(
        array,
        dtype=tensor.dtype,
        device=None if tensor.device == get_default_device() else str(tensor.device),
        requires_grad=tensor._leaf_requires_grad and grad_fn is None,
        grad_fn_name=None if grad_fn is None else grad_fn.name(),
        shape=tensor._shape,
        is_parameter=getattr(tensor, "_is_parameter", False),
    )


def format_meta(tensor: Any) -> str:
    """The repr of a tensor that has no values: `tensor(..., device='meta', size=(2, 3))`, as in PyTorch."""
    suffixes = ["...", "device='meta'", f"size={tuple(tensor._shape)}"]
    if tensor.dtype is not dtypes.get_default_dtype():
        suffixes.append(f"dtype={tensor.dtype!r}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor._leaf_requires_grad:
        suffixes.append("requires_grad=True")
    text = f"tensor({', '.join(suffixes)})"
    return f"Parameter containing:\n{text}" if getattr(tensor, "_is_parameter", False) else text
