"""Measuring ops on several sources at once, against one evaluation of the exact values; all float32 numbers resumably.

The state of an exhaustive run is one JSON file per set of sources in the user's cache directory. It is replaced
atomically, so a run may be stopped at any time and goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..files import cache_folder, write_atomically
from . import measure, samples
from .measure import BLOCK, Record
from .oracle import EITHER_ZERO, fingerprint, oracle, rows
from .sources import Source, arguments_of, threads

__all__ = ["State", "exhaustive", "sampled"]

SAVE_EVERY = 10.0  # seconds


class State:
    """How far exhaustive runs have come, by op: the next bit pattern and the records so far."""

    def __init__(self, sources: Sequence[Source], folder: pathlib.Path | None = None) -> None:
        names = [f"{source.name} {source.driver}" for source in sources]
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        self.path = (folder or cache_folder() / "accuracy") / f"{key}.json"
        self.ops: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.ops = json.loads(self.path.read_text("utf-8"))["ops"]

    def resume(self, op: str, print_of: str, names: Sequence[str]) -> tuple[int, dict[str, Record]]:
        """The bit pattern to go on from and the records so far; from the start when the op has changed since."""
        kept = self.ops.get(op)
        if kept is None or kept["fingerprint"] != print_of or sorted(kept["records"]) != sorted(names):
            return 0, {name: Record() for name in names}
        return kept["next"], {name: Record(**values) for name, values in kept["records"].items()}

    def save(self, op: str, print_of: str, following: int, records: dict[str, Record]) -> None:
        entry = {name: record.as_dict() for name, record in records.items()}
        self.ops[op] = {"fingerprint": print_of, "next": following, "records": entry}
        write_atomically(self.path, json.dumps({"ops": self.ops}))


PART = 1 << 18  # arguments that one thread compares at a time


def compare_all(
    op: str, arguments: Sequence[np.ndarray], results: dict[str, np.ndarray], records: dict[str, Record]
) -> None:
    """Compare the results of all sources for the same arguments with one evaluation of the exact values."""
    worst = {name: record.worst for name, record in records.items()}

    def part(start: int) -> tuple[dict[str, Record], dict[str, list[np.ndarray]]]:
        piece = slice(start, start + PART)
        return compare_part(op, [x[piece] for x in arguments], {n: got[piece] for n, got in results.items()}, worst)

    found = list(threads.map(part, range(0, arguments[0].size, PART)))
    digests: dict[tuple, str] = {}
    for name, record in records.items():
        before = record.digest
        blocks = [bits for _, parts in found for bits in parts[name]]
        for piece, _ in found:
            record.merge(piece[name])
        key = (before, *map(id, blocks))  # equal blocks are shared, so that equal results are digested once
        if key not in digests:
            digest = hashlib.sha256(before.encode())
            for bits in blocks:
                digest.update(bits.data)
            digests[key] = digest.hexdigest()
        record.digest = digests[key]


def compare_part(
    op: str, arguments: Sequence[np.ndarray], results: dict[str, np.ndarray], worst: dict[str, float]
) -> tuple[dict[str, Record], dict[str, list[np.ndarray]]]:
    """The records of a part by source, and the bits that their digests are made from; `worst` is known of before."""
    exact = oracle(op)
    records = {name: Record(worst=worst[name]) for name in results}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in results}
    for start in range(0, arguments[0].size, BLOCK):
        block = [x[start : start + BLOCK] for x in arguments]
        with np.errstate(all="ignore"):
            reference = measure.Reference(exact(*(x.astype(np.float64) for x in block)), block)
            first: np.ndarray | None = None
            known: list[tuple[np.ndarray, Record, np.ndarray, np.ndarray | None]] = []
            for name, result in results.items():
                got = result[start : start + BLOCK]
                record = records[name]
                if first is None:
                    first = got
                # Sources mostly agree in every bit: then one comparison serves them all.
                same = next(
                    (seen for seen in known if np.array_equal(got.view(np.uint32), seen[0].view(np.uint32))), None
                )
                if same is None:
                    least = min(each.worst for each in records.values())
                    found = measure.compare(got, reference, block, exact, op in EITHER_ZERO, least)
                    differ = measure.differences(got, first, block) if got is not first else None
                    same = (got, found, measure.canonical(got, block, reference.denormals), differ)
                    known.append(same)
                _, found, bits, differ = same
                record.merge(found)
                parts[name].append(bits)
                if differ is not None and (count := int(np.count_nonzero(differ))):
                    record.different += count
                    record.different_at = record.different_at or measure.place(int(differ.argmax()), block, got, first)
    for record in records.values():
        if not record.worst_at:
            record.worst = 0.0  # nothing was worse than what is known
    return records, parts


def sampled(op: str, sources: Iterable[Source], count: int = 1 << 18) -> dict[str, Record]:
    """The records of one op by source, on a sample of arguments that is always the same."""
    able = [source for source in sources if source.has(op)]
    arguments = samples.sample(op, rows()[op].inputs, count)
    for source in able:
        source.begin(op, arguments)
    results = {source.name: source.finish() for source in able}
    records = {source.name: Record() for source in able}
    compare_all(op, arguments, results, records)
    return records


def exhaustive(
    op: str,
    sources: Iterable[Source],
    state: State,
    deadline: float = float("inf"),
    report: Callable[[str], None] = lambda text: None,
) -> dict[str, Record] | None:
    """The records of a function of one argument on all float32 numbers; None when the deadline came before the end."""
    able = [source for source in sources if source.has(op)]
    print_of = fingerprint(rows()[op])
    following, records = state.resume(op, print_of, [source.name for source in able])
    todo = samples.ranges(following)
    if following and todo:
        report(f"{op}: goes on at bit pattern 0x{following:08x}")
    saved = started = time.monotonic()
    for source in able if todo else ():
        source.begin(op, todo[0])
    for position, request in enumerate(todo):
        results = {source.name: source.finish() for source in able}
        last = position + 1 == len(todo)
        out_of_time = time.monotonic() > deadline
        if not last and not out_of_time:
            for source in able:
                source.begin(op, todo[position + 1])  # the adapters compute while this process compares
        compare_all(op, arguments_of(request), results, records)
        following = samples.TOTAL if last else todo[position + 1][0]
        now = time.monotonic()
        if last or out_of_time or now - saved > SAVE_EVERY:
            state.save(op, print_of, following, records)
            saved = now
            share = following / samples.TOTAL
            report(f"{op}: {share:.0%} after {now - started:.0f} s")
        if out_of_time and not last:
            return None
    return records
