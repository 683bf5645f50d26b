"""How often the loops of a user's WGSL function may go round. Drivers end or hang on long loops, some without a word, so a
function runs only where a bound is known beforehand: each loop counts up to something made of numbers and sizes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from ..errors import coded_error
from .handles import refuse

__all__ = ["Loops", "find_loops"]

HOW = (
    "write `for (var k = 0u; k < n; k++)`, where n is made of whole numbers, size(), size_x() and the like, the index, and "
    "names that `let` gives to such, and leave it early by `break`"
)
_TOKEN = re.compile(
    r"0[xX][0-9a-fA-F]+[iu]?|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?[iufh]?|[A-Za-z_]\w*"
    r"|<<=|>>=|\+\+|--|->|&&|\|\||<<|>>|<=|>=|==|!=|[-+*/%&|^]=|\S"
)
_WHOLE = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)[iu]?\Z")
_ASSIGNS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"})
_LEVELS = {"<<": 1, ">>": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3}
_PAIRS = {"(": ")", "[": "]", "{": "}"}

Range = tuple[int, int]  # the least and the largest that a value may be


class Unknown(Exception):
    """What a loop counts up to is not made of what is known beforehand; the text says which word."""


class Wraps(Exception):
    """A number that integers of 32 bits may not hold; the text says which."""


@dataclass(frozen=True)
class Loop:
    """`for (var name = start; name < bound; name += step)`, and the loops inside it."""

    name: str
    start: tuple[str, ...]
    bound: tuple[str, ...]
    reaches: bool  # name <= bound
    step: int
    inside: tuple[Loop, ...]


@dataclass(frozen=True)
class Loops:
    """The loops of a function, the name of its index, and the values that it names."""

    index: str
    named: Mapping[str, tuple[str, ...]]
    outermost: tuple[Loop, ...]

    def trips(self, sizes: Mapping[str, int]) -> int:
        """At most how many rounds an invocation goes, for "size", "size_x" ... Raises Wraps, and Unknown for a name that
        is none of these."""
        return self._trips(self.outermost, {self.index: (0, max(0, sizes["size"] - 1))}, sizes)

    def _trips(self, loops: tuple[Loop, ...], known: dict[str, Range], sizes: Mapping[str, int]) -> int:
        total = 0
        for loop in loops:
            values = Values(self.named, known, sizes)
            first = values.of(loop.start)[0]
            last = values.of(loop.bound)[1] - (0 if loop.reaches else 1)
            rounds = max(0, -(-(last - first + 1) // loop.step))
            inner = {**known, loop.name: (first, max(first, last))}
            total += 1 + rounds * (1 + self._trips(loop.inside, inner, sizes))
        return total


class Values:
    """Ranges of expressions, by the rules of precedence."""

    def __init__(
        self, named: Mapping[str, tuple[str, ...]], known: Mapping[str, Range], sizes: Mapping[str, int]
    ) -> None:
        self.named, self.known, self.sizes = named, known, sizes

    def of(self, tokens: tuple[str, ...]) -> Range:
        self.tokens, self.at = tokens, 0
        result = self.sum(0)
        if self.at != len(tokens):
            raise Unknown(tokens[self.at])
        return result

    def next(self, wanted: str = "") -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else "the end"
        if wanted and token != wanted:
            raise Unknown(token)
        self.at += 1
        return token

    def sum(self, least: int) -> Range:
        left = self.value()
        while self.at < len(self.tokens) and _LEVELS.get(self.tokens[self.at], -1) >= max(least, 1):
            operator = self.next()
            right = self.sum(_LEVELS[operator] + 1)
            left = combined(operator, left, right)
        return left

    def value(self) -> Range:
        token = self.next()
        whole = _WHOLE.match(token)
        if whole:
            number = int(whole[1], 0) if whole[1][:2] in ("0x", "0X") else int(whole[1])
            return number, number
        if token == "(":
            result = self.sum(0)
            self.next(")")
            return result
        if token in ("u32", "i32"):
            self.next("(")
            result = self.sum(0)
            self.next(")")
            return result
        if token in ("min", "max"):
            self.next("(")
            x = self.sum(0)
            self.next(",")
            y = self.sum(0)
            self.next(")")
            choose = min if token == "min" else max
            return choose(x[0], y[0]), choose(x[1], y[1])
        if token in self.sizes:
            self.next("(")
            self.next(")")
            return self.sizes[token], self.sizes[token]
        if token in self.known:
            return self.known[token]
        if token in self.named:
            return Values(self.named, self.known, self.sizes).of(self.named[token])
        raise Unknown(token)


def combined(operator: str, x: Range, y: Range) -> Range:
    """The range of x + y and the like, for ranges from 0 up."""
    if operator == "-":
        if x[0] < y[1]:
            raise Wraps(f"{shown(x)} - {shown(y)}, which may be less than 0; write max(x, y) - y for x - y")
        return x[0] - y[1], x[1] - y[0]
    if operator == "/":
        return x[0] // max(y[1], 1), x[1] // max(y[0], 1)
    if operator == "%":
        return 0, min(x[1], max(y[1] - 1, 0)) if y[0] > 0 else x[1]
    if operator == ">>":
        return x[0] >> min(y[1], 31), x[1] >> min(y[0], 31)
    if operator == "<<":
        x, y = x, (1 << min(y[0], 32), 1 << min(y[1], 32))
    result = (x[0] + y[0], x[1] + y[1]) if operator == "+" else (x[0] * y[0], x[1] * y[1])
    if result[1] >= 1 << 31:
        raise Wraps(f"{shown(x)} {operator} {shown(y)}, which may be more than 2^31")
    return result


def shown(values: Range) -> str:
    return str(values[0]) if values[0] == values[1] else f"({values[0]} to {values[1]})"


# ---- reading the text -----------------------------------------------------------------------------------------------


class Reader:
    """One pass over the tokens of a function."""

    def __init__(self, text: str, call: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.call = call
        self.declared: dict[str, int] = {}
        for before, name in zip(self.tokens, self.tokens[1:], strict=False):
            if before in ("let", "const", "var"):
                self.declared[name] = self.declared.get(name, 0) + 1

    def refuse(self, why: str) -> NoReturn:
        refuse("invalid_config_error", f"{self.call}: {why}; {HOW}")

    def closing(self, at: int) -> int:
        """Where the bracket that opens at `at` is closed."""
        depth = 0
        for position in range(at, len(self.tokens)):
            depth += (self.tokens[position] in _PAIRS) - (self.tokens[position] in _PAIRS.values())
            if depth == 0:
                return position
        return self.refuse("a bracket of a loop is never closed")

    def named(self) -> dict[str, tuple[str, ...]]:
        """The values that `let` or `const` names, where it does so once."""
        found = {}
        for at, token in enumerate(self.tokens[:-2]):
            name = self.tokens[at + 1]
            if token in ("let", "const") and self.declared[name] == 1:
                equals = at + 2 if self.tokens[at + 2] == "=" else at + 4  # with a type: name : u32 = ...
                if equals < len(self.tokens) and self.tokens[equals] == "=" and ";" in self.tokens[equals:]:
                    found[name] = tuple(self.tokens[equals + 1 : self.tokens.index(";", equals)])
        return found

    def loops(self, at: int, end: int) -> tuple[Loop, ...]:
        found = []
        while at < end:
            token = self.tokens[at]
            if token in ("while", "loop"):
                self.refuse(f"nobody can say how often `{token}` goes round")
            if token == "for":
                head = self.closing(at + 1)
                if self.tokens[head + 1 : head + 2] != ["{"]:
                    self.refuse("a loop has no body in braces")
                body = self.closing(head + 1)
                found.append(self.loop(self.tokens[at + 2 : head], head + 1, body))
                at = body
            at += 1
        return tuple(found)

    def loop(self, head: list[str], start: int, end: int) -> Loop:
        text = " ".join(head)
        parts = split(head, ";")
        if len(parts) != 3 or parts[0][:1] != ["var"] or "=" not in parts[0]:
            self.refuse(f"`for ({text})` does not begin with a variable of its own")
        first, condition, step = parts
        name = first[1]
        if self.declared[name] > 1 + self.count_of_loops(name):
            self.refuse(f"`{name}`, which counts the rounds of a loop, is the name of something else, too")
        bound, reaches = self.bound(name, condition, text)
        if step == [name, "++"]:
            width = 1
        elif len(step) == 3 and step[:2] == [name, "+="] and _WHOLE.match(step[2]):
            width = int(step[2].rstrip("iu"), 0)
        else:
            width = 0
        if not 0 < width < 1 << 16:
            self.refuse(f"`for ({text})` does not count up by a whole number")
        inside = self.tokens[start:end]
        for before, token, after in zip(["", *inside], inside, [*inside[1:], ""], strict=False):
            if token == name and (after in _ASSIGNS or before in ("let", "const", "var")):
                self.refuse(f"`{name}`, which counts the rounds of `for ({text})`, is changed inside")
        return Loop(
            name, tuple(first[first.index("=") + 1 :]), bound, reaches, width, self.loops(start, end)
        )  # fmt: skip

    def count_of_loops(self, name: str) -> int:
        """How many loops but one count by this name: side by side they may."""
        heads = zip(self.tokens, self.tokens[1:], self.tokens[2:], self.tokens[3:], strict=False)
        return max(0, sum(head == ("for", "(", "var", name) for head in heads) - 1)

    def bound(self, name: str, condition: list[str], text: str) -> tuple[tuple[str, ...], bool]:
        """What a loop counts up to: the condition, or a part of it that must hold."""
        for part in split(condition, "&&") if "||" not in condition else []:
            if len(part) > 2 and part[0] == name and part[1] in ("<", "<="):
                return tuple(part[2:]), part[1] == "<="
        return self.refuse(f"`for ({text})` does not end where `{name}` reaches a bound")


def split(tokens: list[str], at: str) -> list[list[str]]:
    """The parts between separators that are in no brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token in _PAIRS) - (token in _PAIRS.values())
        if token == at and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def find_loops(text: str, index: str, sizes: set[str], call: str) -> Loops:
    """The loops of a function of `index`; invalid_config_error where it cannot be said how often one goes round.

    >>> text = "fn f(i: u32) -> T { var s = 0.0; for (var k = 0u; k < size_x(); k++) { s += load_x(k); } return s; }"
    >>> find_loops(text, "i", {"size", "size_x"}, "register_forward('sum')").trips({"size": 1, "size_x": 100})
    101
    """
    reader = Reader(text, call)
    if not {"for", "while", "loop"} & set(reader.tokens):
        return Loops(index, {}, ())
    for before, token in zip(reader.tokens, reader.tokens[1:], strict=False):
        if token == "&" and not re.match(r"[\w)\]]", before):
            reader.refuse("a pointer may change what a loop counts by")
    if index in reader.declared:
        reader.refuse(f"the index `{index}` is the name of something else, too")
    found = Loops(index, reader.named(), reader.loops(0, len(reader.tokens)))
    try:
        found.trips(dict.fromkeys(sizes, 1 << 10))
    except Unknown as word:
        reader.refuse(f"a loop begins or ends at something with `{word}` in it, which is not known before it runs")
    except RecursionError:
        reader.refuse("a name is made of itself")
    except Wraps:
        pass  # it depends on the sizes
    return found


def checked_trips(loops: Loops, sizes: Mapping[str, int], budget: int, call: str) -> int:
    """`loops.trips`; kernel_signature_mismatch_error where it is more than a driver allows."""
    try:
        trips = loops.trips(sizes)
    except Wraps as difference:
        raise coded_error(
            "kernel_signature_mismatch_error",
            f"{call}: a loop of the kernel begins or ends at {difference}",
        ) from None
    if trips > budget:
        raise coded_error(
            "kernel_signature_mismatch_error",
            f"{call}: the loops of the kernel may go round {trips} times for one element, and drivers end loops after {budget} "
            "without a word; divide the work among more elements, or reduce in several calls",
        )
    return trips
