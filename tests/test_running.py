"""`python -m webtorch run`: what a program sees of its arguments and imports, what it is told of names that are missing, the
report; and how much of what public programs use (tests/programs_use.csv) is there."""

import csv
import importlib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

import webtorch
from webtorch import devices
from webtorch.running import importing, report

HERE = pathlib.Path(__file__).resolve().parent
USED = {row["name"]: int(row["programs"]) for row in csv.DictReader((HERE / "programs_use.csv").open())}
NO_NAME = {"torch.optim.step"}  # a program's own mistake: PyTorch has no such name either


def run(folder, *words, device="cpu", options=(), code=None):
    """Run `code` in a file of `folder` under the runner; returns the finished process."""
    if code is not None:
        (folder / "program.py").write_text(textwrap.dedent(code), "utf-8")
    settings = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONWARNINGS": "ignore", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "webtorch", "run", "--device", device, *options, *(words or ["program.py"])]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=settings, timeout=300)


# ---- the names that programs use ------------------------------------------------------------------------------------


def find(name):
    """What a name of PyTorch is in webtorch, submodules included; raises where it is missing."""
    first, *rest = name.split(".")
    value, path = (webtorch.Tensor, "webtorch.Tensor") if first == "Tensor" else (webtorch, "webtorch")
    for part in rest:
        path = f"{path}.{part}"
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(importing.PLACES.get(path.replace("web", "", 1), path))
    return value


def coverage():
    missing = []
    for name in USED:
        try:
            find(name)
        except (AttributeError, ImportError):
            missing.append(name)
    return missing


def test_what_programs_use_is_there():
    assert len(USED) == 510 and list(USED.values()) == sorted(USED.values(), reverse=True)
    missing = set(coverage()) - NO_NAME
    print(f"{len(USED) - len(NO_NAME) - len(missing)} of {len(USED)}")
    if importlib.util.find_spec("webtorch.distributions") is None:
        missing = {name for name in missing if not name.startswith("torch.distributions.")}
    assert not missing


# ---- running --------------------------------------------------------------------------------------------------------

PROGRAM = """
    import sys
    import torch, torch.nn as nn, torch.nn.functional as F
    import torch.backends.cudnn as cudnn
    import torch.optim.adam
    from torch import Tensor, cuda
    from torch.autograd import Variable
    from torch.cuda.amp import autocast
    from torch.nn import Linear, functional
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.optim.lr_scheduler import StepLR
    from neighbour import answer

    assert __name__ == "__main__" and __file__ == "program.py" and sys.modules["__main__"].answer == answer == 42
    assert sys.argv == ["program.py", "--lr", "3", "-m", "--report"], sys.argv
    assert sys.modules["torch.nn"] is nn is torch.nn and functional is F and nn.__name__ == "webtorch.nn"
    assert torch.__version__ >= "2.4" and torch.version.cuda is None
    cudnn.benchmark = True
    assert torch.backends.cudnn.benchmark and not cudnn.is_available()
    device = torch.device("cuda:0")
    x = torch.ones(2, 3, device="mps", requires_grad=True)
    assert x.device == device == torch.ones(1).cuda().device == torch.ones(1).to(0).device
    assert x.is_cuda == cuda.is_available() and torch.zeros(1).device == torch.device("cpu")
    assert cuda.is_available() == (torch.accelerator.current_accelerator() is not None) == (cuda.device_count() == 1)
    assert isinstance(torch.FloatTensor([1, 2]), torch.FloatTensor) and isinstance(x, (Variable, Tensor))
    with torch.autocast(device.type, enabled=False):
        F.relu(Linear(3, 2).to("cuda")(x)).sum().backward()
    print("found", device.type, torch.cuda.is_available())
    sys.exit(7)
"""


def test_a_program_runs_as_python_would_run_it(tmp_path, device):
    (tmp_path / "neighbour.py").write_text("answer = 42\n", "utf-8")
    done = run(tmp_path, "program.py", "--lr", "3", "-m", "--report", device=device, code=PROGRAM)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == f"found {device} {device == 'webgpu'}\n"


def test_a_module_of_a_package_runs(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("", "utf-8")
    (tmp_path / "package" / "parts.py").write_text("import torch\nname = torch.ones(2).sum().item()\n", "utf-8")
    (tmp_path / "package" / "train.py").write_text(
        "import sys\nfrom .parts import name\nprint(name, sys.argv[1:], __name__, __package__)\n", "utf-8"
    )
    done = run(tmp_path, "-m", "package.train", "--device", "x")
    assert (done.returncode, done.stdout) == (0, "2.0 ['--device', 'x'] __main__ package\n"), done.stderr


def test_a_traceback_is_the_programs_own(tmp_path):
    done = run(tmp_path, code="import torch\ndef f():\n    torch.ones(2).summ()\nf()\n")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "program.py", line 4, in <module>' and "running" not in "".join(lines[:-1])
    assert "AttributeError: 'Tensor' object has no attribute 'summ'" in lines
    assert lines[-1].startswith("Tensor.summ: webtorch") and "Did you mean 'sum'?" in lines[-1]


def test_a_file_that_is_missing_or_wrong(tmp_path):
    done = run(tmp_path, "nowhere.py")
    assert done.returncode == 2 and "can't open file 'nowhere.py'" in done.stderr and "Traceback" not in done.stderr
    done = run(tmp_path, code="x = (\n")
    assert done.returncode == 1 and "SyntaxError" in done.stderr and "running" not in done.stderr


MISSING = """
    def told(statement):
        try:
            exec(statement)
        except (AttributeError, ImportError) as error:
            print(isinstance(error, NotImplementedError), error)

    told("import torch; torch.fromnumpy")
    told("import torch.nn as nn; nn.Liner")
    told("from torch.nn import Liner")
    told("from torch import float23")
    told("import torch.fx")
    told("import torch; torch.jit.save(1, 2)")
    told("import torch.distributed as dist; dist.is_available() or dist.init_process_group('nccl')")
    told("import torchvision")
"""


def test_a_missing_name_is_named_with_what_comes_closest(tmp_path):
    done = run(tmp_path, code=MISSING)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 8, done.stderr
    closest = ("from_numpy", "Linear", "Linear", "float32")
    names = ("torch.fromnumpy", "torch.nn.Liner", "torch.nn.Liner", "torch.float23")
    for line, name, near in zip(lines, names, closest, strict=False):
        assert line.startswith(f"True {name}: webtorch {webtorch.__version__} has no such name. Did you mean {near!r}?")
        assert "open an issue" in line and "--report" in line
    assert lines[4].startswith("True torch.fx: ") and "TorchScript" in lines[5] and "process groups" in lines[6]
    assert lines[7].startswith("False No module named 'torchvision': webtorch comes without it")


def test_a_spawned_process_finds_torch_too(tmp_path):
    code = """
        import multiprocessing
        import torch

        def child(queue):
            queue.put((torch.__name__, torch.ones(3).sum().item(), str(torch.zeros(1).device)))

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            print(queue.get(timeout=120))
            process.join()
    """
    done = run(tmp_path, code=code)
    assert done.stdout == "('torch', 3.0, 'cpu')\n", done.stderr


LOADER = """
    import os
    import torch
    from torch.utils.data import DataLoader, Dataset, get_worker_info

    class Rows(Dataset):
        def __init__(self, ends=None):
            self.rows, self.ends = torch.arange(8.0).reshape(4, 2), ends

        def __len__(self):
            return 4

        def __getitem__(self, number):
            import torch.nn.functional as F  # found in the worker, too
            if self.ends == "at once" and number == 2:
                os._exit(3)
            if self.ends == "with an error" and number == 2:
                torch.zeros(2) + torch.zeros(3)
            made = F.relu(torch.ones(2))
            return self.rows[number] + made, get_worker_info().id, f"{torch.__name__} {made.device} {made.is_cuda}"

    if __name__ == "__main__":
        for rows, workers, where in DataLoader(Rows(), 2, num_workers=2):
            print(rows.tolist(), rows.device.type, workers.tolist(), *where, flush=True)
        try:
            list(DataLoader(Rows("with an error"), 1, num_workers=1))
        except RuntimeError as error:
            print(error, flush=True)
        list(DataLoader(Rows("at once"), 1, num_workers=1))
"""


def test_workers_of_a_loader(tmp_path, device, monkeypatch):
    """In them torch is webtorch and makes its tensors on the cpu, whatever the default is; one that dies is an error of the
    program's; and no file of theirs is left."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    done = run(tmp_path, device=device, options=["--default-device", device], code=LOADER)
    first, second, *told = done.stdout.splitlines()
    there = " ".join(["torch cpu False"] * 2)
    assert first == f"[[1.0, 2.0], [3.0, 4.0]] {device} [0, 0] {there}", done.stderr
    assert second == f"[[5.0, 6.0], [7.0, 8.0]] {device} [1, 1] {there}"
    assert told[0] == "Caught ShapeError in DataLoader worker process 0." and "program.py" in "".join(told)
    dead = r"RuntimeError: DataLoader worker 0 \(pid \d+\) exited unexpectedly: it exited with status 3\."
    assert done.returncode == 1 and re.match(dead, done.stderr.splitlines()[-1])
    assert not [path.name for path in (tmp_path / "temporary").iterdir() if path.name.startswith("webtorch-")]


def test_torch_means_webtorch_only_there():
    code = "import webtorch.running, importlib.util as u; s = u.find_spec('torch'); print(s is None or 'webtorch' not in str(s))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE.parent, timeout=100)
    assert done.stdout == "True\n", done.stderr


# ---- the report -----------------------------------------------------------------------------------------------------


def test_report_lists_what_is_used_and_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "import torch\nfrom torch import nn as layers\nimport model\nraise SystemExit('never run')\n"
        "x = torch.zeros(2).dequantize()\nlayers.Linear(1, 2)\ntorch.cuda.is_available()\n",
        "utf-8",
    )
    (tmp_path / "model.py").write_text(
        "import torch.fx\nimport torchvision\nfrom torch.nn import Bilinear as B, Nothing\nimport json\n", "utf-8"
    )
    assert report.report("train.py") == 1
    printed = capsys.readouterr().out
    present = {line.split()[0] for line in printed.split("\n\n")[0].splitlines() if not line.startswith("MISSING")}
    assert present == {"torch.zeros", "torch.nn", "torch.nn.Linear", "torch.cuda.is_available", "torch.nn.Bilinear"}
    missing = [line.split()[1].rstrip(",") for line in printed.splitlines() if line.startswith("MISSING")]
    assert missing == ["torch.fx", "torch.nn.Nothing", "torchvision", "Tensor.dequantize"]
    assert "(model.py:3)" in printed and "2 files, 9 names of torch, 4 missing" in printed
    (tmp_path / "fine.py").write_text("import torch\ntorch.ones(1).sum()\n", "utf-8")
    assert report.report("fine.py") == 0
    assert report.report("nowhere.py") == 2


def test_report_finds_nothing_missing_in_our_programs(monkeypatch, capsys):
    folder = HERE / "programs_torch"
    for path in sorted(folder.glob("*.py")):
        if path.stem == "policy_gradient" and importlib.util.find_spec("webtorch.distributions") is None:
            continue
        assert report.report(str(path)) == 0, capsys.readouterr().out


# ---- devices by other names -----------------------------------------------------------------------------------------


@pytest.fixture
def gpu_names():
    devices.accept_gpu_names()
    yield
    devices.accept_gpu_names(False)


def test_without_a_gpu_its_names_mean_the_cpu_with_one_warning(gpu_names, monkeypatch):
    monkeypatch.setattr(devices, "_automatic", (webtorch.device("cpu"), "WEBTORCH_DEVICE=cpu"))
    monkeypatch.setattr(devices, "_warned_of_cpu", False)
    with pytest.warns(RuntimeWarning, match="the cpu takes its place: WEBTORCH_DEVICE=cpu") as warned:
        assert str(webtorch.device("cuda:0")) == str(webtorch.device("mps")) == "cpu"
        assert webtorch.ones(1).cuda().is_cpu and webtorch.nn.Linear(1, 1).cuda().weight.is_cpu
    assert len(warned) == 1
    assert not webtorch.cuda.is_available() and webtorch.accelerator.current_accelerator() is None
    with pytest.raises(webtorch.DeviceUnavailableError, match="there is no GPU to use"):
        webtorch.cuda.current_device()


def test_with_a_gpu_its_names_mean_it(gpu_names, monkeypatch):
    monkeypatch.setattr(devices, "_automatic", (webtorch.device("webgpu"), "a hardware adapter"))
    for name in ("cuda", "cuda:0", "mps", "xpu", 0):
        assert webtorch.device(name) == "webgpu"
    assert webtorch.cuda.is_available() and webtorch.cuda.current_device() == 0
    with pytest.raises(webtorch.DeviceError, match="there is one webgpu device"):
        webtorch.device("cuda:1")
    with pytest.raises(webtorch.DeviceError):
        webtorch.device("gpus")


def test_names_of_other_gpus_are_refused_unless_asked_for():
    with pytest.raises(webtorch.DeviceError, match="use 'webgpu'"):
        webtorch.device("cuda")
    with pytest.raises(webtorch.DeviceError):
        webtorch.device(0)


# ---- what the switches mean -----------------------------------------------------------------------------------------


def test_events_time_what_lies_between(device):
    start, end = (webtorch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    x = webtorch.rand(64, 64, device=device)
    for _ in range(3):
        x = x @ x / 64
    end.record()
    assert 0 < start.elapsed_time(end) < 60_000
    with pytest.raises(RuntimeError, match="enable_timing"):
        start.elapsed_time(webtorch.cuda.Event())


@pytest.mark.gpu
def test_memory_is_what_tensors_hold():
    before = webtorch.cuda.memory_allocated()
    x = webtorch.ones(1 << 18, device="webgpu")
    x.sum().item()
    assert webtorch.cuda.memory_allocated() >= before + (1 << 20)
    assert webtorch.cuda.max_memory_allocated() >= webtorch.cuda.memory_allocated()


def test_assert_close_names_what_differs(device):
    close = webtorch.testing.assert_close
    x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    close({"a": [x, 1]}, {"a": [x + 1e-6, 1]})
    with pytest.raises(
        AssertionError, match=r"Mismatched elements: 1 / 4 \(25.0%\)\n.*difference: 1 at index \(1, 0\)"
    ):
        close(x, webtorch.tensor([[1.0, 2.0], [2.0, 4.0]], device=device))
    with pytest.raises(AssertionError, match="'dtype' do not match"):
        close(x, x.to(webtorch.int32))
    with pytest.raises(AssertionError, match="'shape' do not match"):
        close(x, x[0])
    with pytest.raises(AssertionError, match="keys of the mappings"):
        close({"a": 1}, {"b": 1})
    with pytest.raises(AssertionError):
        close(x * float("nan"), x * float("nan"))
    close(x * float("nan"), x * float("nan"), equal_nan=True)
    with pytest.raises(ValueError, match="both or neither"):
        close(x, x, rtol=1)
    with pytest.raises(TypeError, match="cannot be compared"):
        close(x, "x")


def test_sparse_tensors_are_dense_ones(device):
    places = webtorch.tensor([[0, 1, 1], [2, 0, 0]], device=device)
    made = webtorch.sparse_coo_tensor(places, webtorch.tensor([3.0, 4.0, 5.0], device=device), (2, 3))
    assert made.to_dense().tolist() == [[0, 0, 3], [9, 0, 0]] and made.device == device
    assert webtorch.spmm(made, webtorch.ones(3, 1, device=device)).tolist() == [[3], [9]]
    assert webtorch.sparse.softmax(made, 1).sum().item() == 2
    with pytest.raises(RuntimeError, match="inconsistent with indices"):
        webtorch.sparse_coo_tensor([[0], [3]], [1.0], (2, 3))
    with pytest.raises(webtorch.ShapeError, match="indices of shape"):
        webtorch.sparse_coo_tensor([[0], [3]], [1.0, 2.0], (2, 3))


def test_tensor_types_make_and_tell_tensors(device):
    with webtorch.device(device):
        x = webtorch.LongTensor([1, 2])
        assert x.dtype is webtorch.int64 and x.device == device and isinstance(x, webtorch.LongTensor)
        assert not isinstance(x, webtorch.FloatTensor) and webtorch.FloatTensor(2, 3).shape == (2, 3)
        assert x.type("torch.FloatTensor").dtype is x.type(webtorch.FloatTensor).dtype is webtorch.float32
        assert isinstance(x, webtorch.cuda.LongTensor) == (device == "webgpu")
        assert x.new([1, 2, 3]).dtype is webtorch.int64
        with pytest.raises(TypeError, match="expected webtorch.float32"):
            webtorch.FloatTensor(x)


def test_diagonals_are_filled(device):
    x = webtorch.zeros(5, 2, device=device)
    assert x.clone().fill_diagonal_(1).tolist() == [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert x.clone().fill_diagonal_(1, wrap=True).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0], [0, 1]]
    assert webtorch.ones(2, 3, 4, device=device).sum_to_size(3, 1).tolist() == [[8], [8], [8]]
    with pytest.raises(RuntimeError, match="two dimensions"):
        webtorch.zeros(3, device=device).fill_diagonal_(1)
