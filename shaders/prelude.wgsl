// The arithmetic of float32 that the WGSL builtins do not give reliably, the 16-bit floats, and the bits that random
// numbers are made from, as pure functions without bindings.
//
// Naming: wt_<name>_<type of the arguments>. Code generation pastes only the functions a kernel calls and what those call.
//
// Rules that hold for the whole file:
//   - Infinity and NaN are made from bits held in module variables (a constant expression that yields one is an error).
//   - NaN is recognised by its bits: `x != x` is false for NaN on several drivers, and max, min, sign and clamp lose it.
//   - No step relies on fma being fused, nor on a * b + c not being contracted; where exactness matters it is integer
//     arithmetic, or a product whose factors are short enough to be exact.
//   - The builtins used on floats are + - * / < and conversions of integers that fit; the rest is our own.
//   - Compilers rearrange sums and products as if they were exact. Seen so far: constant + (a + b), (a + constant) +
//     constant, (a * constant) * b * constant, a * b + a * c, a + (b + c * constant), (a + b) - b, (a * b) / b, a / constant, 1 / (1 / a),
//     constant * (constant / a).
//     No expression here has one of these forms, so that drivers agree in every bit.
//   - Polynomials are minimax fits made for this file; the comment gives the interval and the error.
//   - Conditions on bool use & and |, which do not branch.

var<private> WT_INFINITY: u32 = 0x7f800000u;
var<private> WT_NAN: u32 = 0x7fc00000u;

fn wt_infinity_f32() -> f32 { return bitcast<f32>(WT_INFINITY); }
fn wt_nan_f32() -> f32 { return bitcast<f32>(WT_NAN); }

// ---- bits -----------------------------------------------------------------------------------------------------------

// The bits of |x|; larger than 0x7f800000 exactly for NaN.
fn wt_magnitude_f32(x: f32) -> u32 { return bitcast<u32>(x) & 0x7fffffffu; }

fn wt_isnan_f32(x: f32) -> bool { return wt_magnitude_f32(x) > 0x7f800000u; }
fn wt_isinf_f32(x: f32) -> bool { return wt_magnitude_f32(x) == 0x7f800000u; }
fn wt_isfinite_f32(x: f32) -> bool { return wt_magnitude_f32(x) < 0x7f800000u; }
fn wt_isposinf_f32(x: f32) -> bool { return bitcast<u32>(x) == 0x7f800000u; }
fn wt_isneginf_f32(x: f32) -> bool { return bitcast<u32>(x) == 0xff800000u; }
fn wt_signbit_f32(x: f32) -> bool { return (bitcast<u32>(x) & 0x80000000u) != 0u; }

fn wt_abs_f32(x: f32) -> f32 { return bitcast<f32>(wt_magnitude_f32(x)); }
fn wt_neg_f32(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }

fn wt_copysign_f32(x: f32, y: f32) -> f32 {
    return bitcast<f32>(wt_magnitude_f32(x) | (bitcast<u32>(y) & 0x80000000u));
}

// An integer that orders the numbers as floats are ordered, with -0 equal to +0. Says nothing about NaN.
fn wt_order_f32(x: f32) -> i32 {
    let magnitude = bitcast<i32>(wt_magnitude_f32(x));
    return select(magnitude, -magnitude, wt_signbit_f32(x));
}

fn wt_unordered_f32(x: f32, y: f32) -> bool { return wt_isnan_f32(x) | wt_isnan_f32(y); }

fn wt_eq_f32(x: f32, y: f32) -> bool { return (wt_order_f32(x) == wt_order_f32(y)) & !wt_unordered_f32(x, y); }
fn wt_ne_f32(x: f32, y: f32) -> bool { return (wt_order_f32(x) != wt_order_f32(y)) | wt_unordered_f32(x, y); }
fn wt_lt_f32(x: f32, y: f32) -> bool { return (wt_order_f32(x) < wt_order_f32(y)) & !wt_unordered_f32(x, y); }
fn wt_le_f32(x: f32, y: f32) -> bool { return (wt_order_f32(x) <= wt_order_f32(y)) & !wt_unordered_f32(x, y); }
fn wt_gt_f32(x: f32, y: f32) -> bool { return (wt_order_f32(x) > wt_order_f32(y)) & !wt_unordered_f32(x, y); }
fn wt_ge_f32(x: f32, y: f32) -> bool { return (wt_order_f32(x) >= wt_order_f32(y)) & !wt_unordered_f32(x, y); }

// The same with -0 below +0.
fn wt_total_order_f32(x: f32) -> i32 {
    return bitcast<i32>(bitcast<u32>(x) ^ select(0u, 0x7fffffffu, wt_signbit_f32(x)));
}

// The same with every NaN above infinity; and the number of such an integer.
fn wt_sort_key_f32(x: f32) -> i32 { return select(wt_total_order_f32(x), 0x7fffffff, wt_isnan_f32(x)); }
fn wt_sorted_number_i32(x: i32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ select(0u, 0x7fffffffu, x < 0)); }

// NaN wins in maximum and minimum, and loses in fmax and fmin.
fn wt_maximum_f32(x: f32, y: f32) -> f32 {
    let larger = select(x, y, wt_total_order_f32(y) > wt_total_order_f32(x));
    return select(select(larger, y, wt_isnan_f32(y)), x, wt_isnan_f32(x));
}

fn wt_minimum_f32(x: f32, y: f32) -> f32 {
    let smaller = select(x, y, wt_total_order_f32(y) < wt_total_order_f32(x));
    return select(select(smaller, y, wt_isnan_f32(y)), x, wt_isnan_f32(x));
}

fn wt_fmax_f32(x: f32, y: f32) -> f32 {
    let larger = select(x, y, wt_total_order_f32(y) > wt_total_order_f32(x));
    return select(select(larger, x, wt_isnan_f32(y)), y, wt_isnan_f32(x));
}

fn wt_fmin_f32(x: f32, y: f32) -> f32 {
    let smaller = select(x, y, wt_total_order_f32(y) < wt_total_order_f32(x));
    return select(select(smaller, x, wt_isnan_f32(y)), y, wt_isnan_f32(x));
}

// x, unless it lies beyond the bound: a zero of either sign keeps its sign where the bound is 0. NaN wins.
fn wt_at_least_f32(x: f32, lowest: f32) -> f32 {
    return select(x, lowest, !wt_isnan_f32(x) & (wt_isnan_f32(lowest) | (wt_order_f32(x) < wt_order_f32(lowest))));
}

fn wt_at_most_f32(x: f32, highest: f32) -> f32 {
    return select(x, highest, !wt_isnan_f32(x) & (wt_isnan_f32(highest) | (wt_order_f32(x) > wt_order_f32(highest))));
}

// Where lowest > highest the result is highest, as in PyTorch.
fn wt_clamp_f32(x: f32, lowest: f32, highest: f32) -> f32 {
    return wt_at_most_f32(wt_at_least_f32(x, lowest), highest);
}

// Below 0 are the bits from 0x80000001 to those of -inf; -0 and NaN stay.
fn wt_relu_f32(x: f32) -> f32 { return select(x, 0.0f, bitcast<u32>(x) - 0x80000001u < 0x7f800000u); }

// PyTorch gives 0 for NaN.
fn wt_sign_f32(x: f32) -> f32 {
    let order = wt_order_f32(x);
    return select(f32(i32(order > 0) - i32(order < 0)), 0.0f, wt_isnan_f32(x));
}

fn wt_heaviside_f32(x: f32, value_at_zero: f32) -> f32 {
    return select(select(0.0f, 1.0f, wt_gt_f32(x, 0.0f)), value_at_zero, wt_magnitude_f32(x) == 0u);
}

fn wt_nan_to_num_f32(x: f32, nan: f32, positive_infinity: f32, negative_infinity: f32) -> f32 {
    let finite = select(select(x, positive_infinity, wt_isposinf_f32(x)), negative_infinity, wt_isneginf_f32(x));
    return select(finite, nan, wt_isnan_f32(x));
}

fn wt_nextafter_f32(x: f32, y: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let away = wt_signbit_f32(x) == (wt_order_f32(y) < wt_order_f32(x));
    var next = select(bits - 1u, bits + 1u, away);
    next = select(next, (bitcast<u32>(y) & 0x80000000u) | 1u, (bits & 0x7fffffffu) == 0u);
    let moved = select(bitcast<f32>(next), y, wt_order_f32(x) == wt_order_f32(y));
    return select(moved, wt_nan_f32(), wt_unordered_f32(x, y));
}

// ---- rounding to integers -------------------------------------------------------------------------------------------

// |x| cut to an integer; only asked for below 2^23.
fn wt_whole_f32(x: f32) -> f32 {
    return f32(u32(select(0.0f, wt_abs_f32(x), wt_magnitude_f32(x) < 0x4b000000u)));
}

fn wt_trunc_f32(x: f32) -> f32 {
    return select(x, wt_copysign_f32(wt_whole_f32(x), x), wt_magnitude_f32(x) < 0x4b000000u);
}

fn wt_floor_f32(x: f32) -> f32 {
    let cut = wt_trunc_f32(x);
    return select(cut, cut - 1.0f, wt_lt_f32(x, cut));
}

fn wt_ceil_f32(x: f32) -> f32 {
    let cut = wt_trunc_f32(x);
    // -0.5 becomes -0: the sign is put back.
    return select(cut, wt_copysign_f32(cut + 1.0f, x), wt_gt_f32(x, cut));
}

// Halves go to the even neighbour.
fn wt_round_f32(x: f32) -> f32 {
    let whole = wt_whole_f32(x);
    let rest = wt_abs_f32(x) - whole;
    let odd = (u32(whole) & 1u) == 1u;
    let up = (rest > 0.5f) | ((rest == 0.5f) & odd);
    return select(x, wt_copysign_f32(select(whole, whole + 1.0f, up), x), wt_magnitude_f32(x) < 0x4b000000u);
}

// Infinity has no fraction: NaN.
fn wt_frac_f32(x: f32) -> f32 { return select(wt_nan_f32(), x - wt_trunc_f32(x), wt_isfinite_f32(x)); }

// ---- exact integer helpers ------------------------------------------------------------------------------------------

// The upper 32 bits of a product of 64 bits.
fn wt_multiply_high_u32(x: u32, y: u32) -> u32 {
    let x0 = x & 0xffffu;
    let x1 = x >> 16u;
    let y0 = y & 0xffffu;
    let y1 = y >> 16u;
    let cross = x0 * y1;
    let other = x1 * y0;
    let middle = ((x0 * y0) >> 16u) + (cross & 0xffffu) + (other & 0xffffu);
    return x1 * y1 + (cross >> 16u) + (other >> 16u) + (middle >> 16u);
}

// x / size, rounded down, for a size of at least 2 that the host has worked these numbers out of (Granlund and Montgomery,
// 1994): with l = ceil(log2 size), they are floor(2^32 (2^l - size) / size) + 1 and l - 1.
fn wt_divide_u32(x: u32, multiplier: u32, shift: u32) -> u32 {
    let t = wt_multiply_high_u32(multiplier, x);
    return (t + ((x - t) >> 1u)) >> shift;
}

// x * 2^steps for an x with |x| in [2^-30, 2^30]; one rounding, also into the denormals; overflows to infinity.
fn wt_scale_f32(x: f32, steps: i32) -> f32 {
    let bounded = clamp(steps, -250, 250);
    let half = bounded >> 1u;
    let first = bitcast<f32>(u32(half + 127) << 23u);
    let second = bitcast<f32>(u32(bounded - half + 127) << 23u);
    return (x * first) * second;
}

// 2^steps + 2^steps * x for |x| <= 1: 1 + x would be rearranged where x is a sum.
fn wt_scale_above_f32(x: f32, steps: i32) -> f32 {
    let bounded = clamp(steps, -250, 250);
    let half = bounded >> 1u;
    let first = bitcast<f32>(u32(half + 127) << 23u);
    let second = bitcast<f32>(u32(bounded - half + 127) << 23u);
    return (first + first * x) * second;
}

// The exponent and 24-bit significand of a finite x other than 0: |x| = significand * 2^exponent, denormals normalised.
fn wt_significand_f32(x: f32) -> u32 {
    let magnitude = wt_magnitude_f32(x);
    let normal = (magnitude & 0x7fffffu) | 0x800000u;
    return select(normal, (magnitude << (countLeadingZeros(magnitude) & 31u)) >> 8u, magnitude < 0x800000u);
}

fn wt_exponent_f32(x: f32) -> i32 {
    let magnitude = wt_magnitude_f32(x);
    return select(i32(magnitude >> 23u) - 150, -141 - i32(countLeadingZeros(magnitude)), magnitude < 0x800000u);
}

// The nearest float32 (ties to even) of an integer: the builtin conversion may take either neighbour.
fn wt_cast_u32_f32(x: u32) -> f32 {
    let leading = countLeadingZeros(x);
    let normalised = x << (leading & 31u);
    let kept = normalised >> 8u;
    let rest = normalised & 0xffu;
    let up = (rest > 128u) | ((rest == 128u) & ((kept & 1u) == 1u));
    // kept has its leading bit at 23, which adds one to the exponent field; a carry out of the rounding does so again.
    let bits = ((157u - leading) << 23u) + kept + u32(up);
    return select(bitcast<f32>(bits), 0.0f, x == 0u);
}

fn wt_cast_i32_f32(x: i32) -> f32 {
    let size = wt_cast_u32_f32(select(bitcast<u32>(x), ~bitcast<u32>(x) + 1u, x < 0));
    return select(size, -size, x < 0);
}

// Towards zero. NaN, infinity and what does not fit give -2147483648, as PyTorch does on x86.
fn wt_cast_f32_i32(x: f32) -> i32 {
    let fits = wt_magnitude_f32(x) < 0x4f000000u;
    return select(bitcast<i32>(0x80000000u), i32(select(0.0f, x, fits)), fits);
}

// Towards zero, then modulo 2^32 (so -1 gives 4294967295); NaN and infinity give 0.
fn wt_cast_f32_u32(x: f32) -> u32 {
    let magnitude = wt_magnitude_f32(x);
    let significand = (magnitude & 0x7fffffu) | 0x800000u;
    let exponent = i32(magnitude >> 23u) - 150;
    let left = select(significand << u32(clamp(exponent, 0, 31)), 0u, exponent > 31);
    let right = select(significand >> u32(clamp(-exponent, 0, 31)), 0u, exponent < -31);
    let size = select(right, left, exponent >= 0);
    return select(size, ~size + 1u, wt_signbit_f32(x));
}

// ---- division, square root ------------------------------------------------------------------------------------------

// x / y rounded to nearest on every driver (the builtin may be 2.5 ulp away on a GPU).
fn wt_divide_f32(x: f32, y: f32) -> f32 {
    let sign = (bitcast<u32>(x) ^ bitcast<u32>(y)) & 0x80000000u;
    let above = wt_magnitude_f32(x);
    let below = wt_magnitude_f32(y);
    // Special cases: NaN, 0/0, inf/inf; then x/0, inf/y; then 0/y, x/inf.
    if ((above > 0x7f800000u) | (below > 0x7f800000u) | ((above == 0u) & (below == 0u))
        | ((above == 0x7f800000u) & (below == 0x7f800000u))) {
        return wt_nan_f32();
    }
    if ((above == 0x7f800000u) | (below == 0u)) { return bitcast<f32>(WT_INFINITY | sign); }
    if ((above == 0u) | (below == 0x7f800000u)) { return bitcast<f32>(sign); }
    let divisor = wt_significand_f32(y);
    var dividend = wt_significand_f32(x);
    var exponent = wt_exponent_f32(x) - wt_exponent_f32(y);
    if (dividend < divisor) {
        dividend <<= 1u;
        exponent -= 1;
    }
    // 24 bits of quotient in two steps of 12; each remainder is exact modulo 2^32 and small.
    var digit = u32(f32(dividend) / f32(divisor) * 4096.0f);
    var remainder = bitcast<i32>((dividend << 12u) - digit * divisor);
    let fine = i32(f32(remainder) / f32(divisor) * 2048.0f);
    var quotient = bitcast<u32>(bitcast<i32>(digit << 11u) + fine);
    remainder = bitcast<i32>((bitcast<u32>(remainder) << 11u) - bitcast<u32>(fine) * divisor);
    if (remainder < 0) {
        quotient -= 1u;
        remainder += bitcast<i32>(divisor);
    }
    if (remainder >= bitcast<i32>(divisor)) {
        quotient += 1u;
        remainder -= bitcast<i32>(divisor);
    }
    // quotient is in [2^23, 2^24); the result is quotient * 2^(exponent - 23) and a remainder.
    let field = exponent + 127;
    if (field >= 255) { return bitcast<f32>(WT_INFINITY | sign); }
    if (field >= 1) {
        let twice = 2 * remainder;
        let up = (twice > bitcast<i32>(divisor)) | ((twice == bitcast<i32>(divisor)) & ((quotient & 1u) == 1u));
        return bitcast<f32>(((u32(field - 1) << 23u) + quotient + u32(up)) | sign);
    }
    let shift = u32(min(1 - field, 26));
    let sticky = (quotient << 1u) | u32(remainder != 0);
    let kept = quotient >> shift;
    let rest = sticky & ((2u << shift) - 1u);
    let up = (rest > (1u << shift)) | ((rest == (1u << shift)) & ((kept & 1u) == 1u));
    return bitcast<f32>((kept + u32(up)) | sign);
}

fn wt_reciprocal_f32(x: f32) -> f32 { return wt_divide_f32(1.0f, x); }

// Rounded to nearest: the builtin gives a start, an exact integer remainder puts it right.
fn wt_sqrt_f32(x: f32) -> f32 {
    let magnitude = wt_magnitude_f32(x);
    if ((magnitude == 0u) | wt_isnan_f32(x) | wt_isposinf_f32(x)) { return x; }
    if (wt_signbit_f32(x)) { return wt_nan_f32(); }
    let exponent = wt_exponent_f32(x);
    // |x| = radicand * 2^even / 2^23 with radicand in [2^23, 2^25).
    let odd = (exponent + 23) & 1;
    let radicand = wt_significand_f32(x) << u32(odd);
    let half = (exponent + 23 - odd) >> 1u;
    // The root of radicand * 2^23, in [2^23, 2^24).
    var root = u32(sqrt(f32(radicand)) * 2896.30938f);
    var remainder = bitcast<i32>((radicand << 23u) - root * root);
    root = bitcast<u32>(bitcast<i32>(root) + i32(f32(remainder) / (2.0f * f32(root))));
    remainder = bitcast<i32>((radicand << 23u) - root * root);
    if (remainder > bitcast<i32>(root)) {
        root += 1u;
    } else if (remainder <= -bitcast<i32>(root)) {
        root -= 1u;
    }
    return bitcast<f32>((u32(half + 126) << 23u) + root);
}

fn wt_rsqrt_f32(x: f32) -> f32 {
    return select(1.0f / wt_sqrt_f32(x), wt_copysign_f32(wt_infinity_f32(), x), wt_magnitude_f32(x) == 0u);
}

// The same where the adapter's own division and square root are rounded to nearest (llvmpipe).
fn wt_native_divide_f32(x: f32, y: f32) -> f32 { return x / y; }
fn wt_native_reciprocal_f32(x: f32) -> f32 { return 1.0f / x; }
fn wt_native_sqrt_f32(x: f32) -> f32 { return sqrt(x); }
fn wt_native_rsqrt_f32(x: f32) -> f32 { return 1.0f / sqrt(x); }

// ---- remainders -----------------------------------------------------------------------------------------------------

// |x| - |y| * floor(|x| / |y|) as a multiple of 2^wt_exponent(y), for finite |x| >= |y| > 0. Without rounding. Takes up
// to 35 turns of a loop when x is far above y.
fn wt_rest_f32(x: f32, y: f32) -> u32 {
    let divisor = wt_significand_f32(y);
    var rest = wt_significand_f32(x) % divisor;
    // Eight bits at a time: a rest below 2^24 may be shifted by eight.
    var steps = wt_exponent_f32(x) - wt_exponent_f32(y);
    while (steps > 0) {
        rest = (rest << u32(min(steps, 8))) % divisor;
        steps -= 8;
    }
    return rest;
}

// significand * 2^exponent where that is a float32, put together from bits: no driver can flush a denormal.
fn wt_compose_f32(significand: u32, exponent: i32) -> f32 {
    let leading = countLeadingZeros(significand);
    let field = 158 + exponent - i32(leading);
    let normal = (u32(max(field, 1) - 1) << 23u) + ((significand << (leading & 31u)) >> 8u);
    let shift = exponent + 149;
    let small = (significand << u32(clamp(shift, 0, 31))) >> u32(clamp(-shift, 0, 31));
    return bitcast<f32>(select(select(small, normal, field >= 1), 0u, significand == 0u));
}

// x * 2^100, exact for denormals too where drivers take them for 0; overflows to infinity.
fn wt_enlarge_f32(x: f32) -> f32 {
    let magnitude = wt_magnitude_f32(x);
    let larger = wt_scale_f32(f32(wt_significand_f32(x)), wt_exponent_f32(x) + 100);
    return select(wt_copysign_f32(larger, x), x, (magnitude == 0u) | (magnitude >= 0x7f800000u));
}

// x - y * trunc(x / y) without any rounding; the sign of x.
fn wt_fmod_f32(x: f32, y: f32) -> f32 {
    let above = wt_magnitude_f32(x);
    let below = wt_magnitude_f32(y);
    if ((above >= 0x7f800000u) | (below > 0x7f800000u) | (below == 0u)) { return wt_nan_f32(); }
    if (above < below) { return x; }
    return wt_copysign_f32(wt_compose_f32(wt_rest_f32(x, y), wt_exponent_f32(y)), x);
}

// x - y * floor(x / y), as Python's % : the sign of y. A zero keeps the sign of x, as in PyTorch.
fn wt_remainder_f32(x: f32, y: f32) -> f32 {
    let above = wt_magnitude_f32(x);
    let below = wt_magnitude_f32(y);
    let opposite = wt_signbit_f32(x) != wt_signbit_f32(y);
    if ((above >= 0x7f800000u) | (below > 0x7f800000u) | (below == 0u)) { return wt_nan_f32(); }
    if (above < below) {
        if (!opposite | (above == 0u)) { return x; }
        // Below 2^-125 the bits count multiples of 2^-149; elsewhere a denormal x is made larger for the sum.
        if (below < 0x01000000u) { return wt_copysign_f32(bitcast<f32>(below - above), y); }
        if ((above < 0x00800000u) & (below < 0x20000000u)) {
            let sum = wt_enlarge_f32(x) + wt_enlarge_f32(y);
            return wt_copysign_f32(wt_compose_f32(wt_significand_f32(sum), wt_exponent_f32(sum) - 100), y);
        }
        return x + y;
    }
    let rest = wt_rest_f32(x, y);
    if (opposite & (rest != 0u)) {
        return wt_copysign_f32(wt_compose_f32(wt_significand_f32(y) - rest, wt_exponent_f32(y)), y);
    }
    return wt_copysign_f32(wt_compose_f32(rest, wt_exponent_f32(y)), x);
}

// The quotient rounded down, made from the exact remainder as PyTorch does; x / 0 is infinite or NaN.
fn wt_floor_divide_f32(x: f32, y: f32) -> f32 {
    let plain = wt_divide_f32(x, y);
    if (wt_magnitude_f32(y) == 0u) { return plain; }
    let rest = wt_fmod_f32(x, y);
    // All are made larger where the rest may be a denormal, which drivers may take for 0.
    let small = wt_magnitude_f32(y) < 0x0d800000u;
    let difference = select(x - rest, wt_enlarge_f32(x) - wt_enlarge_f32(rest), small);
    var quotient = wt_divide_f32(difference, select(y, wt_enlarge_f32(y), small));
    if ((wt_magnitude_f32(rest) != 0u) & (wt_signbit_f32(rest) != wt_signbit_f32(y))) { quotient -= 1.0f; }
    if (wt_magnitude_f32(quotient) == 0u) { return wt_copysign_f32(0.0f, plain); }
    let down = wt_floor_f32(quotient);
    return select(down, down + 1.0f, quotient - down > 0.5f);
}

// The quotient rounded towards zero, as PyTorch's division with that rounding mode.
fn wt_trunc_divide_f32(x: f32, y: f32) -> f32 { return wt_trunc_f32(wt_divide_f32(x, y)); }

// ---- significand and exponent ---------------------------------------------------------------------------------------

// x = mantissa * 2^exponent with |mantissa| in [0.5, 1). Zero, infinity and NaN are their own mantissa, exponent 0.
fn wt_frexp_mantissa_f32(x: f32) -> f32 {
    let special = (wt_magnitude_f32(x) >= 0x7f800000u) | (wt_magnitude_f32(x) == 0u);
    let half = bitcast<f32>((wt_significand_f32(x) & 0x7fffffu) | 0x3f000000u);
    return select(wt_copysign_f32(half, x), x, special);
}

fn wt_frexp_exponent_f32(x: f32) -> i32 {
    let special = (wt_magnitude_f32(x) >= 0x7f800000u) | (wt_magnitude_f32(x) == 0u);
    return select(wt_exponent_f32(x) + 24, 0, special);
}

// sqrt(x^2 + y^2) without overflow; infinite where either is, even beside NaN.
fn wt_hypot_f32(x: f32, y: f32) -> f32 {
    let high = max(wt_magnitude_f32(x), wt_magnitude_f32(y));
    let low = min(wt_magnitude_f32(x), wt_magnitude_f32(y));
    if (wt_isinf_f32(x) | wt_isinf_f32(y)) { return wt_infinity_f32(); }
    if (high > 0x7f800000u) { return wt_nan_f32(); }
    // A smaller number below 2^-13 of the larger one does not count.
    if ((low == 0u) | (high - low > 0x07000000u)) { return bitcast<f32>(high); }
    let exponent = wt_exponent_f32(bitcast<f32>(high));
    let a = f32(wt_significand_f32(bitcast<f32>(high)));
    let b = wt_scale_f32(f32(wt_significand_f32(bitcast<f32>(low))), wt_exponent_f32(bitcast<f32>(low)) - exponent);
    return wt_scale_f32(wt_sqrt_f32(a * a + b * b), exponent);
}

// ---- exponentials ---------------------------------------------------------------------------------------------------

// e^(r - rest) - 1 for |r - rest| <= 0.35, and with less care to 0.45; 2^-31 relative. The sum `whole + (... - rest)`, which would
// be better by a hair, is not left alone by compilers.
fn wt_exp_core_f32(whole: f32, rest: f32) -> f32 {
    let r = whole - rest;
    let p = 0.5f + r * (0.166666657f + r * (0.0416664816f
        + r * (0.00833353773f + r * (0.00139335694f + r * 0.000197701986f))));
    return (whole + r * r * p) - rest;
}

// An integer next to x, within 1/2 but for a rounding, where |x| < 2^20; some integer for NaN.
fn wt_near_i32(x: f32) -> i32 { return bitcast<i32>(x + 12582912.0f) - 0x4b400000; }

// e^(x + rest) * 2^steps for |x| <= 180 and a rest of at most 0.1.
fn wt_exp_scaled_f32(x: f32, rest: f32, steps: i32) -> f32 {
    let count = wt_near_i32((x + rest) * 1.44269502f);
    let n = f32(count);
    // 0.693145752 has 16 bits, n at most 9: the product is exact.
    let core = wt_exp_core_f32(x - n * 0.693145752f, n * 1.42860677e-06f - rest);
    return wt_scale_above_f32(core, count + steps);
}

fn wt_exp_f32(x: f32) -> f32 {
    // Outside [-104, 89] the result is 0 or infinity whatever the rest says; what the bounds make of NaN is not used.
    let bounded = clamp(x, -110.0f, 100.0f);
    let count = wt_near_i32(bounded * 1.44269502f);
    let n = f32(count);
    let core = wt_exp_core_f32(bounded - n * 0.693145752f, n * 1.42860677e-06f);
    let half = count >> 1u;
    let first = bitcast<f32>(u32(half + 127) << 23u);
    let second = bitcast<f32>(u32(count - half + 127) << 23u);
    return select((first + first * core) * second, x, wt_isnan_f32(x));
}

fn wt_exp2_f32(x: f32) -> f32 {
    let bounded = clamp(x, -160.0f, 140.0f);
    let n = wt_near_i32(bounded);
    let r = bounded - f32(n);
    // (2^r - 1) / r for |r| <= 0.5; 2^-32.
    let p = 0.693147182f + r * (0.240226507f + r * (0.0555040613f + r * (0.0096180886f
        + r * (0.0013336601f + r * (0.000154514753f + r * 1.46981401e-05f)))));
    return select(wt_scale_f32(1.0f + r * p, n), x, wt_isnan_f32(x));
}

fn wt_expm1_f32(x: f32) -> f32 {
    let bounded = clamp(x, -20.0f, 100.0f);
    let count = wt_near_i32(bounded * 1.44269502f);
    let n = f32(count);
    let core = wt_exp_core_f32(bounded - n * 0.693145752f, n * 1.42860677e-06f);
    // e^x - 1 = 2^n (e^r - 1) + (2^n - 1), with 2^n in two factors because it may overflow; the bracket is exact.
    let half = count >> 1u;
    let rest = count - half;
    let first = bitcast<f32>(u32(half + 127) << 23u);
    let y = (first * core + (first - bitcast<f32>(u32(127 - rest) << 23u))) * bitcast<f32>(u32(127 + rest) << 23u);
    // Below 2^-25 the result is x itself, -0 included.
    return select(y, x, wt_isnan_f32(x) | (wt_magnitude_f32(x) < 0x33000000u));
}

// ---- logarithms -----------------------------------------------------------------------------------------------------

// log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1]; 2^-30 relative to log(1 + f).
fn wt_log_core_f32(f: f32) -> f32 {
    let p = 0.333333313f + f * (-0.249999732f + f * (0.200001538f + f * (-0.166691482f + f * (0.1428352f
        + f * (-0.124274351f + f * (0.11054974f + f * (-0.108158626f + f * (0.105490297f
        + f * -0.0589923561f))))))));
    let square = f * f;
    return f * square * p - 0.5f * square;
}

// (f, log(1 + f) - f, e) with x = 2^e (1 + f), for a positive finite x.
fn wt_log_split_f32(x: f32) -> vec3<f32> {
    let magnitude = wt_magnitude_f32(x);
    let shift = select(0u, countLeadingZeros(magnitude) - 8u, magnitude < 0x800000u);
    // 0x3f3504f3 is sqrt(1/2): what is left after taking the exponent lies in [sqrt(1/2), sqrt(2)).
    let bits = magnitude << (shift & 31u);
    let e = bitcast<i32>(bits - 0x3f3504f3u) >> 23u;
    let f = bitcast<f32>(bits - (bitcast<u32>(e) << 23u)) - 1.0f;
    return vec3<f32>(f, wt_log_core_f32(f), f32(e - i32(shift)));
}

// The results shared by the logarithms: NaN for NaN and negative numbers, -inf for 0, inf for inf.
fn wt_log_edge_f32(x: f32, y: f32) -> f32 {
    let edge = select(select(y, x, wt_isposinf_f32(x)), -wt_infinity_f32(), wt_magnitude_f32(x) == 0u);
    return select(edge, wt_nan_f32(), wt_isnan_f32(x) | (wt_order_f32(x) < 0));
}

fn wt_log_f32(x: f32) -> f32 {
    let s = wt_log_split_f32(x);
    return wt_log_edge_f32(x, ((s.z * 1.42860677e-06f + s.y) + s.x) + s.z * 0.693145752f);
}

fn wt_log2_f32(x: f32) -> f32 {
    let s = wt_log_split_f32(x);
    // 1.44238281 has 12 bits: its product with 12 bits of f is exact.
    let lead = bitcast<f32>(bitcast<u32>(s.x) & 0xfffff000u);
    let rest = (s.x - lead) * 1.44269502f + (lead * 0.000312228221f + s.y * 1.44269502f);
    return wt_log_edge_f32(x, (rest + lead * 1.44238281f) + s.z);
}

fn wt_log10_f32(x: f32) -> f32 {
    let s = wt_log_split_f32(x);
    // 0.301025391 and 0.434326172 have 12 bits: their products with the exponent and with 12 bits of f are exact.
    let lead = bitcast<f32>(bitcast<u32>(s.x) & 0xfffff000u);
    let rest = (s.x - lead) * 0.434294492f + (lead * -3.16902986e-05f + s.y * 0.434294492f);
    return wt_log_edge_f32(x, ((s.z * 4.60503907e-06f + rest) + lead * 0.434326172f) + s.z * 0.301025391f);
}

fn wt_log1p_f32(x: f32) -> f32 {
    // Close to 0, f is x itself. Elsewhere two bits of x are set aside, so that 1 + x is exact (below -0.5 it is
    // anyway), and added to f. What 1 + x rounds away cannot be had from x - ((1 + x) - 1): compilers make that 0.
    let close = (x > -0.29f) & (x < 0.41f);
    let lead = bitcast<f32>(bitcast<u32>(x) & select(0xfffffffcu, 0xffffffffu, x < -0.5f));
    let u = 1.0f + lead;
    let lost = x - lead;
    let bits = wt_magnitude_f32(u);
    let e = select(bitcast<i32>(bits - 0x3f3504f3u) >> 23u, 0, close);
    let m = bitcast<f32>(bits - (bitcast<u32>(e) << 23u)) - 1.0f;
    let f = select(m + wt_scale_f32(lost, -e), x, close);
    let z = f32(e);
    let y = ((z * 1.42860677e-06f + wt_log_core_f32(f)) + f) + z * 0.693145752f;
    let edge = select(select(y, x, wt_isposinf_f32(x) | (wt_magnitude_f32(x) < 0x33000000u)),
        -wt_infinity_f32(), bitcast<u32>(x) == 0xbf800000u);
    return select(edge, wt_nan_f32(), wt_isnan_f32(x) | wt_lt_f32(x, -1.0f));
}

// ---- trigonometry ---------------------------------------------------------------------------------------------------

// Takes multiples of pi/2 from a finite x: (the bits of what is left, within pi/4 of 0 but for a rounding; the count
// modulo 4; the bits of what rounding the first took away).
fn wt_quadrant_f32(x: f32) -> vec3<u32> {
    if (wt_magnitude_f32(x) > 0x42c80000u) { return wt_quadrant_far_f32(x); }
    // Cody and Waite's way, for |x| <= 100: pi/2 in three parts, the first two of 18 bits; the count has at most 7, being
    // at most 64. So the first two products are exact, and the first difference; the second is, where it is small.
    let count = wt_near_i32(x * 0.636619747f);
    let n = f32(count);
    let first = x - n * 1.57079315f;
    let second = n * 3.17493686e-06f;
    // What the second difference lost is first - r - second, which compilers would make 0 if they knew what r is: they
    // do not know that the count is small.
    let r = bitcast<u32>(first - second) & select(0u, 0xffffffffu, count < 1000);
    return vec3<u32>(r, bitcast<u32>(count) & 3u, bitcast<u32>(((first - bitcast<f32>(r)) - second) - n * 2.56334407e-12f));
}

// The same for |x| >= 4, Payne and Hanek's way: only those 96 bits of 2/pi are multiplied that reach the last two integer
// bits or the fraction.
fn wt_quadrant_far_f32(x: f32) -> vec3<u32> {
    let significand = wt_significand_f32(x);
    let first = u32(wt_exponent_f32(x) + 30);
    let word = first >> 5u;
    let shift = first & 31u;
    // Four words from there on, of 2/pi with a word of zeros before it.
    let one = word >= 1u;
    let two = word >= 2u;
    let three = word >= 3u;
    let four = word >= 4u;
    let w0 = select(select(select(0u, 0xa2f9836eu, one), select(0x4e441529u, 0xfc2757d1u, three), two), 0xf534ddc0u, four);
    let w1 = select(select(select(0xa2f9836eu, 0x4e441529u, one), select(0xfc2757d1u, 0xf534ddc0u, three), two), 0xdb629599u, four);
    let w2 = select(select(select(0x4e441529u, 0xfc2757d1u, one), select(0xf534ddc0u, 0xdb629599u, three), two), 0x3c439041u, four);
    let w3 = select(select(select(0xfc2757d1u, 0xf534ddc0u, one), select(0xdb629599u, 0x3c439041u, three), two), 0xfe5163abu, four);
    // Two shifts, because a shift by 32 is not one.
    let a0 = (w0 << shift) | ((w1 >> 1u) >> (31u - shift));
    let a1 = (w1 << shift) | ((w2 >> 1u) >> (31u - shift));
    let a2 = (w2 << shift) | ((w3 >> 1u) >> (31u - shift));
    let low = significand * a1;
    var middle = low + wt_multiply_high_u32(significand, a2);
    var upper = significand * a0 + wt_multiply_high_u32(significand, a1) + u32(middle < low);
    // upper.middle is x * 2/pi with two integer bits and 62 bits of fraction.
    var count = (upper + 0x20000000u) >> 30u;
    upper -= count << 30u;
    let negative = upper >= 0x80000000u;
    if (negative) {
        upper = ~upper + u32(middle == 0u);
        middle = ~middle + 1u;
    }
    var lost = 29u;
    if (upper == 0u) {
        upper = middle;
        middle = 0u;
        lost = 61u;
    }
    let leading = countLeadingZeros(upper) & 31u;
    let fraction = (upper << leading) | ((middle >> 1u) >> (31u - leading));
    // 0xc90fdaa2 is pi/2 * 2^31.
    let angle = wt_multiply_high_u32(fraction, 0xc90fdaa2u);
    let rounded = wt_cast_u32_f32(angle);
    let unit = bitcast<f32>((127u - lost - leading) << 23u);
    let r = rounded * unit;
    // The angle has its leading bit at 30 or 31, so that it is rounded to a multiple of 128 or 256. Should that be 2^32,
    // the difference from it modulo 2^32 is still right.
    let lower = f32(bitcast<i32>(angle - select(u32(rounded), 0u, rounded > 4294967040.0f))) * unit;
    let flip = negative != wt_signbit_f32(x);
    if (wt_signbit_f32(x)) { count = ~count + 1u; }
    return vec3<u32>(bitcast<u32>(select(r, -r, flip)), count & 3u, bitcast<u32>(select(lower, -lower, flip)));
}

// |r| <= pi/4, and a rest of at most half an ulp of r; 2^-32.
fn wt_sin_core_f32(r: f32, rest: f32) -> f32 {
    let z = r * r;
    return r + (r * z * (-0.166666672f + z * (0.00833338313f + z * (-0.00019854444f + z * 2.84517159e-06f))) + rest);
}

// |r| <= pi/4, and a rest of at most half an ulp of r; 2^-36.
fn wt_cos_core_f32(r: f32, rest: f32) -> f32 {
    let z = r * r;
    return 1.0f - z * (0.5f - z * (0.0416666679f + z * (-0.00138889835f + z * (2.48232845e-05f
        + z * -2.89942335e-07f))));
}

fn wt_sin_f32(x: f32) -> f32 {
    let finite = wt_isfinite_f32(x);
    let q = wt_quadrant_f32(select(0.0f, x, finite));
    let r = bitcast<f32>(q.x);
    let rest = bitcast<f32>(q.z);
    let y = select(wt_sin_core_f32(r, rest), wt_cos_core_f32(r, rest), (q.y & 1u) == 1u);
    let tiny = wt_magnitude_f32(x) < 0x39000000u;
    return select(wt_nan_f32(), select(select(y, -y, q.y >= 2u), x, tiny), finite);
}

fn wt_cos_f32(x: f32) -> f32 {
    let finite = wt_isfinite_f32(x);
    let q = wt_quadrant_f32(select(0.0f, x, finite));
    let r = bitcast<f32>(q.x);
    let rest = bitcast<f32>(q.z);
    let y = select(wt_cos_core_f32(r, rest), wt_sin_core_f32(r, rest), (q.y & 1u) == 1u);
    return select(wt_nan_f32(), select(y, -y, (q.y == 1u) | (q.y == 2u)), finite);
}

fn wt_tan_f32(x: f32) -> f32 {
    let finite = wt_isfinite_f32(x);
    let q = wt_quadrant_f32(select(0.0f, x, finite));
    let r = bitcast<f32>(q.x);
    let rest = bitcast<f32>(q.z);
    let z = r * r;
    // (tan r - r) / r^3 for |r| <= pi/4; 2^-29.
    let bend = r * z * (0.333333522f + z * (0.13332589f + z * (0.0540675782f + z * (0.0212455504f
        + z * (0.0109248413f + z * (-1.72094988e-05f + z * 0.00442641601f))))));
    let near = r + bend;
    // The derivative of the tangent is 1 + tan^2.
    let lower = rest + rest * near * near;
    let y = r + (bend + lower);
    let tiny = wt_magnitude_f32(x) < 0x39000000u;
    return select(wt_nan_f32(), select(select(y, -1.0f / y, (q.y & 1u) == 1u), x, tiny), finite);
}

// ---- hyperbolic tangent, logistic -----------------------------------------------------------------------------------

fn wt_tanh_f32(x: f32) -> f32 {
    let size = wt_minimum_f32(wt_abs_f32(select(x, 0.0f, wt_isnan_f32(x))), 20.0f);
    let z = size * size;
    // (tanh s - s) / s^3 for s <= 0.625; 2^-32.
    let near = size + size * z * (-0.333333313f + z * (0.133332223f + z * (-0.0539484546f
        + z * (0.0217086636f + z * (-0.00819477066f + z * 0.00215726043f)))));
    let far = 1.0f - 2.0f / (wt_exp_scaled_f32(2.0f * size, 0.0f, 0) + 1.0f);
    let y = wt_copysign_f32(select(far, near, size < 0.625f), x);
    return select(y, x, wt_isnan_f32(x) | (wt_magnitude_f32(x) < 0x39000000u));
}

fn wt_sigmoid_f32(x: f32) -> f32 {
    // e^-|x| never overflows, and the small end keeps its precision.
    let small = wt_exp_f32(-wt_abs_f32(x));
    let odds = small / (1.0f + small);
    return select(1.0f - odds, small - small * odds, wt_signbit_f32(x));
}

// 2^64 e^-s for s >= 0. Where e^-s by itself would be a denormal, with few bits left or none, this is precise.
fn wt_exp_minus_f32(s: f32) -> f32 { return wt_exp_scaled_f32(-wt_minimum_f32(s, 150.0f), 0.0f, 64); }

// x / (1 + e^-x). NaN for -inf, as PyTorch has it.
fn wt_silu_f32(x: f32) -> f32 {
    let large = wt_exp_minus_f32(wt_abs_f32(select(x, 0.0f, wt_isnan_f32(x))));
    let small = large * 5.42101086e-20f;
    let negative = (x * select(large, 0.0f, wt_isinf_f32(x)) / (1.0f + small)) * 5.42101086e-20f;
    return select(x / (1.0f + small), negative, wt_signbit_f32(x));
}

// x tanh(log(1 + e^x)): with e = e^x the tangent is e (e + 2) / (e (e + 2) + 2). NaN for -inf, as PyTorch has it.
fn wt_mish_f32(x: f32) -> f32 {
    let large = wt_exp_minus_f32(wt_abs_f32(select(x, 0.0f, wt_isnan_f32(x))));
    let small = large * 5.42101086e-20f;
    let product = small * (small + 2.0f);
    let negative = (x * select(large, 0.0f, wt_isinf_f32(x)) * (small + 2.0f) / (product + 2.0f)) * 5.42101086e-20f;
    // With e = e^-x it is (1 + 2 e) / (1 + 2 e + 2 e^2).
    let above = 1.0f + 2.0f * small;
    let positive = x * (above / (above + 2.0f * small * small));
    return select(select(positive, x, wt_isinf_f32(x)), negative, wt_signbit_f32(x));
}

// log(1 + e^x) without overflow.
fn wt_softplus_f32(x: f32) -> f32 {
    return wt_maximum_f32(x, 0.0f) + wt_log1p_f32(wt_exp_f32(-wt_abs_f32(x)));
}

fn wt_logsigmoid_f32(x: f32) -> f32 { return -wt_softplus_f32(-x); }

// ---- error function -------------------------------------------------------------------------------------------------

// erf(x) for |x| <= 1; 2^-29.
fn wt_erf_core_f32(x: f32) -> f32 {
    let z = x * x;
    return x + x * (0.128379166f + z * (-0.376126289f + z * (0.112836175f + z * (-0.0268550739f
        + z * (0.0051906053f + z * (-0.000802942435f + z * 7.91536731e-05f))))));
}

// erfc(x) for x in [0.5, 10.1]: e^(-x^2) times a polynomial in (x - 2) / (x + 2) over 1 + 2x; 2^-27.
fn wt_erfc_core_f32(x: f32) -> f32 {
    let q = (x - 2.0f) / (x + 2.0f);
    let p = 1.27697837f + q * (-0.0927638039f + q * (-0.166030392f + q * (0.164049566f + q * (-0.0542154163f
        + q * (-0.00801048242f + q * (0.00867383741f + q * (0.00115609006f + q * (-0.00128287706f
        + q * -0.000230179896f))))))));
    // x^2 in two parts: the square of the leading 12 bits is exact. 2^32 keeps the factors out of the denormals.
    let lead = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
    return wt_exp_scaled_f32(-lead * lead, -(x - lead) * (x + lead), 32) * (p / (1.0f + 2.0f * x)) * 2.32830644e-10f;
}

fn wt_erf_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let far = 1.0f - wt_erfc_core_f32(clamp(size, 0.5f, 5.0f));
    // Near 0 one product, so that no part of it is a denormal.
    let near = select(wt_erf_core_f32(x), x * 1.12837917f, size < 0.0001f);
    let y = select(wt_copysign_f32(far, x), near, size < 1.0f);
    return select(y, x, wt_isnan_f32(x));
}

fn wt_erfc_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let far = wt_erfc_core_f32(clamp(size, 0.5f, 10.1f));
    let y = select(select(far, 2.0f - far, wt_signbit_f32(x)), 1.0f - wt_erf_core_f32(x), size < 0.5f);
    return select(y, x, wt_isnan_f32(x));
}

// ---- powers ---------------------------------------------------------------------------------------------------------

// base^exponent for a finite base > 0 other than 1 and a finite exponent other than 0.
// The logarithm is taken in integers with about 31 significant bits, so y * log2(x) is good to 2^-24 even where it is
// near 128, and 2^t is rounded once: results that are representable come out exact.
fn wt_pow_core_f32(base: f32, power: f32) -> f32 {
    // base = m * 2^e with m in [sqrt(1/2), sqrt(2)); log2(m) = 2 atanh(s) / ln 2 with s = (m - 1) / (m + 1).
    let significand = wt_significand_f32(base);
    let high = significand > 11863283u;
    let one = select(0x800000u, 0x1000000u, high);
    let e = wt_exponent_f32(base) + select(23, 24, high);
    let below = significand < one;
    let numerator = select(significand - one, one - significand, below);
    let denominator = significand + one;
    var upper = 0u;
    var lower = 0u;
    var k = 2u;
    if (numerator != 0u) {
        // quotient * 2^-32 * 2^-k = numerator / denominator, quotient in [2^31, 2^32).
        k = countLeadingZeros(numerator) - 7u;
        k -= u32((numerator << k) >= denominator);
        let dividend = numerator << k;
        let digit = u32(f32(dividend) / f32(denominator) * 65536.0f);
        let remainder = bitcast<i32>((dividend << 16u) - digit * denominator);
        let fine = i32(wt_round_f32(f32(remainder) / f32(denominator) * 65536.0f));
        let quotient = bitcast<u32>(bitcast<i32>(digit << 16u) + fine);
        // P = atanh(s) / s - 1 = s^2/3 + s^4/5 + ..., s^2 <= 0.0295, held in units of 2^-37.
        let s = quotient >> (k - 2u);
        let square = wt_multiply_high_u32(s, s) << 1u;
        let z = square >> 5u;
        var p = 477218588u + wt_multiply_high_u32(z, 398602000u);
        p = 613566757u + wt_multiply_high_u32(z, p);
        p = 858993459u + wt_multiply_high_u32(z, p);
        p = 1431655765u + wt_multiply_high_u32(z, p);
        p = wt_multiply_high_u32(square, p);
        // 3098164009 is 2^32 / (2 ln 2): |log2(m)| = upper.lower * 2^-30 * 2^-k.
        upper = wt_multiply_high_u32(quotient, 3098164009u);
        lower = quotient * 3098164009u;
        upper += wt_multiply_high_u32(upper, p) >> 5u;
    }
    var unit = -30 - bitcast<i32>(k);
    var negative = below;
    if (e != 0) {
        let whole = bitcast<u32>(abs(e));
        let places = countLeadingZeros(whole) - 1u;
        let shift = 30u + k - places;
        if (shift >= 32u) {
            lower = upper >> (shift - 32u);
            upper = 0u;
        } else {
            lower = (upper << (32u - shift)) | (lower >> shift);
            upper = upper >> shift;
        }
        negative = e < 0;
        if (negative != below) {
            upper = ~upper + u32(lower == 0u);
            lower = ~lower + 1u;
        }
        upper += whole << places;
        unit = -bitcast<i32>(places);
    }
    let leading = countLeadingZeros(upper) & 31u;
    let logarithm = (upper << leading) | ((lower >> 1u) >> (31u - leading));
    // |y * log2(x)| = upper.lower * 2^unit.
    let factor = wt_significand_f32(power) << 8u;
    upper = wt_multiply_high_u32(logarithm, factor);
    lower = logarithm * factor;
    unit += wt_exponent_f32(power) - bitcast<i32>(leading) + 24;
    negative = negative != wt_signbit_f32(power);
    if (unit > -23) { return select(wt_infinity_f32(), 0.0f, negative); }
    if (unit < -60) { return 1.0f; }
    let right = bitcast<u32>(-unit);
    var n = 0;
    var fraction = 0u;
    if (right >= 32u) {
        fraction = upper >> (right - 32u);
    } else {
        n = bitcast<i32>(upper >> right);
        fraction = (upper << (32u - right)) | (lower >> right);
    }
    if (negative) {
        n = -n - i32(fraction != 0u);
        fraction = ~fraction + 1u;
    }
    // 2^(fraction) = 1 + ln 2 * fraction + t^2 * (...), the first two terms in units of 2^-30. To keep t small the
    // upper half of the range counts down from the next integer.
    let down = fraction >= 0x80000000u;
    n += i32(down);
    let size = select(fraction, ~fraction + 1u, down);
    let t = select(1.0f, -1.0f, down) * f32(size >> 1u) * 4.65661287e-10f;
    // (2^t - 1 - t ln 2) / t^2 for |t| <= 0.5, from the fit in wt_exp2_f32; 2^-31.
    let curve = t * t * (0.240226507f + t * (0.0555040613f + t * (0.0096180886f
        + t * (0.0013336601f + t * (0.000154514753f + t * 1.46981401e-05f)))));
    // 2977044472 is ln 2 * 2^32.
    let slope = bitcast<i32>((wt_multiply_high_u32(size, 2977044472u) + 2u) >> 2u);
    let value = 0x40000000 + select(slope, -slope, down) + i32(curve * 1073741824.0f + 0.5f);
    if (n >= 130) { return wt_infinity_f32(); }
    if (n <= -152) { return 0.0f; }
    if (n < -125) {
        // A denormal is rounded here, once, from the integer.
        let drop = u32(-n - 119);
        let bits = bitcast<u32>(value);
        let kept = (bits >> 1u) >> (drop - 1u);
        let rest = bits & ((2u << (drop - 1u)) - 1u);
        let middle = 1u << (drop - 1u);
        return bitcast<f32>(kept + u32((rest > middle) | ((rest == middle) & ((kept & 1u) == 1u))));
    }
    return wt_scale_f32(wt_cast_u32_f32(bitcast<u32>(value)), n - 30);
}

// Every special case as in C: x^0 = 1^y = 1 even for NaN, (-1)^inf = 1, a negative base needs an integer exponent.
fn wt_pow_f32(x: f32, y: f32) -> f32 {
    let base = wt_magnitude_f32(x);
    let power = wt_magnitude_f32(y);
    let exponent = (power >> 23u);
    // Bits of y below its units: none from 2^23 on; the unit bit itself says odd, up to 2^24.
    let below_units = clamp(150u - min(exponent, 150u), 0u, 31u);
    let significand = (power & 0x7fffffu) | 0x800000u;
    let integer = (exponent >= 127u) & ((significand & ((1u << below_units) - 1u)) == 0u);
    let odd = integer & (exponent <= 150u) & (((significand >> below_units) & 1u) == 1u);
    let sign = select(0u, 0x80000000u, wt_signbit_f32(x) & odd);
    if ((power == 0u) | (bitcast<u32>(x) == 0x3f800000u)) { return 1.0f; }
    if ((base > 0x7f800000u) | (power > 0x7f800000u)) { return wt_nan_f32(); }
    let infinite = power == 0x7f800000u;
    if (base == 0x3f800000u) {
        return select(wt_nan_f32(), bitcast<f32>(0x3f800000u | sign), integer | infinite);
    }
    if ((base == 0u) | (base == 0x7f800000u) | infinite) {
        let grows = (base > 0x3f800000u) != wt_signbit_f32(y);
        return bitcast<f32>(select(0u, WT_INFINITY, grows) | select(sign, 0u, infinite));
    }
    if (wt_signbit_f32(x) & !integer) { return wt_nan_f32(); }
    return bitcast<f32>(bitcast<u32>(wt_pow_core_f32(bitcast<f32>(base), y)) | sign);
}

// ---- sixteen-bit floats ---------------------------------------------------------------------------------------------

// The 16 bits of the float16 nearest to x (ties to even); overflow gives infinity, NaN stays NaN.
fn wt_f16_pack_f32(x: f32) -> u32 {
    let magnitude = wt_magnitude_f32(x);
    let sign = (bitcast<u32>(x) >> 16u) & 0x8000u;
    let normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u;
    // Below 2^-14 the result is a multiple of 2^-24.
    let significand = (magnitude & 0x7fffffu) | 0x800000u;
    let shift = clamp(126u - min(magnitude >> 23u, 112u), 14u, 25u);
    let kept = significand >> shift;
    let rest = significand & ((1u << shift) - 1u);
    let middle = 1u << (shift - 1u);
    let small = kept + u32((rest > middle) | ((rest == middle) & ((kept & 1u) == 1u)));
    var bits = select(normal, small, magnitude < 0x38800000u);
    bits = select(bits, 0x7c00u, magnitude >= 0x47800000u);
    bits = select(bits, 0x7e00u | ((magnitude >> 13u) & 0x1ffu), magnitude > 0x7f800000u);
    return bits | sign;
}

fn wt_f16_unpack_u32(bits: u32) -> f32 {
    let sign = (bits & 0x8000u) << 16u;
    let magnitude = bits & 0x7fffu;
    let normal = (magnitude << 13u) + select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
    // A denormal is a multiple of 2^-24, normalised by its leading zeros.
    let leading = countLeadingZeros(magnitude) & 31u;
    let small = ((133u - leading) << 23u) + ((magnitude << leading) >> 8u);
    let value = select(normal, select(small, 0u, magnitude == 0u), magnitude < 0x400u);
    return bitcast<f32>(value | sign);
}

fn wt_f16_round_f32(x: f32) -> f32 { return wt_f16_unpack_u32(wt_f16_pack_f32(x)); }

fn wt_bf16_pack_f32(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let nearest = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
    return select(nearest, (bits >> 16u) | 0x40u, wt_isnan_f32(x));
}

fn wt_bf16_unpack_u32(bits: u32) -> f32 { return bitcast<f32>(bits << 16u); }

fn wt_bf16_round_f32(x: f32) -> f32 { return wt_bf16_unpack_u32(wt_bf16_pack_f32(x)); }

// The bits of a 16-bit float's neighbour in the direction of y; wrong where x equals y, and for NaN.
fn wt_sixteen_step_f32(bits: u32, x: f32, y: f32) -> u32 {
    let away = wt_signbit_f32(x) == (wt_order_f32(y) < wt_order_f32(x));
    let next = select(bits - 1u, bits + 1u, away);
    return select(next, ((bitcast<u32>(y) >> 16u) & 0x8000u) | 1u, (bits & 0x7fffu) == 0u);
}

fn wt_f16_nextafter_f32(x: f32, y: f32) -> f32 {
    let next = wt_f16_unpack_u32(wt_sixteen_step_f32(wt_f16_pack_f32(x), x, y));
    return select(select(next, y, wt_order_f32(x) == wt_order_f32(y)), wt_nan_f32(), wt_unordered_f32(x, y));
}

fn wt_bf16_nextafter_f32(x: f32, y: f32) -> f32 {
    let next = wt_bf16_unpack_u32(wt_sixteen_step_f32(wt_bf16_pack_f32(x), x, y));
    return select(select(next, y, wt_order_f32(x) == wt_order_f32(y)), wt_nan_f32(), wt_unordered_f32(x, y));
}

// ---- random bits ----------------------------------------------------------------------------------------------------

fn wt_rotate_left_u32(x: u32, count: u32) -> u32 { return (x << count) | (x >> (32u - count)); }

// One round of threefry.
fn wt_threefry_mix_u32(x: vec2<u32>, rotation: u32) -> vec2<u32> {
    let sum = x.x + x.y;
    return vec2<u32>(sum, wt_rotate_left_u32(x.y, rotation) ^ sum);
}

// Threefry-2x32 with 20 rounds: two random words from a counter c and a key k. Salmon, Moraes, Dror and Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
fn wt_threefry_u32(c0: u32, c1: u32, k0: u32, k1: u32) -> vec2<u32> {
    let k2 = 0x1bd11bdau ^ k0 ^ k1;
    var x = vec2<u32>(c0 + k0, c1 + k1);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 13u), 15u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 26u), 6u) + vec2<u32>(k1, k2 + 1u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 17u), 29u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 16u), 24u) + vec2<u32>(k2, k0 + 2u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 13u), 15u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 26u), 6u) + vec2<u32>(k0, k1 + 3u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 17u), 29u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 16u), 24u) + vec2<u32>(k1, k2 + 4u);
    x = wt_threefry_mix_u32(wt_threefry_mix_u32(x, 13u), 15u);
    return wt_threefry_mix_u32(wt_threefry_mix_u32(x, 26u), 6u) + vec2<u32>(k2, k0 + 5u);
}
