"""Convolution: a contraction over windows, which are only a view of the padded input.

One row does all: the gradient of a convolution with respect to its input is a convolution of the spread-out output
gradient, the gradient with respect to its weights is a convolution of the input with the output gradient, and a
transposed convolution is the former. So every derivative, of any order, is this row again.
"""

from __future__ import annotations

from typing import Any

from .. import grad_mode
from ..errors import ShapeError
from ..shapes import numel
from . import Op, Tensor, common_device, describe, tracks
from .matmul import by_windows, contract
from .pad import pad
from .view import slice_, unfold

CHUNK = 1024  # products one invocation adds up before the images of a batch are shared out among more of them


class Convolution(Op):
    """out[n, o, p] = sum over c, k of x'[n, c, p * stride + k * dilation] * w[o, c, k], for any number of dimensions.

    x' is x with its elements `spread` apart, `low` zeros before the first and as many after the last as it takes to reach
    the size `room`. Channels are in `groups` that do not see each other: x is (n, groups * c, ...), w is
    (groups * o, c, ...). `joined` only says how the sum is laid out: as one large product over all n, which suits few
    positions p (weights' gradients), instead of one product per n.
    """

    batches = True
    inlines = False

    def __call__(
        self,
        x: Tensor,
        w: Tensor,
        groups: int,
        low: tuple,
        spread: tuple,
        room: tuple,
        stride: tuple,
        dilation: tuple,
        joined: bool = False,
    ) -> Tensor:
        attributes: dict[str, Any] = {
            "groups": groups,
            "low": low,
            "spread": spread,
            "room": room,
            "stride": stride,
            "dilation": dilation,
            "joined": joined,
        }
        with grad_mode.no_grad():
            result = correlate(x.detach(), w.detach(), **attributes)
        result = result._view(result._shape, result._strides, result._offset)  # a result, not a view of one
        if tracks(x, w):
            from ..autograd.graph import attach

            attach(self, result, (x, w), attributes)
        return result

    def evaluate(self, node: Any, arrays: list):
        raise AssertionError("a convolution is recorded as a padding and a contraction")


def window_shape(shape: tuple, low: tuple, size: tuple, room: tuple, stride: tuple, dilation: tuple) -> tuple:
    """How many windows fit, per dimension."""
    return tuple(
        max(0, (r - d * (k - 1) - 1) // s + 1) for k, r, s, d in zip(size, room, stride, dilation, strict=True)
    )


def windows(
    x: Tensor,
    low: tuple,
    spread: tuple,
    room: tuple,
    size: tuple,
    stride: tuple,
    dilation: tuple,
    value: Any,
    aligned: bool = False,
) -> Tensor:
    """All windows over the last dimensions of `x`, padded and spread out: a view of shape (*rest, *positions, *size).

    `aligned`: in memory, rows are to begin on multiples of four elements.
    """
    count = len(low)
    rest = x._shape[: x.ndim - count]
    zeros, ones = (0,) * len(rest), (1,) * len(rest)
    whole = (*room[:-1], -(-room[-1] // 4) * 4) if aligned else tuple(room)
    if any(low) or any(step != 1 for step in spread) or whole != x._shape[x.ndim - count :]:
        x = pad(x, (*zeros, *low), (*ones, *spread), (*rest, *whole), value)
    if whole[-1] != room[-1]:
        x = slice_.view(x, {"dim": x.ndim - 1, "start": 0, "length": room[-1], "step": 1})
    for dim in range(count):
        reach = dilation[dim] * (size[dim] - 1) + 1
        x = unfold.view(x, {"dimension": len(rest) + dim, "size": reach, "step": stride[dim]})
        if dilation[dim] != 1:
            x = slice_.view(x, {"dim": x.ndim - 1, "start": 0, "length": size[dim], "step": dilation[dim]})
    return x


def correlate(
    x: Tensor,
    w: Tensor,
    groups: int,
    low: tuple,
    spread: tuple,
    room: tuple,
    stride: tuple,
    dilation: tuple,
    joined: bool,
) -> Tensor:
    """The convolution's value, as a contraction of views."""
    from ..creation import zeros

    count = len(low)
    images, outputs, inputs, size = x._shape[0], w._shape[0] // groups, w._shape[1], w._shape[2:]
    positions = window_shape(x._shape, low, size, room, stride, dilation)
    device = common_device([x, w], "convolution")
    if 0 in (*positions, images, outputs, groups, inputs, *size):
        return zeros((images, groups * outputs, *positions), dtype=x.dtype, device=device)
    aligned = not joined and stride[-1] == dilation[-1] == 1 and by_windows(x, size[-1], positions[-1])
    view = windows(x, low, spread, room, size, stride, dilation, 0.0, aligned)  # (n, groups * c, *positions, *size)
    view = view.reshape((images, groups, inputs, *positions, *size))
    over, within = (
        tuple(range(3, 3 + count)),
        tuple(range(3 + count, 3 + 2 * count)),
    )  # dimensions of positions and of size
    w = w.reshape((groups, outputs, inputs, *size))
    if not joined:
        if device.type != "webgpu":
            w = w.contiguous()  # numpy would copy it once per image
        view = view.permute((0, 1, 2, *within, *over))
        w = w.expand((images, *w._shape))
        result = contract(w, view, (2, 1, 1 + count, count))  # (n, groups, o, *positions)
        return result.reshape((images, groups * outputs, *positions))
    parts = 1 if device.type != "webgpu" else share_out(inputs, numel(size))
    view = view.reshape((images, groups, parts, inputs // parts, *positions, *size))
    view = view.permute(
        (2, 1, 3, *(d + 1 for d in within), 0, *(d + 1 for d in over))
    )  # (parts, groups, c, *size, n, *positions)
    w = w.reshape((groups, outputs, parts, inputs // parts, *size))
    w = w.permute((2, 0, 1, 3, *range(4, 4 + count)))  # (parts, groups, o, c, *size)
    result = contract(w, view, (2, 1, 1 + count, 1 + count))  # (parts, groups, o, n, *positions)
    result = result.sum(0) if parts > 1 else result.squeeze(0)
    order = (2, 0, 1, *range(3, 3 + count))
    if groups == 1:
        return result.squeeze(0).transpose(0, 1)
    return result.permute(order).reshape((images, groups * outputs, *positions))


def share_out(inputs: int, products: int) -> int:
    """In how many equal parts a sum over `inputs` times `products` terms is computed side by side."""
    for parts in range(1, inputs + 1):
        if inputs % parts == 0 and inputs // parts * products <= CHUNK:
            return parts
    return inputs


def swapped(w: Tensor, groups: int) -> Tensor:
    """Weights of the way back: inputs and outputs of each group swapped, every other dimension reversed."""
    w = w.flip(tuple(range(2, w.ndim)))
    if groups == 1:
        return w.transpose(0, 1)
    outputs, inputs = w._shape[0] // groups, w._shape[1]
    return (
        w.reshape((groups, outputs, *w._shape[1:])).transpose(1, 2).reshape((groups * inputs, outputs, *w._shape[2:]))
    )


def gradient_x(g, y, x_shape, groups, low, spread, room, stride, dilation):
    """Each output gradient goes back to what its window read: the windows of the spread-out gradient, weights reversed."""
    size = y._shape[2:]
    back = tuple(d * (k - 1) - start for d, k, start in zip(dilation, size, low, strict=True))
    needed = tuple(
        (n - 1) * t + d * (k - 1) + 1 for n, t, d, k in zip(x_shape[2:], spread, dilation, size, strict=True)
    )
    return convolution(g, swapped(y, groups), groups, back, stride, needed, spread, dilation)


def gradient_w(g, x, y_shape, groups, low, spread, stride, dilation):
    """Each weight meets the same output gradients at windows of the input that start where that weight reads."""
    size, positions = y_shape[2:], g._shape[2:]
    needed = tuple((k - 1) * d + (p - 1) * s + 1 for k, d, p, s in zip(size, dilation, positions, stride, strict=True))
    if groups == 1:
        images = x.transpose(0, 1)
    else:
        inputs = y_shape[1]
        order = (2, 1, 0, *range(3, x.ndim + 1))
        images = (
            x.reshape((x._shape[0], groups, inputs, *x._shape[2:])).permute(order).reshape((inputs, -1, *x._shape[2:]))
        )
    return convolution(images, g.transpose(0, 1), groups, low, spread, needed, dilation, stride, joined=True).transpose(
        0, 1
    )


convolution = Convolution("_convolution", vjp=(gradient_x, gradient_w), public=False, grad_name="Convolution")


# ---- PyTorch's functions --------------------------------------------------------------------------------------------


def as_sizes(value: Any, count: int, what: str, call: str) -> tuple[int, ...]:
    """An int for all dimensions, or one per dimension."""
    if isinstance(value, (tuple, list)):
        sizes = tuple(int(size) for size in value)
        sizes = sizes * count if len(sizes) == 1 else sizes
    else:
        sizes = (int(value),) * count
    if len(sizes) != count:
        raise ShapeError(f"{call}: expected {what} to be an int or {count} ints, but got {value!r}")
    return sizes


def check_inputs(
    call: str, x: Tensor, w: Tensor, bias: Any, count: int, groups: int, transposed: bool
) -> tuple[Tensor, bool]:
    """The input with a batch dimension, and whether that was added."""
    if x.ndim not in (count + 1, count + 2):
        raise ShapeError(
            f"{call}: Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {call}, but got input of size: {list(x._shape)}"
        )
    if w.ndim != count + 2:
        raise ShapeError(f"{call}: expected a {count + 2}-dimensional weight, but got weight of size {list(w._shape)}")
    if groups < 1:
        raise ShapeError(f"{call}: groups must be positive, but got {groups}")
    if x.dtype is not w.dtype or isinstance(bias, Tensor) and bias.dtype is not w.dtype:
        raise ShapeError(
            f"{call}: Input type ({x.dtype}) and weight type ({w.dtype})"
            f"{f' and bias type ({bias.dtype})' if bias is not None else ''} should be the same; convert one with .to(dtype)"
        )
    unbatched = x.ndim == count + 1
    x = x.unsqueeze(0) if unbatched else x
    wanted = w._shape[0] if transposed else w._shape[1] * groups
    if x._shape[1] != wanted:
        raise ShapeError(
            f"Given groups={groups}, weight of size {list(w._shape)}, expected input{list(x._shape)} to have {wanted} channels, but "
            f"got {x._shape[1]} channels instead ({call})"
        )
    outputs = w._shape[1] * groups if transposed else w._shape[0]
    if w._shape[0] % groups:
        raise ShapeError(
            f"{call}: weight of size {list(w._shape)} cannot be split into groups={groups}: dimension 0 is not divisible"
        )
    if bias is not None and tuple(bias._shape) != (outputs,):
        raise ShapeError(
            f"Given weight of size {list(w._shape)}, expected bias to be 1-dimensional with {outputs} elements, but got bias of size "
            f"{list(bias._shape)} instead ({call})"
        )
    common_device([value for value in (x, w, bias) if value is not None], call)
    return x, unbatched


def convolve(
    call: str, count: int, x: Tensor, w: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    """Convolution of `count` dimensions, as torch.nn.functional.conv1d to conv3d define it."""
    for value in (x, w):
        if not isinstance(value, Tensor):
            raise TypeError(f"{call}({describe(x, w)}): expected Tensors, got {type(value).__name__}")
    x, unbatched = check_inputs(call, x, w, bias, count, groups, transposed=False)
    stride, dilation = as_sizes(stride, count, "stride", call), as_sizes(dilation, count, "dilation", call)
    if any(value <= 0 for value in (*stride, *dilation)):
        raise ShapeError(
            f"{call}: non-positive stride or dilation is not supported (stride {stride}, dilation {dilation})"
        )
    size, shape = w._shape[2:], x._shape[2:]
    reach = tuple(d * (k - 1) for d, k in zip(dilation, size, strict=True))
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ShapeError(f"{call}: Invalid padding string: '{padding}', should be one of 'valid', 'same'")
        if padding == "same" and any(value != 1 for value in stride):
            raise ShapeError(f"{call}: padding='same' is not supported for strided convolutions")
        total = reach if padding == "same" else (0,) * count
        low = tuple(value // 2 for value in total)
    else:
        low = as_sizes(padding, count, "padding", call)
        total = tuple(2 * value for value in low)
        if any(value < 0 for value in low):
            raise ShapeError(f"{call}: negative padding is not supported (padding {padding})")
    room = tuple(n + extra for n, extra in zip(shape, total, strict=True))
    if any(r < needed + 1 for r, needed in zip(room, reach, strict=True)):
        raise ShapeError(
            f"Calculated padded input size per channel: {list(room)}. Kernel size: {[value + 1 for value in reach]}. Kernel size can't "
            f"be greater than actual input size ({call})"
        )
    result = convolution(x, w, groups, low, (1,) * count, room, stride, dilation)
    return finished(result, bias, unbatched)


def convolve_transposed(
    call: str,
    count: int,
    x: Tensor,
    w: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    """The gradient of a convolution with respect to its input, as an operation of its own; `w` is (in, out / groups, ...)."""
    x, unbatched = check_inputs(call, x, w, bias, count, groups, transposed=True)
    stride, dilation = as_sizes(stride, count, "stride", call), as_sizes(dilation, count, "dilation", call)
    padding, extra = as_sizes(padding, count, "padding", call), as_sizes(output_padding, count, "output_padding", call)
    if any(value >= max(s, d) for value, s, d in zip(extra, stride, dilation, strict=True)):
        raise ShapeError(
            f"{call}: output padding must be smaller than either stride or dilation, but got "
            f"output_padding={extra}, stride={stride}, dilation={dilation}"
        )
    reach = tuple(d * (k - 1) for d, k in zip(dilation, w._shape[2:], strict=True))
    out = tuple(
        (n - 1) * s - 2 * p + r + e + 1
        for n, s, p, r, e in zip(x._shape[2:], stride, padding, reach, extra, strict=True)
    )
    if any(value <= 0 for value in out):
        raise ShapeError(
            f"{call}: Given input size per channel: {list(x._shape[2:])}. Calculated output size per channel: "
            f"{list(out)}. Output size is too small"
        )
    low = tuple(r - p for r, p in zip(reach, padding, strict=True))
    room = tuple(n + r for n, r in zip(out, reach, strict=True))
    result = convolution(x, swapped(w, groups), groups, low, stride, room, (1,) * count, dilation)
    return finished(result, bias, unbatched)


def finished(result: Tensor, bias: Any, unbatched: bool) -> Tensor:
    if bias is not None:
        result = result + bias.reshape((-1,) + (1,) * (result.ndim - 2))
    return result.squeeze(0) if unbatched else result
