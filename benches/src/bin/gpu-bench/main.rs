//! Every hardware benchmark: `gpu-bench --csv FILE`. One line and one CSV row a shape, and a
//! geometric mean of the ratios. Exit status: 0 all ran, 1 something failed, 3 there is no GPU.
//!
//! Bandwidth is compared with a plain copy, matmul with cuBLAS, in turns within one run.

mod attention;

use std::process::ExitCode;
use std::time::Duration;

use half::bf16;
use kernelsmith::{Buffer, Device};
use kernelsmith_benches::cublas::{Cublas, Input};
use kernelsmith_benches::gpu::{self, Csv, max_error, normal};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::matmul;
use kernelsmith_kernels::norm::softmax;
use kernelsmith_kernels::reference;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let result = gpu::csv_argument().map_err(Into::into).and_then(|path| {
        let (device, driver) = match gpu::device() {
            Ok(found) => found,
            Err(reason) => return Ok(gpu::no_gpu(&reason)),
        };
        println!("{device}, {driver}");
        let mut csv =
            Csv::create(&path, &device, &driver, "case,shape,rate,unit,peer,other,ratio")?;
        run(&device, &mut csv)?;
        Ok(ExitCode::SUCCESS)
    });
    result.unwrap_or_else(|error: Box<dyn std::error::Error>| {
        eprintln!("gpu-bench: {error}");
        ExitCode::FAILURE
    })
}

/// The best time of each candidate, by the device's own clock, over rounds in which each runs once:
/// noise and clocks fall on all alike. Candidates are given the round's number.
fn best_of(
    device: &Device,
    rounds: usize,
    candidates: &mut [&mut dyn FnMut(usize) -> Outcome<()>],
) -> Outcome<Vec<Duration>> {
    let stream = device.default_stream();
    let mut best = vec![Duration::MAX; candidates.len()];
    // The first round compiles and warms up.
    for round in 0..=rounds {
        for (best, candidate) in best.iter_mut().zip(candidates.iter_mut()) {
            let start = stream.record()?;
            candidate(round)?;
            let end = stream.record()?;
            device.synchronize()?;
            let time = end.elapsed_since(&start)?;
            if round > 0 {
                *best = time.min(*best);
            }
        }
    }
    Ok(best)
}

fn run(device: &Device, csv: &mut Csv) -> Outcome<()> {
    let mut ratios = Vec::new();
    let n = 1usize << 28;
    let x = Buffer::<f32>::zeros(device, n)?;
    let mut y = Buffer::<f32>::zeros(device, n)?;
    let rate = |bytes: f64, time: Duration| bytes / time.as_secs_f64() / 1e9;
    let bytes = 4.0 * n as f64;
    let mut z = Buffer::<f32>::zeros(device, n)?;
    let mut w = Buffer::<f32>::zeros(device, n)?;
    let columns = 4096;
    let times = best_of(
        device,
        20,
        &mut [
            &mut |_| Ok(y.view_mut().copy_from_view(x.view())?),
            &mut |_| Ok(saxpy(1.5, &x, &mut z)?),
            &mut |_| Ok(softmax(columns, &x, &mut w)?),
        ],
    )?;
    let [copy, saxpy, softmax] = [(2.0, 0), (3.0, 1), (2.0, 2)]
        .map(|(sweeps, case): (f64, usize)| rate(sweeps * bytes, times[case]));
    ratios.push(row(csv, "saxpy f32", &n.to_string(), saxpy, "GB/s", ("copy", copy))?);
    let shape = format!("{}x{columns}", n / columns);
    ratios.push(row(csv, "softmax f32", &shape, softmax, "GB/s", ("copy", copy))?);
    drop((x, y, z, w));
    mean("bandwidth", &ratios);
    let cublas = Cublas::new(&device.default_stream());
    if let Err(reason) = &cublas {
        println!("matmul has no peer: {reason}");
    }
    let mut ratios = Vec::new();
    let peer = cublas.as_ref().ok();
    for n in [1024usize, 2048, 4096] {
        ratios.extend(matmul_case::<f32>(device, csv, "f32", [n; 3], peer)?);
        ratios.extend(matmul_case::<bf16>(device, csv, "bf16", [n; 3], peer)?);
    }
    ratios.extend(matmul_case::<bf16>(device, csv, "bf16", [8192; 3], peer)?);
    // Layers of Llama 3 8B: the output of attention, and up and down of the feed-forward network.
    for m in [1usize, 16, 128, 1024, 4096] {
        for [n, k] in [[4096, 4096], [14336, 4096], [4096, 14336]] {
            ratios.extend(matmul_case::<bf16>(device, csv, "bf16", [m, n, k], peer)?);
        }
    }
    mean("matmul", &ratios);
    attention::all(device, csv)
}

fn mean(what: &str, ratios: &[f64]) {
    if !ratios.is_empty() {
        let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
        println!("geometric mean of the {what} ratios: {mean:.3}");
    }
}

fn row(
    csv: &mut Csv,
    case: &str,
    shape: &str,
    rate: f64,
    unit: &str,
    (peer, other): (&str, f64),
) -> Outcome<f64> {
    let ratio = rate / other;
    println!("{case:14} {shape:16} {rate:9.1} {unit:8} {peer} {other:9.1} ratio {ratio:.3}");
    csv.row(&format!("{case},{shape},{rate:.2},{unit},{peer},{other:.2},{ratio:.4}"))?;
    Ok(ratio)
}

/// Bytes that no L2 cache holds, through which the inputs rotate.
const PAST_CACHES: usize = 256 << 20;

/// Against cuBLAS where there is one.
fn matmul_case<T: Input>(
    device: &Device,
    csv: &mut Csv,
    name: &str,
    [m, n, k]: [usize; 3],
    cublas: Option<&Cublas>,
) -> Outcome<Option<f64>> {
    let narrow =
        |len, seed| normal(len, seed).into_iter().map(|x| T::lit(x.into())).collect::<Vec<T>>();
    let (xs, ys) = (narrow(m * k, 1), narrow(k * n, 2));
    let sets = PAST_CACHES.div_ceil((m + n) * k * size_of::<T>());
    let inputs = (0..sets)
        .map(|_| Ok((Buffer::from_slice(device, &xs)?, Buffer::from_slice(device, &ys)?)))
        .collect::<Outcome<Vec<_>>>()?;
    let mut ours = Buffer::<f32>::zeros(device, m * n)?;
    let mut theirs = Buffer::<f32>::zeros(device, m * n)?;
    let shape = (m, n, k);
    let mut run_ours = |round: usize| {
        let (a, b) = &inputs[round % sets];
        Ok(matmul(shape, a, b, &mut ours)?)
    };
    let mut run_theirs = |round: usize| {
        // Another pair than ours of the same round.
        let (a, b) = &inputs[(round + sets / 2) % sets];
        Ok(cublas.map_or(Ok(()), |cublas| cublas.matmul(shape, a, b, &mut theirs))?)
    };
    let times = best_of(device, 20, &mut [&mut run_ours, &mut run_theirs])?;
    // The first row of what was timed.
    let wide = |v: &[T]| v.iter().map(|&x| x.into()).collect::<Vec<f64>>();
    let expected = reference::matmul(1, n, k, &wide(&xs[..k]), &wide(&ys));
    let allowed = 16.0 * k as f64 * f64::from(f32::EPSILON);
    let results = [Some(&ours), cublas.map(|_| &theirs)];
    for (who, c) in ["ours", "cuBLAS's"].iter().zip(results) {
        let Some(c) = c else { continue };
        let error = max_error(&c.to_vec()?[..n], &expected);
        if error.is_nan() || error > allowed {
            let shape = format!("{m}x{n}x{k}");
            return Err(format!("matmul {name} {shape}, {who}: error {error:e}").into());
        }
    }
    let [ours, theirs] =
        [0, 1].map(|i: usize| 2.0 * (m * n * k) as f64 / times[i].as_secs_f64() / 1e9);
    let shape = if [n, k] == [m; 2] { format!("{n}^3") } else { format!("{m}x{n}x{k}") };
    let case = format!("matmul {name}");
    if cublas.is_some() {
        return row(csv, &case, &shape, ours, "GFLOP/s", ("cuBLAS", theirs)).map(Some);
    }
    println!("{case:14} {shape:16} {ours:9.1} GFLOP/s");
    csv.row(&format!("{case},{shape},{ours:.2},GFLOP/s,,,"))?;
    Ok(None)
}
