// Sorting by digits, the second half of a pass: each element goes to its place. One invocation takes one chunk from its end,
// and counts down from where the places of its digits end, so that elements of one digit keep their order.
//
// Supplied by codegen: T, WORKGROUP, DIGITS, digit(key), rows(), extent(), chunks(), chunk(), load(row, k): the keys,
// position(row, k): where an element was before the first pass, ends(i): for each row, each digit and each chunk how many
// elements come up to the last one of its own, write_0(i, value). Results: of each place in turn a key and a position.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups) * WORKGROUP + lane;
  if (i >= rows() * chunks()) {
    return;
  }
  let row = i / chunks();
  let part = i % chunks();
  let first = part * chunk();
  var places: array<u32, DIGITS>;
  for (var d = 0u; d < DIGITS; d += 1u) {
    places[d] = row * extent() + u32(ends((row * DIGITS + d) * chunks() + part));
  }
  for (var k = min(first + chunk(), extent()); k > first; k -= 1u) {
    let key = load(row, k - 1u);
    let d = digit(key);
    let place = places[d] - 1u;
    places[d] = place;
    write_0(2u * place, key);
    write_0(2u * place + 1u, position(row, k - 1u));
  }
}
