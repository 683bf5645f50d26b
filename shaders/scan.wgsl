// A running fold of each row, one invocation per row; long rows arrive as many short ones.
//
// Supplied by codegen: T, WORKGROUP, rows(), extent(), identity(), combine(x, y), load(row, k): any fused producer,
// store(i, value): any fused consumer.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = workgroup_number(group, groups) * WORKGROUP + lane;
  if (row >= rows()) {
    return;
  }
  var folded = identity();
  for (var k = 0u; k < extent(); k += 1u) {
    folded = combine(folded, load(row, k));
    store(row * extent() + k, folded);
  }
}
