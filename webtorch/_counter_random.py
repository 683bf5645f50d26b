"""Random numbers that are a function of a seed and a position, with the same bits on every device and machine.

Threefry (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a counter into
64 random bits. Everything made from them here is integer arithmetic up to one exact conversion at the end, because
floating-point division and contraction differ between GPUs. `shaders/random.wgsl` holds the same functions in WGSL.

Run as a script, the module writes the table that `normal_from_bits` reads.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Words = NDArray[np.uint32]

__all__ = [
    "NORMAL_TABLE",
    "bounded64_from_bits",
    "bounded_from_bits",
    "normal_from_bits",
    "normal_segment",
    "threefry",
    "uniform_from_bits",
]


_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_KEY_PARITY = 0x1BD11BDA
_BLOCK = 1 << 14  # elements worked on at a time, so that the twenty rounds stay in the processor's cache

_FRACTION_BITS = 29  # of the fixed-point normals: three bits before the point, 29 behind
_SUBSEGMENTS = 16  # per halving of the probability
_TABLE_FILE = pathlib.Path(__file__).with_name("normal_table.npy")


def threefry(counter0: ArrayLike, counter1: ArrayLike, key0: int, key1: int) -> tuple[Words, Words]:
    """Threefry-2x32-20: two random words for each pair of counter words under a key of two words.

    `counter0` and `counter1` are integers or arrays of integers in [0, 2^32) that broadcast together; `key0` and
    `key1` are integers in [0, 2^32). Returns two uint32 arrays of the broadcast shape. Raises ValueError where a
    word does not fit 32 bits.

    >>> first, second = threefry(0, 0, 0, 0)
    >>> hex(first), hex(second)
    ('0x6b200159', '0x99ba4efe')
    """
    counter0, counter1 = np.broadcast_arrays(_as_words("counter0", counter0), _as_words("counter1", counter1))
    for name, key in (("key0", key0), ("key1", key1)):
        if not 0 <= key < 1 << 32:
            raise ValueError(f"threefry(..., {name}={key}): a key is an integer in [0, 2**32)")
    keys = [np.uint32(key) for key in (key0, key1, _KEY_PARITY ^ key0 ^ key1)]
    first, second = np.empty(counter0.shape, np.uint32), np.empty(counter0.shape, np.uint32)
    flat0, flat1, out0, out1 = counter0.reshape(-1), counter1.reshape(-1), first.reshape(-1), second.reshape(-1)
    scratch = np.empty(min(_BLOCK, flat0.size), np.uint32)
    for start in range(0, flat0.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        x, y = out0[block], out1[block]
        _threefry_rounds(flat0[block], flat1[block], keys, x, y, scratch[: x.size])
    return first, second


def _threefry_rounds(counter0: Words, counter1: Words, keys: list[np.uint32], x: Words, y: Words, spare: Words) -> None:
    """Twenty rounds from the counters into x and y, all one-dimensional; sums wrap at 2^32."""
    np.add(counter0, keys[0], out=x)
    np.add(counter1, keys[1], out=y)
    for number in range(20):
        rotation = _ROTATIONS[number % 8]
        np.add(x, y, out=x)
        np.left_shift(y, np.uint32(rotation), out=spare)
        np.right_shift(y, np.uint32(32 - rotation), out=y)
        np.bitwise_or(y, spare, out=y)
        np.bitwise_xor(y, x, out=y)
        if number % 4 == 3:
            injection = number // 4 + 1
            np.add(x, keys[injection % 3], out=x)
            np.add(y, keys[(injection + 1) % 3], out=y)
            np.add(y, np.uint32(injection), out=y)


def _as_words(name: str, values: ArrayLike) -> Words:
    array = np.asarray(values)
    if array.dtype == np.uint32:
        return array
    if array.dtype.kind not in "iu" or (array.size and (array.min() < 0 or array.max() > 0xFFFFFFFF)):
        raise ValueError(f"threefry({name}=...): counter words are integers in [0, 2**32), got dtype {array.dtype}")
    return array.astype(np.uint32)


def uniform_from_bits(bits: Words) -> NDArray[np.float32]:
    """Numbers in [0, 1) from the upper 24 bits of each word: multiples of 2^-24, all equally likely.

    Returns a float32 array of the shape of `bits`. The conversion and the scaling are exact.

    >>> uniform_from_bits(np.array([0, 0x80000000, 0xFFFFFFFF], np.uint32)).tolist()
    [0.0, 0.5, 0.9999999403953552]
    """
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def bounded_from_bits(bits: Words, bound: int) -> Words:
    """Integers in [0, bound) from words: the upper word of bits * bound.

    `bound` is in [1, 2^32], else ValueError. Returns a uint32 array of the shape of `bits`. Each value is produced by
    floor(2^32 / bound) or one more of the 2^32 words, so its probability is off by less than 2^-32 in absolute
    terms and by less than bound / 2^32 of itself. Where that is too much, take `bounded64_from_bits`.

    >>> bounded_from_bits(np.array([0, 0x80000000, 0xFFFFFFFF], np.uint32), 6).tolist()
    [0, 3, 5]
    """
    if not 1 <= bound <= 1 << 32:
        raise ValueError(f"bounded_from_bits(bits, {bound}): the bound must be in [1, 2**32]")
    return ((bits.astype(np.uint64) * np.uint64(bound)) >> np.uint64(32)).astype(np.uint32)


def bounded64_from_bits(low: Words, high: Words, bound: int) -> NDArray[np.uint64]:
    """Integers in [0, bound) from pairs of words: the upper 64 of the 128 bits of (high:low) * bound.

    `low` and `high` are uint32 arrays of one shape; `bound` is in [1, 2^64], else ValueError. Returns a uint64
    array. The probability of each value is off by less than bound / 2^64 of itself.

    >>> words = np.array([0, 0xFFFFFFFF], np.uint32)
    >>> bounded64_from_bits(words, words, 10**15).tolist()
    [0, 999999999999999]
    """
    if not 1 <= bound <= 1 << 64:
        raise ValueError(f"bounded64_from_bits(low, high, {bound}): the bound must be in [1, 2**64]")
    low64, high64 = low.astype(np.uint64), high.astype(np.uint64)
    if bound == 1 << 64:
        return (high64 << np.uint64(32)) | low64
    bound_low, bound_high = np.uint64(bound & 0xFFFFFFFF), np.uint64(bound >> 32)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    # Schoolbook with 32-bit digits; no sum exceeds 64 bits.
    middle = high64 * bound_low + ((low64 * bound_low) >> half)
    other = low64 * bound_high + (middle & mask)
    return high64 * bound_high + (middle >> half) + (other >> half)


def normal_segment(bits: Words) -> NDArray[np.int64]:
    """The row of NORMAL_TABLE that each word's normal is computed with, as int64 indices of the shape of `bits`.

    >>> normal_segment(np.array([0, 0x7FFFFFFF, 0x80000000], np.uint32)).tolist()
    [496, 15, 15]
    """
    return _normal_position(bits)[0]


def _normal_position(bits: Words) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Row of the table, and the position within that row's interval as a 32-bit fraction."""
    negative = bits < np.uint32(0x80000000)
    # The probability of the tail is odd * 2^-33, between 2^-33 and 1/2.
    odd = (np.where(negative, bits, ~bits).astype(np.uint64) << np.uint64(1)) | np.uint64(1)
    zeros = 32 - _bit_length(odd)
    normalised = odd << zeros.astype(np.uint64)  # the leading one in bit 31
    below = (normalised >> np.uint64(27)).astype(np.int64) & (_SUBSEGMENTS - 1)
    return zeros * _SUBSEGMENTS + below, (normalised << np.uint64(5)) & np.uint64(0xFFFFFFFF)


def _bit_length(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number of bits up to the highest one, for values in [1, 2^32): exact, since float64 holds 53 bits."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def normal_from_bits(bits: Words) -> NDArray[np.float32]:
    """Standard normal numbers from words: the inverse of the normal distribution function at (bits + 1/2) / 2^32.

    Returns a float32 array of the shape of `bits`. It is symmetric (`normal_from_bits(~bits)` is
    `-normal_from_bits(bits)`), never 0, and spans -6.34 to 6.34. The cubics are off by less than 2e-8; to that comes
    float32's own rounding, 2.4e-7 in the far tails. All but the last step is done in integers: the inverse is a cubic
    on each of the table's 512 intervals, and the result, in units of 2^-29, is rounded to 24 bits by hand, so that
    converting it is exact.

    >>> normal_from_bits(np.array([0, 0x40000000, 0x80000000, 0xFFFFFFFF], np.uint32)).tolist()
    [-6.337957..., -0.674489..., 9.313225746154785e-09, 6.337957...]
    """
    bits = np.asarray(bits, np.uint32)
    out = np.empty(bits.shape, np.float32)
    source, target = bits.reshape(-1), out.reshape(-1)
    for start in range(0, source.size, _BLOCK):
        target[start : start + _BLOCK] = _normal_block(source[start : start + _BLOCK])
    return out


def _normal_block(bits: Words) -> NDArray[np.float32]:
    row, t = _normal_position(bits)
    c0, c1, c2, c3 = NORMAL_TABLE[row].astype(np.uint64).T
    half = np.uint64(32)
    inner = c2 - ((c3 * t) >> half)
    inner = c1 - ((inner * t) >> half)
    fixed = c0 - ((inner * t) >> half)
    shift = np.maximum(_bit_length(fixed) - 24, 0)
    rounded = (fixed + ((np.uint64(1) << shift.astype(np.uint64)) >> np.uint64(1))) >> shift.astype(np.uint64)
    magnitude = np.ldexp(rounded.astype(np.float32), shift - _FRACTION_BITS)
    return np.where(bits < np.uint32(0x80000000), -magnitude, magnitude)


def make_normal_table() -> Words:
    """Fit the table: row 16 * z + s holds the cubic for tails whose probability has z leading zeros, then the bits s.

    The cubic is c0 - t (c1 - t (c2 - t c3)), t running over the interval from 0 to 1, coefficients in units of 2^-29;
    they are all positive, since the derivatives of the inverse alternate in sign. It meets the inverse (Wichura's
    algorithm AS 241, as the standard library has it) at the four Chebyshev points of the interval.

    >>> bool(np.abs(make_normal_table().astype(np.int64) - NORMAL_TABLE).max() <= 1)
    True
    """
    from statistics import NormalDist

    inverse = NormalDist().inv_cdf
    points = 0.5 - 0.5 * np.cos(np.pi * (2 * np.arange(4) + 1) / 8)
    to_coefficients = np.linalg.inv(np.vander(points, 4, increasing=True)).T
    table = np.empty((32 * _SUBSEGMENTS, 4), np.uint32)
    for row in range(len(table)):
        zeros, below = divmod(row, _SUBSEGMENTS)
        width = 2.0 ** -(zeros + 2) / _SUBSEGMENTS
        values = [-inverse(width * (_SUBSEGMENTS + below + float(point))) for point in points]
        coefficients = np.asarray(values) @ to_coefficients * [1.0, -1.0, 1.0, -1.0]
        table[row] = np.rint(coefficients * 2.0**_FRACTION_BITS).astype(np.uint32)
    # The interval that ends at probability 1/2 must not fall to zero or below: 1 is the smallest normal number.
    last = table[_SUBSEGMENTS - 1].astype(np.int64)
    last[0] += max(0, 4 - (last[0] - last[1] + last[2] - last[3]))
    table[_SUBSEGMENTS - 1] = last
    return table


if __name__ == "__main__":  # before the line below, which reads what this writes
    np.save(_TABLE_FILE, make_normal_table())
    print(f"wrote {_TABLE_FILE}")

# Stored, not fitted at import: the last bits of log and sqrt are not the same in every C library.
NORMAL_TABLE: Words = np.load(_TABLE_FILE, allow_pickle=False)
NORMAL_TABLE.setflags(write=False)
