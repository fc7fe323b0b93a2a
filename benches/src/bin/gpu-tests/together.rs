//! What threads do together on hardware: scans, matches, block reductions, atomics, named barriers,
//! dynamic shared memory, prints and assertions.

use std::sync::{Arc, Mutex};

use kernelsmith::prelude::*;

use crate::Outcome;
use crate::cases::{Case, case};

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for threads in [1usize, 31, 64, 100, 257, 1024] {
        cases.push(case("block and warp collectives", threads, move |d| collectives(d, threads)));
    }
    cases.push(case("match_any and partial warps", "70 threads", matches_case));
    cases.push(case("atomics with order and scope", "4096 threads", atomics_case));
    cases.push(case("dynamic shared memory", "200 words", dynamic_case));
    cases.push(case("named barriers", "2 warps", barriers_case));
    cases.push(case("pairs of bf16", "96 words", |d| pairs_case(d, bf16::from_f64, bf16::to_bits)));
    cases.push(case("pairs of f16", "96 words", |d| pairs_case(d, f16::from_f64, f16::to_bits)));
    cases.push(case("device_print!", "300 lines", print_case));
    cases.push(case("device_assert! with values", "1 of 100", assert_case));
    cases
}

/// An outcome of exact results.
fn exact(right: bool) -> Outcome {
    Ok((f64::from(u8::from(!right)), 0.0))
}

#[kernel]
fn together(x: &[i32], out: &mut [i32]) {
    let (i, n) = (thread_rank(), x.len());
    let v = x[i];
    out[i] = block_sum(v);
    out[n + i] = block_max(v);
    out[2 * n + i] = block_scan_sum(v);
    out[3 * n + i] = block_scan_exclusive(v, -7, |a, b| if b == 0 { a } else { b });
    out[4 * n + i] = block_count(v > 0) as i32;
}

fn collectives(device: &Device, n: usize) -> Outcome {
    let x: Vec<i32> = (0..n).map(|i| (i * 37 % 11) as i32 - 5).collect();
    let later = |a: i32, b: &i32| if *b == 0 { a } else { *b };
    let last = |x: &[i32]| x.split_first().map_or(-7, |(a, rest)| rest.iter().fold(*a, later));
    let all = |value: i32| vec![value; n];
    let expected = [
        all(x.iter().sum()),
        all(*x.iter().max().unwrap_or(&0)),
        (0..n).map(|i| x[..=i].iter().sum()).collect(),
        (0..n).map(|i| last(&x[..i])).collect(),
        all(x.iter().filter(|v| **v > 0).count() as i32),
    ];
    let input = Buffer::from_slice(device, &x)?;
    let mut out = Buffer::<i32>::zeros(device, 5 * n)?;
    together(&input, &mut out).block(n).launch(device)?;
    exact(out.to_vec()? == expected.concat())
}

#[kernel]
fn matching(x: &[u64], lanes: &mut [u64], sums: &mut [f32]) {
    let i = thread_rank();
    lanes[i] = match_any(x[i]);
    sums[i] = warp_sum(x[i] as f32);
}

fn matches_case(device: &Device) -> Outcome {
    let (n, warp) = (70, device.target().warp_size() as usize);
    let x: Vec<u64> = (0..n).map(|i| (i as u64 * 5 % 3) << 33 | 1).collect();
    let input = Buffer::from_slice(device, &x)?;
    let mut lanes = Buffer::<u64>::zeros(device, n)?;
    let mut sums = Buffer::<f32>::zeros(device, n)?;
    matching(&input, &mut lanes, &mut sums).block(n).launch(device)?;
    let (lanes, sums) = (lanes.to_vec()?, sums.to_vec()?);
    let right = (0..n).all(|i| {
        let members = &x[i / warp * warp..(i / warp * warp + warp).min(n)];
        let same = members.iter().enumerate().filter(|(_, v)| **v == x[i]);
        let sum: f64 = members.iter().map(|v| *v as f64).sum();
        lanes[i] == same.fold(0, |all, (lane, _)| all | 1 << lane)
            && (f64::from(sums[i]) - sum).abs() <= sum * 1e-6
    });
    exact(right)
}

#[kernel]
fn counts(out: &mut [u32]) {
    let i = global_idx_x() as u32;
    out.atomic(0).fetch_add(1, Ordering::AcqRel, Scope::System);
    out.atomic(1).fetch_max(i, Ordering::Release, Scope::Device);
    out.atomic(2).fetch_xor(i, Ordering::Acquire, Scope::Device);
    let (_, first) = out.atomic(3).compare_exchange(0, i + 1, Ordering::AcqRel, Scope::Device);
    if first {
        out.atomic(4).fetch_add(1, Ordering::Relaxed, Scope::Device);
    }
    fence(Ordering::AcqRel, Scope::Device);
    let seen = out.atomic(3).load(Ordering::Acquire, Scope::Device);
    out.atomic(5).store(seen, Ordering::Release, Scope::Device);
}

fn atomics_case(device: &Device) -> Outcome {
    let mut out = Buffer::<u32>::zeros(device, 6)?;
    counts(&mut out).threads(4096, 128).launch(device)?;
    let out = out.to_vec()?;
    exact(out[..3] == [4096, 4095, 0] && out[4] == 1 && out[3] != 0 && out[5] == out[3])
}

#[kernel]
fn reverse(x: &[u32], out: &mut [u32]) {
    let (data, i) = (dynamic_shared::<u32>(), thread_rank());
    data[data.len() - 1 - i] = x[i];
    barrier();
    out[i] = data[i];
}

fn dynamic_case(device: &Device) -> Outcome {
    let x: Vec<u32> = (0..200).collect();
    let input = Buffer::from_slice(device, &x)?;
    let mut out = Buffer::<u32>::zeros(device, 200)?;
    reverse(&input, &mut out).block(200).shared_bytes(800).launch(device)?;
    exact(out.to_vec()?.into_iter().rev().eq(x))
}

#[kernel(block = 64)]
fn hands_over(x: &[u32], out: &mut [u32]) {
    let (data, lane) = (shared::<u32>(32), lane_id());
    if warp_id() == 0 {
        data[31 - lane] = x[lane] * 2;
        barrier_arrive(1, 64);
    } else {
        barrier_sync(1, 64);
        out[lane] = data[lane];
    }
}

/// Only NVIDIA has them: elsewhere the kernel must be refused by name.
fn barriers_case(device: &Device) -> Outcome {
    let x: Vec<u32> = (0..32).collect();
    let input = Buffer::from_slice(device, &x)?;
    let mut out = Buffer::<u32>::zeros(device, 32)?;
    let launched = hands_over(&input, &mut out).launch(device);
    if device.kind() != kernelsmith::DeviceKind::Cuda {
        return exact(launched.is_err_and(|e| e.to_string().contains("has no `barrier_")));
    }
    launched?;
    exact(out.to_vec()?.into_iter().eq((0..32).map(|i| 2 * (31 - i))))
}

#[kernel]
fn pairs<T: Float>(x: &[u32], y: &mut [u32]) {
    let (i, n) = (thread_rank(), y.len());
    let a = Pair::<T>::from_bits(x[i]);
    let b = Pair::<T>::from_bits(x[i + n]);
    y[i] = a.mul_add(b, Pair::<T>::from_bits(x[i + 2 * n])).to_bits();
}

/// Products and sums that f64 holds, so that they are rounded once.
fn pairs_case<T: Float + Into<f64>>(
    device: &Device,
    of: fn(f64) -> T,
    bits: fn(T) -> u16,
) -> Outcome {
    let n = 96;
    let number = |i: usize| match i / (2 * n) {
        2 => (i * 37 % 4001) as f64 - 2000.0,
        _ => (i * 29 % 257) as f64 / 32.0 - 4.0,
    };
    let x: Vec<T> = (0..6 * n).map(|i| of(number(i))).collect();
    let word = |two: &[T]| u32::from(bits(two[0])) | u32::from(bits(two[1])) << 16;
    let words: Vec<u32> = x.chunks(2).map(word).collect();
    let value = |i: usize| -> f64 { x[i].into() };
    let expected: Vec<T> =
        (0..2 * n).map(|i| of(value(i) * value(i + 2 * n) + value(i + 4 * n))).collect();
    let input = Buffer::from_slice(device, &words)?;
    let mut y = Buffer::<u32>::zeros(device, n)?;
    pairs::<T>(&input, &mut y).block(n).launch(device)?;
    exact(y.to_vec()?.into_iter().eq(expected.chunks(2).map(word)))
}

#[kernel]
fn prints(x: &[f32], out: &mut [u32]) {
    let i = global_idx_x();
    device_print!("x[{i}] = {:.2} {:x}", x[i], i as u8);
    out[i] = 1;
}

fn print_case(device: &Device) -> Outcome {
    let x: Vec<f32> = (0..300).map(|i| i as f32 / 3.0).collect();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let stream = device.create_stream()?;
    let sink = lines.clone();
    stream.print_to(move |line| sink.lock().expect("nobody panics").push(line.to_owned()));
    let input = Buffer::from_slice(device, &x)?;
    let mut out = Buffer::<u32>::zeros(device, 300)?;
    prints(&input, &mut out).threads(300, 100).launch_on(&stream)?;
    stream.synchronize()?;
    let mut found = lines.lock().expect("nobody panics").clone();
    let line = |(i, v): (usize, &f32)| format!("x[{i}] = {v:.2} {:x}", i as u8);
    let mut expected: Vec<String> = x.iter().enumerate().map(line).collect();
    found.sort();
    expected.sort();
    exact(found == expected)
}

#[kernel]
fn asserts(out: &mut [u32]) {
    let i = thread_rank();
    let v = i as f32 * 0.5;
    device_assert!(i != 77, "i is {i}, v is {v:.3}");
    out[i] = 1;
}

fn assert_case(device: &Device) -> Outcome {
    let mut out = Buffer::<u32>::zeros(device, 100)?;
    asserts(&mut out).block(100).launch(device)?;
    let failure = device.synchronize().err();
    let failure = failure.as_ref().and_then(|e| e.check_failed());
    let message = failure.and_then(|f| f.message.as_deref());
    exact(
        message == Some("i is 77, v is 38.500") && failure.is_some_and(|f| f.thread == [77, 0, 0]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases themselves, where there is no GPU.
    #[test]
    fn they_pass_on_the_cpu() {
        for case in all() {
            let outcome = (case.run)(&Device::cpu());
            let (error, allowed) = outcome.unwrap_or_else(|e| panic!("{}: {e}", case.name));
            assert!(error <= allowed, "{} {}", case.name, case.shape);
        }
    }
}
