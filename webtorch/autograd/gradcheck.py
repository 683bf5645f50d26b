"""Checking derivatives against finite differences: element by element, or (fast mode) along random directions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import dtypes, grad_mode
from ..tensor import Tensor
from .engine import as_tuple, grad
from .graph import Node

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A derivative differs from its finite difference, or breaks another rule that was checked."""


def array_of(tensor: Tensor) -> np.ndarray:
    """The values in float64; complex numbers as their parts, in a last dimension of two.

    Read so, PyTorch's gradients of complex numbers are those of their real and imaginary parts.
    """
    array = tensor.detach().numpy()
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], -1).astype(np.float64)
    return array.astype(np.float64)


def tensor_of(array: np.ndarray, like: Tensor) -> Tensor:
    from ..creation import tensor

    if like.dtype.is_complex:
        array = array[..., 0] + 1j * array[..., 1]
    return tensor(array, dtype=like.dtype, device=like.device)


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape of `array_of`."""
    return (*tensor._shape, 2) if tensor.dtype.is_complex else tensor._shape


class Check:
    """One function at one point, with the options of one call."""

    def __init__(self, func: Callable, inputs: tuple, options: dict) -> None:
        self.func = func
        self.inputs = inputs
        self.options = options
        self.wanted = [
            position for position, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad
        ]
        self.generator = np.random.default_rng(options.get("seed", 0))

    # ---- the function -----------------------------------------------------------------------------------------------

    def outputs(self) -> tuple[list[Tensor], list[int]]:
        """The differentiable outputs, and their places among all of them."""
        results = as_tuple(self.func(*self.inputs))
        places = [place for place, value in enumerate(results) if isinstance(value, Tensor) and value.requires_grad]
        return [results[place] for place in places], places

    def values(self, places: list[int]) -> list[np.ndarray]:
        """The outputs as numbers, at the inputs as they are now."""
        with grad_mode.no_grad():
            results = as_tuple(self.func(*self.inputs))
        return [array_of(results[place]) for place in places]

    def moved(self, position: int, array: np.ndarray) -> None:
        """Write other values into an input, unseen by autograd: functions that close over it see them, too."""
        tensor = self.inputs[position]
        version = tensor._storage.version
        with grad_mode.no_grad():
            tensor.detach()._write(tensor_of(array, tensor))
        tensor._storage.version = version

    def difference(self, position: int, direction: np.ndarray, places: list[int]) -> list[np.ndarray]:
        """The central difference of the outputs along a direction of one input."""
        start = array_of(self.inputs[position]).copy()
        eps = self.options["eps"]
        try:
            self.moved(position, start + eps * direction)
            above = self.values(places)
            self.moved(position, start - eps * direction)
            below = self.values(places)
        finally:
            self.moved(position, start)
        return [(high - low) / (2 * eps) for high, low in zip(above, below, strict=True)]

    def numerical(self, places: list[int], sizes: list[int]) -> list[list[np.ndarray]]:
        """Jacobians [output][input], each of shape (elements of the input, elements of the output)."""
        found: list[list[np.ndarray]] = [[] for _ in places]
        for position in self.wanted:
            shape = shape_of(self.inputs[position])
            columns: list[list[np.ndarray]] = [[] for _ in places]
            for place in np.ndindex(*shape):
                direction = np.zeros(shape)
                direction[place] = 1.0
                for number, part in enumerate(self.difference(position, direction, places)):
                    columns[number].append(part.reshape(-1))
            for number, column in enumerate(columns):
                found[number].append(np.stack(column) if column else np.zeros((0, sizes[number])))
        return found

    # ---- the derivative rules ---------------------------------------------------------------------------------------

    def pulled(self, output: Tensor, weight: np.ndarray) -> list[np.ndarray]:
        """The inputs' gradients for a gradient of one output, after a look at their shapes and dtypes."""
        inputs = [self.inputs[position] for position in self.wanted]
        found = grad([output], inputs, [tensor_of(weight, output)], retain_graph=True, allow_unused=True)
        results = []
        for gradient, tensor in zip(found, inputs, strict=True):
            if gradient is None:
                results.append(np.zeros(shape_of(tensor)))
                continue
            if gradient._shape != tensor._shape:
                raise GradcheckError(
                    f"Analytical gradient has incorrect size: {list(gradient._shape)} for an input of shape {list(tensor._shape)}"
                )
            if self.options["check_grad_dtypes"] and gradient.dtype is not tensor.dtype:
                raise GradcheckError(f"Gradient has dtype mismatch: {gradient.dtype} for an input of {tensor.dtype}")
            results.append(array_of(gradient))
        return results

    def analytical(self, output: Tensor) -> list[np.ndarray]:
        """Jacobians by input, each of shape (elements of the input, elements of the output)."""
        columns: list[list[np.ndarray]] = [[] for _ in self.wanted]
        for place in np.ndindex(*shape_of(output)):
            weight = np.zeros(shape_of(output))
            weight[place] = 1.0
            for number, part in enumerate(self.pulled(output, weight)):
                columns[number].append(part.reshape(-1))
        return [
            np.stack(column, axis=1) if column else np.zeros((math.prod(shape_of(self.inputs[position])), 0))
            for column, position in zip(columns, self.wanted, strict=True)
        ]

    def pushed(self, position: int, direction: np.ndarray, places: list[int]) -> list[np.ndarray]:
        """The outputs' tangents for a tangent of one input."""
        from ..func import jvp

        def part(value: Tensor) -> tuple:
            given = list(self.inputs)
            given[position] = value
            results = as_tuple(self.func(*given))
            return tuple(results[place] for place in places)

        tensor = self.inputs[position]
        return [array_of(value) for value in jvp(part, (tensor,), (tensor_of(direction, tensor),))[1]]

    def forward(self, places: list[int], sizes: list[int]) -> list[list[np.ndarray]]:
        """Jacobians [output][input] by forward mode."""
        found: list[list[np.ndarray]] = [[] for _ in places]
        for position in self.wanted:
            shape = shape_of(self.inputs[position])
            columns: list[list[np.ndarray]] = [[] for _ in places]
            for place in np.ndindex(*shape):
                direction = np.zeros(shape)
                direction[place] = 1.0
                for number, part in enumerate(self.pushed(position, direction, places)):
                    columns[number].append(part.reshape(-1))
            for number, column in enumerate(columns):
                found[number].append(np.stack(column) if column else np.zeros((0, sizes[number])))
        return found

    # ---- comparisons ------------------------------------------------------------------------------------------------

    def close(self, analytical: np.ndarray, numerical: np.ndarray, count: int = 1) -> bool:
        scale = max(1.0, float(np.sqrt(count)))
        return np.allclose(
            analytical, numerical, rtol=self.options["rtol"], atol=self.options["atol"] * scale, equal_nan=False
        )

    def mismatch(self, output: int, position: int, numerical: Any, analytical: Any, mode: str = "") -> GradcheckError:
        shape = list(self.inputs[position]._shape)
        return GradcheckError(
            f"Jacobian {mode}mismatch for output {output} with respect to input {position}{f' of shape {shape}'},\n"
            f"numerical:{numerical}\nanalytical:{analytical}\n"
        )

    def slow(self, outputs: list[Tensor], places: list[int]) -> None:
        sizes = [math.prod(shape_of(value)) for value in outputs]
        numerical = self.numerical(places, sizes)
        if self.options["check_forward_ad"]:
            for number, row in enumerate(self.forward(places, sizes)):
                for position, found, expected in zip(self.wanted, row, numerical[number], strict=True):
                    if not self.close(found, expected):
                        raise self.mismatch(number, position, expected, found, "computed with forward mode ")
        if not self.options["check_backward_ad"]:
            return
        for number, output in enumerate(outputs):
            first = self.analytical(output)
            for position, found, expected in zip(self.wanted, first, numerical[number], strict=True):
                if not self.close(found, expected):
                    raise self.mismatch(number, position, expected, found)
            again = self.analytical(output)
            self.check_reentrant(first, again)

    def check_reentrant(self, first: list[np.ndarray], again: list[np.ndarray]) -> None:
        tolerance = self.options["nondet_tol"]
        for one, other in zip(first, again, strict=True):
            if one.size and not np.nanmax(np.abs(one - other), initial=0.0) <= tolerance:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    "different values, although analytical gradient matches numerical gradient. The tolerance for nondeterminism "
                    f"was {tolerance}."
                )

    def fast(self, outputs: list[Tensor], places: list[int]) -> None:
        """u^T J v by finite differences along v, and by a gradient u, for a random u and v."""
        draw = self.generator.standard_normal
        for position in self.wanted:
            direction = draw(shape_of(self.inputs[position]))
            if direction.size:
                direction /= np.linalg.norm(direction) or 1.0
            columns = self.difference(position, direction, places)
            tangents = self.pushed(position, direction, places) if self.options["check_forward_ad"] else None
            for number, (output, column) in enumerate(zip(outputs, columns, strict=True)):
                weight = draw(shape_of(output))
                expected = float((weight * column).sum())
                if tangents is not None:
                    found = float((weight * tangents[number]).sum())
                    if not self.close(np.array(found), np.array(expected), output.numel()):
                        raise self.explained(
                            number, position, expected, found, outputs, places, "computed with forward mode "
                        )
                if not self.options["check_backward_ad"]:
                    continue
                first = self.pulled(output, weight)
                found = float((first[self.wanted.index(position)] * direction).sum())
                if not self.close(np.array(found), np.array(expected), output.numel()):
                    raise self.explained(number, position, expected, found, outputs, places)
                self.check_reentrant(first, self.pulled(output, weight))

    def explained(
        self,
        number: int,
        position: int,
        numerical: float,
        analytical: float,
        outputs: list,
        places: list,
        mode: str = "",
    ) -> GradcheckError:
        """The mismatch of a random product, with the whole Jacobians behind it."""
        sizes = [math.prod(shape_of(value)) for value in outputs]
        whole = self.numerical(places, sizes)[number][self.wanted.index(position)]
        if mode:
            rule = self.forward(places, sizes)[number][self.wanted.index(position)]
        else:
            rule = self.analytical(outputs[number])[self.wanted.index(position)]
        largest = float(np.abs(whole - rule).max(initial=0.0))
        return GradcheckError(
            f"{self.mismatch(number, position, numerical, analytical, mode)}\nThe above quantities relating the numerical and "
            f"analytical jacobians are computed in fast mode, along random directions. Below, the jacobians themselves.\n\n"
            f"Numerical:\n{whole}\nAnalytical:\n{rule}\n\nThe max per-element difference (slow mode) is: {largest}.\n"
        )

    def check_undefined(self, outputs: list[Tensor]) -> None:
        """A gradient that never comes (None) must count as zeros."""
        inputs = [self.inputs[position] for position in self.wanted]
        nothing = UndefinedGradient(outputs)
        for gradient in grad(
            nothing.outputs(), inputs, [tensor_of(np.ones(shape_of(o)), o) for o in outputs], True, allow_unused=True
        ):
            if gradient is not None and np.any(array_of(gradient) != 0):
                raise GradcheckError(
                    "Expected all gradients to be undefined (None) or zeros where no output got a gradient"
                )
        if len(outputs) < 2:
            return
        weights = [self.generator.standard_normal(shape_of(output)) for output in outputs]
        for missing in range(len(outputs)):
            rest = [number for number in range(len(outputs)) if number != missing]
            given = [tensor_of(weights[number], outputs[number]) for number in rest]
            without = grad([outputs[number] for number in rest], inputs, given, True, allow_unused=True)
            zeros = [tensor_of(weights[n] * (n != missing), output) for n, output in enumerate(outputs)]
            full = grad(outputs, inputs, zeros, True, allow_unused=True)
            for one, other in zip(without, full, strict=True):
                a = 0.0 if one is None else array_of(one)
                b = 0.0 if other is None else array_of(other)
                if not np.allclose(a, b, rtol=1e-7, atol=1e-12):
                    raise GradcheckError(
                        "Expected backward function to handle undefined output grads: without a gradient of output "
                        f"{missing}, other gradients result than with zeros for it"
                    )

    def check_batched(self, outputs: list[Tensor]) -> None:
        """`vmap` over the gradient must give what one gradient after the other gives."""
        inputs = [self.inputs[position] for position in self.wanted]
        for output in outputs:
            weights = tensor_of(self.generator.standard_normal((2, *shape_of(output))), output)
            rows = [grad([output], inputs, [weights.select(0, n)], True, allow_unused=True) for n in range(2)]
            batched = grad([output], inputs, [weights], True, allow_unused=True, is_grads_batched=True)
            for column, whole in zip(zip(*rows, strict=True), batched, strict=True):
                if (whole is None) != (column[0] is None) or (
                    whole is not None
                    and not np.allclose(
                        array_of(whole), np.stack([array_of(part) for part in column]), rtol=1e-6, atol=1e-9
                    )
                ):
                    raise GradcheckError(
                        "gradcheck or gradgradcheck failed while testing batched gradient computation. This could have been caused "
                        "by a backward rule that gives other results under vmap than example by example"
                    )

    def check_batched_forward(self, places: list[int]) -> None:
        from ..func import jvp, vmap

        for position in self.wanted:
            tensor = self.inputs[position]
            directions = self.generator.standard_normal((2, *shape_of(tensor)))

            def push(direction: Tensor, position: int = position, tensor: Tensor = tensor) -> tuple:
                def part(value: Tensor) -> tuple:
                    given = list(self.inputs)
                    given[position] = value
                    results = as_tuple(self.func(*given))
                    return tuple(results[place] for place in places)

                return jvp(part, (tensor,), (direction,))[1]

            batched = vmap(push)(tensor_of(directions, tensor))
            rows = [self.pushed(position, direction, places) for direction in directions]
            for column, whole in zip(zip(*rows, strict=True), batched, strict=True):
                if not np.allclose(array_of(whole), np.stack(column), rtol=1e-6, atol=1e-9):
                    raise GradcheckError(
                        "gradcheck or gradgradcheck failed while testing batched forward gradient computation: forward mode under "
                        "vmap gives other results than example by example"
                    )

    def run(self) -> None:
        outputs, places = self.outputs()
        if not outputs:
            self.check_no_output()
            return
        (self.fast if self.options["fast_mode"] else self.slow)(outputs, places)
        if self.options["check_batched_forward_grad"]:
            self.check_batched_forward(places)
        if not self.options["check_backward_ad"]:
            return
        if self.options["check_batched_grad"]:
            self.check_batched(outputs)
        if self.options["check_undefined_grad"]:
            self.check_undefined(outputs)

    def check_no_output(self) -> None:
        """A function whose results say that they do not depend on the inputs must not depend on them."""
        results = as_tuple(self.func(*self.inputs))
        places = [
            place for place, value in enumerate(results) if isinstance(value, Tensor) and value.dtype.is_differentiable
        ]
        for row in self.numerical(places, [math.prod(shape_of(results[place])) for place in places]):
            for jacobian in row:
                if not np.allclose(jacobian, 0.0, atol=self.options["atol"]):
                    raise GradcheckError(
                        "Numerical gradient for function expected to be zero: no output requires grad, but outputs change with "
                        "the inputs"
                    )


class UndefinedGradient(Node):
    """Lets no gradient through: what comes out before it has None for one."""

    def __init__(self, tensors: list[Tensor]) -> None:
        from .graph import edge

        super().__init__(tuple(edge(tensor) for tensor in tensors))
        self.tensors = tensors
        self.output_count = len(tensors)

    def outputs(self) -> list[Tensor]:
        found = []
        for number, tensor in enumerate(self.tensors):
            alias = tensor.detach()
            alias._grad_fn, alias._output_number = self, number
            found.append(alias)
        return found

    def backward(self, gradients: list) -> list:
        return [None] * len(self.edges)


def check_inputs(inputs: tuple, call: str) -> None:
    wanted = [
        (position, value) for position, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad
    ]
    if not wanted:
        raise ValueError(
            f"{call} expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for position, value in wanted:
        if value.dtype not in (dtypes.float64, dtypes.complex128):
            warnings.warn(
                f"Input #{position} requires gradient and is not a double precision floating point or complex. This check will "
                "likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=4,
            )
        if any(stride == 0 and size > 1 for size, stride in zip(value._shape, value._strides, strict=True)):
            raise RuntimeError(
                f"The {position}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to "
                "be able to compute the numerical gradients correctly. You should call .contiguous on the input before passing it "
                "to gradcheck."
            )


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    seed: int = 0,
) -> bool:
    """Compare the derivatives of `func` with central differences, element by element; with `fast_mode`, along random
    directions with random weights of the outputs.

    Use float64 inputs: float32 differences are too rough for the default tolerances. Returns True, or raises
    GradcheckError (or returns False, without `raise_exception`). Also checked: that backward gives the same every time (to
    `nondet_tol`), and on demand the gradients' dtypes, gradients and forward mode under vmap, forward mode itself.
    `masked` is for sparse tensors, of which there are none; `seed` is for the random directions.

    >>> import webtorch
    >>> x = webtorch.rand(3, dtype=webtorch.float64, requires_grad=True)
    >>> webtorch.autograd.gradcheck(lambda x: (x * x).sum(), (x,))
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    options = {
        "eps": eps, "atol": atol, "rtol": rtol, "nondet_tol": nondet_tol, "check_undefined_grad": check_undefined_grad,
        "check_grad_dtypes": check_grad_dtypes, "check_batched_grad": check_batched_grad, "fast_mode": fast_mode,
        "check_batched_forward_grad": check_batched_forward_grad, "check_forward_ad": check_forward_ad,
        "check_backward_ad": check_backward_ad, "seed": seed,
    }  # fmt: skip
    inputs = as_tuple(inputs)
    try:
        check_inputs(inputs, "gradcheck")
        Check(func, inputs, options).run()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
    seed: int = 1,
) -> bool:
    """`gradcheck` of the gradients of `func`, as functions of its inputs and of the gradients of its outputs (random unless
    `grad_outputs` gives them). `check_fwd_over_rev` differentiates the gradients by forward mode, too.

    >>> import webtorch
    >>> x = webtorch.rand(3, dtype=webtorch.float64, requires_grad=True)
    >>> webtorch.autograd.gradgradcheck(lambda x: (x * x * x).sum(), (x,))
    True
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    for name, asked in (("check_undefined_grad", check_undefined_grad), ("check_batched_grad", check_batched_grad)):
        if asked and not check_rev_over_rev:
            raise AssertionError(f"Setting {name}=True requires check_rev_over_rev to be True")
    inputs = as_tuple(inputs)
    check_inputs(inputs, "gradgradcheck")
    wanted = [position for position, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]
    if grad_outputs is None:
        outputs = [value for value in as_tuple(func(*inputs)) if isinstance(value, Tensor) and value.requires_grad]
        given = list(random_weights(outputs, np.random.default_rng(seed), gen_non_contig_grad_outputs))
    else:
        given = [value if value.requires_grad else value.detach().requires_grad_() for value in as_tuple(grad_outputs)]

    def first(*values: Any) -> tuple:
        points, weights = values[: len(inputs)], values[len(inputs) :]
        points = tuple(
            value if position not in wanted or value.requires_grad else value.detach().requires_grad_()
            for position, value in enumerate(points)
        )
        with grad_mode.enable_grad():
            results = [value for value in as_tuple(func(*points)) if isinstance(value, Tensor) and value.requires_grad]
            found = grad(
                results, [points[position] for position in wanted], list(weights), create_graph=True, allow_unused=True
            )
        return tuple(value for value in found if value is not None)

    return gradcheck(
        first, (*inputs, *given), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad,
        fast_mode=fast_mode, check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, masked=masked, seed=seed,
    )  # fmt: skip


def random_weights(outputs: list[Tensor], generator: np.random.Generator, spread: bool) -> Iterator[Tensor]:
    """Random gradients for outputs, on request with gaps between their elements. They require gradients themselves: that
    shows a rule that drops history, because its result still depends on them."""
    for value in outputs:
        apart, parts = (2,) * spread, (2,) * value.dtype.is_complex
        array = generator.standard_normal((*value._shape, *apart, *parts))
        weight = tensor_of(array, value)
        if spread:
            weight = weight.select(-1, 0)
        yield weight.requires_grad_()
