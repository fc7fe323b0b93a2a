//! `pow`: `2^(y log2 |x|)`, the logarithm and its product with `y` in two floats each, for the
//! exponent reaches 1075 and each of its bits before the point costs one behind it.

use super::exponential::exp2_of_sum;
use super::logarithm::{Parts, split};
use super::math::Math;
use super::polynomials as poly;
use crate::kernel::Value;
use crate::op::Opcode;
use crate::types::Scalar;

/// An unevaluated sum, the second part small against the first.
#[derive(Clone, Copy)]
struct Pair {
    high: Value,
    low: Value,
}

/// `x^y`.
pub(super) fn pow(m: &mut Math<'_>, x: Value, y: Value) -> Value {
    let magnitude = m.abs(x);
    let log = log2(m, magnitude);
    let exponent = times(m, y, log);
    // Where the exponent is huge or infinite its low part is of no use, or NaN.
    let limit = m.pick(1024.0, 8192.0);
    let size = m.abs(exponent.high);
    let huge = m.compare_to(Opcode::Gt, size, limit);
    let zero = m.float(0.0);
    let low = m.select(huge, zero, exponent.low);
    let power = exp2_of_sum(m, exponent.high, low);
    special(m, x, y, magnitude, power)
}

/// `log2(a)` for `a >= 0`, with infinities and NaN.
fn log2(m: &mut Math<'_>, a: Value) -> Pair {
    let Parts { n, m: fraction, f } = split(m, a);
    let l = log2_of_fraction(m, fraction, f);
    // n is 0 or more than l, so nothing is lost.
    let high = m.add(n, l.high);
    let rest = m.sub(high, n);
    let rest = m.sub(l.high, rest);
    let low = m.add(rest, l.low);
    let finite = m.compare_to(Opcode::Lt, a, f64::INFINITY);
    let high = m.select(finite, high, a);
    let is_zero = m.compare_to(Opcode::Eq, a, 0.0);
    let least = m.float(f64::NEG_INFINITY);
    Pair { high: m.select(is_zero, least, high), low }
}

/// `log2(1 + f) = 2 log2(e) atanh(s)`, `s = f / (2 + f)`, with
/// `atanh(s) = s + s z (1/3 + z p(z))`, `z = s^2`: only `p` may be rounded to one float.
fn log2_of_fraction(m: &mut Math<'_>, fraction: Value, f: Value) -> Pair {
    let s = quotient(m, fraction, f);
    let z = square(m, s);
    let p = m.polynomial(&poly::ATANH, z.high);
    let p = times(m, p, z);
    let third = pair(m, &poly::THIRD, 1.0);
    let sum = add(m, third, p);
    let w = product(m, z, sum);
    let w = product(m, s, w);
    let atanh = add(m, s, w);
    let factor = pair(m, &poly::LOG2_E, 2.0);
    product(m, atanh, factor)
}

fn pair(m: &mut Math<'_>, parts: &super::math::Floats, scale: f64) -> Pair {
    let parts = m.floats(parts);
    Pair { high: m.float(scale * parts[0]), low: m.float(scale * parts[1]) }
}

/// `f / (1 + fraction)`; `fraction` is `1 + f`.
fn quotient(m: &mut Math<'_>, fraction: Value, f: Value) -> Pair {
    let one = m.float(1.0);
    let divisor = m.add(fraction, one);
    let rest = m.sub(divisor, one);
    let lost = m.sub(fraction, rest);
    let inverse = m.div(one, divisor);
    let high = m.mul(f, inverse);
    let minus = m.neg(high);
    let remainder = m.fma(minus, divisor, f);
    let remainder = m.fma(minus, lost, remainder);
    Pair { high, low: m.mul(remainder, inverse) }
}

/// `a * b`, rounded, and what rounding lost.
fn exact_product(m: &mut Math<'_>, a: Value, b: Value) -> Pair {
    let high = m.mul(a, b);
    let minus = m.neg(high);
    Pair { high, low: m.fma(a, b, minus) }
}

fn square(m: &mut Math<'_>, a: Pair) -> Pair {
    let Pair { high, low } = exact_product(m, a.high, a.high);
    let double = m.add(a.high, a.high);
    Pair { high, low: m.fma(double, a.low, low) }
}

fn times(m: &mut Math<'_>, a: Value, b: Pair) -> Pair {
    let Pair { high, low } = exact_product(m, a, b.high);
    Pair { high, low: m.fma(a, b.low, low) }
}

fn product(m: &mut Math<'_>, a: Pair, b: Pair) -> Pair {
    let Pair { high, low } = times(m, a.high, b);
    Pair { high, low: m.fma(a.low, b.high, low) }
}

/// `a + b`, `a` the greater.
fn add(m: &mut Math<'_>, a: Pair, b: Pair) -> Pair {
    let high = m.add(a.high, b.high);
    let rest = m.sub(a.high, high);
    let lost = m.add(rest, b.high);
    let low = m.add(a.low, b.low);
    Pair { high, low: m.add(lost, low) }
}

/// The sign, and the cases of C's F.10.4.4 that do not come out by themselves: `x^0` and `1^y` are
/// 1 even for NaN, so is `-1` to an infinity; a negative number to no integer is NaN.
fn special(m: &mut Math<'_>, x: Value, y: Value, magnitude: Value, power: Value) -> Value {
    let (zero, one) = (m.float(0.0), m.float(1.0));
    let whole = m.op(Opcode::Trunc, [y]);
    let half = m.float(0.5);
    let halved = m.mul(whole, half);
    let halved_whole = m.op(Opcode::Trunc, [halved]);
    // For an y that is no integer the sign only decides between NaNs, and zeros and infinities of
    // x, which must stay positive.
    let is_whole = m.compare(Opcode::Eq, whole, y);
    let is_odd = m.compare(Opcode::Ne, halved, halved_whole);
    let is_odd = m.and(is_whole, is_odd);

    let unit = m.compare(Opcode::Eq, magnitude, one);
    let power = m.select(unit, one, power);
    let bits = m.bits(x);
    let (mask, none) = (m.int(m.pick(i32::MIN.into(), i64::MIN)), m.int(0));
    let mask = m.select(is_odd, mask, none);
    let sign = m.and(bits, mask);
    let bits = m.bits(power);
    let bits = m.or(bits, sign);
    let signed = m.of_bits(bits);

    let negative = m.compare(Opcode::Lt, x, zero);
    let finite = m.compare_to(Opcode::Gt, x, f64::NEG_INFINITY);
    let broken = m.compare(Opcode::Ne, whole, y);
    let undefined = m.and(negative, finite);
    let undefined = m.and(undefined, broken);
    let nan = m.float(f64::NAN);
    let result = m.select(undefined, nan, signed);
    // Where |x| is 1 a NaN in y was lost.
    let y_is_nan = m.compare(Opcode::Ne, y, y);
    let result = m.select(y_is_nan, nan, result);

    let y_is_zero = m.compare(Opcode::Eq, y, zero);
    let x_is_one = m.compare(Opcode::Eq, x, one);
    let is_one = m.emit(Opcode::Or, crate::Attr::None, &[y_is_zero, x_is_one], Scalar::Bool.into());
    m.select(is_one, one, result)
}
