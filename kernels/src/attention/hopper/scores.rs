//! What becomes of a warpgroup's scores before the softmax.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::config::Plan;
use super::rows::{Scores, row_of};
use super::work::{Shape, Work};
use crate::attention::form::{Form, end_seen, first_seen};

/// A function `score(score, head, query, key)`.
type Function = fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32>;

/// A function of scores with its type gone, so that one kernel's code serves all of them.
#[derive(Clone, Copy, Hash, Debug)]
pub struct ScoreFn(Function);

impl ScoreFn {
    /// Of `score(score, head, query, key)`, see [`FlashAttention::score`](crate::attention::FlashAttention).
    pub fn new(score: Function) -> ScoreFn {
        ScoreFn(score)
    }

    /// That leaves scores as they are.
    pub fn unchanged() -> ScoreFn {
        ScoreFn(|score, _head, _query, _key| score)
    }
}

/// Which ends of the keys that queries see a tile may cross.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Crossed {
    /// Neither.
    None,
    /// The last ones, and the first ones too.
    Both,
    /// The first ones.
    First,
}

/// Loops over tiles: of those that the last keys' end or the diagonal crosses, of those that all queries
/// see, and of those that a window's beginning crosses.
pub(super) fn passes(form: Form) -> usize {
    if form.windowed { 3 } else { 2 }
}

/// The tiles of a loop, from the last one down.
pub(super) fn pass_of(
    pass: usize,
    [lo, low, high, hi]: [Val<usize>; 4],
) -> (Val<usize>, Val<usize>, Crossed) {
    match pass {
        0 => (high, hi, Crossed::Both),
        1 => (low, high, Crossed::None),
        _ => (lo, low, Crossed::First),
    }
}

/// A thread's two rows: whose they are, and which keys they see. In 32 bits each, as they stay in
/// registers.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Queries {
    head: [Val<u32>; 2],
    query: [Val<u32>; 2],
    from: [Val<u32>; 2],
    end: [Val<u32>; 2],
    /// The first head of the sequence, of those of all.
    first_head: Val<u32>,
}

#[device]
impl Queries {
    /// Of a warpgroup whose first query is `first`.
    pub(super) fn of<T: Stored, const N: usize>(
        #[comptime] plan: Plan,
        #[comptime] form: Form,
        shape: Shape,
        work: Work,
        first: usize,
    ) -> Queries
    where
        Wgmma<T, N>: WgmmaAtom<Sum = f32>,
    {
        let (m, n) = (work.own.len, work.keys.len);
        let row: [usize; 2] = array(|half| Scores::<T, N>::row(2 * half));
        let query: [usize; 2] = array(|half| first + row[half] / plan.pack);
        Queries {
            head: array(|half| (work.head as usize + row[half] % plan.pack) as u32),
            query: array(|half| query[half] as u32),
            from: array(|half| first_seen(form, query[half], m, n, shape.window) as u32),
            end: array(|half| end_seen(form, query[half], m, n) as u32),
            first_head: work.sequence * shape.heads as u32,
        }
    }

    /// The row's query and head.
    pub(super) fn row(self, #[comptime] half: usize) -> (u32, u32) {
        (self.query[half], self.head[half])
    }
}

impl Queries {
    /// The scores of the tile from `key` on as exponents of 2 when multiplied by what
    /// [`score_scale`] gives, `-inf` where the key is not seen.
    pub(super) fn finish<T: Stored, const N: usize>(
        &self,
        form: Form,
        score: ScoreFn,
        (scale, cap): (Val<f32>, Val<f32>),
        crossed: Crossed,
        scores: Scores<T, N>,
        key: Val<usize>,
    ) -> Scores<T, N>
    where
        Wgmma<T, N>: WgmmaAtom<Sum = f32>,
    {
        let scores = if form.capped || form.scored {
            let columns = |i: usize| key + Scores::<T, N>::column(i);
            scores.map_elements(|i, s| {
                let row = row_of(i);
                let s = if form.capped { capped(s * scale, cap) } else { s * scale };
                let head = (self.first_head + self.head[row]).cast::<usize>();
                let query = self.query[row].cast::<usize>();
                let s = if form.scored { score.0(s, head, query, columns(i)) } else { s };
                s * LOG2_E
            })
        } else {
            scores
        };
        // A thread's columns differ by constants, so that each is compared with one.
        let first = Scores::<T, N>::column(0).cast::<u32>();
        let before = key.cast::<u32>() + first;
        let within = |end: Val<u32>| end.saturating_sub(before);
        let (end, from) = (self.end.map(within), self.from.map(within));
        match crossed {
            Crossed::None => scores,
            Crossed::Both if form.windowed => scores.map_elements(|i, s| {
                let column = column_from_first(i);
                unless_before(unless_beyond(s, column, end[row_of(i)]), column, from[row_of(i)])
            }),
            Crossed::Both => {
                scores.map_elements(|i, s| unless_beyond(s, column_from_first(i), end[row_of(i)]))
            }
            Crossed::First => {
                scores.map_elements(|i, s| unless_before(s, column_from_first(i), from[row_of(i)]))
            }
        }
    }
}

/// What finished scores are multiplied by to be exponents of 2.
pub(super) fn score_scale(form: Form, scale: Val<f32>) -> Val<f32> {
    if form.capped || form.scored { Val::from(1.0) } else { scale * LOG2_E }
}

/// How far an element's column is from that of the thread's first.
pub(super) fn column_from_first(element: usize) -> u32 {
    (element / 4 * 8 + element % 2) as u32
}

#[device]
pub(super) fn unless_beyond(score: f32, #[comptime] column: u32, end: u32) -> f32 {
    if column < end { score } else { f32::NEG_INFINITY }
}

#[device]
pub(super) fn unless_before(score: f32, #[comptime] column: u32, from: u32) -> f32 {
    if column >= from { score } else { f32::NEG_INFINITY }
}

/// `cap * tanh(score / cap)`.
#[device]
pub(super) fn capped(score: f32, cap: f32) -> f32 {
    cap - 2.0 * cap * share(score * (2.0 * LOG2_E / cap))
}

/// `tanh(x)`, where `exponent` is `x * 2 log2(e)`.
#[device]
pub(super) fn tangent(exponent: f32) -> f32 {
    1.0 - 2.0 * share(exponent)
}

/// `1 / (1 + 2^exponent)`: two instructions of the special units, where `tanh` itself is many. The quotient is
/// the square of the reciprocal root.
#[device]
fn share(exponent: f32) -> f32 {
    let root = (exponent.exp2_fast() + 1.0).rsqrt();
    root * root
}
