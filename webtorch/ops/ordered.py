"""Storing and adding at repeated indices in an order that the data alone decides, so that every run gives the same bits.

On a GPU values that meet in one place would be added in the order in which invocations happen to run. Here they are
added along a tree that is fixed by where they stand among the values; of several that are stored, the last one stays.
"""

from __future__ import annotations

from .. import dtypes
from ..shapes import contiguous_strides, numel
from . import Tensor

SMALL = 1 << 19  # element reads up to which every row of the result looks at all values; beyond, the indices are sorted


def put_in_order(old: Tensor, value: Tensor, indices: list[Tensor], dims: tuple[int, ...], accumulate: bool) -> Tensor:
    """What `put` gives for the same arguments (without gradients), with a fixed order among values of one place."""
    rest = tuple(dim for dim in range(old.ndim) if dim not in dims)
    sizes = tuple(old._shape[dim] for dim in dims)
    rows, count, width = numel(sizes), numel(indices[0]._shape), numel(tuple(old._shape[dim] for dim in rest))
    place = row_numbers(indices, sizes).reshape((count,))
    table = old.permute((*dims, *rest)).reshape((rows, width))
    value = value.reshape((count, width))
    if rows * count * (width if accumulate else 1) <= SMALL:
        result = (add_small if accumulate else store_small)(table, value, place)
    else:
        result = put_sorted(table, value, place, accumulate)
    back = [0] * old.ndim
    for position, dim in enumerate((*dims, *rest)):
        back[dim] = position
    result = result.reshape(tuple(old._shape[dim] for dim in (*dims, *rest))).permute(tuple(back)).contiguous()
    return result._view(result._shape, result._strides, result._offset)


def row_numbers(indices: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    """The indices of several dimensions as one: row-major positions, int32."""
    total = None
    for index, stride in zip(indices, contiguous_strides(sizes), strict=True):
        part = index.detach().to(dtypes.int32)
        part = part if stride == 1 else part * stride
        total = part if total is None else total + part
    return total


def numbers(count: int, like: Tensor) -> Tensor:
    from ..creation import ramp_tensor

    return ramp_tensor(count, 0, 1, dtypes.int32, like.device)


def add_small(table: Tensor, value: Tensor, place: Tensor) -> Tensor:
    """Every element of the result adds up the values that are its own among all."""
    from .binary import where

    own = numbers(table._shape[0], table).reshape((-1, 1, 1)) == place
    return table + where(own, value.transpose(0, 1), 0).sum(-1, dtype=table.dtype)


def store_small(table: Tensor, value: Tensor, place: Tensor) -> Tensor:
    """Every row of the result takes the last value that is its own, or stays."""
    from .binary import where
    from .gather import take

    own = numbers(table._shape[0], table).reshape((-1, 1)) == place
    last = where(own, numbers(place._shape[0], table), -1).amax(1)
    return where((last >= 0).unsqueeze(1), take(value, [last.clamp(min=0)], (0,)), table)


def put_sorted(table: Tensor, value: Tensor, place: Tensor, accumulate: bool) -> Tensor:
    """Values of one row are brought together by a stable sort, and added in pairs, pairs of pairs and so on."""
    from ..sorting import order
    from .binary import where
    from .gather import put, take

    count = place._shape[0]
    at = order(place, 0, False).to(dtypes.int32)
    place, value = take(place, [at], (0,)), take(value, [at], (0,))
    last = numbers(count, table)  # for each value, where the ones of its row end, as far as is known
    reach = 1
    while reach < count:
        if accumulate:  # so far `value` holds the sum of up to `reach` values up to itself
            same = (moved(place, reach, -1) == place).unsqueeze(1)
            value = where(same, value + moved(value, reach, 0), value)
        last = where(moved(place, -reach, -1) == place, moved(last, -reach, 0), last)
        reach *= 2
    value = take(value, [last], (0,))
    if accumulate:
        value = take(table, [place], (0,)) + value
    return put.recorded(table.contiguous(), value, [place], (0,), False)  # what meets in one row is equal


def moved(x: Tensor, by: int, fill: int) -> Tensor:
    """`x` moved along its first dimension, with `fill` where nothing comes from."""
    from .pad import pad

    rest = x.ndim - 1
    return pad(x, (by, *(0,) * rest), (1,) * x.ndim, x._shape, fill)
