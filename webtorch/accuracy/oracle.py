"""The exact values that results are compared with, in float64, and which rows of the op table are measured.

A row's own `numpy` says what the op means; on float64 arrays it is good to far less than a float32 ulp, except where
the formula cancels or is about float32 itself: those rows have another formula in `EXACT`. tests/test_accuracy.py
compares all of them with PyTorch's float64.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, prelude, special_numpy
from ..errors import DTypeError
from ..ops import TABLE
from ..ops.elementwise import Elementwise

__all__ = ["EITHER_ZERO", "fingerprint", "oracle", "rows"]


BITS = ("_sort_key",)  # rows that give bits, not numbers


def rows() -> dict[str, Elementwise]:
    """The rows of the op table that compute one or two float32 arguments in float32, by their name in the table.

    >>> "exp" in rows(), "pow" in rows(), "gcd" in rows()
    (True, True, False)
    """
    found = {}
    for name, row in TABLE.items():
        if not isinstance(row, Elementwise) or row.inputs not in (1, 2) or row.select_first or name in BITS:
            continue
        # Rows of other rooms work on random bits, which are no numbers.
        if not type(row).__module__.startswith("webtorch.ops") or "bitcast<" in "".join(row.wgsl.values()):
            continue
        try:
            compute, result = row.rule(dtypes.float32, name)
        except DTypeError:
            continue
        if compute is dtypes.float32 and not result.is_complex and row.expression(compute) is not None:
            found[name] = row
    return found


def fingerprint(row: Elementwise) -> str:
    """A digest of what the row computes, shader functions included: results found with another one are out of date."""
    expression = row.expression(dtypes.float32) or ""
    names = [f"{name}_f32" for name in re.findall(r"wt_\w+(?=\()", expression)]
    text = expression + prelude.closure(name if prelude.has(name) else name.removesuffix("_f32") for name in names)
    text = re.sub(r"//[^\n]*|\s+", " ", text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- exact values where the row's numpy is no good for it -----------------------------------------------------------


def exact_tanhshrink(x: np.ndarray) -> np.ndarray:
    """x - tanh(x), which cancels for small x: there the power series."""
    z = x * x
    series = np.zeros_like(x)
    for coefficient in (
        929569 / 638512875, -21844 / 6081075, 1382 / 155925, -62 / 2835, 17 / 315, -2 / 15, 1 / 3,
    ):  # fmt: skip
        series = series * -z + abs(coefficient)
    return np.where(np.abs(x) < 0.125, x * z * series, x - np.tanh(x))


def exact_gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * special_numpy.erfc(x * -math.sqrt(0.5))


def exact_gelu_tanh(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def exact_logit(x: np.ndarray) -> np.ndarray:
    """log(x / (1 - x)), in a form that is precise around 1/2."""
    near = np.abs(x - 0.5) < 0.25
    return np.where(near, 2 * np.arctanh(np.where(near, 2 * x - 1, 0)), np.log(x / (1 - x)))


def with_zeros(function: Callable) -> Callable:
    """numpy's maximum, minimum, fmax or fmin with +0 above -0, whichever comes first."""
    largest = function in (np.maximum, np.fmax)

    def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        negative = np.signbit(x) & np.signbit(y) if largest else np.signbit(x) | np.signbit(y)
        return np.where((x == 0) & (y == 0), np.where(negative, -0.0, 0.0), function(x, y))

    return exact


def exact_nextafter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.nextafter(x.astype(np.float32), y.astype(np.float32)).astype(np.float64)


def exact_nan_to_num(x: np.ndarray) -> np.ndarray:
    largest = float(np.finfo(np.float32).max)
    return np.nan_to_num(x, nan=0.0, posinf=largest, neginf=-largest)


# Rows of which a zero may have either sign: a tie between +0 and -0, or a result that has come down to 0.
EITHER_ZERO = {
    "maximum", "minimum", "fmax", "fmin", "clamp_min", "clamp_max", "_lerp_scalar", "relu", "relu6", "hardtanh",
    "logsigmoid", "tanhshrink",
}  # fmt: skip

EXACT: dict[str, Callable[..., np.ndarray]] = {
    "tanhshrink": exact_tanhshrink,
    "gelu": exact_gelu,
    "_gelu_tanh": exact_gelu_tanh,
    "logit": exact_logit,
    "nan_to_num": exact_nan_to_num,
    "nextafter": exact_nextafter,
    "maximum": with_zeros(np.maximum),
    "minimum": with_zeros(np.minimum),
    "fmax": with_zeros(np.fmax),
    "fmin": with_zeros(np.fmin),
    "clamp_min": with_zeros(np.maximum),
    "clamp_max": with_zeros(np.minimum),
}


def oracle(name: str) -> Callable[..., np.ndarray]:
    """The exact value of a row, its parameters at their defaults: a function of float64 arrays that gives float64.

    >>> oracle("exp")(np.array([1.0])).tolist() == [math.e]
    True
    """
    row: Any = TABLE[name]
    function = EXACT.get(name)
    given = {} if function else row.scalars
    function = function or row.numpy

    def exact(*arguments: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            result = np.asarray(function(*arguments, **given))
        return result.astype(np.float64, copy=False)

    return exact
