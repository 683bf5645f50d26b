// Further functions of float32, made from those in prelude.wgsl: inverse trigonometric and hyperbolic functions, the
// gamma function's logarithm and its derivative, Bessel's i0, and sums of exponentials. The rules are those of
// prelude.wgsl.

// ---- inverse trigonometric functions --------------------------------------------------------------------------------

// (asin s - s) / s^3 times s^3, for a square s^2 of at most 0.25; 2^-31.
fn wt_asin_core_f32(s: f32, square: f32) -> f32 {
    return s * square * (0.166666597f + square * (0.0750051886f + square * (0.0445143618f + square * (0.0318280533f
        + square * (0.0143655278f + square * 0.0376147442f)))));
}

// 1.57079637 - 4.37113883e-08 is pi/2.
fn wt_asin_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let near = size <= 0.5f;
    // Beyond 0.5: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)).
    let square = select(0.5f * (1.0f - size), size * size, near);
    let s = select(wt_sqrt_f32(square), size, near);
    let core = wt_asin_core_f32(s, square);
    let y = select(1.57079637f - (2.0f * s + (2.0f * core + 4.37113883e-08f)), s + core, near);
    let inside = wt_magnitude_f32(x) <= 0x3f800000u;
    return select(wt_nan_f32(), select(wt_copysign_f32(y, x), x, size < 0.0001f), inside);
}

fn wt_acos_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let near = size <= 0.5f;
    let square = select(0.5f * (1.0f - size), size * size, near);
    let s = select(wt_sqrt_f32(square), x, near);
    let core = wt_asin_core_f32(s, square);
    let far = 2.0f * s + 2.0f * core;
    // 3.14159274 - 8.74227766e-08 is pi.
    let negative = 3.14159274f - (2.0f * s + (2.0f * core + 8.74227766e-08f));
    let y = select(select(far, negative, wt_signbit_f32(x)), 1.57079637f - (s + (core + 4.37113883e-08f)), near);
    return select(wt_nan_f32(), y, wt_magnitude_f32(x) <= 0x3f800000u);
}

// The angle of the point (x, y), in [-pi, pi].
fn wt_atan2_f32(y: f32, x: f32) -> f32 {
    let swapped = wt_magnitude_f32(y) > wt_magnitude_f32(x);
    var high = bitcast<f32>(max(wt_magnitude_f32(y), wt_magnitude_f32(x)));
    var low = bitcast<f32>(min(wt_magnitude_f32(y), wt_magnitude_f32(x)));
    // Both are brought to where a division is precise.
    let scale = select(select(1.0f, 1.15292150e+18f, high < 1.0e-20f), 0.0625f, high > 1.0e30f);
    high *= scale;
    low *= scale;
    if (wt_isinf_f32(x) | wt_isinf_f32(y)) {
        low = select(0.0f, 1.0f, wt_isinf_f32(x) & wt_isinf_f32(y));
        high = 1.0f;
    }
    // The angle below the diagonal: turn * pi/4 + atan(t), |t| <= 2/3. What t has lost in the sums counts less the
    // closer to the diagonal.
    let diagonal = low > 0.666666687f * high;
    let below = select(high, low + high, diagonal);
    let t = select(select(low, low - high, diagonal) / below, 0.0f, wt_magnitude_f32(high) == 0u);
    let square = t * t;
    // (atan t - t) / t^3; 2^-34, and 2^-28 with the coefficients rounded.
    var angle = t + t * square * (-0.333333313f + square * (0.199999005f + square * (-0.142831445f
        + square * (0.110785872f + square * (-0.0885852873f + square * (0.0668891519f + square * (-0.0396505073f
        + square * 0.0126466434f)))))));
    var turn = select(0.0f, 1.0f, diagonal);
    if (swapped) {
        turn = 2.0f - turn;
        angle = -angle;
    }
    if (wt_signbit_f32(x)) {
        turn = 4.0f - turn;
        angle = -angle;
    }
    // pi/4 in two parts, so that turn times the first is exact.
    let result = wt_copysign_f32(turn * 0.78515625f + (angle + turn * 0.000241913396f), y);
    return select(result, wt_nan_f32(), wt_unordered_f32(x, y));
}

fn wt_atan_f32(x: f32) -> f32 { return wt_atan2_f32(x, 1.0f); }

// ---- hyperbolic functions -------------------------------------------------------------------------------------------

fn wt_sinh_f32(x: f32) -> f32 {
    let size = wt_minimum_f32(wt_abs_f32(select(x, 0.0f, wt_isnan_f32(x))), 100.0f);
    let square = size * size;
    // (sinh s - s) / s^3 for s <= 1; 2^-31.
    let near = size + size * square * (0.166666672f + square * (0.00833331142f + square * (0.00019842574f
        + square * 2.78458424e-06f)));
    // Half of e^s: e^s itself overflows first.
    let half = wt_exp_scaled_f32(size, 0.0f, -1);
    let y = wt_copysign_f32(select(half - 0.25f / half, near, size < 1.0f), x);
    return select(y, x, wt_isnan_f32(x) | (wt_magnitude_f32(x) < 0x39000000u));
}

fn wt_cosh_f32(x: f32) -> f32 {
    let size = wt_minimum_f32(wt_abs_f32(select(x, 0.0f, wt_isnan_f32(x))), 100.0f);
    let half = wt_exp_scaled_f32(size, 0.0f, -1);
    return select(half + 0.25f / half, x, wt_isnan_f32(x));
}

fn wt_asinh_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let bounded = wt_minimum_f32(size, 4096.0f);
    let square = bounded * bounded;
    let near = wt_log1p_f32(bounded + square / (1.0f + wt_sqrt_f32(square + 1.0f)));
    let far = wt_log_f32(size) + 0.693147182f;
    let y = wt_copysign_f32(select(near, far, size > 4096.0f), x);
    return select(y, x, wt_isnan_f32(x) | (wt_magnitude_f32(x) < 0x39000000u));
}

fn wt_acosh_f32(x: f32) -> f32 {
    let t = wt_clamp_f32(x, 1.0f, 4096.0f) - 1.0f;
    let near = wt_log1p_f32(t + wt_sqrt_f32(t * (2.0f + t)));
    let far = wt_log_f32(x) + 0.693147182f;
    return select(wt_nan_f32(), select(near, far, x > 4096.0f), wt_ge_f32(x, 1.0f));
}

fn wt_atanh_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let inside = wt_magnitude_f32(x) < 0x3f800000u;
    let bounded = select(0.0f, size, inside);
    let y = 0.5f * wt_log1p_f32(2.0f * bounded / (1.0f - bounded));
    let edge = select(wt_nan_f32(), wt_copysign_f32(wt_infinity_f32(), x), wt_magnitude_f32(x) == 0x3f800000u);
    return select(edge, select(wt_copysign_f32(y, x), x, size < 0.0001f), inside);
}

// ---- sums of exponentials, products with logarithms -----------------------------------------------------------------

fn wt_logaddexp_f32(x: f32, y: f32) -> f32 {
    let high = wt_maximum_f32(x, y);
    let sum = high + wt_log1p_f32(wt_exp_f32(wt_minimum_f32(x, y) - high));
    return select(sum, high, !wt_isfinite_f32(high));
}

fn wt_logaddexp2_f32(x: f32, y: f32) -> f32 {
    let high = wt_maximum_f32(x, y);
    let sum = high + wt_log1p_f32(wt_exp2_f32(wt_minimum_f32(x, y) - high)) * 1.44269502f;
    return select(sum, high, !wt_isfinite_f32(high));
}

// x log(y), 0 where x is 0 and y is not NaN.
fn wt_xlogy_f32(x: f32, y: f32) -> f32 { return wt_times_log_f32(x, y, wt_log_f32(y)); }

fn wt_xlog1py_f32(x: f32, y: f32) -> f32 { return wt_times_log_f32(x, y, wt_log1p_f32(y)); }

fn wt_times_log_f32(x: f32, y: f32, logarithm: f32) -> f32 {
    // Of a denormal x the sign is enough where the logarithm is infinite: taken for 0, it would give NaN.
    let small = wt_isinf_f32(logarithm) & (wt_magnitude_f32(x) < 0x00800000u);
    let product = select(x, wt_copysign_f32(1.0f, x), small) * logarithm;
    return select(select(product, 0.0f, wt_magnitude_f32(x) == 0u), wt_nan_f32(), wt_isnan_f32(y));
}

// ---- inverse error function -----------------------------------------------------------------------------------------

fn wt_erfinv_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    let inside = wt_magnitude_f32(x) < 0x3f800000u;
    let bounded = select(0.0f, size, inside);
    let w = -wt_log_f32((1.0f - bounded) * (1.0f + bounded));
    // erfinv(x) / x as a function of w = -log(1 - x^2); 2^-23 of the result.
    let u = w - 2.5f;
    let near = 1.50140941f + u * (0.24664028f + u * (-0.00417771284f + u * (-0.00125272316f + u * (0.000218615241f
        + u * (-4.97182282e-06f + u * (-3.53299447e-06f + u * (4.6732498e-07f + u * (2.88976274e-08f
        + u * -8.82669315e-09f))))))));
    let v = wt_sqrt_f32(wt_maximum_f32(w, 0.0f)) - 3.0f;
    let far = 2.83297706f + v * (1.00167453f + v * (0.00943487231f + v * (-0.00762747694f + v * (0.0057657687f
        + v * (-0.00365598314f + v * (0.00129263301f + v * (8.38472333e-05f + v * -0.000161210352f)))))));
    let edge = select(wt_nan_f32(), wt_copysign_f32(wt_infinity_f32(), x), wt_magnitude_f32(x) == 0x3f800000u);
    return select(edge, x * select(near, far, w >= 5.0f), inside);
}

// ---- sine of multiples of pi ----------------------------------------------------------------------------------------

// sin(pi x) and cos(pi x), for a finite x.
fn wt_sincospi_f32(x: f32) -> vec2<f32> {
    let bounded = select(wt_fmod_f32(x, 2.0f), x, wt_abs_f32(x) < 1048576.0f);
    let count = wt_round_f32(2.0f * bounded);
    // Exact: at most a quarter remains.
    let r = (bounded - 0.5f * count) * 3.14159274f;
    let quadrant = bitcast<u32>(i32(count)) & 3u;
    let odd = (quadrant & 1u) == 1u;
    let s = select(wt_sin_core_f32(r, 0.0f), wt_cos_core_f32(r, 0.0f), odd);
    let c = select(wt_cos_core_f32(r, 0.0f), wt_sin_core_f32(r, 0.0f), odd);
    return vec2<f32>(select(s, -s, quadrant >= 2u), select(c, -c, (quadrant == 1u) | (quadrant == 2u)));
}

// sin(pi x) / (pi x). NaN for infinity, as PyTorch has it.
fn wt_sinc_f32(x: f32) -> f32 {
    let finite = wt_isfinite_f32(x);
    let size = select(0.0f, wt_abs_f32(x), finite);
    let y = wt_sincospi_f32(size).x / (3.14159274f * size);
    return select(wt_nan_f32(), select(y, 1.0f, size < 0.0001f), finite);
}

// ---- gamma function -------------------------------------------------------------------------------------------------

// log(gamma(x)) for x > 0.
fn wt_lgamma_positive_f32(x: f32) -> f32 {
    if (x >= 8.0f) {
        // Stirling's series.
        let w = 1.0f / x;
        let tail = 0.418938533f + w * (0.0833333333f + w * w * (-0.00277777778f + w * w * 0.000793650794f));
        return select((x - 0.5f) * (wt_log_f32(x) - 1.0f) + tail, wt_infinity_f32(), wt_isinf_f32(x));
    }
    // From [2, 3) and below by the recurrence gamma(x) = (x - 1) gamma(x - 1); the differences are exact.
    var factor = 1.0f;
    var t = x - 2.0f;
    if (x >= 3.0f) {
        for (var step = 0; step < 5; step++) {
            if (t >= 1.0f) {
                factor *= t + 1.0f;
                t -= 1.0f;
            }
        }
    }
    var below = 1.0f;
    if (x < 1.2f) {
        below = x;
        t = x - 1.0f;
        if (x < 0.5f) {
            below = x * (1.0f + x);
            t = x;
        }
    }
    // log(gamma(2 + t)) / t on [-0.8, 1]; 2^-25.
    let p = 0.422784328f + t * (0.322466999f + t * (-0.0673518404f + t * (0.0205818508f + t * (-0.0073912153f
        + t * (0.0028817975f + t * (-0.0011661452f + t * (0.000539334666f + t * (-0.000282141293f
        + t * (5.36360094e-05f + t * (1.88912891e-05f + t * (5.02672119e-05f + t * -3.85914718e-05f)))))))))));
    return t * p + select(wt_log_f32(factor), -wt_log_f32(below), x < 1.2f);
}

// log|gamma(x)|; infinite at 0 and the negative integers.
fn wt_lgamma_f32(x: f32) -> f32 {
    let size = wt_abs_f32(x);
    if (wt_isnan_f32(x)) { return x; }
    if (wt_isinf_f32(x) | (wt_magnitude_f32(x) == 0u)) { return wt_infinity_f32(); }
    let positive = wt_lgamma_positive_f32(size);
    if (!wt_signbit_f32(x)) { return positive; }
    if (size < 1.0e-15f) { return -wt_log_f32(size); }
    // gamma(x) gamma(-x) = -pi / (x sin(pi x)); 1.14472985 is log(pi).
    let sine = wt_abs_f32(wt_sincospi_f32(size).x);
    return select(1.14472985f - wt_log_f32(size * sine) - positive, wt_infinity_f32(), wt_magnitude_f32(sine) == 0u);
}

// The derivative of log(gamma(x)). NaN at the negative integers; at 0 infinite, against the sign of the zero.
fn wt_digamma_f32(x: f32) -> f32 {
    if (wt_isnan_f32(x) | wt_isposinf_f32(x)) { return x; }
    if (wt_magnitude_f32(x) == 0u) { return wt_copysign_f32(wt_infinity_f32(), -x); }
    var sum = 0.0f;
    var y = x;
    if (wt_signbit_f32(x)) {
        if (wt_isinf_f32(x)) { return wt_nan_f32(); }
        let small = wt_magnitude_f32(x) < 0x38d1b717u;
        let turn = wt_sincospi_f32(x);
        if ((wt_magnitude_f32(turn.x) == 0u) & !small) { return wt_nan_f32(); }
        // digamma(x) = digamma(1 - x) - pi / tan(pi x).
        sum = select(-3.14159274f * turn.y / turn.x, -1.0f / x, small);
        y = 1.0f - x;
    }
    if (y >= 8.0f) {
        let w = 1.0f / y;
        let square = w * w;
        return sum + (wt_log_f32(y) - w * (0.5f + w * (0.0833333333f - square * (0.00833333333f
            - square * 0.00396825397f))));
    }
    if (y < 1.0f) {
        sum -= 1.0f / y;
        y += 1.0f;
    }
    for (var step = 0; step < 6; step++) {
        if (y >= 2.0f) {
            y -= 1.0f;
            sum += 1.0f / y;
        }
    }
    // digamma(y) / (y - root) around 1.5, for y in [1, 2]; 2^-26. The root is 1.46163213 + 1.24381501e-08; the
    // difference from the first, 0x3fbb16c3, is taken in integers: two constants would be drawn together.
    let distance = f32(bitcast<i32>(y) - 0x3fbb16c3) * 1.1920929e-07f - 1.24381501e-08f;
    let t = y - 1.5f;
    let p = 0.951055884f + t * (-0.423627436f + t * (0.240541607f + t * (-0.148402318f + t * (0.0950055793f
        + t * (-0.0620066673f + t * (0.0406682119f + t * (-0.0260450952f + t * (0.0177991372f
        + t * (-0.015922863f + t * 0.0099666696f)))))))));
    return sum + distance * p;
}

// ---- Bessel function ------------------------------------------------------------------------------------------------

// The modified Bessel function of the first kind, order 0. NaN for infinity, as PyTorch has it.
fn wt_i0_f32(x: f32) -> f32 {
    if (!wt_isfinite_f32(x)) { return wt_nan_f32(); }
    let size = wt_minimum_f32(wt_abs_f32(x), 100.0f);
    if (size <= 4.0f) {
        // A polynomial in x^2 / 4; 2^-35.
        let z = 0.25f * size * size;
        return 1.0f + z * (1.0f + z * (0.25f + z * (0.0277777761f + z * (0.00173611601f + z * (6.94389018e-05f
            + z * (1.93212259e-06f + z * (3.84456662e-08f + z * 7.51917362e-10f)))))));
    }
    // i0(x) e^-x sqrt(x) in 4 / x; 2^-26.
    let root = wt_sqrt_f32(size);
    let inverse = 1.0f / root;
    // 4 / x by way of the root: a constant times (4.0f / x) would become another constant over x.
    let v = inverse * inverse * 4.0f;
    let p = 0.398942292f + v * (0.012466074f + v * (0.00176720961f + v * (0.000396271644f + v * (-2.1139098e-05f
        + v * (0.00250639347f + v * (-0.00797641184f + v * (0.0124565857f + v * (-0.00883427542f
        + v * 0.00230084709f))))))));
    // e^x / 2^k times 2^k p / sqrt(x): the first overflows no sooner than the result. (A constant for 2^k would be moved
    // to the first.)
    let k = i32(size) >> 3u;
    return wt_exp_scaled_f32(size, 0.0f, -k) * wt_scale_f32(p / root, k);
}
