"""Random numbers of further distributions written into a tensor, and forks of the random state."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from . import random
from .random import Generator, in_place, standard_normal, uniform
from .tensor import Tensor

__all__ = ["fork_rng"]


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
