"""The errors webtorch raises, and the table of the error names that torch.js publishes.

Every error that torch.js has a name for carries that name in ``.code``, and its message starts with it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable

__all__ = [
    "CODES",
    "DTypeError",
    "DeviceError",
    "DeviceLostError",
    "DeviceUnavailableError",
    "GPUTimeoutError",
    "IndexShapeError",
    "MissingModuleError",
    "MissingNameError",
    "OutOfMemoryError",
    "RegistryError",
    "ShaderCompileError",
    "ShapeError",
    "UnpicklingError",
    "coded_error",
    "did_you_mean",
]


class _Coded(RuntimeError):
    """An error that may carry a torch.js error name: ``.code`` is the name or None."""

    code: str | None

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


class ShapeError(_Coded):
    """Raised when shapes, strides or a pattern over them do not fit the call; always before anything runs.

    ``.code`` is the torch.js name of the error (or None), and the message starts with it.

    >>> str(ShapeError("3 != 5 for shapes [2, 3] and [5, 4]", code="matmul_error_inner_dimensions_do_not_match"))
    'matmul_error_inner_dimensions_do_not_match: 3 != 5 for shapes [2, 3] and [5, 4]'
    """


class IndexShapeError(ShapeError, IndexError):
    """Raised when a dimension number or an index lies outside its range, where PyTorch raises IndexError.

    It can be caught as ShapeError, as IndexError and as RuntimeError.
    """


class DTypeError(TypeError, RuntimeError):
    """Raised when an element type does not exist, does not fit the operation, or is missing on the device.

    PyTorch raises sometimes TypeError and sometimes RuntimeError for this; both catch it.
    """


class DeviceError(_Coded):
    """Raised when a device is unknown, tensors live on different devices, or a call needs another device.

    Also raised when a process that was forked after the GPU was opened tries to use that GPU.
    """


class DeviceUnavailableError(DeviceError):
    """Raised when a device was asked for that this machine cannot offer, for example no GPU adapter was found."""


class OutOfMemoryError(RuntimeError):
    """Raised when a buffer cannot be allocated; the message names the size asked for and what holds memory now.

    ``table`` lists the live tensors, the largest first: it is also the end of the message.

    >>> print(OutOfMemoryError("out of GPU memory", table="bytes  dtype"))
    out of GPU memory
    <BLANKLINE>
    bytes  dtype
    """

    table: str

    def __init__(self, message: str = "", *, table: str = "") -> None:
        super().__init__(f"{message}\n\n{table}" if table else message)
        self.table = table


class DeviceLostError(RuntimeError):
    """Raised when the GPU driver dropped the device; its tensors are gone. Tensors on the cpu are not concerned, and
    ``webtorch.webgpu.recover()`` makes a new device."""


class GPUTimeoutError(DeviceLostError):
    """Raised when the GPU takes longer than ``webtorch.webgpu.set_timeout`` allows; the device counts as lost then."""


class ShaderCompileError(RuntimeError):
    """Raised when the driver refuses a shader; with ``source`` the message ends in the WGSL with line numbers.

    >>> print(ShaderCompileError("unknown identifier 'y'", source="fn main() {\\n  x = y;\\n}"))
    unknown identifier 'y'
       1 | fn main() {
       2 |   x = y;
       3 | }
    """

    source: str | None

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        if source is not None:
            lines = (f"{number:4d} | {line}" for number, line in enumerate(source.splitlines(), start=1))
            message = "\n".join([message, *lines])
        super().__init__(message)
        self.source = source


class UnpicklingError(RuntimeError, pickle.UnpicklingError):
    """Raised by ``webtorch.load`` for a file that is damaged, that is no checkpoint, or that asks for anything but tensors
    and plain values; nothing of such a file was run. It can be caught as RuntimeError and as pickle.UnpicklingError."""


class MissingNameError(AttributeError, NotImplementedError):
    """Raised for a name of PyTorch's that webtorch has not: it says what comes closest and how to report it."""


class MissingModuleError(ModuleNotFoundError, NotImplementedError):
    """Raised when a module of PyTorch's is imported that webtorch has not: see MissingNameError."""


REPORT = (
    " If a program needs it, please open an issue with this line in webtorch's repository; `python -m webtorch run --report "
    "program.py` lists everything that the program lacks."
)


class CompileError(RuntimeError):
    """Raised by ``webtorch.compile`` for a function that a replay would not do again: it names the line and the fix."""


class RegistryError(_Coded):
    """Raised by the extension API: something is registered twice, not registered, or does not match its signature."""


# Every error name of the torch.js index, once. An index or dimension out of range is IndexShapeError exactly where
# PyTorch raises IndexError.
# fmt: off
CODES: dict[str, type[_Coded]] = {
    "at_error_index_out_of_bounds":               IndexShapeError,
    "batch_dimensions_do_not_match_error":        ShapeError,
    "broadcast_error_incompatible_dimensions":    ShapeError,
    "chunk_error_dim_out_of_range":               IndexShapeError,
    "dimension_error_out_of_range":               IndexShapeError,
    "einops_error_ambiguous_decomposition":       ShapeError,
    "einops_error_anonymous_in_output":           ShapeError,
    "einops_error_dimension_mismatch":            ShapeError,
    "einops_error_invalid_pattern":               ShapeError,
    "einops_error_reduce_undefined_output":       ShapeError,
    "einops_error_repeat_missing_size":           ShapeError,
    "einops_error_undefined_axis":                ShapeError,
    "einsum_error_dimension_mismatch":            ShapeError,
    "einsum_error_index_out_of_range":            ShapeError,
    "einsum_error_invalid_equation":              ShapeError,
    "einsum_error_invalid_sublist_element":       ShapeError,
    "einsum_error_operand_count_mismatch":        ShapeError,
    "einsum_error_subscript_rank_mismatch":       ShapeError,
    "einsum_error_unknown_output_index":          ShapeError,
    "embedding_bag_error_requires_2d_input":      ShapeError,
    "expand_error_incompatible":                  ShapeError,
    "flip_error_dim_out_of_range":                IndexShapeError,
    "gather_error_dim_out_of_range":              IndexShapeError,
    "index_select_error_dim_out_of_range":        IndexShapeError,
    "item_error_not_scalar":                      ShapeError,
    "linalg_error_not_square_matrix":             ShapeError,
    "linalg_error_requires_2d":                   ShapeError,
    "linalg_error_requires_at_least_2d":          ShapeError,
    "matmul_error_inner_dimensions_do_not_match": ShapeError,
    "narrow_error_length_exceeds_bounds":         ShapeError,
    "narrow_error_start_out_of_bounds":           IndexShapeError,
    "permute_error_dimension_count_mismatch":     ShapeError,
    "scatter_error_dim_out_of_range":             IndexShapeError,
    "select_error_index_out_of_bounds":           IndexShapeError,
    "slice_error_out_of_bounds":                  ShapeError,
    "softmax_error_dim_out_of_range":             IndexShapeError,
    "split_error_dim_out_of_range":               IndexShapeError,
    "transpose_dims_error_out_of_range":          IndexShapeError,
    "transpose_error_requires_2d_tensor":         ShapeError,
    "unbind_error_dim_out_of_range":              IndexShapeError,

    "device_error_requires":                      DeviceError,

    "autograd_gradient_mismatch_error":           RegistryError,
    "autograd_not_registered_error":              RegistryError,
    "dtype_already_registered_error":             RegistryError,
    "dtype_components_mismatch_error":            RegistryError,
    "dtype_not_found_error":                      RegistryError,
    "function_already_registered_error":          RegistryError,
    "invalid_config_error":                       RegistryError,
    "kernel_not_registered_error":                RegistryError,
    "kernel_signature_mismatch_error":            RegistryError,
    "method_already_registered_error":            RegistryError,
    "method_dtype_not_supported_error":           RegistryError,
    "op_kind_mismatch_error":                     RegistryError,
    "op_not_found_error":                         RegistryError,
    "registration_failed_error":                  RegistryError,
}
# fmt: on


def coded_error(code: str, message: str) -> _Coded:
    """The exception (not yet raised) that belongs to the torch.js error name ``code``.

    Raises KeyError for a name that is not in ``CODES``, which is a mistake in the caller.

    >>> error = coded_error("select_error_index_out_of_bounds", "select: index 4 with shape [2, 3]")
    >>> isinstance(error, IndexError), str(error)
    (True, 'select_error_index_out_of_bounds: select: index 4 with shape [2, 3]')
    """
    return CODES[code](message, code=code)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A hint to append to an error message: the nearest candidate, or an empty string when none is near.

    >>> did_you_mean("flaot32", ["float32", "int32"])
    " Did you mean 'float32'?"
    >>> did_you_mean("banana", ["float32", "int32"])
    ''
    """
    import difflib  # only needed once something went wrong

    near = difflib.get_close_matches(name, list(candidates), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
