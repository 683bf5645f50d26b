"""`webtorch.save` and `webtorch.load`: round trips, PyTorch's own files, devices, and files that are whole or not there."""

import collections
import io
import json
import os
import pathlib
import stat
import zipfile

import numpy as np
import pytest

import webtorch
from webtorch import dtypes, nn

CHECKPOINTS = pathlib.Path(__file__).parent / "goldens" / "checkpoints"
CONTENTS = json.loads((CHECKPOINTS / "contents.json").read_text())


def through(value, **options):
    file = io.BytesIO()
    webtorch.save(value, file)
    file.seek(0)
    return webtorch.load(file, **options)


def listed(value):
    """As tests/record_checkpoints.py lists PyTorch's values."""
    if isinstance(value, webtorch.Tensor):
        plain = value.detach()
        numbers = webtorch.view_as_real(plain).tolist() if plain.is_complex() else plain.tolist()
        return {
            "tensor": numbers, "dtype": str(value.dtype).replace("webtorch", "torch"), "requires_grad": value.requires_grad,
            "stride": list(value.stride()), "parameter": isinstance(value, nn.Parameter),
        }  # fmt: skip
    if isinstance(value, dict):
        return {str(key): listed(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [listed(each) for each in value]
    return value if isinstance(value, (int, float, str, type(None))) else repr(value).replace("webtorch.", "")


# ---- PyTorch's files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "_legacy"])
@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_files_of_pytorch(name, form, device):
    value = webtorch.load(CHECKPOINTS / f"{name}{form}.pt", map_location=device if name != "dtypes" else "cpu")
    assert listed(value) == CONTENTS[name]
    if name == "views":
        whole = value["whole"]
        assert whole.device.type == device and value["marked"].note == "kept"
        with webtorch.no_grad():
            whole[1] = -1  # what shared memory shares it again
        assert value["row"].tolist() == [-1] * 4 and value["transposed"][:, 1].tolist() == [-1] * 4
        assert value["parameter"][1].tolist() == [-1] * 4


def test_training_goes_on_from_a_checkpoint_of_pytorch(device):
    saved = webtorch.load(CHECKPOINTS / "trained.pt", map_location=device)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).to(device)
    assert not any(model.load_state_dict(saved["model"]))
    optimizer = webtorch.optim.Adam(model.parameters(), lr=1.0)
    optimizer.load_state_dict(saved["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.0025 and optimizer.state[model[0].weight]["step"].item() == 2
    model(webtorch.ones(5, 3, device=device)).sum().backward()
    optimizer.step()
    again = through({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert again["optimizer"]["state"][0]["step"].item() == 3 and again["model"]._metadata["1"] == {"version": 2}
    assert listed(again["model"]) == listed(model.state_dict())


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_pytorch_reads_our_files(name, tmp_path):
    torch = pytest.importorskip("torch")
    value = webtorch.load(CHECKPOINTS / f"{name}.pt")
    webtorch.save(value, tmp_path / "ours.pt")
    from record_checkpoints import listed as listed_there

    for options in ({}, {"mmap": True}):
        assert listed_there(torch.load(tmp_path / "ours.pt", weights_only=True, **options)) == CONTENTS[name]


def test_pytorch_reads_what_was_on_a_gpu(device, tmp_path):
    torch = pytest.importorskip("torch")
    value = {"x": webtorch.arange(4.0, device=device), "where": webtorch.device(device)}
    webtorch.save(value, tmp_path / "ours.pt")
    assert torch.load(tmp_path / "ours.pt", weights_only=True)["x"].tolist() == [0, 1, 2, 3]
    back = webtorch.load(tmp_path / "ours.pt")
    assert back["x"].device == value["x"].device and back["where"] == value["where"]


# ---- round trips ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
def test_every_dtype(dtype, device):
    if dtype in (webtorch.float64, webtorch.complex128) and device == "webgpu":
        device = "cpu"
    x = webtorch.tensor([[0, 1, 2], [3, 4, 100]], device=device).to(dtype)
    for value in (x, x.t(), x[1:, ::2], x[:0]):
        back = through(value)
        assert back.dtype is dtype and back.device == x.device and back.stride() == value.stride()
        assert back.tolist() == value.tolist()


def test_plain_values():
    counted = collections.Counter("abca")
    value = {
        "numbers": [0, 255, 256, 65535, 65536, -1, 2**31, -(2**31), 2**63, -(2**63), 10**400, 1.5, float("inf"), -0.0, True, False],
        "texts": ["", "a", "ä€😀", "x" * 70000, "\ud800"], "bytes": [b"", b"\x00\xff", bytearray(b"ab")], "none": None,
        "nested": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[], {}]), 3: {1.5: "float", None: 0, (1, "a"): 2, b"k": 1},
        "set": {1, "a"}, "ordered": collections.OrderedDict(b=1, a=2), "counted": counted, "complex": 2 - 1j,
        "size": webtorch.Size([2, 0]), "dtype": webtorch.bool, "device": webtorch.device("cpu"),
    }  # fmt: skip
    back = through(value)
    assert back == value and list(back["ordered"]) == ["b", "a"] and str(back["numbers"][13]) == "-0.0"
    assert [type(each) for each in back.values()] == [type(each) for each in value.values()]
    assert np.isnan(through(float("nan"))) and through(np.float32(1.5)) == 1.5 and type(through(np.int64(3))) is int
    for plain in (None, True, 7, "text", [], {}, ()):
        assert through(plain) == plain
    twice = through([value["nested"], value["nested"], shared := [1]] + [shared])
    assert twice[0] is twice[1] and twice[2] is twice[3]
    itself: list = []
    itself.append(itself)
    assert (back := through(itself))[0] is back
    many = {f"layer.{number}.weight": number for number in range(400)}  # more than 256 strings to remember
    assert through([many, many])[1] == many


def test_shared_memory_views_and_gradients(device):
    x = webtorch.arange(12.0, device=device).reshape(3, 4)
    p = nn.Parameter(x)
    p.note = {"kept": 1}
    marked = webtorch.ones(1, device=device)
    marked.note = "also"
    value = {
        "x": x,
        "t": x.t(),
        "p": p,
        "again": p,
        "frozen": nn.Parameter(x[0], requires_grad=False),
        "leaf": webtorch.ones(2, device=device, requires_grad=True),
        "marked": marked,
        "flipped": x.flip(1),
        "empty": x[:0],
    }
    back = through(value)
    assert back["p"] is back["again"] and isinstance(back["p"], nn.Parameter) and back["p"].note == {"kept": 1}
    assert not back["frozen"].requires_grad and back["leaf"].requires_grad and type(back["leaf"]) is webtorch.Tensor
    assert back["t"].stride() == (1, 4) and back["marked"].note == "also"
    assert back["flipped"].tolist() == x.flip(1).tolist() and back["empty"].shape == (0, 4)
    back["x"][0, 1] = 100
    assert back["t"][1, 0].item() == 100 and back["p"][0, 1].item() == 100 and back["frozen"][1].item() == 100
    (back["p"] * 2).sum().backward()
    assert back["p"].grad.tolist() == [[2] * 4] * 3
    result = (x.requires_grad_() * 2).exp()
    assert through(result).requires_grad and through(result).is_leaf


def test_a_storage_is_written_once(device):
    x = webtorch.ones(1000, device=device)
    file = io.BytesIO()
    webtorch.save([x, x[1:], nn.Parameter(x)], file)
    with zipfile.ZipFile(file) as archive:
        stored = [entry for entry in archive.infolist() if "/data/" in entry.filename]
        assert [entry.file_size for entry in stored] == [4000] and archive.testzip() is None
    again = io.BytesIO()
    webtorch.save([x, x[1:], nn.Parameter(x)], again)
    assert again.getvalue() == file.getvalue()  # the same values make the same file


def test_random_state_and_schedules():
    webtorch.manual_seed(3)
    model = nn.Linear(2, 2)
    optimizer = webtorch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = webtorch.optim.lr_scheduler.StepLR(optimizer, 3)
    model(webtorch.ones(1, 2)).sum().backward()
    optimizer.step()
    scheduler.step()
    value = {"rng": webtorch.get_rng_state(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    back = through(value)
    expected = webtorch.rand(3).tolist()
    webtorch.set_rng_state(back["rng"])
    assert webtorch.rand(3).tolist() == expected
    assert listed(back["optimizer"]) == listed(value["optimizer"]) and listed(back["scheduler"]) == listed(
        value["scheduler"]
    )


@pytest.mark.parametrize(
    "value, message",
    [
        ({"a": [nn.Linear(1, 1)]}, r"obj\['a'\]\[0\] is a module .*state_dict"),
        (webtorch.optim.SGD([webtorch.zeros(1)], lr=1), "state_dict"),
        ({"a": np.zeros(2)}, "from_numpy"),
        ([collections.defaultdict(list)], "save dict"),
        (lambda: 0, "function"),
        (object(), "object"),
        ({("a", 1, object()): 1}, "object"),
        ({webtorch.float32: 1}, "keys of a checkpoint"),
        (webtorch.zeros(2, device="meta"), "meta"),
        (nn.UninitializedParameter(), "lazy"),
        (stat, "module"),
    ],
    ids=range(11),
)
def test_what_cannot_be_saved(value, message, tmp_path):
    (tmp_path / "old.pt").write_bytes(b"old")
    for target in (tmp_path / "old.pt", tmp_path / "new.pt", io.BytesIO()):
        with pytest.raises(TypeError, match=message):
            webtorch.save(value, target)
    assert os.listdir(tmp_path) == ["old.pt"] and (tmp_path / "old.pt").read_bytes() == b"old"
    assert target.getvalue() == b""


def test_arguments(tmp_path):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        webtorch.save(deep, io.BytesIO())
    with pytest.raises(ValueError, match="leave both out"):
        webtorch.save(1, io.BytesIO(), pickle_protocol=4)
    with pytest.raises(ValueError, match="pickle_module"):
        webtorch.save(1, io.BytesIO(), pickle_module=json)
    with pytest.raises(TypeError, match="write method"):
        webtorch.save(1, 3)
    with pytest.raises(ValueError, match="state_dict.*safetensors"):
        webtorch.load(CHECKPOINTS / "views.pt", weights_only=False)
    with pytest.raises(TypeError, match="text"):
        webtorch.load(io.StringIO("text"))
    with pytest.raises(TypeError, match="BytesIO"):
        webtorch.load(b"PK".__iter__())
    with pytest.raises(ValueError, match="mmap"):
        webtorch.load(io.BytesIO(b"PK\3\4"), mmap=True)
    with pytest.raises(FileNotFoundError):
        webtorch.load(tmp_path / "missing.pt")
    with pytest.raises(FileNotFoundError, match="makedirs"):
        webtorch.save(1, tmp_path / "missing" / "file.pt")
    with pytest.raises(IsADirectoryError):
        webtorch.save(1, tmp_path)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_kinds_of_files(tmp_path):
    path = tmp_path / "a.pt"
    for target in (path, str(path), os.fsencode(path)):
        webtorch.save({"x": webtorch.ones(2)}, target)
        assert webtorch.load(target)["x"].tolist() == [1, 1]
        path.unlink()
    with open(path, "wb") as file:
        webtorch.save(5, file)
    with open(path, "rb") as file:
        assert webtorch.load(file) == 5
    file = io.BytesIO(b"before")
    file.seek(6)
    webtorch.save([1, 2], file)
    file.seek(6)
    assert webtorch.load(file) == [1, 2]
    both = io.BytesIO((CHECKPOINTS / "views_legacy.pt").read_bytes() * 2)  # one after the other in a file
    assert listed(webtorch.load(both)) == listed(webtorch.load(both)) == CONTENTS["views"]


def test_a_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    webtorch.save(1, path)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()
        path.chmod(0o640)
    webtorch.save(2, path)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def fails(*arguments):
        raise OSError("no space left")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, fails)
            with pytest.raises(OSError, match="no space"):
                webtorch.save(3, path)
        assert webtorch.load(path) == 2 and os.listdir(tmp_path) == ["a.pt"]
    with monkeypatch.context() as patched:
        patched.setattr("webtorch.saving.archive.add", fails)
        with pytest.raises(OSError):
            webtorch.save(3, path)
    assert webtorch.load(path) == 2 and os.listdir(tmp_path) == ["a.pt"]


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_links_and_devices(tmp_path):
    (tmp_path / "real.pt").write_bytes(b"")
    (tmp_path / "link.pt").symlink_to("real.pt")
    webtorch.save(1, tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink() and webtorch.load(tmp_path / "real.pt") == 1
    webtorch.save(1, "/dev/null")
    assert not os.path.isfile("/dev/null")


def test_mapped_files(tmp_path, device):
    path = tmp_path / "a.pt"
    webtorch.save(
        {"x": webtorch.arange(1000.0), "e": webtorch.zeros(0), "b": webtorch.ones(3, dtype=webtorch.bool)}, path
    )
    before = path.read_bytes()
    value = webtorch.load(path, mmap=True, map_location=device)
    assert value["x"].sum().item() == 499500 and value["e"].shape == (0,) and value["b"].tolist() == [True] * 3
    value["x"].mul_(2)
    assert value["x"].sum().item() == 999000 and path.read_bytes() == before
    with pytest.raises(webtorch.UnpicklingError, match="mmap"):
        webtorch.load(CHECKPOINTS / "views_legacy.pt", mmap=True)


def test_entries_are_aligned_also_in_the_form_for_large_ones(tmp_path, monkeypatch):
    for limit in (1 << 31, 0):
        monkeypatch.setattr("webtorch.saving.archive.LARGE", limit)
        path = tmp_path / "a.pt"
        value = [webtorch.arange(5.0), webtorch.ones(3, dtype=webtorch.int8), webtorch.zeros(7)]
        webtorch.save(value, path)
        data = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            for entry in archive.infolist():
                names, extra = (int.from_bytes(data[entry.header_offset + at :][:2], "little") for at in (26, 28))
                start = entry.header_offset + 30 + names + extra
                assert start % 64 == 0 and data[start : start + entry.file_size] == archive.read(entry)
        for options in ({}, {"mmap": True}):
            assert [x.tolist() for x in webtorch.load(path, **options)] == [x.tolist() for x in value]
        try:
            import torch
        except ImportError:
            continue
        assert [x.tolist() for x in torch.load(path, mmap=True)] == [x.tolist() for x in value]


def test_the_other_byte_order():
    source = zipfile.ZipFile(CHECKPOINTS / "dtypes.pt")
    file = io.BytesIO()
    value = webtorch.load(CHECKPOINTS / "dtypes.pt")
    with zipfile.ZipFile(file, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename.endswith("byteorder"):
                data = b"big"
            if "/data/" in entry.filename:
                tensor = list(value.values())[int(entry.filename.rpartition("/")[2])]
                data = np.frombuffer(data, tensor.dtype.memory).byteswap().tobytes()
            target.writestr(entry.filename, data)
    file.seek(0)
    assert listed(webtorch.load(file)) == CONTENTS["dtypes"]


# ---- devices --------------------------------------------------------------------------------------------------------


def tagged(location):
    """A file whose tensors say that they come from a device of PyTorch."""
    file = io.BytesIO()
    source = io.BytesIO()
    webtorch.save([webtorch.ones(2), webtorch.zeros(1)], source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("data.pkl"):
                data = data.replace(b"X\x03\0\0\0cpu", b"X" + len(location).to_bytes(4, "little") + location.encode())
            new.writestr(entry.filename, data)
    file.seek(0)
    return file


@pytest.mark.parametrize("location", ["cuda:0", "mps", "xpu:1"])
def test_tensors_of_other_gpus_come_to_the_default_device(location, device):
    with webtorch.device(device):
        assert [x.device.type for x in webtorch.load(tagged(location))] == [device] * 2
    with pytest.raises(webtorch.UnpicklingError, match="map_location='cpu'"):
        webtorch.load(tagged("tpu"))


def test_map_location(device):
    place = webtorch.device(device)
    for given in (device, place, {"cuda:0": device}, {"cuda:0": place}, lambda storage, location: device,
                  lambda storage, location: storage.to(device),
                  lambda storage, location: storage.cuda() if device == "webgpu" else storage.cpu()):  # fmt: skip
        assert [x.device.type for x in webtorch.load(tagged("cuda:0"), map_location=given)] == [device] * 2
    with webtorch.device(device):
        for given in ({"cuda:1": "cpu"}, lambda storage, location: None):
            assert webtorch.load(tagged("cuda:0"), map_location=given)[0].device.type == device
    seen = []
    webtorch.load(
        tagged("cuda:0"),
        map_location=lambda storage, location: seen.append((storage.size(), storage.nbytes(), location)),
    )
    assert seen == [(2, 8, "cuda:0"), (1, 4, "cuda:0")]
    assert webtorch.load(tagged("cuda:0"), map_location=lambda storage, location: storage)[0].is_cpu
    assert webtorch.load(tagged("cpu"), map_location="meta")[0].is_meta
    with pytest.raises(TypeError, match="map_location"):
        webtorch.load(tagged("cpu"), map_location=1.5)
    with pytest.raises(TypeError, match="return the storage"):
        webtorch.load(tagged("cpu"), map_location=lambda storage, location: 3)
    with pytest.raises(webtorch.DeviceError, match="the devices are"):
        webtorch.load(tagged("cpu"), map_location="moon")
    with pytest.raises(ZeroDivisionError):
        webtorch.load(tagged("cpu"), map_location=lambda storage, location: 1 / 0)


def test_tensors_of_a_gpu_that_is_not_there(monkeypatch):
    from webtorch import devices

    monkeypatch.setattr(devices, "is_webgpu_available", lambda: False)
    with pytest.raises(webtorch.UnpicklingError, match="map_location='cpu'"):
        webtorch.load(tagged("webgpu"))
    assert webtorch.load(tagged("webgpu"), map_location="cpu")[0].is_cpu


def test_the_page_about_saving_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (pathlib.Path(__file__).parent.parent / "docs" / "saving.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["saved"]["epoch"] == 3 and os.listdir(tmp_path) == ["checkpoint.pt"]
