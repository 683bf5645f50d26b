"""The results as JSON and as a page: docs/accuracy.md is what `page` makes of docs/accuracy.json, and nothing else."""

from __future__ import annotations

import datetime
import json
import pathlib
from typing import Any

from ..version import __version__
from .measure import Record
from .oracle import fingerprint, rows

__all__ = ["merge", "page", "read", "table", "write"]

Results = dict[str, Any]
"""{"columns": {name: driver}, "rows": {op: {"inputs", "fingerprint", "records": {column: record}}}}"""

INTRODUCTION = """# Accuracy

How far webtorch's float32 functions are from the exact values, on {drivers}.

This page is written by `python -m webtorch accuracy`; [Measure your own GPU](#measure-your-own-gpu) says how.

The error of a result is its distance from the exact value in units of the spacing of float32 there (ulps): a correctly
rounded result is at most 0.5 away. A denormal has the spacing 2^-149. An infinity counts as 2^128, so overflowing too
early is an error of many ulps. "Exact" is numpy's float64, or where numpy lacks the function (erf, lgamma and their
like) a float64 evaluation that the tests compare with Python's and PyTorch's; the shaders share no code with it.

- **all** float32 numbers: 4,278,206,464 bit patterns. Left out are most of the NaNs, which differ in nothing that a
  function looks at. Other rows were measured at a **sample**: the numbers where functions turn, overflow or change
  their formula (for two arguments, all pairs of them), one number out of each of equal parts of all bit patterns, and
  usual ones.
- **wrong**: NaN, infinities and signs of zeros that are not what they should be, of all arguments.
- **flushed**: results where the driver treated a denormal (a number below 2^-126 in size) as 0, which WebGPU leaves to
  drivers. They are not counted as errors.
- **differ**: results of a GPU with other bits than in the first column, NaNs apart, and apart from places where a
  denormal is an argument or the result.
"""

FOUND = """
## What was found in drivers, and how it is handled

- The drivers' own exp, log, sin, tanh, pow and their like are wrong by up to millions of ulps, or for special values.
  None is used: `shaders/prelude.wgsl` and its neighbours have their own.
- llvmpipe computes `constant + (a + b)` as `(constant + a) + b`, and changes the order in `a + (b + c * constant)` and
  `constant * (a * b)`. A cosine written as `1 + (small - half)` lost half an ulp, and a last factor of 64 was moved to
  where it overflowed. The functions are written in forms that are left alone, such as `2^n + 2^n * x` for
  `2^n * (1 + x)`, and powers of two are taken from the argument.
- llvmpipe and SwiftShader add up the constants of `(a - constant) - constant`, so that what was to give the last bits of
  a difference is lost: digamma was wrong by 1.7 million ulps next to its root. That difference is now taken in integers.
- Both make `a * b + a * c` into `a * (b + c)`, `(a + b) - b` and `(a * b) / b` into `a`, and `1 / (1 / a)` into `a`.
  The shader library has none of these forms.
- SwiftShader computes `a / constant` as a product, and `constant * (constant / a)` as one division. `wt_divide` works in
  integers; elsewhere the forms are avoided.
- SwiftShader takes denormals for 0, in arguments of arithmetic and in results. Where only bits matter (signs,
  comparisons, rounding, `fmod`, `remainder`), no arithmetic is done; where an intermediate result would be a denormal
  (`silu`, `mish`, `erfc`, `floor_divide`), a power of two is set apart.
"""

MEASURE = """
## Measure your own GPU

```sh
python -m webtorch accuracy                      # a sample, in a minute
python -m webtorch accuracy --exhaustive         # all float32 numbers, some minutes per function
python -m webtorch accuracy --exhaustive --ops exp,log --output table.md
```

`--adapter NAME` measures the GPU whose name contains NAME and may be given several times; `--device cpu` adds numpy, and
`--device torch` an installed PyTorch. An exhaustive run keeps how far it has come in the user's cache folder and goes on
there when it is started again; `--budget SECONDS` stops it in time.
"""


def number(value: float) -> str:
    """An error in ulps with two digits behind the point, rounded up so that the page never promises too much."""
    if value == 0:
        return "0"
    if value >= 1e6:
        return f"{value:.1e}"
    if value < 1000:
        return f"{-(-value * 100 // 1) / 100:.2f}"
    return f"{-(-value // 1):.0f}"


def cell(record: Record, compared: bool) -> str:
    """The worst error; with `compared` also how many results differ from the first column's."""
    text = number(record.worst)
    extras = []
    if record.wrong:
        extras.append(f"{record.wrong:,} wrong")
    if record.different and compared:
        extras.append(f"{record.different:,} differ")
    return text + (f" ({', '.join(extras)})" if extras else "")


def at(record: Record) -> str:
    """The arguments of the worst result."""
    return ", ".join(f"{value:.9g}" for value in record.worst_at[:-2])


def merge(old: Results, columns: dict[str, str], measured: dict[str, dict[str, Record]], command: str) -> Results:
    """`old` with newer results: an op's results are replaced where they were measured anew."""
    result: Results = {
        "version": __version__,
        "date": datetime.date.today().isoformat(),
        "columns": {**old.get("columns", {}), **columns},
        "commands": [*(line for line in old.get("commands", []) if line != command), command],
        "rows": dict(old.get("rows", {})),
    }
    table_rows = rows()
    for op, records in measured.items():
        print_of = fingerprint(table_rows[op])
        entry = result["rows"].get(op, {})
        kept = entry.get("records", {}) if entry.get("fingerprint") == print_of else {}
        kept = dict(kept)
        for name, record in records.items():
            # A sample says less than all numbers.
            if name not in kept or record.count >= kept[name]["count"]:
                kept[name] = record.as_dict()
        result["rows"][op] = {"inputs": table_rows[op].inputs, "fingerprint": print_of, "records": kept}
    result["rows"] = {op: result["rows"][op] for op in sorted(result["rows"])}
    return result


def is_exhaustive(record: dict[str, Any]) -> bool:
    return record["count"] > 1 << 31


def table(results: Results, ops: list[str]) -> list[str]:
    """The lines of a table: a row per op, and the worst error of each column."""
    columns = list(results["columns"])
    gpus = gpu_columns(results)
    present = [name for name in columns if any(name in results["rows"][op]["records"] for op in ops)]
    lines = ["| | " + " | ".join(present) + " | mean | worst at | flushed |"]
    lines.append("|---" * (len(present) + 4) + "|")
    for op in ops:
        records = {name: Record(**values) for name, values in results["rows"][op]["records"].items()}
        most = max(record.count for record in records.values())
        # A column that was only sampled, beside others that were not, can say no more than "at least".
        cells = [
            ("≥ " if records[name].count < most else "") + cell(records[name], name in gpus) if name in records else ""
            for name in present
        ]
        first = next((records[name] for name in present if name in records), Record())
        flushed = ", ".join(
            f"{name}: {records[name].flushed:,}" for name in present if name in records and records[name].flushed
        )
        mean = f"{first.mean:.3f}" if first.finite else ""
        lines.append(f"| `{op}` | " + " | ".join(cells) + f" | {mean} | {at(first)} | {flushed} |")
    return lines


def page(results: Results) -> str:
    """The page of documentation for results."""
    columns = results["columns"]
    everything = results["rows"]
    exhaustive = [op for op, row in everything.items() if any(map(is_exhaustive, row["records"].values()))]
    one = [op for op, row in everything.items() if op not in exhaustive and row["inputs"] == 1]
    two = [op for op, row in everything.items() if op not in exhaustive and row["inputs"] == 2]
    drivers = ", ".join(columns)
    lines = [INTRODUCTION.format(drivers=drivers), "| column | |", "|---|---|"]
    lines += [f"| {name} | {driver} |" for name, driver in columns.items()]
    lines += ["", f"Measured with webtorch {results['version']}, last on {results['date']}, by", "", "```sh"]
    lines += [*results["commands"], "```", ""]
    lines.append(
        "The worst error in ulps is given for each column; mean error and place of the worst one are of the first column."
    )
    lines.append("Names with an underscore are cases of a public function.")
    for title, ops in (
        ("Functions of one argument, on all float32 numbers", exhaustive),
        ("Functions of one argument, on a sample", one),
        ("Functions of two arguments, on a sample", two),
    ):
        if ops:
            lines += ["", f"## {title}", "", *table(results, ops)]
    lines += ["", *differing(results)]
    return "\n".join(lines) + "\n" + FOUND + MEASURE


def gpu_columns(results: Results) -> list[str]:
    return [name for name in results["columns"] if name not in ("numpy", "PyTorch")]


def differing(results: Results) -> list[str]:
    """Which rows do not give the same bits on all GPU columns."""
    gpus = gpu_columns(results)
    if len(gpus) < 2:
        return []
    unequal = [
        op
        for op, row in results["rows"].items()
        if any(record["different"] for name, record in row["records"].items() if name in gpus)
    ]
    lines = ["## Same bits on different drivers", ""]
    where = " and ".join(gpus)
    total = len(results["rows"])
    if not unequal:
        lines.append(f"All {total} rows give the same bits on {where}, denormals and what NaNs carry apart.")
    else:
        lines.append(
            f"Of {total} rows {total - len(unequal)} give the same bits on {where}, denormals and what NaNs carry"
        )
        lines.append("apart. These do not: " + ", ".join(f"`{op}`" for op in unequal) + ".")
        lines.append("(Where an intermediate result is a denormal, a driver that takes it for 0 gives another result.)")
    return lines


def read(path: pathlib.Path) -> Results:
    """The results in a JSON file; none when there is no file."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(path: pathlib.Path, results: Results) -> None:
    """Write JSON, or for a .md file the page and the JSON beside it."""
    from ..files import write_atomically

    lines = json.dumps({**results, "rows": None}, indent=1)
    body = ",\n".join(f"  {json.dumps(op)}: {json.dumps(row)}" for op, row in results["rows"].items())
    text = lines.replace('"rows": null', f'"rows": {{\n{body}\n }}') + "\n"
    write_atomically(path.with_suffix(".json"), text)
    if path.suffix == ".md":
        write_atomically(path, page(results))
