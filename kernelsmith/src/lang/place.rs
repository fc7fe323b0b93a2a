//! Run-time variables and the places within them.

use std::marker::PhantomData;

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::builder::Builder;
use kernelsmith_ir::kernel::VarId;
use kernelsmith_ir::{Opcode, Value};

use super::element::Element;
use super::index::KernelIndex;
use super::stage::build;
use super::staged::{Staged, leaf_types, leaves};
use super::val::{FromFloatLit, FromIntLit, HostAs, IntoStaged, StoredAs, Val};

/// A run-time variable, or a part of one: consecutive slots of the IR, one for each leaf.
pub struct Place<S: Staged> {
    first: VarId,
    /// Where a run-time index was passed on the way here.
    dynamic: Option<Dynamic>,
    ty: PhantomData<S>,
}

/// The leaf `l` of a place below run-time indices is slot `first + l + index * stride`, with
/// `index < count`; to which each of the outer levels adds its own `index * stride`.
#[derive(Clone, Copy)]
struct Dynamic {
    stride: u32,
    count: u32,
    index: Value,
    /// Levels that do not fold into this one. They live as long as the program: a few bytes for each
    /// such place of each kernel staged.
    outer: Option<&'static Dynamic>,
}

impl Dynamic {
    /// The place of index `inner` below this one, of `leaves` leaves from `first` on.
    ///
    /// Both strides are multiples of their greatest common divisor, so one index does for both where
    /// all slots that it may reach are of one type. In an array of structs with arrays they are not.
    fn then(self, b: &mut Builder, first: VarId, leaves: u32, inner: Dynamic) -> Dynamic {
        let unit = gcd(self.stride, inner.stride).max(1);
        let (outer_units, inner_units) = (self.stride / unit, inner.stride / unit);
        let last = (self.count - 1) * outer_units + (inner.count - 1) * inner_units;
        let ty = |slot: u32| b.kernel().vars[(first.0 + slot) as usize].ty;
        if (0..leaves).any(|l| (1..=last).any(|i| ty(l + i * unit) != ty(l))) {
            return Dynamic { outer: Some(Box::leak(Box::new(self))), ..inner };
        }
        let mut scaled = |x, factor: u32| {
            let factor = b.constant(Const::int(kernelsmith_ir::Scalar::U64, factor.into()));
            b.same(Opcode::Mul, &[x, factor])
        };
        let parts = [scaled(self.index, outer_units), scaled(inner.index, inner_units)];
        let index = b.same(Opcode::Add, &parts);
        Dynamic { stride: unit, count: last + 1, index, outer: self.outer }
    }

    /// Whether the index is `i`.
    fn is(&self, b: &mut Builder, i: u32) -> Value {
        let i = b.constant(Const::int(kernelsmith_ir::Scalar::U64, i.into()));
        b.compare(Opcode::Eq, self.index, i)
    }

    fn load(&self, b: &mut Builder, slot: VarId) -> Value {
        let Some(outer) = self.outer else {
            return b.var_load_at(slot, self.stride, self.count, self.index);
        };
        // What each element of the outer level has at the inner index; the index chooses.
        let inner = Dynamic { outer: outer.outer, ..*self };
        let mut value = inner.load(b, slot);
        for i in 1..outer.count {
            let there = inner.load(b, VarId(slot.0 + i * outer.stride));
            let is = outer.is(b, i);
            value = b.select(is, there, value);
        }
        value
    }

    fn store(&self, b: &mut Builder, slot: VarId, value: Value) {
        let Some(outer) = self.outer else {
            return b.var_store_at(slot, self.stride, self.count, self.index, value);
        };
        let inner = Dynamic { outer: outer.outer, ..*self };
        for i in 0..outer.count {
            let slot = VarId(slot.0 + i * outer.stride);
            let old = inner.load(b, slot);
            let is = outer.is(b, i);
            let new = b.select(is, value, old);
            inner.store(b, slot, new);
        }
    }
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
        let types = leaf_types::<S>();
        let first = build(|b| {
            let first = VarId(b.kernel().vars.len() as u32);
            for ty in types {
                b.var(name, ty);
            }
            first
        });
        Place { first, dynamic: None, ty: PhantomData }
    }

    /// Reads the variable.
    #[track_caller]
    pub fn get(&self) -> S {
        let values: Vec<Value> = build(|b| {
            let slots = (0..S::LEAVES as u32).map(|leaf| VarId(self.first.0 + leaf));
            slots
                .map(|slot| match self.dynamic {
                    None => b.var_load(slot),
                    Some(d) => d.load(b, slot),
                })
                .collect()
        });
        S::unflatten(&mut values.into_iter())
    }

    /// Writes the variable.
    #[track_caller]
    pub fn set(&self, value: S) {
        for (leaf, value) in leaves(&value).into_iter().enumerate() {
            self.set_leaf(leaf, value);
        }
    }

    /// Writes a value that has a type of its own: a host number becomes a run-time one.
    #[track_caller]
    pub fn set_typed<V: StoredAs<S>>(&self, value: V) {
        self.set(value.stored());
    }

    /// Writes the leaves in which `new` differs from `old`, which was read from here.
    #[track_caller]
    pub fn write_back(&self, old: &S, new: &S) {
        for (leaf, (old, new)) in leaves(old).into_iter().zip(leaves(new)).enumerate() {
            if old != new {
                self.set_leaf(leaf, new);
            }
        }
    }

    #[track_caller]
    fn set_leaf(&self, leaf: usize, value: Value) {
        let slot = VarId(self.first.0 + leaf as u32);
        build(|b| match self.dynamic {
            None => b.var_store(slot, value),
            Some(d) => d.store(b, slot, value),
        });
    }

    /// The places of the fields of a struct or tuple.
    pub fn fields(&self) -> S::Fields {
        S::fields(*self)
    }

    /// The part of the place that begins at a leaf.
    pub fn part<P: Staged>(&self, leaf: usize) -> Place<P> {
        let first = VarId(self.first.0 + leaf as u32);
        Place { first, dynamic: self.dynamic, ty: PhantomData }
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
        let index = index.value();
        let stride = S::LEAVES as u32;
        let dynamic = build(|b| {
            let len = b.constant(Const::int(kernelsmith_ir::Scalar::U64, N as i128));
            b.check_bounds(index.id, len);
            let inner = Dynamic { stride, count: N as u32, index: index.id, outer: None };
            match self.dynamic {
                None => inner,
                Some(outer) => outer.then(b, self.first, stride, inner),
            }
        });
        Place { first: self.first, dynamic: Some(dynamic), ty: PhantomData }
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
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

/// `#[kernel(cluster = ..)]`.
#[track_caller]
pub fn fix_cluster(size: impl BlockSize) {
    let size = size.block_size();
    let blocks = size.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    if !(1..=16).contains(&blocks) {
        super::stage::fail(format!("a cluster of {size:?} blocks; clusters have 1 to 16"));
    }
    build(|b| b.kernel_mut().cluster_dim = Some(size.map(|d| d as u32)));
}
