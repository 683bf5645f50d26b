// Binary search: for each value, how many elements of a sorted row come before it.
//
// Supplied by codegen: T (i32), V: the type of the values, WORKGROUP, count(), extent(), per_row(): values per row of the
// sorted elements, STEPS, load(row, k): element k of a sorted row, query(i): any fused producer, goes_right(x, value),
// store(i, place): any fused consumer.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups) * WORKGROUP + lane;
  if (i >= count()) {
    return;
  }
  let value = query(i);
  let row = i / per_row();
  var low = 0u;
  var high = extent();
  while (low < high) {
    let middle = low + (high - low) / 2u;
    if (goes_right(load(row, middle), value)) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  store(i, T(low));
}
