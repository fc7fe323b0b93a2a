//! `sin` and `cos`: the argument less its multiple of `pi / 2`, two polynomials, and the quadrant's
//! choice of polynomial and sign.

use super::math::Math;
use super::polynomials as poly;
use super::reduction::{Reduced, reduce};
use crate::kernel::Value;
use crate::op::Opcode;

/// The sine.
pub(super) fn sin(m: &mut Math<'_>, x: Value) -> Value {
    // By the magnitude: the polynomial would turn -0 into 0.
    let magnitude = m.abs(x);
    let reduced = reduce(m, magnitude, 0);
    let sign = m.bits(x);
    wave(m, reduced, Some(sign))
}

/// The cosine: the sine one quadrant on.
pub(super) fn cos(m: &mut Math<'_>, x: Value) -> Value {
    let magnitude = m.abs(x);
    let reduced = reduce(m, magnitude, 1);
    wave(m, reduced, None)
}

/// `sin(quadrant * pi / 2 + r)`, negated by the sign bit of `sign`.
fn wave(m: &mut Math<'_>, Reduced { quadrant, r }: Reduced, sign: Option<Value>) -> Value {
    let z = m.mul(r, r);
    let cube = m.mul(r, z);
    let tail = m.polynomial(&poly::SIN, z);
    let sine = m.fma(cube, tail, r);
    let tail = m.polynomial(&poly::COS, z);
    let one = m.float(1.0);
    let cosine = m.fma(z, tail, one);

    let lowest = m.int(1);
    let odd = m.and(quadrant, lowest);
    let zero = m.int(0);
    let odd = m.compare(Opcode::Ne, odd, zero);
    let y = m.select(odd, cosine, sine);

    // The quadrants' second bit is the sign.
    let width = m.ty.bits();
    let mut flip = m.shl(quadrant, width - 2);
    if let Some(sign) = sign {
        flip = m.xor(flip, sign);
    }
    let mask = m.int(m.pick(i32::MIN.into(), i64::MIN));
    let flip = m.and(flip, mask);
    let bits = m.bits(y);
    let bits = m.xor(bits, flip);
    m.of_bits(bits)
}
