//! What we compare with.
#![allow(dead_code)]

use std::thread;

use rayon::prelude::*;

/// `C = A * B` for row-major square matrices, by the `gemm` crate on all threads.
pub(crate) fn gemm_f32(n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    gemm_strided((n, n, n), (a, n, 1), (b, n, 1), c);
}

/// `C = A * B` of f32 by the `gemm` crate: `A` and `B` with the strides of their rows and columns,
/// `C` row-major.
fn gemm_strided(
    (m, n, k): (usize, usize, usize),
    (a, a_row, a_column): (&[f32], usize, usize),
    (b, b_row, b_column): (&[f32], usize, usize),
    c: &mut [f32],
) {
    let reach = |rows, columns, (row, column)| (rows - 1) * row + (columns - 1) * column;
    assert!(m > 0 && n > 0 && k > 0 && c.len() >= m * n);
    assert!(a.len() > reach(m, k, (a_row, a_column)) && b.len() > reach(k, n, (b_row, b_column)));
    // SAFETY: all elements that the strides reach are in the slices, and `c` is nobody else's.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(0),
        );
    }
}

/// Causal attention of one head of `d` dimensions over `n` positions as it is composed without a
/// fused kernel: all scores by the `gemm` crate, a softmax of each row's seen part, a second product.
pub(crate) fn causal_attention(
    (n, d): (usize, usize),
    (q, k, v): (&[f32], &[f32], &[f32]),
    scores: &mut [f32],
    out: &mut [f32],
) {
    gemm_strided((n, n, d), (q, d, 1), (k, 1, d), scores);
    let scale = 1.0 / (d as f32).sqrt();
    scores.par_chunks_mut(n).enumerate().for_each(|(row, scores)| {
        let (seen, hidden) = scores.split_at_mut(row + 1);
        let max = seen.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
        let mut sum = 0.0;
        for x in &mut *seen {
            *x = ((*x - max) * scale).exp();
            sum += *x;
        }
        seen.iter_mut().for_each(|x| *x /= sum);
        hidden.fill(0.0);
    });
    gemm_strided((n, d, n), (scores, n, 1), (v, d, 1), out);
}

/// Copies with a thread for each processor.
pub(crate) fn copy(from: &[f32], to: &mut [f32]) {
    in_parts(from, to, |from, to| to.copy_from_slice(from));
}

/// STREAM's "scale": as `copy`, but by ordinary stores, where the C library's copy may write past
/// the caches.
pub(crate) fn scale(from: &[f32], to: &mut [f32]) {
    in_parts(from, to, |from, to| to.iter_mut().zip(from).for_each(|(to, from)| *to = 1.5 * from));
}

fn in_parts(from: &[f32], to: &mut [f32], part: fn(&[f32], &mut [f32])) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let chunk = from.len().div_ceil(threads);
    thread::scope(|scope| {
        for (from, to) in from.chunks(chunk).zip(to.chunks_mut(chunk)) {
            scope.spawn(move || part(from, to));
        }
    });
}
