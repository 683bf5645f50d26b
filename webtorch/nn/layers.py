"""Layers that map features: linear, bilinear, embedding, dropout, and changes of shape."""

from __future__ import annotations

import math
from typing import Any

from .. import creation, grad_mode
from ..errors import ShapeError
from ..shapes import normalize_dim
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module, Parameter

__all__ = [
    "AlphaDropout", "Bilinear", "CosineSimilarity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Embedding", "EmbeddingBag",
    "FeatureAlphaDropout", "Flatten",
    "Identity", "Linear", "PairwiseDistance", "PixelShuffle", "Unflatten",
]  # fmt: skip


def empty_parameter(*sizes: int, device: Any, dtype: Any) -> Parameter:
    return Parameter(creation.empty(*sizes, device=device, dtype=dtype))


class Identity(Module):
    """Returns what it is given, whatever arguments it is made with.

    >>> import webtorch
    >>> webtorch.nn.Identity(54)(webtorch.ones(1))
    tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """x @ weight.T + bias; weight is (out_features, in_features). Initialised uniformly within 1 / sqrt(in_features).

    >>> import webtorch
    >>> webtorch.nn.Linear(3, 2)(webtorch.ones(5, 3)).shape
    webtorch.Size([5, 2])
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = empty_parameter(out_features, in_features, device=device, dtype=dtype)
        if bias:
            self.bias = empty_parameter(out_features, device=device, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # which comes to 1 / sqrt(fan_in)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear`, by the name that PyTorch gives to the output layer of attention."""


class Bilinear(Module):
    """x1 @ weight[k] @ x2 + bias[k] for every output k; weight is (out, in1, in2).

    >>> import webtorch
    >>> webtorch.nn.Bilinear(2, 3, 4)(webtorch.ones(5, 2), webtorch.ones(5, 3)).shape
    webtorch.Size([5, 4])
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = empty_parameter(out_features, in1_features, in2_features, device=device, dtype=dtype)
        if bias:
            self.bias = empty_parameter(out_features, device=device, dtype=dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """A table of vectors, read by index; weight is (num_embeddings, embedding_dim), normal at first.

    The row `padding_idx` starts as zeros and gets no gradient.

    >>> import webtorch
    >>> webtorch.nn.Embedding(10, 3, padding_idx=0)(webtorch.tensor([0]))
    tensor([[0., 0., 0.]], grad_fn=...)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise AssertionError("Padding_idx must be within num_embeddings")
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            self.weight = Parameter(
                creation.empty(num_embeddings, embedding_dim, device=device, dtype=dtype), requires_grad=not _freeze
            )
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with grad_mode.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        return text

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, **rest: Any
    ) -> Embedding:
        """An embedding that starts from a given table, not learnt unless `freeze` is false."""
        if embeddings.ndim != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        return cls(rows, columns, padding_idx, _weight=embeddings, _freeze=freeze, **rest)


class EmbeddingBag(Module):
    """Sums, means or maxima of rows of a table over bags of indices.

    Bags are the rows of a 2-D input, or parts of a 1-D one that begin at `offsets`.

    >>> import webtorch
    >>> bag = webtorch.nn.EmbeddingBag(10, 3, mode="sum")
    >>> bag(webtorch.tensor([1, 2, 4, 5, 4]), webtorch.tensor([0, 2])).shape
    webtorch.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise AssertionError("padding_idx must be within num_embeddings")
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        if _weight is None:
            self.weight = empty_parameter(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.reset_parameters()
        else:
            if list(_weight.shape) != [num_embeddings, embedding_dim]:
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self.weight = Parameter(_weight)
        self.mode, self.sparse, self.include_last_offset = mode, sparse, include_last_offset

    def reset_parameters(self) -> None:
        """Draw new initial values; the row `padding_idx` is zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with grad_mode.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq is not False:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        text += f", mode={self.mode!r}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        return text

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, **rest: Any) -> EmbeddingBag:
        """A bag that starts from a given table, not learnt unless `freeze` is false."""
        if embeddings.ndim != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        bag = cls(rows, columns, _weight=embeddings, **rest)
        bag.weight.requires_grad = not freeze
        return bag


class Flatten(Module):
    """Dimensions `start_dim` to `end_dim` as one; by default all but the first.

    >>> import webtorch
    >>> webtorch.nn.Flatten()(webtorch.ones(2, 3, 4)).shape
    webtorch.Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension `dim` split into `unflattened_size`, of which one size may be -1.

    >>> import webtorch
    >>> webtorch.nn.Unflatten(1, (3, 4))(webtorch.ones(2, 12)).shape
    webtorch.Size([2, 3, 4])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(dim, int) or not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"Unflatten({dim!r}, {unflattened_size!r}): dim must be an int and unflattened_size a tuple of ints"
            )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        dim = normalize_dim(self.dim, input.ndim, "unflatten")
        sizes = list(self.unflattened_size)
        known = math.prod(size for size in sizes if size != -1)
        if -1 in sizes and known:
            sizes[sizes.index(-1)] = input.shape[dim] // known
        if math.prod(sizes) != input.shape[dim]:
            raise ShapeError(
                f"unflatten: Provided sizes {list(self.unflattened_size)} don't multiply up to the size of dim {dim} "
                f"({input.shape[dim]}) in the input tensor"
            )
        return input.reshape((*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class DropoutBase(Module):
    function: Any = None

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(DropoutBase):
    """In training, each element zeroed with probability `p` and the others scaled by 1 / (1 - p).

    >>> import webtorch
    >>> webtorch.nn.Dropout().eval()(webtorch.ones(2))
    tensor([1., 1.])
    """

    function = staticmethod(F.dropout)


class Dropout1d(DropoutBase):
    """In training, whole channels of (n, c, l) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.nn.Dropout1d().eval()(webtorch.ones(1, 2, 1)).flatten()
    tensor([1., 1.])
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(DropoutBase):
    """In training, whole channels of (n, c, h, w) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.nn.Dropout2d().eval()(webtorch.ones(1, 2, 1, 1)).flatten()
    tensor([1., 1.])
    """

    function = staticmethod(F.dropout2d)


class Dropout3d(DropoutBase):
    """In training, whole channels of (n, c, d, h, w) zeroed with probability `p`.

    >>> import webtorch
    >>> webtorch.nn.Dropout3d().eval()(webtorch.ones(1, 2, 1, 1, 1)).flatten()
    tensor([1., 1.])
    """

    function = staticmethod(F.dropout3d)


class AlphaDropout(DropoutBase):
    """Dropout that keeps the mean and variance of what `SELU` gives.

    >>> import webtorch
    >>> webtorch.nn.AlphaDropout().eval()(webtorch.ones(2)).flatten()
    tensor([1., 1.])
    """

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(DropoutBase):
    """`AlphaDropout` of whole channels.

    >>> import webtorch
    >>> webtorch.nn.FeatureAlphaDropout().eval()(webtorch.ones(1, 2)).flatten()
    tensor([1., 1.])
    """

    function = staticmethod(F.feature_alpha_dropout)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along `dim`.

    >>> import webtorch
    >>> webtorch.nn.CosineSimilarity()(webtorch.tensor([[3.0, 4.0]]), webtorch.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of the differences along the last dimension.

    >>> import webtorch
    >>> webtorch.nn.PairwiseDistance(eps=0.0)(webtorch.tensor([[0.0, 0.0]]), webtorch.tensor([[3.0, 4.0]]))
    tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class PixelShuffle(Module):
    """(n, c * r * r, h, w) as (n, c, h * r, w * r).

    >>> import webtorch
    >>> webtorch.nn.PixelShuffle(2)(webtorch.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]))
    tensor([[[1., 2.],
             [3., 4.]]])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"
