"""PyTorch's sparse tensors, held as dense ones: the values are right, memory and time are those of the dense shape."""

from __future__ import annotations

from typing import Any

from . import creation, dtypes
from .errors import ShapeError
from .ops import TABLE
from .tensor import Tensor

__all__ = ["addmm", "mm", "softmax", "sparse_coo_tensor", "spmm", "sum"]


def sparse_coo_tensor(
    indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Tensor:
    """A dense tensor of `size` (by default as large as the indices need) with `values` at `indices`, and zeros elsewhere.

    `indices` has shape [dimensions, count]; values at the same place are added. `values` may have more dimensions, which
    come last. Raises ShapeError for shapes that do not fit, and RuntimeError for an index outside `size`.

    >>> import webtorch
    >>> webtorch.sparse_coo_tensor([[0, 1, 1], [2, 0, 0]], [3.0, 4.0, 5.0], (2, 3))
    tensor([[0., 0., 3.],
            [9., 0., 0.]])
    """
    held = creation.as_tensor(values, dtype=dtype, device=device)
    places = creation.as_tensor(indices).to(held.device, dtypes.int64)
    if places.ndim != 2 or held.ndim < 1 or held.shape[0] != places.shape[1]:
        raise ShapeError(
            f"sparse_coo_tensor: indices of shape {list(places.shape)} and values of shape {list(held.shape)}; expected "
            "[dimensions, count] and [count, ...]"
        )
    most = (places.amax(1) + 1).tolist() if places.shape[1] else [0] * places.shape[0]
    if size is None:
        size = (*most, *held.shape[1:])
    size = tuple(size)
    if len(size) != places.shape[0] + held.ndim - 1 or size[places.shape[0] :] != tuple(held.shape[1:]):
        raise ShapeError(
            f"sparse_coo_tensor: size {list(size)} does not fit indices of shape {list(places.shape)} and values of shape "
            f"{list(held.shape)}"
        )
    lowest = places.amin(1).tolist() if places.shape[1] else []
    if any(most > extent for most, extent in zip(most, size)) or any(index < 0 for index in lowest):
        raise RuntimeError(
            f"sparse_coo_tensor: size is inconsistent with indices: they go from {lowest} to {[m - 1 for m in most]}, but the "
            f"size is {list(size)}"
        )
    made = creation.zeros(size, dtype=held.dtype, device=held.device)
    made = made.index_put(tuple(places.unbind(0)), held, accumulate=True)
    return made.detach().requires_grad_(True) if requires_grad else made


def mm(mat1: Tensor, mat2: Tensor, reduce: str = "sum") -> Tensor:
    """The product of two matrices. Raises NotImplementedError for a `reduce` other than "sum".

    >>> import webtorch
    >>> mm(webtorch.eye(2), webtorch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    if reduce != "sum":
        raise NotImplementedError(f"sparse.mm(reduce={reduce!r}): only 'sum'")
    return mat1 @ mat2


spmm = mm


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """`beta * mat + alpha * mat1 @ mat2`.

    >>> import webtorch
    >>> addmm(webtorch.ones(1, 1), webtorch.ones(1, 2), webtorch.ones(2, 1))
    tensor([[3.]])
    """
    return beta * mat + alpha * (mat1 @ mat2)


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:  # named as in PyTorch
    """The sum over `dim`, or of everything.

    >>> import webtorch
    >>> sum(webtorch.ones(2, 3)).item()
    6.0
    """
    return input.sum(dtype=dtype) if dim is None else input.sum(dim, dtype=dtype)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The softmax over the elements that are not zero, as PyTorch has it for those that are stored; the others stay zero.

    >>> import webtorch
    >>> softmax(webtorch.tensor([[2.0, 0.0, 2.0]]), 1)
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    held = input if dtype is None else input.to(dtype)
    stored = held != 0
    shares = TABLE["softmax"](held.masked_fill(~stored, float("-inf")), dim)
    return shares.masked_fill(~stored, 0.0)
