//! Shared memory: dynamic, parted, of several types, in two dimensions; named barriers.

use kernelsmith::prelude::*;

use crate::harness::{Run, TARGETS, one_block};

/// Reverses a block through as much shared memory as the launch gives.
#[kernel]
fn reverse(x: &[u32], out: &mut [u32]) {
    let all = dynamic_shared::<u32>();
    let n = all.len() / 2;
    let (i, first, second) = (thread_rank(), all.slice(0, n), all.slice(n, n));
    first[i] = x[i];
    second[n - 1 - i] = x[i];
    barrier();
    out[i] = second[i] * 1000 + first[i];
}

#[test]
fn dynamic_shared_memory_is_as_long_as_the_launch_says() {
    for n in [1, 31, 64, 100] {
        let x: Vec<u32> = (0..n as u32).collect();
        let run = Run { shared_bytes: 8 * n as u32, ..one_block([n, 1, 1], &x, &x) };
        let expected: Vec<u32> = x.iter().map(|i| (n as u32 - 1 - i) * 1000 + i).collect();
        run.everywhere(|x, out| reverse(x, out), |found| assert_eq!(found, expected));
    }
    let run = Run { shared_bytes: 64, ..one_block([8, 1, 1], &[0u32; 8], &[0u32; 8]) };
    run.compiles_for(&TARGETS, |x, out| reverse(x, out));
}

#[test]
fn dynamic_shared_memory_is_checked() {
    let device = Device::cpu();
    let x = Buffer::from_slice(&device, &[0u32; 64]).unwrap();
    let mut out = Buffer::<u32>::zeros(&device, 64).unwrap();
    let stream = device.create_stream().unwrap();
    reverse(&x, &mut out).block(64).shared_bytes(100).launch_on(&stream).unwrap();
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("index out of bounds"), "{error}");
    assert!(error.contains("the length is 12"), "{error}");
}

/// One array's memory holds floats, then bytes, then 64-bit words; and behind a static array.
#[kernel(block = 32)]
fn reuse(x: &[f32], out: &mut [u32]) {
    let i = thread_rank();
    let before = shared::<u8>(3);
    let data = shared::<f32>(64);
    let (bytes, words) = (data.cast::<u8>(), data.slice(32, 32).cast::<u64>());
    if i < 3 {
        before[i] = 7u8;
    }
    data[i] = x[i];
    if i < 16 {
        words[i] = (i as u64) << 32 | 5;
    }
    barrier();
    out[i] = bytes[4 * i + 3] as u32;
    out[32 + i] = data[32 + i].to_bits();
    out[64 + i] = bytes.len() as u32 + words.len() as u32;
}

#[test]
fn a_shared_array_can_be_of_another_type() {
    let x: Vec<f32> = (0..32).map(|i| i as f32 - 7.5).collect();
    let run = one_block([32, 1, 1], &x, &[0u32; 96]);
    run.everywhere(
        |x, out| reuse(x, out),
        |found| {
            for i in 0..32 {
                assert_eq!(found[i], x[i].to_bits() >> 24);
                assert_eq!(found[32 + i], if i % 2 == 0 { 5 } else { i as u32 / 2 });
                assert_eq!(found[64 + i], 256 + 16);
            }
        },
    );
    run.compiles_for(&TARGETS, |x, out| reuse(x, out));
}

#[kernel(block = 8)]
fn misaligned(x: &[f32], out: &mut [f32]) {
    let data = shared::<f32>(8);
    let words = data.slice(1, 4).cast::<u64>();
    out[0] = x[0] + words[0] as f32;
}

#[test]
fn a_cast_that_would_misalign_is_a_staging_error() {
    let device = Device::cpu();
    let x = Buffer::<f32>::zeros(&device, 8).unwrap();
    let mut out = Buffer::<f32>::zeros(&device, 8).unwrap();
    let error = misaligned(&x, &mut out).launch(&device).unwrap_err().to_string();
    assert!(error.contains("aligned to 4 bytes cannot be an array of u64"), "{error}");
    assert!(error.contains("sharing.rs"), "{error}");
}

#[kernel(block = [16, 16, 1])]
fn transpose(x: &[u16], out: &mut [u16]) {
    let tile = shared_tile::<u16, 2>([16, 17]);
    let (i, j) = (thread_idx_y(), thread_idx_x());
    tile[[i, j]] = x[i * 16 + j];
    barrier();
    out[i * 16 + j] = tile[[j, i]];
}

#[test]
fn tiles_have_two_indices() {
    let x: Vec<u16> = (0..256).collect();
    let expected: Vec<u16> = (0..256).map(|i| i % 16 * 16 + i / 16).collect();
    let run = one_block([16, 16, 1], &x, &x);
    run.everywhere(|x, out| transpose(x, out), |found| assert_eq!(found, expected));
    run.compiles_for(&TARGETS, |x, out| transpose(x, out));
}

/// One warp makes, the other uses; two barriers hand a buffer to and fro.
#[kernel(block = 64)]
fn producer_consumer(x: &[u32], out: &mut [u32]) {
    let (data, lane) = (shared::<u32>(32), lane_id());
    let rounds = x.len() / 32;
    if warp_id() == 0 {
        for round in 0..rounds {
            if round > 0 {
                barrier_sync(2, 64);
            }
            data[31 - lane] = x[round * 32 + lane] * 2;
            barrier_arrive(1, 64);
        }
    } else {
        for round in 0..rounds {
            barrier_sync(1, 64);
            out[round * 32 + lane] = data[lane];
            if round + 1 < rounds {
                barrier_arrive(2, 64);
            }
        }
    }
}

#[test]
fn named_barriers_are_of_some_warps_only() {
    let x: Vec<u32> = (0..160).map(|i| i * i).collect();
    let run = one_block([64, 1, 1], &x, &x);
    let expected: Vec<u32> = (0..160).map(|i| 2 * x[i / 32 * 32 + 31 - i % 32]).collect();
    for (sm, order) in [(75, 1), (90, 2), (90, 3), (90, 4)] {
        let kernel =
            run.kernel(|x, out| producer_consumer(x, out), &kernelsmith::Target::sm(sm, false));
        let found = run.emulated(&kernel, sm, order, 0);
        assert_eq!(found.out, expected);
    }
    assert_eq!(run.on(&Device::interpreter(), producer_consumer_launch), expected);
    run.compiles_for(&["sm_75", "sm_90", "sm_100a"], |x, out| producer_consumer(x, out));
}

fn producer_consumer_launch<'l>(x: &'l Buffer<u32>, out: &'l mut Buffer<u32>) -> Launch<'l> {
    producer_consumer(x, out)
}

/// The consumer's warp comes once, and the barrier waits for three warps.
#[kernel(block = 64)]
fn too_few(out: &mut [u32]) {
    if warp_id() == 1 {
        barrier_sync(3, 96);
    }
    out[thread_rank()] = 1u32;
}

/// One warp says that it has written and waits for nobody, but reads what the other writes.
#[kernel(block = 64)]
fn races(out: &mut [u32]) {
    let data = shared::<u32>(64);
    let i = thread_rank();
    data[i] = 1u32;
    if warp_id() == 0 {
        barrier_arrive(1, 64);
    } else {
        barrier_sync(1, 64);
    }
    out[i] = data[63 - i];
}

#[test]
fn the_interpreter_knows_named_barriers() {
    let device = Device::interpreter();
    let mut out = Buffer::<u32>::zeros(&device, 64).unwrap();
    let stream = device.create_stream().unwrap();
    too_few(&mut out).launch_on(&stream).unwrap();
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("barrier 3 for 96 threads, of which 32 have come"), "{error}");
    let stream = device.create_stream().unwrap();
    races(&mut out).launch_on(&stream).unwrap();
    // As warps take turns, what is read was not written, or is written without order.
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("sharing.rs") && error.contains("4 bytes"), "{error}");
}

#[test]
fn named_barriers_elsewhere_are_refused_with_those_that_have_them() {
    let run = one_block([64, 1, 1], &[0u32; 64], &[0u32; 64]);
    for name in ["cpu", "gfx942", "gfx1201"] {
        let target = name.parse().unwrap();
        let kernel = run.kernel(|x, out| producer_consumer(x, out), &target);
        let error = kernelsmith::ir::passes::prepare(&kernel, &target).unwrap_err().to_string();
        let rule = format!("{name} has no `barrier_sync`; there is one on: sm_75 and newer");
        assert!(error.contains(&rule) && error.contains("sharing.rs"), "{error}");
    }
}

#[kernel(block = 64)]
fn bad_barrier(out: &mut [u32]) {
    barrier_sync(0, 64);
    out[0] = 1;
}

#[test]
fn a_barrier_that_there_is_not_is_a_staging_error() {
    let device = Device::cpu();
    let mut out = Buffer::<u32>::zeros(&device, 1).unwrap();
    let error = bad_barrier(&mut out).launch(&device).unwrap_err().to_string();
    assert!(error.contains("barriers are numbered 1 to 15"), "{error}");
}
