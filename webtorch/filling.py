"""Random numbers written into a tensor, and forks of the random state."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

from . import dtypes, random
from .errors import DTypeError
from .ops.parts import view_as_complex
from .random import Generator, check_deviation, complex_share, randint, standard_normal, uniform
from .tensor import Tensor

__all__ = ["fork_rng"]


def in_place(values=None, *, kinds: tuple[str, ...] = ("float",)):
    """Make `values(self, ...)` the method `name_` that writes what it gives into the tensor, of one of these kinds."""
    if values is None:
        return functools.partial(in_place, kinds=kinds)
    name = values.__name__

    @functools.wraps(values)
    def method(self: Tensor, *args: Any, **given: Any) -> Tensor:
        from .autograd import inplace

        inplace.check_target(self, name)
        if self.dtype.kind not in kinds:
            raise DTypeError(
                f"{name}: its numbers are no {self.dtype}; fill a float32 tensor and convert that with .to()"
            )
        return inplace.assign(self, values(self, *args, **given).to(self.dtype), name, True)

    setattr(Tensor, name, method)
    return method


@in_place(kinds=("float", "complex"))
def uniform_(
    self: Tensor, low: float = 0.0, to: float = 1.0, generator: Generator | None = None, **given: float
) -> Tensor:
    """Uniform random numbers in [low, to); `low` is called `from`, a Python keyword, in PyTorch: `uniform_(0, 2)`."""
    low = given.get("from", low)
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    if self.dtype.is_complex:
        parts = uniform((*self._shape, 2), self.device, generator) * (to - low) + low
        return view_as_complex(parts)
    return uniform(self._shape, self.device, generator) * (to - low) + low


@in_place(kinds=("float", "complex"))
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal random numbers."""
    check_deviation("normal_", std)
    if self.dtype.is_complex:
        parts = standard_normal((*self._shape, 2), self.device, generator)
        return view_as_complex(parts * (std * complex_share(self.dtype))) + mean
    return standard_normal(self._shape, self.device, generator) * std + mean


@in_place(kinds=("float", "int", "uint", "bool"))
def bernoulli_(self: Tensor, p: Any = 0.5, generator: Generator | None = None) -> Tensor:
    """1 with probability `p`, else 0."""
    return uniform(self._shape, self.device, generator) < p


@in_place(kinds=("float", "int", "uint", "bool"))
def random_(self: Tensor, low: int = 0, to: int | None = None, generator: Generator | None = None) -> Tensor:
    """Random integers in [low, to); `random_(to)` starts at 0, `random_()` draws all the dtype holds exactly."""
    if to is None and low:
        low, to = 0, low
    if to is None:
        to = (
            1 << {2: 11, 4: 24, 8: 53}[self.dtype.itemsize]
            if self.dtype.is_floating_point
            else 2
            if self.dtype is dtypes.bool_
            else dtypes.iinfo(self.dtype).max
        )
    return randint(low, to, self._shape, device=self.device, generator=generator)


def check(call: str, fits: bool, what: str) -> None:
    if not fits:
        raise RuntimeError(f"{call} expects {what}")


@in_place
def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Exponentially distributed numbers with rate `lambd` > 0.

    >>> import webtorch
    >>> bool((webtorch.empty(100).exponential_(2.0) >= 0).all())
    True
    """
    check(f"exponential_(lambd={lambd!r})", lambd > 0, "lambd > 0.0")
    return -(-uniform(self._shape, self.device, generator)).log1p() / lambd


@in_place
def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Numbers of the Cauchy distribution around `median`, as wide as `sigma` > 0.

    >>> import webtorch
    >>> webtorch.empty(3).cauchy_().shape
    webtorch.Size([3])
    """
    check(f"cauchy_(sigma={sigma!r})", sigma > 0, "sigma > 0.0")
    return ((uniform(self._shape, self.device, generator) - 0.5) * math.pi).tan() * sigma + median


@in_place(kinds=("float", "int", "uint"))
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """The number of trials up to the first success, each of probability `p` in (0, 1).

    >>> import webtorch
    >>> bool((webtorch.empty(100).geometric_(0.5) >= 1).all())
    True
    """
    check(f"geometric_(p={p!r})", 0 < p < 1, "p to be in (0, 1)")
    return ((-uniform(self._shape, self.device, generator)).log1p() / math.log1p(-p)).floor() + 1


@in_place
def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Numbers whose logarithms are normal with this mean and standard deviation.

    >>> import webtorch
    >>> bool((webtorch.empty(100).log_normal_() > 0).all())
    True
    """
    check(f"log_normal_(std={std!r})", std > 0, "std > 0.0")
    return (standard_normal(self._shape, self.device, generator) * std + mean).exp()


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, device_type: str = "webgpu") -> Iterator[None]:
    """Inside, random numbers may be drawn and seeds set: afterwards the default generator is as before. It is the same for
    all devices, so `devices` and `device_type` change nothing.

    >>> import webtorch
    >>> state = webtorch.get_rng_state()
    >>> with webtorch.fork_rng():
    ...     _ = webtorch.manual_seed(1)
    >>> webtorch.equal(state, webtorch.get_rng_state())
    True
    """
    state = random.get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            random.set_rng_state(state)


random.fork_rng = fork_rng  # type: ignore[attr-defined]
