"""The choice of attention's implementation, which PyTorch offers: here there is one."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import Any

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.Enum):
    """PyTorch's names of implementations."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[None]:
    """A block that changes nothing: `scaled_dot_product_attention` has one implementation for each case.

    >>> import webtorch
    >>> from webtorch.nn.attention import SDPBackend, sdpa_kernel
    >>> x = webtorch.ones(1, 2, 4)
    >>> with sdpa_kernel(SDPBackend.MATH):
    ...     webtorch.nn.functional.scaled_dot_product_attention(x, x, x).shape
    webtorch.Size([1, 2, 4])
    """
    many = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not many or not all(isinstance(one, SDPBackend) for one in many):
        raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    yield
