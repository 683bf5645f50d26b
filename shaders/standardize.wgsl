// Rows with mean 0 and variance 1 (or, without centring, mean square 1), one invocation per row.
//
// Supplied by codegen: T, WORKGROUP, CENTRED, rows(), extent(), load(row, k): any fused producer, inverse_root(x),
// epsilon(), store(i, value): any fused consumer. QUADS and STORE_QUADS as for softmax.wgsl.

// Sums are taken in pieces, which keeps their rounding error near that of pairwise summation.
const BLOCK = 64u;

fn four_at(row: u32, k: u32) -> Four {
  if (QUADS) {
    return quad(row, k);
  }
  return Four(load(row, k), load(row, k + 1u), load(row, k + 2u), load(row, k + 3u));
}

// The sum of a row's distances from `average` (power 1), or of their squares (2).
fn total(row: u32, average: T, power: u32) -> T {
  var sum = T(0);
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + BLOCK, extent());
    if (STORE_QUADS) {
      var part = Four();
      while (k < stop) {
        let x = four_at(row, k) - average;
        part += select(x, x * x, power == 2u);
        k += 4u;
      }
      sum += (part.x + part.y) + (part.z + part.w);
    } else {
      var part = T(0);
      while (k < stop) {
        let x = load(row, k) - average;
        part += select(x, x * x, power == 2u);
        k += 1u;
      }
      sum += part;
    }
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = workgroup_number(group, groups) * WORKGROUP + lane;
  if (row >= rows()) {
    return;
  }
  let count = T(extent());
  var average = T(0);
  if (CENTRED) {
    average = total(row, average, 1u) / count;
  }
  let squares = total(row, average, 2u) / count;
  let scale = inverse_root(squares + epsilon());
  var k = 0u;
  while (k < extent()) {
    if (STORE_QUADS) {
      store4((row * extent() + k) >> 2u, (four_at(row, k) - average) * scale);
      k += 4u;
    } else {
      store(row * extent() + k, (load(row, k) - average) * scale);
      k += 1u;
    }
  }
}
