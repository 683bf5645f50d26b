// The arithmetic of complex64: real and imaginary part as two float32. WGSL has no operators for it but + and -, so that
// the others are functions. Branch cuts, signed zeros and infinities are those of C99's annex G and of numpy.

alias c64 = vec2<f32>;

// ---- arithmetic -----------------------------------------------------------------------------------------------------

fn wt_neg_c64(z: c64) -> c64 { return c64(wt_neg_f32(z.x), wt_neg_f32(z.y)); }
fn wt_conj_c64(z: c64) -> c64 { return c64(z.x, wt_neg_f32(z.y)); }
fn wt_mul_c64(a: c64, b: c64) -> c64 { return c64(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
fn wt_square_c64(z: c64) -> c64 { return c64((z.x - z.y) * (z.x + z.y), 2.0f * (z.x * z.y)); }

// i z and -i z.
fn wt_turn_c64(z: c64) -> c64 { return c64(wt_neg_f32(z.y), z.x); }
fn wt_turn_back_c64(z: c64) -> c64 { return c64(z.y, wt_neg_f32(z.x)); }

// Smith's method: scaled by the larger part of the divisor, so that no square overflows.
fn wt_divide_c64(a: c64, b: c64) -> c64 {
    let wide = wt_magnitude_f32(b.x) >= wt_magnitude_f32(b.y);
    let high = select(b.y, b.x, wide);
    let low = select(b.x, b.y, wide);
    if (wt_magnitude_f32(high) == 0u) { return c64(wt_divide_f32(a.x, wt_abs_f32(high)), wt_divide_f32(a.y, wt_abs_f32(high))); }
    let ratio = wt_divide_f32(low, high);
    // A sum of two huge parts would overflow: half of it does not.
    let half = select(1.0f, 0.5f, wt_isfinite_f32(high) & (wt_magnitude_f32(high) >= 0x7f000000u));
    let scale = wt_divide_f32(half, high * half + low * half * ratio);
    let u = select(a.x * ratio + a.y, a.x + a.y * ratio, wide);
    let v = select(a.y * ratio - a.x, a.y - a.x * ratio, wide);
    return c64(u * scale, v * scale);
}

fn wt_reciprocal_c64(z: c64) -> c64 { return wt_divide_c64(c64(1.0f, 0.0f), z); }

// ---- parts and tests ------------------------------------------------------------------------------------------------

fn wt_abs_c64(z: c64) -> f32 { return wt_hypot_f32(z.x, z.y); }
fn wt_angle_c64(z: c64) -> f32 { return wt_atan2_f32(z.y, z.x); }

fn wt_sgn_c64(z: c64) -> c64 {
    let size = wt_hypot_f32(z.x, z.y);
    if (wt_magnitude_f32(size) == 0u) { return c64(); }
    if (wt_isinf_f32(size)) { // the parts are halved, where that helps
        let half = wt_hypot_f32(0.5f * z.x, 0.5f * z.y);
        return c64(wt_divide_f32(0.5f * z.x, half), wt_divide_f32(0.5f * z.y, half));
    }
    return c64(wt_divide_f32(z.x, size), wt_divide_f32(z.y, size));
}

fn wt_eq_c64(a: c64, b: c64) -> bool { return wt_eq_f32(a.x, b.x) & wt_eq_f32(a.y, b.y); }
fn wt_ne_c64(a: c64, b: c64) -> bool { return wt_ne_f32(a.x, b.x) | wt_ne_f32(a.y, b.y); }
fn wt_isnan_c64(z: c64) -> bool { return wt_isnan_f32(z.x) | wt_isnan_f32(z.y); }
fn wt_isinf_c64(z: c64) -> bool { return wt_isinf_f32(z.x) | wt_isinf_f32(z.y); }
fn wt_isfinite_c64(z: c64) -> bool { return wt_isfinite_f32(z.x) & wt_isfinite_f32(z.y); }

// The number of polar form `size`, `angle`.
fn wt_polar_f32(size: f32, angle: f32) -> c64 { return c64(size * wt_cos_f32(angle), size * wt_sin_f32(angle)); }

// ---- roots, exponentials and logarithms -----------------------------------------------------------------------------

fn wt_sqrt_c64(z: c64) -> c64 {
    if ((wt_magnitude_f32(z.x) == 0u) & (wt_magnitude_f32(z.y) == 0u)) { return c64(0.0f, z.y); }
    if (wt_isinf_f32(z.y)) { return c64(wt_infinity_f32(), z.y); }
    if (wt_isnan_f32(z.x) | wt_isnan_f32(z.y)) {
        if (wt_isposinf_f32(z.x)) { return z; }
        return c64(wt_nan_f32(), select(wt_nan_f32(), wt_infinity_f32(), wt_isinf_f32(z.x)));
    }
    if (wt_isposinf_f32(z.x)) { return c64(z.x, wt_copysign_f32(0.0f, z.y)); }
    if (wt_isneginf_f32(z.x)) { return c64(0.0f, wt_copysign_f32(wt_infinity_f32(), z.y)); }
    // Scaled by an even power of two, so that neither the size overflows nor its half is rounded.
    let largest = max(wt_magnitude_f32(z.x), wt_magnitude_f32(z.y));
    var scale = 0;
    if (largest > 0x7e000000u) { scale = -4; }
    if (largest < 0x0d000000u) { scale = 48; }
    let x = wt_scale_f32(z.x, scale);
    let y = wt_scale_f32(z.y, scale);
    let root = wt_sqrt_f32(0.5f * (wt_hypot_f32(x, y) + wt_abs_f32(x)));
    let other = wt_divide_f32(wt_abs_f32(y), 2.0f * root);
    let negative = wt_signbit_f32(x);
    let real = wt_scale_f32(select(root, other, negative), -scale / 2);
    let imag = wt_scale_f32(select(other, root, negative), -scale / 2);
    return c64(real, wt_copysign_f32(imag, z.y));
}

fn wt_rsqrt_c64(z: c64) -> c64 { return wt_reciprocal_c64(wt_sqrt_c64(z)); }

fn wt_exp_c64(z: c64) -> c64 {
    if (wt_magnitude_f32(z.y) == 0u) { return c64(wt_exp_f32(z.x), z.y); }
    if (!wt_isfinite_f32(z.y)) {
        if (wt_isneginf_f32(z.x)) { return c64(); }
        return c64(select(wt_nan_f32(), z.x, wt_isposinf_f32(z.x)), wt_nan_f32());
    }
    if (wt_isneginf_f32(z.x)) { return c64(wt_copysign_f32(0.0f, wt_cos_f32(z.y)), wt_copysign_f32(0.0f, wt_sin_f32(z.y))); }
    // exp(x) may overflow where its product with a small sine does not: then it is multiplied in two steps.
    let large = (z.x > 88.0f) & wt_isfinite_f32(z.x);
    let size = wt_exp_f32(select(z.x, 0.5f * z.x, large));
    let more = select(1.0f, size, large);
    return c64(wt_cos_f32(z.y) * size * more, wt_sin_f32(z.y) * size * more);
}

fn wt_exp2_c64(z: c64) -> c64 {
    if (!wt_isfinite_f32(z.x) | !wt_isfinite_f32(z.y) | (z.x > 127.0f)) { return wt_exp_c64(z * 0.693147181f); }
    if (wt_magnitude_f32(z.y) == 0u) { return c64(wt_exp2_f32(z.x), z.y); }
    // The angle is y log(2): in two parts, of which the first is exact, because both factors have 12 bits.
    let high = bitcast<f32>(bitcast<u32>(z.y) & 0xfffff000u);
    let turn = wt_polar_f32(wt_exp2_f32(z.x), high * 0.693115234375f);
    return wt_mul_c64(turn, wt_polar_f32(1.0f, high * 3.19461849e-05f + (z.y - high) * 0.693147181f));
}

fn wt_expm1_c64(z: c64) -> c64 {
    if (wt_magnitude_f32(z.y) == 0u) { return c64(wt_expm1_f32(z.x), z.y); }
    let sine = wt_sin_f32(0.5f * z.y);
    let small = c64(wt_expm1_f32(z.x) * wt_cos_f32(z.y) - 2.0f * sine * sine, wt_exp_f32(z.x) * wt_sin_f32(z.y));
    if (wt_abs_f32(z.x) < 2.0f) { return small; }
    return wt_exp_c64(z) - c64(1.0f, 0.0f);
}

// log|z| for parts that are not infinite; near |z| = 1 by the distance from there, which cancels less.
fn wt_log_size_c64(z: c64) -> f32 {
    let a = wt_abs_f32(z.x);
    let b = wt_abs_f32(z.y);
    let high = max(a, b);
    let low = min(a, b);
    let size = wt_hypot_f32(a, b);
    if ((size > 0.5f) & (size < 2.0f)) { return 0.5f * wt_log1p_f32((high - 1.0f) * (high + 1.0f) + low * low); }
    if (wt_isinf_f32(size) & wt_isfinite_c64(z)) { return wt_log_f32(wt_hypot_f32(0.5f * a, 0.5f * b)) + 0.693147181f; }
    return wt_log_f32(size);
}

fn wt_log_c64(z: c64) -> c64 { return c64(wt_log_size_c64(z), wt_angle_c64(z)); }
fn wt_log2_c64(z: c64) -> c64 { return wt_log_c64(z) * 1.44269504f; }
fn wt_log10_c64(z: c64) -> c64 { return wt_log_c64(z) * 0.434294482f; }

fn wt_log1p_c64(z: c64) -> c64 {
    if (wt_hypot_f32(z.x, z.y) < 0.5f) {
        return c64(0.5f * wt_log1p_f32(z.x * (2.0f + z.x) + z.y * z.y), wt_atan2_f32(z.y, 1.0f + z.x));
    }
    return wt_log_c64(c64(1.0f + z.x, z.y));
}

// Whole powers up to 100 by multiplication, others in polar form.
fn wt_pow_c64(z: c64, power: c64) -> c64 {
    if ((wt_magnitude_f32(power.x) == 0u) & (wt_magnitude_f32(power.y) == 0u)) { return c64(1.0f, 0.0f); }
    if ((wt_magnitude_f32(z.x) == 0u) & (wt_magnitude_f32(z.y) == 0u)) {
        if (wt_gt_f32(power.x, 0.0f) & (wt_magnitude_f32(power.y) == 0u)) { return c64(); }
        return c64(wt_nan_f32(), wt_nan_f32());
    }
    let steps = wt_abs_f32(power.x);
    if ((wt_magnitude_f32(power.y) == 0u) & (steps < 100.0f) & (wt_trunc_f32(steps) == steps)) {
        var bits = u32(steps);
        var square = z;
        var result = c64(1.0f, 0.0f);
        var started = false;
        for (var n = 0u; (n < 7u) & (bits != 0u); n += 1u) {
            if ((bits & 1u) == 1u) {
                if (started) { result = wt_mul_c64(result, square); } else { result = square; }
                started = true;
            }
            bits >>= 1u;
            if (bits != 0u) { square = wt_mul_c64(square, square); }
        }
        if (power.x < 0.0f) { return wt_reciprocal_c64(result); }
        return result;
    }
    let log = wt_log_c64(z);
    let size = wt_pow_f32(wt_hypot_f32(z.x, z.y), power.x) * wt_exp_f32(wt_neg_f32(power.y * log.y));
    return wt_polar_f32(size, power.x * log.y + power.y * log.x);
}

// By half angles: the sums under the fraction have terms of one sign, so that nothing cancels next to the poles.
fn wt_sigmoid_c64(z: c64) -> c64 {
    let below_zero = wt_lt_f32(z.x, 0.0f);
    if (wt_isinf_f32(z.x) & !wt_isfinite_f32(z.y)) { return c64(select(1.0f, 0.0f, below_zero), 0.0f); }
    let size = wt_neg_f32(wt_abs_f32(z.x));
    let small = wt_exp_f32(size);
    let away = wt_neg_f32(wt_expm1_f32(size));
    let sine = wt_sin_f32(0.5f * z.y);
    let cosine = wt_cos_f32(0.5f * z.y);
    let square = 2.0f * small * cosine * cosine;
    let below = away * away + 2.0f * square;
    let real = select(away + square, small * (2.0f * cosine * cosine - away), below_zero);
    return c64(wt_divide_f32(real, below), wt_divide_f32(2.0f * small * sine * cosine, below));
}

// log(exp(a) + exp(b)), on the branch next to the one with the larger real part.
fn wt_logaddexp_c64(a: c64, b: c64) -> c64 {
    if (wt_isnan_c64(a) | wt_isnan_c64(b)) { return c64(wt_nan_f32(), wt_nan_f32()); }
    let first = a.x >= b.x;
    let high = select(b, a, first);
    let low = select(a, b, first);
    if (wt_isinf_f32(high.x) & (high.x == low.x)) {
        if (high.x < 0.0f) { return low; }
        return wt_log_c64(wt_exp_c64(low) + wt_exp_c64(high));
    }
    return high + wt_log1p_c64(wt_exp_c64(low - high));
}

fn wt_nan_to_num_c64(z: c64, nan: c64, high: c64, low: c64) -> c64 {
    return c64(wt_nan_to_num_f32(z.x, nan.x, high.x, low.x), wt_nan_to_num_f32(z.y, nan.x, high.x, low.x));
}

// The argument of the sine is reduced to the nearest whole number before pi is multiplied, so that it is small where the
// sine is; at odd ones the sine has the other sign.
fn wt_sinc_c64(z: c64) -> c64 {
    if ((wt_magnitude_f32(z.x) == 0u) & (wt_magnitude_f32(z.y) == 0u)) { return c64(1.0f, 0.0f); }
    let whole = wt_round_f32(z.x);
    let odd = whole != 2.0f * wt_round_f32(0.5f * whole);
    let sine = wt_sin_c64(c64(z.x - whole, z.y) * 3.14159265f);
    return wt_divide_c64(select(sine, c64(wt_neg_f32(sine.x), wt_neg_f32(sine.y)), odd), z * 3.14159265f);
}

// ---- circular and hyperbolic functions ------------------------------------------------------------------------------

fn wt_sinh_c64(z: c64) -> c64 {
    if (wt_magnitude_f32(z.y) == 0u) { return c64(wt_sinh_f32(z.x), z.y); }
    if (wt_magnitude_f32(z.x) == 0u) { return c64(z.x, wt_sin_f32(z.y)); }
    if (wt_isinf_f32(z.x) & !wt_isfinite_f32(z.y)) { return c64(z.x, wt_nan_f32()); }
    if ((wt_abs_f32(z.x) > 88.0f) & wt_isfinite_f32(z.x)) {
        let half = wt_exp_f32(0.5f * wt_abs_f32(z.x));
        return c64(wt_copysign_f32(0.5f * half, z.x) * wt_cos_f32(z.y) * half, 0.5f * half * wt_sin_f32(z.y) * half);
    }
    return c64(wt_sinh_f32(z.x) * wt_cos_f32(z.y), wt_cosh_f32(z.x) * wt_sin_f32(z.y));
}

fn wt_cosh_c64(z: c64) -> c64 {
    let crossed = wt_copysign_f32(0.0f, wt_copysign_f32(1.0f, z.x) * wt_copysign_f32(1.0f, z.y));
    if (wt_magnitude_f32(z.y) == 0u) { return c64(wt_cosh_f32(z.x), crossed); }
    if (wt_magnitude_f32(z.x) == 0u) { return c64(wt_cos_f32(z.y), z.x * select(0.0f, wt_sin_f32(z.y), wt_isfinite_f32(z.y))); }
    if (wt_isinf_f32(z.x) & !wt_isfinite_f32(z.y)) { return c64(wt_infinity_f32(), wt_nan_f32()); }
    if ((wt_abs_f32(z.x) > 88.0f) & wt_isfinite_f32(z.x)) {
        let half = wt_exp_f32(0.5f * wt_abs_f32(z.x));
        return c64(0.5f * half * wt_cos_f32(z.y) * half, wt_copysign_f32(0.5f * half, z.x) * wt_sin_f32(z.y) * half);
    }
    return c64(wt_cosh_f32(z.x) * wt_cos_f32(z.y), wt_sinh_f32(z.x) * wt_sin_f32(z.y));
}

// Kahan's formula, "Branch cuts for complex elementary functions" (1987).
fn wt_tanh_c64(z: c64) -> c64 {
    let finite = wt_isfinite_f32(z.y);
    if (wt_isnan_f32(z.x)) { return c64(z.x, select(wt_nan_f32(), z.y, wt_magnitude_f32(z.y) == 0u)); }
    if (wt_isinf_f32(z.x)) {
        let sign = select(z.y, wt_sin_f32(2.0f * z.y), finite);
        return c64(wt_copysign_f32(1.0f, z.x), wt_copysign_f32(0.0f, sign));
    }
    if (!finite) { return c64(select(wt_nan_f32(), z.x, wt_magnitude_f32(z.x) == 0u), wt_nan_f32()); }
    if (wt_abs_f32(z.x) > 11.0f) {
        let small = wt_exp_f32(wt_neg_f32(wt_abs_f32(z.x)));
        return c64(wt_copysign_f32(1.0f, z.x), 4.0f * wt_sin_f32(z.y) * wt_cos_f32(z.y) * small * small);
    }
    let t = wt_tan_f32(z.y);
    let beta = 1.0f + t * t;
    let s = wt_sinh_f32(z.x);
    let rho = wt_sqrt_f32(1.0f + s * s);
    let below = 1.0f + beta * s * s;
    return c64(wt_divide_f32(beta * rho * s, below), wt_divide_f32(t, below));
}

fn wt_sin_c64(z: c64) -> c64 { return wt_turn_back_c64(wt_sinh_c64(wt_turn_c64(z))); }
fn wt_cos_c64(z: c64) -> c64 { return wt_cosh_c64(wt_turn_c64(z)); }
fn wt_tan_c64(z: c64) -> c64 { return wt_turn_back_c64(wt_tanh_c64(wt_turn_c64(z))); }

// Kahan's formulas for the inverses: roots of 1 - z and 1 + z instead of 1 - z * z, which would cancel and overflow.
// Beyond 2^30 the logarithm of 2|z| is all that is left.
fn wt_far_c64(z: c64) -> bool { return max(wt_magnitude_f32(z.x), wt_magnitude_f32(z.y)) > 0x4e800000u; }

fn wt_asin_c64(z: c64) -> c64 {
    if (wt_far_c64(z)) {
        return c64(wt_atan2_f32(z.x, wt_abs_f32(z.y)), wt_copysign_f32(wt_log_size_c64(z) + 0.693147181f, z.y));
    }
    let a = wt_sqrt_c64(c64(1.0f - z.x, wt_neg_f32(z.y)));
    let b = wt_sqrt_c64(c64(1.0f + z.x, z.y));
    return c64(wt_atan2_f32(z.x, a.x * b.x - a.y * b.y), wt_asinh_f32(a.x * b.y - a.y * b.x));
}

fn wt_acos_c64(z: c64) -> c64 {
    if (wt_far_c64(z)) {
        return c64(wt_atan2_f32(wt_abs_f32(z.y), z.x), wt_copysign_f32(wt_log_size_c64(z) + 0.693147181f, wt_neg_f32(z.y)));
    }
    let a = wt_sqrt_c64(c64(1.0f - z.x, wt_neg_f32(z.y)));
    let b = wt_sqrt_c64(c64(1.0f + z.x, z.y));
    return c64(2.0f * wt_atan2_f32(a.x, b.x), wt_asinh_f32(b.x * a.y - b.y * a.x));
}

fn wt_acosh_c64(z: c64) -> c64 {
    if (wt_far_c64(z)) { return c64(wt_log_size_c64(z) + 0.693147181f, wt_atan2_f32(z.y, z.x)); }
    let a = wt_sqrt_c64(c64(z.x - 1.0f, z.y));
    let b = wt_sqrt_c64(c64(z.x + 1.0f, z.y));
    return c64(wt_asinh_f32(a.x * b.x + a.y * b.y), 2.0f * wt_atan2_f32(a.y, b.x));
}

fn wt_atanh_c64(z: c64) -> c64 {
    let x = wt_abs_f32(z.x);
    if (wt_far_c64(z)) {
        let real = select(wt_reciprocal_c64(c64(x, z.y)).x, 0.0f, wt_isinf_c64(z));
        return c64(wt_copysign_f32(real, z.x), wt_copysign_f32(1.57079633f, z.y));
    }
    if (wt_isnan_c64(z)) { return c64(wt_nan_f32(), wt_nan_f32()); }
    let away = 1.0f - x;
    if (max(wt_abs_f32(away), wt_abs_f32(z.y)) < 1e-18f) { // next to a pole, where the square would underflow
        let near = -0.5f * wt_log_f32(0.5f * wt_hypot_f32(away, z.y));
        return c64(wt_copysign_f32(near, z.x), 0.5f * wt_atan2_f32(2.0f * z.y, 2.0f * away));
    }
    let real = 0.25f * wt_log1p_f32(wt_divide_f32(4.0f * x, away * away + z.y * z.y));
    let imag = 0.5f * wt_atan2_f32(2.0f * z.y, away * (1.0f + x) - z.y * z.y);
    return c64(wt_copysign_f32(real, z.x), imag);
}

fn wt_asinh_c64(z: c64) -> c64 { return wt_turn_back_c64(wt_asin_c64(wt_turn_c64(z))); }
fn wt_atan_c64(z: c64) -> c64 { return wt_turn_back_c64(wt_atanh_c64(wt_turn_c64(z))); }

fn wt_lerp_c64(a: c64, b: c64, weight: c64) -> c64 {
    let step = b - a;
    let back = c64(1.0f, 0.0f) - weight;
    return select(b - wt_mul_c64(step, back), a + wt_mul_c64(weight, step), wt_lt_f32(wt_abs_c64(weight), 0.5f));
}
