//! Errors in units in the last place.

/// How far `got` is from `want` in ulp of f32 at `want`.
pub(crate) fn f32(got: f32, want: f64) -> f64 {
    if want.is_nan() || got.is_nan() {
        return if want.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    // As if exponents had no limit: infinity stands for the power of two behind the greatest
    // number, and so does all that is true beyond it.
    let finite = |x: f64| x.clamp(-2f64.powi(128), 2f64.powi(128));
    let (got, want) = (finite(got.into()), finite(want));
    if got == 0.0 && want == 0.0 {
        return if got.is_sign_negative() == want.is_sign_negative() { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((want.to_bits() >> 52 & 0x7ff) as i32 - 1023).clamp(-126, 127);
    (got - want).abs() * 2f64.powi(23 - exponent)
}

/// How far `got` is from what is `rest` ulp above `want`, in these ulp. `want` is finite.
pub(crate) fn f64(got: f64, want: f64, rest: f64) -> f64 {
    if !got.is_finite() {
        return f64::INFINITY;
    }
    if got == 0.0 && want == 0.0 && rest == 0.0 {
        return if got.is_sign_negative() == want.is_sign_negative() { 0.0 } else { f64::INFINITY };
    }
    // Between floats of one binade, and nearly so beside it, distance in ulp is that of the bits.
    let place = |x: f64| {
        let magnitude = (x.to_bits() << 1 >> 1) as i64;
        if x.is_sign_negative() { -magnitude } else { magnitude }
    };
    ((place(got) - place(want)) as f64 - rest).abs()
}

#[test]
fn distances_are_in_ulp_of_the_truth() {
    assert_eq!(f32(1.0, 1.0), 0.0);
    assert_eq!(f32(1.0 + 2.0 * f32::EPSILON, 1.0 + 0.5 * f64::from(f32::EPSILON)), 1.5);
    // The least subnormal for its half, the greatest float for infinity, and the wrong zero.
    assert_eq!(f32(f32::from_bits(1), 0.5 * 2f64.powi(-149)), 0.5);
    assert_eq!(f32(f32::MAX, f64::INFINITY), 1.0);
    assert_eq!(f32(0.0, -0.0), f64::INFINITY);
    assert_eq!(f32(f32::NAN, 1.0), f64::INFINITY);
    assert_eq!(f64(1.0 + f64::EPSILON, 1.0, 0.25), 0.75);
    assert_eq!(f64(-1.0 - f64::EPSILON, -1.0, 0.25), 1.25);
    assert_eq!(f64(f64::from_bits(2), 0.0, 0.5), 1.5);
}
