"""Files that webtorch writes for a user: where its own are, and how any of them is written: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import sys
from collections.abc import Iterator
from typing import Any


def cache_folder() -> pathlib.Path:
    """Where this user's programs keep what they can make again: WEBTORCH_CACHE, or the system's place for it."""
    if os.environ.get("WEBTORCH_CACHE"):
        return pathlib.Path(os.environ["WEBTORCH_CACHE"])
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = pathlib.Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "webtorch"


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Replace the file by one with this text, and make its folder if need be: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as name:
        pathlib.Path(name).write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[str]:
    """The name of a new, empty file that takes the place of `path` at the end of the block, if nothing was raised there.

    What the block wrote is on the disk before the rename, so that after a crash the old file or the new one is there,
    whole. After an exception the old file is as it was and the new one is gone. Raises FileNotFoundError when the folder
    is missing.
    """
    target = os.path.realpath(os.fspath(path))  # a link stays a link: the file it points at is replaced
    if isinstance(target, bytes):
        target = os.fsdecode(target)
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{path!s} cannot be written: there is no folder {folder}; make it with os.makedirs first"
        )
    mode = None
    if os.path.exists(target):
        mode = os.stat(target).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{path!s} cannot be written: it is a folder; give the name of a file in it")
        if not stat.S_ISREG(mode):  # a pipe or /dev/null: there is nothing to rename
            yield target
            return
    temporary = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.tmp")
    # Made with the permissions that open() would give; an old file's own are kept.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Have the rename itself on the disk, where folders can be synchronised (not on Windows)."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
