//! What we compare with.
#![allow(dead_code)]

use std::thread;

/// `C = A * B` for row-major square matrices, by the `gemm` crate on all threads.
pub(crate) fn gemm_f32(n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let stride = n as isize;
    assert!(a.len() >= n * n && b.len() >= n * n && c.len() >= n * n);
    // SAFETY: the three matrices have n * n elements each, and `c` is nobody else's.
    unsafe {
        gemm::gemm(
            n,
            n,
            n,
            c.as_mut_ptr(),
            1,
            stride,
            false,
            a.as_ptr(),
            1,
            stride,
            b.as_ptr(),
            1,
            stride,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(0),
        );
    }
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
