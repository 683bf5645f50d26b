"""Elementwise kernels that read a transposed operand: computed in blocks of 4 x 4 elements, from four reads of four neighbours.

Results are stored along rows. An operand that is contiguous along another dimension, as a transposed matrix is, would be
read one element from each of many rows. So an invocation computes four elements of each of four rows, along that
dimension: what it reads of the operand are four groups of four neighbours, turned in registers. A workgroup computes a
tile of such blocks, so that whole lines of memory are read and written by invocations that run together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shapes import numel

if TYPE_CHECKING:
    from .codegen import Block, Kernel, Turned
    from .rendering import Read

SHADER = "elementwise_tiles"
FEWEST = 1 << 16  # results: fewer are computed by more invocations, four at a time
BLOCKS = 4  # that an invocation computes on a CPU adapter
SHORTEST = 32  # elements of both dimensions: a tile's


def worthwhile(kernel: Kernel, block: Block, size: int) -> bool:
    """Whether a kernel reads an operand that is turned, so that all its blocks begin at multiples of four elements."""
    return (
        bool(block.turned)
        and size >= FEWEST
        and any(fits(kernel, slot, block.turned[index]) for slot, index in block.loads() if index in block.turned)
        and all(kernel.windows(slot) == 1 for slot in range(len(kernel.inputs)))
        and all(kernel.limits.windows(node.nbytes) == 1 for node in kernel.outputs)
    )


def fits(kernel: Kernel, slot: int, turned: Turned) -> bool:
    rows, columns = turned.sizes[turned.dimension], turned.sizes[-1]
    return (
        kernel.inputs[slot].dtype.itemsize == 4
        and rows % 4 == columns % 4 == turned.offset % 4 == 0
        and min(rows, columns) >= SHORTEST
        and all(stride % 4 == 0 for stride in turned.strides if stride != 1)
    )


def arrange(kernel: Kernel, block: Block, size: int) -> None:
    """Have `kernel` compute blocks of the rows that the first turned operand lies along."""
    first = next(
        block.turned[index]
        for slot, index in block.loads()
        if index in block.turned and fits(kernel, slot, block.turned[index])
    )
    for slot, index in block.loads():
        turned = block.turned.get(index)
        if (
            turned
            and turned.sizes == first.sizes
            and turned.dimension == first.dimension
            and fits(kernel, slot, turned)
        ):
            kernel.tiled[index] = turned.last
    dimension = first.dimension
    rows, columns = first.sizes[dimension] // 4, first.sizes[-1] // 4
    kernel.each = kernel.trips = BLOCKS if kernel.limits.is_cpu and columns >= 8 * BLOCKS else 1
    across, down = -(-columns // (8 * kernel.each)), -(-rows // 8)
    between = numel(first.sizes[dimension + 1 : -1])
    kernel.shader = SHADER
    kernel.parameter("rows", rows)
    kernel.parameter("columns", columns)
    kernel.parameter("between", between)
    kernel.parameter("each", kernel.each)
    kernel.parameter("tiles", across * down * between * numel(first.sizes[:dimension]))
    kernel.workgroup_size = 64
    kernel.workgroups = across * down * between * numel(first.sizes[:dimension])


def render(kernel: Kernel, block: Block, hoisted: dict, reads: list[Read], wanted: set[int]) -> str:
    """`compute(first, step)`: a block of four rows, `step` elements from each other, of which the first begins at `first`."""
    from .rendering import needed, render_instructions, render_value, repeats_too_much, value_types, word

    text = render_value(kernel, block, hoisted, reads)
    looped = repeats_too_much(kernel, text * 4)
    kinds = value_types(block)

    def index_of(values: set[int], indent: str) -> str:
        return "".join(
            f"{indent}{line}\n" for line in render_instructions(kernel, block, {}, needed(block, values, {}))
        )

    text += "fn compute(first: u32, step: u32) {\n  let v0 = first;\n"
    text += index_of({read.tile for read in reads if read.tile is not None}, "")
    for read in reads:
        if read.tile is None:
            continue
        stride = word(kernel.tiled[read.tile])
        quads = [f"{read.how}((v{read.tile} + {column}u * {stride}) >> 2u)" for column in range(4)]
        if looped:
            text += f"  var {read.name}_all = array<vec4<{read.kind}>, 4>({', '.join(quads)});\n"
        else:
            text += "".join(f"  let {read.name}_{column} = {quad};\n" for column, quad in enumerate(quads))
    if looped:
        text += (
            "  for (var row = 0u; row < 4u; row += 1u) {\n    let v0 = first + row * step;\n    let quad = v0 >> 2u;\n"
        )
        text += index_of(wanted, "  ")
        text += "".join(f"    var {read.name} = {read.how};\n" for read in reads if read.tile is None)
        text += "".join(f"    var n{slot}: array<{kind}, 4>;\n" for slot, kind in enumerate(kinds))
        parts = ["v0 + lane"]
        for read in reads:
            parts.append(f"{read.name}_all[lane][row]" if read.tile is not None else read.of("lane"))
        text += f"    for (var lane = 0u; lane < 4u; lane += 1u) {{\n      let all = value({', '.join(parts)});\n"
        text += "".join(f"      n{slot}[lane] = all.r{slot};\n" for slot in range(len(kinds))) + "    }\n"
        for slot in range(len(kinds)):
            text += f"    write4_{slot}(quad, {', '.join(f'n{slot}[{lane}]' for lane in range(4))});\n"
        return text + "  }\n}"
    for row, letter in enumerate("xyzw"):
        text += f"  {{\n    let v0 = first + {row}u * step;\n    let quad = v0 >> 2u;\n"
        text += index_of(wanted, "  ")
        text += "".join(f"    let {read.name} = {read.how};\n" for read in reads if read.tile is None)
        for lane in range(4):
            parts = [f"v0 + {lane}u"]
            for read in reads:
                parts.append(f"{read.name}_{lane}.{letter}" if read.tile is not None else read.of(lane))
            text += f"    let n{lane} = value({', '.join(parts)});\n"
        for slot in range(len(kinds)):
            text += f"    write4_{slot}(quad, {', '.join(f'n{lane}.r{slot}' for lane in range(4))});\n"
        text += "  }\n"
    return text + "}"
