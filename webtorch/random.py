"""Random tensors with the same bits on every device, from a counter-based generator.

Element i of the n-th random tensor is a function of the seed, n and i alone (Threefry, see `_counter_random`), so the
cpu, every GPU and every machine draw the same numbers, in any order of execution.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _counter_random as counter
from . import batching, capture, creation, dtypes, graph
from .creation import finish, leaf, resolve, sizes_of
from .devices import device as Device
from .dtypes import dtype as DType
from .errors import DTypeError, ShapeError
from .ops.elementwise import Elementwise, Fill
from .ops.gather import take
from .ops.parts import view_as_complex
from .tensor import Tensor, from_node

__all__ = [
    "Generator", "bernoulli", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "normal", "rand", "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip


class Generator:
    """A seed and a count of the tensors drawn with it.

    >>> import webtorch
    >>> g = webtorch.Generator().manual_seed(7)
    >>> webtorch.equal(webtorch.rand(2, generator=g), webtorch.rand(2, generator=g.manual_seed(7)))
    True
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = Device(device)
        self._lock = threading.Lock()
        self._seed = 0
        self._drawn = 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def manual_seed(self, seed: int) -> Generator:
        """Start over from a seed in [-2^63, 2^64)."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"manual_seed({seed}): overflow, the seed must fit 64 bits")
        with self._lock:
            self._seed, self._drawn = seed & 0xFFFFFFFFFFFFFFFF, 0
        return self

    def initial_seed(self) -> int:
        """The seed in use."""
        return self._seed

    def seed(self) -> int:
        """Start over from a seed that the operating system makes up, which is returned."""
        fresh = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(fresh)
        return fresh

    def get_state(self) -> Tensor:
        """The state as an int64 tensor of two elements: the seed and the count."""
        return creation.tensor(np.array([self._seed, self._drawn], np.uint64).view(np.int64), device="cpu")

    def set_state(self, state: Tensor) -> Generator:
        """Go back to a state that `get_state` gave."""
        if state._shape != (2,) or state.dtype is not dtypes.int64:
            raise ShapeError(
                f"set_state: expected the int64 tensor of 2 elements that get_state gives, got {state.dtype} of shape "
                f"{list(state._shape)}"
            )
        seed, drawn = (int(word) for word in state.numpy().view(np.uint64))
        with self._lock:
            self._seed, self._drawn = seed, drawn
        return self

    def clone_state(self) -> Generator:
        """Another generator in the same state."""
        return Generator(self.device).set_state(self.get_state())

    def __reduce__(self) -> tuple:
        return restored, (self.device, self._seed, self._drawn)

    def draw(self) -> tuple[int, int, int]:
        """Key words and number of the next random tensor."""
        return self.next() if capture.watching is None else capture.drawn(self.next)

    def draw_on_host(self, call: str) -> tuple[int, int, int]:
        """`draw` for numbers that the host makes of it at once."""
        if capture.watching is not None:
            capture.refuse(f"{call} makes its numbers on the host", "call it outside the function and pass the tensor")
        return self.next()

    def next(self) -> tuple[int, int, int]:
        with self._lock:
            number = self._drawn
            self._drawn += 1
        return self._seed & 0xFFFFFFFF, self._seed >> 32, number & 0xFFFFFFFF


def restored(device: Any, seed: int, drawn: int) -> Generator:
    """A generator from its pickle."""
    result = Generator(device)
    result._seed, result._drawn = seed, drawn
    return result


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, for all devices; it is returned.

    >>> import webtorch
    >>> _ = webtorch.manual_seed(0)
    >>> a = webtorch.rand(3)
    >>> _ = webtorch.manual_seed(0)
    >>> webtorch.equal(a, webtorch.rand(3))
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system; the seed is returned.

    >>> import webtorch
    >>> webtorch.seed() == webtorch.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed.

    >>> import webtorch
    >>> _ = webtorch.manual_seed(3)
    >>> webtorch.initial_seed()
    3
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state, for `set_rng_state`.

    >>> import webtorch
    >>> state = webtorch.get_rng_state()
    >>> a = webtorch.rand(1)
    >>> webtorch.set_rng_state(state)
    >>> webtorch.equal(a, webtorch.rand(1))
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator back in a state that `get_rng_state` gave.

    >>> import webtorch
    >>> webtorch.set_rng_state(webtorch.get_rng_state())
    """
    default_generator.set_state(new_state)


# ---- rows -----------------------------------------------------------------------------------------------------------


def words(node: graph.Node) -> tuple[np.ndarray, np.ndarray]:
    attributes = node.attributes
    index = np.arange(node.size, dtype=np.uint64)
    return counter.threefry(
        (index & 0xFFFFFFFF).astype(np.uint32),
        attributes["bits_number"],
        attributes["bits_key0"],
        attributes["bits_key1"],
    )


_THREEFRY = "wt_threefry_u32({i}, bitcast<u32>({bits_number}), bitcast<u32>({bits_key0}), bitcast<u32>({bits_key1}))"


def uniform_values(node: graph.Node) -> np.ndarray:
    return counter.uniform_from_bits(words(node)[0])


def raw_words(node: graph.Node) -> np.ndarray:
    return words(node)[0].view(np.int32)


# fmt: off
bits_row = Fill("_random_bits", wgsl=f"bitcast<i32>({_THREEFRY}.x)", numpy=raw_words)
uniform_row = Fill("_random_uniform", wgsl=f"wt_uniform_u32({_THREEFRY}.x)", numpy=uniform_values)
segment_row = Elementwise("_normal_segment", numpy=lambda x: counter.normal_segment(x.view(np.uint32)).astype(np.int32),
    wgsl="i32(wt_normal_segment_u32(bitcast<u32>({x})))", public=False, method=False)
# fmt: on


class Normal(Elementwise):
    """The normal number that 32 random bits and their row of the table stand for."""

    def of(self, bits: Tensor, rows: list[Tensor]) -> Tensor:
        args = (bits._operand(), *(row._operand() for row in rows))
        return from_node(graph.record(self, args, {}, bits._shape, dtypes.float32, bits.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return counter.normal_from_bits(np.ascontiguousarray(arrays[0]).view(np.uint32))

    def emit(self, block, node: graph.Node, index: int) -> int:
        values = [block.operand(argument, index) for argument in node.args]
        text = ", ".join(f"bitcast<u32>({{{position}}})" for position in range(5))
        return block.apply(f"wt_normal_u32({text})", node.dtype, *values)


normal_row = Normal("_normal", wgsl="{x}", public=False, method=False)


class Bounded(Elementwise):
    """An integer in [0, bound) from 32 random bits, as int64."""

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        return counter.bounded_from_bits(arrays[0].view(np.uint32), node.attributes["bits_bound"] & 0xFFFFFFFF)


bounded_row = Bounded(
    "_bounded", wgsl="bitcast<i32>(wt_bounded_u32(bitcast<u32>({x}), bitcast<u32>({bits_bound})))", scalars={"bits_bound": 1},
    public=False, method=False,
)  # fmt: skip

_tables: dict[str, list[Tensor]] = {}


def normal_tables(device: Device) -> list[Tensor]:
    """The four coefficient columns of the normal table in a device's memory."""
    known = _tables.get(device.type)
    if known is None:
        known = [leaf(np.ascontiguousarray(column).view(np.int32), device) for column in counter.NORMAL_TABLE.T]
        _tables[device.type] = known
    return known


def draw(row: Fill, shape: tuple[int, ...], dtype: DType, device: Device, generator: Generator | None) -> Tensor:
    if batching.frames.get():
        return batching.drawn(shape, lambda whole: draw(row, whole, dtype, device, generator))
    count = 1
    for size in shape:
        count *= size
    if count > 1 << 32:
        raise ShapeError(f"a random tensor of shape {list(shape)} has more than 2**32 elements; draw it in parts")
    key0, key1, number = (generator or default_generator).draw()
    return row(shape, dtype, device, bits_key0=key0, bits_key1=key1, bits_number=number)


def uniform(shape: tuple[int, ...], device: Device, generator: Generator | None = None) -> Tensor:
    return draw(uniform_row, shape, dtypes.float32, device, generator)


def standard_normal(shape: tuple[int, ...], device: Device, generator: Generator | None = None) -> Tensor:
    if batching.frames.get():
        return batching.drawn(shape, lambda whole: standard_normal(whole, device, generator))
    bits = draw(bits_row, shape, dtypes.int32, device, generator)
    if device.type != "webgpu":
        return normal_row.of(bits, [])
    segment = segment_row(bits)
    return normal_row.of(bits, [take(column, [segment], (0,)) for column in normal_tables(device)])


def floating(dtype: Any, call: str) -> DType:
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
    if not chosen.is_differentiable:
        raise DTypeError(f"{call}(dtype={chosen}): only floating-point and complex dtypes; use randint for integers")
    return chosen


def in_parts(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], dtype: DType) -> Tensor:
    """Random numbers of a floating dtype; for a complex one, real and imaginary parts drawn in turn."""
    if not dtype.is_complex:
        return draw(shape).to(dtype)
    return view_as_complex(draw((*shape, 2))).to(dtype)


def spread_evenly(drawn: Tensor) -> Tensor:
    return drawn * complex_share(drawn.dtype) if drawn.dtype.is_complex else drawn


def complex_share(dtype: DType) -> float:
    """The standard deviation of each part of numbers of variance 1."""
    return math.sqrt(0.5) if dtype.is_complex else 1.0


def shape_of(sizes: tuple, size: Any, call: str) -> tuple[int, ...]:
    return sizes_of(sizes, size, call)


def stored(call: str, result: Tensor, out: Tensor | None, requires_grad: bool) -> Tensor:
    if out is not None:
        from .ops.elementwise import store_out

        return store_out(call, result, out)
    return finish(result, requires_grad)


def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform random numbers in [0, 1), multiples of 2^-24.

    >>> import webtorch
    >>> webtorch.rand(2, 3).shape
    webtorch.Size([2, 3])
    """
    chosen = floating(dtype, "rand")
    return stored(
        "rand",
        in_parts(lambda shape: uniform(shape, resolve(device), generator), shape_of(sizes, size, "rand"), chosen),
        out,
        requires_grad,
    )


def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normal random numbers of mean 0 and variance 1, which the two parts of complex numbers share.

    >>> import webtorch
    >>> webtorch.randn(2, 3).shape
    webtorch.Size([2, 3])
    """
    chosen = floating(dtype, "randn")
    return stored(
        "randn",
        spread_evenly(
            in_parts(
                lambda shape: standard_normal(shape, resolve(device), generator), shape_of(sizes, size, "randn"), chosen
            )
        ),
        out,
        requires_grad,
    )


def rand_like(
    input: Tensor,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`rand` with the shape, dtype and device of `input`.

    >>> import webtorch
    >>> webtorch.rand_like(webtorch.zeros(2)).shape
    webtorch.Size([2])
    """
    return rand(
        input._shape,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
        generator=generator,
    )


def randn_like(
    input: Tensor,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`randn` with the shape, dtype and device of `input`.

    >>> import webtorch
    >>> webtorch.randn_like(webtorch.zeros(2)).shape
    webtorch.Size([2])
    """
    return randn(
        input._shape,
        dtype=dtype or input.dtype,
        device=device or input.device,
        requires_grad=requires_grad,
        generator=generator,
    )


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Random integers in [low, high), as int64; `randint(high, size)` starts at 0.

    >>> import webtorch
    >>> bool((webtorch.randint(3, (100,)) < 3).all())
    True
    """
    if size is None or not isinstance(high, (int, np.integer)):
        low, high, size = 0, low, high if size is None else size
    low, high = int(low), int(high)
    shape = sizes_of((size,), None, "randint")
    span = high - low
    if span <= 0:
        raise RuntimeError(
            f"randint({low}, {high}): random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64
    least, most = bounds_of(chosen)
    if low < least or high - 1 > most:
        raise RuntimeError(f"randint({low}, {high}, dtype={chosen}): out of bounds, {chosen} holds {least} to {most}")
    where = resolve(device)
    if span <= 1 << 32 and -(1 << 31) <= low and high <= 1 << 31:
        bits = draw(bits_row, shape, dtypes.int32, where, generator)
        offset = bounded_row(bits, bits_bound=span - (1 << 32) if span >= 1 << 31 else span) if span < 1 << 32 else bits
        result = (
            offset.to(chosen) if low == 0 and span < 1 << 31 else (offset + low if span < 1 << 32 else bits).to(chosen)
        )
    elif batching.frames.get():
        result = batching.drawn(
            shape, lambda whole: randint(low, high, whole, generator=generator, dtype=chosen, device=where)
        )
    else:  # two words per number; wide ranges are rare, so they are made on the host
        key0, key1, number = (generator or default_generator).draw_on_host("randint of a range wider than 2**32")
        index = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint32)
        first, second = counter.threefry(index, number, key0, key1)
        if span > 1 << 63:
            raise RuntimeError(f"randint({low}, {high}): the range must not be wider than 2**63")
        values = counter.bounded64_from_bits(first, second, span).astype(np.uint64) + np.uint64(
            low & 0xFFFFFFFFFFFFFFFF
        )
        result = leaf(values.view(np.int64).reshape(shape), where).to(chosen)
    return stored("randint", result, out, requires_grad)


def bounds_of(dtype: DType) -> tuple[int, int]:
    """The least and the largest integer that a dtype holds."""
    if dtype is dtypes.bool_:
        return 0, 1
    if dtype.is_complex:
        raise DTypeError(f"randint(dtype={dtype}): only integral, floating-point and bool dtypes")
    limits = dtypes.finfo(dtype) if dtype.is_floating_point else dtypes.iinfo(dtype)
    return int(limits.min), int(limits.max)


def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: Any = None) -> Tensor:
    """`randint` with the shape, dtype and device of `input`.

    >>> import webtorch
    >>> webtorch.randint_like(webtorch.zeros(2), 5).dtype
    webtorch.float32
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input._shape, dtype=dtype or input.dtype, device=device or input.device)


def randperm(
    n: int, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A random permutation of 0 ... n - 1: random words sorted on the host, so that every device has the same.

    >>> import webtorch
    >>> webtorch.randperm(4).sum()
    tensor(6)
    """
    n = int(n)
    if n < 0:
        raise RuntimeError(f"randperm({n}): n must be non-negative")
    if batching.frames.get():
        return batching.drawn((n,), lambda whole: permutations(whole, generator, dtype, device))
    key0, key1, number = (generator or default_generator).draw_on_host("randperm")
    first, second = counter.threefry(np.arange(n, dtype=np.uint32), number, key0, key1)
    order = np.argsort(first.astype(np.uint64) << np.uint64(32) | second, kind="stable")
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64
    return stored("randperm", leaf(order.astype(chosen.numpy), resolve(device), dtype=chosen), out, requires_grad)


def permutations(shape: tuple[int, ...], generator: Generator | None, dtype: Any, device: Any) -> Tensor:
    """Permutations of the last dimension, one for each place of the others."""
    count = int(np.prod(shape[:-1], dtype=np.int64))
    rows = [randperm(shape[-1], generator=generator, dtype=dtype, device=device) for _ in range(count)]
    from .functional import stack

    return stack(rows).reshape(shape) if len(shape) > 1 else rows[0]


def check_deviation(call: str, std: Any) -> None:
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"{call} expects std >= 0.0, but found std {std}")


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal random numbers with the given mean and standard deviation: numbers with `size`, or tensors.

    >>> import webtorch
    >>> webtorch.normal(0.0, 1.0, (2, 2)).shape
    webtorch.Size([2, 2])
    """
    check_deviation("normal", std)
    if size is not None:
        made = randn(size, generator=generator, dtype=dtype, device=device) * std + mean
        return made.requires_grad_() if requires_grad else made
    from .shapes import broadcast_shapes

    tensors = [value for value in (mean, std) if isinstance(value, Tensor)]
    if not tensors:
        raise TypeError("normal(mean, std): give size= when neither is a Tensor")
    shape = broadcast_shapes(*(value._shape for value in tensors), call="normal")
    return randn(shape, generator=generator, dtype=tensors[0].dtype, device=tensors[0].device) * std + mean


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element (or `p`) says, else 0, in the dtype of `input`.

    >>> import webtorch
    >>> webtorch.bernoulli(webtorch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    probability = input if p is None else p
    return (rand(input._shape, device=input.device, generator=generator) < probability).to(input.dtype)
