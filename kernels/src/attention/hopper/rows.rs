//! The softmax of a warpgroup's sums: each thread has parts of two rows, which four lanes share.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::config::Plan;
use crate::attention::online::log_sum_of;

/// The scores of a warpgroup's 64 queries with `N` keys.
pub(super) type Scores<T, const N: usize> = Fragment<Wgmma<T, N>, Accumulator>;

/// By how much, as an exponent of 2, scores may exceed what they are taken against before outputs are
/// multiplied. Weights up to 2^8 lose nothing in bf16 and f16.
const SLACK: f32 = 8.0;

/// The exponent of 2 of the greatest weight of a row whose outputs were just multiplied. 8-bit floats reach
/// from 2^-9 to 448, so that weights lose less of what is far below the greatest (FlashAttention, hopper/softmax.h,
/// has the same).
pub(super) fn lift<T: Stored>() -> f32 {
    if T::TYPE.size() == 1 { SLACK } else { 0.0 }
}

/// Which of a thread's two rows an element of its sums is of (PTX ISA, "Register Fragments": row
/// `lane / 4`, and 8 below).
pub(super) fn row_of(element: usize) -> usize {
    element / 2 % 2
}

/// The running maximum and sum of a thread's two rows (Milakov and Gimelshein, "Online normalizer
/// calculation for softmax", 2018), of scores that are exponents of 2 when multiplied by a scale.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct TwoRows {
    /// What weights are taken against, times the scale.
    base: [Val<f32>; 2],
    /// Of the weights that this thread has; the rows' others are added in the end.
    sum: [Val<f32>; 2],
}

/// What combines the lanes that share a row.
fn across(x: Val<f32>, combine: impl Fn(Val<f32>, Val<f32>) -> Val<f32>) -> Val<f32> {
    let x = combine(x, shuffle_xor(x, 1));
    combine(x, shuffle_xor(x, 2))
}

#[device]
impl TwoRows {
    /// Of no scores.
    pub(super) fn new() -> TwoRows {
        TwoRows { base: [f32::NEG_INFINITY; 2], sum: [0.0; 2] }
    }
}

impl TwoRows {
    /// Takes scores in: their weights, what earlier outputs must be multiplied by, and whether that is
    /// anything but 1.
    pub(super) fn weigh<T: Stored, const N: usize>(
        &mut self,
        plan: Plan,
        scores: Scores<T, N>,
        scale: Val<f32>,
    ) -> (Scores<T, N>, [Val<f32>; 2], Val<bool>)
    where
        Wgmma<T, N>: WgmmaAtom<Sum = f32>,
    {
        let mut against = self.base;
        let mut factors = self.base;
        for row in 0..2 {
            let own = (0..scores.len()).filter(|&i| row_of(i) == row).map(|i| scores.element(i));
            let own = own.reduce(|a, b| a.max(b)).expect("a thread has elements of each row");
            let greatest = across(own, |a, b| a.max(b)) * scale;
            let base = next_base(plan.lazy, lift::<T>(), self.base[row], greatest);
            // Where no key was seen all scores are -inf, whose differences are NaN.
            against[row] = base.max(Val::from(f32::MIN));
            factors[row] = (self.base[row] - against[row]).exp2_fast();
            self.base[row] = base;
            self.sum[row] = self.sum[row] * factors[row];
        }
        let weights = scores.map_elements(|i, score| {
            let exponent = score.mul_add(scale, -against[row_of(i)]);
            // A row's elements alternate in pairs.
            match i / 4 % 8 < plan.polynomials {
                true => exp2_polynomial(exponent),
                false => exponent.exp2_fast(),
            }
        });
        for i in 0..weights.len() {
            self.sum[row_of(i)] = self.sum[row_of(i)] + weights.element(i);
        }
        (weights, factors, differ(factors))
    }

    /// What weights are taken against.
    pub(super) fn bases(&self) -> [Val<f32>; 2] {
        self.base
    }

    /// Goes on from what the weights of somebody else's scores are taken against: what earlier outputs must be
    /// multiplied by.
    pub(super) fn follow(&mut self, bases: [Val<f32>; 2]) -> [Val<f32>; 2] {
        let mut factors = bases;
        for row in 0..2 {
            factors[row] = (self.base[row] - bases[row].max(Val::from(f32::MIN))).exp2_fast();
            self.sum[row] = self.sum[row] * factors[row];
        }
        self.base = bases;
        factors
    }

    /// The sums of whole rows, and what they are taken against as exponents of 2.
    pub(super) fn whole(&self) -> ([Val<f32>; 2], [Val<f32>; 2]) {
        (self.base, self.sum.map(|sum| across(sum, |a, b| a + b)))
    }
}

#[device]
fn next_base(#[comptime] lazy: bool, #[comptime] lift: f32, base: f32, greatest: f32) -> f32 {
    let next = if lift > 0.0 { greatest - lift } else { greatest };
    if lazy { if greatest - base <= SLACK { base } else { next.max(base) } } else { next.max(base) }
}

/// Whether outputs change by their factors.
#[device]
pub(super) fn differ(factors: [f32; 2]) -> bool {
    (factors[0] != 1.0) | (factors[1] != 1.0)
}

/// `2^x` by the FMA units, to a relative error of 1.1e-4, a twentieth of what rounding to bf16 costs; 0 up
/// to -127. Adding 1.5 * 2^23 rounds to an integer, whose bits come out below; the rest, -0.5 to 0.5, goes
/// into a polynomial with the least greatest relative error of those with the constant 1.
#[device]
fn exp2_polynomial(x: f32) -> f32 {
    let x = x.max(-127.0);
    let shifted = x + 12_582_912.0;
    let rest = x - (shifted - 12_582_912.0);
    let sum = rest.mul_add(0.055_008_93, 0.242_210_96);
    let sum = rest.mul_add(rest.mul_add(sum, 0.693_282_93), 1.0);
    f32::from_bits(sum.to_bits() + (shifted.to_bits() << 23))
}

/// What a row's outputs are multiplied by in the end, and the logarithm of the sum of its weights; with a
/// sink, whose weight joins the sum.
#[device]
pub(super) fn finished(base: f32, sum: f32, #[comptime] sink: Option<Val<f32>>) -> (f32, f32) {
    let mut factor = 1.0;
    let mut total = sum;
    let mut against = base;
    if let Some(sink) = sink {
        let sink = sink * LOG2_E;
        against = base.max(sink);
        let finite = against.max(f32::MIN);
        factor = (base - finite).exp2_fast();
        total = sum * factor + (sink - finite).exp2_fast();
    }
    let scale = if total > 0.0 { factor / total } else { 0.0 };
    (scale, log_sum_of(against, total))
}

/// Sums with each of the thread's two rows multiplied by its factor.
pub(super) fn scaled<S: WgmmaAtom<Sum = f32>>(
    sums: Fragment<S, Accumulator>,
    factors: [Val<f32>; 2],
) -> Fragment<S, Accumulator> {
    sums.map_elements(|i, x| x * factors[row_of(i)])
}
