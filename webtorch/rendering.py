"""The WGSL of a traced kernel: parameters, bindings, readers and writers, holes, the library's functions, the shader file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from . import pairs, prelude, reproducible, shaders_path, tiles
from .codegen import (
    ALIASES,
    ELEMENTWISE,
    HIDDEN,
    PACK,
    UNPACK,
    Block,
    Kernel,
    Limits,
    compute_type,
    is_packed,
    spelled,
    word,
)  # fmt: skip
from .errors import DTypeError

REPEATED = 2500  # characters that a hole may have, calls written out, where it is repeated for each of four neighbours


def value_kinds(kernel: Kernel, block: Block) -> list[str]:
    """The type of every value of a block."""
    kinds = []
    for instruction in block.code:
        if instruction[0] == "scalar":
            kinds.append(instruction[1])
        elif instruction[0] == "load":
            kinds.append(compute_type(kernel.inputs[instruction[1]].dtype))
        elif instruction[0] == "apply":
            kinds.append(instruction[2])
        elif instruction[0] == "hide":
            kinds.append(instruction[1])
        else:
            kinds.append(dict(kernel.constants)["T"] if instruction == ("root", "value") else "u32")
    return kinds


def render_instruction(
    instruction: tuple, name: str, hoisted: dict, limits: Limits, kinds: list[str], before: dict[int, str]
) -> str:
    """One line of WGSL for one instruction; `kinds` are the types of the values so far, `before` what to take off the
    index of an input of which a piece is bound."""
    operation = instruction[0]
    if operation == "zero":
        return f"let {name} = 0u;"
    if operation == "coordinates":
        _, index, words = instruction
        lines, rest = [], f"v{index}"
        for dimension in range(len(words), 0, -1):
            first, above = words[dimension - 1], f"{name}_r{dimension}"
            if first == "row":
                lines.append(f"let {name}_{dimension} = stored_column;")
                rest = "stored_row"
                continue
            if first is None:  # of size 1
                lines.append(f"let {name}_{dimension} = 0u;")
                continue
            lines.append(f"let {above} = wt_divide_u32({rest}, {word(first + 1)}, {word(first + 2)});")
            lines.append(f"let {name}_{dimension} = {rest} - {above} * {word(first)};")
            rest = above
        lines.append(f"let {name}_0 = {rest};")
        return " ".join(lines)
    if operation == "index":
        _, sums, offset = instruction
        terms = [] if offset is None else [word(offset)]
        for source, dimension, stride in sums:
            coordinate = f"v{source}" if dimension is None else f"v{source}_{dimension}"
            terms.append(coordinate if stride is None else f"{coordinate} * {word(stride)}")
        return f"let {name} = {' + '.join(terms)};"
    if operation == "scalar":
        kind, words = instruction[1], [word(number) for number in instruction[2:]]
        if kind == "bool":
            return f"let {name} = {words[0]} != 0u;"
        if kind == "i64" and limits.pairs:
            return f"let {name} = {pairs.TYPE}({words[0]}, {words[1]});"
        if kind == "i64":
            return f"let {name} = i64(bitcast<i32>({words[1]})) * i64(4294967296) + wt_cast_u32_i64({words[0]});"
        if kind == "c64":
            return f"let {name} = c64(bitcast<f32>({words[0]}), bitcast<f32>({words[1]}));"
        if kind == "f64":
            high = f"i64(bitcast<i32>({words[1]})) * i64(4294967296)"
            return f"let {name} = bitcast<f64>({high} + wt_cast_u32_i64({words[0]}));"
        return f"let {name} = {words[0]};" if kind == "u32" else f"let {name} = bitcast<{kind}>({words[0]});"
    if operation == "load":
        _, slot, index = instruction
        if (slot, index) in hoisted:
            return f"let {name} = {hoisted[slot, index]};"
        return f"let {name} = read_{slot}(v{index}{before.get(slot, '')});"
    if operation == "hide":
        _, kind, value, (zero, bit) = instruction
        return f"let {name} = {HIDDEN[kind].format(f'v{value}', f'({word(zero)} & {1 << bit}u)')};"
    if operation == "apply":
        _, expression, kind, args = instruction
        text = expression.format(*(f"v{argument}" for argument in args))
        text = spelled(limits, text, {f"v{argument}": kinds[argument] for argument in args}, kind)
        return f"let {name}: {kind} = {text};"
    if operation == "pad":
        _, source, tests, sums, offset = instruction
        return render_pad(name, source, tests, sums, offset)
    raise AssertionError(f"unknown instruction {operation}")


def render_pad(name: str, source: int, tests: tuple, sums: tuple, offset) -> str:
    """Coordinates shifted by the padding: whether they fall on the source, and the source's linear index."""
    lines, conditions, terms = [], [], []
    for number, (dimension, low, size, step) in enumerate(tests):
        coordinate = f"v{source}" if dimension is None else f"v{source}_{dimension}"
        shifted = f"{name}_s{number}"
        lines.append(f"let {shifted} = {coordinate} - {word(low)};")  # u32: below the start wraps to a huge value
        if step is None:
            conditions.append(f"({shifted} < {word(size)})")
        else:
            lines.append(f"let {shifted}_q = {shifted} / {word(step)};")
            conditions.append(f"({shifted}_q < {word(size)}) & ({shifted}_q * {word(step)} == {shifted})")
            shifted += "_q"
        terms.append(shifted)
    index = "0u"
    for term, size in zip(terms, sums, strict=True):
        index = term if index == "0u" else f"({index}) * {word(size)} + {term}"
    # Not `&&`, which is a branch: SwiftShader, for one, takes twice as long over a loop with each branch inside.
    lines.append(f"let {name}_in = {' & '.join(conditions)};")
    lines.append(f"let {name} = select(0u, {index}, {name}_in);")
    return " ".join(lines)


def element_type(dtype) -> str:
    """The WGSL type of one storage word of a dtype's buffer."""
    return "u32" if is_packed(dtype) else compute_type(dtype)


def per_word(dtype) -> int:
    return 4 // dtype.itemsize if is_packed(dtype) else 1


def render(kernel: Kernel) -> str:
    """The whole WGSL of a kernel: parameters, bindings, accessors, prelude functions, holes, and the shader file."""
    fours = in_fours(kernel)
    quads, mixed = read_in_fours(kernel)
    lines = [generated_from(kernel), params(max(1, (len(kernel.words) + 3) // 4), kernel.limits)]
    binding = 1
    for slot, node in enumerate(kernel.inputs):
        kind = quads_type(node.dtype, kernel.limits) if slot in quads | mixed else element_type(node.dtype)
        names: list[str] = []
        for _window in range(kernel.windows(slot)):
            names.append(f"input_{slot}" if not names else f"input_{slot}_{len(names)}")
            lines.append(f"@group(0) @binding({binding}) var<storage, read> {names[-1]}: array<{kind}>;")
            binding += 1
        lines.append(render_reader(slot, node.dtype, names, kernel.limits, slot in quads | mixed))
        if slot in mixed:  # the same buffer is also read one element at a time
            lines.append(
                f"fn read_{slot}(i: u32) -> {compute_type(node.dtype)} {{ return quad_{slot}(i >> 2u)[i & 3u]; }}"
            )
    for slot, node in enumerate(kernel.outputs):
        atomic = is_packed(node.dtype) and not fours
        if (
            kernel.target is not None
        ):  # scattered into place: whole words of floats are exchanged atomically when adding
            kind = scatter_type(node.dtype, kernel)
        elif atomic:
            kind = "atomic<u32>"
        elif fours:
            kind = quad_type(node.dtype)
        else:
            kind = element_type(node.dtype)
        names = []
        for _window in range(1 if kernel.sliced is not None else kernel.limits.windows(node.nbytes)):
            names.append(f"output_{slot}" if not names else f"output_{slot}_{len(names)}")
            lines.append(f"@group(0) @binding({binding}) var<storage, read_write> {names[-1]}: array<{kind}>;")
            binding += 1
        lines.append(render_writer(slot, node.dtype, names, kernel, fours))
    lines += render_holes(kernel, quads, mixed)
    lines.append(shaders_path.read("grid.wgsl"))
    return finished(kernel, lines)


def params(quads: int, limits: Limits) -> str:
    """The declaration of a kernel's parameters: in the command itself where they fit, else in a buffer."""
    where = "var<immediate>" if 16 * quads <= limits.max_immediates else "@group(0) @binding(0) var<uniform>"
    return f"{where} params: array<vec4<u32>, {quads}>;"


def generated_from(kernel: Kernel) -> str:
    return "// Generated from shaders/" + kernel.shader + ".wgsl and the graph."


def in_fours(kernel: Kernel) -> bool:
    """Whether results are stored four neighbours at a time."""
    return kernel.shader in ELEMENTWISE or kernel.store_quads


def read_in_fours(kernel: Kernel) -> tuple[set[int], set[int]]:
    """The inputs that are only ever read at the index that is stored to, four neighbours at a time; and those that are
    read by fours at other indices, too, or only there, and one element at a time elsewhere."""
    in_step: dict[int, bool] = {}
    for block in kernel.blocks:
        for slot, index in block.loads():
            in_step[slot] = in_step.get(slot, True) and kernel.by_fours(block) and index == 0
    mixed = kernel.quads | {
        slot
        for block in kernel.blocks
        if kernel.by_fours(block)
        for slot, index in block.loads()
        if (block.steps.get(index) == 1 or index in kernel.tiled) and kernel.inputs[slot].dtype.itemsize == 4
    }
    quads = {
        slot
        for slot, every in in_step.items()
        if every and kernel.inputs[slot].dtype.itemsize == 4 and slot not in mixed
    }
    return quads, mixed


def render_holes(kernel: Kernel, quads: set[int], mixed: set[int]) -> list[str]:
    """What the shader file calls: constants, named parameters, and the blocks."""
    lines = []
    for name, value in kernel.constants:
        if isinstance(value, tuple):
            lines.append(f"fn {name}() -> u32 {{ return {word(value[1])}; }}")
        elif value in ("true", "false"):
            lines.append(f"const {name} = {value};")
        elif isinstance(value, str) and name[0] != "$":
            lines.append(f"alias {name} = {value};")
            if name == "T":
                lines.append(render_four(value, kernel.limits))
        elif name[0] == "$":
            lines.append(value)
        else:
            lines.append(f"const {name} = {value}u;")
    lines.append(f"const WORKGROUP = {kernel.workgroup_size}u;")
    lines.append(f"const STORE_QUADS = {'true' if kernel.store_quads else 'false'};")
    return [*lines, *(render_block(kernel, block, quads, mixed) for block in kernel.blocks)]


def finished(kernel: Kernel, lines: list[str]) -> str:
    """The WGSL with the shader file itself and what it needs of the library."""
    body = "\n".join([*lines, shaders_path.read(kernel.shader + ".wgsl")])
    if kernel.limits.pairs:  # all that is left of i64 are names of types
        body = re.sub(r"\bi64\b", pairs.TYPE, body)
    names = sorted(set(re.findall(r"\bwt_[a-z0-9_]+(?=\()", body)))
    constants = [name for name in ("WT_INFINITY", pairs.TYPE, *ALIASES) if name in body]
    source = prelude.closure(tuple(names), constants, kernel.limits.pairs) + "\n" + body
    return reproducible.rewrite(source) if kernel.limits.reproducible else source


def render_four(kind: str, limits: Limits) -> str:
    """`Four`: four neighbouring elements. What is two words itself cannot be the element of a vector."""
    if kind in ALIASES or (kind == "i64" and limits.pairs):
        return "struct Four { x: T, y: T, z: T, w: T }"
    return "alias Four = vec4<T>;"


def render_reader(slot: int, dtype, names: list[str], limits: Limits, quad: bool) -> str:
    """`read_S(i)`: element i of input S, whichever of its windows it lies in."""
    kind = compute_type(dtype)
    if quad:
        per_window = limits.max_binding_size // 16
        body = windowed(names, "i", per_window, lambda name, i: quad_of(f"{name}[{i}]", kind, limits))
        return f"fn quad_{slot}(i: u32) -> vec4<{kind}> {{ {body} }}"
    width = per_word(dtype)
    per_window = limits.max_binding_size // (4 if is_packed(dtype) else dtype.itemsize)
    if width == 1:
        body = windowed(names, "i", per_window, lambda name, i: f"return {name}[{i}];")
        return f"fn read_{slot}(i: u32) -> {kind} {{ {body} }}"
    shift = {2: 1, 4: 2}[width]
    fetch = windowed(names, "w", per_window, lambda name, i: f"return {name}[{i}];")
    value = UNPACK[dtype].format(word="word", i="i")
    return (
        f"fn word_{slot}(w: u32) -> u32 {{ {fetch} }}\n"
        f"fn read_{slot}(i: u32) -> {kind} {{ let word = word_{slot}(i >> {shift}u); return {value}; }}"
    )


def windowed(names: list[str], index: str, per_window: int, statement) -> str:
    """`statement` on the window that holds `index`; a buffer that fits one binding has one window."""
    if len(names) == 1:
        return statement(names[0], index)
    lines = []
    for number, name in enumerate(names):
        at = index if number == 0 else f"{index} - {number * per_window}u"
        text = statement(name, at)
        lines.append(
            text if number == len(names) - 1 else f"if ({index} < {(number + 1) * per_window}u) {{ {text} }} else {{"
        )
    return " ".join(lines) + " }" * (len(names) - 1)


def quads_type(dtype, limits: Limits) -> str:
    """The type of four neighbours of an input that are read at once, as it is declared."""
    return "vec2<u64>" if limits.wide_words else f"vec4<{element_type(dtype)}>"


def quad_of(words: str, kind: str, limits: Limits) -> str:
    """Statements that return what was declared so as four numbers."""
    if not limits.wide_words:
        return f"return {words};"
    halves = "vec4<u32>(low.x, high.x, low.y, high.y)"
    return (
        f"let words = {words}; let low = vec2<u32>(words); let high = vec2<u32>(words >> vec2<u32>(32u)); "
        f"return {halves if kind == 'u32' else f'bitcast<vec4<{kind}>>({halves})'};"
    )


def quad_type(dtype) -> str:
    """How four neighbours of an output are stored at once."""
    if is_packed(dtype):
        return "u32" if dtype.itemsize == 1 else "vec2<u32>"
    return f"vec4<{compute_type(dtype)}>" if dtype.itemsize == 4 else compute_type(dtype)


def scatter_type(dtype, kernel: Kernel) -> str:
    kind = compute_type(dtype)
    if is_packed(dtype):
        return "atomic<u32>"
    if dict(kernel.constants).get("ACCUMULATE"):
        if kind == "i64" and not adds_words(kernel.limits):
            return "atomic<i64>"
        if adds_floats(kernel):
            return "atomic<f32>"
        return {"f32": "atomic<u32>", "i32": "atomic<i32>", "i64": "atomic<u32>"}.get(kind, kind)
    return kind


def adds_floats(kernel: Kernel) -> bool:
    """Whether the adapter itself adds float32 numbers to memory, so that none has to be exchanged for its sum."""
    return dict(kernel.constants).get("ADDS_FLOATS") == "true"


def adds_words(limits: Limits) -> bool:
    """Whether 64-bit integers are added to memory word by word, because the adapter cannot do it at once."""
    return limits.pairs or "shader-int64-atomic-all-ops" not in limits.features


def render_writer(slot: int, dtype, names: list[str], kernel: Kernel, fours: bool, begin: str = "") -> str:
    """`write4_S(quad, a, b, c, d)` where four neighbours are stored at a time, else `write_S(i, value)`.

    `begin` is added to the quad or the index: where in its memory the output begins."""
    text = writer(slot, dtype, names, kernel, fours)
    if not begin:
        return text
    index = "q" if fours else "i"
    head, body = text.split("{", 1)
    return f"{head.replace(f'({index}: u32', '(place: u32', 1)}{{ let {index} = place + {begin};{body}"


def writer(slot: int, dtype, names: list[str], kernel: Kernel, fours: bool) -> str:
    kind, limits = compute_type(dtype), kernel.limits
    if fours:
        arguments = "q: u32, " + ", ".join(f"{letter}: {kind}" for letter in "abcd")
        if is_packed(dtype):
            packed = [PACK[dtype].format(letter) for letter in "abcd"]
            if dtype.itemsize == 1:
                value = " | ".join(part if n == 0 else f"({part} << {8 * n}u)" for n, part in enumerate(packed))
                size = 4
            else:
                value = f"vec2<u32>({packed[0]} | ({packed[1]} << 16u), {packed[2]} | ({packed[3]} << 16u))"
                size = 8
            body = windowed(names, "q", limits.max_binding_size // size, lambda name, i: f"{name}[{i}] = {value};")
        elif dtype.itemsize == 4:
            body = windowed(
                names, "q", limits.max_binding_size // 16, lambda name, i: f"{name}[{i}] = vec4<{kind}>(a, b, c, d);"
            )
        else:
            # Four stores; all four lie in one window because windows are multiples of 256 bytes.
            def stores(name: str, i: str) -> str:
                return " ".join(f"{name}[4u * ({i}) + {n}u] = {letter};" for n, letter in enumerate("abcd"))

            body = windowed(names, "q", limits.max_binding_size // 32, stores)
        return f"fn write4_{slot}({arguments}) {{ {body} }}"
    if is_packed(dtype):
        bits = 8 * dtype.itemsize
        shift = {1: 2, 2: 1}[dtype.itemsize]
        mask = (1 << bits) - 1

        # Neighbours in one word belong to other invocations: each clears and sets only its own bits.
        def exchange(name: str, i: str) -> str:
            return f"atomicAnd(&{name}[{i}], ~({mask}u << at)); atomicOr(&{name}[{i}], bits << at);"

        body = windowed(names, "w", limits.max_binding_size // 4, exchange)
        return (
            f"fn write_{slot}(i: u32, value: {kind}) {{ let w = i >> {shift}u; let at = (i & {(1 << shift) - 1}u) * {bits}u; "
            f"let bits = {PACK[dtype].format('value')}; {body} }}"
        )
    per_window = limits.max_binding_size // dtype.itemsize
    if kernel.target is not None and dict(kernel.constants).get("ACCUMULATE"):
        if kind == "i64" and adds_words(limits):
            body = windowed(names, "i", per_window, lambda name, i: accumulate_words(name, i, limits))
        else:
            how, native = dict(kernel.constants)["ACCUMULATE"], adds_floats(kernel)
            body = windowed(names, "i", per_window, lambda name, i: accumulate(name, i, kind, how, native))
    else:
        body = windowed(names, "i", per_window, lambda name, i: f"{name}[{i}] = value;")
    return f"fn write_{slot}(i: u32, value: {kind}) {{ {body} }}"


def accumulate(name: str, i: str, kind: str, how: int, native: bool) -> str:
    """Combine `value` with an element that others may be changing: 1 adds, 2 multiplies, 3 and 4 take the larger, smaller."""
    if native or kind == "i32" and how != 2 or kind == "i64" and how == 1:
        return f"{ {1: 'atomicAdd', 3: 'atomicMax', 4: 'atomicMin'}[how] }(&{name}[{i}], value);"
    if kind not in ("f32", "i32"):
        raise DTypeError(f"combining values at repeated indices in {kind} is not possible on webgpu; use device='cpu'")
    seen = "bitcast<f32>(seen)" if kind == "f32" else "seen"
    combined = [
        f"{seen} + value",
        f"{seen} * value",
        f"wt_maximum_{kind}({seen}, value)",
        f"wt_minimum_{kind}({seen}, value)",
    ]
    result = f"bitcast<u32>({combined[how - 1]})" if kind == "f32" else combined[how - 1]
    return (
        f"var seen = atomicLoad(&{name}[{i}]); loop {{ "
        f"let result = atomicCompareExchangeWeak(&{name}[{i}], seen, {result}); "
        f"if (result.exchanged) {{ break; }} seen = result.old_value; }}"
    )


def accumulate_words(name: str, i: str, limits: Limits) -> str:
    """The same for 64-bit integers as two words: whoever makes the low word wrap around adds the carry to the high one.
    Once all additions are done, every carry has been added."""
    low, high = "wt_cast_i64_u32(value)", "wt_cast_i64_u32(value >> 32u)"
    if limits.pairs:
        low, high = "value.low", "value.high"
    return (
        f"let low = {low}; let before = atomicAdd(&{name}[2u * ({i})], low); "
        f"atomicAdd(&{name}[2u * ({i}) + 1u], {high} + u32(before + low < low));"
    )


def render_block(kernel: Kernel, block: Block, quads: set[int], mixed: set[int]) -> str:
    """One hole as a WGSL function."""
    if kernel.tiled:
        return tiles.render(kernel, block, *hoist(kernel, block, quads, mixed))
    if kernel.by_fours(block):
        return render_fours(kernel, block, quads, mixed)
    arguments = [f"v{number}: u32" for number in range(len(block.roots)) if block.roots[number] != "value"]
    if "value" in block.roots:
        arguments.append(f"v{block.roots.index('value')}: {dict(kernel.constants)['T']}")
    lines = render_instructions(kernel, block, {}, range(len(block.code)))
    if block.name == "store":
        for slot, (value, _) in enumerate(block.returns):
            lines.append(f"  write_{slot}(v{block.roots.index('i')}, v{value});")
        return f"fn store({', '.join(arguments)}) {{\n" + "\n".join(lines) + "\n}\nfn store4(quad: u32, four: Four) {}"
    value, dtype = block.returns[0]
    return (
        f"fn {block.name}({', '.join(arguments)}) -> {'u32' if dtype is None else compute_type(dtype)} {{\n"
        + "\n".join(lines)
        + f"\n  return v{value};\n}}"
    )


def render_instructions(kernel: Kernel, block: Block, hoisted: dict, numbers: Iterable[int]) -> list[str]:
    """The lines of the chosen instructions of a block; `hoisted` names what was read before."""
    types = value_kinds(kernel, block)
    before = {slot: f" - {word(kernel.base)}" for slot in kernel.sliced or ()}
    return [
        "  " + render_instruction(block.code[number], f"v{number}", hoisted, kernel.limits, types, before)
        for number in numbers
        if block.code[number][0] not in ("root", "skip")
    ]


def needed(block: Block, values: Iterable[int], hoisted: dict) -> list[int]:
    """The instructions, in order, that `values` are computed by, where what is in `hoisted` is known already."""
    found: set[int] = set()
    stack = list(values)
    while stack:
        number = stack.pop()
        if number in found or number in hoisted:
            continue
        found.add(number)
        instruction = block.code[number]
        if instruction[0] == "load" and instruction[1:] not in hoisted:
            stack.append(instruction[2])
        elif instruction[0] in ("coordinates", "pad"):
            stack.append(instruction[1])
        elif instruction[0] == "index":
            stack += [source for source, _, _ in instruction[1]]
        elif instruction[0] == "hide":
            stack.append(instruction[2])
        elif instruction[0] == "apply":
            stack += instruction[3]
    return sorted(found)


class Read(NamedTuple):
    """Something that is read or worked out once for several elements: its name outside of `value` and in it, how, and
    whether it is four neighbours, or grows by one from neighbour to neighbour."""

    name: str
    inner: str
    how: str
    kind: str
    four: bool = False
    grows: bool = False
    tile: int | None = None  # the index of what is read by blocks of four rows: see tiles.py

    def of(self, lane: int | str) -> str:
        """The argument for a neighbour, by number or by the name of a variable."""
        if self.grows:
            return f"{self.name} + {lane}u" if isinstance(lane, int) else f"{self.name} + {lane}"
        if not self.four:
            return self.name
        return f"{self.name}.{'xyzw'[lane]}" if isinstance(lane, int) else f"{self.name}[{lane}]"


def hoist(
    kernel: Kernel, block: Block, quads: set[int], mixed: set[int]
) -> tuple[dict[tuple[int, int] | int, str], list[Read], set[int]]:
    """What can be read or worked out once for four neighbours: its name in `value` by slot and index, how it is read, and
    the instructions that this takes."""
    hoisted: dict[tuple[int, int] | int, str] = {}
    reads: list[Read] = []
    wanted: set[int] = set()
    for slot, index in dict.fromkeys(block.loads()):
        step = 1 if index == 0 else block.steps.get(index)
        tile = None
        if slot in quads:
            how, four = f"quad_{slot}(quad)", True
        elif step == 1 and slot in mixed:
            how, four = f"quad_{slot}(v{index} >> 2u)", True
            wanted.add(index)
        elif step == 0:
            how, four = f"read_{slot}(v{index})", False
            wanted.add(index)
        elif index in kernel.tiled and slot in mixed:
            how, four, tile = f"quad_{slot}", True, index
        else:
            continue
        hoisted[slot, index] = f"q{len(reads)}"
        kind = compute_type(kernel.inputs[slot].dtype)
        reads.append(Read(f"p{len(reads)}", f"q{len(reads)}", how, kind, four, tile=tile))
    for number in needed(block, (value for value, _ in block.returns), hoisted):
        instruction = block.code[number]
        if instruction[0] == "coordinates" and block.steps.get(number) == 1:
            hoisted[number] = f"v{number}"
            wanted.add(number)
            for dimension in range(len(instruction[2]) + 1):
                name, last = f"v{number}_{dimension}", dimension == len(instruction[2])
                reads.append(Read(f"c{number}_{dimension}", name, name, "u32", grows=last))
    return hoisted, reads, wanted


def value_types(block: Block) -> list[str]:
    """The types of what a block computes."""
    return ["u32" if dtype is None else compute_type(dtype) for _, dtype in block.returns]


def render_value(kernel: Kernel, block: Block, hoisted: dict, reads: list[Read]) -> str:
    """`value(v0, ...)`: the results for one element, from its index and what was read before."""
    arguments = ["v0: u32"]
    if "value" in block.roots:
        arguments.append(f"v{block.roots.index('value')}: {dict(kernel.constants)['T']}")
    arguments += [f"{read.inner}: {read.kind}" for read in reads]
    lines = render_instructions(kernel, block, hoisted, needed(block, (value for value, _ in block.returns), hoisted))
    fields = ", ".join(f"r{n}: {kind}" for n, kind in enumerate(value_types(block)))
    values = ", ".join(f"v{value}" for value, _ in block.returns)
    text = f"struct Values {{ {fields} }}\nfn value({', '.join(arguments)}) -> Values {{\n" + "\n".join(lines)
    return text + f"\n  return Values({values});\n}}\n"


def repeats_too_much(kernel: Kernel, text: str) -> bool:
    """Whether a hole of this text takes a loop, rather than being written out for each of four neighbours."""
    return kernel.limits.compiles_slowly and prelude.written_out(text, kernel.limits.pairs) > REPEATED


def render_fours(kernel: Kernel, block: Block, quads: set[int], mixed: set[int]) -> str:
    """A hole that is computed for four neighbours at a time, so that narrow types fill whole words. What the four read
    from one row, or what all of them read, is read once, at an index that is worked out once."""
    hoisted, reads, wanted = hoist(kernel, block, quads, mixed)
    text = render_value(kernel, block, hoisted, reads)
    looped = repeats_too_much(kernel, text)
    cored = block.name == "store"
    if cored:
        text += "fn store(i: u32, folded: T) {}\n"
    text += "fn store4(quad: u32, four: Four) {\n" if cored else "fn compute(quad: u32) {\n"
    text += f"  let v0 = {f'{word(kernel.base)} + ' if kernel.sliced is not None else ''}4u * quad;\n"
    text += "".join(f"{line}\n" for line in render_instructions(kernel, block, {}, needed(block, wanted, {})))
    kinds = value_types(block)
    for read in reads:
        text += f"  {'var' if looped and read.four else 'let'} {read.name} = {read.how};\n"
    if looped:
        if cored:
            text += "  var fours = array<T, 4>(four.x, four.y, four.z, four.w);\n"
        text += "".join(f"  var n{slot}: array<{kind}, 4>;\n" for slot, kind in enumerate(kinds))
        parts = ["v0 + lane", *["fours[lane]"] * cored, *(read.of("lane") for read in reads)]
        text += f"  for (var lane = 0u; lane < 4u; lane += 1u) {{\n    let all = value({', '.join(parts)});\n"
        text += "".join(f"    n{slot}[lane] = all.r{slot};\n" for slot in range(len(kinds))) + "  }\n"
    else:
        for lane, letter in enumerate("xyzw"):
            parts = [f"v0 + {lane}u", *[f"four.{letter}"] * cored]
            parts += [read.of(lane) for read in reads]
            text += f"  let n{lane} = value({', '.join(parts)});\n"
    for slot in range(len(kinds)):
        values = ", ".join(f"n{slot}[{lane}]" if looped else f"n{lane}.r{slot}" for lane in range(4))
        text += f"  write4_{slot}(quad, {values});\n"
    return text + "}"
