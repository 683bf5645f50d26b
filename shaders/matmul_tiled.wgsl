// A contraction on a GPU: a workgroup of 256 computes a 64 x 64 block of one batch's result, 4 x 4 per invocation, from
// 16-deep slices of both factors that it keeps in workgroup memory.
//
// Supplied by codegen: as for matmul.wgsl, with WORKGROUP = 256.

const TILE = 64u;
const DEPTH = 16u;
var<workgroup> slice_a: array<T, 1024>; // [k][m]
var<workgroup> slice_b: array<T, 1024>; // [k][n]

fn store_row(batch: u32, m: u32, n: u32, value: vec4<T>) {
  if (m >= rows()) {
    return;
  }
  let i = (batch * rows() + m) * columns() + n;
  if (n < columns()) { store(i, value.x); }
  if (n + 1u < columns()) { store(i + 1u, value.y); }
  if (n + 2u < columns()) { store(i + 2u, value.z); }
  if (n + 3u < columns()) { store(i + 3u, value.w); }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles_m = (rows() + TILE - 1u) / TILE;
  let tiles_n = (columns() + TILE - 1u) / TILE;
  let number = workgroup_number(group, groups);
  let batch = number / (tiles_m * tiles_n);
  if (batch >= batches()) {
    return; // the same for the whole workgroup, so no barrier is missed
  }
  let m = (number / tiles_n) % tiles_m * TILE;
  let n = number % tiles_n * TILE;
  let row = lane / 16u * 4u;
  let column = lane % 16u * 4u;
  var r0 = vec4<T>();
  var r1 = vec4<T>();
  var r2 = vec4<T>();
  var r3 = vec4<T>();
  for (var k = 0u; k < extent(); k += DEPTH) {
    for (var part = 0u; part < 4u; part += 1u) {
      let element = lane + part * 256u;
      let a_m = element / DEPTH;
      let a_k = element % DEPTH;
      var value = T(0);
      if (m + a_m < rows() && k + a_k < extent()) {
        value = load_a(batch, m + a_m, k + a_k);
      }
      slice_a[a_k * TILE + a_m] = value;
      let b_n = element % TILE;
      let b_k = element / TILE;
      value = T(0);
      if (n + b_n < columns() && k + b_k < extent()) {
        value = load_b(batch, k + b_k, n + b_n);
      }
      slice_b[b_k * TILE + b_n] = value;
    }
    workgroupBarrier();
    // The slice is summed on its own, which bounds the rounding error of long sums.
    var s0 = vec4<T>();
    var s1 = vec4<T>();
    var s2 = vec4<T>();
    var s3 = vec4<T>();
    for (var step = 0u; step < DEPTH; step += 1u) {
      let at_a = step * TILE + row;
      let at_b = step * TILE + column;
      let b = vec4<T>(slice_b[at_b], slice_b[at_b + 1u], slice_b[at_b + 2u], slice_b[at_b + 3u]);
      s0 += slice_a[at_a] * b;
      s1 += slice_a[at_a + 1u] * b;
      s2 += slice_a[at_a + 2u] * b;
      s3 += slice_a[at_a + 3u] * b;
    }
    r0 += s0;
    r1 += s1;
    r2 += s2;
    r3 += s3;
    workgroupBarrier();
  }
  store_row(batch, m + row, n + column, r0);
  store_row(batch, m + row + 1u, n + column, r1);
  store_row(batch, m + row + 2u, n + column, r2);
  store_row(batch, m + row + 3u, n + column, r3);
}
