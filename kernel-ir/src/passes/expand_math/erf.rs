//! The error function.

use super::exponential::one_minus_exp2;
use super::math::Math;
use super::polynomials as poly;
use crate::kernel::Value;
use crate::op::Opcode;

/// `erf(x)`: for small arguments `x` times a polynomial in `x^2`, for others `1 - 2^p(x)`, where
/// the polynomial `p` is the logarithm of `erfc`.
pub(super) fn erf(m: &mut Math<'_>, x: Value) -> Value {
    let magnitude = m.abs(x);
    let square = m.mul(magnitude, magnitude);
    let tail = m.polynomial(&poly::ERF_SMALL, square);
    let small = m.fma(magnitude, tail, magnitude);

    let split = m.floats(&poly::ERF_SPLIT)[0];
    let end = m.floats(&poly::ERF_END)[0];
    let bounded = m.at_most(magnitude, end);
    let from = m.float(split);
    let distance = m.sub(bounded, from);
    let logarithm = m.polynomial(&poly::ERF_BIG, distance);
    let big = one_minus_exp2(m, logarithm);

    let is_small = m.compare(Opcode::Lt, magnitude, from);
    let y = m.select(is_small, small, big);
    m.op(Opcode::CopySign, [y, x])
}
