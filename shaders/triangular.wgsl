// Solving with triangular matrices, one invocation per column of the right-hand side, which reads what it wrote before.
//
// Supplied by codegen: T, WORKGROUP, UPPER, UNIT, count(): columns of all matrices together, rows(), columns(),
// load(matrix, k): an element of the triangular matrix, right(i): of the right-hand side, fetch(i): of the result,
// write_0(i, value).

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = workgroup_number(group, groups) * WORKGROUP + lane;
  if (number >= count()) {
    return;
  }
  let n = rows();
  let matrix = number / columns();
  let base = matrix * n * columns() + number % columns();
  for (var step = 0u; step < n; step += 1u) {
    let i = select(step, n - 1u - step, UPPER);
    var rest = right(base + i * columns());
    let first = select(0u, i + 1u, UPPER);
    for (var k = 0u; k < step; k += 1u) {
      rest -= load(matrix, i * n + first + k) * fetch(base + (first + k) * columns());
    }
    if (!UNIT) {
      rest /= load(matrix, i * n + i);
    }
    write_0(base + i * columns(), rest);
  }
}
