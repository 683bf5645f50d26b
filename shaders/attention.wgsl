// Attention without a matrix of scores: each invocation walks the keys for one query, four at a time, and keeps the
// largest score so far, the sum of exp(score - largest) and the sum of the values so weighted. When a larger score comes,
// both sums are scaled down to it (Milakov and Gimelshein, 2018; Dao et al., 2022).
//
// Supplied by codegen: T, WORKGROUP, KEY_QUADS and VALUE_QUADS: features of keys and of values over four, rounded up;
// VALUES: features of values; CAUSAL: whether a query sees no later key; CARRIES: whether another dispatch came before;
// FINAL: whether none comes after, KEEPS: whether the logarithms of the sums are stored; batches(), queries(), first(),
// last(): the keys of this dispatch; scale(), lowest(), maximum(x, y), exponential(x), logarithm(x), infinity();
// quad_q(batch, m, c), quad_k(batch, n, c), quad_v(batch, n, c): four features, zeros beyond the last; bias(batch, m, n):
// what is added to a score; carried(i): element i of what the dispatch before stored; store(i, value).
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
  let row = workgroup_number(group, groups) * WORKGROUP + lane;
  if (row >= rows) {
    return;
  }
  let batch = row / queries();
  let m = row % queries();
  var q: array<vec4<T>, KEY_QUADS>;
  for (var c = 0u; c < KEY_QUADS; c += 1u) {
    q[c] = quad_q(batch, m, c) * scale();
  }
  var sums = array<vec4<T>, VALUE_QUADS>();
  var top = lowest();
  var total = T(0);
  if (CARRIES) {
    for (var c = 0u; c < VALUES; c += 1u) {
      sums[c / 4u][c % 4u] = carried(row * VALUES + c);
    }
    top = carried(rows * VALUES + row);
    total = carried(rows * VALUES + rows + row);
  }
  let stop = select(last(), min(last(), m + 1u), CAUSAL);
  for (var n = first(); n < stop; n += 4u) {
    // Keys beyond the end read the last one again, and weigh nothing.
    let k = min(vec4<u32>(n, n + 1u, n + 2u, n + 3u), vec4<u32>(stop - 1u));
    var score = vec4<T>();
    for (var c = 0u; c < KEY_QUADS; c += 1u) {
      let x = q[c];
      score += vec4<T>(dot(x, quad_k(batch, k.x, c)), dot(x, quad_k(batch, k.y, c)), dot(x, quad_k(batch, k.z, c)),
        dot(x, quad_k(batch, k.w, c)));
    }
    score += vec4<T>(bias(batch, m, k.x), bias(batch, m, k.y), bias(batch, m, k.z), bias(batch, m, k.w));
    let largest = maximum(maximum(maximum(top, score.x), maximum(score.y, score.z)), score.w);
    let shrink = exponential(top - largest);
    let inside = vec4<u32>(n, n + 1u, n + 2u, n + 3u) < vec4<u32>(stop);
    let weights = select(vec4<T>(), vec4<T>(exponential(score.x - largest), exponential(score.y - largest),
      exponential(score.z - largest), exponential(score.w - largest)), inside);
    for (var c = 0u; c < VALUE_QUADS; c += 1u) {
      sums[c] = sums[c] * shrink + weights.x * quad_v(batch, k.x, c) + weights.y * quad_v(batch, k.y, c)
        + weights.z * quad_v(batch, k.z, c) + weights.w * quad_v(batch, k.w, c);
    }
    total = total * shrink + weights.x + weights.y + weights.z + weights.w;
    top = largest;
  }
  // A query that sees no key attends to nothing.
  let empty = total == T(0);
  let factor = select(T(1), T(1) / select(total, T(1), empty), FINAL);
  for (var c = 0u; c < VALUES; c += 1u) {
    store(row * VALUES + c, sums[c / 4u][c % 4u] * factor);
  }
  if (!FINAL) {
    store(rows * VALUES + row, top);
    store(rows * VALUES + rows + row, total);
  } else if (KEEPS) {
    store(rows * VALUES + row, select(top + logarithm(total), infinity(), empty));
  }
}
