"""The report of what runs where: every name of the index, its devices, dtypes, whether it is differentiable, which tests
use it. It was measured by calling (`tests/record_coverage.py`); what users registered is added when it is asked for."""

from __future__ import annotations

import functools
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

FILE = pathlib.Path(__file__).with_name("coverage.csv")
COLUMNS = ("module", "name", "kind", "cpu", "webgpu", "differentiable", "tests", "note")


@functools.cache
def recorded() -> tuple[dict[str, Any], ...]:
    """The recorded rows, one for each name of the index."""
    import csv

    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            {
                **row,
                "cpu": tuple(row["cpu"].split()),
                "webgpu": tuple(row["webgpu"].split()),
                "differentiable": {"yes": True, "no": False}.get(row["differentiable"]),
                "tests": tuple(f"tests/test_{name}.py" for name in row["tests"].split()),
            }
            for row in csv.DictReader(file)
        )


@functools.cache
def measured() -> dict[str, dict[str, Any]]:
    """The recorded rows by name; of one that two modules have, what is in webtorch itself."""
    return {row["name"]: row for row in sorted(recorded(), key=lambda row: row["module"], reverse=True)}


def coverage_report() -> dict[str, Any]:
    """What runs where: `names` lists a dict per name (module, name, kind, devices, dtypes by device, differentiable, the
    files of the tests that use it, note, custom), `counts` how many there are of each kind and on each device.

    `python -m webtorch coverage` prints it.

    >>> import webtorch
    >>> sorted(webtorch.coverage_report())
    ['counts', 'names']
    """
    from ..ops import TABLE
    from . import functions, information

    names: list[dict[str, Any]] = []
    for row in recorded():
        names.append(described(row))
    for name in information.list_ops(custom=True):
        info = information.get_op_info(name)
        names.append(
            {
                "module": "webtorch", "name": name, "kind": "op", "custom": True, "note": "registered",
                "devices": tuple(device for device, found in info["dtypes"].items() if found),
                "dtypes": {device: tuple(found) for device, found in info["dtypes"].items()},
                "differentiable": info["differentiable"], "tests": (),
            }
        )  # fmt: skip
    for name in functions.list_functions(custom=True):
        if name not in TABLE:
            names.append(
                {
                    "module": "webtorch", "name": name, "kind": "function", "custom": True, "note": "registered",
                    "devices": (), "dtypes": {}, "differentiable": None, "tests": (),
                }
            )  # fmt: skip
    counts: dict[str, int] = {}
    for row in names:
        for key in (row["kind"], *(f"{row['kind']} on {device}" for device in row["devices"])):
            counts[key] = counts.get(key, 0) + 1
    return {"names": names, "counts": counts}


def described(row: dict[str, Any]) -> dict[str, Any]:
    """One recorded row with the kernels that users registered for it."""
    from ..ops import TABLE

    found = {device: row[device] for device in ("cpu", "webgpu")}
    known = TABLE.get(row["name"])
    if known is not None and known.kernels is not None:
        for entry in known.kernels.entries:
            for device in ("cpu", "webgpu") if entry.device == "*" else (entry.device,):
                have = found.get(device, ())
                if entry.dtype != "*" and entry.dtype not in have:
                    found[device] = (*have, entry.dtype)
    return {
        "module": row["module"], "name": row["name"], "kind": row["kind"], "custom": False, "note": row["note"],
        "devices": tuple(device for device, dtypes in found.items() if dtypes), "dtypes": found,
        "differentiable": row["differentiable"], "tests": row["tests"],
    }  # fmt: skip


def page() -> str:
    """The report as the text of docs/coverage.md."""
    report = coverage_report()
    lines = [
        "# Coverage",
        "",
        "Every name of the torch.js index: where it runs, in which dtypes, whether it is differentiable, and which files of",
        "`tests/` use it, `test_` left out. Made by `python tests/record_coverage.py`, which calls each and reads the tests;",
        "`python -m webtorch coverage` prints it, and `webtorch.coverage_report()` returns it.",
        "",
    ]
    lines += [f"- {kind}: {count}" for kind, count in sorted(report["counts"].items())]
    lines += ["", "| name | kind | cpu | webgpu | differentiable | tests | note |", "|---|---|---|---|---|---|---|"]
    for row in sorted(report["names"], key=lambda row: (row["module"], row["name"].lower(), row["name"])):
        where = [short(row["dtypes"].get(device, ())) for device in ("cpu", "webgpu")]
        mark = {True: "yes", False: "no", None: ""}[row["differentiable"]]
        name = f"{row['module']}.{row['name']}"
        cells = (
            f"`{name}`",
            row["kind"],
            *where,
            mark,
            " ".join(short_name(file) for file in row["tests"]),
            row["note"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def short_name(file: str) -> str:
    """`tests/test_ops.py` as `ops`."""
    return file.removeprefix("tests/test_").removesuffix(".py")


GROUPS = {
    "all": ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"),
    "integers and floats": ("uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"),
    "floats": ("float16", "bfloat16", "float32", "float64"),
    "integers, bool": ("bool", "uint8", "int8", "int16", "int32", "int64"),
    "integers": ("uint8", "int8", "int16", "int32", "int64"),
}


def short(names: tuple[str, ...]) -> str:
    """A list of dtypes with its usual groups by name."""
    rest = list(names)
    parts = []
    for group, members in GROUPS.items():
        if all(member in rest for member in members):
            parts.append(group)
            rest = [name for name in rest if name not in members]
            break
    return ", ".join([*parts, *rest])


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", help="only these names")
    parser.add_argument("--markdown", action="store_true", help="print the page docs/coverage.md")


def run(options: argparse.Namespace) -> int:
    if options.markdown:
        print(page(), end="")
        return 0
    report = coverage_report()
    for row in report["names"]:
        if options.names and row["name"] not in options.names:
            continue
        mark = {True: "differentiable", False: "", None: ""}[row["differentiable"]]
        places = "; ".join(f"{device}: {short(found)}" for device, found in row["dtypes"].items() if found)
        tests = f"tests: {' '.join(short_name(file) for file in row['tests'])}" if row["tests"] else ""
        name = f"{row['module']}.{row['name']:<32}"
        print(" ".join(part for part in (name, f"{row['kind']:<9}", places, mark, tests, row["note"]) if part).rstrip())
    if not options.names:
        print()
        for kind, count in sorted(report["counts"].items()):
            print(f"{count:5d} {kind}")
    return 0
