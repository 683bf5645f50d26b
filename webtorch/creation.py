"""Making tensors: from data, constant, ramps and identities. Random ones are in `webtorch.random`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import batching, components, devices, dtypes, elsewhere, engine, grad_mode, graph
from .devices import device as Device
from .devices import get_default_device
from .dtypes import dtype as DType
from .errors import DTypeError, ShapeError
from .ops import TABLE
from .ops.elementwise import Fill, cast, fill
from .ops.elementwise import copy as copy_row
from .shapes import check_shape_arguments
from .tensor import Tensor, from_node

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace", "ones",
    "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def resolve(device: Any) -> Device:
    return get_default_device() if device is None else Device(device)


def finish(tensor: Tensor, requires_grad: bool) -> Tensor:
    """A factory's last step; factories give `requires_grad=True` whatever the grad mode is, as in PyTorch."""
    return tensor.requires_grad_() if requires_grad else tensor


def leaf(array: np.ndarray, device: Device, shape: tuple[int, ...] | None = None, dtype: DType | None = None) -> Tensor:
    """A tensor around a C-contiguous numpy array of a supported dtype; on cpu it shares the array's memory.

    With `dtype`, the array holds that dtype's elements as they lie in memory, or values that are converted to it.
    """
    shape = array.shape if shape is None else shape
    if dtype is None:
        dtype = dtypes.from_numpy_dtype(array.dtype)
    elif array.dtype != dtype.memory:
        array = dtypes.encode(array, dtype)
    flat = array.reshape(-1)
    if device.type == "cpu":
        return from_node(graph.data(flat, shape, dtype, device))
    if device.type != "webgpu":
        return from_node(graph.data(elsewhere.upload(flat, device, dtype), shape, dtype, device))
    if not flat.size:
        return from_node(graph.data(engine.None_BUFFER, shape, dtype, device))
    from . import codegen
    from .backends import wgpu as backend

    gpu = backend.get_device()
    codegen.check_features(dtype, engine.limits_of(gpu), f"a {dtype.name} tensor on webgpu")
    return from_node(graph.data(gpu.upload(flat.view(np.uint8)), shape, dtype, device))


def as_array(data: Any, dtype: DType | None, call: str) -> tuple[np.ndarray, DType]:
    """Anything that describes numbers, as a fresh C-contiguous numpy array in native byte order, and the dtype it is for:
    `leaf` makes the tensor of both."""
    if isinstance(data, np.ndarray) or np.isscalar(data) and isinstance(data, np.generic):
        array = np.asarray(data)
        if array.dtype.kind == "O":
            return as_array(array.tolist(), dtype, call)
    elif hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        array = np.asarray(data)
    else:
        array = nested_array(data, call, dtype)
        wide = array.dtype in (np.float64, np.complex128)
        if wide and dtype is None and (not array.size or not has_numpy_double(data)):
            with np.errstate(over="ignore"):
                dtype = dtypes.default_complex_dtype() if array.dtype.kind == "c" else dtypes.get_default_dtype()
                array = array.astype(dtype.numpy)
    if array.dtype.kind not in "biufc":
        raise DTypeError(
            f"{call}: can't make a tensor of {type(data).__name__} with numpy dtype {array.dtype}; "
            "the supported types are bool, the integers up to 64 bits, float16, float32, float64, complex64 and complex128"
        )
    if array.dtype.kind == "c" and dtype is not None and not dtype.is_complex and not isinstance(data, np.ndarray):
        raise DTypeError(
            f"{call}: complex numbers cannot be converted to type {dtype.name} without overflow; take their .real, or leave "
            "dtype out"
        )
    try:
        target = dtype if dtype is not None else dtypes.from_numpy_dtype(array.dtype)
    except DTypeError as error:
        raise DTypeError(f"{call}: {error}") from None
    if array.dtype.kind == "f" and target.kind in ("int", "uint") and not isinstance(data, np.ndarray):
        check_finite(array, target, call)
    if dtype is not None and array.dtype != dtype.numpy:  # (bfloat16's values are converted from float32 at the end)
        from .ops.elementwise import convert_array

        check_range(array, dtype, call) if not isinstance(data, (np.ndarray, Tensor)) else None
        with np.errstate(all="ignore"):
            return np.ascontiguousarray(convert_array(array, dtype)).reshape(array.shape), target
    return np.array(array, dtype=target.numpy, order="C", copy=True).reshape(array.shape), target


def has_numpy_double(data: Any) -> bool:
    """Whether numpy's own float64 is among the numbers: Python's floats take the default dtype, numpy's keep theirs."""
    if isinstance(data, (list, tuple)):
        return any(has_numpy_double(element) for element in data)
    return isinstance(data, (np.generic, np.ndarray)) and data.dtype in (np.float64, np.complex128)


def nested_array(data: Any, call: str, dtype: DType | None) -> np.ndarray:
    """A number or nested sequences of numbers (tensors with one element count) as an array."""
    if isinstance(data, (list, tuple)) and any(isinstance(element, Tensor) for element in data):
        data = [element.tolist() if isinstance(element, Tensor) else element for element in data]
    if isinstance(data, (str, bytes)) or data is None or isinstance(data, (dict, set)):
        raise TypeError(f"{call}: data must be numbers or sequences of numbers, not {type(data).__name__}")
    if isinstance(data, range):
        data = list(data)
    try:
        array = np.array(data)
    except OverflowError:
        raise DTypeError(f"{call}: an integer is too large for int64; use floats, or split it") from None
    except (ValueError, TypeError) as error:
        raise ragged(data, call, error) from None
    if array.dtype.kind not in "biufc" and dtype is not None and dtype.is_floating_point:
        try:
            return np.array(data, dtype=np.float64)  # integers beyond 64 bits
        except (ValueError, TypeError):
            raise ragged(data, call, None) from None
    if array.dtype.kind not in "biufc":
        raise ragged(data, call, None)
    if array.dtype == np.uint64 and not (dtype is not None and dtype.is_floating_point):
        raise DTypeError(f"{call}: an integer is too large for int64; use floats, or split it")
    return array


class RaggedError(ShapeError, ValueError):
    """Raised for sequences of unequal length, where PyTorch raises ValueError."""


def ragged(data: Any, call: str, error: Exception | None) -> Exception:
    """The error for sequences that are not a regular array of numbers."""
    level = list(data) if isinstance(data, (list, tuple)) else [data]
    while any(isinstance(row, (list, tuple)) for row in level):
        sizes = {len(row) if isinstance(row, (list, tuple)) else -1 for row in level}
        if len(sizes) > 1:
            expected = len(level[0]) if isinstance(level[0], (list, tuple)) else 1
            return RaggedError(
                f"{call}: expected sequences of equal length, but got rows of lengths "
                f"{sorted(max(size, 0) for size in sizes)} (the first has {expected}); pad the rows, or make one tensor of each"
            )
        level = [element for row in level for element in row]
    strange = [
        element for element in level if not isinstance(element, (bool, int, float, complex, np.number, np.bool_))
    ]
    if not strange and not error:
        return DTypeError(f"{call}: an integer is too large for int64; use floats, or split it")
    found = type(strange[0] if strange else data).__name__
    return TypeError(
        f"{call}: data must be numbers or sequences of numbers, found {found}" + (f" ({error})" if error else "")
    )


def check_finite(array: np.ndarray, target: DType, call: str) -> None:
    if not np.all(np.isfinite(array)):
        raise DTypeError(
            f"{call}: cannot convert float NaN or infinity to {target.name}; use a floating dtype, or clean the data first"
        )


def check_range(array: np.ndarray, target: DType, call: str) -> None:
    """Python numbers that do not fit the wanted integer dtype raise, as in PyTorch."""
    if array.dtype.kind not in "iuf" or target.kind not in ("int", "uint") or not array.size:
        return
    low, high = int(array.min()), int(array.max())
    bounds = dtypes.iinfo(target)
    # Negative integers wrap around in unsigned dtypes.
    least = bounds.min if target.kind == "int" or array.dtype.kind == "f" else -bounds.max
    if low < least or high > bounds.max:
        raise DTypeError(
            f"{call}: value {low if low < least else high} cannot be converted to type {target.name} without overflow "
            f"(its range is {bounds.min} to {bounds.max}); use a wider dtype"
        )


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of `data`: a number, nested sequences, a numpy array or a tensor.

    Python floats give the default dtype (float32), ints int64, bools bool; numpy arrays keep theirs. Raises DTypeError for
    data that is not numeric or does not fit `dtype`, ShapeError for ragged sequences.

    >>> import webtorch
    >>> webtorch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if components.CUSTOM and (kind := components.custom(dtype)) is not None:
        return components.make(data, kind, device, requires_grad)
    wanted = dtypes.as_dtype(dtype) if dtype is not None else None
    if isinstance(data, Tensor):
        with grad_mode.no_grad():
            copy = (
                data.detach()
                .clone()
                .to(device=data.device if device is None else Device(device), dtype=wanted or data.dtype)
            )
        return finish(copy, requires_grad)
    if requires_grad and wanted is not None and not wanted.is_differentiable:
        raise DTypeError(
            f"tensor(..., dtype={wanted}, requires_grad=True): only floating-point and complex tensors can require gradients"
        )
    array, chosen = as_array(data, wanted, "tensor()")
    made = leaf(array, resolve(device), array.shape, chosen)
    return finish(made, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory where that is possible: tensors of the right dtype and device are returned as they
    are, numpy arrays on the cpu are shared.

    >>> import webtorch
    >>> webtorch.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    wanted = dtypes.as_dtype(dtype) if dtype is not None else None
    if isinstance(data, Tensor):
        return data.to(device=data.device if device is None else Device(device), dtype=wanted or data.dtype)
    if (
        isinstance(data, np.ndarray)
        and resolve(device).type == "cpu"
        and (wanted is None or wanted.memory == data.dtype)
    ):
        return from_numpy(data)
    return tensor(data, dtype=wanted, device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """`as_tensor`, with `copy=True` to force a copy.

    >>> import webtorch
    >>> webtorch.asarray([1, 2])
    tensor([1, 2])
    """
    made = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype=dtype, device=device)
    return finish(made, requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A cpu tensor that shares the memory of a numpy array of any strides.

    Raises DTypeError for dtypes webtorch has not, and for a foreign byte order; a read-only array is copied.

    >>> import webtorch
    >>> webtorch.from_numpy(np.array([1.0, 2.0]))
    tensor([1., 2.], dtype=webtorch.float64)
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy(): expected np.ndarray (got {type(array).__name__}); use webtorch.tensor(...)")
    if not array.dtype.isnative:
        raise DTypeError(
            f"from_numpy(): the array is in foreign byte order ({array.dtype}) and cannot be shared; "
            "use webtorch.tensor(array), which converts"
        )
    dtype = dtypes.from_numpy_dtype(array.dtype)
    cpu = Device("cpu")
    if not array.flags.writeable or not array.size:
        return leaf(np.array(array, order="C"), cpu)
    itemsize = array.itemsize
    if any(stride % itemsize for stride in array.strides):
        return leaf(
            np.array(array, order="C"), cpu
        )  # a field of records: elements do not lie on multiples of their size
    if array.flags.c_contiguous:
        return leaf(array, cpu)
    # The smallest stretch of memory that holds the elements becomes the storage; the array's strides stay.
    low = sum_negative(array.shape, array.strides)
    span = (sum_positive(array.shape, array.strides) - low) // itemsize + 1
    base = np.lib.stride_tricks.as_strided(
        array[(*(-1 if stride < 0 else 0 for stride in array.strides), ...)], (span,), (itemsize,)
    )
    result = from_node(graph.data(base, (span,), dtype, cpu))
    result._shape = array.shape
    result._strides = tuple(stride // itemsize for stride in array.strides)
    result._offset = -low // itemsize
    return result


def sum_negative(shape: Sequence[int], strides: Sequence[int]) -> int:
    return sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True) if stride < 0)


def sum_positive(shape: Sequence[int], strides: Sequence[int]) -> int:
    return sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True) if stride > 0)


# ---- constants ------------------------------------------------------------------------------------------------------


def sizes_of(sizes: tuple, size: Any, call: str) -> tuple[int, ...]:
    return check_shape_arguments(sizes if size is None else (size,), call)


def constant(shape: tuple[int, ...], value: Any, dtype: DType, device: Device) -> Tensor:
    kind = dtypes.scalar_dtype(value)  # raises for what is no number
    if kind.is_complex and not dtype.is_complex and dtype is not dtypes.bool_:
        raise DTypeError(
            f"the value {value!r} cannot be converted to type {dtype.name} without overflow; use dtype=webtorch.complex64"
        )
    return fill(shape, dtype, device, value=value)


def factory(name: str, value: Any, what: str):
    def make(
        *sizes: Any,
        size: Any = None,
        out: Tensor | None = None,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        shape = sizes_of(sizes, size, name)
        if components.CUSTOM and value == 0 and (kind := components.custom(dtype)) is not None:
            return components.full_of_zeros(shape, kind, device, requires_grad)
        chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()
        result = constant(shape, value, chosen, resolve(device))
        if out is not None:
            from .ops.elementwise import store_out

            return store_out(name, result, out)
        return finish(result, requires_grad)

    def make_like(
        input: Tensor,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        memory_format: Any = None,
    ) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}_like: expected a Tensor, got {type(input).__name__}")
        if components.CUSTOM and value == 0 and type(input) is components.ComponentTensor and dtype is None:
            return components.full_of_zeros(input._shape, input.dtype, device or input.device, requires_grad)
        chosen = dtypes.as_dtype(dtype) if dtype is not None else input.dtype
        made = constant(input._shape, value, chosen, input.device if device is None else Device(device))
        return finish(batching.made_like(made, input), requires_grad)

    make.__name__ = make.__qualname__ = name
    make_like.__name__ = make_like.__qualname__ = name + "_like"
    shown = "0." if value == 0 else "1."
    make.__doc__ = f"""A tensor of the given sizes (numbers or one sequence) filled with {what}; float32 unless `dtype` says else.

    >>> import webtorch
    >>> webtorch.{name}(3)
    tensor([{shown}, {shown}, {shown}])
    """
    make_like.__doc__ = f"""A tensor of the shape, dtype and device of `input` filled with {what}.

    >>> import webtorch
    >>> webtorch.{name}_like(webtorch.tensor([5.0]))
    tensor([{shown}])
    """
    return make, make_like


zeros, zeros_like = factory("zeros", 0, "zeros")
ones, ones_like = factory("ones", 1, "ones")
# WebGPU gives out cleared memory only, so an uninitialised tensor is one of zeros.
empty, empty_like = factory("empty", 0, "unspecified values (zeros)")


def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of shape `size` filled with `fill_value`, whose type gives the dtype unless `dtype` does.

    >>> import webtorch
    >>> webtorch.full((2,), 7)
    tensor([7, 7])
    """
    value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.scalar_dtype(value)
    shape = sizes_of((size,) if not isinstance(size, int) else (size,), None, "full")
    result = constant(shape, value, chosen, resolve(device))
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("full", result, out)
    return finish(result, requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of the shape, dtype and device of `input` filled with `fill_value`.

    >>> import webtorch
    >>> webtorch.full_like(webtorch.tensor([1.0, 2.0]), 7)
    tensor([7., 7.])
    """
    chosen = dtypes.as_dtype(dtype) if dtype is not None else input.dtype
    value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    made = constant(input._shape, value, chosen, input.device if device is None else Device(device))
    return finish(batching.made_like(made, input), requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor, of the default floating dtype unless `dtype` says else.

    >>> import webtorch
    >>> webtorch.scalar_tensor(3)
    tensor(3.)
    """
    return full((), s, dtype=dtype or dtypes.get_default_dtype(), device=device, requires_grad=requires_grad)


# ---- ramps ----------------------------------------------------------------------------------------------------------


def ramp_array(node: graph.Node) -> np.ndarray:
    start, step = node.attributes["start"], node.attributes["step"]
    index = np.arange(node.size, dtype=np.int64)
    if node.dtype.is_floating_point:
        kind: Any = np.float64 if node.dtype is dtypes.float64 else np.float32
        return kind(start) + index.astype(kind) * kind(step)
    return (int(start) + index * int(step)).astype(node.dtype.numpy)


# One multiplication and one addition; where a GPU contracts them the last bit may differ.
ramp = Fill("_ramp", wgsl="{start} + {t}(i32({i})) * {step}", numpy=ramp_array)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The numbers from `start` (0 if only one is given) to `end`, exclusive, in steps of `step`.

    int64 when all arguments are ints, else the default floating dtype. Raises RuntimeError for a zero step or one that
    leads away from `end`.

    >>> import webtorch
    >>> webtorch.arange(1, 10, 3)
    tensor([1, 4, 7])
    """
    if end is None:
        start, end = 0, start
    start, end, step = (
        value.item() if isinstance(value, (Tensor, np.generic)) else value for value in (start, end, step)
    )
    for value in (start, end, step):
        if not isinstance(value, (int, float)):
            raise TypeError(f"arange(start={start!r}, end={end!r}, step={step!r}): expected numbers")
        if value != value or abs(value) == math.inf:
            raise RuntimeError(f"arange(start={start}, end={end}, step={step}): unsupported range: {start} -> {end}")
    if step == 0:
        raise RuntimeError(f"arange(start={start}, end={end}, step=0): step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"arange(start={start}, end={end}, step={step}): upper bound and lower bound inconsistent with step sign"
        )
    whole = all(isinstance(value, int) for value in (start, end, step))
    chosen = dtypes.as_dtype(dtype) if dtype is not None else dtypes.int64 if whole else dtypes.get_default_dtype()
    if chosen is dtypes.int64 and not whole and int(step):  # PyTorch counts in whole steps then
        start, end, step, whole = int(start), int(end), int(step), True
    count = -(-(end - start) // step) if whole else math.ceil((end - start) / step)
    result = ramp_tensor(int(count), start, step, chosen, resolve(device))
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("arange", result, out)
    return finish(result, requires_grad)


def ramp_tensor(count: int, start: Any, step: Any, dtype: DType, device: Device) -> Tensor:
    if dtype.is_complex:
        raise DTypeError(
            f"arange(dtype={dtype}): not defined for complex numbers; use linspace, or convert with .to({dtype})"
        )
    if dtype is dtypes.bool_:
        raise DTypeError("arange(dtype=webtorch.bool): not defined for bool; compare an integer range with something")
    if dtype.is_floating_point and device.type == "webgpu" and count > 1 << 24 and dtype is not dtypes.float64:
        # The index itself would be rounded in float32: make the ramp on the host.
        array = ramp_array(graph.Node(ramp, (), {"start": start, "step": step}, (count,), dtype, device))
        return leaf(array, device, (count,), dtype)
    return ramp((count,), dtype, device, start=start, step=step)


def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """`steps` numbers evenly spaced from `start` to `end`, both included.

    >>> import webtorch
    >>> webtorch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    ends = [value.item() if isinstance(value, (Tensor, np.generic)) else value for value in (start, end)]
    imaginary = any(isinstance(value, complex) for value in ends)
    start, end = (complex(value) if imaginary else float(value) for value in ends)
    steps = int(steps)
    if steps < 0:
        raise RuntimeError(f"linspace({start}, {end}, {steps}): number of steps must be non-negative")
    default = dtypes.default_complex_dtype() if imaginary else dtypes.get_default_dtype()
    chosen = dtypes.as_dtype(dtype) if dtype is not None else default
    if imaginary and not chosen.is_complex:
        raise DTypeError(f"linspace({start}, {end}, {steps}, dtype={chosen}): complex ends need a complex dtype")
    where = resolve(device)
    if not chosen.is_differentiable:  # PyTorch takes the ends to be integers, too
        start, end = int(start), int(end)
        limits = dtypes.iinfo(chosen) if chosen is not dtypes.bool_ else None
        if limits is not None and not all(limits.min <= value <= limits.max for value in (start, end)):
            raise RuntimeError(f"linspace({start}, {end}, {steps}): {chosen} holds {limits.min} to {limits.max}")
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    index = np.arange(steps)
    kind: Any = np.float32 if chosen is dtypes.float32 else np.complex128 if chosen.is_complex else np.float64
    # Both halves are counted from their own end, so that the last element is `end` exactly.
    from_start = kind(start) + kind(step) * index.astype(kind)
    from_end = kind(end) - kind(step) * (steps - 1 - index).astype(kind)
    values: Any = np.where(index < steps // 2, from_start, from_end)
    if steps == 1:
        values = np.array([start], kind)
    result = leaf(np.ascontiguousarray(values.astype(chosen.numpy)), where, dtype=chosen)
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("linspace", result, out)
    return finish(result, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The n x m matrix (n x n by default) with ones on the diagonal.

    >>> import webtorch
    >>> webtorch.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    m = n if m is None else m
    if n < 0 or m < 0:
        raise RuntimeError(f"eye({n}, {m}): n and m must be greater or equal to 0")
    where = resolve(device)
    rows = ramp_tensor(n, 0, 1, dtypes.int32, where).unsqueeze(1)
    columns = ramp_tensor(m, 0, 1, dtypes.int32, where)
    result = (rows == columns).to(dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype())
    if out is not None:
        from .ops.elementwise import store_out

        return store_out("eye", result, out)
    return finish(result, requires_grad)


# ---- moving and converting ------------------------------------------------------------------------------------------


def convert(x: Tensor, device: Device, dtype: DType, copy: bool) -> Tensor:
    """`x` on another device or in another dtype; itself when nothing changes and no copy is wanted."""
    if not copy and x.dtype is dtype and x.device == device:
        return x
    from .ops import tracks

    if x.dtype.is_complex and not dtype.is_complex and dtype is not dtypes.bool_:
        warnings.warn(
            f"Casting complex values to real ({dtype}) discards the imaginary part; take .real to say so", stacklevel=3
        )
    with grad_mode.no_grad():
        value = x.detach()
        if x._batch:
            value = batching.lifted(lambda whole: convert(whole, device, dtype, True), value)
        elif device.type == "cpu":
            value = moved(value, device)  # converted where every dtype exists
        if value.dtype is not dtype:
            if value.device.type == "webgpu":
                from . import codegen
                from .backends import wgpu as backend

                codegen.check_features(dtype, engine.limits_of(backend.get_device()), f"to({dtype})")
            value = from_node(graph.record(cast, (value._operand(),), {}, value._shape, dtype, value.device))
        elif not x._batch and value.device == device and value._storage is x._storage:
            value = from_node(graph.record(copy_row, (value._operand(),), {}, value._shape, dtype, device))
        value = moved(value, device)
    if dtype.is_differentiable and tracks(x):
        from .autograd.graph import attach

        attach(TABLE["_to"], value, (x,), {})
    return value


def moved(x: Tensor, device: Device) -> Tensor:
    """The same values in another device's memory."""
    if x.device == device:
        return x
    if device.type == "meta" or (elsewhere.shapes_only and elsewhere.lacks_data(x)):
        return from_node(graph.data(elsewhere.NO_DATA, x._shape, x.dtype, device))
    return leaf(np.ascontiguousarray(x._memory()).reshape(x._shape), device, x._shape, x.dtype)


# ---- like a tensor --------------------------------------------------------------------------------------------------


def new_method(name: str, make: Any, doc: str) -> None:
    """`x.name(...)`: a factory of which the dtype and device are those of `x` unless given."""

    def method(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        chosen = self.dtype if dtype is None else dtype
        where = self.device if device is None else device
        return make(*args, dtype=chosen, device=where, requires_grad=requires_grad)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    setattr(Tensor, name, method)


new_method("new_tensor", tensor, "`webtorch.tensor(data)` with this tensor's dtype and device.")
new_method("new_zeros", zeros, "`webtorch.zeros(size)` with this tensor's dtype and device.")
new_method("new_ones", ones, "`webtorch.ones(size)` with this tensor's dtype and device.")
new_method("new_full", full, "`webtorch.full(size, fill_value)` with this tensor's dtype and device.")
new_method("new_empty", empty, "`webtorch.empty(size)` with this tensor's dtype and device.")

TYPE_NAMES = {
    "float32": "FloatTensor", "float64": "DoubleTensor", "float16": "HalfTensor", "bfloat16": "BFloat16Tensor",
    "int64": "LongTensor", "int32": "IntTensor",
    "int16": "ShortTensor", "int8": "CharTensor", "uint8": "ByteTensor", "bool": "BoolTensor",
    "complex64": "ComplexFloatTensor", "complex128": "ComplexDoubleTensor",
}  # fmt: skip


def type_(self: Tensor, dtype: Any = None) -> Any:
    """This tensor in another dtype; without one, the name of its type, such as 'webtorch.FloatTensor'."""
    if dtype is None:
        return f"webtorch.{TYPE_NAMES.get(self.dtype.name, self.dtype.name)}"
    if isinstance(dtype, str) and dtype.endswith("Tensor"):
        from . import cuda, tensor_types

        place = cuda if ".cuda." in dtype or dtype.startswith("cuda.") else tensor_types
        dtype = getattr(place, dtype.rsplit(".", 1)[-1], dtype)
    if hasattr(dtype, "gpu"):  # FloatTensor and its kin
        return self.to(devices.gpu() if dtype.gpu else self.device, dtype.dtype)
    return self.to(dtypes.as_dtype(dtype))


setattr(Tensor, "type", type_)  # noqa: B010 (a name that type checkers need not know)
