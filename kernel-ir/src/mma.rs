//! The matrix instructions, and which element of the matrix each lane holds.
//!
//! `mma` computes `D = A * B + C` for one warp, with `A: m x k`, `B: k x n`, `C, D: m x n`. Each
//! lane holds a fragment of each matrix as one vector; [`MmaShape::element`] is the layout. All
//! threads of the warp must take part.

use crate::target::{Gfx, Ptx, Target};
use crate::types::{Scalar, Type};

/// The instruction family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Family {
    /// NVIDIA `mma.sync` (PTX ISA, "Warp-level matrix instructions: mma").
    MmaSync,
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
        SHAPES.iter().copied().find(|s| s.name() == name)
    }

    /// Lanes of a warp in this family.
    pub const fn warp_size(self) -> u32 {
        match self.family {
            Family::Mfma => 64,
            _ => 32,
        }
    }

    /// Whether a target has it. The CPU has `mma_sync` by emulation, for portability alone.
    pub fn available(self, target: &Target) -> bool {
        match (target, self.family) {
            (Target::Cpu, Family::MmaSync) => true,
            (Target::Ptx(Ptx { sm, .. }), Family::MmaSync) => {
                // PTX ISA, "mma", target ISA notes: m16n8k8 f16 and 8-bit integers below k = 32
                // since sm_75 or sm_80, everything else here since sm_80.
                let since_75 = self.ab == Scalar::F16 && self.k == 8;
                *sm >= 80 || (*sm >= 75 && since_75)
            }
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
