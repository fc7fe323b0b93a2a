//! Scans, matches and reductions of warps, whole and partial.

use kernelsmith::prelude::*;
use proptest::prelude::*;

use crate::harness::{TARGETS, one_block};

#[kernel]
fn scans(x: &[i32], out: &mut [i32]) {
    let (i, n) = (thread_rank(), x.len());
    let v = x[i];
    out[i] = warp_scan_sum(v);
    out[n + i] = warp_scan_exclusive(v, i32::MAX, |a, b| a.min(b));
    // Not commutative: what comes later replaces, unless it is a zero.
    out[2 * n + i] = warp_scan(v, |a, b| if b == 0 { a } else { b });
    out[3 * n + i] = warp_reduce(v, |a, b| if b == 0 { a } else { b });
    out[4 * n + i] = warp_reduce(v, |a, b| a.max(b));
    out[5 * n + i] = shuffle_down(v, 1);
    out[6 * n + i] = warp_lanes() as i32;
    out[7 * n + i] = (ballot(v > 0) & lanes_below()).count_ones() as i32;
}

fn scans_expected(x: &[i32]) -> Vec<i32> {
    let mut out = vec![Vec::new(); 8];
    for warp in x.chunks(32) {
        let later = |a: i32, b: &i32| if *b == 0 { a } else { *b };
        for (lane, &v) in warp.iter().enumerate() {
            let (upto, before) = (&warp[..=lane], &warp[..lane]);
            out[0].push(upto.iter().fold(0i32, |a, b| a.wrapping_add(*b)));
            out[1].push(before.iter().copied().min().unwrap_or(i32::MAX));
            out[2].push(upto[1..].iter().fold(upto[0], later));
            out[3].push(warp[1..].iter().fold(warp[0], later));
            out[4].push(*warp.iter().max().unwrap());
            out[5].push(*warp.get(lane + 1).unwrap_or(&v));
            out[6].push(warp.len() as i32);
            out[7].push(before.iter().filter(|v| **v > 0).count() as i32);
        }
    }
    out.concat()
}

fn few() -> impl Strategy<Value = i32> {
    prop_oneof![Just(0), -3..4i32, any::<i32>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn scans_and_reductions_agree_with_the_host(x in prop::collection::vec(few(), 1..100)) {
        let out = vec![0; 8 * x.len()];
        let run = one_block([x.len(), 1, 1], &x, &out);
        run.everywhere(|x, out| scans(x, out), |found| assert_eq!(found, scans_expected(&x)));
    }

    #[test]
    fn equal_lanes_find_each_other(x in prop::collection::vec(0..4u32, 1..80), scale in any::<u64>()) {
        let wide: Vec<u64> = x.iter().map(|v| u64::from(*v).wrapping_mul(scale | 1)).collect();
        let out = vec![0; 4 * x.len()];
        let run = one_block([x.len(), 1, 1], &wide, &out);
        let expected = |i: usize, class: &dyn Fn(u64) -> u64| {
            let warp = &wide[i / 32 * 32..(i / 32 * 32 + 32).min(x.len())];
            let same = |(lane, v): (usize, &u64)| u64::from(class(*v) == class(wide[i])) << lane;
            warp.iter().enumerate().map(same).sum::<u64>()
        };
        run.everywhere(|x, out| matches(x, out), |found| {
            for i in 0..x.len() {
                assert_eq!(found[i], expected(i, &|v| v));
                assert_eq!(found[x.len() + i], expected(i, &|v| v & 0xFF));
                assert_eq!(found[2 * x.len() + i], expected(i, &|v| v & 1));
                assert_eq!(found[3 * x.len() + i], expected(i, &|v| u64::from((v as i32 as f32).to_bits())));
            }
        });
    }

    #[test]
    fn partial_warps_reduce_what_they_have(x in prop::collection::vec(-100.0..100.0f32, 1..100)) {
        let out = vec![0.0; 3 * x.len()];
        let run = one_block([x.len(), 1, 1], &x, &out);
        run.everywhere(|x, out| reductions(x, out), |found| {
            for i in 0..x.len() {
                let warp = &x[i / 32 * 32..(i / 32 * 32 + 32).min(x.len())];
                let sum: f64 = warp.iter().map(|v| f64::from(*v)).sum();
                assert!((f64::from(found[i]) - sum).abs() < 1e-3, "{} {sum}", found[i]);
                let (min, max) = (f32::min, f32::max);
                assert_eq!(found[x.len() + i], warp.iter().copied().fold(f32::INFINITY, min));
                assert_eq!(found[2 * x.len() + i], warp.iter().copied().fold(-f32::INFINITY, max));
            }
        });
    }
}

#[kernel]
fn matches(x: &[u64], out: &mut [u64]) {
    let (i, n) = (thread_rank(), x.len());
    let v = x[i];
    out[i] = match_any(v);
    out[n + i] = match_any(v as u8);
    out[2 * n + i] = match_any(v & 1 == 1);
    out[3 * n + i] = match_any(v as i32 as f32);
}

#[kernel]
fn reductions(x: &[f32], out: &mut [f32]) {
    let (i, n) = (thread_rank(), x.len());
    let v = x[i];
    out[i] = warp_sum(v);
    out[n + i] = warp_min(v);
    out[2 * n + i] = warp_max(v);
}

#[test]
fn they_compile_for_every_target() {
    for threads in [64, 50] {
        let (x, out) = ([0; 64], [0; 512]);
        let run = one_block([threads, 1, 1], &x, &out);
        run.compiles_for(&TARGETS, |x, out| scans(x, out));
        let run = one_block([threads, 1, 1], &[0u64; 64], &[0; 256]);
        run.compiles_for(&TARGETS, |x, out| matches(x, out));
        let run = one_block([threads, 1, 1], &[0.0; 64], &[0.0; 192]);
        run.compiles_for(&TARGETS, |x, out| reductions(x, out));
    }
}

#[kernel]
fn divergent(x: &[i32], out: &mut [i32]) {
    let i = thread_rank();
    if x[i] > 0 {
        out[i] = warp_scan_sum(x[i]);
    }
}

#[test]
fn a_scan_that_some_lanes_miss_does_not_compile() {
    let run = one_block([32, 1, 1], &[0; 32], &[0; 32]);
    let kernel = run.kernel(|x, out| divergent(x, out), &"sm_80".parse().unwrap());
    let error = kernelsmith::ir::passes::prepare(&kernel, &"sm_80".parse().unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("must be reached by every thread of the warp together"), "{text}");
    assert!(text.contains("warps.rs"), "{text}");
}
