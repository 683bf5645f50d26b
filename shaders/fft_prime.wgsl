// One pass of a Fourier transform, for a factor of the length that has no butterfly: each invocation computes one element
// of the result as a sum of radix() products.
//
// Supplied by codegen: WORKGROUP, radix(): the factor, results(): how many elements in all, extent() and span() as for
// fft.wgsl, load(row, k): any fused producer, turned(row, k, j): that turned by root of unity j, store(i, value): any
// fused consumer.

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
  var sum = load(row, j);
  for (var i = 1u; i < radix(); i += 1u) {
    sum += turned(row, j + i * count, (i * frequency) % done * (extent() / done));
  }
  store(number, sum);
}
