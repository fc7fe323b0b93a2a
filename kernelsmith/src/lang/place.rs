//! Run-time variables and the places within them.

use std::marker::PhantomData;

use kernelsmith_ir::Value;
use kernelsmith_ir::attr::Const;
use kernelsmith_ir::kernel::VarId;

use super::element::Element;
use super::index::KernelIndex;
use super::stage::build;
use super::staged::{Staged, leaf_types, leaves};
use super::val::{FromFloatLit, FromHost, FromIntLit, IntoStaged, StoredAs, Val};

/// A run-time variable, or a part of one: consecutive slots of the IR, one for each leaf.
pub struct Place<S: Staged> {
    first: VarId,
    /// Where a run-time index was passed on the way here.
    dynamic: Option<Dynamic>,
    ty: PhantomData<S>,
}

/// The leaf `l` of a place below run-time indices is slot `first + l + index * stride`, with
/// `index < count`.
#[derive(Clone, Copy)]
struct Dynamic {
    stride: u32,
    count: u32,
    index: Value,
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
                    Some(d) => b.var_load_at(slot, d.stride, d.count, d.index),
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
            Some(d) => b.var_store_at(slot, d.stride, d.count, d.index, value),
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
            match self.dynamic {
                None => Dynamic { stride, count: N as u32, index: index.id },
                // Index of an index: both strides are multiples of their common divisor.
                Some(outer) => {
                    let unit = gcd(outer.stride, stride).max(1);
                    let mut scaled = |x, factor| {
                        let factor = b.constant(Const::int(kernelsmith_ir::Scalar::U64, factor));
                        b.same(kernelsmith_ir::Opcode::Mul, &[x, factor])
                    };
                    let outer_part = scaled(outer.index, (outer.stride / unit).into());
                    let inner_part = scaled(index.id, (stride / unit).into());
                    let sum = b.same(kernelsmith_ir::Opcode::Add, &[outer_part, inner_part]);
                    let last = (outer.count - 1) * (outer.stride / unit)
                        + (N as u32 - 1) * (stride / unit);
                    Dynamic { stride: unit, count: last + 1, index: sum }
                }
            }
        });
        Place { first: self.first, dynamic: Some(dynamic), ty: PhantomData }
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
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
pub fn host<H, R: FromHost<H>>(x: H) -> R {
    R::from_host(x)
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

/// A block size as a kernel's attribute gives it.
pub trait BlockSize {
    /// Threads along x, y and z.
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
