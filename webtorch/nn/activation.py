"""Activation modules, and attention."""

from __future__ import annotations

import inspect
from typing import Any

from .. import creation
from ..tensor import Tensor
from . import functional as F
from . import init
from .layers import NonDynamicallyQuantizableLinear
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
    __signature__: inspect.Signature  # what help() shows

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

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        cls.__signature__ = inspect.Signature(
            [inspect.Parameter(name, kind, default=default) for name, default in cls.options.items()]
        )

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
    """x limited to the range from 0 to 6.

    >>> import webtorch
    >>> webtorch.nn.ReLU6()(webtorch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function, options = staticmethod(F.relu6), {"inplace": False}


class Hardtanh(Activation):
    """x limited to the range from `min_val` to `max_val`.

    >>> import webtorch
    >>> webtorch.nn.Hardtanh()(webtorch.tensor([-1.0, 2.0]))
    tensor([-1.,  1.])
    """

    function, options = staticmethod(F.hardtanh), {"min_val": -1.0, "max_val": 1.0, "inplace": False}


class LeakyReLU(Activation):
    """x where it is positive, else x * `negative_slope`.

    >>> import webtorch
    >>> webtorch.nn.LeakyReLU(0.1)
    LeakyReLU(negative_slope=0.1)
    """

    function, options = staticmethod(F.leaky_relu), {"negative_slope": 0.01, "inplace": False}


class ELU(Activation):
    """x where it is positive, else alpha * (exp(x) - 1).

    >>> import webtorch
    >>> webtorch.nn.ELU()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    function, options = staticmethod(F.elu), {"alpha": 1.0, "inplace": False}


class CELU(Activation):
    """x where it is positive, else alpha * (exp(x / alpha) - 1).

    >>> import webtorch
    >>> webtorch.nn.CELU()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    function, options = staticmethod(F.celu), {"alpha": 1.0, "inplace": False}


class SELU(Activation):
    """`ELU` scaled so that zero mean and unit variance are kept through layers.

    >>> import webtorch
    >>> webtorch.nn.SELU()(webtorch.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    function, options = staticmethod(F.selu), {"inplace": False}


class GELU(Activation):
    """x times the normal distribution's probability of a number below x; `approximate="tanh"` is cheaper.

    >>> import webtorch
    >>> webtorch.nn.GELU()
    GELU(approximate='none')
    """

    function, options = staticmethod(F.gelu), {"approximate": "none"}


class SiLU(Activation):
    """x * sigmoid(x).

    >>> import webtorch
    >>> webtorch.nn.SiLU()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    function, options = staticmethod(F.silu), {"inplace": False}


class Mish(Activation):
    """x * tanh(softplus(x)).

    >>> import webtorch
    >>> webtorch.nn.Mish()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """

    function, options = staticmethod(F.mish), {"inplace": False}


class Hardsigmoid(Activation):
    """x / 6 + 1/2, limited to the range from 0 to 1.

    >>> import webtorch
    >>> webtorch.nn.Hardsigmoid()(webtorch.tensor([-1.0, 2.0]))
    tensor([0.3333, 0.8333])
    """

    function, options = staticmethod(F.hardsigmoid), {"inplace": False}


class Hardswish(Activation):
    """x * hardsigmoid(x).

    >>> import webtorch
    >>> webtorch.nn.Hardswish()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.3333,  1.6667])
    """

    function, options = staticmethod(F.hardswish), {"inplace": False}


class Hardshrink(Activation):
    """x where it lies outside [-lambd, lambd], else 0.

    >>> import webtorch
    >>> webtorch.nn.Hardshrink()(webtorch.tensor([-1.0, 2.0]))
    tensor([-1.,  2.])
    """

    function, options = staticmethod(F.hardshrink), {"lambd": 0.5}

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(Activation):
    """x moved towards 0 by `lambd`.

    >>> import webtorch
    >>> webtorch.nn.Softshrink()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.5000,  1.5000])
    """

    function, options = staticmethod(F.softshrink), {"lambd": 0.5}

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Tanhshrink(Activation):
    """x - tanh(x).

    >>> import webtorch
    >>> webtorch.nn.Tanhshrink()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """

    function = staticmethod(F.tanhshrink)


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above `threshold`.

    >>> import webtorch
    >>> webtorch.nn.Softplus()(webtorch.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """

    function, options = staticmethod(F.softplus), {"beta": 1.0, "threshold": 20.0}


class Softsign(Activation):
    """x / (1 + |x|).

    >>> import webtorch
    >>> webtorch.nn.Softsign()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.5000,  0.6667])
    """

    function = staticmethod(F.softsign)


class Sigmoid(Activation):
    """1 / (1 + exp(-x)).

    >>> import webtorch
    >>> webtorch.nn.Sigmoid()(webtorch.tensor([-1.0, 2.0]))
    tensor([0.2689, 0.8808])
    """

    function = staticmethod(F.sigmoid)


class LogSigmoid(Activation):
    """The logarithm of sigmoid, without its underflow.

    >>> import webtorch
    >>> webtorch.nn.LogSigmoid()(webtorch.tensor([-1.0, 2.0]))
    tensor([-1.3133, -0.1269])
    """

    function = staticmethod(F.logsigmoid)


class Tanh(Activation):
    """The hyperbolic tangent.

    >>> import webtorch
    >>> webtorch.nn.Tanh()(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.7616,  0.9640])
    """

    function = staticmethod(F.tanh)


class GLU(Activation):
    """The first half along `dim` times the sigmoid of the second half.

    >>> import webtorch
    >>> webtorch.nn.GLU()(webtorch.tensor([3.0, 0.0]))
    tensor([1.5000])
    """

    function, options = staticmethod(F.glu), {"dim": -1}


class Softmax(Activation):
    """exp(x) scaled to sum to 1 along `dim`.

    >>> import webtorch
    >>> webtorch.nn.Softmax(dim=1)
    Softmax(dim=1)
    """

    function, options = staticmethod(F.softmax), {"dim": None}


class LogSoftmax(Activation):
    """The logarithm of softmax along `dim`.

    >>> import webtorch
    >>> webtorch.nn.LogSoftmax(0)(webtorch.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """

    function, options = staticmethod(F.log_softmax), {"dim": None}


class Softmin(Activation):
    """softmax(-x) along `dim`.

    >>> import webtorch
    >>> webtorch.nn.Softmin(0)(webtorch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    function, options = staticmethod(F.softmin), {"dim": None}


class Softmax2d(Module):
    """Softmax over the channels of (n, c, h, w) or (c, h, w).

    >>> import webtorch
    >>> webtorch.nn.Softmax2d()(webtorch.zeros(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)


class Threshold(Module):
    """x where it is above `threshold`, else `value`.

    >>> import webtorch
    >>> webtorch.nn.Threshold(1.0, -7.0)(webtorch.tensor([0.5, 2.0]))
    tensor([-7.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        result = F.threshold(input, self.threshold, self.value)
        return input.copy_(result) if self.inplace else result

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """Leaky rectified units whose slope is drawn between `lower` and `upper` in training.

    >>> import webtorch
    >>> webtorch.nn.RReLU(0.25, 0.25)(webtorch.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000])
    """

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
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **make)
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
        flipped = self.batch_first and query.ndim == 3
        if flipped:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return output.transpose(0, 1) if flipped else output, weights
