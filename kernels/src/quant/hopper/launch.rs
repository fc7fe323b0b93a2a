//! Products that Hopper's own kernel takes: all of weights that are packed for it.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;
use kernelsmith::{BufferView, Target};

use super::config::{Config, WIDTHS, choose};
use super::fragments::{Form, ROWS};
use super::product::quantized_wgmma;
use crate::error::Error;
use crate::matmul::{Steps, finish_product_parts};

/// Whether a device has `wgmma`.
pub(in crate::quant) fn is_hopper(device: &Device) -> bool {
    *device.target() == Target::sm(90, true)
}

/// The weights of a product.
#[derive(Clone, Copy)]
struct Weights<'a> {
    form: Form,
    words: &'a Buffer<u32>,
}

/// Launches `Y = X * W'` of `X: m x k` and `W: n x k`, of which nothing is empty. Activations of f16 and bf16
/// are multiplied as they are, others as bf16.
pub(in crate::quant) fn product<T: Float>(
    [m, n, k]: [usize; 3],
    x: &Buffer<T>,
    (form, words): (Form, &Buffer<u32>),
    y: &mut Buffer<f32>,
) -> Result<(), Error> {
    let (w, y) = (Weights { form, words }, View::of_mut(y, [1, m, n]));
    if T::TYPE == f16::TYPE {
        return of_type::<f16>(x.view().cast::<f16>()?, k, w, y);
    }
    if T::TYPE == bf16::TYPE {
        return of_type::<bf16>(x.view().cast::<bf16>()?, k, w, y);
    }
    // SAFETY: the kernel writes every element.
    let mut narrow = unsafe { Buffer::<bf16>::uninit(x.device(), m * k) }?;
    narrow_activations(x, &mut narrow).threads(m * k, 256).launch(x.device())?;
    of_type::<bf16>(narrow.view(), k, w, y)
}

/// Activations as the tensor cores take them.
#[kernel(requires = (y.len() >= x.len()))]
fn narrow_activations<T: Float>(x: &[T], y: &mut [bf16]) {
    let i = global_idx_x();
    if i < x.len() {
        y[i] = x[i].to_f32().cast::<bf16>();
    }
}

fn of_type<T: Float>(
    x: BufferView<'_, T>,
    k: usize,
    w: Weights<'_>,
    y: ViewMutArg<'_, f32, 3>,
) -> Result<(), Error>
where
    Wgmma<T, 16>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 32>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 64>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 128>: WgmmaAtom<Input = T, Sum = f32>,
{
    let [_, m, n] = y.shape();
    let device = y.device().clone();
    let x = View::of(x, [1, m, k]);
    let config = choose(w.form, [m, n, k], device.limits().compute_units as usize);
    if config.parts == 1 {
        return by_width(config, w, x, y);
    }
    let parts = config.parts;
    // SAFETY: every element is written before it is read.
    let mut sums = unsafe { Buffer::<f32>::uninit(&device, parts * m * n) }?;
    by_width(config, w, x, View::of_mut(&mut sums, [parts, m, n]))?;
    let sums = View::of(&sums, [1, parts, m, n]);
    // Parts are added in their order: the same bits each time.
    finish_product_parts::<f32, f32, f32, _>(
        1.0,
        0.0,
        Steps::default(),
        same,
        sums,
        None,
        None,
        None,
        None,
        y,
    )
    .grid((n.div_ceil(128), m.min(TALL), 1))
    .launch(&device)?;
    Ok(())
}

/// The most blocks along y on every GPU (CUDA C++ Programming Guide, technical specifications).
const TALL: usize = 65535;

fn same(x: Val<f32>) -> Val<f32> {
    x
}

fn by_width<T: Float>(
    config: Config,
    w: Weights<'_>,
    x: ViewArg<'_, T, 3>,
    y: ViewMutArg<'_, f32, 3>,
) -> Result<(), Error>
where
    Wgmma<T, 16>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 32>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 64>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 128>: WgmmaAtom<Input = T, Sum = f32>,
{
    const STAGES: [usize; 4] = [WIDTHS[0].1, WIDTHS[1].1, WIDTHS[2].1, WIDTHS[3].1];
    match config.width {
        16 => launch::<Wgmma<T, 16>, T, { STAGES[0] }>(config, w, x, y),
        32 => launch::<Wgmma<T, 32>, T, { STAGES[1] }>(config, w, x, y),
        64 => launch::<Wgmma<T, 64>, T, { STAGES[2] }>(config, w, x, y),
        _ => launch::<Wgmma<T, 128>, T, { STAGES[3] }>(config, w, x, y),
    }
}

fn launch<W, T, const STAGES: usize>(
    Config { width, parts }: Config,
    Weights { form, words }: Weights<'_>,
    x: ViewArg<'_, T, 3>,
    y: ViewMutArg<'_, f32, 3>,
) -> Result<(), Error>
where
    W: WgmmaAtom<Input = T, Sum = f32>,
    T: Float,
{
    let device = y.device().clone();
    let [_, m, n] = y.shape();
    let tiles = parts * n.div_ceil(ROWS) * m.div_ceil(width);
    let grid = tiles.min(device.limits().compute_units as usize).max(1);
    quantized_wgmma::<W, T, STAGES>(parts, form, words, x, y).grid(grid).launch(&device)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fragments::pack;
    use super::*;
    use crate::quant::plain::Plain;

    /// Parts of the depth, the last of which is short, are summed by themselves.
    #[test]
    fn parts_are_sums_over_parts() {
        let ([m, n, k], form) = ([5, 40, 544], Form { bits: 4, scales: 1 });
        let (device, group) = (Device::interpreter(), 544);
        let q: Vec<u8> = (0..n * k).map(|i| (i * 7 % 16) as u8).collect();
        let plain = Plain {
            q: q.clone(),
            scales: vec![f16::from_f32(0.5); n],
            zeros: vec![f16::from_f32(7.0); n],
        };
        let words = pack(form, [n, k], group, &plain);
        let words = Buffer::from_slice(&device, &words).unwrap();
        let x: Vec<bf16> = (0..m * k).map(|i| bf16::from_f32((i % 9) as f32 - 4.0)).collect();
        let x_buffer = Buffer::from_slice(&device, &x).unwrap();
        let mut y = Buffer::from_slice(&device, &vec![f32::NAN; 3 * m * n]).unwrap();
        let config = Config { width: 16, parts: 3 };
        let (w, to) = (Weights { form, words: &words }, View::of_mut(&mut y, [3, m, n]));
        by_width::<bf16>(config, w, View::of(&x_buffer, [1, m, k]), to).unwrap();
        for (at, y) in y.to_vec().unwrap().into_iter().enumerate() {
            let (part, row, column) = (at / (m * n), at / n % m, at % n);
            let sum: f32 = (256 * part..k.min(256 * part + 256))
                .map(|p| x[row * k + p].to_f32() * 0.5 * (f32::from(q[column * k + p]) - 7.0))
                .sum();
            assert_eq!(y, sum, "{part} {row} {column}");
        }
    }
}
