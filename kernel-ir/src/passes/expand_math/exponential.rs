//! `exp`, `exp2` and `tanh`.
//!
//! `2^x` is `2^n * 2^f` with `n` an integer. A power of two is made from bits, so its exponent must
//! be in range; results reach further down, as subnormals. `n = 2h` and two multiplications by
//! `2^h` reach everything with one rounding at most, and need no case apart: `f` is then in
//! [-1, 1], which costs a polynomial two coefficients more.

use super::math::Math;
use super::polynomials as poly;
use crate::kernel::Value;
use crate::op::Opcode;

/// `2^x`.
pub(super) fn exp2(m: &mut Math<'_>, x: Value) -> Value {
    // Below, all is zero: half of the least subnormal rounds to even.
    let (low, high) = m.pick((-151.0, 128.0), (-1076.0, 1024.0));
    let x = m.at_most(x, high);
    let x = m.at_least(x, low);
    let (h, power) = round_scaled(m, x, 0.5);
    let minus_two = m.float(-2.0);
    let f = m.fma(h, minus_two, x);
    let p = m.polynomial(&poly::EXP2, f);
    scale_twice(m, p, power)
}

/// `e^x`.
pub(super) fn exp(m: &mut Math<'_>, x: Value) -> Value {
    let (low, high) = m.pick((-104.5, 89.0), (-746.0, 710.0));
    let x = m.at_most(x, high);
    let x = m.at_least(x, low);
    let log2_e = m.floats(&poly::LOG2_E)[0];
    let (h, power) = round_scaled(m, x, 0.5 * log2_e);
    // x - h * 2 ln 2; the first step is exact.
    let ln2 = m.floats(&poly::LN2);
    let mut r = x;
    for part in ln2 {
        let part = m.float(-2.0 * part);
        r = m.fma(h, part, r);
    }
    let p = m.polynomial(&poly::EXP, r);
    scale_twice(m, p, power)
}

/// The integer nearest to `x * factor`, and 2 to its power.
fn round_scaled(m: &mut Math<'_>, x: Value, factor: f64) -> (Value, Value) {
    let rounder = m.rounder(m.bias());
    let (rounder, factor) = (m.float(rounder), m.float(factor));
    let sum = m.fma(x, factor, rounder);
    let h = m.sub(sum, rounder);
    (h, m.power_of_two(sum))
}

fn scale_twice(m: &mut Math<'_>, p: Value, power: Value) -> Value {
    let scaled = m.mul(p, power);
    m.mul(scaled, power)
}

/// `2^(high + low)`, `low` small against `high`.
pub(super) fn exp2_of_sum(m: &mut Math<'_>, high: Value, low: Value) -> Value {
    let (least, most) = m.pick((-151.0, 129.0), (-1076.0, 1025.0));
    let high = m.at_most(high, most);
    let high = m.at_least(high, least);
    let (h, power) = round_scaled(m, high, 0.5);
    let minus_two = m.float(-2.0);
    let f = m.fma(h, minus_two, high);
    let f = m.add(f, low);
    let p = m.polynomial(&poly::EXP2, f);
    scale_twice(m, p, power)
}

/// `2^x` for f32 where subnormal results may be zero: one power of two, made to vanish below
/// -126 by its own exponent field, which is zero there.
pub(super) fn exp2_fast(m: &mut Math<'_>, x: Value) -> Value {
    let x = m.at_most(x, 128.0);
    let x = m.at_least(x, -127.0);
    let n = m.op(Opcode::Floor, [x]);
    let f = m.sub(x, n);
    let p = m.polynomial(&poly::EXP2_UNIT, f);
    let rounder = m.rounder(m.bias());
    let rounder = m.float(rounder);
    let sum = m.add(n, rounder);
    let power = m.power_of_two(sum);
    m.mul(p, power)
}

/// `1 - 2^x` for `x` in [-100, 0], to an absolute error of an ulp of 1.
pub(super) fn one_minus_exp2(m: &mut Math<'_>, x: Value) -> Value {
    let rounder = m.rounder(m.bias());
    let rounder = m.float(rounder);
    let sum = m.add(x, rounder);
    let n = m.sub(sum, rounder);
    let f = m.sub(x, n);
    let p = m.polynomial(&poly::EXP2_HALF, f);
    let power = m.power_of_two(sum);
    let one = m.float(1.0);
    m.fnma(p, power, one)
}

/// The hyperbolic tangent: for small arguments a polynomial, for others `1 - 2 / (e^2x + 1)`.
pub(super) fn tanh(m: &mut Math<'_>, x: Value) -> Value {
    let magnitude = m.abs(x);
    let square = m.mul(magnitude, magnitude);
    let cube = m.mul(magnitude, square);
    let tail = m.polynomial(&poly::TANH, square);
    let small = m.fma(cube, tail, magnitude);

    // From here on the result is 1.
    let bounded = m.at_most(magnitude, m.pick(10.0, 20.0));
    let log2_e = m.floats(&poly::LOG2_E)[0];
    let factor = m.float(2.0 * log2_e);
    let rounder = m.rounder(m.bias());
    let rounder = m.float(rounder);
    let sum = m.fma(bounded, factor, rounder);
    let minus_n = m.sub(rounder, sum);
    let f = m.fma(bounded, factor, minus_n);
    let p = m.polynomial(&poly::EXP2_HALF, f);
    let power = m.power_of_two(sum);
    let (one, two) = (m.float(1.0), m.float(2.0));
    let divisor = m.fma(p, power, one);
    let rest = m.div(two, divisor);
    let big = m.sub(one, rest);

    let split = m.floats(&poly::TANH_SPLIT)[0];
    let is_small = m.compare_to(Opcode::Lt, magnitude, split);
    let y = m.select(is_small, small, big);
    m.op(Opcode::CopySign, [y, x])
}
