"""Activation modules, and attention."""

from __future__ import annotations

from typing import Any

from .. import creation, dtypes
from ..errors import ShapeError
from ..ops.binary import where
from ..tensor import Tensor
from . import functional as F
from . import init
from .functional.attention import attention_weights
from .layers import Linear
from .module import Module, Parameter

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish",
    "MultiheadAttention", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus",
    "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class Activation(Module):
    """A function of one tensor with numbers as options: `options` names them with their defaults, in order."""

    function: Any = None
    options: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        if len(args) > len(self.options):
            raise TypeError(f"{type(self).__name__}() takes {len(self.options)} arguments but {len(args)} were given")
        given = dict(zip(self.options, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.options or name in given:
                raise TypeError(
                    f"{type(self).__name__}() got an unexpected or repeated argument '{name}'; it takes ({', '.join(self.options)})"
                )
            given[name] = value
        for name, default in self.options.items():
            setattr(self, name, given.get(name, default))

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, **{name: getattr(self, name) for name in self.options})

    def extra_repr(self) -> str:
        parts = []
        for name in self.options:
            value = getattr(self, name)
            if name != "inplace":
                parts.append(f"{name}={value!r}")
            elif value:
                parts.append("inplace=True")
        return ", ".join(parts)


class ReLU(Activation):
    """x where it is positive, else 0.

    >>> import webtorch
    >>> webtorch.nn.ReLU()(webtorch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function, options = staticmethod(F.relu), {"inplace": False}


class ReLU6(Activation):
    """x limited to the range from 0 to 6."""

    function, options = staticmethod(F.relu6), {"inplace": False}


class Hardtanh(Activation):
    """x limited to the range from `min_val` to `max_val`."""

    function, options = staticmethod(F.hardtanh), {"min_val": -1.0, "max_val": 1.0, "inplace": False}


class LeakyReLU(Activation):
    """x where it is positive, else x * `negative_slope`.

    >>> import webtorch
    >>> webtorch.nn.LeakyReLU(0.1)
    LeakyReLU(negative_slope=0.1)
    """

    function, options = staticmethod(F.leaky_relu), {"negative_slope": 0.01, "inplace": False}


class ELU(Activation):
    """x where it is positive, else alpha * (exp(x) - 1)."""

    function, options = staticmethod(F.elu), {"alpha": 1.0, "inplace": False}


class CELU(Activation):
    """x where it is positive, else alpha * (exp(x / alpha) - 1)."""

    function, options = staticmethod(F.celu), {"alpha": 1.0, "inplace": False}


class SELU(Activation):
    """`ELU` scaled so that zero mean and unit variance are kept through layers."""

    function, options = staticmethod(F.selu), {"inplace": False}


class GELU(Activation):
    """x times the normal distribution's probability of a number below x; `approximate="tanh"` is cheaper.

    >>> import webtorch
    >>> webtorch.nn.GELU()
    GELU(approximate='none')
    """

    function, options = staticmethod(F.gelu), {"approximate": "none"}


class SiLU(Activation):
    """x * sigmoid(x)."""

    function, options = staticmethod(F.silu), {"inplace": False}


class Mish(Activation):
    """x * tanh(softplus(x))."""

    function, options = staticmethod(F.mish), {"inplace": False}


class Hardsigmoid(Activation):
    """x / 6 + 1/2, limited to the range from 0 to 1."""

    function, options = staticmethod(F.hardsigmoid), {"inplace": False}


class Hardswish(Activation):
    """x * hardsigmoid(x)."""

    function, options = staticmethod(F.hardswish), {"inplace": False}


class Hardshrink(Activation):
    """x where it lies outside [-lambd, lambd], else 0."""

    function, options = staticmethod(F.hardshrink), {"lambd": 0.5}

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(Activation):
    """x moved towards 0 by `lambd`."""

    function, options = staticmethod(F.softshrink), {"lambd": 0.5}

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Tanhshrink(Activation):
    """x - tanh(x)."""

    function = staticmethod(F.tanhshrink)


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above `threshold`."""

    function, options = staticmethod(F.softplus), {"beta": 1.0, "threshold": 20.0}


class Softsign(Activation):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    function = staticmethod(F.sigmoid)


class LogSigmoid(Activation):
    """The logarithm of sigmoid, without its underflow."""

    function = staticmethod(F.logsigmoid)


class Tanh(Activation):
    """The hyperbolic tangent."""

    function = staticmethod(F.tanh)


class GLU(Activation):
    """The first half along `dim` times the sigmoid of the second half."""

    function, options = staticmethod(F.glu), {"dim": -1}


class Softmax(Activation):
    """exp(x) scaled to sum to 1 along `dim`.

    >>> import webtorch
    >>> webtorch.nn.Softmax(dim=1)
    Softmax(dim=1)
    """

    function, options = staticmethod(F.softmax), {"dim": None}


class LogSoftmax(Activation):
    """The logarithm of softmax along `dim`."""

    function, options = staticmethod(F.log_softmax), {"dim": None}


class Softmin(Activation):
    """softmax(-x) along `dim`."""

    function, options = staticmethod(F.softmin), {"dim": None}


class Softmax2d(Module):
    """Softmax over the channels of (n, c, h, w) or (c, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)


class Threshold(Module):
    """x where it is above `threshold`, else `value`."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        result = F.threshold(input, self.threshold, self.value)
        return input.copy_(result) if self.inplace else result

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """Leaky rectified units whose slope is drawn between `lower` and `upper` in training."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """x where it is positive, else x times a learnt slope, one for all channels or one for each.

    >>> import webtorch
    >>> webtorch.nn.PReLU()
    PReLU(num_parameters=1)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(creation.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Slopes as at first."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class MultiheadAttention(Module):
    """Attention with several heads (Vaswani et al., 2017), with PyTorch's packed projection weights.

    Inputs are (length, batch, features), or (batch, length, features) with `batch_first`, or (length, features). Returns
    the output and, if `need_weights`, the attention weights (averaged over heads by default). In masks of bools, true
    means "not to be seen"; others are added to the scores.

    >>> import webtorch
    >>> attention = webtorch.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = webtorch.rand(3, 5, 8)
    >>> output, weights = attention(x, x, x)
    >>> output.shape, weights.shape
    (webtorch.Size([3, 5, 8]), webtorch.Size([3, 5, 5]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        make = {"device": device, "dtype": dtype}
        same = self._qkv_same_embed_dim
        self.register_parameter(
            "in_proj_weight", Parameter(creation.empty(3 * embed_dim, embed_dim, **make)) if same else None
        )
        self.register_parameter(
            "q_proj_weight", None if same else Parameter(creation.empty(embed_dim, embed_dim, **make))
        )
        self.register_parameter(
            "k_proj_weight", None if same else Parameter(creation.empty(embed_dim, self.kdim, **make))
        )
        self.register_parameter(
            "v_proj_weight", None if same else Parameter(creation.empty(embed_dim, self.vdim, **make))
        )
        self.register_parameter("in_proj_bias", Parameter(creation.empty(3 * embed_dim, **make)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **make)
        self.register_parameter("bias_k", Parameter(creation.empty(1, 1, embed_dim, **make)) if add_bias_kv else None)
        self.register_parameter("bias_v", Parameter(creation.empty(1, 1, embed_dim, **make)) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if query.ndim not in (2, 3):
            raise ShapeError(
                f"MultiheadAttention: query should be unbatched 2D or batched 3D but received {query.ndim}-D query tensor"
            )
        if is_causal and attn_mask is None:
            raise ShapeError("MultiheadAttention: Need attn_mask if specifying the is_causal hint.")
        batched = query.ndim == 3
        if not batched:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
            key_padding_mask = key_padding_mask.unsqueeze(0) if key_padding_mask is not None else None
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        if query.shape[-1] != self.embed_dim:
            raise AssertionError(f"was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}")
        batch, length, width = query.shape
        q, k, v = self.project(query, key, value)
        if self.bias_k is not None:
            k = appended(k, self.bias_k.expand((batch, 1, width)))
            v = appended(v, self.bias_v.expand((batch, 1, width)))
        if self.add_zero_attn:
            zero = creation.zeros(batch, 1, width, dtype=k.dtype, device=k.device)
            k, v = appended(k, zero), appended(v, zero)
        mask = self.merged_mask(key_padding_mask, attn_mask, batch, length, key.shape[1], k.shape[1], q)
        heads = [x.reshape((batch, -1, self.num_heads, self.head_dim)).transpose(1, 2) for x in (q, k, v)]
        weights = attention_weights(heads[0], heads[1], mask, False, None)
        weights = F.dropout(weights, self.dropout, self.training)
        mixed = (weights @ heads[2]).transpose(1, 2).reshape((batch, length, width))
        output = self.out_proj(mixed)
        if not batched:
            output = output.squeeze(0)
        elif not self.batch_first:
            output = output.transpose(0, 1)
        if not need_weights:
            return output, None
        if average_attn_weights:
            weights = weights.mean(1)
        return output, weights if batched else weights.squeeze(0)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values."""
        width = self.embed_dim
        biases = (
            (None,) * 3
            if self.in_proj_bias is None
            else tuple(self.in_proj_bias[n * width : (n + 1) * width] for n in range(3))
        )
        if self._qkv_same_embed_dim:
            matrices = tuple(self.in_proj_weight[n * width : (n + 1) * width] for n in range(3))
        else:
            matrices = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        q, k, v = (
            F.linear(x, matrix, bias) for x, matrix, bias in zip((query, key, value), matrices, biases, strict=True)
        )
        return q, k, v

    def merged_mask(
        self, padding: Any, mask: Any, batch: int, length: int, given: int, keys: int, like: Tensor
    ) -> Tensor | None:
        """Both masks as numbers to add to the scores of shape (batch, heads, length, keys)."""
        total = None
        if mask is not None:
            if mask.ndim == 3:
                mask = mask.reshape((batch, self.num_heads, length, given))
            total = additive(mask, like)
        if padding is not None:
            if tuple(padding.shape) != (batch, given):
                raise ShapeError(
                    f"MultiheadAttention: expecting key_padding_mask shape of {(batch, given)}, but got {tuple(padding.shape)}"
                )
            padding = additive(padding.reshape((batch, 1, 1, given)), like)
            total = padding if total is None else total + padding
        if total is not None and keys > given:  # what was added to the keys may be seen by all
            total = F.pad(total, (0, keys - given))
        return total


def additive(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype is dtypes.bool_:
        return where(mask, float("-inf"), creation.zeros((), dtype=like.dtype, device=like.device))
    return mask.to(like.dtype)


def appended(first: Tensor, second: Tensor) -> Tensor:
    import webtorch

    return webtorch.cat([first, second], 1)
