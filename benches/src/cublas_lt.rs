//! cuBLASLt, opened at run time, to compare with: the best of what its heuristics propose.
//!
//! Numbers of types and attributes are those of `cublasLt.h` and `library_types.h`, as cudarc has them; what
//! they mean is said in NVIDIA's cuBLAS documentation, "Using the cuBLASLt API".

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::from_ref;

use cudarc::cublaslt::result::{self as lt, CublasError};
use cudarc::cublaslt::sys::{
    self, cublasComputeType_t as Compute, cublasLtMatmulDescAttributes_t as DescAttribute,
    cublasLtMatmulPreferenceAttributes_t as PreferenceAttribute, cudaDataType,
};
use kernelsmith::{Buffer, DeviceKind, Stream};

/// How many algorithms the heuristics are asked for.
const ALGORITHMS: usize = 16;

/// Memory that algorithms may use: what the documentation recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// `CUBLAS_OP_T` of `cublasOperation_t` (cuBLAS documentation, "cublasOperation_t").
const TRANSPOSED: i32 = 1;

/// What types are multiplied, summed and stored.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    factors: cudaDataType,
    sums: Compute,
    scale: cudaDataType,
    output: cudaDataType,
    /// Whether factors have a scale each ("8-bit Floating Point Data Types (FP8) Usage").
    scaled: bool,
}

impl Types {
    const fn new(factors: cudaDataType, sums: Compute, output: cudaDataType) -> Types {
        Types { factors, sums, scale: cudaDataType::CUDA_R_32F, output, scaled: false }
    }

    /// f32, multiplied as f32.
    pub const F32: Types =
        Types::new(cudaDataType::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F, cudaDataType::CUDA_R_32F);
    /// f32, of whose mantissas 10 bits are multiplied.
    pub const TF32: Types = Types { sums: Compute::CUBLAS_COMPUTE_32F_FAST_TF32, ..Types::F32 };
    /// bf16, stored as bf16.
    pub const BF16: Types = Types::new(
        cudaDataType::CUDA_R_16BF,
        Compute::CUBLAS_COMPUTE_32F,
        cudaDataType::CUDA_R_16BF,
    );
    /// f16, stored as f16.
    pub const F16: Types =
        Types::new(cudaDataType::CUDA_R_16F, Compute::CUBLAS_COMPUTE_32F, cudaDataType::CUDA_R_16F);
    /// e4m3 with a scale for each factor, stored as bf16.
    pub const E4M3: Types = Types {
        scaled: true,
        ..Types::new(
            cudaDataType::CUDA_R_8F_E4M3,
            Compute::CUBLAS_COMPUTE_32F,
            cudaDataType::CUDA_R_16BF,
        )
    };
    /// Bytes with a sign, stored as i32.
    pub const I8: Types = Types {
        scale: cudaDataType::CUDA_R_32I,
        ..Types::new(cudaDataType::CUDA_R_8I, Compute::CUBLAS_COMPUTE_32I, cudaDataType::CUDA_R_32I)
    };

    /// The bits of 1, of the type that results are scaled in.
    fn one(self) -> u32 {
        if self.scale == cudaDataType::CUDA_R_32I { 1 } else { 1.0f32.to_bits() }
    }
}

/// A handle that enqueues into one stream.
pub struct CublasLt {
    handle: sys::cublasLtHandle_t,
    stream: Stream,
    workspace: Buffer<u8>,
    /// A scale of 1.
    one: Buffer<f32>,
}

impl CublasLt {
    /// cuBLASLt on a stream, or why there is none.
    ///
    /// # Errors
    /// If the library is not found or fails.
    pub fn new(stream: &Stream) -> Result<CublasLt, String> {
        let device = stream.device();
        if device.kind() != DeviceKind::Cuda {
            return Err(format!("cuBLASLt does not run on the kind {}", device.kind()));
        }
        // SAFETY: opening a library runs its initialisers, which cuBLASLt's own users run as well.
        if !unsafe { sys::is_culib_present() } {
            return Err("libcublasLt.so was not found".to_owned());
        }
        // SAFETY: only cuBLASLt reads it, after it has written it.
        let workspace = unsafe { Buffer::<u8>::uninit(device, WORKSPACE) }.map_err(text)?;
        let one = Buffer::from_slice(device, &[1.0f32]).map_err(text)?;
        // The driver's context must be current to this thread, as it is after any call of ours.
        stream.synchronize().map_err(text)?;
        let handle = lt::create_handle().map_err(describe)?;
        Ok(CublasLt { handle, stream: stream.clone(), workspace, one })
    }

    /// `Y = X * W'` of row-major `X: m x k`, `W: n x k` and `Y: m x n`: the form in which the library takes
    /// every type. Its matrices are column-major, so to it that is `Y' = W'' * X'`.
    ///
    /// # Errors
    /// cuBLASLt's, and if its heuristics have no algorithm.
    pub fn product(&self, types: Types, [m, n, k]: [usize; 3]) -> Result<Product<'_>, String> {
        let desc = Desc(lt::create_matmul_desc(types.sums, types.scale).map_err(describe)?);
        desc.set(DescAttribute::CUBLASLT_MATMUL_DESC_TRANSA, &TRANSPOSED)?;
        if types.scaled {
            let one = self.one.view().address();
            desc.set(DescAttribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &one)?;
            desc.set(DescAttribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &one)?;
        }
        let layout = |data, rows: usize, columns: usize| {
            lt::create_matrix_layout(data, rows as u64, columns as u64, rows as i64)
                .map(Layout)
                .map_err(describe)
        };
        let mut product = Product {
            library: self,
            one: types.one(),
            w: layout(types.factors, k, n)?,
            x: layout(types.factors, k, m)?,
            y: layout(types.output, n, m)?,
            desc,
            algorithms: Vec::new(),
        };
        product.algorithms = product.heuristics()?;
        Ok(product)
    }
}

impl Drop for CublasLt {
    fn drop(&mut self) {
        // SAFETY: the handle is this value's own and not destroyed before. Nothing can be done about a
        // failure here.
        let _ = unsafe { lt::destroy_handle(self.handle) };
    }
}

/// A product, and the algorithms that the heuristics propose for it, the one that they like best first.
pub struct Product<'lt> {
    library: &'lt CublasLt,
    one: u32,
    desc: Desc,
    w: Layout,
    x: Layout,
    y: Layout,
    algorithms: Vec<sys::cublasLtMatmulAlgo_t>,
}

impl Product<'_> {
    fn heuristics(&self) -> Result<Vec<sys::cublasLtMatmulAlgo_t>, String> {
        let preference = Preference(lt::create_matmul_pref().map_err(describe)?);
        let bytes = WORKSPACE;
        let attribute = PreferenceAttribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        // SAFETY: the value is a size_t, as the attribute wants it, and is copied.
        unsafe {
            let bytes = from_ref(&bytes).cast();
            lt::set_matmul_pref_attribute(preference.0, attribute, bytes, size_of::<usize>())
        }
        .map_err(describe)?;
        let mut results = [const { MaybeUninit::uninit() }; ALGORITHMS];
        let mut count = 0;
        // SAFETY: all descriptors live; there is room for as many results as are asked for.
        unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                self.library.handle,
                self.desc.0,
                self.w.0,
                self.x.0,
                self.y.0,
                self.y.0,
                preference.0,
                ALGORITHMS as i32,
                results.as_mut_ptr().cast(),
                &mut count,
            )
        }
        .result()
        .map_err(describe)?;
        let found = usize::try_from(count).unwrap_or(0).min(ALGORITHMS);
        // SAFETY: the library has written so many.
        let found = results[..found].iter().map(|result| unsafe { result.assume_init() });
        let fit = |result: sys::cublasLtMatmulHeuristicResult_t| {
            (result.state.result().is_ok() && result.workspaceSize <= WORKSPACE)
                .then_some(result.algo)
        };
        let algorithms: Vec<_> = found.filter_map(fit).collect();
        if algorithms.is_empty() {
            return Err("cuBLASLt has no algorithm".to_owned());
        }
        Ok(algorithms)
    }

    /// How many algorithms there are.
    pub fn algorithms(&self) -> usize {
        self.algorithms.len()
    }

    /// Enqueues the product by one of the algorithms, of matrices at addresses on the device.
    ///
    /// # Errors
    /// cuBLASLt's.
    ///
    /// # Safety
    /// Matrices of the product's shape and types must lie at the addresses, until the stream has come to
    /// the product's end.
    ///
    /// # Panics
    /// If there is no such algorithm.
    pub unsafe fn enqueue(&self, algorithm: usize, x: u64, w: u64, y: u64) -> Result<(), String> {
        let CublasLt { handle, stream, workspace, .. } = self.library;
        let address = |address: u64| address as usize as *mut c_void;
        let beta = 0u32;
        // SAFETY: descriptors, algorithm and workspace live; the matrices do by the caller's promise. Y is
        // not read, since it counts 0 times.
        unsafe {
            lt::matmul(
                *handle,
                self.desc.0,
                from_ref(&self.one).cast(),
                from_ref(&beta).cast(),
                address(w),
                self.w.0,
                address(x),
                self.x.0,
                address(y),
                self.y.0,
                address(y),
                self.y.0,
                &self.algorithms[algorithm],
                address(workspace.view().address()),
                WORKSPACE,
                stream.raw_handle().cast(),
            )
        }
        .map_err(describe)
    }
}

/// Values of the library that are destroyed when nobody needs them.
macro_rules! owned {
    ($($name:ident($raw:ty) $destroy:path;)*) => {$(
        struct $name($raw);

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: it is this value's own and not destroyed before. Nothing can be done about a
                // failure here.
                let _ = unsafe { $destroy(self.0) };
            }
        }
    )*};
}

owned! {
    Desc(sys::cublasLtMatmulDesc_t) lt::destroy_matmul_desc;
    Layout(sys::cublasLtMatrixLayout_t) lt::destroy_matrix_layout;
    Preference(sys::cublasLtMatmulPreference_t) lt::destroy_matmul_pref;
}

impl Desc {
    /// Sets an attribute, of the type that the documentation of `cublasLtMatmulDescAttributes_t` says.
    fn set<T: Copy>(&self, attribute: DescAttribute, value: &T) -> Result<(), String> {
        // SAFETY: the value is copied, and has the size that is told.
        unsafe {
            let value = from_ref(value).cast();
            lt::set_matmul_desc_attribute(self.0, attribute, value, size_of::<T>())
        }
        .map_err(describe)
    }
}

fn text(error: kernelsmith::RuntimeError) -> String {
    error.to_string()
}

fn describe(error: CublasError) -> String {
    format!("cuBLASLt: {:?}", error.0)
}
