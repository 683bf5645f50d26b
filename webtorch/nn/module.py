"""Modules: trees of parameters, buffers and submodules with a `forward`, and `Parameter`, the tensors they learn."""

from __future__ import annotations

import copy
import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import creation, dtypes, grad_mode
from ..autograd.graph import Hooks, RemovableHandle
from ..devices import device as Device
from ..devices import gpu
from ..tensor import Tensor
from .backward_hooks import BackwardHooks, watch_last_node

__all__ = ["Buffer", "Module", "Parameter"]

T_destination = dict[str, Any]


class Parameter(Tensor):
    """A tensor that a module learns: assigned to an attribute of a `Module` it is registered as its parameter.

    It shares the memory of `data` and requires grad unless told otherwise.

    >>> import webtorch
    >>> webtorch.nn.Parameter(webtorch.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    _is_parameter = True

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        return leaf_of(cls, data).requires_grad_(requires_grad)

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        pass


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not learnt: assigned to an attribute it is registered as a buffer.

    >>> import webtorch
    >>> module = webtorch.nn.Module()
    >>> module.scale = webtorch.nn.Buffer(webtorch.ones(1))
    >>> [name for name, _ in module.named_buffers()]
    ['scale']
    """

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        result = leaf_of(cls, data)
        result.persistent = persistent
        return result

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        pass


def leaf_of(cls: type, data: Any) -> Any:
    """A tensor of class `cls` over the memory of `data`, without its history."""
    if data is None:
        data = creation.empty(0)
    if not isinstance(data, Tensor):
        raise TypeError(f"{cls.__name__}({type(data).__name__}): expected a Tensor; make one with webtorch.tensor(...)")
    result: Any = object.__new__(cls)
    result._storage, result._shape, result._strides, result._offset = (
        data._storage,
        data._shape,
        data._strides,
        data._offset,
    )
    return result


class _IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: the names that were expected and missing, and those that nobody expected."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def as_loaded(value: Any, key: str) -> Tensor:
    """An entry of a state dict as a tensor: tensors of other libraries and numpy arrays are read through numpy."""
    if isinstance(value, Tensor):
        return value
    try:
        return creation.tensor(np.asarray(value), device="cpu")
    except Exception as error:
        raise TypeError(f"expected a Tensor or an array in the state dict, received {type(value).__name__}") from error


class Module:
    """The base of all networks: subclass it, make the parts in `__init__`, compute with them in `forward`.

    Parameters, buffers and modules that are assigned to attributes are found by `parameters()`, `state_dict()`, `to()`
    and the rest. Call `super().__init__()` first.

    >>> import webtorch
    >>> from webtorch import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inner = nn.Linear(2, 2)
    ...     def forward(self, x):
    ...         return 2 * self.inner(x)
    >>> model = Twice()
    >>> model
    Twice(
      (inner): Linear(in_features=2, out_features=2, bias=True)
    )
    >>> model(webtorch.ones(3, 2)).shape
    webtorch.Size([3, 2])
    """

    _version: int = 1
    T_destination = T_destination
    dump_patches = False
    call_super_init = False
    training: bool
    _is_full_backward_hook: bool | None = None
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            raise TypeError(
                f"{type(self).__name__}.__init__() got arguments that nn.Module does not take: {args!r} {kwargs!r}"
            )
        set_plain = super().__setattr__  # the rules of __setattr__ need these to be there
        set_plain("training", True)
        set_plain("_parameters", {})
        set_plain("_buffers", {})
        set_plain("_non_persistent_buffers_set", set())
        set_plain("_modules", {})
        for name in HOOKS:
            set_plain(name, Hooks())

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes: every subclass defines it, and calling the module runs it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- the call and its hooks -------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        state = self.__dict__
        if not any(state[name] for name in CALL_HOOKS) and not any(GLOBAL_HOOKS.values()):
            return self.forward(*args, **kwargs)
        for hook, with_kwargs in [*everywhere("_forward_pre_hooks"), *self._forward_pre_hooks.values()]:
            if with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed!r}."
                        )
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        backward = None
        before = [*everywhere("_backward_pre_hooks"), *self._backward_pre_hooks.values()]
        own = list(self._backward_hooks.values())
        after = [*everywhere("_backward_hooks"), *(own if self._is_full_backward_hook is not False else ())]
        if before or after:
            backward = BackwardHooks(self, before, after)
            args = backward.wrap_inputs(args)
        try:
            result = self.forward(*args, **kwargs)
        except BaseException:
            for hook, with_kwargs, always in [*everywhere("_forward_hooks"), *self._forward_hooks.values()]:
                if always:
                    hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
            raise
        for hook, with_kwargs, _ in [*everywhere("_forward_hooks"), *self._forward_hooks.values()]:
            changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            if changed is not None:
                result = changed
        if own and self._is_full_backward_hook is False:
            watch_last_node(self, result, own)
        return backward.wrap_outputs(result) if backward is not None else result

    _call_impl = _wrapped_call_impl = __call__

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns, if not None, replaces the arguments."""
        return self._add_hook("_forward_pre_hooks", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns, if not None, replaces the output."""
        return self._add_hook("_forward_hooks", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients with respect to the inputs are computed.

        A returned tuple replaces `grad_input`. Only inputs given by position are seen.
        """
        if self._is_full_backward_hook is False:
            raise RuntimeError(ONE_KIND_OF_HOOK)
        self._is_full_backward_hook = True
        return self._add_hook("_backward_hooks", hook, prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` with the gradients at the last operation of the module.

        PyTorch deprecates it: `register_full_backward_hook` sees the inputs of the module itself.
        """
        if self._is_full_backward_hook is True:
            raise RuntimeError(ONE_KIND_OF_HOOK)
        self._is_full_backward_hook = False
        return self._add_hook("_backward_hooks", hook, False)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the module's backward pass; a returned tuple replaces `grad_output`."""
        return self._add_hook("_backward_pre_hooks", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects this module."""
        return self._add_hook("_state_dict_pre_hooks", hook, False)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after `state_dict` collected this module."""
        return self._add_hook("_state_dict_hooks", hook, False)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before loading."""
        return self._add_hook("_load_state_dict_pre_hooks", functools.partial(hook, self), False)

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> RemovableHandle:
        if with_module:
            hook = functools.partial(hook, self)
        return self._add_hook("_load_state_dict_pre_hooks", hook, False)

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        return self._add_hook("_state_dict_hooks", hook, False)

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after loading; it may change the lists of keys."""
        return self._add_hook("_load_state_dict_post_hooks", hook, False)

    def _add_hook(self, name: str, hook: Any, prepend: bool) -> RemovableHandle:
        hooks = getattr(self, name)
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    # ---- attributes -------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        for kind in ("_parameters", "_buffers", "_modules"):
            members = self.__dict__.get(kind)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if isinstance(value, Parameter):
            self._need_init("parameters")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._need_init("module")
            self._forget(name, "_modules")
            state["_modules"][name] = value
        elif state.get("_parameters") is not None and name in state["_parameters"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{kind_of(value)}' as parameter '{name}' (webtorch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
        elif state.get("_modules") is not None and name in state["_modules"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{kind_of(value)}' as child module '{name}' (webtorch.nn.Module or None expected)"
                )
            state["_modules"][name] = value
        elif isinstance(value, Buffer) or state.get("_buffers") is not None and name in state["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{kind_of(value)}' as buffer '{name}' (webtorch.nn.Buffer, webtorch.Tensor or None expected)"
                )
            self._need_init("buffer")
            if isinstance(value, Buffer):
                self._forget(name, "_buffers")
                self.register_buffer(name, value, value.__dict__.get("persistent", True))
            else:
                state["_buffers"][name] = value
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(kind, ()):
                del self.__dict__[kind][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _need_init(self, what: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")

    def _forget(self, name: str, but: str) -> None:
        """Remove an attribute of another kind; one of the same kind is replaced where it stands in the order."""
        self.__dict__.pop(name, None)
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind != but:
                self.__dict__[kind].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _check_name(self, name: Any, kind: str, members: dict) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(
                f'{kind} name can\'t contain ".", got: {name}'
                if kind == "module"
                else f'{kind} name can\'t contain "."'
            )
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in members:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` the parameter `name`; None reserves the name."""
        self._check_name(name, "parameter", self.__dict__.get("_parameters", {}))
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{kind_of(param)}' object to parameter '{name}' (webtorch.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To express "
                f"'{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` the buffer `name`: moved and saved with the module, but not learnt; saved only if `persistent`."""
        self._check_name(name, "buffer", self.__dict__.get("_buffers", {}))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{kind_of(tensor)}' object to buffer '{name}' (webtorch Tensor or None required)"
            )
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make `module` the child `name`."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{kind_of(module)} is not a Module subclass")
        self._check_name(name, "module", self.__dict__.get("_modules", {}))
        self._modules[name] = module

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; the empty path is this module."""
        module = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{type(module).__name__} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; with `strict`, there must be one there already."""
        path, _, name = target.rpartition(".")
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {kind_of(module)}")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._parameters:
            raise AttributeError(
                f"{type(module).__name__} has no attribute `{name}`"
                if not hasattr(module, name)
                else f"`{name}` is not an nn.Parameter"
            )
        return module._parameters[name]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._buffers:
            raise AttributeError(
                f"{type(module).__name__} has no attribute `{name}`"
                if not hasattr(module, name)
                else f"`{name}` is not a buffer"
            )
        return module._buffers[name]

    # ---- walking the tree -------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted paths; each once, unless `remove_duplicate` is false."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct children with their names."""
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct children."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in getattr(module, kind).items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted paths; a parameter that is used in two places comes once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters: what one gives to an optimizer."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted paths."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` with every module below this one and then with this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- moving and converting --------------------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Module:
        """Replace every parameter, its gradient and every buffer by what `fn` makes of it; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with grad_mode.no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                gradient = parameter.grad
                parameter._grad = None
                parameter.data = fn(parameter.data)
                if gradient is not None:
                    parameter.grad = fn(gradient.data)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """Move and convert the parameters and buffers in place: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`.

        Only floating-point tensors change their dtype.

        >>> import webtorch
        >>> webtorch.nn.Linear(1, 1).to(webtorch.float64).weight.dtype
        webtorch.float64
        """
        device, dtype = parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_differentiable:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        return self._apply(
            lambda tensor: tensor.to(
                device=tensor.device if device is None else device,
                dtype=dtype if dtype is not None and tensor.dtype.is_differentiable else tensor.dtype,
            )
        )

    def cpu(self) -> Module:
        """Move all parameters and buffers to the cpu."""
        return self.to("cpu")

    def webgpu(self) -> Module:
        """Move all parameters and buffers to the GPU."""
        return self.to("webgpu")

    def cuda(self, device: Any = None) -> Module:
        """Move all parameters and buffers to the GPU, whatever its make."""
        return self.to(gpu(device))

    xpu = ipu = mtia = cuda

    def share_memory(self) -> Module:
        """The module itself: processes do not share its memory."""
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to be done: what runs is fused into kernels in any case."""

    def type(self, dst_type: Any) -> Module:
        """Convert all parameters and buffers to a dtype."""
        wanted = dtypes.as_dtype(dst_type)
        return self._apply(lambda tensor: tensor.to(wanted))

    def _floats_to(self, dtype: Any) -> Module:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.dtype.is_floating_point else tensor)

    def float(self) -> Module:
        """Convert the floating-point parameters and buffers to float32."""
        return self._floats_to(dtypes.float32)

    def double(self) -> Module:
        """Convert the floating-point parameters and buffers to float64."""
        return self._floats_to(dtypes.float64)

    def half(self) -> Module:
        """Convert the floating-point parameters and buffers to float16."""
        return self._floats_to(dtypes.float16)

    def bfloat16(self) -> Module:
        """Convert the floating-point parameters and buffers to bfloat16."""
        return self._floats_to(dtypes.bfloat16)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Module:
        """Move to a device without copying the values."""
        return self._apply(lambda tensor: creation.empty_like(tensor, device=device), recurse)

    # ---- training ---------------------------------------------------------------------------------------------------

    def _replicate_for_data_parallel(self) -> Module:
        return copy.copy(self)

    def train(self, mode: bool = True) -> Module:
        """Set training mode for this module and all below it: dropout and batch normalisation behave differently in it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Set whether autograd records operations on the parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad = creation.zeros_like(parameter.grad.detach())

    # ---- saving and loading -----------------------------------------------------------------------------------------

    def get_extra_state(self) -> Any:
        """Override, with `set_extra_state`, to save something that is no tensor in the state dict."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """Override, with `get_extra_state`, to restore what that returned."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    def _has_extra_state(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(Module, name)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        for name, parameter in self._parameters.items():
            if parameter is not None:
                destination[prefix + name] = parameter if keep_vars else parameter.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if self._has_extra_state("get_extra_state"):
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """All parameters and persistent buffers by their dotted paths, sharing memory with the module.

        >>> import webtorch
        >>> list(webtorch.nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            replaced = hook(self, destination, prefix, metadata)
            if replaced is not None:
                destination = replaced
        return destination

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list,
        unexpected_keys: list,
        error_msgs: list,
    ) -> None:
        """Copy this module's own entries; what went wrong is added to the lists."""
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        buffers = {name: value for name, value in self._buffers.items() if name not in self._non_persistent_buffers_set}
        own = {
            name: value
            for name, value in itertools.chain(self._parameters.items(), buffers.items())
            if value is not None
        }
        for name, target in own.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            try:
                value = as_loaded(state_dict[key], key)
            except TypeError as error:
                error_msgs.append(f'While copying the parameter named "{key}", {error}.')
                continue
            if target._shape == () and value._shape == (1,):  # what very old checkpoints hold for 0-d tensors
                value = value[0]
            if value._shape != target._shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in current "
                    f"model is {target.shape}."
                )
                continue
            try:
                with grad_mode.no_grad():
                    if not assign:
                        target.copy_(value)
                    elif isinstance(target, Parameter):
                        made = (
                            value
                            if isinstance(value, Parameter)
                            else Parameter(value, requires_grad=target.requires_grad)
                        )
                        self._parameters[name] = made
                    else:
                        self._buffers[name] = value
            except Exception as error:
                error_msgs.append(
                    f'While copying the parameter named "{key}", whose dimensions in the model are {target.shape} and whose '
                    f"dimensions in the checkpoint are {value.shape}, an exception occurred : {error.args}."
                )
        extra = prefix + EXTRA_STATE
        if self._has_extra_state("set_extra_state"):
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    if not (head in self._modules if dot else head in own):
                        unexpected_keys.append(key)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy values from a state dict into the parameters and buffers (or, with `assign`, put its tensors in their place).

        Entries may be tensors of this or another library, or numpy arrays. Raises RuntimeError that lists the missing and
        unexpected keys (if `strict`) and all entries whose shapes differ.

        >>> import webtorch
        >>> a, b = webtorch.nn.Linear(2, 3), webtorch.nn.Linear(2, 3)
        >>> a.load_state_dict(b.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []

        def load(module: Module, entries: dict, prefix: str) -> None:
            known = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                known["assign_to_params_buffers"] = assign
            module._load_from_state_dict(entries, prefix, known, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    path = f"{prefix}{name}."
                    load(child, {key: value for key, value in entries.items() if key.startswith(path)}, path)
            found = _IncompatibleKeys(missing, unexpected)
            for hook in list(module._load_state_dict_post_hooks.values()):
                if hook(module, found) is not None:
                    raise AssertionError(
                        "Hooks registered with register_load_state_dict_post_hook are not expected to return new values"
                    )

        load(self, state_dict, "")
        if strict:
            if unexpected:
                errors.insert(
                    0, "Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{key}"' for key in unexpected))
                )
            if missing:
                errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{key}"' for key in missing)))
        if errors:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(type(self).__name__, "\n\t".join(errors))
            )
        return _IncompatibleKeys(missing, unexpected)

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for name in HOOKS:
            self.__dict__.setdefault(name, Hooks())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())

    # ---- printing ---------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses besides the children; subclasses override it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"


HOOKS = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
CALL_HOOKS = HOOKS[:4]
ONE_KIND_OF_HOOK = (
    "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them."
)
EXTRA_STATE = "_extra_state"


# Hooks of all modules, by the name that a module's own ones have.
GLOBAL_HOOKS: dict[str, Hooks] = {name: Hooks() for name in CALL_HOOKS}


def everywhere(name: str) -> list:
    return list(GLOBAL_HOOKS[name].values())


def add_global_hook(name: str, hook: Any) -> RemovableHandle:
    hooks = GLOBAL_HOOKS[name]
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, args)` before forward of every module."""
    return add_global_hook("_forward_pre_hooks", (hook, False))


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after forward of every module."""
    return add_global_hook("_forward_hooks", (hook, with_kwargs, always_call))


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` when the gradients of a module's inputs are computed, for every one."""
    return add_global_hook("_backward_hooks", hook)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_output)` before the backward pass of every module."""
    return add_global_hook("_backward_pre_hooks", hook)


def kind_of(value: Any) -> str:
    module = type(value).__module__
    return type(value).__name__ if module == "builtins" else f"{module.split('.')[0]}.{type(value).__name__}"


def indented(text: str) -> str:
    """All lines but the first moved right by two."""
    return text.replace("\n", "\n  ")


def parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """The device and dtype that the arguments of `to` name."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)
    kwargs.pop("memory_format", None)
    other = kwargs.pop("tensor", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for value in args:
        if isinstance(value, Tensor):
            other = value
        elif isinstance(value, dtypes.dtype):
            dtype = value
        elif isinstance(value, bool):
            continue  # non_blocking
        elif value is not None:
            device = value
    if other is not None:
        device, dtype = other.device, other.dtype
    return (None if device is None else Device(device)), (None if dtype is None else dtypes.as_dtype(dtype))
