"""Checkpoints of PyTorch before 1.6: four pickles in a row, a fifth with the keys of the storages, then their bytes."""

from __future__ import annotations

import os
import struct
import sys
from typing import Any, BinaryIO

import numpy as np

from .. import graph
from ..elsewhere import shape_only
from ..errors import UnpicklingError
from .storages import LoadedStorage
from .unpickling import Machine, StoredTensor, expect

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def no_storage(said: tuple) -> Any:
    raise UnpicklingError("load(): the file is damaged: it names a storage too early")


def read(file: BinaryIO, place: Any, encoding: str) -> Any:
    """The value of an old checkpoint; the file is then behind it, for there may be another."""
    start = file.tell()
    data = file.read()
    try:
        first = Machine(data, no_storage)
        magic = first.run() if data[:1] == b"\x80" else None
        if magic != MAGIC:
            raise UnpicklingError("not a checkpoint")
    except UnpicklingError:
        raise UnpicklingError(what_it_is(data)) from None
    position = first.position
    machine = Machine(data, no_storage, position)
    expect(machine.run() == PROTOCOL, "an old checkpoint of another kind than 1001")
    machine = Machine(data, no_storage, machine.position)
    info = machine.run()
    expect(isinstance(info, dict), "what it says of the system that wrote it")
    little = info.get("little_endian", info.get(b"little_endian", True))
    # The pickle comes before the bytes, so it is run twice: to learn what storages there are, and to build with them.
    found: dict[str, tuple] = {}

    def seen(said: tuple) -> StoredTensor:
        dtype, key, location, numel = said[:4]
        expect(
            found.setdefault(key, (dtype, numel, location)) == (dtype, numel, location),
            f"storage {key[:50]} is two things",
        )
        expect(numel * dtype.itemsize <= len(data), f"storage {key[:50]} is larger than the file")
        if len(said) > 4 and said[4] is not None:
            raise UnpicklingError(
                "load(): the file holds views of storages as PyTorch 0.3 wrote them; save it anew with a newer one"
            )
        return StoredTensor(graph.Storage(shape_only((numel,), dtype)), dtype, numel)

    begin = machine.position
    machine = Machine(data, seen, begin, encoding)
    machine.run()
    keys = Machine(data, no_storage, machine.position)
    names = keys.run()
    expect(isinstance(names, list) and sorted(map(str, names)) == sorted(found), "the keys of its storages")
    position = keys.position
    storages: dict[str, StoredTensor] = {}
    for name in map(str, names):
        dtype, numel, location = found[name]
        expect(position + 8 <= len(data), "it ends too early")
        (said,) = struct.unpack_from("<q" if little else ">q", data, position)
        position += 8
        expect(said == numel and position + numel * dtype.itemsize <= len(data), f"the size of storage {name[:50]}")
        array = np.frombuffer(data, dtype.memory, numel, position).copy()
        position += numel * dtype.itemsize
        if little != (sys.byteorder == "little"):
            array = array.byteswap()
        storages[name] = StoredTensor(place(LoadedStorage(array, dtype), location).placed(), dtype, numel)
    value = Machine(data, lambda said: storages[said[1]], begin, encoding).run()
    file.seek(start + position, os.SEEK_SET)
    return value


def what_it_is(data: bytes) -> str:
    """What to say of a file that is no checkpoint."""
    if not data:
        return "load(): the file is empty"
    (length,) = struct.unpack("<Q", data[:8]) if len(data) >= 8 else (0,)
    if data[8:9] == b"{" and 2 <= length <= len(data) - 8:
        return "load(): this is a safetensors file; read it with webtorch.safetensors.load_file"
    if data[:6] == b"\x93NUMPY":
        return "load(): this is a file of numpy; read it with webtorch.from_numpy(numpy.load(file))"
    if (
        data[257:262] == b"ustar"
        or b"\0\0\0" in data[:512]
        and data[:8].rstrip(b"\0") in (b"sys_info", b"pickle", b"storages")
    ):
        return "load(): this is a tar archive, as PyTorch wrote before 0.2; read it with PyTorch and save it anew"
    return (
        "load(): the file is no checkpoint, or is damaged: it is neither a zip archive (PyTorch 1.6 and newer) nor begins as "
        "older checkpoints do"
    )
