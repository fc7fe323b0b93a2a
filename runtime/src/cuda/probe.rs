//! Is the driver here, and is it new enough?

use std::sync::OnceLock;

use cudarc::driver::sys::{self, CUresult};

use super::error::describe;
use crate::library;

/// The oldest driver that has everything the runtime calls: launches with clusters, TMA
/// descriptors. CUDA 12.0, as `cuDriverGetVersion` says it.
const OLDEST: i32 = 12_000;

/// Every symbol the runtime calls. One that is missing would be a panic in the bindings.
const SYMBOLS: &[&str] = &[
    "cuCtxGetDevice",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetDefaultMemPool",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime",
    "cuEventQuery",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuFuncGetAttribute",
    "cuFuncSetAttribute",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuInit",
    "cuLaunchKernelEx",
    "cuMemAllocAsync",
    "cuMemAlloc_v2",
    "cuMemFreeAsync",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemPoolSetAttribute",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadDataEx",
    "cuModuleUnload",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamQuery",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuTensorMapEncodeTiled",
];

/// A driver that is here, new enough and initialised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InstalledDriver {
    /// As `cuDriverGetVersion` says it: 12040 for 12.4.
    pub version: i32,
    /// How many devices it shows.
    pub devices: u32,
}

/// The driver, or why there is none. Looked for once.
pub(super) fn driver() -> &'static Result<InstalledDriver, String> {
    static DRIVER: OnceLock<Result<InstalledDriver, String>> = OnceLock::new();
    DRIVER.get_or_init(find)
}

fn find() -> Result<InstalledDriver, String> {
    find_library()?;
    if let Some(missing) = SYMBOLS.iter().find(|symbol| !has_symbol(symbol)) {
        let oldest = version_text(OLDEST);
        return Err(format!(
            "the driver's library lacks `{missing}`; a driver for CUDA {oldest} or newer is needed"
        ));
    }
    let mut version = 0;
    let mut devices = 0;
    // SAFETY: the library and the symbols are here; the pointers are valid. `cuDriverGetVersion`
    // is the one call that may come before `cuInit`.
    unsafe {
        expect("cuDriverGetVersion", sys::cuDriverGetVersion(&mut version))?;
        if version < OLDEST {
            let (here, oldest) = (version_text(version), version_text(OLDEST));
            return Err(format!("the driver is for CUDA {here}; {oldest} or newer is needed"));
        }
        expect("cuInit", sys::cuInit(0))?;
        expect("cuDeviceGetCount", sys::cuDeviceGetCount(&mut devices))?;
    }
    Ok(InstalledDriver { version, devices: u32::try_from(devices).unwrap_or(0) })
}

/// Whether the library can be opened, under the names the bindings try.
fn find_library() -> Result<(), String> {
    // SAFETY: opening the driver's library runs its initialisers, which is what it is for.
    if unsafe { sys::is_culib_present() } {
        return Ok(());
    }
    let mut names = Vec::new();
    for name in ["cuda", "nvcuda"].into_iter().flat_map(cudarc::get_lib_name_candidates) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let first = names.first().map_or("libcuda.so", |name| name.as_str());
    let why = library::open(first).err().map(|why| format!(" ({why})")).unwrap_or_default();
    Err(format!("no CUDA driver library found{why}; tried {}", names.join(", ")))
}

fn has_symbol(name: &str) -> bool {
    // SAFETY: called only once the library is known to be here; the symbol is not called.
    unsafe { sys::culib().get::<unsafe extern "C" fn()>(name).is_ok() }
}

fn expect(call: &str, result: CUresult) -> Result<(), String> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => {
            let (name, message) = describe(code);
            Err(format!("{call} failed with {name} ({}): {message}", code as u32))
        }
    }
}

fn version_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

impl InstalledDriver {
    /// The CUDA version as it is written.
    pub(super) fn version_text(&self) -> String {
        version_text(self.version)
    }

    /// The newest PTX the driver takes.
    pub(super) fn max_ptx(&self) -> (u32, u32) {
        max_ptx(self.version)
    }
}

/// The newest PTX ISA a driver takes (PTX ISA, "Release Notes", table "PTX Release History"). From
/// CUDA 13 on the two count together; a driver newer than the table takes what its last row does.
fn max_ptx(version: i32) -> (u32, u32) {
    const TABLE: &[(i32, (u32, u32))] = &[
        (12_000, (8, 0)),
        (12_010, (8, 1)),
        (12_020, (8, 2)),
        (12_030, (8, 3)),
        (12_040, (8, 4)),
        (12_050, (8, 5)),
        (12_070, (8, 6)),
        (12_080, (8, 7)),
        (12_090, (8, 8)),
        (13_000, (9, 0)),
        (13_010, (9, 1)),
        (13_040, (9, 4)),
    ];
    let row = TABLE.iter().rev().find(|(first, _)| version >= *first);
    row.map_or((0, 0), |&(_, ptx)| ptx)
}

/// The first driver that takes a PTX version, as it is written; for messages.
pub(super) fn driver_for_ptx(ptx: (u32, u32)) -> String {
    let first = (OLDEST / 10..1400).map(|v| v * 10).find(|&version| max_ptx(version) >= ptx);
    first.map_or_else(|| "unknown".to_owned(), version_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_take_the_ptx_of_their_release() {
        assert_eq!(max_ptx(11_080), (0, 0));
        assert_eq!(max_ptx(12_000), (8, 0));
        assert_eq!(max_ptx(12_060), (8, 5));
        assert_eq!(max_ptx(13_000), (9, 0));
        assert_eq!(max_ptx(13_020), (9, 1));
        assert_eq!(max_ptx(14_000), (9, 4));
        assert_eq!(driver_for_ptx((8, 6)), "12.7");
        assert_eq!(driver_for_ptx((7, 8)), "12.0");
        assert_eq!(driver_for_ptx((9, 0)), "13.0");
        assert_eq!(version_text(12_040), "12.4");
    }

    #[test]
    fn a_missing_library_is_an_answer() {
        // On a machine with a driver this is `Ok`; on any machine it must not panic.
        if let Err(reason) = driver() {
            assert!(!reason.is_empty());
        }
    }
}
