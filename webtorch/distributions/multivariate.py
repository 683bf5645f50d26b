"""Normal distributions of vectors."""

from __future__ import annotations

import functools
from typing import Any

from .. import linalg
from ..shapes import broadcast_shapes
from ..tensor import Tensor
from . import constraints
from .distribution import HALF_LOG_TWO_PI, Distribution, normal

__all__ = ["LowRankMultivariateNormal", "MultivariateNormal"]


def log_diagonal(lower: Tensor) -> Tensor:
    return lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """The normal distribution of vectors, by its covariance matrix, the inverse of that, or its Cholesky factor.

    >>> import webtorch
    >>> vectors = webtorch.distributions.MultivariateNormal(webtorch.zeros(2), webtorch.eye(2))
    >>> vectors.log_prob(webtorch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky,
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        chosen = [(name, value) for name, value in given.items() if value is not None]
        if len(chosen) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        ((name, matrix),) = chosen
        if matrix.ndim < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        size = loc.shape[-1]
        batch = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand(*batch, size)
        setattr(self, name, matrix.expand(*batch, size, size))
        super().__init__(batch, (size,), validate_args)
        if name == "scale_tril":
            self._lower = self.scale_tril
        elif name == "covariance_matrix":
            self._lower = linalg.cholesky(self.covariance_matrix)
        else:
            self._lower = linalg.cholesky(linalg.inv(self.precision_matrix))

    @functools.cached_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariances."""
        return self._lower

    @functools.cached_property
    def covariance_matrix(self) -> Tensor:
        """The covariances."""
        return self._lower @ self._lower.transpose(-2, -1)

    @functools.cached_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariances."""
        return linalg.inv(self.covariance_matrix)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return (self._lower * self._lower).sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        drawn = normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + (self._lower @ drawn.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        distance = (value - self.loc).unsqueeze(-1)
        lower = self._lower.expand(*distance.shape[:-1], self._event_shape[0])
        solved = linalg.solve_triangular(lower, distance, upper=False).squeeze(-1)
        return -0.5 * (solved * solved).sum(-1) - log_diagonal(self._lower) - self._event_shape[0] * HALF_LOG_TWO_PI

    def entropy(self) -> Tensor:
        return self._event_shape[0] * (0.5 + HALF_LOG_TWO_PI) + log_diagonal(self._lower)


class LowRankMultivariateNormal(MultivariateNormal):
    """Covariances cov_factor @ cov_factor.T + diag(cov_diag). The matrix is built whole, and factored."""

    arg_constraints: Any = {
        "loc": constraints.real_vector, "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }  # fmt: skip

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if cov_factor.ndim < 2 or cov_factor.shape[-2] != loc.shape[-1]:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {loc.shape[-1]} x m")
        if cov_diag.shape[-1:] != loc.shape[-1:]:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {tuple(loc.shape[-1:])}")
        batch = broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        self.cov_factor = cov_factor.expand(*batch, *cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(*batch, *cov_diag.shape[-1:])
        covariances = self.cov_factor @ self.cov_factor.transpose(-2, -1) + self.cov_diag.diag_embed()
        self._lower = linalg.cholesky(covariances)
        self.loc = loc.expand(*batch, loc.shape[-1])
        Distribution.__init__(self, batch, loc.shape[-1:], validate_args)
