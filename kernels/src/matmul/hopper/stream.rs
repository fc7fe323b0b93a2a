//! Stream-K: the steps of some tiles shared out evenly, and the sums of a tile put together again.

use kernelsmith::prelude::*;

use super::schedule::Walk;

/// Threads that multiply: two warpgroups.
const THREADS: usize = 256;

/// Of `tiles` tiles, those whose steps are shared out among `blocks` blocks, both counted in clusters: what
/// whole waves leave, and one wave besides, so that a share is no less than a tile and few are cut.
#[device(host)]
pub(super) fn shared_tiles(tiles: u32, blocks: u32) -> u32 {
    let rest = tiles % blocks;
    if rest == 0 || tiles < blocks { rest } else { rest + blocks }
}

/// How the tiles of a kernel are shared out, and where blocks leave the sums of those that they have only the
/// end of: a row of `sums` for each block, and a flag that says it is there.
#[derive(Clone, Copy)]
pub(super) struct Stream<S: Num> {
    sums: ViewMut<S, 2>,
    flags: SliceMut<u32>,
    share: Share,
}

impl<S: Num> Stream<S> {
    /// Of a walk through tiles of `depth` steps; none without room for sums.
    #[track_caller]
    pub(super) fn new(
        sums: Option<ViewMut<S, 2>>,
        flags: Option<SliceMut<u32>>,
        walk: Walk,
        depth: Val<usize>,
    ) -> Option<Stream<S>> {
        let (sums, flags) = (sums?, flags?);
        Some(Stream { sums, flags, share: share_of(walk.first, walk.apart, walk.all, depth) })
    }
}

/// Registers of a thread that copies, and of one that multiplies: 504 of the three warpgroups together. Where the
/// block is on its way through shares is 15 more than 40 hold; sums of 256 columns leave room enough.
pub(super) fn registers<S: Num>(stream: &Option<Stream<S>>) -> [usize; 2] {
    if stream.is_some() { [56, 224] } else { [40, 232] }
}

/// A block's share of the steps of tiles `0..tiles`, each of `depth` steps (Osama et al., "Stream-K", 2023):
/// steps `begin` to `end` of them all, before it takes whole tiles of those behind.
///
/// Of `n` blocks (or clusters) the share of number `i` from the end on is the `i`-th: a tile belongs to the block
/// that has its first step, and that block waits for those who have the others, which are *before* it in the
/// grid. They hand in their parts first of all, and wait for nobody before they have: so nobody waits for ever,
/// even if blocks with high numbers began only when those with low ones had ended.
///
/// Steps of all tiles are counted in 32 bits, which `Config::check` sees to: sums leave few registers.
#[derive(KernelValue, Clone, Copy)]
struct Share {
    tiles: Val<u32>,
    depth: Val<u32>,
    /// Steps of every share but the last ones.
    each: Val<u32>,
    begin: Val<u32>,
    end: Val<u32>,
}

/// The share of the `first`-th of `apart` blocks, of `all` tiles.
#[device]
fn share_of(first: u32, apart: u32, all: u32, depth: usize) -> Share {
    let (tiles, depth) = (shared_tiles(all, apart), depth as u32);
    let steps = tiles * depth;
    let each = steps.div_ceil(apart);
    let begin = ((apart - 1 - first) * each).min(steps);
    let end = (begin + each).min(steps);
    Share { tiles, depth, each, begin, end }
}

/// Steps `begin` to `end` of a tile's depth: what a block computes of it.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Span {
    begin: Val<u32>,
    end: Val<u32>,
}

/// The first of a span's steps, and the one behind its last; those of `whole` where nothing streams.
#[track_caller]
pub(super) fn steps_of(
    span: Option<Span>,
    whole: impl FnOnce() -> (Val<usize>, Val<usize>),
) -> (Val<usize>, Val<usize>) {
    match span {
        Some(Span { begin, end }) => (begin.cast(), end.cast()),
        None => whole(),
    }
}

/// Does `compute` with the numbers of a block's tiles: those of a walk; or, where that streams, those of which it
/// has a span, with that, and whole ones after them.
#[track_caller]
pub(super) fn each_tile<S: Num>(
    walk: Walk,
    stream: Option<Stream<S>>,
    compute: impl Fn(Val<u32>, Option<Span>),
) {
    match stream {
        Some(Stream { share, .. }) => {
            each_of_share(walk, share, |number, span| compute(number, Some(span)));
        }
        None => each_of_walk(walk, |number| compute(number, None)),
    }
}

#[device]
fn each_of_walk(#[comptime] walk: Walk, compute: impl Fn(u32)) {
    let mut next = walk.first;
    while next < walk.all {
        let number = next;
        next += walk.apart;
        compute(number);
    }
}

#[device]
fn each_of_share(#[comptime] walk: Walk, share: Share, compute: impl Fn(u32, Span)) {
    let Share { tiles, depth, begin, end, .. } = share;
    // One number says where the block is, tile and step.
    let mut at = if begin < end { begin } else { (tiles + walk.first) * depth };
    while at < walk.all * depth {
        let number = at / depth;
        let start = number * depth;
        let last = if number < tiles { (end - start).min(depth) } else { depth };
        compute(number, Span { begin: at - start, end: last });
        let next = start + last;
        at = if number >= tiles {
            at + walk.apart * depth
        } else if next < end {
            next
        } else {
            (tiles + walk.first) * depth
        };
    }
}

/// Hands in the sums of a tile's end, for the block that has its beginning, in the row of this block.
///
/// Every thread stores its own; the barrier orders them before the flag that one thread then sets for the device
/// (PTX ISA, "Memory Consistency Model", causality order).
#[device]
pub(super) fn give<W: WgmmaAtom<Sum = S>, S: Num>(
    sums: Fragment<W, Accumulator>,
    #[comptime] stream: Stream<S>,
) {
    let row = stream.sums.outer(block_idx_x()).contiguous();
    let row = &mut row[0..THREADS * Fragment::<W, Accumulator>::LEN];
    let thread = (thread_idx_x() + 128) % THREADS;
    for i in unroll(0..Fragment::<W, Accumulator>::LEN) {
        row[i * THREADS + thread] = sums.element(i);
    }
    barrier_sync(1, 256);
    if thread == 0 {
        let flag = stream.flags.atomic(block_idx_x());
        flag.store(Val::<u32>::one(), Ordering::Release, Scope::Device);
    }
}

/// The sums of a tile of which the block has the first `end` steps, with those that others hand in: in their
/// order, so that C has the same bits each time. The next share is that of the block, or cluster, before.
#[device]
pub(super) fn take<W: WgmmaAtom<Sum = S>, S: Num>(
    sums: Fragment<W, Accumulator>,
    #[comptime] stream: Stream<S>,
    #[comptime] cluster: usize,
    end: usize,
) -> Fragment<W, Accumulator> {
    let thread = (thread_idx_x() + 128) % THREADS;
    let mut total = sums;
    let mut at = end as u32;
    let mut slot = block_idx_x();
    while at < stream.share.depth {
        slot -= cluster;
        if thread == 0 {
            while stream.flags.atomic(slot).load(Ordering::Acquire, Scope::Device) == 0 {}
        }
        barrier_sync(1, 256);
        let row = stream.sums.outer(slot).contiguous();
        let row = &mut row[0..THREADS * Fragment::<W, Accumulator>::LEN];
        let own = total;
        total = own.map_elements(|i, x| x + row[i * THREADS + thread]);
        at += stream.share.each;
    }
    total
}
