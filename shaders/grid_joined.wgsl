// The number of this invocation's workgroup among those of its segment, where one dispatch does the work of several: the
// workgroups of the segments follow each other. What begins the parameters is the first workgroup of each segment, beyond
// them the highest number; then come the parameters of each segment, STRIDE quads long.
//
// Supplied by codegen: SEGMENTS: how many there may be, a power of two; STRIDE; take(begin): the parameters of a segment
// begin at that quad.

fn first_of(number: u32) -> u32 {
  return params[number >> 2u][number & 3u];
}

fn workgroup_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
  let number = group.x + group.y * groups.x + group.z * groups.x * groups.y;
  var found = 0u;
  for (var step = SEGMENTS / 2u; step > 0u; step /= 2u) {
    if (first_of(found + step) <= number) {
      found += step;
    }
  }
  take(SEGMENTS / 4u + STRIDE * found);
  return number - first_of(found);
}
