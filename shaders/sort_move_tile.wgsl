// Sorting by digits, the second half of a pass, where invocations of a workgroup share memory cheaply: a workgroup takes one
// chunk, each invocation EACH neighbours of it.
//
// Every invocation counts its own digits; a running sum over digits and invocations says how many elements of a digit lie
// before its own. Two counts share a word, those of digits d and d + HALF: a chunk is shorter than 65,536 elements.
//
// Supplied by codegen: as for sort_move.wgsl, and EACH.

const HALF = (DIGITS + 1u) / 2u;

var<workgroup> counts: array<u32, HALF * WORKGROUP>;
var<workgroup> sums: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup_number(group, groups);
  if (i >= rows() * chunks()) {
    return;
  }
  let row = i / chunks();
  let part = i % chunks();
  let first = part * chunk() + lane * EACH;
  for (var d = 0u; d < HALF; d += 1u) {
    counts[d * WORKGROUP + lane] = 0u;
  }
  // How many elements of its digit an element has before it, among those of its invocation.
  var keys: array<T, EACH>;
  var before: array<u32, EACH>;
  for (var e = 0u; e < EACH; e += 1u) {
    if (first + e < extent()) {
      keys[e] = load(row, first + e);
      let d = digit(keys[e]);
      let at = (d % HALF) * WORKGROUP + lane;
      let shift = (d / HALF) * 16u;
      before[e] = (counts[at] >> shift) & 0xffffu;
      counts[at] += 1u << shift;
    }
  }
  workgroupBarrier();
  // Each invocation sums up HALF words in a row; then the sums of invocations are summed up.
  var total = 0u;
  for (var n = 0u; n < HALF; n += 1u) {
    total += counts[lane * HALF + n];
  }
  sums[lane] = total;
  workgroupBarrier();
  for (var reach = 1u; reach < WORKGROUP; reach *= 2u) {
    let earlier = select(0u, sums[max(lane, reach) - reach], lane >= reach);
    workgroupBarrier();
    sums[lane] += earlier;
    workgroupBarrier();
  }
  var running = sums[lane] - total;
  for (var n = 0u; n < HALF; n += 1u) {
    let own = counts[lane * HALF + n];
    counts[lane * HALF + n] = running;
    running += own;
  }
  workgroupBarrier();
  for (var e = 0u; e < EACH; e += 1u) {
    if (first + e < extent()) {
      let d = digit(keys[e]);
      let shift = (d / HALF) * 16u;
      let start = (counts[(d % HALF) * WORKGROUP] >> shift) & 0xffffu;
      let sum = (counts[(d % HALF) * WORKGROUP + lane] >> shift) & 0xffffu;
      let chunk_of_digit = d * chunks() + part;
      var place = row * extent() + (sum - start) + before[e];
      if (chunk_of_digit > 0u) {
        place += u32(ends(row * DIGITS * chunks() + chunk_of_digit - 1u));
      }
      write_0(2u * place, keys[e]);
      write_0(2u * place + 1u, position(row, first + e));
    }
  }
}
