"""The functions of the shader library: which there are, and the text of those that a kernel needs.

The files named in PRELUDE_FILES hold functions called `wt_<name>_<type>` and the module variables and constants they
use. A kernel gets only what it calls, directly or not: `closure` is the tree shaker. For adapters without 64-bit
integers, those of PAIRS_FILE take the place of the functions with the same names, and are found with `pairs=True`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from . import shaders_path
from .errors import RegistryError

__all__ = ["PAIRS_FILE", "PRELUDE_FILES", "closure", "functions", "globals_", "has", "written_out"]

PRELUDE_FILES = (
    "prelude.wgsl",
    "special.wgsl",
    "special_orders.wgsl",
    "float64.wgsl",
    "integer.wgsl",
    "random.wgsl",
    "complex.wgsl",
    "fft_radix.wgsl",
    "lanes.wgsl",
)
PAIRS_FILE = "int64_pairs.wgsl"

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DECLARATION = re.compile(r"(fn|var|const|override|struct|alias)\b[^;{=(]*?\b(\w+)\s*[:=({]")
_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*")
_BOUND = re.compile(r"[{};]")


def _without_comments(text: str) -> str:
    """`text` with its comments blanked out, character for character, so that positions stay right."""
    return _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def _end(text: str, start: int) -> int:
    """The position behind the declaration that begins at `start`: its closing brace or its semicolon."""
    depth = 0
    for match in _BOUND.finditer(text, start):
        character = match.group()
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        if depth == 0 and character != "{":
            return match.end()
    raise RegistryError(f"a declaration in the shader library is not closed: {text[start : start + 60]!r}")


@functools.cache
def _declarations(pairs: bool = False) -> dict[str, tuple[str, str]]:
    """Kind ("fn", "var", ...) and source of each declaration of the library, in the order of the files."""
    if pairs:
        return {**_declarations(), **_read((PAIRS_FILE,))}
    return _read(PRELUDE_FILES)


def _read(files: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        if not shaders_path.exists(file):
            continue
        text = shaders_path.read(file)
        code = _without_comments(text)
        position = 0
        while True:
            rest = code[position:]
            position += len(rest) - len(rest.lstrip())
            if position == len(code):
                break
            match = _DECLARATION.match(code, position)
            if match is None:
                line = code.count("\n", 0, position) + 1
                raise RegistryError(f"shaders/{file}, line {line}: expected fn, var, const, override, struct or alias")
            end = _end(code, position)
            if match.group(2) in found:
                raise RegistryError(f"shaders/{file}: {match.group(2)} is defined twice in the shader library")
            found[match.group(2)] = (match.group(1), text[position:end])
            position = end
    return found


@functools.cache
def _needs(name: str, pairs: bool = False) -> frozenset[str]:
    """The other declarations that the text of one names."""
    declarations = _declarations(pairs)
    return frozenset(_IDENTIFIER.findall(_without_comments(declarations[name][1]))) & declarations.keys() - {name}


@functools.cache
def functions(pairs: bool = False) -> dict[str, str]:
    """The source of every function of the library by name.

    >>> functions()["wt_neg_u32"]
    'fn wt_neg_u32(x: u32) -> u32 { return 0u - x; }'
    """
    return {name: source for name, (kind, source) in _declarations(pairs).items() if kind == "fn"}


@functools.cache
def globals_(pairs: bool = False) -> dict[str, str]:
    """The source of every module variable, constant, structure and alias of the library by name.

    >>> globals_()["WT_INFINITY"]
    'var<private> WT_INFINITY: u32 = 0x7f800000u;'
    """
    return {name: source for name, (kind, source) in _declarations(pairs).items() if kind != "fn"}


def has(name: str) -> bool:
    """Whether the library has a function called `name`.

    >>> has("wt_exp_f32"), has("wt_exp_i32")
    (True, False)
    """
    return name in functions()


_LOOP = re.compile(r"\b(?:while|for|loop)\b")
_NAMES = re.compile(r"\bwt_[a-z0-9_]+")


@functools.cache
def _looping() -> frozenset[str]:
    """The functions that go round a loop, or call one that does."""
    declarations = _declarations(True)
    found = {
        name
        for name, (kind, source) in declarations.items()
        if kind == "fn" and _LOOP.search(_without_comments(source))
    }
    while True:
        more = {name for name in declarations if _needs(name, True) & found} - found
        if not more:
            return frozenset(found)
        found |= more


@functools.cache
def loops(expression: str, kind: str) -> bool:
    """Whether one of the functions in a row's expression goes round a loop when it computes in the type `kind`.

    >>> loops("wt_fmod({x}, {y}) + 1", "f32"), loops("wt_exp({x})", "f32"), loops("wt_pow({x}, {y})", "i32")
    (True, False, True)
    """
    names = {match.group() for match in _NAMES.finditer(expression)}
    return bool((names | {f"{name}_{kind}" for name in names}) & _looping())


_CALLED = re.compile(r"\bwt_[a-z0-9_]+(?=\()")


def written_out(code: str, pairs: bool = False) -> int:
    """How many characters `code` has when every call of a library function in it is replaced by what that function does,
    which is what a driver's compiler makes of it.

    >>> written_out("x + 1.0"), written_out("wt_tan_f32(x)") > 2 * written_out("wt_abs_f32(x)")
    (7, True)
    """
    return len(code) + sum(_written_out(name, pairs) for name in _CALLED.findall(code))


@functools.cache
def _written_out(name: str, pairs: bool) -> int:
    source = functions(pairs).get(name)
    if source is None:
        return 0
    body = _without_comments(source)
    return written_out(body[body.index("{") :], pairs)


def closure(names: Iterable[str], constants: Iterable[str] = (), pairs: bool = False) -> str:
    """The source of the functions `names`, of all they call, and of the module variables and constants these use.

    `constants` names further variables and constants to include. Each declaration appears once, in the order of the
    library's files, so equal requests give equal text. Raises RegistryError for a name that the library lacks.

    >>> print(closure(["wt_rotate_left_u32"]))
    fn wt_rotate_left_u32(x: u32, count: u32) -> u32 { return (x << count) | (x >> (32u - count)); }
    >>> closure([])
    ''
    """
    return _closure(frozenset(names), frozenset(constants), pairs)


@functools.lru_cache(maxsize=4096)
def _closure(names: frozenset[str], constants: frozenset[str], pairs: bool) -> str:
    declarations = _declarations(pairs)
    for wanted, known, what in ((names, functions(pairs), "function"), (constants, globals_(pairs), "constant")):
        unknown = sorted(wanted - known.keys())
        if unknown:
            raise RegistryError(f"closure({sorted(wanted)}): the shader library has no {what} {', '.join(unknown)}")
    included: set[str] = set()
    pending = [*names, *constants]
    while pending:
        name = pending.pop()
        if name not in included:
            included.add(name)
            pending.extend(_needs(name, pairs))
    return "\n".join(source for name, (_, source) in declarations.items() if name in included)
