//! OpenBLAS and oneDNN, opened at run time from where `scripts/install-peers` leaves them.

use std::error::Error;
use std::ffi::{c_char, c_int};
use std::path::PathBuf;

use libloading::Library;

/// Where the peers are.
pub(crate) fn folder() -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/peers");
    std::env::var_os("KERNELSMITH_PEERS").map_or_else(|| root.into(), PathBuf::from)
}

fn open(name: &str) -> Result<Library, String> {
    let path = folder().join("lib").join(name);
    // SAFETY: the library's start-up does nothing but to look at the machine and its environment.
    unsafe { Library::new(&path) }.map_err(|error| {
        let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        format!("{}: {error}{why}; run scripts/install-peers", path.display())
    })
}

/// A row-major product: `C: m x n = A: m x k * B`, and whether B is stored as `n x k`.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) transposed: bool,
}

impl Shape {
    fn check<T>(&self, a: &[T], b: &[T], c: &[T]) {
        let Shape { m, n, k, .. } = *self;
        assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n);
    }

    fn ldb(&self) -> usize {
        if self.transposed { self.k } else { self.n }
    }
}

type Cblas<T> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    T,
    *const T,
    c_int,
    *const T,
    c_int,
    T,
    *mut T,
    c_int,
);

/// OpenBLAS as NumPy and SciPy ship it.
pub(crate) struct OpenBlas {
    sgemm: Cblas<f32>,
    dgemm: Cblas<f64>,
    _library: Library,
}

const ROW_MAJOR: c_int = 101;
const NO_TRANS: c_int = 111;
const TRANS: c_int = 112;

impl OpenBlas {
    pub(crate) fn open() -> Result<OpenBlas, String> {
        let library = open("libopenblas.so")?;
        // SAFETY: the types are those of CBLAS with 32-bit integers.
        unsafe {
            let sgemm = *library.get(b"scipy_cblas_sgemm\0").map_err(|e| e.to_string())?;
            let dgemm = *library.get(b"scipy_cblas_dgemm\0").map_err(|e| e.to_string())?;
            Ok(OpenBlas { sgemm, dgemm, _library: library })
        }
    }

    pub(crate) fn f32(&self, shape: Shape, a: &[f32], b: &[f32], c: &mut [f32]) {
        call(self.sgemm, shape, (1.0, 0.0), a, b, c);
    }

    pub(crate) fn f64(&self, shape: Shape, a: &[f64], b: &[f64], c: &mut [f64]) {
        call(self.dgemm, shape, (1.0, 0.0), a, b, c);
    }
}

fn call<T: Copy>(gemm: Cblas<T>, shape: Shape, (one, zero): (T, T), a: &[T], b: &[T], c: &mut [T]) {
    shape.check(a, b, c);
    let Shape { m, n, k, transposed } = shape;
    let int = |x: usize| x as c_int;
    // SAFETY: the slices hold what the extents say.
    unsafe {
        gemm(
            ROW_MAJOR,
            NO_TRANS,
            if transposed { TRANS } else { NO_TRANS },
            int(m),
            int(n),
            int(k),
            one,
            a.as_ptr(),
            int(k),
            b.as_ptr(),
            int(shape.ldb()),
            zero,
            c.as_mut_ptr(),
            int(n),
        );
    }
}

type DnnlSgemm = unsafe extern "C" fn(
    c_char,
    c_char,
    i64,
    i64,
    i64,
    f32,
    *const f32,
    i64,
    *const f32,
    i64,
    f32,
    *mut f32,
    i64,
) -> c_int;

/// oneDNN's `dnnl_sgemm`, row-major.
pub(crate) struct OneDnn {
    sgemm: DnnlSgemm,
    _libraries: [Library; 3],
}

impl OneDnn {
    pub(crate) fn open() -> Result<OneDnn, String> {
        // Before the library that needs them, which then finds them loaded.
        let (openmp, opencl) = (open("libgomp.so.1")?, open("libOpenCL.so.1")?);
        let library = open("libdnnl.so.2")?;
        // SAFETY: the type is that of oneDNN's header `dnnl.h`.
        let sgemm = unsafe { *library.get(b"dnnl_sgemm\0").map_err(|e| e.to_string())? };
        Ok(OneDnn { sgemm, _libraries: [library, openmp, opencl] })
    }

    pub(crate) fn f32(&self, shape: Shape, a: &[f32], b: &[f32], c: &mut [f32]) {
        shape.check(a, b, c);
        let Shape { m, n, k, transposed } = shape;
        let trans = |yes: bool| (if yes { b'T' } else { b'N' }) as c_char;
        // SAFETY: the slices hold what the extents say.
        let status = unsafe {
            (self.sgemm)(
                trans(false),
                trans(transposed),
                m as i64,
                n as i64,
                k as i64,
                1.0,
                a.as_ptr(),
                k as i64,
                b.as_ptr(),
                shape.ldb() as i64,
                0.0,
                c.as_mut_ptr(),
                n as i64,
            )
        };
        assert_eq!(status, 0, "oneDNN refused a product");
    }
}
