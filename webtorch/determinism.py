"""Settings that PyTorch keeps for the whole process: deterministic algorithms, precision of products, warnings, threads;
and questions about dtypes that need no tensor."""

from __future__ import annotations

import os
from typing import Any

from . import dtypes, reproducible
from .dtypes import dtype as DType
from .errors import CODES, DTypeError, coded_error

__all__ = [
    "are_deterministic_algorithms_enabled", "buildErrorMessage", "build_error_message", "formatShape", "format_shape",
    "get_deterministic_debug_mode", "get_float32_matmul_precision", "get_num_interop_threads", "get_num_threads",
    "get_real_dtype", "is_complex_dtype", "is_deterministic_algorithms_warn_only_enabled", "is_floating_point_dtype",
    "is_warn_always_enabled", "set_default_tensor_type", "set_deterministic_debug_mode", "set_float32_matmul_precision",
    "set_num_interop_threads", "set_num_threads",
    "set_warn_always", "sym_float", "sym_int", "sym_not", "use_deterministic_algorithms",
]  # fmt: skip

DEBUG_MODES = ("default", "warn", "error")
PRECISIONS = ("highest", "high", "medium")

settings: dict[str, Any] = {"debug_mode": 0, "precision": "highest", "warn_always": False, "threads": None}


# ---- deterministic algorithms ---------------------------------------------------------------------------------------


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Whether every operation gives the same bits in every run on the same device.

    All operations always do, but for two on webgpu: adding floats at repeated indices (`index_add`, `scatter_add`,
    `index_put` with `accumulate`, the gradients of `embedding` and of indexing), and storing at repeated indices. With
    this mode on they take a slower form with a fixed order. Nothing raises, so `warn_only` is kept for PyTorch's sake.

    >>> import webtorch
    >>> webtorch.use_deterministic_algorithms(True, warn_only=True)
    >>> webtorch.are_deterministic_algorithms_enabled(), webtorch.get_deterministic_debug_mode()
    (True, 1)
    >>> webtorch.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms({mode!r}): expected a bool, got {type(mode).__name__}")
    set_deterministic_debug_mode((1 if warn_only else 2) if mode else 0)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether the fixed order was asked for.

    >>> import webtorch
    >>> webtorch.are_deterministic_algorithms_enabled()
    False
    """
    return settings["debug_mode"] > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was asked for with `warn_only=True`.

    >>> import webtorch
    >>> webtorch.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return settings["debug_mode"] == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0 or "default" turns deterministic algorithms off; 1 or "warn" and 2 or "error" turn them on: see
    `use_deterministic_algorithms`.

    >>> import webtorch
    >>> webtorch.set_deterministic_debug_mode("default")
    """
    if isinstance(debug_mode, str):
        if debug_mode not in DEBUG_MODES:
            raise RuntimeError(
                f"set_deterministic_debug_mode({debug_mode!r}): expected one of {', '.join(DEBUG_MODES)}"
            )
        debug_mode = DEBUG_MODES.index(debug_mode)
    if isinstance(debug_mode, bool) or not isinstance(debug_mode, int):
        raise TypeError(f"set_deterministic_debug_mode({debug_mode!r}): debug_mode must be str or int")
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"set_deterministic_debug_mode({debug_mode}): expected 0, 1 or 2")
    settings["debug_mode"] = debug_mode


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: see `set_deterministic_debug_mode`.

    >>> import webtorch
    >>> webtorch.get_deterministic_debug_mode()
    0
    """
    return settings["debug_mode"]


def is_order_fixed() -> bool:
    """Whether values that meet in one place are to be stored or added in an order that does not change from run to run."""
    return settings["debug_mode"] > 0 or reproducible.settings["on"]


def set_warn_always(b: bool) -> None:
    """Whether a warning that is given once per process is given every time.

    >>> import webtorch
    >>> webtorch.set_warn_always(False)
    """
    if not isinstance(b, bool):
        raise TypeError(f"set_warn_always({b!r}): expected a bool")
    settings["warn_always"] = b


def is_warn_always_enabled() -> bool:
    """Whether a warning that is given once per process is given every time.

    >>> import webtorch
    >>> webtorch.is_warn_always_enabled()
    False
    """
    return settings["warn_always"]


# ---- precision and threads ------------------------------------------------------------------------------------------


def set_float32_matmul_precision(precision: str) -> None:
    """How exact float32 products must be at least: "highest", "high" or "medium". All kernels here are of the highest.

    >>> import webtorch
    >>> webtorch.set_float32_matmul_precision("highest")
    """
    if precision not in PRECISIONS:
        raise RuntimeError(f"set_float32_matmul_precision({precision!r}): expected one of {', '.join(PRECISIONS)}")
    settings["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told.

    >>> import webtorch
    >>> webtorch.get_float32_matmul_precision()
    'highest'
    """
    return settings["precision"]


def set_num_threads(num: int) -> None:
    """Tell how many threads an operation on the cpu may use: kept for `get_num_threads`. numpy reads OMP_NUM_THREADS or
    OPENBLAS_NUM_THREADS when the process starts, and cannot be told later. Raises RuntimeError unless `num` is positive.

    >>> import webtorch
    >>> webtorch.set_num_threads(webtorch.get_num_threads())
    """
    if isinstance(num, bool) or not isinstance(num, int) or num < 1:
        raise RuntimeError(f"set_num_threads({num!r}): set_num_threads expects a positive integer")
    settings["threads"] = num


def set_num_interop_threads(num: int) -> None:
    """Accepted: operations on the cpu run one after the other. Raises RuntimeError unless `num` is positive.

    >>> import webtorch
    >>> webtorch.set_num_interop_threads(1)
    """
    if isinstance(num, bool) or not isinstance(num, int) or num < 1:
        raise RuntimeError(f"set_num_interop_threads({num!r}): set_num_interop_threads expects a positive integer")


def get_num_threads() -> int:
    """How many threads one operation on the cpu may use: what `set_num_threads` was told, else the number in
    OMP_NUM_THREADS or OPENBLAS_NUM_THREADS, or one per core that
    this process may run on. Matrix products and large elementwise operations take them all.

    >>> import webtorch
    >>> webtorch.get_num_threads() >= 1
    True
    """
    if settings["threads"] is not None:
        return settings["threads"]
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdecimal() and int(os.environ[name]) > 0:
            return int(os.environ[name])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_interop_threads() -> int:
    """How many operations run side by side on the cpu: one.

    >>> import webtorch
    >>> webtorch.get_num_interop_threads()
    1
    """
    return 1


# ---- dtypes ---------------------------------------------------------------------------------------------------------


def is_floating_point_dtype(dtype: Any) -> bool:
    """Whether a dtype is a floating one.

    >>> import webtorch
    >>> webtorch.is_floating_point_dtype(webtorch.float16), webtorch.is_floating_point_dtype(webtorch.int8)
    (True, False)
    """
    return dtypes.as_dtype(dtype).is_floating_point


def is_complex_dtype(dtype: Any) -> bool:
    """Whether a dtype is a complex one.

    >>> import webtorch
    >>> webtorch.is_complex_dtype(webtorch.float32)
    False
    """
    return dtypes.as_dtype(dtype).is_complex


def get_real_dtype(dtype: Any) -> DType:
    """The dtype of the parts of a complex dtype; a real dtype itself.

    >>> import webtorch
    >>> webtorch.get_real_dtype(webtorch.complex64), webtorch.get_real_dtype(webtorch.float32)
    (webtorch.float32, webtorch.float32)
    """
    return dtypes.as_dtype(dtype).to_real()


TENSOR_TYPES = {
    "FloatTensor": dtypes.float32, "DoubleTensor": dtypes.float64, "HalfTensor": dtypes.float16,
    "BFloat16Tensor": dtypes.bfloat16,
}  # fmt: skip


def set_default_tensor_type(t: Any) -> None:
    """The older form of `set_default_dtype`: takes a dtype or a name such as "webtorch.DoubleTensor".

    >>> import webtorch
    >>> webtorch.set_default_tensor_type("webtorch.FloatTensor")
    """
    if hasattr(t, "gpu"):  # FloatTensor and its kin
        t = t.__name__
    if isinstance(t, str) and t.rsplit(".", 1)[-1].endswith("Tensor"):
        name = t.rsplit(".", 1)[-1]
        if name not in TENSOR_TYPES:
            raise DTypeError(
                f"set_default_tensor_type({t!r}): only floating-point types are supported as the default type: "
                f"{', '.join(TENSOR_TYPES)}"
            )
        t = TENSOR_TYPES[name]
    dtypes.set_default_dtype(dtypes.as_dtype(t))


# ---- small helpers of the index -------------------------------------------------------------------------------------


def format_shape(shape: Any) -> str:
    """A shape as error messages show it.

    >>> import webtorch
    >>> webtorch.format_shape((2, 3))
    '[2, 3]'
    """
    return str([int(size) for size in shape])


def build_error_message(code: str, message: str) -> str:
    """The text of an error that has a torch.js name: the name, then what is wrong. Raises KeyError for other names.

    >>> import webtorch
    >>> webtorch.build_error_message("split_error_dim_out_of_range", "split(dim=3): there are 2 dimensions")
    'split_error_dim_out_of_range: split(dim=3): there are 2 dimensions'
    """
    if code not in CODES:
        raise KeyError(f"{code!r} is no error name of the index")
    return str(coded_error(code, message))


def sym_int(a: Any) -> int:
    """`int(a)`: shapes are plain numbers here, never symbols.

    >>> import webtorch
    >>> webtorch.sym_int(2.7)
    2
    """
    return int(a)


def sym_float(a: Any) -> float:
    """`float(a)`: shapes are plain numbers here, never symbols.

    >>> import webtorch
    >>> webtorch.sym_float(2)
    2.0
    """
    return float(a)


def sym_not(a: Any) -> bool:
    """`not a`: shapes are plain numbers here, never symbols.

    >>> import webtorch
    >>> webtorch.sym_not(False)
    True
    """
    return not a


formatShape, buildErrorMessage = format_shape, build_error_message
