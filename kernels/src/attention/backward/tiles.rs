//! A block's keys, values and their gradients, in its own memory.

use kernelsmith::prelude::*;

use super::plan::{PAD, Tiling};
use super::products::Columns;

/// A block's memory. Keys lie in strips of one a thread.
#[derive(Clone, Copy)]
pub(super) struct Tiles<const W: usize> {
    /// `[strip][column][thread]`.
    k: Shared<f32>,
    v: Shared<f32>,
    dk: Shared<f32>,
    dv: Shared<f32>,
    /// `[query][thread]`, of one strip at a time.
    p: Shared<f32>,
    /// `[query][strip, thread]`.
    ds: Shared<f32>,
    d: usize,
    values: usize,
    queries: usize,
    stride: usize,
}

impl<const W: usize> Tiles<W> {
    #[track_caller]
    pub(super) fn new(tiling: Tiling) -> Self {
        let Tiling { dimension: d, values, keys, queries } = tiling;
        let side = |d: usize| shared::<f32>(keys * d);
        let stride = keys + PAD;
        let (p, ds) = (shared::<f32>(queries * W), shared::<f32>(queries * stride));
        let (k, v, dk, dv) = (side(d), side(values), side(d), side(values));
        Tiles { k, v, dk, dv, p, ds, d, values, queries, stride }
    }
}

#[device]
impl<const W: usize> Tiles<W> {
    fn strip(&self, of: Shared<f32>, #[comptime] d: usize, c: usize) -> Columns {
        Columns { data: of.slice(c * (d * W), d * W), stride: W }
    }

    pub(super) fn k(&self, c: usize) -> Columns {
        self.strip(self.k, self.d, c)
    }

    pub(super) fn v(&self, c: usize) -> Columns {
        self.strip(self.v, self.values, c)
    }

    pub(super) fn dk(&self, c: usize) -> Columns {
        self.strip(self.dk, self.d, c)
    }

    pub(super) fn dv(&self, c: usize) -> Columns {
        self.strip(self.dv, self.values, c)
    }

    pub(super) fn p(&self) -> Columns {
        Columns { data: self.p, stride: W }
    }

    pub(super) fn ds(&self) -> Columns {
        Columns { data: self.ds, stride: self.stride }
    }

    pub(super) fn ds_of(&self, c: usize) -> Columns {
        let len = (self.queries - 1) * self.stride + W;
        Columns { data: self.ds.slice(c * W, len), stride: self.stride }
    }

    /// Takes `count` keys and values, and zeros in place of more; sums begin at zero. The threads have keys.
    pub(super) fn load(&self, k: &[f32], v: &[f32], count: usize) {
        for c in 0..(count + (W - 1)) / W {
            let key = c * W + thread_idx_x();
            let (kt, vt, dk, dv) = (self.k(c), self.v(c), self.dk(c), self.dv(c));
            for e in range(0, self.d) {
                dk.set(e, 0.0);
                if key < count {
                    kt.set(e, k[key * self.d + e]);
                } else {
                    kt.set(e, 0.0);
                }
            }
            for e in range(0, self.values) {
                dv.set(e, 0.0);
                if key < count {
                    vt.set(e, v[key * self.values + e]);
                } else {
                    vt.set(e, 0.0);
                }
            }
        }
    }

    /// Stores the gradients of `count` keys, those of keys times `scale`. The threads have columns.
    pub(super) fn store<T: Float>(&self, scale: f32, dk: &mut [T], dv: &mut [T], count: usize) {
        let (tile_k, tile_v) = (self.dk, self.dv);
        for key in 0..count {
            let from = key / W * (self.d * W) + key % W;
            for e in (thread_idx_x()..self.d).step_by(W) {
                dk[key * self.d + e] = (tile_k[from + e * W] * scale).cast::<T>();
            }
            let from = key / W * (self.values * W) + key % W;
            for e in (thread_idx_x()..self.values).step_by(W) {
                dv[key * self.values + e] = tile_v[from + e * W].cast::<T>();
            }
        }
    }
}
