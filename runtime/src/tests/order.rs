//! Whatever streams do, buffers are used in the program's order and freed after their last use.

use kernelsmith_ir::Scalar;
use kernelsmith_ir::tensor_map::{BYTES, Swizzle, TensorMap, TensorTile};

use super::{ONE, late, late_kernel, late_kernel_of, word};
use crate::kernel::ParamLayout;
use proptest::prelude::*;

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

/// `c[0] = a[0] + 1`, with what the copy engine would know of both.
fn increment_maps(device: &Device) -> CompiledKernel {
    let param = |i: u32, name: &str, written| ParamLayout {
        name: name.into(),
        offset: i * BYTES as u32,
        size: BYTES as u32,
        tensor: Some((Scalar::U64, TensorTile::new(&[2, 8], Swizzle::None, written))),
    };
    let params = vec![param(0, "a", false), param(1, "c", true)];
    late_kernel_of(device, "increment_maps", params, |state, args, _| {
        let map = |i: usize| {
            let bytes = args[i * BYTES..(i + 1) * BYTES].try_into().unwrap();
            let map = TensorMap::decode(bytes).expect("the portable form");
            assert_eq!((map.extents, map.strides), ([3, 4, 1, 1, 1], [8, 64, 0, 0, 0]));
            assert_eq!((map.tile.extents(), map.tile.written), (&[2, 8][..], i == 1));
            map.address
        };
        let (a, c) = (map(0), map(1));
        let value = u64::from_ne_bytes(state.bytes(a, 8).try_into().unwrap());
        state.bytes(c, 8).copy_from_slice(&(value + 1).to_ne_bytes());
    })
}

#[test]
fn tensors_are_ordered_as_other_buffers_are() {
    let (device, _) = late();
    let kernel = increment_maps(&device);
    let streams: Vec<_> = (0..3).map(|_| device.create_stream().unwrap()).collect();
    let mut a = Buffer::from_slice(&device, &[100u64; 30]).unwrap();
    let mut c = Buffer::<u64>::zeros(&device, 30).unwrap();
    for i in 0..30 {
        let mut args = Args::new();
        args.tensor_map(a.view(), &[4, 3], &[8, 1]).tensor_map_mut(c.view_mut(), &[4, 3], &[8, 1]);
        // SAFETY: the kernel takes two tensors.
        unsafe { streams[i * 7 % 3].launch(&kernel, &ONE, args).unwrap() };
        std::mem::swap(&mut a, &mut c);
    }
    assert_eq!(a.to_vec().unwrap()[0], 130);
    let mut args = Args::new();
    args.tensor_map(a.view(), &[4, 3], &[8, 1]).tensor_map(c.view(), &[4, 3], &[8, 1]);
    // SAFETY: nothing runs.
    let error = unsafe { streams[0].launch(&kernel, &ONE, args) }.unwrap_err().to_string();
    assert!(error.starts_with("`c` is a tensor to be read"), "{error}");
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

/// One step of a random program. Numbers name buffers and streams, modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Upload {
        to: usize,
        value: u64,
        stream: usize,
    },
    Copy {
        to: usize,
        from: usize,
        stream: usize,
    },
    Zero {
        to: usize,
        stream: usize,
    },
    Increment {
        to: usize,
        from: usize,
        stream: usize,
    },
    /// Drops a buffer that may be in use, for a new one of zeros.
    Renew {
        buffer: usize,
    },
    /// Drops a stream that may have work, for a new one.
    RenewStream {
        stream: usize,
    },
    Synchronize {
        stream: usize,
    },
    Download {
        from: usize,
        stream: usize,
    },
}

const BUFFERS: usize = 4;
const STREAMS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let (buffer, stream) = (0..BUFFERS, 0..STREAMS);
    (0..8u32, buffer.clone(), buffer, stream, 0..1000u64).prop_map(
        |(kind, to, other, stream, value)| {
            let from = if other == to { (to + 1) % BUFFERS } else { other };
            match kind {
                0 => Step::Upload { to, value, stream },
                1 => Step::Copy { to, from, stream },
                2 => Step::Zero { to, stream },
                3 | 4 => Step::Increment { to, from, stream },
                5 if value < 300 => Step::Renew { buffer: to },
                5 if value < 500 => Step::RenewStream { stream },
                5 if value < 700 => Step::Synchronize { stream },
                5 => Step::Download { from, stream },
                6 => Step::Copy { to, from, stream },
                _ => Step::Increment { to, from, stream },
            }
        },
    )
}

/// Two different elements, the first to be written.
fn pair(buffers: &mut [Buffer<u64>], to: usize, from: usize) -> (&mut Buffer<u64>, &Buffer<u64>) {
    let [to, from] = buffers.get_disjoint_mut([to, from]).unwrap();
    (to, from)
}

/// Runs a program on the late device and, step by step, on the host; both must agree on every
/// download and at the end. The late driver panics at any access to memory that was freed.
fn run_in_any_order(steps: &[Step]) {
    let (device, driver) = late();
    let kernel = increment(&device);
    let mut streams: Vec<_> = (0..STREAMS).map(|_| device.create_stream().unwrap()).collect();
    let zeros = || Buffer::<u64>::zeros(&device, 1).unwrap();
    let mut buffers: Vec<_> = (0..BUFFERS).map(|_| zeros()).collect();
    let mut model = [0u64; BUFFERS];
    for step in steps {
        match *step {
            Step::Upload { to, value, stream } => {
                streams[stream].upload(buffers[to].view_mut(), &[value]).unwrap();
                model[to] = value;
            }
            Step::Copy { to, from, stream } => {
                let (y, x) = pair(&mut buffers, to, from);
                streams[stream].copy(y.view_mut(), x.view()).unwrap();
                model[to] = model[from];
            }
            Step::Zero { to, stream } => {
                streams[stream].zero(buffers[to].view_mut()).unwrap();
                model[to] = 0;
            }
            Step::Increment { to, from, stream } => {
                let (y, x) = pair(&mut buffers, to, from);
                launch(&streams[stream], &kernel, x.view(), y.view_mut());
                model[to] = model[from] + 1;
            }
            Step::Renew { buffer } => {
                buffers[buffer] = zeros();
                model[buffer] = 0;
            }
            Step::RenewStream { stream } => streams[stream] = device.create_stream().unwrap(),
            Step::Synchronize { stream } => streams[stream].synchronize().unwrap(),
            Step::Download { from, stream } => {
                let mut value = [0];
                streams[stream].download(buffers[from].view(), &mut value).unwrap();
                assert_eq!(value[0], model[from]);
            }
        }
    }
    let values: Vec<u64> = buffers.iter().map(|b| b.to_vec().unwrap()[0]).collect();
    assert_eq!(values, model);
    drop((buffers, streams, kernel));
    device.synchronize().unwrap();
    // What is left is the error records of streams that other things keep alive.
    assert!(driver.device_allocations() <= 1 + STREAMS, "memory in use was never freed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is enqueued where, a program gives what it gives in its own order.
    #[test]
    fn random_programs_run_as_written(steps in proptest::collection::vec(step(), 1..60)) {
        run_in_any_order(&steps);
    }
}
