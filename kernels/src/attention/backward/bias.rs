use kernelsmith::lang::Val;

/// What is added to finished scores: a function `bias(head, query, key)`.
///
/// That it does not get the score says that it has derivative 1 by the score.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no bias of scores",
    note = "as in `|head: Val<usize>, query: Val<usize>, key: Val<usize>| query.cast::<f32>()`"
)]
pub trait Bias: Copy + 'static {
    /// Whether there is one.
    const SOME: bool;
    /// What is added to the score of a query and a key. `head` counts through the batch.
    fn at(&self, head: Val<usize>, query: Val<usize>, key: Val<usize>) -> Val<f32>;
}

/// Adds nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoBias;

impl Bias for NoBias {
    const SOME: bool = false;
    fn at(&self, _head: Val<usize>, _query: Val<usize>, _key: Val<usize>) -> Val<f32> {
        Val::<f32>::lit(0.0)
    }
}

#[diagnostic::do_not_recommend]
impl<F> Bias for F
where
    F: Fn(Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    const SOME: bool = true;
    fn at(&self, head: Val<usize>, query: Val<usize>, key: Val<usize>) -> Val<f32> {
        self(head, query, key)
    }
}
