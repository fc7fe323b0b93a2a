//! What the kernels of Hopper compute, on any device that runs them, against f64. The hardware tests
//! run these too.

use kernelsmith::prelude::*;
use kernelsmith_kernels::matmul::hopper::Order::{self, AcrossK, AlongK};
use kernelsmith_kernels::matmul::hopper::{Form, matmul_cooperative, matmul_pingpong};
use kernelsmith_kernels::matmul::{
    GatedMatmul, GroupedMatmul, GroupedScaledMatmul, Matmul, ScaledFactor, ScaledMatmul, Scales,
    Steps, Summed,
};
use kernelsmith_kernels::quant::{
    Format, Int4Order, Int4Tensors, Int8Tensors, QuantizedMatrix, quantized_matmul,
};
use kernelsmith_kernels::reference;

/// The largest error, and the largest allowed.
pub(crate) type Checked = Result<(f64, f64), Box<dyn std::error::Error>>;

/// Numbers from -1 to 1 that bf16 and f16 hold exactly.
pub(crate) fn numbers(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 129) as f64 / 64.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) fn buffer<T: Float>(
    device: &Device,
    numbers: &[f64],
) -> Result<Buffer<T>, kernelsmith::Error> {
    let numbers: Vec<T> = numbers.iter().map(|&x| T::lit(x)).collect();
    Ok(Buffer::from_slice(device, &numbers)?)
}

/// An element of a product, and numbers of it of which products and sums are exact.
pub(crate) trait Exact: Stored {
    /// The element near a number from -1 to 1, a multiple of 1/64.
    fn near(x: f64) -> Self;
    fn value(self) -> f64;
}

macro_rules! exact {
    ($($ty:ty: $near:expr, $value:expr;)*) => {$(
        impl Exact for $ty {
            fn near(x: f64) -> $ty {
                let near: fn(f64) -> $ty = $near;
                near(x)
            }
            fn value(self) -> f64 {
                let value: fn($ty) -> f64 = $value;
                value(self)
            }
        }
    )*};
}

exact! {
    bf16: bf16::from_f64, bf16::to_f64;
    f16: f16::from_f64, f16::to_f64;
    f32: |x| x as f32, f64::from;
    i8: |x| (x * 64.0) as i8, f64::from;
    u8: |x| (x * 64.0 + 64.0) as u8, f64::from;
    i32: |_| unreachable!("sums are not made of numbers"), f64::from;
    // Three bits of e4m3's mantissa hold eighths, two of e5m2's fourths.
    e4m3: |x| e4m3::from_f32((x * 8.0).round() as f32 / 8.0), |x| x.to_f32().into();
    e5m2: |x| e5m2::from_f32((x * 4.0).round() as f32 / 4.0), |x| x.to_f32().into();
}

/// The largest difference; infinite where a number is NaN.
pub(crate) fn worst(
    found: impl IntoIterator<Item = f64>,
    expected: impl IntoIterator<Item = f64>,
) -> f64 {
    let errors = found.into_iter().zip(expected).map(|(x, y)| (x - y).abs());
    errors.map(|e| if e.is_nan() { f64::INFINITY } else { e }).fold(0.0, f64::max)
}

fn transposed<T: Copy>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| x[i * columns + j])).collect()
}

/// How a product is computed.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) orders: [Order; 2],
    pub(super) cluster: usize,
    pub(super) exchanged: bool,
    pub(super) parts: usize,
    pub(super) pingpong: bool,
    /// Whether the steps of the last wave and one more are shared out.
    pub(super) streamed: bool,
    pub(super) blocks: usize,
}

impl How {
    /// By `blocks` blocks, each by itself.
    pub(super) fn plain(orders: [Order; 2], blocks: usize) -> How {
        How {
            orders,
            cluster: 1,
            exchanged: false,
            parts: 1,
            pingpong: false,
            streamed: false,
            blocks,
        }
    }

    fn form(self) -> Form {
        let How { orders: [a, b], cluster, exchanged, .. } = self;
        Form { a, b, cluster, exchanged }
    }
}

/// One product of elements `T` by the instruction `W`, stored as `O`. Products and sums of these numbers
/// are exact in f32 for depths up to 4096, so that one rounding is left, and the error is 0.
pub(crate) fn matmul<W, T, S, O, const STAGES: usize>(
    device: &Device,
    [m, n, k]: [usize; 3],
    how: How,
) -> Checked
where
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Exact,
    S: Num + Summed,
    O: Exact + Num,
{
    let near = |seed, len| numbers(seed, len).into_iter().map(T::near).collect::<Vec<T>>();
    let values = |x: &[T]| x.iter().map(|x| x.value()).collect::<Vec<f64>>();
    let (a, b) = (near(1, m * k), near(2, k * n));
    let mut expected = Vec::new();
    let each = k.div_ceil(128 / size_of::<T>()).div_ceil(how.parts) * (128 / size_of::<T>());
    for part in 0..how.parts {
        let kept = |x: Vec<f64>, along: fn(usize, usize, usize) -> usize, width: usize| {
            let inside = |at| (part * each..(part + 1) * each).contains(&along(at, width, k));
            x.into_iter().enumerate().map(|(at, x)| if inside(at) { x } else { 0.0 }).collect()
        };
        let a: Vec<f64> = kept(values(&a), |at, _, k| at % k, 0);
        let b: Vec<f64> = kept(values(&b), |at, n, _| at / n, n);
        expected.extend(reference::matmul(m, n, k, &a, &b));
    }
    let (a, a_shape) = match how.orders[0] {
        AlongK => (a, [1, m, k]),
        AcrossK => (transposed(&a, m, k), [1, k, m]),
    };
    let (b, b_shape) = match how.orders[1] {
        AlongK => (transposed(&b, k, n), [1, n, k]),
        AcrossK => (b, [1, k, n]),
    };
    let (a, b) = (Buffer::from_slice(device, &a)?, Buffer::from_slice(device, &b)?);
    let (rows, columns) = if how.exchanged { (n, m) } else { (m, n) };
    // SAFETY: nothing reads it before the kernel has written every element, which the interpreter checks.
    let mut c = unsafe { Buffer::<O>::uninit(device, how.parts * m * n) }?;
    let (a, b) = (View::of(&a, a_shape), View::of(&b, b_shape));
    let (one, steps, to) =
        (S::ONE, Steps::default(), View::of_mut(&mut c, [how.parts, rows, columns]));
    // SAFETY: nothing reads it before a block has written it, which the interpreter checks.
    let mut sums = unsafe { Buffer::<S>::uninit(device, how.blocks * 128 * W::N) }?;
    let mut flags = Buffer::<u32>::zeros(device, how.blocks)?;
    let sums = how.streamed.then(|| View::of_mut(&mut sums, [how.blocks, 128 * W::N]));
    let flags = how.streamed.then_some(&mut flags);
    let launch = match how.pingpong {
        false => matmul_cooperative::<W, T, S, S, O, STAGES, _>(
            one,
            how.parts,
            // Rows of tiles that are taken together: enough for several groups.
            2,
            how.form(),
            steps,
            |x| x,
            a,
            b,
            None,
            None,
            None,
            None,
            sums,
            flags,
            to,
        ),
        // Of other widths there is no such kernel to compile.
        true if const { W::N == 128 } => matmul_pingpong::<W, T, S, S, O, STAGES, _>(
            one,
            2,
            how.form(),
            steps,
            |x| x,
            a,
            b,
            None,
            None,
            None,
            None,
            to,
        ),
        true => panic!("warpgroups take turns at 128 columns, not at {}", W::N),
    };
    launch.grid(how.blocks).launch(device)?;
    let exact = O::TYPE != bf16::TYPE && O::TYPE != f16::TYPE;
    let rounded = |x: f64| if exact { x } else { O::near(x).value() };
    let found = c.to_vec()?;
    let matrices = found.chunks(m * n).flat_map(|c| match how.exchanged {
        true => transposed(c, n, m),
        false => c.to_vec(),
    });
    Ok((worst(matrices.map(O::value), expected.into_iter().map(rounded)), 0.0))
}

/// What users call takes Hopper's kernel by itself, with its epilogue, its batches, its f32 outputs.
pub(crate) fn library(device: &Device, [batch, m, n, k]: [usize; 4]) -> Checked {
    let (a, b) = (numbers(6, batch * m * k), numbers(7, batch * k * n));
    let (bias, residual) = (numbers(8, n), numbers(9, batch * m * n));
    let (a_buffer, b_buffer) = (buffer::<bf16>(device, &a)?, buffer::<bf16>(device, &b)?);
    let (bias_buffer, residual_buffer) =
        (buffer::<f32>(device, &bias)?, buffer(device, &residual)?);
    let mut c = buffer::<f32>(device, &vec![f64::NAN; batch * m * n])?;
    Matmul::new(View::of(&a_buffer, [batch, m, k]), View::of(&b_buffer, [batch, k, n]))
        .alpha(0.5)
        .bias(&bias_buffer)
        .map(|x: Val<f32>| x.max(Val::from(0.0)))
        .residual(View::of(&residual_buffer, [batch, m, n]))
        .run(View::of_mut(&mut c, [batch, m, n]))?;
    let mut expected = Vec::new();
    for i in 0..batch {
        let (a, b) = (&a[i * m * k..][..m * k], &b[i * k * n..][..k * n]);
        for (at, sum) in reference::matmul(m, n, k, a, b).into_iter().enumerate() {
            expected.push((0.5 * sum + bias[at % n]).max(0.0) + residual[i * m * n + at]);
        }
    }
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), expected), 0.0))
}

/// f32 by tf32, which these numbers are, and bytes: what users call takes Hopper's kernel for them, and has
/// the same bits each time.
pub(crate) fn types(device: &Device, [m, n, k]: [usize; 3]) -> Checked {
    let (a, b) = (numbers(10, m * k), numbers(11, k * n));
    let expected = reference::matmul(m, n, k, &a, &b);
    let (a_f32, b_f32) = (buffer::<f32>(device, &a)?, buffer(device, &transposed(&b, k, n))?);
    let mut c = buffer::<f32>(device, &vec![f64::NAN; m * n])?;
    Matmul::new(View::of(&a_f32, [m, k]), View::of(&b_f32, [n, k]).transposed())
        .allow_tf32()
        .run(View::of_mut(&mut c, [m, n]))?;
    let tf32 = worst(c.to_vec()?.into_iter().map(f64::from), expected.iter().copied());
    let bytes = |x: &[f64]| x.iter().map(|&x| (x * 64.0) as i8).collect::<Vec<i8>>();
    let a_i8 = Buffer::from_slice(device, &bytes(&a))?;
    let b_i8 = Buffer::from_slice(device, &bytes(&transposed(&b, k, n)))?;
    let mut sums = Buffer::from_slice(device, &vec![i32::MIN; m * n])?;
    Matmul::new(View::of(&a_i8, [m, k]), View::of(&b_i8, [n, k]).transposed())
        .run(View::of_mut(&mut sums, [m, n]))?;
    let scaled = sums.to_vec()?.into_iter().map(|x| f64::from(x) / 4096.0);
    Ok((tf32.max(worst(scaled, expected)), 0.0))
}

/// Scales of 8-bit floats: powers of two, so that all is exact.
fn scales(seed: u64, len: usize) -> Vec<f64> {
    numbers(seed, len).into_iter().map(|x| 2f64.powi((4.0 * x).round() as i32)).collect()
}

fn absolute(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.abs()).collect()
}

/// Which elements have a scale in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shared {
    Tensors,
    Rows,
    Blocks,
}

/// Products of 8-bit elements with scales, on any device; `fast` asks for the tensor cores' sums.
pub(crate) fn scaled<T: Exact + ScaledFactor>(
    device: &Device,
    [m, n, k]: [usize; 3],
    shared: Shared,
    fast: bool,
) -> Checked {
    let near = |seed, len| numbers(seed, len).into_iter().map(T::near).collect::<Vec<_>>();
    let (a, b) = (near(12, m * k), near(13, n * k));
    // The scale of an element at a row and an index along k, and how many scales there are.
    let (deep, across) = (k.div_ceil(128), n.div_ceil(128));
    let [of_a, of_b] = match shared {
        Shared::Tensors => [1, 1],
        Shared::Rows => [m, n],
        Shared::Blocks => [m * deep, deep * across],
    };
    // Integers stand for as many parts of 1: sums, scales and bias then fit an f32.
    let parts = T::near(1.0).value();
    let unit = |x: Vec<f64>| x.into_iter().map(|x| x / parts).collect::<Vec<_>>();
    let (of_a, of_b) = (unit(scales(14, of_a)), unit(scales(15, of_b)));
    let at_a = |i: usize, p: usize| match shared {
        Shared::Tensors => 0,
        Shared::Rows => i,
        Shared::Blocks => i * deep + p / 128,
    };
    let at_b = |p: usize, j: usize| match shared {
        Shared::Tensors => 0,
        Shared::Rows => j,
        Shared::Blocks => p / 128 * across + j / 128,
    };
    let a_exact: Vec<f64> =
        (0..m * k).map(|at| a[at].value() * of_a[at_a(at / k, at % k)]).collect();
    let b_exact: Vec<f64> =
        (0..k * n).map(|at| b[at % n * k + at / n].value() * of_b[at_b(at / n, at % n)]).collect();
    let bias = numbers(16, n);
    let expected = reference::matmul(m, n, k, &a_exact, &b_exact);
    let expected: Vec<f64> =
        expected.into_iter().enumerate().map(|(at, x)| (x + bias[at % n]).max(0.0)).collect();
    // Integers with scales in blocks are f32 that sums round, each by half a unit at most.
    let allowed = if shared == Shared::Blocks && parts > 1.0 {
        let all = reference::matmul(m, n, k, &absolute(&a_exact), &absolute(&b_exact));
        k as f64 * f64::from(f32::EPSILON) / 2.0 * all.into_iter().fold(0.0, f64::max)
    } else {
        0.0
    };
    let (a, b) = (Buffer::from_slice(device, &a)?, Buffer::from_slice(device, &b)?);
    let (of_a, of_b) = (buffer::<f32>(device, &of_a)?, buffer::<f32>(device, &of_b)?);
    let bias = buffer::<f32>(device, &bias)?;
    let mut c = buffer::<f32>(device, &vec![f64::NAN; m * n])?;
    let scales = match shared {
        Shared::Tensors => Scales::per_tensor(&of_a, &of_b),
        Shared::Rows => Scales::per_row(&of_a, &of_b),
        Shared::Blocks => {
            Scales::InBlocks(View::of(&of_a, [m, deep]), View::of(&of_b, [deep, across]))
        }
    };
    let product =
        ScaledMatmul::new(View::of(&a, [m, k]), View::of(&b, [n, k]).transposed(), scales);
    let product = if fast { product.fast_accumulation() } else { product };
    product
        .bias(&bias)
        .map(|x: Val<f32>| x.max(Val::from(0.0)))
        .run(View::of_mut(&mut c, [m, n]))?;
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), expected), allowed))
}

/// Products of bf16 whose rows and columns have scales, on any device, with all that an epilogue does.
pub(super) fn row_scales(device: &Device, [m, n, k]: [usize; 3]) -> Checked {
    let (a, b) = (numbers(22, m * k), numbers(23, k * n));
    let (rows, columns, bias) = (scales(24, m), scales(25, n), numbers(26, n));
    let mut expected = reference::matmul(m, n, k, &a, &b);
    for (at, x) in expected.iter_mut().enumerate() {
        *x = (0.5 * *x * rows[at / n] * columns[at % n] + bias[at % n]).max(0.0);
    }
    let (a, b) = (buffer::<bf16>(device, &a)?, buffer::<bf16>(device, &b)?);
    let (rows, columns) = (buffer::<f32>(device, &rows)?, buffer::<f32>(device, &columns)?);
    let bias = buffer::<f32>(device, &bias)?;
    let mut c = buffer::<f32>(device, &vec![f64::NAN; m * n])?;
    Matmul::new(View::of(&a, [m, k]), View::of(&b, [k, n]))
        .alpha(0.5)
        .row_scales(&rows)
        .column_scales(&columns)
        .bias(&bias)
        .map(|x: Val<f32>| x.max(Val::from(0.0)))
        .run(View::of_mut(&mut c, [m, n]))?;
    let found = c.to_vec()?;
    // Sums are exact, what is added to them is rounded once.
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let error = worst(found.into_iter().map(f64::from), expected);
    Ok((error, largest * f64::from(f32::EPSILON)))
}

/// Groups of rows with their own right factors, on any device: rows of each group, of `most` if they are
/// matrices of their own, else one behind the other with a few rows of none at the end. Rows of no group stay.
pub(crate) fn grouped(
    device: &Device,
    sizes: &[usize],
    [n, k]: [usize; 2],
    (most, b_order): (Option<usize>, Order),
) -> Checked {
    let groups = sizes.len();
    let (apart, rows) = match most {
        Some(most) => (most, groups * most),
        None => (0, sizes.iter().sum::<usize>() + 3),
    };
    let (a, b) = (numbers(17, rows * k), numbers(18, groups * k * n));
    let kept = -7.0;
    let (mut expected, mut ends, mut first) = (vec![kept; rows * n], Vec::new(), 0);
    for (group, &size) in sizes.iter().enumerate() {
        let begin = if most.is_some() { group * apart } else { first };
        first += size;
        ends.push(if most.is_some() { size } else { first } as u32);
        let (a, b) = (&a[begin * k..][..size * k], &b[group * k * n..][..k * n]);
        expected[begin * n..][..size * n].copy_from_slice(&reference::matmul(size, n, k, a, b));
    }
    let stored = match b_order {
        AcrossK => b,
        AlongK => b.chunks(k * n).flat_map(|b| transposed(b, k, n)).collect(),
    };
    let (a, b) = (buffer::<bf16>(device, &a)?, buffer::<bf16>(device, &stored)?);
    let b = match b_order {
        AcrossK => View::of(&b, [groups, k, n]),
        AlongK => View::of(&b, [groups, n, k]).transposed(),
    };
    let ends = Buffer::from_slice(device, &ends)?;
    let mut c = buffer::<f32>(device, &vec![kept; rows * n])?;
    match most {
        Some(most) => GroupedMatmul::masked(View::of(&a, [groups, most, k]), b, &ends)
            .run(View::of_mut(&mut c, [groups, most, n]))?,
        None => GroupedMatmul::new(View::of(&a, [rows, k]), b, &ends)
            .run(View::of_mut(&mut c, [rows, n]))?,
    }
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), expected), 0.0))
}

/// The same of 8-bit floats with scales in blocks.
pub(crate) fn grouped_scaled<T: Exact + ScaledFactor>(
    device: &Device,
    sizes: &[usize],
    [n, k]: [usize; 2],
    most: Option<usize>,
) -> Checked {
    let groups = sizes.len();
    let rows = most.unwrap_or(sizes.iter().sum::<usize>() + 3);
    let matrices = if most.is_some() { groups } else { 1 };
    let (deep, across) = (k.div_ceil(128), n.div_ceil(128));
    let near = |seed, len| numbers(seed, len).into_iter().map(T::near).collect::<Vec<_>>();
    let (a, b) = (near(22, matrices * rows * k), near(23, groups * n * k));
    let (of_a, of_b) = (scales(24, matrices * rows * deep), scales(25, groups * deep * across));
    let kept = -7.0;
    let (mut expected, mut ends, mut first) = (vec![kept; matrices * rows * n], Vec::new(), 0);
    for (group, &size) in sizes.iter().enumerate() {
        let begin = if most.is_some() { group * rows } else { first };
        first += size;
        ends.push(if most.is_some() { size } else { first } as u32);
        let left = |at: usize| a[at].value() * of_a[at / k * deep + at % k / 128];
        let left: Vec<f64> = (begin * k..(begin + size) * k).map(left).collect();
        let right = |at: usize| {
            let (p, j) = (at / n, at % n);
            b[(group * n + j) * k + p].value() * of_b[(group * deep + p / 128) * across + j / 128]
        };
        let right: Vec<f64> = (0..k * n).map(right).collect();
        let products = reference::matmul(size, n, k, &left, &right);
        expected[begin * n..][..size * n].copy_from_slice(&products);
    }
    let (a, b) = (Buffer::from_slice(device, &a)?, Buffer::from_slice(device, &b)?);
    let (of_a, of_b) = (buffer::<f32>(device, &of_a)?, buffer::<f32>(device, &of_b)?);
    let ends = Buffer::from_slice(device, &ends)?;
    let mut c = buffer::<f32>(device, &vec![kept; matrices * rows * n])?;
    let b = View::of(&b, [groups, n, k]).transposed();
    let of_b = View::of(&of_b, [groups, deep, across]);
    match most {
        Some(most) => {
            let scales = (View::of(&of_a, [groups, most, deep]), of_b);
            GroupedScaledMatmul::masked(View::of(&a, [groups, most, k]), b, scales, &ends)
                .run(View::of_mut(&mut c, [groups, most, n]))?;
        }
        None => {
            let scales = (View::of(&of_a, [rows, deep]), of_b);
            GroupedScaledMatmul::new(View::of(&a, [rows, k]), b, scales, &ends)
                .run(View::of_mut(&mut c, [rows, n]))?;
        }
    }
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), expected), 0.0))
}

/// Two products of which one gates the other, on any device.
pub(crate) fn gated(device: &Device, [m, n, k]: [usize; 3]) -> Checked {
    let (a, gate, up) = (numbers(19, m * k), numbers(20, k * n), numbers(21, k * n));
    let product = |b: &[f64]| reference::matmul(m, n, k, &a, b);
    let expected: Vec<f64> =
        product(&gate).into_iter().zip(product(&up)).map(|(g, u)| g.max(0.0) + u).collect();
    let (a, gate) = (buffer::<bf16>(device, &a)?, buffer::<bf16>(device, &gate)?);
    let up = buffer::<bf16>(device, &up)?;
    let mut c = buffer::<f32>(device, &vec![f64::NAN; m * n])?;
    GatedMatmul::new(View::of(&a, [m, k]), View::of(&gate, [k, n]), View::of(&up, [k, n])).run(
        |gate: Val<f32>, up: Val<f32>| gate.max(Val::from(0.0)) + up,
        View::of_mut(&mut c, [m, n]),
    )?;
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), expected), 0.0))
}

/// How weights are quantised: how many have a scale, where that is not the format's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Weights {
    Gguf(Format),
    Int4(usize),
    Int8(usize),
}

impl Weights {
    fn on(
        self,
        device: &Device,
        [n, k]: [usize; 2],
    ) -> Result<QuantizedMatrix, kernelsmith_kernels::Error> {
        let numbers = numbers(22, n * k);
        let scales = |group| -> Vec<f16> {
            let scale = |i| f16::from_f32(0.01 + (i * 37 % 101) as f32 / 1000.0);
            (0..n * k / group).map(scale).collect()
        };
        let words = |len: usize| -> Vec<u32> {
            (0..len as u32).map(|i| i.wrapping_mul(0x9E37_79B9).wrapping_add(i << 7)).collect()
        };
        match self {
            Weights::Gguf(format) => {
                let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
                QuantizedMatrix::quantize(device, format, [n, k], &numbers)
            }
            Weights::Int4(group) => QuantizedMatrix::from_int4(
                device,
                &Int4Tensors {
                    shape: [n, k],
                    group,
                    order: Int4Order::Awq,
                    qweight: &words(n * k / 8),
                    qzeros: &words(n * k / group / 8),
                    scales: &scales(group),
                },
            ),
            Weights::Int8(group) => {
                let weights: Vec<i8> = numbers.iter().map(|&x| (127.0 * x) as i8).collect();
                let (shape, scales) = ([n, k], scales(group));
                let tensors = Int8Tensors { shape, group, weights: &weights, scales: &scales };
                QuantizedMatrix::from_int8(device, &tensors)
            }
        }
    }
}

/// A product with quantised weights, of which Hopper's tensor cores take some: the largest error as a share of
/// what follows from the roundings that are documented.
pub(super) fn quantised<T: Float>(
    device: &Device,
    [m, n, k]: [usize; 3],
    weights: Weights,
) -> Checked {
    let matrix = weights.on(device, [n, k])?;
    let (w, x) = (matrix.dequantize()?, numbers(23, m * k));
    let buffer = buffer::<T>(device, &x)?;
    let mut y = Buffer::from_slice(device, &vec![f32::NAN; m * n])?;
    quantized_matmul(m, &buffer, &matrix, &mut y)?;
    let of_weight = match (T::TYPE == f16::TYPE, weights) {
        (true, _) => 1.0 / 2048.0,
        (_, Weights::Int8(_) | Weights::Gguf(Format::Q8_0)) => 1.0 / 256.0,
        _ => 2.0 / 256.0 * 1.01,
    };
    let mut worst = 0f64;
    for (at, y) in y.to_vec()?.into_iter().enumerate() {
        let (x, w) = (&x[at / n * k..][..k], &w[at % n * k..][..k]);
        let expected: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
        let size: f64 = x.iter().zip(w).map(|(x, w)| (x * w).abs()).sum();
        let allowed = size * (of_weight + k as f64 * f64::from(f32::EPSILON)) + 1e-30;
        let share = (f64::from(y) - expected).abs() / allowed;
        worst = if share.is_nan() { f64::INFINITY } else { worst.max(share) };
    }
    Ok((worst, 1.0))
}
