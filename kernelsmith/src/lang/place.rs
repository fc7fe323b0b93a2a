//! Run-time variables and the places within them.

use std::marker::PhantomData;

use super::element::Element;
use super::index::KernelIndex;
use super::slots::Slots;
use super::stage::build;
use super::staged::{Staged, leaf_types, leaves};
use super::val::{FromFloatLit, FromIntLit, HostAs, IntoStaged, StoredAs, Val};

/// A run-time variable, or a part of one.
pub struct Place<S: Staged> {
    slots: Slots,
    ty: PhantomData<S>,
}

impl<S: Staged> Clone for Place<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Staged> Copy for Place<S> {}

impl<S: Staged> Place<S> {
    /// Declares a variable.
    #[track_caller]
    pub fn new(name: &str, init: S) -> Place<S> {
        let place = Place::uninit(name);
        place.set(init);
        place
    }

    /// Declares a variable that is written before it is read.
    #[track_caller]
    pub(crate) fn uninit(name: &str) -> Place<S> {
        Place { slots: Slots::declare(name, leaf_types::<S>()), ty: PhantomData }
    }

    /// Reads the variable.
    #[track_caller]
    pub fn get(&self) -> S {
        S::unflatten(&mut self.slots.load(S::LEAVES).into_iter())
    }

    /// Writes the variable.
    #[track_caller]
    pub fn set(&self, value: S) {
        self.slots.store(leaves(&value));
    }

    /// Writes a value that has a type of its own: a host number becomes a run-time one.
    #[track_caller]
    pub fn set_typed<V: StoredAs<S>>(&self, value: V) {
        self.set(value.stored());
    }

    /// Writes the leaves in which `new` differs from `old`, which was read from here.
    #[track_caller]
    pub fn write_back(&self, old: &S, new: &S) {
        self.slots.write_back(leaves(old), leaves(new));
    }

    /// The places of the fields of a struct or tuple.
    pub fn fields(&self) -> S::Fields {
        S::fields(*self)
    }

    /// The part of the place that begins at a leaf.
    pub fn part<P: Staged>(&self, leaf: usize) -> Place<P> {
        Place { slots: self.slots.part(leaf), ty: PhantomData }
    }
}

impl<S: Staged, const N: usize> Place<[S; N]> {
    /// The places of the elements, in order.
    pub fn elements(&self) -> std::array::IntoIter<Place<S>, N> {
        std::array::from_fn(|i| self.part(i * S::LEAVES)).into_iter()
    }

    /// The place of an element. A host index must be in bounds; a run-time index is checked.
    #[track_caller]
    pub fn at(&self, index: impl KernelIndex) -> Place<S> {
        if let Some(i) = index.host() {
            if i >= N {
                super::stage::fail(format!(
                    "index out of bounds: the index is {i} but the array has {N} elements"
                ));
            }
            return self.part(i * S::LEAVES);
        }
        let slots = self.slots.at(index.value(), N, S::LEAVES);
        Place { slots, ty: PhantomData }
    }
}

/// What stands left of `+=`.
pub trait Assigned {
    /// What it holds.
    type Value: Staged;
}

impl<S: Staged> Assigned for Place<S> {
    type Value = S;
}

impl<T: Element> Assigned for super::index::Slot<T> {
    type Value = Val<T>;
}

/// The place and the value of `place += value`, in the order of Rust: of numbers that it knows the
/// value is first, of others (`f16`, structs), whose `+=` is a function, the place.
#[track_caller]
pub fn in_order<P: Assigned, V>(place: impl FnOnce() -> P, value: impl FnOnce() -> V) -> (P, V) {
    if P::Value::PRIMITIVE {
        let value = value();
        (place(), value)
    } else {
        let place = place();
        (place, value())
    }
}

/// `let mut x = init;`
#[track_caller]
pub fn var<I: IntoStaged>(name: &str, init: I) -> Place<I::Staged> {
    Place::new(name, init.into_staged())
}

/// An integer literal where a value is wanted: of the host or not, by use.
#[track_caller]
pub fn lit_int<R: FromIntLit>(x: i128) -> R {
    R::from_int_lit(x)
}

/// A float literal where a value is wanted.
#[track_caller]
pub fn lit_float<R: FromFloatLit>(x: f64) -> R {
    R::from_float_lit(x)
}

/// A host constant where a value is wanted.
#[track_caller]
pub fn host<H: HostAs<R>, R>(x: H) -> R {
    x.host_as()
}

/// An integer literal that is certainly a run-time value: the first value of a variable.
#[track_caller]
pub fn val_int<T: Element>(x: i128) -> Val<T>
where
    Val<T>: FromIntLit,
{
    Val::from_int_lit(x)
}

/// A float literal that is certainly a run-time value.
#[track_caller]
pub fn val_float<T: Element>(x: f64) -> Val<T>
where
    Val<T>: FromFloatLit,
{
    Val::from_float_lit(x)
}

/// A host constant that is certainly a run-time value.
#[track_caller]
pub fn val_host<I: IntoStaged>(x: I) -> I::Staged {
    x.into_staged()
}

/// The size of a block or cluster as a kernel's attribute gives it.
pub trait BlockSize {
    /// Threads or blocks along x, y and z.
    fn block_size(self) -> [usize; 3];
}

impl BlockSize for usize {
    fn block_size(self) -> [usize; 3] {
        [self, 1, 1]
    }
}

impl BlockSize for [usize; 2] {
    fn block_size(self) -> [usize; 3] {
        [self[0], self[1], 1]
    }
}

impl BlockSize for [usize; 3] {
    fn block_size(self) -> [usize; 3] {
        self
    }
}

/// `#[kernel(block = ..)]`.
#[track_caller]
pub fn fix_block(size: impl BlockSize) {
    let size = size.block_size();
    let threads = size.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    let most = super::stage::target().max_threads() as usize;
    if threads == 0 || threads > most {
        super::stage::fail(format!("a block of {size:?} threads; blocks have 1 to {most}"));
    }
    build(|b| b.kernel_mut().block_dim = Some(size.map(|d| d as u32)));
}

/// `#[kernel(cluster = ..)]`. A cluster of one block is none, so that a parameter may choose.
#[track_caller]
pub fn fix_cluster(size: impl BlockSize) {
    let size = size.block_size();
    let blocks = size.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    if !(1..=16).contains(&blocks) {
        super::stage::fail(format!("a cluster of {size:?} blocks; clusters have 1 to 16"));
    }
    if blocks > 1 {
        build(|b| b.kernel_mut().cluster_dim = Some(size.map(|d| d as u32)));
    }
}
