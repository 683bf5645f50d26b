"""Products of vectors, matrices and tensors, all of them contractions."""

from __future__ import annotations

import builtins
from typing import Any

from .. import dtypes
from ..errors import DTypeError, ShapeError, coded_error
from ..ops import describe
from ..ops.elementwise import store_out
from ..ops.matmul import contract, inner_error
from ..ops.parts import conj
from ..precision import autocasts
from ..shapes import (
    broadcast_shapes,
    normalize_dims,
)
from ..tensor import Tensor
from .method import method


def check_dims(call: str, tensor: Tensor, ndim: int, which: str) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{call}: expected a Tensor as {which}, got {type(tensor).__name__}")
    if tensor.ndim != ndim:
        raise ShapeError(f"{call}: {which} must be a {ndim}-D tensor, but has shape {list(tensor._shape)}")


@method
@autocasts
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices, (n x k) @ (k x m).

    >>> import webtorch
    >>> webtorch.mm(webtorch.eye(2), webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    check_dims("mm", input, 2, "self")
    check_dims("mm", mat2, 2, "mat2")
    if input._shape[1] != mat2._shape[0]:
        raise inner_error("mm", input, mat2, input._shape[1], mat2._shape[0])
    result = contract(input, mat2, (0, 1, 1, 1))
    return result if out is None else store_out("mm", result, out)


@method
@autocasts
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices, (b x n x k) @ (b x k x m).

    >>> import webtorch
    >>> webtorch.bmm(webtorch.ones(2, 1, 3), webtorch.ones(2, 3, 1)).shape
    webtorch.Size([2, 1, 1])
    """
    check_dims("bmm", input, 3, "batch1")
    check_dims("bmm", mat2, 3, "batch2")
    if input._shape[0] != mat2._shape[0]:
        raise coded_error(
            "batch_dimensions_do_not_match_error",
            f"bmm of shapes {list(input._shape)} and {list(mat2._shape)}: batch sizes {input._shape[0]} and {mat2._shape[0]} differ; "
            "use matmul to broadcast batches",
        )
    if input._shape[2] != mat2._shape[1]:
        raise inner_error("bmm", input, mat2, input._shape[2], mat2._shape[1])
    result = contract(input, mat2, (1, 1, 1, 1))
    return result if out is None else store_out("bmm", result, out)


@method
@autocasts
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of a matrix and a vector.

    >>> import webtorch
    >>> webtorch.mv(webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([3.0, 4.0]))
    tensor([11.])
    """
    check_dims("mv", input, 2, "input")
    check_dims("mv", vec, 1, "vec")
    if input._shape[1] != vec._shape[0]:
        raise inner_error("mv", input, vec, input._shape[1], vec._shape[0])
    result = contract(input, vec, (0, 1, 1, 0))
    return result if out is None else store_out("mv", result, out)


@method
@autocasts
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors of one length.

    >>> import webtorch
    >>> webtorch.dot(webtorch.tensor([2.0, 3.0]), webtorch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    check_dims("dot", input, 1, "input")
    check_dims("dot", tensor, 1, "tensor")
    if input._shape != tensor._shape:
        raise ShapeError(
            f"dot: inconsistent tensor size, expected tensor {list(input._shape)} and src {list(tensor._shape)} to have the "
            "same number of elements"
        )
    result = contract(input, tensor, (0, 0, 1, 0))
    return result if out is None else store_out("dot", result, out)


@method
@autocasts
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """`dot` with the first argument conjugated.

    >>> import webtorch
    >>> webtorch.vdot(webtorch.tensor([2.0, 3.0]), webtorch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    return dot(conj(input), other)


@method
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors.

    >>> import webtorch
    >>> webtorch.outer(webtorch.tensor([1, 2]), webtorch.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    check_dims("outer", input, 1, "input")
    check_dims("outer", vec2, 1, "vec2")
    result = input.unsqueeze(1) * vec2
    return result if out is None else store_out("outer", result, out)


@method
def ger(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`outer` by its older name.

    >>> import webtorch
    >>> webtorch.ger(webtorch.tensor([1, 2]), webtorch.tensor([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    return outer(input, vec2, out=out)


@method
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products over the last dimensions, which must be equal: of vectors their dot product; a 0-d tensor multiplies.

    >>> import webtorch
    >>> webtorch.inner(webtorch.ones(2, 3), webtorch.arange(3.0))
    tensor([3., 3.])
    """
    if input.ndim == 0 or other.ndim == 0:
        result = input * other
    else:
        if input._shape[-1] != other._shape[-1]:
            raise ShapeError(
                f"inner() the last dimension must match on both input tensors but got shapes {list(input._shape)} and "
                f"{list(other._shape)}; transpose one, or use tensordot"
            )
        result = tensordot(input, other, ([input.ndim - 1], [other.ndim - 1]))
    return result if out is None else store_out("inner", result, out)


@method
@autocasts
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product of tensors: dot product of vectors, matrix-vector and matrix products, batches broadcast.

    >>> import webtorch
    >>> webtorch.matmul(webtorch.ones(5, 2, 3), webtorch.ones(3, 4)).shape
    webtorch.Size([5, 2, 4])
    """
    for value in (input, other):
        if not isinstance(value, Tensor):
            raise TypeError(f"matmul({describe(input, other)}): expected Tensors, got {type(value).__name__}")
    if not input._shape or not other._shape:
        raise ShapeError(
            f"matmul: both arguments to matmul need to be at least 1D, but they are {input.ndim}D and {other.ndim}D"
        )
    ka = input._shape[-1]
    kb = other._shape[-2] if other.ndim > 1 else other._shape[0]
    if ka != kb:
        raise inner_error("matmul", input, other, ka, kb)
    if other.ndim == 1:
        result = contract(input, other, (0, input.ndim - 1, 1, 0))
    elif other.ndim == 2:  # the batch dimensions of the first are rows like any other
        result = contract(input, other, (0, input.ndim - 1, 1, 1))
    elif input.ndim == 1:
        batch = other._shape[:-2]
        result = contract(input.expand((*batch, ka)), other, (len(batch), 0, 1, 1))
    else:
        try:
            batch = broadcast_shapes(input._shape[:-2], other._shape[:-2], call="matmul")
        except ShapeError:
            raise coded_error(
                "batch_dimensions_do_not_match_error",
                f"matmul of shapes {list(input._shape)} and {list(other._shape)}: batch dimensions {list(input._shape[:-2])} and "
                f"{list(other._shape[:-2])} do not broadcast",
            ) from None
        result = contract(
            input.expand((*batch, *input._shape[-2:])),
            other.expand((*batch, *other._shape[-2:])),
            (len(batch), 1, 1, 1),
        )
    return result if out is None else store_out("matmul", result, out)


def scaled_sum(input: Tensor, product: Tensor, beta: Any, alpha: Any, out: Tensor | None, call: str) -> Tensor:
    """beta * input + alpha * product; with beta = 0 the input is ignored, NaN and all.

    Beside integers PyTorch drops the fractions of alpha and beta, and refuses them in `addr` alone.
    """
    if not product.dtype.is_differentiable:
        if call == "addr" and (isinstance(alpha, float) or isinstance(beta, float)):
            raise DTypeError(
                "addr: For integral input tensors, argument alpha and beta must not be floating point numbers."
            )
        alpha, beta = int(alpha), int(beta)
    if alpha != 1:
        product = product * alpha
    if beta != 0:
        product = (input if beta == 1 else input * beta).expand(product._shape) + product
    return product if out is None else store_out(call, product, out)


@method
@autocasts
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2).

    >>> import webtorch
    >>> webtorch.addmm(webtorch.ones(2), webtorch.eye(2), webtorch.eye(2))
    tensor([[2., 1.],
            [1., 2.]])
    """
    return scaled_sum(input, mm(mat1, mat2), beta, alpha, out, "addmm")


@method
@autocasts
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * (mat @ vec).

    >>> import webtorch
    >>> webtorch.addmv(webtorch.ones(2), webtorch.eye(2), webtorch.ones(2))
    tensor([2., 2.])
    """
    return scaled_sum(input, mv(mat, vec), beta, alpha, out, "addmv")


@method
@autocasts
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2).

    >>> import webtorch
    >>> webtorch.addr(webtorch.zeros(2, 2), webtorch.ones(2), webtorch.ones(2))
    tensor([[1., 1.],
            [1., 1.]])
    """
    product = outer(vec1, vec2)
    if product.dtype is dtypes.bool_ and input.dtype is dtypes.bool_:
        result = scaled_sum(input, product, beta, alpha, None, "addr").to(dtypes.bool_)
        return result if out is None else store_out("addr", result, out)
    return scaled_sum(input, product, beta, alpha, out, "addr")


@method
@autocasts
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2).

    >>> import webtorch
    >>> webtorch.baddbmm(webtorch.ones(1), webtorch.ones(2, 1, 3), webtorch.ones(2, 3, 1)).flatten()
    tensor([4., 4.])
    """
    return scaled_sum(input, bmm(batch1, batch2), beta, alpha, out, "baddbmm")


@method
@autocasts
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """beta * input + alpha * the sum over the batch of bmm(batch1, batch2).

    >>> import webtorch
    >>> webtorch.addbmm(webtorch.zeros(1, 1), webtorch.ones(2, 1, 3), webtorch.ones(2, 3, 1))
    tensor([[6.]])
    """
    check_dims("addbmm", batch1, 3, "batch1")
    check_dims("addbmm", batch2, 3, "batch2")
    if batch1._shape[0] != batch2._shape[0] or batch1._shape[2] != batch2._shape[1]:
        bmm(batch1, batch2)  # says what is wrong
    product = contract(batch1.permute((1, 0, 2)), batch2, (0, 1, 2, 1))  # batches and columns are summed at once
    return scaled_sum(input, product, beta, alpha, out, "addbmm")


@autocasts
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order of multiplications that needs the fewest operations.

    The order is the textbook dynamic programme for matrix chains.

    >>> import webtorch
    >>> webtorch.chain_matmul(webtorch.ones(2, 3), webtorch.ones(3, 4), webtorch.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    for position, matrix in enumerate(matrices):
        check_dims("chain_matmul", matrix, 2, f"matrix {position}")
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    sizes = [matrix._shape[0] for matrix in matrices] + [matrices[-1]._shape[1]]
    count = len(matrices)
    cost = [[0] * count for _ in range(count)]
    cut = [[0] * count for _ in range(count)]
    for length in range(2, count + 1):
        for first in range(count - length + 1):
            last = first + length - 1
            cost[first][last], cut[first][last] = builtins.min(
                (cost[first][k] + cost[k + 1][last] + sizes[first] * sizes[k + 1] * sizes[last + 1], k)
                for k in range(first, last)
            )

    def product(first: int, last: int) -> Tensor:
        if first == last:
            return matrices[first]
        middle = cut[first][last]
        return mm(product(first, middle), product(middle + 1, last))

    return product(0, count - 1)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product.

    >>> import webtorch
    >>> webtorch.kron(webtorch.eye(2), webtorch.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    count = builtins.max(input.ndim, other.ndim)
    a = (1,) * (count - input.ndim) + input._shape
    b = (1,) * (count - other.ndim) + other._shape
    left = input.reshape(tuple(part for size in a for part in (size, 1)))
    right = other.reshape(tuple(part for size in b for part in (1, size)))
    return (left * right).reshape(tuple(x * y for x, y in zip(a, b, strict=True)))


@autocasts
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """The sum of products over the last `dims` dimensions of `a` and the first of `b`, or over the pairs listed in `dims`.

    >>> import webtorch
    >>> webtorch.tensordot(webtorch.ones(2, 3), webtorch.ones(2, 4), dims=([0], [0])).shape
    webtorch.Size([3, 4])
    """
    if isinstance(dims, int):
        if dims < 0 or dims > builtins.min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot(dims={dims}) of shapes {list(a._shape)} and {list(b._shape)}: dims must be between 0 and the "
                "smaller ndim"
            )
        left, right = tuple(range(a.ndim - dims, a.ndim)), tuple(range(dims))
    else:
        left, right = (
            normalize_dims(part, tensor.ndim, "tensordot") for part, tensor in zip(dims, (a, b), strict=True)
        )
    for d, e in zip(left, right, strict=True):  # what has size 1 is broadcast: the other is summed
        if a._shape[d] == 1 != b._shape[e]:
            b = b.sum(e, keepdim=True, dtype=b.dtype)
        elif b._shape[e] == 1 != a._shape[d]:
            a = a.sum(d, keepdim=True, dtype=a.dtype)
    if [a._shape[d] for d in left] != [b._shape[d] for d in right]:
        raise ShapeError(
            f"tensordot(dims={dims}): contracted dimensions need to match, but got {[a._shape[d] for d in left]} of the first and "
            f"{[b._shape[d] for d in right]} of the second (shapes {list(a._shape)} and {list(b._shape)})"
        )
    rows = [d for d in range(a.ndim) if d not in left]
    columns = [d for d in range(b.ndim) if d not in right]
    result = contract(a.permute((*rows, *left)), b.permute((*right, *columns)), (0, len(rows), len(left), len(columns)))
    return result if out is None else store_out("tensordot", result, out)
