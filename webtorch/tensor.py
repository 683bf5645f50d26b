"""The tensor: a strided view of a storage, with what autograd knows of it.

Only the handle lives here: geometry, device, reading values out, writing values in, and the gradient fields. The
operations are rows of the op table (`webtorch.ops`) and compounds of them (`webtorch.functional`); both attach
themselves to this class as methods.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from . import capture, dtypes, elsewhere, engine, grad_mode, graph
from .dtypes import dtype as DType
from .errors import DeviceError, DTypeError, ShapeError, coded_error
from .shapes import contiguous_strides, is_contiguous, normalize_dim, numel


class Size(tuple):
    """The shape of a tensor: a tuple of ints that prints as `webtorch.Size([2, 3])`.

    >>> import webtorch
    >>> webtorch.zeros(2, 3).shape.numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return numel(self)

    def __repr__(self) -> str:
        return f"webtorch.Size({list(self)})"

    def __getitem__(self, index):
        result = tuple.__getitem__(self, index)
        return Size(result) if isinstance(index, slice) else result

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))


class Tensor:
    """An n-dimensional array on one device, with automatic differentiation.

    Made by `webtorch.tensor`, the factory functions and every operation; `Tensor(2, 3)` and `Tensor([1.0])` make
    float32 tensors as PyTorch's legacy constructor does.

    >>> import webtorch
    >>> x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x + 1).sum(dim=0)
    tensor([6., 8.])
    """

    # Most tensors never touch these, so they live on the class until set.
    _grad: Tensor | None = None
    _grad_fn: Any = None
    _output_number: int = 0
    _leaf_requires_grad: bool = False
    _retains_grad: bool = False
    _base: Tensor | None = None
    _uncounted: bool = False  # made by `.data`: writes through it leave the version as it is
    _view_version: int | None = None
    _hooks: Any = None
    _post_accumulate_hooks: Any = None
    _accumulator: Any = None
    _batch: tuple = ()  # hidden dimensions under vmap: (level, size, stride) each, see webtorch.batching
    _hidden_view: bool = False  # made by vmap from a tensor outside, whose history a write would have to change
    _transform: Any = None  # the function transform that differentiates with respect to this tensor
    _tangent_version: int | None = None
    _tangents: dict | None = None  # forward-mode derivatives by level, see webtorch.tangents
    __array_priority__ = 1000  # numpy defers to our reflected operators

    if TYPE_CHECKING:
        # What the op table and `webtorch.functional` attach, for type checkers.
        ldexp: Any
        where: Any
        prelu: Any
        real: Any
        imag: Any
        T: Any
        mT: Any
        H: Any
        mH: Any
        _storage: graph.Storage
        _shape: tuple[int, ...]
        _strides: tuple[int, ...]
        _offset: int

        def __getattr__(self, name: str) -> Any: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lshift__(self, other: Any) -> Tensor: ...
        def __rshift__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __rand__(self, other: Any) -> Tensor: ...
        def __ror__(self, other: Any) -> Tensor: ...
        def __rxor__(self, other: Any) -> Tensor: ...
        def __rlshift__(self, other: Any) -> Tensor: ...
        def __rrshift__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        if not args:
            return make(cls, graph.data(np.empty(0, np.float32), (0,), dtypes.float32, cpu()))
        from . import creation

        if len(args) == 1 and isinstance(args[0], Tensor):
            made = args[0].detach()
        elif all(isinstance(argument, int) for argument in args):
            made = creation.empty(*args)
        elif len(args) == 1:
            made = creation.tensor(args[0], dtype=dtypes.get_default_dtype())
        else:
            raise TypeError(
                f"Tensor{args!r}: give one sequence of numbers, or sizes; webtorch.tensor(data) makes tensors from data"
            )
        return make(cls, made._storage.node, made._storage)

    # ---- geometry ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self._shape)

    @property
    def dtype(self) -> DType:
        return self._storage.node.dtype

    @property
    def device(self):
        return self._storage.node.device

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def dim(self) -> int:
        """The number of dimensions."""
        return len(self._shape)

    ndimension = dim

    def size(self, dim: int | None = None):
        """The shape, or the size of dimension `dim`."""
        return Size(self._shape) if dim is None else self._shape[normalize_dim(dim, len(self._shape), "size")]

    def numel(self) -> int:
        """The number of elements."""
        return numel(self._shape)

    nelement = numel

    def stride(self, dim: int | None = None):
        """The strides in elements, or that of dimension `dim`; a flipped dimension has a negative one."""
        return self._strides if dim is None else self._strides[normalize_dim(dim, len(self._shape), "stride")]

    def storage_offset(self) -> int:
        """The position of the first element in the storage, in elements."""
        return self._offset

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.numel() * self.dtype.itemsize

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """True when the elements lie in row-major order without gaps, or in that of `memory_format`: channels last."""
        if getattr(memory_format, "name", "").startswith("channels_last") and self.ndim == (
            5 if memory_format.name.endswith("3d") else 4
        ):
            last = (0, *range(2, self.ndim), 1)
            return is_contiguous(tuple(self._shape[d] for d in last), tuple(self._strides[d] for d in last))
        return is_contiguous(self._shape, self._strides)

    def is_floating_point(self) -> bool:
        """True where the elements are floating-point numbers.

        >>> webtorch.ones(2).is_floating_point()
        True
        """
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """True where the elements are complex numbers.

        >>> webtorch.ones(2).is_complex()
        False
        """
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """True where the elements are numbers with a sign.

        >>> webtorch.ones(2).is_signed()
        True
        """
        return self.dtype.is_signed

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "webgpu"

    @property
    def is_sparse(self) -> bool:
        return False

    @property
    def is_cpu(self) -> bool:
        return self.device.type == "cpu"

    @property
    def is_meta(self) -> bool:
        return self.device.type == "meta"

    @property
    def is_webgpu(self) -> bool:
        return self.device.type == "webgpu"

    @property
    def layout(self) -> str:
        from .tensor_types import strided

        return strided

    def get_device(self) -> int:
        """The index of the GPU that holds this tensor, -1 on cpu."""
        return -1 if self.device.type == "cpu" else self.device.index or 0

    def data_ptr(self) -> int:
        """An identifier of the memory: the address on cpu, an identity on a GPU. Equal only for tensors sharing a storage."""
        if self.device.type == "cpu":
            return self._storage.node.buffer.ctypes.data + self._offset * self.dtype.itemsize
        return id(self._storage) + self._offset * self.dtype.itemsize

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """`webtorch.array_api`, the namespace of the Python array API standard."""
        from .array_api import namespace

        return namespace(self, api_version=api_version)

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """This tensor on a device, itself where it is there already: `to` by the array API's name."""
        from .array_api import to_device

        return to_device(self, device, stream=stream)

    # ---- the graph's view of this tensor ----------------------------------------------------------------------------

    def _operand(self) -> graph.Operand:
        if self._batch:
            from .batching import Unbatchable

            raise Unbatchable("calling an operation that knows no batching rule")
        return graph.Operand(self._storage.node, self._shape, self._strides, self._offset)

    def _view(self, shape: tuple, strides: tuple, offset: int) -> Tensor:
        """Another view of the same storage, without a gradient; view ops add that."""
        view = view_of(self._storage, shape, strides, offset)
        if self._batch:
            view._batch = self._batch
        return view

    # ---- reading ----------------------------------------------------------------------------------------------------

    def _array(self) -> np.ndarray:
        """The elements as a numpy array: the memory itself on cpu, a copy from a GPU, or for bfloat16 as float32."""
        memory = self._memory()
        return memory if self.dtype.memory is self.dtype.numpy else dtypes.decode(memory, self.dtype)

    def _memory(self) -> np.ndarray:
        """The elements as they lie in memory, which is a numpy type of their own for all dtypes but bfloat16."""
        if self._batch:
            from .batching import Unbatchable

            raise Unbatchable("reading the values of a Tensor")
        if self.device.type != "cpu" and self.numel() < self._storage.node.size and self.numel() > 0:
            from . import ops

            if self._storage.node.buffer is not None and self.is_contiguous():
                return engine.read(self._storage.node, self._offset, self.numel()).reshape(self._shape)
            node = ops.contiguous_node(self)  # copy only what is read
            return engine.read(node).reshape(self._shape)
        flat = engine.read(self._storage.node)
        return engine.strided(flat, self._shape, self._strides, self._offset)

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The elements as a numpy array of the same shape and dtype.

        On cpu the array shares this tensor's memory; from a GPU it is a copy, which waits for pending work.
        Raises RuntimeError for a tensor that requires grad unless `force` is true, and DTypeError, a TypeError, for
        bfloat16, which numpy has not.

        >>> import webtorch
        >>> webtorch.tensor([1, 2]).numpy()
        array([1, 2])
        """
        self._check_readable("calling .numpy() on a Tensor")
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.dtype is dtypes.bfloat16:
            raise DTypeError("numpy() of a bfloat16 tensor: numpy has no such type; use tensor.float().numpy()")
        return self._array()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False and self.device.type != "cpu":
            raise ValueError(
                "np.asarray(tensor, copy=False): a webgpu tensor can only be copied to numpy; leave copy out"
            )
        array = self.numpy()
        return array.astype(dtype, copy=bool(copy)) if dtype is not None else (array.copy() if copy else array)

    def item(self):
        """The only element as a Python number. Raises ShapeError (code item_error_not_scalar) when there is not exactly one.

        >>> import webtorch
        >>> webtorch.tensor([2.5]).item()
        2.5
        """
        self._check_readable("calling .item() on a Tensor")
        if numel(self._shape) != 1:
            raise coded_error(
                "item_error_not_scalar",
                f"item() of a tensor with {numel(self._shape)} elements (shape {list(self._shape)}): a Tensor with "
                f"{numel(self._shape)} elements cannot be converted to Scalar; use tolist(), or index one element first",
            )
        return self._array().reshape(-1)[0].item()

    def tolist(self):
        """The elements as nested Python lists; a number for a 0-d tensor."""
        self._check_readable("calling .tolist() on a Tensor")
        return self._array().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.is_differentiable:
            raise TypeError(f"only integer tensors of a single element can be converted to an index, not {self.dtype}")
        return int(self.item())

    def _check_readable(self, what: str) -> None:
        if self._batch:
            from .batching import Unbatchable

            raise Unbatchable(what, by_user=True)

    def __bool__(self) -> bool:
        self._check_readable("attempting to use a Tensor in some data-dependent control flow")
        count = numel(self._shape)
        if count != 1:
            what = "more than one value" if count else "no values"
            raise RuntimeError(
                f"Boolean value of Tensor with {what} is ambiguous (shape {list(self._shape)}); use .any() or .all()"
            )
        return bool(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return self._shape[0]

    def __iter__(self):
        if not self._shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).any().item())

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        from .printing import tensor_repr

        if self._batch:
            from .batching import batched_repr

            return batched_repr(self)
        return tensor_repr(self)

    def __format__(self, specification: str) -> str:
        if not self._shape and not self.requires_grad and specification:
            return format(self.item(), specification)
        if not self._shape and specification:
            return format(self.detach().item(), specification)
        return format(repr(self), specification)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def _write(self, value: Tensor) -> None:
        """Give the elements that this view covers the values of `value` (same shape, dtype and device); counts a write.

        Autograd's part of an in-place op is `autograd.inplace`; this moves values only.
        """
        storage = self._storage
        node = storage.node
        if elsewhere.shapes_only and elsewhere.written(self, value):
            return
        if self._batch or value._batch:
            from .batching import exposed_for_write

            self, value = exposed_for_write(self, value)
        if node.device.type == "cpu":
            if graph.keep_old_values.get():
                node = storage.node = graph.data(node.buffer.copy(), node.shape, node.dtype, node.device)
                node.storage = weakref.ref(storage)
            if engine.putting_off.takes is not None:
                from . import postponed

                if postponed.wrote(self, value):
                    if not self._uncounted:
                        storage.bump()
                    return
                engine.read(node)  # what was put off reads what is here before it is overwritten
            target = engine.strided(storage.node.buffer, self._shape, self._strides, self._offset)
            source = value._memory()
            if np.may_share_memory(target, source):
                source = source.copy()
            np.copyto(target, source)
            if not self._uncounted:
                storage.bump()
        elif numel(self._shape) == 0 or (
            value._storage is storage
            and (value._shape, value._strides, value._offset) == (self._shape, self._strides, self._offset)
        ):  # nothing changes: x[i] += 1 ends by assigning x[i], which was written in place, to itself
            if not self._uncounted:
                storage.bump()
        else:
            from . import ops

            whole = self._offset == 0 and numel(self._shape) == node.size and is_contiguous(self._shape, self._strides)
            replacement = ops.contiguous_node(value) if whole else ops.write_node(node, self, value)
            storage.replace(replacement, counted=not self._uncounted)

    # ---- autograd's fields ------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self._leaf_requires_grad or self.grad_fn is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Have autograd record what is done with this leaf from now on. Only floating-point and complex tensors can."""
        if requires_grad and not self.dtype.is_differentiable:
            raise DTypeError(
                f"only Tensors of floating point and complex dtype can require gradients, not {self.dtype}; "
                "convert first, for example x.float().requires_grad_()"
            )
        if self.grad_fn is not None:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                    "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return self
        if requires_grad and self.is_inference() and not grad_mode.current().inference:
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed. "
                "Make a normal copy first: x.clone().requires_grad_()"
            )
        self._leaf_requires_grad = bool(requires_grad)
        return self

    @property
    def grad_fn(self):
        if self._base is not None and self._view_version != self._storage.version:
            from .autograd import inplace

            inplace.refresh_view(self)
        return self._grad_fn

    @property
    def grad(self) -> Tensor | None:
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._shape != self._shape:
                raise ShapeError(
                    f"attempting to assign a gradient of size '{list(value._shape)}' to a tensor of size '{list(self._shape)}'. "
                    "Please ensure that the gradient and the tensor are the same size"
                )
            if value.dtype is not self.dtype:
                raise DTypeError(
                    f"attempting to assign a gradient with dtype '{value.dtype}' to a tensor with dtype '{self.dtype}'. "
                    "Convert it first, for example with .to(tensor.dtype)"
                )
            if value.device != self.device:
                raise DeviceError(
                    f"assigned grad is on {value.device}, the tensor on {self.device}; move one with .to()"
                )
        if capture.watching is not None:
            capture.gradient_set(self)
        self._grad = value

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def output_nr(self) -> int:
        return self._output_number

    @property
    def retains_grad(self) -> bool:
        return self._retains_grad

    @property
    def _version(self) -> int:
        version = self._storage.version
        if version is None:
            raise RuntimeError("Inference tensors do not track version counter.")
        return version

    def is_inference(self) -> bool:
        """True for a tensor that was made under `inference_mode`."""
        return self._storage.version is None

    @property
    def data(self) -> Tensor:
        """The same memory without autograd: writes through it are neither recorded nor counted as versions, so backward
        does not notice them, as in PyTorch. `detach()` is the same with the count."""
        other = self._view(self._shape, self._strides, self._offset)
        other._uncounted = True
        return other

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data expects a Tensor, not {type(value).__name__}")
        self._storage = value._storage
        self._shape, self._strides, self._offset = value._shape, value._strides, value._offset

    def is_shared(self) -> bool:
        return False

    def __deepcopy__(self, memo: dict) -> Tensor:
        from .copying import deepcopy_tensor

        return deepcopy_tensor(self, memo)

    def __reduce__(self) -> tuple:
        from .copying import reduce_tensor

        return reduce_tensor(self)


def cpu():
    from .devices import device

    return device("cpu")


def make(cls: type, node: graph.Node, storage: graph.Storage | None = None) -> Tensor:
    """A contiguous tensor of class `cls` around a node (or around the storage that already holds it)."""
    tensor: Tensor = object.__new__(cls)
    tensor._storage = storage if storage is not None else new_storage(node)
    tensor._shape = node.shape
    tensor._strides = contiguous_strides(node.shape)
    tensor._offset = 0
    return tensor


def new_storage(node: graph.Node) -> graph.Storage:
    """A storage for a new value; those made under inference mode keep no version count."""
    return graph.Storage(node, None if grad_mode.current().inference else 0)


def from_node(node: graph.Node) -> Tensor:
    return make(Tensor, node)


def view_of(storage: graph.Storage, shape: tuple, strides: tuple, offset: int) -> Tensor:
    tensor = object.__new__(Tensor)
    tensor._storage = storage
    tensor._shape = shape
    tensor._strides = strides
    tensor._offset = offset
    return tensor
