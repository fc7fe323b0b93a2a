//! Constants as text.

use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

use super::llvm_type;

/// A scalar constant. Floats are written as bits, so that every NaN comes through.
pub fn constant(c: Const) -> String {
    match c.ty {
        Scalar::Bool => (if c.bits != 0 { "true" } else { "false" }).to_owned(),
        Scalar::F16 => format!("0xH{:04X}", c.bits),
        Scalar::BF16 => c.bits.to_string(),
        // LLVM writes a float as the double of the same value; for NaNs the payload moves along.
        Scalar::F32 | Scalar::TF32 => format!("0x{:016X}", widen(c.bits as u32)),
        Scalar::F64 => format!("0x{:016X}", c.bits),
        _ => c.as_int().to_string(),
    }
}

/// The bits of the double with the value of a float, NaN payloads kept (LangRef, "Simple
/// Constants").
fn widen(bits: u32) -> u64 {
    let value = f32::from_bits(bits);
    if value.is_nan() {
        let sign = u64::from(bits >> 31) << 63;
        let payload = u64::from(bits & 0x7f_ffff) << 29;
        return sign | 0x7ff0_0000_0000_0000 | payload;
    }
    f64::from(value).to_bits()
}

/// A constant in every lane.
pub fn splat(c: Const, lanes: Option<u32>) -> String {
    match lanes {
        None => constant(c),
        Some(_) => format!("splat ({} {})", llvm_type(c.ty, None), constant(c)),
    }
}
