"""How far float32 results are from exact values: the definition of an ulp, and what is kept of a comparison.

The error of a result is its distance from the exact value, in units of the spacing of float32 there: 2^(e - 23) where
2^e <= |exact| < 2^(e + 1), and never less than 2^-149, the spacing of the denormals (and of 0). A correctly rounded
result is at most 0.5 away. Exact values beyond 2^128, where the number after the largest float32 would be, are cut to
it, and a result of infinity stands for it: overflowing too early counts as an error of as many ulps as the exact value
was below 2^128, and staying finite too long likewise.

What is not a matter of distance must be right or is counted as a wrong special value: NaN exactly where the exact value
is NaN, an infinity of the right sign where the exact value is infinite (a pole, not an overflow), and the sign of a
zero.

Drivers may treat denormals as 0. A result is counted as `flushed`, and not as an error, when it is a 0 of the right
sign in place of a denormal, or when an argument is a denormal and the result is the one for an argument of 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["BLOCK", "Record", "Reference", "canonical", "compare", "ulps"]

BLOCK = 1 << 15  # values compared at a time, so that the intermediates stay in the processor's cache

EXPONENT = np.int64(0x7FF0000000000000)
# Exponent fields of float64: of 2^-126, the smallest normal float32, and of 2^127, the exponent of the largest.
LOWEST, HIGHEST = np.int64((1023 - 126) << 52), np.int64((1023 + 127) << 52)
# The field of 1 / spacing is this minus the field of the value (modulo 2^64: it does not fit by itself).
INVERSE = np.int64(((2 * 1023 + 23) << 52) - (1 << 64))
OVERFLOW = 2.0**128
SMALLEST_NORMAL = 2.0**-126
NOTHING = np.int64((1023 - 150) << 52)  # of 2^-150: what is smaller is nearer to 0 than to any float32


def ulps(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The error of float32 results against float64 values, in ulps; NaN where either is NaN.

    >>> ulps(np.array([1.0, 3.4028235e38], np.float32), np.array([1 + 2.0**-24, 1e60])).tolist()
    [0.5, 1.0]
    """
    exact = np.clip(exact, -OVERFLOW, OVERFLOW)
    error = got.astype(np.float64)
    np.clip(error, -OVERFLOW, OVERFLOW, out=error)
    error -= exact
    np.abs(error, out=error)
    scale = exact.view(np.int64)
    scale &= EXPONENT
    np.clip(scale, LOWEST, HIGHEST, out=scale)
    np.subtract(INVERSE, scale, out=scale)
    error *= scale.view(np.float64)
    return error


@dataclass
class Record:
    """What is known of one op on one device. `worst_at` and `wrong_at` hold the arguments, what came, and what should."""

    count: int = 0
    finite: int = 0  # with a finite exact value: those whose error in ulps is counted
    worst: float = 0.0
    worst_at: list[float] = field(default_factory=list)
    total: float = 0.0  # the sum of the errors
    special: int = 0  # NaN and infinite exact values
    wrong: int = 0  # wrong special values, zeros of the wrong sign included
    wrong_at: list[float] = field(default_factory=list)
    flushed: int = 0
    different: int = 0  # results with other bits than the first device's; NaNs, and where denormals occur, not counted
    different_at: list[float] = field(default_factory=list)
    digest: str = ""

    def merge(self, other: Record) -> None:
        """Add what was found on other values."""
        if other.worst > self.worst:
            self.worst, self.worst_at = other.worst, other.worst_at
        for name in ("wrong_at", "different_at"):
            if not getattr(self, name):
                setattr(self, name, getattr(other, name))
        for name in ("count", "finite", "total", "special", "wrong", "flushed", "different"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def mean(self) -> float:
        """The mean error in ulps of the results whose exact value is finite."""
        return self.total / self.finite if self.finite else 0.0

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def is_denormal(x: np.ndarray) -> np.ndarray:
    bits = x.view(np.uint32) & 0x7FFFFFFF
    return (bits < 0x00800000) & (bits != 0)


def has_denormal(x: np.ndarray) -> bool:
    # Without the sign, and with 0 made the largest number, denormals are the smallest.
    bits = x.view(np.uint32) << np.uint32(1)
    bits -= np.uint32(1)
    return int(bits.min()) < 0x00FFFFFF


class Reference:
    """The exact values of a block of arguments, with what every comparison with them needs: computed once for all
    sources. `kind` says what the whole block is: "plain" (normal float32 numbers, no argument a denormal), "huge" (beyond
    the float32 numbers, infinite or NaN), "nothing" (nearer to 0 than to any other float32), or "" for any mixture."""

    __slots__ = ("arguments", "denormals", "exact", "inverse", "kind")

    def __init__(self, exact: np.ndarray, arguments: Sequence[np.ndarray]) -> None:
        self.exact = exact
        self.arguments = arguments
        self.denormals = [has_denormal(x) for x in arguments]
        field = exact.view(np.int64) & EXPONENT
        low, high = field.min(), field.max()
        self.kind = ""
        self.inverse: np.ndarray | None = None
        if any(self.denormals):
            return
        if low >= LOWEST and high <= HIGHEST:
            self.kind = "plain"
            self.inverse = np.subtract(INVERSE, field, out=field).view(np.float64)
        elif low > HIGHEST:
            self.kind = "huge"
        elif high < NOTHING:
            self.kind = "nothing"

    def quick(self, got: np.ndarray, beyond: float) -> Record | None:
        """The record of a block in which nothing is wrong and nothing is flushed; None where that is not plain to see."""
        exact, kind = self.exact, self.kind
        record = Record(count=got.size)
        if kind == "plain":
            error = got.astype(np.float64)
            error -= exact
            error *= self.inverse
            np.abs(error, out=error)
            worst = float(error.max())
            if not worst < 2.0**20:  # a NaN, an infinity, a 0 or a wrong sign
                return None
            record.finite, record.total, record.worst = got.size, float(error.sum()), worst
            if worst > beyond:
                record.worst_at = place(int(error.argmax()), self.arguments, got, exact)
            return record
        if kind == "huge":
            with np.errstate(all="ignore"):
                nans = np.isnan(exact)
                special = int(np.count_nonzero(np.isinf(exact))) + int(np.count_nonzero(nans))
                same = got == exact.astype(np.float32)
            if nans.any():
                same |= nans & np.isnan(got)
            if not same.all():
                return None
            record.special, record.finite = special, got.size - special
            return record
        if kind == "nothing":
            if got.any() or not np.array_equal(np.signbit(got), np.signbit(exact)):
                return None
            error = np.abs(exact)
            error *= 2.0**149
            record.finite, record.total, record.worst = got.size, float(error.sum()), float(error.max())
            if record.worst > beyond:
                record.worst_at = place(int(error.argmax()), self.arguments, got, exact)
            return record
        return None


def place(index: int, arguments: Sequence[np.ndarray], got: np.ndarray, exact: np.ndarray) -> list[float]:
    """The arguments, the result and the exact value at one place."""
    return [*(float(x[index]) for x in arguments), float(got[index]), float(exact[index])]


def compare(
    got: np.ndarray,
    exact: np.ndarray | Reference,
    arguments: Sequence[np.ndarray],
    oracle: Callable[..., np.ndarray],
    either_zero: bool = False,
    beyond: float = 0.0,
) -> Record:
    """What one block of results says: `got` in float32, `exact` in float64, for float32 `arguments`.

    With `either_zero` the sign of a zero does not count.
    `oracle` gives exact values for other arguments: it is asked what the op gives for zeros in place of denormals.
    The place of the worst error is found only if it is `beyond` what is known.
    """
    reference = exact if isinstance(exact, Reference) else Reference(exact, arguments)
    record = reference.quick(got, beyond)
    if record is not None:
        return record
    exact = reference.exact
    record = Record(count=got.size)
    error = ulps(got, exact)
    # The signs must agree too, which the error of a zero does not say.
    signs = (got.view(np.int32) < 0) != (exact.view(np.int64) < 0)
    if either_zero and signs.any():
        signs &= got != 0
    special = ~np.isfinite(exact)
    right = np.where(np.isnan(exact), np.isnan(got), got == exact)
    zero = (got == 0) & (np.abs(exact) < 2.0**-148)
    wrong = np.where(special, ~right, np.isnan(got) | (signs & zero))
    suspect = wrong | (error >= 1)
    flushed = np.zeros(got.size, bool)
    if suspect.any():
        flushed = find_flushed(got, reference, oracle, suspect, signs, either_zero)
    wrong &= ~flushed
    error[flushed | special | wrong] = 0
    record.flushed, record.special, record.wrong = int(flushed.sum()), int(special.sum()), int(wrong.sum())
    record.finite, record.total = got.size - record.special, float(error.sum())
    record.worst = float(error.max())
    if record.worst > 0:
        record.worst_at = place(int(error.argmax()), arguments, got, exact)
    if record.wrong:
        record.wrong_at = place(int(wrong.argmax()), arguments, got, exact)
    return record


def find_flushed(
    got: np.ndarray,
    reference: Reference,
    oracle: Callable[..., np.ndarray],
    suspect: np.ndarray,
    signs: np.ndarray,
    either_zero: bool,
) -> np.ndarray:
    """Which of the `suspect` results are those of a driver that takes denormals for 0; `signs` says where signs differ."""
    exact, arguments = reference.exact, reference.arguments
    small = np.zeros(got.size, bool)
    for x in arguments:
        small |= is_denormal(x)
    flushed = suspect & (got == 0) & (np.abs(exact) < SMALLEST_NORMAL) & ~signs
    asked = np.flatnonzero(suspect & small & ~flushed)
    if asked.size:
        # Any of the arguments may have been taken for 0, and the result too.
        for mask in range(1, 1 << len(arguments)):
            replaced = [
                np.where(is_denormal(x[asked]) & bool(mask >> k & 1), np.copysign(np.float32(0), x[asked]), x[asked])
                for k, x in enumerate(arguments)
            ]
            zeroed = oracle(*(x.astype(np.float64) for x in replaced))
            taken = got[asked]
            same = (np.isnan(taken) & np.isnan(zeroed)) | (taken == zeroed) | (ulps(taken, zeroed) <= 4)
            same |= (taken == 0) & (np.abs(zeroed) < SMALLEST_NORMAL)
            # The sign of a 0 may be that of the denormal's own result.
            signed = (np.signbit(taken) == np.signbit(zeroed)) | ~signs[asked]
            same &= (taken != 0) | signed | either_zero
            flushed[asked[same]] = True
    return flushed


def differences(got: np.ndarray, first: np.ndarray, arguments: Sequence[np.ndarray]) -> np.ndarray:
    """Where two devices' results differ in a bit, NaNs apart, and apart from denormal arguments and results."""
    differ = (got.view(np.uint32) != first.view(np.uint32)) & ~(np.isnan(got) & np.isnan(first))
    if differ.any():
        for x in arguments:
            differ &= ~is_denormal(x)
        limit = np.float32(SMALLEST_NORMAL)
        # One driver may round up to the smallest normal number what another flushes.
        differ &= ~((np.abs(got) <= limit) & (np.abs(first) <= limit))
    return differ


def canonical(got: np.ndarray, arguments: Sequence[np.ndarray], denormals: Sequence[bool] | None = None) -> np.ndarray:
    """The bits that a digest is made from: one NaN, and 0 wherever a driver may have flushed a denormal. `denormals` says
    which of the arguments hold denormals, where that is known."""
    bits = got.view(np.uint32) << np.uint32(1)
    special = int(bits.max()) > 0xFF000000 or int(bits.min()) <= 0x01000000
    bits = got.view(np.uint32).astype("<u4", copy=False)
    if special:
        magnitude = bits & np.uint32(0x7FFFFFFF)
        bits = np.where((magnitude > 0x7F800000) | (magnitude <= 0x00800000), np.uint32(0), bits).astype("<u4")
        bits[magnitude > 0x7F800000] = 0x7FC00000
    for number, x in enumerate(arguments):
        if denormals[number] if denormals is not None else has_denormal(x):
            bits = np.where(is_denormal(x), np.uint32(0), bits).astype("<u4", copy=False)
    return bits
