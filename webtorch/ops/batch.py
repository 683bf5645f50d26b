"""Rows that move dimensions in and out of sight: what `vmap` does to its inputs and outputs. None of them runs a kernel."""

from __future__ import annotations

from typing import Any

from ..batching import Levels, lead_strides, sizes_of
from . import Op, Tensor, tracks, view_of


class BatchView(Op):
    """A view with other hidden dimensions."""

    batches = True
    moves_levels = True

    def finish(self, x: Tensor, result: Tensor, attributes: dict) -> Tensor:
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), attributes)
        return result

    def evaluate(self, node: Any, arrays: list) -> Any:
        raise AssertionError(f"{self.name} is a view; it is never computed")


class Hide(BatchView):
    """Dimension `dim` becomes the hidden dimension of `level`."""

    def __call__(self, x: Tensor, level: int, dim: int) -> Tensor:
        size, stride = x._shape[dim], x._strides[dim]
        result = view_of(
            x._storage, x._shape[:dim] + x._shape[dim + 1 :], x._strides[:dim] + x._strides[dim + 1 :], x._offset
        )
        result._batch = tuple(sorted((*x._batch, (level, size, stride))))
        result._hidden_view = True
        return self.finish(x, result, {"level": level, "dim": dim, "size": size})


class Show(BatchView):
    """The hidden dimension of `level` becomes dimension `dim`; where there is none, all examples are the same."""

    def __call__(self, x: Tensor, level: int, dim: int, size: int) -> Tensor:
        stride = 0
        for known, _, own in x._batch:
            if known == level:
                stride = own
        result = view_of(
            x._storage,
            (*x._shape[:dim], size, *x._shape[dim:]),
            (*x._strides[:dim], stride, *x._strides[dim:]),
            x._offset,
        )
        result._batch = tuple(entry for entry in x._batch if entry[0] != level)
        held = len(result._batch) != len(x._batch)
        return self.finish(x, result, {"level": level, "dim": dim, "held": held})


class Spread(BatchView):
    """A tensor that is the same for all examples, as one with hidden dimensions."""

    moves_levels = False

    def __call__(self, x: Tensor, levels: Levels) -> Tensor:
        known = {level for level, _, _ in x._batch}
        missing = tuple(entry for entry in levels if entry[0] not in known)
        result = view_of(x._storage, x._shape, x._strides, x._offset)
        result._batch = tuple(sorted((*x._batch, *((level, size, 0) for level, size in missing))))
        return self.finish(x, result, {"levels": missing})


def show_gradient(g: Tensor, level: int, dim: int, held: bool) -> Tensor:
    return hide(g, level, dim) if held else g.sum(dim)


# fmt: off
hide = Hide("_hide", public=False, vjp=(lambda g, level, dim, size: show(g, level, dim, size),), grad_name="Unsqueeze")
show = Show("_show", public=False, vjp=(show_gradient,), grad_name="Select")
spread = Spread("_spread", public=False, vjp=(lambda g: g,), grad_name="Expand")
# fmt: on

__all__ = ["hide", "lead_strides", "show", "sizes_of", "spread"]
