"""Hooks on several tensors at once, and version counters raised by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..tensor import Tensor
from .engine import current_task, place_of

__all__ = ["increment_version", "register_multi_grad_hook"]


class MultiHandle:
    """What `register_multi_grad_hook` returns: `remove()` takes all of its hooks away."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> MultiHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable, *, mode: str = "all") -> MultiHandle:
    """Call `fn` once per backward pass: with mode "all" when the gradients of all the tensors that take part in the pass
    are there, with the list of them (None for the others); with "any" at the first one, with that gradient.

    >>> import webtorch
    >>> a, b = webtorch.ones(1, requires_grad=True), webtorch.ones(1, requires_grad=True)
    >>> seen = []
    >>> handle = webtorch.autograd.graph.register_multi_grad_hook([a, b], seen.append)
    >>> (a * 2).sum().backward()
    >>> seen
    [[tensor([2.]), None]]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = list(tensors)
    lock = threading.Lock()
    passes: dict[int, Any] = {}  # id of the running pass -> [how many gradients are to come, those that are there]
    places = [place_of(tensor) if tensor.requires_grad else None for tensor in tensors]
    if any(place is None for place in places):
        raise RuntimeError("register_multi_grad_hook: cannot register a hook on a tensor that doesn't require gradient")

    def make(number: int) -> Callable:
        def arrived(gradient: Tensor) -> None:
            task = current_task.get()
            with lock:
                entry = passes.get(id(task))
                if entry is None or entry[2] is not task:
                    count = sum(1 for node, _ in places if task.executes(node)) if mode == "all" else 1
                    passes.clear() if mode == "any" else None
                    entry = passes[id(task)] = [count, [None] * len(tensors), task]
                    fresh = True
                else:
                    fresh = False
                entry[0] -= 1
                entry[1][number] = gradient
                done = entry[0] == 0 if mode == "all" else fresh
                if done and mode == "all":
                    del passes[id(task)]
            if done:
                fn(entry[1] if mode == "all" else gradient)

        return arrived

    return MultiHandle([tensor.register_hook(make(number)) for number, tensor in enumerate(tensors)])


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count a write to a tensor (or several) that autograd did not see, such as one through `.numpy()`.

    >>> import webtorch
    >>> x = webtorch.ones(2)
    >>> webtorch.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    for one in (tensor,) if isinstance(tensor, Tensor) else tensor:
        one._version  # noqa: B018 (raises for inference tensors)
        one._storage.bump()
