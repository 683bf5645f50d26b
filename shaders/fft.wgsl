// One pass of a Fourier transform over the rows of a matrix: each invocation transforms RADIX elements of a row. The
// passes reorder as they go (Stockham; in the form of Govindaraju and others, 2008), so that the last leaves all in place.
//
// Supplied by codegen: WORKGROUP, RADIX, butterflies(): how many in all, extent(): the length of a row, span(): the length
// of the transforms that are done already, butterfly(row, j, count, turn, base): it loads the elements j, j + count ... of
// a row, turned by the roots of unity 0, turn, 2 turn ..., and stores their transform at base, base + span ... It is written
// out, because arrays that are indexed in loops are slow.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = workgroup_number(group, groups) * WORKGROUP + lane;
  if (number >= butterflies()) {
    return;
  }
  let count = extent() / RADIX;
  let row = number / count;
  let j = number % count;
  let k = j % span();
  let turn = k * (count / span());
  let base = row * extent() + (j / span()) * span() * RADIX + k;
  butterfly(row, j, count, turn, base);
}
