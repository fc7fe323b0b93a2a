//! Pairs of blocks: two whose ranks in their cluster differ in the last bit only (PTX ISA, "CTA Pair"),
//! which multiply together.
//!
//! One thread of either block begins a product of both. Each holds half of A's rows and half of B's columns
//! in its shared memory, at the same address, and half of D's rows in its tensor memory: of 256 rows each
//! has 128, one a lane; of 128 each has 64, in the lanes from 0 on those of the first half of the columns,
//! in the lanes from 64 on those of the second (PTX ISA, "Data Path Layout Organization", layouts A and B;
//! the same as CUTLASS's `tmem_frg` of two multiprocessors). The block of the even rank has the first
//! rows.

use super::{ROWS, Tcgen05};

/// The blocks that an instruction is of (PTX ISA, the qualifier `.cta_group` of `tcgen05`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Group {
    /// The block whose thread begins it.
    #[default]
    One,
    /// That block and its peer.
    Pair,
}

impl Group {
    /// How many blocks.
    pub const fn blocks(self) -> u32 {
        match self {
            Group::One => 1,
            Group::Pair => 2,
        }
    }

    /// The word in the text form; that of one block is left out.
    pub const fn name(self) -> &'static str {
        match self {
            Group::One => "one",
            Group::Pair => "pair",
        }
    }

    /// The ranks in their cluster of the blocks that a block of this rank begins something of.
    pub const fn ranks(self, rank: usize) -> std::ops::Range<usize> {
        match self {
            Group::One => rank..rank + 1,
            Group::Pair => rank & !1..(rank | 1) + 1,
        }
    }
}

/// Where an element of D is: the block of the group, and the lane and column of its tensor memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TensorPlace {
    /// 0, or 1 for the second of a pair.
    pub block: u32,
    /// The lane.
    pub lane: u32,
    /// The column, from D's first one on.
    pub column: u32,
}

impl Tcgen05 {
    /// Rows of A and D that each block has.
    pub const fn rows(&self) -> u32 {
        self.m / self.group.blocks()
    }

    /// Columns of B that each block has in its shared memory.
    pub const fn b_rows(&self) -> u32 {
        self.n / self.group.blocks()
    }

    /// Parts of D's columns that lie next to each other in the lanes: two where a block's rows fill half of
    /// them.
    pub const fn halves(&self) -> u32 {
        ROWS / self.rows()
    }

    /// Columns of tensor memory that D takes in each block.
    pub const fn columns(&self) -> u32 {
        self.n / self.halves()
    }

    /// Where an element of D is.
    pub const fn place(&self, row: u32, column: u32) -> TensorPlace {
        let (rows, columns) = (self.rows(), self.columns());
        TensorPlace {
            block: row / rows,
            lane: row % rows + column / columns * rows,
            column: column % columns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_map::Swizzle;
    use crate::types::Scalar;
    use crate::wgmma::SmemLayout;

    fn product(group: Group, m: u32, n: u32) -> Tcgen05 {
        let b = SmemLayout { swizzle: Swizzle::B128, mn_major: false, leading: 16, stride: 1024 };
        let (ab, cd) = (Scalar::BF16, Scalar::F32);
        Tcgen05 { group, m, n, ab, cd, a: Some(b), b, scales: None }
    }

    /// The corners of the manual's figures of layouts A, B and D.
    #[test]
    fn elements_are_where_the_manual_has_them() {
        let place = |block, lane, column| TensorPlace { block, lane, column };
        let one = product(Group::One, 128, 64);
        assert_eq!(one.place(127, 63), place(0, 127, 63));
        let wide = product(Group::Pair, 256, 64);
        assert_eq!((wide.rows(), wide.b_rows(), wide.columns()), (128, 32, 64));
        assert_eq!(wide.place(127, 63), place(0, 127, 63));
        assert_eq!(wide.place(128, 0), place(1, 0, 0));
        assert_eq!(wide.place(255, 63), place(1, 127, 63));
        let low = product(Group::Pair, 128, 64);
        assert_eq!((low.rows(), low.b_rows(), low.columns()), (64, 32, 32));
        assert_eq!(low.place(0, 31), place(0, 0, 31));
        assert_eq!(low.place(0, 32), place(0, 64, 0));
        assert_eq!(low.place(63, 63), place(0, 127, 31));
        assert_eq!(low.place(64, 0), place(1, 0, 0));
        assert_eq!(low.place(127, 32), place(1, 127, 0));
    }

    /// No two elements share a place, and all lanes of D's columns are one.
    #[test]
    fn places_are_filled_once() {
        for (group, m) in [(Group::One, 128), (Group::Pair, 128), (Group::Pair, 256)] {
            let product = product(group, m, 48);
            let all = (0..m).flat_map(|row| (0..48).map(move |column| (row, column)));
            let places: std::collections::HashSet<TensorPlace> =
                all.map(|(row, column)| product.place(row, column)).collect();
            let there = group.blocks() * ROWS * product.columns();
            assert_eq!(places.len() as u32, there);
            assert_eq!(there, m * 48);
            assert!(places.iter().all(|p| p.lane < ROWS && p.column < product.columns()));
        }
    }

    #[test]
    fn pairs_are_of_ranks_that_differ_in_the_last_bit() {
        let ranks = |rank| Group::Pair.ranks(rank).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 5].map(ranks), [[0, 1], [0, 1], [2, 3], [4, 5]]);
        assert_eq!(Group::One.ranks(3), 3..4);
    }
}
