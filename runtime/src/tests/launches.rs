//! What a launch refuses.

use super::{ONE, cpu_kernel, late, late_kernel};
use crate::{Args, Buffer, Device, LaunchConfig};

#[test]
fn kernels_and_buffers_stay_on_their_device() {
    let (device, _) = late();
    let stream = device.default_stream();
    let foreign = cpu_kernel("add", &[], |_, _, _| {});
    // SAFETY: nothing runs.
    let error = unsafe { stream.launch(&foreign, &ONE, Args::new()) }.unwrap_err().to_string();
    assert!(error.starts_with("`kernel` is on CPU"), "{error}");

    let kernel = late_kernel(&device, "add", &[8], |_, _, _| {});
    let x = Buffer::<f32>::zeros(&Device::cpu(), 1).unwrap();
    let mut args = Args::new();
    args.pointer(x.view());
    // SAFETY: nothing runs.
    let error = unsafe { stream.launch(&kernel, &ONE, args) }.unwrap_err().to_string();
    assert!(error.starts_with("`p0` is on CPU"), "{error}");
}

#[test]
fn arguments_and_shape_are_checked_before_anything_runs() {
    let kernel = cpu_kernel("add", &[4], |_, _, _| panic!("must not run"));
    let stream = Device::cpu().default_stream();
    let args = |n| {
        let mut args = Args::new();
        (0..n).for_each(|i: u32| {
            args.scalar(i);
        });
        args
    };
    let launch = |config, n| {
        // SAFETY: nothing runs.
        unsafe { stream.launch(&kernel, &config, args(n)) }
    };
    assert!(launch(ONE, 0).is_err());
    assert!(launch(ONE, 2).is_err());
    let big = LaunchConfig::new([1, 1, 1], [2048, 1, 1]);
    assert!(launch(big, 1).unwrap_err().to_string().starts_with("`block.x` is 2048"));
    // A grid without blocks is a launch of nothing.
    launch(LaunchConfig::new([0, 1, 1], [256, 1, 1]), 1).unwrap();
}
