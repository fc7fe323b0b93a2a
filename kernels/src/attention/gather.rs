//! Keys and values as the kernels for many queries read them: the rows of each head one after another.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::element::AttentionElement;
use super::lengths::{sequence_of, span};
use super::words::Words;
use crate::error::Error;

/// Rows of a block.
const ROWS: usize = 16;

/// Copies rows of any strides, perhaps in pages, to `to: sequences * heads * rows x d`, in words along the
/// columns or, with `along_rows`, along the rows, of which there are whole words. Elements are multiplied by up to
/// two factors of their sequence and head. With `tokens` the rows of a sequence are those of several, which end
/// there, and factors are of these: of the one that a word's first row is of.
///
/// Sequences are as in [`attention_rows`](super::attention_rows), with at most `most` rows of
/// `x: outer x heads x rows x d`; with a `table`, `x: pages x heads x page x d`, and row `r` of a sequence is
/// row `r % page` of page `table[sequence, r / page]`. Rows beyond a sequence's become zeros.
#[kernel(
    block = warp_size(),
    requires = (x.shape(2) >= 1, batch >= 1, heads >= 1, rows >= 1),
)]
pub fn gather_rows<T: Stored + AttentionElement, W: Words>(
    batch: usize,
    heads: usize,
    most: usize,
    rows: usize,
    #[comptime] along_rows: bool,
    x: &View<T, 4>,
    ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    table: Option<&View<u32, 2>>,
    tokens: Option<&[u32]>,
    first: Option<&View<f32, 2>>,
    second: Option<&View<f32, 2>>,
    to: &mut Part<W, 2>,
) {
    let (down, along) = if along_rows { (W::LEN, 1) } else { (1, W::LEN) };
    for i in 0..to.count(0) {
        let at = to.global(0, i) * down;
        let (row, head, sequence) = (at % rows, at / rows % heads, at / rows / heads);
        let own = span(ends, lengths, sequence, batch, most, x.shape(2));
        let whose = if let Some(ends) = tokens { sequence_of(ends, row) } else { sequence };
        let factors = [first, second].map(|x| x.map(|factors| factors[[whose, head]]));
        for j in 0..to.count(1) {
            let column = to.global(1, j) * along;
            to[[i, j]] = W::join(|i| {
                let (row, column) = if along_rows { (row + i, column) } else { (row, column + i) };
                if row >= own.len {
                    0.0
                } else if let Some(table) = table {
                    let page = x.outer(table[[sequence, row / x.shape(2)]] as usize);
                    times(T::widen(page.outer(head)[[row % x.shape(2), column]]), factors)
                } else {
                    let rows = x.outer(own.outer).outer(head);
                    times(T::widen(rows[[own.first + row, column]]), factors)
                }
            });
        }
    }
}

/// A number times the factors there are.
fn times(x: Val<f32>, factors: [Option<Val<f32>>; 2]) -> Val<f32> {
    factors.into_iter().flatten().fold(x, |x, factor| x * factor)
}

/// Where the rows of sequences are.
#[derive(Clone, Copy)]
pub(super) struct Sequences<'a> {
    pub(super) batch: usize,
    /// Rows of a sequence at most.
    pub(super) most: usize,
    pub(super) ends: Option<&'a Buffer<u32>>,
    pub(super) lengths: Option<&'a Buffer<u32>>,
    pub(super) table: Option<ViewArg<'a, u32, 2>>,
}

/// What rows are multiplied by.
#[derive(Clone, Copy, Default)]
pub(super) struct Factors<'a> {
    /// Of each sequence and head.
    pub(super) of: [Option<ViewArg<'a, f32, 2>>; 2],
    /// The ends of these sequences, if they are the rows of one.
    pub(super) ends: Option<&'a Buffer<u32>>,
}

/// See [`gather_rows`]; of `sequences`, with `rows` each.
pub(super) fn gather<T: AttentionElement, W: Words>(
    sequences: Sequences<'_>,
    rows: usize,
    along_rows: bool,
    x: ViewArg<'_, T, 4>,
    factors: Factors<'_>,
) -> Result<Buffer<W>, Error> {
    let Factors { of: [first, second], ends } = factors;
    let tokens = ends.filter(|_| first.is_some() || second.is_some());
    let Sequences { batch, most, ends, lengths, table } = sequences;
    let device = x.device().clone();
    let [_, heads, _, d] = x.shape();
    let all = batch * heads * rows;
    let shape = if along_rows { [all / W::LEN, d] } else { [all, d / W::LEN] };
    // SAFETY: the kernel writes every element.
    let mut to = unsafe { Buffer::<W>::uninit(&device, shape[0] * shape[1]) }?;
    if !to.is_empty() && x.shape()[2] > 0 {
        let tiles = View::of_mut(&mut to, shape).partition([ROWS, shape[1]]);
        gather_rows::<T, W>(
            batch, heads, most, rows, along_rows, x, ends, lengths, table, tokens, first, second,
            tiles,
        )
        .launch(&device)?;
    }
    Ok(to)
}
