// Arithmetic of float64, for adapters with 64-bit floats and 64-bit integers, as pure functions without bindings.
//
// The builtins exp, log, sin and their like are silently wrong in f64 on some drivers, so nothing here calls them. What
// is trusted is + - * / sqrt and conversions of integers that fit. The rules are those of prelude.wgsl; numbers are
// taken apart through bitcast<i64>.

var<private> WT_INFINITY_64: i64 = 0x7ff0000000000000li;
var<private> WT_NAN_64: i64 = 0x7ff8000000000000li;

fn wt_infinity_f64() -> f64 { return bitcast<f64>(WT_INFINITY_64); }
fn wt_nan_f64() -> f64 { return bitcast<f64>(WT_NAN_64); }

// ---- bits -----------------------------------------------------------------------------------------------------------

fn wt_magnitude_f64(x: f64) -> i64 { return bitcast<i64>(x) & 0x7fffffffffffffffli; }
fn wt_signbit_f64(x: f64) -> bool { return bitcast<i64>(x) < 0li; }

fn wt_isnan_f64(x: f64) -> bool { return wt_magnitude_f64(x) > 0x7ff0000000000000li; }
fn wt_isinf_f64(x: f64) -> bool { return wt_magnitude_f64(x) == 0x7ff0000000000000li; }
fn wt_isfinite_f64(x: f64) -> bool { return wt_magnitude_f64(x) < 0x7ff0000000000000li; }
fn wt_isposinf_f64(x: f64) -> bool { return wt_isinf_f64(x) & !wt_signbit_f64(x); }
fn wt_isneginf_f64(x: f64) -> bool { return wt_isinf_f64(x) & wt_signbit_f64(x); }

// |x| with the sign of y.
fn wt_copysign_f64(x: f64, y: f64) -> f64 {
    let size = wt_magnitude_f64(x);
    // The sign bit alone is the smallest i64.
    return bitcast<f64>(select(size, size | (-0x7fffffffffffffffli - 1li), wt_signbit_f64(y)));
}

fn wt_abs_f64(x: f64) -> f64 { return bitcast<f64>(wt_magnitude_f64(x)); }
fn wt_neg_f64(x: f64) -> f64 { return bitcast<f64>(bitcast<i64>(x) ^ (-0x7fffffffffffffffli - 1li)); }

// An integer that orders the numbers as floats are ordered, with -0 equal to +0. Says nothing about NaN.
fn wt_order_f64(x: f64) -> i64 {
    let size = wt_magnitude_f64(x);
    return select(size, 0li - size, wt_signbit_f64(x));
}

// The same with -0 below +0.
fn wt_total_order_f64(x: f64) -> i64 {
    return bitcast<i64>(x) ^ select(0li, 0x7fffffffffffffffli, wt_signbit_f64(x));
}

// The same with every NaN above infinity.
fn wt_sort_key_f64(x: f64) -> i64 { return select(wt_total_order_f64(x), 0x7fffffffffffffffli, wt_isnan_f64(x)); }

fn wt_unordered_f64(x: f64, y: f64) -> bool { return wt_isnan_f64(x) | wt_isnan_f64(y); }

fn wt_eq_f64(x: f64, y: f64) -> bool { return (wt_order_f64(x) == wt_order_f64(y)) & !wt_unordered_f64(x, y); }
fn wt_ne_f64(x: f64, y: f64) -> bool { return (wt_order_f64(x) != wt_order_f64(y)) | wt_unordered_f64(x, y); }
fn wt_lt_f64(x: f64, y: f64) -> bool { return (wt_order_f64(x) < wt_order_f64(y)) & !wt_unordered_f64(x, y); }
fn wt_le_f64(x: f64, y: f64) -> bool { return (wt_order_f64(x) <= wt_order_f64(y)) & !wt_unordered_f64(x, y); }
fn wt_gt_f64(x: f64, y: f64) -> bool { return (wt_order_f64(x) > wt_order_f64(y)) & !wt_unordered_f64(x, y); }
fn wt_ge_f64(x: f64, y: f64) -> bool { return (wt_order_f64(x) >= wt_order_f64(y)) & !wt_unordered_f64(x, y); }

// NaN wins in maximum and minimum, and loses in fmax and fmin.
fn wt_maximum_f64(x: f64, y: f64) -> f64 {
    let larger = select(x, y, wt_total_order_f64(y) > wt_total_order_f64(x));
    return select(select(larger, y, wt_isnan_f64(y)), x, wt_isnan_f64(x));
}

fn wt_minimum_f64(x: f64, y: f64) -> f64 {
    let smaller = select(x, y, wt_total_order_f64(y) < wt_total_order_f64(x));
    return select(select(smaller, y, wt_isnan_f64(y)), x, wt_isnan_f64(x));
}

fn wt_fmax_f64(x: f64, y: f64) -> f64 {
    let larger = select(x, y, wt_total_order_f64(y) > wt_total_order_f64(x));
    return select(select(larger, x, wt_isnan_f64(y)), y, wt_isnan_f64(x));
}

fn wt_fmin_f64(x: f64, y: f64) -> f64 {
    let smaller = select(x, y, wt_total_order_f64(y) < wt_total_order_f64(x));
    return select(select(smaller, x, wt_isnan_f64(y)), y, wt_isnan_f64(x));
}

// x, unless it lies beyond the bound: a zero of either sign keeps its sign where the bound is 0. NaN wins.
fn wt_at_least_f64(x: f64, lowest: f64) -> f64 {
    return select(x, lowest, !wt_isnan_f64(x) & (wt_isnan_f64(lowest) | (wt_order_f64(x) < wt_order_f64(lowest))));
}

fn wt_at_most_f64(x: f64, highest: f64) -> f64 {
    return select(x, highest, !wt_isnan_f64(x) & (wt_isnan_f64(highest) | (wt_order_f64(x) > wt_order_f64(highest))));
}

// Where lowest > highest the result is highest, as in PyTorch.
fn wt_clamp_f64(x: f64, lowest: f64, highest: f64) -> f64 {
    return wt_at_most_f64(wt_at_least_f64(x, lowest), highest);
}

fn wt_relu_f64(x: f64) -> f64 { return select(x, 0.0lf, (wt_order_f64(x) < 0li) & !wt_isnan_f64(x)); }

// PyTorch gives 0 for NaN.
fn wt_sign_f64(x: f64) -> f64 {
    let order = wt_order_f64(x);
    return select(f64(i32(order > 0li) - i32(order < 0li)), 0.0lf, wt_isnan_f64(x));
}

fn wt_heaviside_f64(x: f64, value_at_zero: f64) -> f64 {
    return select(select(0.0lf, 1.0lf, wt_gt_f64(x, 0.0lf)), value_at_zero, wt_magnitude_f64(x) == 0li);
}

fn wt_nan_to_num_f64(x: f64, nan: f64, positive_infinity: f64, negative_infinity: f64) -> f64 {
    let finite = select(select(x, positive_infinity, wt_isposinf_f64(x)), negative_infinity, wt_isneginf_f64(x));
    return select(finite, nan, wt_isnan_f64(x));
}

fn wt_nextafter_f64(x: f64, y: f64) -> f64 {
    let bits = bitcast<i64>(x);
    let away = wt_signbit_f64(x) == (wt_order_f64(y) < wt_order_f64(x));
    var next = bitcast<f64>(bits + select(-1li, 1li, away));
    next = select(next, wt_copysign_f64(bitcast<f64>(1li), y), wt_magnitude_f64(x) == 0li);
    let moved = select(next, y, wt_order_f64(x) == wt_order_f64(y));
    return select(moved, wt_nan_f64(), wt_unordered_f64(x, y));
}

// ---- rounding to integers -------------------------------------------------------------------------------------------

// The digits behind the point are masked away.
fn wt_trunc_f64(x: f64) -> f64 {
    let exponent = i32(wt_magnitude_f64(x) >> 52u) - 1023;
    let behind = u32(clamp(52 - exponent, 0, 52));
    let cut = wt_copysign_f64(bitcast<f64>((wt_magnitude_f64(x) >> behind) << behind), x);
    return select(select(cut, wt_copysign_f64(0.0lf, x), exponent < 0), x, exponent >= 52);
}

fn wt_floor_f64(x: f64) -> f64 {
    let cut = wt_trunc_f64(x);
    return select(cut, cut - 1.0lf, wt_lt_f64(x, cut));
}

fn wt_ceil_f64(x: f64) -> f64 {
    let cut = wt_trunc_f64(x);
    return select(cut, wt_copysign_f64(cut + 1.0lf, x), wt_gt_f64(x, cut));
}

// Halves go to the even neighbour.
fn wt_round_f64(x: f64) -> f64 {
    let whole = wt_abs_f64(wt_trunc_f64(x));
    let rest = wt_abs_f64(x) - whole;
    let odd = wt_trunc_f64(whole * 0.5lf) * 2.0lf != whole;
    let up = (rest > 0.5lf) | ((rest == 0.5lf) & odd);
    let y = wt_copysign_f64(select(whole, whole + 1.0lf, up), x);
    return select(x, y, wt_magnitude_f64(x) < 0x4330000000000000li);
}

// Infinity has no fraction: NaN.
fn wt_frac_f64(x: f64) -> f64 { return select(wt_nan_f64(), x - wt_trunc_f64(x), wt_isfinite_f64(x)); }

// ---- quotients and remainders ---------------------------------------------------------------------------------------

fn wt_divide_f64(x: f64, y: f64) -> f64 { return x / y; }
fn wt_reciprocal_f64(x: f64) -> f64 { return 1.0lf / x; }

fn wt_sqrt_f64(x: f64) -> f64 {
    let edge = (wt_magnitude_f64(x) == 0li) | wt_isnan_f64(x) | wt_isposinf_f64(x);
    let root = sqrt(select(x, 1.0lf, edge | wt_signbit_f64(x)));
    return select(select(root, wt_nan_f64(), wt_signbit_f64(x)), x, edge);
}

fn wt_rsqrt_f64(x: f64) -> f64 { return 1.0lf / wt_sqrt_f64(x); }

// The 53-bit significand and the exponent of a finite x other than 0: |x| = significand * 2^exponent.
fn wt_significand_f64(x: f64) -> u64 {
    let size = wt_magnitude_f64(x);
    let digits = u64(size & 0xfffffffffffffli);
    return select(digits | 0x10000000000000lu, digits, size < 0x10000000000000li);
}

fn wt_exponent_f64(x: f64) -> i32 { return max(i32(wt_magnitude_f64(x) >> 52u), 1) - 1075; }

// x * 2^steps with one rounding for |x| in [2^-60, 2^60].
fn wt_scale_f64(x: f64, steps: i32) -> f64 {
    let bounded = clamp(steps, -2000, 2000);
    let half = bounded >> 1u;
    let first = bitcast<f64>(i64(half + 1023) << 52u);
    let second = bitcast<f64>(i64(bounded - half + 1023) << 52u);
    return (x * first) * second;
}

// x - y * trunc(x / y) without any rounding; the sign of x. Takes up to 190 turns of a loop when x is far above y.
fn wt_fmod_f64(x: f64, y: f64) -> f64 {
    if (!wt_isfinite_f64(x) | wt_isnan_f64(y) | (wt_magnitude_f64(y) == 0li)) { return wt_nan_f64(); }
    if (wt_magnitude_f64(x) < wt_magnitude_f64(y)) { return x; }
    let divisor = wt_significand_f64(y);
    let exponent = wt_exponent_f64(y);
    var rest = wt_significand_f64(x) % divisor;
    // Eleven bits at a time: a rest below 2^53 may be shifted by eleven.
    var steps = wt_exponent_f64(x) - exponent;
    while (steps > 0) {
        rest = (rest << u32(min(steps, 11))) % divisor;
        steps -= 11;
    }
    return wt_copysign_f64(wt_scale_f64(f64(i64(rest)), exponent), x);
}

// x - y * floor(x / y), as Python's % : the sign of y. A zero keeps the sign of x, as in PyTorch.
fn wt_remainder_f64(x: f64, y: f64) -> f64 {
    let rest = wt_fmod_f64(x, y);
    let other = (wt_magnitude_f64(rest) != 0li) & (wt_signbit_f64(rest) != wt_signbit_f64(y));
    return select(rest, rest + y, other);
}

// The quotient rounded down, made from the exact remainder as PyTorch does; x / 0 is infinite or NaN.
fn wt_floor_divide_f64(x: f64, y: f64) -> f64 {
    if (wt_magnitude_f64(y) == 0li) { return x / y; }
    let rest = wt_fmod_f64(x, y);
    var quotient = (x - rest) / y;
    if ((wt_magnitude_f64(rest) != 0li) & (wt_signbit_f64(rest) != wt_signbit_f64(y))) { quotient -= 1.0lf; }
    if (wt_magnitude_f64(quotient) == 0li) { return wt_copysign_f64(0.0lf, x / y); }
    let down = wt_floor_f64(quotient);
    return select(down, down + 1.0lf, quotient - down > 0.5lf);
}

// The quotient rounded towards zero, as PyTorch's division with that rounding mode.
fn wt_trunc_divide_f64(x: f64, y: f64) -> f64 { return wt_trunc_f64(x / y); }

// ---- conversions ----------------------------------------------------------------------------------------------------

fn wt_cast_f32_f64(x: f32) -> f64 { return f64(x); }
fn wt_cast_i32_f64(x: i32) -> f64 { return f64(x); }
fn wt_cast_u32_f64(x: u32) -> f64 { return f64(i32(x >> 16u)) * 65536.0lf + f64(i32(x & 0xffffu)); }

// The upper and the lower half are exact, so only their sum is rounded.
fn wt_cast_i64_f64(x: i64) -> f64 { return f64(i32(x >> 32u)) * 4294967296.0lf + wt_cast_u32_f64(u32(x & 0xffffffffli)); }

// The nearest float32, ties to even; put together from bits.
fn wt_cast_f64_f32(x: f64) -> f32 {
    let size = wt_magnitude_f64(x);
    let exponent = i32(size >> 52u) - 1023;
    let digits = (size & 0xfffffffffffffli) | 0x10000000000000li;
    // 29 digits go, and more below 2^-126.
    let drop = u32(clamp(29 + max(-126 - exponent, 0), 29, 55));
    let kept = digits >> drop;
    let rest = digits & ((1li << drop) - 1li);
    let middle = 1li << (drop - 1u);
    let up = (rest > middle) | ((rest == middle) & ((kept & 1li) == 1li));
    var bits = u32(kept & 0xffffffli) + u32(up) + (u32(max(exponent + 126, 0)) << 23u);
    bits = select(bits, 0x7f800000u, exponent >= 128);
    bits = select(bits, 0x7fc00000u, size > 0x7ff0000000000000li);
    return bitcast<f32>(bits | select(0u, 0x80000000u, wt_signbit_f64(x)));
}

// Towards zero. NaN, infinity and what does not fit give the smallest integer, as PyTorch does on x86.
fn wt_cast_f64_i64(x: f64) -> i64 {
    let exponent = i32(wt_magnitude_f64(x) >> 52u) - 1075;
    let digits = (wt_magnitude_f64(x) & 0xfffffffffffffli) | 0x10000000000000li;
    let left = digits << u32(clamp(exponent, 0, 10));
    let right = digits >> u32(clamp(-exponent, 0, 63));
    let size = select(right, left, exponent >= 0);
    return select(select(size, 0li - size, wt_signbit_f64(x)), -0x7fffffffffffffffli - 1li, exponent > 10);
}

fn wt_cast_f64_i32(x: f64) -> i32 {
    let whole = wt_cast_f64_i64(x);
    let fits = (whole >= -2147483648li) & (whole <= 2147483647li);
    return bitcast<i32>(select(0x80000000u, u32(whole & 0xffffffffli), fits));
}

// Modulo 2^32; 0 for NaN, infinity and what does not fit 64 bits.
fn wt_cast_f64_u32(x: f64) -> u32 { return u32(wt_cast_f64_i64(x) & 0xffffffffli); }

// ---- exponentials and logarithms ------------------------------------------------------------------------------------

// e^(whole - rest) - 1 for |whole - rest| <= 0.347; 2^-59. The rest is subtracted last: whole alone is exact.
fn wt_exp_core_f64(whole: f64, rest: f64) -> f64 {
    let r = whole - rest;
    let p = 0.5lf + r * (0.1666666666666667lf + r * (0.04166666666666667lf + r * (0.008333333333326087lf
        + r * (0.0013888888888883713lf + r * (0.0001984126987499051lf + r * (2.4801587325669058e-05lf
        + r * (2.755725518490137e-06lf + r * (2.755727348935914e-07lf + r * (2.5105306538858238e-08lf
        + r * 2.0914750905027345e-09lf)))))))));
    return whole + (r * r * p - rest);
}

// e^(x + rest) for |x| <= 1500 and a small rest. 0.6931471803691238 has 32 bits, so its product with n is exact.
fn wt_exp_sum_f64(x: f64, rest: f64) -> f64 {
    let n = wt_round_f64((x + rest) * 1.4426950408889634lf);
    let core = wt_exp_core_f64(x - n * 0.6931471803691238lf, n * 1.9082149292705877e-10lf - rest);
    return wt_scale_f64(1.0lf + core, wt_cast_f64_i32(n));
}

fn wt_exp_f64(x: f64) -> f64 {
    let bounded = wt_clamp_f64(select(x, 0.0lf, wt_isnan_f64(x)), -760.0lf, 720.0lf);
    return select(wt_exp_sum_f64(bounded, 0.0lf), x, wt_isnan_f64(x));
}

fn wt_expm1_f64(x: f64) -> f64 {
    let bounded = wt_clamp_f64(select(x, 0.0lf, wt_isnan_f64(x)), -50.0lf, 720.0lf);
    let n = wt_round_f64(bounded * 1.4426950408889634lf);
    let steps = wt_cast_f64_i32(n);
    let core = wt_exp_core_f64(bounded - n * 0.6931471803691238lf, n * 1.9082149292705877e-10lf);
    let y = wt_scale_f64(core + (1.0lf - wt_scale_f64(1.0lf, -steps)), steps);
    return select(y, x, wt_isnan_f64(x) | (wt_abs_f64(x) < 1.0e-17lf));
}

// log(1 + f) - f with f in [sqrt(1/2) - 1, sqrt(2) - 1], by s = f / (2 + f); 2^-58.
fn wt_log_core_f64(f: f64) -> f64 {
    let s = f / (2.0lf + f);
    let z = s * s;
    let half = 0.5lf * f * f;
    return s * (half + wt_log_series_f64(z)) - half;
}

// log((1 + s) / (1 - s)) / s - 2, in z = s^2 <= 0.0295; 2^-58.
fn wt_log_series_f64(z: f64) -> f64 {
    return z * (0.6666666666666666lf + z * (0.4000000000000088lf + z * (0.28571428570801954lf
        + z * (0.22222222392089008lf + z * (0.18181795600060793lf + z * (0.15386241881938595lf
        + z * (0.13268714792348096lf + z * 0.1308723619665962lf)))))));
}

// e with x = 2^e m and m in [sqrt(1/2), sqrt(2)), for a positive finite x; 0x3fe6a09e667f3bcd is sqrt(1/2).
fn wt_log_exponent_f64(x: f64) -> i32 {
    let denormal = wt_magnitude_f64(x) < 0x10000000000000li;
    let bits = bitcast<i64>(select(x, x * 18014398509481984.0lf, denormal));
    return i32((bits - 0x3fe6a09e667f3bcdli) >> 52u) - select(0, 54, denormal);
}

// m of the same.
fn wt_log_fraction_f64(x: f64) -> f64 { return wt_scale_f64(x, -wt_log_exponent_f64(x)); }

// The results shared by the logarithms: NaN for NaN and negative numbers, -inf for 0, inf for inf.
fn wt_log_edge_f64(x: f64, y: f64) -> f64 {
    let edge = select(select(y, x, wt_isposinf_f64(x)), -wt_infinity_f64(), wt_magnitude_f64(x) == 0li);
    return select(edge, wt_nan_f64(), wt_isnan_f64(x) | (wt_order_f64(x) < 0li));
}

fn wt_log_f64(x: f64) -> f64 {
    let f = wt_log_fraction_f64(x) - 1.0lf;
    let e = f64(wt_log_exponent_f64(x));
    return wt_log_edge_f64(x, ((e * 1.9082149292705877e-10lf + wt_log_core_f64(f)) + f) + e * 0.6931471803691238lf);
}

fn wt_log2_f64(x: f64) -> f64 {
    let f = wt_log_fraction_f64(x) - 1.0lf;
    let e = f64(wt_log_exponent_f64(x));
    let rest = wt_log_core_f64(f) * 1.4426950408889634lf + f * 0.4426950408889634lf;
    return wt_log_edge_f64(x, (rest + f) + e);
}

fn wt_log10_f64(x: f64) -> f64 {
    let f = wt_log_fraction_f64(x) - 1.0lf;
    let e = f64(wt_log_exponent_f64(x));
    // 0.3010299955494702 has 32 bits.
    let rest = wt_log_core_f64(f) * 0.4342944819032518lf + f * 0.4342944819032518lf;
    return wt_log_edge_f64(x, (e * 1.1451100898021838e-10lf + rest) + e * 0.3010299955494702lf);
}

fn wt_log1p_f64(x: f64) -> f64 {
    let close = (x > -0.29lf) & (x < 0.41lf);
    // Two bits of x are set aside, so that 1 + x is exact (below -0.5 it is anyway).
    let lead = bitcast<f64>(bitcast<i64>(x) & select(-4li, -1li, x < -0.5lf));
    let u = 1.0lf + lead;
    let steps = select(wt_log_exponent_f64(u), 0, close);
    let m = wt_scale_f64(u, -steps) - 1.0lf;
    let f = select(m + wt_scale_f64(x - lead, -steps), x, close);
    let e = f64(steps);
    let y = ((e * 1.9082149292705877e-10lf + wt_log_core_f64(f)) + f) + e * 0.6931471803691238lf;
    let edge = select(select(y, x, wt_isposinf_f64(x) | (wt_abs_f64(x) < 1.0e-17lf)), -wt_infinity_f64(), x == -1.0lf);
    return select(edge, wt_nan_f64(), wt_isnan_f64(x) | wt_lt_f64(x, -1.0lf));
}

// x cut to its leading 26 bits, so that a product of two such numbers is exact.
fn wt_lead_f64(x: f64) -> f64 { return bitcast<f64>(bitcast<i64>(x) & -134217728li); }

// base^power for a finite base > 0 other than 1 and a finite power other than 0; the logarithm in two parts.
fn wt_pow_core_f64(base: f64, power: f64) -> f64 {
    if (wt_abs_f64(power) > 1.0e20lf) {
        return select(0.0lf, wt_infinity_f64(), (base > 1.0lf) == (power > 0.0lf));
    }
    let f = wt_log_fraction_f64(base) - 1.0lf;
    let e = f64(wt_log_exponent_f64(base));
    let below = 2.0lf + f;
    let s = f / below;
    // s = lead + rest; with an exponent, the lead is cut to a multiple of 2^-28 so that the sum below is exact.
    let lead = select(wt_trunc_f64(s * 268435456.0lf) * 3.7252902984619140625e-09lf, wt_lead_f64(s), e == 0.0lf);
    let wide = wt_lead_f64(below);
    let rest = ((f - lead * wide) - lead * (f - (wide - 2.0lf))) / below;
    let high = e * 0.6931471803691238lf + 2.0lf * lead;
    let low = e * 1.9082149292705877e-10lf + (2.0lf * rest + s * wt_log_series_f64(s * s));
    // power * (high + low), the product of the leading parts exact.
    let a = wt_lead_f64(power);
    let b = wt_lead_f64(high);
    let product = a * b;
    let more = a * (high - b) + (power - a) * high + power * low;
    let sum = product + more;
    if (sum > 720.0lf) { return wt_infinity_f64(); }
    if (sum < -760.0lf) { return 0.0lf; }
    return wt_exp_sum_f64(product, more);
}

// Every special case as in C.
fn wt_pow_f64(x: f64, y: f64) -> f64 {
    let base = wt_magnitude_f64(x);
    let power = wt_magnitude_f64(y);
    let infinite = power == 0x7ff0000000000000li;
    let integer = wt_isfinite_f64(y) & (wt_magnitude_f64(wt_trunc_f64(y)) == power);
    let half = y * 0.5lf;
    let odd = integer & (power < 0x4340000000000000li) & (wt_trunc_f64(half) != half);
    let sign = select(1.0lf, -1.0lf, wt_signbit_f64(x) & odd);
    if ((power == 0li) | (bitcast<i64>(x) == 0x3ff0000000000000li)) { return 1.0lf; }
    if ((base > 0x7ff0000000000000li) | (power > 0x7ff0000000000000li)) { return wt_nan_f64(); }
    if (base == 0x3ff0000000000000li) { return select(wt_nan_f64(), select(sign, 1.0lf, infinite), integer | infinite); }
    if ((base == 0li) | (base == 0x7ff0000000000000li) | infinite) {
        let grows = (base > 0x3ff0000000000000li) != wt_signbit_f64(y);
        let value = select(0.0lf, wt_infinity_f64(), grows);
        return wt_copysign_f64(value, select(sign, 1.0lf, infinite));
    }
    if (wt_signbit_f64(x) & !integer) { return wt_nan_f64(); }
    return wt_copysign_f64(wt_pow_core_f64(bitcast<f64>(base), y), sign);
}

// ---- hyperbolic tangent, logistic -----------------------------------------------------------------------------------

fn wt_tanh_f64(x: f64) -> f64 {
    let t = wt_expm1_f64(2.0lf * wt_minimum_f64(wt_abs_f64(select(x, 0.0lf, wt_isnan_f64(x))), 30.0lf));
    let y = wt_copysign_f64(select(1.0lf - 2.0lf / (t + 2.0lf), t / (t + 2.0lf), t < 1.0lf), x);
    return select(y, x, wt_isnan_f64(x) | (wt_abs_f64(x) < 1.0e-9lf));
}

fn wt_sigmoid_f64(x: f64) -> f64 {
    let small = wt_exp_f64(-wt_abs_f64(x));
    let odds = small / (1.0lf + small);
    return select(1.0lf - odds, small - small * odds, wt_signbit_f64(x));
}

fn wt_softplus_f64(x: f64) -> f64 {
    return wt_maximum_f64(x, 0.0lf) + wt_log1p_f64(wt_exp_f64(-wt_abs_f64(x)));
}

fn wt_logsigmoid_f64(x: f64) -> f64 { return -wt_softplus_f64(-x); }

fn wt_silu_f64(x: f64) -> f64 { return x * wt_sigmoid_f64(x); }

fn wt_mish_f64(x: f64) -> f64 { return x * wt_tanh_f64(wt_softplus_f64(x)); }
