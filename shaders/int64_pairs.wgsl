// 64-bit integers as pairs of 32-bit words, for adapters that have none: the functions of integer.wgsl that end in _i64,
// with the same names and meaning, and functions for what WGSL's operators do on integers that it knows.
//
// A pair is a structure rather than a vector: on a vector an operator that was not turned into a call would compute
// something, and wrongly; on a structure it does not compile. In memory it is what an i64 is, the low word first.

struct WtInt64 { low: u32, high: u32 }

// ---- operators ------------------------------------------------------------------------------------------------------

fn wt_select_i64(no: WtInt64, yes: WtInt64, condition: bool) -> WtInt64 {
    return WtInt64(select(no.low, yes.low, condition), select(no.high, yes.high, condition));
}

fn wt_add_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let low = x.low + y.low;
    return WtInt64(low, x.high + y.high + u32(low < x.low));
}

fn wt_sub_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    return WtInt64(x.low - y.low, x.high - y.high - u32(x.low < y.low));
}

fn wt_mul_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let product = wt_full_product_u32(x.low, y.low);
    return WtInt64(product.x, product.y + x.low * y.high + x.high * y.low);
}

fn wt_and_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return WtInt64(x.low & y.low, x.high & y.high); }
fn wt_or_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return WtInt64(x.low | y.low, x.high | y.high); }
fn wt_xor_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return WtInt64(x.low ^ y.low, x.high ^ y.high); }
fn wt_not_i64(x: WtInt64) -> WtInt64 { return WtInt64(~x.low, ~x.high); }

// By 0 to 63 places. A word is moved in two steps where it may move by 32, which is not allowed at once.
fn wt_shift_left_i64(x: WtInt64, amount: u32) -> WtInt64 {
    let inner = amount & 31u;
    let moved = x.low << inner;
    let both = WtInt64(moved, (x.high << inner) | ((x.low >> 1u) >> (31u - inner)));
    return wt_select_i64(both, WtInt64(0u, moved), amount >= 32u);
}

fn wt_shift_right_i64(x: WtInt64, amount: u32) -> WtInt64 {
    let inner = amount & 31u;
    let moved = bitcast<u32>(bitcast<i32>(x.high) >> inner);
    let both = WtInt64((x.low >> inner) | ((x.high << 1u) << (31u - inner)), moved);
    let sign = bitcast<u32>(bitcast<i32>(x.high) >> 31u);
    return wt_select_i64(both, WtInt64(moved, sign), amount >= 32u);
}

// ---- comparisons ----------------------------------------------------------------------------------------------------

fn wt_eq_i64(x: WtInt64, y: WtInt64) -> bool { return (x.low == y.low) & (x.high == y.high); }
fn wt_ne_i64(x: WtInt64, y: WtInt64) -> bool { return (x.low != y.low) | (x.high != y.high); }

fn wt_lt_i64(x: WtInt64, y: WtInt64) -> bool {
    return (bitcast<i32>(x.high) < bitcast<i32>(y.high)) | ((x.high == y.high) & (x.low < y.low));
}

fn wt_le_i64(x: WtInt64, y: WtInt64) -> bool { return !wt_lt_i64(y, x); }
fn wt_gt_i64(x: WtInt64, y: WtInt64) -> bool { return wt_lt_i64(y, x); }
fn wt_ge_i64(x: WtInt64, y: WtInt64) -> bool { return !wt_lt_i64(x, y); }

fn wt_maximum_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return wt_select_i64(x, y, wt_lt_i64(x, y)); }
fn wt_minimum_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return wt_select_i64(x, y, wt_lt_i64(y, x)); }
fn wt_fmax_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return wt_maximum_i64(x, y); }
fn wt_fmin_i64(x: WtInt64, y: WtInt64) -> WtInt64 { return wt_minimum_i64(x, y); }

// Where lowest > highest the result is highest, as in PyTorch.
fn wt_clamp_i64(x: WtInt64, lowest: WtInt64, highest: WtInt64) -> WtInt64 {
    return wt_minimum_i64(wt_maximum_i64(x, lowest), highest);
}

fn wt_signbit_i64(x: WtInt64) -> bool { return (x.high >> 31u) != 0u; }
fn wt_relu_i64(x: WtInt64) -> WtInt64 { return wt_select_i64(x, WtInt64(0u, 0u), wt_signbit_i64(x)); }
fn wt_neg_i64(x: WtInt64) -> WtInt64 { return wt_sub_i64(WtInt64(0u, 0u), x); }
fn wt_abs_i64(x: WtInt64) -> WtInt64 { return wt_select_i64(x, wt_neg_i64(x), wt_signbit_i64(x)); }

fn wt_sign_i64(x: WtInt64) -> WtInt64 {
    let sign = bitcast<u32>(bitcast<i32>(x.high) >> 31u);
    return WtInt64(sign | u32((x.low | x.high) != 0u), sign);
}

fn wt_heaviside_i64(x: WtInt64, value_at_zero: WtInt64) -> WtInt64 {
    let step = WtInt64(u32(!wt_signbit_i64(x)), 0u);
    return wt_select_i64(step, value_at_zero, (x.low | x.high) == 0u);
}

// ---- division -------------------------------------------------------------------------------------------------------

// One digit of a long division in digits of 16 bits: (high * 2^16 + next) / divisor, for a divisor with its top bit set
// and a high below it. The quotient of the upper parts is too large by two at most.
fn wt_quotient_digit_u32(high: u32, next: u32, divisor: u32) -> u32 {
    let upper = divisor >> 16u;
    let lower = divisor & 0xffffu;
    var digit = high / upper;
    var rest = high - digit * upper;
    if ((digit > 0xffffu) || (digit * lower > ((rest << 16u) | next))) {
        digit -= 1u;
        rest += upper;
        if ((rest <= 0xffffu) && ((digit > 0xffffu) || (digit * lower > ((rest << 16u) | next)))) {
            digit -= 1u;
        }
    }
    return digit;
}

// high * 2^32 + low divided by divisor, for a high below it: the quotient fits one word.
fn wt_quotient_word_u32(high: u32, low: u32, divisor: u32) -> u32 {
    let places = countLeadingZeros(divisor);
    let scaled = divisor << places;
    let upper = (high << places) | ((low >> 1u) >> (31u - places));
    let lower = low << places;
    let first = wt_quotient_digit_u32(upper, lower >> 16u, scaled);
    let rest = (upper << 16u) + (lower >> 16u) - first * scaled;
    return (first << 16u) + wt_quotient_digit_u32(rest, lower & 0xffffu, scaled);
}

// Of pairs taken as unsigned numbers; y is not 0. Without a loop: drivers count the turns that an invocation takes.
fn wt_unsigned_quotient_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    if (y.high == 0u) {
        let high = x.high / y.low;
        return WtInt64(wt_quotient_word_u32(x.high - high * y.low, x.low, y.low), high);
    }
    // By the divisor's leading 32 bits: that quotient is right or too large by one, and one less is right or too small by
    // one. Half of x is divided, so that its high word is below the divisor.
    let places = countLeadingZeros(y.high);
    let leading = (y.high << places) | ((y.low >> 1u) >> (31u - places));
    let half_low = (x.low >> 1u) | (x.high << 31u);
    var quotient = wt_quotient_word_u32(x.high >> 1u, half_low, leading) >> (31u - places);
    quotient -= u32(quotient != 0u);
    let rest = wt_sub_i64(x, wt_mul_i64(WtInt64(quotient, 0u), y));
    quotient += u32((rest.high > y.high) || ((rest.high == y.high) && (rest.low >= y.low)));
    return WtInt64(quotient, 0u);
}

// Rounded towards zero; 0 for the divisor 0. The smallest integer divided by -1 wraps to itself.
fn wt_trunc_divide_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let none = (y.low | y.high) == 0u;
    let divisor = wt_abs_i64(WtInt64(y.low | u32(none), y.high));
    let size = wt_unsigned_quotient_i64(wt_abs_i64(x), divisor);
    let value = wt_select_i64(size, wt_neg_i64(size), wt_signbit_i64(x) != wt_signbit_i64(y));
    return wt_select_i64(value, WtInt64(0u, 0u), none);
}

// x - y * trunc(x / y): the sign of x.
fn wt_fmod_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let rest = wt_sub_i64(x, wt_mul_i64(y, wt_trunc_divide_i64(x, y)));
    return wt_select_i64(rest, WtInt64(0u, 0u), (y.low | y.high) == 0u);
}

// Rounded down.
fn wt_floor_divide_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let quotient = wt_trunc_divide_i64(x, y);
    let rest = wt_sub_i64(x, wt_mul_i64(y, quotient));
    let down = ((y.low | y.high) != 0u) & ((rest.low | rest.high) != 0u) & (wt_signbit_i64(rest) != wt_signbit_i64(y));
    return wt_sub_i64(quotient, WtInt64(u32(down), 0u));
}

// x - y * floor(x / y): the sign of y.
fn wt_remainder_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let rest = wt_fmod_i64(x, y);
    let other = ((rest.low | rest.high) != 0u) & (wt_signbit_i64(rest) != wt_signbit_i64(y));
    return wt_select_i64(rest, wt_add_i64(rest, y), other);
}

// ---- powers, shifts, divisors ---------------------------------------------------------------------------------------

// By squaring; wraps. A negative exponent gives 1 for 1, 1 or -1 for -1, and 0 for all others, 0 included.
fn wt_pow_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    let one = WtInt64(1u, 0u);
    if (wt_signbit_i64(y)) {
        if (wt_eq_i64(x, WtInt64(0xffffffffu, 0xffffffffu))) { return wt_select_i64(one, x, (y.low & 1u) == 1u); }
        return WtInt64(u32(wt_eq_i64(x, one)), 0u);
    }
    var result = one;
    var square = x;
    for (var rest = y; (rest.low | rest.high) != 0u; rest = wt_shift_right_i64(rest, 1u)) {
        if ((rest.low & 1u) == 1u) { result = wt_mul_i64(result, square); }
        square = wt_mul_i64(square, square);
    }
    return result;
}

// Amounts outside the width: 0 on the left, nothing but the sign on the right.
fn wt_left_shift_i64(x: WtInt64, amount: WtInt64) -> WtInt64 {
    let inside = (amount.high == 0u) & (amount.low < 64u);
    return wt_select_i64(WtInt64(0u, 0u), wt_shift_left_i64(x, amount.low & 63u), inside);
}

fn wt_right_shift_i64(x: WtInt64, amount: WtInt64) -> WtInt64 {
    let inside = (amount.high == 0u) & (amount.low < 64u);
    return wt_shift_right_i64(x, select(63u, amount.low, inside));
}

// Never negative, except that 2^63 wraps to the smallest integer. The gcd with 0 is the other number.
fn wt_gcd_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    // As unsigned numbers: the absolute value of the smallest integer fits there.
    var a = wt_abs_i64(x);
    var b = wt_abs_i64(y);
    while ((b.low | b.high) != 0u) {
        let rest = wt_sub_i64(a, wt_mul_i64(b, wt_unsigned_quotient_i64(a, b)));
        a = b;
        b = rest;
    }
    return a;
}

// Never negative; wraps; 0 where either is 0.
fn wt_lcm_i64(x: WtInt64, y: WtInt64) -> WtInt64 {
    return wt_abs_i64(wt_mul_i64(wt_trunc_divide_i64(x, wt_gcd_i64(x, y)), y));
}

// ---- conversions ----------------------------------------------------------------------------------------------------

fn wt_cast_bool_i64(x: bool) -> WtInt64 { return WtInt64(u32(x), 0u); }
fn wt_cast_i32_i64(x: i32) -> WtInt64 { return WtInt64(bitcast<u32>(x), bitcast<u32>(x >> 31u)); }
fn wt_cast_u32_i64(x: u32) -> WtInt64 { return WtInt64(x, 0u); }

// Modulo 2^32.
fn wt_cast_i64_u32(x: WtInt64) -> u32 { return x.low; }
fn wt_cast_i64_i32(x: WtInt64) -> i32 { return bitcast<i32>(x.low); }

// Towards zero. NaN, infinity and what does not fit give the smallest integer, as PyTorch does on x86.
fn wt_cast_f32_i64(x: f32) -> WtInt64 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let exponent = i32(bits >> 23u) - 150;
    let significand = (bits & 0x7fffffu) | 0x800000u;
    let left = wt_shift_left_i64(WtInt64(significand, 0u), u32(clamp(exponent, 0, 39)));
    let right = select(significand >> u32(clamp(-exponent, 0, 31)), 0u, exponent < -31);
    let size = wt_select_i64(WtInt64(right, 0u), left, exponent >= 0);
    let value = wt_select_i64(size, wt_neg_i64(size), (bitcast<u32>(x) & 0x80000000u) != 0u);
    return wt_select_i64(value, WtInt64(0u, 0x80000000u), exponent > 39);
}

// The nearest float32, ties to even.
fn wt_cast_i64_f32(x: WtInt64) -> f32 {
    let size = wt_abs_i64(x);
    let wide = size.high != 0u;
    let leading = countLeadingZeros(select(size.low, size.high, wide));
    // The leading 32 bits; a 1 in the last place stands for all that were cut off.
    let shifted = wt_shift_left_i64(size, (leading + select(32u, 0u, wide)) & 63u);
    let kept = shifted.high | u32(shifted.low != 0u);
    let rest = kept & 0xffu;
    let up = (rest > 128u) | ((rest == 128u) & ((kept & 0x100u) != 0u));
    let bits = ((select(157u, 189u, wide) - leading) << 23u) + (kept >> 8u) + u32(up);
    let value = select(bitcast<f32>(bits), 0.0f, (x.low | x.high) == 0u);
    return select(value, -value, wt_signbit_i64(x));
}
