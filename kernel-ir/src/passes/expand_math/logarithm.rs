//! `log` and `log2`, and the way a float comes apart.

use super::math::Math;
use super::polynomials as poly;
use crate::kernel::Value;
use crate::op::Opcode;

/// `x = 2^n * (1 + f)` with `1 + f` in [sqrt 1/2, sqrt 2), for finite `x > 0`; anything, without
/// harm, for others.
pub(super) struct Parts {
    pub(super) n: Value,
    /// `1 + f`.
    pub(super) m: Value,
    /// Exact.
    pub(super) f: Value,
}

pub(super) fn split(m: &mut Math<'_>, x: Value) -> Parts {
    let mantissa = m.mantissa();
    // Subnormals become normal; their exponent is put right where it becomes a float.
    let least = m.pick(f32::MIN_POSITIVE.into(), f64::MIN_POSITIVE);
    let subnormal = m.compare_to(Opcode::Lt, x, least);
    let up = m.float(2f64.powi(mantissa as i32));
    let scaled = m.mul(x, up);
    let x = m.select(subnormal, scaled, x);
    let bits = m.bits(x);
    let origin = m.int(m.bits_of(std::f64::consts::FRAC_1_SQRT_2));
    let above = m.sub(bits, origin);
    let exponent = m.shr(above, mantissa);
    let field = m.shl(exponent, mantissa);
    let bits = m.sub(bits, field);
    let fraction = m.of_bits(bits);
    let one = m.float(1.0);
    let f = m.sub(fraction, one);
    Parts { n: to_float(m, exponent, subnormal), m: fraction, f }
}

/// A small integer as float, less the mantissa's width where `subnormal`. Added to the bits of a
/// big float, an integer adds to its value: cheaper than a conversion of 64-bit integers.
fn to_float(m: &mut Math<'_>, exponent: Value, subnormal: Value) -> Value {
    let rounder = m.rounder(0);
    let bits = m.int(m.bits_of(rounder));
    let sum = m.add(exponent, bits);
    let sum = m.of_bits(sum);
    let (plain, more) = (m.float(rounder), m.float(rounder + f64::from(m.mantissa())));
    let origin = m.select(subnormal, more, plain);
    m.sub(sum, origin)
}

/// The natural logarithm.
pub(super) fn log(m: &mut Math<'_>, x: Value) -> Value {
    let Parts { n, f, .. } = split(m, x);
    let ln2 = m.floats(&poly::LN2);
    // In f32 one float is exact enough: `ln 2` happens to be near it.
    let rest = m.pick(None, Some(ln2[1])).map(|low| {
        let low = m.float(low);
        m.mul(n, low)
    });
    let l = log1p(m, f, rest);
    let high = m.float(ln2[0]);
    let y = m.fma(n, high, l);
    special(m, x, y)
}

/// The logarithm to base 2.
pub(super) fn log2(m: &mut Math<'_>, x: Value) -> Value {
    let Parts { n, f, .. } = split(m, x);
    let l = log1p(m, f, None);
    let log2_e = m.floats(&poly::LOG2_E);
    let high = m.float(log2_e[0]);
    let y = m.fma(l, high, n);
    special(m, x, y)
}

/// `ln(1 + f)`, and in f64 `rest` added to it. In f32 by a polynomial in `f`; in f64, where that would take twenty
/// coefficients, through `s = f / (2 + f)`: `ln(1 + f) = 2 atanh(s)`, of which the first term
/// is `f - s f`, and `s f = f^2 / 2 - s f^2 / 2` keeps the division's error small.
fn log1p(m: &mut Math<'_>, f: Value, rest: Option<Value>) -> Value {
    let square = m.mul(f, f);
    if m.pick(true, false) {
        let tail = m.polynomial(&poly::LOG1P, f);
        return m.fma(square, tail, f);
    }
    let two = m.float(2.0);
    let divisor = m.add(f, two);
    let s = m.div(f, divisor);
    let z = m.mul(s, s);
    let half = m.float(0.5);
    let half_square = m.mul(square, half);
    let tail = m.polynomial(&poly::LOG_ATANH, z);
    let inner = m.fma(z, tail, half_square);
    let small = match rest {
        Some(rest) => m.fma(s, inner, rest),
        None => m.mul(s, inner),
    };
    let less = m.sub(half_square, small);
    m.sub(f, less)
}

/// `-inf` for zeros, NaN for negative numbers and NaN, `inf` for `inf`.
fn special(m: &mut Math<'_>, x: Value, y: Value) -> Value {
    let infinity = m.float(f64::INFINITY);
    let finite = m.compare(Opcode::Lt, x, infinity);
    let y = m.select(finite, y, infinity);
    let zero = m.float(0.0);
    let is_zero = m.compare(Opcode::Eq, x, zero);
    let (least, nan) = (m.float(f64::NEG_INFINITY), m.float(f64::NAN));
    let other = m.select(is_zero, least, nan);
    let positive = m.compare(Opcode::Gt, x, zero);
    m.select(positive, y, other)
}
