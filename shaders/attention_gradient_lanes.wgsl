// The gradients of attention for adapters that are CPUs, where reading memory costs more than arithmetic: the eight lanes of a
// subgroup, which are a workgroup, own sixteen queries or keys together and walk the others, thirty-two at a time. Each lane
// has four of these, and every eighth four features of the result; what it reads of the own rows, and the weights of its
// four, it passes to the others. The sums are those of attention_gradient.wgsl, which says more.
//
// Supplied by codegen: as for attention_gradient.wgsl, but WORKGROUP is 8, and in place of SCORED_QUADS, OTHER_QUADS and
// RESULT_QUADS there are scored_quads(), other_quads(), result_quads() and PARTS: how many times eight fours of features the
// result has, 1 or 2. Subgroups have eight lanes or more (see backends/wgpu/subgroups.py). As in attention_lanes.wgsl, sums
// that are worked on are indexed by constants.

const HEIGHT = 16u;
const BREADTH = 32u;

fn with_four(sum: vec4<T>, x: vec4<T>, y: array<vec4<T>, 4>) -> vec4<T> {
  return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

// Adds four features of the products of sixteen rows, of which lane i has rows i and i + 8, with the lane's four others.
fn multiply(part: ptr<function, array<vec4<T>, 16>>, low: vec4<T>, high: vec4<T>, x0: vec4<T>, x1: vec4<T>, x2: vec4<T>,
  x3: vec4<T>) {
  let y = array<vec4<T>, 4>(vec4<T>(x0.x, x1.x, x2.x, x3.x), vec4<T>(x0.y, x1.y, x2.y, x3.y),
    vec4<T>(x0.z, x1.z, x2.z, x3.z), vec4<T>(x0.w, x1.w, x2.w, x3.w));
  (*part)[0] = with_four((*part)[0], subgroupBroadcast(low, 0u), y);
  (*part)[1] = with_four((*part)[1], subgroupBroadcast(low, 1u), y);
  (*part)[2] = with_four((*part)[2], subgroupBroadcast(low, 2u), y);
  (*part)[3] = with_four((*part)[3], subgroupBroadcast(low, 3u), y);
  (*part)[4] = with_four((*part)[4], subgroupBroadcast(low, 4u), y);
  (*part)[5] = with_four((*part)[5], subgroupBroadcast(low, 5u), y);
  (*part)[6] = with_four((*part)[6], subgroupBroadcast(low, 6u), y);
  (*part)[7] = with_four((*part)[7], subgroupBroadcast(low, 7u), y);
  (*part)[8] = with_four((*part)[8], subgroupBroadcast(high, 0u), y);
  (*part)[9] = with_four((*part)[9], subgroupBroadcast(high, 1u), y);
  (*part)[10] = with_four((*part)[10], subgroupBroadcast(high, 2u), y);
  (*part)[11] = with_four((*part)[11], subgroupBroadcast(high, 3u), y);
  (*part)[12] = with_four((*part)[12], subgroupBroadcast(high, 4u), y);
  (*part)[13] = with_four((*part)[13], subgroupBroadcast(high, 5u), y);
  (*part)[14] = with_four((*part)[14], subgroupBroadcast(high, 6u), y);
  (*part)[15] = with_four((*part)[15], subgroupBroadcast(high, 7u), y);
}

// Four features of another row: what the weights are summed up with.
fn summed(batch: u32, n: u32, c: u32) -> vec4<T> {
  if (WHICH == 2u) {
    return quad_d(batch, n, c);
  }
  return quad_c(batch, n, c);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let blocks = (rows() + HEIGHT - 1u) / HEIGHT;
  let block = workgroup_number(group, groups);
  let batch = block / blocks;
  if (batch >= batches()) {
    return;
  }
  let begin = block % blocks * HEIGHT;
  let height = min(HEIGHT, rows() - begin);
  // Rows and features beyond the last are the last again, and not stored.
  let low_r = min(begin + lane, rows() - 1u);
  let high_r = min(begin + lane + 8u, rows() - 1u);
  let low_c = min(lane, result_quads() - 1u);
  let high_c = min(lane + 8u, result_quads() - 1u);
  var low = array<vec4<T>, 16>(); // sums of the first part of the features, row by row
  var high = array<vec4<T>, 16>();
  if (CARRIES) {
    var carried_low = array<vec4<T>, 16>();
    var carried_high = array<vec4<T>, 16>();
    for (var r = 0u; r < height; r += 1u) {
      let place = (batch * rows() + begin + r) * RESULTS;
      for (var i = 0u; i < 4u; i += 1u) {
        carried_low[r][i] = carried(place + min(4u * low_c + i, RESULTS - 1u));
        if (PARTS > 1u) {
          carried_high[r][i] = carried(place + min(4u * high_c + i, RESULTS - 1u));
        }
      }
    }
    low = carried_low;
    high = carried_high;
  }
  let stop = select(last(), min(last(), begin + HEIGHT), CAUSAL && WHICH == 0u);
  for (var start = select(first(), max(first(), begin), CAUSAL && WHICH != 0u); start < stop; start += BREADTH) {
    // Others beyond the end are the last again, and weigh nothing.
    let n = vec4<u32>(start + 4u * lane) + vec4<u32>(0u, 1u, 2u, 3u);
    let at = min(n, vec4<u32>(stop - 1u));
    var scores = array<vec4<T>, 16>();
    for (var c = 0u; c < scored_quads(); c += 1u) {
      multiply(&scores, quad_a(batch, low_r, c), quad_a(batch, high_r, c), quad_c(batch, at.x, c), quad_c(batch, at.y, c),
        quad_c(batch, at.z, c), quad_c(batch, at.w, c));
    }
    var changes = array<vec4<T>, 16>();
    if (WHICH != 2u) {
      for (var c = 0u; c < other_quads(); c += 1u) {
        multiply(&changes, quad_b(batch, low_r, c), quad_b(batch, high_r, c), quad_d(batch, at.x, c), quad_d(batch, at.y, c),
          quad_d(batch, at.z, c), quad_d(batch, at.w, c));
      }
    }
    var logarithms = vec4<T>();
    var means = vec4<T>();
    if (WHICH != 0u) {
      logarithms = vec4<T>(logarithm_of(batch, at.x), logarithm_of(batch, at.y), logarithm_of(batch, at.z),
        logarithm_of(batch, at.w));
      if (WHICH == 1u) {
        means = vec4<T>(mean_of(batch, at.x), mean_of(batch, at.y), mean_of(batch, at.z), mean_of(batch, at.w));
      }
    }
    var weights = scores;
    var change = changes;
    for (var i = 0u; i < height; i += 1u) {
      let r = begin + i;
      let m = select(at, vec4<u32>(r), WHICH == 0u); // the queries
      let k = select(vec4<u32>(r), at, WHICH == 0u); // the keys
      let inside = (n < vec4<u32>(stop)) & (k <= select(vec4<u32>(0xffffffffu), m, CAUSAL));
      if (WHICH == 0u) {
        logarithms = vec4<T>(logarithm_of(batch, r));
        means = vec4<T>(mean_of(batch, r));
      }
      let s = weights[i] * scale() + vec4<T>(bias(batch, m.x, k.x), bias(batch, m.y, k.y), bias(batch, m.z, k.z),
        bias(batch, m.w, k.w)) - logarithms;
      var weight = vec4<T>(exponential(s.x), exponential(s.y), exponential(s.z), exponential(s.w));
      var factor = vec4<T>(T(1));
      if (DROPS) {
        factor = vec4<T>(kept(batch, m.x, k.x), kept(batch, m.y, k.y), kept(batch, m.z, k.z), kept(batch, m.w, k.w));
      }
      if (WHICH != 2u) {
        factor = (change[i] * factor - means) * scale();
      }
      weights[i] = select(vec4<T>(), weight * factor, inside);
    }
    for (var from_lane = 0u; from_lane < 8u; from_lane += 1u) {
      let next = start + 4u * from_lane;
      if (next >= stop) {
        break;
      }
      let v = min(vec4<u32>(next, next + 1u, next + 2u, next + 3u), vec4<u32>(stop - 1u));
      let y = array<vec4<T>, 4>(summed(batch, v.x, low_c), summed(batch, v.y, low_c), summed(batch, v.z, low_c),
        summed(batch, v.w, low_c));
      let w0 = subgroupShuffle(weights[0], from_lane);
      low[0] = with_four(low[0], w0, y);
      let w1 = subgroupShuffle(weights[1], from_lane);
      low[1] = with_four(low[1], w1, y);
      let w2 = subgroupShuffle(weights[2], from_lane);
      low[2] = with_four(low[2], w2, y);
      let w3 = subgroupShuffle(weights[3], from_lane);
      low[3] = with_four(low[3], w3, y);
      let w4 = subgroupShuffle(weights[4], from_lane);
      low[4] = with_four(low[4], w4, y);
      let w5 = subgroupShuffle(weights[5], from_lane);
      low[5] = with_four(low[5], w5, y);
      let w6 = subgroupShuffle(weights[6], from_lane);
      low[6] = with_four(low[6], w6, y);
      let w7 = subgroupShuffle(weights[7], from_lane);
      low[7] = with_four(low[7], w7, y);
      let w8 = subgroupShuffle(weights[8], from_lane);
      low[8] = with_four(low[8], w8, y);
      let w9 = subgroupShuffle(weights[9], from_lane);
      low[9] = with_four(low[9], w9, y);
      let w10 = subgroupShuffle(weights[10], from_lane);
      low[10] = with_four(low[10], w10, y);
      let w11 = subgroupShuffle(weights[11], from_lane);
      low[11] = with_four(low[11], w11, y);
      let w12 = subgroupShuffle(weights[12], from_lane);
      low[12] = with_four(low[12], w12, y);
      let w13 = subgroupShuffle(weights[13], from_lane);
      low[13] = with_four(low[13], w13, y);
      let w14 = subgroupShuffle(weights[14], from_lane);
      low[14] = with_four(low[14], w14, y);
      let w15 = subgroupShuffle(weights[15], from_lane);
      low[15] = with_four(low[15], w15, y);
      if (PARTS > 1u) {
        let z = array<vec4<T>, 4>(summed(batch, v.x, high_c), summed(batch, v.y, high_c), summed(batch, v.z, high_c),
          summed(batch, v.w, high_c));
        high[0] = with_four(high[0], w0, z);
        high[1] = with_four(high[1], w1, z);
        high[2] = with_four(high[2], w2, z);
        high[3] = with_four(high[3], w3, z);
        high[4] = with_four(high[4], w4, z);
        high[5] = with_four(high[5], w5, z);
        high[6] = with_four(high[6], w6, z);
        high[7] = with_four(high[7], w7, z);
        high[8] = with_four(high[8], w8, z);
        high[9] = with_four(high[9], w9, z);
        high[10] = with_four(high[10], w10, z);
        high[11] = with_four(high[11], w11, z);
        high[12] = with_four(high[12], w12, z);
        high[13] = with_four(high[13], w13, z);
        high[14] = with_four(high[14], w14, z);
        high[15] = with_four(high[15], w15, z);
      }
    }
  }
  var low_sums = low;
  var high_sums = high;
  for (var r = 0u; r < height; r += 1u) {
    let place = (batch * rows() + begin + r) * RESULTS + 4u * lane;
    for (var i = 0u; i < 4u; i += 1u) {
      if (4u * lane + i < RESULTS) {
        store(place + i, low_sums[r][i]);
      }
      if (PARTS > 1u && 4u * lane + 32u + i < RESULTS) {
        store(place + 32u + i, high_sums[r][i]);
      }
    }
  }
}
