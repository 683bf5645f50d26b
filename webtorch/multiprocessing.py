"""Python's `multiprocessing` with what PyTorch adds. Processes are spawned: a GPU does not survive a fork, and tensors
travel as copies."""

from __future__ import annotations

import multiprocessing as _python
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

_spawning = _python.get_context("spawn")
globals().update(
    {
        _name: getattr(_spawning, _name)
        for _name in ("Process", "Queue", "SimpleQueue", "Pool", "Manager", "Event", "Lock", "Pipe")
    }
)


def get_all_sharing_strategies() -> set[str]:
    """The names that PyTorch has.

    >>> sorted(get_all_sharing_strategies())
    ['file_descriptor', 'file_system']
    """
    return {"file_descriptor", "file_system"}


_strategy = "file_system"


def get_sharing_strategy() -> str:
    """What `set_sharing_strategy` was told.

    >>> get_sharing_strategy()
    'file_system'
    """
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted: tensors travel between processes as copies.

    >>> set_sharing_strategy("file_system")
    """
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise ValueError(
            f"set_sharing_strategy({new_strategy!r}): expected one of {sorted(get_all_sharing_strategies())}"
        )
    _strategy = new_strategy


def spawn(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """Run `fn(number, *args)` in `nprocs` new processes; returns when all have ended, or a list of them with `join=False`.

    Raises RuntimeError when one ends with an error, and ValueError for a start method other than "spawn".
    """
    if start_method != "spawn":
        raise ValueError(f"spawn(start_method={start_method!r}): processes are spawned; a GPU does not survive a fork")
    processes = [_spawning.Process(target=fn, args=(number, *args), daemon=daemon) for number in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    failed = [(number, process.exitcode) for number, process in enumerate(processes) if process.exitcode]
    if failed:
        raise RuntimeError(f"spawn: process {failed[0][0]} ended with exit code {failed[0][1]}")
    return None
