//! The GPU paths against drivers of host memory, built with the C compiler that Rust links with.
//!
//! A driver is looked for once per process, so each case is a process of its own: the parent builds
//! a library, points the loader at it, and runs one of the ignored tests below. The libraries export
//! exactly the symbols that the runtime says it needs: a call of any other would end the process.
#![cfg(target_os = "linux")]

mod common;

use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use half::bf16;
use hip_sys::hipDeviceProp_tR0600 as Properties;
use kernelsmith_runtime::{Args, Buffer, Device, DeviceKind, Error, LaunchConfig, Swizzle};

/// Builds a library from a source beside this file.
fn build(dir: &Path, source: &str, library: &str, defines: &[String]) {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(source);
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O1", "-Wall", "-shared", "-fPIC", "-o"])
        .arg(dir.join(library))
        .args(defines)
        .arg(&source)
        .output()
        .expect("a C compiler called `cc`: Rust needs one to link");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn cuda(defines: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let defines: Vec<_> = defines.iter().map(|define| define.to_string()).collect();
    build(dir.path(), "fake_cuda.c", "libcuda.so", &defines);
    dir
}

fn hip() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let places = [
        ("NAME_AT", offset_of!(Properties, name)),
        ("ARCH_AT", offset_of!(Properties, gcnArchName)),
        ("BLOCK_AT", offset_of!(Properties, maxThreadsDim)),
        ("GRID_AT", offset_of!(Properties, maxGridSize)),
        ("THREADS_AT", offset_of!(Properties, maxThreadsPerBlock)),
        ("SHARED_AT", offset_of!(Properties, sharedMemPerBlock)),
        ("WARP_AT", offset_of!(Properties, warpSize)),
        ("UNITS_AT", offset_of!(Properties, multiProcessorCount)),
        ("MEMORY_AT", offset_of!(Properties, totalGlobalMem)),
    ];
    let defines: Vec<_> = places.iter().map(|(name, at)| format!("-D{name}={at}")).collect();
    for library in ["libamdhip64.so", "libhiprtc.so"] {
        build(dir.path(), "fake_hip.c", library, &defines);
    }
    dir
}

/// Runs one of the ignored tests against the libraries of a folder; its standard output.
fn run(case: &str, libraries: &Path, vars: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", case, "--nocapture"])
        .env("LD_LIBRARY_PATH", libraries)
        .env_remove("ROCM_PATH")
        .env_remove("HIP_PATH")
        .env("KERNELSMITH_CACHE", "off")
        .envs(vars.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case} with {vars:?}:\n{text}\n{errors}");
    text
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn report() {
    println!("{}", Device::available());
}

#[test]
fn a_driver_that_cannot_be_used_is_a_reason() {
    let cuda_report = |vars: &[(&str, &str)]| run("report", cuda(&[]).path(), vars);
    let too_old = cuda_report(&[("FAKE_VERSION", "11080")]);
    assert!(
        too_old.contains("CUDA: the driver is for CUDA 11.8; 12.0 or newer is needed"),
        "{too_old}"
    );
    let broken = cuda_report(&[("FAKE_INIT", "100")]);
    let expected = "CUDA: cuInit failed with CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device";
    assert!(broken.contains(expected), "{broken}");
    let none = cuda_report(&[("FAKE_COUNT", "0")]);
    assert!(none.contains("CUDA: CUDA driver 12.4 (PTX ISA 8.4) shows no device"), "{none}");
    let incomplete = run("report", cuda(&["-DWITHOUT_TMA"]).path(), &[]);
    assert!(incomplete.contains("CUDA: the driver's library lacks `cuTensorMapEncodeTiled`"));

    let broken = run("report", hip().path(), &[("FAKE_INIT", "100")]);
    assert!(broken.contains("HIP: hipInit failed with hipErrorNoDevice (100)"), "{broken}");
    let foreign = run("report", hip().path(), &[("FAKE_ARCH", "gfx906")]);
    assert!(
        foreign.contains("HIP 0: its architecture is `gfx906`; there is code for"),
        "{foreign}"
    );
}

#[test]
fn a_missing_library_is_a_reason_with_the_names_tried() {
    let nothing = tempfile::tempdir().unwrap();
    let report = run("report", nothing.path(), &[]);
    // SAFETY: opening a driver's library runs its initialisers, as the runtime itself does.
    let installed = |name: &str| unsafe { libloading::Library::new(name).is_ok() };
    let expect = |line: &str| assert!(report.contains(line), "{report}");
    match installed("libcuda.so.1") || installed("libcuda.so") {
        true => expect("CUDA"),
        false => {
            expect("CUDA: no CUDA driver library found (libcuda.so: ");
            expect("; tried libcuda.so, libcuda64.so");
            expect("libcuda.so.1");
        }
    }
    match installed("libamdhip64.so") {
        true => expect("HIP"),
        false => {
            expect("HIP: no HIP library `amdhip64` found (libamdhip64.so: ");
            expect("; tried libamdhip64.so, libamdhip64.so.1");
        }
    }
}

#[test]
fn a_driver_that_works_gives_devices() {
    let report = run("report", cuda(&[]).path(), &[]);
    let expected = "CUDA 0 (Fake H100 number 0, sm_90a), through CUDA driver 12.4 (PTX ISA 8.4)\n";
    assert!(report.contains(expected), "{report}");
    let report = run("report", hip().path(), &[]);
    let expected = "HIP 0 (Fake MI300X number 0, gfx942), through HIP runtime 6.4.43482\n";
    assert!(report.contains(expected), "{report}");
}

/// Launches of kernels that the driver knows by their name.
fn launch(device: &Device) {
    let stream = device.create_stream().unwrap();
    let config = LaunchConfig::new([4, 1, 1], [64, 1, 1]);
    let config = match device.kind() {
        DeviceKind::Cuda => config.cluster([2, 1, 1]).overlap_previous(),
        _ => config,
    };
    let run = |name: &str| {
        let kernel = device.compile(&common::fill(name, name == "fill"), None).unwrap();
        let mut x = Buffer::<f32>::zeros(device, 1000).unwrap();
        let mut args = Args::new();
        args.slice_mut(x.slice_mut(10..20).unwrap()).scalar(2.5f32);
        // SAFETY: a slice and a number are what the kernels take.
        unsafe { stream.launch(&kernel, &config, args).unwrap() };
        x.to_vec()
    };
    let filled = run("fill").unwrap();
    assert_eq!(filled[10..20], [2.5; 10]);
    assert!(filled[..10].iter().chain(&filled[20..]).all(|&value| value == 0.0));
    let error = run("fail").unwrap_err();
    let failure = error.check_failed().expect("a failed check");
    assert_eq!(failure.kernel, "fail");
    assert_eq!(failure.location, Some(("src/fill.rs".into(), 3, 5)));
    assert_eq!((failure.index, failure.len), (7, 5));
    assert_eq!((failure.block, failure.thread), ([3, 0, 0], [63, 0, 0]));
    stream.synchronize().unwrap();
}

/// Everything but launches.
fn exercise(device: &Device) {
    let values: Vec<f32> = (0..2_000_000).map(|i| i as f32).collect();
    let x = Buffer::from_slice(device, &values).unwrap();
    assert_eq!(x.raw().address() % 256, 0);
    assert_eq!(x.to_vec().unwrap(), values);
    assert_eq!(Buffer::<u8>::zeros(device, 1000).unwrap().to_vec().unwrap(), [0; 1000]);
    let stream = device.create_stream().unwrap();
    let mut y = Buffer::<f32>::zeros(device, 10).unwrap();
    let start = stream.record().unwrap();
    stream.copy(y.view_mut(), x.slice(5..15).unwrap()).unwrap();
    let end = stream.record().unwrap();
    device.default_stream().wait(&end).unwrap();
    assert!(end.happened().unwrap() && stream.is_idle().unwrap());
    assert!(end.elapsed_since(&start).is_ok());
    assert_eq!(y.to_vec().unwrap(), values[5..15]);
    assert_eq!(y.to_device(&Device::cpu()).unwrap().to_vec().unwrap(), values[5..15]);
    drop(x);
    drop(stream);
    device.synchronize().unwrap();
    let error = Buffer::<u8>::zeros(device, 2 << 30).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes == 2 << 30), "{error}");
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn cuda_child() {
    let device = Device::best();
    assert_eq!(device.kind(), DeviceKind::Cuda);
    assert_eq!(device, Device::cuda(0).unwrap());
    let limits = device.limits();
    assert_eq!(limits.max_shared_bytes, 232_448);
    assert_eq!((limits.max_cluster, limits.compute_units, limits.warp_size), (16, 132, 32));
    let machine = device.machine();
    assert_eq!((machine.cores, machine.l1, machine.l2), (132, 233_472, 50 << 20));
    assert_eq!((machine.vector, machine.l3, device.threads()), (128, 0, 132));
    let message = Device::cuda(3).unwrap_err().to_string();
    assert!(message.contains("the driver shows 1 device(s), numbered from 0"), "{message}");
    exercise(&device);
    launch(&device);
    tensor_maps(&device);
}

/// The driver numbers the maps that it writes: what a launch hands over is that, and a map that was
/// written is not written again.
fn tensor_maps(device: &Device) {
    let kernel = device.compile(&common::maps("maps", [32, 64], Swizzle::B128), None).unwrap();
    let stream = device.create_stream().unwrap();
    let x = Buffer::<bf16>::zeros(device, 128 * 256).unwrap();
    let launch = |rows: u64, columns: u64| {
        let mut out = Buffer::<f32>::zeros(device, 4).unwrap();
        let mut args = Args::new();
        args.tensor_map(x.view(), &[128, columns], &[256, 1])
            .tensor_map(x.view(), &[rows, columns], &[256, 1])
            .slice_mut(out.view_mut());
        let config = LaunchConfig::new([2, 1, 1], [32, 1, 1]);
        // SAFETY: two tensors and a slice are what the kernel takes.
        unsafe { stream.launch(&kernel, &config, args) }?;
        out.to_vec()
    };
    assert_eq!(launch(128, 256).unwrap(), [0.0, 128.0, 0.0, 128.0]);
    assert_eq!(launch(64, 256).unwrap(), [0.0, 128.0, 1.0, 64.0]);
    assert_eq!(launch(64, 256).unwrap(), [0.0, 128.0, 1.0, 64.0]);
    let error = launch(64, 128).unwrap_err().to_string();
    assert!(error.starts_with("CUDA: cuTensorMapEncodeTiled failed with"), "{error}");
    let error = launch(129, 256).unwrap_err().to_string();
    assert!(error.starts_with("`b` is of shape [129, 256]"), "{error}");
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn refused_child() {
    let error = Device::cuda(0).unwrap().compile(&common::fill("fill", true), None).unwrap_err();
    println!("{error}");
}

#[test]
fn a_refused_kernel_comes_back_with_the_assemblers_log() {
    let libraries = cuda(&[]);
    let log = run("refused_child", libraries.path(), &[("FAKE_REFUSES", "1")]);
    assert!(log.contains("CUDA could not load kernel `fill`"), "{log}");
    assert!(log.contains("ptxas application ptx input, line 7; fatal"), "{log}");
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn hip_child() {
    let device = Device::hip(0).unwrap();
    assert_eq!(device.kind(), DeviceKind::Hip);
    let limits = device.limits();
    assert_eq!(
        (limits.max_shared_bytes, limits.warp_size, limits.compute_units),
        (65_536, 64, 304)
    );
    assert_eq!(limits.max_grid, [i32::MAX as u32, 65_536, 65_536]);
    exercise(&device);
    launch(&device);
}

#[test]
fn the_cuda_path_works_against_a_driver() {
    let libraries = cuda(&[]);
    for pools in ["1", "0"] {
        run("cuda_child", libraries.path(), &[("FAKE_POOLS", pools)]);
    }
}

#[test]
fn the_hip_path_works_against_a_runtime() {
    let libraries = hip();
    for pools in ["1", "0"] {
        run("hip_child", libraries.path(), &[("FAKE_POOLS", pools)]);
    }
}
