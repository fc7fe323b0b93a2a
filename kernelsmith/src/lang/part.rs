//! Partitioned outputs: what each thread of a launch owns of a tensor.
//!
//! The host cuts a tensor into tiles, one a block (`y.partition([BM, BN])`), and the launch takes its
//! grid from that. In the kernel, `y: &mut Part<f32, 2>` is the calling thread's part of its block's
//! tile, indexed from 0 on: `y[[i, j]]` with `i < y.count(0)` and `j < y.count(1)`. No index of one
//! thread names an element of another thread's, so kernels that write through `Part`s only cannot
//! race for what they write, and need no `unsafe`.
//!
//! # The map
//! Blocks are numbered along x, the last axis' tiles fastest. Threads along x take every
//! `block_dim_x`-th element of the last axis, so that a warp's accesses are contiguous; threads along
//! y (and z) take runs of rows (and planes).
//!
//! # The proof
//! Along the last axis, a thread's index `j` names `origin + j * B + t` with `t = thread_idx_x < B`,
//! and `j * B + t < limit`, where `limit` is the tile's extent or where the tensor ends. Division by
//! `B` gives `j` and `t` back, and as `limit` is at most the tile's extent, division by that gives the
//! block back: no two of (block, thread, index) name one element. Along the others a thread's index
//! `i` names `origin + t * run + i` with `i < run`, and the same holds by division by `run`. Axes of a
//! block or grid beyond the tensor's have one thread and one block, which the launch sees to, as it
//! does that strides name distinct elements and that there are as many blocks as tiles. Nothing wraps:
//! `origin` is less than the tensor's extent, and the rest less than the tile's.

use std::marker::PhantomData;

use kernelsmith_ir::attr::{Attr, CheckKind, Const, Dim};
use kernelsmith_ir::{Builder, Opcode, ParamKind, Scalar, Space, Type, Value};

use super::element::Stored;
use super::index::{At, AtMut, KernelIndex, Slot};
use super::memory::Param;
use super::stage::{build, fail};
use super::val::{IntoVal, Val};

/// `&mut Part<T, R>`: the elements of a tensor of `R` dimensions that the calling thread owns. See
/// [the module](self).
pub struct Part<T: Stored, const R: usize> {
    base: Value,
    shape: [Value; R],
    tile: [Value; R],
    /// Elements from one index to the next; of the last axis unused, as it is 1.
    strides: [Value; R],
    /// Tiles along each axis, as u32; of the first axis unused.
    tiles: [Value; R],
    ty: PhantomData<T>,
}

impl<T: Stored, const R: usize> Clone for Part<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored, const R: usize> Copy for Part<T, R> {}

impl<T: Stored, const R: usize> Param for Part<T, R> {
    #[track_caller]
    fn declare(name: &str) -> Self {
        build(|b| {
            let base = b.param(name, Type::Ptr(Space::Global, T::TYPE), ParamKind::Exclusive);
            let mut extents = |what: &str, ty: Type| {
                std::array::from_fn(|i| {
                    b.param(&format!("{name}.{what}{i}"), ty, ParamKind::Scalar)
                })
            };
            let (shape, tile) = (extents("shape", Type::U64), extents("tile", Type::U64));
            let strides = extents("stride", Type::U64);
            let tiles = extents("tiles", Type::U32);
            Part { base, shape, tile, strides, tiles, ty: PhantomData }
        })
    }
}

/// What is the same for all indices along an axis.
#[derive(Clone, Copy)]
struct Axis {
    /// The tile's first element.
    origin: Value,
    /// How many of the tile's elements there are: fewer where the tensor ends.
    limit: Value,
    /// The thread's index, and how many there are.
    thread: Value,
    threads: Value,
    /// Elements of a thread's run; none along the last axis, where threads alternate.
    run: Option<Value>,
}

fn number(b: &mut Builder, n: usize) -> Value {
    b.constant(Const::int(Scalar::U64, n as i128))
}

fn id(b: &mut Builder, op: Opcode, dim: Dim) -> Value {
    let id = b.emit1(op, Attr::Dim(dim), &[], Type::U32);
    b.cast(id, Scalar::U64)
}

impl<T: Stored, const R: usize> Part<T, R> {
    /// The number of elements of the whole tensor along an axis.
    #[track_caller]
    pub fn shape(&self, axis: usize) -> Val<usize> {
        Val::from_id(self.shape[Self::existing(axis)])
    }

    /// The number of elements of a tile along an axis.
    #[track_caller]
    pub fn tile(&self, axis: usize) -> Val<usize> {
        Val::from_id(self.tile[Self::existing(axis)])
    }

    /// Where the block's tile begins along an axis.
    #[track_caller]
    pub fn origin(&self, axis: usize) -> Val<usize> {
        Self::existing(axis);
        Val::from_id(build(|b| {
            let origin = self.origin_of(b, axis);
            // There are as many blocks as tiles, of which each has an element.
            let bounded = b.compare(Opcode::Lt, origin, self.shape[axis]);
            b.check(bounded, CheckKind::Assumption, None);
            origin
        }))
    }

    /// How many indices the thread has along an axis: 0 for threads behind the tensor's end.
    #[track_caller]
    pub fn count(&self, axis: usize) -> Val<usize> {
        Self::existing(axis);
        Val::from_id(build(|b| self.axis(b, axis).count(b)))
    }

    /// Whether the thread has these indices, one for each axis.
    #[track_caller]
    pub fn owns<I: KernelIndex>(&self, index: [I; R]) -> Val<bool> {
        let inside = std::array::from_fn::<_, R, _>(|axis| self.inside(axis, index[axis]));
        let all =
            inside.into_iter().reduce(|a, b| build(|builder| builder.same(Opcode::And, &[a, b])));
        Val::from_id(all.unwrap_or_else(|| fail("a part of no dimensions")))
    }

    /// The place in the whole tensor of one of the thread's indices, which is checked. It is less than
    /// `shape(axis)`.
    #[track_caller]
    pub fn global(&self, axis: usize, index: impl KernelIndex) -> Val<usize> {
        let inside = self.inside(Self::existing(axis), index);
        let index = index.value().id;
        Val::from_id(build(|b| {
            let parts = self.axis(b, axis);
            let count = parts.count(b);
            let operands = [inside, index, count];
            b.emit(Opcode::Check, Attr::Check(CheckKind::Bounds, None), &operands, &[]);
            let local = parts.local(b, index);
            let place = b.same(Opcode::Add, &[parts.origin, local]);
            // By the map: local < limit <= shape - origin.
            let bounded = b.compare(Opcode::Lt, place, self.shape[axis]);
            b.check(bounded, CheckKind::Assumption, None);
            place
        }))
    }

    #[track_caller]
    fn existing(axis: usize) -> usize {
        if axis >= R {
            fail(format!("axis {axis} of a part of {R} dimensions"));
        }
        axis
    }

    #[track_caller]
    fn inside<I: KernelIndex>(&self, axis: usize, index: I) -> Value {
        let value = index.value().id;
        build(|b| {
            let parts = self.axis(b, axis);
            match index.host() {
                // Cheaper than the count, and known to be the same for indices that do not wrap.
                Some(host) if u32::try_from(host).is_ok() => {
                    let local = parts.local(b, value);
                    let there = b.compare(Opcode::Lt, local, parts.limit);
                    match parts.run {
                        None => there,
                        Some(run) => {
                            let mine = b.compare(Opcode::Lt, value, run);
                            b.same(Opcode::And, &[mine, there])
                        }
                    }
                }
                _ => {
                    let count = parts.count(b);
                    b.compare(Opcode::Lt, value, count)
                }
            }
        })
    }

    fn origin_of(&self, b: &mut Builder, axis: usize) -> Value {
        let mut block = b.emit1(Opcode::BlockIdx, Attr::Dim(Dim::X), &[], Type::U32);
        for faster in (axis + 1..R).rev() {
            block = b.same(Opcode::Div, &[block, self.tiles[faster]]);
        }
        if axis > 0 {
            block = b.same(Opcode::Rem, &[block, self.tiles[axis]]);
        }
        let block = b.cast(block, Scalar::U64);
        b.same(Opcode::Mul, &[block, self.tile[axis]])
    }

    fn axis(&self, b: &mut Builder, axis: usize) -> Axis {
        let origin = self.origin_of(b, axis);
        let before = b.same(Opcode::Min, &[origin, self.shape[axis]]);
        let left = b.same(Opcode::Sub, &[self.shape[axis], before]);
        let limit = b.same(Opcode::Min, &[self.tile[axis], left]);
        let dim = [Dim::X, Dim::Y, Dim::Z][R - 1 - axis];
        let thread = id(b, Opcode::ThreadIdx, dim);
        let threads = id(b, Opcode::BlockDim, dim);
        let run = (axis + 1 < R).then(|| {
            let one = number(b, 1);
            let most = b.same(Opcode::Sub, &[threads, one]);
            let sum = b.same(Opcode::Add, &[self.tile[axis], most]);
            b.same(Opcode::Div, &[sum, threads])
        });
        Axis { origin, limit, thread, threads, run }
    }

    /// Checks each index, and gives the element's address.
    #[track_caller]
    fn locate<I: KernelIndex>(&self, index: [I; R]) -> Slot<T> {
        let place = std::array::from_fn::<_, R, _>(|axis| self.global(axis, index[axis]).id);
        Slot::new(build(|b| {
            let mut at = place[R - 1];
            for (&place, &stride) in place.iter().zip(&self.strides).take(R - 1) {
                let part = b.same(Opcode::Mul, &[place, stride]);
                at = b.same(Opcode::Add, &[part, at]);
            }
            b.ptr_add(self.base, at)
        }))
    }
}

impl<T: Stored, const R: usize> Part<T, R> {
    /// Writes an element that nobody will read soon, past the caches where the target can; checked.
    #[track_caller]
    pub fn store_streaming<I: KernelIndex>(&self, index: [I; R], value: impl IntoVal<T>) {
        self.locate(index).set_streaming(value.into_val());
    }
}

impl Axis {
    /// The place within the tile of an index that is in bounds.
    fn local(self, b: &mut Builder, index: Value) -> Value {
        let (factors, offset) = match self.run {
            None => ([index, self.threads], self.thread),
            Some(run) => ([self.thread, run], index),
        };
        let start = b.same(Opcode::Mul, &factors);
        b.same(Opcode::Add, &[start, offset])
    }

    fn count(self, b: &mut Builder) -> Value {
        match self.run {
            // ceil((limit - thread) / threads), or 0.
            None => {
                let one = number(b, 1);
                let most = b.same(Opcode::Sub, &[self.threads, one]);
                let room = b.same(Opcode::Sub, &[most, self.thread]);
                let sum = b.same(Opcode::Add, &[self.limit, room]);
                b.same(Opcode::Div, &[sum, self.threads])
            }
            Some(run) => {
                let start = b.same(Opcode::Mul, &[self.thread, run]);
                let before = b.same(Opcode::Min, &[self.limit, start]);
                let left = b.same(Opcode::Sub, &[self.limit, before]);
                b.same(Opcode::Min, &[run, left])
            }
        }
    }
}

impl<T: Stored, I: KernelIndex, const R: usize> At<[I; R]> for Part<T, R> {
    type Out = Val<T>;
    #[track_caller]
    fn at(&self, index: [I; R]) -> Val<T> {
        self.locate(index).get()
    }
}

impl<T: Stored, I: KernelIndex, const R: usize> AtMut<[I; R]> for Part<T, R> {
    type Slot = Slot<T>;
    #[track_caller]
    fn slot(&self, index: [I; R]) -> Slot<T> {
        self.locate(index)
    }
}

impl<T: Stored, I: KernelIndex> At<I> for Part<T, 1> {
    type Out = Val<T>;
    #[track_caller]
    fn at(&self, index: I) -> Val<T> {
        self.locate([index]).get()
    }
}

impl<T: Stored, I: KernelIndex> AtMut<I> for Part<T, 1> {
    type Slot = Slot<T>;
    #[track_caller]
    fn slot(&self, index: I) -> Slot<T> {
        self.locate([index])
    }
}
