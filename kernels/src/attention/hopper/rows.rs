//! The softmax of a warpgroup's sums: each thread has parts of two rows, which four lanes share.

use kernelsmith::prelude::*;

/// The scores of a warpgroup's 64 queries with `N` keys.
pub(super) type Scores<T, const N: usize> = Fragment<Wgmma<T, N>, Accumulator>;

/// Which of a thread's two rows an element of its sums is of (PTX ISA, "Register Fragments": row
/// `lane / 4`, and 8 below).
fn row_of(element: usize) -> usize {
    element / 2 % 2
}

/// The query, among the 64, that the first or second of a thread's rows is of.
pub(super) fn own_row<T: Float, const N: usize>(half: usize) -> Val<usize>
where
    Wgmma<T, N>: WgmmaAtom<Sum = f32>,
{
    Scores::<T, N>::row(2 * half)
}

/// Scores of which only as many of each row are left, the others `-inf`. A thread's columns differ
/// by constants, so that each is one comparison with a constant.
pub(super) fn only_first<T: Float, const N: usize>(
    scores: Scores<T, N>,
    seen: [Val<u32>; 2],
) -> Scores<T, N>
where
    Wgmma<T, N>: WgmmaAtom<Sum = f32>,
{
    let first = Scores::<T, N>::column(0).cast::<u32>();
    let seen = seen.map(|seen| seen.saturating_sub(first));
    scores.map_elements(|i, score| unless_beyond(score, column_from_first(i), seen[row_of(i)]))
}

/// How far an element's column is from that of the thread's first.
fn column_from_first(element: usize) -> u32 {
    (element / 4 * 8 + element % 2) as u32
}

#[device]
fn unless_beyond(score: f32, #[comptime] column: u32, end: u32) -> f32 {
    if column < end { score } else { f32::NEG_INFINITY }
}

/// The running maximum and sum of a thread's two rows (Milakov and Gimelshein, "Online normalizer
/// calculation for softmax", 2018), of scores that are exponents of 2 when multiplied by a scale.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct TwoRows {
    max: [Val<f32>; 2],
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
        TwoRows { max: [f32::NEG_INFINITY; 2], sum: [0.0; 2] }
    }
}

impl TwoRows {
    /// Takes scores in: their weights, and what earlier outputs must be multiplied by.
    pub(super) fn weigh<T: Float, const N: usize>(
        &mut self,
        scores: Scores<T, N>,
        scale: Val<f32>,
    ) -> (Scores<T, N>, [Val<f32>; 2])
    where
        Wgmma<T, N>: WgmmaAtom<Sum = f32>,
    {
        let mut bases = self.max;
        let mut factors = self.max;
        for row in 0..2 {
            let own = (0..scores.len()).filter(|&i| row_of(i) == row).map(|i| scores.element(i));
            let own = own.reduce(|a, b| a.max(b)).expect("a thread has elements of each row");
            let max = self.max[row].max(across(own, |a, b| a.max(b)));
            // Where no key was seen all scores are -inf, whose differences are NaN.
            let base = max.max(Val::from(f32::MIN)) * scale;
            factors[row] = (self.max[row] * scale - base).exp2_fast();
            bases[row] = base;
            self.max[row] = max;
            self.sum[row] = self.sum[row] * factors[row];
        }
        let weights = scores.map_elements(|i, s| s.mul_add(scale, -bases[row_of(i)]).exp2_fast());
        for i in 0..weights.len() {
            self.sum[row_of(i)] = self.sum[row_of(i)] + weights.element(i);
        }
        (weights, factors)
    }

    /// What outputs are multiplied by in the end; 0 where no key was seen.
    pub(super) fn scales(&self) -> [Val<f32>; 2] {
        self.sum.map(|sum| inverse(across(sum, |a, b| a + b)))
    }
}

#[device]
fn inverse(sum: f32) -> f32 {
    if sum > 0.0 { 1.0 / sum } else { 0.0 }
}

/// Sums with each of the thread's two rows multiplied by its factor.
pub(super) fn scaled<S: WgmmaAtom<Sum = f32>>(
    sums: Fragment<S, Accumulator>,
    factors: [Val<f32>; 2],
) -> Fragment<S, Accumulator> {
    sums.map_elements(|i, x| x * factors[row_of(i)])
}
