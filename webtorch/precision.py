"""Mixed precision: which ops autocast runs in which dtype, where it is on, and what it does to an op's arguments.

`POLICY` is the one list. A row of the op table looks itself up when it is made (`Op.autocast`), a compound says that it
is on the list with `@autocasts`. Nothing is looked at until autocast is turned on for the first time (`used`).

PyTorch has a list for each kind of device; here the list of its CUDA devices holds everywhere
(https://docs.pytorch.org/docs/stable/amp.html#autocast-op-reference), so that a program gives the same dtypes on webgpu
and cpu. Arguments of other than floating dtypes and of float64 are left as they are.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from . import dtypes
from .dtypes import dtype as DType
from .errors import DTypeError
from .grad_mode import is_grad_enabled

if TYPE_CHECKING:
    from .tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

# What pays in 16 bits: products of matrices, which are accumulated in float32 whatever their arguments are.
LOWER = """_contract _convolution _linear addbmm addmm addmv addr baddbmm bmm chain_matmul conv1d conv2d conv3d
conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d einsum gru_cell linear lstm_cell matmul mm multi_dot mv prelu
recurrent_cell recurrent_layers rnn_relu_cell rnn_tanh_cell scaled_dot_product_attention vecdot"""

# What needs the range or the precision of float32.
FLOAT32 = """acos asin cosh erfinv exp expm1 log log10 log1p log2 pow reciprocal rsqrt sinh softplus square tan
cdist cosine_embedding_loss cosine_similarity cross_entropy dist frobenius_norm gaussian_nll_loss group_norm
hinge_embedding_loss huber_loss interpolate kl_div l1_loss layer_norm logsumexp margin_ranking_loss mse_loss
multi_margin_loss multilabel_margin_loss nll_loss norm nuclear_norm pairwise_distance pdist poisson_nll_loss renorm rms_norm
smooth_l1_loss soft_margin_loss triplet_margin_loss upsample
binary_cross_entropy_with_logits"""

# The same, unless the call says a dtype.
FLOAT32_UNLESS_SAID = "cumprod cumsum log_softmax matrix_norm prod softmax softmin sum vector_norm"

# Several arguments that must agree: all go to float32 where one is. (`cat` and `stack` promote by themselves.)
WIDEST = "addcdiv addcmul atan2 bilinear cross dot grid_sample tensordot vdot"

# Its gradient can overflow in 16 bits: refused on a GPU, computed in float32 on the cpu, as in PyTorch.
UNSAFE = "binary_cross_entropy"

# What is one op here and in PyTorch, though it is made of ops on the lists above: it keeps the dtype that it is given.
UNCHANGED = """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d batch_norm glu
instance_norm logcumsumexp mean nanmean nansum std std_mean trace var var_mean"""

POLICY: dict[str, str] = {
    name: policy
    for names, policy in (
        (LOWER, "lower"),
        (FLOAT32, "float32"),
        (FLOAT32_UNLESS_SAID, "float32 unless said"),
        (WIDEST, "widest"),
        (UNSAFE, "unsafe"),
        (UNCHANGED, "unchanged"),
    )
    for name in names.split()
}


# ---- state ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """Where autocast is on in this thread or task: device types, and the lower dtype of each."""

    enabled: frozenset[str] = frozenset()
    lower: tuple[tuple[str, DType], ...] = ()
    caching: bool = True
    nesting: int = 0

    def dtype(self, device_type: str) -> DType:
        for name, dtype in self.lower:
            if name == device_type:
                return dtype
        return dtypes.bfloat16 if device_type == "cpu" else dtypes.float16

    def with_dtype(self, device_type: str, dtype: DType) -> State:
        others = tuple(pair for pair in self.lower if pair[0] != device_type)
        return replace(self, lower=(*others, (device_type, dtype)))

    def with_enabled(self, device_type: str, enabled: bool) -> State:
        return replace(self, enabled=self.enabled | {device_type} if enabled else self.enabled - {device_type})


_NOWHERE = State()
_state: ContextVar[State] = ContextVar("webtorch_autocast", default=_NOWHERE)
used = False  # whether autocast was ever on in this process: until then no op looks any further

current: Callable[[], State] = _state.get


def put(state: State) -> None:
    """Make `state` the one in force in this thread or task."""
    global used
    used = used or bool(state.enabled)
    _state.set(state)


def nowhere(state: State) -> State:
    """The same state with autocast on for no device."""
    return replace(state, enabled=frozenset())


class during:
    """A block in which a state is in force; without one, autocast is on for no device inside."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state

    def __enter__(self) -> None:
        self.before = _state.get()
        put(nowhere(self.before) if self.state is None else self.state)

    def __exit__(self, *exception: object) -> None:
        put(self.before)


def again() -> during:
    """A block as the current one, for running a function a second time later. It keeps no weights."""
    return during(replace(_state.get(), caching=False))


# ---- casting --------------------------------------------------------------------------------------------------------


class Cached(NamedTuple):
    """A weight in the lower dtype, good while the weight is what it was."""

    source: weakref.ref
    version: int | None
    recorded: bool
    result: Tensor


_cache: ContextVar[dict[tuple[int, DType], Cached] | None] = ContextVar("webtorch_autocast_cache", default=None)


def clear_cache() -> None:
    _cache.set(None)


def eligible(value: Any, state: State) -> bool:
    """Whether autocast has a say in the dtype of an argument."""
    from .tensor import Tensor

    return (
        isinstance(value, Tensor)
        and value.dtype.is_floating_point
        and value.dtype is not dtypes.float64
        and value.device.type in state.enabled
    )


def in_dtype(x: Tensor, wanted: DType, state: State) -> Tensor:
    """`x` in another dtype. Casts of weights (float32 leaves that require grad) are kept until autocast is left, so that
    a weight which several ops use is cast once and collects one gradient."""
    if x.dtype is wanted:
        return x
    if not (state.caching and x.dtype is dtypes.float32 and x._leaf_requires_grad and x.is_leaf and x._base is None):
        return x.to(wanted)
    if x._batch or wanted is dtypes.float32:
        return x.to(wanted)
    cache = _cache.get()
    if cache is None:
        cache = {}
        _cache.set(cache)
    key, version, recorded = (id(x), wanted), x._storage.version, is_grad_enabled()
    known = cache.get(key)
    if known is not None and known.source() is x and known.version == version and known.recorded == recorded:
        return known.result
    result = x.to(wanted)
    cache[key] = Cached(weakref.ref(x), version, recorded, result)
    return result


def widest(values: list[Tensor], state: State) -> DType:
    kinds = {value.dtype for value in values}
    if dtypes.float32 in kinds or len(kinds) > 1:
        return dtypes.float32
    return kinds.pop()


def cast(policy: str, call: str, args: Any) -> Any:
    """The arguments of a call as its policy wants them: tensors inside of tuples, lists and dicts, too."""
    state = _state.get()
    if not state.enabled:
        return args
    found: list[Tensor] = []
    collect(args, state, found)
    if not found:
        return args
    if policy == "unsafe" and any(value.device.type != "cpu" for value in found):
        raise DTypeError(
            f"{call} is unsafe to autocast: its gradient can overflow in 16 bits. Use binary_cross_entropy_with_logits (or "
            "BCEWithLogitsLoss) on the values before the sigmoid, or leave autocast for this call"
        )
    if policy == "widest":
        wide = widest(found, state)
        return cast_tree(args, state, lambda value: wide)
    if policy == "lower":
        return cast_tree(args, state, lambda value: state.dtype(value.device.type))
    return cast_tree(args, state, lambda value: dtypes.float32)


def collect(value: Any, state: State, found: list) -> None:
    if eligible(value, state):
        found.append(value)
    elif isinstance(value, (tuple, list)):
        for element in value:
            collect(element, state, found)
    elif isinstance(value, dict):
        collect(list(value.values()), state, found)


def cast_tree(value: Any, state: State, choose: Callable[[Tensor], DType]) -> Any:
    if eligible(value, state):
        return in_dtype(value, choose(value), state)
    if isinstance(value, (tuple, list)):
        elements = [cast_tree(element, state, choose) for element in value]
        if hasattr(value, "_fields"):
            return type(value)(*elements)
        return tuple(elements) if isinstance(value, tuple) else elements
    if isinstance(value, dict):
        return {name: cast_tree(element, state, choose) for name, element in value.items()}
    return value


def autocasts(function: F, name: str | None = None) -> F:
    """A compound that is on the list by its own name, or by `name`: its arguments are cast, and what it is made of runs as
    it is. Calls with `out=` are left alone, as in PyTorch."""
    name = name or function.__name__
    policy = POLICY[name]

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        if not used or not _state.get().enabled:
            return function(*args, **given)
        said = policy == "float32 unless said" and given.get("dtype") is not None
        if not said and policy != "unchanged" and given.get("out") is None:
            args, given = cast(policy, function.__name__, (args, given))
        with during():
            return function(*args, **given)

    call.autocast = policy  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


# ---- sums of 16-bit numbers -----------------------------------------------------------------------------------------


def widened(function: F) -> F:
    """A compound that computes in float32 where its first argument is a 16-bit float, and rounds its results once, to that
    argument's dtype (or the `dtype` that the call says): means, variances and norms neither overflow nor lose what the
    type could hold."""

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        from .tensor import Tensor

        first = args[0] if args else given.get("input")
        if not isinstance(first, Tensor):
            return function(*args, **given)
        said = given.get("dtype")
        target = first.dtype if said is None else dtypes.as_dtype(said)
        wide = dtypes.accumulator(target)
        if wide is target:
            return function(*args, **given)
        if said is not None:
            given["dtype"] = wide
        if args:
            args = (first.to(wide), *args[1:])
        else:
            given["input"] = first.to(wide)
        result = function(*args, **given)
        if given.get("out") is not None:
            return result
        if isinstance(result, Tensor):
            return result.to(target)
        narrowed = [one.to(target) if isinstance(one, Tensor) and one.dtype is wide else one for one in result]
        return type(result)(*narrowed) if hasattr(result, "_fields") else type(result)(narrowed)

    return call  # type: ignore[return-value]
