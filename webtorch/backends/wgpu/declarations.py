"""wgpu-py's header, parsed once and kept for the processes that follow.

wgpu-py has cffi parse its C header at every import, which takes longer than importing all of webtorch. cffi can write what
it made of a header as a table that needs no parsing. That table is kept in the cache folder, under a digest of the header
and of the versions of cffi and Python; a file that is missing, damaged or of others is not used, and is made again when the
process ends. It holds numbers, bytes and tuples only: nothing in it is run.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import hashlib
import io
import marshal
import pathlib
import sys
from typing import Any

from ...files import cache_folder, replacing
from . import quick_types

MODULE = "wgpu.backends.wgpu_native._ffi"


def load() -> None:
    """Import wgpu-py's module of declarations, by the kept table if there is one."""
    if MODULE in sys.modules:
        quick_types.install(sys.modules[MODULE].ffi)
        return
    path, header = kept_file()
    table = read(path) if path else None
    if table is None or not import_with(table, header):
        module = __import__(MODULE, fromlist=["ffi"])
        quick_types.install(module.ffi)
        if path is not None:
            atexit.register(keep, module.ffi, path)


def kept_file() -> tuple[pathlib.Path | None, str]:
    """Where the table of this header is kept, and the header; None if it cannot be told."""
    try:
        import cffi
        from wgpu._coreutils import get_header_filename

        header = pathlib.Path(get_header_filename("combined_header.h")).read_text(encoding="utf-8")
        versions = f"{cffi.__version__} {sys.version} {sys.platform}\n"
        digest = hashlib.sha256((versions + header).encode()).hexdigest()
        return cache_folder() / f"declarations-{digest[:32]}.bin", header
    except Exception:  # another wgpu-py or cffi: it is parsed
        return None, ""


def read(path: pathlib.Path) -> dict[str, Any] | None:
    """A kept table, if the file is whole."""
    try:
        data = path.read_bytes()
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        table = marshal.loads(data[32:])
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return table if isinstance(table, dict) else None


def import_with(table: dict[str, Any], header: str) -> bool:
    """Import the module with a cffi that takes the table for the header. False, and nothing imported, if it will not."""
    import cffi

    genuine = cffi.FFI
    try:
        import _cffi_backend

        ready = _cffi_backend.FFI("webtorch", **table)

        class Kept:
            """What the module makes an FFI of: it declares this header and nothing else."""

            def cdef(self, text: str) -> None:
                if text != header:
                    raise ValueError("another header")

            def set_source(self, *arguments: Any) -> None:
                pass

            def __getattr__(self, name: str) -> Any:
                return getattr(ready, name)

        cffi.FFI = Kept
        module = __import__(MODULE, fromlist=["ffi"])
        module.ffi = ready  # type: ignore[attr-defined]
    except Exception:
        sys.modules.pop(MODULE, None)
        return False
    finally:
        cffi.FFI = genuine
    return True


def keep(ffi: Any, path: pathlib.Path) -> None:
    """Write the table of what `ffi` has parsed; not having it costs time only, so nothing that fails here is told."""
    try:
        text = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()):  # cffi says what it does
            ffi.emit_python_code(text)
        call = next(node for node in ast.walk(ast.parse(text.getvalue())) if isinstance(node, ast.Call))
        table = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        data = marshal.dumps(table)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as name:
            pathlib.Path(name).write_bytes(hashlib.sha256(data).digest() + data)
    except Exception:
        return
