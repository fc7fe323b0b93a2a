//! Matrix multiplication.

pub mod config;
mod cpu;
mod panels;
mod tiled;

pub use panels::{Layout, matmul_panels, matmul_panels_ir, pack_panels, pack_panels_ir};
pub use tiled::{matmul_tiled, matmul_tiled_ir};

use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::error::{Error, check_len};
use config::Tiles;

/// `C = A * B` for row-major `A: m x k`, `B: k x n`, `C: m x n`, accumulated in f32.
///
/// # Errors
/// If a buffer has another length than its shape says, or the buffers live on different devices.
pub fn matmul<T: Float>(
    (m, n, k): (usize, usize, usize),
    a: &Buffer<T>,
    b: &Buffer<T>,
    c: &mut Buffer<f32>,
) -> Result<(), Error> {
    check_len("a", a.len(), "m * k", m.checked_mul(k))?;
    check_len("b", b.len(), "k * n", k.checked_mul(n))?;
    check_len("c", c.len(), "m * n", m.checked_mul(n))?;
    if c.is_empty() {
        return Ok(());
    }
    let device = c.device().clone();
    if k == 0 {
        return Ok(c.view_mut().fill_zero().map_err(kernelsmith::Error::from)?);
    }
    if *device.target() == Target::Cpu {
        return cpu::matmul((m, n, k), a, b, c);
    }
    const T: Tiles = config::GPU;
    let c = View::of_mut(c, [m, n]).partition([T.bm, T.bn]);
    matmul_tiled::<_, { T.bm }, { T.bn }, { T.bk }, { T.tm }, { T.tn }>(m, n, k, a, b, c)
        .launch(&device)?;
    Ok(())
}
