// A contraction of few products: each invocation computes one element. The products are added in the order of
// matmul.wgsl, which is many times as long and takes a driver so much longer to compile.
//
// Supplied by codegen: T, WORKGROUP, batches(), rows(), columns(), extent(), load_a(batch, m, k), load_b(batch, k, n),
// store(i, value): any fused consumer, i being the row-major position in [batch, m, n].

const PIECE = 128u;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups) * WORKGROUP + lane;
  let row = i / columns();
  let batch = row / rows();
  if (batch >= batches()) {
    return;
  }
  let m = row - batch * rows();
  let n = i - row * columns();
  var sum = T(0);
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + PIECE, extent());
    var part = T(0);
    while (k < stop) {
      part += load_a(batch, m, k) * load_b(batch, k, n);
      k += 1u;
    }
    sum += part;
  }
  store(i, sum);
}
