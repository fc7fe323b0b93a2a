//! Products with quantised weights of 4096 x 4096 beside ggml's: one row with weights from memory, 512 rows.

use std::time::Duration;

use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_benches::interleave::{best_within, turn};
use kernelsmith_kernels::quant::{Format, QuantizedMatrix, quantized_matmul};

use super::python::Python;
use super::table::{Case, Table};
use super::wanted;

const SIZE: usize = 4096;

/// More than the caches hold, in matrices that are taken one after the other. The same number stands in
/// `ggml_peer.py`.
const CROWD: usize = 128 << 20;

const BUDGET: Duration = Duration::from_secs(4);

/// Rows of activations, and the ratio promised.
const ROWS: [(usize, f64); 2] = [(1, 1.1), (512, 1.3)];

pub(crate) fn cases(table: &mut Table) -> Result<(), String> {
    let ggml = Python::ggml(super::threads())?;
    let weights = normal(SIZE * SIZE, 1);
    for format in Format::ALL {
        for (m, goal) in ROWS {
            if wanted(&format!("{m}x{SIZE}x{SIZE}"), &format.to_string()) {
                case(table, &ggml, format, m, goal, &weights).map_err(|e| e.to_string())?;
            }
        }
    }
    Ok(())
}

fn case(
    table: &mut Table,
    ggml: &Python,
    format: Format,
    m: usize,
    goal: f64,
    weights: &[f32],
) -> Result<(), Box<dyn std::error::Error>> {
    ggml.prepare(&format!("{format} {m}"))?;
    let device = Device::cpu();
    let bytes = format.quantize(weights);
    let matrix = || QuantizedMatrix::from_gguf(&device, format, [SIZE, SIZE], &bytes);
    let first = matrix()?;
    let stored = first.packed_bytes();
    // Many rows are bound by arithmetic: one matrix, as it stays in the caches.
    let count = if m == 1 { CROWD.div_ceil(stored) } else { 1 };
    let mut all = vec![first];
    for _ in 1..count {
        all.push(matrix()?);
    }
    let xs = normal(m * SIZE, 2);
    let x = Buffer::from_slice(&device, &xs)?;
    let mut y = Buffer::<f32>::zeros(&device, m * SIZE)?;
    let mut next = 0;
    let mut ours = || {
        turn(|| {
            next = (next + 1) % all.len();
            quantized_matmul(m, &x, &all[next], &mut y).expect("a launch");
            device.synchronize().expect("no failed check");
        })
    };
    let best = best_within(BUDGET, 5, &mut [&mut ours, &mut || ggml.run()]);
    check(&xs, &all[0].dequantize()?, &y.to_vec()?)?;
    let (work, unit) = match m {
        1 => (stored, "GB/s"),
        _ => (2 * m * SIZE * SIZE, "GOP/s"),
    };
    let name = format!("{m}x{SIZE}x{SIZE}");
    let element = format.to_string();
    let work = work as f64;
    let case = Case { suite: "quant", name: &name, element: &element, work, unit, goal };
    table.row(&case, best[0], &[("ggml", best[1])]);
    Ok(())
}

/// Elements here and there against sums of f64; activations lose half a step of 254 of their largest.
fn check(x: &[f32], w: &[f64], y: &[f32]) -> Result<(), String> {
    for at in (0..y.len()).step_by(y.len().div_ceil(50)) {
        let (row, column) = (at / SIZE, at % SIZE);
        let (x, w) = (&x[row * SIZE..][..SIZE], &w[column * SIZE..][..SIZE]);
        let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * w).sum();
        let size: f64 = x.iter().zip(w).map(|(x, w)| (f64::from(*x) * w).powi(2)).sum();
        if (f64::from(y[at]) - sum).abs() > 0.1 * size.sqrt() {
            return Err(format!("element {row}, {column} is {} and should be {sum}", y[at]));
        }
    }
    Ok(())
}
