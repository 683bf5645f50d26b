// Rows with mean 0 and variance 1 (or, without centring, mean square 1), one invocation per row.
//
// Supplied by codegen: T, WORKGROUP, CENTRED, rows(), extent(), load(row, k): any fused producer, inverse_root(x),
// epsilon(), store(i, value): any fused consumer. QUADS and STORE_QUADS as for softmax.wgsl.

// Sums are taken in pieces, which keeps their rounding error near that of pairwise summation.
const BLOCK = 64u;

var<private> stored_row: u32;
var<private> stored_column: u32;

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

struct Moments { average: T, squares: T }

// The mean of a row and the sum of squared distances from it, each element being read once: those of sixteen neighbours at a
// time, which then become part of what was before (Chan, Golub and LeVeque, 1979).
fn moments(row: u32) -> Moments {
  var sum = T(0);
  var part = T(0);
  var squares = T(0);
  var k = 0u;
  while (k + 12u < extent()) {
    let a = four_at(row, k);
    let b = four_at(row, k + 4u);
    let c = four_at(row, k + 8u);
    let d = four_at(row, k + 12u);
    let four = (a + b) + (c + d);
    let own = (four.x + four.y) + (four.z + four.w);
    let mean = own / T(16);
    let distances = ((a - mean) * (a - mean) + (b - mean) * (b - mean)) + ((c - mean) * (c - mean) + (d - mean) * (d - mean));
    let change = mean - (sum + part) / T(max(k, 1u));
    squares += ((distances.x + distances.y) + (distances.z + distances.w))
      + change * change * (T(k) * (T(16) / T(k + 16u)));
    part += own;
    k += 16u;
    if (k % BLOCK == 0u) {
      sum += part;
      part = T(0);
    }
  }
  while (k < extent()) {
    let a = four_at(row, k);
    let own = (a.x + a.y) + (a.z + a.w);
    let mean = own / T(4);
    let distances = (a - mean) * (a - mean);
    let change = mean - (sum + part) / T(max(k, 1u));
    squares += ((distances.x + distances.y) + (distances.z + distances.w))
      + change * change * (T(k) * (T(4) / T(k + 4u)));
    part += own;
    k += 4u;
  }
  return Moments((sum + part) / T(extent()), squares);
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
  var squares = T(0);
  if (CENTRED && STORE_QUADS) {
    let found = moments(row);
    average = found.average;
    squares = found.squares;
  } else {
    if (CENTRED) {
      average = total(row, average, 1u) / count;
    }
    squares = total(row, average, 2u);
  }
  let scale = inverse_root(squares / count + epsilon());
  stored_row = row;
  var k = 0u;
  while (k < extent()) {
    if (STORE_QUADS) {
      stored_column = k;
      store4((row * extent() + k) >> 2u, (four_at(row, k) - average) * scale);
      k += 4u;
    } else {
      store(row * extent() + k, (load(row, k) - average) * scale);
      k += 1u;
    }
  }
}
