//! Kernels from IR to results on the CPU.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use kernelsmith_runtime::{Args, Buffer, Device, LaunchConfig, Result, Stream};

use common::fill;

fn launch(stream: &Stream, guarded: bool, x: &mut Buffer<f32>, grid: u32) -> Result<()> {
    let block = [64, 1, 1];
    let kernel = stream.device().compile(&fill("fill", guarded), Some(block))?;
    let mut args = Args::new();
    args.slice_mut(x.view_mut()).scalar(2.5f32);
    // SAFETY: a slice and a number are what the kernel takes.
    unsafe { stream.launch(&kernel, &LaunchConfig::new([grid, 1, 1], block), args) }
}

#[test]
fn a_kernel_fills_a_buffer() {
    let device = Device::cpu();
    for len in [0, 1, 63, 64, 65, 1000] {
        let mut x = Buffer::zeros(&device, len).unwrap();
        let grid = len.div_ceil(64) as u32;
        launch(&device.default_stream(), true, &mut x, grid).unwrap();
        assert_eq!(x.to_vec().unwrap(), vec![2.5; len]);
    }
}

#[test]
fn a_check_that_fails_names_line_index_length_and_thread() {
    let device = Device::cpu();
    let stream = device.create_stream().unwrap();
    let mut x = Buffer::zeros(&device, 100).unwrap();
    launch(&stream, false, &mut x, 2).unwrap();
    let error = stream.synchronize().unwrap_err();
    let failure = error.check_failed().expect("a failed check");
    assert_eq!(failure.kernel, "fill");
    assert_eq!(failure.location, Some(("src/fill.rs".into(), 3, 5)));
    assert_eq!((failure.len, failure.block), (100, [1, 0, 0]));
    // Whichever thread came first, it is one of those outside, and tells of itself.
    assert!((100..128).contains(&failure.index), "{error}");
    assert_eq!(u64::from(failure.thread[0]) + 64, failure.index);
    stream.synchronize().unwrap();
    // What else the failing block did is not specified; the other one did its work.
    assert_eq!(x.to_vec().unwrap()[..64], [2.5; 64]);
}

#[test]
fn a_block_size_is_needed_and_kept() {
    let device = Device::cpu();
    let missing = device.compile(&fill("fill", true), None).unwrap_err().to_string();
    assert!(missing.starts_with("`block` is not set"), "{missing}");
    let mut kernel = fill("fill", true);
    kernel.block_dim = Some([32, 1, 1]);
    let other = device.compile(&kernel, Some([64, 1, 1])).unwrap_err().to_string();
    assert!(other.contains("made for blocks of [32, 1, 1]"), "{other}");
    let compiled = device.compile(&kernel, None).unwrap();
    let mut x = Buffer::<f32>::zeros(&device, 1).unwrap();
    let mut args = Args::new();
    args.slice_mut(x.view_mut()).scalar(1f32);
    let config = LaunchConfig::new([1, 1, 1], [64, 1, 1]);
    // SAFETY: nothing runs.
    let error = unsafe { device.default_stream().launch(&compiled, &config, args) }.unwrap_err();
    assert!(error.to_string().contains("compiled for blocks of [32, 1, 1]"), "{error}");
}

#[test]
#[ignore = "the body of processes that `the_cache_serves_the_next_process` starts"]
fn compile_once() {
    let device = Device::cpu();
    let mut x = Buffer::zeros(&device, 64).unwrap();
    launch(&device.default_stream(), true, &mut x, 1).unwrap();
    assert_eq!(x.to_vec().unwrap(), [2.5; 64]);
}

#[test]
fn the_cache_serves_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "compile_once"]);
        command.env("KERNELSMITH_CACHE_DIR", dir.path()).env_remove("KERNELSMITH_CACHE");
        assert!(command.output().unwrap().status.success());
        entries(dir.path())
    };
    let first = run();
    assert_eq!(first.len(), 1, "one kernel, one entry");
    let used = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let stamp = used(&first[0].0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(run(), first);
    assert!(used(&first[0].0) > stamp, "the second process did not use the entry");
    // A damaged entry is written anew.
    fs::write(&first[0].0, &first[0].1[..first[0].1.len() / 2]).unwrap();
    let healed = run();
    assert_eq!(healed[0].1.len(), first[0].1.len());
}

/// Path and contents of every file.
fn entries(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}
