// Attention without a matrix of scores: each invocation walks the keys for ROWS queries, four keys at a time, and keeps the
// largest score so far, the sum of exp(score - largest) and the sum of the values so weighted. When a larger score comes,
// both sums are scaled down to it (Milakov and Gimelshein, 2018; Dao et al., 2022).
//
// Supplied by codegen: T, WORKGROUP, KEY_QUADS and VALUE_QUADS: features of keys and of values over four, rounded up;
// VALUES: features of values; CAUSAL: whether a query sees no later key; CARRIES: whether another dispatch came before;
// FINAL: whether none comes after, KEEPS: whether the logarithms of the sums are stored; batches(), queries(), first(),
// last(): the keys of this dispatch; scale(), lowest(), maximum(x, y), exponential(x), logarithm(x), infinity();
// quad_q(batch, m, c), quad_k(batch, n, c), quad_v(batch, n, c): four features, zeros beyond the last; bias(batch, m, n):
// what is added to a score; DROPS: whether there is dropout, kept(batch, m, n): what it multiplies a weight by;
// carried(i): element i of what the dispatch before stored; store(i, value).
//
// Stored are the values [batch, query, feature]; then, if this dispatch is not the final one, the largest scores and the
// sums [batch, query], and if it is and KEEPS, the logarithms of the sums [batch, query].

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let rows = batches() * queries();
  let blocks = (queries() + ROWS - 1u) / ROWS;
  let block = workgroup_number(group, groups) * WORKGROUP + lane;
  let batch = block / blocks;
  if (batch >= batches()) {
    return;
  }
  let m = block % blocks * ROWS;
  // Queries beyond the last are the last again, and not stored.
  var q: array<vec4<T>, KEY_QUADS * ROWS>;
  for (var r = 0u; r < ROWS; r += 1u) {
    for (var c = 0u; c < KEY_QUADS; c += 1u) {
      q[r * KEY_QUADS + c] = quad_q(batch, min(m + r, queries() - 1u), c) * scale();
    }
  }
  var sums = array<vec4<T>, VALUE_QUADS * ROWS>();
  var top: array<T, ROWS>;
  var total: array<T, ROWS>;
  for (var r = 0u; r < ROWS; r += 1u) {
    top[r] = lowest();
    total[r] = T(0);
    if (CARRIES) {
      let row = batch * queries() + min(m + r, queries() - 1u);
      for (var c = 0u; c < VALUES; c += 1u) {
        sums[r * VALUE_QUADS + c / 4u][c % 4u] = carried(row * VALUES + c);
      }
      top[r] = carried(rows * VALUES + row);
      total[r] = carried(rows * VALUES + rows + row);
    }
  }
  let stop = select(last(), min(last(), m + ROWS), CAUSAL);
  for (var n = first(); n < stop; n += 4u) {
    // Keys beyond the end read the last one again, and weigh nothing.
    let k = min(vec4<u32>(n, n + 1u, n + 2u, n + 3u), vec4<u32>(stop - 1u));
    var score = array<vec4<T>, ROWS>(); // without a value it would begin as the turn before left it
    for (var c = 0u; c < KEY_QUADS; c += 1u) {
      let x0 = quad_k(batch, k.x, c);
      let x1 = quad_k(batch, k.y, c);
      let x2 = quad_k(batch, k.z, c);
      let x3 = quad_k(batch, k.w, c);
      for (var r = 0u; r < ROWS; r += 1u) {
        let x = q[r * KEY_QUADS + c];
        score[r] += vec4<T>(dot(x, x0), dot(x, x1), dot(x, x2), dot(x, x3));
      }
    }
    var shrink: array<T, ROWS>;
    for (var r = 0u; r < ROWS; r += 1u) {
      let end = select(stop, min(stop, m + r + 1u), CAUSAL);
      let inside = vec4<u32>(n, n + 1u, n + 2u, n + 3u) < vec4<u32>(end);
      let seen = min(m + r, queries() - 1u);
      let s = select(vec4<T>(lowest()), score[r] + vec4<T>(bias(batch, seen, k.x), bias(batch, seen, k.y),
        bias(batch, seen, k.z), bias(batch, seen, k.w)), inside);
      let largest = maximum(maximum(maximum(top[r], s.x), maximum(s.y, s.z)), s.w);
      shrink[r] = exponential(top[r] - largest);
      let weights = select(vec4<T>(), vec4<T>(exponential(s.x - largest), exponential(s.y - largest),
        exponential(s.z - largest), exponential(s.w - largest)), inside);
      total[r] = total[r] * shrink[r] + weights.x + weights.y + weights.z + weights.w;
      top[r] = largest;
      score[r] = weights;
      if (DROPS) {
        score[r] *= vec4<T>(kept(batch, seen, k.x), kept(batch, seen, k.y), kept(batch, seen, k.z), kept(batch, seen, k.w));
      }
    }
    for (var c = 0u; c < VALUE_QUADS; c += 1u) {
      let x0 = quad_v(batch, k.x, c);
      let x1 = quad_v(batch, k.y, c);
      let x2 = quad_v(batch, k.z, c);
      let x3 = quad_v(batch, k.w, c);
      for (var r = 0u; r < ROWS; r += 1u) {
        let i = r * VALUE_QUADS + c;
        sums[i] = sums[i] * shrink[r] + score[r].x * x0 + score[r].y * x1 + score[r].z * x2 + score[r].w * x3;
      }
    }
  }
  for (var r = 0u; r < ROWS; r += 1u) {
    if (m + r >= queries()) {
      break;
    }
    let row = batch * queries() + m + r;
    // A query that sees no key attends to nothing.
    let empty = total[r] == T(0);
    let factor = select(T(1), T(1) / select(total[r], T(1), empty), FINAL);
    for (var c = 0u; c < VALUES; c += 1u) {
      store(row * VALUES + c, sums[r * VALUE_QUADS + c / 4u][c % 4u] * factor);
    }
    if (!FINAL) {
      store(rows * VALUES + row, top[r]);
      store(rows * VALUES + rows + row, total[r]);
    } else if (KEEPS) {
      store(rows * VALUES + row, select(top[r] + logarithm(total[r]), infinity(), empty));
    }
  }
}
