// A reduction on a GPU: each workgroup folds one chunk of one row, its lanes side by side so that they read neighbours.
//
// Supplied by codegen: as for reduce.wgsl.

var<workgroup> partial: array<T, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups);
  let inside = i < outputs();
  let row = i / chunks();
  let first = (i % chunks()) * chunk();
  let end = select(0u, min(first + chunk(), extent()), inside);
  var folded = identity();
  for (var k = first + lane; k < end; k += WORKGROUP) {
    folded = combine(folded, load(row, k));
  }
  partial[lane] = folded;
  workgroupBarrier();
  // A tree in fixed order: the same bits every time.
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = combine(partial[lane], partial[lane + half]);
    }
    workgroupBarrier();
  }
  if (inside && lane == 0u) {
    store(i, partial[0]);
  }
}
