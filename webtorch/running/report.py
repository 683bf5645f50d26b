"""``python -m webtorch run --report PROGRAM``: the names of torch that a program uses, and which of them are missing, read
from its source. The program and the files of its own folder that it imports are parsed; none is run.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import pathlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import webtorch

from . import tensor_names
from .importing import FAMILY, find, missing

# Attributes that tensors have too, but that mostly are those of something else.
COMMON = {"index", "indices", "map_", "name", "put", "resize", "set_", "solve", "storage", "values"}


class Uses(ast.NodeVisitor):
    """The names of torch in one file, by the line of their first use, and the modules that it imports."""

    def __init__(self, package: str = "") -> None:
        self.package = package
        self.known: dict[str, str] = {}  # a name in the file -> what it is in torch
        self.found: dict[str, int] = {}
        self.methods: dict[str, int] = {}  # attributes of anything, which may be a tensor
        self.imports: list[str] = []

    def use(self, name: str, line: int) -> None:
        self.found.setdefault(name, line)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if top == "torch":
                self.known[alias.asname or "torch"] = alias.name if alias.asname else "torch"
                if alias.name != "torch":
                    self.use(alias.name, node.lineno)
            elif top in FAMILY:
                self.use(alias.name, node.lineno)
            else:
                self.imports.append(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            parents = self.package.split(".") if self.package else []
            parents = parents[: len(parents) - node.level + 1]
            module = ".".join([*parents, *([module] if module else [])])
        top = module.partition(".")[0]
        for alias in node.names:
            if top in ("torch", *FAMILY) and not node.level:
                if alias.name == "*":
                    self.use(module, node.lineno)
                    continue
                self.use(f"{module}.{alias.name}", node.lineno)
                if top == "torch":
                    self.known[alias.asname or alias.name] = f"{module}.{alias.name}"
            else:
                self.imports += [module, f"{module}.{alias.name}"]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.name_of(node)
        if name is not None:
            self.use(name, node.lineno)
            return
        self.methods.setdefault(node.attr, node.lineno)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        # `tt = torch.cuda if use_gpu else torch`, or `F = nn.functional`: the plain form is followed.
        name = self.name_of(node.value)
        if name is not None:
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(resolve(name), ModuleType):
                    self.known[target.id] = name
        self.generic_visit(node)

    def name_of(self, node: ast.AST) -> str | None:
        """`torch.nn.Linear` for the expression `nn.Linear`, or None for what does not begin with a name of torch."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.known:
            return None
        name = self.known[node.id]
        for number, part in enumerate(reversed(parts)):
            # What comes after a class or a value is its own business, but for class methods.
            value = resolve(name)
            if not isinstance(value, (ModuleType, type)) and value is not None:
                return name
            if isinstance(value, type) and number and not hasattr(value, part):
                return name
            name = f"{name}.{part}"
        return name


def resolve(name: str) -> Any:
    """What a name of torch is in webtorch, or None."""
    try:
        return find(name)
    except ImportError:
        pass
    parent, _, last = name.rpartition(".")
    owner = resolve(parent) if parent else None
    if name.startswith("torch.") and owner is not None:
        try:
            return getattr(owner, last, None) if getattr(owner, last, None) is not None else _present(owner, last)
        except Exception:  # an attribute that cannot be read on this machine is there
            return True
    return None


def _present(owner: Any, name: str) -> Any:
    """True for a name whose value is None."""
    return True if hasattr(owner, name) else None


def files_of(program: str, is_module: bool) -> Iterator[tuple[pathlib.Path, str]]:
    """The program's own file, with the package it belongs to."""
    if not is_module:
        path = pathlib.Path(program)
        yield (path / "__main__.py" if path.is_dir() else path), ""
        return
    sys.path.insert(0, os.getcwd())
    for name in (f"{program}.__main__", program):
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            yield pathlib.Path(spec.origin), name.rpartition(".")[0]
            return


def local_file(name: str, folder: pathlib.Path) -> pathlib.Path | None:
    """The file of a module below a folder, or None for one that is not the program's own."""
    path = folder.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def collect(program: str, is_module: bool = False) -> dict[pathlib.Path, Uses]:
    """What the program and its own modules use, by file. Raises OSError and SyntaxError for files that cannot be read."""
    begin = list(files_of(program, is_module))
    if not begin:
        raise FileNotFoundError(f"no module named {program!r}")
    first, package = begin[0]
    folder = first.resolve().parent
    for _ in package.split(".") if package else ():
        folder = folder.parent
    waiting, read = [(first, package)], {}
    while waiting:
        path, package = waiting.pop()
        if path in read:
            continue
        uses = read[path] = Uses(package)
        uses.visit(ast.parse(path.read_bytes(), str(path)))
        for name in uses.imports:
            parts = name.split(".")
            for count in range(1, len(parts) + 1):
                own = ".".join(parts[:count])
                found = local_file(own, folder) if own else None
                if found is not None:
                    waiting.append((found, own if found.name == "__init__.py" else own.rpartition(".")[0]))
    return read


def report(program: str, is_module: bool = False) -> int:
    """Print what a program uses; returns 0 when everything is there, 1 when something is missing, 2 for an error."""
    try:
        read = collect(program, is_module)
    except (OSError, SyntaxError) as error:
        print(f"python -m webtorch run --report: {error}", file=sys.stderr)
        return 2
    first: dict[str, str] = {}
    methods: dict[str, str] = {}
    for path, uses in read.items():
        shown = os.path.relpath(path)
        for name, line in uses.found.items():
            first.setdefault(name, f"{shown}:{line}")
        for name, line in uses.methods.items():
            if name in tensor_names.NAMES and name not in COMMON:
                methods.setdefault(name, f"{shown}:{line}")
    lacking = []
    for name in sorted(first):
        present = name.partition(".")[0] not in FAMILY and resolve(name) is not None
        print(f"{'       ' if present else 'MISSING'} {name}  ({first[name]})")
        lacking += [] if present else [name]
    for name in sorted(methods):
        if not hasattr(webtorch.Tensor, name):
            print(f"MISSING Tensor.{name}, if that is a tensor's  ({methods[name]})")
            lacking.append(f"torch.Tensor.{name}")
    total = len(first) + sum(name.startswith("torch.Tensor.") and name not in first for name in lacking)
    print(f"\n{len(read)} files, {total} names of torch, {len(lacking)} missing")
    for name in lacking:
        top = name.partition(".")[0]
        print(f"  {f'{name}: {FAMILY[top]}' if top in FAMILY else missing(name)}")
    return 1 if lacking else 0
