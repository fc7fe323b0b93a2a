//! Convolutions' windows: copies by the engine that walk over the pixels of images (PTX ISA, "Tensors:
//! im2col mode"; sm_90 and newer), so that a convolution is a product of matrices without anybody
//! writing the matrix of windows to memory.
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! /// What a 3 x 3 window with a padding of 1 sees of 64 pixels, one place in the window after the other.
//! #[kernel(block = 32)]
//! fn seen(x: &TensorMap<f32, 4>, y: &mut [f32]) {
//!     let shape = Window { channels: 32, pixels: 64, lower: [-1, -1], upper: [-1, -1], steps: [1, 1] };
//!     let pixels = x.window(shape, Swizzle::B128);
//!     let tile = tiles::<f32>(1, [64, 32], Swizzle::B128).stage(0);
//!     let (producer, consumer) = pipeline::<1>(32).split();
//!     for place in 0..9u32 {
//!         if thread_idx_x() == 0 {
//!             let stage = producer.acquire();
//!             let offset = [place / 3, place % 3];
//!             tile.load_window(pixels, [0, -1, -1, 0], offset, stage.barrier());
//!             stage.commit_bytes(pixels.bytes());
//!         }
//!         let stage = consumer.wait();
//!         for i in 0..64 {
//!             y[(place as usize * 64 + i) * 32 + thread_idx_x()] = tile.at(i, thread_idx_x()).get();
//!         }
//!         stage.release();
//!     }
//! }
//! ```

use std::marker::PhantomData;

use kernelsmith_ir::attr::{BoxMode, Eviction};
use kernelsmith_ir::tensor_map::{TensorTile, Walk};
use kernelsmith_ir::{Opcode, Value};

use super::bulk::How;
use super::element::Stored;
use super::mbarrier::Mbarrier;
use super::stage::{build, fail};
use super::swizzled::Tile;
use super::tensor_map::{Swizzle, TensorMap, declare_box};
use super::val::{IntoVal, Val};

/// How a window walks over images of `D` axes, 1 to 3, all given outermost first (CUDA Driver API,
/// `cuTensorMapEncodeIm2col`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window<const D: usize> {
    /// Channels of a pixel that a copy moves, at most 256.
    pub channels: usize,
    /// Pixels that a copy moves, at most 1024.
    pub pixels: usize,
    /// Where the window's first corner begins along each axis: minus the padding.
    pub lower: [i16; D],
    /// Where it ends, counted from the last pixel: the padding minus what the window reaches over,
    /// `(size - 1) * dilation`.
    pub upper: [i16; D],
    /// From one corner to the next, 1 to 8.
    pub steps: [u8; D],
}

/// What one copy moves of a tensor of `R = D + 2` dimensions, images of `D` axes with the batch before
/// and the channels behind.
pub struct WindowTile<T: Stored, const R: usize, const D: usize> {
    map: Value,
    window: Window<D>,
    swizzle: Swizzle,
    ty: PhantomData<T>,
}

impl<T: Stored, const R: usize, const D: usize> Clone for WindowTile<T, R, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Stored, const R: usize, const D: usize> Copy for WindowTile<T, R, D> {}

impl<T: Stored, const R: usize, const D: usize> WindowTile<T, R, D> {
    /// How the window walks.
    pub fn window(&self) -> Window<D> {
        self.window
    }

    /// Bytes that a copy brings, also where pixels lie outside of the image.
    pub fn bytes(&self) -> usize {
        self.window.channels * self.window.pixels * T::TYPE.size() as usize
    }
}

impl<T: Stored, const R: usize> TensorMap<T, R> {
    /// Declares that copies through this map walk over its pixels; instead of
    /// [`tile`](TensorMap::tile). `R` is `D + 2`.
    #[track_caller]
    pub fn window<const D: usize>(
        &self,
        window: Window<D>,
        swizzle: Swizzle,
    ) -> WindowTile<T, R, D> {
        let Window { channels, pixels, lower, upper, steps } = window;
        if R != D + 2 || !(1..=3).contains(&D) {
            fail(format!(
                "a window along {D} axes and a tensor map of {R} dimensions: it has two more"
            ));
        }
        let mut walk = Walk { axes: D as u8, ..Walk::default() };
        for i in 0..D {
            let inner = D - 1 - i;
            (walk.lower[inner], walk.upper[inner]) = (lower[i], upper[i]);
            walk.steps[inner] = steps[i];
        }
        let mut extents = vec![1; R];
        // What does not fit is out of range, and told as that.
        [extents[0], extents[1]] = [channels, pixels].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        let tile = TensorTile { walk: Some(walk), ..TensorTile::new(&extents, swizzle, false) };
        declare_box::<T>(self.value(), tile);
        WindowTile { map: self.value(), window, swizzle, ty: PhantomData }
    }
}

impl<T: Stored> Tile<T> {
    /// Fills the tile with pixels, a row each: from the one on at which the window has its first corner,
    /// `at` (batch, outermost axis .. innermost axis, channel), each moved by the place in the window,
    /// `offset`. What lies outside of the image is 0. `barrier` counts the tile's bytes.
    ///
    /// The tile has as many rows as the window takes pixels, and panels as wide as it takes channels: a
    /// copy for each. One thread does this.
    #[track_caller]
    pub fn load_window<const R: usize, const D: usize>(
        &self,
        map: WindowTile<T, R, D>,
        at: [Val<i32>; R],
        offset: [impl IntoVal<u32>; D],
        barrier: Mbarrier,
    ) {
        let (rows, columns, wide) = (self.rows(), self.columns(), self.wide());
        let Window { channels, pixels, .. } = map.window;
        if pixels != rows || channels != wide || map.swizzle != self.swizzle() {
            fail(format!(
                "a tile of {rows} x {columns} with {:?} and a window of {pixels} pixels of {channels} \
                 channels with {:?}: a window takes a panel of the tile, {rows} x {wide}, swizzled alike",
                self.swizzle(),
                map.swizzle
            ));
        }
        let how = How { eviction: Eviction::Normal, mode: BoxMode::Pixels, ..How::PLAIN };
        let at: Vec<Val<i32>> = at.into_iter().rev().collect();
        let offset: Vec<Value> = offset.into_iter().rev().map(|x| x.into_val().id).collect();
        let offset: Vec<Value> = offset.into_iter().map(as_i32).collect();
        for panel in 0..columns / wide {
            let address = self.panel(panel);
            let channel = at[0] + (panel * wide) as i32;
            let mut operands = vec![address, map.map, barrier.address(), channel.id];
            operands.extend(at[1..].iter().map(|x| x.id));
            operands.extend(&offset);
            build(|b| b.emit(Opcode::TmaLoad, how.attr(), &operands, &[]));
        }
    }
}

#[track_caller]
fn as_i32(offset: Value) -> Value {
    build(|b| b.cast(offset, kernelsmith_ir::Scalar::I32))
}
