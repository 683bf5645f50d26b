"""Complex numbers and their parts: the views that read one as the other, making them of parts, conjugates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes, graph
from ..dtypes import dtype as DType
from ..errors import DTypeError, ShapeError
from ..shapes import numel
from . import TABLE, Op, Tensor, describe
from .elementwise import Elementwise
from .variant import Checked
from .view import View, geometry_in_parts

# ---- the same memory under another dtype ----------------------------------------------------------------------------


class Reread(Op):
    """The value of another node as another dtype: complex numbers as their parts in turn, or pairs of parts as numbers.

    Only lazy devices record it; on the cpu both are the same array. Expanded where it is read.
    """

    inlines = True

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        flat = np.ascontiguousarray(arrays[0])
        return reread_array(flat, node.dtype)


class Parts(Reread):
    def needs(self, block, node: graph.Node, index: int) -> list:
        return [(node.args[0].node, block.emit("apply", "{0} >> 1u", "u32", (index,)))]

    def emit(self, block, node: graph.Node, index: int) -> int:
        value = block.node(*self.needs(block, node, index)[0])
        return block.emit("apply", "select({0}.x, {0}.y, ({1} & 1u) == 1u)", "f32", (value, index))


class Pairs(Reread):
    def needs(self, block, node: graph.Node, index: int) -> list:
        source = node.args[0].node
        places = (block.emit("apply", text, "u32", (index,)) for text in ("{0} << 1u", "({0} << 1u) + 1u"))
        return [(source, place) for place in places]

    def emit(self, block, node: graph.Node, index: int) -> int:
        real, imag = (block.node(*wanted) for wanted in self.needs(block, node, index))
        return block.emit("apply", "c64({0}, {1})", "c64", (real, imag))


class Blocks(Op):
    """Numbers x + iy as blocks (x, y), (-y, x): the row of the block comes after `lead` dimensions, its column last."""

    inlines = True
    weight = 2

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (z,) = arrays
        return np.stack([reread_last(z), reread_last(1j * z)], node.attributes["lead"])

    def places(self, block, node: graph.Node, index: int) -> tuple[int, int]:
        """Where the number is, and the row and column of the element in its block."""
        operand, lead = node.args[0], node.attributes["lead"]
        outer, inner = numel(operand.shape[:lead]), numel(operand.shape[lead:])
        at = block.coordinates(index, (outer, 2, inner, 2))
        values = [block.emit("apply", f"{{0}}_{n}", "u32", (at,)) for n in (0, 2)]
        parts = [
            (values[0], operand.shape[:lead], operand.strides[:lead]),
            (values[1], operand.shape[lead:], operand.strides[lead:]),
        ]
        return block.index(parts, operand.offset), at

    def needs(self, block, node: graph.Node, index: int) -> list:
        return [(node.args[0].node, self.places(block, node, index)[0])]

    def emit(self, block, node: graph.Node, index: int) -> int:
        place, at = self.places(block, node, index)
        value = block.node(node.args[0].node, place)
        return block.emit(
            "apply", "select(select({0}.y, -{0}.y, {1}_1 == 1u), {0}.x, {1}_1 == {1}_3)", "f32", (value, at)
        )


def reread_last(z: np.ndarray) -> np.ndarray:
    """Complex numbers as their parts, in a last dimension of two."""
    return np.stack([z.real, z.imag], -1)


def parts_operand(operand: graph.Operand) -> graph.Operand:
    """The parts of complex numbers in a last dimension of two, as an argument."""
    return graph.Operand(
        reread(operand.node, operand.dtype.to_real()),
        *geometry_in_parts(operand.shape, operand.strides, operand.offset),
    )


blocks = Blocks("_blocks", public=False)
parts = Parts("_parts", public=False)
pairs = Pairs("_pairs", public=False)


def reread_array(flat: np.ndarray, dtype: DType) -> np.ndarray:
    """The memory of a flat array as another dtype; a last part without its pair is left out."""
    return flat[: flat.nbytes // dtype.itemsize * dtype.itemsize // flat.itemsize].view(dtype.numpy)


def reread(node: graph.Node, dtype: DType) -> graph.Node:
    """A node's value as another dtype, on the cpu in the same memory."""
    if node.device.type == "cpu":
        flat = reread_array(node.buffer, dtype)
        return graph.data(flat, flat.shape, dtype, node.device)
    if not dtype.is_complex and node.op is pairs and node.buffer is None and node.args[0].node.size == 2 * node.size:
        return node.args[0].node
    count = node.nbytes // dtype.itemsize
    whole = graph.Operand(node, (node.size,), (1,))
    return graph.record(pairs if dtype.is_complex else parts, (whole,), {}, (count,), dtype, node.device)


class RereadStorage(graph.Storage):
    """The memory of another storage under another dtype: what is written to one is seen through the other."""

    __slots__ = ("base", "dtype", "seen", "value")

    def __init__(self, base: graph.Storage, dtype: DType) -> None:
        self.base = base
        self.dtype = dtype
        self.seen: Any = None  # the base's node that `value` was made of
        self.value: Any = None

    @property
    def node(self) -> graph.Node:  # type: ignore[override]
        if self.seen is not self.base.node:
            self.keep(self.base.node, reread(self.base.node, self.dtype))
        return self.value

    @node.setter
    def node(self, value: graph.Node) -> None:
        old = self.base.node
        back = reread(value, old.dtype)
        if back.size < old.size:  # the last part of the base has no pair, so it is not seen from here
            back = joined(old, back)
        self.base.node = back
        back.storage = old.storage
        self.keep(back, value)

    def keep(self, seen: graph.Node, value: graph.Node) -> None:
        import weakref

        self.seen, self.value = seen, value
        value.storage = weakref.ref(self)

    @property
    def version(self) -> int | None:  # type: ignore[override]
        return self.base.version

    @version.setter
    def version(self, value: int | None) -> None:
        self.base.version = value

    def replace(self, node: graph.Node, counted: bool = True) -> None:
        self.node = node
        if counted:
            self.bump()


def joined(old: graph.Node, front: graph.Node) -> graph.Node:
    """`old` with its first elements replaced by those of `front`."""
    if old.device.type == "cpu":
        whole = old.buffer.copy()
        whole[: front.size] = front.buffer
        return graph.data(whole, old.shape, old.dtype, old.device)
    attributes = {"shape": (front.size,), "strides": (1,), "offset": 0}
    args = (graph.Operand(old, (old.size,), (1,)), graph.Operand(front, (front.size,), (1,)))
    return graph.record(TABLE["_write"], args, attributes, old.shape, old.dtype, old.device)


def storage_as(storage: graph.Storage, dtype: DType) -> graph.Storage:
    if isinstance(storage, RereadStorage) and storage.base.node.dtype is dtype:
        return storage.base
    return RereadStorage(storage, dtype)


class PartsView(View):
    """A view of complex numbers as parts of them."""

    def storage(self, x: Tensor) -> graph.Storage:
        return storage_as(x._storage, x.dtype.to_real())

    def hidden(self, x: Tensor) -> tuple:
        return tuple((level, size, 2 * stride) for level, size, stride in x._batch)


class PairsView(View):
    """A view of pairs of real numbers as complex ones."""

    def storage(self, x: Tensor) -> graph.Storage:
        return storage_as(x._storage, x.dtype.to_complex())

    def hidden(self, x: Tensor) -> tuple:
        return tuple((level, size, stride // 2) for level, size, stride in x._batch)

    def view(self, x: Tensor, attributes: dict) -> Tensor:
        strides = (*x._strides[:-1], *(stride for _, _, stride in x._batch))
        if x._strides[-1] != 1 or x._offset % 2 or any(stride % 2 for stride in strides):
            x = x.clone()  # a tangent or a gradient, laid out in its own way; callers' tensors were checked
        return super().view(x, attributes)


def real_parts(shape, strides, offset):
    return shape, tuple(2 * stride for stride in strides), 2 * offset


def imaginary_parts(shape, strides, offset):
    return shape, tuple(2 * stride for stride in strides), 2 * offset + 1


def paired(shape, strides, offset):
    return shape[:-1], tuple(stride // 2 for stride in strides[:-1]), offset // 2


# ---- rows -----------------------------------------------------------------------------------------------------------


def of_parts(common: DType, call: str) -> tuple[DType, DType]:
    if common not in (dtypes.float32, dtypes.float64):
        raise DTypeError(
            f"{call}: expected both inputs to be float32 or float64 tensors, not {common}; convert with .float()"
        )
    return common, common.to_complex()


def check_parts(call: str, inputs: list, given: dict) -> None:
    kinds = {value.dtype for value in inputs if isinstance(value, Tensor)}
    if len(kinds) > 1 or not all(isinstance(value, Tensor) for value in inputs):
        raise DTypeError(f"{call}({describe(*inputs)}): expected two tensors of one dtype; convert one with .to(...)")


def numpy_complex(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """The numbers with these parts; adding them up as numbers would spoil infinities."""
    real, imag = np.broadcast_arrays(real, imag)
    result = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    result.real, result.imag = real, imag
    return result


# fmt: off
_real = PartsView("_real", geometry=real_parts, public=False, grad_name="Real", vjp=(lambda g: g,))
_imag = PartsView("_imag", geometry=imaginary_parts, public=False, grad_name="Imag", vjp=(lambda g: g * 1j,))
_view_as_real = PartsView("_view_as_real", geometry=geometry_in_parts, public=False, grad_name="ViewAsReal",
    vjp=(lambda g: _view_as_complex.view(g, {}),))
_view_as_complex = PairsView("_view_as_complex", geometry=paired, public=False, grad_name="ViewAsComplex",
    vjp=(lambda g: _view_as_real.view(g, {}),))

_conj = Elementwise("_conj", numpy=np.conj, wgsl="{x}", complex="wt_conj({x})", inputs=1, public=False, grad_name="Conj",
    holomorphic=False, vjp=(lambda g: conj(g),), doc="The conjugates of complex numbers.")

complex = Checked("complex", numpy=numpy_complex, dtype=of_parts, check=check_parts, wgsl={"float": "c64({x}, {y})"},
    inputs=2, inplace=False, method=False, holomorphic=False,
    vjp=(lambda g: real(g), lambda g: imag(g)),
    doc="""Complex numbers of their real and imaginary parts: two tensors of one dtype, float32 or float64, which broadcast.

>>> webtorch.complex(webtorch.tensor([1.0, 2.0]), webtorch.tensor([3.0, -4.0]))
tensor([1.+3.j, 2.-4.j])
""")

polar = Checked("polar", numpy=lambda x, y: numpy_complex(x * np.cos(y), x * np.sin(y)),
    dtype=of_parts, check=check_parts, wgsl={"float": "wt_polar({x}, {y})"}, inputs=2, inplace=False, method=False, holomorphic=False,
    vjp=(lambda g, y: real(g * polar(y * 0 + 1, -y)), lambda g, out: real(g * conj(out * 1j))),
    doc="""Complex numbers of their absolute values and angles: two tensors of one dtype, float32 or float64, which broadcast.

>>> webtorch.polar(webtorch.tensor([1.0, 2.0]), webtorch.tensor([0.0, 1.5]))
tensor([1.0000+0.0000j, 0.1415+1.9950j])
""")
# fmt: on


# ---- functions that are no rows -------------------------------------------------------------------------------------


def check_tensor(input: Any, call: str) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"{call}: expected a Tensor, got {type(input).__name__}; make one with webtorch.tensor(...)")


def real(input: Tensor) -> Tensor:
    """The real parts, as a view: writing to it changes the complex tensor. A real tensor is returned itself.

    >>> webtorch.real(webtorch.tensor([1.0 + 2.0j, -3.0j]))
    tensor([1., -0.])
    """
    check_tensor(input, "real")
    return _real.view(input, {}) if input.dtype.is_complex else input


def imag(input: Tensor) -> Tensor:
    """The imaginary parts, as a view: writing to it changes the complex tensor.

    Raises DTypeError for a real tensor, which has no imaginary parts to view.

    >>> webtorch.imag(webtorch.tensor([1.0 + 2.0j, -3.0j]))
    tensor([ 2., -3.])
    """
    check_tensor(input, "imag")
    if not input.dtype.is_complex:
        raise DTypeError(
            f"imag({describe(input)}): imag is not implemented for tensors with non-complex dtypes; use zeros_like"
        )
    return _imag.view(input, {})


def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as a real one with a last dimension of two: real and imaginary part. The memory is shared.

    Raises DTypeError for a real tensor.

    >>> webtorch.view_as_real(webtorch.tensor([1.0 + 2.0j, -3.0 + 0.5j]))
    tensor([[ 1.0000,  2.0000],
            [-3.0000,  0.5000]])
    """
    check_tensor(input, "view_as_real")
    if not input.dtype.is_complex:
        raise DTypeError(f"view_as_real({describe(input)}): view_as_real is only supported for complex tensors")
    return _view_as_real.view(input, {})


def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor whose last dimension holds real and imaginary parts, as a complex one. The memory is shared.

    Raises DTypeError for dtypes but float32 and float64; ShapeError unless the last dimension has size 2, and its two parts
    lie side by side at an even place.

    >>> webtorch.view_as_complex(webtorch.tensor([[1.0, 2.0], [-3.0, 0.5]]))
    tensor([ 1.+2.0000j, -3.+0.5000j])
    """
    check_tensor(input, "view_as_complex")
    call = f"view_as_complex({describe(input)})"
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise DTypeError(
            f"{call}: view_as_complex is only supported for float32 and float64 tensors; convert with .float()"
        )
    if not input._shape:
        raise ShapeError(f"{call}: Input tensor must have one or more dimensions")
    if input._shape[-1] != 2:
        raise ShapeError(
            f"{call}: Tensor must have a last dimension of size 2, not {input._shape[-1]}; use complex(real, imag)"
        )
    fix = "make it .contiguous() first"
    if input._strides[-1] != 1:
        raise ShapeError(f"{call}: Tensor must have a last dimension with stride 1, not {input._strides[-1]}; {fix}")
    if any(stride % 2 for stride in input._strides[:-1]):
        raise ShapeError(
            f"{call}: Tensor must have a stride divisible by 2 for all but last dimension, not {input._strides}; {fix}"
        )
    if input._offset % 2:
        raise ShapeError(f"{call}: Tensor must have a storage_offset divisible by 2, not {input._offset}; {fix}")
    return _view_as_complex.view(input, {})


def conj(input: Tensor) -> Tensor:
    """The complex conjugates, computed at once; a real tensor is returned itself.

    >>> webtorch.conj(webtorch.tensor([1.0 + 2.0j, -3.0j]))
    tensor([1.-2.j, -0.+3.j])
    """
    check_tensor(input, "conj")
    return _conj(input) if input.dtype.is_complex else input


def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugates; a real tensor is returned itself. The same as `conj`, which is not lazy here.

    >>> webtorch.conj_physical(webtorch.tensor([1.0 - 2.0j]))
    tensor([1.+2.j])
    """
    from .elementwise import store_out

    return conj(input) if out is None else store_out("conj_physical", conj(input), out)


def squared_size(x: Tensor) -> Tensor:
    """The squares of absolute values."""
    return _real.view(x, {}).square() + _imag.view(x, {}).square() if x.dtype.is_complex else x.square()


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: a conjugate is computed when it is made.

    >>> webtorch.resolve_conj(webtorch.tensor([1.0 + 2.0j]).conj())
    tensor([1.-2.j])
    """
    check_tensor(input, "resolve_conj")
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: a negative is computed when it is made.

    >>> webtorch.resolve_neg(webtorch.tensor([1.0 + 2.0j]).imag)
    tensor([2.])
    """
    check_tensor(input, "resolve_neg")
    return input


def is_conj(input: Tensor) -> bool:
    """False: no tensor here is the conjugate of its memory.

    >>> webtorch.is_conj(webtorch.tensor([1.0 + 2.0j]).conj())
    False
    """
    check_tensor(input, "is_conj")
    return False


def is_neg(input: Tensor) -> bool:
    """False: no tensor here is the negative of its memory.

    >>> webtorch.is_neg(webtorch.tensor([1.0 + 2.0j]).conj().imag)
    False
    """
    check_tensor(input, "is_neg")
    return False


FUNCTIONS = {
    function.__name__: function
    for function in (
        real, imag, view_as_real, view_as_complex, conj, conj_physical, resolve_conj, resolve_neg, is_conj, is_neg,
    )
}  # fmt: skip
ALIASES: dict[str, str] = {}

for _name in ("conj", "conj_physical", "resolve_conj", "resolve_neg", "is_conj", "is_neg"):
    setattr(Tensor, _name, FUNCTIONS[_name])


def _assign(part: Any) -> Any:
    return lambda self, value: part(self).copy_(value)


def conjugate_transpose(self: Tensor) -> Tensor:
    """The conjugate of the transpose of a matrix."""
    return conj(self.t())


def matrix_adjoint(self: Tensor) -> Tensor:
    """The conjugate of the last two dimensions swapped."""
    return conj(self.transpose(-2, -1))


Tensor.H = property(conjugate_transpose, doc=conjugate_transpose.__doc__)
Tensor.mH = property(matrix_adjoint, doc=matrix_adjoint.__doc__)
Tensor.real = property(real, _assign(real), doc=real.__doc__)
Tensor.imag = property(imag, _assign(imag), doc=imag.__doc__)
