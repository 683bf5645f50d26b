"""What makes a batch of items."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ... import creation, dtypes, functional
from ...errors import DeviceError, DTypeError
from ...tensor import Tensor

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]


def from_host(value: Any, dtype: Any = None) -> Tensor:
    """A tensor on the default device; on the cpu where that device cannot hold the dtype (float64 on many GPUs)."""
    try:
        return creation.as_tensor(value, dtype=dtype)
    except (DTypeError, DeviceError):
        return creation.as_tensor(value, dtype=dtype, device="cpu")


def is_numbers(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc"


def default_convert(data: Any) -> Any:
    """The same structure with numpy arrays and numbers as tensors; what a loader without batches does to each item.

    >>> import numpy
    >>> from webtorch.utils.data import default_convert
    >>> default_convert({"x": numpy.arange(2), "name": "a"})
    {'x': tensor([0, 1]), 'name': 'a'}
    """
    if isinstance(data, Tensor) or isinstance(data, (str, bytes)):
        return data
    if is_numbers(data):
        return from_host(np.asarray(data))
    if isinstance(data, Mapping):
        return like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence):
        return like_sequence(data, [default_convert(value) for value in data])
    return data


def like_mapping(model: Mapping, found: dict) -> Any:
    """`found` in a mapping of the class of `model`; a plain dict where that class cannot be made of it."""
    try:
        if isinstance(model, MutableMapping):
            result = copy.copy(model)
            result.update(found)
            return result
        return type(model)(found)  # type: ignore[call-arg]
    except TypeError:
        return found


def like_sequence(model: Sequence, found: list) -> Any:
    """`found` in a sequence of the class of `model`; a plain list where that class cannot be made of it."""
    if isinstance(model, range):
        return found
    try:
        if isinstance(model, MutableSequence):
            result = copy.copy(model)
            result[:] = found
            return result
        return type(model)(found)  # type: ignore[call-arg]
    except TypeError:
        return found


def collate_tensors(batch: list, *, collate_fn_map: dict | None = None) -> Tensor:
    shapes = {tuple(tensor.shape) for tensor in batch}
    if len(shapes) > 1:
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but the items of this batch have shapes "
            f"{', '.join(str(list(shape)) for shape in sorted(shapes))}: pad them, or pass a collate_fn"
        )
    return functional.stack(batch, 0)


def collate_arrays(batch: list, *, collate_fn_map: dict | None = None) -> Tensor:
    if batch[0].dtype.kind not in "biufc":
        raise TypeError(default_collate_error.format(batch[0].dtype))
    if len({array.shape for array in batch}) == 1 and len({array.dtype for array in batch}) == 1:
        return from_host(np.stack(batch))
    return collate_tensors([from_host(array) for array in batch])


def collate_scalars(batch: list, *, collate_fn_map: dict | None = None) -> Tensor:
    return from_host(np.asarray(batch))


def collate_floats(batch: list, *, collate_fn_map: dict | None = None) -> Tensor:
    return from_host(batch, dtypes.float64)


def collate_integers(batch: list, *, collate_fn_map: dict | None = None) -> Tensor:
    return from_host(batch)


def collate_texts(batch: list, *, collate_fn_map: dict | None = None) -> list:
    return batch


default_collate_error = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}: pass a collate_fn"
)

default_collate_fn_map: dict[Any, Callable] = {
    Tensor: collate_tensors,
    np.ndarray: collate_arrays,
    (np.bool_, np.number, np.object_): collate_scalars,
    float: collate_floats,
    int: collate_integers,
    str: collate_texts,
    bytes: collate_texts,
}


def collate(batch: list, *, collate_fn_map: dict | None = None) -> Any:
    """A batch of items: the function that `collate_fn_map` has for their class, and so on into mappings and sequences.

    >>> from webtorch.utils.data.collate import collate
    >>> collate([1, 2], collate_fn_map={int: lambda batch, *, collate_fn_map: sum(batch)})
    3
    """
    first = batch[0]
    if collate_fn_map is not None:
        if type(first) in collate_fn_map:
            return collate_fn_map[type(first)](batch, collate_fn_map=collate_fn_map)
        for kind, function in collate_fn_map.items():
            if isinstance(first, kind):
                return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return like_mapping(
            first, {key: collate([item[key] for item in batch], collate_fn_map=collate_fn_map) for key in first}
        )
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(collate(list(part), collate_fn_map=collate_fn_map) for part in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        parts = [collate(list(part), collate_fn_map=collate_fn_map) for part in zip(*batch, strict=True)]
        return parts if isinstance(first, tuple) else like_sequence(first, parts)
    raise TypeError(default_collate_error.format(type(first)))


def default_collate(batch: list) -> Any:
    """A batch of items as tensors with a new first dimension; mappings and sequences keep their structure.

    Python's floats become float64 and integers int64, texts stay a list. Raises TypeError for other classes and
    RuntimeError for items of different sizes.

    >>> from webtorch.utils.data import default_collate
    >>> default_collate([(0, "a"), (1, "b")])
    [tensor([0, 1]), ['a', 'b']]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
