//! cuBLAS, opened at run time, to compare with.

use std::ffi::c_int;
use std::ptr::from_ref;

use cudarc::cublas::result::{CublasError, create_handle, destroy_handle, gemm_ex, set_stream};
use cudarc::cublas::sys::{self, cublasComputeType_t, cublasGemmAlgo_t, cublasOperation_t};
use half::bf16;
use kernelsmith::lang::Float;
use kernelsmith::{Buffer, Stream};
use kernelsmith_kernels::matmul::Factor;

/// A handle that enqueues into one stream.
pub struct Cublas {
    handle: sys::cublasHandle_t,
}

/// The types of the inputs that are compared. Results and sums are f32.
pub trait Input: Factor<Sum = f32> + Float + Into<f64> {
    /// The type's number in CUDA (library_types.h).
    const CUDA: sys::cudaDataType;
}

impl Input for f32 {
    const CUDA: sys::cudaDataType = sys::cudaDataType::CUDA_R_32F;
}

impl Input for bf16 {
    const CUDA: sys::cudaDataType = sys::cudaDataType::CUDA_R_16BF;
}

impl Cublas {
    /// cuBLAS on a stream, or why there is none.
    ///
    /// # Errors
    /// If the library is not found or fails.
    pub fn new(stream: &Stream) -> Result<Cublas, String> {
        // SAFETY: opening a library runs its initialisers, which cuBLAS's own users run as well.
        if !unsafe { sys::is_culib_present() } {
            return Err("libcublas.so was not found".to_owned());
        }
        // The driver's context must be current to this thread, as it is after any call of ours.
        stream.synchronize().map_err(|e| e.to_string())?;
        let handle = create_handle().map_err(describe)?;
        let cublas = Cublas { handle };
        // SAFETY: the handle was just made; the stream outlives the benchmark.
        unsafe { set_stream(handle, stream.raw_handle().cast()) }.map_err(describe)?;
        Ok(cublas)
    }

    /// `C = A * B` of row-major matrices, as the transposed product of column-major ones.
    ///
    /// # Errors
    /// cuBLAS's.
    ///
    /// # Panics
    /// If a buffer is shorter than its shape says.
    pub fn matmul<T: Input>(
        &self,
        (m, n, k): (usize, usize, usize),
        a: &Buffer<T>,
        b: &Buffer<T>,
        c: &mut Buffer<f32>,
    ) -> Result<(), String> {
        assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n);
        let int = |x: usize| c_int::try_from(x).map_err(|e| e.to_string());
        let (alpha, beta) = (1.0f32, 0.0f32);
        let address = |address: u64| address as usize as *const _;
        // SAFETY: the buffers are at least as large as the shapes say, and live on the device.
        unsafe {
            gemm_ex(
                self.handle,
                cublasOperation_t::CUBLAS_OP_N,
                cublasOperation_t::CUBLAS_OP_N,
                int(n)?,
                int(m)?,
                int(k)?,
                from_ref(&alpha).cast(),
                address(b.view().address()),
                T::CUDA,
                int(n)?,
                address(a.view().address()),
                T::CUDA,
                int(k)?,
                from_ref(&beta).cast(),
                address(c.view_mut().address()).cast_mut(),
                sys::cudaDataType::CUDA_R_32F,
                int(n)?,
                // Without TF32: f32 inputs are multiplied as f32.
                cublasComputeType_t::CUBLAS_COMPUTE_32F,
                cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(describe)
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: the handle is this value's own and not destroyed before. Nothing can be done
        // about a failure here.
        let _ = unsafe { destroy_handle(self.handle) };
    }
}

fn describe(error: CublasError) -> String {
    format!("cuBLAS: {:?}", error.0)
}
