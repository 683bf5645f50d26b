// A reduction: each invocation folds one chunk of one row.
//
// Supplied by codegen: T, WORKGROUP, outputs(): rows times chunks, extent(): elements of a row, chunk(): elements of a
// chunk, chunks(): chunks of a row, identity(), combine(x, y), load(row, k): any fused producer, store(i, folded): any
// fused consumer. Where QUADS is true, quad(row, k) gives the elements k ... k + 3 of a row at once, as a Four.

// Folding in blocks keeps the rounding error of a float sum near that of pairwise summation.
const BLOCK = 128u;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups) * WORKGROUP + lane;
  if (i >= outputs()) {
    return;
  }
  let row = i / chunks();
  var k = (i % chunks()) * chunk();
  let end = min(k + chunk(), extent());
  var folded = identity();
  while (k < end) {
    let stop = min(k + BLOCK, end);
    var part = identity();
    if (QUADS) {
      var lanes = Four(part, part, part, part);
      while (k < stop) {
        let next = quad(row, k);
        lanes = Four(combine(lanes.x, next.x), combine(lanes.y, next.y), combine(lanes.z, next.z), combine(lanes.w, next.w));
        k += 4u;
      }
      part = combine(combine(lanes.x, lanes.y), combine(lanes.z, lanes.w));
    } else {
      while (k < stop) {
        part = combine(part, load(row, k));
        k += 1u;
      }
    }
    folded = combine(folded, part);
  }
  store(i, folded);
}
