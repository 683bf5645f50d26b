"""webtorch: tensors, autograd and neural networks on any GPU through WebGPU, and on numpy where there is none.

This module holds public names only; it defines nothing. What computes something is a row of the op table
(`webtorch.ops`) or a compound of rows (`webtorch.functional`). Importing it touches no GPU.
"""

import importlib as _importlib

from . import autograd, creation, dtypes, functional, indexing, operators, random
from .arguments import name_arguments as _name_arguments
from .out_arguments import accept_out as _accept_out
from .compiling import CompileError, compile
from .creation import *  # noqa: F403
from .devices import (
    Device,
    default_device_reason,
    device,
    get_default_device,
    initialize_device,
    initialize_device_async,
    is_cpu_only_mode,
    is_webgpu_available,
    list_devices,
    require_webgpu,
    requireWebGPU,
    set_default_device,
    sync_device,
    sync_device_async,
)
from .dtypes import (
    bfloat16,
    can_cast,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from .errors import (
    DeviceError,
    DeviceLostError,
    DeviceUnavailableError,
    DTypeError,
    OutOfMemoryError,
    RegistryError,
    ShaderCompileError,
    ShapeError,
    UnpicklingError,
)
from .functional import *  # noqa: F403
from .searching import *  # noqa: F403
from .grouping import *  # noqa: F403
from .scattering import *  # noqa: F403
from .sampling import *  # noqa: F403
from .torchjs_names import *  # noqa: F403
from .linalg.flat import *  # noqa: F403
from .linalg.low_rank import lobpcg, pca_lowrank, svd_lowrank
from .memory import TypedStorage, UntypedStorage
from . import linalg
from .determinism import *  # noqa: F403
from .einops import *  # noqa: F403
from .einsum import *  # noqa: F403
from .autograd.anomaly import is_anomaly_check_nan_enabled, is_anomaly_enabled
from .grad_mode import (
    enable_grad,
    force_original_view_tracking,
    grad_mode,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    is_multithreading_enabled,
    is_view_replay_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
    unsafe_preserve_version_counter,
)
from .filling import fork_rng
from .indexing import *  # noqa: F403
from .interop import *  # noqa: F403
from .movement import *  # noqa: F403
from .inplace_methods import FUNCTIONS as _WRITTEN
from .ops import TABLE as _TABLE
from .ops import activation as _activation
from .ops import binary as _binary
from .ops import parts as _parts
from .ops import unary as _unary
from .ops.inplace import INPLACE as _INPLACE
from .printing import get_printoptions, printoptions, set_printoptions
from .random import *  # noqa: F403
from . import at_indexing as _at_indexing
from . import rich_display as _rich_display
from . import _einops  # the einops package learns of webtorch's tensors when it is imported
from .reductions import *  # noqa: F403
from .shape_evaluation import eval_shape
from .shapes import broadcast_shapes
from .sorting import *  # noqa: F403
from .tensor import Size, Tensor
from .tensor_types import *  # noqa: F403
from . import late_methods
from .further_names import *  # noqa: F403
from .resizing import *  # noqa: F403
from .view_copies import *  # noqa: F403
from .windows import *  # noqa: F403
from . import fft
from .fft import ifft, irfft, rfft
from .spectra import *  # noqa: F403
from .typing_rules import is_complex, is_floating_point, is_nonzero, is_tensor, numel, result_type
from .version import __version__

# Every public row under its own name, its in-place form, and PyTorch's other names for it.
globals().update({_name: _row for _name, _row in _TABLE.items() if _row.public})
globals().update(_INPLACE)
globals().update({_name: _WRITTEN[_name] for _name in ("dropout_", "rrelu_", "scatter_add_", "scatter_reduce_")})
for _module in (_unary, _binary, _activation, _parts):
    globals().update(getattr(_module, "FUNCTIONS", {}))
    for _alias, _name in _module.ALIASES.items():
        globals()[_alias] = globals()[_name]
        if hasattr(Tensor, _name):
            setattr(Tensor, _alias, getattr(Tensor, _name) if _name not in _TABLE else _TABLE[_name])
        if f"{_name}_" in _INPLACE:
            globals()[f"{_alias}_"] = _INPLACE[f"{_name}_"]
            setattr(Tensor, f"{_alias}_", _INPLACE[f"{_name}_"])

# Dtypes whose names are Python's own, and PyTorch's short ones.
bool, half, float, double, short, int, long, cfloat, cdouble = (
    dtypes.bool_, dtypes.float16, dtypes.float32, dtypes.float64, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.complex64,
    dtypes.complex128,
)  # fmt: skip
concat = concatenate = functional.cat
var_ = functional.var
moveaxis = functional.movedim
swapaxes = swapdims = _TABLE["transpose"]

_accept_out(globals())
_name_arguments(globals(), [_name for _name in globals() if not _name.startswith("_")])

_LAZY = (
    "_C",
    "_dynamo",
    "_inductor",
    "accelerator",
    "amp",
    "array_api",
    "backends",
    "compiler",
    "cuda",
    "debug",
    "devices",
    "distributions",
    "distributed",
    "doctor",
    "func",
    "hub",
    "jit",
    "mps",
    "multiprocessing",
    "nn",
    "onnx",
    "optim",
    "profiler",
    "registry",
    "safetensors",
    "saving",
    "serialization",
    "signal",
    "sparse",
    "special",
    "testing",
    "types",
    "utils",
    "webgpu",
    "xpu",
)
_NN_FUNCTIONS = """
    adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d batch_norm binary_cross_entropy_with_logits bilinear
    channel_shuffle conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d cosine_embedding_loss
    cosine_similarity ctc_loss embedding embedding_bag feature_alpha_dropout feature_dropout group_norm gru gru_cell
    hinge_embedding_loss instance_norm kl_div layer_norm lstm lstm_cell margin_ranking_loss max_pool1d
    max_pool1d_with_indices max_pool2d max_pool3d pairwise_distance pdist pixel_shuffle pixel_unshuffle poisson_nll_loss
    rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell triplet_margin_loss
""".split()
_NATIVE = """
    affine_grid_generator grid_sampler grid_sampler_2d grid_sampler_3d native_batch_norm native_group_norm native_layer_norm
""".split()
_AUTOCAST = """
    autocast autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache get_autocast_cpu_dtype
    get_autocast_dtype get_autocast_gpu_dtype get_autocast_ipu_dtype get_autocast_xla_dtype is_autocast_cache_enabled
    is_autocast_cpu_enabled is_autocast_enabled is_autocast_ipu_enabled is_autocast_xla_enabled set_autocast_cache_enabled
    set_autocast_cpu_dtype set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype
    set_autocast_ipu_dtype set_autocast_ipu_enabled set_autocast_xla_dtype set_autocast_xla_enabled
""".split()
_LAZY_NAMES = {
    **dict.fromkeys(_AUTOCAST, "amp.autocast_mode"),
    "GradScaler": "amp.grad_scaler",
    **dict.fromkeys(_NN_FUNCTIONS, "nn.functional"),
    **dict.fromkeys(_NATIVE, "nn.functional.native"),
    "norm_except_dim": "nn.utils.weight_norm",
    "GPUTimeoutError": "errors",
    "empty_cache": "webgpu",
    "memory_stats": "webgpu",
    "memory_summary": "webgpu",
    "igamma": "special.gamma",
    "igammac": "special.gamma",
    "mvlgamma": "special",
    "polygamma": "special",
    "reset_peak_memory_stats": "webgpu",
    "load": "saving",
    "save": "saving",
    "sparse_coo_tensor": "sparse",
    "spmm": "sparse",
    "vmap": "func",
}


def __dir__():
    from .registry import NAMES

    return sorted({*globals(), *NAMES})


def __getattr__(name: str):
    """Submodules that are imported when first used, so that importing webtorch stays quick; and names out of them."""
    if name in _LAZY:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY_NAMES:
        return getattr(_importlib.import_module(f"{__name__}.{_LAZY_NAMES[name]}"), name)
    if not name.startswith("_"):
        from .registry import NAMES

        if name in NAMES:
            return NAMES[name]
    from .errors import MissingNameError, did_you_mean

    raise MissingNameError(f"module 'webtorch' has no attribute {name!r}.{did_you_mean(name, list(globals()))}")
