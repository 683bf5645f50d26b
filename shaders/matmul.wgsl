// A contraction: each invocation computes a block of one batch's result in registers. No workgroup memory, which costs
// more than it saves on adapters that are CPUs.
//
// Supplied by codegen: T, WORKGROUP, HEIGHT and QUADS: a block has HEIGHT rows (a multiple of 4) and QUADS times 4 columns;
// batches(), rows(), columns(), extent(), load_a(batch, m, k), load_b(batch, k, n), quad_a(batch, m, k),
// quad_b(batch, k, n): four elements from there on, along k where A_OVER_K or B_OVER_K says so, else along the result;
// TAIL: whether the extent is no multiple of four; store(i, value): any fused consumer, i being the row-major position in
// [batch, m, n]; where STORE_QUADS is true, columns() is a multiple of four and store4(i / 4, four) stores four.

// Products are added up in pieces, which bounds the rounding error of long sums.
const PIECE = 128u;
const WIDTH = 4u * QUADS;

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
  let blocks_m = (rows() + HEIGHT - 1u) / HEIGHT;
  let blocks_n = (columns() + WIDTH - 1u) / WIDTH;
  let block = workgroup_number(group, groups) * WORKGROUP + lane;
  let batch = block / (blocks_m * blocks_n);
  if (batch >= batches()) {
    return;
  }
  let last_m = rows() - 1u;
  let last_n = columns() - 1u;
  let m = (block / blocks_n) % blocks_m * HEIGHT;
  let n = block % blocks_n * WIDTH;
  var sums = array<vec4<T>, HEIGHT * QUADS>(); // row after row
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + PIECE, extent());
    var part = array<vec4<T>, HEIGHT * QUADS>();
    while (k + 4u <= stop) {
      var a: array<vec4<T>, HEIGHT>; // four steps of each row
      var b: array<vec4<T>, WIDTH>; // four steps of each column
      if (A_OVER_K) {
        for (var i = 0u; i < HEIGHT; i += 1u) {
          a[i] = quad_a(batch, near(m + i, last_m), k);
        }
      }
      if (B_OVER_K) {
        for (var j = 0u; j < WIDTH; j += 1u) {
          b[j] = quad_b(batch, k, near(n + j, last_n));
        }
      }
      for (var step = 0u; step < 4u; step += 1u) {
        var x: array<T, HEIGHT>;
        if (A_OVER_K) {
          for (var i = 0u; i < HEIGHT; i += 1u) {
            x[i] = a[i][step];
          }
        } else {
          for (var i = 0u; i < HEIGHT; i += 4u) {
            let four = quad_a(batch, select(m, m + i, m + i <= last_m), k + step);
            x[i] = four.x;
            x[i + 1u] = four.y;
            x[i + 2u] = four.z;
            x[i + 3u] = four.w;
          }
        }
        for (var j = 0u; j < QUADS; j += 1u) {
          var y: vec4<T>;
          if (B_OVER_K) {
            y = vec4<T>(b[4u * j][step], b[4u * j + 1u][step], b[4u * j + 2u][step], b[4u * j + 3u][step]);
          } else {
            y = quad_b(batch, k + step, select(n, n + 4u * j, n + 4u * j <= last_n));
          }
          for (var i = 0u; i < HEIGHT; i += 1u) {
            part[i * QUADS + j] += x[i] * y;
          }
        }
      }
      k += 4u;
    }
    while (TAIL && k < stop) { // what is left when the extent is no multiple of four
      for (var j = 0u; j < QUADS; j += 1u) {
        let at = n + 4u * j;
        let y = vec4<T>(load_b(batch, k, near(at, last_n)), load_b(batch, k, near(at + 1u, last_n)),
          load_b(batch, k, near(at + 2u, last_n)), load_b(batch, k, near(at + 3u, last_n)));
        for (var i = 0u; i < HEIGHT; i += 1u) {
          part[i * QUADS + j] += load_a(batch, near(m + i, last_m), k) * y;
        }
      }
      k += 1u;
    }
    for (var i = 0u; i < HEIGHT * QUADS; i += 1u) {
      sums[i] += part[i];
    }
  }
  // The bounds are known at run time only, so that compilers do not repeat the fused consumers for every element.
  let height = min(HEIGHT, rows() - m);
  let width = min(WIDTH, columns() - n);
  for (var i = 0u; i < height; i += 1u) {
    let at = (batch * rows() + m + i) * columns() + n;
    if (STORE_QUADS) {
      for (var j = 0u; 4u * j < width; j += 1u) {
        store4((at >> 2u) + j, sums[i * QUADS + j]);
      }
      continue;
    }
    for (var j = 0u; j < width; j += 1u) {
      store(at + j, sums[i * QUADS + j / 4u][j % 4u]);
    }
  }
}
