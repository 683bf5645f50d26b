"""The arguments that functions are measured at: all float32 numbers in chunks, or a sample that is always the same."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["CHUNK", "TOTAL", "chunk", "edges", "ranges", "sample"]

CHUNK = 1 << 22  # arguments that a device is given at a time
TOTAL = 1 << 32

# Of each sign's 2^23 - 1 NaNs this many of either end are tried: they differ in what they carry, which no op looks at.
NANS = 1 << 12
# The patterns to walk: each from, and up to but without.
RANGES = (
    (0x00000000, 0x7F800000 + NANS), (0x80000000 - NANS, 0x80000000),
    (0x80000000, 0xFF800000 + NANS), (0x100000000 - NANS, 0x100000000),
)  # fmt: skip


def ranges(start: int = 0) -> list[tuple[int, int]]:
    """(first bit pattern, count) of the chunks of all float32 numbers from pattern `start` on.

    >>> ranges()[0], sum(count for _, count in ranges())
    ((0, 4194304), 4278206464)
    """
    found = []
    for begin, end in RANGES:
        for first in range(begin, end, CHUNK):
            if first >= start:
                found.append((first, min(CHUNK, end - first)))
    return found


def chunk(first: int, count: int) -> np.ndarray:
    """The float32 numbers whose bit patterns are `first` and those that follow."""
    return (np.arange(count, dtype=np.uint32) + np.uint32(first)).view(np.float32)


def edges() -> np.ndarray:
    """Numbers at which functions turn, overflow, underflow or change their formula, with both signs and NaN."""
    bits = [0, 1, 2, 0x007FFFFF, 0x00800000, 0x00800001, 0x7F7FFFFF, 0x7F7FFFFE, 0x7F800000, 0x7FC00000, 0x7F800001]
    powers = [2.0**k for k in (-149, -126, -64, -31, -25, -24, -23, -13, -12, -8, -4, -3, -2, -1, 0, 1, 2, 3, 4, 7, 8)]
    powers += [2.0**k for k in (12, 13, 22, 23, 24, 25, 31, 32, 52, 63, 64, 100, 127)]
    others = [0.1, 0.3, 0.35, 0.4, 0.41421357, 0.625, 0.70710677, 0.75, 1.1, 1.4142135, 1.4616321, 1.5, 2.5, 3, 5, 6, 7]
    others += [10, 16.635532, 17, 20, 30, 33, 40, 88.72283, 89, 100, 103.97208, 104, 149, 150, 1e3, 1e4, 1e10, 1e30]
    others += [0.7853982, 1.5707964, 3.1415927, 6.2831855, 12.566371, 22, 355, 103993, 1e5, 1e22]
    values = np.array(powers + others, np.float32)
    around = np.concatenate([np.nextafter(values, np.float32(0)), values, np.nextafter(values, np.float32(np.inf))])
    positive = np.unique(np.concatenate([np.array(bits, np.uint32).view(np.float32), around]).view(np.uint32))
    return np.concatenate([positive, positive | np.uint32(0x80000000)]).view(np.float32)


def spread(generator: np.random.Generator, count: int) -> np.ndarray:
    """One number out of each of `count` equal parts of all bit patterns: every exponent, both signs."""
    step = TOTAL // count
    patterns = np.arange(count, dtype=np.uint64) * np.uint64(step) + generator.integers(0, step, count, np.uint64)
    return patterns.astype(np.uint32).view(np.float32)


def sample(name: str, arguments: int, count: int = 1 << 18) -> list[np.ndarray]:
    """Arguments for an op, always the same ones: edges (all pairs of them), numbers of every size, and usual ones.

    >>> [x.dtype.name for x in sample("pow", 2, 1 << 10)]
    ['float32', 'float32']
    """
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if arguments == 1:
        usual = generator.normal(0, 3, count // 4).astype(np.float32)
        return [np.concatenate([edges(), spread(generator, count), usual])]
    chosen = edges() if count >= 1 << 18 else generator.choice(edges(), int(count**0.5))
    pairs = [grid.reshape(-1) for grid in np.meshgrid(*[chosen] * arguments, indexing="ij")]
    columns = []
    for k in range(arguments):
        bits = generator.permutation(spread(generator, count // 2))
        size = np.exp(generator.uniform(-12, 12, count // 4)) * generator.choice([-1, 1], count // 4)
        ordinary = generator.normal(0, 3, count // 4)
        mixed = generator.choice(edges(), count // 8)  # meets numbers of any size in the other argument
        parts = [bits, size.astype(np.float32), ordinary.astype(np.float32), mixed, bits[: count // 8]]
        columns.append(np.concatenate(parts))
        if k:
            columns[k][-2 * (count // 8) :] = np.roll(columns[k][-2 * (count // 8) :], count // 8)
    return [np.concatenate([pairs[k], columns[k]]) for k in range(arguments)]
