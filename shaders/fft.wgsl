// One pass of a Fourier transform over the rows of a matrix: each invocation transforms RADIX elements of a row. The
// passes reorder as they go (Stockham; in the form of Govindaraju and others, 2008), so that the last leaves all in place.
//
// Supplied by codegen: T, WORKGROUP, RADIX, butterflies(): how many in all, extent(): the length of a row, span(): the
// length of the transforms that are done already, inverse(), load(row, k): any fused producer, root(j): exp(-2 pi i j /
// extent), store(i, value): any fused consumer, butterfly(row, j, count, turn, base, sign): the loads, turned, their
// transform, and the stores, written out, because arrays that are indexed in loops are slow.

// Element `at` of a row, turned by a root of unity.
fn turned(row: u32, at: u32, number: u32, sign: f32) -> T {
  let w = root(number);
  return wt_mul_c64(load(row, at), T(w.x, -sign * w.y));
}

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
  butterfly(row, j, count, turn, base, select(-1.0f, 1.0f, inverse() == 1u));
}
