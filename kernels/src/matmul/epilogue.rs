//! What becomes of sums on the way to C, in kernels of all targets.

use kernelsmith::prelude::*;

use super::builder::Map;
use super::products::Summed;

/// A function of single elements: what a kernel takes as an epilogue.
pub trait Pointwise<S: Num>: Fn(Val<S>) -> Val<S> + Copy + 'static {}

impl<S: Num, F: Fn(Val<S>) -> Val<S> + Copy + 'static> Pointwise<S> for F {}

/// A function as kernels take it. Its type depends on nothing but the function and what it is of, whoever asks:
/// a closure written where it is needed would be another one for each element type of the product it is for, and
/// every kernel would be compiled once more for it.
pub(super) fn function<S: Num, F: Map<S>>(map: F) -> impl Pointwise<S> {
    move |x: Val<S>| map.apply(x)
}

/// What of an epilogue is known when a kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Steps {
    /// Whether C is read and `beta` times it added. If not, what C was does not matter: it may be NaN.
    pub beta: bool,
    /// Whether the function does anything.
    pub map: bool,
}

/// `C = map(alpha * sum + beta * C + bias) + residual`, of sums times the scales of their row and their column
/// if there are any.
#[derive(Clone, Copy)]
pub(super) struct Epilogue<S: Num, O: Num, F> {
    pub(super) steps: Steps,
    pub(super) alpha: Val<S>,
    pub(super) beta: Val<S>,
    pub(super) bias: Option<ViewRef<S, 2>>,
    pub(super) residual: Option<ViewRef<O, 2>>,
    pub(super) row_scales: Option<ViewRef<S, 2>>,
    pub(super) column_scales: Option<ViewRef<S, 2>>,
    pub(super) map: F,
}

impl<S: Num, O: Num, F> Epilogue<S, O, F> {
    /// Of one of a batch of products, given what all have.
    #[track_caller]
    pub(super) fn of_batch(
        batch: Val<usize>,
        steps: Steps,
        (alpha, beta): (Val<S>, Val<S>),
        bias: Option<ViewRef<S, 3>>,
        residual: Option<ViewRef<O, 3>>,
        map: F,
    ) -> Self {
        let bias = bias.map(|x| x.outer(batch));
        let residual = residual.map(|x| x.outer(batch));
        let (row_scales, column_scales) = (None, None);
        Epilogue { steps, alpha, beta, bias, residual, row_scales, column_scales, map }
    }

    /// With scales, of rows and of columns, as wide and as high as C.
    #[track_caller]
    pub(super) fn scaled_by(
        self,
        batch: Val<usize>,
        [rows, columns]: [Option<ViewRef<S, 3>>; 2],
    ) -> Self {
        let row_scales = rows.map(|x| x.outer(batch));
        let column_scales = columns.map(|x| x.outer(batch));
        Epilogue { row_scales, column_scales, ..self }
    }

    /// Whether all it does is to scale and to add to C.
    pub(super) fn is_linear(&self) -> bool {
        let scaled = self.row_scales.is_some() || self.column_scales.is_some();
        !self.steps.map && !scaled && self.bias.is_none() && self.residual.is_none()
    }
}

#[device]
impl<S: Num + Summed, O: Num, F: Fn(S) -> S + Copy> Epilogue<S, O, F> {
    /// A sum times its scales.
    pub(super) fn scaled(&self, sum: S, row: usize, column: usize) -> S {
        let mut x = sum;
        if let Some(scales) = self.row_scales {
            x = x * scales[[row, column]];
        }
        if let Some(scales) = self.column_scales {
            x = x * scales[[row, column]];
        }
        x
    }

    /// `alpha * sum + beta * C`.
    pub(super) fn begin(&self, sum: S, c: impl Fn() -> O) -> S {
        let scaled = self.alpha * sum;
        if self.steps.beta { S::multiply_add(c().cast::<S>(), self.beta, scaled) } else { scaled }
    }

    /// All that comes after.
    pub(super) fn end(&self, x: S, row: usize, column: usize) -> S {
        let mut x = x;
        if let Some(bias) = self.bias {
            x = x + bias[[row, column]].cast::<S>();
        }
        if self.steps.map {
            let map = self.map;
            x = map(x);
        }
        if let Some(residual) = self.residual {
            x = x + residual[[row, column]].cast::<S>();
        }
        x
    }
}
