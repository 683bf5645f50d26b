// As standardize.wgsl, one workgroup per row: lanes walk the row side by side and add up in workgroup memory.
//
// Supplied by codegen: as for standardize.wgsl.

var<workgroup> parts: array<T, WORKGROUP>;

fn sum_of_lanes(lane: u32, own: T) -> T {
  workgroupBarrier();
  parts[lane] = own;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      parts[lane] += parts[lane + half];
    }
    workgroupBarrier();
  }
  return parts[0];
}

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
  let count = T(extent());
  var average = T(0);
  if (CENTRED) {
    var own = T(0);
    for (var k = lane; k < extent(); k += WORKGROUP) {
      own += load(row, k);
    }
    average = sum_of_lanes(lane, own) / count;
  }
  var own = T(0);
  for (var k = lane; k < extent(); k += WORKGROUP) {
    let x = load(row, k) - average;
    own += x * x;
  }
  let scale = inverse_root(sum_of_lanes(lane, own) / count + epsilon());
  if (number < rows()) {
    for (var k = lane; k < extent(); k += WORKGROUP) {
      store(row * extent() + k, (load(row, k) - average) * scale);
    }
  }
}
