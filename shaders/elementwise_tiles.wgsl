// Anything without a core that reads an operand along other rows than those of its results: each invocation computes blocks of
// four elements in each of four rows. Eight lanes together store whole lines of a CPU's cache: of two rows of blocks, four
// neighbours each; and they go on to the next two rows, so that of what they read whole lines are used, too.
//
// Rows of large matrices lie in as many pages of memory, of which a processor finds a thousand or two quickly. So tiles follow
// each other down strips of the results, which are STRIP tiles high, before they go on to the right.
//
// Supplied by codegen: WORKGROUP, rows(), columns(): the blocks along both dimensions, each(): how many of them, in every other
// row, an invocation computes: 1, 2 or 4, between(): how many elements the dimensions between them have, tiles(): how many
// there are, compute(first, step): the block whose first row begins with element `first`, its rows being `step` elements apart.

const STRIP = 32u;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = workgroup_number(group, groups);
  // A tile is eight blocks high and eight times each() wide.
  let across = (columns() + 8u * each() - 1u) / (8u * each());
  let down = (rows() + 7u) / 8u;
  let outer = tile / (across * down);
  let inner = tile % (across * down);
  let strip = inner / (across * STRIP);
  let high = min(STRIP, down - strip * STRIP);
  let within = inner % (across * STRIP);
  let part = lane / 8u;
  let column = (within / high) * 8u * each() + part % (2u * each()) * 4u + lane % 4u;
  let begin = (strip * STRIP + within % high) * 8u + part / (2u * each()) * (2u * each()) + lane / 4u % 2u;
  let stop = select(0u, min(begin + 2u * each(), rows()), tile < tiles() && column < columns());
  let step = between() * 4u * columns();
  let first = (outer / between()) * 4u * rows() * step + (outer % between()) * 4u * columns() + 4u * column;
  for (var row = begin; row < stop; row += 2u) {
    compute(first + 4u * row * step, step);
  }
}
