// Storing into part of an array: element i of the values goes to position place(i).
//
// Supplied by codegen: T, WORKGROUP, EACH: how many elements an invocation takes, count(), place(i): where, load(i): any fused producer, write_0(position, value):
// a store, or an atomic addition where several values may meet in one place.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = workgroup_number(group, groups) * WORKGROUP * EACH + lane;
  for (var n = 0u; n < EACH; n += 1u) {
    let i = first + n * WORKGROUP;
    if (i < count()) {
      write_0(place(i), load(i));
    }
  }
}
