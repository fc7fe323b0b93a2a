//! Which keys a query sees, and what becomes of a score.

use kernelsmith::prelude::*;

/// What of an attention is fixed in its kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Query `i` of `m` sees keys up to `i + n - m` of `n` only.
    pub causal: bool,
    /// And no more than the last few of them.
    pub windowed: bool,
    /// Scores are bounded by a soft cap.
    pub capped: bool,
    /// Scores go through a closure.
    pub scored: bool,
}

/// The end of the keys that a query sees.
#[device]
pub(super) fn end_seen(#[comptime] form: Form, query: usize, m: usize, n: usize) -> usize {
    if form.causal { (query + n + 1).saturating_sub(m).min(n) } else { n }
}

/// The first key that a query sees.
#[device]
pub(super) fn first_seen(
    #[comptime] form: Form,
    query: usize,
    m: usize,
    n: usize,
    window: usize,
) -> usize {
    if form.windowed { end_seen(form, query, m, n).saturating_sub(window) } else { 0 }
}

/// Whose a score is.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Score {
    pub(super) head: Val<usize>,
    pub(super) query: Val<usize>,
    pub(super) key: Val<usize>,
}

#[device]
impl Score {
    /// A scaled score, capped and as the closure has it.
    pub(super) fn finish(
        self,
        #[comptime] form: Form,
        score: f32,
        cap: f32,
        f: impl Fn(f32, usize, usize, usize) -> f32,
    ) -> f32 {
        let score = if form.capped { cap * (score / cap).tanh() } else { score };
        if form.scored { f(score, self.head, self.query, self.key) } else { score }
    }
}

/// What scores go through at last: a function `score(score, head, query, key)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function of a score",
    note = "as in `|score: Val<f32>, head: Val<usize>, query: Val<usize>, key: Val<usize>| score`"
)]
pub trait ScoreMap: Copy + 'static {
    /// Whether it does anything.
    const SOME: bool;
    /// What it makes of a score.
    fn apply(
        &self,
        score: Val<f32>,
        head: Val<usize>,
        query: Val<usize>,
        key: Val<usize>,
    ) -> Val<f32>;
}

/// Leaves scores as they are.
#[derive(Clone, Copy, Debug)]
pub struct Unchanged;

impl ScoreMap for Unchanged {
    const SOME: bool = false;
    fn apply(
        &self,
        score: Val<f32>,
        _head: Val<usize>,
        _query: Val<usize>,
        _key: Val<usize>,
    ) -> Val<f32> {
        score
    }
}

/// A function of a score, its head, its query and its key: what kernels take.
pub(super) trait ScoreFunction:
    Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static
{
}

impl<F> ScoreFunction for F where
    F: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static
{
}

#[diagnostic::do_not_recommend]
impl<F> ScoreMap for F
where
    F: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    const SOME: bool = true;
    fn apply(
        &self,
        score: Val<f32>,
        head: Val<usize>,
        query: Val<usize>,
        key: Val<usize>,
    ) -> Val<f32> {
        self(score, head, query, key)
    }
}
