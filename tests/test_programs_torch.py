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
PROGRAMS = sorted(
    path.stem for path in (HERE / "programs_torch").glob("*.py") if path.stem not in ("seeded", "run_all")
)
if importlib.util.find_spec("webtorch.distributions") is None:
    PROGRAMS.remove("policy_gradient")  # it is built on that module
GOLDENS = json.loads((HERE / "goldens" / "programs_torch.json").read_text("utf-8"))
FAMILIES = 15  # at least


def reported(program, device):
    """What a program prints at the end, run on a device by a process of its own, as a user would."""
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [
        sys.executable,
        "-m",
        "webtorch",
        "run",
        "--device",
        device,
        str(HERE / "programs_torch" / f"{program}.py"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}, timeout=600)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def check(ours, golden):
    assert ours.keys() == golden.keys()
    for name, wanted in golden.items():
        # bfloat16 has eight bits, and which products are rounded when differs.
        tolerance = 2e-2 if name.endswith("sixteen_bits") else 5e-5
        assert len(ours[name]) == len(wanted)
        for one, other in zip(ours[name], wanted, strict=True):
            assert math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance / 10), (name, ours[name], wanted)


@pytest.mark.parametrize("program", PROGRAMS)
def test_losses_are_those_of_pytorch(program, device):
    check(reported(program, device), GOLDENS[program])


def test_every_program_has_a_golden():
    assert set(GOLDENS) >= set(PROGRAMS) and len(PROGRAMS) >= FAMILIES


def test_goldens_are_what_pytorch_reports():
    pytest.importorskip("torch")
    command = [sys.executable, str(HERE / "programs_torch" / "run_all.py"), "cnn", "gpt", "resume"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    for result in map(json.loads, run.stdout.splitlines()):
        check(result["reported"], GOLDENS[result["program"]])
