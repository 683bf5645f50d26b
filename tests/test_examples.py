"""Each file in examples/ is run as a user runs it, on each device, and what it shows is checked."""

import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import webtorch

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


# ---- the main job ---------------------------------------------------------------------------------------------------


@pytest.fixture
def digits():
    """examples/digits.py as a module; the default device is put back afterwards."""
    specification = importlib.util.spec_from_file_location("digits", EXAMPLES / "digits.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    yield module
    webtorch.set_default_device(None)


@pytest.mark.slow
def test_digits(device, tmp_path):
    """The README's demo: at least 97 % of the held-out digits, weights that can be loaded again, a picture."""
    pytest.importorskip("matplotlib")
    printed = run("digits.py", device, "--out", tmp_path / "made" / "here")
    lines = printed.splitlines()
    assert lines[0] == f"device: {webtorch.device(device)} (WEBTORCH_DEVICE={device})"
    assert lines[1] == "data: 1437 images to learn from, 360 held out"
    epochs = [line for line in lines if line.startswith("epoch")]
    assert len(epochs) == 12 and "\r" not in printed
    losses = [float(re.search(r"loss ([\d.]+)", line)[1]) for line in epochs]
    accuracies = [float(re.search(r"accuracy ([\d.]+) %", line)[1]) for line in epochs]
    assert losses[0] > 1 and losses[-1] < 0.1
    assert accuracies[-1] >= 97
    assert any(line.endswith(f"loaded again they give the same {accuracies[-1]:.2f} %") for line in lines)
    picture = tmp_path / "made" / "here" / "digits.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    with np.load(tmp_path / "made" / "here" / "digits.npz", allow_pickle=False) as weights:
        assert weights["0.weight"].shape == (16, 1, 3, 3) and weights["9.bias"].shape == (10,)


@pytest.mark.gpu
def test_digits_learns_the_same_on_every_device(digits):
    """The same seed: the same split, the same first weights and dropout, the same losses up to rounding."""

    def losses(device):
        webtorch.set_default_device(device)
        images, labels, *_ = digits.load()
        webtorch.manual_seed(5)
        model = digits.network()
        optimizer, schedule = digits.teacher(model, 20)
        found = digits.train_epoch(model, optimizer, schedule, images[:320], labels[:320])
        found += digits.train_epoch(model, optimizer, schedule, images[320:640], labels[320:640])
        return found, digits.read(model, images[:100]).tolist()

    (on_cpu, read_on_cpu), (on_gpu, read_on_gpu) = losses("cpu"), losses("webgpu")
    assert len(on_cpu) == 20 and on_cpu[-1] < on_cpu[0]
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3)
    assert read_on_gpu == read_on_cpu


def test_digits_learns_the_same_again(digits):
    webtorch.set_default_device("cpu")
    curves = []
    for seed in (1, 1, 2):
        images, labels, *_ = digits.load()
        webtorch.manual_seed(seed)
        model = digits.network()
        curves.append(digits.train_epoch(model, *digits.teacher(model, 3), images[:96], labels[:96]))
    assert curves[0] == curves[1] != curves[2]


def test_digits_without_matplotlib(tmp_path):
    program = (
        "import runpy, sys\n"
        "sys.modules['matplotlib'] = None  # importing it raises ImportError\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(EXAMPLES / "digits.py"), "--device", "cpu", "--epochs", "1", "--out", str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pip install matplotlib" in done.stdout and (tmp_path / "digits.npz").is_file()
    assert not (tmp_path / "digits.png").exists()


def test_progress_bar(digits, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    bar = digits.Progress("epoch", 2)
    for _ in range(2):
        bar.advance("loss 1.0000")
    bar.finish("loss 0.5000   held-out accuracy 90.00 %")
    *drawn, last = sys.stdout.getvalue().split("\r")
    assert "2/2" in drawn[-1] and "[########################]" in drawn[-1]
    assert last.endswith("accuracy 90.00 %\n") and len(last) > len(drawn[-1].rstrip())  # it covers what was there
