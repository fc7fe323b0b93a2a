//! The meaning of operations, against Rust itself.

use half::{bf16, f16};
use kernelsmith_ir::attr::Const;
use kernelsmith_ir::eval::{eval, folds, reference};
use kernelsmith_ir::op::{Signature, TABLE};
use kernelsmith_ir::{Opcode, Scalar};
use proptest::prelude::*;

/// A Rust type and its constants.
trait Of: Copy {
    const TY: Scalar;
    fn of(self) -> Const;
}

macro_rules! of {
    ($($ty:ty: $scalar:ident, $x:ident => $bits:expr;)*) => {
        $(impl Of for $ty {
            const TY: Scalar = Scalar::$scalar;
            fn of(self) -> Const {
                let $x = self;
                Const::new(Scalar::$scalar, $bits)
            }
        })*
    };
}

of! {
    bool: Bool, x => x.into();
    i8: I8, x => x as u64;
    i16: I16, x => x as u64;
    i32: I32, x => x as u64;
    i64: I64, x => x as u64;
    u8: U8, x => x.into();
    u16: U16, x => x.into();
    u32: U32, x => x.into();
    u64: U64, x => x;
    f16: F16, x => x.to_bits().into();
    bf16: BF16, x => x.to_bits().into();
    f32: F32, x => x.to_bits().into();
    f64: F64, x => x.to_bits();
}

/// Equal bits, or both NaN.
fn same(a: Option<Const>, b: Const) -> bool {
    let nan = |c: Const| c.as_f64().is_some_and(f64::is_nan);
    a.is_some_and(|a| a.ty == b.ty && (a.bits == b.bits || nan(a) && nan(b)))
}

macro_rules! check {
    ($op:ident($($x:expr),*) = $want:expr) => {{
        let operands = [$($x.of()),*];
        let want = $want.of();
        let got = eval(Opcode::$op, &operands, want.ty);
        prop_assert!(same(got, want), "{} {operands:?}: {got:?}, not {want:?}", stringify!($op));
    }};
}

macro_rules! integers {
    ($($name:ident: $ty:ident, $wide:ident;)*) => {
        $(proptest! {
            #[test]
            fn $name(a: $ty, b: $ty, s: u32, x: f32, y: f64) {
                check!(Add(a, b) = a.wrapping_add(b));
                check!(Sub(a, b) = a.wrapping_sub(b));
                check!(Mul(a, b) = a.wrapping_mul(b));
                check!(MulHi(a, b) = (((a as $wide).wrapping_mul(b as $wide)) >> $ty::BITS) as $ty);
                for b in [b, b % 5] {
                    match (a.checked_div(b), a.checked_rem(b)) {
                        (Some(quotient), Some(rest)) => {
                            check!(Div(a, b) = quotient);
                            check!(Rem(a, b) = rest);
                        }
                        _ => {
                            prop_assert_eq!(eval(Opcode::Div, &[a.of(), b.of()], $ty::TY), None);
                            prop_assert_eq!(eval(Opcode::Rem, &[a.of(), b.of()], $ty::TY), None);
                        }
                    }
                }
                check!(Min(a, b) = a.min(b));
                check!(Max(a, b) = a.max(b));
                check!(And(a, b) = a & b);
                check!(Or(a, b) = a | b);
                check!(Xor(a, b) = a ^ b);
                check!(Not(a) = !a);
                check!(Shl(a, s) = a.wrapping_shl(s));
                check!(Shr(a, s) = a.wrapping_shr(s));
                check!(CountOnes(a) = a.count_ones());
                for a in [a, a & 12, 0] {
                    check!(LeadingZeros(a) = a.leading_zeros());
                    check!(TrailingZeros(a) = a.trailing_zeros());
                }
                check!(ReverseBits(a) = a.reverse_bits());
                check!(Select(a < b, a, b) = if a < b { a } else { b });
                check!(Eq(a, b) = a == b);
                check!(Eq(a, a) = true);
                check!(Ne(a, b) = a != b);
                check!(Lt(a, b) = a < b);
                check!(Le(a, a) = true);
                check!(Gt(a, b) = a > b);
                check!(Ge(a, b) = a >= b);
                check!(Cast(a) = a as i8);
                check!(Cast(a) = a as i16);
                check!(Cast(a) = a as i32);
                check!(Cast(a) = a as i64);
                check!(Cast(a) = a as u8);
                check!(Cast(a) = a as u16);
                check!(Cast(a) = a as u32);
                check!(Cast(a) = a as u64);
                check!(Cast(a) = a as f32);
                check!(Cast(a) = a as f64);
                check!(Cast(a) = f16::from_f32(a as f32));
                check!(Cast(a) = bf16::from_f32(a as f32));
                check!(Cast(a > b) = (a > b) as $ty);
                for x in [x, a as f32, a as f32 * 1.5, f32::NAN] {
                    check!(Cast(x) = x as $ty);
                    check!(Cast(f16::from_f32(x)) = f16::from_f32(x).to_f32() as $ty);
                }
                for y in [y, a as f64 + 0.5, a as f64 * 1.5, f64::INFINITY] {
                    check!(Cast(y) = y as $ty);
                }
            }
        })*
    };
}

integers! {
    i8_is_rusts: i8, i128;
    i16_is_rusts: i16, i128;
    i32_is_rusts: i32, i128;
    i64_is_rusts: i64, i128;
    u8_is_rusts: u8, u128;
    u16_is_rusts: u16, u128;
    u32_is_rusts: u32, u128;
    u64_is_rusts: u64, u128;
}

macro_rules! floats {
    ($($name:ident: $ty:ident, $int:ident;)*) => {
        $(proptest! {
            #[test]
            fn $name(bits: [$int; 3], close in -100 as $ty..100.0) {
                let [a, b, c] = bits.map($ty::from_bits);
                for (a, b) in [(a, b), (a, a), (close, b), (close * 3.0, close), (a, $ty::NAN), (0.0, -0.0)] {
                    check!(Add(a, b) = a + b);
                    check!(Sub(a, b) = a - b);
                    check!(Mul(a, b) = a * b);
                    check!(Div(a, b) = a / b);
                    check!(Rem(a, b) = a % b);
                    check!(Fma(a, b, c) = a.mul_add(b, c));
                    check!(CopySign(a, b) = a.copysign(b));
                    check!(Eq(a, b) = a == b);
                    check!(Ne(a, b) = a != b);
                    check!(Lt(a, b) = a < b);
                    check!(Le(a, b) = a <= b);
                    check!(Gt(a, b) = a > b);
                    check!(Ge(a, b) = a >= b);
                    // Rust leaves the sign of zero open.
                    if a != 0.0 || b != 0.0 {
                        check!(Min(a, b) = a.min(b));
                        check!(Max(a, b) = a.max(b));
                    }
                }
                for a in [a, close, close.round() + 0.5] {
                    check!(Neg(a) = -a);
                    check!(Abs(a) = a.abs());
                    check!(Sqrt(a) = a.sqrt());
                    check!(Floor(a) = a.floor());
                    check!(Ceil(a) = a.ceil());
                    check!(Trunc(a) = a.trunc());
                    check!(RoundEven(a) = a.round_ties_even());
                    check!(Cast(a) = a as f32);
                    check!(Cast(a) = a as f64);
                    let bits = eval(Opcode::Bitcast, &[a.of()], $int::TY);
                    prop_assert_eq!(bits, Some(a.to_bits().of()));
                }
                check!(Min(-0.0 as $ty, 0.0 as $ty) = -0.0 as $ty);
                check!(Max(-0.0 as $ty, 0.0 as $ty) = 0.0 as $ty);
            }
        })*
    };
}

floats! {
    f32_is_rusts: f32, u32;
    f64_is_rusts: f64, u64;
}

/// A finite small float as a whole number of some power of two, which is the same for all.
fn fixed(c: Const) -> i128 {
    (c.as_f64().expect("a float") * 2f64.powi(60)) as i128
}

/// Whether `got` is the float nearest to `exact / 2^120`, even among equals; `step` is the float
/// one bit pattern further from zero.
fn is_nearest(got: Const, exact: i128) -> bool {
    let distance = |c: Const| ((fixed(c) << 60) - exact).abs();
    let next = |by: i64| Const::new(got.ty, (got.bits as i64 + by) as u64);
    let magnitude = got.bits & 0x7fff;
    let mut neighbours = vec![next(1)];
    if magnitude > 0 {
        neighbours.push(next(-1));
    }
    neighbours.into_iter().all(|n| {
        let (own, other) = (distance(got), distance(n));
        own < other || own == other && got.bits & 1 == 0
    })
}

proptest! {
    /// Exactly computed in integers, for exponents that these can hold.
    #[test]
    fn small_floats_round_once(
        parts in prop::array::uniform3((0u64..1 << 10, -11i32..3, any::<bool>())),
    ) {
        for (ty, mantissa, bias) in [(Scalar::F16, 10, 15), (Scalar::BF16, 7, 127)] {
            let [a, b, c] = parts.map(|(m, e, negative)| {
                let bits = ((bias + e) as u64) << mantissa | m >> (10 - mantissa);
                Const::new(ty, bits | u64::from(negative) << 15)
            });
            let (x, y, z) = (fixed(a), fixed(b), fixed(c));
            let product = ((x >> 30) * (y >> 30)) << 60;
            for (op, operands, exact) in [
                (Opcode::Add, vec![a, b], (x + y) << 60),
                (Opcode::Sub, vec![a, b], (x - y) << 60),
                (Opcode::Mul, vec![a, b], product),
                (Opcode::Fma, vec![a, b, c], product + (z << 60)),
            ] {
                let got = eval(op, &operands, ty).expect("a float");
                prop_assert!(is_nearest(got, exact), "{} {operands:?}: {got:?}", op.name());
            }
        }
    }
}

/// The sum of 1 + 2^-8, the middle of two bf16, and a product too small for f64 to see.
#[test]
fn bf16_fma_sees_what_f64_does_not() {
    let b = |x: f64| Const::float(Scalar::BF16, x);
    let fma = |x: f64, y: f64, z: f64| {
        eval(Opcode::Fma, &[b(x), b(y), b(z)], Scalar::BF16).unwrap().as_f64().unwrap()
    };
    // 1.5 * 1.5 = 2.25 has 2.25 exactly; 1.0078125 * 1.015625 lies between, and the third decides.
    let (x, y) = (1.0 + 2f64.powi(-7), 1.0 + 2f64.powi(-1));
    let middle = x * y;
    assert_eq!(middle, 1.5 + 2f64.powi(-7) + 2f64.powi(-8));
    let (below, above) = (1.5 + 2f64.powi(-7), 1.5 + 2f64.powi(-6));
    assert_eq!(fma(x, y, 0.0), above, "to even");
    assert_eq!(fma(x, y, -2f64.powi(-100)), below);
    assert_eq!(fma(x, y, 2f64.powi(-100)), above);
    assert_eq!(fma(-x, y, 2f64.powi(-100)), -below);
}

#[test]
fn what_does_not_fold_has_a_reference() {
    let x = 0.5f32.of();
    for row in TABLE {
        let operands = match row.signature {
            Signature::Unary(_) => vec![x],
            Signature::Binary(_) => vec![x, x],
            _ => continue,
        };
        let value = reference(row.op, &operands, Scalar::F32);
        if folds(row.op) {
            assert_eq!(value, eval(row.op, &operands, Scalar::F32), "{}", row.name);
        } else {
            assert!(value.is_some(), "{}", row.name);
            assert_eq!(eval(row.op, &operands, Scalar::F32), None, "{}", row.name);
        }
    }
    assert_eq!(reference(Opcode::Erf, &[1.0f64.of()], Scalar::F64), Some(0.8427007929497149.of()));
}

proptest! {
    #[test]
    fn dot_products_of_bytes(a: [u8; 4], b: [u8; 4], sum: i32) {
        let words = (u32::from_le_bytes(a), u32::from_le_bytes(b));
        let signed = (words.0 as i32, words.1 as i32);
        let dot = |x: &dyn Fn(u8) -> i32, y: &dyn Fn(u8) -> i32| {
            (0..4).fold(sum, |sum, i| sum.wrapping_add(x(a[i]) * y(b[i])))
        };
        let (plain, by_sign) = (|x: u8| i32::from(x), |x: u8| i32::from(x as i8));
        check!(Dot4(words.0, words.1, sum) = dot(&plain, &plain));
        check!(Dot4(words.0, signed.1, sum) = dot(&plain, &by_sign));
        check!(Dot4(signed.0, words.1, sum) = dot(&by_sign, &plain));
        check!(Dot4(signed.0, signed.1, sum) = dot(&by_sign, &by_sign));
    }
}

/// All but the payloads of NaNs; denormals, too, are what they are.
#[test]
fn dot_products_of_bf16_are_two_fused_steps() {
    let edges = [0x0000, 0x8000, 0x0001, 0x8080, 0x3f80, 0xbf81, 0x7f7f, 0x7f80, 0xff80, 0x7fc0];
    let word = |low: u32, high: u32| low | high << 16;
    let wide = |bits: u32| f32::from_bits(bits << 16);
    let sums = [0.0, -0.0, 1.0, -1.003, f32::MAX, f32::MIN_POSITIVE / 4.0, f32::NEG_INFINITY];
    for (a, b) in edges.into_iter().flat_map(|a| edges.map(|b| (a, b))) {
        for (c, d) in edges.into_iter().flat_map(|c| edges.map(|d| (c, d))) {
            for sum in sums {
                let operands = [word(a, b).of(), word(c, d).of(), sum.of()];
                let got = reference(Opcode::Dot2, &operands, Scalar::F32);
                let want = wide(a).mul_add(wide(c), wide(b).mul_add(wide(d), sum));
                assert!(same(got, want.of()), "{operands:x?}: {got:?}, not {want}");
            }
        }
    }
    // A target may take denormals for zero: so it is not folded.
    assert_eq!(eval(Opcode::Dot2, &[0u32.of(), 0u32.of(), 1.0f32.of()], Scalar::F32), None);
}
