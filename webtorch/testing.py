"""`assert_close`: whether tensors, numbers, and containers of them agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import creation, dtypes
from .dtypes import dtype as DType
from .tensor import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# Relative and absolute tolerance by dtype, as PyTorch has them; other dtypes must be equal.
TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError unless `actual` and `expected` agree to within `atol + rtol * abs(expected)`, element by element,
    and have the same shape, dtype and device. Both may be tensors, arrays, numbers, or sequences and mappings of them.

    Without tolerances those of the dtype hold: 1.3e-6 and 1e-5 for float32. Raises ValueError when only one is given, and
    TypeError for what cannot be compared (https://docs.pytorch.org/docs/stable/testing.html).

    >>> import webtorch
    >>> assert_close(webtorch.ones(2), webtorch.ones(2) + 1e-7)
    >>> assert_close(webtorch.tensor([1.0, 2.0]), webtorch.tensor([1.0, 2.5]))
    Traceback (most recent call last):
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 1 / 2 (50.0%)
    Greatest absolute difference: 0.5 at index (1,) (up to 1e-05 allowed)
    Greatest relative difference: 0.2 at index (1,) (up to 1.3e-06 allowed)
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close(rtol={rtol}, atol={atol}): give both or neither")
    checks = {"device": check_device, "dtype": check_dtype, "stride": check_stride}
    problem = _difference(actual, expected, rtol, atol, equal_nan, checks, "")
    if problem is not None:
        raise AssertionError(msg(problem) if callable(msg) else msg or problem)


def _difference(
    actual: Any, expected: Any, rtol: Any, atol: Any, equal_nan: bool, checks: dict, where: str
) -> str | None:
    """The first thing that is not as expected, in words."""
    rest = (rtol, atol, equal_nan, checks)
    place = f"\n\nThe failure occurred for item {where}" if where else ""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return f"The keys of the mappings do not match: {sorted(map(str, actual))} and {sorted(map(str, expected))}{place}"
        problems = (_difference(actual[key], expected[key], *rest, f"{where}[{key!r}]") for key in expected)
        return next((problem for problem in problems if problem), None)
    if _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{place}"
        pairs = enumerate(zip(actual, expected))
        problems = (_difference(one, other, *rest, f"{where}[{number}]") for number, (one, other) in pairs)
        return next((problem for problem in problems if problem), None)
    if actual is None and expected is None:
        return None
    tensors = isinstance(actual, Tensor), isinstance(expected, Tensor)
    if tensors[0] != tensors[1] or actual is None or expected is None:
        raise TypeError(
            f"assert_close: {type(actual).__name__} and {type(expected).__name__} cannot be compared{place}"
        )
    if all(tensors):
        for attribute, differs in (
            ("shape", actual.shape != expected.shape),
            ("device", checks["device"] and actual.device != expected.device),
            ("dtype", checks["dtype"] and actual.dtype != expected.dtype),
            ("stride", checks["stride"] and actual.stride() != expected.stride()),
        ):
            if differs:
                values = [getattr(value, attribute) for value in (actual, expected)]
                one, other = (value() if callable(value) else value for value in values)
                return f"The values for attribute '{attribute}' do not match: {one} != {other}.{place}"
        kinds = [actual.dtype.name, expected.dtype.name]
        ours, wanted = (_array(value) for value in (actual, expected))
    else:
        ours, wanted = np.asarray(actual), np.asarray(expected)
        if ours.dtype.kind not in "biufc" or wanted.dtype.kind not in "biufc":
            raise TypeError(
                f"assert_close: {type(actual).__name__} and {type(expected).__name__} cannot be compared{place}"
            )
        if ours.shape != wanted.shape:
            return f"The values for attribute 'shape' do not match: {ours.shape} != {wanted.shape}.{place}"
        kinds = [ours.dtype.name, wanted.dtype.name]
    if rtol is None:
        known = [TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        rtol, atol = max(one for one, _ in known), max(other for _, other in known)
    return _values_differ(ours, wanted, rtol, atol, equal_nan, all(tensors), place)


def _values_differ(
    ours: Any, wanted: Any, rtol: float, atol: float, equal_nan: bool, tensors: bool, place: str
) -> str | None:
    wide = np.complex128 if "c" in (ours.dtype.kind, wanted.dtype.kind) else np.float64
    if rtol == atol == 0 and not equal_nan:
        close = ours == wanted
    else:
        close = np.isclose(ours.astype(wide), wanted.astype(wide), rtol=rtol, atol=atol, equal_nan=equal_nan)
    if np.all(close):
        return None
    with np.errstate(all="ignore"):
        distance = np.abs(ours.astype(wide) - wanted.astype(wide))
        relative = distance / np.abs(wanted.astype(wide))
    if not ours.shape:
        what = "Tensor-likes" if tensors else "Scalars"
        return (
            f"{what} are not close!\n\nExpected {wanted.item()} but got {ours.item()}.\nAbsolute difference: "
            f"{distance.item():g} (up to {atol:g} allowed)\nRelative difference: {relative.item():g} (up to {rtol:g} allowed){place}"
        )
    wrong = int(np.size(close) - np.count_nonzero(close))
    lines = [f"Mismatched elements: {wrong} / {close.size} ({100 * wrong / close.size:.1f}%)"]
    for name, values, allowed in (("absolute", distance, atol), ("relative", relative, rtol)):
        values = np.where(close, 0, values)
        index = tuple(int(part) for part in np.unravel_index(int(np.argmax(values)), values.shape))
        lines.append(f"Greatest {name} difference: {values[index]:g} at index {index} (up to {allowed:g} allowed)")
    return "\n".join(["Tensor-likes are not close!", "", *lines]) + place


def _array(value: Tensor) -> np.ndarray:
    return (value.float() if value.dtype is dtypes.bfloat16 else value).detach().cpu().numpy()


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def assert_allclose(actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True,
                    msg: str = "") -> None:  # fmt: skip
    """The older form of `assert_close`: looks at no dtype, and NaN equals NaN.

    >>> assert_allclose(float("nan"), float("nan"))
    """
    if not isinstance(actual, Tensor):
        actual = creation.tensor(actual)
    if not isinstance(expected, Tensor):
        expected = creation.tensor(expected, dtype=actual.dtype)
    assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=True,
        check_dtype=False,
        msg=msg or None,
    )


def make_tensor(
    *shape: Any,
    dtype: DType,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of random values between `low` and `high`: by default -9 and 9, for unsigned integers 0 and 9, booleans any.

    >>> import webtorch
    >>> make_tensor(2, 3, dtype=webtorch.float32, device="cpu").shape
    webtorch.Size([2, 3])
    """
    from . import random

    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    sizes = (*sizes[:-1], sizes[-1] * 2) if noncontiguous and sizes else sizes
    if dtype is dtypes.bool_:
        made = random.randint(0, 2, sizes, device=device).to(dtype)
    elif dtype.is_floating_point or dtype.is_complex:
        span = (-9.0 if low is None else low), (9.0 if high is None else high)
        made = (random.rand(sizes, device=device) * (span[1] - span[0]) + span[0]).to(dtype)
    else:
        span = ((-9 if dtype.is_signed else 0) if low is None else int(low)), (10 if high is None else int(high))
        made = random.randint(span[0], span[1], sizes, device=device).to(dtype)
    if exclude_zero:
        made = made.masked_fill(made == 0, 1)
    made = made[..., ::2] if noncontiguous and sizes else made
    return made.detach().requires_grad_(requires_grad)
