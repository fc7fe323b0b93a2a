//! The kernels of the tour: data, launch, reference, time.

use std::time::{Duration, Instant};

use kernelsmith::prelude::View;
use kernelsmith::{Buffer, Device, Target, bf16};
use kernelsmith_kernels::attention::config::Tile;
use kernelsmith_kernels::attention::{Attention, Form, attention_tiled, flash_attention};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::{Steps, config, matmul, matmul_tiled};
use kernelsmith_kernels::norm::softmax;
use kernelsmith_kernels::reference;

use crate::table;

type Outcome = Result<Case, Box<dyn std::error::Error>>;

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
        matmul_f32(device)?,
        matmul_bf16(device)?,
        attention_case(device)?,
    ];
    if *device.target() == Target::Cpu {
        // The kernels that the library has for GPUs: any kernel runs here.
        cases.extend([tiled_matmul(device)?, tiled_attention(device)?]);
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
    mut launch: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
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

fn matmul_f32(device: &Device) -> Outcome {
    let n = 1024;
    let (xs, ys) = (normal(n * n, 4), normal(n * n, 5));
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = Buffer::<f32>::zeros(device, n * n)?;
    let time = time(device, || Ok(matmul((n, n, n), &a, &b, &mut c)?))?;
    let expected = reference::matmul(n, n, n, &wide(&xs), &wide(&ys));
    Ok(Case {
        kernel: "matmul f32",
        shape: format!("{n} x {n} x {n}"),
        time,
        work: Work::Flops(2.0 * (n as f64).powi(3)),
        error: max_error(&c.to_vec()?, &expected),
        // Some sqrt(k) steps of rounding on sums of about sqrt(k).
        allowed: 16.0 * n as f64 * f64::from(f32::EPSILON),
    })
}

fn matmul_bf16(device: &Device) -> Outcome {
    let n = 1024;
    let round =
        |values: Vec<f32>| -> Vec<bf16> { values.into_iter().map(bf16::from_f32).collect() };
    let (xs, ys) = (round(normal(n * n, 6)), round(normal(n * n, 7)));
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = Buffer::<f32>::zeros(device, n * n)?;
    let time = time(device, || Ok(matmul((n, n, n), &a, &b, &mut c)?))?;
    let wide = |values: &[bf16]| values.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
    let expected = reference::matmul(n, n, n, &wide(&xs), &wide(&ys));
    Ok(Case {
        kernel: "matmul bf16",
        shape: format!("{n} x {n} x {n}"),
        time,
        work: Work::Flops(2.0 * (n as f64).powi(3)),
        error: max_error(&c.to_vec()?, &expected),
        allowed: 16.0 * n as f64 * f64::from(f32::EPSILON),
    })
}

fn attention_case(device: &Device) -> Outcome {
    let (n, d) = (2048, 64);
    let [qs, ks, vs] = [8, 9, 10].map(|seed| normal(n * d, seed));
    let q = Buffer::from_slice(device, &qs)?;
    let k = Buffer::from_slice(device, &ks)?;
    let v = Buffer::from_slice(device, &vs)?;
    let mut out = Buffer::<f32>::zeros(device, n * d)?;
    let attention = Attention::new(n, n, d).causal();
    let time = time(device, || Ok(flash_attention(attention, &q, &k, &v, &mut out)?))?;
    let expected = reference::attention(&attention, &wide(&qs), &wide(&ks), &wide(&vs));
    Ok(Case {
        kernel: "causal attention f32",
        shape: format!("{n} x {n}, d = {d}"),
        time,
        // Two products over the half of the scores that is seen.
        work: Work::Flops(4.0 * d as f64 * n as f64 * (n as f64 + 1.0) / 2.0),
        error: max_error(&out.to_vec()?, &expected),
        allowed: 5e-6,
    })
}

fn tiled_matmul(device: &Device) -> Outcome {
    const T: config::Tiles = config::GPU;
    let n = 512;
    let (xs, ys) = (normal(n * n, 4), normal(n * n, 5));
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = Buffer::<f32>::zeros(device, n * n)?;
    let time = time(device, || {
        let [a, b] = [&a, &b].map(|x| View::of(x, [1, n, n]));
        let c = View::of_mut(&mut c, [1, n, n]).partition([1, T.bm, T.bn]);
        matmul_tiled::<f32, f32, f32, { T.bm }, { T.bn }, { T.bk }, { T.tm }, { T.tn }, _>(
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
    })?;
    let expected = reference::matmul(n, n, n, &wide(&xs), &wide(&ys));
    Ok(Case {
        kernel: "GPUs' matmul f32",
        shape: format!("{n} x {n} x {n}"),
        time,
        work: Work::Flops(2.0 * (n as f64).powi(3)),
        error: max_error(&c.to_vec()?, &expected),
        allowed: 16.0 * n as f64 * f64::from(f32::EPSILON),
    })
}

fn tiled_attention(device: &Device) -> Outcome {
    let (n, d) = (1024, 64);
    let [qs, ks, vs] = [8, 9, 10].map(|seed| normal(n * d, seed));
    let q = Buffer::from_slice(device, &qs)?;
    let k = Buffer::from_slice(device, &ks)?;
    let v = Buffer::from_slice(device, &vs)?;
    let mut out = Buffer::<f32>::zeros(device, n * d)?;
    let attention = Attention::new(n, n, d).causal();
    let tile = Tile::of(d);
    let form = Form { causal: true, windowed: false, capped: false, scored: false };
    let time = time(device, || {
        let view = |x| View::of(x, [1, 1, n, d]);
        attention_tiled::<f32, f32, f32, _>(
            n,
            n,
            1,
            n,
            attention.scale,
            0.0,
            d,
            tile,
            form,
            |score, _, _, _| score,
            view(&q),
            view(&k),
            view(&v),
            None,
            None,
            None,
            None,
            None,
            View::of_mut(&mut out, [1, 1, n, d]),
        )
        .grid((n.div_ceil(tile.queries), 1))
        .launch(device)?;
        Ok(())
    })?;
    let expected = reference::attention(&attention, &wide(&qs), &wide(&ks), &wide(&vs));
    Ok(Case {
        kernel: "GPUs' attention f32",
        shape: format!("{n} x {n}, d = {d}"),
        time,
        work: Work::Flops(4.0 * d as f64 * n as f64 * (n as f64 + 1.0) / 2.0),
        error: max_error(&out.to_vec()?, &expected),
        allowed: 5e-6,
    })
}
