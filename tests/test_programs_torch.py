"""The programs of tests/programs_torch are PyTorch programs. They run unchanged under `python -m webtorch run`, on both
devices, and report the losses that PyTorch reports for the same weights (tests/record_programs.py writes those down)."""

import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE / "programs_torch"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("seeded", "run_all"))
if importlib.util.find_spec("webtorch.distributions") is None:
    PROGRAMS.remove("policy_gradient")  # it is built on that module
GOLDENS = json.loads((HERE / "goldens" / "programs_torch.json").read_text("utf-8"))
FAMILIES = 15  # at least


# The programs that share a process: a process takes a second to begin, and programs share most of their kernels.
TOGETHER = 5


def run_under_runner(device, *words):
    """The lines that a program prints, run on a device by `python -m webtorch run`."""
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "webtorch", "run", "--device", device, *words]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def check(ours, golden):
    assert ours.keys() == golden.keys()
    for name, wanted in golden.items():
        # bfloat16 has eight bits, and which products are rounded when differs.
        tolerance = 2e-2 if name.endswith("sixteen_bits") else 5e-5
        assert len(ours[name]) == len(wanted)
        for one, other in zip(ours[name], wanted, strict=True):
            assert math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance / 10), (name, ours[name], wanted)


@pytest.mark.parametrize("first", range(0, len(PROGRAMS), TOGETHER), ids=lambda first: PROGRAMS[first])
def test_losses_are_those_of_pytorch(first, device):
    programs = PROGRAMS[first : first + TOGETHER]
    results = list(map(json.loads, run_under_runner(device, str(FOLDER / "run_all.py"), *programs)))
    assert [result["program"] for result in results] == programs
    for result in results:
        assert "error" not in result, f"{result['program']}:\n{result['error']}"
        check(result["reported"], GOLDENS[result["program"]])


def test_a_program_in_a_process_of_its_own(device):
    check(json.loads(run_under_runner(device, str(FOLDER / "mlp_blobs.py"))[-1]), GOLDENS["mlp_blobs"])


def test_every_program_has_a_golden():
    assert set(GOLDENS) >= set(PROGRAMS) and len(PROGRAMS) >= FAMILIES


def test_goldens_are_what_pytorch_reports():
    pytest.importorskip("torch")
    command = [sys.executable, str(FOLDER / "run_all.py"), "cnn", "gpt", "resume"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    for result in map(json.loads, run.stdout.splitlines()):
        check(result["reported"], GOLDENS[result["program"]])
