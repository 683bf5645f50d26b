"""What all functions of linear algebra ask of their arguments, and the error of matrices that have no solution."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import batching, dtypes, engine
from ..errors import DTypeError, ShapeError, coded_error
from ..ops import common_device
from ..shapes import broadcast_shapes, numel
from ..tensor import Tensor


class LinAlgError(RuntimeError):
    """Raised when a matrix is singular, not positive definite, or an iteration did not converge."""


def per_example(function: Callable) -> Callable:
    """A function that, under vmap, runs once for every example."""

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        if batching.batched(args) or batching.batched(given.values()):
            return batching.by_examples(call, args, given)
        return function(*args, **given)

    return call


def check_floating(x: Tensor, call: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{call}: expected a Tensor, got {type(x).__name__}; make one with webtorch.tensor(...)")
    if x.dtype.kind not in ("float", "complex"):
        raise DTypeError(
            f"{call}: Expected a floating point or complex tensor as input. Got {x.dtype}; convert with .float()"
        )


def check_matrices(x: Tensor, call: str, square: bool = False, wide: bool = True) -> None:
    """Two dimensions at least, floating point; square; and for what numpy computes float32 or float64."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{call}: expected a Tensor, got {type(x).__name__}; make one with webtorch.tensor(...)")
    if x.ndim < 2:
        raise coded_error(
            "linalg_error_requires_at_least_2d",
            f"{call}: The input tensor A must have at least 2 dimensions, but it has shape {list(x._shape)}",
        )
    check_floating(x, call)
    if wide and x.dtype.itemsize < 4:
        raise DTypeError(f"{call}: Low precision dtypes not supported. Got {x.dtype}; convert with .float()")
    if square and x._shape[-1] != x._shape[-2]:
        raise coded_error(
            "linalg_error_not_square_matrix",
            f"{call}: A must be batches of square matrices, but they are {x._shape[-2]} by {x._shape[-1]} matrices "
            f"(shape {list(x._shape)})",
        )


def check_same(call: str, a: Tensor, b: Tensor) -> None:
    common_device([a, b], call)
    if a.dtype is not b.dtype:
        raise DTypeError(
            f"{call}: Expected A and B to have the same dtype, but found A of type {a.dtype} and B of type {b.dtype} instead"
        )


def stacked(x: Tensor) -> Tensor:
    """All matrices along one leading dimension."""
    return x.reshape((numel(x._shape[:-2]), *x._shape[-2:]))


def broadcast_batches(a: Tensor, b: Tensor, call: str) -> tuple[Tensor, Tensor]:
    lead = broadcast_shapes(a._shape[:-2], b._shape[:-2], call=call)
    return a.expand((*lead, *a._shape[-2:])), b.expand((*lead, *b._shape[-2:]))


def require(info: Tensor, message: Callable[[int], str], *results: Tensor, kind: type[Exception] = LinAlgError) -> None:
    """Raise an error where `info` is not zero: on the cpu at once, on a GPU when a value is next read, and whenever one of
    the results, or what is computed from them, is."""
    if not info.numel():
        return
    flat, batched = info.reshape((-1,)), info.ndim > 0

    def verdict(found: np.ndarray) -> Exception | None:
        bad = np.flatnonzero(found)
        if not len(bad):
            return None
        where = f"(Batch element {bad[0]}): " if batched else ""
        call, _, rest = message(int(found[bad[0]])).partition(": ")
        return kind(f"{call}: {where}{rest}")

    if info.device.type == "webgpu":
        doubt = engine.add_check(flat.contiguous()._storage.node, verdict)
        for result in results:
            engine.depends(result._storage.node, doubt)
    elif info.device.type == "cpu" and (error := verdict(flat.numpy())) is not None:
        raise error


def stored(call: str, result: Any, out: Any) -> Any:
    """`out=` of one result or of several."""
    from ..ops.elementwise import store_out

    if out is None:
        return result
    if isinstance(result, Tensor):
        return store_out(call, result, out)
    return type(result)(*(store_out(call, value, target) for value, target in zip(result, out, strict=True)))


def as_limit(value: Any, like: Tensor) -> Tensor:
    """A tolerance, number or tensor, as a tensor beside `like`."""
    from .. import creation

    return (
        value.to(like.dtype)
        if isinstance(value, Tensor)
        else creation.full((), value, dtype=like.dtype, device=like.device)
    )


def check_shape(fine: bool, message: str) -> None:
    if not fine:
        raise ShapeError(message)


def epsilon(x: Tensor) -> float:
    return float(dtypes.finfo(x.dtype).eps)
