"""The command line: ``python -m webtorch COMMAND``.

A command is a line in ``COMMANDS`` and a module with ``configure(parser)``, which declares its options, and
``run(options)``, which returns the exit code. Only the module of the command that is called is imported.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "coverage": ("webtorch.registry.coverage", "show every name of the index: where it runs, in which dtypes"),
    "doctor": ("webtorch.doctor", "show versions, GPU adapters and limits, and test one kernel"),
    "run": ("webtorch.running", "run a PyTorch program, unchanged, on webtorch"),
    "accuracy": ("webtorch.accuracy", "measure the float32 functions against exact values"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m webtorch", description="PyTorch's API on WebGPU.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == named:
            implementation = importlib.import_module(module)
            implementation.configure(command)
            command.set_defaults(run=implementation.run)
    options = parser.parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
