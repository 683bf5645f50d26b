"""Rearranging, reducing and repeating by pattern, and packing: `rearrange(x, "b (h w) c -> b c h w", h=4)`.

A pattern names every axis; parentheses group axes that lie in one dimension; `...` stands for all the dimensions not
named; `1` or `()` is a dimension of size 1. The operations and the patterns are those of the einops package. Parsed
patterns are kept.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .errors import ShapeError
from .functional import stack
from .ops import TABLE
from .tensor import Tensor

__all__ = [
    "EinopsError", "buildEinopsError", "build_einops_error", "clearEinopsCache", "clear_einops_cache",
    "einops_cache_size", "findSimilarPatterns", "find_similar_patterns", "getEinopsCacheSize", "get_einops_cache_size",
    "levenshteinDistance", "levenshtein_distance", "pack", "rearrange", "reduce", "repeat", "unpack",
]  # fmt: skip

MAX_PATTERNS = 1024  # parsed ones that are kept; the oldest goes first
ELLIPSIS = "..."
BARE = ("... outside parentheses",)  # the group that stands for an ellipsis of several dimensions of their own
REDUCTIONS = ("min", "max", "sum", "mean", "prod", "any", "all")

Axis = str | int  # a name, "...", or a size given as a number


class EinopsError(ShapeError):
    """Raised when a pattern cannot be read or does not fit its tensor; `.code` is one of seven `einops_error_...` names."""


class Pattern(NamedTuple):
    """Both sides of a pattern: a group of axes for each dimension, with BARE for an ellipsis that is in none."""

    left: tuple[tuple[Axis, ...], ...]
    right: tuple[tuple[Axis, ...], ...]


patterns: OrderedDict[str, Pattern] = OrderedDict()


# ---- errors ---------------------------------------------------------------------------------------------------------


def levenshtein_distance(first: str, second: str) -> int:
    """How many letters must be put in, left out or replaced to turn one word into the other.

    >>> import webtorch
    >>> webtorch.levenshtein_distance("height", "hight")
    1
    """
    previous = list(range(len(second) + 1))
    for row, letter in enumerate(first, start=1):
        current = [row]
        for column, other in enumerate(second, start=1):
            replaced = previous[column - 1] + (letter != other)
            current.append(min(previous[column] + 1, current[column - 1] + 1, replaced))
        previous = current
    return previous[-1]


def find_similar_patterns(pattern: str, known: Iterable[str] | None = None, limit: int = 3) -> list[str]:
    """The patterns (or words) of `known` nearest to `pattern`, the nearest first; those used before unless given.

    Near means that at most half of the letters differ.

    >>> import webtorch
    >>> webtorch.find_similar_patterns("b c h w -> b c w", ["b c h w -> b h w", "x -> x y"])
    ['b c h w -> b h w']
    """
    candidates = list(patterns) if known is None else list(known)
    near = []
    for candidate in candidates:
        distance = levenshtein_distance(pattern, candidate)
        if candidate != pattern and distance <= max(len(pattern), len(candidate)) // 2:
            near.append((distance, candidate))
    return [candidate for _, candidate in sorted(near)[:limit]]


def build_einops_error(code: str, call: str, message: str, suggestions: Sequence[str] = ()) -> EinopsError:
    """The exception (not yet raised) for a pattern: the code, the call, what is wrong, and what may have been meant.

    `code` is one of the seven names, with or without its `einops_error_` in front.

    >>> import webtorch
    >>> str(webtorch.build_einops_error("undefined_axis", "rearrange('a -> b')", "b is not on the left.", ["a"]))
    "einops_error_undefined_axis: rearrange('a -> b'): b is not on the left. Did you mean 'a'?"
    """
    full = code if code.startswith("einops_error_") else f"einops_error_{code}"
    if suggestions:
        message = message.rstrip(".") + "."
    meant = f" Did you mean {' or '.join(repr(word) for word in suggestions)}?" if suggestions else ""
    return EinopsError(f"{call}: {message}{meant}", code=full)


# ---- reading patterns -----------------------------------------------------------------------------------------------


def parse(pattern: str, operation: str) -> Pattern:
    """The two sides of a pattern; a parsed pattern is kept, so that a second use costs a look-up."""
    known = patterns.get(pattern)
    if known is None:
        call = f"{operation}({pattern!r})"
        if not isinstance(pattern, str) or pattern.count("->") != 1:
            raise build_einops_error(
                "invalid_pattern",
                call,
                "a pattern has two sides with one '->' between them",
                find_similar_patterns(str(pattern)),
            )
        left, right = pattern.split("->")
        known = Pattern(parse_side(left, call), parse_side(right, call))
        for group in known.left:
            if ELLIPSIS in group:
                raise build_einops_error(
                    "invalid_pattern", call, "an ellipsis inside parentheses is not possible on the left side"
                )
        patterns[pattern] = known
        if len(patterns) > MAX_PATTERNS:
            patterns.popitem(last=False)
    return known


def parse_side(side: str, call: str) -> tuple[tuple[Axis, ...], ...]:
    groups: list[tuple[Axis, ...]] = []
    inside: list[Axis] | None = None
    seen: set[str] = set()
    for word in side.replace("...", " … ").replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            if inside is not None:
                raise build_einops_error("invalid_pattern", call, "there are parentheses inside parentheses")
            inside = []
        elif word == ")":
            if inside is None:
                raise build_einops_error("invalid_pattern", call, "there is a ')' without its '('")
            groups.append(tuple(inside))
            inside = None
        else:
            axis = axis_of(word, call, seen)
            if inside is not None:
                inside.extend(() if axis == 1 else (axis,))
            else:
                groups.append(() if axis == 1 else BARE if axis == ELLIPSIS else (axis,))
    if inside is not None:
        raise build_einops_error("invalid_pattern", call, "there is a '(' without its ')'")
    return tuple(groups)


def axis_of(word: str, call: str, seen: set[str]) -> Axis:
    """One axis of a pattern: a size, an ellipsis, or a name that this side has not had yet."""
    if word.isascii() and word.isdecimal():
        if int(word) == 0:
            raise build_einops_error("invalid_pattern", call, "a size given as a number must be 1 or more, not 0")
        return int(word)
    name = ELLIPSIS if word == "…" else word
    if name != ELLIPSIS:
        if "." in name:
            raise build_einops_error("invalid_pattern", call, "dots are possible only as one ellipsis '...'")
        if not name.isidentifier() or name.startswith("_") or name.endswith("_"):
            raise build_einops_error(
                "invalid_pattern",
                call,
                f"{name!r} is not a name for an axis: letters, digits and inner '_', no digit first",
            )
    if name in seen:
        raise build_einops_error("invalid_pattern", call, f"{name!r} stands twice on one side")
    seen.add(name)
    return name


def names_of(side: tuple[tuple[Axis, ...], ...]) -> list[str]:
    return [ELLIPSIS if group is BARE else axis for group in side for axis in group if isinstance(axis, str)]


def check_names(pattern: Pattern, operation: str, call: str, given: Mapping[str, int]) -> None:
    """That the two sides have the axes that the operation needs, and the sizes name some of them."""
    left, right = names_of(pattern.left), names_of(pattern.right)
    numbers_left = [axis for group in pattern.left for axis in group if isinstance(axis, int)]
    numbers_right = [axis for group in pattern.right for axis in group if isinstance(axis, int)]
    if numbers_right and operation != "repeat":
        raise build_einops_error(
            "anonymous_in_output", call, f"the size {numbers_right[0]} on the right side stands for an axis that has no name "
            "on the left; name it on both sides, or use repeat",
        )  # fmt: skip
    if numbers_left and operation != "reduce":
        raise build_einops_error(
            "invalid_pattern",
            call,
            f"the size {numbers_left[0]} on the left side is possible in reduce only; give the axis a name",
        )
    if ELLIPSIS in right and ELLIPSIS not in left:
        raise build_einops_error(
            "invalid_pattern", call, "there is an ellipsis on the right side, but none on the left"
        )
    gone = [name for name in left if name not in right]
    if operation != "reduce" and gone:
        raise build_einops_error(
            "undefined_axis", call, f"{gone[0]!r} is on the left side only, and {operation} keeps every axis; "
            "name it on the right, or use reduce", find_similar_patterns(gone[0], right),
        )  # fmt: skip
    new = [name for name in right if name not in left]
    if new and operation == "rearrange":
        raise build_einops_error(
            "undefined_axis", call, f"{new[0]!r} is on the right side only, and rearrange makes no new axes; "
            "name it on the left, or use repeat", find_similar_patterns(new[0], left),
        )  # fmt: skip
    if new and operation == "reduce":
        raise build_einops_error(
            "reduce_undefined_output", call, f"{new[0]!r} is on the right side only, and reduce makes no new axes",
            find_similar_patterns(new[0], left),
        )  # fmt: skip
    for name in given:
        if name not in left and name not in right:
            raise build_einops_error(
                "undefined_axis", call, f"a size is given for {name!r}, which is no axis of the pattern",
                find_similar_patterns(name, [*left, *right]),
            )  # fmt: skip
    unsized = [name for name in new if name not in given and name != ELLIPSIS]
    if unsized:
        raise build_einops_error(
            "repeat_missing_size", call, f"how often {unsized[0]!r} repeats is not said; give it as {unsized[0]}=..."
        )


# ---- fitting a tensor to it -----------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """A pattern fitted to a tensor: the size and the name of each axis of the left side, and the groups of the right."""

    axes: list[Any]
    sizes: dict[Any, int]
    right: list[list[Any]]


def fit(pattern: Pattern, shape: tuple[int, ...], given: Mapping[str, int], call: str) -> Plan:
    named = [group for group in pattern.left if group != BARE]
    free = len(shape) - len(named)
    if free < 0 or (free and BARE not in pattern.left):
        raise build_einops_error(
            "dimension_mismatch", call, f"expected {len(named)}{' or more' if BARE in pattern.left else ''} dimensions, but "
            f"the tensor has {len(shape)}: its shape is {list(shape)}",
        )  # fmt: skip
    sizes: dict[Any, int] = dict(given)
    axes: list[Any] = []
    rest = [(ELLIPSIS, number) for number in range(free)]
    dim = 0
    for group in pattern.left:
        if group == BARE:
            for axis in rest:
                axes.append(axis)
                sizes[axis] = shape[dim]
                dim += 1
            continue
        axes.extend(take_apart(group, shape[dim], dim, len(axes), sizes, shape, call))
        dim += 1
    right: list[list[Any]] = []
    for number, group in enumerate(pattern.right):
        if group == BARE:
            right.extend([axis] for axis in rest)
            continue
        members: list[Any] = []
        for position, each in enumerate(group):
            if each == ELLIPSIS:
                members.extend(rest)
            elif isinstance(each, int):
                members.append(("new", number, position))
                sizes[members[-1]] = each
            else:
                members.append(each)
        right.append(members)
    return Plan(axes, sizes, right)


def take_apart(
    group: tuple[Axis, ...], size: int, dim: int, count: int, sizes: dict, shape: tuple[int, ...], call: str
) -> list[Any]:
    """The axes of one dimension; the size of one that is not known is what the others leave."""
    members: list[Any] = []
    for position, axis in enumerate(group):
        member = ("number", count, position) if isinstance(axis, int) else axis
        if isinstance(axis, int):
            sizes[member] = axis
        members.append(member)
    unknown = [member for member in members if member not in sizes]
    if len(unknown) > 1:
        raise build_einops_error(
            "ambiguous_decomposition", call, f"dimension {dim} of size {size} can be taken apart into "
            f"{', '.join(str(member) for member in members)} in several ways; give all sizes but one of {', '.join(unknown)}",
        )  # fmt: skip
    known = math.prod(sizes[member] for member in members if member in sizes)
    if unknown:
        if known == 0 or size % known:
            raise build_einops_error(
                "dimension_mismatch", call, f"dimension {dim} of shape {list(shape)} has size {size}, which is no multiple of {known}, "
                f"the product of the other sizes in its group",
            )  # fmt: skip
        sizes[unknown[0]] = size // known
    elif known != size:
        shown = ", ".join(f"{member}={sizes[member]}" for member in members if isinstance(member, str)) or str(known)
        raise build_einops_error(
            "dimension_mismatch", call, f"dimension {dim} of shape {list(shape)} has size {size}, but the pattern makes it {known} "
            f"({shown})",
        )  # fmt: skip
    return members


def transform(x: Any, pattern: str, reduction: Any, operation: str, axes: Any, given: Mapping[str, Any]) -> Tensor:
    if isinstance(x, (list, tuple)):
        x = stack(list(x))
    if not isinstance(x, Tensor):
        raise TypeError(f"{operation}({pattern!r}): expected a Tensor or a list of them, got {type(x).__name__}")
    sizes = {**(axes or {}), **given}
    shown = "".join(f", {name}={size}" for name, size in sizes.items())
    call = f"{operation}({pattern!r}{shown})"
    for name, size in sizes.items():
        if isinstance(size, bool) or not hasattr(size, "__index__") or size < 0:
            raise build_einops_error(
                "dimension_mismatch", call, f"the size of {name!r} must be a whole number, not {size!r}"
            )
    parsed = parse(pattern, operation)
    check_names(parsed, operation, call, sizes)
    plan = fit(parsed, x._shape, sizes, call)
    wanted = [axis for group in plan.right for axis in group]
    result = x.reshape(tuple(plan.sizes[axis] for axis in plan.axes))
    have = list(plan.axes)
    dims = tuple(dim for dim, axis in enumerate(have) if axis not in wanted)
    if operation == "reduce":
        result = reduced(result, reduction, dims, call)
        have = [axis for axis in have if axis in wanted]
    result = result.permute(tuple(have.index(axis) for axis in wanted if axis in have))
    if operation == "repeat":
        for dim, axis in enumerate(wanted):
            if axis not in have:
                result = result.unsqueeze(dim)
        result = result.expand(tuple(plan.sizes[axis] for axis in wanted))
    return result.reshape(tuple(math.prod(plan.sizes[axis] for axis in group) for group in plan.right))


def reduced(x: Tensor, reduction: Any, dims: tuple[int, ...], call: str) -> Tensor:
    if callable(reduction):
        return reduction(x, dims) if dims else x
    if reduction not in REDUCTIONS:
        raise build_einops_error(
            "invalid_pattern", call, f"unknown reduction {reduction!r}; choose from {', '.join(REDUCTIONS)} or give a function "
            "of a tensor and a tuple of dimensions", find_similar_patterns(str(reduction), REDUCTIONS),
        )  # fmt: skip
    if reduction == "mean" and not x.dtype.is_floating_point:
        raise TypeError(f"{call}: reduce_mean is not available for {x.dtype}; convert with .float() first")
    if not dims:
        return x
    if reduction == "mean":
        return x.mean(dims)
    if reduction == "prod":  # which takes one dimension, as in PyTorch
        for dim in sorted(dims, reverse=True):
            x = x.prod(dim)
        return x
    return TABLE[{"min": "amin", "max": "amax"}.get(reduction, reduction)](x, dims)


# ---- the operations -------------------------------------------------------------------------------------------------


def rearrange(tensor: Any, pattern: str, axes: Mapping[str, int] | None = None, **sizes: int) -> Tensor:
    """The same elements with axes in another order, joined or taken apart; a view where the strides allow it.

    Sizes are given by name, or as the mapping `axes`; when a dimension is taken apart, all but one must be. A list of
    tensors counts as one with a first dimension over them. Raises EinopsError, with a `.code`.

    >>> import webtorch
    >>> webtorch.rearrange(webtorch.arange(6), "(h w) -> w h", h=2)
    tensor([[0, 3],
            [1, 4],
            [2, 5]])
    """
    return transform(tensor, pattern, None, "rearrange", axes, sizes)


def reduce(
    tensor: Any,
    pattern: str,
    reduction: str | Callable[..., Tensor],
    axes: Mapping[str, int] | None = None,
    **sizes: int,
) -> Tensor:
    """The axes that the right side leaves out, reduced with "min", "max", "sum", "mean", "prod", "any", "all" or a function.

    A function is called with the tensor and a tuple of dimensions. Raises EinopsError, with a `.code`.

    >>> import webtorch
    >>> webtorch.reduce(webtorch.arange(8.0).reshape(2, 4), "h (w two) -> h w", "max", two=2)
    tensor([[1., 3.],
            [5., 7.]])
    """
    return transform(tensor, pattern, reduction, "reduce", axes, sizes)


def repeat(tensor: Any, pattern: str, axes: Mapping[str, int] | None = None, **sizes: int) -> Tensor:
    """The elements repeated along the axes that only the right side has. (`Tensor.repeat` is PyTorch's.)

    A number on the right side is an axis of that size. The result may be a view. Raises EinopsError, with a `.code`.

    >>> import webtorch
    >>> webtorch.repeat(webtorch.tensor([1, 2]), "w -> h (w 2)", h=2)
    tensor([[1, 1, 2, 2],
            [1, 1, 2, 2]])
    """
    return transform(tensor, pattern, None, "repeat", axes, sizes)


def packing(pattern: str, call: str) -> tuple[int, int]:
    """How many axes stand before and after the star of a pattern for pack and unpack."""
    words = pattern.split()
    if words.count("*") != 1:
        raise build_einops_error("invalid_pattern", call, "the pattern must hold one '*', such as 'i j * k'")
    seen: set[str] = set()
    for word in words:
        if word != "*" and isinstance(axis_of(word, call, seen), int):
            raise build_einops_error("invalid_pattern", call, f"{word!r} is not a name for an axis")
    return words.index("*"), len(words) - words.index("*") - 1


def pack(tensors: Sequence[Tensor], pattern: str) -> tuple[Tensor, list[tuple[int, ...]]]:
    """Several tensors as one: the dimensions at the star of `pattern` are flattened and laid one after the other.

    Returns the tensor and, for `unpack`, the shapes that the star stood for.

    >>> import webtorch
    >>> packed, shapes = webtorch.pack([webtorch.zeros(2, 3, 5), webtorch.zeros(2, 5)], "i * k")
    >>> packed.shape, shapes
    (webtorch.Size([2, 4, 5]), [(3,), ()])
    """
    from .functional import cat

    call = f"pack({pattern!r})"
    before, after = packing(pattern, call)
    flat, shapes = [], []
    for number, tensor in enumerate(tensors):
        if tensor.ndim < before + after:
            raise build_einops_error(
                "dimension_mismatch", call, f"tensor {number} of shape {list(tensor._shape)} has fewer dimensions than the "
                f"pattern names, {before + after}",
            )  # fmt: skip
        end = tensor.ndim - after
        middle = tuple(tensor._shape[before:end])
        shapes.append(middle)
        flat.append(tensor.reshape((*tensor._shape[:before], math.prod(middle), *tensor._shape[end:])))
    if not flat:
        raise build_einops_error("dimension_mismatch", call, "there are no tensors to pack")
    for number, tensor in enumerate(flat):
        fixed = [size for dim, size in enumerate(tensor._shape) if dim != before]
        if fixed != [size for dim, size in enumerate(flat[0]._shape) if dim != before]:
            raise build_einops_error(
                "dimension_mismatch",
                call,
                f"the named dimensions of tensor {number} ({fixed}) are not those of tensor 0",
            )
    return cat(flat, before), shapes


def unpack(tensor: Tensor, packed_shapes: Sequence[Sequence[int]], pattern: str) -> list[Tensor]:
    """The tensors that `pack` made one of; the star's dimension is split and reshaped. One size in all may be -1.

    >>> import webtorch
    >>> [x.tolist() for x in webtorch.unpack(webtorch.arange(5), [(2, 2), ()], "*")]
    [[[0, 1], [2, 3]], 4]
    """
    call = f"unpack({pattern!r}, {[list(shape) for shape in packed_shapes]})"
    before, after = packing(pattern, call)
    if tensor.ndim != before + after + 1:
        raise build_einops_error(
            "dimension_mismatch",
            call,
            f"expected {before + after + 1} dimensions, but the tensor's shape is {list(tensor._shape)}",
        )
    shapes = [tuple(int(size) for size in shape) for shape in packed_shapes]
    lengths = [-1 if -1 in shape else math.prod(shape) for shape in shapes]
    total = tensor._shape[before]
    if lengths.count(-1) > 1 or any(shape.count(-1) > 1 for shape in shapes):
        raise build_einops_error("ambiguous_decomposition", call, "more than one size is -1; give all but one")
    if -1 in lengths:
        lengths[lengths.index(-1)] = total - sum(length for length in lengths if length != -1)
    if sum(lengths) != total or min(lengths, default=0) < 0:
        raise build_einops_error(
            "dimension_mismatch",
            call,
            f"the shapes hold {sum(lengths)} elements, but dimension {before} has size {total}",
        )
    parts, start = [], 0
    for shape, length in zip(shapes, lengths, strict=True):
        known = math.prod(size for size in shape if size != -1)
        if -1 in shape and (known == 0 or length % known):
            raise build_einops_error(
                "dimension_mismatch", call, f"{length} elements cannot have the shape {list(shape)}"
            )
        part = tensor.narrow(before, start, length)
        sizes = tuple(length // known if size == -1 else size for size in shape)
        parts.append(part.reshape((*tensor._shape[:before], *sizes, *tensor._shape[before + 1 :])))
        start += length
    return parts


# ---- the cache ------------------------------------------------------------------------------------------------------


def clear_einops_cache() -> None:
    """Forget the patterns parsed so far.

    >>> import webtorch
    >>> webtorch.clear_einops_cache()
    >>> webtorch.einops_cache_size()
    0
    """
    patterns.clear()


def einops_cache_size() -> int:
    """How many parsed patterns are kept.

    >>> import webtorch
    >>> webtorch.clear_einops_cache()
    >>> _ = webtorch.rearrange(webtorch.zeros(2, 3), "a b -> b a")
    >>> webtorch.einops_cache_size()
    1
    """
    return len(patterns)


buildEinopsError, findSimilarPatterns, levenshteinDistance = (
    build_einops_error,
    find_similar_patterns,
    levenshtein_distance,
)
clearEinopsCache, getEinopsCacheSize, get_einops_cache_size = clear_einops_cache, einops_cache_size, einops_cache_size
