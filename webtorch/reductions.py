"""Statistics and running quantities: differences, integrals, covariance, counts, distances, running extremes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from . import creation, dtypes
from .errors import DTypeError, ShapeError, coded_error
from .functional import cat, method, norm
from .grad_mode import no_grad
from .ops import TABLE
from .ops.binary import where
from .ops.parts import complex
from .precision import autocasts, widened
from .shapes import broadcast_shapes, normalize_dim
from .tensor import Tensor

__all__ = [
    "CumulativeExtreme", "bincount", "cdist", "corrcoef", "cov", "createCumExtremeResult", "create_cum_extreme_result",
    "cummax", "cummin", "cumulative_trapezoid", "diff", "dist", "histc", "logcumsumexp", "trace", "trapezoid", "trapz",
]  # fmt: skip


@method
@autocasts
@widened
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    >>> import webtorch
    >>> webtorch.trace(webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if input.ndim != 2:
        raise coded_error(
            "linalg_error_requires_2d",
            f"trace: expected a matrix, but got tensor with dim {input.ndim}, shape {list(input._shape)}",
        )
    return input.diagonal().sum()


@method
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The differences of neighbours along `dim`, `n` times; of bools, whether they differ.

    >>> import webtorch
    >>> webtorch.diff(webtorch.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    if not input._shape:
        raise ShapeError("diff expects input to be at least one-dimensional")
    dim = normalize_dim(dim, input.ndim, "diff")
    if n < 0:
        raise ShapeError(f"diff(n={n}): order must be non-negative but got {n}")
    if n == 0:
        return input.clone()
    parts = []
    for part in (prepend, input, append):
        if part is None:
            continue
        if part.ndim != input.ndim:
            raise ShapeError("diff expects prepend or append to be the same dimension as input")
        parts.append(part)
    result = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        size = result._shape[dim]
        after, before = result.narrow(dim, min(1, size), max(0, size - 1)), result.narrow(dim, 0, max(0, size - 1))
        result = after != before if result.dtype is dtypes.bool_ else after - before
    return result


def trapezoids(y: Tensor, x: Tensor | None, dx: float | None, dim: int, call: str) -> Tensor:
    """The areas between neighbours along `dim`."""
    if x is not None and dx is not None:
        raise ShapeError(f"{call}: give either x or dx, not both")
    dim = normalize_dim(dim, y.ndim, call)
    size = y._shape[dim]
    if not size:
        return y.narrow(dim, 0, 0)
    if not y.dtype.is_differentiable:
        y = y.to(dtypes.get_default_dtype())
    pairs = y.narrow(dim, 1, size - 1) + y.narrow(dim, 0, size - 1)
    if x is None:
        return pairs * ((1.0 if dx is None else dx) / 2)
    if x.ndim == 1:
        if x._shape[0] != size:
            raise ShapeError(f"{call}: There must be one `x` value for each sample point, got {x._shape[0]} for {size}")
        x = x.reshape((size,) + (1,) * (y.ndim - dim - 1))
        return pairs * diff(x, dim=0) / 2
    steps = diff(x, dim=dim - y.ndim)
    return pairs * steps / 2


@method
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoidal rule, at the points `x` or at steps of `dx` (1).

    >>> import webtorch
    >>> webtorch.trapezoid(webtorch.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    return trapezoids(y, x, dx, dim, "trapezoid").sum(normalize_dim(dim, y.ndim, "trapezoid"))


@method
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` up to each point after the first.

    >>> import webtorch
    >>> webtorch.cumulative_trapezoid(webtorch.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    areas = trapezoids(y, x, dx, dim, "cumulative_trapezoid")
    return areas.cumsum(normalize_dim(dim, y.ndim, "cumulative_trapezoid"))


trapz = trapezoid


# ---- covariance -----------------------------------------------------------------------------------------------------


@method
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance of variables (rows) over observations (columns), which may count several times or by weight.

    >>> import webtorch
    >>> webtorch.cov(webtorch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if aweights is not None and input.dtype.is_floating_point:
        input = input.to(dtypes.promote_types(input.dtype, aweights.dtype))
    return covariances(input, correction=correction, fweights=fweights, aweights=aweights)


@widened
def covariances(input: Tensor, *, correction: int, fweights: Tensor | None, aweights: Tensor | None) -> Tensor:
    if input.ndim > 2:
        raise ShapeError(f"cov(): expected input to have two or fewer dimensions but got {input.ndim}")
    if input.dtype is dtypes.bool_:
        raise DTypeError("cov(): bool dtype is not supported for input; convert with .float()")
    rows = input if input.ndim == 2 else input.reshape((1, -1))
    if not rows.dtype.is_differentiable:
        rows = rows.to(dtypes.get_default_dtype())
    count = rows._shape[1]
    weights: Tensor | None = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        if given.ndim > 1 or given.numel() != count:
            raise ShapeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got {given.numel()} != {count}"
            )
        if name == "fweights" and given.dtype.kind not in ("int", "uint"):
            raise DTypeError(
                f"cov(): expected fweights to have integral dtype but got fweights with {given.dtype} dtype"
            )
        if name == "aweights" and not given.dtype.is_floating_point:
            raise DTypeError(f"cov(): expected aweights to have floating point dtype but got {given.dtype}")
        if bool((given < 0).any()):
            raise ShapeError(f"cov(): {name} cannot be negative")
        scale = given.reshape((-1,)).to(rows.dtype.to_real())
        weights = scale if weights is None else weights * scale
    if weights is None:
        centred = rows - rows.mean(1, keepdim=True)
        factor: Any = max(0, count - correction)
        product = centred.matmul(centred.mH)
    else:
        total = weights.sum()
        centred = rows - (rows * weights).sum(1, keepdim=True) / total
        if aweights is None:
            factor = total - correction
        else:
            squares = weights * aweights.reshape((-1,)).to(rows.dtype.to_real())
            factor = total - correction * squares.sum() / total
        factor = where(factor > 0, factor, 0.0)
        product = (centred * weights).matmul(centred.mH)
    result = product / factor
    return result.reshape(()) if result.numel() == 1 else result


@method
@widened
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of variables (rows) over observations (columns), between -1 and 1.

    >>> import webtorch
    >>> webtorch.corrcoef(webtorch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise ShapeError(f"corrcoef(): expected input to have two or fewer dimensions but got {input.ndim}")
    covariance = cov(input)
    if not covariance._shape:
        return covariance / covariance
    spread = covariance.diagonal().real.sqrt()
    scaled = covariance / spread.unsqueeze(1) / spread.unsqueeze(0)
    if scaled.dtype.is_complex:
        return complex(scaled.real.clamp(-1, 1), scaled.imag.clamp(-1, 1))
    return scaled.clamp(-1, 1)


# ---- counting -------------------------------------------------------------------------------------------------------


@method
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a vector of integers, or the sum of the weights of its occurrences.

    The length of the result depends on the largest value, which is read back from a GPU. Weights other than float32 add
    up in float64 (on webgpu in float32).

    >>> import webtorch
    >>> webtorch.bincount(webtorch.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    if input.ndim != 1 or input.dtype.kind not in ("int", "uint"):
        raise ShapeError(
            f"bincount only supports 1-d non-negative integral inputs, got {input.dtype} of shape {list(input._shape)}"
        )
    if minlength < 0:
        raise ShapeError(f"bincount(minlength={minlength}): minlength should be >= 0")
    if weights is not None and weights._shape != input._shape:
        raise ShapeError("bincount: weights should be 1-d and have the same length as input")
    with no_grad():
        size = minlength
        if input.numel():
            if int(input.min().item()) < 0:
                raise ShapeError("bincount only supports 1-d non-negative integral inputs; there is a negative one")
            size = max(size, int(input.max().item()) + 1)
        if weights is None:
            kind, values = dtypes.int64, creation.ones(input._shape, dtype=dtypes.int64, device=input.device)
        else:
            wide = (
                dtypes.float32 if weights.dtype is dtypes.float32 or input.device.type == "webgpu" else dtypes.float64
            )
            kind, values = wide, weights.detach().to(wide)
        zeros = creation.zeros((size,), dtype=kind, device=input.device)
        return zeros.scatter_add(0, input.to(dtypes.int64), values) if input.numel() else zeros


@method
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements lie in each of `bins` intervals of equal width from `min` to `max`, in the dtype of `input`.

    Elements outside (and NaN) do not count; `max` itself belongs to the last interval. With `min` equal to `max` the
    smallest and largest elements are used, which are read back from a GPU.

    >>> import webtorch
    >>> webtorch.histc(webtorch.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if not input.dtype.is_floating_point:
        raise DTypeError(f"histc: not implemented for {input.dtype}; convert with .float() first")
    low, high = float(min), float(max)
    if bins <= 0:
        raise ShapeError(f"histc(bins={bins}): bins must be > 0")
    with no_grad():
        flat = input.detach().reshape((input.numel(),))
        if low == high and flat.numel():
            low, high = float(flat.min().item()), float(flat.max().item())
        if low == high:
            low, high = low - 1, high + 1
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ShapeError(f"histc: range of [{low}, {high}] is not finite")
        if low > high:
            raise ShapeError(f"histc(min={min}, max={max}): max must be larger than min")
        counts = creation.zeros((bins + 1,), dtype=dtypes.int64, device=input.device)
        if flat.numel():
            inside = (flat >= low) & (flat <= high)
            place = ((where(inside, flat, low) - low) / (high - low) * bins).to(dtypes.int64).clamp(0, bins - 1)
            place = where(inside, place, bins)  # what lies outside is counted in a place of its own, then cut off
            counts = counts.scatter_add(0, place, creation.ones(flat._shape, dtype=dtypes.int64, device=input.device))
        return counts.narrow(0, 0, bins).to(input.dtype)


# ---- distances ------------------------------------------------------------------------------------------------------


@method
@autocasts
@widened
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference.

    >>> import webtorch
    >>> webtorch.dist(webtorch.tensor([0.0, 0.0]), webtorch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return norm(input - other, p)


@autocasts
@widened
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    """The p-norm distance of every row of `x1` to every row of `x2`; leading dimensions are batches and broadcast.

    Distances are always computed from differences (PyTorch's mode without matrix products), which is the exact one.

    >>> import webtorch
    >>> webtorch.cdist(webtorch.tensor([[0.0, 0.0]]), webtorch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    for name, tensor in (("X1", x1), ("X2", x2)):
        if tensor.ndim < 2:
            raise ShapeError(f"cdist only supports at least 2D tensors, {name} got: {tensor.ndim}D")
        if not tensor.dtype.is_floating_point:
            raise DTypeError(f"cdist only supports floating-point dtypes, {name} got: {tensor.dtype}")
    if x1._shape[-1] != x2._shape[-1]:
        raise ShapeError(
            f"cdist: X1 and X2 must have the same number of columns. X1: {x1._shape[-1]} X2: {x2._shape[-1]}"
        )
    if p < 0:
        raise ShapeError("cdist only supports non-negative p values")
    broadcast_shapes(x1._shape[:-2], x2._shape[:-2], call="cdist")
    return norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), float(p), -1)


# ---- running quantities ---------------------------------------------------------------------------------------------


class CumulativeExtreme(NamedTuple):
    """What `cummax` and `cummin` return."""

    values: Tensor
    indices: Tensor


def create_cum_extreme_result(values: Tensor, indices: Tensor) -> CumulativeExtreme:
    """The pair that `cummax` and `cummin` return.

    >>> import webtorch
    >>> webtorch.create_cum_extreme_result(webtorch.tensor([5]), webtorch.tensor([0])).values
    tensor([5])
    """
    return CumulativeExtreme(values, indices)


createCumExtremeResult = create_cum_extreme_result


def running(x: Tensor, dim: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """All elements up to each one combined, in steps that double how far back each element has looked."""
    reach, size = 1, x._shape[dim]
    while reach < size:
        later, earlier = x.narrow(dim, reach, size - reach), x.narrow(dim, 0, size - reach)
        x = cat([x.narrow(dim, 0, reach), combine(earlier, later)], dim)
        reach *= 2
    return x


def cumulative_extreme(input: Tensor, dim: int, row: str, call: str) -> CumulativeExtreme:
    dim = normalize_dim(dim, input.ndim, call)
    if not input._shape:
        return CumulativeExtreme(input.clone(), creation.zeros((), dtype=dtypes.int64, device=input.device))
    with no_grad():
        x = input.detach()
        small = x.to(dtypes.uint8) if x.dtype is dtypes.bool_ else x
        best = running(small, dim, TABLE[row])
        ramp = creation.ramp_tensor(x._shape[dim], 0, 1, dtypes.int32, x.device)
        place = ramp.reshape((-1,) + (1,) * (x.ndim - dim - 1))
        record = small == best  # of equal elements the last is the record
        if x.dtype.is_floating_point:
            record = record | x.isnan()
        # The first element is a record always, so the position in front of it never stays.
        indices = running(where(record, place, 0), dim, TABLE["maximum"]).to(dtypes.int64)
    return CumulativeExtreme(input.gather(dim, indices), indices)


@method
def cummax(input: Tensor, dim: int) -> CumulativeExtreme:
    """The largest element up to each along `dim`, and its position (of equals the last); NaN stays.

    >>> import webtorch
    >>> webtorch.cummax(webtorch.tensor([1, 3, 2, 3]), 0).indices
    tensor([0, 1, 1, 3])
    """
    return cumulative_extreme(input, dim, "maximum", "cummax")


@method
def cummin(input: Tensor, dim: int) -> CumulativeExtreme:
    """The smallest element up to each along `dim`, and its position (of equals the last); NaN stays.

    >>> import webtorch
    >>> webtorch.cummin(webtorch.tensor([3, 1, 2, 1]), 0).values
    tensor([3, 1, 1, 1])
    """
    return cumulative_extreme(input, dim, "minimum", "cummin")


def log_of_sum(a: Tensor, b: Tensor) -> Tensor:
    """log(exp(a) + exp(b)), with a gradient of zero, not NaN, where both are minus infinity."""
    with no_grad():
        a_, b_ = a.detach(), b.detach()
        top = where(a_.real >= b_.real, a_, b_) if a.dtype.is_complex else TABLE["maximum"](a_, b_)
        top = where(top.real.abs() == math.inf, 0.0, top)
    total = (a - top).exp() + (b - top).exp()
    empty = total == 0
    return where(empty, -math.inf, where(empty, 1.0, total).log() + top)


@method
@autocasts
@widened
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(input))) along `dim`, without overflow. Imaginary parts are meant up to whole turns.

    >>> import webtorch
    >>> webtorch.logcumsumexp(webtorch.tensor([0.0, 0.0]), 0)
    tensor([0.0000, 0.6931])
    """
    if not input.dtype.is_differentiable:
        raise DTypeError(f"logcumsumexp: not implemented for {input.dtype}; convert with .float() first")
    dim = normalize_dim(dim, input.ndim, "logcumsumexp")
    return running(input, dim, log_of_sum) if input._shape and input._shape[dim] > 1 else input.clone()
