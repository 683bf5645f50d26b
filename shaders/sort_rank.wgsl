// Sorting short rows: one invocation per element counts the elements of its row that come before it.
//
// Supplied by codegen: T, WORKGROUP, count(): elements of all rows, extent(): of one, load(row, k): the keys, any fused
// producer, position(row, k), canonical(key): a key that equal elements share, write_0(i, value). Results: of each place in
// turn a key and a position.

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
  let row = i / extent();
  let own = i % extent();
  let key = load(row, own);
  let order = canonical(key);
  var before = 0u;
  for (var k = 0u; k < extent(); k += 1u) {
    let other = canonical(load(row, k));
    before += u32(other < order || (other == order && k < own));
  }
  let place = row * extent() + before;
  write_0(2u * place, key);
  write_0(2u * place + 1u, position(row, own));
}
