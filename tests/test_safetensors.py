"""safetensors files: every dtype and stride, the library's own reader as the oracle, damaged files, memory."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

import webtorch
from webtorch import nn
from webtorch import safetensors as st

library = pytest.importorskip("safetensors")


def by_library(path):
    """What the library itself finds in a file: dtype, shape and bytes by name."""
    return {
        name: (entry["dtype"], entry["shape"], bytes(entry["data"]))
        for name, entry in library.deserialize(path.read_bytes())
    }


@pytest.mark.parametrize("code", st.DTYPES)
def test_every_dtype_and_stride(code, device, tmp_path):
    dtype = st.DTYPES[code]
    if dtype is webtorch.float64 and device == "webgpu":
        device = "cpu"
    x = webtorch.tensor([[0, 1, 2, 3], [4, 5, 6, 100]], device=device).to(dtype)
    many = webtorch.arange(3, device=device).reshape(3, 1).to(dtype)
    tensors = {
        "plain": x,
        "transposed": many.t().clone().t(),
        "turned": x.clone().t(),
        "steps": x.clone()[:, ::2],
        "flipped": x.clone().flip(1),
        "expanded": many.clone().expand(3, 4),
        "empty": x[:0].clone(),
        "scalar": x[1, 3].clone(),
    }
    path = tmp_path / "a.safetensors"
    st.save_file(tensors, path, {"made": "here"})
    there = by_library(path)
    assert there.keys() == tensors.keys()
    for name, tensor in tensors.items():
        expected = np.ascontiguousarray(tensor.detach()._memory()).tobytes()
        assert there[name] == (code, list(tensor.shape), expected)
    for found in (st.load_file(path, device), st.load(path.read_bytes(), device)):
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert (
                found[name].dtype is dtype
                and found[name].device.type == device
                and found[name].tolist() == tensor.tolist()
            )
    assert st.load(st.save(tensors))["turned"].tolist() == x.t().tolist()
    with st.safe_open(path, framework="pt", device=device) as file:
        assert (
            file.metadata() == {"made": "here"}
            and file.keys() == sorted(tensors)
            and set(file.offset_keys()) == set(tensors)
        )
        part = file.get_slice("turned")
        assert (
            part.get_shape() == [4, 2] and part.get_dtype() == code and part[1:3, 1].tolist() == x.t()[1:3, 1].tolist()
        )
        assert part[2].device.type == device and part[...].tolist() == x.t().tolist() and part[0, 1].shape == ()
    found = st.load_file(path)
    found["plain"].zero_()
    assert st.load_file(path)["plain"].tolist() == x.tolist()  # writes do not reach the file


def test_torch_reads_ours_and_we_its(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    path = tmp_path / "a.safetensors"
    x = webtorch.tensor([1.0, -2.5, 3e38]).to(webtorch.bfloat16)
    st.save_file({"x": x, "h": x.half()}, path)
    assert load_file(path)["x"].dtype is torch.bfloat16 and load_file(path)["x"].tolist() == x.tolist()
    save_file({"y": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16), "b": torch.tensor([True])}, path)
    assert str(st.load_file(path)["y"].tolist()) == "[1.5, nan]" and st.load_file(path)["b"].tolist() == [True]


def test_tied_parameters(tmp_path, device):
    path = tmp_path / "m.safetensors"

    def tied():
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False)).to(device)
        model[1].weight = model[0].weight
        return model

    model, other = tied(), tied()
    with pytest.raises(RuntimeError, match=r"share memory.*0\.weight.*1\.weight.*save_model"):
        st.save_file(model.state_dict(), path)
    assert not path.exists()
    st.save_model(model, path, {"note": "x"})
    with st.safe_open(path) as file:
        assert file.keys() == ["0.bias", "0.weight"] and file.metadata() == {"note": "x", "1.weight": "0.weight"}
    assert st.load_model(other, path, device=device) == (set(), [])
    assert other[1].weight is other[0].weight and other[1].weight.tolist() == model[1].weight.tolist()
    with pytest.raises(RuntimeError, match='(?s)Missing.*"1.weight"'):
        st.load_model(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False)), path)
    assert st.load_model(nn.Linear(2, 2), path, strict=False)[0] == {"weight", "bias"}
    halves = webtorch.arange(4.0, device=device)
    st.save_file({"a": halves[:2], "b": halves[2:]}, path)  # they share a storage and no element
    assert st.load_file(path)["b"].tolist() == [2, 3]
    module = nn.Module()
    module.a, module.b = nn.Parameter(halves[:3]), nn.Parameter(halves[1:])
    with pytest.raises(RuntimeError, match="none of them shows all"):
        st.save_model(module, path)


def test_wrong_arguments_write_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    x = webtorch.ones(2)
    for tensors, metadata, error, message in [
        ([x], None, ValueError, "dict"), ({"x": 1}, None, ValueError, "expected webtorch.Tensor"), ({1: x}, None, ValueError, "name"),
        ({"__metadata__": x}, None, ValueError, "name"), ({"x": x}, {"a": 1}, TypeError, "strings"), ({"x": x}, 3, TypeError, "strings"),
        ({"x": x.to(webtorch.complex128)}, None, webtorch.DTypeError, "complex128"), ({"x": x.to("meta")}, None, ValueError, "meta"),
        ({"x": x, "y": x}, None, RuntimeError, "share"),
    ]:  # fmt: skip
        with pytest.raises(error, match=message):
            st.save_file(tensors, path, metadata)
        with pytest.raises(error, match=message):
            st.save(tensors, metadata)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.safetensors"]
    with pytest.raises(FileNotFoundError):
        st.save_file({"x": x}, tmp_path / "no" / "a.safetensors")
    with pytest.raises(FileNotFoundError):
        st.load_file(tmp_path / "no.safetensors")
    with pytest.raises(KeyError, match="it has x"):
        st.save_file({"x": x}, path)
        st.safe_open(path).get_tensor("y")
    closed = st.safe_open(path)
    with closed:
        pass
    with pytest.raises(ValueError, match="closed"):
        closed.get_tensor("x")


def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


DAMAGED = {
    "empty": b"",
    "short": b"\x08\0\0",
    "no header": struct.pack("<Q", 100),
    "huge header": file_of(b"{}", length=2**62),
    "header beyond the file": file_of(b"{}", length=50),
    "no JSON": file_of(b"hello", bytes(8)),
    "a list": file_of([1]),
    "cut": file_of({"x": entry()}, bytes(7)),
    "trailing bytes": file_of({"x": entry()}, bytes(9)),
    "no bytes": file_of({"x": entry()}),
    "overlap": file_of({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)),
    "the same bytes": file_of({"x": entry(), "y": entry()}, bytes(8)),
    "a gap": file_of({"x": entry(), "y": entry(offsets=(12, 20))}, bytes(20)),
    "bad dtype": file_of({"x": entry("X9")}, bytes(8)),
    "duplicate keys": file_of(
        b'{"x":' + json.dumps(entry()).encode() + b',"x":' + json.dumps(entry()).encode() + b"}", bytes(8)
    ),
    "shape and bytes": file_of({"x": entry(shape=(3,))}, bytes(8)),
    "shape too large": file_of({"x": entry(shape=(2**40, 2**40))}, bytes(8)),
    "negative shape": file_of({"x": entry(shape=(-2, -1))}, bytes(8)),
    "offsets backwards": file_of({"x": entry(offsets=(8, 0))}, bytes(8)),
    "negative offsets": file_of({"x": entry(offsets=(-8, 0))}, bytes(8)),
    "a pickle": b"\x80\x02cos\nsystem\n.",
    "a zip": b"PK\3\4" + bytes(100),
    "nested deeply": file_of(b"[" * 100_000),
    "metadata of numbers": file_of({"__metadata__": {"a": 1}, "x": entry()}, bytes(8)),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(name, tmp_path, device):
    path = tmp_path / "a.safetensors"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(st.SafetensorError):
        st.load_file(path, device)
    with pytest.raises(st.SafetensorError):
        st.load(DAMAGED[name])


def test_types_that_webtorch_has_not(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(file_of({"x": entry("U32"), "y": entry(offsets=(8, 16))}, bytes(16)))
    with pytest.raises(webtorch.DTypeError, match="'x'.*U32"):
        st.load_file(path)
    with st.safe_open(path) as file:
        assert file.get_tensor("y").tolist() == [0, 0]
    path.write_bytes(file_of({"x": entry("BOOL", (4,), (0, 4))}, bytes([0, 1, 2, 255])))
    assert st.load_file(path)["x"].sum().item() == 3


MEASURED = """
import resource, sys
import webtorch
from webtorch import safetensors as st
webtorch.ones(4, device="webgpu").sum().item()
st.load_file(sys.argv[2], "webgpu")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with st.safe_open(sys.argv[1], device="webgpu") as file:
    names = file.offset_keys()
    total = 0.0
    for name in names:
        total += file.get_tensor(name).sum().item()  # and let go: the GPU's memory is the host's on a software adapter
        webtorch.webgpu.empty_cache()
print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.gpu
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux does")
def test_a_large_file_does_not_pass_through_the_memory_as_a_whole(tmp_path):
    count = 8
    st.save_file({f"w{number}": webtorch.ones(4 << 20) for number in range(count)}, tmp_path / "large.safetensors")
    st.save_file({"w": webtorch.ones(4)}, tmp_path / "small.safetensors")
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURED, tmp_path / "large.safetensors", tmp_path / "small.safetensors"],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    total, grown = map(float, made.stdout.split())
    assert total == count * (4 << 20)
    assert grown < 16 * count * 0.8, grown  # MiB, the size of the file: each tensor is 16


def test_without_the_library(tmp_path):
    program = (
        "import sys; sys.modules['safetensors'] = None\n"
        "import webtorch\n"
        "for call in (lambda: webtorch.safetensors.load_file('x'), lambda: webtorch.safetensors.save({})):\n"
        "    try: call()\n"
        "    except ImportError as error: assert 'webtorch[io]' in str(error), error\n"
        "    else: raise SystemExit('no error')\n"
    )
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "WEBTORCH_DEVICE": "cpu"})  # fmt: skip
    assert made.returncode == 0, made.stderr + made.stdout
