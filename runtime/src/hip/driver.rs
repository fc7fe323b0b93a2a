//! [`Driver`] over the HIP runtime.

use std::ffi::{CString, c_void};

use hip_sys::{hipError_t, hipEvent_t, hipStream_t};

use super::error::{check, describe};
use crate::compile::Loaded;
use crate::driver::{Driver, Handle, PackedArgs};
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;

/// One device.
pub(super) struct HipDriver {
    index: u32,
    /// Whether memory comes from the device's pool, in stream order.
    pooled: bool,
}

impl HipDriver {
    pub(super) fn new(index: u32) -> Result<HipDriver> {
        let mut pooled = 0;
        let attribute = hip_sys::hipDeviceAttribute_t_hipDeviceAttributeMemoryPoolsSupported;
        // SAFETY: the runtime is here, and the pointer is valid.
        let result =
            unsafe { hip_sys::hipDeviceGetAttribute(&mut pooled, attribute, index as i32) };
        check("hipDeviceGetAttribute", result)?;
        Ok(HipDriver { index, pooled: pooled != 0 })
    }

    /// Makes the device the calling thread's, runs a call, and names it if it fails.
    fn call(&self, name: &'static str, call: impl FnOnce() -> hipError_t) -> Result<()> {
        // SAFETY: the runtime is here, and counts this device.
        check("hipSetDevice", unsafe { hip_sys::hipSetDevice(self.index as i32) })?;
        check(name, call())
    }

    /// As [`call`](Self::call), for queries that say "not yet" by an error.
    fn query(&self, name: &'static str, call: impl FnOnce() -> hipError_t) -> Result<bool> {
        let mut ready = true;
        self.call(name, || match call() {
            hip_sys::hipError_t_hipErrorNotReady => {
                ready = false;
                hip_sys::hipError_t_hipSuccess
            }
            other => other,
        })?;
        Ok(ready)
    }

    /// A copy whose direction the runtime sees from the addresses' kind.
    ///
    /// # Safety
    /// As for [`Driver::copy_in`].
    unsafe fn copy_as(
        &self,
        kind: hip_sys::hipMemcpyKind,
        to: *mut c_void,
        from: *const c_void,
        bytes: usize,
        stream: Handle,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        self.call("hipMemcpyAsync", || unsafe {
            hip_sys::hipMemcpyAsync(to, from, bytes, kind, stream_of(stream))
        })
    }
}

fn stream_of(handle: Handle) -> hipStream_t {
    handle.0.cast()
}

fn event_of(handle: Handle) -> hipEvent_t {
    handle.0.cast()
}

impl Driver for HipDriver {
    fn create_stream(&self) -> Result<Handle> {
        let mut stream = std::ptr::null_mut();
        let flags = hip_sys::hipStreamNonBlocking;
        // SAFETY: the pointer is valid.
        self.call("hipStreamCreateWithFlags", || unsafe {
            hip_sys::hipStreamCreateWithFlags(&mut stream, flags)
        })?;
        Ok(Handle(stream.cast()))
    }

    unsafe fn destroy_stream(&self, stream: Handle) {
        // SAFETY: the caller's promise; the runtime lets work in it end first.
        let _ = self
            .call("hipStreamDestroy", || unsafe { hip_sys::hipStreamDestroy(stream_of(stream)) });
    }

    fn synchronize(&self, stream: Handle) -> Result<()> {
        // SAFETY: handles given to a driver are its own and alive.
        self.call("hipStreamSynchronize", || unsafe {
            hip_sys::hipStreamSynchronize(stream_of(stream))
        })
    }

    fn is_idle(&self, stream: Handle) -> Result<bool> {
        // SAFETY: as above.
        self.query("hipStreamQuery", || unsafe { hip_sys::hipStreamQuery(stream_of(stream)) })
    }

    fn create_event(&self) -> Result<Handle> {
        let mut event = std::ptr::null_mut();
        // SAFETY: the pointer is valid.
        self.call("hipEventCreateWithFlags", || unsafe {
            hip_sys::hipEventCreateWithFlags(&mut event, hip_sys::hipEventDefault)
        })?;
        Ok(Handle(event.cast()))
    }

    unsafe fn destroy_event(&self, event: Handle) {
        // SAFETY: the caller's promise; waits already enqueued do not need the event any more.
        let _ =
            self.call("hipEventDestroy", || unsafe { hip_sys::hipEventDestroy(event_of(event)) });
    }

    fn record(&self, event: Handle, stream: Handle) -> Result<()> {
        // SAFETY: handles given to a driver are its own and alive.
        self.call("hipEventRecord", || unsafe {
            hip_sys::hipEventRecord(event_of(event), stream_of(stream))
        })
    }

    fn wait(&self, stream: Handle, event: Handle) -> Result<()> {
        // SAFETY: as above.
        self.call("hipStreamWaitEvent", || unsafe {
            hip_sys::hipStreamWaitEvent(stream_of(stream), event_of(event), 0)
        })
    }

    fn synchronize_event(&self, event: Handle) -> Result<()> {
        // SAFETY: as above.
        self.call("hipEventSynchronize", || unsafe {
            hip_sys::hipEventSynchronize(event_of(event))
        })
    }

    fn event_happened(&self, event: Handle) -> Result<bool> {
        // SAFETY: as above.
        self.query("hipEventQuery", || unsafe { hip_sys::hipEventQuery(event_of(event)) })
    }

    fn milliseconds(&self, start: Handle, end: Handle) -> Result<f32> {
        let mut ms = 0.0;
        // SAFETY: as above, and the pointer is valid.
        self.call("hipEventElapsedTime", || unsafe {
            hip_sys::hipEventElapsedTime(&mut ms, event_of(start), event_of(end))
        })?;
        Ok(ms)
    }

    fn allocate(&self, bytes: usize, stream: Handle) -> Result<u64> {
        let mut at = std::ptr::null_mut();
        // SAFETY: the pointer is valid; handles given to a driver are its own and alive.
        let result = self.call("hipMalloc", || unsafe {
            match self.pooled {
                true => hip_sys::hipMallocAsync(&mut at, bytes, stream_of(stream)),
                false => hip_sys::hipMalloc(&mut at, bytes),
            }
        });
        match result {
            Err(Error::Driver { code, .. }) if code == hip_sys::hipError_t_hipErrorOutOfMemory => {
                let (name, detail) = describe(code);
                let (device, detail) = (format!("HIP {}", self.index), format!("{name}: {detail}"));
                Err(Error::OutOfMemory { device, bytes: bytes as u64, detail })
            }
            other => other.map(|()| at as u64),
        }
    }

    unsafe fn free(&self, address: u64, _: usize, stream: Handle) {
        // SAFETY: the caller's promise. Without a pool the call itself waits for the device.
        let _ = self.call("hipFree", || unsafe {
            match self.pooled {
                true => hip_sys::hipFreeAsync(address as *mut c_void, stream_of(stream)),
                false => hip_sys::hipFree(address as *mut c_void),
            }
        });
    }

    fn allocate_host(&self, bytes: usize) -> Result<*mut u8> {
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the pointer is valid.
        self.call("hipHostMalloc", || unsafe {
            hip_sys::hipHostMalloc(&mut pointer, bytes, hip_sys::hipHostMallocDefault)
        })?;
        Ok(pointer.cast())
    }

    unsafe fn free_host(&self, pointer: *mut u8, _: usize) {
        // SAFETY: the caller's promise.
        let _ = self.call("hipHostFree", || unsafe { hip_sys::hipHostFree(pointer.cast()) });
    }

    unsafe fn copy_in(&self, to: u64, from: *const u8, bytes: usize, stream: Handle) -> Result<()> {
        let kind = hip_sys::hipMemcpyKind_hipMemcpyHostToDevice;
        // SAFETY: the caller's promise.
        unsafe { self.copy_as(kind, to as *mut c_void, from.cast(), bytes, stream) }
    }

    unsafe fn copy_out(&self, to: *mut u8, from: u64, bytes: usize, stream: Handle) -> Result<()> {
        let kind = hip_sys::hipMemcpyKind_hipMemcpyDeviceToHost;
        // SAFETY: the caller's promise.
        unsafe { self.copy_as(kind, to.cast(), from as *const c_void, bytes, stream) }
    }

    unsafe fn copy(&self, to: u64, from: u64, bytes: usize, stream: Handle) -> Result<()> {
        let kind = hip_sys::hipMemcpyKind_hipMemcpyDeviceToDevice;
        // SAFETY: the caller's promise.
        unsafe { self.copy_as(kind, to as *mut c_void, from as *const c_void, bytes, stream) }
    }

    unsafe fn zero(&self, at: u64, bytes: usize, stream: Handle) -> Result<()> {
        // SAFETY: the caller's promise.
        self.call("hipMemsetAsync", || unsafe {
            hip_sys::hipMemsetAsync(at as *mut c_void, 0, bytes, stream_of(stream))
        })
    }

    fn load(&self, image: &[u8], kernel: &str) -> Result<(Handle, Handle)> {
        let refuse =
            |message: String| Error::Load { api: "HIP", kernel: kernel.to_owned(), message };
        let name = CString::new(kernel).map_err(|_| refuse("its name has a zero byte".into()))?;
        let (mut module, mut function) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a code object tells its own length; the pointers are valid.
        self.call("hipModuleLoadData", || unsafe {
            hip_sys::hipModuleLoadData(&mut module, image.as_ptr().cast())
        })
        .map_err(|error| refuse(error.to_string()))?;
        // SAFETY: the module was just loaded; the pointers are valid.
        let found = self.call("hipModuleGetFunction", || unsafe {
            hip_sys::hipModuleGetFunction(&mut function, module, name.as_ptr())
        });
        match found {
            Ok(()) => Ok((Handle(module.cast()), Handle(function.cast()))),
            Err(error) => {
                // SAFETY: nobody else knows the module.
                let _ =
                    self.call("hipModuleUnload", || unsafe { hip_sys::hipModuleUnload(module) });
                Err(refuse(error.to_string()))
            }
        }
    }

    unsafe fn unload(&self, module: Handle) {
        // Work that uses the module may be in any stream.
        // SAFETY: the caller's promise, and the device is idle.
        let _ = self.call("hipModuleUnload", || unsafe {
            match hip_sys::hipDeviceSynchronize() {
                hip_sys::hipError_t_hipSuccess => hip_sys::hipModuleUnload(module.0.cast()),
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
            return Err(Error::invalid("kernel", "code for another device", "must be AMDGCN"));
        };
        let mut bytes = args.bytes.len();
        // All arguments as one block at their own offsets (HIP's `HIP_LAUNCH_PARAM_BUFFER_POINTER`,
        // `..._SIZE` and `..._END`: small numbers in place of pointers).
        let mut extra: [*mut c_void; 5] = [
            std::ptr::without_provenance_mut(1),
            args.bytes.as_ptr().cast_mut().cast(),
            std::ptr::without_provenance_mut(2),
            (&raw mut bytes).cast(),
            std::ptr::without_provenance_mut(3),
        ];
        let ([gx, gy, gz], [bx, by, bz]) = (config.grid, config.block);
        // SAFETY: the caller vouches for kernel and arguments; the runtime copies the block before
        // it returns.
        self.call("hipModuleLaunchKernel", || unsafe {
            hip_sys::hipModuleLaunchKernel(
                kernel.function().0.cast(),
                gx,
                gy,
                gz,
                bx,
                by,
                bz,
                kernel.shared_bytes(config),
                stream_of(stream),
                std::ptr::null_mut(),
                extra.as_mut_ptr(),
            )
        })
    }
}
