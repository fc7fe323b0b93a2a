//! Which kernel computes an attention, and how it is launched.

use std::any::TypeId;

use kernelsmith::BufferView;
use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::combine::combine_parts;
use super::config::Tile;
use super::cpu_config::{CpuConfig, Parts, RowsTile, Shape, USUAL_BLOCKS};
use super::decode::{attention_parts, part_len};
use super::eighths::Descales;
use super::element::AttentionElement;
use super::form::{Form, ScoreFunction};
use super::gather::{Factors, Sequences, gather};
use super::hopper;
use super::lengths::Apart;
use super::operand::is_dense;
use super::rows::attention_rows;
use super::shape::Attention;
use super::tiled::attention_tiled;
use super::tuning;
use super::words::Words;
use super::workspace::{AttentionWorkspace, room};
use crate::error::Error;
use crate::matmul::is_cpu;

/// An attention whose tensors are `outer x heads x rows x columns`, see [`attention_rows`].
pub(super) struct Problem<'a, T: Stored, O: Num> {
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
    pub(super) descales: Descales<'a>,
    pub(super) lse: Option<ViewMutArg<'a, f32, 3>>,
    pub(super) workspace: Option<&'a mut AttentionWorkspace>,
    pub(super) out: ViewMutArg<'a, O, 4>,
}

/// Keys and values, and their shapes.
type Converted = ([Buffer<f32>; 2], [[usize; 4]; 2]);

/// Queries of a sequence up to which a GPU takes each as a piece of work of its own.
const FEW: usize = 4;

impl<T: Stored, O: Num> Problem<'_, T, O> {
    /// Heads of queries to one of keys, the window, and the cap: what kernels take where there is none
    /// does not matter.
    pub(super) fn numbers(&self) -> (usize, usize, f32) {
        let Attention { heads, kv_heads, keys, window, soft_cap, .. } = self.a;
        (heads / kv_heads, window.unwrap_or(keys), soft_cap.unwrap_or(0.0))
    }
}

impl<'a, T: AttentionElement, O: Num> Problem<'a, T, O> {
    /// Keys and values as f32, their rows one after another, times the factors that scores and values have.
    pub(super) fn converted(&self) -> Result<Converted, Error> {
        let (sequences, [q, k, v]) = (self.sequences(), self.descales.views(&self.a));
        let of = |x, of| {
            let factors = Factors { of, ends: self.key_ends };
            gather::<T, f32>(sequences, sequences.most, false, x, factors)
        };
        let shape = |d| [sequences.batch, self.k.shape()[1], sequences.most, d];
        let Attention { dimension: d, value_dimension: dv, .. } = self.a;
        Ok(([of(self.k, [q, k])?, of(self.v, [v, None])?], [shape(d), shape(dv)]))
    }

    /// Where keys and values are, packed ones as those of one sequence.
    fn sequences(&self) -> Sequences<'a> {
        let Problem { a, lengths, table, .. } = *self;
        let [outer, _, rows, _] = self.k.shape();
        let (batch, most) = if table.is_some() { (a.batch, a.keys) } else { (outer, rows) };
        Sequences { batch, most, ends: None, lengths, table }
    }
}

impl<'a, T: Float + AttentionElement, O: Num> Problem<'a, T, O> {
    /// Nothing is empty but, perhaps, the keys. On the CPU the best configuration is searched for if `tuned`.
    pub(super) fn run<S>(self, score: S, tuned: bool) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        if is_cpu(self.out.device()) {
            let config = tuning::choose(&self, score, tuned)?;
            return self.on_cpu(config, score);
        }
        // Functions that capture values are an error, which the general kernels give.
        match hopper::choose(&self) {
            Some(choice) if size_of::<S>() == 0 => hopper::attend(self, choice, score),
            _ => self.on_gpu(score),
        }
    }

    /// By the kernels for every GPU and layout.
    fn on_gpu<S>(self, score: S) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let (k, v, few) = (self.k, self.v, self.a.queries <= FEW);
        if self.along() && few {
            return self.few::<T, f32, S>(k, v, USUAL_BLOCKS, score);
        }
        if self.along() && self.table.is_none() {
            return self.tiled(k, v, score);
        }
        let (x, shapes) = self.converted()?;
        let [key, value] = [0, 1].map(|i| View::of(&x[i], shapes[i]));
        let problem = Problem { table: None, ..self };
        match few {
            true => problem.few::<f32, f32, S>(key, value, USUAL_BLOCKS, score),
            false => problem.tiled(key, value, score),
        }
    }

    /// By the CPU's kernels, cut as `config` says.
    pub(super) fn on_cpu<S>(self, config: CpuConfig, score: S) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let (k, v) = (self.k, self.v);
        match config {
            CpuConfig::Parts { blocks } if self.along() => match (pairs_of(k), pairs_of(v)) {
                (Some(k), Some(v)) if self.in_pairs() => {
                    self.few::<u32, u32, S>(k, v, blocks, score)
                }
                _ => self.few::<T, f32, S>(k, v, blocks, score),
            },
            CpuConfig::Parts { blocks } => {
                let (x, shapes) = self.converted()?;
                let [key, value] = [0, 1].map(|i| View::of(&x[i], shapes[i]));
                Problem { table: None, ..self }.few::<f32, f32, S>(key, value, blocks, score)
            }
            CpuConfig::Rows(tile) if self.in_pairs() => self.pairs(tile, score),
            CpuConfig::Rows(tile) => {
                // f32 is read in place; other elements are converted once rather than by each block.
                let (tokens, f32s) = (k.shape()[2], TypeId::of::<T>() == TypeId::of::<f32>());
                if f32s && self.table.is_none() && is_dense(&k) && is_dense(&v) {
                    let rows = (tokens, tokens);
                    return self.rows::<T, f32, S>(k.data(), v.data(), rows, tile, score);
                }
                let ([k, v], [shape, _]) = self.converted()?;
                let problem = Problem { table: None, ..self };
                problem.rows::<f32, f32, S>(k.view(), v.view(), (shape[2], tokens), tile, score)
            }
        }
    }

    /// Whether columns of keys and values are next to each other.
    fn along(&self) -> bool {
        [self.k, self.v].iter().all(|x| x.layout().1[3] == 1 || x.shape()[3] == 1)
    }

    /// Whether bf16 are multiplied two at a time.
    fn in_pairs(&self) -> bool {
        let device = self.out.device();
        TypeId::of::<T>() == TypeId::of::<bf16>() && is_cpu(device) && device.limits().has_dot2
    }

    /// What the CPU's cost model knows of it.
    pub(super) fn cpu_shape(&self) -> Shape {
        let Attention { batch, kv_heads, queries, keys, causal, .. } = self.a;
        let (dimension, value_dimension) = (self.a.dimension, self.a.value_dimension);
        let (group, seen, _cap) = self.numbers();
        let (element, word) = (size_of::<T>(), if self.in_pairs() { 2 } else { 1 });
        let seen = seen.min(keys);
        Shape {
            batch,
            kv_heads,
            group,
            queries,
            keys,
            seen,
            dimension,
            value_dimension,
            element,
            word,
            causal,
        }
    }

    /// The same attention into other outputs.
    pub(super) fn again<'b>(&self, out: ViewMutArg<'b, O, 4>) -> Problem<'b, T, O>
    where
        'a: 'b,
    {
        let Problem { a, form, q, k, v, query_ends, key_ends, lengths, table, sinks, .. } = *self;
        let (descales, lse, workspace) = (self.descales, None, None);
        Problem {
            a,
            form,
            q,
            k,
            v,
            query_ends,
            key_ends,
            lengths,
            table,
            sinks,
            descales,
            lse,
            workspace,
            out,
        }
    }

    /// bf16 by the CPU's kernel, where the CPU multiplies pairs of such: keys are read in place if they are
    /// dense, values are laid out in pairs of rows.
    fn pairs<S>(self, tile: RowsTile, score: S) -> Result<(), Error>
    where
        S: ScoreFunction,
    {
        let Problem { a, key_ends, lengths, table, k, v, .. } = self;
        let (rows, tokens) = (a.keys, k.shape()[2]);
        let all = Sequences { batch: a.batch, most: rows, ends: key_ends, lengths, table };
        let values = gather::<T, u32>(all, rows.next_multiple_of(2), true, v, Factors::default())?;
        let in_place = table.is_none() && key_ends.is_none() && is_dense(&k);
        // Elements that begin or end between words are no words.
        if let (true, Ok(words)) = (in_place, k.data().cast::<u32>()) {
            return self.rows::<u32, u32, S>(words, values.view(), (rows, tokens), tile, score);
        }
        let keys = gather::<T, u32>(all, rows, false, k, Factors::default())?;
        self.rows::<u32, u32, S>(keys.view(), values.view(), (rows, tokens), tile, score)
    }

    /// Few queries: the keys are divided among blocks, so many for each thread.
    fn few<K: Num, W: Words, S>(
        self,
        k: ViewArg<'_, K, 4>,
        v: ViewArg<'_, K, 4>,
        blocks: usize,
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
        let (pairs, apart) = (batch * kv_heads, self.apart());
        let parts = Parts::new(pairs, group * m, n, blocks * device.threads());
        let Parts { pieces, rows, splits, chunk } = parts;
        let len = rows * part_len(dv);
        let blocks = pairs * splits * pieces;
        let mut own = None;
        let parts = match self.workspace {
            Some(workspace) => workspace.parts(blocks * len)?,
            None => own.insert(room(&device, blocks * len)?),
        };
        let mut parts = parts.slice_mut(..blocks * len)?;
        let to = View::of_mut(parts.reborrow(), [blocks, len]).partition([1, len]);
        attention_parts::<T, K, W, S>(
            batch, kv_heads, m, n, group, window, scale, cap, d, dv, rows, apart, form, score,
            splits, chunk, q, k, v, query_ends, key_ends, lengths, table, to,
        )
        .launch(&device)?;
        let Problem { sinks, lse, out, .. } = self;
        let parts = View::of(parts.view(), [pairs, splits, pieces * rows, part_len(dv)]);
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
        tile: RowsTile,
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
            m, n, rows, tokens, group, window, scale, cap, d, dv, tile, form, score, q, k, v,
            query_ends, key_ends, lengths, sinks, lse, out,
        )
        .grid((m.div_ceil(tile.queries), a.heads, a.batch))
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
}

/// A view in words of two elements along the columns, if it can be taken so.
fn pairs_of<'a, T: Float>(view: ViewArg<'a, T, 4>) -> Option<ViewArg<'a, u32, 4>> {
    let (shape @ [outer, heads, rows, d], strides) = view.layout();
    let even = (0..3).all(|axis| shape[axis] <= 1 || strides[axis].is_multiple_of(2));
    let words = view.data().cast::<u32>().ok().filter(|_| even && size_of::<T>() == 2)?;
    let [apart, across, down, _] = strides.map(|stride| stride / 2);
    Some(View::of(words, [outer, heads, rows, d / 2]).strides([apart, across, down, 1]))
}
