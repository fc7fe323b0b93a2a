//! Tiles in shared memory as the copy engine writes and `wgmma` reads them: rows of at most 128
//! bytes, in which pieces of 16 bytes are exchanged so that columns meet all banks.
//!
//! A tile of wider rows is several *panels*, one behind the other, each as wide as the swizzle. The
//! same tile serves as a factor with either of its axes along k ([`Tile::k_major`],
//! [`Tile::mn_major`]).

use std::marker::PhantomData;

use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::wgmma::SmemLayout;
use kernelsmith_ir::{Attr, Opcode, Value};

use super::element::Stored;
use super::index::{KernelIndex, Memory, Slot};
use super::shared::{Shared, shared_as};
use super::stage::{build, fail};
use super::val::Val;

/// Tiles of one shape, one behind the other in the block's shared memory: the stages of a pipeline.
pub struct Tiles<T: Stored> {
    memory: Shared<T>,
    shape: Shape,
    count: usize,
}

/// The shape of a tile and how it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    rows: usize,
    columns: usize,
    swizzle: Swizzle,
    /// Elements of a row of a panel.
    wide: usize,
    /// Rows from a panel's first to the next one's: more than the tile's own where it is a band of another.
    apart: usize,
}

/// A tile of `rows` by `columns` elements in shared memory.
pub struct Tile<T: Stored> {
    base: Value,
    shape: Shape,
    ty: PhantomData<T>,
}

impl<T: Stored> Clone for Tiles<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored> Copy for Tiles<T> {}

impl<T: Stored> Clone for Tile<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored> Copy for Tile<T> {}

/// A factor of a `wgmma` in shared memory: an address, and how the elements lie from there on.
pub struct Factor<T: Stored> {
    pub(crate) address: Value,
    pub(crate) layout: SmemLayout,
    /// Indices along m or n that there are from the address on.
    pub(crate) rows: usize,
    ty: PhantomData<T>,
}

/// `count` tiles of `rows` by `columns` elements. Rows are a multiple of 8; columns are as many as
/// the swizzle is wide (`Swizzle::B128`: 128 bytes), or a multiple of that.
#[track_caller]
pub fn tiles<T: Stored>(count: usize, [rows, columns]: [usize; 2], swizzle: Swizzle) -> Tiles<T> {
    let wide = (swizzle.width() / T::TYPE.size()) as usize;
    if rows == 0 || !rows.is_multiple_of(8) || columns == 0 || !columns.is_multiple_of(wide) {
        fail(format!(
            "tiles of {rows} x {columns} {}: with {swizzle:?}, rows are a multiple of 8 and columns \
             one of {wide}",
            T::TYPE
        ));
    }
    let shape = Shape { rows, columns, swizzle, wide, apart: rows };
    let align = swizzle.period() as usize;
    if !(rows * columns * T::TYPE.size() as usize).is_multiple_of(align) {
        fail(format!("tiles of {rows} x {columns} {} are no multiple of {align} bytes", T::TYPE));
    }
    Tiles { memory: shared_as("tiles", count * rows * columns, align), shape, count }
}

impl<T: Stored> Tiles<T> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of one tile: what a barrier expects of the copies that fill it.
    pub fn bytes(&self) -> usize {
        self.shape.rows * self.shape.columns * T::TYPE.size() as usize
    }

    /// The tile of an index; checked.
    #[track_caller]
    pub fn stage(&self, index: impl KernelIndex) -> Tile<T> {
        let elements = self.shape.rows * self.shape.columns;
        let first = checked_tile(self.count, index) * elements;
        let base = build(|b| b.ptr_add(self.memory.base(), first.id));
        Tile { base, shape: self.shape, ty: PhantomData }
    }
}

/// The index, which must be below the number of tiles.
#[track_caller]
fn checked_tile(count: usize, index: impl KernelIndex) -> Val<usize> {
    if let Some(index) = index.host()
        && index >= count
    {
        fail(format!("tile {index} of {count}"));
    }
    let (index, len) = (index.value(), Val::<usize>::from(count));
    build(|b| b.check_bounds(index.id, len.id));
    index
}

impl<T: Stored> Tile<T> {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.shape.columns
    }

    /// How it lies.
    pub fn swizzle(&self) -> Swizzle {
        self.shape.swizzle
    }

    /// Elements of a row of a panel.
    pub(crate) fn wide(&self) -> usize {
        self.shape.wide
    }

    /// Rows from a panel's first to the next one's.
    pub(crate) fn apart(&self) -> usize {
        self.shape.apart
    }

    /// The address of the first element of a panel.
    #[track_caller]
    pub(crate) fn panel(&self, panel: usize) -> Value {
        let first = Val::<usize>::from(panel * self.shape.apart * self.shape.wide);
        build(|b| b.ptr_add(self.base, first.id))
    }

    /// One of `parts` equal parts, which lie one behind the other: rows of a tile that is one panel wide,
    /// else panels, whole columns. What each block of a cluster loads of a tile that all of them get.
    /// `index` is checked.
    #[track_caller]
    pub fn part(&self, index: impl KernelIndex, parts: usize) -> Tile<T> {
        let Shape { rows, columns, wide, apart, .. } = self.shape;
        let one_panel = columns == wide;
        let (whole, unit) = if one_panel { (rows, 8) } else { (columns, wide) };
        let own = whole / parts.max(1);
        if parts == 0 || own * parts != whole || own == 0 || !own.is_multiple_of(unit) {
            fail(format!(
                "{parts} parts of a tile of {rows} x {columns}: a part is whole panels, {wide} columns \
                 wide, or of one panel a multiple of 8 rows"
            ));
        }
        let shape = match one_panel {
            true => Shape { rows: own, ..self.shape },
            false => Shape { columns: own, ..self.shape },
        };
        let first = checked_tile(parts, index) * if one_panel { own * wide } else { own * apart };
        let base = build(|b| b.ptr_add(self.base, first.id));
        Tile { base, shape, ty: PhantomData }
    }

    /// `count` rows from `first` on, both multiples of 8: what a copy brings that has only these. All panels
    /// have a part in it, so it lies in as many pieces.
    #[track_caller]
    pub fn band(&self, first: usize, count: usize) -> Tile<T> {
        let Shape { rows, wide, .. } = self.shape;
        let inside = first.checked_add(count).is_some_and(|end| end <= rows);
        if !inside || count == 0 || !first.is_multiple_of(8) || !count.is_multiple_of(8) {
            fail(format!(
                "{count} rows from row {first} on of a tile of {rows}: both are multiples of 8, and inside"
            ));
        }
        let at = Val::<usize>::from(first * wide);
        let base = build(|b| b.ptr_add(self.base, at.id));
        Tile { base, shape: Shape { rows: count, ..self.shape }, ty: PhantomData }
    }

    /// The rows as those along m or n, the columns along k: 32 bytes of columns from `k` on, and the
    /// rows from `row` on, a multiple of 8. `k` is known while staging.
    #[track_caller]
    pub fn k_major(&self, row: impl KernelIndex, k: usize) -> Factor<T> {
        let Shape { rows, columns, swizzle, wide, apart } = self.shape;
        let depth = 32 / T::TYPE.size() as usize;
        if !k.is_multiple_of(depth) || k >= columns || swizzle == Swizzle::None {
            fail(format!(
                "columns from {k} on of a tile of {rows} x {columns} with {swizzle:?} along k: they \
                 begin at a multiple of {depth} below {columns}, and the tile is swizzled"
            ));
        }
        let stride = 8 * swizzle.width();
        let layout = SmemLayout { swizzle, mn_major: false, leading: 16, stride };
        let (row, left) = first(row, 8, rows, "row");
        let at = row * wide + (k / wide * apart * wide + k % wide);
        Factor::new(build(|b| b.ptr_add(self.base, at.id)), layout, left)
    }

    /// The columns as those along m or n, the rows along k: 16 rows from `k` on, and the columns from
    /// `column` on, a multiple of a panel's.
    #[track_caller]
    pub fn mn_major(&self, column: impl KernelIndex, k: usize) -> Factor<T> {
        let Shape { rows, columns, swizzle, wide, apart } = self.shape;
        let depth = 32 / T::TYPE.size() as usize;
        if T::TYPE.size() != 2 || !k.is_multiple_of(depth) || k >= rows || swizzle == Swizzle::None
        {
            fail(format!(
                "rows from {k} on of a tile of {rows} x {columns} {} with {swizzle:?} along k: \
                 elements have 16 bits, rows begin at a multiple of {depth} below {rows}, and the \
                 tile is swizzled",
                T::TYPE
            ));
        }
        let leading = apart as u32 * swizzle.width();
        let layout = SmemLayout { swizzle, mn_major: true, leading, stride: 8 * swizzle.width() };
        let (column, left) = first(column, wide, columns, "column");
        // A panel holds `wide` columns of each row.
        let at = column * apart + k * wide;
        Factor::new(build(|b| b.ptr_add(self.base, at.id)), layout, left)
    }

    /// The element of a row and column; checked.
    #[track_caller]
    pub fn at(&self, row: Val<usize>, column: Val<usize>) -> Slot<T> {
        let Shape { rows, columns, .. } = self.shape;
        let (row_end, column_end) = (Val::<usize>::from(rows), Val::<usize>::from(columns));
        build(|b| {
            b.check_bounds(row.id, row_end.id);
            b.check_bounds(column.id, column_end.id);
        });
        let at = self.position(row, column);
        Slot::new(build(|b| b.ptr_add(self.base, at.id)))
    }

    /// `N` elements of a row from a column on by one instruction: the column is a multiple of `N`, and they
    /// have 16 bytes at most. Checked.
    #[track_caller]
    pub fn load_vector<const N: usize>(&self, row: Val<usize>, column: Val<usize>) -> [Val<T>; N] {
        super::memory::load_vector(self.vector_at::<N>(row, column))
    }

    /// Writes `N` elements of a row from a column on; see [`load_vector`](Tile::load_vector).
    #[track_caller]
    pub fn store_vector<const N: usize>(
        &self,
        row: Val<usize>,
        column: Val<usize>,
        values: [Val<T>; N],
    ) {
        super::memory::store_vector(self.vector_at::<N>(row, column), values);
    }

    /// The first element of a vector, all of which is inside.
    #[track_caller]
    fn vector_at<const N: usize>(&self, row: Val<usize>, column: Val<usize>) -> Slot<T> {
        if !matches!(N, 2 | 4 | 8 | 16) || N * T::TYPE.size() as usize > 16 {
            fail(format!(
                "vectors of a tile have 2, 4, 8 or 16 elements and at most 16 bytes, not {N} {}",
                T::TYPE
            ));
        }
        super::matrix::aligned(column, N, &format!("a vector's first column is a multiple of {N}"));
        // The last one is inside too, as rows have a multiple of 16 bytes.
        self.at(row, column)
    }

    /// Where an element lies, counted in elements from the tile's start: its piece of 16 bytes is
    /// exchanged by the bits of the row that the address has from 128 bytes up.
    #[track_caller]
    pub(crate) fn position(&self, row: Val<usize>, column: Val<usize>) -> Val<usize> {
        let Shape { swizzle, wide, apart, .. } = self.shape;
        let piece = 16 / T::TYPE.size() as usize;
        let pieces = wide / piece;
        let (panel, column) = (column / wide, column % wide);
        // Rows of one 128 bytes.
        let together = 128 / swizzle.width() as usize;
        let turn = row / together % pieces;
        let exchanged = (column / piece) ^ turn;
        panel * (apart * wide) + row * wide + exchanged * piece + column % piece
    }

    /// The address of an element that lies in the tile.
    #[track_caller]
    pub(crate) fn address(&self, row: Val<usize>, column: Val<usize>) -> Value {
        let at = self.position(row, column);
        build(|b| b.ptr_add(self.base, at.id))
    }
}

/// A row or column that a factor begins at, a multiple of `unit` below `len`; and how many there are
/// from there on, as far as is known.
#[track_caller]
fn first(index: impl KernelIndex, unit: usize, len: usize, what: &str) -> (Val<usize>, usize) {
    let rule = format!("a factor's first {what} is a multiple of {unit}");
    super::matrix::aligned(index, unit, &rule);
    match index.host() {
        Some(at) if at >= len => fail(format!("a factor from {what} {at} of {len} on")),
        Some(at) => (at.into(), len - at),
        None => {
            let (at, end) = (index.value(), Val::<usize>::from(len));
            build(|b| b.check_bounds(at.id, end.id));
            (at, len)
        }
    }
}

impl<T: Stored> Factor<T> {
    fn new(address: Value, layout: SmemLayout, rows: usize) -> Factor<T> {
        Factor { address, layout, rows, ty: PhantomData }
    }
}

/// Lets the copy engine and `wgmma` see what this thread wrote to shared memory (PTX ISA,
/// `fence.proxy.async`): before the barrier behind which another thread lets them begin.
#[track_caller]
pub fn async_fence() {
    build(|b| b.emit(Opcode::AsyncFence, Attr::None, &[], &[]));
}
