//! Matrix multiplication.

pub mod config;
mod tiled;

pub use tiled::{matmul_tiled, matmul_tiled_ir};

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
    let tiles = config::tiles(device.target());
    let c = View::of_mut(c, [m, n]).partition([tiles.bm, tiles.bn]);
    let launch = match tiles {
        config::CPU => {
            const T: Tiles = config::CPU;
            matmul_tiled::<_, { T.bm }, { T.bn }, { T.bk }, { T.tm }, { T.tn }>(m, n, k, a, b, c)
        }
        _ => {
            const T: Tiles = config::GPU;
            matmul_tiled::<_, { T.bm }, { T.bn }, { T.bk }, { T.tm }, { T.tn }>(m, n, k, a, b, c)
        }
    };
    launch.launch(&device)?;
    Ok(())
}
