"""From a group of nodes to the WGSL of one kernel.

A `Kernel` collects what a shader needs: blocks of straight-line code (the holes that a file in `shaders/` calls),
the parameter words, the buffers. Everything that may change from call to call (sizes, strides, scalars) is a
parameter word, so the code that is left identifies the kernel: `Kernel.key()` is what the pipeline cache is keyed by,
and `render` runs only for a key that was never seen.
"""

from __future__ import annotations

import functools
import re
import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import dtypes, pairs, prelude
from .errors import DTypeError
from .shapes import coalesce, contiguous_strides, numel

# The WGSL type that values of a dtype are computed in, and how its elements lie in a buffer.
COMPUTE = {
    dtypes.float32: "f32", dtypes.float16: "f32", dtypes.bfloat16: "f32", dtypes.float64: "f64",
    dtypes.int8: "i32", dtypes.int16: "i32", dtypes.int32: "i32", dtypes.int64: "i64",
    dtypes.uint8: "u32", dtypes.bool_: "bool", dtypes.complex64: "c64",
}  # fmt: skip

# Compute types that WGSL has not: aliases in the shader library, with functions for the operators that they lack.
ALIASES = ("c64",)

# Types that hold fewer bits than they are computed in: how a result is brought back to its dtype's range.
NARROW = {
    dtypes.int8: "((({0}) << 24u) >> 24u)",
    dtypes.int16: "((({0}) << 16u) >> 16u)",
    dtypes.uint8: "(({0}) & 0xffu)",
    dtypes.float16: "wt_f16_round_f32({0})",
    dtypes.bfloat16: "wt_bf16_round_f32({0})",
}

# The shaders without a core.
ELEMENTWISE = ("elementwise", "elementwise_tiles")

# Element types that are not a WGSL storage type: read from and written to parts of 32-bit words.
UNPACK = {
    dtypes.bool_: "(extractBits({word}, ({i} & 3u) * 8u, 8u) != 0u)",
    dtypes.uint8: "extractBits({word}, ({i} & 3u) * 8u, 8u)",
    dtypes.int8: "extractBits(bitcast<i32>({word}), ({i} & 3u) * 8u, 8u)",
    dtypes.int16: "extractBits(bitcast<i32>({word}), ({i} & 1u) * 16u, 16u)",
    dtypes.float16: "wt_f16_unpack_u32(extractBits({word}, ({i} & 1u) * 16u, 16u))",
    dtypes.bfloat16: "wt_bf16_unpack_u32(extractBits({word}, ({i} & 1u) * 16u, 16u))",
}
PACK = {
    dtypes.bool_: "select(0u, 1u, {0})",
    dtypes.uint8: "(({0}) & 0xffu)",
    dtypes.int8: "(bitcast<u32>({0}) & 0xffu)",
    dtypes.int16: "(bitcast<u32>({0}) & 0xffffu)",
    dtypes.float16: "wt_f16_pack_f32({0})",
    dtypes.bfloat16: "wt_bf16_pack_f32({0})",
}

# What an adapter must have to compute in a type: doubles are passed, and some of their functions computed, by way of
# 64-bit integers. Those themselves are pairs of 32-bit words where the adapter has none: see pairs.py.
FEATURE = {"f64": ("shader-f64", "shader-int64")}
_CALL = re.compile(r"\bwt_([a-z0-9_]+?)\(")

# How a value is combined with a word of zero, so that no driver knows where it came from.
HIDDEN = {
    "f32": "bitcast<f32>(bitcast<u32>({0}) ^ {1})",
    "f64": "bitcast<f64>(bitcast<u64>({0}) ^ u64({1}))",
    "c64": "bitcast<vec2<f32>>(bitcast<vec2<u32>>({0}) ^ vec2<u32>({1}))",
}
CONSTANTS = 1  # among the sources of a value: the numbers in the text of expressions
_NUMBER = re.compile(r"(?<![\w.{])\d+(?:\.\d+)?(?:f|u)?(?![\w.}])")
_ON_BITS = re.compile(r"wt_(?:abs|neg|copysign|isnan|isinf|isfinite|signbit)_\w+\(")


@functools.cache
def has_constants(expression: str) -> bool:
    """Whether an expression, or a function of the library that it calls, may add numbers of its own."""
    text = _ON_BITS.sub("(", expression)
    return "wt_" in text or any(not match.group().endswith("u") for match in _NUMBER.finditer(text))


def is_packed(dtype) -> bool:
    return dtype in PACK


def compute_type(dtype) -> str:
    try:
        return COMPUTE[dtype]
    except KeyError:
        fix = "complex64" if dtype.is_complex else "float32"
        raise DTypeError(
            f"{dtype} has no form on webgpu; use device='cpu' for it, or convert with .to(webtorch.{fix})"
        ) from None


@functools.cache
def specialise(template: str, kind: str) -> str:
    """Append the compute type to the prelude calls of a row's expression: `wt_exp(x)` in f32 is `wt_exp_f32(x)`.

    A call whose name already ends in a type (a conversion, say) is left alone.
    """

    def add(match: re.Match) -> str:
        name = match.group(1)
        if prelude.has(f"wt_{name}") and name.rsplit("_", 1)[-1] in ("f32", "i32", "u32", "i64", "f64", "bool", "c64"):
            return match.group(0)
        return f"wt_{name}_{kind}("

    return _CALL.sub(add, template)


_DIVISIONS = re.compile(r"\bwt_(divide|reciprocal|sqrt|rsqrt)_f32\(")


@functools.cache
def with_native_division(expression: str) -> str:
    """An expression with the adapter's own division and roots in place of the library's, where these are exact. One with
    numbers or other functions stays as it is: a division by a number may become a product.

    >>> with_native_division("{0} + wt_divide_f32({1}, {2})")
    '{0} + wt_native_divide_f32({1}, {2})'
    """
    if not _DIVISIONS.search(expression) or has_constants(_DIVISIONS.sub("(", expression)):
        return expression
    return _DIVISIONS.sub(r"wt_native_\1_f32(", expression)


@functools.cache
def missing_functions(template: str, kind: str) -> tuple[str, ...]:
    """The prelude functions that `template` would need in compute type `kind` and that do not exist."""
    names = {f"wt_{match.group(1)}" for match in _CALL.finditer(specialise(template, kind))}
    return tuple(sorted(name for name in names if not prelude.has(name)))


@functools.cache
def cast_expression(source, target) -> str:
    """The WGSL that turns `{x}` of dtype `source` into dtype `target`, as PyTorch's CPU converts."""
    a, b = compute_type(source), compute_type(target)
    if b == "bool":
        return "{x}" if a == "bool" else f"wt_ne_{a}({{x}}, {a}(0))"
    if "c64" in (a, b) and a != b:  # by way of the real part
        if b == "c64":
            return f"c64({cast_expression(source, dtypes.float32)}, 0.0)"
        return cast_expression(dtypes.float32, target).replace("{x}", "{x}.x")
    if a == "bool":
        expression = "i64(i32({x}))" if b == "i64" else f"{b}({{x}})"
    elif a == b:
        expression = "{x}"
    elif prelude.has(f"wt_cast_{a}_{b}"):
        expression = f"wt_cast_{a}_{b}({{x}})"
    else:
        expression = f"{b}({{x}})"
    fits = a == "bool" or source == target or (source is dtypes.uint8 and target is dtypes.int16)
    return expression if fits or target not in NARROW else NARROW[target].format(expression)


def literal(value, dtype) -> str:
    """A constant of the structure (an identity, a fill), never of the user: those go through `Block.scalar`."""
    kind = compute_type(dtype)
    if kind == "bool":
        return "true" if value else "false"
    if kind == "c64":
        return f"c64({float(value.real)}, {float(value.imag)})"
    if kind in ("f32", "f64") and value in (float("inf"), float("-inf")):
        return f"{kind}({'-' if value < 0 else ''}bitcast<f32>(WT_INFINITY))"
    if kind == "i64" and value == -(1 << 63):
        return "(i64(-9223372036854775807) - i64(1))"
    if kind == "i32" and value == -(1 << 31):
        return "(i32(-2147483647) - 1)"
    return f"{kind}({float(value) if kind in ('f32', 'f64') else int(value)})"


@dataclass(frozen=True)
class Limits:
    """What the adapter allows, as far as code depends on it."""

    max_binding_size: int
    max_storage_buffers: int
    max_workgroup_invocations: int
    max_workgroups_per_dimension: int
    max_params: int
    max_immediates: int  # bytes of parameters that a dispatch can carry itself, without a buffer
    loop_budget: int
    features: frozenset
    is_cpu: bool
    reproducible: bool = False  # whether kernels must give the same bits on every driver
    compiles_slowly: bool = False  # whether a kernel's length costs more than a loop: software adapters are so
    exact_division: bool = False  # whether the adapter's own division and square roots are rounded to nearest
    wide_words: bool = False  # whether two words of 64 bits are read faster than four of 32

    @property
    def pairs(self) -> bool:
        """Whether 64-bit integers are pairs of words, because the adapter has none."""
        return "shader-int64" not in self.features

    def windows(self, nbytes: int) -> int:
        """How many bindings a buffer of `nbytes` takes."""
        return max(1, -(-nbytes // self.max_binding_size))


planned: set[int] = set()  # the ids of nodes that will have been computed when the kernels that are made now run


def has_memory(node) -> bool:
    """Whether a kernel reads a node's value rather than computing it."""
    return node.buffer is not None or id(node) in planned


class Kernel:
    """One dispatch in the making: blocks of code, parameter words, input buffers, outputs."""

    def __init__(self, limits: Limits, shader: str, constants: tuple = ()) -> None:
        self.limits = limits
        self.shader = shader
        self.constants = constants  # (name, value) pairs, part of the structure
        self.words: list[int] = []
        self.sliced: frozenset[int] | None = None  # of a kernel that runs in pieces: see oversize.py
        self.base = 0  # the word that says at which element a piece begins
        self.zeros: list[int] = []  # see `zero`
        self.inputs: list = []  # nodes
        self.input_slots: dict[int, int] = {}
        self.outputs: list = []  # nodes
        self.blocks: list[Block] = []
        self.quads: set[int] = set()  # input slots that are read four elements at a time
        self.row: int | None = None  # elements of a row, where the shader knows in which place of which row it stores
        self.store_quads = False  # results are stored four neighbours at a time: the shader calls store4, not store
        self.workgroups = 1
        self.workgroup_size = 64
        self.each = 1  # quads that an invocation of elementwise.wgsl computes
        self.tiled: dict[
            int, int | None
        ] = {}  # indices read by blocks -> the word of their step along rows; see tiles.py
        self.trips = 1  # upper bound of loop iterations in one invocation
        self.scalars: list[tuple] = []  # (first word, dtype, origin) of every number that came with the graph
        self.provisional = False  # another variant may be found better: ask again the next time
        self.target = None  # a node whose buffer is written in place (outputs[0] takes it over)

    def block(self, name: str, roots: tuple[str, ...]) -> Block:
        block = Block(self, name, roots)
        self.blocks.append(block)
        return block

    def word(self, value: int) -> int:
        self.words.append(value & 0xFFFFFFFF)
        return len(self.words) - 1

    def divisor(self, size: int) -> int:
        """The first of three words for dividing by `size`, see `wt_divide_u32`: neither GPUs nor CPUs' vectors have an
        instruction for it."""
        steps = (size - 1).bit_length()  # Granlund and Montgomery, 1994, figure 4.1
        first = self.word(size)
        self.word(((1 << 32) * ((1 << steps) - size)) // size + 1)
        self.word(steps - 1)
        return first

    def windows(self, slot: int) -> int:
        """How many bindings input `slot` takes."""
        if self.sliced is not None and slot in self.sliced:
            return 1
        return self.limits.windows(self.inputs[slot].nbytes)

    def zero(self, number: int) -> tuple[int, int]:
        """One bit, by its word and its place there, of some that are always zero, which the driver does not know."""
        while number // 32 >= len(self.zeros):
            self.zeros.append(self.word(0))
        return self.zeros[number // 32], number % 32

    def parameter(self, name: str, value: int) -> None:
        """A named u32 that the shader file reads as a function: `extent()`."""
        self.constants += ((name, ("word", self.word(value))),)

    def slot(self, node) -> int:
        slot = self.input_slots.get(id(node))
        if slot is None:
            if node.size == 0:
                raise AssertionError(
                    f"{self.shader}: a zero-element value reached a kernel; binding it would abort the process"
                )
            slot = self.input_slots[id(node)] = len(self.inputs)
            self.inputs.append(node)
        return slot

    def key(self) -> tuple:
        return (
            self.shader,
            self.limits.reproducible,
            self.constants,
            self.workgroup_size,
            self.target is not None,
            self.limits.pairs,
            self.limits.max_binding_size,
            self.limits.max_immediates,
            self.sliced,
            tuple((node.dtype, self.windows(slot)) for slot, node in enumerate(self.inputs)),
            tuple((node.dtype, self.limits.windows(node.nbytes)) for node in self.outputs),
            tuple((block.name, block.roots, tuple(block.code), block.returns) for block in self.blocks),
            tuple(tuple(block.steps.items()) for block in self.blocks if self.by_fours(block)),
            tuple(self.tiled),
            tuple(sorted(self.quads)),
            self.store_quads,
            (len(self.words) + 3) // 4,
        )

    def by_fours(self, block: Block) -> bool:
        """Whether a block is computed for four neighbours at a time."""
        return self.shader in ELEMENTWISE or (self.store_quads and block.name == "store")

    def params(self) -> bytes:
        return struct.pack(f"<{len(self.words)}I", *self.words)


class Turned(NamedTuple):
    """How an index grows with the coordinates of an element: by one along a dimension that is not the last."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    last: int | None  # the parameter word of the last dimension's stride

    @property
    def dimension(self) -> int:
        return self.strides.index(1)


class Block:
    """The body of one hole: straight-line code in static single assignment form.

    Each instruction is a tuple that says what is computed, with parameter word numbers instead of values; its position
    is its name. Values that two parts of the graph share are emitted once.
    """

    def __init__(self, kernel: Kernel, name: str, roots: tuple[str, ...]) -> None:
        self.kernel = kernel
        self.name = name
        self.roots = roots
        self.code: list[tuple] = [("root", root) for root in roots]
        self.memo: dict = {}
        self.returns: tuple = ()
        self.sources: dict[int, int] = {}  # value -> what it was computed from, as bits; see `guarded`
        self.steps: dict[int, int] = {}  # index -> by how much it grows from neighbour to neighbour; see `step`
        self.turned: dict[int, Turned] = {}  # index -> how it walks memory, if not along rows; see tiles.py

    def emit(self, *instruction) -> int:
        known = self.memo.get(instruction)
        if known is None:
            self.code.append(instruction)
            known = self.memo[instruction] = len(self.code) - 1
        return known

    def root(self, name: str) -> int:
        return self.roots.index(name)

    def loads(self) -> list[tuple[int, int]]:
        """The input slot and the index of everything that is read."""
        return [(instruction[1], instruction[2]) for instruction in self.code if instruction[0] == "load"]

    # ---- indices ------------------------------------------------------------------------------------------------

    def coordinates(self, index: int, sizes: tuple[int, ...]) -> int:
        """Split a linear index over `sizes` (row-major); the result is addressed by dimension number."""
        key = ("coordinates", index, sizes)
        known = self.memo.get(key)
        if known is None:
            row = self.name == "store" and self.roots[index : index + 1] == ("i",) and sizes[-1] == self.kernel.row
            divided = sizes[1:-1] if row else sizes[1:]
            words: tuple = tuple(None if size == 1 else self.kernel.divisor(size) for size in divided)
            words += ("row",) if row else ()
            self.code.append(("coordinates", index, words))
            known = self.memo[key] = len(self.code) - 1
            if sizes[-1] % 4 == 0 and self.grows(index) == 1:
                self.steps[known] = 1  # the last of them
        return known

    def grows(self, index: int) -> int | None:
        """By how much an index grows between neighbours of every aligned four, see `step`."""
        return 1 if self.roots[index : index + 1] == ("i",) else self.steps.get(index)

    def index(self, parts: list[tuple[int, tuple[int, ...], tuple[int, ...]]], offset: int) -> int:
        """The element index `offset + sum over parts of (unravel(root, sizes) . strides)`.

        `parts` holds (value of a linear index, sizes, strides). A single part with row-major strides and no offset is
        that linear index itself.
        """
        terms = []
        for root, sizes, strides in parts:
            sizes, (strides,) = coalesce(sizes, strides)
            if not sizes or all(stride == 0 for stride in strides):
                continue
            terms.append((root, tuple(sizes), tuple(strides)))
        if not terms and offset == 0:
            zero = self.emit("zero")
            self.steps[zero] = 0
            return zero
        if len(terms) == 1 and offset == 0 and terms[0][2] == (1,):
            return terms[0][0]
        key = ("index", tuple(terms), offset)
        known = self.memo.get(key)
        if known is None:
            sums = []
            for root, sizes, strides in terms:
                source = self.coordinates(root, sizes) if len(sizes) > 1 else root
                for dimension, stride in enumerate(strides):
                    if stride == 0:
                        continue
                    word = None if stride == 1 else self.kernel.word(stride)
                    sums.append((source, dimension if len(sizes) > 1 else None, word))
            word = self.kernel.word(offset) if offset else None
            self.code.append(("index", tuple(sums), word))
            known = self.memo[key] = len(self.code) - 1
            step = self.step(terms[0], offset) if len(terms) == 1 else None if terms else 0
            if step is not None:
                self.steps[known] = step
            elif len(terms) == 1 and self.roots[terms[0][0] : terms[0][0] + 1] == ("i",):
                _, sizes, strides = terms[0]
                if len(sizes) > 1 and strides.count(1) == 1 and strides[-1] > 1:
                    self.turned[known] = Turned(sizes, strides, offset, sums[-1][2])
        return known

    def step(self, term: tuple[int, tuple[int, ...], tuple[int, ...]], offset: int) -> int | None:
        """By how much an index grows between neighbours of every aligned four: 1 where it begins on a multiple of four and
        they stay in one row, 0 where all four have the same; else None."""
        root, sizes, strides = term
        from_root = self.grows(root)
        if from_root != 1:
            return from_root
        if sizes[-1] % 4 or strides[-1] not in (0, 1):
            return None
        if strides[-1] == 1 and (offset % 4 or any(stride % 4 for stride in strides[:-1])):
            return None
        return strides[-1]

    # ---- values -------------------------------------------------------------------------------------------------

    def scalar(self, value, dtype, origin) -> int:
        """A number from the user, through the parameter block.

        `origin` says where in the graph it stands: the `Scalar` itself, or (node, name of an attribute). Equal numbers
        of different origins are words of their own: another call of the same kernel may have different ones.
        """
        key = ("scalar", id(origin) if not isinstance(origin, tuple) else (id(origin[0]), origin[1]), dtype)
        known = self.memo.get(key)
        if known is not None:
            return known
        words = struct.iter_unpack("<I", pack_scalar(value, dtype))
        numbers = [self.kernel.word(word) for (word,) in words]
        self.kernel.scalars.append((numbers[0], dtype, origin))
        self.code.append(("scalar", compute_type(dtype), *numbers))
        known = self.memo[key] = len(self.code) - 1
        return known

    def attribute(self, node, name: str, dtype) -> int:
        """A number among a node's attributes."""
        return self.scalar(node.attributes[name], dtype, (node, name))

    def load(self, node, index: int) -> int:
        """Element `index` of a realised node."""
        return self.emit("load", self.kernel.slot(node), index)

    def node(self, node, index: int) -> int:
        """The value of `node` at linear index `index`: a load when it is realised, its own arithmetic when it is pending.

        Pending producers are expanded with a stack, so chains of any depth work.
        """
        memo = self.memo
        stack = [(node, index)]
        while stack:
            current, at = stack[-1]
            key = (id(current), at)
            if key in memo:
                stack.pop()
            elif has_memory(current):
                memo[key] = self.load(current, at)
                stack.pop()
            else:
                missing = []
                for wanted in current.op.needs(self, current, at):
                    if (id(wanted[0]), wanted[1]) not in memo:
                        missing.append(wanted)
                if missing:
                    stack.extend(missing)
                else:
                    memo[key] = current.op.emit(self, current, at)
                    stack.pop()
        return memo[(id(node), index)]

    def at(self, operand, index: int) -> int:
        """Element index of the node behind `operand` for element `index` of the view."""
        if operand.is_linear():
            return index
        return self.index([(index, operand.shape, operand.strides)], operand.offset)

    def operand(self, argument, index: int) -> int:
        """The value of an operand or scalar at linear index `index` of its view."""
        if hasattr(argument, "value"):
            return self.scalar(argument.value, argument.dtype, argument)
        return self.node(argument.node, self.at(argument, index))

    def operand_at(self, operand, *groups: tuple[int, int, int]) -> int:
        """The value of an operand addressed by several linear indices, each over a range of its dimensions.

        `groups` holds (index value, first dimension, end dimension).
        """
        parts = [(index, operand.shape[first:end], operand.strides[first:end]) for index, first, end in groups]
        return self.node(operand.node, self.index(parts, operand.offset))

    def apply(self, template: str, dtype, *args: int, kind: str | None = None) -> int:
        """A row's expression over values; `{0}`, `{1}` name the arguments. `kind` is the type its prelude calls take."""
        expression = specialise(template, kind) if kind else template
        if dtype in NARROW:
            expression = NARROW[dtype].format(expression)
        if self.kernel.limits.reproducible:  # all arithmetic is spelled out there
            return self.emit("apply", expression, compute_type(dtype), args)
        args = self.guarded(expression, args)
        native = with_native_division(expression) if self.kernel.limits.exact_division else expression
        result = self.emit("apply", native, compute_type(dtype), args)
        # What the driver can see it may simplify: the square of a root, or the reciprocal of a reciprocal.
        hide = native != expression and compute_type(dtype) == "f32" and dtype not in NARROW
        return self.hidden("f32", result, 0)[0] if hide else result

    def guarded(self, expression: str, args: tuple[int, ...]) -> tuple[int, ...]:
        """The arguments of an expression, those that share a source with an earlier one hidden from the driver.

        Drivers simplify sums as if floats were real numbers: x - x becomes 0 where x is infinite, and (x + 1) - x
        becomes 1. They can do so only for what they see to be the same value, and numbers in the text are such values,
        too. An argument is hidden by combining its bits with a bit of the parameters that happens to be zero.
        """
        seen = CONSTANTS if has_constants(expression) else 0
        safe = expression == "{0} * {1}"
        result = []
        for value in args:
            sources = self.sources_of(value)
            kind = self.float_kind(value)
            computed = self.code[value][0] == "apply"
            if sources & seen and kind is not None and (computed or not safe):
                value, sources = self.hidden(kind, value, seen)
            seen |= sources
            result.append(value)
        return tuple(result)

    def hidden(self, kind: str, value: int, seen: int) -> tuple[int, int]:
        """A value with the same bits that is none of those in `seen`, and its own bit among sources."""
        for number in range(len(self.code)):
            other = self.emit("hide", kind, value, self.kernel.zero(number))
            if not 2 << other & seen:
                break
        return other, 2 << other

    def sources_of(self, value: int) -> int:
        """What a value was computed from: a bit for each value that is read, one for the numbers in expressions."""
        known = self.sources.get(value)
        if known is None:
            instruction = self.code[value]
            if instruction[0] == "apply":
                known = CONSTANTS if has_constants(instruction[1]) else 0
                for argument in instruction[3]:
                    known |= self.sources_of(argument)
            else:
                known = 2 << value
            self.sources[value] = known
        return known

    def float_kind(self, value: int) -> str | None:
        """The floating-point type of a value, if it has one."""
        instruction = self.code[value]
        kind = None
        if instruction[0] == "load":
            kind = compute_type(self.kernel.inputs[instruction[1]].dtype)
        elif instruction[0] in ("apply",):
            kind = instruction[2]
        elif instruction[0] in ("hide", "scalar"):
            kind = instruction[1]
        elif instruction == ("root", "value"):
            kind = dict(self.kernel.constants).get("T")
        return kind if kind in HIDDEN else None

    def cast(self, value: int, source, target) -> int:
        if source is target:
            return value
        return self.emit("apply", cast_expression(source, target).replace("{x}", "{0}"), compute_type(target), (value,))


def pack_scalar(value, dtype) -> bytes:
    """A number as it lies in the parameter block: one word, or two (the low one first)."""
    kind = compute_type(dtype)
    if kind == "f32":
        return struct.pack("<I", float_bits(value, dtype))
    if kind == "f64":
        return struct.pack("<d", float(value))
    if kind == "bool":
        return b"\1\0\0\0" if value else b"\0\0\0\0"
    if kind == "c64":
        value = complex(value)
        return struct.pack("<2I", *(float_bits(part, dtypes.float32) for part in (value.real, value.imag)))
    if kind == "i64":
        return struct.pack("<Q", int(value) & 0xFFFFFFFFFFFFFFFF)
    return struct.pack("<I", int(value) & 0xFFFFFFFF)


def nearest_float32(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def float_bits(value, dtype) -> int:
    """The float32 bits of a number, rounded through its dtype first."""
    value = float(value)
    if dtypes.accumulator(dtype) is not dtype:
        with np.errstate(over="ignore"):
            value = float(dtypes.rounded(value, dtype))
    return struct.unpack("<I", struct.pack("<f", nearest_float32(value)))[0]


# ---- rendering ------------------------------------------------------------------------------------------------------


def word(number: int) -> str:
    return f"params[{number // 4}].{'xyzw'[number % 4]}"


def spelled(limits: Limits, expression: str, types: dict[str, str], kind: str) -> str:
    """An expression of type `kind` over values of the given types, as this adapter can compute it."""
    if limits.pairs and (kind == "i64" or "i64" in types.values() or "i64(" in expression):
        return pairs.spelled(expression, types, kind)
    return expression


def fold_functions(limits: Limits, combine: str, identity, dtype) -> tuple[tuple[str, str], ...]:
    """The holes `combine(x, y)`, from an expression over `{x}` and `{y}`, and `identity()` of a kernel that folds elements
    of `dtype`."""
    kind = compute_type(dtype)
    both = spelled(limits, specialise(combine.format(x="x", y="y"), kind), {"x": kind, "y": kind}, kind)
    neutral = spelled(limits, literal(identity, dtype), {}, kind)
    return (
        ("$combine", f"fn combine(x: T, y: T) -> T {{ return {both}; }}"),
        ("$identity", f"fn identity() -> T {{ return {neutral}; }}"),
    )


def check_features(dtype, limits: Limits, call: str) -> None:
    """Raise DTypeError when the adapter cannot compute in `dtype`."""
    missing = [feature for feature in FEATURE.get(compute_type(dtype), ()) if feature not in limits.features]
    if missing:
        raise DTypeError(
            f"{call}: this adapter has no {missing[0]} feature, so {dtype} cannot be computed on webgpu; "
            f"use device='cpu', or convert with .to(webtorch.{'int32' if dtype.kind == 'int' else 'float32'})"
        )


__all__ = ["Block", "Kernel", "Limits", "compute_type", "contiguous_strides", "numel"]
