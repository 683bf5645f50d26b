"""Sequences of different lengths in one tensor: padded to the longest, or packed step by step without padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import webtorch

from ... import creation
from ...devices import device as Device
from ...errors import ShapeError
from ...tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class PackedParts(NamedTuple):
    """The fields of a `PackedSequence`."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedParts):
    """Sequences, the longest first, packed step by step: all first elements, then all second ones, and so on.

    `batch_sizes`, on the cpu, says how many sequences are that long; `sorted_indices` is the order in which they were
    taken and `unsorted_indices` leads back. Recurrent layers take and return it; made by `pack_padded_sequence`.

    >>> import webtorch
    >>> from webtorch.nn.utils.rnn import pack_sequence
    >>> packed = pack_sequence([webtorch.tensor([1, 2, 3]), webtorch.tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    __slots__ = ()

    def __new__(
        cls, data: Tensor, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            raise TypeError("PackedSequence(data, batch_sizes): batch_sizes is missing; use pack_padded_sequence")
        if not isinstance(batch_sizes, Tensor):
            batch_sizes = creation.tensor(batch_sizes, dtype=webtorch.int64, device="cpu")
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                f"batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually, got "
                f"batch_sizes on {batch_sizes.device}"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def __repr__(self) -> str:
        return (
            f"PackedSequence(data={self.data!r}, batch_sizes={self.batch_sizes!r}, sorted_indices={self.sorted_indices!r}, "
            f"unsorted_indices={self.unsorted_indices!r})"
        )

    def with_data(self, data: Tensor) -> PackedSequence:
        """The same packing of other data."""
        return PackedSequence(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The sequence with its data converted as `Tensor.to` does; the indices go to the same device."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = [
            None if index is None else index.to(data.device) for index in (self.sorted_indices, self.unsorted_indices)
        ]
        return PackedSequence(data, self.batch_sizes, *moved)

    def cpu(self) -> PackedSequence:
        """The sequence on the cpu."""
        return self.to("cpu")

    def webgpu(self) -> PackedSequence:
        """The sequence on the GPU."""
        return self.to("webgpu")

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The sequence on the GPU, whatever its make."""
        return self.to("webgpu")

    def pin_memory(self) -> PackedSequence:
        """The sequence itself: there is no pinned memory."""
        return self

    def is_pinned(self) -> bool:
        """False: there is no pinned memory."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self.data.device.type != "cpu"

    def double(self) -> PackedSequence:
        """The sequence with float64 data."""
        return self.to(webtorch.float64)

    def float(self) -> PackedSequence:
        """The sequence with float32 data."""
        return self.to(webtorch.float32)

    def half(self) -> PackedSequence:
        """The sequence with float16 data."""
        return self.to(webtorch.float16)

    def long(self) -> PackedSequence:
        """The sequence with int64 data."""
        return self.to(webtorch.int64)

    def int(self) -> PackedSequence:
        """The sequence with int32 data."""
        return self.to(webtorch.int32)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one.

    >>> import webtorch
    >>> webtorch.nn.utils.rnn.invert_permutation(webtorch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    return creation.tensor(np.argsort(permutation.numpy()), device=permutation.device)


def index_beside(index: np.ndarray, device: Device) -> Tensor:
    """An index tensor on a device: 32-bit on a GPU, where narrow integers are quicker."""
    return creation.tensor(index.astype(np.int64 if device.type == "cpu" else np.int32), device=device)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences (time, batch, ...), or (batch, time, ...) with `batch_first`, of the given lengths.

    Lengths (a list, or a tensor on the cpu) must decrease, unless `enforce_sorted` is false. Raises RuntimeError for
    lengths that do not fit the input, or of 0.

    >>> import webtorch
    >>> from webtorch.nn.utils.rnn import pack_padded_sequence
    >>> pack_padded_sequence(webtorch.tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True).data
    tensor([1, 3, 2])
    """
    if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
        raise ShapeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.ndim}D {lengths.device} tensor; use .cpu()"
        )
    sizes = np.asarray(lengths.numpy() if isinstance(lengths, Tensor) else lengths, np.int64)
    if batch_first:
        input = input.transpose(0, 1)
    steps, batch = input._shape[:2]
    if sizes.shape != (batch,):
        raise ShapeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {sizes.size} (batch_size={batch}): pack_padded_sequence"
        )
    if not sizes.size or sizes.min() <= 0:
        raise ShapeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    order = None
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise ShapeError(
                "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
                "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement"
            )
    else:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
    if sizes[0] > steps:
        raise ShapeError(f"pack_padded_sequence: a length of {sizes[0]} exceeds the {steps} steps of the input")
    counts = (sizes[None, :] > np.arange(sizes[0])[:, None]).sum(1)
    columns = np.arange(batch) if order is None else order
    places = np.concatenate([step * batch + columns[:count] for step, count in enumerate(counts)])
    data = input.reshape((steps * batch, *input._shape[2:])).index_select(0, index_beside(places, input.device))
    batch_sizes = creation.tensor(counts, dtype=webtorch.int64, device="cpu")
    if order is None:
        return PackedSequence(data, batch_sizes)
    back = np.argsort(order)
    return PackedSequence(data, batch_sizes, index_beside(order, input.device), index_beside(back, input.device))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded sequences of a packed one, in their first order, and their lengths (on the cpu).

    >>> import webtorch
    >>> from webtorch.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> packed = pack_sequence([webtorch.tensor([1, 2, 3]), webtorch.tensor([4, 5])])
    >>> pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 5, 0]]), tensor([3, 2]))
    """
    counts = sequence.batch_sizes.numpy()
    steps, batch = len(counts), int(counts[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                f"Expected total_length to be at least the length of the longest sequence in input, but got total_length={total_length} "
                f"and max sequence length being {steps}"
            )
        steps = total_length
    lengths = (counts[:, None] > np.arange(batch)[None, :]).sum(0)
    columns = np.arange(batch)
    if sequence.unsorted_indices is not None:
        columns = sequence.unsorted_indices.numpy()
        lengths = lengths[columns]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    inside = np.arange(steps)[:, None] < lengths[None, :]
    first = np.concatenate([starts, np.zeros(steps - len(counts), np.int64)])[:, None]
    places = np.where(inside, first + columns[None, :], 0)
    if batch_first:
        places, inside = places.T, inside.T
    data = sequence.data
    padded = data.index_select(0, index_beside(places.reshape(-1), data.device))
    padded = padded.reshape((*places.shape, *data._shape[1:]))
    if not inside.all():
        mask = creation.tensor(inside.reshape(*inside.shape, *(1,) * (data.ndim - 1)), device=data.device)
        padded = webtorch.where(mask, padded, creation.tensor(padding_value, dtype=data.dtype, device=data.device))
    return padded, creation.tensor(lengths, dtype=webtorch.int64, device="cpu")


def pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Tensors of different lengths (l, ...) as one, (longest, batch, ...), the shorter ones filled with `padding_value`.

    >>> import webtorch
    >>> webtorch.nn.utils.rnn.pad_sequence([webtorch.tensor([1, 2]), webtorch.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side {padding_side!r} is not 'left' or 'right'")
    many = list(sequences.unbind(0)) if isinstance(sequences, Tensor) else list(sequences)
    if not many:
        raise ShapeError("pad_sequence: received an empty list of sequences")
    longest = max(one._shape[0] for one in many)
    padded = []
    for one in many:
        missing = longest - one._shape[0]
        edges = (missing, 0) if padding_side == "left" else (0, missing)
        around = (0, 0) * (one.ndim - 1) + edges
        padded.append(webtorch.nn.functional.pad(one, around, value=padding_value) if missing else one)
    return webtorch.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The tensors that `pad_sequence` joined.

    >>> import webtorch
    >>> webtorch.nn.utils.rnn.unpad_sequence(webtorch.tensor([[1, 3], [2, 0]]), webtorch.tensor([2, 1]))
    [tensor([1, 2]), tensor([3])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    sizes = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    return [one[:size] for one, size in zip(padded_sequences.unbind(0), sizes, strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors of different lengths (l, ...), the longest first unless `enforce_sorted` is false.

    >>> import webtorch
    >>> webtorch.nn.utils.rnn.pack_sequence([webtorch.tensor([1, 2]), webtorch.tensor([3])]).data
    tensor([1, 3, 2])
    """
    lengths = [one._shape[0] for one in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The tensors that `pack_sequence` packed.

    >>> import webtorch
    >>> from webtorch.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> unpack_sequence(pack_sequence([webtorch.tensor([1, 2]), webtorch.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
