"""Finds out which test files use which names of the index: nobody types that list.

A file uses a name that it takes from webtorch (`webtorch.tanh`, `m.tanh` where `m` is webtorch or its oracle), that it calls as
a method (`x.tanh()`), or that stands in a table of names that it runs through: a string of nothing but names, or a list of
strings that the module makes when it is imported, from the table of ops for instance.
"""

import ast
import functools
import importlib
import pathlib
import sys
from collections.abc import Iterable

import numpy as np

from webtorch.ops import TABLE

TESTS = pathlib.Path(__file__).resolve().parent
MODULES = {"m", "W", "F", "webtorch", "autograd", "nn"}  # what test programs call webtorch and its modules

EXISTENCE = {"test_house.py"}  # asks only whether names are there

# Methods that lists, strings, arrays and files have as well: without knowing the type, they are no evidence.
SHARED = {name for kind in (list, dict, set, str, bytes, int, float, pathlib.Path, np.ndarray) for name in dir(kind)}


def bound_elsewhere(tree: ast.Module) -> set[str]:
    """The names that imports bind to modules other than webtorch and the helpers of the tests."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in ("webtorch", "torch"):
                    names.add((alias.asname or alias.name).split(".")[0])
    return names


def root(node: ast.expr) -> str | None:
    """The variable at the left end of `a.b.c`; None where it is something else."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def names_in(text: str, known: frozenset[str]) -> set[str]:
    """The names among `known` that a program text uses."""
    tree = ast.parse(text)
    elsewhere = bound_elsewhere(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in known:
            start = root(node.value)
            if start in MODULES or (start not in elsewhere and node.attr not in SHARED):
                found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            if words and all(word in known for word in words):
                found.update(words)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("webtorch"):
            found.update(alias.name for alias in node.names if alias.name in known)
    return found


def helpers_of(text: str) -> list[pathlib.Path]:
    """The modules of names that a test file imports from beside it: its tables are in them."""
    modules: list[str | None] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module)
    paths = [TESTS / f"{module}.py" for module in modules if module and module.endswith(("_cases", "_calls"))]
    return [path for path in paths if path.exists()]


@functools.cache
def written(known: frozenset[str]) -> dict[str, frozenset[str]]:
    """The names that each test file uses as far as its text tells."""
    found = {}
    for path in sorted(TESTS.glob("test_*.py")):
        text = path.read_text("utf-8")
        if path.name in EXISTENCE:
            continue
        names = names_in(text, known)
        for helper in helpers_of(text):
            names |= names_in(helper.read_text("utf-8"), known)
        found[path.name] = frozenset(names)
    return found


def tables_of(path: pathlib.Path, known: frozenset[str]) -> set[str]:
    """The names in the lists and dicts that a test module makes of its own accord when it is imported."""
    module = importlib.import_module(path.stem)
    found: set[str] = set()
    for value in list(vars(module).values()):
        if value is not TABLE and isinstance(value, dict | list | tuple | set | frozenset) and value:
            words = [word for word in value if isinstance(word, str)]
            if len(words) == len(value):
                found.update(word for word in words if word in known)
    return found


def uses(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The test files of each name, sorted. Imports every test module."""
    known = frozenset(names)
    sys.path.insert(0, str(TESTS))
    found: dict[str, set[str]] = {name: set() for name in known}
    for file, used in written(known).items():
        for name in used | tables_of(TESTS / file, known):
            found[name].add(file)
    return {name: tuple(sorted(files)) for name, files in found.items()}
