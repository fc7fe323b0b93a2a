//! `cvt`.

use half::{bf16, f16};
use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

use super::arith::{signed, unsigned};
use super::parse::{Instr, Ty};

/// The result of a conversion; `None` if there is none such.
pub(super) fn convert(instr: &Instr, x: &[u64]) -> Option<u64> {
    let mut types = instr.name.iter().rev().filter_map(|part| Ty::parse(part));
    let (from, to) = (types.next()?, types.next()?);
    match to {
        Ty::F16x2 if fp8(from).is_some() => {
            let ty = fp8(from)?;
            let half = |code| rounded(Const::new(ty, code).as_f64()?, Ty::F16);
            Some(half(x[0] >> 8)? << 16 | half(x[0])?)
        }
        Ty::E4M3x2 | Ty::E5M2x2 if instr.has("satfinite") => {
            let ty = fp8(to)?;
            let [high, low] = [float(from, x[0])?, float(from, x[1])?];
            Some(Const::float(ty, high).bits << 8 | Const::float(ty, low).bits)
        }
        // The first source becomes the upper half.
        Ty::F16x2 | Ty::BF16x2 => {
            let half = if to == Ty::F16x2 { Ty::F16 } else { Ty::BF16 };
            let [high, low] = [float(from, x[0])?, float(from, x[1])?];
            Some(rounded(high, half)? << 16 | rounded(low, half)?)
        }
        Ty::Bits(width) | Ty::Signed(width) => match integer(from, x[0]) {
            Some(n) => Some(n as u64),
            None if instr.has("rzi") => {
                let saturated = to_integer(from, to, width, float(from, x[0])?);
                Some(saturated as u64)
            }
            None => None,
        },
        _ if from == to => rounded_to_integer(instr, to, float(from, x[0])?),
        _ => match integer(from, x[0]) {
            Some(n) => match to {
                Ty::F32 => Some((n as f32).to_bits().into()),
                Ty::F64 => Some((n as f64).to_bits()),
                _ => None,
            },
            None if instr.has("rz") => toward_zero(float(from, x[0])?, to),
            None => rounded(float(from, x[0])?, to),
        },
    }
}

/// The type of which there are two.
fn fp8(ty: Ty) -> Option<Scalar> {
    match ty {
        Ty::E4M3x2 => Some(Scalar::E4M3),
        Ty::E5M2x2 => Some(Scalar::E5M2),
        _ => None,
    }
}

fn integer(ty: Ty, bits: u64) -> Option<i128> {
    match ty {
        Ty::Bits(width) => Some(unsigned(bits, width)),
        Ty::Signed(width) => Some(signed(bits, width)),
        _ => None,
    }
}

fn float(ty: Ty, bits: u64) -> Option<f64> {
    Some(match ty {
        Ty::F16 => f16::from_bits(bits as u16).to_f64(),
        Ty::BF16 => bf16::from_bits(bits as u16).to_f64(),
        Ty::F32 => f32::from_bits(bits as u32).into(),
        Ty::F64 => f64::from_bits(bits),
        _ => return None,
    })
}

/// Saturates; NaN is 0 only where no side has 64 bits (PTX ISA, `cvt`).
fn to_integer(from: Ty, to: Ty, width: u32, x: f64) -> i128 {
    if x.is_nan() {
        return if from == Ty::F64 || width == 64 { 1 << (width - 1) } else { 0 };
    }
    let (low, high) = match to {
        Ty::Signed(_) => (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1),
        _ => (0, (1i128 << width) - 1),
    };
    (x as i128).clamp(low, high)
}

/// To nearest even. All sources are exact in `f64`, so one rounding is the only one.
fn rounded(x: f64, to: Ty) -> Option<u64> {
    Some(match to {
        Ty::F16 => Const::float(Scalar::F16, x).bits,
        Ty::BF16 => Const::float(Scalar::BF16, x).bits,
        Ty::F32 => (x as f32).to_bits().into(),
        Ty::F64 => x.to_bits(),
        Ty::TF32 => {
            let bits = (x as f32).to_bits();
            let up = (bits >> 13 & 1) + 0xFFF;
            u64::from(if x.is_nan() { bits } else { bits + up } & !0x1FFF)
        }
        _ => return None,
    })
}

fn toward_zero(x: f64, to: Ty) -> Option<u64> {
    if to != Ty::F32 {
        return None;
    }
    let near = x as f32;
    let too_far = f64::from(near).abs() > x.abs();
    Some((near.to_bits() - u32::from(too_far)).into())
}

fn rounded_to_integer(instr: &Instr, ty: Ty, x: f64) -> Option<u64> {
    let y = match instr.name[1].as_str() {
        "rmi" => x.floor(),
        "rpi" => x.ceil(),
        "rzi" => x.trunc(),
        "rni" => x.round_ties_even(),
        _ => return None,
    };
    rounded(y, ty)
}
