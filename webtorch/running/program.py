"""Running a program as Python would: its own arguments, folder, `__main__`, exit code, and tracebacks without frames of
webtorch's that only led to it."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import pathlib
import runpy
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any

from ..errors import REPORT, MissingNameError, did_you_mean

OWN = {__file__, str(pathlib.Path(__file__).with_name("__init__.py")), runpy.__file__, "<frozen runpy>"}


def run_program(words: list[str], is_module: bool) -> int:
    """Run the file or the module named by the first word, with the others as its arguments; returns the exit code.

    SystemExit passes through. Another exception is shown as Python shows it, with a note when a name is missing.
    """
    sys.argv = list(words)
    try:
        if is_module:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        else:
            # In the place of the current folder, which `python -m` put there.
            sys.path[: 0 if sys.flags.safe_path else 1] = [os.path.dirname(os.path.abspath(words[0]))]
            run_file(words[0])
    except SystemExit:
        raise
    except BaseException as error:
        return show(error)
    return 0


def run_file(name: str) -> None:
    """Execute a file as `__main__`. A folder or a zip file with a `__main__.py` runs too."""
    if os.path.isdir(name) or name.endswith((".zip", ".pyz")):
        runpy.run_path(name, run_name="__main__")
        return
    try:
        source = pathlib.Path(name).read_bytes()
    except OSError as error:
        print(f"python -m webtorch run: can't open file {name!r}: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    code = compile(source, name, "exec")
    main = ModuleType("__main__")
    main.__file__ = name
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", name)
    main.__spec__ = None
    sys.modules["__main__"] = main
    exec(code, vars(main))


def show(error: BaseException) -> int:
    """Print the traceback of a program's error; returns the exit code that Python would give."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in OWN:
        trace = trace.tb_next
    add_note(error)
    error = error.with_traceback(trace)
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(type(error), error, trace)
    else:
        call_hook(error, trace)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def call_hook(error: BaseException, trace: TracebackType | None) -> None:
    """What the program itself set to be told of its error."""
    sys.excepthook(type(error), error, trace)


def add_note(error: BaseException) -> None:
    """Say of a name that is missing, in a class of webtorch's or in `from module import name`, what comes closest."""
    if isinstance(error, MissingNameError):
        return
    if isinstance(error, AttributeError) and error.name is not None:
        kind = error.obj if isinstance(error.obj, type) else type(error.obj)
        if of_webtorch(kind.__module__) and not isinstance(error.obj, ModuleType):
            error.add_note(describe(f"{kind.__name__}.{error.name}", error.name, kind))
    elif isinstance(error, ImportError) and of_webtorch(error.name) and getattr(error, "name_from", None):
        module, name = sys.modules.get(str(error.name)), getattr(error, "name_from", "")  # known since Python 3.12
        error.add_note(describe(f"torch{str(error.name).removeprefix('webtorch')}.{name}", name, module))


def describe(shown: str, name: str, owner: Any) -> str:
    from ..version import __version__

    return f"{shown}: webtorch {__version__} has no such name.{did_you_mean(name, dir(owner))}{REPORT}"


def of_webtorch(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == "webtorch"
