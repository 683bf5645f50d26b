// The number of this invocation's workgroup in a grid that was folded because one dimension holds 65,535 at most.
fn workgroup_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
  return group.x + group.y * groups.x + group.z * groups.x * groups.y;
}
