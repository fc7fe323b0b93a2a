//! The matrix instructions, and which element of the matrix each lane holds.
//!
//! `mma` computes `D = A * B + C` for one warp, with `A: m x k`, `B: k x n`, `C, D: m x n`. Each
//! lane holds a fragment of each matrix as one vector; [`MmaShape::element`] is the layout, and
//! [`MmaShape::locate`] its inverse. All threads of the warp must take part.

use crate::target::{Gfx, Ptx, Target};
use crate::types::{Scalar, Type};

/// The instruction family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Family {
    /// NVIDIA `mma.sync` (PTX ISA, "Warp-level matrix instructions: mma").
    MmaSync,
    /// NVIDIA Hopper's `wgmma`, by 128 threads; see [`crate::wgmma`], which says what shapes there
    /// are.
    Wgmma,
    /// AMD CDNA `v_mfma` (64 lanes).
    Mfma,
    /// AMD RDNA 3 `v_wmma` on 32 lanes: lanes 16 to 31 repeat lanes 0 to 15's A and B.
    WmmaGfx11,
    /// AMD RDNA 4 `v_wmma` on 32 lanes.
    WmmaGfx12,
}

impl Family {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Family::MmaSync => "mma_sync",
            Family::Wgmma => "wgmma",
            Family::Mfma => "mfma",
            Family::WmmaGfx11 => "wmma11",
            Family::WmmaGfx12 => "wmma12",
        }
    }
}

/// One of the three operands of an `mma`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operand {
    /// The left factor, `m x k`.
    A,
    /// The right factor, `k x n`.
    B,
    /// The accumulator, `m x n`.
    C,
}

/// A matrix instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct MmaShape {
    /// The family.
    pub family: Family,
    /// Rows of A and C.
    pub m: u32,
    /// Columns of B and C.
    pub n: u32,
    /// Columns of A, rows of B.
    pub k: u32,
    /// Element type of A and B.
    pub ab: Scalar,
    /// Element type of C and D.
    pub cd: Scalar,
}

const fn shape(family: Family, mnk: (u32, u32, u32), ab: Scalar, cd: Scalar) -> MmaShape {
    MmaShape { family, m: mnk.0, n: mnk.1, k: mnk.2, ab, cd }
}

/// Every matrix instruction the IR has. [`MmaShape::available`] tells who has which.
pub const SHAPES: &[MmaShape] = {
    use Family::*;
    use Scalar::*;
    &[
        shape(MmaSync, (16, 8, 8), F16, F32),
        shape(MmaSync, (16, 8, 8), BF16, F32),
        shape(MmaSync, (16, 8, 16), F16, F32),
        shape(MmaSync, (16, 8, 16), BF16, F32),
        shape(MmaSync, (16, 8, 4), TF32, F32),
        shape(MmaSync, (16, 8, 8), TF32, F32),
        shape(MmaSync, (16, 8, 16), I8, I32),
        shape(MmaSync, (16, 8, 32), I8, I32),
        shape(MmaSync, (8, 8, 16), I8, I32),
        shape(MmaSync, (8, 8, 16), U8, I32),
        shape(MmaSync, (16, 8, 16), U8, I32),
        shape(MmaSync, (16, 8, 32), U8, I32),
        shape(MmaSync, (16, 8, 32), E4M3, F32),
        shape(MmaSync, (16, 8, 32), E5M2, F32),
        shape(MmaSync, (8, 8, 4), F64, F64),
        shape(MmaSync, (16, 8, 4), F64, F64),
        shape(MmaSync, (16, 8, 8), F64, F64),
        shape(MmaSync, (16, 8, 16), F64, F64),
        shape(Mfma, (16, 16, 16), F16, F32),
        shape(Mfma, (16, 16, 16), BF16, F32),
        shape(Mfma, (32, 32, 8), F16, F32),
        shape(Mfma, (32, 32, 8), BF16, F32),
        shape(Mfma, (16, 16, 4), F32, F32),
        shape(Mfma, (16, 16, 32), F16, F32),
        shape(Mfma, (16, 16, 32), BF16, F32),
        shape(WmmaGfx11, (16, 16, 16), F16, F32),
        shape(WmmaGfx11, (16, 16, 16), BF16, F32),
        shape(WmmaGfx12, (16, 16, 16), F16, F32),
        shape(WmmaGfx12, (16, 16, 16), BF16, F32),
    ]
};

impl MmaShape {
    /// The name in the text form, as in `mma_sync.m16n8k16.bf16.f32`.
    pub fn name(self) -> String {
        let MmaShape { family, m, n, k, ab, cd } = self;
        format!("{}.m{m}n{n}k{k}.{ab}.{cd}", family.name())
    }

    /// The shape of that name, if there is one.
    pub fn from_name(name: &str) -> Option<MmaShape> {
        let listed = SHAPES.iter().copied().find(|s| s.name() == name);
        listed.or_else(|| MmaShape::wgmma_from_name(name))
    }

    /// Shapes of `wgmma` are too many to be listed.
    fn wgmma_from_name(name: &str) -> Option<MmaShape> {
        let (columns, types) = name.strip_prefix("wgmma.m64n")?.split_once('k')?;
        let mut types = types.split('.').skip(1).map(Scalar::from_name);
        let (ab, cd) = (types.next()??, types.next()??);
        let shape = crate::wgmma::shape(columns.parse().ok()?, ab, cd);
        (shape.name() == name && crate::wgmma::exists(shape)).then_some(shape)
    }

    /// Threads that hold the fragments: the lanes of a warp, or the threads of a warpgroup.
    pub const fn warp_size(self) -> u32 {
        match self.family {
            Family::Mfma => 64,
            Family::Wgmma => crate::wgmma::THREADS,
            _ => 32,
        }
    }

    /// Whether a target has it. The CPU has none: its kernels use fused multiply-adds.
    pub fn available(self, target: &Target) -> bool {
        match (target, self.family) {
            (Target::Ptx(Ptx { sm, .. }), Family::MmaSync) => {
                // PTX ISA, "mma", target ISA notes: m16n8k8 of f16 and m8n8k16 since sm_75, 8-bit
                // floats since sm_89, f64 of 16 rows since sm_90, everything else since sm_80.
                let first = match (self.ab, self.m, self.k) {
                    (Scalar::F16, _, 8) | (Scalar::I8 | Scalar::U8, 8, _) => 75,
                    (Scalar::E4M3 | Scalar::E5M2, ..) => 89,
                    (Scalar::F64, 16, _) => 90,
                    _ => 80,
                };
                *sm >= first
            }
            (Target::Ptx(ptx), Family::Wgmma) => ptx.sm == 90 && ptx.specific,
            (Target::Amdgcn(gfx), Family::Mfma) => {
                gfx.is_cdna() && (self.k != 32 || *gfx == Gfx::Gfx950)
            }
            (Target::Amdgcn(gfx), Family::WmmaGfx11) => *gfx == Gfx::Gfx1100,
            (Target::Amdgcn(gfx), Family::WmmaGfx12) => *gfx == Gfx::Gfx1201,
            _ => false,
        }
    }

    /// Rows and columns of an operand.
    pub const fn extent(self, operand: Operand) -> (u32, u32) {
        match operand {
            Operand::A => (self.m, self.k),
            Operand::B => (self.k, self.n),
            Operand::C => (self.m, self.n),
        }
    }

    /// The element type of an operand.
    pub const fn scalar(self, operand: Operand) -> Scalar {
        match operand {
            Operand::A | Operand::B => self.ab,
            Operand::C => self.cd,
        }
    }

    /// Elements of an operand that one lane holds.
    pub const fn fragment_len(self, operand: Operand) -> u32 {
        let (rows, columns) = self.extent(operand);
        let len = rows * columns / self.warp_size();
        match (self.family, operand) {
            // gfx11 duplicates A and B in the upper half of the wave.
            (Family::WmmaGfx11, Operand::A | Operand::B) => len * 2,
            _ => len,
        }
    }

    /// The type of a lane's fragment: a vector, or a scalar where it is one element.
    pub const fn fragment_type(self, operand: Operand) -> Type {
        match self.fragment_len(operand) {
            1 => Type::Scalar(self.scalar(operand)),
            n => Type::Vector(self.scalar(operand), n as u8),
        }
    }
}

/// Where the elements of the operands are.
impl MmaShape {
    /// The row and column of element `index` of a lane's fragment.
    ///
    /// * `mma.sync`: PTX ISA, "Matrix Fragments for mma.m16n8k4, m16n8k8, m16n8k16, m16n8k32": lanes
    ///   form groups of four; a 32-bit word of the fragment holds neighbours along k (A, B) or
    ///   along n (C).
    /// * `wgmma`: PTX ISA, "Register Fragments": each warp has 16 rows of A and C, as `mma.sync`
    ///   has them; along n, C is a row of such fragments. B is never in registers.
    /// * MFMA: AMD's matrix instruction calculator; "AMD CDNA3 ISA", VOP3P-MAI: lanes count along m
    ///   (A) or n (B, C) first, then along k; of C each lane holds runs of four rows.
    /// * WMMA: "RDNA3 ISA" and "RDNA4 ISA", Wave Matrix Multiply Accumulate: on gfx11 lanes 16 to 31
    ///   repeat A and B and C's rows alternate; on gfx12 the upper lanes hold the next 8 along k or
    ///   the next 8 rows.
    pub const fn element(self, operand: Operand, lane: u32, index: u32) -> (u32, u32) {
        match self.family {
            Family::MmaSync => self.mma_sync_element(operand, lane, index),
            Family::Wgmma => self.wgmma_element(operand, lane, index),
            Family::Mfma => self.mfma_element(operand, lane, index),
            Family::WmmaGfx11 => match operand {
                Operand::A => (lane % 16, index),
                Operand::B => (index, lane % 16),
                Operand::C => (2 * index + lane / 16, lane % 16),
            },
            Family::WmmaGfx12 => match operand {
                Operand::A => (lane % 16, 8 * (lane / 16) + index),
                Operand::B => (8 * (lane / 16) + index, lane % 16),
                Operand::C => (8 * (lane / 16) + index, lane % 16),
            },
        }
    }

    const fn mma_sync_element(self, operand: Operand, lane: u32, index: u32) -> (u32, u32) {
        let (group, member) = (lane / 4, lane % 4);
        if let Operand::C = operand {
            return (group + 8 * (index / 2), 2 * member + index % 2);
        }
        // Elements of a 32-bit word, which lie next to each other along k; an f64 is one by itself.
        let packed = if self.ab.size() < 4 { 4 / self.ab.size() } else { 1 };
        let (word, part) = (index / packed, index % packed);
        let k = member * packed + part;
        match operand {
            // Words alternate between rows g and g + 8, then go on along k.
            Operand::A => (group + 8 * (word % 2), k + 4 * packed * (word / 2)),
            _ => (k + 4 * packed * word, group),
        }
    }

    const fn wgmma_element(self, operand: Operand, thread: u32, index: u32) -> (u32, u32) {
        let (warp, lane) = (thread / 32, thread % 32);
        let (row, column) = match operand {
            Operand::C => {
                let (row, column) = self.mma_sync_element(operand, lane, index % 4);
                (row, column + 8 * (index / 4))
            }
            _ => self.mma_sync_element(operand, lane, index),
        };
        (row + 16 * warp, column)
    }

    const fn mfma_element(self, operand: Operand, lane: u32, index: u32) -> (u32, u32) {
        let (column, group) = (lane % self.n, lane / self.n);
        match operand {
            Operand::A => (column, group * self.fragment_len(operand) + index),
            Operand::B => (group * self.fragment_len(operand) + index, column),
            Operand::C => {
                // Groups of lanes take four rows each in turn.
                let groups = 64 / self.n;
                (4 * groups * (index / 4) + 4 * group + index % 4, column)
            }
        }
    }

    /// The lane and index that hold an element; the lowest such lane where several do.
    pub fn locate(self, operand: Operand, row: u32, column: u32) -> Option<(u32, u32)> {
        let lanes = 0..self.warp_size();
        let indices = 0..self.fragment_len(operand);
        lanes
            .flat_map(|lane| indices.clone().map(move |index| (lane, index)))
            .find(|&(lane, index)| self.element(operand, lane, index) == (row, column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for &shape in SHAPES {
            assert_eq!(MmaShape::from_name(&shape.name()), Some(shape));
        }
    }

    #[test]
    fn every_element_is_held_as_often_as_the_family_says() {
        for &shape in SHAPES {
            for operand in [Operand::A, Operand::B, Operand::C] {
                let (rows, columns) = shape.extent(operand);
                let mut held = vec![0; (rows * columns) as usize];
                for lane in 0..shape.warp_size() {
                    for index in 0..shape.fragment_len(operand) {
                        let (row, column) = shape.element(operand, lane, index);
                        assert!(row < rows && column < columns, "{} {operand:?}", shape.name());
                        held[(row * columns + column) as usize] += 1;
                    }
                }
                let twice = shape.family == Family::WmmaGfx11 && operand != Operand::C;
                let times = if twice { 2 } else { 1 };
                assert!(held.iter().all(|&n| n == times), "{} {operand:?}", shape.name());
            }
        }
    }

    #[test]
    fn locate_is_the_inverse() {
        for &shape in SHAPES {
            for operand in [Operand::A, Operand::B, Operand::C] {
                let (rows, columns) = shape.extent(operand);
                for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                    let (lane, index) = shape.locate(operand, row, column).unwrap();
                    assert_eq!(shape.element(operand, lane, index), (row, column));
                }
            }
        }
    }

    /// Corners as the manuals' figures have them.
    #[test]
    fn layouts_agree_with_the_manuals() {
        let find = |name: &str| MmaShape::from_name(name).unwrap();
        let bf16 = find("mma_sync.m16n8k16.bf16.f32");
        assert_eq!(bf16.element(Operand::A, 5, 3), (9, 3));
        assert_eq!(bf16.element(Operand::A, 5, 4), (1, 10));
        assert_eq!(bf16.element(Operand::B, 5, 2), (10, 1));
        assert_eq!(bf16.element(Operand::C, 5, 2), (9, 2));
        // "Matrix Fragments for mma.m16n8k16" of f64: rows alternate, columns go on by four.
        let f64s = find("mma_sync.m16n8k16.f64.f64");
        for (lane, i) in (0..32).flat_map(|lane| (0..8).map(move |i| (lane, i))) {
            let (row, column) = (lane / 4 + i % 2 * 8, i / 2 * 4 + lane % 4);
            assert_eq!(f64s.element(Operand::A, lane, i), (row, column));
        }
        // "... mma.m16n8k32" of 8 bits: a0 to a3 and a8 to a11 in the upper rows, a8 on 16 columns on.
        let fp8 = find("mma_sync.m16n8k32.e4m3.f32");
        for (lane, i) in (0..32).flat_map(|lane| (0..16).map(move |i| (lane, i))) {
            let row = if i % 8 < 4 { lane / 4 } else { lane / 4 + 8 };
            let column = lane % 4 * 4 + i % 4 + if i < 8 { 0 } else { 16 };
            assert_eq!(fp8.element(Operand::A, lane, i), (row, column));
            if i < 8 {
                let place = (lane % 4 * 4 + i % 4 + i / 4 * 16, lane / 4);
                assert_eq!(fp8.element(Operand::B, lane, i), place);
            }
        }
        // Register r of lane l has row i and column j with r = 4 * (i / 8) + i % 4 and
        // l = 32 * (i / 4) % 64 + j.
        let mfma = find("mfma.m32n32k8.f16.f32");
        for (i, j) in (0..32).flat_map(|i| (0..32).map(move |j| (i, j))) {
            assert_eq!(
                mfma.element(Operand::C, (32 * (i / 4)) % 64 + j, 4 * (i / 8) + i % 4),
                (i, j)
            );
        }
    }
}
