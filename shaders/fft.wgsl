// One pass of a Fourier transform over the rows of a matrix: each invocation transforms RADIX elements of a row. The
// passes reorder as they go (Stockham; in the form of Govindaraju and others, 2008), so that the last leaves all in place.
//
// Supplied by codegen: T, WORKGROUP, RADIX, butterflies(): how many in all, extent(): the length of a row, span(): the
// length of the transforms that are done already, inverse(), load(row, k): any fused producer, root(j): exp(-2 pi i j /
// extent), butterfly(values, sign), store(i, value): any fused consumer.

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
  let sign = select(-1.0f, 1.0f, inverse() == 1u);
  let turn = k * (count / span());
  var values: array<T, RADIX>;
  values[0] = load(row, j);
  for (var i = 1u; i < RADIX; i += 1u) {
    var w = root(i * turn);
    w.y *= -sign;
    values[i] = wt_mul_c64(load(row, j + i * count), w);
  }
  values = butterfly(values, sign);
  let base = row * extent() + (j / span()) * span() * RADIX + k;
  for (var i = 0u; i < RADIX; i += 1u) {
    store(base + i * span(), values[i]);
  }
}
