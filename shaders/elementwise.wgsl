// Anything without a core: each invocation computes four neighbouring elements.
//
// Supplied by codegen: WORKGROUP, count(): how many quads there are, compute(quad): loads, the fused arithmetic and
// the stores of elements 4 * quad ... 4 * quad + 3. Buffers are padded, so the last quad may be incomplete.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let quad = workgroup_number(group, groups) * WORKGROUP + lane;
  if (quad < count()) {
    compute(quad);
  }
}
