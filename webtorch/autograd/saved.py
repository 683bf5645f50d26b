"""What happens to tensors that are saved for backward: hooks that pack them, and writes to them that are forgiven."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

from .. import grad_mode
from ..graph import Storage, keep_old_values
from ..tensor import Tensor, view_of

__all__ = [
    "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


PackHook = Callable[[Tensor], Any]  # what is kept for a tensor
UnpackHook = Callable[[Any], Tensor]  # the tensor again, from what was kept


class HookState(NamedTuple):
    """The hooks in force, innermost last; `refusal` is the error for setting more, `bypassed` says they do not run."""

    stack: tuple = ()
    refusal: str | None = None
    bypassed: bool = False


# Per thread and per async task, like the gradient modes.
NO_HOOKS = HookState()
_hooks: ContextVar[HookState] = ContextVar("webtorch_saved_tensors_hooks", default=NO_HOOKS)


# ---- what SavedTensor asks ------------------------------------------------------------------------------------------


def hooks() -> tuple[Callable, Callable] | None:
    """The pack and unpack hook for a tensor that is saved now."""
    state = _hooks.get()
    return state.stack[-1] if state.stack and not state.bypassed else None


def pack(hook: Callable, tensor: Tensor) -> Any:
    """Call a pack hook on the tensor's value. What it does is not recorded, and saves nothing itself."""
    value = tensor.detach()
    version = value._storage.version
    token = _hooks.set(NO_HOOKS)
    try:
        with grad_mode.no_grad():
            packed = hook(value)
    finally:
        _hooks.reset(token)
    if value._storage.version != version:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not be "
            "modified by in-place operations as this can lead to unexpected side-effects. Work on a clone in the hook."
        )
    return packed


def unpack(hook: Callable, packed: Any) -> Tensor:
    value = hook(packed)
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(value).__name__}; "
            "the unpack hook must give back what the pack hook was given"
        )
    return value


def mutation_allowed() -> bool:
    return keep_old_values.get()


def old_value(tensor: Tensor, node: Any) -> Tensor:
    """The tensor as it was when the node was its storage's value."""
    value = view_of(Storage(node), tensor._shape, tensor._strides, tensor._offset)
    value._batch = tensor._batch
    return value


# ---- the public forms -----------------------------------------------------------------------------------------------


class saved_tensors_hooks:
    """`with saved_tensors_hooks(pack_hook, unpack_hook):` what is saved for backward inside the block is `pack_hook(tensor)`,
    and backward works on `unpack_hook` of that, whenever and wherever it runs.

    The two must be inverse to each other: a pair that is not gives wrong gradients, not an error. Hooks nest; only the
    innermost pair runs. Also a decorator; and with a function as its third argument it runs that with the hooks and
    returns its result.

    >>> import webtorch
    >>> x = webtorch.tensor([3.0], requires_grad=True)
    >>> with webtorch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().copy(), webtorch.from_numpy):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([6.])
    """

    def __new__(cls, pack_hook: Any = None, unpack_hook: Any = None, function: Callable | None = None) -> Any:
        if function is None:
            return super().__new__(cls)
        with saved_tensors_hooks(pack_hook, unpack_hook):
            return function()

    def __init__(self, pack_hook: PackHook, unpack_hook: UnpackHook, function: None = None) -> None:
        for hook, name in ((pack_hook, "pack_hook"), (unpack_hook, "unpack_hook")):
            if not callable(hook):
                raise TypeError(f"saved_tensors_hooks: {name} must be callable, got {type(hook).__name__}")
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook
        self._before: list[HookState] = []

    def __enter__(self) -> None:
        state = _hooks.get()
        if state.refusal is not None:
            raise RuntimeError(state.refusal)
        self._before.append(state)
        _hooks.set(state._replace(stack=(*state.stack, (self.pack_hook, self.unpack_hook))))

    def __exit__(self, *exception: object) -> None:
        _hooks.set(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def hooked(*args: Any, **given: Any) -> Any:
            with saved_tensors_hooks(self.pack_hook, self.unpack_hook):
                return function(*args, **given)

        return hooked


class disable_saved_tensors_hooks:
    """Inside `with disable_saved_tensors_hooks(error_message):`, setting saved tensor hooks raises that error (PyTorch).
    `disable_saved_tensors_hooks(function)` runs `function` with the hooks in force left out, and returns its result
    (torch.js).

    >>> import webtorch
    >>> with webtorch.autograd.graph.disable_saved_tensors_hooks("no hooks here"):
    ...     with webtorch.autograd.graph.save_on_cpu():
    ...         pass
    Traceback (most recent call last):
    RuntimeError: no hooks here
    """

    def __new__(cls, error_message: Any) -> Any:
        if callable(error_message):
            token = _hooks.set(_hooks.get()._replace(bypassed=True))
            try:
                return error_message()
            finally:
                _hooks.reset(token)
        if not isinstance(error_message, str):
            raise TypeError(
                "disable_saved_tensors_hooks: give the message of the error for setting hooks inside the block, or a function "
                f"to run without the hooks; got {type(error_message).__name__}"
            )
        return super().__new__(cls)

    def __init__(self, error_message: Any) -> None:
        self.error_message = error_message
        self._before: list[HookState] = []

    def __enter__(self) -> None:
        state = _hooks.get()
        if state.stack and not state.bypassed:
            raise RuntimeError(self.error_message)
        self._before.append(state)
        _hooks.set(state._replace(refusal=self.error_message))

    def __exit__(self, *exception: object) -> None:
        _hooks.set(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def without(*args: Any, **given: Any) -> Any:
            with disable_saved_tensors_hooks(self.error_message):
                return function(*args, **given)

        return without


class save_on_cpu(saved_tensors_hooks):
    """What is saved for backward waits in the cpu's memory and comes back to its device when backward needs it: less GPU
    memory, paid for in transfers. `with save_on_cpu():`, or `save_on_cpu(function)`, which runs `function` so.

    `pin_memory` is accepted for PyTorch's sake; WebGPU has no pinned memory. Saving waits for what is pending on the GPU.

    >>> import webtorch
    >>> x = webtorch.tensor([3.0], requires_grad=True)
    >>> webtorch.autograd.graph.save_on_cpu(lambda: (x * x).sum()).backward()
    >>> x.grad
    tensor([6.])
    """

    def __new__(cls, function: Any = None, pin_memory: bool = False, device_type: str = "webgpu") -> Any:
        if callable(function):
            with save_on_cpu():
                return function()
        return object.__new__(cls)

    def __init__(self, pin_memory: Any = False, device_type: str = "webgpu") -> None:
        super().__init__(to_cpu, from_cpu)


def to_cpu(tensor: Tensor) -> tuple:
    if tensor._batch:
        return None, tensor
    device = tensor.device
    return device, (tensor.clone() if device.type == "cpu" else tensor.to("cpu"))


def from_cpu(packed: tuple) -> Tensor:
    device, tensor = packed
    return tensor if device is None else tensor.to(device)


class allow_mutation_on_saved_tensors:
    """Inside the block, changing a tensor in place that was saved for backward is allowed: backward still works on the
    value that was saved. Where nothing is written, nothing is copied.

    As a value it is true (torch.js asks `allow_mutation_on_saved_tensors()`).

    >>> import webtorch
    >>> with webtorch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     a = webtorch.ones(2, requires_grad=True)
    ...     b = a.clone()
    ...     out = (b ** 2).sum()
    ...     _ = b.sin_()
    ...     out.backward()
    >>> a.grad
    tensor([2., 2.])
    """

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> allow_mutation_on_saved_tensors:
        if keep_old_values.get():
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        self._before.append(keep_old_values.get())
        keep_old_values.set(True)
        return self

    def __exit__(self, *exception: object) -> None:
        keep_old_values.set(self._before.pop())
