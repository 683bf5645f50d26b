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

// Four steps of a row are added before the next row comes, whose sums so stay in registers.
fn with_four(sum: vec4<T>, x: vec4<T>, y: array<vec4<T>, 4>) -> vec4<T> {
  return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

// Lane i has four steps of rows i and i + 8.
fn add_by_rows(low: vec4<T>, high: vec4<T>, y: array<vec4<T>, 4>) {
  part[0] = with_four(part[0], subgroupBroadcast(low, 0u), y);
  part[1] = with_four(part[1], subgroupBroadcast(low, 1u), y);
  part[2] = with_four(part[2], subgroupBroadcast(low, 2u), y);
  part[3] = with_four(part[3], subgroupBroadcast(low, 3u), y);
  part[4] = with_four(part[4], subgroupBroadcast(low, 4u), y);
  part[5] = with_four(part[5], subgroupBroadcast(low, 5u), y);
  part[6] = with_four(part[6], subgroupBroadcast(low, 6u), y);
  part[7] = with_four(part[7], subgroupBroadcast(low, 7u), y);
  part[8] = with_four(part[8], subgroupBroadcast(high, 0u), y);
  part[9] = with_four(part[9], subgroupBroadcast(high, 1u), y);
  part[10] = with_four(part[10], subgroupBroadcast(high, 2u), y);
  part[11] = with_four(part[11], subgroupBroadcast(high, 3u), y);
  part[12] = with_four(part[12], subgroupBroadcast(high, 4u), y);
  part[13] = with_four(part[13], subgroupBroadcast(high, 5u), y);
  part[14] = with_four(part[14], subgroupBroadcast(high, 6u), y);
  part[15] = with_four(part[15], subgroupBroadcast(high, 7u), y);
}

// Lanes 0 to 3 have one step of four rows each, lanes 4 to 7 the step after it; `later` are the two steps that follow.
fn add_by_steps(x: vec4<T>, later: vec4<T>, y: array<vec4<T>, 4>) {
  let x0 = array<vec4<T>, 4>(subgroupBroadcast(x, 0u), subgroupBroadcast(x, 4u), subgroupBroadcast(later, 0u),
    subgroupBroadcast(later, 4u));
  let x1 = array<vec4<T>, 4>(subgroupBroadcast(x, 1u), subgroupBroadcast(x, 5u), subgroupBroadcast(later, 1u),
    subgroupBroadcast(later, 5u));
  let x2 = array<vec4<T>, 4>(subgroupBroadcast(x, 2u), subgroupBroadcast(x, 6u), subgroupBroadcast(later, 2u),
    subgroupBroadcast(later, 6u));
  let x3 = array<vec4<T>, 4>(subgroupBroadcast(x, 3u), subgroupBroadcast(x, 7u), subgroupBroadcast(later, 3u),
    subgroupBroadcast(later, 7u));
  part[0] = with_four(part[0], vec4<T>(x0[0].x, x0[1].x, x0[2].x, x0[3].x), y);
  part[1] = with_four(part[1], vec4<T>(x0[0].y, x0[1].y, x0[2].y, x0[3].y), y);
  part[2] = with_four(part[2], vec4<T>(x0[0].z, x0[1].z, x0[2].z, x0[3].z), y);
  part[3] = with_four(part[3], vec4<T>(x0[0].w, x0[1].w, x0[2].w, x0[3].w), y);
  part[4] = with_four(part[4], vec4<T>(x1[0].x, x1[1].x, x1[2].x, x1[3].x), y);
  part[5] = with_four(part[5], vec4<T>(x1[0].y, x1[1].y, x1[2].y, x1[3].y), y);
  part[6] = with_four(part[6], vec4<T>(x1[0].z, x1[1].z, x1[2].z, x1[3].z), y);
  part[7] = with_four(part[7], vec4<T>(x1[0].w, x1[1].w, x1[2].w, x1[3].w), y);
  part[8] = with_four(part[8], vec4<T>(x2[0].x, x2[1].x, x2[2].x, x2[3].x), y);
  part[9] = with_four(part[9], vec4<T>(x2[0].y, x2[1].y, x2[2].y, x2[3].y), y);
  part[10] = with_four(part[10], vec4<T>(x2[0].z, x2[1].z, x2[2].z, x2[3].z), y);
  part[11] = with_four(part[11], vec4<T>(x2[0].w, x2[1].w, x2[2].w, x2[3].w), y);
  part[12] = with_four(part[12], vec4<T>(x3[0].x, x3[1].x, x3[2].x, x3[3].x), y);
  part[13] = with_four(part[13], vec4<T>(x3[0].y, x3[1].y, x3[2].y, x3[3].y), y);
  part[14] = with_four(part[14], vec4<T>(x3[0].z, x3[1].z, x3[2].z, x3[3].z), y);
  part[15] = with_four(part[15], vec4<T>(x3[0].w, x3[1].w, x3[2].w, x3[3].w), y);
}

// One step: lane i has the numbers of rows i and i + 8.
fn add_step(low: T, high: T, y: vec4<T>) {
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
        add_by_rows(low, high, y);
      } else {
        let first = k + (lane >> 2u);
        add_by_steps(quad_a(batch, quad_m, first), quad_a(batch, quad_m, first + 2u), y);
      }
      k += 4u;
    }
    while (TAIL && k < stop) { // what is left when the extent is no multiple of four
      let y = vec4<T>(load_b(batch, k, read_n), load_b(batch, k, near(read_n + 1u, last_n)),
        load_b(batch, k, near(read_n + 2u, last_n)), load_b(batch, k, near(read_n + 3u, last_n)));
      add_step(load_a(batch, near(m + lane, last_m), k), load_a(batch, near(m + lane + 8u, last_m), k), y);
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
