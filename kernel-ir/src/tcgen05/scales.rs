//! Block-scaled products: runs of elements along k share a scale, which lies in tensor memory.
//!
//! `D = (A * SA) * (B * SB) + D` (PTX ISA, "Block Scaling for tcgen05.mma.sync"). A row of A, a column of
//! B has one, two or four scales of a byte each, next to each other in a cell of tensor memory: those of
//! row `i` in column `i / 32`, lane `i % 32`, and the same again in the lanes of the other three warps
//! ("Scale Factor A ID", "Scale Factor B ID"; "Scale factors for A and B matrices need to be duplicated to
//! all 32 lane partitions"). Which bytes of the cells they are, the instruction descriptor says.
//!
//! Of a pair of blocks each has the scales of its own rows of A, and those of all columns of B. Where a
//! block's sums fill the lanes by halves, so do the scales of B: those of the first half of the columns
//! are in the lanes below 64, twice the same, those of the second in the others (CUTLASS's `tmem_sf_frg`
//! of two multiprocessors, `ScaleFactorDuplicated4by1` and `ScaleFactorDuplicated2by2`).

use super::{CELL, Tcgen05};
use crate::types::Scalar;

/// Lanes that the scales lie in, four times the same.
pub const LANES: u32 = 32;

/// Kinds of block-scaled products (PTX ISA, `tcgen05.mma`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScaledKind {
    /// 8-bit floats.
    Mxf8f6f4,
    /// 4-bit floats, two to a byte.
    Mxf4,
    /// 4-bit floats, two to a byte, with the scales of NVIDIA's own format too.
    Mxf4Nvf4,
}

/// Types of scales (PTX ISA, "Alternate Floating-Point Data Formats").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScaleType {
    /// 8 bits of an exponent: `2^(bits - 127)`, 255 is no number.
    Ue8m0,
    /// E4M3 without its sign, whose bit is 0.
    Ue4m3,
}

/// The scales of a product.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scales {
    /// The kind of the product.
    pub kind: ScaledKind,
    /// The type of a scale.
    pub ty: ScaleType,
    /// Scales of a row of A, of a column of B: 1, 2 or 4.
    pub count: u32,
    /// The byte of a cell where those of A begin.
    pub a_byte: u32,
    /// The byte of a cell where those of B begin.
    pub b_byte: u32,
}

impl ScaledKind {
    const NAMES: [(ScaledKind, &'static str); 3] = [
        (ScaledKind::Mxf8f6f4, "mxf8f6f4"),
        (ScaledKind::Mxf4, "mxf4"),
        (ScaledKind::Mxf4Nvf4, "mxf4nvf4"),
    ];

    /// The name that PTX has.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, other)| *other == name).map(|&(kind, _)| kind)
    }

    /// Whether factors are bytes of two 4-bit floats.
    pub const fn is_narrow(self) -> bool {
        !matches!(self, ScaledKind::Mxf8f6f4)
    }
}

impl ScaleType {
    /// The name that PTX has.
    pub const fn name(self) -> &'static str {
        match self {
            ScaleType::Ue8m0 => "ue8m0",
            ScaleType::Ue4m3 => "ue4m3",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [ScaleType::Ue8m0, ScaleType::Ue4m3].into_iter().find(|ty| ty.name() == name)
    }

    /// The number that a scale is. Bits that are none, a sign among them, give a NaN.
    pub fn value(self, bits: u8) -> f64 {
        match (self, bits) {
            (ScaleType::Ue8m0, 0xFF) => f64::NAN,
            (ScaleType::Ue8m0, _) => 2f64.powi(i32::from(bits) - 127),
            (ScaleType::Ue4m3, 0x7F..) => f64::NAN,
            (ScaleType::Ue4m3, _) => match (bits >> 3, f64::from(bits & 7)) {
                (0, mantissa) => mantissa / 512.0,
                (exponent, mantissa) => (8.0 + mantissa) * 2f64.powi(i32::from(exponent) - 10),
            },
        }
    }
}

impl Scales {
    /// What is wrong with them, if anything is (PTX ISA, "Valid combinations of scale_vectorsize with types
    /// and MMA-Kind", and the bytes that "Scale Factor A ID" has for each).
    pub fn fault(&self) -> Option<String> {
        let Scales { kind, ty, count, a_byte, b_byte } = *self;
        let fits = matches!(
            (kind, ty, count),
            (ScaledKind::Mxf8f6f4, ScaleType::Ue8m0, 1)
                | (ScaledKind::Mxf4, ScaleType::Ue8m0, 2)
                | (ScaledKind::Mxf4Nvf4, ScaleType::Ue8m0, 2 | 4)
                | (ScaledKind::Mxf4Nvf4, ScaleType::Ue4m3, 4)
        );
        if !fits {
            return Some(format!("{} has no {count} scales of {} a row", kind.name(), ty.name()));
        }
        let wrong = [a_byte, b_byte].into_iter().find(|b| b % count != 0 || b + count > CELL)?;
        Some(format!("{count} scales of a row do not begin at byte {wrong} of a cell"))
    }

    /// Columns of tensor memory that scales of so many rows lie in.
    pub const fn columns(rows: u32) -> u32 {
        rows.div_ceil(LANES)
    }
}

/// The lane, of the first of four times 32, and the column of a row's scales, from their first column on.
pub const fn scale_place(row: u32) -> (u32, u32) {
    (row % LANES, row / LANES)
}

/// The row whose scales a lane and column have, the inverse of [`scale_place`] in all lanes.
pub const fn scale_row(lane: u32, column: u32) -> u32 {
    column * LANES + lane % LANES
}

impl Tcgen05 {
    /// Columns of tensor memory that the scales of A and of B lie in, in each block.
    pub const fn scale_columns(&self) -> [u32; 2] {
        [Scales::columns(self.rows()), Scales::columns(self.columns())]
    }

    /// The first lane and the column of the scales of a row of A, counted in its block, and the lanes behind,
    /// 32 apart, that have the same.
    pub const fn a_scale_place(&self, row: u32) -> (u32, u32, u32) {
        let (lane, column) = scale_place(row);
        (lane, column, 4)
    }

    /// The same of a column of B.
    pub const fn b_scale_place(&self, column: u32) -> (u32, u32, u32) {
        let (lane, at) = scale_place(column % self.columns());
        (column / self.columns() * self.rows() + lane, at, 4 / self.halves())
    }
}

/// The number that a 4-bit float of the lower four bits is (PTX ISA, "Alternate Floating-Point Data
/// Formats": `e2m1`): a sign, two bits of an exponent, one of a mantissa.
pub fn e2m1(bits: u8) -> f64 {
    const NUMBERS: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let number = NUMBERS[usize::from(bits & 7)];
    if bits & 8 == 0 { number } else { -number }
}

/// What the instruction descriptor says (PTX ISA, "Instruction descriptor", the tables of
/// `.kind::mxf8f6f4` and of `.kind::mxf4` and `.kind::mxf4nvf4`): a dense product whose factors
/// are not negated. How many scales a row has, and how many blocks multiply, is no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaledInstruction {
    /// Rows of A and D.
    pub m: u32,
    /// Columns of B and D.
    pub n: u32,
    /// Element type of A and B; of pairs of 4-bit floats, `u8`.
    pub ab: Scalar,
    /// Whether A lies along m.
    pub a_transposed: bool,
    /// Whether B lies along n.
    pub b_transposed: bool,
    /// The type of a scale.
    pub ty: ScaleType,
    /// The byte of a cell where scales of A begin.
    pub a_byte: u32,
    /// The byte of a cell where scales of B begin.
    pub b_byte: u32,
}

/// Element types with their codes; `u8` is a pair of 4-bit floats.
const FACTORS: [(Scalar, bool, u32); 3] =
    [(Scalar::E4M3, false, 0), (Scalar::E5M2, false, 1), (Scalar::U8, true, 1)];

impl ScaledInstruction {
    /// The word.
    ///
    /// # Panics
    /// If its type has no code: a bug, since the verifier asks for shapes that there are.
    pub fn encode(self) -> u32 {
        let factor = FACTORS.iter().find(|(scalar, ..)| *scalar == self.ab);
        let factor = factor.expect("a type of scaled factors").2;
        self.b_byte << 4
            | factor << 7
            | factor << 10
            | u32::from(self.a_transposed) << 15
            | u32::from(self.b_transposed) << 16
            | self.n >> 3 << 17
            | u32::from(self.ty == ScaleType::Ue8m0) << 23
            | self.m >> 7 << 27
            | self.a_byte << 29
    }

    /// What a word says to an instruction of this kind; `None` if that is none of these.
    pub fn decode(kind: ScaledKind, word: u32) -> Option<ScaledInstruction> {
        let found = |&&(_, narrow, code): &&(Scalar, bool, u32)| {
            narrow == kind.is_narrow() && code == word >> 7 & 7
        };
        let instruction = ScaledInstruction {
            m: (word >> 27 & 3) << 7,
            n: (word >> 17 & 0x3F) << 3,
            ab: FACTORS.iter().find(found)?.0,
            a_transposed: word >> 15 & 1 != 0,
            b_transposed: word >> 16 & 1 != 0,
            ty: if word >> 23 & 1 != 0 { ScaleType::Ue8m0 } else { ScaleType::Ue4m3 },
            a_byte: word >> 29 & 3,
            b_byte: word >> 4 & 3,
        };
        (instruction.encode() == word).then_some(instruction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [ScaleType; 2] = [ScaleType::Ue8m0, ScaleType::Ue4m3];

    /// Every combination, against the rows of the manual's table.
    #[test]
    fn combinations_are_the_manuals() {
        let mut there = Vec::new();
        for (kind, name) in ScaledKind::NAMES {
            assert_eq!((kind.name(), ScaledKind::from_name(name)), (name, Some(kind)));
            for (ty, count) in TYPES.iter().flat_map(|&ty| (0..6).map(move |count| (ty, count))) {
                let scales = Scales { kind, ty, count, a_byte: 0, b_byte: 0 };
                if scales.fault().is_none() {
                    there.push(format!("{name} {} {count}", ty.name()));
                    let places = (0..8).filter(|&byte| {
                        let one = Scales { a_byte: byte, ..scales }.fault().is_none();
                        assert_eq!(one, Scales { b_byte: byte, ..scales }.fault().is_none());
                        one
                    });
                    let expected: &[u32] = match count {
                        1 => &[0, 1, 2, 3],
                        2 => &[0, 2],
                        _ => &[0],
                    };
                    assert_eq!(places.collect::<Vec<_>>(), expected);
                }
            }
        }
        let expected = [
            "mxf8f6f4 ue8m0 1",
            "mxf4 ue8m0 2",
            "mxf4nvf4 ue8m0 2",
            "mxf4nvf4 ue8m0 4",
            "mxf4nvf4 ue4m3 4",
        ];
        assert_eq!(there, expected);
        assert_eq!(TYPES.map(|ty| ScaleType::from_name(ty.name())), TYPES.map(Some));
    }

    /// Every word, field by field as the manual's tables have them, and back.
    #[test]
    fn instruction_descriptors_are_the_manuals() {
        for (kind, ab, factor) in [
            (ScaledKind::Mxf8f6f4, Scalar::E4M3, 0),
            (ScaledKind::Mxf8f6f4, Scalar::E5M2, 1),
            (ScaledKind::Mxf4, Scalar::U8, 1),
            (ScaledKind::Mxf4Nvf4, Scalar::U8, 1),
        ] {
            for (n, flags) in (8..=256).step_by(8).flat_map(|n| (0..256).map(move |f| (n, f))) {
                let m = if flags >> 7 == 0 { 128 } else { 256 };
                let found = ScaledInstruction {
                    m,
                    n,
                    ab,
                    a_transposed: flags & 1 != 0,
                    b_transposed: flags & 2 != 0,
                    ty: TYPES[flags as usize >> 2 & 1],
                    a_byte: flags >> 3 & 3,
                    b_byte: flags >> 5 & 3,
                };
                let word = found.encode();
                let bits = |from: u32, len: u32| word >> from & ((1 << len) - 1);
                // Sparsity, reserved bits, negation, a depth of 96: nothing.
                for (from, len) in [(0, 4), (6, 1), (13, 2), (24, 3), (31, 1)] {
                    assert_eq!(bits(from, len), 0);
                }
                assert_eq!((bits(4, 2), bits(29, 2)), (found.b_byte, found.a_byte));
                assert_eq!((bits(7, 3), bits(10, 3)), (factor, factor));
                assert_eq!((bits(15, 1), bits(16, 1)), (flags & 1, flags >> 1 & 1));
                assert_eq!((bits(17, 6) * 8, bits(27, 2) * 128), (n, m));
                assert_eq!(bits(23, 1) == 1, found.ty == ScaleType::Ue8m0);
                assert_eq!(ScaledInstruction::decode(kind, word), Some(found));
            }
        }
        for word in [1 << 31, 1 << 24, 1 << 13, 1 << 2, u32::MAX] {
            assert_eq!(ScaledInstruction::decode(ScaledKind::Mxf4, word | 1 << 7 | 1 << 10), None);
        }
    }

    #[test]
    fn places_come_back_in_all_lanes() {
        for row in 0..256 {
            let (lane, column) = scale_place(row);
            assert!(lane < LANES && column < Scales::columns(row + 1));
            for quarter in 0..4 {
                assert_eq!(scale_row(quarter * LANES + lane, column), row);
            }
        }
        assert_eq!([8, 32, 40, 128, 256].map(Scales::columns), [1, 1, 2, 4, 8]);
    }

    /// The corners of CUTLASS's layouts, each cell of a block once.
    #[test]
    fn scales_of_pairs_are_in_all_lanes_that_read_them() {
        use crate::tcgen05::group::Group;
        use crate::tensor_map::Swizzle;
        use crate::wgmma::SmemLayout;
        let b = SmemLayout { swizzle: Swizzle::B128, mn_major: false, leading: 16, stride: 1024 };
        for (group, m, columns, corner) in [
            (Group::One, 128, [4, 8], (31, 7, 4)),
            (Group::Pair, 256, [4, 8], (31, 7, 4)),
            (Group::Pair, 128, [2, 4], (95, 3, 2)),
        ] {
            let (ab, cd, n) = (Scalar::E4M3, Scalar::F32, 256);
            let product = Tcgen05 { group, m, n, ab, cd, a: None, b, scales: None };
            assert_eq!(product.scale_columns(), columns);
            assert_eq!(product.b_scale_place(255), corner);
            assert_eq!(product.a_scale_place(33), (1, 1, 4));
            let cells = |(lane, column, copies): (u32, u32, u32)| {
                (0..copies).map(move |i| (lane + LANES * i, column))
            };
            let a = (0..product.rows()).flat_map(|row| cells(product.a_scale_place(row)));
            let b = (0..n).flat_map(|column| cells(product.b_scale_place(column)));
            for (found, columns) in [a.collect::<Vec<_>>(), b.collect()].iter().zip(columns) {
                let different: std::collections::HashSet<_> = found.iter().collect();
                assert_eq!((different.len(), found.len() as u32), (found.len(), 128 * columns));
                assert!(found.iter().all(|&(lane, column)| lane < 128 && column < columns));
            }
        }
    }

    #[test]
    fn numbers_are_the_manuals() {
        assert_eq!(ScaleType::Ue8m0.value(127), 1.0);
        assert_eq!(ScaleType::Ue8m0.value(0), 2f64.powi(-127));
        assert_eq!(ScaleType::Ue8m0.value(254), 2f64.powi(127));
        assert!(ScaleType::Ue8m0.value(255).is_nan());
        for bits in 0..=0xFFu8 {
            let value = ScaleType::Ue4m3.value(bits);
            let signed = crate::attr::Const { ty: Scalar::E4M3, bits: bits.into() }.as_f64();
            match bits {
                0x7F.. => assert!(value.is_nan()),
                _ => assert_eq!(Some(value), signed),
            }
        }
        assert_eq!([0, 1, 2, 7].map(e2m1), [0.0, 0.5, 1.0, 6.0]);
        assert!((0..8).all(|bits| e2m1(bits | 8) == -e2m1(bits)));
        // A normal number is 2^(exponent - 1) * (1 + mantissa / 2).
        for bits in 2..8u8 {
            let (exponent, mantissa) = (i32::from(bits >> 1), f64::from(bits & 1));
            assert_eq!(e2m1(bits), 2f64.powi(exponent - 1) * (1.0 + mantissa / 2.0));
        }
    }
}
