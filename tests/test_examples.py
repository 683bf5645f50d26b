"""Each file in examples/ is run as a user runs it, on each device, and what it shows is checked."""

import argparse
import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys
import zlib

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
        timeout=900,  # only a program that hangs needs as long: SwiftShader takes minutes over some
        check=False,
    )
    assert done.returncode == 0, f"{name} on {device}:\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    return done.stdout


def test_every_example_is_tested():
    """The modules that others import, "digit_images.py" and "showing.py", are tested with them."""
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


def module_of(name: str):
    """An example as a module; those that it imports lie beside it."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(EXAMPLES))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(EXAMPLES))
    return module


@pytest.fixture
def digits():
    """examples/digits.py as a module; the default device is put back afterwards."""
    yield module_of("digits")
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


# ---- programs as they are written for PyTorch --------------------------------------------------------------------------


def losses_in(printed: str) -> list[float]:
    """The numbers behind the word loss, in the order in which they are printed."""
    return [float(number) for number in re.findall(r"loss ([\d.]+)", printed)]


def shape_of_png(path: pathlib.Path) -> tuple[int, int, int]:
    """Height, width and bytes per pixel, read with nothing of the examples'; each line of pixels must be there."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, {}
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert int.from_bytes(content[at + 8 + length : at + 12 + length], "big") == zlib.crc32(kind + body)
        found[kind] = body
        at += 12 + length
    width, height = (int.from_bytes(found[b"IHDR"][place : place + 4], "big") for place in (0, 4))
    depth = {0: 1, 2: 3}[found[b"IHDR"][9]]
    assert len(zlib.decompress(found[b"IDAT"])) == height * (1 + width * depth)
    return height, width, depth


def test_sonnets_are_whole():
    sonnets = (EXAMPLES / "data" / "sonnets.txt").read_text("ascii").rstrip("\n").split("\n\n")
    lines = [len(sonnet.split("\n")) for sonnet in sonnets]
    assert len(lines) == 154 and {at + 1: count for at, count in enumerate(lines) if count != 14} == {99: 15, 126: 12}
    assert sonnets[17].startswith("Shall I compare thee to a summer's day?\n")


@pytest.mark.slow
def test_gpt(device):
    printed = run("gpt.py", device, "--quick", "--prompt", "When I")
    before, *_, after = losses_in(printed)
    assert 4.0 < before < 4.5 and 2 < after < before - 0.7
    written = printed.split("----\n")[1]
    assert written.startswith("When I") and len(written.rstrip("\n")) > 20


def test_gpt_sees_no_letter_that_comes_later(device):
    gpt = module_of("gpt")
    with webtorch.device(device):
        webtorch.manual_seed(0)
        model = gpt.GPT(10, 8, width=16, heads=2, layers=1).eval()
        letters = webtorch.tensor([[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 9, 9, 9, 9]])
        scores = webtorch.no_grad(lambda: model(letters)).numpy()
    np.testing.assert_allclose(scores[0, :4], scores[1, :4], rtol=1e-5, atol=1e-6)
    assert np.abs(scores[0, 4:] - scores[1, 4:]).max() > 1e-2


@pytest.mark.slow
def test_resnet(device, tmp_path):
    printed = run("resnet.py", device, "--quick", "--out", tmp_path)
    losses = losses_in(printed)
    assert losses[0] > 2.2 > losses[-1]
    rows = [line.split() for line in printed.splitlines() if re.match(r" +\d ", line)]
    counts = np.array([[0 if count == "." else int(count) for count in row[1:]] for row in rows])
    assert counts.shape == (10, 10) and counts.sum() == 120
    accuracy = float(re.search(r"held-out accuracy ([\d.]+) %", printed)[1])
    assert accuracy == pytest.approx(100 * np.trace(counts) / 120, abs=0.01)
    assert shape_of_png(tmp_path / "resnet.png")[1:] == (502, 1)


@pytest.mark.slow
def test_lstm(device, tmp_path):
    printed = run("lstm.py", device, "--quick", "--out", tmp_path)
    last, first = losses_in(printed.split("done in")[1].replace("at first", "loss"))
    assert 0 < last < first
    error, still = map(
        float, re.search(r"off by ([\d.]+); repeating the last value is off by ([\d.]+)", printed).groups()
    )
    assert error < still
    assert shape_of_png(tmp_path / "lstm.png") == (4 * 150 + 3 * 6, 800, 3)


@pytest.mark.slow
def test_vae(device, tmp_path):
    printed = run("vae.py", device, "--quick", "--out", tmp_path)
    before, *_, after = losses_in(printed)
    assert before > 44 and after < 30
    assert shape_of_png(tmp_path / "vae.png") == (5 * 42 + 2, 16 * 42 + 2, 1)


def test_load_checkpoint(device, tmp_path):
    printed = run("load_checkpoint.py", device, "--out", tmp_path)
    assert "<All keys matched successfully>" in printed
    assert float(re.search(r"differ by ([\d.e+-]+) at most", printed)[1]) < 1e-4
    here, there = re.search(r"held-out accuracy ([\d.]+) %; PyTorch had ([\d.]+) %", printed).groups()
    assert here == there and float(here) > 97


@pytest.mark.slow
def test_finetune(device, tmp_path):
    """A run that was interrupted and one that was not end with the same bits, on each device."""
    printed = run("finetune.py", device, "--quick", "--out", tmp_path)
    resumed, whole = re.findall(r"run: +([0-9a-f]{64})", printed)
    assert resumed == whole
    losses = losses_in(printed)
    assert losses[:2] == losses[2:] and losses[1] < losses[0] < 0.69
    if device == "cpu":
        # The checkpoint is of the last epoch: to go on from there is to end at once, with the same weights.
        again = run("finetune.py", device, "--quick", "--resume", "--out", tmp_path)
        assert "epoch 2/2" not in again and again.rstrip().endswith(resumed)


def test_finetune_with_another_plan(tmp_path):
    """A checkpoint says which run it is of: one with other epochs has another schedule, and is refused."""
    finetune = module_of("finetune")
    with webtorch.device("cpu"):
        finetune.Run(argparse.Namespace(seed=0, epochs=2)).save(tmp_path / "two.pt")
        with pytest.raises(SystemExit, match="--epochs 2"):
            finetune.Run(argparse.Namespace(seed=0, epochs=3)).restore(tmp_path / "two.pt")


UNDER_PYTORCH = """
import runpy, sys
import torch
for name in ("", ".nn", ".nn.utils", ".nn.utils.rnn"):
    __import__("torch" + name)
    sys.modules["webtorch" + name] = sys.modules["torch" + name]
torch.set_num_threads(1)
folder, out = sys.argv[1:]
sys.path.insert(0, folder)
for name in ("gpt", "resnet", "lstm", "vae", "load_checkpoint", "finetune"):
    sys.argv = [name, "--quick"] + ([] if name == "gpt" else ["--out", out])
    print("==", name)
    runpy.run_path(f"{folder}/{name}.py", run_name="__main__")
"""


@pytest.mark.slow
def test_they_are_programs_for_pytorch(tmp_path):
    """With PyTorch under webtorch's name they run to the end, and learn as well."""
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", UNDER_PYTORCH, str(EXAMPLES), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    gpt, resnet, lstm, vae, load_checkpoint, finetune = done.stdout.split("== ")[1:]
    for printed in (gpt, resnet, vae):
        first, *_, last = losses_in(printed)
        assert last < first
    assert "off by" in lstm and "differ by 0.0e+00" in load_checkpoint and "bit for bit" in finetune


def test_pictures(tmp_path):
    """What "showing.py" draws is what was asked for, and it writes nothing but pictures."""
    showing = module_of("showing")
    showing.save_png(tmp_path / "new" / "picture.png", np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert shape_of_png(tmp_path / "new" / "picture.png") == (2, 2, 3)
    with pytest.raises(ValueError, match="float32"):
        showing.save_png(tmp_path / "picture.png", np.zeros((2, 2), np.float32))
    assert not (tmp_path / "picture.png").exists()
    drawn = showing.grid(np.stack([np.zeros((2, 3)), np.ones((2, 3)), np.full((2, 3), 0.5)]), columns=2, scale=2, gap=1)
    assert drawn.shape == (2 * 5 + 1, 2 * 7 + 1)
    assert drawn[1, 1] == 255 and drawn[1, 8] == 0 and drawn[6, 1] == 128 and drawn[6, 8] == drawn[0, 0] == 160
    rising = (showing.plot([0, 1, 2], size=(30, 60)) != 255).any(2)
    assert rising[:, 0].nonzero()[0].min() > rising[:, -1].nonzero()[0].max()  # from the bottom left to the top right
