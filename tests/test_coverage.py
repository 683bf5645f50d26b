"""Every name of the torch.js index is there, is no stub, works on both devices, and stands in the coverage report."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys
import textwrap

import name_uses
import numpy as np
import pytest
import record_coverage
from index_calls import INDEX, Maker, call_of, leaves

import webtorch
from webtorch import engine
from webtorch.backends.wgpu import get_device
from webtorch.registry import coverage

TESTS = pathlib.Path(__file__).parent

# What is still to be written. It may only shrink, and is to be empty.
MISSING: set[str] = set()

CALLABLE = [entry for entry in INDEX if entry["kind"] in ("function", "registry", "class")]
FUNCTIONS = sorted({entry["name"] for entry in INDEX if entry["kind"] == "function"})


def found(entry):
    return getattr(webtorch.autograd if entry["module"] == "torch.autograd" else webtorch, entry["name"], None)


def test_the_list_is_whole():
    kinds = [entry["kind"] for entry in INDEX]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert counts == {"class": 12, "error_type": 55, "function": 448, "registry": 57, "type": 364}


def test_every_name_exists():
    missing = {entry["name"] for entry in CALLABLE if found(entry) is None}
    assert missing <= MISSING
    assert all(callable(found(entry)) for entry in CALLABLE if entry["name"] not in missing)


def is_stub(function) -> bool:
    """Whether a function's body does nothing, or only raises NotImplementedError."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        return False
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    body = [line for line in tree.body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
    if all(isinstance(line, ast.Pass) for line in body):
        return True
    return len(body) == 1 and isinstance(body[0], ast.Raise) and "NotImplementedError" in ast.dump(body[0])


def test_no_name_is_a_stub():
    assert is_stub(webtorch.autograd.Function.forward) and not is_stub(webtorch.cat)
    stubs = {entry["name"] for entry in CALLABLE if found(entry) is not None and is_stub(found(entry))}
    # There is nothing for them to do: autocast's cache, and CUDA's profiler.
    assert stubs <= {"clear_autocast_cache", "profiler_allow_cudagraph_cupti_lazy_reinit_cuda12"}


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in MISSING])
def test_the_devices_agree(name):
    """A call of each function, in float32, or in int64 where it is for integers: what webgpu gives is what numpy gives."""
    call = call_of(name)
    assert call is not None, f"{name} has no call in index_calls.py"
    row = coverage.measured()[name]
    dtype = next((each for each in ("float32", "int64", "complex64", "bool") if each in row["cpu"]), "float32")
    results = []
    for device in ("cpu", "webgpu"):
        webtorch.manual_seed(1)
        try:
            results.append(leaves(call(Maker(device, dtype))))
        except webtorch.errors.DTypeError as error:
            # What is always float64, as in PyTorch, cannot be on an adapter without it: the error has to say so.
            assert device == "webgpu" and {each.dtype for each in results[0]} == {np.dtype("float64")}
            assert "no shader-f64 feature" in str(error) and "device='cpu'" in str(error)
            assert "shader-f64" not in engine.limits_of(get_device()).features
            return
    for wanted, got in zip(*results, strict=True):
        if isinstance(wanted, np.ndarray):
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
        else:
            assert got == wanted


def test_every_name_of_the_registry_is_in_a_test():
    """Those are tested in files of their own; the names are looked for there."""
    files = ("test_extending.py", "test_error_codes.py", "test_types.py", "test_registry_names.py", "test_devices.py")
    files += (pathlib.Path(__file__).name,)
    text = "\n".join((TESTS / name).read_text("utf-8") for name in files)
    untested = [
        entry["name"] for entry in INDEX if entry["kind"] == "registry" and not re.search(rf"\b{entry['name']}\b", text)
    ]
    assert not untested


# ---- the report -----------------------------------------------------------------------------------------------------


def test_the_report_lists_the_index():
    report = webtorch.coverage_report()
    assert webtorch.coverageReport is webtorch.coverage_report
    listed = [(row["module"].replace("webtorch", "torch"), row["name"], row["kind"]) for row in report["names"]]
    assert sorted(listed) == sorted((entry["module"], entry["name"], entry["kind"]) for entry in INDEX)
    assert report["counts"]["function"] == 448


def test_the_page_is_up_to_date():
    assert record_coverage.PAGE.read_text("utf-8") == coverage.page(), "run python tests/record_coverage.py"


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_the_record_says_what_happens_on_the_cpu(dtype):
    wrong = []
    for name in FUNCTIONS:
        row = coverage.measured()[name]
        call = call_of(name)
        if call is None or "*" in row["cpu"] or not row["cpu"]:
            continue
        worked = not isinstance(record_coverage.outcome(call, Maker("cpu", dtype)), Exception)
        if worked != (dtype in row["cpu"]):
            wrong.append((name, worked))
    assert not wrong, "run python tests/record_coverage.py"


def test_every_name_is_in_a_test():
    """The record of tests, which is read off them and may lag behind: it names files that are there."""
    rows = webtorch.coverage_report()["names"]
    assert not [row["name"] for row in rows if not row["tests"] and not row["custom"]]
    missing = {file for row in rows for file in row["tests"] if not (TESTS.parent / file).exists()}
    assert not missing, "run python tests/record_coverage.py --tests"


def test_uses_are_read_off_the_text():
    known = frozenset(("tanh", "sinc", "add", "cat", "sqrt", "exp"))
    program = """
        import numpy as np, webtorch
        from webtorch.nn import cat
        def test(x, seen):
            "sqrt"
            seen.add(np.exp(x)), webtorch.add(x, x.tanh())
            return "the sinc of"
    """
    assert name_uses.names_in(textwrap.dedent(program), known) == {"sqrt", "add", "tanh", "cat"}
    assert "add" not in name_uses.names_in("seen.add(1)", known)
    assert name_uses.names_in("run('tanh sinc')", known) == {"tanh", "sinc"}


def test_what_is_differentiable():
    known = {row["name"]: row["differentiable"] for row in coverage.measured().values()}
    assert known["tanh"] is known["matmul"] is known["cat"] is known["sort"] is True
    assert known["argmax"] is known["eq"] is known["zeros_like"] is False
    assert known["get_printoptions"] is None


def test_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "webtorch", "coverage", "tanh"], capture_output=True, text=True, timeout=120, check=True
    )
    assert re.match(r"webtorch\.tanh +function +cpu: all.*; webgpu: .*differentiable", done.stdout)
