// Sorting by digits, the first half of a pass: how often each digit occurs in each chunk of a row. One invocation goes
// through one chunk, and so the order is the same every time.
//
// Supplied by codegen: T, WORKGROUP, DIGITS, digit(key), rows(), extent():
// elements of a row, chunks(): of a row, chunk(): elements of one, load(row, k): the keys, any fused producer,
// write_0(i, value). Results: for each row and each digit the counts of all chunks.

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
  let end = min(first + chunk(), extent());
  var counts: array<T, DIGITS>;
  for (var k = first; k < end; k += 1u) {
    counts[digit(load(row, k))] += 1;
  }
  for (var d = 0u; d < DIGITS; d += 1u) {
    write_0((row * DIGITS + d) * chunks() + part, counts[d]);
  }
}
