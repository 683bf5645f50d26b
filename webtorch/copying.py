"""Copies and pickles of tensors: what shares a storage shares the copy of it, and strides stay as they are.

A pickle holds each storage once, as numpy on the host, with the name of its device. In another process (as with
`multiprocessing`) a GPU's storage comes back to that process's GPU, where there is one, else to the cpu.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from . import grad_mode, graph
from .tensor import Tensor, new_storage, view_of


def attributes(tensor: Tensor) -> dict[str, Any]:
    """What the user, or a class of tensors, has set on a tensor."""
    return {name: value for name, value in vars(tensor).items() if not name.startswith("_")}


# ---- pickles --------------------------------------------------------------------------------------------------------


def reduce_tensor(tensor: Tensor) -> tuple:
    """How a tensor is pickled; a computed one becomes a leaf, without its history."""
    tensor._check_readable("pickling a Tensor")
    if not hasattr(tensor, "_storage"):
        raise TypeError(f"a {type(tensor).__name__} cannot be pickled; pickle its components()")
    geometry = (tensor._storage, tensor._shape, tensor._strides, tensor._offset)
    return rebuild, (type(tensor), *geometry, tensor.requires_grad, attributes(tensor))


def rebuild(
    cls: type, storage: graph.Storage, shape: tuple, strides: tuple, offset: int, requires_grad: bool, own: dict
) -> Tensor:
    """A tensor from its pickle, or one that shares the memory of another (`copy.copy`)."""
    result = of_class(cls, storage, shape, strides, offset)
    result._leaf_requires_grad = requires_grad
    vars(result).update(own)
    return result


def of_class(cls: type, storage: graph.Storage, shape: tuple, strides: tuple, offset: int) -> Tensor:
    view = view_of(storage, shape, strides, offset)
    if cls is Tensor:
        return view
    result: Any = object.__new__(cls)
    vars(result).update(vars(view))
    return result


def reduce_storage(storage: graph.Storage) -> tuple:
    from . import engine

    node = storage.node
    memory = None if node.device.type == "meta" else np.array(engine.read(node))
    return restored, (memory, node.size, node.dtype, str(node.device))


def restored(memory: np.ndarray | None, size: int, dtype: Any, where: str) -> graph.Storage:
    """A storage from its pickle, on the device it came from, or on the cpu where that is a GPU that is not there."""
    from . import creation, devices
    from .elsewhere import shape_only

    if memory is None:
        return new_storage(shape_only((size,), dtype))
    device = devices.device(where)
    if device.type == "webgpu" and not devices.is_webgpu_available():
        device = devices.device("cpu")
    here = creation.leaf(np.array(memory), devices.device("cpu"), (size,), dtype)
    return creation.moved(here, device)._storage


# ---- deep copies ----------------------------------------------------------------------------------------------------


def deepcopy_tensor(tensor: Tensor, memo: dict) -> Tensor:
    """A leaf with a memory of its own; tensors that share memory and are copied in one go share the copy."""
    known = memo.get(id(tensor))
    if known is not None:
        return known
    if not tensor.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment; "
            "use x.detach().clone()"
        )
    if not hasattr(tensor, "_storage"):  # a tensor of components
        memo[id(tensor)] = result = tensor.detach().clone()
        return result
    if tensor._batch:
        with grad_mode.no_grad():
            plain = tensor.detach().clone()
        result = of_class(type(tensor), plain._storage, plain._shape, plain._strides, plain._offset)
        result._batch = plain._batch
    else:
        storage = copy.deepcopy(tensor._storage, memo)
        result = of_class(type(tensor), storage, tensor._shape, tensor._strides, tensor._offset)
    memo[id(tensor)] = result
    result._leaf_requires_grad = tensor._leaf_requires_grad
    vars(result).update(copy.deepcopy(attributes(tensor), memo))
    if tensor._grad is not None:
        result._grad = copy.deepcopy(tensor._grad, memo)
    return result


def deepcopy_storage(storage: graph.Storage, memo: dict) -> graph.Storage:
    with grad_mode.no_grad():
        result = view_of(storage, (storage.node.size,), (1,), 0).clone()._storage
    memo[id(storage)] = result
    return result
