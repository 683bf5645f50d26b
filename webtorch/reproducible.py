"""The same bits on unrelated drivers: the arithmetic of a shader made so explicit that no driver has a choice left.

WGSL lets a driver contract a * b + c into one rounding, flush denormal numbers to zero or not, round a division up to 2.5
units in the last place away, and give any NaN. Two drivers therefore agree on most results, never on all. `rewrite` takes
the finished WGSL of a kernel and passes every result of float32 arithmetic through `wt_keep`, which looks at its bits:
the product has to exist, rounded, before it can be added to something. `wt_keep` also makes every denormal result zero
and every NaN the same NaN; divisions become the library's own, which is rounded right. All else is integer arithmetic, or
exact. What is left to choose is the order of additions, and that kernels fix by themselves (see `canonical`).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Any

from . import prelude
from .errors import ShaderCompileError

__all__ = ["canonical", "rewrite", "settings"]

settings: dict[str, bool] = {"on": False}

# Results up to the smallest normal number itself become zero: whether a sum that was rounded up to it counts as denormal
# depends on the driver.
# A compiler may take x - x for zero without asking whether x is infinite or NaN.
KEEP = """
fn wt_keep_f32(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & 0x7fffffffu;
    let flushed = select(bits, bits & 0x80000000u, magnitude <= 0x00800000u);
    return bitcast<f32>(select(flushed, 0x7fc00000u, magnitude > 0x7f800000u));
}
fn wt_minus_f32(x: f32, y: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let lost = (bits == bitcast<u32>(y)) & ((bits & 0x7fffffffu) >= 0x7f800000u);
    return wt_keep_f32(bitcast<f32>(select(bitcast<u32>(x - y), 0x7fc00000u, lost)));
}
"""
KEEP_VECTOR = """
fn wt_keep_vecN_f32(x: vecN<f32>) -> vecN<f32> {
    let bits = bitcast<vecN<u32>>(x);
    let magnitude = bits & vecN<u32>(0x7fffffffu);
    let flushed = select(bits, bits & vecN<u32>(0x80000000u), magnitude <= vecN<u32>(0x00800000u));
    return bitcast<vecN<f32>>(select(flushed, vecN<u32>(0x7fc00000u), magnitude > vecN<u32>(0x7f800000u)));
}
fn wt_minus_vecN_f32(x: vecN<f32>, y: vecN<f32>) -> vecN<f32> {
    let bits = bitcast<vecN<u32>>(x);
    let lost = (bits == bitcast<vecN<u32>>(y)) & ((bits & vecN<u32>(0x7fffffffu)) >= vecN<u32>(0x7f800000u));
    return wt_keep_vecN_f32(bitcast<vecN<f32>>(select(bitcast<vecN<u32>>(x - y), vecN<u32>(0x7fc00000u), lost)));
}
"""

# Functions that are right whatever the driver makes of the estimates inside them, and some that only move bits.
EXACT = frozenset({"wt_divide_f32", "wt_sqrt_f32"})
BITS = frozenset({"wt_abs_f32", "wt_neg_f32", "wt_copysign_f32", "wt_infinity_f32", "wt_nan_f32"})

EXACT_ON_FLOATS = frozenset({"select", "abs"})
REPLACED = {"min": "wt_minimum_f32", "max": "wt_maximum_f32", "clamp": "wt_clamp_f32"}  # the builtins may lose NaN
TYPE_OF_BUILTIN = {
    "arrayLength": "u32", "all": "bool", "any": "bool", "dot4U8Packed": "u32", "dot4I8Packed": "i32",
    "pack4xU8": "u32", "pack4xI8": "u32", "unpack4xU8": "vec4<u32>", "unpack4xI8": "vec4<i32>",
    "workgroupBarrier": "", "storageBarrier": "",
}  # fmt: skip
OF_FIRST_ARGUMENT = frozenset(
    "select abs min max clamp countLeadingZeros countTrailingZeros countOneBits reverseBits firstLeadingBit "
    "firstTrailingBit extractBits insertBits sign dot workgroupUniformLoad".split()
)

_TOKEN = re.compile(
    r"\s+|//[^\n]*|/\*.*?\*/"
    r"|(?P<number>0[xX][0-9a-fA-F.]+[pP][+-]?\d+[fh]?|0[xX][0-9a-fA-F]+(?:li|lu|[iu])?|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?:li|lu|lf|[iufh])?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>->|&&|\|\||<<=|>>=|<<|>>|==|!=|<=|>=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|\+\+|--|[-+*/%&|^~!<>=(){}\[\];:,.@])",
    re.DOTALL,
)
_LEVELS = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_TEMPLATES = frozenset({"vec2", "vec3", "vec4", "array", "bitcast", "atomic", "ptr", "mat2x2", "mat3x3", "mat4x4"})
_SCALARS = frozenset({"f32", "f16", "f64", "u32", "i32", "u64", "i64", "bool"})


def canonical(limits: Any) -> Any:
    """The limits that kernels are to be made for, so that their shape and with it the order of additions is the same
    everywhere: those of no adapter in particular. Sizes of bindings and counts of buffers stay, they change no result."""
    exact = frozenset(name for name in limits.features if "int64" in name or name == "immediates")
    return dataclasses.replace(
        limits, is_cpu=True, max_workgroup_invocations=min(256, limits.max_workgroup_invocations), features=exact,
        reproducible=True, wide_words=False,
    )  # fmt: skip


def rewrite(source: str) -> str:
    """The WGSL `source` with explicit float32 arithmetic. Raises ShaderCompileError for what has no such form.

    >>> print(rewrite("fn f(x: f32) -> f32 { return x * x + 1.0f; }").split("fn wt_")[0])
    fn f ( x : f32 ) -> f32 { return wt_keep_f32 ( wt_keep_f32 ( x * x ) + 1.0f ) ; }
    <BLANKLINE>
    """
    first = Rewriter(source)
    text = first.module()
    missing = first.wanted - first.functions.keys()
    if missing:  # the library's division, rewritten like the rest
        text += "\n" + rewritten_functions(frozenset(missing), frozenset(first.functions), frozenset(first.globals))
    text += KEEP
    for name in ("vec2", "vec3", "vec4"):
        if f"_{name}_f32 (" in text:
            text += KEEP_VECTOR.replace("vecN", name)
        if f"wt_dot_{name}_f32 (" in text:
            total = "wt_keep_f32(x.x * y.x)"
            for part in "yzw"[: int(name[3]) - 1]:
                total = f"wt_keep_f32({total} + wt_keep_f32(x.{part} * y.{part}))"
            text += f"fn wt_dot_{name}_f32(x: {name}<f32>, y: {name}<f32>) -> f32 {{ return {total}; }}\n"
        if f"wt_divide_{name}_f32 (" in text:
            parts = ", ".join(f"wt_divide_f32(x.{part}, y.{part})" for part in "xyzw"[: int(name[3])])
            vector = f"{name}<f32>"
            text += f"fn wt_divide_{name}_f32(x: {vector}, y: {vector}) -> {vector} {{ return {vector}({parts}); }}\n"
    return text


@functools.cache
def rewritten_functions(names: frozenset[str], present: frozenset[str], known: frozenset[str]) -> str:
    """Functions of the library with all they need, but for what a module already has."""
    source = prelude.closure(names)
    text = Rewriter(source).module(but=present)
    lacking = [name for name in prelude.globals_() if name in source and name not in known]
    return "\n".join([*(prelude.globals_()[name] for name in lacking), text])


class Rewriter:
    """One pass over a module: parses it, knows the type of every expression, and writes it out again."""

    def __init__(self, source: str) -> None:
        self.tokens: list[str] = []
        position = 0
        while position < len(source):
            match = _TOKEN.match(source, position)
            if match is None:
                raise self.error(f"cannot read {source[position : position + 40]!r}")
            position = match.end()
            if match.lastgroup is not None:
                self.tokens.append(match.group())
        self.at = 0
        self.globals: dict[str, str] = {}
        self.storage: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.structs: dict[str, dict[str, str]] = {}
        self.functions: dict[str, str] = {}
        self.scopes: list[dict[str, str]] = []
        self.inside = ""
        self.wanted: set[str] = set()
        self.declare()

    def error(self, what: str) -> ShaderCompileError:
        return ShaderCompileError(
            f"{what}, in {self.inside or 'a shader'}: this has no form that gives the same bits on every driver; "
            "turn webtorch.webgpu.set_reproducible off for it"
        )

    # ---- reading tokens ---------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.token
        self.at += 1
        return token

    def expect(self, wanted: str) -> str:
        if self.token != wanted:
            raise self.error(f"expected {wanted!r} before {' '.join(self.tokens[self.at : self.at + 8])!r}")
        return self.next()

    def until(self, *ends: str) -> list[str]:
        """The tokens up to one of `ends` outside all brackets."""
        depth, start = 0, self.at
        while depth or self.token not in ends:
            if not self.token:
                raise self.error("a declaration has no end")
            depth += (self.token in OPENING) - (self.token in CLOSING)
            self.at += 1
        return self.tokens[start : self.at]

    def type(self) -> str:
        """A type, aliases resolved, without blanks: array<vec4<f32>,N>."""
        name = self.next()
        if self.token == "<":
            parts, depth = [name], 0
            while True:
                token = self.next()
                depth += (token == "<") - (token == ">") - 2 * (token == ">>")
                parts.append(self.aliases.get(token, token))
                if depth == 0:
                    break
            name = "".join(parts)
        return self.aliases.get(name, name)

    # ---- declarations -----------------------------------------------------------------------------------------------

    def declare(self) -> None:
        """What the module declares, wherever it stands: functions may be called before they are written."""
        self.at = 0
        while self.token == "alias" or self.at < len(self.tokens):
            if self.next() == "alias":
                name = self.next()
                self.expect("=")
                self.aliases[name] = self.type()
        self.at, depth = 0, 0
        while self.at < len(self.tokens):
            token = self.next()
            depth += (token == "{") - (token == "}")
            if depth or token not in ("fn", "var", "const", "override", "struct"):
                continue
            if token == "fn":
                name = self.next()
                self.until("{", "->")
                self.functions[name] = ""
                if self.token == "->":
                    self.next()
                    self.attributes()
                    self.functions[name] = self.type()
            elif token == "struct":
                name = self.next()
                self.expect("{")
                fields = self.structs[name] = {}
                while self.token != "}":
                    field = self.next()
                    self.expect(":")
                    fields[field] = self.type()
                    if self.token == ",":
                        self.next()
                self.next()
            else:
                where = []
                if self.token == "<":
                    where = self.until(">")
                    self.next()
                name = self.next()
                if self.token == ":":
                    self.next()
                    self.globals[name] = self.type()
                else:
                    self.expect("=")
                    self.globals[name] = self.expression()[1]
                if "storage" in where:
                    self.storage.add(name)
        self.at = 0

    def module(self, but: frozenset[str] | None = None) -> str:
        """The module written out; given `but`, only its functions, without those."""
        self.at, parts = 0, []
        while self.at < len(self.tokens):
            start = self.at
            self.attributes()
            if self.token == "fn":
                name = self.tokens[self.at + 1]
                text = " ".join(self.tokens[start : self.at]) + self.function()
                if but is None or name not in but:
                    parts.append(text)
            elif self.token == "struct":
                self.until("{")
                self.brackets()
                parts.append(" ".join(self.tokens[start : self.at]))
            else:
                self.until(";")
                self.next()
                if but is None:
                    parts.append(" ".join(self.tokens[start : self.at]))
        return "\n".join(parts)

    def attributes(self) -> None:
        while self.token == "@":
            self.next()
            self.next()
            if self.token == "(":
                self.brackets()

    def brackets(self) -> None:
        """Go past a pair of brackets and all between."""
        depth = 0
        while True:
            token = self.next()
            depth += (token in OPENING) - (token in CLOSING)
            if depth == 0:
                return

    def function(self) -> str:
        self.expect("fn")
        self.inside = self.next()
        start = self.at
        scope: dict[str, str] = {}
        self.expect("(")
        while self.token != ")":
            self.attributes()
            name = self.next()
            self.expect(":")
            scope[name] = self.type()
            if self.token == ",":
                self.next()
        self.next()
        self.until("{")
        head = " ".join(self.tokens[start : self.at])
        self.scopes = [scope]
        text = f"fn {self.inside} {head} {self.block()}\n"
        self.inside = ""
        return text

    # ---- statements -------------------------------------------------------------------------------------------------

    def block(self) -> str:
        self.expect("{")
        self.scopes.append({})
        parts = ["{"]
        while self.token != "}":
            parts.append(self.statement())
        self.scopes.pop()
        return " ".join([*parts, self.next()])

    def statement(self) -> str:
        token = self.token
        if token == "{":
            return self.block()
        if token == "if":
            text = f"{self.next()} {self.expression()[0]} {self.block()}"
            if self.token == "else":
                self.next()
                text += " else " + (self.statement() if self.token == "if" else self.block())
            return text
        if token == "while":
            return f"{self.next()} {self.expression()[0]} {self.block()}"
        if token in ("loop", "continuing"):
            return f"{self.next()} {self.block()}"
        if token == "for":
            self.next()
            self.expect("(")
            self.scopes.append({})
            start = ";" if self.token == ";" else self.simple()
            self.next() if start == ";" else self.expect(";")
            condition = "" if self.token == ";" else self.expression()[0]
            self.expect(";")
            step = "" if self.token == ")" else self.simple()
            self.expect(")")
            text = f"for ( {start.rstrip(';')} ; {condition} ; {step} ) {self.block()}"
            self.scopes.pop()
            return text
        if token == "switch":
            text = f"{self.next()} {self.expression()[0]} {self.expect('{')}"
            while self.token != "}":
                if self.token == "case":
                    text += " " + " ".join(self.until("{", ":"))
                else:
                    text += " " + self.expect("default")
                if self.token == ":":
                    text += " " + self.next()
                text += " " + self.block()
            return text + " " + self.next()
        if token in ("break", "continue", "discard"):
            text = self.next()
            if self.token == "if":
                text += f" {self.next()} {self.expression()[0]}"
            return f"{text} {self.expect(';')}"
        if token == "return":
            self.next()
            text = "return" if self.token == ";" else f"return {self.expression()[0]}"
            return f"{text} {self.expect(';')}"
        if token == ";":
            return self.next()
        text = self.simple()
        return f"{text} {self.expect(';')}"

    def simple(self) -> str:
        """A declaration, an assignment or a call, without its semicolon."""
        token = self.token
        if token in ("let", "var", "const"):
            text, kind = self.next(), ""
            if self.token == "<":
                text += "".join(self.until(">")) + self.next()
            name = self.next()
            text += f" {name}"
            if self.token == ":":
                start = self.at + 1
                self.next()
                kind = self.type()
                text += " : " + " ".join(self.tokens[start : self.at])
            if self.token == "=":
                self.next()
                value, found = self.expression()
                text += f" = {value}"
                kind = kind or found
            self.scopes[-1][name] = {"int": "i32", "float": "f32"}.get(kind, kind)
            return text
        target, kind = self.unary(target=True)
        operator = self.token
        if operator in ("++", "--"):
            return f"{target} {self.next()}"
        if operator == "=":
            self.next()
            return f"{target} = {self.expression()[0]}"
        if operator.endswith("=") and operator not in ("==", "<=", ">=", "!="):
            self.next()
            value, of = self.expression()
            if element(kind) == "f32":
                return f"{target} = {self.combine(operator[:-1], (target, kind), (value, of))[0]}"
            return f"{target} {operator} {value}"
        return target

    # ---- expressions: (text, type) ----------------------------------------------------------------------------------

    def expression(self, level: int = 1) -> tuple[str, str]:
        left = self.unary()
        while _LEVELS.get(self.token, 0) >= level:
            operator = self.next()
            right = self.expression(_LEVELS[operator] + 1)
            left = self.combine(operator, left, right)
        return left

    def combine(self, operator: str, left: tuple[str, str], right: tuple[str, str]) -> tuple[str, str]:
        (a, kind_a), (b, kind_b) = left, right
        text = f"{a} {operator} {b}"
        if operator in _COMPARISONS:
            width = size(kind_a) or size(kind_b)
            return text, f"vec{width}<bool>" if width else "bool"
        if operator in ("<<", ">>"):
            return text, kind_a
        kind = joined(kind_a, kind_b)
        if kind is None:
            raise self.error(f"the types of {text!r} are not known ({kind_a or '?'}, {kind_b or '?'})")
        if element(kind) == "f16":
            raise self.error(f"{text!r} computes in f16")
        if element(kind) != "f32" or self.inside in EXACT:
            return text, kind
        if operator == "%":
            raise self.error(f"{text!r} is a remainder of floats")
        if operator == "/":
            self.wanted.add("wt_divide_f32")
            if size(kind):
                a, b = self.widened(left, kind), self.widened(right, kind)
            return f"wt_divide_{f'vec{size(kind)}_' if size(kind) else ''}f32 ( {a} , {b} )", kind
        if operator == "-":
            a, b = self.widened(left, kind), self.widened(right, kind)
            return f"wt_minus_{f'vec{size(kind)}_' if size(kind) else ''}f32 ( {a} , {b} )", kind
        return self.kept(text, kind), kind

    def widened(self, part: tuple[str, str], kind: str) -> str:
        """An operand of a vector operation, which may be a number, as a vector."""
        text, of = part
        return text if size(of) == size(kind) else f"vec{size(kind)}<f32>({text})"

    def kept(self, text: str, kind: str) -> str:
        if self.inside in BITS:
            return text
        width = size(kind)
        return f"wt_keep_vec{width}_f32 ( {text} )" if width else f"wt_keep_f32 ( {text} )"

    def unary(self, target: bool = False) -> tuple[str, str]:
        token = self.token
        if token in ("-", "!", "~"):
            self.next()
            literal_follows = self.token[0].isdigit()
            text, kind = self.unary()
            text = f"{token} {text}"
            if token == "-" and element(kind) == "f32" and not literal_follows:
                text = self.kept(text, kind)  # drivers differ on the sign of NaN
            return text, kind
        if token == "&":
            self.next()
            text, kind = self.unary(target=True)
            return f"& {text}", f"ptr<{kind}>"
        if token == "*":
            self.next()
            text, kind = self.unary(target=True)
            return f"* {text}", pointed(kind)
        return self.postfix(target)

    def postfix(self, target: bool) -> tuple[str, str]:
        start = self.token
        text, kind = self.primary()
        stored = start in self.storage and not any(start in scope for scope in self.scopes)
        indexed = False
        while self.token in (".", "["):
            if self.next() == ".":
                field = self.next()
                text, kind = f"{text} . {field}", self.member(kind, field)
            else:
                index = self.expression()[0]
                self.expect("]")
                text, kind, indexed = f"{text} [ {index} ]", element_of(kind), True
        if stored and indexed and not target and element(kind) == "f32":
            text = self.kept(text, kind)  # what was uploaded may be denormal
        return text, kind

    def member(self, kind: str, field: str) -> str:
        kind = pointed(kind) if kind.startswith("ptr<") else kind
        if kind in self.structs:
            return self.structs[kind][field]
        if kind.startswith("exchanged<"):
            return "bool" if field == "exchanged" else kind[10:-1]
        if kind.startswith("vec"):
            return element(kind) if len(field) == 1 else f"vec{len(field)}<{element(kind)}>"
        raise self.error(f"the type of .{field} of {kind or '?'} is not known")

    def arguments(self) -> list[tuple[str, str]]:
        self.expect("(")
        found = []
        while self.token != ")":
            found.append(self.expression())
            if self.token == ",":
                self.next()
        self.next()
        return found

    def primary(self) -> tuple[str, str]:
        token = self.token
        if token == "(":
            self.next()
            text, kind = self.expression()
            self.expect(")")
            return f"( {text} )", kind
        if token[0].isdigit() or token[0] == ".":
            return self.next(), literal(token)
        if token in ("true", "false"):
            return self.next(), "bool"
        if token in _TEMPLATES and self.tokens[self.at + 1] == "<":
            start = self.at
            kind = self.type()
            name = " ".join(self.tokens[start : self.at])
            inner = ", ".join(text for text, _ in self.arguments())
            if kind.startswith("bitcast<"):
                kind = kind[8:-1]
                text = f"{name} ( {inner} )"
                return (self.kept(text, kind) if element(kind) == "f32" else text), kind
            return f"{name} ( {inner} )", kind
        name = self.next()
        for scope in reversed(self.scopes):
            if name in scope:
                return name, scope[name]
        if self.token != "(":
            if name not in self.globals:
                raise self.error(f"the type of {name!r} is not known")
            return name, self.globals[name]
        given = self.arguments()
        text = f"{name} ( {', '.join(part for part, _ in given)} )"
        if name in self.functions:
            return text, self.functions[name]
        resolved = self.aliases.get(name, name)
        if resolved in _SCALARS or resolved in self.structs or resolved.startswith(("vec", "array<")):
            if resolved in ("vec2", "vec3", "vec4"):
                resolved = f"{resolved}<{element(given[0][1])}>"
            return text, resolved
        kind = self.builtin(name, given)
        if name == "dot" and kind == "f32":
            text = f"wt_dot_vec{size(given[0][1])}_f32{text[len(name) :]}"
        if name in REPLACED and kind == "f32":
            self.wanted.add(REPLACED[name])
            text = REPLACED[name] + text[len(name) :]
        return text, kind

    def builtin(self, name: str, given: list[tuple[str, str]]) -> str:
        if name in TYPE_OF_BUILTIN:
            return TYPE_OF_BUILTIN[name]
        if name == "atomicCompareExchangeWeak":
            return f"exchanged<{element(pointed(given[0][1]))}>"
        if name.startswith("atomic"):
            return "" if name == "atomicStore" else element(pointed(given[0][1]))
        if name == "sqrt" and self.inside in EXACT:
            return given[0][1]
        if name not in OF_FIRST_ARGUMENT:
            raise self.error(f"the builtin {name} may differ from driver to driver")
        kind = pointed(given[0][1])
        if name == "select":
            kind = joined(given[0][1], given[1][1]) or ""
        if name in REPLACED and kind in ("f32", "float"):
            return "f32"
        if name == "dot":
            return element(kind)
        if name not in EXACT_ON_FLOATS and element(kind) in ("f32", "f16", "float"):
            raise self.error(f"the builtin {name} on floats may differ from driver to driver")
        return kind


def literal(token: str) -> str:
    """The type of a number: "int" and "float" are still open.

    >>> literal("1u"), literal("0x1fu"), literal("2.5"), literal("1f"), literal("7")
    ('u32', 'u32', 'float', 'f32', 'int')
    """
    for ending, kind in (("lu", "u64"), ("li", "i64"), ("lf", "f64"), ("u", "u32"), ("i", "i32"), ("h", "f16")):
        if token.endswith(ending):
            return kind
    if token[:2] in ("0x", "0X") and "p" not in token.lower():
        return "int"
    if token.endswith("f"):
        return "f32"
    return "float" if set(token) & set(".eEpP") else "int"


def size(kind: str) -> int:
    """How many components a vector type has; 0 for other types."""
    return int(kind[3]) if kind.startswith("vec") else 0


def element(kind: str) -> str:
    """The type of the components: vec4<f32> and f32 have f32."""
    return kind[kind.index("<") + 1 : -1] if kind.startswith(("vec", "atomic<")) and "<" in kind else kind


def pointed(kind: str) -> str:
    """What a pointer points to; any other type is itself."""
    if not kind.startswith("ptr<"):
        return kind
    parts = kind[4:-1].split(",", 1)
    if parts[0] in ("function", "private", "workgroup", "storage"):
        return parts[1].removesuffix(",read_write").removesuffix(",read")
    return kind[4:-1]


def element_of(kind: str) -> str:
    """The type of one element of an array or vector."""
    kind = pointed(kind)
    if kind.startswith("array<"):
        inner, depth = kind[6:-1], 0
        for position, character in enumerate(inner):
            depth += (character == "<") - (character == ">")
            if character == "," and depth == 0:
                return inner[:position]
        return inner
    if kind.startswith("mat"):
        return f"vec{kind[5]}<{kind[kind.index('<') + 1 : -1]}>"
    return element(kind)


def joined(a: str, b: str) -> str | None:
    """The type of a sum of two types; None where one is not known."""
    if not a or not b:
        return None
    if a == b:
        return a
    of_a, of_b = element(a), element(b)
    inner = of_b if of_a == "int" or (of_a == "float" and of_b != "int") else of_a
    width = size(a) or size(b)
    return f"vec{width}<{inner}>" if width else inner
