//! Attention with all that can be asked for.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::eighths::Descales;
use super::element::AttentionElement;
use super::form::{Form, ScoreMap, Unchanged};
use super::launch::Problem;
use super::operand::{Expected, Heads, HeadsMut};
use super::shape::Attention;
use super::workspace::AttentionWorkspace;
use crate::error::{Error, check_len};
use crate::matmul::Output;

/// Attention `softmax(Q K^T * scale) V` with all that can be asked for on the way.
///
/// Queries, keys, values and outputs are buffers, dense and row-major as [`Attention`] says, or views of any
/// strides. Tensors `batch x rows x heads x d`, as many have them, are permuted views:
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::attention::{Attention, FlashAttention};
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let (batch, rows, heads, d) = (2, 5, 4, 64);
/// let x = Buffer::<bf16>::zeros(&device, batch * rows * heads * d)?;
/// let mut out = Buffer::<bf16>::zeros(&device, batch * rows * heads * d)?;
/// let mut lse = Buffer::<f32>::zeros(&device, batch * heads * rows)?;
/// let view = View::of(&x, [batch, rows, heads, d]).permuted([0, 2, 1, 3])?;
/// let to = View::of_mut(&mut out, [batch, rows, heads, d]).permuted([0, 2, 1, 3])?;
/// FlashAttention::new(Attention::new(rows, rows, d).batch(batch).heads(heads).causal())
///     .lse(&mut lse)
///     .run(view, view, view, to)?;
/// // The first query sees one key of score 0, the second two of them.
/// assert_eq!(lse.to_vec()?[..2], [0.0, 2f32.ln()]);
/// # Ok(())
/// # }
/// ```
///
/// Elements are f32, f16 or bf16, outputs of the same type or f32; sums are f32.
///
/// They are `e4m3` too, with factors ([`q_descale`](Self::q_descale), [`k_descale`](Self::k_descale),
/// [`v_descale`](Self::v_descale)), as by FlashAttention-3: on Hopper, with up to 256 columns and those of values a
/// multiple of 16, both products are of 8-bit floats, so that weights are rounded to 4 bits, relative to 2^8 times
/// the greatest; else tensors are converted to f32.
///
/// CPUs with AVX512-BF16 take products of bf16 by [`dot2`](kernelsmith::prelude::dot2()), two at a time:
/// denormals then are zeros, and weights are rounded to bf16 for their product with values, so that an
/// output is off by 1/256 of the greatest value at most.
#[must_use = "attention is computed when `run` is called"]
pub struct FlashAttention<'a, S = Unchanged> {
    attention: Attention,
    score: S,
    sinks: Option<&'a Buffer<f32>>,
    descales: Descales<'a>,
    lse: Option<&'a mut Buffer<f32>>,
    query_ends: Option<&'a Buffer<u32>>,
    keys: Keys<'a>,
    tuned: bool,
    workspace: Option<&'a mut AttentionWorkspace>,
}

/// Where the keys and values of a sequence are.
#[derive(Clone, Copy)]
enum Keys<'a> {
    /// All sequences have as many.
    Batch,
    /// Each has the first few of its own.
    Lengths(&'a Buffer<u32>),
    /// One sequence after another.
    Packed(&'a Buffer<u32>),
    /// In pages: a table, and how many each sequence has.
    Paged(&'a Buffer<u32>, &'a Buffer<u32>),
}

impl FlashAttention<'_> {
    /// Of this shape.
    pub fn new(attention: Attention) -> Self {
        FlashAttention {
            attention,
            score: Unchanged,
            sinks: None,
            descales: Descales::default(),
            lse: None,
            query_ends: None,
            keys: Keys::Batch,
            tuned: false,
            workspace: None,
        }
    }
}

impl<'a, S: ScoreMap> FlashAttention<'a, S> {
    /// Lets scores go through `score(score, head, query, key)` after scaling and cap, as for ALiBi (Press et
    /// al., 2022) or any other bias by position. `head` counts through the batch:
    /// `sequence * heads + head`; queries and keys count within their sequence.
    ///
    /// The closure becomes a part of the kernel, so it captures nothing: one that does is an error.
    pub fn score<F: ScoreMap>(self, score: F) -> FlashAttention<'a, F> {
        let FlashAttention { attention, sinks, descales, lse, query_ends, keys, .. } = self;
        let (tuned, workspace) = (self.tuned, self.workspace);
        FlashAttention {
            attention,
            score,
            sinks,
            descales,
            lse,
            query_ends,
            keys,
            tuned,
            workspace,
        }
    }

    /// A score for each head, of a key that every query sees and that has no value: its weight only joins
    /// the sum that weights are divided by ("attention sinks", as in gpt-oss; Xiao et al., "Efficient
    /// Streaming Language Models with Attention Sinks", 2024). It is neither scaled nor capped.
    pub fn sinks(self, sinks: &'a Buffer<f32>) -> Self {
        FlashAttention { sinks: Some(sinks), ..self }
    }

    /// Asks for `ln(sum(exp(score)))` of each query over the keys that it sees and its head's sink, `-inf`
    /// if there are none: `batch x heads x queries`, or `heads x tokens` with packed queries; of finished
    /// scores (scaled, capped, through the function). Backward passes need it, and so do those who put
    /// together attentions to several sets of keys.
    pub fn lse(self, lse: &'a mut Buffer<f32>) -> Self {
        FlashAttention { lse: Some(lse), ..self }
    }

    /// Sequences of different lengths, one after another: `Q, O: tokens x heads x columns`, and
    /// `K, V: tokens x kv_heads x columns`. Sequence `i` of `batch` has queries
    /// `query_ends[i]..query_ends[i + 1]` and keys `key_ends[i]..key_ends[i + 1]`, from 0 to the number of
    /// tokens; either may be none. The [`Attention`]'s `queries` and `keys` are the most that a sequence
    /// has. Lengths that break these rules fail when the kernel runs.
    pub fn packed(self, query_ends: &'a Buffer<u32>, key_ends: &'a Buffer<u32>) -> Self {
        let query_ends = Some(query_ends);
        FlashAttention { query_ends, keys: Keys::Packed(key_ends), ..self }
    }

    /// As [`packed`](Self::packed), of the queries alone.
    pub fn packed_queries(self, query_ends: &'a Buffer<u32>) -> Self {
        FlashAttention { query_ends: Some(query_ends), ..self }
    }

    /// Each sequence has only the first `lengths[i]` of its keys: the others are padding, and not read.
    pub fn key_lengths(self, lengths: &'a Buffer<u32>) -> Self {
        FlashAttention { keys: Keys::Lengths(lengths), ..self }
    }

    /// Keys and values in pages (Kwon et al., "Efficient Memory Management for Large Language Model Serving
    /// with PagedAttention", 2023): `K, V: pages x page x kv_heads x columns`, as views. Sequence `i` has
    /// `lengths[i]` keys, key `j` in row `j % page` of page `table[i, j / page]`, of a table
    /// `batch x most pages`. A page that there is not is an error when the kernel runs.
    pub fn paged(self, table: &'a Buffer<u32>, lengths: &'a Buffer<u32>) -> Self {
        FlashAttention { keys: Keys::Paged(table, lengths), ..self }
    }

    /// Searches for the best tiles first if nobody has for attentions of about this size: for three seconds at
    /// most, in memory of its own. What is found is kept, and used by all later ones, also without this; see
    /// [`tune_attention`](super::tune_attention). Only on the CPU is there a choice.
    pub fn tuned(self) -> Self {
        FlashAttention { tuned: true, ..self }
    }

    /// What queries of 8-bit floats are multiplied by: one positive number, or `batch x kv_heads` of them, each
    /// for the heads of queries that share a head of keys. Without, 1.
    pub fn q_descale(mut self, factors: &'a Buffer<f32>) -> Self {
        self.descales.q = Some(factors);
        self
    }

    /// What keys of 8-bit floats are multiplied by, as [`q_descale`](Self::q_descale).
    pub fn k_descale(mut self, factors: &'a Buffer<f32>) -> Self {
        self.descales.k = Some(factors);
        self
    }

    /// What values of 8-bit floats are multiplied by, as [`q_descale`](Self::q_descale).
    pub fn v_descale(mut self, factors: &'a Buffer<f32>) -> Self {
        self.descales.v = Some(factors);
        self
    }

    /// Memory that is kept from one attention to the next, for outputs of parts of the keys: where there are few
    /// queries, several blocks share the keys of each. Without, it is allocated each time.
    pub fn workspace(self, workspace: &'a mut AttentionWorkspace) -> Self {
        FlashAttention { workspace: Some(workspace), ..self }
    }

    /// Launches the attention on the device of `out`.
    ///
    /// # Errors
    /// If the numbers of the [`Attention`] do not go together, a tensor has another shape than they say, the
    /// function of scores captures values, or arguments are on different devices.
    pub fn run<'r, T: AttentionElement, O: Output<f32>>(
        self,
        q: impl Into<Heads<'r, T>>,
        k: impl Into<Heads<'r, T>>,
        v: impl Into<Heads<'r, T>>,
        out: impl Into<HeadsMut<'r, O>>,
    ) -> Result<(), Error>
    where
        'a: 'r,
    {
        self.attend(q.into(), k.into(), Some(v.into()), out.into())
    }

    /// Launches the attention with values that are the first columns of the keys, `value_dimension` of them:
    /// multi-head latent attention (DeepSeek-V2, 2024, section 2.1) whose products with the latents' factors
    /// have been taken into queries and outputs ("absorbed"). A latent of 512 columns and 64 of rotary
    /// embedding, one head of keys for all heads of queries:
    ///
    /// ```
    /// use kernelsmith::prelude::*;
    /// use kernelsmith_kernels::attention::{Attention, FlashAttention};
    ///
    /// # fn main() -> Result<(), kernelsmith_kernels::Error> {
    /// let device = Device::cpu();
    /// let (heads, keys) = (16, 40);
    /// let q = Buffer::<bf16>::zeros(&device, heads * 576)?;
    /// let latents = Buffer::<bf16>::from_slice(&device, &vec![bf16::ONE; keys * 576])?;
    /// let mut out = Buffer::<bf16>::zeros(&device, heads * 512)?;
    /// let a = Attention::new(1, keys, 576).value_dimension(512).heads(heads).kv_heads(1);
    /// // What scores are divided by is the root of the dimension before absorption.
    /// FlashAttention::new(a.scale(192f32.sqrt().recip())).run_latent(&q, &latents, &mut out)?;
    /// assert_eq!(out.to_vec()?, vec![bf16::ONE; heads * 512]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// That is [`run`](Self::run) with a view of those columns for `v`, which does as well. Kernels that can
    /// read what is both once do so.
    ///
    /// # Errors
    /// As [`run`](Self::run), and if values have more columns than keys.
    pub fn run_latent<'r, T: AttentionElement, O: Output<f32>>(
        self,
        q: impl Into<Heads<'r, T>>,
        k: impl Into<Heads<'r, T>>,
        out: impl Into<HeadsMut<'r, O>>,
    ) -> Result<(), Error>
    where
        'a: 'r,
    {
        self.attend(q.into(), k.into(), None, out.into())
    }

    /// Without values they are the first columns of the keys.
    fn attend<'r, T: AttentionElement, O: Output<f32>>(
        self,
        q: Heads<'r, T>,
        k: Heads<'r, T>,
        v: Option<Heads<'r, T>>,
        out: HeadsMut<'r, O>,
    ) -> Result<(), Error>
    where
        'a: 'r,
    {
        let (map, tuned) = (self.score, self.tuned);
        let score = move |s, head, query, key| map.apply(s, head, query, key);
        match self.problem(q, k, v, out)? {
            Some(problem) => T::attend(problem, score, tuned),
            None => Ok(()),
        }
    }

    /// The attention of these tensors; none if nothing comes out. Without values they are the first columns of
    /// the keys.
    pub(super) fn problem<'r, T: Stored, O: Output<f32>>(
        self,
        q: Heads<'r, T>,
        k: Heads<'r, T>,
        v: Option<Heads<'r, T>>,
        out: HeadsMut<'r, O>,
    ) -> Result<Option<Problem<'r, T, O>>, Error>
    where
        'a: 'r,
    {
        let FlashAttention { attention: a, sinks, lse, query_ends, keys, .. } = self;
        let (workspace, descales) = (self.workspace, self.descales);
        a.check()?;
        descales.check(&a)?;
        let q = q.place("q", query_shape(&a, query_ends, Columns::of_keys(&a))?)?;
        let out = out.place("out", query_shape(&a, query_ends, Columns::of_values(&a))?)?;
        if q.shape()[..3] != out.shape()[..3] {
            let rule = format!("it must have as many as `q`, {}", q.shape()[2]);
            let found = format!("{} tokens", out.shape()[2]);
            return Err(Error::Shape { argument: "out", found, rule });
        }
        let k = k.place("k", key_shape(&a, keys, Columns::of_keys(&a))?)?;
        let v = match v {
            Some(v) => v.place("v", key_shape(&a, keys, Columns::of_values(&a))?)?,
            None => first_columns(k, a.value_dimension)?,
        };
        if k.shape()[..3] != v.shape()[..3] {
            let rule = format!("`k` has {:?}: so must it", &k.shape()[..3]);
            let found = format!("{:?} (outer, heads, rows)", &v.shape()[..3]);
            return Err(Error::Shape { argument: "v", found, rule });
        }
        if let Some(sinks) = sinks {
            check_len("sinks", sinks.len(), "heads", Some(a.heads))?;
        }
        let lse = lse.map(|lse| lse_view(lse, q.shape(), query_ends.is_some())).transpose()?;
        if let Some(workspace) = &workspace {
            workspace.check(out.device())?;
        }
        if out.shape().contains(&0) {
            return Ok(None);
        }
        let (key_ends, lengths, table) = match keys {
            Keys::Batch => (None, None, None),
            Keys::Lengths(lengths) => (None, Some(lengths), None),
            Keys::Packed(ends) => (Some(ends), None, None),
            Keys::Paged(table, lengths) => {
                let pages = table.len() / a.batch;
                check_pages(&a, pages, k.shape()[2])?;
                (None, Some(lengths), Some(View::of(table, [a.batch, pages])))
            }
        };
        let form = Form {
            causal: a.causal,
            windowed: a.window.is_some(),
            capped: a.soft_cap.is_some(),
            scored: S::SOME,
        };
        Ok(Some(Problem {
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
        }))
    }
}

/// Columns of a tensor, and formulas for the elements of tensors that have them.
struct Columns {
    d: usize,
    queries: [&'static str; 2],
    keys: [&'static str; 3],
}

impl Columns {
    /// Of queries and keys.
    fn of_keys(a: &Attention) -> Columns {
        Columns {
            d: a.dimension,
            queries: ["batch * heads * queries * dimension", "tokens * heads * dimension"],
            keys: [
                "batch * kv_heads * keys * dimension",
                "tokens * kv_heads * dimension",
                "pages * page * kv_heads * dimension",
            ],
        }
    }

    /// Of values and outputs.
    fn of_values(a: &Attention) -> Columns {
        Columns {
            d: a.value_dimension,
            queries: [
                "batch * heads * queries * value_dimension",
                "tokens * heads * value_dimension",
            ],
            keys: [
                "batch * kv_heads * keys * value_dimension",
                "tokens * kv_heads * value_dimension",
                "pages * page * kv_heads * value_dimension",
            ],
        }
    }
}

/// What queries and outputs are.
fn query_shape(
    a: &Attention,
    ends: Option<&Buffer<u32>>,
    Columns { d, queries: [dense, packed], .. }: Columns,
) -> Result<Expected, Error> {
    let &Attention { batch, heads, queries, .. } = a;
    let Some(ends) = ends else {
        return Ok(Expected::Batch([batch, heads, queries, d], dense));
    };
    check_len("query_ends", ends.len(), "batch + 1", batch.checked_add(1))?;
    Ok(Expected::Packed([heads, d], packed))
}

/// What keys and values are.
fn key_shape(
    a: &Attention,
    keys: Keys<'_>,
    Columns { d, keys: [dense, packed, pages], .. }: Columns,
) -> Result<Expected, Error> {
    let &Attention { batch, kv_heads, keys: n, .. } = a;
    Ok(match keys {
        Keys::Batch => Expected::Batch([batch, kv_heads, n, d], dense),
        Keys::Lengths(lengths) => {
            check_len("lengths", lengths.len(), "batch", Some(batch))?;
            Expected::Batch([batch, kv_heads, n, d], dense)
        }
        Keys::Packed(ends) => {
            check_len("key_ends", ends.len(), "batch + 1", batch.checked_add(1))?;
            Expected::Packed([kv_heads, d], packed)
        }
        Keys::Paged(table, lengths) => {
            check_len("lengths", lengths.len(), "batch", Some(batch))?;
            if batch == 0 || !table.len().is_multiple_of(batch) {
                let rule = format!("it must have as many for each sequence of batch = {batch}");
                let found = format!("{} elements", table.len());
                return Err(Error::Shape { argument: "table", found, rule });
            }
            Expected::Pages([kv_heads, d], pages)
        }
    })
}

/// The values that are the first columns of the keys.
fn first_columns<T: Stored>(
    k: ViewArg<'_, T, 4>,
    values: usize,
) -> Result<ViewArg<'_, T, 4>, Error> {
    let ([outer, heads, rows, d], strides) = k.layout();
    if values > d {
        let rule = format!("values are the first columns of the keys, of dimension = {d}");
        let found = format!("the value {values}");
        return Err(Error::Shape { argument: "value_dimension", found, rule });
    }
    Ok(View::of(k.data(), [outer, heads, rows, values]).strides(strides))
}

/// The keys of a sequence find room in its pages.
fn check_pages(a: &Attention, pages: usize, page: usize) -> Result<(), Error> {
    let room = pages.saturating_mul(page);
    if a.keys <= room {
        return Ok(());
    }
    Err(Error::Shape {
        argument: "table",
        found: format!("{pages} pages of {page} keys for each sequence"),
        rule: format!("it must have room for keys = {}", a.keys),
    })
}

/// `outer x heads x rows`, of queries `outer x heads x rows x d`.
fn lse_view<'r>(
    lse: &'r mut Buffer<f32>,
    [outer, heads, rows, _]: [usize; 4],
    packed: bool,
) -> Result<ViewMutArg<'r, f32, 3>, Error> {
    let formula = if packed { "heads * tokens" } else { "batch * heads * queries" };
    let elements = [outer, heads, rows].into_iter().try_fold(1usize, usize::checked_mul);
    check_len("lse", lse.len(), formula, elements)?;
    Ok(View::of_mut(lse, [outer, heads, rows]))
}
