// Random numbers from words of random bits, with the same bits on every device.
//
// The words come from threefry (wt_threefry_u32 in prelude.wgsl). What is made of them here is made in integers, since
// floating-point division and contraction differ between GPUs; the only float operations are conversions of integers
// of at most 24 bits and multiplications by powers of two, which are exact everywhere.
// webtorch/_counter_random.py holds the same functions for numpy, and explains them.

// [0, 1), a multiple of 2^-24.
fn wt_uniform_u32(bits: u32) -> f32 {
    return f32(bits >> 8u) * 0x1p-24f;
}

// The 64-bit product of two words, as (low, high). WGSL has no wider integer to rely on, so in 16-bit digits:
// low * low + both mixed products stay below 2^32 when the carries are added in this order.
fn wt_full_product_u32(x: u32, y: u32) -> vec2<u32> {
    let x_low = x & 0xffffu;
    let x_high = x >> 16u;
    let y_low = y & 0xffffu;
    let y_high = y >> 16u;
    let lowest = x_low * y_low;
    let middle = x_high * y_low + (lowest >> 16u);
    let other = x_low * y_high + (middle & 0xffffu);
    let high = x_high * y_high + (middle >> 16u) + (other >> 16u);
    return vec2<u32>(x * y, high);
}

// An integer in [0, range). Each value's probability is off by less than range / 2^32 of itself.
fn wt_bounded_u32(bits: u32, range: u32) -> u32 {
    return wt_full_product_u32(bits, range).y;
}

// The same with 64-bit words and range, each as (low, high): the upper half of the 128-bit product, as (low, high).
fn wt_bounded64_u32(bits: vec2<u32>, range: vec2<u32>) -> vec2<u32> {
    let low_low = wt_full_product_u32(bits.x, range.x);
    let high_low = wt_full_product_u32(bits.y, range.x);
    let low_high = wt_full_product_u32(bits.x, range.y);
    let high_high = wt_full_product_u32(bits.y, range.y);
    // The digit of weight 2^32: its sum matters only for the carries out of it.
    let first = low_low.y + high_low.x;
    let carry = u32(first < low_low.y);
    let second = first + low_high.x;
    let carries = carry + u32(second < first);
    // The digits of weight 2^64 and 2^96 are the answer. Its upper digit cannot overflow.
    let a = high_high.x + high_low.y;
    let b = a + low_high.y;
    let c = b + carries;
    let upper = high_high.y + u32(a < high_high.x) + u32(b < a) + u32(c < b);
    return vec2<u32>(c, upper);
}

// Twice the tail's number plus one: the probability of the tail is this * 2^-33. bits and ~bits share a tail.
fn wt_normal_tail_u32(bits: u32) -> u32 {
    return (select(~bits, bits, bits < 0x80000000u) << 1u) | 1u;
}

// The row of the table of cubics (512 rows of 4 words) that wt_normal_u32 wants for these bits: 16 rows for each
// halving of the tail's probability.
fn wt_normal_segment_u32(bits: u32) -> u32 {
    let tail = wt_normal_tail_u32(bits);
    let zeros = countLeadingZeros(tail);
    return zeros * 16u + (((tail << zeros) >> 27u) & 15u);
}

// A standard normal number: the inverse distribution function at (bits + 1/2) / 2^32, by the cubic of that row,
// c0 - t (c1 - t (c2 - t c3)), in units of 2^-29.
fn wt_normal_u32(bits: u32, c0: u32, c1: u32, c2: u32, c3: u32) -> f32 {
    let tail = wt_normal_tail_u32(bits);
    // The bits below those that chose the row, as a 32-bit fraction. Two shifts: by 32 or more is not allowed at once.
    let t = (tail << countLeadingZeros(tail)) << 5u;
    let fixed = c0 - wt_full_product_u32(c1 - wt_full_product_u32(c2 - wt_full_product_u32(c3, t).y, t).y, t).y;
    // How a float of more than 24 bits is rounded is the driver's choice, so round to 24 bits here.
    let shift = 8u - min(countLeadingZeros(fixed), 8u);
    let rounded = (fixed + ((1u << shift) >> 1u)) >> shift;
    let magnitude = f32(rounded) * bitcast<f32>((shift + 98u) << 23u); // 2^(shift - 29)
    return select(magnitude, -magnitude, bits < 0x80000000u);
}
