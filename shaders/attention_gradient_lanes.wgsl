// The gradients of attention for adapters that are CPUs, where reading memory costs more than arithmetic: the eight lanes of a
// subgroup, which are a workgroup, own sixteen queries or keys together and walk the others, thirty-two at a time. Each lane
// has four of these, and every eighth four features of the result; what it reads of the own rows, and the weights of its
// four, it passes to the others. The sums are those of attention_gradient.wgsl, which says more.
//
// Supplied by codegen: as for attention_gradient.wgsl, but WORKGROUP is 8, and in place of SCORED_QUADS, OTHER_QUADS and
// RESULT_QUADS there are scored_quads(), other_quads(), result_quads() and PARTS: how many times eight fours of features the
// result has, 1 or 2. Subgroups have eight lanes or more (see backends/wgpu/subgroups.py). Sums are worked on by the
// functions of lanes.wgsl, and copied for the rest.

const HEIGHT = 16u;
const BREADTH = 32u;

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
      wt_multiply_rows_f32(&scores, quad_a(batch, low_r, c), quad_a(batch, high_r, c), quad_c(batch, at.x, c), quad_c(batch, at.y, c),
        quad_c(batch, at.z, c), quad_c(batch, at.w, c));
    }
    var changes = array<vec4<T>, 16>();
    if (WHICH != 2u) {
      for (var c = 0u; c < other_quads(); c += 1u) {
        wt_multiply_rows_f32(&changes, quad_b(batch, low_r, c), quad_b(batch, high_r, c), quad_d(batch, at.x, c), quad_d(batch, at.y, c),
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
      wt_add_weighted_f32(&low, weights, from_lane, y);
      if (PARTS > 1u) {
        let z = array<vec4<T>, 4>(summed(batch, v.x, high_c), summed(batch, v.y, high_c), summed(batch, v.z, high_c),
          summed(batch, v.w, high_c));
        wt_add_weighted_f32(&high, weights, from_lane, z);
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
