"""The option types of the torch.js index: what a function takes by keyword, for annotations. In Python options are
keyword arguments; a dict of one of these types can be given as `**options`.

Made by `python tests/record_types.py` from the functions' signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from ..dtypes import dtype as DType
from ..random import Generator
from ..tensor import Tensor

__all__ = [
    "AddbmmOptions",
    "AddcdivOptions",
    "AddcmulOptions",
    "AddmmOptions",
    "AddmvOptions",
    "AddrOptions",
    "AllcloseOptions",
    "AlphaBetaOptions",
    "AminmaxOptions",
    "AsStridedOptions",
    "BackwardOptions",
    "BaddbmmOptions",
    "BernoulliOptions",
    "BinaryOptions",
    "BincountOptions",
    "BucketizeOptions",
    "CatOptions",
    "CauchyOptions",
    "CdistOptions",
    "CeluFunctionalOptions",
    "ChunkOptions",
    "ClampOptions",
    "CombinationsOptions",
    "CountNonzeroOptions",
    "CovOptions",
    "CumulativeOptions",
    "DeterministicOptions",
    "DeviceOptions",
    "DiagEmbedOptions",
    "DiagFlatOptions",
    "DiagOptions",
    "DiagflatOptions",
    "DiagonalOptions",
    "DiagonalScatterOptions",
    "DiffOptions",
    "DistOptions",
    "DropoutFunctionalOptions",
    "EinsumOptions",
    "EluFunctionalOptions",
    "EmitNvtxOptions",
    "ExponentialOptions",
    "EyeOptions",
    "FFTOptions",
    "FlattenOptions",
    "GeometricOptions",
    "GluFunctionalOptions",
    "GradOptions",
    "GradcheckOptions",
    "HVPOptions",
    "HardtanhFunctionalOptions",
    "HessianOptions",
    "HistcOptions",
    "HistogramOptions",
    "ISTFTOptions",
    "IndexPutOptions",
    "IndicesOptions",
    "IscloseOptions",
    "JVPOptions",
    "JacobianOptions",
    "KaiserWindowOptions",
    "KthvalueOptions",
    "LeakyReluFunctionalOptions",
    "ListKernelsOptions",
    "ListOpsOptions",
    "LogNormalOptions",
    "LogOptions",
    "LogitOptions",
    "LogsumexpOptions",
    "LuSolveOptions",
    "MultinomialAsyncOptions",
    "MultinomialOptions",
    "NanReductionOptions",
    "NanToNumOptions",
    "NonzeroOptions",
    "NormOptions",
    "NormalOptions",
    "PrintOptions",
    "ProfilerOptions",
    "ProfilerTableOptions",
    "PutOptions",
    "QuantileOptions",
    "RandintLikeOptions",
    "RandintOptions",
    "RandomLikeOptions",
    "RandomOptions",
    "RearrangeOptions",
    "ReduceOptions",
    "ReductionOptions",
    "RegisterBackwardOptions",
    "RegisterDTypeOptions",
    "RegisterFunctionOptions",
    "RegisterKernelOptions",
    "RegisterMethodOptions",
    "ReluFunctionalOptions",
    "RepeatInterleaveOptions",
    "RepeatOptions",
    "RollOptions",
    "Rot90Options",
    "RreluFunctionalOptions",
    "STFTOptions",
    "ScatterReduceOptions",
    "SearchSortedOptions",
    "SizeOptions",
    "SliceOptions",
    "SliceScatterOptions",
    "SoftminFunctionalOptions",
    "SoftplusFunctionalOptions",
    "SortOptions",
    "SplitOptions",
    "SqueezeOptions",
    "StackOptions",
    "StdVarMeanOptions",
    "StdVarOptions",
    "StrideOptions",
    "TakeAlongDimOptions",
    "TensorOptions",
    "TensordotOptions",
    "ToOptions",
    "TopkOptions",
    "TrapezoidOptions",
    "TriOptions",
    "TriangularOptions",
    "TypeOptions",
    "UnaryOptions",
    "UnbindOptions",
    "UniformOptions",
    "UniqueConsecutiveOptions",
    "UniqueOptions",
    "UnsqueezeOptions",
    "VHPOptions",
    "VJPOptions",
    "ValueOptions",
    "WindowOptions",
]


class AddbmmOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addbmm`."""

    beta: Any
    alpha: Any
    out: Tensor | None


class AddcdivOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addcdiv`."""

    value: float
    out: Tensor | None


class AddcmulOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addcmul`."""

    value: float
    out: Tensor | None


class AddmmOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addmm`."""

    beta: Any
    alpha: Any
    out: Tensor | None


class AddmvOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addmv`."""

    beta: Any
    alpha: Any
    out: Tensor | None


class AddrOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addr`."""

    beta: Any
    alpha: Any
    out: Tensor | None


class AllcloseOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.allclose`."""

    rtol: float
    atol: float
    equal_nan: bool


class AlphaBetaOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.addmm`."""

    beta: Any
    alpha: Any
    out: Tensor | None


class AminmaxOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.aminmax`."""

    dim: Any
    keepdim: bool


class AsStridedOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.as_strided`."""

    storage_offset: int | None


class BackwardOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.backward`."""

    grad_tensors: Any
    retain_graph: bool | None
    create_graph: bool
    inputs: Any


class BaddbmmOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.baddbmm`."""

    beta: Any
    alpha: Any
    out: Tensor | None


class BernoulliOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.bernoulli`."""

    p: float | None
    generator: Generator | None


class BinaryOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.add`."""

    out: Tensor | None


class BincountOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.bincount`."""

    weights: Tensor | None
    minlength: int


class BucketizeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.bucketize`."""

    out_int32: bool
    right: bool
    out: Tensor | None


class CatOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.cat`."""

    dim: int
    out: Tensor | None
    axis: int | None


class CauchyOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.cauchy_`."""

    median: float
    sigma: float
    generator: Generator | None


class CdistOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.cdist`."""

    p: float
    compute_mode: str | None


class CeluFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.celu`."""

    alpha: float
    out: Tensor | None


class ChunkOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.chunk`."""

    dim: int


class ClampOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.clamp`."""

    out: Tensor | None


class CombinationsOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.combinations`."""

    r: int
    with_replacement: bool


class CountNonzeroOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.count_nonzero`."""

    dim: Any


class CovOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.cov`."""

    correction: int
    fweights: Tensor | None
    aweights: Tensor | None


class CumulativeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.cumsum`."""

    dtype: Any
    out: Tensor | None


class DeterministicOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.use_deterministic_algorithms`."""

    warn_only: bool


class DeviceOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.zeros`."""

    size: Any
    out: Tensor | None
    dtype: Any
    device: Any
    requires_grad: bool
    layout: Any
    pin_memory: bool
    memory_format: Any


class DiagEmbedOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diag_embed`."""

    offset: int
    dim1: int
    dim2: int


class DiagFlatOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diagflat`."""

    offset: int


class DiagOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diag`."""

    diagonal: int


class DiagflatOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diagflat`."""

    offset: int


class DiagonalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diagonal`."""


class DiagonalScatterOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diagonal_scatter`."""

    offset: int
    dim1: int
    dim2: int


class DiffOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.diff`."""

    n: int
    dim: int
    prepend: Tensor | None
    append: Tensor | None


class DistOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.dist`."""

    p: float


class DropoutFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.dropout`."""

    p: float
    training: bool
    train: bool | None


class EinsumOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.einsum`."""


class EluFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.elu`."""

    alpha: float
    out: Tensor | None


class EmitNvtxOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.profiler.emit_nvtx`."""

    enabled: bool
    record_shapes: bool


class ExponentialOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.exponential_`."""

    lambd: float
    generator: Generator | None


class EyeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.eye`."""

    m: int | None
    out: Tensor | None
    dtype: Any
    device: Any
    requires_grad: bool


class FFTOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.fft.fft`."""

    n: int | None
    dim: int
    norm: str | None
    out: Tensor | None


class FlattenOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.flatten`."""

    start_dim: int
    end_dim: int


class GeometricOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.geometric_`."""

    generator: Generator | None


class GluFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.glu`."""

    dim: int


class GradOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.grad`."""

    grad_outputs: Any
    retain_graph: bool | None
    create_graph: bool
    only_inputs: bool
    allow_unused: bool | None
    is_grads_batched: bool
    materialize_grads: bool


class GradcheckOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.gradcheck`."""

    eps: float
    atol: float
    rtol: float
    raise_exception: bool
    nondet_tol: float
    check_undefined_grad: bool
    check_grad_dtypes: bool
    check_batched_grad: bool
    check_batched_forward_grad: bool
    check_forward_ad: bool
    check_backward_ad: bool
    fast_mode: bool
    masked: bool | None
    seed: int


class HVPOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.hvp`."""

    v: Any
    create_graph: bool
    strict: bool


class HardtanhFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.hardtanh`."""

    min_val: float
    max_val: float
    out: Tensor | None


class HessianOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.hessian`."""

    create_graph: bool
    strict: bool
    vectorize: bool
    outer_jacobian_strategy: str


class HistcOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.histc`."""

    bins: int
    min: Any
    max: Any


class HistogramOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.histogram`."""

    range: Sequence[float] | None
    weight: Tensor | None
    density: bool
    out: tuple[Tensor, Tensor] | None


class ISTFTOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.istft`."""

    hop_length: int | None
    win_length: int | None
    window: Tensor | None
    center: bool
    normalized: bool
    onesided: bool | None
    length: int | None
    return_complex: bool


class IndexPutOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.index_put`."""

    accumulate: bool


class IndicesOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.tril_indices`."""

    offset: int
    dtype: Any
    device: Any
    layout: Any


class IscloseOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.isclose`."""

    rtol: float
    atol: float
    equal_nan: bool


class JVPOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.jvp`."""

    v: Any
    create_graph: bool
    strict: bool


class JacobianOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.jacobian`."""

    create_graph: bool
    strict: bool
    vectorize: bool
    strategy: str


class KaiserWindowOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.kaiser_window`."""

    periodic: bool
    beta: float
    dtype: Any
    device: Any
    requires_grad: bool
    layout: Any


class KthvalueOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.kthvalue`."""

    dim: int
    keepdim: bool


class LeakyReluFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.leaky_relu`."""

    negative_slope: float
    out: Tensor | None


class ListKernelsOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.list_kernels`."""

    op: Any
    dtype: Any
    device: Any
    kind: str | None


class ListOpsOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.list_ops`."""

    kind: str | None
    custom: bool
    private: bool


class LogNormalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.log_normal_`."""

    mean: float
    std: float
    generator: Generator | None


class LogOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.log`."""

    out: Tensor | None


class LogitOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.special.logit`."""

    eps: float | None
    out: Tensor | None


class LogsumexpOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.logsumexp`."""

    keepdim: bool
    out: Tensor | None


class LuSolveOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.linalg.lu_solve`."""

    left: bool
    adjoint: bool
    out: Tensor | None


class MultinomialAsyncOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.multinomial_async`."""

    replacement: bool
    generator: Generator | None


class MultinomialOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.multinomial`."""

    replacement: bool
    generator: Generator | None
    out: Tensor | None


class NanReductionOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.nansum`."""

    dim: Any
    keepdim: bool
    dtype: Any


class NanToNumOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.nan_to_num`."""

    nan: float
    posinf: float
    neginf: float
    out: Tensor | None


class NonzeroOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.nonzero`."""

    as_tuple: bool


class NormOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.norm`."""

    p: Any
    dim: Any
    keepdim: bool
    out: Tensor | None
    dtype: Any


class NormalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.normal`."""

    std: Any
    size: Any
    generator: Generator | None
    dtype: Any
    layout: Any
    device: Any
    requires_grad: bool
    pin_memory: bool


class PrintOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.set_printoptions`."""

    precision: int | None
    threshold: float | None
    edgeitems: int | None
    linewidth: int | None
    profile: str | None
    sci_mode: bool | None


class ProfilerOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.profiler.profile`."""

    fn: Callable[..., Any] | bool | None
    activities: Any
    record_shapes: bool
    profile_memory: bool
    with_stack: bool
    schedule: Any
    on_trace_ready: Any


class ProfilerTableOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.ProfilerKeyAverages.table`."""

    sort_by: str | None
    row_limit: int
    max_src_column_width: int
    max_name_column_width: int
    max_shapes_column_width: int
    header: str | None
    top_level_events_only: bool
    time_unit: str | None


class PutOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.put_`."""

    accumulate: bool


class QuantileOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.quantile`."""

    dim: int | None
    keepdim: bool
    interpolation: str


class RandintLikeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.randint_like`."""

    high: int | None
    dtype: Any
    device: Any


class RandintOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.randint`."""

    high: Any
    size: Any
    generator: Generator | None
    out: Tensor | None
    dtype: Any
    device: Any
    requires_grad: bool


class RandomLikeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.rand_like`."""

    dtype: Any
    device: Any
    requires_grad: bool
    generator: Generator | None


class RandomOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.rand`."""

    size: Any
    generator: Generator | None
    out: Tensor | None
    dtype: Any
    device: Any
    requires_grad: bool
    layout: Any
    pin_memory: bool


class RearrangeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.rearrange`."""

    axes: Any


class ReduceOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.reduce`."""

    axes: Any


class ReductionOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.sum`."""

    dim: Any
    keepdim: bool
    dtype: DType | None
    out: Tensor | None
    axis: Any
    keepdims: bool | None


class RegisterBackwardOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.register_backward`."""

    backward: Callable | None
    setup_context: Callable | None
    dtype: Any
    device: Any
    save_for_backward: str
    override: bool


class RegisterDTypeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.register_dtype`."""

    components: int | None
    component_type: Any
    zero: Sequence[float] | None
    layout: str
    promotes_from: Sequence[Any]
    promotes_to: Any
    component_names: Sequence[str] | None
    allow_component_view: bool
    display: Callable | None
    serialization: Any


class RegisterFunctionOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.register_function`."""

    override: bool


class RegisterKernelOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.register_forward`."""

    dtype: Any
    device: Any
    predicate: Callable | None
    override: bool


class RegisterMethodOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.register_method`."""

    dtypes: Any
    override: bool


class ReluFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.relu`."""

    out: Tensor | None


class RepeatInterleaveOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.repeat_interleave`."""

    repeats: Any
    dim: int | None
    output_size: int | None


class RepeatOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.repeat`."""

    axes: Any


class RollOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.roll`."""

    dims: Any


class Rot90Options(TypedDict, total=False):
    """Keyword arguments of `webtorch.rot90`."""

    k: int
    dims: Sequence[int]


class RreluFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.rrelu`."""

    lower: float
    upper: float
    training: bool


class STFTOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.stft`."""

    hop_length: int | None
    win_length: int | None
    window: Tensor | None
    center: bool
    pad_mode: str
    normalized: bool
    onesided: bool | None
    return_complex: bool | None


class ScatterReduceOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.scatter_reduce`."""

    include_self: bool
    out: Tensor | None


class SearchSortedOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.searchsorted`."""

    out_int32: bool
    right: bool
    side: str | None
    out: Tensor | None
    sorter: Tensor | None


class SizeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.empty`."""

    size: Any
    out: Tensor | None
    dtype: Any
    device: Any
    requires_grad: bool
    layout: Any
    pin_memory: bool
    memory_format: Any


class SliceOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.narrow`."""


class SliceScatterOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.slice_scatter`."""

    dim: int
    start: int | None
    end: int | None
    step: int


class SoftminFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.softmin`."""

    dim: int | None
    dtype: Any


class SoftplusFunctionalOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.softplus`."""

    beta: float
    threshold: float
    out: Tensor | None


class SortOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.sort`."""

    dim: int
    descending: bool
    stable: bool


class SplitOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.split`."""

    dim: int


class SqueezeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.squeeze`."""


class StackOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.stack`."""

    dim: int
    out: Tensor | None


class StdVarMeanOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.std_mean`."""

    dim: Any
    unbiased: Any
    keepdim: bool
    correction: Any
    axis: Any


class StdVarOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.std`."""

    dim: Any
    unbiased: Any
    keepdim: bool
    correction: Any
    out: Tensor | None
    axis: Any


class StrideOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.stride`."""

    dim: int | None


class TakeAlongDimOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.take_along_dim`."""

    dim: int | None


class TensorOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.tensor`."""

    dtype: Any
    device: Any
    requires_grad: bool
    pin_memory: bool


class TensordotOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.tensordot`."""

    dims: Any
    out: Tensor | None


class ToOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.to`."""

    dtype: Any
    device: Any
    non_blocking: bool
    copy: bool
    memory_format: Any


class TopkOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.topk`."""

    dim: int
    largest: bool
    sorted: bool


class TrapezoidOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.trapezoid`."""

    x: Tensor | None
    dx: float | None
    dim: int


class TriOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.tril`."""

    diagonal: int


class TriangularOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.linalg.solve_triangular`."""

    upper: bool
    left: bool
    unitriangular: bool
    out: Tensor | None


class TypeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.type`."""

    dtype: Any


class UnaryOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.exp`."""

    out: Tensor | None


class UnbindOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.unbind`."""

    dim: int


class UniformOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.Tensor.uniform_`."""

    low: float
    to: float
    generator: Generator | None


class UniqueConsecutiveOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.unique_consecutive`."""

    return_inverse: bool
    return_counts: bool
    dim: int | None


class UniqueOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.unique`."""

    sorted: bool
    return_inverse: bool
    return_counts: bool
    dim: int | None


class UnsqueezeOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.unsqueeze`."""


class VHPOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.vhp`."""

    v: Any
    create_graph: bool
    strict: bool


class VJPOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.autograd.vjp`."""

    v: Any
    create_graph: bool
    strict: bool


class ValueOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.full`."""

    out: Tensor | None
    dtype: Any
    device: Any
    requires_grad: bool


class WindowOptions(TypedDict, total=False):
    """Keyword arguments of `webtorch.hann_window`."""

    periodic: bool
    dtype: Any
    device: Any
    requires_grad: bool
    layout: Any
