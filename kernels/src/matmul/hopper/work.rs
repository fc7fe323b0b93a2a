//! Products as Hopper's kernels take them.

use kernelsmith::Target;
use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::config::Product;
use super::operand::Order;
use crate::matmul::problem::Terms;

/// Whether a device has `wgmma`.
pub(in crate::matmul) fn is_hopper(device: &Device) -> bool {
    *device.target() == Target::sm(90, true)
}

/// Whether the copy engine can walk a view along its last axis: its elements lie next to each other,
/// everything else at multiples of 16 bytes (CUDA Driver API, `cuTensorMapEncodeTiled`).
pub(super) fn walks<T: Stored>(view: &ViewArg<'_, T, 3>) -> bool {
    let (shape, strides) = view.layout();
    let aligned = |axis: usize| {
        let bytes = strides[axis] * size_of::<T>();
        shape[axis] == 1 || (bytes > 0 && bytes.is_multiple_of(16))
    };
    strides[2] == 1 && aligned(0) && aligned(1) && view.address().is_multiple_of(16)
}

/// Whether the copy engine can write a view along its last axis.
pub(super) fn is_written<O: Num>(c: &ViewMutArg<'_, O, 3>) -> bool {
    let (shape, strides) = c.layout();
    let bytes = |axis: usize| strides[axis] * size_of::<O>();
    let aligned = |axis: usize| shape[axis] == 1 || bytes(axis).is_multiple_of(16);
    let unit = strides[2] == 1 || shape[2] == 1;
    unit && aligned(0) && aligned(1) && c.address().is_multiple_of(16)
}

/// How a factor is stored whose last axis, or last but one (`k_axis`), is k; and the view in that
/// order.
pub(super) fn order<'v, T: Stored>(
    view: ViewArg<'v, T, 3>,
    k_axis: usize,
) -> Option<Walked<'v, T>> {
    let across = if k_axis == 2 { view.transposed() } else { view };
    let along = if k_axis == 2 { view } else { view.transposed() };
    let (shape, strides) = view.layout();
    let is_unit = strides[k_axis] == 1 || shape[k_axis] == 1;
    if is_unit && walks(&along) {
        Some((Order::AlongK, along))
    } else {
        walks(&across).then_some((Order::AcrossK, across))
    }
}

/// A factor as the copy engine walks it.
pub(super) type Walked<'v, T> = (Order, ViewArg<'v, T, 3>);

/// A product that nothing is empty of, of factors that the copy engine walks, into a C that it writes, with an
/// epilogue of `E`.
pub(super) struct Work<'p, T: Stored, E: Num, O: Num> {
    pub(super) a: Walked<'p, T>,
    pub(super) b: Walked<'p, T>,
    pub(super) terms: Terms<'p, E, O>,
    pub(super) c: ViewMutArg<'p, O, 3>,
    /// Whether to search for the best way if nobody has.
    pub(super) tuned: bool,
}

impl<'p, T: Stored, E: Num, O: Num> Work<'p, T, E, O> {
    /// `None` where Hopper's kernels do not take it.
    pub(super) fn new(
        (a, b): (Walked<'p, T>, Walked<'p, T>),
        terms: Terms<'p, E, O>,
        c: ViewMutArg<'p, O, 3>,
        tuned: bool,
    ) -> Option<Self> {
        let taken = is_hopper(c.device()) && !terms.steps.beta && is_written(&c);
        taken.then_some(Work { a, b, terms, c, tuned })
    }

    /// What the model has to know of it.
    pub(super) fn product(&self) -> Product {
        let ([batch, m, n], element) = (self.c.shape(), size_of::<T>());
        let along = [self.a.0, self.b.0].map(Order::is_along_k);
        let k = self.a.1.shape()[if along[0] { 2 } else { 1 }];
        let Terms { bias, residual, .. } = &self.terms;
        let bare = bias.is_none() && residual.is_none() && !self.terms.has_scales();
        let size = size_of::<O>();
        Product { batch, m, n, depth: k * element, size, along, element, bare }
    }

    /// Multiprocessors of its device.
    pub(super) fn units(&self) -> usize {
        self.c.device().limits().compute_units as usize
    }
}
