"""Where the shader files are, and their text: inside the installed package, or at the top of the repository."""

from __future__ import annotations

import functools
import pathlib
import re

from .errors import RegistryError

__all__ = ["exists", "read"]

_FILE_NAME = re.compile(r"[a-z0-9_]+\.wgsl")


def _candidates(name: str) -> list:
    """The places where the shader file `name` may be, the preferred one first."""
    if not _FILE_NAME.fullmatch(name):
        raise RegistryError(
            f"shaders_path.read({name!r}): a shader file is named like 'prelude.wgsl', without a folder"
        )
    from importlib import resources  # slow to import, and importing webtorch reads no shader

    package = resources.files("webtorch")
    repository = pathlib.Path(__file__).resolve().parent.parent / "shaders"
    return [package / "shaders" / name, repository / name]


def exists(name: str) -> bool:
    """Whether there is a shader file called `name`.

    >>> exists("prelude.wgsl"), exists("nothing.wgsl")
    (True, False)
    """
    return any(path.is_file() for path in _candidates(name))


@functools.cache
def read(name: str) -> str:
    """The text of the shader file `name`, such as "prelude.wgsl".

    Raises RegistryError when there is no such file. The text is kept, so a file is read once.

    >>> "fn wt_exp_f32" in read("prelude.wgsl")
    True
    """
    candidates = _candidates(name)
    for path in candidates:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    places = " or ".join(str(path) for path in candidates)
    raise RegistryError(
        f"shaders_path.read({name!r}): no such file at {places}; reinstall webtorch, or run it from a complete checkout"
    )
