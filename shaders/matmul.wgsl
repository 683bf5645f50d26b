// A contraction: each invocation computes an 8 x 8 block of one batch's result in registers. No workgroup memory, which
// costs more than it saves on adapters that are CPUs.
//
// Supplied by codegen: T, WORKGROUP, batches(), rows(), columns(), extent(), load_a(batch, m, k), load_b(batch, k, n),
// quad_a(batch, m, k), quad_b(batch, k, n): four elements from there on, along k where A_OVER_K or B_OVER_K says so, else
// along the result; store(i, value): any fused consumer, i being the row-major position in [batch, m, n].

// Products are added up in blocks, which bounds the rounding error of long sums.
const BLOCK = 128u;

// Blocks at the edge read the last row or column again instead of testing at every step; they do not store it.
fn near(x: u32, limit: u32) -> u32 {
  return min(x, limit);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles_m = (rows() + 7u) / 8u;
  let tiles_n = (columns() + 7u) / 8u;
  let tile = workgroup_number(group, groups) * WORKGROUP + lane;
  let batch = tile / (tiles_m * tiles_n);
  if (batch >= batches()) {
    return;
  }
  let last_m = rows() - 1u;
  let last_n = columns() - 1u;
  let m = (tile / tiles_n) % tiles_m * 8u;
  let n = tile % tiles_n * 8u;
  // A half block beyond the edge reads the first half again.
  let m4 = select(m, m + 4u, m + 4u <= last_m);
  let n4 = select(n, n + 4u, n + 4u <= last_n);
  var sums = array<vec4<T>, 16>(); // row i: columns 0 to 3, columns 4 to 7
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + BLOCK, extent());
    var part = array<vec4<T>, 16>();
    while (k + 4u <= stop) {
      var a: array<vec4<T>, 8>;
      var b: array<vec4<T>, 8>;
      for (var i = 0u; i < 4u; i += 1u) {
        if (A_OVER_K) { // a[i]: four steps of row i
          a[i] = quad_a(batch, near(m + i, last_m), k);
          a[i + 4u] = quad_a(batch, near(m4 + i, last_m), k);
        } else { // a[2 i], a[2 i + 1]: all rows at step i
          a[2u * i] = quad_a(batch, m, k + i);
          a[2u * i + 1u] = quad_a(batch, m4, k + i);
        }
        if (B_OVER_K) { // b[i]: four steps of column i
          b[i] = quad_b(batch, k, near(n + i, last_n));
          b[i + 4u] = quad_b(batch, k, near(n4 + i, last_n));
        } else { // b[2 i], b[2 i + 1]: all columns at step i
          b[2u * i] = quad_b(batch, k + i, n);
          b[2u * i + 1u] = quad_b(batch, k + i, n4);
        }
      }
      for (var step = 0u; step < 4u; step += 1u) {
        var left = b[2u * step];
        var right = b[2u * step + 1u];
        if (B_OVER_K) {
          left = vec4<T>(b[0][step], b[1][step], b[2][step], b[3][step]);
          right = vec4<T>(b[4][step], b[5][step], b[6][step], b[7][step]);
        }
        for (var i = 0u; i < 8u; i += 1u) {
          var x = a[i][step];
          if (!A_OVER_K) {
            x = a[2u * step + i / 4u][i % 4u];
          }
          part[2u * i] += x * left;
          part[2u * i + 1u] += x * right;
        }
      }
      k += 4u;
    }
    while (k < stop) { // what is left when the extent is no multiple of four
      let left = vec4<T>(load_b(batch, k, n), load_b(batch, k, near(n + 1u, last_n)),
        load_b(batch, k, near(n + 2u, last_n)), load_b(batch, k, near(n + 3u, last_n)));
      let right = vec4<T>(load_b(batch, k, n4), load_b(batch, k, near(n4 + 1u, last_n)),
        load_b(batch, k, near(n4 + 2u, last_n)), load_b(batch, k, near(n4 + 3u, last_n)));
      for (var i = 0u; i < 8u; i += 1u) {
        let x = load_a(batch, near(m + i, last_m), k);
        part[2u * i] += x * left;
        part[2u * i + 1u] += x * right;
      }
      k += 1u;
    }
    for (var i = 0u; i < 16u; i += 1u) {
      sums[i] += part[i];
    }
  }
  for (var i = 0u; i < 8u; i += 1u) {
    if (m + i < rows()) {
      let at = (batch * rows() + m + i) * columns();
      for (var j = 0u; j < 8u; j += 1u) {
        if (n + j < columns()) {
          store(at + n + j, sums[2u * i + j / 4u][j % 4u]);
        }
      }
    }
  }
}
