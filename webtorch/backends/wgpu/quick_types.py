"""Names of C types looked up instead of parsed.

wgpu-py names a type at every structure that it makes. cffi parses a name that it meets for the first time together with
all of the header's names, which takes some 20 ms for each of fifty: a second, before the first result. The simple names
among them, a declared type, a pointer to one, an array, or a callback that takes such, can be looked up in what cffi knows.
"""

from __future__ import annotations

import re
from typing import Any

SIMPLE = re.compile(r"\s*(\w+)( const)?\s*(\*?)\s*(\[\s*(\d*)\s*\])?\s*")
FUNCTION = re.compile(r"\s*void\s*\(([^()]+)\)\s*")
CONST = 1


def install(ffi: Any) -> bool:
    """Have `ffi` look simple names up; all others are parsed as before. False, and nothing changed, if this cffi keeps what
    it knows elsewhere."""
    try:
        from cffi import model

        parser = ffi._parser
        parse, declared, pointer_to = parser.parse_type_and_quals, parser._declarations, parser._get_type_pointer
        primitive, array_of, constructor = model.PrimitiveType.ALL_PRIMITIVE_TYPES, model.ArrayType, model.PrimitiveType
        function, nothing = model.RawFunctionType, model.void_type
    except (ImportError, AttributeError):
        return False

    def simple(name: str) -> tuple | None:
        match = SIMPLE.fullmatch(name)
        if match is None:
            return None
        base, const, star, array, length = match.groups()
        known = declared.get(f"typedef {base}")
        if known is not None:
            kind, quals = known
        elif base in primitive:
            kind, quals = constructor(base), 0
        elif base == "void" and star:
            kind, quals = nothing, 0
        else:
            return None
        if const:
            quals |= CONST
        if star:
            kind, quals = pointer_to(kind, quals), 0
        if array:
            kind, quals = array_of(kind, int(length) if length else None), 0
        return kind, quals

    def parse_type_and_quals(name: str) -> tuple:
        found = simple(name)
        if found is not None:
            return found
        match = FUNCTION.fullmatch(name)
        arguments = [simple(part) for part in match[1].split(",")] if match else [None]
        if None in arguments or match is None or "[" in match[1]:
            return parse(name)
        return function(tuple(kind for kind, _ in arguments if kind), nothing, False), 0

    parser.parse_type_and_quals = parse_type_and_quals
    return True
