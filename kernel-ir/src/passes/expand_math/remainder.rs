//! Float remainders, exact.
//!
//! While a quotient is less than 2^24 (2^53 in f64), rounding it to nearest and cutting its fraction
//! gives the true integer or the next one up, and a fused multiply-add the exact remainder or that
//! less the divisor. Greater quotients are brought down by remainders of the divisor times powers
//! of two, up to 23 (52) bits each.

use super::math::Math;
use crate::attr::Attr;
use crate::kernel::Value;
use crate::op::Opcode;

/// `x - y * trunc(x / y)` with the sign of `x`, as `fmod`.
pub(super) fn rem(m: &mut Math<'_>, x: Value, y: Value) -> Value {
    let (a, b) = (m.abs(x), m.abs(y));
    let finite = m.compare_to(Opcode::Lt, a, f64::INFINITY);
    let nonzero = m.compare_to(Opcode::Gt, b, 0.0);
    let defined = m.and(finite, nonzero);
    let nan = m.float(f64::NAN);
    // NaN also ends the loop.
    let a = m.select(defined, a, nan);
    let near = bring_near(m, a, b);
    let quotient = m.div(near, b);
    let r = step(m, near, b, quotient);
    // A quotient of less than 1, where `b` may be infinite.
    let less = m.compare(Opcode::Lt, near, b);
    let r = m.select(less, near, r);
    m.op(Opcode::CopySign, [r, x])
}

/// The remainder of `a` by `b`, given the rounded quotient.
fn step(m: &mut Math<'_>, a: Value, b: Value, quotient: Value) -> Value {
    let whole = m.op(Opcode::Trunc, [quotient]);
    let r = m.fnma(whole, b, a);
    let negative = m.compare_to(Opcode::Lt, r, 0.0);
    let up = m.add(r, b);
    m.select(negative, up, r)
}

/// `a` less a multiple of `b`, such that the quotient by `b` is small enough.
fn bring_near(m: &mut Math<'_>, a: Value, b: Value) -> Value {
    let mantissa = m.mantissa();
    let limit = 2f64.powi(mantissa as i32 + 1);
    // A multiple of b by a power of two that is normal: its exponent can be changed in its bits.
    let least = m.pick(f32::MIN_POSITIVE.into(), f64::MIN_POSITIVE);
    let subnormal = m.compare_to(Opcode::Lt, b, least);
    let up = m.float(2f64.powi(mantissa as i32));
    let scaled = m.mul(b, up);
    let normal = m.select(subnormal, scaled, b);
    let base = m.bits(normal);

    let label = m.label();
    let current = m.argument();
    let body = m.region(vec![current], |m| {
        let quotient = m.div(current, b);
        let far = m.compare_to(Opcode::Ge, quotient, limit);
        let go_on = m.region(Vec::new(), |_| (Opcode::Yield, Attr::None, Vec::new()));
        let leave = m.region(Vec::new(), |_| (Opcode::Break, Attr::Label(label), vec![current]));
        m.control(Opcode::If, Attr::None, &[far], &[], vec![go_on, leave]);
        let divisor = shifted(m, current, base);
        let quotient = m.div(current, divisor);
        let next = step(m, current, divisor, quotient);
        (Opcode::Continue, Attr::Label(label), vec![next])
    });
    let ty = m.ty;
    m.control(Opcode::Loop, Attr::Label(label), &[a], &[ty], vec![body])[0]
}

/// The float of bits `base` times the power of two, at least 1, that makes the quotient of `a` by
/// it as great as it may be.
fn shifted(m: &mut Math<'_>, a: Value, base: Value) -> Value {
    let mantissa = m.mantissa();
    let bits = m.bits(a);
    let distance = m.sub(bits, base);
    let exponents = m.shr(distance, mantissa);
    let most = m.int(i64::from(mantissa) - 1);
    let by = m.sub(exponents, most);
    let zero = m.int(0);
    let by = m.op(Opcode::Max, [by, zero]);
    let field = m.shl(by, mantissa);
    let bits = m.add(base, field);
    m.of_bits(bits)
}
