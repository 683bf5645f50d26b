"""Norms of vectors and matrices, and products of matrices: all of them kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import creation, dtypes
from ..errors import DTypeError, ShapeError
from ..functional import chain_matmul, matmul
from ..functional import norm as elementwise_norm
from ..grad_mode import no_grad
from ..ops.binary import where
from ..ops.view import diagonal as diagonal_row
from ..precision import autocasts
from ..shapes import normalize_dim, normalize_dims
from ..tensor import Tensor
from .checks import check_floating, check_matrices, check_shape, per_example, stored


def as_dtype(x: Tensor, dtype: Any, call: str) -> Tensor:
    check_floating(x, call)
    if dtype is None:
        return x
    wanted = dtypes.as_dtype(dtype)
    if not wanted.is_floating_point:
        raise DTypeError(f"{call}: dtype should be floating point or complex. Got {wanted}")
    if not dtypes.can_cast(x.dtype, wanted) or wanted.itemsize < x.dtype.itemsize:
        raise DTypeError(
            f"{call}: the dtype of the input ({x.dtype}) should be convertible without narrowing to the specified dtype "
            f"({wanted})"
        )
    return x.to(wanted)


@autocasts
def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """sum(|x|^ord)^(1/ord) over `dim` (an int or several; by default all elements); inf, -inf and 0 as limits.

    Computed in `dtype` when given. Raises DTypeError for integers, ShapeError for a largest or smallest of no elements.

    >>> import webtorch
    >>> webtorch.linalg.vector_norm(webtorch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    call = "linalg.vector_norm"
    x = as_dtype(x, dtype, call)
    if isinstance(ord, str):
        raise TypeError(f"{call}(): argument 'ord' (position 2) must be Number, not str")
    dims = normalize_dims(None if dim is None or dim == () else dim, x.ndim, call)
    empty = any(x._shape[d] == 0 for d in dims) if x._shape else False
    if empty and (ord < 0 or ord == float("inf")):
        raise ShapeError(
            f"{call} cannot compute the {ord} norm on an empty tensor because the operation does not have an identity"
        )
    return stored(call, elementwise_norm(x, ord, tuple(dims) if x._shape else None, keepdim), out)


@autocasts
def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """A norm of matrices: "fro", "nuc", inf, -inf (rows), 1, -1 (columns), 2, -2 (singular values).

    "nuc", 2 and -2 need singular values, which numpy computes on the host.

    >>> import webtorch
    >>> webtorch.linalg.matrix_norm(webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor(6.)
    """
    call = "linalg.matrix_norm"
    if A.ndim < 2:
        check_matrices(A, call)
    A = as_dtype(A, dtype, call)
    check_shape(not isinstance(dim, int) and len(dim) == 2, f"{call}: dim must be a 2-tuple. Got {dim}")
    rows, columns = (normalize_dim(d, A.ndim, call) for d in dim)
    check_shape(rows != columns, f"{call}: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return stored(call, vector_norm(A, 2, (rows, columns), keepdim), out)
    if ord in (1, 2, float("inf")) and 0 in (A._shape[rows], A._shape[columns]):  # the largest of nothing is 0
        return stored(call, A.abs().sum((rows, columns), keepdim), out)
    if ord in ("nuc", 2, -2):
        from .spectral import svdvals

        values = svdvals(A.movedim((rows, columns), (-2, -1)))
        result = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
        if keepdim:
            for d in sorted((rows, columns)):
                result = result.unsqueeze(d)
        return stored(call, result, out)
    if ord not in (1, -1, float("inf"), float("-inf")):
        raise ShapeError(f"{call}: Order {ord} not supported.")
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    totals = A.abs().sum(summed, keepdim=True)
    result = totals.amax(kept, keepdim=True) if ord > 0 else totals.amin(kept, keepdim=True)
    if not keepdim:
        for d in sorted((rows, columns), reverse=True):
            result = result.squeeze(d)
    return stored(call, result, out)


@autocasts
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None, dtype: Any = None
) -> Tensor:
    """`vector_norm` or `matrix_norm`: of matrices when `dim` is a pair or `ord` a matrix norm's of a matrix.

    >>> import webtorch
    >>> webtorch.linalg.norm(webtorch.tensor([[3.0, 0.0], [0.0, 4.0]]), "nuc")
    tensor(7.)
    """
    call = "linalg.norm"
    check_floating(A, call)
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        check_shape(len(dims) in (1, 2), f"{call}: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    elif ord is not None:
        check_shape(
            A.ndim in (1, 2), f"{call}: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
        )
    if ord is not None and ((dim is not None and len(dims) == 2) or (dim is None and A.ndim == 2)):
        return matrix_norm(A, ord, dims if dim is not None else (0, 1), keepdim, dtype=dtype, out=out)
    if isinstance(ord, str):
        raise ShapeError(f"{call}: Order {ord} is a norm of matrices; give dim= two dimensions")
    return vector_norm(A, 2 if ord is None else ord, None if dim is None else dims, keepdim, dtype=dtype, out=out)


# ---- products -------------------------------------------------------------------------------------------------------


@per_example
def matrix_power(A: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """A multiplied by itself n times, by repeated squaring; a negative n takes the inverse first.

    >>> import webtorch
    >>> webtorch.linalg.matrix_power(webtorch.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    call = "linalg.matrix_power"
    check_matrices(A, call, square=True, wide=n < 0)
    if n == 0:
        return stored(call, creation.eye(A._shape[-1], dtype=A.dtype, device=A.device).expand(A._shape).clone(), out)
    if n < 0:
        from .systems import inv

        A, n = inv(A), -n
    result, square = None, A
    while n:
        if n & 1:
            result = square if result is None else result @ square
        n >>= 1
        if n:
            square = square @ square
    return stored(call, result.clone() if result is A else result, out)


TAYLOR = {4: 12, 8: 18}  # terms beyond the first that exp of a matrix of norm 1/2 needs, by the size of a number


@per_example
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices: the Taylor series of A / 2^s, squared s times.

    >>> import webtorch
    >>> webtorch.linalg.matrix_exp(webtorch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_matrices(A, "linalg.matrix_exp", square=True, wide=False)
    if A.dtype.itemsize < 4:
        return matrix_exp(A.float()).to(A.dtype)
    if not A.numel():
        return A.clone()
    with no_grad():
        size = matrix_norm(A.detach(), 1)
        halvings = (size * 2).log2().ceil().clamp(min=0)
        halvings = where(size.isfinite(), halvings, 0.0).unsqueeze(-1).unsqueeze(-1)
        most = int(halvings.max().item())
    eye = creation.eye(A._shape[-1], dtype=A.dtype, device=A.device)
    scaled = A * (-halvings).exp2()
    result = eye.expand(A._shape)
    for k in range(TAYLOR[size.dtype.itemsize], 0, -1):
        result = eye + scaled @ result / k
    for k in range(most):
        result = where(halvings > k, result @ result, result)
    return result


@autocasts
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the order that needs the fewest operations; the first and last may be vectors.

    >>> import webtorch
    >>> webtorch.linalg.multi_dot([webtorch.ones(2), webtorch.ones(2, 3), webtorch.ones(3)])
    tensor(6.)
    """
    tensors = list(tensors)
    check_shape(len(tensors) >= 2, f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for position, tensor in enumerate(tensors):
        ends = position in (0, len(tensors) - 1)
        allowed = (1, 2) if ends else (2,)
        check_shape(
            tensor.ndim in allowed,
            f"multi_dot(): tensor {position} must be {'1D or 2D' if ends else '2D'} but got {tensor.ndim}D",
        )
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    matrices = [tensors[0].unsqueeze(0) if first else tensors[0], *tensors[1:]]
    matrices[-1] = matrices[-1].unsqueeze(1) if last else matrices[-1]
    result = chain_matmul(*matrices)
    result = result.squeeze(-1) if last else result
    return stored("linalg.multi_dot", result.squeeze(0) if first else result, out)


@autocasts
def cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The cross products of vectors of length 3 along `dim`; the other dimensions broadcast.

    >>> import webtorch
    >>> webtorch.linalg.cross(webtorch.tensor([1.0, 0.0, 0.0]), webtorch.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    call = "linalg.cross"
    check_shape(
        input.ndim == other.ndim,
        f"{call}: inputs must have the same number of dimensions. Got {input.ndim} and {other.ndim}",
    )
    dim = normalize_dim(dim, input.ndim, call)
    check_shape(
        input._shape[dim] == 3 and other._shape[dim] == 3,
        f"{call}: inputs dimension {dim} must have length 3. Got {input._shape[dim]} and {other._shape[dim]}",
    )
    result = input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)
    return stored(call, result, out)


@autocasts
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The inner products of vectors along `dim`, of the first conjugated; the other dimensions broadcast.

    >>> import webtorch
    >>> webtorch.linalg.vecdot(webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]), webtorch.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    check_floating(x, "linalg.vecdot")
    check_floating(y, "linalg.vecdot")
    return stored("linalg.vecdot", (x.conj() * y if x.dtype.kind == "complex" else x * y).sum(dim), out)


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """The powers 0 ... N - 1 (by default as many as there are elements) of each element, along a new last dimension.

    >>> import webtorch
    >>> webtorch.linalg.vander(webtorch.tensor([2, 3]), 3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    if not x.ndim:
        x = x.reshape((1,))
    count = x._shape[-1] if N is None else N
    check_shape(count > 0, f"N must be greater than 1. Got {count}")
    if not x.dtype.is_differentiable:
        x = x.to(dtypes.int64)
    ones = creation.ones((*x._shape, 1), dtype=x.dtype, device=x.device)
    from ..functional import cat

    if count == 1:
        return ones
    powers = x.unsqueeze(-1).expand((*x._shape, count - 1)).cumprod(-1, dtype=x.dtype)
    return cat([ones, powers], -1)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices as a view: `webtorch.diagonal` with the last two dimensions as default.

    >>> import webtorch
    >>> webtorch.linalg.diagonal(webtorch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return diagonal_row(A, offset, dim1, dim2)


__all__ = [
    "cross", "diagonal", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "multi_dot", "norm", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip
