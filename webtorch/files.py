"""Files that webtorch keeps for a user: where they are, and how they are written."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import tempfile


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
    """Replace the file by one with this text: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, text=True)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
