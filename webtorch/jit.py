"""PyTorch's TorchScript: here functions and modules run as Python, so that scripting or tracing one gives it back. Replaying
recorded kernels is what `webtorch.compile` does. There is no TorchScript file: `save` and `load` raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .errors import MissingNameError
from .nn import Module

__all__ = [
    "ScriptFunction", "ScriptModule", "annotate", "export", "freeze", "fork", "ignore", "interface", "is_scripting",
    "is_tracing", "load", "optimize_for_inference", "optimized_execution", "save", "script", "script_if_tracing",
    "script_method", "trace", "trace_module", "unused", "wait",
]  # fmt: skip

ScriptModule = Module
ScriptFunction = type(lambda: None)


def script(obj: Any, *args: Any, **given: Any) -> Any:
    """The function, class or module itself: it runs as Python, control flow and all.

    >>> script(abs)(-1)
    1
    """
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **given: Any) -> Any:
    """The function or module itself, after one call with `example_inputs`, so that what does not fit shows here. Control
    flow stays as it is written, where PyTorch would keep the branch of the example.

    >>> import webtorch
    >>> trace(webtorch.relu, webtorch.zeros(2))(webtorch.ones(1))
    tensor([1.])
    """
    if example_inputs is not None:
        from .grad_mode import no_grad
        from .tensor import Tensor

        with no_grad():
            func(*((example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)))
    return func


def trace_module(mod: Any, inputs: dict[str, Any], *args: Any, **given: Any) -> Any:
    """The module itself, after one call of each method with its example inputs."""
    for name, example in inputs.items():
        trace(getattr(mod, name), example)
    return mod


def _same(obj: Any = None, *args: Any, **given: Any) -> Any:
    """The function, class or module itself."""
    return obj


freeze = optimize_for_inference = export = script_method = interface = script_if_tracing = _same


def _marks(obj: Any = None, **given: Any) -> Any:
    """A decorator, with or without arguments, that changes nothing."""
    return obj if callable(obj) else _same


ignore = unused = _marks


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value.

    >>> annotate(int, 3)
    3
    """
    return the_value


def is_scripting() -> bool:
    """False: functions run as Python.

    >>> is_scripting()
    False
    """
    return False


is_tracing = is_scripting


def fork(func: Callable, *args: Any, **given: Any) -> Any:
    """The result of the call, computed at once."""
    return func(*args, **given)


def wait(future: Any) -> Any:
    """The result that `fork` gave."""
    return future


def optimized_execution(should_optimize: bool) -> contextlib.AbstractContextManager:
    """Accepted; changes nothing.

    >>> with optimized_execution(False):
    ...     pass
    """
    return contextlib.nullcontext()


def save(m: Any, f: Any, *args: Any, **given: Any) -> None:
    """Raises MissingNameError: there is no TorchScript here. `webtorch.save(module.state_dict(), file)` keeps the weights."""
    raise MissingNameError(
        "jit.save: webtorch writes no TorchScript; keep the weights with torch.save(module.state_dict(), file)"
    )


def load(f: Any, *args: Any, **given: Any) -> Any:
    """Raises MissingNameError: a TorchScript file holds code, which is not run. Load a state dict with `webtorch.load`."""
    raise MissingNameError(
        f"jit.load({f!r}): webtorch runs no TorchScript, which is code; build the module in Python and load a state dict "
        "with torch.load(file)"
    )
