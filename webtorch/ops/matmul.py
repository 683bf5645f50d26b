"""Contractions: every product of matrices, whatever the number of dimensions, is one kernel.

`contract(a, b)` computes out[batch, m, n] = sum over k of a[batch, m, k] * b[batch, k, n], where each of batch, m, n
and k may stand for several dimensions: a convolution is a contraction over windows that are only a view.
"""

from __future__ import annotations

import numpy as np

from .. import batching, codegen, dtypes, engine, graph, pieces, precision, tuning
from ..errors import DTypeError
from ..graph import Operand
from ..shapes import contiguous_strides, numel
from . import Op, Tensor, cast_operand, common_device, contiguous_in_quads, describe, from_node, result_dtype, tracks

MAX_EXTENT = 32768  # products one invocation adds up; longer sums are split (the driver's loop budget is 65,535)


# Where compiling takes long, products of fewer multiplications than this are made one by one: on a software adapter a block
# of 4x4 compiles in 250 ms and saves half a millisecond at 2^17 multiplications, the plain loop compiles in 30 ms.
FEW_PRODUCTS = 1 << 17
BLOCKS = {"4x4": (4, 1), "8x4": (8, 1), "8x8": (8, 2)}  # rows, and columns in fours
SHADERS = {
    "tiled": "matmul_tiled",
    "1x1": "matmul_small",
    "lanes": "matmul_lanes",
    "windows": "matmul_windows",
}  # of others
MOST_TAPS = 8  # neighbours that a window of matmul_windows.wgsl has
BY_QUADS = {*BLOCKS, "lanes"}


class Contract(Op):
    """`groups` = (batch, m, k, n): how many dimensions each index stands for."""

    batches = True
    inlines = False

    def stored_arguments(self, node: graph.Node) -> tuple:
        return node.args  # each element is read many times over, so what it costs to make is paid once

    def __call__(self, a: Tensor, b: Tensor, groups: tuple[int, int, int, int]) -> Tensor:
        nb, nm, nk, nn = groups
        if precision.used:
            a, b = precision.cast(self.autocast, "matmul", (a, b))
        device = common_device([a, b], "matmul")
        dtype = result_dtype([a, b]) if a.dtype is b.dtype else self.mixed(a, b)
        if dtype is dtypes.bool_:
            raise DTypeError(
                f"matmul({describe(a, b)}): not implemented for bool; convert with .float() or .long() first"
            )
        shape = (*a._shape[: nb + nm], *b._shape[nb + nk :])
        if a._batch or b._batch:
            result = self.batched(a, b, groups, dtype, device)
        else:
            result = from_node(self.node(a._operand(), b._operand(), groups, shape, dtype, device))
        if tracks(a, b):
            from ..autograd.graph import attach

            attach(self, result, (a, b), {"groups": groups})
        return result

    def batched(self, a: Tensor, b: Tensor, groups: tuple[int, int, int, int], dtype, device) -> Tensor:
        """Under vmap: the examples are more rows or columns where only one factor differs, more batches otherwise."""
        nb, nm, nk, nn = groups
        levels = batching.union((a, b))
        count, sizes = len(levels), batching.sizes_of(levels)
        rows, columns = a._shape[: nb + nm], b._shape[nb + nk :]
        if not nb and not b._batch:
            left = batching.operand(a, levels)
            node = self.node(left, b._operand(), (0, count + nm, nk, nn), (*sizes, *rows, *columns), dtype, device)
            return batching.hidden(from_node(node), levels)
        if not nb and not a._batch:
            strides = (*b._strides[:nk], *batching.lead_strides(b, levels), *b._strides[nk:])
            right = Operand(b._storage.node, (*b._shape[:nk], *sizes, *columns), strides, b._offset)
            node = self.node(a._operand(), right, (0, nm, nk, count + nn), (*rows, *sizes, *columns), dtype, device)
            return batching.hidden(from_node(node), levels, len(rows))
        left, right = batching.operand(a, levels), batching.operand(b, levels)
        node = self.node(left, right, (count + nb, nm, nk, nn), (*sizes, *rows, *columns), dtype, device)
        return batching.hidden(from_node(node), levels)

    def mixed(self, a: Tensor, b: Tensor):
        raise DTypeError(
            f"matmul({describe(a, b)}): expected both tensors to have the same dtype, but got {a.dtype} and {b.dtype}; "
            "convert one with .to(dtype)"
        )

    def node(self, a: Operand, b: Operand, groups: tuple, shape: tuple, dtype, device) -> graph.Node:
        nb, nm, nk, nn = groups
        extent = numel(a.shape[nb + nm :])
        if device.type != "webgpu":
            return graph.record(self, (a, b), {"groups": groups}, shape, dtype, device)
        from ..backends import wgpu as backend
        from .elementwise import fill

        codegen.check_features(dtype, engine.limits_of(backend.get_device()), "matmul")
        if numel(shape) and not extent:
            return fill(shape, dtype, device, value=0)._storage.node
        if dtype.is_complex:
            return self.of_parts(a, b, groups, shape, dtype, device)
        if dtype is dtypes.int64 and engine.limits_of(backend.get_device()).pairs:
            return self.of_pairs(a, b, groups, shape)
        if extent > MAX_EXTENT:
            return self.split(a, b, groups, shape, dtype, device)
        return graph.record(self, (a, b), {"groups": groups}, shape, dtype, device)

    def split(self, a: Operand, b: Operand, groups: tuple, shape: tuple, dtype, device) -> graph.Node:
        """A long sum in parts: the parts are computed side by side and then added."""
        from .reduce import sum as sum_

        nb, nm, nk, nn = groups
        if nk != 1:  # lay the summed dimensions out as one
            extent = numel(a.shape[nb + nm :])
            a = flat_copy(a, (*a.shape[: nb + nm], extent))
            b = flat_copy(b, (*b.shape[:nb], extent, *b.shape[nb + nk :]))
        extent = a.shape[nb + nm]
        parts = []
        for start in range(0, extent, MAX_EXTENT):
            length = min(MAX_EXTENT, extent - start)
            part_a = Operand(a.node, (*a.shape[:-1], length), a.strides, a.offset + start * a.strides[-1])
            part_b = Operand(
                b.node, (*b.shape[:nb], length, *b.shape[nb + 1 :]), b.strides, b.offset + start * b.strides[nb]
            )
            wide = dtypes.accumulator(dtype)
            parts.append(graph.record(self, (part_a, part_b), {"groups": (nb, nm, 1, nn)}, shape, wide, device))
        from ..functional import stack

        total = stack([from_node(part) for part in parts])
        return cast_operand(sum_.reduce(total, (0,), False, total.dtype)._storage.node.operand(), dtype).node

    def of_parts(self, a: Operand, b: Operand, groups: tuple, shape: tuple, dtype, device) -> graph.Node:
        """Complex factors as one contraction of real ones, twice as long and twice as wide: the parts of `a` in turn with
        blocks of two by two, (x, y) for a real part and (-y, x) for an imaginary one, that give both parts of a result."""
        from .parts import blocks, parts_operand, reread

        nb, nm, nk, nn = groups
        left = parts_operand(a)
        whole = (*b.shape[: nb + nk], 2, *b.shape[nb + nk :], 2)
        right = graph.record(blocks, (b,), {"lead": nb + nk}, whole, dtype.to_real(), device).operand()
        product = self.node(left, right, (nb, nm, nk + 1, nn + 1), (*shape, 2), dtype.to_real(), device)
        made = reread(product, dtype)
        made.shape = shape
        return made

    def of_pairs(self, a: Operand, b: Operand, groups: tuple, shape: tuple) -> graph.Node:
        """The kernels here compute with vectors and operators, which 64-bit integers made of two words have not: their
        contraction is the sum of all products."""
        from .binary import mul
        from .reduce import sum as sum_

        nb, nm, nk, nn = groups
        batch, rows, inner, columns = a.shape[:nb], a.shape[nb : nb + nm], a.shape[nb + nm :], b.shape[nb + nk :]
        left = (*a.strides[: nb + nm], *(0,) * nn, *a.strides[nb + nm :])
        right = (*b.strides[:nb], *(0,) * nm, *b.strides[nb + nk :], *b.strides[nb : nb + nk])
        whole = (*batch, *rows, *columns, *inner)
        args = (Operand(a.node, whole, left, a.offset), Operand(b.node, whole, right, b.offset))
        products = from_node(graph.record(mul, args, {}, whole, dtypes.int64, a.node.device))
        return sum_.reduce(products, tuple(range(len(shape), len(whole))), False, dtypes.int64)._storage.node

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        a, b = arrays
        nb, nm, nk, nn = node.attributes["groups"]
        batch = numel(a.shape[:nb])
        m, k, n = numel(a.shape[nb : nb + nm]), numel(a.shape[nb + nm :]), numel(b.shape[nb + nk :])
        left, right = np.reshape(a, (batch, m, k)), np.reshape(b, (batch, k, n))
        if batch == 1:
            return np.matmul(left[0], right[0]).reshape(node.shape)
        return np.matmul(left, right).reshape(node.shape)

    def lower(self, group, limits):
        from ..kernels import store_block

        node: graph.Node = group.core
        a, b = node.args
        nb, nm, nk, nn = node.attributes["groups"]
        m, k, n = numel(a.shape[nb : nb + nm]), numel(a.shape[nb + nm :]), numel(b.shape[nb + nk :])
        batch = numel(a.shape[:nb])
        # Adapters that are CPUs do best without workgroup memory; GPUs share slices of both factors in it.
        variant, settled = self.variant(node, limits, batch, m, k, n)
        tiled = variant == "tiled"
        kernel = codegen.Kernel(limits, SHADERS.get(variant, "matmul"), (("T", codegen.compute_type(node.dtype)),))
        for name, value in (("batches", batch), ("rows", m), ("columns", n), ("extent", k)):
            kernel.parameter(name, value)
        kernel.provisional = not settled
        if variant == "windows":
            walk_windows(kernel, a, b, (nb, nm, nk, nn))
        else:
            self.factor(kernel, "a", a, (nb, nm, nk), ("batch", "m", "k"), variant in BY_QUADS)
            self.factor(kernel, "b", b, (nb, nk, nn), ("batch", "k", "n"), variant in BY_QUADS)
        store_block(kernel, group)
        if variant in BLOCKS:
            height, quads = BLOCKS[variant]
            kernel.constants += (("TAIL", "true" if k % 4 else "false"), ("HEIGHT", height), ("QUADS", quads))
            kernel.store_quads = n % 4 == 0
        if variant == "lanes":
            kernel.constants += (("TAIL", "true" if k % 4 else "false"),)
            kernel.store_quads = n % 4 == 0
            kernel.workgroup_size = 8
            kernel.workgroups = batch * -(-m // 16) * -(-n // 32)
            kernel.trips = k // 4 + 4 + 17 * (k // 128 + 1) + 16 * 4
        elif variant == "windows":
            taps, wide, high = b.shape[nb + nk - 1], b.shape[-1], 16 if m > 8 else 8 if m > 4 else 4
            kernel.constants += (("TAPS", taps), ("HEIGHT", high))
            kernel.store_quads = wide % 4 == 0
            kernel.workgroup_size = 8
            kernel.workgroups = batch * -(-m // high) * -(-(n // wide * -(-wide // 4)) // 8)
            kernel.trips = k // taps * 2 + 17 * (k // 64 + 1) + 16 * 4
        elif tiled:
            kernel.workgroup_size = 256
            kernel.workgroups = batch * -(-m // 64) * -(-n // 64)
            kernel.trips = -(-k // 16) * (1 + 4 + 16)
        elif variant == "1x1":
            kernel.workgroup_size = 64
            kernel.workgroups = -(-node.size // 64)
            kernel.trips = k + k // 128 + 2
        else:
            kernel.workgroup_size = 64
            kernel.workgroups = -(-(batch * -(-m // height) * -(-n // (4 * quads))) // 64)
            kernel.trips = (k // 4 + 4) * 2 + k // 128 + 2 + 8 * height * quads
        return kernel

    def halves(self, node: graph.Node, limits):
        a, b = node.args
        nb, nm, nk, nn = node.attributes["groups"]
        wide = [d for d in range(nb) if node.shape[d] > 1]
        if wide:
            return pieces.halve_rows(node, wide[0])
        sizes = [limits.windows((end - first) * x.dtype.itemsize) for x in (a, b) for first, end in [pieces.span(x)]]
        along = pieces.outermost(a if sizes[0] >= sizes[1] else b)
        if along is None or along < nb:
            return None
        if sizes[0] >= sizes[1] and along < nb + nm:  # rows of a, and of the result
            if any(size > 1 for size in node.shape[nb:along]):
                return None
            parts = [self.part(node, (half, b)) for half in pieces.halve(a, along)]
            return (parts, None) if parts[0].nbytes % 4 == 0 else None
        if limits.reproducible:  # the order of additions is not to depend on what can be bound
            return None
        inner = along - nb - nm if sizes[0] >= sizes[1] else along - nb
        if inner < nk:  # parts of the sums
            both = zip(pieces.halve(a, nb + nm + inner), pieces.halve(b, nb + inner), strict=True)
            dtype = dtypes.accumulator(node.dtype)
            return [self.part(node, pair, dtype) for pair in both], pieces.adder(node, "add", dtype)
        # Columns of b: rows of the transposed product.
        order_a = (*range(nb), *range(nb + nm, nb + nm + nk), *range(nb, nb + nm))
        order_b = (*range(nb), *range(nb + nk, nb + nk + nn), *range(nb, nb + nk))
        turned = self.part(node, (permuted(b, order_b), permuted(a, order_a)), groups=(nb, nn, nk, nm))

        def turn_back(results: list[graph.Node]) -> graph.Node:
            from . import TABLE

            order = (*range(nb), *range(nb + nn, nb + nn + nm), *range(nb, nb + nn))
            args = (permuted(results[0].operand(), order),)
            return graph.Node(TABLE["_copy"], args, {}, node.shape, node.dtype, node.device)

        return [turned], turn_back

    def part(self, node: graph.Node, args: tuple, dtype=None, groups: tuple | None = None) -> graph.Node:
        """The node of the same contraction of other factors."""
        groups = groups or node.attributes["groups"]
        shape = (*args[0].shape[: groups[0] + groups[1]], *args[1].shape[groups[0] + groups[2] :])
        return graph.Node(self, tuple(args), {"groups": groups}, shape, dtype or node.dtype, node.device)

    def variant(self, node: graph.Node, limits, batch: int, m: int, k: int, n: int) -> tuple[str, bool]:
        """Which kernel computes a contraction ("tiled", or blocks of results in registers), and whether for good."""
        room = limits.max_workgroup_invocations >= 256 and m >= 16 and n >= 16
        # Large blocks read less but take long to compile, on a software adapter a second: worth it for large products only.
        large = batch * m * n * k >= (1 << 24 if limits.compiles_slowly else 1 << 22) and m >= 8 and n >= 8
        default = "tiled" if room and not limits.is_cpu else "8x8" if large else "4x4"
        if limits.reproducible:
            return "4x4", True
        b, (nb, _, nk, _) = node.args[1], node.attributes["groups"]
        lanes = codegen.compute_type(node.dtype) == "f32" and limits.is_cpu and by_lanes()
        if limits.compiles_slowly and batch * m * n * k < FEW_PRODUCTS:
            default = "1x1"
        elif lanes and has_windows(b, nb, nk):
            default = "windows"
        elif lanes and m >= 8 and n >= 20:  # else too many lanes would have nothing to do
            default = "lanes"
        if "contract" in tuning.forced:
            able = {"tiled": room, "lanes": lanes, "windows": lanes and has_windows(b, nb, nk)}
            wanted = tuning.forced["contract"]
            return (wanted if able.get(wanted, True) else default), True
        # Where lanes can share what they read, that is twice as fast as any of the others: nothing to try.
        if self.trial is not None or default in ("lanes", "windows") or batch * m * n * k < 1 << 26 or min(m, n) < 16:
            return self.trial or default, True
        a, b = node.args
        layout = "".join("k" if operand.strides[-1] == 1 else "r" for operand in (a, b))
        sizes = "x".join(str(max(0, size - 1).bit_length()) for size in (batch, m, k, n))
        candidates = {"8x8": 1.0, "8x4": 0.5, "4x4": 0.2} if limits.is_cpu else {"tiled": 0.3, "8x8": 0.3, "4x4": 0.1}
        kind = f"{node.dtype.name} {layout} {sizes}"
        return tuning.choice("contract", kind, candidates, default, lambda name: self.prepare_trial(name, node, limits))

    trial: str | None = None  # the variant that is being tried

    def prepare_trial(self, variant: str, node: graph.Node, limits) -> tuple:
        """A product of the shapes and layouts of `node` with other numbers."""
        from .. import kernels
        from ..backends.wgpu import get_device
        from ..fuse import Group

        device = get_device()
        operands = []
        for operand in node.args:
            size = 1 + operand.offset + sum((s - 1) * t for s, t in zip(operand.shape, operand.strides, strict=True))
            numbers = (np.arange(size, dtype=np.int64) * 7919 % 61 - 30).astype(np.float32) / 16
            source = graph.data(
                device.upload(numbers.astype(operand.dtype.memory)), (size,), operand.dtype, node.device
            )
            operands.append(Operand(source, operand.shape, operand.strides, operand.offset))
        made: list[graph.Node] = []

        def once() -> None:
            made[:] = [graph.Node(self, tuple(operands), node.attributes, node.shape, node.dtype, node.device)]
            group = Group(0, node.size, made[0])
            group.outputs = list(made)
            self.trial = variant
            try:
                kernels.run(group, *kernels.prepare(group, device, limits), device, limits)
            finally:
                self.trial = None

        def result() -> np.ndarray:
            return device.read(made[0].buffer, made[0].nbytes).view(node.dtype.memory)

        return once, result

    def factor(self, kernel, name: str, operand: Operand, sizes: tuple, roots: tuple, in_quads: bool) -> None:
        """The holes that read one factor: `load_x` gives an element; for matmul.wgsl `quad_x` gives four, along the result
        or along k, as one vector where they lie next to each other in memory."""
        ends = (sizes[0], sizes[0] + sizes[1], sizes[0] + sizes[1] + sizes[2])
        spans = [(index, first, end) for index, (first, end) in enumerate(zip((0, *ends), ends, strict=False))]
        load = kernel.block(f"load_{name}", roots)
        load.returns = ((load.operand_at(operand, *spans), operand.dtype),)
        if not in_quads:
            return
        along_k, along_result = (2, 1) if name == "a" else (1, 2)
        first, last = roots[1], roots[2]
        over_k = contiguous_in_quads(operand, spans, along_k)
        if over_k or contiguous_in_quads(operand, spans, along_result):
            place = kernel.block(f"place_{name}", roots)
            parts = [(index, operand.shape[start:end], operand.strides[start:end]) for index, start, end in spans]
            place.returns = ((place.index(parts, operand.offset), None),)
            slot = kernel.slot(operand.node)
            kernel.quads.add(slot)
            body = f"quad_{slot}(place_{name}(batch, {first}, {last}) >> 2u)"
        else:
            over_k = name == "a"
            step = [f"near({last} + {n}u, LAST)" if name == "b" else f"{last} + {n}u" for n in range(4)]
            body = f"vec4<T>({', '.join(f'load_{name}(batch, {first}, {each})' for each in step)})"
            body = body.replace("LAST", "columns() - 1u")
        kernel.constants += (
            (f"{name.upper()}_OVER_K", "true" if over_k else "false"),
            (f"$quad_{name}", f"fn quad_{name}(batch: u32, {first}: u32, {last}: u32) -> vec4<T> {{ return {body}; }}"),
        )


def by_windows(x: Tensor, taps: int, wide: int) -> bool:
    """Whether a contraction with windows of `taps` neighbours over the rows of `x`, `wide` of them side by side, would be that
    of matmul_windows.wgsl if rows began on multiples of four."""
    if x.device.type != "webgpu" or x.dtype is not dtypes.float32 or not 2 <= taps <= MOST_TAPS or wide < 4:
        return False
    from ..backends import wgpu as backend

    limits = engine.limits_of(backend.get_device())
    return limits.is_cpu and not limits.reproducible and by_lanes()


def has_windows(b: Operand, nb: int, nk: int) -> bool:
    """Whether the columns of a right factor are windows over rows of numbers, as matmul_windows.wgsl walks them: the last
    summed index and the last index of the result are both steps along a row, and rows begin on multiples of four."""
    if b.dtype.itemsize != 4 or b.offset % 4 or nb + nk in (nb, len(b.shape)):
        return False
    inner = (nb + nk - 1, len(b.shape) - 1)
    if not 2 <= b.shape[inner[0]] <= MOST_TAPS or b.shape[inner[1]] < 4 or any(b.strides[d] != 1 for d in inner):
        return False
    return all(stride % 4 == 0 or b.shape[d] == 1 for d, stride in enumerate(b.strides) if d not in inner)


def walk_windows(kernel: codegen.Kernel, a: Operand, b: Operand, groups: tuple) -> None:
    """The holes of matmul_windows.wgsl that say where elements lie: where a row, or a column, begins, and how far each step is
    from there."""
    nb, nm, nk, nn = groups
    for name, operand, ends, begin in (("a", a, (nb + nm, nb + nm + nk), 0), ("b", b, (nb, nb + nk), nb + nk)):
        own, first, last = ("m", nb, nb + nm) if name == "a" else ("n", begin, nb + nk + nn)
        for hole, roots, spans, offset in (
            (f"begin_{name}", ("batch", own), ((0, 0, nb), (1, first, last)), operand.offset),
            (f"step_{name}", ("k",), ((0, *ends),), 0),
        ):
            block = kernel.block(hole, roots)
            parts = [(root, operand.shape[start:end], operand.strides[start:end]) for root, start, end in spans]
            block.returns = ((block.index(parts, offset), None),)
    slots = kernel.slot(a.node), kernel.slot(b.node)
    kernel.quads.add(slots[1])
    kernel.parameter("wide", b.shape[-1])
    kernel.parameter("last_quad", (b.node.size - 1) // 4)
    # Where both factors are parts of one buffer, that is read in fours only.
    number = f"read_{slots[0]}(i)" if slots[0] != slots[1] else f"quad_{slots[1]}(i >> 2u)[i & 3u]"
    kernel.constants += (
        ("$number_a", f"fn number_a(i: u32) -> T {{ return {number}; }}"),
        ("$quad_of_b", f"fn quad_of_b(i: u32) -> vec4<T> {{ return quad_{slots[1]}(i); }}"),
    )


def by_lanes() -> bool:
    """Whether the adapter passes values between lanes as matmul_lanes.wgsl expects."""
    from ..backends.wgpu import get_device

    return get_device().subgroups_of_eight


def permuted(operand: Operand, order: tuple) -> Operand:
    shape, strides = (tuple(values[d] for d in order) for values in (operand.shape, operand.strides))
    return Operand(operand.node, shape, strides, operand.offset)


def flat_copy(operand: Operand, shape: tuple) -> Operand:
    from . import TABLE

    node = graph.record(TABLE["_copy"], (operand,), {}, operand.shape, operand.dtype, operand.node.device)
    return Operand(node, shape, contiguous_strides(shape), 0)


def gradient_a(g: Tensor, y: Tensor, groups: tuple) -> Tensor:
    """g[batch, m, n] contracted with b over n."""
    nb, nm, nk, nn = groups
    order = (*range(nb), *range(nb + nk, nb + nk + nn), *range(nb, nb + nk))
    return contract(g, y.permute(order), (nb, nm, nn, nk))


def gradient_b(g: Tensor, x: Tensor, groups: tuple) -> Tensor:
    """a contracted with g[batch, m, n] over m."""
    nb, nm, nk, nn = groups
    order = (*range(nb), *range(nb + nm, nb + nm + nk), *range(nb, nb + nm))
    return contract(x.permute(order), g, (nb, nk, nm, nn))


contract = Contract("_contract", vjp=(gradient_a, gradient_b), public=False, grad_name="Mm")


def inner_error(call: str, a: Tensor, b: Tensor, ka: int, kb: int) -> Exception:
    from ..errors import coded_error

    return coded_error(
        "matmul_error_inner_dimensions_do_not_match",
        f"{ka} != {kb} for shapes {list(a._shape)} and {list(b._shape)} in {call}: mat1 and mat2 shapes cannot be multiplied; "
        "the last dimension of the first must equal the first matrix dimension of the second (transpose one with .mT?)",
    )
