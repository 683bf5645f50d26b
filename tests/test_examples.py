"""Each file in examples/ is run as a user runs it, on each device, and what it shows is checked."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def run(name: str, device: str, *arguments: object, folder: pathlib.Path = ROOT) -> str:
    """What the example prints; the test fails with all it said when it does not end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(EXAMPLES / name), *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"WEBTORCH_DEVICE": device, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{name} on {device}:\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    return done.stdout


def test_every_example_is_tested():
    text = pathlib.Path(__file__).read_text("utf-8")
    assert not [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in text]


def test_add(device):
    lines = run("add.py", device).splitlines()
    assert lines[0].startswith(f"on {device}")
    shown = [re.findall(r"-?\d+\.", line) for line in lines[1:7]]
    assert shown == [["11.", "22.", "33."], ["14.", "25.", "36."]] * 3
    assert float(lines[7]) == 141.0


def test_see_the_kernel(device):
    printed = run("see_the_kernel.py", device)
    values = [float(number) for number in re.search(r"tensor\(\[(.*?)\]", printed)[1].split(",")]
    assert values == pytest.approx([1.2449, 0.0, 12.3312, 25.7195], abs=1e-4)
    if device == "webgpu":
        assert printed.count("@compute") == 1 and printed.rstrip().endswith("1 kernel on webgpu")
        assert "relu float32[4] pending" in printed
    else:
        assert "@compute" not in printed and printed.rstrip().endswith("no kernels")


def test_linear_regression(device):
    lines = run("linear_regression.py", device).splitlines()
    losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in lines[:-1]]
    assert len(losses) == 6 and losses[0] > 5 and losses[-1] < 0.02 and losses == sorted(losses, reverse=True)
    found = re.match(rf"found y = ([\d.]+) x ([-+][\d.]+) on {device}", lines[-1])
    assert float(found[1]) == pytest.approx(3, abs=0.05) and float(found[2]) == pytest.approx(-2, abs=0.05)


def test_grad_modes(device):
    lines = run("grad_modes.py", device).splitlines()
    answers = [re.search(r"\b(True|False)\b", line[30:])[1] for line in lines[:-1]]
    assert answers == ["True", "False", "False", "True", "True", "False", "False"]
    assert "[2., 4., 6.]" in lines[-1]


def test_own_op(device):
    x = [-1.0, 0.0, 0.5, 2.0]
    lines = run("own_op.py", device).splitlines()
    shown = [[float(number) for number in re.findall(r"-?\d+\.\d+", line)] for line in lines]
    bell = [2.718281828 ** (-v * v) for v in x]
    assert shown[0] == pytest.approx([3 * b + 1 for b in bell], abs=1e-4)
    assert lines[1].split()[-1] == ("1" if device == "webgpu" else "numpy")
    assert shown[2] == pytest.approx([-2 * v * b for v, b in zip(x, bell)], abs=1e-4)
    assert shown[3] == pytest.approx([(4 * v * v - 2) * b for v, b in zip(x, bell)], abs=1e-4)
