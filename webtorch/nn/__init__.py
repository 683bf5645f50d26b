"""Neural networks: modules, their functions (`functional`), initial values (`init`) and helpers (`utils`)."""

from . import functional, init, parallel
from .activation import *  # noqa: F403
from .activation import __all__ as _activation
from .class_losses import *  # noqa: F403
from .class_losses import __all__ as _class_losses
from .containers import *  # noqa: F403
from .containers import __all__ as _containers
from .convolution import *  # noqa: F403
from .convolution import __all__ as _convolution
from .layers import *  # noqa: F403
from .layers import __all__ as _layers
from .lazy import *  # noqa: F403
from .lazy import __all__ as _lazy
from .loss import *  # noqa: F403
from .loss import __all__ as _loss
from .module import Buffer, Module, Parameter
from .normalization import *  # noqa: F403
from .normalization import __all__ as _normalization
from .parallel import DataParallel
from .pooling import *  # noqa: F403
from .pooling import __all__ as _pooling
from .recurrent import *  # noqa: F403
from .recurrent import __all__ as _recurrent
from .resampling import *  # noqa: F403
from .resampling import __all__ as _resampling
from .transformer import *  # noqa: F403
from .transformer import __all__ as _transformer
from .unpooling import *  # noqa: F403
from .unpooling import __all__ as _unpooling

from . import attention, modules, parameter, utils  # isort: skip

__all__ = [
    "Buffer", "DataParallel", "attention", "modules", "parallel", "parameter", "Module", "Parameter", "functional", "init", "utils",
    *_activation, *_containers, *_convolution, *_layers, *_loss, *_normalization, *_pooling,
    *_recurrent, *_transformer, *_class_losses, *_lazy, *_resampling, *_unpooling,
]  # fmt: skip
