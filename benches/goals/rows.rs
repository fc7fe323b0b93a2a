//! Kernels of rows beside a plain copy of as many bytes, and PyTorch.

use std::time::Duration;

use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_benches::interleave::{best_within, turn};
use kernelsmith_kernels::Error;
use kernelsmith_kernels::activation::{gelu_tanh, silu};
use kernelsmith_kernels::elementwise::map;
use kernelsmith_kernels::norm::{layer_norm, rms_norm, softmax};
use rayon::prelude::*;

use super::python::Python;
use super::table::{Case, Table};
use super::wanted;

/// More than the caches hold.
const ROWS: usize = 8192;
const COLUMNS: usize = 4096;

type Kernel = fn(&Buffer<f32>, &Buffer<f32>, &mut Buffer<f32>) -> Result<(), Error>;

pub(crate) fn cases(table: &mut Table) -> Result<(), String> {
    let torch = Python::torch(super::threads())?;
    let kernels: [(&str, Kernel); 5] = [
        ("softmax", |x, _, y| softmax(COLUMNS, x, y)),
        ("layer_norm", |x, w, y| layer_norm(COLUMNS, 1e-5, x, w, w, y)),
        ("rms_norm", |x, w, y| rms_norm(COLUMNS, 1e-5, x, w, y)),
        ("gelu", |x, _, y| map(x, y, gelu_tanh)),
        ("silu", |x, _, y| map(x, y, silu)),
    ];
    let device = Device::cpu();
    let failed = |e: kernelsmith::Error| e.to_string();
    let xs = normal(ROWS * COLUMNS, 1);
    let mut copied = vec![1.0f32; ROWS * COLUMNS];
    let x = Buffer::from_slice(&device, &xs).map_err(|e| failed(e.into()))?;
    let w = Buffer::from_slice(&device, &[1.0f32; COLUMNS]).map_err(|e| failed(e.into()))?;
    let mut y = Buffer::from_slice(&device, &xs).map_err(|e| failed(e.into()))?;
    for (name, kernel) in kernels {
        if !wanted(name, "f32") {
            continue;
        }
        torch.prepare(&format!("rows {name} {ROWS} {COLUMNS}"))?;
        let mut ours = || {
            turn(|| {
                kernel(&x, &w, &mut y).expect("a launch");
                device.synchronize().expect("no failed check");
            })
        };
        let mut copy = || {
            turn(|| {
                let part = xs.len().div_ceil(rayon::current_num_threads());
                copied
                    .par_chunks_mut(part)
                    .zip(xs.par_chunks(part))
                    .for_each(|(to, from)| to.copy_from_slice(from));
            })
        };
        let mut by_torch = || torch.run();
        let best =
            best_within(Duration::from_secs(5), 10, &mut [&mut ours, &mut copy, &mut by_torch]);
        let work = (8 * ROWS * COLUMNS) as f64;
        let case = Case { suite: "rows", name, element: "f32", work, unit: "GB/s", goal: 0.9 };
        table.row(&case, best[0], &[("copy", best[1]), ("torch", best[2])]);
    }
    Ok(())
}
