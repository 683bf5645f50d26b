"""Sorting on a GPU: numbers become keys, int32 with the order of the numbers, and the keys are sorted digit by digit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import creation, dtypes, engine
from .dtypes import dtype as DType
from .errors import DTypeError
from .ops.binary import where
from .ops.elementwise import Elementwise, floating_only
from .ops.gather import take
from .ops.sort import EACH, count, move, rank
from .tensor import Tensor


class Way(NamedTuple):
    """How rows are sorted: `short` ones by comparing each element with each, others by digits of at most `bits` bits; `chunk`
    elements are the work of one invocation, or with `tiles` of a workgroup."""

    short: bool
    bits: int = 0
    chunk: int = 0
    tiles: bool = False


def way(extent: int, limits: Any) -> Way:
    """What was found to be fast on software adapters (digits of more bits were, too, but take minutes to compile on some); on
    others a workgroup shares its memory."""
    if not limits.is_cpu:
        lanes = 1 << (min(256, limits.max_workgroup_invocations).bit_length() - 1)
        return Way(extent <= 512, 4, EACH * lanes, True)
    return Way(extent <= 48, 6, 128) if extent < 128 else Way(False, 8, 4096)


class Bits(NamedTuple):
    """The bits of keys that differ, from `low` to below `high`; `floats`: -1 counts as 0, because -0 and +0 are equal."""

    low: int
    high: int
    floats: bool = False


BITS = {
    dtypes.bool_: Bits(0, 1), dtypes.uint8: Bits(0, 8), dtypes.int8: Bits(0, 8), dtypes.int16: Bits(0, 16),
    dtypes.int32: Bits(0, 32), dtypes.float32: Bits(0, 32, True),
    # As float32 they have no bits below these.
    dtypes.float16: Bits(13, 32, True), dtypes.bfloat16: Bits(16, 32, True),
}  # fmt: skip
UNSIGNED = {dtypes.int8: 1 << 7, dtypes.int16: 1 << 15}  # what is added so that all are counted from 0


def float_keys(x: np.ndarray) -> np.ndarray:
    wide = x.dtype == np.float64
    bits = np.asarray(x).view(np.int64) if wide else np.asarray(x).view(np.int32)
    largest = bits.dtype.type((1 << 63) - 1 if wide else (1 << 31) - 1)
    return np.where(np.isnan(x), largest, np.where(bits < 0, bits ^ largest, bits))


def of_floats(common: DType, call: str) -> tuple[DType, DType]:
    return floating_only(common, call)[0], dtypes.int64 if common is dtypes.float64 else dtypes.int32


def of_keys(common: DType, call: str) -> tuple[DType, DType]:
    if common is not dtypes.int32:
        raise DTypeError(f"{call}: keys are int32, not {common}; convert with .int()")
    return common, dtypes.float32


def floats_of_keys(keys: np.ndarray) -> np.ndarray:
    return np.where(keys < 0, keys ^ 0x7FFFFFFF, keys).astype(np.int32).view(np.float32)


# fmt: off
sort_key = Elementwise("_sort_key", numpy=float_keys, wgsl={"float": "wt_sort_key({x})"}, dtype=of_floats, public=False,
    doc="Integers in the order of floats: -1 for -0, 0 for +0, the largest for NaN.")
sorted_number = Elementwise("_sorted_number", numpy=floats_of_keys, wgsl={"int": "wt_sorted_number({x})"}, dtype=of_keys, public=False,
    doc="The float32 number of a key.")
# fmt: on


def digits(bits: Bits, most: int) -> list[tuple[int, int]]:
    """The digits of at most `most` bits to sort by, the lowest first: where each begins and how many bits it has.

    >>> digits(Bits(0, 32), 8), digits(Bits(13, 32), 8), digits(Bits(0, 1), 8)
    ([(0, 8), (8, 8), (16, 8), (24, 8)], [(13, 7), (20, 6), (26, 6)], [(0, 1)])
    """
    width = bits.high - bits.low
    passes = -(-width // most)
    found, low = [], bits.low
    for number in range(passes):
        size = (width - (low - bits.low) + passes - number - 1) // (passes - number)
        found.append((low, size))
        low += size
    return found


def sorted_pairs(keys: Tensor, positions: Tensor, bits: Bits) -> Tensor:
    """The keys of each row in order, each with its position: int32 of shape (rows, extent, 2)."""
    from .backends import wgpu as backend

    extent = keys._shape[1]
    how = way(extent, engine.limits_of(backend.get_device()))
    if how.short:
        return rank(keys, positions, bits.floats)
    pairs = None
    for shift, size in digits(bits, how.bits):
        attributes = {"shift": shift, "bits": size, "floats": bits.floats, "chunk": how.chunk, "tiles": how.tiles}
        ends = count(keys, attributes).cumsum(1, dtype=dtypes.int32)
        pairs = move(keys, positions, ends, attributes)
        keys, positions = pairs.select(2, 0), pairs.select(2, 1)
    assert pairs is not None
    return pairs


def sorted_rows(x: Tensor, descending: bool) -> tuple[Tensor | None, Tensor]:
    """The elements of each row of a matrix in order, and their positions as int32; no values of 64-bit numbers."""
    ramp = creation.ramp_tensor(x._shape[1], 0, 1, dtypes.int32, x.device).expand(x._shape)
    if x.dtype.itemsize == 8:
        return None, wide_positions(x, ramp, descending)
    shift = UNSIGNED.get(x.dtype, 0)
    keys = sort_key(x) if x.dtype.is_floating_point else x.to(dtypes.int32) + shift if shift else x.to(dtypes.int32)
    pairs = sorted_pairs(keys.bitwise_not() if descending else keys, ramp, BITS[x.dtype])
    keys = pairs.select(2, 0)
    keys = keys.bitwise_not() if descending else keys
    values = sorted_number(keys) if x.dtype.is_floating_point else keys - shift if shift else keys
    return values.to(x.dtype), pairs.select(2, 1)


def wide_positions(x: Tensor, ramp: Tensor, descending: bool) -> Tensor:
    """The positions of 64-bit numbers in order: sorted by their low words first, and then by their high ones."""
    keys = sort_key(x) if x.dtype.is_floating_point else x
    if x.dtype.is_floating_point:
        keys = where(keys == -1, 0, keys)
    keys = keys.bitwise_not() if descending else keys
    low, high = keys.to(dtypes.int32) ^ -(1 << 31), (keys >> 32).to(dtypes.int32)
    positions = sorted_pairs(low, ramp, BITS[dtypes.int32]).select(2, 1)
    rows, extent = x._shape
    starts = creation.ramp_tensor(rows, 0, extent, dtypes.int32, x.device).reshape((rows, 1))
    high = take(high.reshape((-1,)), [positions + starts], (0,))
    return sorted_pairs(high, positions, BITS[dtypes.int32]).select(2, 1)
