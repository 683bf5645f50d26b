"""Checkpoints as zip archives, in the layout that PyTorch gave them: a pickle, and each storage's bytes as an entry."""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

import numpy as np

from .. import dtypes, engine
from ..errors import UnpicklingError
from .pickling import Pickle
from .storages import LoadedStorage
from .unpickling import Machine, StoredTensor

ALIGNMENT = 64  # where the bytes of a storage begin in the file, so that a mapped file can be read as numbers
DEVICES = ".data/webtorch_devices"  # which storages were on a GPU: PyTorch knows no device of that name
CHUNK = 16 << 20
LARGE = 1 << 31  # entries of so many bytes have their size in zip's 64-bit form
BOUND = 1 << 20  # of the small entries


# ---- writing --------------------------------------------------------------------------------------------------------


def write(value: Any, file: IO[bytes]) -> None:
    """The archive of a value, written into a file that can be sought in; one storage after the other comes to the host."""
    pickle = Pickle(value)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        add(archive, "data.pkl", bytes(pickle.out))
        add(archive, ".format_version", b"1")
        add(archive, ".storage_alignment", str(ALIGNMENT).encode())
        add(archive, "byteorder", sys.byteorder.encode())
        for key, storage in enumerate(pickle.storages):
            add(archive, f"data/{key}", engine.read(storage.node))
        add(archive, "version", b"3\n")
        away = {
            str(key): str(each.device)
            for key, each in enumerate(pickle.storages)
            if each.device.type not in ("cpu", "meta")
        }
        if away:
            add(archive, DEVICES, json.dumps(away).encode())


def add(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    """An entry of which the content begins at a multiple of ALIGNMENT. Nothing in it tells the time, so that the same
    values make the same file."""
    data = (np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content.view(np.uint8)).data
    entry = zipfile.ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0))
    large = data.nbytes >= LARGE
    start = archive.start_dir + 30 + len(entry.filename) + (20 if large else 0) + 4
    entry.extra = struct.pack("<HH", 0x4246, -start % ALIGNMENT) + bytes(-start % ALIGNMENT)
    entry.file_size = data.nbytes
    with archive.open(entry, "w", force_zip64=large) as target:
        for first in range(0, data.nbytes, CHUNK):
            target.write(data[first : first + CHUNK])


# ---- reading --------------------------------------------------------------------------------------------------------


def read(file: BinaryIO, place: Any, encoding: str, path: str | None) -> Any:
    """The value of an archive; `place` brings storages to their device. With `path`, storages are mapped, not read."""
    with reading():
        archive = zipfile.ZipFile(file)
    with archive:
        return Archive(archive, file, place, path).value(encoding)


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """What Python's zip reader raises for damaged files, which is many things, as UnpicklingError."""
    try:
        yield
    except UnpicklingError:
        raise
    except (zipfile.BadZipFile, EOFError, struct.error, RuntimeError, ValueError, LookupError, OverflowError) as error:
        raise UnpicklingError(f"load(): the file is damaged: as a zip archive it cannot be read ({error})") from error


class Archive:
    """An opened archive, whose entries were found to be what a checkpoint has."""

    def __init__(self, archive: zipfile.ZipFile, file: BinaryIO, place: Any, path: str | None) -> None:
        self.archive = archive
        self.file = file
        self.place = place
        self.path = path
        self.entries: dict[str, zipfile.ZipInfo] = {}
        self.stored: dict[str, StoredTensor] = {}
        size = file.seek(0, os.SEEK_END)
        total = 0
        roots = set()
        for entry in archive.infolist():
            name = entry.filename
            if not name or name.startswith("/") or "\\" in name or ".." in name.split("/") or "\0" in name:
                raise UnpicklingError(f"load(): the file is forged: it has an entry named {name[:100]!r}")
            if entry.is_dir():
                continue
            if name in self.entries:
                raise UnpicklingError(f"load(): the file is forged: it has two entries named {name[:100]!r}")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise UnpicklingError(
                    f"load(): the entry {name[:100]!r} is compressed or encrypted, and checkpoints are not; "
                    "unpack the archive and save it anew"
                )
            total += entry.file_size
            if entry.file_size != entry.compress_size or total > size:
                raise UnpicklingError(
                    f"load(): the file is damaged or forged: {name[:100]!r} is said to be larger than it is"
                )
            self.entries[name] = entry
            if name.endswith("/data.pkl") and name.count("/") == 1:
                roots.add(name.removesuffix("data.pkl"))
        if len(roots) != 1:
            raise UnpicklingError("load(): the file is a zip archive, but no checkpoint: it has no data.pkl")
        (self.root,) = roots
        if f"{self.root}constants.pkl" in self.entries:
            raise UnpicklingError(
                "load(): the file is a TorchScript program, not a checkpoint; save its state_dict() where it was made"
            )

    def small(self, name: str, otherwise: bytes) -> bytes:
        entry = self.entries.get(self.root + name)
        if entry is None:
            return otherwise
        if entry.file_size > BOUND:
            raise UnpicklingError(f"load(): the file is forged: {name} has {entry.file_size} bytes")
        with reading():
            return self.archive.read(entry)

    def value(self, encoding: str) -> Any:
        order = self.small("byteorder", sys.byteorder.encode())
        if order not in (b"little", b"big"):
            raise UnpicklingError(f"load(): the file's byte order is {order[:20]!r}")
        self.swapped = order != sys.byteorder.encode()
        try:
            self.devices = json.loads(self.small(DEVICES, b"{}"))
        except (ValueError, RecursionError):
            self.devices = None
        if not isinstance(self.devices, dict) or not all(isinstance(each, str) for each in self.devices.values()):
            raise UnpicklingError("load(): the file is damaged: its list of devices cannot be read")
        with reading():
            data = self.archive.read(self.entries[self.root + "data.pkl"])
        return Machine(data, self.storage, encoding=encoding).run()

    def storage(self, said: tuple) -> StoredTensor:
        """The storage that the pickle names, read when it is named for the first time."""
        dtype, key, location, numel = said[:4]
        found = self.stored.get(key)
        if found is not None:
            if (found.dtype, found.numel) != (dtype, numel):
                raise UnpicklingError(f"load(): the file is damaged or forged: storage {key} is said to be two things")
            return found
        entry = self.entries.get(f"{self.root}data/{key}") if re.fullmatch(r"[0-9]{1,19}", key) else None
        if entry is None:
            raise UnpicklingError(f"load(): the file is damaged: it has no storage {key[:100]!r}")
        if entry.file_size != numel * dtype.itemsize:
            raise UnpicklingError(
                f"load(): the file is damaged or forged: storage {key} has {entry.file_size} bytes, not the "
                f"{numel * dtype.itemsize} of {numel} elements of {dtype.name}"
            )
        with reading():
            array = self.mapped(entry, dtype, numel) if self.path is not None else self.content(entry, dtype, numel)
        if self.swapped:
            array = array.byteswap()
        if dtype is dtypes.bool_ and array.size and array.view(np.uint8).max() > 1:
            array = array.view(np.uint8) != 0
        storage = self.place(LoadedStorage(array, dtype), self.devices.get(key, location)).placed()
        result = self.stored[key] = StoredTensor(storage, dtype, numel)
        return result

    def content(self, entry: zipfile.ZipInfo, dtype: dtypes.dtype, numel: int) -> np.ndarray:
        array = np.empty(numel, dtype.memory)
        target = array.view(np.uint8).data
        with self.archive.open(entry) as source:
            filled = 0
            while filled < len(target):
                piece = source.read(min(CHUNK, len(target) - filled))
                if not piece:
                    raise UnpicklingError(f"load(): the file ends in the middle of {entry.filename}")
                target[filled : filled + len(piece)] = piece
                filled += len(piece)
            source.read(1)  # the end, where the checksum is compared
        return array

    def mapped(self, entry: zipfile.ZipInfo, dtype: dtypes.dtype, numel: int) -> np.ndarray:
        """The entry where it lies in the file. Writes stay in memory; the checksum is not looked at."""
        self.file.seek(entry.header_offset)
        header = self.file.read(30)
        if len(header) != 30 or header[:4] != b"PK\3\4":
            raise UnpicklingError(f"load(): the file is damaged: {entry.filename} has no header")
        names, extra = struct.unpack("<HH", header[26:])
        if self.file.read(names) != entry.orig_filename.encode("utf-8" if entry.flag_bits & 0x800 else "cp437"):
            raise UnpicklingError(
                f"load(): the file is damaged or forged: {entry.filename} is not where it is said to be"
            )
        start = entry.header_offset + 30 + names + extra
        if start + entry.file_size > self.file.seek(0, os.SEEK_END):
            raise UnpicklingError(f"load(): the file ends in the middle of {entry.filename}")
        if not numel:
            return np.empty(0, dtype.memory)
        whole = np.memmap(self.path, np.uint8, "c", start, (entry.file_size,))
        if start % dtype.itemsize:
            return np.array(whole).view(dtype.memory)
        return whole.view(np.ndarray).view(dtype.memory)
