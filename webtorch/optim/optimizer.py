"""The base of optimizers: parameter groups, state, and their state dict in PyTorch's format."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import blocks, capture, creation, dtypes, engine, grad_mode, graph, postponed
from ..autograd.graph import Hooks, RemovableHandle
from ..ops.parts import view_as_complex, view_as_real
from ..tensor import Tensor, from_node

__all__ = ["Optimizer"]


class Required:
    """Stands for an option that every parameter group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = Required()


class Optimizer:
    """Subclass it with `defaults` and an `update` that computes the step of one parameter.

    `update(parameter, gradient, state, group)` runs without gradients and changes the parameter and its state in place.
    On a GPU it only records; at the end of `step` everything is computed together, in a few dispatches for all parameters.
    """

    replayable = False  # every number of `update` that changes from step to step is live: see webtorch.capture

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._step_pre_hooks = Hooks()
        self._step_post_hooks = Hooks()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if "step" in cls.__dict__:
            cls.step = with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    # ---- groups -----------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own: {"params": ..., "lr": ...}."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Tensor):
            group["params"] = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will change "
                "between runs. Please use a list instead."
            )
        else:
            group["params"] = list(params)
        named = [entry for entry in group["params"] if isinstance(entry, tuple)]
        if named:
            group["param_names"] = [name for name, _ in group["params"]]
            group["params"] = [parameter for _, parameter in group["params"]]
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(parameter).__name__}"
                )
            if not parameter.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, default)
        identities = [id(parameter) for parameter in group["params"]]
        if len(identities) != len(set(identities)):
            raise ValueError("optimizer contains a parameter group with duplicate parameters")
        known = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        if known & set(identities):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.grad = None if set_to_none else creation.zeros_like(parameter.grad.detach())

    # ---- the step ---------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient. `closure`, if given, computes the loss, which is returned."""
        if capture.watching is not None and not self.replayable:
            capture.refuse(
                f"{type(self).__name__}.step computes with numbers that a replay would not compute again",
                "call it outside the compiled function",
            )
        loss = None
        if closure is not None:
            with grad_mode.enable_grad():
                loss = closure()
        with grad_mode.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        gradient = parameter.grad.detach()
                        self.update_parts(
                            parameter, -gradient if group.get("maximize") else gradient, self.state[parameter], group
                        )
        self.realize()
        return loss

    def update_parts(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """`update`, of a complex parameter as of its real and imaginary parts; its state is kept complex, too."""
        if not parameter.dtype.is_complex:
            if parameter.device.type != "cpu" or parameter.numel() < blocks.WORTH:
                self.update(parameter, gradient, state, group)
                return
            with postponed.together():
                self.update(parameter, gradient, state, group)
            return
        parts = {name: real_parts(value) if is_complex(value) else value for name, value in state.items()}
        complex_names = {name for name, value in state.items() if is_complex(value)}
        self.update(real_parts(parameter.detach()), real_parts(gradient), parts, group)
        shape = (*parameter._shape, 2)
        for name, value in parts.items():
            new = name not in state and isinstance(value, Tensor) and value._shape == shape
            state[name] = view_as_complex(value) if new or name in complex_names else value

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """The step of one parameter."""
        raise NotImplementedError(f"{type(self).__name__} has no update(parameter, gradient, state, group)")

    def realize(self) -> None:
        """Compute what the step left pending on a GPU: graphs stay short and are cut at the same place every time."""
        pending = []
        for group in self.param_groups:
            for parameter in group["params"]:
                for value in (parameter, *self.state.get(parameter, {}).values()):
                    if isinstance(value, Tensor) and value._storage.node.buffer is None:
                        pending.append(value._storage.node)
        engine.realize(pending)

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; a returned pair replaces the arguments."""
        handle = RemovableHandle(self._step_pre_hooks)
        self._step_pre_hooks[handle.id] = hook
        return handle

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        handle = RemovableHandle(self._step_post_hooks)
        self._step_post_hooks[handle.id] = hook
        return handle

    # ---- saving and loading -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state of every parameter, by its number, and the groups' options: what PyTorch's optimizers save.

        >>> import webtorch
        >>> optimizer = webtorch.optim.SGD([webtorch.zeros(1)], lr=0.1)
        >>> optimizer.state_dict()["param_groups"][0]["lr"]
        0.1
        """
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(id(parameter), len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(parameter)] for parameter in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items() if value
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state dict, also one of PyTorch's; tensors go to the device and dtype of their parameter."""
        saved = copy.copy(state_dict)
        groups = [dict(group) for group in saved["param_groups"]]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(new["params"]) != len(old["params"]) for new, old in zip(groups, self.param_groups, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        parameters: dict[Any, Tensor] = {}
        for new, old in zip(groups, self.param_groups, strict=True):
            parameters.update(zip(new["params"], old["params"], strict=True))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, value in saved["state"].items():
            parameter = parameters.get(key)
            if parameter is None:
                state[key] = copy.deepcopy(value)
            else:
                state[parameter] = {name: placed(entry, name, parameter) for name, entry in value.items()}
        self.state = state
        for new, old in zip(groups, self.param_groups, strict=True):
            kept = old["params"]
            names = old.get("param_names")
            old.update(new)
            old["params"] = kept
            if names is not None:
                old["param_names"] = names

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for number, group in enumerate(self.param_groups):
            text += f"\nParameter Group {number}\n"
            text += "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
        return text + ")"


def placed(value: Any, name: str, parameter: Tensor) -> Any:
    """A copy of a state's entry where its parameter is; the numbers that the host computes with stay on the cpu."""
    if hasattr(value, "detach") or isinstance(value, np.ndarray):
        array = (
            value.detach()
            if isinstance(value, Tensor)
            else creation.tensor(np.asarray(value.detach() if hasattr(value, "detach") else value), device="cpu")
        )
        with grad_mode.no_grad():
            if name in ("step", "eta", "mu", "mu_product") and array.numel() == 1:
                return array.to(device="cpu", dtype=dtypes.float32).clone()
            dtype = parameter.dtype if parameter.dtype.is_floating_point else array.dtype
            return array.to(device=parameter.device, dtype=dtype).clone()
    return copy.deepcopy(value)


def with_hooks(step: Callable) -> Callable:
    """`step` between its pre- and post-hooks."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for hook in list(self._step_pre_hooks.values()):
            replaced = hook(self, args, kwargs)
            if replaced is not None:
                args, kwargs = replaced
        result = step(self, *args, **kwargs)
        for hook in list(self._step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    return wrapper


Optimizer.step = with_hooks(Optimizer.step)  # type: ignore[method-assign]


def counted(state: dict[str, Any]) -> Any:
    """Count a step in a state; the count is a 0-d float32 tensor on the cpu, as PyTorch saves it.

    The number that is returned, and what is computed with it by + - * / and **, is live under `webtorch.compile`.
    """
    if "step" not in state:
        state["step"] = creation.tensor(0.0, dtype=dtypes.float32, device="cpu")
    elif not isinstance(state["step"], Tensor):
        state["step"] = creation.tensor(float(state["step"]), dtype=dtypes.float32, device="cpu")

    def count() -> None:
        node = state["step"]._storage.node
        state["step"] = from_node(graph.data(node.buffer + np.float32(1), (), node.dtype, node.device))

    capture.each_time(count)
    return capture.live(lambda: int(state["step"]._storage.node.buffer[0]))


def rate_of(group: dict[str, Any]) -> Any:
    """The learning rate of a group: a number that a scheduler may change between the replays of a compiled step."""
    return group["lr"] if isinstance(group["lr"], Tensor) else capture.live(lambda: group["lr"])


def is_complex(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.is_complex


def real_parts(value: Tensor) -> Tensor:
    return view_as_real(value.resolve_conj())


def zeros_for(parameter: Tensor) -> Tensor:
    return creation.zeros_like(parameter.detach())


def check_range(name: str, value: Any, low: float = 0.0, below: float | None = None) -> None:
    if not low <= value or below is not None and not value < below:
        raise ValueError(f"Invalid {name}: {value}")
