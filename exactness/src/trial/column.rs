//! Values of one type, a row each.

use kernelsmith::{bf16, f16};

use crate::random::Random;
use crate::types::Scalar;

/// A type that parameters and results of programs can have.
pub trait Cell: kernelsmith::prelude::Num + bytemuck::Pod {
    /// The type.
    const KIND: Scalar;
    /// A random value, of a distribution that finds corners.
    fn sample(random: &mut Random) -> Self;
}

/// Numbers at which operations differ.
const CORNERS: [u64; 12] = [
    0,
    1,
    2,
    u64::MAX,
    0x7f,
    0x80,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
];

fn bits(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => *random.pick(&CORNERS),
        1..4 => random.below(40) as u64,
        4 => (random.below(40) as u64).wrapping_neg(),
        5 => random.bits() >> random.below(64),
        _ => random.bits(),
    }
}

macro_rules! integers {
    ($($ty:ty = $scalar:ident),*) => {$(
        impl Cell for $ty {
            const KIND: Scalar = Scalar::$scalar;
            fn sample(random: &mut Random) -> $ty {
                bits(random) as $ty
            }
        }
    )*};
}

integers!(
    i8 = I8,
    i16 = I16,
    i32 = I32,
    i64 = I64,
    isize = Isize,
    u8 = U8,
    u16 = U16,
    u32 = U32,
    u64 = U64,
    usize = Usize
);

macro_rules! floats {
    ($($ty:ty = $scalar:ident, $bits:ty, $of:expr;)*) => {$(
        impl Cell for $ty {
            const KIND: Scalar = Scalar::$scalar;
            fn sample(random: &mut Random) -> $ty {
                let of: fn(f64) -> $ty = $of;
                match random.below(12) {
                    0 => {
                        let corners = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, 1e-40, 65504.0, 3e38];
                        of(*random.pick(&corners))
                    }
                    1 => *random.pick(&[<$ty>::NAN, <$ty>::INFINITY, <$ty>::NEG_INFINITY]),
                    2..4 => <$ty>::from_bits(random.bits() as $bits),
                    4..7 => of(random.below(20) as f64),
                    7..9 => of((random.below(2000) as f64 - 1000.0) / 8.0),
                    _ => of(random.bits() as i64 as f64 / (1u64 << random.within(40, 63)) as f64),
                }
            }
        }
    )*};
}

floats! {
    f16 = F16, u16, f16::from_f64;
    bf16 = BF16, u16, bf16::from_f64;
    f32 = F32, u32, |x| x as f32;
    f64 = F64, u64, |x| x;
}

/// Values as bytes.
#[derive(Clone)]
pub(super) struct Column {
    ty: Scalar,
    bytes: Vec<u8>,
    /// Values of a row.
    each: usize,
}

impl Column {
    /// Of `each` values a row.
    pub(super) fn new<T: Cell>(values: &[T], each: usize) -> Column {
        Column { ty: T::KIND, bytes: bytemuck::cast_slice(values).to_vec(), each }
    }

    /// The same type with other bytes.
    pub(super) fn with(&self, bytes: &[u8]) -> Column {
        Column { ty: self.ty, bytes: bytes.to_vec(), each: self.each }
    }

    /// Bytes of a value.
    fn size(&self) -> usize {
        self.ty.bits() as usize / 8
    }

    /// Values of a row.
    pub(super) fn each(&self) -> usize {
        self.each
    }

    /// All values.
    pub(super) fn values(&self) -> usize {
        self.bytes.len() / self.size()
    }

    /// The bytes of the first rows.
    pub(super) fn first(&self, rows: usize) -> &[u8] {
        &self.bytes[..rows * self.each * self.size()]
    }

    fn bits(&self, at: usize) -> u64 {
        let bytes = &self.bytes[at * self.size()..][..self.size()];
        bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
    }

    /// The value as a float, if it is one.
    fn float(&self, at: usize) -> Option<f64> {
        let bits = self.bits(at);
        match self.ty {
            Scalar::F16 => Some(f16::from_bits(bits as u16).into()),
            Scalar::BF16 => Some(bf16::from_bits(bits as u16).into()),
            Scalar::F32 => Some(f32::from_bits(bits as u32).into()),
            Scalar::F64 => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// Whether two columns have one value in a place, or floats that differ by at most `ulp`.
    pub(super) fn agrees(&self, other: &Column, at: usize, ulp: u64) -> bool {
        let (x, y) = (self.bits(at), other.bits(at));
        match (self.float(at), other.float(at)) {
            (Some(a), Some(b)) if a.is_nan() || b.is_nan() => a.is_nan() && b.is_nan(),
            // Zeros of both signs are next to each other where there is a tolerance.
            (Some(_), Some(_)) if ulp > 0 => self.order(x).abs_diff(self.order(y)) <= ulp,
            _ => x == y,
        }
    }

    /// A number that counts floats from zero, negative ones downwards.
    fn order(&self, bits: u64) -> i64 {
        let sign = 1u64 << (self.ty.bits() - 1);
        let magnitude = (bits & (sign - 1)) as i64;
        if bits & sign == 0 { magnitude } else { -magnitude }
    }

    /// The values of a row.
    pub(super) fn row(&self, row: usize) -> String {
        let values = (row * self.each..(row + 1) * self.each).map(|at| self.text(at));
        let values = values.collect::<Vec<_>>().join(", ");
        if self.each == 1 { values } else { format!("[{values}]") }
    }

    pub(super) fn text(&self, at: usize) -> String {
        let (bits, width) = (self.bits(at), self.ty.bits());
        match self.float(at) {
            Some(float) => format!("{float:?}{} (0x{bits:x})", self.ty),
            None if self.ty.is_signed() => {
                let value = (bits << (64 - width)) as i64 >> (64 - width);
                format!("{value}{}", self.ty)
            }
            None => format!("{bits}{}", self.ty),
        }
    }
}
