"""LBFGS: quasi-Newton steps from a short history of gradients (Nocedal and Wright, Numerical Optimization, chapters 3 and 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import creation, functional, grad_mode
from ..tensor import Tensor
from .optimizer import Optimizer, real_parts

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Limited-memory BFGS; `step` needs a closure that computes the loss and its gradients, and calls it several times.

    One group of parameters. `line_search_fn` is None (a step of `lr`) or "strong_wolfe". The numbers that decide the course
    are read from the device, so `step` cannot be compiled.

    >>> import webtorch
    >>> x = webtorch.nn.Parameter(webtorch.tensor([3.0, -2.0]))
    >>> optimizer = webtorch.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(closure)
    >>> x.data
    tensor([1.0000, 1.0000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(
            params,
            {
                "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn,
            },
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _gradient(self) -> Tensor:
        return functional.cat(
            [
                creation.zeros(p.numel(), dtype=p.dtype, device=p.device) if gradient is None else gradient.reshape(-1)
                for p, gradient in (
                    (numbers(p), None if p.grad is None else numbers(p.grad)) for p in self._params
                )
            ],
            0,
        )  # fmt: skip

    def _move(self, starts: list[Tensor], distance: float, direction: Tensor) -> None:
        """Set the parameters to where they were plus `distance * direction`."""
        offset = 0
        for parameter, start in zip(map(numbers, self._params), starts, strict=True):
            part = direction.narrow(0, offset, parameter.numel()).reshape(parameter.shape)
            parameter.copy_(start + distance * part)
            offset += parameter.numel()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` steps; the loss before them is returned."""
        if closure is None:
            raise RuntimeError("LBFGS.step needs a closure that computes the loss and its gradients")

        def evaluated() -> Any:
            with grad_mode.enable_grad():
                return closure()

        with grad_mode.no_grad():
            return self._step(evaluated)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        rate = float(group["lr"])
        tolerance_change, search = group["tolerance_change"], group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        original = closure()
        loss = float(original)
        evaluations = 1
        state["func_evals"] += 1
        gradient = self._gradient()
        converged = float(gradient.abs().max()) <= group["tolerance_grad"]
        if converged:
            return original
        d, t = state.get("d"), state.get("t")
        steps, changes, inverses = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
        scale, previous = state.get("H_diag"), state.get("prev_flat_grad")
        previous_loss = state.get("prev_loss")
        count = 0
        while count < group["max_iter"]:
            count += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, steps, changes, inverses, scale = -gradient, [], [], [], 1
            else:
                y, s = gradient - previous, d * t
                ys = float((y * s).sum())
                if ys > 1e-10:
                    if len(steps) == group["history_size"]:
                        steps.pop(0)
                        changes.pop(0)
                        inverses.pop(0)
                    steps.append(y)
                    changes.append(s)
                    inverses.append(1.0 / ys)
                    scale = ys / float((y * y).sum())
                d = newton_direction(gradient, steps, changes, inverses, scale)
            previous = gradient.clone()
            previous_loss = loss
            t = min(1.0, 1.0 / float(gradient.abs().sum())) * rate if state["n_iter"] == 1 else rate
            slope = float((gradient * d).sum())
            if slope > -tolerance_change:
                break
            starts = [numbers(parameter).clone() for parameter in self._params]
            calls = 0
            if search is not None:

                def at(distance: float, starts: list = starts, d: Tensor = d) -> tuple[float, Tensor]:
                    self._move(starts, distance, d)
                    value = float(closure())
                    found = self._gradient()
                    return value, found

                loss, gradient, t, calls = strong_wolfe(at, t, d, loss, gradient, slope, tolerance_change)
                self._move(starts, t, d)
                converged = float(gradient.abs().max()) <= group["tolerance_grad"]
            else:
                self._move(starts, t, d)
                if count != group["max_iter"]:
                    loss = float(closure())
                    gradient = self._gradient()
                    converged = float(gradient.abs().max()) <= group["tolerance_grad"]
                    calls = 1
            evaluations += calls
            state["func_evals"] += calls
            if count == group["max_iter"] or evaluations >= group["max_eval"] or converged:
                break
            if float((d * t).abs().max()) <= tolerance_change or abs(loss - previous_loss) < tolerance_change:
                break
        state.update(
            d=d, t=t, old_dirs=steps, old_stps=changes, ro=inverses, H_diag=scale, prev_flat_grad=previous, prev_loss=previous_loss
        )  # fmt: skip
        return original


def numbers(tensor: Tensor) -> Tensor:
    """The real numbers that a tensor holds: the two parts of complex ones."""
    return real_parts(tensor.detach()) if tensor.dtype.is_complex else tensor.detach()


def newton_direction(gradient: Tensor, steps: list, changes: list, inverses: list, scale: float) -> Tensor:
    """Minus the approximated inverse Hessian times the gradient, by the two loops over the history."""
    q = -gradient
    factors = [0.0] * len(steps)
    for place in reversed(range(len(steps))):
        factors[place] = (changes[place] * q).sum() * inverses[place]
        q = q - factors[place] * steps[place]
    r = q * scale
    for place, (y, s) in enumerate(zip(steps, changes, strict=True)):
        r = r + s * (factors[place] - (y * r).sum() * inverses[place])
    return r


def cubic_minimum(
    x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple[float, float] | None = None
) -> float:
    """Where the cubic with these values and slopes at two points is least, within bounds (equation 3.59)."""
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        place = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        place = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(place, low), high)


class Point:
    """A place on the line, with the loss, its gradient and its slope there."""

    def __init__(self, place: float, loss: float, gradient: Tensor, slope: float) -> None:
        self.place, self.loss, self.gradient, self.slope = place, loss, gradient, slope


def strong_wolfe(
    at: Callable[[float], tuple[float, Tensor]], t: float, d: Tensor, loss: float, gradient: Tensor, slope: float,
    tolerance_change: float, c1: float = 1e-4, c2: float = 0.9, most: int = 25,
) -> tuple[float, Tensor, float, int]:  # fmt: skip
    """A distance along d that meets the strong Wolfe conditions: bracket it, then zoom in (algorithms 3.5 and 3.6).

    Returns the loss and gradient there, the distance, and how often the closure was called.
    """
    largest = float(d.abs().max())

    def point(place: float) -> Point:
        value, found = at(place)
        return Point(place, value, found, float((found * d).sum()))

    start = Point(0.0, loss, gradient, slope)
    new, calls, rounds, done = point(t), 1, 0, False
    last = start
    bracket: list[Point] = []
    while rounds < most:
        if new.loss > loss + c1 * t * slope or (rounds > 1 and new.loss >= last.loss):
            bracket = [last, new]
            break
        if abs(new.slope) <= -c2 * slope:
            bracket, done = [new], True
            break
        if new.slope >= 0:
            bracket = [last, new]
            break
        low, high = t + 0.01 * (t - last.place), t * 10
        t = cubic_minimum(last.place, last.loss, last.slope, t, new.loss, new.slope, (low, high))
        last, new = new, point(t)
        calls += 1
        rounds += 1
    if rounds == most:
        bracket = [start, new]
    stalled = False
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    while not done and rounds < most:
        a, b = bracket
        if abs(b.place - a.place) * largest < tolerance_change:
            break
        t = cubic_minimum(a.place, a.loss, a.slope, b.place, b.loss, b.slope)
        left, right = sorted((a.place, b.place))
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # too near to one end: move away when it happens again, or outside
            if stalled or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        new = point(t)
        calls += 1
        rounds += 1
        if new.loss > loss + c1 * t * slope or new.loss >= bracket[low].loss:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        else:
            if abs(new.slope) <= -c2 * slope:
                done = True
            elif new.slope * (bracket[high].place - bracket[low].place) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
    best = bracket[low] if len(bracket) > 1 else bracket[0]
    return best.loss, best.gradient, best.place, calls
