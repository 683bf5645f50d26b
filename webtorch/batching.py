"""Hidden dimensions: how one call computes many examples at once.

Under `vmap` a tensor looks like one example. Its `_batch` says where the others lie: a tuple of (level, size, stride),
one for each `vmap` around, sorted by level. Shape, strides and offset are those of the first example, so views need no
rule of their own. Kinds of ops that read memory lay the hidden dimensions in front (`operand`, `exposed`), compute, and
hide them again (`hidden`). A level is never used twice, so a graph recorded under `vmap` can run backward after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from .graph import Operand
from .shapes import broadcast_strides
from .tensor import Tensor, view_of

Levels = tuple[tuple[int, int], ...]  # (level, size), sorted by level

_numbers = itertools.count(1)

# How many function transforms (webtorch.func) run around here.
transforms_running: ContextVar[int] = ContextVar("webtorch_transforms_running", default=0)


def new_level() -> int:
    """A level that no tensor has yet."""
    return next(_numbers)


class VmapFrame:
    """One running vmap; one that goes slice by slice has no size and hides no dimension."""

    def __init__(self, size: int | None, randomness: str) -> None:
        self.level = new_level()
        self.size = size
        self.randomness = randomness


frames: ContextVar[tuple[VmapFrame, ...]] = ContextVar("webtorch_vmap", default=())


def active_levels() -> Levels:
    """The levels of the vmaps that run around here."""
    return tuple((frame.level, frame.size) for frame in frames.get() if frame.size is not None)


def drawn(shape: tuple[int, ...], make: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Random numbers of that shape as the vmaps around want them: `make(shape)` once, or for every slice."""
    running = frames.get()
    if any(frame.randomness == "error" for frame in running):
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
            "randomness flags on vmap or perform the randomness operation out of vmap"
        )
    levels = tuple(
        (frame.level, frame.size) for frame in running if frame.randomness == "different" and frame.size is not None
    )
    token = frames.set(())
    try:
        physical = make((*sizes_of(levels), *shape))
    finally:
        frames.reset(token)
    return hidden(physical, levels) if levels else physical


class Unbatchable(RuntimeError):
    """Something was asked of a batched tensor that one call cannot do for all examples.

    `by_user` says that the program asked for it (`.item()`); else an operation did, and `vmap` goes slice by slice.
    """

    def __init__(self, what: str, by_user: bool = False) -> None:
        self.by_user = by_user
        super().__init__(
            f"vmap: It looks like you're {what}. Inside vmap a tensor stands for many examples at once, so it has no one value: "
            "please try to rewrite what you're doing with other operations, such as webtorch.where"
        )


def union(values: Iterable[Any]) -> Levels:
    """The levels that any of the tensors among `values` has."""
    sizes: dict[int, int] = {}
    for value in values:
        if isinstance(value, Tensor):
            for level, size, _ in value._batch:
                sizes[level] = size
    return tuple(sorted(sizes.items())) if sizes else ()


def batched(values: Iterable[Any]) -> bool:
    """True when a tensor among `values`, or in lists and tuples among them, has hidden dimensions."""
    for value in values:
        if isinstance(value, Tensor):
            if value._batch:
                return True
        elif isinstance(value, (list, tuple)) and batched(value):
            return True
    return False


def levels_of(value: Tensor) -> Levels:
    return tuple((level, size) for level, size, _ in value._batch)


def sizes_of(levels: Levels) -> tuple[int, ...]:
    return tuple(size for _, size in levels)


def lead_strides(value: Tensor, levels: Levels) -> tuple[int, ...]:
    """The strides of hidden dimensions; 0 where `value` is the same for all examples."""
    known = {level: stride for level, _, stride in value._batch}
    return tuple(known.get(level, 0) for level, _ in levels)


def operand(value: Tensor, levels: Levels, shape: tuple[int, ...] | None = None) -> Operand:
    """`value` (broadcast to `shape`) as a kernel's argument, with the hidden dimensions in front."""
    strides = value._strides if shape is None else broadcast_strides(value._shape, value._strides, shape)
    shape = value._shape if shape is None else shape
    return Operand(
        value._storage.node, (*sizes_of(levels), *shape), (*lead_strides(value, levels), *strides), value._offset
    )


def exposed(value: Tensor, levels: Levels) -> Tensor:
    """The tensor with its hidden dimensions in front, as plain ones; without history."""
    return view_of(
        value._storage,
        (*sizes_of(levels), *value._shape),
        (*lead_strides(value, levels), *value._strides),
        value._offset,
    )


def hidden(physical: Tensor, levels: Levels, first: int = 0) -> Tensor:
    """The tensor with the dimensions from `first` on, one per level, hidden; without history."""
    count = len(levels)
    shape, strides = physical._shape, physical._strides
    result = view_of(
        physical._storage,
        shape[:first] + shape[first + count :],
        strides[:first] + strides[first + count :],
        physical._offset,
    )
    result._batch = tuple((level, size, strides[first + position]) for position, (level, size) in enumerate(levels))
    return result


def hidden_at(physical: Tensor, places: dict[int, tuple[int, int]]) -> Tensor:
    """The tensor with the dimensions that `places` maps to (level, size) hidden; without history."""
    kept = [dim for dim in range(physical.ndim) if dim not in places]
    shape, strides = physical._shape, physical._strides
    result = view_of(
        physical._storage, tuple(shape[dim] for dim in kept), tuple(strides[dim] for dim in kept), physical._offset
    )
    result._batch = tuple(sorted((level, size, strides[dim]) for dim, (level, size) in places.items()))
    return result


def lifted(function: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    """`function`, which works on every element alike, of a batched tensor; without history."""
    levels = levels_of(value)
    return hidden(function(exposed(value, levels)), levels)


def spread(value: Tensor, levels: Levels) -> Tensor:
    """`value` as a batched tensor whose examples are all the same; gradients of the examples add up."""
    missing = [level for level, _ in levels if level not in {known for known, _, _ in value._batch}]
    if not missing:
        return value
    from .ops.batch import spread as row

    return row(value, levels)


def made_like(result: Tensor, value: Tensor) -> Tensor:
    """A fresh `result` with memory of its own for every example that `value` has."""
    if not value._batch:
        return result
    levels = levels_of(value)
    physical = exposed(result, levels).clone()
    return hidden(physical, levels)


def exposed_for_write(target: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Target and value of a write with all hidden dimensions in front."""
    levels = union((target, value))
    known = {level for level, _, stride in target._batch if stride}
    for level, size in levels:
        if level not in known and size > 1:
            raise RuntimeError(
                "vmap: an in-place operation is not possible because the value is batched and the tensor that it is written to is "
                "not: it has memory for one example only. Use the out-of-place form, or make the tensor batched first "
                "(x.clone() of a batched tensor, or zeros_like of one)"
            )
    return exposed(target, levels), exposed(value, levels)


def zeros_for(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` in the dtype, on the device and with the hidden dimensions of `value`."""
    from .creation import zeros

    levels = levels_of(value)
    physical = zeros((*sizes_of(levels), *shape), dtype=value.dtype, device=value.device)
    return hidden(physical, levels) if levels else physical


def dropped(output: Tensor, value: Tensor) -> Levels:
    """The levels that an op's result has and its input has not: the input's gradient is summed over them."""
    known = {level for level, _, _ in value._batch}
    return tuple((level, size) for level, size, _ in output._batch if level not in known)


def summed(gradient: Tensor, levels: Levels) -> Tensor:
    """The gradient summed over hidden dimensions, also those it is constant over."""
    from .ops.batch import show

    for level, size in levels:
        if any(known == level for known, _, _ in gradient._batch):
            gradient = show(gradient, level, 0, size).sum(0)
        else:
            gradient = gradient * size
    return gradient


def batched_repr(value: Tensor) -> str:
    levels = levels_of(value)
    where = ", ".join(f"level {level}: {size} examples" for level, size in levels)
    return (
        f"BatchedTensor({where}; each of shape {list(value._shape)}, {value.dtype}; all=\n{exposed(value, levels)!r})"
    )


def by_examples(function: Callable, args: tuple, given: dict) -> Any:
    """`function` once for every example of its batched arguments, the results put together: for what has no batching rule."""
    from .ops.batch import hide, show
    from .utils.pytree import tree_flatten, tree_map, tree_unflatten

    leaves, _ = tree_flatten((args, given))
    level, size = union(leaves)[-1]
    results = []
    for number in range(size):

        def example(leaf: Any, number: int = number) -> Any:
            if isinstance(leaf, Tensor) and any(known == level for known, _, _ in leaf._batch):
                return show(leaf, level, 0, size).select(0, number)
            return leaf

        own_args, own_given = tree_map(example, (args, given))
        results.append(function(*own_args, **own_given))
    if not results:
        raise Unbatchable("calling an operation that knows no batching rule over no examples at all")
    from .functional import stack

    columns, structures = zip(*(tree_flatten(result) for result in results), strict=True)
    joined = [
        hide(stack(list(column)), level, 0) if isinstance(column[0], Tensor) else column[0]
        for column in zip(*columns, strict=True)
    ]
    return tree_unflatten(joined, structures[0])
