// A kernel that a user registered: each invocation computes one element of the result.
//
// Supplied by codegen: WORKGROUP, T, count(), user_kernel(i): the user's function, load_x(k) ...: any fused producer,
// store(i, value): any fused consumer.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups) * WORKGROUP + lane;
  if (i < count()) {
    store(i, user_kernel(i));
  }
}
