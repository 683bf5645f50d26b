"""Autograd of in-place operations: what may be written to, and how the graph is rewritten after a write.

A write through a view changes its base: the base's history becomes "the old base with this region replaced"
(CopySlices), and every other view of it is given a fresh history when it is next asked for one.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .. import batching, dtypes, grad_mode, tangents
from ..errors import DTypeError, ShapeError
from ..tensor import Tensor
from .graph import Node, edge, fit


def check_target(target: Tensor, call: str) -> None:
    """Raise when autograd's rules forbid writing to `target`."""
    if not isinstance(target, Tensor):
        raise TypeError(f"{call}: expected a Tensor to write to, got {type(target).__name__}")
    state = grad_mode.current()
    if target._storage.version is None and not state.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal "
            "tensor before doing inplace update."
        )
    if state.grad and not state.inference:
        if target._leaf_requires_grad or target._transform is not None:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        if target._base is not None and target._base._leaf_requires_grad:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    if 0 in target._strides and any(
        size > 1 and stride == 0 for size, stride in zip(target._shape, target._strides, strict=True)
    ):
        raise RuntimeError(
            f"{call}: unsupported operation: more than one element of the written-to tensor refers to a single memory location "
            f"(shape {list(target._shape)}, strides {list(target._strides)}). Please clone() the tensor before performing the operation."
        )


def apply(function: Callable, target: Tensor, args: tuple, given: dict, call: str) -> Tensor:
    """Write `function(target, ...)` into `target`. The old value is kept when the derivative needs it."""
    from ..ops import tracks

    check_target(target, call)
    if not tracks(target, *args, *given.values()):
        return assign(target, function(target, *args, **given), call)
    stand_in = target._view(target._shape, target._strides, target._offset)
    if tangents.live:
        for level in tangents.levels_of((target,)):
            tangents.put(stand_in, level, tangents.get(target, level))
    stand_in._grad_fn, stand_in._output_number = target.grad_fn, target._output_number
    result = function(stand_in, *args, **given)
    reference = weakref.ref(stand_in)
    del stand_in
    saved = reference()
    if saved is not None:  # the recorded node holds it: it gets memory of its own, which the write does not reach
        with grad_mode.no_grad():
            copy = saved.detach().clone()
        copy._storage.version = saved._storage.version
        saved._storage, saved._strides, saved._offset, saved._batch = (
            copy._storage,
            copy._strides,
            copy._offset,
            copy._batch,
        )
    return assign(target, result, call)


def assign(target: Tensor, result: Tensor, call: str, overwrites: bool = False) -> Tensor:
    """Write `result` into `target` and give `target` the history of `result`.

    `overwrites` says that `result` was not computed from `target`: what led to its old value then gets a gradient of zeros.
    """
    if result._shape != target._shape:
        raise ShapeError(
            f"{call}: output with shape {list(target._shape)} doesn't match the broadcast shape {list(result._shape)}"
        )
    if result.dtype is not target.dtype and not dtypes.can_cast(result.dtype, target.dtype):
        raise DTypeError(
            f"{call}: result type {result.dtype} can't be cast to the desired output type {target.dtype}; "
            f"use the out-of-place form {call.rstrip('_')}, or convert the tensor first"
        )
    if target._batch:
        result = batching.spread(result, batching.levels_of(target))
    value = result.detach()
    if value.dtype is not target.dtype or value.device != target.device:
        value = value.to(device=target.device, dtype=target.dtype)
    history = edge(result)
    rewrite = (
        grad_mode.current().grad and not grad_mode.current().inference and (history is not None or target.requires_grad)
    )
    old = None
    if rewrite and (target._hidden_view or (target._base is not None and target._base._hidden_view)):
        raise RuntimeError(
            f"{call}: under vmap, a write to an input cannot be recorded: the tensor outside shares its memory and would "
            "need a history, too. Write to a clone() of it"
        )
    if rewrite and target._base is not None:
        old = edge(target._base)
    retaining = (target.grad_fn, target._output_number) if rewrite and target._retains_grad else None
    target._write(value)
    if tangents.live and not grad_mode.current().inference:
        from .forward_ad import write_tangents

        write_tangents(target, result)
    if not rewrite:
        return target
    if target._base is None:
        if overwrites or history is None:
            history = (Overwrite(edge(target), history, target, call), 0)
        target._grad_fn, target._output_number = history
    else:
        base = target._base
        base._grad_fn = CopySlices(base, target, old, history)
        base._output_number = 0
        target._view_version = None
    if retaining is not None:  # .grad is to be that of the value the tensor has now
        node, number = retaining
        node.retained.pop(number, None)
        target._retains_grad = False
        target.retain_grad()
    return target


class Overwrite(Node):
    """The history of a tensor that was given other values: its old value gets zeros, the new one the gradient."""

    NAMES = {"copy_": "CopyBackwards", "fill_": "FillBackward0", "__setitem__": "CopyBackwards"}

    def __init__(self, old: Any, new: Any, target: Tensor, call: str) -> None:
        super().__init__((old, new))
        self.target = (target._shape, target.dtype, target.device)
        self.call = call

    def name(self) -> str:
        return self.NAMES.get(self.call, self.call.strip("_").capitalize() + "Backward0")

    def backward(self, gradients: list) -> list:
        from ..creation import zeros

        old, new = self.edges
        shape, dtype, device = self.target
        return [
            None if old is None else zeros(shape, dtype=dtype, device=device),
            None if new is None else gradients[0],
        ]


class CopySlices(Node):
    """The history of a base after a write through a view of it."""

    def __init__(self, base: Tensor, view: Tensor, old: Any, written: Any) -> None:
        super().__init__((old, written))
        self.base = (base._shape, base._strides, base._offset)
        self.view = (view._shape, view._strides, view._offset)
        self.target = (view._shape, view.dtype, view.device)

    def backward(self, gradients: list) -> list:
        from ..ops.parts import view_as_complex, view_as_real
        from ..ops.view import as_strided_gradient, geometry_in_parts, strided_gradient_zeroed

        (gradient,) = gradients
        old, written = self.edges
        if gradient.dtype.is_complex != self.target[1].is_complex:  # the base or the view holds parts: count in them
            if gradient.dtype.is_complex:
                base, view = geometry_in_parts(*self.base), self.view
                gradient = view_as_real(gradient)
            else:
                base, view = self.base, geometry_in_parts(*self.view)
            before = strided_gradient_zeroed(gradient, base, view) if old is not None else None
            region = as_strided_gradient(gradient, base, view) if written is not None else None
            if self.target[1].is_complex:
                return [before, None if region is None else fit(view_as_complex(region), self.target)]
            return [
                None if before is None else view_as_complex(before),
                None if region is None else fit(region, self.target),
            ]
        before = strided_gradient_zeroed(gradient, self.base, self.view) if old is not None else None
        region = fit(as_strided_gradient(gradient, self.base, self.view), self.target) if written is not None else None
        return [before, region]


def refresh_view(view: Tensor) -> None:
    """Give a view whose base was written to the history it has now: a view of the base's present value."""
    base = view._base
    view._view_version = view._storage.version
    if base is None:
        return
    if base.requires_grad and grad_mode.current().grad is not None:
        from ..ops import TABLE
        from .graph import OpNode

        alias = view._view(view._shape, view._strides, view._offset)
        attributes = {
            "geometry": (base._shape, base._strides, base._offset),
            "view": (view._shape, view._strides, view._offset),
        }
        node = OpNode(TABLE["_view_of_base"], (base,), attributes, alias)
        if any(target is not None for target in node.edges):
            view._grad_fn = node
            view._output_number = 0
