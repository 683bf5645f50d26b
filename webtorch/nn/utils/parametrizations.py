"""Parametrizations that keep something true of a weight: its spectral norm, its length apart, its columns orthonormal."""

from __future__ import annotations

from typing import Any

import numpy as np

import webtorch

from ... import creation, grad_mode
from ...errors import ShapeError
from ...tensor import Tensor
from ..functional import normalize
from ..module import Module
from . import parametrize
from .weight_norm import norm_except_dim, with_length

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return with_length(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn the length (`original0`) and the direction (`original1`) of a weight (Salimans and Kingma, 2016).

    State dicts of the old `utils.weight_norm` load, too.

    >>> import webtorch
    >>> layer = webtorch.nn.utils.parametrizations.weight_norm(webtorch.nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: dict, prefix: str, *rest: Any) -> None:
        for number, letter in enumerate("gv"):
            old = f"{prefix}{name}_{letter}"
            if old in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.original{number}"] = state_dict.pop(old)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            with grad_mode.no_grad():
                matrix = self.as_matrix(weight)
                rows, columns = matrix._shape
                make = {"dtype": weight.dtype, "device": weight.device}
                self.register_buffer("_u", normalize(webtorch.randn(rows, **make), dim=0, eps=eps))
                self.register_buffer("_v", normalize(webtorch.randn(columns, **make), dim=0, eps=eps))
                self.improve(matrix, 15)

    def as_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def improve(self, matrix: Tensor, iterations: int) -> None:
        """Power iteration towards the vectors of the largest singular value."""
        with grad_mode.no_grad():
            matrix = matrix.detach()
            for _ in range(iterations):
                self._u.copy_(normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(normalize(matrix.t() @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self.as_matrix(weight)
        if self.training:
            self.improve(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # they may change before the backward pass
        return weight / (u * (matrix @ v)).sum()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, found by power iteration (Miyato et al., 2018).

    >>> import webtorch
    >>> layer = webtorch.nn.utils.parametrizations.spectral_norm(webtorch.nn.Linear(3, 2))
    >>> sorted(layer.state_dict())
    ['bias', 'parametrizations.weight.0._u', 'parametrizations.weight.0._v', 'parametrizations.weight.original']
    """
    weight = tensor_of(module, name)
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.orthogonal_map = orthogonal_map
        self.shape = tuple(weight._shape)
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        n, k = X._shape[-2:]
        wide = n < k
        if wide:
            X, n, k = X.mT, k, n
        if self.orthogonal_map == "householder":
            Q = reflections(X)
        else:
            A = X.tril()
            if n != k:
                A = webtorch.cat([A, creation.zeros(*A._shape[:-2], n, n - k, dtype=A.dtype, device=A.device)], -1)
            A = A - A.mT
            if self.orthogonal_map == "matrix_exp":
                Q = exponential(A)
            else:
                identity = creation.eye(n, dtype=A.dtype, device=A.device)
                Q = webtorch.linalg.solve(identity - A / 2, identity + A / 2)
            if n != k:
                Q = Q[..., :k]
        base = getattr(self, "base", None)
        if base is not None:
            Q = base @ Q
        return Q.mT if wide else Q

    def right_inverse(self, Q: Tensor) -> Tensor:
        if tuple(Q._shape) != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        wide = Q._shape[-2] < Q._shape[-1]
        tall = (Q.mT if wide else Q).detach().cpu().numpy()
        n, k = tall.shape[-2:]
        if not hasattr(self, "base"):
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when use_trivialization=False."
                )
            result = creation.tensor(np.ascontiguousarray(householder_columns(tall)), dtype=Q.dtype, device=Q.device)
            return result.mT.contiguous() if wide else result
        if n != k:  # completed to a full basis
            more = webtorch.randn(*tall.shape[:-2], n, n - k, device="cpu").numpy()
            tall = np.concatenate([tall, more.astype(tall.dtype)], -1)
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1, 1).astype(q.dtype)[..., None, :]
        self.base = creation.tensor(np.ascontiguousarray(q), dtype=Q.dtype, device=Q.device)
        # Minus the identity stands for no change: its diagonal holds the signs of the Householder map.
        identity = creation.eye(*self.shape[-2:], dtype=Q.dtype, device=Q.device)
        return (-identity).expand(self.shape).contiguous()


def householder_columns(a: np.ndarray) -> np.ndarray:
    """The QR decomposition as LAPACK stores it: reflection vectors below the diagonal, whose first element 1 is left out;
    the diagonal holds the signs that make Q out of the product of the reflections."""
    result = np.array(a, np.float64)
    for matrix in result.reshape(-1, *a.shape[-2:]):
        n, k = matrix.shape
        for column in range(k):
            x = matrix[column:, column].copy()
            rest = np.linalg.norm(x[1:]) if len(x) > 1 else 0.0
            if rest == 0:
                matrix[column, column] = -np.sign(x[0])
                continue
            top = -np.copysign(np.hypot(x[0], rest), x[0])
            v = np.concatenate([[1.0], x[1:] / (x[0] - top)])
            tau = (top - x[0]) / top
            matrix[column:, column + 1 :] -= tau * np.outer(v, v @ matrix[column:, column + 1 :])
            matrix[column + 1 :, column] = v[1:]
            matrix[column, column] = np.sign(top)
    return result.astype(a.dtype)


def reflections(A: Tensor) -> Tensor:
    """The first columns of the product of Householder reflections by the columns of A's lower triangle, ones on the diagonal."""
    n, k = A._shape[-2:]
    identity = creation.eye(n, k, dtype=A.dtype, device=A.device)
    lower = A.tril(-1) + identity
    result = identity.expand(A._shape)
    for column in reversed(range(k)):
        v = lower[..., column : column + 1]
        result = result - v @ (v.mT @ result) * (2.0 / (v * v).sum((-2, -1), keepdim=True))
    return result * A.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)


def exponential(A: Tensor) -> Tensor:
    """The exponential of square matrices, by a power series of a small part of them, squared again and again."""
    if hasattr(webtorch, "matrix_exp"):
        return webtorch.matrix_exp(A)
    norm = float(A.detach().abs().sum(-1).max().item())
    squarings = 0
    while norm > 0.5:
        norm, squarings = norm / 2, squarings + 1
    A = A / 2**squarings
    identity = creation.eye(A._shape[-1], dtype=A.dtype, device=A.device)
    result = identity
    for number in reversed(range(1, 13)):
        result = identity + A @ result / number
    for _ in range(squarings):
        result = result @ result
    return result


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keep the columns of a weight (its rows if it is wide) orthonormal, whatever is learnt.

    `orthogonal_map`: "matrix_exp" (the default for square weights), "cayley" or "householder" (the default for others).

    >>> import webtorch
    >>> layer = webtorch.nn.utils.parametrizations.orthogonal(webtorch.nn.Linear(3, 3))
    >>> bool(webtorch.allclose(layer.weight @ layer.weight.T, webtorch.eye(3), atol=1e-5))
    True
    """
    weight = tensor_of(module, name)
    if weight.ndim < 2:
        raise ShapeError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight._shape[-2] == weight._shape[-1]
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    one = _Orthogonal(weight, orthogonal_map, use_trivialization)
    parametrize.register_parametrization(module, name, one, unsafe=True)
    return module
