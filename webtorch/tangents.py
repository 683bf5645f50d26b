"""Forward-mode differentiation: a tangent travels with a tensor, and every op computes its result's tangent at once.

A tensor's `_tangents` maps a `DualLevel` to its tangent there. Levels are entered one inside the other; at an inner
level, the tangents of outer ones are just part of the values, which makes derivatives of derivatives right.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensor import Tensor

_numbers = itertools.count(1)
live = 0  # how many levels are open, in all threads: ops ask for tangents only while there are any


class DualLevel:
    """One nesting level of forward-mode differentiation. Leaving it takes its tangents off all tensors."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.alive = False
        self.tensors: list[weakref.ref] = []  # what has a tangent here, and what had one and is gone
        self.room = 1024

    def note(self, tensor: Tensor) -> None:
        """Remember that a tensor has a tangent here."""
        if len(self.tensors) > self.room:
            self.tensors = [reference for reference in self.tensors if reference() is not None]
            self.room = 2 * len(self.tensors) + 1024
        self.tensors.append(weakref.ref(tensor))

    def enter(self) -> DualLevel:
        global live
        live += 1
        self.alive = True
        return self

    def leave(self) -> None:
        global live
        live -= 1
        self.alive = False
        for reference in self.tensors:
            tensor = reference()
            if tensor is not None and tensor._tangents is not None:
                tensor._tangents.pop(self, None)
                if not tensor._tangents:
                    tensor._tangents = None
        self.tensors.clear()

    def __lt__(self, other: DualLevel) -> bool:
        return self.number < other.number

    def __repr__(self) -> str:
        return f"<dual level {self.number}{'' if self.alive else ', left'}>"


def put(tensor: Tensor, level: DualLevel, tangent: Tensor) -> None:
    """Make `tangent` the tangent of `tensor` at `level`."""
    if tensor._tangents is None:
        tensor._tangents = {}
    tensor._tangents[level] = tangent
    tensor._tangent_version = tensor._storage.version
    level.note(tensor)


def copy(source: Tensor, target: Tensor) -> None:
    """Give `target`, another handle of the same value, the tangents of `source`."""
    for level, tangent in list(source._tangents.items()) if source._tangents else ():
        if level.alive:
            put(target, level, tangent)


def get(tensor: Tensor, level: DualLevel) -> Tensor | None:
    """The tangent of `tensor` at `level`: its own, or for a view whose base was written to the region of its base's."""
    own = tensor._tangents.get(level) if tensor._tangents is not None else None
    base = tensor._base
    if base is None or (own is not None and tensor._tangent_version == tensor._storage.version):
        return own
    whole = base._tangents.get(level) if base._tangents is not None else None
    if whole is None:
        return own
    from .ops.view import as_strided, on_storage
    from .shapes import extent

    geometry = (base._shape, base._strides, base._offset)
    region = (tensor._shape, tensor._strides, tensor._offset)
    span = max(extent(*geometry)[1], extent(*region)[1]) + 1
    found = as_strided.view(on_storage(whole, geometry, span), {"view": region, "geometry": None})
    put(tensor, level, found)
    return found


def carries(tensor: Tensor) -> bool:
    """True when `tensor` may have a tangent."""
    return bool(tensor._tangents) or (tensor._base is not None and bool(tensor._base._tangents))


def levels_of(values: Any) -> list[DualLevel]:
    """The open levels at which some tensor among `values` has a tangent, the outermost first."""
    from .tensor import Tensor

    found: set[DualLevel] = set()
    for value in values:
        if isinstance(value, Tensor):
            if value._tangents:
                found.update(level for level in value._tangents if level.alive)
            if value._base is not None and value._base._tangents:
                found.update(level for level in value._base._tangents if level.alive)
    return sorted(found)


def below(value: Any, level: DualLevel) -> Any:
    """`value` as it is outside of `level`: with the tangents of outer levels only."""
    from .tensor import Tensor

    if not isinstance(value, Tensor) or not carries(value):
        return value
    kept = {}
    lost = False
    for own in levels_of((value,)):
        if own < level:
            tangent = get(value, own)
            if tangent is not None:
                kept[own] = tangent
        else:
            lost = True
    if not lost and value._base is None:
        return value
    alias = value._view(value._shape, value._strides, value._offset)
    alias._grad_fn = value.grad_fn
    alias._output_number = value._output_number
    if value._leaf_requires_grad:
        from .autograd.graph import accumulator

        alias._grad_fn = accumulator(value)
        alias._output_number = 0
    for own, tangent in kept.items():
        put(alias, own, tangent)
    return alias
