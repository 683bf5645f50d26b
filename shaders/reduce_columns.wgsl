// A reduction over outer dimensions: each invocation folds QUADS times four neighbouring columns at once, so that a group
// of lanes reads long pieces of a row: on adapters that are CPUs, every row is in another page of memory.
//
// Supplied by codegen: T, WORKGROUP, QUADS, outputs(): a multiple of four times QUADS, extent(): elements folded into one
// result, identity(), combine(x, y), quad(row, k): element k of the results row ... row + 3, store4(i / 4, folded).

// Folding in blocks keeps the rounding error of a float sum near that of pairwise summation.
const BLOCK = 128u;

fn combine4(x: Four, y: Four) -> Four {
  return Four(combine(x.x, y.x), combine(x.y, y.y), combine(x.z, y.z), combine(x.w, y.w));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (workgroup_number(group, groups) * WORKGROUP + lane) * QUADS;
  let row = 4u * i;
  if (row >= outputs()) {
    return;
  }
  let none = Four(identity(), identity(), identity(), identity());
  var folded: array<Four, QUADS>;
  for (var n = 0u; n < QUADS; n += 1u) {
    folded[n] = none;
  }
  var k = 0u;
  while (k < extent()) {
    let stop = min(k + BLOCK, extent());
    var part: array<Four, QUADS>;
    for (var n = 0u; n < QUADS; n += 1u) {
      part[n] = none;
    }
    while (k < stop) {
      for (var n = 0u; n < QUADS; n += 1u) {
        part[n] = combine4(part[n], quad(row + 4u * n, k));
      }
      k += 1u;
    }
    for (var n = 0u; n < QUADS; n += 1u) {
      folded[n] = combine4(folded[n], part[n]);
    }
  }
  for (var n = 0u; n < QUADS; n += 1u) {
    store4(i + n, folded[n]);
  }
}
