//! Rounding `f64` to the small floats, once.
//!
//! `half`'s own conversions from `f64` drop the lowest 32 bits before they round, or round to `f32`
//! first, which takes a value just beside the middle of two neighbours for the middle itself.
//! Rounding to *odd* keeps it beside: any inexact value gets an odd last bit, and the 24 bits of
//! `f32` leave at least two below the last of either small float (S. Boldo, G. Melquiond,
//! "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).

use half::{bf16, f16};

/// `x` toward zero, with the last bit set if anything was cut off.
fn to_odd_f32(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) == x || x.is_nan() {
        return nearest;
    }
    let away = f64::from(nearest).abs() > x.abs();
    f32::from_bits((nearest.to_bits() - u32::from(away)) | 1)
}

/// Rounds to nearest even.
pub(crate) fn f64_to_f16(x: f64) -> f16 {
    f16::from_f32(to_odd_f32(x))
}

/// Rounds to nearest even.
pub(crate) fn f64_to_bf16(x: f64) -> bf16 {
    bf16::from_f32(to_odd_f32(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beside_the_middle_are_not_the_middle() {
        let tie = 1.0 + 2f64.powi(-8);
        assert_eq!(f64_to_bf16(tie).to_f64(), 1.0);
        assert_eq!(f64_to_bf16(tie + 2f64.powi(-50)).to_f64(), 1.0 + 2f64.powi(-7));
        assert_eq!(f64_to_bf16(tie + 2f64.powi(-7)).to_f64(), 1.0 + 2f64.powi(-6));
        let below = tie + 2f64.powi(-7) - 2f64.powi(-50);
        assert_eq!(f64_to_bf16(below).to_f64(), 1.0 + 2f64.powi(-7));
        let tie = -1.0 - 2f64.powi(-11);
        assert_eq!(f64_to_f16(tie).to_f64(), -1.0);
        assert_eq!(f64_to_f16(tie - 2f64.powi(-52)).to_f64(), -1.0 - 2f64.powi(-10));
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(f64_to_f16(65519.999).to_f64(), 65504.0);
        assert_eq!(f64_to_f16(65520.0), f16::INFINITY);
        assert_eq!(f64_to_f16(1e300), f16::INFINITY);
        assert_eq!(f64_to_bf16(-f64::MAX), bf16::NEG_INFINITY);
        // Half of the least subnormal, and a little more.
        assert_eq!(f64_to_f16(2f64.powi(-25)).to_bits(), 0);
        assert_eq!(f64_to_f16(2f64.powi(-25) * (1.0 + f64::EPSILON)).to_bits(), 1);
        assert_eq!(f64_to_f16(-1e-300).to_bits(), 0x8000);
        assert_eq!(f64_to_bf16(2f64.powi(-134)).to_bits(), 0);
        assert_eq!(f64_to_bf16(2f64.powi(-134) * (1.0 + f64::EPSILON)).to_bits(), 1);
        assert!(f64_to_f16(f64::NAN).is_nan() && f64_to_bf16(f64::NAN).is_nan());
        // Every small float is its own rounding.
        for bits in 0..=u16::MAX {
            let (h, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert!(h.is_nan() || f64_to_f16(h.to_f64()).to_bits() == bits);
            assert!(b.is_nan() || f64_to_bf16(b.to_f64()).to_bits() == bits);
        }
    }
}
