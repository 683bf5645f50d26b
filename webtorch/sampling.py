"""Sampling from distributions that tensors describe: `multinomial`, `poisson`. The same bits on every device.

Categories are drawn with integers alone: probabilities become whole numbers, their running sums are exact, and 32 random
bits name a point below the total, so that no device's rounding can change which category is drawn.
"""

from __future__ import annotations

import numpy as np

from . import batching, creation, dtypes, engine, host
from .errors import DTypeError, ShapeError
from .functional import stack
from .functional.method import method
from .grad_mode import no_grad
from .ops.binary import where
from .ops.unary import frexp
from .random import Generator, bits_row, default_generator, draw
from .searching import places
from .tensor import Tensor

__all__ = ["multinomial", "multinomial_async", "poisson"]

WEIGHT_BITS = 30  # bits of the largest weight, fewer where more than 2**18 categories would not fit the total
TOTAL_BITS = 48  # bits of the sum of the weights


def whole_weights(probabilities: Tensor) -> Tensor:
    """The rows as int64, in proportion: the largest of each gets 30 bits, and what is below 2^-30 of it becomes 0."""
    p = probabilities.detach().to(dtypes.float32)
    bits = min(WEIGHT_BITS, TOTAL_BITS - max(1, p._shape[-1] - 1).bit_length())
    exponent = frexp(p.amax(-1, keepdim=True))[1]
    return p.ldexp(bits - exponent).floor().to(dtypes.int64)


def drawn_places(weights: Tensor, bits: Tensor) -> Tensor:
    """For each word of random bits (rows, count) the category it draws from the weights (rows, categories)."""
    sums = weights.cumsum(-1)
    total = sums.narrow(-1, sums._shape[-1] - 1, 1)
    word = bits.to(dtypes.int64)
    word = where(word < 0, word + (1 << 32), word)
    # floor(word * total / 2^32) in parts that fit 63 bits.
    high, low = total // (1 << 24), total % (1 << 24)
    point = (word * high + ((word * low) // (1 << 24))) // (1 << 8)
    return places(sums, point, True)


def without_replacement(weights: Tensor, bits: Tensor) -> Tensor:
    """One draw after the other, each from what is left; when only zeros are left, they follow in their order."""
    categories = creation.ramp_tensor(weights._shape[-1], 0, 1, dtypes.int32, weights.device)
    free = creation.ones(weights._shape, dtype=dtypes.bool_, device=weights.device)
    chosen = []
    for number in range(bits._shape[1]):
        left = where(free, weights, 0)
        first_free = free.to(dtypes.int32).argmax(-1, keepdim=True)
        place = drawn_places(left, bits.narrow(1, number, 1))
        place = where(left.sum(-1, keepdim=True) > 0, place.to(dtypes.int64), first_free)
        free = free & (categories != place)
        chosen.append(place.squeeze(-1))
    return stack(chosen, -1)


def check_probabilities(p: Tensor) -> tuple[engine.Doubt, ...]:
    """Raise for impossible probabilities: on the cpu at once, on a GPU when a value is next read: the check that it is."""
    impossible = ((p < 0) | ~p.isfinite()).any()
    empty = ~(p > 0).any(-1).all()
    found = impossible.to(dtypes.int32).reshape((1,)) + empty.to(dtypes.int32) * 2

    def verdict(number: np.ndarray) -> Exception | None:
        if number[0] & 1:
            return ShapeError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
        if number[0]:
            return ShapeError("multinomial: invalid multinomial distribution (sum of probabilities <= 0)")
        return None

    if p.device.type == "webgpu":
        return (engine.add_check(found._storage.node, verdict),)
    if p.device.type == "cpu" and (wrong := verdict(found.numpy())) is not None:
        raise wrong
    return ()


@method
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`num_samples` categories for each row of `input`, which holds their probabilities in any scale, as int64.

    Without `replacement` no category is drawn twice. A probability below 2^-30 of the largest in its row counts as zero.
    Raises ShapeError for more samples than categories (without replacement), for probabilities that are negative, not
    finite or all zero (on a GPU when a value is next read); DTypeError for integers.

    >>> import webtorch
    >>> webtorch.multinomial(webtorch.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    if input.ndim not in (1, 2):
        raise ShapeError(f"multinomial: prob_dist must be 1 or 2 dim, but it has shape {list(input._shape)}")
    if not input.dtype.is_floating_point:
        raise DTypeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}; use .float()")
    if num_samples <= 0:
        raise ShapeError(f"multinomial(num_samples={num_samples}): cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input._shape[-1]:
        raise ShapeError(
            f"multinomial(num_samples={num_samples}) of shape {list(input._shape)}: cannot sample n_sample > prob_dist.size(-1) "
            "samples without replacement; pass replacement=True"
        )
    if input._shape[-1] > 1 << 24:
        raise ShapeError("multinomial: number of categories cannot exceed 2^24")
    levels = batching.levels_of(input)
    with no_grad():
        rows = input.detach() if input.ndim == 2 else input.detach().unsqueeze(0)
        result = by_rows(rows, num_samples, replacement, generator) if not levels else None
    if result is None:
        raise batching.Unbatchable("calling multinomial, whose probabilities are checked")
    result = result if input.ndim == 2 else result.squeeze(0)
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("multinomial", result, out)
    return result


def by_rows(rows: Tensor, count: int, replacement: bool, generator: Generator | None) -> Tensor:
    if not rows._shape[0]:
        return creation.zeros((0, count), dtype=dtypes.int64, device=rows.device)
    doubts = check_probabilities(rows)
    bits = draw(bits_row, (rows._shape[0], count), dtypes.int32, rows.device, generator)
    weights = whole_weights(rows)
    if replacement or count == 1:
        result = drawn_places(weights, bits).to(dtypes.int64)
    else:
        result = without_replacement(weights, bits)
    engine.depends(result._storage.node, *doubts)
    return result


async def multinomial_async(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """`multinomial` as a coroutine, which ends when the result is there and has been checked.

    >>> import asyncio, webtorch
    >>> asyncio.run(webtorch.multinomial_async(webtorch.tensor([0.0, 1.0]), 1))
    tensor([1])
    """
    import asyncio  # not before it is used: it is slow to import

    def sampled() -> Tensor:
        result = multinomial(input, num_samples, replacement, generator=generator)
        if result.device.type == "webgpu":
            engine.synchronize()
        return result

    return await asyncio.to_thread(sampled)


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Random numbers from Poisson distributions with the rates in `input`, in its dtype.

    They are made on the host, so that every device has the same: webtorch.webgpu.host_fallbacks() counts the calls.
    Raises ShapeError for a negative rate or one that is not a number, DTypeError for integers.

    >>> import webtorch
    >>> webtorch.poisson(webtorch.zeros(2))
    tensor([0., 0.])
    """
    if not input.dtype.is_floating_point:
        raise DTypeError(f"poisson: not implemented for {input.dtype}; convert with .float() first")
    (rates,) = host.arrays("poisson", "GPUs round differently, so draws would differ from device to device", input)
    if not (rates >= 0).all():
        raise ShapeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    key0, key1, number = (generator or default_generator).draw()
    stream = np.random.Generator(np.random.Philox(key=key0 | key1 << 32, counter=[0, 0, number, 0]))
    sampled = stream.poisson(rates.astype(np.float64))
    return creation.leaf(np.asarray(sampled, dtype=input.dtype.numpy, order="C"), input.device)
