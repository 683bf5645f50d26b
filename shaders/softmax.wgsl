// softmax and its kin, one invocation per row: the maximum, the sum of exp(x - maximum), the results.
//
// Supplied by codegen: T, WORKGROUP, rows(), extent(), lowest(), maximum(x, y), exponential(x), finish(x, top, total),
// load(row, k): any fused producer, store(i, value): any fused consumer. Where QUADS is true, quad(row, k) gives the
// elements k ... k + 3 of a row at once; where STORE_QUADS is, rows are multiples of four long and stored by
// store4(i / 4, four), which finds in stored_row and stored_column where that is.

const BLOCK = 64u;

var<private> stored_row: u32;
var<private> stored_column: u32;

fn four_at(row: u32, k: u32) -> Four {
  if (QUADS) {
    return quad(row, k);
  }
  return Four(load(row, k), load(row, k + 1u), load(row, k + 2u), load(row, k + 3u));
}

fn maximum4(x: Four, y: Four) -> Four {
  return Four(maximum(x.x, y.x), maximum(x.y, y.y), maximum(x.z, y.z), maximum(x.w, y.w));
}

fn largest4(x: Four) -> T {
  return maximum(maximum(x.x, x.y), maximum(x.z, x.w));
}

// As long as all are -inf, none counts.
fn exponential4(x: Four, largest: T) -> Four {
  let top = select(largest, T(0), largest == lowest());
  return Four(exponential(x.x - top), exponential(x.y - top), exponential(x.z - top), exponential(x.w - top));
}

// What a sum of exp(x - old) is multiplied by to become that of exp(x - now); at first there is none.
fn shrink(old: T, now: T) -> T {
  return select(exponential(old - now), T(0), old == lowest());
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
  var top = lowest();
  var total = T(0);
  var k = 0u;
  if (STORE_QUADS) {
    // The sum so far is scaled down whenever a larger element comes (Milakov and Gimelshein, 2018).
    while (QUADS && k + 12u < extent()) { // what is read, and not computed, is taken by lines of a CPU's cache
      let a = four_at(row, k);
      let b = four_at(row, k + 4u);
      let c = four_at(row, k + 8u);
      let d = four_at(row, k + 12u);
      let largest = maximum(top, largest4(maximum4(maximum4(a, b), maximum4(c, d))));
      let part = (exponential4(a, largest) + exponential4(b, largest)) + (exponential4(c, largest) + exponential4(d, largest));
      total = total * shrink(top, largest) + ((part.x + part.y) + (part.z + part.w));
      top = largest;
      k += 16u;
    }
    while (k < extent()) {
      let a = four_at(row, k);
      let largest = maximum(top, largest4(a));
      let part = exponential4(a, largest);
      total = total * shrink(top, largest) + ((part.x + part.y) + (part.z + part.w));
      top = largest;
      k += 4u;
    }
    stored_row = row;
    k = 0u;
    while (k < extent()) {
      stored_column = k;
      let x = four_at(row, k);
      let result = Four(finish(x.x, top, total), finish(x.y, top, total), finish(x.z, top, total), finish(x.w, top, total));
      store4((row * extent() + k) >> 2u, result);
      k += 4u;
    }
    return;
  }
  while (k < extent()) {
    top = maximum(top, load(row, k));
    k += 1u;
  }
  k = 0u;
  while (k < extent()) {
    let stop = min(k + BLOCK, extent());
    var part = T(0);
    while (k < stop) {
      part += exponential(load(row, k) - top);
      k += 1u;
    }
    total += part;
  }
  k = 0u;
  while (k < extent()) {
    store(row * extent() + k, finish(load(row, k), top, total));
    k += 1u;
  }
}
