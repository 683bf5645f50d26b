"""The discrete Fourier transform of the last dimension, unscaled: what `webtorch.fft` is made of.

On a GPU a length is split into factors, one kernel each; a length with a large prime factor is transformed as a
convolution (Bluestein). The roots of unity are computed on the host in float64.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from .. import batching, codegen, graph
from ..errors import DTypeError, ShapeError
from . import Op, Tensor, from_node, tracks

BUTTERFLIES = (8, 5, 4, 3, 2)  # factors that a kernel transforms at once; other primes are summed term by term
LARGEST_PRIME = 61  # above it a convolution is cheaper than a sum
KEPT_TABLES = 32

# An element of a row, turned by a root of unity.
TURNED = """fn turned(row: u32, k: u32, j: u32) -> T {
  let w = root(j);
  return wt_mul_c64(load(row, k), T(w.x, select(w.y, -w.y, inverse() == 1u)));
}"""

_tables: OrderedDict[tuple, tuple] = OrderedDict()


def factors(length: int) -> list[int] | None:
    """The factors of the passes; None when one would be a large prime."""
    found: list[int] = []
    for factor in BUTTERFLIES:
        while length % factor == 0 and (factor != 8 or length != 16):  # 16 as 4 * 4
            found.append(factor)
            length //= factor
    factor = 7
    while length > 1 and factor <= LARGEST_PRIME:
        while length % factor == 0:
            found.append(factor)
            length //= factor
        factor += 2
    return found if length == 1 else None


def table(name: str, length: int, device: Any, make: Any) -> Tensor:
    """Complex constants in a device's memory, kept for the next transform of that length."""
    from ..backends import wgpu as backend
    from ..creation import leaf

    gpu = backend.get_device()
    known = _tables.get((name, length))
    if known is None or known[0] is not gpu:  # a new device after a loss
        known = _tables[name, length] = (gpu, leaf(make(length).astype(np.complex64), device))
        while len(_tables) > KEPT_TABLES:
            _tables.popitem(last=False)
    _tables.move_to_end((name, length))
    return known[1]


def roots(length: int) -> np.ndarray:
    return np.exp(-2j * np.pi * (np.arange(length) / length))


def chirp(length: int) -> np.ndarray:
    """exp(-pi i k^2 / length), the angle reduced in integers."""
    k = np.arange(length, dtype=np.int64)
    return np.exp(-1j * np.pi * (k * k % (2 * length) / length))


def convolution_size(length: int) -> int:
    return 1 << (2 * length - 2).bit_length()


def chirp_spectrum(length: int) -> np.ndarray:
    """The transform of what a chirped signal is convolved with, divided by its length."""
    size = convolution_size(length)
    kernel = np.zeros(size, np.complex128)
    kernel[:length] = np.conj(chirp(length))
    kernel[size - length + 1 :] = kernel[1:length][::-1]
    return np.fft.fft(kernel) / size


class Pass(Op):
    """One factor of a transform. Arguments: the rows, the roots of unity."""

    inlines = False

    def stored_arguments(self, node: graph.Node) -> tuple:
        # A butterfly reads each element once, a sum of products many times.
        return () if node.attributes["radix"] in BUTTERFLIES else (node.args[0],)

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        radix, span, length = (node.attributes[name] for name in ("radix", "span", "length"))
        count = length // radix
        turned = np.reshape(arrays[0], (-1, radix, count)).astype(np.complex128)
        angle = np.arange(radix)[:, None] * (np.arange(count) % span) / (span * radix)
        sign = 1 if node.attributes["inverse"] else -1
        turned = turned * np.exp(sign * 2j * np.pi * angle)
        done = np.fft.ifft(turned, axis=1) * radix if sign == 1 else np.fft.fft(turned, axis=1)
        return done.reshape((-1, radix, count // span, span)).swapaxes(1, 2).reshape(node.shape)

    def lower(self, group, limits):
        from ..kernels import store_block

        node: graph.Node = group.core
        rows, constants = node.args
        radix, length = node.attributes["radix"], node.attributes["length"]
        fixed = radix in BUTTERFLIES
        kernel = codegen.Kernel(limits, "fft" if fixed else "fft_prime", (("T", "c64"), ("$turned", TURNED)))
        work = node.size // radix if fixed else node.size
        kernel.parameter("butterflies" if fixed else "results", work)
        kernel.parameter("extent", length)
        kernel.parameter("span", node.attributes["span"])
        kernel.parameter("inverse", int(node.attributes["inverse"]))
        if fixed:
            kernel.constants += (("RADIX", radix), ("$butterfly", butterfly(radix)))
        else:
            kernel.parameter("radix", radix)
        load = kernel.block("load", ("row", "k"))
        last = len(rows.shape) - 1
        load.returns = ((load.operand_at(rows, (0, 0, last), (1, last, last + 1)), rows.dtype),)
        root = kernel.block("root", ("j",))
        root.returns = ((root.operand_at(constants, (0, 0, 1)), constants.dtype),)
        store_block(kernel, group)
        kernel.trips = 2 * radix + 2
        kernel.workgroup_size = 64
        kernel.workgroups = -(-work // 64)
        return kernel


def butterfly(radix: int) -> str:
    """The hole of fft.wgsl that is written out."""
    loads = ["load(row, j)"]
    loads += [f"turned(row, j + {i}u * count, {i}u * turn)" for i in range(1, radix)]
    stores = [f"store(base + {i}u * span(), values[{i}]);" for i in range(radix)]
    return (
        "fn butterfly(row: u32, j: u32, count: u32, turn: u32, base: u32) {\n"
        "  let sign = select(-1.0f, 1.0f, inverse() == 1u);\n"
        f"  let values = wt_transform{radix}_c64(array<T, {radix}>({', '.join(loads)}), sign);\n  "
        + "\n  ".join(stores)
        + "\n}"
    )


class Transform(Op):
    """The transform of complex rows, or with `inverse` the one with the other sign of the exponent."""

    batches = True

    def __call__(self, x: Tensor, inverse: bool) -> Tensor:
        if not x.dtype.is_complex:
            raise DTypeError(f"fft: expected complex numbers, not {x.dtype}")
        result = self.values(x, inverse)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {"inverse": inverse})
        return result

    def values(self, x: Tensor, inverse: bool) -> Tensor:
        from ..grad_mode import no_grad

        with no_grad():
            x = x.detach()
            if x._batch:
                return batching.lifted(lambda whole: self.values(whole, inverse), x)
            if x.device.type != "webgpu":
                attributes = {"inverse": inverse}
                return from_node(graph.record(self, (x._operand(),), attributes, x._shape, x.dtype, x.device))
            if not x.numel() or x._shape[-1] == 1:
                return x.clone()
            split = factors(x._shape[-1])
            return convolved(x, inverse) if split is None else self.passes(x, split, inverse)

    def passes(self, x: Tensor, split: list[int], inverse: bool) -> Tensor:
        length, span = x._shape[-1], 1
        if length * max(split) >= 1 << 32:
            raise ShapeError(f"fft of {length} elements: kernels count in 32 bits; use device='cpu'")
        constants = table("roots", length, x.device, roots)._operand()
        operand = x._operand()
        for radix in split:
            attributes = {"radix": radix, "span": span, "length": length, "inverse": inverse}
            node = graph.record(one_pass, (operand, constants), attributes, x._shape, x.dtype, x.device)
            operand, span = node.operand(), span * radix
        return from_node(node)

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        if not node.size:
            return x
        if node.attributes["inverse"]:  # neither is scaled
            return np.fft.ifft(x, axis=-1, norm="forward")
        return np.fft.fft(x, axis=-1)


def convolved(x: Tensor, inverse: bool) -> Tensor:
    """The transform of a length with large prime factors: 2 j k = j^2 + k^2 - (j - k)^2 makes it a convolution, of a
    power of two. The transform with the other sign is the conjugate of that of the conjugate."""
    from .pad import pad
    from .parts import conj

    length = x._shape[-1]
    size = convolution_size(length)
    lead = x._shape[:-1]
    own, spectrum = table("chirp", length, x.device, chirp), table("spectrum", length, x.device, chirp_spectrum)
    turned = (conj(x) if inverse else x) * own
    padded = pad(turned, (0,) * x.ndim, (1,) * x.ndim, (*lead, size), 0)
    product = transform.values(padded, False) * spectrum
    result = transform.values(product, True).narrow(-1, 0, length) * own
    return conj(result) if inverse else result.contiguous()


def transform_gradient(g: Tensor, inverse: bool) -> Tensor:
    return transform(g, not inverse)


class RealTransform(Op):
    """The transform of real rows, only for the cpu, where it takes half the time: the frequencies that are not negative."""

    batches = True

    def __call__(self, x: Tensor, inverse: bool) -> Tensor:
        result = self.values(x, inverse)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {"inverse": inverse})
        return result

    def values(self, x: Tensor, inverse: bool) -> Tensor:
        if x._batch:
            return batching.lifted(lambda whole: self.values(whole, inverse), x)
        shape, dtype = (*x._shape[:-1], x._shape[-1] // 2 + 1), x.dtype.to_complex()
        return from_node(graph.record(self, (x._operand(),), {"inverse": inverse}, shape, dtype, x.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        if not node.size:
            return np.empty(node.shape, node.dtype.numpy)
        half = np.fft.rfft(x, axis=-1)
        return np.conj(half) if node.attributes["inverse"] else half


class FromHalf(Op):
    """The transform, which is real, of `length` numbers of which the first half is given, the others being their
    conjugates."""

    batches = True

    def __call__(self, x: Tensor, inverse: bool, length: int) -> Tensor:
        result = self.values(x, inverse, length)
        if tracks(x):
            from ..autograd.graph import attach

            attach(self, result, (x,), {"inverse": inverse, "length": length})
        return result

    def values(self, x: Tensor, inverse: bool, length: int) -> Tensor:
        if x._batch:
            return batching.lifted(lambda whole: self.values(whole, inverse, length), x)
        attributes = {"inverse": inverse, "length": length}
        shape, dtype = (*x._shape[:-1], length), x.dtype.to_real()
        return from_node(graph.record(self, (x._operand(),), attributes, shape, dtype, x.device))

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        (x,) = arrays
        if not node.size:
            return np.empty(node.shape, node.dtype.numpy)
        x = x if node.attributes["inverse"] else np.conj(x)
        return np.fft.irfft(x, node.attributes["length"], axis=-1, norm="forward")


def half_weights(length: int) -> np.ndarray:
    """How often each given number counts in a transform of which half is given: twice, with its conjugate, but for the
    frequencies that are their own negatives."""
    weights = np.full(length // 2 + 1, 2.0)
    weights[0] = 1.0
    if length % 2 == 0:
        weights[-1] = 1.0
    return weights


def real_transform_gradient(g: Tensor, x_shape: tuple, inverse: bool) -> Tensor:
    from .pad import pad

    whole = pad(g, (0,) * g.ndim, (1,) * g.ndim, (*g._shape[:-1], x_shape[-1]), 0)
    return transform(whole, not inverse).real


def from_half_gradient(g: Tensor, x_shape: tuple, inverse: bool, length: int) -> Tensor:
    from ..creation import tensor

    weights = tensor(half_weights(length), dtype=g.dtype, device=g.device)
    return real_transform(g, not inverse) * weights


one_pass = Pass("_fft_pass", public=False)
transform = Transform("_fft", public=False, holomorphic=False, vjp=(transform_gradient,), grad_name="FftC2C")
real_transform = RealTransform(
    "_rfft", public=False, holomorphic=False, vjp=(real_transform_gradient,), grad_name="FftR2C"
)
from_half = FromHalf("_irfft", public=False, holomorphic=False, vjp=(from_half_gradient,), grad_name="FftC2R")
