// Arithmetic of 32-bit and 64-bit integers and of bool as PyTorch defines it, as pure functions without bindings.
//
// Naming: wt_<name>_<type of the arguments>. Code generation pastes only the functions a kernel calls and what those
// call, so the i64 functions reach only adapters with 64-bit integers. Narrower types are computed in i32 or u32 and
// wrapped by the caller.
//
// Sums, differences, products, negation and the absolute value wrap. Division by 0 gives 0, and so does its remainder:
// PyTorch raises ZeroDivisionError on the cpu, which a shader cannot. The smallest integer divided by -1 wraps to itself.

// ---- i32 ------------------------------------------------------------------------------------------------------------

fn wt_eq_i32(x: i32, y: i32) -> bool { return x == y; }
fn wt_ne_i32(x: i32, y: i32) -> bool { return x != y; }
fn wt_lt_i32(x: i32, y: i32) -> bool { return x < y; }
fn wt_le_i32(x: i32, y: i32) -> bool { return x <= y; }
fn wt_gt_i32(x: i32, y: i32) -> bool { return x > y; }
fn wt_ge_i32(x: i32, y: i32) -> bool { return x >= y; }

// Some bits of x, counted from the smallest integer on, so that they order as integers do.
fn wt_digit_i32(x: i32, shift: u32, mask: u32) -> u32 { return ((bitcast<u32>(x) ^ 0x80000000u) >> shift) & mask; }

fn wt_maximum_i32(x: i32, y: i32) -> i32 { return select(x, y, y > x); }
fn wt_minimum_i32(x: i32, y: i32) -> i32 { return select(x, y, y < x); }
fn wt_fmax_i32(x: i32, y: i32) -> i32 { return select(x, y, y > x); }
fn wt_fmin_i32(x: i32, y: i32) -> i32 { return select(x, y, y < x); }

// Where lowest > highest the result is highest, as in PyTorch.
fn wt_clamp_i32(x: i32, lowest: i32, highest: i32) -> i32 { return wt_minimum_i32(wt_maximum_i32(x, lowest), highest); }

fn wt_relu_i32(x: i32) -> i32 { return select(x, 0, x < 0); }
fn wt_neg_i32(x: i32) -> i32 { return 0 - x; }
fn wt_abs_i32(x: i32) -> i32 { return select(x, 0 - x, x < 0); }
fn wt_sign_i32(x: i32) -> i32 { return select(select(0, 1, x > 0), -1, x < 0); }
fn wt_signbit_i32(x: i32) -> bool { return x < 0; }

fn wt_heaviside_i32(x: i32, value_at_zero: i32) -> i32 {
    return select(select(0, 1, x > 0), value_at_zero, x == 0);
}

// Rounded towards zero. The divisors 0 and -1 are kept from the builtin.
fn wt_trunc_divide_i32(x: i32, y: i32) -> i32 {
    let plain = (y != 0) & (y != -1);
    let quotient = x / select(1, y, plain);
    return select(select(quotient, 0 - x, y == -1), 0, y == 0);
}

// x - y * trunc(x / y): the sign of x.
fn wt_fmod_i32(x: i32, y: i32) -> i32 { return select(x - y * wt_trunc_divide_i32(x, y), 0, y == 0); }

// Rounded down.
fn wt_floor_divide_i32(x: i32, y: i32) -> i32 {
    let rest = wt_fmod_i32(x, y);
    return wt_trunc_divide_i32(x, y) - select(0, 1, (rest != 0) & ((rest < 0) != (y < 0)));
}

// x - y * floor(x / y): the sign of y.
fn wt_remainder_i32(x: i32, y: i32) -> i32 {
    let rest = wt_fmod_i32(x, y);
    return rest + select(0, y, (rest != 0) & ((rest < 0) != (y < 0)));
}

// By squaring; wraps. A negative exponent gives 1 for 1, 1 or -1 for -1, and 0 for all others, 0 included.
fn wt_pow_i32(x: i32, y: i32) -> i32 {
    if (y < 0) {
        let unit = select(0, 1, x == 1);
        return select(unit, select(1, -1, (y & 1) == 1), x == -1);
    }
    var result = 1;
    var square = x;
    for (var rest = y; rest != 0; rest = rest >> 1u) {
        if ((rest & 1) == 1) { result *= square; }
        square *= square;
    }
    return result;
}

// Amounts outside the width: 0 on the left, nothing but the sign on the right.
fn wt_left_shift_i32(x: i32, amount: i32) -> i32 {
    let inside = (amount >= 0) & (amount < 32);
    return select(0, x << u32(select(0, amount, inside)), inside);
}

fn wt_right_shift_i32(x: i32, amount: i32) -> i32 {
    let inside = (amount >= 0) & (amount < 32);
    return x >> u32(select(31, amount, inside));
}

// Never negative, except that 2^31 wraps to the smallest integer. The gcd with 0 is the other number.
fn wt_gcd_i32(x: i32, y: i32) -> i32 {
    // As unsigned numbers: the absolute value of the smallest integer fits there.
    var a = bitcast<u32>(wt_abs_i32(x));
    var b = bitcast<u32>(wt_abs_i32(y));
    while (b != 0u) {
        let rest = a % b;
        a = b;
        b = rest;
    }
    return bitcast<i32>(a);
}

// Never negative; wraps; 0 where either is 0.
fn wt_lcm_i32(x: i32, y: i32) -> i32 { return wt_abs_i32(wt_trunc_divide_i32(x, wt_gcd_i32(x, y)) * y); }

// ---- u32 ------------------------------------------------------------------------------------------------------------

fn wt_eq_u32(x: u32, y: u32) -> bool { return x == y; }
fn wt_ne_u32(x: u32, y: u32) -> bool { return x != y; }
fn wt_lt_u32(x: u32, y: u32) -> bool { return x < y; }
fn wt_le_u32(x: u32, y: u32) -> bool { return x <= y; }
fn wt_gt_u32(x: u32, y: u32) -> bool { return x > y; }
fn wt_ge_u32(x: u32, y: u32) -> bool { return x >= y; }

fn wt_maximum_u32(x: u32, y: u32) -> u32 { return select(x, y, y > x); }
fn wt_minimum_u32(x: u32, y: u32) -> u32 { return select(x, y, y < x); }
fn wt_fmax_u32(x: u32, y: u32) -> u32 { return select(x, y, y > x); }
fn wt_fmin_u32(x: u32, y: u32) -> u32 { return select(x, y, y < x); }

// Where lowest > highest the result is highest, as in PyTorch.
fn wt_clamp_u32(x: u32, lowest: u32, highest: u32) -> u32 { return wt_minimum_u32(wt_maximum_u32(x, lowest), highest); }

fn wt_relu_u32(x: u32) -> u32 { return x; }
fn wt_neg_u32(x: u32) -> u32 { return 0u - x; }
fn wt_abs_u32(x: u32) -> u32 { return x; }
fn wt_sign_u32(x: u32) -> u32 { return u32(x != 0u); }
fn wt_signbit_u32(x: u32) -> bool { return false; }
fn wt_heaviside_u32(x: u32, value_at_zero: u32) -> u32 { return select(1u, value_at_zero, x == 0u); }

fn wt_trunc_divide_u32(x: u32, y: u32) -> u32 { return select(x / select(y, 1u, y == 0u), 0u, y == 0u); }
fn wt_floor_divide_u32(x: u32, y: u32) -> u32 { return wt_trunc_divide_u32(x, y); }
fn wt_fmod_u32(x: u32, y: u32) -> u32 { return x % select(y, 1u, y == 0u); }
fn wt_remainder_u32(x: u32, y: u32) -> u32 { return wt_fmod_u32(x, y); }

// By squaring; wraps.
fn wt_pow_u32(x: u32, y: u32) -> u32 {
    var result = 1u;
    var square = x;
    for (var rest = y; rest != 0u; rest = rest >> 1u) {
        if ((rest & 1u) == 1u) { result *= square; }
        square *= square;
    }
    return result;
}

// Amounts of 32 and more give 0.
fn wt_left_shift_u32(x: u32, amount: u32) -> u32 { return select(x << (amount & 31u), 0u, amount >= 32u); }
fn wt_right_shift_u32(x: u32, amount: u32) -> u32 { return select(x >> (amount & 31u), 0u, amount >= 32u); }

fn wt_gcd_u32(x: u32, y: u32) -> u32 {
    var a = x;
    var b = y;
    while (b != 0u) {
        let rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

fn wt_lcm_u32(x: u32, y: u32) -> u32 { return wt_trunc_divide_u32(x, wt_gcd_u32(x, y)) * y; }

// ---- bool -----------------------------------------------------------------------------------------------------------

fn wt_eq_bool(x: bool, y: bool) -> bool { return x == y; }
fn wt_ne_bool(x: bool, y: bool) -> bool { return x != y; }
fn wt_lt_bool(x: bool, y: bool) -> bool { return !x & y; }
fn wt_le_bool(x: bool, y: bool) -> bool { return !x | y; }
fn wt_gt_bool(x: bool, y: bool) -> bool { return x & !y; }
fn wt_ge_bool(x: bool, y: bool) -> bool { return x | !y; }
fn wt_maximum_bool(x: bool, y: bool) -> bool { return x | y; }
fn wt_minimum_bool(x: bool, y: bool) -> bool { return x & y; }
fn wt_fmax_bool(x: bool, y: bool) -> bool { return x | y; }
fn wt_fmin_bool(x: bool, y: bool) -> bool { return x & y; }
fn wt_clamp_bool(x: bool, lowest: bool, highest: bool) -> bool { return (x | lowest) & highest; }
fn wt_sign_bool(x: bool) -> bool { return x; }
fn wt_abs_bool(x: bool) -> bool { return x; }

// ---- i64 ------------------------------------------------------------------------------------------------------------

fn wt_eq_i64(x: i64, y: i64) -> bool { return x == y; }
fn wt_ne_i64(x: i64, y: i64) -> bool { return x != y; }
fn wt_lt_i64(x: i64, y: i64) -> bool { return x < y; }
fn wt_le_i64(x: i64, y: i64) -> bool { return x <= y; }
fn wt_gt_i64(x: i64, y: i64) -> bool { return x > y; }
fn wt_ge_i64(x: i64, y: i64) -> bool { return x >= y; }

fn wt_maximum_i64(x: i64, y: i64) -> i64 { return select(x, y, y > x); }
fn wt_minimum_i64(x: i64, y: i64) -> i64 { return select(x, y, y < x); }
fn wt_fmax_i64(x: i64, y: i64) -> i64 { return select(x, y, y > x); }
fn wt_fmin_i64(x: i64, y: i64) -> i64 { return select(x, y, y < x); }

// Where lowest > highest the result is highest, as in PyTorch.
fn wt_clamp_i64(x: i64, lowest: i64, highest: i64) -> i64 { return wt_minimum_i64(wt_maximum_i64(x, lowest), highest); }

fn wt_relu_i64(x: i64) -> i64 { return select(x, 0li, x < 0li); }
fn wt_neg_i64(x: i64) -> i64 { return 0li - x; }
fn wt_abs_i64(x: i64) -> i64 { return select(x, 0li - x, x < 0li); }
fn wt_sign_i64(x: i64) -> i64 { return select(select(0li, 1li, x > 0li), -1li, x < 0li); }
fn wt_signbit_i64(x: i64) -> bool { return x < 0li; }

fn wt_heaviside_i64(x: i64, value_at_zero: i64) -> i64 {
    return select(select(0li, 1li, x > 0li), value_at_zero, x == 0li);
}

// Rounded towards zero. The divisors 0 and -1 are kept from the builtin.
fn wt_trunc_divide_i64(x: i64, y: i64) -> i64 {
    let plain = (y != 0li) & (y != -1li);
    let quotient = x / select(1li, y, plain);
    return select(select(quotient, 0li - x, y == -1li), 0li, y == 0li);
}

// x - y * trunc(x / y): the sign of x.
fn wt_fmod_i64(x: i64, y: i64) -> i64 { return select(x - y * wt_trunc_divide_i64(x, y), 0li, y == 0li); }

// Rounded down.
fn wt_floor_divide_i64(x: i64, y: i64) -> i64 {
    let rest = wt_fmod_i64(x, y);
    return wt_trunc_divide_i64(x, y) - select(0li, 1li, (rest != 0li) & ((rest < 0li) != (y < 0li)));
}

// x - y * floor(x / y): the sign of y.
fn wt_remainder_i64(x: i64, y: i64) -> i64 {
    let rest = wt_fmod_i64(x, y);
    return rest + select(0li, y, (rest != 0li) & ((rest < 0li) != (y < 0li)));
}

// By squaring; wraps. A negative exponent gives 1 for 1, 1 or -1 for -1, and 0 for all others, 0 included.
fn wt_pow_i64(x: i64, y: i64) -> i64 {
    if (y < 0li) {
        let unit = select(0li, 1li, x == 1li);
        return select(unit, select(1li, -1li, (y & 1li) == 1li), x == -1li);
    }
    var result = 1li;
    var square = x;
    for (var rest = y; rest != 0li; rest = rest >> 1u) {
        if ((rest & 1li) == 1li) { result *= square; }
        square *= square;
    }
    return result;
}

// Amounts outside the width: 0 on the left, nothing but the sign on the right.
fn wt_left_shift_i64(x: i64, amount: i64) -> i64 {
    let inside = (amount >= 0li) & (amount < 64li);
    return select(0li, x << u32(select(0li, amount, inside)), inside);
}

fn wt_right_shift_i64(x: i64, amount: i64) -> i64 {
    let inside = (amount >= 0li) & (amount < 64li);
    return x >> u32(select(63li, amount, inside));
}

// Never negative, except that 2^63 wraps to the smallest integer. The gcd with 0 is the other number.
fn wt_gcd_i64(x: i64, y: i64) -> i64 {
    // As unsigned numbers: the absolute value of the smallest integer fits there.
    var a = u64(wt_abs_i64(x));
    var b = u64(wt_abs_i64(y));
    while (b != 0lu) {
        let rest = a % b;
        a = b;
        b = rest;
    }
    return i64(a);
}

// Never negative; wraps; 0 where either is 0.
fn wt_lcm_i64(x: i64, y: i64) -> i64 { return wt_abs_i64(wt_trunc_divide_i64(x, wt_gcd_i64(x, y)) * y); }

// ---- conversions of i64 ---------------------------------------------------------------------------------------------

// The builtin conversion, but in two parts: one driver takes i64(x) < 0li for false whatever x is.
fn wt_cast_i32_i64(x: i32) -> i64 {
    return i64(x & 0x7fffffff) - (i64(bitcast<i32>(bitcast<u32>(x) >> 31u)) << 31u);
}
// The builtin conversion extends the sign.
fn wt_cast_u32_i64(x: u32) -> i64 { return i64(x) & 4294967295li; }

// Modulo 2^32.
fn wt_cast_i64_u32(x: i64) -> u32 { return u32(x & 4294967295li); }
fn wt_cast_i64_i32(x: i64) -> i32 { return bitcast<i32>(wt_cast_i64_u32(x)); }

// Towards zero. NaN, infinity and what does not fit give the smallest integer, as PyTorch does on x86.
fn wt_cast_f32_i64(x: f32) -> i64 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let exponent = i32(bits >> 23u) - 150;
    let significand = (bits & 0x7fffffu) | 0x800000u;
    let left = i64(significand) << u32(clamp(exponent, 0, 39));
    let right = i64(select(significand >> u32(clamp(-exponent, 0, 31)), 0u, exponent < -31));
    let size = select(right, left, exponent >= 0);
    let value = select(size, 0li - size, (bitcast<u32>(x) & 0x80000000u) != 0u);
    return select(value, -9223372036854775807li - 1li, exponent > 39);
}

// The nearest float32, ties to even.
fn wt_cast_i64_f32(x: i64) -> f32 {
    let size = u64(wt_abs_i64(x));
    let high = u32(size >> 32u);
    let low = u32(size & 0xfffffffflu);
    let wide = high != 0u;
    let leading = countLeadingZeros(select(low, high, wide));
    // The leading 32 bits; a 1 in the last place stands for all that were cut off.
    let shifted = size << ((leading + select(32u, 0u, wide)) & 63u);
    let kept = u32(shifted >> 32u) | u32((shifted & 0xfffffffflu) != 0lu);
    let rest = kept & 0xffu;
    let up = (rest > 128u) | ((rest == 128u) & ((kept & 0x100u) != 0u));
    let bits = ((select(157u, 189u, wide) - leading) << 23u) + (kept >> 8u) + u32(up);
    let value = select(bitcast<f32>(bits), 0.0f, x == 0li);
    return select(value, -value, x < 0li);
}
