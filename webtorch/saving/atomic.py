"""Files that are whole or not there: written under another name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import Any


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
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}.tmp")
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
