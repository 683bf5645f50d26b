"""Functions that PyTorch has at top level beside methods and modules: estimated gradients, sums of segments, draws, and in-place
methods as functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from . import creation, dtypes, functional
from .errors import DTypeError, ShapeError
from .ops import TABLE
from .ops.elementwise import store_out
from .shapes import normalize_dim
from .tensor import Tensor

__all__ = [
    "binomial", "constant_pad_nd", "fill", "gradient", "is_distributed", "is_inference", "is_same_size", "is_signed",
    "native_channel_shuffle", "native_dropout", "nonzero_static", "put", "range", "segment_reduce", "set_anomaly_enabled",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes",
]  # fmt: skip


# ---- gradients of sampled functions ---------------------------------------------------------------------------------


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Estimates of the derivative of a function along dimensions (all by default), of which `input` holds the values.

    By central differences of second order inside, and one-sided ones of `edge_order` 1 or 2 at the ends. `spacing` is a number,
    one for each dimension, or the coordinates along each dimension as tensors.

    >>> import webtorch
    >>> webtorch.gradient(webtorch.tensor([0.0, 1.0, 4.0, 9.0]))
    (tensor([1., 2., 4., 5.]),)
    """
    dims = tuple(builtins_range(input.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    places = [normalize_dim(one, input.ndim, "gradient") for one in dims]
    if len(set(places)) < len(places):
        raise ShapeError(f"gradient: a dimension appears multiple times in the list of dims {list(dims)}")
    if isinstance(spacing, (list, tuple)):
        steps = list(spacing)
    else:
        steps = [1 if spacing is None else spacing] * len(places)
    if len(steps) != len(places):
        raise ShapeError(f"gradient: expected spacing for each of {len(places)} dimensions, got {len(steps)}")
    if edge_order not in (1, 2):
        raise ShapeError(f"gradient: only edge_order 1 or 2, not {edge_order}")
    if not input.dtype.is_differentiable:
        input = input.to(dtypes.get_default_dtype())
    for place in places:
        if input._shape[place] < edge_order + 1:
            raise ShapeError(
                f"gradient: expected each dimension size to be at least edge_order+1 = {edge_order + 1}, got {input._shape[place]}"
            )
    return tuple(along(input, place, step, edge_order) for place, step in zip(places, steps, strict=True))


def along(x: Tensor, dim: int, step: Any, edge_order: int) -> Tensor:
    size = x._shape[dim]

    def part(start: int, count: int) -> Tensor:
        return x.narrow(dim, start, count)

    def shaped(values: Tensor) -> Tensor:
        return values.reshape((-1,) + (1,) * (x.ndim - dim - 1))

    if isinstance(step, Tensor) and step.ndim:
        gaps = step.diff()
        first, last = shaped(gaps.narrow(0, 0, 1)), shaped(gaps.narrow(0, size - 2, 1))
        before, after = shaped(gaps.narrow(0, 0, size - 2)), shaped(gaps.narrow(0, 1, size - 2))
        second, previous = (shaped(gaps.narrow(0, n, 1)) if size > 2 else first for n in (1, size - 3))
    else:
        first = last = before = after = second = previous = step
    parts = []
    start, end = (part(1, 1) - part(0, 1)) / first, (part(size - 1, 1) - part(size - 2, 1)) / last
    if edge_order == 2:  # the slopes of the two intervals at the end, carried on
        start = start + (start - (part(2, 1) - part(1, 1)) / second) * (first / (first + second))
        end = end + (end - (part(size - 2, 1) - part(size - 3, 1)) / previous) * (last / (last + previous))
    parts.append(start)
    if size > 2:
        low, high = (part(1, size - 2) - part(0, size - 2)) / before, (part(2, size - 2) - part(1, size - 2)) / after
        parts.append((low * after + high * before) / (before + after))
    parts.append(end)
    return functional.cat(parts, dim)


# ---- segments and draws ---------------------------------------------------------------------------------------------


def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None, offsets: Tensor | None = None,
    axis: int = 0, unsafe: bool = False, initial: float | None = None,
) -> Tensor:  # fmt: skip
    """The "sum", "mean", "max", "min" or "prod" of the consecutive segments of a dimension, given by their `lengths` or by
    `offsets`. Empty segments give `initial`, by default the number that changes nothing (NaN for the mean).

    >>> import webtorch
    >>> webtorch.segment_reduce(webtorch.arange(5.0), "sum", lengths=webtorch.tensor([2, 3]))
    tensor([1., 9.])
    """
    if not data.dtype.is_floating_point:
        raise DTypeError(f"segment_reduce: only for floating-point tensors, not {data.dtype}; convert with .float()")
    if (lengths is None) == (offsets is None) or indices is not None:
        raise ShapeError("segment_reduce: give lengths= or offsets=, one of them")
    if reduce not in ("sum", "mean", "max", "min", "prod"):
        raise ShapeError(f"segment_reduce: reduce={reduce!r}: 'sum', 'mean', 'max', 'min' or 'prod'")
    axis = normalize_dim(axis, data.ndim, "segment_reduce")
    if offsets is not None:
        lengths = offsets.diff()
    assert lengths is not None
    if lengths.ndim != axis + 1:
        raise ShapeError(f"segment_reduce: lengths of {axis + 1} dimensions for axis {axis}, not {lengths.ndim}")
    lengths = lengths.to(dtypes.int64)
    ends = lengths.cumsum(-1)
    if not unsafe and bool(((lengths < 0).any(-1) | (ends[..., -1] != data._shape[axis])).any()):
        raise ShapeError(f"segment_reduce: lengths must not be negative, and sum to {data._shape[axis]}")
    places = creation.arange(data._shape[axis], device=data.device)
    segment = (places.unsqueeze(-1) >= ends.unsqueeze(-2)).to(dtypes.int64).sum(-1)
    count = lengths._shape[-1]
    start = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}[reduce]
    shape = (*data._shape[:axis], count, *data._shape[axis + 1 :])
    target = creation.full(
        shape, start if initial is None or reduce == "mean" else initial, dtype=data.dtype, device=data.device
    )
    tail = (1,) * (data.ndim - axis - 1)
    index = segment.reshape((*segment._shape, *tail)).expand(data._shape)
    name = {"sum": "sum", "mean": "sum", "prod": "prod", "max": "amax", "min": "amin"}[reduce]
    result = getattr(target, "scatter_reduce")(axis, index, data, name)  # noqa: B009 (attached by scattering)
    if reduce != "mean":
        return result
    members = lengths.reshape((*lengths._shape, *tail))
    empty = float("nan") if initial is None else initial
    return TABLE["where"](members == 0, empty, result / members.clamp(min=1).to(data.dtype))


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of `count` trials succeed, each with the probability `prob`: a draw for each element.

    >>> import webtorch
    >>> webtorch.binomial(webtorch.tensor([5.0]), webtorch.tensor([1.0]))
    tensor([5.])
    """
    from .distributions import Binomial

    if count.dtype is not prob.dtype or not prob.dtype.is_floating_point:
        raise DTypeError(f"binomial: count and prob of one floating dtype, not {count.dtype} and {prob.dtype}")
    if generator is not None:
        raise NotImplementedError(
            "binomial(generator=...): draws are those of manual_seed; call manual_seed, or fork_rng"
        )
    return Binomial(count, prob, validate_args=False).sample()


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero`; what is missing is `fill_value`.

    >>> import webtorch
    >>> webtorch.nonzero_static(webtorch.tensor([0, 7]), size=2).tolist()
    [[1], [-1]]
    """
    found = functional.cat([input.nonzero()[:size]])
    missing = creation.full(
        (size - found._shape[0], found._shape[1]), fill_value, dtype=dtypes.int64, device=input.device
    )
    return functional.cat([found, missing])


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """`dropout`, and which elements were kept.

    >>> import webtorch
    >>> webtorch.native_dropout(webtorch.ones(2), 0.5, False)
    (tensor([1., 1.]), tensor([True, True]))
    """
    from .random import rand

    if train is False:
        return input.clone(), creation.ones(input._shape, dtype=dtypes.bool_, device=input.device)
    kept = rand(input._shape, device=input.device) >= p
    return input * kept / (1 - p if p < 1 else 1.0), kept


# ---- questions and other names --------------------------------------------------------------------------------------


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape.

    >>> import webtorch
    >>> webtorch.is_same_size(webtorch.ones(2), webtorch.ones(3))
    False
    """
    return input._shape == other._shape


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    >>> import webtorch
    >>> webtorch.is_signed(webtorch.ones(1))
    True
    """
    return input.dtype.is_signed


def is_inference(input: Tensor) -> bool:
    """Whether a tensor was made in inference mode.

    >>> import webtorch
    >>> webtorch.is_inference(webtorch.ones(1))
    False
    """
    return input.is_inference()


def is_distributed(input: Tensor) -> bool:
    """False: tensors lie on one device.

    >>> import webtorch
    >>> webtorch.is_distributed(webtorch.ones(1))
    False
    """
    return False


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with every element `value`, a number or a tensor without dimensions.

    >>> import webtorch
    >>> webtorch.fill(webtorch.zeros(2), 3)
    tensor([3., 3.])
    """
    if isinstance(value, Tensor):
        return value.to(device=input.device, dtype=input.dtype).expand(input._shape).clone()
    return creation.full(input._shape, value, dtype=input.dtype, device=input.device)


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with the elements at `index`, counted row by row, replaced by those of `source`, or added to.

    >>> import webtorch
    >>> webtorch.put(webtorch.zeros(2, 2), webtorch.tensor([3]), webtorch.tensor([5.0]))
    tensor([[0., 0.],
            [0., 5.]])
    """
    if index.dtype is not dtypes.int64 or index.numel() != source.numel() or source.dtype is not input.dtype:
        raise ShapeError(
            f"put: int64 indices and as many elements of {input.dtype}, not {index.dtype} {list(index._shape)} and {source.dtype} "
            f"{list(source._shape)}"
        )
    flat = input.reshape((-1,))
    placed = getattr(flat, "index_put")((index.reshape((-1,)),), source.reshape((-1,)), accumulate)  # noqa: B009
    return placed.reshape(input._shape)


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """`nn.functional.pad` with a constant.

    >>> import webtorch
    >>> webtorch.constant_pad_nd(webtorch.ones(2), (1, 0))
    tensor([0., 1., 1.])
    """
    from .nn.functional import pad as function

    return function(input, list(pad), "constant", value)


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`nn.functional.channel_shuffle`.

    >>> import webtorch
    >>> webtorch.native_channel_shuffle(webtorch.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    from .nn.functional import channel_shuffle

    return channel_shuffle(input, groups)


builtins_range = range


def range(
    start: Any, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # noqa: A001 (PyTorch's name)  # fmt: skip
    """`arange` that takes in its end: as in PyTorch it warns that it is out of date.

    >>> import warnings, webtorch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     webtorch.range(1, 3)
    tensor([1., 2., 3.])
    """
    warnings.warn("range is out of date, and takes in its end unlike Python's: use arange", UserWarning, stacklevel=2)
    if end is None:
        start, end = 0, start
    dtype = dtypes.get_default_dtype() if dtype is None else dtype
    stop = start + step * (int((end - start) / step) + 0.5)
    result = creation.arange(start, stop, step, dtype=dtype, device=device, requires_grad=requires_grad)
    return result if out is None else store_out("range", result, out)


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Turn anomaly detection on or off for all code that follows; see `autograd.set_detect_anomaly`.

    >>> import webtorch
    >>> webtorch.set_anomaly_enabled(False)
    """
    from .autograd import set_detect_anomaly

    set_detect_anomaly(enabled, check_nan)


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk`.

    >>> import webtorch
    >>> len(webtorch.unsafe_chunk(webtorch.ones(4), 2))
    2
    """
    return input.chunk(chunks, dim)


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split`.

    >>> import webtorch
    >>> len(webtorch.unsafe_split(webtorch.ones(4), 2))
    2
    """
    return input.split(split_size, dim)


def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split` at sizes.

    >>> import webtorch
    >>> len(webtorch.unsafe_split_with_sizes(webtorch.ones(4), [1, 3]))
    2
    """
    return input.split(list(split_sizes), dim)


# ---- methods as functions, functions as methods ---------------------------------------------------------------------


def as_function(name: str) -> Callable:
    def function(input: Tensor, *args: Any, **given: Any) -> Tensor:
        return getattr(input, name)(*args, **given)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`Tensor.{name}` as a function: writes into `input` and returns it."
    return function


for _name in "addmv_ as_strided_ conj_physical_ detach_ fill_ index_put_ resize_as_ zero_".split():
    globals()[_name] = as_function(_name)
    __all__.append(_name)  # noqa: PYI056
for _name in "is_same_size nonzero_static put unsafe_chunk unsafe_split unsafe_split_with_sizes is_distributed".split():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, globals()[_name])
