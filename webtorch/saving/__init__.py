"""Checkpoints in PyTorch's own format: `save` and `load`, which run no code of a file and leave no half-written ones."""

from __future__ import annotations

import io
import os
import pickle as python_pickle
import shutil
import tempfile
from typing import Any

from ..errors import UnpicklingError
from ..files import replacing
from . import archive, legacy
from .storages import placement

__all__ = ["load", "save"]

IN_MEMORY = 64 << 20  # a checkpoint for a file object is put together in memory up to here, then in a temporary file


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write a checkpoint: tensors, numbers, strings, bytes and None in dicts, lists, tuples and sets, to any depth.

    That is what state dicts of modules, optimizers and schedulers are, and `get_rng_state()`. `f` is a path or an open
    file. Tensors that share memory share it again when loaded; a GPU's memory is copied to the host once per storage. The
    file is PyTorch's zip format, which `torch.load(..., weights_only=True)` reads too; tensors of a GPU come back on the
    GPU here and on the cpu there. A path holds the whole new file afterwards or, after an error, what it held before.

    Raises TypeError, with the place in `obj`, for anything else: a module (save its `state_dict()`), a numpy array, an
    object of a class; FileNotFoundError when the folder is missing.

    >>> import io
    >>> file = io.BytesIO()
    >>> webtorch.save({"weight": webtorch.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> webtorch.load(file)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    check_pickle_module("save", pickle_module)
    if pickle_protocol != 2 or not _use_new_zipfile_serialization:
        raise ValueError(
            f"save(pickle_protocol={pickle_protocol}, _use_new_zipfile_serialization={_use_new_zipfile_serialization}): "
            "checkpoints are written in PyTorch's zip format with protocol 2; leave both out"
        )
    if isinstance(f, (str, bytes, os.PathLike)):
        with replacing(f) as name, open(name, "r+b" if os.path.isfile(name) else "wb") as file:
            archive.write(obj, file)
        return
    if not hasattr(f, "write"):
        raise TypeError(f"save(obj, {type(f).__name__}): expected a path or an open file with a write method")
    # Put together first, so that an error leaves nothing in the file.
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as whole:
        archive.write(obj, whole)
        whole.seek(0)
        shutil.copyfileobj(whole, f, 1 << 20)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    encoding: str = "utf-8",
) -> Any:
    """Read a checkpoint of `save`, or of PyTorch's `torch.save`, without running any code of it.

    `f` is a path or a file that can be sought in. Tensors go to the device they were saved from; those of a GPU of PyTorch
    ("cuda:0", "mps") to the default device. `map_location` changes that: a device or its name, a dict from names in the file
    to names here, or a function of a storage and its name, as in PyTorch. With `mmap=True` (for a path) the tensors
    on the cpu are read from the file when they are used, and writes to them stay in memory. `encoding` is that of strings
    from Python 2.

    Only tensors, parameters, storages, `OrderedDict`, `Counter`, `Size`, dtypes, devices and plain values can be in the
    file. Raises UnpicklingError for a file with anything else, a damaged or a forged one; FileNotFoundError; ValueError
    for `weights_only=False`, which is not to be had.

    >>> import io
    >>> file = io.BytesIO()
    >>> webtorch.save(webtorch.nn.Linear(2, 1).state_dict(), file)
    >>> _ = file.seek(0)
    >>> list(webtorch.load(file, map_location="cpu"))
    ['weight', 'bias']
    """
    if weights_only is not None and not weights_only:
        raise ValueError(
            "load(weights_only=False): webtorch never unpickles objects, for a pickle can run any code. Leave weights_only "
            "out: state dicts and checkpoints of tensors and plain values load. For a file with whole modules or other "
            "objects, save module.state_dict() or a safetensors file (webtorch.safetensors.save_file) where it was made"
        )
    check_pickle_module("load", pickle_module)
    place = placement(map_location)
    if isinstance(f, (str, bytes, os.PathLike)):
        path = os.fsdecode(f)
        with open(path, "rb") as file:
            return read(file, place, encoding, path if mmap else None)
    if mmap:
        raise ValueError("load(mmap=True): f must be the path of a file, not an open one")
    if not all(hasattr(f, name) for name in ("read", "seek", "tell")):
        raise TypeError(
            f"load({type(f).__name__}): expected a path or an open file that can be sought in; "
            "put the bytes in an io.BytesIO first"
        )
    return read(f, place, encoding, None)


def read(file: Any, place: Any, encoding: str, path: str | None) -> Any:
    try:
        start = file.tell()
        beginning = file.read(4)
        file.seek(start)
    except (OSError, io.UnsupportedOperation):
        raise TypeError("load(): the file cannot be sought in; put its bytes in an io.BytesIO first") from None
    if not isinstance(beginning, bytes):
        raise TypeError("load(): the file is open as text; open it with mode 'rb'")
    if beginning == b"PK\3\4":
        # Offsets in a zip archive count from its beginning.
        return archive.read(file if start == 0 else io.BytesIO(file.read()), place, encoding, path)
    if path is not None:
        raise UnpicklingError(
            "load(mmap=True): only zip archives (PyTorch 1.6 and newer) can be mapped; leave mmap out"
        )
    return legacy.read(file, place, encoding)


def check_pickle_module(call: str, module: Any) -> None:
    if module is not None and module is not python_pickle:
        raise ValueError(
            f"{call}(pickle_module={module!r}): webtorch has a pickle reader and writer of its own; leave it out"
        )
