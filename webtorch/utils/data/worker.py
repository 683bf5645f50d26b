"""The program of a worker process: `python -c "from webtorch.utils.data.worker import main; main()"`.

A worker is a fresh process and never a fork, because a GPU does not survive one. It computes on the cpu, gets its requests on
standard input and answers on standard output; what a dataset prints goes to standard error.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
import runpy
import signal
import sys
import types
from typing import Any

# Names "module:function" of what a worker calls before it imports the program, for tools that change how modules are found.
PREPARATIONS: list[str] = []


def import_program(how: tuple[str, str]) -> None:
    """Import the loader's main program under another name than "__main__", so that what it guards by that does not run."""
    kind, where = how
    module = types.ModuleType("__mp_main__")
    run = runpy.run_module if kind == "module" else runpy.run_path
    module.__dict__.update(run(where, run_name="__mp_main__"))  # type: ignore[operator]
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def main() -> None:
    """Serve the loader until it closes the pipe."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the loader, which closes the pipe
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), line_buffering=True)

    from .fetching import Failure, Server
    from .transport import packed, receive, send

    def reply(message: tuple) -> None:
        try:
            payload = packed(message)
        except Exception as error:
            payload = packed((*message[:2], "failure", Failure.of(error)))
        send(answers, payload)

    server: Server | None = None
    trouble: Failure | None = None
    try:
        while (payload := receive(requests)) is not None:
            message = pickle.loads(payload)
            if isinstance(message, dict):  # work, at first or anew
                try:
                    server = Server(begin(message), message["seed"], own_process=True)
                except BaseException as error:  # a program that exits when imported, too
                    server, trouble = None, Failure.of(error)
            elif server is None:
                reply((*message[:2], "failure", trouble))
            else:
                reply(server.answer(message))
    except BrokenPipeError:
        pass  # the loader is gone
    finally:
        sys.stdout.flush()
        os._exit(0)


def begin(start: dict[str, Any]) -> Any:
    """The work that a start message holds, once this process can import what it is made of."""
    sys.path[:] = start["path"]
    sys.argv[:] = start["arguments"]
    for name in start["preparations"]:
        module, function = name.split(":")
        getattr(importlib.import_module(module), function)()
    if start["program"] is not None and "__mp_main__" not in sys.modules:
        import_program(start["program"])
    return pickle.loads(start["work"])


if __name__ == "__main__":
    main()
