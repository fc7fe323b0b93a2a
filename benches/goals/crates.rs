//! The products of crates: gemm, faer, matrixmultiply, on as many threads as rayon has.

use std::any::TypeId;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use gemm::Parallelism;

use super::blas::Shape;

fn strides(shape: Shape) -> [isize; 2] {
    if shape.transposed { [1, shape.k as isize] } else { [shape.n as isize, 1] }
}

/// The `gemm` crate's, of f32, f64 and its own f16.
pub(crate) fn gemm<T: 'static + Copy>(
    shape: Shape,
    (zero, one): (T, T),
    a: &[T],
    b: &[T],
    c: &mut [T],
) {
    let Shape { m, n, k, .. } = shape;
    assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n);
    let threads = rayon::current_num_threads();
    let by = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    let [down, along] = strides(shape);
    // SAFETY: the slices hold what the extents say.
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
            1,
            k as isize,
            b.as_ptr(),
            along,
            down,
            zero,
            one,
            false,
            false,
            false,
            by,
        );
    }
}

/// faer's, of f32 or f64.
pub(crate) fn faer<T: faer::traits::ComplexField + Copy>(
    shape: Shape,
    a: &[T],
    b: &[T],
    c: &mut [T],
) {
    let Shape { m, n, k, transposed } = shape;
    let a = MatRef::from_row_major_slice(&a[..m * k], m, k);
    let b = match transposed {
        true => MatRef::from_column_major_slice(&b[..k * n], k, n),
        false => MatRef::from_row_major_slice(&b[..k * n], k, n),
    };
    let c = MatMut::from_row_major_slice_mut(&mut c[..m * n], m, n);
    let threads = rayon::current_num_threads();
    let by = if threads > 1 { Par::rayon(threads) } else { Par::Seq };
    matmul(c, Accum::Replace, a, b, T::one_impl(), by);
}

/// matrixmultiply's, which has one thread here.
pub(crate) fn matrixmultiply<T: 'static>(shape: Shape, a: &[T], b: &[T], c: &mut [T]) {
    let Shape { m, n, k, .. } = shape;
    assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n);
    let [down, along] = strides(shape);
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    // SAFETY: the slices hold what the extents say, and T is what the pointers are cast to.
    unsafe {
        if TypeId::of::<T>() == TypeId::of::<f32>() {
            let (a, b, c) = (a.cast(), b.cast(), c.cast());
            matrixmultiply::sgemm(
                m, k, n, 1.0, a, k as isize, 1, b, down, along, 0.0, c, n as isize, 1,
            );
        } else {
            assert_eq!(TypeId::of::<T>(), TypeId::of::<f64>());
            let (a, b, c) = (a.cast(), b.cast(), c.cast());
            matrixmultiply::dgemm(
                m, k, n, 1.0, a, k as isize, 1, b, down, along, 0.0, c, n as isize, 1,
            );
        }
    }
}
