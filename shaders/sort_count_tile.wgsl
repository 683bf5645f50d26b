// Sorting by digits, the first half of a pass, where invocations of a workgroup share memory cheaply: a workgroup counts the
// digits of one chunk. Counts are whole numbers, so that the order of additions does not matter.
//
// Supplied by codegen: as for sort_count.wgsl; a chunk is EACH elements for each invocation.

var<workgroup> counts: array<atomic<u32>, DIGITS>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups);
  if (i >= rows() * chunks()) {
    return;
  }
  let row = i / chunks();
  let part = i % chunks();
  if (lane < DIGITS) {
    atomicStore(&counts[lane], 0u);
  }
  workgroupBarrier();
  for (var e = 0u; e < EACH; e += 1u) {
    let k = part * chunk() + e * WORKGROUP + lane;
    if (k < extent()) {
      atomicAdd(&counts[digit(load(row, k))], 1u);
    }
  }
  workgroupBarrier();
  if (lane < DIGITS) {
    write_0((row * DIGITS + lane) * chunks() + part, T(atomicLoad(&counts[lane])));
  }
}
