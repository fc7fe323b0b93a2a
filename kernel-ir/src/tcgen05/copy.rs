//! Copies from shared to tensor memory (PTX ISA, `tcgen05.cp`).

use super::ROWS;
use super::group::Group;
use crate::wgmma::SmemLayout;

/// What a copy moves: rows of shared memory, each of 16 or 32 bytes, to all 128 lanes (PTX ISA, "Data
/// Movement Shape", and the multicast of `tcgen05.cp`). Rows next to each other in shared memory are lanes
/// next to each other, unless warps get the same rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CopyShape {
    /// 128 rows of 32 bytes.
    Rows128Bytes32,
    /// 128 rows of 16 bytes.
    Rows128Bytes16,
    /// 64 rows of 16 bytes: warps 0 and 2 get the first 32, warps 1 and 3 the others.
    Rows64Alternating,
    /// 64 rows of 16 bytes: warps 0 and 1 get the first 32, warps 2 and 3 the others.
    Rows64Paired,
    /// 32 rows of 16 bytes, which all warps get: scales of a product.
    Rows32,
}

/// A `tcgen05.cp`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TensorCopy {
    /// The blocks that copy, each from its own shared to its own tensor memory, at the same addresses: the
    /// manual speaks of both tensor memories only, and kernels for pairs (CUTLASS's block-scaled ones,
    /// DeepGEMM) let each block load the scales of its own rows before one of them begins the copy.
    pub group: Group,
    /// What it moves.
    pub shape: CopyShape,
    /// How the rows lie in shared memory: as those of a factor along k, of bytes.
    pub layout: SmemLayout,
}

/// Shapes with their names, as PTX has them.
const NAMES: [(CopyShape, &str); 5] = [
    (CopyShape::Rows128Bytes32, "128x256b"),
    (CopyShape::Rows128Bytes16, "128x128b"),
    (CopyShape::Rows64Alternating, "64x128b.warpx2::02_13"),
    (CopyShape::Rows64Paired, "64x128b.warpx2::01_23"),
    (CopyShape::Rows32, "32x128b.warpx4"),
];

impl CopyShape {
    /// All of them.
    pub fn all() -> impl Iterator<Item = CopyShape> {
        NAMES.iter().map(|&(shape, _)| shape)
    }

    /// The qualifiers that PTX has.
    pub const fn qualifiers(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The name in the text form: the qualifiers in one word.
    pub fn name(self) -> String {
        self.qualifiers().replace("::", "_").replace('.', "_")
    }

    /// The shape of that name.
    pub fn from_name(name: &str) -> Option<CopyShape> {
        Self::all().find(|shape| shape.name() == name)
    }

    /// Rows of shared memory.
    pub const fn rows(self) -> u32 {
        match self {
            CopyShape::Rows128Bytes32 | CopyShape::Rows128Bytes16 => ROWS,
            CopyShape::Rows64Alternating | CopyShape::Rows64Paired => 64,
            CopyShape::Rows32 => 32,
        }
    }

    /// Bytes of a row.
    pub const fn bytes(self) -> u32 {
        if matches!(self, CopyShape::Rows128Bytes32) { 32 } else { 16 }
    }

    /// The row that a lane gets.
    pub const fn row(self, lane: u32) -> u32 {
        match self {
            // Warps 0 and 1 are lanes 0 to 63.
            CopyShape::Rows64Paired => lane / 64 * 32 + lane % 32,
            shape => lane % shape.rows(),
        }
    }
}

impl TensorCopy {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        if self.layout.mn_major {
            return Some("rows that do not lie along k".to_owned());
        }
        super::layout_fault(self.layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each warp's rows are those that the manual says it gets.
    #[test]
    fn warps_get_their_rows() {
        for shape in CopyShape::all() {
            assert_eq!(CopyShape::from_name(&shape.name()), Some(shape));
            let first: Vec<u32> = (0..4)
                .map(|warp| {
                    let rows: Vec<u32> = (0..32).map(|lane| shape.row(32 * warp + lane)).collect();
                    assert_eq!(rows, (rows[0]..rows[0] + 32).collect::<Vec<_>>());
                    rows[0]
                })
                .collect();
            let expected = match shape {
                CopyShape::Rows128Bytes32 | CopyShape::Rows128Bytes16 => [0, 32, 64, 96],
                CopyShape::Rows64Alternating => [0, 32, 0, 32],
                CopyShape::Rows64Paired => [0, 0, 32, 32],
                CopyShape::Rows32 => [0; 4],
            };
            assert_eq!(first, expected, "{}", shape.qualifiers());
        }
        assert_eq!(CopyShape::from_name("4x256b"), None);
    }
}
