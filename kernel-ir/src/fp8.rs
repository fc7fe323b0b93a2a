//! The 8-bit floats of the OCP "8-bit Floating Point Specification (OFP8)", and rounding to them.
//!
//! To a narrower type OCP allows to saturate or not. Kernelsmith saturates, as `cvt.rn.satfinite`
//! does (PTX ISA, `cvt`): what is too large, infinities included, becomes the largest finite value
//! of its sign. NaN becomes a NaN.

use crate::types::Scalar;

/// One of the two formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    /// Bits of the fraction.
    pub(crate) fraction: u32,
    /// What is added to exponents.
    pub(crate) bias: i32,
    /// The code of the largest finite value; above it are infinity (E5M2) and NaNs.
    pub(crate) max: u8,
}

/// The code that NaN becomes: all bits but the sign.
pub(crate) const NAN: u8 = 0x7f;

impl Format {
    /// The format of a type, if it is an 8-bit float.
    pub(crate) const fn of(ty: Scalar) -> Option<Format> {
        match ty {
            Scalar::E4M3 => Some(Format { fraction: 3, bias: 7, max: 0x7e }),
            Scalar::E5M2 => Some(Format { fraction: 2, bias: 15, max: 0x7b }),
            _ => None,
        }
    }

    /// Whether there are infinities.
    pub(crate) const fn has_infinity(self) -> bool {
        self.max < NAN - 1
    }

    /// The exponent of the distance between subnormals.
    pub(crate) const fn least(self) -> i32 {
        1 - self.bias - self.fraction as i32
    }

    /// The value of a code, exactly.
    pub(crate) fn decode(self, code: u8) -> f64 {
        let magnitude = code & 0x7f;
        let fraction = magnitude & ((1 << self.fraction) - 1);
        let exponent = i32::from(magnitude >> self.fraction);
        let value = if magnitude > self.max {
            if self.has_infinity() && fraction == 0 { f64::INFINITY } else { f64::NAN }
        } else if exponent == 0 {
            f64::from(fraction) * 2f64.powi(self.least())
        } else {
            let significand = f64::from(fraction | 1 << self.fraction);
            significand * 2f64.powi(self.least() + exponent - 1)
        };
        if code >> 7 == 1 && !value.is_nan() { -value } else { value }
    }

    /// The code nearest to a value, of two as near the even one.
    pub(crate) fn encode(self, x: f64) -> u8 {
        if x.is_nan() {
            return NAN;
        }
        let magnitude = x.abs().min(self.decode(self.max));
        // Of f64, to which everything below the least normal value is alike here.
        let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).max(1 - self.bias);
        let steps = magnitude * 2f64.powi(self.fraction as i32 - exponent);
        // One binade's steps follow on those of the one below: a carry counts up the exponent.
        let first = (exponent + self.bias - 1) << self.fraction;
        let code = (first as u8) + steps.round_ties_even() as u8;
        code | u8::from(x.is_sign_negative()) << 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 1 and 2 of the specification.
    #[test]
    fn the_values_of_the_specification() {
        let [a, b] = [Scalar::E4M3, Scalar::E5M2].map(|ty| Format::of(ty).unwrap());
        let of_a = [(0x7e, 448.0), (0x08, 2f64.powi(-6)), (0x07, 0.875 * 2f64.powi(-6))];
        let of_b = [(0x7b, 57344.0), (0x04, 2f64.powi(-14)), (0x03, 0.75 * 2f64.powi(-14))];
        for (format, values) in [(a, of_a), (b, of_b)] {
            for (code, value) in values {
                assert_eq!((format.decode(code), format.encode(value)), (value, code));
                assert_eq!(format.decode(code | 0x80), -value);
            }
        }
        assert_eq!((a.decode(1), b.decode(1)), (2f64.powi(-9), 2f64.powi(-16)));
        assert!(a.decode(0x7f).is_nan() && a.decode(0xff).is_nan() && b.decode(0x7d).is_nan());
        assert_eq!((b.decode(0x7c), b.decode(0xfc)), (f64::INFINITY, f64::NEG_INFINITY));
    }

    /// Between neighbours: each side, and the even one in the middle; beyond the last, the last.
    #[test]
    fn rounding_is_to_the_nearest() {
        for format in [Scalar::E4M3, Scalar::E5M2].map(|ty| Format::of(ty).unwrap()) {
            for code in 0..format.max {
                let (low, high) = (format.decode(code), format.decode(code + 1));
                let middle = (low + high) / 2.0;
                let even = code + (code & 1);
                let cases = [
                    (low, code),
                    (middle.next_down(), code),
                    (middle, even),
                    (middle.next_up(), code + 1),
                    (high, code + 1),
                ];
                for (x, expected) in cases {
                    assert_eq!(format.encode(x), expected, "{x}");
                    assert_eq!(format.encode(-x), expected | 0x80, "-{x}");
                }
            }
            let large = format.decode(format.max) * 1.5;
            for x in [large, f64::MAX, f64::INFINITY] {
                assert_eq!((format.encode(x), format.encode(-x)), (format.max, format.max | 0x80));
            }
            assert_eq!((format.encode(f64::NAN), format.encode(-f64::NAN)), (NAN, NAN));
            assert_eq!((format.encode(f64::MIN_POSITIVE), format.encode(-0.0)), (0, 0x80));
        }
    }
}
