"""Neural networks: modules, their functions (`functional`), initial values (`init`) and helpers (`utils`)."""

from . import functional, init, utils
from .activation import *  # noqa: F403
from .activation import __all__ as _activation
from .containers import *  # noqa: F403
from .containers import __all__ as _containers
from .convolution import *  # noqa: F403
from .convolution import __all__ as _convolution
from .layers import *  # noqa: F403
from .layers import __all__ as _layers
from .loss import *  # noqa: F403
from .loss import __all__ as _loss
from .module import Buffer, Module, Parameter
from .normalization import *  # noqa: F403
from .normalization import __all__ as _normalization
from .pooling import *  # noqa: F403
from .pooling import __all__ as _pooling
from .recurrent import *  # noqa: F403
from .recurrent import __all__ as _recurrent
from .transformer import *  # noqa: F403
from .transformer import __all__ as _transformer

__all__ = [
    "Buffer", "Module", "Parameter", "functional", "init", "utils",
    *_activation, *_containers, *_convolution, *_layers, *_loss, *_normalization, *_pooling,
    *_recurrent, *_transformer,
]  # fmt: skip
