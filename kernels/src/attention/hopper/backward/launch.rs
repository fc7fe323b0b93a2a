//! The launches of a backward pass that Hopper's own kernel takes.

use std::any::Any;

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::config::{self, KEYS, Tile, WIDE_KEYS};
use super::kernel::attention_gradients;
use super::partial::{self, ordered_sums};
use super::prepare::attention_statistics;
use super::wide::attention_gradients_wide;
use crate::attention::backward::{Forward, Gradients};
use crate::attention::form::Form;
use crate::attention::hopper::config::section;
use crate::attention::shape::Attention;
use crate::error::Error;

/// Which attention's gradients, and how.
#[derive(Clone, Copy)]
pub(in crate::attention) struct Call {
    pub(in crate::attention) a: Attention,
    pub(in crate::attention) form: Form,
    /// Whether dQ is added up in a fixed order.
    pub(in crate::attention) deterministic: bool,
}

/// What a backward pass knows of its queries, see [`attention_statistics`].
#[derive(Debug)]
pub(in crate::attention) struct Statistics {
    numbers: Buffer<f32>,
    /// Heads of all sequences, tiles of each, and rows of a tile.
    shape: [usize; 3],
}

impl Statistics {
    /// What the softmax takes off the gradients of each query's weights: `lines x tiles x rows`.
    pub(in crate::attention) fn delta(&self) -> Result<ViewArg<'_, f32, 3>, Error> {
        let [_, tiles, rows] = self.shape;
        let strides = [tiles * 2 * rows, 2 * rows, 1];
        Ok(View::of(self.numbers.slice(rows..)?, self.shape).strides(strides))
    }
}

/// The tile by which Hopper's kernel computes the gradients, if the device is a Hopper GPU and there is a kernel
/// for them.
pub(in crate::attention) fn choose<T: Float, O: Float>(call: Call, dq: &Buffer<T>) -> Option<Tile> {
    let types = (T::TYPE == bf16::TYPE || T::TYPE == f16::TYPE) && O::TYPE == T::TYPE;
    let device = dq.device();
    config::choose(device.target(), &call.a, call.form).filter(|_| types)
}

/// Launches a backward pass with a tile that was [chosen](choose); gives what it knows of the queries.
pub(in crate::attention) fn run<T: Float, O: Float>(
    call: Call,
    tile: Tile,
    forward: Forward<'_, T, O>,
    d_out: &Buffer<O>,
    gradients: Gradients<'_, T>,
) -> Result<Statistics, Error> {
    if T::TYPE == bf16::TYPE {
        bf16s(call, tile, typed(forward), of(d_out), typed_mut(gradients))
    } else {
        f16s(call, tile, typed(forward), of(d_out), typed_mut(gradients))
    }
}

/// A buffer as what it is.
fn of<T: Float, U: Float>(x: &Buffer<T>) -> &Buffer<U> {
    (x as &dyn Any).downcast_ref().expect("types were compared")
}

fn of_mut<T: Float, U: Float>(x: &mut Buffer<T>) -> &mut Buffer<U> {
    (x as &mut dyn Any).downcast_mut().expect("types were compared")
}

fn typed<T: Float, O: Float, U: Float>(forward: Forward<'_, T, O>) -> Forward<'_, U, U> {
    let Forward { q, k, v, out, lse } = forward;
    Forward { q: of(q), k: of(k), v: of(v), out: of(out), lse }
}

fn typed_mut<T: Float, U: Float>(gradients: Gradients<'_, T>) -> Gradients<'_, U> {
    let Gradients { dq, dk, dv } = gradients;
    Gradients { dq: of_mut(dq), dk: of_mut(dk), dv: of_mut(dv) }
}

/// Functions without parameters of their own, so that the kernels are compiled with this crate.
macro_rules! types {
    ($($name:ident: $t:ty;)*) => {$(
        fn $name(
            call: Call,
            tile: Tile,
            forward: Forward<'_, $t, $t>,
            d_out: &Buffer<$t>,
            gradients: Gradients<'_, $t>,
        ) -> Result<Statistics, Error> {
            let all = (call, forward, d_out, gradients);
            match tile.columns {
                64 => launch::<$t, 64, 64, 32>(all, KEYS, narrow::<$t, 64, 64, 32>),
                96 => launch::<$t, 96, 64, 48>(all, KEYS, narrow::<$t, 96, 64, 48>),
                128 => launch::<$t, 128, 64, 64>(all, KEYS, narrow::<$t, 128, 64, 64>),
                192 => launch::<$t, 192, 64, 96>(all, WIDE_KEYS, wide::<$t, 192, 96>),
                _ => launch::<$t, 256, 64, 128>(all, WIDE_KEYS, wide::<$t, 256, 128>),
            }
        }
    )*};
}

types! {
    bf16s: bf16;
    f16s: f16;
}

/// What the kernel that does the work gets.
struct Work<'a, T: Float> {
    call: Call,
    forward: Forward<'a, T, T>,
    d_out: &'a Buffer<T>,
    statistics: &'a Buffer<f32>,
    turns: Option<&'a mut Buffer<u32>>,
    sums: &'a mut Buffer<f32>,
    dk: &'a mut Buffer<T>,
    dv: &'a mut Buffer<T>,
}

/// The launch of a kernel: they have the same arguments.
macro_rules! launch_of {
    ($kernel:expr, $work:expr) => {{
        let Work { call: Call { a, form, .. }, forward, d_out, statistics, .. } = $work;
        let Work { turns, sums, dk, dv, .. } = $work;
        let Attention { queries: m, keys: n, dimension: d, value_dimension: values, .. } = a;
        let (heads, lines) = (a.batch * a.heads, a.batch * a.kv_heads);
        let group = a.heads / a.kv_heads;
        let rows = sums.len() / partial::WIDE;
        $kernel(
            m,
            n,
            lines,
            group,
            a.window.unwrap_or(n).min(n),
            // Queries and gradients of outputs of a head of keys are read again and again.
            section(m.saturating_mul(2 * (d + values) * group), 1),
            a.scale,
            a.soft_cap.unwrap_or(0.0),
            form,
            View::of(forward.q, [heads, m, d]),
            View::of(forward.k, [lines, n, d]),
            View::of(forward.v, [lines, n, values]),
            View::of(d_out, [heads, m, values]),
            View::of(statistics, [statistics.len() / 4, 4]),
            turns,
            View::of_mut(sums, [rows, partial::WIDE]),
            View::of_mut(dk, [lines, n, d]),
            View::of_mut(dv, [lines, n, values]),
        )
    }};
}

fn narrow<T: Float, const D: usize, const M: usize, const DQ: usize>(
    work: Work<'_, T>,
) -> Launch<'_>
where
    Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, M>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
{
    launch_of!(attention_gradients::<T, D, M, DQ>, work)
}

fn wide<T: Float, const D: usize, const DQ: usize>(work: Work<'_, T>) -> Launch<'_>
where
    Wgmma<T, 32>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
{
    launch_of!(attention_gradients_wide::<T, D, DQ>, work)
}

fn launch<T: Float, const D: usize, const M: usize, const DQ: usize>(
    (call, forward, d_out, gradients): (Call, Forward<'_, T, T>, &Buffer<T>, Gradients<'_, T>),
    keys: usize,
    kernel: fn(Work<'_, T>) -> Launch<'_>,
) -> Result<Statistics, Error> {
    let Call { a, deterministic, .. } = call;
    let Forward { out, lse, .. } = forward;
    let Gradients { dq, dk, dv } = gradients;
    let Attention { queries: m, keys: n, dimension: d, .. } = a;
    let device = dq.device().clone();
    let heads = a.batch * a.heads;
    let each = m.div_ceil(M);
    let tiles = heads * each;
    // SAFETY: the kernel writes every element before another one reads it.
    let mut statistics = unsafe { Buffer::<f32>::uninit(&device, tiles * 2 * M) }?;
    let columns = a.value_dimension;
    attention_statistics::<T, M>(heads, m, columns, each, out, d_out, lse, &mut statistics)
        .grid(tiles)
        .launch(&device)?;
    let mut sums = Buffer::<f32>::zeros(&device, tiles * M * D)?;
    let mut turns = Buffer::<u32>::zeros(&device, if deterministic { 1 + tiles } else { 0 })?;
    let work = Work {
        call,
        forward,
        d_out,
        statistics: &statistics,
        turns: deterministic.then_some(&mut turns),
        sums: &mut sums,
        dk,
        dv,
    };
    kernel(work).grid(a.batch * a.kv_heads * n.div_ceil(keys)).launch(&device)?;
    ordered_sums::<T, D, M, DQ>(heads, m, d, each, a.scale, &sums, dq)
        .grid(tiles)
        .launch(&device)?;
    Ok(Statistics { numbers: statistics, shape: [heads, each, M] })
}
