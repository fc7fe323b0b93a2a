//! Tensor maps: tensors in global memory as the copy engine (TMA) of Hopper and newer sees them.
//!
//! The launch says which tensor, by a [`View`](crate::launch::View) of a buffer; the kernel says
//! which box of it one copy moves, and how the box lies in shared memory:
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! #[kernel]
//! fn reads(a: &TensorMap<bf16, 2>, rows: &mut [u64]) {
//!     let tile = a.tile([128, 64], Swizzle::B128);
//!     assert!(tile.bytes() == 128 * 64 * 2);
//!     rows[0] = a.shape(0) as u64;
//! }
//!
//! # fn main() -> Result<(), kernelsmith::Error> {
//! let device = Device::interpreter();
//! let a = Buffer::<bf16>::zeros(&device, 1000 * 512)?;
//! let mut rows = Buffer::<u64>::zeros(&device, 1)?;
//! reads(View::of(&a, [1000, 512]), &mut rows).block(1).launch(&device)?;
//! assert_eq!(rows.to_vec()?, [1000]);
//! # Ok(())
//! # }
//! ```
//!
//! Where a box reaches beyond the tensor, loads give zeros and stores do nothing, so that kernels
//! need no code for the ends of tensors.

use std::marker::PhantomData;
use std::ops::Deref;

pub use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::tensor_map::{self as ir, MOST_AXES};
use kernelsmith_ir::{ParamKind, Type, Value};

use super::element::Stored;
use super::memory::Param;
use super::stage::{build, declared_later, fail};
use super::val::Val;

/// `&TensorMap<T, R>`: a tensor of `R` dimensions (1 to 5) that the copy engine reads for this
/// kernel. A launch takes a [`View`](crate::launch::View) for it whose last stride is 1; see
/// [the module](self).
pub struct TensorMap<T: Stored, const R: usize> {
    map: Value,
    shape: [Value; R],
    written: bool,
    ty: PhantomData<T>,
}

impl<T: Stored, const R: usize> Clone for TensorMap<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored, const R: usize> Copy for TensorMap<T, R> {}

impl<T: Stored, const R: usize> Param for TensorMap<T, R> {
    #[track_caller]
    fn declare(name: &str) -> Self {
        declare(name, false)
    }
}

impl<T: Stored, const R: usize> TensorMap<T, R> {
    /// The map in the IR.
    pub(crate) fn value(&self) -> Value {
        self.map
    }

    /// The number of elements of the whole tensor along an axis, outermost first.
    ///
    /// # Panics
    /// Never; an axis beyond `R` is a staging error.
    #[track_caller]
    pub fn shape(&self, axis: usize) -> Val<usize> {
        match self.shape.get(axis) {
            Some(&extent) => Val::from_id(extent),
            None => fail(format!("axis {axis} of a tensor map of {R} dimensions")),
        }
    }

    /// Declares the box that each copy through this map moves: `shape` elements along the tensor's
    /// axes, outermost first, each 1 to 256 and known while staging. A row of it, along the last
    /// axis, has a multiple of 16 bytes and no more than the swizzle is wide.
    ///
    /// A map has one box: asked again, this gives the same one, or it is an error.
    #[track_caller]
    pub fn tile(&self, shape: [usize; R], swizzle: Swizzle) -> TensorTile<T, R> {
        declare_tile::<T, R>(self.map, shape, swizzle, self.written);
        TensorTile { map: self.map, shape, swizzle, ty: PhantomData }
    }
}

/// `&mut TensorMap<T, R>`: a tensor of `R` dimensions (1 to 5) that the copy engine writes for this
/// kernel, and may read. It has the methods of a [`TensorMap`]; its tile is one to be written.
pub struct TensorMapMut<T: Stored, const R: usize>(TensorMap<T, R>);

impl<T: Stored, const R: usize> Clone for TensorMapMut<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored, const R: usize> Copy for TensorMapMut<T, R> {}

impl<T: Stored, const R: usize> Param for TensorMapMut<T, R> {
    #[track_caller]
    fn declare(name: &str) -> Self {
        TensorMapMut(declare(name, true))
    }
}

impl<T: Stored, const R: usize> TensorMapMut<T, R> {
    /// Declares the box that each copy through this map moves; see [`TensorMap::tile`].
    #[track_caller]
    pub fn tile(&self, shape: [usize; R], swizzle: Swizzle) -> TensorTileMut<T, R> {
        TensorTileMut(self.0.tile(shape, swizzle))
    }
}

impl<T: Stored, const R: usize> Deref for TensorMapMut<T, R> {
    type Target = TensorMap<T, R>;
    fn deref(&self) -> &TensorMap<T, R> {
        &self.0
    }
}

/// The box of a tensor map: what one copy moves between global and shared memory.
pub struct TensorTile<T: Stored, const R: usize> {
    map: Value,
    shape: [usize; R],
    swizzle: Swizzle,
    ty: PhantomData<T>,
}

impl<T: Stored, const R: usize> Clone for TensorTile<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored, const R: usize> Copy for TensorTile<T, R> {}

impl<T: Stored, const R: usize> TensorTile<T, R> {
    /// Elements of the box along each axis, outermost first.
    pub fn shape(&self) -> [usize; R] {
        self.shape
    }

    /// How the box lies in shared memory.
    pub fn swizzle(&self) -> Swizzle {
        self.swizzle
    }

    /// Elements of the box.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the box: what a load of it adds to the count of its barrier, also where part of the
    /// box lies outside of the tensor.
    pub fn bytes(&self) -> usize {
        self.elements() * T::TYPE.size() as usize
    }

    /// The map in the IR.
    pub(crate) fn map(&self) -> Value {
        self.map
    }
}

/// The box of a tensor map that is written. Whatever takes a [`TensorTile`] takes it, too.
pub struct TensorTileMut<T: Stored, const R: usize>(TensorTile<T, R>);

impl<T: Stored, const R: usize> Clone for TensorTileMut<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored, const R: usize> Copy for TensorTileMut<T, R> {}

impl<T: Stored, const R: usize> Deref for TensorTileMut<T, R> {
    type Target = TensorTile<T, R>;
    fn deref(&self) -> &TensorTile<T, R> {
        &self.0
    }
}

impl<T: Stored, const R: usize> From<TensorTileMut<T, R>> for TensorTile<T, R> {
    fn from(tile: TensorTileMut<T, R>) -> TensorTile<T, R> {
        tile.0
    }
}

/// Declares the map and the tensor's extents. The box is not yet known: one without axes stands for
/// it, which no kernel leaves staging with.
#[track_caller]
fn declare<T: Stored, const R: usize>(name: &str, written: bool) -> TensorMap<T, R> {
    if !(1..=MOST_AXES).contains(&R) {
        fail(format!("`{name}` is a tensor map of {R} dimensions; they have 1 to {MOST_AXES}"));
    }
    let no_box = ir::TensorTile::new(&[], Swizzle::None, written);
    let (map, shape) = build(|b| {
        let ty = Type::TensorMap(T::TYPE, R as u8);
        let map = b.param(name, ty, ParamKind::TensorMap(no_box));
        let shape = std::array::from_fn(|axis| {
            b.param(&format!("{name}.shape{axis}"), Type::U64, ParamKind::Scalar)
        });
        (map, shape)
    });
    declared_later(
        map,
        format!(
            "`{name}` is a tensor map whose tile the kernel never declares: \
             `let tile = {name}.tile([rows, columns], Swizzle::B128);`"
        ),
    );
    TensorMap { map, shape, written, ty: PhantomData }
}

/// Writes a plain box into the map's parameter.
#[track_caller]
fn declare_tile<T: Stored, const R: usize>(
    map: Value,
    shape: [usize; R],
    swizzle: Swizzle,
    written: bool,
) {
    let mut extents = [0; R];
    for (to, extent) in extents.iter_mut().zip(shape.into_iter().rev()) {
        // What does not fit is out of range, and told as that.
        *to = u16::try_from(extent).unwrap_or(u16::MAX);
    }
    if let Some(extent) = shape.iter().find(|n| !(1..=256).contains(*n)) {
        let (name, _) = parameter(map);
        fail(format!(
            "`{name}` has tiles of {shape:?}, and {extent} is not 1 to 256, as a box's extents are"
        ));
    }
    declare_box::<T>(map, ir::TensorTile::new(&extents, swizzle, written));
}

/// The name and kind of the parameter that a map is.
fn parameter(map: Value) -> (String, ParamKind) {
    build(|b| {
        let param = b.kernel().params.iter().find(|p| p.value == map);
        param.map(|p| (p.name.clone(), p.kind)).expect("maps are parameters")
    })
}

/// Writes the box into the map's parameter.
#[track_caller]
pub(super) fn declare_box<T: Stored>(map: Value, tile: ir::TensorTile) {
    let (name, before) = parameter(map);
    let described = |tile: &ir::TensorTile| {
        let shape: Vec<usize> = tile.extents().iter().rev().map(|&n| n.into()).collect();
        let walk = if tile.walk.is_some() { " by a window" } else { "" };
        format!("{shape:?}{walk} with {:?}", tile.swizzle)
    };
    if let Some(fault) = tile.fault(T::TYPE) {
        let tile = described(&tile);
        fail(format!("`{name}` has tiles of {tile}, which the copy engine cannot move: {fault}"));
    }
    match before {
        ParamKind::TensorMap(other) if other.rank != 0 && other != tile => fail(format!(
            "`{name}` has tiles of {} already, not of {}: a tensor map has one box; pass the tensor \
             twice for two",
            described(&other),
            described(&tile)
        )),
        _ => build(|b| {
            let mut params = b.kernel_mut().params.iter_mut();
            let param = params.find(|p| p.value == map).expect("found above");
            param.kind = ParamKind::TensorMap(tile);
        }),
    }
}
