// Attention for adapters that are CPUs, where reading memory costs more than arithmetic: the eight lanes of a subgroup, which
// are a workgroup, walk the keys for sixteen queries together, thirty-two keys at a time. Each lane has four of these keys
// and, of the values, every eighth four features; a lane reads a part of the queries, and passes it, and later the weights of
// its keys, to the others. The sums are those of attention.wgsl, which says more.
//
// Supplied by codegen: as for attention.wgsl, but WORKGROUP is 8, and in place of KEY_QUADS and VALUE_QUADS there are
// key_quads(), value_quads() and PARTS: how many times eight fours of features the values have, 1 or 2. Subgroups have eight
// lanes or more (see backends/wgpu/subgroups.py). Sums are worked on by the functions of lanes.wgsl, which says why, and
// copied for the rest.

const HEIGHT = 16u;
const BREADTH = 32u;

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
      wt_multiply_rows_f32(&part, quad_q(batch, low_m, c), quad_q(batch, high_m, c), quad_k(batch, k.x, c),
        quad_k(batch, k.y, c), quad_k(batch, k.z, c), quad_k(batch, k.w, c));
    }
    var score = part;
    var shrink = array<vec4<T>, 4>();
    for (var r = 0u; r < height; r += 1u) {
      let end = select(stop, min(stop, m + r + 1u), CAUSAL);
      let inside = vec4<u32>(n, n + 1u, n + 2u, n + 3u) < vec4<u32>(end);
      let s = select(vec4<T>(lowest()), score[r] * scale() + vec4<T>(bias(batch, m + r, k.x), bias(batch, m + r, k.y),
        bias(batch, m + r, k.z), bias(batch, m + r, k.w)), inside);
      let largest = largest_of_all(maximum(maximum(maximum(top[r], s.x), maximum(s.y, s.z)), s.w));
      let less = exponential(top[r] - largest);
      shrink[r >> 2u][r & 3u] = less;
      var weights = select(vec4<T>(), vec4<T>(exponential(s.x - largest), exponential(s.y - largest),
        exponential(s.z - largest), exponential(s.w - largest)), inside);
      total[r] = total[r] * less + weights.x + weights.y + weights.z + weights.w;
      top[r] = largest;
      if (DROPS) {
        weights *= vec4<T>(kept(batch, m + r, k.x), kept(batch, m + r, k.y), kept(batch, m + r, k.z), kept(batch, m + r, k.w));
      }
      score[r] = weights;
    }
    wt_scale_rows_f32(&low, shrink);
    if (PARTS > 1u) {
      wt_scale_rows_f32(&high, shrink);
    }
    for (var from_lane = 0u; from_lane < 8u; from_lane += 1u) {
      let at = start + 4u * from_lane;
      if (at >= stop) {
        break;
      }
      let v = min(vec4<u32>(at, at + 1u, at + 2u, at + 3u), vec4<u32>(stop - 1u));
      let y = array<vec4<T>, 4>(quad_v(batch, v.x, low_c), quad_v(batch, v.y, low_c), quad_v(batch, v.z, low_c),
        quad_v(batch, v.w, low_c));
      wt_add_weighted_f32(&low, score, from_lane, y);
      if (PARTS > 1u) {
        let z = array<vec4<T>, 4>(quad_v(batch, v.x, high_c), quad_v(batch, v.y, high_c), quad_v(batch, v.z, high_c),
          quad_v(batch, v.w, high_c));
        wt_add_weighted_f32(&high, score, from_lane, z);
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
