"""Files that were made to harm, and files that were harmed: `webtorch.load` raises UnpicklingError, quickly, and runs nothing."""

import builtins
import collections
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import webtorch

RAN = []


def trip(*arguments, **options):
    """What must not be called."""
    RAN.append(arguments)
    return 0


def archive_of(program: bytes, storages=(), **extra: bytes) -> io.BytesIO:
    """A checkpoint with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", sys.byteorder)
        for number, data in enumerate(storages):
            archive.writestr(f"archive/data/{number}", data)
        archive.writestr("archive/version", "3\n")
        for name, data in extra.items():
            archive.writestr(name.replace("__", "/"), data)
    file.seek(0)
    return file


def legacy_of(program: bytes) -> io.BytesIO:
    """The same as PyTorch wrote it before 1.6."""
    from webtorch.saving.legacy import MAGIC, PROTOCOL

    head = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {"little_endian": True})]
    return io.BytesIO(b"".join(head) + program + pickle.dumps([], 2))


def refused(file, match="load"):
    RAN.clear()
    with pytest.raises(webtorch.UnpicklingError, match=match):
        webtorch.load(file)
    assert not RAN


class Reduced:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments, state=None, items=None):
        self.parts = (function, arguments, state, None, items)

    def __reduce__(self):
        function, arguments, state, _, items = self.parts
        return function, arguments, state, None, None if items is None else iter(items)


class Plain:
    pass


HOSTILE = {
    "os.system": Reduced(os.system, "exit 1"),
    "eval": Reduced(eval, "__import__('test_hostile_checkpoints').trip()"),
    "exec": Reduced(exec, "import test_hostile_checkpoints as t; t.trip()"),
    "subprocess": Reduced(subprocess.Popen, ["true"]),
    "getattr": Reduced(getattr, Reduced(__import__, "os"), "system"),
    "import": Reduced(__import__, "os"),
    "open": Reduced(open, "owned", "w"),
    "our own function": Reduced(trip),
    "map": Reduced(map, trip, [1]),
    "apply through a class": Reduced(type, "X", (), {"__init__": trip}),
    "an instance": Plain(),
    "a module's class": webtorch.nn.Linear,
    "a whole module": webtorch.nn.Linear(1, 1),
    "numpy": np.float64(1),
    "an array": np.zeros(2),
    "pickle.loads": Reduced(pickle.loads, pickle.dumps(Reduced(trip))),
    "defaultdict with a factory": collections.defaultdict(trip, a=1),
    "in a key": {Reduced(trip): 1},
    "deep inside": [[{"a": (1, [Reduced(trip)])}]],
    "in a state": Reduced(collections.OrderedDict, state={"x": Reduced(trip)}),
    "in an item": Reduced(collections.OrderedDict, items=[("a", Reduced(trip))]),
    "breakpoint": Reduced(builtins.breakpoint),
    "webtorch.load": Reduced(webtorch.load, "other.pt"),
    "posix": Reduced(os.getcwd),
    "codecs": Reduced(__import__("codecs").decode, b"abc", "zlib_codec"),
}  # fmt: skip


@pytest.mark.parametrize("form", [archive_of, legacy_of], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", HOSTILE)
def test_pickles_that_call_something(name, form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 3, 4, 5):
        refused(form(pickle.dumps({"weights": HOSTILE[name]}, protocol)))
    assert not list(tmp_path.iterdir())


def test_the_error_names_what_was_asked_for_and_the_way_out():
    refused(
        archive_of(pickle.dumps(HOSTILE["our own function"])),
        r"test_hostile_checkpoints\.trip.*state_dict.*safetensors",
    )
    refused(archive_of(pickle.dumps(HOSTILE["eval"], 2)), r"__builtin__\.eval")


def name(path):
    module, _, attribute = path.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


ORDERED = name("collections.OrderedDict") + b")R"
ENCODE = name("_codecs.encode")
STORAGE = b"(" + text("storage") + name("torch.FloatStorage") + text("0") + text("cpu") + b"K\x04tQ"
REBUILD = name("torch._utils._rebuild_tensor_v2")


def tensor(offset=b"K\0", size=b"K\x04\x85", stride=b"K\x01\x85", storage=STORAGE, grad=b"\x89", hooks=ORDERED):
    return REBUILD + b"(" + storage + offset + size + stride + grad + hooks + b"tR"


def huge(value):
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


PROGRAMS = {
    "OBJ": b"(" + name("os.system") + text("true") + b"o.",
    "INST": b"(" + text("true") + b"ios\nsystem\n.",
    "a chain of getattr": name("__builtin__.getattr")
    + name("__builtin__.__import__")
    + text("os")
    + b"\x85R"
    + text("system")
    + b"\x86R"
    + text("true")
    + b"\x85R.",
    "a getattr of what is known": name("__builtin__.getattr")
    + name("collections.OrderedDict")
    + text("__init__")
    + b"\x86R.",
    "an extension": b"\x82\x01.",
    "an extension of two bytes": b"\x83\x01\x00.",
    "of four": b"\x84\x01\x00\x00\x00.",
    "NEWOBJ_EX": ORDERED + b")}\x92.",
    "PERSID in text": b"P0\n.",
    "INT in text": b"I1\n.",
    "LONG in text": b"L1L\n.",
    "FLOAT in text": b"F1\n.",
    "STRING in text": b"S'a'\n.",
    "UNICODE in text": b"Va\n.",
    "out-of-band buffer": b"\x97.",
    "a name out of the allow-list by dots": text("collections") + text("OrderedDict.__init__") + b"\x93.",
    "a name of a submodule": text("torch.os") + text("system") + b"\x93.",
    "a name that is no text": b"K\x01K\x02\x93.",
    "attributes of an allowed class": name("collections.OrderedDict") + b"}" + text("__init__") + text("x") + b"sb.",
    "slots of an allowed class": name("collections.OrderedDict") + b"N}" + text("get") + b"Ns\x86b.",
    "attributes that shadow methods": ORDERED + b"}" + text("items") + b"Nsb.",
    "attributes with underscores": ORDERED + b"}" + text("__class__") + b"Nsb.",
    "attributes of a list": b"]}" + text("a") + b"Nsb.",
    "attributes of a dict": b"}}" + text("a") + b"Nsb.",
    "attributes of a tensor": tensor() + b"}" + text("_grad_fn") + b"Nsb.",
    "an allowed name alone": name("collections.OrderedDict") + b".",
    "a storage alone": STORAGE + b".",
    "a call of a dtype": name("torch.float32") + b")R.",
    "a call of a text": text("a") + b")R.",
    "a call of a list": b"])R.",
    "a call of a result": ORDERED + b")R.",
    "arguments that are no tuple": name("collections.OrderedDict") + b"]R.",
    "a class made": name("torch.Tensor") + b")R.",
    "a type from a file": name("torch.Tensor") + b")\x81.",
    "nothing": b"",
    "only an end": b".",
    "no end": b"N",
    "a mark left": b"(N.",
    "no mark": b"t.",
    "an empty stack": b"0.",
    "a memo that is not there": b"h\x05.",
    "a memo of nothing": b"q\0.",
    "an append to a tuple": b")Na.",
    "an append to a dict": b"}Na.",
    "appends to nothing": b"(NNe.",
    "items of a list": b"](NNu.",
    "half an item": b"}(Nu.",
    "an item with no dict": b"NNNs.",
    "a key that is a list": b"}]Ns.",
    "a key that is a dict": b"}}Ns.",
    "a key in a key": b"}N\x85\x85Ns.",
    "an element that is a list": b"\x8f(]\x90.",
    "a set of lists": name("builtins.set") + b"]]a\x85R.",
    "a long text": b"X\xff\xff\xff\xffabc.",
    "a very long text": b"\x8d" + b"\xff" * 8 + b".",
    "a text of negative length": b"T\xff\xff\xff\xffa.",
    "long bytes": b"B\xff\xff\xff\x7f.",
    "very long bytes": b"\x8e" + b"\xff" * 8 + b".",
    "a long bytearray": b"\x96" + b"\xff" * 8 + b".",
    "a long integer": b"\x8b\xff\xff\xff\x7f.",
    "a negative integer length": b"\x8b\xff\xff\xff\xff.",
    "bad utf-8": b"X\x01\0\0\0\xff.",
    "a long frame": b"\x95" + b"\xff" * 8 + b".",
    "a protocol of the future": b"\x80\x09N.",
    "a protocol of the past": b"\x80\x01N.",
    "a name without end": b"cos",
    "names without end": b"c" + b"a" * 100_000,
    "half a number": b"G\0\0",
    "a codec": ENCODE + text("a") + text("zlib_codec") + b"\x86R.",
    "a codec for files": ENCODE + text("a") + text("hex") + b"\x86R.",
    "bytes that are none": ENCODE + text("\u20ac") + text("latin1") + b"\x86R.",
    "a size of texts": name("torch.Size") + text("a") + b"\x85\x85R.",
    "a negative size": name("torch.Size") + b"J\xff\xff\xff\xff\x85\x85R.",
    "too many arguments": name("torch.Size") + b"(NNNNtR.",
    "a complex of texts": name("builtins.complex") + text("1") + text("2") + b"\x86R.",
    "a bytearray of a number": name("builtins.bytearray") + huge(2**40) + b"\x85R.",
    "a device of no name": name("torch.device") + text("moon") + b"\x85R.",
    "no storage": tensor(storage=b"N"),
    "a storage that is missing": tensor(storage=STORAGE.replace(text("0"), text("9"))),
    "a storage by a path": tensor(storage=STORAGE.replace(text("0"), text("../data.pkl"))),
    "a storage of too many elements": tensor(storage=STORAGE.replace(b"K\x04tQ", huge(2**40) + b"tQ")),
    "a storage of too few": tensor(storage=STORAGE.replace(b"K\x04tQ", b"K\x03tQ")),
    "a storage of another type": tensor(storage=STORAGE.replace(b"FloatStorage", b"DoubleStorage")),
    "a storage of no type": tensor(storage=STORAGE.replace(name("torch.FloatStorage"), b"N")),
    "a storage's reference cut": tensor(storage=b"(" + text("storage") + b"tQ"),
    "a reference to a module": b"(" + text("module") + b"NNNNtQ.",
    "a tensor out of bounds": tensor(size=b"K\x05\x85"),
    "by its offset": tensor(offset=b"K\x01"),
    "by its stride": tensor(stride=b"K\x02\x85"),
    "by a huge stride": tensor(stride=huge(2**62) + b"\x85"),
    "a negative offset": tensor(offset=b"J\xff\xff\xff\xff"),
    "a negative stride": tensor(stride=b"J\xff\xff\xff\xff\x85"),
    "a negative extent": tensor(size=b"J\xff\xff\xff\xff\x85"),
    "an extent that is a float": tensor(size=b"G\0\0\0\0\0\0\0\0\x85"),
    "an offset that is true": tensor(offset=b"\x88"),
    "extents without strides": tensor(stride=b")"),
    "too many elements": tensor(size=huge(2**62) + b"K\x04\x86", stride=b"K\0K\0\x86"),
    "too many dimensions": tensor(size=b"(" + b"K\x01" * 65 + b"t", stride=b"(" + b"K\0" * 65 + b"t"),
    "hooks": tensor(hooks=b"}" + b"K\x01" + text("hook") + b"s"),
    "a requires_grad of text": tensor(grad=text("yes")),
    "a tensor with attributes of ours": name("torch._tensor._rebuild_from_type_v2")
    + b"("
    + REBUILD
    + name("torch.Tensor")
    + b"("
    + STORAGE
    + b"K\0K\x04\x85K\x01\x85\x89"
    + ORDERED
    + b"t}"
    + text("backward")
    + b"NstR.",
    "a tensor of a type of its own": name("torch._tensor._rebuild_from_type_v2")
    + b"("
    + REBUILD
    + name("torch.Size")
    + b")}tR.",
    "a builder that is none": name("torch._tensor._rebuild_from_type_v2")
    + b"("
    + name("torch.Size")
    + name("torch.Tensor")
    + b")}tR.",
    "a parameter of nothing": name("torch._utils._rebuild_parameter") + b"N\x88" + ORDERED + b"\x87R.",
    "a sparse tensor": name("torch._utils._rebuild_sparse_tensor") + b")R.",
    "a quantized one": name("torch._utils._rebuild_qtensor") + b")R.",
    "a numpy one": name("torch._utils._rebuild_device_tensor_from_numpy") + b")R.",
}


@pytest.mark.parametrize("form", [archive_of, legacy_of], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_that_are_no_data(name, form):
    program = PROGRAMS[name] if PROGRAMS[name][-1:] == b"." or len(PROGRAMS[name]) < 20 else PROGRAMS[name] + b"."
    options = {"storages": [bytes(16)]} if form is archive_of else {}
    refused(form(program, **options) if PROGRAMS[name][:1] == b"\x80" else form(b"\x80\x02" + program, **options))


def test_the_program_that_the_others_vary_is_a_tensor():
    """So that they are refused for what they change."""
    program = b"\x80\x02" + tensor() + b"."
    assert webtorch.load(archive_of(program, [np.arange(4, dtype=np.float32).tobytes()])).tolist() == [0, 1, 2, 3]
    expanded = b"\x80\x02" + tensor(size=huge(2**40) + b"\x85", stride=b"K\0\x85") + b"."
    assert webtorch.load(archive_of(expanded, [bytes(16)])).shape == (2**40,)  # a view costs nothing


def test_types_that_webtorch_has_not_are_named():
    for kind in ("float8_e4m3fn", "uint32"):
        with pytest.raises(webtorch.DTypeError, match=kind):
            webtorch.load(archive_of(b"\x80\x02" + name(f"torch.{kind}") + b"."))


def test_small_files_cannot_ask_for_much_work():
    big = b"\x80\x02" + text("x" * 50_000) + b"q\0" + text("latin1") + b"q\1"
    refused(archive_of(big + (ENCODE + b"h\0h\1\x86R0") * 50_000 + b"N."), "more work")
    elements = b"\x80\x02](" + b"".join(b"J" + struct.pack("<i", n) for n in range(20_000)) + b"eq\0"
    refused(archive_of(elements + (name("builtins.set") + b"h\0\x85R0") * 20_000 + b"N."), "more work")
    laughs = (
        b"\x80\x02N" + b"2\x86" * 200 + b"."
    )  # a tuple of two to the power of 200 leaves: only its memory is looked at
    value = webtorch.load(archive_of(laughs))
    assert type(value) is tuple and len(value) == 2
    refused(archive_of(b"\x80\x02}N" + b"2\x86" * 200 + b"Ns."), "key")  # but hashing it would never end
    deep = webtorch.load(archive_of(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."))
    assert type(deep) is list


# ---- archives -------------------------------------------------------------------------------------------------------

GOOD = b"\x80\x02" + tensor() + b"."


def rewritten(change, compression=zipfile.ZIP_STORED, program=GOOD, data=bytes(16), names=()):
    """The good archive with its directory entries changed by `change(entry)`."""
    file = io.BytesIO()
    archive = zipfile.ZipFile(file, "w", compression)
    archive.writestr("archive/data.pkl", program)
    archive.writestr("archive/data/0", data)
    for each in names:
        archive.writestr(each, b"")
    for entry in archive.infolist():
        change(entry)
    archive.close()
    file.seek(0)
    return file


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_lie(tmp_path):
    assert webtorch.load(rewritten(lambda entry: None)).tolist() == [0] * 4

    def says(**fields):
        def change(entry):
            if entry.filename.endswith("/0"):
                for field, value in fields.items():
                    setattr(entry, field, value)

        return change

    refused(rewritten(says(file_size=2**40)), "larger")
    refused(rewritten(says(file_size=2**40, compress_size=2**40)), "larger")
    refused(rewritten(says(file_size=17)), "larger")
    refused(rewritten(says(CRC=1)), "CRC")
    refused(rewritten(says(header_offset=10**6)))
    refused(rewritten(says(header_offset=3)))
    refused(rewritten(says(flag_bits=1)), "encrypted")
    refused(rewritten(says(compress_type=99)))
    refused(rewritten(lambda entry: None, zipfile.ZIP_DEFLATED), "compressed")
    # A bomb: a thousand million zeros in a few kilobytes.
    refused(rewritten(lambda entry: None, zipfile.ZIP_DEFLATED, data=bytes(50_000_000)), "compressed")
    for path in ("../../etc/passwd", "/etc/passwd", "archive/../../x", "archive\\..\\x", "archive/data/../../../x"):
        refused(rewritten(lambda entry: None, names=[path]), "forged")
    refused(rewritten(lambda entry: None, names=["archive/data/0"]), "two entries")
    refused(rewritten(lambda entry: None, names=["other/data.pkl"]), "no data.pkl")
    refused(rewritten(lambda entry: None, names=["archive/constants.pkl"]), "TorchScript")
    refused(archive_of(GOOD, [bytes(16)], **{"archive__.data__webtorch_devices": b"[1"}), "devices")
    refused(archive_of(GOOD, [bytes(16)], **{"archive__.data__webtorch_devices": b'{"0": 3}'}), "devices")
    refused(archive_of(GOOD, [bytes(16)], **{"archive__.data__webtorch_devices": b'{"0": "moon"}'}), "moon")
    refused(archive_of(GOOD, [bytes(16)], **{"archive__.data__webtorch_devices": b"{" * 100_000}), "devices")
    refused(archive_of(GOOD, [bytes(16)], **{"archive__.data__webtorch_devices": bytes(2 << 20)}), "forged")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    refused(io.BytesIO(empty.getvalue()))
    refused(io.BytesIO(b"PK\3\4"))
    # Overlapping entries: many storages that are the same bytes of the file.
    path = tmp_path / "overlap.pt"
    path.write_bytes(rewritten(lambda entry: setattr(entry, "header_offset", 0)).getvalue())
    refused(path)
    with pytest.raises(webtorch.UnpicklingError):
        webtorch.load(path, mmap=True)


def test_bools_that_are_neither(device):
    program = (b"\x80\x02" + tensor() + b".").replace(b"FloatStorage", b"BoolStorage")
    x = webtorch.load(archive_of(program, [bytes([0, 1, 2, 255])]), map_location=device)
    assert x.tolist() == [False, True, True, True] and x.sum().item() == 3


def test_what_is_no_checkpoint(tmp_path):
    for data, message in [
        (b"", "empty"), (b"P", "no checkpoint"), (b"hello, world" * 100, "no checkpoint"), (bytes(1000), "no checkpoint"),
        (struct.pack("<Q", 2) + b"{}", "safetensors"), (b"\x93NUMPY\x01\0" + bytes(100), "numpy"),
        (pickle.dumps({"a": 1}), "no checkpoint"), (pickle.dumps(Reduced(trip)), "no checkpoint"),
        (bytes(257) + b"ustar" + bytes(300), "tar"), (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "ends"),
        (b"\xff" * 5000, "no checkpoint"), (b"\x89HDF\r\n\x1a\n" + bytes(50), "no checkpoint"),
    ]:  # fmt: skip
        refused(io.BytesIO(data), message)
        (tmp_path / "file.pt").write_bytes(data)
        refused(tmp_path / "file.pt", message)


def test_old_files_that_lie():
    import pathlib

    folder = pathlib.Path(__file__).parent / "goldens" / "checkpoints"
    good = (folder / "views_legacy.pt").read_bytes()
    for length in range(0, len(good), 17):
        refused(io.BytesIO(good[:length]))
    refused(io.BytesIO(good[:-8]))
    refused(io.BytesIO(good.replace(b"K\x0c", b"K\xff", 1)))  # the number of elements of a storage
    refused(
        legacy_of(b"\x80\x02" + tensor(storage=STORAGE.replace(b"K\x04tQ", huge(2**50) + b"tQ")) + b"."),
        "larger than the file",
    )
    refused(legacy_of(b"\x80\x02" + tensor() + b"."), "keys")


def test_damaged_files():
    """Cut anywhere, and bytes changed anywhere: an error of ours, or a value when nothing that counts was hit."""
    whole = io.BytesIO()
    webtorch.save(
        {"a": webtorch.arange(6.0).reshape(2, 3), "b": [1, "x", None, 2.5, (1,), b"y"], "c": webtorch.ones(1)}, whole
    )
    good = whole.getvalue()
    chance = random.Random(0)
    for length in range(0, len(good) - 1, 11):
        refused(io.BytesIO(good[:length]))
    silent = 0
    for _ in range(1500):
        bad = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            bad[chance.randrange(len(bad))] = chance.choice([0, 255, chance.randrange(256)])
        try:
            webtorch.load(io.BytesIO(bad))
            silent += 1
        except webtorch.UnpicklingError:
            pass
    assert silent < 1500  # padding and dates do not count


def test_damaged_pickles():
    from webtorch.saving.pickling import Pickle
    from webtorch.saving.unpickling import Machine

    value = {
        "l": [1, 2.5, "x", None, True, b"ab", (1, 2)],
        "s": {1},
        "c": 1j,
        "d": webtorch.float32,
        "z": webtorch.Size([1]),
    }
    good = bytes(Pickle(value).out)
    chance = random.Random(1)

    def stored(said):
        raise webtorch.UnpicklingError("none here")

    for _ in range(4000):
        bad = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            Machine(bytes(bad), stored).run()
        except webtorch.UnpicklingError:
            pass
