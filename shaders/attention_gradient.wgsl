// The gradients of attention, again without a matrix of scores: each invocation owns a query or a key and walks the
// others, computing the weights anew from the logarithms of the sums that attention.wgsl kept.
//
// With p = exp(score - logarithm of the sum), d = the query's sum of out * gradient, and r = what dropout multiplies p by:
//   gradient of a query: sum over keys of p * (r * gradient . value - d) * key * scale
//   gradient of a key:   sum over queries of p * (r * gradient . value - d) * query * scale
//   gradient of a value: sum over queries of p * r * gradient
//
// Supplied by codegen: T, WORKGROUP, SCORED_QUADS and OTHER_QUADS: features of queries and of values over four, rounded
// up; RESULTS and RESULT_QUADS: features of the result; WHICH: 0 for queries, 1 for keys, 2 for values; CAUSAL; CARRIES:
// whether the sums of a dispatch before are added; batches(), rows(): how many own results; first(), last(): the others of
// this dispatch; scale(), exponential(x); quad_a(batch, r, c) and quad_b(batch, r, c): the own query or key, and the own
// gradient or value; quad_c(batch, n, c) and quad_d(batch, n, c): the same of the others; bias(batch, m, n);
// DROPS, kept(batch, m, n): r; logarithm_of(batch, m), mean_of(batch, m); carried(i); store(i, value).

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let place = workgroup_number(group, groups) * WORKGROUP + lane;
  if (place >= batches() * rows()) {
    return;
  }
  let batch = place / rows();
  let r = place % rows();
  var a: array<vec4<T>, SCORED_QUADS>;
  for (var c = 0u; c < SCORED_QUADS; c += 1u) {
    a[c] = quad_a(batch, r, c) * scale();
  }
  var b: array<vec4<T>, OTHER_QUADS>;
  if (WHICH != 2u) {
    for (var c = 0u; c < OTHER_QUADS; c += 1u) {
      b[c] = quad_b(batch, r, c);
    }
  }
  var sums = array<vec4<T>, RESULT_QUADS>();
  if (CARRIES) {
    for (var c = 0u; c < RESULTS; c += 1u) {
      sums[c / 4u][c % 4u] = carried(place * RESULTS + c);
    }
  }
  let stop = select(last(), min(last(), r + 1u), CAUSAL && WHICH == 0u);
  for (var n = select(first(), max(first(), r), CAUSAL && WHICH != 0u); n < stop; n += 1u) {
    let m = select(n, r, WHICH == 0u); // the query
    let k = select(r, n, WHICH == 0u); // the key
    var score = bias(batch, m, k);
    for (var c = 0u; c < SCORED_QUADS; c += 1u) {
      score += dot(a[c], quad_c(batch, n, c));
    }
    var weight = exponential(score - logarithm_of(batch, m));
    if (WHICH != 2u) {
      var change = T(0);
      for (var c = 0u; c < OTHER_QUADS; c += 1u) {
        change += dot(b[c], quad_d(batch, n, c));
      }
      if (DROPS) {
        change *= kept(batch, m, k);
      }
      weight *= (change - mean_of(batch, m)) * scale();
      for (var c = 0u; c < RESULT_QUADS; c += 1u) {
        sums[c] += weight * quad_c(batch, n, c);
      }
    } else {
      if (DROPS) {
        weight *= kept(batch, m, k);
      }
      for (var c = 0u; c < RESULT_QUADS; c += 1u) {
        sums[c] += weight * quad_d(batch, n, c);
      }
    }
  }
  for (var c = 0u; c < RESULTS; c += 1u) {
    store(place * RESULTS + c, sums[c / 4u][c % 4u]);
  }
}
