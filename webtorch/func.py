"""Function transforms: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`, `vmap` turn functions into functions, and nest.

Reverse mode runs on the ordinary graph: the inputs get aliases of their own, and gradients with respect to these are
taken. Forward mode uses tangents (`webtorch.tangents`), vmap hidden dimensions (`webtorch.batching`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import batching, grad_mode, tangents
from .autograd import forward_ad
from .autograd.engine import grad as engine_grad
from .autograd.graph import AccumulateGrad
from .batching import Unbatchable, VmapFrame, active_levels
from .tensor import Tensor
from .utils.pytree import broadcast_leaves, tree_flatten, tree_leaves, tree_map, tree_unflatten

__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip


# ---- reverse mode ---------------------------------------------------------------------------------------------------


class Transform:
    """One running reverse-mode transform; what its inputs' aliases lead to is of no use once it is over."""

    def __init__(self) -> None:
        self.alive = True


@contextlib.contextmanager
def inside_transform() -> Iterator[None]:
    token = batching.transforms_running.set(batching.transforms_running.get() + 1)
    try:
        yield
    finally:
        batching.transforms_running.reset(token)


def without_history(x: Tensor) -> Tensor:
    """An alias of `x` that no gradient flows through; tangents stay."""
    result = x._view(x._shape, x._strides, x._offset)
    for level in tangents.levels_of((x,)):
        tangents.put(result, level, tangents.get(x, level))
    return result


def entered(x: Any, transform: Transform, recorded: bool, call: str) -> Any:
    """The alias of an input that a transform differentiates with respect to."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{call}: Thing passed to transform API must be Tensor, got {type(x)}; make it one with webtorch.tensor(...), or "
            "leave the argument out of argnums"
        )
    if not x.dtype.is_differentiable:
        raise RuntimeError(
            f"{call}: only Tensors of floating point and complex dtype can require gradients, not {x.dtype}; convert first, e.g. x.float()"
        )
    if x.is_inference():
        x = x.clone()  # outside of inference mode: autograd can save it
    levels = active_levels()
    if recorded and x.requires_grad:
        alias = forward_ad.alias(batching.spread(x, levels))
        alias._base = None
    else:
        alias = without_history(x)
        if levels:
            alias = without_history(batching.spread(alias, levels))
        alias._leaf_requires_grad = True
    alias._transform = transform
    return alias


def still_needed(values: list) -> bool:
    """True when the history of a value leads to a leaf or an input of a transform that is still running."""
    stack = []
    for value in values:
        if isinstance(value, Tensor):
            if value.grad_fn is not None:
                stack.append(value.grad_fn)
            elif value._leaf_requires_grad and leads_on(value):
                return True
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, AccumulateGrad):
            if leads_on(node.variable):
                return True
            continue
        for target in node.edges:
            if target is not None:
                stack.append(target[0])
    return False


def leads_on(leaf: Tensor) -> bool:
    return leaf._transform is None or leaf._transform.alive


def left(tree: Any, recorded: bool) -> Any:
    """What a transform returns: without the history that ends in it, and where gradients are off outside, without any."""

    def leave(value: Any) -> Any:
        if isinstance(value, Tensor) and value.requires_grad and not (recorded and still_needed([value])):
            return without_history(value)
        return value

    return tree_map(leave, tree)


def recording_outside() -> bool:
    state = grad_mode.current()
    return state.grad and not state.inference


@contextlib.contextmanager
def normal_mode() -> Iterator[None]:
    """Recording on, whatever it is outside: a transform does not depend on the modes around it."""
    if grad_mode.current().inference:
        with grad_mode.inference_mode(False):
            yield
    else:
        with grad_mode.recording(True):
            yield


@contextlib.contextmanager
def out_of_inference() -> Iterator[None]:
    """Normal mode inside inference mode, which turns forward mode off; else nothing."""
    state = grad_mode.current()
    if state.inference:
        with grad_mode.inference_mode(False), grad_mode.recording(state.grad):
            yield
    else:
        yield


def gradients_of(outputs: list, inputs: list, cotangents: list, create_graph: bool) -> list:
    """Gradients of the outputs, zeros where nothing depends."""
    from .creation import zeros_like

    pairs = [(output, cotangent) for output, cotangent in zip(outputs, cotangents, strict=True) if output.requires_grad]
    if not pairs:
        return [zeros_like(value.detach()) for value in inputs]
    found = engine_grad(
        [output for output, _ in pairs], inputs, [cotangent for _, cotangent in pairs],
        retain_graph=True, create_graph=create_graph, allow_unused=True,
    )  # fmt: skip
    return [zeros_like(value.detach()) if part is None else part for part, value in zip(found, inputs, strict=True)]


def chosen(args: tuple, argnums: int | tuple[int, ...], call: str) -> tuple[int, ...]:
    """The positions of the differentiated arguments, from 0 on."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not numbers:
        raise ValueError(f"{call}: argnums must name at least one argument")
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{call}: argnums must be an int or a tuple of ints, got {argnums!r}")
        if not -len(args) <= number < len(args):
            raise RuntimeError(f"{call}: got argnum={number}, but only {len(args)} positional inputs")
    positions = tuple(number % len(args) for number in numbers)
    if len(set(positions)) != len(positions):
        raise RuntimeError(f"{call}: argnums elements must be unique, got {argnums!r}")
    return positions


def replaced(args: tuple, positions: tuple[int, ...], values: Sequence[Any]) -> list:
    result = list(args)
    for position, value in zip(positions, values, strict=True):
        result[position] = value
    return result


def pair_of(result: Any, call: str) -> tuple:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"{call}(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True, got "
            f"{type(result).__name__}"
        )
    return result


def grad_and_value(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """The function that gives (gradient, value) of `func`, which must return a scalar tensor.

    The gradient has the structure of the argument that `argnums` names, or is a tuple of such for a tuple. With
    `has_aux`, `func` returns (value, aux), and the result is (gradient, (value, aux)).

    >>> import webtorch
    >>> webtorch.func.grad_and_value(lambda x: (x * x).sum())(webtorch.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def transformed(*args: Any, **given: Any) -> tuple:
        positions = chosen(args, argnums, "grad")
        recorded = recording_outside()
        transform = Transform()
        with inside_transform(), normal_mode():
            leaves, spec = tree_flatten(tuple(args[position] for position in positions))
            aliases = [entered(leaf, transform, recorded, "grad") for leaf in leaves]
            result = func(*replaced(args, positions, tree_unflatten(aliases, spec)), **given)
            output, aux = pair_of(result, "grad") if has_aux else (result, None)
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}; with more results use "
                    "has_aux=True"
                )
            if output._shape:
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with {output.ndim} dims. "
                    "Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            from .creation import ones_like

            transform.alive = False
            found = gradients_of([output], aliases, [ones_like(output.detach())], recorded and still_needed([output]))
        gradients = tree_unflatten(left(found, recorded), spec)
        gradient = gradients[0] if isinstance(argnums, int) else gradients
        output, aux = left((output, aux), recorded)
        return gradient, (output, aux) if has_aux else output

    return transformed


def grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """The function that gives the gradient of `func`, which must return a scalar tensor; see `grad_and_value`. It nests.

    >>> import webtorch
    >>> cube = lambda x: x ** 3
    >>> webtorch.func.grad(webtorch.func.grad(cube))(webtorch.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **given: Any) -> Any:
        gradient, value = both(*args, **given)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def tensors_only(leaves: list, call: str) -> list:
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{call}: expected f(*primals) to return only tensors (or tuples, lists and dicts of them), got unsupported type "
                f"{type(leaf)}"
            )
    return leaves


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(func(*primals), f) where f(cotangents), structured as the output, gives the vector-Jacobian products: one per primal
    (a single one for a single primal). With `has_aux`, (output, f, aux).

    >>> import webtorch
    >>> output, pull = webtorch.func.vjp(lambda x: x ** 2, webtorch.tensor([1.0, 2.0]))
    >>> output, pull(webtorch.tensor([1.0, 10.0]))
    (tensor([1., 4.]), (tensor([ 2., 40.]),))
    """
    recorded = recording_outside()
    transform = Transform()
    with inside_transform(), normal_mode():
        leaves, spec = tree_flatten(primals)
        aliases = [entered(leaf, transform, recorded, "vjp") for leaf in leaves]
        result = func(*tree_unflatten(aliases, spec))
        output, aux = pair_of(result, "vjp") if has_aux else (result, None)
        outputs, shape = tree_flatten(output)
        tensors_only(outputs, "vjp")
        transform.alive = False
        needed = recorded and still_needed(outputs)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        weights, given = tree_flatten(cotangents)
        if given != shape:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {given!r}, primal output: {shape!r}"
            )
        outside = recording_outside()
        again = needed or any(isinstance(weight, Tensor) and weight.requires_grad for weight in weights)
        with inside_transform(), normal_mode():
            found = gradients_of(outputs, aliases, weights, again if create_graph is None else create_graph)
        return tree_unflatten(left(found, outside), spec)

    output = left(output, recorded)
    return (output, pull, left(aux, recorded)) if has_aux else (output, pull)


# ---- forward mode ---------------------------------------------------------------------------------------------------


def jvp(
    func: Callable, primals: tuple, tangents_: tuple | None = None, *, strict: bool = False, has_aux: bool = False,
    tangents: tuple | None = None,
) -> tuple:  # fmt: skip
    """(func(*primals), its directional derivative along `tangents`), both structured as the output; with `has_aux`,
    (output, derivative, aux). `strict` raises where an output does not depend on the inputs, instead of giving zeros.

    >>> import webtorch
    >>> webtorch.func.jvp(lambda x: x ** 2, (webtorch.tensor(3.0),), (webtorch.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    directions = tangents_ if tangents is None else tangents
    if not isinstance(primals, tuple) or not primals:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple, and not an empty one. E.g. it should be valid to call "
            "f(*primals)."
        )
    leaves, spec = tree_flatten(primals)
    given, shape = tree_flatten(directions)
    if spec != shape:
        raise RuntimeError(
            f"jvp: Expected primals and tangents to have the same python structure. primals: {spec!r}, tangents: {shape!r}"
        )
    for leaf, tangent in zip(leaves, given, strict=True):
        forward_ad.check_tangent(leaf, tangent, "jvp")
    level = dual_level()
    with inside_transform(), out_of_inference(), level:
        duals = [forward_ad.alias(leaf) for leaf in leaves]
        for dual, tangent in zip(duals, given, strict=True):
            put(dual, level.level, tangent)
        result = func(*tree_unflatten(duals, spec))
        output, aux = pair_of(result, "jvp") if has_aux else (result, None)
        outputs, out_spec = tree_flatten(output)
        tensors_only(outputs, "jvp")
        found = [tangent_at(value, level.level, strict) for value in outputs]
        values = [below(value, level.level) for value in outputs]
        aux = tree_map(lambda value: below(value, level.level), aux)
    answer = tree_unflatten(values, out_spec), tree_unflatten(found, out_spec)
    return (*answer, aux) if has_aux else answer


def tangent_at(value: Tensor, level: Any, strict: bool) -> Tensor:
    from .creation import zeros_like

    tangent = get(value, level)
    if tangent is None:
        if strict:
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with "
                "strict=True."
            )
        return zeros_like(value.detach())
    return tangent


put, get, below = tangents.put, tangents.get, tangents.below


class dual_level:
    """A dual level inside whatever levels there are."""

    def __init__(self) -> None:
        self.level = tangents.DualLevel()

    def __enter__(self) -> dual_level:
        self.level.enter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.level.leave()


def linearize(func: Callable, *primals: Any) -> tuple:
    """(func(*primals), f) where f(*tangents) is the derivative there along tangents. `func` runs once, however often f is
    called: f transposes the recorded vector-Jacobian product.

    >>> import webtorch
    >>> output, push = webtorch.func.linearize(lambda x: x ** 2, webtorch.tensor([1.0, 2.0]))
    >>> push(webtorch.tensor([1.0, 1.0]))
    tensor([2., 4.])
    """
    from .creation import zeros_like

    output, pull = vjp(func, *primals)
    outputs, spec = tree_flatten(output)
    _, shape = tree_flatten(primals)
    with normal_mode():
        probes = [zeros_like(value.detach()).requires_grad_() for value in outputs]
        transform = Transform()
        for probe in probes:
            probe._transform = transform
        rows = tree_leaves(pull(tree_unflatten(probes, spec), True, True))
        transform.alive = False

    def push(*directions: Any) -> Any:
        given, other = tree_flatten(directions)
        if other != shape:
            raise RuntimeError(f"linearize: expected tangents structured as the primals, {shape!r}, got {other!r}")
        recorded = recording_outside()
        with normal_mode():
            found = gradients_of(rows, probes, given, recorded and (still_needed(rows) or still_needed(given)))
        return tree_unflatten(left(found, recorded), spec)

    return output, push


# ---- Jacobians ------------------------------------------------------------------------------------------------------


def basis(leaves: list[Tensor]) -> list[Tensor]:
    """For tensors of n elements in all: n directions for each, in which one element of one of them is 1."""
    from .creation import eye, zeros

    total = sum(leaf.numel() for leaf in leaves)
    result, start = [], 0
    for leaf in leaves:
        count = leaf.numel()
        options = {"dtype": leaf.dtype, "device": leaf.device}
        parts = [
            zeros((start, count), **options),
            eye(count, **options),
            zeros((total - start - count, count), **options),
        ]
        from .functional import cat

        whole = cat([part for part in parts if part._shape[0]] or parts[1:2], 0)
        result.append(whole.reshape((total, *leaf._shape)))
        start += count
    return result


def jacrev(
    func: Callable, argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:  # fmt: skip
    """The function that gives the Jacobian of `func`, by reverse mode: for each output of shape O and input of shape I a
    tensor of shape O + I, structured as the outputs, then as the inputs that `argnums` names.

    `chunk_size` computes that many rows at a time, to save memory.

    >>> import webtorch
    >>> webtorch.func.jacrev(lambda x: x ** 2)(webtorch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def transformed(*args: Any, **given: Any) -> Any:
        positions = chosen(args, argnums, "jacrev")
        primals = tuple(args[position] for position in positions)

        def part(*values: Any) -> Any:
            return func(*replaced(args, positions, values), **given)

        output, pull, *aux = vjp(part, *primals, has_aux=has_aux)
        outputs, spec = tree_flatten(output)
        inputs, in_spec = tree_flatten(primals)
        rows = vmap(lambda weights: tree_leaves(pull(tree_unflatten(weights, spec))), chunk_size=chunk_size)(
            basis(outputs)
        )
        columns = []
        for row, leaf in zip(rows, inputs, strict=True):  # [every output element, *input]
            pieces = row.split([value.numel() for value in outputs], 0)
            columns.append(
                [piece.reshape((*value._shape, *leaf._shape)) for piece, value in zip(pieces, outputs, strict=True)]
            )
        trees = []
        for number in range(len(outputs)):
            tree = tree_unflatten([column[number] for column in columns], in_spec)
            trees.append(tree[0] if isinstance(argnums, int) else tree)
        answer = tree_unflatten(trees, spec)
        return (answer, aux[0]) if has_aux else answer

    return transformed


def jacfwd(
    func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable:  # fmt: skip
    """The function that gives the Jacobian of `func`, by forward mode; structured as `jacrev`'s. Better than `jacrev` where
    there are more outputs than inputs.

    >>> import webtorch
    >>> webtorch.func.jacfwd(lambda x: x.sum() * x)(webtorch.tensor([1.0, 2.0]))
    tensor([[4., 1.],
            [2., 5.]])
    """

    @functools.wraps(func)
    def transformed(*args: Any, **given: Any) -> Any:
        positions = chosen(args, argnums, "jacfwd")
        primals = tuple(args[position] for position in positions)
        inputs, in_spec = tree_flatten(primals)
        for leaf in inputs:
            if not isinstance(leaf, Tensor):
                raise RuntimeError(f"jacfwd: Expected all inputs to be Tensors, got {type(leaf).__name__}")
        kept: list = []

        def part(*values: Any) -> Any:
            return func(*replaced(args, positions, values), **given)

        def along(directions: list) -> list:
            result = jvp(part, primals, tree_unflatten(directions, in_spec), has_aux=has_aux)
            kept[:] = [tree_flatten(result[1])[1], result[2] if has_aux else None]
            return tree_leaves(result[1])

        found = vmap(along, randomness=randomness, chunk_size=chunk_size)(basis(inputs))
        spec, aux = kept
        trees = []
        for column in found:  # [every input element, *output]
            out_shape = column._shape[1:]
            pieces = column.split([leaf.numel() for leaf in inputs], 0)
            parts = [
                piece.movedim(0, -1).reshape((*out_shape, *leaf._shape))
                for piece, leaf in zip(pieces, inputs, strict=True)
            ]
            tree = tree_unflatten(parts, in_spec)
            trees.append(tree[0] if isinstance(argnums, int) else tree)
        answer = tree_unflatten(trees, spec)
        return (answer, tree_map(first_example, aux)) if has_aux else answer

    return transformed


def first_example(value: Any) -> Any:
    """What a function returned besides its result is the same for all directions."""
    if isinstance(value, Tensor) and value._batch and not active_levels():
        return batching.exposed(value, batching.levels_of(value)).select(0, 0)
    return value


def hessian(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that gives the Hessian of `func`, forward over reverse mode.

    >>> import webtorch
    >>> webtorch.func.hessian(lambda x: (x ** 3).sum())(webtorch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# ---- vmap -----------------------------------------------------------------------------------------------------------


def vmap(
    func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable:
    """The function that applies `func` to every slice of its inputs at once.

    `in_dims` says which dimension of each argument is mapped (None: the same for all), as an int for all, or a tree that
    is structured as the arguments or stops earlier; `out_dims` where the new dimension goes in each output. `randomness`
    is what random ops do inside: "error", "different" for each slice, or "same". `chunk_size` computes that many slices
    at a time. Keyword arguments are not mapped. It nests, and goes with `grad` and all other transforms.

    >>> import webtorch
    >>> x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> webtorch.vmap(webtorch.dot)(x, x)
    tensor([ 5., 25.])
    >>> webtorch.vmap(lambda row, scale: row * scale, in_dims=(1, None))(x, 10.0)
    tensor([[10., 30.],
            [20., 40.]])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = getattr(func, "__name__", repr(func))

    @functools.wraps(func)
    def mapped(*args: Any, **given: Any) -> Any:
        inner = functools.partial(func, **given) if given else func
        leaves, spec, dims, size = mapped_inputs(name, in_dims, args)
        if chunk_size is None or size <= chunk_size:
            return run_mapped(inner, name, leaves, spec, dims, size, out_dims, randomness)
        results = []
        for start in range(0, size, chunk_size):
            count = min(chunk_size, size - start)
            part = [
                leaf if dim is None else leaf.narrow(dim, start, count) for leaf, dim in zip(leaves, dims, strict=True)
            ]
            results.append(run_mapped(inner, name, part, spec, dims, count, out_dims, randomness))
        from .functional import cat

        columns, specs = zip(*(tree_flatten(result) for result in results), strict=True)
        places = broadcast_leaves(out_dims, specs[0])
        joined = [
            column[0] if place is None else cat(list(column), place)
            for column, place in zip(zip(*columns, strict=True), places, strict=True)
        ]
        return tree_unflatten(joined, specs[0])

    return mapped


def mapped_inputs(name: str, in_dims: Any, args: tuple) -> tuple[list, Any, list, int]:
    """The flattened arguments, the dimension of each that is mapped, and how many slices there are."""
    call = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple, list)) or isinstance(in_dims, bool):
        raise ValueError(
            f"{call}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a function "
            "with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = broadcast_leaves(tuple(in_dims) if isinstance(in_dims, list) else in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{call}: in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{tree_flatten(in_dims)[1]!r} but inputs has structure {spec!r}."
        )
    sizes = []
    for position, (leaf, dim) in enumerate(zip(leaves, dims, strict=True)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{call}: Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(leaf, Tensor):
            raise ValueError(
                f"{call}: Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over non-Tensor "
                "arguments, please use None as the respective in_dim"
            )
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(
                f"{call}: Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.ndim} so expected "
                f"in_dim to satisfy -{leaf.ndim} <= in_dim < {leaf.ndim}."
            )
        dims[position] = dim % leaf.ndim
        sizes.append(leaf._shape[dims[position]])
    if not sizes:
        raise ValueError(f"{call}: at least one input must be mapped: all in_dims are None")
    if len(set(sizes)) != 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension"
        )
    return leaves, spec, dims, sizes[0]


def run_mapped(
    func: Callable, name: str, leaves: list, spec: Any, dims: list, size: int, out_dims: Any, randomness: str
) -> Any:
    """`func` on all slices at once; slice by slice where something in it cannot do that."""
    from .ops.batch import hide
    from .random import default_generator

    frame = VmapFrame(size, randomness)
    token = batching.frames.set((*batching.frames.get(), frame))
    start = default_generator.clone_state()
    try:
        with inside_transform():
            inner = [
                leaf if dim is None else hide(leaf, frame.level, dim) for leaf, dim in zip(leaves, dims, strict=True)
            ]
            result = func(*tree_unflatten(inner, spec))
            outputs, out_spec = tree_flatten(result)
            places = out_places(name, out_dims, outputs, out_spec)
            return tree_unflatten(
                [shown(name, value, frame, place) for value, place in zip(outputs, places, strict=True)], out_spec
            )
    except Unbatchable as error:
        if error.by_user or not size:
            raise
    finally:
        batching.frames.reset(token)
    default_generator.set_state(start.get_state())
    token = batching.frames.set((*batching.frames.get(), VmapFrame(None, randomness)))
    try:
        with inside_transform():
            return slice_by_slice(
                func, name, leaves, spec, dims, size, out_dims, start if randomness == "same" else None
            )
    finally:
        batching.frames.reset(token)


def out_places(name: str, out_dims: Any, outputs: list, out_spec: Any) -> list:
    if isinstance(out_dims, list):
        out_dims = tuple(out_dims)
    if isinstance(out_dims, tuple) and len(out_dims) == 1 and out_spec.kind is None:
        out_dims = out_dims[0]
    places = broadcast_leaves(out_dims, out_spec)
    if (
        places is None
        and isinstance(out_dims, tuple)
        and out_spec.kind is list
        and len(out_dims) == len(out_spec.children)
    ):
        places = broadcast_leaves(list(out_dims), out_spec)
    if places is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of `outputs`. "
            f"out_dims has structure {tree_flatten(out_dims)[1]!r} but outputs has structure {out_spec!r}."
        )
    for value, place in zip(outputs, places, strict=True):
        if not isinstance(value, Tensor) and place is not None:
            raise ValueError(
                f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. Did you mean to set out_dims= to "
                "None for output?"
            )
        if place is not None and (not isinstance(place, int) or isinstance(place, bool)):
            raise ValueError(
                f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints "
                "representing where in the outputs the vmapped dimension should appear."
            )
    return places


def shown(name: str, value: Any, frame: VmapFrame, place: int | None) -> Tensor:
    """An output with the mapped dimension where it is wanted."""
    from .ops.batch import show
    from .shapes import normalize_dim

    if place is None:
        if isinstance(value, Tensor) and any(level == frame.level for level, _, _ in value._batch):
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None: the output differs between "
                "slices; give the dimension for it in out_dims"
            )
        return value
    return show(value, frame.level, normalize_dim(place, value.ndim + 1, "vmap"), frame.size)


def slice_by_slice(
    func: Callable, name: str, leaves: list, spec: Any, dims: list, size: int, out_dims: Any, start: Any
) -> Any:
    """What `vmap` means, literally; `start` is the generator's state for every slice, if they shall draw the same."""
    from .functional import stack
    from .random import default_generator

    rows = []
    out_spec = None
    for number in range(size):
        if start is not None:
            default_generator.set_state(start.get_state())
        part = [leaf if dim is None else leaf.select(dim, number) for leaf, dim in zip(leaves, dims, strict=True)]
        outputs, out_spec = tree_flatten(func(*tree_unflatten(part, spec)))
        rows.append(outputs)
    places = out_places(name, out_dims, rows[0], out_spec)
    joined = [
        column[0] if place is None else stack(list(column), place)
        for column, place in zip(zip(*rows, strict=True), places, strict=True)
    ]
    return tree_unflatten(joined, out_spec)


# ---- modules --------------------------------------------------------------------------------------------------------


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Call a module with other tensors in the places of its parameters and buffers, named as in `named_parameters()`;
    what is not named stays, and names that the module has not are ignored. The module is left as it was.

    With `tie_weights`, parameters that are one tensor in the module are replaced together; `strict` raises unless exactly
    all of them are named.

    >>> import webtorch
    >>> layer = webtorch.nn.Linear(1, 1)
    >>> weights = {"weight": webtorch.tensor([[2.0]]), "bias": webtorch.tensor([1.0])}
    >>> webtorch.func.functional_call(layer, weights, (webtorch.tensor([3.0]),))
    tensor([7.])
    """
    given = parameter_and_buffer_dicts
    if not isinstance(given, dict):
        named: dict[str, Any] = {}
        for part in given:
            twice = sorted(set(named) & set(part))
            if twice:
                raise ValueError(f"{twice} appeared in multiple dictionaries; behavior of functional call is ambiguous")
            named.update(part)
        given = named
    places = tensor_places(module)
    unknown = sorted(set(given) - set(places))
    if unknown and strict:
        raise RuntimeError(
            f"Error(s) in reparametrizing for {type(module).__name__}: Unexpected key(s): {', '.join(unknown)}."
        )
    wanted = {name: value for name, value in given.items() if name in places}
    if tie_weights:
        for name, value in list(wanted.items()):
            home, key = places[name]
            for other, (holder, other_key) in places.items():
                if holder[other_key] is home[key] and home[key] is not None and other not in given:
                    wanted[other] = value
    if strict and set(wanted) != set(places):
        missing = sorted(set(places) - set(wanted))
        raise RuntimeError(
            f"Error(s) in reparametrizing for {type(module).__name__}: Missing key(s): {', '.join(missing)}."
        )
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    before = {name: places[name][0][places[name][1]] for name in wanted}
    try:
        for name, value in wanted.items():
            home, key = places[name]
            home[key] = value
        return module(*args, **(kwargs or {}))
    finally:
        for name, value in before.items():
            home, key = places[name]
            changed = home[key]
            home[key] = value
            if isinstance(given, dict) and name in given and changed is not wanted[name]:
                given[name] = changed


def tensor_places(module: Any) -> dict[str, tuple[dict, str]]:
    """Every parameter and buffer of a module by its full name: the dict it lies in and its key there."""
    places: dict[str, tuple[dict, str]] = {}
    stack = [("", module)]
    seen: set[int] = set()
    while stack:
        prefix, part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        for home in (part._parameters, part._buffers):
            for key, value in home.items():
                if value is not None:
                    places[prefix + key] = (home, key)
        for key, child in part._modules.items():
            if child is not None:
                stack.append((f"{prefix}{key}.", child))
    return places


def stack_module_state(models: Sequence[Any]) -> tuple[dict, dict]:
    """The parameters and the buffers of modules of one kind, each stacked along a new first dimension: an ensemble for
    `vmap` over `functional_call`.

    >>> import webtorch
    >>> parameters, buffers = webtorch.func.stack_module_state([webtorch.nn.Linear(2, 1) for _ in range(3)])
    >>> parameters["weight"].shape
    webtorch.Size([3, 1, 2])
    """
    from .functional import stack

    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(model.training for model in models) or not any(model.training for model in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(model) is not type(models[0]) for model in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = {}
    for name, first in models[0].named_parameters():
        parts = [dict(model.named_parameters())[name] for model in models]
        parameters[name] = stack([part.detach() for part in parts]).requires_grad_(first.requires_grad)
    buffers = {}
    for name, _ in models[0].named_buffers():
        buffers[name] = stack([dict(model.named_buffers())[name] for model in models])
    return parameters, buffers


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """`func` itself: webtorch records values, and a write gives a tensor another value, so there is nothing to remove.

    >>> import webtorch
    >>> webtorch.func.functionalize(lambda x: x.clone().add_(1))(webtorch.tensor([1.0]))
    tensor([2.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options are: "
            "remove='mutations' and remove='mutations_and_views'"
        )
    return func


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Have the batch norms of a module keep no running statistics, in place, so that it can be mapped over; returns it.

    >>> import webtorch
    >>> webtorch.func.replace_all_batch_norm_modules_(webtorch.nn.BatchNorm1d(2)).running_mean is None
    True
    """
    for module in root.modules():
        if hasattr(module, "track_running_stats") and hasattr(module, "num_features"):
            module.track_running_stats = False
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                if name in module._buffers:
                    module._buffers[name] = None
    return root
