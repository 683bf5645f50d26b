"""Distributions of matrices: Wishart's of covariances, and Lewandowski, Kurowicka and Joe's of correlations."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import creation, functional, linalg
from ..grad_mode import no_grad
from ..shapes import broadcast_shapes
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily, normal, where
from .gammas import Beta, standard_gamma_log
from .multivariate import log_diagonal

__all__ = ["LKJCholesky", "Wishart"]


def steps(count: int, like: Tensor) -> Tensor:
    return creation.arange(count, dtype=like.dtype, device=like.device)


def log_multigamma(x: Tensor, size: int) -> Tensor:
    """The logarithm of the multivariate gamma function: unlike `mvlgamma` for large arguments of GPUs' float32, too."""
    parts = (x.unsqueeze(-1) - 0.5 * steps(size, x)).lgamma().sum(-1)
    return parts + size * (size - 1) / 4 * math.log(math.pi)


def multi_digamma(x: Tensor, size: int) -> Tensor:
    return (x.unsqueeze(-1) - 0.5 * steps(size, x)).digamma().sum(-1)


class Wishart(ExponentialFamily):
    """Sums of `df` outer products of normal vectors, by the covariance matrix of those, its inverse, or its Cholesky factor.
    Samples are Bartlett's.

    >>> import webtorch
    >>> webtorch.distributions.Wishart(webtorch.tensor(2.0), webtorch.eye(2)).mean
    tensor([[2., 0.],
            [0., 2.]])
    """

    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        chosen = [(name, value) for name, value in given.items() if value is not None]
        if len(chosen) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = chosen
        if matrix.ndim < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        size = matrix.shape[-1]
        df = df if isinstance(df, Tensor) else creation.tensor(float(df), dtype=matrix.dtype, device=matrix.device)
        batch = broadcast_shapes(df.shape, matrix.shape[:-2])
        self.df = df.expand(batch)
        setattr(self, name, matrix.expand(*batch, size, size))
        if bool((self.df <= size - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        super().__init__(batch, (size, size), validate_args)
        if name == "scale_tril":
            self._lower = self.scale_tril
        elif name == "covariance_matrix":
            self._lower = linalg.cholesky(self.covariance_matrix)
        else:
            self._lower = linalg.cholesky(linalg.inv(self.precision_matrix))

    @property
    def arg_constraints(self) -> Any:  # type: ignore[override]
        """What the parameters have to be."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @functools.cached_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariances."""
        return self._lower

    @functools.cached_property
    def covariance_matrix(self) -> Tensor:
        """The covariances."""
        return self._lower @ self._lower.mT

    @functools.cached_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariances."""
        return linalg.inv(self.covariance_matrix)

    def wide_df(self) -> Tensor:
        return self.df.unsqueeze(-1).unsqueeze(-1)

    @property
    def mean(self) -> Tensor:
        return self.wide_df() * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.wide_df() - self._event_shape[-1] - 1
        return where(factor > 0, factor, math.nan) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        V = self.covariance_matrix
        diagonal = V.diagonal(dim1=-2, dim2=-1)
        return self.wide_df() * (V * V + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        size = shape[-1]
        half = 0.5 * (self.df.unsqueeze(-1) - steps(size, self.df)).expand(shape[:-1])
        chi = (0.5 * (standard_gamma_log(half) + math.log(2))).exp()  # the root of a chi-squared number
        factor = self._lower @ (normal(shape, self.df).tril(-1) + chi.diag_embed())
        return factor @ factor.mT

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        size = self._event_shape[-1]
        factor = linalg.cholesky(value)
        lower = self._lower.expand(*factor.shape)
        inner = linalg.solve_triangular(lower, factor, upper=False)
        half = 0.5 * self.df
        return (
            (self.df - size - 1) * log_diagonal(factor) - 0.5 * (inner * inner).sum((-2, -1)) - self.df * log_diagonal(self._lower)
            - half * size * math.log(2) - log_multigamma(half, size)
        )  # fmt: skip

    def entropy(self) -> Tensor:
        size, half = self._event_shape[-1], 0.5 * self.df
        scale = (size + 1) * (0.5 * size * math.log(2) + log_diagonal(self._lower))
        rest = log_multigamma(half, size) - 0.5 * (self.df - size - 1) * multi_digamma(half, size)
        return scale + rest + half * size


class LKJCholesky(Distribution):
    """The Cholesky factors of correlation matrices, whose density is their determinant ** (concentration - 1)
    (Lewandowski, Kurowicka and Joe, 2009); samples come from their onion method.

    >>> import webtorch
    >>> webtorch.distributions.LKJCholesky(2, 1.0).log_prob(webtorch.eye(2))
    tensor(-0.6931)
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    has_rsample = False

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        self.concentration = (
            concentration if isinstance(concentration, Tensor) else creation.tensor(float(concentration))
        )
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of shape sample_shape + batch_shape + (dim, dim), without gradients."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            # Row i is a point in the ball of i dimensions, in a random direction, at a distance whose square is Beta's.
            row = steps(self.dim - 1, self.concentration) + 1
            rest = self.concentration.unsqueeze(-1) + 0.5 * (self.dim - 1 - row)
            square = Beta((0.5 * row).expand(rest.shape), rest, validate_args=False).sample(sample_shape)
            first = creation.zeros(*shape[:-2], 1, dtype=square.dtype, device=square.device)
            square = functional.cat([first, square], -1).unsqueeze(-1)
            way = normal(shape, self.concentration).tril(-1)
            length = (way * way).sum(-1, keepdim=True).sqrt()
            below = way / where(length > 0, length, 1.0) * square.sqrt()
            own = (1 - (below * below).sum(-1)).clamp(min=2.0**-126).sqrt()
            return below + own.diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        count = self.dim - 1
        row = steps(count, self.concentration) + 2
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - row
        diagonal = value.diagonal(dim1=-2, dim2=-1).narrow(-1, 1, count)
        alpha = self.concentration + 0.5 * count
        normalizer = 0.5 * count * math.log(math.pi) + log_multigamma(alpha - 0.5, count) - count * alpha.lgamma()
        return (order * diagonal.log()).sum(-1) - normalizer
