"""`GradScaler`: the loss is scaled up before backward, so that small gradients in float16 do not vanish, and steps whose
gradients overflowed are left out."""

from __future__ import annotations

import copy
import enum
import warnings
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from .. import creation, dtypes, engine, grad_mode
from ..devices import device as Device
from ..devices import is_webgpu_available
from ..functional import stack
from ..ops import TABLE
from ..tensor import Tensor
from .autocast_mode import kind_of

__all__ = ["GradScaler", "OptState"]

isfinite, where = TABLE["isfinite"], TABLE["where"]


class OptState(enum.Enum):
    """What has been done with an optimizer since the last `update`."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def ready() -> dict[str, Any]:
    return {"stage": OptState.READY, "found": {}}


class GradScaler:
    """Scales losses by a factor that grows by `growth_factor` after `growth_interval` steps without an infinite or NaN
    gradient, and shrinks by `backoff_factor` with each step that has one; such steps are not taken.

    The factor lives on the device, and is never read by `scale`, `unscale_` and `update`; `step` reads one number, whether
    any gradient of the optimizer overflowed. With `enabled=False` everything passes through unchanged. `device` is
    "webgpu" (also by PyTorch's names of GPUs) or "cpu". Raises AssertionError for factors on the wrong side of 1.

    >>> import webtorch
    >>> w = webtorch.ones(2, device="cpu", requires_grad=True)
    >>> optimizer = webtorch.optim.SGD([w], lr=0.5)
    >>> scaler = GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale((w * 2).sum()).backward()
    >>> w.grad
    tensor([8., 8.])
    >>> _ = scaler.step(optimizer)
    >>> scaler.update()
    >>> w.detach(), scaler.get_scale()
    (tensor([0., 0.]), 4.0)
    """

    def __init__(
        self,
        device: str = "webgpu",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = kind_of(device, "GradScaler")
        self._enabled = enabled
        if enabled and self._device == "webgpu" and not is_webgpu_available():
            warnings.warn(
                "GradScaler is enabled, but webgpu is not available. Disabling. Use GradScaler('cpu') for tensors on the cpu",
                stacklevel=2,
            )
            self._enabled = False
        if self._enabled:
            assert growth_factor > 1.0, "The growth factor must be > 1.0."
            assert backoff_factor < 1.0, "The backoff factor must be < 1.0."
            self._init_scale = init_scale
            self._scale: Tensor | None = None  # made at the first call of scale()
            self._growth_factor = growth_factor
            self._backoff_factor = backoff_factor
            self._growth_interval = growth_interval
            self._init_growth_tracker = 0
            self._growth_tracker: Tensor | None = None
            self._per_optimizer_states: defaultdict[int, dict[str, Any]] = defaultdict(ready)

    def _started(self, call: str) -> tuple[Tensor, Tensor]:
        fix = "This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."
        assert self._scale is not None, f"Attempted {call} but _scale is None.  {fix}"
        assert self._growth_tracker is not None, f"Attempted {call} but _growth_tracker is None.  {fix}"
        return self._scale, self._growth_tracker

    def _start(self, device: Device) -> None:
        self._scale = creation.full((), self._init_scale, dtype=dtypes.float32, device=device)
        self._growth_tracker = creation.full((), self._init_growth_tracker, dtype=dtypes.int32, device=device)

    def scale(self, outputs: Any) -> Any:
        """A tensor, or tensors in an iterable, times the factor: call `backward` on the result."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._start(outputs.device)
            return outputs * self._scale.to(outputs.device)
        if isinstance(outputs, Iterable) and not isinstance(outputs, (str, bytes)):
            scaled = [self.scale(output) for output in outputs]
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _overflows(self, optimizer: Any, factor: Tensor | None, allow_float16: bool) -> dict[Device, Tensor]:
        """Per device whether a gradient is not finite, as 1.0 or 0.0; with a `factor`, the gradients are multiplied by it."""
        finite: dict[Device, list[Tensor]] = {}
        with grad_mode.no_grad():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is None:
                        continue
                    if not allow_float16 and gradient.dtype is dtypes.float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    finite.setdefault(gradient.device, []).append(isfinite(gradient.detach()).all())
                    if factor is not None:
                        gradient.mul_(factor.to(gradient.device))
            return {device: (~stack(found).all()).to(dtypes.float32) for device, found in finite.items()}

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the factor, to look at them or clip them before `step`.

        Raises RuntimeError when it was called before since the last `update`, or after `step`, and ValueError for
        gradients in float16: the parameters should be float32.
        """
        if not self._enabled:
            return
        self._started("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        with grad_mode.no_grad():
            state["found"] = self._overflows(optimizer, 1.0 / self._scale, allow_float16=False)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)`, unless a gradient is infinite or NaN: then None. Gradients are unscaled first
        if they were not.

        Raises RuntimeError for a closure, and when it was called before since the last `update`.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._started("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        assert state["found"], "No inf checks were recorded for this optimizer."
        # The gradients are computed by the same kernels that look at them.
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        found = list(state["found"].values())
        engine.realize([x._storage.node for x in (*found, *gradients) if x.device.type == "webgpu"])
        result = None
        if not any(value.item() for value in found):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Change the factor by what the steps since the last call found, or make it `new_scale`. Call it once at the end of
        an iteration, after `step` of all optimizers."""
        if not self._enabled:
            return
        scale, tracker = self._started("update")
        with grad_mode.no_grad():
            if new_scale is not None:
                if isinstance(new_scale, Tensor):
                    reason = "new_scale should be a float or a 1-element float Tensor with requires_grad=False."
                    assert new_scale.numel() == 1 and not new_scale.requires_grad, reason
                    scale.copy_(new_scale.reshape(()))
                else:
                    scale.fill_(float(new_scale))
            else:
                found = [
                    value.to(scale.device)
                    for state in self._per_optimizer_states.values()
                    for value in state["found"].values()
                ]
                assert found, "No inf checks were recorded prior to update."
                self._adjust(scale, tracker, stack(found).sum() > 0)
        self._per_optimizer_states = defaultdict(ready)

    def _adjust(self, scale: Tensor, tracker: Tensor, overflowed: Tensor) -> None:
        count = tracker + 1
        due = count == self._growth_interval
        grown = scale * self._growth_factor
        grown = where(due & isfinite(grown), grown, scale)
        scale.copy_(where(overflowed, scale * self._backoff_factor, grown))
        tracker.copy_(where(overflowed | due, creation.zeros_like(count), count))

    # ---- settings ---------------------------------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The factor, read from the device; 1.0 when disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """By how much the factor grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Have the factor grow by `new_factor`."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the factor is multiplied by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Have the factor multiplied by `new_factor` after an overflow."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps without overflow the factor grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Have the factor grow after `new_interval` steps without overflow."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker.item())

    def is_enabled(self) -> bool:
        """Whether it scales at all."""
        return self._enabled

    # ---- saving -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The factor and the settings as plain numbers; empty when disabled. Call it after `update`."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises RuntimeError for the empty state of a disabled scaler."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._start(self._scale.device)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self._enabled:
            assert not self._per_optimizer_states, (
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after scaler.update()."
            )
            state["_init_scale"], state["_init_growth_tracker"] = self.get_scale(), self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
            state["_per_optimizer_states"] = None
        return copy.copy(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._enabled:
            self._per_optimizer_states = defaultdict(ready)
