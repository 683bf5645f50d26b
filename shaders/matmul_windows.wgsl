// A contraction whose right factor is windows over rows of numbers, as in a convolution, for adapters that are CPUs: the eight
// lanes of a subgroup, which are a workgroup, compute a block of HEIGHT rows by thirty-two columns together. Each lane has four
// neighbouring columns: their windows overlap, so that what all taps need of a row of numbers is read once.
//
// Column n stands for element n % WIDE of row n / WIDE of the results, and step k for tap k % TAPS of reach k / TAPS.
//
// Supplied by codegen: T, WORKGROUP: 8; HEIGHT: 4, 8 or 16; TAPS: 2 to 8; batches(), rows(), columns(), extent(), wide();
// begin_a(batch, m) + step_a(k): where in its memory an element of the left factor lies, number_a(i): that element;
// begin_b(batch, n) + step_b(k): the same for the right one, where both are multiples of four for every fourth n in a row and
// every first tap; quad_of_b(i / 4): four elements from i on, last_quad() the last there is; store(i, value), STORE_QUADS,
// store4(i / 4, four): as for matmul.wgsl. Subgroups have eight lanes or more (see backends/wgpu/subgroups.py).

// Products are added up in pieces, which bounds the rounding error of long sums.
const PIECE = 128u / TAPS;
const WIDTH = 32u;

var<private> part: array<vec4<T>, 16>;

// All taps of a row are added before the next row comes, whose sums so stay in registers.
fn with_taps(sum: vec4<T>, x: vec4<T>, more: vec4<T>, y: array<vec4<T>, 8>) -> vec4<T> {
  var total = sum + x.x * y[0] + x.y * y[1];
  if (TAPS > 2u) {
    total += x.z * y[2];
  }
  if (TAPS > 3u) {
    total += x.w * y[3];
  }
  if (TAPS > 4u) {
    total += more.x * y[4];
  }
  if (TAPS > 5u) {
    total += more.y * y[5];
  }
  if (TAPS > 6u) {
    total += more.z * y[6];
  }
  if (TAPS > 7u) {
    total += more.w * y[7];
  }
  return total;
}

// Lane i has the taps of rows i and i + 8.
fn add_taps(low: vec4<T>, low_more: vec4<T>, high: vec4<T>, high_more: vec4<T>, y: array<vec4<T>, 8>) {
  part[0] = with_taps(part[0], subgroupBroadcast(low, 0u), subgroupBroadcast(low_more, 0u), y);
  part[1] = with_taps(part[1], subgroupBroadcast(low, 1u), subgroupBroadcast(low_more, 1u), y);
  part[2] = with_taps(part[2], subgroupBroadcast(low, 2u), subgroupBroadcast(low_more, 2u), y);
  part[3] = with_taps(part[3], subgroupBroadcast(low, 3u), subgroupBroadcast(low_more, 3u), y);
  if (HEIGHT > 4u) {
    part[4] = with_taps(part[4], subgroupBroadcast(low, 4u), subgroupBroadcast(low_more, 4u), y);
    part[5] = with_taps(part[5], subgroupBroadcast(low, 5u), subgroupBroadcast(low_more, 5u), y);
    part[6] = with_taps(part[6], subgroupBroadcast(low, 6u), subgroupBroadcast(low_more, 6u), y);
    part[7] = with_taps(part[7], subgroupBroadcast(low, 7u), subgroupBroadcast(low_more, 7u), y);
  }
  if (HEIGHT > 8u) {
    part[8] = with_taps(part[8], subgroupBroadcast(high, 0u), subgroupBroadcast(high_more, 0u), y);
    part[9] = with_taps(part[9], subgroupBroadcast(high, 1u), subgroupBroadcast(high_more, 1u), y);
    part[10] = with_taps(part[10], subgroupBroadcast(high, 2u), subgroupBroadcast(high_more, 2u), y);
    part[11] = with_taps(part[11], subgroupBroadcast(high, 3u), subgroupBroadcast(high_more, 3u), y);
    part[12] = with_taps(part[12], subgroupBroadcast(high, 4u), subgroupBroadcast(high_more, 4u), y);
    part[13] = with_taps(part[13], subgroupBroadcast(high, 5u), subgroupBroadcast(high_more, 5u), y);
    part[14] = with_taps(part[14], subgroupBroadcast(high, 6u), subgroupBroadcast(high_more, 6u), y);
    part[15] = with_taps(part[15], subgroupBroadcast(high, 7u), subgroupBroadcast(high_more, 7u), y);
  }
}

// Up to four taps of the left factor from tap `first` on, the first tap being at `at`.
fn taps(at: u32, step: u32, first: u32) -> vec4<T> {
  var four = vec4<T>();
  if (TAPS > first) {
    four.x = number_a(at + first * step);
  }
  if (TAPS > first + 1u) {
    four.y = number_a(at + (first + 1u) * step);
  }
  if (TAPS > first + 2u) {
    four.z = number_a(at + (first + 2u) * step);
  }
  if (TAPS > first + 3u) {
    four.w = number_a(at + (first + 3u) * step);
  }
  return four;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let row_quads = (wide() + 3u) / 4u; // fours of results in a row, the last of which may be incomplete
  let all_quads = columns() / wide() * row_quads;
  let blocks_m = (rows() + HEIGHT - 1u) / HEIGHT;
  let blocks_n = (all_quads + 7u) / 8u;
  let block = workgroup_number(group, groups);
  let batch = block / (blocks_m * blocks_n);
  if (batch >= batches()) {
    return;
  }
  // What lies beyond an edge reads the last row or the last four columns again; it is not stored.
  let m = (block / blocks_n) % blocks_m * HEIGHT;
  let quad = block % blocks_n * 8u + lane;
  let read_quad = min(quad, all_quads - 1u);
  let n = read_quad / row_quads * wide() + read_quad % row_quads * 4u;
  let begin_low = begin_a(batch, min(m + lane, rows() - 1u));
  let begin_high = begin_a(batch, min(m + lane + 8u, rows() - 1u));
  let begin = begin_b(batch, n);
  let step = step_a(1u);
  let reaches = extent() / TAPS;
  var sums = array<vec4<T>, 16>();
  var k = 0u;
  while (k < reaches) {
    let stop = min(k + PIECE, reaches);
    part = array<vec4<T>, 16>();
    while (k < stop) {
      // Each lane works out where one of the next eight reaches lies.
      let mine = min(k + lane, reaches - 1u) * TAPS;
      let next_a = step_a(mine);
      let next_b = step_b(mine);
      let ahead = min(8u, stop - k);
      for (var i = 0u; i < ahead; i += 1u) {
        let from_a = subgroupShuffle(next_a, i);
        let at = (begin + subgroupShuffle(next_b, i)) >> 2u;
        let q0 = quad_of_b(min(at, last_quad()));
        let q1 = quad_of_b(min(at + 1u, last_quad()));
        var q2 = vec4<T>();
        if (TAPS > 5u) {
          q2 = quad_of_b(min(at + 2u, last_quad()));
        }
        let y = array<vec4<T>, 8>(q0, vec4<T>(q0.yzw, q1.x), vec4<T>(q0.zw, q1.xy), vec4<T>(q0.w, q1.xyz), q1,
          vec4<T>(q1.yzw, q2.x), vec4<T>(q1.zw, q2.xy), vec4<T>(q1.w, q2.xyz));
        let low = taps(begin_low + from_a, step, 0u);
        let low_more = taps(begin_low + from_a, step, 4u);
        var high = vec4<T>();
        var high_more = vec4<T>();
        if (HEIGHT > 8u) {
          high = taps(begin_high + from_a, step, 0u);
          high_more = taps(begin_high + from_a, step, 4u);
        }
        add_taps(low, low_more, high, high_more, y);
      }
      k += ahead;
    }
    for (var i = 0u; i < HEIGHT; i += 1u) {
      sums[i] += part[i];
    }
  }
  if (quad >= all_quads) {
    return;
  }
  // The bounds are known at run time only, so that compilers do not repeat the fused consumers for every element.
  let height = min(HEIGHT, rows() - m);
  let width = min(4u, wide() - n % wide());
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
