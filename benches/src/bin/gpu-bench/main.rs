//! Every hardware benchmark: `gpu-bench --csv FILE`. One line and one CSV row a shape, and a
//! geometric mean of the ratios. Exit status: 0 all ran, 1 something failed, 3 there is no GPU.
//!
//! Bandwidth is compared with a plain copy of the same run.

use std::process::ExitCode;
use std::time::Duration;

use kernelsmith::{Buffer, Device};
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
        let mut csv = Csv::create(&path, &device, &driver, "case,shape,rate,unit,other,ratio")?;
        run(&device, &mut csv)?;
        Ok(ExitCode::SUCCESS)
    });
    result.unwrap_or_else(|error: Box<dyn std::error::Error>| {
        eprintln!("gpu-bench: {error}");
        ExitCode::FAILURE
    })
}

/// The best of `rounds` by the device's own clock.
fn best(
    device: &Device,
    rounds: usize,
    mut work: impl FnMut() -> Outcome<()>,
) -> Outcome<Duration> {
    work()?;
    device.synchronize()?;
    let stream = device.default_stream();
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = stream.record()?;
        work()?;
        let end = stream.record()?;
        device.synchronize()?;
        best = best.min(end.elapsed_since(&start)?);
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
    let copy = best(device, 20, || Ok(y.view_mut().copy_from_view(x.view())?))?;
    let copy = rate(2.0 * bytes, copy);
    let time = best(device, 20, || Ok(saxpy(1.5, &x, &mut y)?))?;
    ratios.push(row(csv, "saxpy f32", &n.to_string(), rate(3.0 * bytes, time), "GB/s", copy)?);
    let columns = 4096;
    let time = best(device, 20, || Ok(softmax(columns, &x, &mut y)?))?;
    let shape = format!("{}x{columns}", n / columns);
    ratios.push(row(csv, "softmax f32", &shape, rate(2.0 * bytes, time), "GB/s", copy)?);
    drop((x, y));
    let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
    println!("geometric mean of the ratios: {mean:.3}");
    for n in [1024usize, 2048, 4096] {
        matmul_case(device, csv, n)?;
    }
    Ok(())
}

fn row(csv: &mut Csv, case: &str, shape: &str, rate: f64, unit: &str, other: f64) -> Outcome<f64> {
    let ratio = rate / other;
    println!("{case:14} {shape:16} {rate:9.1} {unit:8} copy {other:9.1} ratio {ratio:.3}");
    csv.row(&format!("{case},{shape},{rate:.2},{unit},{other:.2},{ratio:.4}"))?;
    Ok(ratio)
}

/// Without a peer: the tiled kernel does not use the tensor cores.
fn matmul_case(device: &Device, csv: &mut Csv, n: usize) -> Outcome<()> {
    let (xs, ys) = (normal(n * n, 1), normal(n * n, 2));
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = Buffer::<f32>::zeros(device, n * n)?;
    let time = best(device, 10, || Ok(matmul((n, n, n), &a, &b, &mut c)?))?;
    // The first row of what was timed.
    let wide = |v: &[f32]| v.iter().map(|&x| x.into()).collect::<Vec<f64>>();
    let expected = reference::matmul(1, n, n, &wide(&xs[..n]), &wide(&ys));
    let error = max_error(&c.to_vec()?[..n], &expected);
    if error.is_nan() || error > 16.0 * n as f64 * f64::from(f32::EPSILON) {
        return Err(format!("matmul {n}: error {error:e}").into());
    }
    let rate = 2.0 * (n as f64).powi(3) / time.as_secs_f64() / 1e9;
    println!("{:14} {:16} {rate:9.1} GFLOP/s", "matmul f32", format!("{n}^3"));
    csv.row(&format!("matmul f32,{n}^3,{rate:.2},GFLOP/s,,"))?;
    Ok(())
}
