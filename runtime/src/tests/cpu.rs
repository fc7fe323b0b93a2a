//! The CPU device.

use std::sync::Barrier;
use std::time::Duration;

use super::{ONE, cpu_kernel, failed, word};
use crate::{Args, Buffer, Device, DeviceKind, LaunchConfig, Target};

#[test]
fn the_cpu_is_always_here_and_always_the_same() {
    let (a, b) = (Device::cpu(), Device::cpu());
    assert_eq!(a, b);
    assert_eq!((a.kind(), a.index(), a.target()), (DeviceKind::Cpu, 0, &Target::Cpu));
    assert!(a.limits().compute_units >= 1);
    let report = Device::available();
    assert!(report.present.iter().any(|present| present.device == a));
    // Every kind is accounted for: here, or missing for a reason.
    for kind in [DeviceKind::Cuda, DeviceKind::Hip] {
        let present = report.present.iter().any(|present| present.device.kind() == kind);
        let missing = report.missing.iter().find(|missing| missing.kind == kind);
        assert!(present || !missing.expect("a reason").reason.is_empty());
    }
    let best = Device::best();
    assert_eq!(best, report.present[0].device);
}

#[test]
fn devices_that_are_not_here_say_why() {
    for (device, kind) in [(Device::cuda(4096), "CUDA"), (Device::hip(4096), "HIP")] {
        let message = device.unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{kind} device 4096 is not available: ")),
            "{message}"
        );
    }
}

#[test]
fn kernels_see_arguments_and_memory() {
    let device = Device::cpu();
    let kernel = cpu_kernel("fill", &[8, 8, 4], |config, args, _| {
        assert_eq!(config.grid, [2, 1, 1]);
        assert_eq!(args.len(), 24, "the hidden argument is not the kernel's");
        let value = f32::from_ne_bytes(args[16..20].try_into().unwrap());
        for i in 0..word(args, 8) {
            // SAFETY: the launch below gives a slice of `f32`.
            unsafe { (word(args, 0) as *mut f32).add(i as usize).write(value) };
        }
    });
    let mut x = Buffer::<f32>::zeros(&device, 5).unwrap();
    let mut args = Args::new();
    args.slice_mut(x.slice_mut(1..4).unwrap()).scalar(2.5f32);
    let config = LaunchConfig::new([2, 1, 1], [32, 1, 1]);
    // SAFETY: the arguments are what the kernel above takes.
    unsafe { device.default_stream().launch(&kernel, &config, args).unwrap() };
    assert_eq!(x.to_vec().unwrap(), [0.0, 2.5, 2.5, 2.5, 0.0]);
}

#[test]
fn threads_may_share_a_stream_and_its_failures() {
    const THREADS: u64 = 4;
    let device = Device::cpu();
    let stream = device.create_stream().unwrap();
    let kernel = cpu_kernel("gather", &[8], |_, args, record| {
        *record = failed(0, word(args, 0), word(args, 0));
    });
    let barrier = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (stream, kernel, barrier) = (&stream, &kernel, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for i in 0..500 {
                    let mut args = Args::new();
                    args.scalar(thread * 1000 + i);
                    // SAFETY: the kernel takes one number.
                    unsafe { stream.launch(kernel, &ONE, args).unwrap() };
                    if let Err(error) = stream.synchronize() {
                        // A record half one thread's and half another's would differ here.
                        let failure = error.check_failed().unwrap();
                        assert_eq!(failure.index, failure.len);
                    }
                }
            });
        }
    });
    while stream.synchronize().is_err() {}
    stream.synchronize().unwrap();
}

#[test]
fn events_measure_time() {
    let stream = Device::cpu().create_stream().unwrap();
    let kernel = cpu_kernel("sleep", &[], |_, _, _| std::thread::sleep(Duration::from_millis(3)));
    // SAFETY: the kernel takes nothing.
    let time = stream.time(|s| unsafe { s.launch(&kernel, &ONE, Args::new()) }).unwrap();
    assert!(time >= Duration::from_millis(3), "{time:?}");
    let (first, second) = (stream.record().unwrap(), stream.record().unwrap());
    std::thread::sleep(Duration::from_millis(1));
    let third = stream.record().unwrap();
    assert!(second.elapsed_since(&first).is_ok());
    assert!(first.elapsed_since(&third).unwrap_err().to_string().contains("before"));
}
