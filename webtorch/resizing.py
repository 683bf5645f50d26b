"""What changes a tensor's place in memory: `resize_`, `set_`, `as_strided_`, and empty tensors with strides of one's choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import creation, functional
from .grad_mode import current, no_grad
from .memory import whole
from .shapes import contiguous_strides, numel
from .tensor import Tensor

__all__ = ["empty_permuted", "empty_strided"]


def sizes_of(given: tuple) -> tuple[int, ...]:
    return tuple(given[0]) if len(given) == 1 and not isinstance(given[0], int) else tuple(given)


def check_plain(self: Tensor, call: str) -> None:
    if self.requires_grad and current().grad:
        raise RuntimeError(f"{call}: cannot resize variables that require grad; use reshape, or detach() first")


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Give the tensor another shape, row by row over its memory. What is added is 0.

    Where the memory is too small the tensor moves to other memory, and views of it stay where they were. Raises RuntimeError
    for tensors that require grad.

    >>> import webtorch
    >>> webtorch.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    check_plain(self, "resize_")
    shape = sizes_of(sizes)
    missing = self._offset + numel(shape) - self._storage.node.size
    with no_grad():
        if missing > 0:
            old = whole(self._storage).narrow(0, self._offset, self._storage.node.size - self._offset)
            more = creation.zeros((missing,), dtype=self.dtype, device=self.device)
            self._storage, self._offset = functional.cat([old, more])._storage, 0
    self._shape, self._strides = shape, contiguous_strides(shape)
    return self


def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor.

    >>> import webtorch
    >>> webtorch.arange(6).resize_as_(webtorch.zeros(2)).shape
    webtorch.Size([2])
    """
    return resize_(self, the_template._shape)


def set_(
    self: Tensor,
    source: Any = None,
    storage_offset: int = 0,
    size: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
) -> Tensor:
    """Make the tensor a view of the memory of another, or of a storage from `storage_offset` on; without one, empty.

    >>> import webtorch
    >>> x, y = webtorch.zeros(2), webtorch.ones(3)
    >>> x.set_(y).data_ptr() == y.data_ptr()
    True
    """
    from .memory import UntypedStorage

    check_plain(self, "set_")
    if source is None:
        source = creation.empty((0,), dtype=self.dtype, device=self.device)
    if isinstance(source, UntypedStorage):
        source = whole(source._storage)
        size = (source.numel() - storage_offset,) if size is None else size
    if not isinstance(source, Tensor) or source.dtype is not self.dtype or source.device != self.device:
        raise RuntimeError(f"set_: expected memory of {self.dtype} on {self.device}, got {source!r}; convert it first")
    if size is not None:
        stride = contiguous_strides(tuple(size)) if stride is None else stride
        source = source.as_strided(tuple(size), tuple(stride), storage_offset)
    self._storage, self._shape, self._strides = source._storage, source._shape, source._strides
    self._offset = source._offset
    return self


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors are the same view of the same memory.

    >>> import webtorch
    >>> x = webtorch.zeros(2)
    >>> x.is_set_to(x.view(2)), x.is_set_to(x.clone())
    (True, False)
    """
    return (self._storage, self._shape, self._strides, self._offset) == (
        tensor._storage, tensor._shape, tensor._strides, tensor._offset
    )  # fmt: skip


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost.

    >>> import webtorch
    >>> webtorch.zeros(2, 3).T.dim_order()
    (1, 0)
    """
    return tuple(sorted(range(self.ndim), key=lambda dim: -self._strides[dim]))


def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of that shape whose elements lie `stride` apart; they are 0.

    >>> import webtorch
    >>> webtorch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    if any(step < 0 for step in stride) or len(size) != len(stride):
        raise RuntimeError(
            f"empty_strided({tuple(size)}, {tuple(stride)}): one stride of at least 0 for each dimension"
        )
    span = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if numel(tuple(size)) else 0
    made = creation.zeros((span,), dtype=dtype, device=device).as_strided(tuple(size), tuple(stride))
    return made.detach().requires_grad_() if requires_grad else made


def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor without gaps whose dimensions lie in memory in the order of `physical_layout`; its elements are 0.

    >>> import webtorch
    >>> webtorch.empty_permuted((2, 3), (1, 0)).stride()
    (1, 2)
    """
    order = tuple(physical_layout)
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(f"empty_permuted({tuple(size)}, {order}): every dimension once")
    steps = contiguous_strides(tuple(size[dim] for dim in order))
    stride = [steps[order.index(dim)] for dim in range(len(order))]
    return empty_strided(size, stride, dtype=dtype, device=device, requires_grad=requires_grad)


def new_empty_strided(
    self: Tensor, size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, device: Any = None, layout: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`empty_strided` with the dtype and device of this tensor.

    >>> import webtorch
    >>> webtorch.zeros(1).new_empty_strided((2, 3), (3, 1)).shape
    webtorch.Size([2, 3])
    """
    device = self.device if device is None else device
    return empty_strided(
        size, stride, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad
    )


def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Replace each element by what a Python function makes of it. Only on the cpu, and slow.

    >>> import webtorch
    >>> webtorch.tensor([1.0, 2.0]).apply_(lambda value: value * 10)
    tensor([10., 20.])
    """
    return of_elements(self, callable, "apply_")


def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Replace each element by what a Python function makes of it and of the other's. Only on the cpu, and slow.

    >>> import webtorch
    >>> webtorch.tensor([1.0, 2.0]).map_(webtorch.tensor([3.0, 4.0]), lambda x, y: x * y)
    tensor([3., 8.])
    """
    return of_elements(self, callable, "map_", tensor)


def of_elements(self: Tensor, function: Callable, call: str, *others: Tensor) -> Tensor:
    if self.device.type != "cpu":
        raise TypeError(
            f"{call} is only implemented on CPU tensors; write it with webtorch's functions, or move it with .cpu()"
        )
    arrays = [self.detach().numpy(), *(other.expand(self._shape).detach().numpy() for other in others)]
    found = [function(*values) for values in zip(*(array.reshape(-1).tolist() for array in arrays), strict=True)]
    return self.copy_(creation.tensor(np.array(found).reshape(self._shape).tolist(), dtype=self.dtype))


for _method in (resize_, resize_as_, set_, is_set_to, dim_order, new_empty_strided, apply_, map_):
    setattr(Tensor, _method.__name__, _method)
