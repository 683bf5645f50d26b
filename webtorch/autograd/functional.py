"""Derivatives of functions as values: Jacobians, Hessians, and their products with vectors.

`strict=True` raises where an output does not depend on an input, instead of giving zeros. With `create_graph=True` the
results can be differentiated again, with respect to the inputs too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import grad_mode
from ..tensor import Tensor
from . import engine

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


# ---- arguments and results ------------------------------------------------------------------------------------------


def as_tensors(value: Any, what: str, call: str) -> tuple[bool, tuple[Tensor, ...]]:
    """Whether there were several, and the tensors as a tuple."""
    several = isinstance(value, (tuple, list))
    tensors = tuple(value) if several else (value,)
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            where = f"value at index {position}" if several else f"given {what}"
            raise TypeError(
                f"The {what} given to {call} must be either a Tensor or a tuple of Tensors but the {where} has type "
                f"{type(tensor)}."
            )
    return several, tensors


def unpacked(values: Any, several: bool) -> Any:
    return tuple(values) if several else values[0]


def entered(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """Inputs that gradients are taken with respect to: views of the given ones when those shall get gradients, too."""
    from .forward_ad import alias

    made = []
    for tensor in inputs:
        if create_graph:
            own = alias(tensor)
            made.append(own if own.requires_grad else own.detach().requires_grad_())
        else:
            made.append(tensor.detach().requires_grad_())
    return tuple(made)


def finished(tree: Any, create_graph: bool) -> Any:
    if isinstance(tree, Tensor):
        return tree if create_graph or not tree.requires_grad else tree.detach()
    return tuple(finished(value, create_graph) for value in tree)


def gradients(outputs: Any, inputs: Any, weights: Any, create_graph: bool) -> tuple:
    """Like `engine.grad`, with None where there is nothing to differentiate."""
    pairs = [
        (output, weight)
        for output, weight in zip(outputs, weights if weights is not None else [None] * len(outputs), strict=True)
        if output is not None and output.requires_grad
    ]
    if not pairs:
        return (None,) * len(inputs)
    return engine.grad(
        [output for output, _ in pairs], inputs, [weight for _, weight in pairs], allow_unused=True, create_graph=create_graph,
        retain_graph=True,
    )  # fmt: skip


def vectors(v: Any, like: tuple[Tensor, ...], several: bool, call: str, lone: bool, which: str) -> tuple:
    """The given vectors, checked; ones for a single number when there are none."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {which}.")
        from ..creation import ones_like

        return (ones_like(like[0].detach()),)
    _, given = as_tensors(v, "v", call)
    if len(given) != len(like):
        if several:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(given)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for position, (vector, tensor) in enumerate(zip(given, like, strict=True)):
        if vector._shape != tensor._shape:
            where = f"Entry {position} in " if several else ""
            raise RuntimeError(f"{where}v has invalid size: should be {tensor.shape} but got {vector.shape}.")
    return given


ONE_OUTPUT = "the user-provided function returns a single Tensor with a single element"
ONE_INPUT = "the input to the user-provided function is a single Tensor with a single element"


def check_outputs(outputs: tuple, strict: bool) -> None:
    for position, output in enumerate(outputs):
        if strict and not output.requires_grad:
            raise RuntimeError(
                f"Output {position} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )


def check_jacobian(found: tuple, strict: bool) -> None:
    if not strict:
        return
    for position, gradient in enumerate(found):
        if gradient is None:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {position}. This is not allowed in strict mode."
            )
        if not gradient.requires_grad:
            raise RuntimeError(
                "While computing the hessian, found that the jacobian of the user-provided function with respect to input "
                f"{position} is independent of the input. This is not allowed in strict mode. You should ensure that your function "
                "is twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear function "
                "for example)."
            )


HELP = {
    "back": "The output of the user-provided function is independent of input {0}. This is not allowed in strict mode.",
    "back_trick": "The gradient with respect to the input is independent of entry {0} in the grad_outputs when using the double "
    "backward trick to compute forward mode gradients. This is not allowed in strict mode.",
    "double_back": "The jacobian of the user-provided function is independent of input {0}. This is not allowed in strict mode.",
    "double_back_trick": "The hessian of the user-provided function is independent of entry {0} in the grad_jacobian. This is not "
    "allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.",
}  # fmt: skip
AGAIN = {
    "back": "The jacobian of the user-provided function is independent of input {0}. This is not allowed in strict mode when "
    "create_graph=True.",
    "double_back": "The hessian of the user-provided function is independent of input {0}. This is not allowed in strict mode when "
    "create_graph=True.",
}  # fmt: skip


def filled(found: tuple, like: tuple, strict: bool, create_graph: bool, stage: str) -> tuple:
    """Zeros for what is missing, or the error for it in strict mode."""
    from ..creation import zeros_like

    results = []
    for position, (gradient, tensor) in enumerate(zip(found, like, strict=True)):
        if gradient is None:
            if strict:
                raise RuntimeError(HELP[stage].format(position))
            gradient = zeros_like(tensor.detach())
        elif strict and create_graph and not gradient.requires_grad and "double" not in stage:
            raise RuntimeError(AGAIN["back"].format(position))
        results.append(gradient)
    return tuple(results)


def check_scalar(output: tuple, several: bool, call: str) -> None:
    if several:
        raise RuntimeError(f"The function given to {call} should return a single Tensor")
    if output[0].numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {call} should contain a single element")


def as_scalar(value: Tensor) -> Tensor:
    return value if not value._shape else value.reshape(())


# ---- products -------------------------------------------------------------------------------------------------------


def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), v times its Jacobian): a vector `v` like the output gives one like the inputs.

    >>> import webtorch
    >>> webtorch.autograd.functional.vjp(lambda x: x * 2, webtorch.ones(2), webtorch.tensor([1.0, 3.0]))
    (tensor([2., 2.]), tensor([2., 6.]))
    """
    with grad_mode.enable_grad():
        many_in, inputs = as_tensors(inputs, "inputs", "vjp")
        inputs = entered(inputs, create_graph)
        many_out, outputs = as_tensors(func(*inputs), "outputs of the user-provided function", "vjp")
        check_outputs(outputs, strict)
        weights = vectors(v, outputs, many_out, "vjp", True, ONE_OUTPUT)
    with grad_mode.recording(create_graph or grad_mode.is_grad_enabled()):
        found = gradients(outputs, inputs, weights, create_graph)
        product = filled(found, inputs, strict, create_graph, "back")
    return unpacked(finished(outputs, create_graph), many_out), unpacked(finished(product, create_graph), many_in)


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), its Jacobian times v): a vector `v` like the inputs gives one like the output. By two backward
    passes; `webtorch.func.jvp` needs none.

    >>> import webtorch
    >>> webtorch.autograd.functional.jvp(lambda x: x * x, webtorch.tensor([1.0, 2.0]), webtorch.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    from ..creation import zeros_like

    with grad_mode.enable_grad():
        many_in, inputs = as_tensors(inputs, "inputs", "jvp")
        inputs = entered(inputs, create_graph)
        direction = vectors(v, inputs, many_in, "jvp", True, ONE_INPUT)
        many_out, outputs = as_tensors(func(*inputs), "outputs of the user-provided function", "jvp")
        check_outputs(outputs, strict)
        probes = tuple(zeros_like(output.detach()).requires_grad_() for output in outputs)
        rows = gradients(outputs, inputs, probes, True)
        if strict:
            for position, row in enumerate(rows):
                if row is None:
                    raise RuntimeError(HELP["back"].format(position))
        found = gradients(rows, probes, direction, create_graph)
        product = filled(found, outputs, strict, create_graph, "back_trick")
    return unpacked(finished(outputs, create_graph), many_out), unpacked(finished(product, create_graph), many_out)


def vhp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), v times its Hessian), for a function with one number as its result; `v` is like the inputs.

    >>> import webtorch
    >>> webtorch.autograd.functional.vhp(lambda x: (x ** 3).sum(), webtorch.tensor([1.0, 2.0]), webtorch.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with grad_mode.enable_grad():
        many_in, inputs = as_tensors(inputs, "inputs", "vhp")
        inputs = entered(inputs, create_graph)
        direction = vectors(v, inputs, many_in, "vhp", True, ONE_INPUT)
        many_out, outputs = as_tensors(func(*inputs), "outputs of the user-provided function", "vhp")
        check_outputs(outputs, strict)
        check_scalar(outputs, many_out, "vhp")
        jacobians = gradients(outputs, inputs, None, True)
        check_jacobian(jacobians, strict)
        found = gradients(jacobians, inputs, direction, create_graph)
        product = filled(found, inputs, strict, create_graph, "double_back")
    return finished(outputs, create_graph)[0], unpacked(finished(product, create_graph), many_in)


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), its Hessian times v), for a function with one number as its result; `v` is like the inputs. The same
    as `vhp` where the Hessian is symmetric, and slower.

    >>> import webtorch
    >>> webtorch.autograd.functional.hvp(lambda x: (x ** 3).sum(), webtorch.tensor([1.0, 2.0]), webtorch.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    from ..creation import zeros_like

    with grad_mode.enable_grad():
        many_in, inputs = as_tensors(inputs, "inputs", "hvp")
        inputs = entered(inputs, create_graph)
        direction = vectors(v, inputs, many_in, "hvp", True, ONE_INPUT)
        many_out, outputs = as_tensors(func(*inputs), "outputs of the user-provided function", "hvp")
        check_outputs(outputs, strict)
        check_scalar(outputs, many_out, "hvp")
        jacobians = gradients(outputs, inputs, None, True)
        check_jacobian(jacobians, strict)
        probes = tuple(zeros_like(tensor.detach()).requires_grad_() for tensor in inputs)
        rows = gradients(jacobians, inputs, probes, True)
        if strict:
            for position, row in enumerate(rows):
                if row is None:
                    raise RuntimeError(HELP["double_back"].format(position))
        found = gradients(rows, probes, direction, create_graph)
        product = filled(found, inputs, strict, create_graph, "double_back_trick")
    return finished(outputs, create_graph)[0], unpacked(finished(product, create_graph), many_in)


# ---- Jacobians ------------------------------------------------------------------------------------------------------


def jacobian(
    func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian of `func`: for an output of shape O and an input of shape I a tensor of shape O + I; a tuple over inputs
    when a tuple of them is given, a tuple over outputs (of such) when `func` returns one.

    `vectorize` computes all rows at once (`webtorch.vmap`), with `strategy="forward-mode"` all columns.

    >>> import webtorch
    >>> webtorch.autograd.functional.jacobian(lambda x: x.exp(), webtorch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than inputs, '
            '"forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported together '
                '(yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
            )
        if strict:
            raise RuntimeError(
                'jacobian: `strict=True` and `strategy="forward-mode"` are not supported together (yet). Please either set '
                '`strict=False` or `strategy="reverse-mode"`.'
            )
        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize=True`."
            )
        return forward_jacobian(func, inputs)
    with grad_mode.enable_grad():
        many_in, inputs = as_tensors(inputs, "inputs", "jacobian")
        inputs = entered(inputs, create_graph)
        many_out, outputs = as_tensors(func(*inputs), "outputs of the user-provided function", "jacobian")
        check_outputs(outputs, strict)
        if vectorize and strict:
            raise RuntimeError(
                "jacobian: `strict=True` and `vectorized=True` are not supported together. Please either set `strict=False` or "
                "`vectorize=False`."
            )
        rows = (
            vectorized_rows(outputs, inputs, create_graph)
            if vectorize
            else rowwise(outputs, inputs, create_graph, strict)
        )
    result = tuple(unpacked(finished(row, create_graph), many_in) for row in rows)
    return unpacked(result, many_out)


def rowwise(outputs: tuple, inputs: tuple, create_graph: bool, strict: bool) -> list[tuple]:
    """For each output the Jacobians with respect to the inputs, one element of it after the other."""
    from ..creation import zeros, zeros_like
    from ..functional import stack

    rows = []
    for number, output in enumerate(outputs):
        columns: list[list[Tensor]] = [[] for _ in inputs]
        flat = output.reshape((-1,))
        for position in range(flat._shape[0]):
            found = gradients([flat.select(0, position)], inputs, None, create_graph)
            for place, (gradient, tensor) in enumerate(zip(found, inputs, strict=True)):
                if gradient is not None:
                    if strict and create_graph and not gradient.requires_grad:
                        raise RuntimeError(
                            f"The jacobian of the user-provided function is independent of input {place}. This is not allowed in "
                            "strict mode when create_graph=True."
                        )
                    columns[place].append(gradient)
                    continue
                if strict:
                    raise RuntimeError(
                        f"Output {number} of the user-provided function is independent of input {place}. This is not allowed in "
                        "strict mode."
                    )
                columns[place].append(zeros_like(tensor.detach()))
        rows.append(
            tuple(
                stack(column).reshape((*output._shape, *tensor._shape))
                if column
                else zeros((*output._shape, *tensor._shape), dtype=tensor.dtype, device=tensor.device)
                for column, tensor in zip(columns, inputs, strict=True)
            )
        )
    return rows


def vectorized_rows(outputs: tuple, inputs: tuple, create_graph: bool) -> list[tuple]:
    from ..creation import zeros
    from ..func import basis, vmap

    live = [output for output in outputs if output.requires_grad]
    if not live:
        return [
            tuple(zeros((*o._shape, *i._shape), dtype=i.dtype, device=i.device) for i in inputs) for o in outputs
        ]  # fmt: skip

    def pull(*weights: Tensor) -> tuple:
        return filled(gradients(live, inputs, weights, create_graph), inputs, False, create_graph, "back")

    found = vmap(pull)(*basis(live))
    sizes = [output.numel() for output in live]
    pieces = [column.split(sizes, 0) for column in found]
    rows, number = [], 0
    for output in outputs:
        if output.requires_grad:
            row = [piece[number].reshape((*output._shape, *i._shape)) for piece, i in zip(pieces, inputs, strict=True)]
            number += 1
        else:
            row = [zeros((*output._shape, *i._shape), dtype=i.dtype, device=i.device) for i in inputs]
        rows.append(tuple(row))
    return rows


def forward_jacobian(func: Callable, inputs: Any) -> Any:
    from ..func import jacfwd

    many_in, inputs = as_tensors(inputs, "inputs", "jacobian")
    many_out = False

    def checked(*values: Tensor) -> tuple:
        nonlocal many_out
        many_out, outputs = as_tensors(func(*values), "outputs of the user-provided function", "jacobian")
        return outputs

    rows = jacfwd(checked, tuple(range(len(inputs))))(*(tensor.detach() for tensor in inputs))
    return unpacked(tuple(unpacked(finished(row, False), many_in) for row in rows), many_out)


def hessian(
    func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Hessian of a function with one number as its result: of shape I + I for an input of shape I, a tuple of tuples
    for a tuple of inputs.

    >>> import webtorch
    >>> webtorch.autograd.functional.hessian(lambda x: (x ** 3).sum(), webtorch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    many_in, inputs = as_tensors(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def scalar(*values: Tensor) -> Tensor:
        many_out, outputs = as_tensors(func(*values), "outputs of the user-provided function", "hessian")
        check_outputs(outputs, strict)
        check_scalar(outputs, many_out, "hessian")
        return as_scalar(outputs[0])

    def first(*values: Tensor) -> tuple:
        if outer_jacobian_strategy == "forward-mode":
            from ..func import grad

            return grad(scalar, tuple(range(len(values))))(*values)
        found = jacobian(scalar, values, create_graph=True)
        check_jacobian(found, strict)
        return found

    result = jacobian(
        first, inputs, create_graph=create_graph, strict=strict, vectorize=vectorize, strategy=outer_jacobian_strategy
    )
    return result if many_in else result[0][0]
