"""Invertible functions of random numbers, with the logarithm of how much they stretch."""

from __future__ import annotations

import math
from typing import Any

from .. import creation, functional, movement
from ..tensor import Tensor
from . import constraints
from .distribution import softplus, sum_rightmost

__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform", "CumulativeDistributionTransform",
    "ExpTransform", "IndependentTransform",
    "LowerCholeskyTransform", "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform",
    "SoftmaxTransform", "SoftplusTransform", "StackTransform", "StickBreakingTransform", "TanhTransform", "Transform",
    "identity_transform",
]  # fmt: skip


UNCOMPARED = ("_cache_size", "_pair", "bijective", "codomain", "domain", "sign")


def alike(one: Any, other: Any) -> bool:
    """Whether two attributes of transforms are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return bool((one == other).all())  # type: ignore[union-attr]
    return one == other


class Transform:
    """The base: subclasses define `_call`, `_inverse` and `log_abs_det_jacobian(x, y)`.

    `domain` and `codomain` are constraints; `cache_size` is accepted, and 1 keeps the last pair.

    >>> import webtorch
    >>> double = webtorch.distributions.AffineTransform(0.0, 2.0)
    >>> double(webtorch.tensor(3.0)), double.inv(webtorch.tensor(3.0))
    (tensor(6.), tensor(1.5000))
    """

    bijective = False
    domain: Any = constraints.real
    codomain: Any = constraints.real
    sign: Any = None

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._pair: tuple[Any, Any] = (None, None)

    @property
    def event_dim(self) -> int:
        """How many dimensions belong together."""
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim
        raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")

    @property
    def inv(self) -> Transform:
        """The inverse."""
        return Inverse(self)

    def __call__(self, x: Tensor) -> Tensor:
        if self._cache_size and x is self._pair[0]:
            return self._pair[1]
        y = self._call(x)
        if self._cache_size:
            self._pair = (x, y)
        return y

    def inverse(self, y: Tensor) -> Tensor:
        """The x that gives y."""
        if self._cache_size and y is self._pair[1]:
            return self._pair[0]
        x = self._inverse(y)
        if self._cache_size:
            self._pair = (x, y)
        return x

    def _inv_call(self, y: Tensor) -> Tensor:
        return self.inverse(y)

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(type(self).__name__)

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |det dy/dx|."""
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian")

    def forward_shape(self, shape: Any) -> Any:
        """The shape of y for x of this shape."""
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """The shape of x for y of this shape."""
        return shape

    def __eq__(self, other: object) -> bool:
        """Of one class and with the same numbers."""
        return self is other or (type(self) is type(other) and alike(self.described(), other.described()))  # type: ignore[attr-defined]

    def described(self) -> dict:
        return {name: value for name, value in vars(self).items() if name not in UNCOMPARED}

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Inverse(Transform):
    """The inverse of a transform."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv = transform
        self.bijective, self.sign = transform.bijective, transform.sign
        self.domain, self.codomain = transform.codomain, transform.domain

    @property
    def inv(self) -> Transform:
        return self._inv

    def _call(self, x: Tensor) -> Tensor:
        return self._inv.inverse(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self._inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._inv.forward_shape(shape)


class ComposeTransform(Transform):
    """Several transforms, one after the other."""

    def __init__(self, parts: list[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = list(parts)
        self.bijective = all(part.bijective for part in self.parts)
        self.sign = None
        if self.parts and all(part.sign is not None for part in self.parts):
            self.sign = math.prod(part.sign for part in self.parts)
        if self.parts:
            self.domain, self.codomain = self.parts[0].domain, self.parts[-1].codomain
            width = max(max(part.domain.event_dim, part.codomain.event_dim) for part in self.parts)
            if width > self.domain.event_dim and self.domain.event_dim == self.codomain.event_dim:
                extra = width - self.domain.event_dim
                self.domain = constraints.independent(self.domain, extra)
                self.codomain = constraints.independent(self.codomain, extra)
        else:
            self.bijective, self.sign = True, 1

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.inverse(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return x * 0
        total: Any = 0
        width = self.domain.event_dim
        for part in self.parts:
            following = part(x)
            total = total + sum_rightmost(part.log_abs_det_jacobian(x, following), width - part.domain.event_dim)
            width += part.codomain.event_dim - part.domain.event_dim
            x = following
        return total

    def forward_shape(self, shape: Any) -> Any:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """Another transform, of which more dimensions belong together."""

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.bijective, self.sign = base_transform.bijective, base_transform.sign
        self.domain = constraints.independent(base_transform.domain, reinterpreted_batch_ndims)
        self.codomain = constraints.independent(base_transform.codomain, reinterpreted_batch_ndims)

    def _call(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform.inverse(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_rightmost(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)


class ReshapeTransform(Transform):
    """Another shape of events."""

    bijective = True

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError("in_shape, out_shape have different numbers of elements")
        self.domain = constraints.independent(constraints.real, len(self.in_shape))
        self.codomain = constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[: x.ndim - len(self.in_shape)], *self.out_shape)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(*y.shape[: y.ndim - len(self.out_shape)], *self.in_shape)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return creation.zeros(x.shape[: x.ndim - len(self.in_shape)], dtype=x.dtype, device=x.device)

    def forward_shape(self, shape: Any) -> Any:
        return (*shape[: len(shape) - len(self.in_shape)], *self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        return (*shape[: len(shape) - len(self.out_shape)], *self.in_shape)


class ExpTransform(Transform):
    """y = exp(x)."""

    codomain = constraints.positive
    bijective, sign = True, 1

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """y = x ** exponent, for positive x."""

    domain = codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:  # type: ignore[override]
        return self.exponent.sign() if isinstance(self.exponent, Tensor) else math.copysign(1, self.exponent)

    def _call(self, x: Tensor) -> Tensor:
        return x**self.exponent

    def _inverse(self, y: Tensor) -> Tensor:
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x))."""

    codomain = constraints.unit_interval
    bijective, sign = True, 1

    def _call(self, x: Tensor) -> Tensor:
        return x.sigmoid().clamp(min=2.0**-126, max=1 - 2.0**-23)

    def _inverse(self, y: Tensor) -> Tensor:
        y = y.clamp(min=2.0**-126, max=1 - 2.0**-23)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(Transform):
    """y = log(1 + exp(x))."""

    codomain = constraints.positive
    bijective, sign = True, 1

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-(-y).expm1()).log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class TanhTransform(Transform):
    """y = tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)
    bijective, sign = True, 1

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class AbsTransform(Transform):
    """y = |x|, which has no inverse; `inverse` gives the positive one."""

    codomain = constraints.nonnegative

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """y = loc + scale * x."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self) -> Any:  # type: ignore[override]
        return self.scale.sign() if isinstance(self.scale, Tensor) else (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        size = self.scale.abs().log() if isinstance(self.scale, Tensor) else math.log(abs(self.scale))
        return sum_rightmost(x * 0 + size, self.domain.event_dim)


class SoftmaxTransform(Transform):
    """Probabilities in proportion to exp(x); not bijective."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()


class StickBreakingTransform(Transform):
    """Probabilities of K + 1 categories from K numbers, by breaking pieces off a stick."""

    domain, codomain = constraints.real_vector, constraints.simplex
    bijective = True

    def offset(self, x: Tensor) -> Tensor:
        return creation.arange(x.shape[-1], 0, -1, dtype=x.dtype, device=x.device).log()

    def _call(self, x: Tensor) -> Tensor:
        broken = (x - self.offset(x)).sigmoid()
        rest = (1 - broken).cumprod(-1)
        one = creation.ones(*x.shape[:-1], 1, dtype=x.dtype, device=x.device)
        return functional.cat([broken, one], -1) * functional.cat([one, rest], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        part = y.narrow(-1, 0, y.shape[-1] - 1)
        rest = (1 - part.cumsum(-1)).clamp(min=2.0**-126)
        return part.log() - rest.log() + self.offset(part)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self.offset(x)
        return (-x - softplus(-x) + y.narrow(-1, 0, y.shape[-1] - 1).log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Any) -> Any:
        return (*shape[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """A lower triangular matrix with positive diagonal from any matrix."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Transform):
    """A positive definite matrix from any matrix."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        lower = LowerCholeskyTransform()(x)
        return lower @ lower.transpose(-2, -1)

    def _inverse(self, y: Tensor) -> Tensor:
        from .. import linalg

        return LowerCholeskyTransform().inverse(linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """The Cholesky factor of a correlation matrix of n rows from n (n - 1) / 2 numbers, row by row: each is, after a tanh, the
    part of what is left of its row's length.

    >>> import webtorch
    >>> y = webtorch.distributions.CorrCholeskyTransform()(webtorch.tensor([0.5, -1.0, 2.0]))
    >>> (y * y).sum(-1)
    tensor([1., 1., 1.])
    """

    domain, codomain = constraints.real_vector, constraints.corr_cholesky
    bijective = True

    def rows_of(self, x: Tensor) -> int:
        return self.forward_shape(x.shape)[-1]

    def below(self, y: Tensor) -> Tensor:
        """The elements below the diagonal, row by row."""
        n = y.shape[-1]
        row, column = movement.tril_indices(n, n, -1, device=y.device).unbind(0)
        return y.flatten(-2).index_select(-1, row * n + column)

    def _call(self, x: Tensor) -> Tensor:
        n, count = self.rows_of(x), x.shape[-1]
        part = x.tanh()
        # Each place of the matrix takes an element of the vector, or the 0 or the 1 behind it.
        places = [r * (r - 1) // 2 + c if c < r else count + (c == r) for r in range(n) for c in range(n)]
        limit = 1 - 2.0**-24 if x.dtype.itemsize <= 4 else 1 - 2.0**-53
        part = part.clamp(min=-limit, max=limit)
        ends = creation.tensor([0.0, 1.0], dtype=x.dtype, device=x.device).expand(*x.shape[:-1], 2)
        picked = functional.cat([part, ends], -1).index_select(-1, creation.tensor(places, device=x.device))
        matrix = picked.reshape((*x.shape[:-1], n, n))
        left = (1 - (matrix * matrix).tril(-1)).sqrt().cumprod(-1)
        one = creation.ones(*x.shape[:-1], n, 1, dtype=x.dtype, device=x.device)
        return matrix * functional.cat([one, left.narrow(-1, 0, n - 1)], -1)

    def left_of(self, y: Tensor) -> Tensor:
        """What the places to the left of each have left of the row's squared length, below the diagonal."""
        square = y * y
        return self.below(1 - (square.cumsum(-1) - square))

    def _inverse(self, y: Tensor) -> Tensor:
        return (self.below(y) / self.left_of(y).sqrt()).atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 0.5 * self.left_of(y).log().sum(-1) + 2 * (math.log(2) - x - softplus(-2 * x)).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        count = shape[-1]
        n = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != count:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 2 or shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


class CumulativeDistributionTransform(Transform):
    """y = the distribution function of x."""

    codomain = constraints.unit_interval
    bijective, sign = True, 1

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:  # type: ignore[override]
        return self.distribution.support

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


class CatTransform(Transform):
    """A transform for each stretch of `lengths` places (by default one each) along a dimension."""

    def __init__(self, tseq: Any, dim: int = 0, lengths: Any = None, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        self.bijective = all(each.bijective for each in self.transforms)
        self.domain = constraints.cat([each.domain for each in self.transforms], dim, self.lengths)
        self.codomain = constraints.cat([each.codomain for each in self.transforms], dim, self.lengths)

    @property
    def length(self) -> int:
        """The size of the dimension."""
        return sum(self.lengths)

    def parts(self, value: Tensor) -> list[Tensor]:
        if value.shape[self.dim] != self.length:
            raise ValueError(f"CatTransform: dimension {self.dim} has size {value.shape[self.dim]}, not {self.length}")
        return list(value.split(self.lengths, self.dim))

    def _call(self, x: Tensor) -> Tensor:
        pairs = zip(self.transforms, self.parts(x), strict=True)
        return functional.cat([each(part) for each, part in pairs], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        pairs = zip(self.transforms, self.parts(y), strict=True)
        return functional.cat([each.inverse(part) for each, part in pairs], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        whole = self.domain.event_dim
        found = []
        for each, a, b in zip(self.transforms, self.parts(x), self.parts(y), strict=True):
            found.append(sum_rightmost(each.log_abs_det_jacobian(a, b), whole - each.domain.event_dim))
        dim = self.dim - x.ndim if self.dim >= 0 else self.dim
        if dim + whole < 0:
            return functional.cat(found, dim + whole)
        total = found[0]
        for part in found[1:]:
            total = total + part
        return total


class StackTransform(Transform):
    """A transform for each place along a dimension."""

    def __init__(self, tseq: Any, dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.bijective = all(each.bijective for each in self.transforms)
        self.domain = constraints.stack([each.domain for each in self.transforms], dim)
        self.codomain = constraints.stack([each.codomain for each in self.transforms], dim)

    def parts(self, value: Tensor) -> list[Tensor]:
        return [value.select(self.dim, place) for place in range(value.shape[self.dim])]

    def _call(self, x: Tensor) -> Tensor:
        return functional.stack(
            [each(part) for each, part in zip(self.transforms, self.parts(x), strict=True)], self.dim
        )

    def _inverse(self, y: Tensor) -> Tensor:
        found = [each.inverse(part) for each, part in zip(self.transforms, self.parts(y), strict=True)]
        return functional.stack(found, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(self.transforms, self.parts(x), self.parts(y), strict=True)
        return functional.stack([each.log_abs_det_jacobian(a, b) for each, a, b in pairs], self.dim)
