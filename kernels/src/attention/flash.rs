use std::any::TypeId;

use kernelsmith::Target;
use kernelsmith::prelude::*;

use super::online::OnlineSoftmax;
use super::rows::{QUERIES, attention_rows};
use crate::elementwise::to_f32;
use crate::error::{Error, check_len};
use crate::tile::stage;

/// Single-head flash attention (Dao et al., 2022), one thread a query, f32 throughout.
///
/// `Q, O: m x D`, `K, V: n x D`, row-major. A block of `BM` threads takes `BM` queries through all
/// keys in tiles of `BN`, which it stages in shared memory. The columns of the transposed query,
/// score and output tiles belong to one thread each: threads of a warp touch consecutive addresses,
/// and no score crosses threads. `TJ` keys (of `BN`) and `TE` output columns (of `D`) are in
/// registers at a time.
///
/// The contract leaves `v` out: the check that is left in loading V keeps ptxas from loading both tiles
/// at once, for which there are not enough registers (24 bytes of spills on sm_75).
///
/// With `causal`, query `i` sees keys `0..=i + n - m`; tiles no query of the block sees are
/// skipped, and only tiles that some query sees in part are masked.
#[kernel(
    block = BM,
    requires = (q.len() >= m * D, k.len() >= n * D, out.len() >= m * D),
)]
pub fn flash_attention_kernel<
    T: Float,
    const D: usize,
    const BM: usize,
    const BN: usize,
    const TJ: usize,
    const TE: usize,
>(
    m: usize,
    n: usize,
    scale: f32,
    #[comptime] causal: bool,
    q: &[T],
    k: &[T],
    v: &[T],
    out: &mut [f32],
) {
    let tx = thread_idx_x();
    let row0 = block_idx_x() * BM;
    let row = row0 + tx;
    let q_tile = shared::<f32>(D * BM); // [column][query]
    let o_tile = shared::<f32>(D * BM); // [column][query]
    let s_tile = shared::<f32>(BN * BM); // [key][query]
    let k_tile = shared::<f32>(BN * D);
    let v_tile = shared::<f32>(BN * D);

    for e in range(0, D) {
        q_tile[e * BM + tx] = if row < m { q[row * D + e].to_f32() } else { 0.0 };
        o_tile[e * BM + tx] = 0.0;
    }
    // Keys that this thread's query sees, and that the block's last query sees.
    let seen = if causal { (row + n + 1).saturating_sub(m).min(n) } else { n };
    let last = if causal { ((row0 + BM).min(m) + n).saturating_sub(m).min(n) } else { n };

    let mut softmax = OnlineSoftmax::new();
    for j0 in (0..last).step_by(BN) {
        stage(k_tile, BN, D, k, (j0, 0), (n, D));
        stage(v_tile, BN, D, v, (j0, 0), (n, D));
        barrier();

        let mut max = f32::NEG_INFINITY;
        for jt in range(0, BN).step_by(TJ) {
            let mut s = [0.0; TJ];
            for e in range(0, D) {
                let q = q_tile[e * BM + tx];
                for j in unroll(0..TJ) {
                    s[j] = k_tile[(jt + j) * D + e].mul_add(q, s[j]);
                }
            }
            for j in unroll(0..TJ) {
                let score = if j0 + jt + j < seen { s[j] * scale } else { f32::NEG_INFINITY };
                s_tile[(jt + j) * BM + tx] = score;
                max = max.max(score);
            }
        }

        let factor = softmax.rescale(max);
        for j in range(0, BN) {
            s_tile[j * BM + tx] = softmax.weight(s_tile[j * BM + tx]);
        }

        for e0 in range(0, D).step_by(TE) {
            let mut acc: [f32; TE] = array(|e| o_tile[(e0 + e) * BM + tx] * factor);
            for j in range(0, BN) {
                let p = s_tile[j * BM + tx];
                for e in unroll(0..TE) {
                    acc[e] = v_tile[j * D + e0 + e].mul_add(p, acc[e]);
                }
            }
            for e in unroll(0..TE) {
                o_tile[(e0 + e) * BM + tx] = acc[e];
            }
        }
        barrier();
    }

    if row < m {
        let scale = softmax.scale();
        for e in range(0, D) {
            out[row * D + e] = o_tile[e * BM + tx] * scale;
        }
    }
}

/// What an attention computes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Attention {
    /// Queries.
    pub queries: usize,
    /// Keys and values.
    pub keys: usize,
    /// Whether query `i` sees keys `0..=i + keys - queries` only.
    pub causal: bool,
    /// What scores are multiplied by, mostly `1 / sqrt(head dimension)`.
    pub scale: f32,
}

/// Head dimensions there are kernels for.
pub const HEAD_DIMENSIONS: [usize; 3] = [32, 64, 128];

/// Single-head attention `softmax(Q K^T * scale) V` for row-major `Q, O: queries x d` and
/// `K, V: keys x d`. A query that sees no key gives zeros.
///
/// # Errors
/// If `d` is none of [`HEAD_DIMENSIONS`], a buffer has another length than its shape says, or the
/// buffers live on different devices.
pub fn flash_attention<T: Float>(
    attention: Attention,
    d: usize,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error> {
    let Attention { queries: m, keys: n, causal, scale } = attention;
    check_len("q", q.len(), "queries * d", m.checked_mul(d))?;
    check_len("k", k.len(), "keys * d", n.checked_mul(d))?;
    check_len("v", v.len(), "keys * d", n.checked_mul(d))?;
    check_len("out", out.len(), "queries * d", m.checked_mul(d))?;
    if out.is_empty() {
        return Ok(());
    }
    let device = out.device().clone();
    if *device.target() == Target::Cpu {
        // f32 is read in place; other elements are converted once rather than by each block.
        return match TypeId::of::<T>() == TypeId::of::<f32>() {
            true => rows(attention, d, q, k, v, out),
            false => rows(attention, d, q, &to_f32(k)?, &to_f32(v)?, out),
        };
    }
    // Each block's tiles: shared memory is 48 KiB or less.
    macro_rules! kernel {
        ($d:literal, $bm:literal, $bn:literal) => {
            flash_attention_kernel::<T, $d, $bm, $bn, 8, 8>(m, n, scale, causal, q, k, v, out)
                .grid(m.div_ceil($bm))
        };
    }
    let launch = match d {
        32 => kernel!(32, 64, 32),
        64 => kernel!(64, 32, 32),
        128 => kernel!(128, 32, 8),
        _ => return Err(no_kernel(d)),
    };
    launch.launch(&device)?;
    Ok(())
}

fn rows<T: Float, K: Float>(
    attention: Attention,
    d: usize,
    q: &Buffer<T>,
    k: &Buffer<K>,
    v: &Buffer<K>,
    out: &mut Buffer<f32>,
) -> Result<(), Error> {
    let Attention { queries: m, keys: n, causal, scale } = attention;
    let device = out.device().clone();
    macro_rules! kernel {
        ($d:literal) => {
            attention_rows::<T, K, $d>(m, n, scale, causal, q, k, v, out)
        };
    }
    let launch = match d {
        32 => kernel!(32),
        64 => kernel!(64),
        128 => kernel!(128),
        _ => return Err(no_kernel(d)),
    };
    launch.grid(m.div_ceil(QUERIES)).launch(&device)?;
    Ok(())
}

fn no_kernel(d: usize) -> Error {
    Error::Shape {
        argument: "d",
        found: format!("the value {d}"),
        rule: format!("head dimensions are {HEAD_DIMENSIONS:?}"),
    }
}
