"""64-bit integers on adapters that have none: expressions over them, with function calls in place of operators.

There a value of int64 is the structure `WtInt64` of `shaders/int64_pairs.wgsl`. Rows and kinds of ops write `{x} + {y}`
for every dtype; `spelled` turns such an expression into calls of that file's functions where its values are pairs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from . import prelude
from .errors import RegistryError

TYPE = "WtInt64"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0x[0-9a-fA-F]+[iu]?|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?:li|lu|lf|[iufh])?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign><<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>()\[\],.]))"
)
_TEMPLATES = ("bitcast", "vec2", "vec3", "vec4", "array")

# The functions that stand for operators and for WGSL's own functions, without `wt_` and `_i64`.
_UNARY = {"-": "neg", "~": "not"}
_BINARY = {
    "+": "add", "-": "sub", "*": "mul", "/": "trunc_divide", "%": "fmod", "&": "and", "|": "or", "^": "xor",
    "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "<<": "shift_left", ">>": "shift_right",
}  # fmt: skip
_BUILTIN = {"select": "select", "abs": "abs", "min": "minimum", "max": "maximum", "clamp": "clamp", "sign": "sign"}
# From the loosest binding to the tightest.
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!=", "<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=", "&&", "||")

Value = tuple[str, str | None]  # its text and its WGSL type; None where that does not matter


def spelled(expression: str, types: Mapping[str, str], result: str) -> str:
    """The WGSL expression with calls for every operator on an i64; `types` has the types of the names in it.

    Raises RegistryError for an expression that mixes i64 with another type, or whose type is not `result`.

    >>> spelled("x + y * i64(-1)", {"x": "i64", "y": "i64"}, "i64")
    'wt_add_i64(x, wt_mul_i64(y, WtInt64(0xffffffffu, 0xffffffffu)))'
    >>> spelled("select(x, y, n < 3u)", {"x": "i64", "y": "i64", "n": "u32"}, "i64")
    'wt_select_i64(x, y, n < 3u)'
    """
    parser = _Parser(expression, types)
    text, kind = parser.adapted(parser.binary(0), result)
    if parser.tokens[parser.position :]:
        raise parser.error(f"cannot be read from {parser.tokens[parser.position][1]!r} on")
    if (kind == "i64") != (result == "i64") and kind is not None:
        raise parser.error(f"has type {kind}, not {result}")
    return text


def constant(value: int) -> str:
    """An integer as a pair.

    >>> constant(-(1 << 63))
    'WtInt64(0x0u, 0x80000000u)'
    """
    return f"{TYPE}({value & 0xFFFFFFFF:#x}u, {value >> 32 & 0xFFFFFFFF:#x}u)"


@functools.cache
def _returned(name: str) -> str | None:
    """The type that a function of the shader library gives."""
    source = prelude.functions(pairs=True).get(name, "")
    match = re.search(r"->\s*([\w<>]+)\s*\{", source)
    return None if match is None else "i64" if match.group(1) == TYPE else match.group(1)


class _Parser:
    """Recursive descent over one expression; every method gives the text of what it read, and its type."""

    def __init__(self, expression: str, types: Mapping[str, str]) -> None:
        self.expression = expression
        self.types = types
        self.tokens: list[tuple[str, str]] = []
        self.position = 0
        at, end = 0, len(expression.rstrip())
        while at < end:
            match = _TOKEN.match(expression, at)
            if match is None:
                raise self.error(f"cannot be read from {expression[at:]!r} on")
            self.tokens.append((str(match.lastgroup), match.group(match.lastgroup)))
            at = match.end()

    def error(self, what: str) -> RegistryError:
        return RegistryError(
            f"the WGSL expression {self.expression!r} {what}; it is spelled for an adapter without 64-bit integers: "
            "convert with i64(...), i32(...), u32(...) or f32(...), or write a function in the shader library"
        )

    def peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        if self.position == len(self.tokens) or (wanted is not None and self.peek() != wanted):
            raise self.error(f"lacks {wanted or 'an operand'!r}")
        self.position += 1
        return self.tokens[self.position - 1]

    def adapted(self, value: Value, kind: str | None) -> Value:
        """A plain integer constant that meets an i64 becomes one."""
        text, known = value
        return (
            (constant(int(text.strip("()").replace(" ", ""), 0)), "i64") if kind == "i64" and known == "int" else value
        )

    def binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in _LEVELS[level]:
            sign = self.take()[1]
            left = self.combined(left, sign, self.binary(level + 1))
        return left

    def combined(self, left: Value, sign: str, right: Value) -> Value:
        shifts = sign in ("<<", ">>")
        if "i64" not in (left[1], None if shifts else right[1]):
            kind = "bool" if sign in _COMPARISONS else right[1] if left[1] in (None, "int") else left[1]
            return f"{left[0]} {sign} {right[0]}", kind
        if not shifts:
            left, right = self.adapted(left, "i64"), self.adapted(right, "i64")
            if left[1] != right[1]:
                raise self.error(f"has {left[1]} {sign} {right[1]}")
        if sign not in _BINARY:
            raise self.error(f"uses {sign} on i64")
        return f"wt_{_BINARY[sign]}_i64({left[0]}, {right[0]})", "bool" if sign in _COMPARISONS else "i64"

    def unary(self) -> Value:
        sign = self.peek()
        if sign not in ("-", "~", "!"):
            return self.suffixed(self.primary())
        self.take()
        text, kind = self.unary()
        if kind != "i64":
            return sign + text, kind
        if sign not in _UNARY:
            raise self.error(f"uses {sign} on i64")
        return f"wt_{_UNARY[sign]}_i64({text})", "i64"

    def suffixed(self, value: Value) -> Value:
        """A value with members or elements taken of it."""
        text, kind = value
        while self.peek() in (".", "["):
            element = re.fullmatch(r"vec\d<(\w+)>", kind or "")
            if self.take()[1] == ".":
                text += "." + self.take()[1]
            else:
                text += f"[{self.binary(0)[0]}]"
                self.take("]")
            kind = element.group(1) if element else None
        return text, kind

    def primary(self) -> Value:
        kind, text = self.take()
        if kind == "number":
            return self.number(text)
        if text == "(":
            inner, of = self.binary(0)
            self.take(")")
            return f"({inner})", of
        if kind != "name":
            raise self.error(f"cannot be read from {text!r} on")
        if text in _TEMPLATES and self.peek() == "<":
            while self.peek() != ">":
                text += self.take()[1]
            text += self.take()[1]
        if self.peek() == "(":
            return self.call(text)
        return text, self.types.get(text, "bool" if text in ("true", "false") or text.endswith("_in") else None)

    def number(self, text: str) -> Value:
        if text.endswith("li"):
            return constant(int(text[:-2])), "i64"
        if text[:2] != "0x" and (any(each in text for each in ".eE") or text[-1] in "fh"):
            return text, "f32" if text[-1] == "f" else "float"
        return text, {"i": "i32", "u": "u32"}.get(text[-1], "int")

    def call(self, name: str) -> Value:
        self.take("(")
        values: list[Value] = []
        while self.peek() != ")":
            if values:
                self.take(",")
            values.append(self.binary(0))
        self.take(")")
        kinds = [kind for _, kind in values]
        if name in ("i64", "i32", "u32", "f32", "bool") and len(values) == 1:
            return self.converted(name, values[0])
        if name == "i64" and not values:
            return constant(0), "i64"
        if name.startswith("bitcast<"):
            return f"{name}({values[0][0]})", name[len("bitcast<") : -1]
        kind = _returned(name) if name.startswith("wt_") else name if name.startswith("vec") else None
        if name.endswith("_i64") and name.startswith("wt_"):
            values = [self.adapted(value, "i64") for value in values]
        elif "i64" in kinds and name in _BUILTIN:
            values = [self.adapted(value, "i64") for value in values]
            name, kind = f"wt_{_BUILTIN[name]}_i64", "i64"
        elif name == "select":
            kind = kinds[0] if kinds[0] != "int" else kinds[1]
        return f"{name}({', '.join(text for text, _ in values)})", kind

    def converted(self, target: str, value: Value) -> Value:
        """`u32(x)`, `i64(x)` and the like."""
        text, kind = value
        if target == "i64":
            if kind in ("i64", "int"):
                return self.adapted(value, "i64")
            if kind not in ("i32", "u32", "f32", "bool"):
                raise self.error(f"converts {kind} to i64")
            return f"wt_cast_{kind}_i64({text})", "i64"
        if kind != "i64":
            return f"{target}({text})", target
        return (f"wt_ne_i64({text}, {constant(0)})" if target == "bool" else f"wt_cast_i64_{target}({text})"), target
