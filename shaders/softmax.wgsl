// softmax and its kin, one invocation per row: the maximum, the sum of exp(x - maximum), the results.
//
// Supplied by codegen: T, WORKGROUP, rows(), extent(), lowest(), maximum(x, y), exponential(x), finish(x, top, total),
// load(row, k): any fused producer, store(i, value): any fused consumer.

const BLOCK = 64u;

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
  var top = lowest();
  for (var k = 0u; k < extent(); k += 1u) {
    top = maximum(top, load(row, k));
  }
  var total = T(0);
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + BLOCK, extent());
    var part = T(0);
    while (k < stop) {
      part += exponential(load(row, k) - top);
      k += 1u;
    }
    total += part;
  }
  for (var k = 0u; k < extent(); k += 1u) {
    store(row * extent() + k, finish(load(row, k), top, total));
  }
}
