//! What a bulk copy moves: rows of a tensor's box, or a run of bytes, and where they lie.

use std::ops::Range;

use super::access::{Home, Spot};
use super::memory::Bytes;
use super::world::Map;
use crate::attr::BoxMode;
use crate::tensor_map::{MOST_AXES, Swizzle};

/// Bytes that a swizzle keeps together.
pub(super) const PIECE: usize = 16;

/// Bytes that lie next to each other in global memory.
#[derive(Clone, Debug)]
struct Row {
    /// Where plain order has it, from the start of the box on.
    plain: usize,
    /// Bytes of it outside of the tensor, before those inside.
    skip: usize,
    /// Those inside: where in the buffer.
    inside: Range<usize>,
}

/// Indices along all axes but the innermost.
type Line = [i64; MOST_AXES - 1];

/// The lines of a box at these coordinates, one axis after the other.
fn lines_of_box(map: &Map, at: &[i64]) -> impl Iterator<Item = Line> {
    let tile = map.tensor.tile;
    let count = tile.elements() as usize / usize::from(tile.extents[0]).max(1);
    (0..count).map(move |mut left| {
        std::array::from_fn(|i| {
            let extent = usize::from(tile.extents[i + 1]);
            let index = at.get(i + 1).copied().unwrap_or(0) + (left % extent) as i64;
            left /= extent;
            index
        })
    })
}

/// The pixels at the corners that a window takes from these coordinates on, moved by the offsets
/// behind them.
fn lines_of_pixels(map: &Map, at: &[i64]) -> impl Iterator<Item = Line> {
    let tensor = &map.tensor;
    let walk = tensor.tile.walk.expect("the kernel is verified: a window walks over the tensor");
    let axes = usize::from(walk.axes);
    let extents = std::array::from_fn(|i| tensor.extents[i + 1] as i64);
    let mut start = [0; 4];
    start[..axes].copy_from_slice(&at[1..1 + axes]);
    start[3] = at[1 + axes];
    let offsets = at[2 + axes..].to_vec();
    let corners = walk.corners(extents, start).take(usize::from(tensor.tile.extents[1]));
    corners.map(move |corner| {
        let mut line = [0; MOST_AXES - 1];
        for i in 0..axes {
            line[i] = corner[i] + offsets[i];
        }
        line[axes] = corner[3];
        line
    })
}

/// The two sides of a copy.
#[derive(Clone, Debug)]
pub(super) struct Area {
    /// The side in global memory; none where nothing may be reached.
    pub global: Option<Home>,
    /// Where the other side begins in shared memory.
    pub start: usize,
    /// Bytes of it.
    pub bytes: usize,
    /// Bytes of an element.
    pub grain: usize,
    swizzle: Swizzle,
    row_bytes: usize,
    rows: Vec<Row>,
}

impl Area {
    /// What a copy in this mode moves of a tensor, which lies in shared memory at `start`; its
    /// coordinates are as the instruction has them.
    pub(super) fn of_tensor(map: &Map, start: usize, mode: BoxMode, coordinates: &[i32]) -> Area {
        let at: Vec<i64> = coordinates.iter().map(|&c| c.into()).collect();
        let lines: Vec<Line> = match mode {
            BoxMode::Tile => lines_of_box(map, &at).collect(),
            BoxMode::Rows => at[1..].iter().map(|&row| [row, 0, 0, 0]).collect(),
            BoxMode::Pixels => lines_of_pixels(map, &at).collect(),
        };
        Area::of_lines(map, start, at[0], &lines)
    }

    /// Runs along the innermost axis of a tensor, each as long as its box, from `first` on.
    fn of_lines(map: &Map, start: usize, first: i64, lines: &[Line]) -> Area {
        let tensor = &map.tensor;
        let tile = tensor.tile;
        let elem = tensor.elem.size() as usize;
        let row_bytes = usize::from(tile.extents[0]) * elem;
        let count = lines.len();
        let inner = tensor.extents[0] as i64;
        let low = first.clamp(0, inner);
        let high = (first + i64::from(tile.extents[0])).clamp(low, inner);
        let rows = lines.iter().enumerate().map(|(row, line)| {
            let (mut at, mut outside) = (0i64, false);
            for (&index, axis) in line.iter().zip(1..MOST_AXES) {
                outside |= index < 0 || index >= tensor.extents[axis] as i64;
                at = at.wrapping_add(index.wrapping_mul(tensor.strides[axis] as i64));
            }
            let plain = row * row_bytes;
            if outside || low == high {
                return Row { plain, skip: row_bytes, inside: 0..0 };
            }
            let skip = (low - first) as usize * elem;
            // A tensor whose strides lead anywhere is found not to lie in its buffer.
            let at = map.start.saturating_add(at as usize);
            let [low, high] = [low, high].map(|index| at.saturating_add(index as usize * elem));
            let inside = low..high.max(low);
            Row { plain, skip, inside }
        });
        let rows = rows.collect();
        let bytes = count * row_bytes;
        Area { global: map.home, start, bytes, grain: elem, swizzle: tile.swizzle, row_bytes, rows }
    }

    /// A run of bytes.
    pub(super) fn of_run(global: &Spot, start: usize) -> Area {
        let rows = vec![Row { plain: 0, skip: 0, inside: global.range() }];
        let (swizzle, bytes, grain) = (Swizzle::None, global.len, global.grain);
        Area { global: Some(global.home), start, bytes, grain, swizzle, row_bytes: bytes, rows }
    }

    /// The parts of global memory.
    pub(super) fn global_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.rows.iter().map(|row| row.inside.clone()).filter(|range| !range.is_empty())
    }

    /// The parts of shared memory.
    pub(super) fn shared_ranges(&self) -> Vec<Range<usize>> {
        // Swizzles exchange pieces within lines of 128 bytes, at multiples of which copies begin.
        if self.swizzle == Swizzle::None || self.bytes.is_multiple_of(128) {
            return std::iter::once(self.start..self.start + self.bytes).collect();
        }
        let at = (0..self.bytes).step_by(PIECE).map(|at| self.place(at));
        at.map(|at| at..at + PIECE).collect()
    }

    /// Where in shared memory the byte is that plain order has at an offset.
    fn place(&self, offset: usize) -> usize {
        self.swizzle.apply((self.start + offset) as u32) as usize
    }

    /// Global to shared memory: the pieces with their places. What is outside of the tensor is 0.
    pub(super) fn load(&self, global: Option<&Bytes>, shared: &mut Bytes) {
        for row in &self.rows {
            let mut bytes = vec![0; self.row_bytes];
            if let Some(global) = global.filter(|_| !row.inside.is_empty()) {
                bytes[row.skip..row.skip + row.inside.len()]
                    .copy_from_slice(global.get(row.inside.clone()));
            }
            for (i, piece) in bytes.chunks(PIECE).enumerate() {
                shared.put(self.place(row.plain + i * PIECE), piece);
            }
        }
    }

    /// Shared memory in plain order.
    pub(super) fn take(&self, shared: &Bytes) -> Vec<u8> {
        let at = |offset| self.place(offset);
        let pieces = (0..self.bytes).step_by(PIECE);
        pieces.flat_map(|offset| shared.get(at(offset)..at(offset) + PIECE).to_vec()).collect()
    }

    /// Hands the parts of what was taken that lie inside of the tensor to `put`, each with its place.
    pub(super) fn store(&self, taken: &[u8], mut put: impl FnMut(Range<usize>, &[u8])) {
        for row in self.rows.iter().filter(|row| !row.inside.is_empty()) {
            let at = row.plain + row.skip;
            put(row.inside.clone(), &taken[at..at + row.inside.len()]);
        }
    }
}
