// Functions that derivatives need, Bessel's i1 (of i0) and the derivatives of digamma of any order, and ldexp.
// The rules are those of prelude.wgsl.

// x * 2^y; one rounding when y is whole.
fn wt_ldexp_f32(x: f32, y: f32) -> f32 {
    if (wt_isinf_f32(x) & wt_isfinite_f32(y)) { return x; }
    if (!wt_isfinite_f32(x) | !wt_isfinite_f32(y)) { return x * wt_exp2_f32(y); }
    let steps = wt_floor_f32(wt_clamp_f32(y, -100000.0f, 100000.0f));
    let part = select(1.0f, wt_exp2_f32(y - steps), wt_abs_f32(y) < 100000.0f);
    return wt_scale_f32(wt_frexp_mantissa_f32(x) * part, wt_frexp_exponent_f32(x) + i32(steps));
}

// The modified Bessel function of the first kind, order 1. NaN for infinity, as i0.
fn wt_i1_f32(x: f32) -> f32 {
    if (!wt_isfinite_f32(x)) { return wt_nan_f32(); }
    let size = wt_minimum_f32(wt_abs_f32(x), 100.0f);
    if (size <= 8.0f) {
        // The power series, all of whose terms are positive; the term that follows is below 2^-26 at 8.
        let quarter = 0.25f * size * size;
        var series = 1.0f;
        for (var k = 20.0f; k > 0.5f; k -= 1.0f) { series = 1.0f + series * quarter / (k * (k + 1.0f)); }
        return 0.5f * x * series;
    }
    // i1(x) e^-x sqrt(x) in 1 / x, for 8 <= x <= 100; 2^-29.
    let root = wt_sqrt_f32(size);
    let inverse = 1.0f / root;
    let w = inverse * inverse;
    let p = 0.398942277f + w * (-0.149602426f + w * (-0.0468306666f + w * (-0.0379196987f + w * (-0.112858146f
        + w * (0.396494785f + w * -2.21839167f)))));
    let k = i32(size) >> 3u; // as in wt_i0_f32
    let y = wt_exp_scaled_f32(size, 0.0f, -k) * wt_scale_f32(p / root, k);
    return wt_copysign_f32(y, x);
}

// The derivative of order n (a whole number from 1 on) of digamma: (-1)^(n+1) n! zeta(n + 1, x).
// For x < 0 and n = 1 by the reflection formula.
fn wt_polygamma_f32(x: f32, n: f32) -> f32 {
    if (wt_isnan_f32(x)) { return x; }
    if (wt_isposinf_f32(x)) { return 0.0f; }
    if (!wt_isfinite_f32(x)) { return wt_nan_f32(); }
    let odd = (i32(n) & 1) == 1;
    var factorial = 1.0f;
    for (var k = 2.0f; k < n + 0.5f; k += 1.0f) { factorial *= k; }
    if (wt_ge_f32(x, 0.0f)) { return select(-factorial, factorial, odd) * wt_shifted_zeta_f32(x, n); }
    if (n < 1.5f) {
        let sine = wt_sincospi_f32(x).x;
        return 9.86960440f / (sine * sine) - wt_shifted_zeta_f32(1.0f - x, n);
    }
    // What is below 0 is summed on its own: its sizes are part, part + 1, ... -x; the first above 0 is 1 - part.
    let part = -x - wt_floor_f32(-x);
    if (wt_magnitude_f32(part) == 0u) { return select(-factorial, factorial, odd) * wt_shifted_zeta_f32(0.0f, n); }
    let over = wt_shifted_zeta_f32(1.0f - part, n);
    let under = wt_shifted_zeta_f32(part, n) - wt_shifted_zeta_f32(1.0f - x, n);
    return select(-factorial * (over - under), factorial * (over + under), odd);
}

// The zeta function of n + 1 from q >= 0 on: six terms, then the Euler-Maclaurin formula for the others.
fn wt_shifted_zeta_f32(start: f32, n: f32) -> f32 {
    var q = start;
    var total = 0.0f;
    for (var k = 0; k < 6; k++) {
        total += wt_pow_f32(q, -n - 1.0f);
        q += 1.0f;
    }
    let power = wt_pow_f32(q, -n);
    let square = 1.0f / (q * q);
    let correction = (n + 1.0f) * 0.0833333333f * (1.0f - square * (n + 2.0f) * (n + 3.0f) * 0.0166666667f
        * (1.0f - square * (n + 4.0f) * (n + 5.0f) * 0.0238095238f));
    return total + power / n + power / q * 0.5f + power * square * correction;
}
