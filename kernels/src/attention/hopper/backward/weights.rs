//! From scores to weights, and from the gradients of weights to those of scores. Rows are keys here and
//! columns queries, so that weights are left factors of dV's products as they are.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::work::Shape;
use crate::attention::form::Form;
use crate::attention::hopper::rows::{Scores, row_of};
use crate::attention::hopper::scores::{column_from_first, tangent, unless_before, unless_beyond};

/// A thread's two keys: the queries that see them, in 32 bits as they stay in registers.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Keys {
    from: [Val<u32>; 2],
    end: [Val<u32>; 2],
}

#[device]
impl Keys {
    /// Of a warpgroup whose 64 keys are those from `first` on, in tiles of `M` queries.
    pub(super) fn of<T: Float, const M: usize>(
        #[comptime] form: Form,
        shape: Shape,
        first: usize,
    ) -> Keys
    where
        Wgmma<T, M>: WgmmaAtom<Sum = f32>,
    {
        let seen = shape.seen(form);
        let key: [usize; 2] = array(|half| first + Scores::<T, M>::row(2 * half));
        // Nobody sees what there is behind the last key.
        let from =
            array(
                |half| {
                    if key[half] < shape.n { seen.first_query(key[half]) as u32 } else { u32::MAX }
                },
            );
        Keys { from, end: array(|half| seen.end_query(key[half]) as u32) }
    }
}

/// What rows have besides their elements, for a tile of queries, see
/// [`attention_statistics`](super::attention_statistics). A thread's columns are pairs.
pub(super) struct Statistics {
    tile: Tile<f32>,
    /// Where in a row of the tile, and from which one on, a thread's are.
    from: [Val<usize>; 2],
}

impl Statistics {
    /// Of all queries of a tile.
    pub(super) fn new(tile: Tile<f32>) -> Statistics {
        let own = lane_id() % 4;
        Statistics { tile, from: [own / 2, own % 2 * 2] }
    }

    /// Of a part of them, as large as the others, `len` queries.
    pub(super) fn part(tile: Tile<f32>, part: Val<usize>, len: usize) -> Statistics {
        let Statistics { tile, from: [row, column] } = Statistics::new(tile);
        Statistics { tile, from: [row + part * (len / 4), column] }
    }

    fn pair(&self, first: usize, pair: usize) -> [Val<f32>; 2] {
        let [row, column] = self.from;
        self.tile.load_vector(row + (first + 2 * pair), column)
    }

    /// What exponents of 2 are taken against.
    fn base(&self, pair: usize) -> [Val<f32>; 2] {
        self.pair(0, pair)
    }

    /// What the softmax takes off.
    fn delta(&self, pair: usize) -> [Val<f32>; 2] {
        self.pair(self.tile.rows() / 2, pair)
    }
}

/// How scores become weights.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub(super) form: Form,
    pub(super) scale: Val<f32>,
    pub(super) cap: Val<f32>,
    pub(super) keys: Keys,
}

/// What the gradients of weights are multiplied by: the weights, times the slope of the cap if there is one.
pub(super) enum Sloped<T: Float, const M: usize>
where
    Wgmma<T, M>: WgmmaAtom<Sum = f32>,
{
    Numbers(Scores<T, M>),
    /// Times [`LIFT`] twice, two of a row in a register.
    Pairs(Vec<Pair<f16>>),
}

/// With its square weights down to 2^-28 are normal numbers of f16, off by 2^-12 of themselves, and 4 is none too
/// large: bf16, which the gradients become, is off by 2^-9.
const LIFT: f32 = 128.0;

impl Weights {
    /// The weights of scores with the queries from `first` on, and what their gradients are multiplied by;
    /// `in_pairs` says in what form, if that is not the weights.
    pub(super) fn weigh<T: Float, const M: usize>(
        &self,
        masked: bool,
        in_pairs: bool,
        first: Val<u32>,
        scores: Scores<T, M>,
        statistics: &Statistics,
    ) -> (Scores<T, M>, Sloped<T, M>)
    where
        Wgmma<T, M>: WgmmaAtom<Sum = f32>,
    {
        let Weights { form, scale, cap, keys } = *self;
        // A thread's columns differ by constants, so that each is compared with one.
        let before = first + Scores::<T, M>::column(0).cast::<u32>();
        let within = |at: Val<u32>| at.saturating_sub(before);
        let (from, end) = (keys.from.map(within), keys.end.map(within));
        // Of a capped score the tangent is all that is needed: cap times it is the score, and 1 less its square
        // the slope. So there are two factors for all, as registers are few.
        let [to_tangent, to_exponents] = match form.capped {
            true => [scale * (Val::from(2.0 * LOG2_E) / cap), cap * LOG2_E],
            false => [Val::from(1.0), scale * LOG2_E],
        };
        let lift = if in_pairs { LIFT * LIFT } else { 1.0 };
        let mut base = [Val::from(0.0); 2];
        let (mut sloped, mut pairs) = (Vec::new(), Vec::new());
        let weights = scores.map_elements(|i, score| {
            if i % 4 == 0 {
                base = statistics.base(i / 4);
            }
            let mut score = score;
            let mut slope = None;
            if form.capped {
                score = tangent(score * to_tangent);
                slope = Some((score * -lift).mul_add(score, Val::from(lift)));
            }
            let (column, row) = (column_from_first(i), row_of(i));
            if masked {
                score = unless_before(score, column, from[row]);
                if form.windowed {
                    score = unless_beyond(score, column, end[row]);
                }
            }
            let weight = score.mul_add(to_exponents, -base[i % 2]).exp2_fast();
            // At once, so that no more numbers are alive than need be.
            sloped.push(slope.map_or(weight, |slope| weight * slope));
            if in_pairs && form.capped && i % 2 == 1 {
                pairs.push(Pair::from_f32(sloped[i - 1], sloped[i]));
            }
            weight
        });
        let sloped = match in_pairs && form.capped {
            true => Sloped::Pairs(pairs),
            false => Sloped::Numbers(weights.map_elements(|i, _| sloped[i])),
        };
        (weights, sloped)
    }
}

/// The gradients of scores, from those of weights.
pub(super) fn gradients<T: Float, const M: usize>(
    sloped: Sloped<T, M>,
    of_weights: Scores<T, M>,
    statistics: &Statistics,
) -> Scores<T, M>
where
    Wgmma<T, M>: WgmmaAtom<Sum = f32>,
{
    let mut delta = [Val::from(0.0); 2];
    of_weights.map_elements(|i, gradient| {
        if i % 4 == 0 {
            delta = statistics.delta(i / 4);
        }
        match &sloped {
            Sloped::Numbers(sloped) => sloped.element(i) * (gradient - delta[i % 2]),
            Sloped::Pairs(pairs) => {
                let pair = pairs[i / 2];
                let sloped = if i % 2 == 0 { pair.low() } else { pair.high() };
                let lower = Val::from(1.0 / (LIFT * LIFT));
                sloped.to_f32() * gradient.mul_add(lower, -(delta[i % 2] * lower))
            }
        }
    })
}
