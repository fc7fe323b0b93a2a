//! The exact meaning of the pure scalar operations, on constants.
//!
//! [`eval`] is what constant folding may use: operations of which every target gives the same
//! bits. [`reference()`] adds the functions that targets compute by polynomials (`exp` and the like):
//! their results may differ in the last places, and folding must not show; and `dot2`, for which a
//! target may take denormals for zero: here they are what they are.
//!
//! Vectors are their lanes: an operation on vectors is the operation on each lane.

use std::cmp::Ordering;

use half::{bf16, f16};

use crate::attr::Const;
use crate::fp8::Format;
use crate::op::Opcode;
use crate::types::Scalar;

/// Whether an operation's result is the same bits on every target, so that folding it while
/// compiling cannot be told from computing it.
pub const fn folds(op: Opcode) -> bool {
    !matches!(
        op,
        Opcode::Rsqrt
            | Opcode::Exp
            | Opcode::Exp2
            | Opcode::Exp2Fast
            | Opcode::Log
            | Opcode::Log2
            | Opcode::Sin
            | Opcode::Cos
            | Opcode::Tanh
            | Opcode::Erf
            | Opcode::Pow
            | Opcode::Dot2
    ) && op.is_pure()
}

/// The result of a pure scalar operation; `None` if the operation does not [fold](folds), is no
/// scalar operation, or has no result (division by zero).
///
/// Small floats compute in `f32` and round, which is exact for `+ - * /` and `sqrt` (24 bits are at
/// least twice their 11 and two more); their `fma` rounds the exact sum once. Integers become
/// `bf16` through `f32`, as on every target.
pub fn eval(op: Opcode, operands: &[Const], result: Scalar) -> Option<Const> {
    use Opcode::{Abs, Agreed, Bitcast, Cast, CopySign, Dot4, Eq, Ge, Gt, Le, Lt, Ne, Neg, Select};
    let first = *operands.first()?;
    match op {
        Eq | Ne | Lt | Le | Gt | Ge => compare(op, first, operands[1]).map(Const::bool),
        Select => Some(if first.bits != 0 { operands[1] } else { operands[2] }),
        Cast => cast(first, result),
        Bitcast => Some(Const::new(result, first.bits)),
        Agreed => Some(first),
        Dot4 => Some(dot4(operands)),
        Neg | Abs | CopySign if first.ty.is_float() => Some(sign(op, operands)),
        _ if first.ty.is_float() => float(op, operands, result),
        _ => int(op, operands, result),
    }
}

/// The result of any pure scalar operation: [`eval`]'s, or for the functions that targets
/// approximate the true value rounded (`f64` results: to an ulp or so, as `std` and `libm` are).
pub fn reference(op: Opcode, operands: &[Const], result: Scalar) -> Option<Const> {
    if folds(op) {
        return eval(op, operands, result);
    }
    if op == Opcode::Dot2 {
        return Some(dot2(operands));
    }
    let x = operands.first()?.as_f64()?;
    let y = operands.get(1).and_then(|c| c.as_f64());
    Some(Const::float(
        result,
        match op {
            Opcode::Rsqrt => 1.0 / x.sqrt(),
            Opcode::Exp => x.exp(),
            Opcode::Exp2 | Opcode::Exp2Fast => x.exp2(),
            Opcode::Log => x.ln(),
            Opcode::Log2 => x.log2(),
            Opcode::Sin => x.sin(),
            Opcode::Cos => x.cos(),
            Opcode::Tanh => x.tanh(),
            Opcode::Erf => libm::erf(x),
            Opcode::Pow => x.powf(y?),
            _ => return None,
        },
    ))
}

fn compare(op: Opcode, a: Const, b: Const) -> Option<bool> {
    let order = match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        (None, None) => Some(a.as_int().cmp(&b.as_int())),
        _ => return None,
    };
    Some(match op {
        Opcode::Eq => order.is_some_and(|o| o.is_eq()),
        Opcode::Ne => order.is_none_or(|o| o.is_ne()),
        Opcode::Lt => order.is_some_and(|o| o.is_lt()),
        Opcode::Le => order.is_some_and(|o| o.is_le()),
        Opcode::Gt => order.is_some_and(|o| o.is_gt()),
        _ => order.is_some_and(|o| o.is_ge()),
    })
}

/// Rust's `as`.
fn cast(x: Const, to: Scalar) -> Option<Const> {
    if to == x.ty {
        return Some(x);
    }
    let eighth = |ty| Format::of(ty).is_some();
    if eighth(x.ty) && to == Scalar::F32 || x.ty == Scalar::F32 && eighth(to) {
        return Some(Const::float(to, x.as_f64()?));
    }
    let computes = |ty: Scalar| ty.is_num() || ty == Scalar::Bool;
    if to == Scalar::Bool || !computes(x.ty) || !computes(to) {
        return None;
    }
    match x.as_f64() {
        None if to.is_int() => Some(Const::int(to, x.as_int())),
        // Straight from the integer: rounding to f64 first would round twice.
        None => Some(match to {
            Scalar::F32 => Const::f32(x.as_int() as f32),
            Scalar::F64 => Const::f64(x.as_int() as f64),
            // Both small types go through f32, as `half` and every target do.
            _ => small(to, x.as_int() as f32),
        }),
        Some(value) if to.is_int() => {
            // A saturating cast to i128, then to the type's own bounds.
            let (low, high) = bounds(to);
            Some(Const::int(to, (value as i128).clamp(low, high)))
        }
        Some(value) => Some(Const::float(to, value)),
    }
}

fn small(to: Scalar, x: f32) -> Const {
    match to {
        Scalar::F16 => Const::new(to, f16::from_f32(x).to_bits().into()),
        _ => Const::new(to, bf16::from_f32(x).to_bits().into()),
    }
}

/// The least and greatest value of an integer type.
pub fn bounds(ty: Scalar) -> (i128, i128) {
    let bits = ty.bits();
    if ty.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn int(op: Opcode, operands: &[Const], result: Scalar) -> Option<Const> {
    use Opcode::*;
    let a = operands[0].as_int();
    let ty = operands[0].ty;
    let b = operands.get(1).map_or(0, |b| b.as_int());
    let width = ty.bits();
    let amount = (b as u32) & (width - 1);
    Some(crate::attr::Const::int(
        result,
        match op {
            Add => a + b,
            Sub => a - b,
            Mul => (a as u128).wrapping_mul(b as u128) as i128,
            Div | Rem if b == 0 => return None,
            // MIN / -1 has no result either.
            Div | Rem if ty.is_signed() && b == -1 && a == bounds(ty).0 => return None,
            Div => a / b,
            Rem => a % b,
            MulHi => {
                a.checked_mul(b).map_or_else(|| mul_hi_u64(a as u64, b as u64), |p| p >> width)
            }
            Neg => -a,
            Abs => a.abs(),
            Min => a.min(b),
            Max => a.max(b),
            And => a & b,
            Or => a | b,
            Xor => a ^ b,
            Not if ty == Scalar::Bool => a ^ 1,
            Not => !a,
            Shl => a << amount,
            Shr => a >> amount,
            CountOnes => operands[0].bits.count_ones().into(),
            LeadingZeros => (operands[0].bits.leading_zeros() - (64 - width)).into(),
            TrailingZeros => operands[0].bits.trailing_zeros().min(width).into(),
            ReverseBits => (operands[0].bits.reverse_bits() >> (64 - width)).into(),
            _ => return None,
        },
    ))
}

/// Four products of bytes, each as signed as the word it stands in, and a sum: `i32`, wrapping.
fn dot4(operands: &[Const]) -> Const {
    let byte = |word: Const, i: u32| {
        let byte = (word.bits >> (8 * i)) as u8;
        if word.ty.is_signed() { i128::from(byte as i8) } else { byte.into() }
    };
    let products = (0..4).map(|i| byte(operands[0], i) * byte(operands[1], i));
    Const::int(Scalar::I32, operands[2].as_int() + products.sum::<i128>())
}

/// Two products of bf16, the upper halves' first, each added to an `f32` and rounded once.
fn dot2(operands: &[Const]) -> Const {
    let half =
        |word: Const, shift: u32| f32::from_bits(u32::from((word.bits >> shift) as u16) << 16);
    let sum = f32::from_bits(operands[2].bits as u32);
    let step = |sum: f32, shift| half(operands[0], shift).mul_add(half(operands[1], shift), sum);
    Const::f32(step(step(sum, 16), 0))
}

fn mul_hi_u64(a: u64, b: u64) -> i128 {
    ((u128::from(a) * u128::from(b)) >> 64) as i128
}

/// What a sign does: bits alone, so that the payload of a NaN stays.
fn sign(op: Opcode, operands: &[Const]) -> Const {
    let x = operands[0];
    let mask = 1 << (x.ty.bits() - 1);
    let bits = match op {
        Opcode::Neg => x.bits ^ mask,
        Opcode::Abs => x.bits & !mask,
        _ => (x.bits & !mask) | (operands[1].bits & mask),
    };
    Const::new(x.ty, bits)
}

fn float(op: Opcode, operands: &[Const], result: Scalar) -> Option<Const> {
    let wide: Vec<f64> = operands.iter().map(|c| c.as_f64()).collect::<Option<_>>()?;
    let narrow = || wide.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    Some(match result {
        Scalar::F64 => Const::f64(float_64(op, &wide)?),
        Scalar::F32 => Const::f32(float_32(op, &narrow())?),
        Scalar::F16 | Scalar::BF16 if op == Opcode::Fma => {
            Const::float(result, fma_to_odd(wide[0], wide[1], wide[2]))
        }
        Scalar::F16 | Scalar::BF16 => small(result, float_32(op, &narrow())?),
        _ => return None,
    })
}

/// `a * b + c` of small floats, whose product is exact in `f64`, rounded to odd: a sum cut to 53
/// bits must not look like the middle of two neighbours.
fn fma_to_odd(a: f64, b: f64, c: f64) -> f64 {
    let product = a * b;
    let sum = product + c;
    // Knuth's two-sum: what the addition lost, exactly.
    let rest = sum - product;
    let lost = (product - (sum - rest)) + (c - rest);
    if lost == 0.0 || lost.is_nan() || sum.to_bits() & 1 == 1 {
        return sum;
    }
    let toward_zero = (lost < 0.0) != (sum < 0.0);
    f64::from_bits(if toward_zero { sum.to_bits() - 1 } else { sum.to_bits() + 1 })
}

macro_rules! float_fn {
    ($name:ident $extreme:ident $ty:ty) => {
        fn $name(op: Opcode, x: &[$ty]) -> Option<$ty> {
            use Opcode::*;
            Some(match op {
                Add => x[0] + x[1],
                Sub => x[0] - x[1],
                Mul => x[0] * x[1],
                Div => x[0] / x[1],
                Rem => x[0] % x[1],
                Min => $extreme(x[0], x[1], Ordering::Less),
                Max => $extreme(x[0], x[1], Ordering::Greater),
                Fma => x[0].mul_add(x[1], x[2]),
                Sqrt => x[0].sqrt(),
                Floor => x[0].floor(),
                Ceil => x[0].ceil(),
                Trunc => x[0].trunc(),
                RoundEven => x[0].round_ties_even(),
                _ => return None,
            })
        }

        /// The lesser or greater. Rust leaves the sign open between two zeros; here -0 is less.
        fn $extreme(a: $ty, b: $ty, wanted: Ordering) -> $ty {
            let first = match a.partial_cmp(&b) {
                Some(Ordering::Equal) => a.is_sign_negative() == (wanted == Ordering::Less),
                Some(order) => order == wanted,
                None => b.is_nan(),
            };
            if first { a } else { b }
        }
    };
}

float_fn!(float_32 extreme_32 f32);
float_fn!(float_64 extreme_64 f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn one(op: Opcode, operands: &[Const], result: Scalar) -> Const {
        eval(op, operands, result).unwrap()
    }

    #[test]
    fn casts_are_rusts() {
        for x in [0.0f32, -1.5, 300.7, -1e30, 1e30, f32::NAN, f32::INFINITY] {
            assert_eq!(one(Opcode::Cast, &[Const::f32(x)], Scalar::U8).bits, (x as u8).into());
            let i = one(Opcode::Cast, &[Const::f32(x)], Scalar::I32).as_int();
            assert_eq!(i, (x as i32).into());
            let i = one(Opcode::Cast, &[Const::f32(x)], Scalar::I64).as_int();
            assert_eq!(i, (x as i64).into());
        }
        let big = Const::int(Scalar::I64, -300);
        assert_eq!(one(Opcode::Cast, &[big], Scalar::U8).bits, (-300i64 as u8).into());
        assert_eq!(one(Opcode::Cast, &[big], Scalar::U32).bits, (-300i64 as u32).into());
    }

    #[test]
    fn integers_wrap_and_shifts_mask() {
        let c = |x| Const::int(Scalar::I32, x);
        let max = c(i32::MAX.into());
        assert_eq!(one(Opcode::Add, &[max, c(1)], Scalar::I32).as_int(), i32::MIN.into());
        let min = c(i32::MIN.into());
        assert_eq!(eval(Opcode::Div, &[min, c(-1)], Scalar::I32), None);
        assert_eq!(eval(Opcode::Rem, &[c(1), c(0)], Scalar::I32), None);
        let amount = Const::int(Scalar::U32, 33);
        assert_eq!(one(Opcode::Shl, &[c(3), amount], Scalar::I32).as_int(), 6);
        assert_eq!(one(Opcode::Shr, &[c(-8), amount], Scalar::I32).as_int(), -4);
        let u = |x| Const::int(Scalar::U64, x);
        let all = u(u64::MAX.into());
        assert_eq!(one(Opcode::MulHi, &[all, all], Scalar::U64).bits, u64::MAX - 1);
        assert_eq!(one(Opcode::Mul, &[all, all], Scalar::U64).bits, 1);
    }
}
