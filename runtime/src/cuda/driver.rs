//! [`Driver`] over CUDA's driver API. Section names are those of the CUDA Driver API reference.

use std::ffi::c_void;
use std::sync::OnceLock;

use cudarc::driver::sys::{self, CUresult};

use super::error::{check, describe};
use super::module;
use super::tensor_map::Descriptors;
use crate::compile::Loaded;
use crate::driver::{Driver, Handle, PackedArgs};
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;

/// One device's primary context.
pub(super) struct CudaDriver {
    context: sys::CUcontext,
    index: u32,
    /// Whether memory comes from the device's pool, in stream order.
    pooled: bool,
    descriptors: Descriptors,
}

// SAFETY: a context may be current to any number of threads ("Context Management"); every call
// below makes it current to its own.
unsafe impl Send for CudaDriver {}
// SAFETY: as above.
unsafe impl Sync for CudaDriver {}

impl CudaDriver {
    /// Retains the device's primary context, which other CUDA code in the process shares.
    pub(super) fn new(device: sys::CUdevice, index: u32) -> Result<CudaDriver> {
        let mut context = std::ptr::null_mut();
        // SAFETY: the device is valid, and so is the pointer.
        let retained = unsafe { sys::cuDevicePrimaryCtxRetain(&mut context, device) };
        check("cuDevicePrimaryCtxRetain", retained)?;
        use sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED;
        let pooled = super::attribute(device, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? != 0;
        if pooled {
            keep_pool(device)?;
        }
        Ok(CudaDriver { context, index, pooled, descriptors: Descriptors::default() })
    }

    /// Makes the context current, runs a call, and names it if it fails.
    fn call(&self, name: &'static str, call: impl FnOnce() -> CUresult) -> Result<()> {
        // SAFETY: the context is retained for as long as this lives.
        check("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.context) })?;
        check(name, call())
    }

    /// As [`call`](Self::call), for queries that say "not yet" by an error.
    fn query(&self, name: &'static str, call: impl FnOnce() -> CUresult) -> Result<bool> {
        let mut ready = true;
        self.call(name, || match call() {
            CUresult::CUDA_ERROR_NOT_READY => {
                ready = false;
                CUresult::CUDA_SUCCESS
            }
            other => other,
        })?;
        Ok(ready)
    }
}

/// Lets the default pool keep what is freed: by default it goes back to the operating system at
/// every synchronisation ("Stream Ordered Memory Allocator", release threshold).
fn keep_pool(device: sys::CUdevice) -> Result<()> {
    let mut pool = std::ptr::null_mut();
    let mut threshold = u64::MAX;
    // SAFETY: the pointers are valid; the attribute's value is a 64-bit integer.
    unsafe {
        check("cuDeviceGetDefaultMemPool", sys::cuDeviceGetDefaultMemPool(&mut pool, device))?;
        check(
            "cuMemPoolSetAttribute",
            sys::cuMemPoolSetAttribute(
                pool,
                sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                (&raw mut threshold).cast(),
            ),
        )
    }
}

fn stream_of(handle: Handle) -> sys::CUstream {
    handle.0.cast()
}

fn event_of(handle: Handle) -> sys::CUevent {
    handle.0.cast()
}

/// `cuEventElapsedTime` of every driver. The bindings for CUDA 13 only have its successor, which
/// drivers before 12.8 lack.
fn elapsed() -> unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> CUresult {
    type Elapsed = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> CUresult;
    unsafe extern "C" fn absent(_: *mut f32, _: sys::CUevent, _: sys::CUevent) -> CUresult {
        CUresult::CUDA_ERROR_NOT_FOUND
    }
    static ELAPSED: OnceLock<Elapsed> = OnceLock::new();
    *ELAPSED.get_or_init(|| {
        // SAFETY: the library is here, or there would be no device; the signature is the
        // reference's ("Event Management").
        unsafe {
            sys::culib().get::<Elapsed>("cuEventElapsedTime").map_or(absent as Elapsed, |f| *f)
        }
    })
}

impl Driver for CudaDriver {
    fn create_stream(&self) -> Result<Handle> {
        let mut stream = std::ptr::null_mut();
        // Not ordered with the legacy default stream, which other code may use.
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: the pointer is valid.
        self.call("cuStreamCreate", || unsafe { sys::cuStreamCreate(&mut stream, flags) })?;
        Ok(Handle(stream.cast()))
    }

    unsafe fn destroy_stream(&self, stream: Handle) {
        // SAFETY: the caller's promise; the driver lets work in it end first. An error here can be
        // no one's any more.
        let _ =
            self.call("cuStreamDestroy", || unsafe { sys::cuStreamDestroy_v2(stream_of(stream)) });
    }

    fn synchronize(&self, stream: Handle) -> Result<()> {
        // SAFETY: handles given to a driver are its own and alive.
        self.call("cuStreamSynchronize", || unsafe { sys::cuStreamSynchronize(stream_of(stream)) })
    }

    fn is_idle(&self, stream: Handle) -> Result<bool> {
        // SAFETY: as above.
        self.query("cuStreamQuery", || unsafe { sys::cuStreamQuery(stream_of(stream)) })
    }

    fn create_event(&self) -> Result<Handle> {
        let mut event = std::ptr::null_mut();
        // SAFETY: the pointer is valid.
        self.call("cuEventCreate", || unsafe { sys::cuEventCreate(&mut event, 0) })?;
        Ok(Handle(event.cast()))
    }

    unsafe fn destroy_event(&self, event: Handle) {
        // SAFETY: the caller's promise; an event that is still waited for is kept by the driver
        // until it happens ("Event Management").
        let _ = self.call("cuEventDestroy", || unsafe { sys::cuEventDestroy_v2(event_of(event)) });
    }

    fn record(&self, event: Handle, stream: Handle) -> Result<()> {
        // SAFETY: handles given to a driver are its own and alive.
        self.call("cuEventRecord", || unsafe {
            sys::cuEventRecord(event_of(event), stream_of(stream))
        })
    }

    fn wait(&self, stream: Handle, event: Handle) -> Result<()> {
        // SAFETY: as above.
        self.call("cuStreamWaitEvent", || unsafe {
            sys::cuStreamWaitEvent(stream_of(stream), event_of(event), 0)
        })
    }

    fn synchronize_event(&self, event: Handle) -> Result<()> {
        // SAFETY: as above.
        self.call("cuEventSynchronize", || unsafe { sys::cuEventSynchronize(event_of(event)) })
    }

    fn event_happened(&self, event: Handle) -> Result<bool> {
        // SAFETY: as above.
        self.query("cuEventQuery", || unsafe { sys::cuEventQuery(event_of(event)) })
    }

    fn milliseconds(&self, start: Handle, end: Handle) -> Result<f32> {
        let mut ms = 0.0;
        // SAFETY: as above, and the pointer is valid.
        self.call("cuEventElapsedTime", || unsafe {
            elapsed()(&mut ms, event_of(start), event_of(end))
        })?;
        Ok(ms)
    }

    fn allocate(&self, bytes: usize, stream: Handle) -> Result<u64> {
        let mut at = 0;
        // SAFETY: the pointer is valid; handles given to a driver are its own and alive.
        let result = self.call("cuMemAlloc", || unsafe {
            match self.pooled {
                true => sys::cuMemAllocAsync(&mut at, bytes, stream_of(stream)),
                false => sys::cuMemAlloc_v2(&mut at, bytes),
            }
        });
        match result {
            Err(Error::Driver { code, .. })
                if code == CUresult::CUDA_ERROR_OUT_OF_MEMORY as u32 =>
            {
                let (name, detail) = describe(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
                let (device, detail) =
                    (format!("CUDA {}", self.index), format!("{name}: {detail}"));
                Err(Error::OutOfMemory { device, bytes: bytes as u64, detail })
            }
            other => other.map(|()| at),
        }
    }

    unsafe fn free(&self, address: u64, _: usize, stream: Handle) {
        // SAFETY: the caller's promise. Without a pool the call itself waits for the device.
        let _ = self.call("cuMemFree", || unsafe {
            match self.pooled {
                true => sys::cuMemFreeAsync(address, stream_of(stream)),
                false => sys::cuMemFree_v2(address),
            }
        });
    }

    fn allocate_host(&self, bytes: usize) -> Result<*mut u8> {
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the pointer is valid.
        self.call("cuMemHostAlloc", || unsafe { sys::cuMemHostAlloc(&mut pointer, bytes, 0) })?;
        Ok(pointer.cast())
    }

    unsafe fn free_host(&self, pointer: *mut u8, _: usize) {
        // SAFETY: the caller's promise.
        let _ = self.call("cuMemFreeHost", || unsafe { sys::cuMemFreeHost(pointer.cast()) });
    }

    unsafe fn copy_in(&self, to: u64, from: *const u8, bytes: usize, stream: Handle) -> Result<()> {
        // SAFETY: the caller's promise.
        self.call("cuMemcpyHtoDAsync", || unsafe {
            sys::cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, stream_of(stream))
        })
    }

    unsafe fn copy_out(&self, to: *mut u8, from: u64, bytes: usize, stream: Handle) -> Result<()> {
        // SAFETY: the caller's promise.
        self.call("cuMemcpyDtoHAsync", || unsafe {
            sys::cuMemcpyDtoHAsync_v2(to.cast(), from, bytes, stream_of(stream))
        })
    }

    unsafe fn copy(&self, to: u64, from: u64, bytes: usize, stream: Handle) -> Result<()> {
        // SAFETY: the caller's promise.
        self.call("cuMemcpyDtoDAsync", || unsafe {
            sys::cuMemcpyDtoDAsync_v2(to, from, bytes, stream_of(stream))
        })
    }

    unsafe fn zero(&self, at: u64, bytes: usize, stream: Handle) -> Result<()> {
        // SAFETY: the caller's promise.
        self.call("cuMemsetD8Async", || unsafe {
            sys::cuMemsetD8Async(at, 0, bytes, stream_of(stream))
        })
    }

    fn load(&self, image: &[u8], kernel: &str) -> Result<(Handle, Handle)> {
        self.call("cuCtxSetCurrent", || CUresult::CUDA_SUCCESS)?;
        let (module, function) = module::load(image, kernel)?;
        Ok((Handle(module.cast()), Handle(function.cast())))
    }

    unsafe fn unload(&self, module: Handle) {
        // Work that uses the module may be in any stream.
        // SAFETY: the caller's promise, and the device is idle.
        let _ = self.call("cuModuleUnload", || unsafe {
            match sys::cuCtxSynchronize() {
                CUresult::CUDA_SUCCESS => sys::cuModuleUnload(module.0.cast()),
                failed => failed,
            }
        });
    }

    unsafe fn launch(
        &self,
        stream: Handle,
        kernel: &Loaded,
        config: &LaunchConfig,
        args: PackedArgs<'_>,
    ) -> Result<()> {
        let Loaded::Module(kernel) = kernel else {
            return Err(Error::invalid("kernel", "code for another device", "must be PTX"));
        };
        let (mut attributes, count) = attributes(config);
        let launch = sys::CUlaunchConfig {
            gridDimX: config.grid[0],
            gridDimY: config.grid[1],
            gridDimZ: config.grid[2],
            blockDimX: config.block[0],
            blockDimY: config.block[1],
            blockDimZ: config.block[2],
            sharedMemBytes: kernel.shared_bytes(config),
            hStream: stream_of(stream),
            attrs: attributes.as_mut_ptr(),
            numAttrs: count,
        };
        let maps = self.descriptors.of(&args)?;
        let mut maps = args.tensor_maps.iter().zip(&maps).peekable();
        // Each parameter by a pointer, not all as one block: assemblers align a tensor map's address,
        // not its offset, and may so place it where no block of ours would have it.
        let pointer = |&offset: &u32| match maps.next_if(|(at, _)| **at == offset) {
            Some((_, map)) => std::ptr::from_ref(map).cast_mut().cast(),
            None => std::ptr::from_ref(&args.bytes[offset as usize]).cast_mut().cast(),
        };
        let mut params: Vec<*mut c_void> = args.offsets.iter().map(pointer).collect();
        // SAFETY: the caller vouches for kernel and arguments; the driver copies what the pointers
        // lead to before it returns, and writes nothing there.
        self.call("cuLaunchKernelEx", || unsafe {
            sys::cuLaunchKernelEx(
                &launch,
                kernel.function().0.cast(),
                params.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        })
    }
}

/// The launch attributes a configuration asks for, and how many they are.
fn attributes(config: &LaunchConfig) -> ([sys::CUlaunchAttribute; 2], u32) {
    use sys::CUlaunchAttributeID as Id;
    let none = sys::CUlaunchAttribute {
        id: Id::CU_LAUNCH_ATTRIBUTE_IGNORE,
        pad: [0; 4],
        value: sys::CUlaunchAttributeValue { pad: [0; 64] },
    };
    let mut attributes = [none; 2];
    let mut count = 0;
    if let Some([x, y, z]) = config.cluster {
        attributes[count].id = Id::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        attributes[count].value.clusterDim =
            sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x, y, z };
        count += 1;
    }
    if config.overlap_previous {
        attributes[count].id = Id::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attributes[count].value.programmaticStreamSerializationAllowed = 1;
        count += 1;
    }
    (attributes, count as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_asked_for() {
        let plain = LaunchConfig::new([4, 1, 1], [32, 1, 1]);
        assert_eq!(attributes(&plain).1, 0);
        let (both, count) = attributes(&plain.cluster([2, 1, 1]).overlap_previous());
        assert_eq!(count, 2);
        assert_eq!(both[0].id as u32, 4);
        // SAFETY: the field just written.
        assert_eq!(unsafe { both[0].value.clusterDim.x }, 2);
        assert_eq!(both[1].id as u32, 6);
        let (one, count) = attributes(&plain.overlap_previous());
        assert_eq!((count, one[0].id as u32), (1, 6));
    }
}
