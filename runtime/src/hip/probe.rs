//! Is the HIP runtime here?

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

use libloading::Library;

use super::error::describe;
use crate::library;

/// Every symbol this module calls. `hipGetDevicePropertiesR0600` came with ROCm 6.0, which makes
/// that the oldest version that works.
const SYMBOLS: &[&str] = &[
    "hipDeviceGetAttribute",
    "hipDeviceSynchronize",
    "hipEventCreateWithFlags",
    "hipEventDestroy",
    "hipEventElapsedTime",
    "hipEventQuery",
    "hipEventRecord",
    "hipEventSynchronize",
    "hipFree",
    "hipFreeAsync",
    "hipGetDeviceCount",
    "hipGetDevicePropertiesR0600",
    "hipGetErrorName",
    "hipGetErrorString",
    "hipHostFree",
    "hipHostMalloc",
    "hipInit",
    "hipMalloc",
    "hipMallocAsync",
    "hipMemcpyAsync",
    "hipMemsetAsync",
    "hipModuleGetFunction",
    "hipModuleLaunchKernel",
    "hipModuleLoadData",
    "hipModuleUnload",
    "hipRuntimeGetVersion",
    "hipSetDevice",
    "hipStreamCreateWithFlags",
    "hipStreamDestroy",
    "hipStreamQuery",
    "hipStreamSynchronize",
    "hipStreamWaitEvent",
];

/// A runtime that is here and initialised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InstalledRuntime {
    /// As `hipRuntimeGetVersion` says it: major * 10^7 + minor * 10^5 + patch.
    pub version: i32,
    /// How many devices it shows.
    pub devices: u32,
}

impl InstalledRuntime {
    /// The version as it is written.
    pub(super) fn version_text(&self) -> String {
        let (major, rest) = (self.version / 10_000_000, self.version % 10_000_000);
        format!("{major}.{}.{}", rest / 100_000, rest % 100_000)
    }
}

/// The runtime, or why there is none. Looked for once.
pub(super) fn runtime() -> &'static Result<InstalledRuntime, String> {
    static RUNTIME: OnceLock<Result<InstalledRuntime, String>> = OnceLock::new();
    RUNTIME.get_or_init(find)
}

fn find() -> Result<InstalledRuntime, String> {
    let hip = open("amdhip64")?;
    // The bindings open hiprtc along with the runtime, though nothing here calls it.
    let rtc = open("hiprtc")?;
    if let Some(missing) = SYMBOLS.iter().find(|symbol| !has_symbol(&hip, symbol)) {
        return Err(format!("the HIP runtime lacks `{missing}`; ROCm 6.0 or newer is needed"));
    }
    if !hip_sys::is_available() {
        return Err("the HIP runtime is here but the bindings cannot open it".to_owned());
    }
    drop((hip, rtc));
    let (mut version, mut devices) = (0, 0);
    // SAFETY: library and symbols are here; the pointers are valid.
    unsafe {
        expect("hipInit", hip_sys::hipInit(0))?;
        expect("hipRuntimeGetVersion", hip_sys::hipRuntimeGetVersion(&mut version))?;
        expect("hipGetDeviceCount", hip_sys::hipGetDeviceCount(&mut devices))?;
    }
    Ok(InstalledRuntime { version, devices: u32::try_from(devices).unwrap_or(0) })
}

/// Where a library may be, in the order the bindings look.
fn candidates(name: &str, var: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let names = match env::consts::OS {
        "windows" => vec![format!("{name}.dll")],
        "macos" => vec![format!("lib{name}.dylib")],
        _ => ["so", "so.1", "so.0"].map(|end| format!("lib{name}.{end}")).to_vec(),
    };
    let roots = ["ROCM_PATH", "HIP_PATH"].into_iter().filter_map(var);
    let folders = roots.flat_map(|root| [root.join("lib"), root]);
    let in_folders =
        folders.flat_map(|folder| names.iter().map(move |n| folder.join(n)).collect::<Vec<_>>());
    in_folders.chain(names.iter().map(PathBuf::from)).collect()
}

fn open(name: &str) -> Result<Library, String> {
    let candidates = candidates(name, &|variable| env::var_os(variable).map(PathBuf::from));
    let mut why = None;
    for candidate in &candidates {
        match library::open(candidate) {
            Ok(library) => return Ok(library),
            Err(error) => why = why.or(Some(error)),
        }
    }
    let tried: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
    let why = why.map(|error| format!(" ({error})")).unwrap_or_default();
    Err(format!("no HIP library `{name}` found{why}; tried {}", tried.join(", ")))
}

fn has_symbol(library: &Library, name: &str) -> bool {
    // SAFETY: the symbol is only looked for.
    unsafe { library.get::<unsafe extern "C" fn()>(name).is_ok() }
}

fn expect(call: &str, result: hip_sys::hipError_t) -> Result<(), String> {
    if result == hip_sys::hipError_t_hipSuccess {
        return Ok(());
    }
    let (name, message) = describe(result);
    Err(format!("{call} failed with {name} ({result}): {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_usual() {
        let runtime = InstalledRuntime { version: 60_443_482, devices: 1 };
        assert_eq!(runtime.version_text(), "6.4.43482");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn rocm_path_comes_first() {
        let paths = candidates("amdhip64", &|name| {
            (name == "ROCM_PATH").then(|| PathBuf::from("/opt/rocm"))
        });
        assert_eq!(paths[0], PathBuf::from("/opt/rocm/lib/libamdhip64.so"));
        assert_eq!(paths.last(), Some(&PathBuf::from("libamdhip64.so.0")));
    }

    #[test]
    fn a_missing_library_is_an_answer() {
        // On a machine with ROCm this is `Ok`; on any machine it must not panic.
        if let Err(reason) = runtime() {
            assert!(!reason.is_empty());
        }
    }
}
