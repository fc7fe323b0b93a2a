//! Reductions and scans of blocks of every shape and size.

use kernelsmith::prelude::*;
use proptest::prelude::*;

use crate::harness::{TARGETS, one_block};

#[kernel]
fn everything(x: &[i32], out: &mut [i32]) {
    let (i, n) = (thread_rank(), x.len());
    let v = x[i];
    out[i] = block_sum(v);
    out[n + i] = block_min(v);
    out[2 * n + i] = block_max(v);
    out[3 * n + i] = block_reduce(v, |a, b| if b == 0 { a } else { b });
    out[4 * n + i] = block_scan_sum(v);
    out[5 * n + i] = block_scan_exclusive(v, -7, |a, b| if b == 0 { a } else { b });
    out[6 * n + i] = block_count(v > 0) as i32;
    out[7 * n + i] = block_any(v == 3) as i32 + 2 * block_all(v != 3) as i32;
    out[8 * n + i] = block_broadcast(v + 100);
}

fn expected(x: &[i32]) -> Vec<i32> {
    let later = |a: i32, b: &i32| if *b == 0 { a } else { *b };
    let sum = |x: &[i32]| x.iter().fold(0i32, |a, b| a.wrapping_add(*b));
    let last =
        |x: &[i32]| x.split_first().map_or(-7, |(first, rest)| rest.iter().fold(*first, later));
    let all = |value: i32| vec![value; x.len()];
    let found = i32::from(x.contains(&3)) + 2 * i32::from(!x.contains(&3));
    [
        all(sum(x)),
        all(*x.iter().min().unwrap()),
        all(*x.iter().max().unwrap()),
        all(last(x)),
        (0..x.len()).map(|i| sum(&x[..=i])).collect(),
        (0..x.len()).map(|i| last(&x[..i])).collect(),
        all(x.iter().filter(|v| **v > 0).count() as i32),
        all(found),
        all(x[0] + 100),
    ]
    .concat()
}

fn shapes() -> impl Strategy<Value = [usize; 3]> {
    prop_oneof![
        (1..200usize).prop_map(|n| [n, 1, 1]),
        (1..20usize, 1..12usize).prop_map(|(x, y)| [x, y, 1]),
        (1..8usize, 1..6usize, 1..5usize).prop_map(|(x, y, z)| [x, y, z]),
        Just([1024, 1, 1]),
        Just([32, 8, 1]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn blocks_of_every_shape_agree_with_the_host(block in shapes(), seed in any::<u32>()) {
        let n: usize = block.iter().product();
        let x: Vec<i32> = (0..n as u32)
            .map(|i| (i.wrapping_mul(2654435761).wrapping_add(seed) >> 20) as i32 % 7 - 3)
            .collect();
        let out = vec![0; 9 * n];
        let run = one_block(block, &x, &out);
        run.everywhere(|x, out| everything(x, out), |found| assert_eq!(found, expected(&x)));
    }
}

/// The shared array of a call is written again in every iteration.
#[kernel(block = 96)]
fn repeated(x: &[i32], out: &mut [i32]) {
    let i = thread_rank();
    let mut v = x[i];
    for step in 0..5 {
        v = block_scan_sum(v) % 1000 + block_max(v) + step;
    }
    out[i] = v;
}

#[test]
fn they_can_stand_in_loops() {
    let x: Vec<i32> = (0..96).map(|i| i * 37 % 11).collect();
    let mut v = x.clone();
    for step in 0..5 {
        let max = *v.iter().max().unwrap();
        let mut sum = 0;
        for v in &mut v {
            sum += *v;
            *v = sum % 1000 + max + step;
        }
    }
    let run = one_block([96, 1, 1], &x, &x);
    run.everywhere(|x, out| repeated(x, out), |found| assert_eq!(found, v));
}

#[test]
fn they_compile_for_every_target() {
    let run = one_block([100, 1, 1], &[0; 100], &[0; 900]);
    run.compiles_for(&TARGETS, |x, out| everything(x, out));
}
