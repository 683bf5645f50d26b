"""``python -m webtorch run PROGRAM``: a PyTorch program, unchanged, on webtorch.

`importing` has ``torch`` and its submodules mean webtorch in this process; `program` runs a file or a module as Python
would; `report` lists what a program uses, without running it.
"""

from __future__ import annotations

import argparse
import os
import sys

from .importing import install

__all__ = ["configure", "install", "run"]

ABOUT = """
Options come before the program; everything after it is the program's own. `import torch` and its submodules resolve to
webtorch in this process, and "cuda", "mps" and "xpu" mean the GPU that there is: a hardware adapter, or with
--device webgpu a software one as well. Without a GPU they mean the cpu, with one warning. Tensors are made on the cpu
where the program names no device, as in PyTorch, unless --default-device says otherwise.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this command."""
    parser.description = ABOUT
    parser.usage = "python -m webtorch run [--device cpu|webgpu] [--default-device cpu|webgpu] [--report] (PROGRAM | -m MODULE) ..."
    parser.add_argument(
        "--device", choices=("cpu", "webgpu"), help="what the program finds: no GPU, or one in any case"
    )
    parser.add_argument(
        "--default-device", choices=("cpu", "webgpu"), default="cpu", help="where tensors are made (cpu)"
    )
    parser.add_argument(
        "--report", action="store_true", help="list the names of torch that the program uses; do not run it"
    )
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="run a module, as python -m does")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="PROGRAM ...", help="a file, and its arguments")


def run(options: argparse.Namespace) -> int:
    """Run or report on the program; returns the exit code."""
    words = options.module or options.words
    if not words:
        print("python -m webtorch run: name a program, or a module with -m", file=sys.stderr)
        return 2
    if options.report:
        from .report import report

        return report(words[0], is_module=bool(options.module))
    from .. import devices
    from ..errors import DeviceUnavailableError
    from .program import run_program

    if options.device:
        os.environ["WEBTORCH_DEVICE"] = options.device
    if "webgpu" in (options.device, options.default_device):
        try:
            devices.require_webgpu()
        except DeviceUnavailableError as error:
            print(f"python -m webtorch run: {error}", file=sys.stderr)
            return 2
    install(options.default_device)
    return run_program(words, is_module=bool(options.module))
