// softmax and its kin, one workgroup per row: lanes walk the row side by side and combine in workgroup memory.
//
// Supplied by codegen: as for softmax.wgsl.

var<workgroup> shared_values: array<T, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  // A folded grid may have workgroups beyond the last row: they walk the last row again and store nothing, since
  // barriers must be reached by all.
  let number = workgroup_number(group, groups);
  let row = min(number, rows() - 1u);
  var top = lowest();
  for (var k = lane; k < extent(); k += WORKGROUP) {
    top = maximum(top, load(row, k));
  }
  shared_values[lane] = top;
  workgroupBarrier();
  top = shared_values[0];
  for (var other = 1u; other < WORKGROUP; other += 1u) {
    top = maximum(top, shared_values[other]);
  }
  workgroupBarrier();
  var total = T(0);
  for (var k = lane; k < extent(); k += WORKGROUP) {
    total += exponential(load(row, k) - top);
  }
  shared_values[lane] = total;
  workgroupBarrier();
  // A tree in fixed order: the same bits every time.
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      shared_values[lane] += shared_values[lane + half];
    }
    workgroupBarrier();
  }
  total = shared_values[0];
  if (number >= rows()) {
    return;
  }
  for (var k = lane; k < extent(); k += WORKGROUP) {
    store(row * extent() + k, finish(load(row, k), top, total));
  }
}
