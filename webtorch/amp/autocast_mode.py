"""`autocast`: regions in which products of matrices run in 16 bits, and what needs more in float32. See `precision`."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .. import devices, dtypes, precision
from ..dtypes import dtype as DType
from ..tensor import Tensor

__all__ = [
    "autocast", "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache", "custom_bwd", "custom_fwd",
    "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype", "get_autocast_ipu_dtype", "get_autocast_xla_dtype",
    "is_autocast_available", "is_autocast_cache_enabled", "is_autocast_cpu_enabled", "is_autocast_enabled",
    "is_autocast_ipu_enabled", "is_autocast_xla_enabled", "set_autocast_cache_enabled", "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled", "set_autocast_dtype", "set_autocast_enabled", "set_autocast_gpu_dtype", "set_autocast_ipu_dtype",
    "set_autocast_ipu_enabled", "set_autocast_xla_dtype", "set_autocast_xla_enabled",
]  # fmt: skip

ABSENT = ("ipu", "xla")  # devices of PyTorch that do not exist here: their flags are kept, and mean nothing


def kind_of(device_type: Any, call: str) -> str:
    """The device type that a name stands for: those of PyTorch's GPUs mean the GPU that there is."""
    if isinstance(device_type, devices.Device):
        device_type = device_type.type
    if not isinstance(device_type, str):
        raise ValueError(f"{call}: Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type in ABSENT:
        return device_type
    if device_type in devices.OTHER_GPU_NAMES:
        return "webgpu"
    if device_type not in devices.DEVICE_TYPES or device_type == "meta":
        known = ", ".join(sorted(devices.DEVICE_TYPES - {"meta"}))
        raise RuntimeError(
            f"{call}: User specified an unsupported autocast device_type '{device_type}'; there are {known}"
        )
    return device_type


class autocast:
    """A region, or a function, in which ops on `device_type` run in the dtypes that suit them: products of matrices and
    convolutions in `dtype` (bfloat16 on the cpu and float16 on webgpu unless given), softmax, losses, norms, exponentials
    and sums in float32; what takes several tensors in the widest of theirs, and everything else as it comes.

    `device_type` is "cpu" or "webgpu"; "cuda", "mps" and the like stand for webgpu, which is refused with a warning where
    there is none. Weights (float32 leaves that require grad) are converted once in a region, unless `cache_enabled` is
    false. Gradients have the dtype of what they are gradients of. A dtype other than float16 and bfloat16 turns autocast
    off, with a warning. Raises RuntimeError for a device type that does not exist, and ValueError for what is no string.

    The lists are PyTorch's for CUDA devices (`webtorch.precision.POLICY`), here on both devices.

    >>> import webtorch
    >>> x, w = webtorch.ones(2, 3, device="cpu"), webtorch.ones(3, 3, device="cpu")
    >>> with webtorch.autocast("cpu"):
    ...     y = x @ w
    ...     y.dtype, y.softmax(-1).dtype
    (webtorch.bfloat16, webtorch.float32)
    """

    def __init__(
        self, device_type: str, dtype: DType | None = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        self.device = kind_of(device_type, "autocast")
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtypes.as_dtype(dtype)
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else bool(cache_enabled)
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(
                f"In {self.device} autocast, but the target dtype {self.fast_dtype} is not supported. Disabling autocast. It "
                "supports webtorch.bfloat16 and webtorch.float16",
                stacklevel=2,
            )
            enabled = False
        if enabled and self.device == "webgpu" and device_type != "webgpu" and not devices.is_webgpu_available():
            warnings.warn(f"{device_type!r} means webgpu, which is not available. Disabling autocast.", stacklevel=2)
            enabled = False
        self._enabled = bool(enabled)
        self._before: list[precision.State] = []

    def __enter__(self) -> autocast:
        before = precision.current()
        self._before.append(before)
        state = before.with_enabled(self.device, self._enabled).with_dtype(self.device, self.fast_dtype)
        precision.put(replace(state, caching=self._cache_enabled, nesting=before.nesting + 1))
        return self

    def __exit__(self, *exception: object) -> None:
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        precision.put(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        if not callable(function):
            raise TypeError(
                f"autocast(...)(function) requires a callable, but got {type(function).__name__}; as a region it is written "
                "`with webtorch.autocast(device_type): ...`"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: Any, **given: Any) -> Any:
                with self:
                    return await function(*args, **given)

            return later

        @functools.wraps(function)
        def call(*args: Any, **given: Any) -> Any:
            with self:
                return function(*args, **given)

        return call


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows a device type; PyTorch's names of GPUs stand for webgpu.

    >>> is_autocast_available("cpu"), is_autocast_available("abacus")
    (True, False)
    """
    try:
        return kind_of(device_type, "is_autocast_available") not in ABSENT
    except RuntimeError:
        return False


# ---- the state ------------------------------------------------------------------------------------------------------


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on for a device type; without one, for webgpu, as PyTorch's means CUDA.

    >>> with autocast("cpu"):
    ...     is_autocast_enabled("cpu"), is_autocast_enabled()
    (True, False)
    """
    return kind_of(device_type or "webgpu", "is_autocast_enabled") in precision.current().enabled


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Turn autocast on or off for a device type, until it is set again; with a bool alone, for webgpu.

    >>> set_autocast_enabled("cpu", False)
    """
    if enabled is None:
        device_type, enabled = "webgpu", bool(device_type)
    precision.put(precision.current().with_enabled(kind_of(device_type, "set_autocast_enabled"), bool(enabled)))


def get_autocast_dtype(device_type: str) -> DType:
    """The lower dtype of a device type: bfloat16 on the cpu, float16 on others, unless it was set.

    >>> get_autocast_dtype("cpu"), get_autocast_dtype("webgpu")
    (webtorch.bfloat16, webtorch.float16)
    """
    kind = kind_of(device_type, "get_autocast_dtype")
    known = dict(precision.current().lower)
    return known.get(kind, dtypes.bfloat16 if kind == "xla" else precision.current().dtype(kind))


def set_autocast_dtype(device_type: str, dtype: DType) -> None:
    """Make `dtype` the lower dtype of a device type.

    >>> set_autocast_dtype("cpu", get_autocast_dtype("cpu"))
    """
    kind = kind_of(device_type, "set_autocast_dtype")
    precision.put(precision.current().with_dtype(kind, dtypes.as_dtype(dtype)))


def is_autocast_cache_enabled() -> bool:
    """Whether regions keep converted weights.

    >>> is_autocast_cache_enabled()
    True
    """
    return precision.current().caching


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Have regions keep converted weights, or not.

    >>> set_autocast_cache_enabled(True)
    """
    precision.put(replace(precision.current(), caching=bool(enabled)))


def clear_autocast_cache() -> None:
    """Forget the converted weights.

    >>> clear_autocast_cache()
    """
    precision.clear_cache()


def autocast_increment_nesting() -> int:
    """Count one region more, and say how many there are then: those who make regions of their own use it.

    >>> autocast_increment_nesting() - autocast_decrement_nesting()
    1
    """
    state = precision.current()
    precision.put(replace(state, nesting=state.nesting + 1))
    return state.nesting + 1


def autocast_decrement_nesting() -> int:
    """Count one region less, and say how many are left; whoever leaves the last one clears the cache.

    >>> autocast_increment_nesting(), autocast_decrement_nesting()
    (1, 0)
    """
    state = precision.current()
    precision.put(replace(state, nesting=state.nesting - 1))
    return state.nesting - 1


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")`.

    >>> is_autocast_cpu_enabled()
    False
    """
    return is_autocast_enabled("cpu")


def is_autocast_ipu_enabled() -> bool:
    """A flag for a device that does not exist here.

    >>> is_autocast_ipu_enabled()
    False
    """
    return is_autocast_enabled("ipu")


def is_autocast_xla_enabled() -> bool:
    """A flag for a device that does not exist here.

    >>> is_autocast_xla_enabled()
    False
    """
    return "xla" in precision.current().enabled


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """`set_autocast_enabled("cpu", enabled)`.

    >>> set_autocast_cpu_enabled(False)
    """
    set_autocast_enabled("cpu", enabled)


def set_autocast_ipu_enabled(enabled: bool) -> None:
    """Set a flag for a device that does not exist here.

    >>> set_autocast_ipu_enabled(False)
    """
    set_autocast_enabled("ipu", enabled)


def set_autocast_xla_enabled(enabled: bool) -> None:
    """Set a flag for a device that does not exist here.

    >>> set_autocast_xla_enabled(False)
    """
    set_autocast_enabled("xla", enabled)


def get_autocast_cpu_dtype() -> DType:
    """`get_autocast_dtype("cpu")`.

    >>> get_autocast_cpu_dtype()
    webtorch.bfloat16
    """
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> DType:
    """`get_autocast_dtype("webgpu")`.

    >>> get_autocast_gpu_dtype()
    webtorch.float16
    """
    return get_autocast_dtype("webgpu")


def get_autocast_ipu_dtype() -> DType:
    """The lower dtype of a device that does not exist here.

    >>> get_autocast_ipu_dtype()
    webtorch.float16
    """
    return get_autocast_dtype("ipu")


def get_autocast_xla_dtype() -> DType:
    """The lower dtype of a device that does not exist here.

    >>> get_autocast_xla_dtype()
    webtorch.bfloat16
    """
    return get_autocast_dtype("xla")


def set_autocast_cpu_dtype(dtype: DType) -> None:
    """`set_autocast_dtype("cpu", dtype)`.

    >>> set_autocast_cpu_dtype(get_autocast_cpu_dtype())
    """
    set_autocast_dtype("cpu", dtype)


def set_autocast_gpu_dtype(dtype: DType) -> None:
    """`set_autocast_dtype("webgpu", dtype)`.

    >>> set_autocast_gpu_dtype(get_autocast_gpu_dtype())
    """
    set_autocast_dtype("webgpu", dtype)


def set_autocast_ipu_dtype(dtype: DType) -> None:
    """Set the lower dtype of a device that does not exist here.

    >>> set_autocast_ipu_dtype(get_autocast_ipu_dtype())
    """
    set_autocast_dtype("ipu", dtype)


def set_autocast_xla_dtype(dtype: DType) -> None:
    """Set the lower dtype of a device that does not exist here.

    >>> set_autocast_xla_dtype(get_autocast_xla_dtype())
    """
    set_autocast_dtype("xla", dtype)


# ---- custom functions -----------------------------------------------------------------------------------------------


def converted(value: Any, device_type: str, dtype: DType) -> Any:
    """The floating tensors of a device in a tree, but for float64, in another dtype."""
    if isinstance(value, Tensor):
        floating = value.dtype.is_floating_point and value.dtype is not dtypes.float64
        return value.to(dtype) if floating and value.device.type == device_type else value
    if isinstance(value, dict):
        return {converted(key, device_type, dtype): converted(one, device_type, dtype) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(converted(one, device_type, dtype) for one in value)
    return value


def custom_fwd(
    fwd: Callable | None = None, *, device_type: str = "webgpu", cast_inputs: DType | None = None
) -> Callable:
    """Decorates the `forward` of a custom `autograd.Function`. With `cast_inputs`, tensors come in that dtype when autocast
    is on for `device_type`, and autocast is off inside; without, `forward` runs under whatever is in force. `backward`
    should be decorated with `custom_bwd`.

    >>> import webtorch
    >>> class Double(webtorch.autograd.Function):
    ...     @staticmethod
    ...     @custom_fwd(device_type="cpu", cast_inputs=webtorch.float32)
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     @custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> with autocast("cpu"):
    ...     Double.apply(webtorch.ones(1, dtype=webtorch.bfloat16, device="cpu")).dtype
    webtorch.float32
    """
    kind = kind_of(device_type, "custom_fwd")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **given: Any) -> Any:
        context = args[0]
        context._dtype = get_autocast_dtype(kind)
        if cast_inputs is None:
            context._fwd_used_autocast = is_autocast_enabled(kind)
            return fwd(*args, **given)
        used, context._fwd_used_autocast = is_autocast_enabled(kind), False
        if not used:
            return fwd(*args, **given)
        with autocast(kind, enabled=False):
            return fwd(*converted(args, kind, cast_inputs), **converted(given, kind, cast_inputs))

    return forward


def custom_bwd(bwd: Callable | None = None, *, device_type: str = "webgpu") -> Callable:
    """Decorates the `backward` of a custom `autograd.Function`: it runs with autocast as its `forward` did.

    See `custom_fwd`.
    """
    kind = kind_of(device_type, "custom_bwd")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(*args: Any, **given: Any) -> Any:
        context = args[0]
        with autocast(kind, enabled=context._fwd_used_autocast, dtype=context._dtype):
            return bwd(*args, **given)

    return backward
