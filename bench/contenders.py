"""Who takes part: what is installed is found here, and each contender is a process that is asked for one thing at a time."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = pathlib.Path(__file__).resolve().parent / "peers"


class Contender(NamedTuple):
    """`module` is what must be installed; `group` is numpy, torch, cpu, webgpu or peers."""

    name: str
    group: str
    script: str
    module: str
    arguments: tuple[str, ...] = ()
    mode: str = ""


ALL = [
    Contender("numpy", "numpy", "peer_tensors.py", "numpy", ("numpy",)),
    Contender("torch", "torch", "peer_tensors.py", "torch", ("torch",)),
    Contender("torch compile", "torch", "peer_tensors.py", "torch", ("torch",), "compile"),
    Contender("webtorch cpu", "cpu", "peer_tensors.py", "webtorch", ("webtorch", "cpu")),
    Contender("webtorch webgpu", "webgpu", "peer_tensors.py", "webtorch", ("webtorch", "webgpu")),
    Contender("webtorch compile", "webgpu", "peer_tensors.py", "webtorch", ("webtorch", "webgpu"), "compile"),
    Contender("tinygrad", "peers", "peer_tinygrad.py", "tinygrad", (), "jit"),
    Contender("tinygrad lazy", "peers", "peer_tinygrad.py", "tinygrad", (), "lazy"),
    Contender("onnxruntime", "peers", "peer_ort.py", "onnxruntime"),
    Contender("wonnx", "peers", "peer_wonnx.py", "wonnx"),
    Contender("taichi", "peers", "peer_taichi.py", "taichi"),
    Contender("jax-js", "peers", "peer_jaxjs.mjs", "@jax-js/jax", (), "jit"),
    Contender("jax-js eager", "peers", "peer_jaxjs.mjs", "@jax-js/jax", (), "eager"),
    Contender("tfjs", "peers", "peer_tfjs.mjs", "@tensorflow/tfjs-backend-webgpu"),
    Contender("webgpu-torch", "peers", "peer_webgputorch.mjs", "webgpu-torch"),
]


def folders() -> list[pathlib.Path]:
    """Where peers may be installed, besides the environment that runs this: the folders in $PEERS_HOME."""
    home = os.environ.get("PEERS_HOME")
    if not home or not pathlib.Path(home).is_dir():
        return []
    return sorted(folder for folder in pathlib.Path(home).iterdir() if folder.is_dir())


@functools.cache
def command(contender: Contender) -> tuple[list[str], dict[str, str]] | None:
    """The command that starts it, and what is added to the environment; None where it is not installed."""
    if contender.script == "peer_tensors.py":
        if importlib.util.find_spec(contender.module) is None:
            return None
        if contender.group == "webgpu":
            import webtorch

            if not webtorch.is_webgpu_available():
                return None
        return [sys.executable, "-m", "bench.peers.peer_tensors", *contender.arguments], {}
    script = str(PEERS / contender.script)
    if contender.script.endswith(".mjs"):
        node = shutil.which("node")
        for folder in folders():
            if node and (folder / "node_modules" / contender.module).is_dir():
                return [node, script], {"PEER_FOLDER": str(folder)}
        return None
    found = importlib.util.find_spec(contender.module)
    if found is not None and found.origin:
        return [sys.executable, script], settings(contender, pathlib.Path(found.origin).parents[1])
    for folder in folders():
        for packages in [*folder.glob("lib/python3*/site-packages"), folder / "Lib" / "site-packages"]:
            for python in (folder / "bin" / "python", folder / "Scripts" / "python.exe"):
                if (packages / contender.module).is_dir() and python.exists():
                    return [str(python), script], settings(contender, packages)
    return None


def settings(contender: Contender, packages: pathlib.Path) -> dict[str, str]:
    """tinygrad wants to be told its device, and where Dawn is: the package of dawn-python brings one for each machine."""
    if contender.module != "tinygrad":
        return {}
    machine = os.uname().machine if hasattr(os, "uname") else "x86_64"
    library = packages / "pydawn" / "lib" / f"libwebgpu_dawn_{machine}.so"
    for other in (f"libwebgpu_dawn_{machine}.dylib", "libwebgpu_dawn.dll"):
        library = library if library.exists() else library.with_name(other)
    return {"DEV": "WEBGPU", "WEBGPU_PATH": os.environ.get("WEBGPU_PATH", str(library))}


class Failure(Exception):
    """A contender gave no result: what it said."""


class Child:
    """A contender's process."""

    def __init__(self, contender: Contender, *extra: str) -> None:
        started, added = command(contender) or ([], {})
        self.contender = contender
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        environment = {**os.environ, **added, "PYTHONWARNINGS": "ignore"}
        if environment.pop("PYTHONDONTWRITEBYTECODE", None):  # users' libraries have theirs on disk
            environment["PYTHONPYCACHEPREFIX"] = str(ROOT / "out" / "bytecode")
        self.process = subprocess.Popen(
            [*started, *extra], cwd=ROOT, env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        self.answers: queue.Queue[str | None] = queue.Queue()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # taichi greets on standard output before anyone can stop it
                self.answers.put(line)
        self.answers.put(None)

    def hear(self, seconds: float) -> dict[str, Any]:
        try:
            line = self.answers.get(timeout=seconds)
        except queue.Empty:
            self.end()
            raise Failure(f"no answer within {seconds:.0f} s") from None
        if line is None:
            self.end()
            with self.errors:
                self.errors.seek(0)
                said = self.errors.read().decode("utf-8", "replace").strip().splitlines()
            raise Failure(f"its process ended{': ' + said[-1][:200] if said else ''}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"].splitlines()[0])
        return answer

    def ask(self, seconds: float, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it ended: hear says so
        return self.hear(seconds)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.join(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
