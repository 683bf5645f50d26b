"""`Timer`: how long a statement takes. A run ends when the GPU is done."""

from .utils.common import Measurement
from .utils.timer import Timer

__all__ = ["Measurement", "Timer"]
