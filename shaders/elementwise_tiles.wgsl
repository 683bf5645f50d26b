// Anything without a core that reads an operand along other rows than those of its results: each invocation computes a
// block of four elements in each of four rows, or a few such blocks side by side: a CPU reads and writes whole lines of its
// cache that way. Eight lanes share the rows that they read, which follow each other in that operand.
//
// Supplied by codegen: WORKGROUP, rows(), columns(): the blocks along both dimensions, each(): how many of them side by side
// an invocation computes, between(): how many elements the dimensions between them have, tiles(): how many there are,
// compute(first, step): the block whose first row begins with element `first`, its rows being `step` elements apart.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = workgroup_number(group, groups);
  let across = (columns() + 8u * each() - 1u) / (8u * each());
  let down = (rows() + 7u) / 8u;
  let begin = ((tile % across) * 8u + lane / 8u) * each();
  let upper = tile / across;
  let row = (upper % down) * 8u + lane % 8u;
  let outer = upper / down;
  let stop = select(0u, min(begin + each(), columns()), tile < tiles() && row < rows());
  let step = between() * 4u * columns();
  let first = ((outer / between()) * 4u * rows() + 4u * row) * step + (outer % between()) * 4u * columns();
  for (var column = begin; column < stop; column += 1u) {
    compute(first + 4u * column, step);
  }
}
