// LU factorisation with partial pivoting, one workgroup per matrix, in place in the result.
//
// Supplied by codegen: T, WORKGROUP, matrices(), rows(), columns(), load(matrix, k): any fused producer, fetch(i): an
// element of the result, write_0(i, value), magnitude(x), EXTRA. The result has EXTRA rows more than the matrix: the row
// that each step swapped with its own, and from the next row on where each row came from. Every invocation takes part in
// every barrier.

var<workgroup> pivot: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let matrix = workgroup_number(group, groups);
  if (matrix >= matrices()) {
    return;
  }
  let m = rows();
  let n = columns();
  let base = matrix * (m + EXTRA) * n;
  let order = base + (m + 1u) * n;
  for (var k = lane; k < m * n; k += WORKGROUP) {
    write_0(base + k, load(matrix, k));
  }
  for (var k = lane; k < EXTRA * n; k += WORKGROUP) {
    write_0(base + m * n + k, T(select(k - n, 0u, k < n)));
  }
  storageBarrier();
  workgroupBarrier();
  let steps = min(m, n);
  for (var k = 0u; k < steps; k += 1u) {
    if (lane == 0u) {
      var best = k;
      var largest = magnitude(fetch(base + k * n + k));
      for (var i = k + 1u; i < m; i += 1u) {
        let size = magnitude(fetch(base + i * n + k));
        if (size > largest) {
          largest = size;
          best = i;
        }
      }
      pivot = best;
      write_0(base + m * n + k, T(best));
      let source = fetch(order + k);
      write_0(order + k, fetch(order + best));
      write_0(order + best, source);
    }
    storageBarrier();
    workgroupBarrier();
    let other = workgroupUniformLoad(&pivot);
    if (other != k) {
      for (var j = lane; j < n; j += WORKGROUP) {
        let upper = fetch(base + k * n + j);
        write_0(base + k * n + j, fetch(base + other * n + j));
        write_0(base + other * n + j, upper);
      }
    }
    storageBarrier();
    workgroupBarrier();
    let divisor = fetch(base + k * n + k);
    for (var i = k + 1u + lane; i < m; i += WORKGROUP) {
      if (magnitude(divisor) > T(0)) {
        write_0(base + i * n + k, fetch(base + i * n + k) / divisor);
      }
    }
    storageBarrier();
    workgroupBarrier();
    let width = n - k - 1u;
    let count = (m - k - 1u) * width;
    for (var at = lane; at < count; at += WORKGROUP) {
      let i = k + 1u + at / width;
      let j = k + 1u + at % width;
      write_0(base + i * n + j, fetch(base + i * n + j) - fetch(base + i * n + k) * fetch(base + k * n + j));
    }
    storageBarrier();
    workgroupBarrier();
  }
}
