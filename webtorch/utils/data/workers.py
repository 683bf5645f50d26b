"""The loader's side of its workers: processes, or threads where the dataset or the program cannot be in two processes."""

from __future__ import annotations

import ast
import contextlib
import copy
import itertools
import os
import queue
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from .fetching import Failure, Server, Work
from .transport import packed, receive, send, unpacked
from .worker import PREPARATIONS

GRACE = 0.5  # seconds that a worker gets to end by itself


class ProcessWorker:
    """A worker in a process of its own."""

    def __init__(self) -> None:
        environment = {**os.environ, "WEBTORCH_DEVICE": "cpu"}
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        command = [sys.executable, "-c", "from webtorch.utils.data.worker import main; main()"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.number = -1
        self.inbox: queue.Queue = queue.Queue()
        self.lock = threading.Lock()
        self.ended = False
        self.reader = threading.Thread(target=self.read, daemon=True, name="reader of a webtorch worker")
        self.reader.start()

    def begin(self, number: int, start: bytes, inbox: queue.Queue) -> None:
        """Give the process its work, at first or in place of an earlier one."""
        with self.lock:
            self.number, self.inbox = number, inbox
            if self.ended:
                inbox.put((number, None))
        self.send_bytes(start)

    def read(self) -> None:
        while True:
            try:
                payload = receive(self.process.stdout)
            except (OSError, ValueError):  # closed meanwhile
                payload = None
            with self.lock:
                self.ended = payload is None
                self.inbox.put((self.number, payload))
            if self.ended:
                return

    def send_bytes(self, payload: bytes) -> None:
        with contextlib.suppress(OSError):  # a dead worker is noticed by its reader
            send(self.process.stdin, payload)

    def send(self, request: tuple) -> None:
        self.send_bytes(packed(request))

    def end(self) -> str:
        """How the process ended, in words."""
        try:
            code = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        return f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"

    def close(self) -> None:
        """Ask the process to end: it does so when it next reads."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def stop(self) -> None:
        """See to it that the process is gone."""
        self.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(GRACE)
        self.process.stdout.close()


class ThreadWorker:
    """A worker in a thread of this process, with a shallow copy of the dataset."""

    def __init__(self, work: Work, seed: int, inbox: queue.Queue) -> None:
        self.number = work.number
        self.requests: queue.Queue = queue.Queue()
        work.dataset = copy.copy(work.dataset)

        def run() -> None:
            server = Server(work, seed, own_process=False)
            while (request := self.requests.get()) is not None:
                inbox.put((work.number, server.answer(request)))

        threading.Thread(target=run, daemon=True, name=f"webtorch worker {work.number}").start()

    def send(self, request: tuple) -> None:
        self.requests.put(request)

    def end(self) -> str:
        return "ended"

    def close(self) -> None:
        with contextlib.suppress(queue.Empty):  # what is not begun need not be done
            while True:
                self.requests.get_nowait()
        self.requests.put(None)

    def stop(self) -> None:
        self.close()


def program() -> tuple[str, str] | None:
    """How a worker can import the main program: by its module's name or its file; None where there is neither."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return "module", spec.name
    path = getattr(main, "__file__", None)
    return ("path", os.path.abspath(path)) if path is not None and os.path.exists(path) else None


def is_guarded() -> bool:
    """Whether the main program keeps what it does behind `if __name__ == "__main__"`: another process may import it then."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if path is None or not path.endswith(".py"):
        return False
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError):
        return False
    tests = [node.test for node in tree.body if isinstance(node, ast.If)]
    return any(isinstance(name, ast.Name) and name.id == "__name__" for test in tests for name in ast.walk(test))


def why_threads(works: list[Work]) -> tuple[list[bytes], str | None]:
    """The pickled works, and why they cannot be given to processes, or None."""
    try:
        pickles = [packed(work) for work in works]
    except Exception as error:
        return [], f"the dataset (or collate_fn, or worker_init_fn) cannot be pickled: {type(error).__name__}: {error}"
    if b"__main__" not in pickles[0]:
        return pickles, None
    if program() is None:
        return [], "the dataset's class was defined in an interactive session; move it to a module"
    if not is_guarded():
        return (
            [],
            'the program does not keep its work behind `if __name__ == "__main__":`, so a worker cannot import it',
        )
    return pickles, None


def start_workers(works: list[Work], seed: int, inbox: queue.Queue, idle: list[ProcessWorker]) -> list[Any]:
    """One worker for each work, which put (number, message) into the inbox; a process that ends puts (number, None).

    Processes in `idle` are taken before others are started."""
    pickles, why = why_threads(works)
    if why is not None:
        warnings.warn(
            f"DataLoader: the {len(works)} workers are threads of this process, which share its random generators, because {why}",
            stacklevel=6,
        )
        return [ThreadWorker(work, seed, inbox) for work in works]
    workers: list[Any] = []
    try:
        for work, pickled in zip(works, pickles, strict=True):
            start = {
                "path": list(sys.path), "arguments": list(sys.argv), "preparations": list(PREPARATIONS), "work": pickled,
                "program": program() if b"__main__" in pickled else None, "seed": seed,
            }  # fmt: skip
            workers.append(idle.pop(0) if idle else ProcessWorker())
            workers[-1].begin(work.number, packed(start), inbox)
    except BaseException:
        stop_workers(workers)
        raise
    return workers


def stop_workers(workers: list[Any]) -> None:
    """End all workers; processes that are busy are killed."""
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.stop()


_epochs = itertools.count()  # of all loaders: an answer to an earlier pass is never taken for one to this


class Crew:
    """The workers of a loader and what they have under way; serves one pass over the data after the other."""

    def __init__(self, works: list[Work], seed: int, prefetch: int, timeout: float, idle: list) -> None:
        self.inbox: queue.Queue = queue.Queue()
        self.prefetch = prefetch
        self.timeout = timeout
        self.workers = start_workers(works, seed, self.inbox, idle)

    def begin(self, indices: Callable[[], Any]) -> None:
        """Begin a pass; `indices()` gives the next request's index or raises StopIteration."""
        self.epoch = next(_epochs)
        self.indices = indices
        self.sent = self.due = 0
        self.tasks: dict[int, int] = {}  # request: the worker that has it
        self.arrived: dict[int, tuple] = {}
        self.active = [True] * len(self.workers)
        self.turn = 0
        for _ in range(self.prefetch * len(self.workers)):
            self.request()

    def request(self) -> None:
        """Give the next request to the next worker that has not come to its end."""
        if not any(self.active):
            return
        try:
            index = self.indices()
        except StopIteration:
            return
        while not self.active[self.turn]:
            self.turn = (self.turn + 1) % len(self.workers)
        self.workers[self.turn].send((self.epoch, self.sent, index))
        self.tasks[self.sent] = self.turn
        self.sent += 1
        self.turn = (self.turn + 1) % len(self.workers)

    def next(self) -> Any:
        """The next batch, in the order of the requests. Raises StopIteration, a worker's error, or RuntimeError for a
        worker that died or took too long."""
        while True:
            while self.due < self.sent and not (self.due in self.arrived or self.active[self.tasks[self.due]]):
                del self.tasks[self.due]  # the worker's stream ended before it came to this
                self.due += 1
            if self.due == self.sent:
                raise StopIteration
            if self.due not in self.arrived:
                self.collect()
                continue
            kind, value = self.arrived.pop(self.due)
            worker = self.tasks.pop(self.due)
            self.due += 1
            self.request()
            if kind == "failure":
                value.reraise(f"in DataLoader worker {'process ' if self.processes else 'thread '}{worker}")
            return value

    @property
    def processes(self) -> bool:
        return isinstance(self.workers[0], ProcessWorker)

    def collect(self) -> None:
        """Wait for a message of a worker."""
        waited = 0.0
        while True:
            try:
                worker, message = self.inbox.get(timeout=min(1.0, self.timeout - waited) if self.timeout else 1.0)
                break
            except queue.Empty:  # short waits: Ctrl-C is noticed between them on every system
                waited += 1.0
                if self.timeout and waited >= self.timeout:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None
        if message is None:
            process = self.workers[worker]
            raise RuntimeError(
                f"DataLoader worker {worker} (pid {process.process.pid}) exited unexpectedly: it {process.end()}. "
                "Memory may have run out, or a library ended the process; num_workers=0 shows where"
            )
        if isinstance(message, bytes):
            message = unpacked(message)
        epoch, number, kind, value = message
        if epoch != self.epoch:
            return  # asked for by a pass that was left
        if kind == "end":
            self.active[worker] = False
            self.request()
            return
        if kind == "data" or isinstance(value, Failure):
            self.arrived[number] = (kind, value)

    def release(self) -> list[ProcessWorker]:
        """The processes, for other work; threads end."""
        if self.processes:
            return self.workers
        stop_workers(self.workers)
        return []

    def stop(self) -> None:
        """End the workers."""
        stop_workers(self.workers)
