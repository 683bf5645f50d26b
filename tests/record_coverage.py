"""Measures which functions of the index run where, in which dtypes, and which are differentiable, by calling each, and looks
up which test files use them.

    python tests/record_coverage.py              (some minutes; needs an adapter)
    python tests/record_coverage.py fft ifft     (only these, and those that were never measured)
    python tests/record_coverage.py --tests      (only which test files use each name)

Writes webtorch/registry/coverage.csv and docs/coverage.md.
"""

import csv
import pathlib
import sys
import warnings

import index_calls
import name_uses
from index_calls import DTYPES, INDEX, Maker, call_of

import webtorch
from webtorch.registry import coverage

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "coverage.md"


def outcome(call, maker: Maker):
    """What a call gives, or the exception that it raises."""
    webtorch.manual_seed(1)
    try:
        result = call(maker)
        index_calls.leaves(result)  # reads it: what was only recorded may still fail
        return result
    except Exception as error:
        return error


def measured(name: str, device: str, among: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The dtypes in which a function runs on a device; ("*",) where no dtype plays a part."""
    call = call_of(name)
    if call is None:
        return ()
    found = []
    for dtype in among or DTYPES:
        maker = Maker(device, dtype)
        result = outcome(call, maker)
        if not isinstance(result, Exception):
            if not maker.used:
                return ("*",)
            found.append(dtype)
        elif not maker.used:
            return ()
    return tuple(found)


def differentiable(name: str) -> str:
    """Whether the result of a call on float32 tensors that require grad does."""
    maker = Maker("cpu", "float32", requires_grad=True)
    result = outcome(call_of(name), maker)
    if isinstance(result, Exception) or not maker.made:
        return ""
    return "yes" if index_calls.requires_grad(result) else "no"


def rows(wanted: set[str]):
    """The rows of the record; with `wanted`, what was measured of other names as it is."""
    with coverage.FILE.open(encoding="utf-8", newline="") as file:
        before = {(row["module"], row["name"]): row for row in csv.DictReader(file)} if wanted else {}
    tests = name_uses.uses(entry["name"] for entry in INDEX)
    for entry in INDEX:
        name, kind = entry["name"], entry["kind"]
        module = "webtorch.autograd" if entry["module"] == "torch.autograd" else "webtorch"
        used = " ".join(file.removeprefix("test_").removesuffix(".py") for file in tests[name])
        if (module, name) in before and name not in wanted:
            yield {**before[module, name], "tests": used}
            continue
        row = dict.fromkeys(coverage.COLUMNS, "")
        row |= {"module": module, "name": name, "kind": kind, "tests": used}
        if kind == "function" and call_of(name) is not None:
            on_cpu = measured(name, "cpu")
            row["cpu"] = " ".join(on_cpu)
            row["webgpu"] = " ".join(measured(name, "webgpu", () if "*" in on_cpu else on_cpu))
            row["differentiable"] = differentiable(name)
        elif kind in ("registry", "class"):
            row["cpu"] = row["webgpu"] = "*"
        elif kind == "error_type":
            row["note"] = webtorch.errors.CODES[name].__name__
        elif kind == "type":
            row["note"] = webtorch.types.meaning(name)
        yield row


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    made = list(rows(set(sys.argv[1:])))
    with coverage.FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, coverage.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)
    coverage.recorded.cache_clear()
    coverage.measured.cache_clear()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(coverage.page(), "utf-8")
    print(f"{coverage.FILE}\n{PAGE}")
