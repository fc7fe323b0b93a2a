//! The arithmetic of the PTX ISA on bits of a type.

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Opcode, Scalar};

use super::parse::{Instr, Ty};

/// `bits` as a signed number of `width` bits.
pub(super) fn signed(bits: u64, width: u32) -> i128 {
    let shift = 64 - width;
    (((bits << shift) as i64) >> shift).into()
}

/// `bits` as an unsigned number of `width` bits.
pub(super) fn unsigned(bits: u64, width: u32) -> i128 {
    if width == 64 { bits.into() } else { (bits & ((1 << width) - 1)).into() }
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn number(ty: Ty, bits: u64) -> i128 {
    match ty {
        Ty::Signed(width) => signed(bits, width),
        _ => unsigned(bits, ty.bits()),
    }
}

/// The result of an instruction that only computes; `None` if it is none of those.
pub(super) fn compute(instr: &Instr, x: &[u64]) -> Option<u64> {
    let name = instr.name[0].as_str();
    match (name, instr.ty) {
        ("mov", _) => Some(x[0]),
        ("cvta", _) => Some(x[0]),
        ("selp", _) => Some(if x[2] != 0 { x[0] } else { x[1] }),
        ("setp", _) => Some(compare(&instr.name[1], instr.ty, x[0], x[1])?.into()),
        ("prmt", _) => Some(permute(x[0] as u32, x[1] as u32, x[2] as u32).into()),
        ("cvt", _) => super::convert::convert(instr, x),
        (_, Ty::F32) => float_32(instr, x).map(|y| y.to_bits().into()),
        ("fma", Ty::F64) if !instr.has("rn") => directed_fma(instr, x).map(f64::to_bits),
        (_, Ty::F64) => float_64(instr, x).map(f64::to_bits),
        ("fma", Ty::F16) => small_fma(Scalar::F16, x),
        ("fma", Ty::BF16) => small_fma(Scalar::BF16, x),
        ("fma", Ty::F16x2) => fma_of_pairs(Scalar::F16, x),
        ("fma", Ty::BF16x2) => fma_of_pairs(Scalar::BF16, x),
        _ => integer(instr, x),
    }
}

fn fma_of_pairs(elem: Scalar, x: &[u64]) -> Option<u64> {
    let half = |at: u32| small_fma(elem, &x.iter().map(|x| x >> at & 0xFFFF).collect::<Vec<u64>>());
    Some(half(0)? | half(16)? << 16)
}

fn integer(instr: &Instr, x: &[u64]) -> Option<u64> {
    let ty = instr.ty;
    let width = ty.bits();
    let n = |i: usize| number(ty, x[i]);
    let result: i128 = match (instr.name[0].as_str(), instr.name[1].as_str()) {
        ("add", _) => n(0) + n(1),
        ("sub", _) => n(0) - n(1),
        ("neg", _) => -n(0),
        ("abs", _) => n(0).abs(),
        ("mul", "lo" | "wide") => n(0).wrapping_mul(n(1)),
        ("mul", "hi") => match ty {
            Ty::Signed(_) => (n(0) * n(1)) >> width,
            _ => ((n(0) as u128).wrapping_mul(n(1) as u128) >> width) as i128,
        },
        ("mad", "lo") => n(0).wrapping_mul(n(1)).wrapping_add(n(2)),
        ("mad", "wide") => (n(0) * n(1)).wrapping_add(x[2].into()),
        ("div", _) if n(1) != 0 => n(0) / n(1),
        ("rem", _) if n(1) != 0 => n(0) % n(1),
        ("min", _) => n(0).min(n(1)),
        ("max", _) => n(0).max(n(1)),
        ("and", _) => n(0) & n(1),
        ("or", _) => n(0) | n(1),
        ("xor", _) => n(0) ^ n(1),
        ("not", _) => !n(0),
        // Amounts clamp.
        ("shl", _) => n(0).checked_shl(x[1] as u32 & 0xFF).filter(|_| x[1] < 64).unwrap_or(0),
        ("shr", _) => n(0) >> (x[1] as u32).min(127),
        ("dp4a", first) => {
            let byte = |of: &str, word: u64, i: u32| match of {
                "s32" => signed((word >> (8 * i)) & 0xFF, 8),
                _ => unsigned((word >> (8 * i)) & 0xFF, 8),
            };
            let second = instr.name[2].as_str();
            (0..4).map(|i| byte(first, x[0], i) * byte(second, x[1], i)).sum::<i128>() + n(2)
        }
        ("popc", _) => unsigned(x[0], width).count_ones().into(),
        ("clz", _) => (unsigned(x[0], width).leading_zeros() - (128 - width)).into(),
        ("brev", _) => (unsigned(x[0], width).reverse_bits() as u128 >> (128 - width)) as i128,
        _ => return None,
    };
    Some(result as u64)
}

/// PTX ISA, `prmt`, default mode.
fn permute(a: u32, b: u32, selectors: u32) -> u32 {
    let bytes = u64::from(a) | u64::from(b) << 32;
    (0..4).fold(0, |all, i| {
        let selector = selectors >> (4 * i) & 0xF;
        let byte = (bytes >> (8 * (selector & 7))) as u8;
        let byte = if selector & 8 != 0 { ((byte as i8) >> 7) as u8 } else { byte };
        all | u32::from(byte) << (8 * i)
    })
}

/// The relations of `setp`.
pub(super) fn compare(relation: &str, ty: Ty, a: u64, b: u64) -> Option<bool> {
    let order = match ty {
        Ty::F32 => f32_of(a).partial_cmp(&f32_of(b)),
        Ty::F64 => f64::from_bits(a).partial_cmp(&f64::from_bits(b)),
        _ => Some(number(ty, a).cmp(&number(ty, b))),
    };
    Some(match relation {
        "eq" => order.is_some_and(|o| o.is_eq()),
        "ne" => order.is_some_and(|o| o.is_ne()),
        "neu" => order.is_none_or(|o| o.is_ne()),
        "lt" => order.is_some_and(|o| o.is_lt()),
        "le" => order.is_some_and(|o| o.is_le()),
        "gt" => order.is_some_and(|o| o.is_gt()),
        "ge" => order.is_some_and(|o| o.is_ge()),
        "num" => order.is_some(),
        _ => return None,
    })
}

macro_rules! float_fn {
    ($name:ident $ty:ty, $of:expr) => {
        fn $name(instr: &Instr, x: &[u64]) -> Option<$ty> {
            let n = |i: usize| -> $ty { $of(x[i]) };
            // Round to nearest even is the host's; other modes are not written.
            let exact = instr.has("rn") && !instr.has("ftz");
            Some(match instr.name[0].as_str() {
                "add" if exact => n(0) + n(1),
                "sub" if exact => n(0) - n(1),
                "mul" if exact => n(0) * n(1),
                "div" if exact => n(0) / n(1),
                "fma" if exact => n(0).mul_add(n(1), n(2)),
                "sqrt" if exact => n(0).sqrt(),
                "neg" => -n(0),
                "abs" => n(0).abs(),
                "min" => minimum(n(0).into(), n(1).into()) as $ty,
                "max" => -minimum((-n(0)).into(), (-n(1)).into()) as $ty,
                "copysign" => n(1).copysign(n(0)),
                "rsqrt" => (1.0 / f64::from(n(0)).sqrt()) as $ty,
                "ex2" if instr.has("ftz") => flush(f64::from(n(0)).exp2()) as $ty,
                _ => return None,
            })
        }
    };
}

float_fn!(float_32 f32, f32_of);
float_fn!(float_64 f64, f64::from_bits);

/// NaN is ignored where there is one, and -0 is less than 0.
fn minimum(a: f64, b: f64) -> f64 {
    if a == 0.0 && b == 0.0 {
        return if a.is_sign_negative() { a } else { b };
    }
    a.min(b)
}

fn flush(x: f64) -> f64 {
    if x.abs() < f32::MIN_POSITIVE.into() { 0.0 } else { x }
}

fn small_fma(ty: Scalar, x: &[u64]) -> Option<u64> {
    let x: Vec<Const> = x.iter().map(|&bits| Const::new(ty, bits)).collect();
    Some(kernelsmith_ir::eval::eval(Opcode::Fma, &x, ty)?.bits)
}

/// Toward minus or plus infinity, of factors whose product is exact: all that is written.
fn directed_fma(instr: &Instr, x: &[u64]) -> Option<f64> {
    let [a, b, c] = [0, 1, 2].map(|i| f64::from_bits(x[i]));
    let product = a * b;
    if product.is_finite() && a.mul_add(b, -product) != 0.0 {
        return None;
    }
    let sum = product + c;
    let rest = sum - product;
    let lost = (product - (sum - rest)) + (c - rest);
    Some(if instr.has("rm") && lost < 0.0 {
        sum.next_down()
    } else if instr.has("rp") && lost > 0.0 {
        sum.next_up()
    } else {
        sum
    })
}
