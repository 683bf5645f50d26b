// Anything without a core: each invocation computes four neighbouring elements, or a few times four that lie in a row:
// a CPU reads and writes whole lines of its cache that way, twice as fast as a few bytes of many lines at a time.
//
// Supplied by codegen: WORKGROUP, count(): how many quads there are, each(): how many of them an invocation computes,
// compute(quad): loads, the fused arithmetic and the stores of elements 4 * quad ... 4 * quad + 3. Buffers are padded,
// so the last quad may be incomplete.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  var quad = (workgroup_number(group, groups) * WORKGROUP + lane) * each();
  let stop = min(quad + each(), count());
  while (quad < stop) {
    compute(quad);
    quad += 1u;
  }
}
