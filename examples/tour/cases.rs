//! The kernels of the tour: data, launch, reference, time.

use std::time::{Duration, Instant};

use kernelsmith::lang::{Float, Val};
use kernelsmith::prelude::View;
use kernelsmith::{Buffer, Device, Target, bf16};
use kernelsmith_kernels::attention::config::Tile;
use kernelsmith_kernels::attention::{Apart, Attention, Form, attention_tiled, flash_attention};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::{Factor, Steps, config, matmul, matmul_tiled};
use kernelsmith_kernels::norm::softmax;
use kernelsmith_kernels::reference;

use crate::table;

type Outcome = Result<Case, Box<dyn std::error::Error>>;
type Launched = Result<(), Box<dyn std::error::Error>>;

/// What became of one kernel.
struct Case {
    kernel: &'static str,
    shape: String,
    time: Duration,
    /// Operations or bytes, and which of the two.
    work: Work,
    error: f64,
    /// The largest error that rounding explains.
    allowed: f64,
}

enum Work {
    Flops(f64),
    Bytes(f64),
}

/// Runs everything and prints the table; whether all results are right.
pub(crate) fn run(device: &Device) -> Result<bool, Box<dyn std::error::Error>> {
    let mut cases = vec![
        saxpy_case(device)?,
        softmax_case(device)?,
        matmul_case(device, "matmul f32", 1024, |x| x, by_library)?,
        matmul_case(device, "matmul bf16", 1024, bf16::from_f32, by_library)?,
        attention_case(device, "causal attention f32", 2048, |_, attention, [q, k, v], out| {
            Ok(flash_attention(attention, q, k, v, out)?)
        })?,
    ];
    if *device.target() == Target::Cpu {
        // The kernels that the library has for GPUs: any kernel runs here.
        cases.extend([
            matmul_case(device, "GPUs' matmul f32", 512, |x| x, by_tiles)?,
            attention_case(device, "GPUs' attention f32", 1024, attend_by_tiles)?,
        ]);
    }
    let rows: Vec<Vec<String>> = cases
        .iter()
        .map(|case| {
            let seconds = case.time.as_secs_f64();
            let rate = match case.work {
                Work::Flops(flops) => format!("{:.1} GFLOP/s", flops / seconds / 1e9),
                Work::Bytes(bytes) => format!("{:.1} GB/s", bytes / seconds / 1e9),
            };
            let verdict = if case.error <= case.allowed { "" } else { " WRONG" };
            vec![
                case.kernel.to_owned(),
                case.shape.clone(),
                device.kind().to_string(),
                format!("{:.3} ms", seconds * 1e3),
                rate,
                format!("{:.1e} (allowed {:.1e}){verdict}", case.error, case.allowed),
            ]
        })
        .collect();
    table::print(&["kernel", "shape", "device", "time", "rate", "max error"], &rows);
    Ok(cases.iter().all(|case| case.error <= case.allowed))
}

/// Standard normal values, the same in every run: Box-Muller over a 64-bit LCG (Knuth, TAOCP 2,
/// section 3.3.4).
fn normal(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    (0..len)
        .map(|_| {
            let (a, b) = (uniform(), uniform());
            ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
        })
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

fn max_error(found: &[f32], expected: &[f64]) -> f64 {
    let differences = found.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - b).abs());
    // Not f64::max, which would drop a NaN.
    differences.fold(0.0, |max, d| if d > max || d.is_nan() { d } else { max })
}

/// The best of several runs, after one that compiles and warms up.
fn time(
    device: &Device,
    mut launch: impl FnMut() -> Launched,
) -> Result<Duration, Box<dyn std::error::Error>> {
    launch()?;
    device.synchronize()?;
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        launch()?;
        device.synchronize()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn saxpy_case(device: &Device) -> Outcome {
    let n = 1 << 24;
    let (xs, ys) = (normal(n, 1), normal(n, 2));
    let x = Buffer::from_slice(device, &xs)?;
    let mut y = Buffer::from_slice(device, &ys)?;
    saxpy(2.0, &x, &mut y)?;
    let found = y.to_vec()?;
    let expected = reference::saxpy(2.0, &wide(&xs), &wide(&ys));
    // a = 0 leaves y as it is, so that many runs do not overflow.
    let time = time(device, || Ok(saxpy(0.0, &x, &mut y)?))?;
    Ok(Case {
        kernel: "saxpy f32",
        shape: format!("{n}"),
        time,
        work: Work::Bytes(12.0 * n as f64),
        error: max_error(&found, &expected),
        allowed: 1e-6,
    })
}

fn softmax_case(device: &Device) -> Outcome {
    let (rows, columns) = (4096, 4096);
    let xs = normal(rows * columns, 3);
    let x = Buffer::from_slice(device, &xs)?;
    let mut y = Buffer::<f32>::zeros(device, xs.len())?;
    let time = time(device, || Ok(softmax(columns, &x, &mut y)?))?;
    let expected = reference::softmax(columns, &wide(&xs));
    Ok(Case {
        kernel: "row softmax f32",
        shape: format!("{rows} x {columns}"),
        time,
        work: Work::Bytes(8.0 * xs.len() as f64),
        error: max_error(&y.to_vec()?, &expected),
        allowed: 1e-7,
    })
}

/// A launch of a product of square matrices.
type Product<T> = fn(&Device, usize, &Buffer<T>, &Buffer<T>, &mut Buffer<f32>) -> Launched;

/// `n x n` times `n x n`, of f32 or of numbers that are rounded to another type first.
fn matmul_case<T: Float + Into<f64>>(
    device: &Device,
    kernel: &'static str,
    n: usize,
    round: fn(f32) -> T,
    launch: Product<T>,
) -> Outcome {
    let [xs, ys] =
        [4, 5].map(|seed| normal(n * n, seed).into_iter().map(round).collect::<Vec<T>>());
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = Buffer::<f32>::zeros(device, n * n)?;
    let time = time(device, || launch(device, n, &a, &b, &mut c))?;
    let wide = |values: &[T]| values.iter().map(|&x| x.into()).collect::<Vec<f64>>();
    let expected = reference::matmul(n, n, n, &wide(&xs), &wide(&ys));
    Ok(Case {
        kernel,
        shape: format!("{n} x {n} x {n}"),
        time,
        work: Work::Flops(2.0 * (n as f64).powi(3)),
        error: max_error(&c.to_vec()?, &expected),
        // Some sqrt(k) steps of rounding on sums of about sqrt(k).
        allowed: 16.0 * n as f64 * f64::from(f32::EPSILON),
    })
}

/// The library's matmul.
fn by_library<T: Factor<Sum = f32>>(
    _: &Device,
    n: usize,
    a: &Buffer<T>,
    b: &Buffer<T>,
    c: &mut Buffer<f32>,
) -> Launched {
    Ok(matmul((n, n, n), a, b, c)?)
}

/// The matmul that the library has for GPUs.
fn by_tiles(
    device: &Device,
    n: usize,
    a: &Buffer<f32>,
    b: &Buffer<f32>,
    c: &mut Buffer<f32>,
) -> Launched {
    const T: config::Tiles = config::GPU;
    let [a, b] = [a, b].map(|x| View::of(x, [1, n, n]));
    let c = View::of_mut(c, [1, n, n]).partition([1, T.bm, T.bn]);
    matmul_tiled::<f32, f32, f32, f32, { T.bm }, { T.bn }, { T.bk }, { T.tm }, { T.tn }, _>(
        1.0,
        0.0,
        false,
        false,
        Steps::default(),
        |x| x,
        a,
        b,
        None,
        None,
        c,
    )
    .launch(device)?;
    Ok(())
}

/// A launch of causal attention of one head.
type Attend = fn(&Device, Attention, [&Buffer<f32>; 3], &mut Buffer<f32>) -> Launched;

fn attention_case(device: &Device, kernel: &'static str, n: usize, launch: Attend) -> Outcome {
    let d = 64;
    let [qs, ks, vs] = [8, 9, 10].map(|seed| normal(n * d, seed));
    let q = Buffer::from_slice(device, &qs)?;
    let k = Buffer::from_slice(device, &ks)?;
    let v = Buffer::from_slice(device, &vs)?;
    let mut out = Buffer::<f32>::zeros(device, n * d)?;
    let attention = Attention::new(n, n, d).causal();
    let time = time(device, || launch(device, attention, [&q, &k, &v], &mut out))?;
    let expected = reference::attention(&attention, &wide(&qs), &wide(&ks), &wide(&vs));
    Ok(Case {
        kernel,
        shape: format!("{n} x {n}, d = {d}"),
        time,
        // Two products over the half of the scores that is seen.
        work: Work::Flops(4.0 * d as f64 * n as f64 * (n as f64 + 1.0) / 2.0),
        error: max_error(&out.to_vec()?, &expected),
        allowed: 5e-6,
    })
}

/// The attention that the library has for GPUs.
fn attend_by_tiles(
    device: &Device,
    attention: Attention,
    [q, k, v]: [&Buffer<f32>; 3],
    out: &mut Buffer<f32>,
) -> Launched {
    let Attention { queries: n, dimension: d, .. } = attention;
    let (tile, apart) = (Tile::of(d, d), Apart { queries: true, keys: true });
    let form = Form { causal: true, windowed: false, capped: false, scored: false };
    let same = |score: Val<f32>, _: Val<usize>, _: Val<usize>, _: Val<usize>| score;
    let [q, k, v] = [q, k, v].map(|x| View::of(x, [1, 1, n, d]));
    let out = View::of_mut(out, [1, 1, n, d]);
    let scale = attention.scale;
    attention_tiled::<f32, f32, f32, _>(
        1, n, n, 1, n, scale, 0.0, d, d, tile, apart, form, same, q, k, v, None, None, None, None,
        None, out,
    )
    .grid((n.div_ceil(tile.queries), 1))
    .launch(device)?;
    Ok(())
}
