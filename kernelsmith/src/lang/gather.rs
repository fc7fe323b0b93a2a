//! Rows that lie apart: copies by the engine of four rows at a time (PTX ISA, "Tensors:
//! tile::scatter4 and tile::gather4 modes"; loads from sm_100 on, stores on sm_100a).
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! /// Rows of `x` in the order of `which`: those of the experts' tokens, or of a table of embeddings.
//! #[kernel(block = 128)]
//! fn gathered(x: &TensorMap<bf16, 2>, which: &[u32], y: &mut TensorMap<bf16, 2>) {
//!     let row = x.tile([1, 64], Swizzle::B128);
//!     let out = y.tile([64, 64], Swizzle::B128);
//!     let tile = tiles::<bf16>(1, [64, 64], Swizzle::B128).stage(0);
//!     let (producer, consumer) = pipeline::<1>(1).split();
//!     let first = block_idx_x() * 64;
//!     if thread_idx_x() == 0 {
//!         let stage = producer.acquire();
//!         tile.gather(row, |i| which[first + i] as usize, 0, stage.barrier());
//!         stage.commit_bytes(64 * 128);
//!         consumer.wait().keep();
//!         tile.store(out, [first, 0]);
//!         bulk_commit();
//!         bulk_wait(0);
//!     }
//! }
//! ```

use kernelsmith_ir::attr::BoxMode;
use kernelsmith_ir::{Opcode, Value};

use super::bulk::How;
use super::element::Stored;
use super::mbarrier::Mbarrier;
use super::stage::{build, fail};
use super::swizzled::Tile;
use super::tensor_map::{TensorTile, TensorTileMut};
use super::val::Val;

/// Rows that one copy moves.
const ROWS: usize = 4;

const HOW: How = How { mode: BoxMode::Rows, ..How::PLAIN };

impl<T: Stored> Tile<T> {
    /// Fills the tile with rows of a matrix, from `column` on: row `i` of the tile is row `row(i)` of the
    /// matrix. What lies outside of it is 0. `barrier` counts the tile's bytes.
    ///
    /// The box of the map is one row, as wide as a panel of the tile, swizzled alike. One thread does
    /// this.
    #[track_caller]
    pub fn gather(
        &self,
        map: TensorTile<T, 2>,
        row: impl FnMut(usize) -> Val<usize>,
        column: Val<usize>,
        barrier: Mbarrier,
    ) {
        for (address, at) in self.groups(map, row, column) {
            let operands = [&[address, map.map(), barrier.address()], &at[..]].concat();
            build(|b| b.emit(Opcode::TmaLoad, HOW.attr(), &operands, &[]));
        }
    }

    /// Copies the tile to rows of a matrix, as [`gather`](Tile::gather) loads them; what lies outside is
    /// left out. One thread does this, as [`store`](Tile::store).
    #[track_caller]
    pub fn scatter(
        &self,
        map: TensorTileMut<T, 2>,
        row: impl FnMut(usize) -> Val<usize>,
        column: Val<usize>,
    ) {
        for (address, at) in self.groups(*map, row, column) {
            let operands = [&[map.map(), address], &at[..]].concat();
            build(|b| b.emit(Opcode::TmaStore, HOW.attr(), &operands, &[]));
        }
    }

    /// Four rows of a panel each: where they lie in shared memory, and the coordinates.
    #[track_caller]
    fn groups(
        &self,
        map: TensorTile<T, 2>,
        mut row: impl FnMut(usize) -> Val<usize>,
        column: Val<usize>,
    ) -> Vec<(Value, Vec<Value>)> {
        let (rows, columns, wide) = (self.rows(), self.columns(), self.wide());
        if map.shape() != [1, wide] || map.swizzle() != self.swizzle() {
            fail(format!(
                "a tile of {rows} x {columns} with {:?} is no {ROWS} rows each of boxes of {:?} with \
                 {:?}: boxes are one row, {wide} wide, swizzled alike",
                self.swizzle(),
                map.shape(),
                map.swizzle()
            ));
        }
        let mut numbers = Vec::new();
        for i in 0..rows {
            numbers.push(super::cast::cast::<Val<i32>, _>(row(i)).id);
        }
        let mut groups = Vec::new();
        for panel in 0..columns / wide {
            let column: Val<i32> = super::cast::cast(column + panel * wide);
            let base = self.panel(panel);
            for first in (0..rows).step_by(ROWS) {
                let offset = Val::<usize>::from(first * wide);
                let address = build(|b| b.ptr_add(base, offset.id));
                let at = [&[column.id], &numbers[first..first + ROWS]].concat();
                groups.push((address, at));
            }
        }
        groups
    }
}
