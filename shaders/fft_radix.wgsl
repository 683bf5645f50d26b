// The discrete Fourier transforms of a few numbers, that longer ones are made of. `sign` is that of the exponent: -1 for
// the transform, 1 for its inverse; none is scaled.

fn wt_transform2_c64(v: array<c64, 2>, sign: f32) -> array<c64, 2> { return array<c64, 2>(v[0] + v[1], v[0] - v[1]); }

fn wt_transform3_c64(v: array<c64, 3>, sign: f32) -> array<c64, 3> {
    let sum = v[1] + v[2];
    let turned = (0.866025404f * sign) * wt_turn_c64(v[1] - v[2]);
    let middle = v[0] - 0.5f * sum;
    return array<c64, 3>(v[0] + sum, middle + turned, middle - turned);
}

fn wt_transform4_c64(v: array<c64, 4>, sign: f32) -> array<c64, 4> {
    let a = v[0] + v[2];
    let b = v[0] - v[2];
    let c = v[1] + v[3];
    let d = sign * wt_turn_c64(v[1] - v[3]);
    return array<c64, 4>(a + c, b + d, a - c, b - d);
}

fn wt_transform5_c64(v: array<c64, 5>, sign: f32) -> array<c64, 5> {
    let near = v[1] + v[4];
    let far = v[2] + v[3];
    let one = v[1] - v[4];
    let two = v[2] - v[3];
    let a = v[0] + 0.309016994f * near - 0.809016994f * far;
    let b = v[0] - 0.809016994f * near + 0.309016994f * far;
    let c = sign * wt_turn_c64(0.951056516f * one + 0.587785252f * two);
    let d = sign * wt_turn_c64(0.587785252f * one - 0.951056516f * two);
    return array<c64, 5>(v[0] + near + far, a + c, b + d, b - d, a - c);
}

fn wt_transform8_c64(v: array<c64, 8>, sign: f32) -> array<c64, 8> {
    let even = wt_transform4_c64(array<c64, 4>(v[0], v[2], v[4], v[6]), sign);
    let odd = wt_transform4_c64(array<c64, 4>(v[1], v[3], v[5], v[7]), sign);
    let one = 0.707106781f * (odd[1] + sign * wt_turn_c64(odd[1]));
    let two = sign * wt_turn_c64(odd[2]);
    let three = 0.707106781f * (sign * wt_turn_c64(odd[3]) - odd[3]);
    return array<c64, 8>(
        even[0] + odd[0], even[1] + one, even[2] + two, even[3] + three,
        even[0] - odd[0], even[1] - one, even[2] - two, even[3] - three,
    );
}
