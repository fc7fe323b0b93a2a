//! From scores to weights, and from the gradients of weights to those of scores. Rows are keys here and
//! columns queries, so that weights are left factors of dV's products as they are.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::work::{Piece, Shape};
use crate::attention::form::Form;
use crate::attention::hopper::rows::{Scores, row_of};
use crate::attention::hopper::scores::{capped, column_from_first, unless_before, unless_beyond};

/// A thread's two keys: the queries that see them, in 32 bits as they stay in registers.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Keys {
    from: [Val<u32>; 2],
    end: [Val<u32>; 2],
}

#[device]
impl Keys {
    /// Of the warpgroup `own`, in tiles of `M` queries.
    pub(super) fn of<T: Float, const M: usize>(
        #[comptime] form: Form,
        shape: Shape,
        piece: Piece,
        own: usize,
    ) -> Keys
    where
        Wgmma<T, M>: WgmmaAtom<Sum = f32>,
    {
        let seen = shape.seen(form);
        let first = piece.tile * super::config::KEYS + own * 64;
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

/// What rows have besides their elements, for a tile of `M` queries, see
/// [`attention_statistics`](super::attention_statistics). A thread's columns are pairs.
pub(super) struct Statistics<const M: usize>(pub(super) Tile<f32>);

impl<const M: usize> Statistics<M> {
    fn pair(&self, first: usize, pair: usize) -> [Val<f32>; 2] {
        let own = lane_id() % 4;
        self.0.load_vector(own / 2 + (first / 4 + 2 * pair), own % 2 * 2)
    }

    /// What exponents of 2 are taken against.
    fn base(&self, pair: usize) -> [Val<f32>; 2] {
        self.pair(0, pair)
    }

    /// What the softmax takes off.
    fn delta(&self, pair: usize) -> [Val<f32>; 2] {
        self.pair(M, pair)
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

impl Weights {
    /// The weights of scores with the queries from `first` on, and what the gradients of weights are
    /// multiplied by: the weights, times the slope of the cap if there is one.
    pub(super) fn weigh<T: Float, const M: usize>(
        &self,
        masked: bool,
        first: Val<u32>,
        scores: Scores<T, M>,
        statistics: &Statistics<M>,
    ) -> [Scores<T, M>; 2]
    where
        Wgmma<T, M>: WgmmaAtom<Sum = f32>,
    {
        let Weights { form, scale, cap, keys } = *self;
        // A thread's columns differ by constants, so that each is compared with one.
        let before = first + Scores::<T, M>::column(0).cast::<u32>();
        let within = |at: Val<u32>| at.saturating_sub(before);
        let (from, end) = (keys.from.map(within), keys.end.map(within));
        let to_exponents = if form.capped { Val::from(LOG2_E) } else { scale * LOG2_E };
        let inverse = if form.capped { Val::from(1.0) / cap } else { Val::from(1.0) };
        let mut base = [Val::from(0.0); 2];
        let mut slopes = Vec::new();
        let weights = scores.map_elements(|i, score| {
            if i % 4 == 0 {
                base = statistics.base(i / 4);
            }
            let mut score = score;
            if form.capped {
                score = capped(score * scale, cap);
                let bend = score * inverse;
                slopes.push(bend.mul_add(-bend, Val::from(1.0)));
            }
            let (column, row) = (column_from_first(i), row_of(i));
            if masked {
                score = unless_before(score, column, from[row]);
                if form.windowed {
                    score = unless_beyond(score, column, end[row]);
                }
            }
            score.mul_add(to_exponents, -base[i % 2]).exp2_fast()
        });
        let sloped = match form.capped {
            true => weights.map_elements(|i, weight| weight * slopes[i]),
            false => weights,
        };
        [weights, sloped]
    }
}

/// The gradients of scores, from those of weights.
pub(super) fn gradients<T: Float, const M: usize>(
    weights: Scores<T, M>,
    of_weights: Scores<T, M>,
    statistics: &Statistics<M>,
) -> Scores<T, M>
where
    Wgmma<T, M>: WgmmaAtom<Sum = f32>,
{
    let mut delta = [Val::from(0.0); 2];
    of_weights.map_elements(|i, gradient| {
        if i % 4 == 0 {
            delta = statistics.delta(i / 4);
        }
        weights.element(i) * (gradient - delta[i % 2])
    })
}
