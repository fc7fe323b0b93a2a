//! Which kernel computes an attention, and how it is launched.

use std::any::TypeId;

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;
use kernelsmith::{BufferView, Target};

use super::combine::combine_parts;
use super::config::Tile;
use super::decode::{self, attention_parts, part_len};
use super::form::{Form, ScoreFunction};
use super::gather::{Sequences, gather};
use super::hopper;
use super::lengths::Apart;
use super::operand::is_dense;
use super::rows::{QUERIES, attention_rows};
use super::shape::Attention;
use super::tiled::attention_tiled;
use super::words::Words;
use crate::error::Error;

/// An attention whose tensors are `outer x heads x rows x columns`, see [`attention_rows`].
pub(super) struct Problem<'a, T: Float, O: Num> {
    pub(super) a: Attention,
    pub(super) form: Form,
    pub(super) q: ViewArg<'a, T, 4>,
    pub(super) k: ViewArg<'a, T, 4>,
    pub(super) v: ViewArg<'a, T, 4>,
    pub(super) query_ends: Option<&'a Buffer<u32>>,
    pub(super) key_ends: Option<&'a Buffer<u32>>,
    pub(super) lengths: Option<&'a Buffer<u32>>,
    /// With it, keys and values are in pages.
    pub(super) table: Option<ViewArg<'a, u32, 2>>,
    pub(super) sinks: Option<&'a Buffer<f32>>,
    pub(super) lse: Option<ViewMutArg<'a, f32, 3>>,
    pub(super) out: ViewMutArg<'a, O, 4>,
}

/// Queries of a sequence that are each a piece of work of its own: for more, keys and values are read for
/// many queries at a time.
const FEW: usize = 4;

/// Keys of a part at least: some microseconds of reading.
const LEAST_KEYS: usize = 256;

impl<'a, T: Float, O: Num> Problem<'a, T, O> {
    /// Nothing is empty but, perhaps, the keys.
    pub(super) fn run<S>(self, score: S) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        // Functions that capture values are an error, which the general kernels give.
        match hopper::choose(&self) {
            Some(choice) if size_of::<S>() == 0 => hopper::attend(self, choice, score),
            _ => self.general(score),
        }
    }

    /// By the kernels for every device and layout.
    fn general<S>(self, score: S) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let (k, v) = (self.k, self.v);
        let along = [k, v].iter().all(|x| x.layout().1[3] == 1 || x.shape()[3] == 1);
        let on_cpu = *self.out.device().target() == Target::Cpu;
        let of_bf16 = TypeId::of::<T>() == TypeId::of::<bf16>();
        let in_pairs = on_cpu && of_bf16 && self.out.device().limits().has_dot2;
        if self.a.queries <= FEW && along {
            return match (pairs_of(k), pairs_of(v)) {
                (Some(k), Some(v)) if in_pairs => self.few::<u32, u32, S>(k, v, score),
                _ => self.few::<T, f32, S>(k, v, score),
            };
        }
        if !on_cpu && along && self.a.queries > FEW && self.table.is_none() {
            return self.tiled(k, v, score);
        }
        if in_pairs && self.a.queries > FEW {
            return self.pairs(score);
        }
        // The CPU reads f32 in place; other elements are converted once rather than by each block.
        let tokens = k.shape()[2];
        let dense = self.table.is_none() && is_dense(&k) && is_dense(&v);
        if on_cpu && dense && TypeId::of::<T>() == TypeId::of::<f32>() {
            return self.rows::<T, f32, S>(k.data(), v.data(), (tokens, tokens), score);
        }
        let sequences = self.sequences();
        let [k, v] = [k, v].map(|x| gather::<T, f32>(sequences, sequences.most, false, x));
        let (k, v) = (k?, v?);
        let Attention { dimension: d, value_dimension: dv, .. } = self.a;
        let shape = |d| [sequences.batch, self.k.shape()[1], sequences.most, d];
        let (key, value) = (View::of(&k, shape(d)), View::of(&v, shape(dv)));
        let problem = Problem { table: None, ..self };
        if problem.a.queries <= FEW {
            problem.few::<f32, f32, S>(key, value, score)
        } else if on_cpu {
            problem.rows::<f32, f32, S>(key.data(), value.data(), (sequences.most, tokens), score)
        } else {
            problem.tiled(key, value, score)
        }
    }

    /// bf16 by the CPU's kernel, where the CPU multiplies pairs of such: keys are read in place if they are
    /// dense, values are laid out in pairs of rows.
    fn pairs<S>(self, score: S) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let Problem { a, key_ends, lengths, table, k, v, .. } = self;
        let (rows, tokens) = (a.keys, k.shape()[2]);
        let all = Sequences { batch: a.batch, most: rows, ends: key_ends, lengths, table };
        let values = gather::<T, u32>(all, rows.next_multiple_of(2), true, v)?;
        let in_place = table.is_none() && key_ends.is_none() && is_dense(&k);
        // Elements that begin or end between words are no words.
        if let (true, Ok(words)) = (in_place, k.data().cast::<u32>()) {
            return self.rows::<u32, u32, S>(words, values.view(), (rows, tokens), score);
        }
        let keys = gather::<T, u32>(all, rows, false, k)?;
        self.rows::<u32, u32, S>(keys.view(), values.view(), (rows, tokens), score)
    }

    /// Where keys and values are, packed ones as those of one sequence.
    fn sequences(&self) -> Sequences<'a> {
        let Problem { a, lengths, table, .. } = *self;
        let [outer, _, rows, _] = self.k.shape();
        let (batch, most) = if table.is_some() { (a.batch, a.keys) } else { (outer, rows) };
        Sequences { batch, most, ends: None, lengths, table }
    }

    /// Few queries: the keys are divided among blocks.
    fn few<K: Num, W: Words, S>(
        self,
        k: ViewArg<'_, K, 4>,
        v: ViewArg<'_, K, 4>,
        score: S,
    ) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let Problem { a, form, q, query_ends, key_ends, lengths, table, .. } = self;
        let Attention { batch, kv_heads, queries: m, keys: n, scale, .. } = a;
        let (d, dv) = (a.dimension, a.value_dimension);
        let device = self.out.device().clone();
        let (group, window, cap) = self.numbers();
        let pieces = (group * m).div_ceil(decode::ROWS);
        let rows = (group * m).div_ceil(pieces);
        let wanted =
            (8 * device.limits().compute_units as usize).div_ceil(batch * kv_heads * pieces);
        let splits = wanted.clamp(1, n.div_ceil(LEAST_KEYS).max(1));
        let (chunk, len) = (n.div_ceil(splits), rows * part_len(dv));
        let (pairs, apart) = (batch * kv_heads, self.apart());
        let blocks = pairs * splits * pieces;
        // SAFETY: each part is written before it is read, unless a block fails: then what outputs are made of
        // does not matter, since the failure is what the device tells.
        let mut parts = unsafe { Buffer::<f32>::uninit(&device, blocks * len) }?;
        let to = View::of_mut(&mut parts, [blocks, len]).partition([1, len]);
        attention_parts::<T, K, W, S>(
            batch, kv_heads, m, n, group, window, scale, cap, d, dv, rows, apart, form, score,
            splits, chunk, q, k, v, query_ends, key_ends, lengths, table, to,
        )
        .launch(&device)?;
        let Problem { sinks, lse, out, .. } = self;
        let parts = View::of(&parts, [pairs, splits, pieces * rows, part_len(dv)]);
        combine_parts::<O>(batch, group, m, dv, apart.queries, parts, query_ends, sinks, lse, out)
            .grid((pairs, group * m))
            .launch(&device)?;
        Ok(())
    }

    /// By the CPU's kernel; `rows` of keys and values of each head follow each other, and
    /// the ends of packed keys end at `tokens`.
    fn rows<K: Num, W: Words, S>(
        self,
        k: BufferView<'_, K>,
        v: BufferView<'_, K>,
        (rows, tokens): (usize, usize),
        score: S,
    ) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let (group, window, cap) = self.numbers();
        let Problem { a, form, q, query_ends, key_ends, lengths, sinks, lse, out, .. } = self;
        let Attention { queries: m, keys: n, scale, dimension: d, value_dimension: dv, .. } = a;
        let device = out.device().clone();
        attention_rows::<T, K, W, O, S>(
            m, n, rows, tokens, group, window, scale, cap, d, dv, form, score, q, k, v, query_ends,
            key_ends, lengths, sinks, lse, out,
        )
        .grid((m.div_ceil(QUERIES), a.heads, a.batch))
        .launch(&device)?;
        Ok(())
    }

    /// By the GPUs' kernel.
    fn tiled<K: Float, S>(
        self,
        k: ViewArg<'_, K, 4>,
        v: ViewArg<'_, K, 4>,
        score: S,
    ) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let ((group, window, cap), apart) = (self.numbers(), self.apart());
        let Problem { a, form, q, query_ends, key_ends, lengths, sinks, lse, out, .. } = self;
        let Attention { batch, queries: m, keys: n, scale, .. } = a;
        let (d, dv) = (a.dimension, a.value_dimension);
        let (device, tile) = (out.device().clone(), Tile::of(d, dv));
        attention_tiled::<T, K, O, S>(
            batch, m, n, group, window, scale, cap, d, dv, tile, apart, form, score, q, k, v,
            query_ends, key_ends, lengths, sinks, lse, out,
        )
        .grid((m.div_ceil(tile.queries), a.heads, a.batch))
        .launch(&device)?;
        Ok(())
    }

    /// Which tensors have a place for each sequence.
    fn apart(&self) -> Apart {
        let keys = self.key_ends.is_none() && self.table.is_none();
        Apart { queries: self.query_ends.is_none(), keys }
    }

    /// Heads of queries to one of keys, the window, and the cap: what kernels take where there is none
    /// does not matter.
    pub(super) fn numbers(&self) -> (usize, usize, f32) {
        let Attention { heads, kv_heads, keys, window, soft_cap, .. } = self.a;
        (heads / kv_heads, window.unwrap_or(keys), soft_cap.unwrap_or(0.0))
    }
}

/// A view in words of two elements along the columns, if it can be taken so.
fn pairs_of<'a, T: Float>(view: ViewArg<'a, T, 4>) -> Option<ViewArg<'a, u32, 4>> {
    let (shape @ [outer, heads, rows, d], strides) = view.layout();
    let even = (0..3).all(|axis| shape[axis] <= 1 || strides[axis].is_multiple_of(2));
    let words = view.data().cast::<u32>().ok().filter(|_| even && size_of::<T>() == 2)?;
    let [apart, across, down, _] = strides.map(|stride| stride / 2);
    Some(View::of(words, [outer, heads, rows, d / 2]).strides([apart, across, down, 1]))
}
