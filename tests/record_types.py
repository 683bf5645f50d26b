"""Writes webtorch/types/options.py: for each option type of the torch.js index, the keyword arguments of its function.

    python tests/record_types.py

A test makes the text again and compares.
"""

import inspect
import pathlib
import re

import webtorch
from webtorch.ops.elementwise import Elementwise
from webtorch.types.options_of import OPTIONS_OF, PYTORCH

FILE = pathlib.Path(webtorch.__file__).parent / "types" / "options.py"
HEAD = '''"""The option types of the torch.js index: what a function takes by keyword, for annotations. In Python options are
keyword arguments; a dict of one of these types can be given as `**options`.

Made by `python tests/record_types.py` from the functions' signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from ..dtypes import dtype as DType
from ..random import Generator
from ..tensor import Tensor

__all__ = [
{names}
]
'''
KNOWN = {
    "Any", "Tensor", "int", "float", "bool", "str", "None", "Sequence", "tuple", "list", "Callable", "Generator", "DType",
    "complex", "dict", "object",
}  # fmt: skip


def function_of(path: str):
    found = webtorch
    for part in path.split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found


def keywords(function) -> dict[str, str]:
    """The parameters with a default, or by keyword only, and their annotations; Any where one is not for users' eyes."""
    if isinstance(function, Elementwise):
        return {name: "float" for name in function.scalars} | {"out": "Tensor | None"}
    if not inspect.isfunction(function) and not inspect.isclass(function) and not inspect.ismethod(function):
        function = type(function).__call__
    found = {}
    for name, parameter in inspect.signature(inspect.unwrap(function)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name.startswith("_"):
            continue
        if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            annotation = parameter.annotation if isinstance(parameter.annotation, str) else "Any"
            words = set(re.findall(r"[A-Za-z_]+", annotation))
            found[name] = annotation if words <= KNOWN else "Any"
    return found


def text() -> str:
    names = "\n".join(f'    "{name}",' for name in sorted(OPTIONS_OF))
    parts = [HEAD.replace("{names}", names)]
    for name, path in sorted(OPTIONS_OF.items()):
        function = function_of(path)
        fields = keywords(function) if function is not None and name not in PYTORCH else PYTORCH[name]
        lines = [f"class {name}(TypedDict, total=False):", f'    """Keyword arguments of `webtorch.{path}`."""']
        if fields:
            lines += ["", *(f"    {field}: {annotation}" for field, annotation in fields.items())]
        parts.append("\n".join(lines) + "\n")
    return "\n\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(f"{FILE}: {len(OPTIONS_OF)} types")
