//! Which part of an attention a block works on.

use kernelsmith::prelude::*;

use super::config::Plan;
use crate::attention::form::{Form, end_seen, first_seen};
use crate::attention::lengths::{Span, span};

/// An attention's extents, and how it is divided.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Shape {
    /// Queries and keys of a sequence, at most.
    pub(super) m: Val<usize>,
    pub(super) n: Val<usize>,
    pub(super) batch: Val<usize>,
    /// Heads of queries, and those with the same keys.
    pub(super) heads: Val<usize>,
    pub(super) group: Val<usize>,
    pub(super) window: Val<usize>,
    /// Blocks that share the keys of a piece of work.
    pub(super) splits: Val<usize>,
    /// Heads, of all sequences, that are worked on together.
    pub(super) section: Val<usize>,
}

/// A block's piece of work: some queries of a head, or of several with the same keys, and tiles of keys.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Work {
    pub(super) sequence: Val<u32>,
    /// The first head of queries.
    pub(super) head: Val<u32>,
    pub(super) kv_head: Val<usize>,
    /// The first query.
    pub(super) first: Val<usize>,
    pub(super) split: Val<u32>,
    pub(super) own: Span,
    pub(super) keys: Span,
    /// Tiles of keys, from `lo` to `hi`.
    pub(super) lo: Val<usize>,
    pub(super) hi: Val<usize>,
}

/// Where sequences lie, see [`attention_rows`](crate::attention::attention_rows).
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    pub(super) q_ends: Option<Slice<u32>>,
    pub(super) k_ends: Option<Slice<u32>>,
    pub(super) lengths: Option<Slice<u32>>,
    /// Rows of the tensors.
    pub(super) q_rows: Val<usize>,
    pub(super) k_rows: Val<usize>,
}

/// Who asks for a piece of work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Who {
    /// One thread.
    Thread,
    /// Whole warps. What the assembler does not see to be alike in all lanes, quotients and what memory holds,
    /// it takes as different; products under a condition on that would wait for one another (C7520).
    Warps,
}

impl Who {
    fn are_warps(self) -> bool {
        self == Who::Warps
    }
}

/// A number that is the same in all lanes, known to be so.
#[device]
pub(super) fn same(#[comptime] who: Who, x: u32) -> u32 {
    if who.are_warps() { warp_broadcast(x) } else { x }
}

#[device]
fn alike(#[comptime] who: Who, x: Span) -> Span {
    let (first, len) = (same(who, x.first as u32), same(who, x.len as u32));
    Span { outer: x.outer, first: first as usize, len: len as usize }
}

#[device]
impl Shape {
    /// Heads, of all sequences, that pieces of work are of.
    fn lines(self, #[comptime] plan: Plan) -> u32 {
        let heads = if plan.pack > 1 { self.heads / self.group } else { self.heads };
        (heads * self.batch) as u32
    }

    fn blocks(self, #[comptime] plan: Plan) -> u32 {
        self.m.div_ceil(plan.queries()) as u32
    }

    /// Heads of queries that a piece of work is of.
    pub(super) fn together(self, #[comptime] plan: Plan) -> u32 {
        if plan.pack > 1 { self.group as u32 } else { 1 }
    }

    /// Pieces of work.
    pub(super) fn pieces(self, #[comptime] plan: Plan) -> usize {
        (self.lines(plan) * self.blocks(plan) * self.splits as u32) as usize
    }

    /// A piece: sections of heads one after another; within one, the queries with the most keys first, as
    /// what begins last should be short; and heads next to each other, which read the same keys.
    pub(super) fn work(
        self,
        #[comptime] plan: Plan,
        #[comptime] form: Form,
        #[comptime] tile: usize,
        #[comptime] who: Who,
        index: usize,
        #[comptime] of: Lengths,
    ) -> Work {
        let index = index as u32;
        let (lines, splits) = (self.lines(plan), self.splits as u32);
        let together = (self.section as u32).min(lines).max(1);
        let in_section = (together * self.blocks(plan) * splits).max(1);
        let first = index / in_section * together;
        let width = (lines - first).min(together).max(1);
        let within = index % in_section;
        let (piece, line) = (within / width, first + within % width);
        let (block, split) = (piece / splits.max(1), same(who, piece % splits.max(1)));
        let block = same(who, block);
        let block = if form.causal { self.blocks(plan) - 1 - block } else { block };
        let heads = (lines / (self.batch as u32).max(1)).max(1);
        let (sequence, head) = (same(who, line / heads), same(who, line % heads));
        let group = self.group as u32;
        let (head, kv_head) = if plan.pack > 1 {
            (head * group, head as usize)
        } else {
            (head, same(who, head / group.max(1)) as usize)
        };

        let own = span(of.q_ends, None, sequence as usize, self.batch, self.m, of.q_rows);
        let keys = span(of.k_ends, of.lengths, sequence as usize, self.batch, self.n, of.k_rows);
        let own = if of.q_ends.is_some() { alike(who, own) } else { own };
        let keys =
            if of.k_ends.is_some() || of.lengths.is_some() { alike(who, keys) } else { keys };
        let (m, n) = (own.len, keys.len);
        let first = block as usize * plan.queries();
        let last = (first + plan.queries()).min(m).saturating_sub(1);
        let end = end_seen(form, last, m, n).div_ceil(tile);
        let begin = first_seen(form, first, m, n, self.window) / tile;
        let each = (end.saturating_sub(begin) as u32).div_ceil(splits.max(1));
        let each = same(who, each) as usize;
        let lo = begin + split as usize * each;
        let hi = (lo + each).min(end);
        Work { sequence, head, kv_head, first, split, own, keys, lo, hi }
    }
}

#[device]
impl Work {
    /// Whether there are such queries.
    pub(super) fn exists(self) -> bool {
        self.first < self.own.len
    }

    /// Which row of all heads of all sequences that of a query is.
    pub(super) fn row_of(self, shape: Shape, head: usize, query: usize) -> usize {
        (self.sequence as usize * shape.heads + head) * shape.m + query
    }

    /// The row of the first query, in its tensor.
    pub(super) fn row(self) -> usize {
        self.own.first + self.first
    }
}
