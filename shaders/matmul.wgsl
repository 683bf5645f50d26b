// A contraction: each invocation computes a 4 x 4 block of one batch's result in registers. No workgroup memory, which
// costs more than it saves on adapters that are CPUs.
//
// Supplied by codegen: T, WORKGROUP, batches(), rows(), columns(), extent(), load_a(batch, m, k), load_b(batch, k, n),
// store(i, value): any fused consumer, i being the row-major position in [batch, m, n].

// Products are added up in blocks, which bounds the rounding error of long sums.
const BLOCK = 128u;

fn store_row(batch: u32, m: u32, n: u32, value: vec4<T>) {
  if (m >= rows()) {
    return;
  }
  let i = (batch * rows() + m) * columns() + n;
  store(i, value.x);
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
  let tiles_m = (rows() + 3u) / 4u;
  let tiles_n = (columns() + 3u) / 4u;
  let tile = workgroup_number(group, groups) * WORKGROUP + lane;
  let batch = tile / (tiles_m * tiles_n);
  if (batch >= batches()) {
    return;
  }
  let m = (tile / tiles_n) % tiles_m * 4u;
  let n = tile % tiles_n * 4u;
  // Blocks at the edge read the last row and column again instead of testing at every step; they do not store them.
  let m1 = min(m + 1u, rows() - 1u);
  let m2 = min(m + 2u, rows() - 1u);
  let m3 = min(m + 3u, rows() - 1u);
  let n1 = min(n + 1u, columns() - 1u);
  let n2 = min(n + 2u, columns() - 1u);
  let n3 = min(n + 3u, columns() - 1u);
  var r0 = vec4<T>();
  var r1 = vec4<T>();
  var r2 = vec4<T>();
  var r3 = vec4<T>();
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + BLOCK, extent());
    var s0 = vec4<T>();
    var s1 = vec4<T>();
    var s2 = vec4<T>();
    var s3 = vec4<T>();
    while (k < stop) {
      let b = vec4<T>(load_b(batch, k, n), load_b(batch, k, n1), load_b(batch, k, n2), load_b(batch, k, n3));
      s0 += load_a(batch, m, k) * b;
      s1 += load_a(batch, m1, k) * b;
      s2 += load_a(batch, m2, k) * b;
      s3 += load_a(batch, m3, k) * b;
      k += 1u;
    }
    r0 += s0;
    r1 += s1;
    r2 += s2;
    r3 += s3;
  }
  store_row(batch, m, n, r0);
  store_row(batch, m + 1u, n, r1);
  store_row(batch, m + 2u, n, r2);
  store_row(batch, m + 3u, n, r3);
}
