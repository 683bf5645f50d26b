"""The element types, and PyTorch's rules for combining them.

A ``dtype`` is a single object per type, compared and hashed by identity. The names ``float``, ``int`` ... at the end
of this module shadow Python's own, so the code here spells those ``builtins.float``.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from webtorch.errors import DTypeError, did_you_mean


class dtype:
    """An element type such as ``webtorch.float32``.

    ``name`` is "float32", ``itemsize`` the bytes of one element, ``kind`` one of "bool", "uint", "int", "float", "complex".
    ``numpy`` is the ``np.dtype`` that holds its values, ``memory`` that of its elements in memory, and ``computed`` the
    one that numpy computes it in: 16-bit floats are computed in float32, and bfloat16, which numpy has not, lies in
    memory as the upper half of a float32. Only the instances in this module exist; none can be made.

    >>> float32, float32.itemsize, float32.is_floating_point, int8.is_signed
    (webtorch.float32, 4, True, True)
    """

    __slots__ = (
        "_promotion",
        "computed",
        "is_complex",
        "is_differentiable",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "kind",
        "memory",
        "name",
        "numpy",
    )

    name: str
    kind: str
    numpy: np.dtype[Any]
    memory: np.dtype[Any]
    computed: np.dtype[Any]
    itemsize: builtins.int
    is_floating_point: builtins.bool
    is_complex: builtins.bool
    is_differentiable: builtins.bool  # floating or complex: tensors of it may require grad
    is_signed: builtins.bool
    _promotion: dict[dtype, dtype]

    def __init__(self) -> None:
        raise TypeError("dtypes cannot be made; use webtorch.float32, webtorch.int64 and so on")

    def to_real(self) -> dtype:
        """The type of the real and imaginary part of a complex type; another type itself.

        >>> complex64.to_real(), float64.to_real()
        (webtorch.float32, webtorch.float64)
        """
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def to_complex(self) -> dtype:
        """The complex type with parts of this floating type; a complex type itself.

        Raises DTypeError for types that are neither, and for float16, which no complex type here has as parts.

        >>> float32.to_complex(), complex128.to_complex()
        (webtorch.complex64, webtorch.complex128)
        """
        made = {"float32": complex64, "float64": complex128}.get(self.name, self)
        if not made.is_complex:
            raise DTypeError(f"{self!r}.to_complex(): there is no complex type with such parts; use float32 or float64")
        return made

    def __repr__(self) -> str:
        return f"webtorch.{self.name}"

    def __reduce__(self) -> str:
        # A string makes pickle and copy look the object up in this module, so that identity survives.
        return "bool_" if self.name == "bool" else self.name


def _make(name: str, kind: str, numpy: str | None = None, memory: str | None = None) -> dtype:
    made = object.__new__(dtype)
    made.name = name
    made.kind = kind
    made.numpy = np.dtype(numpy or name)
    made.memory = np.dtype(memory) if memory else made.numpy
    made.itemsize = made.memory.itemsize
    made.computed = np.dtype(np.float32) if kind == "float" and made.itemsize == 2 else made.numpy
    made.is_floating_point = kind == "float"
    made.is_complex = kind == "complex"
    made.is_differentiable = kind in ("float", "complex")
    made.is_signed = kind in ("int", "float", "complex")
    made._promotion = {}
    return made


# fmt: off
bool_    = _make("bool",    "bool")
uint8    = _make("uint8",   "uint")
int8     = _make("int8",    "int")
int16    = _make("int16",   "int")
int32    = _make("int32",   "int")
int64    = _make("int64",   "int")
float16  = _make("float16", "float")
bfloat16 = _make("bfloat16", "float", numpy="float32", memory="uint16")
float32  = _make("float32", "float")
float64  = _make("float64", "float")
complex64  = _make("complex64",  "complex")
complex128 = _make("complex128", "complex")
# fmt: on

ALL: tuple[dtype, ...] = (
    bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip


def _promote(a: dtype, b: dtype) -> dtype:
    """PyTorch's promotion of two types: the kind decides before the width, so int64 with float16 is float16."""
    if a.kind == b.kind:
        if a.itemsize == b.itemsize and a is not b:
            return float32  # float16 and bfloat16: neither holds the other
        return a if a.itemsize >= b.itemsize else b
    rank = {"bool": 0, "uint": 1, "int": 2, "float": 3, "complex": 4}
    low, high = sorted((a, b), key=lambda each: rank[each.kind])
    if low is float64 and high is complex64:
        return complex128
    if low.kind == "uint" and high is int8:
        return int16  # the smallest type that holds the values of both
    return high


for _a in ALL:
    for _b in ALL:
        _a._promotion[_b] = _promote(_a, _b)
del _a, _b


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest type that PyTorch turns two arrays of types ``a`` and ``b`` into (``torch.promote_types``).

    >>> promote_types(uint8, int8), promote_types(int64, float16)
    (webtorch.int16, webtorch.float16)
    """
    try:
        return a._promotion[b]
    except (AttributeError, KeyError, TypeError):
        raise DTypeError(
            f"promote_types({a!r}, {b!r}): both arguments must be webtorch dtypes, such as webtorch.float32"
        ) from None


# ---- values and memory ---------------------------------------------------------------------------------------------


def decode(memory: np.ndarray, of: dtype) -> np.ndarray:
    """The values of elements in memory, as numpy computes with them: the array itself but for the 16-bit floats."""
    if of is bfloat16:
        return (memory.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return memory.astype(np.float32) if of is float16 else memory


def encode(values: Any, of: dtype) -> np.ndarray:
    """Values as elements in memory: rounded to the nearest of the type, ties to even. NaN stays NaN."""
    if of.computed is of.memory:
        return np.asarray(values, dtype=of.memory, order="C")
    # From float64 and int64 by way of float32, as PyTorch does.
    single = np.asarray(values, dtype=np.float32, order="C")
    if of is float16:
        return single.astype(np.float16)
    bits = single.view(np.uint32)
    nearest = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(single), quiet, nearest).astype(np.uint16)


def rounded(values: Any, of: dtype) -> np.ndarray:
    """Values brought to those that ``of`` has, in the type that numpy computes it in."""
    array = encode(values, of)
    return array if of.computed is of.memory else decode(array, of)


def accumulator(of: dtype) -> dtype:
    """The type that sums and other long computations are carried in: float32 for the 16-bit floats, else the type itself.

    >>> accumulator(bfloat16), accumulator(float64), accumulator(int8)
    (webtorch.float32, webtorch.float64, webtorch.int8)
    """
    return float32 if of is float16 or of is bfloat16 else of


# ---- Python scalars and the default type ---------------------------------------------------------------------------

_default_dtype = float32
_listeners: list[Callable[[], None]] = []


def when_default_changes(listener: Callable[[], None]) -> None:
    """Have `listener` called after every change of the default dtype."""
    _listeners.append(listener)


def get_default_dtype() -> dtype:
    """The floating type of new tensors made from Python floats: float32 unless ``set_default_dtype`` changed it."""
    return _default_dtype


def set_default_dtype(d: dtype) -> None:
    """Make ``d`` the floating type of new tensors made from Python floats, for the whole process.

    Raises DTypeError when ``d`` is not a floating type.
    """
    global _default_dtype
    chosen = as_dtype(d)
    if not chosen.is_floating_point:
        raise DTypeError(
            f"set_default_dtype({chosen!r}): only floating-point types are supported as the default type; "
            "use webtorch.float32, webtorch.float64, webtorch.float16 or webtorch.bfloat16"
        )
    _default_dtype = chosen
    for listener in _listeners:
        listener()


def scalar_dtype(value: Any) -> dtype:
    """The type that PyTorch gives a Python or numpy scalar: bool, int64, the default floating type, or the complex type
    with parts of that.

    Raises DTypeError for anything else.

    >>> scalar_dtype(True), scalar_dtype(3), scalar_dtype(2.5), scalar_dtype(1j)
    (webtorch.bool, webtorch.int64, webtorch.float32, webtorch.complex64)
    """
    if isinstance(value, (builtins.bool, np.bool_)):
        return bool_
    if isinstance(value, (builtins.int, np.integer)):
        return int64
    if isinstance(value, (builtins.float, np.floating)):
        return _default_dtype
    if isinstance(value, (builtins.complex, np.complexfloating)):
        return default_complex_dtype()
    raise DTypeError(f"expected a bool, int, float or complex, but got {type(value).__name__}")


def default_complex_dtype() -> dtype:
    """The type of new tensors made from Python's complex numbers: its parts are of the default floating type."""
    return complex128 if _default_dtype is float64 else complex64


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """Join the types of two categories: the lower one counts only when it is of a higher kind."""
    if higher is None or lower is None:
        return higher or lower
    if higher.kind == "complex":
        return higher
    if higher.kind == "float":
        return higher._promotion[complex64] if lower.kind == "complex" else higher
    if higher.kind == "bool" or lower.kind in ("float", "complex"):
        return higher._promotion[lower]
    return higher


def result_dtype(operands: Iterable[tuple[dtype, str]]) -> dtype:
    """The type of an operation's result, by PyTorch's ``result_type`` rule.

    Each operand is ``(dtype, category)`` with category "dimensioned", "zero_dim" or "scalar" (a Python number).
    Operands of one category promote among themselves; a later category changes the result only when its kind
    (bool, integer, float, complex) is higher. A floating scalar counts as the default type whatever type it is given with.

    >>> result_dtype([(int8, "dimensioned"), (int64, "scalar")])
    webtorch.int8
    >>> result_dtype([(int8, "dimensioned"), (float32, "scalar")])
    webtorch.float32
    """
    dimensioned = zero_dim = scalar = None
    for each, category in operands:
        if category == "dimensioned":
            dimensioned = each if dimensioned is None else dimensioned._promotion[each]
        elif category == "zero_dim":
            zero_dim = each if zero_dim is None else zero_dim._promotion[each]
        elif category == "scalar":
            if each.kind == "float":
                each = _default_dtype
            elif each.kind == "complex":
                each = default_complex_dtype()
            scalar = each if scalar is None else scalar._promotion[each]
        else:
            raise ValueError(f"category must be 'dimensioned', 'zero_dim' or 'scalar', not {category!r}")
    result = _combine(dimensioned, _combine(zero_dim, scalar))
    if result is None:
        raise ValueError("result_dtype needs at least one operand")
    return result


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """Whether PyTorch's ``can_cast`` allows ``from_`` to be turned into ``to``: never to a lower kind.

    Narrowing within a kind is allowed, and so is signed to unsigned.

    >>> can_cast(float64, float16), can_cast(float32, int64), can_cast(int64, bool_)
    (True, False, False)
    """
    source, target = as_dtype(from_), as_dtype(to)
    if source.is_complex and not target.is_complex:
        return False
    if source.is_floating_point and not target.is_differentiable:
        return False
    return source is bool_ or target is not bool_


# ---- looking types up ----------------------------------------------------------------------------------------------

_BY_NUMPY = {(each.numpy.kind, each.itemsize): each for each in ALL if each is not bfloat16}
_BY_NAME = {each.name: each for each in ALL} | {
    "bool_": bool_,
    "half": float16,
    "float": float32,
    "double": float64,
    "short": int16,
    "int": int32,
    "long": int64,
    "cfloat": complex64,
    "cdouble": complex128,
}
# A Python type asks for what it holds, as in PyTorch: float is float64 here, not the default type.
_BY_PYTHON_TYPE = {builtins.bool: bool_, builtins.int: int64, builtins.float: float64, builtins.complex: complex128}
_SUPPORTED = ", ".join(each.name for each in ALL)


def from_numpy_dtype(numpy_dtype: np.dtype[Any]) -> dtype:
    """The webtorch type for a numpy one, in any byte order.

    Raises DTypeError for a numpy type that webtorch has not.

    >>> from_numpy_dtype(np.dtype(">f4"))
    webtorch.float32
    """
    found = _BY_NUMPY.get((numpy_dtype.kind, numpy_dtype.itemsize))
    if found is None:
        fix = "convert the array first, for example with array.astype(np.float32)"
        if numpy_dtype.kind == "u":
            fix = "convert the array first, for example with array.astype(np.int64)"
        raise DTypeError(f"webtorch has no type for numpy's {numpy_dtype}; it has {_SUPPORTED}: {fix}")
    return found


def as_dtype(x: Any) -> dtype:
    """The type meant by ``x``: a dtype, a name, a numpy type, or Python's bool, int, float or complex.

    Names may start with "torch." or "webtorch.". Python's types mean what PyTorch takes them for: int is int64 and
    float is float64. Raises DTypeError for anything else.

    >>> as_dtype("torch.int32"), as_dtype(np.float16), as_dtype(builtins.int)
    (webtorch.int32, webtorch.float16, webtorch.int64)
    """
    if type(x) is dtype:
        return x
    if isinstance(x, str):
        name = x.removeprefix("webtorch.").removeprefix("torch.")
        found = _BY_NAME.get(name)
        if found is None:
            raise DTypeError(f"unknown dtype {x!r}; webtorch has {_SUPPORTED}.{did_you_mean(name, _BY_NAME)}")
        return found
    if isinstance(x, np.dtype):
        return from_numpy_dtype(x)
    if isinstance(x, type):
        if x in _BY_PYTHON_TYPE:
            return _BY_PYTHON_TYPE[x]
        if issubclass(x, np.generic):
            return from_numpy_dtype(np.dtype(x))
    if type(x).__module__ == "torch" and type(x).__name__ == "dtype":
        return as_dtype(str(x))
    raise DTypeError(f"expected a dtype such as webtorch.float32, but got {x!r}")


# ---- numeric limits ------------------------------------------------------------------------------------------------


class _BFLOAT16:
    """What numpy's finfo would say of bfloat16: 8 bits of exponent as in float32, 8 of precision."""

    eps = 2.0**-7
    max = (2.0 - eps) * 2.0**127
    min = -max
    smallest_normal = 2.0**-126


class finfo:
    """Limits of a floating type, as ``torch.finfo``: bits, eps, max, min, tiny, smallest_normal, resolution, dtype.

    Without argument: of the default type; of a complex type those of its parts. Raises DTypeError for other types.

    >>> finfo(float16).max, finfo(float32).bits
    (65504.0, 32)
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: dtype | None = None) -> None:
        of = _default_dtype if type is None else as_dtype(type)
        if not of.is_differentiable:
            raise DTypeError(f"finfo({of!r}): finfo is for floating types; use webtorch.iinfo")
        of = of.to_real()
        limits: Any = _BFLOAT16 if of is bfloat16 else np.finfo(of.numpy)
        self.bits = of.itemsize * 8
        self.eps = builtins.float(limits.eps)
        self.max = builtins.float(limits.max)
        self.min = builtins.float(limits.min)
        self.tiny = self.smallest_normal = builtins.float(limits.smallest_normal)
        # The decimal digits that any value keeps, as a power of ten.
        self.resolution = builtins.float(f"1e-{math.floor((-math.log2(self.eps)) * math.log10(2))}")
        self.dtype = of.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type, as ``torch.iinfo``: bits, max, min, dtype.

    Raises DTypeError for a type that is not an integer type.

    >>> iinfo(uint8)
    iinfo(min=0, max=255, dtype=uint8)
    """

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: dtype) -> None:
        of = as_dtype(type)
        if of.kind not in ("int", "uint"):
            raise DTypeError(f"iinfo({of!r}): iinfo is for integer types; use webtorch.finfo for floating ones")
        limits = np.iinfo(of.numpy)
        self.bits = of.itemsize * 8
        self.min = builtins.int(limits.min)
        self.max = builtins.int(limits.max)
        self.dtype = of.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


# PyTorch's other names of the types. Keep them last: they shadow Python's.
half = float16
float = float32
double = float64
short = int16
int = int32
long = int64
cfloat = complex64
cdouble = complex128
