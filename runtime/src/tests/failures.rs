//! Checks that fail inside kernels, and devices that fail altogether.

use super::{ONE, cpu_kernel, failed, late, late_kernel, word};
use crate::{Args, Buffer, CompiledKernel, Device, Error, Result, Stream};

/// A kernel that fails its check number `check` when its argument is not zero.
fn failing(device: &Device, name: &str, check: u32) -> CompiledKernel {
    match device.target() {
        kernelsmith_ir::Target::Cpu => cpu_kernel(name, &[8], move |_, args, record| {
            if word(args, 0) != 0 {
                *record = failed(check, word(args, 0), 5);
            }
        }),
        _ => late_kernel(device, name, &[8], move |state, args, at| {
            assert_eq!(word(args, 8), at, "the hidden argument is the record's address");
            let (index, record) = (word(args, 0), failed(check, word(args, 0), 5));
            // SAFETY: a record is plain numbers without padding.
            let bytes: [u8; 64] = unsafe { std::mem::transmute(record) };
            // What a kernel does by compare-and-swap: the first failure stays.
            if index != 0 && state.bytes(at, 4) == [0; 4] {
                state.bytes(at, 64).copy_from_slice(&bytes);
            }
        }),
    }
}

fn launch(stream: &Stream, kernel: &CompiledKernel, argument: u64) -> Result<()> {
    let mut args = Args::new();
    args.scalar(argument);
    // SAFETY: the kernel takes one number.
    unsafe { stream.launch(kernel, &ONE, args) }
}

#[test]
fn a_failing_check_comes_back_once_with_its_place() {
    for device in [Device::cpu(), late().0] {
        let stream = device.create_stream().unwrap();
        let kernel = failing(&device, "gather", 0);
        launch(&stream, &kernel, 0).unwrap();
        stream.synchronize().unwrap();
        launch(&stream, &kernel, 9).unwrap();
        launch(&stream, &kernel, 11).unwrap();
        let error = stream.synchronize().unwrap_err();
        assert_eq!(
            error.to_string(),
            "kernel `gather` at src/kernel.rs:10:9: index out of bounds: the index is 9 but the \
             length is 5 (block 3,0,0, thread 17,0,0)"
        );
        stream.synchronize().unwrap();
        launch(&stream, &kernel, 12).unwrap();
        assert_eq!(stream.synchronize().unwrap_err().check_failed().unwrap().index, 12);
    }
}

#[test]
fn each_kernel_that_failed_is_named() {
    for device in [Device::cpu(), late().0] {
        let stream = device.create_stream().unwrap();
        // More kernels than a block of records holds.
        let kernels: Vec<_> = (0..150).map(|i| failing(&device, &format!("k{i}"), i % 2)).collect();
        for (i, kernel) in kernels.iter().enumerate() {
            launch(&stream, kernel, u64::from(i % 40 == 3)).unwrap();
        }
        let mut names = Vec::new();
        while let Err(error) = stream.synchronize() {
            names.push(error.check_failed().expect("a failed check").kernel.clone());
        }
        assert_eq!(names, ["k3", "k43", "k83", "k123"]);
    }
}

#[test]
fn assertions_carry_their_message() {
    let stream = Device::cpu().create_stream().unwrap();
    launch(&stream, &failing(&Device::cpu(), "halve", 1), 1).unwrap();
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("src/kernel.rs:20:9: assertion failed: n is even"), "{error}");
}

#[test]
fn a_record_that_makes_no_sense_is_said_so() {
    let stream = Device::cpu().create_stream().unwrap();
    launch(&stream, &failing(&Device::cpu(), "broken", 77), 1).unwrap();
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("unknown check 77 of 2"), "{error}");
}

#[test]
fn streams_do_not_mix_up_their_failures() {
    let (device, _) = late();
    let (s, t) = (device.create_stream().unwrap(), device.create_stream().unwrap());
    let kernel = failing(&device, "gather", 0);
    launch(&s, &kernel, 1).unwrap();
    launch(&t, &kernel, 0).unwrap();
    t.synchronize().unwrap();
    assert!(s.synchronize().is_err());
    launch(&t, &kernel, 1).unwrap();
    assert!(device.synchronize().is_err());
    device.synchronize().unwrap();
}

#[test]
fn what_a_failed_kernel_wrote_cannot_be_read_unnoticed() {
    let (device, _) = late();
    let stream = device.create_stream().unwrap();
    let kernel = late_kernel(&device, "scatter", &[8], |state, _, at| {
        state.bytes(at, 4).copy_from_slice(&1u32.to_ne_bytes());
    });
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    let mut args = Args::new();
    args.pointer_mut(y.view_mut());
    // SAFETY: the kernel ignores its argument.
    unsafe { stream.launch(&kernel, &ONE, args).unwrap() };
    let error = y.to_vec().unwrap_err();
    assert_eq!(error.check_failed().unwrap().kernel, "scatter");
    assert_eq!(y.to_vec().unwrap(), [0.0; 4]);
}

#[test]
fn a_lost_device_names_the_kernels_that_may_have_lost_it() {
    let (device, driver) = late();
    let stream = device.create_stream().unwrap();
    launch(&stream, &failing(&device, "suspect", 0), 0).unwrap();
    driver.break_device();
    let error = stream.synchronize().unwrap_err();
    assert!(matches!(error, Error::Driver { code: 700, .. }));
    assert!(error.to_string().contains("kernels launched on this stream: suspect"), "{error}");
}
