//! What the runtime and the language do on hardware: checks, streams, shared memory, warps, atomics.

use kernelsmith::prelude::*;

use crate::Outcome;
use crate::cases::{Case, case};

pub(crate) fn all() -> Vec<Case> {
    vec![
        case("failing check comes back", "1 of 100", failing_check),
        case("block sum", "256 threads", block_sum_case),
        case("warp sum and shuffles", "32 lanes", warp_case),
        case("atomic add", "100000 threads", atomic_case),
        case("streams and events", "2 streams", stream_case),
    ]
}

/// An outcome of exact results.
fn exact(right: bool) -> Outcome {
    Ok((f64::from(u8::from(!right)), 0.0))
}

#[kernel]
fn beyond(y: &mut [f32]) {
    y[global_idx_x()] = 1.0;
}

fn failing_check(device: &Device) -> Outcome {
    let mut y = Buffer::<f32>::zeros(device, 99)?;
    beyond(&mut y).threads(100, 100).launch(device)?;
    let failure = device.synchronize().err();
    let failure = failure.as_ref().and_then(|e| e.check_failed());
    let right = failure.is_some_and(|f| (f.index, f.len) == (99, 99) && f.thread == [99, 0, 0]);
    // The context must have survived.
    let written = y.to_vec()?.iter().all(|&y| y == 1.0);
    exact(right && written)
}

#[kernel(block = 256)]
fn block_sum(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(256);
    let t = thread_idx_x();
    tile[t] = x[t];
    barrier();
    let mut step = 128;
    while step > 0 {
        if t < step {
            tile[t] += tile[t + step];
        }
        barrier();
        step /= 2;
    }
    if t == 0 {
        y[0] = tile[0];
    }
}

fn block_sum_case(device: &Device) -> Outcome {
    let x = Buffer::from_slice(device, &(0..256).map(|i| i as f32).collect::<Vec<_>>())?;
    let mut y = Buffer::<f32>::zeros(device, 1)?;
    block_sum(&x, &mut y).launch(device)?;
    exact(y.to_vec()? == [32640.0])
}

#[kernel(block = 32)]
fn warp(out: &mut [u32]) {
    let lane = lane_id();
    let value = lane as u32;
    out[lane] = warp_sum(value);
    out[32 + lane] = shuffle_xor(value, 1);
    out[64 + lane] = shuffle_down(value, 3);
    out[96 + lane] = ballot(value % 2 == 0) as u32;
}

fn warp_case(device: &Device) -> Outcome {
    let mut out = Buffer::<u32>::zeros(device, 128)?;
    warp(&mut out).launch(device)?;
    let out = out.to_vec()?;
    let right = (0..32u32).all(|lane| {
        let at = lane as usize;
        out[at] == 496
            && out[32 + at] == lane ^ 1
            && out[64 + at] == if lane + 3 < 32 { lane + 3 } else { lane }
            && out[96 + at] == 0x5555_5555
    });
    exact(right)
}

#[kernel]
fn count(n: usize, total: &mut [u32]) {
    if global_idx_x() < n {
        total.slot_at(0usize).atomic_add(1u32);
    }
}

fn atomic_case(device: &Device) -> Outcome {
    let mut total = Buffer::<u32>::zeros(device, 1)?;
    count(100_000, &mut total).threads(100_000, 256).launch(device)?;
    exact(total.to_vec()? == [100_000])
}

#[kernel]
fn add_one(y: &mut [f32]) {
    let i = global_idx_x();
    if i < y.len() {
        y[i] += 1.0;
    }
}

fn stream_case(device: &Device) -> Outcome {
    let mut y = Buffer::<f32>::zeros(device, 1 << 20)?;
    let (a, b) = (device.create_stream()?, device.create_stream()?);
    for i in 0..50 {
        // The buffer orders launches of both streams.
        let stream = if i % 2 == 0 { &a } else { &b };
        add_one(&mut y).threads(1 << 20, 256).launch_on(stream)?;
    }
    exact(y.to_vec()?.iter().all(|&y| y == 50.0))
}
