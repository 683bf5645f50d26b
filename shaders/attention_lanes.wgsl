// Attention for adapters that are CPUs, where reading memory costs more than arithmetic: the eight lanes of a subgroup, which
// are a workgroup, walk the keys for sixteen queries together, thirty-two keys at a time. Each lane has four of these keys
// and, of the values, every eighth four features; a lane reads a part of the queries, and passes it, and later the weights of
// its keys, to the others. The sums are those of attention.wgsl, which says more.
//
// Supplied by codegen: as for attention.wgsl, but WORKGROUP is 8, and in place of KEY_QUADS and VALUE_QUADS there are
// key_quads(), value_quads() and PARTS: how many times eight fours of features the values have, 1 or 2. Subgroups have eight
// lanes or more (see backends/wgpu/subgroups.py). What is indexed by a number that is known only at run time lies in
// memory, where lanes are served one by one: the sums that are worked on are indexed by constants, and copied for the rest.

const HEIGHT = 16u;
const BREADTH = 32u;

fn with_four(sum: vec4<T>, x: vec4<T>, y: array<vec4<T>, 4>) -> vec4<T> {
  return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

fn largest_of_all(mine: T) -> T {
  let two = maximum(mine, subgroupShuffleXor(mine, 1u));
  let four = maximum(two, subgroupShuffleXor(two, 2u));
  return maximum(four, subgroupShuffleXor(four, 4u));
}

fn sum_of_all(mine: T) -> T {
  let two = mine + subgroupShuffleXor(mine, 1u);
  let four = two + subgroupShuffleXor(two, 2u);
  return four + subgroupShuffleXor(four, 4u);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let rows = batches() * queries();
  let blocks = (queries() + HEIGHT - 1u) / HEIGHT;
  let block = workgroup_number(group, groups);
  let batch = block / blocks;
  if (batch >= batches()) {
    return;
  }
  let m = block % blocks * HEIGHT;
  let height = min(HEIGHT, queries() - m);
  // Queries and features beyond the last are the last again, and not stored.
  let low_m = min(m + lane, queries() - 1u);
  let high_m = min(m + lane + 8u, queries() - 1u);
  let low_c = min(lane, value_quads() - 1u);
  let high_c = min(lane + 8u, value_quads() - 1u);
  var low = array<vec4<T>, 16>(); // sums of the first part of the features, query by query
  var high = array<vec4<T>, 16>();
  var top = array<T, 16>();
  var total = array<T, 16>(); // of the own keys only
  for (var r = 0u; r < HEIGHT; r += 1u) {
    top[r] = lowest();
  }
  if (CARRIES) {
    var carried_low = array<vec4<T>, 16>();
    var carried_high = array<vec4<T>, 16>();
    for (var r = 0u; r < height; r += 1u) {
      let row = batch * queries() + m + r;
      for (var i = 0u; i < 4u; i += 1u) {
        carried_low[r][i] = carried(row * VALUES + min(4u * low_c + i, VALUES - 1u));
        if (PARTS > 1u) {
          carried_high[r][i] = carried(row * VALUES + min(4u * high_c + i, VALUES - 1u));
        }
      }
      top[r] = carried(rows * VALUES + row);
      total[r] = select(T(0), carried(rows * VALUES + rows + row), lane == 0u);
    }
    low = carried_low;
    high = carried_high;
  }
  let stop = select(last(), min(last(), m + HEIGHT), CAUSAL);
  for (var start = first(); start < stop; start += BREADTH) {
    // Keys beyond the end read the last one again, and weigh nothing.
    let n = start + 4u * lane;
    let k = min(vec4<u32>(n, n + 1u, n + 2u, n + 3u), vec4<u32>(stop - 1u));
    var part = array<vec4<T>, 16>();
    for (var c = 0u; c < key_quads(); c += 1u) {
      let x0 = quad_k(batch, k.x, c);
      let x1 = quad_k(batch, k.y, c);
      let x2 = quad_k(batch, k.z, c);
      let x3 = quad_k(batch, k.w, c);
      let y = array<vec4<T>, 4>(vec4<T>(x0.x, x1.x, x2.x, x3.x), vec4<T>(x0.y, x1.y, x2.y, x3.y),
        vec4<T>(x0.z, x1.z, x2.z, x3.z), vec4<T>(x0.w, x1.w, x2.w, x3.w));
      let q0 = quad_q(batch, low_m, c);
      let q1 = quad_q(batch, high_m, c);
      part[0] = with_four(part[0], subgroupBroadcast(q0, 0u), y);
      part[1] = with_four(part[1], subgroupBroadcast(q0, 1u), y);
      part[2] = with_four(part[2], subgroupBroadcast(q0, 2u), y);
      part[3] = with_four(part[3], subgroupBroadcast(q0, 3u), y);
      part[4] = with_four(part[4], subgroupBroadcast(q0, 4u), y);
      part[5] = with_four(part[5], subgroupBroadcast(q0, 5u), y);
      part[6] = with_four(part[6], subgroupBroadcast(q0, 6u), y);
      part[7] = with_four(part[7], subgroupBroadcast(q0, 7u), y);
      part[8] = with_four(part[8], subgroupBroadcast(q1, 0u), y);
      part[9] = with_four(part[9], subgroupBroadcast(q1, 1u), y);
      part[10] = with_four(part[10], subgroupBroadcast(q1, 2u), y);
      part[11] = with_four(part[11], subgroupBroadcast(q1, 3u), y);
      part[12] = with_four(part[12], subgroupBroadcast(q1, 4u), y);
      part[13] = with_four(part[13], subgroupBroadcast(q1, 5u), y);
      part[14] = with_four(part[14], subgroupBroadcast(q1, 6u), y);
      part[15] = with_four(part[15], subgroupBroadcast(q1, 7u), y);
    }
    var score = part;
    var shrink = array<T, 16>();
    for (var r = 0u; r < height; r += 1u) {
      let end = select(stop, min(stop, m + r + 1u), CAUSAL);
      let inside = vec4<u32>(n, n + 1u, n + 2u, n + 3u) < vec4<u32>(end);
      let s = select(vec4<T>(lowest()), score[r] * scale() + vec4<T>(bias(batch, m + r, k.x), bias(batch, m + r, k.y),
        bias(batch, m + r, k.z), bias(batch, m + r, k.w)), inside);
      let largest = largest_of_all(maximum(maximum(maximum(top[r], s.x), maximum(s.y, s.z)), s.w));
      shrink[r] = exponential(top[r] - largest);
      var weights = select(vec4<T>(), vec4<T>(exponential(s.x - largest), exponential(s.y - largest),
        exponential(s.z - largest), exponential(s.w - largest)), inside);
      total[r] = total[r] * shrink[r] + weights.x + weights.y + weights.z + weights.w;
      top[r] = largest;
      if (DROPS) {
        weights *= vec4<T>(kept(batch, m + r, k.x), kept(batch, m + r, k.y), kept(batch, m + r, k.z), kept(batch, m + r, k.w));
      }
      score[r] = weights;
    }
    low[0] *= shrink[0];
    low[1] *= shrink[1];
    low[2] *= shrink[2];
    low[3] *= shrink[3];
    low[4] *= shrink[4];
    low[5] *= shrink[5];
    low[6] *= shrink[6];
    low[7] *= shrink[7];
    low[8] *= shrink[8];
    low[9] *= shrink[9];
    low[10] *= shrink[10];
    low[11] *= shrink[11];
    low[12] *= shrink[12];
    low[13] *= shrink[13];
    low[14] *= shrink[14];
    low[15] *= shrink[15];
    if (PARTS > 1u) {
      high[0] *= shrink[0];
      high[1] *= shrink[1];
      high[2] *= shrink[2];
      high[3] *= shrink[3];
      high[4] *= shrink[4];
      high[5] *= shrink[5];
      high[6] *= shrink[6];
      high[7] *= shrink[7];
      high[8] *= shrink[8];
      high[9] *= shrink[9];
      high[10] *= shrink[10];
      high[11] *= shrink[11];
      high[12] *= shrink[12];
      high[13] *= shrink[13];
      high[14] *= shrink[14];
      high[15] *= shrink[15];
    }
    for (var from_lane = 0u; from_lane < 8u; from_lane += 1u) {
      let at = start + 4u * from_lane;
      if (at >= stop) {
        break;
      }
      let v = min(vec4<u32>(at, at + 1u, at + 2u, at + 3u), vec4<u32>(stop - 1u));
      let y = array<vec4<T>, 4>(quad_v(batch, v.x, low_c), quad_v(batch, v.y, low_c), quad_v(batch, v.z, low_c),
        quad_v(batch, v.w, low_c));
      let w0 = subgroupShuffle(score[0], from_lane);
      low[0] = with_four(low[0], w0, y);
      let w1 = subgroupShuffle(score[1], from_lane);
      low[1] = with_four(low[1], w1, y);
      let w2 = subgroupShuffle(score[2], from_lane);
      low[2] = with_four(low[2], w2, y);
      let w3 = subgroupShuffle(score[3], from_lane);
      low[3] = with_four(low[3], w3, y);
      let w4 = subgroupShuffle(score[4], from_lane);
      low[4] = with_four(low[4], w4, y);
      let w5 = subgroupShuffle(score[5], from_lane);
      low[5] = with_four(low[5], w5, y);
      let w6 = subgroupShuffle(score[6], from_lane);
      low[6] = with_four(low[6], w6, y);
      let w7 = subgroupShuffle(score[7], from_lane);
      low[7] = with_four(low[7], w7, y);
      let w8 = subgroupShuffle(score[8], from_lane);
      low[8] = with_four(low[8], w8, y);
      let w9 = subgroupShuffle(score[9], from_lane);
      low[9] = with_four(low[9], w9, y);
      let w10 = subgroupShuffle(score[10], from_lane);
      low[10] = with_four(low[10], w10, y);
      let w11 = subgroupShuffle(score[11], from_lane);
      low[11] = with_four(low[11], w11, y);
      let w12 = subgroupShuffle(score[12], from_lane);
      low[12] = with_four(low[12], w12, y);
      let w13 = subgroupShuffle(score[13], from_lane);
      low[13] = with_four(low[13], w13, y);
      let w14 = subgroupShuffle(score[14], from_lane);
      low[14] = with_four(low[14], w14, y);
      let w15 = subgroupShuffle(score[15], from_lane);
      low[15] = with_four(low[15], w15, y);
      if (PARTS > 1u) {
        let z = array<vec4<T>, 4>(quad_v(batch, v.x, high_c), quad_v(batch, v.y, high_c), quad_v(batch, v.z, high_c),
          quad_v(batch, v.w, high_c));
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
    let row = batch * queries() + m + r;
    let sum = sum_of_all(total[r]);
    // A query that sees no key attends to nothing.
    let empty = sum == T(0);
    let factor = select(T(1), T(1) / select(sum, T(1), empty), FINAL);
    for (var i = 0u; i < 4u; i += 1u) {
      if (4u * lane + i < VALUES) {
        store(row * VALUES + 4u * lane + i, low_sums[r][i] * factor);
      }
      if (PARTS > 1u && 4u * lane + 32u + i < VALUES) {
        store(row * VALUES + 4u * lane + 32u + i, high_sums[r][i] * factor);
      }
    }
    if (lane == 0u) { // with the others sent on instead, a compiler takes it that they do not come to the next sum
      if (!FINAL) {
        store(rows * VALUES + row, top[r]);
        store(rows * VALUES + rows + row, sum);
      } else if (KEEPS) {
        store(rows * VALUES + row, select(top[r] + logarithm(sum), infinity(), empty));
      }
    }
  }
}
