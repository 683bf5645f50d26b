// softmax and its kin, one invocation per row: the maximum, the sum of exp(x - maximum), the results.
//
// Supplied by codegen: T, WORKGROUP, rows(), extent(), lowest(), maximum(x, y), exponential(x), finish(x, top, total),
// load(row, k): any fused producer, store(i, value): any fused consumer. Where QUADS is true, quad(row, k) gives the
// elements k ... k + 3 of a row at once; where STORE_QUADS is, rows are multiples of four long and stored by
// store4(i / 4, four).

const BLOCK = 64u;

fn four_at(row: u32, k: u32) -> Four {
  if (QUADS) {
    return quad(row, k);
  }
  return Four(load(row, k), load(row, k + 1u), load(row, k + 2u), load(row, k + 3u));
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
    var tops = Four(top, top, top, top);
    while (k < extent()) {
      let x = four_at(row, k);
      tops = Four(maximum(tops.x, x.x), maximum(tops.y, x.y), maximum(tops.z, x.z), maximum(tops.w, x.w));
      k += 4u;
    }
    top = maximum(maximum(tops.x, tops.y), maximum(tops.z, tops.w));
    k = 0u;
    while (k < extent()) {
      let stop = min(k + BLOCK, extent());
      var part = Four();
      while (k < stop) {
        let x = four_at(row, k);
        part += Four(exponential(x.x - top), exponential(x.y - top), exponential(x.z - top), exponential(x.w - top));
        k += 4u;
      }
      total += (part.x + part.y) + (part.z + part.w);
    }
    k = 0u;
    while (k < extent()) {
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
