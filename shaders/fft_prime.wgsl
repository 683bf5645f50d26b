// One pass of a Fourier transform, for a factor of the length that has no butterfly: each invocation computes one element
// of the result as a sum of radix() products.
//
// Supplied by codegen: as for fft.wgsl, but radix(): the factor, and results(): how many elements in all.

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = workgroup_number(group, groups) * WORKGROUP + lane;
  if (number >= results()) {
    return;
  }
  let count = extent() / radix();
  let row = number / extent();
  let at = number % extent();
  let done = span() * radix();
  let j = at / done * span() + at % span();
  let frequency = at % done; // k + span * q: which root of unity of order `done` element j + count moves by
  let sign = select(-1.0f, 1.0f, inverse() == 1u);
  var sum = load(row, j);
  for (var i = 1u; i < radix(); i += 1u) {
    var w = root((i * frequency) % done * (extent() / done));
    w.y *= -sign;
    sum += wt_mul_c64(load(row, j + i * count), w);
  }
  store(number, sum);
}
