// What the lanes of a subgroup do together where reading memory costs more than arithmetic: eight lanes, sixteen rows, of each
// row four numbers in each lane. Sums that are worked on are indexed by constants: what is indexed by a number that is known
// only at run time lies in memory, where lanes are served one by one.

// `sum` and the product of the row `x` with the four rows `y`.
fn wt_with_four_f32(sum: vec4<f32>, x: vec4<f32>, y: array<vec4<f32>, 4>) -> vec4<f32> {
  return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

// Adds the products, over four features, of sixteen rows, of which lane i has rows i and i + 8, with the lane's four others.
fn wt_multiply_rows_f32(sums: ptr<function, array<vec4<f32>, 16>>, low: vec4<f32>, high: vec4<f32>, x0: vec4<f32>,
  x1: vec4<f32>, x2: vec4<f32>, x3: vec4<f32>) {
  let y = array<vec4<f32>, 4>(vec4<f32>(x0.x, x1.x, x2.x, x3.x), vec4<f32>(x0.y, x1.y, x2.y, x3.y),
    vec4<f32>(x0.z, x1.z, x2.z, x3.z), vec4<f32>(x0.w, x1.w, x2.w, x3.w));
  (*sums)[0] = wt_with_four_f32((*sums)[0], subgroupBroadcast(low, 0u), y);
  (*sums)[1] = wt_with_four_f32((*sums)[1], subgroupBroadcast(low, 1u), y);
  (*sums)[2] = wt_with_four_f32((*sums)[2], subgroupBroadcast(low, 2u), y);
  (*sums)[3] = wt_with_four_f32((*sums)[3], subgroupBroadcast(low, 3u), y);
  (*sums)[4] = wt_with_four_f32((*sums)[4], subgroupBroadcast(low, 4u), y);
  (*sums)[5] = wt_with_four_f32((*sums)[5], subgroupBroadcast(low, 5u), y);
  (*sums)[6] = wt_with_four_f32((*sums)[6], subgroupBroadcast(low, 6u), y);
  (*sums)[7] = wt_with_four_f32((*sums)[7], subgroupBroadcast(low, 7u), y);
  (*sums)[8] = wt_with_four_f32((*sums)[8], subgroupBroadcast(high, 0u), y);
  (*sums)[9] = wt_with_four_f32((*sums)[9], subgroupBroadcast(high, 1u), y);
  (*sums)[10] = wt_with_four_f32((*sums)[10], subgroupBroadcast(high, 2u), y);
  (*sums)[11] = wt_with_four_f32((*sums)[11], subgroupBroadcast(high, 3u), y);
  (*sums)[12] = wt_with_four_f32((*sums)[12], subgroupBroadcast(high, 4u), y);
  (*sums)[13] = wt_with_four_f32((*sums)[13], subgroupBroadcast(high, 5u), y);
  (*sums)[14] = wt_with_four_f32((*sums)[14], subgroupBroadcast(high, 6u), y);
  (*sums)[15] = wt_with_four_f32((*sums)[15], subgroupBroadcast(high, 7u), y);
}

// Adds, for sixteen rows, the four rows `y` with the weights that lane `source` has of them.
fn wt_add_weighted_f32(sums: ptr<function, array<vec4<f32>, 16>>, weights: array<vec4<f32>, 16>, source: u32,
  y: array<vec4<f32>, 4>) {
  (*sums)[0] = wt_with_four_f32((*sums)[0], subgroupShuffle(weights[0], source), y);
  (*sums)[1] = wt_with_four_f32((*sums)[1], subgroupShuffle(weights[1], source), y);
  (*sums)[2] = wt_with_four_f32((*sums)[2], subgroupShuffle(weights[2], source), y);
  (*sums)[3] = wt_with_four_f32((*sums)[3], subgroupShuffle(weights[3], source), y);
  (*sums)[4] = wt_with_four_f32((*sums)[4], subgroupShuffle(weights[4], source), y);
  (*sums)[5] = wt_with_four_f32((*sums)[5], subgroupShuffle(weights[5], source), y);
  (*sums)[6] = wt_with_four_f32((*sums)[6], subgroupShuffle(weights[6], source), y);
  (*sums)[7] = wt_with_four_f32((*sums)[7], subgroupShuffle(weights[7], source), y);
  (*sums)[8] = wt_with_four_f32((*sums)[8], subgroupShuffle(weights[8], source), y);
  (*sums)[9] = wt_with_four_f32((*sums)[9], subgroupShuffle(weights[9], source), y);
  (*sums)[10] = wt_with_four_f32((*sums)[10], subgroupShuffle(weights[10], source), y);
  (*sums)[11] = wt_with_four_f32((*sums)[11], subgroupShuffle(weights[11], source), y);
  (*sums)[12] = wt_with_four_f32((*sums)[12], subgroupShuffle(weights[12], source), y);
  (*sums)[13] = wt_with_four_f32((*sums)[13], subgroupShuffle(weights[13], source), y);
  (*sums)[14] = wt_with_four_f32((*sums)[14], subgroupShuffle(weights[14], source), y);
  (*sums)[15] = wt_with_four_f32((*sums)[15], subgroupShuffle(weights[15], source), y);
}

// Multiplies each of sixteen rows by a number of its own: four times four of them.
fn wt_scale_rows_f32(sums: ptr<function, array<vec4<f32>, 16>>, factors: array<vec4<f32>, 4>) {
  (*sums)[0] *= factors[0].x;
  (*sums)[1] *= factors[0].y;
  (*sums)[2] *= factors[0].z;
  (*sums)[3] *= factors[0].w;
  (*sums)[4] *= factors[1].x;
  (*sums)[5] *= factors[1].y;
  (*sums)[6] *= factors[1].z;
  (*sums)[7] *= factors[1].w;
  (*sums)[8] *= factors[2].x;
  (*sums)[9] *= factors[2].y;
  (*sums)[10] *= factors[2].z;
  (*sums)[11] *= factors[2].w;
  (*sums)[12] *= factors[3].x;
  (*sums)[13] *= factors[3].y;
  (*sums)[14] *= factors[3].z;
  (*sums)[15] *= factors[3].w;
}
