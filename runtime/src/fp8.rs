//! The 8-bit floats of the host, named as `half` names the 16-bit ones.

use std::cmp::Ordering;
use std::fmt;

use bytemuck::{Pod, Zeroable};
use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;

macro_rules! fp8 {
    ($($(#[$meta:meta])* $name:ident $scalar:ident $max:literal $tiny:literal;)*) => {$(
        $(#[$meta])*
        ///
        /// Conversion from wider floats rounds to nearest even and saturates, as `cvt.rn.satfinite`
        /// does (PTX ISA, `cvt`): what is too large, infinities included, becomes [`MAX`](Self::MAX)
        /// or [`MIN`](Self::MIN). NaN becomes NaN; which one is not promised.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Default, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name(u8);

        impl $name {
            /// The largest finite value.
            pub const MAX: $name = $name($max);
            /// The least finite value.
            pub const MIN: $name = $name($max | 0x80);
            /// The smallest positive normal value.
            pub const MIN_POSITIVE: $name = $name($tiny);
            /// A NaN.
            pub const NAN: $name = $name(0x7f);

            /// The nearest value.
            pub fn from_f32(x: f32) -> $name {
                $name(Const::float(Scalar::$scalar, x.into()).bits as u8)
            }

            /// The value, exactly.
            pub fn to_f32(self) -> f32 {
                let value = Const::new(Scalar::$scalar, self.0.into()).as_f64();
                value.expect("8-bit floats have values") as f32
            }

            /// The value of a code.
            pub const fn from_bits(bits: u8) -> $name {
                $name(bits)
            }

            /// The code.
            pub const fn to_bits(self) -> u8 {
                self.0
            }

            /// Whether it is a NaN.
            pub fn is_nan(self) -> bool {
                self.to_f32().is_nan()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &$name) -> bool {
                self.to_f32() == other.to_f32()
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &$name) -> Option<Ordering> {
                self.to_f32().partial_cmp(&other.to_f32())
            }
        }

        impl From<$name> for f32 {
            fn from(x: $name) -> f32 {
                x.to_f32()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.to_f32(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.to_f32(), f)
            }
        }
    )*};
}

fp8! {
    /// OCP E4M3: 4 bits of exponent, 3 of fraction, up to 448; NaN, but no infinities.
    e4m3 E4M3 0x7e 0x08;
    /// OCP E5M2: 5 bits of exponent, 2 of fraction, up to 57344; NaN and infinities.
    e5m2 E5M2 0x7b 0x04;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_limits() {
        assert_eq!(e4m3::MAX.to_f32(), 448.0);
        assert_eq!(e5m2::MIN.to_f32(), -57344.0);
        assert_eq!(e4m3::MIN_POSITIVE.to_f32(), 2f32.powi(-6));
        assert_eq!(e5m2::MIN_POSITIVE.to_f32(), 2f32.powi(-14));
        assert_eq!(e4m3::from_f32(f32::INFINITY), e4m3::MAX);
        assert_eq!(e5m2::from_f32(-1e30), e5m2::MIN);
        assert_eq!(e5m2::from_bits(0x7c).to_f32(), f32::INFINITY);
        assert!(e4m3::from_f32(f32::NAN).is_nan() && e5m2::NAN.is_nan());
        // 1.0625 lies in the middle of 1 and 1.125, and 1 is even.
        assert_eq!(e4m3::from_f32(1.0625).to_string(), "1");
        assert!(e4m3::from_f32(0.3) < e4m3::from_f32(0.4) && e4m3::NAN != e4m3::NAN);
    }
}
