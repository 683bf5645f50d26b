// Cholesky factorisation from the lower triangle, one workgroup per matrix, in place in the result.
//
// Supplied by codegen: T, WORKGROUP, matrices(), rows(), load(matrix, k): any fused producer, fetch(i): an element of
// the result, write_0(i, value), root(x). The result has a row more than the matrix, which begins with the number of the
// first leading minor that is not positive, or 0. Every invocation takes part in every barrier.

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
  let n = rows();
  let base = matrix * (n + 1u) * n;
  for (var k = lane; k < (n + 1u) * n; k += WORKGROUP) {
    if (k < n * n && k % n <= k / n) {
      write_0(base + k, load(matrix, k));
    } else {
      write_0(base + k, T(0));
    }
  }
  storageBarrier();
  workgroupBarrier();
  for (var k = 0u; k < n; k += 1u) {
    if (lane == 0u) {
      let square = fetch(base + k * n + k);
      if (square > T(0)) {
        write_0(base + k * n + k, root(square));
      } else if (fetch(base + n * n) == T(0)) {
        write_0(base + n * n, T(k + 1u));
      }
    }
    storageBarrier();
    workgroupBarrier();
    let divisor = fetch(base + k * n + k);
    for (var i = k + 1u + lane; i < n; i += WORKGROUP) {
      write_0(base + i * n + k, fetch(base + i * n + k) / divisor);
    }
    storageBarrier();
    workgroupBarrier();
    let width = n - k - 1u;
    for (var at = lane; at < width * width; at += WORKGROUP) {
      let i = k + 1u + at / width;
      let j = k + 1u + at % width;
      if (j <= i) {
        write_0(base + i * n + j, fetch(base + i * n + j) - fetch(base + i * n + k) * fetch(base + j * n + k));
      }
    }
    storageBarrier();
    workgroupBarrier();
  }
}
