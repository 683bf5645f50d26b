"""Attention in one kernel, which never stores the matrix of scores; nor do its gradients.

The forward pass keeps, beside the result, the logarithm of each query's sum of exp(score): from it the backward kernels
compute the weights anew. Many keys are shared out among dispatches (the driver's loop budget), each of which goes on
from what the one before it stored. Which weights dropout leaves is a function of a random key and the place in the matrix,
so that it is not stored either: it is the mask that `nn.functional.dropout` would draw for the whole matrix.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import _counter_random as counter
from .. import codegen, dtypes, grad_mode, graph, tuning
from ..graph import Operand
from ..shapes import contiguous_strides, numel
from . import Op, Tensor, cast_operand, common_device, contiguous_in_quads, from_node, result_dtype, tracks
from .matmul import by_lanes

MOST_FEATURES = 256  # what an invocation holds in registers
BUDGET = 60000  # loop iterations of one invocation
ENTRIES = 1 << 19  # scores that numpy holds at a time
WORTH_LANES, WORTH_GRADIENT_LANES = 1 << 18, 1 << 20  # scores for which the kernels of lanes are worth compiling


class Dropout(NamedTuple):
    """What dropout does to the weights: the probability to become zero, and the random words that decide it."""

    chance: float
    key0: int
    key1: int
    number: int

    def attributes(self) -> dict[str, Any]:
        return {
            "drops": True,
            "chance": self.chance,
            "growth": 1.0 / (1.0 - self.chance),
            "bits_key0": self.key0,
            "bits_key1": self.key1,
            "bits_number": self.number,
        }

    def mask(self, shape: tuple[int, ...], device: Any) -> Tensor:
        """What each weight of the whole matrix is multiplied by."""
        from ..random import uniform_row
        from .binary import where

        drawn = uniform_row(
            shape, dtypes.float32, device, bits_key0=self.key0, bits_key1=self.key1, bits_number=self.number
        )
        return where(drawn >= self.chance, 1.0 / (1.0 - self.chance), 0.0)


def dropping(dropout: Dropout | None) -> dict[str, Any]:
    return {"drops": False} if dropout is None else dropout.attributes()


NUMBERS = frozenset({"scale", "chance", "growth", "bits_key0", "bits_key1", "bits_number"})


class Fused(Op):
    """What the kernels share: operands [batch dimensions, rows, features], a mask, and a range of rows to walk."""

    batches = False
    inlines = False
    has_epilogue = False

    def structure(self, node: graph.Node) -> tuple:
        return tuple((name, value) for name, value in node.attributes.items() if name not in NUMBERS)

    def stored_arguments(self, node: graph.Node) -> tuple:
        return node.args  # each element is read many times over

    def quads(self, kernel: codegen.Kernel, name: str, row: str, operand: Operand) -> None:
        """The hole `quad_x`: four features, read as one vector where they lie next to each other."""
        count = len(operand.shape) - 2
        spans = [(0, 0, count), (1, count, count + 1), (2, count + 1, count + 2)]
        features = operand.shape[-1]
        roots = ("batch", row, "c")
        load = kernel.block(f"load_{name}", roots)
        load.returns = ((load.operand_at(operand, *spans), operand.dtype),)
        if contiguous_in_quads(operand, spans, 2):
            place = kernel.block(f"place_{name}", roots)
            parts = [(index, operand.shape[start:end], operand.strides[start:end]) for index, start, end in spans]
            place.returns = ((place.index(parts, operand.offset), None),)
            slot = kernel.slot(operand.node)
            kernel.quads.add(slot)
            body = f"quad_{slot}(place_{name}(batch, {row}, 4u * c) >> 2u)"
        else:
            each = [f"load_{name}(batch, {row}, 4u * c + {n}u)" for n in range(4)]
            if features % 4:
                last = f"{features - 1}u"
                each = [
                    f"select(T(0), load_{name}(batch, {row}, min(4u * c + {n}u, {last})), 4u * c + {n}u <= {last})"
                    for n in range(4)
                ]
            body = f"vec4<T>({', '.join(each)})"
        kernel.constants += (
            (f"$quad_{name}", f"fn quad_{name}(batch: u32, {row}: u32, c: u32) -> vec4<T> {{ return {body}; }}"),
        )

    def rest(self, kernel: codegen.Kernel, node: graph.Node, mask: Operand | None, carried: Operand | None) -> None:
        """The holes for what is added to scores, what was stored before, dropout, and the scale."""
        lowest = codegen.literal(float("-inf"), dtypes.float32)
        if mask is None:
            body = "return T(0);"
        else:
            count = len(mask.shape) - 2
            name = "visible" if mask.dtype is dtypes.bool_ else "added"
            block = kernel.block(name, ("batch", "m", "n"))
            value = block.operand_at(mask, (0, 0, count), (1, count, count + 1), (2, count + 1, count + 2))
            block.returns = ((value, mask.dtype),)
            body = f"return {name}(batch, m, n);"
            if mask.dtype is dtypes.bool_:
                body = f"return select({lowest}, T(0), {name}(batch, m, n));"
        kernel.constants += (("$bias", f"fn bias(batch: u32, m: u32, n: u32) -> T {{ {body} }}"),)
        if carried is None:
            kernel.constants += (("$carried", "fn carried(i: u32) -> T { return T(0); }"),)
        else:
            block = kernel.block("carried", ("i",))
            block.returns = ((block.operand(carried, 0), carried.dtype),)
        block = kernel.block("scaled", ("i",))
        block.returns = ((block.attribute(node, "scale", dtypes.float32), dtypes.float32),)
        kernel.constants += (("$scale", "fn scale() -> T { return scaled(0u); }"),)
        kernel.constants += (("DROPS", "true" if node.attributes["drops"] else "false"),)
        body = "return T(1);"
        if node.attributes["drops"]:
            for name in ("chance", "growth", "bits_key0", "bits_key1", "bits_number"):
                kind = dtypes.int32 if name.startswith("bits_") else dtypes.float32
                block = kernel.block(name, ("i",))
                block.returns = ((block.attribute(node, name, kind), kind),)
            number, key0, key1 = (f"bitcast<u32>(bits_{name}(0u))" for name in ("number", "key0", "key1"))
            body = (
                f"let bits = wt_threefry_u32((batch * all_queries() + m) * all_keys() + n, {number}, {key0}, {key1}).x; "
                "return select(T(0), T(growth(0u)), wt_uniform_u32(bits) >= chance(0u));"
            )
        kernel.constants += (("$kept", f"fn kept(batch: u32, m: u32, n: u32) -> T {{ {body} }}"),)
        kernel.constants += (("$exponential", "fn exponential(x: T) -> T { return wt_exp_f32(x); }"),)


def of_rows(operand: Operand) -> Operand:
    """The operand as float32 (float64 stays), which is what sums are made in."""
    return cast_operand(operand, dtypes.float64 if operand.dtype is dtypes.float64 else dtypes.float32)


class Attention(Fused):
    """softmax(x @ y^T * scale + w) @ z for x [batch dimensions, queries, features], y and z [the same, keys, features].

    `w`, if any, is [the same, queries, keys]: bools say what may be seen, numbers are added. No gradient goes to it.
    """

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        z: Tensor,
        w: Tensor | None,
        causal: bool,
        scale: float,
        dropout: Dropout | None = None,
    ) -> Tensor:
        device = common_device([x, y, z], "scaled_dot_product_attention")
        dtype = result_dtype([x, y])
        *outer, queries, _ = x._shape
        keys, values = y._shape[-2], z._shape[-1]
        rows = numel(tuple(outer)) * queries
        keeps = tracks(x, y, z)
        operands = [of_rows(value._operand()) for value in (x, y, z)]
        extra = [] if w is None else [w._operand() if w.dtype is dtypes.bool_ else of_rows(w._operand())]
        carried: list = []
        quads = -(-x._shape[-1] // 4) + -(-values // 4)
        pieces = ranges(keys, 4 * BUDGET // trips_of_four(quads, 4), device)
        for first, last in pieces:
            final = last == keys
            attributes = {
                "causal": causal,
                "scale": scale,
                "first": first,
                "last": last,
                "final": final,
                "keeps": keeps,
                "masked": w is not None,
                "carries": bool(carried),
                **dropping(dropout),
            }
            size = rows * (values + (1 if keeps else 0) if final else values + 2)
            # What is carried on, and the logarithms, are not rounded to 16 bits.
            kind = operands[0].dtype if keeps or not final else dtype
            node = graph.record(self, (*operands, *extra, *carried), attributes, (size,), kind, device)
            carried = [node.operand()]
        flat = from_node(node)
        shape = (*outer, queries, values)
        with grad_mode.no_grad():
            result = flat._view(shape, contiguous_strides(shape), 0)
            if result.dtype is not dtype:
                result = result.to(dtype)
        if keeps:
            from ..autograd.graph import attach

            logarithms = flat._view(shape[:-1], contiguous_strides(shape[:-1]), rows * values)
            kept = {"causal": causal, "scale": scale, "logarithms": logarithms, "dropout": dropout}
            attach(self, result, (x, y, z, w), kept)
        return result

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        x, y, z, *others = arrays
        attributes = node.attributes
        mask = others.pop(0) if attributes["masked"] else None
        queries, values = x.shape[-2], z.shape[-1]
        rows = math.prod(x.shape[:-1])
        first, last = attributes["first"], attributes["last"]
        outer = x.shape[:-1]
        sums = np.zeros((*outer, values), x.dtype)
        top = np.full(outer, np.finfo(x.dtype).min, x.dtype)
        total = np.zeros(outer, x.dtype)
        if others:
            carried = others[0].reshape(-1)
            sums = carried[: rows * values].reshape(sums.shape).copy()
            top = carried[rows * values : rows * values + rows].reshape(outer).copy()
            total = carried[rows * values + rows :].reshape(outer).copy()
        place = kept_in(x, y, attributes)
        y, z = y[..., first:last, :], z[..., first:last, :]
        step = max(1, ENTRIES // max(1, rows // max(1, queries) * (last - first)))
        with np.errstate(all="ignore"):
            for start in range(0, queries, step):
                part = slice(start, min(start + step, queries))
                scores = scores_of(x, y, mask, attributes, part, slice(first, last))
                largest = np.maximum(top[..., part], scores.max(-1))
                shrink = np.exp(top[..., part] - largest)
                weights = np.exp(scores - largest[..., None])
                total[..., part] = total[..., part] * shrink + weights.sum(-1)
                if attributes["drops"]:
                    weights *= place(part, slice(first, last))
                sums[..., part, :] = sums[..., part, :] * shrink[..., None] + weights @ z
                top[..., part] = largest
            result = np.empty(node.shape, x.dtype)
            if not attributes["final"]:
                result[:] = np.concatenate([sums.reshape(-1), top.reshape(-1), total.reshape(-1)])
                return result
            empty = total == 0
            result[: rows * values] = (sums / np.where(empty, 1, total)[..., None]).reshape(-1)
            if attributes["keeps"]:
                result[rows * values :] = np.where(empty, np.inf, top + np.log(total)).reshape(-1)
        return result.astype(node.dtype.numpy, copy=False)

    def lower(self, group: Any, limits: Any) -> codegen.Kernel:
        from ..kernels import store_block

        node = group.core
        x, y, z, *others = node.args
        attributes = node.attributes
        mask = others.pop(0) if attributes["masked"] else None
        rows, values = numel(x.shape[:-1]), z.shape[-1]
        shared = lanes_share(x, x.shape[-2], values, limits, rows * y.shape[-2], WORTH_LANES)
        key_quads, value_quads = -(-x.shape[-1] // 4), -(-values // 4)
        # A CPU adapter does best when what it reads serves several queries; GPUs want many invocations instead.
        height = 4 if limits.is_cpu and key_quads + value_quads <= 64 and x.shape[-2] >= 4 else 1
        sizes: tuple = (("KEY_QUADS", key_quads), ("VALUE_QUADS", value_quads), ("ROWS", height))
        if shared:
            height, sizes = 16, (("PARTS", -(-value_quads // 8)),)
        constants = (
            ("T", codegen.compute_type(x.dtype)),
            ("VALUES", values),
            *sizes,
            *(
                (name.upper(), "true" if attributes[name] else "false")
                for name in ("causal", "carries", "final", "keeps")
            ),
            ("$lowest", "fn lowest() -> T { return T(-3.4028234663852886e38); }"),
            ("$infinity", f"fn infinity() -> T {{ return {codegen.literal(float('inf'), dtypes.float32)}; }}"),
            ("$maximum", "fn maximum(x: T, y: T) -> T { return wt_maximum_f32(x, y); }"),
            ("$logarithm", "fn logarithm(x: T) -> T { return wt_log_f32(x); }"),
        )
        kernel = codegen.Kernel(limits, "attention_lanes" if shared else "attention", constants)
        first, last = attributes["first"], attributes["last"]
        for name, value in (
            ("batches", rows // x.shape[-2]),
            ("queries", x.shape[-2]),
            ("first", first),
            ("last", last),
            ("all_queries", x.shape[-2]),
            ("all_keys", y.shape[-2]),
        ):
            kernel.parameter(name, value)
        self.quads(kernel, "q", "m", x)
        self.quads(kernel, "k", "n", y)
        self.quads(kernel, "v", "n", z)
        self.rest(kernel, node, mask, others[0] if others else None)
        store_block(kernel, group)
        blocks = rows // x.shape[-2] * -(-x.shape[-2] // height)
        if shared:
            kernel.parameter("key_quads", key_quads)
            kernel.parameter("value_quads", value_quads)
            kernel.workgroup_size, kernel.workgroups = 8, blocks
            kernel.trips = -(-(last - first) // 32) * (key_quads + 16 + 8 + 1) + 10 * 16
        else:
            kernel.workgroup_size, kernel.workgroups = 64, -(-blocks // 64)
            four = trips_of_four(key_quads + value_quads, height)
            kernel.trips = -(-(last - first) // 4) * four + height * (key_quads + 2 * values + 3)
        return kernel


class AttentionGradient(Fused):
    """A gradient of attention: that of x (`which` = 0), y (1) or z (2).

    `sums` is [2, batch dimensions, queries]: the logarithms of the sums of exp(score), and the sums of out * gradient.
    """

    def __call__(
        self,
        which: int,
        g: Tensor,
        x: Tensor,
        y: Tensor,
        z: Tensor,
        w: Tensor | None,
        sums: Tensor,
        causal: bool,
        scale: float,
        dropout: Dropout | None = None,
    ) -> Tensor:
        device = common_device([g, x, y, z], "scaled_dot_product_attention")
        source = (x, y, z)[which]
        walked = y._shape[-2] if which == 0 else x._shape[-2]
        operands = [of_rows(value._operand()) for value in (g, x, y, z, sums)]
        extra = [] if w is None else [w._operand() if w.dtype is dtypes.bool_ else of_rows(w._operand())]
        carried: list = []
        quads = 2 * -(-x._shape[-1] // 4) + -(-z._shape[-1] // 4)
        for first, last in ranges(walked, BUDGET // (quads + 2), device):
            attributes = {
                "which": which,
                "causal": causal,
                "scale": scale,
                "first": first,
                "last": last,
                "masked": w is not None,
                "carries": bool(carried),
                **dropping(dropout),
            }
            kind = source.dtype if last == walked else operands[0].dtype
            node = graph.record(self, (*operands, *extra, *carried), attributes, source._shape, kind, device)
            carried = [node.operand()]
        return from_node(node)

    def evaluate(self, node: graph.Node, arrays: list) -> np.ndarray:
        g, x, y, z, sums, *others = arrays
        attributes = node.attributes
        mask = others.pop(0) if attributes["masked"] else None
        which, scale = attributes["which"], attributes["scale"]
        result = others[0].reshape(node.shape).copy() if others else np.zeros(node.shape, x.dtype)
        walked = slice(attributes["first"], attributes["last"])
        queries, keys = (slice(0, x.shape[-2]), walked) if which == 0 else (walked, slice(0, y.shape[-2]))
        batch = math.prod(x.shape[:-2])
        step = max(1, ENTRIES // max(1, batch * (keys.stop - keys.start)))
        place = kept_in(x, y, attributes)
        y, z = y[..., keys, :], z[..., keys, :]
        with np.errstate(all="ignore"):
            for start in range(queries.start, queries.stop, step):
                part = slice(start, min(start + step, queries.stop))
                weights = np.exp(scores_of(x, y, mask, attributes, part, keys) - sums[0][..., part, None])
                kept = place(part, keys) if attributes["drops"] else 1
                if which == 2:
                    weights *= kept
                    result += np.swapaxes(weights, -1, -2) @ g[..., part, :]
                    continue
                change = g[..., part, :] @ np.swapaxes(z, -1, -2) * kept - sums[1][..., part, None]
                weights *= change * scale
                if which == 0:
                    result[..., part, :] += weights @ y
                else:
                    result += np.swapaxes(weights, -1, -2) @ x[..., part, :]
        return result.astype(node.dtype.numpy, copy=False)

    def lower(self, group: Any, limits: Any) -> codegen.Kernel:
        from ..kernels import store_block

        node = group.core
        g, x, y, z, sums, *others = node.args
        attributes = node.attributes
        mask = others.pop(0) if attributes["masked"] else None
        which = attributes["which"]
        source = (x, y, z)[which]
        features, values, results = x.shape[-1], z.shape[-1], source.shape[-1]
        rows = numel(source.shape[:-1])
        scored_quads, other_quads, result_quads = (-(-size // 4) for size in (features, values, results))
        scores = numel(x.shape[:-1]) * y.shape[-2]
        shared = lanes_share(x, source.shape[-2], results, limits, scores, WORTH_GRADIENT_LANES)
        sizes: tuple = (("SCORED_QUADS", scored_quads), ("OTHER_QUADS", other_quads), ("RESULT_QUADS", result_quads))
        constants = (
            ("T", codegen.compute_type(x.dtype)),
            ("RESULTS", results),
            *((("PARTS", -(-result_quads // 8)),) if shared else sizes),
            ("WHICH", which),
            ("CAUSAL", "true" if attributes["causal"] else "false"),
            ("CARRIES", "true" if attributes["carries"] else "false"),
        )
        kernel = codegen.Kernel(limits, "attention_gradient_lanes" if shared else "attention_gradient", constants)
        first, last = attributes["first"], attributes["last"]
        for name, value in (
            ("batches", rows // source.shape[-2]),
            ("rows", source.shape[-2]),
            ("first", first),
            ("last", last),
            ("all_queries", x.shape[-2]),
            ("all_keys", y.shape[-2]),
        ):
            kernel.parameter(name, value)
        own, other = ((x, g), (y, z)) if which == 0 else ((y, z), (x, g))
        self.quads(kernel, "a", "r", own[0])
        self.quads(kernel, "b", "r", own[1])
        self.quads(kernel, "c", "n", other[0])
        self.quads(kernel, "d", "n", other[1])
        for name, number in (("logarithm_of", 0), ("mean_of", 1)):
            block = kernel.block(name, ("batch", "m"))
            one = Operand(sums.node, sums.shape[1:], sums.strides[1:], sums.offset + number * sums.strides[0])
            count = len(one.shape) - 1
            block.returns = ((block.operand_at(one, (0, 0, count), (1, count, count + 1)), sums.dtype),)
        self.rest(kernel, node, mask, others[0] if others else None)
        store_block(kernel, group)
        if shared:
            for name, size in sizes:
                kernel.parameter(name.lower(), size)
            kernel.workgroup_size = 8
            kernel.workgroups = rows // source.shape[-2] * -(-source.shape[-2] // 16)
            kernel.trips = -(-(last - first) // 32) * (scored_quads + other_quads + 16 + 8 + 1) + 10 * 16
        else:
            kernel.workgroup_size = 64
            kernel.workgroups = -(-rows // 64)
            kernel.trips = (last - first) * (2 * scored_quads + other_quads + 1) + features + values + 2 * results
        return kernel


def lanes_share(x: Operand, rows: int, results: int, limits: Any, scores: int, worth: int) -> bool:
    """Whether `results` features of so many rows are computed by the kernels in which lanes share what they read, whose
    order of additions is not that of reproducible mode. They take longer to compile: fewer than `worth` scores do not pay."""
    able = codegen.compute_type(x.dtype) == "f32" and limits.is_cpu and not limits.reproducible and results <= 64
    if not able or not by_lanes():
        return False
    # With fewer rows, more than half of what the lanes compute is not wanted.
    return tuning.forced.get("attention", "lanes" if rows >= 8 and scores >= worth else "rows") == "lanes"


def trips_of_four(quads: int, height: int) -> int:
    """How often attention.wgsl goes round its loops for four keys, `quads` being those of keys and values together."""
    return 1 + height + (1 + height) * quads


def ranges(count: int, most: int, device: Any) -> list[tuple[int, int]]:
    """0 to `count` in pieces of at most `most`, on a GPU a multiple of four."""
    if device.type == "cpu":
        return [(0, count)]
    most = max(4, most // 4 * 4)
    return [(start, min(start + most, count)) for start in range(0, count, most)]


def scores_of(x: np.ndarray, y: np.ndarray, mask: Any, attributes: dict, part: slice, keys: slice) -> np.ndarray:
    """The scores of some queries (rows of `x`) and keys (all rows of `y`, which are rows `keys` of all)."""
    scores = (x[..., part, :] * x.dtype.type(attributes["scale"])) @ np.swapaxes(y, -1, -2)
    if mask is not None:
        shown = mask[..., part, keys]
        scores = np.where(shown, scores, x.dtype.type("-inf")) if shown.dtype == bool else scores + shown
    if attributes["causal"]:
        later = np.arange(keys.start, keys.stop)[None, :] > np.arange(part.start, part.stop)[:, None]
        scores = np.where(later, x.dtype.type("-inf"), scores)
    return scores


def kept_in(x: np.ndarray, y: np.ndarray, attributes: dict) -> Any:
    """A function that gives what dropout multiplies the weights of some queries and keys by."""
    outer, queries, keys = x.shape[:-2], x.shape[-2], y.shape[-2]

    def kept(rows: slice, columns: slice) -> np.ndarray:
        batch = np.arange(math.prod(outer), dtype=np.uint64).reshape((*outer, 1, 1))
        m, n = (np.arange(part.start, part.stop, dtype=np.uint64) for part in (rows, columns))
        index = ((batch * queries + m[:, None]) * keys + n) & 0xFFFFFFFF
        words = (attributes[name] for name in ("bits_number", "bits_key0", "bits_key1"))
        drawn = counter.uniform_from_bits(counter.threefry(index.astype(np.uint32), *words)[0])
        return np.where(drawn >= np.float32(attributes["chance"]), x.dtype.type(attributes["growth"]), x.dtype.type(0))

    return kept


# ---- derivatives ----------------------------------------------------------------------------------------------------


def gradient_of(which: int, g, out, x, y, z, w, causal, scale, logarithms, dropout) -> Tensor:
    """A gradient by its kernel; where it is to be differentiated again, written with the matrix of weights instead."""
    if grad_mode.current().grad:
        return written_out(which, g, x, y, z, w, causal, scale, dropout)
    means = (g.to(logarithms.dtype) * out.to(logarithms.dtype)).sum(-1)
    from ..functional import stack

    return gradient(which, g, x, y, z, w, stack([logarithms, means], 0), causal, scale, dropout)


def written_out(which: int, g, x, y, z, w, causal, scale, dropout) -> Tensor:
    from ..nn.functional.attention import softmax_scores

    weights = softmax_scores(x, y, w, causal, scale)
    kept = 1.0 if dropout is None else dropout.mask(weights._shape, weights.device).to(weights.dtype)
    if which == 2:
        return (weights * kept).transpose(-2, -1) @ g
    change = g @ z.transpose(-2, -1) * kept
    change = weights * (change - (change * weights).sum(-1, keepdim=True)) * scale
    return change @ y if which == 0 else change.transpose(-2, -1) @ x


def gradient_x(g, out, x, y, z, w, causal, scale, logarithms, dropout):
    return gradient_of(0, g, out, x, y, z, w, causal, scale, logarithms, dropout)


def gradient_y(g, out, x, y, z, w, causal, scale, logarithms, dropout):
    return gradient_of(1, g, out, x, y, z, w, causal, scale, logarithms, dropout)


def gradient_z(g, out, x, y, z, w, causal, scale, logarithms, dropout):
    return gradient_of(2, g, out, x, y, z, w, causal, scale, logarithms, dropout)


# fmt: off
attention = Attention("_attention", vjp=(gradient_x, gradient_y, gradient_z, None), public=False,
    grad_name="ScaledDotProductFusedAttention")
gradient = AttentionGradient("_attention_gradient", public=False)
# fmt: on
