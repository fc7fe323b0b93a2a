//! Whatever streams do, buffers are used in the program's order and freed after their last use.

use super::{ONE, late, late_kernel, word};
use crate::{Args, Buffer, BufferView, BufferViewMut, CompiledKernel, Device, Stream};

/// `y[0] = x[0] + 1`.
fn increment(device: &Device) -> CompiledKernel {
    late_kernel(device, "increment", &[8, 8], |state, args, _| {
        let (x, y) = (word(args, 0), word(args, 8));
        let value = u64::from_ne_bytes(state.bytes(x, 8).try_into().unwrap());
        state.bytes(y, 8).copy_from_slice(&(value + 1).to_ne_bytes());
    })
}

fn launch(
    stream: &Stream,
    kernel: &CompiledKernel,
    x: BufferView<'_, u64>,
    y: BufferViewMut<'_, u64>,
) {
    let mut args = Args::new();
    args.pointer(x).pointer_mut(y);
    // SAFETY: both pointers are to 8 bytes, as the kernel takes them.
    unsafe { stream.launch(kernel, &ONE, args).unwrap() };
}

#[test]
fn a_chain_across_streams_runs_in_order() {
    let (device, _) = late();
    let kernel = increment(&device);
    let streams: Vec<_> = (0..3).map(|_| device.create_stream().unwrap()).collect();
    let mut a = Buffer::from_slice(&device, &[100u64]).unwrap();
    let mut b = Buffer::<u64>::zeros(&device, 1).unwrap();
    for i in 0..30 {
        let stream = &streams[i * 7 % 3];
        launch(stream, &kernel, a.view(), b.view_mut());
        std::mem::swap(&mut a, &mut b);
    }
    assert_eq!(a.to_vec().unwrap(), [130]);
}

#[test]
fn a_write_waits_for_reads_in_other_streams() {
    let (device, _) = late();
    let kernel = increment(&device);
    let (s, t) = (device.create_stream().unwrap(), device.create_stream().unwrap());
    let mut x = Buffer::from_slice(&device, &[1u64]).unwrap();
    let mut y = Buffer::<u64>::zeros(&device, 1).unwrap();
    let mut z = Buffer::<u64>::zeros(&device, 1).unwrap();
    launch(&s, &kernel, x.view(), y.view_mut());
    launch(&t, &kernel, x.view(), z.view_mut());
    // The default stream runs first when this is downloaded; the readers must see the old value.
    x.copy_from(&[50]).unwrap();
    assert_eq!(x.to_vec().unwrap(), [50]);
    assert_eq!(y.to_vec().unwrap(), [2]);
    assert_eq!(z.to_vec().unwrap(), [2]);
}

#[test]
fn dropped_buffers_live_until_their_last_use() {
    let (device, driver) = late();
    let kernel = increment(&device);
    let stream = device.create_stream().unwrap();
    let mut y = Buffer::<u64>::zeros(&device, 1).unwrap();
    let before = driver.device_allocations();
    {
        let x = Buffer::from_slice(&device, &[41u64]).unwrap();
        launch(&stream, &kernel, x.view(), y.view_mut());
    }
    // Running the default stream alone frees `x`, but not before the launch has read it.
    device.default_stream().synchronize().unwrap();
    assert_eq!(y.to_vec().unwrap(), [42]);
    // One more than before: the error record of `stream`.
    assert_eq!(driver.device_allocations(), before + 1);
    drop(stream);
    device.synchronize().unwrap();
}

#[test]
fn events_order_streams() {
    let (device, _) = late();
    let (s, t) = (device.create_stream().unwrap(), device.create_stream().unwrap());
    let mut x = Buffer::from_slice(&device, &[7u64; 4]).unwrap();
    s.zero(x.view_mut()).unwrap();
    let event = s.record().unwrap();
    assert!(!event.happened().unwrap());
    t.wait(&event).unwrap();
    let after = t.record().unwrap();
    after.synchronize().unwrap();
    assert!(event.happened().unwrap() && after.happened().unwrap());
    assert!(s.is_idle().unwrap());
    let other = late().0;
    assert!(other.default_stream().wait(&event).is_err());
    assert!(after.elapsed_since(&event).is_ok());
}

#[test]
fn synchronizing_the_device_waits_for_every_stream() {
    let (device, _) = late();
    let kernel = increment(&device);
    let streams: Vec<_> = (0..4).map(|_| device.create_stream().unwrap()).collect();
    let x = Buffer::from_slice(&device, &[1u64]).unwrap();
    let mut outputs: Vec<_> =
        streams.iter().map(|_| Buffer::<u64>::zeros(&device, 1).unwrap()).collect();
    for (stream, y) in streams.iter().zip(&mut outputs) {
        launch(stream, &kernel, x.view(), y.view_mut());
    }
    assert!(streams.iter().all(|stream| !stream.is_idle().unwrap()));
    device.synchronize().unwrap();
    assert!(streams.iter().all(|stream| stream.is_idle().unwrap()));
}
