//! `device_print!` and `device_assert!`: formats, order, what is dropped, and what comes back.

use std::sync::{Arc, Mutex};

use kernelsmith::prelude::*;

use crate::harness::{TARGETS, one_block};

#[derive(KernelValue, Clone, Copy, Debug)]
struct Point {
    x: Val<f32>,
    id: Val<u8>,
}

#[kernel]
fn formats(x: &[f32], out: &mut [u32]) {
    let i = thread_rank();
    let v = x[i];
    let mut n = i as i32 - 2;
    n *= 3;
    device_print!("x = {} at {}", v, i);
    device_print!("{n} {n:>6}| {:<+6}| {:#06x} {:b} {:e}", n, n, i as u8, v);
    device_print!("{v:8.3} {v:?} {:?} {}", v as f64, v > 1.0);
    let point = Point { x: v, id: i as u8 };
    device_print!("{point:?} {:?} {{}} {}", [n, n + 1], "host");
    device_print!("{} {}", v as f16, (i as u64) << 40 | 1);
    out[i] = i as u32;
}

#[derive(Debug)]
#[allow(dead_code)]
struct HostPoint {
    x: f32,
    id: u8,
}

fn formatted(i: usize, v: f32) -> Vec<String> {
    let n = (i as i32 - 2) * 3;
    let point = format!("{:?}", HostPoint { x: v, id: i as u8 }).replace("HostPoint", "Point");
    vec![
        format!("x = {v} at {i}"),
        format!("{n} {n:>6}| {n:<+6}| {n:#06x} {:b} {v:e}", i as u8),
        format!("{v:8.3} {v:?} {:?} {}", v as f64, v > 1.0),
        format!("{point} {:?} {{}} host", [n, n + 1]),
        format!("{} {}", half_of(v), (i as u64) << 40 | 1),
    ]
}

fn half_of(v: f32) -> f16 {
    f16::from_f32(v)
}

/// Lines of a stream of the CPU.
fn lines(work: impl FnOnce(&Stream)) -> Vec<String> {
    let stream = Device::cpu().create_stream().unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    stream.print_to(move |line| sink.lock().unwrap().push(line.to_owned()));
    work(&stream);
    drop(stream);
    Arc::into_inner(lines).unwrap().into_inner().unwrap()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn values_are_written_as_on_the_host() {
    let x: Vec<f32> = (0..40).map(|i| i as f32 / 3.0 - 2.0).collect();
    let expected: Vec<String> = x.iter().enumerate().flat_map(|(i, v)| formatted(i, *v)).collect();
    let found = lines(|stream| {
        let x = Buffer::from_slice(stream.device(), &x).unwrap();
        let mut out = Buffer::<u32>::zeros(stream.device(), 40).unwrap();
        formats(&x, &mut out).block(40).launch_on(stream).unwrap();
        stream.synchronize().unwrap();
    });
    assert_eq!(sorted(found), sorted(expected.clone()));
    let run = one_block([40, 1, 1], &x, &[0u32; 40]);
    let kernel = run.kernel(|x, out| formats(x, out), &kernelsmith::Target::sm(80, false));
    let found = run.emulated(&kernel, 80, 5, 4096);
    assert_eq!((sorted(found.lines), found.dropped), (sorted(expected), 0));
    run.compiles_for(&TARGETS, |x, out| formats(x, out));
}

#[test]
fn lines_without_room_are_counted() {
    let x = vec![1.5f32; 40];
    let run = one_block([40, 1, 1], &x, &[0u32; 40]);
    let kernel = run.kernel(|x, out| formats(x, out), &kernelsmith::Target::sm(80, false));
    let found = run.emulated(&kernel, 80, 5, 50);
    assert!(!found.lines.is_empty() && found.lines.len() < 50, "{}", found.lines.len());
    assert_eq!(found.lines.len() as u64 + found.dropped, 200);
}

#[kernel]
fn numbers(round: u32, out: &mut [u32]) {
    let i = global_idx_x();
    device_print!("{round}: {i}");
    out[i] = round;
}

/// 3 words a line, and 262144 words to a stream.
#[test]
fn a_stream_drops_what_does_not_fit_and_goes_on() {
    let found = lines(|stream| {
        let mut out = Buffer::<u32>::zeros(stream.device(), 100_000).unwrap();
        for round in 0..2 {
            numbers(round, &mut out).threads(100_000, 100).launch_on(stream).unwrap();
            stream.synchronize().unwrap();
        }
        numbers(7, &mut out).threads(1, 1).launch_on(stream).unwrap();
    });
    // The index has 64 bits, so a line takes 4 words.
    let each = 262_144 / 4;
    let said =
        format!("[{} more device_print! lines than 1024 KiB hold were dropped]", 100_000 - each);
    assert_eq!(found.len(), 2 * (each + 1) + 1);
    for round in 0..2 {
        let lines = &found[round * (each + 1)..][..each + 1];
        assert!(lines[..each].iter().all(|line| line.starts_with(&format!("{round}: "))));
        assert_eq!(lines[each], said);
    }
    // Read when the stream went, as nobody waited.
    assert_eq!(found.last().unwrap(), "7: 0");
}

#[kernel]
fn other(out: &mut [u32]) {
    device_print!("other {}", thread_rank());
    out[0] = 1u32;
}

#[test]
fn lines_of_several_kernels_stay_in_order() {
    let found = lines(|stream| {
        let mut out = Buffer::<u32>::zeros(stream.device(), 1).unwrap();
        for round in 0..3 {
            numbers(round, &mut out).launch_on_one(stream);
            other(&mut out).launch_on_one(stream);
        }
        stream.synchronize().unwrap();
    });
    assert_eq!(found, ["0: 0", "other 0", "1: 0", "other 0", "2: 0", "other 0"]);
}

trait LaunchOne {
    fn launch_on_one(self, stream: &Stream);
}

impl LaunchOne for Launch<'_> {
    fn launch_on_one(self, stream: &Stream) {
        self.grid(1).block(1).launch_on(stream).unwrap();
    }
}

#[kernel]
fn asserts(x: &[f32], out: &mut [u32]) {
    let i = thread_rank();
    let v = x[i];
    let mut twice = v;
    twice += v;
    device_assert!(twice < 100.0, "x[{i}] = {v:.2}, {twice} and {}", v as i32 > 3);
    device_assert!(i < 1000);
    out[i] = 1;
}

#[kernel]
fn bare(out: &mut [u32]) {
    let i = thread_rank();
    device_assert!(i + 1 < out.len());
    out[i] = 1u32;
}

#[test]
fn a_failed_assertion_comes_back_with_its_values() {
    let mut x = vec![1.0f32; 40];
    x[33] = 77.125;
    let device = Device::cpu();
    let stream = device.create_stream().unwrap();
    let (input, mut out) =
        (Buffer::from_slice(&device, &x).unwrap(), Buffer::<u32>::zeros(&device, 40).unwrap());
    asserts(&input, &mut out).block(40).launch_on(&stream).unwrap();
    let error = stream.synchronize().unwrap_err();
    let failure = error.check_failed().unwrap();
    assert_eq!(failure.message.as_deref(), Some("x[33] = 77.12, 154.25 and true"));
    assert_eq!((failure.kernel.as_str(), failure.thread), ("asserts", [33, 0, 0]));
    let (file, line, _) = failure.location.as_ref().unwrap();
    assert!(file.ends_with("printing.rs") && *line > 100, "{error}");
    bare(&mut out).block(40).launch_on(&stream).unwrap();
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("assertion failed: i + 1 < out.len()"), "{error}");

    let run = one_block([40, 1, 1], &x, &[0u32; 40]);
    let kernel = run.kernel(|x, out| asserts(x, out), &kernelsmith::Target::sm(90, false));
    let record = run.emulated(&kernel, 90, 3, 0).record;
    let bits = [33, 77.125f32.to_bits().into(), 154.25f32.to_bits().into(), 1];
    assert_eq!((record.state, record.values, record.thread), (1, bits, [33, 0, 0]));
    run.compiles_for(&TARGETS, |x, out| asserts(x, out));
}

#[kernel]
fn too_many(out: &mut [u32]) {
    let i = thread_rank();
    device_assert!(i < 3, "{i} {i} {i} {i} {i}");
    out[i] = 1u32;
}

#[test]
fn more_values_than_the_record_holds_are_a_staging_error() {
    let device = Device::cpu();
    let mut out = Buffer::<u32>::zeros(&device, 1).unwrap();
    let error = too_many(&mut out).block(1).launch(&device).unwrap_err().to_string();
    assert!(error.contains("device_assert! shows 5 values"), "{error}");
    assert!(error.contains("printing.rs"), "{error}");
}
