"""The memory behind tensors, as far as programs look at it: how large it is, where, and whether two tensors share it."""

from __future__ import annotations

from typing import Any

from .graph import Storage
from .tensor import Tensor

__all__ = ["TypedStorage", "UntypedStorage"]


class UntypedStorage:
    """The bytes behind a tensor: what `Tensor.untyped_storage()` returns. It is there to be asked, not to be changed.

    >>> import webtorch
    >>> x = webtorch.zeros(2, 3)
    >>> x.untyped_storage().nbytes(), x[1:].untyped_storage() == x.untyped_storage()
    (24, True)
    """

    def __init__(self, storage: Storage) -> None:
        if not isinstance(storage, Storage):
            raise TypeError("UntypedStorage is made by Tensor.untyped_storage(); make memory with webtorch.empty(...)")
        self._storage = storage

    def nbytes(self) -> int:
        """How many bytes it is."""
        return self._storage.node.size * self._storage.node.dtype.itemsize

    def size(self) -> int:
        """How many elements it has: bytes here, numbers in a `TypedStorage`."""
        return self.nbytes()

    def __len__(self) -> int:
        return self.size()

    def element_size(self) -> int:
        """Bytes per element."""
        return 1

    def data_ptr(self) -> int:
        """Where it begins: the address on the cpu, on a GPU a number that is equal for what shares it."""
        return whole(self._storage).data_ptr()

    @property
    def _cdata(self) -> int:
        return id(self._storage)

    @property
    def device(self) -> Any:
        """Where it lies."""
        return self._storage.device

    @property
    def is_cuda(self) -> bool:
        return False

    def is_pinned(self, device: Any = None) -> bool:
        """False: nothing is pinned."""
        return False

    def is_shared(self) -> bool:
        """False: nothing is shared between processes."""
        return False

    def resizable(self) -> bool:
        """False: see `resize_`."""
        return False

    def untyped(self) -> UntypedStorage:
        """The bytes."""
        return UntypedStorage(self._storage)

    def resize_(self, size: int) -> UntypedStorage:
        """Nothing for the size that it has. Raises NotImplementedError for others: memory lives as long as a tensor refers
        to it."""
        if size == self.size():
            return self
        raise NotImplementedError(
            f"{type(self).__name__}.resize_({size}): memory has the size it was made with, {self.size()}; make a new tensor with "
            "webtorch.empty(...), and drop references to free one (del x, or x.data = webtorch.empty(0))"
        )

    def tolist(self) -> list:
        """The elements."""
        return whole(self._storage).contiguous().numpy().view("u1").reshape(-1).tolist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._storage is self._storage

    def __hash__(self) -> int:
        return id(self._storage)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(device={self.device}, of size {self.size()})"


class TypedStorage(UntypedStorage):
    """The numbers behind a tensor in the order in which they lie in memory: what `Tensor.storage()` returns.

    >>> import webtorch
    >>> webtorch.tensor([[1.0, 2.0], [3.0, 4.0]]).T.storage().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    @property
    def dtype(self) -> Any:
        """What the numbers are."""
        return self._storage.node.dtype

    def size(self) -> int:
        return self._storage.node.size

    def element_size(self) -> int:
        return self.dtype.itemsize

    def __getitem__(self, index: Any) -> Any:
        found = whole(self._storage)[index]
        return found.tolist() if found.ndim == 0 else found

    def tolist(self) -> list:
        return whole(self._storage).tolist()


def whole(storage: Storage) -> Tensor:
    """All of a storage as a flat tensor."""
    from .tensor import view_of

    size = storage.node.size
    return view_of(storage, (size,), (1,), 0)


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory that this tensor is a view of.

    >>> import webtorch
    >>> webtorch.ones(4)[2:].untyped_storage().nbytes()
    16
    """
    return UntypedStorage(self._storage)


def storage(self: Tensor) -> TypedStorage:
    """The memory that this tensor is a view of, as numbers of its dtype.

    >>> import webtorch
    >>> webtorch.ones(4)[2:].storage().size()
    4
    """
    return TypedStorage(self._storage)


for _method in (untyped_storage, storage):
    setattr(Tensor, _method.__name__, _method)
