// A contraction for adapters that are CPUs, where reading memory costs more than arithmetic: the eight lanes of a subgroup,
// which are a workgroup, compute a block of sixteen rows by thirty-two columns together. Each lane has four of the columns,
// reads a sixteenth of what is needed of the left factor, and passes it to the others.
//
// Supplied by codegen: T, WORKGROUP: 8; batches(), rows(), columns(), extent(), load_a(batch, m, k), load_b(batch, k, n),
// quad_a(batch, m, k), quad_b(batch, k, n), A_OVER_K, B_OVER_K, TAIL, store(i, value), STORE_QUADS, store4(i / 4, four): as
// for matmul.wgsl. Subgroups have eight lanes or more (see backends/wgpu/subgroups.py); a lane is named by a constant, so
// that the sixteen rows are written out.

// Products are added up in pieces, which bounds the rounding error of long sums.
const PIECE = 128u;
const HEIGHT = 16u;
const WIDTH = 32u;

var<private> part: array<vec4<T>, 16>;

fn near(x: u32, limit: u32) -> u32 {
  return min(x, limit);
}

// Lane i has the numbers of rows i and i + 8.
fn add_by_rows(low: T, high: T, y: vec4<T>) {
  part[0] += subgroupBroadcast(low, 0u) * y;
  part[1] += subgroupBroadcast(low, 1u) * y;
  part[2] += subgroupBroadcast(low, 2u) * y;
  part[3] += subgroupBroadcast(low, 3u) * y;
  part[4] += subgroupBroadcast(low, 4u) * y;
  part[5] += subgroupBroadcast(low, 5u) * y;
  part[6] += subgroupBroadcast(low, 6u) * y;
  part[7] += subgroupBroadcast(low, 7u) * y;
  part[8] += subgroupBroadcast(high, 0u) * y;
  part[9] += subgroupBroadcast(high, 1u) * y;
  part[10] += subgroupBroadcast(high, 2u) * y;
  part[11] += subgroupBroadcast(high, 3u) * y;
  part[12] += subgroupBroadcast(high, 4u) * y;
  part[13] += subgroupBroadcast(high, 5u) * y;
  part[14] += subgroupBroadcast(high, 6u) * y;
  part[15] += subgroupBroadcast(high, 7u) * y;
}

// Lanes 0 to 3 have the numbers of four rows each for one step, lanes 4 to 7 those for the next.
fn add_two_steps(x: vec4<T>, y: vec4<T>, next: vec4<T>) {
  part[0] += subgroupBroadcast(x.x, 0u) * y;
  part[1] += subgroupBroadcast(x.y, 0u) * y;
  part[2] += subgroupBroadcast(x.z, 0u) * y;
  part[3] += subgroupBroadcast(x.w, 0u) * y;
  part[4] += subgroupBroadcast(x.x, 1u) * y;
  part[5] += subgroupBroadcast(x.y, 1u) * y;
  part[6] += subgroupBroadcast(x.z, 1u) * y;
  part[7] += subgroupBroadcast(x.w, 1u) * y;
  part[8] += subgroupBroadcast(x.x, 2u) * y;
  part[9] += subgroupBroadcast(x.y, 2u) * y;
  part[10] += subgroupBroadcast(x.z, 2u) * y;
  part[11] += subgroupBroadcast(x.w, 2u) * y;
  part[12] += subgroupBroadcast(x.x, 3u) * y;
  part[13] += subgroupBroadcast(x.y, 3u) * y;
  part[14] += subgroupBroadcast(x.z, 3u) * y;
  part[15] += subgroupBroadcast(x.w, 3u) * y;
  part[0] += subgroupBroadcast(x.x, 4u) * next;
  part[1] += subgroupBroadcast(x.y, 4u) * next;
  part[2] += subgroupBroadcast(x.z, 4u) * next;
  part[3] += subgroupBroadcast(x.w, 4u) * next;
  part[4] += subgroupBroadcast(x.x, 5u) * next;
  part[5] += subgroupBroadcast(x.y, 5u) * next;
  part[6] += subgroupBroadcast(x.z, 5u) * next;
  part[7] += subgroupBroadcast(x.w, 5u) * next;
  part[8] += subgroupBroadcast(x.x, 6u) * next;
  part[9] += subgroupBroadcast(x.y, 6u) * next;
  part[10] += subgroupBroadcast(x.z, 6u) * next;
  part[11] += subgroupBroadcast(x.w, 6u) * next;
  part[12] += subgroupBroadcast(x.x, 7u) * next;
  part[13] += subgroupBroadcast(x.y, 7u) * next;
  part[14] += subgroupBroadcast(x.z, 7u) * next;
  part[15] += subgroupBroadcast(x.w, 7u) * next;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let blocks_m = (rows() + HEIGHT - 1u) / HEIGHT;
  let blocks_n = (columns() + WIDTH - 1u) / WIDTH;
  let block = workgroup_number(group, groups);
  let batch = block / (blocks_m * blocks_n);
  if (batch >= batches()) {
    return;
  }
  // What lies beyond an edge reads the last row, or a column inside, again; it is not stored.
  let last_m = rows() - 1u;
  let m = (block / blocks_n) % blocks_m * HEIGHT;
  let n = block % blocks_n * WIDTH + 4u * lane;
  let read_n = min(n, (columns() - 1u) / 4u * 4u);
  let last_n = columns() - 1u;
  let quad_m = select(m, m + 4u * (lane & 3u), m + 4u * (lane & 3u) <= last_m);
  var sums = array<vec4<T>, 16>();
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + PIECE, extent());
    part = array<vec4<T>, 16>();
    while (k + 4u <= stop) {
      var y: array<vec4<T>, 4>;
      if (B_OVER_K) {
        let c0 = quad_b(batch, k, read_n);
        let c1 = quad_b(batch, k, near(read_n + 1u, last_n));
        let c2 = quad_b(batch, k, near(read_n + 2u, last_n));
        let c3 = quad_b(batch, k, near(read_n + 3u, last_n));
        y[0] = vec4<T>(c0.x, c1.x, c2.x, c3.x);
        y[1] = vec4<T>(c0.y, c1.y, c2.y, c3.y);
        y[2] = vec4<T>(c0.z, c1.z, c2.z, c3.z);
        y[3] = vec4<T>(c0.w, c1.w, c2.w, c3.w);
      } else {
        y[0] = quad_b(batch, k, read_n);
        y[1] = quad_b(batch, k + 1u, read_n);
        y[2] = quad_b(batch, k + 2u, read_n);
        y[3] = quad_b(batch, k + 3u, read_n);
      }
      if (A_OVER_K) {
        let low = quad_a(batch, near(m + lane, last_m), k);
        let high = quad_a(batch, near(m + lane + 8u, last_m), k);
        add_by_rows(low.x, high.x, y[0]);
        add_by_rows(low.y, high.y, y[1]);
        add_by_rows(low.z, high.z, y[2]);
        add_by_rows(low.w, high.w, y[3]);
      } else {
        add_two_steps(quad_a(batch, quad_m, k + (lane >> 2u)), y[0], y[1]);
        add_two_steps(quad_a(batch, quad_m, k + 2u + (lane >> 2u)), y[2], y[3]);
      }
      k += 4u;
    }
    while (TAIL && k < stop) { // what is left when the extent is no multiple of four
      let y = vec4<T>(load_b(batch, k, read_n), load_b(batch, k, near(read_n + 1u, last_n)),
        load_b(batch, k, near(read_n + 2u, last_n)), load_b(batch, k, near(read_n + 3u, last_n)));
      add_by_rows(load_a(batch, near(m + lane, last_m), k), load_a(batch, near(m + lane + 8u, last_m), k), y);
      k += 1u;
    }
    for (var i = 0u; i < HEIGHT; i += 1u) {
      sums[i] += part[i];
    }
  }
  if (n > last_n) {
    return;
  }
  // The bounds are known at run time only, so that compilers do not repeat the fused consumers for every element.
  let height = min(HEIGHT, rows() - m);
  let width = min(4u, columns() - n);
  for (var i = 0u; i < height; i += 1u) {
    let at = (batch * rows() + m + i) * columns() + n;
    if (STORE_QUADS) {
      store4(at >> 2u, sums[i]);
      continue;
    }
    for (var j = 0u; j < width; j += 1u) {
      store(at + j, sums[i][j]);
    }
  }
}
