"""Einstein sums: an equation becomes views and a chain of contractions, in an order chosen from the sizes.

Repeated subscripts are diagonals, subscripts of one operand alone are summed first, and what is left is contracted two
operands at a time. For few operands all orders are compared; for many the order is opt_einsum's where it is installed
(`pip install "webtorch[einsum]"`), else a greedy one. Parsed equations and their orders are kept.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from .errors import ShapeError
from .ops import common_device
from .ops.matmul import contract
from .precision import autocasts
from .tensor import Tensor

__all__ = [
    "EinsumError", "clearEinsumCache", "clear_einsum_cache", "einsum", "einsum_cache_size", "formatEquationError",
    "format_equation_error", "getEinsumCacheSize", "get_einsum_cache_size",
]  # fmt: skip

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # the number of each in sublists, as in PyTorch
MAX_EQUATIONS = 1024  # parsed ones that are kept; the oldest goes first
EXHAUSTIVE = 7  # operands up to which all orders of contraction are compared

# A subscript is a letter, or the number of a dimension that an ellipsis stands for, counted from the last (1).
Subscript = str | int
Subscripts = tuple[Subscript, ...]


class EinsumError(ShapeError):
    """Raised when an equation cannot be read or does not fit its operands; `.code` is one of seven
    `einsum_error_...` names."""


class Equation(NamedTuple):
    """A parsed equation: the subscripts of each operand and of the result (None: not given), "..." standing for itself."""

    inputs: tuple[tuple[str, ...], ...]
    output: tuple[str, ...] | None


equations: OrderedDict[str, Equation] = OrderedDict()


def format_equation_error(equation: str, message: str, position: int | None = None) -> str:
    """The text of an error about an equation: the message, the equation, and a mark under `position` in it.

    >>> import webtorch
    >>> print(webtorch.format_equation_error("i,j->k", "k is unknown", 5))
    k is unknown
      i,j->k
           ^
    """
    lines = [message, f"  {equation}"]
    if position is not None:
        lines.append("  " + " " * position + "^")
    return "\n".join(lines)


def refuse(code: str, equation: str, message: str, position: int | None = None) -> EinsumError:
    text = format_equation_error(equation, f"einsum({equation!r}): {message}", position)
    return EinsumError(text, code=f"einsum_error_{code}")


# ---- reading equations ----------------------------------------------------------------------------------------------


def parse(equation: str) -> Equation:
    """The equation's parts; a parsed equation is kept, so that a second use costs a look-up."""
    known = equations.get(equation)
    if known is None:
        known = parse_new(equation)
        equations[equation] = known
        if len(equations) > MAX_EQUATIONS:
            equations.popitem(last=False)
    return known


def parse_new(equation: str) -> Equation:
    if equation.count("->") > 1:
        raise refuse("invalid_equation", equation, "there can be one '->' only", equation.rfind("->"))
    left, arrow, right = equation.partition("->")
    inputs, position = [], 0
    for term in left.split(","):
        inputs.append(parse_term(equation, term, position))
        position += len(term) + 1
    if not arrow:
        return Equation(tuple(inputs), None)
    start = len(left) + 2
    output = parse_term(equation, right, start)
    known = {subscript for term in inputs for subscript in term}
    for subscript in output:
        if output.count(subscript) > 1:
            raise refuse(
                "invalid_equation", equation, f"output subscript {subscript} appears more than once in the output",
                start + right.rfind(subscript),
            )  # fmt: skip
        if subscript not in known and subscript != "...":
            raise refuse(
                "unknown_output_index", equation,
                f"output subscript {subscript} does not appear in the equation for any input operand; "
                f"the inputs have {', '.join(sorted(known - {'...'})) or 'none'}", start + right.find(subscript),
            )  # fmt: skip
    return Equation(tuple(inputs), output)


def parse_term(equation: str, term: str, start: int) -> tuple[str, ...]:
    found: list[str] = []
    position = 0
    while position < len(term):
        letter = term[position]
        if letter == ".":
            if term[position : position + 3] != "...":
                raise refuse(
                    "invalid_equation", equation, "found '.' that is not part of any ellipsis", start + position
                )
            if "..." in found:
                raise refuse("invalid_equation", equation, "found more than one ellipsis in a term", start + position)
            found.append("...")
            position += 3
            continue
        if letter != " ":
            if letter not in LETTERS:
                raise refuse(
                    "invalid_equation", equation, f"invalid subscript given: {letter!r}, subscripts must be in [a-zA-Z]",
                    start + position,
                )  # fmt: skip
            found.append(letter)
        position += 1
    return tuple(found)


def from_sublists(arguments: Sequence[Any]) -> tuple[str, list[Tensor]]:
    """The call `einsum(a, [0, 1], b, [1, ...], [0])` as an equation and its operands."""
    operands, terms = [], []
    pairs = len(arguments) // 2
    for operand, sublist in zip(arguments[0 : 2 * pairs : 2], arguments[1 : 2 * pairs : 2], strict=True):
        operands.append(operand)
        terms.append(term_of(sublist))
    equation = ",".join(terms)
    if len(arguments) % 2:
        equation += "->" + term_of(arguments[-1])
    return equation, operands


def term_of(sublist: Any) -> str:
    shown = f"{list(sublist)}" if isinstance(sublist, (list, tuple)) else repr(sublist)
    if not isinstance(sublist, (list, tuple)):
        raise EinsumError(
            f"einsum(): expected a list of subscript numbers after each operand, got {shown}",
            code="einsum_error_invalid_sublist_element",
        )
    letters = []
    for element in sublist:
        if element is Ellipsis:
            if "..." in letters:
                raise EinsumError(
                    f"einsum(): sublist {shown} holds more than one Ellipsis",
                    code="einsum_error_invalid_sublist_element",
                )
            letters.append("...")
        elif isinstance(element, bool) or not hasattr(element, "__index__"):
            raise EinsumError(
                f"einsum(): sublist {shown} holds {element!r}; expected numbers from 0 to 51 and at most one Ellipsis",
                code="einsum_error_invalid_sublist_element",
            )
        elif not 0 <= element.__index__() < len(LETTERS):
            raise EinsumError(
                f"einsum(): sublist {shown}: not in the range [0, 52): {element}",
                code="einsum_error_index_out_of_range",
            )
        else:
            letters.append(LETTERS[element.__index__()])
    return "".join(letters)


# ---- fitting operands to it -----------------------------------------------------------------------------------------


def expand_ellipsis(term: tuple[str, ...], count: int) -> Subscripts:
    """The term with its ellipsis spelled out as `count` dimensions."""
    found: list[Subscript] = []
    for subscript in term:
        if subscript == "...":
            found.extend(range(count, 0, -1))
        else:
            found.append(subscript)
    return tuple(found)


def fit(equation: str, parsed: Equation, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Subscripts], Subscripts]:
    """The subscripts of every dimension of every operand, and those of the result."""
    if len(parsed.inputs) != len(shapes):
        more = "more" if len(shapes) < len(parsed.inputs) else "fewer"
        raise refuse(
            "operand_count_mismatch", equation,
            f"{more} subscripts were given ({len(parsed.inputs)} terms) than operands ({len(shapes)})",
        )  # fmt: skip
    terms: list[Subscripts] = []
    widest = 0
    for number, (term, shape) in enumerate(zip(parsed.inputs, shapes, strict=True)):
        named = len(term) - ("..." in term)
        if named > len(shape) or (named < len(shape) and "..." not in term):
            raise refuse(
                "subscript_rank_mismatch", equation,
                f"the number of subscripts ({named}) does not match the number of dimensions ({len(shape)}) of operand "
                f"{number}, whose shape is {list(shape)}; name every dimension, or use '...'",
            )  # fmt: skip
        terms.append(expand_ellipsis(term, len(shape) - named))
        if "..." in term:
            widest = max(widest, len(shape) - named)
    if parsed.output is not None:
        return terms, expand_ellipsis(parsed.output, widest)
    once = [subscript for term in terms for subscript in term if isinstance(subscript, str)]
    letters = sorted(subscript for subscript in set(once) if once.count(subscript) == 1)
    return terms, (*range(widest, 0, -1), *letters)


def sizes_of(equation: str, terms: list[Subscripts], shapes: Sequence[tuple[int, ...]]) -> dict[Subscript, int]:
    """The size of every subscript; size 1 broadcasts, as in PyTorch."""
    sizes: dict[Subscript, int] = {}
    for number, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[Subscript, int] = {}
        for subscript, size in zip(term, shape, strict=True):
            if own.setdefault(subscript, size) != size:
                raise refuse(
                    "dimension_mismatch", equation,
                    f"subscript {subscript} is repeated for operand {number} but the sizes don't match, "
                    f"{own[subscript]} != {size} in shape {list(shape)}",
                )  # fmt: skip
            before = sizes.get(subscript, 1)
            if before != 1 and size not in (1, before):
                name = "..." if isinstance(subscript, int) else subscript
                raise refuse(
                    "dimension_mismatch", equation,
                    f"subscript {name} has size {size} for operand {number} (shape {list(shape)}) which does not "
                    f"broadcast with previously seen size {before}",
                )  # fmt: skip
            if before == 1:
                sizes[subscript] = size
    return sizes


# ---- computing ------------------------------------------------------------------------------------------------------


class Term(NamedTuple):
    """A tensor and the subscript of each of its dimensions, all different."""

    tensor: Tensor
    subscripts: Subscripts


def prepared(tensor: Tensor, term: Subscripts, sizes: dict[Subscript, int]) -> Term:
    """An operand with its diagonals taken and the dimensions that broadcast left away."""
    subscripts = list(term)
    for subscript in dict.fromkeys(term):
        while subscripts.count(subscript) > 1:
            first = subscripts.index(subscript)
            second = subscripts.index(subscript, first + 1)
            tensor = tensor.diagonal(0, first, second)
            del subscripts[second], subscripts[first]
            subscripts.append(subscript)
    for dim in reversed(range(len(subscripts))):
        if tensor._shape[dim] == 1 and sizes[subscripts[dim]] != 1:
            tensor = tensor.select(dim, 0)
            del subscripts[dim]
    return Term(tensor, tuple(subscripts))


def summed(term: Term, needed: set[Subscript], widen: bool = False) -> Term:
    """The term summed over the subscripts that nobody else has; with `widen` integers give int64, as `sum` does."""
    dims = tuple(dim for dim, subscript in enumerate(term.subscripts) if subscript not in needed)
    if not dims:
        return term
    dtype = None if widen or term.tensor.dtype.is_floating_point else term.tensor.dtype
    total = term.tensor.sum(dims, dtype=dtype)
    return Term(total, tuple(subscript for subscript in term.subscripts if subscript in needed))


def arranged(term: Term, order: Subscripts) -> Tensor:
    """The tensor with its dimensions in that order, and a dimension of size 1 for every subscript it has not."""
    have = [subscript for subscript in order if subscript in term.subscripts]
    tensor = term.tensor.permute(tuple(term.subscripts.index(subscript) for subscript in have))
    for dim, subscript in enumerate(order):
        if subscript not in term.subscripts:
            tensor = tensor.unsqueeze(dim)
    return tensor


def pair(a: Term, b: Term, needed: set[Subscript]) -> Term:
    """Two terms as one: what both have is a batch if still needed, else summed by one contraction."""
    both = [subscript for subscript in a.subscripts if subscript in b.subscripts]
    batch = tuple(subscript for subscript in both if subscript in needed)
    inner = tuple(subscript for subscript in both if subscript not in needed)
    left = tuple(subscript for subscript in a.subscripts if subscript not in both)
    right = tuple(subscript for subscript in b.subscripts if subscript not in both)
    order = batch + left + right
    if not inner:
        return Term(arranged(a, order) * arranged(b, order), order)
    groups = (len(batch), len(left), len(inner), len(right))
    product = contract(arranged(a, batch + left + inner), arranged(b, batch + inner + right), groups)
    return Term(product, order)


@functools.lru_cache(maxsize=1024)
def contraction_path(
    terms: tuple[Subscripts, ...], output: Subscripts, sizes: tuple[tuple[Subscript, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Which two terms to contract next, again and again; the result of each step comes last."""
    if len(terms) <= 2:
        return ((0, 1),) * (len(terms) - 1)
    size = dict(sizes)
    if len(terms) <= EXHAUSTIVE:
        return positions(len(terms), best_tree(terms, output, size))
    own = greedy_path(terms, output, size)
    other = opt_einsum_path(terms, output, size)
    return own if other is None or work(own, terms, output, size) <= work(other, terms, output, size) else other


def opt_einsum_path(
    terms: tuple[Subscripts, ...], output: Subscripts, size: dict[Subscript, int]
) -> tuple[tuple[int, int], ...] | None:
    """The order that opt_einsum chooses; None where it is not installed."""
    try:
        from opt_einsum import paths
    except ImportError:
        return None
    # It sorts what it compares, and letters do not compare with the numbers of an ellipsis.
    named = {subscript: chr(192 + number) for number, subscript in enumerate(size)}
    inputs = [frozenset(named[subscript] for subscript in term) for term in terms]
    sizes = {named[subscript]: extent for subscript, extent in size.items()}
    steps = paths.auto(inputs, frozenset(named[subscript] for subscript in output), sizes)
    if any(len(step) != 2 for step in steps):
        return None
    return tuple((min(step), max(step)) for step in steps)


def work(
    path: tuple[tuple[int, int], ...], terms: tuple[Subscripts, ...], output: Subscripts, size: dict[Subscript, int]
) -> int:
    """The multiplications along a path."""
    alive, total = [frozenset(term) for term in terms], 0
    for first, second in path:
        union = alive.pop(second) | alive.pop(first)
        total += cost(union, size)
        alive.append(union & frozenset(output).union(*alive))
    return total


def cost(subscripts: frozenset, size: dict[Subscript, int]) -> int:
    return math.prod(size[subscript] for subscript in subscripts)


def best_tree(terms: tuple[Subscripts, ...], output: Subscripts, size: dict[Subscript, int]) -> Any:
    """The cheapest tree of contractions by dynamic programming over sets of terms; a leaf is the number of a term."""
    count = len(terms)
    everything = (1 << count) - 1
    members = [frozenset(term) for term in terms]

    @functools.cache
    def kept(chosen: int) -> frozenset:
        inside = frozenset().union(*(members[n] for n in range(count) if chosen >> n & 1))
        outside = frozenset(output).union(*(members[n] for n in range(count) if not chosen >> n & 1))
        return inside & outside

    best: dict[int, tuple[int, Any]] = {1 << n: (0, n) for n in range(count)}
    for chosen in sorted(range(1, everything + 1), key=int.bit_count):
        if chosen in best:
            continue
        found: tuple[int, Any] | None = None
        part = (chosen - 1) & chosen
        while part > chosen ^ part:
            other = chosen ^ part
            work = best[part][0] + best[other][0] + cost(kept(part) | kept(other), size)
            if found is None or work < found[0]:
                found = (work, (best[other][1], best[part][1]))
            part = (part - 1) & chosen
        assert found is not None
        best[chosen] = found
    return best[everything][1]


def positions(count: int, tree: Any) -> tuple[tuple[int, int], ...]:
    """A tree of term numbers as steps over a list from which two terms are taken and to which one is appended."""
    alive: list[Any] = list(range(count))
    steps: list[tuple[int, int]] = []

    def contracted(branch: Any) -> None:
        if isinstance(branch, int):
            return
        for part in branch:
            contracted(part)
        first, second = sorted(alive.index(part) for part in branch)
        steps.append((first, second))
        del alive[second], alive[first]
        alive.append(branch)

    contracted(tree)
    return tuple(steps)


def greedy_path(terms: tuple[Subscripts, ...], output: Subscripts, size: dict) -> tuple[tuple[int, int], ...]:
    """At each step the two terms whose contraction makes memory smallest, of equals the one with the least work."""
    alive = [frozenset(term) for term in terms]
    steps = []
    while len(alive) > 1:
        found: tuple[Any, int, int, frozenset] | None = None
        for first in range(len(alive)):
            for second in range(first + 1, len(alive)):
                outside = frozenset(output).union(*(alive[n] for n in range(len(alive)) if n not in (first, second)))
                union = alive[first] | alive[second]
                result = union & outside
                growth = cost(result, size) - cost(alive[first], size) - cost(alive[second], size)
                rank = (growth, cost(union, size))
                if found is None or rank < found[0]:
                    found = (rank, first, second, result)
        assert found is not None
        _, first, second, result = found
        steps.append((first, second))
        del alive[second], alive[first]
        alive.append(result)
    return tuple(steps)


@autocasts
def einsum(equation: Any, *operands: Any) -> Tensor:
    """The sum of products that `equation` spells: `einsum("ij,jk->ik", a, b)` is a matrix product.

    Subscripts are letters; a repeated one in a term is a diagonal, `...` stands for the dimensions not named, which
    broadcast. Without `->` the result has the letters that appear once, sorted, after the ellipsis. Any number of
    operands; also `einsum(a, [0, 1], b, [1, 2], [0, 2])`, where 0 to 51 are A to Z and a to z. Integers stay
    what they are; a sum over one operand gives int64.
    Raises EinsumError, with a `.code`, for an equation that cannot be read or does not fit.

    >>> import webtorch
    >>> a = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> webtorch.einsum("ij,jk->ik", a, a)
    tensor([[ 7., 10.],
            [15., 22.]])
    >>> webtorch.einsum("ii", a)
    tensor(5.)
    >>> webtorch.einsum(a, [0, 1], [1, 0])
    tensor([[1., 3.],
            [2., 4.]])
    """
    if not isinstance(equation, str):
        equation, tensors = from_sublists((equation, *operands))
    else:
        tensors = list(operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"einsum({equation!r}): expected Tensors, got {type(tensor).__name__}")
    if not tensors:
        raise refuse("operand_count_mismatch", equation, "must provide at least one operand")
    common_device(tensors, "einsum")
    shapes = [tensor._shape for tensor in tensors]
    subscripts, output = fit(equation, parse(equation), shapes)
    sizes = sizes_of(equation, subscripts, shapes)
    for subscript in output:
        sizes.setdefault(subscript, 1)
    terms = [prepared(tensor, term, sizes) for tensor, term in zip(tensors, subscripts, strict=True)]
    for number, term in enumerate(terms):
        others = {subscript for n, other in enumerate(terms) if n != number for subscript in other.subscripts}
        terms[number] = summed(term, others | set(output), widen=len(terms) == 1)
    for first, second in contraction_path(tuple(term.subscripts for term in terms), output, tuple(sizes.items())):
        b, a = terms.pop(second), terms.pop(first)
        needed = set(output).union(*(term.subscripts for term in terms))
        terms.append(pair(summed(a, needed | set(b.subscripts)), summed(b, needed | set(a.subscripts)), needed))
    return arranged(summed(terms[0], set(output)), output)


# ---- the cache ------------------------------------------------------------------------------------------------------


def clear_einsum_cache() -> None:
    """Forget the equations parsed so far.

    >>> import webtorch
    >>> webtorch.clear_einsum_cache()
    >>> webtorch.einsum_cache_size()
    0
    """
    equations.clear()
    contraction_path.cache_clear()


def einsum_cache_size() -> int:
    """How many parsed equations are kept.

    >>> import webtorch
    >>> webtorch.clear_einsum_cache()
    >>> _ = webtorch.einsum("i->", webtorch.ones(2)), webtorch.einsum("i->", webtorch.ones(3))
    >>> webtorch.einsum_cache_size()
    1
    """
    return len(equations)


clearEinsumCache = clear_einsum_cache
getEinsumCacheSize = get_einsum_cache_size = einsum_cache_size
formatEquationError = format_equation_error
