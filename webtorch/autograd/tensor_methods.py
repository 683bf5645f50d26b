"""The methods that autograd gives to tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from . import engine
from .graph import Hooks, RemovableHandle


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradient of this tensor into the leaves it depends on; see `webtorch.autograd.backward`.

    >>> import webtorch
    >>> x = webtorch.tensor(2.0, requires_grad=True)
    >>> (x ** 3).backward()
    >>> x.grad
    tensor(12.)
    """
    engine.backward(self, gradient, retain_graph, create_graph, inputs)


def retain_grad(self: Tensor) -> None:
    """Have this tensor's `.grad` filled by backward although it is not a leaf."""
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self.is_leaf:
        return
    node = self.grad_fn
    if node.retained is None:
        node.retained = {}
    node.retained[self._output_number] = weakref.ref(self)
    self._retains_grad = True


def register_hook(self: Tensor, hook: Callable) -> RemovableHandle:
    """Call `hook(grad)` when this tensor's gradient is computed; what it returns, if not None, replaces the gradient."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.is_leaf:
        if self._hooks is None:
            self._hooks = Hooks()
        hooks = self._hooks
    else:
        node = self.grad_fn
        if node.tensor_hooks is None:
            node.tensor_hooks = {}
        hooks = node.tensor_hooks.setdefault(self._output_number, Hooks())
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable) -> RemovableHandle:
    """Call `hook(tensor)` after a gradient was accumulated into this leaf."""
    if not self.is_leaf or not self.requires_grad:
        raise RuntimeError(
            "post accumulate grad hooks cannot be registered on non-leaf tensors, or those that don't require grad"
        )
    if self._post_accumulate_hooks is None:
        self._post_accumulate_hooks = Hooks()
    handle = RemovableHandle(self._post_accumulate_hooks)
    self._post_accumulate_hooks[handle.id] = hook
    return handle


for _function in (backward, retain_grad, register_hook, register_post_accumulate_grad_hook):
    setattr(Tensor, _function.__name__, _function)
