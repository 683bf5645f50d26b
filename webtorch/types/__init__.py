"""Types for annotations, by the names of the torch.js index. `meaning(name)` says of each what it is in Python; those that
exist only while TypeScript compiles have a counterpart that is evaluated when the program runs, such as `eval_shape`.

>>> from webtorch.types import DeviceInput, TensorLike
>>> def scaled(x: TensorLike, device: DeviceInput = "cpu"):
...     return 2 * webtorch.as_tensor(x, device=device)
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType, ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypedDict

import numpy as np

from ..autograd.graph import Node
from ..components import CustomDType
from ..devices import Device
from ..dtypes import dtype
from ..elsewhere import DispatchConfig, Entry
from ..graph import Storage
from ..registry import handles
from ..registry.functions import FunctionEntry, MethodEntry
from ..registry.gradients import AutogradEntry, GradContext
from ..registry.kernels import KernelEntry
from ..shape_evaluation import TensorMeta
from ..tensor import Size, Tensor
from . import options as _options
from .meaning import meaning
from .options import *  # noqa: F403

# ---- tensors, numbers, shapes ---------------------------------------------------------------------------------------

DType: TypeAlias = dtype
ScalarLike: TypeAlias = "bool | int | float | complex | np.number | np.bool_"
TensorLike: TypeAlias = "Tensor | np.ndarray | ScalarLike | Sequence[Any]"
Shape: TypeAlias = Size
DynamicShape: TypeAlias = "tuple[int, ...]"  # all shapes are known when the program runs, and only then
ShapedTensor: TypeAlias = Tensor
ShapeErrorMessage: TypeAlias = str  # str(error) of a ShapeError
ItemResult: TypeAlias = "bool | int | float | complex"
TypedArray: TypeAlias = np.ndarray
TypedStorage: TypeAlias = Storage
TensorStorage: TypeAlias = Storage
TensorData: TypeAlias = Tensor  # a tensor holds its data, whatever the device
CPUTensorData: TypeAlias = Tensor
WebGPUTensorData: TypeAlias = Tensor
TensorCreator: TypeAlias = Callable[..., Tensor]
Torch: TypeAlias = ModuleType

# ---- indices --------------------------------------------------------------------------------------------------------

Ellipsis = builtins.Ellipsis
SubscriptIndex: TypeAlias = int  # 0 to 25 are A to Z, 26 to 51 a to z
SublistElement: TypeAlias = "SubscriptIndex | EllipsisType"
Sublist: TypeAlias = Sequence[SublistElement]
AxesRecord: TypeAlias = Mapping[str, int]
ReduceOperation: TypeAlias = Literal["min", "max", "sum", "mean", "prod", "any", "all"]
RangeSpec: TypeAlias = "tuple[int | None, int | None] | tuple[int | None, int | None, int | None] | list[int | None]"
SliceSpec: TypeAlias = RangeSpec
MaskSpec: TypeAlias = Tensor  # of dtype bool
IndicesSpec: TypeAlias = Tensor  # of an integer dtype
IndexSpec: TypeAlias = "int | RangeSpec | None | EllipsisType | Literal['...'] | MaskSpec | IndicesSpec"


class CumExtremeResult(NamedTuple):
    """What `cummax` and `cummin` return has these fields."""

    values: Tensor
    indices: Tensor


class HistogramResult(NamedTuple):
    """What `histogram` returns has these fields."""

    hist: Tensor
    bin_edges: Tensor


class CumulativeOptionsWithDim(_options.CumulativeOptions):
    """`CumulativeOptions` with the dimension."""

    dim: int


# ---- dtypes ---------------------------------------------------------------------------------------------------------

DTypeLike: TypeAlias = dtype | CustomDType | str | np.dtype | type
BinaryDType: TypeAlias = DTypeLike
UnaryDType: TypeAlias = DTypeLike
AutogradDType: TypeAlias = DTypeLike  # or "*" for all
DTypeComponents: TypeAlias = int
RegisteredDType: TypeAlias = CustomDType
DTypeEntry: TypeAlias = CustomDType
DTypeHandle: TypeAlias = handles.DTypeHandleImpl
DTypeRule: TypeAlias = Callable[[DType, str], tuple[DType, DType]]  # promoted dtype -> (computed in, of the result)
DTypeDisplayConfig: TypeAlias = Callable[..., str]  # the components of an element -> how it prints
DTypeSerializationConfig: TypeAlias = Any


class DTypeInfo(TypedDict):
    """What `get_dtype_info` returns."""

    name: str
    components: int
    component_type: str
    layout: str
    is_builtin: bool
    component_names: tuple[str, ...] | None
    allow_component_view: bool
    itemsize: int


class DTypeConfig(TypedDict, total=False):
    """What `register_dtype` takes."""

    name: str
    components: int
    component_type: DTypeLike
    zero: Sequence[float]
    layout: Literal["interleaved", "planar"]
    promotes_from: Sequence[DTypeLike]
    promotes_to: str | CustomDType | None
    component_names: Sequence[str]
    allow_component_view: bool
    display: DTypeDisplayConfig
    serialization: DTypeSerializationConfig


# ---- devices --------------------------------------------------------------------------------------------------------

DeviceType: TypeAlias = str  # "cpu", "webgpu", "meta", or one that was registered
DeviceInput: TypeAlias = "str | Device"
AutogradDevice: TypeAlias = "str | Device"  # or "*" for all
DeviceContext: TypeAlias = Any  # what a device's initialize returns
DeviceEntry: TypeAlias = Entry
DeviceHandle: TypeAlias = handles.DeviceHandle
BufferUsage: TypeAlias = Literal["storage", "copy_src", "copy_dst"]


class DeviceCapabilities(TypedDict, total=False):
    """What a device says of itself; `dtypes` are the names of those it has."""

    dtypes: Sequence[str]


class DeviceBuffer(Protocol):
    """A buffer of a registered device: whatever its `create_buffer` returns; `destroy` is called if there is one."""

    def destroy(self) -> None: ...


class DeviceConfig(Protocol):
    """What `register_device` takes."""

    name: str

    def initialize(self) -> DeviceContext: ...
    def create_buffer(self, size: int, usage: Sequence[BufferUsage]) -> Any: ...
    def write_buffer(self, buffer: Any, data: np.ndarray, offset: int) -> None: ...
    def read_buffer(self, buffer: Any, size: int, offset: int) -> bytes | np.ndarray: ...
    def dispatch(self, work: DispatchConfig) -> None: ...
    def sync(self) -> None: ...


# ---- ops and kernels ------------------------------------------------------------------------------------------------

OpName: TypeAlias = str
OpKind: TypeAlias = Literal["unary", "binary", "ternary", "reduction", "shape", "matrix", "creation", "other"]
KernelPredicate: TypeAlias = Callable[[tuple, dict[str, Any]], bool]
BinaryKernelCPU: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
UnaryKernelCPU: TypeAlias = Callable[[np.ndarray], np.ndarray]
ReductionKernelCPU: TypeAlias = Callable[[np.ndarray], np.ndarray]
CPUForwardFn: TypeAlias = Callable[..., "np.ndarray | None"]  # returns the result, or writes it to `out`
ScalarCPUForwardFn: TypeAlias = Callable[..., Any]
UnaryOpFn: TypeAlias = Callable[..., Tensor]
UnaryOpParams: TypeAlias = Mapping[str, float]
KernelWebGPU: TypeAlias = str  # a WGSL function or expression
CPUKernelEntry: TypeAlias = KernelEntry
ScalarKernelEntry: TypeAlias = KernelEntry
KernelInfo: TypeAlias = KernelEntry
KernelHandle: TypeAlias = handles.KernelHandle
ScalarKernelHandle: TypeAlias = handles.ScalarKernelHandle
FunctionHandle: TypeAlias = handles.FunctionHandle
MethodHandle: TypeAlias = handles.MethodHandle
AutogradHandle: TypeAlias = handles.AutogradHandleImpl
SaveForBackward: TypeAlias = Literal["inputs", "output", "none", "a", "b"]


class BaseKernelConfig(TypedDict, total=False):
    """What `register_forward` takes besides the kernel."""

    op: OpName
    dtype: DTypeLike
    device: DeviceInput
    predicate: KernelPredicate
    override: bool


class CPUKernelConfig(BaseKernelConfig, total=False):
    """A kernel for the cpu, or for a registered device: a function of numpy arrays."""

    kernel: CPUForwardFn


class UnaryKernelConfigCPU(BaseKernelConfig, total=False):
    """A kernel of an op of one input."""

    kernel: UnaryKernelCPU


class BinaryKernelConfigCPU(BaseKernelConfig, total=False):
    """A kernel of an op of two inputs."""

    kernel: BinaryKernelCPU


class ReductionKernelConfigCPU(BaseKernelConfig, total=False):
    """A kernel of a reduction."""

    kernel: ReductionKernelCPU


class WebGPUKernelConfig(BaseKernelConfig, total=False):
    """A kernel for webgpu: the text of a WGSL function."""

    kernel: KernelWebGPU


KernelConfigWebGPU: TypeAlias = WebGPUKernelConfig
KernelConfig: TypeAlias = "CPUKernelConfig | WebGPUKernelConfig"


class ScalarCPUKernelConfig(BaseKernelConfig, total=False):
    """What `register_scalar_forward` takes for the cpu."""

    kernel: ScalarCPUForwardFn
    with_number: bool


class ScalarWebGPUKernelConfig(BaseKernelConfig, total=False):
    """What `register_scalar_forward` takes for webgpu: a WGSL expression."""

    kernel: KernelWebGPU
    with_number: bool


class OpInfo(TypedDict):
    """What `get_op_info` returns: the schema of an op."""

    name: OpName
    kind: OpKind
    inputs: int | None
    scalars: dict[str, Any]
    doc: str
    differentiable: bool
    method: bool
    custom: bool
    aliases: list[str]
    dtypes: dict[str, list[str]]
    kernels: list[KernelEntry]


OpSchema: TypeAlias = OpInfo
BinaryOpSchema: TypeAlias = OpInfo
UnaryOpSchema: TypeAlias = OpInfo
ReductionOpSchema: TypeAlias = OpInfo
ShapeOpSchema: TypeAlias = OpInfo
CreationOpSchema: TypeAlias = OpInfo
OpSchemas: TypeAlias = Mapping[OpName, OpInfo]


class OpCoverageEntry(TypedDict):
    """One row of the coverage report."""

    module: str
    name: str
    kind: str
    custom: bool
    note: str
    devices: tuple[str, ...]
    dtypes: dict[str, tuple[str, ...]]
    differentiable: bool | None
    tests: tuple[str, ...]


class CoverageReport(TypedDict):
    """What `coverage_report` returns."""

    names: list[OpCoverageEntry]
    counts: dict[str, int]


DTypeCoverageReport: TypeAlias = CoverageReport  # each row lists its dtypes by device


class UnaryOpConfig(TypedDict, total=False):
    """What `registerUnaryOp` takes."""

    op: OpName
    cpu: UnaryKernelCPU
    shader: KernelWebGPU
    cpu_int32: UnaryKernelCPU
    dtypes: DTypeLike | Sequence[DTypeLike]
    backward: BackwardFn
    setup_context: SetupContextFn
    save_for_backward: SaveForBackward
    vjp: tuple[Callable | None, ...]
    tensor_method: bool | str
    result: Literal["same", "float", "bool"]
    scalars: UnaryOpParams
    doc: str


class BinaryOpConfig(UnaryOpConfig, total=False):
    """What `registerBinaryOp` takes; its kernels take two arrays."""


class FunctionConfig(TypedDict, total=False):
    """What `register_function` takes."""

    name: str
    function: Callable
    override: bool


class MethodConfig(TypedDict, total=False):
    """What `register_method` takes."""

    name: str
    function: Callable
    dtypes: DTypeLike | Sequence[DTypeLike]
    override: bool


# ---- autograd -------------------------------------------------------------------------------------------------------

GradFn: TypeAlias = Node
BackwardFn: TypeAlias = Callable[[GradContext, Tensor], Any]
UnaryBackwardFn: TypeAlias = Callable[[GradContext, Tensor], "Tensor | None"]
BinaryBackwardFn: TypeAlias = Callable[[GradContext, Tensor], "tuple[Tensor | None, Tensor | None]"]
SetupContextFn: TypeAlias = Callable[[GradContext, tuple, Tensor], None]
PackHook: TypeAlias = Callable[[Tensor], Any]
UnpackHook: TypeAlias = Callable[[Any], Tensor]
GradcheckResult: TypeAlias = bool


class AutogradConfig(TypedDict, total=False):
    """What `register_backward` takes."""

    op: OpName
    backward: BackwardFn
    setup_context: SetupContextFn
    dtype: AutogradDType
    device: AutogradDevice
    save_for_backward: SaveForBackward
    override: bool


__all__ = [
    "AutogradEntry", "CustomDType", "DispatchConfig", "FunctionEntry", "GradContext", "KernelEntry", "MethodEntry",
    "TensorMeta", "meaning", *(name for name in dir() if name[0].isupper()),
]  # fmt: skip
