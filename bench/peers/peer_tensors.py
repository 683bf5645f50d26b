"""Webtorch, numpy and PyTorch's CPU: `python -m bench.peers.peer_tensors webtorch cpu`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.peers.serve import NotOffered, serve
from bench.tasks import TASKS

NAMED = {task.name: task for task in TASKS}


def in_numpy(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    return NAMED[task].numpy(*arrays), np.asarray


def in_torch(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    import torch

    step, arguments = NAMED[task].tensors(torch, *map(torch.from_numpy, arrays))
    if mode == "compile":
        if task not in ("chain-16M", "softmax-4096"):
            raise NotOffered("not asked for: it takes long")
        step = torch.compile(step)
    return lambda: step(*arguments), lambda result: result.detach().numpy()


def in_webtorch(task: str, arrays: list[np.ndarray], mode: str) -> tuple[Callable, Callable]:
    import webtorch

    device = sys.argv[2]
    if mode == "compile" and not NAMED[task].compiled:
        raise NotOffered("a few kernels without Python between them: nothing to save")
    step, arguments = NAMED[task].tensors(webtorch, *(webtorch.tensor(array, device=device) for array in arrays))
    if mode == "compile":
        step = webtorch.compile(step)

    def run() -> Any:
        if device == "cpu":
            result = step(*arguments)
            webtorch.sync_device(device)
            return result
        result = webtorch.webgpu.batch(lambda: step(*arguments))  # all of it goes to the adapter
        (result[(-1,) * result.ndim] if result.ndim else result).item()  # as with the peers, one element comes back
        return result

    return run, lambda result: result.detach().numpy()


def main() -> None:
    library = sys.argv[1]
    module = importlib.import_module(library)
    facts: dict[str, Any] = {"version": module.__version__}
    if sys.argv[1:3] == ["webtorch", "webgpu"] and sys.argv[-1] != "first":
        from webtorch.backends.wgpu import get_device

        info = get_device().info
        facts["adapter"] = info.get("device")
        facts["driver"] = " ".join(str(info[key]) for key in ("backend_type", "description") if info.get(key))

    def first() -> float:
        if library == "numpy":
            return float((np.ones((2, 2), np.float32) @ np.ones((2, 2), np.float32))[0, 0])
        options = {"device": sys.argv[2]} if library == "webtorch" else {}
        return (module.ones(2, 2, **options) @ module.ones(2, 2, **options))[0, 0].item()

    serve(facts, {"numpy": in_numpy, "torch": in_torch, "webtorch": in_webtorch}[library], first)


if __name__ == "__main__":
    main()
