"""Tensors and the rest of Python: copies, pickles, numpy's files, DLPack, PyTorch's tensors, einops, notebooks."""

import copy
import html.parser
import io
import multiprocessing
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

import webtorch
from webtorch import dtypes, nn

ROOT = pathlib.Path(__file__).resolve().parents[1]


def sample(dtype, device):
    return webtorch.tensor([[0, 1, 2, 3], [4, 5, 6, 100]]).to(dtype).to(device)


def on(dtype, device):
    return "cpu" if dtype in (webtorch.float64, webtorch.complex128) else device


# ---- copies and pickles ---------------------------------------------------------------------------------------------

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle 2": lambda value: pickle.loads(pickle.dumps(value, 2)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
def test_copies_of_every_dtype_and_stride(dtype, how, device):
    x = sample(dtype, on(dtype, device))
    values = [x, x.t(), x[1:, ::2], x[:, 1], x[:0], x[1, 2], x[0, :1].expand(3), x.flip(0)]
    found = COPIES[how](values)
    for value, again in zip(values, found, strict=True):
        assert again.dtype is dtype and again.device == value.device and again.stride() == value.stride()
        assert again.tolist() == value.tolist()
    with webtorch.no_grad():
        found[0][1, 2] = 0
    assert found[5].item() == 0 == found[1][2, 1].item() and x[1, 2].item() != 0


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_parameters_modules_and_optimizers(how, device):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)).to(device)
    model[2].weight = nn.Parameter(webtorch.eye(2, device=device))
    model.note = model[0].weight
    model[0].weight.note = ["kept"]
    optimizer = webtorch.optim.Adam(model.parameters(), lr=0.1)
    schedule = webtorch.optim.lr_scheduler.StepLR(optimizer, 1)
    model(webtorch.ones(4, 3, device=device)).sum().backward()
    optimizer.step()
    schedule.step()
    model2, optimizer2, schedule2 = COPIES[how]((model, optimizer, schedule))
    assert model2.note is model2[0].weight and model2.note.note == ["kept"] and model2.note is not model.note
    assert isinstance(model2.note, nn.Parameter) and model2.note.device.type == device and model2.note.requires_grad
    assert optimizer2.param_groups[0]["params"][0] is model2.note and schedule2.optimizer is optimizer2
    assert (model2.note.grad is not None) == (how == "deepcopy")  # a pickle holds no gradients, as in PyTorch
    for one, options in ((model, optimizer), (model2, optimizer2)):
        options.zero_grad()
        one(webtorch.ones(4, 3, device=device)).sum().backward()
        options.step()
    assert model.note.tolist() == model2.note.tolist() and optimizer2.param_groups[0]["lr"] == pytest.approx(0.01)
    with webtorch.no_grad():
        model2.note.zero_()
    assert model.note.count_nonzero().item() > 0


def test_shallow_copies_share_memory(device):
    x = nn.Parameter(webtorch.ones(2, 3, device=device))
    x.note = [1]
    y = copy.copy(x)
    assert y is not x and isinstance(y, nn.Parameter) and y.note is x.note and y.requires_grad
    with webtorch.no_grad():
        y[0, 0] = 5
    assert x[0, 0].item() == 5


def test_what_else_is_copied(device):
    buffer = nn.Buffer(webtorch.ones(2, device=device), persistent=False)
    for how in COPIES.values():
        again = how(buffer)
        assert type(again) is nn.Buffer and again.persistent is False
        assert how(webtorch.zeros(2, device="meta")).is_meta
        leaf = how(webtorch.ones(1, device=device, requires_grad=True))
        assert leaf.requires_grad and leaf.is_leaf
        generator = webtorch.Generator().manual_seed(3)
        webtorch.rand(2, generator=generator)
        assert webtorch.equal(webtorch.rand(3, generator=how(generator)), webtorch.rand(3, generator=generator))
    computed = webtorch.ones(1, device=device, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="clone"):
        copy.deepcopy(computed)
    assert pickle.loads(pickle.dumps(computed)).requires_grad
    with pytest.raises(RuntimeError):
        webtorch.vmap(lambda x: pickle.dumps(x) and x)(webtorch.ones(2, device=device))
    twice = copy.deepcopy([buffer, buffer])
    assert twice[0] is twice[1]


def in_another_process(tensor, module):
    return module(tensor), tensor.device.type


def test_another_process():
    module = nn.Linear(2, 2)
    x = webtorch.ones(1, 2)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result, where = pool.apply(in_another_process, (x, module))
    assert where == "cpu" and result.tolist() == module(x).tolist() and result.requires_grad


# ---- numpy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
def test_files_of_numpy(dtype, device):
    x = sample(dtype, on(dtype, device))
    if dtype is webtorch.bfloat16:
        with pytest.raises(TypeError, match=r"float\(\)"):
            np.asarray(x)
        return
    file = io.BytesIO()
    np.savez(file, x=x, t=x.t())
    file.seek(0)
    found = np.load(file)
    for name, value in (("x", x), ("t", x.t())):
        back = webtorch.from_numpy(found[name]).to(device if dtype == on(dtype, device) else "cpu")
        assert back.dtype is dtype and back.tolist() == value.tolist() and found[name].dtype == dtype.numpy
    file = io.BytesIO()
    np.save(file, x[:, ::2])
    file.seek(0)
    assert webtorch.from_numpy(np.load(file)).tolist() == x[:, ::2].tolist()
    assert np.asarray(x).tolist() == np.array(x, copy=True).tolist() == x.numpy().tolist() == x.tolist()


# ---- DLPack ---------------------------------------------------------------------------------------------------------


def test_dlpack_of_numpy(device):
    for dtype in dtypes.ALL:
        if dtype is webtorch.bfloat16:
            continue
        array = np.arange(6).reshape(2, 3).astype(dtype.numpy)
        for view in (array, array.T, array[:, ::2], array[1:, 1], array[:0]):
            x = webtorch.from_dlpack(view)
            assert x.dtype is dtype and x.tolist() == view.tolist() and np.from_dlpack(x).tolist() == view.tolist()
        if on(dtype, device) == device:
            moved = webtorch.from_dlpack(array, device=device)
            assert moved.device.type == device and moved.tolist() == array.tolist()
            assert np.from_dlpack(moved).tolist() == array.tolist()


def test_dlpack_shares_and_copies():
    array = np.zeros(3, np.float32)
    shared, copied = webtorch.from_dlpack(array), webtorch.from_dlpack(array, copy=True)
    again = np.from_dlpack(webtorch.from_dlpack(array, copy=False))
    array[0] = 1
    assert shared[0].item() == 1 and copied[0].item() == 0 and again[0] == 1
    x = webtorch.ones(3)
    assert np.shares_memory(np.from_dlpack(x), x.numpy()) and not np.shares_memory(
        np.from_dlpack(x, copy=True), x.numpy()
    )
    assert np.from_dlpack(x, copy=True).flags.writeable
    alias = webtorch.from_dlpack(x)
    alias[0] = 5
    assert x[0].item() == 5
    capsule = webtorch.utils.dlpack.to_dlpack(x)
    assert webtorch.utils.dlpack.from_dlpack(capsule).tolist() == [5, 1, 1]
    with pytest.raises((BufferError, RuntimeError)):
        webtorch.from_dlpack(capsule)  # a capsule may be taken once


def test_dlpack_refuses(device):
    x = webtorch.ones(2, device=device)
    for wrong, message in ((x.clone().requires_grad_(), "detach"), (x.to(webtorch.bfloat16), "bfloat16")):
        with pytest.raises(BufferError, match=message):
            wrong.__dlpack__()
    with pytest.raises(BufferError, match="cpu only"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="stream"):
        x.__dlpack__(stream=1)
    with pytest.raises(TypeError, match="__dlpack__"):
        webtorch.from_dlpack([1, 2])
    with pytest.raises(webtorch.DTypeError, match="uint32"):
        webtorch.from_dlpack(np.zeros(2, np.uint32))
    if device == "webgpu":
        with pytest.raises(BufferError, match="copy"):
            x.__dlpack__(copy=False)
        with pytest.raises(BufferError, match="copy"):
            webtorch.from_dlpack(np.zeros(2), device="webgpu", copy=False)
        assert np.from_dlpack(x).tolist() == [1, 1] and webtorch.from_dlpack(x).device == x.device

    class Elsewhere:
        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **options):
            raise BufferError("on another GPU")

    with pytest.raises(BufferError):
        webtorch.from_dlpack(Elsewhere())


# ---- PyTorch --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
def test_tensors_of_pytorch(dtype, device):
    torch = pytest.importorskip("torch")
    where = on(dtype, device)
    there = torch.tensor([[0, 1, 2], [3, 4, 100]]).to(getattr(torch, dtype.name))
    for value in (there, there.t(), there[:, ::2], there[1, 1], there[:0], there[0, :1].expand(4)):
        here = webtorch.from_torch(value)
        assert here.dtype is dtype and here.tolist() == value.tolist() and here.stride() == value.stride()
        moved = webtorch.from_torch(value, where)
        assert (
            moved.device.type == where
            and torch.equal(moved.to_torch(), value)
            and moved.to_torch().dtype is value.dtype
        )
    x = sample(dtype, where)
    for value in (x, x.t(), x[1:, ::2], x[:0], x[0, 0], x.flip(0)):
        assert value.to_torch().tolist() == value.tolist() and str(value.to_torch().dtype) == f"torch.{dtype.name}"


def test_pytorch_shares_memory_and_forgets_history():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16):
        there = torch.zeros(2, dtype=dtype)
        here = webtorch.from_torch(there)
        there[0] = 1
        here[1] = 2
        assert here.tolist() == there.tolist() == here.to_torch().tolist() == [1, 2]
    parameter = torch.nn.Parameter(torch.ones(2))
    assert not webtorch.from_torch(parameter * 2).requires_grad
    with pytest.raises(BufferError, match="detach"):
        webtorch.from_dlpack(parameter)
    assert webtorch.from_dlpack(torch.ones(2, dtype=torch.bfloat16)).dtype is webtorch.bfloat16
    assert not webtorch.ones(1, requires_grad=True).to_torch().requires_grad
    assert torch.from_dlpack(webtorch.ones(2)).tolist() == [1, 1]
    assert webtorch.from_torch(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]
    assert (
        webtorch.from_torch(torch.zeros(2, device="meta")).is_meta
        and webtorch.zeros(2, device="meta").to_torch().is_meta
    )
    for wrong, message in (
        (torch.zeros(2, 2).to_sparse(), "dense"),
        (torch.zeros(1, dtype=torch.float8_e5m2), "float8_e5m2"),
    ):
        with pytest.raises(webtorch.DTypeError, match=message):
            webtorch.from_torch(wrong)
    state = {name: webtorch.from_torch(value) for name, value in torch.nn.Linear(2, 2).state_dict().items()}
    assert not any(nn.Linear(2, 2).load_state_dict(state))


def test_without_pytorch(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ImportError, match="not installed"):
        webtorch.ones(1).to_torch()
    monkeypatch.setitem(__import__("sys").modules, "torch", webtorch)  # as a program sees it that runs on webtorch
    with pytest.raises(ImportError, match="not installed"):
        webtorch.ones(1).to_torch()
    for wrong in (np.ones(1), webtorch.ones(1), 3):
        with pytest.raises(TypeError, match="expected a torch.Tensor"):
            webtorch.from_torch(wrong)


# ---- einops ---------------------------------------------------------------------------------------------------------


IMPORT_ORDERS = {
    "webtorch first": "import webtorch, sys; assert 'einops' not in sys.modules; import einops",
    "einops first": "import einops, webtorch",
    "einops at work before": "import numpy, einops; einops.rearrange(numpy.ones(2), 'a -> a'); import webtorch",
    "a part of einops": "import webtorch; from einops.einops import rearrange; import einops",
}


@pytest.mark.parametrize("order", IMPORT_ORDERS)
def test_the_einops_package_is_imported_by_the_program_alone(order):
    pytest.importorskip("einops")
    program = (
        f"{IMPORT_ORDERS[order]}\n"
        "import sys\n"
        "x = einops.rearrange(webtorch.arange(6), '(a b) -> b a', a=2)\n"
        "assert type(x) is webtorch.Tensor and x.tolist() == [[0, 3], [1, 4], [2, 5]]\n"
        "spec = sys.modules['einops._backends'].__spec__\n"
        "assert spec.loader.get_source(spec.name)  # it is loaded as any other module\n"
        "assert not [finder for finder in sys.meta_path if type(finder).__module__ == 'webtorch._einops']\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr


def test_the_einops_package(device):
    einops = pytest.importorskip("einops")
    array = np.random.default_rng(0).random((2, 4, 6)).astype(np.float32)
    x = webtorch.tensor(array, device=device, requires_grad=True)

    def same(call):
        found = call(x)
        assert found.device.type == device
        np.testing.assert_allclose(found.detach().numpy(), call(array), rtol=1e-5)
        return found

    same(lambda a: einops.rearrange(a, "b (h w) c -> b h c w", h=2))
    same(lambda a: einops.rearrange(a, "b ... -> (...) b"))
    for operation in ("min", "max", "sum", "mean", "prod"):
        same(lambda a, operation=operation: einops.reduce(a, "b (h 2) c -> h c", operation))
        same(lambda a, operation=operation: einops.reduce(a, "b h c -> ", operation))
    same(lambda a: einops.repeat(a, "b h c -> b (h 2) c k", k=3))
    same(lambda a: einops.einsum(a, a, "b h c, b k c -> b h k"))
    same(lambda a: einops.rearrange([a[0], a[1]], "n h c -> h n c"))
    packed, shapes = einops.pack([x[0], x[1, :, :2]], "h *")
    assert [part.tolist() for part in einops.unpack(packed, shapes, "h *")] == [x[0].tolist(), x[1, :, :2].tolist()]
    flags = einops.reduce(x > 0.5, "b h c -> b", "any")
    assert flags.dtype is webtorch.bool and flags.tolist() == (array > 0.5).any((1, 2)).tolist()
    assert einops.parse_shape(x, "b _ c") == {"b": 2, "c": 6} and einops.asnumpy(x).shape == (2, 4, 6)
    einops.reduce(x, "b h c -> b", "sum").sum().backward()
    assert x.grad.sum().item() == x.numel()
    with pytest.raises(einops.EinopsError, match="Shape"):
        einops.rearrange(x, "b (h w) c -> b h c w", h=3)
    with pytest.raises(NotImplementedError, match="mean"):
        einops.reduce(webtorch.ones(2, dtype=webtorch.int64, device=device), "a -> ", "mean")


# ---- notebooks and progress bars ------------------------------------------------------------------------------------


class Table(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.rows = []
        self.open = []
        self.title = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open:
            self.rows[-1].append(data)
        else:
            self.title += data


def test_tables_in_notebooks(device):
    x = webtorch.arange(400.0, device=device).reshape(20, 20)
    table = Table(x._repr_html_())
    assert len(table.rows) == 9 and all(len(row) == 9 for row in table.rows)
    assert table.rows[0] == ["0", "1", "2", "3", "…", "16", "17", "18", "19"] and table.rows[4] == ["⋮"] * 9
    assert table.rows[8][0] == "380" and table.title == f"Tensor float32, {x.device}, 20 × 20"
    assert Table(webtorch.tensor(2.5, device=device)._repr_html_()).rows == [["2.5"]]
    assert Table(x.reshape(2, 2, 100)[..., :2]._repr_html_()).rows == [["0", "1"], ["100", "101"]]
    assert "[0] is shown" in x.reshape(2, 2, 100)._repr_html_() and "no elements" in x[:0]._repr_html_()
    assert Table(webtorch.tensor([True], device=device)._repr_html_()).rows == [["True"]]
    assert "requires grad" in nn.Parameter(x)._repr_html_() and "Parameter" in nn.Parameter(x)._repr_html_()
    assert "MulBackward0" in (nn.Parameter(x) * 2)._repr_html_()
    assert webtorch.zeros(2, device="meta")._repr_html_() is None and len(x.repeat(50, 50)._repr_html_()) < 6000


def test_progress_bars_count_tensors(device):
    x = webtorch.arange(3, device=device)
    assert (
        len(x) == 3
        and [int(each) for each in iter(x)] == [0, 1, 2]
        and f"{x[1]:.2f}" == "1.00"
        and f"{x.sum().item():d}" == "3"
    )
