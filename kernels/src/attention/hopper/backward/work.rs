//! Which keys a block works on, and which queries see them.

use kernelsmith::prelude::*;

use crate::attention::backward::Seen;
use crate::attention::form::Form;
use crate::attention::hopper::work::{Who, same};

/// An attention's extents.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Shape {
    pub(super) m: Val<usize>,
    pub(super) n: Val<usize>,
    /// Heads of keys, of all sequences.
    pub(super) lines: Val<usize>,
    /// Heads of queries that have the same keys.
    pub(super) group: Val<usize>,
    pub(super) window: Val<usize>,
    /// Heads of keys that are worked on together.
    pub(super) section: Val<usize>,
}

/// A block's keys, and the tiles of queries that see some of them.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Piece {
    /// The head of keys.
    pub(super) line: Val<usize>,
    /// The tile of keys.
    pub(super) tile: Val<usize>,
    /// Tiles of queries `lo` to `hi`; those from `low` to `high` see every key.
    pub(super) lo: Val<usize>,
    pub(super) low: Val<usize>,
    pub(super) high: Val<usize>,
    pub(super) hi: Val<usize>,
}

impl Shape {
    pub(super) fn seen(self, form: Form) -> Seen {
        Seen { form, m: self.m, n: self.n, window: self.window }
    }
}

#[device]
impl Shape {
    /// A piece: sections of heads one after another; within one, the first keys first, which most queries
    /// of a causal attention see, and heads next to each other. So of one head no tile of keys has a
    /// smaller index than one before it.
    pub(super) fn piece(
        self,
        #[comptime] form: Form,
        #[comptime] rows: usize,
        #[comptime] keys: usize,
        #[comptime] who: Who,
        index: u32,
    ) -> Piece {
        let (n, lines) = (self.n, self.lines as u32);
        let tiles = n.div_ceil(keys) as u32;
        let together = (self.section as u32).min(lines).max(1);
        let in_section = (together * tiles).max(1);
        let first = index / in_section * together;
        let width = (lines - first).min(together).max(1);
        let within = index % in_section;
        let tile = same(who, within / width) as usize;
        let line = same(who, first + within % width) as usize;

        let seen = self.seen(form);
        let key = tile * keys;
        let last = (key + keys).min(n) - 1;
        let lo = seen.first_query(key) / rows;
        let hi = seen.end_query(last).div_ceil(rows).max(lo);
        let whole = (seen.first_query(last).div_ceil(rows)).max(lo).min(hi);
        let low = if key + keys <= n { whole } else { hi };
        let high = if form.windowed { (seen.end_query(key) / rows).max(low).min(hi) } else { hi };
        Piece { line, tile, lo, low, high, hi }
    }
}

/// Loops over tiles of queries: of those that the diagonal or the keys' end crosses, of those that see every
/// key, and of those behind a window's end.
pub(super) fn passes(form: Form) -> usize {
    if form.windowed { 3 } else { 2 }
}

/// The tiles of a loop, and whether scores are masked.
pub(super) fn pass_of(pass: usize, piece: Piece) -> (Val<u32>, Val<u32>, bool) {
    let (from, to, masked) = match pass {
        0 => (piece.lo, piece.low, true),
        1 => (piece.low, piece.high, false),
        _ => (piece.high, piece.hi, true),
    };
    (from.cast(), to.cast(), masked)
}
